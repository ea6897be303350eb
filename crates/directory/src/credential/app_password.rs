//! App passwords: secrets that we make, one for each program or device. API keys are the same
//! thing with the entrance [`Entrance::Api`].
//!
//! An app password is 36 digits of Crockford's base 32 in groups of four:
//! `k7m2-pqx9-…`. The first eight are its public [`LookupId`], by which one indexed read finds
//! its record; the other 28 are 140 random bits. Since nobody can guess those, a fast keyed
//! hash keeps them: no Argon2id, no cache.
//!
//! Invariants:
//! - the secret digits are shown once, when it is made; what is stored is a hash keyed with a
//!   secret of the platform, so that a stolen table alone can check nothing;
//! - the hash covers the lookup id, so a digest cannot be moved to another record;
//! - it is compared in constant time.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use hikyaku_types::{Network, Random, Timestamp};
use zeroize::{Zeroize, Zeroizing};

use super::services::{Entrance, Services};

/// Digits of Crockford's base 32: no `i`, `l`, `o`, `u`.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

const ID_DIGITS: usize = 8;
const ALL_DIGITS: usize = 36;
const GROUP: usize = 4;

/// More octets than anybody types for an app password, spaces included.
const MAX_TEXT_OCTETS: usize = 256;

/// How old a last use must be before the next one is worth a write.
const LAST_USE_EVERY: Duration = Duration::from_secs(3600);

/// The public part of an app password: `k7m2pqx9`. 40 random bits, so the table's primary key
/// must refuse a second one, and another is drawn.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LookupId([u8; ID_DIGITS]);

/// An app password. It is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct AppPassword([u8; ALL_DIGITS]);

/// The key of the stored hashes. Derived anew at each start from the platform's secret.
#[derive(Clone)]
pub struct AppPasswordKey([u8; 32]);

/// What is stored of an app password's secret.
#[derive(Clone, Copy)]
pub struct AppPasswordDigest(blake3::Hash);

/// What is stored of an app password.
#[derive(Debug, Clone)]
pub struct AppPasswordRecord {
    /// What finds it.
    pub id: LookupId,
    /// What checks it.
    pub digest: AppPasswordDigest,
    /// What its owner calls it: `phone`.
    pub name: Box<str>,
    /// Where it may sign in.
    pub services: Services,
    /// From where; empty means from everywhere.
    pub sources: Box<[Network]>,
    /// From when on it is nothing.
    pub expires: Option<Timestamp>,
    /// When it last signed in.
    pub last_use: Option<LastUse>,
}

/// A sign-in, as its owner sees it in the list of app passwords.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastUse {
    /// When.
    pub at: Timestamp,
    /// From where.
    pub source: IpAddr,
    /// To what.
    pub entrance: Entrance,
}

/// Why a right app password does not sign in. For the log and the owner, never for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppPasswordRefusal {
    /// Its time is over.
    #[error("the app password has expired")]
    Expired,
    /// It is for other services.
    #[error("the app password is not for {}", .0.name())]
    Entrance(Entrance),
    /// It is for other networks.
    #[error("the app password is not for {0}")]
    Source(IpAddr),
}

impl LookupId {
    /// Reads an id from its column.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: [u8; ID_DIGITS] = text.as_bytes().try_into().ok()?;
        digits.iter().all(|digit| DIGITS.contains(digit)).then_some(Self(digits))
    }

    /// As it stands in a column.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("digits are ASCII")
    }
}

impl fmt::Display for LookupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for LookupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl AppPassword {
    /// A new one.
    pub fn new(random: &dyn Random) -> Self {
        let mut digits = [0u8; ALL_DIGITS];
        random.fill(&mut digits);
        Self(digits.map(|byte| DIGITS[usize::from(byte & 31)]))
    }

    /// Reads what somebody typed. Spaces, dashes and upper case do not matter, nor do the
    /// look-alikes of Crockford's alphabet (`O` is 0, `I` and `L` are 1) and the wide letters
    /// of Japanese keyboards.
    ///
    /// `None` means: it is no app password, though it may be somebody's own password.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = str::from_utf8(text).ok().filter(|text| text.len() <= MAX_TEXT_OCTETS)?;
        let mut password = Self([0; ALL_DIGITS]);
        let mut typed = text.chars().filter(|c| !is_separator(*c)).map(digit);
        for place in &mut password.0 {
            *place = typed.next()??;
        }
        typed.next().is_none().then_some(password)
    }

    /// As it is shown to its owner, once. A client that signs in by SCRAM must be given
    /// exactly this.
    pub fn to_text(&self) -> Zeroizing<String> {
        let groups = self.0.chunks(GROUP).map(|group| str::from_utf8(group).expect("digits are ASCII"));
        let mut text = Zeroizing::new(String::with_capacity(ALL_DIGITS + ALL_DIGITS / GROUP));
        for (index, group) in groups.enumerate() {
            text.push_str(if index == 0 { "" } else { "-" });
            text.push_str(group);
        }
        text
    }

    /// Its public part.
    pub fn id(&self) -> LookupId {
        let mut id = [0; ID_DIGITS];
        id.copy_from_slice(&self.0[..ID_DIGITS]);
        LookupId(id)
    }
}

