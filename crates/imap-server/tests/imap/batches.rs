//! More messages than a batch has, some of them large, in one FETCH.

use hikyaku_store::{Sql, StoreError};
use hikyaku_testkit::{TestStore, both_engines};

use crate::server::Server;

both_engines! { every_message_is_told_with_its_own_body }

const LOSE: Sql = Sql::new(
    "DELETE FROM content_bytes WHERE id = (SELECT m.content FROM email m JOIN entry e ON e.email = m.id WHERE e.uid = 100)",
);
const MESSAGES: usize = 150;
const LOST: usize = 100;
const GONE: usize = 30;

/// Every fortieth is larger than a batch of several may be.
fn body(number: usize) -> String {
    let lines = if number.is_multiple_of(40) { 60_000 } else { 1 };
    format!("body {number:04}\r\n").repeat(lines)
}

fn every_message_is_told_with_its_own_body(mail: TestStore) {
    let server = Server::new(mail);
    for number in 1..=MESSAGES {
        server.deliver(&format!("Subject: {number}\r\n\r\n{}", body(number)));
    }
    server.mail.write::<_, StoreError, _>(|tx| tx.execute(LOSE, &[])).expect("it is written");
    let mut client = server.sign_in();
    client.ok("SELECT INBOX");
    // Another client takes one away, and this one has not been told.
    let mut other = server.sign_in();
    other.ok("SELECT INBOX");
    other.ok(format!("STORE {GONE} +FLAGS.SILENT (\\Deleted)"));
    other.ok("EXPUNGE");
    for item in ["BODY.PEEK[TEXT]", "BODY.PEEK[]"] {
        client.send(format!("b FETCH 1:* ({item})\r\n").as_bytes());
        let mut told = Vec::new();
        let tagged = loop {
            let response = client.response();
            if response.starts_with(b"b ") {
                break response;
            }
            if response.ends_with(b")") {
                told.push(String::from_utf8(response).expect("7 bits"));
            }
        };
        assert!(tagged.starts_with(b"b NO [UNAVAILABLE]"), "{}", String::from_utf8_lossy(&tagged));
        let there = (1..=MESSAGES).filter(|number| ![LOST, GONE].contains(number));
        for (number, told) in there.clone().zip(&told) {
            assert!(told.starts_with(&format!("* {number} FETCH ")), "{number}: {}", &told[..40]);
            assert!(told.ends_with(&format!("{})", body(number))), "{number}");
        }
        assert_eq!(told.iter().filter(|told| told.contains("BODY[")).count(), there.count());
    }
}
