//! Recorded messages of other projects, with what they expect, and with a second opinion.

mod common;

use std::collections::BTreeSet;
use std::fs;

use common::{folder, messages};
use hikyaku_mime::fields::Entry;
use hikyaku_mime::section::binary;
use hikyaku_mime::thread::thread_ids;
use hikyaku_mime::{Envelope, Header, Kind, PartId, Structure, charset, text};
use mail_parser::{Address, HeaderName, Message, MessageParser, MimeHeaders, PartType};

const LIMIT: usize = usize::MAX;

/// Compares what differs with `tests/vectors/differences.txt`, in both directions: a new
/// difference and one that is gone are both to be looked at.
///
/// The lines there are `topic message: reason`.
fn check_differences(topic: &str, found: &[(String, String)]) {
    let list = fs::read_to_string(folder().join("differences.txt")).unwrap();
    let known: BTreeSet<&str> = list
        .lines()
        .filter_map(|line| line.strip_prefix(topic)?.strip_prefix(' ')?.split_once(": "))
        .map(|(name, reason)| {
            assert!(!reason.trim().is_empty(), "{name} has no reason");
            name
        })
        .collect();
    let new: Vec<_> = found.iter().filter(|(name, _)| !known.contains(name.as_str())).collect();
    let report: String = new.iter().map(|(name, what)| format!("\n{topic} {name}: {what}")).collect();
    assert!(new.is_empty(), "{} new differences:{report}", new.len());
    let gone: Vec<_> = known.iter().filter(|name| !found.iter().any(|(other, _)| other == *name)).collect();
    assert!(gone.is_empty(), "these are no differences any more: {gone:?}");
}

/// The value of `"key": "value"` lines; enough of JSON for one generated file.
fn json_strings<'a>(json: &'a str, key: &str) -> Vec<&'a str> {
    let start = format!("\"{key}\": \"");
    let lines = json.lines().filter_map(|line| line.trim().strip_prefix(&start));
    lines.map(|line| line.trim_end_matches(',').trim_end_matches('"')).collect()
}

#[test]
fn texts_encoded_by_nkf() {
    let folder = folder().join("japanese/generated-nkf");
    let json = fs::read_to_string(folder.join("expected.json")).unwrap();
    let (files, texts) = (json_strings(&json, "file"), json_strings(&json, "text"));
    assert_eq!((files.len(), texts.len()), (6, 6));
    for (file, expected) in files.into_iter().zip(texts) {
        let content = fs::read(folder.join(file)).unwrap();
        let structure = Structure::parse(&content);
        let readable = text::readable(&content, &structure, LIMIT);
        assert_eq!(readable.lines().next(), Some(expected), "{file}");
        assert_eq!(text::subject(Header::of_content(&content)), expected, "{file}");
    }
}

/// `(` and `)` for a multipart, `.` for a leaf.
fn shape(structure: &Structure, id: PartId) -> String {
    match structure.part(id).kind {
        Kind::Leaf => ".".to_owned(),
        Kind::Message => structure.children(id).map(|child| shape(structure, child)).collect(),
        Kind::Multipart => {
            let inner: String = structure.children(id).map(|child| shape(structure, child)).collect();
            format!("({inner})")
        }
    }
}

fn expected_shape(xml: &str) -> String {
    xml.lines()
        .filter_map(|line| match line {
            "<multipart>" => Some("("),
            "</multipart>" => Some(")"),
            _ if line.starts_with("<text-body") || line.starts_with("<binary-body") => Some("."),
            _ => None,
        })
        .collect()
}

/// The part that `name_decoded_1_2_3.txt` is the content of: 2, 3; the 1 is the message.
fn expected_path(name: &str) -> Vec<u32> {
    let (_, numbers) = name.rsplit_once("_decoded_").unwrap();
    let numbers = numbers.split('.').next().unwrap();
    let path: Vec<u32> = numbers.split('_').map(|number| number.parse().unwrap()).collect();
    if path.len() > 1 { path[1..].to_vec() } else { path }
}

