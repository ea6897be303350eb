//! Mail signed with DKIM (RFC 6376), so that whoever verifies it has the work of real mail.

use anyhow::Context;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The domain of all senders.
pub(crate) const DOMAIN: &str = "example.com";
/// What is signed, as the mails of [`Writer`] have it: each once, on one line.
const SIGNED: [&str; 5] = ["from", "to", "subject", "date", "message-id"];

/// Signs with a key of 2,048 bits.
pub(crate) struct Signer {
    key: RsaKeyPair,
    public: String,
}

impl Signer {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).ok().context("no key can be made")?;
        let public: PublicKeyX509Der<'_> = key.public_key().as_der().ok().context("the key has no form")?;
        let public = STANDARD.encode(public.as_ref());
        Ok(Self { key, public })
    }

    /// Owner name and text of the key record.
    pub(crate) fn record(&self) -> (String, String) {
        (format!("s2026._domainkey.{DOMAIN}"), format!("v=DKIM1; k=rsa; p={}", self.public))
    }

    /// Signs a mail of [`Writer`].
    pub(crate) fn sign(&self, text: &str) -> anyhow::Result<Vec<u8>> {
        let (header, body) = text.split_once("\r\n\r\n").context("a mail has a body")?;
        let hash = STANDARD.encode(digest(&SHA256, body.as_bytes()));
        // The bodies are in canonical form already: single spaces, none at the end of a line.
        let field = format!(
            "v=1; a=rsa-sha256; c=relaxed/relaxed; d={DOMAIN}; s=s2026; h={}; bh={hash}; b=",
            SIGNED.join(":")
        );
        let mut input = String::new();
        for name in SIGNED {
            let line = header
                .lines()
                .find(|line| line.split_once(':').is_some_and(|(field, _)| field.eq_ignore_ascii_case(name)));
            let value = line.and_then(|line| line.split_once(": ")).context("a signed field is missing")?.1;
            input += &format!("{name}:{value}\r\n");
        }
        input += &format!("dkim-signature:{field}");
        let mut signature = vec![0; self.key.public_modulus_len()];
        let signed = self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input.as_bytes(), &mut signature);
        signed.ok().context("it cannot be signed")?;
        Ok(format!("DKIM-Signature: {field}{}\r\n{text}", STANDARD.encode(signature)).into_bytes())
    }
}
