//! Who sent a message: asked once, decided for each recipient, answered for all.
//!
//! Only mail from other servers (port 25) is judged. A submission has signed in, and the peer
//! of LMTP is our own relay, which has asked already.
//!
//! One reply, several policies: SMTP has one reply to content, and the tenants of its
//! recipients may want different things. So:
//! 1. if one of them has to wait for DNS, all wait: nobody has got it, nobody gets it twice;
//! 2. if all refuse it, it is refused;
//! 3. else it is delivered, and those who would refuse it get it into Junk.
//!
//! The other way, 452 at RCPT for whoever has another policy than the first recipient, would
//! delay honest mail to them, each time, to be strict with forged mail that Junk holds as well.
//!
//! Invariants:
//! - what we cannot find out, or have no capacity to find out, never refuses for good;
//! - what claims to be our finding and is not, no reader sees;
//! - content above [`LARGE`] is verified on a thread of its own, so that the sessions beside
//!   it do not wait for its digests.

use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use hikyaku_directory::{ForgedMail, ForgedMailPolicy};
use hikyaku_mime::Header;
use hikyaku_sender_auth::dns::Resolver;
use hikyaku_sender_auth::policy::{self, Action, Forwarders, Mode, Policy, Reason, Verdict};
use hikyaku_sender_auth::{Client, Message, Name, Results, authres, check, dmarc, spf};
use hikyaku_smtp_proto::{Envelope, Listener, Reply, Settings};
use hikyaku_types::{Clock, Domain, Timestamp};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::leaving::Leaving;
use crate::receive::Accepted;

/// Content of more bytes is verified on a thread of its own. Below, its digests take less than
/// half a millisecond.
const LARGE: usize = 256 << 10;

/// Large contents that are verified at the same time.
const LARGE_AT_ONCE: usize = 32;

/// The most ranges of a content that are left out for readers.
const MOST_FORGED: usize = 1_000;

/// Asks who sent messages; shared by all sessions.
#[derive(Debug)]
pub struct Judge {
    resolver: Resolver,
    time: Duration,
    large: Semaphore,
}

/// What the checks of one message found, and what follows.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// `None`: nobody asked.
    results: Option<Results>,
    /// Ranges of the content with results that claim to be ours.
    pub(crate) leave_out: Vec<Range<u32>>,
}

/// Content that is refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// What the peer is told.
    pub(crate) reply: Reply,
    /// What the checks of its sender found, if that is why: `dmarc=fail p=reject d=example.com`.
    pub(crate) finding: Option<String>,
}

impl From<Reply> for Refusal {
    fn from(reply: Reply) -> Self {
        Self { reply, finding: None }
    }
}

impl Judge {
    /// Asks `resolver`, and gives each check of a message so much time.
    pub fn new(resolver: Resolver, time: Duration) -> Self {
        Self { resolver, time, large: Semaphore::new(LARGE_AT_ONCE) }
    }

    /// Runs the checks.
    async fn look_at(self: &Arc<Self>, sender: Sender, content: &Arc<Vec<u8>>) -> Result<Results, Reply> {
        if content.len() <= LARGE {
            return Ok(self.check(&sender, content).await);
        }
        let permit = timeout(self.time, self.large.acquire()).await;
        let Ok(Ok(_permit)) = permit else { return Err(Reply::try_again_later()) };
        let (judge, content, runtime) = (Arc::clone(self), Arc::clone(content), Handle::current());
        let checking = tokio::task::spawn_blocking(move || runtime.block_on(judge.check(&sender, &content)));
        checking.await.map_err(|error| {
            tracing::error!(%error, "the checks of a message failed");
            Reply::try_again_later()
        })
    }

    async fn check(&self, sender: &Sender, content: &[u8]) -> Results {
        let client = Client { ip: sender.ip, helo: &sender.helo, reverse_path: &sender.reverse_path };
        let message = Message::new(content);
        check(&self.resolver, &client, &message, &sender.host, sender.now, self.time).await
    }
}

/// What SMTP says of the sender.
struct Sender {
    ip: IpAddr,
    helo: String,
    reverse_path: String,
    /// Our own name.
    host: String,
    now: Timestamp,
}

/// A message that is to be judged.
pub(crate) struct Case<'c> {
    pub(crate) settings: &'c Settings,
    pub(crate) peer: IpAddr,
    pub(crate) envelope: &'c Envelope,
    pub(crate) recipients: &'c [Accepted],
    /// Those elsewhere.
    pub(crate) leaving: &'c [Leaving],
    pub(crate) content: &'c Arc<Vec<u8>>,
}

/// A tenant's wish in the words of the checks.
pub(crate) fn policy_of(wish: &ForgedMailPolicy) -> Policy {
    let mode = match wish.mode {
        ForgedMail::Obey => Mode::Obey,
        ForgedMail::Stamp => Mode::StampOnly,
        ForgedMail::Ignore => Mode::Ignore,
    };
    let domains = wish.forwarder_domains.iter().filter_map(|domain| Name::parse(domain.as_str())).collect();
    Policy { mode, forwarders: Forwarders { domains, networks: wish.forwarder_networks.clone() } }
}

