//! Mail that has to leave: submissions to elsewhere, and what forwards lead to.
//!
//! ```text
//! queue_message(id)                 one message of a tenant: content, our own lines, envelope
//!   queue_recipient(message, id)    one recipient: destination, state, when it is due
//!     content(id)                   the bytes as received (crate `store`)
//! queue_log(id)                     what administrators did to it, and why
//! sent(account)                     how much an account has sent in its hour and its day
//! ```
//!
//! Invariants:
//! - what is accepted for mailboxes and for elsewhere is one transaction ([`accept`]): its 250
//!   stands for both;
//! - a message is called by the trace id of its first recipient, which stands in our 250;
//! - a message is there as long as it has recipients, and holds one reference to its content;
//! - the counters of [`SendLimits`] are raised by the transaction that accepts, which fails
//!   when it would break them.
//!
//! Nothing is sent yet: recipients wait, or are held. A recipient's *lane* is its tenant,
//! destination and pool; the pool follows from the tenant's plan.
//!
//! Trust: addresses and ENVIDs come from strangers. They are stored and shown, never
//! interpreted.
//!
//! All functions here but those of [`Administration`] run inside a transaction; none asks the
//! clock.

mod accept;
mod administration;
mod change;
mod limit;
mod list;
mod outgoing;
mod schema;

pub use accept::{AcceptError, Acceptance, Accepted, Queued, accept};
pub use administration::{Administration, QueueError};
pub use change::{Deed, LogLine, last_id};
pub use limit::{LimitReached, SendLimits, Sending, Window, forget_account};
pub use list::{Filter, Item, ItemRecipient, Page, State};
pub use outgoing::{Kind, MOST_RECIPIENTS, Outgoing, OutgoingRecipient};
pub use schema::SCHEMA;
