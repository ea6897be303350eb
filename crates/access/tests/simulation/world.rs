//! The world of a simulation: accounts, a virtual clock, and actors who take turns.
//!
//! An actor sees what a client sees: whether it was let in, and how long the answer took.
//! Only the tally, which actors never read, knows the reasons.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use hikyaku_access::facts::{Service, Tag};
use hikyaku_testkit::Rng;
use hikyaku_types::{AccountId, DomainId, TenantId, Timestamp};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// The first moment of every run: a Monday, at midnight.
pub(crate) const START: Timestamp = Timestamp::from_secs(1_795_996_800);

/// Whom a name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Who {
    /// The account with this place in the directory.
    Account(usize),
    /// Nobody.
    Missing(u64),
}

/// A password: equal numbers are equal passwords.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Password(pub(crate) u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secret {
    Password(Password),
    /// The account's own app password.
    AppPassword,
}

/// One attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Try {
    pub(crate) who: Who,
    pub(crate) ip: IpAddr,
    pub(crate) service: Service,
    pub(crate) secret: Secret,
}

/// What became of it, as nobody outside sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Admitted,
    Wrong,
    Challenged,
    Refused,
}

/// What the client sees.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) admitted: bool,
    pub(crate) after: Duration,
}

pub(crate) struct Account {
    pub(crate) tenant: TenantId,
    pub(crate) account: AccountId,
    pub(crate) domain: DomainId,
    pub(crate) password: Password,
}

#[derive(Default)]
pub(crate) struct Directory {
    pub(crate) accounts: Vec<Account>,
    /// How many accounts each tenant has.
    pub(crate) sizes: HashMap<TenantId, u32>,
}

/// What decides: the real policy, or the naive one beside it.
pub(crate) trait Gate {
    fn attempt(&mut self, one: &Try, directory: &Directory, now: Timestamp) -> (Verdict, Duration);
    /// A link opened at a known source makes `ip` known to the account.
    fn introduce(&mut self, account: &Account, ip: IpAddr, now: Timestamp);
    /// A node loses its memory and reads what is shared.
    fn restart(&mut self, node: usize, now: Timestamp);
}

/// What happened to one kind of actor.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    /// With the right secret.
    pub(crate) admitted: u64,
    pub(crate) challenged: u64,
    pub(crate) refused: u64,
    /// With a wrong password.
    pub(crate) checked: u64,
    pub(crate) unchecked: u64,
    /// Minutes from a challenge until in.
    pub(crate) minutes: Vec<u64>,
    /// Passwords checked, by account.
    guesses: HashMap<Who, Vec<(Timestamp, Password)>>,
}

/// One who signs in, or tries to.
pub(crate) trait Actor {
    /// Does something now, and says when it wants to act again.
    fn turn(&mut self, now: Timestamp, hands: &mut Hands<'_>) -> Option<Timestamp>;
}

/// What an actor acts through.
pub(crate) struct Hands<'w> {
    pub(crate) directory: &'w mut Directory,
    pub(crate) gate: &'w mut dyn Gate,
    pub(crate) tally: &'w mut Tally,
    pub(crate) rng: &'w mut Rng,
}

pub(crate) struct World {
    pub(crate) directory: Directory,
    gate: Box<dyn Gate>,
    actors: Vec<(&'static str, Box<dyn Actor>, Rng)>,
    turns: BinaryHeap<Reverse<(Timestamp, usize)>>,
    tallies: BTreeMap<&'static str, Tally>,
    rng: Rng,
}

impl Password {
    /// Half of one multiplication is as good a hash as a simulation needs.
    pub(crate) fn tag(self) -> Tag {
        Tag((Rng::new(self.0).next_u64() >> 32) as u32)
    }
}

impl Directory {
    /// Adds `count` accounts of tenant number `tenant`; gives their places.
    pub(crate) fn add(&mut self, tenant: i64, count: usize) -> Vec<usize> {
        let first = self.accounts.len();
        let tenant_id = TenantId::from_i64(tenant).expect("tenants are numbered from 1");
        *self.sizes.entry(tenant_id).or_default() += u32::try_from(count).expect("few accounts");
        for place in first..first + count {
            let number = i64::try_from(place).expect("few accounts") + 1;
            self.accounts.push(Account {
                tenant: tenant_id,
                account: AccountId::from_i64(number).expect("numbered from 1"),
                domain: DomainId::from_i64(tenant).expect("numbered from 1"),
                // Right passwords are even, wrong ones odd: no guess succeeds by chance.
                password: Password(number as u64 * 2),
            });
        }
        (first..first + count).collect()
    }

