//! Part *access*: sign-in decisions besides the hash, with warm caches: a million sources and
//! ten thousand tenants; and what refusals cost a whole server.

mod attack;

use std::collections::HashMap;
use std::hint::black_box;
use std::net::IpAddr;
use std::time::Duration;

use clap::Args;
use hikyaku_access::event::{Event, Standing, What};
use hikyaku_access::facts::{AccountFacts, Attempt, Class, Credential, Service, Subject, SubjectKey, Tag};
use hikyaku_access::guard::{Decision, Outcome, Settings, after, answer_after, before};
use hikyaku_access::place::Place;
use hikyaku_access::policy::{Limits, Note};
use hikyaku_access::rule::{Allow, Level, Mode, Origin, Rule, Version};
use hikyaku_access::{Capacity, Cluster, State};
use hikyaku_testkit::Rng;
use hikyaku_types::{AccountId, DomainId, Network, NodeId, TenantId, Timestamp};

use crate::measure::Stopwatch;

/// When everything happens.
const NOW: Timestamp = Timestamp::from_secs(1_795_996_800);

#[derive(Args)]
pub(crate) struct Arguments {
    /// Sources that are remembered.
    #[arg(long, default_value_t = 1_000_000)]
    sources: u32,
    /// Tenants, with 20 accounts each.
    #[arg(long, default_value_t = 10_000)]
    tenants: i64,
    /// Decisions to measure, of each kind.
    #[arg(long, default_value_t = 1_000_000)]
    decisions: u64,
    /// Sources that are blocked and go on.
    #[arg(long, default_value_t = 200)]
    blocked: u16,
    /// Connections of each of them.
    #[arg(long, default_value_t = 4)]
    each: u16,
    /// How long each kind of attack lasts.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let before = resident()?;
    let mut node = Node::new(arguments);
    let megabytes = (resident()? - before) / 1e6;
    let size = node.state.size();
    println!(
        "access: {} tenants, {} accounts, {} sources and networks around them: {megabytes:.0} MB (goal 1,000)",
        arguments.tenants, size.accounts, size.sources
    );
    let count = arguments.decisions;
    let mut rng = Rng::new(1);
    node.measure("good, known source", count, |node| node.attempt(&mut rng, Kind::Known));
    let mut rng = Rng::new(2);
    node.measure("wrong, known source", count, |node| node.attempt(&mut rng, Kind::Typo));
    let mut rng = Rng::new(3);
    node.measure("wrong, new source", count, |node| node.attempt(&mut rng, Kind::Fresh));
    let mut rng = Rng::new(4);
    let (each, refused) =
        node.measure("refused by a known block", count, |node| node.attempt(&mut rng, Kind::Blocked));
    println!(
        "access: {:.0} refusals per CPU-second (goal 20,000), {refused} of {count} were",
        1.0 / each.as_secs_f64()
    );
    drop(node);
    attack::run(arguments)
}

#[derive(Clone, Copy)]
enum Kind {
    /// The right password, from where the account always comes from.
    Known,
    /// A wrong one from there.
    Typo,
    /// A wrong one from anywhere.
    Fresh,
    /// From a source that is blocked for the account.
    Blocked,
}

struct Node {
    state: State,
    settings: HashMap<i64, Settings>,
    tenants: i64,
    /// Refusals by reason, as they are flushed each second.
    aggregate: HashMap<&'static str, u64>,
}

/// The account's own address; two accounts of a tenant share one.
fn home_of(account: i64) -> IpAddr {
    IpAddr::V4((0x0100_0000 + (account as u32 / 2) * 7).into())
}

/// Who guesses at the account and is blocked.
fn attacker_of(account: i64) -> IpAddr {
    IpAddr::V4((0xc000_0000 + account as u32 % 1000).into())
}

impl Node {
    fn new(arguments: &Arguments) -> Self {
        let cluster = Cluster::alone(NodeId::new(0).expect("0 is a node"));
        let mut state = State::new(Limits::default(), Capacity::default(), cluster);
        for account in 1..=arguments.tenants * 20 {
            let what = What::Good { tenant: tenant_of(account), account: account_id(account), vouches: true };
            state.apply(&Event { at: NOW, node: state.node(), ip: home_of(account), what });
        }
        let mut rng = Rng::new(9);
        for number in 0..arguments.sources {
            // Spread over the address space; a guess or two of each, over the last six days.
            let ip = IpAddr::V4((0x2000_0000 + number.wrapping_mul(1_793)).into());
            for _ in 0..=rng.below(2) {
                let account = 1 + rng.below(arguments.tenants as u64 * 20) as i64;
                let what = What::Wrong {
                    tenant: Some(tenant_of(account)),
                    subject: SubjectKey::Account(account_id(account)),
                    tag: Tag(rng.next_u64() as u32),
                    class: Class::Mail,
                    standing: Standing::Fresh,
                };
                let at = NOW.before(Duration::from_secs(rng.below(6 * 86_400)));
                state.apply(&Event { at, node: state.node(), ip, what });
            }
        }
        let settings = (1..=arguments.tenants).map(|tenant| (tenant, settings())).collect();
        let mut node = Self { state, settings, tenants: arguments.tenants, aggregate: HashMap::new() };
        node.block();
        node
    }

