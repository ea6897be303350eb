//! What servers ask of the directory, read from its tables and kept in bounded caches.
//!
//! A miss costs one indexed read. Invariants:
//! - what was read before a change is not put into a cache after it: [`Caches::keep`] looks
//!   whether anything was forgotten meanwhile;
//! - a cache that has not heard of other nodes' changes for [`MOST_SILENCE`] is not asked.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hikyaku_store::{ControlTx, Sql, StoreError, TenantTx};
use hikyaku_types::{AccountId, Address, AddressKey, CredentialId, Domain, DomainId, TenantId, Timestamp};
use moka::sync::Cache;

use crate::addresses;
use crate::changes::Changes;
use crate::field::Text;
use crate::kind::credential::{Credential, CredentialKind};
use crate::kind::exception::Exception;
use crate::kind::plan::Plan;
use crate::kind::rule::{self, Rule, RuleLevel};
use crate::kind::{Kind, account, alias, domain, group, list, tenant};
use crate::log::Cached;
use crate::object::{self, Filter, Object, State, parse, record};

/// So long may a node not have heard of the others' changes.
const MOST_SILENCE: Duration = Duration::from_secs(10);

/// A tenant and what its plan allows.
#[derive(Debug)]
pub struct TenantFacts {
    /// The tenant.
    pub id: TenantId,
    /// What it is fit for.
    pub state: State,
    /// Its fields.
    pub fields: tenant::Tenant,
    /// Its plan.
    pub plan: Plan,
}

/// A domain of ours.
#[derive(Debug)]
pub struct DomainFacts {
    /// The domain.
    pub id: DomainId,
    /// Its tenant.
    pub tenant: TenantId,
    /// What it is fit for.
    pub state: State,
    /// The domain whose other name it is.
    pub alias_of: Option<Domain>,
    /// Who gets mail to addresses that there are not.
    pub catch_all: Option<Address>,
    /// What parts a name from its tag.
    pub tag_separator: Option<char>,
    /// All its fields.
    pub fields: domain::Domain,
}

/// An account, as far as it does not depend on its tenant.
#[derive(Debug)]
pub struct AccountFacts {
    /// The account.
    pub id: AccountId,
    /// The address that it is called by.
    pub address: Address,
    /// Bytes that it may store by itself.
    pub quota: Option<u64>,
    /// Where its mail is sent on to.
    pub forward_to: Vec<Address>,
    /// Does its own mailbox get mail that is sent on?
    pub keep_copy: bool,
    /// Does mail to its name with a tag go into the mailbox called like the tag?
    pub tag_mailbox: bool,
}

/// What an address leads to.
#[derive(Debug)]
pub(crate) struct Lead {
    pub(crate) tenant: TenantId,
    pub(crate) state: State,
    pub(crate) to: LeadsTo,
}

#[derive(Debug)]
pub(crate) enum LeadsTo {
    Account(Arc<AccountFacts>),
    Others(Vec<Address>),
}

/// One credential of an account.
#[derive(Debug, Clone)]
pub(crate) struct CredentialFacts {
    pub(crate) id: CredentialId,
    pub(crate) state: State,
    pub(crate) version: i64,
    pub(crate) fields: Credential,
    pub(crate) secret: Secret,
    /// What checks an app password by SCRAM.
    pub(crate) scram: Option<Secret>,
    pub(crate) prefix: Option<String>,
    pub(crate) used_at: Option<Timestamp>,
}

impl CredentialFacts {
    /// Is it the account's password, and in use?
    pub(crate) fn is_password(&self) -> bool {
        self.fields.kind == CredentialKind::Password && self.state == State::Active
    }
}

/// A stored hash, which is not for logs.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// From where the accounts of a tenant may sign in: its rules and exceptions that are not
/// deleted, who is in the groups that have rules, and how many accounts there are.
#[derive(Debug, Default)]
pub struct AccessFacts {
    /// Its rules.
    pub rules: Vec<(RuleLevel, Rule)>,
    /// Its exceptions.
    pub exceptions: Vec<Exception>,
    /// The numbers of the groups with rules that its accounts are in.
    pub groups: HashMap<AccountId, Vec<i64>>,
    /// Its accounts, deleted ones too.
    pub accounts: u32,
}

/// Reads what a tenant's rules say.
pub(crate) fn read_access(tx: &mut TenantTx<'_>) -> Result<AccessFacts, StoreError> {
    let mut facts = AccessFacts::default();
    for object in living(tx, Kind::Rule)? {
        facts.rules.push((rule::level(&object), record(&object.data)?));
    }
    for object in living(tx, Kind::Exception)? {
        facts.exceptions.push(record(&object.data)?);
    }
    let mut groups: Vec<i64> = facts
        .rules
        .iter()
        .filter_map(|(level, _)| if let RuleLevel::Group(group) = level { Some(*group) } else { None })
        .collect();
    groups.sort_unstable();
    groups.dedup();
    for group in groups {
        let found = object::by_id(tx, Kind::Group, group)?.filter(|group| group.state == State::Active);
        if let Some(found) = found {
            for member in plain(record::<group::Group>(&found.data)?.members) {
                facts.groups.entry(member).or_default().push(group);
            }
        }
    }
    facts.accounts = u32::try_from(object::count(tx, Kind::Account)?).unwrap_or(u32::MAX);
    Ok(facts)
}

