//! A server with its real IMAP and submission listeners behind a proxy, on a clock that is set,
//! and people who come to it from anywhere.
//!
//! What they do is written as a script, a line for each of them, who all come at once:
//!
//! ```text
//! imap       ann  from 192.0.2.7             in
//! submission ann  from 2001:db8::1           out
//! both       ann  from 198.51.100.7 with abc out
//! ```
//!
//! `in`: the door says yes, and opens a mailbox or takes a reverse-path. `out`: the same words
//! as for a wrong password. Without `with` the password is right.

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hikyaku_access::block::Block;
use hikyaku_access::place::Places;
use hikyaku_access::rule::change::{Begin, OwnAddress};
use hikyaku_directory::{Action, Entrance, FieldEdit, Kind, Named, Request, RuleMode, Verb};
use hikyaku_imap_server::{Bounds, Memory, Mode as ImapMode, Packer, Sizes, Start, Versions};
use hikyaku_mailstore::KeyCleaner;
use hikyaku_mailstore::search::Indexer;
use hikyaku_net::{Connection, Limits, Listener, Shutdown};
use hikyaku_sign_in::{Atlas, By, Gate, Proposal, RuleError, RuleOf, RuleOwner, Wanted};
use hikyaku_smtp_proto::Listener as SmtpDoor;
use hikyaku_smtp_server::{Isolation, Limits as SmtpLimits, Metrics, Mode as SmtpMode};
use hikyaku_store::AccountHome;
use hikyaku_testkit::{ScramClient, SeededRandom, TestDirectory, TestStore, gate, mmdb};
use hikyaku_trace::RefusalLog;
use hikyaku_types::{Actor, NodeId, RisingIds, Timestamp};
use tokio::task::JoinHandle;

/// Of everybody.
pub(crate) const PASSWORD: &str = "secret";
/// Nothing here takes so long, unless something hangs.
const PATIENCE: Duration = Duration::from_secs(60);
const LARGEST: usize = 1 << 20;

/// Tenant, number, domain. Ann and bob have a colleague in another domain, and the platform
/// another customer.
const PEOPLE: [(i64, i64, &str, &str); 4] = [
    (1, 1, "ann", "example.org"),
    (1, 2, "bob", "example.org"),
    (1, 3, "eve", "branch.example"),
    (2, 4, "carol", "example.net"),
];

/// A way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    Imap,
    Submission,
}

pub(crate) const DOORS: [Door; 2] = [Door::Imap, Door::Submission];

impl Door {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Submission => "submission",
        }
    }

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Imap => Self::Submission,
            Self::Submission => Self::Imap,
        }
    }

    pub(crate) const fn entrance(self) -> Entrance {
        match self {
            Self::Imap => Entrance::Imap,
            Self::Submission => Entrance::Submission,
        }
    }
}

pub(crate) struct Server {
    pub(crate) mail: TestStore,
    pub(crate) directory: TestDirectory,
    pub(crate) gate: Arc<Gate>,
    imap: SocketAddr,
    submission: SocketAddr,
    shutdown: Shutdown,
    running: Vec<JoinHandle<()>>,
}

pub(crate) fn address(name: &str) -> String {
    let (.., domain) = PEOPLE.iter().find(|(_, _, one, _)| *one == name).expect("somebody");
    format!("{name}@{domain}")
}

pub(crate) fn home(name: &str) -> AccountHome {
    let (tenant, number, ..) = PEOPLE.iter().find(|(_, _, one, _)| *one == name).expect("somebody");
    TestStore::home(*tenant, *number)
}

