//! Words for the values that the access database keeps, and the way back.

use hikyaku_access::event::Standing;
use hikyaku_access::facts::{Class, Service};
use hikyaku_access::history::{Proof, Verdict};

/// A value with a word.
pub(crate) trait Word: Copy + PartialEq + 'static {
    /// Each value and its word. A word never changes.
    const WORDS: &'static [(Self, &'static str)];

    /// The word.
    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(value, _)| *value == self).map_or("", |(_, word)| word)
    }

    /// The value of a word.
    fn of_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(_, known)| *known == word).map(|(value, _)| *value)
    }
}

impl Word for Service {
    const WORDS: &'static [(Self, &'static str)] = &[
        (Self::Imap, Self::Imap.name()),
        (Self::Pop3, Self::Pop3.name()),
        (Self::Submission, Self::Submission.name()),
        (Self::ManageSieve, Self::ManageSieve.name()),
        (Self::Webmail, Self::Webmail.name()),
        (Self::Panel, Self::Panel.name()),
    ];
}

impl Word for Class {
    const WORDS: &'static [(Self, &'static str)] = &[(Self::Mail, "mail"), (Self::Panel, "panel")];
}

impl Word for Proof {
    const WORDS: &'static [(Self, &'static str)] = &[
        (Self::Password, "password"),
        (Self::SecondFactor, "second-factor"),
        (Self::LongSecret, "app-password"),
    ];
}

impl Word for Verdict {
    const WORDS: &'static [(Self, &'static str)] = &[
        (Self::Admitted, "admitted"),
        (Self::Failed, "failed"),
        (Self::Challenged, "challenged"),
        (Self::Refused, "refused"),
    ];
}

impl Word for Standing {
    const WORDS: &'static [(Self, &'static str)] = &[
        (Self::Exempt, "exempt"),
        (Self::Known, "known"),
        (Self::Office, "office"),
        (Self::Neighbour, "neighbour"),
        (Self::Fresh, "fresh"),
        (Self::Suspect, "suspect"),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads_back<W: Word + std::fmt::Debug>() {
        for (value, word) in W::WORDS {
            assert!(!word.is_empty());
            assert_eq!((value.word(), W::of_word(word)), (*word, Some(*value)));
        }
        assert_eq!(W::of_word("nothing"), None);
    }

    #[test]
    fn every_word_leads_back() {
        leads_back::<Service>();
        leads_back::<Class>();
        leads_back::<Proof>();
        leads_back::<Verdict>();
        leads_back::<Standing>();
        assert!(Service::ALL.iter().all(|service| !service.word().is_empty()));
    }
}
