//! STORE, by sequence number or UID.
//!
//! Standards: RFC 3501 section 6.4.6, RFC 7162 section 3.1.3 (UNCHANGEDSINCE).

use super::{By, Command, print_by};
use crate::parse::{
    MAX_FLAGS, Malformed, Parsed, expect, flag, flag_list, literally, messages, mod_sequence_valzer, sp, word,
};
use crate::print::{list, put};
use crate::{Dialect, Flag, Messages, ModSeq};

/// `STORE messages [(UNCHANGEDSINCE n)] [+-]FLAGS[.SILENT] flags`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// Kind of the numbers.
    pub by: By,
    /// Which messages.
    pub messages: Messages,
    /// Only those not changed since.
    pub unchanged_since: Option<ModSeq>,
    /// What to do with the flags.
    pub action: StoreAction,
    /// `.SILENT`: the client does not want to be told the new flags.
    pub silent: bool,
    /// The flags.
    pub flags: Vec<Flag>,
}

/// What STORE does with its flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreAction {
    /// `FLAGS`: these and no others.
    Replace,
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
}

pub(crate) fn store(input: &[u8], _: Dialect) -> Parsed<'_, Command> {
    arguments(input, By::SeqNum)
}

pub(crate) fn uid_store(input: &[u8], _: Dialect) -> Parsed<'_, Command> {
    arguments(input, By::Uid)
}

fn arguments(input: &[u8], by: By) -> Parsed<'_, Command> {
    let (rest, messages) = messages(sp(input)?)?;
    let (rest, unchanged_since) = store_modifier(sp(rest)?)?;
    let (rest, action) = match rest {
        [b'+', rest @ ..] => (rest, StoreAction::Add),
        [b'-', rest @ ..] => (rest, StoreAction::Remove),
        rest => (rest, StoreAction::Replace),
    };
    let (rest, silent) = match (word(rest, "FLAGS"), word(rest, "FLAGS.SILENT")) {
        (Some(rest), _) => (rest, false),
        (_, Some(rest)) => (rest, true),
        _ => return Err(Malformed("expected FLAGS or FLAGS.SILENT, perhaps behind + or -")),
    };
    let (rest, flags) = flags(sp(rest)?)?;
    Ok((rest, Command::Store(Store { by, messages, unchanged_since, action, silent, flags })))
}

/// `(UNCHANGEDSINCE n) ` if it stands here.
fn store_modifier(input: &[u8]) -> Parsed<'_, Option<ModSeq>> {
    if !input.starts_with(b"(") {
        return Ok((input, None));
    }
    let rest = literally(input, "(UNCHANGEDSINCE ").ok_or(Malformed("unknown modifier of STORE"))?;
    let (rest, modseq) = mod_sequence_valzer(rest)?;
    let rest = expect(rest, ") ", "expected ) and a space behind UNCHANGEDSINCE")?;
    Ok((rest, Some(modseq)))
}

/// `flag-list`, or flags with spaces between them.
fn flags(input: &[u8]) -> Parsed<'_, Vec<Flag>> {
    if input.starts_with(b"(") {
        return flag_list(input);
    }
    let (mut rest, first) = flag(input)?;
    let mut flags = vec![first];
    while let Some(after) = rest.strip_prefix(b" ") {
        let (after, next) = flag(after)?;
        if flags.len() >= MAX_FLAGS {
            return Err(Malformed("too many flags"));
        }
        flags.push(next);
        rest = after;
    }
    Ok((rest, flags))
}

impl Store {
    pub(super) fn print(&self, out: &mut Vec<u8>) {
        print_by(out, self.by);
        put(out, format_args!("STORE {} ", self.messages));
        if let Some(modseq) = self.unchanged_since {
            put(out, format_args!("(UNCHANGEDSINCE {modseq}) "));
        }
        let sign = match self.action {
            StoreAction::Replace => "",
            StoreAction::Add => "+",
            StoreAction::Remove => "-",
        };
        put(out, format_args!("{sign}FLAGS{} ", if self.silent { ".SILENT" } else { "" }));
        list(out, &self.flags, put);
    }
}
