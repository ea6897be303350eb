//! SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, the server's side, for app passwords only.
//!
//! Standards: RFC 5802 (SCRAM), RFC 7677 (with SHA-256), RFC 9266 (`tls-exporter`), RFC 5929
//! section 4 (`tls-server-end-point`), RFC 5803 (how a verifier is written).
//!
//! One exchange, without I/O:
//! ```text
//! Hello::read(client-first)        who says so, and which binding it wants
//!   .challenge(…)                  → server-first, and what waits for the proof
//! Exchange::finish(client-final)   → whose app password it was, and server-final
//! ```
//! Invariants:
//! - a name that nobody has gets a salt that is always the same for it, and fails where a
//!   wrong password fails, so that nobody learns who exists;
//! - a client that could bind the channel and was told that the server cannot is refused
//!   (section 6: somebody in the middle left `-PLUS` out of the list);
//! - several app passwords of an account share salt and iteration count, as the challenge is
//!   sent before it is known which one the client has. The proof tells which.
//!
//! Why only app passwords: a verifier is a fast hash. That is safe for 140 random bits and
//! is not for what people choose.
//! Known weakness: the typing mistakes that [`super::AppPassword`] forgives are not forgiven
//! here, since the client hashes what it was given. Two addresses of one account with SCRAM
//! show the same salt, and so that they belong together.

mod message;
mod verifier;

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hikyaku_types::Random;
use subtle::ConstantTimeEq;

use super::LookupId;
pub use message::{ClientFinal, ClientFirst, Gs2Flag};
use verifier::{ITERATIONS, hmac};
pub use verifier::{Keys, Salt, Salts, Verifier};

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// `SCRAM-SHA-256`.
    ScramSha256,
    /// `SCRAM-SHA-256-PLUS`: bound to the TLS channel.
    ScramSha256Plus,
}

/// What was offered to the client, and what of its channel it can be bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer<'a> {
    /// What the client chose.
    pub mechanism: Mechanism,
    /// Was the mechanism with `-PLUS` announced to it?
    pub plus_announced: bool,
    /// `tls-exporter`: 32 octets exported with the label `EXPORTER-Channel-Binding` and an
    /// empty context, RFC 9266 section 4.2.
    pub exporter: Option<&'a [u8]>,
    /// `tls-server-end-point`: the hash of our certificate, RFC 5929 section 4.1.
    pub server_end_point: Option<&'a [u8]>,
}

/// The server's part of the nonce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nonce(Box<str>);

/// A client has said who it is.
#[derive(Debug)]
pub struct Hello {
    first: ClientFirst,
    /// What `c=` must hold in the end.
    binding: Vec<u8>,
}

/// What the server knows of a name.
#[derive(Debug, Clone)]
pub struct Account {
    salt: Salt,
    iterations: u32,
    keys: Vec<(LookupId, Keys)>,
}

/// The challenge is sent; the proof is awaited.
#[derive(Debug)]
pub struct Exchange {
    hello: Hello,
    account: Account,
    /// Client's and server's part.
    nonce: String,
    server_first: String,
}

/// A proof was right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// Whose app password it was.
    pub id: LookupId,
    /// To be sent to the client, which learns from it that the server knows the password too.
    pub server_final: String,
}

/// Why an exchange failed: the values of `e=`, RFC 5802 section 7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Not as the grammar has it, or too long.
    #[error("invalid-encoding")]
    InvalidEncoding,
    /// The client insists on an extension that we lack.
    #[error("extensions-not-supported")]
    ExtensionsNotSupported,
    /// The name is not UTF-8, or has an `=` that says nothing.
    #[error("invalid-username-encoding")]
    InvalidUsernameEncoding,
    /// Wrong password, unknown name, or a nonce that is not this exchange's.
    #[error("invalid-proof")]
    InvalidProof,
    /// The client's channel is not ours: somebody is between us.
    #[error("channel-bindings-dont-match")]
    ChannelBindingsDontMatch,
    /// The client was told that we cannot bind, and we can: somebody is between us.
    #[error("server-does-support-channel-binding")]
    ServerDoesSupportChannelBinding,
    /// It binds with the mechanism that does not.
    #[error("channel-binding-not-supported")]
    ChannelBindingNotSupported,
    /// It binds to something that we lack.
    #[error("unsupported-channel-binding-type")]
    UnsupportedChannelBindingType,
}

impl Mechanism {
    /// Both, the better one first.
    pub const ALL: [Self; 2] = [Self::ScramSha256Plus, Self::ScramSha256];

    /// Its name in SASL.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
        }
    }
}

impl Failure {
    /// `e=…`, which may be sent in the place of server-final before the exchange is refused.
    pub fn server_final(self) -> String {
        format!("e={self}")
    }
}

