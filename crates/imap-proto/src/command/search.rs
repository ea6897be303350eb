//! SEARCH, by sequence number or UID.
//!
//! Standards: RFC 3501 section 6.4.4, RFC 4731 (RETURN), RFC 5182 (SAVE and `$`), RFC 5032
//! (OLDER, YOUNGER), RFC 7162 section 3.1.5 (MODSEQ), RFC 8474 section 4 (EMAILID,
//! THREADID), RFC 8514 section 4.2 (SAVEDBEFORE …).
//! Invariants: keys nest at most [`MAX_NESTING`] deep, and one list holds at most
//! [`MAX_KEYS`]; each key costs at least two bytes of the command, so their number is
//! bounded by its length.
//! Trust: strings are bytes in the command's charset, which the server may not know.

use std::num::NonZeroU32;

use super::{By, Command, print_by, put_astring, put_string};
use crate::flag::Keyword;
use crate::parse::{
    self, Malformed, Parsed, astring, astring_utf8, date, expect, literally, messages, mod_sequence_valzer,
    number64, nz_number, sp, take_while, word,
};
use crate::print::{list, put, separated};
use crate::section::FieldName;
use crate::{Date, Dialect, Flag, Messages, ModSeq};

/// How deep keys may nest.
const MAX_NESTING: usize = 50;
/// How many keys one list may hold.
const MAX_KEYS: usize = 2000;

/// `SEARCH [RETURN (…)] [CHARSET …] keys`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// Kind of the numbers in the answer.
    pub by: By,
    /// What to answer with; `None`: the SEARCH response of RFC 3501.
    pub returns: Option<SearchReturn>,
    /// Charset of the strings, as written; `None`: US-ASCII, or UTF-8 by RFC 9051. For one
    /// that the server does not know it answers `NO [BADCHARSET]`.
    pub charset: Option<String>,
    /// A message is found if it satisfies this.
    pub key: SearchKey,
}

/// `search-return-opts`; `RETURN ()` is parsed as `RETURN (ALL)`, which it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SearchReturn {
    /// The smallest number.
    pub min: bool,
    /// The largest number.
    pub max: bool,
    /// All numbers.
    pub all: bool,
    /// How many.
    pub count: bool,
    /// Keep the result as `$`.
    pub save: bool,
}

/// `search-key`. Keys that name a flag are two variants, whatever their name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SearchKey {
    /// Every message.
    All,
    /// `ANSWERED`, `KEYWORD x` …
    HasFlag(Flag),
    /// `UNANSWERED`, `UNKEYWORD x` …
    LacksFlag(Flag),
    /// `RECENT`
    Recent,
    /// `OLD`: not recent.
    Old,
    /// `NEW`: recent and not seen.
    New,
    /// `FROM`, `SUBJECT` …: the text is part of this field.
    Envelope(EnvelopeField, Vec<u8>),
    /// `HEADER`: a field with this name has the text; empty: exists.
    Header(FieldName, Vec<u8>),
    /// The text is part of the body.
    Body(Vec<u8>),
    /// The text is part of header or body.
    Text(Vec<u8>),
    /// `BEFORE`, `SENTON`, `SAVEDSINCE` …
    Date(DateKind, DateTest, Date),
    /// Within this many seconds: `YOUNGER`.
    Younger(NonZeroU32),
    /// Not within this many seconds: `OLDER`.
    Older(NonZeroU32),
    /// Larger than this many bytes.
    Larger(u64),
    /// Smaller than this many bytes.
    Smaller(u64),
    /// One of these sequence numbers.
    SeqNums(Messages),
    /// One of these UIDs.
    Uids(Messages),
    /// Mod-sequence is this or higher.
    ModSeq(ModSeq),
    /// The email's id.
    EmailId(String),
    /// The thread's id.
    ThreadId(String),
    /// `SAVEDATESUPPORTED`: the mailbox knows when messages were saved.
    SaveDateSupported,
    /// The key is not satisfied.
    Not(Box<SearchKey>),
    /// One of both is satisfied.
    Or(Box<SearchKey>, Box<SearchKey>),
    /// All are satisfied; at least two.
    And(Vec<SearchKey>),
}

