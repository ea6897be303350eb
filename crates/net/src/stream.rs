//! A connection's bytes, in clear or under TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustls::{ProtocolVersion, ServerConnection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

use crate::socket::Socket;
use crate::tls::{TlsAcceptor, TlsFacts};

/// The two ends' bytes.
#[derive(Debug)]
pub struct Stream(Kind);

#[derive(Debug)]
enum Kind {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
    /// The handshake failed.
    Gone,
}

impl Stream {
    pub(crate) fn new(socket: Socket) -> Self {
        Self(Kind::Plain(socket))
    }

    /// Becomes TLS, as the server. What was read before and not handled must be dropped by
    /// the caller.
    ///
    /// # Errors
    /// If the handshake fails; the connection is closed then.
    pub async fn start_tls(&mut self, acceptor: &TlsAcceptor) -> io::Result<TlsFacts> {
        let Kind::Plain(socket) = std::mem::replace(&mut self.0, Kind::Gone) else {
            return Err(io::Error::other("TLS twice"));
        };
        let tls = acceptor.accept(socket).await?;
        let (_, session) = tls.get_ref();
        let suite = session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
        let facts = TlsFacts {
            // rustls tells 1.3 suites apart by a prefix that IANA does not have.
            cipher_suite: suite.unwrap_or("unknown").replace("TLS13_", "TLS_"),
            server_name: session.server_name().map(str::to_owned),
            exporter: exporter(session),
        };
        self.0 = Kind::Tls(Box::new(tls));
        Ok(facts)
    }
}

/// 32 octets under the label of RFC 9266 section 2, without a context.
fn exporter(session: &ServerConnection) -> Option<[u8; 32]> {
    session.protocol_version().filter(|version| *version == ProtocolVersion::TLSv1_3)?;
    session.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", None).ok()
}

fn gone() -> io::Error {
    io::ErrorKind::NotConnected.into()
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Kind::Plain(socket) => Pin::new(socket).poll_read(cx, buf),
            Kind::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
            Kind::Gone => Poll::Ready(Err(gone())),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().0 {
            Kind::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Kind::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
            Kind::Gone => Poll::Ready(Err(gone())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Kind::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Kind::Tls(tls) => Pin::new(tls).poll_flush(cx),
            Kind::Gone => Poll::Ready(Err(gone())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Kind::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Kind::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
            Kind::Gone => Poll::Ready(Ok(())),
        }
    }
}
