//! Entries of large mailboxes in memory, as immutable versions that sessions share.
//!
//! A client that opens a mailbox or asks for all of its flags makes us look at every entry.
//! What was read once is kept, and brought up to date by what changed since. A command takes
//! the version of its moment and works on that; the next command takes another. What a client
//! was told is no part of it: that is the session's view.
//!
//! Invariants:
//! - a version has all that happened up to its modseq; of what is newer it may have parts,
//!   since it is read in steps, and the sync tells those again;
//! - [`Versions::current`] is never older than the mailbox was when it was asked;
//! - memory is bounded: what was used least recently goes first, and mailboxes that one step
//!   reads are not kept at all.
//!
//! A large mailbox that is not kept is read from its snapshot (`snapshots.rs`), and only what
//! came after that from its entries.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use hikyaku_mailstore::entry;
use hikyaku_mailstore::{Entry, Mailbox, MailboxId, mailbox};
use hikyaku_types::AccountId;
use tokio::sync::Mutex as TurnMutex;

use crate::selected::{News, news};
use crate::session::{Failure, Session};
use crate::snapshots::Recalled;

/// Entries that share one allocation; a change copies so many.
const CHUNK: usize = 500;

/// Entries that one closure reads: no answer is written between the steps.
const READ_STEP: u16 = 1_000;

/// Parts of a large mailbox that are read side by side.
pub(crate) const LANES: usize = 4;

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Mailboxes of fewer messages are read anew each time.
    pub messages_from: u32,
    /// Entries of all mailboxes together, about 80 bytes each.
    pub entries: usize,
    /// Mailboxes of fewer messages have no snapshot: they are read in some milliseconds.
    pub snapshots_from: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { messages_from: 250, entries: 1_000_000, snapshots_from: 4_000 }
    }
}

/// The newest versions of mailboxes.
#[derive(Debug)]
pub struct Versions {
    bounds: Bounds,
    kept: Mutex<Kept>,
}

type Key = (AccountId, MailboxId);

#[derive(Debug, Default)]
struct Kept {
    mailboxes: HashMap<Key, Place>,
    entries: usize,
    /// Counts uses.
    now: u64,
}

#[derive(Debug)]
struct Place {
    /// Whoever holds it reads the mailbox; others wait for what is read then.
    turn: Arc<TurnMutex<()>>,
    version: Option<Arc<Version>>,
    used: u64,
}

/// The entries of a mailbox at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Version {
    modseq: i64,
    /// The lowest UID that may come.
    next_uid: u32,
    /// By ascending UID; none is empty.
    chunks: Vec<Arc<Vec<Entry>>>,
    len: usize,
}

