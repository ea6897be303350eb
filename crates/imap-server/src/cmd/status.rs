//! STATUS: a mailbox's numbers without opening it.
//!
//! Standards: RFC 3501 section 6.3.10, RFC 8438 (SIZE), RFC 9051 section 6.3.11 (DELETED),
//! RFC 9208 section 4.1.4 (DELETED-STORAGE), RFC 7162 (HIGHESTMODSEQ), RFC 7889 (APPENDLIMIT),
//! RFC 8474 section 4.3 (MAILBOXID).

use hikyaku_imap_proto::MailboxName;
use hikyaku_imap_proto::command::{Status, StatusItem};
use hikyaku_imap_proto::response::{self, StatusValue};
use hikyaku_mailstore::{Mailbox, entry};

use crate::mailboxes::{self, object_id};
use crate::session::{Failure, Session};

pub(super) async fn status(session: &mut Session<'_>, status: &Status) -> Result<(), Failure> {
    let mailbox = mailboxes::find(session, &status.mailbox).await?;
    tell(session, &status.mailbox, &mailbox, &status.items).await
}

/// The STATUS response; LIST has it, too.
pub(super) async fn tell(
    session: &mut Session<'_>,
    name: &MailboxName,
    mailbox: &Mailbox,
    items: &[StatusItem],
) -> Result<(), Failure> {
    let needs_deleted =
        items.iter().any(|item| matches!(item, StatusItem::Deleted | StatusItem::DeletedStorage));
    let id = mailbox.id;
    let deleted = match needs_deleted {
        true => session.read("imap.deleted_sums", move |tx| entry::deleted_sums(tx, id)).await?,
        false => (0, 0),
    };
    let limit = session.mode.message_bytes;
    let values: Vec<_> = items.iter().map(|item| (*item, value(*item, mailbox, deleted, limit))).collect();
    response::status(&mut session.wire.out, name, &values, session.dialect);
    Ok(())
}

fn value(item: StatusItem, mailbox: &Mailbox, deleted: (u64, u64), append_limit: u64) -> StatusValue {
    StatusValue::Number(match item {
        StatusItem::Messages => u64::from(mailbox.messages),
        StatusItem::Recent => 0,
        StatusItem::UidNext => u64::from(mailbox.uidnext),
        StatusItem::UidValidity => u64::from(mailbox.uidvalidity),
        StatusItem::Unseen => u64::from(mailbox.unseen),
        StatusItem::Deleted => deleted.0,
        StatusItem::DeletedStorage => deleted.1,
        StatusItem::Size => mailbox.bytes,
        StatusItem::HighestModSeq => mailbox.modseq.unsigned_abs(),
        StatusItem::AppendLimit => append_limit,
        StatusItem::MailboxId => return StatusValue::ObjectId(object_id(mailbox.id)),
    })
}
