//! The whole server on ports that the system chose, with two tenants, on a store of a test.

pub(crate) mod client;

use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use hikyaku_directory::Directory;
use hikyaku_mailstore::{KeyCleaner, MailboxId, Quota, account, email, entry};
use hikyaku_net::{Limits, Listener, Shutdown, TlsAcceptor};
use hikyaku_smtp_proto::content::LineEnds;
use hikyaku_smtp_proto::settings::Deadlines;
use hikyaku_smtp_proto::{Listener as Kind, Settings};
use hikyaku_smtp_server::{Isolation, Limits as Shared, Metrics, Mode, Services, serve};
use hikyaku_store::{AccountHome, Location, Scope, ServiceTx, Sql, StoreError};
use hikyaku_testkit::{DELIVERY, SHARD, SeededRandom, TestDirectory, TestStore, gate};
use hikyaku_types::{Address, NodeId, RisingIds, TenantId, TraceId};
use rustls::pki_types::CertificateDer;

use client::Client;

pub(crate) const PASSWORD: &str = "secret";

/// Accounts: tenant, number, address, aliases.
const ACCOUNTS: [(i64, i64, &str, &[&str]); 5] = [
    (1, 10, "ann@example.org", &["sales@example.org"]),
    (1, 11, "bob@example.org", &[]),
    (1, 12, "postmaster@mx.example", &[]),
    (2, 20, "carol@example.net", &[]),
    (2, 21, "田中@例え.example", &[]),
];

/// Whose domain somebody above has, too.
const DOMAINS_OF_ANOTHER: [&str; 1] = ["bob@example.org"];

/// How it differs from the usual.
pub(crate) struct Setup {
    pub(crate) limits: Limits,
    pub(crate) size_bytes: u64,
    /// What all sessions share.
    pub(crate) shared: Shared,
    pub(crate) deadlines: Deadlines,
    pub(crate) line_ends: LineEnds,
    /// Of every account.
    pub(crate) quota: Quota,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            limits: Limits { drain: Duration::from_secs(60), ..Limits::default() },
            size_bytes: 4 << 20,
            shared: Shared { content_bytes: 64 << 20, ..Shared::default() },
            deadlines: Deadlines::default(),
            line_ends: LineEnds::Normalise,
            quota: Quota(None),
        }
    }
}

pub(crate) struct Server {
    pub(crate) mail: TestStore,
    pub(crate) mx: SocketAddr,
    /// Behind a proxy on this machine.
    pub(crate) proxied_mx: SocketAddr,
    pub(crate) submission: SocketAddr,
    pub(crate) submissions: SocketAddr,
    pub(crate) lmtp: SocketAddr,
    /// To be trusted by clients.
    pub(crate) authority: CertificateDer<'static>,
    pub(crate) shutdown: Shutdown,
    running: Vec<tokio::task::JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(mail: TestStore) -> Self {
        Self::start_with(mail, Setup::default())
    }

    pub(crate) fn start_with(mail: TestStore, setup: Setup) -> Self {
        let (authority, tls) = certificates();
        let shutdown = Shutdown::new();
        let (mut addresses, mut running) = (Vec::new(), Vec::new());
        let ids = rising_ids(&mail);
        mail.block_on(async {
            let services = services(&mail, &setup, ids).await;
            let kinds = [Kind::Mx, Kind::Mx, Kind::Submission, Kind::Submissions, Kind::Lmtp];
            for (number, kind) in kinds.into_iter().enumerate() {
                let refusal: &[u8] =
                    if kind == Kind::Submissions { b"" } else { b"421 4.7.0 Too many connections\r\n" };
                let any = "127.0.0.1:0".parse().unwrap();
                let mut listener = Listener::bind(any, "test", setup.limits, refusal).await.unwrap();
                if number == 1 {
                    listener = listener.behind(vec!["127.0.0.1".parse().unwrap()]);
                }
                addresses.push(listener.address().unwrap());
                let mode = Mode { settings: settings(kind, &setup), tls: Some(tls.clone()) };
                let services = services.clone();
                let serve = move |connection| serve(connection, mode.clone(), services.clone());
                running.push(tokio::spawn(listener.run(shutdown.ending(), serve)));
            }
        });
        let [mx, proxied_mx, submission, submissions, lmtp] = addresses[..] else {
            unreachable!("five listeners")
        };
        Self { mail, mx, proxied_mx, submission, submissions, lmtp, authority, shutdown, running }
    }

