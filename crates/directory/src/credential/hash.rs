//! Password hashes: Argon2id for every password that is set here, and the hashes that other
//! platforms left behind, which the next sign-in replaces.
//!
//! Standards: RFC 9106 (Argon2), with the parameters that OWASP recommends: 19 MiB, 2 passes,
//! 1 lane. Imported: the schemes of Dovecot's `{SCHEME}` prefix and of crypt(3), see
//! [`HashScheme`].
//! Invariants:
//! - a [`PasswordHash`] can be checked, and checking it has a bounded cost in time and memory:
//!   what would cost more is refused when it is read;
//! - its text is canonical: one hash is written in one way, whatever way it came;
//! - it is compared in constant time, and neither `Debug` nor an error shows any of it.
//!
//! Trust: imported hashes come from a customer's file.

mod argon;
mod blowfish;
mod crypt64;
mod md5_crypt;
mod pbkdf2;
mod salted;
mod sha_crypt;

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hikyaku_types::Random;

use super::prepare;
pub(super) use argon::SALT_OCTETS;

/// The most octets of a password. Longer ones match nothing, and cost nothing.
pub const MAX_PASSWORD_OCTETS: usize = 1024;

/// The most octets of a hash's text.
const MAX_TEXT_OCTETS: usize = 512;

/// A hash that a password can be checked against.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(Box<str>);

/// How a hash is made of a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HashScheme {
    /// Argon2id, RFC 9106: ours, and Dovecot's `{ARGON2ID}`.
    Argon2id,
    /// Argon2i, RFC 9106: Dovecot's `{ARGON2I}`.
    Argon2i,
    /// bcrypt, `$2a$`, `$2b$`, `$2y$`: Dovecot's `{BLF-CRYPT}`.
    Bcrypt,
    /// crypt(3) `$6$`.
    Sha512Crypt,
    /// crypt(3) `$5$`.
    Sha256Crypt,
    /// crypt(3) `$1$`.
    Md5Crypt,
    /// PBKDF2 (RFC 8018) with HMAC-SHA-1, as Dovecot writes it.
    Pbkdf2,
    /// SHA-1 over password and salt.
    Ssha,
    /// SHA-256 over password and salt.
    Ssha256,
    /// SHA-512 over password and salt.
    Ssha512,
}

/// What a check of a password says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordCheck {
    /// It is another password.
    No,
    /// It is the password.
    Matches {
        /// The hash is an imported or a weaker one: the password, which is known at this
        /// moment, should be hashed anew and the hash replaced.
        needs_rehash: bool,
    },
}

/// Why a text is no hash that can be checked, or no hash could be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// A scheme that we do not check.
    #[error(
        "scheme {0} is not supported: import one of {supported}, or give the account a new password",
        supported = HashScheme::NAMES.join(", ")
    )]
    Unsupported(String),
    /// Nothing tells the scheme.
    #[error("this is no password hash: expected {{SCHEME}} and the hash, or a hash that begins with `$`")]
    NoHash,
    /// Not as the scheme's hashes are written.
    #[error("the {scheme} hash is malformed: {expected}")]
    Malformed {
        /// Its scheme.
        scheme: &'static str,
        /// How it should look.
        expected: &'static str,
    },
    /// Checking it would cost too much.
    #[error("the {scheme} hash has {what} {given}: checked are {least} to {most}")]
    Cost {
        /// Its scheme.
        scheme: &'static str,
        /// `cost`, `rounds`, …
        what: &'static str,
        /// What the hash says.
        given: u64,
        /// The least that we check.
        least: u64,
        /// The most that we check.
        most: u64,
    },
    /// The password to be hashed.
    #[error("the password has more than {MAX_PASSWORD_OCTETS} octets")]
    PasswordTooLong,
    /// Argon2 itself failed.
    #[error("the password cannot be hashed: {0}")]
    Hashing(String),
}

impl HashScheme {
    /// What an import may name, as in `{SCHEME}`.
    pub const NAMES: [&str; 11] = [
        "ARGON2ID",
        "ARGON2I",
        "BLF-CRYPT",
        "SHA512-CRYPT",
        "SHA256-CRYPT",
        "MD5-CRYPT",
        "PBKDF2",
        "SSHA",
        "SSHA256",
        "SSHA512",
        "CRYPT",
    ];

