//! Charsets: from the bytes and label of a text to Unicode.
//!
//! Standards: RFC 2045 section 5.2 (default), RFC 1468 (ISO-2022-JP), RFC 2237 and RFC 1554
//! (its relatives), RFC 2152 (UTF-7), WHATWG Encoding (tables, by `encoding_rs`).
//! Invariants:
//! - any bytes with any label give text: what cannot be read becomes U+FFFD;
//! - time and memory are linear in the number of bytes;
//! - a label is believed until the bytes contradict it, then [`detect`] may overrule it, and
//!   only if its reading has fewer errors.
//!
//! Mapping of the doubtful JIS characters: all three Japanese encodings use the same table,
//! that of Windows (CP932): 0x8160 is `～` U+FF5E (not U+301C), 0x817C `－` U+FF0D (not
//! U+2212), 0x8161 `∥` U+2225 (not U+2016), 0x8191 `￠` U+FFE0, 0x8192 `￡` U+FFE1, 0x81CA
//! `￢` U+FFE2. Whoever compares texts of several sources (search) folds the pairs.
//! JIS X 0201 Roman is read as ASCII, as CP50220 does: 0x5C is `\` and not `¥`.

mod detect;
mod euc_jp;
mod iso_2022;
mod utf_7;

use std::borrow::Cow;

use encoding_rs::Encoding;

pub use detect::detect;

/// What turns bytes into text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// UTF-8.
    Utf8,
    /// UTF-7, RFC 2152.
    Utf7,
    /// ISO-2022-JP with all that is sent under its name, and its relatives (-2, -KR, -CN).
    Iso2022,
    /// EUC-JP with the extensions of eucJP-ms.
    EucJp,
    /// Shift_JIS as Windows has it (CP932).
    ShiftJis,
    /// One of the others that `encoding_rs` knows.
    Other(&'static Encoding),
}

/// Names that mail uses and the WHATWG list of labels lacks or reads otherwise.
const ALIASES: &[(&str, Charset)] = &[
    ("utf8mb4", Charset::Utf8),
    ("utf_8", Charset::Utf8),
    ("cp65001", Charset::Utf8),
    ("utf-7", Charset::Utf7),
    ("utf7", Charset::Utf7),
    ("unicode-1-1-utf-7", Charset::Utf7),
    ("csunicode11utf7", Charset::Utf7),
    ("cp65000", Charset::Utf7),
    ("iso-2022-jp", Charset::Iso2022),
    ("iso-2022-jp-1", Charset::Iso2022),
    ("iso-2022-jp-2", Charset::Iso2022),
    ("iso-2022-jp-3", Charset::Iso2022),
    ("iso-2022-jp-2004", Charset::Iso2022),
    ("iso-2022-jp-ms", Charset::Iso2022),
    ("iso2022-jp", Charset::Iso2022),
    ("iso2022jp", Charset::Iso2022),
    ("iso_2022_jp", Charset::Iso2022),
    ("csiso2022jp", Charset::Iso2022),
    ("cp50220", Charset::Iso2022),
    ("cp50221", Charset::Iso2022),
    ("cp50222", Charset::Iso2022),
    ("jis", Charset::Iso2022),
    ("jis7", Charset::Iso2022),
    ("iso-2022-kr", Charset::Iso2022),
    ("csiso2022kr", Charset::Iso2022),
    ("iso-2022-cn", Charset::Iso2022),
    ("eucjp", Charset::EucJp),
    ("eucjp-ms", Charset::EucJp),
    ("eucjpms", Charset::EucJp),
    ("euc-jp-ms", Charset::EucJp),
    ("eucjp-win", Charset::EucJp),
    ("cp51932", Charset::EucJp),
    ("ujis", Charset::EucJp),
    ("cp932", Charset::ShiftJis),
    ("ms932", Charset::ShiftJis),
    ("cp943", Charset::ShiftJis),
    ("cp943c", Charset::ShiftJis),
    ("ms_kanji", Charset::ShiftJis),
    ("ms-kanji", Charset::ShiftJis),
    ("windows-932", Charset::ShiftJis),
    ("cswindows31j", Charset::ShiftJis),
    ("shiftjis", Charset::ShiftJis),
    ("shift_jisx0213", Charset::ShiftJis),
    ("shift_jis-2004", Charset::ShiftJis),
    ("sjis-win", Charset::ShiftJis),
    ("x-shift-jis", Charset::ShiftJis),
    ("cp936", Charset::Other(encoding_rs::GBK)),
    ("windows-936", Charset::Other(encoding_rs::GBK)),
    ("gb-2312", Charset::Other(encoding_rs::GBK)),
    ("cp949", Charset::Other(encoding_rs::EUC_KR)),
    ("ms949", Charset::Other(encoding_rs::EUC_KR)),
    ("uhc", Charset::Other(encoding_rs::EUC_KR)),
    ("cp950", Charset::Other(encoding_rs::BIG5)),
    ("iso-8859-8-i", Charset::Other(encoding_rs::ISO_8859_8_I)),
    ("latin-1", Charset::Other(encoding_rs::WINDOWS_1252)),
    ("iso8859_1", Charset::Other(encoding_rs::WINDOWS_1252)),
    ("cp-1252", Charset::Other(encoding_rs::WINDOWS_1252)),
];

