//! Parsers of `types`: what one accepts is printed, and parsed again to the same value.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use hikyaku_types::{AccountId, Address, Domain, LocalPart, Network, TraceId};

/// A mail address, and the key it is looked up by.
pub fn address(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Some(address) = parses_as_printed::<Address>(text) else { return };
    assert!(address.local_part.as_str().len() <= LocalPart::MAX_OCTETS);
    let key = address.local_part.key();
    // A key of more octets than a local part may have is still a key.
    if let Ok(again) = LocalPart::from_unquoted(&key) {
        assert_eq!(again.key(), key, "the key of a key is itself");
    }
    assert!(!address.to_string().contains(['\r', '\n']), "{address} would break a protocol line");
}

/// A domain name: always lower-case A-labels.
pub fn domain(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Some(domain) = parses_as_printed::<Domain>(text) else { return };
    let ascii = domain.to_string();
    assert!(ascii.len() <= 253 && !ascii.ends_with('.'), "{ascii}");
    assert!(ascii.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.')), "{ascii}");
    let again = Domain::parse(&domain.to_unicode()).expect("the form that people read is a domain");
    assert_eq!(again, domain, "the form that people read");
}

/// Ids of two kinds: no text is both.
pub fn id(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let account = parses_as_printed::<AccountId>(text);
    let trace = parses_as_printed::<TraceId>(text);
    assert!(account.is_none() || trace.is_none(), "{text} has two kinds");
    if account.is_some() || trace.is_some() {
        assert_eq!(text.len(), 15, "every id has one length");
    }
}

/// A network in CIDR notation: it contains its own address.
pub fn network(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Some(network) = parses_as_printed::<Network>(text) else { return };
    assert!(network.contains(network.address()));
    assert_eq!(Network::containing(network.address(), network.prefix()), network);
}

/// The value of `text`, if it has one, once it is shown that its print means the same.
fn parses_as_printed<T: FromStr + Display + PartialEq + Debug>(text: &str) -> Option<T> {
    let value: T = text.parse().ok()?;
    let print = value.to_string();
    match print.parse::<T>() {
        Ok(again) => assert_eq!(again, value, "{text:?} prints as {print:?}"),
        Err(_) => panic!("{text:?} prints as {print:?}, which does not parse"),
    }
    Some(value)
}
