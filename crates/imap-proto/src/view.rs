//! View: what one session has told its client about the open mailbox.
//!
//! Standards: RFC 3501 sections 2.3.1.2 and 7.4.1 (sequence numbers, EXPUNGE), RFC 7162
//! section 3.2.10 (VANISHED).
//! Invariants:
//! - sequence numbers 1 to [`View::len`] stand for the UIDs in ascending order, exactly as
//!   the client counts them: nothing changes but by what is being told;
//! - a message that is gone keeps its number until [`View::flush`] says what to tell;
//! - a UID that was in the view once never comes again.
//!
//! Costs: memory grows with the runs of consecutive UIDs (12 bytes each), not with the
//! messages; looking up is a binary search, flushing passes over the runs once.

use crate::command::By;
use crate::{SeqEnd, SeqNum, SeqSet, SequenceSet, Uid, UidSet};

/// The messages of a mailbox as one client knows them.
#[derive(Debug, Clone, Default)]
pub struct View {
    uids: UidSet,
    /// For each run of `uids`, the sequence number of its first.
    first_seqs: Vec<u32>,
    len: u32,
    /// Gone, and not told yet; a part of `uids`.
    gone: UidSet,
    /// The highest UID that was ever told.
    highest: Option<Uid>,
}

/// What a sequence set means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The messages meant that are still there.
    pub uids: UidSet,
    /// The messages meant that are gone, but not told yet: for sequence numbers the answer
    /// may be `NO [EXPUNGEISSUED]` (RFC 5530).
    pub gone: UidSet,
}

/// A sequence number beyond the last message, or `*` in an empty mailbox: BAD (RFC 3501
/// section 9, `seq-number`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no message with this number")]
pub struct OutOfRange;

/// Messages that the client is to forget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expunged {
    /// Their UIDs, for VANISHED.
    pub uids: UidSet,
    /// Their sequence numbers before anything is told, as runs: first and length.
    runs: Vec<(u32, u32)>,
}

impl Expunged {
    /// The numbers of the untagged EXPUNGE responses, in the order in which they must be
    /// sent: each counts those before it as forgotten (RFC 3501 section 7.4.1).
    pub fn numbers(&self) -> impl Iterator<Item = SeqNum> + '_ {
        let mut told = 0;
        self.runs
            .iter()
            .flat_map(move |(first, length)| {
                let number = first - told;
                told += length;
                (0..*length).map(move |_| number)
            })
            .filter_map(SeqNum::new)
    }
}

impl View {
    /// The view of a mailbox with these messages, just opened.
    pub fn new(uids: UidSet) -> Self {
        let mut view = Self { highest: uids.last(), uids, ..Self::default() };
        view.count();
        view
    }

    /// Numbers the runs anew.
    fn count(&mut self) {
        let mut next = 1u32;
        self.first_seqs.clear();
        for (first, last) in self.uids.ranges() {
            self.first_seqs.push(next);
            next = next.saturating_add(last.get() - first.get()).saturating_add(1);
        }
        self.len = next - 1;
    }

    /// How many messages the client knows: the number in EXISTS.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Does the client know no message?
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The messages that the client knows, with those that are gone.
    pub fn uids(&self) -> &UidSet {
        &self.uids
    }

    /// The messages that are gone and not told yet.
    pub fn gone(&self) -> &UidSet {
        &self.gone
    }

    /// The highest UID that the client was ever told.
    pub fn highest(&self) -> Option<Uid> {
        self.highest
    }

    /// A new message is about to be told with EXISTS. `false`, and nothing changes, unless
    /// its UID is above all that were told.
    pub fn append(&mut self, uid: Uid) -> bool {
        if self.highest.is_some_and(|highest| uid <= highest) {
            return false;
        }
        let joins = self.uids.last().is_some_and(|last| last.get().checked_add(1) == Some(uid.get()));
        self.uids.insert(uid);
        self.len += 1;
        if !joins {
            self.first_seqs.push(self.len);
        }
        self.highest = Some(uid);
        true
    }

    /// A message is gone: it keeps its number until it is told. `false` if the client does
    /// not know it, or it was gone before.
    pub fn expunge(&mut self, uid: Uid) -> bool {
        self.uids.contains(uid) && self.gone.insert(uid)
    }

