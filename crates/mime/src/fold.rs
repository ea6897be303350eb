//! One spelling for texts that people take for equal, so that they can be searched.
//!
//! Standards: UAX #15 (NFKC), RFC 9051 section 6.4.4 (SEARCH compares without regard to case).
//! What is searched and what is searched for are folded alike, by [`fold`] alone; then one is
//! part of the other or it is not. What becomes equal:
//!
//! | | |
//! |---|---|
//! | case | `É` is `é`, `ß` is `ss`, `ς` is `σ` |
//! | width and compatibility | `Ａ` is `a`, `ｶﾞ` is `が`, `①` is `1`, `㈱` is `(株)` |
//! | kana | `カ` is `か`: katakana are folded into hiragana |
//! | what JIS tables disagree about | `〜` is `~`, `−` is `-` |
//! | what is not seen | soft hyphens, joiners, variation selectors are left out |
//! | white space | any run of it is one space |
//! | lines | a line end between two characters of a script without spaces is left out, since Japanese lines are broken within words |
//!
//! Known weakness: accents are kept (`cafe` does not find `café`), and so are old and new
//! forms of a character (`國`, `国`).

use unicode_normalization::UnicodeNormalization;

/// The folded text, at most `limit` octets of it.
pub fn fold(text: &str, limit: usize) -> String {
    let mut folder = Folder { folded: String::with_capacity(text.len().min(limit)), gap: Gap::None };
    let mut rest = text;
    while !rest.is_empty() && folder.folded.len() < limit {
        let (plain, other) = rest.split_at(plain_length(rest));
        plain.chars().for_each(|character| folder.push(character));
        let (composed, next) = other.split_at(composed_length(other));
        composed.nfkc().for_each(|character| folder.push(character));
        rest = next;
    }
    let mut folded = folder.finish();
    folded.truncate(folded.floor_char_boundary(limit));
    folded
}

/// Octets of US-ASCII that normalisation leaves alone: all but the last one before another
/// character, which may be a mark on it.
fn plain_length(text: &str) -> usize {
    match text.bytes().position(|octet| !octet.is_ascii()) {
        Some(at) => at.saturating_sub(1),
        None => text.len(),
    }
}

/// Octets up to the next of US-ASCII, before which normalisation can stop.
fn composed_length(text: &str) -> usize {
    let next = text.bytes().skip(1).position(|octet| octet.is_ascii());
    next.map_or(text.len(), |at| at + 1)
}

/// White space that is not written yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    None,
    Line,
    Space,
}

struct Folder {
    folded: String,
    gap: Gap,
}

impl Folder {
    fn push(&mut self, character: char) {
        match character {
            'a'..='z' | '0'..='9' => self.put(character),
            // A line end is perhaps none; with other white space around it, it is one.
            '\r' | '\n' => self.gap = self.gap.max(Gap::Line),
            _ if character.is_whitespace() || character.is_control() => self.gap = Gap::Space,
            _ if is_invisible(character) => {}
            _ => character.to_lowercase().for_each(|character| match character {
                'ß' => "ss".chars().for_each(|character| self.put(character)),
                _ => self.put(same(character)),
            }),
        }
    }

    fn put(&mut self, character: char) {
        let joins = || self.folded.chars().next_back().is_some_and(is_unspaced) && is_unspaced(character);
        match std::mem::replace(&mut self.gap, Gap::None) {
            Gap::None => {}
            Gap::Line if joins() => {}
            Gap::Line | Gap::Space => self.folded.push(' '),
        }
        self.folded.push(character);
    }

    fn finish(mut self) -> String {
        if self.gap != Gap::None {
            self.folded.push(' ');
        }
        self.folded
    }
}

/// The character that stands for this one, which is normalised and in lower case.
fn same(character: char) -> char {
    match character {
        // Each katakana stands 0x60 behind its hiragana.
        'ァ'..='ヶ' | 'ヽ' | 'ヾ' => char::from_u32(u32::from(character) - 0x60).unwrap_or(character),
        'ς' => 'σ',
        '〜' => '~',
        '−' => '-',
        _ => character,
    }
}

fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// Is it of a script that puts no spaces between words (or, as Hangul, so few letters into
/// one that they are searched as those are)? The character is folded.
pub(crate) fn is_unspaced(character: char) -> bool {
    matches!(character,
        '\u{3005}'..='\u{3007}' | 'ぁ'..='ゖ' | 'ゝ'..='ゟ' | 'ヷ'..='ヺ' | 'ー'
        | '\u{3105}'..='\u{312f}' | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn folded(text: &str) -> String {
        fold(text, 10_000)
    }

    #[test]
    fn what_is_equal() {
        for (text, expected) in [
            ("", ""),
            ("Meeting AT 9", "meeting at 9"),
            ("CAFÉ", "café"),
            ("cafe\u{301}", "café"),
            ("e\u{301}e\u{301}x", "ééx"),
            ("Grüße GRÜSSE", "grüsse grüsse"),
            ("ΟΔΟΣ οδος", "οδοσ οδοσ"),
            ("Ｒｅ：ＡＢＣ１２３", "re:abc123"),
            ("ｶﾞｷﾞｸﾞ ﾊﾟｿｺﾝ", "がぎぐ ぱそこん"),
            ("カイギ かいぎ", "かいぎ かいぎ"),
            ("サーバー", "さーばー"),
            ("㈱山田①", "(株)山田1"),
            ("10〜12 10～12", "10~12 10~12"),
            ("－1 −1", "-1 -1"),
            ("葛\u{e0100}飾", "葛飾"),
            ("zero\u{200b}width so\u{ad}ft", "zerowidth soft"),
            ("a \t\u{a0}\u{3000} b", "a b"),
            ("one\r\ntwo", "one two"),
            ("会\r\n議の\nﾅｲﾖｳ", "会議のないよう"),
            ("会 \r\n議", "会 議"),
            ("会議\r\nA", "会議 a"),
            (" x\r\n", " x "),
            ("한\n국", "한국"),
        ] {
            assert_eq!(folded(text), expected, "{text:?}");
        }
    }

    #[test]
    fn the_limit_holds_at_a_character() {
        assert_eq!(fold("日本語", 8), "日本");
        assert_eq!(fold("abc", 0), "");
        assert!(fold(&"\u{fdfa}".repeat(1_000), 100).len() <= 100);
    }

    proptest! {
        /// The shortcut for US-ASCII changes nothing.
        #[test]
        fn texts_fold_as_when_normalised_before(text in "([a-zA-Z0-9 ]{0,3}[éが\u{301}\u{3099}ｶﾞＡ会\n]{0,3}){0,8}") {
            let normalised: String = text.nfkc().collect();
            prop_assert_eq!(folded(&text), folded(&normalised));
        }

        #[test]
        fn case_and_kana_do_not_matter(text in "[a-zà-öあ-ん会議 ]{0,20}") {
            let upper: String = text.to_uppercase().chars().map(|character| match character {
                'あ'..='ん' => char::from_u32(u32::from(character) + 0x60).unwrap(),
                other => other,
            }).collect();
            prop_assert_eq!(folded(&text), folded(&upper));
        }
    }
}
