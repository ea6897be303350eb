//! The tree of parts of a message, with exact byte ranges.
//!
//! Standards: RFC 2045, RFC 2046 (multiparts, section 5.1; message/rfc822, section 5.2.1),
//! RFC 9051 section 7.5.2 (what BODYSTRUCTURE tells), RFC 6532 section 3.7 (message/global).
//! Invariants:
//! - one pass over the lines of a content, whatever they are: no octet is looked at more
//!   often than a constant plus the number of open boundaries, which is at most [`MAX_DEPTH`];
//! - header and body of a part touch, a part lies within the body of its parent, siblings
//!   rise, and between them stand only delimiters, preamble and epilogue;
//! - the line end before a delimiter belongs to the delimiter (RFC 2046 section 5.1.1);
//! - a multipart has at least one part and a message exactly one, or it is a leaf;
//! - the same bytes always give the same tree: clients keep section numbers.
//!
//! Where senders leave the standards:
//! - a delimiter is the whole line: `--`, boundary, perhaps `--`, then only white space. RFC
//!   2046 asks to compare the beginning only, but boundaries that begin with another one are
//!   common and text behind a boundary is not;
//! - of open multiparts the innermost that has this boundary takes the delimiter; all
//!   within it end there, with or without their own;
//! - a multipart whose boundary is missing, or whose delimiters are, is a leaf of
//!   `text/plain`, as RFC 2045 section 5.2 has it for what is not understood: BODYSTRUCTURE
//!   has no multipart without parts, and readers see the text;
//! - a message in base64 or quoted-printable (forbidden by RFC 2046 section 5.2.1), and what
//!   is nested too deep or comes too late, is an opaque leaf of `application/octet-stream`.

use std::borrow::Cow;

use memchr::memchr_iter;

use crate::Span;
use crate::encoded_word;
use crate::fields::{ContentType, Disposition};
use crate::header::{self, Header, Line};
use crate::transfer::TransferEncoding;

/// How many parts may lie within each other, the root among them.
pub const MAX_DEPTH: usize = 50;

/// How many parts a structure may have, nested messages among them.
pub const MAX_PARTS: usize = 1000;

/// The number of a part in its [`Structure`]; the root is [`PartId::ROOT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartId(u16);

impl PartId {
    /// The message itself.
    pub const ROOT: Self = Self(0);

    fn from_index(index: usize) -> Self {
        Self(u16::try_from(index).unwrap_or(u16::MAX))
    }

    fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// What a part is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Content that is not looked into.
    Leaf,
    /// One part or several between delimiters.
    Multipart,
    /// A message, the only child, which begins where the body does.
    Message,
}

/// One part: a header, a body, and what BODYSTRUCTURE tells of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The part that this one lies in; `None` for the root.
    pub parent: Option<PartId>,
    first_child: Option<PartId>,
    next_sibling: Option<PartId>,
    /// What it is made of.
    pub kind: Kind,
    /// The type that the part is treated as; see the module's header.
    pub content_type: ContentType,
    /// The header with its blank line.
    pub header: Span,
    /// The body, encoded as it came. Its length is the size that IMAP tells.
    pub body: Span,
    /// Number of line ends in the body.
    pub lines: usize,
    /// How the body is encoded.
    pub encoding: TransferEncoding,
    fields: FieldSpans,
}

/// Where the values of the fields of a part stand in the content; trimmed, still folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct FieldSpans {
    id: Option<Span>,
    description: Option<Span>,
    disposition: Option<Span>,
    md5: Option<Span>,
    language: Option<Span>,
    location: Option<Span>,
}

impl Part {
    /// Header and body.
    pub fn span(&self) -> Span {
        Span::new(self.header.start, self.body.end)
    }

