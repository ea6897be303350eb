//! Reverse DNS: does the client have a name that leads back to it?
//!
//! Standards: RFC 8601 section 3 (`iprev`).

use std::fmt;
use std::net::IpAddr;

use crate::Name;
use crate::dns::{Dns, has_address, names_of};
use crate::side_by_side::all;

/// RFC 8601 section 2.7.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It has.
    Pass,
    /// It has a name, which leads elsewhere or nowhere.
    Fail,
    /// DNS did not answer.
    TempError,
    /// It has no name.
    PermError,
}

impl Outcome {
    /// As in Authentication-Results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is known of the client's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Iprev {
    /// The result.
    pub outcome: Outcome,
    /// The address without IPv6 around IPv4.
    pub ip: IpAddr,
    /// The name that leads back, of a `pass`.
    pub name: Option<Name>,
}

/// Looks for the client's name.
pub async fn check(dns: &impl Dns, ip: IpAddr) -> Iprev {
    let ip = hikyaku_types::canonical_ip(ip);
    let (outcome, name) = find(dns, ip).await;
    Iprev { outcome, ip, name }
}

async fn find(dns: &impl Dns, ip: IpAddr) -> (Outcome, Option<Name>) {
    let names = match names_of(dns, ip).await {
        Ok(names) => names,
        Err(error) if error.is_void() => return (Outcome::PermError, None),
        Err(_) => return (Outcome::TempError, None),
    };
    let answers = all(names.iter().map(|name| has_address(dns, name, ip))).await;
    let mut outcome = Outcome::Fail;
    for (name, answer) in names.into_iter().zip(answers) {
        match answer {
            Ok(true) => return (Outcome::Pass, Some(name)),
            Ok(false) => {}
            Err(error) if error.is_void() => {}
            Err(_) => outcome = Outcome::TempError,
        }
    }
    (outcome, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Table;

    #[tokio::test]
    async fn names_that_lead_back_or_not() {
        let dns = Table::from_json(
            r#"{"1.2.0.192.in-addr.arpa": [{"type": "PTR", "data": "other.example"}, {"type": "PTR", "data": "mx.example"}],
                "2.2.0.192.in-addr.arpa": [{"type": "PTR", "data": "mx.example"}],
                "3.2.0.192.in-addr.arpa": [{"type": "PTR", "data": "slow.example"}],
                "4.2.0.192.in-addr.arpa": [{"type": "PTR", "error": "servfail"}],
                "mx.example": [{"type": "A", "data": "192.0.2.1"}],
                "slow.example": [{"type": "A", "error": "timeout"}]}"#,
        )
        .unwrap();
        for (ip, expected, name) in [
            ("192.0.2.1", Outcome::Pass, Some("mx.example")),
            ("::ffff:192.0.2.1", Outcome::Pass, Some("mx.example")),
            ("192.0.2.2", Outcome::Fail, None),
            ("192.0.2.3", Outcome::TempError, None),
            ("192.0.2.4", Outcome::TempError, None),
            ("192.0.2.5", Outcome::PermError, None),
            ("2001:db8::1", Outcome::PermError, None),
        ] {
            let found = check(&dns, ip.parse().unwrap()).await;
            assert_eq!((found.outcome, found.name.as_ref().map(Name::as_str)), (expected, name), "{ip}");
        }
    }
}
