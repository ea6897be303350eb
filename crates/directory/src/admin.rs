//! Requests of those who administer: found, permitted, carried out, answered.

use std::sync::atomic::Ordering;

use hikyaku_store::{AccountHome, Scope, StoreError};
use hikyaku_types::{AccountId, Actor, Address, AuditId, Domain, RisingIds, TenantId};

use crate::change::{self, Done, Job, What};
use crate::error::{DirectoryError, request as texts};
use crate::field::Edit;
use crate::kind::Kind;
use crate::kind::plan::Plan;
use crate::log::{self, LOOK_BACK};
use crate::object::{self, Filter, Place};
use crate::request::{Action, Answer, FieldEdit, Named, Request, View};
use crate::rights::{self, Denied, Standing, Target, Verb};
use crate::{DIRECTORY, Directory};

/// Most changes in one transaction: each writes up to twenty rows of the 10,000 that one may.
pub const MOST_AT_ONCE: usize = 500;

/// A deleted object whose time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// What it is.
    pub kind: Kind,
    /// The accounts that go with it, whose mail must be removed first: itself, or a step of a
    /// tenant's.
    pub homes: Vec<AccountHome>,
    place: Place,
}

impl Directory {
    /// Does or answers what is asked, if the actor may.
    ///
    /// # Errors
    /// [`DirectoryError`]: then nothing was changed.
    pub async fn execute(&self, actor: Actor, request: Request) -> Result<Answer, DirectoryError> {
        self.execute_as(actor, &actor.to_string(), request).await
    }

    /// The same for an actor of whom more is known: `who` stands in the audit log.
    ///
    /// # Errors
    /// [`DirectoryError`]: then nothing was changed.
    pub async fn execute_as(
        &self,
        actor: Actor,
        who: &str,
        request: Request,
    ) -> Result<Answer, DirectoryError> {
        let Request { action, reason, dry_run } = request;
        match action {
            Action::Show { object } => self.show(&actor, &object).await,
            Action::List { kind, tenant, of, filter } => self.list(&actor, kind, tenant, of, filter).await,
            Action::Audit { tenant, object, before, limit } => {
                self.audit(&actor, tenant, object, before, limit).await
            }
            change => {
                let job = self.prepare(actor, who, change, reason).await?;
                let shown = job.what.shown_secret();
                let done = self.carry_out(job, dry_run).await?;
                Ok(Answer::Done {
                    before: done.before.as_ref().map(View::from),
                    after: done.after.as_ref().map(View::from),
                    secret: shown.filter(|_| !dry_run),
                    dry_run,
                })
            }
        }
    }

    /// Makes many changes in one transaction: all or none. They must not depend on each
    /// other, but for names of accounts in the fields of later ones. For imports and seeding,
    /// by the platform's own people, at most [`MOST_AT_ONCE`].
    ///
    /// # Errors
    /// [`DirectoryError`] of the first that cannot be made: then nothing was changed.
    pub async fn execute_many(
        &self,
        actor: Actor,
        who: &str,
        requests: Vec<Request>,
    ) -> Result<(), DirectoryError> {
        if !actor.may_operate() {
            return Err(DirectoryError::Forbidden { needs: Standing::Operator });
        }
        if requests.len() > MOST_AT_ONCE || requests.iter().any(|request| request.dry_run) {
            return Err(DirectoryError::Request(texts::MANY));
        }
        let mut jobs = Vec::with_capacity(requests.len());
        for Request { action, reason, .. } in requests {
            jobs.push(self.prepare(actor, who, action, reason).await?);
        }
        let scope = Scope::control(&DIRECTORY).map_err(|_| StoreError::Closed)?.long();
        let write = self.store.write(scope, "directory.operate_many", move |tx| {
            let done = jobs.iter().map(|job| Ok(change::operate(tx, job)?.forget));
            done.collect::<Result<Vec<_>, DirectoryError>>()
        });
        self.caches.forget(&write.await?.concat());
        Ok(())
    }

