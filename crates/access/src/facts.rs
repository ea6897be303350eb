//! The facts of one attempt to sign in: what the decision may look at.

use std::net::IpAddr;

use hikyaku_types::{AccountId, DomainId, TenantId, Timestamp};

use crate::place::Place;
use crate::rule::Allow;

/// What is signed in to. Rules are made for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// IMAP.
    Imap,
    /// POP3.
    Pop3,
    /// SMTP submission.
    Submission,
    /// ManageSieve.
    ManageSieve,
    /// Webmail and JMAP.
    Webmail,
    /// The control panel and its API.
    Panel,
}

/// Failures at the panel count apart from those at mail: nobody who is blocked from mail is
/// kept from the place where it can be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// All services but the panel.
    Mail,
    /// Panel and API.
    Panel,
}

/// A group of accounts of one tenant, as the directory numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub i64);

/// A short keyed hash of a password that was offered: tells equal ones from different ones.
///
/// The key is the platform's and not in the database, and changes now and then. Only tags of
/// wrong passwords are ever stored: whoever had both could try out what was mistyped, and
/// would know nothing of what is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub u32);

/// Whom the typed name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'a> {
    /// An account.
    Account(AccountFacts<'a>),
    /// Nobody. It is decided and counted like an account, so that it looks like one.
    Missing {
        /// Whose domain it is in, if anybody's.
        tenant: Option<TenantId>,
        /// A keyed hash of the name.
        name: u64,
    },
}

/// What the directory knows of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountFacts<'a> {
    /// Its tenant.
    pub tenant: TenantId,
    /// Itself.
    pub account: AccountId,
    /// The domain of its own address, whichever of its names was typed: an alias elsewhere
    /// is no way around a rule.
    pub domain: DomainId,
    /// Its groups.
    pub groups: &'a [GroupId],
    /// It may not sign in at all.
    pub suspended: bool,
}

/// Who is counted: an account, or a name that has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SubjectKey {
    /// An account.
    Account(AccountId),
    /// The keyed hash of a name without one.
    Missing(u64),
}

/// What is offered as proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential<'a> {
    /// A password that a person chose.
    Password(Tag),
    /// A password with a second factor that has been checked already, where the protocol
    /// lets one ask for it first.
    SecondFactor,
    /// An app password, API key or token, told by its form: made by us and too long to guess.
    LongSecret {
        /// Where it may be used; empty means anywhere.
        allow: &'a [Allow],
    },
}

/// One attempt to sign in.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// When it came.
    pub now: Timestamp,
    /// To what.
    pub service: Service,
    /// From where: the client's address, also behind a proxy of ours.
    pub ip: IpAddr,
    /// Where that is.
    pub place: Place,
    /// As whom.
    pub subject: Subject<'a>,
    /// With what.
    pub credential: Credential<'a>,
}

impl Service {
    /// Every service.
    pub const ALL: [Self; 6] =
        [Self::Imap, Self::Pop3, Self::Submission, Self::ManageSieve, Self::Webmail, Self::Panel];

    /// What its failures count for.
    pub const fn class(self) -> Class {
        match self {
            Self::Panel => Class::Panel,
            _ => Class::Mail,
        }
    }

    /// As it is stored and typed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::Submission => "submission",
            Self::ManageSieve => "managesieve",
            Self::Webmail => "webmail",
            Self::Panel => "panel",
        }
    }
}

impl Subject<'_> {
    /// Its tenant, if it is in a domain of ours.
    pub fn tenant(&self) -> Option<TenantId> {
        match self {
            Self::Account(account) => Some(account.tenant),
            Self::Missing { tenant, .. } => *tenant,
        }
    }

    /// What it is counted as.
    pub fn key(&self) -> SubjectKey {
        match self {
            Self::Account(account) => SubjectKey::Account(account.account),
            Self::Missing { name, .. } => SubjectKey::Missing(*name),
        }
    }
}
