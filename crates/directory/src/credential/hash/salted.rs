//! `{SSHA}`, `{SSHA256}`, `{SSHA512}`: one SHA over password and salt, then the salt, in
//! base64. LDAP servers began it (RFC 2307 has it without the salt).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq;

use super::{HashScheme, PasswordError, octets};

const MAX_SALT: usize = 64;

pub(super) struct Hash {
    scheme: HashScheme,
    /// Digest, then salt.
    octets: Box<[u8]>,
}

impl Hash {
    /// `scheme` is one of the three names.
    pub(super) fn parse(scheme: &str, encoding: Option<&str>, data: &str) -> Result<Self, PasswordError> {
        let scheme = match scheme {
            "SSHA512" => HashScheme::Ssha512,
            "SSHA256" => HashScheme::Ssha256,
            _ => HashScheme::Ssha,
        };
        let octets = octets(encoding.unwrap_or("B64"), data).filter(|octets| {
            let salt = octets.len().saturating_sub(digest_octets(scheme));
            (1..=MAX_SALT).contains(&salt)
        });
        let octets = octets.ok_or(PasswordError::Malformed {
            scheme: scheme.name(),
            expected: "expected base64, or .hex, of the digest and 1 to 64 octets of salt",
        })?;
        Ok(Self { scheme, octets: octets.into() })
    }

    pub(super) fn scheme(&self) -> HashScheme {
        self.scheme
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let (digest, salt) = self.octets.split_at(digest_octets(self.scheme));
        match self.scheme {
            HashScheme::Ssha512 => {
                Sha512::new().chain_update(password).chain_update(salt).finalize().ct_eq(digest)
            }
            HashScheme::Ssha256 => {
                Sha256::new().chain_update(password).chain_update(salt).finalize().ct_eq(digest)
            }
            _ => Sha1::new().chain_update(password).chain_update(salt).finalize().ct_eq(digest),
        }
        .into()
    }
}

fn digest_octets(scheme: HashScheme) -> usize {
    match scheme {
        HashScheme::Ssha512 => 64,
        HashScheme::Ssha256 => 32,
        _ => 20,
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}{}", self.scheme.name(), STANDARD.encode(&self.octets))
    }
}
