//! CHUNKING, LIMITS and REQUIRETLS, as the server offers them.

use hikyaku_testkit::{TestStore, both_engines};

use crate::rig::client::Client;
use crate::rig::{Server, accepted};

both_engines! {
    what_is_offered_where
    chunks_are_one_message
    chunks_may_be_pipelined
    what_chunks_hold_is_never_a_command
    require_tls_is_for_tls
}

/// The extensions of a reply to EHLO, without those that always are there.
fn extensions(reply: &[String]) -> String {
    let always = ["PIPELINING", "SIZE 4194304", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"];
    let found: Vec<&str> = reply.iter().skip(1).map(|line| &line[4..]).collect();
    assert_eq!(found[..always.len()], always);
    found[always.len()..].join(",")
}

fn what_is_offered_where(mail: TestStore) {
    let server = Server::start(mail);
    let basic = "CHUNKING,DSN,LIMITS RCPTMAX=100 MAILMAX=100";
    let mut client = Client::connect(server.mx);
    client.talk("S: 220 mx.example ESMTP");
    assert_eq!(extensions(&client.ehlo()), format!("STARTTLS,{basic}"));
    client.talk("C: STARTTLS\nS: 220 2.0.0 Ready to start TLS");
    let mut client = client.start_tls(&server.authority);
    assert_eq!(extensions(&client.ehlo()), format!("{basic},REQUIRETLS"));
    // BINARYMIME is for those who submit.
    let mut client = Client::connect(server.submissions).start_tls(&server.authority);
    client.talk("S: 220 mx.example ESMTP");
    assert_eq!(
        extensions(&client.ehlo()),
        format!("AUTH PLAIN LOGIN,{}", basic.replace("CHUNKING", "CHUNKING,BINARYMIME") + ",REQUIRETLS")
    );
    let mut client = Client::connect(server.lmtp);
    client.talk("S: 220 mx.example LMTP\nC: LHLO relay.example");
    assert_eq!(extensions(&client.reply()), "STARTTLS,CHUNKING,LIMITS RCPTMAX=100 MAILMAX=10000");
    drop(client);
    server.end();
}

fn chunks_are_one_message(mail: TestStore) {
    // RFC 3030 section 4.1. A dot is a dot, and a chunk may end anywhere.
    let server = Server::start(mail);
    let mut client = Client::hello(server.mx);
    client.talk(
        "C: MAIL FROM:<a@client.example>
         S: 250 2.1.0 Sender OK
         C: RCPT TO:<ann@example.org>
         S: 250 2.1.5 Recipient OK",
    );
    client.write(b"BDAT 13\r\nSubject: one\r");
    client.talk("S: 250 2.0.0 13 octets received");
    client.write(b"BDAT 8\r\n\n\r\n.\r\n..");
    client.talk("S: 250 2.0.0 8 octets received");
    client.write(b"BDAT 0 LAST\r\n");
    accepted(&client.line());
    assert!(server.inbox("ann@example.org")[0].ends_with("\r\nSubject: one\r\n\r\n.\r\n.."));
    drop(client);
    server.end();
}

fn chunks_may_be_pipelined(mail: TestStore) {
    // RFC 3030 section 4.2.
    let server = Server::start(mail);
    let mut client = Client::hello(server.mx);
    client.write(
        b"MAIL FROM:<a@client.example>\r\nRCPT TO:<nobody@example.org>\r\nRCPT TO:<ann@example.org>\r\n\
          BDAT 16\r\nSubject: two\r\n\r\nBDAT 6 LAST\r\ntext\r\nQUIT\r\n",
    );
    client.talk(
        "S: 250 2.1.0 Sender OK
         S: 550 5.1.1 No such mailbox
         S: 250 2.1.5 Recipient OK
         S: 250 2.0.0 16 octets received
         S: 250 2.0.0 Accepted as …
         S: 221 2.0.0 Bye",
    );
    client.expect_end();
    assert!(server.inbox("ann@example.org")[0].ends_with("\r\nSubject: two\r\n\r\ntext\r\n"));
    server.end();
}

fn what_chunks_hold_is_never_a_command(mail: TestStore) {
    let server = Server::start(mail);
    let mut client = Client::hello(server.mx);
    let smuggled = b".\r\nMAIL FROM:<boss@example.org>\r\nRCPT TO:<bob@example.org>\r\n";
    // Without recipients the chunk is refused, and skipped all the same.
    client.write(&[format!("BDAT {} LAST\r\n", smuggled.len()).as_bytes(), smuggled].concat());
    client.talk("S: 503 5.5.1 MAIL first");
    client.talk(
        "C: MAIL FROM:<a@client.example>
         S: 250 2.1.0 Sender OK
         C: RCPT TO:<ann@example.org>
         S: 250 2.1.5 Recipient OK",
    );
    client.write(&[format!("BDAT {} LAST\r\n", smuggled.len()).as_bytes(), smuggled].concat());
    accepted(&client.line());
    // NUL is refused in chunks as well.
    client.talk(
        "C: MAIL FROM:<a@client.example>
         S: 250 2.1.0 Sender OK
         C: RCPT TO:<ann@example.org>
         S: 250 2.1.5 Recipient OK",
    );
    client.write(b"BDAT 3 LAST\r\na\0b");
    client.talk("S: 550 5.6.0 NUL in the message\nC: NOOP\nS: 250 2.0.0 OK");
    assert_eq!(server.inbox("ann@example.org").len(), 1);
    assert!(server.inbox("bob@example.org").is_empty());
    drop(client);
    server.end();
}

fn require_tls_is_for_tls(mail: TestStore) {
    // RFC 8689 section 4.2.1: a client in clear cannot ask for it.
    let server = Server::start(mail);
    let mut client = Client::hello(server.mx);
    client.talk(
        "C: MAIL FROM:<a@client.example> REQUIRETLS
         S: 555 5.5.4 Parameter not implemented
         C: STARTTLS
         S: 220 2.0.0 Ready to start TLS",
    );
    let mut client = client.start_tls(&server.authority);
    client.ehlo();
    client.talk(
        "C: MAIL FROM:<a@client.example> REQUIRETLS
         S: 250 2.1.0 Sender OK
         C: RCPT TO:<ann@example.org>
         S: 250 2.1.5 Recipient OK
         C: DATA
         S: 354 End with <CRLF>.<CRLF>
         C: .
         S: 250 2.0.0 Accepted as …",
    );
    assert!(server.inbox("ann@example.org")[0].contains(" with ESMTPS id "));
    drop(client);
    server.end();
}
