//! DMARC: is the author's domain one of those that vouch for the message?
//!
//! Standards: RFC 9989.
//! Invariants:
//! - `pass` needs a `pass` of SPF or DKIM for a domain aligned with the author's;
//! - while DNS has not answered what the result depends on, it is `temperror` and never a
//!   verdict (section 5.3.6);
//! - a message of several authors is as good as the worst of them (section 11.5): a second
//!   author must not hide the first. More than [`MAX_AUTHORS`] domains are `permerror`.
//!
//! `pct=` is read to be shown and changes nothing.

mod record;
mod tree;

use std::fmt;

use hikyaku_mime::fields::{Entry, addresses};

pub use record::{Alignment, PublicSuffix, Record, Request};

use crate::Name;
use crate::dkim;
use crate::dns::{Dns, DnsError, Kind};
use crate::message::Message;
use crate::name::is_toplabel;
use crate::side_by_side::all;
use crate::spf;
use tree::Walk;

/// The most domains of authors. Messages of several authors are rare, and then these mostly
/// share a domain.
pub const MAX_AUTHORS: usize = 4;

/// RFC 9989 section 9.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The author's domain publishes nothing.
    None,
    /// The author's domain vouches for the message.
    Pass,
    /// It does not.
    Fail,
    /// DNS did not answer.
    TempError,
    /// Nobody can tell whose domain to look at.
    PermError,
}

impl Outcome {
    /// As in Authentication-Results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
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

/// Which check vouched for an aligned domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// SPF.
    Spf,
    /// DKIM.
    Dkim,
}

impl Mechanism {
    /// `spf` or `dkim`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Spf => "spf",
            Self::Dkim => "dkim",
        }
    }
}

/// What DMARC says. Of several authors this is the one who decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dmarc {
    /// The result.
    pub outcome: Outcome,
    /// The domain of the author.
    pub author: Option<Name>,
    /// The record that applies.
    pub policy: Option<Policy>,
    /// Of a `pass`: the aligned domain, and who vouched for it.
    pub aligned: Option<(Mechanism, Name)>,
    /// Why, where the result alone does not tell.
    pub reason: Option<String>,
}

/// The record that applies to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Whose record it is.
    pub domain: Name,
    /// What it asks for in this case: its `p=`, `sp=` or `np=`.
    pub published: Request,
    /// What is to be done: one step less if the domain only tests.
    pub requested: Request,
    /// The record itself.
    pub record: Record,
}

/// The domains of the authors, and what DNS has above them. Does not need SPF or DKIM, so
/// that it can be looked up beside them.
#[derive(Debug)]
pub struct Authors {
    walks: Vec<(Name, Walk)>,
    problem: Option<&'static str>,
}

impl Authors {
    /// Reads the From fields (RFC 9989 section 5.3.1) and walks up the tree from each domain.
    pub async fn look_up(dns: &impl Dns, message: &Message<'_>) -> Self {
        let domains = match author_domains(message) {
            Ok(domains) => domains,
            Err(problem) => return Self { walks: Vec::new(), problem: Some(problem) },
        };
        let walks = all(domains.iter().map(|domain| Walk::take(dns, domain))).await;
        Self { walks: domains.into_iter().zip(walks).collect(), problem: None }
    }

    /// Compares the authors with those who vouch for the message.
    pub async fn evaluate(&self, dns: &impl Dns, spf: &spf::Spf, dkim: &[dkim::Verified]) -> Dmarc {
        let vouchers = vouchers(spf, dkim);
        let mut worst: Option<Dmarc> = None;
        for (author, walk) in &self.walks {
            let found = evaluate_one(dns, author, walk, &vouchers).await;
            if worst.as_ref().is_none_or(|worst| badness(&found) > badness(worst)) {
                worst = Some(found);
            }
        }
        worst.unwrap_or_else(|| Dmarc {
            outcome: Outcome::PermError,
            author: None,
            policy: None,
            aligned: None,
            reason: self.problem.map(str::to_owned),
        })
    }
}

fn author_domains(message: &Message<'_>) -> Result<Vec<Name>, &'static str> {
    let mut domains = Vec::new();
    for field in message.header().all("From") {
        for entry in addresses(field.value) {
            let Entry::Mailbox(mailbox) = entry else { continue };
            let domain = Name::parse_bytes(&mailbox.domain);
            let Some(domain) = domain.filter(|name| is_toplabel(name.last_labels(1).as_str())) else {
                continue;
            };
            if !domains.contains(&domain) {
                domains.push(domain);
            }
            if domains.len() > MAX_AUTHORS {
                return Err("the authors have too many domains");
            }
        }
    }
    if domains.is_empty() { Err("the message names no author with a domain") } else { Ok(domains) }
}

/// A domain that vouches for the message, or would if DNS had answered.
struct Voucher<'r> {
    mechanism: Mechanism,
    domain: &'r Name,
    is_certain: bool,
}