    /// `Content-ID`, as it came.
    pub fn id<'a>(&self, content: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        raw(self.fields.id, content)
    }

    /// `Content-Description`, as it came.
    pub fn description<'a>(&self, content: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        raw(self.fields.description, content)
    }

    /// `Content-MD5`, as it came.
    pub fn md5<'a>(&self, content: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        raw(self.fields.md5, content)
    }

    /// `Content-Location` (RFC 2557), as it came.
    pub fn location<'a>(&self, content: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        raw(self.fields.location, content)
    }

    /// The tags of `Content-Language` (RFC 3282); none if the field is missing.
    pub fn languages(&self, content: &[u8]) -> Vec<String> {
        let value = raw(self.fields.language, content).unwrap_or_default();
        value
            .split(|&octet| octet == b',')
            .map(|tag| String::from_utf8_lossy(tag.trim_ascii()).into_owned())
            .filter(|tag| !tag.is_empty())
            .collect()
    }

    /// `Content-Disposition`.
    pub fn disposition(&self, content: &[u8]) -> Option<Disposition> {
        Disposition::parse(self.fields.disposition?.of(content))
    }

    /// The file name as people read it: of the disposition, or else of the type.
    pub fn file_name(&self, content: &[u8]) -> Option<String> {
        self.disposition(content)
            .and_then(|disposition| disposition.parameters.decoded("filename"))
            .or_else(|| self.content_type.parameters.decoded("name"))
            .filter(|name| !name.is_empty())
    }

    /// `Content-Description` as people read it.
    pub fn decoded_description(&self, content: &[u8]) -> Option<String> {
        Some(encoded_word::decode(self.fields.description?.of(content)))
    }

    /// The octets that the body stands for, at most `limit`.
    pub fn decoded_body(&self, content: &[u8], limit: usize) -> Vec<u8> {
        self.encoding.decode(self.body.of(content), limit)
    }
}

fn raw(span: Option<Span>, content: &[u8]) -> Option<Cow<'_, [u8]>> {
    span.map(|span| header::unfold(span.of(content)))
}

/// The tree of parts, in the order in which they stand in the content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Structure {
    parts: Vec<Part>,
    /// Octets looked at, counted each time: the measure of work, for tests.
    examined: usize,
}

impl Structure {
    /// Reads the structure of a message. Any octets have one.
    pub fn parse(content: &[u8]) -> Self {
        let mut scanner = Scanner { content, parts: Vec::new(), open: Vec::new(), line_ends: 0, examined: 0 };
        scanner.run();
        Self { parts: scanner.parts, examined: scanner.examined }
    }

    /// The message itself.
    pub fn root(&self) -> &Part {
        self.part(PartId::ROOT)
    }

    /// The part of this number.
    ///
    /// # Panics
    /// If the number comes from another structure.
    pub fn part(&self, id: PartId) -> &Part {
        &self.parts[id.index()]
    }

    /// All parts in the order of the content: each stands before its children.
    pub fn parts(&self) -> impl Iterator<Item = (PartId, &Part)> {
        self.parts.iter().enumerate().map(|(index, part)| (PartId::from_index(index), part))
    }

    /// The parts directly within this one.
    pub fn children(&self, id: PartId) -> impl Iterator<Item = PartId> {
        let first = self.part(id).first_child;
        std::iter::successors(first, |&child| self.part(child).next_sibling)
    }
}

/// A part whose end is not yet found.
struct Open {
    part: usize,
    /// Of a multipart whose closing delimiter was not yet seen.
    boundary: Option<Vec<u8>>,
    /// Line ends in the content before the body.
    line_ends_before: usize,
    last_child: Option<usize>,
}

/// A line that is a delimiter of one of the open multiparts.
#[derive(Clone, Copy)]
struct Delimiter {
    /// Index of the multipart among those open.
    level: usize,
    is_closing: bool,
}

struct Scanner<'a> {
    content: &'a [u8],
    parts: Vec<Part>,
    open: Vec<Open>,
    /// Line ends passed so far.
    line_ends: usize,
    examined: usize,
}