impl Nonce {
    /// A new one: 144 random bits.
    pub fn new(random: &dyn Random) -> Self {
        let mut octets = [0; 18];
        random.fill(&mut octets);
        Self(STANDARD.encode(octets).into())
    }

    /// One that is given, if it is of printable characters without a comma.
    pub fn parse(text: &str) -> Option<Self> {
        message::is_nonce(text).then(|| Self(text.into()))
    }
}

impl Offer<'_> {
    /// What `c=` must hold: the GS2 header, and the channel's data if it is to be bound.
    fn binding(&self, first: &ClientFirst) -> Result<Vec<u8>, Failure> {
        let mut binding = first.gs2_header().into_bytes();
        match (self.mechanism, &first.flag) {
            (Mechanism::ScramSha256, Gs2Flag::NotWanted) => {}
            (Mechanism::ScramSha256, Gs2Flag::ServerLacks) if !self.plus_announced => {}
            (_, Gs2Flag::ServerLacks) => return Err(Failure::ServerDoesSupportChannelBinding),
            (Mechanism::ScramSha256, Gs2Flag::Wanted(_)) => return Err(Failure::ChannelBindingNotSupported),
            (Mechanism::ScramSha256Plus, Gs2Flag::NotWanted) => {
                return Err(Failure::ChannelBindingsDontMatch);
            }
            (Mechanism::ScramSha256Plus, Gs2Flag::Wanted(name)) => {
                let data = match &**name {
                    "tls-exporter" => self.exporter,
                    "tls-server-end-point" => self.server_end_point,
                    _ => None,
                };
                binding.extend(data.ok_or(Failure::UnsupportedChannelBindingType)?);
            }
        }
        Ok(binding)
    }
}

impl Hello {
    /// Reads client-first.
    ///
    /// # Errors
    /// [`Failure`]: the exchange is over.
    pub fn read(offer: &Offer<'_>, client_first: &[u8]) -> Result<Self, Failure> {
        let first = ClientFirst::parse(client_first)?;
        let binding = offer.binding(&first)?;
        Ok(Self { first, binding })
    }

    /// Who the client says it is.
    pub fn name(&self) -> &str {
        &self.first.name
    }

    /// On whose behalf it wants to act, if it is somebody else.
    pub fn authorization(&self) -> Option<&str> {
        self.first.authorization.as_deref().filter(|name| *name != self.name())
    }

    /// What to send, and the exchange that waits for the proof.
    pub fn challenge(self, account: Account, nonce: &Nonce) -> (String, Exchange) {
        let nonce = format!("{}{}", self.first.nonce, nonce.0);
        let server_first =
            format!("r={nonce},s={},i={}", STANDARD.encode(account.salt.as_bytes()), account.iterations);
        let exchange = Exchange { hello: self, account, nonce, server_first: server_first.clone() };
        (server_first, exchange)
    }
}

impl Account {
    /// An account with these app passwords. All share a salt; those that do not, as their
    /// salt is an older one, cannot be used until they are made anew.
    pub fn of(verifiers: impl IntoIterator<Item = (LookupId, Verifier)>) -> Option<Self> {
        let mut verifiers = verifiers.into_iter();
        let (id, Verifier { salt, iterations, keys }) = verifiers.next()?;
        let alike =
            verifiers.filter(|(_, verifier)| verifier.salt == salt && verifier.iterations == iterations);
        let keys =
            std::iter::once((id, keys)).chain(alike.map(|(id, verifier)| (id, verifier.keys))).collect();
        Some(Self { salt, iterations, keys })
    }

    /// An account that does not exist, or has no app password for SCRAM: `name` always gets
    /// the same salt, and no proof is right.
    pub fn nobody(name: &str, salts: &Salts) -> Self {
        Self { salt: salts.of(name), iterations: ITERATIONS, keys: Vec::new() }
    }
}

impl Exchange {
    /// Checks client-final.
    ///
    /// # Errors
    /// [`Failure`]: the exchange is over.
    pub fn finish(self, client_final: &[u8]) -> Result<Proven, Failure> {
        let last = ClientFinal::parse(client_final)?;
        if !bool::from(last.binding.ct_eq(&self.hello.binding)) {
            return Err(Failure::ChannelBindingsDontMatch);
        }
        if *last.nonce != *self.nonce {
            return Err(Failure::InvalidProof);
        }
        let signed = format!("{},{},{}", self.hello.first.bare(), self.server_first, last.without_proof);
        // All are tried, so that the time does not tell which one it is.
        let mut proven = None;
        for (id, keys) in &self.account.keys {
            if keys.prove(signed.as_bytes(), &last.proof) {
                proven = Some((*id, keys));
            }
        }
        let (id, keys) = proven.ok_or(Failure::InvalidProof)?;
        let signature = hmac(&keys.server_key, signed.as_bytes());
        Ok(Proven { id, server_final: format!("v={}", STANDARD.encode(signature)) })
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests;
