//! Content transfer encodings, RFC 2045 section 6, decoded.
//!
//! Tolerant, since half a picture is better than none: base64 skips what is not in its
//! alphabet, goes on after padding (parts glued together) and keeps the whole octets of a
//! cut end; quoted-printable leaves an `=` that is no escape as it stands.
//! Invariants: one pass; never more octets out than in, and never more than the limit.

use crate::Span;

/// `Content-Transfer-Encoding`, RFC 2045 section 6.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TransferEncoding {
    /// `7bit`, also where the field is missing.
    #[default]
    SevenBit,
    /// `8bit`.
    EightBit,
    /// `binary`.
    Binary,
    /// `base64`.
    Base64,
    /// `quoted-printable`.
    QuotedPrintable,
    /// Another name, at this place of the content. Its body cannot be decoded
    /// (RFC 3516: `UNKNOWN-CTE`).
    Unknown(Span),
}

impl TransferEncoding {
    /// The encoding of this name; `None` if it is unknown. Comments, parameters and quotes
    /// that some programs add are passed over.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let value = value.trim_ascii();
        let end = value.iter().position(|octet| b" \t;(\r\n".contains(octet)).unwrap_or(value.len());
        let token = value.get(..end)?;
        let token = token.strip_prefix(b"\"").unwrap_or(token);
        let token = token.strip_suffix(b"\"").unwrap_or(token);
        Some(match token.to_ascii_lowercase().as_slice() {
            // `7-bit` and `8-bit` are old mistakes; an empty field says nothing.
            b"7bit" | b"7-bit" | b"" => Self::SevenBit,
            b"8bit" | b"8-bit" => Self::EightBit,
            b"binary" => Self::Binary,
            b"base64" => Self::Base64,
            b"quoted-printable" => Self::QuotedPrintable,
            _ => return None,
        })
    }

    /// The octets that `body` stands for, at most `limit` of them. A body of unknown
    /// encoding is given as it is.
    pub fn decode(self, body: &[u8], limit: usize) -> Vec<u8> {
        match self {
            Self::Base64 => base64(body, limit),
            Self::QuotedPrintable => quoted_printable(body, limit),
            Self::SevenBit | Self::EightBit | Self::Binary | Self::Unknown(_) => {
                body.get(..limit).unwrap_or(body).to_vec()
            }
        }
    }
}

/// Marks an octet outside of the base64 alphabet.
const NO_DIGIT: u8 = 0xff;

const DIGITS: [u8; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut digits = [NO_DIGIT; 256];
    let mut value = 0;
    while value < alphabet.len() {
        digits[alphabet[value] as usize] = value as u8;
        value += 1;
    }
    digits
};

/// Decodes base64 (RFC 4648 section 4), to at most `limit` octets.
pub fn base64(body: &[u8], limit: usize) -> Vec<u8> {
    let mut decoded = Vec::with_capacity((body.len() / 4 * 3 + 3).min(limit));
    let (mut bits, mut count) = (0_u32, 0_u32);
    for &octet in body {
        if decoded.len() >= limit {
            break;
        }
        match DIGITS[usize::from(octet)] {
            NO_DIGIT if octet == b'=' => count = 0,
            NO_DIGIT => {}
            digit => {
                bits = bits << 6 | u32::from(digit);
                count += 6;
                if count >= 8 {
                    count -= 8;
                    decoded.push((bits >> count & 0xff) as u8);
                }
            }
        }
    }
    decoded
}

/// Decodes quoted-printable (RFC 2045 section 6.7), to at most `limit` octets.
pub fn quoted_printable(body: &[u8], limit: usize) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(body.len().min(limit));
    for line in body.split_inclusive(|&octet| octet == b'\n') {
        if decoded.len() >= limit {
            break;
        }
        let text = line.strip_suffix(b"\n").map(|text| text.strip_suffix(b"\r").unwrap_or(text));
        let line_end = line.get(text.unwrap_or(line).len()..).unwrap_or_default();
        // White space at the end of a line was added on the way (rule 3).
        let text = text.map_or(line, trim_spaces_end);
        match text.strip_suffix(b"=") {
            Some(soft) => unescape(soft, &mut decoded),
            None => {
                unescape(text, &mut decoded);
                decoded.extend_from_slice(line_end);
            }
        }
    }
    decoded.truncate(limit);
    decoded
}