/// Labels that promise seven bits, so that they say nothing about a text with eight.
const ASCII_LABELS: &[&str] = &["us-ascii", "ascii", "ansi_x3.4-1968", "iso646-us", "us", "cp367", "7bit"];

impl Charset {
    /// The charset of this label; `None` if it is unknown or says no more than "ASCII".
    pub fn for_label(label: &[u8]) -> Option<Self> {
        let label = label.trim_ascii();
        let label = label.strip_prefix(b"\"").unwrap_or(label);
        let label = label.strip_suffix(b"\"").unwrap_or(label);
        if label.len() > 64 || ASCII_LABELS.iter().any(|ascii| label.eq_ignore_ascii_case(ascii.as_bytes())) {
            return None;
        }
        let alias = ALIASES.iter().find(|(name, _)| label.eq_ignore_ascii_case(name.as_bytes()));
        if let Some((_, charset)) = alias {
            return Some(*charset);
        }
        // No decoder is better than the one that gives a single U+FFFD for everything.
        Encoding::for_label_no_replacement(label).map(Self::from)
    }

    /// The name to show: the WHATWG name, in its letters.
    pub fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Utf7 => "UTF-7",
            Self::Iso2022 => "ISO-2022-JP",
            Self::EucJp => "EUC-JP",
            Self::ShiftJis => "Shift_JIS",
            Self::Other(encoding) => encoding.name(),
        }
    }

    /// The text of `bytes`, with U+FFFD for what this charset cannot read.
    pub fn decode(self, bytes: &[u8]) -> Cow<'_, str> {
        match self {
            Self::Utf8 => encoding_rs::UTF_8.decode_with_bom_removal(bytes).0,
            Self::Utf7 => Cow::Owned(utf_7::decode(bytes)),
            Self::Iso2022 => Cow::Owned(iso_2022::decode(bytes)),
            Self::EucJp => Cow::Owned(euc_jp::decode(bytes)),
            Self::ShiftJis => encoding_rs::SHIFT_JIS.decode_without_bom_handling(bytes).0,
            Self::Other(encoding) => encoding.decode_with_bom_removal(bytes).0,
        }
    }

    /// Does plain ASCII mean itself in this charset?
    fn is_ascii_compatible(self) -> bool {
        match self {
            Self::Utf7 => false,
            Self::Other(encoding) => encoding.is_ascii_compatible(),
            _ => true,
        }
    }

    /// A charset in which any bytes are a text, so that errors never betray a wrong label.
    fn never_fails(self) -> bool {
        matches!(self, Self::Other(encoding) if encoding.is_single_byte())
    }
}

