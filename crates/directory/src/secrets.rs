//! Secrets of credentials: made ready to be stored, and checked when somebody signs in.
//!
//! A password is stored as its hash. Of an app password, which is drawn by lot here and shown
//! once, a hash under the platform's key is stored; its public part finds it.
//!
//! Standards: RFC 8265 (how passwords are compared; see [`crate::credential::prepare`]).

use hikyaku_store::{Scope, StoreError, platform_secret};
use hikyaku_types::{AccountId, Address, TenantId};

use crate::change::{self, StoredSecret};
use crate::credential::{
    AppPassword, AppPasswordKey, HashingError, PasswordHash, PasswordOwner, PasswordPolicy, PolicyError,
    scram,
};
use crate::error::{DirectoryError, request as texts};
use crate::facts::LeadsTo;
use crate::field::{Edit, Text};
use crate::kind::credential::{Credential, CredentialKind};
use crate::kind::{Kind, account};
use crate::object::{self, Place};
use crate::request::{FieldEdit, NewSecret};
use crate::{DIRECTORY, Directory, scram_sign_in};

/// What follows from the platform's secret for app passwords.
#[derive(Debug)]
pub(crate) struct AppPasswordKeys {
    /// Their stored hashes are made with it.
    pub(crate) digests: AppPasswordKey,
    /// Of SCRAM.
    pub(crate) salts: scram::Salts,
}

impl Directory {
    /// The secret of a new object.
    pub(crate) async fn new_secret(
        &self,
        tenant: TenantId,
        kind: Kind,
        fields: &[FieldEdit],
        secret: Option<NewSecret>,
    ) -> Result<Option<StoredSecret>, DirectoryError> {
        if kind != Kind::Credential {
            return refuse(secret.is_some(), texts::SECRET).map(|()| None);
        }
        let set = |wanted: &str| {
            fields.iter().rev().find_map(|(name, edit)| match edit {
                Edit::Set(text) if name == wanted => Some(text.trim()),
                _ => None,
            })
        };
        if set("kind") == Some("app_password") {
            refuse(secret.is_some(), texts::SECRET_ONCE)?;
            return self.app_password(tenant, set("account").unwrap_or_default()).await.map(Some);
        }
        let Some(secret) = secret else { return Err(DirectoryError::Request(texts::PASSWORD)) };
        let owner = self.owner_named(tenant, set("account").unwrap_or_default()).await?;
        self.stored(tenant, owner, secret).await.map(Some)
    }

    /// Another secret of a credential.
    pub(crate) async fn other_secret(
        &self,
        place: Place,
        kind: Kind,
        secret: Option<NewSecret>,
    ) -> Result<Option<StoredSecret>, DirectoryError> {
        let Some(secret) = secret else { return Ok(None) };
        refuse(kind != Kind::Credential, texts::SECRET)?;
        let scope = Scope::tenant(&DIRECTORY, place.tenant).map_err(|_| StoreError::Closed)?;
        let read = self.store.read(scope, "directory.credential", move |tx| {
            let Some(found) = object::by_id(tx, kind, place.id)? else { return Ok::<_, StoreError>(None) };
            Ok(Some(object::record::<Credential>(&found.data)?))
        });
        let found = read.await?;
        refuse(
            found.as_ref().is_some_and(|fields| fields.kind == CredentialKind::AppPassword),
            texts::SECRET_ONCE,
        )?;
        let owner = match found.and_then(|fields| fields.account) {
            Some(Text(account)) => self.owner(place.tenant, account).await?,
            None => None,
        };
        self.stored(place.tenant, owner, secret).await.map(Some)
    }

    /// Checks a new password by its tenant's policy, and hashes it.
    async fn stored(
        &self,
        tenant: TenantId,
        owner: Option<account::Account>,
        secret: NewSecret,
    ) -> Result<StoredSecret, DirectoryError> {
        let hash = match secret {
            NewSecret::Hash(hash) => {
                PasswordHash::parse(&hash).map_err(|error| change::invalid("password", error.to_string()))?
            }
            NewSecret::Password(password) => {
                let policy = self.password_policy(tenant).await?;
                let breached = self.breached.clone();
                let check = tokio::task::spawn_blocking(move || {
                    let owner = owner.unwrap_or_default();
                    let addresses: Vec<Address> = owner.addresses.into_iter().map(|text| text.0).collect();
                    let owner = PasswordOwner { addresses: &addresses, name: Some(&owner.title) };
                    policy.check(&password, &owner, breached.as_deref())
                });
                let prepared = check.await.map_err(|_| StoreError::Closed)?.map_err(of_policy)?;
                self.passwords.make(prepared.as_bytes(), &*self.random).await.map_err(of_hashing)?
            }
        };
        Ok(StoredSecret { secret: hash.as_str().to_owned(), prefix: None, scram: None, shown: None })
    }

