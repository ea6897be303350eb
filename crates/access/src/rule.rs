//! Source rules: from where one may sign in, by tenant, domain, group and account.
//!
//! Invariants:
//! - a sign-in must satisfy every level that has a rule for its service: a narrower level
//!   can take away, never give;
//! - an edited rule stays in force as it was until the new version takes over (see
//!   [`change`]): no edit opens a door for a day;
//! - which version holds follows from the rule and the time alone. Nothing has to run for a
//!   roll-back to happen.

pub mod change;
pub mod replay;

use std::collections::HashMap;
use std::net::IpAddr;

use hikyaku_types::{AccountId, DomainId, Network, Timestamp};

use crate::facts::{AccountFacts, GroupId, Service};
use crate::place::{Asn, Country, Place};
use crate::policy::Note;
use crate::reason::Reason;
use change::Change;

/// Whose rule it is, within a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// All accounts.
    Tenant,
    /// Accounts of this domain.
    Domain(DomainId),
    /// Members of this group.
    Group(GroupId),
    /// This account.
    Account(AccountId),
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Nothing.
    Off,
    /// Says whom it would refuse.
    Watch,
    /// Refuses.
    Enforce,
}

/// What an entry allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Addresses.
    Network(Network),
    /// Where the address is, as far as it is known.
    Country(Country),
    /// Who announces it, as far as that is known.
    Asn(Asn),
}

/// One entry of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allow {
    /// From where.
    pub origin: Origin,
    /// Whose that is.
    pub note: Note,
    /// Until when; `None` is for ever.
    pub until: Option<Timestamp>,
}

/// What a rule says at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// What it does.
    pub mode: Mode,
    /// Who may come; one entry is enough.
    pub allow: Vec<Allow>,
}

/// A rule: what holds, and what is to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What holds now, or did before the change.
    pub base: Version,
    /// A change that is being tried out.
    pub change: Option<Change>,
}

/// One account may sign in from anywhere for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// Which.
    pub account: AccountId,
    /// To these services; empty means all.
    pub services: Vec<Service>,
    /// Until when.
    pub until: Timestamp,
    /// Why.
    pub note: Note,
}

/// All rules of a tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// One for each level and service.
    pub rules: HashMap<(Level, Service), Rule>,
    /// Exceptions from all of them.
    pub exceptions: Vec<Exception>,
}

/// What rules say of one attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judgement {
    /// The level that refuses.
    pub refused: Option<Level>,
    /// Levels that would refuse if they were enforced.
    pub would_refuse: Vec<Level>,
}

impl Level {
    /// Why somebody is refused at this level.
    pub const fn reason(self) -> Reason {
        match self {
            Self::Tenant => Reason::TenantRule,
            Self::Domain(_) => Reason::DomainRule,
            Self::Group(_) => Reason::GroupRule,
            Self::Account(_) => Reason::AccountRule,
        }
    }
}

impl Allow {
    /// Does it let in who comes from there at `now`?
    pub fn matches(&self, ip: IpAddr, place: &Place, now: Timestamp) -> bool {
        let lives = self.until.is_none_or(|until| now < until);
        lives
            && match self.origin {
                Origin::Network(network) => network.contains(ip),
                Origin::Country(country) => place.country == Some(country),
                Origin::Asn(asn) => place.asn == Some(asn),
            }
    }
}

/// Does any entry let them in?
pub fn allows(allow: &[Allow], ip: IpAddr, place: &Place, now: Timestamp) -> bool {
    allow.iter().any(|entry| entry.matches(ip, place, now))
}

impl Rule {
    /// The version in force at `now`, and the one that is only watched.
    pub fn versions(&self, now: Timestamp) -> (&Version, Option<&Version>) {
        match &self.change {
            None => (&self.base, None),
            Some(change) if change.holds(now) => (&change.version, None),
            Some(change) => (&self.base, Some(&change.version)),
        }
    }

    fn judge(&self, level: Level, ip: IpAddr, place: &Place, now: Timestamp, judgement: &mut Judgement) {
        let (force, watched) = self.versions(now);
        if !allows(&force.allow, ip, place, now) {
            match force.mode {
                Mode::Off => {}
                Mode::Watch => judgement.would_refuse.push(level),
                Mode::Enforce => judgement.refused = judgement.refused.or(Some(level)),
            }
        }
        let would = watched
            .is_some_and(|version| version.mode != Mode::Off && !allows(&version.allow, ip, place, now));
        if would && !judgement.would_refuse.contains(&level) {
            judgement.would_refuse.push(level);
        }
    }
}

impl Exception {
    fn covers(&self, account: AccountId, service: Service, now: Timestamp) -> bool {
        self.account == account
            && now < self.until
            && (self.services.is_empty() || self.services.contains(&service))
    }
}