/// What people and programs put between the groups.
fn is_separator(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{30fc}' | '\u{ff0d}' | '\u{ff70}')
}

/// The digit that was meant.
fn digit(c: char) -> Option<u8> {
    let narrow = match u32::from(c) {
        wide @ 0xff01..=0xff5e => u8::try_from(wide - 0xfee0).ok()?,
        other => u8::try_from(other).ok()?,
    };
    let meant = match narrow.to_ascii_lowercase() {
        b'o' => b'0',
        b'i' | b'l' => b'1',
        other => other,
    };
    DIGITS.contains(&meant).then_some(meant)
}

/// Shows the public part only.
impl fmt::Debug for AppPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AppPassword({}…)", self.id())
    }
}

impl Drop for AppPassword {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl AppPasswordKey {
    /// The key that follows from the platform's secret, which has at least 32 random octets.
    pub fn derive(platform_secret: &[u8]) -> Self {
        Self(blake3::derive_key("hikyaku directory 2026: app passwords", platform_secret))
    }

    /// What is stored of `password`.
    pub fn digest(&self, password: &AppPassword) -> AppPasswordDigest {
        AppPasswordDigest(blake3::keyed_hash(&self.0, &password.0))
    }
}

impl fmt::Debug for AppPasswordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppPasswordKey(…)")
    }
}

impl AppPasswordDigest {
    /// The digest of a column.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes.into())
    }

    /// As it stands in a column.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for AppPasswordDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppPasswordDigest(…)")
    }
}

impl AppPasswordRecord {
    /// Is this the app password?
    pub fn is_of(&self, key: &AppPasswordKey, password: &AppPassword) -> bool {
        // `blake3::Hash` compares in constant time.
        key.digest(password).0 == self.digest.0
    }

    /// May it be used so? Asked after [`AppPasswordRecord::is_of`] or SCRAM, so that only its
    /// owner is told.
    ///
    /// # Errors
    /// [`AppPasswordRefusal`].
    pub fn admits(&self, attempt: &LastUse) -> Result<(), AppPasswordRefusal> {
        if self.expires.is_some_and(|expires| expires <= attempt.at) {
            return Err(AppPasswordRefusal::Expired);
        }
        if !self.services.contains(attempt.entrance) {
            return Err(AppPasswordRefusal::Entrance(attempt.entrance));
        }
        let from_there = self.sources.iter().any(|network| network.contains(attempt.source));
        if self.sources.is_empty() || from_there {
            Ok(())
        } else {
            Err(AppPasswordRefusal::Source(attempt.source))
        }
    }

