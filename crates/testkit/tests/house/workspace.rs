//! Reads a workspace: its packages by `cargo metadata`, its files from the disk.

use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// A package of the resolved graph, ours or not.
#[derive(Debug, Clone, Default)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// The SPDX expression of its manifest.
    pub(crate) licence: Option<String>,
    /// Folder below the workspace's root, for packages of the workspace: `crates/types`.
    pub(crate) folder: Option<PathBuf>,
    pub(crate) dependencies: Vec<Dependency>,
}

/// What a package names in its manifest.
#[derive(Debug, Clone)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// Only its tests, examples and benchmarks use it.
    pub(crate) dev: bool,
}

/// The folder of this repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace is there")
}

/// All packages that the workspace at `root` is built and tested with on this machine.
///
/// Other platforms' packages are left out: they have not been downloaded, and no test needs
/// the Internet.
pub(crate) fn packages(root: &Path) -> Vec<Package> {
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .other_options(["--offline".to_owned(), format!("--filter-platform={}", host())])
        .exec()
        .unwrap_or_else(|error| panic!("cargo metadata for {}: {error}", root.display()));
    metadata.packages.iter().map(|package| read(package, &metadata)).collect()
}

fn read(package: &cargo_metadata::Package, metadata: &Metadata) -> Package {
    let ours = metadata.workspace_members.contains(&package.id);
    let folder = package.manifest_path.parent().expect("a manifest lies in a folder");
    Package {
        name: package.name.to_string(),
        version: package.version.to_string(),
        licence: package.license.clone(),
        folder: ours.then(|| {
            folder.strip_prefix(&metadata.workspace_root).expect("members lie in the workspace").into()
        }),
        dependencies: package
            .dependencies
            .iter()
            .map(|known| Dependency {
                name: known.name.clone(),
                dev: known.kind == DependencyKind::Development,
            })
            .collect(),
    }
}

/// The platform that this test was built on: `x86_64-unknown-linux-gnu`.
fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let text = String::from_utf8(output.stdout).expect("rustc prints UTF-8");
    text.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host").to_owned()
}

/// All files below `folder` whose name ends with `ending`, in order.
pub(crate) fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.expect("a folder can be listed").path()) {
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_str().is_some_and(|name| name.ends_with(ending)) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The file as text.
pub(crate) fn read_text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The folders of all crates: `crates/*`.
pub(crate) fn crate_folders() -> Vec<PathBuf> {
    let mut folders: Vec<_> = files(&root().join("crates"), "Cargo.toml")
        .into_iter()
        .map(|manifest| manifest.parent().expect("a manifest lies in a folder").to_owned())
        .collect();
    folders.sort();
    folders
}

/// Writes a workspace of empty path crates to try a rule on for real.
pub(crate) fn write_workspace(root: &Path, crates: &[(&str, &str)]) {
    let write = |path: PathBuf, text: &str| {
        std::fs::create_dir_all(path.parent().expect("files lie in folders")).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(
        root.join("Cargo.toml"),
        "[workspace]\nresolver = \"3\"\nmembers = [\"crates/*\"]\nexclude = [\"outside\"]\n",
    );
    for (folder, manifest) in crates {
        write(root.join(folder).join("Cargo.toml"), manifest);
        write(root.join(folder).join("src/lib.rs"), "");
    }
}
