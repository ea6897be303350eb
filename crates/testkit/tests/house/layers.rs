//! Rule: dependencies point down only, and some libraries belong to one crate.

use std::path::Path;

use crate::workspace::Package;

/// Crates of one height.
struct Layer {
    name: &'static str,
    crates: &'static [&'static str],
    /// May its crates use each other? Cargo forbids circles.
    among_themselves: bool,
}

/// From the bottom up. A new crate gets its place here, and its line in `ARCHITECTURE.md`.
const LAYERS: [Layer; 10] = [
    Layer { name: "base", crates: &["types", "telemetry"], among_themselves: true },
    Layer {
        name: "wire",
        crates: &["mime", "smtp-proto", "imap-proto", "pop3-proto", "sieve"],
        among_themselves: true,
    },
    Layer { name: "engine", crates: &["store"], among_themselves: false },
    Layer {
        name: "state",
        crates: &["trace", "directory", "mailstore", "queue", "zones"],
        among_themselves: true,
    },
    Layer { name: "decisions", crates: &["access", "sender-auth", "filter"], among_themselves: false },
    // Gathers the facts of decisions and carries them out, so it stands above both; its SQL is
    // that of the access database alone, whose rows are what the decisions are made of.
    Layer { name: "ways in", crates: &["sign-in"], among_themselves: false },
    Layer { name: "background", crates: &["jobs"], among_themselves: false },
    Layer { name: "listeners", crates: &["net"], among_themselves: false },
    Layer {
        name: "servers",
        crates: &[
            "smtp-server",
            "smtp-client",
            "imap-server",
            "pop3-server",
            "sieve-server",
            "dns-server",
            "http-server",
        ],
        among_themselves: false,
    },
    Layer { name: "binary", crates: &["hikyaku"], among_themselves: false },
];

/// For tests: all may use it as a dev-dependency, and it may use whatever it drives.
const TESTKIT: &str = "testkit";

/// What no wire crate uses: they turn bytes into values and back, and do no I/O.
const IO: [&str; 14] = [
    "async-std",
    "axum",
    "getrandom",
    "hyper",
    "mio",
    "object_store",
    "postgres",
    "rusqlite",
    "rustix",
    "rustls",
    "socket2",
    "tokio",
    "tokio-postgres",
    "tokio-rustls",
];

/// Libraries that only the crate wrapping them may use, so that a new version of theirs
/// touches one place.
const WRAPPED: [(&str, &[&str]); 5] = [
    ("mail-auth", &["sender-auth"]),
    ("object_store", &["store"]),
    ("postgres", &["store", TESTKIT]),
    ("rusqlite", &["store"]),
    ("tokio-postgres", &["store"]),
];

/// Our name for a package: `hikyaku-store` is `store`, the binary is `hikyaku`.
fn short(package: &str) -> &str {
    package.strip_prefix("hikyaku-").unwrap_or(package)
}

fn height(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.crates.contains(&name))
}

/// What breaks the rule.
pub(crate) fn broken(packages: &[Package]) -> Vec<String> {
    let mut sentences = Vec::new();
    for package in packages {
        let Some(folder) = &package.folder else { continue };
        // `fuzz`, `bench` and their like stand above everything; nothing may use them.
        let Ok(folder) = folder.strip_prefix("crates") else { continue };
        sentences.extend(misnamed(package, folder));
        let name = short(&package.name);
        if name != TESTKIT && height(name).is_none() {
            sentences.push(format!(
                "crates/{} is in no layer: add a row for it to the table in crates/testkit/tests/house/layers.rs",
                folder.display()
            ));
            continue;
        }
        for dependency in package.dependencies.iter().filter(|dependency| !dependency.dev) {
            sentences.extend(wrong_use(name, &dependency.name, packages));
        }
    }
    sentences
}

fn misnamed(package: &Package, folder: &Path) -> Option<String> {
    let folder = folder.to_str()?;
    let expected = if folder == "hikyaku" { folder.to_owned() } else { format!("hikyaku-{folder}") };
    (package.name != expected)
        .then(|| format!("the package in crates/{folder} is called `{}`: call it `{expected}`", package.name))
}

/// What is wrong with `user` depending on the package `used`.
fn wrong_use(user: &str, used: &str, packages: &[Package]) -> Option<String> {
    if let Some((_, owners)) =
        WRAPPED.iter().find(|(library, owners)| *library == used && !owners.contains(&user))
    {
        return Some(format!(
            "`{user}` depends on `{used}`, which only `{}` may use: it wraps it",
            owners[0]
        ));
    }
    let user_height = height(user)?;
    if LAYERS[user_height].name == "wire" && IO.contains(&used) {
        return Some(format!("`{user}` depends on `{used}`: wire crates do no I/O"));
    }
    let ours = packages.iter().find(|package| package.name == used)?.folder.as_ref()?;
    let used = short(used);
    if used == TESTKIT {
        return Some(format!(
            "`{user}` depends on `testkit`, which is for tests: move it to [dev-dependencies]"
        ));
    }
    if !ours.starts_with("crates") {
        return Some(format!(
            "`{user}` depends on `{used}`, which lies outside of crates/ and is used by none"
        ));
    }
    points_up(user, user_height, used)
}

