//! SEARCH with an index, without one, and with one that is behind: the answers are the same.

use hikyaku_mailstore::search::Step;
use hikyaku_testkit::{Rng, TestStore, both_engines};
use hikyaku_types::{Clock, Timestamp};

use crate::client::Client;
use crate::server::{Server, ann};

both_engines! {
    an_index_changes_no_answer
    what_is_indexed_is_not_read
    an_index_that_is_lost_or_old_is_made_anew
    searching_makes_an_account_wanted
}

/// In UTF-8, and the octets in ISO-2022-JP of those that have them.
const WORDS: [(&str, Option<&str>); 14] = [
    ("report", Some("report")),
    ("Portal", Some("Portal")),
    ("reporting", Some("reporting")),
    ("GRÜSSE", None),
    ("Größe", None),
    ("会議", Some("\x1b$B2q5D\x1b(B")),
    ("会議室", Some("\x1b$B2q5D<<\x1b(B")),
    ("会", Some("\x1b$B2q\x1b(B")),
    ("議事", None),
    ("カイギ", Some("\x1b$B%+%$%.\x1b(B")),
    ("ｶｲｷﾞ", None),
    ("Ｐｏｒｔ１", None),
    ("привет", None),
    ("x-1", Some("x-1")),
];
const KEYS: [&str; 6] = ["TEXT", "BODY", "SUBJECT", "FROM", "TO", "HEADER X-Note"];
const ASKED: [&str; 18] = [
    "report",
    "PORT",
    "ort",
    "rep",
    "or",
    "会議",
    "議",
    "会",
    "かいぎ",
    "ｷﾞ",
    "議室",
    "grüsse",
    "größe",
    "port1",
    "ВЕТ",
    "report 会議",
    "x-1",
    "",
];

fn texts(rng: &mut Rng, is_jis: bool) -> String {
    let mut words = Vec::new();
    while (words.len() as u64) < 1 + rng.below(4) {
        let (word, jis) = *rng.pick(&WORDS);
        match jis {
            Some(jis) if is_jis => words.push(jis),
            _ if is_jis => {}
            _ => words.push(word),
        }
    }
    words.join(if rng.below(3) == 0 { "" } else { " " })
}

fn mail(rng: &mut Rng) -> String {
    let is_jis = rng.below(3) == 0;
    let charset = if is_jis { "iso-2022-jp" } else { "utf-8" };
    let mut header = String::new();
    for field in ["Subject", "To", "X-Note"] {
        if rng.below(2) == 0 {
            header += &format!("{field}: {}\r\n", texts(rng, is_jis));
        }
    }
    let sub = *rng.pick(&["plain", "html"]);
    let body = texts(rng, is_jis);
    format!(
        "From: {} <a@example.com>\r\n{header}Content-Type: text/{sub}; charset={charset}\r\n\r\n{body}\r\n",
        texts(rng, is_jis)
    )
}

fn fill(server: &Server, rng: &mut Rng, count: usize) {
    for _ in 0..count {
        server.deliver(&mail(rng));
    }
}

/// Indexes until there is nothing to do.
fn index(server: &Server) {
    while server.mail.block_on(server.search.step(ann())).expect("the store answers") == Step::Some {}
}

fn random_key(rng: &mut Rng, depth: u32) -> String {
    match rng.below(if depth == 0 { 3 } else { 6 }) {
        0..3 => {
            let asked = *rng.pick(&ASKED);
            format!("{} {{{}+}}\r\n{asked}", rng.pick(&KEYS), asked.len())
        }
        3 => format!("OR {} {}", random_key(rng, depth - 1), random_key(rng, depth - 1)),
        4 => format!("({} {})", random_key(rng, depth - 1), random_key(rng, depth - 1)),
        _ => format!("NOT {}", random_key(rng, depth - 1)),
    }
}

/// A key under NOT is not asked of the index: under two it means itself, and is judged on
/// every message.
fn compare(client: &mut Client, keys: &[String]) -> usize {
    let mut found = 0;
    for key in keys {
        let with = client.ok(&format!("SEARCH CHARSET UTF-8 {key}")).untagged_text();
        let without = client.ok(&format!("SEARCH CHARSET UTF-8 NOT NOT {key}")).untagged_text();
        assert_eq!(with, without, "{key}");
        found += with.split(' ').count() - 2;
    }
    found
}

