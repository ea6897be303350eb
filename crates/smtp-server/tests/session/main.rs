//! The whole server on both engines: what clients are told, and what is in the mailboxes.

mod dsn;
mod elsewhere;
mod ending;
mod extensions;
mod isolation;
mod judge;
mod lmtp;
mod rig;
mod scram;
mod submission;
mod tags;
mod trace;

use std::time::Duration;

use hikyaku_mailstore::Quota;
use hikyaku_net::Limits;
use hikyaku_smtp_proto::content::LineEnds;
use hikyaku_smtp_server::Limits as Shared;
use hikyaku_testkit::{TestStore, both_engines};
use rig::client::Client;
use rig::{PASSWORD, Server, Setup, accepted, home, wait_for};

both_engines! {
    a_strangers_mail_is_in_the_inbox_byte_for_byte
    pipelined_commands_are_answered_in_order
    what_was_reset_in_one_go_is_not_delivered
    who_gets_no_mail_here
    two_tenants_in_one_transaction
    two_addresses_of_one_account_get_one_copy
    an_address_beyond_ascii
    a_full_mailbox_refuses_for_all
    a_recipient_that_is_full_is_refused_alone
    a_mailbox_that_stays_full_is_refused_for_good
    a_lost_reply_makes_no_second_copy
    a_client_that_hears_nothing_makes_no_second_copy
    the_same_mail_on_purpose_is_there_twice
    submission_needs_tls_and_a_password
    an_account_submits_as_itself
    what_was_sent_in_clear_does_not_count_under_tls
    dots_and_line_ends
    what_looks_like_an_end_is_content
    ends_that_come_in_pieces_are_content
    bare_line_ends_may_be_refused
    mail_that_comes_back_is_refused
    too_large_a_content_is_refused
    a_closed_store_defers
    connections_beyond_the_limit_are_told
    the_end_waits_for_an_open_transaction
    the_end_during_a_delivery_is_told
    what_was_sent_before_the_reply_does_not_show_that_it_came
    idle_sessions_need_no_room
    large_contents_at_once_do_not_wait_for_each_other_for_ever
}

const MAIL: &str = "From: Stranger <stranger@client.example>\r\n\
                    Message-ID: <1@client.example>\r\n\
                    Subject: Hello\r\n\r\n.A line with a dot.\r\n\r\n..\r\nThe end\r\n";

/// With all that a submission needs.
const OWN_MAIL: &str = "From: Ann <ann@example.org>\r\n\
                        Message-ID: <1@example.org>\r\n\
                        Date: Tue, 24 Nov 2026 12:00:00 +0000\r\n\r\nHello\r\n";

fn a_strangers_mail_is_in_the_inbox_byte_for_byte(mail: TestStore) {
    let server = Server::start(mail);
    let mut client = Client::hello(server.mx);
    let reply = client.mail("stranger@client.example", &["Ann+shop@EXAMPLE.org"], MAIL.as_bytes());
    client.talk("C: QUIT\nS: 221 2.0.0 Bye");
    client.expect_end();

    let trace = accepted(&reply);
    let expected = format!(
        "Return-Path: <stranger@client.example>\r\n\
         Delivered-To: Ann+shop@example.org\r\n\
         Received: from client.example ([127.0.0.1])\r\n\
         \tby mx.example with ESMTP id {trace}\r\n\
         \tfor <Ann+shop@example.org>;\r\n\
         \tTue, 24 Nov 2026 12:00:00 +0000\r\n{MAIL}"
    );
    assert_eq!(server.inbox("ann@example.org"), [expected]);
    let record = server.trace("ann@example.org", trace).expect("the trace has the id of the reply");
    assert_eq!(record.account, Some(home("ann@example.org").account));
    assert_eq!(record.event, hikyaku_trace::Event::Delivered);
    assert_eq!(
        (record.reverse_path.as_str(), record.recipient.as_str(), record.peer.as_deref()),
        ("stranger@client.example", "Ann+shop@example.org", Some("127.0.0.1"))
    );
    assert_eq!((record.message_id.as_deref(), record.size), (Some("1@client.example"), MAIL.len() as u64));
    server.end();
}