impl Versions {
    /// Nothing is kept yet.
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, kept: Mutex::default() }
    }

    /// Is a mailbox of so many messages kept?
    pub(crate) fn keeps(&self, messages: u64) -> bool {
        messages >= u64::from(self.bounds.messages_from)
    }

    /// The mailbox as it is now, with its row; `None` if it is gone.
    pub(crate) async fn current(
        &self,
        session: &Session<'_>,
        id: MailboxId,
    ) -> Result<Option<(Mailbox, Arc<Version>)>, Failure> {
        let found = session.read("imap.mailbox", move |tx| mailbox::mailbox(tx, id)).await?;
        let Some(row) = found else { return Ok(None) };
        if !self.keeps(u64::from(row.messages)) {
            let version = Version::read_entries(session, &row).await?;
            return Ok(Some((row, Arc::new(version))));
        }
        let key = (session.account()?.home.account, id);
        if let Some(version) = self.kept(key).1.filter(|version| version.modseq >= row.modseq) {
            return Ok(Some((row, version)));
        }
        let turn = self.kept(key).0;
        let _turn = turn.lock().await;
        let before = match self.kept(key).1 {
            Some(version) if version.modseq >= row.modseq => return Ok(Some((row, version))),
            // Else its expunges are forgotten.
            Some(version) if version.modseq >= row.tombstones_from => Some(version),
            _ => self.recalled(session, &row).await?.map(Arc::new),
        };
        let version = match before {
            Some(version) => match news(session, id, version.modseq, version.next_uid).await? {
                Some(news) if version.modseq >= news.mailbox.tombstones_from => {
                    Version::clone(&version).with(news)
                }
                Some(news) => Version::read_entries(session, &news.mailbox).await?,
                None => return Ok(None),
            },
            None => Version::read_entries(session, &row).await?,
        };
        let version = Arc::new(version);
        self.keep(key, Arc::clone(&version));
        Ok(Some((row, version)))
    }

    /// The mailbox as its snapshot has it, at an older modseq. Asks for a snapshot if there is
    /// none, or a better one could be made.
    async fn recalled(&self, session: &Session<'_>, row: &Mailbox) -> Result<Option<Version>, Failure> {
        if row.messages < self.bounds.snapshots_from {
            return Ok(None);
        }
        let (version, is_good) = match Recalled::read(session, row).await? {
            Some(snapshot) => {
                let is_old = snapshot.is_old;
                let (version, added) = Version::of(session, row, snapshot).await?;
                (Some(version), !is_old && added < self.bounds.snapshots_from as usize)
            }
            None => (None, false),
        };
        if !is_good {
            session.services.packer.snapshot(session.account()?.home, row.id);
        }
        Ok(version)
    }

    /// What is there, which counts as a use.
    fn kept(&self, key: Key) -> (Arc<TurnMutex<()>>, Option<Arc<Version>>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.now += 1;
        let used = kept.now;
        let place =
            kept.mailboxes.entry(key).or_insert_with(|| Place { turn: Arc::default(), version: None, used });
        place.used = used;
        (Arc::clone(&place.turn), place.version.clone())
    }

    fn keep(&self, key: Key, version: Arc<Version>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(place) = kept.mailboxes.get_mut(&key) else { return };
        let len = version.len;
        let before = place.version.replace(version).map_or(0, |version| version.len);
        kept.entries = kept.entries + len - before;
        while kept.entries > self.bounds.entries {
            kept.forget_oldest();
        }
    }
}

impl Kept {
    /// A mailbox that is larger than all may be together goes at once, too.
    fn forget_oldest(&mut self) {
        let oldest = self.mailboxes.iter().min_by_key(|(_, place)| place.used).map(|(key, _)| *key);
        let gone = oldest.and_then(|key| self.mailboxes.remove(&key)).and_then(|place| place.version);
        self.entries -= gone.map_or(0, |version| version.len);
    }
}

impl Version {
    /// What a snapshot has, and between and behind its parts the entries, which are counted.
    async fn of(session: &Session<'_>, row: &Mailbox, snapshot: Recalled) -> Result<(Self, usize), Failure> {
        let mut version = Self { modseq: snapshot.as_of, ..Self::default() };
        let (mut next, mut added) = (1, 0);
        for (part, entries) in snapshot.parts {
            if next < part.first {
                added += version.add(session, row.id, (next, part.first - 1)).await?;
            }
            version.append(entries);
            next = part.last.saturating_add(1);
        }
        added += version.add(session, row.id, (next, u32::MAX)).await?;
        version.close(row);
        Ok((version, added))
    }

    /// Reads the entries behind those that are there; says how many.
    async fn add(
        &mut self,
        session: &Session<'_>,
        id: MailboxId,
        lane: (u32, u32),
    ) -> Result<usize, Failure> {
        let before = self.len;
        for step in read_lane(session, id, lane).await? {
            self.append(step);
        }
        Ok(self.len - before)
    }

    /// All is there that is to be read.
    fn close(&mut self, row: &Mailbox) {
        let last = self.entries().last().map_or(0, |entry| entry.uid);
        self.next_uid = row.uidnext.max(last.saturating_add(1));
    }

