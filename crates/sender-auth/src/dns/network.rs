//! Answers from the network: one resolver for the whole program, with DNSSEC and a cache.
//!
//! Validation is ours, unless the resolver runs on this machine (a loopback address): such a
//! resolver is part of the installation, is asked over no network, and validates itself. The
//! operator can say otherwise ([`Validate`]).
//! An answer whose signatures are wrong is no answer: [`DnsError::ServFail`].

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError as HickoryError, NetError};
use hickory_resolver::proto::dnssec::{Proof, TrustAnchors};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use hickory_resolver::{TokioResolver, proto, system_conf};

use super::cache::Cache;
use super::{Data, Dns, DnsError, Kind, Records};
use crate::Name;

/// How long one question to one server may take. Two servers or attempts fit into the time
/// of one message.
const QUESTION: Duration = Duration::from_secs(4);

/// Answers that the library keeps, mostly keys of DNSSEC: few, as they can be large.
const LIBRARY_CACHE: u64 = 1024;

/// Questions under way on one TCP connection; beyond, the library fails them at once. Large
/// answers are fetched that way, and a flood of them must not make others fail.
const TCP_QUESTIONS: usize = 1024;

/// How long "there is nothing" holds when its proof does not say.
const NEGATIVE_AGE: Duration = Duration::from_secs(60);

/// Where the library tells of what it finds wrong with other people's signatures, as warnings
/// with whole answers in them: a domain that is not signed is enough, and most are not. The
/// operator can do nothing about it, and what came of it is in the verdict and in the trace.
pub const DNSSEC_LOG: &str = "hickory_net::dnssec";

/// Who is asked, and what is believed and kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Resolvers; none are those that this machine is set up for.
    pub servers: Vec<SocketAddr>,
    /// Whose work DNSSEC is.
    pub validate: Validate,
    /// A file with the DNSKEY records that validation begins from, in the form of zone files;
    /// without it, the keys of the root that the library has.
    pub trust_anchors: Option<PathBuf>,
    /// The most answers that are kept; each has at most 2 KiB.
    pub cache_entries: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            validate: Validate::UnlessLocal,
            trust_anchors: None,
            cache_entries: 16_384,
        }
    }
}

/// Whose work DNSSEC is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validate {
    /// Ours, unless all resolvers are on this machine.
    UnlessLocal,
    /// Ours.
    Always,
    /// The resolver's.
    Never,
}

/// The resolver that all checks share. It is made within a Tokio runtime.
pub struct Network {
    resolver: TokioResolver,
    cache: Mutex<Cache>,
}

