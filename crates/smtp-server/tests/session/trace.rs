//! Where is my mail? What the trace says of what was refused, went to Junk, or was accepted.

use std::sync::Arc;
use std::time::Duration;

use hikyaku_mailstore::Quota;
use hikyaku_sender_auth::dns::{Resolver, Table};
use hikyaku_smtp_server::Judge;
use hikyaku_testkit::{SHARD, TestStore, both_engines};
use hikyaku_trace::{Entry, Filter, Terms};

use crate::rig::client::Client;
use crate::rig::{Server, Setup, accepted};

both_engines! {
    a_forged_sender_is_refused_with_its_reason
    recipients_are_refused_with_their_reasons
    what_is_refused_at_mail_is_told
    what_is_no_path_is_told_as_it_was_written
    nonsense_of_one_connection_is_counted_together
    content_is_refused_with_its_reason
    refusals_that_are_alike_are_one_row
    delivered_mail_says_why_it_is_junk
    a_tenant_sees_what_is_its_own
    old_refusals_are_removed
}

const DNS: &str = r#"{
  "client.example.": [{"type": "A", "data": "127.0.0.1"}, {"type": "TXT", "data": "v=spf1 a -all"}],
  "_dmarc.example.com.": [{"type": "TXT", "data": "v=DMARC1; p=reject"}],
  "_dmarc.quarantine.example.": [{"type": "TXT", "data": "v=DMARC1; p=quarantine"}],
  "_dmarc.watch.example.": [{"type": "TXT", "data": "v=DMARC1; p=none"}],
  "slow.example.": [{"type": "TXT", "error": "timeout"}],
  "_dmarc.slow.example.": [{"type": "TXT", "data": "v=DMARC1; p=reject"}]
}"#;

fn start(mail: TestStore, setup: Setup) -> Server {
    let resolver = Resolver::Table(Table::from_json(DNS).unwrap());
    let judge = Some(Arc::new(Judge::new(resolver, Duration::from_secs(20))));
    Server::start_with(mail, Setup { judge, ..setup })
}

fn from(author: &str) -> String {
    format!("From: <ann@{author}>\r\nSubject: hi\r\n\r\nHello\r\n")
}

fn refused() -> Filter {
    Filter { is_refused: true, ..Filter::default() }
}

/// `refused joe@client.example → ann@example.org ×1: 550 …`
fn line(entry: &Entry) -> String {
    let Entry { event, reverse_path, recipient, count, .. } = entry;
    let why = entry.why.as_deref().unwrap_or("-");
    format!("{event} <{reverse_path}> → <{recipient}> ×{count}: {why}")
}

fn lines(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(line).collect()
}

fn a_forged_sender_is_refused_with_its_reason(mail: TestStore) {
    let server = start(mail, Setup::default());
    let mut client = Client::hello(server.mx);
    let mut send =
        |path: &str, author: &str| client.mail(path, &["ann@example.org"], from(author).as_bytes());
    assert!(send("joe@client.example", "example.com").starts_with("550 5.7.26 "));
    assert!(send("x@slow.example", "slow.example").starts_with("451 4.4.3 "));
    let to_ann = Filter { recipient: Some("ann@example.org".into()), ..Filter::default() };
    let found = server.find(&to_ann);
    assert_eq!(
        lines(&found),
        [
            "refused <joe@client.example> → <ann@example.org> ×1: \
             550 5.7.26 example.com asks to refuse mail in its name that fails DMARC",
            "refused <x@slow.example> → <ann@example.org> ×1: \
             451 4.4.3 DNS does not answer who sent this, try again later",
        ]
    );
    assert_eq!(found[0].finding.as_deref(), Some("dmarc=fail p=reject d=example.com"));
    assert_eq!(found[1].finding.as_deref(), Some("dmarc=temperror p=reject d=slow.example"));
    assert_eq!(found[0].peer.as_deref(), Some("127.0.0.1"));
    assert_eq!(found[0].listener.as_deref(), Some("smtp"));
    drop(client);
    server.end();
}

