//! Who exists: plans, tenants, domains, accounts, aliases, lists, groups, roles, credentials;
//! and who may sign in.
//!
//! It lives in the *control* database. Mail asks it through bounded caches ([`Directory::resolve`],
//! [`Directory::sign_in`]); those who administer it ask and change it through one function,
//! [`Directory::execute`], which resolves their right, keeps the audit log and tells the caches.
//!
//! Invariants:
//! - an address has one meaning on the whole platform, a domain one tenant;
//! - a change is made under its tenant's lock, with its audit line and with what caches must
//!   forget, in one transaction;
//! - what belongs to another tenant is not found; the name of a domain that another tenant
//!   has is refused without saying whose it is;
//! - secrets are never shown, neither in answers nor in the audit log nor in logs.
//!
//! ```text
//! kind/…          what each kind has, and its own rules
//! object          the rows of all kinds, alike
//! change, rights  how they change, and who may
//! addresses       the index of what an address leads to
//! facts, resolve  what mail asks, with its caches
//! plans           what jobs ask that go over all tenants
//! ```

mod addresses;
mod admin;
mod audit;
mod change;
mod changes;
mod credential;
mod error;
mod facts;
mod field;
pub mod kind;
mod log;
mod object;
mod plans;
mod request;
mod resolve;
mod rights;
mod schema;
mod scram_sign_in;
mod secrets;
mod sign_in;

use std::sync::Arc;

use hikyaku_store::{ControlTx, Scope, Store, StoreError};
use hikyaku_types::{Actor, Clock, Random, RisingIds, Service};

pub use admin::{MOST_AT_ONCE, Removal};
pub use audit::Act;
pub use changes::{Changes, Shown};
pub use credential::*;
pub use error::DirectoryError;
pub use facts::{AccessFacts, AccountFacts, CacheSizes, DomainFacts, TenantFacts};
pub use field::{Edit, Field, FieldValue, Limit, Record, Text};
pub use kind::Kind;
pub use kind::block_policy::{BlockBounds, BlockNumbers, HeldNumber};
pub use kind::credential::Day;
pub use kind::exception::Exception;
pub use kind::forged_mail::{ForgedMail, ForgedMailPolicy};
pub use kind::guessing::{BlockScope, ExemptNetwork};
pub use kind::rule::{Allowed, Moment, Origin, Rule, RuleLevel, RuleMode};
pub use kind::tenant::Tenant;
pub use log::{AuditLine, LOOK_BACK};
pub use object::{Filter, Object, State};
pub use plans::TenantPlan;
pub use request::{Action, Answer, FieldEdit, Named, NewSecret, Request, View};
pub use resolve::{Account, MOST_RECIPIENTS, Receiver, Recipients, Resolution};
pub use rights::{Standing, Verb};
pub use schema::SCHEMA;
pub use scram_sign_in::{ScramExchange, ScramProof, ScramProven};
pub use sign_in::{Attempt, Claim, SignInError};

/// The directory itself, whose right to the tables is its own: it resolves others' before.
const DIRECTORY: Actor = Actor::Service(Service::Directory);

/// Who exists. One a process.
pub struct Directory {
    store: Arc<Store>,
    ids: Arc<RisingIds>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    caches: facts::Caches,
    passwords: Passwords,
    /// Checked when there is no such account, so that it takes as long as a wrong password.
    nobody: PasswordHash,
    /// Passwords that were right within the last hour.
    known: AuthCache,
    app_keys: tokio::sync::OnceCell<secrets::AppPasswordKeys>,
    breached: Option<Arc<BreachedPasswords>>,
    blocking: BlockBounds,
    /// The last number of the control log that was seen.
    seen: std::sync::atomic::AtomicI64,
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Directory")
    }
}

impl Directory {
    /// The directory in this store. Rising ids must be above all that was stored: see
    /// [`last_ids`].
    ///
    /// # Errors
    /// [`PasswordError`] if a hash cannot be made at all.
    pub fn new(
        store: Arc<Store>,
        ids: Arc<RisingIds>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        passwords: Passwords,
        sizes: CacheSizes,
    ) -> Result<Self, PasswordError> {
        let mut unguessable = [0u8; 32];
        random.fill(&mut unguessable);
        let nobody = PasswordHash::of(&unguessable, &*random)?;
        let caches = facts::Caches::new(sizes);
        let seen = std::sync::atomic::AtomicI64::new(RisingIds::floor_at(clock.now()));
        let known = AuthCache::new(usize::try_from(sizes.credentials).unwrap_or(usize::MAX), &*random);
        let app_keys = tokio::sync::OnceCell::new();
        let (breached, blocking) = (None, BlockBounds::default());
        Ok(Self {
            store,
            ids,
            clock,
            random,
            caches,
            passwords,
            nobody,
            known,
            app_keys,
            breached,
            blocking,
            seen,
        })
    }

    /// New passwords are looked up in this file.
    pub fn with_breached(self, file: BreachedPasswords) -> Self {
        Self { breached: Some(Arc::new(file)), ..self }
    }

    /// Tenants choose within these bounds when their sources are blocked.
    pub fn with_blocking(self, blocking: BlockBounds) -> Self {
        Self { blocking, ..self }
    }

    /// Within which bounds that is.
    pub fn blocking(&self) -> &BlockBounds {
        &self.blocking
    }

    /// The caches, unless they have not heard of other nodes' changes for too long.
    fn fresh(&self) -> Option<&facts::Caches> {
        self.caches.are_fresh(self.clock.now()).then_some(&self.caches)
    }

    async fn read<T, F>(&self, label: &'static str, closure: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&mut ControlTx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let scope = Scope::control(&DIRECTORY).map_err(|_| StoreError::Closed)?;
        self.store.read(scope, label, closure).await
    }
}

/// The highest rising id that the directory has used, so that new ones rise above it.
///
/// # Errors
/// [`StoreError`].
pub fn last_ids(tx: &mut ControlTx<'_>) -> Result<i64, StoreError> {
    log::last(tx)
}
