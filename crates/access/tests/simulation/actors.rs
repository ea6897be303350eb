//! Who signs in: people, their devices, and those who guess.

use std::net::IpAddr;
use std::time::Duration;

use hikyaku_access::facts::Service;
use hikyaku_types::Timestamp;

use crate::world::{Actor, HOUR, Hands, MINUTE, Password, START, Secret, Try, Who};

/// Somebody at work, with a mail program that signs in about every `every`, from 8 to 18.
pub(crate) struct Person {
    pub(crate) place: usize,
    pub(crate) ip: IpAddr,
    pub(crate) every: Duration,
    /// In so many of 100 cases they type the password themselves, and wrongly at first.
    pub(crate) typos: u64,
    /// They were not let in, and opened a link on the telephone.
    pub(crate) asked_link: bool,
}

impl Person {
    /// One who signs in each hour, and mistypes now and then.
    pub(crate) fn new(place: usize, ip: IpAddr) -> Self {
        Self { place, ip, every: HOUR, typos: 4, asked_link: false }
    }
}

/// A device with a password that is not right any more.
pub(crate) struct Forgotten {
    pub(crate) place: usize,
    pub(crate) ip: IpAddr,
    pub(crate) every: Duration,
    pub(crate) password: Option<Password>,
}

/// A mail program with an app password, everywhere and always.
pub(crate) struct Program {
    pub(crate) place: usize,
}

/// Somebody at a new hotel or station every few hours.
pub(crate) struct Traveller {
    pub(crate) place: usize,
    pub(crate) here: Option<Stay>,
}

/// A traveller's time at one place.
pub(crate) struct Stay {
    ip: IpAddr,
    until: Timestamp,
    /// When the first attempt failed that should not have.
    stuck_since: Option<Timestamp>,
    asked_link: bool,
}

/// Changes an account's password, once.
pub(crate) struct Reset {
    pub(crate) place: usize,
}

/// Lets a node lose its memory, once.
pub(crate) struct Restart {
    pub(crate) node: usize,
}

/// What a guesser offers.
pub(crate) enum Words {
    /// Always something new.
    Dictionary,
    /// One common password for all accounts, and the next after so many tries.
    Spray { each: u64 },
}

/// When a guesser tries again.
pub(crate) enum Pace {
    /// At a steady rate, whatever is answered.
    Steady(Duration),
    /// As soon as the answer is there.
    AfterAnswer,
}

/// One who guesses.
pub(crate) struct Guesser {
    pub(crate) sources: Sources,
    pub(crate) targets: Vec<Who>,
    pub(crate) words: Words,
    pub(crate) pace: Pace,
    /// Accounts whose passwords they have: each source first signs in with them.
    pub(crate) held: Vec<usize>,
    pub(crate) tries: u64,
}

/// Where a guesser comes from.
pub(crate) enum Sources {
    /// Any of these, by chance.
    List(Vec<IpAddr>),
    /// Each once, from this address on by steps.
    Rotating { first: u128, step: u128 },
}

fn sign_in(who: Who, ip: IpAddr, password: Password) -> Try {
    Try { who, ip, service: Service::Imap, secret: Secret::Password(password) }
}

/// The hour of the day, and whether people work.
fn is_working(now: Timestamp) -> bool {
    let hours = now.since(START).as_secs() / 3600;
    (8..18).contains(&(hours % 24)) && (hours / 24) % 7 < 5
}

impl Actor for Person {
    fn turn(&mut self, now: Timestamp, hands: &mut Hands<'_>) -> Option<Timestamp> {
        let jitter = Duration::from_millis(hands.rng.below(self.every.as_millis() as u64));
        let next = Some(now.after(self.every / 2 + jitter));
        if !is_working(now) {
            return next;
        }
        let (who, mut then) = (Who::Account(self.place), now);
        if hands.rng.chance(self.typos) {
            for _ in 0..hands.rng.range(1..4) {
                let typo = hands.wrong();
                let seen = hands.attempt(sign_in(who, self.ip, typo), then);
                then = then.after(seen.after + Duration::from_secs(4));
            }
        }
        if self.asked_link {
            hands.gate.introduce(&hands.directory.accounts[self.place], self.ip, now);
        }
        let password = hands.password_of(self.place);
        self.asked_link = !hands.attempt(sign_in(who, self.ip, password), then).admitted;
        next
    }
}

