//! Tokens of structured values, RFC 5322 section 3.2, tolerant.
//!
//! Invariants: every octet belongs to one token or to the white space between tokens; one
//! pass; nothing recurses (comments count their depth).
//!
//! Three things that the grammar does not know are one unit each, since their octets would
//! otherwise be read as quotes, commas or brackets: an encoded word, a run of raw
//! ISO-2022-JP (from `ESC $` to `ESC ( B`), and a double-byte character of raw Shift_JIS.

use std::borrow::Cow;

use crate::charset::{Charset, detect};
use crate::encoded_word;

/// One token and its octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    /// Without the quotes or parentheses of a string or comment; a literal keeps its brackets.
    pub(super) text: &'a [u8],
    /// White space stands before it.
    pub(super) spaced: bool,
    /// Where it begins in the value.
    pub(super) start: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Octets without a special meaning. 8-bit octets and controls are among them.
    Atom,
    /// `quoted-string`; without its end if that is missing.
    Quoted,
    /// `comment`.
    Comment,
    /// `[…]`, a domain literal.
    Literal,
    /// One of the special characters.
    Special(u8),
}

/// Iterator over the tokens of a value.
#[derive(Debug, Clone)]
pub(super) struct Tokens<'a> {
    value: &'a [u8],
    at: usize,
    specials: &'static [u8],
    is_shift_jis: bool,
}

impl<'a> Tokens<'a> {
    /// The tokens of an address list: `specials` of RFC 5322 section 3.2.3.
    pub(super) fn of_addresses(value: &'a [u8]) -> Self {
        Self::new(value, b"<>,;:@.")
    }

    /// The tokens of a message id list.
    pub(super) fn of_message_ids(value: &'a [u8]) -> Self {
        Self::new(value, b"<>,;")
    }

    /// The tokens of a MIME value, as far as they matter: `tspecials` of RFC 2045 section
    /// 5.1 without those that senders forget to quote (`/ ? : @ < > [ ] ,`).
    pub(super) fn of_parameters(value: &'a [u8]) -> Self {
        Self::new(value, b";=")
    }

    fn new(value: &'a [u8], specials: &'static [u8]) -> Self {
        let is_shift_jis = !value.is_ascii() && detect(value) == Charset::ShiftJis;
        Self { value, at: 0, specials, is_shift_jis }
    }

    fn octet(&self, at: usize) -> Option<u8> {
        self.value.get(at).copied()
    }

    /// How many octets from `at` have no meaning of their own: 1, or more for a unit.
    fn unit(&self, at: usize) -> usize {
        let rest = self.value.get(at..).unwrap_or_default();
        match rest {
            [0x1b, b'$', ..] => match memchr::memmem::find(rest, b"\x1b(") {
                Some(end) => (end + 3).min(rest.len()),
                None => rest.len(),
            },
            [0x81..=0x9f | 0xe0..=0xfc, 0x40..=0x7e | 0x80..=0xfc, ..] if self.is_shift_jis => 2,
            _ => 1,
        }
    }

    /// Octets up to the one that ends a string or comment, and where to go on behind it.
    fn enclosed(&mut self, open: u8, close: u8) -> &'a [u8] {
        let start = self.at + 1;
        let mut at = start;
        let mut depth = 1_usize;
        while let Some(octet) = self.octet(at) {
            if octet == close {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            } else if octet == open {
                depth += 1;
            }
            at += if octet == b'\\' { 2 } else { self.unit(at) };
        }
        let end = at.min(self.value.len());
        self.at = end.saturating_add(1);
        self.value.get(start..end).unwrap_or_default()
    }

    fn atom(&mut self) -> &'a [u8] {
        let start = self.at;
        while let Some(octet) = self.octet(self.at) {
            let ends = octet.is_ascii_whitespace() || octet == b'"' || octet == b'(';
            if ends || self.specials.contains(&octet) {
                break;
            }
            let rest = self.value.get(self.at..).unwrap_or_default();
            self.at += encoded_word::length_at_start(rest).unwrap_or_else(|| self.unit(self.at));
        }
        // An encoded word may be longer than the octets that are left of a cut value.
        self.value.get(start..self.at).unwrap_or_default()
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let before = self.at;
        while self.octet(self.at).is_some_and(|octet| octet.is_ascii_whitespace()) {
            self.at += 1;
        }
        let spaced = self.at > before;
        let start = self.at;
        let (kind, text) = match self.octet(self.at)? {
            b'"' => (Kind::Quoted, self.enclosed(b'"', b'"')),
            b'(' => (Kind::Comment, self.enclosed(b'(', b')')),
            b'[' if self.specials.contains(&b'@') => {
                self.enclosed(b'[', b']');
                (Kind::Literal, self.value.get(start..self.at.min(self.value.len())).unwrap_or_default())
            }
            octet if self.specials.contains(&octet) => {
                self.at += 1;
                (Kind::Special(octet), self.value.get(start..self.at).unwrap_or_default())
            }
            _ => (Kind::Atom, self.atom()),
        };
        Some(Token { kind, text, spaced, start })
    }
}

