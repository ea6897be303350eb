//! A server with two accounts on loopback: `ann@example.org` and `bob@example.org`, both
//! with the password `secret`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hikyaku_imap_server::{Bounds, Memory, Mode, Packer, Services, Sizes, Start, Versions, serve};
use hikyaku_mailstore::search::Indexer;
use hikyaku_net::{Ending, Limits, Listener, Shutdown, TlsAcceptor};
use hikyaku_sign_in::Gate;
use hikyaku_store::AccountHome;
use hikyaku_testkit::{ManualClock, SeededRandom, TestDirectory, TestStore, gate};
use hikyaku_types::{Clock, NodeId, RisingIds};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::CertificateDer;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::client::{Client, PATIENCE};
use crate::script;

/// Largest message that APPEND takes here.
pub(crate) const MESSAGE_BYTES: u64 = 100_000;
/// So many mistakes are answered; the next one ends the session.
pub(crate) const ERRORS: u32 = 10;
/// More memory than any test needs, unless it is about that.
const MEMORY: u64 = 64 << 20;
/// Messages of a pack: few, so that small mailboxes have some.
const SIZES: Sizes = Sizes { pack: 4, snapshot: 5 };
/// What ann may store.
const QUOTA: u64 = 3_000_000;

pub(crate) struct Server {
    pub(crate) mail: TestStore,
    /// As the sessions have it.
    pub(crate) directory: TestDirectory,
    pub(crate) gate: Arc<Gate>,
    pub(crate) clear: SocketAddr,
    /// In clear, and no sign-in without TLS.
    pub(crate) strict: SocketAddr,
    pub(crate) tls: SocketAddr,
    pub(crate) authority: CertificateDer<'static>,
    /// Runs only if the test does it.
    pub(crate) search: Indexer,
    /// Of all sessions.
    pub(crate) memory: Arc<Memory>,
    shutdown: Shutdown,
    tasks: Vec<JoinHandle<()>>,
    /// Sessions that are open.
    sessions: watch::Sender<usize>,
}

pub(crate) fn ann() -> AccountHome {
    TestStore::home(1, 1)
}

pub(crate) fn bob() -> AccountHome {
    TestStore::home(1, 2)
}

impl Server {
    pub(crate) fn new(mail: TestStore) -> Self {
        Self::with(mail, MEMORY, |mode| mode)
    }

    /// A server that waits for nobody longer than a second.
    pub(crate) fn impatient(mail: TestStore) -> Self {
        let second = Duration::from_secs(1);
        Self::with(mail, MEMORY, |mode| Mode { silence_before_sign_in: second, stalled: second, ..mode })
    }

    /// A server with no more than `memory` bytes for messages.
    pub(crate) fn with(mail: TestStore, memory: u64, change: impl Fn(Mode) -> Mode) -> Self {
        let (acceptor, authority) = certificates();
        let clear = Mode {
            plain_sign_in_without_tls: true,
            message_bytes: MESSAGE_BYTES,
            errors: ERRORS,
            ..Mode::new(Start::Clear, Some(acceptor.clone()))
        };
        let strict = Mode::new(Start::Clear, Some(acceptor.clone()));
        let tls = Mode::new(Start::Tls, Some(acceptor));
        let directory = directory(&mail);
        let (services, packing) = mail.block_on(services(&mail, &directory, memory));
        let (search, gate) = (services.search.clone(), Arc::clone(&services.gate));
        let memory = Arc::clone(&services.memory);
        let shutdown = Shutdown::new();
        let sessions = watch::Sender::new(0);
        let listen =
            |mode| mail.block_on(listen(change(mode), services.clone(), shutdown.ending(), sessions.clone()));
        let ((clear, one), (strict, two), (tls, three)) = (listen(clear), listen(strict), listen(tls));
        let tasks = vec![one, two, three, packing];
        Self {
            mail,
            directory,
            gate,
            clear,
            strict,
            tls,
            authority,
            search,
            memory,
            shutdown,
            tasks,
            sessions,
        }
    }

    /// A client that has read the greeting.
    pub(crate) fn connect(&self) -> Client {
        let mut client = Client::connect(self.clear);
        client.greeting();
        client
    }

    /// A client of ann's.
    pub(crate) fn sign_in(&self) -> Client {
        let mut client = self.connect();
        client.ok("LOGIN ann@example.org secret");
        client
    }

