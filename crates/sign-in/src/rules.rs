//! A tenant's source rules, from the directory's words to what decisions take.

use hikyaku_access::facts::{GroupId, Service};
use hikyaku_access::place::{Asn, Country};
use hikyaku_access::policy::Note;
use hikyaku_access::rule::change::Change;
use hikyaku_access::rule::{Allow, Exception, Level, Mode, Origin, Rule, Rules, Version};
use hikyaku_directory as directory;
use hikyaku_directory::{AccessFacts, Allowed, Entrance, RuleLevel, RuleMode};
use hikyaku_types::{AccountId, DomainId, Timestamp};

/// All rules and exceptions of a tenant.
pub(crate) fn of(facts: &AccessFacts) -> Rules {
    let rule = |(level, rule): &(RuleLevel, directory::Rule)| {
        let service = service(rule.service.as_ref()?.0);
        Some(((self::level(*level)?, service), self::rule(rule)))
    };
    Rules {
        rules: facts.rules.iter().filter_map(rule).collect(),
        exceptions: facts.exceptions.iter().filter_map(exception).collect(),
    }
}

/// The groups with rules that an account is in.
pub(crate) fn groups(facts: &AccessFacts, account: AccountId) -> Vec<GroupId> {
    facts.groups.get(&account).into_iter().flatten().copied().map(GroupId).collect()
}

fn level(level: RuleLevel) -> Option<Level> {
    Some(match level {
        RuleLevel::Tenant => Level::Tenant,
        RuleLevel::Domain(domain) => Level::Domain(DomainId::from_i64(domain)?),
        RuleLevel::Group(group) => Level::Group(GroupId(group)),
        RuleLevel::Account(account) => Level::Account(AccountId::from_i64(account)?),
    })
}

pub(crate) fn rule(rule: &directory::Rule) -> Rule {
    let next = rule.next_mode.zip(rule.next_from);
    let change = next.map(|(next_mode, from)| Change {
        version: Version { mode: mode(next_mode.0.0), allow: allow(&rule.next_allow) },
        from: from.0.0,
        confirm_by: rule.confirm_by.map(|until| until.0.0),
    });
    Rule { base: Version { mode: mode(rule.mode), allow: allow(&rule.allow) }, change }
}

pub(crate) fn mode(mode: RuleMode) -> Mode {
    match mode {
        RuleMode::Off => Mode::Off,
        RuleMode::Watch => Mode::Watch,
        RuleMode::Enforce => Mode::Enforce,
    }
}

fn allow(entries: &[directory::Text<Allowed>]) -> Vec<Allow> {
    entries.iter().filter_map(|written| entry(&written.0)).collect()
}

/// One entry; `None` only for what a newer program has written.
pub(crate) fn entry(written: &Allowed) -> Option<Allow> {
    let Allowed { origin, until, note } = written;
    Some(Allow { origin: self::origin(*origin)?, note: Note::new(note).ok()?, until: end(*until) })
}

fn origin(origin: directory::Origin) -> Option<Origin> {
    Some(match origin {
        directory::Origin::Network(network) => Origin::Network(network),
        directory::Origin::Country(letters) => {
            Origin::Country(Country::parse(str::from_utf8(&letters).ok()?).ok()?)
        }
        directory::Origin::Asn(number) => Origin::Asn(Asn(number)),
    })
}

fn end(day: Option<directory::Day>) -> Option<Timestamp> {
    day.map(directory::Day::end)
}

fn exception(exception: &directory::Exception) -> Option<Exception> {
    Some(Exception {
        account: exception.account?.0,
        services: exception.services.iter().map(|one| service(one.0)).collect(),
        until: end(exception.until.map(|day| day.0))?,
        note: Note::new(&exception.note).ok()?,
    })
}

/// What the decision calls it.
pub(crate) const fn service(entrance: Entrance) -> Service {
    match entrance {
        Entrance::Imap => Service::Imap,
        Entrance::Pop3 => Service::Pop3,
        Entrance::Submission => Service::Submission,
        Entrance::ManageSieve => Service::ManageSieve,
        Entrance::Webmail => Service::Webmail,
        Entrance::Api => Service::Panel,
    }
}

