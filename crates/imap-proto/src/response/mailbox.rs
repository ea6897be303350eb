//! Untagged data about a mailbox: FLAGS, EXISTS, RECENT, EXPUNGE, VANISHED, STATUS.
//!
//! Standards: RFC 3501 sections 7.2.4 to 7.4.1, RFC 7162 section 3.2.10 (VANISHED).

use crate::command::StatusItem;
use crate::print::{self, put};
use crate::{Dialect, Flag, MailboxName, SeqNum, UidSet};

/// `* FLAGS (…)`: the flags that messages here can have.
pub fn flags(out: &mut Vec<u8>, flags: &[Flag]) {
    put(out, "* FLAGS ");
    print::list(out, flags, put);
    put(out, "\r\n");
}

/// `* n EXISTS`
pub fn exists(out: &mut Vec<u8>, count: u32) {
    put(out, format_args!("* {count} EXISTS\r\n"));
}

/// `* n RECENT`
pub fn recent(out: &mut Vec<u8>, count: u32) {
    put(out, format_args!("* {count} RECENT\r\n"));
}

/// `* n EXPUNGE`
pub fn expunge(out: &mut Vec<u8>, seq: SeqNum) {
    put(out, format_args!("* {seq} EXPUNGE\r\n"));
}

/// `* VANISHED uids`, or `* VANISHED (EARLIER) uids` for what went before the mailbox was
/// opened: that changes no sequence numbers. Nothing for no UIDs.
pub fn vanished(out: &mut Vec<u8>, earlier: bool, uids: &UidSet) {
    if !uids.is_empty() {
        put(out, format_args!("* VANISHED {}{uids}\r\n", if earlier { "(EARLIER) " } else { "" }));
    }
}

/// The value of an item of STATUS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatusValue {
    /// A number.
    Number(u64),
    /// `NIL`: APPENDLIMIT without a limit.
    Nil,
    /// MAILBOXID.
    ObjectId(String),
}

/// `* STATUS mailbox (…)`
pub fn status(out: &mut Vec<u8>, name: &MailboxName, items: &[(StatusItem, StatusValue)], dialect: Dialect) {
    put(out, "* STATUS ");
    print::mailbox(out, name, dialect);
    put(out, " ");
    print::list(out, items, |out, (item, value)| match value {
        StatusValue::Number(number) => put(out, format_args!("{item} {number}")),
        StatusValue::Nil => put(out, format_args!("{item} NIL")),
        StatusValue::ObjectId(id) => put(out, format_args!("{item} ({id})")),
    });
    put(out, "\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Uid;

    #[test]
    fn known_lines() {
        let mut out = Vec::new();
        flags(&mut out, &Flag::SYSTEM);
        exists(&mut out, 172);
        recent(&mut out, 1);
        expunge(&mut out, SeqNum::new(44).unwrap());
        let uids: UidSet = [41, 43, 44, 45].into_iter().filter_map(Uid::new).collect();
        vanished(&mut out, true, &uids);
        vanished(&mut out, false, &uids);
        vanished(&mut out, false, &UidSet::new());
        let items = [
            (StatusItem::Messages, StatusValue::Number(231)),
            (StatusItem::AppendLimit, StatusValue::Nil),
            (StatusItem::MailboxId, StatusValue::ObjectId("F2212ea87".into())),
        ];
        status(&mut out, &MailboxName::new("Entwürfe").unwrap(), &items, Dialect::SevenBit);
        status(&mut out, &MailboxName::new("Entwürfe").unwrap(), &[], Dialect::Utf8);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n\
             * 172 EXISTS\r\n\
             * 1 RECENT\r\n\
             * 44 EXPUNGE\r\n\
             * VANISHED (EARLIER) 41,43:45\r\n\
             * VANISHED 41,43:45\r\n\
             * STATUS Entw&APw-rfe (MESSAGES 231 APPENDLIMIT NIL MAILBOXID (F2212ea87))\r\n\
             * STATUS \"Entwürfe\" ()\r\n"
        );
    }
}