impl Actor for Forgotten {
    fn turn(&mut self, now: Timestamp, hands: &mut Hands<'_>) -> Option<Timestamp> {
        let password = match self.password {
            Some(password) => password,
            None => *self.password.insert(hands.wrong()),
        };
        hands.attempt(sign_in(Who::Account(self.place), self.ip, password), now);
        Some(now.after(self.every))
    }
}

impl Actor for Program {
    fn turn(&mut self, now: Timestamp, hands: &mut Hands<'_>) -> Option<Timestamp> {
        let ip = anywhere(hands);
        let (who, secret) = (Who::Account(self.place), Secret::AppPassword);
        hands.attempt(Try { who, ip, service: Service::Submission, secret }, now);
        Some(now.after(HOUR))
    }
}

fn anywhere(hands: &mut Hands<'_>) -> IpAddr {
    IpAddr::V4((0x6400_0000 | hands.rng.below(1 << 24) as u32).into())
}

impl Actor for Traveller {
    fn turn(&mut self, now: Timestamp, hands: &mut Hands<'_>) -> Option<Timestamp> {
        let place = self.place;
        let here = self.here.get_or_insert_with(|| Stay::somewhere(now, hands));
        let password = hands.password_of(place);
        if here.asked_link {
            let account = &hands.directory.accounts[place];
            hands.gate.introduce(account, here.ip, now);
        }
        let seen = hands.attempt(sign_in(Who::Account(place), here.ip, password), now);
        if !seen.admitted {
            let since = *here.stuck_since.get_or_insert(now);
            // Again, and again; then they think of the link on the telephone.
            here.asked_link = now.since(since) >= 5 * MINUTE;
            return Some(now.after(2 * MINUTE));
        }
        if let Some(since) = here.stuck_since.take() {
            hands.tally.minutes.push(now.since(since).as_secs() / 60);
        }
        here.asked_link = false;
        if now >= here.until {
            self.here = None;
        }
        Some(now.after(30 * MINUTE))
    }
}

impl Stay {
    fn somewhere(now: Timestamp, hands: &mut Hands<'_>) -> Self {
        Self { ip: anywhere(hands), until: now.after(4 * HOUR), stuck_since: None, asked_link: false }
    }
}

impl Actor for Reset {
    fn turn(&mut self, _now: Timestamp, hands: &mut Hands<'_>) -> Option<Timestamp> {
        let password = &mut hands.directory.accounts[self.place].password;
        *password = Password(password.0 + 1_000_000);
        None
    }
}

impl Actor for Restart {
    fn turn(&mut self, now: Timestamp, hands: &mut Hands<'_>) -> Option<Timestamp> {
        hands.gate.restart(self.node, now);
        None
    }
}

impl Guesser {
    /// Offers a new password each time the last one was answered.
    pub(crate) fn eager(sources: Vec<IpAddr>, targets: Vec<Who>) -> Self {
        let (sources, words) = (Sources::List(sources), Words::Dictionary);
        Self { sources, targets, words, pace: Pace::AfterAnswer, held: Vec::new(), tries: 0 }
    }

    /// Offers a new password every so often.
    pub(crate) fn steady(sources: Sources, targets: Vec<Who>, every: Duration) -> Self {
        let (words, pace) = (Words::Dictionary, Pace::Steady(every));
        Self { sources, targets, words, pace, held: Vec::new(), tries: 0 }
    }
}

impl Actor for Guesser {
    fn turn(&mut self, now: Timestamp, hands: &mut Hands<'_>) -> Option<Timestamp> {
        let ip = self.sources.next(self.tries, hands);
        for &place in &self.held {
            let password = hands.password_of(place);
            hands.attempt(sign_in(Who::Account(place), ip, password), now);
        }
        let who = *hands.rng.pick(&self.targets);
        let password = match self.words {
            Words::Dictionary => hands.wrong(),
            Words::Spray { each } => Password((self.tries / each) << 1 | 1),
        };
        self.tries += 1;
        let seen = hands.attempt(sign_in(who, ip, password), now);
        let wait = match self.pace {
            Pace::Steady(every) => every,
            Pace::AfterAnswer => seen.after,
        };
        Some(now.after(wait))
    }
}

impl Sources {
    fn next(&self, tries: u64, hands: &mut Hands<'_>) -> IpAddr {
        match self {
            Self::List(list) => *hands.rng.pick(list),
            Self::Rotating { first, step } => IpAddr::V6((first + step * u128::from(tries)).into()),
        }
    }
}
