//! Macros of SPF: names and explanations made from what the client said.
//!
//! Standards: RFC 7208 section 7.

use std::fmt::Write;
use std::net::IpAddr;

use super::record::{Macro, MacroString, Piece};
use crate::Name;

/// The most characters that an expansion grows to; only the end of it can be a name, and no
/// explanation is that long.
const MAX_EXPANSION: usize = 2048;

/// What macros can ask for.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The client; never an IPv4 address wrapped in IPv6.
    pub ip: IpAddr,
    /// What it said in EHLO.
    pub helo: &'a str,
    /// Local part of the sender.
    pub local_part: &'a str,
    /// Domain of the sender.
    pub sender_domain: &'a str,
    /// Our own name.
    pub host: &'a str,
    /// Seconds since 1970.
    pub now_secs: i64,
}

/// Expands all macros. `domain` is the one whose record is read; `validated` stands for
/// `%{p}`.
pub(super) fn expand(text: MacroString<'_>, facts: &Facts<'_>, domain: &Name, validated: &str) -> String {
    let mut expanded = String::new();
    for piece in text.pieces().flatten() {
        if expanded.len() > MAX_EXPANSION {
            break;
        }
        match piece {
            Piece::Literal(literal) | Piece::Escape(literal) => expanded.push_str(literal),
            Piece::Macro(macro_) => expand_macro(macro_, facts, domain, validated, &mut expanded),
        }
    }
    expanded
}

/// The expansion as a name: cut from the left until it fits (section 7.3).
pub(super) fn expand_name(
    text: MacroString<'_>,
    facts: &Facts<'_>,
    domain: &Name,
    validated: &str,
) -> Option<Name> {
    let expanded = expand(text, facts, domain, validated);
    let mut name = expanded.strip_suffix('.').unwrap_or(&expanded);
    while name.len() > 253 {
        name = name.split_once('.')?.1;
    }
    Name::parse(name)
}

/// Does expanding this text need the client's validated name?
pub(super) fn needs_validated_name(text: MacroString<'_>) -> bool {
    text.pieces().flatten().any(|piece| matches!(piece, Piece::Macro(Macro { letter: 'p', .. })))
}

fn expand_macro(macro_: Macro<'_>, facts: &Facts<'_>, domain: &Name, validated: &str, into: &mut String) {
    let value = value_of(macro_.letter, facts, domain, validated);
    let mut parts: Vec<&str> = value.split(|c| macro_.delimiters.contains(c)).collect();
    if macro_.reversed {
        parts.reverse();
    }
    let first = macro_.keep.map_or(0, |keep| parts.len().saturating_sub(keep));
    let value = parts.get(first..).unwrap_or_default().join(".");
    if macro_.escaped { escape(&value, into) } else { into.push_str(&value) }
}

fn value_of(letter: char, facts: &Facts<'_>, domain: &Name, validated: &str) -> String {
    match letter {
        's' => format!("{}@{}", facts.local_part, facts.sender_domain),
        'l' => facts.local_part.to_owned(),
        'o' => facts.sender_domain.to_owned(),
        'd' => domain.as_str().to_owned(),
        'i' => dotted(facts.ip),
        'p' => validated.to_owned(),
        'v' => if facts.ip.is_ipv4() { "in-addr" } else { "ip6" }.to_owned(),
        'h' => facts.helo.to_owned(),
        'c' => facts.ip.to_string(),
        'r' => facts.host.to_owned(),
        't' => facts.now_secs.to_string(),
        _ => String::new(),
    }
}

/// IPv4 as always, IPv6 as nibbles with dots (section 7.3).
fn dotted(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let nibbles = v6.octets().map(|octet| format!("{:x}.{:x}", octet >> 4, octet & 15));
            nibbles.join(".")
        }
    }
}

/// RFC 3986 section 2.3: all but unreserved characters as `%XX`.
fn escape(value: &str, into: &mut String) {
    for octet in value.bytes() {
        if octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~') {
            into.push(char::from(octet));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(into, "%{octet:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ip: &str, table: &[(&str, &str)]) {
        let facts = Facts {
            ip: ip.parse().unwrap(),
            helo: "mx.example.org",
            local_part: "strong-bad",
            sender_domain: "email.example.com",
            host: "mx.receiver.example",
            now_secs: 1_795_491_267,
        };
        let domain = Name::parse("email.example.com").unwrap();
        for (text, expected) in table {
            let text = MacroString::parse(text).unwrap();
            assert_eq!(&expand(text, &facts, &domain, "mx.example.org"), expected, "{}", text.as_str());
        }
    }

    #[test]
    fn the_examples_of_rfc_7208_section_7_4() {
        check(
            "192.0.2.3",
            &[
                ("%{s}", "strong-bad@email.example.com"),
                ("%{o}", "email.example.com"),
                ("%{d}", "email.example.com"),
                ("%{d4}", "email.example.com"),
                ("%{d3}", "email.example.com"),
                ("%{d2}", "example.com"),
                ("%{d1}", "com"),
                ("%{dr}", "com.example.email"),
                ("%{d2r}", "example.email"),
                ("%{l}", "strong-bad"),
                ("%{l-}", "strong.bad"),
                ("%{lr}", "strong-bad"),
                ("%{lr-}", "bad.strong"),
                ("%{l1r-}", "strong"),
                ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
                ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
                ("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"),
                ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
                ("%{c} %{r} %{t}%_%%%-", "192.0.2.3 mx.receiver.example 1795491267 %%20"),
                ("%{S}", "strong-bad%40email.example.com"),
            ],
        );
        check(
            "2001:db8::cb01",
            &[(
                "%{ir}.%{v}._spf.%{d2}",
                "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com",
            )],
        );
    }

    #[test]
    fn a_name_that_is_too_long_loses_its_beginning() {
        let long = ["abcdefgh"; 40].join(".") + ".example";
        let facts = Facts {
            ip: "192.0.2.3".parse().unwrap(),
            helo: "",
            local_part: &long,
            sender_domain: "",
            host: "",
            now_secs: 0,
        };
        let domain = Name::parse("example.com").unwrap();
        let name = expand_name(MacroString::parse("%{l}").unwrap(), &facts, &domain, "").unwrap();
        assert_eq!(name.as_str(), ["abcdefgh"; 27].join(".") + ".example");
    }
}
