//! IMAP sections: the bytes that `BODY[…]` and `BINARY[…]` name.
//!
//! Standards: RFC 9051 section 6.4.5 (`BODY[<section>]`), RFC 3516 (BINARY).
//!
//! A path leads to a part, so: the n-th part of a multipart; part 1 of a message that is no
//! multipart is its body; below a part of message/rfc822 the numbers count within the
//! message. `HEADER` and `TEXT` behind a path are those of the message that the part holds,
//! so the part must be one; `MIME` is the header of the part itself.

use std::borrow::Cow;

use crate::header::Header;
use crate::structure::{Kind, PartId, Structure};
use crate::transfer::TransferEncoding;

/// What of a part is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item<'a> {
    /// Nothing behind the path: the body of the part; the whole message if there is no path.
    Whole,
    /// `HEADER`
    Header,
    /// `HEADER.FIELDS (…)`
    HeaderFields(&'a [&'a [u8]]),
    /// `HEADER.FIELDS.NOT (…)`
    HeaderFieldsNot(&'a [&'a [u8]]),
    /// `TEXT`
    Text,
    /// `MIME`
    Mime,
}

/// Why a section has no decoded content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BinaryError {
    /// No part at this path.
    #[error("the message has no such part")]
    NoSuchPart,
    /// IMAP answers `UNKNOWN-CTE`.
    #[error("the content transfer encoding of the part is unknown")]
    UnknownEncoding,
}

/// The bytes of a section; `None` if the message has no such part.
pub fn section<'a>(
    content: &'a [u8],
    structure: &Structure,
    path: &[u32],
    item: Item<'_>,
) -> Option<Cow<'a, [u8]>> {
    let message = || message_at(structure, path).map(|id| structure.part(id));
    let span = match item {
        Item::Whole if path.is_empty() => return Some(content.into()),
        Item::Whole => structure.part(part_at(structure, path)?).body,
        Item::Mime => structure.part(part_at(structure, path)?).header,
        Item::Header => message()?.header,
        Item::Text => message()?.body,
        Item::HeaderFields(names) => return Some(fields(message()?.header.of(content), names, true).into()),
        Item::HeaderFieldsNot(names) => {
            return Some(fields(message()?.header.of(content), names, false).into());
        }
    };
    Some(span.of(content).into())
}

/// The content of a part with its transfer encoding undone, at most `limit` octets of it;
/// of the whole message if there is no path.
pub fn binary(
    content: &[u8],
    structure: &Structure,
    path: &[u32],
    limit: usize,
) -> Result<Vec<u8>, BinaryError> {
    if path.is_empty() {
        return Ok(content.get(..limit).unwrap_or(content).to_vec());
    }
    let part = structure.part(part_at(structure, path).ok_or(BinaryError::NoSuchPart)?);
    match (part.kind, part.encoding) {
        // What is between delimiters has its own encodings.
        (Kind::Multipart | Kind::Message, _) => {
            Ok(TransferEncoding::Binary.decode(part.body.of(content), limit))
        }
        (Kind::Leaf, TransferEncoding::Unknown(_)) => Err(BinaryError::UnknownEncoding),
        (Kind::Leaf, _) => Ok(part.decoded_body(content, limit)),
    }
}

/// The part at a path. No path is the message itself.
pub fn part_at(structure: &Structure, path: &[u32]) -> Option<PartId> {
    let mut part = PartId::ROOT;
    // A message that a number leads into, as opposed to the part that holds it.
    let mut is_entered = true;
    for &number in path {
        if !is_entered && structure.part(part).kind == Kind::Message {
            part = structure.children(part).next()?;
            is_entered = true;
        }
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        part = match structure.part(part).kind {
            Kind::Multipart => structure.children(part).nth(index)?,
            Kind::Leaf | Kind::Message if is_entered && index == 0 => part,
            Kind::Leaf | Kind::Message => return None,
        };
        is_entered = false;
    }
    Some(part)
}

