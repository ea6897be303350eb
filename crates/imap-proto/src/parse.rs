//! The grammar that commands share: pure functions named after RFC 3501 section 9.
//!
//! Each takes what is left of a command and gives the rest and a value. A command is what
//! the [`crate::Framer`] delivers: one contiguous text with its literals in place
//! (`{3}` CRLF and three bytes), without the CRLF at its end.
//! Invariants: nothing here panics on any input; lists and nesting are bounded; nothing
//! allocates more than a small multiple of the input.

use std::borrow::Cow;
use std::num::{NonZeroU32, NonZeroU64};

use crate::section::{FieldName, Partial, Section, SectionText};
use crate::sequence_set::{Messages, SeqEnd, SequenceSet};
use crate::{
    Date, DateTime, Dialect, Flag, ListPattern, MailboxName, ModSeq, Number, Tag, UidSet, UidValidity,
};

/// Why a text is not what the grammar wants: a short text for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// The rest of the input, and the value before it.
pub type Parsed<'a, T> = Result<(&'a [u8], T), Malformed>;

/// The most flags in one list.
pub const MAX_FLAGS: usize = 200;

/// `ATOM-CHAR`: any CHAR except `( ) { % * " \ ]`, SP and controls.
pub(crate) fn is_atom_char(byte: u8) -> bool {
    is_astring_char(byte) && byte != b']'
}

/// `ASTRING-CHAR`: `ATOM-CHAR` or `]`.
pub(crate) fn is_astring_char(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\')
}

fn is_list_char(byte: u8) -> bool {
    is_astring_char(byte) || matches!(byte, b'%' | b'*')
}

/// Splits off the longest beginning whose bytes satisfy `belongs`.
pub(crate) fn take_while(input: &[u8], belongs: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let end = input.iter().position(|byte| !belongs(*byte)).unwrap_or(input.len());
    let (taken, rest) = input.split_at(end);
    (rest, taken)
}

/// `text` without regard to case, or `None` if something else stands here.
pub(crate) fn literally<'a>(input: &'a [u8], text: &str) -> Option<&'a [u8]> {
    let (start, rest) = input.split_at_checked(text.len())?;
    start.eq_ignore_ascii_case(text.as_bytes()).then_some(rest)
}

/// `text` without regard to case, and nothing that would make a longer word of it.
pub(crate) fn word<'a>(input: &'a [u8], text: &str) -> Option<&'a [u8]> {
    let rest = literally(input, text)?;
    let ends = rest.first().is_none_or(|byte| !is_atom_char(*byte));
    ends.then_some(rest)
}

/// Exactly this, or an error saying that it was expected.
pub(crate) fn expect<'a>(input: &'a [u8], text: &str, or: &'static str) -> Result<&'a [u8], Malformed> {
    literally(input, text).ok_or(Malformed(or))
}

/// `SP`: one space.
pub fn sp(input: &[u8]) -> Result<&[u8], Malformed> {
    input.strip_prefix(b" ").ok_or(Malformed("expected a space and an argument"))
}

/// The end of the command.
pub fn end(input: &[u8]) -> Result<(), Malformed> {
    if input.is_empty() { Ok(()) } else { Err(Malformed("unexpected text behind the command")) }
}

/// `tag`
pub fn tag(input: &[u8]) -> Parsed<'_, Tag> {
    let (rest, text) = take_while(input, |byte| is_astring_char(byte) && byte != b'+');
    Ok((rest, Tag::parse(text).ok_or(Malformed("expected a tag"))?))
}

/// `atom`
pub fn atom(input: &[u8]) -> Parsed<'_, &str> {
    let (rest, text) = take_while(input, is_atom_char);
    match std::str::from_utf8(text) {
        Ok(text) if !text.is_empty() => Ok((rest, text)),
        _ => Err(Malformed("expected an atom")),
    }
}

