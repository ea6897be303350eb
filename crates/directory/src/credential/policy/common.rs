//! Passwords that are tried first: predictable ones, and those built on a common word.
//!
//! The words stand in `common.txt`, our own selection.

use std::collections::HashSet;
use std::sync::LazyLock;

use zeroize::Zeroizing;

use super::{LEAST_DIFFERENT, LEAST_UNGUESSED};

static WORDS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let lines = include_str!("common.txt").lines().filter(|line| !line.starts_with('#'));
    lines.flat_map(str::split_whitespace).collect()
});

/// Rows and columns of keyboards, as fingers walk over them.
const WALKS: [&str; 12] = [
    "1234567890",
    "qwertyuiop",
    "qwertzuiopü",
    "azertyuiop",
    "asdfghjklöä",
    "qsdfghjklm",
    "zxcvbnm",
    "yxcvbnm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "1q2w3e4r5t6y7u8i9o0p",
    "1qay2wsx3edc4rfv5tgb6zhn7ujm",
    "zaq1xsw2cde3vfr4bgt5nhy6mju7",
];

/// Does little of the (lower-case) password not follow from what stands before it?
pub(super) fn is_predictable(folded: &str) -> bool {
    let chars = Zeroizing::new(folded.chars().collect::<Vec<char>>());
    let different: HashSet<&char> = chars.iter().collect();
    different.len() < LEAST_DIFFERENT || surprises(repeated_block(&chars)) < LEAST_UNGUESSED
}

/// How many letters and digits of `text` do not follow from the one before them?
pub(super) fn unguessed(text: &str) -> usize {
    surprises(&Zeroizing::new(text.chars().filter(|c| c.is_alphanumeric()).collect::<Vec<_>>()))
}

/// How many characters do not follow from the one before them?
fn surprises(chars: &[char]) -> usize {
    let first = chars.len().min(1);
    first + chars.windows(2).filter(|pair| !follows(pair[0], pair[1])).count()
}

/// The shortest block that the password is a repetition of, the last time perhaps cut off.
fn repeated_block(chars: &[char]) -> &[char] {
    let repeats = |length: &usize| chars.iter().zip(chars.iter().skip(*length)).all(|(one, two)| one == two);
    let length = (1..=chars.len() / 2).find(repeats).unwrap_or(chars.len());
    &chars[..length]
}

/// Is `two` what one expects behind `one`: the same, its neighbour in the alphabet, or the
/// next key?
fn follows(one: char, two: char) -> bool {
    let neighbours = u32::from(one).abs_diff(u32::from(two)) <= 1;
    neighbours
        || WALKS.iter().any(|walk| {
            let steps = walk.chars().zip(walk.chars().skip(1));
            steps.into_iter().any(|step| step == (one, two) || step == (two, one))
        })
}

/// Is the (lower-case) password little more than a common word?
pub(super) fn is_common(folded: &str) -> bool {
    let core = folded.trim_matches(|c: char| !c.is_alphabetic());
    let (before, after) = folded.split_once(core).unwrap_or((folded, ""));
    let around = unguessed(before) + unguessed(after);
    (around < LEAST_UNGUESSED && is_word(core)) || is_word(folded)
}

/// Is it a word of the list, or one again and again, whatever stands between its letters?
fn is_word(text: &str) -> bool {
    let plain = text.chars().filter(|c| c.is_alphanumeric()).collect::<Vec<_>>();
    let letters = text.chars().filter_map(letter_meant).collect::<Vec<_>>();
    [plain, letters].map(Zeroizing::new).iter().any(|chars| {
        let word: Zeroizing<String> = Zeroizing::new(repeated_block(chars).iter().collect());
        WORDS.contains(word.as_str())
    })
}

/// The letter that a sign stands for in `p@$$w0rd`; `None` for other signs.
fn letter_meant(c: char) -> Option<char> {
    match c {
        '@' | '4' => Some('a'),
        '3' => Some('e'),
        '1' | '!' => Some('i'),
        '0' => Some('o'),
        '$' | '5' => Some('s'),
        '7' => Some('t'),
        c => c.is_alphanumeric().then_some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_well_formed() {
        assert!(WORDS.len() > 500, "{} words", WORDS.len());
        assert!(WORDS.len() < 4000, "{} words", WORDS.len());
        for word in WORDS.iter() {
            assert_eq!(word.to_lowercase(), **word);
            assert!(word.chars().count() >= 4, "{word} is too short to say anything");
            assert!(word.chars().all(char::is_alphanumeric), "{word}");
        }
        let lines = include_str!("common.txt").lines().filter(|line| !line.starts_with('#'));
        let words = lines.flat_map(str::split_whitespace);
        assert_eq!(words.count(), WORDS.len(), "no word stands twice");
    }
}
