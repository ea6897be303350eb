//! The one way in which anything here changes.
//!
//! A change is a [`Job`]: all that had to be decided, hashed or drawn by lot before. It is
//! carried out in one transaction, which first takes the tenant's lock, so that two
//! administrators who change the same thing come one after the other; then it edits the
//! fields, lets the kind's own rules settle what goes with them, asks `rights`, writes, and
//! notes it for the audit and the caches.

use std::time::Duration;

use hikyaku_store::{ControlTx, Sql, StoreError, TenantSql, TenantTx};
use hikyaku_types::{AccountId, Actor, Address, AuditId, DomainId, TenantId, Timestamp};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::addresses;
use crate::error::{DirectoryError, request};
use crate::field::{Edit, Record};
use crate::kind::block_policy::BlockBounds;
use crate::kind::plan::Plan;
use crate::kind::rule::RuleLevel;
use crate::kind::{
    Kind, account, alias, credential, domain, exception, group, list, plan, role, rule, tenant,
};
use crate::log::{self, Cached, Deed};
use crate::object::{self, Object, Place, State};
use crate::request::FieldEdit;
use crate::rights::{self, Denied, Standing, Target, Verb};

/// A secret that is ready to be stored.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct StoredSecret {
    /// A hash.
    pub(crate) secret: String,
    /// What an app password is found by.
    pub(crate) prefix: Option<String>,
    /// What checks an app password by SCRAM.
    pub(crate) scram: Option<String>,
    /// An app password itself, which its owner sees once.
    pub(crate) shown: Option<Zeroizing<String>>,
}

/// What is done, to what.
#[derive(Clone)]
pub(crate) enum What {
    Create {
        kind: Kind,
        id: i64,
        name: Option<String>,
        fields: Vec<FieldEdit>,
        secret: Option<StoredSecret>,
    },
    Change {
        kind: Kind,
        id: i64,
        version: Option<i64>,
        rename: Option<String>,
        fields: Vec<FieldEdit>,
        secret: Option<StoredSecret>,
    },
    Move {
        kind: Kind,
        id: i64,
        version: Option<i64>,
        verb: Verb,
    },
}

impl What {
    fn kind(&self) -> Kind {
        match self {
            Self::Create { kind, .. } | Self::Change { kind, .. } | Self::Move { kind, .. } => *kind,
        }
    }

    /// What the answer shows this once.
    pub(crate) fn shown_secret(&self) -> Option<String> {
        match self {
            Self::Create { secret, .. } => secret.as_ref()?.shown.as_ref().map(|text| text.to_string()),
            Self::Change { .. } | Self::Move { .. } => None,
        }
    }

    fn verb(&self) -> Verb {
        match self {
            Self::Create { .. } => Verb::Create,
            Self::Change { .. } => Verb::Change,
            Self::Move { verb, .. } => *verb,
        }
    }
}

/// A change that is ready to be carried out.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) actor: Actor,
    /// Whose name stands in the audit log.
    pub(crate) actor_text: String,
    pub(crate) tenant: TenantId,
    pub(crate) now: Timestamp,
    /// For the audit line, and for the control log.
    pub(crate) id: AuditId,
    pub(crate) reason: Option<String>,
    /// The tenant's plan.
    pub(crate) plan: Plan,
    /// What the operator allows a tenant to choose.
    pub(crate) blocking: BlockBounds,
    pub(crate) what: What,
}

/// What was done.
#[derive(Debug, Clone, Default)]
pub(crate) struct Done {
    pub(crate) before: Option<Object>,
    pub(crate) after: Option<Object>,
    pub(crate) forget: Vec<Cached>,
}

/// What a kind's rules work on.
pub(crate) struct Settling<'j> {
    pub(crate) before: Option<&'j Object>,
    pub(crate) plan: &'j Plan,
    pub(crate) blocking: &'j BlockBounds,
    pub(crate) forget: Vec<Cached>,
}

