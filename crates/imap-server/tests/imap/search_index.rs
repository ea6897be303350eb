//! SEARCH with an index, without one, and with one that is behind: the answers are the same.

use hikyaku_mailstore::search::Step;
use hikyaku_store::{ServiceTx, Sql, StoreError};
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
        let with = client.ok(format!("SEARCH CHARSET UTF-8 {key}")).untagged_text();
        let without = client.ok(format!("SEARCH CHARSET UTF-8 NOT NOT {key}")).untagged_text();
        assert_eq!(with, without, "{key}");
        found += with.split(' ').count() - 2;
    }
    found
}

fn an_index_changes_no_answer(mail: TestStore) {
    let server = Server::new(mail);
    let mut rng = Rng::new(20_261_124);
    let keys: Vec<String> = (0..30).map(|_| random_key(&mut rng, 2)).collect();
    fill(&server, &mut rng, 140);
    let mut client = server.sign_in();
    client.ok("CREATE Elsewhere");
    client.ok("SELECT INBOX");
    assert!(compare(&mut client, &keys) > 300, "without an index");
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

/// Does this search read message 1? It is hidden meanwhile.
fn reads_the_first(server: &Server, client: &mut Client, key: &str) -> bool {
    const HIDE: Sql = Sql::new(
        "UPDATE content_bytes SET tenant = tenant + $1 WHERE id = (
            SELECT m.content FROM email m JOIN entry e ON e.email = m.id WHERE e.uid = 1)",
    );
    let hide = |by: i64| {
        let hidden = server.mail.write::<_, StoreError, _>(move |tx| tx.execute(HIDE, &[by.into()]));
        assert_eq!(hidden.expect("it is written"), 1);
    };
    hide(1_000);
    let answer = client.command(format!("SEARCH {key}"));
    hide(-1_000);
    answer.tagged.starts_with("NO")
}

fn numbered(mail: TestStore) -> Server {
    let server = Server::new(mail);
    for number in 1..=40 {
        server.deliver(&format!("Subject: number {number}\r\n\r\nwords in {number}\r\n"));
    }
    server
}

fn what_is_indexed_is_not_read(mail: TestStore) {
    let server = numbered(mail);
    server.deliver("Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n明日の会議\r\n");
    let mut client = server.sign_in();
    client.ok("SELECT INBOX");
    assert!(reads_the_first(&server, &mut client, "TEXT {6+}\r\n会議"));
    index(&server);
    for (key, expected, reads_it) in [
        ("TEXT {6+}\r\n会議", "* SEARCH 41", false),
        ("TEXT \"umber 3\"", "* SEARCH 3 30 31 32 33 34 35 36 37 38 39", true),
        ("TEXT nothing", "* SEARCH", false),
        ("SUBJECT words", "* SEARCH", false),
        ("OR BODY {6+}\r\n会議 SUBJECT nothing", "* SEARCH 41", false),
        ("OR BODY {6+}\r\n会議 ON 1-Jan-1999", "* SEARCH 41", true),
        ("NOT BODY words", "* SEARCH 41", true),
        ("BODY {6+}\r\n会議 NOT SUBJECT y", "* SEARCH 41", false),
        // Too short to be asked for.
        ("BODY 33", "* SEARCH 33", true),
    ] {
        assert_eq!(client.ok(format!("SEARCH {key}")).untagged_text(), expected, "{key}");
        assert_eq!(reads_the_first(&server, &mut client, key), reads_it, "{key}");
    }
}

fn an_index_that_is_lost_or_old_is_made_anew(mail: TestStore) {
    const AGE: Sql = Sql::new("UPDATE search_account SET version = 0");
    const DAMAGE: Sql = Sql::new("UPDATE search_segment SET emails = $1");
    let server = numbered(mail);
    let mut client = server.sign_in();
    client.ok("SELECT INBOX");
    // A damaged segment is not made anew before others are merged with it.
    let breaks: [(Sql, &'static [&'static [u8]], bool); 2] = [(AGE, &[], false), (DAMAGE, &[b"\x80"], true)];
    for (broken, parameters, stays) in breaks {
        index(&server);
        assert!(!reads_the_first(&server, &mut client, "SUBJECT nothing"));
        let break_it = move |tx: &mut ServiceTx<'_>| {
            tx.execute(broken, &parameters.iter().map(|&bytes| bytes.into()).collect::<Vec<_>>())
        };
        assert_eq!(server.mail.write::<_, StoreError, _>(break_it).expect("it is written"), 1);
        let answer = client.ok("SEARCH SUBJECT \"number 3\"").untagged_text();
        assert_eq!(answer, "* SEARCH 3 30 31 32 33 34 35 36 37 38 39");
        assert!(reads_the_first(&server, &mut client, "SUBJECT nothing"));
        index(&server);
        assert_eq!(reads_the_first(&server, &mut client, "SUBJECT nothing"), stays);
    }
}

/// The indexer runs, as in the program.
fn searching_makes_an_account_wanted(mail: TestStore) {
    let server = numbered(mail);
    let mut client = server.sign_in();
    client.ok("SELECT INBOX");
    client.ok("SEARCH SUBJECT nothing");
    let search = server.search.clone();
    server.mail.block_on(async {
        let running = tokio::spawn(async move { search.run().await });
        while !server.search.is_idle() {
            tokio::task::yield_now().await;
        }
        running.abort();
    });
    assert!(!reads_the_first(&server, &mut client, "SUBJECT nothing"));
}
