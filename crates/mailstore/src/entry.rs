//! Entries: messages in mailboxes, and what IMAP does to them.
//!
//! Standards: RFC 9051 sections 6.4 (STORE, COPY, MOVE, EXPUNGE), RFC 7162 (modseq).
//! Everything that changes more than [`STEP`] entries is done by its caller in steps, but
//! COPY and MOVE, which are atomic.

use std::collections::HashSet;

use hikyaku_store::{AccountSql, AccountTx, Row, ServiceTx, Sql, StoreError, release};
use hikyaku_types::{AccountId, ContentId, EmailId, Timestamp};

use crate::deliver::signed;
use crate::email::{self, NewEmail};
use crate::flags::{Change, Flags, Keywords};
use crate::mailbox::{MailboxId, next_modseq};
use crate::pack;
use crate::search;
use crate::snapshot;
use crate::usage::{self, Quota, QuotaError};

/// Most entries that one closure changes.
pub const STEP: u16 = 100;

/// Most entries whose flags one closure changes: neighbours share a statement, and a flush.
pub const FLAGS_STEP: u16 = 1_000;

/// Tombstones that one closure removes.
const FORGET_STEP: u16 = 400;

/// One message in a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its UID.
    pub uid: u32,
    /// Which email.
    pub email: EmailId,
    /// System flags.
    pub flags: Flags,
    /// Keywords.
    pub keywords: Keywords,
    /// MODSEQ: when it was added or last changed.
    pub modseq: i64,
    /// SAVEDATE: when it came into this mailbox.
    pub saved_at: Timestamp,
    /// RFC822.SIZE.
    pub size: u64,
}

const INSERT: AccountSql = AccountSql::new(
    "INSERT INTO entry (account, mailbox, uid, email, flags, keywords, added, saved_at, size)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
);
const AFTER: AccountSql = AccountSql::new(
    "SELECT uid, email, flags, keywords, COALESCE(changed, added), saved_at, size FROM entry
     WHERE account = $1 AND mailbox = $2 AND uid > $3 ORDER BY uid LIMIT $4",
);
const WITHIN: AccountSql = AccountSql::new(
    "SELECT uid, email, flags, keywords, COALESCE(changed, added), saved_at, size FROM entry
     WHERE account = $1 AND mailbox = $2 AND uid BETWEEN $3 AND $4 ORDER BY uid LIMIT $5",
);
const EMAILS_WITHIN: AccountSql = AccountSql::new(
    "SELECT uid, email FROM entry WHERE account = $1 AND mailbox = $2 AND uid BETWEEN $3 AND $4
     ORDER BY uid LIMIT $5",
);
const SUM_MARKED: AccountSql = AccountSql::new(
    "SELECT COUNT(*), CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM entry
     WHERE account = $1 AND mailbox = $2 AND (flags & $3) = $3",
);
const ONE: AccountSql = AccountSql::new(
    "SELECT uid, email, flags, keywords, COALESCE(changed, added), saved_at, size FROM entry
     WHERE account = $1 AND mailbox = $2 AND uid = $3",
);
const CHANGED: AccountSql = AccountSql::new(
    "SELECT uid, email, flags, keywords, COALESCE(changed, added), saved_at, size FROM entry
     WHERE account = $1 AND mailbox = $2 AND changed >= $3 AND (changed > $3 OR uid > $4)
     ORDER BY changed, uid LIMIT $5",
);
const NEWEST: AccountSql = AccountSql::new(
    "SELECT uid, email, flags, keywords, COALESCE(changed, added), saved_at, size, added FROM entry
     WHERE account = $1 AND mailbox = $2 AND uid < $3 ORDER BY uid DESC LIMIT $4",
);
const UIDS: AccountSql =
    AccountSql::new("SELECT uid FROM entry WHERE account = $1 AND mailbox = $2 ORDER BY uid LIMIT $3");
