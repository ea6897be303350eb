//! Packs: what lists tell of neighbouring messages of a mailbox, in one place.
//!
//! Mail of one mailbox lies far apart, between that of others. A client that asks for all
//! envelopes of a mailbox would have us fetch a page for each message, and parse it. A job
//! does so once for some hundred messages and keeps the answers together, compressed. What
//! changes (flags, modseq) stays with the entries.
//!
//! Invariants:
//! - packs only repeat what emails say: without one, or with one of another version, the
//!   answer is the same, and comes later;
//! - a message never changes, so a listing stays right as long as its UID is there; of UIDs
//!   that are gone nobody asks. An expunge counts in its pack ([`expunged`]), and what is gone
//!   is taken out by a job ([`tidy`]), since nobody may keep what its owner has removed;
//! - packs of a mailbox do not overlap; new ones are made behind the others.

use std::collections::HashSet;
use std::ops::Range;

use hikyaku_store::{AccountSql, AccountTx, ServiceTx, Sql, StoreError, decode, encode};
use hikyaku_types::{AccountId, EmailId, ThreadId, Timestamp};

use crate::entry::{self, Entry};
use crate::mailbox::{self, MailboxId};
use crate::varint::{put, take};

/// Most messages of one pack.
pub const MOST: u16 = 256;
/// Packs that one closure removes.
const FORGET_STEP: i64 = 20;

const LAST: AccountSql =
    AccountSql::new("SELECT MAX(last_uid) FROM pack WHERE account = $1 AND mailbox = $2");
const OUTDATED: AccountSql = AccountSql::new(
    "SELECT first_uid, last_uid FROM pack WHERE account = $1 AND mailbox = $2 AND version <> $3
     ORDER BY last_uid LIMIT 1",
);
const FROM: AccountSql = AccountSql::new(
    "SELECT p.last_uid, b.bytes FROM pack p JOIN pack_bytes b
        ON b.account = $1 AND b.mailbox = p.mailbox AND b.last_uid = p.last_uid
     WHERE p.account = $1 AND p.mailbox = $2 AND p.last_uid >= $3 AND p.version = $4
     ORDER BY p.last_uid LIMIT $5",
);
const ONE: AccountSql = AccountSql::new(
    "SELECT p.gone, p.first_uid, b.bytes FROM pack p JOIN pack_bytes b
        ON b.account = $1 AND b.mailbox = p.mailbox AND b.last_uid = p.last_uid
     WHERE p.account = $1 AND p.mailbox = $2 AND p.last_uid = $3",
);
const INSERT: AccountSql = AccountSql::new(
    "INSERT INTO pack (account, mailbox, last_uid, first_uid, version, gone) VALUES ($1, $2, $3, $4, $5, $6)",
);
const INSERT_BYTES: AccountSql =
    AccountSql::new("INSERT INTO pack_bytes (account, mailbox, last_uid, bytes) VALUES ($1, $2, $3, $4)");
const REMOVE: AccountSql =
    AccountSql::new("DELETE FROM pack WHERE account = $1 AND mailbox = $2 AND last_uid = $3");
const REMOVE_BYTES: AccountSql =
    AccountSql::new("DELETE FROM pack_bytes WHERE account = $1 AND mailbox = $2 AND last_uid = $3");
const SET_BYTES: AccountSql =
    AccountSql::new("UPDATE pack_bytes SET bytes = $4 WHERE account = $1 AND mailbox = $2 AND last_uid = $3");
const IS_TIDY: AccountSql =
    AccountSql::new("UPDATE pack SET gone = 0 WHERE account = $1 AND mailbox = $2 AND last_uid = $3");
const COUNT_GONE: AccountSql = AccountSql::new(
    "UPDATE pack SET gone = gone + 1 WHERE account = $1 AND mailbox = $2 AND first_uid <= $3 AND last_uid =
        (SELECT MIN(last_uid) FROM pack WHERE account = $1 AND mailbox = $2 AND last_uid >= $3)",
);
const SOME: AccountSql =
    AccountSql::new("SELECT last_uid FROM pack WHERE account = $1 AND mailbox = $2 LIMIT $3");
const UNTIDY: Sql = Sql::new(
    "SELECT account, mailbox, last_uid FROM pack
     WHERE gone > 0 AND (account, mailbox, last_uid) > ($1, $2, $3)
     ORDER BY account, mailbox, last_uid LIMIT 200",
);

