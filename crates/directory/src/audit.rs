//! Lines of the audit log about what is done beside the objects: sessions ended, blocks lifted.
//!
//! What is ended lies in another database, so no transaction holds both: the line is written
//! first, and whoever cannot write it does not go on. So the log may name what then failed, and
//! never lacks what was done.

use hikyaku_store::{Scope, StoreError};
use hikyaku_types::{AccountId, AuditId, TenantId};

use crate::kind::Kind;
use crate::{DIRECTORY, Directory, log, object};

/// Something that is done to a tenant or to one of its accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// Whose it is.
    pub tenant: TenantId,
    /// An account; `None` for the whole tenant.
    pub account: Option<AccountId>,
    /// A word like `end-sessions`.
    pub action: &'static str,
    /// To what exactly, for people: `session s-0d1x2c3v4b5n6`.
    pub what: String,
    /// Why, if that was said.
    pub reason: Option<String>,
}

impl Directory {
    /// Writes it into the audit log; `who` is as in [`Directory::execute_as`]. Who may do it was
    /// asked before.
    ///
    /// # Errors
    /// [`StoreError`]: then it must not be done.
    pub async fn note_act(&self, who: &str, act: &Act) -> Result<(), StoreError> {
        let id = AuditId::from_i64(self.ids.next(self.clock.now())).ok_or(StoreError::Closed)?;
        let scope = Scope::tenant(&DIRECTORY, act.tenant).map_err(|_| StoreError::Closed)?;
        let (who, act) = (who.to_owned(), act.clone());
        let write = self.store.write(scope, "directory.act", move |tx| {
            let (kind, number) = match act.account {
                Some(account) => (Kind::Account, account.as_i64()),
                None => (Kind::Tenant, act.tenant.as_i64()),
            };
            // What is gone keeps its id.
            let found = object::by_id(tx, kind, number)?;
            let name = found.map_or_else(|| kind.id_text(number), |object| object.name);
            log::write_act(tx, id, &who, (kind, number, &name), &act)
        });
        write.await
    }
}
