//! Sign-in history: what is kept of an attempt for people to read.
//!
//! Decisions are made of [`crate::event::Event`]s; a [`Record`] has what they leave out: the
//! client's name, the place, the reason. From records come [`unusual`] sign-ins and
//! [`stale`] devices.
//!
//! Trust: clients name themselves. The name is cut, stripped of control characters, shown,
//! and never believed.

pub mod stale;
pub mod unusual;

use std::net::IpAddr;

use hikyaku_types::{TenantId, Timestamp};

use crate::facts::{Attempt, Credential, Service, Subject, SubjectKey, Tag};
use crate::guard::{Admission, Decision, Outcome};
use crate::place::Place;
use crate::reason::Reason;

/// What a client calls itself: IMAP ID, EHLO name, HTTP User-Agent. May be empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Client(Box<str>);

/// What was offered as proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Proof {
    /// A password.
    Password,
    /// A password and a second factor.
    SecondFactor,
    /// An app password, API key or token.
    LongSecret,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Signed in.
    Admitted,
    /// The proof was checked, and wrong or incomplete.
    Failed,
    /// Not checked: something stronger than a password is needed.
    Challenged,
    /// Not checked.
    Refused,
}

/// One line of history.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// When.
    pub at: Timestamp,
    /// Whose account or domain.
    pub tenant: Option<TenantId>,
    /// Who.
    pub subject: SubjectKey,
    /// To what.
    pub service: Service,
    /// With which program.
    pub client: Client,
    /// From where.
    pub ip: IpAddr,
    /// Where that is.
    pub place: Place,
    /// With what.
    pub proof: Proof,
    /// Which password, unless it was right.
    pub tag: Option<Tag>,
    /// How it ended.
    pub verdict: Verdict,
    /// Why not, if not.
    pub reason: Option<Reason>,
}

impl Client {
    /// The most characters that are kept.
    pub const MOST: usize = 100;

    /// Takes what the client said.
    pub fn new(name: &str) -> Self {
        let shown = name.trim().chars().filter(|letter| !letter.is_control()).take(Self::MOST);
        Self(shown.collect::<String>().into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The record of an attempt; none if our own fault kept it from being decided.
pub fn record(
    attempt: &Attempt<'_>,
    admission: &Admission,
    outcome: Outcome,
    client: Client,
) -> Option<Record> {
    let (verdict, reason) = verdict(attempt, admission, outcome)?;
    let (proof, tag) = match attempt.credential {
        Credential::Password(tag) => (Proof::Password, Some(tag)),
        Credential::SecondFactor => (Proof::SecondFactor, None),
        Credential::LongSecret { .. } => (Proof::LongSecret, None),
    };
    Some(Record {
        at: attempt.now,
        tenant: attempt.subject.tenant(),
        subject: attempt.subject.key(),
        service: attempt.service,
        client,
        ip: attempt.ip,
        place: attempt.place,
        proof,
        // Nothing of a right password is kept, not even 32 bits of a hash.
        tag: tag.filter(|_| reason == Some(Reason::WrongPassword)),
        verdict,
        reason,
    })
}

fn verdict(
    attempt: &Attempt<'_>,
    admission: &Admission,
    outcome: Outcome,
) -> Option<(Verdict, Option<Reason>)> {
    let failed = match attempt.subject {
        Subject::Account(_) => Reason::WrongPassword,
        Subject::Missing { .. } => Reason::NoAccount,
    };
    match (outcome, admission.decision) {
        (Outcome::Good, _) => Some((Verdict::Admitted, None)),
        (Outcome::Wrong, _) => Some((Verdict::Failed, Some(failed))),
        (Outcome::SecondFactorMissing, _) => Some((Verdict::Failed, Some(Reason::SecondFactorMissing))),
        (Outcome::NotChecked, Decision::Challenge(reason)) => Some((Verdict::Challenged, Some(reason))),
        (Outcome::NotChecked, Decision::Refuse(reason)) => Some((Verdict::Refused, Some(reason))),
        (Outcome::NotChecked, Decision::Check) | (Outcome::Unavailable, _) => None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::event::Standing;
    use crate::facts::AccountFacts;
    use hikyaku_types::{AccountId, DomainId};

    /// A sign-in of one account at this second.
    pub(crate) fn signed_in(seconds: i64, ip: &str, client: &str) -> Record {
        let attempt = attempt(seconds, ip);
        record(&attempt, &admission(Decision::Check), Outcome::Good, Client::new(client)).unwrap()
    }

    pub(crate) fn failed(seconds: i64, ip: &str, client: &str, tag: u32) -> Record {
        let attempt = Attempt { credential: Credential::Password(Tag(tag)), ..attempt(seconds, ip) };
        record(&attempt, &admission(Decision::Check), Outcome::Wrong, Client::new(client)).unwrap()
    }

    fn attempt(seconds: i64, ip: &str) -> Attempt<'static> {
        Attempt {
            now: Timestamp::from_secs(seconds),
            service: Service::Imap,
            ip: ip.parse().unwrap(),
            place: Place::default(),
            subject: Subject::Account(AccountFacts {
                tenant: TenantId::from_i64(1).unwrap(),
                account: AccountId::from_i64(7).unwrap(),
                domain: DomainId::from_i64(3).unwrap(),
                groups: &[],
                suspended: false,
            }),
            credential: Credential::Password(Tag(5)),
        }
    }

    fn admission(decision: Decision) -> Admission {
        Admission { decision, standing: Standing::Fresh, would_refuse: Vec::new() }
    }

    #[test]
    fn how_attempts_end() {
        let nobody = Subject::Missing { tenant: None, name: 1 };
        let challenge = Decision::Challenge(Reason::AccountAttacked);
        let refuse = Decision::Refuse(Reason::TenantRule);
        let wrong = Some(Reason::WrongPassword);
        let table = [
            (Decision::Check, Outcome::Good, Some((Verdict::Admitted, None))),
            (Decision::Check, Outcome::Wrong, Some((Verdict::Failed, wrong))),
            (challenge, Outcome::NotChecked, Some((Verdict::Challenged, Some(Reason::AccountAttacked)))),
            (refuse, Outcome::NotChecked, Some((Verdict::Refused, Some(Reason::TenantRule)))),
            (
                Decision::Check,
                Outcome::SecondFactorMissing,
                Some((Verdict::Failed, Some(Reason::SecondFactorMissing))),
            ),
            (Decision::Check, Outcome::Unavailable, None),
        ];
        for (decision, outcome, expected) in table {
            let record = record(&attempt(1, "::1"), &admission(decision), outcome, Client::new(""));
            assert_eq!(record.as_ref().map(|one| (one.verdict, one.reason)), expected, "{outcome:?}");
            let keeps_tag = record.is_some_and(|one| one.tag.is_some());
            assert_eq!(keeps_tag, outcome == Outcome::Wrong, "{outcome:?}");
        }
        let attempt = Attempt { subject: nobody, ..attempt(1, "::1") };
        let missing = record(&attempt, &admission(Decision::Check), Outcome::Wrong, Client::new(""));
        assert_eq!(missing.unwrap().reason, Some(Reason::NoAccount));
    }

    #[test]
    fn a_clients_name_is_cut_and_harmless() {
        assert_eq!(Client::new(" Thunderbird/128\r\n").as_str(), "Thunderbird/128");
        assert_eq!(Client::new(&"x".repeat(500)).as_str().len(), Client::MOST);
        assert_eq!(Client::new("\x1b[31mred").as_str(), "[31mred");
    }
}
