//! Who really sent a message: SPF, DKIM, DMARC, ARC and reverse DNS.
//!
//! Facts in, results out: [`check`] takes what SMTP said and the content, asks [`dns`], and
//! gives [`Results`]. [`policy::judge`] makes a verdict of them, [`Results::stamp`] the
//! Authentication-Results field. Nothing here knows of sessions or mailboxes.
//!
//! | module | question |
//! |---|---|
//! | [`spf`] | may this client send for the domain of the envelope? |
//! | [`dkim`] | which domains signed this content? |
//! | [`dmarc`] | is the author's domain one of these? |
//! | [`arc`] | what did those see who passed the message on? |
//! | [`iprev`] | has the client a name that leads back to it? |
//! | [`authres`] | how is it written into the message, and which such fields are forged? |
//! | [`policy`] | what becomes of the message? |
//!
//! Why the protocols are ours: the library for them (`mail-auth` 0.13.3) fails 39 of the 125
//! tests that we have of SPF's suite, most by taking records that are malformed
//! (`ip4:192.0.2.1/33`), and 3 of the 86 of ARC, among them seals without an algorithm. It
//! reads the system clock, asks the network through one fixed type of resolver, knows no
//! smallest key and no limit for one message, and hashes some relaxed bodies wrongly. Around
//! all of these we would have had to verify a second time. Signatures, hashes and the resolver
//! are from libraries.
//!
//! Invariants:
//! - time is an argument, DNS a trait, and only [`dns::Network`] opens sockets;
//! - "DNS did not answer" never looks like a verdict: it is `temperror`;
//! - look-ups and time are bounded for each check ([`dns::Budget`]), together 242 and 25
//!   seconds for a message;
//! - no input panics, and no text of a stranger reaches a header field unquoted.
//!
//! Cost: [`check`] verifies on the task that calls it; see `docs/sender-auth.md`, and
//! `examples/speed.rs` to measure it.

pub mod arc;
pub mod authres;
pub mod dkim;
pub mod dmarc;
pub mod dns;
pub mod iprev;
pub mod message;
mod name;
pub mod policy;
mod side_by_side;
pub mod spf;
pub mod tags;

use std::time::Duration;

use hikyaku_types::Timestamp;

pub use message::{Client, Message};
pub use name::Name;

use authres::{AuthenticationResults, MethodResult};
use dns::{Budget, Dns};

/// How long each check waits for DNS: less than a client waits for the reply to its content
/// (RFC 5321 section 4.5.3.2.6 asks for ten minutes, and some wait for one).
pub const TIME: Duration = Duration::from_secs(20);

/// How long the last step of DMARC may take after that.
const ALIGNMENT_TIME: Duration = Duration::from_secs(5);

/// The most look-ups of SPF. Its own limits add up to 112, for a record that nobody publishes
/// in earnest; large senders need about 20.
pub const SPF_LOOKUPS: u32 = 60;

/// The most look-ups of reverse DNS: names of the address, and the addresses of these.
const IPREV_LOOKUPS: u32 = 11;

/// The most look-ups of DKIM: a key for each signature.
const DKIM_LOOKUPS: u32 = dkim::MAX_SIGNATURES as u32;

/// The most look-ups of ARC: a key for each seal, and one for a message signature.
const ARC_LOOKUPS: u32 = arc::MAX_SETS as u32 + 1;

/// The most look-ups for the authors' records: a walk for each.
const AUTHOR_LOOKUPS: u32 = 8 * dmarc::MAX_AUTHORS as u32;

/// The most look-ups for alignment: a walk for each domain that vouches, for each author.
const ALIGNMENT_LOOKUPS: u32 = 80;

/// What all checks found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Results {
    /// The client's name.
    pub iprev: iprev::Iprev,
    /// The domain of the envelope.
    pub spf: spf::Spf,
    /// One for each signature.
    pub dkim: Vec<dkim::Verified>,
    /// The author's domain.
    pub dmarc: dmarc::Dmarc,
    /// The chain of those who passed the message on.
    pub arc: arc::Arc,
}