    /// A change, with all that must be found out, hashed or drawn by lot before it.
    pub(crate) async fn prepare(
        &self,
        actor: Actor,
        who: &str,
        action: Action,
        reason: Option<String>,
    ) -> Result<Job, DirectoryError> {
        let (tenant, what) = match action {
            Action::Create { kind, name, id, tenant, fields, secret } => {
                let id = self.id_of_new(&actor, kind, id)?;
                let tenant = self.tenant_of_new(&actor, kind, id, name.as_deref(), tenant, &fields).await?;
                let secret = self.new_secret(tenant, kind, &fields, secret).await?;
                (tenant, What::Create { kind, id, name, fields, secret })
            }
            Action::Change { object, version, rename, fields, secret } => {
                let (kind, place) = (object.kind, self.place(&actor, &object).await?);
                let secret = self.other_secret(place, kind, secret).await?;
                (place.tenant, What::Change { kind, id: place.id, version, rename, fields, secret })
            }
            Action::Move { verb, object, version } => {
                let place = self.place(&actor, &object).await?;
                (place.tenant, What::Move { kind: object.kind, id: place.id, version, verb })
            }
            Action::Show { .. } | Action::List { .. } | Action::Audit { .. } => {
                return Err(DirectoryError::Request(texts::MANY));
            }
        };
        let plan = self.tenant(tenant).await?.map_or_else(Plan::default, |tenant| tenant.plan.clone());
        let now = self.clock.now();
        let id = AuditId::from_i64(self.ids.next(now)).ok_or(StoreError::Closed)?;
        let (actor_text, blocking) = (who.to_owned(), self.blocking);
        Ok(Job { actor, actor_text, tenant, now, id, reason, plan, blocking, what })
    }

    pub(crate) async fn carry_out(&self, job: Job, dry_run: bool) -> Result<Done, DirectoryError> {
        let finish = move |done: Done| if dry_run { Err(Stop::DryRun(Box::new(done))) } else { Ok(done) };
        let result = if job.actor.may_operate() {
            let scope = Scope::control(&DIRECTORY).map_err(|_| StoreError::Closed)?;
            let write = self
                .store
                .write(scope.long(), "directory.operate", move |tx| finish(change::operate(tx, &job)?));
            write.await
        } else {
            // Row-level security sees to it that nothing of another tenant is touched.
            let scope = Scope::tenant(&DIRECTORY, job.tenant).map_err(|_| StoreError::Closed)?;
            let write = self.store.write(scope.long(), "directory.change", move |tx| {
                finish(change::carry_out(tx, &job, None)?)
            });
            write.await
        };
        match result {
            Ok(done) => {
                self.caches.forget(&done.forget);
                Ok(done)
            }
            Err(Stop::DryRun(done)) => Ok(*done),
            Err(Stop::Error(error)) => Err(error),
        }
    }

    fn id_of_new(&self, actor: &Actor, kind: Kind, id: Option<String>) -> Result<i64, DirectoryError> {
        let Some(text) = id else { return Ok(kind.new_id(&*self.random)) };
        if !actor.may_operate() {
            return Err(DirectoryError::Forbidden { needs: Standing::Operator });
        }
        let wrong =
            || change::invalid("id", format!("`{text}` is not the id of a {kind}: leave it out to get one"));
        kind.id_of(&text).ok_or_else(wrong)
    }

    /// The tenant that a new object belongs to.
    async fn tenant_of_new(
        &self,
        actor: &Actor,
        kind: Kind,
        id: i64,
        name: Option<&str>,
        tenant: Option<String>,
        fields: &[FieldEdit],
    ) -> Result<TenantId, DirectoryError> {
        match kind {
            Kind::Plan => return Ok(TenantId::PLATFORM),
            Kind::Tenant => return TenantId::from_i64(id).ok_or(DirectoryError::Request(texts::TENANT)),
            _ => {}
        }
        if let Some(tenant) = tenant {
            return self.tenant_named(actor, &tenant).await;
        }
        if let Some(own) = actor.tenant() {
            return Ok(own);
        }
        // The domain of its name, or the account that it is of, says which.
        let account = fields.iter().find_map(|(name, edit)| match edit {
            Edit::Set(account) if name == "account" => Some(account.clone()),
            _ => None,
        });
        let found = match (kind, account, name) {
            (Kind::Role | Kind::Credential | Kind::Rule | Kind::Exception, Some(account), _) => {
                let named = Named { kind: Kind::Account, name: account, tenant: None };
                Some(self.place(actor, &named).await?.tenant)
            }
            (Kind::Account | Kind::Alias | Kind::List, _, Some(name)) => self.tenant_of_domain(name).await?,
            _ => None,
        };
        found.ok_or(DirectoryError::Request(texts::TENANT))
    }

