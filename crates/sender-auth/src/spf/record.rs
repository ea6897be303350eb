//! The SPF record: text to terms.
//!
//! Standards: RFC 7208 section 4.5 (which text is a record), section 12 (grammar).
//! Macros are checked here and expanded when they are needed.

use std::net::{Ipv4Addr, Ipv6Addr};

use hikyaku_types::Network;

use crate::name::is_toplabel;

/// The most terms of one record that are read. A record of the largest size that resolvers
/// pass has fewer.
const MAX_TERMS: usize = 512;

/// What makes a record unusable: `permerror`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// RFC 7208 section 3.1: ASCII only, visible characters and spaces.
    #[error("the record has characters that are not allowed")]
    Characters,
    /// A term.
    #[error("cannot understand `{0}`")]
    Term(String),
    /// Two `redirect` or two `exp`, RFC 7208 section 6.
    #[error("`{0}` stands there twice")]
    Twice(&'static str),
    /// More than anybody needs.
    #[error("the record has too many terms")]
    TooLong,
}

/// A record, RFC 7208 section 4.6.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<'a> {
    /// In their order; the first that matches decides.
    pub directives: Vec<Directive<'a>>,
    /// Whose record decides if none does.
    pub redirect: Option<MacroString<'a>>,
    /// Where the explanation of a `fail` stands.
    pub explanation: Option<MacroString<'a>>,
}

/// A mechanism, and what it means when it matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive<'a> {
    /// `+`, `-`, `~` or `?`.
    pub qualifier: Qualifier,
    /// What is looked at.
    pub mechanism: Mechanism<'a>,
    /// As published.
    pub text: &'a str,
}

/// RFC 7208 section 4.6.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qualifier {
    /// `+`, or nothing.
    Pass,
    /// `-`.
    Fail,
    /// `~`.
    SoftFail,
    /// `?`.
    Neutral,
}

