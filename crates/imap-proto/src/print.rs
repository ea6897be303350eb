//! What printers share: strings in the form that their bytes allow.
//!
//! Standards: RFC 3501 section 4.3, RFC 9051 section 4.3.

use std::fmt::Display;
use std::io::Write;

use crate::parse::is_astring_char;
use crate::{Dialect, MailboxName};

/// Longer strings are written as literals: some clients read quoted ones into a fixed
/// buffer, and RFC 3501 section 4.3 means literals for text of any length.
const LONGEST_QUOTED: usize = 1000;

/// Appends what `value` displays.
pub fn put(out: &mut Vec<u8>, value: impl Display) {
    write!(out, "{value}").expect("a Vec takes every write");
}

/// May `bytes` stand between quotes?
fn fits_quotes(bytes: &[u8], dialect: Dialect) -> bool {
    let text = match dialect {
        Dialect::SevenBit => bytes.is_ascii(),
        Dialect::Utf8 => std::str::from_utf8(bytes).is_ok(),
    };
    text && bytes.len() <= LONGEST_QUOTED && !bytes.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n'))
}

/// `"…"` with backslashes; the bytes must fit between quotes.
fn put_quoted(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    for byte in bytes {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

/// `string`: quoted where it can be, else a literal.
///
/// NUL is in neither (RFC 3501 section 9, `CHAR8`) and is left out: it comes from a
/// stranger's header, and one wrong byte must not end the client's session.
pub fn string(out: &mut Vec<u8>, bytes: &[u8], dialect: Dialect) {
    if fits_quotes(bytes, dialect) {
        put_quoted(out, bytes);
        return;
    }
    let without_nul: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
    literal_header(out, without_nul.len() as u64);
    out.extend_from_slice(&without_nul);
}

/// `nstring`
pub fn nstring(out: &mut Vec<u8>, bytes: Option<&[u8]>, dialect: Dialect) {
    match bytes {
        Some(bytes) => string(out, bytes, dialect),
        None => out.extend_from_slice(b"NIL"),
    }
}

/// `astring`: an atom where it can be. `NIL` is quoted, so that nobody reads it as nothing.
pub fn astring(out: &mut Vec<u8>, bytes: &[u8], dialect: Dialect) {
    let is_atom = !bytes.is_empty() && bytes.iter().all(|byte| is_astring_char(*byte));
    if is_atom && !bytes.eq_ignore_ascii_case(b"NIL") {
        out.extend_from_slice(bytes);
    } else {
        string(out, bytes, dialect);
    }
}

/// `mailbox`, encoded as the session has it.
pub fn mailbox(out: &mut Vec<u8>, name: &MailboxName, dialect: Dialect) {
    astring(out, name.to_wire(dialect).as_bytes(), dialect);
}

/// `{n}` CRLF: exactly `size_bytes` must follow.
pub fn literal_header(out: &mut Vec<u8>, size_bytes: u64) {
    put(out, format_args!("{{{size_bytes}}}\r\n"));
}

/// `(a b c)`
pub fn list<T>(out: &mut Vec<u8>, items: impl IntoIterator<Item = T>, mut item: impl FnMut(&mut Vec<u8>, T)) {
    out.push(b'(');
    separated(out, items, &mut item);
    out.push(b')');
}

/// `a b c`
pub fn separated<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut item: impl FnMut(&mut Vec<u8>, T),
) {
    for (index, value) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        item(out, value);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::parse;

    #[test]
    fn forms() {
        let long = "x".repeat(LONGEST_QUOTED + 1);
        for (bytes, seven_bit, utf8) in [
            (&b"abc"[..], "abc", "abc"),
            (b"", "\"\"", "\"\""),
            (b"nil", "\"nil\"", "\"nil\""),
            (b"a b", "\"a b\"", "\"a b\""),
            (b"a\"\\", "\"a\\\"\\\\\"", "\"a\\\"\\\\\""),
            ("é".as_bytes(), "{2}\r\né", "\"é\""),
            (b"a\r\nb", "{4}\r\na\r\nb", "{4}\r\na\r\nb"),
            (b"a\0b", "{2}\r\nab", "{2}\r\nab"),
        ] {
            for (dialect, expected) in [(Dialect::SevenBit, seven_bit), (Dialect::Utf8, utf8)] {
                let mut out = Vec::new();
                astring(&mut out, bytes, dialect);
                assert_eq!(String::from_utf8_lossy(&out), expected);
            }
        }
        let mut out = Vec::new();
        string(&mut out, long.as_bytes(), Dialect::SevenBit);
        assert!(out.starts_with(b"{1001}\r\n"));
    }

    proptest! {
        #[test]
        fn what_is_printed_is_parsed(bytes in prop::collection::vec(1u8.., 0..40)) {
            for dialect in [Dialect::SevenBit, Dialect::Utf8] {
                let mut out = Vec::new();
                nstring(&mut out, Some(&bytes), dialect);
                out.push(b' ');
                astring(&mut out, &bytes, dialect);
                let (rest, first) = parse::nstring(&out).unwrap();
                let (rest, second) = parse::astring(parse::sp(rest).unwrap()).unwrap();
                prop_assert!(rest.is_empty());
                prop_assert_eq!(first.as_deref(), Some(&bytes[..]));
                prop_assert_eq!(&*second, &bytes[..]);
            }
        }
    }
}