fn recipients_are_refused_with_their_reasons(mail: TestStore) {
    let server = start(mail, Setup { quota: Quota(Some(10)), ..Setup::default() });
    let mut client = Client::hello(server.mx);
    client.talk(
        "C: MAIL FROM:<a@client.example> SIZE=1000
         S: 250 2.1.0 Sender OK
         C: RCPT TO:<nobody@example.org>
         S: 550 5.1.1 No such mailbox
         C: RCPT TO:<x@elsewhere.example>
         S: 550 5.7.1 Relaying denied
         C: RCPT TO:<ann@example.org>
         S: 452 4.2.2 Mailbox full",
    );
    let found = server.find(&refused());
    assert_eq!(
        lines(&found),
        [
            "refused <a@client.example> → <nobody@example.org> ×1: 550 5.1.1 No such mailbox",
            "refused <a@client.example> → <x@elsewhere.example> ×1: 550 5.7.1 Relaying denied",
            "refused <a@client.example> → <ann@example.org> ×1: 452 4.2.2 Mailbox full",
        ]
    );
    let is_somebodys: Vec<bool> = found.iter().map(|entry| entry.tenant.is_some()).collect();
    assert_eq!(is_somebodys, [true, false, true]);
    drop(client);
    let mut ann = server.ann();
    ann.talk("C: MAIL FROM:<bob@example.org>\nS: 553 5.7.1 You may not send with this address");
    let found = server.find(&Filter { reverse_path: Some("bob@example.org".into()), ..refused() });
    assert_eq!(
        lines(&found),
        ["refused <bob@example.org> → <> ×1: 553 5.7.1 You may not send with this address"]
    );
    assert_eq!(found[0].listener.as_deref(), Some("submissions"));
    drop(ann);
    server.end();
}

fn what_is_refused_at_mail_is_told(mail: TestStore) {
    let server = start(mail, Setup { size_bytes: 100_000, ..Setup::default() });
    let mut client = Client::hello(server.mx);
    client.talk(
        "C: MAIL FROM:<a@client.example> SIZE=100001
         S: 552 5.3.4 Message too large
         C: MAIL FROM:<> BODY=BINARYMIME
         S: 555 5.5.4 Parameter not implemented",
    );
    assert_eq!(
        lines(&server.find(&refused())),
        [
            "refused <a@client.example> → <> ×1: 552 5.3.4 Message too large",
            "refused <> → <> ×1: 555 5.5.4 Parameter not implemented",
        ]
    );
    drop(client);
    server.end();
}

fn what_is_no_path_is_told_as_it_was_written(mail: TestStore) {
    let server = start(mail, Setup { size_bytes: 100_000, ..Setup::default() });
    let mut client = Client::hello(server.mx);
    client.talk(
        "C: MAIL FROM:<a@@client.example>
         S: 501 5.1.7 the domain is not valid
         C: MAIL FROM:a@client.example
         S: 501 5.1.7 the address must have the form <local-part@domain>
         C: MAIL FROM:<b@client.example> X-OTHER=1
         S: 555 5.5.4 Parameter not implemented",
    );
    // A client that pipelines names a recipient of what was refused.
    client.write(b"MAIL FROM:<c@client.example> SIZE=200000\r\nRCPT TO:<ann@example.org>\r\n");
    client.talk("S: 552 5.3.4 Message too large\nS: 503 5.5.1 MAIL first");
    client.talk(
        "C: MAIL FROM:<d@client.example>
         S: 250 2.1.0 Sender OK
         C: MAIL FROM:<e@client.example>
         S: 503 5.5.1 A mail transaction is open
         C: RCPT TO:<ann@example.org>
         S: 250 2.1.5 Recipient OK
         C: RCPT TO:<ann@>
         S: 501 5.1.3 the domain is not valid",
    );
    let found = server.find(&refused());
    assert_eq!(
        lines(&found),
        [
            "refused <a@@client.example> → <> ×1: 501 5.1.7 the domain is not valid",
            "refused <a@client.example> → <> ×1: 501 5.1.7 the address must have the form <local-part@domain>",
            "refused <b@client.example> → <> ×1: 555 5.5.4 Parameter not implemented",
            "refused <c@client.example> → <> ×1: 552 5.3.4 Message too large",
            "refused <c@client.example> → <ann@example.org> ×1: 503 5.5.1 MAIL first",
            "refused <e@client.example> → <> ×1: 503 5.5.1 A mail transaction is open",
            "refused <d@client.example> → <ann@> ×1: 501 5.1.3 the domain is not valid",
        ]
    );
    let is_somebodys: Vec<bool> = found.iter().map(|entry| entry.tenant.is_some()).collect();
    assert_eq!(is_somebodys, [false, false, false, false, false, false, true]);
    drop(client);
    server.end();
}

