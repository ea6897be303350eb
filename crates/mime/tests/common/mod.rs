//! The recorded messages under `tests/vectors`.

use std::fs;
use std::path::{Path, PathBuf};

/// Where the vectors are.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// All recorded messages with their path below `tests/vectors`, sorted.
pub(crate) fn messages() -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for kind in ["japanese", "mime"] {
        for source in fs::read_dir(folder().join(kind)).unwrap() {
            let source = source.unwrap().path();
            if source.is_dir() {
                collect(&source, &mut found);
            }
        }
    }
    found.sort();
    assert!(found.len() > 150, "the vectors are there");
    found
}

fn collect(source: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for file in fs::read_dir(source).unwrap() {
        let path = file.unwrap().path();
        let name = path.strip_prefix(folder()).unwrap().to_str().unwrap().to_owned();
        let is_message = [".eml", ".raw", ".msg", "japanese.txt"].iter().any(|end| name.ends_with(end));
        if is_message {
            found.push((name, fs::read(path).unwrap()));
        }
    }
}