impl From<&'static Encoding> for Charset {
    fn from(encoding: &'static Encoding) -> Self {
        match encoding {
            e if e == encoding_rs::UTF_8 => Self::Utf8,
            e if e == encoding_rs::ISO_2022_JP => Self::Iso2022,
            e if e == encoding_rs::EUC_JP => Self::EucJp,
            e if e == encoding_rs::SHIFT_JIS => Self::ShiftJis,
            other => Self::Other(other),
        }
    }
}

/// The text of `bytes` that came with this label, or with none.
pub fn decode<'a>(bytes: &'a [u8], label: Option<&[u8]>) -> Cow<'a, str> {
    let claimed = label.and_then(Charset::for_label);
    if claimed.is_none_or(Charset::is_ascii_compatible) && is_plain(bytes) {
        return String::from_utf8_lossy(bytes);
    }
    let Some(claimed) = claimed.filter(|claimed| !contradicts(bytes, *claimed)) else {
        return detect(bytes).decode(bytes);
    };
    let text = claimed.decode(bytes);
    if !text.contains(char::REPLACEMENT_CHARACTER) {
        return text;
    }
    let detected = detect(bytes);
    if detected == claimed {
        return text;
    }
    let second = detected.decode(bytes);
    if count_errors(&second) < count_errors(&text) { second } else { text }
}

/// ASCII without the controls that switch charsets.
fn is_plain(bytes: &[u8]) -> bool {
    bytes.is_ascii() && memchr::memchr3(iso_2022::ESC, iso_2022::SO, iso_2022::SI, bytes).is_none()
}

/// Bytes that cannot have been meant in the claimed charset, although it can read them:
/// - ISO-2022-JP under any other name;
/// - 8-bit octets without any escape sequence under the name of ISO-2022-JP;
/// - UTF-8 under the name of a single-byte charset (the chance that such a text is valid
///   UTF-8 falls with each of its letters), or of another multi-byte charset if there are two
///   characters of three octets or more.
fn contradicts(bytes: &[u8], claimed: Charset) -> bool {
    match claimed {
        Charset::Utf7 => false,
        Charset::Iso2022 => !bytes.is_ascii() && !iso_2022::has_escapes(bytes),
        _ if bytes.is_ascii() => iso_2022::has_escapes(bytes),
        Charset::Utf8 => false,
        Charset::Other(encoding) if !encoding.is_ascii_compatible() => false,
        _ => std::str::from_utf8(bytes).is_ok_and(|text| {
            claimed.never_fails()
                || text.chars().filter(|character| character.len_utf8() > 2).nth(1).is_some()
        }),
    }
}

