//! What can be asked of the directory by those who administer it, and what it answers.
//!
//! One form for the command line, a running server's socket and the panel: JSON of these.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::field::Edit;
use crate::kind::Kind;
use crate::log::AuditLine;
use crate::object::{Filter, Object, State};
use crate::rights::Verb;

/// An object by its kind and its name or id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// What it is.
    pub kind: Kind,
    /// Its name (an account: any of its addresses), or its id.
    pub name: String,
    /// Name or id of its tenant, for names that several tenants may have.
    #[serde(default)]
    pub tenant: Option<String>,
}

/// A field and what becomes of it.
pub type FieldEdit = (String, Edit);

/// What a credential gets.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NewSecret {
    /// A password, in clear.
    Password(String),
    /// A hash that another system made.
    Hash(String),
}

/// Secrets are not for logs.
impl std::fmt::Debug for NewSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewSecret(…)")
    }
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A new object.
    Create {
        /// Of this kind.
        kind: Kind,
        /// Called so; an account's first address. Roles and credentials are named by their account.
        #[serde(default)]
        name: Option<String>,
        /// With this id, which it had in another installation. The operator only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// In this tenant, where its name does not say it.
        #[serde(default)]
        tenant: Option<String>,
        /// With these fields.
        #[serde(default)]
        fields: Vec<FieldEdit>,
        /// For a credential.
        #[serde(default)]
        secret: Option<NewSecret>,
    },
    /// Other fields, another name or password.
    Change {
        /// Of this object.
        object: Named,
        /// Only if it still has this version.
        #[serde(default)]
        version: Option<i64>,
        /// Another name.
        #[serde(default)]
        rename: Option<String>,
        /// Other fields.
        #[serde(default)]
        fields: Vec<FieldEdit>,
        /// For a credential.
        #[serde(default)]
        secret: Option<NewSecret>,
    },
    /// Suspend, resume, delete, undelete, purge.
    Move {
        /// Which of them.
        verb: Verb,
        /// This object.
        object: Named,
        /// Only if it still has this version.
        #[serde(default)]
        version: Option<i64>,
    },
    /// One object.
    Show {
        /// Which.
        object: Named,
    },
    /// A page of objects.
    List {
        /// Of this kind.
        kind: Kind,
        /// Of this tenant only.
        #[serde(default)]
        tenant: Option<String>,
        /// Those of an account or domain only.
        #[serde(default)]
        of: Option<Named>,
        /// Which of them.
        #[serde(default)]
        filter: Filter,
    },
    /// A page of the audit log, newest first.
    Audit {
        /// Of this tenant only.
        #[serde(default)]
        tenant: Option<String>,
        /// Of this object only.
        #[serde(default)]
        object: Option<Named>,
        /// Only what was before this line.
        #[serde(default)]
        before: Option<String>,
        /// How many at most; 100 without it, 500 at most.
        #[serde(default)]
        limit: Option<u16>,
    },
}

/// What is asked, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// What.
    pub action: Action,
    /// Why, for the audit log.
    #[serde(default)]
    pub reason: Option<String>,
    /// Only say what would become of it.
    #[serde(default)]
    pub dry_run: bool,
}

/// An object as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// What it is.
    pub kind: Kind,
    /// Its id.
    pub id: String,
    /// Its tenant's id.
    pub tenant: String,
    /// What it is called by.
    pub name: String,
    /// What it is fit for.
    pub state: State,
    /// Raised by each change.
    pub version: i64,
    /// When it was made, in RFC 3339.
    pub created: String,
    /// When it was changed last.
    pub changed: String,
    /// A deleted one is removed after this.
    pub until: Option<String>,
    /// Its fields.
    pub fields: Value,
}

impl From<&Object> for View {
    fn from(object: &Object) -> Self {
        Self {
            kind: object.kind,
            id: object.kind.id_text(object.id),
            tenant: object.tenant.to_string(),
            name: object.name.clone(),
            state: object.state,
            version: object.version,
            created: object.created_at.to_string(),
            changed: object.changed_at.to_string(),
            until: object.until.map(|until| until.to_string()),
            fields: object.data.clone(),
        }
    }
}

/// What the directory answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "there is one at a time, and it is sent on at once")]
pub enum Answer {
    /// It was done, or with `dry_run` it could be.
    Done {
        /// What it was.
        before: Option<View>,
        /// What it is.
        after: Option<View>,
        /// A secret that is shown this once.
        secret: Option<String>,
        /// Nothing was changed.
        dry_run: bool,
    },
    /// One object.
    Object(View),
    /// A page of objects.
    Objects {
        /// The objects.
        objects: Vec<View>,
        /// [`Filter::after`] of the next page; nothing if this was the last.
        next: Option<(String, i64)>,
    },
    /// A page of the audit log.
    Audit {
        /// The lines.
        lines: Vec<AuditLine>,
        /// `before` of the next page; nothing if this was the last.
        next: Option<String>,
    },
}
