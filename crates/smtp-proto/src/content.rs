//! Content: where DATA ends, dots undone, line ends judged, size and loops counted.
//!
//! Standards: RFC 5321 sections 4.5.2 (transparency), 2.3.8 (line ends) and 6.3 (loops);
//! RFC 3030 (BDAT has no dots and no end mark).
//! Invariants:
//! - only CRLF `.` CRLF ends the content of DATA, and CRLF means CR LF. LF `.` LF and its
//!   relatives are content: a server that ends there, behind one that does not, takes the
//!   rest of a message for commands ("SMTP smuggling", 2023);
//! - any split of the same bytes gives the same result, except for how much was stored of
//!   content that is refused;
//! - what is refused is read to its end and not stored, so that the session stays in step
//!   in bounded memory.
//!
//! Two layers: [`DataDecoder`] knows dots and the end, [`Collector`] everything else, so
//! that BDAT uses the second alone. Both append to the caller's buffer.

use memchr::{memchr3, memmem};

/// What becomes of a CR or LF that is not part of CRLF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineEnds {
    /// Each becomes CRLF.
    Normalise,
    /// The content is refused.
    Refuse,
    /// They stay: BINARYMIME, RFC 3030 section 3. NUL stays, too.
    Keep,
}

/// What content may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentRules {
    /// Bare CR and LF.
    pub line_ends: LineEnds,
    /// The most octets.
    pub size_bytes: u64,
    /// The most octets of a line without its CRLF; `None` is no limit.
    pub line_octets: Option<u64>,
}

/// What was seen while content came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ContentFacts {
    /// Octets, dots undone and line ends normalised: the size as stored.
    pub size_bytes: u64,
    /// `Received:` fields in the header.
    pub received_fields: u32,
    /// Octets of the longest line without its CRLF.
    pub longest_line: u64,
    /// There are octets above 127.
    pub has_eight_bit: bool,
    /// A CR or LF was not part of CRLF.
    pub has_bare_line_ends: bool,
    /// There is a NUL.
    pub has_nul: bool,
}

/// Why content is refused. If there are several reasons, the first of this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// More octets than allowed.
    TooLarge,
    /// NUL.
    Nul,
    /// Bare CR or LF.
    BareLineEnd,
    /// A line is too long.
    LineTooLong,
}

/// Judges, counts and stores content, line by line.
#[derive(Debug, Clone)]
pub struct Collector {
    rules: ContentRules,
    facts: ContentFacts,
    /// Octets of the line under way.
    line_octets: u64,
    /// The last octet was a CR. What it means, the next one says.
    has_open_cr: bool,
    header: Header,
}

/// Where in the header a [`Collector`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Header {
    /// So many octets of the line are those of `received:`.
    Matching(usize),
    /// The line is another field, or was counted.
    Passed,
    /// The empty line was seen.
    Over,
}

const RECEIVED: &[u8] = b"received:";

impl Collector {
    /// A collector before the first octet.
    pub fn new(rules: ContentRules) -> Self {
        Self {
            rules,
            facts: ContentFacts::default(),
            line_octets: 0,
            has_open_cr: false,
            header: Header::Matching(0),
        }
    }

    /// Takes the next octets of content and appends what is to be stored to `out`.
    pub fn append(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.facts.has_eight_bit |= !bytes.is_ascii();
        let mut rest = bytes;
        while let Some((run, after)) = memchr3(b'\r', b'\n', 0, rest).and_then(|at| rest.split_at_checked(at))
        {
            self.text(run, out);
            let Some((&special, after)) = after.split_first() else { break };
            self.special(special, out);
            rest = after;
        }
        self.text(rest, out);
    }