/// Fields of the header that have a key of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnvelopeField {
    /// `BCC`
    Bcc,
    /// `CC`
    Cc,
    /// `FROM`
    From,
    /// `SUBJECT`
    Subject,
    /// `TO`
    To,
}

/// Which of a message's dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateKind {
    /// The internal date.
    Internal,
    /// The `Date:` field.
    Sent,
    /// When it came into the mailbox.
    Saved,
}

/// How it is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateTest {
    /// Earlier than the day.
    Before,
    /// Within the day.
    On,
    /// Within the day or later.
    Since,
}

const FLAG_KEYS: [(&str, &str, Flag); 5] = [
    ("ANSWERED", "UNANSWERED", Flag::Answered),
    ("DELETED", "UNDELETED", Flag::Deleted),
    ("DRAFT", "UNDRAFT", Flag::Draft),
    ("FLAGGED", "UNFLAGGED", Flag::Flagged),
    ("SEEN", "UNSEEN", Flag::Seen),
];

const PLAIN_KEYS: [(&str, SearchKey); 5] = [
    ("ALL", SearchKey::All),
    ("RECENT", SearchKey::Recent),
    ("OLD", SearchKey::Old),
    ("NEW", SearchKey::New),
    ("SAVEDATESUPPORTED", SearchKey::SaveDateSupported),
];

const ENVELOPE_KEYS: [(&str, EnvelopeField); 5] = [
    ("BCC", EnvelopeField::Bcc),
    ("CC", EnvelopeField::Cc),
    ("FROM", EnvelopeField::From),
    ("SUBJECT", EnvelopeField::Subject),
    ("TO", EnvelopeField::To),
];

const DATE_KEYS: [(&str, DateKind, DateTest); 9] = [
    ("BEFORE", DateKind::Internal, DateTest::Before),
    ("ON", DateKind::Internal, DateTest::On),
    ("SINCE", DateKind::Internal, DateTest::Since),
    ("SENTBEFORE", DateKind::Sent, DateTest::Before),
    ("SENTON", DateKind::Sent, DateTest::On),
    ("SENTSINCE", DateKind::Sent, DateTest::Since),
    ("SAVEDBEFORE", DateKind::Saved, DateTest::Before),
    ("SAVEDON", DateKind::Saved, DateTest::On),
    ("SAVEDSINCE", DateKind::Saved, DateTest::Since),
];

pub(crate) fn search(input: &[u8], _: Dialect) -> Parsed<'_, Command> {
    arguments(input, By::SeqNum)
}

pub(crate) fn uid_search(input: &[u8], _: Dialect) -> Parsed<'_, Command> {
    arguments(input, By::Uid)
}

fn arguments(input: &[u8], by: By) -> Parsed<'_, Command> {
    let (rest, returns) = search_return_opts(input)?;
    let (rest, charset) = match literally(rest, " CHARSET ") {
        Some(rest) => {
            let (rest, charset) = astring_utf8(rest)?;
            (rest, Some(charset))
        }
        None => (rest, None),
    };
    let (rest, key) = search_program(rest)?;
    Ok((rest, Command::Search(Search { by, returns, charset, key })))
}

/// ` RETURN (…)` if it stands here; SORT and THREAD share it.
pub(super) fn search_return_opts(input: &[u8]) -> Parsed<'_, Option<SearchReturn>> {
    let Some(rest) = literally(input, " RETURN ") else { return Ok((input, None)) };
    let (rest, options) = parse::list(rest, 0, 10, |input| {
        for name in ["MIN", "MAX", "ALL", "COUNT", "SAVE"] {
            if let Some(rest) = word(input, name) {
                return Ok((rest, name));
            }
        }
        Err(Malformed("unknown return option of SEARCH"))
    })?;
    let has = |name| options.contains(&name);
    let all = has("ALL") || options.is_empty();
    Ok((
        rest,
        Some(SearchReturn { min: has("MIN"), max: has("MAX"), all, count: has("COUNT"), save: has("SAVE") }),
    ))
}

