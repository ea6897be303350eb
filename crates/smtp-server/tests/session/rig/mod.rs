//! The whole server on ports that the system chose, with two tenants, on a store of a test.

pub(crate) mod client;

use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use hikyaku_directory::{FieldEdit, Kind as Object};
use hikyaku_mailstore::{KeyCleaner, MailboxId, Prelude, Quota, Role, account, email, entry, mailbox};
use hikyaku_net::{Limits, Listener, Shutdown, TlsAcceptor};
use hikyaku_queue::{Administration, Filter, Item};
use hikyaku_sign_in::Gate;
use hikyaku_smtp_proto::content::LineEnds;
use hikyaku_smtp_proto::settings::Deadlines;
use hikyaku_smtp_proto::{Listener as Door, Settings};
use hikyaku_smtp_server::{Isolation, Judge, Limits as Shared, Metrics, Mode, Services, serve};
use hikyaku_store::{AccountHome, Location, Scope, ServiceTx, Sql, StoreError};
use hikyaku_testkit::{DELIVERY, SHARD, SeededRandom, TestDirectory, TestStore, gate, set};
use hikyaku_trace::{Archive, Entry, RefusalLog};
use hikyaku_types::{Actor, Address, NodeId, RisingIds, TenantId, TraceId};
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
    /// Asks who sent mail.
    pub(crate) judge: Option<Arc<Judge>>,
    /// Fields of the second tenant, and of its domain `example.net`.
    pub(crate) second: (Vec<FieldEdit>, Vec<FieldEdit>),
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
            judge: None,
            second: Default::default(),
        }
    }
}

pub(crate) struct Server {
    pub(crate) mail: TestStore,
    /// As the sessions have it.
    pub(crate) directory: TestDirectory,
    pub(crate) gate: Arc<Gate>,
    pub(crate) mx: SocketAddr,
    /// Behind a proxy on this machine.
    pub(crate) proxied_mx: SocketAddr,
    pub(crate) submission: SocketAddr,
    pub(crate) submissions: SocketAddr,
    pub(crate) lmtp: SocketAddr,
    /// To be trusted by clients.
    pub(crate) authority: CertificateDer<'static>,
    pub(crate) shutdown: Shutdown,
    refusals: RefusalLog,
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
        let directory = TestDirectory::new(&mail);
        let (refusals, gate) = mail.block_on(async {
            fill(&directory, &setup).await;
            let services = services(&mail, &setup, &directory, ids).await;
            let kinds = [Door::Mx, Door::Mx, Door::Submission, Door::Submissions, Door::Lmtp];
            for (number, kind) in kinds.into_iter().enumerate() {
                let refusal: &[u8] =
                    if kind == Door::Submissions { b"" } else { b"421 4.7.0 Too many connections\r\n" };
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
            (services.refusals, services.gate)
        });
        let [mx, proxied_mx, submission, submissions, lmtp] = addresses[..] else {
            unreachable!("five listeners")
        };
        Self {
            mail,
            directory,
            gate,
            mx,
            proxied_mx,
            submission,
            submissions,
            lmtp,
            authority,
            shutdown,
            refusals,
            running,
        }
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
        self.messages(address, MailboxId::INBOX)
    }

    /// The same of its mailbox for junk.
    pub(crate) fn junk(&self, address: &str) -> Vec<String> {
        self.messages(address, self.junk_id(address))
    }

    pub(crate) fn delete_junk(&self, address: &str) {
        let junk = self.junk_id(address);
        self.mail.write_as(home(address), move |tx| mailbox::delete(tx, junk)).unwrap();
    }

    fn junk_id(&self, address: &str) -> MailboxId {
        let all = self.mail.read_as(home(address), |tx| mailbox::list(tx, MailboxId::ROOT, 100)).unwrap();
        all.iter().find(|mailbox| mailbox.role == Role::Junk).expect("there is one").id
    }