fn pipelined_commands_are_answered_in_order(mail: TestStore) {
    // RFC 2920 section 3.1: DATA ends a group, and the next group may begin after the dot.
    let server = Server::start(mail);
    let mut client = Client::hello(server.mx);
    client.talk(
        "C: MAIL FROM:<a@client.example>
         C: RCPT TO:<nobody@example.org>
         C: RCPT TO:<bob@example.org>
         C: RCPT TO:<carol@example.net>
         C: DATA
         S: 250 2.1.0 Sender OK
         S: 550 5.1.1 No such mailbox
         S: 250 2.1.5 Recipient OK
         S: 250 2.1.5 Recipient OK
         S: 354 End with <CRLF>.<CRLF>
         C: Subject: first
         C:
         C: .
         C: MAIL FROM:<b@client.example>
         C: RCPT TO:<ann@example.org>
         C: DATA
         S: 250 2.0.0 Accepted as …
         S: 250 2.1.0 Sender OK
         S: 250 2.1.5 Recipient OK
         S: 354 End with <CRLF>.<CRLF>
         C: Subject: second
         C:
         C: .
         C: QUIT
         S: 250 2.0.0 Accepted as …
         S: 221 2.0.0 Bye",
    );
    client.expect_end();
    for (address, from, subject) in [
        ("bob@example.org", "<a@client.example>", "first"),
        ("carol@example.net", "<a@client.example>", "first"),
        ("ann@example.org", "<b@client.example>", "second"),
    ] {
        let inbox = server.inbox(address);
        assert_eq!(inbox.len(), 1, "{address}");
        assert!(inbox[0].starts_with(&format!("Return-Path: {from}\r\n")), "{}", inbox[0]);
        assert!(inbox[0].ends_with(&format!("\r\nSubject: {subject}\r\n\r\n")), "{}", inbox[0]);
    }
    server.end();
}

fn what_was_reset_in_one_go_is_not_delivered(mail: TestStore) {
    let server = Server::start(mail);
    let mut client = Client::hello(server.mx);
    client.write(
        b"MAIL FROM:<a@client.example>\r\nRCPT TO:<ann@example.org>\r\nRSET\r\n\
          MAIL FROM:<a@client.example>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n",
    );
    client.talk(
        "S: 250 2.1.0 Sender OK
         S: 250 2.1.5 Recipient OK
         S: 250 2.0.0 OK
         S: 250 2.1.0 Sender OK
         S: 250 2.1.5 Recipient OK
         S: 354 End with <CRLF>.<CRLF>
         C: Subject: for bob
         C:
         C: .
         S: 250 2.0.0 Accepted as …",
    );
    assert_eq!((server.inbox("ann@example.org").len(), server.inbox("bob@example.org").len()), (0, 1));
    drop(client);
    server.end();
}

fn who_gets_no_mail_here(mail: TestStore) {
    let server = Server::start(mail);
    let mut client = Client::hello(server.mx);
    client.talk(
        "C: MAIL FROM:<>
         S: 250 2.1.0 Sender OK
         C: RCPT TO:<nobody@example.org>
         S: 550 5.1.1 No such mailbox
         C: RCPT TO:<ann@elsewhere.example>
         S: 550 5.7.1 Relaying denied
         C: RCPT TO:<ann@[127.0.0.1]>
         S: 550 5.7.1 Relaying denied
         C: DATA
         S: 554 5.5.1 No valid recipients
         C: RCPT TO:<Postmaster>
         S: 250 2.1.5 Recipient OK
         C: DATA
         S: 354 End with <CRLF>.<CRLF>
         C: Subject: help
         C:
         C: .
         S: 250 2.0.0 Accepted as …",
    );
    // RFC 5321 section 4.5.1.
    let inbox = server.inbox("postmaster@mx.example");
    assert!(inbox[0].starts_with("Return-Path: <>\r\nDelivered-To: postmaster@mx.example\r\n"), "{inbox:?}");
    drop(client);
    server.end();
}

fn two_tenants_in_one_transaction(mail: TestStore) {
    let server = Server::start(mail);
    let mut client = Client::hello(server.mx);
    let to = ["carol@example.net", "ann@example.org", "bob@example.org"];
    let trace = accepted(&client.mail("stranger@client.example", &to, MAIL.as_bytes()));
    for address in to {
        let inbox = server.inbox(address);
        assert_eq!(inbox.len(), 1, "{address}");
        assert!(inbox[0].contains(&format!("\r\nDelivered-To: {address}\r\n")) && inbox[0].ends_with(MAIL));
        assert!(!inbox[0].contains("\tfor "), "nobody is told of the others: {}", inbox[0]);
    }
    let seen = ["ann@example.org", "carol@example.net"].map(|address| server.trace(address, trace).is_some());
    assert_eq!(seen, [true, false], "the trace row of the reply is one tenant's only");
    drop(client);
    server.end();
}

