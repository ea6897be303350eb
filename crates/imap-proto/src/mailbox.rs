//! Mailbox names and the patterns of LIST.
//!
//! Standards: RFC 3501 section 5.1 (names), 5.1.3 (modified UTF-7), 6.3.8 (patterns);
//! RFC 9051 section 5.1 and RFC 6855 section 3 (names in UTF-8).
//! Invariants:
//! - a [`MailboxName`] is decoded UTF-8 without control characters, 1 to 1,000 octets, and
//!   its levels are parted by [`SEPARATOR`];
//! - the first level INBOX, in any case, is `INBOX`: so a child of `inbox` has one parent.
//!
//! Known weakness: levels may be empty (`a//b`), as such a name may be asked about; who
//! creates mailboxes refuses it. Names are not normalised (NFC): that is the server's, too.

use std::fmt;

use crate::utf7::{self, Utf7Error};

/// The hierarchy separator, told in LIST and NAMESPACE.
pub const SEPARATOR: char = '/';

/// How strings outside of ASCII stand on the wire of one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// RFC 3501: mailbox names in modified UTF-7, 8-bit strings only as literals.
    #[default]
    SevenBit,
    /// After ENABLE UTF8=ACCEPT (RFC 6855) or IMAP4rev2 (RFC 9051): UTF-8 in names and
    /// quoted strings.
    Utf8,
}

/// A mailbox's name, decoded.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxName(Box<str>);

/// Why bytes are not a mailbox name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MailboxNameError {
    /// No characters.
    #[error("mailbox name is empty")]
    Empty,
    /// More than [`MailboxName::MAX_OCTETS`].
    #[error("mailbox name is too long")]
    TooLong,
    /// A control character (RFC 9051 section 5.1).
    #[error("mailbox name has a control character")]
    Control,
    /// Wrong UTF-8.
    #[error("mailbox name is not UTF-8")]
    NotUtf8,
    /// Wrong modified UTF-7.
    #[error(transparent)]
    Utf7(#[from] Utf7Error),
}

fn decode(wire: &[u8], dialect: Dialect) -> Result<String, MailboxNameError> {
    let text = match dialect {
        Dialect::SevenBit => utf7::decode_or_raw_utf8(wire)?,
        Dialect::Utf8 => std::str::from_utf8(wire).map_err(|_| MailboxNameError::NotUtf8)?.to_owned(),
    };
    if text.len() > MailboxName::MAX_OCTETS {
        return Err(MailboxNameError::TooLong);
    }
    if text.chars().any(is_forbidden) {
        return Err(MailboxNameError::Control);
    }
    Ok(text)
}

/// Control characters, and the line and paragraph separators that RFC 9051 section 5.1
/// names beside them.
fn is_forbidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

fn encode(name: &str, dialect: Dialect) -> String {
    match dialect {
        Dialect::SevenBit => utf7::encode(name),
        Dialect::Utf8 => name.to_owned(),
    }
}

/// Writes the first level INBOX in capitals.
fn with_inbox_in_capitals(mut text: String) -> String {
    let first_level = text.split(SEPARATOR).next().unwrap_or_default().len();
    if let Some(first) = text.get_mut(..first_level)
        && first.eq_ignore_ascii_case("INBOX")
    {
        first.make_ascii_uppercase();
    }
    text
}

impl MailboxName {
    /// The most octets of UTF-8 a name may have, all levels together.
    pub const MAX_OCTETS: usize = 1000;

    /// The mailbox that every account has.
    pub fn inbox() -> Self {
        Self("INBOX".into())
    }

    /// Takes a name as it is meant.
    pub fn new(name: &str) -> Result<Self, MailboxNameError> {
        Self::from_wire(name.as_bytes(), Dialect::Utf8)
    }

    /// Takes a name as it stood on the wire. In [`Dialect::SevenBit`] raw UTF-8 is taken
    /// too, see [`utf7::decode_or_raw_utf8`].
    pub fn from_wire(wire: &[u8], dialect: Dialect) -> Result<Self, MailboxNameError> {
        if wire.is_empty() {
            return Err(MailboxNameError::Empty);
        }
        Ok(Self(with_inbox_in_capitals(decode(wire, dialect)?).into()))
    }

    /// The name as it stands on the wire, before quoting.
    pub fn to_wire(&self, dialect: Dialect) -> String {
        encode(&self.0, dialect)
    }