/// `number`: decimal digits that fit 32 bits.
pub fn number(input: &[u8]) -> Parsed<'_, u32> {
    let (rest, value) = number64(input)?;
    Ok((rest, u32::try_from(value).map_err(|_| Malformed("number is too large"))?))
}

/// `number64`, RFC 9051 section 9: at most 63 bits.
pub fn number64(input: &[u8]) -> Parsed<'_, u64> {
    let (rest, digits) = take_while(input, |byte| byte.is_ascii_digit());
    if digits.is_empty() {
        return Err(Malformed("expected a number"));
    }
    let mut value: u64 = 0;
    for digit in digits {
        value = value
            .checked_mul(10)
            .and_then(|tens| tens.checked_add(u64::from(digit - b'0')))
            .filter(|value| *value <= i64::MAX as u64)
            .ok_or(Malformed("number is too large"))?;
    }
    Ok((rest, value))
}

/// `nz-number`: not zero, and not starting with it.
pub fn nz_number(input: &[u8]) -> Parsed<'_, NonZeroU32> {
    let (rest, value) = number(input)?;
    match NonZeroU32::new(value) {
        Some(value) if !input.starts_with(b"0") => Ok((rest, value)),
        _ => Err(Malformed("expected a number from 1 on")),
    }
}

/// `nz-number64`
pub fn nz_number64(input: &[u8]) -> Parsed<'_, NonZeroU64> {
    let (rest, value) = number64(input)?;
    Ok((rest, NonZeroU64::new(value).ok_or(Malformed("expected a number from 1 on"))?))
}

/// `mod-sequence-valzer`, RFC 7162 section 7: zero is permitted.
pub fn mod_sequence_valzer(input: &[u8]) -> Parsed<'_, ModSeq> {
    let (rest, value) = number64(input)?;
    Ok((rest, ModSeq::new(value).ok_or(Malformed("mod-sequence is too large"))?))
}

/// `mod-sequence-value`, RFC 7162 section 7: from 1 on.
pub fn mod_sequence_value(input: &[u8]) -> Parsed<'_, ModSeq> {
    let (rest, value) = mod_sequence_valzer(input)?;
    if value.get() == 0 { Err(Malformed("expected a mod-sequence from 1 on")) } else { Ok((rest, value)) }
}

/// `quoted`. UTF-8 is taken in every session: RFC 9051 allows it, and a client that did
/// not enable it can mean nothing else.
pub fn quoted(input: &[u8]) -> Parsed<'_, Cow<'_, [u8]>> {
    let inner = input.strip_prefix(b"\"").ok_or(Malformed("expected a quoted string"))?;
    let (rest, plain) = take_while(inner, |byte| !matches!(byte, b'"' | b'\\' | b'\r' | b'\n' | 0));
    let (rest, value) = match rest.strip_prefix(b"\"") {
        Some(rest) => (rest, Cow::Borrowed(plain)),
        None => unescaped(inner)?,
    };
    match std::str::from_utf8(&value) {
        Ok(_) => Ok((rest, value)),
        Err(_) => Err(Malformed("8-bit text in a quoted string is not UTF-8; use a literal")),
    }
}

/// A quoted string with backslashes in it, from behind its first quote.
fn unescaped(inner: &[u8]) -> Parsed<'_, Cow<'_, [u8]>> {
    let mut value = Vec::new();
    let mut rest = inner;
    loop {
        let (next, plain) = take_while(rest, |byte| !matches!(byte, b'"' | b'\\' | b'\r' | b'\n' | 0));
        value.extend_from_slice(plain);
        rest = match next {
            [b'"', after @ ..] => return Ok((after, Cow::Owned(value))),
            [b'\\', escaped @ (b'"' | b'\\'), after @ ..] => {
                value.push(*escaped);
                after
            }
            _ => return Err(Malformed("quoted string is not closed, or has a wrong character")),
        };
    }
}

