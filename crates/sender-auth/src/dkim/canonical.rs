//! Canonical forms of header fields and bodies: what is hashed.
//!
//! Standards: RFC 6376 section 3.4.
//! Invariants:
//! - one pass over a body, none of it copied: what need not change is handed on as it lies,
//!   as many lines at a time as possible;
//! - a bare LF ends a line, as it does for the reader of the message (`hikyaku_mime`);
//!   signers convert to CRLF before they sign (section 5.3).

use std::ops::Range;

use memchr::{memchr, memrchr};

/// How a field or a body is made canonical.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Canonical {
    /// Nearly as it stands.
    Simple,
    /// Without regard to white space, and to the case of field names.
    Relaxed,
}

impl Canonical {
    /// As in `c=`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Relaxed => "relaxed",
        }
    }

    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        [Self::Simple, Self::Relaxed].into_iter().find(|form| form.as_str().as_bytes() == text)
    }
}

/// The canonical form of a whole field with its line end; that of ours is CRLF.
///
/// `name` and `value` are parts of `field`, which has all its lines.
pub(super) fn field(form: Canonical, field: &[u8], name: &[u8], value: &[u8], into: &mut Vec<u8>) {
    match form {
        Canonical::Simple => simple_field(field, into),
        Canonical::Relaxed => {
            into.extend(name.iter().map(u8::to_ascii_lowercase));
            into.push(b':');
            relaxed_value(value, into);
        }
    }
    into.extend_from_slice(b"\r\n");
}

/// Section 3.4.1: unchanged; only bare LF become CRLF. Without the last line end.
fn simple_field(field: &[u8], into: &mut Vec<u8>) {
    for (number, line) in lines(without_line_end(field)).enumerate() {
        if number > 0 {
            into.extend_from_slice(b"\r\n");
        }
        into.extend_from_slice(line);
    }
}

/// Section 3.4.2: unfolded, runs of white space become one space, none at the ends.
fn relaxed_value(value: &[u8], into: &mut Vec<u8>) {
    let start = into.len();
    let mut space = false;
    for line in lines(value) {
        for &octet in line {
            if is_space(octet) {
                space = true;
            } else {
                if space && into.len() > start {
                    into.push(b' ');
                }
                space = false;
                into.push(octet);
            }
        }
    }
}

fn is_space(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

fn without_line_end(text: &[u8]) -> &[u8] {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.strip_suffix(b"\r").unwrap_or(text)
}

/// The lines of a text, without their ends. The last has none, so a CR there is an octet.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|&octet| octet == b'\n').map(|line| match line.strip_suffix(b"\n") {
        Some(line) => line.strip_suffix(b"\r").unwrap_or(line),
        None => line,
    })
}

/// Feeds the canonical form of `body` to `sink`, and gives its length.
pub(super) fn body(form: Canonical, body: &[u8], sink: impl FnMut(&[u8])) -> u64 {
    let mut feed = Feed { body, sink, waiting: 0..0, length: 0 };
    // Empty lines are held back: at the end of the body they do not count.
    let mut empty = Empty::default();
    let mut start = 0;
    while let Some(rest) = body.get(start..).filter(|rest| !rest.is_empty()) {
        let unchanged = unchanged_lines(form, rest);
        if unchanged > 0 {
            hold_back_empty(&mut feed, &mut empty, start..start + unchanged);
            start += unchanged;
            continue;
        }
        let (line_end, next) = match memchr(b'\n', rest) {
            Some(lf) => (start + lf, start + lf + 1),
            None => (body.len(), body.len()),
        };
        let raw = body.get(start..line_end).unwrap_or_default();
        let has_cr = next > line_end && raw.last() == Some(&b'\r');
        let text_end = if has_cr { line_end - 1 } else { line_end };
        let kept_end = match form {
            Canonical::Simple => text_end,
            Canonical::Relaxed => trimmed_end(body, start, text_end),
        };
        if kept_end == start {
            empty.add(1, start..next, has_cr && kept_end == text_end);
        } else {
            empty.flush(&mut feed);
            match form {
                Canonical::Simple => feed.range(start..kept_end),
                Canonical::Relaxed => relaxed_line(&mut feed, start..kept_end),
            }
            if has_cr && kept_end == text_end { feed.range(text_end..next) } else { feed.literal(b"\r\n") }
        }
        start = next;
    }
    feed.hand_on();
    // Section 3.4.3: an empty body is one CRLF in the simple form, and nothing in the other.
    if feed.length == 0 && form == Canonical::Simple {
        feed.literal(b"\r\n");
    }
    feed.length
}

