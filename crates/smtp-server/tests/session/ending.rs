//! Sessions that an administrator ends.

use hikyaku_sign_in::{Wanted, Which};
use hikyaku_testkit::{TestStore, both_engines};

use crate::rig::client::Client;
use crate::rig::{Server, accepted, home};

both_engines! {
    a_session_that_is_ended_is_told_so
}

fn a_session_that_is_ended_is_told_so(mail: TestStore) {
    let server = Server::start(mail);
    let (silent, mut sending, mut stranger) = (server.ann(), server.ann(), Client::hello(server.mx));
    sending.talk(
        "C: MAIL FROM:<ann@example.org>
         S: 250 …
         C: RCPT TO:<carol@example.net>
         S: 250 …
         C: DATA
         S: 354 …",
    );
    sending.write(b"Subject: half of\r\n");
    let account = home("ann@example.org").account;
    let ended = server.gate.end_sessions(Which::Account(account), "operator root", Some("a thief"));
    assert_eq!(server.mail.block_on(ended).unwrap().len(), 2);
    for mut client in [silent, sending] {
        assert_eq!(client.line(), "421 4.7.0 This session was ended, sign in again");
        client.expect_end();
    }
    accepted(&stranger.mail("a@client.example", &["carol@example.net"], b"Subject: x\r\n\r\n"));
    let rest = server.mail.block_on(server.gate.sessions(Wanted::All)).unwrap();
    assert_eq!(rest, []);
    drop(stranger);
    assert_eq!(server.inbox("carol@example.net").len(), 1, "half a message is none");
    server.end();
}
