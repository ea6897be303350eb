//! The load of the crash rig through SMTP sessions: a server and its peers in one process,
//! whose system calls are recorded. `tests/crash.rs` runs it; see `hikyaku_testkit::crash`.
//!
//! A peer keeps one session. Its next message shows that it had the reply to the one before,
//! so the server forgets the delivery key of that.

use std::net::SocketAddr;
use std::sync::Arc;

use hikyaku_directory::{Directory, Kind};
use hikyaku_mailstore::KeyCleaner;
use hikyaku_net::{Limits, Listener, Shutdown};
use hikyaku_smtp_proto::Listener as Door;
use hikyaku_smtp_server::{Isolation, Limits as Shared, Metrics, Mode, Services, serve, settings};
use hikyaku_testkit::crash::load::{
    Delivering, Home, Installation, Load, Message, Peer, Peers, REVERSE_PATH, domain_of,
};
use hikyaku_testkit::{SeededRandom, TestDirectory, gate, set};
use hikyaku_trace::RefusalLog;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let load = Load::from_args(&args)
        .unwrap_or_else(|| panic!("expected FOLDER SEED GENERATION WORKERS EACH NOISE done [NOTE]…"));
    load.run_through(start);
}

/// A running server.
struct Server {
    address: SocketAddr,
    /// The server ends when this is dropped.
    _shutdown: Shutdown,
}

async fn start(installation: &Installation) -> Server {
    let (keys, cleaning) = KeyCleaner::new(Arc::clone(&installation.store));
    tokio::spawn(cleaning);
    let settings = settings("mx.example".parse().expect("a name"), Door::Mx, false);
    let largest = usize::try_from(settings.limits.size_bytes).expect("a size");
    let directory = directory(installation).await;
    let services = Services {
        store: Arc::clone(&installation.store),
        content: Arc::clone(&installation.content),
        gate: gate(&installation.store, &directory, Arc::clone(&installation.clock) as _).await,
        directory,
        keys,
        ids: Arc::clone(&installation.ids),
        clock: Arc::clone(&installation.clock) as _,
        random: Arc::new(SeededRandom::new(9)),
        isolation: Arc::new(Isolation::new(Shared::default(), largest, Metrics::default())),
        judge: None,
        refusals: RefusalLog::new(Arc::clone(&installation.store), Arc::clone(&installation.ids)),
    };
    let mode = Mode { settings: Arc::new(settings), tls: None };
    let any = "127.0.0.1:0".parse().expect("an address");
    let listener = Listener::bind(any, "load", Limits::default(), b"").await.expect("a free port");
    let address = listener.address().expect("its port");
    let shutdown = Shutdown::new();
    let serve = move |connection| serve(connection, mode.clone(), services.clone());
    tokio::spawn(listener.run(shutdown.ending(), serve));
    Server { address, _shutdown: shutdown }
}

/// Every account of the load, made by the first process.
async fn directory(installation: &Installation) -> Arc<Directory> {
    let made = TestDirectory::on(Arc::clone(&installation.store), Arc::clone(&installation.clock));
    for home in Home::all() {
        let store = home.store();
        made.tenant(store.tenant, None).await;
        made.domain(store.tenant, &domain_of(home.tenant)).await;
        let id = Some(store.account.to_string());
        let addresses = vec![set("addresses", home.address())];
        made.create(Kind::Account, &home.address(), id, Some(store.tenant), addresses).await;
    }
    made.directory
}

impl Peers for Server {
    async fn peer(&self) -> Option<Box<dyn Peer>> {
        let socket = TcpStream::connect(self.address).await.expect("the server listens");
        let mut session = Session(BufReader::new(socket));
        session.expect("220").await;
        session.say("EHLO relay.example.com\r\n", "250").await;
        Some(Box::new(session))
    }
}

/// One connection of a peer.
struct Session(BufReader<TcpStream>);

impl Session {
    async fn say(&mut self, line: &str, code: &str) {
        self.0.write_all(line.as_bytes()).await.expect("the server reads");
        self.expect(code).await;
    }

    async fn expect(&mut self, code: &str) {
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).await.expect("the server answers");
            assert!(line.starts_with(code), "{code} was expected, not {line:?}");
            if line.as_bytes().get(3) == Some(&b' ') {
                return;
            }
        }
    }
}

impl Peer for Session {
    fn deliver<'p>(&'p mut self, _: Message, content: Vec<u8>, homes: &'p [Home]) -> Delivering<'p> {
        Box::pin(async move {
            self.say(&format!("MAIL FROM:<{REVERSE_PATH}>\r\n"), "250").await;
            for home in homes {
                self.say(&format!("RCPT TO:<{}>\r\n", home.address()), "250").await;
            }
            let mut chunk = format!("BDAT {} LAST\r\n", content.len()).into_bytes();
            chunk.extend_from_slice(&content);
            self.0.write_all(&chunk).await.expect("the server reads");
            self.expect("250").await;
        })
    }
}
