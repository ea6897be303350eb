//! Blocks: who is kept out from where, why, and until when.
//!
//! Invariants:
//! - a block names one tenant; another tenant never feels it;
//! - an account that is known at the source never feels it either (see `guard`);
//! - a block that ended is remembered for a while, so that the next one lasts longer.

use std::time::Duration;

use hikyaku_types::{Network, TenantId, Timestamp};

use crate::facts::{Class, SubjectKey};
use crate::reason::Reason;
use crate::state::Generations;

/// The next block of the same kind is longer, if it comes within this time.
const REMEMBERED: Duration = Duration::from_secs(7 * 86_400);

/// Whom a block is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockKey {
    /// Whose accounts; none for names in nobody's domain.
    pub tenant: Option<TenantId>,
    /// The one account; `None` keeps out the tenant.
    pub subject: Option<SubjectKey>,
    /// From where.
    pub source: Network,
    /// Of mail or panel.
    pub class: Class,
}

/// A block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Whom it is about.
    pub key: BlockKey,
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// Why.
    pub reason: Reason,
    /// How many came before it.
    pub earlier: u32,
    /// How many different wrong passwords led to it.
    pub failures: u32,
}

/// All blocks of a node, and those that ended lately.
#[derive(Debug, Clone)]
pub struct Blocks {
    all: Generations<BlockKey, Block>,
}

impl Block {
    /// Does it hold at `now`?
    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.until
    }

    /// Why somebody who feels it is refused.
    pub fn refusal(&self) -> Reason {
        if self.key.subject.is_some() { Reason::AccountBlocked } else { Reason::TenantBlocked }
    }
}

impl Blocks {
    pub(crate) fn new(most: usize) -> Self {
        Self { all: Generations::new(most) }
    }

    /// The block with this key, if it holds.
    pub fn live(&self, key: &BlockKey, now: Timestamp) -> Option<&Block> {
        self.all.get(key).filter(|block| block.is_live(now))
    }

    /// How many blocks came before the next one with this key.
    pub(crate) fn earlier(&self, key: &BlockKey, now: Timestamp) -> u32 {
        let last = self.all.get(key).filter(|block| now < block.until.after(REMEMBERED));
        last.map_or(0, |block| block.earlier.saturating_add(1))
    }

    /// The live list: what holds at `now` for a tenant, or for all.
    pub fn list(&self, tenant: Option<TenantId>, now: Timestamp) -> Vec<Block> {
        let wanted = |block: &&Block| block.is_live(now) && (tenant.is_none() || block.key.tenant == tenant);
        let mut blocks: Vec<Block> =
            self.all.iter().map(|(_, block)| block).filter(wanted).copied().collect();
        blocks.sort_by_key(|block| (block.since, block.key));
        blocks
    }

    /// Takes in a block that this or another node made. Of two with one key the longer stays.
    pub fn add(&mut self, block: Block) {
        if self.all.get(&block.key).is_none_or(|known| known.until <= block.until) {
            self.all.insert(block.key, block);
        }
    }

    /// *Unblock*: gives what was lifted. The next block begins short again.
    pub fn lift(&mut self, key: &BlockKey) -> Option<Block> {
        self.all.remove(key)
    }

    /// What exempting `network` lifts for `tenant`, at once. An attempt from there is not
    /// held up by a block in any case; this cleans the list.
    pub fn lift_within(&mut self, tenant: TenantId, network: Network) -> Vec<Block> {
        let covered = |block: &Block| block.key.tenant == Some(tenant) && network.covers(&block.key.source);
        let mut lifted: Vec<Block> =
            self.all.iter().map(|(_, block)| *block).filter(|block| covered(block)).collect();
        lifted.sort_by_key(|block| block.key);
        self.all.retain(|_, block| !covered(block));
        lifted
    }

    /// Forgets what ended long ago, a step of it. Is there another?
    pub(crate) fn sweep(&mut self, step: usize, now: Timestamp) -> bool {
        self.all.retain_in(step, |_, block| now < block.until.after(REMEMBERED))
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hikyaku_types::AccountId;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    fn block(tenant: i64, account: Option<i64>, source: &str, until: i64, earlier: u32) -> Block {
        let key = BlockKey {
            tenant: TenantId::from_i64(tenant),
            subject: account.and_then(AccountId::from_i64).map(SubjectKey::Account),
            source: Network::parse(source).unwrap(),
            class: Class::Mail,
        };
        Block { key, since: at(0), until: at(until), reason: Reason::ManyFailures, earlier, failures: 10 }
    }

    #[test]
    fn a_block_ends_and_the_next_is_counted_on() {
        let mut blocks = Blocks::new(100);
        let first = block(1, Some(7), "192.0.2.7", 100, 0);
        blocks.add(first);
        assert_eq!(blocks.live(&first.key, at(99)), Some(&first));
        assert_eq!(blocks.live(&first.key, at(100)), None);
        assert_eq!(blocks.earlier(&first.key, at(200)), 1);
        assert_eq!(blocks.earlier(&first.key, at(100 + 7 * 86_400)), 0);
        blocks.sweep(0, at(100 + 7 * 86_400));
        assert_eq!(blocks.len(), 0);
    }

    #[test]
    fn an_earlier_report_does_not_shorten_it() {
        let mut blocks = Blocks::new(100);
        let (short, long) = (block(1, None, "192.0.2.7", 50, 0), block(1, None, "192.0.2.7", 90, 1));
        blocks.add(long);
        blocks.add(short);
        assert_eq!(blocks.list(None, at(60)), [long]);
        assert_eq!(long.refusal(), Reason::TenantBlocked);
    }

    #[test]
    fn unblocking_and_exempting() {
        let mut blocks = Blocks::new(100);
        let office = block(1, Some(7), "192.0.2.7", 100, 0);
        let elsewhere = block(1, Some(7), "198.51.100.1", 100, 0);
        let other_tenant = block(2, Some(8), "192.0.2.7", 100, 0);
        for block in [office, elsewhere, other_tenant] {
            blocks.add(block);
        }
        let network = Network::parse("192.0.2.0/24").unwrap();
        assert_eq!(blocks.lift_within(TenantId::from_i64(1).unwrap(), network), [office]);
        assert_eq!(blocks.list(TenantId::from_i64(1), at(1)), [elsewhere]);
        assert_eq!(blocks.lift(&elsewhere.key), Some(elsewhere));
        assert_eq!(blocks.list(None, at(1)), [other_tenant]);
    }
}
