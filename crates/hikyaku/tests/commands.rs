//! The program as an operator calls it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use hikyaku_testkit::{Rng, TestStore, scratch_dir};

fn hikyaku(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hikyaku")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn check_store(folder: &Path) -> (bool, String) {
    let output = hikyaku(&["check", "store", "--data", folder.to_str().unwrap()]);
    (output.status.success(), text(&output.stdout) + &text(&output.stderr))
}

/// A closed store with mail in it, one of them an object.
fn store_with_mail() -> TestStore {
    let mail = TestStore::sqlite();
    let homes = [TestStore::home(1, 10), TestStore::home(1, 11)];
    let mut noise = vec![0; 300_000];
    Rng::new(5).fill(&mut noise);
    mail.deliver(&noise, &homes);
    mail.deliver(b"Subject: small\r\n\r\nin a row\r\n", &homes[..1]);
    mail.store.close();
    mail
}

fn object_of(folder: &Path) -> PathBuf {
    let mut at = folder.join("objects");
    while at.is_dir() {
        at = std::fs::read_dir(&at).unwrap().next().unwrap().unwrap().path();
    }
    at
}

#[test]
fn a_sound_store_has_no_problems() {
    let mail = store_with_mail();
    let (sound, said) = check_store(mail.folder());
    assert!(sound && said.contains("2 accounts, 2 contents, 1 objects: 0 problems"), "{said}");
}

#[test]
fn a_damaged_object_is_found() {
    let mail = store_with_mail();
    let object = object_of(mail.folder());
    let mut bytes = std::fs::read(&object).unwrap();
    bytes[150_000] ^= 1;
    std::fs::write(&object, bytes).unwrap();
    let (sound, said) = check_store(mail.folder());
    assert!(!sound && said.contains("stored content is damaged") && said.contains("1 problems"), "{said}");
}

#[test]
fn a_missing_object_is_found() {
    let mail = store_with_mail();
    std::fs::remove_file(object_of(mail.folder())).unwrap();
    let (sound, said) = check_store(mail.folder());
    assert!(!sound && said.contains("is missing") && said.contains("1 problems"), "{said}");
}

#[test]
fn an_object_that_no_row_names_is_told_and_no_problem() {
    let mail = store_with_mail();
    let object = object_of(mail.folder());
    std::fs::copy(&object, object.with_file_name("0123456789abcdef0123456789abcd")).unwrap();
    let (sound, said) = check_store(mail.folder());
    assert!(sound && said.contains("1 objects are named by no row"), "{said}");
}

#[test]
fn a_damaged_page_is_found() {
    let mail = store_with_mail();
    let file = mail.folder().join("shard-0.db");
    let mut bytes = std::fs::read(&file).unwrap();
    for page in bytes.chunks_mut(4096).skip(1) {
        page[0] ^= 0x40;
    }
    std::fs::write(&file, bytes).unwrap();
    let (sound, said) = check_store(mail.folder());
    assert!(!sound, "{said}");
}

#[test]
fn migrating_twice_does_nothing_more() {
    let folder = scratch_dir();
    let data = folder.path().to_str().unwrap();
    let first = hikyaku(&["migrate", "--data", data]);
    assert!(text(&first.stdout).contains("shard_0: mailstore 1:"), "{}", text(&first.stdout));
    let second = hikyaku(&["migrate", "--data", data]);
    assert!(text(&second.stdout).starts_with("0 steps done"), "{}", text(&second.stdout));
}

#[test]
fn a_store_that_was_never_migrated_is_refused_with_the_remedy() {
    let folder = scratch_dir();
    let (sound, said) = check_store(folder.path());
    assert!(!sound && said.contains("run `hikyaku migrate`"), "{said}");
}

#[test]
fn a_wrong_path_makes_nothing() {
    let folder = scratch_dir();
    let (sound, said) = check_store(&folder.path().join("typo"));
    assert!(!sound && said.contains("there is no folder"), "{said}");
    assert!(!folder.path().join("typo").exists());
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn made(what: &str, input: &str) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hikyaku"))
        .args(["make", what])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    text(&child.wait_with_output().unwrap().stdout).trim().to_owned()
}

fn settings(folder: &Path, smtp: SocketAddr, imap: SocketAddr) -> String {
    format!(
        "host_name = 'mx.example'\ndata = '{}'\n[listen]\nsmtp = '{smtp}'\nimap = '{imap}'\n\
         plain_sign_in_without_tls = true\n[[tenant]]\nid = '{}'\ndomains = ['example.org']\n\
         [[tenant.account]]\nid = '{}'\naddress = 'ann@example.org'\naliases = ['postmaster@example.org']\n\
         password_hash = '{}'\n",
        folder.display(),
        made("tenant-id", ""),
        made("account-id", ""),
        made("password-hash", "secret"),
    )
}

