//! Structured values of header fields: addresses, message ids, dates, parameters.
//!
//! Each parser takes the value as it stands in the header, folded or not, and gives what
//! can be understood of it: a broken value never hides the rest of the message. Comments
//! nest without recursion, and every list is bounded.

mod addresses;
mod date;
mod message_ids;
mod parameters;
mod tokens;

pub use addresses::{Entry, MAX_ADDRESSES, Mailbox, addresses};
pub use date::{Date, date};
pub use message_ids::{MAX_MESSAGE_IDS, message_ids};
pub use parameters::{ContentType, Disposition, MAX_PARAMETERS, Parameter, Parameters};
