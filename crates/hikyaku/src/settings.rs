//! The settings file: what the operator writes, what is wrong with it, and what the program
//! uses of it.
//!
//! ```text
//! text ── toml ──▶ tables with places ── section! ──▶ Written ── settle ──▶ Settings
//!              └────────────── Findings: mistakes of all steps, told together ──┘
//! ```
//!
//! Invariants:
//! - a key that is no setting is a mistake, and so is a value of the wrong kind or beyond
//!   its bounds;
//! - every finding has a remedy, and its line and column if it stands in the file;
//! - no finding shows a value that could not be read: it may be a secret.

mod blocking;
pub(crate) mod certificates;
mod findings;
mod kind;
mod listeners;
mod page;
pub(crate) mod places;
mod program;
mod section;
mod surroundings;
#[cfg(test)]
mod tests;
mod written;

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use toml::de::DeTable;

pub(crate) use findings::{Finding, Findings};
pub(crate) use page::page;
pub(crate) use program::{ResolverSettings, Settings};
pub(crate) use surroundings::Surroundings;
use written::Written;

/// The settings of a file that has no mistakes, and the warnings.
pub(crate) fn load(file: &Path) -> anyhow::Result<(Settings, Vec<Finding>)> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut findings = Findings::new(&text);
    let settings = read(&text, &Surroundings::of(file), &mut findings);
    let findings = findings.into_sorted();
    match settings {
        Some(settings) => Ok((settings, findings)),
        None => bail!("the settings have mistakes\n{}", lines(file, &findings)),
    }
}

/// A line each, as compilers print them.
pub(crate) fn lines(file: &Path, findings: &[Finding]) -> String {
    let line = |finding: &Finding| format!("{}:{finding}", file.display());
    findings.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Reads a settings file's text, and the files that it names. `None` if there are mistakes
/// among what was found.
pub(crate) fn read(text: &str, around: &Surroundings, findings: &mut Findings<'_>) -> Option<Settings> {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        // Values are not quoted in these, only types and what was expected.
        findings.mistake(&error.span(), "", error.message(), "mend it, the rest is looked at after that");
    }
    if findings.has_mistakes() {
        return None;
    }
    let written: Written = section::read_root(table.get_ref(), findings);
    around.look(&written, findings);
    program::settle(written, around.now, findings)
}
