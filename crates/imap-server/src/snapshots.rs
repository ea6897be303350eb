//! Snapshots as IMAP uses them: a large mailbox that is not in memory is read from its
//! snapshot, and brought up to date by what happened since.
//!
//! They are made behind the sessions, by the [`Packer`](crate::Packer), after a mailbox was read
//! whose snapshot was missing, had holes, or was far behind. So what they cost is in proportion
//! to what reading costs without them, and a mailbox that nobody opens has none.

use hikyaku_mailstore::snapshot::{self, NewPart, Part};
use hikyaku_mailstore::{Entry, Mailbox, MailboxId};
use hikyaku_store::{AccountHome, Store, StoreError};

use crate::packs::scope;
use crate::session::{Failure, Session};
use crate::versions::LANES;

/// Changes (or expunges) since a snapshot up to which it is of use: each is looked up singly,
/// and may lie in a page of its own.
const MOST_CHANGES: u16 = 500;
/// Changes from which on a snapshot is made anew.
const MANY_CHANGES: u64 = 100;
/// Parts that one closure reads.
const READ_STEP: usize = 8;

/// What was read of a snapshot.
#[derive(Debug)]
pub(crate) struct Recalled {
    /// What happened up to here is in all parts.
    pub(crate) as_of: i64,
    /// Many changes came after it.
    pub(crate) is_old: bool,
    /// What could be read, by ascending UID.
    pub(crate) parts: Vec<(Part, Vec<Entry>)>,
}

impl Recalled {
    /// Reads the snapshot of a mailbox, if it has one that is of use.
    pub(crate) async fn read(session: &Session<'_>, row: &Mailbox) -> Result<Option<Self>, Failure> {
        let mailbox = row.clone();
        let found =
            session.read("imap.snapshot", move |tx| snapshot::snapshot(tx, &mailbox, MOST_CHANGES)).await?;
        let Some(found) = found.filter(|found| found.changes < u64::from(MOST_CHANGES)) else {
            return Ok(None);
        };
        let mut lanes = [&[][..]; LANES];
        let share = found.parts.len().div_ceil(LANES).max(1);
        lanes.iter_mut().zip(found.parts.chunks(share)).for_each(|(lane, parts)| *lane = parts);
        let [one, two, three, four] = lanes.map(|parts| read_lane(session, row.id, parts));
        let (one, two, three, four) = tokio::try_join!(one, two, three, four)?;
        let parts = [one, two, three, four].into_iter().flatten().collect();
        Ok(Some(Self { as_of: found.as_of, is_old: found.changes >= MANY_CHANGES, parts }))
    }
}

async fn read_lane(
    session: &Session<'_>,
    id: MailboxId,
    parts: &[Part],
) -> Result<Vec<(Part, Vec<Entry>)>, Failure> {
    let mut all = Vec::with_capacity(parts.len());
    for step in parts.chunks(READ_STEP) {
        let step = step.to_vec();
        let read = session.read("imap.snapshot_parts", move |tx| {
            let mut read = Vec::with_capacity(step.len());
            for part in &step {
                read.extend(snapshot::read(tx, id, part)?.map(|entries| (*part, entries)));
            }
            Ok::<_, StoreError>(read)
        });
        all.extend(read.await?);
    }
    Ok(all)
}

/// Makes the snapshot of a mailbox, in parts of so many entries (at most [`snapshot::MOST`]).
/// Safe to repeat, and to break off anywhere.
///
/// # Errors
/// [`StoreError`], temporary: what is done stays done.
pub async fn snapshot_mailbox(
    store: &Store,
    home: AccountHome,
    mailbox: MailboxId,
    size: u16,
) -> Result<(), StoreError> {
    let mut next = 1;
    loop {
        let wanted = store.read(scope(home.shard), "imap.snapshot_wanted", move |tx| {
            snapshot::wanted(&mut tx.account(home.tenant, home.account), mailbox, next, size)
        });
        let Some(wanted) = wanted.await? else { return Ok(()) };
        let new = NewPart::of(&wanted);
        let kept = store.write(scope(home.shard), "imap.snapshot_keep", move |tx| {
            snapshot::keep(&mut tx.account(home.tenant, home.account), mailbox, &new)
        });
        kept.await?;
        match wanted.entries.last() {
            Some(last) if !wanted.is_last => next = last.uid.saturating_add(1),
            _ => return Ok(()),
        }
    }
}
