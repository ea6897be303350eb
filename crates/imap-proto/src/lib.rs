//! IMAP on the wire, server side: a client's bytes to commands, responses to bytes.
//!
//! Standards: RFC 3501 (IMAP4rev1), prepared for RFC 9051 (IMAP4rev2); each module names
//! the extensions it knows, [`capability`] lists them.
//!
//! The way of a command: [`Framer`] cuts it out of the stream, with its literals, and
//! keeps in step whatever it is; [`table::request`] reads it by its row in [`table::TABLE`];
//! the server carries it out and answers with the printers of [`response`]. What the client
//! has been told about the open mailbox is a [`View`].
//! Invariants: no I/O, no clock; no input makes this crate panic; everything a client can
//! make large, deep or many is bounded.

pub mod capability;
pub mod command;
pub mod date;
pub mod deflate;
pub mod flag;
pub mod framer;
pub mod mailbox;
mod number;
mod number_set;
pub mod parse;
pub mod print;
pub mod response;
pub mod section;
mod sequence_set;
pub mod table;
mod tag;
pub mod utf7;
pub mod view;
mod words;

pub use command::{By, Command};
pub use date::{Date, DateTime};
pub use flag::{Flag, Keyword};
pub use framer::Framer;
pub use mailbox::{Dialect, ListPattern, MailboxName};
pub use number::{ModSeq, Number, SeqNum, Uid, UidValidity};
pub use number_set::{NumberSet, SeqSet, UidSet};
pub use section::{Partial, Section};
pub use sequence_set::{Messages, SeqEnd, SequenceSet};
pub use tag::Tag;
pub use view::View;