/// How many octets at the beginning of `text`, whole lines, lie there in canonical form but for
/// empty lines at their end.
///
/// Looked through in blocks and without a branch for each octet, which the compiler makes
/// vectors of: most bodies need no change, and this is all that is done to them before they are
/// hashed.
fn unchanged_lines(form: Canonical, text: &[u8]) -> usize {
    if text.first() == Some(&b'\n') {
        return 0;
    }
    let pairs = text.len().saturating_sub(1);
    let mut clean = 0;
    while clean < pairs {
        let end = pairs.min(clean + BLOCK);
        let (octets, followers) = (text.get(clean..end), text.get(clean + 1..=end));
        let (octets, followers) = (octets.unwrap_or_default(), followers.unwrap_or_default());
        if octets.iter().zip(followers).fold(false, |any, (&a, &b)| any | needs_change(form, a, b)) {
            break;
        }
        clean = end;
    }
    // The octet after the last pair was looked at as a follower.
    let looked_at = text.get(..=clean).unwrap_or_default();
    memrchr(b'\n', looked_at).map_or(0, |lf| lf + 1)
}

/// Octets that are looked at together.
const BLOCK: usize = 256;

/// May two neighbours mean that something is not in canonical form? It is no mistake to say so
/// too often. A line feed at the very beginning has no neighbour.
fn needs_change(form: Canonical, octet: u8, follower: u8) -> bool {
    let bare = (follower == b'\n') & (octet != b'\r');
    let space = (octet == b' ') & matches!(follower, b' ' | b'\t' | b'\r' | b'\n');
    match form {
        Canonical::Simple => bare,
        Canonical::Relaxed => bare | space | (octet == b'\t'),
    }
}

/// Hands on lines in canonical form, but holds back the empty ones at their end.
fn hold_back_empty(feed: &mut Feed<'_, impl FnMut(&[u8])>, empty: &mut Empty, lines: Range<usize>) {
    let mut text = feed.body.get(lines.clone()).unwrap_or_default();
    while let Some(before) =
        text.strip_suffix(b"\r\n").filter(|text| text.is_empty() || text.ends_with(b"\n"))
    {
        text = before;
    }
    let kept = lines.start + text.len();
    if !text.is_empty() {
        empty.flush(feed);
        feed.range(lines.start..kept);
    }
    if kept < lines.end {
        empty.add((lines.end - kept) / 2, kept..lines.end, true);
    }
}

fn trimmed_end(body: &[u8], start: usize, end: usize) -> usize {
    let line = body.get(start..end).unwrap_or_default();
    start + line.iter().rposition(|&octet| !is_space(octet)).map_or(0, |last| last + 1)
}

/// Section 3.4.4: runs of white space within the line become one space.
fn relaxed_line(feed: &mut Feed<'_, impl FnMut(&[u8])>, line: Range<usize>) {
    let text = feed.body.get(line.clone()).unwrap_or_default();
    // Where the text begins that was not handed on yet.
    let mut begin = 0;
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(next_space) {
        let first = at + found;
        let after = text.get(first..).unwrap_or_default();
        let run = after.iter().take_while(|&&octet| is_space(octet)).count();
        if run > 1 || text.get(first) == Some(&b'\t') {
            feed.range(line.start + begin..line.start + first);
            feed.literal(b" ");
            begin = first + run;
        }
        at = first + run;
    }
    feed.range(line.start + begin..line.end);
}

fn next_space(text: &[u8]) -> Option<usize> {
    memchr::memchr2(b' ', b'\t', text)
}

/// Empty lines that wait for a line that is not.
#[derive(Default)]
struct Empty {
    count: usize,
    place: Range<usize>,
    /// Each is CRLF as it lies.
    as_is: bool,
}

impl Empty {
    /// `count` lines.
    fn add(&mut self, count: usize, place: Range<usize>, as_is: bool) {
        if self.count == 0 {
            (self.place, self.as_is) = (place, as_is);
        } else {
            self.place.end = place.end;
            self.as_is &= as_is;
        }
        self.count += count;
    }

    fn flush(&mut self, feed: &mut Feed<'_, impl FnMut(&[u8])>) {
        if self.as_is {
            feed.range(self.place.clone());
        } else {
            for _ in 0..self.count {
                feed.literal(b"\r\n");
            }
        }
        *self = Self::default();
    }
}

/// Collects neighbouring ranges, so that the sink is called seldom.
struct Feed<'b, S> {
    body: &'b [u8],
    sink: S,
    waiting: Range<usize>,
    length: u64,
}