fn two_addresses_of_one_account_get_one_copy(mail: TestStore) {
    let server = Server::start(mail);
    let mut client = Client::hello(server.mx);
    let to = ["sales@example.org", "ann@example.org", "ann+x@example.org", "sales@example.org"];
    accepted(&client.mail("stranger@client.example", &to, MAIL.as_bytes()));
    let inbox = server.inbox("ann@example.org");
    assert_eq!(inbox.len(), 1);
    assert!(inbox[0].contains("\r\nDelivered-To: sales@example.org\r\n"), "{}", inbox[0]);
    drop(client);
    server.end();
}

fn an_address_beyond_ascii(mail: TestStore) {
    // RFC 6531 sections 3.4 and 3.5; the domain is found by its A-label as well.
    let server = Server::start(mail);
    let mut client = Client::hello(server.mx);
    client.talk(
        "C: MAIL FROM:<stranger@client.example>
         S: 250 2.1.0 Sender OK
         C: RCPT TO:<田中@例え.example>
         S: 553 5.6.7 Internationalised addresses need SMTPUTF8
         C: RSET
         S: 250 2.0.0 OK
         C: MAIL FROM:<送信@client.example> SMTPUTF8
         S: 250 2.1.0 Sender OK
         C: RCPT TO:<田中@xn--r8jz45g.example>
         S: 250 2.1.5 Recipient OK
         C: DATA
         S: 354 End with <CRLF>.<CRLF>
         C: Subject: 見積り
         C:
         C: .
         S: 250 2.0.0 Accepted as …",
    );
    let inbox = server.inbox("田中@例え.example");
    assert!(inbox[0].starts_with("Return-Path: <送信@client.example>\r\n"), "{}", inbox[0]);
    assert!(inbox[0].contains(" with UTF8SMTP id "), "{}", inbox[0]);
    assert!(inbox[0].ends_with("\r\nSubject: 見積り\r\n\r\n"), "{}", inbox[0]);
    drop(client);
    server.end();
}

fn a_full_mailbox_refuses_for_all(mail: TestStore) {
    let server = Server::start_with(mail, Setup { quota: Quota(Some(1_000)), ..Setup::default() });
    let mut client = Client::hello(server.mx);
    accepted(&client.mail(
        "a@client.example",
        &["bob@example.org"],
        &[MAIL.as_bytes(), &[b'x'; 500]].concat(),
    ));
    let reply = client.mail("b@client.example", &["ann@example.org", "bob@example.org"], MAIL.as_bytes());
    assert_eq!(reply, "452 4.2.2 Mailbox full");
    assert_eq!((server.inbox("ann@example.org").len(), server.inbox("bob@example.org").len()), (0, 1));
    // The session goes on.
    accepted(&client.mail("b@client.example", &["ann@example.org"], MAIL.as_bytes()));
    drop(client);
    server.end();
}

fn a_recipient_that_is_full_is_refused_alone(mail: TestStore) {
    let server = Server::start_with(mail, Setup { quota: Quota(Some(1_000)), ..Setup::default() });
    let mut client = Client::hello(server.mx);
    accepted(&client.mail("a@client.example", &["bob@example.org"], &[b'x'; 600]));
    client.talk(
        "C: MAIL FROM:<a@client.example> SIZE=500
         S: 250 2.1.0 Sender OK
         C: RCPT TO:<bob@example.org>
         S: 452 4.2.2 Mailbox full
         C: RCPT TO:<ann@example.org>
         S: 250 2.1.5 Recipient OK
         C: RSET
         S: 250 2.0.0 OK
         C: MAIL FROM:<a@client.example> SIZE=50
         S: 250 2.1.0 Sender OK
         C: RCPT TO:<bob@example.org>
         S: 250 2.1.5 Recipient OK",
    );
    drop(client);
    server.end();
}