const SET_FLAGS: AccountSql = AccountSql::new(
    "UPDATE entry SET flags = $5, keywords = $6, changed = $7
     WHERE account = $1 AND mailbox = $2 AND uid BETWEEN $3 AND $4",
);
const COUNT_FLAGS: AccountSql = AccountSql::new(
    "UPDATE mailbox SET unseen = unseen + $3, modseq = $4 WHERE account = $1 AND mailbox = $2",
);
const REMOVE: AccountSql = AccountSql::new(
    "DELETE FROM entry WHERE account = $1 AND mailbox = $2 AND uid = $3 AND (flags & $4) = $4
     RETURNING email, flags, size",
);
const BURY: AccountSql = AccountSql::new(
    "INSERT INTO tombstone (account, mailbox, modseq, uid, email, at) VALUES ($1, $2, $3, $4, $5, $6)",
);
const COUNT_GONE: AccountSql = AccountSql::new(
    "UPDATE mailbox SET messages = messages - $3, unseen = unseen - $4, bytes = bytes - $5, modseq = $6
     WHERE account = $1 AND mailbox = $2",
);
const ONE_ENTRY_LESS: AccountSql = AccountSql::new(
    "UPDATE email SET entries = entries - 1 WHERE account = $1 AND id = $2 RETURNING entries, content",
);
const ONE_ENTRY_MORE: AccountSql =
    AccountSql::new("UPDATE email SET entries = entries + 1 WHERE account = $1 AND id = $2");
const REMOVE_EMAIL: AccountSql = AccountSql::new("DELETE FROM email WHERE account = $1 AND id = $2");
const BURIED: AccountSql = AccountSql::new(
    "SELECT modseq, uid FROM tombstone
     WHERE account = $1 AND mailbox = $2 AND modseq >= $3 AND (modseq > $3 OR uid > $4)
     ORDER BY modseq, uid LIMIT $5",
);

const OLDEST_BURIED: AccountSql = AccountSql::new(
    "SELECT modseq, uid, at FROM tombstone WHERE account = $1 AND mailbox = $2 ORDER BY modseq, uid LIMIT $3",
);
const FORGET: AccountSql = AccountSql::new(
    "DELETE FROM tombstone
     WHERE account = $1 AND mailbox = $2 AND modseq <= $3 AND (modseq < $3 OR uid <= $4)",
);
const OLD_EXPUNGES: Sql = Sql::new(
    "SELECT DISTINCT account, mailbox FROM tombstone
     WHERE at < $1 AND (account, mailbox) > ($2, $3) ORDER BY account, mailbox LIMIT 200",
);
const FORGOTTEN: AccountSql =
    AccountSql::new("UPDATE mailbox SET tombstones_from = $3 WHERE account = $1 AND mailbox = $2");

fn read(row: Row<'_>) -> Result<Entry, StoreError> {
    Ok(Entry {
        uid: row.get(0)?,
        email: row.get(1)?,
        flags: Flags::from_i64(row.get(2)?),
        keywords: Keywords::from_column(row.get::<Option<String>>(3)?.as_deref()),
        modseq: row.get(4)?,
        saved_at: row.get(5)?,
        size: row.get(6)?,
    })
}

pub(crate) fn insert(tx: &mut AccountTx<'_>, new: &NewEmail<'_>) -> Result<(), StoreError> {
    let keywords = new.keywords.to_column();
    insert_row(
        tx,
        new.mailbox,
        new.uid,
        new.id,
        (new.flags, keywords.as_deref()),
        new.modseq,
        new.saved_at,
        new.size,
    )
}

#[expect(clippy::too_many_arguments, reason = "the columns of a row")]
fn insert_row(
    tx: &mut AccountTx<'_>,
    mailbox: MailboxId,
    uid: u32,
    email: EmailId,
    (flags, keywords): (Flags, Option<&str>),
    modseq: i64,
    saved_at: Timestamp,
    size: u64,
) -> Result<(), StoreError> {
    let params = [
        mailbox.into(),
        uid.into(),
        email.into(),
        flags.as_i64().into(),
        keywords.into(),
        modseq.into(),
        saved_at.into(),
        signed(size).into(),
    ];
    tx.execute(INSERT, &params).map(drop)
}