/// `1*(SP search-key)`: all must be satisfied.
pub(super) fn search_program(input: &[u8]) -> Parsed<'_, SearchKey> {
    let (mut rest, first) = search_key(sp(input)?, MAX_NESTING)?;
    let mut keys = vec![first];
    while let Some(after) = rest.strip_prefix(b" ") {
        let (after, key) = search_key(after, MAX_NESTING)?;
        if keys.len() >= MAX_KEYS {
            return Err(Malformed("too many search keys"));
        }
        keys.push(key);
        rest = after;
    }
    Ok((rest, all_of(keys)))
}

fn all_of(mut keys: Vec<SearchKey>) -> SearchKey {
    match keys.pop() {
        Some(only) if keys.is_empty() => only,
        Some(last) => {
            keys.push(last);
            SearchKey::And(keys)
        }
        None => SearchKey::All,
    }
}

/// `search-key`
fn search_key(input: &[u8], depth_left: usize) -> Parsed<'_, SearchKey> {
    let deeper = depth_left.checked_sub(1).ok_or(Malformed("search keys are nested too deeply"))?;
    match input.first() {
        Some(b'(') => {
            let (rest, keys) = parse::list(input, 1, MAX_KEYS, |input| search_key(input, deeper))?;
            Ok((rest, all_of(keys)))
        }
        Some(b'0'..=b'9' | b'*' | b'$') => {
            let (rest, messages) = messages(input)?;
            Ok((rest, SearchKey::SeqNums(messages)))
        }
        _ => named_key(input, deeper),
    }
}

/// A key that begins with its name.
fn named_key(input: &[u8], deeper: usize) -> Parsed<'_, SearchKey> {
    let (rest, name) = take_while(input, |byte| byte.is_ascii_alphabetic());
    let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
    if let Some((_, key)) = PLAIN_KEYS.iter().find(|(name, _)| is(name)) {
        return Ok((rest, key.clone()));
    }
    if let Some((_, _, flag)) = FLAG_KEYS.iter().find(|(has, _, _)| is(has)) {
        return Ok((rest, SearchKey::HasFlag(flag.clone())));
    }
    if let Some((_, _, flag)) = FLAG_KEYS.iter().find(|(_, lacks, _)| is(lacks)) {
        return Ok((rest, SearchKey::LacksFlag(flag.clone())));
    }
    if let Some((_, field)) = ENVELOPE_KEYS.iter().find(|(name, _)| is(name)) {
        let (rest, text) = text(sp(rest)?)?;
        return Ok((rest, SearchKey::Envelope(*field, text)));
    }
    if let Some((_, kind, test)) = DATE_KEYS.iter().find(|(name, _, _)| is(name)) {
        let (rest, date) = date(sp(rest)?)?;
        return Ok((rest, SearchKey::Date(*kind, *test, date)));
    }
    let Ok(argument) = sp(rest) else { return Err(Malformed("unknown search key")) };
    key_with_argument(&name.to_ascii_uppercase(), argument, deeper)
}

/// The keys that are alone of their kind.
fn key_with_argument<'a>(name: &[u8], input: &'a [u8], deeper: usize) -> Parsed<'a, SearchKey> {
    use SearchKey as K;
    Ok(match name {
        b"BODY" => map(text(input)?, K::Body),
        b"TEXT" => map(text(input)?, K::Text),
        b"KEYWORD" => map(keyword(input)?, K::HasFlag),
        b"UNKEYWORD" => map(keyword(input)?, K::LacksFlag),
        b"LARGER" => map(number64(input)?, K::Larger),
        b"SMALLER" => map(number64(input)?, K::Smaller),
        b"OLDER" => map(nz_number(input)?, K::Older),
        b"YOUNGER" => map(nz_number(input)?, K::Younger),
        b"UID" => map(messages(input)?, K::Uids),
        b"MODSEQ" => map(search_modsequence(input)?, K::ModSeq),
        b"EMAILID" => map(object_id(input)?, K::EmailId),
        b"THREADID" => map(object_id(input)?, K::ThreadId),
        b"HEADER" => {
            let (rest, name) = text(input)?;
            let name = FieldName::parse(&name).ok_or(Malformed("expected the name of a header field"))?;
            map(text(sp(rest)?)?, |text| K::Header(name, text))
        }
        b"NOT" => map(search_key(input, deeper)?, |key| K::Not(Box::new(key))),
        b"OR" => {
            let (rest, left) = search_key(input, deeper)?;
            map(search_key(sp(rest)?, deeper)?, |right| K::Or(Box::new(left), Box::new(right)))
        }
        _ => return Err(Malformed("unknown search key")),
    })
}

