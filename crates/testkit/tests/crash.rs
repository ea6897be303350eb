//! The crash rig on the real store: whatever a power cut leaves keeps every promise, and three
//! mistakes that break one are found. What this shows and what it cannot: `docs/durability.md`.

use std::path::Path;

use hikyaku_testkit::crash::load::Acknowledge::{Done, Early};
use hikyaku_testkit::crash::record::Fault::{Kill, NoFlush};
use hikyaku_testkit::crash::rig::{Generation, Report, Sampling, examine, record};

/// A process that does little and ends in order.
const SHORT: Generation = Generation { workers: 4, each: 3, noise: 0, acknowledge: Done, fault: None };
/// A process at work.
const BUSY: Generation = Generation { workers: 6, each: 14, ..SHORT };

/// What happens to one data folder.
const LIFE: [Generation; 4] = [
    // Made anew, and closed in order.
    SHORT,
    // Killed when the first folder of a day has been made, and nothing of it is flushed.
    Generation { fault: Some(Kill("mkdir", 3)), ..BUSY },
    // Killed when a group commit has been written, and is not flushed: of all threads only the
    // writer flushes so often.
    Generation { each: 24, fault: Some(Kill("fsync", 30)), ..BUSY },
    // Recovers that. Peers who had no answer send again.
    BUSY,
];

/// Some disks of each of its moments are enough for every day.
const SAMPLE: Sampling = Sampling { flushes: 30, torn: 1, enough: 20 };
/// A mistake is expected to be found soon.
const CONTROL: Sampling = Sampling { flushes: 20, torn: 0, enough: 5 };

/// `HIKYAKU_CRASH_SEED` repeats a run: its load and its disks, though not how threads interleave.
fn seed(default: u64) -> u64 {
    std::env::var("HIKYAKU_CRASH_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(default)
}

#[expect(clippy::print_stdout, reason = "the figures of a run, and the seed that repeats it")]
fn run(seed: u64, generations: &[Generation], sampling: Sampling) -> Report {
    let (root, runs) = record(Path::new(env!("CARGO_BIN_EXE_crash-load")), seed, generations);
    let report = examine(&root, &runs, seed, sampling);
    println!("seed {seed}: {report}");
    report
}

fn assert_sound(seed: u64, report: &Report) {
    let Report { violations, .. } = report;
    assert!(violations.is_empty(), "HIKYAKU_CRASH_SEED={seed}, {report}:\n{}", violations.join("\n"));
    assert!(report.flushes > 100 && report.objects > 5, "the load was too small: {report}");
}

/// The trace alone shows the mistake, and so do the disks.
fn assert_found(report: &Report) {
    let Report { violations, .. } = report;
    let found = |words: &str| violations.iter().any(|violation| violation.contains(words));
    assert!(found("is acknowledged before"), "{report}: the trace did not show it");
    assert!(found("0 copies instead of 1 to 1"), "{report}: no disk showed it");
}

#[test]
fn every_acknowledgement_survives_a_power_cut() {
    let seed = seed(1);
    assert_sound(seed, &run(seed, &LIFE, SAMPLE));
}

/// `synchronous=OFF`, and no flush of objects either: flushes are calls that do nothing.
#[test]
fn control_flushes_that_do_nothing_are_found() {
    let fault = Some(NoFlush("fsync,fdatasync"));
    assert_found(&run(seed(2), &[Generation { fault, ..SHORT }], CONTROL));
}

#[test]
fn control_an_acknowledgement_before_commit_is_found() {
    assert_found(&run(seed(3), &[Generation { acknowledge: Early, ..BUSY }], CONTROL));
}

/// Every flush of more lives.
#[test]
#[ignore = "takes half an hour: cargo test -p hikyaku-testkit --test crash soak -- --ignored --nocapture"]
fn soak_every_flush_of_many_lives() {
    let all = Sampling { flushes: 100, torn: 3, enough: 20 };
    let first = seed(100);
    for seed in first..first + 6 {
        // Another moment of death for each seed.
        let fault = Some(Kill("fsync", 30 + seed as u32 % 10));
        let killed_later = Generation { each: 24, fault, ..BUSY };
        let [new, killed_at_folder, _, recovers] = LIFE;
        assert_sound(seed, &run(seed, &[new, killed_at_folder, killed_later, recovers], all));
    }
}

/// A log of more than 16 MB is copied back to the database while work goes on.
#[test]
#[ignore = "takes some minutes: see the other soak"]
fn soak_a_log_that_is_copied_back_at_work() {
    let seed = seed(200);
    let long = Generation { workers: 8, each: 110, noise: 100, ..BUSY };
    let some = Sampling { flushes: 10, torn: 1, enough: 20 };
    let report = run(seed, &[SHORT, long, SHORT], some);
    assert_sound(seed, &report);
    assert!(report.copied_back > 0, "the log stayed too short: {report}");
}