fn count_errors(text: &str) -> usize {
    text.chars().filter(|&c| c == char::REPLACEMENT_CHARACTER).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn labels() {
        for (label, name) in [
            ("utf-8", "UTF-8"),
            ("UTF8", "UTF-8"),
            (" \"utf-8\" ", "UTF-8"),
            ("iso-2022-jp", "ISO-2022-JP"),
            ("CP50221", "ISO-2022-JP"),
            ("ISO-2022-JP-MS", "ISO-2022-JP"),
            ("x-sjis", "Shift_JIS"),
            ("Windows-31J", "Shift_JIS"),
            ("cp932", "Shift_JIS"),
            ("x-euc-jp", "EUC-JP"),
            ("eucJP-ms", "EUC-JP"),
            ("unicode-1-1-utf-7", "UTF-7"),
            ("iso-8859-1", "windows-1252"),
            ("ks_c_5601-1987", "EUC-KR"),
            ("gb2312", "GBK"),
        ] {
            assert_eq!(Charset::for_label(label.as_bytes()).map(Charset::name), Some(name), "{label}");
        }
        for label in ["us-ascii", "", "x-unknown", "hz-gb-2312", "\u{e9}"] {
            assert_eq!(Charset::for_label(label.as_bytes()), None, "{label}");
        }
    }

    #[test]
    fn what_labels_say_and_bytes_contradict() {
        let jis: &[u8] = b"\x1b$BF|K\\8l\x1b(B";
        for (bytes, label, expected) in [
            ("日本語".as_bytes(), Some("utf-8"), "日本語"),
            ("日本語".as_bytes(), Some("iso-2022-jp"), "日本語"),
            ("日本語です".as_bytes(), Some("shift_jis"), "日本語です"),
            ("日本".as_bytes(), Some("gb2312"), "日本"),
            (b"\xa5\xc6\xa5\xb9\xa5\xc8\xa4\xc7\xa4\xb9", Some("iso-2022-jp"), "テストです"),
            (b"\xc3\xbd", Some("shift_jis"), "ﾃｽ"),
            ("日本語".as_bytes(), Some("iso-8859-1"), "日本語"),
            ("日本語".as_bytes(), Some("us-ascii"), "日本語"),
            ("日本語".as_bytes(), Some("x-made-up"), "日本語"),
            ("日本語".as_bytes(), None, "日本語"),
            (jis, Some("utf-8"), "日本語"),
            (jis, Some("us-ascii"), "日本語"),
            (jis, None, "日本語"),
            (b"\x93\xfa\x96\x7b\x8c\xea", Some("Shift_JIS"), "日本語"),
            (b"\x93\xfa\x96\x7b\x8c\xea", Some("utf-8"), "日本語"),
            (b"\x93\xfa\x96\x7b\x8c\xea", Some("iso-2022-jp"), "日本語"),
            (b"\xc6\xfc\xcb\xdc\xb8\xec", Some("euc-jp"), "日本語"),
            (b"\xc6\xfc\xcb\xdc\xb8\xec", Some("shift_jis"), "日本語"),
            (b"caf\xe9", Some("iso-8859-1"), "café"),
            (b"caf\xe9", None, "café"),
            (b"Hi Mom +Jjo-!", Some("utf-7"), "Hi Mom \u{263a}!"),
            (b"1 + 1 = 2", None, "1 + 1 = 2"),
        ] {
            assert_eq!(decode(bytes, label.map(str::as_bytes)), expected, "{bytes:x?} as {label:?}");
        }
    }

    #[test]
    fn doubtful_characters_have_one_mapping_in_all_three() {
        let expected = "～－∥￠￡￢";
        let sjis = b"\x81\x60\x81\x7c\x81\x61\x81\x91\x81\x92\x81\xca";
        let euc = b"\xa1\xc1\xa1\xdd\xa1\xc2\xa1\xf1\xa1\xf2\xa2\xcc";
        let jis = b"\x1b$B!A!]!B!q!r\"L\x1b(B";
        assert_eq!(Charset::ShiftJis.decode(sjis), expected);
        assert_eq!(Charset::EucJp.decode(euc), expected);
        assert_eq!(Charset::Iso2022.decode(jis), expected);
    }

    proptest! {
        #[test]
        fn any_bytes_with_any_label_are_some_text(
            bytes in prop::collection::vec(any::<u8>(), 0..60),
            label in prop::sample::select(vec![
                None, Some("utf-8"), Some("utf-7"), Some("iso-2022-jp"), Some("euc-jp"), Some("shift_jis"),
                Some("utf-16le"), Some("us-ascii"), Some("big5"), Some("?"),
            ]),
        ) {
            let text = decode(&bytes, label.map(str::as_bytes));
            prop_assert!(text.chars().count() <= bytes.len() * 2);
        }

        #[test]
        fn utf_8_is_read_whatever_the_label(text in "[ぁ-んァ-ヶ一-龠ａ-ｚ]{4,20}",
            label in prop::sample::select(vec!["", "utf-8", "us-ascii", "iso-2022-jp", "iso-8859-1"]),
        ) {
            let decoded = decode(text.as_bytes(), Some(label.as_bytes()));
            prop_assert_eq!(&*decoded, text.as_str());
        }
    }
}