const LOCK: TenantSql =
    TenantSql::new("UPDATE tenant SET changes = changes + 1 WHERE tenant = $1 AND id = $1");
const SET_SECRET: TenantSql = TenantSql::new(
    "UPDATE credential SET secret = $3, prefix = $4, scram = $5 WHERE tenant = $1 AND id = $2",
);
const TENANTS_OF_PLAN: Sql = Sql::new("SELECT name FROM tenant WHERE parent = $1 LIMIT 1");

pub(crate) fn invalid(field: &str, problem: impl Into<String>) -> DirectoryError {
    DirectoryError::Invalid { field: field.to_owned(), problem: problem.into() }
}

/// Carries out a job of the platform's own people, who may name plans.
///
/// Plans are the platform's, so its lock comes first where a tenant gets one: a plan does not
/// go while a tenant is given it, nor is one given that goes.
pub(crate) fn operate(tx: &mut ControlTx<'_>, job: &Job) -> Result<Done, DirectoryError> {
    let parent = plan_named(tx, job)?;
    if let What::Move { kind: Kind::Plan, id, verb: Verb::Delete, .. } = job.what {
        lock(tx, TenantId::PLATFORM)?;
        if let Some(tenant) = tenant_of_plan(tx, id)? {
            let name = object::by_id(&mut tx.tenant(job.tenant), Kind::Plan, id)?.map(|plan| plan.name);
            let (name, by) = (name.unwrap_or_default(), format!("the tenant {tenant}"));
            return Err(DirectoryError::InUse { kind: Kind::Plan, name, by });
        }
    }
    carry_out(&mut tx.tenant(job.tenant), job, parent)
}

/// Nothing of the tenant is changed by others until this transaction ends.
fn lock(tx: &mut ControlTx<'_>, tenant: TenantId) -> Result<(), StoreError> {
    tx.tenant(tenant).execute(LOCK, &[]).map(drop)
}

/// A tenant that has the plan, deleted or not.
fn tenant_of_plan(tx: &mut ControlTx<'_>, plan: i64) -> Result<Option<String>, StoreError> {
    tx.row(TENANTS_OF_PLAN, &[plan.into()], |row| row.get(0))
}

/// The id of the plan that the job gives to a tenant.
fn plan_named(tx: &mut ControlTx<'_>, job: &Job) -> Result<Option<i64>, DirectoryError> {
    let (What::Create { kind: Kind::Tenant, fields, .. } | What::Change { kind: Kind::Tenant, fields, .. }) =
        &job.what
    else {
        return Ok(None);
    };
    let wanted = fields.iter().rev().find_map(|(name, edit)| match edit {
        Edit::Set(plan) if name == "plan" => Some(plan.as_str()),
        _ => None,
    });
    let Some(name) = wanted else { return Ok(None) };
    lock(tx, TenantId::PLATFORM)?;
    let plan = object::by_name(&mut tx.tenant(TenantId::PLATFORM), Kind::Plan, name)?;
    match plan.filter(|plan| plan.state == State::Active) {
        Some(plan) => Ok(Some(plan.id)),
        None => Err(DirectoryError::NotFound { kind: Kind::Plan, name: name.to_owned() }),
    }
}

