//! Part *directory*: who exists, on a platform that is full: seeding it, looking addresses up
//! with cold and warm caches, what the caches take, lists and searches, signing in.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use hikyaku_directory::scram::{Mechanism, Offer};
use hikyaku_directory::{
    Action, Attempt, Directory, Edit, Entrance, Filter, Kind, MOST_AT_ONCE, NewSecret, PasswordHash, Request,
};
use hikyaku_store::{Location, Options};
use hikyaku_testkit::postgres::{Cluster, Options as ClusterOptions};
use hikyaku_testkit::{Rng, SeededRandom, TestDirectory, TestStore, pgproxy, scratch_dir};
use hikyaku_types::{Actor, Address};

use crate::measure::{Stopwatch, cpu_of_tree, own_memory};

/// Everybody's: one hash for all, as making 650,000 would take hours.
const PASSWORD: &str = "correct horse battery staple";
/// Larger, and the largest tenant is less far from the others.
const FLATNESS: f64 = 10.0;
/// Tasks that ask at once.
const TASKS: u32 = 16;

/// Transactions that fill the platform at once.
const FILLERS: usize = 8;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Accounts of the platform.
    #[arg(long, default_value_t = 650_000)]
    accounts: u32,
    /// Tenants that they fall to; a few are large, most small.
    #[arg(long, default_value_t = 20_000)]
    tenants: u32,
    /// Accounts that are active, whose facts and credentials are to be in the caches.
    #[arg(long, default_value_t = 100_000)]
    active: u32,
    /// Lists, searches and sign-ins to measure, of each kind.
    #[arg(long, default_value_t = 200)]
    samples: u32,
    /// Only this engine.
    #[arg(long)]
    engine: Option<Engine>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Engine {
    Sqlite,
    Postgres,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    println!("directory: {} accounts in {} tenants", arguments.accounts, arguments.tenants);
    if arguments.engine != Some(Engine::Postgres) {
        let folder = scratch_dir();
        let place = folder.path().to_owned();
        let store = TestStore::migrated(Location::Folder(place.clone()), folder, None, Options::default());
        let bench = Bench { store, arguments, server: None, name: "sqlite" };
        bench.run(|| size_of(&place))?;
    }
    if arguments.engine != Some(Engine::Sqlite) {
        let cluster = Cluster::private(ClusterOptions { fsync: true, synchronous_commit: true });
        let database = cluster.create_database(None);
        let url = database.url().to_owned();
        let location = Location::Postgres { url: url.clone() };
        let store = TestStore::migrated(location, scratch_dir(), None, Options::default());
        let bench = Bench { store, arguments, server: Some(cluster.pid()), name: "postgres, 16 connections" };
        bench.run(|| {
            let row = pgproxy::connect(&url).query_one("SELECT pg_database_size(current_database())", &[])?;
            Ok(row.get::<_, i64>(0).unsigned_abs())
        })?;
    }
    Ok(())
}

/// Bytes of the control database's files.
fn size_of(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("control.db") {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}

/// One engine with its platform.
struct Bench<'a> {
    store: TestStore,
    arguments: &'a Arguments,
    /// The process whose CPU counts, too.
    server: Option<u32>,
    name: &'static str,
}

