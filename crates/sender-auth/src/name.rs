//! Names as they are asked of DNS.
//!
//! A `hikyaku_types::Domain` is a host name. Here names also have underscores
//! (`_dmarc.example.org`), and SPF makes names of whatever a client said (RFC 7208 section 7),
//! so that any visible ASCII may stand in a label.
//! Invariant: lower case, no final dot, no empty label, lengths of RFC 1035 section 2.3.4.

use std::fmt;

use hikyaku_types::Domain;

/// The most characters of a name in text form, without the final dot.
const MAX_NAME: usize = 253;

/// A name of DNS: `example.org`, `sel._domainkey.example.org`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

impl Name {
    /// Parses a name, with or without the final dot; U-labels become A-labels.
    pub fn parse(text: &str) -> Option<Self> {
        if !text.is_ascii() {
            return Domain::parse(text).ok().map(|domain| Self::from(&domain));
        }
        let text = text.strip_suffix('.').unwrap_or(text);
        let is_label = |label: &str| {
            (1..=63).contains(&label.len()) && label.bytes().all(|octet| octet.is_ascii_graphic())
        };
        (text.len() <= MAX_NAME && text.split('.').all(is_label))
            .then(|| Self(text.to_ascii_lowercase().into()))
    }

    /// As [`Name::parse`]; bytes that are no UTF-8 are no name.
    pub fn parse_bytes(text: &[u8]) -> Option<Self> {
        Self::parse(std::str::from_utf8(text).ok()?)
    }

    /// The name, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How many labels: 2 in `example.org`.
    pub fn label_count(&self) -> usize {
        self.0.split('.').count()
    }

    /// The name one label above; `None` of a top-level domain.
    pub fn parent(&self) -> Option<Self> {
        self.0.split_once('.').map(|(_, above)| Self(above.into()))
    }

    /// The last `count` labels; the whole name if it has no more.
    pub fn last_labels(&self, count: usize) -> Self {
        let start = self.0.rmatch_indices('.').nth(count.saturating_sub(1)).map_or(0, |(dot, _)| dot + 1);
        Self(self.0.get(start..).unwrap_or_default().into())
    }

    /// `prefix.self`; `None` if that is too long for a name.
    pub fn below(&self, prefix: &str) -> Option<Self> {
        Self::parse(&format!("{prefix}.{}", self.0))
    }

    /// `self` is `other` or lies below it.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.strip_suffix(&*other.0).is_some_and(|left| left.is_empty() || left.ends_with('.'))
    }

    /// Has two labels or more, and a last one that can be a top-level domain: what RFC 7208
    /// section 4.3 wants of a domain that is checked.
    pub fn is_fully_qualified(&self) -> bool {
        self.0.rsplit_once('.').is_some_and(|(_, last)| is_toplabel(last))
    }
}

/// `toplabel`, RFC 7208 section 7.1: letters, digits and inner hyphens, not digits alone.
pub(crate) fn is_toplabel(label: &str) -> bool {
    let inner = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-';
    !label.is_empty()
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
        && !label.bytes().all(|octet| octet.is_ascii_digit())
}

impl From<&Domain> for Name {
    fn from(domain: &Domain) -> Self {
        Self(domain.as_str().into())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names() {
        for (text, expected) in [
            ("Example.ORG.", Some("example.org")),
            ("_dmarc.example.org", Some("_dmarc.example.org")),
            ("日本語.jp", Some("xn--wgv71a119e.jp")),
            ("a+b=c.example", Some("a+b=c.example")),
            ("", None),
            (".", None),
            ("a..b", None),
            ("a b.example", None),
            ("a\r\n.example", None),
        ] {
            assert_eq!(Name::parse(text).as_ref().map(Name::as_str), expected, "{text:?}");
        }
        assert!(Name::parse(&"a".repeat(64)).is_none());
        assert!(Name::parse(&["abcdefgh"; 29].join(".")).is_none());
    }

    #[test]
    fn up_and_down_the_tree() {
        let name = Name::parse("a.b.example.org").unwrap();
        assert_eq!(name.label_count(), 4);
        assert_eq!(name.parent().unwrap().as_str(), "b.example.org");
        assert_eq!(name.last_labels(2).as_str(), "example.org");
        assert_eq!(name.last_labels(9), name);
        assert_eq!(Name::parse("org").unwrap().parent(), None);
        assert!(name.is_within(&Name::parse("example.org").unwrap()));
        assert!(!Name::parse("badexample.org").unwrap().is_within(&Name::parse("example.org").unwrap()));
        assert_eq!(name.below("_dmarc").unwrap().as_str(), "_dmarc.a.b.example.org");
    }

    #[test]
    fn what_can_be_checked() {
        for (text, expected) in [
            ("example.org", true),
            ("oemcomputer", false),
            ("[1.2.3.5]", false),
            ("1.2.3.5", false),
            ("a.b-", false),
            ("a.b-c", true),
        ] {
            assert_eq!(Name::parse(text).unwrap().is_fully_qualified(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn printing_and_parsing_again_changes_nothing(text in "\\PC{0,12}(\\.\\PC{1,8}){0,3}") {
            if let Some(name) = Name::parse(&text) {
                prop_assert_eq!(Name::parse(name.as_str()), Some(name));
            }
        }
    }
}