/// The message whose header `HEADER` means.
fn message_at(structure: &Structure, path: &[u32]) -> Option<PartId> {
    let part = part_at(structure, path)?;
    match structure.part(part).kind {
        _ if path.is_empty() => Some(part),
        Kind::Message => structure.children(part).next(),
        Kind::Leaf | Kind::Multipart => None,
    }
}

/// The fields with (or without) these names, and a blank line.
fn fields(block: &[u8], names: &[&[u8]], wanted: bool) -> Vec<u8> {
    let mut subset = Vec::new();
    for field in Header::new(block).fields() {
        if names.iter().any(|name| field.name.eq_ignore_ascii_case(name)) == wanted {
            subset.extend_from_slice(field.span.of(block));
            if !subset.ends_with(b"\n") {
                subset.extend_from_slice(b"\r\n");
            }
        }
    }
    subset.extend_from_slice(b"\r\n");
    subset
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = usize::MAX;

    fn get(content: &str, path: &[u32], item: Item<'_>) -> Option<String> {
        let structure = Structure::parse(content.as_bytes());
        let bytes = section(content.as_bytes(), &structure, path, item)?;
        Some(String::from_utf8(bytes.into_owned()).unwrap())
    }

    /// The tree of RFC 9051 section 6.4.5, with bodies that say where they are.
    const EXAMPLE: &str = "Subject: top\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n\
        --a\r\nContent-Type: text/plain\r\n\r\nbody 1\r\n\
        --a\r\nContent-Type: application/octet-stream\r\n\r\nbody 2\r\n\
        --a\r\nContent-Type: message/rfc822\r\n\r\nSubject: three\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
        --b\r\n\r\nbody 3.1\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\nbody 3.2\r\n--b--\r\n\
        --a\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n\
        --c\r\nContent-Type: image/gif\r\n\r\nbody 4.1\r\n\
        --c\r\nContent-Type: message/rfc822\r\nContent-ID: <42>\r\n\r\nSubject: four\r\nContent-Type: multipart/mixed; boundary=d\r\n\r\n\
        --d\r\n\r\nbody 4.2.1\r\n\
        --d\r\nContent-Type: multipart/alternative; boundary=e\r\n\r\n\
        --e\r\n\r\nbody 4.2.2.1\r\n--e\r\nContent-Type: text/richtext\r\n\r\nbody 4.2.2.2\r\n--e--\r\n\
        --d--\r\n--c--\r\n--a--\r\n";

    #[test]
    fn the_example_of_rfc_9051() {
        for (path, expected) in [
            (&[1][..], Some("body 1")),
            (&[2], Some("body 2")),
            (&[3, 1], Some("body 3.1")),
            (&[3, 2], Some("body 3.2")),
            (&[4, 1], Some("body 4.1")),
            (&[4, 2, 1], Some("body 4.2.1")),
            (&[4, 2, 2, 1], Some("body 4.2.2.1")),
            (&[4, 2, 2, 2], Some("body 4.2.2.2")),
            (&[0], None),
            (&[5], None),
            (&[1, 1], None),
            (&[3, 3], None),
            (&[4, 2, 2, 3], None),
            (&[4, 2, 2, 2, 1], None),
            (&[u32::MAX], None),
        ] {
            assert_eq!(get(EXAMPLE, path, Item::Whole).as_deref(), expected, "{path:?}");
        }
        let three = get(EXAMPLE, &[3], Item::Whole).unwrap();
        let header = "Subject: three\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n";
        assert!(three.starts_with(header) && three.ends_with("body 3.2\r\n--b--"));
        assert_eq!(get(EXAMPLE, &[3], Item::Header).as_deref(), Some(header));
        assert_eq!(get(EXAMPLE, &[3], Item::Text).as_deref(), Some(&three[header.len()..]));
        let mime = "Content-Type: message/rfc822\r\nContent-ID: <42>\r\n\r\n";
        assert_eq!(get(EXAMPLE, &[4, 2], Item::Mime).as_deref(), Some(mime));
        let subject: &[&[u8]] = &[b"SUBJECT"];
        assert_eq!(
            get(EXAMPLE, &[4, 2], Item::HeaderFields(subject)).as_deref(),
            Some("Subject: four\r\n\r\n")
        );
        // No message there.
        assert_eq!(get(EXAMPLE, &[1], Item::Header), None);
        assert_eq!(get(EXAMPLE, &[4], Item::Text), None);
        // The top.
        assert_eq!(get(EXAMPLE, &[], Item::Whole).as_deref(), Some(EXAMPLE));
        assert!(get(EXAMPLE, &[], Item::Header).unwrap().starts_with("Subject: top"));
        assert!(get(EXAMPLE, &[], Item::Text).unwrap().starts_with("--a"));
    }

    #[test]
    fn messages_that_are_no_multipart() {
        let plain = "Subject: x\r\n\r\nbody";
        assert_eq!(get(plain, &[1], Item::Whole).as_deref(), Some("body"));
        assert_eq!(get(plain, &[1], Item::Mime).as_deref(), Some("Subject: x\r\n\r\n"));
        assert_eq!(get(plain, &[2], Item::Whole), None);
        assert_eq!(get(plain, &[1], Item::Header), None);

        let forwarded = "Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\ninner";
        assert_eq!(get(forwarded, &[1], Item::Whole).as_deref(), Some("Subject: in\r\n\r\ninner"));
        assert_eq!(get(forwarded, &[1], Item::Header).as_deref(), Some("Subject: in\r\n\r\n"));
        assert_eq!(get(forwarded, &[1, 1], Item::Whole).as_deref(), Some("inner"));
        assert_eq!(get(forwarded, &[1, 1, 1], Item::Whole), None);
        assert_eq!(get(forwarded, &[1, 2], Item::Whole), None);

        let twice = format!("Content-Type: message/rfc822\r\n\r\n{forwarded}");
        assert_eq!(get(&twice, &[1, 1], Item::Header).as_deref(), Some("Subject: in\r\n\r\n"));
        assert_eq!(get(&twice, &[1, 1, 1], Item::Whole).as_deref(), Some("inner"));
    }

    #[test]
    fn subsets_of_a_header() {
        let content = "A: 1\r\nB: 2\r\n folded\r\njunk\r\na: 3\r\nAB: 4\r\n\r\nbody";
        let names: &[&[u8]] = &[b"a", b"missing"];
        let with = get(content, &[], Item::HeaderFields(names));
        assert_eq!(with.as_deref(), Some("A: 1\r\na: 3\r\n\r\n"));
        let without = get(content, &[], Item::HeaderFieldsNot(names));
        assert_eq!(without.as_deref(), Some("B: 2\r\n folded\r\nAB: 4\r\n\r\n"));
        assert_eq!(get("A: cut", &[], Item::HeaderFields(names)).as_deref(), Some("A: cut\r\n\r\n"));
        assert_eq!(get("", &[], Item::HeaderFields(names)).as_deref(), Some("\r\n"));
    }

    #[test]
    fn decoded_content() {
        let content = b"Content-Type: multipart/mixed; boundary=a\r\n\r\n\
            --a\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n\
            --a\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=41\r\n\
            --a\r\nContent-Transfer-Encoding: x-mine\r\n\r\n???\r\n--a--";
        let structure = Structure::parse(content);
        assert_eq!(binary(content, &structure, &[1], LIMIT).unwrap(), b"hello");
        assert_eq!(binary(content, &structure, &[1], 2).unwrap(), b"he");
        assert_eq!(binary(content, &structure, &[2], LIMIT).unwrap(), b"A");
        assert_eq!(binary(content, &structure, &[3], LIMIT), Err(BinaryError::UnknownEncoding));
        assert_eq!(binary(content, &structure, &[4], LIMIT), Err(BinaryError::NoSuchPart));
        assert_eq!(binary(content, &structure, &[], LIMIT).unwrap(), content);
    }
}