/// The announcement of a literal, `{n}`, `{n+}` or `~{n}` with its CRLF: how many bytes
/// follow, and whether they are a `literal8` (RFC 3516).
pub fn literal_header(input: &[u8]) -> Parsed<'_, (u64, bool)> {
    let (rest, is_binary) = match input.strip_prefix(b"~") {
        Some(rest) => (rest, true),
        None => (input, false),
    };
    let rest = expect(rest, "{", "expected a literal")?;
    let (rest, size) = number64(rest)?;
    let rest = rest.strip_prefix(b"+").unwrap_or(rest);
    Ok((expect(rest, "}\r\n", "literal's size must end with } and a line end")?, (size, is_binary)))
}

/// `literal`, synchronising or not (RFC 7888), and without NUL. The other kind, `~{n}`, is
/// for the messages of APPEND alone.
pub fn literal(input: &[u8]) -> Parsed<'_, Cow<'_, [u8]>> {
    let (rest, (size, is_binary)) = literal_header(input)?;
    let size = usize::try_from(size).map_err(|_| Malformed("literal is too large"))?;
    let (value, rest) = rest.split_at_checked(size).ok_or(Malformed("literal is cut short"))?;
    if is_binary || memchr::memchr(0, value).is_some() {
        return Err(Malformed("NUL or ~{ in a string"));
    }
    Ok((rest, Cow::Borrowed(value)))
}

/// `string`
pub fn string(input: &[u8]) -> Parsed<'_, Cow<'_, [u8]>> {
    match input.first() {
        Some(b'"') => quoted(input),
        Some(b'{') => literal(input),
        _ => Err(Malformed("expected a string")),
    }
}

/// `nstring`
pub fn nstring(input: &[u8]) -> Parsed<'_, Option<Cow<'_, [u8]>>> {
    if let Some(rest) = word(input, "NIL") {
        return Ok((rest, None));
    }
    let (rest, value) = string(input)?;
    Ok((rest, Some(value)))
}

/// `astring`
pub fn astring(input: &[u8]) -> Parsed<'_, Cow<'_, [u8]>> {
    if matches!(input, [b'"' | b'{', ..]) {
        return string(input);
    }
    let (rest, value) = take_while(input, is_astring_char);
    if value.is_empty() { Err(Malformed("expected a string")) } else { Ok((rest, Cow::Borrowed(value))) }
}

/// `astring` that must be UTF-8.
pub fn astring_utf8(input: &[u8]) -> Parsed<'_, String> {
    let (rest, value) = astring(input)?;
    let text = String::from_utf8(value.into_owned()).map_err(|_| Malformed("string is not UTF-8"))?;
    Ok((rest, text))
}

/// `mailbox`
pub fn mailbox(input: &[u8], dialect: Dialect) -> Parsed<'_, MailboxName> {
    let (rest, wire) = astring(input)?;
    let name = MailboxName::from_wire(&wire, dialect).map_err(|error| Malformed(describe(error)))?;
    Ok((rest, name))
}

/// `list-mailbox`, or the reference before it when it is quoted.
pub fn list_mailbox(input: &[u8], dialect: Dialect) -> Parsed<'_, ListPattern> {
    let (rest, wire) = match input.first() {
        Some(b'"' | b'{') => string(input)?,
        _ => match take_while(input, is_list_char) {
            (_, []) => return Err(Malformed("expected a mailbox pattern")),
            (rest, wire) => (rest, Cow::Borrowed(wire)),
        },
    };
    let pattern = ListPattern::from_wire(&wire, dialect).map_err(|error| Malformed(describe(error)))?;
    Ok((rest, pattern))
}

fn describe(error: crate::mailbox::MailboxNameError) -> &'static str {
    use crate::mailbox::MailboxNameError as E;
    match error {
        E::Empty => "mailbox name is empty",
        E::TooLong => "mailbox name is too long",
        E::Control => "mailbox name has a control character",
        E::NotUtf8 => "mailbox name is not UTF-8",
        E::Utf7(_) => "mailbox name is not modified UTF-7",
    }
}

