//! Where a credential may sign in: a set of entrances, as a plan or an app password has it.

use std::fmt;
use std::str::FromStr;

/// One way into an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Entrance {
    /// IMAP.
    Imap,
    /// POP3.
    Pop3,
    /// Submission, on port 587 or 465.
    Submission,
    /// ManageSieve.
    ManageSieve,
    /// The webmail and JMAP.
    Webmail,
    /// The panel's API.
    Api,
}

/// A set of entrances.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Services(u8);

/// A text is no set of entrances.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no service: write some of imap,pop3,submission,sieve,webmail,api with commas between them")]
pub struct UnknownService(String);

impl Entrance {
    /// Every entrance, in the order in which sets are printed.
    pub const ALL: [Self; 6] =
        [Self::Imap, Self::Pop3, Self::Submission, Self::ManageSieve, Self::Webmail, Self::Api];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::Submission => "submission",
            Self::ManageSieve => "sieve",
            Self::Webmail => "webmail",
            Self::Api => "api",
        }
    }

    /// Its bit in a column: never changed, never given to another.
    const fn bit(self) -> u8 {
        match self {
            Self::Imap => 1,
            Self::Pop3 => 2,
            Self::Submission => 4,
            Self::ManageSieve => 8,
            Self::Webmail => 16,
            Self::Api => 32,
        }
    }
}

impl Services {
    /// None.
    pub const NONE: Self = Self(0);

    /// What a mail program needs: reading, sending, filters.
    pub const MAIL_PROGRAM: Self = Self::NONE
        .with(Entrance::Imap)
        .with(Entrance::Pop3)
        .with(Entrance::Submission)
        .with(Entrance::ManageSieve);

    /// This set and one more.
    pub const fn with(self, entrance: Entrance) -> Self {
        Self(self.0 | entrance.bit())
    }

    /// Is it in the set?
    pub const fn contains(self, entrance: Entrance) -> bool {
        self.0 & entrance.bit() != 0
    }

    /// As it stands in a column.
    pub const fn bits(self) -> i64 {
        self.0 as i64
    }

    /// The set of these bits. Bits that we do not know are left out: a newer version of the
    /// program may have written them, and what they would allow does not exist here.
    pub fn from_bits(bits: i64) -> Self {
        let known = Entrance::ALL.into_iter().filter(|entrance| bits & i64::from(entrance.bit()) != 0);
        known.fold(Self::NONE, Self::with)
    }
}

/// `imap,submission`.
impl fmt::Display for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Entrance::ALL.into_iter().filter(|entrance| self.contains(*entrance)).map(Entrance::name);
        for (index, name) in names.enumerate() {
            f.write_str(if index == 0 { "" } else { "," })?;
            f.write_str(name)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Entrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Entrance {
    type Err = UnknownService;
    fn from_str(text: &str) -> Result<Self, UnknownService> {
        let known = Self::ALL.into_iter().find(|entrance| entrance.name() == text);
        known.ok_or_else(|| UnknownService(text.chars().take(40).collect()))
    }
}

impl FromStr for Services {
    type Err = UnknownService;
    fn from_str(text: &str) -> Result<Self, UnknownService> {
        let names = text.split(',').map(str::trim);
        names.map(str::parse).try_fold(Self::NONE, |services, entrance| Ok(services.with(entrance?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_reads_as_it_prints() {
        for bits in 1..64 {
            let services = Services::from_bits(bits);
            assert_eq!(services.bits(), bits);
            assert_eq!(services.to_string().parse(), Ok(services), "{services}");
        }
        assert_eq!(Services::MAIL_PROGRAM.to_string(), "imap,pop3,submission,sieve");
        assert!(!Services::MAIL_PROGRAM.contains(Entrance::Webmail));
        assert_eq!(Services::from_bits(0x4001), Services::NONE.with(Entrance::Imap));
    }

    #[test]
    fn mistakes_say_what_to_write() {
        assert_eq!(" imap , api ".parse(), Ok(Services::NONE.with(Entrance::Imap).with(Entrance::Api)));
        for text in ["", "imap,", "IMAP", "imap;pop3", "ftp"] {
            assert!(text.parse::<Services>().is_err(), "{text:?}");
        }
        assert_eq!(
            "ftp".parse::<Services>().unwrap_err().to_string(),
            "`ftp` is no service: write some of imap,pop3,submission,sieve,webmail,api with commas between them"
        );
    }
}
