//! Signing in: a name, which is any address of an account, and a password or app password.
//!
//! Invariants:
//! - a wrong password takes the time of one hash, whoever's it would be, and all failures say
//!   the same;
//! - the authentication cache spares the hash and nothing else: who may come in from where is
//!   decided before this is asked, each time.

use std::net::IpAddr;
use std::sync::Arc;

use hikyaku_store::{Scope, Sql, StoreError};
use hikyaku_types::{AccountId, Actor, Address, Network, Service, TenantId, Timestamp};

use crate::credential::{
    AppPassword, AppPasswordDigest, AppPasswordRecord, Entrance, HashingError, LastUse, LookupId,
    PasswordCheck, PasswordHash, Services,
};
use crate::facts::{CredentialFacts, DomainFacts, read_credentials};
use crate::kind::Kind;
use crate::kind::credential::CredentialKind;
use crate::log::Cached;
use crate::object::State;
use crate::request::{Action, Named, NewSecret};
use crate::resolve::Account;
use crate::{DIRECTORY, Directory};

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

/// Where somebody wants to come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// By which service.
    pub entrance: Entrance,
    /// From which address.
    pub source: IpAddr,
}

const USED: Sql = Sql::new("UPDATE credential SET used_at = $2 WHERE id = $1");

/// Whom a typed name means, and what kind of proof came with it. Nothing has been checked yet.
#[derive(Debug)]
pub struct Claim {
    account: Option<(Account, State)>,
    domain: Option<Arc<DomainFacts>>,
    credentials: Arc<[CredentialFacts]>,
    app_password: Option<LookupId>,
}

impl Claim {
    /// The account, if there is one.
    pub fn account(&self) -> Option<&Account> {
        self.account.as_ref().map(|(account, _)| account)
    }

    /// Is there an account that may not sign in?
    pub fn is_suspended(&self) -> bool {
        self.account.as_ref().is_some_and(|(_, state)| *state != State::Active)
    }

    /// The domain of the account's own address; of a name without account, the one that was
    /// typed, if it is ours.
    pub fn domain(&self) -> Option<&DomainFacts> {
        self.domain.as_deref()
    }

    /// From where the app password that was offered may be used (empty: from anywhere), if
    /// one of the account's was, by its public part.
    pub fn app_password_sources(&self) -> Option<Vec<Network>> {
        let id = self.app_password?;
        let found = self.credentials.iter().find(|one| one.prefix.as_deref() == Some(id.as_str()))?;
        Some(found.fields.sources.iter().map(|source| source.0).collect())
    }
}

