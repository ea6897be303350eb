//! What becomes of a message, from what the checks found. Pure.
//!
//! Standards: RFC 9989 section 5.4 (what receivers do), RFC 8617 section 7.2.1 (ARC and
//! DMARC).
//! Invariants:
//! - only a DMARC `fail` changes where a message goes: what DNS did not answer is never held
//!   against it. It puts the message off if the author's domain asks for `p=reject` and the
//!   missing answer could be the one that saves it (RFC 9989 section 5.4 leaves this to us: who
//!   accepts here lets through what is refused a minute later);
//! - a chain of ARC counts as far as its sealers are trusted, and if the first of these saw a
//!   message that passed DMARC.

use std::fmt;
use std::net::IpAddr;

use hikyaku_types::Network;

use crate::dmarc::{self, Request};
use crate::{Name, Results, arc, dkim};

/// What the operator, or a tenant for its domains, wants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// How far authors' domains are obeyed.
    pub mode: Mode,
    /// Whose forwarded mail is accepted although DMARC fails.
    pub forwarders: Forwarders,
}

/// How far what the author's domain asks for is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Reject and quarantine as asked.
    #[default]
    Obey,
    /// Write the results into the message, and nothing else.
    StampOnly,
    /// Do not even write them.
    Ignore,
}

/// Those who pass mail on and may change it: mailing lists, other servers of the same people.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Forwarders {
    /// Their domains and all below: as sealers of ARC, and as signers of DKIM.
    pub domains: Vec<Name>,
    /// The networks that they send from.
    pub networks: Vec<Network>,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Go on as if nothing was wrong.
    Accept,
    /// Deliver into Junk.
    Junk,
    /// Refuse the message for now.
    Defer,
    /// Refuse the message.
    Reject,
}

impl Action {
    /// `accept`, `junk`, `defer` or `reject`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Junk => "junk",
            Self::Defer => "defer",
            Self::Reject => "reject",
        }
    }
}

/// What to do, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What to do.
    pub action: Action,
    /// Whether Authentication-Results are written.
    pub stamp: bool,
    /// What led here.
    pub reason: Reason,
}

/// Why. Kept with the message; its text is for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// DMARC found nothing to act on: a pass, no policy, or no answer from DNS.
    Dmarc(dmarc::Outcome),
    /// Nobody can tell whose domain the author's is.
    NoAuthor,
    /// The author's domain asks for this.
    Asked {
        /// Whose record asks.
        domain: Name,
        /// For what.
        request: Request,
    },
    /// It asks for `p=reject`, and what could speak for the message is not known now.
    CannotTell(Name),
    /// It asks for more, but the client is a trusted forwarder.
    TrustedNetwork(IpAddr),
    /// It asks for more, but a trusted forwarder signed the message.
    TrustedSigner(Name),
    /// It asks for more, but a trusted forwarder saw a message that passed.
    TrustedChain(Name),
    /// It asks for more, but this server only notes it.
    NotObeyed(Mode),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dmarc(outcome) => write!(f, "dmarc={outcome}"),
            Self::NoAuthor => f.write_str("the message names no author that could be checked"),
            Self::Asked { domain, request } => write!(f, "dmarc=fail, and {domain} asks for p={request}"),
            Self::CannotTell(domain) => {
                write!(
                    f,
                    "{domain} asks for p=reject, and DNS did not answer what could speak for the message"
                )
            }
            Self::TrustedNetwork(ip) => write!(f, "dmarc=fail, but {ip} is a trusted forwarder"),
            Self::TrustedSigner(domain) => write!(f, "dmarc=fail, but the trusted forwarder {domain} signed"),
            Self::TrustedChain(domain) => {
                write!(f, "dmarc=fail, but the trusted forwarder {domain} saw it pass (ARC)")
            }
            Self::NotObeyed(Mode::Ignore) => f.write_str("policies of authors are ignored here"),
            Self::NotObeyed(_) => f.write_str("policies of authors are only noted here"),
        }
    }
}

/// Decides.
pub fn judge(results: &Results, policy: &Policy) -> Verdict {
    let stamp = policy.mode != Mode::Ignore;
    let (action, reason) = match policy.mode {
        Mode::Obey => obey(results, &policy.forwarders),
        mode => (Action::Accept, Reason::NotObeyed(mode)),
    };
    Verdict { action, stamp, reason }
}

fn obey(results: &Results, forwarders: &Forwarders) -> (Action, Reason) {
    let dmarc = &results.dmarc;
    let (action, wanted) = match (dmarc.outcome, &dmarc.policy) {
        (dmarc::Outcome::PermError, _) => (Action::Junk, Reason::NoAuthor),
        (dmarc::Outcome::Fail, Some(policy)) => {
            let action = match policy.requested {
                Request::None => Action::Accept,
                Request::Quarantine => Action::Junk,
                Request::Reject => Action::Reject,
            };
            (action, Reason::Asked { domain: policy.domain.clone(), request: policy.requested })
        }
        (dmarc::Outcome::TempError, Some(policy)) if policy.requested == Request::Reject => {
            (Action::Defer, Reason::CannotTell(policy.domain.clone()))
        }
        (outcome, _) => return (Action::Accept, Reason::Dmarc(outcome)),
    };
    if action == Action::Accept {
        return (action, wanted);
    }
    match (excuse(results, forwarders), wanted) {
        (Some(excuse), _) => (Action::Accept, excuse),
        (None, Reason::Asked { domain, request: Request::Reject })
            if may_have_excuse(results, forwarders) =>
        {
            (Action::Defer, Reason::CannotTell(domain))
        }
        (None, wanted) => (action, wanted),
    }
}

/// Could a trusted forwarder have vouched for it, if only DNS had answered?
fn may_have_excuse(results: &Results, forwarders: &Forwarders) -> bool {
    let is_trusted = |name: &Name| forwarders.domains.iter().any(|domain| name.is_within(domain));
    let unclear = results.dkim.iter().filter(|verified| verified.outcome == dkim::Outcome::TempError);
    // Whose a chain is that could not be verified is anybody's guess.
    let has_chain = results.arc.outcome == arc::Outcome::TempError && !forwarders.domains.is_empty();
    has_chain || unclear.filter_map(|verified| verified.domain.as_ref()).any(is_trusted)
}

/// Who else is trusted to have looked.
fn excuse(results: &Results, forwarders: &Forwarders) -> Option<Reason> {
    let ip = results.iprev.ip;
    if forwarders.networks.iter().any(|network| network.contains(ip)) {
        return Some(Reason::TrustedNetwork(ip));
    }
    let is_trusted = |name: &Name| forwarders.domains.iter().any(|domain| name.is_within(domain));
    let signers = results.dkim.iter().filter(|verified| verified.outcome == dkim::Outcome::Pass);
    if let Some(signer) =
        signers.filter_map(|verified| verified.domain.as_ref()).find(|name| is_trusted(name))
    {
        return Some(Reason::TrustedSigner(signer.clone()));
    }
    let chain = Some(&results.arc).filter(|arc| arc.outcome == arc::Outcome::Pass)?;
    let first = chain.trusted_view(is_trusted).filter(|set| set.saw_dmarc_pass())?;
    Some(Reason::TrustedChain(first.sealer.clone()))
}
