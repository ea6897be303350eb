//! PBKDF2 as Dovecot writes it: `{PBKDF2}$1$salt$rounds$hash`, with HMAC-SHA-1, the salt as
//! text and the hash as 40 hexadecimal digits.
//!
//! Standards: RFC 8018 section 5.2. The `1` is Dovecot's number for SHA-1, its only one.

use std::fmt;

use pbkdf2::pbkdf2_hmac_array;
use sha1::Sha1;
use subtle::ConstantTimeEq;

use super::{HashScheme, PasswordError, bounded, crypt64, hex, number};

/// About a second.
const MAX_ROUNDS: u64 = 2_000_000;

const MAX_SALT: usize = 64;

pub(super) struct Hash {
    salt: Box<str>,
    rounds: u32,
    hash: [u8; 20],
}

const MALFORMED: PasswordError = PasswordError::Malformed {
    scheme: HashScheme::Pbkdf2.name(),
    expected: "expected {PBKDF2}$1$, salt, $, rounds, $, and 40 hexadecimal digits",
};

impl Hash {
    pub(super) fn parse(text: &str) -> Result<Self, PasswordError> {
        let parts: Vec<&str> = text.split('$').collect();
        let ["", "1", salt, rounds, hash] = parts[..] else { return Err(MALFORMED) };
        let hash = hex(hash).and_then(|hash| hash.try_into().ok()).ok_or(MALFORMED)?;
        let rounds = number(rounds).ok_or(MALFORMED)?;
        if !crypt64::is_salt(salt, MAX_SALT) {
            return Err(MALFORMED);
        }
        bounded(HashScheme::Pbkdf2.name(), "rounds", rounds, 1..=MAX_ROUNDS)?;
        let rounds = u32::try_from(rounds).map_err(|_| MALFORMED)?;
        Ok(Self { salt: salt.into(), rounds, hash })
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let computed: [u8; 20] = pbkdf2_hmac_array::<Sha1, 20>(password, self.salt.as_bytes(), self.rounds);
        computed.ct_eq(&self.hash).into()
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{PBKDF2}}$1${}${}$", self.salt, self.rounds)?;
        self.hash.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}
