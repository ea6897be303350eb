//! What the checks ask of DNS, and who answers.
//!
//! [`Dns`] is the only way out of this crate. [`Network`] asks a resolver and keeps a bounded
//! cache, [`Table`] answers from a list (tests, `hikyaku check --dns FILE`), and a [`Share`]
//! stands before one of them for one check of one message.
//! Invariant: "there is no such name" and "I could not find out" never look alike. The first
//! is a fact that checks may build on, the second makes a check end in `temperror`.

mod budget;
mod cache;
mod network;
mod table;

use std::net::IpAddr;
use std::sync::Arc;

pub use budget::{Budget, Lookup, Share};
pub use network::{DNSSEC_LOG, Network, NetworkError, Options, Validate, read_trust_anchors};
pub use table::{Table, TableError};

use crate::Name;

/// Types of records that the checks ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Mail exchangers.
    Mx,
    /// The name of an address.
    Ptr,
    /// Texts.
    Txt,
}

impl Kind {
    /// As zone files write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Mx => "MX",
            Self::Ptr => "PTR",
            Self::Txt => "TXT",
        }
    }

    /// The type that holds addresses of this family.
    pub fn of_family(ip: IpAddr) -> Self {
        if ip.is_ipv4() { Self::A } else { Self::Aaaa }
    }
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// A or AAAA.
    Address(IpAddr),
    /// MX; `None` is the null MX of RFC 7505.
    Mx {
        /// Lower comes first.
        preference: u16,
        /// Where mail goes.
        exchange: Option<Name>,
    },
    /// PTR.
    Ptr(Name),
    /// TXT, its strings put together without a space (RFC 7208 section 3.3, RFC 6376
    /// section 3.6.2.2).
    Txt(Box<[u8]>),
}

/// Records of one name and type. Shared with the cache.
pub type Records = Arc<[Data]>;

/// Why there are no records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    /// The name does not exist, nor does anything below it (RFC 8020).
    #[error("the name does not exist")]
    NoName,
    /// The name exists, and has no records of this type.
    #[error("there are no such records")]
    NoData,
    /// Nobody answered in time.
    #[error("no answer in time")]
    Timeout,
    /// The resolver could not find out: servers are broken, or signatures of DNSSEC wrong.
    #[error("the resolver failed")]
    ServFail,
    /// This check has had its share of look-ups.
    #[error("too many look-ups for one message")]
    Spent,
}

impl DnsError {
    /// DNS did answer: there is nothing.
    pub fn is_void(self) -> bool {
        matches!(self, Self::NoName | Self::NoData)
    }
}

/// Answers questions about names. Aliases (CNAME) are followed by whoever answers.
pub trait Dns: Sync {
    /// The records of this name and type: at least one, or the reason why there is none.
    fn look_up(&self, name: &Name, kind: Kind) -> impl Future<Output = Result<Records, DnsError>> + Send;
}

/// A resolver whose kind is chosen when the program runs.
#[derive(Debug)]
pub enum Resolver {
    /// Asks the network. Boxed, as it is by far the larger one.
    Network(Box<Network>),
    /// Answers from a list.
    Table(Table),
}

impl Dns for Resolver {
    async fn look_up(&self, name: &Name, kind: Kind) -> Result<Records, DnsError> {
        match self {
            Self::Network(network) => network.look_up(name, kind).await,
            Self::Table(table) => table.look_up(name, kind).await,
        }
    }
}

/// All addresses of a name in the family of `ip`.
pub(crate) async fn has_address(dns: &impl Dns, name: &Name, ip: IpAddr) -> Result<bool, DnsError> {
    let records = dns.look_up(name, Kind::of_family(ip)).await?;
    Ok(records.iter().any(|record| matches!(record, Data::Address(address) if *address == ip)))
}

/// The name under which the names of an address stand: `1.2.0.192.in-addr.arpa`.
pub(crate) fn reverse_name(ip: IpAddr) -> Option<Name> {
    let text = match ip {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(v6) => {
            let nibbles =
                v6.octets().into_iter().rev().map(|octet| format!("{:x}.{:x}.", octet & 15, octet >> 4));
            nibbles.collect::<String>() + "ip6.arpa"
        }
    };
    Name::parse(&text)
}

/// The most names of one address that are looked at, RFC 7208 section 4.6.4.
pub(crate) const MAX_NAMES: usize = 10;

/// The names of an address, at most [`MAX_NAMES`].
pub(crate) async fn names_of(dns: &impl Dns, ip: IpAddr) -> Result<Vec<Name>, DnsError> {
    let reverse = reverse_name(ip).ok_or(DnsError::NoName)?;
    let records = dns.look_up(&reverse, Kind::Ptr).await?;
    let names = records.iter().filter_map(|record| match record {
        Data::Ptr(name) => Some(name.clone()),
        _ => None,
    });
    Ok(names.take(MAX_NAMES).collect())
}

/// The texts of a name.
pub(crate) fn texts(records: &Records) -> impl Iterator<Item = &[u8]> {
    records.iter().filter_map(|record| match record {
        Data::Txt(text) => Some(&**text),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reverse_names() {
        for (ip, expected) in [
            ("192.0.2.1", "1.2.0.192.in-addr.arpa"),
            ("2001:db8::cb01", "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"),
        ] {
            assert_eq!(reverse_name(ip.parse().unwrap()).unwrap().as_str(), expected);
        }
    }
}
