//! The header in which a proxy says who its client is.

use std::net::{IpAddr, SocketAddr};

use hikyaku_net::proxy::{FIXED_OCTETS, MOST_OCTETS, Proxied, following, parse};

/// Parses a PROXY header, and compares what it says with a header that is written anew.
pub fn net_proxy(data: &[u8]) {
    let Some((fixed, rest)) = data.split_first_chunk::<FIXED_OCTETS>() else { return };
    let Ok(length) = following(fixed) else {
        assert!(parse(fixed, rest).is_err(), "a header whose fixed part is wrong");
        return;
    };
    assert!(length <= MOST_OCTETS && fixed.starts_with(b"\r\n\r\n\0\r\nQUIT\n"));
    let rest = rest.get(..length).unwrap_or(rest);
    let parsed = parse(fixed, rest);
    assert!(parsed.is_err() || rest.len() == length, "a header that is cut off");
    let Ok(Proxied::Client(client)) = parsed else { return };
    assert_eq!(client.ip(), client.ip().to_canonical(), "IPv4 within IPv6");
    let (fixed, rest) = printed(client);
    assert_eq!(parse(&fixed, &rest), Ok(Proxied::Client(client)));
}

fn printed(client: SocketAddr) -> ([u8; FIXED_OCTETS], Vec<u8>) {
    let (family, mut rest) = match client.ip() {
        IpAddr::V4(ip) => (0x11, [ip.octets(), [9; 4]].concat()),
        IpAddr::V6(ip) => (0x21, [ip.octets(), [9; 16]].concat()),
    };
    rest.extend(client.port().to_be_bytes());
    rest.extend([0, 25]);
    let mut fixed = *b"\r\n\r\n\0\r\nQUIT\n\x21\0\0\0";
    fixed[13] = family;
    fixed[15] = u8::try_from(rest.len()).expect("it is short");
    (fixed, rest)
}
