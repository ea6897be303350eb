//! Which texts of a message are searched, and the terms that an index keeps of them.
//!
//! Standards: RFC 9051 section 6.4.4 (SEARCH: HEADER, BODY, TEXT).
//! A message has texts in four places: each header field, decoded, and its body, which is
//! what [`text::readable`] gives and the names of attachments. All are folded by
//! [`fold`](crate::fold::fold).
//!
//! A *gram* is two neighbours of a script without spaces, or three letters or digits of
//! another within a word; the last character of a run without spaces is a gram by itself, so
//! that any single one can be found as the begin of a gram. No words are kept: what is
//! looked for may begin and end within one.
//!
//! Invariant, which an index relies on: a text that contains what is looked for has, for each
//! of its [`wanted`] ranges, a gram in it. The reverse does not hold, so that what an index
//! finds must be looked at.

use crate::fold::{fold, is_unspaced};
use crate::header::Field;
use crate::structure::Structure;
use crate::{Header, encoded_word, text};

/// Octets of a message's text that are looked at.
pub const MOST_TEXT: usize = 4 << 20;

/// A message that has more terms than this is not indexed.
pub const MOST_TERMS: usize = 50_000;

/// Ranges of grams that are asked for; what is behind them tells little more.
const MOST_WANTED: usize = 12;

/// Where a text of a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// Subject.
    Subject = 0,
    /// Fields of addresses.
    Address = 1,
    /// Every other header field.
    Header = 2,
    /// The body, and the names of attachments.
    Body = 3,
}

impl Place {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Subject, Self::Address, Self::Header, Self::Body];

    /// Of the header field with this name.
    pub fn of_field(name: &[u8]) -> Self {
        const ADDRESSES: [&str; 6] = ["From", "To", "Cc", "Bcc", "Sender", "Reply-To"];
        if name.eq_ignore_ascii_case(b"Subject") {
            Self::Subject
        } else if ADDRESSES.iter().any(|address| name.eq_ignore_ascii_case(address.as_bytes())) {
            Self::Address
        } else {
            Self::Header
        }
    }

    /// The number by which an index knows it: it must not change.
    pub fn number(self) -> u8 {
        self as u8
    }
}

/// The value of a header field, folded.
pub fn field_text(field: &Field<'_>) -> String {
    fold(&encoded_word::decode(field.value), MOST_TEXT)
}

/// The body of a message and the names of its attachments, folded.
pub fn body_text(content: &[u8], structure: &Structure) -> String {
    let mut folded = fold(&text::readable(content, structure, MOST_TEXT), MOST_TEXT);
    for name in text::attachment_names(content, structure) {
        folded.push(' ');
        folded.push_str(&fold(&name, MOST_TEXT));
    }
    folded
}

/// Up to three characters in 63 bits: grams are ordered as their texts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gram(i64);

impl Gram {
    /// The gram of at most three characters.
    fn of(characters: [char; 3], count: usize) -> Self {
        let kept = characters.iter().skip(3 - count).map(|&character| i64::from(u32::from(character)));
        Self(kept.chain(std::iter::repeat(0)).take(3).fold(0, |gram, character| gram << 21 | character))
    }

    /// Any gram that begins with this character.
    fn beginning_with(character: char) -> (Self, Self) {
        let first = i64::from(u32::from(character));
        (Self(first << 42), Self(((first + 1) << 42) - 1))
    }

    /// As a number that an index keeps; positive.
    pub fn as_i64(self) -> i64 {
        self.0
    }
}

/// A run of characters of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    /// What parts runs.
    Between,
    Unspaced,
    Word,
}

impl Run {
    fn of(character: char) -> Self {
        match character {
            'a'..='z' | '0'..='9' => Self::Word,
            _ if character.is_ascii() => Self::Between,
            _ if is_unspaced(character) => Self::Unspaced,
            _ if character.is_alphanumeric() => Self::Word,
            _ => Self::Between,
        }
    }
}