fn without_cr(octets: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(octets).replace("\r\n", "\n").into_bytes()
}

#[test]
fn structures_and_contents_expected_by_mime4j() {
    let folder = folder().join("mime/mime4j");
    let mut names: Vec<String> =
        fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let mut different = Vec::new();
    for name in names.iter().filter(|name| name.ends_with(".msg")) {
        let base = name.trim_end_matches(".msg");
        let content = fs::read(folder.join(name)).unwrap();
        let structure = Structure::parse(&content);
        let xml = fs::read_to_string(folder.join(format!("{base}_decoded.xml"))).unwrap();
        let (ours, theirs) = (shape(&structure, PartId::ROOT), expected_shape(&xml));
        if ours != theirs {
            different.push((format!("mime/mime4j/{name}"), format!("{ours} instead of {theirs}")));
            continue;
        }
        let decoded = format!("{base}_decoded_");
        for file in names.iter().filter(|file| file.starts_with(&decoded)) {
            let expected = fs::read(folder.join(file)).unwrap();
            let found = binary(&content, &structure, &expected_path(file), LIMIT).unwrap_or_default();
            if without_cr(&found) != without_cr(&expected) {
                different.push((format!("mime/mime4j/{name}"), format!("{file} differs")));
            }
        }
    }
    check_differences("mime4j", &different);
}

/// The content of each leaf in order: text, or `None` for anything else.
fn our_leaves(content: &[u8]) -> Vec<Option<String>> {
    let structure = Structure::parse(content);
    let leaves = structure.parts().filter(|(_, part)| part.kind == Kind::Leaf);
    leaves
        .map(|(_, part)| {
            let octets = part.decoded_body(content, LIMIT);
            let label = part.content_type.parameters.get("charset");
            (part.content_type.main == "text").then(|| plain_text(&charset::decode(&octets, label)))
        })
        .collect()
}

fn their_leaves(message: &Message<'_>, part: u32, leaves: &mut Vec<Option<String>>) {
    match &message.parts[part as usize].body {
        PartType::Text(text) | PartType::Html(text) => leaves.push(Some(plain_text(text))),
        PartType::Binary(_) | PartType::InlineBinary(_) => leaves.push(None),
        PartType::Message(inner) => their_leaves(inner, 0, leaves),
        PartType::Multipart(parts) => parts.iter().for_each(|&part| their_leaves(message, part, leaves)),
    }
}

/// Without what the two may rightly see differently: the kind of line ends, and white space
/// at the end.
fn plain_text(text: &str) -> String {
    text.replace("\r\n", "\n").trim_end().to_owned()
}

#[test]
fn parts_and_texts_as_mail_parser_reads_them() {
    let mut different = Vec::new();
    for (name, content) in messages() {
        let Some(message) = MessageParser::default().parse(&content) else {
            different.push((name, "not parsed by mail-parser".to_owned()));
            continue;
        };
        let mut theirs = Vec::new();
        their_leaves(&message, 0, &mut theirs);
        let ours = our_leaves(&content);
        if ours.len() != theirs.len() {
            different.push((name, format!("{} parts instead of {}", ours.len(), theirs.len())));
        } else if ours != theirs {
            let at = ours.iter().zip(&theirs).position(|(a, b)| a != b).unwrap();
            different.push((name, format!("part {at}: {:?} instead of {:?}", ours[at], theirs[at])));
        }
    }
    check_differences("mail-parser-parts", &different);
}

#[test]
fn subjects_as_mail_parser_reads_them() {
    let mut different = Vec::new();
    for (name, content) in messages() {
        let Some(message) = MessageParser::default().parse(&content) else { continue };
        let theirs = message.subject().unwrap_or_default().trim();
        let ours = text::subject(Header::of_content(&content));
        if ours != theirs {
            different.push((name, format!("{ours:?} instead of {theirs:?}")));
        }
    }
    check_differences("mail-parser-subject", &different);
}

