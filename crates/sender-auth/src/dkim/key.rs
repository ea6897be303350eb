//! Public keys as DNS holds them.
//!
//! Standards: RFC 6376 section 3.6.1, RFC 8301 section 3.2 (sizes), RFC 8463 section 4
//! (Ed25519).

use aws_lc_rs::digest::Digest;
use aws_lc_rs::signature::{ED25519, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Algorithm;
use crate::tags::{Tags, list_has};

/// RFC 8301 section 3.2: fewer bits are no signature.
const MIN_RSA_BITS: usize = 1024;

/// More bits cost too much to verify, and no common DNS answer holds them.
const MAX_RSA_BITS: usize = 8192;

/// A key that signatures can be verified with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    public: Public,
    /// `t=y`: the domain is only trying DKIM.
    pub testing: bool,
    /// `t=s`: the identity must have the signing domain itself, no subdomain.
    pub exact_domain: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Public {
    Rsa { der: Vec<u8>, bits: usize },
    Ed25519([u8; 32]),
}

/// Why a text is no key to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not of this form.
    #[error("the key in DNS cannot be understood")]
    Syntax,
    /// `p=` is empty.
    #[error("the key was revoked")]
    Revoked,
    /// `k=` is something else.
    #[error("the key in DNS is of another kind")]
    OtherKind,
    /// `h=` does not allow SHA-256.
    #[error("the key may not be used with this hash")]
    Hash,
    /// `s=` does not allow mail.
    #[error("the key is not for mail")]
    Service,
    /// Too few bits.
    #[error("an RSA key of {0} bits is too small")]
    TooSmall(usize),
    /// Too many bits.
    #[error("an RSA key of {0} bits is too large")]
    TooLarge(usize),
}

impl Key {
    /// Reads the text of `selector._domainkey.domain`, for a signature of this algorithm.
    pub fn parse(text: &[u8], algorithm: Algorithm) -> Result<Self, KeyError> {
        let tags = Tags::parse(text).ok_or(KeyError::Syntax)?;
        match tags.get("v") {
            None => {}
            Some(b"DKIM1") if tags.starts_with("v") => {}
            Some(_) => return Err(KeyError::Syntax),
        }
        let encoded = tags.compact("p").ok_or(KeyError::Syntax)?;
        if encoded.is_empty() {
            return Err(KeyError::Revoked);
        }
        if tags.get("h").is_some_and(|hashes| !list_has(hashes, "sha256")) {
            return Err(KeyError::Hash);
        }
        if tags.get("s").is_some_and(|services| !list_has(services, "*") && !list_has(services, "email")) {
            return Err(KeyError::Service);
        }
        if tags.get("k").unwrap_or(b"rsa") != algorithm.key_kind().as_bytes() {
            return Err(KeyError::OtherKind);
        }
        let octets = STANDARD.decode(encoded).map_err(|_| KeyError::Syntax)?;
        let flags = tags.get("t").unwrap_or_default();
        Ok(Self {
            public: Public::new(octets, algorithm)?,
            testing: list_has(flags, "y"),
            exact_domain: list_has(flags, "s"),
        })
    }

    /// Does `signature` sign this SHA-256 digest?
    pub fn verifies(&self, digest: &Digest, signature: &[u8]) -> bool {
        match &self.public {
            Public::Rsa { der, .. } => {
                UnparsedPublicKey::new(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, der)
                    .verify_digest(digest, signature)
                    .is_ok()
            }
            // RFC 8463 section 3: the digest is the message that is signed.
            Public::Ed25519(key) => {
                UnparsedPublicKey::new(&ED25519, key).verify(digest.as_ref(), signature).is_ok()
            }
        }
    }

    /// The size of the key.
    pub fn bits(&self) -> usize {
        match &self.public {
            Public::Rsa { bits, .. } => *bits,
            Public::Ed25519(_) => 256,
        }
    }
}

impl Public {
    fn new(octets: Vec<u8>, algorithm: Algorithm) -> Result<Self, KeyError> {
        match algorithm {
            Algorithm::RsaSha256 => match rsa_bits(&octets).ok_or(KeyError::Syntax)? {
                bits if bits < MIN_RSA_BITS => Err(KeyError::TooSmall(bits)),
                bits if bits > MAX_RSA_BITS => Err(KeyError::TooLarge(bits)),
                bits => Ok(Self::Rsa { der: octets, bits }),
            },
            Algorithm::Ed25519Sha256 => octets.try_into().map(Self::Ed25519).map_err(|_| KeyError::Syntax),
        }
    }
}

