//! A proxy in front of PostgreSQL that holds or breaks a connection at a chosen statement.
//!
//! It speaks just enough of the protocol (PostgreSQL's documentation, "Message Formats") to
//! see where statements end: a `Query` message, or the `Sync` after an `Execute`. All else
//! passes through as bytes.
//!
//! A client that waits for each answer, as ours does, sends its next message only when the
//! last statement is complete. So [`PgProxy::hold_after`] holds the client between two
//! statements, with its locks, for as long as the test needs.
//!
//! Statements of all connections through the proxy are counted together: give it a client
//! with one busy connection.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use postgres::config::Host;
use postgres::{Client, Config, NoTls};
use tempfile::TempDir;

use crate::scratch_dir;

/// PostgreSQL's clients look for this name in the folder that they are given as host.
const SOCKET: &str = ".s.PGSQL.5432";
/// A test that holds a connection for longer has failed.
const LONGEST_HOLD: Duration = Duration::from_secs(60);

/// A proxy to one database. It ends with its value, after its clients have gone.
#[derive(Debug)]
pub struct PgProxy {
    url: String,
    folder: TempDir,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    upstream: Upstream,
    state: Mutex<State>,
    /// Signalled when the state changes.
    changed: Condvar,
    closing: AtomicBool,
}

#[derive(Debug, Clone)]
enum Upstream {
    Socket(PathBuf),
    Tcp(String, u16),
}

#[derive(Debug, Default)]
struct State {
    plan: Plan,
    /// Statements since the plan was made.
    statements: u32,
    held: bool,
}

/// What happens at which statement, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Plan {
    #[default]
    Pass,
    /// After this many, the next message waits.
    HoldAfter(u32),
    /// This one is lost on its way.
    LoseStatement(u32),
    /// This one is carried out and its answer is lost.
    LoseReply(u32),
}

impl PgProxy {
    /// A proxy to the database of this URL.
    pub fn to(url: &str) -> Self {
        let config: Config = url.parse().expect("the URL is one of PostgreSQL's");
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let upstream = match config.get_hosts().first().expect("the URL names a host") {
            Host::Unix(folder) => Upstream::Socket(folder.join(format!(".s.PGSQL.{port}"))),
            Host::Tcp(host) => Upstream::Tcp(host.clone(), port),
        };
        let folder = scratch_dir();
        let listener = UnixListener::bind(folder.path().join(SOCKET)).expect("a socket in a scratch folder");
        let shared = Arc::new(Shared {
            upstream,
            state: Mutex::default(),
            changed: Condvar::new(),
            closing: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, &accepting));
        Self { url: own_url(&config, &folder), folder, shared }
    }

    /// What to connect to instead.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Counts from now on; after `statements` more the next message of the client waits for
    /// [`PgProxy::release`].
    pub fn hold_after(&self, statements: u32) {
        self.shared.plan(Plan::HoldAfter(statements));
    }

    /// Breaks the connection instead of passing on the statement with this number from now.
    pub fn lose_statement(&self, number: u32) {
        self.shared.plan(Plan::LoseStatement(number));
    }

    /// Passes on the statement with this number from now, then breaks the connection instead
    /// of passing back its answer.
    pub fn lose_reply(&self, number: u32) {
        self.shared.plan(Plan::LoseReply(number));
    }

    /// Is a client held?
    pub fn is_holding(&self) -> bool {
        self.shared.lock().held
    }

    /// Lets everything pass from now on, also what is held. Returns how many statements
    /// there were since the plan was made.
    pub fn release(&self) -> u32 {
        let statements = self.shared.lock().statements;
        self.shared.plan(Plan::Pass);
        statements
    }
}

impl Drop for PgProxy {
    fn drop(&mut self) {
        self.release();
        self.shared.closing.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts; it may be gone.
        let _ = UnixStream::connect(self.folder.path().join(SOCKET));
    }
}

/// Does a connection of this database wait for a lock that another one has?
pub fn somebody_waits_for_a_lock(watcher: &mut Client) -> bool {
    watcher
        .query_one(
            "SELECT EXISTS (SELECT 1 FROM pg_stat_activity
                WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0)",
            &[],
        )
        .expect("PostgreSQL tells who waits")
        .get(0)
}

/// A connection past the store and any proxy, on a thread that drives no async runtime.
pub fn connect(url: &str) -> Client {
    Client::connect(url, NoTls).unwrap_or_else(|error| panic!("cannot connect to {url}: {error}"))
}

fn own_url(config: &Config, folder: &TempDir) -> String {
    let folder = folder.path().to_str().expect("scratch folders have UTF-8 names").replace('/', "%2F");
    let user = config.get_user().unwrap_or("postgres");
    let password = config.get_password().map(|password| format!(":{}", String::from_utf8_lossy(password)));
    let database = config.get_dbname().unwrap_or(user);
    format!("postgresql://{user}{}@{folder}/{database}", password.unwrap_or_default())
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    fn plan(&self, plan: Plan) {
        *self.lock() = State { plan, statements: 0, held: false };
        self.changed.notify_all();
    }

    /// Waits here if the plan says so.
    fn hold(&self) {
        let mut state = self.lock();
        if matches!(state.plan, Plan::HoldAfter(after) if state.statements >= after) {
            state.held = true;
            let waits = self.changed.wait_timeout_while(state, LONGEST_HOLD, |state| state.held);
            drop(waits.expect("no holder panics"));
        }
    }

    /// Counts a statement that is about to be passed on. False if it is to be lost.
    fn count(&self) -> bool {
        let mut state = self.lock();
        state.statements += 1;
        state.plan != Plan::LoseStatement(state.statements)
    }

    /// Is the reply that came one to lose? Only the first is.
    fn loses_reply(&self) -> bool {
        let mut state = self.lock();
        let loses = matches!(state.plan, Plan::LoseReply(number) if state.statements >= number);
        if loses {
            state.plan = Plan::Pass;
        }
        loses
    }

    fn connect(&self) -> io::Result<Stream> {
        Ok(match &self.upstream {
            Upstream::Socket(path) => Stream::Unix(UnixStream::connect(path)?),
            Upstream::Tcp(host, port) => Stream::Tcp(TcpStream::connect((host.as_str(), *port))?),
        })
    }
}

