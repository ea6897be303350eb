//! What the server says: printers that append to a buffer.
//!
//! Standards: RFC 3501 section 7, RFC 9051 section 7; each file names its extensions.
//!
//! A line printed is whole, with its CRLF. Only the contents of messages may be longer
//! than is good to hold: [`FetchWriter::begin_content`] prints what stands before them.

mod account;
mod body_structure;
mod code;
mod envelope;
mod fetch;
mod list;
mod mailbox;
mod search;
mod status_response;
mod texts;

pub use account::{Namespace, QuotaResource, capability, enabled, id, namespace, quota, quota_root};
pub use body_structure::{
    BodyFields, BodyStructure, Disposition, Extension, MultiPart, Parameters, SinglePart, SinglePartKind,
};
pub use code::{Code, MayCreate, Word};
pub use envelope::{Bytes, Envelope, EnvelopeAddress};
pub use fetch::FetchWriter;
pub use list::{ListAttribute, ListEntry, list, list_separator, lsub};
pub use mailbox::{StatusValue, exists, expunge, flags, recent, status, vanished};
pub use search::{ESearch, ESort, ThreadNode, search, sort, thread};
pub use status_response::{Condition, StatusResponse, continuation};