impl Server {
    pub(crate) fn start(mail: TestStore) -> Self {
        let directory = TestDirectory::new(&mail);
        let (shutdown, mut running) = (Shutdown::new(), Vec::new());
        let (gate, imap, submission) = mail.block_on(async {
            fill(&directory).await;
            let gate = gate(&mail.store, &directory.directory, Arc::clone(&mail.clock) as _).await;
            let gate = Arc::into_inner(gate).expect("nobody has it yet").with_places(places());
            let gate = Arc::new(gate);
            let ids = Arc::new(RisingIds::new(NodeId::new(2).expect("2 is a node")));
            let (services, packing) = imap_services(&mail, &directory, &gate, &ids);
            running.push(tokio::spawn(packing));
            let mode = ImapMode { plain_sign_in_without_tls: true, ..ImapMode::new(Start::Clear, None) };
            let serve = move |it| hikyaku_imap_server::serve(it, mode.clone(), services.clone());
            let imap = listen(&shutdown, &mut running, serve).await;
            let (services, cleaning) = smtp_services(&mail, &directory, &gate, ids);
            tokio::spawn(cleaning);
            let host_name = "mx.example".parse().expect("a name");
            let mut settings = hikyaku_smtp_server::settings(host_name, SmtpDoor::Submission, false);
            settings.offers.plain_sign_in_without_tls = true;
            let mode = SmtpMode { settings: Arc::new(settings), tls: None };
            let serve = move |it| hikyaku_smtp_server::serve(it, mode.clone(), services.clone());
            let submission = listen(&shutdown, &mut running, serve).await;
            (gate, imap, submission)
        });
        Self { mail, directory, gate, imap, submission, shutdown, running }
    }

    /// Everybody of the script comes at once; each must be answered as it says.
    pub(crate) fn check(&self, script: &str) {
        let lines = script.lines().map(str::trim).filter(|line| !line.is_empty());
        std::thread::scope(|scope| {
            for line in lines {
                for door in doors(line) {
                    scope.spawn(move || self.comes(door, line));
                }
            }
        });
    }

    fn comes(&self, door: Door, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (name, from, password, expected) = match words[..] {
            [_, name, "from", from, expected] => (name, from, PASSWORD, expected),
            [_, name, "from", from, "with", password, expected] => (name, from, password, expected),
            _ => panic!("no such line: {line}"),
        };
        let (name, source) = (address(name), from.parse().expect("an address"));
        let is_in = self.signs_in(door, &name, password, source);
        assert_eq!(if is_in { "in" } else { "out" }, expected, "{} of: {line}", door.word());
    }

    /// So many different wrong passwords, all at once.
    pub(crate) fn guess(&self, door: Door, name: &str, from: &str, times: usize) {
        let word = door.word();
        let lines = (0..times).map(|number| format!("{word} {name} from {from} with guess-{number} out\n"));
        self.check(&lines.collect::<String>());
    }

    fn signs_in(&self, door: Door, name: &str, password: &str, source: IpAddr) -> bool {
        let mut line = self.connect(door, source);
        match door {
            Door::Imap => {
                let answer = line.say(&format!("a LOGIN {name} {password}"), "a ");
                line.is_in_mailbox(&answer)
            }
            Door::Submission => {
                let plain = STANDARD.encode(format!("\0{name}\0{password}"));
                let answer = line.say(&format!("AUTH PLAIN {plain}"), "");
                line.may_send(&answer, name)
            }
        }
    }

    /// The same by SCRAM.
    pub(crate) fn scram_signs_in(&self, door: Door, name: &str, password: &str, from: &str) -> bool {
        let name = address(name);
        let client = ScramClient::new(&name, password, "fyko+d2lbbFgONRv9qkxdawL");
        let mut line = self.connect(door, from.parse().expect("an address"));
        let (begin, prompt) = match door {
            Door::Imap => ("a AUTHENTICATE", "+ "),
            Door::Submission => ("AUTH", "334 "),
        };
        let first = format!("{begin} SCRAM-SHA-256 {}", STANDARD.encode(client.first()));
        let mut answer = line.say(&first, "");
        if let Some(challenge) = answer.strip_prefix(prompt) {
            let challenge = String::from_utf8(STANDARD.decode(challenge).expect("base64")).expect("text");
            let (last, server_final) = client.last(&challenge);
            answer = line.say(&STANDARD.encode(last), "");
            if let Some(proof) = answer.strip_prefix(prompt) {
                assert_eq!(STANDARD.decode(proof).expect("base64"), server_final.as_bytes());
                answer = line.say("", "");
            }
        }
        match door {
            Door::Imap => line.is_in_mailbox(&answer),
            Door::Submission => line.may_send(&answer, &name),
        }
    }

