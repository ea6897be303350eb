//! FETCH, by sequence number or UID.
//!
//! Standards: RFC 3501 section 6.4.5, RFC 3516 (BINARY), RFC 7162 sections 3.1.4
//! (CHANGEDSINCE) and 3.2.6 (VANISHED), RFC 8474 section 5 (EMAILID, THREADID), RFC 8970
//! (PREVIEW), RFC 8514 section 4.3 (SAVEDATE).

use std::fmt;
use std::num::NonZeroU32;

use super::{By, Command, print_by};
use crate::parse::{
    self, Malformed, Parsed, literally, messages, mod_sequence_value, optional_partial, section,
    section_binary, sp, word,
};
use crate::print::{list, put};
use crate::section::{Partial, Section, SectionText, write_part};
use crate::{Dialect, Messages, ModSeq};

/// More items in one FETCH are refused.
const MAX_ATTS: usize = 200;

/// `FETCH messages items [(modifiers)]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// Kind of the numbers.
    pub by: By,
    /// Which messages.
    pub messages: Messages,
    /// What of them; macros are expanded.
    pub atts: Vec<FetchAtt>,
    /// What narrows or widens the answer.
    pub modifiers: FetchModifiers,
}

/// `fetch-modifiers`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FetchModifiers {
    /// Only messages changed since.
    pub changed_since: Option<ModSeq>,
    /// Tell also what was expunged since.
    pub vanished: bool,
}

/// `fetch-att`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchAtt {
    /// `ENVELOPE`
    Envelope,
    /// `FLAGS`
    Flags,
    /// `INTERNALDATE`
    InternalDate,
    /// `RFC822.SIZE`
    Rfc822Size,
    /// `RFC822`: as `BODY[]`, but answered under its own name.
    Rfc822,
    /// `RFC822.HEADER`: as `BODY.PEEK[HEADER]`.
    Rfc822Header,
    /// `RFC822.TEXT`: as `BODY[TEXT]`.
    Rfc822Text,
    /// `UID`
    Uid,
    /// `BODY`: the structure without extension data.
    Body,
    /// `BODYSTRUCTURE`
    BodyStructure,
    /// `BODY[…]`, `BODY.PEEK[…]`
    BodySection {
        /// Leave \Seen as it is.
        peek: bool,
        /// Which part.
        section: Section,
        /// Which bytes of it.
        partial: Option<Partial>,
    },
    /// `BINARY[…]`, `BINARY.PEEK[…]`: a part with its transfer encoding undone.
    Binary {
        /// Leave \Seen as it is.
        peek: bool,
        /// Part numbers; empty: the message.
        part: Vec<NonZeroU32>,
        /// Which bytes of it.
        partial: Option<Partial>,
    },
    /// `BINARY.SIZE[…]`
    BinarySize {
        /// Part numbers; empty: the message.
        part: Vec<NonZeroU32>,
    },
    /// `MODSEQ`
    ModSeq,
    /// `EMAILID`
    EmailId,
    /// `THREADID`
    ThreadId,
    /// `PREVIEW`, `PREVIEW (LAZY)`
    Preview {
        /// NIL will do where the preview has not been made yet.
        lazy: bool,
    },
    /// `SAVEDATE`
    SaveDate,
}

impl FetchAtt {
    /// Does answering this set \Seen (RFC 3501 section 6.4.5)?
    pub fn sets_seen(&self) -> bool {
        match self {
            Self::Rfc822 | Self::Rfc822Text => true,
            Self::BodySection { peek, .. } | Self::Binary { peek, .. } => !peek,
            _ => false,
        }
    }

    /// The section that this asks for, if it asks for content as it was received.
    pub fn content_section(&self) -> Option<Section> {
        let whole = |text| Some(Section { part: Vec::new(), text });
        match self {
            Self::Rfc822 => whole(None),
            Self::Rfc822Header => whole(Some(SectionText::Header)),
            Self::Rfc822Text => whole(Some(SectionText::Text)),
            Self::BodySection { section, .. } => Some(section.clone()),
            _ => None,
        }
    }
}

/// Items whose name says all. A name that begins another is no danger: names are compared
/// as whole words.
const PLAIN: &[(&str, FetchAtt)] = &[
    ("FLAGS", FetchAtt::Flags),
    ("UID", FetchAtt::Uid),
    ("INTERNALDATE", FetchAtt::InternalDate),
    ("RFC822.SIZE", FetchAtt::Rfc822Size),
    ("ENVELOPE", FetchAtt::Envelope),
    ("BODYSTRUCTURE", FetchAtt::BodyStructure),
    ("MODSEQ", FetchAtt::ModSeq),
    ("RFC822.HEADER", FetchAtt::Rfc822Header),
    ("RFC822.TEXT", FetchAtt::Rfc822Text),
    ("RFC822", FetchAtt::Rfc822),
    ("EMAILID", FetchAtt::EmailId),
    ("THREADID", FetchAtt::ThreadId),
    ("SAVEDATE", FetchAtt::SaveDate),
];

