//! LIST and LSUB.
//!
//! Standards: RFC 3501 sections 6.3.8 and 6.3.9, RFC 5258 (extended LIST), RFC 5819
//! (STATUS), RFC 6154 section 2 (SPECIAL-USE).

use super::status::{StatusItem, status_items};
use super::{Command, put_string};
use crate::parse::{self, Malformed, Parsed, list_mailbox, literally, sp, word};
use crate::print::{self, put};
use crate::{Dialect, ListPattern};

/// More patterns than this are refused.
const MAX_PATTERNS: usize = 50;
/// More options than this are refused: no client needs one twice.
const MAX_OPTIONS: usize = 20;

/// `LIST [(selection)] reference patterns [RETURN (options)]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Which mailboxes; `Some` also for `()`.
    pub select: Option<ListSelect>,
    /// Where the patterns begin.
    pub reference: ListPattern,
    /// At least one.
    pub patterns: Vec<ListPattern>,
    /// What to tell of them; `Some` also for `RETURN ()`.
    pub returns: Option<ListReturn>,
}

/// `list-select-opts`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ListSelect {
    /// Subscribed names, also of mailboxes that are gone.
    pub subscribed: bool,
    /// Also mailboxes on other servers: we have none.
    pub remote: bool,
    /// Also parents of what is selected; only together with another selection.
    pub recursive_match: bool,
    /// Mailboxes with a special use.
    pub special_use: bool,
}

/// `list-return-opts`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListReturn {
    /// Say which are subscribed.
    pub subscribed: bool,
    /// Say which have children.
    pub children: bool,
    /// Say what they are for.
    pub special_use: bool,
    /// A STATUS response for each; empty: none.
    pub status: Vec<StatusItem>,
}

/// `LSUB reference pattern`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lsub {
    /// Where the pattern begins.
    pub reference: ListPattern,
    /// The names wanted.
    pub pattern: ListPattern,
}

impl List {
    /// Does the command use what RFC 5258 added? Only the basic form gives the empty
    /// pattern its meaning, "tell the separator".
    pub fn is_extended(&self) -> bool {
        self.select.is_some() || self.returns.is_some() || self.patterns.len() != 1
    }
}

pub(crate) fn list(input: &[u8], dialect: Dialect) -> Parsed<'_, Command> {
    let rest = sp(input)?;
    let (rest, select) = match rest.first() {
        Some(b'(') => {
            let (rest, select) = list_select_opts(rest)?;
            (sp(rest)?, Some(select))
        }
        _ => (rest, None),
    };
    let (rest, reference) = list_mailbox(rest, dialect)?;
    let (rest, patterns) = mbox_or_pat(sp(rest)?, dialect)?;
    let (rest, returns) = match literally(rest, " RETURN ") {
        Some(options) => {
            let (rest, returns) = list_return_opts(options)?;
            (rest, Some(returns))
        }
        None => (rest, None),
    };
    Ok((rest, Command::List(List { select, reference, patterns, returns })))
}

pub(crate) fn lsub(input: &[u8], dialect: Dialect) -> Parsed<'_, Command> {
    let (rest, reference) = list_mailbox(sp(input)?, dialect)?;
    let (rest, pattern) = list_mailbox(sp(rest)?, dialect)?;
    Ok((rest, Command::Lsub(Lsub { reference, pattern })))
}

/// `mbox-or-pat`
fn mbox_or_pat(input: &[u8], dialect: Dialect) -> Parsed<'_, Vec<ListPattern>> {
    if input.starts_with(b"(") {
        return parse::list(input, 1, MAX_PATTERNS, |input| list_mailbox(input, dialect));
    }
    let (rest, pattern) = list_mailbox(input, dialect)?;
    Ok((rest, vec![pattern]))
}

