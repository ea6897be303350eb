//! IMAP's numbers, each its own type: UID, sequence number, UIDVALIDITY, modseq.
//!
//! Standards: RFC 3501 section 2.3.1 (UID, sequence number), RFC 7162 section 3.1 (modseq).

use std::fmt;
use std::num::NonZeroU32;

/// What a [`crate::NumberSet`] can hold: [`Uid`] and [`SeqNum`].
pub trait Number: Copy + Ord + fmt::Debug + fmt::Display {
    /// The number of this value.
    fn to_nonzero(self) -> NonZeroU32;
    /// The value of this number.
    fn from_nonzero(number: NonZeroU32) -> Self;
}

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(NonZeroU32);

        impl $name {
            /// The value of `number`, or `None` for zero.
            pub const fn new(number: u32) -> Option<Self> {
                match NonZeroU32::new(number) {
                    Some(number) => Some(Self(number)),
                    None => None,
                }
            }

            /// The number.
            pub const fn get(self) -> u32 {
                self.0.get()
            }
        }

        impl Number for $name {
            fn to_nonzero(self) -> NonZeroU32 {
                self.0
            }
            fn from_nonzero(number: NonZeroU32) -> Self {
                Self(number)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    )*};
}

numbers! {
    /// Unique identifier of a message in one mailbox; rises with each message added.
    Uid;
    /// Message sequence number: the place of a message among those the client knows.
    SeqNum;
    /// Tells one life of a mailbox from another: UIDs are comparable only under the same.
    UidValidity;
}

/// Mod-sequence: at most 63 bits. Zero is no message's; it stands in `UNCHANGEDSINCE 0`
/// and `SEARCH MODSEQ 0` only (`mod-sequence-valzer`, RFC 7162 section 7).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModSeq(u64);

impl ModSeq {
    /// The largest mod-sequence, 2^63 - 1.
    pub const MAX: Self = Self(i64::MAX as u64);

    /// The value of `number`, or `None` above 63 bits.
    pub const fn new(number: u64) -> Option<Self> {
        if number <= Self::MAX.0 { Some(Self(number)) } else { None }
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ModSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for ModSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds() {
        assert_eq!(Uid::new(0), None);
        assert_eq!(Uid::new(u32::MAX).unwrap().get(), u32::MAX);
        assert_eq!(ModSeq::new(1 << 63), None);
        assert_eq!(ModSeq::new((1 << 63) - 1), Some(ModSeq::MAX));
    }
}