fn vouchers<'r>(spf: &'r spf::Spf, dkim: &'r [dkim::Verified]) -> Vec<Voucher<'r>> {
    let spf_is_certain = match spf.outcome {
        spf::Outcome::Pass => Some(true),
        spf::Outcome::TempError => Some(false),
        _ => None,
    };
    let by_spf = spf_is_certain.zip(spf.domain.as_ref());
    let by_spf = by_spf.map(|(is_certain, domain)| Voucher { mechanism: Mechanism::Spf, domain, is_certain });
    let by_dkim = dkim.iter().filter_map(|verified| {
        let is_certain = match verified.outcome {
            dkim::Outcome::Pass => true,
            dkim::Outcome::TempError => false,
            _ => return None,
        };
        Some(Voucher { mechanism: Mechanism::Dkim, domain: verified.domain.as_ref()?, is_certain })
    });
    by_dkim.chain(by_spf).collect()
}

/// Which result of several authors decides.
fn badness(dmarc: &Dmarc) -> u8 {
    let requested = dmarc.policy.as_ref().map(|policy| policy.requested);
    match (dmarc.outcome, requested) {
        (Outcome::Fail, Some(Request::Reject)) => 6,
        (Outcome::Fail, Some(Request::Quarantine)) => 5,
        (Outcome::PermError, _) => 4,
        (Outcome::TempError, _) => 3,
        (Outcome::Fail, _) => 2,
        (Outcome::None, _) => 1,
        (Outcome::Pass, _) => 0,
    }
}

async fn evaluate_one(dns: &impl Dns, author: &Name, walk: &Walk, vouchers: &[Voucher<'_>]) -> Dmarc {
    let mut dmarc = Dmarc {
        outcome: Outcome::None,
        author: Some(author.clone()),
        policy: None,
        aligned: None,
        reason: None,
    };
    let judged = async {
        let Some((domain, record)) = walk.applicable()? else { return Ok(()) };
        dmarc.policy = Some(policy(dns, author, domain, record).await?);
        let mut certain = Ok(());
        for voucher in vouchers {
            match (is_aligned(dns, voucher, author, walk, record).await, voucher.is_certain) {
                (Ok(true), true) => {
                    dmarc.outcome = Outcome::Pass;
                    dmarc.aligned = Some((voucher.mechanism, voucher.domain.clone()));
                    return Ok(());
                }
                (Ok(true), false) => certain = Err(DnsError::ServFail),
                (Err(error), _) => certain = Err(error),
                (Ok(false), _) => {}
            }
        }
        dmarc.outcome = Outcome::Fail;
        certain
    };
    let judged: Result<(), DnsError> = judged.await;
    if let Err(error) = judged {
        dmarc.outcome = Outcome::TempError;
        dmarc.reason = Some(error.to_string());
    }
    dmarc
}

/// RFC 9989 section 4.10.1: `p=` for the domain of the record, `np=` below it for what does
/// not exist, `sp=` for what does.
async fn policy(dns: &impl Dns, author: &Name, domain: &Name, record: &Record) -> Result<Policy, DnsError> {
    let below = author != domain;
    let mut published = if below { record.subdomains.unwrap_or(record.policy) } else { record.policy };
    if let Some(missing) = record.missing_subdomains.filter(|_| below)
        && does_not_exist(dns, author).await?
    {
        published = missing;
    }
    let requested = if record.testing { published.one_less() } else { published };
    Ok(Policy { domain: domain.clone(), published, requested, record: record.clone() })
}

/// RFC 9989 section 3.2.13, by RFC 8020: whatever was asked for, the name is not there.
async fn does_not_exist(dns: &impl Dns, name: &Name) -> Result<bool, DnsError> {
    match dns.look_up(name, Kind::A).await {
        Ok(_) => Ok(false),
        Err(DnsError::NoName) => Ok(true),
        Err(error) if error.is_void() => Ok(false),
        Err(error) => Err(error),
    }
}

/// RFC 9989 section 4.10.2. Only domains within the author's organization can be aligned;
/// for these, another walk tells whether an organization of their own begins below.
async fn is_aligned(
    dns: &impl Dns,
    voucher: &Voucher<'_>,
    author: &Name,
    walk: &Walk,
    record: &Record,
) -> Result<bool, DnsError> {
    let alignment = match voucher.mechanism {
        Mechanism::Spf => record.spf,
        Mechanism::Dkim => record.dkim,
    };
    if voucher.domain == author || alignment == Alignment::Strict {
        return Ok(voucher.domain == author);
    }
    let organizational_domain = walk.organizational_domain()?;
    if *voucher.domain == organizational_domain || !voucher.domain.is_within(&organizational_domain) {
        return Ok(*voucher.domain == organizational_domain);
    }
    let other = Walk::take(dns, voucher.domain).await;
    Ok(other.organizational_domain()? == organizational_domain)
}
