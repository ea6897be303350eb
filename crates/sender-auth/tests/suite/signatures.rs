//! Signatures that the tests make, and what is left of them when an octet changes.

use crate::signer::{Algorithm, Form, NOW, Plan, publish, sign};
use hikyaku_sender_auth::dkim::{self, Outcome, Verified};
use hikyaku_sender_auth::dns::Table;
use hikyaku_sender_auth::{Message, Name};

const MESSAGE: &str = "From: Ann <ann@example.org>\r\nTo:  bob@example.net\r\n\
                       Subject: a\r\n\tfolded  subject\r\n\r\nHello  Bob, \r\n\r\nthis is it.\r\n\r\n\r\n";

fn dns() -> Table {
    let mut dns = Table::default();
    publish(&mut dns, "example.org");
    dns
}

async fn verify(dns: &Table, content: &[u8]) -> Vec<Verified> {
    dkim::verify(dns, &Message::new(content), NOW).await
}

async fn only(content: &str) -> Verified {
    let mut found = verify(&dns(), content.as_bytes()).await;
    assert_eq!(found.len(), 1, "{content}");
    found.remove(0)
}

fn kinds() -> impl Iterator<Item = (Algorithm, Form)> {
    let forms = [Form::Simple, Form::Relaxed];
    [Algorithm::Rsa, Algorithm::Ed25519].into_iter().flat_map(move |a| forms.map(|form| (a, form)))
}

#[tokio::test]
async fn any_damage_is_seen() {
    let dns = dns();
    for (algorithm, form) in kinds() {
        let signed = sign(MESSAGE, Plan { form, ..Plan::of("example.org", algorithm) });
        let verified = only(&signed).await;
        assert_eq!(verified.outcome, Outcome::Pass, "{verified:?}");
        assert_eq!(verified.domain, Name::parse("example.org"));
        // Empty lines at the end do not count, whatever is in the last of them.
        let end = signed.trim_end().len();
        for place in 0..end {
            let mut damaged = signed.clone().into_bytes();
            damaged[place] ^= 1;
            let found = verify(&dns, &damaged).await;
            let passes = found.iter().any(|verified| verified.outcome == Outcome::Pass);
            assert!(
                !passes,
                "{algorithm:?} {form:?}: octet {place}, {:?}",
                &signed[place.saturating_sub(9)..=place]
            );
        }
    }
}

#[tokio::test]
async fn octets_that_are_missing_or_added_are_seen() {
    // Without the blank line the body begins at the same place, as its text is no field.
    let dns = dns();
    for algorithm in [Algorithm::Rsa, Algorithm::Ed25519] {
        let signed = sign(MESSAGE, Plan { form: Form::Simple, ..Plan::of("example.org", algorithm) });
        let end = signed.trim_end().len();
        for place in 0..end {
            let mut shorter = signed.clone().into_bytes();
            // A bare line feed ends a line, too.
            if shorter.remove(place) == b'\r' {
                shorter.remove(place);
            }
            let mut longer = signed.clone().into_bytes();
            longer.insert(place, b'x');
            for damaged in [shorter, longer] {
                if String::from_utf8_lossy(&damaged).contains("subject\r\nHello") {
                    continue;
                }
                let found = verify(&dns, &damaged).await;
                let passes = found.iter().any(|verified| verified.outcome == Outcome::Pass);
                assert!(!passes, "{algorithm:?}: octet {place} of {:?}", String::from_utf8_lossy(&damaged));
            }
        }
    }
}

#[tokio::test]
async fn what_the_relaxed_form_allows() {
    for (algorithm, form) in kinds() {
        let signed = sign(MESSAGE, Plan { form, ..Plan::of("example.org", algorithm) });
        let expected = if form == Form::Relaxed { Outcome::Pass } else { Outcome::Fail };
        for (from, to) in [
            ("Subject: a\r\n\tfolded", "SUBJECT:   a folded"),
            ("Hello  Bob, \r\n", "Hello\t Bob,\r\n"),
            ("To:  bob", "To: bob"),
        ] {
            assert!(signed.contains(from));
            assert_eq!(only(&signed.replace(from, to)).await.outcome, expected, "{form:?} {to:?}");
        }
        // Bare line feeds end lines; more empty lines at the end change nothing in either form.
        assert_eq!(only(&signed.replace("\r\n", "\n")).await.outcome, Outcome::Pass);
        assert_eq!(only(&format!("{signed}\r\n\r\n")).await.outcome, Outcome::Pass);
        // Fields that are not signed may be added and moved.
        assert_eq!(only(&format!("Received: x\r\n{signed}")).await.outcome, Outcome::Pass);
    }
}