#[cfg(test)]
mod tests {
    use hikyaku_access::facts::AccountFacts;
    use hikyaku_access::place::Place;
    use hikyaku_directory::{Edit, Record};
    use hikyaku_types::TenantId;

    use super::*;

    fn record<R: Record>(fields: &[(&str, &str)]) -> R {
        let mut record = R::default();
        for (name, value) in fields {
            record.edit(name, &Edit::Set((*value).to_owned())).unwrap();
        }
        record
    }

    fn refuses(facts: &AccessFacts, ip: &str, country: Option<&str>, now: i64) -> bool {
        let account = AccountId::from_i64(7).unwrap();
        let groups = groups(facts, account);
        let account = AccountFacts {
            tenant: TenantId::from_i64(1).unwrap(),
            account,
            domain: DomainId::from_i64(3).unwrap(),
            groups: &groups,
            suspended: false,
        };
        let place = Place { country: country.map(|text| Country::parse(text).unwrap()), ..Place::default() };
        let judged =
            of(facts).judge(&account, Service::Imap, ip.parse().unwrap(), &place, Timestamp::from_secs(now));
        judged.refused.is_some()
    }

    #[test]
    fn rules_of_every_level_are_taken() {
        let rule = [("service", "imap"), ("mode", "enforce"), ("allow", "192.0.2.0/24 office, JP staff")];
        for level in [RuleLevel::Tenant, RuleLevel::Domain(3), RuleLevel::Group(5), RuleLevel::Account(7)] {
            let groups = [(AccountId::from_i64(7).unwrap(), vec![5])].into();
            let facts = AccessFacts { rules: vec![(level, record(&rule))], groups, ..AccessFacts::default() };
            assert!(refuses(&facts, "198.51.100.1", None, 0), "{level:?}");
            assert!(!refuses(&facts, "192.0.2.1", None, 0), "{level:?}");
            assert!(!refuses(&facts, "198.51.100.1", Some("JP"), 0), "{level:?}");
        }
        for level in [RuleLevel::Domain(4), RuleLevel::Group(6), RuleLevel::Account(8)] {
            let facts = AccessFacts { rules: vec![(level, record(&rule))], ..AccessFacts::default() };
            assert!(!refuses(&facts, "198.51.100.1", None, 0), "{level:?}");
        }
    }

    #[test]
    fn a_change_holds_from_its_time_on_and_is_taken_back() {
        let rule = record(&[
            ("service", "imap"),
            ("mode", "watch"),
            ("allow", "192.0.2.0/24 office"),
            ("next_mode", "enforce"),
            ("next_allow", "192.0.2.0/24 office"),
            ("next_from", "1970-01-01T00:01:00Z"),
            ("confirm_by", "1970-01-01T00:16:00Z"),
        ]);
        let facts = AccessFacts { rules: vec![(RuleLevel::Tenant, rule)], ..AccessFacts::default() };
        for (now, is_refused) in [(59, false), (60, true), (16 * 60 - 1, true), (16 * 60, false)] {
            assert_eq!(refuses(&facts, "198.51.100.1", None, now), is_refused, "{now}");
        }
    }

    #[test]
    fn exceptions_hold_to_the_end_of_their_day() {
        let rule = record(&[("service", "imap"), ("mode", "enforce")]);
        let account = AccountId::from_i64(7).unwrap().to_string();
        let exception = record(&[("account", &account), ("until", "1970-01-01"), ("note", "travels")]);
        let facts = AccessFacts {
            rules: vec![(RuleLevel::Tenant, rule)],
            exceptions: vec![exception],
            ..AccessFacts::default()
        };
        assert!(!refuses(&facts, "198.51.100.1", None, 86_399));
        assert!(refuses(&facts, "198.51.100.1", None, 86_400));
    }
}
