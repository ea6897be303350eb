//! What is stored to check SCRAM: salt, iteration count, StoredKey and ServerKey.
//!
//! Standards: RFC 5802 section 3 (the keys), RFC 7677 section 4 (at least 4096 iterations),
//! RFC 5803 (how it is written): `SCRAM-SHA-256$4096:salt$StoredKey:ServerKey`.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use pbkdf2::pbkdf2_hmac_array;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::super::AppPassword;
use super::message::PROOF_OCTETS;

/// App passwords have 140 random bits: more iterations would add nothing.
pub(super) const ITERATIONS: u32 = 4096;

/// The most iterations that a client is asked for.
const MAX_ITERATIONS: u32 = 1_000_000;

/// A salt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Salt([u8; 16]);

/// Where salts come from: each name has one, which only the platform's secret can tell.
///
/// An account takes the salt of its main address, so that a name looks the same before it has
/// an app password, while it has one, and if there is no such account at all.
#[derive(Clone)]
pub struct Salts([u8; 32]);

/// StoredKey and ServerKey.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    stored_key: [u8; 32],
    pub(super) server_key: [u8; 32],
}

/// What is stored of one app password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    /// The account's salt.
    pub salt: Salt,
    /// Iterations of PBKDF2.
    pub iterations: u32,
    /// The keys.
    pub keys: Keys,
}

/// A text is no verifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no verifier: expected SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey")]
pub struct NoVerifier;

impl Salt {
    /// These octets.
    pub const fn from_bytes(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// Its octets.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl Salts {
    /// The salts that follow from the platform's secret.
    pub fn derive(platform_secret: &[u8]) -> Self {
        Self(blake3::derive_key("hikyaku directory 2026: SCRAM salts", platform_secret))
    }

    /// The salt of a name: the key of an address, or whatever else the client said.
    pub fn of(&self, name: &str) -> Salt {
        let mut salt = [0; 16];
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(name.as_bytes()).finalize_xof().fill(&mut salt);
        Salt(salt)
    }
}

impl fmt::Debug for Salts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salts(…)")
    }
}

impl Verifier {
    /// The verifier of an app password. Takes about two milliseconds.
    pub fn of(password: &AppPassword, salt: Salt) -> Self {
        Self::of_text(&password.to_text(), salt)
    }

    pub(super) fn of_text(password: &str, salt: Salt) -> Self {
        let salted = pbkdf2_hmac_array::<Sha256, 32>(password.as_bytes(), &salt.0, ITERATIONS);
        let client_key = hmac(&salted, b"Client Key");
        let keys =
            Keys { stored_key: Sha256::digest(client_key).into(), server_key: hmac(&salted, b"Server Key") };
        Self { salt, iterations: ITERATIONS, keys }
    }
}

impl Keys {
    /// Is `proof` made of the password, for what was `signed`?
    pub(super) fn prove(&self, signed: &[u8], proof: &[u8; PROOF_OCTETS]) -> bool {
        let mut client_key = hmac(&self.stored_key, signed);
        client_key.iter_mut().zip(proof).for_each(|(octet, proof)| *octet ^= proof);
        Sha256::digest(client_key).ct_eq(&self.stored_key).into()
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(…)")
    }
}

pub(super) fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.chain_update(message).finalize().into_bytes().into()
}

/// As RFC 5803 writes it: for the column.
impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [salt, stored, server] = [&self.salt.0[..], &self.keys.stored_key, &self.keys.server_key]
            .map(|octets| STANDARD.encode(octets));
        write!(f, "SCRAM-SHA-256${}:{salt}${stored}:{server}", self.iterations)
    }
}

impl FromStr for Verifier {
    type Err = NoVerifier;
    fn from_str(text: &str) -> Result<Self, NoVerifier> {
        let rest = text.strip_prefix("SCRAM-SHA-256$").ok_or(NoVerifier)?;
        let (left, right) = rest.split_once('$').ok_or(NoVerifier)?;
        let (iterations, salt) = left.split_once(':').ok_or(NoVerifier)?;
        let (stored, server) = right.split_once(':').ok_or(NoVerifier)?;
        // `u32::from_str` would take `+4096`.
        let is_number = !iterations.starts_with(['+', '0']);
        let iterations: u32 = iterations.parse().ok().filter(|_| is_number).ok_or(NoVerifier)?;
        if !(ITERATIONS..=MAX_ITERATIONS).contains(&iterations) {
            return Err(NoVerifier);
        }
        let keys = Keys { stored_key: octets(stored)?, server_key: octets(server)? };
        Ok(Self { salt: Salt(octets(salt)?), iterations, keys })
    }
}

fn octets<const N: usize>(text: &str) -> Result<[u8; N], NoVerifier> {
    STANDARD.decode(text).ok().and_then(|octets| octets.try_into().ok()).ok_or(NoVerifier)
}