    /// The name as it is meant.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Is this INBOX itself?
    pub fn is_inbox(&self) -> bool {
        &*self.0 == "INBOX"
    }

    /// The names of the levels, from the root on.
    pub fn levels(&self) -> impl Iterator<Item = &str> {
        self.0.split(SEPARATOR)
    }

    /// The name without one separator at its end, as CREATE may have it (RFC 3501 section
    /// 6.3.3); `None` if nothing is left.
    pub fn without_trailing_separator(&self) -> Option<Self> {
        let name = self.0.strip_suffix(SEPARATOR).unwrap_or(&self.0);
        (!name.is_empty()).then(|| Self(with_inbox_in_capitals(name.to_owned()).into()))
    }
}

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// `mailbox SP list-mailbox`'s parts: a reference or a pattern with `*` and `%`, decoded.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ListPattern(Box<str>);

impl ListPattern {
    /// Takes a reference or pattern as it stood on the wire; both may be empty.
    pub fn from_wire(wire: &[u8], dialect: Dialect) -> Result<Self, MailboxNameError> {
        match decode(wire, dialect) {
            Err(MailboxNameError::Utf7(_)) => Self::not_utf7(wire),
            decoded => Ok(Self(decoded?.into())),
        }
    }

    /// A pattern that is not modified UTF-7 means what stands there: people type `R&D*` into
    /// the search of webmail clients, and a wildcard can stand within a shift (`&ZeU*`).
    /// Nothing wrong can be made by it, so a list that may be empty is the better answer.
    fn not_utf7(wire: &[u8]) -> Result<Self, MailboxNameError> {
        Ok(Self(decode(wire, Dialect::Utf8)?.into()))
    }

    /// The pattern in the form that `change` gives it.
    #[must_use]
    pub fn map(&self, change: impl FnOnce(&str) -> String) -> Self {
        Self(change(&self.0).into())
    }

    /// The pattern as it stands on the wire, before quoting.
    pub fn to_wire(&self, dialect: Dialect) -> String {
        encode(&self.0, dialect)
    }

    /// The pattern as it is meant.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The pattern seen from `reference`: both put together (RFC 3501 section 6.3.8), with
    /// the first level INBOX in capitals.
    pub fn under(&self, reference: &Self) -> Self {
        Self(with_inbox_in_capitals(format!("{}{}", reference.0, self.0)).into())
    }

    /// Does the pattern mean `name`? `*` is any characters, `%` any but [`SEPARATOR`].
    ///
    /// Costs at most the product of both lengths, whatever the pattern.
    pub fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        // Which beginnings of the name are matched by the pattern read so far?
        let mut reached = vec![false; name.len() + 1];
        reached[0] = true;
        for wanted in self.0.chars() {
            reached = match wanted {
                '*' => spread(&reached, |_| true, &name),
                '%' => spread(&reached, |c| c != SEPARATOR, &name),
                _ => step(&reached, wanted, &name),
            };
        }
        reached.last().copied().unwrap_or(false)
    }
}

/// From each reached place, on over any number of characters that `pass`.
fn spread(reached: &[bool], pass: impl Fn(char) -> bool, name: &[char]) -> Vec<bool> {
    let mut carried = false;
    let passable = std::iter::once(false).chain(name.iter().map(|c| pass(*c)));
    reached
        .iter()
        .zip(passable)
        .map(|(here, passable)| {
            carried = *here || (carried && passable);
            carried
        })
        .collect()
}

/// From each reached place, on over one character that is `wanted`.
fn step(reached: &[bool], wanted: char, name: &[char]) -> Vec<bool> {
    std::iter::once(false)
        .chain(reached.iter().zip(name).map(|(before, c)| *before && *c == wanted))
        .collect()
}