impl Bench<'_> {
    fn run(&self, size: impl FnOnce() -> anyhow::Result<u64>) -> anyhow::Result<()> {
        let sizes = sizes(self.arguments.tenants, self.arguments.accounts);
        self.fill(&sizes, size)?;
        self.look_up(&sizes)?;
        self.memory(&sizes)?;
        self.list(&sizes);
        self.sign_in(&sizes);
        Ok(())
    }

    /// With empty caches.
    fn directory(&self, node: u16) -> Arc<Directory> {
        TestDirectory::of_node(Arc::clone(&self.store.store), Arc::clone(&self.store.clock), node).directory
    }

    fn fill(&self, sizes: &[u32], size: impl FnOnce() -> anyhow::Result<u64>) -> anyhow::Result<()> {
        let watch = Stopwatch::start();
        let directory = self.directory(1);
        let plan = create(Kind::Plan, "bench", None, &[]);
        self.store.block_on(directory.execute(Actor::Operator, plan))?;
        let tenants = (0..sizes.len())
            .map(|tenant| create(Kind::Tenant, &format!("bench-{tenant:06}"), None, &[("plan", "bench")]));
        self.execute(&directory, tenants.collect())?;
        let domains = (0..sizes.len())
            .map(|tenant| create(Kind::Domain, &domain(tenant), Some(&format!("bench-{tenant:06}")), &[]));
        self.execute(&directory, domains.collect())?;
        let hash = PasswordHash::of(PASSWORD.as_bytes(), &SeededRandom::new(1))?;
        let mut waiting = Vec::new();
        for (tenant, accounts) in sizes.iter().enumerate() {
            for account in 0..*accounts {
                waiting.extend(of_account(tenant, account, hash.as_str()));
                if waiting.len() >= MOST_AT_ONCE * FILLERS {
                    self.execute(&directory, std::mem::take(&mut waiting))?;
                }
            }
        }
        self.execute(&directory, waiting)?;
        let (wall, cpu) = watch.stop();
        let objects = 2 * (sizes.len() + self.arguments.accounts as usize);
        println!(
            "{}: {objects} objects seeded in {:.0} s ({:.0}/s, CPU of ours {:.0} s), {:.0} MB",
            self.name,
            wall.as_secs_f64(),
            objects as f64 / wall.as_secs_f64(),
            cpu.as_secs_f64(),
            size()? as f64 / 1e6
        );
        Ok(())
    }

    /// Carries all out, as many in a transaction as may be, some transactions at once.
    fn execute(&self, directory: &Arc<Directory>, requests: Vec<Request>) -> anyhow::Result<()> {
        let mut requests = requests.into_iter().peekable();
        self.store.block_on(async {
            while requests.peek().is_some() {
                let mut tasks = Vec::new();
                while tasks.len() < FILLERS && requests.peek().is_some() {
                    let some: Vec<Request> = requests.by_ref().take(MOST_AT_ONCE).collect();
                    let directory = Arc::clone(directory);
                    tasks.push(tokio::spawn(async move {
                        directory.execute_many(Actor::Operator, "bench", some).await
                    }));
                }
                for task in tasks {
                    task.await??;
                }
            }
            Ok(())
        })
    }

    fn server_cpu(&self) -> Duration {
        self.server.map_or(Duration::ZERO, cpu_of_tree)
    }

    fn look_up(&self, sizes: &[u32]) -> anyhow::Result<()> {
        let addresses = Arc::new(some_addresses(sizes, self.arguments.active, 1));
        let directory = self.directory(2);
        for (what, rounds) in [("cold", 1), ("warm", 10)] {
            let (watch, server) = (Stopwatch::start(), self.server_cpu());
            for _ in 0..rounds {
                self.at_once(&directory, &addresses, |directory, address| async move {
                    directory.resolve(&address).await.expect("an answer");
                });
            }
            let (wall, cpu) = watch.stop();
            let server = self.server_cpu().saturating_sub(server);
            let count = addresses.len() as f64 * f64::from(rounds);
            println!(
                "{}, look-ups {what}: {:.0} per CPU-second of ours, {:.0} with the server's; {:.0}/s",
                self.name,
                count / cpu.as_secs_f64(),
                count / (cpu + server).as_secs_f64(),
                count / wall.as_secs_f64()
            );
        }
        Ok(())
    }

    /// Asks for all addresses, some at once.
    fn at_once<F>(
        &self,
        directory: &Arc<Directory>,
        addresses: &Arc<Vec<Address>>,
        ask: impl Fn(Arc<Directory>, Address) -> F + Copy + Send + 'static,
    ) where
        F: Future<Output = ()> + Send,
    {
        let next = Arc::new(AtomicU32::new(0));
        self.store.block_on(async {
            let tasks: Vec<_> = (0..TASKS)
                .map(|_| {
                    let (next, directory) = (Arc::clone(&next), Arc::clone(directory));
                    let addresses = Arc::clone(addresses);
                    tokio::spawn(async move {
                        while let Some(address) = addresses.get(next.fetch_add(1, Ordering::Relaxed) as usize)
                        {
                            ask(Arc::clone(&directory), address.clone()).await;
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.expect("a task ends");
            }
        });
    }

    /// What the caches take when all that is asked of active accounts is in them.
    fn memory(&self, sizes: &[u32]) -> anyhow::Result<()> {
        let addresses = Arc::new(some_addresses(sizes, self.arguments.active, 2));
        let fill = |directory: &Arc<Directory>| {
            self.at_once(directory, &addresses, |directory, address| async move {
                directory.resolve(&address).await.expect("an answer");
                // The first half of an exchange reads credentials, and hashes nothing.
                let hello = format!("n,,n={address},r=bench");
                let offer = Offer {
                    mechanism: Mechanism::ScramSha256,
                    plus_announced: false,
                    exporter: None,
                    server_end_point: None,
                };
                directory.begin_scram(&offer, hello.as_bytes()).await.expect("a challenge");
            });
        };
        // Directories that stay take what the seeding has left free, and fill the databases' own
        // caches: what the last one takes is new.
        let others = [self.directory(3), self.directory(3)];
        others.iter().for_each(fill);
        let before = own_memory()?;
        let directory = self.directory(4);
        fill(&directory);
        let taken = own_memory()?.saturating_sub(before);
        println!(
            "{}: caches of {} active accounts take {:.0} MB (goal: less than 200)",
            self.name,
            addresses.len(),
            taken as f64 / 1e6,
        );
        drop((others, directory));
        Ok(())
    }

    fn list(&self, sizes: &[u32]) {
        let directory = self.directory(5);
        let mut rng = Rng::new(3);
        let mut tenant = || rng.below(sizes.len().min(1_000) as u64) as usize;
        let search = |text: &str| Filter { search: Some(text.to_owned()), ..Filter::default() };
        let samples = self.arguments.samples;
        let within = |tenant: usize| Some(format!("bench-{tenant:06}"));
        self.latency("accounts of a tenant, 100 of them", samples, || {
            self.answer(&directory, within(tenant()), Filter::default());
        });
        self.latency("search in a tenant", samples, || {
            self.answer(&directory, within(tenant()), search("user1"));
        });
        let mut start = Rng::new(4);
        self.latency("accounts of the platform, 100 from anywhere", samples, || {
            let from = format!("user{}", start.below(1_000));
            self.answer(&directory, None, Filter { after: Some((from, 0)), ..Filter::default() });
        });
        let mut one = Rng::new(5);
        self.latency("search in the platform, for one account", samples.min(20), || {
            let tenant = one.below(sizes.len() as u64) as usize;
            self.answer(&directory, None, search(&format!("user0@{}", domain(tenant))));
        });
    }

    fn answer(&self, directory: &Directory, tenant: Option<String>, filter: Filter) {
        let action = Action::List { kind: Kind::Account, tenant, of: None, filter };
        let request = Request { action, reason: None, dry_run: false };
        self.store.block_on(directory.execute(Actor::Operator, request)).expect("a list");
    }

    fn sign_in(&self, sizes: &[u32]) {
        let directory = self.directory(6);
        let addresses = some_addresses(sizes, self.arguments.samples, 6);
        let attempt = Attempt { entrance: Entrance::Imap, source: [127, 0, 0, 1].into() };
        for what in ["sign-in cold (Argon2id)", "sign-in cached"] {
            let mut addresses = addresses.iter();
            let samples = addresses.len() as u32;
            self.latency(what, samples, || {
                let Some(address) = addresses.next() else { return };
                let name = address.to_string();
                let sign_in = directory.sign_in(&name, PASSWORD.as_bytes(), &attempt);
                self.store.block_on(sign_in).expect("signed in");
            });
        }
    }

    /// Runs it so often, one after the other.
    fn latency(&self, what: &str, samples: u32, mut run: impl FnMut()) {
        let watch = Stopwatch::start();
        let mut times: Vec<Duration> = (0..samples)
            .map(|_| {
                let begun = Instant::now();
                run();
                begun.elapsed()
            })
            .collect();
        times.sort_unstable();
        let (_, cpu) = watch.stop();
        let at = |share: usize| times.get(times.len() * share / 100).map_or(0.0, Duration::as_secs_f64);
        println!(
            "{}, {what}: p50 {:.2} ms, p95 {:.2} ms, CPU of ours {:.2} ms each",
            self.name,
            at(50) * 1e3,
            at(95) * 1e3,
            cpu.as_secs_f64() * 1e3 / f64::from(samples.max(1))
        );
    }
}

/// Falls like 1/rank; what rounding leaves goes to the largest.
fn sizes(tenants: u32, accounts: u32) -> Vec<u32> {
    let share = |rank: u32| 1.0 / (f64::from(rank) + FLATNESS);
    let all: f64 = (0..tenants).map(share).sum();
    let mut sizes: Vec<u32> =
        (0..tenants).map(|rank| (f64::from(accounts) * share(rank) / all) as u32).collect();
    let left = accounts.saturating_sub(sizes.iter().sum());
    for size in sizes.iter_mut().take(left as usize) {
        *size += 1;
    }
    sizes
}

fn domain(tenant: usize) -> String {
    format!("bench-{tenant:06}.example")
}

fn address(tenant: usize, account: u32) -> String {
    format!("user{account}@{}", domain(tenant))
}

/// So many different accounts from anywhere.
fn some_addresses(sizes: &[u32], count: u32, seed: u64) -> Vec<Address> {
    let mut all: Vec<(usize, u32)> = sizes
        .iter()
        .enumerate()
        .flat_map(|(tenant, accounts)| (0..*accounts).map(move |account| (tenant, account)))
        .collect();
    Rng::new(seed).shuffle(&mut all);
    let some = all.into_iter().take(count as usize);
    some.map(|(tenant, account)| address(tenant, account).parse().expect("an address")).collect()
}

fn create(kind: Kind, name: &str, tenant: Option<&str>, fields: &[(&str, &str)]) -> Request {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), Edit::Set((*value).to_owned())));
    let action = Action::Create {
        kind,
        id: None,
        name: Some(name.to_owned()),
        tenant: tenant.map(str::to_owned),
        fields: fields.collect(),
        secret: None,
    };
    Request { action, reason: None, dry_run: false }
}

/// An account and its password.
fn of_account(tenant: usize, account: u32, hash: &str) -> [Request; 2] {
    let (name, address) = (format!("bench-{tenant:06}"), address(tenant, account));
    let made = create(Kind::Account, &address, Some(&name), &[("title", "Account of a measurement")]);
    let mut credential = create(Kind::Credential, "", Some(&name), &[("account", &address)]);
    if let Action::Create { name, secret, .. } = &mut credential.action {
        (*name, *secret) = (None, Some(NewSecret::Hash(hash.to_owned())));
    }
    [made, credential]
}