/// Why there is no resolver.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// `/etc/resolv.conf` is missing or cannot be understood.
    #[error("cannot read which resolvers this machine uses")]
    System(#[source] NetError),
    /// Nobody to ask.
    #[error("this machine's settings name no resolver")]
    NoServer,
    /// The file of trust anchors.
    #[error("cannot read trust anchors from {path}: {cause}")]
    TrustAnchors {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The library would not start.
    #[error("cannot set up the resolver")]
    Start(#[source] NetError),
}

impl Network {
    /// Asks the resolvers that this machine is set up for.
    pub fn system() -> Result<Self, NetworkError> {
        Self::with(&Options::default())
    }

    /// Asks the resolver at this address and port.
    pub fn at(address: SocketAddr) -> Result<Self, NetworkError> {
        Self::with(&Options { servers: vec![address], ..Options::default() })
    }

    /// Asks as these say.
    pub fn with(wanted: &Options) -> Result<Self, NetworkError> {
        let (config, mut options) = match wanted.servers.as_slice() {
            [] => system_conf::read_system_conf().map_err(NetworkError::System)?,
            servers => {
                let servers = servers.iter().map(name_server).collect();
                (ResolverConfig::from_name_servers(servers), ResolverOpts::default())
            }
        };
        if config.name_servers().is_empty() {
            return Err(NetworkError::NoServer);
        }
        options.validate = match wanted.validate {
            Validate::UnlessLocal => !config.name_servers().iter().all(|server| server.ip.is_loopback()),
            Validate::Always => true,
            Validate::Never => false,
        };
        options.timeout = QUESTION;
        options.attempts = 2;
        options.cache_size = LIBRARY_CACHE;
        options.max_active_requests = TCP_QUESTIONS;
        // Names of mail are names of DNS, whatever this machine calls its neighbours.
        options.use_hosts_file = ResolveHosts::Never;
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        // The library takes a file of anchors for a wish to validate.
        if let Some(path) = wanted.trust_anchors.as_deref().filter(|_| options.validate) {
            builder = builder.with_trust_anchor(Arc::new(read_trust_anchors(path)?));
        }
        *builder.options_mut() = options;
        let resolver = builder.build().map_err(NetworkError::Start)?;
        Ok(Self { resolver, cache: Mutex::new(Cache::new(wanted.cache_entries)) })
    }

    /// The answer, and how long it holds.
    async fn ask(&self, name: &Name, kind: Kind) -> (Result<Records, DnsError>, Duration) {
        let Some(asked) = to_library(name) else { return (Err(DnsError::NoName), Duration::ZERO) };
        match self.resolver.lookup(asked, type_of(kind)).await {
            Ok(found) => {
                let age = found.valid_until().saturating_duration_since(Instant::now());
                (records_of(&found, kind), age)
            }
            Err(error) => reason_of(&error),
        }
    }
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").finish_non_exhaustive()
    }
}

impl Dns for Network {
    async fn look_up(&self, name: &Name, kind: Kind) -> Result<Records, DnsError> {
        let kept = self.cache.lock().ok().and_then(|mut cache| cache.get(name, kind, Instant::now()));
        if let Some(answer) = kept {
            return answer;
        }
        let (answer, age) = self.ask(name, kind).await;
        if let Ok(mut cache) = self.cache.lock() {
            cache.put(name, kind, &answer, Instant::now(), age);
        }
        answer
    }
}

/// Reads a file of trust anchors.
///
/// # Errors
/// [`NetworkError::TrustAnchors`]; a file without any is a mistake too.
pub fn read_trust_anchors(path: &Path) -> Result<TrustAnchors, NetworkError> {
    let wrong = |cause| NetworkError::TrustAnchors { path: path.to_owned(), cause };
    let anchors = TrustAnchors::from_file(path).map_err(|error| wrong(error.to_string()))?;
    if anchors.is_empty() {
        return Err(wrong("it has no DNSKEY record".to_owned()));
    }
    Ok(anchors)
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    for connection in &mut server.connections {
        connection.port = address.port();
    }
    server
}

/// The absolute name, label by label: SPF makes labels that a zone file would escape.
fn to_library(name: &Name) -> Option<proto::rr::Name> {
    let mut asked = proto::rr::Name::from_labels(name.as_str().split('.').map(str::as_bytes)).ok()?;
    asked.set_fqdn(true);
    Some(asked)
}

/// `None` of the root, and of a name that we would not write ourselves.
fn from_library(name: &proto::rr::Name) -> Option<Name> {
    let labels: Option<Vec<&str>> = name.iter().map(|label| std::str::from_utf8(label).ok()).collect();
    let labels = labels?;
    // A dot inside of a label would make it two.
    if labels.iter().any(|label| label.contains('.')) {
        return None;
    }
    Name::parse(&labels.join("."))
}

fn type_of(kind: Kind) -> RecordType {
    match kind {
        Kind::A => RecordType::A,
        Kind::Aaaa => RecordType::AAAA,
        Kind::Mx => RecordType::MX,
        Kind::Ptr => RecordType::PTR,
        Kind::Txt => RecordType::TXT,
    }
}

fn records_of(found: &Lookup, kind: Kind) -> Result<Records, DnsError> {
    let answers = found.answers();
    if answers.iter().any(|record| record.proof == Proof::Bogus) {
        return Err(DnsError::ServFail);
    }
    let records: Records = answers.iter().filter_map(|record| data_of(record, kind)).collect();
    if records.is_empty() { Err(DnsError::NoData) } else { Ok(records) }
}

fn data_of(record: &Record, kind: Kind) -> Option<Data> {
    match (kind, &record.data) {
        (Kind::A, RData::A(address)) => Some(Data::Address(IpAddr::V4(address.0))),
        (Kind::Aaaa, RData::AAAA(address)) => Some(Data::Address(IpAddr::V6(address.0))),
        (Kind::Mx, RData::MX(mx)) => {
            Some(Data::Mx { preference: mx.preference, exchange: from_library(&mx.exchange) })
        }
        (Kind::Ptr, RData::PTR(ptr)) => from_library(&ptr.0).map(Data::Ptr),
        (Kind::Txt, RData::TXT(txt)) => Some(Data::Txt(txt.txt_data.concat().into())),
        _ => None,
    }
}

/// Why there are no records, and how long that holds.
fn reason_of(error: &NetError) -> (Result<Records, DnsError>, Duration) {
    let void = |code: ResponseCode| match code {
        ResponseCode::NXDomain => DnsError::NoName,
        ResponseCode::NoError => DnsError::NoData,
        _ => DnsError::ServFail,
    };
    let reason = match error {
        NetError::Dns(HickoryError::NoRecordsFound(none)) => {
            let age = none.negative_ttl.map_or(NEGATIVE_AGE, |seconds| Duration::from_secs(seconds.into()));
            return (Err(void(none.response_code)), age);
        }
        NetError::Dns(HickoryError::Nsec { response, proof, .. }) if *proof != Proof::Bogus => {
            return (Err(void(response.response_code)), NEGATIVE_AGE);
        }
        NetError::Timeout => DnsError::Timeout,
        _ => DnsError::ServFail,
    };
    (Err(reason), Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, UdpSocket};

    #[test]
    fn names_go_to_the_library_and_back() {
        for text in ["example.org", "_dmarc.example.org", "a\\b.example", "x*y;z.example"] {
            let name = Name::parse(text).unwrap();
            assert_eq!(from_library(&to_library(&name).unwrap()), Some(name), "{text}");
        }
        assert_eq!(from_library(&proto::rr::Name::root()), None);
        let inner_dot = proto::rr::Name::from_labels([&b"a.b"[..], b"example"]).unwrap();
        assert_eq!(from_library(&inner_dot), None);
    }

    /// A name server of one zone: answers TXT questions until it is dropped, and counts them.
    async fn server() -> (SocketAddr, Arc<AtomicUsize>) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        tokio::spawn(async move {
            let mut buffer = [0; 1500];
            while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
                count.fetch_add(1, Ordering::Relaxed);
                socket.send_to(&reply(&buffer[..length]), peer).await.unwrap();
            }
        });
        (address, asked)
    }

    /// Octets of the record with a text in [`reply`].
    const TEXT_RECORD: usize = 12 + 13;

    /// RFC 1035 section 4.1: the header, the question, and the record that the first letter
    /// of its name asks for.
    fn reply(query: &[u8]) -> Vec<u8> {
        let question_end = 12 + query[12..].iter().position(|&octet| octet == 0).unwrap() + 5;
        let text: &[u8] = b"\x08v=spf1 -\x03all";
        let (rcode, answer) = match query[13] {
            b't' => (0, Some(text)),
            b'n' => (3, None),
            b'e' => (0, None),
            _ => (2, None),
        };
        let mut reply = query[..question_end].to_vec();
        // Answer, recursion available; one question, perhaps one answer, nothing else.
        reply[2..12].copy_from_slice(&[0x81, 0x80 | rcode, 0, 1, 0, u8::from(answer.is_some()), 0, 0, 0, 0]);
        if let Some(text) = answer {
            // The name is that of the question; TXT, IN, 60 seconds.
            reply.extend([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60, 0, text.len() as u8]);
            reply.extend(text);
        }
        reply
    }

    #[tokio::test]
    async fn answers_of_a_server_and_of_the_cache() {
        let (address, asked) = server().await;
        let network = Network::at(address).unwrap();
        let text: Records = [Data::Txt((*b"v=spf1 -all").into())].into();
        for (name, expected, is_kept) in [
            ("text.example", Ok(text), true),
            ("nothing.example", Err(DnsError::NoName), true),
            ("empty.example", Err(DnsError::NoData), true),
            ("broken.example", Err(DnsError::ServFail), false),
        ] {
            let name = Name::parse(name).unwrap();
            assert_eq!(network.look_up(&name, Kind::Txt).await, expected, "{name}");
            let before = asked.load(Ordering::Relaxed);
            assert_eq!(network.look_up(&name, Kind::Txt).await, expected, "{name}");
            assert_eq!(asked.load(Ordering::Relaxed) == before, is_kept, "{name}");
        }
    }

    /// Counts the warnings of whoever.
    #[derive(Clone, Default)]
    struct Warnings(Arc<Mutex<Vec<String>>>);

    impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Warnings {
        fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
            if *event.metadata().level() <= tracing::Level::WARN {
                self.0.lock().unwrap().push(event.metadata().target().to_owned());
            }
        }
    }

    #[tokio::test]
    async fn what_the_library_says_of_names_without_signatures_has_one_place() {
        use tracing_subscriber::layer::SubscriberExt;
        let warnings = Warnings::default();
        let subscriber = tracing_subscriber::registry().with(warnings.clone());
        let _while_this_lives = tracing::subscriber::set_default(subscriber);
        let (address, _) = server().await;
        let wanted = Options { servers: vec![address], validate: Validate::Always, ..Options::default() };
        let network = Network::with(&wanted).unwrap();
        for name in ["text.example", "nothing.example", "empty.example", "text.sub.example"] {
            let _ = network.look_up(&Name::parse(name).unwrap(), Kind::Txt).await;
        }
        let targets = warnings.0.lock().unwrap().clone();
        assert!(!targets.is_empty(), "the library is quiet by now: DNSSEC_LOG is not needed any more");
        assert!(targets.iter().all(|target| target == DNSSEC_LOG), "{targets:?}");
    }

    /// A name server whose answers by UDP are all cut off, and which has them by TCP: how often it
    /// was asked by each.
    async fn server_of_large_answers() -> (SocketAddr, [Arc<AtomicUsize>; 2]) {
        let (datagrams, listener) = loop {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            // The port can be taken for UDP.
            if let Ok(datagrams) = UdpSocket::bind(listener.local_addr().unwrap()).await {
                break (datagrams, listener);
            }
        };
        let address = listener.local_addr().unwrap();
        let asked: [Arc<AtomicUsize>; 2] = Default::default();
        let [by_udp, by_tcp] = asked.clone();
        tokio::spawn(async move {
            let mut buffer = [0; 1500];
            while let Ok((length, peer)) = datagrams.recv_from(&mut buffer).await {
                by_udp.fetch_add(1, Ordering::Relaxed);
                let mut cut_off = reply(&buffer[..length]);
                cut_off.truncate(cut_off.len() - TEXT_RECORD);
                // TC, and no answer.
                cut_off[2] |= 2;
                cut_off[7] = 0;
                datagrams.send_to(&cut_off, peer).await.unwrap();
            }
        });
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let by_tcp = by_tcp.clone();
                tokio::spawn(async move {
                    while let Ok(length) = stream.read_u16().await {
                        by_tcp.fetch_add(1, Ordering::Relaxed);
                        let mut query = vec![0; length.into()];
                        stream.read_exact(&mut query).await.unwrap();
                        let reply = large_reply(&query);
                        stream.write_u16(reply.len() as u16).await.unwrap();
                        stream.write_all(&reply).await.unwrap();
                    }
                });
            }
        });
        (address, asked)
    }

    /// The answer with a text of many strings instead of its own.
    fn large_reply(query: &[u8]) -> Vec<u8> {
        let mut large = reply(query);
        large.truncate(large.len() - TEXT_RECORD);
        let text = [&[255][..], &[b'a'; 255]].concat().repeat(20);
        large.extend([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60]);
        large.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
        large.extend(text);
        large
    }

    #[tokio::test]
    async fn an_answer_that_was_cut_off_is_fetched_by_tcp() {
        let (address, [by_udp, by_tcp]) = server_of_large_answers().await;
        let network = Network::at(address).unwrap();
        let text: Records = [Data::Txt([b'a'; 255 * 20].into())].into();
        let name = Name::parse("text.example").unwrap();
        assert_eq!(network.look_up(&name, Kind::Txt).await, Ok(text));
        let counts = [by_udp, by_tcp].map(|count| count.load(Ordering::Relaxed));
        assert_eq!(counts, [1, 1]);
    }

    // The library does not hear that nobody listens: it waits until its time is over.
    #[tokio::test(start_paused = true)]
    async fn nobody_there_is_a_failure_and_no_answer() {
        let address = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let network = Network::at(address).unwrap();
        let answer = network.look_up(&Name::parse("example.org").unwrap(), Kind::A).await;
        assert!(answer.is_err_and(|error| !error.is_void()));
    }

    #[tokio::test]
    async fn who_validates() {
        use Validate::{Always, Never, UnlessLocal};
        for (servers, validate, expected) in [
            (&["127.0.0.1:53"][..], UnlessLocal, false),
            (&["[::1]:5353"], UnlessLocal, false),
            (&["192.0.2.1:53"], UnlessLocal, true),
            (&["127.0.0.1:53", "192.0.2.1:53"], UnlessLocal, true),
            (&["127.0.0.1:53"], Always, true),
            (&["192.0.2.1:53"], Never, false),
        ] {
            let servers = servers.iter().map(|server| server.parse().unwrap()).collect();
            let network = Network::with(&Options { servers, validate, ..Options::default() }).unwrap();
            assert_eq!(network.resolver.options().validate, expected, "{validate:?}");
        }
    }

    #[tokio::test]
    async fn a_file_of_trust_anchors() {
        let folder = std::env::temp_dir();
        let file = folder.join(format!("trust-anchors-{}", std::process::id()));
        // The key of the root with the key tag 20326.
        let key = ". 172800 IN DNSKEY 257 3 8 AwEAAaz/tAm8yTn4Mfeh5eyI96WSVexTBAvkMgJzkKTOiW1vkIbzxeF3+/4RgWOq7HrxRixHlFlExOLAJr5emLvN7SWXgnLh4+B5xQlNVz8Og8kvArMtNROxVQuCaSnIDdD5LKyWbRd2n9WGe2R8PzgCmr3EgVLrjyBxWezF0jLHwVN8efS3rCj/EWgvIWgb9tarpVUDK/b58Da+sqqls3eNbuv7pr+eoZG+SrDK6nWeL3c6H5Apxz7LjVc1uTIdsIXxuOLYA4/ilBmSVIzuDWfdRUfhHdY6+cn8HFRm+2hM8AnXGXws9555KrUB5qihylGa8subX2Nn6UwNR1AkUTV74bU=\n";
        for (text, is_right) in [(key, true), ("", false), ("nonsense here\n", false)] {
            std::fs::write(&file, text).unwrap();
            let wanted = Options {
                servers: vec!["192.0.2.1:53".parse().unwrap()],
                trust_anchors: Some(file.clone()),
                ..Options::default()
            };
            assert_eq!(Network::with(&wanted).is_ok(), is_right, "{text}");
        }
        std::fs::remove_file(&file).unwrap();
    }
}
