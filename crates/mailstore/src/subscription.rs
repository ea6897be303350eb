//! Subscriptions: the names that LSUB and LIST (SUBSCRIBED) show.
//!
//! Standards: RFC 9051 section 6.3.7: a name stays subscribed also when its mailbox is deleted,
//! and may be subscribed before there is a mailbox.
//!
//! A mailbox carries its own subscription, so that RENAME takes it along as clients expect. A
//! name without a mailbox has a row of `subscription`. A name that has both is subscribed once:
//! whoever lists must join them, and unsubscribing ends both.
//! Invariant: an account has at most [`MOST_NAMES`] names without a mailbox, each of at most
//! [`LONGEST`] octets; the subscription of a deleted mailbox beyond that is forgotten, as deleting
//! must go on.

use hikyaku_store::{AccountSql, AccountTx, StoreError};

use crate::mailbox::{self, MailboxError, MailboxPath};

/// Most subscribed names of an account that have no mailbox.
pub const MOST_NAMES: i64 = 10_000;

/// Octets of such a name. Names of mailboxes may be longer, but PostgreSQL's index takes no key
/// of more than about 2,700.
pub const LONGEST: usize = 2_000;

/// Between the levels of a stored name, none of which has control characters.
const BETWEEN: char = '\u{1f}';

const COUNT: AccountSql = AccountSql::new("SELECT count(*) FROM subscription WHERE account = $1");
const ADD: AccountSql = AccountSql::new(
    "INSERT INTO subscription (account, name) VALUES ($1, $2) ON CONFLICT (account, name) DO NOTHING",
);
const REMOVE: AccountSql = AccountSql::new("DELETE FROM subscription WHERE account = $1 AND name = $2");
const HAS: AccountSql = AccountSql::new("SELECT 1 FROM subscription WHERE account = $1 AND name = $2");
const NAMES: AccountSql =
    AccountSql::new("SELECT name FROM subscription WHERE account = $1 AND name > $2 ORDER BY name LIMIT $3");
const FORGET: AccountSql = AccountSql::new(
    "DELETE FROM subscription WHERE account = $1
        AND name IN (SELECT name FROM subscription WHERE account = $1 ORDER BY name LIMIT 500)",
);

/// Subscribes a name or ends its subscription, whether it has a mailbox or not.
///
/// # Errors
/// [`MailboxError::TooMany`] names without a mailbox, or one that is too long.
pub fn subscribe(tx: &mut AccountTx<'_>, path: &MailboxPath, yes: bool) -> Result<(), MailboxError> {
    mailbox::next_modseq(tx)?.ok_or(MailboxError::NoAccount)?;
    let found = mailbox::find(tx, path)?;
    if let Some(found) = &found {
        mailbox::subscribe(tx, found.id, yes)?;
    }
    match (found, yes) {
        (_, false) => forget_name(tx, path).map(drop)?,
        (Some(_), true) => {}
        (None, true) if keep_name(tx, path)? => {}
        (None, true) => return Err(MailboxError::TooMany),
    }
    Ok(())
}

/// Subscribed names after this one, in an order of their own: at most `limit`, so that long
/// lists are read in steps. There may be a mailbox of such a name.
///
/// # Errors
/// [`StoreError`].
pub fn names(
    tx: &mut AccountTx<'_>,
    after: Option<&MailboxPath>,
    limit: u16,
) -> Result<Vec<MailboxPath>, StoreError> {
    let after = after.map(stored).unwrap_or_default();
    let names = tx.rows(NAMES, &[(&after).into(), limit.into()], |row| row.get::<String>(0))?;
    Ok(names.iter().filter_map(|name| MailboxPath::new(name.split(BETWEEN)).ok()).collect())
}

/// The mailbox of this name is deleted: its subscription stays.
pub(crate) fn mailbox_goes(tx: &mut AccountTx<'_>, path: &MailboxPath) -> Result<(), StoreError> {
    keep_name(tx, path).map(drop)
}

/// There is a mailbox of this name now. Was the name subscribed? The mailbox is to be then.
pub(crate) fn mailbox_comes(tx: &mut AccountTx<'_>, path: &MailboxPath) -> Result<bool, StoreError> {
    forget_name(tx, path)
}

/// False if there are too many, or it is too long.
fn keep_name(tx: &mut AccountTx<'_>, path: &MailboxPath) -> Result<bool, StoreError> {
    let name = stored(path);
    if name.len() > LONGEST {
        return Ok(false);
    }
    if tx.row(HAS, &[(&name).into()], |_| Ok(()))?.is_some() {
        return Ok(true);
    }
    if tx.row(COUNT, &[], |row| row.get::<i64>(0))?.unwrap_or(0) >= MOST_NAMES {
        return Ok(false);
    }
    tx.execute(ADD, &[(&name).into()])?;
    Ok(true)
}

fn forget_name(tx: &mut AccountTx<'_>, path: &MailboxPath) -> Result<bool, StoreError> {
    Ok(tx.execute(REMOVE, &[(&stored(path)).into()])? > 0)
}

fn stored(path: &MailboxPath) -> String {
    let mut levels = path.levels().to_vec();
    // INBOX is compared without regard to case.
    if let Some(first) = levels.first_mut().filter(|first| first.eq_ignore_ascii_case("INBOX")) {
        *first = "INBOX".to_owned();
    }
    levels.join(&BETWEEN.to_string())
}

/// Forgets some names of an account. False when there is nothing left to forget.
pub(crate) fn forget(tx: &mut AccountTx<'_>) -> Result<bool, StoreError> {
    Ok(tx.execute(FORGET, &[])? > 0)
}
