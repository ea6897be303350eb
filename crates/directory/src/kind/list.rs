//! Lists: addresses whose mail goes to all members.

use hikyaku_store::TenantTx;
use hikyaku_types::Address;

use crate::addresses;
use crate::change::Settling;
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
    addresses::settle_name(tx, object, &mut settling.forget)
}