fn map<T, U>((rest, value): (&[u8], T), make: impl FnOnce(T) -> U) -> (&[u8], U) {
    (rest, make(value))
}

fn text(input: &[u8]) -> Parsed<'_, Vec<u8>> {
    let (rest, value) = astring(input)?;
    Ok((rest, value.into_owned()))
}

/// `flag-keyword`
fn keyword(input: &[u8]) -> Parsed<'_, Flag> {
    let (rest, text) = parse::atom(input)?;
    let keyword = Keyword::parse(text).ok_or(Malformed("keyword is too long"))?;
    Ok((rest, Flag::Keyword(keyword)))
}

/// `objectid`, RFC 8474 section 7: 1 to 255 letters, digits, `_` and `-`.
fn object_id(input: &[u8]) -> Parsed<'_, String> {
    let (rest, value) = astring_utf8(input)?;
    let right = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if right && (1..=255).contains(&value.len()) {
        Ok((rest, value))
    } else {
        Err(Malformed("expected an object id"))
    }
}

/// `search-modsequence`. Metadata entries have no mod-sequences of their own here, so an
/// entry's name and type are read and dropped: RFC 7162 section 3.1.5 gives the message's.
fn search_modsequence(input: &[u8]) -> Parsed<'_, ModSeq> {
    if !input.starts_with(b"\"") {
        return mod_sequence_valzer(input);
    }
    let (rest, _) = parse::quoted(input)?;
    let rest = sp(rest)?;
    let rest = ["priv", "shared", "all"].iter().find_map(|kind| word(rest, kind));
    let rest =
        expect(rest.ok_or(Malformed("expected priv, shared or all"))?, " ", "expected a mod-sequence")?;
    mod_sequence_valzer(rest)
}

impl Search {
    pub(super) fn print(&self, out: &mut Vec<u8>) {
        print_by(out, self.by);
        put(out, "SEARCH");
        print_returns(out, self.returns);
        if let Some(charset) = &self.charset {
            put(out, " CHARSET ");
            put_astring(out, charset.as_bytes());
        }
        print_program(out, &self.key);
    }
}

pub(super) fn print_returns(out: &mut Vec<u8>, returns: Option<SearchReturn>) {
    let Some(returns) = returns else { return };
    put(out, " RETURN ");
    let names = [
        (returns.min, "MIN"),
        (returns.max, "MAX"),
        (returns.all, "ALL"),
        (returns.count, "COUNT"),
        (returns.save, "SAVE"),
    ];
    list(out, names.iter().filter(|(is_set, _)| *is_set), |out, (_, name)| put(out, name));
}

pub(super) fn print_program(out: &mut Vec<u8>, key: &SearchKey) {
    put(out, " ");
    match key {
        SearchKey::And(keys) => separated(out, keys, |out, key| key.print(out)),
        key => key.print(out),
    }
}

impl SearchKey {
    /// Does MODSEQ stand in it? Then the answer tells a mod-sequence (RFC 7162 section 3.1.5).
    pub fn names_modseq(&self) -> bool {
        match self {
            Self::ModSeq(_) => true,
            Self::Not(key) => key.names_modseq(),
            Self::Or(left, right) => left.names_modseq() || right.names_modseq(),
            Self::And(keys) => keys.iter().any(Self::names_modseq),
            _ => false,
        }
    }