/// RFC 7208 section 5.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mechanism<'a> {
    /// Everybody.
    All,
    /// Whoever passes another record.
    Include(MacroString<'a>),
    /// Addresses of a name.
    A(Option<MacroString<'a>>, Widths),
    /// Addresses of the exchangers of a name.
    Mx(Option<MacroString<'a>>, Widths),
    /// Clients with a name below this one.
    Ptr(Option<MacroString<'a>>),
    /// A network of either family.
    Ip(Network),
    /// Anybody, if a name has an IPv4 address.
    Exists(MacroString<'a>),
}

/// `dual-cidr-length`: how many bits of an address count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Widths {
    /// 0 to 32.
    pub v4: u8,
    /// 0 to 128.
    pub v6: u8,
}

/// A text whose macros are well formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MacroString<'a>(&'a str);

/// One piece of a [`MacroString`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// As it stands.
    Literal(&'a str),
    /// What `%%`, `%_` or `%-` stand for.
    Escape(&'static str),
    /// `%{…}`.
    Macro(Macro<'a>),
}

/// `macro-expand`, RFC 7208 section 7.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Macro<'a> {
    /// In lower case.
    pub(super) letter: char,
    /// The letter was upper case: escape as in URLs.
    pub(super) escaped: bool,
    /// How many parts from the right; `None` is all.
    pub(super) keep: Option<usize>,
    /// Parts in reverse order.
    pub(super) reversed: bool,
    /// What separates the parts.
    pub(super) delimiters: &'a str,
}

/// Is this text a record at all? RFC 7208 section 4.5: its first word says so.
pub(super) fn is_record(text: &[u8]) -> bool {
    text.get(..6).is_some_and(|version| version.eq_ignore_ascii_case(b"v=spf1"))
        && text.get(6).is_none_or(|&next| next == b' ')
}

impl<'a> Record<'a> {
    /// Parses a text that begins with `v=spf1`.
    pub fn parse(text: &'a [u8]) -> Result<Self, SyntaxError> {
        if !text.iter().all(|octet| (b' '..=b'~').contains(octet)) {
            return Err(SyntaxError::Characters);
        }
        let text = std::str::from_utf8(text).map_err(|_| SyntaxError::Characters)?;
        let terms = text.get(6..).unwrap_or_default().split(' ').filter(|term| !term.is_empty());
        let mut record = Self { directives: Vec::new(), redirect: None, explanation: None };
        for (count, term) in terms.enumerate() {
            if count >= MAX_TERMS {
                return Err(SyntaxError::TooLong);
            }
            record.add(term)?;
        }
        Ok(record)
    }

    fn add(&mut self, term: &'a str) -> Result<(), SyntaxError> {
        let wrong = || SyntaxError::Term(term.chars().take(60).collect());
        let Some((name, value)) = modifier(term) else {
            self.directives.push(directive(term).ok_or_else(wrong)?);
            return Ok(());
        };
        let (slot, name) = if name.eq_ignore_ascii_case("redirect") {
            (&mut self.redirect, "redirect")
        } else if name.eq_ignore_ascii_case("exp") {
            (&mut self.explanation, "exp")
        } else {
            // Unknown modifiers are passed over, if they are well formed (section 6).
            return MacroString::parse(value).map(drop).ok_or_else(wrong);
        };
        if slot.is_some() {
            return Err(SyntaxError::Twice(name));
        }
        *slot = Some(MacroString::domain_spec(value).ok_or_else(wrong)?);
        Ok(())
    }
}

/// `name "=" macro-string`.
fn modifier(term: &str) -> Option<(&str, &str)> {
    let (name, value) = term.split_once('=')?;
    let starts = name.starts_with(|first: char| first.is_ascii_alphabetic());
    let inner = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.');
    (starts && name.bytes().all(inner)).then_some((name, value))
}

/// `[ qualifier ] mechanism`.
fn directive(text: &str) -> Option<Directive<'_>> {
    let (qualifier, rest) = match text.as_bytes().first()? {
        b'+' => (Qualifier::Pass, text.get(1..)?),
        b'-' => (Qualifier::Fail, text.get(1..)?),
        b'~' => (Qualifier::SoftFail, text.get(1..)?),
        b'?' => (Qualifier::Neutral, text.get(1..)?),
        _ => (Qualifier::Pass, text),
    };
    let end = rest.find([':', '/']).unwrap_or(rest.len());
    let (name, arguments) = rest.split_at_checked(end)?;
    Some(Directive { qualifier, mechanism: mechanism(&name.to_ascii_lowercase(), arguments)?, text })
}

/// `arguments` begin with the colon or slash, or are empty.
fn mechanism<'a>(name: &str, arguments: &'a str) -> Option<Mechanism<'a>> {
    let value = arguments.strip_prefix(':');
    Some(match name {
        "all" if arguments.is_empty() => Mechanism::All,
        "include" => Mechanism::Include(MacroString::domain_spec(value?)?),
        "exists" => Mechanism::Exists(MacroString::domain_spec(value?)?),
        "a" => {
            let (domain, widths) = domain_and_widths(arguments)?;
            Mechanism::A(domain, widths)
        }
        "mx" => {
            let (domain, widths) = domain_and_widths(arguments)?;
            Mechanism::Mx(domain, widths)
        }
        "ptr" if arguments.is_empty() => Mechanism::Ptr(None),
        "ptr" => Mechanism::Ptr(Some(MacroString::domain_spec(value?)?)),
        "ip4" => Mechanism::Ip(ip4(value?)?),
        "ip6" => Mechanism::Ip(ip6(value?)?),
        _ => return None,
    })
}

/// `ip4-network [ ip4-cidr-length ]`, RFC 7208 section 5.6.
fn ip4(text: &str) -> Option<Network> {
    let (address, width) = match text.split_once('/') {
        Some((address, width)) => (address, number(width, 32)?),
        None => (text, 32),
    };
    Some(Network::containing(address.parse::<Ipv4Addr>().ok()?.into(), width))
}

/// `ip6-network [ ip6-cidr-length ]`, RFC 7208 section 5.6.
fn ip6(text: &str) -> Option<Network> {
    let (address, width) = match text.split_once('/') {
        Some((address, width)) => (address, number(width, 128)?),
        None => (text, 128),
    };
    Some(Network::containing(address.parse::<Ipv6Addr>().ok()?.into(), width))
}

/// `"0" / %x31-39 0*DIGIT`, up to `most`.
fn number(text: &str, most: u8) -> Option<u8> {
    let is_number = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    let leading_zero = text.len() > 1 && text.starts_with('0');
    text.parse().ok().filter(|number| is_number && !leading_zero && *number <= most)
}

/// `[ ":" domain-spec ] [ dual-cidr-length ]`.
///
/// A domain may have slashes of its own, so the lengths are taken off from the end.
fn domain_and_widths(arguments: &str) -> Option<(Option<MacroString<'_>>, Widths)> {
    let mut widths = Widths { v4: 32, v6: 128 };
    let mut rest = arguments;
    if let Some((before, width)) = rest.rsplit_once("//").filter(|(_, width)| is_digits(width)) {
        (rest, widths.v6) = (before, number(width, 128)?);
    }
    if let Some((before, width)) = rest.rsplit_once('/').filter(|(_, width)| is_digits(width)) {
        (rest, widths.v4) = (before, number(width, 32)?);
    }
    let domain = match rest {
        "" => None,
        rest => Some(MacroString::domain_spec(rest.strip_prefix(':')?)?),
    };
    Some((domain, widths))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit())
}

