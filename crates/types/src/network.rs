//! IPv4 and IPv6 networks in CIDR notation, as people write them in access rules.
//!
//! Standards: RFC 4632 section 3.1 (prefix notation), RFC 4291 section 2.5.5.2
//! (IPv4-mapped addresses).
//! Invariants:
//! - the bits behind the prefix are zero, so that equal networks are equal values;
//! - an IPv4-mapped IPv6 address is the IPv4 address: a dual-stack socket reports
//!   `::ffff:192.0.2.1`, and a rule about `192.0.2.0/24` means that client.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// `192.0.2.0/24`, `2001:db8::/32`, or one address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is not a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// The part before `/`.
    #[error("`{0}` is not an IPv4 or IPv6 address")]
    Address(String),
    /// The part behind `/`.
    #[error("`/{prefix}` is not a prefix length of an {family} network: 0 to {most}")]
    Prefix {
        /// As it was written.
        prefix: String,
        /// `IPv4` or `IPv6`.
        family: &'static str,
        /// 32 or 128.
        most: u8,
    },
    /// An address inside a network where the network was expected.
    #[error("{given} is an address inside the network {meant}: write {meant}, or the address alone")]
    HostBits {
        /// As it was written.
        given: String,
        /// The network that holds it.
        meant: Network,
    },
}

/// The address itself, but IPv4 where IPv6 only wraps it.
pub fn canonical_ip(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(ip, IpAddr::V4),
        IpAddr::V4(_) => ip,
    }
}

fn bits_of(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

/// `ip` with all bits behind `prefix` cleared; `prefix` is at most the family's width.
fn masked(ip: IpAddr, prefix: u8) -> IpAddr {
    match ip {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4((u32::from(v4) & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from(u128::from(v6) & mask))
        }
    }
}

impl Network {
    /// Parses `address/prefix`, or an address alone, which is a network of one.
    pub fn parse(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let written: IpAddr =
            address.parse().map_err(|_| NetworkError::Address(address.chars().take(60).collect()))?;
        let Some(prefix) = prefix else { return Ok(Self::single(written)) };
        let most = bits_of(written);
        let wrong = || NetworkError::Prefix {
            prefix: prefix.chars().take(20).collect(),
            family: if most == 32 { "IPv4" } else { "IPv6" },
            most,
        };
        // `u8::from_str` would take `+8`.
        if prefix.is_empty() || !prefix.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        let length: u8 = prefix.parse().ok().filter(|length| *length <= most).ok_or_else(wrong)?;
        let network = Self::containing(written, length);
        let address = canonical_ip(written);
        let stays_mapped = bits_of(address) == bits_of(network.address);
        if (stays_mapped && network.address != address)
            || (!stays_mapped && masked(written, length) != written)
        {
            return Err(NetworkError::HostBits { given: text.chars().take(60).collect(), meant: network });
        }
        Ok(network)
    }

    /// The network of this one address.
    pub fn single(ip: IpAddr) -> Self {
        let address = canonical_ip(ip);
        Self { address, prefix: bits_of(address) }
    }

    /// The network with this prefix length that holds `ip`; a length beyond the family's
    /// width means the address alone.
    pub fn containing(ip: IpAddr, prefix: u8) -> Self {
        let prefix = prefix.min(bits_of(ip));
        match canonical_ip(ip) {
            // ::ffff:192.0.2.0/120 is 192.0.2.0/24.
            IpAddr::V4(v4) if ip.is_ipv6() && prefix >= 96 => {
                Self { address: masked(IpAddr::V4(v4), prefix - 96), prefix: prefix - 96 }
            }
            _ => Self { address: masked(ip, prefix), prefix },
        }
    }

    /// Is `ip` in this network?
    pub fn contains(&self, ip: IpAddr) -> bool {
        let own_family = if self.address.is_ipv4() { canonical_ip(ip) } else { ip };
        own_family.is_ipv4() == self.address.is_ipv4() && masked(own_family, self.prefix) == self.address
    }

    /// Is all of `other` in this network?
    pub fn covers(&self, other: &Self) -> bool {
        self.prefix <= other.prefix && self.contains(other.address)
    }

    /// The first address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Length of the prefix in bits.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }
}

/// `192.0.2.0/24`; one address prints alone.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix == bits_of(self.address) {
            write!(f, "{}", self.address)
        } else {
            write!(f, "{}/{}", self.address, self.prefix)
        }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Network {
    type Err = NetworkError;
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn network(text: &str) -> Network {
        Network::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn prints_one_form() {
        for (text, expected) in [
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7/32", "192.0.2.7"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:DB8:0:0::/32", "2001:db8::/32"),
            ("::/0", "::/0"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ] {
            assert_eq!(network(text).to_string(), expected, "{text}");
        }
    }

    #[test]
    fn mistakes_say_what_to_write() {
        let error = |text: &str| Network::parse(text).unwrap_err().to_string();
        assert_eq!(
            error("203.0.113.5/24"),
            "203.0.113.5/24 is an address inside the network 203.0.113.0/24: write 203.0.113.0/24, or the address alone"
        );
        assert_eq!(error("192.0.2.0/33"), "`/33` is not a prefix length of an IPv4 network: 0 to 32");
        assert_eq!(error("2001:db8::/129"), "`/129` is not a prefix length of an IPv6 network: 0 to 128");
        for text in [
            "",
            "/",
            "192.0.2",
            "192.0.2.0/",
            "192.0.2.0/+8",
            "192.0.2.0/ 8",
            "192.0.2.0/8/8",
            "office",
            "192.0.2.0/-1",
            "::ffff:192.0.2.0/100",
        ] {
            assert!(Network::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn contains() {
        for (text, inside, outside) in [
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("192.0.2.0/24", "::ffff:192.0.2.9", "2001:db8::1"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("2001:db8::/127", "2001:db8::1", "2001:db8::2"),
            ("::/0", "::1", "192.0.2.1"),
        ] {
            assert!(network(text).contains(ip(inside)), "{inside} in {text}");
            assert!(!network(text).contains(ip(outside)), "{outside} not in {text}");
        }
        assert!(network("192.0.2.0/24").covers(&network("192.0.2.128/25")));
        assert!(!network("192.0.2.128/25").covers(&network("192.0.2.0/24")));
        assert!(!network("192.0.2.0/24").covers(&network("2001:db8::/32")));
    }

    fn any_ip() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            any::<u32>().prop_map(|bits| IpAddr::V4(bits.into())),
            any::<u128>().prop_map(|bits| IpAddr::V6(bits.into())),
            any::<u32>().prop_map(|bits| IpAddr::V6(std::net::Ipv4Addr::from(bits).to_ipv6_mapped())),
        ]
    }

    proptest! {
        #[test]
        fn parse_print_parse(ip in any_ip(), prefix in 0u8..=128) {
            let network = Network::containing(ip, prefix);
            prop_assert_eq!(Network::parse(&network.to_string()).unwrap(), network);
        }

        #[test]
        fn a_network_contains_what_it_was_made_from(ip in any_ip(), prefix in 0u8..=128) {
            let network = Network::containing(ip, prefix);
            prop_assert!(network.contains(ip), "{} in {}", ip, network);
            prop_assert!(network.contains(network.address()));
            prop_assert!(network.covers(&network));
        }

        #[test]
        fn any_text_is_an_error_or_a_network(text in "[0-9a-f.:/]{0,24}") {
            if let Ok(network) = Network::parse(&text) {
                prop_assert_eq!(Network::parse(&network.to_string()).unwrap(), network);
            }
        }
    }
}
