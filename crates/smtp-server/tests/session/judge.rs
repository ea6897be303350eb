//! Who sent it, on port 25: what the peer is told, what is written, and into which mailbox.

use std::sync::Arc;
use std::time::Duration;

use hikyaku_sender_auth::dns::{Network, Options, Resolver, Table};
use hikyaku_smtp_server::Judge;
use hikyaku_testkit::{TestStore, both_engines, set};
use hikyaku_trace::Filter;

use crate::rig::client::Client;
use crate::rig::{Server, Setup, accepted};

both_engines! {
    what_is_found_is_written
    forged_mail_is_refused
    quarantined_mail_is_junk
    junk_has_a_place_made_for_it
    junk_does_not_go_on
    a_forged_sender_is_told_nothing
    results_that_are_not_ours_are_not_shown
    no_answer_is_temporary
    nobody_to_ask_is_temporary
    submissions_and_lmtp_are_not_asked_about
    a_large_message_is_checked_too
    tenants_have_their_own_policies
    a_domain_is_obeyed_before_its_tenant
    forwarders_are_trusted_by_tenants
}

/// The message of RFC 8463 appendix A, signed with Ed25519 (and with RSA, whose key is gone).
const SIGNED: &str = include_str!("../../../sender-auth/tests/vectors/dkim/dkim_verifier/rfc8463-A.3.eml");

const DNS: &str = r#"{
  "1.0.0.127.in-addr.arpa.": [{"type": "PTR", "data": "client.example."}],
  "client.example.": [{"type": "A", "data": "127.0.0.1"}, {"type": "TXT", "data": "v=spf1 a -all"}],
  "football.example.com.": [{"type": "TXT", "data": "v=spf1 -all"}],
  "brisbane._domainkey.football.example.com.": [
    {"type": "TXT", "data": "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="}],
  "_dmarc.example.com.": [{"type": "TXT", "data": "v=DMARC1; p=reject"}],
  "_dmarc.quarantine.example.": [{"type": "TXT", "data": "v=DMARC1; p=quarantine"}],
  "slow.example.": [{"type": "TXT", "error": "timeout"}],
  "_dmarc.slow.example.": [{"type": "TXT", "data": "v=DMARC1; p=reject"}],
  "_dmarc.dark.example.": [{"type": "TXT", "error": "servfail"}]
}"#;

fn start(mail: TestStore) -> Server {
    start_with(mail, Resolver::Table(Table::from_json(DNS).unwrap()))
}

fn start_with(mail: TestStore, resolver: Resolver) -> Server {
    Server::start_with(mail, Setup { judge: Some(judge(resolver)), ..Setup::default() })
}

fn judge(resolver: Resolver) -> Arc<Judge> {
    Arc::new(Judge::new(resolver, Duration::from_secs(20)))
}

/// With these fields of the second tenant, carol's, and of her domain.
fn start_for_carol(mail: TestStore, tenant: &[(&str, &str)], domain: &[(&str, &str)]) -> Server {
    let fields = |all: &[(&str, &str)]| all.iter().map(|(name, value)| set(name, *value)).collect();
    let judge = judge(Resolver::Table(Table::from_json(DNS).unwrap()));
    Server::start_with(
        mail,
        Setup { judge: Some(judge), second: (fields(tenant), fields(domain)), ..Setup::default() },
    )
}

fn from(author: &str) -> String {
    format!("From: <ann@{author}>\r\nSubject: hi\r\n\r\nHello\r\n")
}

fn signed() -> String {
    SIGNED.replace("\r\n", "\n").replace('\n', "\r\n")
}

const FORGED: &str = "550 5.7.26 example.com asks to refuse mail in its name that fails DMARC";

/// The field that we wrote, on one line.
fn results_of(message: &str) -> String {
    let unfolded = message.replace("\r\n\t", " ").replace("\r\n ", " ");
    let field = unfolded.lines().find(|line| line.starts_with("Authentication-Results:"));
    field.unwrap_or_else(|| panic!("no results in {message}")).to_owned()
}

