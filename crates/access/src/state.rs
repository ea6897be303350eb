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

mod generations;
mod recent;
mod signal;

use std::net::IpAddr;
use std::time::Duration;

use hikyaku_types::{AccountId, Network, NodeId, TenantId, Timestamp};

use crate::block::Blocks;
use crate::event::{Event, Standing, What};
use crate::facts::{Attempt, Class, Credential, SubjectKey, Tag};
use crate::guard::{Admission, Changes, Decision, Offer};
use crate::policy::Limits;
use crate::source::{area_of, around, bits, source_of};

pub(crate) use generations::Generations;
use recent::{Happening, Recent, Second};
use signal::Signal;

/// A day, and a minute for clocks that differ.
const DAY: Duration = Duration::from_secs(86_460);
const HOUR: Duration = Duration::from_secs(3600);
/// After this time every node has seen what another one did.
const SYNC: Duration = Duration::from_secs(5);
/// A check takes no longer: the pool that hashes has its own bound.
const CHECK: Duration = Duration::from_secs(30);
/// A failure of a part of a wide network counts for the whole so long.
const CHILD: Duration = DAY;

const MOST_KNOWN: usize = 32;
const MOST_GUESSES: usize = 64;
const MOST_OFFERS: usize = 96;
const MOST_SUSPICIONS: usize = 64;
const MOST_GOODWILL: usize = 32;
const MOST_CHILDREN: usize = 16;
/// Goodwill of more accounts than these excuses no more failures.
const MOST_DOUBT: usize = 16;
const MOST_LOUD: usize = 8;
const MOST_SLOW: usize = 20;
/// So many wrong passwords an hour are human; in a wide network those of so many parts.
const HUMAN: usize = 5;
const MOST_PARTS: usize = 8;

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

#[derive(Debug, Clone, Copy)]
struct Known {
    source: Network,
    since: Second,
    last: Second,
}

#[derive(Debug, Clone, Copy)]
struct Guess {
    /// Around its source, see [`area_of`].
    area: u64,
    tag: Tag,
    last: Second,
    /// Checked by this node.
    own: bool,
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

/// A password that a source offered.
#[derive(Debug, Clone, Copy)]
struct Offered {
    tenant: Option<TenantId>,
    subject: SubjectKey,
    tag: Tag,
    last: Second,
    class: Class,
}

#[derive(Debug, Clone, Copy)]
struct Goodwill {
    tenant: TenantId,
    account: AccountId,
    last: Second,
}

#[derive(Debug, Clone, Copy)]
struct Child {
    bits: u64,
    last: Second,
}

impl Happening for Known {
    fn same(&self, other: &Self) -> bool {
        self.source == other.source
    }
    fn last(&self) -> Second {
        self.last
    }
    fn merge(&mut self, other: &Self) {
        self.since = self.since.min(other.since);
        self.last = self.last.max(other.last);
    }
}

impl Happening for Guess {
    fn same(&self, other: &Self) -> bool {
        self.tag == other.tag
    }
    fn last(&self) -> Second {
        self.last
    }
    fn merge(&mut self, other: &Self) {
        // The area of the later one, and of two at once the larger: any order gives the same.
        let later = if (other.last, other.area) > (self.last, self.area) { *other } else { *self };
        *self = Self { own: self.own || other.own, ..later };
    }
}

impl Happening for Offered {
    fn same(&self, other: &Self) -> bool {
        (self.subject, self.tag, self.class) == (other.subject, other.tag, other.class)
    }
    fn last(&self) -> Second {
        self.last
    }
    fn merge(&mut self, other: &Self) {
        self.last = self.last.max(other.last);
    }
}

impl Happening for Goodwill {
    fn same(&self, other: &Self) -> bool {
        self.account == other.account
    }
    fn last(&self) -> Second {
        self.last
    }
    fn merge(&mut self, other: &Self) {
        self.last = self.last.max(other.last);
    }
}

impl Happening for Child {
    fn same(&self, other: &Self) -> bool {
        self.bits == other.bits
    }
    fn last(&self) -> Second {
        self.last
    }
    fn merge(&mut self, other: &Self) {
        self.last = self.last.max(other.last);
    }
}

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

