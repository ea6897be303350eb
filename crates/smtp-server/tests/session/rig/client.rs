//! A small SMTP client that follows a script.
//!
//! Each line of a script begins with who speaks:
//! - `C:` a line of the client; lines that follow each other go in one write, pipelined;
//! - `S:` a reply line that must be the next one; `…` at its end stands for anything.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use hikyaku_smtp_proto::content::encode_data;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::wait_for;

/// Nothing here takes so long, unless something hangs.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Client {
    stream: Stream,
    /// Read and not yet looked at.
    pending: Vec<u8>,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Client {
    /// Connects, and reads nothing.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).unwrap();
        // What is written is under way at once, whatever the server has acknowledged.
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream: Stream::Plain(socket), pending: Vec::new() }
    }

    /// Connects as a proxy for this client, and says hello.
    pub(crate) fn hello_from(proxied: SocketAddr, client: Ipv4Addr) -> Self {
        let mut connection = Self::connect(proxied);
        // Version 2, PROXY, TCP over IPv4, 12 octets of addresses and ports.
        let header =
            [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..], &client.octets(), &[127, 0, 0, 1, 48, 57, 0, 25]];
        connection.write(&header.concat());
        connection.talk("S: 220 mx.example ESMTP");
        connection.ehlo();
        connection
    }

    /// Connects, and says hello.
    pub(crate) fn hello(address: SocketAddr) -> Self {
        let mut client = Self::connect(address);
        client.talk("S: 220 mx.example ESMTP");
        client.ehlo();
        client
    }

    /// EHLO; the extensions that were announced.
    pub(crate) fn ehlo(&mut self) -> Vec<String> {
        self.write(b"EHLO client.example\r\n");
        self.reply()
    }

    /// Becomes TLS, trusting `authority` alone. Whatever came in clear and was not read
    /// would be part of the handshake, so a reply too many fails here.
    pub(crate) fn start_tls(self, authority: &CertificateDer<'static>) -> Self {
        let Stream::Plain(socket) = self.stream else { panic!("TLS twice") };
        assert_eq!(self.pending, b"", "nothing is left over in clear");
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("mx.example").unwrap();
        let session = ClientConnection::new(Arc::new(config), name).unwrap();
        Self { stream: Stream::Tls(Box::new(StreamOwned::new(session, socket))), pending: Vec::new() }
    }

    /// What its TLS session exports for SCRAM, RFC 9266.
    pub(crate) fn exported(&self) -> [u8; 32] {
        let Stream::Tls(tls) = &self.stream else { panic!("under TLS only") };
        tls.conn.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).unwrap()
    }

    /// Follows a script.
    pub(crate) fn talk(&mut self, script: &str) {
        let mut out = Vec::new();
        for line in script.lines().map(str::trim_start).filter(|line| !line.is_empty()) {
            let (who, text) = line.split_at(2);
            let text = text.strip_prefix(' ').unwrap_or(text);
            match who {
                "C:" => out.extend_from_slice(format!("{text}\r\n").as_bytes()),
                "S:" => {
                    self.write(&std::mem::take(&mut out));
                    self.expect(text);
                }
                _ => panic!("no such speaker: {line}"),
            }
        }
        self.write(&out);
    }

    /// Sends one message in one mail transaction; the reply to its content.
    pub(crate) fn mail(&mut self, from: &str, to: &[&str], content: &[u8]) -> String {
        self.content(from, to, content);
        self.line()
    }

    /// The same up to the final dot.
    pub(crate) fn content(&mut self, from: &str, to: &[&str], content: &[u8]) {
        self.talk(&format!("C: MAIL FROM:<{from}>\nS: 250 2.1.0 Sender OK"));
        for recipient in to {
            self.talk(&format!("C: RCPT TO:<{recipient}>\nS: 250 2.1.5 Recipient OK"));
        }
        self.talk("C: DATA\nS: 354 End with <CRLF>.<CRLF>");
        let mut wire = Vec::new();
        encode_data(content, &mut wire);
        self.write(&wire);
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let written = match &mut self.stream {
            Stream::Plain(socket) => socket.write_all(bytes),
            Stream::Tls(tls) => tls.write_all(bytes).and_then(|()| tls.flush()),
        };
        written.expect("the server reads");
    }

    /// Writes these bytes again and again until the server closes the connection.
    pub(crate) fn write_until_closed(self, bytes: &[u8]) {
        let Stream::Plain(mut socket) = self.stream else { panic!("in clear only") };
        socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        wait_for("the server to close", || {
            let is_open = socket.write_all(bytes).is_ok();
            // What it says meanwhile does not matter; nothing yet is an error, too.
            !is_open || socket.read(&mut [0; 100]).is_ok_and(|count| count == 0)
        });
    }

    /// The next line must be this one.
    fn expect(&mut self, expected: &str) {
        let line = self.line();
        let fits = match expected.strip_suffix('…') {
            Some(start) => line.starts_with(start),
            None => line == expected,
        };
        assert!(fits, "expected {expected:?}, got {line:?}");
    }

    /// The lines of the next reply.
    pub(crate) fn reply(&mut self) -> Vec<String> {
        let mut lines = vec![self.line()];
        while lines[lines.len() - 1].as_bytes()[3] == b'-' {
            lines.push(self.line());
        }
        lines
    }

    /// The next line of a reply.
    pub(crate) fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.pending.windows(2).position(|two| two == b"\r\n") {
                let rest = self.pending.split_off(end + 2);
                let line = std::mem::replace(&mut self.pending, rest);
                return String::from_utf8(line[..end].to_vec()).unwrap();
            }
            assert_ne!(self.read(), 0, "the server closed the connection after {:?}", self.pending);
        }
    }

    /// The server says nothing more and closes the connection.
    pub(crate) fn expect_end(mut self) {
        assert_eq!(self.read(), 0, "nothing more: {:?}", String::from_utf8_lossy(&self.pending));
    }

    fn read(&mut self) -> usize {
        let mut bytes = [0; 4096];
        let count = match &mut self.stream {
            Stream::Plain(socket) => socket.read(&mut bytes),
            Stream::Tls(tls) => tls.read(&mut bytes),
        };
        let count = count.expect("the server answers, or closes the connection in order");
        self.pending.extend_from_slice(&bytes[..count]);
        count
    }

    /// Ends the connection without TLS's farewell, as when the line breaks: nothing shows the
    /// server that its replies were read.
    pub(crate) fn break_off(self) {
        let Stream::Tls(tls) = self.stream else { panic!("under TLS only") };
        let (_, socket) = tls.into_parts();
        drop(socket);
    }

    /// Drops the connection when replies have come that end in `end`, without reading them:
    /// the server gets a reset.
    pub(crate) fn lose_replies(self, end: &str) {
        let Stream::Plain(socket) = self.stream else { panic!("in clear only") };
        assert_eq!(self.pending, b"");
        let mut bytes = [0; 4096];
        wait_for("the replies that are lost", || {
            let count = socket.peek(&mut bytes).unwrap();
            bytes[..count].ends_with(end.as_bytes())
        });
    }
}