    async fn tenant_of_domain(&self, address: &str) -> Result<Option<TenantId>, DirectoryError> {
        let address: Address = address
            .parse()
            .map_err(|error: hikyaku_types::AddressError| change::invalid("name", error.to_string()))?;
        let key = address.domain.as_str().to_owned();
        let found = self.read("directory.domain", move |tx| crate::facts::read_domain(tx, &key)).await?;
        match found {
            Some(domain) => Ok(Some(domain.tenant)),
            None => Err(DirectoryError::NoDomain { domain: address.domain.to_string() }),
        }
    }

    async fn tenant_named(&self, actor: &Actor, name: &str) -> Result<TenantId, DirectoryError> {
        let named = Named { kind: Kind::Tenant, name: name.to_owned(), tenant: None };
        Ok(self.place(actor, &named).await?.tenant)
    }

    /// Where a named object is. What is another tenant's is not found.
    async fn place(&self, actor: &Actor, named: &Named) -> Result<Place, DirectoryError> {
        let kind = named.kind;
        let not_found = || DirectoryError::NotFound { kind, name: named.name.clone() };
        let within = match &named.tenant {
            Some(tenant) => Some(Box::pin(self.tenant_named(actor, tenant)).await?),
            None => actor.tenant(),
        };
        let name = match kind {
            Kind::Account | Kind::Alias | Kind::List => {
                named.name.parse::<Address>().map_or_else(|_| named.name.clone(), |of| of.key().to_string())
            }
            Kind::Domain => {
                Domain::parse(&named.name).map_or_else(|_| named.name.clone(), |of| of.as_str().to_owned())
            }
            _ => named.name.clone(),
        };
        let found = self.read("directory.find", move |tx| find(tx, kind, &name)).await?;
        let mut found: Vec<Place> =
            found.into_iter().filter(|place| within.is_none_or(|tenant| tenant == place.tenant)).collect();
        match (found.pop(), found.is_empty()) {
            (Some(place), true) => Ok(place),
            (Some(_), false) => Err(DirectoryError::Ambiguous { kind, name: named.name.clone() }),
            (None, _) => Err(not_found()),
        }
    }

    async fn show(&self, actor: &Actor, named: &Named) -> Result<Answer, DirectoryError> {
        let kind = named.kind;
        let not_found = || DirectoryError::NotFound { kind, name: named.name.clone() };
        // A tenant sees its own plan, which is the platform's.
        let place = self.place(actor, named).await?;
        let actor = *actor;
        let scope = Scope::tenant(&DIRECTORY, place.tenant).map_err(|_| StoreError::Closed)?;
        let read = self.store.read(scope, "directory.show", move |tx| {
            let Some(object) = object::by_id(tx, kind, place.id)? else {
                return Ok::<_, DirectoryError>(None);
            };
            let target = change::target(tx, &object)?;
            Ok(Some(rights::may(&actor, Verb::Show, &target).map(|()| object)))
        });
        match read.await?.ok_or_else(not_found)? {
            Ok(object) => Ok(Answer::Object(View::from(&object))),
            Err(Denied::NotFound) => Err(not_found()),
            Err(Denied::Needs(needs)) => Err(DirectoryError::Forbidden { needs }),
        }
    }

