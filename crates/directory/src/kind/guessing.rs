//! What a tenant wants done about guessed passwords: whom blocks keep out, and networks whose
//! failures are not held against them. The words of it, as fields of [`tenant`](super::tenant);
//! what they lead to is decided where people sign in. Its numbers are in
//! [`block_policy`](super::block_policy).

use std::fmt;
use std::str::FromStr;

use hikyaku_types::Network;

use crate::field::{choice, wrong};
use crate::kind::credential::Day;

choice! {
    /// Whom a block keeps out, of those who come from the blocked source.
    pub enum BlockScope {
        /// The account that was guessed at.
        Account = "account",
        /// Every account of the tenant that is not known there.
        Tenant = "tenant",
    }
}

/// A network whose wrong passwords are not held against it.
///
/// Written `192.0.2.0/24 office in Osaka`, or with the last day on which it is one,
/// `192.0.2.0/24 until 2027-03-31 auditors`. The note is never empty: next year nobody knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExemptNetwork {
    /// Which.
    pub network: Network,
    /// The last day; `None` is for ever.
    pub until: Option<Day>,
    /// Whose it is.
    pub note: String,
}

const FORM: &str = "a network and whose it is, like 192.0.2.0/24 office in Osaka, or \
                    192.0.2.0/24 until 2027-03-31 auditors";
/// Most characters of a note.
const LONGEST_NOTE: usize = 200;

impl fmt::Display for ExemptNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.network)?;
        if let Some(day) = self.until {
            write!(f, "until {day} ")?;
        }
        f.write_str(&self.note)
    }
}

impl FromStr for ExemptNetwork {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (network, until, note) = noted(text, FORM)?;
        Ok(Self { network, until, note })
    }
}

/// What an entry is about, the last day on which it holds, and whose it is: `X office` or
/// `X until 2027-03-31 office`. `form` says how it is written.
pub(crate) fn noted<T: FromStr>(text: &str, form: &str) -> Result<(T, Option<Day>, String), String> {
    let (what, rest) = text.trim().split_once(' ').ok_or_else(|| wrong(text, form))?;
    let what = what.parse().map_err(|_| wrong(text, form))?;
    let (until, note) = match rest.trim_start().strip_prefix("until ") {
        Some(rest) => {
            let (day, note) = rest.trim_start().split_once(' ').ok_or_else(|| wrong(text, form))?;
            (Some(day.parse()?), note)
        }
        None => (None, rest),
    };
    let note = note.trim();
    // A comma stands between two of a list.
    if !(1..=LONGEST_NOTE).contains(&note.chars().count()) || note.chars().any(|c| c.is_control() || c == ',')
    {
        return Err(format!("whose network it is takes 1 to {LONGEST_NOTE} characters, without commas"));
    }
    Ok((what, until, note.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_as_they_are_printed() {
        for text in [
            "192.0.2.0/24 office in Osaka",
            "2001:db8::/32 until 2027-03-31 auditors",
            "192.0.2.7 東京の本社",
        ] {
            let network: ExemptNetwork = text.parse().unwrap();
            assert_eq!(network.to_string(), text);
        }
        let spaced: ExemptNetwork = " 192.0.2.0/24  until  2027-03-31  auditors ".parse().unwrap();
        assert_eq!(spaced.to_string(), "192.0.2.0/24 until 2027-03-31 auditors");
    }

    #[test]
    fn a_network_says_whose_it_is() {
        for (text, told) in [
            ("192.0.2.0/24", "`192.0.2.0/24` is not a network and whose it is"),
            ("office in Osaka", "`office in Osaka` is not a network and whose it is"),
            ("192.0.2.0/24 until 2027-03-31", "is not a network and whose it is"),
            ("192.0.2.0/24 until Friday auditors", "`Friday` is not a day"),
            ("192.0.2.0/24 one, two", "without commas"),
            ("192.0.2.0/24 a\tb", "without commas"),
        ] {
            let error = text.parse::<ExemptNetwork>().unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
        let long = format!("192.0.2.0/24 {}", "a".repeat(201));
        assert!(long.parse::<ExemptNetwork>().is_err());
    }
}
