//! The open mailbox: what the client has been told of it, and what it must be told next.
//!
//! Invariants:
//! - what was told and what is there come together only in [`sync`]; EXPUNGE waits in the
//!   view until it may be told;
//! - a step of reading that sees newer changes than the mailbox row did tells them twice at
//!   most, and misses none.

use std::collections::{BTreeSet, HashMap};

use hikyaku_imap_proto::response::{self, FetchWriter, StatusResponse};
use hikyaku_imap_proto::table::Expunge;
use hikyaku_imap_proto::{Flag, Keyword, Uid, UidSet, View};
use hikyaku_mailstore::entry::{self, Tombstone};
use hikyaku_mailstore::{Entry, Flags, Keywords, Mailbox, MailboxId, mailbox};
use hikyaku_store::Watch;

use crate::session::{Failure, Session};

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
    /// The lowest UID that is not in the view.
    pub(crate) next_uid: u32,
    /// Expunges up to here are known.
    expunged: Tombstone,
    /// What the client knows of this session's own changes: UID to modseq.
    told: HashMap<u32, i64>,
}

/// What [`open`] found beside the view.
pub(crate) struct Opened {
    pub(crate) selected: Selected,
    pub(crate) mailbox: Mailbox,
    pub(crate) first_unseen: Option<Uid>,
    pub(crate) keywords: Vec<Flag>,
}

/// Reads a mailbox into a view.
pub(crate) async fn open(session: &Session<'_>, id: MailboxId, read_only: bool) -> Result<Opened, Failure> {
    let watch = session.services.store.hints().watch(session.account()?.home.account);
    let found = session.read("imap.select", move |tx| mailbox::mailbox(tx, id)).await?;
    let mailbox = found.ok_or_else(StatusResponse::no_such_mailbox)?;
    let mut uids = Vec::with_capacity(mailbox.messages as usize);
    let mut first_unseen = None;
    let mut words = BTreeSet::new();
    let mut last = 0;
    loop {
        let step = entries(session, id, last).await?;
        let is_last = step.len() < usize::from(READ_STEP);
        for entry in &step {
            last = entry.uid;
            uids.extend(Uid::new(entry.uid));
            if first_unseen.is_none() && !entry.flags.has(Flags::SEEN) {
                first_unseen = Uid::new(entry.uid);
            }
            if words.len() < MOST_KEYWORDS {
                words.extend(entry.keywords.iter().map(str::to_owned));
            }
        }
        if is_last {
            break;
        }
    }
    let selected = Selected {
        id,
        read_only,
        view: uids.into_iter().collect(),
        watch,
        modseq: mailbox.modseq,
        next_uid: mailbox.uidnext.max(last + 1),
        expunged: Tombstone { modseq: mailbox.modseq, uid: u32::MAX },
        told: HashMap::new(),
    };
    let keywords = words.iter().filter_map(|word| Some(Flag::Keyword(Keyword::parse(word)?))).collect();
    Ok(Opened { selected, mailbox, first_unseen, keywords })
}

async fn entries(session: &Session<'_>, id: MailboxId, after: u32) -> Result<Vec<Entry>, Failure> {
    session.read("imap.entries", move |tx| entry::entries(tx, id, after, READ_STEP)).await
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
}

/// Tells the client what changed in the open mailbox. False if the mailbox is gone.
pub(crate) async fn sync(session: &mut Session<'_>, expunge: Expunge) -> Result<bool, Failure> {
    let Some(selected) = &session.selected else { return Ok(true) };
    let (id, modseq, next_uid, buried) = (selected.id, selected.modseq, selected.next_uid, selected.expunged);
    let Some(row) = session.read("imap.sync", move |tx| mailbox::mailbox(tx, id)).await? else {
        return Ok(false);
    };
    if row.modseq != modseq {
        let arrived = arrived(session, id, next_uid).await?;
        let changed = changed(session, id, modseq).await?;
        let expunged = expunged(session, id, buried).await?;
        tell(session, &row, &arrived, &changed, &expunged);
    }
    if expunge == Expunge::May {
        tell_expunged(session);
    }
    session.wire.relieve().await?;
    Ok(true)
}

