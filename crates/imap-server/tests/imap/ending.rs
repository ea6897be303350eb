//! Sessions that an administrator ends, wherever they are.

use hikyaku_sign_in::{Wanted, Which};
use hikyaku_testkit::{TestStore, both_engines};

use crate::client::Client;
use crate::server::{Server, ann, bob};

both_engines! {
    wherever_it_is_a_session_is_told_and_ends
    a_client_that_takes_nothing_is_cut_off
    a_session_has_the_name_that_its_client_gives
}

const BYE: &[u8] = b"* BYE This session was ended, please sign in again";

fn end_anns(server: &Server) -> usize {
    let ended = server.gate.end_sessions(Which::Account(ann().account), "operator root", None);
    server.mail.block_on(ended).unwrap().len()
}

fn is_told_and_ended(client: &mut Client) {
    assert_eq!(client.line().as_deref(), Some(BYE));
    assert_eq!(client.line(), None);
}

fn wherever_it_is_a_session_is_told_and_ends(mail: TestStore) {
    let server = Server::new(mail);
    let mut bobs = server.connect();
    bobs.ok("LOGIN bob@example.org secret");
    let (mut silent, mut idle, mut compressed) = (server.sign_in(), server.sign_in(), server.sign_in());
    idle.ok("SELECT INBOX");
    idle.send(b"i IDLE\r\n");
    assert_eq!(idle.line().as_deref(), Some(&b"+ idling"[..]));
    compressed.ok("COMPRESS DEFLATE");
    compressed.compress();
    let mut left = server.sign_in();
    left.ok("UNAUTHENTICATE");
    assert_eq!(end_anns(&server), 3);
    for client in [&mut silent, &mut idle, &mut compressed] {
        is_told_and_ended(client);
    }
    // They are counted until their tasks have ended.
    server.until_sessions_are(2);
    bobs.ok("NOOP");
    left.ok("LOGIN ann@example.org secret");
    assert_eq!(end_anns(&server), 1);
    is_told_and_ended(&mut left);
    server.until_sessions_are(1);
    assert_eq!(end_anns(&server), 0);
}

/// Its answers fill every buffer between, and it would be waited for for two minutes.
fn a_client_that_takes_nothing_is_cut_off(mail: TestStore) {
    let server = Server::new(mail);
    server.deliver(&format!("Subject: large\r\n\r\n{}", "x".repeat(70).repeat(30_000)));
    let mut client = server.sign_in();
    client.ok("SELECT INBOX");
    client.send("f FETCH 1 BODY[]\r\n".repeat(20).as_bytes());
    // It has begun.
    client.bytes(1);
    assert_eq!(end_anns(&server), 1);
    server.until_sessions_are(0);
}

fn a_session_has_the_name_that_its_client_gives(mail: TestStore) {
    let server = Server::new(mail);
    let mut client = server.connect();
    client.ok("LOGIN bob@example.org secret");
    let names = || -> Vec<String> {
        let of_bob = server.gate.sessions(Wanted::Account(bob().account));
        let found = server.mail.block_on(of_bob).unwrap();
        found.iter().map(|session| session.client.as_str().to_owned()).collect()
    };
    assert_eq!(names(), [""]);
    client.ok("ID (\"name\" \"Thunderbird\" \"version\" \"140\")");
    assert_eq!(names(), ["Thunderbird 140"]);
    client.ok("LOGOUT");
    server.until_sessions_are(0);
    assert_eq!(names(), [""; 0]);
}