/// `( item item … )`: from `least` to `most` items with single spaces between them.
pub fn list<'a, T>(
    input: &'a [u8],
    least: usize,
    most: usize,
    item: impl Fn(&'a [u8]) -> Parsed<'a, T>,
) -> Parsed<'a, Vec<T>> {
    let mut rest = expect(input, "(", "expected a list in parentheses")?;
    let mut items = Vec::new();
    while literally(rest, ")").is_none() {
        if !items.is_empty() {
            rest = sp(rest)?;
        }
        if items.len() >= most {
            return Err(Malformed("too many items in a list"));
        }
        let (after, value) = item(rest)?;
        items.push(value);
        rest = after;
    }
    if items.len() < least {
        return Err(Malformed("list is empty"));
    }
    Ok((expect(rest, ")", "expected )")?, items))
}

/// A `seq-number` of a range.
fn seq_end(input: &[u8]) -> Parsed<'_, SeqEnd> {
    if let Some(rest) = input.strip_prefix(b"*") {
        return Ok((rest, SeqEnd::Largest));
    }
    let (rest, number) =
        nz_number(input).map_err(|_| Malformed("expected a message number, a range or *"))?;
    Ok((rest, SeqEnd::Number(number)))
}

/// `seq-range` or `seq-number`
fn seq_range(input: &[u8]) -> Parsed<'_, (SeqEnd, SeqEnd)> {
    let (rest, first) = seq_end(input)?;
    let Some(rest) = rest.strip_prefix(b":") else { return Ok((rest, (first, first))) };
    let (rest, last) = seq_end(rest)?;
    Ok((rest, (first, last)))
}

/// `sequence-set` of numbers and ranges.
pub fn sequence_set(input: &[u8]) -> Parsed<'_, SequenceSet> {
    let (mut rest, range) = seq_range(input)?;
    let mut ranges = vec![range];
    while let Some(after) = rest.strip_prefix(b",") {
        let (after, range) = seq_range(after)?;
        ranges.push(range);
        rest = after;
    }
    Ok((rest, SequenceSet::new(ranges).ok_or(Malformed("message set has too many ranges"))?))
}

/// `sequence-set`, or `$` for the saved result (RFC 5182 section 2.1).
pub fn messages(input: &[u8]) -> Parsed<'_, Messages> {
    if let Some(rest) = input.strip_prefix(b"$") {
        return Ok((rest, Messages::SavedResult));
    }
    let (rest, set) = sequence_set(input)?;
    Ok((rest, Messages::Set(set)))
}

/// `uid-set` or `known-uids`: a set without `*` (RFC 4315 section 3, RFC 7162 section 7).
pub fn known_uids(input: &[u8]) -> Parsed<'_, UidSet> {
    let (rest, set) = sequence_set(input)?;
    if set.has_largest() {
        return Err(Malformed("* cannot stand in this set"));
    }
    Ok((rest, set.resolve(None)))
}

/// A UIDVALIDITY or other `nz-number` with a type of its own.
pub fn uid_validity(input: &[u8]) -> Parsed<'_, UidValidity> {
    let (rest, value) = nz_number(input)?;
    Ok((rest, UidValidity::from_nonzero(value)))
}

/// `flag`
pub fn flag(input: &[u8]) -> Parsed<'_, Flag> {
    let behind_backslash = input.strip_prefix(b"\\").unwrap_or(input);
    let (rest, _) = take_while(behind_backslash, is_atom_char);
    let text = input.get(..input.len() - rest.len()).unwrap_or_default();
    let flag = std::str::from_utf8(text).ok().and_then(Flag::parse);
    Ok((rest, flag.ok_or(Malformed("expected a flag that can be set"))?))
}

/// `flag-list`
pub fn flag_list(input: &[u8]) -> Parsed<'_, Vec<Flag>> {
    list(input, 0, MAX_FLAGS, flag)
}