    async fn list(
        &self,
        actor: &Actor,
        kind: Kind,
        tenant: Option<String>,
        of: Option<Named>,
        mut filter: Filter,
    ) -> Result<Answer, DirectoryError> {
        let mut within = match &tenant {
            Some(tenant) => Some(self.tenant_named(actor, tenant).await?),
            None => actor.tenant(),
        };
        if let Some(of) = &of {
            let place = self.place(actor, of).await?;
            (within, filter.parent) = (Some(place.tenant), Some(place.id));
        }
        if kind == Kind::Plan && actor.may_operate() {
            within = Some(TenantId::PLATFORM);
        }
        self.may_list(actor, kind, within, of.as_ref(), &filter)?;
        let limit = filter.limit();
        let objects = match within {
            Some(tenant) => {
                let scope = Scope::tenant(&DIRECTORY, tenant).map_err(|_| StoreError::Closed)?;
                self.store.read(scope, "directory.list", move |tx| object::list(tx, kind, &filter)).await?
            }
            None => self.read("directory.list", move |tx| object::list_anywhere(tx, kind, &filter)).await?,
        };
        let is_full = objects.len() == usize::from(limit);
        let next = objects.last().filter(|_| is_full).map(|last| (last.name.clone(), last.id));
        let objects = objects.iter().map(View::from).collect();
        Ok(Answer::Objects { objects, next })
    }

    /// A list is of a whole tenant, of one domain, or of one account.
    fn may_list(
        &self,
        actor: &Actor,
        kind: Kind,
        within: Option<TenantId>,
        of: Option<&Named>,
        filter: &Filter,
    ) -> Result<(), DirectoryError> {
        let mut target = Target::of_tenant(kind, within.unwrap_or(TenantId::PLATFORM));
        match of.map(|of| of.kind) {
            Some(Kind::Domain) => {
                target.domains =
                    filter.parent.and_then(hikyaku_types::DomainId::from_i64).into_iter().collect();
            }
            Some(Kind::Account) => target.account = filter.parent.and_then(AccountId::from_i64),
            _ => {}
        }
        rights::may(actor, Verb::List, &target).map_err(|denied| match denied {
            Denied::Needs(needs) => DirectoryError::Forbidden { needs },
            Denied::NotFound => DirectoryError::NotFound {
                kind: Kind::Tenant,
                name: within.map_or_else(String::new, |tenant| tenant.to_string()),
            },
        })
    }

    async fn audit(
        &self,
        actor: &Actor,
        tenant: Option<String>,
        object: Option<Named>,
        before: Option<String>,
        limit: Option<u16>,
    ) -> Result<Answer, DirectoryError> {
        let mut within = match &tenant {
            Some(tenant) => Some(self.tenant_named(actor, tenant).await?),
            None => actor.tenant(),
        };
        let mut of = 0;
        if let Some(object) = &object {
            let place = self.place(actor, object).await?;
            (within, of) = (Some(place.tenant), place.id);
        }
        // Who reads the audit log of a tenant sees what its administrator sees.
        let target = Target::of_tenant(Kind::Group, within.unwrap_or(TenantId::PLATFORM));
        if let Err(Denied::Needs(needs)) = rights::may(actor, Verb::List, &target) {
            return Err(DirectoryError::Forbidden { needs });
        }
        let before = match before {
            Some(text) => text
                .parse::<AuditId>()
                .map_err(|error| change::invalid("before", error.to_string()))?
                .as_i64(),
            None => i64::MAX,
        };
        let limit = limit.unwrap_or(100).clamp(1, 500);
        let lines = match within {
            Some(tenant) => {
                let scope = Scope::tenant(&DIRECTORY, tenant).map_err(|_| StoreError::Closed)?;
                let read = self
                    .store
                    .read(scope, "directory.audit", move |tx| log::of_tenant(tx, of, before, limit));
                read.await?
            }
            None => self.read("directory.audit", move |tx| log::of_all(tx, of, before, limit)).await?,
        };
        let next = lines.last().filter(|_| lines.len() == usize::from(limit)).map(|last| last.id.clone());
        Ok(Answer::Audit { lines, next })
    }

