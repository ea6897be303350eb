//! What the node remembers: accounts, sources, tenants, blocks; bounded, in memory.
//!
//! Invariants:
//! - it is made of [`Event`]s and [`Block`]s alone, in any order: what is shared can be read
//!   again after a restart, and gives the same decisions;
//! - each map has a bound, and each list in it too; what is forgotten first is what was
//!   written longest ago;
//! - only claims of checks under way, and attempts that were not checked, are this node's own.
//!
//! Trust: sources and names come from strangers, who can make as many as they like. They can
//! push other sources and names out of their maps, and never an account.

mod entry;
mod generations;
mod question;
mod recent;
mod signal;

use std::net::IpAddr;
use std::time::Duration;

use hikyaku_types::{AccountId, Network, NodeId, TenantId, Timestamp};

use crate::block::Blocks;
use crate::event::{Event, Standing, What};
use crate::facts::{Attempt, Credential, SubjectKey, Tag};
use crate::guard::{Admission, Changes, Decision};
use crate::policy::Limits;
use crate::source::{area_of, around, bits, source_of};

use entry::{Child, Goodwill, Guess, Known, Offered};
pub(crate) use generations::Generations;
use recent::{Recent, Second};
use signal::Signal;

/// A day, and a minute for clocks that differ.
const DAY: Duration = Duration::from_secs(86_460);
const HOUR: Duration = Duration::from_secs(3600);
/// A check takes no longer: the pool that hashes has its own bound.
const CHECK: Duration = Duration::from_secs(30);

const MOST_KNOWN: usize = 32;
const MOST_GUESSES: usize = 64;
/// As many as a tenant may let pass before it blocks their source.
const MOST_OFFERS: usize = 100;
const MOST_SUSPICIONS: usize = 64;
const MOST_GOODWILL: usize = 32;
const MOST_CHILDREN: usize = 16;

/// How many of each the node remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Accounts.
    pub accounts: usize,
    /// Names without an account.
    pub names: usize,
    /// Sources, and the wider networks around them.
    pub sources: usize,
    /// Tenants.
    pub tenants: usize,
    /// Blocks, live and ended.
    pub blocks: usize,
}

/// This node among its like: each spends its share of what is left to guess, so that all
/// together never spend more than there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cluster {
    /// This node.
    pub node: NodeId,
    /// Its place among those that live, from 0.
    pub index: u16,
    /// How many live; at least 1.
    pub nodes: u16,
}

/// Everything the node remembers.
#[derive(Debug, Clone)]
pub struct State {
    /// The operator's numbers.
    pub limits: Limits,
    /// Blocks, which administrators list and lift.
    pub blocks: Blocks,
    cluster: Cluster,
    accounts: Generations<AccountId, Account>,
    names: Generations<u64, Account>,
    sources: Generations<Network, Reputation>,
    tenants: Generations<TenantId, Signal>,
    platform: Signal,
}

/// What is remembered of an account, or of a name without one.
#[derive(Debug, Clone, Default)]
struct Account {
    known: Recent<Known>,
    guesses: Recent<Guess>,
    office_guesses: Recent<Guess>,
    claims: Recent<Guess>,
}

/// What is remembered of a source, or of a wide network.
#[derive(Debug, Clone, Default)]
struct Reputation {
    /// Whatever was offered and not right: makes answers slower, and blocks.
    offers: Recent<Offered>,
    /// Those of them that were checked, of accounts that are not known there: make suspect.
    /// Apart, so that neither people who mistype nor what costs an attacker nothing push
    /// them out.
    guesses: Recent<Offered>,
    goodwill: Recent<Goodwill>,
    /// Parts of it that failed, if it is a wide one.
    children: Recent<Child>,
}

/// There are millions of them, and each bucket of their maps has room for one.
const _: () = assert!(size_of::<(Network, Reputation)>() <= 88);

impl Default for Capacity {
    /// A million sources, and as much of the rest as ten thousand tenants need.
    fn default() -> Self {
        Self { accounts: 1 << 20, names: 1 << 18, sources: 3 << 20, tenants: 1 << 15, blocks: 1 << 18 }
    }
}

impl Cluster {
    /// A node alone.
    pub const fn alone(node: NodeId) -> Self {
        Self { node, index: 0, nodes: 1 }
    }

    /// How many of `rest` this node may spend before it hears of the others.
    fn share(self, rest: u32, key: u64) -> u32 {
        let nodes = u32::from(self.nodes.max(1));
        let takes_remainder = key % u64::from(nodes) == u64::from(self.index);
        rest / nodes + if takes_remainder { rest % nodes } else { 0 }
    }
}

impl State {
    /// An empty state.
    pub fn new(limits: Limits, capacity: Capacity, cluster: Cluster) -> Self {
        Self {
            limits,
            blocks: Blocks::new(capacity.blocks),
            cluster,
            accounts: Generations::new(capacity.accounts),
            names: Generations::new(capacity.names),
            sources: Generations::new(capacity.sources),
            tenants: Generations::new(capacity.tenants),
            platform: Signal::default(),
        }
    }

    /// Tells the node how many live beside it.
    pub fn set_cluster(&mut self, cluster: Cluster) {
        self.cluster = cluster;
    }

    /// This node's id.
    pub fn node(&self) -> NodeId {
        self.cluster.node
    }

    /// Takes in what happened, here or at another node.
    pub fn apply(&mut self, event: &Event) {
        match event.what {
            What::Good { tenant, account, vouches } => self.good(event, tenant, account, vouches),
            What::Wrong { tenant, subject, tag, class, standing } => {
                let offered = Offered { tenant, subject, tag, last: Second::of(event.at), class };
                self.offer(event.ip, offered);
                if standing.is_unknown() || standing == Standing::Office {
                    self.guess_from(event.ip, offered);
                }
                self.guess_at(event, tenant, subject, tag, standing);
            }
            What::Unchecked { tenant, subject, tag, class } => {
                let last = Second::of(event.at);
                self.offer(event.ip, Offered { tenant, subject, tag, last, class });
            }
        }
    }

