//! Who may do what to which object.
//!
//! Invariants:
//! - what belongs to another tenant is not found, whatever it is;
//! - nobody gets more power over an account than over what it administers: its credentials
//!   open what its roles open.

use hikyaku_types::{AccountId, Actor, DomainId, TenantId};
use serde::{Deserialize, Serialize};

use crate::kind::Kind;
use crate::kind::role::Power;

/// What is done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// It is made.
    Create,
    /// It is read.
    Show,
    /// All of its kind are read, page by page.
    List,
    /// Its fields are changed.
    Change,
    /// It stops to work.
    Suspend,
    /// It works again.
    Resume,
    /// It is deleted, and can be undeleted for a while.
    Delete,
    /// It is there again.
    Undelete,
    /// It is removed for good.
    Purge,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Self; 9] = [
        Self::Create,
        Self::Show,
        Self::List,
        Self::Change,
        Self::Suspend,
        Self::Resume,
        Self::Delete,
        Self::Undelete,
        Self::Purge,
    ];

    /// `create`, …
    pub const fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Show => "show",
            Self::List => "list",
            Self::Change => "change",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Delete => "delete",
            Self::Undelete => "undelete",
            Self::Purge => "purge",
        }
    }

    const fn reads(self) -> bool {
        matches!(self, Self::Show | Self::List)
    }
}

/// How near an actor is to an object, from the farthest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It administers nothing of it.
    Stranger,
    /// It is the account's owner.
    Owner,
    /// It administers the object's domain.
    Domain,
    /// It administers the object's tenant.
    Tenant,
    /// It runs the platform.
    Operator,
}

/// What must be known of an object to say who may do something to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) kind: Kind,
    pub(crate) tenant: TenantId,
    /// The domains that all its addresses are in.
    pub(crate) domains: Vec<DomainId>,
    /// The account that it is or belongs to.
    pub(crate) account: Option<AccountId>,
    /// The most powerful role of that account, or that a role gives.
    pub(crate) power: Option<Power>,
}

impl Target {
    /// Something of a tenant that has no domain and no account.
    pub(crate) fn of_tenant(kind: Kind, tenant: TenantId) -> Self {
        Self { kind, tenant, domains: Vec::new(), account: None, power: None }
    }
}

/// Why somebody may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    /// There is nothing there, as far as it may know.
    NotFound,
    /// Somebody nearer may.
    Needs(Standing),
}

/// The least standing that each verb needs on each kind.
const fn needed(kind: Kind, verb: Verb) -> Standing {
    match kind {
        Kind::Plan => Standing::Operator,
        Kind::Tenant => match verb {
            Verb::Show | Verb::Change => Standing::Tenant,
            _ => Standing::Operator,
        },
        Kind::Domain => match verb {
            Verb::Show | Verb::Change => Standing::Domain,
            _ => Standing::Tenant,
        },
        Kind::Account => match verb {
            Verb::Show | Verb::Change => Standing::Owner,
            _ => Standing::Domain,
        },
        Kind::Alias | Kind::List | Kind::Rule => Standing::Domain,
        // An exception opens the tenant's rules, too.
        Kind::Group | Kind::Role | Kind::Exception => Standing::Tenant,
        Kind::Credential => match verb {
            // Gone credentials stay gone: there is nothing to suspend for an owner.
            Verb::Suspend | Verb::Resume => Standing::Domain,
            _ => Standing::Owner,
        },
    }
}

/// How near the actor is to the target.
fn standing(actor: &Actor, target: &Target) -> Standing {
    match *actor {
        Actor::Operator | Actor::Service(_) => Standing::Operator,
        Actor::Support => Standing::Stranger,
        Actor::Administrator { tenant } if tenant == target.tenant => Standing::Tenant,
        Actor::DomainAdministrator { tenant, domain }
            if tenant == target.tenant
                && !target.domains.is_empty()
                && target.domains.iter().all(|of| *of == domain) =>
        {
            Standing::Domain
        }
        Actor::Owner { tenant, account } if tenant == target.tenant && target.account == Some(account) => {
            Standing::Owner
        }
        _ => Standing::Stranger,
    }
}