fn points_up(user: &str, user_height: usize, used: &str) -> Option<String> {
    let used_height = height(used)?;
    let (above, below) = (&LAYERS[user_height], &LAYERS[used_height]);
    let down = used_height < user_height || (used_height == user_height && above.among_themselves);
    (!down).then(|| {
        format!(
            "`{user}` ({}) depends on `{used}` ({}): dependencies point down only",
            above.name, below.name
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::{Dependency, packages, root, write_workspace};
    use hikyaku_testkit::scratch_dir;

    #[test]
    fn dependencies_point_down_only() {
        crate::must_be_empty(&broken(&packages(&root())));
    }

    fn ours(name: &str, dependencies: &[&str]) -> Package {
        let folder = format!("crates/{}", short(name));
        Package {
            name: name.to_owned(),
            folder: Some(folder.into()),
            dependencies: dependencies
                .iter()
                .map(|name| match name.strip_prefix("dev ") {
                    Some(name) => Dependency { name: name.to_owned(), dev: true },
                    None => Dependency { name: (*name).to_owned(), dev: false },
                })
                .collect(),
            ..Package::default()
        }
    }

    #[test]
    fn a_dependency_that_points_the_wrong_way_is_told_in_words() {
        let others =
            ["types", "telemetry", "mime", "smtp-proto", "store", "mailstore", "testkit", "imap-server"];
        let mut workspace: Vec<_> = others.iter().map(|name| ours(&format!("hikyaku-{name}"), &[])).collect();
        workspace.push(Package {
            name: "hikyaku-fuzz-bodies".to_owned(),
            folder: Some("fuzz/bodies".into()),
            ..ours("hikyaku-fuzz-bodies", &["hikyaku-mime"])
        });
        let table: [(Package, &[&str]); 14] = [
            (ours("hikyaku-trace", &["hikyaku-store", "hikyaku-types", "tokio", "dev hikyaku-testkit"]), &[]),
            (ours("hikyaku-imap-proto", &["hikyaku-mime", "memchr", "dev tokio"]), &[]),
            (ours("hikyaku-queue", &["hikyaku-mailstore"]), &[]),
            (ours("hikyaku", &["hikyaku-imap-server", "hikyaku-types"]), &[]),
            (
                ours("hikyaku-imap-proto", &["hikyaku-store"]),
                &["`imap-proto` (wire) depends on `store` (engine): dependencies point down only"],
            ),
            (
                ours("hikyaku-smtp-server", &["hikyaku-imap-server"]),
                &["`smtp-server` (servers) depends on `imap-server` (servers): dependencies point down only"],
            ),
            (
                ours("hikyaku-types", &["hikyaku-mailstore"]),
                &["`types` (base) depends on `mailstore` (state): dependencies point down only"],
            ),
            (ours("hikyaku-testkit", &["hikyaku-types", "postgres", "hikyaku-store"]), &[]),
            (
                ours("hikyaku-queue", &["hikyaku-testkit"]),
                &["`queue` depends on `testkit`, which is for tests: move it to [dev-dependencies]"],
            ),
            (
                ours("hikyaku-queue", &["hikyaku-fuzz-bodies"]),
                &["`queue` depends on `fuzz-bodies`, which lies outside of crates/ and is used by none"],
            ),
            (
                ours("hikyaku-sieve", &["tokio", "rustls"]),
                &[
                    "`sieve` depends on `tokio`: wire crates do no I/O",
                    "`sieve` depends on `rustls`: wire crates do no I/O",
                ],
            ),
            (
                ours("hikyaku-queue", &["rusqlite", "mail-auth"]),
                &[
                    "`queue` depends on `rusqlite`, which only `store` may use: it wraps it",
                    "`queue` depends on `mail-auth`, which only `sender-auth` may use: it wraps it",
                ],
            ),
            (
                ours("hikyaku-helpers", &["hikyaku-types"]),
                &[
                    "crates/helpers is in no layer: add a row for it to the table in crates/testkit/tests/house/layers.rs",
                ],
            ),
            (
                Package { folder: Some("crates/queue".into()), ..ours("queue", &[]) },
                &["the package in crates/queue is called `queue`: call it `hikyaku-queue`"],
            ),
        ];
        for (package, expected) in table {
            let name = package.name.clone();
            let mut all = workspace.clone();
            all.retain(|known| known.name != name);
            all.push(package);
            assert_eq!(broken(&all), expected, "{name}");
        }
    }

    #[test]
    fn the_rule_works_on_a_workspace_on_disk() {
        let scratch = scratch_dir();
        let crates = [
            ("crates/types", "[package]\nname = \"hikyaku-types\"\n"),
            (
                "crates/mime",
                "[package]\nname = \"hikyaku-mime\"\n[dependencies]\nhikyaku-store.path = \"../store\"\n\
                 [dev-dependencies]\nhikyaku-types.path = \"../types\"\n",
            ),
            (
                "crates/store",
                "[package]\nname = \"hikyaku-store\"\n[dependencies]\nhikyaku-types.path = \"../types\"\n",
            ),
        ];
        write_workspace(scratch.path(), &crates);
        assert_eq!(
            broken(&packages(scratch.path())),
            ["`mime` (wire) depends on `store` (engine): dependencies point down only"]
        );
    }
}