fn trim_spaces_end(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|octet| !matches!(octet, b' ' | b'\t')).map_or(0, |last| last + 1);
    text.get(..end).unwrap_or_default()
}

/// Replaces `=XX`, in either case of letters; what is no escape stays.
pub(crate) fn unescape(text: &[u8], decoded: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'=', rest) {
        decoded.extend_from_slice(rest.get(..at).unwrap_or_default());
        rest = rest.get(at..).unwrap_or_default();
        let taken = match hex_octet(rest.get(1..3)) {
            Some(octet) => {
                decoded.push(octet);
                3
            }
            None => {
                decoded.push(b'=');
                1
            }
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    decoded.extend_from_slice(rest);
}

/// Two hexadecimal digits.
pub(crate) fn hex_octet(digits: Option<&[u8]>) -> Option<u8> {
    let [high, low] = digits? else { return None };
    let value = |digit: u8| char::from(digit).to_digit(16);
    u8::try_from(value(*high)? * 16 + value(*low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    const NO_LIMIT: usize = usize::MAX;

    #[test]
    fn names() {
        for (value, expected) in [
            ("base64", Some(TransferEncoding::Base64)),
            (" BASE64 (comment)", Some(TransferEncoding::Base64)),
            ("\"quoted-printable\"", Some(TransferEncoding::QuotedPrintable)),
            ("8-bit", Some(TransferEncoding::EightBit)),
            ("7bit; charset=x", Some(TransferEncoding::SevenBit)),
            ("", Some(TransferEncoding::SevenBit)),
            ("x-uuencode", None),
        ] {
            assert_eq!(TransferEncoding::parse(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn base64_well_and_badly_formed() {
        for (body, expected) in [
            ("", ""),
            ("aGVsbG8=", "hello"),
            ("aGVs\r\nbG8=\r\n", "hello"),
            ("aGVsbG8", "hello"),
            ("aGVsbA", "hell"),
            ("aGVsbG", "hell"),
            ("a", ""),
            ("aGVs!!bG8=", "hello"),
            ("aGVsbG8=IHdvcmxk", "hello world"),
            ("====", ""),
        ] {
            assert_eq!(base64(body.as_bytes(), NO_LIMIT), expected.as_bytes(), "{body}");
        }
        assert_eq!(base64(b"aGVsbG8=", 3), b"hel");
    }

    #[test]
    fn quoted_printable_well_and_badly_formed() {
        for (body, expected) in [
            ("", ""),
            ("a=3Db", "a=b"),
            ("a=3db=\r\nc", "a=bc"),
            ("a=\nb", "ab"),
            ("a= \t\r\nb", "ab"),
            ("a  \r\nb \n", "a\r\nb\n"),
            ("a =20\r\n", "a  \r\n"),
            ("a=", "a"),
            ("a=4", "a=4"),
            ("a=zz=41", "a=zzA"),
            ("=", ""),
            ("end  ", "end  "),
        ] {
            let decoded = quoted_printable(body.as_bytes(), NO_LIMIT);
            assert_eq!(String::from_utf8_lossy(&decoded), expected, "{body:?}");
        }
        assert_eq!(quoted_printable(b"=41=42=43", 2), b"AB");
    }

    proptest! {
        #[test]
        fn base64_agrees_with_another_encoder(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            prop_assert_eq!(base64(STANDARD.encode(&bytes).as_bytes(), NO_LIMIT), bytes);
        }

        #[test]
        fn quoted_printable_reads_full_escapes(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let encoded: String = bytes.iter().map(|octet| format!("={octet:02X}")).collect();
            prop_assert_eq!(quoted_printable(encoded.as_bytes(), NO_LIMIT), bytes);
        }

        #[test]
        fn never_more_out_than_in_or_than_the_limit(body in "[=A-C4 \r\n]{0,40}", limit in 0_usize..50) {
            for encoding in [TransferEncoding::Base64, TransferEncoding::QuotedPrintable, TransferEncoding::Binary] {
                let all = encoding.decode(body.as_bytes(), NO_LIMIT);
                prop_assert!(all.len() <= body.len());
                let some = encoding.decode(body.as_bytes(), limit);
                prop_assert_eq!(&some[..], &all[..limit.min(all.len())]);
            }
        }
    }
}
