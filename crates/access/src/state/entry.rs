//! What stands in the lists of [`super::State`]: each happened, and may happen again.

use hikyaku_types::{AccountId, Network, TenantId};

use super::recent::{Happening, Second};
use crate::facts::{Class, SubjectKey, Tag};

/// A source that is known to the account.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) source: Network,
    pub(super) since: Second,
    pub(super) last: Second,
}

/// A guess at an account, or one under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guess {
    /// Around its source, see [`area_of`].
    pub(super) area: u64,
    pub(super) tag: Tag,
    pub(super) last: Second,
    /// Checked by this node.
    pub(super) own: bool,
}

/// A password that a source offered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offered {
    pub(super) tenant: Option<TenantId>,
    pub(super) subject: SubjectKey,
    pub(super) tag: Tag,
    pub(super) last: Second,
    pub(super) class: Class,
}

/// An account that speaks for a source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Goodwill {
    pub(super) tenant: TenantId,
    pub(super) account: AccountId,
    pub(super) last: Second,
}

/// A part of a wide network that guessed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Child {
    pub(super) bits: u64,
    pub(super) last: Second,
}

impl Happening for Known {
    fn same(&self, other: &Self) -> bool {
        self.source == other.source
    }
    fn last(&self) -> Second {
        self.last
    }
    fn merge(&mut self, other: &Self) {
        self.since = self.since.min(other.since);
        self.last = self.last.max(other.last);
    }
}

impl Happening for Guess {
    fn same(&self, other: &Self) -> bool {
        self.tag == other.tag
    }
    fn last(&self) -> Second {
        self.last
    }
    fn merge(&mut self, other: &Self) {
        // The area of the later one, and of two at once the larger: any order gives the same.
        let later = if (other.last, other.area) > (self.last, self.area) { *other } else { *self };
        *self = Self { own: self.own || other.own, ..later };
    }
}

impl Happening for Offered {
    fn same(&self, other: &Self) -> bool {
        (self.subject, self.tag, self.class) == (other.subject, other.tag, other.class)
    }
    fn last(&self) -> Second {
        self.last
    }
    fn merge(&mut self, other: &Self) {
        self.last = self.last.max(other.last);
    }
}

impl Happening for Goodwill {
    fn same(&self, other: &Self) -> bool {
        self.account == other.account
    }
    fn last(&self) -> Second {
        self.last
    }
    fn merge(&mut self, other: &Self) {
        self.last = self.last.max(other.last);
    }
}

impl Happening for Child {
    fn same(&self, other: &Self) -> bool {
        self.bits == other.bits
    }
    fn last(&self) -> Second {
        self.last
    }
    fn merge(&mut self, other: &Self) {
        self.last = self.last.max(other.last);
    }
}
