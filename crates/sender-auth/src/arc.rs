//! ARC: did those who passed the message on vouch for what they saw?
//!
//! Standards: RFC 8617.
//! Invariants:
//! - only a chain that is complete, and whose every seal and newest message signature
//!   verify, is `pass` (section 5.2);
//! - a chain that passes says who touched the message, not that they are honest: whether
//!   their word counts is for `policy`.
//!
//! Trust: anybody can make a chain that passes, with their own domain.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use hikyaku_mime::Field;

use crate::Name;
use crate::authres::AuthenticationResults;
use crate::dkim::{self, Canonical, Common, Key, Signature, SignatureError};
use crate::dns::Dns;
use crate::message::Message;
use crate::side_by_side::all;
use crate::tags::Tags;

/// The most sets of a chain, RFC 8617 section 4.2.1.
pub const MAX_SETS: usize = 50;

/// RFC 8617 section 4.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// There is no chain.
    None,
    /// It is whole.
    Pass,
    /// It is broken.
    Fail,
    /// DNS did not answer. (For others this is `fail`; we ask again next time.)
    TempError,
}

impl Outcome {
    /// As in Authentication-Results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::TempError => "temperror",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is known of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arc {
    /// The result.
    pub outcome: Outcome,
    /// Of a chain that passes, from the oldest: who sealed it, and what they saw.
    pub sets: Vec<Set>,
    /// Why, where the result alone does not tell.
    pub reason: Option<String>,
}

/// One set of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// `d=` of the seal.
    pub sealer: Name,
    /// What its ARC-Authentication-Results say; `None` if that cannot be understood.
    pub saw: Option<AuthenticationResults>,
}

/// The three fields of one set.
struct Fields<'f, 'a> {
    results: &'f Field<'a>,
    signature: &'f Field<'a>,
    seal: &'f Field<'a>,
}

/// A seal with its tags.
struct Seal<'a> {
    tags: Tags<'a>,
    common: Common,
}

struct Broken {
    outcome: Outcome,
    reason: String,
}

impl Broken {
    fn fail(reason: impl ToString) -> Self {
        Self { outcome: Outcome::Fail, reason: reason.to_string() }
    }

    fn because(what: String, refusal: &dkim::Refusal) -> Self {
        let temporary = refusal.outcome == dkim::Outcome::TempError;
        let outcome = if temporary { Outcome::TempError } else { Outcome::Fail };
        Self { outcome, reason: format!("{what}: {}", refusal.reason) }
    }
}

/// Validates the chain of a message, RFC 8617 section 5.2.
pub async fn validate(dns: &impl Dns, message: &Message<'_>, now_secs: i64) -> Arc {
    match chain(dns, message, now_secs).await {
        Ok(sets) if sets.is_empty() => Arc { outcome: Outcome::None, sets, reason: None },
        Ok(sets) => Arc { outcome: Outcome::Pass, sets, reason: None },
        Err(Broken { outcome, reason }) => Arc { outcome, sets: Vec::new(), reason: Some(reason) },
    }
}

async fn chain(dns: &impl Dns, message: &Message<'_>, now_secs: i64) -> Result<Vec<Set>, Broken> {
    let sets = collect(message)?;
    let Some(newest) = sets.last() else { return Ok(Vec::new()) };
    let seals = read_seals(&sets)?;
    // All keys are asked for at once; the newest message signature has its own.
    let (signed, keys) = tokio::join!(
        newest_signature(dns, message, newest, sets.len(), now_secs),
        all(seals.iter().map(|seal| dkim::find_key(dns, &seal.common))),
    );
    signed?;
    let mut sealed = Context::new(&SHA256);
    for (index, ((set, seal), key)) in sets.iter().zip(&seals).zip(keys).enumerate() {
        let key = key.map_err(|refusal| Broken::because(format!("seal {}", index + 1), &refusal))?;
        if !seal_holds(message, set, seal, &key, &mut sealed) {
            return Err(Broken::fail(format!("seal {} does not verify", index + 1)));
        }
    }
    let found = sets.iter().zip(seals).map(|(set, seal)| Set {
        sealer: seal.common.domain,
        saw: results_of(set.results).and_then(AuthenticationResults::parse),
    });
    Ok(found.collect())
}

/// Sorts the fields into sets, RFC 8617 section 5.2 step 3.
fn collect<'m, 'a>(message: &'m Message<'a>) -> Result<Vec<Fields<'m, 'a>>, Broken> {
    let (mut results, mut signatures, mut seals) = (Vec::new(), Vec::new(), Vec::new());
    for field in message.fields() {
        if field.is("ARC-Authentication-Results") {
            results.push((results_instance(field), field));
        } else if field.is("ARC-Message-Signature") {
            signatures.push((tags_instance(field), field));
        } else if field.is("ARC-Seal") {
            seals.push((tags_instance(field), field));
        }
    }
    if results.len() != seals.len() || signatures.len() != seals.len() {
        return Err(Broken::fail("a set is not complete"));
    }
    if seals.len() > MAX_SETS || message.has_too_many_fields() {
        return Err(Broken::fail("the chain is too long"));
    }
    let mut sets = Vec::with_capacity(seals.len());
    for instance in 1..=seals.len() {
        let only = |fields: &[(Option<usize>, &'m Field<'a>)]| {
            let mut found = fields.iter().filter(|(of, _)| *of == Some(instance));
            found.next().filter(|_| found.next().is_none()).map(|(_, field)| *field)
        };
        let set = (only(&results), only(&signatures), only(&seals));
        let (Some(results), Some(signature), Some(seal)) = set else {
            return Err(Broken::fail(format!("set {instance} is not complete")));
        };
        sets.push(Fields { results, signature, seal });
    }
    Ok(sets)
}