/// Entries with UIDs above `after`, in order, at most `limit`: a mailbox is read in steps.
///
/// # Errors
/// [`StoreError`].
pub fn entries(
    tx: &mut AccountTx<'_>,
    mailbox: MailboxId,
    after: u32,
    limit: u16,
) -> Result<Vec<Entry>, StoreError> {
    tx.rows(AFTER, &[mailbox.into(), after.into(), limit.into()], read)
}

/// Entries with UIDs from `first` to `last`, in order, at most `limit`.
///
/// # Errors
/// [`StoreError`].
pub fn within(
    tx: &mut AccountTx<'_>,
    mailbox: MailboxId,
    (first, last): (u32, u32),
    limit: u16,
) -> Result<Vec<Entry>, StoreError> {
    tx.rows(WITHIN, &[mailbox.into(), first.into(), last.into(), limit.into()], read)
}

/// UIDs from `first` to `last` and their emails, in order, at most `limit`: less to read than
/// [`within`].
///
/// # Errors
/// [`StoreError`].
pub fn emails_within(
    tx: &mut AccountTx<'_>,
    mailbox: MailboxId,
    (first, last): (u32, u32),
    limit: u16,
) -> Result<Vec<(u32, EmailId)>, StoreError> {
    let params = [mailbox.into(), first.into(), last.into(), limit.into()];
    tx.rows(EMAILS_WITHIN, &params, |row| Ok((row.get(0)?, row.get(1)?)))
}

/// How many entries are marked `\Deleted`, and their sizes together. Reads the whole mailbox:
/// no counter is kept of what few clients ask.
///
/// # Errors
/// [`StoreError`].
pub fn deleted_sums(tx: &mut AccountTx<'_>, mailbox: MailboxId) -> Result<(u64, u64), StoreError> {
    let sums = tx.row(SUM_MARKED, &[mailbox.into(), Flags::DELETED.as_i64().into()], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    Ok(sums.unwrap_or_default())
}

/// The entries with these UIDs, in their order, each once; what is gone is left out.
///
/// # Errors
/// [`StoreError`].
pub fn find_entries(
    tx: &mut AccountTx<'_>,
    mailbox: MailboxId,
    uids: &[u32],
) -> Result<Vec<Entry>, StoreError> {
    let mut found = Vec::with_capacity(uids.len());
    let mut asked = HashSet::with_capacity(uids.len());
    for &uid in uids.iter().filter(|uid| asked.insert(**uid)) {
        found.extend(tx.row(ONE, &[mailbox.into(), uid.into()], read)?);
    }
    Ok(found)
}

/// A point in a mailbox's history. Changes and expunges are read in the order of their
/// modseqs, those of one modseq in the order of their UIDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// The modseq of a change.
    pub modseq: i64,
    /// One of the messages that it was about.
    pub uid: u32,
}

impl Point {
    /// Behind all of `modseq`.
    pub const fn after(modseq: i64) -> Self {
        Self { modseq, uid: u32::MAX }
    }
}

/// Entries whose flags changed after this point, at most `limit`, oldest change first: go on
/// behind the last one. New entries are not among them: see [`newest`].
///
/// # Errors
/// [`StoreError`].
pub fn changed_since(
    tx: &mut AccountTx<'_>,
    mailbox: MailboxId,
    since: Point,
    limit: u16,
) -> Result<Vec<Entry>, StoreError> {
    tx.rows(CHANGED, &[mailbox.into(), since.modseq.into(), since.uid.into(), limit.into()], read)
}

