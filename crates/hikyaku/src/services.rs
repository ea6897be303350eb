//! What a server process is made of, in the order in which it is opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hikyaku_directory::{BlockBounds, BreachedPasswords, CacheSizes, Directory, Passwords};
use hikyaku_imap_server::{Bounds, Memory, Packer, Sizes, Versions};
use hikyaku_mailstore::search::Indexer;
use hikyaku_mailstore::{KeyCleaner, account};
use hikyaku_queue::Administration;
use hikyaku_sign_in::{Atlas, Gate};
use hikyaku_smtp_server::{Isolation, Judge, Limits, Services};
use hikyaku_store::{Component, Content, DataLock, Location, Objects, Options, Scope, Store, StoreError};
use hikyaku_telemetry::Metrics;
use hikyaku_trace::RefusalLog;
use hikyaku_types::{Actor, Clock, NodeId, Random, RisingIds, Service, SystemClock, SystemRandom};
use tokio::runtime::Runtime;

/// The tables of everything that keeps state.
pub(crate) const COMPONENTS: [&Component; 9] = [
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

/// Where the key ring is unless the settings say it.
pub(crate) fn usual_key_ring(data: &Path) -> PathBuf {
    data.join("key-ring")
}

const MAINTENANCE: Actor = Actor::Service(Service::Maintenance);

/// An open installation. Its data folder is locked as long as this lives.
pub(crate) struct Installation {
    pub(crate) store: Arc<Store>,
    pub(crate) content: Arc<Content>,
    pub(crate) ids: Arc<RisingIds>,
    /// Writes once it is run.
    pub(crate) refusals: RefusalLog,
    /// Works once it is run.
    pub(crate) search: Indexer,
    /// The data folder.
    pub(crate) data: PathBuf,
    /// Other nodes may work on the same databases.
    pub(crate) is_shared: bool,
    pub(crate) net_metrics: hikyaku_net::Metrics,
    smtp_metrics: hikyaku_smtp_server::Metrics,
    _lock: DataLock,
}

impl Installation {
    /// Opens databases that are up to date. Outside the runtime, which it borrows.
    pub(crate) fn open(
        data: &Path,
        location: &Location,
        key_ring: &Path,
        options: &Options,
        metrics: &mut Metrics,
        runtime: &Runtime,
    ) -> anyhow::Result<Self> {
        let lock = DataLock::take(data)?;
        Self::open_locked(lock, data, location, key_ring, options, metrics, runtime)
    }

    /// The same for a folder that is locked already.
    pub(crate) fn open_locked(
        lock: DataLock,
        data: &Path,
        location: &Location,
        key_ring: &Path,
        options: &Options,
        metrics: &mut Metrics,
        runtime: &Runtime,
    ) -> anyhow::Result<Self> {
        let store = Store::open(location, options, &COMPONENTS, metrics.of_crate("store"))?;
        let objects = Objects::folder(&data.join("objects"))?;
        runtime.block_on(store.open_key_ring(key_ring, &SystemRandom))?;
        let (content, ids) = runtime.block_on(async {
            let content = Content::open(&store, objects, &SystemRandom).await?;
            let ids = rising_ids(&store).await?;
            Ok::<_, StoreError>((content, ids))
        })?;
        let (store, content, ids) = (Arc::new(store), Arc::new(content), Arc::new(ids));
        Ok(Self {
            refusals: RefusalLog::new(Arc::clone(&store), Arc::clone(&ids)),
            search: Indexer::new(Arc::clone(&store), Arc::clone(&content)),
            store,
            content,
            ids,
            data: data.to_owned(),
            is_shared: location.folder().is_none(),
            net_metrics: hikyaku_net::Metrics::new(metrics.of_crate("net")),
            smtp_metrics: hikyaku_smtp_server::Metrics::new(metrics.of_crate("smtp-server")),
            _lock: lock,
        })
    }

    /// Who exists, with a pool that checks so many passwords at once, the passwords that nobody
    /// may choose, and what tenants may choose about blocks.
    pub(crate) fn directory(
        &self,
        passwords_at_once: usize,
        breached: Option<BreachedPasswords>,
        blocking: BlockBounds,
    ) -> anyhow::Result<Arc<Directory>> {
        let directory = Directory::new(
            Arc::clone(&self.store),
            Arc::clone(&self.ids),
            Arc::new(SystemClock),
            Arc::new(SystemRandom),
            Passwords::new(passwords_at_once),
            CacheSizes::default(),
        )?
        .with_blocking(blocking);
        Ok(Arc::new(match breached {
            Some(file) => directory.with_breached(file),
            None => directory,
        }))
    }

    /// Who may sign in to what the directory knows, from places that `atlas` has.
    pub(crate) async fn gate(
        &self,
        directory: &Arc<Directory>,
        atlas: Atlas,
    ) -> Result<Arc<Gate>, StoreError> {
        let (store, directory, ids) = (Arc::clone(&self.store), Arc::clone(directory), Arc::clone(&self.ids));
        let gate = Gate::open(store, directory, ids, Arc::new(SystemClock), &SystemRandom, this_node());
        Ok(Arc::new(gate.await?.with_places(atlas)))
    }

    /// What SMTP sessions work with; `largest` is the size of the largest content. Must be
    /// called inside the runtime: it starts the forgetting of delivery keys.
    pub(crate) fn smtp(
        &self,
        directory: Arc<Directory>,
        gate: Arc<Gate>,
        limits: Limits,
        largest: usize,
        judge: Option<Arc<Judge>>,
    ) -> Services {
        let (keys, cleaning) = KeyCleaner::new(Arc::clone(&self.store));
        tokio::spawn(cleaning);
        Services {
            store: Arc::clone(&self.store),
            content: Arc::clone(&self.content),
            directory,
            gate,
            keys,
            ids: Arc::clone(&self.ids),
            clock: Arc::new(SystemClock) as Arc<dyn Clock>,
            random: Arc::new(SystemRandom) as Arc<dyn Random>,
            isolation: Arc::new(Isolation::new(limits, largest, self.smtp_metrics.clone())),
            judge,
            refusals: self.refusals.clone(),
        }
    }
}

impl Installation {
    /// What waits to be sent.
    pub(crate) fn queue(&self) -> Administration {
        Administration::new(Arc::clone(&self.store), Arc::clone(&self.ids), Arc::new(SystemClock))
    }

    /// What IMAP sessions work with; `memory` is for their messages.
    /// Must be called inside the runtime: it starts the packing of mailboxes.
    pub(crate) fn imap(
        &self,
        directory: Arc<Directory>,
        gate: Arc<Gate>,
        memory: Memory,
    ) -> hikyaku_imap_server::Services {
        let (packer, packing) =
            Packer::new(Arc::clone(&self.store), Arc::clone(&self.content), Sizes::default());
        tokio::spawn(packing);
        hikyaku_imap_server::Services {
            store: Arc::clone(&self.store),
            content: Arc::clone(&self.content),
            directory,
            gate,
            search: self.search.clone(),
            ids: Arc::clone(&self.ids),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            versions: Arc::new(Versions::new(Bounds::default())),
            packer,
            memory: Arc::new(memory),
        }
    }
}

/// There is one node so far.
fn this_node() -> NodeId {
    NodeId::new(0).expect("0 is a node")
}

/// Prepares every shard for writing, and makes ids that rise above all that it has.
async fn rising_ids(store: &Store) -> Result<RisingIds, StoreError> {
    let ids = RisingIds::new(this_node());
    let now = SystemClock.now();
    for shard in store.shards() {
        let scope = || Scope::service(&MAINTENANCE, shard, None).expect("maintenance is a service");
        store.write(scope(), "trace.partitions", move |tx| hikyaku_trace::make_partitions(tx, now)).await?;
        let newest = store.read(scope(), "store.newest", |tx| {
            let used = account::last_ids(tx)?.max(hikyaku_queue::last_id(tx)?);
            Ok::<_, StoreError>(used.max(hikyaku_trace::last_id(tx)?))
        });
        ids.start_above(newest.await?);
    }
    let control = Scope::control(&MAINTENANCE).expect("maintenance operates");
    ids.start_above(store.read(control, "directory.newest", hikyaku_directory::last_ids).await?);
    let access = Scope::access(&MAINTENANCE).expect("maintenance is a service");
    ids.start_above(store.read(access, "sign-in.newest", hikyaku_sign_in::last_id).await?);
    Ok(ids)
}