/// Exactly `count` digits.
fn digits(input: &[u8], count: usize) -> Parsed<'_, u16> {
    let (text, rest) = input.split_at_checked(count).ok_or(Malformed("expected digits"))?;
    match number(text) {
        Ok((b"", value)) => Ok((rest, u16::try_from(value).map_err(|_| Malformed("expected digits"))?)),
        _ => Err(Malformed("expected digits")),
    }
}

fn two_digits(input: &[u8]) -> Parsed<'_, u8> {
    let (rest, value) = digits(input, 2)?;
    Ok((rest, u8::try_from(value).unwrap_or(u8::MAX)))
}

/// `-month-year`, the part that both kinds of date share.
fn month_and_year(input: &[u8], day: u8) -> Parsed<'_, Date> {
    const EXPECTED: &str = "expected a date like 1-Feb-1994";
    let rest = expect(input, "-", EXPECTED)?;
    let (name, rest) = rest.split_at_checked(3).ok_or(Malformed(EXPECTED))?;
    let month = std::str::from_utf8(name).ok().and_then(Date::month_number).ok_or(Malformed(EXPECTED))?;
    let rest = expect(rest, "-", EXPECTED)?;
    let (rest, year) = digits(rest, 4).map_err(|_| Malformed(EXPECTED))?;
    Ok((rest, Date::new(year, month, day).ok_or(Malformed("there is no such day"))?))
}

/// `date`, with or without quotes.
pub fn date(input: &[u8]) -> Parsed<'_, Date> {
    if let Some(inner) = input.strip_prefix(b"\"") {
        let (rest, date) = date_text(inner)?;
        return Ok((expect(rest, "\"", "date's quotes are not closed")?, date));
    }
    date_text(input)
}

/// `date-text`: the day has one or two digits.
fn date_text(input: &[u8]) -> Parsed<'_, Date> {
    let (rest, day) = take_while(input, |byte| byte.is_ascii_digit());
    let day = match day {
        [ones] => ones - b'0',
        [tens, ones] => (tens - b'0') * 10 + (ones - b'0'),
        _ => return Err(Malformed("expected a date like 1-Feb-1994")),
    };
    month_and_year(rest, day)
}

/// `date-time`: `" 7-Feb-1994 21:52:25 -0800"`; the day has two places.
pub fn date_time(input: &[u8]) -> Parsed<'_, DateTime> {
    const EXPECTED: &str = "expected a date and time like \" 7-Feb-1994 21:52:25 -0800\"";
    let rest = expect(input, "\"", EXPECTED)?;
    let (rest, day) = match rest.strip_prefix(b" ") {
        Some(rest) => {
            let (rest, day) = digits(rest, 1)?;
            (rest, u8::try_from(day).unwrap_or(u8::MAX))
        }
        None => two_digits(rest)?,
    };
    let (rest, date) = month_and_year(rest, day)?;
    let (rest, hour) = two_digits(expect(rest, " ", EXPECTED)?)?;
    let (rest, minute) = two_digits(expect(rest, ":", EXPECTED)?)?;
    let (rest, second) = two_digits(expect(rest, ":", EXPECTED)?)?;
    let (rest, offset_minutes) = zone(expect(rest, " ", EXPECTED)?)?;
    let rest = expect(rest, "\"", EXPECTED)?;
    let value = DateTime::from_local(date, hour, minute, second, offset_minutes)
        .ok_or(Malformed("there is no such time"))?;
    Ok((rest, value))
}

/// `zone`: `+hhmm` or `-hhmm`, as minutes east of UTC.
fn zone(input: &[u8]) -> Parsed<'_, i16> {
    const EXPECTED: Malformed = Malformed("expected a time zone like +0100");
    let (sign, rest) = match input {
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return Err(EXPECTED),
    };
    let (rest, hours) = two_digits(rest)?;
    let (rest, minutes) = two_digits(rest)?;
    if hours > 23 || minutes > 59 {
        return Err(EXPECTED);
    }
    Ok((rest, sign * (i16::from(hours) * 60 + i16::from(minutes))))
}

