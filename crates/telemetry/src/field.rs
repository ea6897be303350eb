//! Names of the fields that log lines share, so that one search finds all lines about one
//! thing. Write them as they are, `tracing::info!(session = %id, "signed in")`, or by their
//! constant, `tracing::info!({ field::SESSION } = %id, "signed in")`.
//!
//! Never in any field: contents of mail, passwords, tokens, keys. An address is personal,
//! so lines name accounts by id.

/// The connection: one id from greeting to close, in a span around the session.
pub const SESSION: &str = "session";
/// Whose data it is: a `TenantId`.
pub const TENANT: &str = "tenant";
/// Whose mail it is: an `AccountId`.
pub const ACCOUNT: &str = "account";
/// A message in a mailbox or in the queue: an `EmailId`. Not `message`, which is what
/// `tracing` calls the words of an event.
pub const EMAIL: &str = "email";
/// A message on its way through the platform: the `TraceId` that the 250 reply told.
pub const TRACE: &str = "trace";
/// The mail database: a `ShardId`.
pub const SHARD: &str = "shard";
/// The kind of work, as in the store's calls and metrics: `mailstore.deliver`.
pub const LABEL: &str = "label";
/// The other end of a connection: an IP address, or its host name where we chose it.
pub const PEER: &str = "peer";
/// How long it took: milliseconds as a number.
pub const DURATION_MS: &str = "duration_ms";
/// What went wrong, with its causes: see [`crate::log::causes`].
pub const ERROR: &str = "error";