/// Who sent it, and may it go on?
pub(crate) async fn judge(
    judge: Option<&Arc<Judge>>,
    case: &Case<'_>,
    clock: &dyn Clock,
) -> Result<Judged, Refusal> {
    let host = case.settings.host_name.as_str();
    let listener = case.settings.listener;
    if listener == Listener::Lmtp {
        // Its results are those of our own relay.
        return Ok(Judged::default());
    }
    let leave_out = authres::fields_claiming(Header::of_content(case.content), host);
    if leave_out.len() > MOST_FORGED {
        return Err(Reply::too_many_results().into());
    }
    let Some(judge) = judge.filter(|_| listener == Listener::Mx) else {
        return Ok(Judged { results: None, leave_out });
    };
    let sender = Sender {
        ip: case.peer,
        helo: case.envelope.client.name.to_string(),
        reverse_path: crate::receive::reverse_path(case.envelope),
        host: host.to_owned(),
        now: clock.now(),
    };
    let judged = Judged { results: Some(judge.look_at(sender, case.content).await?), leave_out };
    let policies = case.recipients.iter().map(|one| &one.policy);
    let policies = policies.chain(case.leaving.iter().map(|one| &one.policy));
    match refusal(policies.filter_map(|policy| judged.verdict(policy))) {
        Some((reply, reason)) => Err(Refusal { reply, finding: Some(judged.finding(&reason)) }),
        None => Ok(judged),
    }
}

/// The one reply for all, if it refuses, and the reason.
fn refusal(verdicts: impl Iterator<Item = Verdict>) -> Option<(Reply, Reason)> {
    let verdicts: Vec<Verdict> = verdicts.collect();
    if let Some(deferred) = verdicts.iter().find(|verdict| verdict.action == Action::Defer) {
        return Some((Reply::author_not_known_now(), deferred.reason.clone()));
    }
    let refused = verdicts.iter().all(|verdict| verdict.action == Action::Reject);
    let first = verdicts.into_iter().next().filter(|_| refused)?;
    let reply = match &first.reason {
        Reason::Asked { domain, .. } => Reply::author_refuses(domain.as_str()),
        _ => Reply::refused_by_policy("Refused by policy"),
    };
    Some((reply, first.reason))
}

impl Judged {
    fn verdict(&self, policy: &Policy) -> Option<Verdict> {
        self.results.as_ref().map(|results| policy::judge(results, policy))
    }

    /// What was found, in the words of the checks, for the trace of what is refused.
    fn finding(&self, reason: &Reason) -> String {
        let outcome = self.results.as_ref().map_or(dmarc::Outcome::None, |results| results.dmarc.outcome);
        match reason {
            Reason::Asked { domain, request } => format!("dmarc={outcome} p={request} d={domain}"),
            Reason::CannotTell(domain) => format!("dmarc={outcome} p=reject d={domain}"),
            reason => reason.to_string(),
        }
    }

    /// What the trace says of a copy that is delivered: why it is junk, or why it is not
    /// although its sender is not proven. `None` if there is nothing to say.
    pub(crate) fn note(&self, recipient: &Accepted) -> Option<String> {
        let outcome = self.results.as_ref()?.dmarc.outcome;
        let Verdict { action, reason, .. } = self.verdict(&recipient.policy)?;
        match (action, &reason) {
            (Action::Junk | Action::Reject, reason) => Some(format!("to Junk: {reason}")),
            _ if matches!(outcome, dmarc::Outcome::Pass | dmarc::Outcome::None) => None,
            (_, Reason::NotObeyed(_)) => Some(format!("dmarc={outcome}, and {reason}")),
            (_, reason) => Some(reason.to_string()),
        }
    }

    /// Does the copy of a recipient with this policy go to the other junk?
    pub(crate) fn is_junk(&self, policy: &Policy) -> bool {
        self.verdict(policy).is_some_and(|verdict| matches!(verdict.action, Action::Junk | Action::Reject))
    }

    /// Whoever the envelope names did not send it, or nobody whom its author knows did: what is
    /// reported to that sender would bother a stranger.
    pub(crate) fn is_sender_forged(&self) -> bool {
        self.results.as_ref().is_some_and(|results| {
            results.spf.outcome == spf::Outcome::Fail || results.dmarc.outcome == dmarc::Outcome::Fail
        })
    }

    /// Authentication-Results for this recipient: empty if there are none.
    ///
    /// Beside what the checks found it says what was done about DMARC (`policy.dmarc` of the
    /// registry of RFC 8601), and why, so that the message itself can tell.
    pub(crate) fn stamp(&self, recipient: &Accepted, host: &Domain) -> String {
        let Some(results) = &self.results else { return String::new() };
        let verdict = policy::judge(results, &recipient.policy);
        if !verdict.stamp {
            return String::new();
        }
        let mut stamp = results.stamp(host.as_str());
        let done = match verdict.action {
            Action::Accept | Action::Defer => "none",
            Action::Junk | Action::Reject => "quarantine",
        };
        if let Some(dmarc) = stamp.results.iter_mut().find(|result| result.method == "dmarc")
            && results.dmarc.outcome != dmarc::Outcome::Pass
            && !matches!(verdict.reason, Reason::Dmarc(_))
        {
            dmarc.reason = Some(verdict.reason.to_string());
            dmarc.properties.push(("policy.dmarc".to_owned(), done.to_owned()));
        }
        stamp.to_field()
    }

    /// The client's name in the DNS, if it leads back.
    pub(crate) fn peer_name(&self) -> Option<Domain> {
        let name = self.results.as_ref()?.iprev.name.as_ref()?;
        Domain::parse(name.as_str()).ok()
    }
}