/// Carries out a job.
pub(crate) fn carry_out(tx: &mut TenantTx<'_>, job: &Job, plan: Option<i64>) -> Result<Done, DirectoryError> {
    let (kind, verb) = (job.what.kind(), job.what.verb());
    rights::may_at_all(&job.actor, verb, kind, job.tenant).map_err(|denied| denied_to(denied, job))?;
    tx.execute(LOCK, &[])?;
    let before = match &job.what {
        What::Create { .. } => None,
        What::Change { id, version, .. } | What::Move { id, version, .. } => {
            Some(existing(tx, job, kind, *id, *version)?)
        }
    };
    let mut settling =
        Settling { before: before.as_ref(), plan: &job.plan, blocking: &job.blocking, forget: Vec::new() };
    let after = match &job.what {
        What::Create { kind, id, name, fields, .. } => {
            let mut object = blank(job, *kind, *id, name.as_deref());
            edit(tx, &mut object, fields)?;
            Some(object)
        }
        What::Change { rename, fields, .. } => changed(tx, job, before.as_ref(), rename.as_deref(), fields)?,
        What::Move { verb, .. } => moved(tx, job, before.as_ref(), *verb)?,
    };
    let mut after = after;
    if let Some(object) = &mut after {
        object.parent = plan.or(object.parent);
        settle(tx, object, &mut settling)?;
        write(tx, job, before.as_ref(), object)?;
        let target = target(tx, object)?;
        rights::may(&job.actor, verb, &target).map_err(|denied| denied_to(denied, job))?;
    } else if let Some(gone) = &before {
        object::delete(tx, kind, gone.id)?;
        settling.forget.extend(cached_of(gone)?);
    }
    let mut forget = settling.forget;
    forget.sort_unstable();
    forget.dedup();
    log::note(tx, job.id.as_i64(), &forget)?;
    let secret =
        matches!(&job.what, What::Create { secret: Some(_), .. } | What::Change { secret: Some(_), .. });
    let deed = Deed {
        id: job.id,
        actor: &job.actor_text,
        verb,
        reason: job.reason.as_deref(),
        before: before.as_ref(),
        after: after.as_ref(),
        secret,
    };
    log::write(tx, &deed)?;
    Ok(Done { before, after, forget })
}

fn denied_to(denied: Denied, job: &Job) -> DirectoryError {
    match denied {
        Denied::NotFound => {
            let name = match &job.what {
                What::Create { name, .. } => name.clone().unwrap_or_default(),
                What::Change { kind, id, .. } | What::Move { kind, id, .. } => kind.id_text(*id),
            };
            DirectoryError::NotFound { kind: job.what.kind(), name }
        }
        Denied::Needs(needs) => DirectoryError::Forbidden { needs },
    }
}

/// The object that is to be changed: there, of the expected version, and the actor's to change.
fn existing(
    tx: &mut TenantTx<'_>,
    job: &Job,
    kind: Kind,
    id: i64,
    version: Option<i64>,
) -> Result<Object, DirectoryError> {
    let not_found = || DirectoryError::NotFound { kind, name: kind.id_text(id) };
    let object = object::by_id(tx, kind, id)?.ok_or_else(not_found)?;
    let target = target(tx, &object)?;
    rights::may(&job.actor, job.what.verb(), &target).map_err(|denied| denied_to(denied, job))?;
    if kind == Kind::Tenant && object.tenant == TenantId::PLATFORM {
        return Err(DirectoryError::Request(request::PLATFORM));
    }
    match version {
        Some(expected) if expected != object.version => {
            Err(DirectoryError::Outdated { expected, yours: yours(&job.what), now: Box::new(object) })
        }
        _ => Ok(object),
    }
}

fn yours(what: &What) -> String {
    match what {
        What::Change { rename, fields, .. } => {
            let name = rename.iter().map(|name| format!("name={name}"));
            let fields = fields.iter().map(|(name, edit)| match edit {
                Edit::Set(text) => format!("{name}={text}"),
                Edit::Add(text) => format!("{name}+={text}"),
                Edit::Remove(text) => format!("{name}-={text}"),
            });
            name.chain(fields).collect::<Vec<_>>().join(", ")
        }
        What::Move { verb, .. } => verb.word().into(),
        What::Create { .. } => String::new(),
    }
}

fn blank(job: &Job, kind: Kind, id: i64, name: Option<&str>) -> Object {
    Object {
        kind,
        id,
        tenant: job.tenant,
        parent: None,
        name: name.unwrap_or_default().trim().to_owned(),
        state: State::Active,
        version: 1,
        created_at: job.now,
        changed_at: job.now,
        until: None,
        data: Value::Object(serde_json::Map::new()),
    }
}

