//! Rule: what `docs/standards.md` claims is tested. Each "yes" names a test that exists, and
//! each "partly" says what is missing.
//!
//! A test is named `crate::module::name`, as `types::network::tests::contains` for
//! `crates/types`, or by the path of a file, as `tests/e2e/20-imap`.

use std::path::Path;

use crate::workspace::{files, read_text, root};

/// One row of the table.
#[derive(Debug, PartialEq)]
struct Row<'a> {
    standard: &'a str,
    state: &'a str,
    /// What stands between backticks in the column of tests.
    tests: Vec<&'a str>,
    note: &'a str,
}

/// The rows of all tables whose columns are `RFC`, title, state, tests and note.
fn rows(document: &str) -> impl Iterator<Item = Result<Row<'_>, String>> {
    let lines = document.lines().filter(|line| line.starts_with('|'));
    // The line below a table's head, and the head.
    let content = lines.filter(|line| !line.contains("---") && !line.starts_with("| Standard |"));
    content.map(|line| {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        let [standard, _title, state, tests, note] = cells[..] else {
            return Err(format!("docs/standards.md: this row has {} columns, not 5: {line}", cells.len()));
        };
        Ok(Row { standard, state, tests: tests.split('`').skip(1).step_by(2).collect(), note })
    })
}

/// What breaks the rule; `exists` tells whether there is a test of this name.
fn broken(document: &str, exists: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut sentences = Vec::new();
    for row in rows(document) {
        let Row { standard, state, tests, note } = match row {
            Ok(row) => row,
            Err(sentence) => {
                sentences.push(sentence);
                continue;
            }
        };
        let mut say = |what: String| sentences.push(format!("docs/standards.md: {standard} {what}"));
        match state {
            "yes" if tests.is_empty() => say("says yes and names no test that shows it".to_owned()),
            "partly" if note.is_empty() => say("says partly and not what is missing".to_owned()),
            "yes" | "partly" | "no" => {}
            other => say(format!("has the state `{other}`: write yes, partly or no")),
        }
        for test in tests.iter().filter(|test| !exists(test)) {
            say(format!("names the test `{test}`, which does not exist"));
        }
    }
    sentences
}

/// Is there a test of this name in the repository at `root`?
fn test_exists(root: &Path, test: &str) -> bool {
    if test.contains('/') {
        return root.join(test).is_file();
    }
    let mut path: Vec<&str> = test.split("::").collect();
    let (Some(name), false) = (path.pop(), path.is_empty()) else { return false };
    let folder = root.join("crates").join(path.remove(0));
    // `mod tests` lies in the file of its module.
    path.retain(|module| *module != "tests");
    files(&folder, ".rs").iter().any(|file| {
        let file_path = file.strip_prefix(&folder).expect("it was found there").with_extension("");
        let parts: Vec<&str> = file_path.iter().filter_map(|part| part.to_str()).collect();
        path.iter().all(|module| parts.contains(module)) && has_test(&read_text(file), name)
    })
}

/// Has the source a function `name` under a test attribute?
fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let declared = |line: &str| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        line.strip_prefix("fn ")
            .and_then(|rest| rest.strip_prefix(name))
            .is_some_and(|rest| rest.starts_with('('))
    };
    let is_test = |line: usize| {
        let above =
            lines[..line].iter().rev().take_while(|line| line.starts_with("#[") || line.starts_with("//"));
        above.copied().any(|line| line.starts_with("#[test") || line.starts_with("#[tokio::test"))
    };
    lines.iter().enumerate().any(|(number, line)| declared(line) && is_test(number))
}

#[test]
fn what_is_claimed_is_tested() {
    let root = root();
    let document = read_text(&root.join("docs/standards.md"));
    assert!(rows(&document).count() > 3, "docs/standards.md has no rows that can be read");
    crate::must_be_empty(&broken(&document, &|test| test_exists(&root, test)));
}

#[test]
fn a_claim_without_a_test_is_told_in_words() {
    let exists = |test: &str| test == "types::network::tests::contains";
    let table = "\
        | Standard | Title | State | Tests | Note |\n\
        |---|---|---|---|---|\n\
        | RFC 1 | Good | yes | `types::network::tests::contains` | |\n\
        | RFC 2 | Half | partly | | no TLS yet |\n\
        | RFC 3 | None | no | | |\n\
        | RFC 4 | Bare | yes | | |\n\
        | RFC 5 | Gone | yes | `types::network::tests::contains`, `types::gone` | |\n\
        | RFC 6 | Vague | partly | `types::network::tests::contains` | |\n\
        | RFC 7 | Odd | maybe | | |\n\
        | RFC 8 | Short | yes |\n";
    assert_eq!(
        broken(table, &exists),
        [
            "docs/standards.md: RFC 4 says yes and names no test that shows it",
            "docs/standards.md: RFC 5 names the test `types::gone`, which does not exist",
            "docs/standards.md: RFC 6 says partly and not what is missing",
            "docs/standards.md: RFC 7 has the state `maybe`: write yes, partly or no",
            "docs/standards.md: this row has 3 columns, not 5: | RFC 8 | Short | yes |",
        ]
    );
}

#[test]
fn tests_are_found_by_name() {
    let root = root();
    for (test, expected) in [
        ("types::network::tests::contains", true),
        ("types::address::tests::parse_print_parse", true),
        ("testkit::postgres::a_private_cluster_stops_and_starts", true),
        ("crates/types/src/network.rs", true),
        // A function of that name, but no test.
        ("types::network::contains_all", false),
        ("types::network::bits_of", false),
        ("types::address::tests::contains", false),
        ("types::network::tests::contain", false),
        ("gone::network::tests::contains", false),
        ("contains", false),
        ("", false),
        ("crates/types/src/gone.rs", false),
    ] {
        assert_eq!(test_exists(&root, test), expected, "{test}");
    }
}
