//! A client that knows nothing of IMAP but lines, literals and tags.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use hikyaku_imap_proto::deflate::{Deflater, Flush, Inflater};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// Longer than any answer takes on a loaded machine; only a failing test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

trait Link: Read + Write + Send {}
impl<T: Read + Write + Send> Link for T {}

pub(crate) struct Client {
    link: Box<dyn Link>,
    socket: TcpStream,
    /// Read and not taken yet.
    buffer: Vec<u8>,
    compression: Option<Compression>,
    commands: u32,
}

struct Compression {
    inflater: Inflater,
    deflater: Deflater,
    /// Read and not inflated yet.
    held: Vec<u8>,
}

/// What a command was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Each whole, with its literals.
    pub(crate) untagged: Vec<Vec<u8>>,
    /// Without the tag.
    pub(crate) tagged: String,
}

impl Answer {
    /// The untagged responses.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.untagged.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
    }

    /// The untagged responses, with ` | ` between them.
    pub(crate) fn untagged_text(&self) -> String {
        self.lines().join(" | ")
    }
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).expect("the server listens");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        socket.set_nodelay(true).expect("a socket");
        let link = Box::new(socket.try_clone().expect("a handle"));
        Self { link, socket, buffer: Vec::new(), compression: None, commands: 0 }
    }

    /// Goes on under TLS, and trusts `authority` only.
    ///
    /// What the session exports for SCRAM is returned (RFC 9266).
    pub(crate) fn start_tls(&mut self, authority: &CertificateDer<'static>) -> [u8; 32] {
        assert!(self.buffer.is_empty(), "the server said more than it may before TLS");
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone()).expect("an authority");
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("protocol versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").expect("a name");
        let session = ClientConnection::new(Arc::new(config), name).expect("a session");
        let mut link = StreamOwned::new(session, self.socket.try_clone().expect("a handle"));
        while link.conn.is_handshaking() {
            link.conn.complete_io(&mut link.sock).expect("a handshake");
        }
        let exported = link.conn.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b""));
        self.link = Box::new(link);
        exported.expect("a session that exports")
    }

    /// Goes on compressed.
    pub(crate) fn compress(&mut self) {
        let held = std::mem::take(&mut self.buffer);
        let (inflater, deflater) = (Inflater::default(), Deflater::default());
        self.compression = Some(Compression { inflater, deflater, held });
    }

    /// Goes on without compression; what came compressed must have been read.
    pub(crate) fn end_compression(&mut self) {
        assert!(self.buffer.is_empty(), "the server said more");
        let mut ended = self.compression.take().expect("it was compressed");
        let mut rest = ended.held.as_slice();
        assert_eq!(ended.inflater.finish(&mut rest), Ok(true));
        self.buffer = rest.to_vec();
    }

    /// Inflates some of what was read, at most to the end of an answer.
    fn inflate(&mut self) -> bool {
        let Some(Compression { inflater, held, .. }) = &mut self.compression else { return false };
        let mut input = held.as_slice();
        let mut out = [0; 16 << 10];
        let count = inflater.inflate(&mut input, &mut out).expect("it is DEFLATE");
        *held = input.to_vec();
        self.buffer.extend_from_slice(&out[..count]);
        count > 0
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let mut compressed = Vec::new();
        let bytes = match &mut self.compression {
            Some(compression) => {
                compression.deflater.deflate(bytes, Flush::Yes, &mut compressed);
                &compressed
            }
            None => bytes,
        };
        self.link.write_all(bytes).expect("the server takes it");
        self.link.flush().expect("the server takes it");
    }

    /// The sending half, in clear, for another thread.
    pub(crate) fn writer(&self) -> impl Write + Send + 'static {
        self.socket.try_clone().expect("a handle")
    }

    /// Reads to the end of the connection, and says how many bytes there were.
    pub(crate) fn drain(mut self) -> usize {
        let mut count = 0;
        while self.fill() {
            count += std::mem::take(&mut self.buffer).len();
        }
        count
    }

    /// The next line without its CRLF; `None` when the server has closed the connection.
    pub(crate) fn line(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let rest = self.buffer.split_off(at + 2);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                line.truncate(at);
                return Some(line);
            }
            if !self.fill() {
                let left = String::from_utf8_lossy(&self.buffer);
                assert!(left.is_empty(), "the connection ends within {left:?}");
                return None;
            }
        }
    }

    /// Exactly so many bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            assert!(self.fill(), "the connection ends within a literal");
        }
        let rest = self.buffer.split_off(count);
        std::mem::replace(&mut self.buffer, rest)
    }

    fn fill(&mut self) -> bool {
        if self.inflate() {
            return true;
        }
        let mut some = [0; 16 << 10];
        match self.link.read(&mut some) {
            Ok(count) => {
                match &mut self.compression {
                    Some(compression) => compression.held.extend_from_slice(&some[..count]),
                    None => self.buffer.extend_from_slice(&some[..count]),
                }
                count > 0
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                panic!("no answer for a minute; so far {:?}", String::from_utf8_lossy(&self.buffer))
            }
            // A reset: what the server closes with unread bytes of ours.
            Err(_) => false,
        }
    }

    /// A response whole, with its literals.
    pub(crate) fn response(&mut self) -> Vec<u8> {
        let mut whole = Vec::new();
        loop {
            let line = self.line().expect("the server goes on");
            whole.extend_from_slice(&line);
            let Some(size) = literal_size(&line) else { return whole };
            whole.extend_from_slice(b"\r\n");
            whole.extend_from_slice(&self.bytes(size));
        }
    }

    pub(crate) fn greeting(&mut self) {
        let greeting = self.response();
        assert!(greeting.starts_with(b"* OK [CAPABILITY "), "{}", String::from_utf8_lossy(&greeting));
    }

    /// Sends a command and reads to its tagged answer.
    pub(crate) fn command(&mut self, text: impl AsRef<[u8]>) -> Answer {
        self.commands += 1;
        let tag = format!("t{} ", self.commands);
        self.send(&[tag.as_bytes(), text.as_ref(), b"\r\n"].concat());
        self.answer(&tag)
    }

    /// The tag of the last command.
    pub(crate) fn last_tag(&self) -> String {
        format!("t{}", self.commands)
    }

    fn answer(&mut self, tag: &str) -> Answer {
        let mut untagged = Vec::new();
        loop {
            let response = self.response();
            match response.strip_prefix(tag.as_bytes()) {
                Some(rest) => return Answer { untagged, tagged: String::from_utf8(rest.to_vec()).unwrap() },
                None => untagged.push(response),
            }
        }
    }

    /// The same for a command that must succeed.
    pub(crate) fn ok(&mut self, text: impl AsRef<[u8]>) -> Answer {
        let shown = String::from_utf8_lossy(text.as_ref()).into_owned();
        let answer = self.command(text);
        assert!(answer.tagged.starts_with("OK"), "{shown}: {}", answer.tagged);
        answer
    }

    /// The UIDVALIDITY of a mailbox.
    pub(crate) fn uid_validity(&mut self, mailbox: &str) -> u32 {
        let status = self.ok(format!("STATUS {mailbox} (UIDVALIDITY)")).untagged_text();
        let number = status.rsplit_once("UIDVALIDITY ").and_then(|(_, rest)| rest.strip_suffix(')'));
        number.and_then(|number| number.parse().ok()).expect("a number")
    }

    /// APPEND with a literal that does not wait.
    pub(crate) fn append(&mut self, mailbox: &str, content: &str) -> Answer {
        self.ok(format!("APPEND {mailbox} {{{}+}}\r\n{content}", content.len()))
    }
}

/// The `{n}` that a line ends with.
fn literal_size(line: &[u8]) -> Option<usize> {
    let digits = line.strip_suffix(b"}")?;
    let open = digits.iter().rposition(|byte| *byte == b'{')?;
    std::str::from_utf8(&digits[open + 1..]).ok()?.parse().ok()
}
