//! Folders for the files of one test.

use std::path::PathBuf;

use tempfile::TempDir;

/// Where scratch folders are made: `HIKYAKU_TEST_SCRATCH`, else the system's folder for
/// temporary files. Set it to try a test on another disk or file system.
fn base() -> PathBuf {
    std::env::var_os("HIKYAKU_TEST_SCRATCH").map_or_else(std::env::temp_dir, PathBuf::from)
}

/// A new empty folder, removed with all that is in it when the value is dropped.
pub fn scratch_dir() -> TempDir {
    let base = base();
    TempDir::with_prefix_in("hikyaku-test-", &base)
        .unwrap_or_else(|error| panic!("cannot make a scratch folder in {}: {error}", base.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scratch_folder_goes_with_its_value() {
        let scratch = scratch_dir();
        let path = scratch.path().to_owned();
        std::fs::write(path.join("file"), "content").unwrap();
        drop(scratch);
        assert!(!path.exists());
    }
}
