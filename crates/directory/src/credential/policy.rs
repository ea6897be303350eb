//! What a new password must be like.
//!
//! Standards: NIST SP 800-63B section 5.1.1.2 in spirit: length counts, no rules about kinds
//! of characters, and no password that is common, breached or about its owner.
//! Invariant: each rejection says what to do; none repeats more of the password than what
//! others know of its owner.
//!
//! Lengths are counted in characters of the prepared password (see [`super::prepare`]).
//! Known weakness: the built-in list knows some hundred words and walks over the keyboard.
//! What millions of people have used is told by the file of breached passwords alone.

mod common;

use hikyaku_types::Address;
use zeroize::Zeroizing;

use super::breached::{BreachedError, BreachedPasswords};
use super::prepare::{self, Unprepared};

/// Whatever a tenant chooses, a password has at least so many characters.
const FLOOR: u16 = 8;

/// The longest that a tenant may demand as the shortest.
const MAX_LEAST: u16 = 64;

/// The most characters, which are at most [`super::MAX_PASSWORD_OCTETS`] octets.
const CEILING: u16 = 256;

/// So many characters must be left of a password besides what anybody guesses first.
const LEAST_UNGUESSED: usize = 6;

/// A password must have so many different characters.
const LEAST_DIFFERENT: usize = 5;

/// A tenant's rules for new passwords.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordPolicy {
    least: u16,
    most: u16,
}

/// A policy that nobody could keep, or that protects nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{least} to {most} characters are no rule for passwords: the least may be {FLOOR} to {MAX_LEAST}, the most {MAX_LEAST} to {CEILING}"
)]
pub struct PolicyBounds {
    least: u16,
    most: u16,
}

/// Whose password it is: what others know of them, too.
#[derive(Debug, Clone, Copy, Default)]
pub struct PasswordOwner<'a> {
    /// The account's addresses.
    pub addresses: &'a [Address],
    /// What the owner is called.
    pub name: Option<&'a str>,
}

/// What is wrong with a new password, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordRejection {
    /// Its characters.
    #[error(transparent)]
    Unprepared(#[from] Unprepared),
    /// Fewer characters than the policy wants.
    #[error(
        "the password has {has} characters: use at least {least}, for example four words that have nothing to do with each other"
    )]
    TooShort {
        /// So many it has.
        has: usize,
        /// So many it needs.
        least: u16,
    },
    /// More characters than the policy allows.
    #[error("the password has {has} characters: use at most {most}")]
    TooLong {
        /// So many it has.
        has: usize,
        /// So many it may have.
        most: u16,
    },
    /// Repetitions, series, walks over the keyboard.
    #[error(
        "the password repeats itself or follows the alphabet or the keyboard: use characters that do not follow from each other"
    )]
    Predictable,
    /// It is about its owner.
    #[error(
        "the password is little more than `{0}`, which others know: use something that has nothing to do with you"
    )]
    Personal(String),
    /// In the built-in list.
    #[error(
        "the password is little more than a word that is tried first: use several words, or a made-up one"
    )]
    Common,
    /// In the file of breached passwords.
    #[error(
        "the password is known from a breach of some other service: use one that you have used nowhere else"
    )]
    Breached,
}

/// Why a new password is not taken.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Another one is needed.
    #[error(transparent)]
    Rejected(#[from] PasswordRejection),
    /// It could not be looked up: try again later.
    #[error("the password cannot be checked now")]
    Unchecked(#[from] BreachedError),
}

impl Default for PasswordPolicy {
    /// 10 to 256 characters.
    fn default() -> Self {
        Self { least: 10, most: CEILING }
    }
}

impl PasswordPolicy {
    /// A policy of `least` to `most` characters.
    ///
    /// # Errors
    /// [`PolicyBounds`].
    pub fn new(least: u16, most: u16) -> Result<Self, PolicyBounds> {
        let is_rule = (FLOOR..=MAX_LEAST).contains(&least) && (MAX_LEAST..=CEILING).contains(&most);
        if is_rule { Ok(Self { least, most }) } else { Err(PolicyBounds { least, most }) }
    }

    /// The least characters.
    pub fn least(&self) -> u16 {
        self.least
    }

    /// The most characters.
    pub fn most(&self) -> u16 {
        self.most
    }

    /// Takes or rejects a new password; gives it back as it is to be hashed. With a file of
    /// breached passwords it reads the disk.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn check(
        &self,
        password: &str,
        owner: &PasswordOwner<'_>,
        breached: Option<&BreachedPasswords>,
    ) -> Result<Zeroizing<String>, PolicyError> {
        let prepared = self.judge(password, owner)?;
        match breached {
            Some(breached) if breached.contains(prepared.as_bytes())? => {
                Err(PasswordRejection::Breached.into())
            }
            _ => Ok(prepared),
        }
    }

    /// Everything but the file.
    fn judge(
        &self,
        password: &str,
        owner: &PasswordOwner<'_>,
    ) -> Result<Zeroizing<String>, PasswordRejection> {
        let prepared = prepare::for_setting(password)?;
        let has = prepared.chars().count();
        if has < usize::from(self.least) {
            return Err(PasswordRejection::TooShort { has, least: self.least });
        }
        if has > usize::from(self.most) {
            return Err(PasswordRejection::TooLong { has, most: self.most });
        }
        let folded = Zeroizing::new(prepared.to_lowercase());
        if common::is_predictable(&folded) {
            return Err(PasswordRejection::Predictable);
        }
        if let Some(known) = personal(&folded, owner) {
            return Err(PasswordRejection::Personal(known));
        }
        if common::is_common(&folded) {
            return Err(PasswordRejection::Common);
        }
        Ok(prepared)
    }
}

