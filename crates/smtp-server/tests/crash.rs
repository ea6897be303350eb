//! The crash rig over whole SMTP sessions: what was answered 250 survives a power cut, and a
//! peer that lost the answer makes no second copy. The rig itself: `hikyaku_testkit::crash`.

use std::path::{Path, PathBuf};

use hikyaku_testkit::crash::load::Acknowledge::Done;
use hikyaku_testkit::crash::record::Fault::{Kill, NoFlush};
use hikyaku_testkit::crash::rig::{Generation, Report, Sampling, examine, record};

const SHORT: Generation = Generation { workers: 4, each: 3, noise: 0, acknowledge: Done, fault: None };
const BUSY: Generation = Generation { workers: 6, each: 14, ..SHORT };

/// What happens to one data folder: the server is started, is killed when a group commit has
/// been written and is not flushed, and its peers come again.
const LIFE: [Generation; 3] = [SHORT, Generation { each: 24, fault: Some(Kill("fsync", 30)), ..BUSY }, BUSY];

const SAMPLE: Sampling = Sampling { flushes: 15, torn: 1, enough: 20 };
const CONTROL: Sampling = Sampling { flushes: 20, torn: 0, enough: 5 };

/// Cargo builds examples with the tests, beside their folder.
fn load() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    let load = profile.join("examples/crash-load-smtp");
    assert!(load.exists(), "{} is missing: cargo build -p hikyaku-smtp-server --examples", load.display());
    load
}

#[expect(clippy::print_stdout, reason = "the figures of a run")]
fn run(program: &Path, seed: u64, generations: &[Generation], sampling: Sampling) -> Report {
    let (root, runs) = record(program, seed, generations);
    let report = examine(&root, &runs, seed, sampling);
    println!("seed {seed}: {report}");
    report
}

#[test]
fn every_250_survives_a_power_cut() {
    let seed = std::env::var("HIKYAKU_CRASH_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let report = run(&load(), seed, &LIFE, SAMPLE);
    let Report { violations, .. } = &report;
    assert!(violations.is_empty(), "HIKYAKU_CRASH_SEED={seed}, {report}:\n{}", violations.join("\n"));
    assert!(report.flushes > 100 && report.records > 50, "the load was too small: {report}");
}

/// `synchronous=OFF`, and no flush of objects either: the rig must see it through the sessions.
#[test]
fn control_flushes_that_do_nothing_are_found() {
    let fault = Some(NoFlush("fsync,fdatasync"));
    let report = run(&load(), 2, &[Generation { fault, ..SHORT }], CONTROL);
    let found = |words: &str| report.violations.iter().any(|violation| violation.contains(words));
    assert!(found("is acknowledged before"), "{report}: the trace did not show it");
    assert!(found("0 copies instead of 1 to 1"), "{report}: no disk showed it");
}
