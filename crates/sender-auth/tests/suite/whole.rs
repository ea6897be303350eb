//! All checks of whole messages, against a DNS that is a table.

use crate::signer::{Algorithm, NOW, Plan, publish, seal, sign};
use hikyaku_sender_auth::dmarc::{self, Request};
use hikyaku_sender_auth::dns::{Budget, Data, Dns, DnsError, Kind, Records, Resolver, Table};
use hikyaku_sender_auth::policy::{Action, Forwarders, Mode, Policy, judge};
use hikyaku_sender_auth::{Client, Message, Name, Results, TIME, arc, check, check_within, dkim, spf};
use hikyaku_types::{Network, Timestamp};

const MESSAGE: &str = "From: Ann <ann@example.org>\r\nTo: bob@example.net\r\nSubject: hi\r\n\r\nHello.\r\n";

/// `example.org` rejects what fails, `lists.example` passes mail on.
fn dns() -> Table {
    let mut dns = Table::from_json(
        r#"{"example.org.": [{"type": "TXT", "data": "v=spf1 ip4:192.0.2.1 -all"}],
            "_dmarc.example.org.": [{"type": "TXT", "data": "v=DMARC1; p=reject; sp=quarantine; np=reject"}],
            "news.example.org.": [{"type": "TXT", "data": "v=spf1 ip4:192.0.2.2 -all"}],
            "lists.example.": [{"type": "TXT", "data": "v=spf1 ip4:198.51.100.1 -all"}],
            "1.2.0.192.in-addr.arpa.": [{"type": "PTR", "data": "mx.example.org."}],
            "mx.example.org.": [{"type": "A", "data": "192.0.2.1"}]}"#,
    )
    .unwrap();
    for domain in ["example.org", "lists.example", "other.example"] {
        publish(&mut dns, domain);
    }
    dns
}

fn client<'a>(ip: &str, reverse_path: &'a str) -> Client<'a> {
    Client { ip: ip.parse().unwrap(), helo: "mx.example.org", reverse_path }
}