    /// An LMTP client that has said hello.
    pub(crate) fn lmtp_client(&self) -> Client {
        let mut client = Client::connect(self.lmtp);
        client.talk("S: 220 mx.example LMTP\nC: LHLO relay.example");
        client.reply();
        client
    }

    /// A client under TLS that has said hello, on the port for it.
    pub(crate) fn tls_client(&self) -> Client {
        let mut client = Client::connect(self.submissions).start_tls(&self.authority);
        client.talk("S: 220 mx.example ESMTP");
        client.ehlo();
        client
    }

    /// The same, signed in as ann@example.org.
    pub(crate) fn ann(&self) -> Client {
        let mut client = self.tls_client();
        // base64 of NUL ann@example.org NUL secret
        client.talk("C: AUTH PLAIN AGFubkBleGFtcGxlLm9yZwBzZWNyZXQ=\nS: 235 2.7.0 Signed in");
        client
    }

    /// Every message of an account's INBOX as a reader gets it, in the order of UIDs.
    pub(crate) fn inbox(&self, address: &str) -> Vec<String> {
        let home = home(address);
        let mail = &self.mail;
        let entries = mail.read_as(home, |tx| entry::entries(tx, MailboxId::INBOX, 0, 500)).unwrap();
        let message = |entry: &hikyaku_mailstore::Entry| {
            let id = entry.email;
            let found = mail.read_as(home, move |tx| email::emails(tx, &[id])).unwrap().remove(0);
            let content = mail.block_on(mail.content.read(found.placement)).unwrap();
            String::from_utf8(found.prelude.assemble(&content)).unwrap()
        };
        entries.iter().map(message).collect()
    }

    /// The account's trace row of this id.
    pub(crate) fn trace(&self, address: &str, id: TraceId) -> Option<hikyaku_trace::Record> {
        let tenant = home(address).tenant;
        self.mail.read(move |tx| hikyaku_trace::find(&mut tx.tenant(tenant), id)).unwrap()
    }

    /// Waits until every delivery key is forgotten: the store is asked again and again.
    pub(crate) fn wait_for_forgotten_keys(&self) {
        let keys = || {
            let count = Sql::new("SELECT count(*) FROM delivery_key");
            let keys = self.mail.read::<_, StoreError, _>(move |tx| tx.row(count, &[], |row| row.get(0)));
            keys.unwrap() == Some(0i64)
        };
        wait_for("keys to be forgotten", keys);
    }

    /// Nothing is written to the store until this is dropped; reads wait as well where they
    /// share the connections.
    pub(crate) fn block_store(&self) -> Vec<mpsc::Sender<()>> {
        let workers = match self.mail.location {
            Location::Folder(_) => 1,
            Location::Postgres { .. } => self.mail.options.connections,
        };
        let (started, is_started) = mpsc::channel();
        let block = |_| {
            let (release, wait) = mpsc::channel::<()>();
            let (store, started) = (Arc::clone(&self.mail.store), started.clone());
            self.mail.block_on(async {
                tokio::spawn(async move {
                    let scope = Scope::service(&DELIVERY, SHARD, None).unwrap().long();
                    let blocking = move |_: &mut ServiceTx<'_>| {
                        started.send(()).unwrap();
                        // It ends when the other side is dropped.
                        let _ = wait.recv();
                        Ok::<_, StoreError>(())
                    };
                    store.write(scope, "test.block", blocking).await
                });
            });
            release
        };
        let blockade = (0..workers).map(block).collect();
        for _ in 0..workers {
            is_started.recv_timeout(Duration::from_secs(20)).expect("every worker is blocked");
        }
        blockade
    }

    /// Ends the server; everybody must have left, and everything must agree.
    pub(crate) fn end(self) {
        self.shutdown.begin();
        self.wait_for_end();
        assert_eq!(self.mail.problems(), Vec::<String>::new());
    }

    /// Waits until all sessions have ended.
    pub(crate) fn wait_for_end(&self) {
        wait_for("the sessions to end", || self.running.iter().all(tokio::task::JoinHandle::is_finished));
    }
}

