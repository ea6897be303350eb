//! The numbers of blocks: what a tenant has chosen, and within what the operator allows.
//!
//! Invariant: what a tenant chose when it was allowed stays written, also when the operator
//! allows less now. What holds is the nearest allowed value ([`BlockBounds::held`]); only a
//! value that is chosen anew must be within the bounds.

use std::fmt;

use crate::change::invalid;
use crate::error::DirectoryError;
use crate::field::Limit;
use crate::kind::tenant::Tenant;

/// A number for each of a tenant's fields, in their units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockNumbers {
    /// Different wrong passwords that block their source.
    pub failures: u64,
    /// Minutes within which they are counted.
    pub window: u64,
    /// Minutes of the first block.
    pub minutes: u64,
    /// How many times longer each further block is.
    pub growth: u64,
    /// Minutes of the longest block.
    pub longest: u64,
}

/// What holds for who chooses nothing, and between what a tenant may choose.
///
/// The program's settings make it: there no floor is above a ceiling, and the usual numbers
/// are between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockBounds {
    /// For who chooses nothing.
    pub usual: BlockNumbers,
    /// The smallest that a tenant may choose.
    pub floor: BlockNumbers,
    /// The largest.
    pub ceiling: BlockNumbers,
}

/// A number as it is chosen and as it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldNumber {
    /// The tenant's field.
    pub field: &'static str,
    /// What the tenant chose; `None` for what all have.
    pub chosen: Option<u64>,
    /// What holds.
    pub held: u64,
    /// The floor.
    pub least: u64,
    /// The ceiling.
    pub most: u64,
}

/// One of the numbers: its field, what a tenant chose, and how it is found among others.
type Number = (&'static str, fn(&Tenant) -> Limit, fn(&BlockNumbers) -> u64);

const NUMBERS: [Number; 5] = [
    ("block_failures", |tenant| tenant.block_failures, |numbers| numbers.failures),
    ("block_window", |tenant| tenant.block_window, |numbers| numbers.window),
    ("block_minutes", |tenant| tenant.block_minutes, |numbers| numbers.minutes),
    ("block_growth", |tenant| tenant.block_growth, |numbers| numbers.growth),
    ("block_longest", |tenant| tenant.block_longest, |numbers| numbers.longest),
];

impl Default for BlockBounds {
    fn default() -> Self {
        const DAY: u64 = 24 * 60;
        Self {
            usual: BlockNumbers { failures: 10, window: 60, minutes: 60, growth: 2, longest: DAY },
            floor: BlockNumbers { failures: 3, window: 5, minutes: 1, growth: 1, longest: 5 },
            ceiling: BlockNumbers { failures: 100, window: DAY, minutes: DAY, growth: 10, longest: 7 * DAY },
        }
    }
}

impl BlockBounds {
    /// Each number as the tenant chose it and as it holds.
    pub fn told(&self, tenant: &Tenant) -> [HeldNumber; 5] {
        NUMBERS.map(|(field, chosen, number)| {
            let (chosen, least, most) = (chosen(tenant).0, number(&self.floor), number(&self.ceiling));
            let held = chosen.map_or(number(&self.usual), |chosen| chosen.max(least).min(most));
            HeldNumber { field, chosen, held, least, most }
        })
    }

    /// What holds for a tenant.
    pub fn held(&self, tenant: &Tenant) -> BlockNumbers {
        let [failures, window, minutes, growth, longest] = self.told(tenant).map(|number| number.held);
        BlockNumbers { failures, window, minutes, growth, longest }
    }

    /// Refuses what is chosen anew and not allowed.
    pub(crate) fn check(&self, before: Option<&Tenant>, after: &Tenant) -> Result<(), DirectoryError> {
        for (field, chosen, number) in NUMBERS {
            let (least, most) = (number(&self.floor), number(&self.ceiling));
            let is_new = before.is_none_or(|before| chosen(before) != chosen(after));
            if is_new && chosen(after).0.is_some_and(|number| !(least..=most).contains(&number)) {
                return Err(invalid(field, format!("it is {least} to {most}, or none for what all have")));
            }
        }
        Ok(())
    }
}

impl HeldNumber {
    /// Does something else hold than what the tenant chose?
    pub fn is_moved(&self) -> bool {
        self.chosen.is_some_and(|chosen| chosen != self.held)
    }
}

impl fmt::Display for HeldNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}: {} to {} is allowed", self.field, self.held, self.least, self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failures(number: u64) -> Tenant {
        Tenant { block_failures: Limit(Some(number)), ..Tenant::default() }
    }

    #[test]
    fn numbers_keep_to_their_bounds() {
        let bounds = BlockBounds::default();
        assert!(bounds.check(None, &Tenant::default()).is_ok());
        for (number, is_right) in [(2, false), (3, true), (100, true), (101, false)] {
            assert_eq!(bounds.check(None, &failures(number)).is_ok(), is_right, "{number}");
        }
        let tenant = Tenant { block_longest: Limit(Some(10_081)), ..Tenant::default() };
        let told = bounds.check(None, &tenant).unwrap_err().to_string();
        assert!(told.contains("block_longest") && told.contains("5 to 10080"), "{told}");
    }

    #[test]
    fn what_was_allowed_once_may_stay_and_the_nearest_holds() {
        let mut bounds = BlockBounds::default();
        let before = failures(50);
        assert_eq!(bounds.held(&before).failures, 50);
        bounds.ceiling.failures = 20;
        let titled = Tenant { title: "Acme".into(), ..before.clone() };
        assert!(bounds.check(Some(&before), &titled).is_ok(), "another field is changed");
        assert!(bounds.check(Some(&before), &failures(30)).is_err());
        assert!(bounds.check(Some(&before), &failures(20)).is_ok());
        assert_eq!(bounds.held(&before).failures, 20);
        let [failures, window, ..] = bounds.told(&before);
        assert!(failures.is_moved() && !window.is_moved());
        assert_eq!(failures.to_string(), "block_failures is 20: 3 to 20 is allowed");
        bounds.floor.failures = 15;
        bounds.usual.failures = 17;
        assert_eq!(bounds.held(&self::failures(4)).failures, 15);
        assert_eq!(bounds.held(&Tenant::default()).failures, 17);
    }
}
