//! The DMARC record: text to policy.
//!
//! Standards: RFC 9989 section 4.7 (tags), section 4.8 (grammar).
//! Tolerance: what is wrong behind `v=` is passed over (section 4.7), except for the policies
//! themselves (section 4.10.1).

use std::fmt;

/// The most tags that are read.
const MAX_TAGS: usize = 64;

/// What a domain asks for when a message fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Request {
    /// Nothing.
    None,
    /// To be suspicious.
    Quarantine,
    /// To refuse it.
    Reject,
}

impl Request {
    /// As in `p=`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }

    /// What is done while the domain only tests (`t=y`): one step less (RFC 9989 section 4.7;
    /// appendix A.6 explains the step).
    pub fn one_less(self) -> Self {
        match self {
            Self::Reject => Self::Quarantine,
            Self::Quarantine | Self::None => Self::None,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let all = [Self::None, Self::Quarantine, Self::Reject];
        all.into_iter().find(|request| request.as_str().eq_ignore_ascii_case(text))
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How alike two domains must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alignment {
    /// The same organizational domain.
    Relaxed,
    /// The same domain.
    Strict,
}

/// `psd=`: is the domain a public suffix?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublicSuffix {
    /// It is.
    Yes,
    /// It is an organizational domain.
    No,
    /// Not said.
    Unknown,
}

/// A record that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// `p=`: for the domain itself.
    pub policy: Request,
    /// `sp=`: for existing domains below.
    pub subdomains: Option<Request>,
    /// `np=`: for domains below that do not exist.
    pub missing_subdomains: Option<Request>,
    /// `t=y`: the domain only tests.
    pub testing: bool,
    /// `psd=`.
    pub public_suffix: PublicSuffix,
    /// `adkim=`.
    pub dkim: Alignment,
    /// `aspf=`.
    pub spf: Alignment,
    /// `pct=` of the older standard, to be shown only: RFC 9989 has no use for it
    /// (appendix A.6).
    pub percent: Option<u8>,
    /// `rua=`: where aggregate reports go, as published.
    pub report_to: Vec<String>,
    /// The whole text.
    pub text: String,
}

impl Record {
    /// Parses a text; `None` if it is no DMARC record, or one that says to apply nothing
    /// (RFC 9989 section 4.10.1).
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let mut pieces = text.split(';').map(tag).take(MAX_TAGS);
        // `dmarc-version = "v" equals %s"DMARC1"`, first of all.
        if pieces.next()? != Some(("v", "DMARC1")) {
            return None;
        }
        let mut read = Reading::new(text);
        for (name, value) in pieces.flatten() {
            read.tag(&name.to_ascii_lowercase(), value);
        }
        read.done()
    }
}

/// `name *WSP "=" *WSP value`.
fn tag(piece: &str) -> Option<(&str, &str)> {
    let (name, value) = piece.split_once('=')?;
    Some((name.trim_matches([' ', '\t']), value.trim_matches([' ', '\t'])))
}

/// A record while it is read.
struct Reading {
    record: Record,
    policy: Option<Option<Request>>,
    has_bad_policy: bool,
}

impl Reading {
    fn new(text: &str) -> Self {
        let record = Record {
            policy: Request::None,
            subdomains: None,
            missing_subdomains: None,
            testing: false,
            public_suffix: PublicSuffix::Unknown,
            dkim: Alignment::Relaxed,
            spf: Alignment::Relaxed,
            percent: None,
            report_to: Vec::new(),
            text: text.to_owned(),
        };
        Self { record, policy: None, has_bad_policy: false }
    }

    fn tag(&mut self, name: &str, value: &str) {
        let is = |word: &str| value.eq_ignore_ascii_case(word);
        let record = &mut self.record;
        match name {
            "p" => {
                let policy = Request::parse(value);
                self.has_bad_policy |= policy.is_none();
                self.policy = Some(policy);
            }
            "sp" => {
                record.subdomains = Request::parse(value);
                self.has_bad_policy |= record.subdomains.is_none();
            }
            "np" => {
                record.missing_subdomains = Request::parse(value);
                self.has_bad_policy |= record.missing_subdomains.is_none();
            }
            "t" => record.testing = is("y"),
            "psd" if is("y") => record.public_suffix = PublicSuffix::Yes,
            "psd" if is("n") => record.public_suffix = PublicSuffix::No,
            "adkim" if is("s") => record.dkim = Alignment::Strict,
            "aspf" if is("s") => record.spf = Alignment::Strict,
            "pct" => record.percent = value.parse().ok().filter(|percent| *percent <= 100),
            "rua" => {
                let uris = value.split(',').map(str::trim).filter(|uri| is_uri(uri));
                record.report_to = uris.map(str::to_owned).collect();
            }
            _ => {}
        }
    }

    /// Section 4.10.1: a policy that is wrong is `none` if reports are wanted, and otherwise
    /// there is no DMARC here. One that is missing is `none` (section 4.7).
    fn done(self) -> Option<Record> {
        let mut record = self.record;
        if self.has_bad_policy {
            if record.report_to.is_empty() {
                return None;
            }
            (record.subdomains, record.missing_subdomains) = (None, None);
        } else {
            record.policy = self.policy.flatten().unwrap_or(Request::None);
        }
        Some(record)
    }
}

/// `scheme ":" …`, RFC 3986 section 3.1; enough to see that somebody meant a URI.
fn is_uri(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"+-.".contains(&octet))
            && !rest.is_empty()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies() {
        use Request::{None as Nothing, Quarantine, Reject};
        for (text, expected) in [
            ("v=DMARC1; p=reject", Some((Reject, None, None))),
            ("v=DMARC1;p=Quarantine;sp=none;np=reject;", Some((Quarantine, Some(Nothing), Some(Reject)))),
            ("v = DMARC1 ; rua=mailto:a@example.org; p = none", Some((Nothing, None, None))),
            ("v=DMARC1", Some((Nothing, None, None))),
            ("v=DMARC1; p=reject; unknown; =; x=y;;", Some((Reject, None, None))),
            ("v=DMARC1; p=bogus; sp=reject; rua=mailto:a@example.org", Some((Nothing, None, None))),
            ("v=DMARC1; p=reject; sp=bogus; rua=mailto:a@example.org", Some((Nothing, None, None))),
            ("v=DMARC1; p=bogus", None),
            ("v=DMARC1; p=reject; np=bogus; rua=nonsense", None),
            ("v=dmarc1; p=reject", None),
            ("v=DMARC12; p=reject", None),
            ("p=reject; v=DMARC1", None),
            ("v=spf1 -all", None),
            ("", None),
        ] {
            let found = Record::parse(text.as_bytes());
            let found = found.map(|record| (record.policy, record.subdomains, record.missing_subdomains));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn other_tags() {
        let text = b"v=DMARC1; p=reject; t=y; psd=n; adkim=s; aspf=r; pct=50; rua=mailto:a@x.example,mailto:b@x.example";
        let record = Record::parse(text).unwrap();
        assert!(record.testing);
        assert_eq!(record.public_suffix, PublicSuffix::No);
        assert_eq!((record.dkim, record.spf), (Alignment::Strict, Alignment::Relaxed));
        assert_eq!(record.percent, Some(50));
        assert_eq!(record.report_to, ["mailto:a@x.example", "mailto:b@x.example"]);
        let odd = Record::parse(b"v=DMARC1; p=reject; t=maybe; psd=?; adkim=x; pct=101").unwrap();
        assert!(!odd.testing && odd.public_suffix == PublicSuffix::Unknown && odd.percent.is_none());
    }
}
