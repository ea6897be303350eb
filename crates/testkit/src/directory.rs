//! A directory on the store of a test, filled by the ordinary requests, with ids that tests
//! choose.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hikyaku_directory::{
    Action, Answer, CacheSizes, Directory, DirectoryError, Edit, FieldEdit, Kind, Named, NewSecret,
    PasswordHash, Passwords, Request,
};
use hikyaku_sign_in::Gate;
use hikyaku_store::{AccountHome, Store};
use hikyaku_types::{Actor, Clock, NodeId, RisingIds, TenantId};

use crate::{ManualClock, SeededRandom, TestStore};

/// A directory that is being filled.
#[derive(Debug)]
pub struct TestDirectory {
    /// The directory.
    pub directory: Arc<Directory>,
}

/// So many passwords are hashed at once.
pub const PASSWORDS_AT_ONCE: usize = 2;

/// The way into a directory, as a server opens it.
pub async fn gate(store: &Arc<Store>, directory: &Arc<Directory>, clock: Arc<dyn Clock>) -> Arc<Gate> {
    let node = NodeId::new(4).expect("4 is a node");
    let (store, directory, ids) = (Arc::clone(store), Arc::clone(directory), Arc::new(RisingIds::new(node)));
    // Each is a node of its own.
    static NODES: AtomicU64 = AtomicU64::new(11);
    let random = SeededRandom::new(NODES.fetch_add(1, Ordering::Relaxed));
    let gate = Gate::open(store, directory, ids, clock, &random, node).await;
    Arc::new(gate.expect("the way in opens"))
}

/// Sets a field.
pub fn set(name: &str, value: impl Into<String>) -> FieldEdit {
    (name.to_owned(), Edit::Set(value.into()))
}

impl TestDirectory {
    /// An empty one.
    pub fn new(mail: &TestStore) -> Self {
        Self::on(Arc::clone(&mail.store), Arc::clone(&mail.clock))
    }

    /// The one of a store: empty, if nobody filled it.
    pub fn on(store: Arc<Store>, clock: Arc<ManualClock>) -> Self {
        Self::of_node(store, clock, 3)
    }

    /// The same on one of several nodes, which differ in their numbers.
    pub fn of_node(store: Arc<Store>, clock: Arc<ManualClock>, node: u16) -> Self {
        let directory = Directory::new(
            store,
            Arc::new(RisingIds::new(NodeId::new(node).expect("a node"))),
            clock as _,
            Arc::new(SeededRandom::new(9)),
            Passwords::new(PASSWORDS_AT_ONCE),
            CacheSizes::default(),
        );
        Self { directory: Arc::new(directory.expect("a directory")) }
    }

    /// Creates, as the operator.
    pub async fn create(
        &self,
        kind: Kind,
        name: &str,
        id: Option<String>,
        tenant: Option<TenantId>,
        fields: Vec<FieldEdit>,
    ) {
        let tenant = tenant.map(|tenant| tenant.to_string());
        let action = Action::Create { kind, name: Some(name.to_owned()), id, tenant, fields, secret: None };
        self.execute(action).await;
    }

    /// Changes fields, as the operator.
    pub async fn change(&self, kind: Kind, name: &str, fields: Vec<FieldEdit>) {
        let object = Named { kind, name: name.to_owned(), tenant: None };
        self.execute(Action::Change { object, version: None, rename: None, fields, secret: None }).await;
    }

    /// A new app password of an account, as its owner gets to see it.
    pub async fn app_password(&self, account: &str, title: &str, fields: Vec<FieldEdit>) -> String {
        let mut all = vec![set("account", account), set("kind", "app_password"), set("title", title)];
        all.extend(fields);
        let action = Action::Create {
            kind: Kind::Credential,
            name: None,
            id: None,
            tenant: None,
            fields: all,
            secret: None,
        };
        let request = Request { action, reason: None, dry_run: false };
        match self.directory.execute(Actor::Operator, request).await {
            Ok(Answer::Done { secret: Some(secret), .. }) => secret,
            other => panic!("no app password: {other:?}"),
        }
    }

    async fn execute(&self, action: Action) {
        let request = Request { action, reason: None, dry_run: false };
        // A server that is started again finds what the first one had.
        match self.directory.execute(Actor::Operator, request).await {
            Ok(_) | Err(DirectoryError::Taken { .. } | DirectoryError::AddressTaken { .. }) => {}
            Err(error) => panic!("the directory does not do it: {error}"),
        }
    }

    /// A tenant, with a plan of its own whose pool has so many bytes.
    pub async fn tenant(&self, tenant: TenantId, pool: Option<u64>) {
        self.tenant_with(tenant, pool, Vec::new()).await;
    }

    /// The same with more fields.
    pub async fn tenant_with(&self, tenant: TenantId, pool: Option<u64>, mut fields: Vec<FieldEdit>) {
        let number = tenant.as_i64();
        let pool = pool.map_or_else(|| "none".into(), |bytes| bytes.to_string());
        let plan = format!("plan-{number}");
        self.create(Kind::Plan, &plan, None, None, vec![set("pool", pool)]).await;
        let name = format!("tenant-{number}");
        fields.push(set("plan", plan));
        self.create(Kind::Tenant, &name, Some(tenant.to_string()), None, fields).await;
    }

    /// A domain of a tenant.
    pub async fn domain(&self, tenant: TenantId, name: &str) {
        self.create(Kind::Domain, name, None, Some(tenant), Vec::new()).await;
    }

    /// An account with its first and further addresses, and its password.
    pub async fn account(&self, home: AccountHome, addresses: &[&str], quota: Option<u64>, password: &str) {
        let quota = quota.map_or_else(|| "none".into(), |bytes| bytes.to_string());
        let fields = vec![set("addresses", addresses.join(",")), set("quota", quota)];
        self.create(Kind::Account, addresses[0], Some(home.account.to_string()), Some(home.tenant), fields)
            .await;
        let hash = PasswordHash::of(password.as_bytes(), &SeededRandom::new(1)).expect("a hash");
        let action = Action::Create {
            kind: Kind::Credential,
            name: None,
            id: None,
            tenant: None,
            fields: vec![set("account", addresses[0])],
            secret: Some(NewSecret::Hash(hash.as_str().to_owned())),
        };
        self.execute(action).await;
    }
}