    /// The content is complete: a CR at its very end is a bare one.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.has_open_cr) {
            self.bare(b'\r', out);
        }
    }

    /// What was seen so far.
    pub fn facts(&self) -> ContentFacts {
        self.facts
    }

    /// Why the content is refused, if it is.
    pub fn defect(&self) -> Option<Defect> {
        let keeps = self.rules.line_ends == LineEnds::Keep;
        if self.facts.size_bytes > self.rules.size_bytes {
            Some(Defect::TooLarge)
        } else if self.facts.has_nul && !keeps {
            Some(Defect::Nul)
        } else if self.facts.has_bare_line_ends && self.rules.line_ends == LineEnds::Refuse {
            Some(Defect::BareLineEnd)
        } else if self.rules.line_octets.is_some_and(|most| self.facts.longest_line > most) {
            Some(Defect::LineTooLong)
        } else {
            None
        }
    }

    /// `run` has no CR, LF or NUL.
    fn text(&mut self, run: &[u8], out: &mut Vec<u8>) {
        if run.is_empty() {
            return;
        }
        self.finish(out);
        self.in_line(run, out);
    }

    fn special(&mut self, byte: u8, out: &mut Vec<u8>) {
        if byte == b'\n' && std::mem::take(&mut self.has_open_cr) {
            return self.line_end(out);
        }
        self.finish(out);
        match byte {
            b'\r' => self.has_open_cr = true,
            b'\n' => self.bare(b'\n', out),
            _ => {
                self.facts.has_nul = true;
                self.in_line(&[byte], out);
            }
        }
    }

    fn bare(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.facts.has_bare_line_ends = true;
        match self.rules.line_ends {
            LineEnds::Normalise => self.line_end(out),
            LineEnds::Refuse | LineEnds::Keep => self.in_line(&[byte], out),
        }
    }

    fn in_line(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        if let Header::Matching(matched) = self.header {
            self.header = self.match_field(matched, octets);
        }
        self.line_octets = self.line_octets.saturating_add(octets.len() as u64);
        self.facts.longest_line = self.facts.longest_line.max(self.line_octets);
        self.store(octets, out);
    }

    fn match_field(&mut self, matched: usize, octets: &[u8]) -> Header {
        let missing = RECEIVED.get(matched..).unwrap_or_default();
        let length = missing.len().min(octets.len());
        let same = match (missing.get(..length), octets.get(..length)) {
            (Some(expected), Some(found)) => expected.eq_ignore_ascii_case(found),
            _ => false,
        };
        if same && length == missing.len() {
            self.facts.received_fields = self.facts.received_fields.saturating_add(1);
            Header::Passed
        } else if same {
            Header::Matching(matched + length)
        } else {
            Header::Passed
        }
    }

    fn line_end(&mut self, out: &mut Vec<u8>) {
        let is_empty_line = self.line_octets == 0;
        if self.header != Header::Over {
            self.header = if is_empty_line { Header::Over } else { Header::Matching(0) };
        }
        self.line_octets = 0;
        self.store(b"\r\n", out);
    }

    fn store(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        self.facts.size_bytes = self.facts.size_bytes.saturating_add(octets.len() as u64);
        // None of the defects can go away, so nothing is stored after the first.
        if self.defect().is_none() {
            out.extend_from_slice(octets);
        }
    }
}

/// Content after DATA: undoes dot stuffing and finds the end.
#[derive(Debug, Clone)]
pub struct DataDecoder {
    collector: Collector,
    at: At,
}

/// What the last octets were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// CRLF, or nothing yet.
    LineStart,
    /// Anything else.
    Text,
    /// CR, passed on.
    Cr,
    /// CRLF `.`, the dot held back.
    Dot,
    /// CRLF `.` CR, dot and CR held back.
    DotCr,
    /// CRLF `.` CRLF.
    End,
}

impl DataDecoder {
    /// A decoder before the first octet.
    pub fn new(rules: ContentRules) -> Self {
        Self { collector: Collector::new(rules), at: At::LineStart }
    }

    /// Takes the next bytes, appends what is to be stored to `out`, and returns how many
    /// bytes were used: all, or those up to the end mark.
    pub fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> usize {
        let mut rest = input;
        while let Some((&byte, after)) = rest.split_first() {
            (self.at, rest) = match (self.at, byte) {
                (At::End, _) => break,
                (At::LineStart, b'.') => (At::Dot, after),
                (At::Dot, b'\r') => (At::DotCr, after),
                (At::DotCr, b'\n') => (At::End, after),
                (At::DotCr, _) => {
                    // More follows on the line, so the dot was stuffing and the CR is text.
                    self.collector.append(b"\r", out);
                    (At::Cr, rest)
                }
                (At::Cr, b'\n') => {
                    self.collector.append(b"\n", out);
                    (At::LineStart, after)
                }
                (At::LineStart | At::Text | At::Cr | At::Dot, _) => self.lines(rest, out),
            };
        }
        input.len() - rest.len()
    }

    /// Passes on everything up to the next dot at the start of a line. `bytes` does not
    /// begin with such a dot, nor with the LF of a CRLF.
    fn lines<'a>(&mut self, bytes: &'a [u8], out: &mut Vec<u8>) -> (At, &'a [u8]) {
        let dot = memmem::find(bytes, b"\r\n.").and_then(|at| bytes.split_at_checked(at + 2));
        let (text, rest) = dot.unwrap_or((bytes, &[]));
        self.collector.append(text, out);
        let at = match text {
            [.., b'\r', b'\n'] => At::LineStart,
            [.., b'\r'] => At::Cr,
            _ => At::Text,
        };
        (at, rest)
    }

    /// Was the end mark seen?
    pub fn is_complete(&self) -> bool {
        self.at == At::End
    }

    /// What the content is.
    pub fn collector(&self) -> &Collector {
        &self.collector
    }
}

