//! Rule: every module opens with its manual, a `//!` comment that tells its job.

use std::path::Path;

use crate::workspace::{crate_folders, files, read_text, root};

fn broken(path: &Path, text: &str) -> Option<String> {
    let first = text.lines().next().unwrap_or_default();
    let tells = first.strip_prefix("//! ").is_some_and(|job| job.trim().len() > 3);
    (!tells).then(|| format!("{} does not begin with `//!` and the module's job in one line", path.display()))
}

#[test]
fn every_module_opens_with_its_job() {
    let root = root();
    let folders = crate_folders();
    let modules: Vec<_> = folders.iter().flat_map(|folder| files(&folder.join("src"), ".rs")).collect();
    assert!(modules.len() > 10, "only {} modules were read", modules.len());
    let sentences: Vec<_> = modules
        .iter()
        .filter_map(|path| {
            broken(path.strip_prefix(&root).expect("files of the workspace"), &read_text(path))
        })
        .collect();
    crate::must_be_empty(&sentences);
}

#[test]
fn a_module_without_a_manual_is_told_in_words() {
    let path = Path::new("crates/mime/src/lib.rs");
    assert_eq!(broken(path, "//! Parses mail.\n\nmod a;\n"), None);
    for text in ["", "use std::fmt;\n//! Late.\n", "//!\n//! Late.\n", "// A comment.\n", "//! \n"] {
        assert_eq!(
            broken(path, text).as_deref(),
            Some("crates/mime/src/lib.rs does not begin with `//!` and the module's job in one line"),
            "{text:?}"
        );
    }
}