impl Scanner<'_> {
    fn run(&mut self) {
        let mut at = self.open_part(0);
        while self.has_boundaries()
            && let Some(line) = Line::at(self.content, at)
        {
            self.examined += line.next - at;
            at = match self.delimiter(line.text) {
                Some(delimiter) => self.cross(delimiter, at, line),
                None => {
                    self.line_ends += usize::from(line.text_end < line.next);
                    line.next
                }
            };
        }
        let rest = self.content.get(at..).unwrap_or_default();
        self.examined += rest.len();
        self.line_ends += memchr_iter(b'\n', rest).count();
        self.close_above(0, self.content.len(), false);
    }

    fn has_boundaries(&self) -> bool {
        self.open.iter().any(|open| open.boundary.is_some())
    }

    /// Is this line a delimiter of an open multipart? The innermost one is asked first.
    fn delimiter(&mut self, line: &[u8]) -> Option<Delimiter> {
        let rest = line.strip_prefix(b"--")?;
        // What is too late to become a part stays within the part before it.
        let is_full = self.parts.len() >= MAX_PARTS;
        for (level, open) in self.open.iter().enumerate().rev() {
            let Some(boundary) = &open.boundary else { continue };
            self.examined += boundary.len().min(rest.len());
            let Some(padding) = rest.strip_prefix(boundary.as_slice()) else { continue };
            if is_blank(padding) && !is_full {
                return Some(Delimiter { level, is_closing: false });
            }
            if padding.strip_prefix(b"--").is_some_and(is_blank) {
                return Some(Delimiter { level, is_closing: true });
            }
        }
        None
    }

    /// Ends what lies within the multipart, and begins its next part or its epilogue.
    /// Returns where to go on.
    fn cross(&mut self, delimiter: Delimiter, at: usize, line: Line<'_>) -> usize {
        let end = header::before_line_end(self.content, at);
        // A line end that a header or another delimiter needs stays with that.
        let innermost = self.open.last().and_then(|open| self.parts.get(open.part));
        let begin = innermost.map_or(0, |part| part.body.start);
        self.close_above(delimiter.level + 1, end.max(begin), begin <= end && end < at);
        self.line_ends += usize::from(line.text_end < line.next);
        if !delimiter.is_closing {
            return self.open_part(line.next);
        }
        if let Some(open) = self.open.get_mut(delimiter.level) {
            open.boundary = None;
        }
        line.next
    }

    /// Begins the part at `at`, with the messages that it holds; returns where the body of
    /// the innermost begins.
    fn open_part(&mut self, mut at: usize) -> usize {
        loop {
            let is_digest = self.parent().is_some_and(|parent| parent.content_type.is("multipart", "digest"));
            let content = self.content;
            let end = header::find_end(content, at, |line| self.delimiter(line).is_some());
            let header = Span::new(at, end.body);
            self.examined += end.scanned - at + header.len();
            self.line_ends += memchr_iter(b'\n', header.of(content)).count();
            let mut part = describe(content, header, is_digest);
            let boundary = self.classify(&mut part);
            let kind = part.kind;
            self.push(part, boundary);
            if kind != Kind::Message {
                return end.body;
            }
            at = end.body;
        }
    }

    fn parent(&self) -> Option<&Part> {
        self.parts.get(self.open.last()?.part)
    }

    /// Decides what the part is made of, and gives the boundary if it is a multipart.
    fn classify(&self, part: &mut Part) -> Option<Vec<u8>> {
        let content_type = &part.content_type;
        let is_multipart = content_type.main == "multipart";
        if !is_multipart && !is_message(content_type) {
            return None;
        }
        let has_room = self.open.len() + 1 < MAX_DEPTH && self.parts.len() + 1 < MAX_PARTS;
        if !has_room || !is_multipart && is_encoded(part.encoding) {
            let parameters = std::mem::take(&mut part.content_type.parameters);
            part.content_type =
                ContentType { parameters, ..ContentType::bare("application", "octet-stream") };
            return None;
        }
        if !is_multipart {
            part.kind = Kind::Message;
            return None;
        }
        let boundary = content_type.parameters.boundary().map(Cow::into_owned);
        match boundary {
            Some(_) => part.kind = Kind::Multipart,
            None => part.content_type = ContentType::bare("text", "plain"),
        }
        boundary
    }

    fn push(&mut self, mut part: Part, boundary: Option<Vec<u8>>) {
        let index = self.parts.len();
        if let Some(open) = self.open.last_mut() {
            part.parent = Some(PartId::from_index(open.part));
            let (from, is_first) = match open.last_child.replace(index) {
                Some(sibling) => (sibling, false),
                None => (open.part, true),
            };
            if let Some(from) = self.parts.get_mut(from) {
                let link = if is_first { &mut from.first_child } else { &mut from.next_sibling };
                *link = Some(PartId::from_index(index));
            }
        }
        self.parts.push(part);
        let line_ends_before = self.line_ends;
        self.open.push(Open { part: index, boundary, line_ends_before, last_child: None });
    }

    /// Ends all open parts from `level` on. `has_line_end`: the line end before the
    /// delimiter was counted and does not belong to them.
    fn close_above(&mut self, level: usize, end: usize, has_line_end: bool) {
        while self.open.len() > level
            && let Some(open) = self.open.pop()
            && let Some(part) = self.parts.get_mut(open.part)
        {
            let counted = self.line_ends - open.line_ends_before;
            part.lines = counted.saturating_sub(usize::from(has_line_end));
            part.body = Span::new(part.body.start, end);
            if part.kind == Kind::Multipart && part.first_child.is_none() {
                part.kind = Kind::Leaf;
                part.content_type = ContentType::bare("text", "plain");
            }
        }
    }
}