    /// As a client writes it.
    pub fn print(&self, out: &mut Vec<u8>) {
        match self {
            Self::HasFlag(flag) | Self::LacksFlag(flag) => self.print_flag(out, flag),
            Self::Envelope(field, text) => print_text(out, name_of(&ENVELOPE_KEYS, field), text),
            Self::Header(name, text) => print_text(out, &format!("HEADER {name}"), text),
            Self::Body(text) => print_text(out, "BODY", text),
            Self::Text(text) => print_text(out, "TEXT", text),
            Self::Date(kind, test, date) => {
                let row = DATE_KEYS.iter().find(|row| (row.1, row.2) == (*kind, *test));
                put(out, format_args!("{} {date}", row.map_or("", |row| row.0)));
            }
            Self::Younger(seconds) => put(out, format_args!("YOUNGER {seconds}")),
            Self::Older(seconds) => put(out, format_args!("OLDER {seconds}")),
            Self::Larger(size) => put(out, format_args!("LARGER {size}")),
            Self::Smaller(size) => put(out, format_args!("SMALLER {size}")),
            Self::SeqNums(messages) => put(out, messages),
            Self::Uids(messages) => put(out, format_args!("UID {messages}")),
            Self::ModSeq(modseq) => put(out, format_args!("MODSEQ {modseq}")),
            Self::EmailId(id) => put(out, format_args!("EMAILID {id}")),
            Self::ThreadId(id) => put(out, format_args!("THREADID {id}")),
            Self::Not(key) => {
                put(out, "NOT ");
                key.print(out);
            }
            Self::Or(left, right) => {
                put(out, "OR ");
                left.print(out);
                put(out, " ");
                right.print(out);
            }
            Self::And(keys) => list(out, keys, |out, key| key.print(out)),
            plain => put(out, name_of(&PLAIN_KEYS, plain)),
        }
    }

    fn print_flag(&self, out: &mut Vec<u8>, flag: &Flag) {
        let has = matches!(self, Self::HasFlag(_));
        match FLAG_KEYS.iter().find(|(_, _, system)| system == flag) {
            Some((yes, no, _)) => put(out, if has { yes } else { no }),
            None => put(out, format_args!("{} {flag}", if has { "KEYWORD" } else { "UNKEYWORD" })),
        }
    }
}

