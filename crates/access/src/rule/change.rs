//! How a rule changes without locking out whoever changes it.
//!
//! 1. A new or edited rule is *watched* for a day, unless the administrator says at once.
//! 2. If it would refuse the administrator's own address, it is not taken; who insists has
//!    15 minutes, from when it is enforced, to confirm it from an address that it allows.
//! 3. Without that, what was before holds again, by itself.
//!
//! Whoever locked themselves out all the same is let in by the operator or by the tenant's
//! recovery code: see [`Rule::release`].

use std::net::IpAddr;
use std::time::Duration;

use hikyaku_types::Timestamp;

use super::{Allow, Mode, Rule, Version, allows};
use crate::place::Place;

/// How long a change is watched, unless somebody says otherwise.
pub const WATCH: Duration = Duration::from_secs(24 * 3600);
/// How long an insisted change waits for its confirmation.
pub const CONFIRM: Duration = Duration::from_secs(15 * 60);

/// A change of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What is to hold.
    pub version: Version,
    /// From when on; watched before.
    pub from: Timestamp,
    /// Until when it must be confirmed, or what was before holds again.
    pub confirm_by: Option<Timestamp>,
}

/// When a change is to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// After a day of watching.
    AfterWatch,
    /// Now.
    AtOnce,
}

/// What to do if the change would refuse whoever makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnAddress {
    /// Refuse the change.
    MustBeAllowed,
    /// Take it, to be confirmed.
    Insist,
}

/// Where somebody acts from: an administrator or operator at the panel.
#[derive(Debug, Clone, Copy)]
pub struct From<'a> {
    /// Their address.
    pub ip: IpAddr,
    /// Where it is.
    pub place: &'a Place,
    /// When they act.
    pub now: Timestamp,
}

/// Why a change was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// It would refuse who makes it.
    #[error("the rule would refuse {0}, where you are now: add it, or insist and confirm in 15 minutes")]
    LocksYouOut(IpAddr),
    /// An entry with an end in the past.
    #[error("the entry `{note}` ended at {until}")]
    Ended {
        /// Its note.
        note: String,
        /// Its end.
        until: Timestamp,
    },
    /// More entries than a rule holds.
    #[error("a rule has at most {0} entries")]
    TooManyEntries(usize),
}

/// Why a confirmation did not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfirmError {
    /// Nothing waits for one, any more or yet.
    #[error("nothing waits to be confirmed")]
    Nothing,
    /// The new version does not let them in.
    #[error("{0} is not allowed by the new rule: confirm it from an address that is")]
    NotFromHere(IpAddr),
}

/// The most entries of one rule: more are a list of networks that belongs elsewhere.
pub const MOST_ENTRIES: usize = 1000;

impl Change {
    /// Does it hold at `now`: watched long enough, and not rolled back?
    pub fn holds(&self, now: Timestamp) -> bool {
        now >= self.from && self.confirm_by.is_none_or(|deadline| now < deadline)
    }

    /// Was it never confirmed?
    pub fn is_rolled_back(&self, now: Timestamp) -> bool {
        self.confirm_by.is_some_and(|deadline| now >= deadline)
    }
}

impl Rule {
    /// A rule that does nothing yet.
    pub fn new() -> Self {
        Self { base: Version { mode: Mode::Off, allow: Vec::new() }, change: None }
    }

    /// The rule with `version` to come. A change that was under way before is dropped, unless
    /// it holds and needs no confirmation.
    ///
    /// # Errors
    /// [`ChangeError`]; the rule stays as it is.
    pub fn propose(
        &self,
        version: Version,
        begin: Begin,
        own_address: OwnAddress,
        from: From<'_>,
    ) -> Result<Self, ChangeError> {
        check_entries(&version.allow, from.now)?;
        let excluded =
            version.mode == Mode::Enforce && !allows(&version.allow, from.ip, from.place, from.now);
        if excluded && own_address == OwnAddress::MustBeAllowed {
            return Err(ChangeError::LocksYouOut(from.ip));
        }
        Ok(self.changed(version, begin, excluded, from.now))
    }

    /// The same by somebody who works at the server itself, whom no rule refuses.
    ///
    /// # Errors
    /// [`ChangeError`]; the rule stays as it is.
    pub fn propose_at_server(
        &self,
        version: Version,
        begin: Begin,
        now: Timestamp,
    ) -> Result<Self, ChangeError> {
        check_entries(&version.allow, now)?;
        Ok(self.changed(version, begin, false, now))
    }