/// What of its owner the password consists of, if little else is in it.
fn personal(folded: &str, owner: &PasswordOwner<'_>) -> Option<String> {
    let known = known_of(owner);
    let mut rest = Zeroizing::new(folded.to_owned());
    for word in &known {
        rest = Zeroizing::new(rest.replace(word.as_str(), ""));
    }
    let used = known.into_iter().find(|word| folded.contains(word.as_str()))?;
    (common::unguessed(&rest) < LEAST_UNGUESSED).then_some(used)
}

/// Words of three characters and more that others know of the owner, the longest first.
fn known_of(owner: &PasswordOwner<'_>) -> Vec<String> {
    let mut texts = Vec::new();
    for address in owner.addresses {
        texts.push(address.to_string());
        texts.push(address.domain.to_unicode());
        texts.extend(address.domain.as_str().split('.').map(str::to_owned));
        texts.push(address.local_part.as_str().to_owned());
        texts.extend(words(address.local_part.as_str()));
    }
    if let Some(name) = owner.name {
        texts.push(name.to_owned());
        texts.push(words(name).collect());
        texts.extend(words(name));
    }
    let mut known: Vec<String> = texts
        .iter()
        .map(|text| String::from_utf8_lossy(&prepare::for_check(text.as_bytes())).to_lowercase())
        .filter(|word| word.chars().count() >= 3)
        .collect();
    known.sort_by(|one, two| two.len().cmp(&one.len()).then(one.cmp(two)));
    known.dedup();
    known
}

fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hikyaku_testkit::SeededRandom;
    use hikyaku_types::Random;
    use proptest::prelude::*;

    fn judge(password: &str) -> Result<(), PasswordRejection> {
        let addresses = [
            Address::parse("ann.smith@example.org").unwrap(),
            Address::parse("info@xn--bcher-kva.example").unwrap(),
        ];
        let owner = PasswordOwner { addresses: &addresses, name: Some("Ann Müller-Smith 田中花子") };
        PasswordPolicy::default().judge(password, &owner).map(|_| ())
    }

    #[test]
    fn good_passwords() {
        for password in [
            "correct horse battery staple",
            "xK9#mQ2$vL",
            "Der Mond ist aufgegangen",
            "lamp-river-canto",
            "すもももももももものうち桃",
            "吾輩は猫である名前はまだ",
            "ann likes purple bicycles",
            "example.org but with a long tail",
            "password manager made vq7t0zh3kd",
            "tr0ub4dor&3-trombone",
            "7391 4420 8856 0317",
        ] {
            assert_eq!(judge(password), Ok(()), "{password}");
        }
    }

    #[test]
    fn lengths() {
        assert_eq!(judge("xK9#mQ2$v"), Err(PasswordRejection::TooShort { has: 9, least: 10 }));
        assert_eq!(judge(""), Err(PasswordRejection::Unprepared(Unprepared::Empty)));
        assert!(matches!(judge("tab\tand more of it"), Err(PasswordRejection::Unprepared(_))));
        let long: String = "xK9#mQ2$vL".chars().cycle().take(257).collect();
        assert_eq!(judge(&long), Err(PasswordRejection::TooLong { has: 257, most: 256 }));
        // Three letters and their accents are three characters.
        assert_eq!(judge("e\u{301}o\u{302}a\u{300}"), Err(PasswordRejection::TooShort { has: 3, least: 10 }));
    }

    #[test]
    fn predictable_passwords() {
        for password in [
            "aaaaaaaaaaaa",
            "abababababab",
            "1234567890",
            "0987654321",
            "abcdefghijkl",
            "zyxwvutsrqponm",
            "qwertyuiop",
            "QWERTYUIOPasdf",
            "qwertzuiopü",
            "azertyuiopq",
            "1q2w3e4r5t6y",
            "1qaz2wsx3edc",
            "112233445566",
            "abc123abc123",
            "passwordpassword",
            "xyxyxyxyxyxyxyxz",
            "ああああああああああ",
        ] {
            assert_eq!(judge(password), Err(PasswordRejection::Predictable), "{password}");
        }
    }

    #[test]
    fn common_passwords() {
        for password in [
            "password123",
            "Password1234!",
            "P@ssw0rd2026",
            "!!password!!",
            "sunshinesunshine",
            "password12345678",
            "pass-word-99",
            "iloveyou2025",
            "Welcome2026!",
            "sunshine1999",
            "letmein12345",
            "Passwort2026",
            "contraseña12",
            "motdepasse75",
            "パスワード12345",
            "sakura2026!",
            "Administrator1",
            "Sommer2026!!",
        ] {
            assert_eq!(judge(password), Err(PasswordRejection::Common), "{password}");
        }
    }

    #[test]
    fn passwords_about_their_owner() {
        for (password, known) in [
            ("ann.smith@example.org", "ann.smith@example.org"),
            ("Ann.Smith2026", "ann.smith"),
            ("AnnSmith-123!", "smith"),
            ("smith#smith#1", "smith"),
            ("example.org2026", "example.org"),
            ("Example-2026!", "example"),
            ("müller1984!!", "müller"),
            ("mu\u{308}ller1984!!", "müller"),
            ("田中花子202612", "田中花子"),
            ("bücher.example1", "bücher.example"),
        ] {
            assert_eq!(judge(password), Err(PasswordRejection::Personal(known.to_owned())), "{password}");
        }
    }

    #[test]
    fn rejections_say_what_to_do() {
        assert_eq!(
            judge("short").unwrap_err().to_string(),
            "the password has 5 characters: use at least 10, for example four words that have nothing to do with each other"
        );
        for password in ["password123", "1234567890", "Ann.Smith2026"] {
            let text = judge(password).unwrap_err().to_string();
            assert!(text.contains(": use ") && !text.contains(password), "{text}");
        }
    }

    #[test]
    fn bounds_of_policies() {
        assert_eq!(PasswordPolicy::new(8, 256).map(|policy| (policy.least(), policy.most())), Ok((8, 256)));
        for (least, most) in [(7, 256), (65, 256), (8, 63), (8, 257)] {
            assert_eq!(PasswordPolicy::new(least, most), Err(PolicyBounds { least, most }));
        }
        let strict = PasswordPolicy::new(16, 64).unwrap();
        assert!(strict.judge("lamp-river-can", &PasswordOwner::default()).is_err());
    }

    #[test]
    fn breached_passwords_are_rejected() {
        use std::io::Write;
        let mut file = tempfile::NamedTempFile::new().unwrap();
        // printf 'lamp-river-canto' | sha1sum
        file.write_all(b"2310870600618615608C6686F5A2BE266119BC86:3\n").unwrap();
        let breached = BreachedPasswords::open(file.path()).unwrap();
        let check =
            |password| PasswordPolicy::default().check(password, &PasswordOwner::default(), Some(&breached));
        assert!(matches!(check("lamp-river-canto"), Err(PolicyError::Rejected(PasswordRejection::Breached))));
        assert_eq!(check("lamp-river-cantos").unwrap().as_str(), "lamp-river-cantos");
        assert!(matches!(check("password123"), Err(PolicyError::Rejected(PasswordRejection::Common))));
    }

    proptest! {
        #[test]
        fn what_is_taken_is_taken_again(text in "\\PC{0,40}") {
            let policy = PasswordPolicy::default();
            if let Ok(prepared) = policy.judge(&text, &PasswordOwner::default()) {
                prop_assert!((10..=256).contains(&prepared.chars().count()));
                prop_assert_eq!(&policy.judge(&prepared, &PasswordOwner::default()).unwrap(), &prepared);
            }
        }

        #[test]
        fn a_common_word_with_a_year_is_not(year in 1950u32..2030, mark in "[!.#]?") {
            let text = format!("Sunshine{year}{mark}");
            prop_assert_eq!(judge(&text), Err(PasswordRejection::Common));
        }
    }

    #[test]
    fn random_passwords_are_taken() {
        const LETTERS: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
        let random = SeededRandom::new(11);
        for _ in 0..2_000 {
            let mut bytes = [0u8; 16];
            random.fill(&mut bytes);
            let text: String =
                bytes.iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect();
            assert_eq!(judge(&text), Ok(()), "{text}");
        }
    }
}
