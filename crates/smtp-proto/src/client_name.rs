//! The name a client gives itself in HELO, EHLO or LHLO.
//!
//! Standards: RFC 5321 section 4.1.1.1.
//! Trust: the client may say anything. The name is shown and logged, never decided on
//! alone; its characters cannot leave a `Received:` field's clause.

use std::fmt;
use std::net::IpAddr;

use hikyaku_types::Domain;

use crate::path::{Host, address_literal};

/// `Domain / address-literal`, or what stands in its place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ClientName {
    /// A domain name.
    Domain(Domain),
    /// `[192.0.2.1]`.
    Literal(IpAddr),
    /// Not a name by RFC 5321, but one that clients are known to use: letters, digits and
    /// `-._:` only.
    Loose(Box<str>),
}

impl ClientName {
    /// The most octets, RFC 5321 section 4.5.3.1.2.
    pub const MAX_OCTETS: usize = 255;

    /// Parses the argument of HELO, EHLO or LHLO.
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > Self::MAX_OCTETS || !text.is_ascii() {
            return None;
        }
        if let Some(inside) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return address_literal(inside).map(Self::Literal);
        }
        match Domain::parse(text) {
            Ok(domain) => Some(Self::Domain(domain)),
            Err(_) => loose_name(text),
        }
    }
}

/// Tolerance: Windows hosts announce names such as `DESKTOP_1` (Outlook, and scanners that
/// use its libraries), and home routers a bare `192.168.1.7`. Neither is a domain name.
fn loose_name(text: &str) -> Option<ClientName> {
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    text.bytes().all(harmless).then(|| ClientName::Loose(text.into()))
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => write!(f, "{domain}"),
            Self::Literal(ip) => write!(f, "{}", Host::Literal(*ip)),
            Self::Loose(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (text, printed) in [
            ("client.example", Some("client.example")),
            ("CLIENT", Some("client")),
            ("[192.0.2.1]", Some("[192.0.2.1]")),
            ("[IPv6:2001:db8::1]", Some("[IPv6:2001:db8::1]")),
            ("DESKTOP_1", Some("DESKTOP_1")),
            ("192.168.1.7", Some("192.168.1.7")),
            ("", None),
            ("[192.0.2]", None),
            ("a b", None),
            ("a(b)", None),
            ("a;b", None),
            ("<a>", None),
            ("ü.example", None),
        ] {
            let name = ClientName::parse(text).map(|name| name.to_string());
            assert_eq!(name.as_deref(), printed, "{text}");
        }
        assert_eq!(ClientName::parse(&"a".repeat(256)), None);
    }
}
