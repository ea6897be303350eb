//! ID, ENABLE and COMPRESS: what both sides tell each other about themselves.
//!
//! Standards: RFC 2971 (ID), RFC 5161 (ENABLE), RFC 4978 (COMPRESS).

use super::{Command, put_string};
use crate::Dialect;
use crate::parse::{Malformed, Parsed, atom, expect, nstring, sp, string, word};
use crate::print::{list, put};

/// RFC 2971 section 3.3: at most 30 fields.
pub const MAX_ID_FIELDS: usize = 30;
/// More names in one ENABLE are refused.
const MAX_ENABLED: usize = 50;

/// Fields and values of `ID (…)`; empty for `ID NIL`. They come from strangers and are for
/// the log only (RFC 2971 section 4); not UTF-8 is replaced.
pub type Id = Vec<(String, Option<String>)>;

pub(crate) fn id(input: &[u8], _: Dialect) -> Parsed<'_, Command> {
    let input = sp(input)?;
    if let Some(rest) = word(input, "NIL") {
        return Ok((rest, Command::Id(Vec::new())));
    }
    let mut rest = expect(input, "(", "expected NIL or a list of fields and values")?;
    let mut fields = Vec::new();
    while !rest.starts_with(b")") {
        if fields.len() >= MAX_ID_FIELDS {
            return Err(Malformed("too many fields in ID"));
        }
        let behind_previous = if fields.is_empty() { rest } else { sp(rest)? };
        let (after, field) = string(behind_previous)?;
        let (after, value) = nstring(sp(after)?)?;
        let lossy = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
        fields.push((lossy(&field), value.as_deref().map(lossy)));
        rest = after;
    }
    Ok((expect(rest, ")", "expected )")?, Command::Id(fields)))
}

pub(crate) fn enable(input: &[u8], _: Dialect) -> Parsed<'_, Command> {
    let mut rest = input;
    let mut names = Vec::new();
    while names.is_empty() || !rest.is_empty() {
        let (after, name) = atom(sp(rest)?)?;
        if names.len() >= MAX_ENABLED {
            return Err(Malformed("too many names in ENABLE"));
        }
        names.push(name.to_ascii_uppercase());
        rest = after;
    }
    Ok((rest, Command::Enable(names)))
}

pub(crate) fn compress(input: &[u8], _: Dialect) -> Parsed<'_, Command> {
    let (rest, mechanism) = atom(sp(input)?)?;
    Ok((rest, Command::Compress(mechanism.to_ascii_uppercase())))
}

/// `ID (…)` as a client writes it.
pub(super) fn print_id(out: &mut Vec<u8>, fields: &Id) {
    put(out, "ID ");
    if fields.is_empty() {
        return put(out, "NIL");
    }
    list(out, fields, |out, (field, value)| {
        put_string(out, field.as_bytes());
        put(out, " ");
        match value {
            Some(value) => put_string(out, value.as_bytes()),
            None => put(out, "NIL"),
        }
    });
}