fn changed(
    tx: &mut TenantTx<'_>,
    job: &Job,
    before: Option<&Object>,
    rename: Option<&str>,
    fields: &[FieldEdit],
) -> Result<Option<Object>, DirectoryError> {
    let Some(before) = before else { return Ok(None) };
    if before.state == State::Deleted {
        return Err(DirectoryError::WrongState { state: before.state, verb: Verb::Change });
    }
    let allowed: Option<(&[&str], Standing)> = match (before.kind, job.actor) {
        (Kind::Account, Actor::Owner { .. }) => Some((&account::OWNERS_FIELDS, Standing::Domain)),
        _ => None,
    };
    let needs = |name: &str| match (allowed, before.kind, job.actor) {
        (Some((own, needs)), ..) => (!own.contains(&name)).then_some(needs),
        (None, Kind::Tenant, Actor::Administrator { .. }) => {
            tenant::OPERATORS_FIELDS.contains(&name).then_some(Standing::Operator)
        }
        _ => None,
    };
    let names = fields.iter().map(|(name, _)| name.as_str()).chain(rename.map(|_| "name"));
    if let Some(needs) = names.filter_map(needs).next() {
        return Err(DirectoryError::Forbidden { needs });
    }
    let mut object = Object { version: before.version + 1, changed_at: job.now, ..before.clone() };
    edit(tx, &mut object, fields)?;
    if let Some(name) = rename {
        object.name = name.trim().to_owned();
    }
    Ok(Some(object))
}

/// The object in its new state; `None` if it is gone at once.
fn moved(
    tx: &mut TenantTx<'_>,
    job: &Job,
    before: Option<&Object>,
    verb: Verb,
) -> Result<Option<Object>, DirectoryError> {
    let Some(before) = before else { return Ok(None) };
    let wrong = || DirectoryError::WrongState { state: before.state, verb };
    let grace = Duration::from_secs(u64::from(job.plan.grace_days.0) * 24 * 3600);
    let (state, until) = match (verb, before.state) {
        (Verb::Suspend, State::Active) => (State::Suspended, None),
        (Verb::Resume, State::Suspended) | (Verb::Undelete, State::Deleted) => (State::Active, None),
        (Verb::Delete, State::Active | State::Suspended) => {
            refuse_if_used(tx, before)?;
            // What was taken from somebody who may know it must not come back; a rule that comes
            // back would shut out whom nobody asked, and an exception is soon made again.
            if matches!(before.kind, Kind::Credential | Kind::Rule | Kind::Exception) {
                return Ok(None);
            }
            (State::Deleted, Some(job.now.after(grace)))
        }
        (Verb::Purge, State::Deleted) => (State::Deleted, Some(job.now)),
        _ => return Err(wrong()),
    };
    Ok(Some(Object { state, until, version: before.version + 1, changed_at: job.now, ..before.clone() }))
}

fn refuse_if_used(tx: &mut TenantTx<'_>, object: &Object) -> Result<(), DirectoryError> {
    if object.kind != Kind::Domain {
        return Ok(());
    }
    for kind in [Kind::Account, Kind::Alias, Kind::List, Kind::Domain] {
        let users = object::children(tx, kind, object.id, 100)?;
        if let Some(user) = users.iter().find(|user| user.state != State::Deleted) {
            let by = format!("the {kind} {}", user.name);
            return Err(in_use(object, by));
        }
    }
    // What is called by an address elsewhere can have further ones here.
    match addresses::in_domain(tx, object.id)? {
        0 => Ok(()),
        1 => Err(in_use(object, "one further address of an account".into())),
        many => Err(in_use(object, format!("{many} further addresses of accounts"))),
    }
}

fn in_use(object: &Object, by: String) -> DirectoryError {
    DirectoryError::InUse { kind: object.kind, name: object.name.clone(), by }
}