    /// All that is gone is told now: gives what to tell, and forgets it.
    pub fn flush(&mut self) -> Expunged {
        let uids = std::mem::take(&mut self.gone);
        // A run of gone UIDs is part of one run of the view, so its numbers are a run too.
        let runs = uids
            .ranges()
            .filter_map(|(first, last)| Some((self.seq(first)?.get(), last.get() - first.get() + 1)))
            .collect();
        if !uids.is_empty() {
            self.uids = self.uids.difference(&uids);
            self.count();
        }
        Expunged { uids, runs }
    }

    /// The UID of a message by its number.
    pub fn uid(&self, seq: SeqNum) -> Option<Uid> {
        if seq.get() > self.len {
            return None;
        }
        let run = self.first_seqs.partition_point(|first| *first <= seq.get()).checked_sub(1)?;
        let (first_uid, _) = self.uids.run(run)?;
        Uid::new(first_uid.get() + (seq.get() - self.first_seqs.get(run)?))
    }

    /// The number of a message by its UID, also when it is gone and not told yet.
    pub fn seq(&self, uid: Uid) -> Option<SeqNum> {
        let run = self.uids.run_of(uid)?;
        let (first_uid, _) = self.uids.run(run)?;
        SeqNum::new(self.first_seqs.get(run)? + (uid.get() - first_uid.get()))
    }

    /// The numbers of these messages, as far as the client knows them.
    pub fn seqs(&self, uids: &UidSet) -> SeqSet {
        let known = self.uids.intersection(uids);
        SeqSet::from_ranges(
            known.ranges().filter_map(|(first, last)| Some((self.seq(first)?, self.seq(last)?))),
        )
    }

    /// The messages with these numbers, as far as there are such.
    fn uids_of(&self, seqs: &SeqSet) -> UidSet {
        let Some(last_seq) = SeqNum::new(self.len) else { return UidSet::new() };
        let mut ranges = Vec::new();
        for (from, to) in seqs.ranges() {
            let to = to.min(last_seq);
            let run = self.first_seqs.partition_point(|first| *first <= from.get()).saturating_sub(1);
            let runs = self.uids.ranges().skip(run).zip(self.first_seqs.iter().skip(run));
            for ((first_uid, last_uid), first_seq) in runs.take_while(|(_, first)| **first <= to.get()) {
                let start = first_uid.get() + from.get().saturating_sub(*first_seq);
                let end = last_uid.get().min(first_uid.get().saturating_add(to.get() - first_seq));
                if let (Some(start), Some(end)) = (Uid::new(start), Uid::new(end))
                    && start <= end
                {
                    ranges.push((start, end));
                }
            }
        }
        UidSet::from_ranges(ranges)
    }

    /// The messages that `set` means; numbers without a message mean nothing. For UIDs
    /// (RFC 3501 section 6.4.8), and for the sets among SEARCH's keys.
    pub fn matching(&self, set: &SequenceSet, by: By) -> Resolved {
        let meant = match by {
            By::Uid => self.uids.intersection(&set.resolve(self.uids.last())),
            By::SeqNum => self.uids_of(&set.resolve(SeqNum::new(self.len))),
        };
        Resolved { uids: meant.difference(&self.gone), gone: meant.intersection(&self.gone) }
    }

    /// As [`Self::matching`], for a command's own set: a sequence number without a message
    /// is an error. In `9:*` of three messages the 9 is none: it means the last.
    pub fn resolve(&self, set: &SequenceSet, by: By) -> Result<Resolved, OutOfRange> {
        if by == By::SeqNum && set.ranges().iter().any(|range| self.is_out_of_range(*range)) {
            return Err(OutOfRange);
        }
        Ok(self.matching(set, by))
    }

    fn is_out_of_range(&self, range: (SeqEnd, SeqEnd)) -> bool {
        match range {
            (SeqEnd::Number(a), SeqEnd::Number(b)) => a.max(b).get() > self.len,
            _ => self.is_empty(),
        }
    }
}

