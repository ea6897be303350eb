//! What was changed, here or at another node, for those who acted on what was before: sessions
//! of who may not sign in any more.
//!
//! Invariant: bounded. Nobody takes them, or too many changed at once: then everything did.

use std::collections::HashSet;

use hikyaku_store::StoreError;
use hikyaku_types::{AccountId, CredentialId, Domain, TenantId};

use crate::Directory;
use crate::credential::LookupId;
use crate::facts::CredentialFacts;
use crate::log::Cached;
use crate::object::State;
use crate::resolve::Account;
use crate::sign_in::Claim;

/// Most of what is told one by one.
const MOST: usize = 10_000;

/// What may be another since it was last asked for.
#[derive(Debug, Default)]
pub struct Changes {
    /// Everything may be.
    pub everything: bool,
    /// What addresses lead to, by their keys.
    pub addresses: HashSet<String>,
    /// Domains.
    pub domains: HashSet<Domain>,
    /// Tenants.
    pub tenants: HashSet<TenantId>,
    /// Accounts whose credentials are.
    pub credentials: HashSet<AccountId>,
}

/// With which credential somebody signed in, and what its secret was then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// The credential.
    pub credential: CredentialId,
    /// A hash of how its secret is stored.
    secret: [u8; 32],
}

impl Changes {
    pub(crate) fn note(&mut self, cached: &Cached) {
        match cached {
            Cached::Address(key) => drop(self.addresses.insert(key.clone())),
            Cached::Domain(name) => drop(Domain::parse(name).map(|name| self.domains.insert(name))),
            Cached::Tenant(id) => drop(TenantId::from_i64(*id).map(|id| self.tenants.insert(id))),
            Cached::Credentials(id) => drop(AccountId::from_i64(*id).map(|id| self.credentials.insert(id))),
            // What a plan allows is asked anew with each use.
            Cached::Plans => {}
        }
        let sets = [self.addresses.len(), self.domains.len(), self.tenants.len(), self.credentials.len()];
        if sets.iter().sum::<usize>() > MOST {
            self.all();
        }
    }

    pub(crate) fn all(&mut self) {
        *self = Self { everything: true, ..Self::default() };
    }

    /// Is nothing changed?
    pub fn is_empty(&self) -> bool {
        !self.everything
            && self.addresses.is_empty()
            && self.domains.is_empty()
            && self.tenants.is_empty()
            && self.credentials.is_empty()
    }

    /// May it concern who signed in as `account`?
    pub fn concern(&self, account: &Account) -> bool {
        let address = account.address();
        self.everything
            || self.tenants.contains(&account.home.tenant)
            || self.credentials.contains(&account.home.account)
            || self.addresses.contains(address.key().as_str())
            || self.domains.contains(&address.domain)
    }
}

impl Shown {
    fn of(credential: &CredentialFacts) -> Self {
        Self { credential: credential.id, secret: *blake3::hash(credential.secret.0.as_bytes()).as_bytes() }
    }
}

impl Claim {
    /// The credential that was offered: an app password by its public part, else the password.
    fn offered(&self) -> Option<CredentialId> {
        let is_it = |one: &&CredentialFacts| match self.app_password {
            Some(id) => is_called(one, id),
            None => one.is_password(),
        };
        self.credentials.iter().find(is_it).map(|one| one.id)
    }
}

fn is_called(credential: &CredentialFacts, id: LookupId) -> bool {
    credential.state == State::Active && credential.prefix.as_deref() == Some(id.as_str())
}

impl Directory {
    /// What was changed since this was last called.
    pub fn take_changes(&self) -> Changes {
        self.caches.take_changes()
    }

    /// What was shown for a claim that was proven; to be asked for after the proof, which may
    /// replace a hash.
    ///
    /// # Errors
    /// [`StoreError`]: it cannot be told now.
    pub async fn shown(&self, claim: &Claim) -> Result<Option<Shown>, StoreError> {
        match (claim.account(), claim.offered()) {
            (Some(account), Some(credential)) => self.shown_as(account, credential).await,
            _ => Ok(None),
        }
    }

    /// The same for a credential by its id.
    ///
    /// # Errors
    /// [`StoreError`]: it cannot be told now.
    pub async fn shown_as(
        &self,
        account: &Account,
        credential: CredentialId,
    ) -> Result<Option<Shown>, StoreError> {
        let all = self.credentials(account.home.tenant, account.home.account).await?;
        let found = all.iter().find(|one| one.id == credential && one.state == State::Active);
        Ok(found.map(Shown::of))
    }

    /// Would what was shown let `account` in now, too?
    ///
    /// # Errors
    /// [`StoreError`]: it cannot be told now.
    pub async fn still_opens(&self, account: &Account, shown: &Shown) -> Result<bool, StoreError> {
        let is_active = match self.account_of(account.address()).await? {
            Some((found, state)) => found.home.account == account.home.account && state == State::Active,
            None => false,
        };
        Ok(is_active && self.shown_as(account, shown.credential).await?.as_ref() == Some(shown))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_everything() {
        let mut changes = Changes::default();
        assert!(changes.is_empty());
        for number in 1..=i64::try_from(MOST).unwrap() {
            changes.note(&Cached::Tenant(number));
        }
        assert!(!changes.everything && changes.tenants.len() == MOST);
        changes.note(&Cached::Credentials(1));
        assert!(changes.everything && changes.tenants.is_empty() && !changes.is_empty());
    }
}
