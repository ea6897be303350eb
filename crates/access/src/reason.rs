//! Why a sign-in ended as it did: every reason, its code and its text, in this one file.
//!
//! Administrators read these in history and block lists. Who signs in never does: to them
//! every failure has the same text, or a guesser would learn which accounts exist.

/// Why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The account is suspended.
    Suspended,
    /// A rule of the tenant leaves this source out.
    TenantRule,
    /// A rule of the account's domain does.
    DomainRule,
    /// A rule of one of its groups does.
    GroupRule,
    /// A rule of the account does.
    AccountRule,
    /// The app password or key has a list of its own, without this source.
    CredentialRule,
    /// The account is blocked from this source.
    AccountBlocked,
    /// The tenant is blocked from this source.
    TenantBlocked,
    /// The account is under attack, and the source is not known to it.
    AccountAttacked,
    /// Many accounts of the tenant are under attack, and the source has failed before.
    TenantAttacked,
    /// The whole platform is under attack, and the source has failed before.
    PlatformAttacked,
    /// The source guesses at many accounts.
    LoudSource,
    /// Too many wrong passwords from one source.
    ManyFailures,
    /// The password was wrong.
    WrongPassword,
    /// There is no such account.
    NoAccount,
    /// The password was right, and a second factor is missing.
    SecondFactorMissing,
}

impl Reason {
    /// Every reason, for lists and documentation.
    pub const ALL: [Self; 16] = [
        Self::Suspended,
        Self::TenantRule,
        Self::DomainRule,
        Self::GroupRule,
        Self::AccountRule,
        Self::CredentialRule,
        Self::AccountBlocked,
        Self::TenantBlocked,
        Self::AccountAttacked,
        Self::TenantAttacked,
        Self::PlatformAttacked,
        Self::LoudSource,
        Self::ManyFailures,
        Self::WrongPassword,
        Self::NoAccount,
        Self::SecondFactorMissing,
    ];

    /// As it is stored, and printed for programs. Never changes.
    pub const fn code(self) -> &'static str {
        self.words().0
    }

    /// As an administrator reads it.
    pub const fn text(self) -> &'static str {
        self.words().1
    }

    /// The reason with this code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Suspended => ("suspended", "the account is suspended"),
            Self::TenantRule => ("rule-tenant", "a rule of the customer does not allow this source"),
            Self::DomainRule => ("rule-domain", "a rule of the domain does not allow this source"),
            Self::GroupRule => ("rule-group", "a rule of a group does not allow this source"),
            Self::AccountRule => ("rule-account", "a rule of the account does not allow this source"),
            Self::CredentialRule => {
                ("rule-credential", "the app password or key may not be used from this source")
            }
            Self::AccountBlocked => {
                ("blocked-account", "the account is blocked from this source for a while")
            }
            Self::TenantBlocked => ("blocked-tenant", "the customer is blocked from this source for a while"),
            Self::AccountAttacked => (
                "attacked-account",
                "somebody guesses at the account: from a new source only an app password, a second factor or a link opened from a known source",
            ),
            Self::TenantAttacked => (
                "attacked-tenant",
                "somebody guesses at many accounts of the customer, and this source has failed before",
            ),
            Self::PlatformAttacked => (
                "attacked-platform",
                "somebody guesses at accounts of many customers, and this source has failed before",
            ),
            Self::LoudSource => ("loud-source", "this source guesses at many accounts"),
            Self::ManyFailures => ("many-failures", "too many different wrong passwords"),
            Self::WrongPassword => ("wrong-password", "wrong password"),
            Self::NoAccount => ("no-account", "no such account"),
            Self::SecondFactorMissing => {
                ("second-factor", "the password was right, the second factor is missing")
            }
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_different_and_lead_back() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_code(reason.code()), Some(reason));
            assert!(!reason.text().is_empty());
        }
        assert_eq!(Reason::from_code("unknown"), None);
    }

    #[test]
    fn the_documentation_has_every_code() {
        let document = include_str!("../../../docs/access.md");
        for reason in Reason::ALL {
            assert!(document.contains(&format!("`{}`", reason.code())), "{}", reason.code());
        }
    }
}