/// Writes content as DATA needs it: dots stuffed, and the end mark. Content must have
/// CRLF line ends only.
pub fn encode_data(content: &[u8], out: &mut Vec<u8>) {
    let mut rest = content;
    if rest.starts_with(b".") {
        out.push(b'.');
    }
    while let Some((line, after)) = memmem::find(rest, b"\r\n.").and_then(|at| rest.split_at_checked(at + 2))
    {
        out.extend_from_slice(line);
        out.push(b'.');
        rest = after;
        // The dot itself is copied with the next part.
    }
    out.extend_from_slice(rest);
    if !content.is_empty() && !content.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RULES: ContentRules =
        ContentRules { line_ends: LineEnds::Normalise, size_bytes: 1000, line_octets: None };

    fn decode(rules: ContentRules, parts: &[&[u8]]) -> (DataDecoder, Vec<u8>, usize) {
        let (mut decoder, mut out, mut used) = (DataDecoder::new(rules), Vec::new(), 0);
        for part in parts {
            used += decoder.decode(part, &mut out);
        }
        (decoder, out, used)
    }

    fn text(wire: &str) -> String {
        let (decoder, out, used) = decode(RULES, &[wire.as_bytes()]);
        assert!(decoder.is_complete() && used == wire.len(), "{wire:?} does not end at its end");
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn dots_are_undone() {
        for (wire, content) in [
            (".\r\n", ""),
            ("\r\n.\r\n", "\r\n"),
            ("a\r\n.\r\n", "a\r\n"),
            ("..\r\n.\r\n", ".\r\n"),
            ("..a\r\n...\r\na.\r\n.\r\n", ".a\r\n..\r\na.\r\n"),
            (".a\r\n.\r\n", "a\r\n"),
            ("a\r\n..\r\n..\r\n.\r\n", "a\r\n.\r\n.\r\n"),
        ] {
            assert_eq!(text(wire), content, "{wire:?}");
        }
    }

    /// What other servers were seen to take for the end of the content.
    const SMUGGLING: [&[u8]; 22] = [
        b"\n.\n",
        b"\n.\r\n",
        b"\r.\r",
        b"\r.\r\n",
        b"\r\n.\n",
        b"\r\n.\r",
        b"\n.\r",
        b"\r.\n",
        b"\r\n\n.\r\n",
        b"\r\n\r.\r\n",
        b"\r\r\n.\n",
        b"\r\n.\r\r\n",
        b"\r\n.\n\r\n",
        b"\r\n.\0\r\n",
        b"\r\n\0.\r\n",
        b"\r\n.\r\0\n",
        b"\r\0\n.\r\n",
        b"\r\n. \r\n",
        b"\r\n ..\r\n",
        b"\r\n..\r\n",
        b"\r\n\\.\r\n",
        b"\n\r.\n\r",
    ];

    #[test]
    fn nothing_but_crlf_dot_crlf_ends_content() {
        for line_ends in [LineEnds::Normalise, LineEnds::Refuse] {
            for variant in SMUGGLING {
                let wire = [b"text", variant, b"MAIL FROM:<evil@example.org>\r\n"].concat();
                let rules = ContentRules { line_ends, ..RULES };
                let (decoder, _, used) = decode(rules, &[&wire]);
                assert!(!decoder.is_complete(), "{:?}", variant.escape_ascii().to_string());
                assert_eq!(used, wire.len());
                let (decoder, _, _) = decode(rules, &[&wire, b".\r\nNOOP\r\n"]);
                assert!(decoder.is_complete(), "{:?}", variant.escape_ascii().to_string());
            }
        }
    }

    #[test]
    fn bare_line_ends() {
        for (wire, normalised) in [
            ("a\nb\r\n.\r\n", "a\r\nb\r\n"),
            ("a\rb\r\n.\r\n", "a\r\nb\r\n"),
            ("a\n\nb\r\n.\r\n", "a\r\n\r\nb\r\n"),
            ("a\r\r\n.\r\n", "a\r\n\r\n"),
            ("a\n\r\n.\r\n", "a\r\n\r\n"),
            ("a\n.\nb\r\n.\r\n", "a\r\n.\r\nb\r\n"),
            ("a\n.\r\nb\r\n.\r\n", "a\r\n.\r\nb\r\n"),
            ("a\n..b\r\n.\r\n", "a\r\n..b\r\n"),
            (".\rb\r\n.\r\n", "\r\nb\r\n"),
            ("a\r\n.\r\r\n.\r\n", "a\r\n\r\n\r\n"),
        ] {
            assert_eq!(text(wire), normalised, "{wire:?}");
            let refuse = ContentRules { line_ends: LineEnds::Refuse, ..RULES };
            let (decoder, _, _) = decode(refuse, &[wire.as_bytes()]);
            assert!(decoder.is_complete());
            assert_eq!(decoder.collector().defect(), Some(Defect::BareLineEnd), "{wire:?}");
        }
    }

    fn facts(wire: &str) -> ContentFacts {
        decode(RULES, &[wire.as_bytes()]).0.collector().facts()
    }

    #[test]
    fn received_fields_of_the_top_header_are_counted() {
        for (wire, count) in [
            ("\r\n.\r\n", 0),
            ("Received: a\r\n.\r\n", 1),
            ("RECEIVED:\r\nreceived: b\r\n.\r\n", 2),
            ("X-Received: a\r\nReceived : a\r\nReceive: a\r\n.\r\n", 0),
            ("Received: a\r\n Received: b\r\n.\r\n", 1),
            ("Received: a\r\n\r\nReceived: b\r\n.\r\n", 1),
            ("Received: a\nReceived: b\n\nReceived: c\r\n.\r\n", 2),
            ("\r\nReceived: b\r\n.\r\n", 0),
        ] {
            assert_eq!(facts(wire).received_fields, count, "{wire:?}");
        }
    }

    #[test]
    fn facts_are_counted() {
        let seen = facts("ab\r\n..abcd\r\né\n\r\n.\r\n");
        let expected = ContentFacts {
            size_bytes: 4 + 7 + 4 + 2,
            longest_line: 5,
            has_eight_bit: true,
            has_bare_line_ends: true,
            ..ContentFacts::default()
        };
        assert_eq!(seen, expected);
    }

    #[test]
    fn limits() {
        let rules = ContentRules { size_bytes: 6, line_octets: Some(3), ..RULES };
        for (wire, defect) in [
            ("abc\r\n.\r\n", None),
            ("a\r\nb\r\n.\r\n", None),
            ("a\r\nb\r\nc\r\n.\r\n", Some(Defect::TooLarge)),
            ("abcd\r\n.\r\n", Some(Defect::LineTooLong)),
            ("abcdefghi\r\n.\r\n", Some(Defect::TooLarge)),
            ("a\0b\r\n.\r\n", Some(Defect::Nul)),
            ("\0\0\0\0\0\r\n.\r\n", Some(Defect::TooLarge)),
        ] {
            let (decoder, out, used) = decode(rules, &[wire.as_bytes()]);
            assert_eq!(decoder.collector().defect(), defect, "{wire:?}");
            assert!(decoder.is_complete() && used == wire.len() && out.len() <= 6, "{wire:?}");
        }
    }

    #[test]
    fn binary_content_is_kept_as_it_is() {
        let mut collector = Collector::new(ContentRules { line_ends: LineEnds::Keep, ..RULES });
        let mut out = Vec::new();
        collector.append(b"a\0\nb\r", &mut out);
        collector.append(b"\rc\r\n.\r\n\r", &mut out);
        collector.finish(&mut out);
        assert_eq!(out, b"a\0\nb\r\rc\r\n.\r\n\r");
        assert_eq!(collector.defect(), None);
        assert_eq!(collector.facts().size_bytes, 13);
    }

    /// Octets that matter, often.
    fn wire() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            4 => Just(&b"\r\n"[..]),
            3 => Just(&b"."[..]),
            1 => Just(&b"\r"[..]),
            1 => Just(&b"\n"[..]),
            3 => Just(&b"a"[..]),
            1 => Just(&b"\0"[..]),
            1 => Just(&b"Received:"[..]),
            1 => Just(&b"\xff"[..]),
        ];
        proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn splits_change_nothing(
            wire in wire(),
            size in 1usize..7,
            refuse in any::<bool>(),
            size_bytes in 0u64..60,
            line_octets in proptest::option::of(0u64..12),
        ) {
            let line_ends = if refuse { LineEnds::Refuse } else { LineEnds::Normalise };
            let rules = ContentRules { line_ends, size_bytes, line_octets };
            let (whole, out, used) = decode(rules, &[&wire]);
            let parts: Vec<&[u8]> = wire.chunks(size).collect();
            let (split, split_out, split_used) = decode(rules, &parts);
            prop_assert_eq!(split_used, used);
            prop_assert_eq!(split.is_complete(), whole.is_complete());
            prop_assert_eq!(split.collector().facts(), whole.collector().facts());
            prop_assert_eq!(split.collector().defect(), whole.collector().defect());
            if whole.collector().defect().is_none() {
                prop_assert_eq!(split_out, out);
            }
        }

        #[test]
        fn decode_undoes_encode(lines in proptest::collection::vec("[.a]{0,4}", 0..8)) {
            let content: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            let mut wire = Vec::new();
            encode_data(content.as_bytes(), &mut wire);
            prop_assert_eq!(text(std::str::from_utf8(&wire).unwrap()), content);
        }
    }
}
