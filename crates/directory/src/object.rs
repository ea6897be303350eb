//! Objects as rows: the same columns and the same statements for every kind.

use hikyaku_store::{ControlTx, Param, Row, Sql, StoreError, TenantSql, TenantTx};
use hikyaku_types::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::kind::Kind;

/// What an object is fit for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It works.
    Active,
    /// It is there and does not work: no sign-in, mail is put off.
    Suspended,
    /// It is as if it were not there, and can be undeleted until its time has come.
    Deleted,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Active, Self::Suspended, Self::Deleted];

    pub(crate) const fn number(self) -> i64 {
        match self {
            Self::Active => 1,
            Self::Suspended => 2,
            Self::Deleted => 3,
        }
    }

    /// The state of a number; what is unknown does not work.
    pub(crate) const fn of_number(number: i64) -> Self {
        match number {
            1 => Self::Active,
            3 => Self::Deleted,
            _ => Self::Suspended,
        }
    }

    /// `active`, …
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deleted => "deleted",
        }
    }
}

/// An object without its secrets.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// What it is.
    pub kind: Kind,
    /// Its id's number.
    pub id: i64,
    /// Whose it is.
    pub tenant: TenantId,
    /// What it depends on.
    pub parent: Option<i64>,
    /// What it is called by, unique in its kind (groups: in their tenant).
    pub name: String,
    /// What it is fit for.
    pub state: State,
    /// Raised by each change.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub changed_at: Timestamp,
    /// A deleted one is removed after this.
    pub until: Option<Timestamp>,
    /// Its fields.
    pub data: Value,
}

impl Object {
    /// Puts the record's fields into the data; what a newer program added stays.
    pub(crate) fn set_record<R: Serialize>(&mut self, record: &R) -> Result<(), StoreError> {
        let Value::Object(fields) = serde_json::to_value(record).map_err(damaged)? else { return Ok(()) };
        match &mut self.data {
            Value::Object(data) => data.extend(fields),
            other => *other = Value::Object(fields),
        }
        Ok(())
    }
}

/// The fields of an object, as its kind's record.
pub(crate) fn record<R: for<'de> Deserialize<'de>>(data: &Value) -> Result<R, StoreError> {
    R::deserialize(data).map_err(damaged)
}

pub(crate) fn parse<R: for<'de> Deserialize<'de>>(text: &str) -> Result<R, StoreError> {
    serde_json::from_str(text).map_err(damaged)
}

fn damaged(error: serde_json::Error) -> StoreError {
    StoreError::Failed { label: "directory.data", cause: error.to_string() }
}

/// The statements on one kind's table.
#[derive(Debug)]
pub(crate) struct Statements {
    insert: TenantSql,
    update: TenantSql,
    delete: TenantSql,
    by_id: TenantSql,
    by_name: TenantSql,
    list: TenantSql,
    count: TenantSql,
    children: TenantSql,
    anywhere_by_id: Sql,
    anywhere_by_name: Sql,
    list_anywhere: Sql,
    dying: Sql,
}

macro_rules! statements {
    ($table:literal) => {
        Statements {
            insert: TenantSql::new(concat!(
                "INSERT INTO ",
                $table,
                " (tenant, id, parent, name, state, version, created_at, changed_at, data)
                 VALUES ($1, $2, $3, $4, 1, 1, $5, $5, $6) ON CONFLICT DO NOTHING"
            )),
            update: TenantSql::new(concat!(
                "UPDATE ",
                $table,
                " SET parent = $3, name = $4, state = $5, version = $6, changed_at = $7,
                    until = $8, data = $9
                 WHERE tenant = $1 AND id = $2"
            )),
            delete: TenantSql::new(concat!("DELETE FROM ", $table, " WHERE tenant = $1 AND id = $2")),
            by_id: TenantSql::new(concat!(
                "SELECT id, tenant, parent, name, state, version, created_at, changed_at, until, data FROM ",
                $table,
                " WHERE tenant = $1 AND id = $2"
            )),
            by_name: TenantSql::new(concat!(
                "SELECT id, tenant, parent, name, state, version, created_at, changed_at, until, data FROM ",
                $table,
                " WHERE tenant = $1 AND name = $2"
            )),
            list: TenantSql::new(concat!(
                "SELECT id, tenant, parent, name, state, version, created_at, changed_at, until, data FROM ",
                $table,
                " WHERE tenant = $1 AND (name, id) > ($2, $3) AND state BETWEEN $4 AND $5
                    AND name LIKE $6 ESCAPE '!' AND (parent = $7 OR $7 = 0)
                 ORDER BY name, id LIMIT $8"
            )),
            count: TenantSql::new(concat!("SELECT COUNT(*) FROM ", $table, " WHERE tenant = $1")),
            children: TenantSql::new(concat!(
                "SELECT id, tenant, parent, name, state, version, created_at, changed_at, until, data FROM ",
                $table,
                " WHERE tenant = $1 AND parent = $2 ORDER BY name LIMIT $3"
            )),
            anywhere_by_id: Sql::new(concat!("SELECT id, tenant FROM ", $table, " WHERE id = $1")),
            anywhere_by_name: Sql::new(concat!("SELECT id, tenant FROM ", $table, " WHERE name = $1")),
            list_anywhere: Sql::new(concat!(
                "SELECT id, tenant, parent, name, state, version, created_at, changed_at, until, data FROM ",
                $table,
                " WHERE (name, id) > ($1, $2) AND id < 9223372036854775807 AND state BETWEEN $3 AND $4
                    AND name LIKE $5 ESCAPE '!' AND (parent = $6 OR $6 = 0)
                 ORDER BY name, id LIMIT $7"
            )),
            dying: Sql::new(concat!(
                "SELECT id, tenant FROM ",
                $table,
                " WHERE state = 3 AND until < $1 LIMIT 100"
            )),
        }
    };
}

