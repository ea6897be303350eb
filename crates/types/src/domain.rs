//! Domain names of mail addresses, with IDN.
//!
//! Standards: RFC 5321 section 4.1.2 (`Domain`), RFC 5890 to 5893 and UTS 46 (IDN),
//! RFC 1035 section 2.3.4 (lengths).
//! Invariant: a [`Domain`] is always the lower-case A-label form without a final dot, so
//! that comparing bytes compares names.

use std::fmt;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

/// A domain name, as A-labels in lower case: `example.org`, `xn--wgv71a119e.jp`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(Box<str>);

/// Why a text is not a domain name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    /// Nothing there.
    #[error("a domain name is missing")]
    Empty,
    /// Longer than DNS allows.
    #[error("a domain name has at most 253 characters, and 63 between two dots")]
    TooLong,
    /// A label that is no host name label.
    #[error("`{0}` is not a domain name: between dots stand letters, digits and inner hyphens")]
    Invalid(String),
}

impl Domain {
    /// Parses a domain name in any of its forms: U-labels, A-labels, any case, full width,
    /// with or without a final dot.
    pub fn parse(text: &str) -> Result<Self, DomainError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(DomainError::Empty);
        }
        let invalid = || DomainError::Invalid(text.chars().take(80).collect());
        if text.len() > 1024 {
            return Err(DomainError::TooLong);
        }
        let ascii = to_ascii(text).ok_or_else(invalid)?;
        let ascii = ascii.strip_suffix('.').unwrap_or(&ascii);
        if ascii.split('.').any(str::is_empty) {
            return Err(invalid());
        }
        if ascii.len() > 253 || ascii.split('.').any(|label| label.len() > 63) {
            return Err(DomainError::TooLong);
        }
        // An all-digit last label is an IPv4 address gone astray (RFC 1123 section 2.1).
        if ascii.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit())) {
            return Err(invalid());
        }
        // The form that people read must lead back to the same name: a forged `xn--` label
        // (of another `xn--`, RFC 5891 section 4.2.3.1) would give one domain two keys.
        let (unicode, valid) = Uts46::new().to_unicode(ascii.as_bytes(), AsciiDenyList::STD3, Hyphens::Allow);
        if valid.is_err() || to_ascii(&unicode).as_deref() != Some(ascii) {
            return Err(invalid());
        }
        Ok(Self(ascii.into()))
    }

    /// The A-label form: what DNS, SMTP without SMTPUTF8 and our tables use.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form people read: `日本語.jp`.
    pub fn to_unicode(&self) -> String {
        Uts46::new().to_unicode(self.0.as_bytes(), AsciiDenyList::STD3, Hyphens::Allow).0.into_owned()
    }

    /// `self` is `other` or lies below it.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.strip_suffix(&*other.0).is_some_and(|left| left.is_empty() || left.ends_with('.'))
    }
}

fn to_ascii(text: &str) -> Option<String> {
    Uts46::new()
        .to_ascii(text.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Ignore)
        .ok()
        .map(|ascii| ascii.into_owned())
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Domain {
    type Err = DomainError;
    fn from_str(text: &str) -> Result<Self, DomainError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forms_of_one_name_are_equal() {
        for (text, expected) in [
            ("example.org", "example.org"),
            ("EXAMPLE.Org.", "example.org"),
            ("日本語.jp", "xn--wgv71a119e.jp"),
            ("XN--WGV71A119E.JP", "xn--wgv71a119e.jp"),
            ("日本語。ｊｐ", "xn--wgv71a119e.jp"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("faß.de", "xn--fa-hia.de"),
            ("localhost", "localhost"),
            ("mail-1.a--b.example", "mail-1.a--b.example"),
        ] {
            assert_eq!(Domain::parse(text).unwrap().as_str(), expected, "{text}");
        }
        assert_eq!(Domain::parse("xn--wgv71a119e.jp").unwrap().to_unicode(), "日本語.jp");
    }

    #[test]
    fn what_is_no_domain_is_refused() {
        for text in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "-a.example",
            "a-.example",
            "a_b.example",
            "a b.example",
            "a@b.example",
            "192.0.2.1",
            "[192.0.2.1]",
            "example.123",
            "xn--\u{80}.example",
            "xn--a.example",
            "a\0.example",
            "a\r\n.example",
            "xn--.example",
            "xn--xn--gg9eggxn--gg9e.jp",
            "\u{200d}.example",
        ] {
            assert!(Domain::parse(text).is_err(), "{text:?}");
        }
        assert_eq!(Domain::parse(&"a".repeat(64)), Err(DomainError::TooLong));
        assert_eq!(Domain::parse(&["abcdefgh"; 29].join(".")), Err(DomainError::TooLong));
    }

    #[test]
    fn within() {
        let domain = |text| Domain::parse(text).unwrap();
        assert!(domain("a.example.org").is_within(&domain("example.org")));
        assert!(domain("example.org").is_within(&domain("example.org")));
        assert!(!domain("badexample.org").is_within(&domain("example.org")));
        assert!(!domain("org").is_within(&domain("example.org")));
    }

    proptest! {
        #[test]
        fn printing_and_parsing_again_changes_nothing(text in "\\PC{1,20}(\\.\\PC{1,10}){0,3}") {
            if let Ok(domain) = Domain::parse(&text) {
                prop_assert_eq!(&Domain::parse(domain.as_str()).unwrap(), &domain);
                prop_assert_eq!(&Domain::parse(&domain.to_unicode()).unwrap(), &domain);
                prop_assert!(domain.as_str().is_ascii());
            }
        }

        #[test]
        fn host_names_are_domains(text in "[a-z]([a-z0-9]{0,8}[a-z])?(\\.[a-z][a-z0-9]{0,8}){0,4}") {
            prop_assume!(!text.starts_with("xn"));
            let domain = Domain::parse(&text).unwrap();
            prop_assert_eq!(domain.as_str(), text);
        }
    }
}
