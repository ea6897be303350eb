//! Fuzz bodies of `hikyaku-mime`: any bytes go in, and what the crate promises must hold.
//!
//! Each is a plain function, called by a fuzz target and, with random and recorded inputs,
//! by the crate's own tests.

use hikyaku_mime::binary::without_binary;
use hikyaku_mime::fields::{self, ContentType, Disposition, Entry};
use hikyaku_mime::section::{self, Item};
use hikyaku_mime::structure::{MAX_DEPTH, MAX_PARTS};
use hikyaku_mime::{Envelope, Header, Kind, Part, PartId, Structure};
use hikyaku_mime::{charset, encoded_word, hops, text, thread, transfer};

/// More than any input here has.
const LIMIT: usize = 1 << 20;

/// A whole message: ranges, sections, texts.
pub fn mime_structure(content: &[u8]) {
    let structure = Structure::parse(content);
    assert_eq!(structure, Structure::parse(content), "the same bytes give the same tree");
    assert!(structure.parts().count() <= MAX_PARTS);
    assert_eq!(structure.root().span().of(content), content);
    for (id, part) in structure.parts() {
        check_part(content, part);
        check_children(content, &structure, id);
    }
    check_sections(content, &structure, PartId::ROOT, &mut Vec::new());
    let readable = text::readable(content, &structure, 1000);
    assert!(readable.len() <= 1000);
    let preview = text::preview(content, &structure);
    assert!(preview.chars().count() <= text::PREVIEW_CHARS);
    assert!(!preview.contains(char::is_control) && preview.trim() == preview);
    text::attachment_names(content, &structure);
}

fn check_part(content: &[u8], part: &Part) {
    assert_eq!(part.header.end, part.body.start);
    assert!(part.header.start <= part.header.end && part.body.start <= part.body.end);
    let line_ends = part.body.of(content).iter().filter(|&&octet| octet == b'\n').count();
    assert_eq!(part.lines, line_ends);
    assert!(part.decoded_body(content, LIMIT).len() <= part.body.len());
    assert!(part.decoded_body(content, 3).len() <= 3);
    part.id(content);
    part.md5(content);
    part.description(content);
    part.decoded_description(content);
    part.location(content);
    part.languages(content);
    part.disposition(content);
    part.file_name(content);
}

/// Children and what is between them are the body of the parent, octet for octet.
fn check_children(content: &[u8], structure: &Structure, id: PartId) {
    let part = structure.part(id);
    let children: Vec<&Part> = structure.children(id).map(|child| structure.part(child)).collect();
    for child in &children {
        assert_eq!(child.parent, Some(id));
        assert!(part.body.start <= child.header.start && child.body.end <= part.body.end);
    }
    match (part.kind, children.as_slice()) {
        (Kind::Leaf, children) => assert!(children.is_empty()),
        (Kind::Message, [child]) => assert_eq!(child.span(), part.body),
        (Kind::Message, _) => panic!("a message has one child"),
        (Kind::Multipart, children) => {
            let first = children.first().expect("a multipart has a part");
            let preamble = &content[part.body.start..first.header.start];
            assert!(is_delimiter(last_line(preamble)));
            for pair in children.windows(2) {
                let gap = &content[pair[0].body.end..pair[1].header.start];
                check_gap(gap, pair[1].header.start == content.len());
            }
        }
    }
}

/// Between two siblings stands one delimiter line, with the line end before it. The last line
/// of a content that was cut off has no end.
fn check_gap(gap: &[u8], is_at_end: bool) {
    let line = gap.strip_prefix(b"\r\n").or_else(|| gap.strip_prefix(b"\n")).unwrap_or(gap);
    assert!(is_delimiter(line), "{:?}", String::from_utf8_lossy(gap));
    let end = line.iter().position(|&octet| octet == b'\n');
    assert!(
        end == Some(line.len() - 1) || (end.is_none() && is_at_end),
        "{:?}",
        String::from_utf8_lossy(gap)
    );
}

fn is_delimiter(line: &[u8]) -> bool {
    line.starts_with(b"--")
}

fn last_line(text: &[u8]) -> &[u8] {
    let inner = text.strip_suffix(b"\n").unwrap_or(text);
    let start = inner.iter().rposition(|&octet| octet == b'\n').map_or(0, |at| at + 1);
    &text[start..]
}

/// Every part is found by the path that IMAP numbers it with.
fn check_sections(content: &[u8], structure: &Structure, id: PartId, path: &mut Vec<u32>) {
    assert!(path.len() <= MAX_DEPTH);
    let part = structure.part(id);
    let header = section::section(content, structure, path, Item::Header);
    assert_eq!(header.is_some(), path.is_empty() || part.kind == Kind::Message);
    let names: &[&[u8]] = &[b"subject", b"From"];
    section::section(content, structure, path, Item::HeaderFields(names));
    section::section(content, structure, path, Item::HeaderFieldsNot(names));
    if !path.is_empty() {
        let body = section::section(content, structure, path, Item::Whole);
        assert_eq!(body.as_deref(), Some(part.body.of(content)));
        let mime = section::section(content, structure, path, Item::Mime);
        assert_eq!(mime.as_deref(), Some(part.header.of(content)));
        let _ = section::binary(content, structure, path, LIMIT);
    }
    // The multipart whose parts are numbered here: this part, or that of the message in it.
    let mut container = id;
    if part.kind == Kind::Message && !path.is_empty() {
        container = structure.children(id).next().expect("a message has one child");
    }
    let is_entered = path.is_empty() || part.kind == Kind::Message;
    if structure.part(container).kind == Kind::Multipart {
        for (number, child) in (1..).zip(structure.children(container)) {
            path.push(number);
            check_sections(content, structure, child, path);
            path.pop();
        }
    } else if is_entered {
        path.push(1);
        check_sections(content, structure, container, path);
        path.pop();
    }
}