/// The view of a mailbox whose messages are these, by ascending UID.
impl FromIterator<Uid> for View {
    fn from_iter<I: IntoIterator<Item = Uid>>(uids: I) -> Self {
        Self::new(uids.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    fn view(uids: &[u32]) -> View {
        uids.iter().filter_map(|uid| Uid::new(*uid)).collect()
    }

    fn uid(number: u32) -> Uid {
        Uid::new(number).unwrap()
    }

    fn resolved(view: &View, set: &str, by: By) -> String {
        let (_, set) = parse::sequence_set(set.as_bytes()).unwrap();
        match view.resolve(&set, by) {
            Ok(resolved) => resolved.uids.to_string(),
            Err(OutOfRange) => "BAD".to_owned(),
        }
    }

    #[test]
    fn sets_mean_messages() {
        let some = view(&[10, 11, 12, 20, 30, 31]);
        let none = view(&[]);
        for (set, by_seq, by_uid, by_seq_of_none, by_uid_of_none) in [
            ("1", "10", "", "BAD", ""),
            ("1:*", "10:12,20,30:31", "10:12,20,30:31", "BAD", ""),
            ("*", "31", "31", "BAD", ""),
            ("6,1", "10,31", "", "BAD", ""),
            ("7", "BAD", "", "BAD", ""),
            ("3:5", "12,20,30", "", "BAD", ""),
            ("5:3", "12,20,30", "", "BAD", ""),
            ("7:*", "31", "10:12,20,30:31", "BAD", ""),
            ("*:40", "31", "31", "BAD", ""),
            ("5:7", "BAD", "", "BAD", ""),
            ("12:25", "BAD", "12,20", "BAD", ""),
            ("1:4294967295", "BAD", "10:12,20,30:31", "BAD", ""),
        ] {
            assert_eq!(resolved(&some, set, By::SeqNum), by_seq, "{set}");
            assert_eq!(resolved(&some, set, By::Uid), by_uid, "UID {set}");
            assert_eq!(resolved(&none, set, By::SeqNum), by_seq_of_none, "{set} of none");
            assert_eq!(resolved(&none, set, By::Uid), by_uid_of_none, "UID {set} of none");
        }
    }

    #[test]
    fn numbers_stay_until_told() {
        let mut view = view(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
        for number in [3, 4, 7, 11] {
            assert!(view.expunge(uid(number)));
            assert!(!view.expunge(uid(number)), "once only");
        }
        assert!(!view.expunge(uid(12)), "not known");
        assert_eq!(view.len(), 11);
        assert_eq!(view.seq(uid(8)), SeqNum::new(8));
        let (_, set) = parse::sequence_set(b"3:5").unwrap();
        let meant = view.resolve(&set, By::SeqNum).unwrap();
        assert_eq!((meant.uids.to_string(), meant.gone.to_string()), ("5".into(), "3:4".into()));

        let expunged = view.flush();
        // RFC 3501 section 6.4.3 has this very answer.
        assert_eq!(expunged.numbers().map(SeqNum::get).collect::<Vec<_>>(), [3, 3, 5, 8]);
        assert_eq!(expunged.uids.to_string(), "3:4,7,11");
        assert_eq!((view.len(), view.seq(uid(8))), (7, SeqNum::new(5)));
        assert_eq!(view.flush().numbers().count(), 0);
    }

    #[test]
    fn a_uid_never_comes_again() {
        let mut view = view(&[5, 9]);
        assert!(!view.append(uid(9)) && !view.append(uid(7)));
        assert!(view.expunge(uid(9)));
        view.flush();
        assert!(!view.append(uid(9)));
        assert!(view.append(uid(10)));
        assert_eq!(view.uids().to_string(), "5,10");
        assert_eq!(view.uid(SeqNum::new(2).unwrap()), Some(uid(10)));
    }

    #[test]
    fn the_last_uids() {
        let mut view = view(&[u32::MAX - 1]);
        assert!(view.append(uid(u32::MAX)));
        assert_eq!(view.uid(SeqNum::new(2).unwrap()), Some(uid(u32::MAX)));
        assert_eq!(resolved(&view, "4294967295:*", By::Uid), "4294967295");
        assert_eq!(resolved(&view, "1:*", By::SeqNum), "4294967294:4294967295");
    }
}
