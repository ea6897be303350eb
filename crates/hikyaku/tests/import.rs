//! `hikyaku admin import-mail` as an operator calls it: through a running server and without.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use hikyaku_store::{Location, Options, Scope, Sql, StoreError};
use hikyaku_testkit::{DELIVERY, SHARD, TestStore, scratch_dir};

fn program(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hikyaku"));
    command.args(arguments).arg("--data").arg(data);
    command
}

fn run(data: &Path, line: &str) {
    let output = program(data, &line.split(' ').collect::<Vec<_>>()).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}

const ACCOUNT: &str = "tanaka@example.org";

/// With one account, suspended, as accounts are that are filled before they work.
fn installation(data: &Path) {
    for line in [
        "migrate",
        "admin plan create basic",
        "admin tenant create acme --plan basic",
        "admin domain create example.org --tenant acme",
        &format!("admin account create {ACCOUNT}"),
        &format!("admin account suspend {ACCOUNT}"),
    ] {
        run(data, line);
    }
}

/// A server that is killed when this goes.
struct Server(Child);

impl Server {
    fn start(folder: &Path, data: &Path) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let settings = folder.join("hikyaku.toml");
        let text = format!("host_name = \"mx.example\"\ndata = {data:?}\n[listen]\nsmtp = \"{free}\"\n");
        fs::write(&settings, text).unwrap();
        let mut server = Command::new(env!("CARGO_BIN_EXE_hikyaku"));
        server.arg("serve").arg("--config").arg(&settings).stderr(Stdio::piped());
        let mut process = server.spawn().unwrap();
        let log = BufReader::new(process.stderr.take().unwrap());
        let mut lines = log.lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("listening")), "the server does not start");
        // What it says later has nobody else to read it.
        std::thread::spawn(move || lines.for_each(drop));
        Self(process)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn import_command(data: &Path, source: [&str; 2], more: &[&str]) -> Command {
    program(data, &[&["admin", "import-mail", ACCOUNT, "--json"], &source[..], more].concat())
}

struct Imported {
    /// Found, imported, there already, left out.
    counts: [u64; 4],
    json: serde_json::Value,
    output: Output,
}

fn read(output: Output) -> Imported {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect(&said);
    let json = json["import"].clone();
    let counts = ["found", "imported", "already", "left_out"].map(|name| json[name].as_u64().expect(name));
    Imported { counts, json, output }
}

fn import(data: &Path, source: [&str; 2], more: &[&str]) -> Imported {
    read(import_command(data, source, more).output().unwrap())
}

/// Flags, keywords, date in seconds and size of each message, by the path of its mailbox.
type Mailboxes = BTreeMap<String, Vec<(i64, String, i64, i64)>>;

/// What is in the mailboxes of a stopped installation; empty ones of the start are left out.
fn mailboxes(data: &Path) -> Mailboxes {
    let location = Location::Folder(data.to_owned());
    let mail = TestStore::migrated(location, scratch_dir(), None, Options::default());
    let scope = Scope::service(&DELIVERY, SHARD, None).unwrap();
    let (boxes, entries) = mail
        .block_on(mail.store.read(scope, "test.import", |tx| {
            let boxes = Sql::new("SELECT mailbox, parent, name FROM mailbox WHERE mailbox > 0");
            let entries = Sql::new(
                "SELECT n.mailbox, n.flags, COALESCE(n.keywords, ''), m.received_at / 1000, n.size
                 FROM entry n JOIN email m ON m.id = n.email ORDER BY n.mailbox, n.uid",
            );
            let boxes = tx.rows(boxes, &[], |row| {
                Ok((row.get::<i64>(0)?, (row.get::<i64>(1)?, row.get::<String>(2)?)))
            })?;
            let entries = tx.rows(entries, &[], |row| {
                let message =
                    (row.get::<i64>(1)?, row.get::<String>(2)?, row.get::<i64>(3)?, row.get::<i64>(4)?);
                Ok((row.get::<i64>(0)?, message))
            })?;
            Ok::<_, StoreError>((BTreeMap::from_iter(boxes), entries))
        }))
        .unwrap();
    let path = |mut id: i64| {
        let mut levels = Vec::new();
        while let Some((parent, name)) = boxes.get(&id) {
            levels.insert(0, name.clone());
            id = *parent;
        }
        levels.join("/")
    };
    let first = ["INBOX", "Drafts", "Sent", "Archive", "Junk", "Trash"];
    let mut found: Mailboxes = boxes.keys().map(|id| (path(*id), Vec::new())).collect();
    for (id, message) in entries {
        found.entry(path(id)).or_default().push(message);
    }
    found.retain(|path, messages| !messages.is_empty() || !first.contains(&path.as_str()));
    mail.store.close();
    found
}

