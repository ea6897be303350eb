//! What holds about attack protection: a tenant's policy, which the directory keeps within what
//! the operator allows; and the operator's own numbers about botnets.

use std::net::IpAddr;
use std::time::Duration;

use hikyaku_types::{Network, Timestamp};

use crate::facts::Class;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// Whom a block keeps out, of those who come from the blocked source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The account that was guessed at.
    Account,
    /// Every account of its tenant that is not known there.
    Tenant,
}

/// When a source is blocked, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Different wrong passwords that lead to a block.
    pub failures: u32,
    /// Within this time.
    pub window: Duration,
    /// How long the first block lasts.
    pub block: Duration,
    /// Each further block of the same lasts so many times longer, up to `longest`.
    pub growth: u32,
    /// The longest block.
    pub longest: Duration,
    /// Whom it keeps out.
    pub scope: Scope,
}

/// A network whose failures are not held against it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exempt {
    /// Which.
    pub network: Network,
    /// Why.
    pub note: Note,
    /// Until when; `None` is for ever.
    pub until: Option<Timestamp>,
}

/// Why somebody made an entry: never empty, since next year nobody knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note(Box<str>);

/// A note that says nothing, or too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a note of 1 to 200 characters is needed: say whose source this is")]
pub struct NoteError;

/// The operator's numbers about guessing from many sources. They hold for everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Different passwords for one account that are checked in a day from sources that are
    /// not known to it.
    pub guesses_per_day: u32,
    /// From so many on that came from elsewhere, the account is under attack: a source that
    /// failed before is not checked any more.
    pub attacked_from: u32,
    /// A source with so many wrong guesses, anywhere, is suspect; each account that signs in
    /// well from there excuses as many again.
    pub doubt: u32,
    /// A source with so many in a day is loud, and not checked any more, or once for each
    /// account if others share it; each account that signs in well from there excuses four.
    pub loud: u32,
    /// So many accounts of a tenant that sign in well make a source one of its offices; so
    /// many of whomever make it a shared one.
    pub office: u32,
    /// Different passwords for one account that are checked in a day from offices in which
    /// it is not known yet.
    pub office_guesses_per_day: u32,
    /// A tenant is under attack after so many guesses in an hour from unknown sources ...
    pub tenant_attacked_from: u32,
    /// ... and one more for so many of its accounts.
    pub tenant_accounts_per_guess: u32,
    /// The platform is under attack after so many in an hour, unless four times as many
    /// good sign-ins stand beside them.
    pub platform_attacked_from: u32,
    /// How long a good sign-in makes its source known.
    pub known_for: Duration,
    /// How long a source's failures are remembered.
    pub suspect_for: Duration,
    /// Good sign-ins of one account speak for so many new sources in a day.
    pub vouches_per_day: u32,
    /// Every failure is answered so long after the attempt, at least.
    pub answer: Duration,
    /// And at most so long.
    pub answer_longest: Duration,
}

impl Policy {
    /// What holds unless tenant or operator choose.
    pub const fn default_for(class: Class) -> Self {
        let (failures, scope) = match class {
            Class::Mail => (10, Scope::Account),
            Class::Panel => (6, Scope::Account),
        };
        Self { failures, window: HOUR, block: HOUR, growth: 2, longest: DAY, scope }
    }

    /// How long the block lasts that follows `earlier` ones.
    pub fn block_for(&self, earlier: u32) -> Duration {
        let times = self.growth.max(1).saturating_pow(earlier.min(16));
        self.block.saturating_mul(times).min(self.longest)
    }
}

impl Note {
    /// Takes a note of 1 to 200 characters.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn new(text: &str) -> Result<Self, NoteError> {
        let text = text.trim();
        let length = text.chars().count();
        if (1..=200).contains(&length) { Ok(Self(text.into())) } else { Err(NoteError) }
    }

    /// The note.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Exempt {
    /// Does it hold for `ip` at `now`?
    pub fn holds_for(&self, ip: IpAddr, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until) && self.network.contains(ip)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            guesses_per_day: 20,
            attacked_from: 5,
            doubt: 2,
            loud: 32,
            office: 3,
            office_guesses_per_day: 50,
            tenant_attacked_from: 20,
            tenant_accounts_per_guess: 5,
            platform_attacked_from: 200,
            known_for: 30 * DAY,
            suspect_for: 7 * DAY,
            vouches_per_day: 4,
            answer: Duration::from_secs(1),
            answer_longest: MINUTE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_grow_up_to_the_longest() {
        let policy = Policy::default_for(Class::Mail);
        let hours: Vec<u64> = (0..7).map(|earlier| policy.block_for(earlier).as_secs() / 3600).collect();
        assert_eq!(hours, [1, 2, 4, 8, 16, 24, 24]);
        assert_eq!(policy.block_for(u32::MAX), DAY);
        assert_eq!(Policy { growth: 0, ..policy }.block_for(9), HOUR);
    }

    #[test]
    fn notes_say_something() {
        assert_eq!(Note::new(" office in Osaka ").unwrap().as_str(), "office in Osaka");
        assert!(Note::new(" ").is_err() && Note::new(&"a".repeat(201)).is_err());
    }

    #[test]
    fn an_exempt_network_ends_when_it_should() {
        let note = Note::new("scanner of the auditors").unwrap();
        let network = Network::parse("192.0.2.0/24").unwrap();
        let exempt = Exempt { network, note, until: Some(Timestamp::from_secs(100)) };
        let inside = "192.0.2.7".parse().unwrap();
        assert!(exempt.holds_for(inside, Timestamp::from_secs(99)));
        assert!(!exempt.holds_for(inside, Timestamp::from_secs(100)));
        assert!(!exempt.holds_for("192.0.3.7".parse().unwrap(), Timestamp::from_secs(99)));
    }
}
