//! Signing in by SCRAM, with an app password that its tenant wants to be good for that.
//!
//! Standards: RFC 5802, RFC 7677; the exchange itself is [`crate::scram`].
//! ```text
//! offers_scram                    is it announced?
//! begin_scram(client-first)   →   server-first, and what waits for the proof
//! prove(client-final)         →   which app password that was, and from where it may be used
//! finish_scram(proof)         →   whose account it is, and server-final
//! ```
//! What may stop a client belongs before the last: there it is known who comes with what, and
//! nothing has been done for it.
//!
//! Announced is it to everybody as soon as one tenant of the platform chose it. Who signs in is
//! not known before, and the name that TLS asked for does not say it either: most tenants' mail
//! programs are set up with a name of the provider's. A client of another tenant that tries
//! SCRAM fails and must use PLAIN, as it must with its account's own password; that is why the
//! choice is off unless a tenant makes it.
//!
//! Invariants:
//! - a verifier is stored with app passwords that are made while their tenant has the choice,
//!   and is good as long as it has; an account's own password never has one;
//! - a name that nobody has, an account without such an app password, and a wrong proof look
//!   alike: the salt is stable for the name, and as much is read for it;
//! - server-final proves that we know the password, so it is sent to nobody whose app password
//!   may not be used here.
//!
//! Known weakness: after a change of any tenant the next question whether one chose it reads
//! the fields of all (20,000: some milliseconds).

use std::sync::Arc;

use hikyaku_store::Sql;
use hikyaku_types::{AccountId, Address, Network, TenantId};

use crate::Directory;
use crate::changes::Shown;
use crate::credential::{LookupId, scram};
use crate::facts::CredentialFacts;
use crate::object::State;
use crate::resolve::Account;
use crate::sign_in::{Attempt, SignInError};

/// Fields are stored as they are printed here, without spaces.
const CHOSEN: Sql =
    Sql::new("SELECT id FROM tenant WHERE state <> 3 AND data LIKE '%\"scram\":true%' LIMIT 1");

/// An exchange that waits for the client's proof.
#[derive(Debug)]
pub struct ScramExchange {
    exchange: scram::Exchange,
    name: Box<str>,
    /// Does it want to act on behalf of somebody else? Nobody may.
    acts_for_another: bool,
    account: Option<Account>,
    state: State,
    credentials: Arc<[CredentialFacts]>,
}

/// A proof that was right. Nothing is said yet about where its app password may be used.
#[derive(Debug)]
pub struct ScramProof {
    proven: scram::Proven,
    acts_for_another: bool,
    account: Option<Account>,
    state: State,
    credentials: Arc<[CredentialFacts]>,
}

/// A proof was right, and its app password may be used here.
#[derive(Debug, Clone)]
pub struct ScramProven {
    /// Who has signed in.
    pub account: Arc<Account>,
    /// With what.
    pub shown: Shown,
    /// To be sent to the client before it is told that it is signed in.
    pub server_final: String,
}

impl ScramExchange {
    /// Who the client says it is.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Takes client-final: a proof costs two keyed hashes, so it may be looked at before anything
    /// else is decided.
    ///
    /// # Errors
    /// [`SignInError`]: the exchange is over.
    pub fn prove(self, client_final: &[u8]) -> Result<ScramProof, SignInError> {
        let Self { exchange, acts_for_another, account, state, credentials, .. } = self;
        let proven = exchange.finish(client_final).map_err(refused)?;
        Ok(ScramProof { proven, acts_for_another, account, state, credentials })
    }
}

impl Directory {
    /// Is SCRAM announced: has any tenant chosen it? If that cannot be told, it is not.
    pub async fn offers_scram(&self) -> bool {
        if let Some(known) = self.fresh().and_then(|caches| caches.scram.get(&())) {
            return known;
        }
        let mark = self.caches.mark();
        let chosen = self.read("directory.scram", move |tx| tx.row(CHOSEN, &[], |row| row.get::<i64>(0)));
        match chosen.await {
            Ok(found) => {
                self.caches.keep(mark, |caches| caches.scram.insert((), found.is_some()));
                found.is_some()
            }
            Err(error) => {
                tracing::warn!(%error, "whether a tenant wants SCRAM is not known");
                false
            }
        }
    }