fn a_mailbox_that_stays_full_is_refused_for_good(mail: TestStore) {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let server = Server::start_with(mail, Setup { quota: Quota(Some(1_000)), ..Setup::default() });
    accepted(&Client::hello(server.mx).mail("a@client.example", &["bob@example.org"], &[b'x'; 600]));
    // What RCPT says to a message of this size, some time later.
    let after = |time: Duration, size: u32| {
        server.mail.clock.advance(time);
        let mut client = Client::hello(server.mx);
        client.talk(&format!("C: MAIL FROM:<a@client.example> SIZE={size}\nS: 250 2.1.0 Sender OK"));
        client.write(b"RCPT TO:<bob@example.org>\r\n");
        client.line()
    };
    let (later, never) = ("452 4.2.2 Mailbox full", "552 5.2.2 Mailbox full for days");
    // It counts from the first refusal, not from when it became full.
    for (time, size, expected) in [
        (9 * DAY, 500, later),
        (2 * DAY, 500, later),
        (DAY, 500, never),
        (DAY, 500, never),
        // What fits is taken, and the count begins anew.
        (DAY, 50, "250 2.1.5 Recipient OK"),
        (DAY, 500, later),
    ] {
        assert_eq!(after(time, size), expected, "after {time:?}");
    }
    server.end();
}

fn a_lost_reply_makes_no_second_copy(mail: TestStore) {
    let server = Server::start(mail);
    let to = ["ann@example.org", "carol@example.net"];
    for _ in 0..2 {
        let mut client = Client::hello(server.mx);
        client.content("stranger@client.example", &to, MAIL.as_bytes());
        client.lose_replies("");
    }
    let mut client = Client::hello(server.mx);
    let trace = accepted(&client.mail("stranger@client.example", &to, MAIL.as_bytes()));
    for address in to {
        assert_eq!(server.inbox(address).len(), 1, "{address}");
    }
    let record = server.trace("ann@example.org", trace).expect("the reply tells the trace of the copy");
    assert_eq!(record.event, hikyaku_trace::Event::Delivered);
    drop(client);
    server.end();
}

fn a_client_that_hears_nothing_makes_no_second_copy(mail: TestStore) {
    // The connection is gone before, while or after the delivery is under way.
    let server = Server::start(mail);
    for _ in 0..8 {
        let mut client = Client::hello(server.mx);
        client.content("stranger@client.example", &["ann@example.org"], MAIL.as_bytes());
    }
    let mut client = Client::hello(server.mx);
    accepted(&client.mail("stranger@client.example", &["ann@example.org"], MAIL.as_bytes()));
    drop(client);
    server.shutdown.begin();
    server.wait_for_end();
    assert_eq!(server.inbox("ann@example.org").len(), 1);
    server.end();
}

fn the_same_mail_on_purpose_is_there_twice(mail: TestStore) {
    let server = Server::start(mail);
    let mut client = Client::hello(server.mx);
    for _ in 0..2 {
        accepted(&client.mail("stranger@client.example", &["ann@example.org"], MAIL.as_bytes()));
        // That it goes on shows that it had the reply.
        client.talk("C: NOOP\nS: 250 2.0.0 OK");
        server.wait_for_forgotten_keys();
    }
    assert_eq!(server.inbox("ann@example.org").len(), 2);
    for _ in 0..2 {
        let mut client = Client::hello(server.mx);
        accepted(&client.mail("stranger@client.example", &["ann@example.org"], MAIL.as_bytes()));
        client.talk("C: QUIT\nS: 221 2.0.0 Bye");
        client.expect_end();
        server.wait_for_forgotten_keys();
    }
    assert_eq!(server.inbox("ann@example.org").len(), 4);
    drop(client);
    server.end();
}

