//! The header block: where it ends, its fields, and their byte ranges.
//!
//! Standards: RFC 5322 section 2.2 (fields), section 2.2.3 (folding), section 4.5 (obsolete
//! fields with white space before the colon), RFC 6532 (8-bit values).
//! Invariants:
//! - one pass over the bytes, whatever they are;
//! - field spans rise, do not overlap, and hold whole lines;
//! - both CRLF and a bare LF end a line; a bare CR is an octet like any other.
//!
//! Lines that are no field (no colon, or a name with spaces or 8-bit octets) are *junk*.
//! Junk followed by another field is skipped with its continuation lines: that is what mail
//! programs do with an mbox `From ` line or with a header that a gateway broke. Junk with
//! nothing but junk up to the blank line, a boundary or the end is taken for the begin of a
//! body whose blank line is missing, so that text shows up in the body instead of nowhere.

use std::borrow::Cow;

use memchr::memchr;

use crate::Span;

/// One header field as it stands in the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name, in the letters of the sender, without the white space before the colon.
    pub name: &'a [u8],
    /// All after the colon, still folded, without the last line end.
    pub value: &'a [u8],
    /// The whole field within the block, with continuation lines and last line end.
    pub span: Span,
    /// The value within the block.
    pub value_span: Span,
}

impl<'a> Field<'a> {
    /// Is this the name? Case does not matter (RFC 5322 section 1.2.2).
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value on one line, without white space around it.
    pub fn unfolded(&self) -> Cow<'a, [u8]> {
        unfold(self.value.trim_ascii())
    }
}

/// A header block.
#[derive(Debug, Clone, Copy)]
pub struct Header<'a> {
    block: &'a [u8],
}

impl<'a> Header<'a> {
    /// A block of its own, with or without the blank line at its end.
    pub fn new(block: &'a [u8]) -> Self {
        Self { block }
    }

    /// The header of a whole message or body part.
    pub fn of_content(content: &'a [u8]) -> Self {
        let end = find_end(content, 0, |_| false);
        Self { block: content.get(..end.body).unwrap_or_default() }
    }

    /// All octets of the block.
    pub fn as_bytes(self) -> &'a [u8] {
        self.block
    }

    /// The fields, in their order.
    pub fn fields(self) -> Fields<'a> {
        Fields { block: self.block, at: 0 }
    }

    /// The first field of this name.
    pub fn get(self, name: &str) -> Option<Field<'a>> {
        self.fields().find(|field| field.is(name))
    }

    /// All fields of this name, in their order.
    pub fn all(self, name: &str) -> impl Iterator<Item = Field<'a>> {
        self.fields().filter(move |field| field.is(name))
    }

    /// The first value of this name, on one line, without white space around it.
    pub fn unfolded(self, name: &str) -> Option<Cow<'a, [u8]>> {
        self.get(name).map(|field| field.unfolded())
    }
}

/// Iterator over the fields of a block.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    block: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        loop {
            let first = Line::at(self.block, self.at)?;
            if first.text.is_empty() {
                return None;
            }
            let start = self.at;
            let mut last = first;
            while let Some(line) = Line::at(self.block, last.next).filter(Line::is_continuation) {
                last = line;
            }
            self.at = last.next;
            let (indent, text) = if start == 0 { without_indent(first.text) } else { (0, first.text) };
            if let Some((name, colon)) = field_name(text) {
                let value_span = Span::new(start + indent + colon + 1, last.text_end);
                let value = value_span.of(self.block);
                return Some(Field { name, value, span: Span::new(start, last.next), value_span });
            }
        }
    }
}

/// One line of a content.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    /// Without its line end.
    pub(crate) text: &'a [u8],
    /// Where the text ends and the line end begins.
    pub(crate) text_end: usize,
    /// Where the next line begins.
    pub(crate) next: usize,
}

