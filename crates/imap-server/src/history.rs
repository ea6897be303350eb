//! What happened in the open mailbox since a modseq: for CHANGEDSINCE and QRESYNC.
//!
//! Standards: RFC 7162 sections 3.1.4.1, 3.2.5 and 3.2.6.
//! Expunges are remembered for 30 days. Who was away for longer is told of all UIDs that are
//! not there: more than needed, and nothing is missing.

use hikyaku_imap_proto::{ModSeq, SeqSet, Uid, UidSet};
use hikyaku_mailstore::entry::{self, Point};
use hikyaku_mailstore::mailbox;

use crate::selected::{READ_STEP, Selected, last_of_full};
use crate::session::{Failure, Session};

/// From where on a client does not know what happened.
#[derive(Clone, Copy)]
pub(crate) struct Since<'s> {
    pub(crate) modseq: ModSeq,
    /// Some sequence numbers and the UIDs that they stood for then.
    pub(crate) seq_match: Option<&'s (SeqSet, UidSet)>,
}

/// Every UID that was given in the mailbox so far, as one range.
pub(crate) fn given(selected: &Selected) -> UidSet {
    match (Uid::new(1), Uid::new(selected.next_uid.saturating_sub(1))) {
        (Some(first), Some(last)) => UidSet::from_ranges([(first, last)]),
        _ => UidSet::new(),
    }
}

/// The messages that came or changed after `since`.
pub(crate) async fn changed(session: &Session<'_>, since: ModSeq) -> Result<UidSet, Failure> {
    let id = session.selected()?.id;
    let since = modseq_of(since);
    let mut found: Vec<(i64, u32)> = Vec::new();
    loop {
        let before = last_of_full(&found).map_or(u32::MAX, |(_, uid)| *uid);
        let step = session.read("imap.newest", move |tx| entry::newest(tx, id, since, before, READ_STEP));
        let step = step.await?;
        let is_last = step.len() < usize::from(READ_STEP);
        found.extend(step.iter().map(|entry| (entry.modseq, entry.uid)));
        if is_last {
            break;
        }
    }
    let mut at = Point::after(since);
    loop {
        let step =
            session.read("imap.changed", move |tx| entry::changed_since(tx, id, at, READ_STEP)).await?;
        let is_last = step.len() < usize::from(READ_STEP);
        found.extend(step.iter().map(|entry| (entry.modseq, entry.uid)));
        match step.last() {
            Some(last) if !is_last => at = Point { modseq: last.modseq, uid: last.uid },
            _ => break,
        }
    }
    Ok(found.into_iter().filter_map(|(_, uid)| Uid::new(uid)).collect())
}

/// Which of `among` were expunged after `since`. Those that the client still counts are told
/// by the sync.
pub(crate) async fn vanished(
    session: &Session<'_>,
    since: Since<'_>,
    among: &UidSet,
) -> Result<UidSet, Failure> {
    let id = session.selected()?.id;
    let modseq = modseq_of(since.modseq);
    let mut found: Vec<Point> = Vec::new();
    loop {
        let at = found.last().copied().unwrap_or(Point::after(modseq));
        let step =
            session.read("imap.expunged", move |tx| entry::expunged_since(tx, id, at, READ_STEP)).await?;
        let is_last = step.len() < usize::from(READ_STEP);
        found.extend(step);
        if is_last {
            break;
        }
    }
    // Read afterwards: meanwhile some may have been forgotten.
    let row = session.read("imap.history", move |tx| mailbox::mailbox(tx, id)).await?;
    let view = &session.selected()?.view;
    let gone: UidSet = if row.is_none_or(|row| modseq < row.tombstones_from) {
        among.difference(&agreed(session.selected()?, since.seq_match))
    } else {
        let uids: UidSet = found.into_iter().filter_map(|point| Uid::new(point.uid)).collect();
        uids.intersection(among)
    };
    Ok(gone.difference(view.uids()))
}

/// The UIDs of which client and server agree: where a number still stands for the same UID,
/// nothing below it was expunged.
fn agreed(selected: &Selected, seq_match: Option<&(SeqSet, UidSet)>) -> UidSet {
    let Some((seqs, uids)) = seq_match else { return UidSet::new() };
    // A client may name numbers without end.
    let pairs = seqs.iter().zip(uids.iter()).take_while(|(seq, _)| seq.get() <= selected.view.len());
    let same = pairs.filter(|(seq, uid)| selected.view.uid(*seq) == Some(*uid));
    match (Uid::new(1), same.last()) {
        (Some(first), Some((_, last))) => UidSet::from_ranges([(first, last)]),
        _ => UidSet::new(),
    }
}

fn modseq_of(modseq: ModSeq) -> i64 {
    i64::try_from(modseq.get()).unwrap_or(i64::MAX)
}
