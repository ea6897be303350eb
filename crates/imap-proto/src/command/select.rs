//! SELECT and EXAMINE.
//!
//! Standards: RFC 3501 sections 6.3.1 and 6.3.2, RFC 4466 section 2.1 (parameters),
//! RFC 7162 sections 3.1.8 (CONDSTORE) and 3.2.5 (QRESYNC).

use super::{Command, print_with_mailbox};
use crate::parse::{
    Malformed, Parsed, expect, known_uids, literally, mailbox, mod_sequence_value, sequence_set, sp,
    uid_validity, word,
};
use crate::print::put;
use crate::{Dialect, MailboxName, ModSeq, SeqSet, UidSet, UidValidity};

/// `SELECT mailbox [(parameters)]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Select {
    /// The mailbox to open.
    pub mailbox: MailboxName,
    /// `CONDSTORE` was asked for.
    pub condstore: bool,
    /// What the client knows from before.
    pub qresync: Option<QResync>,
}

/// `QRESYNC (uidvalidity modseq [known-uids] [(seqs uids)])`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QResync {
    /// The UIDVALIDITY under which the client knows the mailbox.
    pub uid_validity: UidValidity,
    /// The mod-sequence up to which it knows changes.
    pub modseq: ModSeq,
    /// The UIDs it has; `None`: all.
    pub known_uids: Option<UidSet>,
    /// Some of its sequence numbers with their UIDs, equally many of both.
    pub seq_match: Option<(SeqSet, UidSet)>,
}

pub(crate) fn select(input: &[u8], dialect: Dialect) -> Parsed<'_, Command> {
    let (rest, select) = arguments(input, dialect)?;
    Ok((rest, Command::Select(select)))
}

pub(crate) fn examine(input: &[u8], dialect: Dialect) -> Parsed<'_, Command> {
    let (rest, select) = arguments(input, dialect)?;
    Ok((rest, Command::Examine(select)))
}

fn arguments(input: &[u8], dialect: Dialect) -> Parsed<'_, Select> {
    let (rest, mailbox) = mailbox(sp(input)?, dialect)?;
    let mut select = Select { mailbox, condstore: false, qresync: None };
    let Some(mut rest) = literally(rest, " (") else { return Ok((rest, select)) };
    loop {
        rest = parameter(rest, &mut select)?;
        if let Some(rest) = literally(rest, ")") {
            return Ok((rest, select));
        }
        rest = sp(rest)?;
    }
}

/// One `select-param`; none may come twice.
fn parameter<'a>(input: &'a [u8], select: &mut Select) -> Result<&'a [u8], Malformed> {
    if let Some(rest) = word(input, "CONDSTORE")
        && !select.condstore
    {
        select.condstore = true;
        return Ok(rest);
    }
    if let Some(rest) = literally(input, "QRESYNC (")
        && select.qresync.is_none()
    {
        let (rest, qresync) = qresync(rest)?;
        select.qresync = Some(qresync);
        return Ok(rest);
    }
    Err(Malformed("expected CONDSTORE or QRESYNC (…)"))
}

/// The parameter's value, from behind its parenthesis.
fn qresync(input: &[u8]) -> Parsed<'_, QResync> {
    let (rest, uid_validity) = uid_validity(input)?;
    let (mut rest, modseq) = mod_sequence_value(sp(rest)?)?;
    let mut qresync = QResync { uid_validity, modseq, known_uids: None, seq_match: None };
    if let [b' ', digits @ ..] = rest
        && digits.first().is_some_and(u8::is_ascii_digit)
    {
        let (after, known) = known_uids(digits)?;
        qresync.known_uids = Some(known);
        rest = after;
    }
    if let Some(after) = literally(rest, " (") {
        let (after, pairs) = seq_match_data(after)?;
        qresync.seq_match = Some(pairs);
        rest = after;
    }
    Ok((expect(rest, ")", "expected ) behind QRESYNC's arguments")?, qresync))
}

/// `seq-match-data` from behind its parenthesis.
fn seq_match_data(input: &[u8]) -> Parsed<'_, (SeqSet, UidSet)> {
    let (rest, seqs) = sequence_set(input)?;
    let (rest, uids) = known_uids(sp(rest)?)?;
    let seqs_resolved: SeqSet = seqs.resolve(None);
    if seqs.has_largest() || seqs_resolved.len() != uids.len() {
        return Err(Malformed("QRESYNC's sequence numbers and UIDs do not match"));
    }
    Ok((expect(rest, ")", "expected ) behind the UIDs")?, (seqs_resolved, uids)))
}

impl Select {
    pub(super) fn print(&self, out: &mut Vec<u8>, name: &str, dialect: Dialect) {
        print_with_mailbox(out, name, &self.mailbox, dialect);
        match (self.condstore, &self.qresync) {
            (false, None) => {}
            (true, None) => put(out, " (CONDSTORE)"),
            (condstore, Some(qresync)) => {
                put(out, if condstore { " (CONDSTORE " } else { " (" });
                qresync.print(out);
                put(out, ")");
            }
        }
    }
}

impl QResync {
    fn print(&self, out: &mut Vec<u8>) {
        put(out, format_args!("QRESYNC ({} {}", self.uid_validity, self.modseq));
        if let Some(known) = &self.known_uids {
            put(out, format_args!(" {known}"));
        }
        if let Some((seqs, uids)) = &self.seq_match {
            put(out, format_args!(" ({seqs} {uids})"));
        }
        put(out, ")");
    }
}