impl<S: FnMut(&[u8])> Feed<'_, S> {
    fn range(&mut self, range: Range<usize>) {
        if range.start == self.waiting.end {
            self.waiting.end = range.end;
        } else {
            self.hand_on();
            self.waiting = range;
        }
    }

    fn literal(&mut self, octets: &[u8]) {
        self.hand_on();
        self.length += octets.len() as u64;
        (self.sink)(octets);
    }

    fn hand_on(&mut self) {
        let octets = self.body.get(self.waiting.clone()).unwrap_or_default();
        if !octets.is_empty() {
            self.length += octets.len() as u64;
            (self.sink)(octets);
        }
        self.waiting = 0..0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical_body(form: Canonical, text: &[u8]) -> Vec<u8> {
        let mut canonical = Vec::new();
        let length = body(form, text, |octets| canonical.extend_from_slice(octets));
        assert_eq!(length, canonical.len() as u64);
        canonical
    }

    #[test]
    fn bodies() {
        for (text, simple, relaxed) in [
            // RFC 6376 section 3.4.5
            (" C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n"),
            ("", "\r\n", ""),
            ("\r\n\r\n", "\r\n", ""),
            (" \t\r\n", " \t\r\n", ""),
            ("a", "a\r\n", "a\r\n"),
            ("a\r\n \r\n\t\r\nb\r\n", "a\r\n \r\n\t\r\nb\r\n", "a\r\n\r\n\r\nb\r\n"),
            ("a\n\nb\n", "a\r\n\r\nb\r\n", "a\r\n\r\nb\r\n"),
            ("a\r\n\n\r\nb", "a\r\n\r\n\r\nb\r\n", "a\r\n\r\n\r\nb\r\n"),
            ("a\rb \r\n", "a\rb \r\n", "a\rb\r\n"),
            ("a\r", "a\r\r\n", "a\r\r\n"),
            ("hello\r\n \t\r\n", "hello\r\n \t\r\n", "hello\r\n"),
            ("\t\tx  y\tz \r\n", "\t\tx  y\tz \r\n", " x y z\r\n"),
        ] {
            let shown = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
            assert_eq!(shown(canonical_body(Canonical::Simple, text.as_bytes())), simple, "{text:?}");
            assert_eq!(shown(canonical_body(Canonical::Relaxed, text.as_bytes())), relaxed, "{text:?}");
        }
    }

    #[test]
    fn lines_that_need_no_change_are_handed_on_together() {
        let text = b"one two\r\nthree\r\n\r\nfour\r\n";
        let mut calls = 0;
        body(Canonical::Relaxed, text, |_| calls += 1);
        assert_eq!(calls, 1);
    }

    #[test]
    fn fields() {
        for (name, text, simple, relaxed) in [
            ("A", "A: X\r\n", "A: X\r\n", "a:X\r\n"),
            ("B", "B : Y\t\r\n\tZ  \r\n", "B : Y\t\r\n\tZ  \r\n", "b:Y Z\r\n"),
            ("Subject", "Subject: a\n b\n", "Subject: a\r\n b\r\n", "subject:a b\r\n"),
            ("X", "X:", "X:\r\n", "x:\r\n"),
            ("X", "X: a\r\r\n", "X: a\r\r\n", "x:a\r\r\n"),
        ] {
            let value = &text[text.find(':').unwrap() + 1..];
            let value =
                value.strip_suffix('\n').map_or(value, |value| value.strip_suffix('\r').unwrap_or(value));
            for (form, expected) in [(Canonical::Simple, simple), (Canonical::Relaxed, relaxed)] {
                let mut canonical = Vec::new();
                field(form, text.as_bytes(), name.as_bytes(), value.as_bytes(), &mut canonical);
                assert_eq!(String::from_utf8(canonical).unwrap(), expected, "{text:?}");
            }
        }
    }

    /// The standard's words one by one, without any care for speed.
    fn slow(form: Canonical, text: &str) -> String {
        let mut lines: Vec<String> = text.replace("\r\n", "\n").split('\n').map(str::to_owned).collect();
        if form == Canonical::Relaxed {
            for line in &mut lines {
                *line = line.replace('\t', " ").trim_end_matches(' ').to_owned();
                while line.contains("  ") {
                    *line = line.replace("  ", " ");
                }
            }
        }
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        match (lines.is_empty(), form) {
            (true, Canonical::Simple) => "\r\n".to_owned(),
            (true, Canonical::Relaxed) => String::new(),
            (false, _) => lines.join("\r\n") + "\r\n",
        }
    }

    #[test]
    fn long_bodies() {
        let lines =
            ["some words of a line\r\n", "\r\n", "tab\there\r\n", "two  spaces\r\n", "end \r\n", "bare\n"];
        for changed in lines {
            for before in [0, 1, 11, 12, 13, 40] {
                for empty in [0, 1, 200] {
                    let text =
                        lines[0].repeat(before) + changed + &lines[0].repeat(15) + &"\r\n".repeat(empty);
                    let text = text.clone() + &text;
                    for form in [Canonical::Simple, Canonical::Relaxed] {
                        let fast = String::from_utf8(canonical_body(form, text.as_bytes())).unwrap();
                        assert!(fast == slow(form, &text), "{form:?} of {text:?}");
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn as_the_slow_one(text in "([ab \t]{0,4}(\r\n|\n| \r\n)?){0,8}") {
            for form in [Canonical::Simple, Canonical::Relaxed] {
                let fast = String::from_utf8(canonical_body(form, text.as_bytes())).unwrap();
                prop_assert_eq!(fast, slow(form, &text));
            }
        }

        #[test]
        fn any_bytes(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            for form in [Canonical::Simple, Canonical::Relaxed] {
                let once = canonical_body(form, &text);
                prop_assert_eq!(&canonical_body(form, &once), &once);
            }
        }
    }
}
