//! Argon2id and Argon2i in PHC string format: `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`.
//!
//! Standards: RFC 9106; the PHC string format.

use std::fmt;

use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};

use super::{HashScheme, PasswordError, bounded};

/// Octets of our salts.
pub(in crate::credential) const SALT_OCTETS: usize = 16;

/// Octets of our hashes.
const HASH_OCTETS: usize = 32;

/// The most memory in KiB: a pool of n needs n times as much at the worst.
const MAX_MEMORY_KIB: u64 = 256 * 1024;

/// The most KiB times passes: about a second of one core.
const MAX_WORK: u64 = 1024 * 1024;

const MAX_LANES: u64 = 16;

pub(super) struct Hash {
    phc: Phc,
    algorithm: Algorithm,
    params: Params,
}

/// The text of a new hash.
pub(super) fn hash(password: &[u8], salt: &[u8; SALT_OCTETS]) -> Result<String, PasswordError> {
    let hash = Argon2::default().hash_password_with_salt(password, salt);
    hash.map(|hash| hash.to_string()).map_err(|error| PasswordError::Hashing(error.to_string()))
}

fn malformed(scheme: &'static str) -> PasswordError {
    PasswordError::Malformed { scheme, expected: "expected $argon2id$v=19$m=…,t=…,p=…$salt$hash" }
}

impl Hash {
    pub(super) fn parse(text: &str) -> Result<Self, PasswordError> {
        let phc = Phc::new(text).map_err(|_| malformed("ARGON2"))?;
        let algorithm = Algorithm::try_from(phc.algorithm.as_str()).map_err(|_| malformed("ARGON2"))?;
        let scheme = scheme_of(algorithm).name();
        let version = phc.version.and_then(|version| Version::try_from(version).ok());
        let params = Params::try_from(&phc).map_err(|_| malformed(scheme))?;
        if version.is_none() || phc.salt.is_none() || phc.hash.is_none() {
            return Err(malformed(scheme));
        }
        let memory = u64::from(params.m_cost());
        bounded(scheme, "memory in KiB", memory, 8..=MAX_MEMORY_KIB)?;
        let work = memory.saturating_mul(u64::from(params.t_cost()));
        bounded(scheme, "memory times passes", work, 8..=MAX_WORK)?;
        bounded(scheme, "lanes", u64::from(params.p_cost()), 1..=MAX_LANES)?;
        Ok(Self { phc, algorithm, params })
    }

    pub(super) fn scheme(&self) -> HashScheme {
        scheme_of(self.algorithm)
    }

    /// Is it Argon2id, and costs at least as much as a new one?
    pub(super) fn is_as_strong_as_ours(&self) -> bool {
        let (own, ours) = (&self.params, Params::DEFAULT);
        self.algorithm == Algorithm::Argon2id
            && self.phc.version == Some(Version::V0x13.into())
            && own.m_cost() >= ours.m_cost()
            && own.t_cost() >= ours.t_cost()
            && self.phc.hash.as_ref().is_some_and(|hash| hash.len() >= HASH_OCTETS)
            && self.phc.salt.as_ref().is_some_and(|salt| salt.len() >= SALT_OCTETS)
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        Argon2::default().verify_password(password, &self.phc).is_ok()
    }
}

fn scheme_of(algorithm: Algorithm) -> HashScheme {
    if algorithm == Algorithm::Argon2id { HashScheme::Argon2id } else { HashScheme::Argon2i }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.phc.fmt(f)
    }
}
