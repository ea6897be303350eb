//! Ids: one type for each kind of thing, so that they never mix.
//!
//! An id is a positive 63-bit number: it fits the signed integer columns of both SQL
//! engines. There are two families:
//! - *random* ids (tenant, account, domain, credential, …) tell nothing and are never reused;
//! - *rising* ids (email, content, thread, trace) come from [`crate::RisingIds`], so that
//!   new rows are appended to their table.
//!
//! In text an id is its kind's letter, a hyphen and 13 digits of Crockford's base 32
//! (`a-0c9m4x7k2p8qv`): no look-alike letters, safe in URLs, JMAP ids and object names, and
//! sorted as the numbers are. Parsing takes exactly what printing gives, so that one thing
//! has one name.

use crate::Random;

/// Digits of Crockford's base 32: no `i`, `l`, `o`, `u`.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 13 digits of 5 bits hold 65 bits.
const WIDTH: usize = 13;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {kind}: expected `{prefix}-` and 13 characters of 0-9 and a-z without i, l, o, u")]
pub struct IdError {
    text: String,
    kind: &'static str,
    prefix: char,
}

fn print(number: i64) -> [u8; WIDTH] {
    let mut text = [0u8; WIDTH];
    for (place, digit) in text.iter_mut().rev().enumerate() {
        *digit = DIGITS[((number >> (5 * place)) & 31) as usize];
    }
    text
}

fn parse(text: &str, prefix: char) -> Option<i64> {
    let digits = text.strip_prefix(prefix)?.strip_prefix('-')?;
    if digits.len() != WIDTH {
        return None;
    }
    let mut number: u128 = 0;
    for byte in digits.bytes() {
        let value = DIGITS.iter().position(|&digit| digit == byte)?;
        number = number << 5 | value as u128;
    }
    i64::try_from(number).ok().filter(|number| *number > 0)
}

impl TenantId {
    /// The platform itself, as the owner of what belongs to no customer: plans.
    pub const PLATFORM: Self = Self(i64::MAX);
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident $prefix:literal $kind:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(i64);

        impl $name {
            /// The id with this number, or `None` unless it is positive.
            pub const fn from_i64(number: i64) -> Option<Self> {
                if number > 0 { Some(Self(number)) } else { None }
            }

            /// The number, as it stands in a column.
            pub const fn as_i64(self) -> i64 {
                self.0
            }

            /// A new random id. Chance alone makes it unique: two of a million differ with
            /// probability 1 - 1e-7, and the table's primary key refuses the rest.
            pub fn random(random: &dyn Random) -> Self {
                loop {
                    let mut bytes = [0u8; 8];
                    random.fill(&mut bytes);
                    if let Some(id) = Self::from_i64(i64::from_le_bytes(bytes) & i64::MAX) {
                        return id;
                    }
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let digits = print(self.0);
                write!(f, "{}-{}", $prefix, std::str::from_utf8(&digits).expect("digits are ASCII"))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                parse(text, $prefix).map(Self).ok_or_else(|| IdError {
                    text: text.chars().take(40).collect(),
                    kind: $kind,
                    prefix: $prefix,
                })
            }
        }
    )*};
}

ids! {
    /// One customer of the provider.
    TenantId 't' "a tenant id";
    /// An account: mailboxes, credentials, quota. Random, never reused, and it survives
    /// deletion, undeletion and a change of tenant.
    AccountId 'a' "an account id";
    /// A domain of a tenant.
    DomainId 'd' "a domain id";
    /// A credential of an account.
    CredentialId 'c' "a credential id";
    /// A plan of the provider.
    PlanId 'p' "a plan id";
    /// An alias.
    AliasId 'n' "an alias id";
    /// A list.
    ListId 'l' "a list id";
    /// A group of accounts.
    GroupId 'g' "a group id";
    /// What an account may administer.
    RoleId 'o' "a role id";
    /// A source rule.
    RuleId 'w' "a rule id";
    /// An exception from source rules.
    ExceptionId 'x' "an exception id";
    /// A line of the audit log; rising.
    AuditId 'u' "an audit id";
    /// One message as one account has it (IMAP `EMAILID`, JMAP `Email/id`); rising.
    EmailId 'm' "an email id";
    /// Stored content, shared by the emails that are made of it; rising.
    ContentId 'b' "a content id";
    /// A thread of an account; the id of its first email, so rising.
    ThreadId 'h' "a thread id";
    /// A line in the answer to "where is my mail?"; the id that stands in our 250; rising.
    TraceId 'r' "a trace id";
    /// A signed-in connection; rising.
    SessionId 's' "a session id";
}

/// One mail database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

impl std::fmt::Display for ShardId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "shard-{}", self.0)
    }
}

/// One running process of the platform; 10 bits, part of every rising id it makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u16);

impl NodeId {
    /// How many nodes there can be at one time.
    pub const COUNT: u16 = 1024;

    /// The one that is alone.
    pub const FIRST: Self = Self(0);

    /// The node with this number, or `None` from [`NodeId::COUNT`] on.
    pub const fn new(number: u16) -> Option<Self> {
        if number < Self::COUNT { Some(Self(number)) } else { None }
    }

    /// The number, below [`NodeId::COUNT`].
    pub const fn number(self) -> u16 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_printed_is_parsed(number in 1..=i64::MAX) {
            let id = AccountId::from_i64(number).unwrap();
            prop_assert_eq!(id.to_string().parse::<AccountId>().unwrap(), id);
        }

        #[test]
        fn text_sorts_as_numbers_do(a in 1..=i64::MAX, b in 1..=i64::MAX) {
            let (a, b) = (EmailId::from_i64(a).unwrap(), EmailId::from_i64(b).unwrap());
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }

        #[test]
        fn any_text_is_an_error_or_its_own_print(text in "a-[0-9a-zA-Z]{11,14}") {
            if let Ok(id) = text.parse::<AccountId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }

    #[test]
    fn kinds_do_not_mix() {
        let account = AccountId::from_i64(77).unwrap();
        assert_eq!(account.to_string(), "a-000000000002d");
        assert!(account.to_string().parse::<TenantId>().is_err());
        assert!("a-0000000000000".parse::<AccountId>().is_err(), "zero is no id");
        assert!("a-zzzzzzzzzzzzz".parse::<AccountId>().is_err(), "more than 63 bits");
        let message = "a-1".parse::<AccountId>().unwrap_err().to_string();
        assert!(message.contains("`a-1` is not an account id"), "{message}");
    }
}