const FAST: &[FetchAtt] = &[FetchAtt::Flags, FetchAtt::InternalDate, FetchAtt::Rfc822Size];
const ALL: &[FetchAtt] = &[FetchAtt::Flags, FetchAtt::InternalDate, FetchAtt::Rfc822Size, FetchAtt::Envelope];
const FULL: &[FetchAtt] =
    &[FetchAtt::Flags, FetchAtt::InternalDate, FetchAtt::Rfc822Size, FetchAtt::Envelope, FetchAtt::Body];

pub(crate) fn fetch(input: &[u8], _: Dialect) -> Parsed<'_, Command> {
    arguments(input, By::SeqNum)
}

pub(crate) fn uid_fetch(input: &[u8], _: Dialect) -> Parsed<'_, Command> {
    arguments(input, By::Uid)
}

fn arguments(input: &[u8], by: By) -> Parsed<'_, Command> {
    let (rest, messages) = messages(sp(input)?)?;
    let (rest, atts) = fetch_atts(sp(rest)?)?;
    let (rest, modifiers) = match literally(rest, " (") {
        Some(rest) => fetch_modifiers(rest)?,
        None => (rest, FetchModifiers::default()),
    };
    // RFC 7162 section 3.2.6.
    if modifiers.vanished && (by != By::Uid || modifiers.changed_since.is_none()) {
        return Err(Malformed("VANISHED needs UID FETCH with CHANGEDSINCE"));
    }
    Ok((rest, Command::Fetch(Fetch { by, messages, atts, modifiers })))
}

/// A macro, one item, or a list of items.
fn fetch_atts(input: &[u8]) -> Parsed<'_, Vec<FetchAtt>> {
    for (name, atts) in [("ALL", ALL), ("FAST", FAST), ("FULL", FULL)] {
        if let Some(rest) = word(input, name) {
            return Ok((rest, atts.to_vec()));
        }
    }
    if input.starts_with(b"(") {
        return parse::list(input, 1, MAX_ATTS, fetch_att);
    }
    let (rest, att) = fetch_att(input)?;
    Ok((rest, vec![att]))
}

/// `fetch-att`
fn fetch_att(input: &[u8]) -> Parsed<'_, FetchAtt> {
    for (name, att) in PLAIN {
        if let Some(rest) = word(input, name) {
            return Ok((rest, att.clone()));
        }
    }
    if let Some(rest) = word(input, "PREVIEW") {
        return Ok(match literally(rest, " (LAZY)") {
            Some(rest) => (rest, FetchAtt::Preview { lazy: true }),
            None => (rest, FetchAtt::Preview { lazy: false }),
        });
    }
    with_section(input)
}

/// The items that take a section in brackets, and `BODY`, which may go without.
fn with_section(input: &[u8]) -> Parsed<'_, FetchAtt> {
    let before_bracket = |name| literally(input, name).filter(|rest| rest.starts_with(b"["));
    for (name, peek) in [("BODY", false), ("BODY.PEEK", true)] {
        if let Some(rest) = before_bracket(name) {
            let (rest, section) = section(rest)?;
            let (rest, partial) = optional_partial(rest)?;
            return Ok((rest, FetchAtt::BodySection { peek, section, partial }));
        }
    }
    for (name, peek) in [("BINARY", false), ("BINARY.PEEK", true)] {
        if let Some(rest) = before_bracket(name) {
            let (rest, part) = section_binary(rest)?;
            let (rest, partial) = optional_partial(rest)?;
            return Ok((rest, FetchAtt::Binary { peek, part, partial }));
        }
    }
    if let Some(rest) = before_bracket("BINARY.SIZE") {
        let (rest, part) = section_binary(rest)?;
        return Ok((rest, FetchAtt::BinarySize { part }));
    }
    match word(input, "BODY") {
        Some(rest) => Ok((rest, FetchAtt::Body)),
        None => Err(Malformed("unknown item of FETCH")),
    }
}

/// `fetch-modifiers` from behind their parenthesis.
fn fetch_modifiers(input: &[u8]) -> Parsed<'_, FetchModifiers> {
    let mut modifiers = FetchModifiers::default();
    let mut rest = input;
    loop {
        if let Some(after) = literally(rest, "CHANGEDSINCE ") {
            let (after, modseq) = mod_sequence_value(after)?;
            modifiers.changed_since = Some(modseq);
            rest = after;
        } else if let Some(after) = word(rest, "VANISHED") {
            modifiers.vanished = true;
            rest = after;
        } else {
            return Err(Malformed("unknown modifier of FETCH"));
        }
        if let Some(rest) = literally(rest, ")") {
            return Ok((rest, modifiers));
        }
        rest = sp(rest)?;
    }
}

