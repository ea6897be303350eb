//! Snapshots: the entries of a large mailbox as they were at a modseq, some thousand to a row.
//!
//! A client that opens a mailbox that nobody has had open for long makes us read every entry,
//! row by row. A snapshot has them close together, column by column, compressed; what has
//! happened since its modseq is read from the entries, as a session does that is told news.
//!
//! Each part speaks for itself: "these are the entries with UIDs from `first` to `last` that
//! were there at modseq `as_of`". It may have some of what came later; what changed after
//! `as_of` is told again to whoever uses it. So parts of different moments go together, from
//! the oldest moment on, and who makes them needs no lock.
//!
//! Invariants:
//! - a part never lacks what had happened up to its `as_of`;
//! - snapshots only repeat what entries say: without one the answer is the same, and later;
//! - parts from before forgotten tombstones are of no use, and are removed with those
//!   ([`forget_before`]): so what was expunged does not stay in a snapshot for longer.

use std::collections::HashMap;

use hikyaku_store::{AccountSql, AccountTx, StoreError, decode, encode};
use hikyaku_types::{EmailId, Timestamp};

use crate::entry::{self, Entry};
use crate::flags::{Flags, Keywords};
use crate::mailbox::{self, Mailbox, MailboxId};
use crate::varint::{put, put_signed, take, take_signed};

/// Most entries of a part.
pub const MOST: u16 = 4_000;
/// Parts that one closure removes.
const FORGET_STEP: i64 = 50;
/// Parts that one closure looks at: more have a mailbox of 4,000,000 messages.
const MOST_PARTS: i64 = 1_000;
/// The stored form. A part of another form is not used, and made anew.
const VERSION: u8 = 1;

const PARTS: AccountSql = AccountSql::new(
    "SELECT first_uid, last_uid, as_of FROM snapshot WHERE account = $1 AND mailbox = $2
     ORDER BY last_uid LIMIT $3",
);
const CHANGES: AccountSql = AccountSql::new(
    "SELECT (SELECT COUNT(*) FROM
            (SELECT 1 FROM entry WHERE account = $1 AND mailbox = $2 AND changed > $3 LIMIT $4) c)
        + (SELECT COUNT(*) FROM
            (SELECT 1 FROM tombstone WHERE account = $1 AND mailbox = $2 AND modseq > $3 LIMIT $4) t)",
);
const ONE: AccountSql = AccountSql::new(
    "SELECT bytes FROM snapshot
     WHERE account = $1 AND mailbox = $2 AND last_uid = $3 AND first_uid = $4 AND as_of = $5",
);
const MAKE_ROOM: AccountSql = AccountSql::new(
    "DELETE FROM snapshot WHERE account = $1 AND mailbox = $2 AND last_uid >= $3 AND first_uid <= $4",
);
const INSERT: AccountSql = AccountSql::new(
    "INSERT INTO snapshot (account, mailbox, last_uid, first_uid, as_of, bytes) VALUES ($1, $2, $3, $4, $5, $6)",
);
const SOME: AccountSql =
    AccountSql::new("SELECT last_uid FROM snapshot WHERE account = $1 AND mailbox = $2 LIMIT $3");
const REMOVE: AccountSql =
    AccountSql::new("DELETE FROM snapshot WHERE account = $1 AND mailbox = $2 AND last_uid = $3");
const FORGET_BEFORE: AccountSql =
    AccountSql::new("DELETE FROM snapshot WHERE account = $1 AND mailbox = $2 AND as_of < $3");

/// A part of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The first UID that it speaks of, whether that is there or not.
    pub first: u32,
    /// The last one.
    pub last: u32,
    /// The modseq of the mailbox up to which it has what happened.
    pub as_of: i64,
}

/// What there is of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// By ascending UID; none of them overlap.
    pub parts: Vec<Part>,
    /// What happened up to here is in all of them.
    pub as_of: i64,
    /// Changes and expunges after that, counted up to the number that was asked for.
    pub changes: u64,
}

/// The snapshot of a mailbox, if it is of use: not older than what is known of its expunges.
/// Changes since then are counted up to `most` of each kind.
///
/// # Errors
/// [`StoreError`].
pub fn snapshot(
    tx: &mut AccountTx<'_>,
    mailbox: &Mailbox,
    most: u16,
) -> Result<Option<Snapshot>, StoreError> {
    let mut parts = tx.rows(PARTS, &[mailbox.id.into(), MOST_PARTS.into()], |row| {
        Ok(Part { first: row.get(0)?, last: row.get(1)?, as_of: row.get(2)? })
    })?;
    let mut free = 1;
    parts.retain(|part| {
        let is_behind = part.first >= free && part.first <= part.last;
        if is_behind {
            free = part.last.saturating_add(1);
        }
        is_behind
    });
    let oldest = parts.iter().map(|part| part.as_of).min();
    let Some(as_of) = oldest.filter(|as_of| *as_of >= mailbox.tombstones_from) else { return Ok(None) };
    let params = [mailbox.id.into(), as_of.into(), most.into()];
    let changes = tx.row(CHANGES, &params, |row| row.get(0))?.unwrap_or_default();
    Ok(Some(Snapshot { parts, as_of, changes }))
}