fn accept(listener: &UnixListener, shared: &Arc<Shared>) {
    for client in listener.incoming().map_while(Result::ok) {
        if shared.closing.load(Ordering::SeqCst) {
            return;
        }
        // A server that is down is what the client should see: a connection that ends.
        let Ok(server) = shared.connect() else { continue };
        let client = Stream::Unix(client);
        let (from_server, to_client) = (server.twin(), client.twin());
        let shared_back = Arc::clone(shared);
        std::thread::spawn(move || pass_back(&from_server, &to_client, &shared_back));
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            // The end of either side ends both; how it ended is the client's to notice.
            let _ = pass_on(&client, &server, &shared);
            client.end();
            server.end();
        });
    }
}

/// Passes on the client's messages one by one.
fn pass_on(mut client: &Stream, mut server: &Stream, shared: &Shared) -> io::Result<()> {
    // The first message has no type.
    let mut message = Vec::new();
    read_message(&mut client, 0, &mut message)?;
    server.write_all(&message)?;
    let mut executes = false;
    loop {
        read_message(&mut client, 1, &mut message)?;
        let kind = message[0];
        if !executes {
            shared.hold();
        }
        executes |= kind == b'E';
        let ends_statement = kind == b'Q' || (kind == b'S' && executes);
        if ends_statement {
            executes = false;
            if !shared.count() {
                return Ok(());
            }
        }
        server.write_all(&message)?;
    }
}

/// Reads one message: `head` octets, then a length that counts itself, then so much more.
fn read_message(from: &mut impl Read, head: usize, message: &mut Vec<u8>) -> io::Result<()> {
    message.resize(head + 4, 0);
    from.read_exact(message)?;
    let length = u32::from_be_bytes(message[head..].try_into().expect("four octets")) as usize;
    message.resize(head + length.max(4), 0);
    from.read_exact(&mut message[head + 4..])
}

fn pass_back(server: &Stream, client: &Stream, shared: &Shared) {
    let (mut from_server, mut to_client) = (server, client);
    let mut bytes = [0u8; 16 << 10];
    while let Ok(count @ 1..) = from_server.read(&mut bytes) {
        if shared.loses_reply() || to_client.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    client.end();
    server.end();
}

#[derive(Debug)]
enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    fn twin(&self) -> Self {
        let twin = match self {
            Self::Unix(stream) => stream.try_clone().map(Self::Unix),
            Self::Tcp(stream) => stream.try_clone().map(Self::Tcp),
        };
        twin.expect("a handle can be copied")
    }

    fn end(&self) {
        // It may have ended already.
        let _ = match self {
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
        };
    }
}

impl Read for &Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(stream) => (&*stream).read(into),
            Stream::Tcp(stream) => (&*stream).read(into),
        }
    }
}

impl Write for &Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(stream) => (&*stream).write(bytes),
            Stream::Tcp(stream) => (&*stream).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::Cluster;

    const TABLE: &str = "CREATE TABLE t (n bigint)";

    #[test]
    fn it_holds_between_statements_and_counts_both_protocols() {
        let database = Cluster::shared().create_database(None);
        let proxy = PgProxy::to(database.url());
        let mut client = connect(proxy.url());
        client.batch_execute(TABLE).unwrap();
        proxy.hold_after(3);
        let thread = std::thread::spawn(move || {
            client.batch_execute("BEGIN").unwrap();
            client.execute("INSERT INTO t VALUES ($1)", &[&1i64]).unwrap();
            client.execute("INSERT INTO t VALUES ($1)", &[&2i64]).unwrap();
            client.batch_execute("COMMIT").unwrap();
            client
        });
        while !proxy.is_holding() {
            assert!(!thread.is_finished(), "it was not held");
            std::thread::yield_now();
        }
        let mut direct = connect(database.url());
        let mut lock = direct.transaction().unwrap();
        let locked = lock.batch_execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE NOWAIT");
        assert!(locked.is_err(), "the held transaction is open");
        drop(lock);
        assert_eq!(proxy.release(), 3);
        thread.join().unwrap();
        let count: i64 = direct.query_one("SELECT count(*) FROM t", &[]).unwrap().get(0);
        assert_eq!(count, 2);
    }

    #[test]
    fn a_lost_statement_was_not_carried_out_and_a_lost_reply_was() {
        let database = Cluster::shared().create_database(None);
        let mut direct = connect(database.url());
        direct.batch_execute(TABLE).unwrap();
        for (loses_reply, expected) in [(false, 0i64), (true, 1)] {
            let proxy = PgProxy::to(database.url());
            let mut client = connect(proxy.url());
            if loses_reply {
                proxy.lose_reply(1);
            } else {
                proxy.lose_statement(1);
            }
            let lost = client.execute("INSERT INTO t VALUES ($1)", &[&1i64]).unwrap_err();
            assert!(lost.is_closed(), "{lost}");
            let count: i64 = direct.query_one("SELECT count(*) FROM t", &[]).unwrap().get(0);
            assert_eq!(count, expected);
            // A new connection passes.
            proxy.release();
            connect(proxy.url()).batch_execute("SELECT 1").unwrap();
        }
    }
}