    /// Takes client-first: the challenge to send (not in base64), and what waits for its answer.
    ///
    /// # Errors
    /// [`SignInError`]: the exchange is over.
    pub async fn begin_scram(
        &self,
        offer: &scram::Offer<'_>,
        client_first: &[u8],
    ) -> Result<(String, ScramExchange), SignInError> {
        let hello = scram::Hello::read(offer, client_first).map_err(refused)?;
        let name: Box<str> = hello.name().into();
        let acts_for_another = hello.authorization().is_some();
        let address = name.trim().parse::<Address>().ok();
        let found = match &address {
            Some(address) => self.account_of(address).await?,
            None => None,
        };
        let salts = &self.app_password_keys().await?.salts;
        let spelling = match (&found, &address) {
            (Some((account, _)), _) => account.address().key().to_string(),
            (None, Some(address)) => address.key().to_string(),
            (None, None) => name.to_string(),
        };
        // For a name that nobody has, the credentials of nobody are read: it takes as long.
        let credentials = match (&found, nobody_called(&spelling, salts)) {
            (Some((account, _)), _) => self.credentials(account.home.tenant, account.home.account).await?,
            (None, Some(nobody)) => self.credentials(TenantId::PLATFORM, nobody).await?,
            (None, None) => Arc::from([]),
        };
        let (account, state) =
            found.map_or((None, State::Deleted), |(account, state)| (Some(account), state));
        let chose = account.as_ref().is_some_and(|account| account.tenant.fields.scram);
        let known = if chose { scram::Account::of(verifiers(&credentials)) } else { None };
        let known = known.unwrap_or_else(|| scram::Account::nobody(&spelling, salts));
        let (challenge, exchange) = hello.challenge(known, &scram::Nonce::new(&*self.random));
        Ok((challenge, ScramExchange { exchange, name, acts_for_another, account, state, credentials }))
    }

    /// Lets in who proved an app password, if it may be used so.
    ///
    /// # Errors
    /// [`SignInError`]: the exchange is over.
    pub async fn finish_scram(
        &self,
        proof: ScramProof,
        attempt: &Attempt,
    ) -> Result<ScramProven, SignInError> {
        let ScramProof { proven, acts_for_another, account, state, credentials } = proof;
        let scram::Proven { id, server_final } = proven;
        let account = account.filter(|_| state == State::Active && !acts_for_another);
        let account = account.ok_or(SignInError::Refused)?;
        let shown = match credential_of(&credentials, id) {
            Some(credential) => self.shown_as(&account, credential.id).await?,
            None => None,
        };
        let shown = shown.ok_or(SignInError::Refused)?;
        // The last question, since it notes the use.
        if !self.may_use_app_password(&credentials, id, attempt).await {
            return Err(SignInError::Refused);
        }
        Ok(ScramProven { account: Arc::new(account), shown, server_final })
    }
}

impl ScramProof {
    /// Was it of this account? The name may be another's since the challenge was sent.
    #[must_use]
    pub fn is_of(&self, account: Option<&Account>) -> bool {
        let home = |account: &Account| account.home;
        self.account.as_ref().map(home) == account.map(home)
    }

    /// From where the app password may be used; empty: from anywhere.
    pub fn sources(&self) -> Vec<Network> {
        let credential = credential_of(&self.credentials, self.proven.id);
        credential.map_or_else(Vec::new, |one| one.fields.sources.iter().map(|source| source.0).collect())
    }
}

fn credential_of(credentials: &[CredentialFacts], id: LookupId) -> Option<&CredentialFacts> {
    credentials.iter().find(|one| one.prefix.as_deref() == Some(id.as_str()))
}

fn refused(failure: scram::Failure) -> SignInError {
    tracing::debug!(%failure, "a SCRAM exchange failed");
    SignInError::Refused
}

/// The app passwords that can be proven.
fn verifiers(credentials: &[CredentialFacts]) -> impl Iterator<Item = (LookupId, scram::Verifier)> {
    credentials.iter().filter(|one| one.state == State::Active).filter_map(|one| {
        Some((LookupId::parse(one.prefix.as_deref()?)?, one.scram.as_ref()?.0.parse().ok()?))
    })
}

/// The salt that a new app password of the account gets: that of its others, so that all can
/// be proven against one challenge, whatever the account was called when they were made.
pub(crate) fn salt(credentials: &[CredentialFacts], main: &Address, salts: &scram::Salts) -> scram::Salt {
    let first = verifiers(credentials).next();
    first.map_or_else(|| salts.of(main.key().as_str()), |(_, verifier)| verifier.salt)
}

/// An account that there is not, always the same one for a name.
fn nobody_called(name: &str, salts: &scram::Salts) -> Option<AccountId> {
    let [a, b, c, d, e, f, g, h, ..] = *salts.of(name).as_bytes();
    AccountId::from_i64(i64::from_be_bytes([a, b, c, d, e, f, g, h]) & i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::tenant::Tenant;

    #[test]
    fn the_choice_is_found_as_it_is_stored() {
        let stored = serde_json::to_value(Tenant { scram: true, ..Tenant::default() }).unwrap().to_string();
        assert!(stored.contains("\"scram\":true"), "{stored}");
        let stored = serde_json::to_value(Tenant::default()).unwrap().to_string();
        assert!(stored.contains("\"scram\":false"), "{stored}");
    }

    #[test]
    fn nobody_is_always_the_same() {
        let salts = scram::Salts::derive(&[7; 32]);
        assert_eq!(nobody_called("a@b.example", &salts), nobody_called("a@b.example", &salts));
        assert_ne!(nobody_called("a@b.example", &salts), nobody_called("c@b.example", &salts));
    }
}
