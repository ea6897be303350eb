//! Blocks in the access database.

use hikyaku_access::block::{Block, BlockKey};
use hikyaku_access::facts::SubjectKey;
use hikyaku_access::reason::Reason;
use hikyaku_store::{Param, Row, ServiceTx, Sql, StoreError};
use hikyaku_types::{Network, TenantId, Timestamp};

use crate::line::{damaged, read_subject, subject_columns, tenant_column, word};
use crate::word::Word;

/// A block that was read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stored {
    pub(crate) block: Block,
    /// An administrator ended it.
    pub(crate) lifted: bool,
    pub(crate) changed: Timestamp,
}

const UPSERT: Sql = Sql::new(
    "INSERT INTO block (tenant, account, name, source, class, since, until, reason, earlier, failures, lifted, changed)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, $11)
     ON CONFLICT (tenant, account, name, source, class) DO UPDATE SET
        since = excluded.since, until = excluded.until, reason = excluded.reason, earlier = excluded.earlier,
        failures = excluded.failures, lifted = 0, changed = excluded.changed
     WHERE block.lifted = 1 OR block.until < excluded.until",
);
const LIFT: Sql = Sql::new(
    "UPDATE block SET lifted = 1, until = $6, changed = $6
     WHERE tenant = $1 AND account = $2 AND name = $3 AND source = $4 AND class = $5 AND lifted = 0",
);
const CHANGED: Sql = Sql::new(
    "SELECT tenant, account, name, source, class, since, until, reason, earlier, failures, lifted, changed
     FROM block WHERE changed >= $1 ORDER BY changed LIMIT 1000 OFFSET $2",
);

/// Writes a block. Of two with one key the longer stays.
pub(crate) fn write(tx: &mut ServiceTx<'_>, block: &Block, now: Timestamp) -> Result<(), StoreError> {
    let source = block.key.source.to_string();
    let [tenant, account, name, source, class] = key(&block.key, &source);
    let values = [
        tenant,
        account,
        name,
        source,
        class,
        block.since.into(),
        block.until.into(),
        block.reason.code().into(),
        block.earlier.into(),
        block.failures.into(),
        now.into(),
    ];
    tx.execute(UPSERT, &values).map(drop)
}

/// Ends a block, so that it counts as none.
pub(crate) fn lift(tx: &mut ServiceTx<'_>, ended: &BlockKey, now: Timestamp) -> Result<(), StoreError> {
    let source = ended.source.to_string();
    let [tenant, account, name, source, class] = key(ended, &source);
    tx.execute(LIFT, &[tenant, account, name, source, class, now.into()]).map(drop)
}

/// What was written since `since`, a page after `skip` rows.
pub(crate) fn changed(
    tx: &mut ServiceTx<'_>,
    since: Timestamp,
    skip: u32,
) -> Result<Vec<Stored>, StoreError> {
    tx.rows(CHANGED, &[since.into(), skip.into()], read)
}

fn key<'a>(key: &BlockKey, source: &'a str) -> [Param<'a>; 5] {
    let (account, name) = key.subject.map_or((None, None), subject_columns);
    [
        tenant_column(key.tenant).into(),
        account.unwrap_or(0).into(),
        name.unwrap_or(0).into(),
        source.into(),
        key.class.word().into(),
    ]
}

fn read(row: Row<'_>) -> Result<Stored, StoreError> {
    let subject = match (row.get::<i64>(1)?, row.get::<i64>(2)?) {
        (0, 0) => None,
        (account, name) => Some(read_subject((account != 0).then_some(account), Some(name))),
    };
    let key = BlockKey {
        tenant: TenantId::from_i64(row.get(0)?),
        subject,
        source: Network::parse(&row.get::<String>(3)?).map_err(|_| damaged("source"))?,
        class: word(&row, 4)?,
    };
    let reason = Reason::from_code(&row.get::<String>(7)?).ok_or_else(|| damaged("reason"))?;
    let block = Block {
        key,
        since: row.get(5)?,
        until: row.get(6)?,
        reason,
        earlier: row.get(8)?,
        failures: row.get(9)?,
    };
    Ok(Stored { block, lifted: row.get(10)?, changed: row.get(11)? })
}

/// Does the block name this subject, as far as one is wanted?
pub(crate) fn is_about(block: &Block, subject: Option<SubjectKey>) -> bool {
    subject.is_none() || block.key.subject == subject
}