impl<'a> MacroString<'a> {
    /// `macro-string`, RFC 7208 section 7.1.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let whole = Self(text);
        whole.pieces().all(|piece| piece.is_some()).then_some(whole)
    }

    /// `domain-spec`: a macro string that ends in a top-level label or in a macro.
    pub(super) fn domain_spec(text: &'a str) -> Option<Self> {
        let whole = Self(text);
        let mut last = None;
        for piece in whole.pieces() {
            last = Some(piece?);
        }
        let ends_well = match last? {
            Piece::Macro(_) | Piece::Escape(_) => true,
            Piece::Literal(literal) => {
                let literal = literal.strip_suffix('.').unwrap_or(literal);
                literal.rsplit_once('.').is_some_and(|(_, label)| is_toplabel(label))
            }
        };
        // `c`, `r` and `t` are for explanations only (section 7.2).
        let for_people = |piece| matches!(piece, Piece::Macro(Macro { letter: 'c' | 'r' | 't', .. }));
        let only_domain_letters = !whole.pieces().flatten().any(for_people);
        (ends_well && only_domain_letters).then_some(whole)
    }

    /// As published.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// The pieces; `None` where a macro is malformed, and nothing behind it.
    pub(super) fn pieces(self) -> impl Iterator<Item = Option<Piece<'a>>> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let next = next_piece(rest);
            rest = next.map_or("", |(_, after)| after);
            Some(next.map(|(piece, _)| piece))
        })
    }
}

/// The first piece of a text that is not empty, and what follows it.
fn next_piece(text: &str) -> Option<(Piece<'_>, &str)> {
    let Some(after) = text.strip_prefix('%') else {
        let (literal, after) = text.split_at_checked(text.find('%').unwrap_or(text.len()))?;
        return Some((Piece::Literal(literal), after));
    };
    let escape = match after.as_bytes().first()? {
        b'%' => "%",
        b'_' => " ",
        b'-' => "%20",
        b'{' => {
            let (inner, after) = after.get(1..)?.split_once('}')?;
            return Some((Piece::Macro(macro_expand(inner)?), after));
        }
        _ => return None,
    };
    Some((Piece::Escape(escape), after.get(1..)?))
}

