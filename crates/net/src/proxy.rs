//! The PROXY protocol, version 2: a load balancer in front of us says who the client is.
//!
//! Standards: HAProxy's `proxy-protocol.txt`, section 2.2 (the binary header).
//! Invariants:
//! - exactly the header is read: what follows it is the client's;
//! - a header has at most [`MOST_OCTETS`] behind its fixed part;
//! - only a listed source is asked for a header, and it must send one. From others the same
//!   bytes are a client's nonsense.
//!
//! Trust: a listed source can claim any client address. Its TLVs (TLS facts, names) are read
//! over and not believed.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use hikyaku_types::canonical_ip;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Begins every header. It is no command of any protocol that we speak.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
pub const FIXED_OCTETS: usize = 16;
/// The most octets behind the fixed part: addresses, and what proxies add to them.
pub const MOST_OCTETS: usize = 2048;

/// What a header says of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proxied {
    /// The client that the proxy speaks for; IPv4 where IPv6 only wraps it.
    Client(SocketAddr),
    /// The proxy itself: its own check, or a client whose address it does not tell.
    Itself,
}

/// Why bytes are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// Something else than a header.
    #[error("no PROXY header of version 2")]
    Signature,
    /// A version, command or transport that is not for a TCP service.
    #[error("a PROXY header for another kind of connection")]
    Kind,
    /// Fewer octets than its addresses need, or more than any proxy sends.
    #[error("a PROXY header of a wrong length")]
    Length,
}

/// The fixed part of a header: how many octets follow it.
///
/// # Errors
/// [`ProxyError`] if it is none, or too long.
pub fn following(fixed: &[u8; FIXED_OCTETS]) -> Result<usize, ProxyError> {
    let [signature @ .., version_and_command, _, high, low] = fixed;
    if *signature != SIGNATURE {
        return Err(ProxyError::Signature);
    }
    if version_and_command >> 4 != 2 {
        return Err(ProxyError::Kind);
    }
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if length > MOST_OCTETS { Err(ProxyError::Length) } else { Ok(length) }
}

/// A whole header: the fixed part, and what follows it.
///
/// # Errors
/// [`ProxyError`].
pub fn parse(fixed: &[u8; FIXED_OCTETS], rest: &[u8]) -> Result<Proxied, ProxyError> {
    const LOCAL: u8 = 0;
    const PROXY: u8 = 1;
    if following(fixed)? != rest.len() {
        return Err(ProxyError::Length);
    }
    let [.., version_and_command, family_and_transport, _, _] = fixed;
    match (version_and_command & 0xf, family_and_transport) {
        // What follows says nothing about a client then.
        (LOCAL, _) | (PROXY, 0x00 | 0x31) => Ok(Proxied::Itself),
        (PROXY, 0x11) => {
            let (addresses, _) = rest.split_first_chunk::<12>().ok_or(ProxyError::Length)?;
            let [a, b, c, d, _, _, _, _, high, low, _, _] = *addresses;
            Ok(Proxied::Client((Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low])).into()))
        }
        (PROXY, 0x21) => {
            let (source, rest) = rest.split_first_chunk::<16>().ok_or(ProxyError::Length)?;
            let (_destination, rest) = rest.split_first_chunk::<16>().ok_or(ProxyError::Length)?;
            let ([high, low, _, _], _) = rest.split_first_chunk::<4>().ok_or(ProxyError::Length)?;
            let ip = canonical_ip(Ipv6Addr::from(*source).into());
            Ok(Proxied::Client((ip, u16::from_be_bytes([*high, *low])).into()))
        }
        _ => Err(ProxyError::Kind),
    }
}

/// Reads a header, and nothing behind it.
pub(crate) async fn read(socket: &mut (impl AsyncRead + Unpin)) -> io::Result<Proxied> {
    let invalid = |error: ProxyError| io::Error::new(io::ErrorKind::InvalidData, error);
    let mut fixed = [0; FIXED_OCTETS];
    socket.read_exact(&mut fixed).await?;
    let mut rest = vec![0; following(&fixed).map_err(invalid)?];
    socket.read_exact(&mut rest).await?;
    parse(&fixed, &rest).map_err(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(version_and_command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[version_and_command, family], &length, rest].concat()
    }

    fn parsed(header: &[u8]) -> Result<Proxied, ProxyError> {
        let (fixed, rest) = header.split_first_chunk().unwrap();
        parse(fixed, rest)
    }

    const V4: &[u8] = b"\xc0\x00\x02\x01\xc6\x33\x64\x02\x30\x39\x00\x19";
    const TLV: &[u8] = b"\x04\x00\x03abc";

    fn v6(source: &str) -> Vec<u8> {
        let source: Ipv6Addr = source.parse().unwrap();
        [&source.octets()[..], &[9; 16], b"\x30\x39\x00\x19"].concat()
    }

    fn client(address: &str) -> Result<Proxied, ProxyError> {
        Ok(Proxied::Client(address.parse().unwrap()))
    }

    #[test]
    fn headers() {
        use ProxyError::{Kind, Length, Signature};
        let mapped = v6("::ffff:192.0.2.7");
        for (header, expected) in [
            (header(0x21, 0x11, V4), client("192.0.2.1:12345")),
            (header(0x21, 0x11, &[V4, TLV].concat()), client("192.0.2.1:12345")),
            (header(0x21, 0x21, &v6("2001:db8::1")), client("[2001:db8::1]:12345")),
            (header(0x21, 0x21, &[&mapped, TLV].concat()), client("192.0.2.7:12345")),
            // LOCAL: whatever stands in the addresses.
            (header(0x20, 0x00, b""), Ok(Proxied::Itself)),
            (header(0x20, 0x11, V4), Ok(Proxied::Itself)),
            (header(0x20, 0xff, TLV), Ok(Proxied::Itself)),
            // Unknown, and a socket with a path.
            (header(0x21, 0x00, TLV), Ok(Proxied::Itself)),
            (header(0x21, 0x31, &[0; 216]), Ok(Proxied::Itself)),
            (header(0x21, 0x11, &V4[..11]), Err(Length)),
            (header(0x21, 0x21, &v6("::1")[..35]), Err(Length)),
            (header(0x21, 0x00, &[0; MOST_OCTETS + 1]), Err(Length)),
            (header(0x21, 0x12, V4), Err(Kind)),
            (header(0x22, 0x11, V4), Err(Kind)),
            (header(0x11, 0x11, V4), Err(Kind)),
            (header(0x31, 0x11, V4), Err(Kind)),
            (b"PROXY TCP4 192.0.2.1 198.51.100.2 12345 25\r\n".to_vec(), Err(Signature)),
            (b"EHLO client.example\r\nMAIL FROM:<>\r\n".to_vec(), Err(Signature)),
        ] {
            assert_eq!(parsed(&header), expected, "{}", header.escape_ascii());
        }
    }

    #[tokio::test]
    async fn what_follows_is_the_clients() {
        let sent = [header(0x21, 0x11, &[V4, TLV].concat()), b"EHLO x\r\n".to_vec()].concat();
        let mut input = &sent[..];
        assert_eq!(read(&mut input).await.unwrap(), client("192.0.2.1:12345").unwrap());
        assert_eq!(input, b"EHLO x\r\n");
        assert!(read(&mut &sent[..20]).await.is_err(), "cut off");
    }
}