/// `section`: `[…]`.
pub fn section(input: &[u8]) -> Parsed<'_, Section> {
    let rest = expect(input, "[", "expected a section in brackets")?;
    let (rest, part) = optional_section_part(rest)?;
    let (rest, text) = match (part.is_empty(), rest) {
        (_, [b']', ..]) => (rest, None),
        (true, _) => some(section_msgtext(rest)?),
        (false, _) => {
            let rest = expect(rest, ".", "expected . or ] behind a part number")?;
            match word(rest, "MIME") {
                Some(rest) => (rest, Some(SectionText::Mime)),
                None => some(section_msgtext(rest)?),
            }
        }
    };
    Ok((expect(rest, "]", "expected ] behind the section")?, Section { part, text }))
}

fn some<T>((rest, value): (&[u8], T)) -> (&[u8], Option<T>) {
    (rest, Some(value))
}

/// `section-part`, or nothing if no number stands here.
fn optional_section_part(input: &[u8]) -> Parsed<'_, Vec<NonZeroU32>> {
    if !input.first().is_some_and(u8::is_ascii_digit) {
        return Ok((input, Vec::new()));
    }
    let (mut rest, number) = nz_number(input)?;
    let mut part = vec![number];
    while let [b'.', after @ ..] = rest
        && after.first().is_some_and(u8::is_ascii_digit)
    {
        if part.len() >= Section::MAX_DEPTH {
            return Err(Malformed("part number is too deep"));
        }
        let (after, number) = nz_number(after)?;
        part.push(number);
        rest = after;
    }
    Ok((rest, part))
}

/// `section-msgtext`
fn section_msgtext(input: &[u8]) -> Parsed<'_, SectionText> {
    // The longer names first: each is the beginning of another.
    if let Some(rest) = literally(input, "HEADER.FIELDS.NOT ") {
        let (rest, names) = header_list(rest)?;
        return Ok((rest, SectionText::HeaderFieldsNot(names)));
    }
    if let Some(rest) = literally(input, "HEADER.FIELDS ") {
        let (rest, names) = header_list(rest)?;
        return Ok((rest, SectionText::HeaderFields(names)));
    }
    if let Some(rest) = word(input, "HEADER") {
        return Ok((rest, SectionText::Header));
    }
    if let Some(rest) = word(input, "TEXT") {
        return Ok((rest, SectionText::Text));
    }
    Err(Malformed("expected HEADER, HEADER.FIELDS, HEADER.FIELDS.NOT, TEXT or a part number"))
}

/// `header-list`
fn header_list(input: &[u8]) -> Parsed<'_, Vec<FieldName>> {
    list(input, 1, Section::MAX_FIELDS, |input| {
        let (rest, name) = astring(input)?;
        Ok((rest, FieldName::parse(&name).ok_or(Malformed("expected the name of a header field"))?))
    })
}

/// `section-binary`, RFC 3516 section 3: `[1.2]` or `[]`.
pub fn section_binary(input: &[u8]) -> Parsed<'_, Vec<NonZeroU32>> {
    let rest = expect(input, "[", "expected a part number in brackets")?;
    let (rest, part) = optional_section_part(rest)?;
    Ok((expect(rest, "]", "expected ] behind the part number")?, part))
}

