//! BODY and BODYSTRUCTURE: the tree of a message's parts.
//!
//! Standards: RFC 3501 section 7.4.2 and section 9 (`body`), RFC 2045 to 2047, RFC 2183
//! (disposition), RFC 3282 (language), RFC 2557 (location), RFC 1864 (MD5).
//!
//! How MIME parts become a [`BodyStructure`] (who parses messages fills it in):
//! - types are as written in `Content-Type`; without a valid one a part is `text/plain` with
//!   `charset=us-ascii` (RFC 2045 section 5.2), in multipart/digest `message/rfc822`;
//! - parameters are in their order, values without quotes; RFC 2231 continuations are
//!   joined, their encoding is left;
//! - `encoding` is `7BIT` where there is no `Content-Transfer-Encoding`;
//! - `size` and `lines` count the part as transferred, without its header and without the
//!   CRLF that belongs to the boundary;
//! - a message/rfc822 (or message/global) that is itself transfer-encoded cannot be looked
//!   into: it is a [`SinglePartKind::Basic`];
//! - a multipart without parts is printed with one empty text part, as the grammar wants
//!   at least one.
//!
//! Trust: the tree comes from strangers. Its depth is bounded by who builds it; what is
//! deeper than [`MAX_DEPTH`] is printed as an empty text part, so that no tree can use up
//! the stack.

use super::envelope::{Bytes, Envelope};
use crate::Dialect;
use crate::print::{list, nstring, put, string};

/// Parts deeper than this are not printed.
const MAX_DEPTH: usize = 100;

/// A part with all that is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyStructure<'a> {
    /// A part without parts.
    Single(Box<SinglePart<'a>>),
    /// multipart/*
    Multi(Box<MultiPart<'a>>),
}

/// `body-type-1part`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinglePart<'a> {
    /// What kind of content.
    pub kind: SinglePartKind<'a>,
    /// What every part has.
    pub fields: BodyFields<'a>,
    /// `Content-MD5`
    pub md5: Option<Bytes<'a>>,
    /// What BODYSTRUCTURE tells beyond BODY.
    pub extension: Extension<'a>,
}

/// The three forms of a part without parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinglePartKind<'a> {
    /// text/*
    Text {
        /// `plain`
        subtype: Bytes<'a>,
        /// Number of lines.
        lines: u64,
    },
    /// message/rfc822 or message/global
    Message {
        /// `rfc822`
        subtype: Bytes<'a>,
        /// Its header.
        envelope: Box<Envelope<'a>>,
        /// Its parts.
        body: BodyStructure<'a>,
        /// Number of lines.
        lines: u64,
    },
    /// All others.
    Basic {
        /// `application`
        media_type: Bytes<'a>,
        /// `pdf`
        subtype: Bytes<'a>,
    },
}

/// `body-fields`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyFields<'a> {
    /// Of the `Content-Type`.
    pub parameters: Parameters<'a>,
    /// `Content-ID`
    pub id: Option<Bytes<'a>>,
    /// `Content-Description`
    pub description: Option<Bytes<'a>>,
    /// `Content-Transfer-Encoding`
    pub encoding: Bytes<'a>,
    /// Bytes as transferred.
    pub size: u64,
}

/// `body-type-mpart`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultiPart<'a> {
    /// Its parts.
    pub parts: Vec<BodyStructure<'a>>,
    /// `mixed`
    pub subtype: Bytes<'a>,
    /// Of the `Content-Type`; BODYSTRUCTURE only.
    pub parameters: Parameters<'a>,
    /// What BODYSTRUCTURE tells beyond BODY.
    pub extension: Extension<'a>,
}

/// Name and value, in their order.
pub type Parameters<'a> = Vec<(Bytes<'a>, Bytes<'a>)>;

/// The extension data that both forms share.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extension<'a> {
    /// `Content-Disposition`
    pub disposition: Option<Disposition<'a>>,
    /// `Content-Language`
    pub language: Vec<Bytes<'a>>,
    /// `Content-Location`
    pub location: Option<Bytes<'a>>,
}

/// `body-fld-dsp`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disposition<'a> {
    /// `attachment`
    pub kind: Bytes<'a>,
    /// `filename` and others.
    pub parameters: Parameters<'a>,
}

