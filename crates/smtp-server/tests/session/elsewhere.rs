//! Mail for elsewhere: what is in the queue after a submission, and after mail for an address
//! of ours that leads on.

use hikyaku_testkit::{TestStore, both_engines};
use hikyaku_trace::Event;

use crate::OWN_MAIL;
use crate::rig::client::Client;
use crate::rig::{Server, accepted};

both_engines! {
    a_submission_waits_in_the_queue
    recipients_here_and_elsewhere_are_one_transaction
    an_alias_leads_elsewhere
    a_list_keeps_and_sends_on
    strangers_do_not_relay
    a_lost_reply_makes_no_second_copy_elsewhere
    what_was_sent_on_is_known_when_it_comes_back
    an_account_sends_to_so_many_in_an_hour
    lmtp_tells_each_recipient
}

fn a_submission_waits_in_the_queue(mail: TestStore) {
    let server = Server::start(mail);
    let mut client = server.ann();
    client.talk(
        "C: MAIL FROM:<ann@example.org> BODY=8BITMIME
         S: 250 2.1.0 Sender OK
         C: RCPT TO:<Xavier@far.example>
         S: 250 2.1.5 Recipient OK
         C: RCPT TO:<yvonne@other.example>
         S: 250 2.1.5 Recipient OK
         C: RCPT TO:<literal@[192.0.2.1]>
         S: 550 5.7.1 Relaying denied
         C: DATA
         S: 354 End with <CRLF>.<CRLF>",
    );
    client.write(format!("{OWN_MAIL}.\r\n").as_bytes());
    let trace = accepted(&client.line());
    let [item] = &server.queue()[..] else { panic!("one message") };
    assert_eq!(item.id, trace.to_string(), "it is called by what the client was told");
    assert_eq!((item.kind.as_str(), item.reverse_path.as_str()), ("submission", "ann@example.org"));
    let to = |address: &str, destination: &str| (address.to_owned(), destination.to_owned());
    let recipients = item.recipients.iter().map(|one| to(&one.address, &one.destination));
    assert_eq!(
        recipients.collect::<Vec<_>>(),
        [to("Xavier@far.example", "far.example"), to("yvonne@other.example", "other.example")]
    );
    let message = server.queued_message(trace);
    let (received, content) = message.split_once("From: ").unwrap();
    assert!(
        received
            .starts_with("Received: from client.example ([127.0.0.1])\r\n\tby mx.example with ESMTPSA id r-")
    );
    assert!(!received.contains("\tfor "), "nobody is told of the others: {received}");
    assert_eq!(format!("From: {content}"), OWN_MAIL);
    assert_eq!(item.size_bytes, message.len() as u64);
    let record = server.trace("ann@example.org", trace).unwrap();
    assert_eq!((record.event, record.recipient.as_str()), (Event::Queued, "Xavier@far.example"));
    drop(client);
    server.end();
}

fn recipients_here_and_elsewhere_are_one_transaction(mail: TestStore) {
    let server = Server::start(mail);
    let mut client = server.ann();
    let to = ["carol@example.net", "x@far.example", "bob@example.org"];
    accepted(&client.mail("ann@example.org", &to, OWN_MAIL.as_bytes()));
    assert_eq!((server.inbox("carol@example.net").len(), server.inbox("bob@example.org").len()), (1, 1));
    let [item] = &server.queue()[..] else { panic!("one message") };
    assert_eq!((item.recipient_count, item.recipients[0].address.as_str()), (1, "x@far.example"));
    drop(client);
    server.end();
}

fn an_alias_leads_elsewhere(mail: TestStore) {
    let server = Server::start(mail);
    let mut client = Client::hello(server.mx);
    let content = b"From: s@client.example\r\nBcc: hidden@client.example\r\n\r\nHello\r\n";
    let trace = accepted(&client.mail("s@client.example", &["out@example.org"], content));
    let [item] = &server.queue()[..] else { panic!("one message") };
    assert_eq!((item.kind.as_str(), item.reverse_path.as_str()), ("forward", "s@client.example"));
    assert_eq!(item.recipients[0].address, "x@far.example");
    assert_eq!(item.recipients[0].original_recipient.as_deref(), Some("rfc822;out@example.org"));
    let message = server.queued_message(trace);
    assert!(
        message.starts_with("Delivered-To: out@example.org\r\nReceived: from client.example"),
        "{message}"
    );
    assert!(message.ends_with(std::str::from_utf8(content).unwrap()), "what was received goes on: {message}");
    drop(client);
    server.end();
}

fn a_list_keeps_and_sends_on(mail: TestStore) {
    let server = Server::start(mail);
    let mut client = Client::hello(server.mx);
    // The alias leads to a member of the list, who gets one copy.
    let to = ["team@example.org", "out@example.org"];
    accepted(&client.mail("s@client.example", &to, b"From: s@client.example\r\n\r\nHello\r\n"));
    assert_eq!(server.inbox("ann@example.org").len(), 1);
    let mut addresses: Vec<String> =
        server.queue().into_iter().flat_map(|item| item.recipients).map(|one| one.address).collect();
    addresses.sort();
    assert_eq!(addresses, ["x@far.example", "y@far.example"]);
    drop(client);
    server.end();
}

