//! bcrypt: `$2y$05$` + 22 characters of salt + 31 characters of hash.
//!
//! The letters a, b and y tell which bugs an implementation had; without those bugs, as here,
//! the three are one. `$2x$`, made by the bug itself, is not checked.

use std::fmt;

use base64::Engine;
use base64::alphabet::BCRYPT;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{HashScheme, PasswordError, bounded};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &BCRYPT,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        // Some programs leave rubbish in the unused bits of the salt's last character.
        .with_decode_allow_trailing_bits(true),
);

/// 2^14 rounds: about a second.
const MAX_COST: u64 = 14;

/// More of a password bcrypt does not read, the NUL at its end included.
const KEY_OCTETS: usize = 72;

pub(super) struct Hash {
    minor: char,
    cost: u32,
    salt: [u8; 16],
    hash: [u8; 23],
}

const MALFORMED: PasswordError = PasswordError::Malformed {
    scheme: HashScheme::Bcrypt.name(),
    expected: "expected $2y$, two digits of cost, $, and 53 characters of ./A-Za-z0-9",
};

impl Hash {
    pub(super) fn parse(text: &str) -> Result<Self, PasswordError> {
        let parts: Vec<&str> = text.split('$').collect();
        let ["", version, cost, rest] = parts[..] else { return Err(MALFORMED) };
        let minor = version.chars().last().ok_or(MALFORMED)?;
        let is_cost = cost.len() == 2 && cost.bytes().all(|byte| byte.is_ascii_digit());
        let cost: u32 = cost.parse().ok().filter(|_| is_cost).ok_or(MALFORMED)?;
        let (salt, hash) = rest.split_at_checked(22).ok_or(MALFORMED)?;
        let salt = BASE64.decode(salt).ok().and_then(|salt| salt.try_into().ok()).ok_or(MALFORMED)?;
        let hash = BASE64.decode(hash).ok().and_then(|hash| hash.try_into().ok()).ok_or(MALFORMED)?;
        bounded(HashScheme::Bcrypt.name(), "cost", u64::from(cost), 4..=MAX_COST)?;
        Ok(Self { minor, cost, salt, hash })
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let mut key = Zeroizing::new(Vec::with_capacity(KEY_OCTETS));
        key.extend(password.iter().chain(&[0]).take(KEY_OCTETS));
        let computed = bcrypt::bcrypt(self.cost, self.salt, &key);
        computed[..self.hash.len()].ct_eq(&self.hash).into()
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { minor, cost, salt, hash } = self;
        write!(f, "$2{minor}${cost:02}${}{}", BASE64.encode(salt), BASE64.encode(hash))
    }
}
