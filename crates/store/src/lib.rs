//! Two SQL engines under one call, migrations, content, and hints of what changed.
//!
//! ```ignore
//! store.write(Scope::account(&actor, home)?, "mailstore.store", move |tx| mailstore::store(tx, &change)).await?
//! store.read(Scope::tenant(&actor, tenant)?, "directory.domains", |tx| directory::domains(tx, &page)).await?
//! ```
//!
//! A *scope* picks the database and says on whose rows the closure may work. The closure is
//! plain synchronous code over SQL: no I/O, no clock, no randomness of its own. Its result is
//! seen only after the commit.
//!
//! Invariants:
//! - a result given to a caller of [`Store::write`] is on disk;
//! - a closure that fails, or panics, leaves nothing behind;
//! - a statement on an account's or a tenant's rows names that account or tenant for every
//!   table it touches, or does not compile ([`AccountSql`], [`TenantSql`]); on PostgreSQL
//!   row-level security says so again;
//! - an unexpected failure is temporary ([`StoreError`]): nothing here is ever an answer
//!   "no, for good" to a mail.
//!
//! This is the only crate that names an SQL driver or the object store's library.

mod content;
mod dialect;
mod error;
mod fair;
mod folder;
mod hints;
mod job;
mod key_ring;
mod lock;
mod metrics;
mod migrate;
mod objects;
mod postgres;
mod scope;
mod sql;
mod sqlite;
mod store;
mod tx;
mod value;

pub use content::{
    Attached, Content, ContentError, DEDUP_FROM, INLINE_UP_TO, Placement, Prepared, SCHEMA as CONTENT_SCHEMA,
    attach, decode, encode, placement, release, share,
};
pub use dialect::Dialect;
pub use error::{NotFound, StoreError};
pub use hints::{Hint, Hints, Watch};
pub use key_ring::{KeyId, KeyRingError, platform_secret};
pub use lock::{DataLock, LockError};
pub use migrate::{Applied, By, Component, MigrateError, Migration};
pub use objects::{ObjectKey, Objects, ObjectsError};
pub use scope::{
    AccessScope, AccountHome, AccountScope, ControlScope, Database, Scope, Scoped, ServiceScope,
    TenantMailScope, TenantScope,
};
pub use sql::{AccountSql, Sql, TenantSql};
pub use store::{Location, Options, Store};
pub use tx::{AccountTx, ControlTx, ServiceTx, TenantTx};
pub use value::{Column, Param, Row};
