//! The tags of a signature: DKIM-Signature, and the two signatures of ARC that share them.
//!
//! Standards: RFC 6376 section 3.5, RFC 8617 sections 4.1.2 and 4.1.3.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Algorithm, Canonical, MAX_SIGNED_NAMES};
use crate::Name;
use crate::tags::{Tags, list_has};

/// What is wrong with a signature before any key was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// No list of tags.
    #[error("the signature is no list of tags")]
    Tags,
    /// A tag is missing, or its value cannot be understood.
    #[error("`{0}=` is missing or wrong")]
    Tag(&'static str),
    /// Not RSA or Ed25519 with SHA-256.
    #[error("the algorithm is unknown")]
    Algorithm,
    /// RFC 8301 section 3.1.
    #[error("rsa-sha1 is no signature any more")]
    Sha1,
    /// RFC 6376 section 5.4.
    #[error("the From field is not signed")]
    FromNotSigned,
    /// `i=` lies outside of `d=`.
    #[error("the identity lies outside of the signing domain")]
    Identity,
    /// More names in `h=` than we look for.
    #[error("too many fields are signed")]
    TooManyNames,
}

/// What all three kinds of signature say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Common {
    /// `a=`.
    pub algorithm: Algorithm,
    /// `b=`.
    pub signature: Vec<u8>,
    /// `d=`.
    pub domain: Name,
    /// `s=`.
    pub selector: Name,
    /// `t=`, seconds since 1970.
    pub signed_at: Option<i64>,
}

/// DKIM-Signature or ARC-Message-Signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature<'a> {
    /// What seals have, too.
    pub common: Common,
    /// `bh=`.
    pub body_hash: Vec<u8>,
    /// `c=`, of header fields.
    pub header_form: Canonical,
    /// `c=`, of the body.
    pub body_form: Canonical,
    /// `h=`: names of the signed fields, in their order.
    pub names: Vec<&'a [u8]>,
    /// `l=`: how much of the body is signed.
    pub body_length: Option<u64>,
    /// `x=`, seconds since 1970.
    pub expires_at: Option<i64>,
    /// `i=` as it stands, if it is there.
    pub identity: Option<&'a [u8]>,
    /// The domain of `i=`, or else `d=`.
    pub identity_domain: Name,
}

impl Common {
    pub(crate) fn parse(tags: &Tags<'_>) -> Result<Self, SignatureError> {
        let algorithm = match tags.get("a") {
            Some(b"rsa-sha256") => Algorithm::RsaSha256,
            Some(b"ed25519-sha256") => Algorithm::Ed25519Sha256,
            Some(b"rsa-sha1") => return Err(SignatureError::Sha1),
            Some(_) => return Err(SignatureError::Algorithm),
            None => return Err(SignatureError::Tag("a")),
        };
        let name = |tag| tags.get(tag).and_then(Name::parse_bytes).ok_or(SignatureError::Tag(tag));
        Ok(Self {
            algorithm,
            signature: base64(tags, "b")?,
            domain: name("d")?,
            selector: name("s")?,
            signed_at: seconds(tags, "t")?,
        })
    }

    /// Where the key stands, RFC 6376 section 3.6.2.1.
    pub(crate) fn key_name(&self) -> Option<Name> {
        self.domain.below(&format!("{}._domainkey", self.selector))
    }
}

impl<'a> Signature<'a> {
    /// The value of a DKIM-Signature field.
    pub fn parse(tags: &Tags<'a>) -> Result<Self, SignatureError> {
        if tags.get("v") != Some(b"1") {
            return Err(SignatureError::Tag("v"));
        }
        let identity = tags.get("i");
        let mut signature = Self::parse_without_identity(tags)?;
        if let Some(text) = identity {
            let at = text.iter().rposition(|&octet| octet == b'@').ok_or(SignatureError::Tag("i"))?;
            let domain = text.get(at + 1..).and_then(Name::parse_bytes).ok_or(SignatureError::Tag("i"))?;
            if !domain.is_within(&signature.common.domain) {
                return Err(SignatureError::Identity);
            }
            signature.identity = identity;
            signature.identity_domain = domain;
        }
        Ok(signature)
    }

    /// All but `v=` and `i=`, which mean something else in ARC.
    pub(crate) fn parse_without_identity(tags: &Tags<'a>) -> Result<Self, SignatureError> {
        let common = Common::parse(tags)?;
        let (header_form, body_form) = forms(tags.get("c").unwrap_or(b"simple"))?;
        let names = signed_names(tags)?;
        let query_is_known = tags.get("q").is_none_or(|methods| list_has(methods, "dns/txt"));
        let signature = Self {
            body_hash: base64(tags, "bh")?,
            header_form,
            body_form,
            names,
            body_length: number(tags, "l")?,
            expires_at: seconds(tags, "x")?,
            identity: None,
            identity_domain: common.domain.clone(),
            common,
        };
        match (signature.common.signed_at, signature.expires_at) {
            _ if !query_is_known => Err(SignatureError::Tag("q")),
            (Some(signed), Some(expires)) if expires < signed => Err(SignatureError::Tag("x")),
            _ => Ok(signature),
        }
    }
}