fn submission_needs_tls_and_a_password(mail: TestStore) {
    let server = Server::start(mail);
    let mut client = Client::connect(server.submission);
    client.talk("S: 220 mx.example ESMTP");
    let in_clear = client.ehlo();
    assert!(in_clear.iter().any(|line| line == "250-STARTTLS" || line == "250 STARTTLS"), "{in_clear:?}");
    assert!(!in_clear.iter().any(|line| line.contains("AUTH")), "{in_clear:?}");
    // base64 of NUL ann@example.org NUL secret
    client.talk(
        "C: AUTH PLAIN AGFubkBleGFtcGxlLm9yZwBzZWNyZXQ=
         S: 538 5.7.11 Signing in needs TLS
         C: MAIL FROM:<ann@example.org>
         S: 530 5.7.0 …
         C: STARTTLS
         S: 220 2.0.0 Ready to start TLS",
    );
    let mut client = client.start_tls(&server.authority);
    let under_tls = client.ehlo();
    assert!(under_tls.iter().any(|line| line[4..].starts_with("AUTH PLAIN LOGIN")), "{under_tls:?}");
    assert!(!under_tls.iter().any(|line| line.contains("STARTTLS")), "{under_tls:?}");
    // The second: base64 of NUL ann@example.org NUL Secret
    client.talk(
        "C: MAIL FROM:<ann@example.org>
         S: 530 5.7.0 Sign in first
         C: AUTH PLAIN AGFubkBleGFtcGxlLm9yZwBTZWNyZXQ=
         S: 535 5.7.8 Name or password wrong
         C: AUTH PLAIN AGFubkBleGFtcGxlLm9yZwBzZWNyZXQ=
         S: 235 2.7.0 Signed in",
    );
    accepted(&client.mail("ann@example.org", &["bob@example.org"], OWN_MAIL.as_bytes()));
    let inbox = server.inbox("bob@example.org");
    assert!(inbox[0].contains(" with ESMTPSA id ") && inbox[0].contains("\r\n\ttls TLS_"), "{}", inbox[0]);
    client.talk("C: QUIT\nS: 221 2.0.0 Bye");
    client.expect_end();
    server.end();
}

fn an_account_submits_as_itself(mail: TestStore) {
    let server = Server::start(mail);
    assert_eq!(PASSWORD, "secret", "as in the base64 below");
    let mut client = server.tls_client();
    // base64 of sales@example.org and secret
    client.talk(
        "C: AUTH LOGIN
         S: 334 VXNlcm5hbWU6
         C: c2FsZXNAZXhhbXBsZS5vcmc=
         S: 334 UGFzc3dvcmQ6
         C: c2VjcmV0
         S: 235 2.7.0 Signed in
         C: MAIL FROM:<bob@example.org>
         S: 553 5.7.1 You may not send with this address
         C: MAIL FROM:<ann@elsewhere.example>
         S: 553 5.7.1 You may not send with this address
         C: MAIL FROM:<ann+tag@example.org>
         S: 250 2.1.0 Sender OK
         C: RCPT TO:<ann@elsewhere.example>
         S: 250 2.1.5 Recipient OK
         C: RCPT TO:<nobody@example.org>
         S: 550 5.1.1 No such mailbox
         C: RSET
         S: 250 2.0.0 OK",
    );
    accepted(&client.mail("ann@example.org", &["carol@example.net"], OWN_MAIL.as_bytes()));
    assert!(server.inbox("carol@example.net")[0].ends_with(OWN_MAIL));
    drop(client);

    // Acting for another, base64 of carol@example.net NUL ann@example.org NUL secret
    let mut client = server.tls_client();
    client.talk(
        "C: AUTH PLAIN Y2Fyb2xAZXhhbXBsZS5uZXQAYW5uQGV4YW1wbGUub3JnAHNlY3JldA==
         S: 535 5.7.8 Name or password wrong",
    );
    drop(client);
    server.end();
}

fn what_was_sent_in_clear_does_not_count_under_tls(mail: TestStore) {
    // RFC 3207 section 6: somebody between put commands behind STARTTLS.
    let server = Server::start(mail);
    let mut client = Client::hello(server.submission);
    client.talk(
        "C: STARTTLS
         C: EHLO evil.example
         C: NOOP
         S: 220 2.0.0 Ready to start TLS",
    );
    let mut client = client.start_tls(&server.authority);
    // Not one reply came for them, and no hello is remembered.
    client.talk(
        "C: AUTH PLAIN AGFubkBleGFtcGxlLm9yZwBzZWNyZXQ=
         S: 503 5.5.1 EHLO first",
    );
    drop(client);
    server.end();
}

fn dots_and_line_ends(mail: TestStore) {
    // RFC 5321 sections 4.5.2 and 2.3.8.
    let server = Server::start(mail);
    let mut client = Client::hello(server.mx);
    client.content("stranger@client.example", &["ann@example.org"], b"");
    accepted(&client.line());
    for (wire, content) in [
        ("..\r\n...dots\r\na.\r\n.\r\n", ".\r\n..dots\r\na.\r\n"),
        ("A: 1\nB: 2\r\rtext\n\n.\r\n.\r\n", "A: 1\r\nB: 2\r\n\r\ntext\r\n\r\n.\r\n"),
    ] {
        client.talk(
            "C: MAIL FROM:<stranger@client.example>
             S: 250 2.1.0 Sender OK
             C: RCPT TO:<bob@example.org>
             S: 250 2.1.5 Recipient OK
             C: DATA
             S: 354 End with <CRLF>.<CRLF>",
        );
        client.write(wire.as_bytes());
        accepted(&client.line());
        let inbox = server.inbox("bob@example.org");
        let (_, found) = inbox[inbox.len() - 1].split_once("+0000\r\n").unwrap();
        assert_eq!(found, content, "{wire:?}");
    }
    drop(client);
    server.end();
}

