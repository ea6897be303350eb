//! Everything the platform needs to know about the bytes of a message.
//!
//! | module | answers |
//! |---|---|
//! | [`header`] | which fields are there, and where? |
//! | [`fields`] | what does an address list, date, message id or parameter list say? |
//! | [`encoded_word`], [`charset`], [`transfer`] | what text, what octets do these bytes stand for? |
//! | [`structure`] | which parts are there, and where? (BODYSTRUCTURE) |
//! | [`envelope`], [`section`] | what does IMAP tell and send of them? |
//! | [`text`] | what does the message say to a reader? |
//! | [`fold`](mod@fold), [`search`] | which texts are equal to a searcher, and where are they? |
//! | [`binary`] | how does it look without binary parts? |
//! | [`thread`], [`hops`] | which messages belong to it, and how far has it come? |
//!
//! Why an own parser: IMAP promises exact ranges, line counts and answers that stay the same
//! for as long as a message lives, and each delivery waits for the scan. Libraries for MIME
//! are made to give decoded messages; where they are tolerant, and what they allocate, is
//! theirs to change. The tables of charsets are another matter and come from `encoding_rs`.
//!
//! Invariants, held by tests in each module:
//! - no I/O, no clock; the same bytes give the same answer;
//! - any bytes are accepted: nothing panics, and what cannot be understood is passed over;
//! - time and memory are linear in the length of the content; depth and counts are bounded
//!   ([`structure::MAX_DEPTH`], [`structure::MAX_PARTS`], [`fields::MAX_ADDRESSES`],
//!   [`fields::MAX_PARAMETERS`], [`fields::MAX_MESSAGE_IDS`]).
//!
//! Trust: all of it comes from strangers. Decoded texts are plain text without a promise:
//! whoever shows them as HTML escapes them, whoever uses a file name takes its path off.

pub mod binary;
pub mod charset;
pub mod encoded_word;
pub mod envelope;
pub mod fields;
pub mod fold;
pub mod header;
pub mod hops;
pub mod report;
pub mod search;
pub mod section;
mod span;
pub mod structure;
pub mod text;
pub mod thread;
pub mod transfer;

pub use envelope::Envelope;
pub use header::{Field, Header};
pub use span::Span;
pub use structure::{Kind, Part, PartId, Structure};