/// What lists tell of a message beside its entry. The texts are bytes here: whoever makes
/// packs reads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listing<'p> {
    /// The message.
    pub uid: u32,
    /// Its email.
    pub email: EmailId,
    /// The email's thread.
    pub thread: ThreadId,
    /// When the email was received.
    pub received_at: Timestamp,
    /// Texts that the maker knows by their place.
    pub texts: [&'p [u8]; TEXTS],
}

/// Texts of a listing.
pub const TEXTS: usize = 4;

/// A pack that was read: listings by ascending UID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pack {
    bytes: Vec<u8>,
    /// Where each listing lies, behind its UID.
    places: Vec<(u32, Range<usize>)>,
}

/// Collects listings, by ascending UID.
#[derive(Debug, Clone, Default)]
pub struct PackWriter {
    bytes: Vec<u8>,
    uids: Vec<u32>,
}

impl PackWriter {
    /// Adds a listing behind the others.
    pub fn push(&mut self, listing: &Listing<'_>) {
        let before = self.uids.last().copied().unwrap_or(0);
        self.uids.push(listing.uid);
        put(&mut self.bytes, u64::from(listing.uid.saturating_sub(before)));
        let numbers = [listing.email.as_i64(), listing.thread.as_i64(), listing.received_at.as_millis()];
        for number in numbers {
            self.bytes.extend_from_slice(&number.to_le_bytes());
        }
        for text in listing.texts {
            put(&mut self.bytes, text.len() as u64);
            self.bytes.extend_from_slice(text);
        }
    }

    /// The stored form; this costs CPU, so it is done before a transaction.
    pub fn finish(self) -> NewPack {
        NewPack { bytes: encode(&self.bytes), uids: self.uids }
    }
}

/// A pack that is ready to be kept.
#[derive(Debug, Clone)]
pub struct NewPack {
    uids: Vec<u32>,
    bytes: Vec<u8>,
}

impl Pack {
    /// Reads the stored form; `None` if it is damaged.
    pub fn read(stored: &[u8]) -> Option<Self> {
        let bytes = decode(stored).ok()?;
        let (mut places, mut uid, mut left) = (Vec::new(), 0u32, bytes.as_slice());
        while !left.is_empty() {
            uid = uid.checked_add(u32::try_from(take(&mut left)?).ok()?)?;
            let from = bytes.len() - left.len();
            left = left.get(3 * 8..)?;
            for _ in 0..TEXTS {
                let length = take(&mut left)?;
                left = left.get(usize::try_from(length).ok()?..)?;
            }
            places.push((uid, from..bytes.len() - left.len()));
        }
        Some(Self { bytes, places })
    }

    /// The listing of a message.
    pub fn find(&self, uid: u32) -> Option<Listing<'_>> {
        let at = self.places.binary_search_by_key(&uid, |(uid, _)| *uid).ok()?;
        self.listing(self.places.get(at)?)
    }

    /// All listings.
    pub fn listings(&self) -> impl Iterator<Item = Listing<'_>> {
        self.places.iter().filter_map(|place| self.listing(place))
    }

    fn listing(&self, (uid, place): &(u32, Range<usize>)) -> Option<Listing<'_>> {
        let (numbers, mut rest) = self.bytes.get(place.clone())?.split_at_checked(3 * 8)?;
        let (numbers, _) = numbers.as_chunks::<8>();
        let [email, thread, received_at] = <[[u8; 8]; 3]>::try_from(numbers).ok()?.map(i64::from_le_bytes);
        let mut texts = [&[][..]; TEXTS];
        for text in &mut texts {
            let length = take(&mut rest)?;
            (*text, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        }
        Some(Listing {
            uid: *uid,
            email: EmailId::from_i64(email)?,
            thread: ThreadId::from_i64(thread)?,
            received_at: Timestamp::from_millis(received_at),
            texts,
        })
    }
}

/// Stored packs of this version from UID `first` on, at most `limit`, for [`Pack::read`];
/// with the UID up to which each goes, whether there is a listing of that or not.
///
/// # Errors
/// [`StoreError`].
pub fn packs_from(
    tx: &mut AccountTx<'_>,
    mailbox: MailboxId,
    first: u32,
    version: i64,
    limit: u16,
) -> Result<Vec<(u32, Vec<u8>)>, StoreError> {
    let params = [mailbox.into(), first.into(), version.into(), limit.into()];
    tx.rows(FROM, &params, |row| Ok((row.get(0)?, row.get(1)?)))
}

