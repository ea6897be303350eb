//! Who exists: tenants, domains, accounts, and who may sign in.
//!
//! Known weakness: this is a small directory that is given whole at start and never changes.
//! Its questions and answers are those that a directory on the control database will have.

mod credential;

use std::collections::HashMap;
use std::sync::Arc;

use hikyaku_mailstore::Quota;
use hikyaku_store::AccountHome;
use hikyaku_types::{Address, AddressKey, Domain, LocalPart, Random};

pub use credential::*;

/// One account, as those who serve it need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Where its mail is.
    pub home: AccountHome,
    /// The address that it is called by.
    pub address: Address,
    /// How much it may store.
    pub quota: Quota,
    /// How much its tenant may store.
    pub pool: Quota,
}

/// An account and everything that leads to it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The account.
    pub account: Account,
    /// Further addresses of it.
    pub aliases: Vec<Address>,
    /// Its password.
    pub password: PasswordHash,
}

/// A domain of ours.
#[derive(Debug, Clone)]
pub struct DomainEntry {
    /// Its name.
    pub name: Domain,
    /// Between the name and the tag in `ann+shop@…`.
    pub tag_separator: Option<char>,
}

/// What an address is to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// An account's.
    Account(Arc<Account>),
    /// In a domain of ours, and nobody's.
    NoMailbox,
    /// In somebody else's domain.
    Foreign,
}

/// Why somebody may not sign in. All look the same from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// No such account, or not its password.
    #[error("name or password wrong")]
    Refused,
    /// It cannot be checked now.
    #[error("sign-in cannot be checked now")]
    Unavailable,
}

/// Who exists.
#[derive(Debug)]
pub struct Directory {
    domains: HashMap<Domain, Option<char>>,
    accounts: HashMap<AddressKey, (Arc<Account>, PasswordHash)>,
    passwords: Passwords,
    /// Checked when there is no such account, so that it takes as long as a wrong password.
    nobody: PasswordHash,
}

impl Directory {
    /// A directory of these domains and accounts.
    ///
    /// # Errors
    /// [`PasswordError`] if a hash cannot be made at all.
    pub fn new(
        domains: impl IntoIterator<Item = DomainEntry>,
        entries: impl IntoIterator<Item = Entry>,
        passwords: Passwords,
        random: &dyn Random,
    ) -> Result<Self, PasswordError> {
        let domains = domains.into_iter().map(|domain| (domain.name, domain.tag_separator)).collect();
        let mut accounts = HashMap::new();
        for Entry { account, aliases, password } in entries {
            let account = Arc::new(account);
            for address in std::iter::once(&account.address).chain(&aliases) {
                accounts.insert(address.key(), (Arc::clone(&account), password.clone()));
            }
        }
        let mut unguessable = [0u8; 32];
        random.fill(&mut unguessable);
        let nobody = PasswordHash::of(&unguessable, random)?;
        Ok(Self { domains, accounts, passwords, nobody })
    }

    /// What an address is to us: looked up as it is, then without its tag.
    pub fn resolve(&self, address: &Address) -> Resolution {
        let Some(separator) = self.domains.get(&address.domain) else { return Resolution::Foreign };
        if let Some((account, _)) = self.accounts.get(&address.key()) {
            return Resolution::Account(Arc::clone(account));
        }
        let without_tag = separator.and_then(|separator| without_tag(address, separator));
        match without_tag.and_then(|address| self.accounts.get(&address.key())) {
            Some((account, _)) => Resolution::Account(Arc::clone(account)),
            None => Resolution::NoMailbox,
        }
    }

    /// Who reads mail to `<Postmaster>` without a domain (RFC 5321 section 4.5.1): the
    /// postmaster of `domain`.
    pub fn postmaster(&self, domain: &Domain) -> Resolution {
        match LocalPart::parse("postmaster") {
            Ok(local_part) => self.resolve(&Address { local_part, domain: domain.clone() }),
            Err(_) => Resolution::NoMailbox,
        }
    }

