//! Fuzz bodies of `hikyaku-sender-auth`: what strangers write into DNS and into messages.
//!
//! Nothing here waits: the DNS is a table that has every answer at hand.

use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use hikyaku_mime::Header;
use hikyaku_sender_auth::authres::{self, AuthenticationResults};
use hikyaku_sender_auth::dkim::{self, Algorithm, Key, Signature};
use hikyaku_sender_auth::dmarc::{self, Authors};
use hikyaku_sender_auth::dns::Table;
use hikyaku_sender_auth::tags::Tags;
use hikyaku_sender_auth::{Client, Message, Name, arc, spf};

const NOW: i64 = 1_795_491_267;

/// Runs a future that never waits.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a table makes nobody wait"),
    }
}

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

/// Lists of tags: signatures, keys, DMARC records.
pub fn auth_tags(text: &[u8]) {
    if let Some(tags) = Tags::parse(text) {
        if let Some(place) = tags.place("b") {
            assert_eq!(Some(text[place].trim_ascii()), tags.get("b").map(<[u8]>::trim_ascii));
        }
        if let Ok(signature) = Signature::parse(&tags) {
            assert!(signature.identity_domain.is_within(&signature.common.domain));
            assert!(signature.names.iter().any(|name| name.eq_ignore_ascii_case(b"from")));
        }
    }
    for algorithm in [Algorithm::RsaSha256, Algorithm::Ed25519Sha256] {
        if let Ok(key) = Key::parse(text, algorithm) {
            assert!((256..=8192).contains(&key.bits()));
        }
    }
    if let Some(record) = dmarc::Record::parse(text) {
        assert_eq!(record.text.as_bytes(), text);
        assert!(record.percent.is_none_or(|percent| percent <= 100));
    }
}

/// The first line is the local part of a sender, each other a record of SPF at `0.example`,
/// `1.example` and so on.
pub fn auth_spf(data: &[u8]) {
    let mut lines = data.split(|&octet| octet == b'\n');
    let local_part = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let mut dns = Table::default();
    for (number, line) in lines.take(20).enumerate() {
        let _ = spf::Record::parse(line);
        dns.insert_txt(name(&format!("{number}.example")), &String::from_utf8_lossy(line));
    }
    let reverse_path = format!("{local_part}@0.example");
    for ip in [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), "2001:db8::1".parse().expect("an address")] {
        let client = Client { ip, helo: &local_part, reverse_path: &reverse_path };
        let found = at_once(spf::check(&dns, &client, "mx.example", NOW));
        assert_ne!(found.outcome, spf::Outcome::TempError, "a table always answers");
        assert!(found.explanation.is_none_or(|text| !text.contains(char::is_control)));
    }
}

/// A field of Authentication-Results: what is read and printed again stays the same, and is
/// one field.
pub fn auth_results(value: &[u8]) {
    let content = [b"Authentication-Results:", value, b"\r\n\r\n"].concat();
    for range in authres::fields_claiming(Header::of_content(&content), "mx.example") {
        assert!(range.start < range.end && range.end as usize <= content.len());
    }
    let Some(read) = AuthenticationResults::parse(value) else { return };
    let printed = print(&read);
    let again = AuthenticationResults::parse(&printed).expect("what we print can be read");
    assert_eq!(again.results.len(), read.results.len());
    let printed_again = print(&again);
    assert_eq!(AuthenticationResults::parse(&printed_again), Some(again));
}

/// The value of the printed field, which is checked to be one field of visible ASCII.
fn print(results: &AuthenticationResults) -> Vec<u8> {
    let field = results.to_field();
    assert!(field.bytes().all(|octet| matches!(octet, b' '..=b'~' | b'\t' | b'\r' | b'\n')));
    let block = field.clone() + "\r\n";
    let mut fields = Header::new(block.as_bytes()).fields();
    let value = fields.next().map(|field| field.value.to_vec());
    assert!(fields.next().is_none(), "{field}");
    value.expect("a field")
}

/// A whole message: DKIM, ARC, DMARC.
pub fn auth_message(content: &[u8]) {
    let mut dns = Table::default();
    let key = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    dns.insert_txt(name("brisbane._domainkey.football.example.com"), key);
    dns.insert_txt(name("_dmarc.example.com"), "v=DMARC1; p=reject");
    let message = Message::new(content);
    let dkim = at_once(dkim::verify(&dns, &message, NOW));
    let arc = at_once(arc::validate(&dns, &message, NOW));
    assert_eq!(arc.outcome == arc::Outcome::Pass, !arc.sets.is_empty());
    let client = Client { ip: Ipv4Addr::LOCALHOST.into(), helo: "", reverse_path: "" };
    let spf = at_once(spf::check(&dns, &client, "mx.example", NOW));
    let authors = at_once(Authors::look_up(&dns, &message));
    let found = at_once(authors.evaluate(&dns, &spf, &dkim));
    if found.outcome == dmarc::Outcome::Pass {
        assert!(dkim.iter().any(|verified| verified.outcome == dkim::Outcome::Pass));
    }
}