fn what_is_found_is_written(mail: TestStore) {
    let server = start(mail);
    let mut client = Client::hello(server.mx);
    let reply = client.mail("joe@client.example", &["ann@example.org"], signed().as_bytes());
    let trace = accepted(&reply);
    let inbox = server.inbox("ann@example.org");
    let results = results_of(&inbox[0]);
    for found in [
        "Authentication-Results: mx.example; iprev=pass policy.iprev=127.0.0.1;",
        " spf=pass smtp.mailfrom=joe@client.example;",
        " dkim=pass header.d=football.example.com header.s=brisbane header.a=ed25519-sha256 ",
        " dmarc=pass header.from=football.example.com polrec.p=reject",
    ] {
        assert!(results.contains(found), "{found} in {results}");
    }
    // Ours come first, each above what was there before it.
    let received = format!(
        "\r\nReceived: from client.example (client.example [127.0.0.1])\r\n\tby mx.example with ESMTP id {trace}\r\n"
    );
    let places = [
        "Return-Path:",
        "\r\nDelivered-To:",
        "\r\nAuthentication-Results:",
        &received,
        "\r\nDKIM-Signature:",
    ];
    let places = places.map(|text| inbox[0].find(text).unwrap_or_else(|| panic!("{text} in {}", inbox[0])));
    assert!(places.is_sorted(), "{}", inbox[0]);
    assert!(inbox[0].ends_with(&signed()));
    drop(client);
    server.end();
}

fn forged_mail_is_refused(mail: TestStore) {
    let server = start(mail);
    let mut client = Client::hello(server.mx);
    let to = ["ann@example.org", "carol@example.net"];
    for (content, expected) in [
        (from("football.example.com"), FORGED),
        (from("example.com"), FORGED),
        // Damaged on the way.
        (signed().replace("We lost", "We won"), FORGED),
        (signed().replace("Joe SixPack", "Joe Sixpack"), FORGED),
    ] {
        assert_eq!(client.mail("joe@client.example", &to, content.as_bytes()), expected);
    }
    assert_eq!(server.inbox("ann@example.org"), Vec::<String>::new());
    accepted(&client.mail("joe@client.example", &to, signed().as_bytes()));
    assert_eq!(server.inbox("carol@example.net").len(), 1);
    drop(client);
    server.end();
}

fn quarantined_mail_is_junk(mail: TestStore) {
    let server = start(mail);
    let mut client = Client::hello(server.mx);
    // A message that names no author is nobody's.
    for content in [from("quarantine.example"), "Subject: x\r\n\r\n".to_owned()] {
        accepted(&client.mail("x@client.example", &["ann@example.org"], content.as_bytes()));
    }
    assert_eq!(server.inbox("ann@example.org").len(), 0);
    let junk = server.junk("ann@example.org");
    let results = results_of(&junk[0]);
    assert!(
        results.contains(
            " dmarc=fail reason=\"dmarc=fail, and quarantine.example asks for p=quarantine\" \
             header.from=quarantine.example"
        ) && results.ends_with(" policy.dmarc=quarantine"),
        "{results}"
    );
    assert!(results_of(&junk[1]).contains(" dmarc=permerror "), "{}", junk[1]);
    drop(client);
    server.end();
}

fn junk_does_not_go_on(mail: TestStore) {
    let server = start(mail);
    let mut client = Client::hello(server.mx);
    let junk = from("quarantine.example");
    let reply = client.mail("joe@client.example", &["out@example.org"], junk.as_bytes());
    assert_eq!(reply, "550 5.7.1 What may be forged is not sent on");
    let to = ["bob@example.org", "out@example.org"];
    accepted(&client.mail("joe@client.example", &to, junk.as_bytes()));
    assert_eq!(server.junk("bob@example.org").len(), 1);
    assert_eq!(server.queue().len(), 0);
    let not_sent_on = Filter { recipient: Some("out@example.org".into()), ..Filter::default() };
    assert_eq!(server.find(&not_sent_on).iter().map(|entry| entry.count).sum::<u64>(), 2);
    accepted(&client.mail("joe@client.example", &to, from("client.example").as_bytes()));
    assert_eq!(server.queue().len(), 1);
    drop(client);
    server.end();
}

