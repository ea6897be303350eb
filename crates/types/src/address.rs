//! Mail addresses, and the key by which two of them are the same.
//!
//! Standards: RFC 5321 section 4.1.2 (`Mailbox`), RFC 6531 section 3.3 (UTF-8), RFC 5321
//! section 4.5.3.1 (lengths).
//! Invariants:
//! - a [`LocalPart`] holds what is meant, without quotes or backslashes; printing adds the
//!   quotes that it needs;
//! - an [`AddressKey`] is lower-cased NFC local part, `@`, A-label domain: `Ann@Example.ORG`
//!   and `ann@example.org` are one. RFC 5321 lets a host tell cases apart; no hoster does.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

use crate::{Domain, DomainError};

/// The part of an address before `@`, unquoted.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct LocalPart(Box<str>);

/// `local-part@domain`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// Before `@`, as it was written.
    pub local_part: LocalPart,
    /// After `@`.
    pub domain: Domain,
}

/// What an address is looked up by.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressKey(Box<str>);

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No `@`.
    #[error("an address has the form name@domain")]
    NoAt,
    /// The local part is empty or has characters that need quotes.
    #[error(
        "`{0}` cannot stand before the @: use letters, digits and !#$%&'*+-/=?^_`{{|}}~, with single dots between them"
    )]
    LocalPart(String),
    /// More than 64 octets before the `@`.
    #[error("the part before the @ has at most 64 octets")]
    LocalPartTooLong,
    /// The domain.
    #[error(transparent)]
    Domain(#[from] DomainError),
}

/// `atext`, RFC 5322 section 3.2.3, with UTF-8 by RFC 6532 section 3.2.
fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || (!c.is_ascii() && !c.is_control())
}

/// `Dot-string`, RFC 5321 section 4.1.2.
fn is_dot_string(text: &str) -> bool {
    text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

impl LocalPart {
    /// The most octets a local part may have, RFC 5321 section 4.5.3.1.1.
    pub const MAX_OCTETS: usize = 64;

    /// Parses a local part as it is written in an address: `Dot-string` or `Quoted-string`.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        match text.strip_prefix('"') {
            None if is_dot_string(text) => Self::checked(text),
            None => Err(refused(text)),
            Some(rest) => {
                let inner = rest.strip_suffix('"').ok_or_else(|| refused(text))?;
                Self::checked(&unquote(inner).ok_or_else(|| refused(text))?)
            }
        }
    }

    /// Takes the local part as it is meant, without quotes.
    pub fn from_unquoted(text: &str) -> Result<Self, AddressError> {
        if text.chars().any(char::is_control) {
            return Err(refused(text));
        }
        Self::checked(text)
    }

    fn checked(text: &str) -> Result<Self, AddressError> {
        if text.is_empty() {
            return Err(refused(text));
        }
        if text.len() > Self::MAX_OCTETS {
            return Err(AddressError::LocalPartTooLong);
        }
        Ok(Self(text.into()))
    }

    /// What is meant, without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Lower-cased NFC: the first half of an [`AddressKey`].
    pub fn key(&self) -> String {
        // Lower-casing can leave a form that composes further, and composing one that has
        // a lower case, so both are repeated until nothing changes (twice in practice).
        let mut key: String = self.0.nfc().collect();
        loop {
            let next: String = key.to_lowercase().nfc().collect();
            if next == key {
                return key;
            }
            key = next;
        }
    }
}

fn refused(text: &str) -> AddressError {
    AddressError::LocalPart(text.chars().take(80).collect())
}

/// Content of a `Quoted-string`: `qtextSMTP` or `quoted-pairSMTP`, RFC 5321 section 4.1.2.
fn unquote(inner: &str) -> Option<String> {
    let mut plain = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return None,
            '\\' => plain.push(chars.next().filter(|c| (' '..='~').contains(c))?),
            c if c.is_control() => return None,
            c => plain.push(c),
        }
    }
    Some(plain)
}

/// As it is written in an address: with quotes where it needs them.
impl fmt::Display for LocalPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_string(&self.0) {
            return f.write_str(&self.0);
        }
        f.write_str("\"")?;
        for c in self.0.chars() {
            if c == '"' || c == '\\' {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        f.write_str("\"")
    }
}

