//! Encoded words, RFC 2047 with the language tag of RFC 2231 section 5, as they are sent.
//!
//! What Japanese mail brings, and what is done about it:
//! - a text is cut anywhere (inside a character, inside an escape sequence, inside four
//!   base64 digits) and each piece made a word: neighbours of one charset are joined before
//!   they are decoded;
//! - base64 lacks its padding, or spaces stand within a word: both are passed over;
//! - words touch other text, or stand within quotes: they are decoded all the same;
//! - no words at all but raw JIS, Shift_JIS, EUC-JP or UTF-8: the charset is detected.
//!
//! Invariants: the time is linear in the length of the value, since no look-ahead passes the
//! next `=?`; nothing fails, what is no word is text.

use std::ops::Range;

use memchr::memmem;

use crate::charset;
use crate::header::unfold;
use crate::transfer;

/// Longest name of a charset with language tag; the longest registered has 45 letters.
const MAX_CHARSET: usize = 64;

/// `encoded-word = "=?" charset "?" encoding "?" encoded-text "?="`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Word<'a> {
    charset: &'a [u8],
    encoding: Encoding,
    text: &'a [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    B,
    Q,
}

/// The text of an unstructured value, a display name or a parameter: on one line, without
/// white space around it, controls replaced by spaces.
pub fn decode(value: &[u8]) -> String {
    let value = unfold(value.trim_ascii());
    let mut text = String::with_capacity(value.len());
    let mut waiting: Vec<Word<'_>> = Vec::new();
    let mut done = 0;
    let mut search = 0;
    while let Some((range, word)) = next_word(&value, search) {
        search = range.end;
        let between = value.get(done..range.start).unwrap_or_default();
        // White space between two words is not part of the text (section 6.2).
        let is_neighbour = !waiting.is_empty() && between.trim_ascii().is_empty();
        let is_joined = waiting.first().is_some_and(|first| first.charset.eq_ignore_ascii_case(word.charset));
        if !(is_neighbour && is_joined) {
            push_words(&waiting, &mut text);
            waiting.clear();
        }
        if !is_neighbour {
            text.push_str(&charset::decode(between, None));
        }
        waiting.push(word);
        done = range.end;
    }
    push_words(&waiting, &mut text);
    text.push_str(&charset::decode(value.get(done..).unwrap_or_default(), None));
    cleaned(text)
}

/// The encoded word that begins at the start of `bytes`, and how long it is.
pub(crate) fn length_at_start(bytes: &[u8]) -> Option<usize> {
    bytes.starts_with(b"=?").then(|| parse(bytes, 0).map(|(end, _)| end)).flatten()
}

fn next_word(value: &[u8], from: usize) -> Option<(Range<usize>, Word<'_>)> {
    let rest = value.get(from..)?;
    memmem::find_iter(rest, b"=?").find_map(|at| {
        let start = from + at;
        parse(value, start).map(|(end, word)| (start..end, word))
    })
}

/// Parses the word whose `=?` stands at `start`; gives its end.
fn parse(value: &[u8], start: usize) -> Option<(usize, Word<'_>)> {
    let charset_start = start + 2;
    let rest = value.get(charset_start..)?;
    let charset_len = rest.iter().take(MAX_CHARSET + 1).position(|octet| !is_charset_octet(*octet))?;
    let charset = rest.get(..charset_len).filter(|charset| !charset.is_empty())?;
    // The language tag says nothing about the bytes.
    let charset = charset.split(|&octet| octet == b'*').next().unwrap_or(charset);
    let rest = rest.get(charset_len..)?;
    let encoding = match rest.get(..3)? {
        b"?B?" | b"?b?" => Encoding::B,
        b"?Q?" | b"?q?" => Encoding::Q,
        _ => return None,
    };
    let text_start = charset_start + charset_len + 3;
    let length = text_length(value.get(text_start..)?)?;
    let text = value.get(text_start..text_start + length)?;
    Some((text_start + length + 2, Word { charset, encoding, text }))
}

fn is_charset_octet(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"-_.:+*'()$".contains(&octet)
}

/// Up to `?=`, but not past the begin of another word. A `?` within is a mistake that Q
/// encoders make.
fn text_length(bytes: &[u8]) -> Option<usize> {
    for at in memchr::memchr_iter(b'?', bytes) {
        if bytes.get(at + 1) == Some(&b'=') {
            return Some(at);
        }
        if at > 0 && bytes.get(at - 1) == Some(&b'=') {
            return None;
        }
    }
    None
}

/// Decodes neighbours of one charset together.
fn push_words(words: &[Word<'_>], text: &mut String) {
    let Some(first) = words.first() else { return };
    let mut bytes = Vec::new();
    let mut digits = Vec::new();
    for word in words {
        match word.encoding {
            // Digits are gathered, so that four cut by the sender come together again.
            Encoding::B => digits.extend_from_slice(word.text),
            Encoding::Q => {
                push_base64(&mut digits, &mut bytes);
                let spaced: Vec<u8> = word.text.iter().map(|&o| if o == b'_' { b' ' } else { o }).collect();
                transfer::unescape(&spaced, &mut bytes);
            }
        }
        if digits.ends_with(b"=") || digits.len() % 4 == 0 {
            push_base64(&mut digits, &mut bytes);
        }
    }
    push_base64(&mut digits, &mut bytes);
    text.push_str(&charset::decode(&bytes, Some(first.charset)));
}

fn push_base64(digits: &mut Vec<u8>, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&transfer::base64(digits, usize::MAX));
    digits.clear();
}

