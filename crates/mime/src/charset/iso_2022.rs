//! ISO-2022-JP as it is sent, not only as RFC 1468 has it.
//!
//! Besides the four designations of RFC 1468: half-width kana by `ESC ( I`, by SO and SI, or
//! by 8-bit octets (CP50220 to CP50222), JIS X 0212 (RFC 2237), GB 2312 and KS X 1001
//! (RFC 1554), JIS X 0213 plane 1 read as JIS X 0208, and ISO-2022-KR and -CN, which only
//! differ in what SO selects. NEC row 13 and the NEC-selected IBM rows 89 to 92 are part
//! of the JIS X 0208 table, as in Windows.
//!
//! `encoding_rs` has the tables; this module has the state. Runs of one set are translated
//! to the encoding that holds it (Shift_JIS, EUC-JP, GBK, EUC-KR) and decoded together.
//! A line end returns to ASCII (RFC 1468 demands that of the sender), so that a lost escape
//! sequence spoils one line and not the rest of the message.

use encoding_rs::Encoding;
use memchr::memchr_iter;

pub(super) const ESC: u8 = 0x1b;
pub(super) const SO: u8 = 0x0e;
pub(super) const SI: u8 = 0x0f;

/// A graphic set that an escape sequence designates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    Ascii,
    Kana,
    Jisx0208,
    Jisx0212,
    Gb2312,
    Ksx1001,
    /// Two octets a character, without a table here (JIS X 0213 plane 2, CNS 11643).
    Unknown,
}

/// Where an escape sequence puts its set.
#[derive(Clone, Copy)]
enum Designation {
    G0(Set),
    G1(Set),
}

use Designation::{G0, G1};

/// Escape sequences without their ESC. A longer one stands before its prefix.
const SEQUENCES: &[(&[u8], Designation)] = &[
    (b"(B", G0(Set::Ascii)),
    (b"(J", G0(Set::Ascii)),
    (b"(H", G0(Set::Ascii)), // an old mistake for (J
    (b"(I", G0(Set::Kana)),
    (b"$@", G0(Set::Jisx0208)),
    (b"$B", G0(Set::Jisx0208)),
    (b"$A", G0(Set::Gb2312)),
    (b"$(@", G0(Set::Jisx0208)),
    (b"$(B", G0(Set::Jisx0208)),
    (b"$(C", G0(Set::Ksx1001)),
    (b"$(D", G0(Set::Jisx0212)),
    (b"$(O", G0(Set::Jisx0208)),
    (b"$(Q", G0(Set::Jisx0208)),
    (b"$(P", G0(Set::Unknown)),
    (b"$)C", G1(Set::Ksx1001)),
    (b"$)A", G1(Set::Gb2312)),
    (b"$)G", G1(Set::Unknown)),
    (b"&@", G0(Set::Jisx0208)), // announces JIS X 0208-1990; ESC $ B follows
];

/// Escape sequences that stand in no text but one of this family.
pub(super) fn has_escapes(bytes: &[u8]) -> bool {
    memchr_iter(ESC, bytes).any(|at| {
        matches!(
            designation(bytes, at),
            Some((G0(Set::Jisx0208 | Set::Kana | Set::Jisx0212 | Set::Gb2312 | Set::Ksx1001), _))
        )
    })
}

/// The escape sequence at `at`, and its length.
fn designation(bytes: &[u8], at: usize) -> Option<(Designation, usize)> {
    let rest = bytes.get(at..)?.strip_prefix(&[ESC])?;
    let (sequence, designation) = SEQUENCES.iter().find(|(sequence, _)| rest.starts_with(sequence))?;
    Some((*designation, 1 + sequence.len()))
}

pub(super) fn decode(bytes: &[u8]) -> String {
    let mut decoder = Decoder {
        g0: Set::Ascii,
        g1: Set::Kana,
        shifted: false,
        run: Vec::new(),
        run_encoding: encoding_rs::SHIFT_JIS,
        text: String::with_capacity(bytes.len()),
    };
    let mut at = 0;
    while let Some(&octet) = bytes.get(at) {
        at += decoder.step(octet, bytes, at);
    }
    decoder.flush();
    decoder.text
}

struct Decoder {
    g0: Set,
    g1: Set,
    /// SO was seen, SI not yet: octets select from G1.
    shifted: bool,
    /// Characters of one set, waiting to be decoded together.
    run: Vec<u8>,
    run_encoding: &'static Encoding,
    text: String,
}

impl Decoder {
    /// Takes one character or control at `at`; returns how many octets that were.
    fn step(&mut self, octet: u8, bytes: &[u8], at: usize) -> usize {
        match octet {
            ESC => return self.escape(bytes, at),
            SO => self.shifted = true,
            SI => self.shifted = false,
            b'\n' => {
                self.g0 = Set::Ascii;
                self.shifted = false;
                self.plain('\n');
            }
            0..=0x20 | 0x7f => self.plain(char::from(octet)),
            0xa1..=0xdf => self.push(encoding_rs::SHIFT_JIS, &[octet]),
            0x80.. => self.plain(char::REPLACEMENT_CHARACTER),
            _ => {
                let set = if self.shifted { self.g1 } else { self.g0 };
                return self.graphic(set, octet, bytes.get(at + 1).copied());
            }
        }
        1
    }