impl<'a> Line<'a> {
    /// The line that begins at `start`; `None` at the end of the bytes.
    pub(crate) fn at(bytes: &'a [u8], start: usize) -> Option<Self> {
        let rest = bytes.get(start..).filter(|rest| !rest.is_empty())?;
        let (raw, next) = match memchr(b'\n', rest) {
            Some(lf) => (rest.get(..lf).unwrap_or_default(), start + lf + 1),
            None => return Some(Self { text: rest, text_end: bytes.len(), next: bytes.len() }),
        };
        let text = raw.strip_suffix(b"\r").unwrap_or(raw);
        Some(Self { text, text_end: start + text.len(), next })
    }

    fn is_continuation(&self) -> bool {
        matches!(self.text.first(), Some(b' ' | b'\t'))
    }
}

/// Where a header ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    /// Where the body begins: behind the blank line.
    pub(crate) body: usize,
    /// How far the search went; beyond `body` if there was junk.
    pub(crate) scanned: usize,
}

/// Finds the end of the header that begins at `from`.
///
/// `is_delimiter` says of a line that it is a boundary. That ends a header as well; the
/// line end before it is not part of the header then.
pub(crate) fn find_end(content: &[u8], from: usize, mut is_delimiter: impl FnMut(&[u8]) -> bool) -> End {
    let mut at = from;
    let mut end = None;
    let mut junk = None;
    while let Some(line) = Line::at(content, at) {
        if line.text.is_empty() {
            at = line.next;
            break;
        }
        if line.text.starts_with(b"--") && is_delimiter(line.text) {
            end = Some(before_line_end(content, at).max(from));
            break;
        }
        let is_first = at == from;
        let text = if is_first { without_indent(line.text).1 } else { line.text };
        if field_name(text).is_some() {
            junk = None;
        } else if is_first || !line.is_continuation() {
            junk = junk.or(Some(at));
        }
        at = line.next;
    }
    End { body: junk.or(end).unwrap_or(at), scanned: at }
}

/// Where the line ends whose line end stands before `at`; `at` if there is none.
pub(crate) fn before_line_end(content: &[u8], at: usize) -> usize {
    let before = content.get(..at).unwrap_or_default();
    match before.strip_suffix(b"\n") {
        Some(text) => text.strip_suffix(b"\r").unwrap_or(text).len(),
        None => at,
    }
}

/// The first line of a header continues nothing: white space before a field there is a slip
/// of the sender. Gives its length, and the rest.
fn without_indent(line: &[u8]) -> (usize, &[u8]) {
    let text = line.trim_ascii_start();
    (line.len() - text.len(), text)
}

/// Name and place of the colon, if the line begins a field.
///
/// `field-name = 1*%d33-57 / %d59-126`, RFC 5322 section 3.6.8; white space before the
/// colon by section 4.5.
fn field_name(line: &[u8]) -> Option<(&[u8], usize)> {
    let colon = memchr(b':', line)?;
    let name = line.get(..colon)?.trim_ascii_end();
    let is_name = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    is_name.then_some((name, colon))
}

