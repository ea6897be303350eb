//! crypt(3) `$1$`: a thousand rounds of MD5, as FreeBSD's libcrypt did them first.
//!
//! Broken as a hash for new passwords (a graphics card tries millions a second); checked so
//! that old accounts can come with their passwords and get a better hash.

use std::fmt;

use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

use super::{HashScheme, PasswordError, crypt64};

const ROUNDS: u32 = 1000;

const MAX_SALT: usize = 8;

const ORDER: [&[usize]; 6] = [&[0, 6, 12], &[1, 7, 13], &[2, 8, 14], &[3, 9, 15], &[4, 10, 5], &[11]];

pub(super) struct Hash {
    salt: Box<str>,
    hash: Box<str>,
}

const MALFORMED: PasswordError = PasswordError::Malformed {
    scheme: HashScheme::Md5Crypt.name(),
    expected: "expected $1$, up to 8 characters of salt, $, and 22 characters of ./0-9A-Za-z",
};

impl Hash {
    pub(super) fn parse(text: &str) -> Result<Self, PasswordError> {
        let rest = text.strip_prefix("$1$").ok_or(MALFORMED)?;
        let (salt, hash) = rest.split_once('$').ok_or(MALFORMED)?;
        let well_formed = crypt64::is_salt(salt, MAX_SALT) && hash.len() == 22 && crypt64::is_encoded(hash);
        if well_formed { Ok(Self { salt: salt.into(), hash: hash.into() }) } else { Err(MALFORMED) }
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let computed = crypt64::encode(&digest(password, self.salt.as_bytes()), &ORDER);
        computed.as_bytes().ct_eq(self.hash.as_bytes()).into()
    }
}

fn digest(password: &[u8], salt: &[u8]) -> [u8; 16] {
    let mut digest = first(password, salt);
    for round in 0..ROUNDS {
        let mut md5 = Md5::new();
        let odd = round % 2 == 1;
        md5.update(if odd { password } else { &digest });
        if round % 3 != 0 {
            md5.update(salt);
        }
        if round % 7 != 0 {
            md5.update(password);
        }
        md5.update(if odd { &digest } else { password });
        digest = md5.finalize().into();
    }
    digest
}

/// What the rounds begin with.
fn first(password: &[u8], salt: &[u8]) -> [u8; 16] {
    let inner = Md5::new().chain_update(password).chain_update(salt).chain_update(password).finalize();
    let mut md5 = Md5::new().chain_update(password).chain_update(b"$1$").chain_update(salt);
    for chunk in password.chunks(inner.len()) {
        md5.update(&inner[..chunk.len()]);
    }
    // For each bit of the length, the low one first: a NUL for 1, the password's first octet
    // for 0. The author meant something else; the hashes are as they are.
    let mut length = password.len();
    while length > 0 {
        md5.update(if length & 1 == 1 { &[0] } else { password.get(..1).unwrap_or_default() });
        length >>= 1;
    }
    md5.finalize().into()
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "$1${}${}", self.salt, self.hash)
    }
}