    /// Lets 1,000 sources guess until they are blocked, each at one account.
    fn block(&mut self) {
        for account in 1..=1000 {
            for tag in 0..12 {
                let attempt = attempt(account, attacker_of(account), Tag(tag));
                decide(&mut self.state, &self.settings[&tenant_number(account)], &attempt, false);
            }
        }
    }

    fn attempt(&mut self, rng: &mut Rng, kind: Kind) -> bool {
        let account = 1 + match kind {
            Kind::Blocked => rng.below(1000),
            _ => rng.below(self.tenants as u64 * 20),
        } as i64;
        let ip = match kind {
            Kind::Known | Kind::Typo => home_of(account),
            Kind::Fresh => IpAddr::V4((rng.next_u64() as u32).into()),
            Kind::Blocked => attacker_of(account),
        };
        let attempt = attempt(account, ip, Tag(rng.next_u64() as u32));
        let right = matches!(kind, Kind::Known);
        let settings = &self.settings[&tenant_number(account)];
        match decide(&mut self.state, settings, &attempt, right) {
            Decision::Check => false,
            Decision::Challenge(reason) | Decision::Refuse(reason) => {
                *self.aggregate.entry(reason.code()).or_default() += 1;
                true
            }
        }
    }

    /// CPU of one decision, and how many of them were not checks.
    fn measure(&mut self, what: &str, count: u64, mut one: impl FnMut(&mut Self) -> bool) -> (Duration, u64) {
        let stopwatch = Stopwatch::start();
        let unchecked = (0..count).filter(|_| black_box(one(self))).count() as u64;
        let (_, cpu) = stopwatch.stop();
        let each = cpu / u32::try_from(count).unwrap_or(u32::MAX);
        println!("access: {what}: {:.2} µs of CPU (goal 50)", each.as_secs_f64() * 1e6);
        (each, unchecked)
    }
}

/// Everything that a server does about an attempt besides the hash and the statement.
fn decide(state: &mut State, settings: &Settings, attempt: &Attempt<'_>, right: bool) -> Decision {
    black_box(answer_after(attempt.ip, state, attempt.now));
    let admission = before(attempt, settings, state);
    state.claim(attempt, &admission);
    let outcome = match admission.decision {
        Decision::Check if right => Outcome::Good,
        Decision::Check => Outcome::Wrong,
        Decision::Challenge(_) | Decision::Refuse(_) => Outcome::NotChecked,
    };
    let changes = after(attempt, &admission, outcome, settings, state);
    state.keep(attempt, &changes);
    admission.decision
}

fn attempt(account: i64, ip: IpAddr, tag: Tag) -> Attempt<'static> {
    Attempt {
        now: NOW,
        service: Service::Imap,
        ip,
        place: Place::default(),
        subject: Subject::Account(AccountFacts {
            tenant: tenant_of(account),
            account: account_id(account),
            domain: DomainId::from_i64(tenant_number(account)).expect("numbered from 1"),
            groups: &[],
            suspended: false,
        }),
        credential: Credential::Password(tag),
    }
}

/// A rule of 20 networks for the whole tenant that lets everybody in at its end.
fn settings() -> Settings {
    let note = Note::new("bench").expect("a note");
    let networks = (1..20u32).map(|number| Network::containing(IpAddr::V4((number << 24).into()), 8));
    let anywhere = Network::containing(IpAddr::V4(0.into()), 0);
    let allow = |network| Allow { origin: Origin::Network(network), note: note.clone(), until: None };
    let allow: Vec<Allow> = networks.chain([anywhere]).map(allow).collect();
    let mut settings = Settings { accounts: 20, ..Settings::default() };
    let version = Version { mode: Mode::Enforce, allow };
    settings.rules.rules.insert((Level::Tenant, Service::Imap), Rule { base: version, change: None });
    settings
}

fn tenant_number(account: i64) -> i64 {
    (account - 1) / 20 + 1
}

fn tenant_of(account: i64) -> TenantId {
    TenantId::from_i64(tenant_number(account)).expect("numbered from 1")
}

fn account_id(account: i64) -> AccountId {
    AccountId::from_i64(account).expect("numbered from 1")
}

/// Resident bytes of this process.
fn resident() -> anyhow::Result<f64> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages: f64 = text.split(' ').nth(1).unwrap_or_default().parse()?;
    // Linux counts in pages of 4 KiB here.
    Ok(pages * 4096.0)
}
