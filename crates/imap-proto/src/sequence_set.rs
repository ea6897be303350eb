//! What a client writes to name messages: `2,4:7,9,12:*`, or `$`.
//!
//! Standards: RFC 3501 section 9 (`sequence-set`), RFC 5182 section 2.1 (`$`).
//! Trust: a client may write ranges of four thousand million numbers. [`SequenceSet`] keeps
//! them as written; only ranges are stored, never the numbers in them.

use std::fmt;

use crate::{Number, NumberSet};

/// One end of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SeqEnd {
    /// A number above zero.
    Number(std::num::NonZeroU32),
    /// `*`: the largest number in use.
    Largest,
}

/// One or more ranges, as written: unordered, perhaps overlapping, perhaps backwards.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SequenceSet {
    ranges: Vec<(SeqEnd, SeqEnd)>,
}

/// The messages a command is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Messages {
    /// These.
    Set(SequenceSet),
    /// `$`: the saved result of the last SEARCH RETURN (SAVE), RFC 5182.
    SavedResult,
}

impl SequenceSet {
    /// More ranges than this are refused by the parser; 64 KiB of command hold fewer.
    pub const MAX_RANGES: usize = 32 * 1024;

    /// The set of these ranges, or `None` without any or with too many.
    pub fn new(ranges: Vec<(SeqEnd, SeqEnd)>) -> Option<Self> {
        (1..=Self::MAX_RANGES).contains(&ranges.len()).then_some(Self { ranges })
    }

    /// The ranges as written.
    pub fn ranges(&self) -> &[(SeqEnd, SeqEnd)] {
        &self.ranges
    }

    /// Is `*` an end of one of the ranges?
    pub fn has_largest(&self) -> bool {
        self.ranges.iter().any(|(a, b)| *a == SeqEnd::Largest || *b == SeqEnd::Largest)
    }

    /// The numbers meant while `largest` is the largest in use: sorted, merged, `*` replaced.
    ///
    /// `9:*` with `largest` 3 is `3:9` (RFC 3501 section 6.4.8: the order of a range's ends
    /// does not matter). A range with `*` means nothing when there is no message.
    pub fn resolve<N: Number>(&self, largest: Option<N>) -> NumberSet<N> {
        let number = |end: SeqEnd| match end {
            SeqEnd::Number(number) => Some(N::from_nonzero(number)),
            SeqEnd::Largest => largest,
        };
        NumberSet::from_ranges(self.ranges.iter().filter_map(|(a, b)| Some((number(*a)?, number(*b)?))))
    }
}

impl fmt::Display for SeqEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Largest => f.write_str("*"),
        }
    }
}

impl fmt::Display for SequenceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.ranges.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            write!(f, "{first}")?;
            if first != last {
                write!(f, ":{last}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(set) => set.fmt(f),
            Self::SavedResult => f.write_str("$"),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{SeqNum, parse};

    fn set(text: &str) -> SequenceSet {
        let (rest, set) = parse::sequence_set(text.as_bytes()).unwrap();
        assert!(rest.is_empty(), "{text}");
        set
    }

    #[test]
    fn resolves() {
        for (text, largest, expected) in [
            ("2,4:7,9,12:*", 15, "2,4:7,9,12:15"), // RFC 3501 section 9
            ("*:4,5:7", 10, "4:10"),               // RFC 3501 section 9
            ("2:4", 3, "2:4"),
            ("4:2", 3, "2:4"),
            ("9:*", 3, "3:9"),
            ("*", 3, "3"),
            ("*:*", 3, "3"),
            ("*", 0, ""),
            ("1:*", 0, ""),
            ("3,3,3:3,2", 9, "2:3"),
            ("1:4294967295", 9, "1:4294967295"),
        ] {
            let resolved = set(text).resolve(SeqNum::new(largest));
            assert_eq!(resolved.to_string(), expected, "{text} of {largest}");
        }
    }

    pub(crate) fn any_set() -> impl Strategy<Value = SequenceSet> {
        let end = prop_oneof![
            Just(SeqEnd::Largest),
            (1u32..20).prop_map(|n| SeqEnd::Number(n.try_into().unwrap())),
            any::<std::num::NonZeroU32>().prop_map(SeqEnd::Number),
        ];
        prop::collection::vec((end.clone(), end), 1..8).prop_map(|ranges| SequenceSet::new(ranges).unwrap())
    }

    pub(crate) fn any_messages() -> impl Strategy<Value = Messages> {
        prop_oneof![4 => any_set().prop_map(Messages::Set), 1 => Just(Messages::SavedResult)]
    }

    proptest! {
        #[test]
        fn what_is_printed_is_parsed(original in any_set()) {
            prop_assert_eq!(set(&original.to_string()), original);
        }

        #[test]
        fn a_resolved_set_resolves_to_itself(original in any_set(), largest in any::<u32>()) {
            let resolved = original.resolve(SeqNum::new(largest));
            if !resolved.is_empty() {
                prop_assert_eq!(set(&resolved.to_string()).resolve(None), resolved);
            }
        }
    }
}
