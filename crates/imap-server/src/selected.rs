//! The open mailbox: what the client has been told of it, and what it must be told next.
//!
//! Standards: RFC 3501 sections 5.2 and 7.4.1, RFC 7162 (MODSEQ, VANISHED).
//! Invariants:
//! - what was told and what is there come together only in [`sync`]; EXPUNGE waits in the
//!   view until it may be told;
//! - a sync tells what happened up to the modseq of the mailbox's row, which it reads first,
//!   and nothing that is newer: so that modseq is what the client knows all of.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use hikyaku_imap_proto::response::{self, FetchWriter, StatusResponse};
use hikyaku_imap_proto::table::Expunge;
use hikyaku_imap_proto::{Flag, Keyword, ModSeq, Uid, UidSet, View};
use hikyaku_mailstore::entry::{self, Point};
use hikyaku_mailstore::{Entry, Flags, Keywords, Mailbox, MailboxId, mailbox};
use hikyaku_store::{AccountTx, StoreError, Watch};

use crate::session::{Failure, Session};
use crate::versions::Version;

/// Entries that one closure reads.
pub(crate) const READ_STEP: u16 = 250;

/// Keywords that SELECT tells of; there may be more.
const MOST_KEYWORDS: usize = 500;

/// An open mailbox.
pub(crate) struct Selected {
    pub(crate) id: MailboxId,
    pub(crate) read_only: bool,
    pub(crate) view: View,
    pub(crate) watch: Watch,
    /// Changes up to here were told, or were there when it was opened.
    modseq: i64,
    /// The same, but not above expunges that wait.
    whole: i64,
    /// The lowest UID that is not in the view.
    pub(crate) next_uid: u32,
    /// What the client knows of this session's own changes: UID to modseq.
    told: HashMap<u32, i64>,
    /// Keywords that FLAGS told of, at most [`MOST_KEYWORDS`].
    keywords: BTreeSet<String>,
    /// VANISHED was told since the last tagged answer.
    has_vanished: bool,
    /// What `$` means (RFC 5182).
    saved: UidSet,
}

/// What [`open`] found beside the view.
pub(crate) struct Opened {
    pub(crate) selected: Selected,
    pub(crate) mailbox: Mailbox,
    pub(crate) first_unseen: Option<Uid>,
}

/// Reads a mailbox into a view.
pub(crate) async fn open(session: &Session<'_>, id: MailboxId, read_only: bool) -> Result<Opened, Failure> {
    let watch = session.services.store.hints().watch(session.account()?.home.account);
    let found = session.services.versions.current(session, id).await?;
    let (mailbox, version) = found.ok_or_else(StatusResponse::no_such_mailbox)?;
    let first_unseen = version.entries().find(|entry| !entry.flags.has(Flags::SEEN));
    let first_unseen = first_unseen.and_then(|entry| Uid::new(entry.uid));
    let mut words = BTreeSet::new();
    for word in version.entries().flat_map(|entry| entry.keywords.iter()) {
        if words.len() < MOST_KEYWORDS && !words.contains(word) {
            words.insert(word.to_owned());
        }
    }
    let selected = Selected {
        id,
        read_only,
        view: version.entries().filter_map(|entry| Uid::new(entry.uid)).collect(),
        watch,
        modseq: mailbox.modseq,
        whole: mailbox.modseq,
        next_uid: version.next_uid(),
        told: HashMap::new(),
        keywords: words,
        has_vanished: false,
        saved: UidSet::new(),
    };
    Ok(Opened { selected, mailbox, first_unseen })
}

