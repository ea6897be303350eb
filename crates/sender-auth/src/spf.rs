//! SPF: does the domain of the envelope say that this client may send for it?
//!
//! Standards: RFC 7208.
//! Invariants:
//! - a record is read whole before any of it counts (section 4.6);
//! - at most [`MAX_TERMS`] terms ask DNS, and at most [`MAX_VOID`] of them in vain
//!   (section 4.6.4);
//! - an answer that DNS could not give ends in `temperror`.
//!
//! Trust: explanations are texts of strangers, and so are domains made from macros.

mod check;
mod expand;
mod record;

use std::fmt;

pub use check::check_host;
pub use record::{Record, SyntaxError};

use crate::Name;
use crate::dns::Dns;
use crate::message::Client;

/// The most terms that ask DNS, RFC 7208 section 4.6.4.
pub const MAX_TERMS: u32 = 10;

/// The most of them that find nothing, RFC 7208 section 4.6.4.
pub const MAX_VOID: u32 = 2;

/// The most exchangers of one `mx` term, RFC 7208 section 4.6.4.
pub const MAX_EXCHANGERS: usize = 10;

/// RFC 7208 section 2.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// No domain to check, or it publishes nothing.
    None,
    /// The domain does not say.
    Neutral,
    /// The client may send for the domain.
    Pass,
    /// It may not.
    Fail,
    /// It probably may not.
    SoftFail,
    /// DNS did not answer.
    TempError,
    /// What is published cannot be understood.
    PermError,
}

impl Outcome {
    /// As in Authentication-Results, RFC 8601 section 2.7.2.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Neutral => "neutral",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
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

/// Which name of the envelope was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// The domain of the reverse-path.
    MailFrom,
    /// The name in EHLO, for the null reverse-path (RFC 7208 section 2.4).
    Helo,
}

/// One thing that happened, for people who ask why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Whose record was being read.
    pub domain: Name,
    /// The record, or one term of it, as published.
    pub text: String,
    /// What came of it.
    pub note: String,
}

/// What SPF says about a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spf {
    /// The result.
    pub outcome: Outcome,
    /// Which name was checked.
    pub identity: Identity,
    /// The domain that was checked, if it could be one.
    pub domain: Option<Name>,
    /// The address that was checked: `postmaster@` the name in EHLO for the null reverse-path.
    pub sender: String,
    /// Why, in a few words, where the result alone does not tell.
    pub reason: Option<String>,
    /// Of a `fail`: what the domain wants the sender to be told. Text of a stranger.
    pub explanation: Option<String>,
    /// How it came to this.
    pub steps: Vec<Step>,
}

/// Checks the domain of the reverse-path, or the name in EHLO if that is null.
///
/// `host` is our own name, for explanations that ask for it.
pub async fn check(dns: &impl Dns, client: &Client<'_>, host: &str, now_secs: i64) -> Spf {
    let (identity, local_part, domain) = match client.reverse_path.rsplit_once('@') {
        Some((local_part, domain)) => (Identity::MailFrom, local_part, domain),
        None => (Identity::Helo, "", client.helo),
    };
    let local_part = if local_part.is_empty() { "postmaster" } else { local_part };
    let sender = format!("{local_part}@{domain}");
    let checked = Name::parse(domain).filter(Name::is_fully_qualified);
    let mut spf = Spf {
        outcome: Outcome::None,
        identity,
        domain: checked.clone(),
        sender,
        reason: None,
        explanation: None,
        steps: Vec::new(),
    };
    match checked {
        Some(domain) => {
            let facts = expand::Facts {
                ip: hikyaku_types::canonical_ip(client.ip),
                helo: client.helo,
                local_part,
                sender_domain: domain.as_str(),
                host,
                now_secs,
            };
            let found = check_host(dns, &facts, &domain).await;
            (spf.outcome, spf.reason) = (found.outcome, found.reason);
            (spf.explanation, spf.steps) = (found.explanation, found.steps);
        }
        None => spf.reason = Some("there is no domain to check".to_owned()),
    }
    spf
}