    /// Checks a name (any address of an account) and a password. Takes the time of one hash
    /// in any case.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn sign_in(&self, name: &str, password: &[u8]) -> Result<Arc<Account>, SignInError> {
        let found = Address::parse(name.trim()).ok().and_then(|address| self.accounts.get(&address.key()));
        let hash = found.map_or(&self.nobody, |(_, hash)| hash);
        let matches = self.passwords.matches(hash, password).await.ok_or(SignInError::Unavailable)?;
        match found {
            Some((account, _)) if matches => Ok(Arc::clone(account)),
            _ => Err(SignInError::Refused),
        }
    }

    /// May `account` send as `address`?
    pub fn owns(&self, account: &Account, address: &Address) -> bool {
        matches!(self.resolve(address), Resolution::Account(owner) if owner.home == account.home)
    }

    /// Every account once.
    pub fn accounts(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.accounts
            .iter()
            .filter(|(key, (account, _))| account.address.key() == **key)
            .map(|(_, (account, _))| account)
    }
}

fn without_tag(address: &Address, separator: char) -> Option<Address> {
    let (name, _) = address.local_part.as_str().split_once(separator)?;
    let local_part = LocalPart::from_unquoted(name).ok()?;
    Some(Address { local_part, domain: address.domain.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hikyaku_testkit::SeededRandom;
    use hikyaku_types::{AccountId, ShardId, TenantId};

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn directory() -> Directory {
        let random = SeededRandom::new(1);
        let account = Account {
            home: AccountHome {
                tenant: TenantId::from_i64(1).unwrap(),
                account: AccountId::from_i64(2).unwrap(),
                shard: ShardId(0),
            },
            address: address("ann@example.org"),
            quota: Quota(None),
            pool: Quota(None),
        };
        let entry = Entry {
            account,
            aliases: vec![address("postmaster@example.org")],
            password: PasswordHash::of(b"secret", &random).unwrap(),
        };
        let domain = DomainEntry { name: Domain::parse("example.org").unwrap(), tag_separator: Some('+') };
        Directory::new([domain], [entry], Passwords::new(1), &random).unwrap()
    }

    #[test]
    fn addresses_lead_to_accounts() {
        let directory = directory();
        for (text, expected) in [
            ("ann@example.org", "account"),
            ("Ann@EXAMPLE.org", "account"),
            ("ann+shop@example.org", "account"),
            ("postmaster@example.org", "account"),
            ("bob@example.org", "none"),
            ("+shop@example.org", "none"),
            ("ann@example.com", "foreign"),
        ] {
            let found = match directory.resolve(&address(text)) {
                Resolution::Account(_) => "account",
                Resolution::NoMailbox => "none",
                Resolution::Foreign => "foreign",
            };
            assert_eq!(found, expected, "{text}");
        }
        assert!(matches!(
            directory.postmaster(&Domain::parse("example.org").unwrap()),
            Resolution::Account(_)
        ));
    }

    #[tokio::test]
    async fn signing_in() {
        let directory = directory();
        for (name, password, expected) in [
            ("ann@example.org", "secret", true),
            ("POSTMASTER@example.org", "secret", true),
            ("ann@example.org", "Secret", false),
            ("ann@example.org", "", false),
            ("ann", "secret", false),
            ("bob@example.org", "secret", false),
        ] {
            assert_eq!(
                directory.sign_in(name, password.as_bytes()).await.is_ok(),
                expected,
                "{name} {password}"
            );
        }
    }

    #[test]
    fn an_account_sends_as_its_own_addresses() {
        let directory = directory();
        let ann = Arc::clone(directory.accounts().next().unwrap());
        assert!(directory.owns(&ann, &address("ann+x@example.org")));
        assert!(!directory.owns(&ann, &address("bob@example.org")));
        assert!(!directory.owns(&ann, &address("ann@example.com")));
    }
}
