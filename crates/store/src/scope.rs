//! Scopes: which database, whose rows, by whose right.
//!
//! Making a scope is where an actor's right is resolved: a scope that exists may be used.
//! What an actor may not see is [`NotFound`], like what is not there.

use hikyaku_types::{AccountId, Actor, ShardId, TenantId};

use crate::NotFound;
use crate::tx::{AccountTx, ControlTx, ServiceTx, TenantTx, Tx};

/// One of the kinds of database. No transaction spans two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Database {
    /// Directory, plans, policy, credentials, zones, keys.
    Control,
    /// Sign-in counters and history.
    Access,
    /// Mail of the tenants that live there.
    Shard(ShardId),
}

impl Database {
    /// `control`, `access`, `shard_0`: the SQLite file's stem and the PostgreSQL schema.
    pub fn name(self) -> String {
        match self {
            Self::Control => "control".into(),
            Self::Access => "access".into(),
            Self::Shard(shard) => format!("shard_{}", shard.0),
        }
    }
}

/// Where an account lives, as the directory knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AccountHome {
    /// Its tenant.
    pub tenant: TenantId,
    /// The account.
    pub account: AccountId,
    /// The shard of the tenant.
    pub shard: ShardId,
}

/// Whose rows PostgreSQL lets the transaction see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Visible {
    /// Mail of the account, and its tenant's content and usage.
    Account(TenantId, AccountId),
    Tenant(TenantId),
    /// The service role: no row-level security.
    All,
}

/// How a call is queued and opened.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    pub(crate) database: Database,
    pub(crate) visible: Visible,
    /// Whose turn it uses up: a tenant, or 0 for the platform.
    pub(crate) turn: i64,
    /// About how many bytes it writes.
    pub(crate) weight: usize,
    /// Allowed to pass the row budget, up to 10,000 rows (COPY, MULTIAPPEND, maintenance).
    pub(crate) long: bool,
}

/// A scope: see the module.
pub trait Scoped: Send + 'static {
    /// What the closure works with.
    type Tx<'t>;
    /// How the call is queued and opened.
    fn route(&self) -> Route;
    /// The closure's handle on the transaction.
    fn open<'t>(&self, tx: Tx<'t>) -> Self::Tx<'t>;
}

/// Makes scopes.
#[derive(Debug)]
pub enum Scope {}

impl Scope {
    /// The mail of one account.
    ///
    /// # Errors
    /// [`NotFound`] unless the actor owns the account or is the platform itself:
    /// administrators and operators do not read mail.
    pub fn account(actor: &Actor, home: AccountHome) -> Result<AccountScope, NotFound> {
        if !actor.may_open_mail(home.tenant, home.account) {
            return Err(NotFound);
        }
        Ok(AccountScope { home, weight: 0, long: false })
    }

    /// What the control database has of one tenant.
    ///
    /// # Errors
    /// [`NotFound`] unless the actor administers the tenant.
    pub fn tenant(actor: &Actor, tenant: TenantId) -> Result<TenantScope, NotFound> {
        if !actor.may_administer(tenant) {
            return Err(NotFound);
        }
        Ok(TenantScope { tenant, long: false })
    }

    /// What a shard has of one tenant beside mail: usage, trace, queue.
    ///
    /// # Errors
    /// [`NotFound`] unless the actor administers the tenant.
    pub fn tenant_mail(actor: &Actor, tenant: TenantId, shard: ShardId) -> Result<TenantMailScope, NotFound> {
        if !actor.may_administer(tenant) {
            return Err(NotFound);
        }
        Ok(TenantMailScope { tenant, shard })
    }

    /// The whole control database.
    ///
    /// # Errors
    /// [`NotFound`] for tenants and owners.
    pub fn control(actor: &Actor) -> Result<ControlScope, NotFound> {
        if !actor.may_operate() {
            return Err(NotFound);
        }
        Ok(ControlScope { long: false })
    }

    /// The access database.
    ///
    /// # Errors
    /// [`NotFound`] unless the actor is the platform itself.
    pub fn access(actor: &Actor) -> Result<AccessScope, NotFound> {
        if !matches!(actor, Actor::Service(_)) {
            return Err(NotFound);
        }
        Ok(AccessScope)
    }

    /// A whole shard, on a tenant's turn (`None`: the platform's own).
    ///
    /// # Errors
    /// [`NotFound`] unless the actor is the platform itself.
    pub fn service(actor: &Actor, shard: ShardId, turn: Option<TenantId>) -> Result<ServiceScope, NotFound> {
        if !matches!(actor, Actor::Service(_)) {
            return Err(NotFound);
        }
        Ok(ServiceScope { shard, turn, weight: 0, long: false })
    }
}

/// See [`Scope::account`].
#[derive(Debug, Clone, Copy)]
pub struct AccountScope {
    home: AccountHome,
    weight: usize,
    long: bool,
}

impl AccountScope {
    /// About how many bytes the closure writes, for the size of a group commit.
    pub fn weighing(self, bytes: usize) -> Self {
        Self { weight: bytes, ..self }
    }

    /// Up to 10,000 rows: COPY and MULTIAPPEND, which are atomic.
    pub fn long(self) -> Self {
        Self { long: true, ..self }
    }
}

impl Scoped for AccountScope {
    type Tx<'t> = AccountTx<'t>;