fn name_of<T: PartialEq>(table: &[(&'static str, T)], value: &T) -> &'static str {
    table.iter().find(|(_, other)| other == value).map_or("", |(name, _)| name)
}

fn print_text(out: &mut Vec<u8>, name: &str, text: &[u8]) {
    put(out, format_args!("{name} "));
    put_string(out, text);
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::date::tests::any_date;
    use crate::flag::tests::any_flag;
    use crate::sequence_set::tests::any_messages;

    fn printed(text: &str) -> String {
        let (rest, key) = search_program(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert!(rest.is_empty(), "{text}");
        let mut out = Vec::new();
        print_program(&mut out, &key);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_key_of_the_standards() {
        for text in [
            " ALL",
            " ANSWERED UNANSWERED DELETED UNDELETED DRAFT UNDRAFT FLAGGED UNFLAGGED SEEN UNSEEN",
            " NEW OLD RECENT",
            " KEYWORD $Junk UNKEYWORD Foo",
            " BCC \"a\" CC \"b\" FROM \"c\" TO \"d\" SUBJECT \"e\" BODY \"f\" TEXT \"g\"",
            " HEADER Message-ID \"<a@b>\"",
            " BEFORE 1-Feb-1994 ON 1-Feb-1994 SINCE 1-Feb-1994",
            " SENTBEFORE 1-Feb-1994 SENTON 1-Feb-1994 SENTSINCE 1-Feb-1994",
            " SAVEDBEFORE 1-Feb-1994 SAVEDON 1-Feb-1994 SAVEDSINCE 1-Feb-1994 SAVEDATESUPPORTED",
            " LARGER 100 SMALLER 200 YOUNGER 60 OLDER 3600",
            " 1:5 UID 7,9:* $ UID $",
            " NOT SEEN OR SEEN (DELETED DRAFT)",
            " MODSEQ 620162338 EMAILID M6d99ac3275bb4e THREADID T64b478a75b7ea9",
        ] {
            assert_eq!(printed(text), text);
            assert_eq!(printed(&text.to_ascii_lowercase()).to_ascii_lowercase(), text.to_ascii_lowercase());
        }
        assert_eq!(printed(" MODSEQ \"/flags/\\\\draft\" all 620162338"), " MODSEQ 620162338");
        assert_eq!(printed(" SUBJECT {3+}\r\nabc"), " SUBJECT \"abc\"");
        assert_eq!(printed(" (SEEN)"), " SEEN");
    }

    #[test]
    fn refused() {
        for wrong in [
            "",
            " ",
            " ()",
            " FOO",
            " FOO bar",
            " NOT",
            " OR SEEN",
            " SEENX",
            " SEEN  DRAFT",
            " KEYWORD \\Seen",
            " HEADER a:b c",
            " BEFORE 30-Feb-1994",
            " OLDER 0",
            " UID",
            " MODSEQ \"/flags\" other 5",
            " EMAILID a.b",
            " (SEEN",
            " SUBJECT",
        ] {
            let all_taken = search_program(wrong.as_bytes()).is_ok_and(|(rest, _)| rest.is_empty());
            assert!(!all_taken, "{wrong}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let not = |depth: usize| format!("{}SEEN", "NOT ".repeat(depth));
        let paren = |depth: usize| format!("{}SEEN{}", "(".repeat(depth), ")".repeat(depth));
        let or = |depth: usize| format!("{}SEEN{}", "OR ".repeat(depth), " SEEN".repeat(depth));
        for nested in [not, paren, or] {
            assert!(search_key(nested(MAX_NESTING - 1).as_bytes(), MAX_NESTING).is_ok());
            assert!(search_key(nested(MAX_NESTING).as_bytes(), MAX_NESTING).is_err());
            assert!(search_key(nested(20_000).as_bytes(), MAX_NESTING).is_err());
        }
        let wide = " ALL".repeat(MAX_KEYS + 1);
        assert_eq!(search_program(wide.as_bytes()), Err(Malformed("too many search keys")));
    }

    pub(crate) fn any_key() -> impl Strategy<Value = SearchKey> {
        let text = || prop::collection::vec(1u8.., 0..12);
        let leaf = prop_oneof![
            prop::sample::select(PLAIN_KEYS.map(|(_, key)| key).to_vec()),
            any_flag().prop_map(SearchKey::HasFlag),
            any_flag().prop_map(SearchKey::LacksFlag),
            (prop::sample::select(ENVELOPE_KEYS.map(|(_, field)| field).to_vec()), text())
                .prop_map(|(field, text)| SearchKey::Envelope(field, text)),
            ("[!-9;-~]{1,9}", text())
                .prop_map(|(name, text)| SearchKey::Header(FieldName::parse(name.as_bytes()).unwrap(), text)),
            text().prop_map(SearchKey::Body),
            text().prop_map(SearchKey::Text),
            (prop::sample::select(DATE_KEYS.map(|(_, kind, test)| (kind, test)).to_vec()), any_date())
                .prop_map(|((kind, test), date)| SearchKey::Date(kind, test, date)),
            any::<NonZeroU32>().prop_map(SearchKey::Younger),
            any::<NonZeroU32>().prop_map(SearchKey::Older),
            any::<u32>().prop_map(|size| SearchKey::Larger(size.into())),
            any::<u32>().prop_map(|size| SearchKey::Smaller(size.into())),
            any_messages().prop_map(SearchKey::SeqNums),
            any_messages().prop_map(SearchKey::Uids),
            (0..=i64::MAX as u64).prop_map(|n| SearchKey::ModSeq(ModSeq::new(n).unwrap())),
            "[a-zA-Z0-9_-]{1,9}".prop_map(SearchKey::EmailId),
            "[a-zA-Z0-9_-]{1,9}".prop_map(SearchKey::ThreadId),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                inner.clone().prop_map(|key| SearchKey::Not(Box::new(key))),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| SearchKey::Or(Box::new(a), Box::new(b))),
                prop::collection::vec(inner, 2..4).prop_map(SearchKey::And),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_printed_is_parsed(key in any_key()) {
            let mut out = Vec::new();
            print_program(&mut out, &key);
            prop_assert_eq!(search_program(&out), Ok((&b""[..], key)));
        }
    }
}