impl Kind {
    pub(crate) const fn statements(self) -> &'static Statements {
        const PLAN: Statements = statements!("plan");
        const TENANT: Statements = statements!("tenant");
        const DOMAIN: Statements = statements!("domain");
        const ACCOUNT: Statements = statements!("account");
        const ALIAS: Statements = statements!("alias");
        const LIST: Statements = statements!("list");
        const GROUP: Statements = statements!("user_group");
        const ROLE: Statements = statements!("role");
        const CREDENTIAL: Statements = statements!("credential");
        const RULE: Statements = statements!("rule");
        const EXCEPTION: Statements = statements!("exception");
        match self {
            Self::Plan => &PLAN,
            Self::Tenant => &TENANT,
            Self::Domain => &DOMAIN,
            Self::Account => &ACCOUNT,
            Self::Alias => &ALIAS,
            Self::List => &LIST,
            Self::Group => &GROUP,
            Self::Role => &ROLE,
            Self::Credential => &CREDENTIAL,
            Self::Rule => &RULE,
            Self::Exception => &EXCEPTION,
        }
    }
}

/// Where an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) tenant: TenantId,
    pub(crate) id: i64,
}

fn read_place(row: Row<'_>) -> Result<Place, StoreError> {
    Ok(Place { id: row.get(0)?, tenant: row.get(1)? })
}

fn read_object(kind: Kind, row: Row<'_>) -> Result<Object, StoreError> {
    Ok(Object {
        kind,
        id: row.get(0)?,
        tenant: row.get(1)?,
        parent: row.get(2)?,
        name: row.get(3)?,
        state: State::of_number(row.get(4)?),
        version: row.get(5)?,
        created_at: row.get(6)?,
        changed_at: row.get(7)?,
        until: row.get(8)?,
        data: parse(&row.get::<String>(9)?)?,
    })
}

/// Inserts a new object. False if its name is taken.
pub(crate) fn insert(tx: &mut TenantTx<'_>, object: &Object) -> Result<bool, StoreError> {
    let data = object.data.to_string();
    let params = [
        object.id.into(),
        object.parent.into(),
        (&object.name).into(),
        object.created_at.into(),
        (&data).into(),
    ];
    Ok(tx.execute(object.kind.statements().insert, &params)? == 1)
}

/// Writes a changed object.
pub(crate) fn update(tx: &mut TenantTx<'_>, object: &Object) -> Result<(), StoreError> {
    let data = object.data.to_string();
    let params = [
        object.id.into(),
        object.parent.into(),
        (&object.name).into(),
        object.state.number().into(),
        object.version.into(),
        object.changed_at.into(),
        object.until.into(),
        (&data).into(),
    ];
    tx.execute(object.kind.statements().update, &params).map(drop)
}

/// Removes an object for good.
pub(crate) fn delete(tx: &mut TenantTx<'_>, kind: Kind, id: i64) -> Result<(), StoreError> {
    tx.execute(kind.statements().delete, &[id.into()]).map(drop)
}

/// The tenant's object with this id.
pub(crate) fn by_id(tx: &mut TenantTx<'_>, kind: Kind, id: i64) -> Result<Option<Object>, StoreError> {
    tx.row(kind.statements().by_id, &[id.into()], |row| read_object(kind, row))
}

/// The tenant's object of this name.
pub(crate) fn by_name(tx: &mut TenantTx<'_>, kind: Kind, name: &str) -> Result<Option<Object>, StoreError> {
    tx.row(kind.statements().by_name, &[name.into()], |row| read_object(kind, row))
}

