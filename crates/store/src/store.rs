//! The store itself: its databases, and the one call shape over them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Instant;

use hikyaku_types::ShardId;
use prometheus_client::registry::Registry;
use tokio::sync::oneshot;

use crate::fair::Refused;
use crate::hints::Hints;
use crate::job::{Access, Call, Waiting};
use crate::key_ring::KeyRing;
use crate::metrics::DatabaseMetrics;
use crate::migrate::{self, Applied, Component, Mode};
use crate::postgres::Postgres;
use crate::scope::{Database, Scoped};
use crate::sqlite::{self, Sqlite};
use crate::{MigrateError, StoreError};

/// Where the databases are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// SQLite files in a folder.
    Folder(PathBuf),
    /// Schemas in a PostgreSQL database (several kinds may share one URL).
    Postgres {
        /// `postgres://…` or `host=… dbname=…`.
        url: String,
    },
}

/// Sizes and bounds. The defaults suit a small server; none changes what is kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// Shards of this installation.
    pub shards: Vec<ShardId>,
    /// PostgreSQL connections for each database.
    pub connections: usize,
    /// SQLite reader threads for each database.
    pub readers: usize,
    /// SQLite page cache of the writer, in KiB.
    pub writer_cache_kib: u32,
    /// SQLite page cache of each reader, in KiB.
    pub reader_cache_kib: u32,
    /// Most calls that may wait for a database.
    pub waiting: usize,
    /// Most calls of one tenant that may wait for a database.
    pub waiting_each: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            shards: vec![ShardId(0)],
            connections: 16,
            readers: 4,
            writer_cache_kib: 64 << 10,
            reader_cache_kib: 16 << 10,
            waiting: 16_384,
            waiting_each: 1_024,
        }
    }
}

