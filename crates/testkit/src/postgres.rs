//! PostgreSQL for tests: one cluster a run, one database a test, copied from a template.
//!
//! [`Cluster::shared`] is the cluster of the whole run: the one `HIKYAKU_TEST_PG` names
//! (`make test` starts it), else one that this process starts for itself.
//! [`Cluster::private`] is for tests that stop and restart PostgreSQL.
//!
//! Invariants:
//! - a test never skips because PostgreSQL is missing: it fails and says what to do;
//! - a cluster that we start ends with the process that started it, also after a panic or
//!   SIGKILL: its keeper, a shell, waits for the end of a pipe that only this process holds;
//! - clusters listen on a Unix socket in a folder of their own (mode 0700) and on no port:
//!   nobody else on the machine gets in, and no port can be taken away between two starts.
//!
//! Known weakness: clusters are made with the C locale, so an ORDER BY that needs
//! `COLLATE "C"` and does not say so passes here.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

use hikyaku_types::{Random, SystemRandom};
use postgres::{Client, NoTls};
use tempfile::TempDir;

use crate::scratch_dir;

/// The variable that names the maintenance database of a running cluster.
const SHARED_URL: &str = "HIKYAKU_TEST_PG";

/// A PostgreSQL cluster that is there to make databases in.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// URL of the maintenance database.
    url: String,
}

/// A cluster that one test has for itself and may stop. Dropping it removes everything.
#[derive(Debug)]
pub struct PrivateCluster {
    cluster: Cluster,
    server: Server,
}

/// How a private cluster treats its disk. The default is fast and promises nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// `fsync`: does PostgreSQL flush at all?
    pub fsync: bool,
    /// `synchronous_commit`: does COMMIT wait for its flush?
    pub synchronous_commit: bool,
}

/// A database for one test, dropped with the value.
#[derive(Debug)]
pub struct TestDatabase {
    maintenance_url: String,
    name: String,
    url: String,
}

impl Cluster {
    /// The cluster that all tests of a run share.
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<(Cluster, Option<Server>)> =
            LazyLock::new(|| match std::env::var(SHARED_URL) {
                Ok(url) => (Cluster { url }, None),
                Err(_) => {
                    let server = Server::start(Options::default());
                    (Cluster { url: server.url() }, Some(server))
                }
            });
        &SHARED.0
    }

    /// A new cluster, started, for tests that stop it.
    pub fn private(options: Options) -> PrivateCluster {
        let server = Server::start(options);
        PrivateCluster { cluster: Self { url: server.url() }, server }
    }

    /// Makes the template database `name` with `migrate`, unless the cluster has it already.
    /// `migrate` gets the URL of an empty database, and must close its connections to it.
    ///
    /// Test processes that ask at once wait for the one that makes it. A cluster named by
    /// `HIKYAKU_TEST_PG` keeps its templates, so a name should change with the schema.
    pub fn template(&self, name: &str, migrate: impl FnOnce(&str) + Send) {
        with_client(&self.url, |client| {
            client.execute("SELECT pg_advisory_lock(hashtext($1))", &[&name])?;
            if client.query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&name])?.is_some() {
                return Ok(());
            }
            // Built under another name: a `migrate` that fails leaves no half template.
            let building = format!("{name}_building");
            let (name, quoted) = (quote(name), quote(&building));
            client.batch_execute(&format!("DROP DATABASE IF EXISTS {quoted} WITH (FORCE)"))?;
            client.batch_execute(&format!("CREATE DATABASE {quoted}"))?;
            migrate(&database_url(&self.url, &building));
            client.batch_execute(&format!("ALTER DATABASE {quoted} RENAME TO {name}"))?;
            // A connection to it would make every copy fail.
            client.batch_execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
        })
        .unwrap_or_else(|error| panic!("cannot make the template database {name}: {error}"));
    }

    /// A new database, empty or a copy of `template`.
    pub fn create_database(&self, template: Option<&str>) -> TestDatabase {
        let name = unused_name();
        let template = template.map(|template| format!(" TEMPLATE {}", quote(template))).unwrap_or_default();
        with_client(&self.url, |client| {
            client.batch_execute(&format!("CREATE DATABASE {}{template}", quote(&name)))
        })
        .unwrap_or_else(|error| panic!("cannot make the database {name}{template}: {error}"));
        let url = database_url(&self.url, &name);
        TestDatabase { maintenance_url: self.url.clone(), name, url }
    }

    /// URL of the maintenance database.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl PrivateCluster {
    /// Process id of the postmaster.
    pub fn pid(&self) -> u32 {
        self.server.postmaster()
    }

    /// Starts PostgreSQL again after [`PrivateCluster::stop_immediate`]; it recovers first.
    pub fn start(&self) {
        self.server.pg_ctl_start();
    }

    /// Stops PostgreSQL as a crash would: connections break, nothing is written any more.
    pub fn stop_immediate(&self) {
        self.server.pg_ctl(&["stop", "-m", "immediate"]);
    }

    /// Stops in order and starts again.
    pub fn restart(&self) {
        self.server.pg_ctl(&["stop", "-m", "fast"]);
        self.start();
    }
}