    /// A connection of a client at `source`, as the proxy in front tells it, that was greeted.
    pub(crate) fn connect(&self, door: Door, source: IpAddr) -> Line {
        let address = match door {
            Door::Imap => self.imap,
            Door::Submission => self.submission,
        };
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut line = Line(BufReader::new(stream));
        line.write(&proxy_header(source));
        match door {
            Door::Imap => drop(line.hear("* OK ")),
            Door::Submission => {
                line.hear("220 ");
                line.say("EHLO telephone.example", "250 ");
            }
        }
        line
    }

    /// A rule for a door, made at the server itself and at once, so that no address of an
    /// administrator matters.
    pub(crate) fn rule(&self, door: Door, owner: &RuleOwner, mode: RuleMode, allow: &str) {
        let proposal = proposal(mode, allow, Begin::AtOnce, OwnAddress::MustBeAllowed);
        self.propose(None, door, owner, &proposal).expect("nobody is shut out");
    }

    /// Proposes a rule of ann's tenant, from this address.
    pub(crate) fn propose(
        &self,
        from: Option<&str>,
        door: Door,
        owner: &RuleOwner,
        proposal: &Proposal,
    ) -> Result<(), RuleError> {
        let (by, of) = (administrator(from), rule_of(door, owner));
        self.mail.block_on(self.gate.propose_rule(&by, &of, proposal)).map(drop)
    }

    pub(crate) fn confirm(&self, door: Door, owner: &RuleOwner, from: &str) -> Result<(), RuleError> {
        let (by, ip) = (administrator(Some(from)), from.parse().expect("an address"));
        self.mail.block_on(self.gate.confirm_rule(&by, &rule_of(door, owner), ip)).map(drop)
    }

    pub(crate) fn release(&self, door: Door, owner: &RuleOwner) {
        let by = By { actor: Actor::Operator, ..administrator(None) };
        let of = RuleOf { tenant: Some("tenant-1".into()), ..rule_of(door, owner) };
        self.mail.block_on(self.gate.release_rule(&by, &of)).expect("there is one");
    }

    /// Makes an object of ann's tenant.
    pub(crate) fn make(&self, kind: Kind, name: &str, fields: Vec<FieldEdit>) {
        self.mail.block_on(self.directory.create(kind, name, None, Some(home("ann").tenant), fields));
    }

    pub(crate) fn change(&self, kind: Kind, name: &str, fields: Vec<FieldEdit>) {
        self.mail.block_on(self.directory.change(kind, name, fields));
    }

    pub(crate) fn delete(&self, kind: Kind, name: &str) {
        let object = Named { kind, name: name.into(), tenant: None };
        let action = Action::Move { verb: Verb::Delete, object, version: None };
        let request = Request { action, reason: None, dry_run: false };
        self.mail.block_on(self.directory.directory.execute(Actor::Operator, request)).expect("it is there");
    }

    pub(crate) fn app_password(&self, fields: Vec<FieldEdit>) -> String {
        self.mail.block_on(self.directory.app_password("ann@example.org", "telephone", fields))
    }

    /// What is blocked, of every tenant.
    pub(crate) fn blocks(&self) -> Vec<Block> {
        self.mail.block_on(self.gate.blocks(None)).expect("the database answers")
    }

    /// Ends the blocks of an account; how many there were.
    pub(crate) fn unblock(&self, name: &str) -> usize {
        let home = home(name);
        let done = self.gate.unblock(Some(home.tenant), Some(home.account), "operator root", None);
        self.mail.block_on(done).expect("the database answers").len()
    }