fn is_blank(text: &[u8]) -> bool {
    text.iter().all(|octet| matches!(octet, b' ' | b'\t'))
}

fn is_message(content_type: &ContentType) -> bool {
    content_type.is("message", "rfc822") || content_type.is("message", "global")
}

fn is_encoded(encoding: TransferEncoding) -> bool {
    matches!(encoding, TransferEncoding::Base64 | TransferEncoding::QuotedPrintable)
}

/// Reads the fields that describe a part. Of several with one name the first counts.
fn describe(content: &[u8], header: Span, is_digest: bool) -> Part {
    let mut content_type = None;
    let mut encoding = None;
    let mut fields = FieldSpans::default();
    for field in Header::new(header.of(content)).fields() {
        let Some(name) = behind_content(field.name) else { continue };
        let value = trimmed(field.value, header.start + field.value_span.start);
        match name.as_slice() {
            b"type" => content_type = content_type.or_else(|| Some(ContentType::parse(field.value))),
            b"transfer-encoding" => {
                let parsed = TransferEncoding::parse(field.value).unwrap_or(TransferEncoding::Unknown(value));
                encoding = encoding.or(Some(parsed));
            }
            b"id" => fields.id = fields.id.or(Some(value)),
            b"description" => fields.description = fields.description.or(Some(value)),
            b"disposition" => fields.disposition = fields.disposition.or(Some(value)),
            b"md5" => fields.md5 = fields.md5.or(Some(value)),
            b"language" => fields.language = fields.language.or(Some(value)),
            b"location" => fields.location = fields.location.or(Some(value)),
            _ => {}
        }
    }
    // RFC 2046 section 5.1.5.
    let default =
        || if is_digest { ContentType::bare("message", "rfc822") } else { ContentType::text_plain() };
    Part {
        parent: None,
        first_child: None,
        next_sibling: None,
        kind: Kind::Leaf,
        content_type: content_type.unwrap_or_else(default),
        header,
        body: Span::new(header.end, header.end),
        lines: 0,
        encoding: encoding.unwrap_or_default(),
        fields,
    }
}

/// The rest of a name that begins with `Content-`, in lower case.
fn behind_content(name: &[u8]) -> Option<Vec<u8>> {
    let (start, rest) = name.split_at_checked(b"content-".len())?;
    start.eq_ignore_ascii_case(b"content-").then(|| rest.to_ascii_lowercase())
}