    fn route(&self) -> Route {
        Route {
            database: Database::Shard(self.home.shard),
            visible: Visible::Account(self.home.tenant, self.home.account),
            turn: self.home.tenant.as_i64(),
            weight: self.weight,
            long: self.long,
        }
    }

    fn open<'t>(&self, tx: Tx<'t>) -> AccountTx<'t> {
        AccountTx::new(tx, self.home.tenant, self.home.account)
    }
}

/// See [`Scope::tenant`].
#[derive(Debug, Clone, Copy)]
pub struct TenantScope {
    tenant: TenantId,
    long: bool,
}

impl TenantScope {
    /// Up to 10,000 rows: an object with a thousand members.
    pub fn long(self) -> Self {
        Self { long: true, ..self }
    }
}

impl Scoped for TenantScope {
    type Tx<'t> = TenantTx<'t>;

    fn route(&self) -> Route {
        Route { long: self.long, ..tenant_route(Database::Control, self.tenant) }
    }

    fn open<'t>(&self, tx: Tx<'t>) -> TenantTx<'t> {
        TenantTx::new(tx, self.tenant)
    }
}

/// See [`Scope::tenant_mail`].
#[derive(Debug, Clone, Copy)]
pub struct TenantMailScope {
    tenant: TenantId,
    shard: ShardId,
}

impl Scoped for TenantMailScope {
    type Tx<'t> = TenantTx<'t>;

    fn route(&self) -> Route {
        tenant_route(Database::Shard(self.shard), self.tenant)
    }

    fn open<'t>(&self, tx: Tx<'t>) -> TenantTx<'t> {
        TenantTx::new(tx, self.tenant)
    }
}

fn tenant_route(database: Database, tenant: TenantId) -> Route {
    Route { database, visible: Visible::Tenant(tenant), turn: tenant.as_i64(), weight: 0, long: false }
}

/// See [`Scope::control`].
#[derive(Debug, Clone, Copy)]
pub struct ControlScope {
    long: bool,
}

impl ControlScope {
    /// Up to 10,000 rows: seeding and imports.
    pub fn long(self) -> Self {
        Self { long: true }
    }
}

impl Scoped for ControlScope {
    type Tx<'t> = ControlTx<'t>;

    fn route(&self) -> Route {
        Route { database: Database::Control, visible: Visible::All, turn: 0, weight: 0, long: self.long }
    }

    fn open<'t>(&self, tx: Tx<'t>) -> ControlTx<'t> {
        ControlTx::new(tx)
    }
}

/// See [`Scope::access`].
#[derive(Debug, Clone, Copy)]
pub struct AccessScope;

impl Scoped for AccessScope {
    type Tx<'t> = ServiceTx<'t>;

    fn route(&self) -> Route {
        Route { database: Database::Access, visible: Visible::All, turn: 0, weight: 0, long: false }
    }

    fn open<'t>(&self, tx: Tx<'t>) -> ServiceTx<'t> {
        ServiceTx::new(tx)
    }
}

/// See [`Scope::service`].
#[derive(Debug, Clone, Copy)]
pub struct ServiceScope {
    shard: ShardId,
    turn: Option<TenantId>,
    weight: usize,
    long: bool,
}

impl ServiceScope {
    /// About how many bytes the closure writes, for the size of a group commit.
    pub fn weighing(self, bytes: usize) -> Self {
        Self { weight: bytes, ..self }
    }

    /// Up to 10,000 rows: maintenance and imports.
    pub fn long(self) -> Self {
        Self { long: true, ..self }
    }
}

impl Scoped for ServiceScope {
    type Tx<'t> = ServiceTx<'t>;

    fn route(&self) -> Route {
        Route {
            database: Database::Shard(self.shard),
            visible: Visible::All,
            turn: self.turn.map_or(0, TenantId::as_i64),
            weight: self.weight,
            long: self.long,
        }
    }

    fn open<'t>(&self, tx: Tx<'t>) -> ServiceTx<'t> {
        ServiceTx::new(tx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hikyaku_types::Service;

    #[test]
    fn rights_are_resolved_when_a_scope_is_made() {
        let (tenant, other) = (TenantId::from_i64(1).unwrap(), TenantId::from_i64(2).unwrap());
        let account = AccountId::from_i64(10).unwrap();
        let home = AccountHome { tenant, account, shard: ShardId(0) };
        // actor: mail, tenant, control, service
        let table = [
            (Actor::Operator, false, true, true, false),
            (Actor::Administrator { tenant }, false, true, false, false),
            (Actor::Administrator { tenant: other }, false, false, false, false),
            (Actor::Owner { tenant, account }, true, false, false, false),
            (Actor::Owner { tenant: other, account }, false, false, false, false),
            (Actor::Service(Service::Delivery), true, true, true, true),
        ];
        for (actor, mail, administers, operates, serves) in table {
            assert_eq!(Scope::account(&actor, home).is_ok(), mail, "{actor}");
            assert_eq!(Scope::tenant(&actor, tenant).is_ok(), administers, "{actor}");
            assert_eq!(Scope::tenant_mail(&actor, tenant, ShardId(0)).is_ok(), administers, "{actor}");
            assert_eq!(Scope::control(&actor).is_ok(), operates, "{actor}");
            assert_eq!(Scope::access(&actor).is_ok(), serves, "{actor}");
            assert_eq!(Scope::service(&actor, ShardId(0), None).is_ok(), serves, "{actor}");
        }
    }
}