/// Entries that came after modseq `since` and have UIDs below `before`, the newest first, at
/// most `limit`. UIDs and the modseqs of arrivals rise together, so nothing older is read.
///
/// # Errors
/// [`StoreError`].
pub fn newest(
    tx: &mut AccountTx<'_>,
    mailbox: MailboxId,
    since: i64,
    before: u32,
    limit: u16,
) -> Result<Vec<Entry>, StoreError> {
    let params = [mailbox.into(), before.into(), limit.into()];
    let rows = tx.rows(NEWEST, &params, |row| Ok((row.get::<i64>(7)?, read(row)?)))?;
    Ok(rows.into_iter().take_while(|(added, _)| *added > since).map(|(_, entry)| entry).collect())
}

/// What was expunged after this point, at most `limit`: go on behind the last one.
///
/// # Errors
/// [`StoreError`].
pub fn expunged_since(
    tx: &mut AccountTx<'_>,
    mailbox: MailboxId,
    since: Point,
    limit: u16,
) -> Result<Vec<Point>, StoreError> {
    let params = [mailbox.into(), since.modseq.into(), since.uid.into(), limit.into()];
    tx.rows(BURIED, &params, |row| Ok(Point { modseq: row.get(0)?, uid: row.get(1)? }))
}

/// Forgets expunges that were before `before`, in one step. True when none is left. A client
/// that was away for longer gets a full answer (RFC 7162 section 3.2.5.1).
///
/// # Errors
/// [`StoreError`].
pub fn forget_expunges(
    tx: &mut AccountTx<'_>,
    mailbox: MailboxId,
    before: Timestamp,
) -> Result<bool, StoreError> {
    if next_modseq(tx)?.is_none() {
        return Ok(true);
    }
    let oldest = tx.rows(OLDEST_BURIED, &[mailbox.into(), FORGET_STEP.into()], |row| {
        Ok((Point { modseq: row.get(0)?, uid: row.get(1)? }, row.get::<Timestamp>(2)?))
    })?;
    let old: Vec<Point> = oldest.iter().take_while(|(_, at)| *at < before).map(|(point, _)| *point).collect();
    let Some(last) = old.last() else { return Ok(true) };
    tx.execute(FORGET, &[mailbox.into(), last.modseq.into(), last.uid.into()])?;
    tx.execute(FORGOTTEN, &[mailbox.into(), last.modseq.into()])?;
    snapshot::forget_before(tx, mailbox, last.modseq)?;
    Ok(old.len() < usize::from(FORGET_STEP))
}

/// Mailboxes that have expunges from before `before` to forget, behind the given one, in
/// order, at most 200. A pass over all of them reads every tombstone once.
///
/// # Errors
/// [`StoreError`].
pub fn old_expunges(
    tx: &mut ServiceTx<'_>,
    before: Timestamp,
    (account, mailbox): (i64, MailboxId),
) -> Result<Vec<(AccountId, MailboxId)>, StoreError> {
    tx.rows(OLD_EXPUNGES, &[before.into(), account.into(), mailbox.into()], |row| {
        Ok((row.get(0)?, MailboxId::from_i64(row.get(1)?)))
    })
}

pub(crate) fn uids(tx: &mut AccountTx<'_>, mailbox: MailboxId, limit: u16) -> Result<Vec<u32>, StoreError> {
    tx.rows(UIDS, &[mailbox.into(), limit.into()], |row| row.get(0))
}

/// Why no flags were changed.
#[derive(Debug, thiserror::Error)]
pub enum FlagsError {
    /// A message would have more keywords than it may.
    #[error("too many keywords")]
    TooManyKeywords,
    /// The store; temporary.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What STORE did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored {
    /// The entries as they are now, by ascending UID, those that were left alone because nothing
    /// changed too.
    pub entries: Vec<Entry>,
    /// The modseq that each of `entries` had before.
    pub modseqs_before: Vec<i64>,
    /// UIDs that UNCHANGEDSINCE protected.
    pub modified: Vec<u32>,
}