/// With spaces for controls, and without white space around it.
fn cleaned(mut text: String) -> String {
    if text.contains(char::is_control) {
        text = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    }
    match text.trim() {
        trimmed if trimmed.len() == text.len() => text,
        trimmed => trimmed.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    #[test]
    fn the_examples_of_rfc_2047_section_8() {
        for (value, expected) in [
            ("=?ISO-8859-1?Q?a?=", "a"),
            ("=?ISO-8859-1?Q?a?= b", "a b"),
            ("=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
            ("=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=", "ab"),
            ("=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=", "ab"),
            ("=?ISO-8859-1?Q?a_b?=", "a b"),
            ("=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"),
            ("=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?=", "Keld Jørn Simonsen"),
            ("=?US-ASCII*en-US?Q?Keith_Moore?=", "Keith Moore"),
        ] {
            assert_eq!(decode(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn japanese_reality() {
        for (value, expected) in [
            // Cut within the escape sequence, within a character, within four digits.
            ("=?iso-2022-jp?B?GyRC?= =?iso-2022-jp?B?RnxLXBsoQg==?=", "日本"),
            ("=?iso-2022-jp?B?GyQ=?= =?ISO-2022-JP?B?QkZ8S1wbKEI=?=", "日本"),
            ("=?utf-8?B?5pel5py?= =?utf-8?B?s6Kqe?=", "日本語"),
            ("=?utf-8?B?5pel5g==?= =?utf-8?B?nKzoqp4=?=", "日本語"),
            ("=?utf-8?Q?=E6=97?= =?utf-8?Q?=A5?=", "日"),
            ("=?utf-8?Q?=E6=97?= =?utf-8?B?pQ==?=", "日"),
            // Each word complete.
            ("=?iso-2022-jp?B?GyRCRnwbKEI=?=\r\n =?iso-2022-jp?B?GyRCS1wbKEI=?=", "日本"),
            // Padding lost, spaces within, glued to text, in quotes.
            ("=?utf-8?B?5pel5pys6Kqe4?=", "日本語"),
            ("=?utf-8?B?5pel 5pys?=", "日本"),
            ("=?utf-8?Q?a b?=", "a b"),
            ("Re:=?utf-8?B?5pel?=(1)", "Re:日(1)"),
            ("\"=?utf-8?B?5pel?=\"", "\"日\""),
            // A wrong label, and unknown ones.
            ("=?iso-2022-jp?B?5pys5paH?=", "本文"),
            ("=?unknown?B?5pys5paH?=", "本文"),
            ("=?Windows-31J?B?h0D7/A==?=", "①髙"),
            // Raw bytes.
            ("\x1b$BF|K\\\x1b(B raw", "日本 raw"),
            ("日本 raw", "日本 raw"),
            // Fullwidth and half-width.
            ("=?ISO-2022-JP?B?GyhJSl02GyhC?=", "ﾊﾝｶ"),
        ] {
            assert_eq!(decode(value.as_bytes()), expected, "{value:?}");
        }
        assert_eq!(decode(b"\x93\xfa\x96\x7b\x8c\xea\x82\xcc\x8c\x8f\x96\xbc"), "日本語の件名");
    }

    #[test]
    fn what_is_no_word_is_text() {
        for value in [
            "=?",
            "=?utf-8?",
            "=?utf-8?B",
            "=?utf-8?B?",
            "=?utf-8?B?YQ==",
            "=?utf-8?X?YQ==?=",
            "=??B?YQ==?=",
            "=?utf 8?B?YQ==?=",
            "a =? b ?= c",
        ] {
            assert_eq!(decode(value.as_bytes()), value);
        }
        assert_eq!(decode(b"=?utf-8?B?=?utf-8?B?YQ==?="), "=?utf-8?B?a");
        assert_eq!(decode(b"=?utf-8?Q?What??="), "What?");
        assert_eq!(decode(b"=?utf-8?Q?a=0D=0A=09b?="), "a   b");
        assert_eq!(decode(b"\0 =?utf-8?Q?=20a=00?="), "a");
        assert_eq!(decode(b""), "");
    }

    proptest! {
        #[test]
        fn any_cut_of_a_text_reads_the_same(
            text in "[ -~ぁ-んァ-ヶ一-龠]{1,30}",
            cuts in prop::collection::vec(0_usize..90, 0..4),
            jis in any::<bool>(),
        ) {
            let (charset, bytes, lost) = match jis {
                true => {
                    let (bytes, _, lost) = encoding_rs::ISO_2022_JP.encode(&text);
                    ("ISO-2022-JP", bytes.into_owned(), lost)
                }
                false => ("utf-8", text.clone().into_bytes(), false),
            };
            prop_assume!(!lost && text.trim() == text);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % bytes.len()).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let words: Vec<String> = cuts
                .windows(2)
                .map(|pair| format!("=?{charset}?B?{}?=", STANDARD.encode(&bytes[pair[0]..pair[1]])))
                .collect();
            prop_assert_eq!(decode(words.join("\r\n ").as_bytes()), text);
        }

        #[test]
        fn any_bytes_are_some_text(value in prop::collection::vec(prop::sample::select(
            b"=?utf-8BQbq_ \r\n\t\x1b$(\xe6\x97\xa5A".to_vec()), 0..60)) {
            let text = decode(&value);
            prop_assert!(!text.contains(char::is_control));
        }
    }
}