/// Takes the line ends out of a folded value (RFC 5322 section 2.2.3).
pub fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    if memchr(b'\n', value).is_none() {
        return Cow::Borrowed(value);
    }
    let mut unfolded = Vec::with_capacity(value.len());
    for line in value.split_inclusive(|&octet| octet == b'\n') {
        let text = line.strip_suffix(b"\n").map(|text| text.strip_suffix(b"\r").unwrap_or(text));
        unfolded.extend_from_slice(text.unwrap_or(line));
    }
    Cow::Owned(unfolded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names_and_values(block: &str) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Header::new(block.as_bytes())
            .fields()
            .map(|field| (text(field.name), text(&field.unfolded())))
            .collect()
    }

    #[test]
    fn fields_of_a_block() {
        for (block, expected) in [
            ("", vec![]),
            ("\r\n", vec![]),
            ("A: 1\r\nB:2\r\n\r\nC: 3\r\n", vec![("A", "1"), ("B", "2")]),
            ("A: 1\nB: 2", vec![("A", "1"), ("B", "2")]),
            ("A: 1\r\n 2\r\n\t3\r\nB:\r\n", vec![("A", "1 2\t3"), ("B", "")]),
            ("Subject : spaced\r\n", vec![("Subject", "spaced")]),
            ("A: 1\r\n \r\nB: 2\r\n", vec![("A", "1"), ("B", "2")]),
            ("From ann@example.org Mon May  2 16:07:05 2005\nA: 1\n", vec![("A", "1")]),
            ("junk\r\n of two lines\r\nA: 1\r\n", vec![("A", "1")]),
            (" indented: 0\r\nA: 1\r\n B: 2\r\n", vec![("indented", "0"), ("A", "1 B: 2")]),
            ("  no field\r\nA: 1\r\n", vec![("A", "1")]),
            (": no name\r\n  : none\r\nA: 1\r\n", vec![("A", "1")]),
            ("A\u{e9}: 8-bit name\r\nA: 1\r\n", vec![("A", "1")]),
            ("A:\rbare CR\r\n", vec![("A", "bare CR")]),
        ] {
            let expected: Vec<_> = expected.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect();
            assert_eq!(names_and_values(block), expected, "{block:?}");
        }
    }

    #[test]
    fn where_the_body_begins() {
        for (content, body) in [
            ("A: 1\r\n\r\nbody", "body"),
            ("A: 1\n\nbody", "body"),
            ("\r\nbody", "body"),
            ("", ""),
            ("A: 1", ""),
            ("A: 1\r\n", ""),
            ("A: 1\r\n \r\nB: 2\r\n\r\nbody", "body"),
            // Junk between fields is skipped, ...
            ("A: 1\r\njunk\r\nB: 2\r\n\r\nbody", "body"),
            // ... junk before the blank line is text.
            ("A: 1\r\nno blank line\r\nbefore this\r\n\r\nbody", "no blank line\r\nbefore this\r\n\r\nbody"),
            ("A: 1\r\nno blank line\r\n at all", "no blank line\r\n at all"),
            ("only text\r\nand more\r\n", "only text\r\nand more\r\n"),
            (" indented\r\n\r\nbody", " indented\r\n\r\nbody"),
            (" A: 1\r\n\r\nbody", "body"),
            // A boundary ends a header.
            ("A: 1\r\n--b\r\nB: 2\r\n\r\n", "\r\n--b\r\nB: 2\r\n\r\n"),
            ("--b\r\n\r\n", "--b\r\n\r\n"),
        ] {
            let start = find_end(content.as_bytes(), 0, |line| line == b"--b").body;
            assert_eq!(&content[start..], body, "{content:?}");
        }
    }

    #[test]
    fn lookup_ignores_case_and_takes_the_first() {
        let header = Header::of_content(b"to: a\r\nTO: b\r\nCc: c\r\n\r\nTo: body\r\n");
        assert_eq!(header.unfolded("To").as_deref(), Some(&b"a"[..]));
        assert_eq!(header.all("tO").count(), 2);
        assert!(header.get("Bcc").is_none());
    }

    proptest! {
        #[test]
        fn spans_are_whole_lines_in_order(block in "([AB:\\- \t]{0,4}(\r\n|\n)?){0,12}") {
            let bytes = block.as_bytes();
            let mut end = 0;
            for field in Header::new(bytes).fields() {
                prop_assert!(field.span.start >= end);
                end = field.span.end;
                prop_assert!(end == bytes.len() || bytes[end - 1] == b'\n');
                prop_assert_eq!(field.value_span.of(bytes), field.value);
                prop_assert!(field.span.of(bytes).trim_ascii_start().starts_with(field.name));
            }
        }

        #[test]
        fn unfolding_removes_line_ends_only(value in "[ab \r\n]{0,20}") {
            let expected = value.replace("\r\n", "").replace('\n', "");
            let unfolded = unfold(value.as_bytes());
            prop_assert_eq!(std::str::from_utf8(&unfolded).unwrap(), expected);
        }
    }
}
