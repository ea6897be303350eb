//! LMTP, RFC 2033: a reply for each recipient, and no second copy after a lost one.

use hikyaku_mailstore::Quota;
use hikyaku_testkit::{TestStore, both_engines};

use crate::rig::{Server, Setup, accepted};

both_engines! {
    each_recipient_has_its_reply
    a_full_mailbox_is_one_recipients_matter
    lost_replies_make_no_second_copy
    chunks_have_a_reply_for_each_recipient
    smtp_is_not_spoken_here
}

const MAIL: &str = "Subject: Hello\r\n\r\ntext\r\n";

fn each_recipient_has_its_reply(mail: TestStore) {
    // RFC 2033 section 4.2.
    let server = Server::start(mail);
    let mut client = server.lmtp_client();
    client.talk(
        "C: MAIL FROM:<a@client.example>
         S: 250 2.1.0 Sender OK
         C: RCPT TO:<carol@example.net>
         S: 250 2.1.5 Recipient OK
         C: RCPT TO:<nobody@example.org>
         S: 550 5.1.1 No such mailbox
         C: RCPT TO:<ann@example.org>
         S: 250 2.1.5 Recipient OK
         C: RCPT TO:<sales@example.org>
         S: 250 2.1.5 Recipient OK
         C: DATA
         S: 354 End with <CRLF>.<CRLF>
         C: Subject: Hello
         C:
         C: text
         C: .",
    );
    let [carol, ann, sales] = [(); 3].map(|()| accepted(&client.line()));
    assert_ne!(carol, ann);
    assert_eq!(ann, sales, "two addresses of one account are one copy");
    for (address, trace) in [("carol@example.net", carol), ("ann@example.org", ann)] {
        assert!(server.trace(address, trace).is_some(), "{address}");
        let inbox = server.inbox(address);
        assert_eq!(inbox.len(), 1, "{address}");
        assert!(inbox[0].contains(" with LMTP id ") && inbox[0].ends_with(MAIL), "{}", inbox[0]);
    }
    client.talk(
        "C: MAIL FROM:<a@client.example>
         S: 250 2.1.0 Sender OK
         C: DATA
         S: 503 5.5.1 No valid recipients
         C: QUIT
         S: 221 2.0.0 Bye",
    );
    client.expect_end();
    server.end();
}

fn a_full_mailbox_is_one_recipients_matter(mail: TestStore) {
    let server = Server::start_with(mail, Setup { quota: Quota(Some(1_500)), ..Setup::default() });
    let mut client = server.lmtp_client();
    accepted(&client.mail("a@client.example", &["ann@example.org"], &[b'x'; 900]));
    client.content(
        "a@client.example",
        &["bob@example.org", "ann@example.org", "carol@example.net"],
        &[b'y'; 700],
    );
    accepted(&client.line());
    client.talk("S: 452 4.2.2 Mailbox full");
    accepted(&client.line());
    // What was refused is not taken for a copy when it comes again.
    client.content("a@client.example", &["ann@example.org"], &[b'y'; 700]);
    client.talk("S: 452 4.2.2 Mailbox full");
    for (address, count) in [("ann@example.org", 1), ("bob@example.org", 1), ("carol@example.net", 1)] {
        assert_eq!(server.inbox(address).len(), count, "{address}");
    }
    drop(client);
    server.end();
}

fn lost_replies_make_no_second_copy(mail: TestStore) {
    let server = Server::start_with(mail, Setup { quota: Quota(Some(1_500)), ..Setup::default() });
    let mut client = server.lmtp_client();
    accepted(&client.mail("a@client.example", &["ann@example.org"], &[b'x'; 900]));
    drop(client);
    let to = ["bob@example.org", "ann@example.org", "carol@example.net"];
    for _ in 0..2 {
        let mut client = server.lmtp_client();
        client.content("a@client.example", &to, &[b'y'; 700]);
        client.lose_replies("");
    }
    let mut client = server.lmtp_client();
    client.content("a@client.example", &to, &[b'y'; 700]);
    let bob = accepted(&client.line());
    client.talk("S: 452 4.2.2 Mailbox full");
    accepted(&client.line());
    assert!(server.trace("bob@example.org", bob).is_some(), "the reply tells the trace of the copy");
    for address in to {
        assert_eq!(server.inbox(address).len(), 1, "{address}");
    }
    drop(client);
    server.end();
}

fn chunks_have_a_reply_for_each_recipient(mail: TestStore) {
    let server = Server::start(mail);
    let mut client = server.lmtp_client();
    client.talk(
        "C: MAIL FROM:<>
         S: 250 2.1.0 Sender OK
         C: RCPT TO:<ann@example.org>
         S: 250 2.1.5 Recipient OK
         C: RCPT TO:<bob@example.org>
         S: 250 2.1.5 Recipient OK",
    );
    client.write(b"BDAT 10\r\nSubject: x");
    client.talk("S: 250 2.0.0 10 octets received");
    client.write(b"BDAT 4 LAST\r\n\r\n\r\n");
    accepted(&client.line());
    accepted(&client.line());
    assert_eq!(server.inbox("bob@example.org").len(), 1);
    drop(client);
    server.end();
}

fn smtp_is_not_spoken_here(mail: TestStore) {
    let server = Server::start(mail);
    let mut client = server.lmtp_client();
    client.talk(
        "C: EHLO client.example
         S: 500 5.5.1 Unknown command
         C: HELO client.example
         S: 500 5.5.1 Unknown command
         C: AUTH PLAIN
         S: 500 5.5.1 Unknown command",
    );
    drop(client);
    server.end();
}
