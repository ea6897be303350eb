//! Delivery status notifications: who is told of a delivery, and who is not.

use hikyaku_mailstore::Quota;
use hikyaku_testkit::{TestStore, both_engines};

use crate::OWN_MAIL;
use crate::rig::client::Client;
use crate::rig::{Server, Setup, accepted};

both_engines! {
    dsn_is_offered_where_it_is_kept
    a_stranger_is_told_of_a_delivery
    an_account_is_told_in_its_mailbox
    nobody_is_told_who_did_not_ask
    a_repeated_message_is_told_once
    several_recipients_are_expanded
    what_was_asked_goes_on_with_a_forward
    a_report_that_finds_no_room_is_dropped
}

const MAIL: &[u8] = b"From: s@client.example\r\nSubject: told\r\n\r\nNot given back\r\n";

/// Sends with these parameters of MAIL and RCPT.
fn send(client: &mut Client, from: &str, to: &str, content: &[u8]) -> String {
    client.talk(&format!(
        "C: MAIL FROM:{from}
         S: 250 2.1.0 Sender OK
         C: RCPT TO:{to}
         S: 250 2.1.5 Recipient OK
         C: DATA
         S: 354 End with <CRLF>.<CRLF>"
    ));
    client.write(&[content, b".\r\n"].concat());
    client.line()
}

fn dsn_is_offered_where_it_is_kept(mail: TestStore) {
    let server = Server::start(mail);
    let offers = |lines: Vec<String>| lines.iter().any(|line| line.get(4..) == Some("DSN"));
    let mut client = Client::connect(server.mx);
    client.talk("S: 220 mx.example ESMTP");
    assert!(offers(client.ehlo()));
    let mut submission = Client::connect(server.submission);
    submission.talk("S: 220 mx.example ESMTP");
    assert!(offers(submission.ehlo()));
    let mut lmtp = Client::connect(server.lmtp);
    lmtp.talk("S: 220 mx.example LMTP\nC: LHLO relay.example");
    assert!(!offers(lmtp.reply()), "of a recipient whose mailbox is full nothing could be told");
    drop((client, submission, lmtp));
    server.end();
}

fn a_stranger_is_told_of_a_delivery(mail: TestStore) {
    let server = Server::start(mail);
    let mut client = Client::hello(server.mx);
    let from = "<s@client.example> RET=FULL ENVID=QQ+2B314159";
    let to = "<ann@example.org> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Ann+40home.example";
    accepted(&send(&mut client, from, to, MAIL));
    assert_eq!(server.inbox("ann@example.org").len(), 1);
    let [item] = &server.queue()[..] else { panic!("one report") };
    assert_eq!((item.kind.as_str(), item.reverse_path.as_str()), ("report", ""));
    let to = &item.recipients[0];
    assert_eq!((to.address.as_str(), to.notify.as_deref()), ("s@client.example", Some("NEVER")));
    let report = server.queued_message(item.id.parse().unwrap());
    assert!(
        report.starts_with("From: Mail Delivery <postmaster@mx.example>\r\nTo: <s@client.example>\r\n"),
        "{report}"
    );
    let told = "Original-Envelope-Id: QQ+314159\r\n\
                Reporting-MTA: dns; mx.example\r\n\
                Arrival-Date: Tue, 24 Nov 2026 12:00:00 +0000\r\n\r\n\
                Original-Recipient: rfc822; Ann@home.example\r\n\
                Final-Recipient: rfc822; ann@example.org\r\n\
                Action: delivered\r\n\
                Status: 2.0.0\r\n";
    assert!(report.contains(told), "{report}");
    // RFC 3461 section 4.3: RET=FULL is for failures.
    assert!(report.contains("\r\nSubject: told\r\n") && !report.contains("Not given back"), "{report}");
    drop(client);
    server.end();
}

fn an_account_is_told_in_its_mailbox(mail: TestStore) {
    let server = Server::start(mail);
    let mut client = server.ann();
    accepted(&send(
        &mut client,
        "<sales@example.org>",
        "<carol@example.net> NOTIFY=SUCCESS",
        OWN_MAIL.as_bytes(),
    ));
    let [report] = &server.inbox("ann@example.org")[..] else { panic!("one report") };
    assert!(
        report.starts_with("Return-Path: <>\r\nDelivered-To: sales@example.org\r\nFrom: Mail Delivery"),
        "{report}"
    );
    assert!(
        report.contains("Final-Recipient: rfc822; carol@example.net\r\nAction: delivered\r\n"),
        "{report}"
    );
    assert_eq!(server.queue(), []);
    drop(client);
    server.end();
}

