//! APPEND of one or several messages.
//!
//! Standards: RFC 3501 section 6.3.11, RFC 3502 (MULTIAPPEND), RFC 3516 section 4.4
//! (`~{n}`), RFC 6855 section 4 (UTF8).
//!
//! The framer hands a message over while it arrives and leaves it out of the command's
//! text: behind the CRLF of `{310}` stands what followed the message. So this parser also
//! takes the beginning of a command, up to an announcement, and the server can refuse a
//! message before the client has sent it.

use super::{Command, print_with_mailbox};
use crate::parse::{Malformed, Parsed, date_time, expect, flag_list, literal_header, literally, mailbox, sp};
use crate::print::{list, put};
use crate::{DateTime, Dialect, Flag, MailboxName};

/// More messages in one command are refused.
const MAX_MESSAGES: usize = 1000;

/// `APPEND mailbox 1*message`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// Where to.
    pub mailbox: MailboxName,
    /// At least one; the framer delivered their content in this order.
    pub messages: Vec<AppendMessage>,
}

/// What is said of one message before its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendMessage {
    /// The flags it shall have.
    pub flags: Vec<Flag>,
    /// Its internal date; `None`: now.
    pub date_time: Option<DateTime>,
    /// How many bytes were announced.
    pub size_bytes: u64,
    /// How they were announced.
    pub form: MessageForm,
}

/// The forms of `append-data`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageForm {
    /// `{n}`
    Literal,
    /// `~{n}`: may hold NUL.
    Literal8,
    /// `UTF8 (~{n})`: the header may be UTF-8.
    Utf8,
}

pub(crate) fn append(input: &[u8], dialect: Dialect) -> Parsed<'_, Command> {
    let (mut rest, mailbox) = mailbox(sp(input)?, dialect)?;
    let mut messages = Vec::new();
    while messages.is_empty() || !rest.is_empty() {
        if messages.len() >= MAX_MESSAGES {
            return Err(Malformed("too many messages in one APPEND"));
        }
        let (after, message) = append_message(rest)?;
        messages.push(message);
        rest = after;
    }
    Ok((rest, Command::Append(Append { mailbox, messages })))
}

/// `append-message`
fn append_message(input: &[u8]) -> Parsed<'_, AppendMessage> {
    let mut rest = sp(input)?;
    let mut flags = Vec::new();
    if rest.starts_with(b"(") {
        let (after, list) = flag_list(rest)?;
        flags = list;
        rest = sp(after)?;
    }
    let mut value = None;
    if rest.starts_with(b"\"") {
        let (after, date_time) = date_time(rest)?;
        value = Some(date_time);
        rest = sp(after)?;
    }
    let (rest, (size_bytes, form)) = append_data(rest)?;
    Ok((rest, AppendMessage { flags, date_time: value, size_bytes, form }))
}

/// `append-data`, with the content left out.
fn append_data(input: &[u8]) -> Parsed<'_, (u64, MessageForm)> {
    let Some(inner) = literally(input, "UTF8 (") else {
        let (rest, (size_bytes, is_binary)) = literal_header(input)?;
        let form = if is_binary { MessageForm::Literal8 } else { MessageForm::Literal };
        return Ok((rest, (size_bytes, form)));
    };
    let (rest, (size_bytes, is_binary)) = literal_header(inner)?;
    if !is_binary {
        return Err(Malformed("expected ~{ behind UTF8 ("));
    }
    // At the beginning of a command, before the content is here, the text ends. A client
    // that forgets the parenthesis at the end of the whole command is not told.
    let rest = if rest.is_empty() { rest } else { expect(rest, ")", "expected ) behind the message")? };
    Ok((rest, (size_bytes, MessageForm::Utf8)))
}

impl Append {
    pub(super) fn print(&self, out: &mut Vec<u8>, dialect: Dialect) {
        print_with_mailbox(out, "APPEND", &self.mailbox, dialect);
        for message in &self.messages {
            message.print(out);
        }
    }
}

impl AppendMessage {
    fn print(&self, out: &mut Vec<u8>) {
        put(out, " ");
        if !self.flags.is_empty() {
            list(out, &self.flags, put);
            put(out, " ");
        }
        if let Some(date_time) = &self.date_time {
            put(out, format_args!("{date_time} "));
        }
        match self.form {
            MessageForm::Literal => put(out, format_args!("{{{}+}}\r\n", self.size_bytes)),
            MessageForm::Literal8 => put(out, format_args!("~{{{}+}}\r\n", self.size_bytes)),
            MessageForm::Utf8 => put(out, format_args!("UTF8 (~{{{}+}}\r\n)", self.size_bytes)),
        }
    }
}