fn what_looks_like_an_end_is_content(mail: TestStore) {
    // SMTP smuggling: a relay took one of these for text, so it must be text here.
    let server = Server::start(mail);
    let mut client = Client::hello(server.mx);
    let ends = ["\n.\n", "\n.\r\n", "\r.\r", "\r\n.\n", "\r\n.\r", "\r.\r\n", "\r\n\0.\r\n"];
    for (n, end) in ends.iter().enumerate() {
        client.talk(
            "C: MAIL FROM:<stranger@client.example>
             S: 250 2.1.0 Sender OK
             C: RCPT TO:<ann@example.org>
             S: 250 2.1.5 Recipient OK
             C: DATA
             S: 354 End with <CRLF>.<CRLF>",
        );
        let smuggled = "MAIL FROM:<boss@example.org>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n\r\n";
        client.write(format!("Subject: {n}\r\n\r\ntext{end}{smuggled}.\r\nNOOP\r\n").as_bytes());
        let reply = client.line();
        if end.contains('\0') {
            assert_eq!(reply, "550 5.6.0 NUL in the message");
        } else {
            accepted(&reply);
        }
        client.talk("S: 250 2.0.0 OK");
    }
    let inbox = server.inbox("ann@example.org");
    assert_eq!(inbox.len(), ends.len() - 1);
    for message in inbox {
        assert!(message.contains("\r\nMAIL FROM:<boss@example.org>\r\n"), "{message}");
        assert!(!message.contains("\n\n") && !message.contains("\r\r"), "{message:?}");
    }
    assert!(server.inbox("bob@example.org").is_empty());
    drop(client);
    server.end();
}

/// What other servers were seen to take for the end of the content.
const ENDS: [&str; 16] = [
    "\n.\n",
    "\n.\r\n",
    "\r.\r",
    "\r.\r\n",
    "\r\n.\n",
    "\r\n.\r",
    "\n.\r",
    "\r.\n",
    "\r\n\n.\r\n",
    "\r\n\r.\r\n",
    "\r\n.\r\r\n",
    "\r\n.\n\r\n",
    "\r\n. \r\n",
    "\r\n ..\r\n",
    "\r\n..\r\n",
    "\n\r.\n\r",
];

fn ends_that_come_in_pieces_are_content(mail: TestStore) {
    let server = Server::start(mail);
    let mut client = Client::hello(server.mx);
    for (n, end) in ENDS.iter().enumerate() {
        client.talk(
            "C: MAIL FROM:<stranger@client.example>
             S: 250 2.1.0 Sender OK
             C: RCPT TO:<ann@example.org>
             S: 250 2.1.5 Recipient OK
             C: DATA
             S: 354 End with <CRLF>.<CRLF>",
        );
        client.write(format!("Subject: {n}\r\n\r\ntext").as_bytes());
        for octet in end.as_bytes() {
            client.write(&[*octet]);
        }
        client.write(b"MAIL FROM:<boss@example.org>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n\r\n");
        for octet in b"\r\n.\r\nNOOP\r\n" {
            client.write(&[*octet]);
        }
        accepted(&client.line());
        client.talk("S: 250 2.0.0 OK");
    }
    let inbox = server.inbox("ann@example.org");
    assert_eq!(inbox.len(), ENDS.len());
    assert!(inbox.iter().all(|message| message.ends_with("RCPT TO:<bob@example.org>\r\nDATA\r\n\r\n\r\n")));
    assert!(server.inbox("bob@example.org").is_empty());
    drop(client);
    server.end();
}

