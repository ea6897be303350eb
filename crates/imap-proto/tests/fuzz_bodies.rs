//! The fuzz bodies, driven by random bytes and by the seeds of `fuzz/corpus`.

#[path = "../../../fuzz/bodies/src/imap.rs"]
#[allow(unreachable_pub, reason = "public where the fuzz targets use it")]
mod imap;
#[path = "../../../fuzz/bodies/src/imap_responses/mod.rs"]
#[allow(unreachable_pub, reason = "public where the fuzz targets use it")]
mod imap_responses;

use std::path::Path;

use proptest::prelude::*;

/// Runs `body` over every seed of one target; at least `least` must be there.
fn run_seeds(target: &str, least: usize, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        body(&std::fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count >= least, "{count} seeds in {}", folder.display());
}

#[test]
fn seeds() {
    run_seeds("imap_commands", 20, imap::imap_commands);
    run_seeds("imap_responses", 5, imap_responses::imap_responses);
    run_seeds("imap_utf7", 20, imap::imap_utf7);
    run_seeds("imap_view", 20, imap::imap_view);
}

/// Words of the protocol, so that random streams get beyond the tag.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let words: Vec<&'static [u8]> = vec![
        b"a ",
        b"b1 ",
        b"\r\n",
        b"\r\n",
        b" ",
        b" ",
        b"(",
        b")",
        b"{3}\r\n",
        b"{5+}\r\n",
        b"~{2+}\r\n",
        b"hello",
        b"UID ",
        b"FETCH ",
        b"STORE ",
        b"SEARCH ",
        b"COPY ",
        b"MOVE ",
        b"LIST ",
        b"LSUB ",
        b"SELECT ",
        b"STATUS ",
        b"APPEND ",
        b"CREATE ",
        b"RENAME ",
        b"IDLE",
        b"NOOP",
        b"ENABLE ",
        b"ID ",
        b"SORT ",
        b"THREAD ",
        b"1:*",
        b"2,4:7",
        b"$",
        b"*",
        b"FLAGS",
        b"+FLAGS.SILENT ",
        b"\\Seen",
        b"BODY[",
        b"HEADER.FIELDS (",
        b"]",
        b"<0.10>",
        b"BODY.PEEK[",
        b"RETURN (",
        b"ALL",
        b"NOT ",
        b"OR ",
        b"SUBJECT ",
        b"\"",
        b"\"a b\"",
        b"\\",
        b"inbox",
        b"&AOk-",
        "é".as_bytes(),
        b"NIL",
        b"CHARSET UTF-8",
        b"1-Feb-1994",
        b"\" 1-Feb-1994 10:00:00 +0000\"",
        b"QRESYNC (1 2 3:4)",
        b"\0",
        b"\xff",
        b"CHANGEDSINCE 5",
        b"USE (\\Sent)",
        b"REFERENCES",
        b"(DATE)",
        b"UTF-8",
        b"MESSAGES",
        b"GETQUOTA ",
    ];
    prop::collection::vec(prop::sample::select(words), 0..40).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn commands_of_words(split in 1u8..60, stream in stream()) {
        imap::imap_commands(&[&[split], &stream[..]].concat());
    }

    #[test]
    fn commands_of_bytes(data in prop::collection::vec(any::<u8>(), 0..300)) {
        imap::imap_commands(&data);
    }

    #[test]
    fn responses(kind in 0u8..12, data in prop::collection::vec(prop_oneof![0u8..4, any::<u8>()], 0..400)) {
        imap_responses::imap_responses(&[&[kind], &data[..]].concat());
    }

    #[test]
    fn utf7_of_bytes(data in prop::collection::vec(any::<u8>(), 0..40)) {
        imap::imap_utf7(&data);
    }

    #[test]
    fn utf7_of_its_letters(text in "[&a-zA-Z0-9+,é -]{0,30}") {
        imap::imap_utf7(text.as_bytes());
    }

    #[test]
    fn views(data in prop::collection::vec(any::<u8>(), 0..200)) {
        imap::imap_view(&data);
    }
}
