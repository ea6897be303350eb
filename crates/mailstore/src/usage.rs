//! Usage and quota: what an account and its tenant have stored, and what they may.
//!
//! Limit values are the caller's (from cached control data); the counters are here, and the
//! statement that counts is the one that refuses. Usage rows are the last that a transaction
//! locks.

use hikyaku_store::{StoreError, TenantSql, TenantTx};
use hikyaku_types::AccountId;

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