fn a_forged_sender_is_told_nothing(mail: TestStore) {
    let server = start(mail);
    let mut client = Client::hello(server.mx);
    // The second domain says that nobody sends in its name.
    for (path, told) in [("joe@client.example", 1), ("joe@football.example.com", 1)] {
        client.talk(&format!(
            "C: MAIL FROM:<{path}>
             S: 250 2.1.0 Sender OK
             C: RCPT TO:<ann@example.org> NOTIFY=SUCCESS
             S: 250 2.1.5 Recipient OK
             C: DATA
             S: 354 End with <CRLF>.<CRLF>"
        ));
        client.write(format!("{}.\r\n", from("client.example")).as_bytes());
        accepted(&client.line());
        assert_eq!(server.queue().len(), told, "{path}");
    }
    assert_eq!(server.inbox("ann@example.org").len(), 2);
    drop(client);
    server.end();
}

fn junk_has_a_place_made_for_it(mail: TestStore) {
    let server = start(mail);
    let mut client = Client::hello(server.mx);
    let content = from("quarantine.example");
    let mut send = |path| accepted(&client.mail(path, &["ann@example.org"], content.as_bytes()));
    send("x@client.example");
    server.delete_junk("ann@example.org");
    // From somebody else: the very same mail at once may count as a repeated one.
    send("y@client.example");
    assert_eq!(server.junk("ann@example.org").len(), 1);
    assert_eq!(server.inbox("ann@example.org").len(), 0);
    drop(client);
    server.end();
}

fn results_that_are_not_ours_are_not_shown(mail: TestStore) {
    let server = start(mail);
    let mut client = Client::hello(server.mx);
    let content = format!(
        "Authentication-Results: MX.example; dmarc=pass (forged)\r\n\
         Authentication-Results: relay.example; dmarc=pass\r\n\
         Subject: hi\r\nAuthentication-Results: (x) mx.example;\r\n spf=pass (forged)\r\n{}",
        from("client.example")
    );
    accepted(&client.mail("x@client.example", &["ann@example.org"], content.as_bytes()));
    let inbox = server.inbox("ann@example.org");
    assert!(!inbox[0].contains("forged"), "{}", inbox[0]);
    assert!(inbox[0].contains("Authentication-Results: relay.example; dmarc=pass\r\nSubject: hi\r\nFrom:"));
    let many = "Authentication-Results: mx.example; none\r\nX: y\r\n".repeat(1001) + &from("client.example");
    assert_eq!(
        client.mail("x@client.example", &["ann@example.org"], many.as_bytes()),
        "554 5.6.0 Too many Authentication-Results fields"
    );
    drop(client);
    server.end();
}

fn no_answer_is_temporary(mail: TestStore) {
    let server = start(mail);
    let mut client = Client::hello(server.mx);
    let mut send =
        |from_path: &str, author: &str| client.mail(from_path, &["ann@example.org"], from(author).as_bytes());
    // Whether the client may send for slow.example would decide between accepted and refused.
    let later = "451 4.4.3 DNS does not answer who sent this, try again later";
    assert_eq!(send("x@slow.example", "slow.example"), later);
    // It would not help here.
    assert!(send("x@slow.example", "example.com").starts_with("550 5.7.26 "));
    // Nobody knows what this domain asks for.
    accepted(&send("x@dark.example", "dark.example"));
    let inbox = server.inbox("ann@example.org");
    assert!(results_of(&inbox[0]).contains(" dmarc=temperror "), "{}", inbox[0]);
    drop(client);
    server.end();
}

fn nobody_to_ask_is_temporary(mail: TestStore) {
    // Nobody listens at this port.
    let nobody = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let servers = vec![nobody.local_addr().unwrap()];
    let network = mail.block_on(async { Network::with(&Options { servers, ..Options::default() }).unwrap() });
    let judge = Judge::new(Resolver::Network(Box::new(network)), Duration::from_millis(50));
    let server = Server::start_with(mail, Setup { judge: Some(Arc::new(judge)), ..Setup::default() });
    let mut client = Client::hello(server.mx);
    accepted(&client.mail("joe@client.example", &["ann@example.org"], signed().as_bytes()));
    let results = results_of(&server.inbox("ann@example.org")[0]);
    // The library knows the names of loopback addresses itself.
    for found in [" spf=temperror ", " dkim=temperror ", " dmarc=temperror "] {
        assert!(results.contains(found), "{found} in {results}");
    }
    drop(client);
    server.end();
}

