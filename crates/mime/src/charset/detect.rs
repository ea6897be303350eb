//! Which charset is this? For texts with no label, an unknown one, or one that lies.
//!
//! A short list of rules that can be explained to the person whose mail looks wrong:
//! 1. escape sequences of ISO-2022-JP → ISO-2022-JP;
//! 2. valid UTF-8 (a character cut off at the end is no error) → UTF-8;
//! 3. of EUC-JP and Shift_JIS the one whose reading looks more like Japanese, by a score for
//!    each character ([`points`]);
//! 4. if neither reading deserves a point → windows-1252, in which all bytes are a text.
//!
//! Known weakness: a short text of half-width kana in Shift_JIS looks like rare kanji in
//! EUC-JP; other multi-byte charsets (GBK, Big5, EUC-KR) need their label.

use encoding_rs::WINDOWS_1252;

use super::{Charset, iso_2022};

/// Octets that are looked at: more would only say the same again.
const SAMPLE: usize = 4096;

/// The most likely charset of these bytes.
pub fn detect(bytes: &[u8]) -> Charset {
    if iso_2022::has_escapes(bytes) && mostly_ascii(bytes) {
        return Charset::Iso2022;
    }
    if is_utf_8(bytes) {
        return Charset::Utf8;
    }
    let sample = sample(bytes);
    let euc = score(&Charset::EucJp.decode(sample));
    let sjis = score(&Charset::ShiftJis.decode(sample));
    match euc.max(sjis) {
        ..=0 => Charset::Other(WINDOWS_1252),
        best if best == euc => Charset::EucJp,
        _ => Charset::ShiftJis,
    }
}

/// Valid, or valid but for a cut character at the end, which alone could be Latin-1.
fn is_utf_8(bytes: &[u8]) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => {
            let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
            error.error_len().is_none() && !valid.is_ascii()
        }
    }
}

/// ISO-2022-JP has no octets above 0x7F; a few half-width kana are tolerated.
fn mostly_ascii(bytes: &[u8]) -> bool {
    bytes.iter().filter(|octet| !octet.is_ascii()).count() <= bytes.len() / 4
}

/// The first [`SAMPLE`] octets from shortly before the first that is not ASCII.
fn sample(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|octet| !octet.is_ascii()).unwrap_or(0);
    let rest = bytes.get(start..).unwrap_or_default();
    rest.get(..SAMPLE).unwrap_or(rest)
}

fn score(text: &str) -> i64 {
    text.chars().map(points).sum()
}

/// How much a character speaks for Japanese text.
fn points(character: char) -> i64 {
    match character {
        'ぁ'..='ん' | 'ァ'..='ヶ' | 'ー' | '、' | '。' | '「' | '」' => 3,
        '一'..='龠' | '々' => 2,
        '！'..='～' | '\u{3000}' => 1,
        // In EUC-JP read as Shift_JIS, everything is half-width kana.
        '\u{ff61}'..='\u{ff9f}' => -1,
        char::REPLACEMENT_CHARACTER => -10,
        '\u{80}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' => -10,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_text_in_four_charsets() {
        let text = "お世話になっております。株式会社の田中です。";
        let (euc, _, _) = encoding_rs::EUC_JP.encode(text);
        let (sjis, _, _) = encoding_rs::SHIFT_JIS.encode(text);
        let (jis, _, _) = encoding_rs::ISO_2022_JP.encode(text);
        assert_eq!(detect(text.as_bytes()), Charset::Utf8);
        assert_eq!(detect(&euc), Charset::EucJp);
        assert_eq!(detect(&sjis), Charset::ShiftJis);
        assert_eq!(detect(&jis), Charset::Iso2022);
    }

    #[test]
    fn what_is_not_japanese() {
        for (bytes, expected) in [
            (&b""[..], Charset::Utf8),
            (b"plain", Charset::Utf8),
            (b"\x1b[1mterminal\x1b(B", Charset::Utf8),
            (b"caf\xe9", Charset::Other(WINDOWS_1252)),
            (b"caf\xe9 cr\xe8me", Charset::Other(WINDOWS_1252)),
            (b"Gr\xfc\xdfe", Charset::Other(WINDOWS_1252)),
            ("cut in the middle 日本".as_bytes().split_last().unwrap().1, Charset::Utf8),
        ] {
            assert_eq!(detect(bytes), expected, "{}", String::from_utf8_lossy(bytes));
        }
    }

    proptest! {
        #[test]
        fn kana_and_kanji_are_told_apart(text in "[ぁ-ん]{4,8}[ァ-ヶ]{0,6}") {
            let (euc, _, lost) = encoding_rs::EUC_JP.encode(&text);
            prop_assume!(!lost);
            prop_assert_eq!(detect(&euc), Charset::EucJp);
            let (sjis, _, _) = encoding_rs::SHIFT_JIS.encode(&text);
            prop_assert_eq!(detect(&sjis), Charset::ShiftJis);
        }
    }
}
