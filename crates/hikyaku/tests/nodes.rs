//! Two processes of the program on one PostgreSQL database: what is done at one ends what is open
//! at the other.
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
use tempfile::TempDir;

const PASSWORD: &str = "a secret of ours";
/// Nothing here takes so long, unless something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// `hikyaku serve`, that listens for IMAP.
struct Node {
    file: PathBuf,
    imap: SocketAddr,
    process: Option<Child>,
}

/// Two of them, in this order of drop.
struct Nodes {
    nodes: [Node; 2],
    _folder: TempDir,
    _database: TestDatabase,
}

impl Nodes {
    fn start() -> Self {
        let (folder, database) = (scratch_dir(), Cluster::shared().create_database(None));
        let key_ring = folder.path().join("key-ring");
        let nodes = [1, 2].map(|number| {
            let (data, imap) = (folder.path().join(format!("data-{number}")), free_address());
            let file = folder.path().join(format!("node-{number}.toml"));
            let text = format!(
                "host_name = 'mx.example'\ndata = '{}'\nkey_ring = '{}'\n[database]\npostgres = '{}'\n\
                 connections = 4\n[listen]\nimap = '{imap}'\nplain_sign_in_without_tls = true\n",
                data.display(),
                key_ring.display(),
                database.url(),
            );
            std::fs::write(&file, text).unwrap();
            let migrated = run(&["migrate", "--config", path(&file)], "");
            assert!(migrated.is_ok(), "{migrated:?}");
            Node { file, imap, process: None }
        });
        let mut nodes = Self { nodes, _folder: folder, _database: database };
        // The first one makes the key ring.
        nodes.nodes.iter_mut().for_each(Node::serve);
        nodes
    }
}

impl Node {
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
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut line = Self(BufReader::new(stream));
        line.hear("* OK");
        line
    }

    fn say(&mut self, text: &str, until: &str) {
        self.0.get_mut().write_all(format!("{text}\r\n").as_bytes()).unwrap();
        self.hear(until);
    }

    /// Reads up to a line that begins so.
    fn hear(&mut self, start: &str) {
        let mut line = String::new();
        while !line.starts_with(start) {
            line.clear();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "closed before {start}");
        }
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

#[test]
fn what_one_node_is_told_ends_sessions_of_another() {
    let nodes = Nodes::start();
    let [here, there] = &nodes.nodes;
    here.admin("plan create basic --accounts 2", "");
    here.admin("tenant create acme --plan basic", "");
    here.admin("domain create example.org --tenant acme", "");
    here.admin("account create ann@example.org", "");
    here.admin("credential create --account ann@example.org --password-stdin", &format!("{PASSWORD}\n"));
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