    /// Forgets what is too old to matter. The maps stay within their bounds without it.
    pub fn sweep(&mut self, now: Timestamp) {
        let (known_for, suspect_for) = (self.limits.known_for, self.limits.suspect_for);
        self.blocks.sweep(now);
        self.accounts.retain(|_, account| account.is_of_use(known_for, now));
        self.names.retain(|_, account| account.is_of_use(known_for, now));
        self.sources.retain(|_, source| {
            source.guesses.within(suspect_for, now).next().is_some()
                || source.offers.within(HOUR, now).next().is_some()
                || source.goodwill.within(known_for, now).next().is_some()
        });
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

/// The questions that decisions ask.
impl State {
    /// Did the subject sign in well from the source of `ip` lately?
    pub(crate) fn is_known(&self, subject: SubjectKey, ip: IpAddr, now: Timestamp) -> bool {
        let source = source_of(ip);
        self.account(subject).is_some_and(|account| {
            account.known.within(self.limits.known_for, now).any(|known| known.source == source)
        })
    }

    /// Was the account seen to be known there within the last hour? Then nothing is to be told.
    pub(crate) fn is_freshly_known(&self, account: AccountId, ip: IpAddr, now: Timestamp) -> bool {
        let source = source_of(ip);
        self.accounts
            .get(&account)
            .is_some_and(|account| account.known.within(HOUR, now).any(|known| known.source == source))
    }

    /// May a good sign-in of `account` speak for the source of `ip`?
    pub(crate) fn may_vouch(&self, account: AccountId, ip: IpAddr, now: Timestamp) -> bool {
        let source = source_of(ip);
        let Some(account) = self.accounts.get(&account) else { return true };
        let new = account.known.iter().filter(|known| known.source != source && known.since.within(DAY, now));
        new.count() < self.limits.vouches_per_day as usize
    }

    /// How many accounts of `tenant` speak for the source of `ip`.
    pub(crate) fn goodwill_of(&self, tenant: TenantId, ip: IpAddr, now: Timestamp) -> usize {
        self.sources.get(&source_of(ip)).map_or(0, |source| {
            source.goodwill.within(self.limits.known_for, now).filter(|good| good.tenant == tenant).count()
        })
    }

    /// The network that is suspect and holds `ip`: the widest of those that are.
    pub(crate) fn suspect(&self, ip: IpAddr, now: Timestamp) -> Option<Network> {
        let source = source_of(ip);
        let wide = around(source).rev().find(|(network, step)| {
            self.sources.get(network).is_some_and(|wide| {
                wide.children.within(CHILD, now).count() >= step.children && self.has_failed(wide, now)
            })
        });
        wide.map(|(network, _)| network).or_else(|| {
            self.sources.get(&source).is_some_and(|one| self.has_failed(one, now)).then_some(source)
        })
    }

    fn has_failed(&self, source: &Reputation, now: Timestamp) -> bool {
        let guesses = source.guesses.within(self.limits.suspect_for, now).count();
        let excused = self.goodwill(source, now).min(MOST_DOUBT);
        guesses >= self.limits.doubt as usize * (1 + excused)
    }

    fn goodwill(&self, source: &Reputation, now: Timestamp) -> usize {
        source.goodwill.within(self.limits.known_for, now).count()
    }

    /// Did the source of `ip` guess wrongly at all?
    pub(crate) fn has_guessed(&self, ip: IpAddr, now: Timestamp) -> bool {
        let source = self.sources.get(&source_of(ip));
        source.is_some_and(|source| source.guesses.within(self.limits.suspect_for, now).next().is_some())
    }

    /// Do several accounts, of whomever, sign in well from the source of `ip`?
    pub(crate) fn is_shared(&self, ip: IpAddr, now: Timestamp) -> bool {
        let source = self.sources.get(&source_of(ip));
        source.is_some_and(|source| self.goodwill(source, now) >= self.limits.office as usize)
    }

    /// Was the subject guessed at from around `ip` today?
    pub(crate) fn was_guessed_from(&self, subject: SubjectKey, ip: IpAddr, now: Timestamp) -> bool {
        let area = area_of(ip);
        self.account(subject)
            .is_some_and(|account| account.guesses.within(DAY, now).any(|guess| guess.area == area))
    }

    /// Does `network` guess at many accounts?
    pub(crate) fn is_loud(&self, network: Network, now: Timestamp) -> bool {
        self.sources.get(&network).is_some_and(|source| {
            let excused = 4 * self.goodwill(source, now).min(MOST_LOUD);
            source.guesses.within(DAY, now).count() >= self.limits.loud as usize + excused
        })
    }

    /// Different passwords that the source of `offer` offered within `window`, `offer` with
    /// them and whether checked or not: for its subject, and for all of its tenant.
    pub(crate) fn failures_with(&self, offer: &Offer, window: Duration, now: Timestamp) -> (u32, u32) {
        let mut count = (1, 1);
        let Some(source) = self.sources.get(&offer.source) else { return count };
        for one in source.offers.within(window, now) {
            let mine = one.subject == offer.subject;
            let counts = one.class == offer.class && one.tenant == offer.tenant;
            if counts && !(mine && one.tag == offer.tag) {
                count.0 += u32::from(mine);
                count.1 += 1;
            }
        }
        count
    }

    /// What was offered in the last hour from the source of `ip` and from each wider network
    /// around it, beyond what people mistype.
    pub(crate) fn offered_too_much(&self, ip: IpAddr, now: Timestamp) -> usize {
        let source = source_of(ip);
        let wide = around(source).map(|(network, step)| (network, HUMAN * step.children.min(MOST_PARTS)));
        let too_much = std::iter::once((source, HUMAN)).chain(wide).filter_map(|(network, human)| {
            let reputation = self.sources.get(&network)?;
            let offered = reputation.offers.within(HOUR, now).count();
            let human = human + self.goodwill(reputation, now).min(MOST_SLOW);
            Some(offered.saturating_sub(human))
        });
        too_much.max().unwrap_or(0)
    }

    /// Was `tag` found wrong for this subject within a day? Then it is no further guess.
    pub(crate) fn was_wrong(&self, subject: SubjectKey, tag: Tag, now: Timestamp) -> bool {
        self.account(subject)
            .is_some_and(|account| account.guesses.within(DAY, now).any(|guess| guess.tag == tag))
    }

    /// May this node check one more guess at the subject from an unknown source?
    pub(crate) fn may_guess(&self, subject: SubjectKey, tag: Tag, now: Timestamp) -> bool {
        let Some(account) = self.account(subject) else {
            return self.cluster.share(self.limits.guesses_per_day, number_of(subject)) > 0;
        };
        let is_young = |guess: &Guess| guess.own && guess.last.within(SYNC, now);
        let (young, settled): (Vec<&Guess>, Vec<&Guess>) =
            account.guesses.within(DAY, now).partition(|guess| is_young(guess));
        let claims = account.claims.within(CHECK, now).filter(|claim| claim.tag != tag).count();
        let settled = u32::try_from(settled.len()).unwrap_or(u32::MAX);
        let rest = self.limits.guesses_per_day.saturating_sub(settled);
        young.len() + claims < self.cluster.share(rest, number_of(subject)) as usize
    }

    /// May one more guess at the subject be checked from an office where it is not known?
    pub(crate) fn may_guess_in_office(&self, subject: SubjectKey, now: Timestamp) -> bool {
        self.account(subject).is_none_or(|account| {
            let guesses = account.office_guesses.within(DAY, now).count();
            guesses < self.limits.office_guesses_per_day as usize
        })
    }

    /// Is the subject guessed at from elsewhere than around `ip`?
    pub(crate) fn is_attacked(&self, subject: SubjectKey, ip: IpAddr, now: Timestamp) -> bool {
        let area = area_of(ip);
        self.account(subject).is_some_and(|account| {
            let elsewhere = account.guesses.within(DAY, now).filter(|guess| guess.area != area).count();
            elsewhere >= self.limits.attacked_from as usize
        })
    }

    /// Are many accounts of the tenant guessed at from unknown sources?
    pub(crate) fn is_tenant_attacked(&self, tenant: TenantId, accounts: u32, now: Timestamp) -> bool {
        let human = accounts / self.limits.tenant_accounts_per_guess.max(1);
        self.tenants.get(&tenant).is_some_and(|signal| {
            signal.last_hour(now).0 >= self.limits.tenant_attacked_from.saturating_add(human)
        })
    }

    /// Are many accounts of the platform?
    pub(crate) fn is_platform_attacked(&self, now: Timestamp) -> bool {
        let (guesses, goods) = self.platform.last_hour(now);
        guesses >= self.limits.platform_attacked_from && guesses > goods / 4
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

fn number_of(subject: SubjectKey) -> u64 {
    match subject {
        SubjectKey::Account(account) => account.as_i64().unsigned_abs(),
        SubjectKey::Missing(name) => name,
    }
}