impl Selected {
    /// The client knows these entries: this session has told them itself, or need not.
    pub(crate) fn has_told<'e>(&mut self, entries: impl IntoIterator<Item = &'e Entry>) {
        self.told.extend(entries.into_iter().map(|entry| (entry.uid, entry.modseq)));
    }

    /// Was this change of a message told?
    pub(crate) fn knows(&self, uid: u32, modseq: i64) -> bool {
        modseq <= self.modseq || self.told.get(&uid) == Some(&modseq)
    }

    /// Keeps the result of a SEARCH.
    pub(crate) fn save(&mut self, uids: UidSet) {
        self.saved = uids;
    }

    /// The messages that `$` means, as far as they are there.
    pub(crate) fn saved(&self) -> UidSet {
        self.saved.intersection(self.view.uids()).difference(self.view.gone())
    }

    /// The modseq up to which the client knows everything.
    pub(crate) fn highest_modseq(&self) -> Option<ModSeq> {
        mod_seq(self.whole)
    }

    /// The same, if a client with QRESYNC must be told with the tagged answer: something
    /// vanished, or FETCH told modseqs above those of expunges that wait, from which the
    /// client must not conclude that it has seen the latter.
    pub(crate) fn modseq_to_tell(&mut self) -> Option<ModSeq> {
        let has_vanished = std::mem::take(&mut self.has_vanished);
        self.highest_modseq().filter(|_| has_vanished || self.whole < self.modseq)
    }

    /// The flags that messages here can have.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        let keywords = self.keywords.iter().filter_map(|word| Some(Flag::Keyword(Keyword::parse(word)?)));
        Flag::SYSTEM.into_iter().chain(keywords).collect()
    }

    /// Tells FLAGS anew if one of these entries has a keyword that it did not have so far.
    pub(crate) fn tell_keywords(&mut self, out: &mut Vec<u8>, entries: &[Entry]) {
        let before = self.keywords.len();
        for word in entries.iter().flat_map(|entry| entry.keywords.iter()) {
            if self.keywords.len() < MOST_KEYWORDS && !self.keywords.contains(word) {
                self.keywords.insert(word.to_owned());
            }
        }
        if self.keywords.len() > before {
            response::flags(out, &self.flags());
        }
    }
}

/// A modseq as the wire has it.
pub(crate) fn mod_seq(modseq: i64) -> Option<ModSeq> {
    u64::try_from(modseq).ok().and_then(ModSeq::new)
}

/// What happened in a mailbox since some modseq: up to that of its row, and nothing newer.
pub(crate) struct News {
    pub(crate) mailbox: Mailbox,
    pub(crate) arrived: Vec<Entry>,
    pub(crate) changed: Vec<Entry>,
    pub(crate) expunged: Vec<Point>,
}

/// Tells the client what changed in the open mailbox. False if the mailbox is gone.
pub(crate) async fn sync(session: &mut Session<'_>, expunge: Expunge) -> Result<bool, Failure> {
    let Some(selected) = &session.selected else { return Ok(true) };
    let (id, modseq, next_uid) = (selected.id, selected.modseq, selected.next_uid);
    let Some(news) = news(session, id, modseq, next_uid).await? else { return Ok(false) };
    if news.mailbox.modseq != modseq {
        tell(session, &news);
    }
    if expunge == Expunge::May {
        tell_expunged(session);
    }
    session.wire.relieve().await?;
    Ok(true)
}

/// What happened after this modseq; arrivals are those from `next_uid` on. `None` if the
/// mailbox is gone.
pub(crate) async fn news(
    session: &Session<'_>,
    id: MailboxId,
    modseq: i64,
    next_uid: u32,
) -> Result<Option<News>, Failure> {
    let found = session.read("imap.sync", move |tx| look(tx, id, modseq, next_uid)).await?;
    let Some(mut news) = found else { return Ok(None) };
    if news.mailbox.modseq != modseq {
        read_on(session, &mut news).await?;
    }
    Ok(Some(news))
}

/// The row, and the first step of what is new; most often that is all.
fn look(
    tx: &mut AccountTx<'_>,
    id: MailboxId,
    modseq: i64,
    next_uid: u32,
) -> Result<Option<News>, StoreError> {
    let Some(mailbox) = mailbox::mailbox(tx, id)? else { return Ok(None) };
    let mut news = News { mailbox, arrived: Vec::new(), changed: Vec::new(), expunged: Vec::new() };
    if news.mailbox.modseq != modseq {
        news.arrived = entry::entries(tx, id, next_uid.saturating_sub(1), READ_STEP)?;
        news.changed = entry::changed_since(tx, id, Point::after(modseq), READ_STEP)?;
        news.expunged = entry::expunged_since(tx, id, Point::after(modseq), READ_STEP)?;
    }
    Ok(Some(news))
}