/// Those that work. A tenant has at most [`rule::MOST`] of either.
fn living(tx: &mut TenantTx<'_>, kind: Kind) -> Result<Vec<Object>, StoreError> {
    let filter = Filter { state: Some(State::Active), limit: Some(rule::MOST), ..Filter::default() };
    object::list(tx, kind, &filter)
}

const ADDRESS: Sql = Sql::new(
    "SELECT a.kind, a.object, a.tenant, COALESCE(c.state, n.state, l.state), COALESCE(c.data, n.data, l.data)
     FROM address a
        LEFT JOIN account c ON a.kind = 1 AND c.id = a.object
        LEFT JOIN alias n ON a.kind = 2 AND n.id = a.object
        LEFT JOIN list l ON a.kind = 3 AND l.id = a.object
     WHERE a.key = $1",
);
const DOMAIN: Sql = Sql::new("SELECT id, tenant, state, data FROM domain WHERE name = $1");
const TENANT: Sql = Sql::new(
    "SELECT t.state, t.data, p.data FROM tenant t LEFT JOIN plan p ON p.id = t.parent WHERE t.id = $1",
);
const CREDENTIALS: Sql = Sql::new(
    "SELECT id, state, version, data, secret, prefix, used_at, scram FROM credential
     WHERE tenant = $1 AND parent = $2 ORDER BY name LIMIT 200",
);

pub(crate) fn read_lead(tx: &mut ControlTx<'_>, key: &str) -> Result<Option<Lead>, StoreError> {
    let row = tx.row(ADDRESS, &[key.into()], |row| {
        Ok((row.get::<i64>(0)?, row.get(1)?, row.get(2)?, row.get::<i64>(3)?, row.get::<String>(4)?))
    })?;
    let Some((kind, object, tenant, state, data)) = row else { return Ok(None) };
    let to = match addresses::kind_of(kind) {
        Some(Kind::Account) => LeadsTo::Account(Arc::new(account_facts(object, &data)?)),
        Some(Kind::Alias) => LeadsTo::Others(plain(parse::<alias::Alias>(&data)?.targets)),
        _ => LeadsTo::Others(plain(parse::<list::List>(&data)?.members)),
    };
    Ok(Some(Lead { tenant, state: State::of_number(state), to }))
}

fn plain<T>(values: Vec<Text<T>>) -> Vec<T> {
    values.into_iter().map(|value| value.0).collect()
}

fn account_facts(id: i64, data: &str) -> Result<AccountFacts, StoreError> {
    let fields: account::Account = parse(data)?;
    let damaged =
        || StoreError::Failed { label: "directory.account", cause: "an account without address".into() };
    let mut own = fields.addresses.into_iter();
    Ok(AccountFacts {
        id: AccountId::from_i64(id).ok_or_else(damaged)?,
        address: own.next().ok_or_else(damaged)?.0,
        quota: fields.quota.0,
        forward_to: plain(fields.forward_to),
        keep_copy: fields.keep_copy,
        tag_mailbox: fields.tag_mailbox,
    })
}

pub(crate) fn read_domain(tx: &mut ControlTx<'_>, name: &str) -> Result<Option<DomainFacts>, StoreError> {
    tx.row(DOMAIN, &[name.into()], |row| {
        let fields: domain::Domain = parse(&row.get::<String>(3)?)?;
        Ok(DomainFacts {
            id: row.get(0)?,
            tenant: row.get(1)?,
            state: State::of_number(row.get(2)?),
            alias_of: fields.alias_of.as_ref().map(|domain| domain.0.clone()),
            catch_all: fields.catch_all.as_ref().map(|address| address.0.clone()),
            tag_separator: fields.tag_separator.map(|separator| separator.0),
            fields,
        })
    })
}

pub(crate) fn read_tenant(tx: &mut ControlTx<'_>, id: TenantId) -> Result<Option<TenantFacts>, StoreError> {
    tx.row(TENANT, &[id.into()], |row| {
        let plan: Option<String> = row.get(2)?;
        Ok(TenantFacts {
            id,
            state: State::of_number(row.get(0)?),
            fields: parse(&row.get::<String>(1)?)?,
            plan: plan.map_or_else(|| Ok(Plan::default()), |data| parse(&data))?,
        })
    })
}