/// `name <address>` of each mailbox of a header field.
fn our_mailboxes(list: &[Entry<'_>]) -> Vec<String> {
    list.iter()
        .filter_map(|entry| match entry {
            Entry::Mailbox(mailbox) => Some(format!("{} <{}>", mailbox.decoded_name(), mailbox.address())),
            Entry::GroupStart(_) | Entry::GroupEnd => None,
        })
        .collect()
}

fn their_mailboxes<'x>(fields: impl Iterator<Item = &'x Address<'x>>) -> Vec<String> {
    let shown = |mailbox: &mail_parser::Addr<'_>| {
        format!("{} <{}>", mailbox.name().unwrap_or_default(), mailbox.address().unwrap_or_default())
    };
    fields.flat_map(|field| field.iter().map(shown).collect::<Vec<_>>()).collect()
}

#[test]
fn addresses_as_mail_parser_reads_them() {
    let mut different = Vec::new();
    for (name, content) in messages() {
        let Some(message) = MessageParser::default().parse(&content) else { continue };
        let envelope = Envelope::parse(Header::of_content(&content));
        for (ours, header) in [(&envelope.from, HeaderName::From), (&envelope.to, HeaderName::To)] {
            let theirs =
                their_mailboxes(message.header_values(header).filter_map(|value| value.as_address()));
            let ours = our_mailboxes(ours);
            if ours != theirs {
                different.push((name.clone(), format!("{ours:?} instead of {theirs:?}")));
            }
        }
    }
    check_differences("mail-parser-addresses", &different);
}

#[test]
fn dates_as_mail_parser_reads_them() {
    let mut different = Vec::new();
    for (name, content) in messages() {
        let Some(message) = MessageParser::default().parse(&content) else { continue };
        let theirs = message.date().map(|date| date.to_timestamp());
        let ours = Envelope::parse(Header::of_content(&content)).sent().map(|date| date.at.as_secs());
        if ours != theirs {
            different.push((name, format!("{ours:?} instead of {theirs:?}")));
        }
    }
    check_differences("mail-parser-date", &different);
}

#[test]
fn ids_as_mail_parser_reads_them() {
    let mut different = Vec::new();
    for (name, content) in messages() {
        let Some(message) = MessageParser::default().parse(&content) else { continue };
        let mut theirs: Vec<String> = Vec::new();
        for value in [message.references(), message.in_reply_to()] {
            theirs.extend(value.as_text_list().unwrap_or_default().iter().map(|id| id.to_string()));
        }
        let ours = thread_ids(Header::of_content(&content));
        let own = message.message_id().map(str::to_owned);
        let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
        let parents_are_known = ours.parents.iter().all(|id| theirs.iter().any(|other| same(id, other)));
        let all_are_there =
            theirs.iter().all(|id| ours.parents.iter().chain(&ours.own).any(|other| same(id, other)));
        let same_own = ours.own.as_deref().map(str::to_lowercase) == own.as_deref().map(str::to_lowercase);
        if !(parents_are_known && all_are_there && same_own) {
            different.push((name, format!("{ours:?} instead of {own:?} {theirs:?}")));
        }
    }
    check_differences("mail-parser-ids", &different);
}

#[test]
fn file_names_as_mail_parser_reads_them() {
    fn collect(message: &Message<'_>, names: &mut Vec<String>) {
        for part in &message.parts {
            names.extend(part.attachment_name().map(str::to_owned));
            if let PartType::Message(inner) = &part.body {
                collect(inner, names);
            }
        }
    }
    let mut different = Vec::new();
    for (name, content) in messages() {
        let Some(message) = MessageParser::default().parse(&content) else { continue };
        let mut theirs = Vec::new();
        collect(&message, &mut theirs);
        theirs.retain(|name| !name.is_empty());
        let ours = text::attachment_names(&content, &Structure::parse(&content));
        if ours != theirs {
            different.push((name, format!("{ours:?} instead of {theirs:?}")));
        }
    }
    check_differences("mail-parser-names", &different);
}
