//! What was changed: the audit log for people, and the control log for caches.
//!
//! Both are written in the transaction of the change. The control log says what caches must
//! forget; its numbers rise with time, but a transaction that began earlier can commit
//! later, so readers look back over [`LOOK_BACK`] and forget some things twice.

use std::time::Duration;

use hikyaku_store::{ControlTx, Row, Sql, StoreError, TenantSql, TenantTx};
use hikyaku_types::{AuditId, RisingIds, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::audit::Act;
use crate::kind::Kind;
use crate::object::Object;
use crate::rights::Verb;

/// No change takes longer than this.
pub const LOOK_BACK: Duration = Duration::from_secs(30);

/// Something that a cache may hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Cached {
    /// What an address leads to, by its key.
    Address(String),
    /// A domain, by its name.
    Domain(String),
    /// A tenant and its plan, by the tenant's number.
    Tenant(i64),
    /// Credentials of an account, by its number.
    Credentials(i64),
    /// Every tenant: a plan was changed.
    Plans,
}

impl Cached {
    fn kind(&self) -> i64 {
        match self {
            Self::Address(_) => 1,
            Self::Domain(_) => 2,
            Self::Tenant(_) => 3,
            Self::Credentials(_) => 4,
            Self::Plans => 5,
        }
    }

    fn key(&self) -> String {
        match self {
            Self::Address(key) | Self::Domain(key) => key.clone(),
            Self::Tenant(id) | Self::Credentials(id) => id.to_string(),
            Self::Plans => String::new(),
        }
    }

    /// `None` for what a newer program has written: then everything is forgotten.
    fn of(kind: i64, key: String) -> Option<Self> {
        match kind {
            1 => Some(Self::Address(key)),
            2 => Some(Self::Domain(key)),
            3 => key.parse().ok().map(Self::Tenant),
            4 => key.parse().ok().map(Self::Credentials),
            5 => Some(Self::Plans),
            _ => None,
        }
    }
}

const NOTE: TenantSql = TenantSql::new(
    "INSERT INTO control_log (tenant, seq, kind, key) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
);
const SINCE: Sql = Sql::new("SELECT seq, kind, key FROM control_log WHERE seq > $1 ORDER BY seq LIMIT 500");
const TRIM: Sql = Sql::new(
    "DELETE FROM control_log WHERE seq IN (SELECT seq FROM control_log WHERE seq < $1 ORDER BY seq LIMIT 500)",
);
const WRITE: TenantSql = TenantSql::new(
    "INSERT INTO audit (tenant, id, actor, action, kind, object, name, reason, before, after)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
);
const OF_TENANT: TenantSql = TenantSql::new(
    "SELECT id, tenant, actor, action, kind, object, name, reason, before, after FROM audit
     WHERE tenant = $1 AND id < $2 AND (object = $3 OR $3 = 0) ORDER BY id DESC LIMIT $4",
);
const OF_ALL: Sql = Sql::new(
    "SELECT id, tenant, actor, action, kind, object, name, reason, before, after FROM audit
     WHERE id < $1 AND (object = $2 OR $2 = 0) ORDER BY id DESC LIMIT $3",
);
const LAST: Sql = Sql::new("SELECT MAX(id) FROM audit");
const LAST_NOTE: Sql = Sql::new("SELECT MAX(seq) FROM control_log");

/// Notes what caches must forget. `seq` is the change's own.
pub(crate) fn note(tx: &mut TenantTx<'_>, seq: i64, cached: &[Cached]) -> Result<(), StoreError> {
    for one in cached {
        let key = one.key();
        tx.execute(NOTE, &[seq.into(), one.kind().into(), (&key).into()])?;
    }
    Ok(())
}

/// A step of what was noted behind `seq`: the last number, and what to forget. `None` among
/// it is everything.
pub(crate) fn noted(tx: &mut ControlTx<'_>, seq: i64) -> Result<(i64, Vec<Option<Cached>>), StoreError> {
    let rows = tx.rows(SINCE, &[seq.into()], |row| Ok((row.get::<i64>(0)?, row.get(1)?, row.get(2)?)))?;
    let last = rows.last().map_or(seq, |(seq, ..)| *seq);
    Ok((last, rows.into_iter().map(|(_, kind, key)| Cached::of(kind, key)).collect()))
}

/// Removes a step of old notes; how many went.
pub(crate) fn trim(tx: &mut ControlTx<'_>, now: Timestamp) -> Result<u64, StoreError> {
    let before = now.before(Duration::from_secs(24 * 3600));
    tx.execute(TRIM, &[RisingIds::floor_at(before).into()])
}

