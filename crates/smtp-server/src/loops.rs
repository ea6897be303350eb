//! Mail that comes back: a message that we delivered to an address before, and that is on
//! its way there again.
//!
//! Standards: RFC 5321 section 6.3, RFC 9228 section 4 (Delivered-To tells a loop). Beside
//! this the protocol counts `Received:` fields.
//! A `Delivered-To` alone is not enough: somebody who fetches mail from an old provider and
//! hands it on has that provider's, with the same address. So the message must also have
//! been received by us, as our own trace fields say.

use hikyaku_mime::Header;
use hikyaku_mime::hops::delivered_to;
use hikyaku_types::{Address, AddressKey, Domain};

/// Most `Delivered-To` fields that are looked at.
const MOST: usize = 100;

/// The addresses that `host_name` has delivered this message to.
pub(crate) fn delivered_before(header: Header<'_>, host_name: &Domain) -> Vec<AddressKey> {
    let by = format!(" by {} ", host_name.as_str());
    let was_here = header.all("Received").any(|field| {
        let value = String::from_utf8_lossy(&field.unfolded()).replace('\t', " ");
        value.contains(&by)
    });
    if !was_here {
        return Vec::new();
    }
    let addresses = delivered_to(header).take(MOST);
    addresses.filter_map(|text| Some(Address::parse(std::str::from_utf8(&text).ok()?).ok()?.key())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_delivered() {
        let host_name: Domain = "mx.example".parse().unwrap();
        for (header, expected) in [
            (
                "Delivered-To: Ann@EXAMPLE.org\r\nReceived: from a ([192.0.2.1])\r\n\tby mx.example with ESMTP id r\r\n",
                "ann@example.org",
            ),
            (
                "Received: from a by mx.example with ESMTP\r\nX: y\r\nDelivered-To: <bob@example.org>\r\n",
                "bob@example.org",
            ),
            ("Received: from a by mx.example2 with ESMTP\r\nDelivered-To: bob@example.org\r\n", ""),
            ("Delivered-To: bob@example.org\r\n", ""),
            ("Received: from a by mx.example with ESMTP\r\nDelivered-To: somebody\r\n", ""),
            ("Received: from a by mx.example with ESMTP\r\n\r\nDelivered-To: bob@example.org\r\n", ""),
        ] {
            let keys = delivered_before(Header::of_content(header.as_bytes()), &host_name);
            let expected: Vec<AddressKey> = Address::parse(expected).iter().map(Address::key).collect();
            assert_eq!(keys, expected, "{header}");
        }
    }
}