#[tokio::test]
async fn the_last_field_of_a_name_is_the_signed_one() {
    let signed = sign(MESSAGE, Plan::of("example.org", Algorithm::Ed25519));
    assert_eq!(only(&format!("Subject: another\r\n{signed}")).await.outcome, Outcome::Pass);
    let behind = signed.replace("\r\n\r\nHello", "\r\nSubject: another\r\n\r\nHello");
    assert_eq!(only(&behind).await.outcome, Outcome::Fail);
    // A name that is signed once more than it is there must stay away.
    let plan = Plan { names: "from:from:subject:subject", ..Plan::of("example.org", Algorithm::Ed25519) };
    let signed = sign(MESSAGE, plan);
    assert_eq!(only(&signed).await.outcome, Outcome::Pass);
    assert_eq!(only(&format!("Subject: another\r\n{signed}")).await.outcome, Outcome::Fail);
    assert_eq!(only(&format!("From: x@y.example\r\n{signed}")).await.outcome, Outcome::Fail);
}

#[tokio::test]
async fn time_identity_and_length() {
    use Outcome::{Fail, Neutral, Pass, Policy};
    // The relaxed body: two spaces fewer than what was sent, and one line end.
    let length = MESSAGE.split_once("\r\n\r\n").unwrap().1.trim_end().len() - 2 + 2;
    let whole = format!("l={length}; ");
    let (shorter, longer) = (format!("l={}; ", length - 1), format!("l={}; ", length + 1));
    let at = |offset: i64, tag: &str| format!("{tag}={}; ", NOW + offset);
    let table = [
        (String::new(), Pass),
        (at(0, "x"), Pass),
        (at(-1, "x"), Fail),
        (at(dkim::CLOCK_SKEW_SECS, "t"), Pass),
        (at(dkim::CLOCK_SKEW_SECS + 1, "t"), Fail),
        (at(-5, "t") + &at(-9, "x"), Neutral),
        ("i=@example.org; ".to_owned(), Pass),
        ("i=ann@mail.example.org; ".to_owned(), Pass),
        ("i=ann@example.net; ".to_owned(), Neutral),
        (whole, Pass),
        (shorter, Policy),
        (longer, Fail),
        ("l=0; ".to_owned(), Policy),
    ];
    for (more, expected) in &table {
        let signed = sign(MESSAGE, Plan { more, ..Plan::of("example.org", Algorithm::Rsa) });
        assert_eq!(only(&signed).await.outcome, *expected, "{more}");
    }
}

#[tokio::test]
async fn keys_decide() {
    use Outcome::{PermError, Policy, TempError};
    let name = || Name::parse("rsa._domainkey.example.org").unwrap();
    let small = "v=DKIM1; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAIWmlgix/84GJ+dfgjm7LTc9EPdfkftlgiPpCq4/kbDAZmU0VvYKDljj\
                 leJ1dfvS+CGy9U/kk1tG3EeEvb82xAcCAwEAAQ==";
    let signed = sign(MESSAGE, Plan::of("example.org", Algorithm::Rsa));
    for (text, expected) in [
        ("v=DKIM1; p=", PermError),
        (small, Policy),
        ("v=DKIM1; k=ed25519; p=AAAA", PermError),
        ("spam", PermError),
    ] {
        let mut dns = Table::default();
        dns.insert_txt(name(), text);
        assert_eq!(verify(&dns, signed.as_bytes()).await[0].outcome, expected, "{text}");
    }
    assert_eq!(verify(&Table::default(), signed.as_bytes()).await[0].outcome, PermError);
    let mut dns = Table::default();
    dns.fail(name(), hikyaku_sender_auth::dns::Kind::Txt, hikyaku_sender_auth::dns::DnsError::Timeout);
    assert_eq!(verify(&dns, signed.as_bytes()).await[0].outcome, TempError);
}

#[tokio::test]
async fn a_key_for_the_domain_alone_signs_for_no_identity_below() {
    let mut dns = Table::default();
    let name = Name::parse("ed25519._domainkey.example.org").unwrap();
    dns.insert_txt(name, "v=DKIM1; k=ed25519; t=s:y; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
    for (more, expected) in [("i=@example.org; ", Outcome::Pass), ("i=@a.example.org; ", Outcome::PermError)]
    {
        let signed = sign(MESSAGE, Plan { more, ..Plan::of("example.org", Algorithm::Ed25519) });
        let found = verify(&dns, signed.as_bytes()).await.remove(0);
        assert_eq!((found.outcome, found.testing), (expected, true), "{more}");
    }
}

#[tokio::test]
async fn only_so_many_are_examined() {
    let mut signed = MESSAGE.to_owned();
    for _ in 0..dkim::MAX_SIGNATURES + 2 {
        signed = sign(&signed, Plan::of("example.org", Algorithm::Ed25519));
    }
    let found = verify(&dns(), signed.as_bytes()).await;
    let passes = found.iter().filter(|verified| verified.outcome == Outcome::Pass).count();
    assert_eq!((passes, found.len()), (dkim::MAX_SIGNATURES, dkim::MAX_SIGNATURES + 1));
    // Nobody looks for the signed fields among very many.
    let many = "X: y\r\n".repeat(hikyaku_sender_auth::message::MAX_FIELDS);
    let flooded = sign(MESSAGE, Plan::of("example.org", Algorithm::Ed25519)).replacen(
        "From:",
        &format!("{many}From:"),
        1,
    );
    assert_eq!(only(&flooded).await.outcome, Outcome::Policy);
}