/// `c=`: without a slash, the body is simple.
fn forms(text: &[u8]) -> Result<(Canonical, Canonical), SignatureError> {
    let slash = text.iter().position(|&octet| octet == b'/');
    let (header, body) = match slash.and_then(|slash| text.split_at_checked(slash)) {
        Some((header, body)) => (header, body.get(1..).unwrap_or_default()),
        None => (text, &b"simple"[..]),
    };
    let form = |text| Canonical::parse(text).ok_or(SignatureError::Tag("c"));
    Ok((form(header)?, form(body)?))
}

fn signed_names<'a>(tags: &Tags<'a>) -> Result<Vec<&'a [u8]>, SignatureError> {
    let list = tags.get("h").ok_or(SignatureError::Tag("h"))?;
    let mut names = Vec::new();
    for name in list.split(|&octet| octet == b':').map(<[u8]>::trim_ascii) {
        if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
            return Err(SignatureError::Tag("h"));
        }
        if names.len() >= MAX_SIGNED_NAMES {
            return Err(SignatureError::TooManyNames);
        }
        names.push(name);
    }
    if names.iter().any(|name| name.eq_ignore_ascii_case(b"from")) {
        Ok(names)
    } else {
        Err(SignatureError::FromNotSigned)
    }
}

fn base64(tags: &Tags<'_>, tag: &'static str) -> Result<Vec<u8>, SignatureError> {
    let text = tags.compact(tag).filter(|text| !text.is_empty()).ok_or(SignatureError::Tag(tag))?;
    STANDARD.decode(text).map_err(|_| SignatureError::Tag(tag))
}

fn number(tags: &Tags<'_>, tag: &'static str) -> Result<Option<u64>, SignatureError> {
    let Some(text) = tags.get(tag) else { return Ok(None) };
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(text).ok().filter(|_| is_number).and_then(|text| text.parse().ok());
    number.map(Some).ok_or(SignatureError::Tag(tag))
}

fn seconds(tags: &Tags<'_>, tag: &'static str) -> Result<Option<i64>, SignatureError> {
    let number = number(tags, tag)?;
    number.map(|seconds| i64::try_from(seconds).map_err(|_| SignatureError::Tag(tag))).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "v=1; a=rsa-sha256; b=AAAA; bh=AAAA; d=example.org; s=sel; h=from:to";

    fn parsed(text: &str) -> Result<Signature<'_>, SignatureError> {
        Signature::parse(&Tags::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let signature = parsed(GOOD).unwrap();
        assert_eq!((signature.header_form, signature.body_form), (Canonical::Simple, Canonical::Simple));
        assert_eq!(signature.identity_domain.as_str(), "example.org");
        assert_eq!(signature.common.key_name().unwrap().as_str(), "sel._domainkey.example.org");
        assert_eq!(signature.names, [b"from".as_slice(), b"to"]);
        let text = format!("{GOOD}; c=relaxed; q=other:dns/txt; i=ann@a.example.org; t=1; x=2; l=7");
        let signature = parsed(&text).unwrap();
        assert_eq!((signature.header_form, signature.body_form), (Canonical::Relaxed, Canonical::Simple));
        assert_eq!(signature.identity_domain.as_str(), "a.example.org");
        assert_eq!((signature.expires_at, signature.body_length), (Some(2), Some(7)));
    }

    #[test]
    fn mistakes() {
        use SignatureError::{Algorithm, FromNotSigned, Identity, Sha1, Tag};
        for (from, to, expected) in [
            ("v=1", "v=2", Tag("v")),
            ("v=1; ", "", Tag("v")),
            ("rsa-sha256", "rsa-sha1", Sha1),
            ("rsa-sha256", "dsa-sha256", Algorithm),
            ("b=AAAA; bh", "b=; bh", Tag("b")),
            ("b=AAAA; bh", "b=!; bh", Tag("b")),
            ("bh=AAAA; ", "", Tag("bh")),
            ("d=example.org; ", "", Tag("d")),
            ("d=example.org", "d=a..b", Tag("d")),
            ("s=sel", "s=", Tag("s")),
            ("h=from:to", "h=to", FromNotSigned),
            ("h=from:to", "h=from::to", Tag("h")),
            ("h=from:to", "h=from; c=relaxed/other", Tag("c")),
            ("h=from:to", "h=from; q=http", Tag("q")),
            ("h=from:to", "h=from; i=example.org", Tag("i")),
            ("h=from:to", "h=from; i=ann@other.example", Identity),
            ("h=from:to", "h=from; i=ann@badexample.org", Identity),
            ("h=from:to", "h=from; l=-1", Tag("l")),
            ("h=from:to", "h=from; t=", Tag("t")),
            ("h=from:to", "h=from; t=5; x=4", Tag("x")),
            ("h=from:to", "h=from; x=99999999999999999999", Tag("x")),
        ] {
            let text = GOOD.replacen(from, to, 1);
            assert_eq!(parsed(&text), Err(expected), "{text}");
        }
    }
}