    fn messages(&self, address: &str, mailbox: MailboxId) -> Vec<String> {
        let home = home(address);
        let mail = &self.mail;
        let entries = mail.read_as(home, move |tx| entry::entries(tx, mailbox, 0, 500)).unwrap();
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

    /// What the trace tells an operator, oldest first; refusals are written for it.
    pub(crate) fn find(&self, filter: &hikyaku_trace::Filter) -> Vec<Entry> {
        self.find_of(None, filter)
    }

    /// The same of one tenant.
    pub(crate) fn find_of(&self, tenant: Option<i64>, filter: &hikyaku_trace::Filter) -> Vec<Entry> {
        self.mail.block_on(self.refusals.flush()).unwrap();
        let archive = Archive::new(Arc::clone(&self.mail.store));
        let tenant = tenant.and_then(TenantId::from_i64);
        self.mail.block_on(archive.search(&Actor::Operator, tenant, filter)).unwrap().entries
    }

    fn administration(&self) -> Administration {
        let ids = Arc::new(RisingIds::new(NodeId::new(4).unwrap()));
        Administration::new(Arc::clone(&self.mail.store), ids, Arc::clone(&self.mail.clock) as _)
    }

    /// What is in the queue, oldest first.
    pub(crate) fn queue(&self) -> Vec<Item> {
        let list = self.administration();
        self.mail.block_on(list.list(&Actor::Operator, None, &Filter::default())).unwrap().messages
    }

    /// Waits until so many messages are in the queue.
    pub(crate) fn wait_for_queue(&self, count: usize) {
        wait_for("the queue", || self.queue().len() == count);
    }

    /// A message in the queue as the next server will get it.
    pub(crate) fn queued_message(&self, id: TraceId) -> String {
        let row = Sql::new("SELECT prelude, content, tenant FROM queue_message WHERE id = $1");
        let (prelude, placement) = self
            .mail
            .read(move |tx| {
                let read =
                    |row: hikyaku_store::Row<'_>| Ok((row.get::<Vec<u8>>(0)?, row.get(1)?, row.get(2)?));
                let (prelude, content, tenant) =
                    tx.row(row, &[id.into()], read)?.expect("it is in the queue");
                Ok::<_, StoreError>((prelude, hikyaku_store::placement(&mut tx.tenant(tenant), content)?))
            })
            .unwrap();
        let content = self.mail.block_on(self.mail.content.read(placement.unwrap())).unwrap();
        String::from_utf8(Prelude::decode(&prelude).unwrap().assemble(&content)).unwrap()
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

fn settings(kind: Door, setup: &Setup) -> Arc<Settings> {
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

async fn services(mail: &TestStore, setup: &Setup, directory: &TestDirectory, ids: RisingIds) -> Services {
    let ids = Arc::new(ids);
    let refusals = RefusalLog::new(Arc::clone(&mail.store), Arc::clone(&ids));
    let (keys, cleaning) = KeyCleaner::new(Arc::clone(&mail.store));
    tokio::spawn(cleaning);
    Services {
        store: Arc::clone(&mail.store),
        content: Arc::clone(&mail.content),
        gate: gate(&mail.store, &directory.directory, Arc::clone(&mail.clock) as _).await,
        directory: Arc::clone(&directory.directory),
        keys,
        ids,
        clock: Arc::clone(&mail.clock) as _,
        random: Arc::new(SeededRandom::new(9)),
        isolation: Arc::new(Isolation::new(
            setup.shared,
            usize::try_from(setup.size_bytes).unwrap(),
            Metrics::default(),
        )),
        judge: setup.judge.clone(),
        refusals,
    }
}

async fn fill(test: &TestDirectory, setup: &Setup) {
    let (mut known, second) = (Vec::new(), TenantId::from_i64(2).unwrap());
    for (tenant, _, name, aliases) in ACCOUNTS {
        let tenant = TenantId::from_i64(tenant).unwrap();
        if !known.contains(&tenant) {
            let (fields, _) = &setup.second;
            let fields = if tenant == second { fields.clone() } else { Vec::new() };
            test.tenant_with(tenant, None, fields).await;
            known.push(tenant);
        }
        let domain = name.parse::<Address>().unwrap().domain;
        if !DOMAINS_OF_ANOTHER.contains(&name) {
            let (_, fields) = &setup.second;
            let fields = if name == "carol@example.net" { fields.clone() } else { Vec::new() };
            test.create(Object::Domain, domain.as_str(), None, Some(tenant), fields).await;
        }
        let addresses: Vec<&str> = std::iter::once(name).chain(aliases.iter().copied()).collect();
        test.account(home(name), &addresses, setup.quota.0, PASSWORD).await;
    }
    let tenant = Some(home("ann@example.org").tenant);
    let leads_to = |field: &str, to: &str| vec![set(field, to)];
    test.create(Object::Alias, "out@example.org", None, tenant, leads_to("targets", "x@far.example")).await;
    let members = leads_to("members", "ann@example.org,x@far.example,y@far.example");
    test.create(Object::List, "team@example.org", None, tenant, members).await;
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