async fn arrived(session: &Session<'_>, id: MailboxId, next_uid: u32) -> Result<Vec<u32>, Failure> {
    let mut uids: Vec<u32> = Vec::new();
    loop {
        let after = uids.last().copied().unwrap_or(next_uid.saturating_sub(1));
        let step = entries(session, id, after).await?;
        let is_last = step.len() < usize::from(READ_STEP);
        uids.extend(step.iter().map(|entry| entry.uid));
        if is_last {
            return Ok(uids);
        }
    }
}

/// One change has at most [`entry::STEP`] entries, so a step always gets past it; the
/// change that a step breaks off is read again.
async fn changed(session: &Session<'_>, id: MailboxId, since: i64) -> Result<Vec<Entry>, Failure> {
    let mut found: Vec<Entry> = Vec::new();
    let mut since = since;
    loop {
        let step =
            session.read("imap.changed", move |tx| entry::changed_since(tx, id, since, READ_STEP)).await?;
        let is_last = step.len() < usize::from(READ_STEP);
        since = step.last().map_or(since, |entry| entry.modseq - 1);
        found.extend(step);
        if is_last {
            found.sort_by_key(|entry| (entry.uid, entry.modseq));
            found.dedup_by_key(|entry| (entry.uid, entry.modseq));
            return Ok(found);
        }
    }
}

async fn expunged(session: &Session<'_>, id: MailboxId, since: Tombstone) -> Result<Vec<Tombstone>, Failure> {
    let mut found: Vec<Tombstone> = Vec::new();
    loop {
        let after = found.last().copied().unwrap_or(since);
        let step =
            session.read("imap.expunged", move |tx| entry::expunged_since(tx, id, after, READ_STEP)).await?;
        let is_last = step.len() < usize::from(READ_STEP);
        found.extend(step);
        if is_last {
            return Ok(found);
        }
    }
}

fn tell(
    session: &mut Session<'_>,
    row: &Mailbox,
    arrived: &[u32],
    changed: &[Entry],
    expunged: &[Tombstone],
) {
    let (dialect, out) = (session.dialect, &mut session.wire.out);
    let Some(selected) = &mut session.selected else { return };
    let before = selected.view.len();
    for uid in arrived.iter().filter_map(|uid| Uid::new(*uid)) {
        selected.view.append(uid);
    }
    if selected.view.len() > before {
        response::exists(out, selected.view.len());
        response::recent(out, 0);
    }
    for tombstone in expunged {
        if let Some(uid) = Uid::new(tombstone.uid) {
            selected.view.expunge(uid);
        }
    }
    for entry in changed.iter().filter(|entry| entry.uid < selected.next_uid) {
        if selected.told.get(&entry.uid) == Some(&entry.modseq) {
            continue;
        }
        if let Some(seq) = Uid::new(entry.uid).and_then(|uid| selected.view.seq(uid)) {
            let mut line = FetchWriter::new(out, seq, dialect);
            line.flags(&flags_of(entry), false);
            line.finish();
        }
    }
    selected.told.clear();
    selected.modseq = row.modseq;
    selected.next_uid = arrived.last().map_or(selected.next_uid, |uid| uid + 1).max(selected.next_uid);
    selected.expunged = expunged.last().copied().unwrap_or(selected.expunged);
}

fn tell_expunged(session: &mut Session<'_>) {
    let Some(selected) = &mut session.selected else { return };
    if selected.view.gone().is_empty() {
        return;
    }
    for seq in selected.view.flush().numbers() {
        response::expunge(&mut session.wire.out, seq);
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

/// UIDs in steps that a closure may change.
pub(crate) fn steps(uids: &UidSet) -> Vec<Vec<u32>> {
    let all: Vec<u32> = uids.iter().map(Uid::get).collect();
    all.chunks(usize::from(entry::STEP)).map(<[u32]>::to_vec).collect()
}