    /// Deleted objects whose time has come, a step of them; the mail of accounts first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn dying(&self) -> Result<Vec<Removal>, StoreError> {
        let now = self.clock.now();
        let mut all = Vec::new();
        for kind in [
            Kind::Account,
            Kind::Alias,
            Kind::List,
            Kind::Group,
            Kind::Role,
            Kind::Domain,
            Kind::Tenant,
            Kind::Plan,
        ] {
            let places = self.read("directory.dying", move |tx| object::dying(tx, kind, now)).await?;
            for place in places {
                let homes = self.homes(kind, place).await?;
                all.push(Removal { kind, homes, place });
            }
        }
        Ok(all)
    }

    async fn homes(&self, kind: Kind, place: Place) -> Result<Vec<AccountHome>, StoreError> {
        let Some(tenant) = self.tenant(place.tenant).await? else { return Ok(Vec::new()) };
        let accounts = match kind {
            Kind::Account => vec![place.id],
            Kind::Tenant => {
                let scope = Scope::tenant(&DIRECTORY, place.tenant).map_err(|_| StoreError::Closed)?;
                let everything = Filter::everything();
                let read = self.store.read(scope, "directory.accounts", move |tx| {
                    object::list(tx, Kind::Account, &everything)
                });
                read.await?.iter().map(|account| account.id).collect()
            }
            _ => Vec::new(),
        };
        let home = |account| AccountHome { tenant: tenant.id, account, shard: tenant.fields.shard() };
        Ok(accounts.into_iter().filter_map(AccountId::from_i64).map(home).collect())
    }

    /// Removes it for good, after the mail of its accounts. A tenant goes in steps: it dies
    /// again as long as it has accounts. True unless there is more to do at once.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn remove(&self, removal: &Removal) -> Result<bool, StoreError> {
        let scope = Scope::control(&DIRECTORY).map_err(|_| StoreError::Closed)?;
        let Removal { place, kind, .. } = *removal;
        let accounts: Vec<i64> = removal.homes.iter().map(|home| home.account.as_i64()).collect();
        let now = self.clock.now();
        let write = self.store.write(scope.long(), "directory.remove", move |tx| {
            change::remove(tx, place, kind, &accounts, now)
        });
        let is_done = write.await?;
        self.caches.forget_all();
        Ok(is_done)
    }

    /// Learns what other nodes have changed since the last time. To be called twice a second
    /// where several nodes share a database.
    ///
    /// # Errors
    /// [`StoreError`]; when it goes on for longer than ten seconds, caches are not believed.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let newest = self.seen.load(Ordering::Relaxed);
        let mut from = RisingIds::floor_at(RisingIds::time_of(newest).before(LOOK_BACK));
        loop {
            let (last, noted) = self.read("directory.noted", move |tx| log::noted(tx, from)).await?;
            if noted.contains(&None) {
                self.caches.forget_all();
            } else if !noted.is_empty() {
                self.caches.forget(&noted.iter().flatten().cloned().collect::<Vec<_>>());
            }
            if last == from {
                break;
            }
            from = last;
        }
        self.seen.fetch_max(from, Ordering::Relaxed);
        self.caches.heard(now);
        Ok(())
    }

    /// Removes old notes of what was changed, a step. False if there is nothing more to do.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn trim(&self) -> Result<bool, StoreError> {
        let (now, scope) = (self.clock.now(), Scope::control(&DIRECTORY).map_err(|_| StoreError::Closed)?);
        let gone = self.store.write(scope, "directory.trim", move |tx| log::trim(tx, now)).await?;
        Ok(gone > 0)
    }
}

/// By id, or by name; an account by any of its addresses.
fn find(tx: &mut hikyaku_store::ControlTx<'_>, kind: Kind, name: &str) -> Result<Vec<Place>, StoreError> {
    if let Some(id) = kind.id_of(name) {
        return Ok(object::find_id(tx, kind, id)?.into_iter().collect());
    }
    let mut found = object::find_name(tx, kind, name)?;
    if found.is_empty() && kind == Kind::Account {
        found.extend(object::find_address(tx, kind, name)?);
    }
    found.retain(|place| kind != Kind::Tenant || place.tenant != TenantId::PLATFORM);
    Ok(found)
}

/// Why a change was not committed.
enum Stop {
    /// Nobody wanted it to be.
    DryRun(Box<Done>),
    Error(DirectoryError),
}

impl From<DirectoryError> for Stop {
    fn from(error: DirectoryError) -> Self {
        Self::Error(error)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Error(error.into())
    }
}
