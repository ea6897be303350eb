//! How far a message has come: what loop detection asks of a header.
//!
//! Standards: RFC 5321 section 6.3 (count `Received`, give up at about 100), RFC 9228
//! (`Delivered-To`).

use std::borrow::Cow;

use crate::header::Header;

/// Number of `Received` fields.
pub fn received_count(header: Header<'_>) -> usize {
    header.all("Received").count()
}

/// The addresses in `Delivered-To` fields, newest first, without angle brackets; as they
/// stand there, so compare them as addresses.
pub fn delivered_to(header: Header<'_>) -> impl Iterator<Item = Cow<'_, [u8]>> {
    header.all("Delivered-To").map(|field| match field.unfolded() {
        Cow::Borrowed(value) => Cow::Borrowed(bare(value)),
        Cow::Owned(value) => Cow::Owned(bare(&value).to_vec()),
    })
}

fn bare(value: &[u8]) -> &[u8] {
    let inner = value.strip_prefix(b"<").and_then(|rest| rest.strip_suffix(b">"));
    inner.unwrap_or(value).trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_names() {
        let header = Header::new(
            b"Delivered-To: ann@example.org\r\nReceived: from a\r\n by b\r\nreceived: from c\r\n\
              Delivered-To: <bob@example.org>\r\nX-Received: no\r\nDELIVERED-TO:\r\n cy@example.org\r\n",
        );
        assert_eq!(received_count(header), 2);
        let names: Vec<_> = delivered_to(header).collect();
        assert_eq!(names, [&b"ann@example.org"[..], b"bob@example.org", b"cy@example.org"]);
        assert_eq!(received_count(Header::new(b"")), 0);
    }
}
