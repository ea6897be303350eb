//! STATUS: a mailbox's numbers without opening it.
//!
//! Standards: RFC 3501 section 6.3.10, RFC 8438 (SIZE), RFC 7162 (HIGHESTMODSEQ).

use hikyaku_imap_proto::command::{Status, StatusItem};
use hikyaku_imap_proto::response::{self, StatusResponse, StatusValue};

use crate::mailboxes::Tree;
use crate::session::{Failure, Session};

pub(super) async fn status(session: &mut Session<'_>, status: &Status) -> Result<(), Failure> {
    let tree = Tree::load(session).await?;
    let mailbox = tree.find(&status.mailbox)?;
    let mut values = Vec::with_capacity(status.items.len());
    for item in &status.items {
        let value = match item {
            StatusItem::Messages => u64::from(mailbox.messages),
            StatusItem::Recent => 0,
            StatusItem::UidNext => u64::from(mailbox.uidnext),
            StatusItem::UidValidity => u64::from(mailbox.uidvalidity),
            StatusItem::Unseen => u64::from(mailbox.unseen),
            StatusItem::Size => mailbox.bytes,
            StatusItem::HighestModSeq => mailbox.modseq.unsigned_abs(),
            StatusItem::AppendLimit => session.mode.message_bytes,
            // Not announced.
            _ => return Err(StatusResponse::bad(&hikyaku_imap_proto::table::Reason::UnknownCommand).into()),
        };
        values.push((*item, StatusValue::Number(value)));
    }
    response::status(&mut session.wire.out, &status.mailbox, &values, session.dialect);
    Ok(())
}
