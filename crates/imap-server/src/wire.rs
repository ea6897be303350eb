//! The writing half of a session: answers gather in a buffer and leave together.

use std::io;
use std::time::Duration;

use hikyaku_net::{Stream, TlsAcceptor, TlsFacts};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// From this size on the buffer is sent although the command goes on.
const FULL: usize = 64 << 10;
/// A client that takes nothing for so long is gone.
const PATIENCE: Duration = Duration::from_secs(120);

/// A connection with what waits to be sent on it.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: Stream,
    /// Printers append here.
    pub(crate) out: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, out: Vec::new() }
    }

    pub(crate) async fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.stream.read(bytes).await
    }

    /// Sends what waits if it is much, so that a large answer is never held whole.
    pub(crate) async fn relieve(&mut self) -> io::Result<()> {
        if self.out.len() < FULL { Ok(()) } else { self.flush().await }
    }

    /// Sends what waits.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        let mut left = self.out.as_slice();
        while !left.is_empty() {
            let (piece, rest) = left.split_at(left.len().min(FULL));
            let write = timeout(PATIENCE, self.stream.write_all(piece)).await;
            write.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            left = rest;
        }
        self.out.clear();
        self.out.shrink_to(FULL);
        timeout(PATIENCE, self.stream.flush()).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    pub(crate) async fn start_tls(&mut self, acceptor: &TlsAcceptor) -> io::Result<TlsFacts> {
        let started = timeout(PATIENCE, self.stream.start_tls(acceptor)).await;
        started.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    pub(crate) async fn close(&mut self) -> io::Result<()> {
        self.flush().await?;
        timeout(PATIENCE, self.stream.shutdown())
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }
}
