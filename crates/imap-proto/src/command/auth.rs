//! AUTHENTICATE and LOGIN.
//!
//! Standards: RFC 3501 sections 6.2.2 and 6.2.3, RFC 4959 (initial response).
//! Invariant: what is secret does not print with `{:?}`, so it cannot reach a log.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Command, put_astring, put_string};
use crate::Dialect;
use crate::parse::{Malformed, Parsed, astring, astring_utf8, atom, sp, take_while};
use crate::print::put;

/// A password or a step of a SASL exchange.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// Decodes what a client sent in base 64: an initial response, or a line after `+`. The
    /// line `*`, which cancels the exchange, is the caller's to see first.
    pub fn from_base64(text: &[u8]) -> Option<Self> {
        STANDARD.decode(text).ok().map(Self)
    }
}

/// `AUTHENTICATE mechanism [initial response]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticate {
    /// In capitals: `PLAIN`.
    pub mechanism: String,
    /// Decoded; `=` on the wire is an empty one.
    pub initial_response: Option<Secret>,
}

/// `LOGIN user password`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Who.
    pub user: String,
    /// Not always UTF-8: old clients send passwords in the character set of their system.
    pub password: Secret,
}

pub(crate) fn authenticate(input: &[u8], _: Dialect) -> Parsed<'_, Command> {
    let (rest, mechanism) = atom(sp(input)?)?;
    let mechanism = mechanism.to_ascii_uppercase();
    let Ok(rest) = sp(rest) else {
        return Ok((rest, Command::Authenticate(Authenticate { mechanism, initial_response: None })));
    };
    let (rest, text) = take_while(rest, |byte| byte.is_ascii_graphic());
    let decoded = match text {
        b"=" => Some(Secret(Vec::new())),
        b"" => None,
        text => Secret::from_base64(text),
    };
    let initial_response = Some(decoded.ok_or(Malformed("initial response is not base 64"))?);
    Ok((rest, Command::Authenticate(Authenticate { mechanism, initial_response })))
}

pub(crate) fn login(input: &[u8], _: Dialect) -> Parsed<'_, Command> {
    let (rest, user) = astring_utf8(sp(input)?)?;
    let (rest, password) = astring(sp(rest)?)?;
    Ok((rest, Command::Login(Login { user, password: Secret(password.into_owned()) })))
}

impl Authenticate {
    pub(super) fn print(&self, out: &mut Vec<u8>) {
        put(out, format_args!("AUTHENTICATE {}", self.mechanism));
        match self.initial_response.as_ref().map(|secret| secret.0.as_slice()) {
            Some([]) => put(out, " ="),
            Some(bytes) => put(out, format_args!(" {}", STANDARD.encode(bytes))),
            None => {}
        }
    }
}

impl Login {
    pub(super) fn print(&self, out: &mut Vec<u8>) {
        put(out, "LOGIN ");
        put_astring(out, self.user.as_bytes());
        put(out, " ");
        put_string(out, &self.password.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_print() {
        let (_, command) = login(b" ann hunter2", Dialect::SevenBit).unwrap();
        assert!(!format!("{command:?}").contains("hunter2"));
        let (_, command) = authenticate(b" plain AGFubgBodW50ZXIy", Dialect::SevenBit).unwrap();
        assert!(!format!("{command:?}").contains("104"), "{command:?}");
        let Command::Authenticate(Authenticate { mechanism, initial_response }) = command else { panic!() };
        assert_eq!(
            (mechanism.as_str(), initial_response),
            ("PLAIN", Some(Secret(b"\0ann\0hunter2".to_vec())))
        );
    }
}
