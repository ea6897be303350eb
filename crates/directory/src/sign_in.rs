//! Signing in: a name, which is any address of an account, and its password.
//!
//! Invariant: whatever is wrong, it takes the time of one hash and says the same.

use std::sync::Arc;

use hikyaku_types::{AccountId, Address};

use crate::facts::{CredentialFacts, read_credentials};
use crate::kind::credential::CredentialKind;
use crate::object::State;
use crate::credential::PasswordHash;
use crate::resolve::Account;
use crate::{Directory, StoreError};

/// Why somebody may not sign in. All look the same from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// No such account, not its password, or suspended.
    #[error("name or password wrong")]
    Refused,
    /// It cannot be checked now.
    #[error("sign-in cannot be checked now")]
    Unavailable,
}

impl From<StoreError> for SignInError {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a sign-in could not be checked");
        Self::Unavailable
    }
}

impl Directory {
    /// Checks a name and a password.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn sign_in(&self, name: &str, password: &[u8]) -> Result<Arc<Account>, SignInError> {
        let found = match name.trim().parse::<Address>() {
            Ok(address) => self.account_of(&address).await?,
            Err(_) => None,
        };
        let credentials = match &found {
            Some((account, _)) => self.credentials(account.home.account).await?,
            None => Arc::from([]),
        };
        let is_password = |one: &&CredentialFacts| {
            one.fields.kind == CredentialKind::Password && one.state == State::Active
        };
        let hash = credentials.iter().find(is_password);
        let hash = hash.and_then(|credential| PasswordHash::parse(&credential.secret.0).ok());
        let checked = self.passwords.matches(hash.as_ref().unwrap_or(&self.nobody), password).await;
        let matches = checked.ok_or(SignInError::Unavailable)?;
        match found {
            Some((account, State::Active)) if matches && hash.is_some() => Ok(Arc::new(account)),
            _ => Err(SignInError::Refused),
        }
    }

    async fn credentials(&self, account: AccountId) -> Result<Arc<[CredentialFacts]>, StoreError> {
        if let Some(known) = self.fresh().and_then(|caches| caches.credentials.get(&account)) {
            return Ok(known);
        }
        let mark = self.caches.mark();
        let found = self.read("directory.credentials", move |tx| read_credentials(tx, account)).await?;
        let found: Arc<[CredentialFacts]> = found.into();
        self.caches.keep(mark, |caches| caches.credentials.insert(account, Arc::clone(&found)));
        Ok(found)
    }
}