fn at(path: &Path, seconds: u64, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

const SEEN: i64 = 1;
const FLAGGED: i64 = 4;

#[test]
fn a_maildir_with_folders() {
    let (folder, maildir) = (scratch_dir(), scratch_dir());
    let (data, maildir) = (folder.path(), maildir.path());
    installation(data);
    at(&maildir.join("cur/1.host:2,FSa"), 1_000, "Subject: 1\n\nx\n");
    at(&maildir.join("new/2.host"), 2_000, "Subject: 2\r\n\r\nxy\r\n");
    at(&maildir.join("dovecot-keywords"), 0, "0 $Label1\n");
    at(&maildir.join(".&ZeVnLIqe-/cur/3.host:2,S"), 3_000, "Subject: 3\n\n");
    at(&maildir.join(".日本語.見積/cur/4.host:2,"), 4_000, "Subject: 4\n\n");
    fs::create_dir_all(maildir.join(".Empty/cur")).unwrap();
    let source = ["--maildir", maildir.to_str().unwrap()];

    assert_eq!(import(data, source, &["--dry-run"]).counts, [4, 4, 0, 0]);
    assert_eq!(mailboxes(data), Mailboxes::new(), "it was only asked");
    assert_eq!(import(data, source, &[]).counts, [4, 4, 0, 0]);
    let expected = BTreeMap::from([
        ("Empty".to_owned(), vec![]),
        (
            "INBOX".to_owned(),
            vec![(SEEN | FLAGGED, "$label1".to_owned(), 1_000, 17), (0, String::new(), 2_000, 18)],
        ),
        ("日本語".to_owned(), vec![(SEEN, String::new(), 3_000, 14)]),
        ("日本語/見積".to_owned(), vec![(0, String::new(), 4_000, 14)]),
    ]);
    assert_eq!(mailboxes(data), expected);

    // The old server goes on until everything is there.
    fs::rename(maildir.join("new/2.host"), maildir.join("cur/2.host:2,S")).unwrap();
    at(&maildir.join("new/5.host"), 5_000, "Subject: 5\n\n");
    assert_eq!(import(data, source, &[]).counts, [5, 1, 4, 0]);
    assert_eq!(import(data, source, &[]).counts, [5, 0, 5, 0]);

    // Into another mailbox it is another import.
    let below = ["--mailbox", "Old/見積"];
    assert_eq!(import(data, source, &below).counts, [5, 5, 0, 0]);
    let paths: Vec<String> = mailboxes(data).into_keys().collect();
    let expected = [
        "Empty",
        "INBOX",
        "Old",
        "Old/見積",
        "Old/見積/Empty",
        "Old/見積/日本語",
        "Old/見積/日本語/見積",
        "日本語",
        "日本語/見積",
    ];
    assert_eq!(paths, expected);
}

#[test]
fn what_cannot_be_imported_is_named() {
    let (folder, maildir) = (scratch_dir(), scratch_dir());
    let (data, maildir) = (folder.path(), maildir.path());
    installation(data);
    at(&maildir.join("cur/1.host"), 1_000, "Subject: 1\n\n");
    at(&maildir.join("cur/2.host"), 1_000, "");
    at(&maildir.join("cur/3.host"), 1_000, "");
    let large = fs::File::options().write(true).open(maildir.join("cur/3.host")).unwrap();
    large.set_len((100 << 20) + 1).unwrap();
    at(&maildir.join(".a..b/cur/4.host"), 1_000, "Subject: 4\n\n");
    let source = ["--maildir", maildir.to_str().unwrap()];
    let done = import(data, source, &[]);
    assert_eq!(done.counts, [3, 1, 0, 3]);
    assert_eq!(done.output.status.code(), Some(1), "not everything is there");
    let reasons: Vec<&str> =
        done.json["named"].as_array().unwrap().iter().map(|one| one["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["its name is that of no mailbox", "it is empty", "it is larger than 100 MiB"]);

    for (source, told) in [
        (["--maildir", data.to_str().unwrap()], "is no Maildir"),
        (["--mbox", maildir.join("cur/1.host").to_str().unwrap()], "is no mbox file"),
        (["--mbox", "/nowhere"], "No such file"),
    ] {
        let refused = import_command(data, source, &[]).output().unwrap();
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains(told), "{source:?}: {said}");
    }
}

#[test]
fn a_full_mailbox_ends_it_and_it_goes_on_later() {
    let (folder, file) = (scratch_dir(), scratch_dir());
    let data = folder.path();
    installation(data);
    run(data, &format!("admin account change {ACCOUNT} --quota 10kB"));
    let path = file.path().join("mbox");
    fs::write(&path, mbox(0..20)).unwrap();
    let source = ["--mbox", path.to_str().unwrap()];
    let stopped = import(data, source, &[]);
    assert_eq!(stopped.output.status.code(), Some(1));
    assert!(stopped.json["stopped"].as_str().unwrap().starts_with("the mailbox is full"), "{}", stopped.json);
    let [found, imported, ..] = stopped.counts;
    assert!(found == 20 && imported == 9, "{}", stopped.json);
    run(data, &format!("admin account change {ACCOUNT} --quota 1MB"));
    assert_eq!(import(data, source, &[]).counts, [20, 11, 9, 0]);
}

/// Messages of a kilobyte, each different.
fn mbox(numbers: std::ops::Range<u32>) -> String {
    let filling = "filling filling filling filling filling filling filling filling\n".repeat(15);
    let one = |number| {
        format!(
            "From a@example.org Tue Nov 24 03:34:27 2026\nStatus: RO\nSubject: {number:05}\n\n{filling}\n"
        )
    };
    numbers.map(one).collect()
}

#[test]
fn an_mbox_through_a_server() {
    let (folder, file) = (scratch_dir(), scratch_dir());
    let data = folder.path().join("data");
    installation(&data);
    let server = Server::start(folder.path(), &data);
    let path = file.path().join("mbox");
    fs::write(&path, mbox(0..250) + &mbox(7..9)).unwrap();
    let source = ["--mbox", path.to_str().unwrap()];
    assert_eq!(import(&data, source, &["--mailbox", "Old"]).counts, [252, 252, 0, 0], "equal ones stay two");
    fs::write(&path, mbox(0..250) + &mbox(7..9) + &mbox(300..301)).unwrap();
    assert_eq!(import(&data, source, &["--mailbox", "Old"]).counts, [253, 1, 252, 0]);
    drop(server);
    let old = &mailboxes(&data)["Old"];
    assert_eq!(old.len(), 253);
    assert!(old.iter().all(|(flags, _, at, _)| (*flags, *at) == (SEEN, 1_795_491_267)));
}

/// An import that has put its first messages and waits for more.
fn import_under_way(data: &Path, text: &str) -> Child {
    let mut command = import_command(data, ["--mbox", "/dev/stdin"], &[]);
    let mut process =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // More than a pipe holds: when it has taken all, most of it has been read.
    process.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    process
}

#[test]
fn there_is_one_import_into_an_account_at_a_time() {
    let (folder, file) = (scratch_dir(), scratch_dir());
    let data = folder.path().join("data");
    installation(&data);
    run(&data, "admin account create second@example.org");
    run(&data, &format!("admin account change {ACCOUNT} --addresses {ACCOUNT},other@example.org"));
    let text = mbox(0..400);
    let path = file.path().join("mbox");
    fs::write(&path, &text[..20_000]).unwrap();
    let source = ["--mbox", path.to_str().unwrap()];
    let server = Server::start(folder.path(), &data);
    let mut first = import_under_way(&data, &text[..300_000]);

    // By whichever address.
    for address in [ACCOUNT, "other@example.org"] {
        let mut second = program(&data, &["admin", "import-mail", address, source[0], source[1]]);
        let refused = second.output().unwrap();
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        let expected =
            format!("error: another import into {address} is under way: wait for its end, or stop it\n");
        assert_eq!((refused.status.code(), said), (Some(3), expected));
    }
    // What changes nothing may go on beside it, and so may another account.
    assert!(import(&data, source, &["--dry-run"]).output.status.success());
    run(&data, &format!("admin import-mail second@example.org --mbox {}", path.display()));

    // It goes on undisturbed, and then others may.
    first.stdin.take().unwrap().write_all(&text.as_bytes()[300_000..]).unwrap();
    assert_eq!(read(first.wait_with_output().unwrap()).counts, [400, 400, 0, 0]);
    fs::write(&path, &text).unwrap();
    assert_eq!(import(&data, source, &["--mailbox", "Old"]).counts, [400, 400, 0, 0]);
    drop(server);
}

#[test]
fn an_import_that_is_killed_loses_and_doubles_nothing() {
    let (folder, file) = (scratch_dir(), scratch_dir());
    let data = folder.path().join("data");
    installation(&data);
    let text = mbox(0..400);
    let path = file.path().join("mbox");
    fs::write(&path, &text).unwrap();
    let source = ["--mbox", path.to_str().unwrap()];

    let server = Server::start(folder.path(), &data);
    let mut killed = import_under_way(&data, &text[..300_000]);
    killed.kill().unwrap();
    killed.wait().unwrap();
    // Now the server goes, in the middle of another one.
    let cut_off = import_under_way(&data, &text[..350_000]);
    drop(server);
    let cut_off = cut_off.wait_with_output().unwrap();
    assert_eq!(cut_off.status.code(), Some(3), "it may work later");

    let server = Server::start(folder.path(), &data);
    let [found, imported, already, left_out] = import(&data, source, &[]).counts;
    assert_eq!((found, imported + already, left_out), (400, 400, 0));
    assert!(already >= 100, "the first ones were there: {already}");
    assert_eq!(import(&data, source, &[]).counts, [400, 0, 400, 0]);
    drop(server);
    assert_eq!(mailboxes(&data)["INBOX"].len(), 400);
}
