//! DKIM: which domains vouch for this content?
//!
//! Standards: RFC 6376, RFC 8301 (no SHA-1, no small keys), RFC 8463 (Ed25519), RFC 8616
//! (international names).
//! Invariants:
//! - the time is an argument; `t=` and `x=` are compared with it and with nothing else;
//! - a body is hashed once for each of the two canonical forms, however many signatures there
//!   are, and not at all if nobody signed it;
//! - `pass` means the whole body: a signature with `l=` that leaves octets out is `policy`,
//!   as anybody can add a text of their own behind it (RFC 6376 section 8.2).
//!
//! Trust: signatures and keys are written by strangers. What they cost is bounded:
//! [`MAX_SIGNATURES`] look-ups and verifications a message.

mod canonical;
mod key;
mod signature;

use std::fmt;
use std::sync::OnceLock;

use aws_lc_rs::digest::{Context, Digest, SHA256};
use hikyaku_mime::Field;

pub use canonical::Canonical;
pub use key::{Key, KeyError};
pub use signature::{Common, Signature, SignatureError};

use crate::Name;
use crate::dns::{Dns, DnsError, Kind, texts};
use crate::message::Message;
use crate::side_by_side::all;
use crate::tags::Tags;

/// The most signatures that are examined. A message has one from its author, one from the
/// service that sent it, the same again with a second algorithm, and perhaps some of mailing
/// lists; eight leave room for all of these.
pub const MAX_SIGNATURES: usize = 8;

/// The most names in `h=`. Signers name each field once or twice.
pub const MAX_SIGNED_NAMES: usize = 256;

/// How far the signer's clock may be ahead of ours.
pub const CLOCK_SKEW_SECS: i64 = 15 * 60;

/// `a=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RFC 6376 section 3.3.2.
    RsaSha256,
    /// RFC 8463.
    Ed25519Sha256,
}

impl Algorithm {
    /// As in `a=`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RsaSha256 => "rsa-sha256",
            Self::Ed25519Sha256 => "ed25519-sha256",
        }
    }

    /// As in `k=`.
    fn key_kind(self) -> &'static str {
        match self {
            Self::RsaSha256 => "rsa",
            Self::Ed25519Sha256 => "ed25519",
        }
    }
}

/// RFC 8601 section 2.7.1. No signature at all is an empty list of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The domain signed this content.
    Pass,
    /// It did not, or the signature's time is over.
    Fail,
    /// It may have, but not in a way that we accept.
    Policy,
    /// The signature is malformed.
    Neutral,
    /// DNS did not answer.
    TempError,
    /// There is no key to verify it with, or something that must be signed is not.
    PermError,
}

impl Outcome {
    /// As in Authentication-Results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Policy => "policy",
            Self::Neutral => "neutral",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What one signature says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The result.
    pub outcome: Outcome,
    /// `d=`: who signed.
    pub domain: Option<Name>,
    /// `s=`: with which key.
    pub selector: Option<Name>,
    /// `a=`.
    pub algorithm: Option<Algorithm>,
    /// The size of the key, once it was seen.
    pub key_bits: Option<usize>,
    /// The domain only tries DKIM (`t=y` of the key).
    pub testing: bool,
    /// The first characters of `b=`, by which the signature is told from others (RFC 6008).
    pub beginning: String,
    /// Why, where the result alone does not tell.
    pub reason: Option<String>,
}

/// Why a signature does not count.
pub(crate) struct Refusal {
    pub(crate) outcome: Outcome,
    pub(crate) reason: String,
}

impl Refusal {
    fn new(outcome: Outcome, reason: impl ToString) -> Self {
        Self { outcome, reason: reason.to_string() }
    }
}

impl From<SignatureError> for Refusal {
    fn from(error: SignatureError) -> Self {
        let outcome = match error {
            SignatureError::Sha1 | SignatureError::TooManyNames => Outcome::Policy,
            SignatureError::FromNotSigned => Outcome::PermError,
            _ => Outcome::Neutral,
        };
        Self::new(outcome, error)
    }
}

impl From<KeyError> for Refusal {
    fn from(error: KeyError) -> Self {
        let outcome = match error {
            KeyError::TooSmall(_) | KeyError::TooLarge(_) => Outcome::Policy,
            _ => Outcome::PermError,
        };
        Self::new(outcome, error)
    }
}