    fn changed(&self, version: Version, begin: Begin, excluded: bool, now: Timestamp) -> Self {
        let start = match begin {
            // What refuses nobody needs no trial.
            _ if version.mode != Mode::Enforce => now,
            Begin::AfterWatch => now.after(WATCH),
            Begin::AtOnce => now,
        };
        let confirm_by = excluded.then(|| start.after(CONFIRM));
        Self { base: self.settled(now).clone(), change: Some(Change { version, from: start, confirm_by }) }
    }

    /// The version that nothing can take back any more.
    fn settled(&self, now: Timestamp) -> &Version {
        match &self.change {
            Some(change) if change.confirm_by.is_none() && change.holds(now) => &change.version,
            _ => &self.base,
        }
    }

    /// The rule with its change confirmed.
    ///
    /// # Errors
    /// [`ConfirmError`]; the rule stays as it is.
    pub fn confirm(&self, from: From<'_>) -> Result<Self, ConfirmError> {
        let waiting = |change: &&Change| change.confirm_by.is_some() && change.holds(from.now);
        let change = self.change.as_ref().filter(waiting).ok_or(ConfirmError::Nothing)?;
        if !allows(&change.version.allow, from.ip, from.place, from.now) {
            return Err(ConfirmError::NotFromHere(from.ip));
        }
        Ok(Self { base: change.version.clone(), change: None })
    }

    /// The rule, watching only: what an operator or a recovery code does for a tenant that
    /// locked itself out. Nothing of its entries is lost.
    pub fn release(&self, now: Timestamp) -> Self {
        let (force, _) = self.versions(now);
        let mode = if force.mode == Mode::Enforce { Mode::Watch } else { force.mode };
        Self { base: Version { mode, allow: force.allow.clone() }, change: None }
    }
}

impl Default for Rule {
    fn default() -> Self {
        Self::new()
    }
}