#[derive(Debug)]
enum Engine {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

/// All databases of an installation. Dropping it finishes what waits and closes them.
#[derive(Debug)]
pub struct Store {
    engines: BTreeMap<Database, Engine>,
    hints: Hints,
    location: Location,
    /// Once it is open.
    ring: OnceLock<KeyRing>,
}

fn databases(options: &Options) -> Vec<Database> {
    let shards = options.shards.iter().copied().map(Database::Shard);
    [Database::Control, Database::Access].into_iter().chain(shards).collect()
}

impl Store {
    /// Brings every database up to date; returns the steps that were done.
    ///
    /// # Errors
    /// [`MigrateError`]; steps done before the failing one stay done.
    pub fn migrate(
        location: &Location,
        options: &Options,
        components: &[&'static Component],
    ) -> Result<Vec<Applied>, MigrateError> {
        let mut done = Vec::new();
        for database in databases(options) {
            done.extend(Self::steps(location, database, components, Mode::Apply)?);
        }
        Ok(done)
    }

    fn steps(
        location: &Location,
        database: Database,
        components: &[&'static Component],
        mode: Mode,
    ) -> Result<Vec<Applied>, MigrateError> {
        let here: Vec<&'static Component> =
            components.iter().copied().filter(|component| (component.within)(database)).collect();
        let name = database.name();
        match location {
            Location::Folder(folder) => migrate::sqlite(&sqlite::file(folder, &name), &name, &here, mode),
            Location::Postgres { url } => migrate::postgres(url, &name, &here, mode),
        }
    }

    /// Opens every database. They must be up to date: see [`Store::migrate`]. Metrics are
    /// registered as they are named here: the caller gives the crate's own registry.
    ///
    /// This waits for the disk and for PostgreSQL: call it outside any async runtime.
    ///
    /// # Errors
    /// [`MigrateError`] if one is not, or cannot be opened.
    pub fn open(
        location: &Location,
        options: &Options,
        components: &[&'static Component],
        registry: &mut Registry,
    ) -> Result<Self, MigrateError> {
        let metrics = DatabaseMetrics::new(registry);
        let hints = Hints::default();
        let mut engines = BTreeMap::new();
        for database in databases(options) {
            Self::steps(location, database, components, Mode::Check)?;
            let name = database.name();
            let failed = |cause: String| MigrateError::Engine { database: name.clone(), cause };
            let engine = match location {
                Location::Folder(folder) => {
                    let path = sqlite::file(folder, &name);
                    let opened = Sqlite::open(&path, options, &hints, &metrics);
                    Engine::Sqlite(opened.map_err(|error| failed(error.to_string()))?)
                }
                Location::Postgres { url } => {
                    let opened = Postgres::open(url, &name, options, &hints, &metrics);
                    Engine::Postgres(opened.map_err(|error| failed(crate::postgres::describe(&error)))?)
                }
            };
            engines.insert(database, engine);
        }
        Ok(Self { engines, hints, location: location.clone(), ring: OnceLock::new() })
    }

    pub(crate) fn ring(&self) -> Option<&KeyRing> {
        self.ring.get()
    }

    /// One that is open already stays.
    pub(crate) fn keep_ring(&self, ring: KeyRing) {
        let _ = self.ring.set(ring);
    }

    /// Runs `closure` in a transaction of the scope's database, and returns its result after
    /// the commit. An `Err` of the closure rolls it back.
    ///
    /// The closure may be run more than once before its commit, and must not do I/O or ask
    /// the clock; `label` names it in logs and metrics (`mailstore.deliver`).
    ///
    /// # Errors
    /// What the closure says, or a [`StoreError`] made into it.
    pub async fn write<S, T, E, F>(&self, scope: S, label: &'static str, closure: F) -> Result<T, E>
    where
        S: Scoped,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: Fn(&mut S::Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let waits = self.submit(Access::Write, scope, label, closure);
        waits.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    /// Runs `closure` on one snapshot of the scope's database; it cannot write.
    ///
    /// # Errors
    /// What the closure says, or a [`StoreError`] made into it.
    pub async fn read<S, T, E, F>(&self, scope: S, label: &'static str, closure: F) -> Result<T, E>
    where
        S: Scoped,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: Fn(&mut S::Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let waits = self.submit(Access::Read, scope, label, closure);
        waits.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
    }

    fn submit<S, T, E, F>(
        &self,
        access: Access,
        scope: S,
        label: &'static str,
        closure: F,
    ) -> oneshot::Receiver<Result<T, E>>
    where
        S: Scoped,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: Fn(&mut S::Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let (reply, waits) = oneshot::channel();
        let route = scope.route();
        let job = Box::new(Call { scope, label, closure, result: None, reply });
        let waiting = Waiting { job, label, route, access, since: Instant::now() };
        let queue = match (self.engines.get(&route.database), access) {
            (Some(Engine::Sqlite(sqlite)), Access::Write) => sqlite.writes(),
            (Some(Engine::Sqlite(sqlite)), Access::Read) => sqlite.reads(),
            (Some(Engine::Postgres(postgres)), _) => postgres.queue(),
            (None, _) => {
                tracing::error!(label, database = %route.database.name(), "no such database here");
                let cause = format!("no database {}", route.database.name());
                waiting.job.finish(Err(StoreError::Failed { label, cause }));
                return waits;
            }
        };
        if let Err((refused, waiting)) = queue.push(route.turn, route.weight, waiting) {
            let error = if refused == Refused::Full { StoreError::Busy } else { StoreError::Closed };
            waiting.job.finish(Err(error));
        }
        waits
    }

    /// What changed, for sessions that wait.
    pub fn hints(&self) -> &Hints {
        &self.hints
    }

    /// The shards that are open here.
    pub fn shards(&self) -> impl Iterator<Item = ShardId> {
        self.engines.keys().filter_map(|database| match database {
            Database::Shard(shard) => Some(*shard),
            Database::Control | Database::Access => None,
        })
    }

    /// How many calls wait, over all databases.
    pub fn waiting(&self) -> usize {
        let waiting = |engine: &Engine| match engine {
            Engine::Sqlite(sqlite) => sqlite.writes().len() + sqlite.reads().len(),
            Engine::Postgres(postgres) => postgres.queue().len(),
        };
        self.engines.values().map(waiting).sum()
    }

    /// Runs the engine's own check of its files: problems found, empty if none. PostgreSQL
    /// checks its files itself (data checksums, `pg_amcheck`).
    ///
    /// # Errors
    /// [`MigrateError::Engine`] if a file cannot be read at all.
    pub fn engine_problems(&self) -> Result<Vec<String>, MigrateError> {
        let Location::Folder(folder) = &self.location else { return Ok(Vec::new()) };
        let mut problems = Vec::new();
        for database in self.engines.keys() {
            let name = database.name();
            let found = sqlite::integrity(&sqlite::file(folder, &name))
                .map_err(|error| MigrateError::Engine { database: name.clone(), cause: error.to_string() })?;
            problems.extend(found.into_iter().map(|problem| format!("{name}: {problem}")));
        }
        Ok(problems)
    }

    /// Finishes what waits and closes every database.
    pub fn close(&self) {
        for engine in self.engines.values() {
            match engine {
                Engine::Sqlite(sqlite) => sqlite.close(),
                Engine::Postgres(postgres) => postgres.close(),
            }
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

impl Location {
    /// The folder of a SQLite installation.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(folder) => Some(folder),
            Self::Postgres { .. } => None,
        }
    }
}
