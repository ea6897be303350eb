//! Two processes of the program on one PostgreSQL database: what is done at one ends what is open
//! at the other, and no two have one number, which is part of every id.
//!
//! They share the database and the key ring, and have a data folder each, so this is about who may
//! sign in and not about mail: large contents lie in the folder of the one that took them.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hikyaku_testkit::postgres::{Cluster, TestDatabase};
use hikyaku_testkit::scratch_dir;
use hikyaku_types::{SessionId, TraceId};
use tempfile::TempDir;

const PASSWORD: &str = "a secret of ours";
/// Nothing here takes so long, unless something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// `hikyaku serve`, that listens for IMAP and LMTP.
struct Node {
    file: PathBuf,
    imap: SocketAddr,
    lmtp: SocketAddr,
    process: Option<Child>,
}

/// Two of them, in this order of drop.
struct Nodes {
    nodes: [Node; 2],
    folder: TempDir,
    database: TestDatabase,
}

impl Nodes {
    fn start() -> Self {
        let (folder, database) = (scratch_dir(), Cluster::shared().create_database(None));
        let nodes = [1, 2].map(|number| Node::new(folder.path(), &database, "data", number));
        let mut nodes = Self { nodes, folder, database };
        // The first one makes the key ring.
        nodes.nodes.iter_mut().for_each(Node::serve);
        nodes
    }
}

impl Node {
    /// One that does not run yet, with a folder of its own.
    fn new(folder: &Path, database: &TestDatabase, data: &str, number: u16) -> Self {
        let (imap, lmtp) = (free_address(), free_address());
        let file = folder.join(format!("{data}-{number}.toml"));
        let text = format!(
            "host_name = 'mx.example'\ndata = '{}'\nkey_ring = '{}'\nnode = {number}\n\
             [database]\npostgres = '{}'\nconnections = 4\n\
             [listen]\nimap = '{imap}'\nlmtp = '{lmtp}'\nplain_sign_in_without_tls = true\n",
            folder.join(format!("{data}-{number}")).display(),
            folder.join("key-ring").display(),
            database.url(),
        );
        std::fs::write(&file, text).unwrap();
        let migrated = run(&["migrate", "--config", path(&file)], "");
        assert!(migrated.is_ok(), "{migrated:?}");
        Self { file, imap, lmtp, process: None }
    }

    fn serve(&mut self) {
        let mut process = Command::new(env!("CARGO_BIN_EXE_hikyaku"))
            .args(["serve", "--config", path(&self.file)])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap());
        self.process = Some(process);
        let mut heard = String::new();
        while !heard.contains("listening") {
            assert!(log.read_line(&mut heard).unwrap() > 0, "it ended: {heard}");
        }
        // Read on, so that it never waits for a reader.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    }

    /// `hikyaku admin` at this node.
    fn admin(&self, line: &str, input: &str) -> String {
        let words: Vec<&str> =
            ["admin"].into_iter().chain(line.split(' ')).chain(["--config", path(&self.file)]).collect();
        run(&words, input).unwrap_or_else(|refused| panic!("{line}: {refused}"))
    }

    /// Delivers a mail to ann and gives the id that stands in the reply.
    fn deliver(&self, subject: &str) -> TraceId {
        let mut line = Line::connect_to(self.lmtp, "220 ");
        line.say("LHLO client.example", "250 ");
        line.say("MAIL FROM:<bob@example.com>", "250 ");
        line.say("RCPT TO:<ann@example.org>", "250 ");
        line.say("DATA", "354 ");
        let reply = line.say(&format!("Subject: {subject}\r\n\r\nhello\r\n."), "250 ");
        let id = reply.split_whitespace().find_map(|word| word.parse().ok());
        id.unwrap_or_else(|| panic!("no id in {reply}"))
    }

    /// As systemd ends it.
    fn end(&mut self) {
        let mut process = self.process.take().unwrap();
        let id = rustix::process::Pid::from_child(&process);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        assert!(process.wait().unwrap().success());
    }

