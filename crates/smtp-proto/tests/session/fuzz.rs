//! The bodies of the fuzzer, driven by random bytes and by the corpus.

use std::path::Path;

use proptest::prelude::*;

#[path = "../../../../fuzz/bodies/src/smtp.rs"]
#[expect(unreachable_pub, reason = "the same file is a public module of the fuzzer's crate")]
mod bodies;

use bodies::{smtp_commands, smtp_content, smtp_session};

use crate::splits::session_bytes;

/// Runs every file of a corpus folder, and each of its beginnings.
fn corpus(name: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).expect("the corpus is there") {
        let data = std::fs::read(entry.unwrap().path()).unwrap();
        for end in 0..=data.len() {
            body(&data[..end]);
        }
        count += 1;
    }
    assert!(count >= 20, "{count} files in {}", folder.display());
}

#[test]
fn session_corpus() {
    corpus("smtp_session", smtp_session);
}

#[test]
fn commands_corpus() {
    corpus("smtp_commands", smtp_commands);
}

#[test]
fn content_corpus() {
    corpus("smtp_content", smtp_content);
}

/// Command lines that are nearly right.
fn command_line() -> impl Strategy<Value = String> {
    let verb = proptest::sample::select(
        &["MAIL FROM:", "RCPT TO:", "EHLO ", "BDAT ", "AUTH PLAIN ", "VRFY ", "NOOP ", "MAIL ", ""][..],
    );
    let path = proptest::sample::select(
        &[
            "<>",
            "<a@b.example>",
            "<\"a b\"@[192.0.2.1]>",
            "<@c.example:a@b.example>",
            "<田@例.jp>",
            " <a@b>",
            "5 LAST",
            "",
        ][..],
    );
    let param = prop_oneof![
        Just(String::new()),
        proptest::sample::select(
            &[" SIZE=5", " BODY=8BITMIME", " SMTPUTF8", " NOTIFY=DELAY,SUCCESS", " RET=HDRS"][..]
        )
        .prop_map(String::from),
        "( ENVID=| ORCPT=rfc822;| ORCPT=utf-8;| AUTH=)([!-~]|\\+[0-9A-F]{2}|田){0,9}",
        "[ -~]{0,9}",
    ];
    (verb, path, param.clone(), param).prop_map(|(verb, path, one, two)| format!("{verb}{path}{one}{two}"))
}

proptest! {
    #[test]
    fn commands(line in command_line()) {
        smtp_commands(line.as_bytes());
    }

    #[test]
    fn any_bytes_are_no_panic(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        smtp_session(&data);
        smtp_commands(&data);
        smtp_content(&data);
    }

    #[test]
    fn sessions(kind in any::<u8>(), seed in any::<u8>(), bytes in session_bytes()) {
        smtp_session(&[&[kind, seed], bytes.as_slice()].concat());
    }

    #[test]
    fn content(kind in any::<u8>(), seed in 0u8..9, text in "(\r\n|\r|\n|\\.|\0|[ab]|Received:|é){0,60}") {
        smtp_content(&[&[kind, seed], text.as_bytes()].concat());
    }
}
