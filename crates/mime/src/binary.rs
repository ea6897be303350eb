//! A message with binary parts as one that any mail system takes: the parts in base64.
//!
//! Standards: RFC 3030 section 3 (BINARYMIME must not be passed on to who does not know it),
//! RFC 2045 sections 2.9 (binary) and 6.4 (multiparts are 7bit, 8bit or binary themselves).
//! Invariants:
//! - leaves that are not labelled `binary` keep their octets, but for their line ends;
//! - outside of what is encoded there is only CRLF, and no NUL that was not outside before:
//!   the caller asks for that and refuses the message;
//! - a decoded part is what it was, octet for octet.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::memchr2;

use crate::header::Header;
use crate::structure::{Kind, Part, PartId, Structure};
use crate::transfer::TransferEncoding;

/// So many octets make a line of 76 letters, RFC 2045 section 6.8.
const LINE_OCTETS: usize = 57;

/// The message with its binary parts in base64.
pub fn without_binary(content: &[u8]) -> Vec<u8> {
    let structure = Structure::parse(content);
    let mut out = Vec::with_capacity(content.len() / 2 * 3);
    let mut at = 0;
    for (id, part) in structure.parts().filter(|(_, part)| part.encoding == TransferEncoding::Binary) {
        let header = part.header.of(content);
        lines(content.get(at..part.header.start).unwrap_or_default(), &mut out);
        fields(header, id == PartId::ROOT, part, &mut out);
        at = part.header.end;
        if part.kind == Kind::Leaf {
            encode(part.body.of(content), &mut out);
            at = part.body.end;
        }
    }
    lines(content.get(at..).unwrap_or_default(), &mut out);
    out
}

/// The header of a part that was binary.
fn fields(header: &[u8], is_root: bool, part: &Part, out: &mut Vec<u8>) {
    let encoding = match part.kind {
        Kind::Leaf => "base64",
        Kind::Multipart | Kind::Message => "8bit",
    };
    let mut at = 0;
    for field in Header::new(header).all("Content-Transfer-Encoding") {
        lines(header.get(at..field.span.start).unwrap_or_default(), out);
        at = field.span.end;
    }
    // The blank line comes last.
    let blank = [&b"\r\n"[..], b"\n"].into_iter().find(|end| header.ends_with(end)).map_or(0, <[u8]>::len);
    lines(header.get(at..header.len() - blank).unwrap_or_default(), out);
    if is_root && Header::new(header).get("MIME-Version").is_none() {
        out.extend_from_slice(b"MIME-Version: 1.0\r\n");
    }
    out.extend_from_slice(format!("Content-Transfer-Encoding: {encoding}\r\n\r\n").as_bytes());
}

fn encode(body: &[u8], out: &mut Vec<u8>) {
    for line in body.chunks(LINE_OCTETS) {
        out.extend_from_slice(STANDARD.encode(line).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// Octets whose line ends become CRLF.
fn lines(octets: &[u8], out: &mut Vec<u8>) {
    let mut rest = octets;
    while let Some((text, after)) = memchr2(b'\r', b'\n', rest).and_then(|at| rest.split_at_checked(at)) {
        out.extend_from_slice(text);
        out.extend_from_slice(b"\r\n");
        rest = after.strip_prefix(b"\r\n").or_else(|| after.get(1..)).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn converted(content: &[u8]) -> String {
        String::from_utf8(without_binary(content)).unwrap()
    }

    #[test]
    fn one_part() {
        assert_eq!(
            converted(
                b"Subject: x\r\nContent-Type: image/png\r\ncontent-transfer-encoding:\r\n BINARY\r\n\
                  X-Last: y\r\n\r\n\0\n\r\xff"
            ),
            "Subject: x\r\nContent-Type: image/png\r\nX-Last: y\r\nMIME-Version: 1.0\r\n\
             Content-Transfer-Encoding: base64\r\n\r\nAAoN/w==\r\n"
        );
        // What is not labelled so is not binary.
        let plain = "Subject: x\r\nContent-Transfer-Encoding: 8bit\r\n\r\né\0\r\n";
        assert_eq!(converted(plain.as_bytes()), plain);
        assert_eq!(converted(b"a\nb\r\rc"), "a\r\nb\r\n\r\nc");
        assert_eq!(converted(b""), "");
    }

    #[test]
    fn parts_among_others() {
        let content = b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\
            Content-Transfer-Encoding: binary\r\n\r\npreamble\n--b\r\n\r\ntext\nof two lines\r\n--b\r\n\
            Content-Transfer-Encoding: binary\r\nContent-Type: application/octet-stream\r\n\r\n\
            \0--c\r\n\r\n--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: binary\r\n\r\n\
            Subject: inner\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\r\n--b--\r\nend\r";
        assert_eq!(
            converted(content),
            "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\
             Content-Transfer-Encoding: 8bit\r\n\r\npreamble\r\n--b\r\n\r\ntext\r\nof two lines\r\n--b\r\n\
             Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n\
             AC0tYw0K\r\n\r\n--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
             Subject: inner\r\nContent-Transfer-Encoding: base64\r\n\r\nAA==\r\n\r\n--b--\r\nend\r\n"
        );
    }

    #[test]
    fn lines_are_short() {
        let content = [&b"Content-Transfer-Encoding: binary\r\n\r\n"[..], &[b'x'; 200]].concat();
        let text = converted(&content);
        assert!(text.lines().all(|line| line.len() <= 76) && text.lines().any(|line| line.len() == 76));
    }

    proptest! {
        #[test]
        fn a_decoded_part_is_what_it_was(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let part = [&b"\r\n--b\r\nContent-Transfer-Encoding: binary\r\n\r\n"[..], &body].concat();
            let header = b"Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: binary\r\n\r\n";
            let content = [&header[..], &part, b"\r\n--b--\r\n"].concat();
            // A body with a line of its own that is a delimiter is another message.
            prop_assume!(!body.windows(3).any(|octets| octets == b"--b"));
            let text = without_binary(&content);
            prop_assert!(text.is_ascii() && !text.contains(&0));
            let structure = Structure::parse(&text);
            let (_, leaf) = structure.parts().last().unwrap();
            prop_assert_eq!(leaf.decoded_body(&text, usize::MAX), body);
        }

        #[test]
        fn any_bytes_have_only_whole_line_ends(content in proptest::collection::vec(
            prop_oneof![Just(&b"Content-Transfer-Encoding: binary\r\n"[..]), Just(&b"\r\n"[..]), Just(&b"\r"[..]),
                Just(&b"\n"[..]), Just(&b"Content-Type: multipart/mixed; boundary=b\r\n"[..]), Just(&b"--b"[..]),
                Just(&b"\xff"[..]), Just(&b"a: b"[..])], 0..40)
        ) {
            let text = without_binary(&content.concat());
            let bare = String::from_utf8_lossy(&text).replace("\r\n", "");
            prop_assert!(!bare.contains(['\r', '\n']));
        }
    }
}