    pub(crate) fn is_right(&self, one: &Try) -> bool {
        match (one.who, one.secret) {
            (Who::Missing(_), _) => false,
            (Who::Account(_), Secret::AppPassword) => true,
            (Who::Account(place), Secret::Password(password)) => self.accounts[place].password == password,
        }
    }
}

impl Hands<'_> {
    /// Makes an attempt.
    pub(crate) fn attempt(&mut self, one: Try, now: Timestamp) -> Seen {
        let right = self.directory.is_right(&one);
        let (verdict, after) = self.gate.attempt(&one, self.directory, now);
        let tally = &mut *self.tally;
        match (verdict, right) {
            (Verdict::Admitted, true) => tally.admitted += 1,
            (Verdict::Challenged, true) => tally.challenged += 1,
            (Verdict::Refused, true) => tally.refused += 1,
            (Verdict::Wrong, false) => tally.checked += 1,
            (Verdict::Challenged | Verdict::Refused, false) => tally.unchecked += 1,
            (Verdict::Admitted, false) | (Verdict::Wrong, true) => panic!("{one:?} became {verdict:?}"),
        }
        if let (Verdict::Wrong, Secret::Password(password)) = (verdict, one.secret) {
            tally.guesses.entry(one.who).or_default().push((now, password));
        }
        Seen { admitted: verdict == Verdict::Admitted, after }
    }

    /// A password that nobody ever had.
    pub(crate) fn wrong(&mut self) -> Password {
        Password(self.rng.next_u64() | 1)
    }

    pub(crate) fn password_of(&self, place: usize) -> Password {
        self.directory.accounts[place].password
    }
}

impl Tally {
    /// Takes in what another kind of actor did.
    pub(crate) fn add(&mut self, other: &Self) {
        self.checked += other.checked;
        self.unchecked += other.unchecked;
        for (who, guesses) in &other.guesses {
            self.guesses.entry(*who).or_default().extend(guesses);
        }
    }

    /// The most different passwords of one account that were checked within 24 hours.
    pub(crate) fn most_guesses_a_day(&self) -> usize {
        self.guesses.values().map(|guesses| most_in_a_day(guesses.clone())).max().unwrap_or(0)
    }

    /// Different passwords that were checked, over all accounts.
    pub(crate) fn guesses(&self) -> usize {
        let different = |guesses: &Vec<(Timestamp, Password)>| {
            let set: std::collections::HashSet<Password> = guesses.iter().map(|guess| guess.1).collect();
            set.len()
        };
        self.guesses.values().map(different).sum()
    }
}

fn most_in_a_day(mut guesses: Vec<(Timestamp, Password)>) -> usize {
    guesses.sort_by_key(|guess| guess.0);
    let (mut first, mut most) = (0, 0);
    let mut window: HashMap<Password, u32> = HashMap::new();
    for &(at, password) in &guesses {
        *window.entry(password).or_default() += 1;
        while at.since(guesses[first].0) >= DAY {
            let count = window.get_mut(&guesses[first].1).expect("it was counted");
            *count -= 1;
            if *count == 0 {
                window.remove(&guesses[first].1);
            }
            first += 1;
        }
        most = most.max(window.len());
    }
    most
}

impl World {
    pub(crate) fn new(gate: Box<dyn Gate>, seed: u64) -> Self {
        Self {
            directory: Directory::default(),
            gate,
            actors: Vec::new(),
            turns: BinaryHeap::new(),
            tallies: BTreeMap::new(),
            rng: Rng::new(seed),
        }
    }

    /// Adds an actor of this kind, who first acts `after` the start.
    pub(crate) fn add(&mut self, kind: &'static str, actor: impl Actor + 'static, after: Duration) {
        self.turns.push(Reverse((START.after(after), self.actors.len())));
        self.actors.push((kind, Box::new(actor), self.rng.fork()));
    }

    /// A moment within the first `span`, differing from actor to actor.
    pub(crate) fn any(&mut self, span: Duration) -> Duration {
        Duration::from_millis(self.rng.below(span.as_millis() as u64))
    }

    /// Lets all of them act for `span`; gives what happened, by kind.
    pub(crate) fn run(mut self, span: Duration) -> BTreeMap<&'static str, Tally> {
        while let Some(Reverse((now, number))) = self.turns.pop() {
            if now >= START.after(span) {
                break;
            }
            let (kind, actor, rng) = &mut self.actors[number];
            let tally = self.tallies.entry(kind).or_default();
            let mut hands = Hands { directory: &mut self.directory, gate: self.gate.as_mut(), tally, rng };
            if let Some(next) = actor.turn(now, &mut hands) {
                assert!(next > now, "time must pass");
                self.turns.push(Reverse((next, number)));
            }
        }
        self.tallies
    }
}