    /// Should this use be written down? Once an hour is often enough for a list.
    pub fn is_worth_noting(&self, attempt: &LastUse) -> bool {
        self.last_use.is_none_or(|last| attempt.at.since(last.at) >= LAST_USE_EVERY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hikyaku_testkit::SeededRandom;
    use proptest::prelude::*;

    fn key() -> AppPasswordKey {
        AppPasswordKey::derive(&[7; 32])
    }

    fn record(password: &AppPassword) -> AppPasswordRecord {
        AppPasswordRecord {
            id: password.id(),
            digest: key().digest(password),
            name: "phone".into(),
            services: Services::MAIL_PROGRAM,
            sources: [].into(),
            expires: None,
            last_use: None,
        }
    }

    fn attempt(at: i64, source: &str, entrance: Entrance) -> LastUse {
        LastUse { at: Timestamp::from_secs(at), source: source.parse().unwrap(), entrance }
    }

    #[test]
    fn what_people_type_is_understood() {
        let password = AppPassword::parse(b"k7m2-pqx9-d4tn-0123-4567-89ab-cdef-ghjk-1010").unwrap();
        assert_eq!(password.id().as_str(), "k7m2pqx9");
        for typed in [
            "k7m2pqx9d4tn0123456789abcdefghjk1010",
            "K7M2 PQX9 D4TN 0123 4567 89AB CDEF GHJK 1010",
            " k7m2\u{2013}pqx9\u{2014}d4tn-0123--4567-89ab-cdef-ghjk-1010\n",
            "k7m2-pqx9-d4tn-O123-4567-89ab-cdef-ghjk-lOiO",
            "ｋ７Ｍ２－ｐｑｘ９ーｄ４ｔｎ　0123-4567-89ab-cdef-ghjk-1010",
        ] {
            assert_eq!(AppPassword::parse(typed.as_bytes()).as_ref(), Some(&password), "{typed}");
        }
        for text in [
            "",
            "correct horse",
            "k7m2-pqx9-d4tn-0123-4567-89ab-cdef-ghjk-101",
            "k7m2-pqx9-d4tn-0123-4567-89ab-cdef-ghjk-10100",
            "k7m2-pqx9-d4tn-0123-4567-89ab-cdef-ghjk-101u",
            "k7m2_pqx9_d4tn_0123_4567_89ab_cdef_ghjk_1010",
            "k7m2-pqx9-d4tn-0123-4567-89ab-cdef-ghjk-101é",
        ] {
            assert_eq!(AppPassword::parse(text.as_bytes()), None, "{text}");
        }
        let padded = format!("{}{}", " ".repeat(300), "k7m2-pqx9-d4tn-0123-4567-89ab-cdef-ghjk-1010");
        assert_eq!(AppPassword::parse(padded.as_bytes()), None);
        assert_eq!(AppPassword::parse(b"\xff"), None);
    }

    #[test]
    fn only_the_very_secret_with_the_very_key_is_right() {
        let random = SeededRandom::new(1);
        let (password, other) = (AppPassword::new(&random), AppPassword::new(&random));
        let record = record(&password);
        assert!(record.is_of(&key(), &password));
        assert!(!record.is_of(&key(), &other));
        assert!(!record.is_of(&AppPasswordKey::derive(&[8; 32]), &password));
        for place in 0..ALL_DIGITS {
            let mut digits = password.0;
            digits[place] = if digits[place] == b'0' { b'1' } else { b'0' };
            assert!(!record.is_of(&key(), &AppPassword(digits)), "digit {place} counts");
        }
        let stored = AppPasswordDigest::from_bytes(*record.digest.as_bytes());
        assert!(AppPasswordRecord { digest: stored, ..record }.is_of(&key(), &password));
    }

    #[test]
    fn limits_of_an_app_password() {
        let password = AppPassword::new(&SeededRandom::new(2));
        let limited = AppPasswordRecord {
            sources: [Network::parse("192.0.2.0/24").unwrap()].into(),
            expires: Some(Timestamp::from_secs(100)),
            ..record(&password)
        };
        let outside: IpAddr = "198.51.100.1".parse().unwrap();
        for (attempt, expected) in [
            (attempt(99, "192.0.2.1", Entrance::Imap), Ok(())),
            (attempt(100, "192.0.2.1", Entrance::Imap), Err(AppPasswordRefusal::Expired)),
            (
                attempt(99, "192.0.2.1", Entrance::Webmail),
                Err(AppPasswordRefusal::Entrance(Entrance::Webmail)),
            ),
            (attempt(99, "198.51.100.1", Entrance::Imap), Err(AppPasswordRefusal::Source(outside))),
        ] {
            assert_eq!(limited.admits(&attempt), expected);
        }
        let free = record(&password);
        assert_eq!(free.admits(&attempt(i64::MAX / 1000, "2001:db8::1", Entrance::Pop3)), Ok(()));
        assert_eq!(
            AppPasswordRefusal::Entrance(Entrance::Api).to_string(),
            "the app password is not for api"
        );
    }

    #[test]
    fn uses_are_written_down_once_an_hour() {
        let mut record = record(&AppPassword::new(&SeededRandom::new(3)));
        let first = attempt(1000, "192.0.2.1", Entrance::Imap);
        assert!(record.is_worth_noting(&first));
        record.last_use = Some(first);
        assert!(!record.is_worth_noting(&attempt(1000 + 3599, "192.0.2.1", Entrance::Imap)));
        assert!(record.is_worth_noting(&attempt(1000 + 3600, "192.0.2.1", Entrance::Imap)));
    }

    #[test]
    fn nothing_secret_is_printed() {
        let password = AppPassword::parse(b"k7m2-pqx9-d4tn-0123-4567-89ab-cdef-ghjk-1010").unwrap();
        assert_eq!(format!("{password:?}"), "AppPassword(k7m2pqx9…)");
        let shown = format!("{:?} {:?}", record(&password), key());
        assert!(shown.contains("AppPasswordDigest(…)") && shown.contains("AppPasswordKey(…)"), "{shown}");
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read(seed in any::<u64>(), upper in any::<bool>()) {
            let password = AppPassword::new(&SeededRandom::new(seed));
            let text = password.to_text();
            let typed = if upper { text.to_uppercase() } else { text.to_string() };
            prop_assert_eq!(AppPassword::parse(typed.as_bytes()), Some(password.clone()));
            prop_assert_eq!(LookupId::parse(password.id().as_str()), Some(password.id()));
            prop_assert_eq!(text.len(), 44);
        }

        #[test]
        fn any_octets_are_an_app_password_or_none(text in "[0-9a-zA-Z \\-ー０-９]{30,60}") {
            if let Some(password) = AppPassword::parse(text.as_bytes()) {
                prop_assert_eq!(AppPassword::parse(password.to_text().as_bytes()), Some(password));
            }
        }
    }
}