fn bare_line_ends_may_be_refused(mail: TestStore) {
    let server = Server::start_with(mail, Setup { line_ends: LineEnds::Refuse, ..Setup::default() });
    let mut client = Client::hello(server.mx);
    for (n, end) in ENDS.iter().enumerate() {
        client.talk(
            "C: MAIL FROM:<stranger@client.example>
             S: 250 2.1.0 Sender OK
             C: RCPT TO:<ann@example.org>
             S: 250 2.1.5 Recipient OK
             C: DATA
             S: 354 End with <CRLF>.<CRLF>",
        );
        client.write(format!("Subject: {n}\r\n\r\ntext{end}QUIT\r\n.\r\nNOOP\r\n").as_bytes());
        let has_bare = end.replace("\r\n", "").contains(['\r', '\n']);
        match has_bare {
            true => client.talk("S: 550 5.6.11 Lines must end with CRLF"),
            false => assert!(client.line().starts_with("250 2.0.0 Accepted as ")),
        }
        client.talk("S: 250 2.0.0 OK");
    }
    assert_eq!(server.inbox("ann@example.org").len(), 3);
    drop(client);
    server.end();
}

fn mail_that_comes_back_is_refused(mail: TestStore) {
    let server = Server::start(mail);
    let mut client = Client::hello(server.mx);
    accepted(&client.mail("stranger@client.example", &["ann@example.org"], MAIL.as_bytes()));
    let delivered = server.inbox("ann@example.org").remove(0);
    let reply = client.mail("forwarder@client.example", &["ann@example.org"], delivered.as_bytes());
    assert_eq!(reply, "554 5.4.6 Routing loop: this message was delivered to its recipient before");
    // It may go to somebody else.
    accepted(&client.mail("forwarder@client.example", &["bob@example.org"], delivered.as_bytes()));
    // Of LMTP recipients only the one is refused.
    let mut client = server.lmtp_client();
    client.content("x@client.example", &["ann@example.org", "carol@example.net"], delivered.as_bytes());
    client.talk("S: 554 5.4.6 Routing loop: this message was delivered to its recipient before");
    accepted(&client.line());
    // RFC 5321 section 6.3: so many hops are a loop, too.
    let hops = "Received: from a.example by b.example\r\n".repeat(101);
    let reply = client.mail("x@client.example", &["ann@example.org"], hops.as_bytes());
    assert_eq!(reply, "554 5.4.6 Routing loop: too many Received fields");
    assert_eq!(server.inbox("ann@example.org").len(), 1);
    drop(client);
    server.end();
}

fn too_large_a_content_is_refused(mail: TestStore) {
    let server = Server::start_with(mail, Setup { size_bytes: 10_000, ..Setup::default() });
    let mut client = Client::hello(server.mx);
    client.talk("C: MAIL FROM:<a@client.example> SIZE=10001\nS: 552 5.3.4 Message too large");
    let content = [MAIL.as_bytes(), &[b'x'; 10_000]].concat();
    let reply = client.mail("a@client.example", &["ann@example.org"], &content);
    assert_eq!(reply, "552 5.3.4 Message too large");
    let reply = client.mail("a@client.example", &["ann@example.org"], &content[..9_998]);
    accepted(&reply);
    assert_eq!(server.inbox("ann@example.org").len(), 1);
    drop(client);
    server.end();
}

fn a_closed_store_defers(mail: TestStore) {
    let mut server = Server::start(mail);
    let mut client = Client::hello(server.mx);
    accepted(&client.mail("a@client.example", &["ann@example.org"], b"Subject: first\r\n\r\n"));
    server.mail.store.close();
    let reply = client.mail("a@client.example", &["ann@example.org"], MAIL.as_bytes());
    assert_eq!(reply, "451 4.3.0 Try again later");
    // The session itself is well.
    client.talk("C: NOOP\nS: 250 2.0.0 OK\nC: QUIT\nS: 221 2.0.0 Bye");
    client.expect_end();
    server.shutdown.begin();
    server.wait_for_end();
    server.mail.reopen();
    assert_eq!(server.inbox("ann@example.org").len(), 1, "what was accepted is there, the other is not");

    // The client comes again after the restart.
    let server = Server::start(server.mail);
    let mut client = Client::hello(server.mx);
    accepted(&client.mail("a@client.example", &["ann@example.org"], MAIL.as_bytes()));
    assert_eq!(server.inbox("ann@example.org").len(), 2);
    drop(client);
    server.end();
}