/// Where the value stands that begins at `start`, without the white space around it.
fn trimmed(value: &[u8], start: usize) -> Span {
    let text = value.trim_ascii_start();
    let start = start + value.len() - text.len();
    Span::new(start, start + text.trim_ascii_end().len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    /// `type/subtype{body}`, or `type/subtype(parts)` of a multipart or message.
    fn shape(content: &[u8]) -> String {
        let structure = Structure::parse(content);
        let mut text = String::new();
        write_shape(content, &structure, PartId::ROOT, &mut text);
        text
    }

    fn write_shape(content: &[u8], structure: &Structure, id: PartId, text: &mut String) {
        let part = structure.part(id);
        write!(text, "{}/{}", part.content_type.main, part.content_type.sub).unwrap();
        if part.kind == Kind::Leaf {
            return write!(text, "{{{}}}", String::from_utf8_lossy(part.body.of(content))).unwrap();
        }
        text.push('(');
        for (index, child) in structure.children(id).enumerate() {
            text.push_str(if index > 0 { " " } else { "" });
            write_shape(content, structure, child, text);
        }
        text.push(')');
    }

    const MIXED: &str = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";

    /// Bodies of a multipart/mixed with the boundary `b`, and the shape within its parentheses.
    fn check_mixed(body: &str, expected: &str) {
        let content = format!("{MIXED}{body}");
        assert_eq!(shape(content.as_bytes()), format!("multipart/mixed({expected})"), "{body:?}");
        // With bare LF the same comes out, but for the line ends within bodies.
        let lf = content.replace("\r\n", "\n");
        let expected = expected.replace("\r\n", "\n");
        assert_eq!(shape(lf.as_bytes()), format!("multipart/mixed({expected})"), "{lf:?}");
    }

    #[test]
    fn single_parts() {
        for (content, expected) in [
            ("", "text/plain{}"),
            ("Subject: x\r\n\r\nhello\r\n", "text/plain{hello\r\n}"),
            ("Content-Type: image/png\r\n\r\nx", "image/png{x}"),
            ("Content-Type: multipart/mixed\r\n\r\n--b\r\n", "text/plain{--b\r\n}"),
            ("Content-Type: multipart/mixed; boundary=b\r\n\r\nno delimiter", "text/plain{no delimiter}"),
            ("Content-Type: multipart/mixed; boundary=b", "text/plain{}"),
            ("Content-Type: message/rfc822\r\n\r\n", "message/rfc822(text/plain{})"),
            ("Content-Type: message/global\r\n\r\nA: b\r\n\r\nx", "message/global(text/plain{x})"),
            (
                "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nQTogYg0K",
                "application/octet-stream{QTogYg0K}",
            ),
            ("Content-Type: text/html\r\nContent-Type: image/png\r\n\r\nx", "text/html{x}"),
        ] {
            assert_eq!(shape(content.as_bytes()), expected, "{content:?}");
        }
    }

    #[test]
    fn delimiters() {
        check_mixed("--b\r\n\r\nx\r\n--b--\r\n", "text/plain{x}");
        check_mixed("preamble\r\n--b\r\n\r\nx\r\n--b--\r\nepilogue\r\n", "text/plain{x}");
        check_mixed("--b\r\n\r\nx\r\n\r\n--b\r\n\r\ny\r\n--b--", "text/plain{x\r\n} text/plain{y}");
        // White space behind it; something else behind it.
        check_mixed("--b \t\r\n\r\nx\r\n--b-- \r\n", "text/plain{x}");
        check_mixed(
            "--b\r\n\r\nx\r\n--bc\r\n--b-\r\n--b x\r\n--b--",
            "text/plain{x\r\n--bc\r\n--b-\r\n--b x}",
        );
        check_mixed("--b\r\n\r\nx\r\n --b--\r\n--b--", "text/plain{x\r\n --b--}");
        // No end, and an end in the middle of everything.
        check_mixed("--b\r\n\r\nx\r\n", "text/plain{x\r\n}");
        check_mixed("--b\r\n", "text/plain{}");
        check_mixed("--b", "text/plain{}");
        check_mixed("--b\r\nContent-Type: text/html", "text/html{}");
        // Parts without header, without body, without blank line, without anything.
        check_mixed("--b\r\n--b\r\n--b--", "text/plain{} text/plain{}");
        check_mixed("--b\r\n\r\n--b\r\n\r\n--b--", "text/plain{} text/plain{}");
        check_mixed("--b\r\nContent-Type: text/html\r\n--b--", "text/html{}");
        check_mixed("--b\r\nContent-Type: text/html\r\n\r\n--b--", "text/html{}");
        check_mixed(
            "--b\r\nno header\r\nand no blank line\r\n--b--",
            "text/plain{no header\r\nand no blank line}",
        );
        // What comes behind the end is epilogue.
        check_mixed("--b\r\n\r\nx\r\n--b--\r\n--b\r\n\r\ny\r\n", "text/plain{x}");
    }

    #[test]
    fn nested_multiparts() {
        let inner = |boundary: &str| {
            format!("--b\r\nContent-Type: multipart/alternative; boundary={boundary}\r\n\r\n")
        };
        check_mixed(
            &(inner("c") + "--c\r\n\r\nx\r\n--c\r\n\r\ny\r\n--c--\r\n\r\n--b\r\n\r\nz\r\n--b--\r\n"),
            "multipart/alternative(text/plain{x} text/plain{y}) text/plain{z}",
        );
        // The outer delimiter ends the inner multipart, whether it was closed or not.
        check_mixed(
            &(inner("c") + "--c\r\n\r\nx\r\n--b\r\n\r\nz\r\n--b--"),
            "multipart/alternative(text/plain{x}) text/plain{z}",
        );
        check_mixed(&(inner("c") + "--c\r\n--b--"), "multipart/alternative(text/plain{})");
        check_mixed(&(inner("c") + "text\r\n--b--"), "text/plain{text}");
        // A boundary that begins with another one, in both directions.
        check_mixed(
            &(inner("bb") + "--bb\r\n\r\nx\r\n--bb--\r\n--b\r\n\r\nz\r\n--b--"),
            "multipart/alternative(text/plain{x}) text/plain{z}",
        );
        // The same boundary twice: the inner multipart takes it until it is closed.
        check_mixed(
            &(inner("b") + "--b\r\n\r\nx\r\n--b--\r\n--b\r\n\r\nz\r\n--b--"),
            "multipart/alternative(text/plain{x}) text/plain{z}",
        );
    }

    #[test]
    fn messages_within() {
        check_mixed(
            "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\ntext\r\n--b--",
            "message/rfc822(text/plain{text})",
        );
        check_mixed(
            "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n--b--",
            "message/rfc822(text/plain{})",
        );
        check_mixed("--b\r\nContent-Type: message/rfc822\r\n\r\n--b--", "message/rfc822(text/plain{})");
        check_mixed(
            "--b\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: multipart/x; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--b--",
            "message/rfc822(multipart/x(text/plain{x}))",
        );
        let digest = "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: a\r\n\r\nx\r\n\
                      --b\r\nContent-Type: text/plain\r\n\r\ny\r\n--b--\r\n";
        assert_eq!(shape(digest.as_bytes()), "multipart/digest(message/rfc822(text/plain{x}) text/plain{y})");
    }

    #[test]
    fn sizes_lines_and_fields() {
        let content = b"Content-Type: multipart/mixed; boundary=b\r\n\r\npre\r\n--b\r\n\
            Content-ID: <1@x>\r\nContent-Description: two\r\n words\r\nContent-MD5: abc=\r\n\
            Content-Language: en, ja\r\nContent-Location: http://x.test/\r\n\
            Content-Disposition: attachment; filename=a.txt\r\nContent-Transfer-Encoding: X-UUENCODE\r\n\r\n\
            one\r\ntwo\r\n\r\n--b--\r\nepi\r\n";
        let structure = Structure::parse(content);
        let root = structure.root();
        assert_eq!((root.lines, root.body.end), (16, content.len()));
        let part = structure.part(structure.children(PartId::ROOT).next().unwrap());
        assert_eq!(part.body.of(content), b"one\r\ntwo\r\n");
        assert_eq!(part.lines, 2);
        assert_eq!(part.id(content).as_deref(), Some(&b"<1@x>"[..]));
        assert_eq!(part.description(content).as_deref(), Some(&b"two words"[..]));
        assert_eq!(part.md5(content).as_deref(), Some(&b"abc="[..]));
        assert_eq!(part.location(content).as_deref(), Some(&b"http://x.test/"[..]));
        assert_eq!(part.languages(content), ["en", "ja"]);
        assert_eq!(part.disposition(content).unwrap().kind, "attachment");
        assert_eq!(part.file_name(content).as_deref(), Some("a.txt"));
        let TransferEncoding::Unknown(name) = part.encoding else { panic!("{:?}", part.encoding) };
        assert_eq!(name.of(content), b"X-UUENCODE");
    }

    #[test]
    fn nesting_is_bounded() {
        let mut content = String::new();
        for level in 0..200 {
            write!(content, "Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n")
                .unwrap();
        }
        let structure = Structure::parse(content.as_bytes());
        assert_eq!(structure.parts().count(), MAX_DEPTH);
        let (_, last) = structure.parts().last().unwrap();
        assert!(last.content_type.is("application", "octet-stream"));
        assert_eq!(last.body.end, content.len());

        let messages = "Content-Type: message/rfc822\r\n\r\n".repeat(200);
        let structure = Structure::parse(messages.as_bytes());
        assert_eq!(structure.parts().count(), MAX_DEPTH);
    }

    #[test]
    fn the_number_of_parts_is_bounded() {
        let content = format!("{MIXED}{}--b--\r\nend", "--b\r\n\r\nx\r\n".repeat(MAX_PARTS * 2));
        let structure = Structure::parse(content.as_bytes());
        assert_eq!(structure.parts().count(), MAX_PARTS);
        let (_, last) = structure.parts().last().unwrap();
        assert!(content[last.body.end..].starts_with("\r\n--b--\r\nend"), "the rest is the last part's");
    }

    /// How often the octets of a content are looked at, on average.
    fn work(content: &str) -> f64 {
        Structure::parse(content.as_bytes()).examined as f64 / content.len() as f64
    }

    #[test]
    fn work_does_not_grow_with_the_number_of_lines_fields_or_parts() {
        let deep: String = (0..MAX_DEPTH)
            .map(|level| {
                format!(
                    "Content-Type: multipart/mixed; boundary={}{level}\r\n\r\n--{}{level}\r\n",
                    "b".repeat(60),
                    "b".repeat(60)
                )
            })
            .collect();
        type Make<'a> = &'a dyn Fn(usize) -> String;
        let cases: [(&str, Make<'_>, f64); 7] = [
            ("fields", &|n| "X: y\r\n".repeat(n), 3.0),
            ("junk", &|n| "junk\r\n".repeat(n), 3.0),
            ("continuations", &|n| "X: y\r\n".to_owned() + &" z\r\n".repeat(n), 3.0),
            ("delimiters", &|n| MIXED.to_owned() + &"--b\r\n".repeat(n), 5.0),
            ("parts of junk", &|n| MIXED.to_owned() + &"--b\r\njunk\r\njunk\r\n".repeat(n), 5.0),
            ("lines", &|n| MIXED.to_owned() + "--b\r\n\r\n" + &"--\r\n".repeat(n), 3.0),
            (
                "all boundaries alike",
                &|n| deep.clone() + &format!("--{}\r\n", "b".repeat(60)).repeat(n),
                52.0,
            ),
        ];
        for (name, make, limit) in cases {
            let (small, large) = (work(&make(20_000)), work(&make(40_000)));
            assert!(large <= limit, "{name}: {large} looks at each octet");
            assert!(large <= small * 1.01, "{name}: work grows from {small} to {large}");
        }
    }
}
