//! `tag=value; tag=value`: the form of signatures, keys and seals.
//!
//! Standards: RFC 6376 section 3.2.
//! Invariants: a tag stands there once; an empty piece may only be the last.

use std::ops::Range;

/// The most tags of one list; the standards define about a dozen.
const MAX_TAGS: usize = 64;

/// A list of tags, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tags<'a>(Vec<Tag<'a>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tag<'a> {
    name: &'a [u8],
    /// All between `=` and `;`, with the white space around.
    raw: &'a [u8],
    /// Where that begins in the list.
    start: usize,
}

impl<'a> Tags<'a> {
    /// Parses a list; `None` if it is not well formed.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let mut tags: Vec<Tag<'a>> = Vec::new();
        let mut pieces = text.split(|&octet| octet == b';').peekable();
        let mut at = 0;
        while let Some(piece) = pieces.next() {
            if trim(piece).is_empty() && pieces.peek().is_none() && !tags.is_empty() {
                break;
            }
            let equals = piece.iter().position(|&octet| octet == b'=')?;
            let (name, raw) = piece.split_at_checked(equals)?;
            let tag = Tag { name: trim(name), raw: raw.get(1..)?, start: at + equals + 1 };
            at += piece.len() + 1;
            let is_new = !tags.iter().any(|known| known.name == tag.name);
            if !is_name(tag.name) || !is_value(tag.raw) || !is_new || tags.len() >= MAX_TAGS {
                return None;
            }
            tags.push(tag);
        }
        Some(Self(tags))
    }

    /// The value without white space around it. Names are case-sensitive.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.find(name).map(|tag| trim(tag.raw))
    }

    /// Where the value lies in the list, with the white space around it: what is taken out of
    /// a signature's own field (RFC 6376 section 3.5, `b=`).
    pub fn place(&self, name: &str) -> Option<Range<usize>> {
        self.find(name).map(|tag| tag.start..tag.start + tag.raw.len())
    }

    fn find(&self, name: &str) -> Option<&Tag<'a>> {
        self.0.iter().find(|tag| tag.name == name.as_bytes())
    }

    /// Is `name` the first tag?
    pub fn starts_with(&self, name: &str) -> bool {
        self.0.first().is_some_and(|tag| tag.name == name.as_bytes())
    }

    /// The value without any white space: of base64, which is folded anywhere.
    pub fn compact(&self, name: &str) -> Option<Vec<u8>> {
        let value = self.get(name)?;
        Some(value.iter().copied().filter(|octet| !octet.is_ascii_whitespace()).collect())
    }
}

/// Without folding white space at the ends. (`trim_ascii` also takes form feeds.)
fn trim(text: &[u8]) -> &[u8] {
    let is_kept = |octet: &u8| !matches!(octet, b' ' | b'\t' | b'\r' | b'\n');
    let start = text.iter().position(is_kept).unwrap_or(text.len());
    let end = text.iter().rposition(is_kept).map_or(start, |last| last + 1);
    text.get(start..end).unwrap_or_default()
}

/// `ALPHA *ALNUMPUNC`.
fn is_name(name: &[u8]) -> bool {
    name.first().is_some_and(u8::is_ascii_alphabetic)
        && name.iter().all(|octet| octet.is_ascii_alphanumeric() || *octet == b'_')
}

/// Visible characters and folding white space; also UTF-8 (RFC 8616 section 5).
fn is_value(value: &[u8]) -> bool {
    value.iter().all(|octet| !octet.is_ascii_control() || matches!(octet, b'\t' | b'\r' | b'\n'))
}

/// Whether a colon-separated list has this member, without regard to case.
pub(crate) fn list_has(list: &[u8], member: &str) -> bool {
    list.split(|&octet| octet == b':').any(|item| item.trim_ascii().eq_ignore_ascii_case(member.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists() {
        let tags = Tags::parse(b" a = 1 ;b=x y;\r\n c=\r\n\t d=e ; ").unwrap();
        assert_eq!(tags.get("a"), Some(&b"1"[..]));
        assert_eq!(tags.get("b"), Some(&b"x y"[..]));
        assert_eq!(tags.compact("b"), Some(b"xy".to_vec()));
        assert_eq!(tags.get("c"), Some(&b"d=e"[..]));
        assert_eq!(tags.place("a"), Some(4..7));
        assert_eq!(tags.place("c"), Some(19..27));
        assert_eq!(tags.get("A"), None);
        assert!(tags.starts_with("a") && !tags.starts_with("b"));
    }

    #[test]
    fn what_is_no_list() {
        for text in [
            "", ";", "a", "a=1;;b=2", ";a=1", "a=1;a=2", "1a=1", "a b=1", "=1", "a=1;;", "a=\u{1}",
            "a=1\u{c}",
        ] {
            assert_eq!(Tags::parse(text.as_bytes()), None, "{text:?}");
        }
        let many: String = (0..100).map(|number| format!("t{number}=;")).collect();
        assert_eq!(Tags::parse(many.as_bytes()), None);
    }

    #[test]
    fn members() {
        assert!(list_has(b"from : To", "to") && list_has(b"a", "A") && !list_has(b"from", "fro"));
    }

    proptest! {
        #[test]
        fn a_printed_list_is_read_back(tags in proptest::collection::btree_map("[a-z][a-z0-9_]{0,3}", "[!-:<-~]([ -:<-~]{0,8}[!-:<-~])?", 1..8)) {
            let text = tags.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
            let read = Tags::parse(text.as_bytes()).unwrap();
            for (name, value) in &tags {
                prop_assert_eq!(read.get(name), Some(value.as_bytes()));
            }
        }

        #[test]
        fn any_bytes(text in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Tags::parse(&text);
        }
    }
}
