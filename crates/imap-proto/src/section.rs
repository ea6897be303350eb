//! `BODY[…]`: which part of a message, and which bytes of it.
//!
//! Standards: RFC 3501 section 6.4.5 (section), RFC 3516 section 3 (`section-binary`).

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};

/// `section-spec` without its brackets; printed, it is what FETCH answers with.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Section {
    /// Part numbers from the outside in; empty: the message itself.
    pub part: Vec<NonZeroU32>,
    /// What of the part; `None`: its content.
    pub text: Option<SectionText>,
}

/// `section-msgtext` or `MIME`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SectionText {
    /// Header of the message, or of the message/rfc822 part.
    Header,
    /// Only these fields, in the order of the header.
    HeaderFields(Vec<FieldName>),
    /// All but these fields.
    HeaderFieldsNot(Vec<FieldName>),
    /// Body of the message, or of the message/rfc822 part.
    Text,
    /// Header of the MIME part; the parser takes it only after a part number.
    Mime,
}

/// `header-fld-name`: visible ASCII without colon. Kept as written, it is printed back in
/// the answer; compare without regard to case.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct FieldName(Box<str>);

/// `<first.length>`: so many bytes from there on, where there are so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Partial {
    /// The first byte wanted, from zero; the answer repeats it as origin.
    pub first: u64,
    /// The most bytes wanted.
    pub length: NonZeroU64,
}

impl Section {
    /// More part numbers than this are refused.
    pub const MAX_DEPTH: usize = 100;
    /// More header fields than this are refused.
    pub const MAX_FIELDS: usize = 500;
}

impl Partial {
    /// Cuts what was asked for out of `bytes`.
    pub fn of<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let first = usize::try_from(self.first).unwrap_or(usize::MAX);
        let length = usize::try_from(self.length.get()).unwrap_or(usize::MAX);
        let rest = bytes.get(first..).unwrap_or_default();
        rest.get(..length).unwrap_or(rest)
    }
}

impl FieldName {
    /// The name written so, or `None` unless it is 1 to 200 visible ASCII characters
    /// without colon (`field-name`, RFC 5322 section 3.6.8).
    pub fn parse(text: &[u8]) -> Option<Self> {
        let right =
            (1..=200).contains(&text.len()) && text.iter().all(|b| b.is_ascii_graphic() && *b != b':');
        if !right {
            return None;
        }
        Some(Self(std::str::from_utf8(text).ok()?.into()))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// As an astring: quoted where it is no atom.
impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.bytes().all(crate::parse::is_astring_char) {
            return f.write_str(&self.0);
        }
        write!(f, "\"{}\"", self.0.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

/// Prints part numbers with dots between them.
pub(crate) fn write_part(f: &mut fmt::Formatter<'_>, part: &[NonZeroU32]) -> fmt::Result {
    for (index, number) in part.iter().enumerate() {
        if index > 0 {
            f.write_str(".")?;
        }
        write!(f, "{number}")?;
    }
    Ok(())
}

fn write_fields(f: &mut fmt::Formatter<'_>, name: &str, fields: &[FieldName]) -> fmt::Result {
    write!(f, "{name} (")?;
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            f.write_str(" ")?;
        }
        write!(f, "{field}")?;
    }
    f.write_str(")")
}

/// `1.2.HEADER.FIELDS (Date From)`
impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_part(f, &self.part)?;
        let Some(text) = &self.text else { return Ok(()) };
        if !self.part.is_empty() {
            f.write_str(".")?;
        }
        match text {
            SectionText::Header => f.write_str("HEADER"),
            SectionText::HeaderFields(fields) => write_fields(f, "HEADER.FIELDS", fields),
            SectionText::HeaderFieldsNot(fields) => write_fields(f, "HEADER.FIELDS.NOT", fields),
            SectionText::Text => f.write_str("TEXT"),
            SectionText::Mime => f.write_str("MIME"),
        }
    }
}

/// `<0.100>`, as in a command.
impl fmt::Display for Partial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}.{}>", self.first, self.length)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::parse;

    #[test]
    fn sections() {
        for text in [
            "",
            "1",
            "4.2.2.1",
            "HEADER",
            "TEXT",
            "1.MIME",
            "3.HEADER",
            "4.2.HEADER.FIELDS (Date From)",
            "HEADER.FIELDS.NOT (\"a(b\")",
        ] {
            let wire = format!("[{text}]");
            let (rest, section) = parse::section(wire.as_bytes()).unwrap();
            assert!(rest.is_empty(), "{text}");
            assert_eq!(section.to_string(), text);
        }
        let too_deep = format!("[1{}]", ".1".repeat(Section::MAX_DEPTH));
        for text in [
            "",
            "[",
            "[0]",
            "[1.]",
            "[.1]",
            "[MIME]",
            "[1.2",
            "[HEADER.FIELDS]",
            "[HEADER.FIELDS ()]",
            &too_deep,
        ] {
            assert!(parse::section(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn partials() {
        let cut =
            |first, length| Partial { first, length: NonZeroU64::new(length).unwrap() }.of(b"0123456789");
        assert_eq!(cut(0, 3), b"012");
        assert_eq!(cut(8, 3), b"89");
        assert_eq!(cut(10, 3), b"");
        assert_eq!(cut(u64::MAX, u64::MAX), b"");
    }

    pub(crate) fn any_part() -> impl Strategy<Value = Vec<NonZeroU32>> {
        prop::collection::vec((1u32..30).prop_map(|n| n.try_into().unwrap()), 1..4)
    }

    pub(crate) fn any_partial() -> impl Strategy<Value = Partial> {
        (any::<u32>(), any::<NonZeroU32>())
            .prop_map(|(first, length)| Partial { first: first.into(), length: length.into() })
    }

    pub(crate) fn any_section() -> impl Strategy<Value = Section> {
        let fields = || {
            prop::collection::vec(
                "[!-9;-~]{1,12}".prop_map(|name| FieldName::parse(name.as_bytes()).unwrap()),
                1..4,
            )
        };
        let text = prop_oneof![
            Just(None),
            Just(Some(SectionText::Header)),
            Just(Some(SectionText::Text)),
            fields().prop_map(|names| Some(SectionText::HeaderFields(names))),
            fields().prop_map(|names| Some(SectionText::HeaderFieldsNot(names))),
        ];
        prop_oneof![
            text.clone().prop_map(|text| Section { part: vec![], text }),
            (any_part(), text).prop_map(|(part, text)| Section { part, text }),
            any_part().prop_map(|part| Section { part, text: Some(SectionText::Mime) }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_printed_is_parsed(section in any_section()) {
            let wire = format!("[{section}]");
            prop_assert_eq!(parse::section(wire.as_bytes()), Ok((&b""[..], section)));
        }
    }
}