/// Reads further steps where the first was full, and leaves out what is newer than the row.
async fn read_on(session: &Session<'_>, news: &mut News) -> Result<(), Failure> {
    let (id, modseq) = (news.mailbox.id, news.mailbox.modseq);
    while let Some(last) = last_of_full(&news.arrived) {
        let after = last.uid;
        let step = session.read("imap.arrived", move |tx| entry::entries(tx, id, after, READ_STEP)).await?;
        if step.is_empty() {
            break;
        }
        news.arrived.extend(step);
    }
    while let Some(last) = last_of_full(&news.changed) {
        let since = Point { modseq: last.modseq, uid: last.uid };
        let step =
            session.read("imap.changed", move |tx| entry::changed_since(tx, id, since, READ_STEP)).await?;
        if step.is_empty() {
            break;
        }
        news.changed.extend(step);
    }
    while let Some(since) = last_of_full(&news.expunged).copied() {
        let step =
            session.read("imap.expunged", move |tx| entry::expunged_since(tx, id, since, READ_STEP)).await?;
        if step.is_empty() {
            break;
        }
        news.expunged.extend(step);
    }
    news.arrived.retain(|entry| entry.uid < news.mailbox.uidnext);
    news.changed.retain(|entry| entry.modseq <= modseq);
    news.changed.sort_by_key(|entry| entry.uid);
    news.expunged.retain(|point| point.modseq <= modseq);
    Ok(())
}

/// The last element, if there may be more behind it: only full steps were read so far. A next
/// step that is empty shows that there is not.
pub(crate) fn last_of_full<T>(read: &[T]) -> Option<&T> {
    read.last().filter(|_| read.len().is_multiple_of(usize::from(READ_STEP)))
}

fn tell(session: &mut Session<'_>, news: &News) {
    let (dialect, enabled, out) = (session.dialect, session.enabled, &mut session.wire.out);
    let Some(selected) = &mut session.selected else { return };
    let before = selected.view.len();
    for uid in news.arrived.iter().filter_map(|entry| Uid::new(entry.uid)) {
        selected.view.append(uid);
    }
    if selected.view.len() > before {
        response::exists(out, selected.view.len());
        if !enabled.rev2 {
            response::recent(out, 0);
        }
    }
    selected.tell_keywords(out, &news.arrived);
    for uid in news.expunged.iter().filter_map(|point| Uid::new(point.uid)) {
        selected.view.expunge(uid);
    }
    let known: Vec<&Entry> = news
        .changed
        .iter()
        .filter(|entry| entry.uid < selected.next_uid)
        .filter(|entry| selected.told.get(&entry.uid) != Some(&entry.modseq))
        .collect();
    for entry in known {
        selected.tell_keywords(out, std::slice::from_ref(entry));
        let Some(uid) = Uid::new(entry.uid) else { continue };
        let Some(seq) = selected.view.seq(uid) else { continue };
        let mut line = FetchWriter::new(out, seq, dialect);
        if enabled.tells_uids() {
            line.uid(uid);
        }
        line.flags(&flags_of(entry), false);
        if let Some(modseq) = mod_seq(entry.modseq).filter(|_| enabled.condstore) {
            line.modseq(modseq);
        }
        line.finish();
    }
    selected.told.clear();
    selected.modseq = news.mailbox.modseq;
    selected.next_uid = news.mailbox.uidnext.max(selected.next_uid);
    if selected.view.gone().is_empty() {
        selected.whole = selected.modseq;
    }
}

fn tell_expunged(session: &mut Session<'_>) {
    let (enabled, out) = (session.enabled, &mut session.wire.out);
    let Some(selected) = &mut session.selected else { return };
    if selected.view.gone().is_empty() {
        return;
    }
    let gone = selected.view.flush();
    selected.whole = selected.modseq;
    if enabled.qresync {
        selected.has_vanished = true;
        response::vanished(out, false, &gone.uids);
        return;
    }
    for seq in gone.numbers() {
        response::expunge(out, seq);
    }
}

/// The flags of an entry as IMAP prints them.
pub(crate) fn flags_of(entry: &Entry) -> Vec<Flag> {
    let system = [
        (Flags::ANSWERED, Flag::Answered),
        (Flags::FLAGGED, Flag::Flagged),
        (Flags::DELETED, Flag::Deleted),
        (Flags::SEEN, Flag::Seen),
        (Flags::DRAFT, Flag::Draft),
    ];
    let system = system.into_iter().filter(|(bit, _)| entry.flags.has(*bit)).map(|(_, flag)| flag);
    let keywords = entry.keywords.iter().filter_map(|word| Some(Flag::Keyword(Keyword::parse(word)?)));
    system.chain(keywords).collect()
}

