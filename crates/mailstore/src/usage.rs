//! Usage and quota: what an account and its tenant have stored, and what they may.
//!
//! Limit values are the caller's (from cached control data); the counters are here, and the
//! statement that counts is the one that refuses. Usage rows are the last that a transaction
//! locks.

use hikyaku_store::{StoreError, TenantSql, TenantTx};
use hikyaku_types::{AccountId, Timestamp};

/// How much may be stored, in bytes; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quota(pub Option<u64>);

impl Quota {
    /// The limit as a number to compare with.
    pub(crate) fn limit(self) -> i64 {
        self.0.map_or(i64::MAX, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX))
    }
}

/// Whose quota is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuotaError {
    /// The account's own.
    #[error("mailbox {0} is full")]
    Account(AccountId),
    /// The pool of its tenant.
    #[error("the customer's storage is used up")]
    Tenant,
}

// `bytes + $3` is compared only when something is added: taking away is never refused.
const ADD: TenantSql = TenantSql::new(
    "INSERT INTO usage (tenant, messages, bytes) VALUES ($1, $2, $3)
     ON CONFLICT (tenant) DO UPDATE SET
        messages = usage.messages + excluded.messages, bytes = usage.bytes + excluded.bytes
     WHERE usage.bytes + excluded.bytes <= $4 OR excluded.bytes <= 0",
);
const GET: TenantSql = TenantSql::new("SELECT messages, bytes FROM usage WHERE tenant = $1");

/// Is there room?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// It fits.
    Fits,
    /// It does not; the first time that something did not was then, if that was noted.
    Full(Option<Timestamp>),
    /// It fits, and there is a note of a time when something did not.
    FitsAgain,
}

impl Room {
    pub(crate) fn of(used: u64, since: Option<Timestamp>, adding: u64, most: Quota) -> Self {
        let fits = most.0.is_none_or(|most| used.saturating_add(adding) <= most);
        match (fits, since) {
            (true, None) => Self::Fits,
            (true, Some(_)) => Self::FitsAgain,
            (false, since) => Self::Full(since),
        }
    }
}

const ROOM: TenantSql = TenantSql::new("SELECT bytes, full_since FROM usage WHERE tenant = $1");
const NOTE: TenantSql = TenantSql::new("UPDATE usage SET full_since = $2 WHERE tenant = $1");

/// Is there room for `adding` bytes in the tenant's pool?
///
/// # Errors
/// [`StoreError`].
pub fn pool_room(tx: &mut TenantTx<'_>, adding: u64, pool: Quota) -> Result<Room, StoreError> {
    let found = tx.row(ROOM, &[], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (used, since) = found.unwrap_or_default();
    Ok(Room::of(used, since, adding, pool))
}

/// Notes since when the tenant's pool is full, or that it is not.
///
/// # Errors
/// [`StoreError`].
pub fn note_pool_full(tx: &mut TenantTx<'_>, since: Option<Timestamp>) -> Result<(), StoreError> {
    tx.execute(NOTE, &[since.into()]).map(drop)
}

/// Adds to a tenant's usage (or takes away, with negative numbers). False if the pool would
/// be overdrawn.
pub(crate) fn add(tx: &mut TenantTx<'_>, messages: i64, bytes: i64, pool: Quota) -> Result<bool, StoreError> {
    if bytes > pool.limit() {
        return Ok(false);
    }
    Ok(tx.execute(ADD, &[messages.into(), bytes.into(), pool.limit().into()])? == 1)
}

/// Messages and bytes of a tenant.
pub(crate) fn of_tenant(tx: &mut TenantTx<'_>) -> Result<(u64, u64), StoreError> {
    Ok(tx.row(GET, &[], |row| Ok((row.get(0)?, row.get(1)?)))?.unwrap_or_default())
}