impl Rules {
    /// What they say of `account` signing in to `service` from `ip`.
    pub fn judge(
        &self,
        account: &AccountFacts<'_>,
        service: Service,
        ip: IpAddr,
        place: &Place,
        now: Timestamp,
    ) -> Judgement {
        let mut judgement = Judgement::default();
        let excepted = |one: &Exception| one.covers(account.account, service, now);
        if self.rules.is_empty() || self.exceptions.iter().any(excepted) {
            return judgement;
        }
        let groups = account.groups.iter().map(|&group| Level::Group(group));
        let levels = [Level::Tenant, Level::Domain(account.domain)]
            .into_iter()
            .chain(groups)
            .chain([Level::Account(account.account)]);
        for level in levels {
            if let Some(rule) = self.rules.get(&(level, service)) {
                rule.judge(level, ip, place, now, &mut judgement);
            }
        }
        judgement
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use hikyaku_types::TenantId;

    pub(crate) fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    pub(crate) fn note() -> Note {
        Note::new("test").unwrap()
    }

    pub(crate) fn allow(text: &str) -> Allow {
        let origin = if let Ok(network) = Network::parse(text) {
            Origin::Network(network)
        } else if let Ok(country) = Country::parse(text) {
            Origin::Country(country)
        } else {
            Origin::Asn(Asn::parse(text).unwrap())
        };
        Allow { origin, note: note(), until: None }
    }

    /// `enforce 192.0.2.0/24 JP`.
    pub(crate) fn version(text: &str) -> Version {
        let mut words = text.split(' ');
        let mode = match words.next().unwrap() {
            "off" => Mode::Off,
            "watch" => Mode::Watch,
            _ => Mode::Enforce,
        };
        Version { mode, allow: words.map(allow).collect() }
    }

    pub(crate) fn account() -> AccountFacts<'static> {
        AccountFacts {
            tenant: TenantId::from_i64(1).unwrap(),
            account: AccountId::from_i64(7).unwrap(),
            domain: DomainId::from_i64(3).unwrap(),
            groups: &[GroupId(5), GroupId(6)],
            suspended: false,
        }
    }

    fn level(name: &str) -> Level {
        match name {
            "tenant" => Level::Tenant,
            "domain" => Level::Domain(account().domain),
            "group" => Level::Group(GroupId(6)),
            "other group" => Level::Group(GroupId(99)),
            "account" => Level::Account(account().account),
            _ => panic!("{name}"),
        }
    }

    fn rules(text: &[(&str, &str)]) -> Rules {
        let rule = |&(name, text): &(&str, &str)| {
            ((level(name), Service::Imap), Rule { base: version(text), change: None })
        };
        Rules { rules: text.iter().map(rule).collect(), exceptions: Vec::new() }
    }

    fn judge(rules: &Rules, service: Service, ip: &str, now: i64) -> Judgement {
        let place = Place {
            country: ip.starts_with("192.").then(|| Country::parse("JP").unwrap()),
            asn: Some(Asn(2497)),
            position: None,
        };
        rules.judge(&account(), service, ip.parse().unwrap(), &place, at(now))
    }

    #[test]
    fn every_level_must_be_satisfied() {
        type Case = (&'static [(&'static str, &'static str)], Option<&'static str>, &'static [&'static str]);
        let table: [Case; 12] = [
            (&[], None, &[]),
            (&[("tenant", "enforce 192.0.2.0/24")], None, &[]),
            (&[("tenant", "enforce 198.51.100.0/24")], Some("tenant"), &[]),
            (&[("tenant", "watch 198.51.100.0/24")], None, &["tenant"]),
            (&[("tenant", "off 198.51.100.0/24")], None, &[]),
            (&[("tenant", "enforce 192.0.2.0/24"), ("account", "enforce ::/0")], Some("account"), &[]),
            (&[("tenant", "enforce ::/0"), ("account", "enforce 192.0.2.7")], Some("tenant"), &[]),
            (&[("group", "enforce 2001:db8::/32 JP")], None, &[]),
            (&[("domain", "enforce US AS2497")], None, &[]),
            (&[("other group", "enforce US")], None, &[]),
            (&[("domain", "enforce US"), ("group", "watch US")], Some("domain"), &["group"]),
            (&[("account", "enforce")], Some("account"), &[]),
        ];
        for (text, refused, would) in table {
            let judgement = judge(&rules(text), Service::Imap, "192.0.2.7", 0);
            assert_eq!(judgement.refused, refused.map(level), "{text:?}");
            let would: Vec<Level> = would.iter().map(|name| level(name)).collect();
            assert_eq!(judgement.would_refuse, would, "{text:?}");
        }
    }

    #[test]
    fn a_rule_is_for_its_service() {
        let rules = rules(&[("tenant", "enforce 198.51.100.1")]);
        assert_eq!(judge(&rules, Service::Imap, "192.0.2.7", 0).refused, Some(Level::Tenant));
        assert_eq!(judge(&rules, Service::Submission, "192.0.2.7", 0), Judgement::default());
    }

    #[test]
    fn an_unknown_place_matches_no_country() {
        let rules = rules(&[("tenant", "enforce JP")]);
        assert_eq!(judge(&rules, Service::Imap, "192.0.2.7", 0).refused, None);
        assert_eq!(judge(&rules, Service::Imap, "203.0.113.1", 0).refused, Some(Level::Tenant));
    }

    #[test]
    fn entries_end() {
        let mut rules = rules(&[("tenant", "enforce 192.0.2.7")]);
        for rule in rules.rules.values_mut() {
            rule.base.allow[0].until = Some(at(100));
        }
        assert_eq!(judge(&rules, Service::Imap, "192.0.2.7", 99).refused, None);
        assert_eq!(judge(&rules, Service::Imap, "192.0.2.7", 100).refused, Some(Level::Tenant));
    }

    #[test]
    fn an_exception_opens_every_level_for_a_while() {
        let mut rules = rules(&[("tenant", "enforce ::1"), ("account", "enforce ::1")]);
        rules.exceptions.push(Exception {
            account: account().account,
            services: vec![Service::Imap],
            until: at(100),
            note: note(),
        });
        assert_eq!(judge(&rules, Service::Imap, "192.0.2.7", 99), Judgement::default());
        assert_eq!(judge(&rules, Service::Imap, "192.0.2.7", 100).refused, Some(Level::Tenant));
        rules.exceptions[0].services = vec![Service::Submission];
        assert_eq!(judge(&rules, Service::Imap, "192.0.2.7", 99).refused, Some(Level::Tenant));
    }
}