pub(crate) fn read_credentials(
    tx: &mut ControlTx<'_>,
    tenant: TenantId,
    account: AccountId,
) -> Result<Vec<CredentialFacts>, StoreError> {
    tx.rows(CREDENTIALS, &[tenant.into(), account.into()], |row| {
        Ok(CredentialFacts {
            id: row.get(0)?,
            state: State::of_number(row.get(1)?),
            version: row.get(2)?,
            fields: parse(&row.get::<String>(3)?)?,
            secret: Secret(row.get::<Option<String>>(4)?.unwrap_or_default()),
            prefix: row.get(5)?,
            used_at: row.get(6)?,
            scram: row.get::<Option<String>>(7)?.map(Secret),
        })
    })
}

/// Most entries of each cache: 100,000 active accounts fit with room to spare.
#[derive(Debug, Clone, Copy)]
pub struct CacheSizes {
    /// Addresses, those that there are not among them.
    pub addresses: u64,
    /// Domains, foreign ones among them.
    pub domains: u64,
    /// Tenants.
    pub tenants: u64,
    /// Accounts whose credentials are kept.
    pub credentials: u64,
}

impl Default for CacheSizes {
    fn default() -> Self {
        Self { addresses: 200_000, domains: 50_000, tenants: 30_000, credentials: 100_000 }
    }
}

/// The caches of one node.
#[derive(Debug)]
pub(crate) struct Caches {
    pub(crate) addresses: Cache<AddressKey, Option<Arc<Lead>>>,
    pub(crate) domains: Cache<Domain, Option<Arc<DomainFacts>>>,
    pub(crate) tenants: Cache<TenantId, Arc<TenantFacts>>,
    /// Forgotten with the tenant.
    pub(crate) access: Cache<TenantId, Arc<AccessFacts>>,
    pub(crate) credentials: Cache<AccountId, Arc<[CredentialFacts]>>,
    /// Has any tenant chosen SCRAM?
    pub(crate) scram: Cache<(), bool>,
    /// How often something was forgotten.
    forgotten: Mutex<u64>,
    /// What was.
    changes: Mutex<Changes>,
    /// Milliseconds of the last time when other nodes' changes were heard of; 0: there are none.
    heard_at: AtomicI64,
}

impl Caches {
    pub(crate) fn new(sizes: CacheSizes) -> Self {
        Self {
            addresses: Cache::new(sizes.addresses),
            domains: Cache::new(sizes.domains),
            tenants: Cache::new(sizes.tenants),
            access: Cache::new(sizes.tenants),
            credentials: Cache::new(sizes.credentials),
            scram: Cache::new(1),
            forgotten: Mutex::new(0),
            changes: Mutex::default(),
            heard_at: AtomicI64::new(0),
        }
    }

    /// Other nodes' changes up to now are known.
    pub(crate) fn heard(&self, now: Timestamp) {
        self.heard_at.store(now.as_millis(), Ordering::Relaxed);
    }

    /// May the caches be believed?
    pub(crate) fn are_fresh(&self, now: Timestamp) -> bool {
        let heard_at = self.heard_at.load(Ordering::Relaxed);
        heard_at == 0 || now.since(Timestamp::from_millis(heard_at)) <= MOST_SILENCE
    }

    fn forgotten(&self) -> MutexGuard<'_, u64> {
        self.forgotten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was forgotten since this was last called.
    pub(crate) fn take_changes(&self) -> Changes {
        std::mem::take(&mut *self.changes())
    }

    /// To be taken before what is kept is read.
    pub(crate) fn mark(&self) -> u64 {
        *self.forgotten()
    }

    /// Runs `keep`, which puts something into a cache, unless anything was forgotten since
    /// the mark.
    pub(crate) fn keep(&self, mark: u64, keep: impl FnOnce(&Self)) {
        let forgotten = self.forgotten();
        if *forgotten == mark {
            keep(self);
        }
    }

    /// Forgets.
    pub(crate) fn forget(&self, all: &[Cached]) {
        let mut forgotten = self.forgotten();
        *forgotten += 1;
        let mut changes = self.changes();
        for cached in all {
            changes.note(cached);
            match cached {
                Cached::Address(key) => self.addresses.invalidate(&AddressKey::from_stored(key)),
                Cached::Domain(name) => {
                    if let Ok(name) = Domain::parse(name) {
                        self.domains.invalidate(&name);
                    }
                }
                Cached::Tenant(id) => {
                    self.scram.invalidate_all();
                    if let Some(id) = TenantId::from_i64(*id) {
                        self.tenants.invalidate(&id);
                        self.access.invalidate(&id);
                    }
                }
                Cached::Credentials(id) => {
                    if let Some(id) = AccountId::from_i64(*id) {
                        self.credentials.invalidate(&id);
                    }
                }
                Cached::Plans => self.tenants.invalidate_all(),
            }
        }
    }

    /// Forgets everything.
    pub(crate) fn forget_all(&self) {
        let mut forgotten = self.forgotten();
        *forgotten += 1;
        self.changes().all();
        self.addresses.invalidate_all();
        self.domains.invalidate_all();
        self.tenants.invalidate_all();
        self.access.invalidate_all();
        self.credentials.invalidate_all();
        self.scram.invalidate_all();
    }
}