/// The highest rising number that the directory has used.
pub(crate) fn last(tx: &mut ControlTx<'_>) -> Result<i64, StoreError> {
    let audit = tx.row(LAST, &[], |row| row.get::<Option<i64>>(0))?.flatten().unwrap_or(0);
    let note = tx.row(LAST_NOTE, &[], |row| row.get::<Option<i64>>(0))?.flatten().unwrap_or(0);
    Ok(audit.max(note))
}

/// Who did what, when, and why.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Deed<'a> {
    pub(crate) id: AuditId,
    pub(crate) actor: &'a str,
    pub(crate) verb: Verb,
    pub(crate) reason: Option<&'a str>,
    pub(crate) before: Option<&'a Object>,
    pub(crate) after: Option<&'a Object>,
    /// Was a secret changed? It is not shown.
    pub(crate) secret: bool,
}

/// One line of the audit log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditLine {
    /// Its id, which is also when.
    pub id: String,
    /// When, in RFC 3339.
    pub at: String,
    /// Whose object it was.
    pub tenant: String,
    /// Who did it.
    pub actor: String,
    /// What: `create`, `change`, `end-sessions`, …
    pub action: String,
    /// To what kind of object.
    pub kind: String,
    /// Its id.
    pub object: String,
    /// Its name at that time.
    pub name: String,
    /// Why, if that was said.
    pub reason: Option<String>,
    /// What it was.
    pub before: Option<Value>,
    /// What it became.
    pub after: Option<Value>,
}

/// What the audit log tells of an object.
fn told(object: &Object, secret: bool) -> Value {
    let mut told = json!({
        "name": object.name, "state": object.state, "version": object.version, "data": object.data,
    });
    if secret {
        told["secret"] = json!("changed");
    }
    told
}

/// Writes a line of the audit log.
pub(crate) fn write(tx: &mut TenantTx<'_>, deed: &Deed<'_>) -> Result<(), StoreError> {
    let Some(object) = deed.after.or(deed.before) else { return Ok(()) };
    let before = deed.before.map(|object| told(object, false).to_string());
    let after = deed.after.map(|object| told(object, deed.secret).to_string());
    let params = [
        deed.id.into(),
        deed.actor.into(),
        deed.verb.word().into(),
        object.kind.word().into(),
        object.id.into(),
        (&object.name).into(),
        deed.reason.into(),
        before.as_ref().into(),
        after.as_ref().into(),
    ];
    tx.execute(WRITE, &params).map(drop)
}

/// The same for what changes no object.
pub(crate) fn write_act(
    tx: &mut TenantTx<'_>,
    id: AuditId,
    who: &str,
    (kind, object, name): (Kind, i64, &str),
    act: &Act,
) -> Result<(), StoreError> {
    let after = json!({ "what": act.what }).to_string();
    let params = [
        id.into(),
        who.into(),
        act.action.into(),
        kind.word().into(),
        object.into(),
        name.into(),
        act.reason.as_deref().into(),
        None::<&str>.into(),
        (&after).into(),
    ];
    tx.execute(WRITE, &params).map(drop)
}

fn read_line(row: Row<'_>) -> Result<AuditLine, StoreError> {
    let id: AuditId = row.get(0)?;
    let kind: String = row.get(4)?;
    let value = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
    let object: i64 = row.get(5)?;
    Ok(AuditLine {
        id: id.to_string(),
        at: RisingIds::time_of(id.as_i64()).to_string(),
        tenant: row.get::<TenantId>(1)?.to_string(),
        actor: row.get(2)?,
        action: row.get(3)?,
        object: Kind::of_word(&kind).map_or_else(|| object.to_string(), |kind| kind.id_text(object)),
        kind,
        name: row.get(6)?,
        reason: row.get(7)?,
        before: value(row.get(8)?),
        after: value(row.get(9)?),
    })
}

/// A page of a tenant's audit log, newest first, of one object or (0) of all.
pub(crate) fn of_tenant(
    tx: &mut TenantTx<'_>,
    object: i64,
    before: i64,
    most: u16,
) -> Result<Vec<AuditLine>, StoreError> {
    tx.rows(OF_TENANT, &[before.into(), object.into(), most.into()], read_line)
}

/// The same over all tenants.
pub(crate) fn of_all(
    tx: &mut ControlTx<'_>,
    object: i64,
    before: i64,
    most: u16,
) -> Result<Vec<AuditLine>, StoreError> {
    tx.rows(OF_ALL, &[before.into(), object.into(), most.into()], read_line)
}