/// Changes flags of entries (at most [`FLAGS_STEP`], in a long closure if they are many). Those
/// changed after modseq `unchanged_since` are left alone (RFC 7162 section 3.1.3).
///
/// # Errors
/// [`FlagsError`]: then nothing was changed.
pub fn store_flags(
    tx: &mut AccountTx<'_>,
    mailbox: MailboxId,
    uids: &[u32],
    change: &Change,
    unchanged_since: Option<i64>,
) -> Result<Stored, FlagsError> {
    let Some(modseq) = next_modseq(tx)? else {
        return Ok(Stored::default());
    };
    let mut stored = Stored { entries: Vec::with_capacity(uids.len()), ..Stored::default() };
    let (mut unseen, mut changed) = (0i64, Vec::new());
    for mut entry in in_runs(tx, mailbox, uids)? {
        if unchanged_since.is_some_and(|since| entry.modseq > since) {
            stored.modified.push(entry.uid);
            continue;
        }
        stored.modseqs_before.push(entry.modseq);
        let (flags, keywords) = change.apply(entry.flags, &entry.keywords);
        if keywords.is_too_many() {
            return Err(FlagsError::TooManyKeywords);
        }
        if (flags, &keywords) != (entry.flags, &entry.keywords) {
            unseen += i64::from(entry.flags.has(Flags::SEEN)) - i64::from(flags.has(Flags::SEEN));
            entry = Entry { flags, keywords, modseq, ..entry };
            changed.push(entry.clone());
        }
        stored.entries.push(entry);
    }
    if !changed.is_empty() {
        set_flags(tx, mailbox, &changed, modseq)?;
        tx.execute(COUNT_FLAGS, &[mailbox.into(), unseen.into(), modseq.into()])?;
        tx.announce(modseq);
    }
    Ok(stored)
}

/// The entries with these UIDs in ascending order, read run by run.
fn in_runs(tx: &mut AccountTx<'_>, mailbox: MailboxId, uids: &[u32]) -> Result<Vec<Entry>, StoreError> {
    let mut sorted = uids.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut found = Vec::with_capacity(sorted.len());
    for run in sorted.chunk_by(|uid, next| uid.checked_add(1) == Some(*next)) {
        let limit = u16::try_from(run.len()).unwrap_or(u16::MAX);
        found.extend(within(tx, mailbox, (run[0], run[run.len() - 1]), limit)?);
    }
    Ok(found)
}

/// Writes new flags, those of neighbours that have the same now with one statement. Between
/// UIDs that follow each other there is no other entry.
fn set_flags(
    tx: &mut AccountTx<'_>,
    mailbox: MailboxId,
    changed: &[Entry],
    modseq: i64,
) -> Result<(), StoreError> {
    let are_alike = |entry: &Entry, next: &Entry| {
        entry.uid.checked_add(1) == Some(next.uid)
            && (entry.flags, &entry.keywords) == (next.flags, &next.keywords)
    };
    for alike in changed.chunk_by(are_alike) {
        let keywords = alike[0].keywords.to_column();
        let params = [
            mailbox.into(),
            alike[0].uid.into(),
            alike[alike.len() - 1].uid.into(),
            alike[0].flags.as_i64().into(),
            keywords.as_deref().into(),
            modseq.into(),
        ];
        tx.execute(SET_FLAGS, &params)?;
    }
    Ok(())
}

/// What EXPUNGE did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expunged {
    /// UIDs that are gone.
    pub uids: Vec<u32>,
    /// The modseq of it.
    pub modseq: i64,
}

/// Removes entries (at most [`STEP`]); those that are gone already are left out. An email
/// that no entry names any more is removed, and its content loses a reference.
///
/// # Errors
/// [`StoreError`].
pub fn expunge(
    tx: &mut AccountTx<'_>,
    mailbox: MailboxId,
    uids: &[u32],
    now: Timestamp,
) -> Result<Expunged, StoreError> {
    expunge_only(tx, mailbox, uids, Flags::NONE, now)
}

