//! What counts as one source: an IPv4 address, an IPv6 /64, and the wider networks that it
//! is in.
//!
//! Whoever has one IPv6 address has at least the /64 around it, so addresses in it are one
//! source. Many have a /56 or a /48, and some a /32: those are counted beside it, and *are*
//! the source once enough of what they hold has failed (see `State::suspect`). IPv4 widens
//! once, to the /24 in which servers are rented out.

use std::net::IpAddr;

use hikyaku_types::{Network, canonical_ip};

/// A wider network, and how many of the next smaller ones must have failed for it to be
/// looked at as a whole.
pub(crate) struct Step {
    prefix: u8,
    pub(crate) children: usize,
}

const IPV4: [Step; 1] = [Step { prefix: 24, children: 16 }];
const IPV6: [Step; 3] =
    [Step { prefix: 56, children: 4 }, Step { prefix: 48, children: 4 }, Step { prefix: 32, children: 8 }];

/// The network that counts as one source.
pub fn source_of(ip: IpAddr) -> Network {
    match canonical_ip(ip) {
        IpAddr::V4(v4) => Network::single(v4.into()),
        IpAddr::V6(v6) => Network::containing(v6.into(), 64),
    }
}

/// The wider networks around the source, from small to large.
pub(crate) fn around(source: Network) -> impl DoubleEndedIterator<Item = (Network, &'static Step)> {
    let steps: &'static [Step] = if source.address().is_ipv4() { &IPV4 } else { &IPV6 };
    steps.iter().map(move |step| (Network::containing(source.address(), step.prefix), step))
}

/// The first 64 bits of a network: tells the parts of a wider one apart.
pub(crate) fn bits(network: Network) -> u64 {
    match network.address() {
        IpAddr::V4(v4) => u64::from(u32::from(v4)),
        IpAddr::V6(v6) => (u128::from(v6) >> 64) as u64,
    }
}

/// The IPv4 /24 or IPv6 /48 around an address, as a number: what one customer of a data
/// centre or an access provider has at the most. Guesses from one area are one guesser.
pub(crate) fn area_of(ip: IpAddr) -> u64 {
    bits(area_around(ip))
}

/// The same as a network.
pub(crate) fn area_around(ip: IpAddr) -> Network {
    let ip = canonical_ip(ip);
    Network::containing(ip, if ip.is_ipv4() { 24 } else { 48 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_and_what_is_around_them() {
        for (ip, source, wider) in [
            ("192.0.2.7", "192.0.2.7", "192.0.2.0/24"),
            ("::ffff:192.0.2.7", "192.0.2.7", "192.0.2.0/24"),
            (
                "2001:db8:aa:bbcc::1",
                "2001:db8:aa:bbcc::/64",
                "2001:db8:aa:bb00::/56 2001:db8:aa::/48 2001:db8::/32",
            ),
        ] {
            let found = source_of(ip.parse().unwrap());
            assert_eq!(found.to_string(), source);
            let around: Vec<_> = around(found).map(|(network, _)| network.to_string()).collect();
            assert_eq!(around.join(" "), wider);
        }
    }
}
