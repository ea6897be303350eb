//! SORT and THREAD, by sequence number or UID.
//!
//! Standards: RFC 5256 section 3, RFC 5267 section 3 (RETURN), RFC 5957 (DISPLAYFROM,
//! DISPLAYTO). The base subject (RFC 5256 section 2.1) is not computed here.

use super::search::{
    SearchKey, SearchReturn, print_program, print_returns, search_program, search_return_opts,
};
use super::{By, Command, print_by, put_astring};
use crate::Dialect;
use crate::parse::{self, Parsed, astring_utf8, literally, sp};
use crate::print::{list, put};
use crate::words::words;

/// More criteria than this are refused.
const MAX_CRITERIA: usize = 30;

words! {
    /// `sort-key`
    SortKey "expected a sort key like DATE" {
        /// Internal date.
        Arrival "ARRIVAL",
        /// First Cc address.
        Cc "CC",
        /// Date of the header.
        Date "DATE",
        /// First From address's display name.
        DisplayFrom "DISPLAYFROM",
        /// First To address's display name.
        DisplayTo "DISPLAYTO",
        /// First From address's mailbox part.
        From "FROM",
        /// Size in bytes.
        Size "SIZE",
        /// Base subject.
        Subject "SUBJECT",
        /// First To address's mailbox part.
        To "TO",
    }
}

words! {
    /// `thread-alg`
    ThreadAlgorithm "expected REFERENCES or ORDEREDSUBJECT" {
        /// By base subject and date.
        OrderedSubject "ORDEREDSUBJECT",
        /// By References and In-Reply-To.
        References "REFERENCES",
    }
}

/// One criterion of SORT; the first decides, the next decides among equals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortCriterion {
    /// What is compared.
    pub key: SortKey,
    /// Largest first.
    pub reverse: bool,
}

/// `SORT [RETURN (…)] (criteria) charset keys`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sort {
    /// Kind of the numbers in the answer.
    pub by: By,
    /// What to answer with; `None`: the SORT response.
    pub returns: Option<SearchReturn>,
    /// At least one.
    pub criteria: Vec<SortCriterion>,
    /// Charset of the strings, as written.
    pub charset: String,
    /// Which messages.
    pub key: SearchKey,
}

/// `THREAD algorithm charset keys`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// Kind of the numbers in the answer.
    pub by: By,
    /// How threads are found.
    pub algorithm: ThreadAlgorithm,
    /// Charset of the strings, as written.
    pub charset: String,
    /// Which messages.
    pub key: SearchKey,
}

pub(crate) fn sort(input: &[u8], _: Dialect) -> Parsed<'_, Command> {
    sort_arguments(input, By::SeqNum)
}

pub(crate) fn uid_sort(input: &[u8], _: Dialect) -> Parsed<'_, Command> {
    sort_arguments(input, By::Uid)
}

pub(crate) fn thread(input: &[u8], _: Dialect) -> Parsed<'_, Command> {
    thread_arguments(input, By::SeqNum)
}

pub(crate) fn uid_thread(input: &[u8], _: Dialect) -> Parsed<'_, Command> {
    thread_arguments(input, By::Uid)
}

fn sort_arguments(input: &[u8], by: By) -> Parsed<'_, Command> {
    let (rest, returns) = search_return_opts(input)?;
    let (rest, criteria) = parse::list(sp(rest)?, 1, MAX_CRITERIA, sort_criterion)?;
    let (rest, charset) = astring_utf8(sp(rest)?)?;
    let (rest, key) = search_program(rest)?;
    Ok((rest, Command::Sort(Sort { by, returns, criteria, charset, key })))
}

/// `sort-criterion`
fn sort_criterion(input: &[u8]) -> Parsed<'_, SortCriterion> {
    let (rest, reverse) = match literally(input, "REVERSE ") {
        Some(rest) => (rest, true),
        None => (input, false),
    };
    let (rest, key) = SortKey::parse(rest)?;
    Ok((rest, SortCriterion { key, reverse }))
}

fn thread_arguments(input: &[u8], by: By) -> Parsed<'_, Command> {
    let (rest, algorithm) = ThreadAlgorithm::parse(sp(input)?)?;
    let (rest, charset) = astring_utf8(sp(rest)?)?;
    let (rest, key) = search_program(rest)?;
    Ok((rest, Command::Thread(Thread { by, algorithm, charset, key })))
}

impl Sort {
    pub(super) fn print(&self, out: &mut Vec<u8>) {
        print_by(out, self.by);
        put(out, "SORT");
        print_returns(out, self.returns);
        put(out, " ");
        list(out, &self.criteria, |out, criterion| {
            put(out, if criterion.reverse { "REVERSE " } else { "" });
            put(out, criterion.key);
        });
        put(out, " ");
        put_astring(out, self.charset.as_bytes());
        print_program(out, &self.key);
    }
}

impl Thread {
    pub(super) fn print(&self, out: &mut Vec<u8>) {
        print_by(out, self.by);
        put(out, format_args!("THREAD {} ", self.algorithm));
        put_astring(out, self.charset.as_bytes());
        print_program(out, &self.key);
    }
}
