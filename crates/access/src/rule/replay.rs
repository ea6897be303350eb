//! What rules would have done to the sign-ins of the past: "these 30 days it would have
//! refused Tanaka's phone 212 times".

use std::collections::HashMap;
use std::net::IpAddr;

use hikyaku_types::{AccountId, Timestamp};

use super::{Level, Rules};
use crate::facts::{AccountFacts, Service};
use crate::place::Place;

/// A good sign-in of the past, with the account as it is today.
#[derive(Debug, Clone, Copy)]
pub struct Past<'a> {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub account: AccountFacts<'a>,
    /// To what.
    pub service: Service,
    /// From where.
    pub ip: IpAddr,
    /// Where that was.
    pub place: Place,
}

/// One who would have been refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Who.
    pub account: AccountId,
    /// From where.
    pub ip: IpAddr,
    /// To what.
    pub service: Service,
    /// By which level first.
    pub level: Level,
    /// How often.
    pub times: u64,
    /// When last.
    pub last: Timestamp,
}

/// The answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replay {
    /// Who would have been refused, the most frequent first.
    pub refused: Vec<Hit>,
    /// Refusals of more than [`MOST_HITS`] different ones, that are not listed.
    pub unlisted: u64,
    /// Sign-ins that would have passed.
    pub passed: u64,
}

/// The most different ones that are listed.
pub const MOST_HITS: usize = 10_000;

/// Runs `rules` over the past. Each sign-in is judged as of `now`, as if watched rules were
/// enforced: what counts is what the rules will do, not what held then.
pub fn replay<'a>(rules: &Rules, past: impl IntoIterator<Item = Past<'a>>, now: Timestamp) -> Replay {
    let mut hits: HashMap<(AccountId, IpAddr, Service), Hit> = HashMap::new();
    let mut answer = Replay::default();
    for one in past {
        let judgement = rules.judge(&one.account, one.service, one.ip, &one.place, now);
        let Some(level) = judgement.refused.or(judgement.would_refuse.first().copied()) else {
            answer.passed += 1;
            continue;
        };
        let key = (one.account.account, one.ip, one.service);
        if hits.len() >= MOST_HITS && !hits.contains_key(&key) {
            answer.unlisted += 1;
            continue;
        }
        let (account, ip, service) = key;
        let hit = hits.entry(key).or_insert(Hit { account, ip, service, level, times: 0, last: one.at });
        hit.times += 1;
        hit.last = hit.last.max(one.at);
    }
    answer.refused = hits.into_values().collect();
    answer.refused.sort_by_key(|hit| (std::cmp::Reverse(hit.times), hit.account, hit.ip, hit.service));
    answer
}

#[cfg(test)]
mod tests {
    use super::super::change::{Begin, From, OwnAddress};
    use super::super::tests::{account, at, version};
    use super::super::{Rule, Rules};
    use super::*;

    fn past(ip: &str, seconds: i64, service: Service) -> Past<'static> {
        Past {
            at: at(seconds),
            account: account(),
            service,
            ip: ip.parse().unwrap(),
            place: Place::default(),
        }
    }

    #[test]
    fn a_proposed_rule_says_whom_it_would_have_refused() {
        let from = From { ip: "192.0.2.7".parse().unwrap(), place: &Place::default(), now: at(1000) };
        let rule = Rule::new()
            .propose(version("enforce 192.0.2.0/24"), Begin::AfterWatch, OwnAddress::MustBeAllowed, from)
            .unwrap();
        let rules = Rules { rules: [((Level::Tenant, Service::Imap), rule)].into(), exceptions: Vec::new() };
        let history = [
            past("192.0.2.7", 1, Service::Imap),
            past("198.51.100.9", 2, Service::Submission),
            past("198.51.100.9", 3, Service::Imap),
            past("198.51.100.8", 9, Service::Imap),
            past("198.51.100.9", 7, Service::Imap),
        ];
        let answer = replay(&rules, history, at(1000));
        let seen: Vec<_> =
            answer.refused.iter().map(|hit| (hit.ip.to_string(), hit.times, hit.last.as_secs())).collect();
        assert_eq!(seen, [("198.51.100.9".to_owned(), 2, 7), ("198.51.100.8".to_owned(), 1, 9)]);
        assert_eq!((answer.passed, answer.unlisted), (2, 0));
    }

    #[test]
    fn the_list_is_bounded() {
        let rules = Rules {
            rules: [((Level::Tenant, Service::Imap), Rule { base: version("enforce ::1"), change: None })]
                .into(),
            exceptions: Vec::new(),
        };
        let many = (0..MOST_HITS + 5)
            .map(|number| Past { ip: IpAddr::V4((number as u32).into()), ..past("::1", 1, Service::Imap) });
        let answer = replay(&rules, many, at(1));
        assert_eq!((answer.refused.len(), answer.unlisted), (MOST_HITS, 5));
    }
}
