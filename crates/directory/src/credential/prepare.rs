//! Which spellings of a password are the same password.
//!
//! Standards: RFC 8265 section 4.2 (OpaqueString), RFC 8264 (PRECIS).
//! A phone, a laptop and a browser type one password with different octets: `é` as one
//! character or as two, a space of Japanese keyboards. [`for_check`] makes them one and
//! refuses nothing; [`for_setting`] also refuses what cannot be typed reliably.
//!
//! Where we differ from the RFC, so that real passwords keep working:
//! - whether a character is allowed is asked after normalization, so that Korean typed in
//!   single letters (macOS) is taken;
//! - the zero-width joiners are refused everywhere, and the characters with a contextual rule
//!   (`・`, `·`) are allowed everywhere: no meaning hangs on a password's joining.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_public_assigned;
use zeroize::Zeroizing;

/// Why a text cannot become a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unprepared {
    /// There is none.
    #[error("a password is needed")]
    Empty,
    /// It has a character that keyboards and programs treat differently.
    #[error(
        "the password has the character U+{code:04X} at place {place}, which not every device types alike: leave it out"
    )]
    Character {
        /// Its code point.
        code: u32,
        /// Its place, counted from 1.
        place: usize,
    },
}

/// A password as it is hashed: OpaqueString, if it is UTF-8, and else the octets as they are.
pub fn for_check(password: &[u8]) -> Zeroizing<Vec<u8>> {
    match str::from_utf8(password) {
        Ok(text) if !text.is_ascii() => Zeroizing::new(mapped(text).collect::<String>().into_bytes()),
        _ => Zeroizing::new(password.to_vec()),
    }
}

/// A new password, as it will be hashed.
///
/// # Errors
/// [`Unprepared`]: it says what to leave out.
pub fn for_setting(password: &str) -> Result<Zeroizing<String>, Unprepared> {
    let prepared = Zeroizing::new(mapped(password).collect::<String>());
    if prepared.is_empty() {
        return Err(Unprepared::Empty);
    }
    match prepared.chars().enumerate().find(|(_, c)| !is_freeform(*c)) {
        Some((index, c)) => Err(Unprepared::Character { code: c.into(), place: index + 1 }),
        None => Ok(prepared),
    }
}

/// The mappings of OpaqueString: spaces become U+0020, then NFC.
fn mapped(text: &str) -> impl Iterator<Item = char> {
    text.chars().map(|c| if is_space(c) { ' ' } else { c }).nfc()
}

/// General category Zs.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

/// `FreeformClass`, RFC 8264 section 4.3, without its contextual rules.
fn is_freeform(c: char) -> bool {
    // Line and paragraph separator are of no class that is allowed.
    let separates = matches!(c, '\u{2028}' | '\u{2029}');
    is_public_assigned(c) && !c.is_control() && !separates && !is_ignorable(c) && !is_old_jamo(c)
}

/// `Default_Ignorable_Code_Point`: invisible, so nobody can type it again.
fn is_ignorable(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Letters of Korean that have not been composed to syllables, RFC 8264 section 9.9.
fn is_old_jamo(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{11ff}' | '\u{a960}'..='\u{a97c}' | '\u{d7b0}'..='\u{d7fb}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_examples_of_rfc_8265_section_4_3() {
        for (text, expected) in [
            ("correct horse battery staple", Some("correct horse battery staple")),
            ("Correct Horse Battery Staple", Some("Correct Horse Battery Staple")),
            ("πßå", Some("πßå")),
            ("Jack of ♦s", Some("Jack of ♦s")),
            ("foo\u{1680}bar", Some("foo bar")),
            ("", None),
            ("my cat is a \u{9}by", None),
        ] {
            assert_eq!(for_setting(text).ok().as_ref().map(|p| p.as_str()), expected, "{text:?}");
        }
    }

    #[test]
    fn one_password_in_two_spellings() {
        for (one, two) in [
            ("caf\u{e9}", "cafe\u{301}"),
            ("a\u{3000}b", "a b"),
            ("a\u{a0}b", "a b"),
            ("한글", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}"),
            ("が", "か\u{3099}"),
        ] {
            assert_eq!(for_check(one.as_bytes()), for_check(two.as_bytes()), "{one}");
            assert_eq!(for_setting(one).unwrap(), for_setting(two).unwrap(), "{one}");
        }
        // Width is kept: OpaqueString has no width mapping.
        assert_ne!(for_check("ｶ".as_bytes()), for_check("カ".as_bytes()));
        assert_eq!(*for_check(b"\xff\xe9"), b"\xff\xe9");
    }

    #[test]
    fn what_cannot_be_typed_reliably_is_refused() {
        for (text, code, place) in [
            ("tab\there", 0x09, 4),
            ("\u{200b}zero width", 0x200b, 1),
            ("heart ❤\u{fe0f}", 0xfe0f, 8),
            ("join\u{200d}", 0x200d, 5),
            ("line\u{2028}", 0x2028, 5),
            ("own\u{e000}", 0xe000, 4),
            ("no\u{378}", 0x378, 3),
            ("\u{1100}", 0x1100, 1),
            ("\u{feff}x", 0xfeff, 1),
        ] {
            assert_eq!(for_setting(text), Err(Unprepared::Character { code, place }), "{text:?}");
        }
        assert_eq!(
            for_setting("a\u{7f}").unwrap_err().to_string(),
            "the password has the character U+007F at place 2, which not every device types alike: leave it out"
        );
    }

    proptest! {
        #[test]
        fn preparing_twice_changes_nothing(text in "\\PC{0,20}") {
            let once = for_check(text.as_bytes());
            prop_assert_eq!(&for_check(&once), &once);
            if let Ok(set) = for_setting(&text) {
                prop_assert_eq!(set.as_bytes(), &**once, "set and checked are one");
                prop_assert_eq!(&for_setting(&set).unwrap(), &set);
            }
        }
    }
}
