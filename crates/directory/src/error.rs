//! Everything that the directory says to those who change it: each text once, here.

use hikyaku_store::StoreError;

use crate::kind::Kind;
use crate::object::{Object, State};
use crate::rights::{Standing, Verb};

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// Nothing of that name or id, or somebody else's.
    #[error("there is no {kind} `{name}`: `hikyaku admin {kind} list` shows those that there are")]
    NotFound {
        /// What was looked for.
        kind: Kind,
        /// As it was asked for.
        name: String,
    },
    /// Several tenants have one of that name.
    #[error("several tenants have a {kind} `{name}`: say which with --tenant")]
    Ambiguous {
        /// What was looked for.
        kind: Kind,
        /// As it was asked for.
        name: String,
    },
    /// It can be seen, and may not be done.
    #[error("this needs {}", who(*needs))]
    Forbidden {
        /// Who may.
        needs: Standing,
    },
    /// The name has another object.
    #[error("there is a {kind} `{name}` already: choose another name")]
    Taken {
        /// Of which kind.
        kind: Kind,
        /// The name.
        name: String,
    },
    /// The name has a deleted object.
    #[error("the {kind} `{name}` was deleted: undelete it, or purge it to use its name anew")]
    TakenByDeleted {
        /// Of which kind.
        kind: Kind,
        /// The name.
        name: String,
    },
    /// Another tenant has the domain; whose it is is not said.
    #[error("`{0}` cannot be used here: if it is yours, ask the provider to release it")]
    DomainUnavailable(String),
    /// An address is in use.
    #[error("`{address}` is {of} already: remove it there first, or choose another")]
    AddressTaken {
        /// The address.
        address: String,
        /// What has it: `an address of the account …`.
        of: String,
    },
    /// An address is in no domain of the tenant.
    #[error(
        "`{domain}` is no domain of this tenant: create it first with `hikyaku admin domain create {domain}`"
    )]
    NoDomain {
        /// The domain.
        domain: String,
    },
    /// Somebody else changed it meanwhile.
    #[error(
        "it has version {} by now, and not {expected}: look at both and decide anew\n  yours: {yours}\n  now:   {}",
        now.version, now.data
    )]
    Outdated {
        /// The version that the change was made for.
        expected: i64,
        /// What was to be changed.
        yours: String,
        /// What is there now.
        now: Box<Object>,
    },
    /// A value that cannot be.
    #[error("{field}: {problem}")]
    Invalid {
        /// Which field.
        field: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// The plan does not allow more.
    #[error("the plan allows {most} {what}: delete some, or move the tenant to a larger plan")]
    Limit {
        /// Of what.
        what: &'static str,
        /// How many.
        most: u64,
    },
    /// Others depend on it.
    #[error("{kind} `{name}` is in use by {by}: change or delete that first")]
    InUse {
        /// Of which kind.
        kind: Kind,
        /// Its name.
        name: String,
        /// Who uses it.
        by: String,
    },
    /// Its state does not allow it.
    #[error("it is {}, so it cannot be {}", state.word(), done(*verb))]
    WrongState {
        /// What it is.
        state: State,
        /// What was wanted.
        verb: Verb,
    },
    /// The request itself does not make sense.
    #[error("{0}")]
    Request(&'static str),
    /// The store; temporary.
    #[error("this cannot be done now, try again: {0}")]
    Store(#[from] StoreError),
}

impl DirectoryError {
    /// A word for programs, which stays the same when texts change.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not_found",
            Self::Ambiguous { .. } => "ambiguous",
            Self::Forbidden { .. } => "forbidden",
            Self::Taken { .. } => "taken",
            Self::TakenByDeleted { .. } => "taken_by_deleted",
            Self::DomainUnavailable(_) => "domain_unavailable",
            Self::AddressTaken { .. } => "address_taken",
            Self::NoDomain { .. } => "no_domain",
            Self::Outdated { .. } => "outdated",
            Self::Invalid { .. } => "invalid",
            Self::Limit { .. } => "limit",
            Self::InUse { .. } => "in_use",
            Self::WrongState { .. } => "wrong_state",
            Self::Request(_) => "request",
            Self::Store(_) => "unavailable",
        }
    }

    /// Is it only a matter of time?
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Store(_))
    }
}

/// For the command line and programs: texts of requests that do not make sense.
pub(crate) mod request {
    pub(crate) const NAME: &str = "a name is needed";
    pub(crate) const TENANT: &str = "say for which tenant with --tenant";
    pub(crate) const ACCOUNT: &str = "say of which account, by any of its addresses";
    pub(crate) const SECRET_ONCE: &str = "an app password is made by us: create another one";
    pub(crate) const SECRET: &str = "only credentials have a password";
    pub(crate) const PLATFORM: &str = "the platform's own tenant cannot be changed";
    pub(crate) const MANY: &str = "only changes are made many at once, up to 500 and not as a dry run";
    pub(crate) const NOT_RENAMED: &str = "it cannot be renamed: create another one";
}

fn who(standing: Standing) -> &'static str {
    match standing {
        Standing::Stranger | Standing::Owner => "the account's owner",
        Standing::Domain => "an administrator of the domain",
        Standing::Tenant => "an administrator of the tenant",
        Standing::Operator => "the operator",
    }
}

fn done(verb: Verb) -> &'static str {
    match verb {
        Verb::Create => "created",
        Verb::Show => "shown",
        Verb::List => "listed",
        Verb::Change => "changed",
        Verb::Suspend => "suspended",
        Verb::Resume => "resumed",
        Verb::Delete => "deleted",
        Verb::Undelete => "undeleted",
        Verb::Purge => "purged",
    }
}