fn submissions_and_lmtp_are_not_asked_about(mail: TestStore) {
    let server = start(mail);
    let mut ann = server.ann();
    let own =
        from("example.org").replace("Subject", "Authentication-Results: mx.example; spf=pass\r\nSubject");
    accepted(&ann.mail("ann@example.org", &["bob@example.org"], own.as_bytes()));
    let inbox = server.inbox("bob@example.org");
    assert!(!inbox[0].contains("Authentication-Results"), "{}", inbox[0]);
    // Our own relay has asked: what it found stays.
    let mut relay = server.lmtp_client();
    let relayed = format!("Authentication-Results: mx.example; spf=fail\r\n{}", from("example.com"));
    accepted(&relay.mail("x@client.example", &["bob@example.org"], relayed.as_bytes()));
    assert!(server.inbox("bob@example.org")[1].ends_with(&relayed));
    drop((ann, relay));
    server.end();
}

fn a_large_message_is_checked_too(mail: TestStore) {
    let server = start(mail);
    let mut client = Client::hello(server.mx);
    let body = "0123456789abcdef\r\n".repeat(30_000);
    let mut send = |author: &str| {
        let content = from(author) + &body;
        client.mail("joe@client.example", &["ann@example.org"], content.as_bytes())
    };
    assert_eq!(send("example.com"), FORGED);
    accepted(&send("client.example"));
    let results = results_of(&server.inbox("ann@example.org")[0]);
    assert!(results.contains(" spf=pass ") && results.contains(" dmarc=none "), "{results}");
    drop(client);
    server.end();
}

fn tenants_have_their_own_policies(mail: TestStore) {
    let server = start_for_carol(mail, &[("forged_mail", "stamp")], &[]);
    let mut client = Client::hello(server.mx);
    let forged = from("example.com");
    let mut send = |from: &str, to: &[&str]| client.mail(from, to, forged.as_bytes());
    assert_eq!(send("joe@client.example", &["ann@example.org"]), FORGED);
    accepted(&send("joe@client.example", &["carol@example.net"]));
    let results = results_of(&server.inbox("carol@example.net")[0]);
    assert!(results.contains(" dmarc=fail ") && results.ends_with(" policy.dmarc=none"), "{results}");
    // One reply for both: who would refuse it gets it into Junk. From somebody else, as the very
    // same mail at once may count as a repeated one.
    accepted(&send("jim@client.example", &["ann@example.org", "carol@example.net"]));
    assert_eq!((server.inbox("ann@example.org").len(), server.junk("ann@example.org").len()), (0, 1));
    assert_eq!(server.inbox("carol@example.net").len(), 2);
    drop(client);
    server.end();
}

fn a_domain_is_obeyed_before_its_tenant(mail: TestStore) {
    let server = start_for_carol(mail, &[("forged_mail", "stamp")], &[("forged_mail", "ignore")]);
    let mut client = Client::hello(server.mx);
    let forged = from("example.com");
    accepted(&client.mail("joe@client.example", &["carol@example.net"], forged.as_bytes()));
    let inbox = server.inbox("carol@example.net");
    assert!(!inbox[0].contains("Authentication-Results"), "{}", inbox[0]);
    drop(client);
    server.end();
}

fn forwarders_are_trusted_by_tenants(mail: TestStore) {
    let server = start_for_carol(mail, &[("forwarder_networks", "127.0.0.0/8")], &[]);
    let mut client = Client::hello(server.mx);
    let forged = from("example.com");
    assert_eq!(client.mail("joe@client.example", &["ann@example.org"], forged.as_bytes()), FORGED);
    accepted(&client.mail("joe@client.example", &["carol@example.net"], forged.as_bytes()));
    let results = results_of(&server.inbox("carol@example.net")[0]);
    assert!(results.contains("but 127.0.0.1 is a trusted forwarder"), "{results}");
    drop(client);
    server.end();
}
