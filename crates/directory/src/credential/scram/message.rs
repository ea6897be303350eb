//! What a SCRAM client sends, RFC 5802 section 7: parsed, and printed again.
//!
//! Trust: all of it comes from strangers. A message has at most [`MAX_OCTETS`] octets.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Failure;

/// The most octets of a message.
const MAX_OCTETS: usize = 4096;

/// The most octets of a client's nonce; usual are 24 to 44.
const MAX_NONCE_OCTETS: usize = 512;

/// Octets of a proof.
pub(super) const PROOF_OCTETS: usize = 32;

/// `gs2-cbind-flag`: what the client thinks of channel binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gs2Flag {
    /// `n`: it cannot, or does not want to.
    NotWanted,
    /// `y`: it can, and thinks that the server cannot.
    ServerLacks,
    /// `p=…`: it binds to this.
    Wanted(Box<str>),
}

/// `client-first-message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFirst {
    /// `gs2-cbind-flag`.
    pub flag: Gs2Flag,
    /// `a=`: on whose behalf.
    pub authorization: Option<Box<str>>,
    /// `n=`: who it is.
    pub name: Box<str>,
    /// `r=`: the client's part of the nonce.
    pub nonce: Box<str>,
    /// Optional extensions, which we do not know and which are signed too: `,x=…`.
    extensions: Box<str>,
}

/// `client-final-message`.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientFinal {
    /// `c=`: GS2 header and channel data.
    pub binding: Vec<u8>,
    /// `r=`: both parts of the nonce.
    pub nonce: Box<str>,
    /// `p=`.
    pub proof: [u8; PROOF_OCTETS],
    /// `client-final-message-without-proof`, as it came: it is signed.
    pub without_proof: Box<str>,
}

impl ClientFirst {
    /// Parses a `client-first-message`.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn parse(message: &[u8]) -> Result<Self, Failure> {
        let text = text(message)?;
        let (flag, rest) = text.split_once(',').ok_or(Failure::InvalidEncoding)?;
        let (authorization, bare) = rest.split_once(',').ok_or(Failure::InvalidEncoding)?;
        let flag = match flag {
            "n" => Gs2Flag::NotWanted,
            "y" => Gs2Flag::ServerLacks,
            _ => Gs2Flag::Wanted(binding_name(flag)?.into()),
        };
        let authorization = match authorization {
            "" => None,
            value => Some(saslname(value.strip_prefix("a=").ok_or(Failure::InvalidEncoding)?)?),
        };
        if bare.starts_with("m=") {
            return Err(Failure::ExtensionsNotSupported);
        }
        let (name, rest) = attribute(bare, "n=")?;
        let (nonce, extensions) = match rest.and_then(|rest| rest.find(',').map(|at| rest.split_at(at))) {
            Some((nonce, extensions)) => (nonce, extensions),
            None => (rest.ok_or(Failure::InvalidEncoding)?, ""),
        };
        let nonce = nonce.strip_prefix("r=").filter(|nonce| is_nonce(nonce));
        are_extensions(extensions)?;
        Ok(Self {
            flag,
            authorization,
            name: saslname(name)?,
            nonce: nonce.ok_or(Failure::InvalidEncoding)?.into(),
            extensions: extensions.into(),
        })
    }

    /// `gs2-header`.
    pub fn gs2_header(&self) -> String {
        let flag = match &self.flag {
            Gs2Flag::NotWanted => "n",
            Gs2Flag::ServerLacks => "y",
            Gs2Flag::Wanted(name) => &format!("p={name}"),
        };
        let authorization =
            self.authorization.as_deref().map_or(String::new(), |name| format!("a={}", escaped(name)));
        format!("{flag},{authorization},")
    }

    /// `client-first-message-bare`.
    pub fn bare(&self) -> String {
        format!("n={},r={}{}", escaped(&self.name), self.nonce, self.extensions)
    }
}

impl fmt::Display for ClientFirst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.gs2_header(), self.bare())
    }
}

impl ClientFinal {
    /// Parses a `client-final-message`.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn parse(message: &[u8]) -> Result<Self, Failure> {
        let text = text(message)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(Failure::InvalidEncoding)?;
        let proof = STANDARD.decode(proof).map_err(|_| Failure::InvalidEncoding)?;
        let (binding, rest) = attribute(without_proof, "c=")?;
        let binding = STANDARD.decode(binding).map_err(|_| Failure::InvalidEncoding)?;
        let (nonce, extensions) = attribute(rest.ok_or(Failure::InvalidEncoding)?, "r=")?;
        if let Some(extensions) = extensions {
            are_extensions(&format!(",{extensions}"))?;
        }
        if !is_nonce_of_both(nonce) {
            return Err(Failure::InvalidEncoding);
        }
        Ok(Self {
            binding,
            nonce: nonce.into(),
            proof: proof.try_into().map_err(|_| Failure::InvalidProof)?,
            without_proof: without_proof.into(),
        })
    }
}

impl fmt::Display for ClientFinal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},p={}", self.without_proof, STANDARD.encode(self.proof))
    }
}

/// A proof is not for logs: with the verifier it is as good as the password.
impl fmt::Debug for ClientFinal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientFinal").field("nonce", &self.nonce).finish_non_exhaustive()
    }
}

fn text(message: &[u8]) -> Result<&str, Failure> {
    if message.len() > MAX_OCTETS || message.contains(&0) {
        return Err(Failure::InvalidEncoding);
    }
    // All but the name is ASCII.
    str::from_utf8(message).map_err(|_| Failure::InvalidUsernameEncoding)
}

/// The value of the first attribute, which must have this name, and what follows the comma.
fn attribute<'a>(text: &'a str, name: &str) -> Result<(&'a str, Option<&'a str>), Failure> {
    let value = text.strip_prefix(name).ok_or(Failure::InvalidEncoding)?;
    match value.split_once(',') {
        Some((value, rest)) => Ok((value, Some(rest))),
        None => Ok((value, None)),
    }
}

/// `cb-name`.
fn binding_name(flag: &str) -> Result<&str, Failure> {
    let name = flag.strip_prefix("p=").ok_or(Failure::InvalidEncoding)?;
    let is_name = (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
    if is_name { Ok(name) } else { Err(Failure::InvalidEncoding) }
}

/// `c-nonce`, `s-nonce`: `printable`, which is ASCII without space and comma.
pub(super) fn is_nonce(text: &str) -> bool {
    (1..=MAX_NONCE_OCTETS).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
}

fn is_nonce_of_both(text: &str) -> bool {
    text.len() <= 2 * MAX_NONCE_OCTETS && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// `extensions`: `attr-val`s, each behind a comma. A mandatory one (`m=`) we do not have.
fn are_extensions(text: &str) -> Result<(), Failure> {
    for extension in text.split(',').skip(1) {
        match extension.as_bytes() {
            [b'm', b'=', ..] => return Err(Failure::ExtensionsNotSupported),
            [letter, b'=', _, ..] if letter.is_ascii_alphabetic() => {}
            _ => return Err(Failure::InvalidEncoding),
        }
    }
    Ok(())
}

/// `saslname`: `=2C` is a comma, `=3D` an equals sign, and no `=` stands alone.
fn saslname(text: &str) -> Result<Box<str>, Failure> {
    let mut parts = text.split('=');
    let mut name = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (c, rest) = match (part.strip_prefix("2C"), part.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return Err(Failure::InvalidUsernameEncoding),
        };
        name.push(c);
        name.push_str(rest);
    }
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(Failure::InvalidUsernameEncoding);
    }
    Ok(name.into())
}

fn escaped(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}