impl fmt::Display for ListPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ListPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn inbox_is_one() {
        for (wire, expected) in [
            ("inbox", "INBOX"),
            ("InBoX/Sub", "INBOX/Sub"),
            ("inbox2", "inbox2"),
            ("a/inbox", "a/inbox"),
            ("Entw&APw-rfe", "Entwürfe"),
            ("Entwürfe", "Entwürfe"),
        ] {
            let name = MailboxName::from_wire(wire.as_bytes(), Dialect::SevenBit).unwrap();
            assert_eq!(name.as_str(), expected);
        }
        assert!(MailboxName::new("iNbox").unwrap().is_inbox());
        assert_eq!(MailboxName::new("R&D").unwrap().to_wire(Dialect::SevenBit), "R&-D");
        assert_eq!(MailboxName::new("R&D").unwrap().to_wire(Dialect::Utf8), "R&D");
    }

    #[test]
    fn refused() {
        use MailboxNameError::*;
        for (wire, dialect, error) in [
            (&b""[..], Dialect::SevenBit, Empty),
            (b"a&AAo-b", Dialect::SevenBit, Control),
            (b"a\nb", Dialect::Utf8, Control),
            (b"a\xe2\x80\xa8b", Dialect::Utf8, Control),
            (b"\xff", Dialect::Utf8, NotUtf8),
            (b"\xff", Dialect::SevenBit, Utf7(Utf7Error::NotPrintable)),
            (&[b'a'; 1001], Dialect::SevenBit, TooLong),
        ] {
            assert_eq!(MailboxName::from_wire(wire, dialect), Err(error), "{}", wire.escape_ascii());
        }
    }

    #[test]
    fn trailing_separator() {
        let stripped = |name: &str| MailboxName::new(name).unwrap().without_trailing_separator();
        assert_eq!(stripped("owatagusiam/").unwrap().as_str(), "owatagusiam");
        assert_eq!(stripped("a").unwrap().as_str(), "a");
        assert_eq!(stripped("/"), None);
    }

    #[test]
    fn patterns() {
        let pattern = |text: &str| ListPattern::from_wire(text.as_bytes(), Dialect::Utf8).unwrap();
        for (text, matched, not_matched) in [
            ("*", "a/b/c", ""),
            ("%", "a", "a/b"),
            ("%/%", "a/b", "a"),
            ("a/%", "a/b", "a/b/c"),
            ("a/*", "a/b/c", "b/a"),
            ("a*c", "abcbc", "abcb"),
            ("%c%", "abcb", "a/cb"),
            ("INBOX", "INBOX", "INBOX/a"),
            ("日%", "日本", "日/本"),
            ("", "", "a"),
        ] {
            assert!(pattern(text).matches(matched), "{text} is {matched}");
            if text != "*" {
                assert!(!pattern(text).matches(not_matched), "{text} is not {not_matched}");
            }
        }
        let seven_bit = |text: &str| ListPattern::from_wire(text.as_bytes(), Dialect::SevenBit).unwrap();
        assert!(seven_bit("&ZeVnLIqe-").matches("日本語"));
        assert!(seven_bit("R&-D%").matches("R&D 2"));
        assert!(seven_bit("R&D%").matches("R&D 2"), "not modified UTF-7");
        assert!(!seven_bit("&ZeU*").matches("日本語"));
        assert!(ListPattern::from_wire(b"\xff", Dialect::SevenBit).is_err());
        assert!(pattern("box").under(&pattern("in")).matches("INBOX"));
        assert!(pattern("%").under(&pattern("inbox/")).matches("INBOX/a"));
        let hostile = pattern(&format!("{}c", "*a%".repeat(300)));
        assert!(!hostile.matches(&format!("{}b", "a".repeat(900))));
    }

    pub(crate) fn any_mailbox() -> impl Strategy<Value = MailboxName> {
        prop_oneof![
            Just(MailboxName::inbox()),
            "[a-zA-Z/]{1,10}".prop_map(|name| MailboxName::new(&name).unwrap()),
            "[ -~é日😀]{1,20}".prop_map(|name| MailboxName::new(&name).unwrap()),
        ]
    }

    pub(crate) fn any_pattern() -> impl Strategy<Value = ListPattern> {
        "[ -~é日]{0,12}".prop_map(|text| ListPattern(text.into()))
    }

    proptest! {
        #[test]
        fn what_is_printed_is_parsed(name in any_mailbox()) {
            for dialect in [Dialect::SevenBit, Dialect::Utf8] {
                let wire = name.to_wire(dialect);
                prop_assert_eq!(MailboxName::from_wire(wire.as_bytes(), dialect).unwrap(), name.clone());
            }
        }

        #[test]
        fn a_pattern_without_wildcards_is_a_name(text in "[ab/]{0,6}", name in "[ab/]{0,6}") {
            prop_assert_eq!(ListPattern(text.clone().into()).matches(&name), text == name);
        }
    }
}