fn an_index_changes_no_answer(mail: TestStore) {
    let server = Server::new(mail);
    let mut rng = Rng::new(20_261_124);
    let keys: Vec<String> = (0..60).map(|_| random_key(&mut rng, 2)).collect();
    fill(&server, &mut rng, 150);
    let mut client = server.sign_in();
    client.ok("CREATE Elsewhere");
    client.ok("SELECT INBOX");
    assert!(compare(&mut client, &keys) > 500, "without an index");
    index(&server);
    compare(&mut client, &keys);
    fill(&server, &mut rng, 40);
    client.ok("NOOP");
    client.ok("STORE 1:20,60:80 +FLAGS (\\Deleted)");
    client.ok("EXPUNGE");
    client.ok("COPY 1:50 Elsewhere");
    compare(&mut client, &keys);
    index(&server);
    let later = Timestamp::from_secs(server.mail.clock.now().as_secs() + 2 * 24 * 3600);
    server.mail.block_on(server.search.round(ann().shard, later)).expect("the store answers");
    compare(&mut client, &keys);
    client.ok("SELECT Elsewhere");
    compare(&mut client, &keys);
}

/// How often a message was read for a session.
fn reads(server: &Server) -> u64 {
    let metrics = server.mail.metrics();
    let line = metrics.lines().find(|line| line.contains("calls_total") && line.contains("\"imap.email\""));
    line.and_then(|line| line.rsplit(' ').next()).map_or(0, |count| count.parse().expect("a number"))
}

fn what_is_indexed_is_not_read(mail: TestStore) {
    let server = Server::new(mail);
    for number in 0..40 {
        server.deliver(&format!("Subject: number {number}\r\n\r\nwords in {number}\r\n"));
    }
    server.deliver("Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n明日の会議\r\n");
    index(&server);
    let mut client = server.sign_in();
    client.ok("SELECT INBOX");
    for (key, expected, read) in [
        ("TEXT {6+}\r\n会議", "* SEARCH 41", 1),
        ("TEXT \"umber 1\"", "* SEARCH 2 11 12 13 14 15 16 17 18 19 20", 40),
        ("TEXT nothing", "* SEARCH", 0),
        ("SUBJECT words", "* SEARCH", 0),
        ("OR BODY {6+}\r\n会議 SUBJECT nothing", "* SEARCH 41", 1),
        ("NOT BODY words", "* SEARCH 41", 41),
        ("BODY {6+}\r\n会議 NOT SUBJECT y", "* SEARCH 41", 1),
        ("BODY 33", "* SEARCH 34", 41),
    ] {
        let before = reads(&server);
        assert_eq!(client.ok(&format!("SEARCH {key}")).untagged_text(), expected, "{key}");
        assert_eq!(reads(&server) - before, read, "{key}");
    }
}

fn an_index_that_is_lost_or_old_is_made_anew(mail: TestStore) {
    use hikyaku_store::{Sql, StoreError};
    const AGE: Sql = Sql::new("UPDATE search_account SET version = 0");
    const DAMAGE: Sql = Sql::new("UPDATE search_block SET bytes = substr(bytes, 1, length(bytes) - 1)");
    let server = Server::new(mail);
    for number in 0..40 {
        server.deliver(&format!("Subject: number {number}\r\n\r\nwords {number}\r\n"));
    }
    let mut client = server.sign_in();
    client.ok("SELECT INBOX");
    for (broken, anew) in [(AGE, 0), (DAMAGE, 40)] {
        index(&server);
        let before = reads(&server);
        client.ok("SEARCH SUBJECT nothing");
        assert_eq!(reads(&server), before);
        server.mail.write::<_, StoreError, _>(move |tx| tx.execute(broken, &[])).expect("it is written");
        let answer = client.ok("SEARCH SUBJECT \"number 3\"").untagged_text();
        assert_eq!(answer, "* SEARCH 4 31 32 33 34 35 36 37 38 39 40");
        assert_eq!(reads(&server) - before, 40, "every message is read");
        index(&server);
        let before = reads(&server);
        client.ok("SEARCH SUBJECT nothing");
        assert_eq!(reads(&server) - before, anew);
    }
}

/// The indexer runs, as in the program.
fn searching_makes_an_account_wanted(mail: TestStore) {
    let server = Server::new(mail);
    for number in 0..20 {
        server.deliver(&format!("Subject: number {number}\r\n\r\nwords {number}\r\n"));
    }
    let search = server.search.clone();
    let mut client = server.sign_in();
    client.ok("SELECT INBOX");
    client.ok("SEARCH SUBJECT nothing");
    server.mail.block_on(async {
        let running = tokio::spawn(async move { search.run().await });
        while !server.search.is_idle() {
            tokio::task::yield_now().await;
        }
        running.abort();
    });
    let before = reads(&server);
    client.ok("SEARCH SUBJECT nothing");
    assert_eq!(reads(&server), before);
}
