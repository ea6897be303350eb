//! Credentials, without any storage: what is kept of a secret, how it is checked, what a new
//! password must be like.
//!
//! - [`PasswordHash`]: Argon2id of ours, and the hashes that other platforms left behind;
//! - [`Passwords`]: the bounded pool in which they are computed;
//! - [`prepare`]: which spellings of a password are the same password;
//! - [`PasswordPolicy`], [`BreachedPasswords`]: what a new password must be like;
//! - [`AppPassword`]: a secret that we make, for one program, found by its public prefix;
//! - [`scram`]: SCRAM-SHA-256 and -PLUS for app passwords;
//! - [`AuthCache`]: spares the next Argon2id.
//!
//! Nothing here reads a clock, and randomness and keys are arguments. Only the pool knows the
//! runtime, and only [`BreachedPasswords`] reads a file.

mod app_password;
mod auth_cache;
mod breached;
mod hash;
mod policy;
mod pool;
pub mod prepare;
pub mod scram;
mod services;

pub use app_password::{
    AppPassword, AppPasswordDigest, AppPasswordKey, AppPasswordRecord, AppPasswordRefusal, LastUse, LookupId,
};
pub use auth_cache::AuthCache;
pub use breached::{BreachedError, BreachedPasswords};
pub use hash::{HashScheme, MAX_PASSWORD_OCTETS, PasswordCheck, PasswordError, PasswordHash};
pub use policy::{PasswordOwner, PasswordPolicy, PasswordRejection, PolicyBounds, PolicyError};
pub use pool::{HashingError, Passwords, PasswordsUnavailable};
pub use services::{Entrance, Services, UnknownService};