/// What is to be packed next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The messages; none if all of an outdated pack are gone.
    pub entries: Vec<Entry>,
    /// The outdated pack in whose place it comes, by its last UID.
    pub replaces: Option<u32>,
}

/// What is to be packed next in a mailbox: an outdated pack's messages, or `size` (at most
/// [`MOST`]) that are in none. `None` if there are fewer.
///
/// # Errors
/// [`StoreError`].
pub fn wanted(
    tx: &mut AccountTx<'_>,
    mailbox: MailboxId,
    version: i64,
    size: u16,
) -> Result<Option<Wanted>, StoreError> {
    let outdated = tx.row(OUTDATED, &[mailbox.into(), version.into()], |row| {
        Ok((row.get::<u32>(0)?, row.get::<u32>(1)?))
    })?;
    if let Some((first, last)) = outdated {
        let entries = entry::within(tx, mailbox, (first, last), MOST)?;
        return Ok(Some(Wanted { entries, replaces: Some(last) }));
    }
    let after = last_packed(tx, mailbox)?;
    let entries = entry::entries(tx, mailbox, after, size.min(MOST))?;
    Ok((entries.len() >= usize::from(size)).then_some(Wanted { entries, replaces: None }))
}

/// The highest UID that is in a pack, or 0.
fn last_packed(tx: &mut AccountTx<'_>, mailbox: MailboxId) -> Result<u32, StoreError> {
    Ok(tx.row(LAST, &[mailbox.into()], |row| row.get::<Option<u32>>(0))?.flatten().unwrap_or(0))
}

/// Keeps the pack that was made of what was [`wanted`]. Nothing happens if somebody else has
/// done that meanwhile. `new` may lack messages that could not be read.
///
/// # Errors
/// [`StoreError`].
pub fn keep(
    tx: &mut AccountTx<'_>,
    mailbox: MailboxId,
    wanted: &Wanted,
    new: &NewPack,
    version: i64,
) -> Result<(), StoreError> {
    // Under the account's lock: what is expunged from here on is counted.
    if !mailbox::lock(tx)? {
        return Ok(());
    }
    let (first, last) = (wanted.entries.first(), wanted.entries.last());
    let is_free = match wanted.replaces {
        Some(last_uid) => remove(tx, mailbox, last_uid)?,
        None => last_packed(tx, mailbox)? < first.map_or(0, |first| first.uid),
    };
    let (true, Some(first), Some(last)) = (is_free, first, last) else { return Ok(()) };
    let there: HashSet<u32> = uids_within(tx, mailbox, (first.uid, last.uid))?;
    let gone = new.uids.iter().filter(|uid| !there.contains(uid)).count() as u64;
    let key = [mailbox.into(), last.uid.into()];
    let params = [key[0], key[1], first.uid.into(), version.into(), crate::deliver::signed(gone).into()];
    tx.execute(INSERT, &params)?;
    tx.execute(INSERT_BYTES, &[key[0], key[1], (&new.bytes).into()]).map(drop)
}

fn uids_within(
    tx: &mut AccountTx<'_>,
    mailbox: MailboxId,
    range: (u32, u32),
) -> Result<HashSet<u32>, StoreError> {
    Ok(entry::within(tx, mailbox, range, MOST)?.iter().map(|entry| entry.uid).collect())
}

/// False if it is not there.
fn remove(tx: &mut AccountTx<'_>, mailbox: MailboxId, last_uid: u32) -> Result<bool, StoreError> {
    tx.execute(REMOVE_BYTES, &[mailbox.into(), last_uid.into()])?;
    Ok(tx.execute(REMOVE, &[mailbox.into(), last_uid.into()])? > 0)
}

/// These messages have left the mailbox.
pub(crate) fn expunged(
    tx: &mut AccountTx<'_>,
    mailbox: MailboxId,
    uids: impl Iterator<Item = u32>,
) -> Result<(), StoreError> {
    let last = last_packed(tx, mailbox)?;
    for uid in uids.filter(|uid| *uid <= last) {
        tx.execute(COUNT_GONE, &[mailbox.into(), uid.into()])?;
    }
    Ok(())
}