/// How many the tenant has, deleted ones too: they can be undeleted.
pub(crate) fn count(tx: &mut TenantTx<'_>, kind: Kind) -> Result<u64, StoreError> {
    Ok(tx.row(kind.statements().count, &[], |row| row.get(0))?.unwrap_or(0))
}

/// Objects of the kind that depend on `parent`, at most `most`.
pub(crate) fn children(
    tx: &mut TenantTx<'_>,
    kind: Kind,
    parent: i64,
    most: u16,
) -> Result<Vec<Object>, StoreError> {
    tx.rows(kind.statements().children, &[parent.into(), most.into()], |row| read_object(kind, row))
}

/// Where the object with this id is.
pub(crate) fn find_id(tx: &mut ControlTx<'_>, kind: Kind, id: i64) -> Result<Option<Place>, StoreError> {
    tx.row(kind.statements().anywhere_by_id, &[id.into()], read_place)
}

/// Where the object of this name is. For groups, any of that name.
pub(crate) fn find_name(tx: &mut ControlTx<'_>, kind: Kind, name: &str) -> Result<Vec<Place>, StoreError> {
    tx.rows(kind.statements().anywhere_by_name, &[name.into()], read_place)
}

const BY_ADDRESS: Sql = Sql::new("SELECT object, tenant FROM address WHERE key = $1 AND kind = $2");

/// Where the object that has this address is.
pub(crate) fn find_address(
    tx: &mut ControlTx<'_>,
    kind: Kind,
    key: &str,
) -> Result<Option<Place>, StoreError> {
    tx.row(BY_ADDRESS, &[key.into(), crate::addresses::number(kind).into()], read_place)
}

/// Deleted objects whose time has come, a step of them.
pub(crate) fn dying(tx: &mut ControlTx<'_>, kind: Kind, now: Timestamp) -> Result<Vec<Place>, StoreError> {
    tx.rows(kind.statements().dying, &[now.into()], read_place)
}

/// Which objects are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Only those whose name contains this.
    #[serde(default)]
    pub search: Option<String>,
    /// Only those in this state; without it all that are not deleted.
    #[serde(default)]
    pub state: Option<State>,
    /// Deleted ones too.
    #[serde(default)]
    pub deleted_too: bool,
    /// Only those that depend on this object: accounts of a domain, credentials of an account.
    #[serde(default)]
    pub parent: Option<i64>,
    /// Only those behind this one: its name and id, as the last page ended.
    #[serde(default)]
    pub after: Option<(String, i64)>,
    /// How many at most; 100 without it, 500 at most.
    #[serde(default)]
    pub limit: Option<u16>,
}

impl Filter {
    /// How many are read at most.
    pub fn limit(&self) -> u16 {
        self.limit.unwrap_or(100).clamp(1, 500)
    }

    /// Everything, deleted or not.
    pub(crate) fn everything() -> Self {
        Self { deleted_too: true, limit: Some(200), ..Self::default() }
    }

    fn states(&self) -> (i64, i64) {
        let last = if self.deleted_too { State::Deleted } else { State::Suspended };
        let (first, last) = self.state.map_or((State::Active, last), |state| (state, state));
        (first.number(), last.number())
    }

    /// What both statements that list want, in their order.
    fn params<'a>(&'a self, pattern: &'a str) -> [Param<'a>; 7] {
        let (first, last) = self.states();
        let (name, id) = self.after.as_ref().map_or(("", 0), |(name, id)| (name.as_str(), *id));
        [
            name.into(),
            id.into(),
            first.into(),
            last.into(),
            pattern.into(),
            self.parent.unwrap_or(0).into(),
            self.limit().into(),
        ]
    }

    fn pattern(&self) -> String {
        let mut pattern = String::from("%");
        for c in self.search.as_deref().unwrap_or_default().to_lowercase().chars() {
            if matches!(c, '%' | '_' | '!') {
                pattern.push('!');
            }
            pattern.push(c);
        }
        if pattern.len() > 1 {
            pattern.push('%');
        }
        pattern
    }
}

/// A page of a tenant's objects.
pub(crate) fn list(tx: &mut TenantTx<'_>, kind: Kind, filter: &Filter) -> Result<Vec<Object>, StoreError> {
    let pattern = filter.pattern();
    tx.rows(kind.statements().list, &filter.params(&pattern), |row| read_object(kind, row))
}

/// A page of every tenant's objects. The platform, whose number is the highest, is none.
pub(crate) fn list_anywhere(
    tx: &mut ControlTx<'_>,
    kind: Kind,
    filter: &Filter,
) -> Result<Vec<Object>, StoreError> {
    let pattern = filter.pattern();
    tx.rows(kind.statements().list_anywhere, &filter.params(&pattern), |row| read_object(kind, row))
}