async fn results(dns: &Table, client: Client<'_>, content: &str) -> Results {
    let message = Message::new(content.as_bytes());
    let now = Timestamp::from_secs(NOW);
    check(dns, &client, &message, "mx.receiver.example", now, TIME).await
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

#[tokio::test]
async fn a_message_from_its_author() {
    let signed = sign(MESSAGE, Plan::of("example.org", Algorithm::Ed25519));
    let found = results(&dns(), client("192.0.2.1", "ann@example.org"), &signed).await;
    assert_eq!(found.spf.outcome, spf::Outcome::Pass);
    assert_eq!(found.dmarc.outcome, dmarc::Outcome::Pass);
    assert_eq!(found.dmarc.aligned, Some((dmarc::Mechanism::Dkim, name("example.org"))));
    assert_eq!(found.arc.outcome, arc::Outcome::None);
    let beginning = &found.dkim[0].beginning;
    assert_eq!(
        found
            .stamp("mx.receiver.example")
            .to_field()
            .replace(beginning, "BEGINING")
            .replace("\"BEGINING\"", "BEGINING"),
        "Authentication-Results: mx.receiver.example;\r\n\
         \tiprev=pass policy.iprev=192.0.2.1;\r\n\
         \tspf=pass smtp.mailfrom=ann@example.org;\r\n\
         \tdkim=pass header.d=example.org header.s=ed25519 header.a=ed25519-sha256\r\n\
         \theader.b=BEGINING;\r\n\
         \tdmarc=pass header.from=example.org polrec.p=reject polrec.domain=example.org\r\n"
    );
}

#[tokio::test]
async fn who_is_aligned_with_the_author() {
    use dmarc::Outcome::{Fail, Pass};
    let below = MESSAGE.replace("ann@example.org", "ann@shop.example.org");
    for (what, content, reverse_path, ip, expected) in [
        ("SPF alone", MESSAGE, "ann@example.org", "192.0.2.1", Pass),
        ("SPF of a domain below", MESSAGE, "bounce@news.example.org", "192.0.2.2", Pass),
        ("SPF of a stranger", MESSAGE, "x@lists.example", "198.51.100.1", Fail),
        ("SPF fails", MESSAGE, "ann@example.org", "192.0.2.9", Fail),
        ("the author is below", &below, "ann@example.org", "192.0.2.1", Pass),
        ("two cousins", &below, "bounce@news.example.org", "192.0.2.2", Pass),
        ("null reverse-path, EHLO below", MESSAGE, "", "192.0.2.1", Fail),
    ] {
        let found = results(&dns(), client(ip, reverse_path), content).await;
        assert_eq!(found.dmarc.outcome, expected, "{what}");
    }
    let stranger = sign(MESSAGE, Plan::of("lists.example", Algorithm::Ed25519));
    let found = results(&dns(), client("192.0.2.9", ""), &stranger).await;
    assert_eq!((found.dkim[0].outcome, found.dmarc.outcome), (dkim::Outcome::Pass, Fail));
}

#[tokio::test]
async fn strict_alignment_and_organizations_of_their_own() {
    use dmarc::Outcome::{Fail, Pass};
    for (own, below, expected) in [
        ("p=reject", None, Pass),
        ("p=reject; aspf=s", None, Fail),
        ("p=reject; adkim=s", None, Pass),
        ("p=reject", Some("p=none"), Pass),
        ("p=reject", Some("p=none; psd=n"), Fail),
        // `psd=y` below would make the author's organization somebody else's.
        ("p=reject", Some("p=none; psd=y"), Fail),
    ] {
        let mut dns = Table::default();
        dns.insert_txt(name("_dmarc.example.org"), &format!("v=DMARC1; {own}"));
        dns.insert_txt(name("news.example.org"), "v=spf1 +all");
        if let Some(below) = below {
            dns.insert_txt(name("_dmarc.news.example.org"), &format!("v=DMARC1; {below}"));
        }
        let found = results(&dns, client("192.0.2.2", "b@news.example.org"), MESSAGE).await;
        assert_eq!(found.dmarc.outcome, expected, "{own} {below:?}");
    }
}

#[tokio::test]
async fn which_policy_applies() {
    use Request::{None as Nothing, Quarantine, Reject};
    for (record, author, published, requested) in [
        ("p=reject; sp=quarantine; np=none", "example.org", Reject, Reject),
        ("p=reject; sp=quarantine; np=none", "there.example.org", Quarantine, Quarantine),
        ("p=reject; sp=quarantine; np=none", "missing.example.org", Nothing, Nothing),
        ("p=reject; sp=none", "missing.example.org", Nothing, Nothing),
        ("p=quarantine; np=reject", "there.example.org", Quarantine, Quarantine),
        ("p=quarantine; np=reject", "missing.example.org", Reject, Reject),
        ("p=reject; t=y", "example.org", Reject, Quarantine),
        ("p=quarantine; t=y", "example.org", Quarantine, Nothing),
        ("p=none; t=y", "example.org", Nothing, Nothing),
        // pct is shown, and changes nothing.
        ("p=reject; pct=0", "example.org", Reject, Reject),
    ] {
        let mut dns = Table::default();
        dns.insert_txt(name("_dmarc.example.org"), &format!("v=DMARC1; {record}"));
        dns.insert_txt(name("there.example.org"), "hello");
        let content = MESSAGE.replace("ann@example.org", &format!("ann@{author}"));
        let found = results(&dns, client("192.0.2.9", ""), &content).await;
        let policy = found.dmarc.policy.unwrap();
        assert_eq!((policy.published, policy.requested), (published, requested), "{record} {author}");
        assert_eq!(found.dmarc.outcome, dmarc::Outcome::Fail);
    }
}

#[tokio::test]
async fn no_answer_is_no_verdict() {
    let signed = sign(MESSAGE, Plan::of("example.org", Algorithm::Ed25519));
    for (place, kind, action) in [
        ("_dmarc.example.org", Kind::Txt, Action::Accept),
        // It asks for p=reject, and this could be what saves it.
        ("ed25519._domainkey.example.org", Kind::Txt, Action::Defer),
        ("example.org", Kind::Txt, Action::Defer),
    ] {
        for error in [DnsError::Timeout, DnsError::ServFail] {
            let mut dns = dns();
            dns.fail(name(place), kind, error);
            // From the wrong client: only the signature could make it pass.
            let damaged = signed.replace("Hello", "Hullo");
            let content = if place == "example.org" { &damaged } else { &signed };
            let found = results(&dns, client("192.0.2.9", "ann@example.org"), content).await;
            assert_eq!(found.dmarc.outcome, dmarc::Outcome::TempError, "{place} {error:?}");
            assert_eq!(judge(&found, &Policy::default()).action, action, "{place} {error:?}");
            let trusting = trusting(&[], &["192.0.2.9"]);
            assert_eq!(judge(&found, &trusting).action, Action::Accept, "{place} {error:?}");
        }
    }
    // What could not help anyway does not matter.
    let stranger = sign(MESSAGE, Plan::of("other.example", Algorithm::Ed25519));
    let mut dns = dns();
    dns.fail(name("ed25519._domainkey.other.example"), Kind::Txt, DnsError::Timeout);
    let found = results(&dns, client("192.0.2.9", "ann@example.org"), &stranger).await;
    assert_eq!(
        (found.dkim[0].outcome, found.dmarc.outcome),
        (dkim::Outcome::TempError, dmarc::Outcome::Fail)
    );
}

#[tokio::test]
async fn authors_that_are_hard_to_find() {
    use dmarc::Outcome::{Fail, None as Nothing, Pass, PermError};
    for (from, expected) in [
        ("From: ann@example.org", Pass),
        ("From: ann@EXAMPLE.org.", Pass),
        ("From: \"x@victim.example\" <ann@example.org>", Pass),
        ("From: a@example.org, b@example.org", Pass),
        ("From: a@example.org, b@nothing.example", Nothing),
        // A second author or field must not hide the first.
        ("From: ann@example.org, x@victim.example", Fail),
        ("From: x@victim.example\r\nFrom: ann@example.org", Fail),
        ("From: x@[192.0.2.1], x@victim.example", Fail),
        ("From: x@[192.0.2.1]", PermError),
        ("From: nobody", PermError),
        ("From: group:;", PermError),
        ("To: ann@example.org", PermError),
        ("From: a@a.example, b@b.example, c@c.example, d@d.example, e@e.example", PermError),
        ("From: ann@\u{65e5}\u{672c}.example", Fail),
    ] {
        let mut dns = dns();
        dns.insert_txt(name("_dmarc.victim.example"), "v=DMARC1; p=reject");
        dns.insert_txt(name("_dmarc.xn--wgv71a.example"), "v=DMARC1; p=reject");
        let content = MESSAGE.replace("From: Ann <ann@example.org>", from);
        let found = results(&dns, client("192.0.2.1", "ann@example.org"), &content).await;
        assert_eq!(found.dmarc.outcome, expected, "{from}: {:?}", found.dmarc);
    }
}

fn trusting(domains: &[&str], networks: &[&str]) -> Policy {
    let forwarders = Forwarders {
        domains: domains.iter().map(|domain| name(domain)).collect(),
        networks: networks.iter().map(|network| Network::parse(network).unwrap()).collect(),
    };
    Policy { forwarders, ..Policy::default() }
}

/// A list that changed the subject: the author's signature is broken, SPF is the list's.
fn through_a_list(saw: &str, hops: &[&str]) -> String {
    let mut message = sign(MESSAGE, Plan::of("example.org", Algorithm::Ed25519))
        .replace("Subject: hi", "Subject: [list] hi");
    for (index, domain) in hops.iter().enumerate() {
        let results =
            if index == 0 { format!("{domain}; {saw}") } else { format!("{domain}; arc=pass; dmarc=fail") };
        message = seal(&message, index + 1, &results, Plan::of(domain, Algorithm::Ed25519));
    }
    message
}

#[tokio::test]
async fn forwarders_are_believed_as_far_as_they_are_trusted() {
    use Action::{Accept, Reject};
    let strict = Policy::default();
    let list = trusting(&["lists.example"], &[]);
    let both = trusting(&["lists.example", "other.example"], &[]);
    for (saw, hops, policy, expected) in [
        ("dmarc=pass", &["lists.example"][..], &strict, Reject),
        ("dmarc=pass", &["lists.example"], &list, Accept),
        ("dmarc=pass", &["lists.example"], &trusting(&["example"], &[]), Accept),
        ("dmarc=pass", &["lists.example"], &trusting(&["more.lists.example"], &[]), Reject),
        ("dmarc=fail", &["lists.example"], &list, Reject),
        ("spf=pass", &["lists.example"], &list, Reject),
        // The newest sealer must be trusted, and then all up to the one who saw it pass.
        ("dmarc=pass", &["lists.example", "other.example"], &list, Reject),
        ("dmarc=pass", &["other.example", "lists.example"], &list, Reject),
        ("dmarc=pass", &["other.example", "lists.example"], &both, Accept),
        ("dmarc=pass", &[], &trusting(&[], &["198.51.100.0/24"]), Accept),
        ("dmarc=pass", &[], &trusting(&[], &["198.51.100.2"]), Reject),
    ] {
        let message = through_a_list(saw, hops);
        let found = results(&dns(), client("198.51.100.1", "bounce@lists.example"), &message).await;
        assert_eq!(found.dmarc.outcome, dmarc::Outcome::Fail);
        let arc = if hops.is_empty() { arc::Outcome::None } else { arc::Outcome::Pass };
        assert_eq!(found.arc.outcome, arc, "{:?}", found.arc);
        assert_eq!(
            judge(&found, policy).action,
            expected,
            "{saw} {hops:?}: {}",
            judge(&found, policy).reason
        );
    }
    // A signature of the forwarder does it, too.
    let signed = sign(&through_a_list("", &[]), Plan::of("lists.example", Algorithm::Ed25519));
    let found = results(&dns(), client("198.51.100.1", ""), &signed).await;
    assert_eq!(judge(&found, &list).action, Accept);
    assert_eq!(judge(&found, &strict).action, Reject);
    // If DNS does not answer whether a trusted forwarder vouches for it, it is put off.
    let mut broken = dns();
    broken.fail(name("ed25519._domainkey.lists.example"), Kind::Txt, DnsError::Timeout);
    for (message, policy, expected) in [
        (&signed, &list, Action::Defer),
        (&signed, &strict, Reject),
        (&through_a_list("dmarc=pass", &["lists.example"]), &list, Action::Defer),
        (&through_a_list("dmarc=pass", &["lists.example"]), &strict, Reject),
    ] {
        let found = results(&broken, client("198.51.100.1", ""), message).await;
        assert_eq!(judge(&found, policy).action, expected);
    }
    // A chain that was changed afterwards is worth nothing.
    let changed = through_a_list("dmarc=fail", &["lists.example"]).replace("dmarc=fail", "dmarc=pass");
    let found = results(&dns(), client("198.51.100.1", ""), &changed).await;
    assert_eq!((found.arc.outcome, judge(&found, &list).action), (arc::Outcome::Fail, Reject));
}

#[tokio::test]
async fn modes() {
    let mut quarantine = dns();
    quarantine.insert_txt(name("_dmarc.quarantine.example"), "v=DMARC1; p=quarantine");
    for (author, mode, action, stamp) in [
        ("example.org", Mode::Obey, Action::Reject, true),
        ("example.org", Mode::StampOnly, Action::Accept, true),
        ("example.org", Mode::Ignore, Action::Accept, false),
        ("quarantine.example", Mode::Obey, Action::Junk, true),
        ("quarantine.example", Mode::StampOnly, Action::Accept, true),
        ("nothing.example", Mode::Obey, Action::Accept, true),
    ] {
        let content = MESSAGE.replace("ann@example.org", &format!("ann@{author}"));
        let found = results(&quarantine, client("192.0.2.9", ""), &content).await;
        let verdict = judge(&found, &Policy { mode, ..Policy::default() });
        assert_eq!((verdict.action, verdict.stamp), (action, stamp), "{author} {mode:?}: {}", verdict.reason);
    }
    let nobody = results(&quarantine, client("192.0.2.9", ""), "Subject: x\r\n\r\n").await;
    assert_eq!(judge(&nobody, &Policy::default()).action, Action::Junk);
}

/// Slow where the forger's servers are, as good as the table elsewhere.
struct TarPit(Table);

impl Dns for TarPit {
    async fn look_up(&self, name: &Name, kind: Kind) -> Result<Records, DnsError> {
        if name.as_str().ends_with("slow.example") {
            std::future::pending::<()>().await;
        }
        self.0.look_up(name, kind).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_forger_cannot_keep_the_policy_from_being_asked_for() {
    let mut table = dns();
    // As many look-ups as SPF allows, and servers that never answer.
    let text: String = (0..10).map(|number| format!(" mx:mx{number}.costly.example")).collect();
    table.insert_txt(name("costly.example"), &format!("v=spf1{text} include:slow.example -all"));
    for number in 0..10 {
        for exchanger in 0..10 {
            let exchange = Name::parse(&format!("m{exchanger}.mx{number}.costly.example"));
            let data = Data::Mx { preference: 0, exchange };
            table.insert(name(&format!("mx{number}.costly.example")), Kind::Mx, data);
        }
    }
    let dns = TarPit(table);
    let mut forged = MESSAGE.to_owned();
    for instance in 1..=arc::MAX_SETS {
        forged = seal(
            &forged,
            instance,
            "x; none",
            Plan::of(&format!("d{instance}.slow.example"), Algorithm::Ed25519),
        );
    }
    for number in 0..20 {
        forged = sign(&forged, Plan::of(&format!("d{number}.slow.example"), Algorithm::Ed25519));
    }
    // The last of them is examined first, and claims to be the author's.
    forged = sign(&forged, Plan::of("mail.example.org", Algorithm::Rsa));
    for reverse_path in ["x@costly.example", "x@slow.example"] {
        let budget = Budget::new(&dns).with_log();
        let message = Message::new(forged.as_bytes());
        let client = client("198.51.100.66", reverse_path);
        let found = check_within(&budget, &client, &message, "mx", Timestamp::from_secs(NOW), TIME).await;
        assert_eq!(found.arc.outcome, arc::Outcome::TempError);
        assert_eq!(found.dkim.len(), dkim::MAX_SIGNATURES + 1);
        assert_eq!(found.dmarc.outcome, dmarc::Outcome::Fail, "{:?}", found.dmarc);
        assert_eq!(judge(&found, &Policy::default()).action, Action::Reject);
        assert!(budget.log().len() <= 242, "{}", budget.log().len());
    }
}

#[tokio::test]
async fn a_server_can_check_on_a_task_of_its_own() {
    let dns = std::sync::Arc::new(Resolver::Table(dns()));
    let content = std::sync::Arc::new(sign(MESSAGE, Plan::of("example.org", Algorithm::Rsa)).into_bytes());
    let task = tokio::spawn(async move {
        let message = Message::new(&content);
        let client = client("192.0.2.1", "ann@example.org");
        check(&*dns, &client, &message, "mx", Timestamp::from_secs(NOW), TIME).await.dmarc.outcome
    });
    assert_eq!(task.await.unwrap(), dmarc::Outcome::Pass);
}