/// Verifies the signatures of a message, in their order. If there are more than
/// [`MAX_SIGNATURES`], one more result says so.
pub async fn verify(dns: &impl Dns, message: &Message<'_>, now_secs: i64) -> Vec<Verified> {
    let fields = message.fields().iter().filter(|field| field.is("DKIM-Signature")).take(MAX_SIGNATURES + 1);
    let candidates =
        fields.enumerate().map(|(number, field)| verify_one(dns, message, field, number, now_secs));
    all(candidates).await
}

async fn verify_one(
    dns: &impl Dns,
    message: &Message<'_>,
    field: &Field<'_>,
    number: usize,
    now_secs: i64,
) -> Verified {
    let tags = Tags::parse(field.value);
    let mut verified = Verified::of(tags.as_ref());
    let examined = match tags {
        _ if number >= MAX_SIGNATURES => {
            Err(Refusal::new(Outcome::Policy, format!("only {MAX_SIGNATURES} signatures are examined")))
        }
        Some(tags) => examine(dns, message, field, &tags, now_secs, &mut verified).await,
        None => Err(SignatureError::Tags.into()),
    };
    match examined {
        Ok(()) => verified.outcome = Outcome::Pass,
        Err(Refusal { outcome, reason }) => (verified.outcome, verified.reason) = (outcome, Some(reason)),
    }
    verified
}

impl Verified {
    /// What is known before anything was verified.
    fn of(tags: Option<&Tags<'_>>) -> Self {
        let name = |tag| tags.and_then(|tags| tags.get(tag)).and_then(Name::parse_bytes);
        let signature = tags.and_then(|tags| tags.compact("b")).unwrap_or_default();
        let beginning = signature.iter().take(8).filter(|octet| octet.is_ascii_graphic());
        Self {
            outcome: Outcome::Neutral,
            domain: name("d"),
            selector: name("s"),
            algorithm: None,
            key_bits: None,
            testing: false,
            beginning: beginning.map(|&octet| char::from(octet)).collect(),
            reason: None,
        }
    }
}

async fn examine(
    dns: &impl Dns,
    message: &Message<'_>,
    field: &Field<'_>,
    tags: &Tags<'_>,
    now_secs: i64,
    verified: &mut Verified,
) -> Result<(), Refusal> {
    let signature = Signature::parse(tags)?;
    verified.algorithm = Some(signature.common.algorithm);
    in_time(&signature, now_secs)?;
    let key = find_key(dns, &signature.common).await?;
    (verified.key_bits, verified.testing) = (Some(key.bits()), key.testing);
    if key.exact_domain && signature.identity_domain != signature.common.domain {
        return Err(Refusal::new(Outcome::PermError, "the key is for the signing domain itself only"));
    }
    signs(message, &signature, field, tags, &key)
}

/// `t=` and `x=`, RFC 6376 section 3.5.
pub(crate) fn in_time(signature: &Signature<'_>, now_secs: i64) -> Result<(), Refusal> {
    if signature.expires_at.is_some_and(|expires| expires < now_secs) {
        return Err(Refusal::new(Outcome::Fail, "the signature has expired"));
    }
    let latest = now_secs.saturating_add(CLOCK_SKEW_SECS);
    if signature.common.signed_at.is_some_and(|signed| signed > latest) {
        return Err(Refusal::new(Outcome::Fail, "the signature was made in the future"));
    }
    Ok(())
}

/// Asks DNS for the key of a signature, RFC 6376 section 6.1.2.
///
/// If there are several texts, the first that is a key counts; which one that is, DNS does
/// not promise.
pub(crate) async fn find_key(dns: &impl Dns, common: &Common) -> Result<Key, Refusal> {
    let name = common.key_name().ok_or(SignatureError::Tag("s"))?;
    let records = match dns.look_up(&name, Kind::Txt).await {
        Ok(records) => records,
        Err(error) if error.is_void() => {
            return Err(Refusal::new(Outcome::PermError, format!("there is no key at {name}")));
        }
        Err(error) => return Err(no_answer(&name, error)),
    };
    let mut problem = KeyError::Syntax;
    for text in texts(&records) {
        match Key::parse(text, common.algorithm) {
            Ok(key) => return Ok(key),
            Err(error) if problem == KeyError::Syntax => problem = error,
            Err(_) => {}
        }
    }
    Err(problem.into())
}

fn no_answer(name: &Name, error: DnsError) -> Refusal {
    Refusal::new(Outcome::TempError, format!("TXT of {name}: {error}"))
}

