//! What an account has: mailboxes, entries in them, emails, threads, quota.
//!
//! ```text
//! mailbox(account, 0)            the root: the account's sequence, usage, and lock
//! mailbox(account, n)            a mailbox: counts, UIDNEXT, highest modseq
//!   entry(account, n, uid)       one message in it: flags, modseq, and which email
//!     email(id)                  one message of the account: content, our own lines, thread
//!       content(id)              the bytes as received (crate `store`)
//! search_…(account, …)           which emails may have a text: [`search`]
//! ```
//!
//! Invariants:
//! - every change of an account takes a modseq from its root row, first of all: on PostgreSQL
//!   that row is the account's lock;
//! - the counts in a mailbox row and the sums in the root are those of the entries, at every
//!   commit; quota is checked by the statement that counts;
//! - a UID is given once in a mailbox, a UIDVALIDITY once in an account;
//! - an email lives as long as an entry names it; with the last one its content loses a
//!   reference.
//!
//! All functions here run inside a transaction; none asks the clock.

pub mod account;
pub mod check;
pub mod deliver;
pub mod email;
pub mod entry;
pub mod flags;
pub mod import;
mod keys;
pub mod mailbox;
pub mod pack;
mod prelude;
mod schema;
pub mod search;
pub mod snapshot;
pub mod subscription;
mod thread;
mod usage;
mod varint;

pub use deliver::{
    ContentHash, DeliverError, Delivered, Delivery, DeliveryKey, IfFull, Outcome, Recipient, Target,
    TenantPart, deliver,
};
pub use email::{AppendError, AppendedEmail, Email, append};
pub use entry::{CopyError, Entry};
pub use flags::{Change, Flags, Keywords};
pub use import::{ImportError, ImportKey};
pub use keys::KeyCleaner;
pub use mailbox::{Mailbox, MailboxError, MailboxId, MailboxPath, Role};
pub use prelude::Prelude;
pub use schema::SCHEMA;
pub use search::SEARCH_SCHEMA;
pub use thread::{MessageHash, Threading};
pub use usage::{Quota, QuotaError, Room, note_pool_full, pool_room};