/// Runs all checks side by side.
///
/// `host` is our own name; nobody waits for DNS longer than `time`, mostly [`TIME`], and a
/// little. To be called within a Tokio runtime that has timers. It is right to drop the
/// future: nothing is left behind.
pub async fn check(
    dns: &impl Dns,
    client: &Client<'_>,
    message: &Message<'_>,
    host: &str,
    now: Timestamp,
    time: Duration,
) -> Results {
    check_within(&Budget::new(dns), client, message, host, now, time).await
}

/// As [`check`], with a budget that the caller can ask afterwards what was looked up.
pub async fn check_within<D: Dns>(
    budget: &Budget<'_, D>,
    client: &Client<'_>,
    message: &Message<'_>,
    host: &str,
    now: Timestamp,
    time: Duration,
) -> Results {
    let now_secs = now.as_secs();
    let share = |lookups| budget.share(lookups, time);
    let (for_iprev, for_spf, for_dkim) = (share(IPREV_LOOKUPS), share(SPF_LOOKUPS), share(DKIM_LOOKUPS));
    let (for_arc, for_authors) = (share(ARC_LOOKUPS), share(AUTHOR_LOOKUPS));
    let (iprev, spf, dkim, arc, authors) = tokio::join!(
        iprev::check(&for_iprev, client.ip),
        spf::check(&for_spf, client, host, now_secs),
        dkim::verify(&for_dkim, message, now_secs),
        arc::validate(&for_arc, message, now_secs),
        dmarc::Authors::look_up(&for_authors, message),
    );
    let dmarc = authors.evaluate(&budget.share(ALIGNMENT_LOOKUPS, ALIGNMENT_TIME), &spf, &dkim).await;
    Results { iprev, spf, dkim, dmarc, arc }
}

impl Results {
    /// The field that says what was found, RFC 8601.
    pub fn stamp(&self, authserv_id: &str) -> AuthenticationResults {
        let mut results = vec![self.iprev_result(), self.spf_result()];
        if self.dkim.is_empty() {
            results.push(MethodResult::new("dkim", "none"));
        }
        results.extend(self.dkim.iter().map(dkim_result));
        results.push(self.dmarc_result());
        if self.arc.outcome != arc::Outcome::None {
            let arc = MethodResult::new("arc", self.arc.outcome.as_str());
            results.push(arc.because(self.arc.reason.as_deref()));
        }
        AuthenticationResults { authserv_id: authserv_id.to_owned(), results }
    }

    fn iprev_result(&self) -> MethodResult {
        MethodResult::new("iprev", self.iprev.outcome.as_str()).with("policy.iprev", self.iprev.ip)
    }

    fn spf_result(&self) -> MethodResult {
        let result = MethodResult::new("spf", self.spf.outcome.as_str()).because(self.spf.reason.as_deref());
        match self.spf.identity {
            spf::Identity::MailFrom => result.with("smtp.mailfrom", &self.spf.sender),
            spf::Identity::Helo => {
                let helo = self.spf.sender.rsplit_once('@').map_or("", |(_, helo)| helo);
                result.with("smtp.helo", helo)
            }
        }
    }

    fn dmarc_result(&self) -> MethodResult {
        let mut result =
            MethodResult::new("dmarc", self.dmarc.outcome.as_str()).because(self.dmarc.reason.as_deref());
        if let Some(author) = &self.dmarc.author {
            result = result.with("header.from", author);
        }
        if let Some(policy) = &self.dmarc.policy {
            result = result.with("polrec.p", policy.published).with("polrec.domain", &policy.domain);
        }
        result
    }
}

fn dkim_result(verified: &dkim::Verified) -> MethodResult {
    let mut result = MethodResult::new("dkim", verified.outcome.as_str()).because(verified.reason.as_deref());
    if let Some(domain) = &verified.domain {
        result = result.with("header.d", domain);
    }
    if let Some(selector) = &verified.selector {
        result = result.with("header.s", selector);
    }
    if let Some(algorithm) = verified.algorithm {
        result = result.with("header.a", algorithm.as_str());
    }
    if !verified.beginning.is_empty() {
        result = result.with("header.b", &verified.beginning);
    }
    result
}
