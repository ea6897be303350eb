//! A node, its settings, and transcripts of what it decides.
//!
//! A line is `TIME WHO[/SERVICE]@ADDRESS SECRET -> DECISION`:
//! - `TIME` as in `90s`, `5m`, `2h`, `1d`, from the start;
//! - `WHO`: `ann`, `bob`, `cat`, `eve` and `sus` (suspended) of tenant 1, `dan` of tenant 2,
//!   any other name is nobody's;
//! - `SECRET`: `right`, `app` (an app password), `factor` (password and second factor),
//!   `half` (right, second factor missing), anything else is that wrong password;
//! - `DECISION`: `check STANDING`, `challenge REASON` or `refuse REASON`, with
//!   ` after SECONDS` for the answer if that is of interest.

use std::net::IpAddr;
use std::time::Duration;

use hikyaku_access::facts::{AccountFacts, Attempt, Credential, Service, Subject, Tag};
use hikyaku_access::guard::{Admission, Changes, Decision, Outcome, Settings, after, answer_after, before};
use hikyaku_access::place::Place;
use hikyaku_access::policy::Limits;
use hikyaku_access::{Capacity, Cluster, State};
use hikyaku_types::{AccountId, DomainId, NodeId, TenantId, Timestamp};

pub(crate) const START: Timestamp = Timestamp::from_secs(1_795_996_800);

pub(crate) struct Rig {
    pub(crate) state: State,
    pub(crate) settings: Settings,
}

pub(crate) fn capacity() -> Capacity {
    Capacity { accounts: 1000, names: 1000, sources: 10_000, tenants: 100, blocks: 1000 }
}

pub(crate) fn time(text: &str) -> Timestamp {
    let (number, unit) = text.split_at(text.len() - 1);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => panic!("{text} is no time"),
    };
    START.after(Duration::from_secs(number.parse::<u64>().expect("a number") * seconds))
}

pub(crate) fn tenant(number: i64) -> TenantId {
    TenantId::from_i64(number).expect("numbered from 1")
}

/// A hash that is good enough to tell names and passwords apart.
fn hash(text: &str) -> u64 {
    text.bytes().fold(7, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

pub(crate) fn subject(who: &str) -> Subject<'static> {
    let accounts = ["ann", "bob", "cat", "eve", "sus", "dan"];
    let Some(place) = accounts.iter().position(|name| *name == who) else {
        return Subject::Missing { tenant: Some(tenant(1)), name: hash(who) };
    };
    Subject::Account(AccountFacts {
        tenant: tenant(if who == "dan" { 2 } else { 1 }),
        account: AccountId::from_i64(place as i64 + 1).expect("numbered from 1"),
        domain: DomainId::from_i64(1).expect("numbered from 1"),
        groups: &[],
        suspended: who == "sus",
    })
}

pub(crate) fn attempt(now: Timestamp, who: &str, ip: &str, secret: &str) -> Attempt<'static> {
    let (who, service) = match who.split_once('/') {
        None => (who, Service::Imap),
        Some((who, name)) => {
            let service = Service::ALL.into_iter().find(|service| service.name() == name);
            (who, service.expect("a service"))
        }
    };
    let credential = match secret {
        "app" => Credential::LongSecret { allow: &[] },
        "factor" => Credential::SecondFactor,
        password => Credential::Password(Tag(hash(password) as u32)),
    };
    let ip: IpAddr = ip.parse().expect("an address");
    Attempt { now, service, ip, place: Place::default(), subject: subject(who), credential }
}

/// What the hash would say.
pub(crate) fn outcome(attempt: &Attempt<'_>, admission: &Admission, secret: &str) -> Outcome {
    match (admission.decision, attempt.subject, secret) {
        (Decision::Check, Subject::Account(_), "right" | "app" | "factor") => Outcome::Good,
        (Decision::Check, Subject::Account(_), "half") => Outcome::SecondFactorMissing,
        (Decision::Check, ..) => Outcome::Wrong,
        _ => Outcome::NotChecked,
    }
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::among(Cluster::alone(NodeId::new(0).expect("a small number")))
    }

    pub(crate) fn among(cluster: Cluster) -> Self {
        let settings = Settings { accounts: 10, ..Settings::default() };
        Self { state: State::new(Limits::default(), capacity(), cluster), settings }
    }

    /// Decides about one attempt and keeps what becomes of it.
    pub(crate) fn step(
        &mut self,
        now: Timestamp,
        who: &str,
        ip: &str,
        secret: &str,
    ) -> (Admission, Changes, Duration) {
        let attempt = attempt(now, who, ip, secret);
        let delay = answer_after(attempt.ip, &self.state, now);
        let admission = before(&attempt, &self.settings, &self.state);
        self.state.claim(&attempt, &admission);
        let outcome = outcome(&attempt, &admission, secret);
        let changes = after(&attempt, &admission, outcome, &self.settings, &self.state);
        self.state.keep(&attempt, &changes);
        (admission, changes, delay)
    }

    /// Plays a transcript.
    pub(crate) fn check(&mut self, transcript: &str) {
        for line in transcript.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (left, expected) = line.split_once(" -> ").expect("TIME WHO SECRET -> DECISION");
            let [now, who, secret] = left.split_whitespace().collect::<Vec<_>>()[..] else {
                panic!("`{line}` has not three words");
            };
            let (who, ip) = who.split_once('@').expect("WHO@ADDRESS");
            let (admission, _, delay) = self.step(time(now), who, ip, secret);
            let mut decided = match admission.decision {
                Decision::Check => format!("check {:?}", admission.standing).to_lowercase(),
                Decision::Challenge(reason) => format!("challenge {}", reason.code()),
                Decision::Refuse(reason) => format!("refuse {}", reason.code()),
            };
            if expected.contains(" after ") {
                decided += &format!(" after {}", delay.as_secs());
            }
            assert_eq!(decided, expected, "in `{line}`");
        }
    }

    /// Plays `count` lines in which `#` is a number from 0.
    pub(crate) fn repeat(&mut self, count: usize, line: &str) {
        for number in 0..count {
            self.check(&line.replace('#', &number.to_string()));
        }
    }
}