    fn good(&mut self, event: &Event, tenant: TenantId, account: AccountId, vouches: bool) {
        let (source, last) = (source_of(event.ip), Second::of(event.at));
        self.accounts.entry(account).known.note(Known { source, since: last, last }, MOST_KNOWN);
        self.tenants.entry(tenant).good(event.at);
        self.platform.good(event.at);
        if vouches {
            let goodwill = Goodwill { tenant, account, last };
            for network in std::iter::once(source).chain(around(source).map(|(network, _)| network)) {
                self.sources.entry(network).goodwill.note(goodwill, MOST_GOODWILL);
            }
        }
    }

    fn guess_from(&mut self, ip: IpAddr, offered: Offered) {
        let source = source_of(ip);
        self.sources.entry(source).guesses.note(offered, MOST_SUSPICIONS);
        let mut part = source;
        for (network, _) in around(source) {
            let wide = self.sources.entry(network);
            wide.guesses.note(offered, MOST_SUSPICIONS);
            wide.children.note(Child { bits: bits(part), last: offered.last }, MOST_CHILDREN);
            part = network;
        }
    }

    fn offer(&mut self, ip: IpAddr, offered: Offered) {
        let source = source_of(ip);
        for network in std::iter::once(source).chain(around(source).map(|(network, _)| network)) {
            self.sources.entry(network).offers.note(offered, MOST_OFFERS);
        }
    }

    fn guess_at(
        &mut self,
        event: &Event,
        tenant: Option<TenantId>,
        subject: SubjectKey,
        tag: Tag,
        standing: Standing,
    ) {
        let own = event.node == self.cluster.node;
        let guess = Guess { area: area_of(event.ip), tag, last: Second::of(event.at), own };
        let account = self.account_entry(subject);
        if standing == Standing::Office {
            account.office_guesses.note(guess, MOST_GUESSES);
        }
        if standing.is_unknown() && account.guesses.note(guess, MOST_GUESSES) {
            self.platform.guess(event.at);
            if let Some(tenant) = tenant {
                self.tenants.entry(tenant).guess(event.at);
            }
        }
    }

    /// Keeps a place for a guess while it is being checked, so that many at once are not more
    /// than one after the other. The place is free again with [`State::keep`], or after half
    /// a minute.
    pub fn claim(&mut self, attempt: &Attempt<'_>, admission: &Admission) {
        let Credential::Password(tag) = attempt.credential else { return };
        if admission.decision != Decision::Check || !admission.standing.is_unknown() {
            return;
        }
        let guess = Guess { area: area_of(attempt.ip), tag, last: Second::of(attempt.now), own: true };
        let account = self.account_entry(attempt.subject.key());
        account.claims.remove(|claim| !claim.last.within(CHECK, attempt.now));
        account.claims.note(guess, MOST_GUESSES);
    }

    /// Takes in what became of an attempt, and ends its claim.
    pub fn keep(&mut self, attempt: &Attempt<'_>, changes: &Changes) {
        if let Credential::Password(tag) = attempt.credential
            && self.account(attempt.subject.key()).is_some()
        {
            self.account_entry(attempt.subject.key()).claims.remove(|claim| claim.tag == tag);
        }
        if let Some(event) = &changes.event {
            self.apply(event);
        }
        if let Some(block) = changes.block {
            self.blocks.add(block);
        }
    }

    /// Forgets what is too old to matter, a step of it, the first of which is 0. Is there another?
    /// The maps stay within their bounds without it. A step looks at a few thousand entries, so
    /// that whoever holds the state for others lets them in between.
    pub fn sweep(&mut self, step: usize, now: Timestamp) -> bool {
        let (known_for, suspect_for) = (self.limits.known_for, self.limits.suspect_for);
        let is_of_use = |account: &Account| account.is_of_use(known_for, now);
        let more = [
            self.blocks.sweep(step, now),
            self.accounts.retain_in(step, |_, account| is_of_use(account)),
            self.names.retain_in(step, |_, account| is_of_use(account)),
            self.sources.retain_in(step, |_, source| {
                source.guesses.within(suspect_for, now).next().is_some()
                    // As long as a tenant may count them.
                    || source.offers.within(DAY, now).next().is_some()
                    || source.goodwill.within(known_for, now).next().is_some()
            }),
        ];
        more.contains(&true)
    }

    /// How much is remembered, for metrics.
    pub fn size(&self) -> Capacity {
        Capacity {
            accounts: self.accounts.len(),
            names: self.names.len(),
            sources: self.sources.len(),
            tenants: self.tenants.len(),
            blocks: self.blocks.len(),
        }
    }

    fn account(&self, subject: SubjectKey) -> Option<&Account> {
        match subject {
            SubjectKey::Account(account) => self.accounts.get(&account),
            SubjectKey::Missing(name) => self.names.get(&name),
        }
    }

    fn account_entry(&mut self, subject: SubjectKey) -> &mut Account {
        match subject {
            SubjectKey::Account(account) => self.accounts.entry(account),
            SubjectKey::Missing(name) => self.names.entry(name),
        }
    }
}

impl Account {
    fn is_of_use(&self, known_for: Duration, now: Timestamp) -> bool {
        self.known.within(known_for, now).next().is_some()
            || self.guesses.within(DAY, now).next().is_some()
            || self.office_guesses.within(DAY, now).next().is_some()
            || self.claims.within(CHECK, now).next().is_some()
    }
}
