//! Roles: what an account may administer beside itself.

use hikyaku_store::{StoreError, TenantTx};
use hikyaku_types::{AccountId, Domain};

use crate::change::{Settling, invalid, living_account};
use crate::error::{DirectoryError, request};
use crate::field::{FieldValue, Text, choice, record};
use crate::kind::Kind;
use crate::object::{self, Object, State};

choice! {
    /// What may be administered.
    pub enum Power {
        /// One domain of the account's tenant.
        Domain = "domain_administrator",
        /// The account's tenant.
        Tenant = "administrator",
        /// All is seen, nothing is changed.
        Support = "support",
        /// The platform.
        Operator = "operator",
    }
}

record! {
    /// One role of an account.
    pub struct Role {
        /// Who has it.
        account: Option<Text<AccountId>> = None,
        /// What it may administer.
        power: Power = Power::Tenant,
        /// Which domain, for a domain administrator.
        domain: Option<Text<Domain>> = None,
    }
}

impl Power {
    /// From the least.
    fn rank(self) -> u8 {
        match self {
            Self::Domain => 1,
            Self::Tenant => 2,
            Self::Support => 3,
            Self::Operator => 4,
        }
    }
}

/// The most powerful role that an account has.
pub(crate) fn greatest(tx: &mut TenantTx<'_>, account: i64) -> Result<Option<Power>, StoreError> {
    let mut greatest: Option<Power> = None;
    for role in object::children(tx, Kind::Role, account, 100)? {
        // A deleted one can be undeleted, so it still counts.
        let power = object::record::<Role>(&role.data)?.power;
        if greatest.is_none_or(|greatest| power.rank() > greatest.rank()) {
            greatest = Some(power);
        }
    }
    Ok(greatest)
}

pub(crate) fn settle(
    tx: &mut TenantTx<'_>,
    object: &mut Object,
    settling: &Settling<'_>,
) -> Result<(), DirectoryError> {
    let fields: Role = object::record(&object.data)?;
    let Some(Text(account)) = fields.account else { return Err(DirectoryError::Request(request::ACCOUNT)) };
    living_account(tx, account)?;
    let mut name = format!("{}:{account}", fields.power.print());
    match (fields.power, &fields.domain) {
        (Power::Domain, Some(Text(domain))) => {
            let found = object::by_name(tx, Kind::Domain, domain.as_str())?;
            if found.is_none_or(|found| found.state == State::Deleted) {
                return Err(DirectoryError::NoDomain { domain: domain.to_string() });
            }
            name = format!("{name}:{domain}");
        }
        (Power::Domain, None) => return Err(invalid("domain", "a domain administrator needs one: give it")),
        (_, Some(_)) => return Err(invalid("domain", "only a domain administrator has one")),
        (_, None) => {}
    }
    if settling.before.is_some_and(|before| before.name != name) {
        return Err(DirectoryError::Request(request::NOT_RENAMED));
    }
    object.name = name;
    object.parent = Some(account.as_i64());
    Ok(())
}