/// Asks until it is so. The clock only says when to give up.
pub(crate) fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(20), "waited in vain for {what}");
        std::thread::yield_now();
    }
}

/// The trace id that a reply tells.
pub(crate) fn accepted(reply: &str) -> TraceId {
    let id = reply.strip_prefix("250 2.0.0 Accepted as ").unwrap_or_else(|| panic!("{reply}"));
    id.parse().unwrap()
}

pub(crate) fn home(address: &str) -> AccountHome {
    let (tenant, account, ..) = ACCOUNTS.iter().find(|(_, _, name, _)| *name == address).unwrap();
    TestStore::home(*tenant, *account)
}

fn settings(kind: Kind, setup: &Setup) -> Arc<Settings> {
    let mut settings = hikyaku_smtp_server::settings("mx.example".parse().unwrap(), kind, true);
    settings.limits.size_bytes = setup.size_bytes;
    settings.deadlines = setup.deadlines;
    settings.line_ends = setup.line_ends;
    Arc::new(settings)
}

/// Ids above all that the store has, as after a restart.
fn rising_ids(mail: &TestStore) -> RisingIds {
    let ids = RisingIds::new(NodeId::new(2).unwrap());
    ids.start_above(mail.read(account::last_ids).unwrap().max(mail.read(hikyaku_trace::last_id).unwrap()));
    ids
}

async fn services(mail: &TestStore, setup: &Setup, ids: RisingIds) -> Services {
    let (keys, cleaning) = KeyCleaner::new(Arc::clone(&mail.store));
    tokio::spawn(cleaning);
    let directory = directory(mail, setup).await;
    Services {
        store: Arc::clone(&mail.store),
        content: Arc::clone(&mail.content),
        gate: gate(&mail.store, &directory, Arc::clone(&mail.clock) as _).await,
        directory,
        keys,
        ids: Arc::new(ids),
        clock: Arc::clone(&mail.clock) as _,
        random: Arc::new(SeededRandom::new(9)),
        isolation: Arc::new(Isolation::new(
            setup.shared,
            usize::try_from(setup.size_bytes).unwrap(),
            Metrics::default(),
        )),
    }
}

async fn directory(mail: &TestStore, setup: &Setup) -> Arc<Directory> {
    let test = TestDirectory::new(mail);
    let mut known = Vec::new();
    for (tenant, _, name, aliases) in ACCOUNTS {
        let tenant = TenantId::from_i64(tenant).unwrap();
        if !known.contains(&tenant) {
            test.tenant(tenant, None).await;
            known.push(tenant);
        }
        let domain = name.parse::<Address>().unwrap().domain;
        if !DOMAINS_OF_ANOTHER.contains(&name) {
            test.domain(tenant, domain.as_str()).await;
        }
        let addresses: Vec<&str> = std::iter::once(name).chain(aliases.iter().copied()).collect();
        test.account(home(name), &addresses, setup.quota.0, PASSWORD).await;
    }
    test.directory
}

/// An authority, and a certificate of it for `mx.example`.
fn certificates() -> (CertificateDer<'static>, TlsAcceptor) {
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    let key = rcgen::KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap();
    let issuer = rcgen::Issuer::new(params, key);
    let params = rcgen::CertificateParams::new(vec!["mx.example".to_owned()]).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let acceptor =
        TlsAcceptor::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();
    (authority.der().clone(), acceptor)
}
