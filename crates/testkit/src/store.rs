//! A store for a test, on either engine, with the few things that every test of mail needs.
//!
//! ```ignore
//! both_engines! { a_message_arrives }
//! fn a_message_arrives(mail: TestStore) { … }
//! ```

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use hikyaku_mailstore::{
    ContentHash, DeliverError, Delivery, DeliveryKey, Flags, IfFull, MailboxId, Outcome, Prelude, Quota,
    Recipient, Target, TenantPart, Threading, check,
};
use hikyaku_store::{
    AccountHome, AccountTx, Component, Content, Location, Objects, Options, Scope, ServiceTx, Store,
    StoreError,
};
use hikyaku_types::{
    AccountId, Actor, Clock, ContentId, EmailId, NodeId, RisingIds, Service, ShardId, TenantId, Timestamp,
    TraceId,
};
use prometheus_client::registry::Registry;
use tempfile::TempDir;

use crate::postgres::{Cluster, TestDatabase};
use crate::{ManualClock, SeededRandom, scratch_dir};

/// The tables of everything that is in a shard so far.
pub const COMPONENTS: [&Component; 9] = [
    &hikyaku_store::CONTENT_SCHEMA,
    &hikyaku_directory::SCHEMA,
    &hikyaku_mailstore::SCHEMA,
    &hikyaku_mailstore::SEARCH_SCHEMA,
    &hikyaku_trace::SCHEMA,
    &hikyaku_queue::SCHEMA,
    &hikyaku_sign_in::SCHEMA,
    &hikyaku_sign_in::HABITS_SCHEMA,
    &hikyaku_sign_in::RECOVERY_SCHEMA,
];

/// The platform's delivery, as an actor.
pub const DELIVERY: Actor = Actor::Service(Service::Delivery);

/// The shard that tests use.
pub const SHARD: ShardId = ShardId(0);

