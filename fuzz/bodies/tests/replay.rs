//! Replays the kept inputs of every fuzz target, and checks that no target is half there.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use hikyaku_fuzz_bodies::TARGETS;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("bodies lies in fuzz").to_owned()
}

/// The names in a folder, in order.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn kept_inputs_pass() {
    let mut failed = Vec::new();
    for (target, body) in TARGETS {
        let corpus = fuzz().join("corpus").join(target);
        for name in names(&corpus) {
            let data = std::fs::read(corpus.join(&name)).unwrap();
            if catch_unwind(AssertUnwindSafe(|| body(&data))).is_err() {
                failed.push(format!("{target}/{name}"));
            }
        }
    }
    assert!(failed.is_empty(), "the panics above come from these files of fuzz/corpus: {failed:?}");
}

#[test]
fn bytes_of_every_kind_pass() {
    let all: Vec<u8> = (0..=255).collect();
    let inputs: [&[u8]; 5] = [b"", b"\0", b"\r\n", &all, &[0xff; 70_000]];
    for (target, body) in TARGETS {
        for data in inputs {
            let passed = catch_unwind(AssertUnwindSafe(|| body(data))).is_ok();
            assert!(passed, "{target} fails on {} bytes from {:?}", data.len(), data.first());
        }
    }
}

#[test]
fn every_target_has_its_row_wrapper_and_inputs() {
    let rows: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(rows.len(), TARGETS.len(), "a name stands twice in TARGETS");
    let wrappers: BTreeSet<String> =
        names(&fuzz().join("fuzz_targets")).iter().map(|name| name.replace(".rs", "")).collect();
    let corpora: BTreeSet<String> = names(&fuzz().join("corpus")).into_iter().collect();
    let manifest = std::fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    let bins: BTreeSet<String> = manifest
        .lines()
        .filter_map(|line| line.strip_prefix("path = \"fuzz_targets/")?.strip_suffix(".rs\""))
        .map(str::to_owned)
        .collect();
    assert_eq!(wrappers, rows, "fuzz/fuzz_targets (left) against TARGETS (right)");
    assert_eq!(bins, rows, "[[bin]] in fuzz/Cargo.toml (left) against TARGETS (right)");
    assert_eq!(corpora, rows, "folders of fuzz/corpus (left) against TARGETS (right)");
}