/// Writes the object and its secret.
fn write(
    tx: &mut TenantTx<'_>,
    job: &Job,
    before: Option<&Object>,
    object: &Object,
) -> Result<(), DirectoryError> {
    if before.is_some() {
        if before.is_some_and(|before| before.name != object.name) {
            refuse_taken(tx, object)?;
        }
        object::update(tx, object)?;
    } else if !object::insert(tx, object)? {
        return Err(taken(tx, object)?);
    }
    if let What::Create { secret: Some(secret), .. } | What::Change { secret: Some(secret), .. } = &job.what {
        let (prefix, scram) = (secret.prefix.as_deref(), secret.scram.as_deref());
        tx.execute(SET_SECRET, &[object.id.into(), (&secret.secret).into(), prefix.into(), scram.into()])?;
    }
    Ok(())
}

fn refuse_taken(tx: &mut TenantTx<'_>, object: &Object) -> Result<(), DirectoryError> {
    match object::by_name(tx, object.kind, &object.name)? {
        Some(other) if other.id != object.id => Err(taken(tx, object)?),
        _ => Ok(()),
    }
}

/// Why a name cannot be had.
fn taken(tx: &mut TenantTx<'_>, object: &Object) -> Result<DirectoryError, StoreError> {
    let (kind, name) = (object.kind, object.name.clone());
    let own = object::by_name(tx, kind, &name)?;
    Ok(match own {
        Some(own) if own.state == State::Deleted => DirectoryError::TakenByDeleted { kind, name },
        Some(_) => DirectoryError::Taken { kind, name },
        None if kind == Kind::Domain => DirectoryError::DomainUnavailable(name),
        None => DirectoryError::Taken { kind, name },
    })
}

fn edit(tx: &mut TenantTx<'_>, object: &mut Object, fields: &[FieldEdit]) -> Result<(), DirectoryError> {
    match object.kind {
        Kind::Plan => edit_as::<Plan>(tx, object, fields),
        Kind::Tenant => edit_as::<tenant::Tenant>(tx, object, fields),
        Kind::Domain => edit_as::<domain::Domain>(tx, object, fields),
        Kind::Account => edit_as::<account::Account>(tx, object, fields),
        Kind::Alias => edit_as::<alias::Alias>(tx, object, fields),
        Kind::List => edit_as::<list::List>(tx, object, fields),
        Kind::Group => edit_as::<group::Group>(tx, object, fields),
        Kind::Role => edit_as::<role::Role>(tx, object, fields),
        Kind::Credential => edit_as::<credential::Credential>(tx, object, fields),
        Kind::Rule => edit_as::<rule::Rule>(tx, object, fields),
        Kind::Exception => edit_as::<exception::Exception>(tx, object, fields),
    }
}

fn edit_as<R: Record>(
    tx: &mut TenantTx<'_>,
    object: &mut Object,
    fields: &[FieldEdit],
) -> Result<(), DirectoryError> {
    let mut record: R = object::record(&object.data)?;
    for (name, edit) in fields {
        let is_account =
            R::FIELDS.iter().any(|field| field.name == name && field.form.starts_with(ACCOUNT_FORM));
        let edit = if is_account { by_account_id(tx, edit)? } else { edit.clone() };
        record.edit(name, &edit).map_err(|problem| invalid(name, problem))?;
    }
    object.set_record(&record)?;
    Ok(())
}

/// The form of fields that hold an account.
const ACCOUNT_FORM: &str = "an account's address";

/// People name accounts by their addresses; objects keep their ids, which never change.
fn by_account_id(tx: &mut TenantTx<'_>, edit: &Edit) -> Result<Edit, DirectoryError> {
    let mut ids = |text: &str| -> Result<String, DirectoryError> {
        let ids: Result<Vec<String>, DirectoryError> = text
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(|name| if name.contains('@') { account_named(tx, name) } else { Ok(name.to_owned()) })
            .collect();
        Ok(ids?.join(","))
    };
    Ok(match edit {
        Edit::Set(text) => Edit::Set(ids(text)?),
        Edit::Add(text) => Edit::Add(ids(text)?),
        Edit::Remove(text) => Edit::Remove(ids(text)?),
    })
}

