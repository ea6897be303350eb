//! Keyed hashes of what must not be stored: passwords that were wrong, names without an account,
//! and recovery codes.
//!
//! The key is made from a secret of the control database, which the access database does not
//! have. That of passwords changes each month.

use std::time::Duration;

use hikyaku_access::facts::Tag;
use hikyaku_store::{Store, StoreError, platform_secret};
use hikyaku_types::{Random, TenantId, Timestamp};

/// How long equal passwords have equal tags.
const MONTH: Duration = Duration::from_secs(30 * 86_400);

/// The keys of one platform.
pub(crate) struct Key([u8; 32]);

impl Key {
    /// The platform's, made when it is first asked for.
    pub(crate) async fn open(store: &Store, random: &dyn Random) -> Result<Self, StoreError> {
        let secret = platform_secret(store, "sign-in", random).await?;
        Ok(Self(blake3::derive_key("hikyaku 2026-11-24 sign-in tags and names", &secret)))
    }

    /// Tells equal passwords from different ones.
    pub(crate) fn tag(&self, password: &[u8], now: Timestamp) -> Tag {
        let month = now.as_secs() / i64::try_from(MONTH.as_secs()).unwrap_or(i64::MAX);
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(b"password").update(&month.to_be_bytes()).update(password);
        let [a, b, c, d, ..] = *hasher.finalize().as_bytes();
        Tag(u32::from_be_bytes([a, b, c, d]))
    }

    /// What is stored of a tenant's recovery code.
    pub(crate) fn recovery(&self, tenant: TenantId, code: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(b"recovery").update(&tenant.as_i64().to_be_bytes()).update(code);
        hasher.finalize()
    }

    /// Tells equal names from different ones, however they are written.
    pub(crate) fn name(&self, name: &str) -> u64 {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(b"name").update(name.trim().to_lowercase().as_bytes());
        let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_passwords_have_equal_tags_for_a_while() {
        let (key, other) = (Key([1; 32]), Key([2; 32]));
        let now = Timestamp::from_secs(1_795_521_600);
        assert_eq!(key.tag(b"secret", now), key.tag(b"secret", now.after(Duration::from_secs(60))));
        assert_ne!(key.tag(b"secret", now), key.tag(b"Secret", now));
        assert_ne!(key.tag(b"secret", now), other.tag(b"secret", now));
        assert_ne!(key.tag(b"secret", now), key.tag(b"secret", now.after(MONTH)));
    }

    #[test]
    fn names_are_the_same_in_any_case() {
        let key = Key([1; 32]);
        assert_eq!(key.name("Nobody@Example.org "), key.name("nobody@example.org"));
        assert_ne!(key.name("nobody@example.org"), key.name("nobody@example.com"));
    }
}
