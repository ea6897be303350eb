//! Passwords: Argon2id, in a bounded pool.
//!
//! Standards: RFC 9106 (Argon2), with the parameters of its section 4 second choice scaled
//! as OWASP recommends: 19 MiB, 2 passes, 1 lane.
//! Invariant: at most so many hashes are computed at once; each takes memory and a core.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use hikyaku_types::Random;
use tokio::sync::Semaphore;

/// A hash in PHC string format: `$argon2id$v=19$m=19456,t=2,p=1$…`.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

/// Why a hash could not be made or read.
#[derive(Debug, thiserror::Error)]
#[error("password hash: {0}")]
pub struct PasswordError(String);

impl PasswordHash {
    /// The hash of a password with a new salt. Takes tens of milliseconds.
    ///
    /// # Errors
    /// [`PasswordError`] for a password longer than Argon2 takes.
    pub fn of(password: &[u8], random: &dyn Random) -> Result<Self, PasswordError> {
        let mut salt = [0u8; 16];
        random.fill(&mut salt);
        let hash = Argon2::default().hash_password_with_salt(password, &salt);
        Ok(Self(hash.map_err(|error| PasswordError(error.to_string()))?.to_string()))
    }

    /// Reads a stored hash.
    ///
    /// # Errors
    /// [`PasswordError`] if it is not in PHC format.
    pub fn parse(text: &str) -> Result<Self, PasswordError> {
        Phc::new(text).map_err(|error| PasswordError(error.to_string()))?;
        Ok(Self(text.to_owned()))
    }

    /// The hash, to be stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn matches(&self, password: &[u8]) -> bool {
        Phc::new(&self.0).is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok())
    }
}

/// Hashes are not for logs.
impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// The pool in which passwords are checked.
#[derive(Debug, Clone)]
pub struct Passwords(Arc<Semaphore>);

impl Passwords {
    /// A pool that checks at most `at_once` passwords at the same time.
    pub fn new(at_once: usize) -> Self {
        Self(Arc::new(Semaphore::new(at_once.max(1))))
    }

    /// Is it the password? `None` if it could not be checked.
    pub async fn matches(&self, hash: &PasswordHash, password: &[u8]) -> Option<bool> {
        let permit = Arc::clone(&self.0).acquire_owned().await.ok()?;
        let (hash, password) = (hash.clone(), password.to_vec());
        let checked = tokio::task::spawn_blocking(move || {
            let matches = hash.matches(&password);
            drop(permit);
            matches
        });
        match checked.await {
            Ok(matches) => Some(matches),
            Err(error) => {
                tracing::error!(%error, "a password could not be checked");
                None
            }
        }
    }
}