/// What is printed where the grammar wants a part and there is none.
const EMPTY_PART: &str = r#"("text" "plain" ("charset" "us-ascii") NIL NIL "7BIT" 0 0)"#;

/// BODY, or BODYSTRUCTURE?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Body,
    BodyStructure,
}

impl BodyStructure<'_> {
    /// The value of BODY: without extension data.
    pub fn print_body(&self, out: &mut Vec<u8>, dialect: Dialect) {
        self.print(out, Form::Body, dialect, MAX_DEPTH);
    }

    /// The value of BODYSTRUCTURE.
    pub fn print_body_structure(&self, out: &mut Vec<u8>, dialect: Dialect) {
        self.print(out, Form::BodyStructure, dialect, MAX_DEPTH);
    }

    fn print(&self, out: &mut Vec<u8>, form: Form, dialect: Dialect, depth_left: usize) {
        let Some(deeper) = depth_left.checked_sub(1) else { return put(out, EMPTY_PART) };
        put(out, "(");
        match self {
            Self::Single(part) => part.print(out, form, dialect, deeper),
            Self::Multi(part) => part.print(out, form, dialect, deeper),
        }
        put(out, ")");
    }
}

impl SinglePart<'_> {
    fn print(&self, out: &mut Vec<u8>, form: Form, dialect: Dialect, deeper: usize) {
        let (media_type, subtype): (&[u8], _) = match &self.kind {
            SinglePartKind::Text { subtype, .. } => (b"text", subtype),
            SinglePartKind::Message { subtype, .. } => (b"message", subtype),
            SinglePartKind::Basic { media_type, subtype } => (media_type, subtype),
        };
        string(out, media_type, dialect);
        put(out, " ");
        string(out, subtype, dialect);
        put(out, " ");
        self.fields.print(out, dialect);
        match &self.kind {
            SinglePartKind::Basic { .. } => {}
            SinglePartKind::Text { lines, .. } => put(out, format_args!(" {lines}")),
            SinglePartKind::Message { envelope, body, lines, .. } => {
                put(out, " ");
                envelope.print(out, dialect);
                put(out, " ");
                body.print(out, form, dialect, deeper);
                put(out, format_args!(" {lines}"));
            }
        }
        if form == Form::BodyStructure {
            put(out, " ");
            nstring(out, self.md5.as_deref(), dialect);
            self.extension.print(out, dialect);
        }
    }
}

impl BodyFields<'_> {
    fn print(&self, out: &mut Vec<u8>, dialect: Dialect) {
        print_parameters(out, &self.parameters, dialect);
        put(out, " ");
        nstring(out, self.id.as_deref(), dialect);
        put(out, " ");
        nstring(out, self.description.as_deref(), dialect);
        put(out, " ");
        string(out, &self.encoding, dialect);
        put(out, format_args!(" {}", self.size));
    }
}

impl MultiPart<'_> {
    fn print(&self, out: &mut Vec<u8>, form: Form, dialect: Dialect, deeper: usize) {
        for part in &self.parts {
            part.print(out, form, dialect, deeper);
        }
        if self.parts.is_empty() {
            put(out, EMPTY_PART);
        }
        put(out, " ");
        string(out, &self.subtype, dialect);
        if form == Form::BodyStructure {
            put(out, " ");
            print_parameters(out, &self.parameters, dialect);
            self.extension.print(out, dialect);
        }
    }
}

impl Extension<'_> {
    fn print(&self, out: &mut Vec<u8>, dialect: Dialect) {
        match &self.disposition {
            None => put(out, " NIL "),
            Some(disposition) => {
                put(out, " (");
                string(out, &disposition.kind, dialect);
                put(out, " ");
                print_parameters(out, &disposition.parameters, dialect);
                put(out, ") ");
            }
        }
        match self.language.as_slice() {
            [] => put(out, "NIL"),
            [language] => string(out, language, dialect),
            languages => list(out, languages, |out, language| string(out, language, dialect)),
        }
        put(out, " ");
        nstring(out, self.location.as_deref(), dialect);
    }
}