    /// Its name, as Dovecot writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Argon2id => "ARGON2ID",
            Self::Argon2i => "ARGON2I",
            Self::Bcrypt => "BLF-CRYPT",
            Self::Sha512Crypt => "SHA512-CRYPT",
            Self::Sha256Crypt => "SHA256-CRYPT",
            Self::Md5Crypt => "MD5-CRYPT",
            Self::Pbkdf2 => "PBKDF2",
            Self::Ssha => "SSHA",
            Self::Ssha256 => "SSHA256",
            Self::Ssha512 => "SSHA512",
        }
    }
}

impl PasswordHash {
    /// The Argon2id hash of a password with a new salt. Takes tens of milliseconds: see
    /// [`Passwords::make`](super::Passwords::make).
    ///
    /// # Errors
    /// [`PasswordError::PasswordTooLong`].
    pub fn of(password: &[u8], random: &dyn Random) -> Result<Self, PasswordError> {
        let mut salt = [0u8; SALT_OCTETS];
        random.fill(&mut salt);
        Self::with_salt(password, &salt)
    }

    pub(super) fn with_salt(password: &[u8], salt: &[u8; SALT_OCTETS]) -> Result<Self, PasswordError> {
        if password.len() > MAX_PASSWORD_OCTETS {
            return Err(PasswordError::PasswordTooLong);
        }
        argon::hash(&prepare::for_check(password), salt).map(|text| Self(text.into()))
    }

    /// Reads a hash: one of ours from its column, or an imported one, with or without
    /// Dovecot's `{SCHEME}`, `{SCHEME.b64}` or `{SCHEME.hex}` in front of it.
    ///
    /// # Errors
    /// [`PasswordError`]: it says what to import instead.
    pub fn parse(text: &str) -> Result<Self, PasswordError> {
        if text.len() > MAX_TEXT_OCTETS {
            return Err(PasswordError::NoHash);
        }
        Ok(Self(Stored::parse(text)?.to_string().into()))
    }

    /// The hash in its canonical form, to be stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How it was made.
    pub fn scheme(&self) -> HashScheme {
        // The text was printed by `Stored`, so it always parses.
        Stored::parse(&self.0).map_or(HashScheme::Argon2id, |stored| stored.scheme())
    }

    /// Is it this password? Takes a core for as long as the scheme wants: see
    /// [`Passwords::check`](super::Passwords::check).
    ///
    /// The password is prepared as RFC 8265 says. What another platform did before it hashed
    /// a password we do not know, so where that makes a difference the octets are tried as
    /// they came, too.
    pub fn check(&self, password: &[u8]) -> PasswordCheck {
        let Ok(stored) = Stored::parse(&self.0) else { return PasswordCheck::No };
        if password.len() > MAX_PASSWORD_OCTETS {
            return PasswordCheck::No;
        }
        let prepared = prepare::for_check(password);
        if stored.matches(&prepared) {
            return PasswordCheck::Matches { needs_rehash: stored.needs_rehash() };
        }
        if *prepared != *password && stored.matches(password) {
            return PasswordCheck::Matches { needs_rehash: true };
        }
        PasswordCheck::No
    }
}

/// Hashes are not for logs.
impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// A hash, taken apart. `Display` is its canonical form.
enum Stored {
    Argon(Box<argon::Hash>),
    Blowfish(blowfish::Hash),
    ShaCrypt(sha_crypt::Hash),
    Md5Crypt(md5_crypt::Hash),
    Pbkdf2(pbkdf2::Hash),
    Salted(salted::Hash),
}

impl Stored {
    fn parse(text: &str) -> Result<Self, PasswordError> {
        let Some(rest) = text.strip_prefix('{') else { return Self::from_crypt(text) };
        let (name, data) = rest.split_once('}').ok_or(PasswordError::NoHash)?;
        let name = name.to_ascii_uppercase();
        let (scheme, encoding) = match name.split_once('.') {
            Some((scheme, encoding)) => (scheme, Some(encoding)),
            None => (&*name, None),
        };
        match scheme {
            "SSHA" | "SSHA256" | "SSHA512" => salted::Hash::parse(scheme, encoding, data).map(Self::Salted),
            _ => Self::from_text(scheme, &decoded(&name, encoding, data)?),
        }
    }