fn nonsense_of_one_connection_is_counted_together(mail: TestStore) {
    let server = start(mail, Setup { size_bytes: 100_000, ..Setup::default() });
    // What is too large is no mistake of the client's, which could go on for ever.
    let mut client = Client::hello(server.mx);
    for number in 0..60 {
        client
            .talk(&format!("C: MAIL FROM:<a@{number}.example> SIZE=100001\nS: 552 5.3.4 Message too large"));
    }
    let found = lines(&server.find(&refused()));
    assert_eq!(found.len(), 21, "{found:?}");
    assert_eq!(found[19], "refused <a@19.example> → <> ×1: 552 5.3.4 Message too large");
    assert_eq!(found[20], "refused <> → <> ×40: 552 5.3.4 Message too large");
    drop(client);
    server.end();
}

fn content_is_refused_with_its_reason(mail: TestStore) {
    let server = start(mail, Setup { size_bytes: 100_000, ..Setup::default() });
    let mut client = Client::hello(server.mx);
    let to = ["ann@example.org", "carol@example.net"];
    let looped = "Delivered-To: ann@example.org\r\nReceived: from a by mx.example with ESMTP\r\n\r\n";
    let contents = ["a\0b\r\n".to_owned(), "0123456789\r\n".repeat(10_000), looped.to_owned()];
    let replies: Vec<String> =
        contents.iter().map(|content| client.mail("a@client.example", &to, content.as_bytes())).collect();
    let expected: Vec<String> = replies
        .iter()
        .flat_map(|reply| to.map(|to| format!("refused <a@client.example> → <{to}> ×1: {reply}")))
        .collect();
    assert_eq!(lines(&server.find(&refused())), expected);
    for (reply, beginning) in replies.iter().zip(["550 5.6.0 ", "552 5.3.4 ", "554 5.4.6 "]) {
        assert!(reply.starts_with(beginning), "{reply}");
    }
    drop(client);
    // Each recipient of LMTP by itself.
    let mut relay = server.lmtp_client();
    relay.content("a@relay.example", &to, looped.as_bytes());
    let [of_ann, of_carol] = [relay.line(), relay.line()];
    accepted(&of_carol);
    let found = server.find(&Filter { reverse_path: Some("relay.example".into()), ..refused() });
    assert_eq!(lines(&found), [format!("refused <a@relay.example> → <ann@example.org> ×1: {of_ann}")]);
    drop(relay);
    server.end();
}

fn refusals_that_are_alike_are_one_row(mail: TestStore) {
    let server = start(mail, Setup::default());
    let mut client = Client::hello(server.mx);
    client.talk("C: MAIL FROM:<a@client.example>\nS: 250 2.1.0 Sender OK");
    for name in ["one", "two", "three"] {
        client.talk(&format!("C: RCPT TO:<{name}@example.org>\nS: 550 5.1.1 No such mailbox"));
    }
    client.talk("C: RCPT TO:<one@example.net>\nS: 550 5.1.1 No such mailbox");
    // In the next minute it is another row.
    server.mail.clock.advance(Duration::from_secs(60));
    client.talk("C: RCPT TO:<four@example.org>\nS: 550 5.1.1 No such mailbox");
    let expected = [
        "refused <a@client.example> → <one@example.org> ×3: 550 5.1.1 No such mailbox",
        "refused <a@client.example> → <one@example.net> ×1: 550 5.1.1 No such mailbox",
        "refused <a@client.example> → <four@example.org> ×1: 550 5.1.1 No such mailbox",
    ];
    assert_eq!(lines(&server.find(&refused())), expected);
    // Of the first row only the domain is known of all.
    let to = |name: &str| Filter { recipient: Some(name.into()), ..refused() };
    assert_eq!(lines(&server.find(&to("two@example.org"))), expected[..1]);
    assert_eq!(lines(&server.find(&to("four@example.org"))), [expected[0], expected[2]]);
    assert_eq!(lines(&server.find(&to("two@example.net"))), <[&str; 0]>::default());
    drop(client);
    server.end();
}

