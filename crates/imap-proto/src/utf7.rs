//! Modified UTF-7, the 7-bit spelling of mailbox names: `&U,BTFw-` for 台北.
//!
//! Standards: RFC 3501 section 5.1.3, RFC 2152.
//! Invariant: one name has one spelling. [`decode`] refuses what [`encode`] would not have
//! written (printable ASCII in base 64, two shifts side by side, bits left over), so a
//! mailbox cannot be reached under two names.

use base64::Engine;
use base64::alphabet::Alphabet;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};

/// Base 64 with `,` for `/` and without padding; strict about leftover bits.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &match Alphabet::new("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,") {
        Ok(alphabet) => alphabet,
        Err(_) => panic!("64 different characters"),
    },
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::RequireNone),
);

/// Why bytes are not modified UTF-7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Utf7Error {
    /// An octet outside of printable ASCII.
    #[error("mailbox name has an octet that is not printable ASCII")]
    NotPrintable,
    /// `&` without its `-`.
    #[error("mailbox name has & without - (a plain & is written &-)")]
    Unterminated,
    /// What stands between `&` and `-` is not UTF-16 in modified base 64.
    #[error("mailbox name has a wrong modified UTF-7 sequence")]
    WrongSequence,
    /// Right, but not the one spelling that is permitted.
    #[error("mailbox name encodes what must be written plainly")]
    NotCanonical,
}

/// Is this written as itself?
fn is_plain(c: char) -> bool {
    (' '..='~').contains(&c)
}

/// The one spelling of `name`.
pub fn encode(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| is_plain(c) != is_plain(first)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        if is_plain(first) {
            encoded.push_str(&run.replace('&', "&-"));
        } else {
            let utf16: Vec<u8> = run.encode_utf16().flat_map(u16::to_be_bytes).collect();
            encoded.push('&');
            BASE64.encode_string(utf16, &mut encoded);
            encoded.push('-');
        }
        rest = after;
    }
    encoded
}

/// The name spelled by `encoded`.
pub fn decode(encoded: &[u8]) -> Result<String, Utf7Error> {
    if !encoded.iter().all(|byte| is_plain(char::from(*byte))) {
        return Err(Utf7Error::NotPrintable);
    }
    let text = std::str::from_utf8(encoded).map_err(|_| Utf7Error::NotPrintable)?;
    let mut name = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, shifted)) = rest.split_once('&') {
        name.push_str(plain);
        let (sequence, after) = shifted.split_once('-').ok_or(Utf7Error::Unterminated)?;
        if sequence.is_empty() {
            name.push('&');
        } else {
            name.push_str(&sequence_text(sequence)?);
        }
        rest = after;
    }
    name.push_str(rest);
    if encode(&name) == text { Ok(name) } else { Err(Utf7Error::NotCanonical) }
}

/// What stands between `&` and `-`.
fn sequence_text(sequence: &str) -> Result<String, Utf7Error> {
    let bytes = BASE64.decode(sequence).map_err(|_| Utf7Error::WrongSequence)?;
    let (pairs, leftover) = bytes.as_chunks::<2>();
    if !leftover.is_empty() {
        return Err(Utf7Error::WrongSequence);
    }
    char::decode_utf16(pairs.iter().map(|pair| u16::from_be_bytes(*pair)))
        .collect::<Result<String, _>>()
        .map_err(|_| Utf7Error::WrongSequence)
}

/// As [`decode`], but a name with 8-bit octets that are UTF-8 is taken as it stands.
///
/// Webmail clients and scripts that never saw a name of their own outside of ASCII send
/// it raw without enabling UTF8=ACCEPT. In such a name `&` stands for itself.
pub fn decode_or_raw_utf8(encoded: &[u8]) -> Result<String, Utf7Error> {
    if encoded.is_ascii() {
        return decode(encoded);
    }
    std::str::from_utf8(encoded).map(str::to_owned).map_err(|_| Utf7Error::NotPrintable)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_spellings() {
        for (name, encoded) in [
            ("", ""),
            ("INBOX", "INBOX"),
            ("R&D", "R&-D"),
            ("&&", "&-&-"),
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"), // RFC 3501 section 5.1.3
            ("Entwürfe", "Entw&APw-rfe"),
            ("Éléments envoyés", "&AMk-l&AOk-ments envoy&AOk-s"),
            ("迷惑メール", "&j,dg0TDhMPww6w-"),
            ("送信済みアイテム", "&kAFP4W4IMH8wojCkMMYw4A-"),
            ("😀", "&2D3eAA-"),
            ("a\tb", "a&AAk-b"),
        ] {
            assert_eq!(encode(name), encoded);
            assert_eq!(decode(encoded.as_bytes()).as_deref(), Ok(name));
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        use Utf7Error::*;
        for (encoded, error) in [
            (&b"R&D"[..], Unterminated),
            (b"&", Unterminated),
            (b"&U,BTFw", Unterminated),
            (b"&AGE-", NotCanonical),              // `a`
            (b"&ACY-", NotCanonical),              // `&`
            (b"&U,A-&UxcA-", WrongSequence),       // leftover bits
            (b"&U,BTFw-&ZeVnLIqe-", NotCanonical), // RFC 3501 section 5.1.3: superfluous shift
            (b"&Jjo!-", WrongSequence),
            (b"&Jjo=-", WrongSequence),
            (b"&Jjp-", WrongSequence),
            (b"&2D0-", WrongSequence), // half a surrogate pair
            (b"&/-", WrongSequence),
            ("é".as_bytes(), NotPrintable),
            (b"a\0b", NotPrintable),
            (b"\xff", NotPrintable),
        ] {
            assert_eq!(decode(encoded), Err(error), "{}", encoded.escape_ascii());
        }
    }

    #[test]
    fn raw_utf8_is_taken_where_it_is_named() {
        assert_eq!(decode_or_raw_utf8("Entwürfe & R&-D".as_bytes()).as_deref(), Ok("Entwürfe & R&-D"));
        assert_eq!(decode_or_raw_utf8(b"Entw&APw-rfe").as_deref(), Ok("Entwürfe"));
        assert_eq!(decode_or_raw_utf8(b"Entw\xfcrfe"), Err(Utf7Error::NotPrintable));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(name in any::<String>()) {
            let encoded = encode(&name);
            prop_assert!(encoded.bytes().all(|byte| is_plain(char::from(byte))));
            prop_assert_eq!(decode(encoded.as_bytes()), Ok(name));
        }

        #[test]
        fn what_is_decoded_is_encoded_the_same(encoded in "[ -~&]{0,12}(&[A-Za-z0-9+,]{0,12}-)?[a&-]{0,3}") {
            if let Ok(name) = decode(encoded.as_bytes()) {
                prop_assert_eq!(encode(&name), encoded);
            }
        }
    }
}
