//! The bytes of a session: answers gather in a buffer and leave together; after COMPRESS both
//! directions are compressed.
//!
//! Standards: RFC 4978, RFC 8437 section 4.1 (where compression ends).
//! Invariants:
//! - what a client can make large is not held whole: an answer is sent when it is [`FULL`],
//!   and what comes in compressed is inflated no further than [`READ`];
//! - a connection on which nothing moves keeps no buffer, but for the window of compression.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;

use hikyaku_imap_proto::deflate::{Damaged, Deflater, Flush, Inflater};
use hikyaku_net::{Stream, TlsAcceptor, TlsFacts};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;

/// From this size on the buffer is sent although the command goes on.
const FULL: usize = 64 << 10;
/// Bytes of one read.
const READ: usize = 16 << 10;

/// A connection with what waits to be sent on it.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: Stream,
    /// Printers append here.
    pub(crate) out: Vec<u8>,
    /// Read and not given out: it is compressed, or stood behind the end of compression.
    held: Vec<u8>,
    inward: Inward,
    outward: Option<Deflater>,
    /// Where in `out` the answer to what is being done begins; none if a part of it was sent.
    answer: Option<usize>,
    /// A client that takes nothing for so long is gone.
    patience: Duration,
}

/// How the client's bytes come.
#[derive(Debug)]
enum Inward {
    Plain,
    Compressed(Inflater),
    /// Plain behind the client's last flush.
    Ending(Inflater),
}

impl Wire {
    pub(crate) fn new(stream: Stream, patience: Duration) -> Self {
        Self {
            stream,
            out: Vec::new(),
            held: Vec::new(),
            inward: Inward::Plain,
            outward: None,
            answer: None,
            patience,
        }
    }

    /// The next bytes; none when the client has closed the connection. Nothing is lost if it
    /// is dropped before it is ready.
    pub(crate) async fn read(&mut self) -> io::Result<Vec<u8>> {
        if matches!(self.inward, Inward::Compressed(_)) {
            // A few bytes can be a thousand times as many: others have their turn between.
            tokio::task::yield_now().await;
        }
        loop {
            let given = self.take_held()?;
            if !given.is_empty() {
                return Ok(given);
            }
            let came = receive(&mut self.stream).await?;
            if came.is_empty() || matches!(self.inward, Inward::Plain) {
                return Ok(came);
            }
            self.held.extend_from_slice(&came);
        }
    }

    fn take_held(&mut self) -> io::Result<Vec<u8>> {
        let mut input = self.held.as_slice();
        if let Inward::Ending(inflater) = &mut self.inward
            && inflater.finish(&mut input).map_err(damaged)?
        {
            self.inward = Inward::Plain;
        }
        let given = match &mut self.inward {
            Inward::Plain => std::mem::take(&mut input).to_vec(),
            Inward::Compressed(inflater) => {
                let mut bytes = [0; READ];
                let count = inflater.inflate(&mut input, &mut bytes).map_err(damaged)?;
                bytes.get(..count).unwrap_or_default().to_vec()
            }
            Inward::Ending(_) => Vec::new(),
        };
        let taken = self.held.len() - input.len();
        self.held.drain(..taken);
        if self.held.is_empty() {
            self.held = Vec::new();
        }
        Ok(given)
    }

    /// What waits is complete; behind it begins another answer.
    pub(crate) fn begin_answer(&mut self) {
        self.answer = Some(self.out.len());
    }

    /// Forgets an answer that will not be finished. False if a part of it was sent: then nothing
    /// more can be said.
    pub(crate) fn drop_answer(&mut self) -> bool {
        self.out.truncate(self.answer.unwrap_or(0));
        self.answer.is_some()
    }

    /// Sends what waits if it is much, so that a large answer is never held whole.
    pub(crate) async fn relieve(&mut self) -> io::Result<()> {
        if self.out.len() < FULL { Ok(()) } else { self.send(Flush::No).await }
    }

    /// Sends what waits.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        self.send(Flush::Yes).await?;
        self.out = Vec::new();
        within(self.patience, self.stream.flush()).await
    }

    async fn send(&mut self, flush: Flush) -> io::Result<()> {
        self.answer = None;
        match &mut self.outward {
            None => write(&mut self.stream, &self.out, self.patience).await?,
            Some(deflater) => {
                let mut compressed = Vec::new();
                for piece in self.out.chunks(FULL) {
                    deflater.deflate(piece, Flush::No, &mut compressed);
                    write(&mut self.stream, &compressed, self.patience).await?;
                    compressed.clear();
                }
                deflater.deflate(b"", flush, &mut compressed);
                write(&mut self.stream, &compressed, self.patience).await?;
            }
        }
        self.out.clear();
        self.out.shrink_to(FULL);
        Ok(())
    }

    pub(crate) fn is_compressed(&self) -> bool {
        self.outward.is_some()
    }

    /// Sends what waits; all that follows is compressed, also `came`, which the client sent
    /// behind its command.
    pub(crate) async fn compress(&mut self, came: &[u8]) -> io::Result<()> {
        self.flush().await?;
        self.held = came.to_vec();
        self.inward = Inward::Compressed(Inflater::default());
        self.outward = Some(Deflater::default());
        Ok(())
    }

    /// Sends what waits, the last that is compressed; from the client it was what was read
    /// last.
    pub(crate) async fn end_compression(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.outward = None;
        if let Inward::Compressed(inflater) = std::mem::replace(&mut self.inward, Inward::Plain) {
            self.inward = Inward::Ending(inflater);
        }
        Ok(())
    }

    pub(crate) async fn start_tls(
        &mut self,
        acceptor: &TlsAcceptor,
        patience: Duration,
    ) -> io::Result<TlsFacts> {
        within(patience, self.stream.start_tls(acceptor)).await
    }

    pub(crate) async fn close(&mut self) -> io::Result<()> {
        self.flush().await?;
        within(self.patience, self.stream.shutdown()).await
    }
}

/// What has come, at least one byte unless the client has closed the connection: only then is
/// there a buffer of it.
async fn receive(stream: &mut Stream) -> io::Result<Vec<u8>> {
    poll_fn(|cx| {
        let mut bytes = [MaybeUninit::uninit(); READ];
        let mut buffer = ReadBuf::uninit(&mut bytes);
        ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().to_vec()))
    })
    .await
}

fn damaged(damaged: Damaged) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, damaged)
}

/// Writes in pieces, each of which the client must take in time.
async fn write(stream: &mut Stream, bytes: &[u8], patience: Duration) -> io::Result<()> {
    for piece in bytes.chunks(FULL) {
        within(patience, stream.write_all(piece)).await?;
    }
    Ok(())
}

async fn within<T>(patience: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(patience, work).await.map_err(|_| io::ErrorKind::TimedOut)?
}