fn check_entries(allow: &[Allow], now: Timestamp) -> Result<(), ChangeError> {
    if allow.len() > MOST_ENTRIES {
        return Err(ChangeError::TooManyEntries(MOST_ENTRIES));
    }
    let ended = allow.iter().find_map(|entry| Some((entry, entry.until.filter(|until| *until <= now)?)));
    match ended {
        Some((entry, until)) => Err(ChangeError::Ended { note: entry.note.as_str().to_owned(), until }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, version};
    use super::*;

    const OFFICE: &str = "192.0.2.7";
    const HOME: &str = "198.51.100.9";
    const DAY: i64 = 86_400;

    fn from(ip: &str, now: i64) -> From<'static> {
        const NOWHERE: &Place = &Place { country: None, asn: None, position: None };
        From { ip: ip.parse().unwrap(), place: NOWHERE, now: at(now) }
    }

    /// Is `ip` let in at `now`?
    fn lets_in(rule: &Rule, ip: &str, now: i64) -> bool {
        let (force, _) = rule.versions(at(now));
        force.mode != Mode::Enforce || allows(&force.allow, ip.parse().unwrap(), &Place::default(), at(now))
    }

    fn office_only() -> Version {
        version("enforce 192.0.2.0/24")
    }

    #[test]
    fn a_new_rule_is_watched_for_a_day() {
        let rule = Rule::new()
            .propose(office_only(), Begin::AfterWatch, OwnAddress::MustBeAllowed, from(OFFICE, 0))
            .unwrap();
        assert!(lets_in(&rule, HOME, DAY - 1) && !lets_in(&rule, HOME, DAY));
        assert_eq!(rule.versions(at(0)).1, Some(&office_only()), "watched meanwhile");
    }

    #[test]
    fn an_edit_leaves_the_door_as_it_was_for_the_day() {
        let rule = Rule { base: office_only(), change: None };
        let wider = version("enforce 192.0.2.0/24 198.51.100.0/24");
        let edited =
            rule.propose(wider, Begin::AfterWatch, OwnAddress::MustBeAllowed, from(OFFICE, 0)).unwrap();
        assert!(!lets_in(&edited, HOME, DAY - 1) && lets_in(&edited, HOME, DAY));
    }

    #[test]
    fn a_rule_against_oneself_is_refused_unless_insisted_on_and_then_rolls_back() {
        let propose = |own| Rule::new().propose(office_only(), Begin::AtOnce, own, from(HOME, 0));
        let refused = propose(OwnAddress::MustBeAllowed).unwrap_err();
        assert_eq!(refused, ChangeError::LocksYouOut(HOME.parse().unwrap()));
        let rule = propose(OwnAddress::Insist).unwrap();
        assert!(!lets_in(&rule, HOME, 0) && !lets_in(&rule, HOME, 899) && lets_in(&rule, HOME, 900));
        assert!(rule.change.as_ref().unwrap().is_rolled_back(at(900)));
    }

    #[test]
    fn confirming_counts_from_an_allowed_address_in_time() {
        let rule =
            Rule::new().propose(office_only(), Begin::AtOnce, OwnAddress::Insist, from(HOME, 0)).unwrap();
        assert_eq!(rule.confirm(from(HOME, 10)), Err(ConfirmError::NotFromHere(HOME.parse().unwrap())));
        assert_eq!(rule.confirm(from(OFFICE, 900)), Err(ConfirmError::Nothing), "too late");
        let confirmed = rule.confirm(from(OFFICE, 899)).unwrap();
        assert!(!lets_in(&confirmed, HOME, 10 * DAY));
        assert_eq!(confirmed.confirm(from(OFFICE, 901)), Err(ConfirmError::Nothing));
    }

    #[test]
    fn an_insisted_rule_after_a_day_waits_from_when_it_is_enforced() {
        let rule =
            Rule::new().propose(office_only(), Begin::AfterWatch, OwnAddress::Insist, from(HOME, 0)).unwrap();
        let open: Vec<bool> =
            [DAY - 1, DAY, DAY + 899, DAY + 900].map(|now| lets_in(&rule, HOME, now)).to_vec();
        assert_eq!(open, [true, false, false, true]);
    }

    #[test]
    fn rolling_back_restores_the_rule_before_not_an_open_door() {
        let rule = Rule { base: version("enforce 198.51.100.0/24"), change: None };
        let wrong = rule
            .propose(version("enforce 203.0.113.1"), Begin::AtOnce, OwnAddress::Insist, from(HOME, 0))
            .unwrap();
        assert!(!lets_in(&wrong, HOME, 1));
        assert!(lets_in(&wrong, HOME, 900) && !lets_in(&wrong, OFFICE, 900));
    }

    #[test]
    fn a_second_change_replaces_the_first_and_keeps_what_holds() {
        let rule = Rule { base: office_only(), change: None };
        let propose = |rule: &Rule, text, now| {
            rule.propose(version(text), Begin::AtOnce, OwnAddress::Insist, from(OFFICE, now)).unwrap()
        };
        let unconfirmed = propose(&rule, "enforce ::1", 0);
        for now in [10, 1000] {
            let next = propose(&unconfirmed, "watch", now);
            assert_eq!(next.base, office_only(), "nobody confirmed what came between");
            assert!(lets_in(&next, HOME, now), "watching begins at once");
        }
        let settled = propose(&rule, "enforce 192.0.2.7", 0);
        assert_eq!(propose(&settled, "watch", 10).base, version("enforce 192.0.2.7"));
    }

    #[test]
    fn a_self_lock_out_is_released() {
        let rule = Rule { base: office_only(), change: None };
        let released = rule.release(at(5));
        assert!(lets_in(&released, HOME, 5));
        assert_eq!(released.base.allow, office_only().allow);
        assert_eq!(Rule::new().release(at(5)).base.mode, Mode::Off);
    }

    #[test]
    fn mistakes_in_entries_are_told() {
        let mut version = office_only();
        version.allow[0].until = Some(at(5));
        let propose =
            |version| Rule::new().propose(version, Begin::AtOnce, OwnAddress::Insist, from(OFFICE, 6));
        assert_eq!(
            propose(version.clone()).unwrap_err().to_string(),
            "the entry `test` ended at 1970-01-01T00:00:05.000Z"
        );
        version.allow = vec![version.allow[0].clone(); MOST_ENTRIES + 1];
        assert_eq!(propose(version), Err(ChangeError::TooManyEntries(MOST_ENTRIES)));
    }
}
