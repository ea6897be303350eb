//! A listening socket and the connections that came from it.

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hikyaku_types::{Network, canonical_ip};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use crate::metrics::{Metrics, Open, Refusal};
use crate::proxy::{self, Proxied};
use crate::shutdown::Ending;
use crate::socket::Socket;
use crate::stream::Stream;

/// How many connections there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of one listener.
    pub connections: usize,
    /// Of one listener from one source: an IPv4 address or an IPv6 /64.
    pub connections_each: usize,
    /// How long sessions may take to end when the process does.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 25_000, connections_each: 100, drain: Duration::from_secs(4) }
    }
}

/// A proxy sends its header with its first packet.
const HEADER: Duration = Duration::from_secs(5);
/// Refusals are logged so often at most: a flood must not cost a line each.
const BETWEEN_LINES: Duration = Duration::from_secs(1);
/// The peer of a connection within this machine.
const THIS_MACHINE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// One accepted connection.
#[derive(Debug)]
pub struct Connection {
    /// Its bytes.
    pub stream: Stream,
    /// The client; IPv4 where IPv6 only wraps it, `127.0.0.1:0` on a socket with a path.
    pub peer: SocketAddr,
    /// A number for logs, unique in the process.
    pub session: u64,
    /// Learns of the process's end.
    pub ending: Ending,
    _permits: Permits,
}

#[derive(Debug)]
struct Permits {
    _all: OwnedSemaphorePermit,
    _source: Option<SourcePermit>,
    _open: Open,
}

#[derive(Debug)]
struct SourcePermit {
    source: Network,
    sources: Arc<Sources>,
}

type Sources = Mutex<HashMap<Network, usize>>;

impl Drop for SourcePermit {
    fn drop(&mut self) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = sources.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                sources.remove(&self.source);
            }
        }
    }
}

/// Who counts as one source: an IPv4 address, or the /64 of an IPv6 address.
pub fn source_of(client: IpAddr) -> Network {
    Network::containing(client, if client.is_ipv4() { 32 } else { 64 })
}

/// A listening socket.
#[derive(Debug)]
pub struct Listener {
    bound: Bound,
    door: Door,
}

#[derive(Debug)]
enum Bound {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

/// Who may come in.
#[derive(Debug)]
struct Door {
    name: &'static str,
    limits: Limits,
    /// Sent to connections beyond the limits.
    refusal: &'static [u8],
    /// Sources that say in a header who the client is.
    proxies: Vec<Network>,
    metrics: Metrics,
    all: Arc<Semaphore>,
    sources: Arc<Sources>,
    told: Mutex<Option<Instant>>,
}

static SESSIONS: AtomicU64 = AtomicU64::new(1);

impl Listener {
    /// Binds `address`. `name` is for logs; `refusal` is what connections beyond the limits
    /// are told (nothing if it is empty, as under TLS).
    ///
    /// # Errors
    /// If the address cannot be had.
    pub async fn bind(
        address: SocketAddr,
        name: &'static str,
        limits: Limits,
        refusal: &'static [u8],
    ) -> io::Result<Self> {
        let bound = Bound::Tcp(TcpListener::bind(address).await?);
        Ok(Self { bound, door: Door::new(name, limits, refusal) })
    }

    /// Binds a Unix socket at `path`, for programs of this machine: everybody may connect who
    /// may enter its folder. A socket that a killed process left there is replaced; the limit
    /// for one source does not apply.
    ///
    /// # Errors
    /// If the path is taken or cannot be made.
    pub fn bind_path(
        path: &Path,
        name: &'static str,
        limits: Limits,
        refusal: &'static [u8],
    ) -> io::Result<Self> {
        remove_abandoned(path)?;
        let socket = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
        let bound = Bound::Unix(socket, path.to_owned());
        Ok(Self { bound, door: Door::new(name, limits, refusal) })
    }

    /// Connections from these networks begin with a PROXY header of version 2, or end.
    #[must_use]
    pub fn behind(mut self, proxies: Vec<Network>) -> Self {
        self.door.proxies = proxies;
        self
    }

    /// Counts in `metrics`.
    #[must_use]
    pub fn counting(mut self, metrics: &Metrics) -> Self {
        self.door.metrics = metrics.clone();
        self
    }