    /// Delivers to ann's INBOX, as SMTP does.
    pub(crate) fn deliver(&self, content: &str) {
        self.mail.deliver(content.as_bytes(), &[ann()]);
    }

    /// Plays a transcript; each client signs in as ann first.
    pub(crate) fn check(&self, transcript: &str) {
        script::play(transcript, || self.sign_in());
    }

    /// Plays a transcript that begins with the greeting.
    pub(crate) fn check_from_greeting(&self, transcript: &str) {
        script::play(transcript, || Client::connect(self.clear));
    }

    /// Waits until so many sessions are open.
    pub(crate) fn until_sessions_are(&self, count: usize) {
        let mut sessions = self.sessions.subscribe();
        let waited = self.mail.block_on(async {
            tokio::time::timeout(PATIENCE, sessions.wait_for(|open| *open == count)).await.is_ok()
        });
        assert!(waited, "{} sessions are open after a minute, not {count}", *self.sessions.borrow());
    }

    /// The end of the process begins.
    pub(crate) fn shut_down(&self) {
        self.shutdown.begin();
    }
}

/// Sessions end and the store's counts agree, or the test fails.
impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.begin();
        for task in self.tasks.drain(..) {
            self.mail.block_on(task).expect("listeners and packer do not panic");
        }
        if !std::thread::panicking() {
            assert_eq!(self.mail.problems(), Vec::<String>::new());
        }
    }
}

/// Plays a transcript on a new server; each client signs in as ann first.
pub(crate) fn check(mail: TestStore, transcript: &str) {
    Server::new(mail).check(transcript);
}

async fn listen(
    mode: Mode,
    services: Services,
    ending: Ending,
    sessions: watch::Sender<usize>,
) -> (SocketAddr, JoinHandle<()>) {
    let any = "127.0.0.1:0".parse().expect("an address");
    let listener = Listener::bind(any, "imap", Limits::default(), b"").await.expect("a free port");
    let address = listener.address().expect("its address");
    let run = listener.run(ending, move |connection| {
        let (session, sessions) = (serve(connection, mode.clone(), services.clone()), sessions.clone());
        async move {
            sessions.send_modify(|open| *open += 1);
            session.await;
            sessions.send_modify(|open| *open -= 1);
        }
    });
    (address, tokio::spawn(run))
}

async fn services(mail: &TestStore, directory: &TestDirectory, memory: u64) -> (Services, JoinHandle<()>) {
    let clock = Arc::new(ManualClock::at(mail.clock.now()));
    let (packer, packing) = Packer::new(Arc::clone(&mail.store), Arc::clone(&mail.content), SIZES);
    let services = Services {
        search: Indexer::new(Arc::clone(&mail.store), Arc::clone(&mail.content)),
        store: Arc::clone(&mail.store),
        content: Arc::clone(&mail.content),
        gate: gate(&mail.store, &directory.directory, Arc::clone(&clock) as _).await,
        directory: Arc::clone(&directory.directory),
        // Another node than the one that delivers, so that no id is given twice.
        ids: Arc::new(RisingIds::new(NodeId::new(2).expect("2 is a node"))),
        clock,
        random: Arc::new(SeededRandom::new(8)),
        versions: Arc::new(Versions::new(Bounds { messages_from: 3, entries: 40, snapshots_from: 4 })),
        packer,
        memory: Arc::new(Memory::new(memory, MESSAGE_BYTES)),
    };
    (services, tokio::spawn(packing))
}

fn directory(mail: &TestStore) -> TestDirectory {
    let test = TestDirectory::new(mail);
    mail.block_on(async {
        test.tenant(ann().tenant, None).await;
        test.domain(ann().tenant, "example.org").await;
        test.account(ann(), &["ann@example.org"], Some(QUOTA), "secret").await;
        test.account(bob(), &["bob@example.org"], None, "secret").await;
    });
    test
}

/// A certificate for `localhost`, and the authority that vouches for it.
fn certificates() -> (TlsAcceptor, CertificateDer<'static>) {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().expect("a key");
    let authority = params.self_signed(&authority_key).expect("an authority");
    let issuer = Issuer::new(params, authority_key);
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, &issuer).expect("a certificate");
    let acceptor =
        TlsAcceptor::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).expect("a pair");
    (acceptor, authority.der().clone())
}