    /// Reads the whole mailbox.
    async fn read_entries(session: &Session<'_>, row: &Mailbox) -> Result<Self, Failure> {
        let mut version = Self { modseq: row.modseq, ..Self::default() };
        let lanes = lanes(row).map(|lane| read_lane(session, row.id, lane));
        let [one, two, three, four] = lanes;
        let (one, two, three, four) = tokio::try_join!(one, two, three, four)?;
        for step in [one, two, three, four].into_iter().flatten() {
            version.append(step);
        }
        version.close(row);
        Ok(version)
    }

    /// What it is after this.
    fn with(mut self, news: News) -> Self {
        for entry in news.changed {
            if let Some((chunk, at)) = self.find(entry.uid) {
                Arc::make_mut(&mut self.chunks[chunk])[at] = entry;
            }
        }
        for point in news.expunged {
            if let Some((chunk, at)) = self.find(point.uid) {
                Arc::make_mut(&mut self.chunks[chunk]).remove(at);
                self.len -= 1;
                if self.chunks[chunk].is_empty() {
                    self.chunks.remove(chunk);
                }
            }
        }
        self.next_uid = self.next_uid.max(news.mailbox.uidnext);
        self.modseq = news.mailbox.modseq;
        self.append(news.arrived);
        self
    }

    /// These are behind all that are there.
    fn append(&mut self, entries: Vec<Entry>) {
        self.len += entries.len();
        for entry in entries {
            match self.chunks.last_mut() {
                Some(chunk) if chunk.len() < CHUNK => Arc::make_mut(chunk).push(entry),
                _ => {
                    let mut chunk = Vec::with_capacity(CHUNK);
                    chunk.push(entry);
                    self.chunks.push(Arc::new(chunk));
                }
            }
        }
    }

    /// In which chunk, and where in it.
    fn find(&self, uid: u32) -> Option<(usize, usize)> {
        let chunk = self.first_chunk(uid);
        let at = self.chunks.get(chunk)?.binary_search_by_key(&uid, |entry| entry.uid).ok()?;
        Some((chunk, at))
    }

    /// The first chunk that has this UID or a higher one.
    fn first_chunk(&self, uid: u32) -> usize {
        self.chunks.partition_point(|chunk| chunk.last().is_some_and(|last| last.uid < uid))
    }

    /// The lowest UID that may come.
    pub(crate) fn next_uid(&self) -> u32 {
        self.next_uid
    }

    /// All entries, by ascending UID.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// Some entries with UIDs from `first` on, in order: at least one, if there is any.
    pub(crate) fn some_from(&self, first: u32) -> &[Entry] {
        let Some(chunk) = self.chunks.get(self.first_chunk(first)) else { return &[] };
        chunk.get(chunk.partition_point(|entry| entry.uid < first)..).unwrap_or_default()
    }
}

/// The UIDs of a mailbox in parts that are read side by side, from and to: a mailbox that was
/// not read for long is read at the pace of the disk, page by page.
fn lanes(row: &Mailbox) -> [(u32, u32); LANES] {
    if row.messages <= u32::from(READ_STEP) {
        return [(1, u32::MAX), (0, 0), (0, 0), (0, 0)];
    }
    let quarter = row.uidnext / 4;
    let ends = [quarter, quarter * 2, quarter * 3];
    [(1, ends[0]), (ends[0] + 1, ends[1]), (ends[1] + 1, ends[2]), (ends[2] + 1, u32::MAX)]
}