    /// The codes of the reasons in an account's history, the newest first.
    pub(crate) fn reasons(&self, name: &str) -> Vec<&'static str> {
        let wanted = Wanted::Account(home(name).account);
        let lines = self.gate.history(wanted, Timestamp::from_secs(0), None, 500);
        let lines = self.mail.block_on(lines).expect("the database answers");
        lines.iter().filter_map(|line| line.record.reason).map(|reason| reason.code()).collect()
    }

    /// The levels whose rule would have refused an account's newest sign-in.
    pub(crate) fn would_refuse(&self, name: &str) -> String {
        let wanted = Wanted::Account(home(name).account);
        let lines = self.gate.history(wanted, Timestamp::from_secs(0), None, 1);
        let lines = self.mail.block_on(lines).expect("the database answers");
        lines.first().map(|line| line.would_refuse.clone()).unwrap_or_default()
    }

    pub(crate) fn later(&self, time: Duration) {
        self.mail.clock.advance(time);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.begin();
        for task in self.running.drain(..) {
            let ended = self.mail.block_on(async { tokio::time::timeout(PATIENCE, task).await });
            if !std::thread::panicking() {
                ended.expect("it ends in time").expect("listeners and packer do not panic");
            }
        }
    }
}

/// A connection, read line by line.
pub(crate) struct Line(BufReader<TcpStream>);

impl Line {
    fn write(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).expect("the server reads");
    }

    /// The next line that begins so, without its end.
    fn hear(&mut self, start: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).expect("it answers in time") > 0, "closed before {start:?}");
            if line.starts_with(start) {
                return line.trim_end_matches("\r\n").to_owned();
            }
        }
    }

    pub(crate) fn say(&mut self, text: &str, until: &str) -> String {
        self.write(format!("{text}\r\n").as_bytes());
        self.hear(until)
    }

    /// Is that an IMAP yes? Whoever is let in is served; every no is the same.
    fn is_in_mailbox(&mut self, answer: &str) -> bool {
        if answer.starts_with("a OK ") {
            assert!(self.say("b SELECT INBOX", "b ").starts_with("b OK "));
            return true;
        }
        assert_eq!(answer, "a NO [AUTHENTICATIONFAILED] Authentication failed");
        assert!(self.say("b SELECT INBOX", "b ").starts_with("b BAD "));
        false
    }

    /// Is that a yes of submission?
    fn may_send(&mut self, answer: &str, name: &str) -> bool {
        let mail = format!("MAIL FROM:<{name}>");
        if answer.starts_with("235 ") {
            assert!(self.say(&mail, "").starts_with("250 "));
            return true;
        }
        assert_eq!(answer, "535 5.7.8 Name or password wrong");
        assert!(self.say(&mail, "").starts_with("530 "));
        false
    }
}

/// What an administrator of ann's tenant wants.
pub(crate) fn proposal(mode: RuleMode, allow: &str, begin: Begin, own_address: OwnAddress) -> Proposal {
    let allow = allow.split(',').map(|entry| entry.trim().parse().expect("an entry")).collect();
    Proposal { mode, allow: Some(allow), begin, own_address }
}

fn rule_of(door: Door, owner: &RuleOwner) -> RuleOf {
    RuleOf { service: door.entrance(), tenant: None, owner: owner.clone() }
}

fn administrator(from: Option<&str>) -> By<'static> {
    By {
        actor: Actor::Administrator { tenant: home("ann").tenant },
        who: "suzuki",
        reason: None,
        from: from.map(|from| from.parse().expect("an address")),
        dry_run: false,
    }
}

/// Whom a line is about.
fn doors(line: &str) -> impl Iterator<Item = Door> {
    let word = line.split_whitespace().next().expect("a door").to_owned();
    assert!(["imap", "submission", "both"].contains(&word.as_str()), "no such door: {line}");
    DOORS.into_iter().filter(move |door| word == "both" || word == door.word())
}