fn list_select_opts(input: &[u8]) -> Parsed<'_, ListSelect> {
    let option = |input| {
        for name in ["SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE"] {
            if let Some(rest) = word(input, name) {
                return Ok((rest, name));
            }
        }
        Err(Malformed("unknown selection option of LIST"))
    };
    let (rest, names) = parse::list(input, 0, MAX_OPTIONS, option)?;
    let select = ListSelect {
        subscribed: names.contains(&"SUBSCRIBED"),
        remote: names.contains(&"REMOTE"),
        recursive_match: names.contains(&"RECURSIVEMATCH"),
        special_use: names.contains(&"SPECIAL-USE"),
    };
    if select.recursive_match && !select.subscribed && !select.special_use {
        return Err(Malformed("RECURSIVEMATCH needs another selection option")); // RFC 5258 section 3
    }
    Ok((rest, select))
}

fn list_return_opts(input: &[u8]) -> Parsed<'_, ListReturn> {
    let (rest, parts) = parse::list(input, 0, MAX_OPTIONS, list_return_opt)?;
    let mut returns = ListReturn::default();
    for part in parts {
        returns.subscribed |= part.subscribed;
        returns.children |= part.children;
        returns.special_use |= part.special_use;
        if !part.status.is_empty() {
            returns.status = part.status;
        }
    }
    Ok((rest, returns))
}

/// One option, as options of which only it is set.
fn list_return_opt(input: &[u8]) -> Parsed<'_, ListReturn> {
    if let Some(rest) = word(input, "SUBSCRIBED") {
        return Ok((rest, ListReturn { subscribed: true, ..ListReturn::default() }));
    }
    if let Some(rest) = word(input, "CHILDREN") {
        return Ok((rest, ListReturn { children: true, ..ListReturn::default() }));
    }
    if let Some(rest) = word(input, "SPECIAL-USE") {
        return Ok((rest, ListReturn { special_use: true, ..ListReturn::default() }));
    }
    if let Some(rest) = literally(input, "STATUS ") {
        let (rest, status) = status_items(rest)?;
        return Ok((rest, ListReturn { status, ..ListReturn::default() }));
    }
    Err(Malformed("unknown return option of LIST"))
}

impl List {
    pub(super) fn print(&self, out: &mut Vec<u8>, dialect: Dialect) {
        put(out, "LIST ");
        if let Some(select) = &self.select {
            select.print(out);
            put(out, " ");
        }
        put_string(out, self.reference.to_wire(dialect).as_bytes());
        put(out, " ");
        match self.patterns.as_slice() {
            [pattern] => put_string(out, pattern.to_wire(dialect).as_bytes()),
            patterns => print::list(out, patterns, |out, pattern| {
                put_string(out, pattern.to_wire(dialect).as_bytes());
            }),
        }
        if let Some(returns) = &self.returns {
            returns.print(out);
        }
    }
}

/// The names of those options that are set.
fn chosen<const N: usize>(options: [(bool, &'static str); N]) -> impl Iterator<Item = &'static str> {
    options.into_iter().filter_map(|(is_set, name)| is_set.then_some(name))
}

impl ListSelect {
    fn print(self, out: &mut Vec<u8>) {
        let names = chosen([
            (self.subscribed, "SUBSCRIBED"),
            (self.remote, "REMOTE"),
            (self.recursive_match, "RECURSIVEMATCH"),
            (self.special_use, "SPECIAL-USE"),
        ]);
        print::list(out, names, put);
    }
}

impl ListReturn {
    fn print(&self, out: &mut Vec<u8>) {
        put(out, " RETURN ");
        let names = chosen([
            (self.subscribed, "SUBSCRIBED"),
            (self.children, "CHILDREN"),
            (self.special_use, "SPECIAL-USE"),
            (!self.status.is_empty(), "STATUS "),
        ]);
        print::list(out, names, |out, name| {
            put(out, name);
            if name == "STATUS " {
                print::list(out, &self.status, put);
            }
        });
    }
}

impl Lsub {
    pub(super) fn print(&self, out: &mut Vec<u8>, dialect: Dialect) {
        put(out, "LSUB ");
        put_string(out, self.reference.to_wire(dialect).as_bytes());
        put(out, " ");
        put_string(out, self.pattern.to_wire(dialect).as_bytes());
    }
}
