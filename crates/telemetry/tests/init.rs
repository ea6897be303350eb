//! Logging of a whole process, as the binary sets it up.

use std::process::Command;

use hikyaku_telemetry::log::{Format, InitError, init};

const CHILD: &str = "HIKYAKU_TELEMETRY_CHILD";

/// What a process of its own writes to standard error: `init` is once per process.
fn stderr_of(test: &str) -> Vec<String> {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    String::from_utf8(child.stderr).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn the_filter_chooses_lines_and_panics_are_lines_too() {
    if std::env::var_os(CHILD).is_some() {
        init(Format::Json, "warn").unwrap();
        assert!(matches!(init(Format::Text, "info"), Err(InitError::Twice(_))));
        tracing::info!("too fine");
        tracing::warn!("seen");
        let secret = "hunter2";
        let _ = std::thread::spawn(move || panic!("cannot parse {secret}")).join();
        let _ = std::thread::spawn(|| panic!("the table is empty")).join();
        return;
    }
    let lines = stderr_of("the_filter_chooses_lines_and_panics_are_lines_too");
    let ours: Vec<_> = lines.iter().filter(|line| line.starts_with('{')).collect();
    let expected = ["seen", "(its message has values in it)", "the table is empty"];
    assert_eq!(ours.len(), expected.len(), "{lines:#?}");
    for (line, words) in ours.iter().zip(expected) {
        assert!(line.contains(words), "no `{words}` in {line}");
    }
    assert!(!lines.iter().any(|line| line.contains("hunter2")), "{lines:#?}");
}