impl fmt::Debug for LocalPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Address {
    /// Parses `Mailbox` with a domain (not an address literal), RFC 5321 section 4.1.2.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        // The last @ parts them: a quoted local part may hold others.
        let (local, domain) = text.rsplit_once('@').ok_or(AddressError::NoAt)?;
        Ok(Self { local_part: LocalPart::parse(local)?, domain: Domain::parse(domain)? })
    }

    /// What this address is looked up by.
    pub fn key(&self) -> AddressKey {
        AddressKey(format!("{}@{}", self.local_part.key(), self.domain).into())
    }

    /// Can it be written without SMTPUTF8?
    pub fn is_ascii(&self) -> bool {
        self.local_part.as_str().is_ascii()
    }

    /// The form people read, with the domain's own letters.
    pub fn to_unicode(&self) -> String {
        format!("{}@{}", self.local_part, self.domain.to_unicode())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local_part, self.domain)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Address {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

impl AddressKey {
    /// A key that was printed by one and stored; it is taken as it is.
    pub fn from_stored(text: &str) -> Self {
        Self(text.into())
    }

    /// The key as text: unquoted local part, `@`, A-label domain.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AddressKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AddressKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(text: &str) -> String {
        Address::parse(text).unwrap().key().to_string()
    }

    #[test]
    fn keys() {
        for (text, expected) in [
            ("Ann@Example.ORG", "ann@example.org"),
            ("\"ann\"@example.org", "ann@example.org"),
            ("\"a b\"@example.org", "a b@example.org"),
            ("\"a\\\"b@c\"@example.org", "a\"b@c@example.org"),
            ("田中@日本語.jp", "田中@xn--wgv71a119e.jp"),
            // か + combining dakuten composes to が.
            ("か\u{3099}@example.jp", "が@example.jp"),
            ("JOSE\u{301}@example.org", "josé@example.org"),
            ("ann+shop@example.org", "ann+shop@example.org"),
            ("o'brien/x@example.org", "o'brien/x@example.org"),
        ] {
            assert_eq!(key(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "ann",
            "@example.org",
            "ann@",
            ".ann@example.org",
            "ann.@example.org",
            "a..b@example.org",
            "a b@example.org",
            "a,b@example.org",
            "<ann@example.org>",
            "ann@exa mple.org",
            "\"ann@example.org",
            "\"a\"b\"@example.org",
            "\"\"@example.org",
            "\"a\nb\"@example.org",
            "ann\0@example.org",
            "\"a\\\n\"@example.org",
            "ann@[192.0.2.1]",
        ] {
            assert!(Address::parse(text).is_err(), "{text:?}");
        }
        assert_eq!(
            Address::parse(&format!("{}@example.org", "a".repeat(65))),
            Err(AddressError::LocalPartTooLong)
        );
    }

    #[test]
    fn printing_quotes_what_needs_it() {
        let address = |local| Address {
            local_part: LocalPart::from_unquoted(local).unwrap(),
            domain: Domain::parse("example.org").unwrap(),
        };
        assert_eq!(address("a b").to_string(), "\"a b\"@example.org");
        assert_eq!(address("a\"\\").to_string(), "\"a\\\"\\\\\"@example.org");
        assert_eq!(address(".a").to_string(), "\".a\"@example.org");
        assert_eq!(address("田中").to_string(), "田中@example.org");
        assert!(!address("田中").is_ascii());
    }

    proptest! {
        #[test]
        fn parse_print_parse(local in "\\PC{1,20}", domain in "[a-z]{1,8}(\\.[a-z]{2,5}){1,2}") {
            if let Ok(local_part) = LocalPart::from_unquoted(&local) {
                let address = Address { local_part, domain: Domain::parse(&domain).unwrap() };
                prop_assert_eq!(&Address::parse(&address.to_string()).unwrap(), &address);
            }
        }

        #[test]
        fn any_text_is_an_error_or_prints_the_same_address(text in "\\PC{0,24}@\\PC{0,16}") {
            if let Ok(address) = Address::parse(&text) {
                prop_assert_eq!(&Address::parse(&address.to_string()).unwrap(), &address);
            }
        }

        #[test]
        fn a_key_is_the_key_of_itself(local in "\\PC{1,16}") {
            if let Ok(part) = LocalPart::from_unquoted(&local) {
                let key = part.key();
                if let Ok(again) = LocalPart::from_unquoted(&key) {
                    prop_assert_eq!(again.key(), key);
                }
            }
        }
    }
}