    /// Schemes whose hashes are text.
    fn from_text(scheme: &str, text: &str) -> Result<Self, PasswordError> {
        let stored = match scheme {
            "PBKDF2" => return pbkdf2::Hash::parse(text).map(Self::Pbkdf2),
            "CRYPT" => return Self::from_crypt(text),
            // What Dovecot calls MD5 is one of two things; this is the one with a salt.
            "MD5" if text.starts_with("$1$") => return Self::from_crypt(text),
            "ARGON2ID" | "ARGON2I" | "BLF-CRYPT" | "SHA512-CRYPT" | "SHA256-CRYPT" | "MD5-CRYPT" => {
                Self::from_crypt(text)?
            }
            _ => return Err(unsupported(scheme)),
        };
        if stored.scheme().name() == scheme {
            return Ok(stored);
        }
        Err(PasswordError::Malformed {
            scheme: stored.scheme().name(),
            expected: "the scheme in {} is another one than that of the hash",
        })
    }

    /// `$id$…`, where the id tells the scheme.
    fn from_crypt(text: &str) -> Result<Self, PasswordError> {
        let (id, _) =
            text.strip_prefix('$').and_then(|rest| rest.split_once('$')).ok_or(PasswordError::NoHash)?;
        match id {
            "argon2id" | "argon2i" => argon::Hash::parse(text).map(|hash| Self::Argon(Box::new(hash))),
            "2a" | "2b" | "2y" => blowfish::Hash::parse(text).map(Self::Blowfish),
            "6" | "5" => sha_crypt::Hash::parse(text).map(Self::ShaCrypt),
            "1" => md5_crypt::Hash::parse(text).map(Self::Md5Crypt),
            _ => Err(unsupported(&format!("${id}$"))),
        }
    }

    fn scheme(&self) -> HashScheme {
        match self {
            Self::Argon(hash) => hash.scheme(),
            Self::Blowfish(_) => HashScheme::Bcrypt,
            Self::ShaCrypt(hash) => hash.scheme(),
            Self::Md5Crypt(_) => HashScheme::Md5Crypt,
            Self::Pbkdf2(_) => HashScheme::Pbkdf2,
            Self::Salted(hash) => hash.scheme(),
        }
    }

    fn needs_rehash(&self) -> bool {
        !matches!(self, Self::Argon(hash) if hash.is_as_strong_as_ours())
    }

    fn matches(&self, password: &[u8]) -> bool {
        match self {
            Self::Argon(hash) => hash.matches(password),
            Self::Blowfish(hash) => hash.matches(password),
            Self::ShaCrypt(hash) => hash.matches(password),
            Self::Md5Crypt(hash) => hash.matches(password),
            Self::Pbkdf2(hash) => hash.matches(password),
            Self::Salted(hash) => hash.matches(password),
        }
    }
}

impl fmt::Display for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argon(hash) => hash.fmt(f),
            Self::Blowfish(hash) => hash.fmt(f),
            Self::ShaCrypt(hash) => hash.fmt(f),
            Self::Md5Crypt(hash) => hash.fmt(f),
            Self::Pbkdf2(hash) => hash.fmt(f),
            Self::Salted(hash) => hash.fmt(f),
        }
    }
}

/// Names a scheme in an error, and nothing that could be a part of a hash.
fn unsupported(scheme: &str) -> PasswordError {
    let is_name = scheme.len() <= 24
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'$' | b'_'));
    if is_name { PasswordError::Unsupported(scheme.to_owned()) } else { PasswordError::NoHash }
}

/// The text within `.b64` or `.hex`.
fn decoded(name: &str, encoding: Option<&str>, data: &str) -> Result<String, PasswordError> {
    let Some(encoding) = encoding else { return Ok(data.to_owned()) };
    let octets = octets(encoding, data).ok_or_else(|| unsupported(name))?;
    String::from_utf8(octets).map_err(|_| PasswordError::NoHash)
}

/// The octets of `data` in one of Dovecot's encodings.
fn octets(encoding: &str, data: &str) -> Option<Vec<u8>> {
    match encoding {
        "B64" | "BASE64" => STANDARD.decode(data).ok(),
        "HEX" => hex(data),
        _ => None,
    }
}

/// Octets written as pairs of hexadecimal digits.
pub(super) fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
    let digits = digits?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

/// Is `given` among what we check?
fn bounded(
    scheme: &'static str,
    what: &'static str,
    given: u64,
    bounds: std::ops::RangeInclusive<u64>,
) -> Result<(), PasswordError> {
    if bounds.contains(&given) {
        return Ok(());
    }
    Err(PasswordError::Cost { scheme, what, given, least: *bounds.start(), most: *bounds.end() })
}

/// A decimal number without sign or leading zeros, as hashes have them.
fn number(text: &str) -> Option<u64> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if is_number { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests;
