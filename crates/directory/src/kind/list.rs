//! Lists: addresses whose mail goes to all members.

use hikyaku_store::TenantTx;
use hikyaku_types::Address;

use crate::addresses;
use crate::change::{Settling, invalid};
use crate::error::DirectoryError;
use crate::field::{Text, record};
use crate::object::Object;

record! {
    /// One list.
    pub struct List {
        /// A title for people.
        title: String = String::new(),
        /// Who gets its mail.
        members: Vec<Text<Address>> = Vec::new(),
        /// A note.
        note: String = String::new(),
    }
}

pub(crate) fn settle(
    tx: &mut TenantTx<'_>,
    object: &mut Object,
    settling: &mut Settling<'_>,
) -> Result<(), DirectoryError> {
    let address: Address = object.name.parse().map_err(|error: hikyaku_types::AddressError| {
        invalid("name", format!("a list is called by its address: {error}"))
    })?;
    object.name = address.key().to_string();
    object.parent = Some(addresses::domain_of(tx, &address)?.as_i64());
    addresses::settle(tx, object, &[&address], &mut settling.forget)?;
    Ok(())
}