/// The same for those that have `\Deleted` at this moment: what somebody has just taken it
/// from stays.
///
/// # Errors
/// [`StoreError`].
pub fn expunge_deleted(
    tx: &mut AccountTx<'_>,
    mailbox: MailboxId,
    uids: &[u32],
    now: Timestamp,
) -> Result<Expunged, StoreError> {
    expunge_only(tx, mailbox, uids, Flags::DELETED, now)
}

fn expunge_only(
    tx: &mut AccountTx<'_>,
    mailbox: MailboxId,
    uids: &[u32],
    only: Flags,
    now: Timestamp,
) -> Result<Expunged, StoreError> {
    let Some(modseq) = next_modseq(tx)? else { return Ok(Expunged { uids: Vec::new(), modseq: 0 }) };
    let gone = remove(tx, mailbox, uids, only, modseq, now)?;
    let mut contents = Vec::new();
    for row in &gone {
        let left =
            tx.row(ONE_ENTRY_LESS, &[row.email.into()], |row| Ok((row.get::<i64>(0)?, row.get(1)?)))?;
        if let Some((0, content)) = left {
            tx.execute(REMOVE_EMAIL, &[row.email.into()])?;
            search::forget(tx, row.email, now)?;
            contents.push(content);
        }
    }
    release_all(tx, contents, now)?;
    let (messages, bytes) = (signed(gone.len() as u64), signed(gone.iter().map(|row| row.size).sum()));
    if messages > 0 {
        email::count_in_root(tx, -messages, -bytes, Quota(None))?;
        usage::add(&mut tx.tenant_rows(), -messages, -bytes, Quota(None))?;
        tx.announce(modseq);
    }
    Ok(Expunged { uids: gone.iter().map(|row| row.uid).collect(), modseq })
}

/// Content rows are locked in the order of their ids.
fn release_all(
    tx: &mut AccountTx<'_>,
    mut contents: Vec<ContentId>,
    now: Timestamp,
) -> Result<(), StoreError> {
    contents.sort_unstable();
    for same in contents.chunk_by(|a, b| a == b) {
        let refs = u32::try_from(same.len()).unwrap_or(u32::MAX);
        release(&mut tx.tenant_rows(), same[0], refs, now)?;
    }
    Ok(())
}

struct Gone {
    uid: u32,
    email: EmailId,
    size: u64,
}

/// Takes entries out of a mailbox, buries them and counts; emails are the caller's.
fn remove(
    tx: &mut AccountTx<'_>,
    mailbox: MailboxId,
    uids: &[u32],
    only: Flags,
    modseq: i64,
    now: Timestamp,
) -> Result<Vec<Gone>, StoreError> {
    let mut gone = Vec::with_capacity(uids.len());
    let mut unseen = 0i64;
    for &uid in uids {
        let row = tx.row(REMOVE, &[mailbox.into(), uid.into(), only.as_i64().into()], |row| {
            Ok((row.get(0)?, Flags::from_i64(row.get(1)?), row.get(2)?))
        })?;
        let Some((email, flags, size)) = row else { continue };
        tx.execute(BURY, &[mailbox.into(), modseq.into(), uid.into(), EmailId::into(email), now.into()])?;
        unseen += i64::from(!flags.has(Flags::SEEN));
        gone.push(Gone { uid, email, size });
    }
    if !gone.is_empty() {
        let bytes = signed(gone.iter().map(|row| row.size).sum());
        let params =
            [mailbox.into(), signed(gone.len() as u64).into(), unseen.into(), bytes.into(), modseq.into()];
        tx.execute(COUNT_GONE, &params)?;
        pack::expunged(tx, mailbox, gone.iter().map(|row| row.uid))?;
    }
    Ok(gone)
}