/// Says `line` and reads lines until one begins with `until`.
fn say(peer: &mut BufReader<TcpStream>, line: &str, until: &str) -> String {
    peer.get_mut().write_all(line.as_bytes()).unwrap();
    let mut heard = String::new();
    loop {
        let mut line = String::new();
        assert!(peer.read_line(&mut line).unwrap() > 0, "closed after {heard:?}");
        heard.push_str(&line);
        if line.starts_with(until) {
            return heard;
        }
    }
}

fn connect(address: SocketAddr) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    BufReader::new(stream)
}

#[test]
fn a_server_serves_what_its_file_says() {
    let folder = scratch_dir();
    let (smtp, imap) = (free_address(), free_address());
    let file = folder.path().join("hikyaku.toml");
    std::fs::write(&file, settings(&folder.path().join("data"), smtp, imap)).unwrap();
    assert!(hikyaku(&["migrate", "--data", folder.path().join("data").to_str().unwrap()]).status.success());
    let mut server = Command::new(env!("CARGO_BIN_EXE_hikyaku"))
        .args(["serve", "--config", file.to_str().unwrap()])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(server.stderr.take().unwrap());
    let mut listening = String::new();
    while listening.matches("listening").count() < 2 {
        assert!(log.read_line(&mut listening).unwrap() > 0, "it ended: {listening}");
    }

    let mut sender = connect(smtp);
    say(&mut sender, "", "220 ");
    say(&mut sender, "EHLO client.example\r\n", "250 ");
    say(&mut sender, "MAIL FROM:<>\r\n", "250 ");
    say(&mut sender, "RCPT TO:<ann@example.org>\r\n", "250 ");
    say(&mut sender, "DATA\r\n", "354 ");
    say(&mut sender, "Subject: hello\r\n\r\nhi\r\n.\r\n", "250 ");
    let mut reader = connect(imap);
    say(&mut reader, "", "* OK");
    say(&mut reader, "a LOGIN ann@example.org secret\r\n", "a OK");
    say(&mut reader, "b SELECT INBOX\r\n", "b OK");
    assert!(say(&mut reader, "c FETCH 1 BODY[TEXT]\r\n", "c OK").contains("hi\r\n"));

    // SIGHUP reads certificates again; this server has none, and goes on.
    let hung_up = Command::new("kill").args(["-HUP", &server.id().to_string()]).status().unwrap();
    assert!(hung_up.success());
    while !listening.contains("no certificates to read again") {
        assert!(log.read_line(&mut listening).unwrap() > 0, "it ended: {listening}");
    }

    let stopped = Command::new("kill").args(["-TERM", &server.id().to_string()]).status().unwrap();
    assert!(stopped.success());
    assert!(server.wait().unwrap().success());
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    assert!(!rest.contains("secret"), "{rest}");
}

#[test]
fn passwords_in_clear_are_for_loopback_alone() {
    let folder = scratch_dir();
    let file = folder.path().join("hikyaku.toml");
    let everywhere = SocketAddr::from(([0, 0, 0, 0], free_address().port()));
    std::fs::write(&file, settings(&folder.path().join("data"), everywhere, free_address())).unwrap();
    let refused = hikyaku(&["serve", "--config", file.to_str().unwrap()]);
    let said = text(&refused.stderr);
    assert!(!refused.status.success() && said.contains("hikyaku.toml:4:8: mistake: listen.smtp: "), "{said}");
}

#[test]
fn a_settings_file_is_checked_for_people_and_programs() {
    let folder = scratch_dir();
    let file = folder.path().join("hikyaku.toml");
    let path = file.to_str().unwrap();
    let (smtp, imap) = (free_address(), free_address());
    std::fs::write(&file, settings(&folder.path().join("data"), smtp, imap)).unwrap();
    let migrated = hikyaku(&["migrate", "--config", path]);
    assert!(migrated.status.success(), "{}", text(&migrated.stderr));
    let good = hikyaku(&["check", "config", path]);
    let said = text(&good.stdout);
    assert!(good.status.success() && said.contains("hikyaku.toml is right"), "{said}");
    assert!(said.contains(&format!("smtp on {smtp}")) && said.contains("SQLite"), "{said}");

    let wrong = std::fs::read_to_string(&file).unwrap().replace("smtp =", "smpt =");
    std::fs::write(&file, wrong).unwrap();
    let bad = hikyaku(&["check", "config", path]);
    assert_eq!(bad.status.code(), Some(1));
    let said = text(&bad.stdout);
    assert!(
        said.contains("hikyaku.toml:4:1: mistake: listen.smpt: there is no such setting: did you mean"),
        "{said}"
    );
    let bad = hikyaku(&["check", "config", "--json", path]);
    assert_eq!(bad.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&bad.stdout).unwrap();
    assert_eq!(report["is_right"], false);
    let finding =
        report["findings"].as_array().unwrap().iter().find(|it| it["gravity"] == "mistake").unwrap();
    assert_eq!((&finding["line"], &finding["key"]), (&4.into(), &"listen.smpt".into()));
    assert!(report.get("summary").is_none());
}