/// Takes the binary parts out of a message: what is left has whole line ends, no part is
/// binary, and NUL only where there was one outside of binary parts.
pub fn mime_binary(content: &[u8]) {
    let text = without_binary(content);
    assert!(!has_bare_line_end(&text), "a bare CR or LF: {}", text.escape_ascii());
    assert!(!text.contains(&0) || content.contains(&0));
    let base64_grows = content.len() / 57 * 78 + 78;
    let headers = Structure::parse(content).parts().count() * 60;
    assert!(text.len() <= 2 * content.len() + base64_grows + headers, "it grows without need");
}

/// Is there a CR or LF that is not part of CRLF?
fn has_bare_line_end(text: &[u8]) -> bool {
    text.iter().enumerate().any(|(at, octet)| match octet {
        b'\r' => text.get(at + 1) != Some(&b'\n'),
        b'\n' => at == 0 || text[at - 1] != b'\r',
        _ => false,
    })
}

/// A header: fields, and every structured reading of every value.
pub fn mime_header(block: &[u8]) {
    let header = Header::new(block);
    let mut end = 0;
    for field in header.fields() {
        assert!(field.span.start >= end && field.span.end <= block.len());
        assert_eq!(field.value_span.of(block), field.value);
        end = field.span.end;
        check_value(field.value);
    }
    check_value(block);
    let envelope = Envelope::parse(header);
    envelope.sent();
    assert_eq!(envelope.decoded_subject(), text::subject(header));
    let ids = thread::thread_ids(header);
    assert!(ids.parents.len() <= thread::MAX_PARENTS);
    assert!(ids.own.is_none_or(|own| !ids.parents.contains(&own)));
    let base = thread::base_subject(&text::subject(header));
    assert_eq!(thread::base_subject(&base), base);
    assert_eq!(hops::received_count(header), header.all("received").count());
    assert_eq!(hops::delivered_to(header).count(), header.all("delivered-to").count());
}

fn check_value(value: &[u8]) {
    let text = encoded_word::decode(value);
    assert!(!text.contains(char::is_control));
    let mut in_group = false;
    for entry in fields::addresses(value) {
        match entry {
            Entry::GroupStart(_) => assert!(!std::mem::replace(&mut in_group, true)),
            Entry::GroupEnd => assert!(std::mem::replace(&mut in_group, false)),
            Entry::Mailbox(mailbox) => {
                mailbox.decoded_name();
                mailbox.address();
            }
        }
    }
    assert!(!in_group);
    assert!(fields::message_ids(value).len() <= fields::MAX_MESSAGE_IDS);
    if let Some(date) = fields::date(value) {
        date.local_day();
    }
    let content_type = ContentType::parse(value);
    assert!(!content_type.main.is_empty() && !content_type.sub.is_empty());
    assert!(content_type.parameters.0.len() <= fields::MAX_PARAMETERS);
    for parameter in &content_type.parameters.0 {
        assert!(!parameter.name.is_empty());
    }
    content_type.parameters.decoded("name");
    if let Some(disposition) = Disposition::parse(value) {
        disposition.parameters.decoded("filename");
    }
}

/// Labels that the first octet of the input chooses from.
const LABELS: [&str; 10] = [
    "utf-8",
    "us-ascii",
    "iso-2022-jp",
    "euc-jp",
    "shift_jis",
    "utf-7",
    "iso-8859-1",
    "utf-16",
    "gb18030",
    "x-none",
];

/// Charsets and transfer encodings: the first octet chooses the label.
pub fn mime_charset(input: &[u8]) {
    let Some((&choice, bytes)) = input.split_first() else { return };
    let label = LABELS.get(usize::from(choice) % (LABELS.len() + 1));
    let decoded = charset::decode(bytes, label.map(|label| label.as_bytes()));
    // One octet is at most one character; JIS X 0213 letters with two code points are not read.
    assert!(decoded.chars().count() <= 2 * bytes.len());
    let detected = charset::detect(bytes);
    assert_eq!(detected, charset::detect(bytes));
    if let Ok(text) = std::str::from_utf8(bytes)
        && !bytes.contains(&0x1b)
        && !bytes.starts_with("\u{feff}".as_bytes())
    {
        assert_eq!(detected.decode(bytes), text);
    }
    for decoder in [transfer::base64, transfer::quoted_printable] {
        let all = decoder(bytes, usize::MAX);
        assert!(all.len() <= bytes.len());
        assert_eq!(decoder(bytes, 5), all[..all.len().min(5)]);
    }
}
