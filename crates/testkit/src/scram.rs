//! A client's half of SCRAM-SHA-256, which shares nothing with the server's: the tests of both
//! servers sign in with it.
//!
//! Standards: RFC 5802 section 3, RFC 7677 (its example is the test), RFC 9266.

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Somebody who signs in.
#[derive(Debug, Clone)]
pub struct ScramClient {
    password: String,
    /// `n,,`, `y,,` or `p=tls-exporter,,`.
    gs2_header: String,
    /// What the channel is bound by.
    channel: Vec<u8>,
    bare: String,
}

impl ScramClient {
    /// One that knows nothing of channels.
    pub fn new(name: &str, password: &str, nonce: &str) -> Self {
        let name = name.replace('=', "=3D").replace(',', "=2C");
        let bare = format!("n={name},r={nonce}");
        Self { password: password.to_owned(), gs2_header: "n,,".to_owned(), channel: Vec::new(), bare }
    }

    /// The same, bound to what its TLS session exports.
    pub fn bound(self, exported: &[u8]) -> Self {
        self.with_header("p=tls-exporter,,", exported)
    }

    /// The same with another GS2 header, and what it binds.
    pub fn with_header(self, gs2_header: &str, channel: &[u8]) -> Self {
        Self { gs2_header: gs2_header.to_owned(), channel: channel.to_vec(), ..self }
    }

    /// client-first.
    pub fn first(&self) -> String {
        format!("{}{}", self.gs2_header, self.bare)
    }

    /// client-final, and the server-final that a server answers which knows the password.
    ///
    /// # Panics
    /// If the server did not send a challenge for this client.
    pub fn last(&self, server_first: &str) -> (String, String) {
        let part = |name: &str| {
            let found = server_first.split(',').find_map(|part| part.strip_prefix(name));
            found.unwrap_or_else(|| panic!("{name} in {server_first}"))
        };
        let (nonce, salt) = (part("r="), STANDARD.decode(part("s=")).expect("a salt in base64"));
        let (_, own) = self.bare.rsplit_once("r=").expect("a nonce of our own");
        assert!(nonce.starts_with(own) && nonce.len() > own.len(), "{nonce} goes on from {own}");
        let iterations: NonZeroU32 = part("i=").parse().expect("a number of iterations");
        let mut salted = [0; 32];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, &salt, self.password.as_bytes(), &mut salted);
        let channel = STANDARD.encode([self.gs2_header.as_bytes(), &self.channel].concat());
        let without_proof = format!("c={channel},r={nonce}");
        let signed = format!("{},{server_first},{without_proof}", self.bare);
        let client_key = mac(&salted, "Client Key");
        let stored_key = digest::digest(&digest::SHA256, &client_key);
        let signature = mac(stored_key.as_ref(), &signed);
        let proof: Vec<u8> = client_key.iter().zip(signature).map(|(key, octet)| key ^ octet).collect();
        let expected = mac(&mac(&salted, "Server Key"), &signed);
        (format!("{without_proof},p={}", STANDARD.encode(proof)), format!("v={}", STANDARD.encode(expected)))
    }
}

fn mac(key: &[u8], message: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_7677() {
        let client = ScramClient::new("user", "pencil", "rOprNGfwEbeRWgbNEkqO");
        assert_eq!(client.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let (last, server_final) = client
            .last("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
        assert_eq!(
            last,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(server_final, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }
}
