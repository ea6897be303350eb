//! What decisions ask the state. Nothing here changes it.

use std::net::IpAddr;
use std::time::Duration;

use hikyaku_types::{AccountId, Network, TenantId, Timestamp};

use super::entry::Guess;
use super::{CHECK, DAY, HOUR, Reputation, State};
use crate::facts::{SubjectKey, Tag};
use crate::guard::Offer;
use crate::source::{area_of, around, source_of};

/// After this time every node has seen what another one did.
const SYNC: Duration = Duration::from_secs(5);
/// A failure of a part of a wide network counts for the whole so long.
const CHILD: Duration = DAY;
/// Goodwill of more accounts than these excuses no more guesses, when a source becomes
/// suspect, when it becomes loud, and when its answers slow down.
const MOST_DOUBT: usize = 16;
const MOST_LOUD: usize = 8;
const MOST_SLOW: usize = 20;
/// So many wrong passwords an hour are human; in a wide network those of so many parts.
const HUMAN: usize = 5;
const MOST_PARTS: usize = 8;

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

fn number_of(subject: SubjectKey) -> u64 {
    match subject {
        SubjectKey::Account(account) => account.as_i64().unsigned_abs(),
        SubjectKey::Missing(name) => name,
    }
}
