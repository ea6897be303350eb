//! CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE.
//!
//! Standards: RFC 3501 sections 6.3.3 to 6.3.7, RFC 6154 section 3 (USE).

use super::{Command, print_with_mailbox, put_astring};
use crate::mailbox::SEPARATOR;
use crate::parse::{Malformed, Parsed, expect, literally, mailbox, sp};
use crate::print::{list, put};
use crate::words::words;
use crate::{Dialect, MailboxName, parse};

words! {
    /// What a mailbox is for, RFC 6154 section 2 and RFC 8457 section 3.
    SpecialUse "expected a special use like \\Sent" {
        /// All messages.
        All "\\All",
        /// Archived messages.
        Archive "\\Archive",
        /// Drafts.
        Drafts "\\Drafts",
        /// Messages marked with \Flagged.
        Flagged "\\Flagged",
        /// Messages marked important.
        Important "\\Important",
        /// Junk mail.
        Junk "\\Junk",
        /// Copies of sent messages.
        Sent "\\Sent",
        /// Messages to be deleted.
        Trash "\\Trash",
    }
}

/// `CREATE mailbox [(USE (uses))]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Create {
    /// Without the separator that a client may put at its end to announce children: our
    /// mailboxes can always have some (RFC 3501 section 6.3.3).
    pub mailbox: MailboxName,
    /// What it shall be for.
    pub special_use: Vec<SpecialUse>,
}

/// `RENAME from to`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rename {
    /// The present name.
    pub from: MailboxName,
    /// The name to be.
    pub to: MailboxName,
}

pub(crate) fn create(input: &[u8], dialect: Dialect) -> Parsed<'_, Command> {
    let (rest, name) = mailbox(sp(input)?, dialect)?;
    let mailbox = name.without_trailing_separator().ok_or(Malformed("mailbox name is empty"))?;
    let Some(uses) = literally(rest, " (USE ") else {
        return Ok((rest, Command::Create(Create { mailbox, special_use: Vec::new() })));
    };
    let (rest, special_use) = parse::list(uses, 0, SpecialUse::ALL.len(), SpecialUse::parse)?;
    let rest = expect(rest, ")", "expected ) behind USE")?;
    Ok((rest, Command::Create(Create { mailbox, special_use })))
}

pub(crate) fn delete(input: &[u8], dialect: Dialect) -> Parsed<'_, Command> {
    let (rest, mailbox) = mailbox(sp(input)?, dialect)?;
    Ok((rest, Command::Delete(mailbox)))
}

pub(crate) fn rename(input: &[u8], dialect: Dialect) -> Parsed<'_, Command> {
    let (rest, from) = mailbox(sp(input)?, dialect)?;
    let (rest, to) = mailbox(sp(rest)?, dialect)?;
    let to = to.without_trailing_separator().ok_or(Malformed("mailbox name is empty"))?;
    Ok((rest, Command::Rename(Rename { from, to })))
}

pub(crate) fn subscribe(input: &[u8], dialect: Dialect) -> Parsed<'_, Command> {
    let (rest, mailbox) = mailbox(sp(input)?, dialect)?;
    Ok((rest, Command::Subscribe(mailbox)))
}

pub(crate) fn unsubscribe(input: &[u8], dialect: Dialect) -> Parsed<'_, Command> {
    let (rest, mailbox) = mailbox(sp(input)?, dialect)?;
    Ok((rest, Command::Unsubscribe(mailbox)))
}

impl Create {
    pub(super) fn print(&self, out: &mut Vec<u8>, dialect: Dialect) {
        put(out, "CREATE ");
        put_new_name(out, &self.mailbox, dialect);
        if !self.special_use.is_empty() {
            put(out, " (USE ");
            list(out, &self.special_use, put);
            put(out, ")");
        }
    }
}

impl Rename {
    pub(super) fn print(&self, out: &mut Vec<u8>, dialect: Dialect) {
        print_with_mailbox(out, "RENAME", &self.from, dialect);
        put(out, " ");
        put_new_name(out, &self.to, dialect);
    }
}

/// A separator at the end announces children and is taken off: one that is meant stands twice.
fn put_new_name(out: &mut Vec<u8>, name: &MailboxName, dialect: Dialect) {
    let mut wire = name.to_wire(dialect);
    if wire.ends_with(SEPARATOR) {
        wire.push(SEPARATOR);
    }
    put_astring(out, wire.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_separator_is_taken_off_a_new_name() {
        for dialect in [Dialect::SevenBit, Dialect::Utf8] {
            for (text, printed) in [("N", "N"), ("N/", "N"), ("N//", "N//"), ("N///", "N///"), ("//", "//")] {
                let text = format!(" {text}");
                let (rest, command) = create(text.as_bytes(), dialect).unwrap();
                assert_eq!(
                    (rest, command.print(dialect)),
                    (&b""[..], format!("CREATE {printed}").into_bytes())
                );
                let text = format!(" a{text}");
                let (rest, command) = rename(text.as_bytes(), dialect).unwrap();
                let expected = format!("RENAME a {printed}").into_bytes();
                assert_eq!((rest, command.print(dialect)), (&b""[..], expected));
            }
        }
    }
}