/// The standing that a role of this power gives.
const fn standing_of(power: Power) -> Standing {
    match power {
        Power::Domain => Standing::Domain,
        Power::Tenant => Standing::Tenant,
        Power::Support | Power::Operator => Standing::Operator,
    }
}

/// May the actor do this to the target?
pub(crate) fn may(actor: &Actor, verb: Verb, target: &Target) -> Result<(), Denied> {
    if *actor == Actor::Support && verb.reads() {
        return Ok(());
    }
    let standing = standing(actor, target);
    let mut needs = needed(target.kind, verb);
    // An owner does what it likes with its own account, whatever that administers.
    let is_owner = standing == Standing::Owner;
    if !verb.reads() && !is_owner {
        needs = needs.max(target.power.map_or(Standing::Stranger, standing_of));
    }
    if standing >= needs {
        return Ok(());
    }
    let is_foreign = actor.tenant().is_some_and(|own| own != target.tenant);
    Err(if is_foreign { Denied::NotFound } else { Denied::Needs(needs) })
}

/// The same before anything is known of the object but its tenant: what no object of the
/// kind would allow. It spares a stranger's request the trouble, and says nothing to it.
pub(crate) fn may_at_all(actor: &Actor, verb: Verb, kind: Kind, tenant: TenantId) -> Result<(), Denied> {
    if actor.tenant().is_some_and(|own| own != tenant) {
        return Err(Denied::NotFound);
    }
    let highest = match actor {
        Actor::Operator | Actor::Service(_) => Standing::Operator,
        Actor::Support if verb.reads() => Standing::Operator,
        Actor::Support => Standing::Stranger,
        Actor::Administrator { .. } => Standing::Tenant,
        Actor::DomainAdministrator { .. } => Standing::Domain,
        Actor::Owner { .. } => Standing::Owner,
    };
    let needs = needed(kind, verb);
    if highest >= needs { Ok(()) } else { Err(Denied::Needs(needs)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_gets_more_power_through_an_account_that_has_it() {
        let (tenant, domain) = (TenantId::from_i64(5).unwrap(), DomainId::from_i64(6).unwrap());
        let account = AccountId::from_i64(7).unwrap();
        let of_domain = Actor::DomainAdministrator { tenant, domain };
        let of_tenant = Actor::Administrator { tenant };
        let owner = Actor::Owner { tenant, account };
        let target = |power| Target {
            kind: Kind::Credential,
            tenant,
            domains: vec![domain],
            account: Some(account),
            power,
        };
        for (actor, power, allowed) in [
            (of_domain, None, true),
            (of_domain, Some(Power::Domain), true),
            (of_domain, Some(Power::Tenant), false),
            (of_tenant, Some(Power::Tenant), true),
            (of_tenant, Some(Power::Operator), false),
            (of_tenant, Some(Power::Support), false),
            (Actor::Operator, Some(Power::Operator), true),
            (owner, Some(Power::Operator), true),
            (Actor::Support, None, false),
        ] {
            assert_eq!(may(&actor, Verb::Change, &target(power)).is_ok(), allowed, "{actor} {power:?}");
        }
    }

    #[test]
    fn an_account_with_addresses_in_two_domains_is_the_tenants() {
        let tenant = TenantId::from_i64(5).unwrap();
        let [one, two] = [6, 7].map(|id| DomainId::from_i64(id).unwrap());
        let of_domain = Actor::DomainAdministrator { tenant, domain: one };
        let mut target =
            Target { kind: Kind::Account, tenant, domains: vec![one], account: None, power: None };
        assert_eq!(may(&of_domain, Verb::Delete, &target), Ok(()));
        target.domains.push(two);
        assert_eq!(may(&of_domain, Verb::Delete, &target), Err(Denied::Needs(Standing::Domain)));
    }
}
