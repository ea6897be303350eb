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
    #[error("the {kind} `{name}` is there already: choose another name")]
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
    #[error("it is {}, so it cannot be {}{}", state.word(), done(*verb), remedy(*state, *verb))]
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
    macro_rules! texts {
        ($($name:ident = $text:literal;)*) => {
            $(pub(crate) const $name: &str = $text;)*
            #[cfg(test)]
            pub(crate) const ALL: &[&str] = &[$($name),*];
        };
    }

    texts! {
        NAME = "a name is needed";
        TENANT = "say for which tenant with --tenant";
        ACCOUNT = "say of which account, by any of its addresses";
        PASSWORD = "a password is needed, or the hash of one";
        SECRET_ONCE = "an app password is made by us: create another one";
        SECRET = "only credentials have a password";
        PLATFORM = "the platform's own tenant cannot be changed";
        MANY = "only changes are made many at once, up to 500 and not as a dry run";
        NOT_RENAMED = "it cannot be renamed: create another one";
    }
}

fn who(standing: Standing) -> &'static str {
    match standing {
        Standing::Stranger | Standing::Owner => "the account's owner",
        Standing::Domain => "an administrator of the domain",
        Standing::Tenant => "an administrator of the tenant",
        Standing::Operator => "the operator",
    }
}

fn remedy(state: State, verb: Verb) -> &'static str {
    match (state, verb) {
        (State::Deleted, Verb::Delete) => ": it can be undeleted, or purged at once",
        (State::Deleted, _) => ": undelete it first",
        (_, Verb::Purge) => ": delete it first",
        _ => ": nothing needs to be done",
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

#[cfg(test)]
mod tests {
    use hikyaku_types::{TenantId, Timestamp};
    use serde_json::json;

    use super::*;

    /// One of each variant, one after the other. A new variant does not compile until it
    /// has its place here.
    fn after(previous: Option<&DirectoryError>) -> Option<DirectoryError> {
        use DirectoryError as E;
        let (kind, name, address) =
            (Kind::Account, "ann@example.org".to_owned(), "info@example.org".to_owned());
        let Some(previous) = previous else { return Some(E::NotFound { kind, name }) };
        Some(match previous {
            E::NotFound { .. } => E::Ambiguous { kind: Kind::Group, name: "sales".into() },
            E::Ambiguous { .. } => E::Forbidden { needs: Standing::Owner },
            E::Forbidden { needs } => match needs {
                Standing::Owner => E::Forbidden { needs: Standing::Domain },
                Standing::Domain => E::Forbidden { needs: Standing::Tenant },
                Standing::Tenant => E::Forbidden { needs: Standing::Operator },
                Standing::Operator | Standing::Stranger => E::Taken { kind, name },
            },
            E::Taken { .. } => E::TakenByDeleted { kind, name },
            E::TakenByDeleted { .. } => E::DomainUnavailable("example.org".into()),
            E::DomainUnavailable(_) => E::AddressTaken { address, of: format!("the account {name}") },
            E::AddressTaken { .. } => E::NoDomain { domain: "example.org".into() },
            E::NoDomain { .. } => {
                E::Outdated { expected: 3, yours: "quota=5GB".into(), now: Box::new(account()) }
            }
            E::Outdated { .. } => {
                E::Invalid { field: "plan".into(), problem: "what is wrong with it".into() }
            }
            E::Invalid { .. } => E::Limit { what: "accounts", most: 10 },
            E::Limit { .. } => {
                E::InUse { kind: Kind::Domain, name: "example.org".into(), by: format!("the account {name}") }
            }
            E::InUse { .. } => E::WrongState { state: State::Active, verb: Verb::Resume },
            E::WrongState { state, verb } => match next_move(*state, *verb) {
                Some((state, verb)) => E::WrongState { state, verb },
                None => E::Request(request::ALL[0]),
            },
            E::Request(text) => match request::ALL.iter().skip_while(|one| *one != text).nth(1) {
                Some(next) => E::Request(next),
                None => E::Store(StoreError::Busy),
            },
            E::Store(_) => return None,
        })
    }

    fn next_move(state: State, verb: Verb) -> Option<(State, Verb)> {
        // `moved` and `changed` refuse these alone.
        let refuses = |(state, verb): &(State, Verb)| match verb {
            Verb::Create | Verb::Show | Verb::List => false,
            Verb::Change => *state == State::Deleted,
            Verb::Suspend => *state != State::Active,
            Verb::Resume => *state != State::Suspended,
            Verb::Delete => *state == State::Deleted,
            Verb::Undelete | Verb::Purge => *state != State::Deleted,
        };
        let all = State::ALL.into_iter().flat_map(|state| Verb::ALL.map(|verb| (state, verb)));
        let all = all.filter(refuses);
        all.skip_while(|one| *one != (state, verb)).nth(1)
    }

    fn account() -> Object {
        let at = Timestamp::from_secs(1_795_521_600);
        Object {
            kind: Kind::Account,
            id: 77,
            tenant: TenantId::PLATFORM,
            parent: None,
            name: "ann@example.org".into(),
            state: State::Active,
            version: 4,
            created_at: at,
            changed_at: at,
            until: None,
            data: json!({ "quota": 9_000_000_000u64 }),
        }
    }

    /// What the kinds' own rules find wrong, as it stands in their sources.
    fn problems() -> Vec<String> {
        let sources = [
            include_str!("addresses.rs"),
            include_str!("admin.rs"),
            include_str!("kind/account.rs"),
            include_str!("kind/alias.rs"),
            include_str!("kind/credential.rs"),
            include_str!("kind/domain.rs"),
            include_str!("kind/group.rs"),
            include_str!("kind/list.rs"),
            include_str!("kind/plan.rs"),
            include_str!("kind/role.rs"),
            include_str!("kind/tenant.rs"),
        ];
        let mut all = Vec::new();
        for source in sources {
            let product = source.split("#[cfg(test)]").next().unwrap_or_default();
            for call in product.split("invalid(").skip(1) {
                let texts: Vec<&str> = call.split('"').skip(1).step_by(2).take(2).collect();
                if let [field, problem] = texts.as_slice()
                    && problem.contains(' ')
                {
                    all.push(format!("{field}: {problem}"));
                }
            }
        }
        all
    }

    #[test]
    fn every_reply_text_stands_in_one_file() {
        let mut lines = vec!["# Code and text of every refusal. HIKYAKU_BLESS=1 writes it anew.".to_owned()];
        let mut last = None;
        while let Some(error) = after(last.as_ref()) {
            lines.push(format!("{}: {error}", error.code()));
            last = Some(error);
        }
        lines.push("\n# What `invalid` says of fields; what is in braces is filled in.".to_owned());
        lines.extend(problems());
        let made = lines.join("\n") + "\n";
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/replies.txt");
        if std::env::var_os("HIKYAKU_BLESS").is_some() {
            std::fs::write(file, &made).unwrap();
        }
        let kept = std::fs::read_to_string(file).unwrap_or_default();
        assert!(
            kept == made,
            "tests/replies.txt is not what is said: HIKYAKU_BLESS=1 writes it anew\n{made}"
        );
    }
}