/// Is this the signature of this message? RFC 6376 section 6.1.3.
pub(crate) fn signs(
    message: &Message<'_>,
    signature: &Signature<'_>,
    field: &Field<'_>,
    tags: &Tags<'_>,
    key: &Key,
) -> Result<(), Refusal> {
    if message.has_too_many_fields() {
        return Err(Refusal::new(Outcome::Policy, "the message has too many header fields"));
    }
    let body = message.bodies().digest(signature.body_form);
    match signature.body_length {
        Some(signed) if signed < body.length => {
            return Err(Refusal::new(Outcome::Policy, "a part of the body is not signed"));
        }
        Some(signed) if signed > body.length => {
            return Err(Refusal::new(Outcome::Fail, "the body is shorter than what was signed"));
        }
        _ => {}
    }
    if body.digest.as_ref() != signature.body_hash {
        return Err(Refusal::new(Outcome::Fail, "the body was changed"));
    }
    let digest = header_digest(message, signature, field, tags);
    if key.verifies(&digest, &signature.common.signature) {
        Ok(())
    } else {
        Err(Refusal::new(Outcome::Fail, "the header was changed, or the key is another one"))
    }
}

/// RFC 6376 section 3.7: the named fields, each time the last that is left, and then the
/// signature's own field.
fn header_digest(
    message: &Message<'_>,
    signature: &Signature<'_>,
    own: &Field<'_>,
    tags: &Tags<'_>,
) -> Digest {
    let fields = message.fields();
    let mut taken: Vec<bool> = fields.iter().map(|field| field.span == own.span).collect();
    let mut hash = Context::new(&SHA256);
    let mut text = Vec::with_capacity(512);
    for name in &signature.names {
        let found = fields.iter().zip(&mut taken).rev().find(|(field, taken)| {
            !**taken && field.name.len() == name.len() && field.name.eq_ignore_ascii_case(name)
        });
        if let Some((field, taken)) = found {
            *taken = true;
            canonical::field(
                signature.header_form,
                message.text_of(field),
                field.name,
                field.value,
                &mut text,
            );
        }
        if text.len() > 4096 {
            hash.update(&text);
            text.clear();
        }
    }
    own_field(signature.header_form, message, own, tags, &mut text);
    hash.update(&text);
    hash.finish()
}

/// The field of a signature as it was when it was signed: without the value of `b=`, and
/// without the last line end.
pub(crate) fn own_field(
    form: Canonical,
    message: &Message<'_>,
    own: &Field<'_>,
    tags: &Tags<'_>,
    into: &mut Vec<u8>,
) {
    let cut = |text: &[u8], offset: usize| {
        let place = tags.place("b").unwrap_or(0..0);
        let before = text.get(..offset + place.start).unwrap_or_default();
        [before, text.get(offset + place.end..).unwrap_or_default()].concat()
    };
    let text = cut(message.text_of(own), own.value_span.start - own.span.start);
    canonical::field(form, &text, own.name, &cut(own.value, 0), into);
    into.truncate(into.len().saturating_sub(2));
}

/// The relaxed form of a whole field, for seals (RFC 8617 section 5.1.1).
pub(crate) fn relaxed_field(message: &Message<'_>, field: &Field<'_>, into: &mut Vec<u8>) {
    canonical::field(Canonical::Relaxed, message.text_of(field), field.name, field.value, into);
}

/// A body, and its digests as soon as somebody asks for them.
#[derive(Debug)]
pub struct Bodies<'a> {
    body: &'a [u8],
    simple: OnceLock<BodyDigest>,
    relaxed: OnceLock<BodyDigest>,
}

/// The hash of a canonical body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyDigest {
    pub(crate) digest: Digest,
    /// Octets of the canonical form.
    pub(crate) length: u64,
}

impl<'a> Bodies<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Self {
        Self { body, simple: OnceLock::new(), relaxed: OnceLock::new() }
    }

    pub(crate) fn digest(&self, form: Canonical) -> &BodyDigest {
        let slot = match form {
            Canonical::Simple => &self.simple,
            Canonical::Relaxed => &self.relaxed,
        };
        slot.get_or_init(|| {
            let mut hash = Context::new(&SHA256);
            let length = canonical::body(form, self.body, |octets| hash.update(octets));
            BodyDigest { digest: hash.finish(), length }
        })
    }
}
