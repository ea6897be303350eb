//! `docs/settings.md`, made from the descriptions of the sections.

use std::fmt::Write;

use super::section::{Description, Field, Section, Shape};
use super::written::Written;

const HEAD: &str = "\
# Settings

<!-- Made from the code by `make settings-page`: what is changed here is lost. -->

The file that `hikyaku serve --config FILE` reads, in TOML. `hikyaku check config FILE` tells
every mistake in it with its line and what to do, and changes nothing: a key that is not on
this page is a mistake. `dist/hikyaku.toml` is a file to begin with.

| Kind | How it is written |
|---|---|
| duration | a number and a unit: `\"500ms\"`, `\"30s\"`, `\"5m\"`, `\"2h\"`, `\"1d\"` |
| size | a number and a unit: `\"512 B\"`, `\"20 MB\"` (kB, MB, GB, TB: powers of 1000), `\"50 MiB\"` (KiB, MiB, GiB, TiB: powers of 1024) |
| number | `100`, `10_000` |
| switch | `true` or `false` |
| IP address with a port | `\"192.0.2.1:25\"`, `\"[2001:db8::1]:25\"` |
| path from the root | `\"/var/lib/hikyaku\"` |
| domain name | `\"mx.example.org\"`, international ones in letters or as `xn--…` |
";

/// The whole page.
pub(crate) fn page() -> String {
    let mut page = HEAD.to_owned();
    section(&mut page, "", "The top of the file", &Written::DESCRIPTION);
    page
}

/// A section and those below it; `path` is empty or ends with a dot.
fn section(page: &mut String, path: &str, title: &str, description: &Description) {
    let Description { about, fields } = description;
    // Writing to a text cannot fail.
    let _ = writeln!(page, "\n## {title}\n\n{}", sentence(about));
    if fields.iter().any(|field| matches!(field.shape, Shape::Value { .. })) {
        page.push_str("\n| Setting | What it is | Kind | Default | From, to |\n|---|---|---|---|---|\n");
    }
    for field in *fields {
        row(page, field);
    }
    for Field { name, shape, .. } in *fields {
        let below = format!("{path}{name}.");
        match shape {
            Shape::Value { .. } => {}
            Shape::Table(description) => {
                section(page, &below, &format!("`[{path}{name}]`"), description);
            }
            Shape::Tables(description) => {
                let title = format!("`[[{path}{name}]]`, any number of times");
                section(page, &below, &title, description);
            }
        }
    }
}

fn row(page: &mut String, field: &Field) {
    let Field { name, about, default, bounds, shape } = field;
    let Shape::Value { kind, needed } = shape else { return };
    let default = match (default, needed) {
        (Some(default), _) => format!("`{default}`"),
        (None, true) => "must be there".to_owned(),
        (None, false) => String::new(),
    };
    let bounds = bounds.map_or_else(String::new, |(least, most)| format!("`{least}`, `{most}`"));
    let kind = without_article(kind);
    let _ = writeln!(page, "| `{name}` | {} | {kind} | {default} | {bounds} |", sentence(about));
}

fn sentence(lines: &[&str]) -> String {
    // In a table, a bar would end its cell.
    lines.iter().map(|line| line.trim().replace('|', "\\|")).collect::<Vec<_>>().join(" ")
}

fn without_article(kind: &str) -> &str {
    kind.strip_prefix("a ").or_else(|| kind.strip_prefix("an ")).unwrap_or(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_docs_is_this_one() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/settings.md");
        let there = std::fs::read_to_string(file).unwrap_or_default();
        assert!(there == page(), "docs/settings.md is not what the code says: run `make settings-page`");
    }

    /// Every setting says what it is; a section does so itself.
    #[test]
    fn every_setting_is_explained() {
        fn look(path: &str, description: &Description) {
            for Field { name, about, shape, .. } in description.fields {
                match shape {
                    Shape::Value { .. } => assert!(sentence(about).len() > 10, "{path}{name} says nothing"),
                    Shape::Table(below) | Shape::Tables(below) => {
                        assert!(about.is_empty(), "{path}{name}: the section explains itself");
                        look(&format!("{path}{name}."), below);
                    }
                }
            }
        }
        look("", &Written::DESCRIPTION);
    }
}