    /// Where it listens: the port that was free if 0 was asked for.
    ///
    /// # Errors
    /// If the system does not know, or there is a path instead.
    pub fn address(&self) -> io::Result<SocketAddr> {
        match &self.bound {
            Bound::Tcp(socket) => socket.local_addr(),
            Bound::Unix(..) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Accepts until the end begins, runs `serve` for each connection, and waits for all of
    /// them for some seconds after it.
    pub async fn run<F, S>(self, mut ending: Ending, serve: S)
    where
        F: Future<Output = ()> + Send + 'static,
        S: Fn(Connection) -> F + Send + Sync + 'static,
    {
        let (door, serve) = (Arc::new(self.door), Arc::new(serve));
        let mut tasks = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.bound.accept() => accepted,
                () = ending.begun() => break,
            };
            while let Some(ended) = tasks.try_join_next() {
                door.ended(ended);
            }
            match accepted {
                Ok((socket, peer)) if door.is_proxy(peer) => {
                    let (door, serve, ending) = (Arc::clone(&door), Arc::clone(&serve), ending.clone());
                    tasks.spawn(async move {
                        if let Some(connection) = door.admit_proxied(socket, peer, ending).await {
                            serve(connection).await;
                        }
                    });
                }
                Ok((socket, peer)) => {
                    if let Some(connection) = door.admit(socket, peer, ending.clone()) {
                        tasks.spawn(serve(connection));
                    }
                }
                Err(error) => {
                    // Out of file descriptors, most likely: connections must end first.
                    tracing::error!(listener = door.name, %error, "cannot accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        self.bound.close();
        drain(door.name, door.limits.drain, tasks).await;
    }
}

impl Bound {
    async fn accept(&self) -> io::Result<(Socket, SocketAddr)> {
        match self {
            Self::Tcp(socket) => {
                let (socket, peer) = socket.accept().await?;
                // Replies are written whole; waiting for more to send only delays them.
                let _ = socket.set_nodelay(true);
                Ok((Socket::Tcp(socket), SocketAddr::new(canonical_ip(peer.ip()), peer.port())))
            }
            Self::Unix(socket, _) => Ok((Socket::Unix(socket.accept().await?.0), THIS_MACHINE)),
        }
    }

    fn close(self) {
        if let Self::Unix(socket, path) = self {
            drop(socket);
            // The next start replaces what cannot be removed now.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Removes a socket that nobody listens on.
fn remove_abandoned(path: &Path) -> io::Result<()> {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if is_socket && error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        _ => Ok(()),
    }
}

impl Door {
    fn new(name: &'static str, limits: Limits, refusal: &'static [u8]) -> Self {
        Self {
            name,
            limits,
            refusal,
            proxies: Vec::new(),
            metrics: Metrics::default(),
            all: Arc::new(Semaphore::new(limits.connections)),
            sources: Arc::default(),
            told: Mutex::new(None),
        }
    }

    fn is_proxy(&self, peer: SocketAddr) -> bool {
        peer != THIS_MACHINE && self.proxies.iter().any(|network| network.contains(peer.ip()))
    }

    fn admit(&self, socket: Socket, peer: SocketAddr, ending: Ending) -> Option<Connection> {
        match self.all().and_then(|all| Ok((all, self.source(peer)?))) {
            Ok((all, source)) => Some(self.connection(socket, peer, ending, all, source)),
            Err(reason) => self.refuse(socket, peer, reason),
        }
    }

    /// The same for a connection that begins with a header.
    async fn admit_proxied(
        &self,
        mut socket: Socket,
        proxy: SocketAddr,
        ending: Ending,
    ) -> Option<Connection> {
        let all = match self.all() {
            Ok(all) => all,
            Err(reason) => return self.refuse(socket, proxy, reason),
        };
        let peer = match tokio::time::timeout(HEADER, proxy::read(&mut socket)).await {
            Ok(Ok(Proxied::Client(client))) => client,
            Ok(Ok(Proxied::Itself)) => proxy,
            Ok(Err(error)) => {
                tracing::warn!(listener = self.name, peer = %proxy.ip(), %error, "no PROXY header");
                self.metrics.refused(self.name, Refusal::Header);
                return None;
            }
            Err(_) => {
                tracing::warn!(listener = self.name, peer = %proxy.ip(), "no PROXY header in time");
                self.metrics.refused(self.name, Refusal::Header);
                return None;
            }
        };
        match self.source(peer) {
            Ok(source) => Some(self.connection(socket, peer, ending, all, source)),
            Err(reason) => self.refuse(socket, peer, reason),
        }
    }

    fn all(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        Arc::clone(&self.all).try_acquire_owned().map_err(|_| Refusal::All)
    }

    fn source(&self, peer: SocketAddr) -> Result<Option<SourcePermit>, Refusal> {
        if peer == THIS_MACHINE {
            return Ok(None);
        }
        let source = source_of(peer.ip());
        let mut counts = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(source).or_insert(0);
        if *count >= self.limits.connections_each {
            return Err(Refusal::Source);
        }
        *count += 1;
        Ok(Some(SourcePermit { source, sources: Arc::clone(&self.sources) }))
    }

    fn connection(
        &self,
        socket: Socket,
        peer: SocketAddr,
        ending: Ending,
        all: OwnedSemaphorePermit,
        source: Option<SourcePermit>,
    ) -> Connection {
        let permits = Permits { _all: all, _source: source, _open: self.metrics.opened(self.name) };
        let session = SESSIONS.fetch_add(1, Ordering::Relaxed);
        Connection { stream: Stream::new(socket), peer, session, ending, _permits: permits }
    }

    fn refuse(&self, socket: Socket, peer: SocketAddr, reason: Refusal) -> Option<Connection> {
        self.metrics.refused(self.name, reason);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|at| at.elapsed() >= BETWEEN_LINES) {
            *told = Some(Instant::now());
            tracing::info!(listener = self.name, peer = %peer.ip(), "too many connections");
        }
        // It is a courtesy, and has room in the socket's buffer: nobody waits for it.
        let _ = match socket {
            Socket::Tcp(socket) => socket.into_std().and_then(|mut socket| socket.write(self.refusal)),
            Socket::Unix(socket) => socket.into_std().and_then(|mut socket| socket.write(self.refusal)),
        };
        None
    }

    fn ended(&self, ended: Result<(), tokio::task::JoinError>) {
        if let Err(error) = ended
            && error.is_panic()
        {
            tracing::error!(listener = self.name, "a session panicked");
        }
    }
}

async fn drain(name: &'static str, patience: Duration, mut tasks: JoinSet<()>) {
    let all = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(patience, all).await.is_err() {
        tracing::warn!(listener = name, left = tasks.len(), "sessions did not end in time");
        tasks.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shutdown::Shutdown;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpStream, UnixStream};

    async fn listener(limits: Limits) -> Listener {
        Listener::bind("127.0.0.1:0".parse().unwrap(), "test", limits, b"full\r\n").await.unwrap()
    }

    async fn echo(mut connection: Connection) {
        let mut byte = [0];
        while connection.stream.read(&mut byte).await.is_ok_and(|count| count == 1) {
            assert_ne!(byte[0], b'!', "a session that panics");
            if connection.stream.write_all(&byte).await.is_err() {
                break;
            }
        }
    }

    async fn ask(socket: &mut TcpStream) -> bool {
        let mut byte = [0];
        socket.write_all(b"x").await.is_ok()
            && socket.read(&mut byte).await.is_ok_and(|count| count == 1 && byte == *b"x")
    }

    #[tokio::test]
    async fn those_beyond_the_limit_are_told_and_permits_come_back() {
        let listener = listener(Limits { connections_each: 2, ..Limits::default() }).await;
        let address = listener.address().unwrap();
        let shutdown = Shutdown::new();
        let running = tokio::spawn(listener.run(shutdown.ending(), echo));
        let mut first = TcpStream::connect(address).await.unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        assert!(ask(&mut first).await && ask(&mut second).await);
        let mut third = TcpStream::connect(address).await.unwrap();
        let mut told = String::new();
        third.read_to_string(&mut told).await.unwrap();
        assert_eq!(told, "full\r\n");
        // A session that panics gives its permit back as well.
        first.write_all(b"!").await.unwrap();
        assert_eq!(first.read(&mut [0]).await.unwrap_or(0), 0);
        let mut fourth = TcpStream::connect(address).await.unwrap();
        assert!(ask(&mut fourth).await);
        drop((second, fourth));
        shutdown.begin();
        running.await.unwrap();
    }

    #[tokio::test]
    async fn the_end_closes_the_door() {
        let listener = listener(Limits::default()).await;
        let address = listener.address().unwrap();
        let shutdown = Shutdown::new();
        let running =
            tokio::spawn(listener.run(shutdown.ending(), |mut connection: Connection| async move {
                connection.ending.begun().await;
            }));
        let mut inside = TcpStream::connect(address).await.unwrap();
        shutdown.begin();
        running.await.unwrap();
        assert_eq!(inside.read(&mut [0]).await.unwrap_or(0), 0);
        assert!(TcpStream::connect(address).await.is_err());
    }

    /// Tells each client its address.
    async fn tell(mut connection: Connection) {
        let peer = connection.peer.to_string();
        let _ = connection.stream.write_all(peer.as_bytes()).await;
    }

    /// A header for a client at 192.0.2.`host`, port 12345.
    fn header(host: u8) -> Vec<u8> {
        [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02"[..], &[host][..], b"\xc6\x33\x64\x02\x30\x39\0\x19"]
            .concat()
    }

    async fn answer_to(address: SocketAddr, sent: &[u8]) -> String {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(sent).await.unwrap();
        let mut told = String::new();
        // Bytes that nobody read make it a reset, after what was told.
        let _ = socket.read_to_string(&mut told).await;
        told
    }

    #[tokio::test]
    async fn a_listed_proxy_says_who_the_client_is() {
        let listener = listener(Limits::default()).await.behind(vec!["127.0.0.0/8".parse().unwrap()]);
        let address = listener.address().unwrap();
        let shutdown = Shutdown::new();
        let running = tokio::spawn(listener.run(shutdown.ending(), tell));
        assert_eq!(answer_to(address, &header(7)).await, "192.0.2.7:12345");
        let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
        assert!(answer_to(address, local).await.starts_with("127.0.0.1:"));
        assert_eq!(answer_to(address, b"EHLO client.example\r\n").await, "");
        shutdown.begin();
        running.await.unwrap();
    }

    #[tokio::test]
    async fn a_header_from_elsewhere_is_the_clients_own_nonsense() {
        let listener = listener(Limits::default()).await.behind(vec!["192.0.2.0/24".parse().unwrap()]);
        let address = listener.address().unwrap();
        let shutdown = Shutdown::new();
        let running = tokio::spawn(listener.run(shutdown.ending(), tell));
        assert!(answer_to(address, b"").await.starts_with("127.0.0.1:"));
        shutdown.begin();
        running.await.unwrap();
    }

    #[tokio::test]
    async fn behind_a_proxy_each_client_counts_for_itself() {
        let limits = Limits { connections_each: 1, ..Limits::default() };
        let listener = listener(limits).await.behind(vec!["127.0.0.1".parse().unwrap()]);
        let address = listener.address().unwrap();
        let shutdown = Shutdown::new();
        let running = tokio::spawn(listener.run(shutdown.ending(), echo));
        let mut inside = Vec::new();
        for host in [7, 8] {
            let mut socket = TcpStream::connect(address).await.unwrap();
            socket.write_all(&header(host)).await.unwrap();
            assert!(ask(&mut socket).await);
            inside.push(socket);
        }
        assert_eq!(answer_to(address, &header(8)).await, "full\r\n");
        drop(inside);
        shutdown.begin();
        running.await.unwrap();
    }

    #[tokio::test]
    async fn a_socket_with_a_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lmtp");
        // What a killed process left.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let limits = Limits { connections_each: 1, ..Limits::default() };
        let listener = Listener::bind_path(&path, "test", limits, b"full\r\n").unwrap();
        let taken = Listener::bind_path(&path, "test", limits, b"").unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        let shutdown = Shutdown::new();
        let running = tokio::spawn(listener.run(shutdown.ending(), tell));
        for _ in 0..2 {
            let (mut socket, mut told) = (UnixStream::connect(&path).await.unwrap(), String::new());
            socket.read_to_string(&mut told).await.unwrap();
            assert_eq!(told, "127.0.0.1:0");
        }
        shutdown.begin();
        running.await.unwrap();
        assert!(!path.exists());
        std::fs::write(&path, "a file of somebody's").unwrap();
        assert!(Listener::bind_path(&path, "test", limits, b"").is_err());
        assert!(path.exists());
    }

    #[tokio::test]
    async fn what_is_counted() {
        let mut registry = prometheus_client::registry::Registry::default();
        let metrics = Metrics::new(&mut registry);
        let limits = Limits { connections_each: 1, ..Limits::default() };
        let listener = listener(limits).await.counting(&metrics);
        let address = listener.address().unwrap();
        let shutdown = Shutdown::new();
        let running = tokio::spawn(listener.run(shutdown.ending(), echo));
        let mut inside = TcpStream::connect(address).await.unwrap();
        assert!(ask(&mut inside).await);
        assert_eq!(answer_to(address, b"").await, "full\r\n");
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "accepted_total{listener=\"test\"} 1",
            "refused_total{listener=\"test\",reason=\"source\"} 1",
            "open{listener=\"test\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "no `{line}` in\n{text}");
        }
        drop(inside);
        shutdown.begin();
        running.await.unwrap();
    }
}
