//! What one checked attempt changes for the attempts after it: the record that nodes share.
//!
//! State is made of events and of nothing else, see [`crate::State::apply`]. Applying them
//! in another order, or one of them twice, makes no difference, so that nodes that read them
//! late, again, or with clocks that differ by seconds, decide alike.

use std::net::IpAddr;

use hikyaku_types::{AccountId, NodeId, TenantId, Timestamp};

use crate::facts::{Class, SubjectKey, Tag};

/// What a source was to the account when it was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// In an exempt network of the tenant.
    Exempt,
    /// The account signed in well from there lately.
    Known,
    /// Several accounts of the tenant did.
    Office,
    /// Another account of the tenant did.
    Neighbour,
    /// Nothing bad is known of it.
    Fresh,
    /// It has failed, somewhere on the platform.
    Suspect,
}

/// One event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// When the attempt came, by the clock of its node.
    pub at: Timestamp,
    /// Which node checked it.
    pub node: NodeId,
    /// From where.
    pub ip: IpAddr,
    /// What happened.
    pub what: What,
}

/// What happened.
///
/// `Unchecked` costs no shared statement: it counts in its own node, which may tell the
/// others in bulk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// An account signed in well, or a link was opened for it: the source is known to it.
    Good {
        /// Its tenant.
        tenant: TenantId,
        /// Itself.
        account: AccountId,
        /// Does this speak for the source to others? See `Limits::vouches_per_day`.
        vouches: bool,
    },
    /// A password was wrong, or its name was nobody's.
    Wrong {
        /// Whose domain it was.
        tenant: Option<TenantId>,
        /// Whose password.
        subject: SubjectKey,
        /// Which one.
        tag: Tag,
        /// Of mail or panel.
        class: Class,
        /// What the source was to the account.
        standing: Standing,
    },
    /// A password was offered and not looked at: challenged or refused.
    Unchecked {
        /// Whose domain it was.
        tenant: Option<TenantId>,
        /// Whose password.
        subject: SubjectKey,
        /// Which one.
        tag: Tag,
        /// Of mail or panel.
        class: Class,
    },
}

impl Event {
    /// Must other nodes, and this one after a restart, know of it?
    pub const fn is_shared(&self) -> bool {
        !matches!(self.what, What::Unchecked { .. })
    }
}

impl Standing {
    /// Is the source new to the account and to its offices?
    pub const fn is_unknown(self) -> bool {
        matches!(self, Self::Neighbour | Self::Fresh | Self::Suspect)
    }
}