impl Directory {
    /// Checks a name and a password.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn sign_in(
        &self,
        name: &str,
        password: &[u8],
        attempt: &Attempt,
    ) -> Result<Arc<Account>, SignInError> {
        let claim = self.claim(name, password).await?;
        self.prove(&claim, password, attempt).await
    }

    /// Whom a typed name means. Cheap: it is answered from the caches.
    ///
    /// # Errors
    /// [`SignInError::Unavailable`].
    pub async fn claim(&self, name: &str, password: &[u8]) -> Result<Claim, SignInError> {
        let address = name.trim().parse::<Address>().ok();
        let account = match &address {
            Some(address) => self.account_of(address).await?,
            None => None,
        };
        let account = account.filter(|(_, state)| *state != State::Deleted);
        let domain = match (&account, &address) {
            (Some((account, _)), _) => self.domain(&account.address().domain).await?,
            (None, Some(address)) => self.domain(&address.domain).await?,
            (None, None) => None,
        };
        let credentials = match &account {
            Some((account, _)) => self.credentials(account.home.tenant, account.home.account).await?,
            None => Arc::from([]),
        };
        let typed = AppPassword::parse(password).map(|typed| typed.id());
        let is_one = |one: &CredentialFacts| {
            one.state == State::Active && typed.is_some_and(|id| one.prefix.as_deref() == Some(id.as_str()))
        };
        let app_password = typed.filter(|_| credentials.iter().any(is_one));
        Ok(Claim { account, domain, credentials, app_password })
    }

    /// Checks the password of a claim. What is offered as an app password is checked as that
    /// alone, so that nothing which is not counted tries a password.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn prove(
        &self,
        claim: &Claim,
        password: &[u8],
        attempt: &Attempt,
    ) -> Result<Arc<Account>, SignInError> {
        let account = claim.account.as_ref().filter(|(_, state)| *state == State::Active);
        let account = account.map(|(account, _)| account);
        let is_right = match claim.app_password {
            Some(_) => self.opens_by_app_password(&claim.credentials, password, attempt).await?,
            None => self.opens_by_password(account, &claim.credentials, password).await?,
        };
        account.filter(|_| is_right).map(|account| Arc::new(account.clone())).ok_or(SignInError::Refused)
    }

    /// Long enough not to be guessed, so checked at once.
    async fn opens_by_app_password(
        &self,
        credentials: &[CredentialFacts],
        password: &[u8],
        attempt: &Attempt,
    ) -> Result<bool, SignInError> {
        let Some(typed) = AppPassword::parse(password) else { return Ok(false) };
        let Some((_, record)) = app_password_of(credentials, typed.id()) else { return Ok(false) };
        if !record.is_of(&self.app_password_keys().await?.digests, &typed) {
            return Ok(false);
        }
        Ok(self.may_use_app_password(credentials, typed.id(), attempt).await)
    }

    /// May this app password, which was shown to be known, be used so? Then it was.
    pub(crate) async fn may_use_app_password(
        &self,
        credentials: &[CredentialFacts],
        id: LookupId,
        attempt: &Attempt,
    ) -> bool {
        let Some((credential, record)) = app_password_of(credentials, id) else { return false };
        let now = LastUse { at: self.clock.now(), source: attempt.source, entrance: attempt.entrance };
        if let Err(refusal) = record.admits(&now) {
            tracing::info!(credential = %credential.id, %refusal, "an app password was refused");
            return false;
        }
        if record.is_worth_noting(&now) {
            self.note_use(credential, now.at).await;
        }
        true
    }

    /// The password itself, from the cache or by its hash.
    async fn opens_by_password(
        &self,
        account: Option<&Account>,
        credentials: &[CredentialFacts],
        password: &[u8],
    ) -> Result<bool, SignInError> {
        let is_password = |one: &&CredentialFacts| {
            one.fields.kind == CredentialKind::Password && one.state == State::Active
        };
        let credential = account.and_then(|_| credentials.iter().find(is_password));
        let hash = credential.and_then(|credential| PasswordHash::parse(&credential.secret.0).ok());
        let (Some(account), Some(credential), Some(hash)) = (account, credential, hash) else {
            // As long as a wrong password takes.
            self.check(&self.nobody, password).await?;
            return Ok(false);
        };
        let (id, now) = (account.home.account, self.clock.now());
        if self.known.knows(id, credential.version, password, now) {
            return Ok(true);
        }
        match self.check(&hash, password).await? {
            PasswordCheck::No => Ok(false),
            PasswordCheck::Matches { needs_rehash } => {
                self.known.succeeded(id, credential.version, password, now);
                if needs_rehash {
                    self.replace_hash(credential, password).await;
                }
                Ok(true)
            }
        }
    }

    /// Waits as long as a password that is to be checked waits to begin, so that what is refused
    /// unseen takes as long, however much there is to do.
    ///
    /// # Errors
    /// [`SignInError::Unavailable`], when a check would meet it.
    pub async fn password_turn(&self) -> Result<(), SignInError> {
        self.passwords.turn().await.map_err(|_| SignInError::Unavailable)
    }

    async fn check(&self, hash: &PasswordHash, password: &[u8]) -> Result<PasswordCheck, SignInError> {
        self.passwords.check(hash, password).await.map_err(|error| {
            tracing::warn!(%error, "a password was not checked");
            SignInError::Unavailable
        })
    }

    /// An imported hash is replaced by one of ours while its password is known. The sign-in
    /// does not depend on it.
    async fn replace_hash(&self, credential: &CredentialFacts, password: &[u8]) {
        let replaced = async {
            let hash = self.passwords.make(password, &*self.random).await.map_err(|error| match error {
                HashingError::Unavailable(error) => error.to_string(),
                HashingError::Password(error) => error.to_string(),
            })?;
            let object = Named { kind: Kind::Credential, name: credential.id.to_string(), tenant: None };
            let action = Action::Change {
                object,
                version: Some(credential.version),
                rename: None,
                fields: Vec::new(),
                secret: Some(NewSecret::Hash(hash.as_str().to_owned())),
            };
            let reason = Some("an imported hash was replaced at a sign-in".into());
            let actor = Actor::Service(Service::Directory);
            let job = self.prepare(actor, &actor.to_string(), action, reason).await;
            let job = job.map_err(|error| error.to_string())?;
            self.carry_out(job, false).await.map_err(|error| error.to_string())
        };
        if let Err::<_, String>(error) = replaced.await {
            tracing::warn!(credential = %credential.id, error, "an imported hash was not replaced");
        }
    }

    async fn note_use(&self, credential: &CredentialFacts, at: Timestamp) {
        let (id, Ok(scope)) = (credential.id, Scope::control(&DIRECTORY)) else { return };
        let write =
            self.store.write(scope, "directory.used", move |tx| tx.execute(USED, &[id.into(), at.into()]));
        match write.await {
            Ok(_) => {
                let account = credential.fields.account.map(|account| account.0.as_i64());
                self.caches.forget(&account.map(Cached::Credentials).into_iter().collect::<Vec<_>>());
            }
            Err::<_, StoreError>(error) => {
                tracing::warn!(credential = %id, %error, "the use of an app password was not noted");
            }
        }
    }

    /// The credentials of an account.
    pub(crate) async fn credentials(
        &self,
        tenant: TenantId,
        account: AccountId,
    ) -> Result<Arc<[CredentialFacts]>, StoreError> {
        if let Some(known) = self.fresh().and_then(|caches| caches.credentials.get(&account)) {
            return Ok(known);
        }
        let mark = self.caches.mark();
        let found =
            self.read("directory.credentials", move |tx| read_credentials(tx, tenant, account)).await?;
        let found: Arc<[CredentialFacts]> = found.into();
        self.caches.keep(mark, |caches| caches.credentials.insert(account, Arc::clone(&found)));
        Ok(found)
    }
}

