//! What becomes of submitted messages: authors, missing fields, binary parts.

use hikyaku_testkit::{TestStore, both_engines};

use crate::rig::client::Client;
use crate::rig::{Server, accepted};

both_engines! {
    nobody_writes_in_anothers_name
    missing_fields_are_added
    a_lost_reply_makes_no_second_copy_of_a_completed_message
    binary_parts_arrive_in_base64
    binary_is_for_submission_and_chunks
    nul_has_its_place
}

fn nobody_writes_in_anothers_name(mail: TestStore) {
    let server = Server::start(mail);
    let mut client = server.ann();
    for (fields, field) in [
        ("From: Bob <bob@example.org>", "From"),
        ("From: ann@example.org\r\nSender: bob@example.org", "Sender"),
        ("From: ann@example.org, boss@elsewhere.example", "From"),
    ] {
        let reply =
            client.mail("ann@example.org", &["carol@example.net"], format!("{fields}\r\n\r\n").as_bytes());
        assert_eq!(reply, format!("550 5.7.1 You may not send with this address in {field}"));
    }
    accepted(&client.mail("ann@example.org", &["carol@example.net"], b"From: sales@example.org\r\n\r\n"));
    // Strangers say what they want on port 25; who is to be believed is another question.
    let mut stranger = Client::hello(server.mx);
    accepted(&stranger.mail("a@client.example", &["carol@example.net"], b"From: b@client.example\r\n\r\n"));
    assert_eq!(server.inbox("carol@example.net").len(), 2);
    drop((client, stranger));
    server.end();
}

fn missing_fields_are_added(mail: TestStore) {
    // RFC 6409 sections 8.2 and 8.3; not for mail of strangers.
    let server = Server::start(mail);
    let mut client = server.ann();
    let trace =
        accepted(&client.mail("ann@example.org", &["carol@example.net"], b"Subject: x\r\n\r\ntext\r\n"));
    let inbox = server.inbox("carol@example.net");
    let (_, content) = inbox[0].split_once("From: <ann@example.org>\r\n").unwrap();
    let rest = content.strip_prefix("Date: Tue, 24 Nov 2026 12:00:00 +0000\r\nMessage-ID: <").unwrap();
    let (id, rest) = rest.split_once(">\r\n").unwrap();
    assert_eq!(rest, "Subject: x\r\n\r\ntext\r\n");
    assert_eq!(server.trace("carol@example.net", trace).unwrap().message_id.as_deref(), Some(id));
    let mut stranger = Client::hello(server.mx);
    accepted(&stranger.mail("a@client.example", &["ann@example.org"], b"Subject: x\r\n\r\n"));
    assert!(server.inbox("ann@example.org")[0].ends_with("+0000\r\nSubject: x\r\n\r\n"));
    drop((client, stranger));
    server.end();
}

fn a_lost_reply_makes_no_second_copy_of_a_completed_message(mail: TestStore) {
    let server = Server::start(mail);
    let mut client = server.ann();
    // The reply is on its way, and nothing shows that it arrived: the connection breaks.
    accepted(&client.mail("ann@example.org", &["bob@example.org"], b"Subject: x\r\n\r\n"));
    client.break_off();
    let mut client = server.ann();
    accepted(&client.mail("ann@example.org", &["bob@example.org"], b"Subject: x\r\n\r\n"));
    assert_eq!(server.inbox("bob@example.org").len(), 1);
    drop(client);
    server.end();
}

/// Sends octets as BINARYMIME; the reply.
fn send_binary(client: &mut Client, content: &[u8]) -> String {
    client.talk(
        "C: MAIL FROM:<ann@example.org> BODY=BINARYMIME
         S: 250 2.1.0 Sender OK
         C: RCPT TO:<bob@example.org>
         S: 250 2.1.5 Recipient OK",
    );
    client.write(&[format!("BDAT {} LAST\r\n", content.len()).as_bytes(), content].concat());
    client.line()
}

fn binary_parts_arrive_in_base64(mail: TestStore) {
    // RFC 3030 section 3.
    let server = Server::start(mail);
    let mut client = server.ann();
    let header = "From: ann@example.org\r\nDate: x\r\nMessage-ID: <1@example.org>\r\nMIME-Version: 1.0\r\n";
    let content = format!(
        "{header}Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: binary\r\n\r\n\
         --b\r\nContent-Transfer-Encoding: 8bit\r\n\r\nテキスト\n--b\r\n\
         Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\n\r.\r\n--b--\r\n"
    );
    accepted(&send_binary(&mut client, content.as_bytes()));
    let expected = format!(
        "{header}Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
         --b\r\nContent-Transfer-Encoding: 8bit\r\n\r\nテキスト\r\n--b\r\n\
         Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAoNLg==\r\n\r\n--b--\r\n"
    );
    assert!(
        server.inbox("bob@example.org")[0].ends_with(&expected),
        "{}",
        server.inbox("bob@example.org")[0]
    );
    drop(client);
    server.end();
}

fn binary_is_for_submission_and_chunks(mail: TestStore) {
    let server = Server::start(mail);
    let mut stranger = Client::hello(server.mx);
    stranger.talk("C: MAIL FROM:<a@client.example> BODY=BINARYMIME\nS: 555 5.5.4 Parameter not implemented");
    let mut client = server.ann();
    client.talk(
        "C: MAIL FROM:<ann@example.org> BODY=BINARYMIME
         S: 250 2.1.0 Sender OK
         C: RCPT TO:<bob@example.org>
         S: 250 2.1.5 Recipient OK
         C: DATA
         S: 503 5.5.1 BINARYMIME needs BDAT",
    );
    drop((client, stranger));
    server.end();
}

fn nul_has_its_place(mail: TestStore) {
    let server = Server::start(mail);
    let mut client = server.ann();
    for content in [
        &b"Message-ID: <a\0b@example.org>\r\nContent-Transfer-Encoding: binary\r\n\r\n\0"[..],
        b"Subject: not labelled\r\n\r\n\0\r\n",
    ] {
        assert_eq!(send_binary(&mut client, content), "550 5.6.0 NUL in the message");
    }
    assert!(server.inbox("bob@example.org").is_empty());
    drop(client);
    server.end();
}