/// What is there of a part, in steps.
async fn read_lane(
    session: &Session<'_>,
    id: MailboxId,
    (first, last): (u32, u32),
) -> Result<Vec<Vec<Entry>>, Failure> {
    let (mut steps, mut next) = (Vec::new(), first);
    while next <= last && last > 0 {
        let range = (next, last);
        let step = session.read("imap.entries", move |tx| entry::within(tx, id, range, READ_STEP)).await?;
        let is_last = step.len() < usize::from(READ_STEP);
        next = step.last().map_or(next, |entry| entry.uid.saturating_add(1));
        steps.push(step);
        if is_last {
            break;
        }
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use hikyaku_mailstore::entry::Point;
    use hikyaku_mailstore::{Flags, Keywords, Role};
    use hikyaku_types::{EmailId, Timestamp};
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    use super::*;

    fn entry(uid: u32, modseq: i64) -> Entry {
        Entry {
            uid,
            email: EmailId::from_i64(i64::from(uid)).unwrap(),
            flags: Flags::NONE,
            keywords: Keywords::default(),
            modseq,
            saved_at: Timestamp::from_secs(0),
            size: 1,
        }
    }

    fn row(modseq: i64, uidnext: u32) -> Mailbox {
        Mailbox {
            id: MailboxId::INBOX,
            parent: MailboxId::ROOT,
            name: "INBOX".into(),
            role: Role::Inbox,
            uidvalidity: 1,
            uidnext,
            modseq,
            messages: 0,
            unseen: 0,
            bytes: 0,
            tombstones_from: 0,
            subscribed: true,
        }
    }

    proptest! {
        /// Each step: so many arrive, these change, these go.
        #[test]
        fn a_version_is_what_happened(
            steps in vec((0u32..1_200, btree_set(1u32..3_000, 0..40), btree_set(1u32..3_000, 0..900)), 1..8),
        ) {
            let (mut version, mut model) = (Version { next_uid: 1, ..Version::default() }, BTreeMap::new());
            for (step, (arriving, changing, going)) in steps.into_iter().enumerate() {
                let (modseq, from) = (step as i64 + 1, version.next_uid);
                let arrived: Vec<Entry> = (from..from + arriving).map(|uid| entry(uid, modseq)).collect();
                let changed: Vec<Entry> = changing
                    .into_iter()
                    .filter(|uid| model.contains_key(uid) && !going.contains(uid))
                    .map(|uid| entry(uid, modseq))
                    .collect();
                let expunged: Vec<Point> = going.iter().map(|uid| Point { modseq, uid: *uid }).collect();
                model.extend(changed.iter().map(|entry| (entry.uid, modseq)));
                model.retain(|uid, _| !going.contains(uid));
                model.extend(arrived.iter().map(|entry| (entry.uid, modseq)));
                let before = version.clone();
                let known: Vec<u32> = before.entries().map(|entry| entry.uid).collect();
                version = version.with(News { mailbox: row(modseq, from + arriving), arrived, changed, expunged });
                prop_assert!(before.entries().map(|entry| entry.uid).eq(known), "what others hold stays");
            }
            prop_assert!(version.entries().map(|entry| (entry.uid, entry.modseq)).eq(model.clone()));
            prop_assert_eq!(version.len, model.len());
            prop_assert!(version.chunks.iter().all(|chunk| (1..=CHUNK).contains(&chunk.len())));
            let (mut read, mut next) = (Vec::new(), 0);
            while let Some(last) = version.some_from(next).last() {
                read.extend(version.some_from(next).iter().map(|entry| entry.uid));
                next = last.uid + 1;
            }
            prop_assert!(read.iter().eq(model.keys()));
        }
    }

    #[test]
    fn what_was_not_used_for_long_is_forgotten() {
        let versions = Versions::new(Bounds { messages_from: 1, entries: 10, snapshots_from: 1 });
        let key = |account| (AccountId::from_i64(account).unwrap(), MailboxId::INBOX);
        let of = |len: u32| {
            let mut version = Version::default();
            version.append((1..=len).map(|uid| entry(uid, 1)).collect());
            Arc::new(version)
        };
        let keep = |account, len| {
            versions.kept(key(account));
            versions.keep(key(account), of(len));
        };
        let len = |account| versions.kept(key(account)).1.map(|version| version.len);
        keep(1, 4);
        keep(2, 4);
        assert_eq!(len(1), Some(4), "and it is used now");
        keep(3, 4);
        assert_eq!((len(1), len(2), len(3)), (Some(4), None, Some(4)));
        keep(1, 6);
        assert_eq!((len(1), len(3)), (Some(6), Some(4)), "ten in all");
        keep(4, 11);
        assert_eq!((len(1), len(3), len(4)), (None, None, None), "larger than all may be");
    }
}
