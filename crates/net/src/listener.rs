//! A listening socket and the connections that came from it.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hikyaku_types::{Network, canonical_ip};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use crate::shutdown::Ending;
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
        Self { connections: 10_000, connections_each: 100, drain: Duration::from_secs(4) }
    }
}

/// A word to those beyond the limit must not take longer than this to send.
const REFUSAL: Duration = Duration::from_secs(2);

/// One accepted connection.
#[derive(Debug)]
pub struct Connection {
    /// Its bytes.
    pub stream: Stream,
    /// The other end; IPv4 where IPv6 only wraps it.
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
    source: Network,
    sources: Arc<Sources>,
}

type Sources = Mutex<HashMap<Network, usize>>;

impl Drop for Permits {
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

/// A listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    name: &'static str,
    limits: Limits,
    /// Sent to connections beyond the limits.
    refusal: &'static [u8],
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
    ) -> std::io::Result<Self> {
        Ok(Self { socket: TcpListener::bind(address).await?, name, limits, refusal })
    }

    /// Where it listens: the port that was free if 0 was asked for.
    ///
    /// # Errors
    /// If the system does not know.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Accepts until the end begins, runs `serve` for each connection, and waits for all of
    /// them for some seconds after it.
    pub async fn run<F, S>(self, mut ending: Ending, serve: S)
    where
        F: Future<Output = ()> + Send + 'static,
        S: Fn(Connection) -> F,
    {
        let all = Arc::new(Semaphore::new(self.limits.connections));
        let sources = Arc::new(Sources::default());
        let mut tasks = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                () = ending.begun() => break,
            };
            while let Some(ended) = tasks.try_join_next() {
                self.ended(ended);
            }
            match accepted {
                Ok((socket, peer)) => {
                    let peer = SocketAddr::new(canonical_ip(peer.ip()), peer.port());
                    match self.permits(&all, &sources, peer.ip()) {
                        Some(permits) => {
                            let connection = connection(socket, peer, ending.clone(), permits);
                            tasks.spawn(serve(connection));
                        }
                        None => self.refuse(socket, peer),
                    }
                }
                Err(error) => {
                    // Out of file descriptors, most likely: connections must end first.
                    tracing::error!(listener = self.name, %error, "cannot accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        drop(self.socket);
        drain(self.name, self.limits.drain, tasks).await;
    }

    fn permits(&self, all: &Arc<Semaphore>, sources: &Arc<Sources>, peer: IpAddr) -> Option<Permits> {
        let all = Arc::clone(all).try_acquire_owned().ok()?;
        let source = Network::containing(peer, if peer.is_ipv4() { 32 } else { 64 });
        let mut counts = sources.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(source).or_insert(0);
        if *count >= self.limits.connections_each {
            return None;
        }
        *count += 1;
        Some(Permits { _all: all, source, sources: Arc::clone(sources) })
    }

    fn refuse(&self, mut socket: TcpStream, peer: SocketAddr) {
        tracing::info!(listener = self.name, peer = %peer.ip(), "too many connections");
        let refusal = self.refusal;
        tokio::spawn(async move {
            let word = async {
                socket.write_all(refusal).await?;
                socket.shutdown().await
            };
            // It is a courtesy: whoever does not take it loses nothing.
            let _ = tokio::time::timeout(REFUSAL, word).await;
        });
    }

    fn ended(&self, ended: Result<(), tokio::task::JoinError>) {
        if let Err(error) = ended
            && error.is_panic()
        {
            tracing::error!(listener = self.name, "a session panicked");
        }
    }
}

fn connection(socket: TcpStream, peer: SocketAddr, ending: Ending, permits: Permits) -> Connection {
    // Replies are written whole; waiting for more to send only delays them.
    let _ = socket.set_nodelay(true);
    let session = SESSIONS.fetch_add(1, Ordering::Relaxed);
    Connection { stream: Stream::new(socket), peer, session, ending, _permits: permits }
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
    use tokio::io::AsyncReadExt;

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
}
