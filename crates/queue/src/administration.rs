//! The queue as those see it who administer: the operator all of it, a tenant's administrator
//! what is the tenant's. What is another tenant's is not found.

use std::sync::Arc;

use hikyaku_store::{Scope, Store, StoreError};
use hikyaku_types::{Actor, AuditId, Clock, RisingIds, Service, ShardId, TenantId, TraceId};

use crate::change::{self, Deed, LogLine, Order};
use crate::list::{self, Filter, Item, Page};
use crate::outgoing::MOST_RECIPIENTS;

const QUEUE: Actor = Actor::Service(Service::Queue);
/// Lines of the log at once.
const MOST_LINES: u16 = 500;

/// Why an administrator is not answered.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// Not there, or not theirs.
    #[error("there is no message {0} in the queue")]
    NotFound(String),
    /// What was asked makes no sense.
    #[error("{0}")]
    Request(String),
    /// The store; temporary.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Lists the queue and changes it for those who may.
#[derive(Clone)]
pub struct Administration {
    store: Arc<Store>,
    ids: Arc<RisingIds>,
    clock: Arc<dyn Clock>,
}

impl Administration {
    /// Over these databases.
    pub fn new(store: Arc<Store>, ids: Arc<RisingIds>, clock: Arc<dyn Clock>) -> Self {
        Self { store, ids, clock }
    }

    /// A page of what waits: of one tenant, or of all that the actor administers.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn list(
        &self,
        actor: &Actor,
        tenant: Option<TenantId>,
        filter: &Filter,
    ) -> Result<Page, QueueError> {
        let after = id_of(filter.after.as_deref())?.map_or(0, TraceId::as_i64);
        let mut messages = Vec::new();
        for shard in self.store.shards() {
            let filter = filter.clone();
            let page = match within(actor, tenant)? {
                Some(tenant) => {
                    let scope = Scope::tenant_mail(actor, tenant, shard).map_err(|_| nothing())?;
                    self.store.read(scope, "queue.list", move |tx| list::of_tenant(tx, &filter, after)).await
                }
                None => {
                    let scope = service(shard);
                    self.store.read(scope, "queue.list", move |tx| list::all(tx, &filter, after)).await
                }
            };
            messages.extend(page.map_err(|error: StoreError| error)?);
        }
        messages.sort_by(|a, b| a.id.cmp(&b.id));
        messages.truncate(usize::from(filter.limit()));
        let is_full = messages.len() == usize::from(filter.limit());
        let next = messages.last().filter(|_| is_full).map(|last| last.id.clone());
        Ok(Page { messages, next })
    }

    /// One message with all its recipients.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn show(&self, actor: &Actor, tenant: Option<TenantId>, id: &str) -> Result<Item, QueueError> {
        let not_found = || QueueError::NotFound(id.to_owned());
        let (shard, tenant, message) = self.place(actor, tenant, id).await?;
        let scope = Scope::tenant_mail(actor, tenant, shard).map_err(|_| not_found())?;
        let found = self.store.read(scope, "queue.show", move |tx| list::one(tx, message)).await;
        found.map_err(|error: StoreError| error)?.ok_or_else(not_found)
    }

    /// Holds, releases or deletes one message; how many recipients that changed. `who` stands
    /// in the log.
    ///
    /// # Errors
    /// [`QueueError`]: then nothing was changed.
    pub async fn change(
        &self,
        actor: &Actor,
        tenant: Option<TenantId>,
        who: &str,
        deed: Deed,
        id: &str,
        reason: Option<String>,
    ) -> Result<u64, QueueError> {
        let not_found = || QueueError::NotFound(id.to_owned());
        let (shard, tenant, message) = self.place(actor, tenant, id).await?;
        let now = self.clock.now();
        let traces = match deed {
            Deed::Delete => {
                (0..MOST_RECIPIENTS).filter_map(|_| TraceId::from_i64(self.ids.next(now))).collect()
            }
            Deed::Hold | Deed::Release => Vec::new(),
        };
        let log = AuditId::from_i64(self.ids.next(now)).ok_or(StoreError::Closed)?;
        let order = Order { deed, message, who: who.to_owned(), reason, log, traces, now };
        let scope = Scope::tenant_mail(actor, tenant, shard).map_err(|_| not_found())?;
        let changed = self.store.write(scope, "queue.change", move |tx| change::carry_out(tx, &order)).await;
        changed.map_err(|error: StoreError| error)?.ok_or_else(not_found)
    }

    /// Who did what, the newest first.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn log(
        &self,
        actor: &Actor,
        tenant: Option<TenantId>,
        before: Option<&str>,
        most: Option<u16>,
    ) -> Result<Vec<LogLine>, QueueError> {
        let parse = |text: &str| text.parse().map_err(|error| QueueError::Request(format!("{error}")));
        let before: Option<AuditId> = before.map(parse).transpose()?;
        let before = before.map_or(i64::MAX, AuditId::as_i64);
        let most = most.unwrap_or(100).clamp(1, MOST_LINES);
        let mut lines = Vec::new();
        for shard in self.store.shards() {
            let page: Result<_, StoreError> = match within(actor, tenant)? {
                Some(tenant) => {
                    let scope = Scope::tenant_mail(actor, tenant, shard).map_err(|_| nothing())?;
                    self.store
                        .read(scope, "queue.log", move |tx| change::log_of_tenant(tx, before, most))
                        .await
                }
                None => {
                    let scope = service(shard);
                    self.store.read(scope, "queue.log", move |tx| change::log_of_all(tx, before, most)).await
                }
            };
            lines.extend(page?);
        }
        lines.sort_by(|a, b| b.id.cmp(&a.id));
        lines.truncate(usize::from(most));
        Ok(lines)
    }

    /// In which shard a message is, and whose it is.
    async fn place(
        &self,
        actor: &Actor,
        tenant: Option<TenantId>,
        id: &str,
    ) -> Result<(ShardId, TenantId, TraceId), QueueError> {
        let message = id_of(Some(id))?.ok_or_else(nothing)?;
        let within = within(actor, tenant)?;
        for shard in self.store.shards() {
            let find = self.store.read(service(shard), "queue.find", move |tx| list::tenant_of(tx, message));
            let found: Option<TenantId> = find.await.map_err(|error: StoreError| error)?;
            if let Some(tenant) = found.filter(|tenant| within.is_none_or(|within| within == *tenant)) {
                return Ok((shard, tenant, message));
            }
        }
        Err(QueueError::NotFound(id.to_owned()))
    }
}

/// The tenant that the actor is kept to, if any.
fn within(actor: &Actor, tenant: Option<TenantId>) -> Result<Option<TenantId>, QueueError> {
    match tenant.or(actor.tenant()) {
        Some(tenant) if actor.may_administer(tenant) => Ok(Some(tenant)),
        None if actor.may_operate() => Ok(None),
        _ => Err(nothing()),
    }
}

fn nothing() -> QueueError {
    QueueError::NotFound("like this".into())
}

fn service(shard: ShardId) -> hikyaku_store::ServiceScope {
    Scope::service(&QUEUE, shard, None).expect("the queue is a service")
}

fn id_of(text: Option<&str>) -> Result<Option<TraceId>, QueueError> {
    let parse = |text: &str| text.parse().map_err(|error| QueueError::Request(format!("{error}")));
    text.map(parse).transpose()
}
