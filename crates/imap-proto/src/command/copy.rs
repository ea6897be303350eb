//! COPY, MOVE and EXPUNGE, by sequence number or UID.
//!
//! Standards: RFC 3501 sections 6.4.3, 6.4.7 and 6.4.8, RFC 6851 (MOVE), RFC 4315
//! section 2.1 (UID EXPUNGE).

use super::{By, Command, print_by, print_with_mailbox};
use crate::parse::{Parsed, mailbox, messages, sp};
use crate::{Dialect, MailboxName, Messages};

/// `COPY messages mailbox`, and MOVE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Kind of the numbers.
    pub by: By,
    /// Which messages.
    pub messages: Messages,
    /// Where to.
    pub mailbox: MailboxName,
}

fn arguments(input: &[u8], by: By, dialect: Dialect) -> Parsed<'_, Copy> {
    let (rest, messages) = messages(sp(input)?)?;
    let (rest, mailbox) = mailbox(sp(rest)?, dialect)?;
    Ok((rest, Copy { by, messages, mailbox }))
}

pub(crate) fn copy(input: &[u8], dialect: Dialect) -> Parsed<'_, Command> {
    let (rest, copy) = arguments(input, By::SeqNum, dialect)?;
    Ok((rest, Command::Copy(copy)))
}

pub(crate) fn uid_copy(input: &[u8], dialect: Dialect) -> Parsed<'_, Command> {
    let (rest, copy) = arguments(input, By::Uid, dialect)?;
    Ok((rest, Command::Copy(copy)))
}

pub(crate) fn move_messages(input: &[u8], dialect: Dialect) -> Parsed<'_, Command> {
    let (rest, copy) = arguments(input, By::SeqNum, dialect)?;
    Ok((rest, Command::Move(copy)))
}

pub(crate) fn uid_move(input: &[u8], dialect: Dialect) -> Parsed<'_, Command> {
    let (rest, copy) = arguments(input, By::Uid, dialect)?;
    Ok((rest, Command::Move(copy)))
}

pub(crate) fn expunge(input: &[u8], _: Dialect) -> Parsed<'_, Command> {
    Ok((input, Command::Expunge))
}

pub(crate) fn uid_expunge(input: &[u8], _: Dialect) -> Parsed<'_, Command> {
    let (rest, messages) = messages(sp(input)?)?;
    Ok((rest, Command::UidExpunge(messages)))
}

impl Copy {
    pub(super) fn print(&self, out: &mut Vec<u8>, name: &str, dialect: Dialect) {
        print_by(out, self.by);
        print_with_mailbox(out, &format!("{name} {}", self.messages), &self.mailbox, dialect);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_both_arguments() {
        for wrong in ["", " 1", " 1 ", " inbox 1", " 1,a b"] {
            assert!(copy(wrong.as_bytes(), Dialect::SevenBit).is_err(), "{wrong}");
        }
        let (_, command) = uid_move(b" 42:69 foo", Dialect::SevenBit).unwrap();
        assert_eq!(command.print(Dialect::SevenBit), b"UID MOVE 42:69 foo");
    }
}
