//! The two gates: the real policy on several nodes with a shared record, and the naive one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use hikyaku_access::block::Block;
use hikyaku_access::event::Event;
use hikyaku_access::facts::{AccountFacts, Attempt, Credential, Subject};
use hikyaku_access::guard::{Changes, Decision, Outcome, Settings, after, answer_after, before, introduce};
use hikyaku_access::place::Place;
use hikyaku_access::policy::Limits;
use hikyaku_access::{Capacity, Cluster, State};
use hikyaku_testkit::Rng;
use hikyaku_types::{NodeId, TenantId, Timestamp};

use crate::world::{Account, Directory, Gate, Secret, Try, Verdict, Who};

/// How long it takes until the other nodes have read what one wrote.
const LAG: Duration = Duration::from_millis(700);
/// How far the second node's clock is ahead.
const SKEW: Duration = Duration::from_secs(2);

/// What the database holds, and from when on other nodes have seen it.
enum Shared {
    Event(Event),
    Block(Block),
}

struct Node {
    state: State,
    /// How much of the record it has read.
    read: usize,
    /// How far its clock is ahead.
    ahead: Duration,
}

/// The real policy, on two nodes.
pub(crate) struct Real {
    nodes: Vec<Node>,
    record: Vec<(Timestamp, Shared)>,
    settings: HashMap<TenantId, Settings>,
    balancer: Rng,
}

fn fresh_state(index: u16) -> State {
    let capacity =
        Capacity { accounts: 10_000, names: 10_000, sources: 200_000, tenants: 1_000, blocks: 50_000 };
    let node = NodeId::new(index).expect("a small number");
    State::new(Limits::default(), capacity, Cluster { node, index, nodes: 2 })
}

impl Node {
    /// Reads what the others wrote until `now`.
    fn catch_up(&mut self, record: &[(Timestamp, Shared)], now: Timestamp) {
        while let Some((_, shared)) = record.get(self.read).filter(|(seen_at, _)| *seen_at <= now) {
            match shared {
                Shared::Event(event) => self.state.apply(event),
                Shared::Block(block) => self.state.blocks.add(*block),
            }
            self.read += 1;
        }
    }
}

impl Real {
    /// Two nodes, and tenants with the default settings.
    pub(crate) fn new() -> Self {
        let node = |(index, ahead)| Node { state: fresh_state(index), read: 0, ahead };
        Self {
            nodes: [(0, Duration::ZERO), (1, SKEW)].map(node).into(),
            record: Vec::new(),
            settings: HashMap::new(),
            balancer: Rng::new(99),
        }
    }

    /// Writes to the shared record what belongs there.
    fn share(&mut self, changes: &Changes, now: Timestamp) {
        let seen_at = now.after(LAG);
        if let Some(event) = changes.event.filter(Event::is_shared) {
            self.record.push((seen_at, Shared::Event(event)));
        }
        if let Some(block) = changes.block {
            self.record.push((seen_at, Shared::Block(block)));
        }
    }
}

impl Gate for Real {
    fn attempt(&mut self, one: &Try, directory: &Directory, now: Timestamp) -> (Verdict, Duration) {
        let number = self.balancer.below(self.nodes.len() as u64) as usize;
        self.nodes[number].catch_up(&self.record, now);
        let node = &mut self.nodes[number];
        let subject = subject(one.who, directory);
        let tenant = subject.tenant().expect("all names are in some tenant's domain");
        let settings = self.settings.entry(tenant).or_insert_with(|| Settings {
            accounts: directory.sizes.get(&tenant).copied().unwrap_or(0),
            ..Settings::default()
        });
        let attempt = Attempt {
            now: now.after(node.ahead),
            service: one.service,
            ip: one.ip,
            place: Place::default(),
            subject,
            credential: match one.secret {
                Secret::Password(password) => Credential::Password(password.tag()),
                Secret::AppPassword => Credential::LongSecret { allow: &[] },
            },
        };
        let delay = answer_after(one.ip, &node.state, attempt.now);
        let admission = before(&attempt, settings, &node.state);
        node.state.claim(&attempt, &admission);
        let (outcome, verdict) = match (admission.decision, directory.is_right(one)) {
            (Decision::Check, true) => (Outcome::Good, Verdict::Admitted),
            (Decision::Check, false) => (Outcome::Wrong, Verdict::Wrong),
            (Decision::Challenge(_), _) => (Outcome::NotChecked, Verdict::Challenged),
            (Decision::Refuse(_), _) => (Outcome::NotChecked, Verdict::Refused),
        };
        let changes = after(&attempt, &admission, outcome, settings, &node.state);
        node.state.keep(&attempt, &changes);
        self.share(&changes, now);
        (verdict, delay)
    }

    fn introduce(&mut self, account: &Account, ip: IpAddr, now: Timestamp) {
        let state = &mut self.nodes[0].state;
        let event = introduce(account.tenant, account.account, ip, now, state);
        state.apply(&event);
        self.share(&Changes { event: Some(event), block: None }, now);
    }

    fn restart(&mut self, node: usize, now: Timestamp) {
        let index = u16::try_from(node).expect("few nodes");
        self.nodes[node] = Node { state: fresh_state(index), read: 0, ahead: self.nodes[node].ahead };
        // What this node wrote itself is there at once, whatever the lag.
        self.nodes[node].catch_up(&self.record, now.after(LAG));
    }
}

fn subject(who: Who, directory: &Directory) -> Subject<'static> {
    match who {
        Who::Missing(name) => Subject::Missing { tenant: TenantId::from_i64(1), name },
        Who::Account(place) => {
            let account = &directory.accounts[place];
            Subject::Account(AccountFacts {
                tenant: account.tenant,
                account: account.account,
                domain: account.domain,
                groups: &[],
                suspended: false,
            })
        }
    }
}

/// What most servers do: after so many failures in a while the address is blocked for all.
pub(crate) struct Naive {
    failures: HashMap<IpAddr, Vec<Timestamp>>,
    blocked: HashMap<IpAddr, Timestamp>,
}

impl Naive {
    const FAILURES: usize = 5;
    const WINDOW: Duration = Duration::from_secs(600);
    const BLOCK: Duration = Duration::from_secs(3600);

    pub(crate) fn new() -> Self {
        Self { failures: HashMap::new(), blocked: HashMap::new() }
    }
}

impl Gate for Naive {
    fn attempt(&mut self, one: &Try, directory: &Directory, now: Timestamp) -> (Verdict, Duration) {
        const ANSWER: Duration = Duration::from_secs(1);
        if self.blocked.get(&one.ip).is_some_and(|until| now < *until) {
            return (Verdict::Refused, ANSWER);
        }
        if directory.is_right(one) {
            return (Verdict::Admitted, ANSWER);
        }
        let failures = self.failures.entry(one.ip).or_default();
        failures.retain(|at| now.since(*at) < Self::WINDOW);
        failures.push(now);
        if failures.len() >= Self::FAILURES {
            self.blocked.insert(one.ip, now.after(Self::BLOCK));
        }
        (Verdict::Wrong, ANSWER)
    }

    fn introduce(&mut self, _account: &Account, _ip: IpAddr, _now: Timestamp) {}

    fn restart(&mut self, _node: usize, _now: Timestamp) {}
}
