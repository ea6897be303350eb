//! Exceptions from all source rules: one account may sign in from anywhere for a while.

use hikyaku_store::TenantTx;
use hikyaku_types::AccountId;

use crate::change::{Settling, invalid, living_account};
use crate::credential::Entrance;
use crate::error::{DirectoryError, request};
use crate::field::{Text, record};
use crate::kind::Kind;
use crate::kind::credential::Day;
use crate::kind::rule::MOST;
use crate::object::{self, Object};

record! {
    /// One exception.
    pub struct Exception {
        /// Who may come from anywhere.
        account: Option<Text<AccountId>> = None,
        /// To which services; none named are all.
        services: Vec<Text<Entrance>> = Vec::new(),
        /// The last day on which it holds (UTC).
        until: Option<Text<Day>> = None,
        /// Why; it is never empty.
        note: String = String::new(),
    }
}

pub(crate) fn settle(
    tx: &mut TenantTx<'_>,
    object: &mut Object,
    settling: &Settling<'_>,
) -> Result<(), DirectoryError> {
    let fields: Exception = object::record(&object.data)?;
    let Some(Text(account)) = fields.account else { return Err(DirectoryError::Request(request::ACCOUNT)) };
    living_account(tx, account)?;
    if fields.until.is_none() {
        return Err(invalid("until", "an exception ends: say on which day, like 2027-03-31"));
    }
    if fields.note.trim().is_empty() {
        return Err(invalid("note", "next year nobody knows why: say it"));
    }
    let name = account.to_string();
    match settling.before {
        Some(before) if before.name != name => return Err(DirectoryError::Request(request::NOT_RENAMED)),
        Some(_) => {}
        None if object::count(tx, Kind::Exception)? >= u64::from(MOST) => {
            return Err(invalid(
                "account",
                format!("a tenant has at most {MOST} exceptions: delete old ones"),
            ));
        }
        None => {}
    }
    object.name = name;
    object.parent = Some(account.as_i64());
    Ok(())
}