impl Fetch {
    pub(super) fn print(&self, out: &mut Vec<u8>) {
        print_by(out, self.by);
        put(out, format_args!("FETCH {} ", self.messages));
        list(out, &self.atts, put);
        let modifiers = match (self.modifiers.changed_since, self.modifiers.vanished) {
            (Some(modseq), false) => format!(" (CHANGEDSINCE {modseq})"),
            (Some(modseq), true) => format!(" (CHANGEDSINCE {modseq} VANISHED)"),
            (None, _) => String::new(),
        };
        put(out, modifiers);
    }
}

/// As in a command.
impl fmt::Display for FetchAtt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((name, _)) = PLAIN.iter().find(|(_, att)| att == self) {
            return f.write_str(name);
        }
        match self {
            Self::BodySection { peek, section, partial } => {
                write!(f, "BODY{}[{section}]", if *peek { ".PEEK" } else { "" })?;
                partial.iter().try_for_each(|partial| write!(f, "{partial}"))
            }
            Self::Binary { peek, part, partial } => {
                write!(f, "BINARY{}[", if *peek { ".PEEK" } else { "" })?;
                write_part(f, part)?;
                f.write_str("]")?;
                partial.iter().try_for_each(|partial| write!(f, "{partial}"))
            }
            Self::BinarySize { part } => {
                f.write_str("BINARY.SIZE[")?;
                write_part(f, part)?;
                f.write_str("]")
            }
            Self::Preview { lazy: true } => f.write_str("PREVIEW (LAZY)"),
            Self::Preview { lazy: false } => f.write_str("PREVIEW"),
            // All others are in the table.
            _ => f.write_str("BODY"),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::section::tests::{any_part, any_partial, any_section};

    #[test]
    fn every_plain_item_is_told_from_its_neighbours() {
        for (name, att) in PLAIN {
            assert_eq!(fetch_att(name.as_bytes()), Ok((&b""[..], att.clone())), "{name}");
            assert!(fetch_att(format!("{name}X").as_bytes()).is_err(), "{name}");
        }
    }

    #[test]
    fn which_items_set_seen() {
        for (text, expected) in [
            ("BODY[]", true),
            ("BODY.PEEK[]", false),
            ("RFC822", true),
            ("RFC822.HEADER", false),
            ("RFC822.TEXT", true),
            ("BINARY[1]", true),
            ("BINARY.PEEK[1]", false),
            ("BINARY.SIZE[1]", false),
            ("BODY", false),
            ("PREVIEW", false),
        ] {
            assert_eq!(fetch_att(text.as_bytes()).unwrap().1.sets_seen(), expected, "{text}");
        }
    }

    #[test]
    fn old_names_of_sections() {
        for (old, new) in
            [("RFC822", "BODY[]"), ("RFC822.HEADER", "BODY[HEADER]"), ("RFC822.TEXT", "BODY[TEXT]")]
        {
            let section = |text: &str| fetch_att(text.as_bytes()).unwrap().1.content_section();
            assert_eq!(section(old), section(new));
            assert!(section(old).is_some());
        }
        assert_eq!(FetchAtt::BodyStructure.content_section(), None);
    }

    #[test]
    fn refused() {
        for wrong in [
            " 1",
            " 1 ()",
            " 1 (ALL)",
            " 1 (FLAGS",
            " 1 (FLAGS  UID)",
            " 1 BODY.PEEK",
            " 1 BINARY",
            " 1 BODY[1",
            " 1 FLAGS (CHANGEDSINCE 0)",
            " 1 FLAGS (CHANGEDSINCE 5 VANISHED)",
            " 1 FLAGS (NEW 5)",
            " 1 FLAGS ()",
            " a FLAGS",
        ] {
            assert!(fetch(wrong.as_bytes(), Dialect::SevenBit).is_err(), "{wrong}");
        }
        assert!(uid_fetch(b" 1 FLAGS (VANISHED)", Dialect::SevenBit).is_err());
        let many = format!(" 1 ({}UID)", "UID ".repeat(MAX_ATTS));
        assert!(fetch(many.as_bytes(), Dialect::SevenBit).is_err());
    }

    pub(crate) fn any_att() -> impl Strategy<Value = FetchAtt> {
        let partial = || prop::option::of(any_partial());
        prop_oneof![
            prop::sample::select(PLAIN.iter().map(|(_, att)| att.clone()).collect::<Vec<_>>()),
            Just(FetchAtt::Body),
            any::<bool>().prop_map(|lazy| FetchAtt::Preview { lazy }),
            (any::<bool>(), any_section(), partial())
                .prop_map(|(peek, section, partial)| FetchAtt::BodySection { peek, section, partial }),
            (any::<bool>(), any_part(), partial()).prop_map(|(peek, part, partial)| FetchAtt::Binary {
                peek,
                part,
                partial
            }),
            any_part().prop_map(|part| FetchAtt::BinarySize { part }),
        ]
    }
}
