//! The kinds of objects that the directory has, a file for each.
//!
//! All are kept alike ([`crate::object`]): a row with name, state and version, whose other
//! fields are a [`Record`](crate::field::Record) in JSON. What is particular to a kind, its
//! checks and what else must be written with it, is in its file.

pub mod account;
pub mod alias;
pub mod block_policy;
pub mod credential;
pub mod domain;
pub mod exception;
pub mod forged_mail;
pub mod group;
pub mod guessing;
pub mod list;
pub mod plan;
pub mod role;
pub mod rule;
pub mod tenant;

use hikyaku_types::{
    AccountId, AliasId, CredentialId, DomainId, ExceptionId, GroupId, ListId, PlanId, Random, RoleId, RuleId,
    TenantId,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::field::{Field, Record};

/// What kind of thing an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// What a tenant may have.
    Plan,
    /// A customer.
    Tenant,
    /// A domain of a tenant.
    Domain,
    /// Mailboxes, credentials, quota.
    Account,
    /// An address that points to others.
    Alias,
    /// An address whose mail goes to its members.
    List,
    /// Named accounts of a tenant.
    Group,
    /// What an account may administer.
    Role,
    /// What an account signs in with.
    Credential,
    /// From where one may sign in.
    Rule,
    /// Who may sign in from anywhere for a while.
    Exception,
}

macro_rules! by_kind {
    ($($kind:ident $word:literal $id:ty, $record:ty;)*) => {
        impl Kind {
            /// Every kind.
            pub const ALL: [Self; 11] = [$(Self::$kind),*];

            /// `plan`, `tenant`, …
            pub const fn word(self) -> &'static str {
                match self { $(Self::$kind => $word,)* }
            }

            /// The kind of this name.
            pub fn of_word(word: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|kind| kind.word() == word)
            }

            /// Its fields.
            pub const fn fields(self) -> &'static [Field] {
                match self { $(Self::$kind => <$record as Record>::FIELDS,)* }
            }

            /// An object's fields as people read them. What a newer program has written and
            /// this one cannot read is shown as it is kept.
            pub fn shown(self, fields: &Value) -> Vec<(&'static str, String)> {
                match self { $(Self::$kind => shown::<$record>(fields),)* }
            }

            /// A new id's number.
            pub fn new_id(self, random: &dyn Random) -> i64 {
                match self { $(Self::$kind => <$id>::random(random).as_i64(),)* }
            }

            /// An id's text.
            pub fn id_text(self, id: i64) -> String {
                match self { $(Self::$kind => <$id>::from_i64(id).map_or_else(|| "-".into(), |id| id.to_string()),)* }
            }

            /// The number of an id's text.
            pub fn id_of(self, text: &str) -> Option<i64> {
                match self { $(Self::$kind => text.parse::<$id>().ok().map(<$id>::as_i64),)* }
            }
        }
    };
}

fn shown<R: Record>(fields: &Value) -> Vec<(&'static str, String)> {
    if let Ok(record) = R::deserialize(fields) {
        return record.shown();
    }
    let kept = |field: &Field| fields.get(field.name).map(|value| (field.name, value.to_string()));
    R::FIELDS.iter().filter_map(kept).collect()
}

by_kind! {
    Plan "plan" PlanId, plan::Plan;
    Tenant "tenant" TenantId, tenant::Tenant;
    Domain "domain" DomainId, domain::Domain;
    Account "account" AccountId, account::Account;
    Alias "alias" AliasId, alias::Alias;
    List "list" ListId, list::List;
    Group "group" GroupId, group::Group;
    Role "role" RoleId, role::Role;
    Credential "credential" CredentialId, credential::Credential;
    Rule "rule" RuleId, rule::Rule;
    Exception "exception" ExceptionId, exception::Exception;
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_shown_as_people_read_them() {
        let shown = |kind: Kind, fields| {
            let shown = kind.shown(&fields).into_iter().map(|(name, text)| format!("{name}={text}"));
            shown.collect::<Vec<_>>().join("; ")
        };
        let list = json!({ "title": "All", "members": ["ann@example.org", "bob@example.org"] });
        assert_eq!(shown(Kind::List, list), "title=All; members=ann@example.org, bob@example.org; note=");
        let tenant = json!({ "plan": "basic", "language": "tlh", "shard": 0, "newer": 1 });
        assert_eq!(shown(Kind::Tenant, tenant), "plan=\"basic\"; shard=0; language=\"tlh\"");
        let quota = Kind::Account.shown(&json!({ "quota": 5_000_000_000u64 }));
        assert!(quota.contains(&("quota", "5GB".into())), "{quota:?}");
    }
}