impl std::ops::Deref for PrivateCluster {
    type Target = Cluster;
    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl TestDatabase {
    /// The URL to connect to.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // A private cluster may be down by now, and then its folder goes anyway.
        let _ = with_client(&self.maintenance_url, |client| {
            client.batch_execute(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quote(&self.name)))
        });
    }
}

/// Runs `work` with a connection, on a thread of its own: the blocking client must not be
/// used on a thread that drives an async runtime, and tests there want databases too.
fn with_client<T: Send>(
    url: &str,
    work: impl FnOnce(&mut Client) -> Result<T, postgres::Error> + Send,
) -> Result<T, postgres::Error> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| work(&mut Client::connect(url, NoTls)?));
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// `url` with another database in it.
fn database_url(url: &str, database: &str) -> String {
    let authority = url.find("://").map_or(0, |scheme| scheme + 3);
    let path = url[authority..].find(['/', '?']).map_or(url.len(), |path| authority + path);
    let parameters = url[path..].find('?').map_or("", |mark| &url[path + mark..]);
    format!("{}/{database}{parameters}", &url[..path])
}

fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Random, because a cluster named by `HIKYAKU_TEST_PG` may hold databases of killed runs.
fn unused_name() -> String {
    let mut bytes = [0u8; 8];
    SystemRandom.fill(&mut bytes);
    format!("test_{:016x}", u64::from_le_bytes(bytes))
}

/// A PostgreSQL that this process started, and the folder it lives in.
#[derive(Debug)]
struct Server {
    folder: PathBuf,
    /// Where `initdb` and `pg_ctl` are.
    programs: PathBuf,
    /// Stops PostgreSQL and removes the folder as soon as its standard input ends.
    keeper: Child,
}

