//! Who does something, and on behalf of which tenant.
//!
//! Each operation on tenant data takes an [`Actor`]. What an actor may not see does not
//! exist for it: the answer is "not found", never "forbidden".

use std::fmt;

use crate::{AccountId, DomainId, TenantId};

/// A part of the platform that acts by itself, in logs and in the audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// Receives mail and puts it into mailboxes.
    Delivery,
    /// Sends what waits.
    Queue,
    /// Reconcilers and sweeps.
    Jobs,
    /// The command line on the operator's own machine: migrations and checks.
    Maintenance,
    /// The directory, on behalf of somebody whose right it has resolved.
    Directory,
}

/// Who acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Actor {
    /// The provider: runs the platform, sees every tenant, reads nobody's mail.
    Operator,
    /// The provider's support: sees what the operator sees, changes nothing.
    Support,
    /// A tenant's mail administrator: everything of the tenant but its mail.
    Administrator {
        /// The tenant administered.
        tenant: TenantId,
    },
    /// Administers what is in one domain of a tenant.
    DomainAdministrator {
        /// The domain's tenant.
        tenant: TenantId,
        /// The domain administered.
        domain: DomainId,
    },
    /// A mailbox owner: one account and what is in it.
    Owner {
        /// The account's tenant.
        tenant: TenantId,
        /// The owner's account.
        account: AccountId,
    },
    /// The platform itself.
    Service(Service),
}

impl Actor {
    /// May this actor read and change the mail of `account`?
    pub fn may_open_mail(&self, tenant: TenantId, account: AccountId) -> bool {
        match *self {
            Self::Owner { tenant: own, account: mine } => own == tenant && mine == account,
            Self::Service(_) => true,
            Self::Operator
            | Self::Support
            | Self::Administrator { .. }
            | Self::DomainAdministrator { .. } => false,
        }
    }

    /// May this actor administer the whole of `tenant`?
    pub fn may_administer(&self, tenant: TenantId) -> bool {
        match *self {
            Self::Operator | Self::Service(_) => true,
            Self::Administrator { tenant: own } => own == tenant,
            Self::Support | Self::DomainAdministrator { .. } | Self::Owner { .. } => false,
        }
    }

    /// Whose this actor is, unless the provider's.
    pub fn tenant(&self) -> Option<TenantId> {
        match *self {
            Self::Administrator { tenant }
            | Self::DomainAdministrator { tenant, .. }
            | Self::Owner { tenant, .. } => Some(tenant),
            Self::Operator | Self::Support | Self::Service(_) => None,
        }
    }

    /// May this actor see and change what belongs to no tenant?
    pub fn may_operate(&self) -> bool {
        matches!(self, Self::Operator | Self::Service(_))
    }
}

/// As it stands in logs: `operator`, `administrator of t-…`, `owner of a-…`, `delivery`.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator => f.write_str("operator"),
            Self::Support => f.write_str("support"),
            Self::DomainAdministrator { domain, .. } => write!(f, "administrator of {domain}"),
            Self::Administrator { tenant } => write!(f, "administrator of {tenant}"),
            Self::Owner { account, .. } => write!(f, "owner of {account}"),
            Self::Service(Service::Delivery) => f.write_str("delivery"),
            Self::Service(Service::Queue) => f.write_str("queue"),
            Self::Service(Service::Jobs) => f.write_str("jobs"),
            Self::Service(Service::Maintenance) => f.write_str("maintenance"),
            Self::Service(Service::Directory) => f.write_str("directory"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights() {
        let (t1, t2) = (TenantId::from_i64(1).unwrap(), TenantId::from_i64(2).unwrap());
        let (a1, a2) = (AccountId::from_i64(1).unwrap(), AccountId::from_i64(2).unwrap());
        // actor, mail of t1/a1, administers t1, operates
        let table = [
            (Actor::Operator, false, true, true),
            (Actor::Support, false, false, false),
            (
                Actor::DomainAdministrator { tenant: t1, domain: DomainId::from_i64(1).unwrap() },
                false,
                false,
                false,
            ),
            (Actor::Administrator { tenant: t1 }, false, true, false),
            (Actor::Administrator { tenant: t2 }, false, false, false),
            (Actor::Owner { tenant: t1, account: a1 }, true, false, false),
            (Actor::Owner { tenant: t1, account: a2 }, false, false, false),
            (Actor::Owner { tenant: t2, account: a1 }, false, false, false),
            (Actor::Service(Service::Delivery), true, true, true),
        ];
        for (actor, mail, administers, operates) in table {
            assert_eq!(actor.may_open_mail(t1, a1), mail, "{actor}");
            assert_eq!(actor.may_administer(t1), administers, "{actor}");
            assert_eq!(actor.may_operate(), operates, "{actor}");
        }
    }
}