fn account_named(tx: &mut TenantTx<'_>, name: &str) -> Result<String, DirectoryError> {
    let key = name.parse::<Address>().ok().map(|address| address.key());
    let found = match key {
        Some(key) => addresses::whose(tx, key.as_str())?,
        None => None,
    };
    match found {
        Some((Kind::Account, id)) => Ok(Kind::Account.id_text(id)),
        _ => Err(DirectoryError::NotFound { kind: Kind::Account, name: name.to_owned() }),
    }
}

/// An account of the tenant that is there.
pub(crate) fn living_account(tx: &mut TenantTx<'_>, id: AccountId) -> Result<Object, DirectoryError> {
    let found = object::by_id(tx, Kind::Account, id.as_i64())?;
    found
        .filter(|account| account.state != State::Deleted)
        .ok_or_else(|| DirectoryError::NotFound { kind: Kind::Account, name: id.to_string() })
}

/// What a kind's rules add to, or refuse of, a new or changed object.
fn settle(
    tx: &mut TenantTx<'_>,
    object: &mut Object,
    settling: &mut Settling<'_>,
) -> Result<(), DirectoryError> {
    let is_moved =
        settling.before.is_some_and(|before| before.state != object.state || object.until.is_some());
    if !is_moved {
        match object.kind {
            Kind::Plan => plan::settle(object)?,
            Kind::Tenant => tenant::settle(tx, object, settling)?,
            Kind::Domain => domain::settle(tx, object, settling)?,
            Kind::Account => account::settle(tx, object, settling)?,
            Kind::Alias => alias::settle(tx, object, settling)?,
            Kind::List => list::settle(tx, object, settling)?,
            Kind::Group => group::settle(tx, object)?,
            Kind::Role => role::settle(tx, object, settling)?,
            Kind::Credential => credential::settle(tx, object, settling)?,
            Kind::Rule => rule::settle(tx, object, settling)?,
            Kind::Exception => exception::settle(tx, object, settling)?,
        }
    }
    if matches!(object.kind, Kind::Account | Kind::Alias | Kind::List) {
        settling.forget.extend(addresses::keys_of(tx, object.id)?.into_iter().map(Cached::Address));
    }
    settling.forget.extend(cached_of(object)?);
    Ok(())
}

/// What caches hold of an object beside its addresses.
fn cached_of(object: &Object) -> Result<Vec<Cached>, DirectoryError> {
    Ok(match object.kind {
        Kind::Plan => vec![Cached::Plans],
        Kind::Tenant => vec![Cached::Tenant(object.id)],
        Kind::Domain => vec![Cached::Domain(object.name.clone())],
        Kind::Account => vec![Cached::Credentials(object.id)],
        Kind::Credential | Kind::Role => object.parent.map(Cached::Credentials).into_iter().collect(),
        // What a tenant's rules say, and who is in the groups that have any.
        Kind::Rule | Kind::Exception | Kind::Group => vec![Cached::Tenant(object.tenant.as_i64())],
        Kind::Alias | Kind::List => Vec::new(),
    })
}