    /// As after `kill -9`.
    fn kill(&mut self) {
        let mut process = self.process.take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// A connection of ann's that waits for news.
    fn idle(&self, password: &str) -> Line {
        let mut line = Line::connect(self.imap);
        line.say(&format!("a LOGIN ann@example.org \"{password}\""), "a OK");
        line.say("b SELECT INBOX", "b OK");
        line.say("c IDLE", "+ ");
        line
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

struct Line(BufReader<TcpStream>);

impl Line {
    fn connect(address: SocketAddr) -> Self {
        Self::connect_to(address, "* OK")
    }

    fn connect_to(address: SocketAddr, greeting: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut line = Self(BufReader::new(stream));
        line.hear(greeting);
        line
    }

    fn say(&mut self, text: &str, until: &str) -> String {
        self.0.get_mut().write_all(format!("{text}\r\n").as_bytes()).unwrap();
        self.hear(until)
    }

    /// Reads up to a line that begins so.
    fn hear(&mut self, start: &str) -> String {
        let mut line = String::new();
        while !line.starts_with(start) {
            line.clear();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "closed before {start}");
        }
        line
    }

    /// It is told, and closed.
    fn hears_its_end(mut self) {
        self.hear("* BYE ");
        assert_eq!(self.0.read_line(&mut String::new()).unwrap(), 0);
    }
}

fn path(file: &Path) -> &str {
    file.to_str().unwrap()
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn run(words: &[&str], input: &str) -> Result<String, String> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hikyaku"))
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

fn make_ann(node: &Node) {
    node.admin("plan create basic --accounts 2", "");
    node.admin("tenant create acme --plan basic", "");
    node.admin("domain create example.org --tenant acme", "");
    node.admin("account create ann@example.org", "");
    node.admin("credential create --account ann@example.org --password-stdin", &format!("{PASSWORD}\n"));
}

/// The number of the process that made an id.
fn number(id: i64) -> i64 {
    id >> 12 & 0x3ff
}

#[test]
fn the_number_of_a_server_is_in_its_ids() {
    let nodes = Nodes::start();
    let [here, there] = &nodes.nodes;
    make_ann(here);
    let ids: Vec<TraceId> = std::thread::scope(|scope| {
        // Equal mails would be one delivery.
        let deliveries = |node, name| {
            move || (0..20).map(|count| Node::deliver(node, &format!("{count} {name}"))).collect()
        };
        let running = [(here, "here"), (there, "there")];
        let running = running.map(|(node, name)| scope.spawn::<_, Vec<TraceId>>(deliveries(node, name)));
        running.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let numbers: Vec<i64> = ids.iter().map(|id| number(id.as_i64())).collect();
    assert_eq!(numbers, [[1; 20], [2; 20]].concat());
    assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), 40);
    // Both have all of it, and sign-ins have ids of where they were.
    let mut sessions = Vec::new();
    for (node, expected) in [(here, 1), (there, 2)] {
        let mut line = Line::connect(node.imap);
        line.say(&format!("a LOGIN ann@example.org \"{PASSWORD}\""), "a OK");
        assert_eq!(line.say("b STATUS INBOX (MESSAGES)", "* STATUS").trim(), "* STATUS INBOX (MESSAGES 40)");
        let listed = node.admin("session list", "");
        let made_here =
            |word: &&str| word.parse::<SessionId>().is_ok_and(|id| number(id.as_i64()) == expected);
        assert!(listed.split_whitespace().any(|word| made_here(&word)), "{listed}");
        sessions.push(line);
    }
}

#[test]
fn servers_with_one_number_do_not_run_side_by_side() {
    let mut nodes = Nodes::start();
    let twin = Node::new(nodes.folder.path(), &nodes.database, "twin", 2);
    let refused = run(&["serve", "--config", path(&twin.file)], "").unwrap_err();
    assert!(refused.contains("another server with the number 2 works on this database"), "{refused}");
    // A command line beside them has a number that servers never have.
    make_ann(&twin);
    let tables = twin.admin("history list", "");
    assert!(!tables.contains("ann@example.org"), "{tables}");
    // Killed, it comes back; ended in order, its number is free at once.
    nodes.nodes[1].kill();
    nodes.nodes[1].serve();
    assert_eq!(number(nodes.nodes[1].deliver("back").as_i64()), 2);
    nodes.nodes[1].end();
    let mut twin = twin;
    twin.serve();
    assert_eq!(number(twin.deliver("twin").as_i64()), 2);
    let refused = run(&["serve", "--config", path(&nodes.nodes[1].file)], "").unwrap_err();
    assert!(refused.contains("another server with the number 2"), "{refused}");
}

#[test]
fn what_one_node_is_told_ends_sessions_of_another() {
    let nodes = Nodes::start();
    let [here, there] = &nodes.nodes;
    make_ann(here);
    // Both list both sessions, once they have told each other.
    let (mine, theirs) = (here.idle(PASSWORD), there.idle(PASSWORD));
    let began = Instant::now();
    let count = |node: &Node| node.admin("session list", "").matches("ann@example.org").count();
    while [count(here), count(there)] != [2, 2] {
        assert!(began.elapsed() < PATIENCE, "nodes do not hear of each other");
    }
    // Suspended at one.
    here.admin("account suspend ann@example.org", "");
    mine.hears_its_end();
    theirs.hears_its_end();
    let mut refused = Line::connect(there.imap);
    refused.say(&format!("a LOGIN ann@example.org \"{PASSWORD}\""), "a NO [AUTHENTICATIONFAILED]");
    there.admin("account resume ann@example.org", "");
    // Another password, said at the other.
    let mine = here.idle(PASSWORD);
    let change = "credential change ann@example.org:password --password-stdin";
    there.admin(change, "another secret of ours\n");
    mine.hears_its_end();
    // Ended by an administrator of the other.
    let mine = here.idle("another secret of ours");
    while count(there) != 1 {
        assert!(began.elapsed() < PATIENCE, "nodes do not hear of each other");
    }
    there.admin("session end --account ann@example.org --reason stolen", "");
    mine.hears_its_end();
    let audit = here.admin("audit --tenant acme --limit 1", "");
    assert!(audit.contains("end-sessions account ann@example.org") && audit.contains("stolen"), "{audit}");
}
