//! How much an account may send.
//!
//! The values come from the tenant's plan; the counters are a row of the account, raised by
//! the statement that refuses. A window begins with the first recipient after the one before
//! has passed, so that a quiet account changes one row and needs no history.
//! Known weakness: around the end of a window an account can send nearly twice its limit
//! within one hour.

use std::time::Duration;

use hikyaku_store::{AccountSql, AccountTx, StoreError};
use hikyaku_types::{AccountId, TenantId, Timestamp};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Recipients that an account may send to; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SendLimits {
    /// In an hour.
    pub per_hour: Option<u64>,
    /// In a day.
    pub per_day: Option<u64>,
}

/// Who sends to how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sending {
    /// Its tenant.
    pub tenant: TenantId,
    /// The account.
    pub account: AccountId,
    /// What it may.
    pub limits: SendLimits,
    /// Recipients of this message, of ours too.
    pub recipients: u32,
}

/// What a limit is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// An hour.
    Hour,
    /// A day.
    Day,
}

impl Window {
    /// `hour`, `day`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

/// The account has sent as much as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{account} may send to {most} recipients in one {}", window.word())]
pub struct LimitReached {
    /// Who.
    pub account: AccountId,
    /// Which limit.
    pub window: Window,
    /// Its value.
    pub most: u64,
}

const COUNT: AccountSql = AccountSql::new(
    "INSERT INTO sent (account, hour_from, in_hour, day_from, in_day) VALUES ($1, $2, $3, $2, $3)
     ON CONFLICT (account) DO UPDATE SET
        hour_from = CASE WHEN sent.hour_from <= $4 THEN excluded.hour_from ELSE sent.hour_from END,
        in_hour = CASE WHEN sent.hour_from <= $4 THEN 0 ELSE sent.in_hour END + excluded.in_hour,
        day_from = CASE WHEN sent.day_from <= $5 THEN excluded.day_from ELSE sent.day_from END,
        in_day = CASE WHEN sent.day_from <= $5 THEN 0 ELSE sent.in_day END + excluded.in_day
     WHERE CASE WHEN sent.hour_from <= $4 THEN 0 ELSE sent.in_hour END + excluded.in_hour <= $6
        AND CASE WHEN sent.day_from <= $5 THEN 0 ELSE sent.in_day END + excluded.in_day <= $7",
);
const IN_DAY: AccountSql =
    AccountSql::new("SELECT CASE WHEN day_from <= $2 THEN 0 ELSE in_day END FROM sent WHERE account = $1");

const FORGET: AccountSql = AccountSql::new("DELETE FROM sent WHERE account = $1");

/// Forgets how much an account has sent: it is removed for good.
///
/// # Errors
/// [`StoreError`].
pub fn forget_account(tx: &mut AccountTx<'_>) -> Result<(), StoreError> {
    tx.execute(FORGET, &[]).map(drop)
}

/// Counts what is sent, unless that breaks a limit; then says which.
pub(crate) fn count(
    tx: &mut AccountTx<'_>,
    sending: &Sending,
    now: Timestamp,
) -> Result<Option<LimitReached>, StoreError> {
    let SendLimits { per_hour, per_day } = sending.limits;
    let recipients = u64::from(sending.recipients);
    let reached = |window, most| Ok(Some(LimitReached { account: sending.account, window, most }));
    // A message beyond a limit by itself would make the account's first row.
    for (window, most) in [(Window::Day, per_day), (Window::Hour, per_hour)] {
        if let Some(most) = most.filter(|most| recipients > *most) {
            return reached(window, most);
        }
    }
    let most = |limit: Option<u64>| limit.map_or(i64::MAX, |most| i64::try_from(most).unwrap_or(i64::MAX));
    let (hour_ago, day_ago) = (now.before(HOUR), now.before(DAY));
    let params = [
        now.into(),
        sending.recipients.into(),
        hour_ago.into(),
        day_ago.into(),
        most(per_hour).into(),
        most(per_day).into(),
    ];
    if tx.execute(COUNT, &params)? == 1 {
        return Ok(None);
    }
    let in_day: u64 = tx.row(IN_DAY, &[day_ago.into()], |row| row.get(0))?.unwrap_or(0);
    match (per_day, per_hour) {
        (Some(most), _) if in_day + recipients > most => reached(Window::Day, most),
        (_, Some(most)) | (Some(most), None) => reached(Window::Hour, most),
        (None, None) => Ok(None),
    }
}
