//! Flags of a message: the system flags and keywords.
//!
//! Standards: RFC 3501 section 2.3.2, RFC 9051 section 2.3.2.

use std::fmt;
use std::hash::{Hash, Hasher};

/// A flag. `\Recent` is none: clients cannot set it (RFC 3501 section 2.3.2), and printers
/// take it as an argument of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flag {
    /// `\Answered`
    Answered,
    /// `\Flagged`
    Flagged,
    /// `\Deleted`
    Deleted,
    /// `\Seen`
    Seen,
    /// `\Draft`
    Draft,
    /// What users and programs make up: `$Forwarded`, `Junk`.
    Keyword(Keyword),
}

/// `flag-keyword`: an atom. Kept as written, compared without regard to case.
#[derive(Clone)]
pub struct Keyword(Box<str>);

impl Flag {
    /// The flags with a backslash, in the order in which FLAGS lists them.
    pub const SYSTEM: [Self; 5] = [Self::Answered, Self::Flagged, Self::Deleted, Self::Seen, Self::Draft];

    /// The flag written so; `None` for `\Recent`, unknown system flags and what is no atom.
    pub fn parse(text: &str) -> Option<Self> {
        if !text.starts_with('\\') {
            return Keyword::parse(text).map(Self::Keyword);
        }
        Self::SYSTEM.into_iter().find(|flag| flag.as_str().eq_ignore_ascii_case(text))
    }

    /// As it stands on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Answered => "\\Answered",
            Self::Flagged => "\\Flagged",
            Self::Deleted => "\\Deleted",
            Self::Seen => "\\Seen",
            Self::Draft => "\\Draft",
            Self::Keyword(keyword) => keyword.as_str(),
        }
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Keyword {
    /// Longer keywords are refused.
    pub const MAX_OCTETS: usize = 100;

    /// The keyword written so, or `None` unless it is an atom of at most
    /// [`Self::MAX_OCTETS`].
    pub fn parse(text: &str) -> Option<Self> {
        let is_atom = !text.is_empty() && text.bytes().all(crate::parse::is_atom_char);
        (is_atom && text.len() <= Self::MAX_OCTETS).then(|| Self(text.into()))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn folded(&self) -> impl Iterator<Item = u8> + '_ {
        self.0.bytes().map(|byte| byte.to_ascii_lowercase())
    }
}

impl PartialEq for Keyword {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Keyword {}

impl PartialOrd for Keyword {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Keyword {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.folded().cmp(other.folded())
    }
}

impl Hash for Keyword {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for byte in self.folded() {
            state.write_u8(byte);
        }
        state.write_u8(0xff);
    }
}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn flags() {
        for (text, expected) in [
            ("\\Seen", Some("\\Seen")),
            ("\\sEEN", Some("\\Seen")),
            ("$Forwarded", Some("$Forwarded")),
            ("Junk", Some("Junk")),
            ("a]", None),
            ("\\Recent", None),
            ("\\Starred", None),
            ("\\", None),
            ("", None),
            ("a b", None),
            ("a(", None),
            ("é", None),
        ] {
            assert_eq!(Flag::parse(text).as_ref().map(Flag::as_str), expected, "{text}");
        }
    }

    #[test]
    fn keywords_have_no_case() {
        assert_eq!(Keyword::parse("$MDNSent"), Keyword::parse("$mdnsent"));
        let set: std::collections::HashSet<_> = ["Junk", "junk", "JUNK"].map(Keyword::parse).into();
        assert_eq!(set.len(), 1);
    }

    pub(crate) fn any_flag() -> impl Strategy<Value = Flag> {
        prop_oneof![
            prop::sample::select(Flag::SYSTEM.to_vec()),
            "[$a-zA-Z][a-zA-Z0-9_-]{0,8}".prop_map(|text| Flag::parse(&text).unwrap()),
        ]
    }

    proptest! {
        #[test]
        fn what_is_printed_is_parsed(flag in any_flag()) {
            prop_assert_eq!(Flag::parse(&flag.to_string()), Some(flag));
        }
    }
}