/// What `rights` wants to know of an object.
pub(crate) fn target(tx: &mut TenantTx<'_>, object: &Object) -> Result<Target, DirectoryError> {
    let mut target = Target::of_tenant(object.kind, object.tenant);
    match object.kind {
        Kind::Domain => target.domains = DomainId::from_i64(object.id).into_iter().collect(),
        Kind::Account | Kind::Alias | Kind::List => target.domains = addresses::domains_of(tx, object.id)?,
        Kind::Credential => {
            let account = object.parent.unwrap_or(0);
            target.domains = addresses::domains_of(tx, account)?;
        }
        Kind::Role => {
            let fields: role::Role = object::record(&object.data)?;
            target.power = Some(fields.power);
        }
        Kind::Rule => match rule::level(object) {
            RuleLevel::Domain(domain) => target.domains = DomainId::from_i64(domain).into_iter().collect(),
            RuleLevel::Account(account) => target.domains = addresses::domains_of(tx, account)?,
            RuleLevel::Tenant | RuleLevel::Group(_) => {}
        },
        Kind::Plan | Kind::Tenant | Kind::Group | Kind::Exception => {}
    }
    let account = match object.kind {
        Kind::Account => Some(object.id),
        Kind::Credential => object.parent,
        // Who keeps an account out has power over it.
        Kind::Rule => match rule::level(object) {
            RuleLevel::Account(account) => Some(account),
            _ => None,
        },
        _ => None,
    };
    if let Some(account) = account {
        target.account = AccountId::from_i64(account);
        target.power = role::greatest(tx, account)?;
    }
    Ok(target)
}

/// Removes a deleted object whose time has come, and what hung on it, unless it was undeleted
/// meanwhile. Of a tenant, only the accounts in `accounts`, whose mail is gone, and the tenant
/// itself when none is left. False if there is more to do at once.
pub(crate) fn remove(
    tx: &mut ControlTx<'_>,
    place: Place,
    kind: Kind,
    accounts: &[i64],
    now: Timestamp,
) -> Result<bool, StoreError> {
    lock(tx, place.tenant)?;
    let is_due =
        |object: &Object| object.state == State::Deleted && object.until.is_some_and(|until| until < now);
    if !object::by_id(&mut tx.tenant(place.tenant), kind, place.id)?.is_some_and(|object| is_due(&object)) {
        return Ok(true);
    }
    if kind == Kind::Plan && tenant_of_plan(tx, place.id)?.is_some() {
        tracing::error!(plan = place.id, "a deleted plan has a tenant: it stays");
        return Ok(true);
    }
    remove_due(&mut tx.tenant(place.tenant), place, kind, accounts)
}

fn remove_due(tx: &mut TenantTx<'_>, place: Place, kind: Kind, accounts: &[i64]) -> Result<bool, StoreError> {
    match kind {
        Kind::Tenant => {
            for account in accounts {
                remove_account(tx, *account)?;
            }
            if object::count(tx, Kind::Account)? > 0 {
                return Ok(true);
            }
            for kind in Kind::ALL.into_iter().filter(|kind| !matches!(kind, Kind::Plan | Kind::Tenant)) {
                let step = object::list(tx, kind, &object::Filter::everything())?;
                for object in &step {
                    addresses::clear(tx, object.id)?;
                    object::delete(tx, kind, object.id)?;
                }
                if !step.is_empty() {
                    return Ok(false);
                }
            }
        }
        Kind::Account => remove_account(tx, place.id)?,
        Kind::Alias | Kind::List => addresses::clear(tx, place.id)?,
        Kind::Domain | Kind::Group => remove_rules(tx, place.id)?,
        _ => {}
    }
    object::delete(tx, kind, place.id)?;
    Ok(true)
}

fn remove_account(tx: &mut TenantTx<'_>, id: i64) -> Result<(), StoreError> {
    for kind in [Kind::Credential, Kind::Role] {
        remove_children(tx, kind, id)?;
    }
    remove_rules(tx, id)?;
    addresses::clear(tx, id)?;
    object::delete(tx, Kind::Account, id)
}

fn remove_children(tx: &mut TenantTx<'_>, kind: Kind, parent: i64) -> Result<(), StoreError> {
    for child in object::children(tx, kind, parent, 500)? {
        object::delete(tx, kind, child.id)?;
    }
    Ok(())
}

/// The rules of an object that goes, and the exceptions from them.
fn remove_rules(tx: &mut TenantTx<'_>, parent: i64) -> Result<(), StoreError> {
    remove_children(tx, Kind::Rule, parent)?;
    remove_children(tx, Kind::Exception, parent)
}