/// `body-fld-param`
fn print_parameters(out: &mut Vec<u8>, parameters: &Parameters<'_>, dialect: Dialect) {
    if parameters.is_empty() {
        return put(out, "NIL");
    }
    list(out, parameters.iter().flat_map(|(name, value)| [name, value]), |out, text| {
        string(out, text, dialect);
    });
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn bytes(text: &'static str) -> Bytes<'static> {
        text.as_bytes().into()
    }

    fn fields(size: u64) -> BodyFields<'static> {
        BodyFields {
            parameters: vec![(bytes("CHARSET"), bytes("US-ASCII"))],
            id: None,
            description: None,
            encoding: bytes("7BIT"),
            size,
        }
    }

    fn single(kind: SinglePartKind<'static>, fields: BodyFields<'static>) -> BodyStructure<'static> {
        let extension = Extension::default();
        BodyStructure::Single(Box::new(SinglePart { kind, fields, md5: None, extension }))
    }

    fn text(size: u64, lines: u64) -> BodyStructure<'static> {
        single(SinglePartKind::Text { subtype: bytes("PLAIN"), lines }, fields(size))
    }

    fn multi(parts: Vec<BodyStructure<'static>>) -> BodyStructure<'static> {
        BodyStructure::Multi(Box::new(MultiPart {
            parts,
            subtype: bytes("MIXED"),
            parameters: vec![(bytes("boundary"), bytes("a b\"c"))],
            extension: Extension {
                disposition: Some(Disposition { kind: bytes("inline"), parameters: vec![] }),
                language: vec![bytes("de"), bytes("en")],
                location: Some(bytes("http://a.example/")),
            },
        }))
    }

    /// A multipart with text, attachment, and a message that has text.
    pub(in crate::response) fn example() -> BodyStructure<'static> {
        let pdf = SinglePart {
            kind: SinglePartKind::Basic { media_type: bytes("application"), subtype: bytes("pdf") },
            fields: BodyFields {
                parameters: vec![],
                id: Some(bytes("<1@a.example>")),
                description: Some("Übersicht".as_bytes().into()),
                encoding: bytes("base64"),
                size: 4000,
            },
            md5: Some(bytes("Q2hlY2sgSW50ZWdyaXR5IQ==")),
            extension: Extension {
                disposition: Some(Disposition {
                    kind: bytes("attachment"),
                    parameters: vec![(bytes("filename"), bytes("a.pdf"))],
                }),
                language: vec![bytes("de")],
                location: None,
            },
        };
        let message = SinglePartKind::Message {
            subtype: bytes("rfc822"),
            envelope: Box::new(super::super::envelope::tests::example()),
            body: text(3028, 92),
            lines: 110,
        };
        multi(vec![text(1152, 23), BodyStructure::Single(Box::new(pdf)), single(message, fields(3500))])
    }

    fn body(structure: &BodyStructure<'_>) -> String {
        let mut out = Vec::new();
        structure.print_body(&mut out, Dialect::Utf8);
        String::from_utf8(out).unwrap()
    }

    fn body_structure(structure: &BodyStructure<'_>) -> String {
        let mut out = Vec::new();
        structure.print_body_structure(&mut out, Dialect::Utf8);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_example_of_rfc_3501() {
        let expected = r#"("text" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 3028 92"#;
        assert_eq!(body(&text(3028, 92)), format!("{expected})"));
        assert_eq!(body_structure(&text(3028, 92)), format!("{expected} NIL NIL NIL NIL)"));
    }

    #[test]
    fn extension_data() {
        let structure = body_structure(&example());
        let pdf = r#"("application" "pdf" NIL "<1@a.example>" "Übersicht" "base64" 4000 "Q2hlY2sgSW50ZWdyaXR5IQ==" ("attachment" ("filename" "a.pdf")) "de" NIL)"#;
        assert!(structure.contains(pdf), "{structure}");
        let end = r#" "MIXED" ("boundary" "a b\"c") ("inline" NIL) ("de" "en") "http://a.example/")"#;
        assert!(structure.ends_with(end), "{structure}");
        assert!(body(&example()).ends_with(r#" "MIXED")"#));
    }

    #[test]
    fn odd_trees() {
        assert_eq!(body(&multi(vec![])), format!("({EMPTY_PART} \"MIXED\")"));
        let mut deep = text(1, 1);
        for _ in 0..3 * MAX_DEPTH {
            deep = multi(vec![deep]);
        }
        let printed = body(&deep);
        assert!(printed.contains(EMPTY_PART) && printed.len() < 20 * MAX_DEPTH);
        assert_eq!(printed.matches('(').count(), printed.matches(')').count());
    }
}
