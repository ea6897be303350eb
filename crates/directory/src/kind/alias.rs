//! Aliases: addresses that point to others, ours or foreign.

use hikyaku_store::TenantTx;
use hikyaku_types::Address;

use crate::addresses;
use crate::change::{Settling, invalid};
use crate::error::DirectoryError;
use crate::field::{Limit, Text, record};
use crate::object::{self, Object};

record! {
    /// One alias.
    pub struct Alias {
        /// Where its mail goes.
        targets: Vec<Text<Address>> = Vec::new(),
        /// A note.
        note: String = String::new(),
    }
}

pub(crate) fn settle(
    tx: &mut TenantTx<'_>,
    object: &mut Object,
    settling: &mut Settling<'_>,
) -> Result<(), DirectoryError> {
    let fields: Alias = object::record(&object.data)?;
    if fields.targets.is_empty() {
        return Err(invalid("targets", "an alias points somewhere: give at least one address"));
    }
    addresses::settle_name(tx, object, &mut settling.forget)?;
    if let (None, Limit(Some(most))) = (settling.before, settling.plan.aliases)
        && addresses::aliases(tx)? > most
    {
        return Err(DirectoryError::Limit { what: "aliases and further addresses", most });
    }
    Ok(())
}