/// The size of an RSA key: the bits of its modulus.
///
/// `p=` is a SubjectPublicKeyInfo in practice and an RSAPublicKey by the letter of RFC 6376
/// (erratum 3017); both are read.
fn rsa_bits(der: &[u8]) -> Option<usize> {
    const INTEGER: u8 = 0x02;
    const BIT_STRING: u8 = 0x03;
    const SEQUENCE: u8 = 0x30;
    let (outer, _) = element(der, SEQUENCE)?;
    let key = match element(outer, SEQUENCE) {
        Some((_algorithm, rest)) => {
            let (bits, _) = element(rest, BIT_STRING)?;
            element(bits.strip_prefix(&[0])?, SEQUENCE)?.0
        }
        None => outer,
    };
    let (modulus, _) = element(key, INTEGER)?;
    let first = modulus.iter().position(|&octet| octet != 0)?;
    let modulus = modulus.get(first..)?;
    Some(modulus.len() * 8 - modulus.first()?.leading_zeros() as usize)
}

/// The content of the DER element of this tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let rest = der.strip_prefix(&[tag])?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        short if short < 0x80 => (usize::from(short), rest),
        // Keys that we take are shorter than 64 KiB.
        0x81 => rest.split_first().map(|(&length, rest)| (usize::from(length), rest))?,
        0x82 => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RSA_1024: &str = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi\
                            Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9Pzox\
                            ZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB";
    const RSA_512: &str = "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAIWmlgix/84GJ+dfgjm7LTc9EPdfkftlgiPpCq4/kbDAZmU0VvYKDlj\
                           jleJ1dfvS+CGy9U/kk1tG3EeEvb82xAcCAwEAAQ==";
    const ED25519_KEY: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

    #[test]
    fn keys() {
        use Algorithm::{Ed25519Sha256, RsaSha256};
        for (text, algorithm, expected) in [
            (format!("v=DKIM1; k=rsa; p={RSA_1024}"), RsaSha256, Ok((1024, false, false))),
            (format!("p={RSA_1024}; t=y:s; n=note"), RsaSha256, Ok((1024, true, true))),
            (
                format!("k=ed25519; p={ED25519_KEY}; h=sha1:sha256; s=email"),
                Ed25519Sha256,
                Ok((256, false, false)),
            ),
            ("v=DKIM1; p=".to_owned(), RsaSha256, Err(KeyError::Revoked)),
            (format!("p={RSA_1024}; v=DKIM1"), RsaSha256, Err(KeyError::Syntax)),
            (format!("v=DKIM2; p={RSA_1024}"), RsaSha256, Err(KeyError::Syntax)),
            ("v=DKIM1; k=rsa".to_owned(), RsaSha256, Err(KeyError::Syntax)),
            ("v=DKIM1; p=!!!".to_owned(), RsaSha256, Err(KeyError::Syntax)),
            ("v=DKIM1; p=AAAA".to_owned(), RsaSha256, Err(KeyError::Syntax)),
            (format!("p={RSA_512}"), RsaSha256, Err(KeyError::TooSmall(512))),
            (format!("p={RSA_1024}; h=sha1"), RsaSha256, Err(KeyError::Hash)),
            (format!("p={RSA_1024}; s=tlsrpt"), RsaSha256, Err(KeyError::Service)),
            (format!("p={RSA_1024}"), Ed25519Sha256, Err(KeyError::OtherKind)),
            (format!("k=ed25519; p={ED25519_KEY}"), RsaSha256, Err(KeyError::OtherKind)),
            ("k=ed25519; p=AAAA".to_owned(), Ed25519Sha256, Err(KeyError::Syntax)),
            ("spf".to_owned(), RsaSha256, Err(KeyError::Syntax)),
        ] {
            let key = Key::parse(text.as_bytes(), algorithm);
            assert_eq!(key.map(|key| (key.bits(), key.testing, key.exact_domain)), expected, "{text}");
        }
    }

    #[test]
    fn an_rsa_key_without_its_wrapping_has_the_same_size() {
        let der = STANDARD.decode(RSA_1024).unwrap();
        assert_eq!(rsa_bits(&der), Some(1024));
        assert_eq!(rsa_bits(&der[22..]), Some(1024));
        for end in 0..der.len() {
            assert_eq!(rsa_bits(&der[..end]), None, "{end}");
        }
    }
}