    async fn password_policy(&self, tenant: TenantId) -> Result<PasswordPolicy, DirectoryError> {
        let fewest = self.tenant(tenant).await?.and_then(|tenant| tenant.fields.password_length.0);
        let standard = PasswordPolicy::default();
        let fewest = fewest.and_then(|fewest| u16::try_from(fewest).ok()).unwrap_or(standard.least());
        Ok(PasswordPolicy::new(fewest, standard.most()).unwrap_or(standard))
    }

    async fn app_password(&self, tenant: TenantId, account: &str) -> Result<StoredSecret, DirectoryError> {
        let password = AppPassword::new(&*self.random);
        let digest = self.app_password_keys().await?.digests.digest(&password);
        Ok(StoredSecret {
            secret: blake3::Hash::from_bytes(*digest.as_bytes()).to_hex().to_string(),
            prefix: Some(password.id().as_str().to_owned()),
            scram: self.verifier(tenant, account, &password).await?.map(|verifier| verifier.to_string()),
            shown: Some(password.to_text()),
        })
    }

    /// What checks an app password by SCRAM, if its tenant wants that.
    async fn verifier(
        &self,
        tenant: TenantId,
        account: &str,
        password: &AppPassword,
    ) -> Result<Option<scram::Verifier>, DirectoryError> {
        if !self.tenant(tenant).await?.is_some_and(|tenant| tenant.fields.scram) {
            return Ok(None);
        }
        let Some(id) = self.account_named(account).await? else { return Ok(None) };
        let owner = self.owner(tenant, id).await?;
        let Some(Text(main)) = owner.and_then(|owner| owner.addresses.into_iter().next()) else {
            return Ok(None);
        };
        let credentials = self.credentials(tenant, id).await?;
        let salt = scram_sign_in::salt(&credentials, &main, &self.app_password_keys().await?.salts);
        // Two milliseconds: not worth another thread.
        Ok(Some(scram::Verifier::of(password, salt)))
    }

    /// What app passwords are stored under.
    pub(crate) async fn app_password_keys(&self) -> Result<&AppPasswordKeys, StoreError> {
        let make = || async {
            let secret = platform_secret(&self.store, "app_passwords", &*self.random).await?;
            Ok(AppPasswordKeys {
                digests: AppPasswordKey::derive(&secret),
                salts: scram::Salts::derive(&secret),
            })
        };
        self.app_keys.get_or_try_init(make).await
    }

    async fn owner_named(
        &self,
        tenant: TenantId,
        name: &str,
    ) -> Result<Option<account::Account>, DirectoryError> {
        match self.account_named(name).await? {
            Some(id) => self.owner(tenant, id).await,
            None => Ok(None),
        }
    }

    /// The account that a field names, by its id or any of its addresses.
    async fn account_named(&self, name: &str) -> Result<Option<AccountId>, DirectoryError> {
        if let Ok(id) = name.parse::<AccountId>() {
            return Ok(Some(id));
        }
        let Ok(address) = name.parse::<Address>() else { return Ok(None) };
        let Some(lead) = self.lead(&address.key()).await? else { return Ok(None) };
        match &lead.to {
            LeadsTo::Account(facts) => Ok(Some(facts.id)),
            LeadsTo::Others(_) => Ok(None),
        }
    }

    async fn owner(
        &self,
        tenant: TenantId,
        id: AccountId,
    ) -> Result<Option<account::Account>, DirectoryError> {
        let scope = Scope::tenant(&DIRECTORY, tenant).map_err(|_| StoreError::Closed)?;
        let read = self.store.read(scope, "directory.owner", move |tx| {
            let found = object::by_id(tx, Kind::Account, id.as_i64())?;
            found.map(|account| object::record(&account.data)).transpose()
        });
        Ok(read.await.map_err(|error: StoreError| error)?)
    }
}

fn refuse(wrong: bool, text: &'static str) -> Result<(), DirectoryError> {
    if wrong { Err(DirectoryError::Request(text)) } else { Ok(()) }
}

fn of_policy(error: PolicyError) -> DirectoryError {
    match error {
        PolicyError::Rejected(rejection) => change::invalid("password", rejection.to_string()),
        PolicyError::Unchecked(error) => {
            tracing::error!(%error, "the file of breached passwords cannot be read");
            DirectoryError::Store(StoreError::Busy)
        }
    }
}

fn of_hashing(error: HashingError) -> DirectoryError {
    match error {
        HashingError::Password(error) => change::invalid("password", error.to_string()),
        HashingError::Unavailable(_) => DirectoryError::Store(StoreError::Busy),
    }
}