/// The entries of a part, by ascending UID. `None` if it is gone, or cannot be read: another one
/// may have come in its place meanwhile, also an older one that was late.
///
/// # Errors
/// [`StoreError`].
pub fn read(
    tx: &mut AccountTx<'_>,
    mailbox: MailboxId,
    part: &Part,
) -> Result<Option<Vec<Entry>>, StoreError> {
    let params = [mailbox.into(), part.last.into(), part.first.into(), part.as_of.into()];
    let bytes = tx.row(ONE, &params, |row| row.get::<Vec<u8>>(0))?;
    Ok(bytes.and_then(|bytes| unpacked(&bytes)))
}

/// What the next part is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The first UID that it speaks of.
    pub first: u32,
    /// By ascending UID.
    pub entries: Vec<Entry>,
    as_of: i64,
    /// There is nothing behind these entries.
    pub is_last: bool,
}

/// The entries of the part that begins with UID `first`: at most `size` (at most [`MOST`]).
/// `None` if the mailbox is gone.
///
/// # Errors
/// [`StoreError`].
pub fn wanted(
    tx: &mut AccountTx<'_>,
    id: MailboxId,
    first: u32,
    size: u16,
) -> Result<Option<Wanted>, StoreError> {
    // Before the entries: what happens meanwhile comes after `as_of`.
    let Some(row) = mailbox::mailbox(tx, id)? else { return Ok(None) };
    let size = size.min(MOST);
    let entries = entry::entries(tx, id, first.saturating_sub(1), size)?;
    let is_last = entries.len() < usize::from(size);
    Ok(Some(Wanted { first, entries, as_of: row.modseq, is_last }))
}

/// A part that is ready to be kept.
#[derive(Debug, Clone)]
pub struct NewPart {
    part: Part,
    bytes: Vec<u8>,
    is_empty: bool,
    is_last: bool,
}

impl NewPart {
    /// The part of what was [`wanted`]. This costs CPU, so it is done before a transaction.
    pub fn of(wanted: &Wanted) -> Self {
        let Wanted { first, ref entries, as_of, is_last } = *wanted;
        let last = entries.last().map_or(first, |entry| entry.uid);
        let part = Part { first, last, as_of };
        Self { part, bytes: packed(entries), is_empty: entries.is_empty(), is_last }
    }
}

/// Keeps a part in place of those that it overlaps, and of all behind it if it is the last;
/// nothing happens if the mailbox is gone.
///
/// # Errors
/// [`StoreError`].
pub fn keep(tx: &mut AccountTx<'_>, id: MailboxId, new: &NewPart) -> Result<(), StoreError> {
    // Under the account's lock, so that it cannot come behind what removes the mailbox.
    if !mailbox::lock(tx)? {
        return Ok(());
    }
    let Some(row) = mailbox::mailbox(tx, id)? else { return Ok(()) };
    let Part { first, last, as_of } = new.part;
    if as_of < row.tombstones_from {
        return Ok(());
    }
    let room = if new.is_last { u32::MAX } else { last };
    tx.execute(MAKE_ROOM, &[id.into(), first.into(), room.into()])?;
    if !new.is_empty {
        let params = [id.into(), last.into(), first.into(), as_of.into(), (&new.bytes).into()];
        tx.execute(INSERT, &params)?;
    }
    Ok(())
}

/// Removes what is older than this modseq: expunges up to it are forgotten.
pub(crate) fn forget_before(
    tx: &mut AccountTx<'_>,
    mailbox: MailboxId,
    modseq: i64,
) -> Result<(), StoreError> {
    tx.execute(FORGET_BEFORE, &[mailbox.into(), modseq.into()]).map(drop)
}

/// One step of removing the snapshot of a mailbox. True when nothing of it is left.
pub(crate) fn forget(tx: &mut AccountTx<'_>, mailbox: MailboxId) -> Result<bool, StoreError> {
    let some = tx.rows(SOME, &[mailbox.into(), FORGET_STEP.into()], |row| row.get::<u32>(0))?;
    for last_uid in &some {
        tx.execute(REMOVE, &[mailbox.into(), (*last_uid).into()])?;
    }
    Ok(some.is_empty())
}