/// Flags as the mailstore keeps them.
pub(crate) fn to_store(flags: &[Flag]) -> (Flags, Keywords) {
    let mut bits = Flags::NONE;
    let mut words = Vec::new();
    for flag in flags {
        match flag {
            Flag::Answered => bits = bits.with(Flags::ANSWERED),
            Flag::Flagged => bits = bits.with(Flags::FLAGGED),
            Flag::Deleted => bits = bits.with(Flags::DELETED),
            Flag::Seen => bits = bits.with(Flags::SEEN),
            Flag::Draft => bits = bits.with(Flags::DRAFT),
            Flag::Keyword(keyword) => words.push(keyword.as_str()),
        }
    }
    (bits, Keywords::new(words))
}

/// Reads the entries of a set in steps: many from the mailbox's version, few from the store.
pub(crate) struct Reader {
    id: MailboxId,
    left: UidSet,
    source: Source,
}

enum Source {
    Unknown,
    Store,
    /// With the UID from which on is to be read; `None` at the end.
    Version(Arc<Version>, Option<u32>),
}

impl Reader {
    pub(crate) fn new(id: MailboxId, uids: UidSet) -> Self {
        Self { id, left: uids, source: Source::Unknown }
    }

    /// The next entries; what is gone is left out. `None` at the end.
    pub(crate) async fn step(&mut self, session: &Session<'_>) -> Result<Option<Vec<Entry>>, Failure> {
        if matches!(self.source, Source::Unknown) {
            let versions = &session.services.versions;
            self.source = if !versions.keeps(self.left.len()) {
                Source::Store
            } else if let Some((_, version)) = versions.current(session, self.id).await? {
                Source::Version(version, Some(0))
            } else {
                return Ok(None);
            };
        }
        match &mut self.source {
            Source::Version(version, next) => Ok(of_version(version, next, &self.left)),
            Source::Unknown | Source::Store => self.of_store(session).await,
        }
    }

    async fn of_store(&mut self, session: &Session<'_>) -> Result<Option<Vec<Entry>>, Failure> {
        let runs: Vec<(u32, u32)> = self
            .left
            .ranges()
            .take(usize::from(READ_STEP))
            .map(|(first, last)| (first.get(), last.get()))
            .collect();
        let Some((_, end)) = runs.last().copied() else { return Ok(None) };
        let id = self.id;
        let entries = session.read("imap.entries", move |tx| read_runs(tx, id, &runs)).await?;
        let is_full = entries.len() >= usize::from(READ_STEP);
        let reached = entries.last().filter(|_| is_full).map_or(end, |entry| entry.uid);
        if let (Some(first), Some(reached)) = (Uid::new(1), Uid::new(reached)) {
            self.left = self.left.difference(&UidSet::from_ranges([(first, reached)]));
        }
        Ok(Some(entries))
    }
}

/// Those of the next entries that are wanted, which may be none.
fn of_version(version: &Version, next: &mut Option<u32>, wanted: &UidSet) -> Option<Vec<Entry>> {
    let some = version.some_from((*next)?);
    *next = some.last()?.uid.checked_add(1);
    let is_wanted = |entry: &&Entry| Uid::new(entry.uid).is_some_and(|uid| wanted.contains(uid));
    Some(some.iter().filter(is_wanted).cloned().collect())
}

fn read_runs(tx: &mut AccountTx<'_>, id: MailboxId, runs: &[(u32, u32)]) -> Result<Vec<Entry>, StoreError> {
    let mut found = Vec::new();
    for run in runs {
        let left = READ_STEP.saturating_sub(u16::try_from(found.len()).unwrap_or(READ_STEP));
        if left == 0 {
            break;
        }
        found.extend(entry::within(tx, id, *run, left)?);
    }
    Ok(found)
}

/// UIDs in steps that a closure may change.
pub(crate) fn steps(uids: &UidSet) -> Vec<Vec<u32>> {
    steps_of(uids, entry::STEP)
}

/// UIDs in steps of so many.
pub(crate) fn steps_of(uids: &UidSet, step: u16) -> Vec<Vec<u32>> {
    let all: Vec<u32> = uids.iter().map(Uid::get).collect();
    all.chunks(usize::from(step)).map(<[u32]>::to_vec).collect()
}