/// `<first.length>` behind a section, if it stands here.
pub fn optional_partial(input: &[u8]) -> Parsed<'_, Option<Partial>> {
    let Some(rest) = input.strip_prefix(b"<") else { return Ok((input, None)) };
    let (rest, first) = number64(rest)?;
    let rest = expect(rest, ".", "expected <first.length>")?;
    let (rest, length) = nz_number64(rest)?;
    Ok((expect(rest, ">", "expected <first.length>")?, Some(Partial { first, length })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings() {
        for (wire, expected, rest) in [
            (&b"abc def"[..], &b"abc"[..], &b" def"[..]),
            (b"a]b)", b"a]b", b")"),
            (b"\"\"", b"", b""),
            (b"\"a b\" c", b"a b", b" c"),
            (b"\"a\\\"b\\\\c\"", b"a\"b\\c", b""),
            ("\"é\"".as_bytes(), "é".as_bytes(), b""),
            (b"{3}\r\na\r\nb", b"a\r\n", b"b"),
            (b"{0}\r\n", b"", b""),
            (b"{3+}\r\n\"\\\xff", b"\"\\\xff", b""),
            (b"~peter", b"~peter", b""),
        ] {
            let result = astring(wire).map(|(rest, value)| (rest, value.into_owned()));
            assert_eq!(result, Ok((rest, expected.to_vec())), "{}", wire.escape_ascii());
        }
        for wire in [
            &b""[..],
            b"(a)",
            b"\"abc",
            b"\"a\\b\"",
            b"\"a\r\nb\"",
            b"\"a\0b\"",
            b"\"\xff\"",
            b"\"\\",
            b"{3}\r\nab",
            b"{3}abc",
            b"{}\r\n",
            b"{1}\r\n\0",
            b"{99999999999999999999}\r\n",
            b"{-1}\r\n",
            b"%",
            b"\0",
        ] {
            assert!(astring(wire).is_err(), "{}", wire.escape_ascii());
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(number(b"0042 x"), Ok((&b" x"[..], 42)));
        assert_eq!(number(b"4294967295"), Ok((&b""[..], u32::MAX)));
        assert!(number(b"4294967296").is_err());
        assert_eq!(number64(b"9223372036854775807").unwrap().1, i64::MAX as u64);
        assert!(number64(b"9223372036854775808").is_err());
        for wrong in ["0", "01", "", "-1", "+1", "x"] {
            assert!(nz_number(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(mod_sequence_value(b"0").is_err());
        assert_eq!(mod_sequence_valzer(b"0").unwrap().1, ModSeq::new(0).unwrap());
    }

    #[test]
    fn sets() {
        for right in ["1", "*", "1:*", "*:1", "2,4:7,9,12:*", "4294967295"] {
            let (rest, set) = sequence_set(right.as_bytes()).unwrap();
            assert!(rest.is_empty());
            assert_eq!(set.to_string(), right);
        }
        for wrong in ["", "0", "1:", ":1", "1,,2", "1,", "4294967296", "1:0", "$,1", "a"] {
            let outcome = sequence_set(wrong.as_bytes());
            assert!(outcome.is_err(), "{wrong}: {outcome:?}");
        }
        assert_eq!(messages(b"$").unwrap().1, Messages::SavedResult);
        assert!(known_uids(b"1:*").is_err());
        let most = "1,".repeat(SequenceSet::MAX_RANGES) + "1";
        assert!(sequence_set(most.as_bytes()).is_err());
    }

    #[test]
    fn lists_are_bounded() {
        assert_eq!(flag_list(b"()").unwrap().1, []);
        assert_eq!(flag_list(b"(\\Seen $A)").unwrap().1.len(), 2);
        for wrong in
            ["(\\Seen  $A)", "( \\Seen)", "(\\Seen )", "(\\Recent)", "(\\Seen", "\\Seen", "((a))", "(a(b))"]
        {
            assert!(flag_list(wrong.as_bytes()).is_err(), "{wrong}");
        }
        let many = format!("({}a)", "a ".repeat(MAX_FLAGS));
        assert_eq!(flag_list(many.as_bytes()), Err(Malformed("too many items in a list")));
    }

    #[test]
    fn partials() {
        assert_eq!(optional_partial(b"<0.2048> x").unwrap().1.unwrap().length.get(), 2048);
        assert_eq!(optional_partial(b" x").unwrap().1, None);
        for wrong in ["<", "<0>", "<0.0>", "<.1>", "<0.1", "<-1.1>"] {
            assert!(optional_partial(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