/// What is met on a walk over the runs of a text.
enum Met {
    Gram(Gram),
    /// A run without spaces ended with this character, and was so long.
    End(char, usize),
}

fn walk(folded: &str, mut each: impl FnMut(Met)) {
    let mut run = Run::Between;
    let mut last = ['\0'; 3];
    let mut length = 0;
    for character in folded.chars() {
        let kind = Run::of(character);
        if kind != run {
            if run == Run::Unspaced {
                each(Met::End(last[2], length));
            }
            (run, length) = (kind, 0);
        }
        last = [last[1], last[2], character];
        length += 1;
        match run {
            Run::Unspaced if length >= 2 => each(Met::Gram(Gram::of(last, 2))),
            Run::Word if length >= 3 => each(Met::Gram(Gram::of(last, 3))),
            _ => {}
        }
    }
    if run == Run::Unspaced {
        each(Met::End(last[2], length));
    }
}

/// Ranges of grams, from first to last, of which a text that contains the `folded` one has
/// one each. None: the text is too short to be asked for.
pub fn wanted(folded: &str) -> Vec<(Gram, Gram)> {
    let mut ranges = Vec::new();
    walk(folded, |met| match met {
        Met::Gram(gram) => ranges.push((gram, gram)),
        Met::End(character, 1) => ranges.push(Gram::beginning_with(character)),
        Met::End(..) => {}
    });
    ranges.sort_unstable();
    ranges.dedup();
    // Exact ones tell more than begins.
    ranges.sort_by_key(|(first, last)| first != last);
    ranges.truncate(MOST_WANTED);
    ranges
}

/// What an index keeps of a message: each gram of each place once, in order. `None` if it
/// has more than [`MOST_TERMS`].
pub fn terms(content: &[u8], structure: &Structure) -> Option<Vec<(Place, Gram)>> {
    let mut gathering = Gathering { terms: Vec::new(), is_full: false };
    for field in Header::of_content(content).fields() {
        gathering.add(Place::of_field(field.name), &field_text(&field));
    }
    gathering.add(Place::Body, &body_text(content, structure));
    gathering.settle();
    (!gathering.is_full).then_some(gathering.terms)
}

struct Gathering {
    terms: Vec<(Place, Gram)>,
    is_full: bool,
}

impl Gathering {
    fn add(&mut self, place: Place, folded: &str) {
        walk(folded, |met| {
            let gram = match met {
                Met::Gram(gram) => gram,
                Met::End(character, _) => Gram::of(['\0', '\0', character], 1),
            };
            if self.terms.len() >= 4 * MOST_TERMS {
                self.settle();
            }
            if !self.is_full {
                self.terms.push((place, gram));
            }
        });
    }