/// The stored form: the different keywords, then the columns, each number by its distance from
/// the one before.
fn packed(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    put(&mut bytes, entries.len() as u64);
    let (mut words, mut place_of) = (Vec::new(), HashMap::new());
    let mut place = |keywords| {
        *place_of.entry(keywords).or_insert_with(|| {
            words.push(keywords);
            words.len() as i64 - 1
        })
    };
    let places: Vec<i64> = entries.iter().map(|entry| place(&entry.keywords)).collect();
    put(&mut bytes, words.len() as u64);
    for some in words {
        let text = some.to_column().unwrap_or_default();
        put(&mut bytes, text.len() as u64);
        bytes.extend_from_slice(text.as_bytes());
    }
    let mut column = |number: &dyn Fn(usize, &Entry) -> i64| {
        let mut before = 0i64;
        for (at, entry) in entries.iter().enumerate() {
            let number = number(at, entry);
            put_signed(&mut bytes, number.wrapping_sub(before));
            before = number;
        }
    };
    column(&|_, entry| i64::from(entry.uid));
    column(&|_, entry| entry.email.as_i64());
    column(&|_, entry| entry.flags.as_i64());
    column(&|at, _| places[at]);
    column(&|_, entry| entry.modseq);
    column(&|_, entry| entry.saved_at.as_millis());
    column(&|_, entry| entry.size.cast_signed());
    encode(&bytes)
}

pub(crate) fn unpacked(stored: &[u8]) -> Option<Vec<Entry>> {
    let bytes = decode(stored).ok()?;
    let mut left = bytes.strip_prefix(&[VERSION])?;
    let count = usize::try_from(take(&mut left)?).ok().filter(|count| *count <= usize::from(MOST))?;
    let mut words = Vec::new();
    for _ in 0..take(&mut left)? {
        let length = usize::try_from(take(&mut left)?).ok()?;
        let (text, behind) = left.split_at_checked(length)?;
        let text = std::str::from_utf8(text).ok()?;
        words.push(Keywords::from_column((!text.is_empty()).then_some(text)));
        left = behind;
    }
    let mut columns = [const { Vec::new() }; 7];
    for column in &mut columns {
        column.reserve_exact(count);
        let mut before = 0i64;
        for _ in 0..count {
            before = before.wrapping_add(take_signed(&mut left)?);
            column.push(before);
        }
    }
    let [uids, emails, flags, places, modseqs, saved, sizes] = &columns;
    let entry = |at: usize| {
        Some(Entry {
            uid: u32::try_from(uids[at]).ok()?,
            email: EmailId::from_i64(emails[at])?,
            flags: Flags::from_i64(flags[at]),
            keywords: words.get(usize::try_from(places[at]).ok()?)?.clone(),
            modseq: modseqs[at],
            saved_at: Timestamp::from_millis(saved[at]),
            size: sizes[at].cast_unsigned(),
        })
    };
    let entries: Option<Vec<Entry>> = (0..count).map(entry).collect();
    entries.filter(|entries| left.is_empty() && entries.is_sorted_by(|one, next| one.uid < next.uid))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    prop_compose! {
        fn entry()(
            uid in 1..u32::MAX,
            email in 1..i64::MAX,
            words in vec("[a-c$]{1,3}", 0..3),
            (flags, modseq, saved_at, size) in any::<(i64, i64, i64, u64)>(),
        ) -> Entry {
            Entry {
                uid,
                email: EmailId::from_i64(email).unwrap(),
                flags: Flags::from_i64(flags),
                keywords: Keywords::new(words.iter().map(String::as_str)),
                modseq,
                saved_at: Timestamp::from_millis(saved_at),
                size,
            }
        }
    }

    fn entries() -> impl Strategy<Value = Vec<Entry>> {
        vec(entry(), 0..60).prop_map(|mut entries| {
            entries.sort_by_key(|entry| entry.uid);
            entries.dedup_by_key(|entry| entry.uid);
            entries
        })
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_back(entries in entries()) {
            prop_assert_eq!(unpacked(&packed(&entries)), Some(entries));
        }

        #[test]
        fn damage_is_no_snapshot(entries in entries(), cut in any::<prop::sample::Index>(), bytes in vec(any::<u8>(), 0..200)) {
            let stored = packed(&entries);
            prop_assert_eq!(unpacked(&stored[..cut.index(stored.len())]), None);
            // Whatever they say, nothing breaks.
            let mut plain = vec![VERSION];
            plain.extend(bytes);
            let _ = unpacked(&encode(&plain));
        }
    }

    #[test]
    fn usual_entries_take_few_bytes() {
        let entry = |uid: u32| Entry {
            uid,
            email: EmailId::from_i64(1_000 + 7 * i64::from(uid)).unwrap(),
            flags: if uid.is_multiple_of(9) { Flags::NONE } else { Flags::SEEN },
            keywords: Keywords::default(),
            modseq: 2 * i64::from(uid),
            saved_at: Timestamp::from_secs(1_700_000_000 + 4_000 * i64::from(uid)),
            size: 3_000 + u64::from(uid * 7_919 % 5_000),
        };
        let entries: Vec<Entry> = (1..=4_000).map(entry).collect();
        let bytes = packed(&entries).len();
        assert!(bytes < 4_000 * 8, "{bytes}");
    }
}