/// `i=`, 1 to 50, RFC 8617 section 4.2.1.
fn instance(text: &[u8]) -> Option<usize> {
    let is_number = (1..=2).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(text).ok().filter(|_| is_number)?;
    text.parse().ok().filter(|number| (1..=MAX_SETS).contains(number))
}

fn tags_instance(field: &Field<'_>) -> Option<usize> {
    instance(Tags::parse(field.value)?.get("i")?)
}

/// `arc-authres-header = "i=" instance ";" authres-payload`, RFC 8617 section 4.1.1.
fn results_instance(field: &Field<'_>) -> Option<usize> {
    let end = field.value.iter().position(|&octet| octet == b';')?;
    let text = field.value.get(..end)?.trim_ascii();
    instance(text.strip_prefix(b"i")?.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start())
}

/// The part behind the instance.
fn results_of<'a>(field: &Field<'a>) -> Option<&'a [u8]> {
    let end = field.value.iter().position(|&octet| octet == b';')?;
    field.value.get(end + 1..)
}

/// Reads all seals and their `cv=`: `none` in the first, `pass` in the others.
fn read_seals<'a>(sets: &[Fields<'_, 'a>]) -> Result<Vec<Seal<'a>>, Broken> {
    let mut seals = Vec::with_capacity(sets.len());
    for (index, set) in sets.iter().enumerate() {
        let number = index + 1;
        let wrong = |error: SignatureError| Broken::fail(format!("seal {number}: {error}"));
        let tags = Tags::parse(set.seal.value).ok_or(SignatureError::Tags).map_err(wrong)?;
        let expected: &[u8] = if index == 0 { b"none" } else { b"pass" };
        if tags.get("cv") != Some(expected) {
            return Err(Broken::fail(format!("seal {number} says that the chain was broken")));
        }
        // Section 4.1.3: the scope of a seal is fixed.
        if tags.get("h").is_some() {
            return Err(wrong(SignatureError::Tag("h")));
        }
        let common = Common::parse(&tags).map_err(wrong)?;
        seals.push(Seal { tags, common });
    }
    Ok(seals)
}

/// The newest ARC-Message-Signature must hold; older ones need not, as each of those who
/// passed the message on may have changed it (section 5.2 step 4).
async fn newest_signature(
    dns: &impl Dns,
    message: &Message<'_>,
    newest: &Fields<'_, '_>,
    number: usize,
    now_secs: i64,
) -> Result<(), Broken> {
    let field = newest.signature;
    let verified = async {
        let tags = Tags::parse(field.value).ok_or(SignatureError::Tags)?;
        let signature = Signature::parse_without_identity(&tags)?;
        // Section 4.1.2: seals are made after it.
        if signature.names.iter().any(|name| name.eq_ignore_ascii_case(b"ARC-Seal")) {
            return Err(SignatureError::Tag("h").into());
        }
        dkim::in_time(&signature, now_secs)?;
        let key = dkim::find_key(dns, &signature.common).await?;
        dkim::signs(message, &signature, field, &tags, &key)
    };
    verified.await.map_err(|refusal| Broken::because(format!("message signature {number}"), &refusal))
}

/// A seal signs all fields of the sets so far, its own without `b=` (section 5.1.1).
/// `sealed` has hashed all older sets, and afterwards this one, too.
fn seal_holds(
    message: &Message<'_>,
    set: &Fields<'_, '_>,
    seal: &Seal<'_>,
    key: &Key,
    sealed: &mut Context,
) -> bool {
    let mut text = Vec::with_capacity(2048);
    dkim::relaxed_field(message, set.results, &mut text);
    dkim::relaxed_field(message, set.signature, &mut text);
    sealed.update(&text);
    let mut own = sealed.clone();
    text.clear();
    dkim::own_field(Canonical::Relaxed, message, set.seal, &seal.tags, &mut text);
    own.update(&text);
    text.clear();
    dkim::relaxed_field(message, set.seal, &mut text);
    sealed.update(&text);
    key.verifies(&own.finish(), &seal.common.signature)
}

impl Arc {
    /// The results that the oldest of the sealers saw who are all trusted up to the last one.
    ///
    /// Whoever sealed last is believed if trusted; what was sealed before them counts as far
    /// as those are trusted, too.
    pub fn trusted_view(&self, is_trusted: impl Fn(&Name) -> bool) -> Option<&Set> {
        self.sets.iter().rev().take_while(|set| is_trusted(&set.sealer)).last()
    }
}

impl Set {
    /// Did the sealer see a message that passed DMARC?
    pub fn saw_dmarc_pass(&self) -> bool {
        self.saw.as_ref().is_some_and(|results| results.has("dmarc", "pass"))
    }
}
