//! What a server process is made of, in the order in which it is opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hikyaku_directory::{BlockBounds, BreachedPasswords, CacheSizes, Directory, Passwords};
use hikyaku_imap_server::{Bounds, Memory, Packer, Sizes, Versions};
use hikyaku_mailstore::search::Indexer;
use hikyaku_mailstore::{KeyCleaner, account};
use hikyaku_queue::Administration;
use hikyaku_sign_in::{Atlas, Gate, Number, NumberError};
use hikyaku_smtp_server::{Isolation, Judge, Limits, Services};
use hikyaku_store::{Component, Content, DataLock, Location, Objects, Options, Scope, Store, StoreError};
use hikyaku_telemetry::Metrics;
use hikyaku_trace::RefusalLog;
use hikyaku_types::{Actor, Clock, NodeId, Random, RisingIds, Service, SystemClock, SystemRandom};
use tokio::runtime::Runtime;
use tokio::task::AbortHandle;

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
    /// What this process is called among them; in every id that it makes.
    pub(crate) number: Number,
    /// Says that the number is in use.
    keeping: Option<AbortHandle>,
    pub(crate) net_metrics: hikyaku_net::Metrics,
    smtp_metrics: hikyaku_smtp_server::Metrics,
    _lock: DataLock,
}

/// Which installation is to be opened, and by whom.
pub(crate) struct Opening<'a> {
    pub(crate) data: &'a Path,
    pub(crate) location: &'a Location,
    pub(crate) key_ring: &'a Path,
    pub(crate) options: &'a Options,
    pub(crate) process: Process,
}

/// What opens an installation.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Process {
    /// A server with this number. Where a database is shared, no other one may have it.
    Server(NodeId),
    /// A command line. Beside servers of a shared database it takes a number that they never have.
    Command,
}

impl Installation {
    /// Opens databases that are up to date. Outside the runtime, which it borrows.
    pub(crate) fn open(
        opening: &Opening<'_>,
        metrics: &mut Metrics,
        runtime: &Runtime,
    ) -> anyhow::Result<Self> {
        let lock = DataLock::take(opening.data)?;
        Self::open_locked(lock, opening, metrics, runtime)
    }

    /// The same for a folder that is locked already.
    pub(crate) fn open_locked(
        lock: DataLock,
        opening: &Opening<'_>,
        metrics: &mut Metrics,
        runtime: &Runtime,
    ) -> anyhow::Result<Self> {
        let Opening { data, location, key_ring, options, process } = *opening;
        let store = Arc::new(Store::open(location, options, &COMPONENTS, metrics.of_crate("store"))?);
        let is_shared = location.folder().is_none();
        let objects = Objects::folder(&data.join("objects"))?;
        runtime.block_on(store.open_key_ring(key_ring, &SystemRandom))?;
        // Before anything is made that carries it.
        let number = runtime.block_on(claim(&store, process, is_shared))?;
        let keeping = is_shared.then(|| {
            let (number, store) = (number.clone(), Arc::clone(&store));
            let keep = async move { number.keep(store, Arc::new(SystemClock)).await };
            runtime.spawn(keep).abort_handle()
        });
        let (content, ids) = runtime.block_on(async {
            let content = Content::open(&store, objects, &SystemRandom).await?;
            let ids = rising_ids(&store, number.node()).await?;
            Ok::<_, StoreError>((content, ids))
        })?;
        let (content, ids) = (Arc::new(content), Arc::new(ids));
        Ok(Self {
            refusals: RefusalLog::new(Arc::clone(&store), Arc::clone(&ids)),
            search: Indexer::new(Arc::clone(&store), Arc::clone(&content)),
            store,
            content,
            ids,
            data: data.to_owned(),
            is_shared,
            number,
            keeping,
            net_metrics: hikyaku_net::Metrics::new(metrics.of_crate("net")),
            smtp_metrics: hikyaku_smtp_server::Metrics::new(metrics.of_crate("smtp-server")),
            _lock: lock,
        })
    }

    /// Leaves the number to others; nothing is made after that. Outside the runtime.
    pub(crate) fn leave(&self, runtime: &Runtime) {
        if let Some(keeping) = &self.keeping {
            keeping.abort();
            if let Err(error) = runtime.block_on(self.number.let_go(&self.store)) {
                tracing::warn!(%error, "the number of this process is not free at once");
            }
        }
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
        let node = self.number.node();
        let gate = Gate::open(store, directory, ids, Arc::new(SystemClock), &SystemRandom, node);
        Ok(Arc::new(gate.await?.with_number(&self.number).with_places(atlas)))
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

/// The number of this process. Nobody else has a database that lies in the locked folder.
async fn claim(store: &Store, process: Process, is_shared: bool) -> Result<Number, NumberError> {
    match process {
        Process::Server(node) if is_shared => {
            Number::claim_server(store, &SystemClock, &SystemRandom, node).await
        }
        Process::Command if is_shared => Number::claim_command(store, &SystemClock, &SystemRandom).await,
        Process::Server(node) => Ok(Number::alone(node, &SystemRandom)),
        Process::Command => Ok(Number::alone(NodeId::FIRST, &SystemRandom)),
    }
}

/// Prepares every shard for writing, and makes ids that rise above all that it has.
async fn rising_ids(store: &Store, node: NodeId) -> Result<RisingIds, StoreError> {
    let ids = RisingIds::new(node);
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