/// Version 2, PROXY, TCP; addresses and ports.
fn proxy_header(source: IpAddr) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21".to_vec();
    match source {
        IpAddr::V4(source) => {
            header.extend([0x11, 0, 12]);
            header.extend(source.octets().into_iter().chain([127, 0, 0, 1]));
        }
        IpAddr::V6(source) => {
            header.extend([0x21, 0, 36]);
            header.extend(source.octets().into_iter().chain([0; 16]));
        }
    }
    header.extend([0xc0, 0, 0, 143]);
    header
}

/// 203.0.113.0/24 is in Portugal.
fn places() -> Atlas {
    let portugal = mmdb::Value::Map(vec![("country_code", mmdb::Value::Text("PT"))]);
    let mut places = Places::none();
    places.add(mmdb::write(mmdb::Family::V4, &[("203.0.113.0/24", portugal)])).expect("a database");
    Atlas::new(places)
}

async fn fill(test: &TestDirectory) {
    for (tenant, _, name, domain) in PEOPLE {
        let home = home(name);
        if name == "ann" || name == "carol" {
            test.tenant(home.tenant, None).await;
        }
        assert_eq!(home.tenant.as_i64(), tenant);
        test.domain(home.tenant, domain).await;
        test.account(home, &[&address(name)], None, PASSWORD).await;
    }
}

async fn listen<F, S>(shutdown: &Shutdown, running: &mut Vec<JoinHandle<()>>, serve: F) -> SocketAddr
where
    F: Fn(Connection) -> S + Send + Sync + 'static,
    S: Future<Output = ()> + Send + 'static,
{
    let any = "127.0.0.1:0".parse().expect("an address");
    let listener = Listener::bind(any, "door", Limits::default(), b"").await.expect("a free port");
    let listener = listener.behind(vec!["127.0.0.1".parse().expect("a network")]);
    let address = listener.address().expect("its address");
    running.push(tokio::spawn(listener.run(shutdown.ending(), serve)));
    address
}

fn imap_services(
    mail: &TestStore,
    test: &TestDirectory,
    gate: &Arc<Gate>,
    ids: &Arc<RisingIds>,
) -> (hikyaku_imap_server::Services, impl Future<Output = ()> + use<>) {
    let (packer, packing) = Packer::new(Arc::clone(&mail.store), Arc::clone(&mail.content), Sizes::default());
    let services = hikyaku_imap_server::Services {
        search: Indexer::new(Arc::clone(&mail.store), Arc::clone(&mail.content)),
        store: Arc::clone(&mail.store),
        content: Arc::clone(&mail.content),
        directory: Arc::clone(&test.directory),
        gate: Arc::clone(gate),
        ids: Arc::clone(ids),
        clock: Arc::clone(&mail.clock) as _,
        random: Arc::new(SeededRandom::new(8)),
        versions: Arc::new(Versions::new(Bounds::default())),
        memory: Arc::new(Memory::new(64 << 20, 1 << 20)),
        packer,
    };
    (services, packing)
}

fn smtp_services(
    mail: &TestStore,
    test: &TestDirectory,
    gate: &Arc<Gate>,
    ids: Arc<RisingIds>,
) -> (hikyaku_smtp_server::Services, impl Future<Output = ()> + use<>) {
    let (keys, cleaning) = KeyCleaner::new(Arc::clone(&mail.store));
    let services = hikyaku_smtp_server::Services {
        store: Arc::clone(&mail.store),
        content: Arc::clone(&mail.content),
        directory: Arc::clone(&test.directory),
        gate: Arc::clone(gate),
        keys,
        refusals: RefusalLog::new(Arc::clone(&mail.store), Arc::clone(&ids)),
        ids,
        clock: Arc::clone(&mail.clock) as _,
        random: Arc::new(SeededRandom::new(9)),
        isolation: Arc::new(Isolation::new(SmtpLimits::default(), LARGEST, Metrics::default())),
        judge: None,
    };
    (services, cleaning)
}