/// `macro-letter transformers *delimiter`.
fn macro_expand(inner: &str) -> Option<Macro<'_>> {
    let first = inner.chars().next().filter(char::is_ascii)?;
    let letter = first.to_ascii_lowercase();
    if !"slodiphcrtv".contains(letter) {
        return None;
    }
    let rest = inner.get(1..)?;
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, rest) = rest.split_at_checked(digits)?;
    let keep = match number {
        "" => None,
        // More parts than any name has are all of them.
        number => Some(number.parse::<usize>().unwrap_or(usize::MAX)),
    };
    let (reversed, delimiters) = match rest.strip_prefix(['r', 'R']) {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let well_formed = keep != Some(0) && delimiters.chars().all(|c| ".-+,/_=".contains(c));
    let delimiters = if delimiters.is_empty() { "." } else { delimiters };
    well_formed.then_some(Macro { letter, escaped: first.is_ascii_uppercase(), keep, reversed, delimiters })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn which_text_is_a_record() {
        for (text, expected) in [
            ("v=spf1", true),
            ("V=sPf1 -all", true),
            ("v=spf10 -all", false),
            ("v=spf1-all", false),
            ("v=spf", false),
        ] {
            assert_eq!(is_record(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn records_that_are_understood() {
        for text in [
            "v=spf1",
            "v=spf1 +all",
            "v=spf1  a  mx -all ",
            "v=spf1 a/24 a//64 a/24//64 a:example.org/24//64 a:foo:bar/baz.example.org",
            "v=spf1 ip4:192.0.2.0/24 ip4:192.0.2.1 ip6:2001:db8::/32 ip6:::1",
            "v=spf1 include:%{d2}.spf.example.org exists:%{ir}.%{v}.arpa ptr ptr:example.org.",
            "v=spf1 redirect=_spf.example.org exp=%{d} unknown=%{c}",
            "v=spf1 a:a.example.%{l1r-} a:%%.%_%-",
        ] {
            assert!(Record::parse(text.as_bytes()).is_ok(), "{text}");
        }
    }

    #[test]
    fn records_that_are_not() {
        for text in [
            "v=spf1 all.",
            "v=spf1 all:foo.example",
            "v=spf1 all/8",
            "v=spf1 a/33",
            "v=spf1 a/08",
            "v=spf1 a/",
            "v=spf1 a:",
            "v=spf1 a:museum",
            "v=spf1 a//129",
            "v=spf1 a:example.org:8080",
            "v=spf1 a:example.org-",
            "v=spf1 ip4:192.0.2.1/33",
            "v=spf1 ip4:192.0.2",
            "v=spf1 ip6:192.0.2.1",
            "v=spf1 include",
            "v=spf1 include:",
            "v=spf1 exists:%{c}.example",
            "v=spf1 exists:%{d0}.example",
            "v=spf1 exists:%{x}.example",
            "v=spf1 exists:%a.example",
            "v=spf1 exists:%{d.example",
            "v=spf1 redirect=",
            "v=spf1 redirect=a.example redirect=b.example",
            "v=spf1 exp=a.example exp=a.example",
            "v=spf1 unknown=%",
            "v=spf1 foo",
            "v=spf1 --all",
            "v=spf1 \u{e9}",
            "v=spf1 a:a.example\r",
        ] {
            assert!(Record::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn directives_are_kept_as_published(text in "v=spf1( [-+~?]?(all|a|mx|ptr|ip4:192\\.0\\.2\\.0/2[0-9]|exists:%\\{i\\}\\.example|a:b\\.example/2[0-9]//64)){0,6}") {
            let record = Record::parse(text.as_bytes()).unwrap();
            let printed = record.directives.iter().fold("v=spf1".to_owned(), |text, directive| text + " " + directive.text);
            prop_assert_eq!(printed, text);
        }
    }
}
