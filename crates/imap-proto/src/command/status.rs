//! STATUS, and the items that LIST RETURN (STATUS …) shares.
//!
//! Standards: RFC 3501 section 6.3.10, RFC 9051 section 6.3.11 (DELETED, SIZE), RFC 7162
//! section 3.1.7, RFC 7889 section 5 (APPENDLIMIT), RFC 8474 section 4.3 (MAILBOXID),
//! RFC 9208 section 4.1.4 (DELETED-STORAGE).

use super::{Command, print_with_mailbox};
use crate::parse::{Parsed, list, mailbox, sp};
use crate::print::{self, put};
use crate::words::words;
use crate::{Dialect, MailboxName};

words! {
    /// `status-att`
    StatusItem "expected a status item like MESSAGES" {
        /// Number of messages.
        Messages "MESSAGES",
        /// Number of messages with \Recent.
        Recent "RECENT",
        /// The next UID.
        UidNext "UIDNEXT",
        /// The UIDVALIDITY.
        UidValidity "UIDVALIDITY",
        /// Number of messages without \Seen.
        Unseen "UNSEEN",
        /// Number of messages with \Deleted.
        Deleted "DELETED",
        /// Size of all messages in bytes.
        Size "SIZE",
        /// The highest mod-sequence.
        HighestModSeq "HIGHESTMODSEQ",
        /// Size of the messages with \Deleted in bytes.
        DeletedStorage "DELETED-STORAGE",
        /// The largest message that APPEND takes, in bytes.
        AppendLimit "APPENDLIMIT",
        /// The mailbox's id, which RENAME keeps.
        MailboxId "MAILBOXID",
    }
}

/// `STATUS mailbox (items)`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The mailbox asked about.
    pub mailbox: MailboxName,
    /// What is asked, in the client's order.
    pub items: Vec<StatusItem>,
}

/// `( status-att … )`: at least one.
pub(super) fn status_items(input: &[u8]) -> Parsed<'_, Vec<StatusItem>> {
    list(input, 1, StatusItem::ALL.len(), StatusItem::parse)
}

pub(crate) fn status(input: &[u8], dialect: Dialect) -> Parsed<'_, Command> {
    let (rest, mailbox) = mailbox(sp(input)?, dialect)?;
    let (rest, items) = status_items(sp(rest)?)?;
    Ok((rest, Command::Status(Status { mailbox, items })))
}

impl Status {
    pub(super) fn print(&self, out: &mut Vec<u8>, dialect: Dialect) {
        print_with_mailbox(out, "STATUS", &self.mailbox, dialect);
        put(out, " ");
        print::list(out, &self.items, put);
    }
}