/// The active app password of this public part.
fn app_password_of(
    credentials: &[CredentialFacts],
    id: LookupId,
) -> Option<(&CredentialFacts, AppPasswordRecord)> {
    let found = credentials.iter().find(|one| one.prefix.as_deref() == Some(id.as_str()));
    let credential = found.filter(|one| one.state == State::Active)?;
    Some((credential, app_password(credential, id)?))
}

/// An app password as it is stored.
fn app_password(credential: &CredentialFacts, id: LookupId) -> Option<AppPasswordRecord> {
    let digest = blake3::Hash::from_hex(&credential.secret.0).ok()?;
    let fields = &credential.fields;
    let all = || Entrance::ALL.into_iter().fold(Services::NONE, Services::with);
    let named = fields.services.iter().fold(Services::NONE, |set, service| set.with(service.0));
    Some(AppPasswordRecord {
        id,
        digest: AppPasswordDigest::from_bytes(*digest.as_bytes()),
        name: fields.title.as_str().into(),
        services: if fields.services.is_empty() { all() } else { named },
        sources: fields.sources.iter().map(|network| network.0).collect(),
        expires: fields.expires.map(|day| day.0.end()),
        last_use: credential.used_at.map(|at| LastUse {
            at,
            // Where from is in the history of sign-ins; here only the time counts.
            source: IpAddr::from([0, 0, 0, 0]),
            entrance: Entrance::Imap,
        }),
    })
}