    fn escape(&mut self, bytes: &[u8], at: usize) -> usize {
        let Some((designation, length)) = designation(bytes, at) else {
            self.plain(char::REPLACEMENT_CHARACTER);
            return 1;
        };
        match designation {
            G0(set) => self.g0 = set,
            G1(set) => self.g1 = set,
        }
        length
    }

    /// A graphic octet, 0x21 to 0x7E; with its second octet if the set has two.
    fn graphic(&mut self, set: Set, first: u8, second: Option<u8>) -> usize {
        match set {
            Set::Ascii => {
                self.plain(char::from(first));
                return 1;
            }
            Set::Kana => {
                match first {
                    0x21..=0x5f => self.push(encoding_rs::SHIFT_JIS, &[first | 0x80]),
                    _ => self.plain(char::REPLACEMENT_CHARACTER),
                }
                return 1;
            }
            _ => {}
        }
        // A character cut in two: its second octet is looked at anew.
        let Some(second) = second.filter(|second| (0x21..=0x7e).contains(second)) else {
            self.plain(char::REPLACEMENT_CHARACTER);
            return 1;
        };
        match set {
            Set::Jisx0208 => self.push(encoding_rs::SHIFT_JIS, &shift_jis(first, second)),
            Set::Jisx0212 => self.push(encoding_rs::EUC_JP, &[0x8f, first | 0x80, second | 0x80]),
            Set::Gb2312 => self.push(encoding_rs::GBK, &[first | 0x80, second | 0x80]),
            Set::Ksx1001 => self.push(encoding_rs::EUC_KR, &[first | 0x80, second | 0x80]),
            _ => self.plain(char::REPLACEMENT_CHARACTER),
        }
        2
    }

    fn push(&mut self, encoding: &'static Encoding, character: &[u8]) {
        if self.run_encoding != encoding {
            self.flush();
            self.run_encoding = encoding;
        }
        self.run.extend_from_slice(character);
    }

    fn plain(&mut self, character: char) {
        self.flush();
        self.text.push(character);
    }

    fn flush(&mut self) {
        if !self.run.is_empty() {
            self.text.push_str(&self.run_encoding.decode_without_bom_handling(&self.run).0);
            self.run.clear();
        }
    }
}

/// A JIS X 0208 code (two octets, 0x21 to 0x7E) as Shift_JIS has it: two rows share a lead.
fn shift_jis(row: u8, cell: u8) -> [u8; 2] {
    let lead = (row - 0x21) / 2 + if row < 0x5f { 0x81 } else { 0xc1 };
    let trail = match row % 2 {
        0 => cell + 0x7e,
        _ if cell < 0x60 => cell + 0x1f,
        _ => cell + 0x20,
    };
    [lead, trail]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn designations_and_shifts() {
        for (bytes, expected) in [
            (&b"plain"[..], "plain"),
            (b"\x1b$BF|K\\\x1b(B!", "日本!"),
            (b"\x1b$@F|K\\\x1b(J~\\", "日本~\\"),
            (b"\x1b&@\x1b$BF|\x1b(B", "日"),
            // NEC row 13, NEC-selected IBM row 89 to 92.
            (b"\x1b$B-!-j\x1b(B", "①㈱"),
            (b"\x1b$B|\"y!\x1b(B", "釞纊"),
            // Half-width kana in three ways.
            (b"\x1b(IJ]6\x1b(B", "ﾊﾝｶ"),
            (b"\x0eJ]6\x0f!", "ﾊﾝｶ!"),
            (b"\xca\xdd\xb6\x1b$BF|\x1b(B", "ﾊﾝｶ日"),
            // The relatives.
            (b"\x1b$(D0!\x1b(B", "丂"),
            (b"\x1b$AVP\x1b(B", "中"),
            (b"\x1b$(C0!\x1b(B", "가"),
            (b"\x1b$)C\x0e0!\x0f", "가"),
            (b"\x1b$(QF|\x1b(B", "日"),
            // Broken: a lost escape, a cut character, an unknown escape, a line end.
            (b"\x1b$BF|K\x1b(B!", "日�!"),
            (b"\x1b$BF|\nK\\", "日\nK\\"),
            (b"\x1b$BF|K", "日�"),
            (b"\x1bZx", "�Zx"),
            (b"\x1b", "�"),
            (b"\x1b(I~", "�"),
            (b"\xff", "�"),
        ] {
            assert_eq!(decode(bytes), expected, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn all_of_jis_x_0208_is_what_encoding_rs_reads() {
        for row in 0x21..=0x7e_u8 {
            for cell in 0x21..=0x7e_u8 {
                let bytes = [ESC, b'$', b'B', row, cell, ESC, b'(', b'B'];
                let (expected, errors) = encoding_rs::ISO_2022_JP.decode_without_bom_handling(&bytes);
                if !errors {
                    assert_eq!(decode(&bytes), expected, "{row:x} {cell:x}");
                }
            }
        }
    }

    #[test]
    fn only_real_escapes_count() {
        assert!(has_escapes(b"a \x1b$B b"));
        assert!(has_escapes(b"\x1b[0m \x1b(I"));
        for terminal in [&b"\x1b[1m\x1b(B\x1b[m"[..], b"\x1b", b"$B", b"\x1b\x1b"] {
            assert!(!has_escapes(terminal));
        }
    }
}