fn connections_beyond_the_limit_are_told(mail: TestStore) {
    let limits = Limits { connections_each: 2, ..Limits::default() };
    let server = Server::start_with(mail, Setup { limits, ..Setup::default() });
    let (first, mut second) = (Client::hello(server.mx), Client::hello(server.mx));
    let mut third = Client::connect(server.mx);
    third.talk("S: 421 4.7.0 Too many connections");
    third.expect_end();
    // Each listener counts for itself, and who leaves makes room.
    let _submission = Client::hello(server.submission);
    second.talk("C: QUIT\nS: 221 2.0.0 Bye");
    second.expect_end();
    let mut greeting = String::new();
    wait_for("room for a connection", || {
        greeting = Client::connect(server.mx).line();
        greeting.starts_with("220 ")
    });
    drop(first);
}

fn the_end_waits_for_an_open_transaction(mail: TestStore) {
    let server = Server::start(mail);
    let mut idle = Client::hello(server.mx);
    let mut sending = Client::hello(server.mx);
    sending.talk(
        "C: MAIL FROM:<a@client.example>
         S: 250 2.1.0 Sender OK
         C: RCPT TO:<ann@example.org>
         S: 250 2.1.5 Recipient OK",
    );
    server.shutdown.begin();
    idle.talk("S: 421 4.3.2 Shutting down, try again");
    idle.expect_end();
    sending.talk(
        "C: DATA
         S: 354 End with <CRLF>.<CRLF>
         C: Subject: the last
         C:
         C: .
         S: 250 2.0.0 Accepted as …
         S: 421 4.3.2 Shutting down, try again",
    );
    sending.expect_end();
    server.wait_for_end();
    assert_eq!(server.inbox("ann@example.org").len(), 1);
    server.end();
}

fn the_end_during_a_delivery_is_told(mail: TestStore) {
    let server = Server::start(mail);
    let mut client = Client::hello(server.mx);
    let blockade = server.block_store();
    client.content("a@client.example", &["ann@example.org"], MAIL.as_bytes());
    wait_for("the delivery to wait", || server.mail.store.waiting() == 1);
    server.shutdown.begin();
    drop(blockade);
    accepted(&client.line());
    client.talk("S: 421 4.3.2 Shutting down, try again");
    client.expect_end();
    server.end();
}

fn what_was_sent_before_the_reply_does_not_show_that_it_came(mail: TestStore) {
    // RFC 2920 section 3.1 allows commands behind the content; then the reply is lost.
    let server = Server::start(mail);
    let mut client = Client::hello(server.mx);
    let blockade = server.block_store();
    client.content("a@client.example", &["ann@example.org"], MAIL.as_bytes());
    wait_for("the delivery to wait", || server.mail.store.waiting() == 1);
    client.write(b"RSET\r\n");
    // Whoever is greeted now came after it: the server's reactor has seen both.
    let bystander = Client::hello(server.mx);
    drop(blockade);
    client.lose_replies("250 2.0.0 OK\r\n");
    let mut client = Client::hello(server.mx);
    accepted(&client.mail("a@client.example", &["ann@example.org"], MAIL.as_bytes()));
    assert_eq!(server.inbox("ann@example.org").len(), 1);
    drop((client, bystander));
    server.end();
}

fn idle_sessions_need_no_room(mail: TestStore) {
    let shared = Shared { content_bytes: 2 << 20, ..Shared::default() };
    let setup = Setup { size_bytes: 1 << 20, shared, ..Setup::default() };
    let server = Server::start_with(mail, setup);
    // More than there are steps of room.
    let idle: Vec<Client> = (0..60).map(|_| Client::hello(server.mx)).collect();
    drop(idle);
    server.end();
}

fn large_contents_at_once_do_not_wait_for_each_other_for_ever(mail: TestStore) {
    let shared = Shared { content_bytes: 2 << 20, ..Shared::default() };
    let setup = Setup { size_bytes: 1 << 20, shared, ..Setup::default() };
    let server = Server::start_with(mail, setup);
    let address = server.mx;
    let senders: Vec<_> = (0..8)
        .map(|n| {
            std::thread::spawn(move || {
                let content = format!("Subject: {n}\r\n\r\n{}\r\n", "0123456789abcdef\r\n".repeat(50_000));
                let mut client = Client::hello(address);
                accepted(&client.mail("a@client.example", &["ann@example.org"], content.as_bytes()));
            })
        })
        .collect();
    for sender in senders {
        sender.join().unwrap();
    }
    assert_eq!(server.inbox("ann@example.org").len(), 8);
    server.end();
}