fn nobody_is_told_who_did_not_ask(mail: TestStore) {
    let server = Server::start(mail);
    let mut client = Client::hello(server.mx);
    for (number, (from, params)) in [
        ("<s@client.example>", ""),
        ("<s@client.example>", " NOTIFY=NEVER"),
        ("<s@client.example>", " NOTIFY=FAILURE,DELAY"),
        ("<>", " NOTIFY=SUCCESS"),
        // Nor can be told: an address of ours that nobody has, and a literal.
        ("<nobody@example.org>", " NOTIFY=SUCCESS"),
        ("<s@[192.0.2.1]>", " NOTIFY=SUCCESS"),
    ]
    .into_iter()
    .enumerate()
    {
        accepted(&send(&mut client, from, &format!("<ann@example.org>{params}"), MAIL));
        assert_eq!(server.inbox("ann@example.org").len(), number + 1, "{from}{params}");
        assert_eq!(server.queue(), [], "{from}{params}");
        // The same mail again is meant.
        client.talk("C: NOOP\nS: 250 2.0.0 OK");
        server.wait_for_forgotten_keys();
    }
    drop(client);
    server.end();
}

fn a_repeated_message_is_told_once(mail: TestStore) {
    let server = Server::start(mail);
    let from = "<s@client.example>";
    for _ in 0..2 {
        // The connection breaks before it shows that the reply was heard.
        let mut client = Client::hello(server.mx);
        accepted(&send(&mut client, from, "<ann@example.org> NOTIFY=SUCCESS", MAIL));
        drop(client);
    }
    assert_eq!(server.inbox("ann@example.org").len(), 1);
    assert_eq!(server.queue().len(), 1);
    server.end();
}

fn several_recipients_are_expanded(mail: TestStore) {
    // RFC 3461 section 5.2.7.3
    let server = Server::start(mail);
    let mut client = Client::hello(server.mx);
    accepted(&send(&mut client, "<s@client.example>", "<team@example.org> NOTIFY=SUCCESS,DELAY", MAIL));
    let queue = server.queue();
    let [report, forward] = &queue[..] else { panic!("told and forwarded: {queue:?}") };
    assert_eq!((forward.kind.as_str(), forward.recipient_count), ("forward", 2));
    assert!(forward.recipients.iter().all(|one| one.notify.as_deref() == Some("DELAY")), "{forward:?}");
    let report = server.queued_message(report.id.parse().unwrap());
    assert!(report.contains("Final-Recipient: rfc822; team@example.org\r\nAction: expanded\r\n"), "{report}");
    drop(client);
    server.end();
}

fn what_was_asked_goes_on_with_a_forward(mail: TestStore) {
    let server = Server::start(mail);
    let mut client = Client::hello(server.mx);
    let to = "<out@example.org> NOTIFY=SUCCESS ORCPT=rfc822;first@home.example";
    accepted(&send(&mut client, "<s@client.example> ENVID=x RET=HDRS", to, MAIL));
    let [forward] = &server.queue()[..] else { panic!("nobody is told yet") };
    assert_eq!((forward.envid.as_deref(), forward.ret.as_deref()), (Some("x"), Some("HDRS")));
    let to = &forward.recipients[0];
    assert_eq!(to.notify.as_deref(), Some("SUCCESS"));
    assert_eq!(to.original_recipient.as_deref(), Some("rfc822;first@home.example"));
    drop(client);
    server.end();
}

fn a_report_that_finds_no_room_is_dropped(mail: TestStore) {
    let server = Server::start_with(mail, Setup { quota: Quota(Some(4_000)), ..Setup::default() });
    let mut client = server.ann();
    let full = format!("{OWN_MAIL}{}", "a line of no interest\r\n".repeat(140));
    accepted(&client.mail("ann@example.org", &["ann@example.org"], full.as_bytes()));
    accepted(&send(
        &mut client,
        "<ann@example.org>",
        "<carol@example.net> NOTIFY=SUCCESS",
        OWN_MAIL.as_bytes(),
    ));
    assert_eq!((server.inbox("carol@example.net").len(), server.inbox("ann@example.org").len()), (1, 1));
    drop(client);
    server.end();
}
