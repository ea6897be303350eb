//! Import: messages of another system, each of which comes in once, however often the import
//! is run again.
//!
//! Invariant: a message and the note that it was imported are one transaction. The note
//! stays when the message is deleted: an import that is run again does not bring back what
//! its owner has thrown away.

use hikyaku_store::{AccountSql, AccountTx, Param, StoreError};
use hikyaku_types::Timestamp;

use crate::account::create_account;
use crate::email::{AppendError, AppendedEmail, append_all};
use crate::mailbox::{self, MailboxError, MailboxPath};
use crate::usage::Quota;

/// What tells a message of an import from all others of the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ImportKey([u8; 16]);

impl ImportKey {
    /// Most messages of one call of [`import`] or [`imported`].
    pub const MOST: usize = 100;

    /// The key of these parts, in this order: where it goes, and what it is called there.
    pub fn new(parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let mut key = [0; 16];
        key.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Self(key)
    }

    /// For a wire.
    pub const fn as_u128(self) -> u128 {
        u128::from_be_bytes(self.0)
    }

    /// From a wire.
    pub const fn from_u128(number: u128) -> Self {
        Self(number.to_be_bytes())
    }
}

impl<'a> From<&'a ImportKey> for Param<'a> {
    fn from(key: &'a ImportKey) -> Self {
        Self::Blob(&key.0)
    }
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The mailbox cannot be made.
    #[error(transparent)]
    Mailbox(#[from] MailboxError),
    /// A message cannot be stored.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The store; temporary.
    #[error(transparent)]
    Store(#[from] StoreError),
}

const IS_THERE: AccountSql = AccountSql::new("SELECT 1 FROM imported WHERE account = $1 AND key = $2");
const NOTE: AccountSql = AccountSql::new(
    "INSERT INTO imported (account, key, at) VALUES ($1, $2, $3) ON CONFLICT (account, key) DO NOTHING",
);
const FORGET: AccountSql = AccountSql::new(
    "DELETE FROM imported WHERE account = $1
        AND key IN (SELECT key FROM imported WHERE account = $1 ORDER BY key LIMIT 500)",
);

/// Which of these have been imported.
///
/// # Errors
/// [`StoreError`].
pub fn imported(tx: &mut AccountTx<'_>, keys: &[ImportKey]) -> Result<Vec<bool>, StoreError> {
    keys.iter().map(|key| Ok(tx.row(IS_THERE, &[key.into()], |_| Ok(()))?.is_some())).collect()
}

/// Puts messages into a mailbox, which is made if it is missing, all or none; those that were
/// imported before are left out. Tells which were put.
///
/// # Errors
/// [`ImportError`].
pub fn import(
    tx: &mut AccountTx<'_>,
    path: &MailboxPath,
    messages: &[(ImportKey, AppendedEmail)],
    limits: (Quota, Quota),
    now: Timestamp,
) -> Result<Vec<bool>, ImportError> {
    create_account(tx, now)?;
    // The account's lock, before anything of it is read.
    mailbox::next_modseq(tx)?.ok_or(MailboxError::NoAccount)?;
    let mailbox = mailbox::find_or_create(tx, path)?;
    let mut is_new = Vec::with_capacity(messages.len());
    for (key, _) in messages {
        is_new.push(tx.execute(NOTE, &[key.into(), now.into()])? == 1);
    }
    let new = messages.iter().zip(&is_new).filter(|(_, is_new)| **is_new);
    let new: Vec<&AppendedEmail> = new.map(|((_, message), _)| message).collect();
    if !new.is_empty() {
        append_all(tx, mailbox, &new, limits, now)?;
    }
    Ok(is_new)
}

/// Forgets some of what an account has imported. False when there is nothing left to forget.
pub(crate) fn forget(tx: &mut AccountTx<'_>) -> Result<bool, StoreError> {
    Ok(tx.execute(FORGET, &[])? > 0)
}
