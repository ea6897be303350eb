//! Rule: versions are named once, in the root manifest; every member takes the workspace's
//! lints; the lock file is part of the repository.

use std::path::Path;

use toml::{Table, Value};

use crate::workspace::{packages, read_text, root};

const SECTIONS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// What breaks the rule in the manifest at `path`.
fn broken(path: &Path, manifest: &Table) -> Vec<String> {
    let mut sentences = Vec::new();
    let platforms = manifest.get("target").and_then(Value::as_table).into_iter().flatten();
    let tables = platforms.filter_map(|(_, section)| section.as_table());
    for section in std::iter::once(manifest).chain(tables) {
        sentences.extend(own_versions(path, section));
    }
    if !from_workspace(manifest.get("lints")) {
        sentences.push(format!(
            "{} has lints of its own or none: write `[lints] workspace = true`",
            path.display()
        ));
    }
    sentences
}

fn own_versions(path: &Path, section: &Table) -> Vec<String> {
    let dependencies = SECTIONS.iter().filter_map(|name| section.get(*name)?.as_table()).flatten();
    dependencies
        .filter(|(_, value)| !from_workspace(Some(value)))
        .map(|(name, _)| {
            format!(
                "{} says itself which `{name}` it uses: name the version once, in the root Cargo.toml, and write `{name}.workspace = true`",
                path.display()
            )
        })
        .collect()
}

fn from_workspace(value: Option<&Value>) -> bool {
    value.and_then(|value| value.get("workspace")).and_then(Value::as_bool) == Some(true)
}

#[test]
fn versions_and_lints_come_from_the_workspace() {
    let root = root();
    let members: Vec<_> = packages(&root).into_iter().filter_map(|package| package.folder).collect();
    assert!(members.len() > 1, "only {} members were read", members.len());
    let sentences: Vec<_> = members
        .iter()
        .map(|folder| folder.join("Cargo.toml"))
        .flat_map(|path| broken(&path, &read_text(&root.join(&path)).parse().expect("cargo has read it too")))
        .collect();
    crate::must_be_empty(&sentences);
}

#[test]
fn the_lock_file_is_part_of_the_repository() {
    let root = root();
    assert!(root.join("Cargo.lock").exists(), "Cargo.lock is missing: commit it, builds use --locked");
    let ignored = read_text(&root.join(".gitignore"));
    assert!(
        !ignored.lines().any(|line| line.trim_start_matches('/').trim() == "Cargo.lock"),
        ".gitignore names Cargo.lock: commit it, builds use --locked"
    );
}

#[test]
fn a_manifest_with_versions_of_its_own_is_told_in_words() {
    let path = Path::new("crates/store/Cargo.toml");
    let check = |text: &str| broken(path, &text.parse().unwrap());
    let lints = "[lints]\nworkspace = true\n";
    assert_eq!(
        check(&format!(
            "{lints}[dependencies]\ntokio.workspace = true\nzstd = {{ workspace = true, features = [] }}"
        )),
        [""; 0]
    );
    let wrong = "crates/store/Cargo.toml says itself which `tokio` it uses: name the version once, in the root Cargo.toml, and write `tokio.workspace = true`";
    for dependencies in [
        "[dependencies]\ntokio = \"1\"",
        "[dev-dependencies]\ntokio = { version = \"1\" }",
        "[build-dependencies]\ntokio.path = \"../tokio\"",
        "[dependencies]\ntokio.workspace = false",
        "[target.'cfg(unix)'.dependencies]\ntokio = \"1\"",
    ] {
        assert_eq!(check(&format!("{lints}{dependencies}")), [wrong], "{dependencies}");
    }
    assert_eq!(
        check("[lints.rust]\nunsafe_code = \"allow\""),
        ["crates/store/Cargo.toml has lints of its own or none: write `[lints] workspace = true`"]
    );
}