impl Server {
    fn start(options: Options) -> Self {
        let programs = programs();
        let folder = folder_for_postgres();
        let keeper = keeper(&programs, &folder)
            .unwrap_or_else(|error| panic!("cannot start the shell that keeps PostgreSQL: {error}"));
        let server = Self { folder, programs, keeper };
        server.initdb();
        server.configure(options);
        server.pg_ctl_start();
        server
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn url(&self) -> String {
        let folder = self.folder.to_str().expect("scratch folders have UTF-8 names");
        format!("postgresql://postgres@{}/postgres", folder.replace('/', "%2F"))
    }

    fn initdb(&self) {
        let mut command = as_postgres(&self.programs.join("initdb"));
        command.args(["--no-sync", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"]);
        run(command.arg("-D").arg(self.data()));
    }

    fn configure(&self, options: Options) {
        let on = |setting: bool| if setting { "on" } else { "off" };
        let settings = format!(
            "listen_addresses = ''\nunix_socket_directories = '{}'\nunix_socket_permissions = 0700\n\
             max_connections = 200\nfsync = {}\nsynchronous_commit = {}\nfull_page_writes = {}\n",
            self.folder.display(),
            on(options.fsync),
            on(options.synchronous_commit),
            on(options.fsync),
        );
        let file = self.data().join("postgresql.auto.conf");
        std::fs::write(&file, settings)
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", file.display()));
    }

    fn pg_ctl_start(&self) {
        let log = self.folder.join("log");
        self.pg_ctl(&["start", "-t", "60", "-l", log.to_str().expect("scratch folders have UTF-8 names")]);
    }

    fn pg_ctl(&self, arguments: &[&str]) {
        run(as_postgres(&self.programs.join("pg_ctl")).arg("-D").arg(self.data()).arg("-w").args(arguments));
    }
}

impl Server {
    /// Process id of the postmaster, from the first line of its pid file.
    fn postmaster(&self) -> u32 {
        let file = self.data().join("postmaster.pid");
        let text =
            std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        text.lines()
            .next()
            .and_then(|line| line.trim().parse().ok())
            .expect("the pid file begins with a number")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // The shell's own exit code says nothing: PostgreSQL may have been stopped before.
        let _ = self.keeper.wait();
    }
}

/// The newest PostgreSQL of Debian's layout, else whatever `PATH` has.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| {
            Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path().join("bin")))
        })
        .filter(|(_, folder)| folder.join("initdb").exists())
        .max();
    let on_path = || {
        let path: OsString = std::env::var_os("PATH")?;
        std::env::split_paths(&path).find(|folder| folder.join("initdb").exists())
    };
    newest
        .map(|(_, folder)| folder)
        .or_else(on_path)
        .expect("PostgreSQL is not here and this test needs it: run `make test`, which installs it")
}

/// A new folder that PostgreSQL may use: it refuses to run as root, so there it is the
/// user `postgres` that owns it.
fn folder_for_postgres() -> PathBuf {
    let folder = TempDir::keep(scratch_dir());
    if is_root() {
        run(Command::new("chown").arg("postgres:postgres").arg(&folder));
    }
    folder
}

/// A shell that waits until this process ends or lets go, then clears up.
///
/// It has a process group of its own: Ctrl-C and test runners signal whole groups, and it
/// must outlive this process by a moment.
fn keeper(programs: &Path, folder: &Path) -> io::Result<Child> {
    use std::os::unix::process::CommandExt;
    let stop = as_postgres(&programs.join("pg_ctl"));
    Command::new("sh")
        .args([
            "-c",
            r#"folder=$1; shift; read -r _; "$@" -D "$folder/data" -m immediate stop; rm -rf "$folder""#,
        ])
        .arg("keeper")
        .arg(folder)
        .arg(stop.get_program())
        .args(stop.get_args())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
}

/// A command that runs `program` as a user that PostgreSQL accepts.
fn as_postgres(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs `command` to its end and panics with its words when it fails.
fn run(command: &mut Command) {
    // PostgreSQL inherits what it is started with: to files, or a pipe would never end.
    let output = tempfile::tempfile().expect("a temporary file can be made");
    let same = || Stdio::from(output.try_clone().expect("a file handle can be copied"));
    // `/` is a folder that the user `postgres` can enter, whatever ours is.
    let status = command.current_dir("/").stdin(Stdio::null()).stdout(same()).stderr(same()).status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("{command:?} ended with {status}:\n{}", read_back(output)),
        Err(error) => panic!("cannot run {command:?}: {error}"),
    }
}

fn read_back(mut file: std::fs::File) -> String {
    use std::io::{Read, Seek};
    let mut text = String::new();
    match file.rewind().and_then(|()| file.read_to_string(&mut text)) {
        Ok(_) => text,
        Err(error) => format!("(its output cannot be read: {error})"),
    }
}