/// What COPY or MOVE did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// UIDVALIDITY of the target.
    pub uidvalidity: u32,
    /// UIDs there, in pairs (source, target), in order.
    pub uids: Vec<(u32, u32)>,
    /// The modseq of it.
    pub modseq: i64,
}

/// Why nothing was copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The target is not there.
    #[error("no such mailbox")]
    NoTarget,
    /// The account's or the tenant's quota.
    #[error(transparent)]
    Full(#[from] QuotaError),
    /// The store; temporary.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Copies entries into another (or the same) mailbox of the account, all or none. They are
/// entries of the same emails.
///
/// # Errors
/// [`CopyError`].
pub fn copy(
    tx: &mut AccountTx<'_>,
    from: MailboxId,
    uids: &[u32],
    to: MailboxId,
    (quota, pool): (Quota, Quota),
    now: Timestamp,
) -> Result<Copied, CopyError> {
    let modseq = next_modseq(tx)?.ok_or(CopyError::NoTarget)?;
    let copied = place_copies(tx, from, uids, to, modseq, now)?;
    for entry in &copied.sources {
        tx.execute(ONE_ENTRY_MORE, &[entry.email.into()])?;
    }
    let (messages, bytes) = copied.sums();
    if messages > 0 {
        if !email::count_in_root(tx, messages, bytes, quota)? {
            return Err(QuotaError::Account(tx.account()).into());
        }
        if !usage::add(&mut tx.tenant_rows(), messages, bytes, pool)? {
            return Err(QuotaError::Tenant.into());
        }
        tx.announce(modseq);
    }
    Ok(copied.done(modseq))
}

/// Moves entries into another mailbox of the account, all or none (RFC 6851).
///
/// # Errors
/// [`CopyError`]; never for quota.
pub fn move_entries(
    tx: &mut AccountTx<'_>,
    from: MailboxId,
    uids: &[u32],
    to: MailboxId,
    now: Timestamp,
) -> Result<Copied, CopyError> {
    let modseq = next_modseq(tx)?.ok_or(CopyError::NoTarget)?;
    let copied = place_copies(tx, from, uids, to, modseq, now)?;
    let sources: Vec<u32> = copied.sources.iter().map(|entry| entry.uid).collect();
    remove(tx, from, &sources, Flags::NONE, modseq, now)?;
    tx.announce(modseq);
    Ok(copied.done(modseq))
}

struct Copies {
    uidvalidity: u32,
    first: u32,
    sources: Vec<Entry>,
}

impl Copies {
    fn sums(&self) -> (i64, i64) {
        (signed(self.sources.len() as u64), signed(self.sources.iter().map(|entry| entry.size).sum()))
    }

    fn done(self, modseq: i64) -> Copied {
        let uids = self.sources.iter().map(|entry| entry.uid).zip(self.first..).collect();
        Copied { uidvalidity: self.uidvalidity, uids, modseq }
    }
}

/// Makes entries of the target and counts them there.
fn place_copies(
    tx: &mut AccountTx<'_>,
    from: MailboxId,
    uids: &[u32],
    to: MailboxId,
    modseq: i64,
    now: Timestamp,
) -> Result<Copies, CopyError> {
    let sources = find_entries(tx, from, uids)?;
    let unseen = sources.iter().filter(|entry| !entry.flags.has(Flags::SEEN)).count() as u64;
    let bytes = signed(sources.iter().map(|entry| entry.size).sum());
    let placed =
        email::count_in_mailbox(tx, to, signed(sources.len() as u64), signed(unseen), bytes, modseq)?;
    let (first, uidvalidity) = placed.ok_or(CopyError::NoTarget)?;
    for (entry, uid) in sources.iter().zip(first..) {
        let keywords = entry.keywords.to_column();
        let flags = (entry.flags, keywords.as_deref());
        insert_row(tx, to, uid, entry.email, flags, modseq, now, entry.size)?;
    }
    Ok(Copies { uidvalidity, first, sources })
}
