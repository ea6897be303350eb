//! crypt(3) `$5$` and `$6$`: many rounds of SHA-256 or SHA-512.
//!
//! `$6$salt$hash` has 5000 rounds, `$6$rounds=20000$salt$hash` says how many.

use std::fmt;

use sha_crypt::{Params, sha256_crypt, sha512_crypt};
use subtle::ConstantTimeEq;

use super::{HashScheme, PasswordError, bounded, crypt64, number};

/// About a second; passlib makes hashes of 656,000.
const MAX_ROUNDS: u64 = 1_000_000;

/// Each round reads the password again, so the two are bounded together: with the most rounds
/// a password of 128 octets, with the usual 5000 any.
const MAX_OCTETS_READ: u64 = MAX_ROUNDS * 128;

const DEFAULT_ROUNDS: u32 = 5000;

const MAX_SALT: usize = 16;

const SHA256_ORDER: [&[usize]; 11] = [
    &[0, 10, 20],
    &[21, 1, 11],
    &[12, 22, 2],
    &[3, 13, 23],
    &[24, 4, 14],
    &[15, 25, 5],
    &[6, 16, 26],
    &[27, 7, 17],
    &[18, 28, 8],
    &[9, 19, 29],
    &[31, 30],
];

const SHA512_ORDER: [&[usize]; 22] = [
    &[0, 21, 42],
    &[22, 43, 1],
    &[44, 2, 23],
    &[3, 24, 45],
    &[25, 46, 4],
    &[47, 5, 26],
    &[6, 27, 48],
    &[28, 49, 7],
    &[50, 8, 29],
    &[9, 30, 51],
    &[31, 52, 10],
    &[53, 11, 32],
    &[12, 33, 54],
    &[34, 55, 13],
    &[56, 14, 35],
    &[15, 36, 57],
    &[37, 58, 16],
    &[59, 17, 38],
    &[18, 39, 60],
    &[40, 61, 19],
    &[62, 20, 41],
    &[63],
];

pub(super) struct Hash {
    scheme: HashScheme,
    rounds: u32,
    salt: Box<str>,
    hash: Box<str>,
}

impl Hash {
    pub(super) fn parse(text: &str) -> Result<Self, PasswordError> {
        let (scheme, rest) = match text.strip_prefix("$6$") {
            Some(rest) => (HashScheme::Sha512Crypt, rest),
            None => (HashScheme::Sha256Crypt, text.strip_prefix("$5$").ok_or(PasswordError::NoHash)?),
        };
        let malformed = || PasswordError::Malformed {
            scheme: scheme.name(),
            expected: "expected $6$ or $5$, rounds=…$ if they are not 5000, salt, $, hash",
        };
        let (rounds, rest) = match rest.strip_prefix("rounds=") {
            Some(rest) => {
                let (rounds, rest) = rest.split_once('$').ok_or_else(malformed)?;
                (number(rounds).ok_or_else(malformed)?, rest)
            }
            None => (u64::from(DEFAULT_ROUNDS), rest),
        };
        let (salt, hash) = rest.split_once('$').ok_or_else(malformed)?;
        let length = if scheme == HashScheme::Sha512Crypt { 86 } else { 43 };
        if !crypt64::is_salt(salt, MAX_SALT) || hash.len() != length || !crypt64::is_encoded(hash) {
            return Err(malformed());
        }
        bounded(scheme.name(), "rounds", rounds, u64::from(Params::ROUNDS_MIN)..=MAX_ROUNDS)?;
        let rounds = u32::try_from(rounds).map_err(|_| malformed())?;
        Ok(Self { scheme, rounds, salt: salt.into(), hash: hash.into() })
    }

    pub(super) fn scheme(&self) -> HashScheme {
        self.scheme
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let octets_read = u64::from(self.rounds).saturating_mul(password.len() as u64);
        let Ok(params) = Params::new(self.rounds) else { return false };
        if octets_read > MAX_OCTETS_READ {
            return false;
        }
        let salt = self.salt.as_bytes();
        let computed = match self.scheme {
            HashScheme::Sha512Crypt => crypt64::encode(&sha512_crypt(password, salt, params), &SHA512_ORDER),
            _ => crypt64::encode(&sha256_crypt(password, salt, params), &SHA256_ORDER),
        };
        computed.as_bytes().ct_eq(self.hash.as_bytes()).into()
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, rounds, salt, hash } = self;
        f.write_str(if *scheme == HashScheme::Sha512Crypt { "$6$" } else { "$5$" })?;
        if *rounds != DEFAULT_ROUNDS {
            write!(f, "rounds={rounds}$")?;
        }
        write!(f, "{salt}${hash}")
    }
}
