//! The tag a client puts before each command.

use std::fmt;

/// `tag`, RFC 3501 section 9: the client's name for one command.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Tag(Box<str>);

impl Tag {
    /// Longer tags are refused; clients use fewer than 20 octets.
    pub const MAX_OCTETS: usize = 128;

    /// The tag written so, or `None` if it is empty, too long or has other characters than
    /// `ASTRING-CHAR` without `+`.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let fits = (1..=Self::MAX_OCTETS).contains(&text.len());
        let right = text.iter().all(|byte| crate::parse::is_astring_char(*byte) && *byte != b'+');
        if !fits || !right {
            return None;
        }
        Some(Self(std::str::from_utf8(text).ok()?.into()))
    }

    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags() {
        for right in ["a", "A0001", "1", "a.b]", "~", "-"] {
            assert_eq!(Tag::parse(right.as_bytes()).unwrap().as_str(), right);
        }
        let long = "a".repeat(Tag::MAX_OCTETS + 1);
        for wrong in ["", "+", "a+", "*", "a b", "a\"", "{", "a%", "ä", "a\0", &long] {
            assert_eq!(Tag::parse(wrong.as_bytes()), None, "{wrong:?}");
        }
    }
}