/// The content of a quoted string or comment: without line ends and backslashes
/// (`quoted-pair`, RFC 5322 section 3.2.1).
pub(super) fn unquoted(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr3(b'\\', b'\r', b'\n', text).is_none() {
        return Cow::Borrowed(text);
    }
    let units = Tokens::new(text, b"");
    let mut plain = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&octet) = text.get(at) {
        match octet {
            b'\r' | b'\n' => at += 1,
            b'\\' => {
                plain.extend(text.get(at + 1));
                at += 2;
            }
            _ => {
                let end = at + units.unit(at);
                plain.extend_from_slice(text.get(at..end).unwrap_or_default());
                at = end;
            }
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(value: &[u8]) -> String {
        let tokens = Tokens::of_addresses(value).map(|token| {
            let text = String::from_utf8_lossy(token.text);
            match token.kind {
                Kind::Atom => format!("{text}"),
                Kind::Quoted => format!("\"{text}\""),
                Kind::Comment => format!("({text})"),
                Kind::Literal => format!("literal{text}"),
                Kind::Special(special) => format!("'{}'", char::from(special)),
            }
        });
        tokens.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn tokens_of_an_address_list() {
        for (value, expected) in [
            ("", ""),
            ("Ann <ann@example.org>", "Ann '<' ann '@' example '.' org '>'"),
            ("\"a, \\\"b\" x", "\"a, \\\"b\" x"),
            ("(a (b) \\) c)x", "(a (b) \\) c) x"),
            ("a@[192.0.2.1]", "a '@' literal[192.0.2.1]"),
            // No end in sight.
            ("\"open", "\"open\""),
            ("(open (x)", "(open (x))"),
            ("\"\\", "\"\\\""),
            // Encoded words are one token, whatever they hold.
            ("=?utf-8?Q?a,b<c>?= <x>", "=?utf-8?Q?a,b<c>?= '<' x '>'"),
            ("=?utf-8?Q?a_(b)?=", "=?utf-8?Q?a_(b)?="),
        ] {
            assert_eq!(shown(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn raw_japanese_is_opaque() {
        // 総 is `A"` in JIS X 0208; ソ is 0x83 0x5C and 表 is 0x95 0x5C in Shift_JIS.
        let jis = b"\x1b$B1DKA\"It\x1b(B <a@b>";
        assert_eq!(Tokens::of_addresses(jis).next().unwrap().text, &jis[..13]);
        let shift_jis = b"\"\x83\x5c\x83\x74\x83\x67\x95\x5c\" <a@b>";
        assert_eq!(Tokens::of_addresses(shift_jis).next().unwrap().text, b"\x83\x5c\x83\x74\x83\x67\x95\x5c");
        assert_eq!(
            &*unquoted(b"\x83\x5c\x83\x74\x83\x67\x95\x5c\\\""),
            b"\x83\x5c\x83\x74\x83\x67\x95\x5c\""
        );
    }

    #[test]
    fn quoted_pairs_and_folds_are_removed() {
        assert_eq!(&*unquoted(b"a\\\"b\\\\c"), b"a\"b\\c");
        assert_eq!(&*unquoted(b"a\r\n b"), b"a b");
        assert_eq!(&*unquoted(b"a\\"), b"a");
    }

    proptest! {
        #[test]
        fn tokens_lie_within_the_value_in_order(value in prop::collection::vec(prop::sample::select(
            b"\"\\()[]<>,;:@. \t\r\na=?B\x1b$(\x83\x5c\x95".to_vec()), 0..40)) {
            let mut end = 0;
            for token in Tokens::of_addresses(&value) {
                prop_assert!(token.start >= end);
                end = token.start + token.text.len();
                prop_assert!(end <= value.len());
            }
        }
    }
}
