//! The fuzz bodies over random input, over the seeds, and over the recorded messages.

#[path = "../../../fuzz/bodies/src/mime.rs"]
#[expect(unreachable_pub, reason = "it is a module of a library, too")]
mod bodies;
mod common;

use std::fs;
use std::path::Path;

use hikyaku_mime::{Envelope, Header, Structure, text};
use proptest::prelude::*;

/// Pieces that mean something, so that random joining finds more than noise.
const PIECES: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    " ",
    "\t",
    "--",
    "--b",
    "--b--",
    "--c",
    ":",
    ";",
    "=",
    "\"",
    "\\",
    "(",
    ")",
    "<",
    ">",
    "@",
    ",",
    "Content-Type: multipart/mixed; boundary=b\r\n",
    "Content-Type: multipart/digest; boundary=c\r\n",
    "Content-Type: message/rfc822\r\n",
    "Content-Type: text/html\r\n",
    "Content-Transfer-Encoding: base64\r\n",
    "Content-Transfer-Encoding: binary\r\n",
    "Content-Disposition: attachment; filename*0*=utf-8''%E6; filename*1*=%97%A5\r\n",
    "Subject: ",
    "From: ",
    "To: ",
    "=?utf-8?B?5pel?=",
    "=?iso-2022-jp?Q?",
    "?=",
    "\u{1b}$B",
    "\u{1b}(B",
    "\u{1b}(I",
    "日本",
    "ann@example.org",
    "References: <a@b> <c@d>\r\n",
    "Message-ID: <own@b>\r\n",
    "Date: Tue, 24 Nov 2026 12:34:27 +0900\r\n",
    "<p>",
    "&amp;",
    "<!--",
    "aGVsbG8=",
    "=41",
    "Team: ",
    "text",
    "[list] ",
    "Re: ",
    "返信：",
];

fn mail_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => prop::sample::select(PIECES).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..4),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn structure_of_anything(content in mail_like()) {
        bodies::mime_structure(&content);
    }

    #[test]
    fn header_of_anything(block in mail_like()) {
        bodies::mime_header(&block);
    }

    #[test]
    fn binary_of_anything(content in mail_like()) {
        bodies::mime_binary(&content);
    }

    #[test]
    fn charset_of_anything(input in prop_oneof![mail_like(), prop::collection::vec(any::<u8>(), 0..80)]) {
        bodies::mime_charset(&input);
    }
}

/// The seeds of one fuzz target.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let files = fs::read_dir(folder).unwrap();
    let seeds: Vec<_> = files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect();
    assert!(seeds.len() >= 20, "{target} has {} seeds", seeds.len());
    seeds
}

#[test]
fn seeds_hold() {
    seeds("mime_structure").iter().for_each(|seed| bodies::mime_structure(seed));
    seeds("mime_header").iter().for_each(|seed| bodies::mime_header(seed));
    seeds("mime_charset").iter().for_each(|seed| bodies::mime_charset(seed));
}

#[test]
fn recorded_messages_hold() {
    for (_, content) in common::messages() {
        bodies::mime_structure(&content);
        bodies::mime_header(Header::of_content(&content).as_bytes());
        bodies::mime_charset(&content);
        bodies::mime_binary(&content);
    }
}

/// What begins something, over and over, and then ends nothing or everything: the inputs on
/// which a parser recurses too deep or looks ahead too often.
const HOSTILE: &[(&str, &str)] = &[
    ("(", ")"),
    ("\"", ""),
    ("<", ">"),
    ("<a@", "b>"),
    ("a ", "@:"),
    ("a ", "@a:a:a:a:a"),
    (":", "a"),
    ("a:", ";"),
    ("@a,", ""),
    ("=?", "?="),
    ("=?a?q?", "x?="),
    ("=?utf-8?B?YQ==?= ", ""),
    ("\u{1b}$", "\u{1b}(B"),
    ("\u{1b}(I", ""),
    (";a=", "b"),
    (";a*0=x", ""),
    ("a=b c", "="),
    ("\\", "\\"),
    ("1:T", ""),
    ("2026-11-24T", "1:1"),
    ("[", "] Re: x"),
    ("[fwd:", "]"),
    ("Content-Type: message/rfc822\n\n", "x"),
    ("--", "\n"),
    ("<!--", "-->"),
    ("<a \"", ">"),
    ("<script>", "</"),
    ("&#", ";"),
    ("=", "\n"),
];

#[test]
fn hostile_repetitions_are_read() {
    for (piece, end) in HOSTILE {
        let run = piece.repeat(40_000 / piece.len());
        for tail in ["", &end.repeat(10_000)] {
            let value = format!("{run}{tail}");
            bodies::mime_header(format!("Subject: {value}\r\nFrom: {value}\r\n").as_bytes());
            bodies::mime_structure(format!("Content-Type: text/html; x={value}\r\n\r\n{value}").as_bytes());
            bodies::mime_charset(format!("\u{2}{value}").as_bytes());
        }
    }
}

#[test]
fn recorded_messages_cut_anywhere_are_read() {
    for (_, content) in common::messages() {
        let header = Header::of_content(&content).as_bytes();
        for end in 0..content.len() {
            let cut = &content[..end];
            let structure = Structure::parse(cut);
            assert_eq!(structure.root().span().of(cut), cut);
            if end <= header.len() {
                Envelope::parse(Header::of_content(cut));
            }
            // The text takes longest and changes little from one octet to the next.
            if end < 1024 || end % 61 == 0 {
                text::preview(cut, &structure);
                text::attachment_names(cut, &structure);
            }
        }
    }
}
