//! Groups: named accounts of one tenant, for rules that are made once for all of them.

use hikyaku_store::TenantTx;
use hikyaku_types::AccountId;

use crate::change::{invalid, living_account};
use crate::error::{DirectoryError, request};
use crate::field::{FieldValue, Text, record};
use crate::object::{self, Object};

record! {
    /// One group.
    pub struct Group {
        /// A title for people.
        title: String = String::new(),
        /// Its accounts.
        members: Vec<Text<AccountId>> = Vec::new(),
        /// A note.
        note: String = String::new(),
    }
}

pub(crate) fn settle(tx: &mut TenantTx<'_>, object: &Object) -> Result<(), DirectoryError> {
    if object.name.is_empty() {
        return Err(DirectoryError::Request(request::NAME));
    }
    if object.name.len() > 100 || object.name.contains('@') {
        return Err(invalid("name", "use up to 100 characters without @"));
    }
    String::parse(&object.name).map_err(|problem| invalid("name", problem))?;
    let fields: Group = object::record(&object.data)?;
    for Text(member) in &fields.members {
        living_account(tx, *member)?;
    }
    Ok(())
}
