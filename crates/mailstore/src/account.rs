//! Accounts in a shard: their root row and first mailboxes.

use hikyaku_store::{AccountSql, AccountTx, ServiceTx, Sql, StoreError, TenantTx};
use hikyaku_types::Timestamp;

use crate::import;
use crate::mailbox::{self, MailboxError, MailboxId, Role};
use crate::search;
use crate::subscription;
use crate::usage::{Quota, Room};

/// The mailboxes that every account has from the start. INBOX first: its id is 1.
pub const PROVISIONED: [(&str, Role); 6] = [
    ("INBOX", Role::Inbox),
    ("Drafts", Role::Drafts),
    ("Sent", Role::Sent),
    ("Archive", Role::Archive),
    ("Junk", Role::Junk),
    ("Trash", Role::Trash),
];

const ROOT: AccountSql = AccountSql::new(
    "INSERT INTO mailbox (account, mailbox, parent, role, uidvalidity, uidnext, modseq, messages, unseen, bytes,
        tombstones_from, subscribed, name)
     VALUES ($1, 0, -1, 0, $2, 1, 1, 0, 0, 0, 0, 0, '')
     ON CONFLICT (account, mailbox) DO NOTHING",
);
const USAGE: AccountSql =
    AccountSql::new("SELECT messages, bytes FROM mailbox WHERE account = $1 AND mailbox = 0");
const ROOM: AccountSql =
    AccountSql::new("SELECT bytes, full_since FROM mailbox WHERE account = $1 AND mailbox = 0");
const NOTE_FULL: AccountSql =
    AccountSql::new("UPDATE mailbox SET full_since = $2 WHERE account = $1 AND mailbox = 0");
const ANY_MAILBOX: AccountSql = AccountSql::new(
    "SELECT mailbox FROM mailbox WHERE account = $1 AND mailbox > 0 ORDER BY mailbox LIMIT 1",
);
const FORGET_THREADS: AccountSql = AccountSql::new(
    "DELETE FROM thread WHERE account = $1
        AND hash IN (SELECT hash FROM thread WHERE account = $1 ORDER BY hash LIMIT 500)",
);
const REMOVE_ROOT: AccountSql = AccountSql::new("DELETE FROM mailbox WHERE account = $1 AND mailbox = 0");
const LAST_EMAIL: Sql = Sql::new("SELECT MAX(id) FROM email");

/// Makes an account's root and first mailboxes, unless they are there. Idempotent.
///
/// # Errors
/// [`StoreError`].
pub fn create_account(tx: &mut AccountTx<'_>, now: Timestamp) -> Result<(), StoreError> {
    // UIDVALIDITY begins at the present second, so that an account that is made anew from
    // a backup does not repeat the numbers of the lost one.
    let uidvalidity = now.as_secs().clamp(1, i64::from(u32::MAX) - 100_000);
    if tx.execute(ROOT, &[uidvalidity.into()])? == 0 {
        return Ok(());
    }
    for (name, role) in PROVISIONED {
        match mailbox::insert(tx, MailboxId::ROOT, name, role, true) {
            Ok(_) => {}
            Err(MailboxError::Store(error)) => return Err(error),
            Err(other) => {
                return Err(StoreError::Failed { label: "mailstore.create", cause: other.to_string() });
            }
        }
    }
    Ok(())
}

/// Messages and bytes of the account; `None` if it is not in this shard.
///
/// # Errors
/// [`StoreError`].
pub fn usage(tx: &mut AccountTx<'_>) -> Result<Option<(u64, u64)>, StoreError> {
    tx.row(USAGE, &[], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Is there room for `adding` bytes within the account's own quota? An account that is not
/// in this shard yet has room.
///
/// # Errors
/// [`StoreError`].
pub fn room(tx: &mut AccountTx<'_>, adding: u64, quota: Quota) -> Result<Room, StoreError> {
    let found = tx.row(ROOM, &[], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (used, since) = found.unwrap_or_default();
    Ok(Room::of(used, since, adding, quota))
}

/// Notes since when the account is full, or that it is not.
///
/// # Errors
/// [`StoreError`].
pub fn note_full(tx: &mut AccountTx<'_>, since: Option<Timestamp>) -> Result<(), StoreError> {
    tx.execute(NOTE_FULL, &[since.into()]).map(drop)
}

/// Messages and bytes of a tenant in this shard.
///
/// # Errors
/// [`StoreError`].
pub fn tenant_usage(tx: &mut TenantTx<'_>) -> Result<(u64, u64), StoreError> {
    crate::usage::of_tenant(tx)
}

/// One step of removing an account's mail for good: its search index, messages, mailboxes,
/// threads, subscriptions, and last its root. True when nothing of it is left. Safe to repeat.
///
/// # Errors
/// [`StoreError`].
pub fn remove(tx: &mut AccountTx<'_>, now: Timestamp) -> Result<bool, StoreError> {
    // Before the emails, so that they need not be taken out of it; and at each step, since it
    // may be under way.
    if !search::remove(tx)? {
        return Ok(false);
    }
    if let Some(id) = tx.row(ANY_MAILBOX, &[], |row| row.get(0))? {
        mailbox::empty(tx, MailboxId::from_i64(id), now)?;
        return Ok(false);
    }
    if tx.execute(FORGET_THREADS, &[])? > 0 || import::forget(tx)? || subscription::forget(tx)? {
        return Ok(false);
    }
    tx.execute(REMOVE_ROOT, &[])?;
    Ok(true)
}

/// The highest rising id that mail has used here, so that new ones rise above it.
///
/// # Errors
/// [`StoreError`].
pub fn last_ids(tx: &mut ServiceTx<'_>) -> Result<i64, StoreError> {
    Ok(tx.row(LAST_EMAIL, &[], |row| row.get::<Option<i64>>(0))?.flatten().unwrap_or(0))
}
