//! Credentials as objects: what an account signs in with. Their secrets are kept apart.

use hikyaku_store::TenantTx;
use hikyaku_types::{AccountId, Network};

use crate::change::{Settling, invalid, living_account};
use crate::credential::Entrance;
use crate::error::{DirectoryError, request};
use crate::field::{Text, choice, record};
use crate::object::{self, Object};

choice! {
    /// What somebody shows to sign in.
    pub enum CredentialKind {
        /// The account's password: one, for every service.
        Password = "password",
        /// One of many, made by us, for one device.
        AppPassword = "app_password",
    }
}

record! {
    /// One credential.
    pub struct Credential {
        /// Whose it is.
        account: Option<Text<AccountId>> = None,
        /// What it is.
        kind: CredentialKind = CredentialKind::Password,
        /// For an app password, the device or program that has it.
        title: String = String::new(),
        /// For an app password, the services that it opens; none named are all.
        services: Vec<Text<Entrance>> = Vec::new(),
        /// For an app password, where it may be used from; none named are all.
        sources: Vec<Text<Network>> = Vec::new(),
        /// When it ends to be valid, like 2027-03-31.
        expires: Option<Text<Day>> = None,
    }
}

pub use crate::kind::credential::day::Day;

mod day {
    use std::fmt;
    use std::str::FromStr;

    use hikyaku_types::Timestamp;

    /// A day, which ends at midnight UTC.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub struct Day(jiff::civil::Date);

    impl Day {
        /// The first moment after it.
        pub fn end(self) -> Timestamp {
            let next = self.0.tomorrow().unwrap_or(self.0);
            let start = next.to_zoned(jiff::tz::TimeZone::UTC).map(|zoned| zoned.timestamp().as_second());
            Timestamp::from_secs(start.unwrap_or(i64::MAX / 1_000))
        }
    }

    impl fmt::Display for Day {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            fmt::Display::fmt(&self.0, f)
        }
    }

    impl FromStr for Day {
        type Err = String;
        fn from_str(text: &str) -> Result<Self, String> {
            text.parse().map(Self).map_err(|_| crate::field::wrong(text, "a day like 2027-03-31"))
        }
    }
}

/// Most app passwords of one account.
const MOST: u16 = 100;

pub(crate) fn settle(
    tx: &mut TenantTx<'_>,
    object: &mut Object,
    settling: &Settling<'_>,
) -> Result<(), DirectoryError> {
    let fields: Credential = object::record(&object.data)?;
    let Some(Text(account)) = fields.account else { return Err(DirectoryError::Request(request::ACCOUNT)) };
    living_account(tx, account)?;
    object.name = match fields.kind {
        CredentialKind::Password => {
            if !fields.services.is_empty() || !fields.sources.is_empty() {
                return Err(invalid("services", "a password opens every service: make an app password"));
            }
            format!("{account}:password")
        }
        CredentialKind::AppPassword if fields.title.is_empty() => {
            return Err(invalid("title", "say which device or program it is for"));
        }
        CredentialKind::AppPassword => format!("{account}:{}", fields.title),
    };
    object.parent = Some(account.as_i64());
    if settling.before.is_none() {
        let have = object::children(tx, object.kind, account.as_i64(), MOST + 1)?.len();
        if have > usize::from(MOST) {
            return Err(DirectoryError::Limit {
                what: "app passwords of one account",
                most: u64::from(MOST),
            });
        }
    } else if settling.before.is_some_and(|before| before.parent != object.parent) {
        return Err(DirectoryError::Request(request::NOT_RENAMED));
    }
    Ok(())
}