/// Runs each named test on SQLite and on PostgreSQL.
#[macro_export]
macro_rules! both_engines {
    ($($name:ident)*) => {
        mod sqlite {
            $(#[test] fn $name() { super::$name($crate::TestStore::sqlite()); })*
        }
        mod postgres {
            $(#[test] fn $name() { super::$name($crate::TestStore::postgres()); })*
        }
    };
}

/// A migrated store on one of the engines, removed when it is dropped.
#[derive(Debug)]
pub struct TestStore {
    /// The store.
    pub store: Arc<Store>,
    /// Its content.
    pub content: Arc<Content>,
    /// Stands still unless it is set: 2026-11-24, noon.
    pub clock: Arc<ManualClock>,
    /// Random, the same each run.
    pub random: SeededRandom,
    /// Rising ids.
    pub ids: RisingIds,
    /// Where the databases are.
    pub location: Location,
    /// How they are opened.
    pub options: Options,
    registry: Registry,
    runtime: tokio::runtime::Runtime,
    folder: TempDir,
    _database: Option<TestDatabase>,
}

impl TestStore {
    /// On SQLite.
    pub fn sqlite() -> Self {
        let folder = scratch_dir();
        let location = Location::Folder(folder.path().to_owned());
        Self::migrated(location, folder, None, Options::default())
    }

    /// On the run's PostgreSQL.
    pub fn postgres() -> Self {
        let name = template();
        Cluster::shared().template(&name, |url| {
            let location = Location::Postgres { url: url.to_owned() };
            Store::migrate(&location, &Options::default(), &COMPONENTS).expect("the template migrates");
        });
        let database = Cluster::shared().create_database(Some(&name));
        let location = Location::Postgres { url: database.url().to_owned() };
        let options = Options { connections: 4, ..Options::default() };
        Self::migrated(location, scratch_dir(), Some(database), options)
    }

    /// On databases that may be there already: migrates and opens them.
    pub fn migrated(
        location: Location,
        folder: TempDir,
        database: Option<TestDatabase>,
        options: Options,
    ) -> Self {
        Store::migrate(&location, &options, &COMPONENTS).expect("the databases migrate");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let random = SeededRandom::new(7);
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_795_521_600)));
        let mut registry = Registry::default();
        let (store, content) =
            open(&runtime, &mut registry, &location, &options, folder.path(), &random, clock.now());
        let ids = RisingIds::new(NodeId::new(1).expect("1 is a node"));
        Self {
            store,
            content,
            clock,
            random,
            ids,
            location,
            options,
            registry,
            runtime,
            folder,
            _database: database,
        }
    }

    /// Closes everything and opens it again, as a restart does.
    pub fn reopen(&mut self) {
        self.store.close();
        let now = self.clock.now();
        (self.store, self.content) = open(
            &self.runtime,
            &mut self.registry,
            &self.location,
            &self.options,
            self.folder.path(),
            &self.random,
            now,
        );
    }

    /// The folder of the objects and, on SQLite, the databases.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// The file of the key ring.
    pub fn key_ring(&self) -> std::path::PathBuf {
        self.folder.path().join("key-ring")
    }

    /// The store's metrics as a scraper gets them.
    pub fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).expect("writing to memory");
        text
    }

    /// Runs a future to its end.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// An account of a tenant, by small numbers.
    pub fn home(tenant: i64, account: i64) -> AccountHome {
        AccountHome {
            tenant: TenantId::from_i64(tenant).expect("positive"),
            account: AccountId::from_i64(account).expect("positive"),
            shard: SHARD,
        }
    }

    /// A new rising number.
    pub fn next_id(&self) -> i64 {
        self.ids.next(self.clock.now())
    }

    /// Writes as the platform.
    pub fn write<T, E, F>(&self, closure: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: Fn(&mut ServiceTx<'_>) -> Result<T, E> + Send + 'static,
    {
        let scope = Scope::service(&DELIVERY, SHARD, None).expect("a service");
        self.block_on(self.store.write(scope.long(), "test.write", closure))
    }

    /// Reads as the platform.
    pub fn read<T, E, F>(&self, closure: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: Fn(&mut ServiceTx<'_>) -> Result<T, E> + Send + 'static,
    {
        let scope = Scope::service(&DELIVERY, SHARD, None).expect("a service");
        self.block_on(self.store.read(scope.long(), "test.read", closure))
    }

    /// Writes as the account's owner.
    pub fn write_as<T, E, F>(&self, home: AccountHome, closure: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: Fn(&mut AccountTx<'_>) -> Result<T, E> + Send + 'static,
    {
        let scope = Scope::account(&owner(home), home).expect("the owner");
        self.block_on(self.store.write(scope.long(), "test.write_as", closure))
    }

    /// Reads as the account's owner.
    pub fn read_as<T, E, F>(&self, home: AccountHome, closure: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: Fn(&mut AccountTx<'_>) -> Result<T, E> + Send + 'static,
    {
        let scope = Scope::account(&owner(home), home).expect("the owner");
        self.block_on(self.store.read(scope.long(), "test.read_as", closure))
    }

    /// A delivery of `content` to these accounts, ready to be changed.
    pub fn delivery(&self, content: &[u8], homes: &[AccountHome]) -> Delivery {
        self.block_on(self.delivery_async(content, homes, true))
    }

    /// The same inside a runtime; `share` false stores the content anew.
    pub async fn delivery_async(&self, content: &[u8], homes: &[AccountHome], share: bool) -> Delivery {
        let now = self.clock.now();
        let hash = ContentHash::of(content);
        let mut parts: Vec<TenantPart> = Vec::new();
        for home in homes {
            let recipient = Recipient {
                account: home.account,
                quota: Quota(None),
                target: Target::Mailbox(MailboxId::INBOX),
                flags: Flags::NONE,
                email: EmailId::from_i64(self.next_id()).expect("positive"),
                trace: TraceId::from_i64(self.next_id()).expect("positive"),
                address: format!("{}@example.org", home.account),
                note: None,
                prelude: Prelude::of_lines(b"Return-Path: <sender@example.com>\r\n".to_vec()),
                key: Some(DeliveryKey::new("sender@example.com", home.account, &hash)),
            };
            match parts.iter_mut().find(|part| part.tenant == home.tenant) {
                Some(part) => part.recipients.push(recipient),
                None => parts.push(TenantPart {
                    tenant: home.tenant,
                    pool: Quota(None),
                    content: self
                        .content
                        .prepare(&self.store, SHARD, home.tenant, content, share, now, &self.random)
                        .await
                        .expect("content is prepared"),
                    content_id: ContentId::from_i64(self.next_id()).expect("positive"),
                    recipients: vec![recipient],
                }),
            }
        }
        Delivery {
            received_at: now,
            threading: Threading::default(),
            reverse_path: "sender@example.com".into(),
            message_id: None,
            peer: Some("192.0.2.1".into()),
            parts,
            if_full: IfFull::RefuseAll,
        }
    }

    /// Carries out a delivery.
    pub fn carry_out(&self, delivery: Delivery) -> Result<Vec<Outcome>, DeliverError> {
        self.write(move |tx| hikyaku_mailstore::deliver(tx, &delivery))
    }

    /// Delivers `content` to these accounts.
    pub fn deliver(&self, content: &[u8], homes: &[AccountHome]) -> Vec<Outcome> {
        self.carry_out(self.delivery(content, homes)).expect("the delivery succeeds")
    }

    /// Everything that does not agree in the shard; empty if all is well.
    pub fn problems(&self) -> Vec<String> {
        let accounts = self.read(|tx| check::accounts(tx, None)).expect("accounts can be read");
        let mut problems: Vec<String> = self.read(check::check_shard).expect("the shard can be read");
        for account in accounts {
            let found = self.read(move |tx| {
                let tenant = TenantId::from_i64(1).expect("positive");
                check::check_account(&mut tx.account(tenant, account))
            });
            problems.extend(found.expect("the account can be read").iter().map(ToString::to_string));
        }
        problems
    }
}

/// The owner of an account.
pub fn owner(home: AccountHome) -> Actor {
    Actor::Owner { tenant: home.tenant, account: home.account }
}

fn open(
    runtime: &tokio::runtime::Runtime,
    registry: &mut Registry,
    location: &Location,
    options: &Options,
    folder: &std::path::Path,
    random: &SeededRandom,
    now: Timestamp,
) -> (Arc<Store>, Arc<Content>) {
    *registry = Registry::default();
    let store =
        Store::open(location, options, &COMPONENTS, registry.sub_registry_with_prefix("hikyaku_store"))
            .expect("the store opens");
    let objects = Objects::folder(&folder.join("objects")).expect("a folder of objects");
    // Beside the databases, as the program has it: a test may open what the program made.
    let beside = if let Location::Folder(data) = location { data.as_path() } else { folder };
    runtime.block_on(store.open_key_ring(&beside.join("key-ring"), random)).expect("a key ring");
    let content = runtime.block_on(Content::open(&store, objects, random)).expect("content opens");
    let scope = Scope::service(&DELIVERY, SHARD, None).expect("a service");
    let made = store.write(scope, "test.partitions", move |tx| hikyaku_trace::make_partitions(tx, now));
    runtime.block_on(made).expect("partitions are made");
    (Arc::new(store), Arc::new(content))
}

/// The name changes with the schema, so that a kept cluster does not keep an old one.
fn template() -> String {
    let mut hasher = DefaultHasher::new();
    for component in COMPONENTS {
        for migration in component.migrations {
            (migration.sql, migration.postgres, migration.name).hash(&mut hasher);
            format!("{:?}", migration.tables).hash(&mut hasher);
        }
    }
    format!("hikyaku_{:016x}", hasher.finish())
}