fn delivered_mail_says_why_it_is_junk(mail: TestStore) {
    let server = start(mail, Setup::default());
    let mut client = Client::hello(server.mx);
    let mut ids = Vec::new();
    for author in ["client.example", "quarantine.example", "watch.example"] {
        let reply = client.mail("joe@client.example", &["ann@example.org"], from(author).as_bytes());
        ids.push(accepted(&reply).to_string());
    }
    client.talk("C: MAIL FROM:<joe@client.example>\nS: 250 2.1.0 Sender OK");
    client.talk("C: RCPT TO:<nobody@example.org>\nS: 550 5.1.1 No such mailbox");
    let found = server.find(&Filter { reverse_path: Some("client.example".into()), ..Filter::default() });
    assert_eq!(
        lines(&found),
        [
            "delivered <joe@client.example> → <ann@example.org> ×1: -",
            "delivered <joe@client.example> → <ann@example.org> ×1: \
             to Junk: dmarc=fail, and quarantine.example asks for p=quarantine",
            "delivered <joe@client.example> → <ann@example.org> ×1: \
             dmarc=fail, and watch.example asks for p=none",
            "refused <joe@client.example> → <nobody@example.org> ×1: 550 5.1.1 No such mailbox",
        ]
    );
    assert_eq!(found[..3].iter().map(|entry| entry.id.clone()).collect::<Vec<_>>(), ids);
    drop(client);
    server.end();
}

fn a_tenant_sees_what_is_its_own(mail: TestStore) {
    let server = start(mail, Setup::default());
    let mut client = Client::hello(server.mx);
    client.talk("C: MAIL FROM:<a@client.example>\nS: 250 2.1.0 Sender OK");
    for (name, reply) in [
        ("nobody@example.org", "550 5.1.1 No such mailbox"),
        ("nobody@example.net", "550 5.1.1 No such mailbox"),
        ("x@elsewhere.example", "550 5.7.1 Relaying denied"),
    ] {
        client.talk(&format!("C: RCPT TO:<{name}>\nS: {reply}"));
    }
    let of = |tenant| -> Vec<String> {
        let found = server.find_of(tenant, &Filter::default());
        found.into_iter().map(|entry| entry.recipient).collect()
    };
    assert_eq!(of(None), ["nobody@example.org", "nobody@example.net", "x@elsewhere.example"]);
    assert_eq!(of(Some(1)), ["nobody@example.org"]);
    assert_eq!(of(Some(2)), ["nobody@example.net"]);
    drop(client);
    server.end();
}

fn old_refusals_are_removed(mail: TestStore) {
    let server = start(mail, Setup::default());
    let mut client = Client::hello(server.mx);
    client.talk("C: MAIL FROM:<a@client.example>\nS: 250 2.1.0 Sender OK");
    let mut refuse = || client.talk("C: RCPT TO:<nobody@example.org>\nS: 550 5.1.1 No such mailbox");
    refuse();
    let month = Duration::from_secs(30 * 24 * 3600);
    let now = server.mail.clock.advance(month + Duration::from_secs(1));
    refuse();
    assert_eq!(server.find(&refused()).len(), 2);
    let terms = Arc::new(Terms::new(30));
    let expire = || {
        let expired = hikyaku_trace::expire(&server.mail.store, SHARD, Arc::clone(&terms), now);
        server.mail.block_on(expired).unwrap()
    };
    assert_eq!((expire(), expire()), (1, 0));
    assert_eq!(server.find(&refused()).len(), 1);
    drop(client);
    server.end();
}