    /// Leaves each term once.
    fn settle(&mut self) {
        self.terms.sort_unstable();
        self.terms.dedup();
        self.is_full |= self.terms.len() > MOST_TERMS;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(gram: Gram) -> String {
        let character = |shift: u32| {
            let code = u32::try_from(gram.as_i64() >> shift & 0x1f_ffff).unwrap();
            char::from_u32(code).filter(|&character| character != '\0')
        };
        [42, 21, 0].into_iter().filter_map(character).collect()
    }

    fn grams(text: &str) -> Vec<String> {
        let mut gathering = Gathering { terms: Vec::new(), is_full: false };
        gathering.add(Place::Body, &fold(text, MOST_TEXT));
        gathering.settle();
        gathering.terms.into_iter().map(|(_, gram)| shown(gram)).collect()
    }

    #[test]
    fn grams_of_texts() {
        for (text, expected) in [
            ("", &[][..]),
            ("a bc", &[]),
            ("Invoice", &["ice", "inv", "nvo", "oic", "voi"]),
            ("R2D2!", &["2d2", "r2d"]),
            ("会", &["会"]),
            ("会議室", &["会議", "室", "議室"]),
            ("ｶｲｷﾞ、カイギ", &["いぎ", "かい", "ぎ"]),
            ("IT部門", &["部門", "門"]),
            ("Привет", &["вет", "иве", "при", "рив"]),
            ("회의", &["의", "회의"]),
            ("日本\r\n語", &["日本", "本語", "語"]),
        ] {
            assert_eq!(grams(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_asked_for() {
        for (text, expected) in [
            ("", &[][..]),
            ("no", &[]),
            ("#!", &[]),
            ("ice", &["ice"]),
            ("voice of", &["ice", "oic", "voi"]),
            ("会", &["会…"]),
            ("会議", &["会議"]),
            ("IT部", &["部…"]),
            ("a会議", &["会議"]),
        ] {
            let ranges = wanted(&fold(text, MOST_TEXT));
            let shown: Vec<String> = ranges
                .iter()
                .map(|&(first, last)| shown(first) + if first == last { "" } else { "…" })
                .collect();
            assert_eq!(shown, expected, "{text}");
        }
        assert_eq!(wanted(&"abcdefghij".repeat(10)).len(), 10);
        let long: String = ('a'..='z').collect();
        assert_eq!(wanted(&long).len(), MOST_WANTED);
    }

    #[test]
    fn terms_of_a_message() {
        let content = "From: =?ISO-2022-JP?B?GyRCRURDZhsoQg==?= <t@example.com>\r\n\
            Subject: =?utf-8?B?77287728?= abc\r\n\
            X-Mailer: tool\r\n\
            Content-Type: multipart/mixed; boundary=b\r\n\r\n\
            --b\r\nContent-Type: text/html; charset=iso-2022-jp\r\n\r\n\
            <p>\x1b$B2q\x1b(B<b>\x1b$B5D\x1b(B</b></p>\r\n\
            --b\r\nContent-Disposition: attachment; filename=plan.pdf\r\n\r\nsecret\r\n--b--\r\n";
        let structure = Structure::parse(content.as_bytes());
        let terms = terms(content.as_bytes(), &structure).unwrap();
        let has = |place, text: &str| terms.iter().any(|&(at, gram)| at == place && shown(gram) == text);
        for (place, gram) in [
            (Place::Address, "田中"),
            (Place::Address, "exa"),
            (Place::Subject, "abc"),
            (Place::Header, "too"),
            (Place::Body, "会議"),
            (Place::Body, "pla"),
        ] {
            assert!(has(place, gram), "{place:?} {gram}");
        }
        assert!(!has(Place::Body, "sec"), "an attachment is not read");
        assert!(!has(Place::Header, "abc"));
        assert!(terms.is_sorted());
    }

    #[test]
    fn a_message_with_too_many_terms_has_none() {
        let many: String = (0x4e00..0x4e00 + 300u32)
            .flat_map(|one| (0x5e00..0x5e00 + 100u32).flat_map(move |other| [one, other]))
            .filter_map(char::from_u32)
            .collect();
        let content = format!("Content-Type: text/plain; charset=utf-8\r\n\r\n{many}");
        let structure = Structure::parse(content.as_bytes());
        assert_eq!(terms(content.as_bytes(), &structure), None);
        let few = format!("Subject: x\r\n\r\n{}", "the same words again ".repeat(20_000));
        let structure = Structure::parse(few.as_bytes());
        assert!(terms(few.as_bytes(), &structure).unwrap().len() < 50);
    }

    proptest! {
        /// What an index relies on.
        #[test]
        fn a_part_of_a_text_is_found_by_its_grams(
            text in "([a-cA-Cé]{0,5}|[会議カかｶﾞー々]{0,5}|[ .,\r\n]{1,2}|[바다]{1,3}){0,12}",
            from in 0usize..40, length in 1usize..20,
        ) {
            let folded = fold(&text, MOST_TEXT);
            let part: String = folded.chars().skip(from).take(length).collect();
            let mut gathering = Gathering { terms: Vec::new(), is_full: false };
            gathering.add(Place::Body, &folded);
            for (first, last) in wanted(&part) {
                prop_assert!(gathering.terms.iter().any(|&(_, gram)| first <= gram && gram <= last), "{}", part);
            }
        }
    }
}
