//! Who lifted which block, and why.

use hikyaku_access::block::{Block, BlockKey};
use hikyaku_store::{Row, ServiceTx, Sql, StoreError};
use hikyaku_types::{Network, TenantId, Timestamp};

use crate::line::{damaged, read_subject, subject_columns, tenant_column, word};
use crate::word::Word;

/// A block that somebody lifted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lift {
    /// Its id, which rises with time.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// Who, as the audit log names operators: `operator root`.
    pub who: String,
    /// Why, if that was said.
    pub why: Option<String>,
    /// What was lifted.
    pub key: BlockKey,
}

const INSERT: Sql = Sql::new(
    "INSERT INTO lift (id, at, who, why, tenant, account, name, source, class)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
);
const OF_TENANT: Sql = Sql::new(
    "SELECT id, at, who, why, tenant, account, name, source, class
     FROM lift WHERE tenant = $1 ORDER BY id DESC LIMIT $2",
);
const OF_ALL: Sql = Sql::new(
    "SELECT id, at, who, why, tenant, account, name, source, class FROM lift ORDER BY id DESC LIMIT $1",
);

impl Lift {
    pub(crate) fn of(id: i64, block: &Block, at: Timestamp, who: &str, why: Option<&str>) -> Self {
        Self { id, at, who: who.to_owned(), why: why.map(str::to_owned), key: block.key }
    }
}

/// Writes it down.
pub(crate) fn write(tx: &mut ServiceTx<'_>, lift: &Lift) -> Result<(), StoreError> {
    let source = lift.key.source.to_string();
    let (account, name) = lift.key.subject.map_or((None, None), subject_columns);
    let values = [
        lift.id.into(),
        lift.at.into(),
        (&lift.who).into(),
        lift.why.as_deref().into(),
        tenant_column(lift.key.tenant).into(),
        account.into(),
        name.into(),
        (&source).into(),
        lift.key.class.word().into(),
    ];
    tx.execute(INSERT, &values).map(drop)
}

/// Those of a tenant or of all, the newest first.
pub(crate) fn list(
    tx: &mut ServiceTx<'_>,
    tenant: Option<TenantId>,
    limit: u16,
) -> Result<Vec<Lift>, StoreError> {
    match tenant {
        Some(tenant) => tx.rows(OF_TENANT, &[tenant.into(), limit.into()], read),
        None => tx.rows(OF_ALL, &[limit.into()], read),
    }
}

fn read(row: Row<'_>) -> Result<Lift, StoreError> {
    let subject = match (row.get::<Option<i64>>(5)?, row.get::<Option<i64>>(6)?) {
        (None, None) => None,
        (account, name) => Some(read_subject(account, name)),
    };
    let key = BlockKey {
        tenant: TenantId::from_i64(row.get(4)?),
        subject,
        source: Network::parse(&row.get::<String>(7)?).map_err(|_| damaged("source"))?,
        class: word(&row, 8)?,
    };
    Ok(Lift { id: row.get(0)?, at: row.get(1)?, who: row.get(2)?, why: row.get(3)?, key })
}