fn strangers_do_not_relay(mail: TestStore) {
    let server = Server::start(mail);
    let mut client = Client::hello(server.mx);
    client.talk(
        "C: MAIL FROM:<ann@example.org>
         S: 250 2.1.0 Sender OK
         C: RCPT TO:<x@far.example>
         S: 550 5.7.1 Relaying denied
         C: RCPT TO:<@example.org:x@far.example>
         S: 550 5.7.1 Relaying denied
         C: RCPT TO:<\"x@far.example\"@example.org>
         S: 550 5.1.1 No such mailbox
         C: RCPT TO:<x%far.example@example.org>
         S: 550 5.1.1 No such mailbox",
    );
    assert_eq!(server.queue(), []);
    drop(client);
    server.end();
}

fn a_lost_reply_makes_no_second_copy_elsewhere(mail: TestStore) {
    let server = Server::start(mail);
    let mut client = server.ann();
    client.content("ann@example.org", &["x@far.example", "bob@example.org"], OWN_MAIL.as_bytes());
    client.break_off();
    server.wait_for_queue(1);
    let mut client = server.ann();
    let to = ["x@far.example", "bob@example.org", "z@far.example"];
    accepted(&client.mail("ann@example.org", &to, OWN_MAIL.as_bytes()));
    assert_eq!(server.inbox("bob@example.org").len(), 1);
    let mut addresses: Vec<String> =
        server.queue().into_iter().flat_map(|item| item.recipients).map(|one| one.address).collect();
    addresses.sort();
    assert_eq!(addresses, ["x@far.example", "z@far.example"]);
    // Once the client is known to have heard us, the same mail is another one.
    client.talk("C: NOOP\nS: 250 2.0.0 OK");
    server.wait_for_forgotten_keys();
    accepted(&client.mail("ann@example.org", &["x@far.example"], OWN_MAIL.as_bytes()));
    assert_eq!(server.queue().len(), 3);
    drop(client);
    server.end();
}

fn what_was_sent_on_is_known_when_it_comes_back(mail: TestStore) {
    // RFC 5321 section 6.3
    let server = Server::start(mail);
    let mut client = Client::hello(server.mx);
    let content = b"From: s@client.example\r\n\r\nHello\r\n";
    let trace = accepted(&client.mail("s@client.example", &["out@example.org"], content));
    let sent_on = server.queued_message(trace);
    let reply = client.mail("s@client.example", &["out@example.org"], sent_on.as_bytes());
    assert_eq!(reply, "554 5.4.6 Routing loop: this message was delivered to its recipient before");
    assert_eq!(server.queue().len(), 1);
    drop(client);
    server.end();
}

fn an_account_sends_to_so_many_in_an_hour(mail: TestStore) {
    let server = Server::start(mail);
    let mut client = server.ann();
    let many = |from: usize| (from..from + 100).map(|n| format!("r{n}@far.example")).collect::<Vec<_>>();
    for number in 0..5 {
        let to = many(100 * number);
        let to: Vec<&str> = to.iter().map(String::as_str).collect();
        accepted(&client.mail("ann@example.org", &to, OWN_MAIL.as_bytes()));
    }
    // Recipients of ours count like others.
    let too_many = "450 4.7.1 You may send to 500 recipients in one hour, try again later";
    assert_eq!(client.mail("ann@example.org", &["bob@example.org"], OWN_MAIL.as_bytes()), too_many);
    assert_eq!(client.mail("ann@example.org", &["x@far.example"], OWN_MAIL.as_bytes()), too_many);
    assert_eq!((server.queue().len(), server.inbox("bob@example.org").len()), (5, 0));
    // Another may, and an hour later she may again.
    let mut stranger = Client::hello(server.mx);
    accepted(&stranger.mail("s@client.example", &["out@example.org"], b"From: s@client.example\r\n\r\n"));
    server.mail.clock.advance(std::time::Duration::from_secs(3600));
    accepted(&client.mail("ann@example.org", &["x@far.example"], OWN_MAIL.as_bytes()));
    drop((client, stranger));
    server.end();
}

fn lmtp_tells_each_recipient(mail: TestStore) {
    let server = Server::start(mail);
    let mut client = server.lmtp_client();
    client.content(
        "s@client.example",
        &["ann@example.org", "out@example.org"],
        b"From: s@client.example\r\n\r\nHello\r\n",
    );
    accepted(&client.line());
    let trace = accepted(&client.line());
    assert_eq!(server.queue()[0].id, trace.to_string());
    client.talk(
        "C: MAIL FROM:<s@client.example>
         S: 250 2.1.0 Sender OK
         C: RCPT TO:<x@far.example>
         S: 550 5.7.1 Relaying denied",
    );
    drop(client);
    server.end();
}