/// One step of removing the packs of a mailbox. True when none is left.
pub(crate) fn forget(tx: &mut AccountTx<'_>, mailbox: MailboxId) -> Result<bool, StoreError> {
    let some = tx.rows(SOME, &[mailbox.into(), FORGET_STEP.into()], |row| row.get::<u32>(0))?;
    for last_uid in &some {
        remove(tx, mailbox, *last_uid)?;
    }
    Ok(some.is_empty())
}

/// Where a pack is, in the order of a pass over all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The account.
    pub account: AccountId,
    /// The mailbox.
    pub mailbox: MailboxId,
    /// The last UID of its range.
    pub last_uid: u32,
}

/// Packs with messages that are gone, behind `after`, at most 200.
///
/// # Errors
/// [`StoreError`].
pub fn untidy(tx: &mut ServiceTx<'_>, after: Option<Place>) -> Result<Vec<Place>, StoreError> {
    let (account, mailbox, uid) = after
        .map_or((0, MailboxId::ROOT, 0), |place| (place.account.as_i64(), place.mailbox, place.last_uid));
    tx.rows(UNTIDY, &[account.into(), mailbox.into(), uid.into()], |row| {
        Ok(Place { account: row.get(0)?, mailbox: MailboxId::from_i64(row.get(1)?), last_uid: row.get(2)? })
    })
}

/// Takes out of a pack what is gone, which costs a millisecond. A damaged pack goes whole.
///
/// # Errors
/// [`StoreError`].
pub fn tidy(tx: &mut AccountTx<'_>, mailbox: MailboxId, last_uid: u32) -> Result<(), StoreError> {
    if !mailbox::lock(tx)? {
        return Ok(());
    }
    let key = [mailbox.into(), last_uid.into()];
    let found =
        tx.row(ONE, &key, |row| Ok((row.get::<i64>(0)?, row.get::<u32>(1)?, row.get::<Vec<u8>>(2)?)))?;
    let Some((_, first_uid, bytes)) = found.filter(|(gone, ..)| *gone > 0) else { return Ok(()) };
    let Some(pack) = Pack::read(&bytes) else { return remove(tx, mailbox, last_uid).map(drop) };
    let there = uids_within(tx, mailbox, (first_uid, last_uid))?;
    let mut left = PackWriter::default();
    pack.listings().filter(|listing| there.contains(&listing.uid)).for_each(|listing| left.push(&listing));
    if left.uids.is_empty() {
        return remove(tx, mailbox, last_uid).map(drop);
    }
    tx.execute(SET_BYTES, &[key[0], key[1], (&left.finish().bytes).into()])?;
    tx.execute(IS_TIDY, &key).map(drop)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    type Made = (u32, i64, i64, i64, [Vec<u8>; TEXTS]);

    fn listing((uid, email, thread, at, texts): &Made) -> Listing<'_> {
        Listing {
            uid: *uid,
            email: EmailId::from_i64(*email).unwrap(),
            thread: ThreadId::from_i64(*thread).unwrap(),
            received_at: Timestamp::from_millis(*at),
            texts: [&texts[0], &texts[1], &texts[2], &texts[3]],
        }
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_back(
            mut made in vec(
                (1..u32::MAX, 1..i64::MAX, 1..i64::MAX, any::<i64>(), prop::array::uniform4(vec(any::<u8>(), 0..300))),
                0..40,
            ),
            cut in any::<prop::sample::Index>(),
        ) {
            made.sort_by_key(|made| made.0);
            made.dedup_by_key(|made| made.0);
            let mut writer = PackWriter::default();
            made.iter().for_each(|made| writer.push(&listing(made)));
            let raw = writer.bytes.clone();
            let pack = Pack::read(&writer.finish().bytes).unwrap();
            prop_assert!(pack.listings().eq(made.iter().map(listing)));
            for made in &made {
                prop_assert_eq!(pack.find(made.0), Some(listing(made)));
            }
            // What is cut off is damage, or ends between two listings.
            let part = Pack::read(&encode(&raw[..cut.index(raw.len() + 1)]));
            prop_assert!(part.is_none_or(|part| pack.places.starts_with(&part.places)));
        }

        #[test]
        fn nonsense_is_refused_or_read(bytes in vec(any::<u8>(), 0..400)) {
            if let Some(pack) = Pack::read(&encode(&bytes)) {
                prop_assert!(pack.listings().count() <= pack.places.len());
            }
        }
    }
}
