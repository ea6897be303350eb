//! Folders that outlive a power cut.
//!
//! A new folder is an entry in the one above it, and only a flush of that one makes the entry
//! durable. A folder that is there already may have been made by a process that died before
//! it could flush, so all that lies above is flushed once by each process that relies on it.

use std::collections::HashSet;
use std::fs::{DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Makes a folder, and what is missing above it, for its owner alone (0700: mail is private),
/// and flushes the entries of all of them.
pub(crate) fn make_durable(folder: &Path) -> io::Result<()> {
    make(folder)?;
    let folder = folder.canonicalize()?;
    for (distance, above) in folder.ancestors().skip(1).enumerate() {
        match flush(above) {
            // Far above, a folder that we may not even read is not one that we made.
            Err(error) if distance > 0 && error.kind() == ErrorKind::PermissionDenied => {}
            flushed => flushed?,
        }
    }
    Ok(())
}

fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn flush(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Folders of two levels, a day and a part of it, below one that is durable itself.
#[derive(Debug, Clone)]
pub(crate) struct DayFolders {
    root: PathBuf,
    /// The newest day, and those of its parts that this process has flushed.
    durable: Arc<Mutex<(String, HashSet<String>)>>,
}

impl DayFolders {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), durable: Arc::default() }
    }

    /// Makes `day/part` if it is not there; it is durable when this returns. Most calls find
    /// that it is, and do not touch the disk.
    pub(crate) fn make_durable(&self, day: &str, part: &str) -> io::Result<()> {
        let known = |durable: &(String, HashSet<String>)| durable.0 == day && durable.1.contains(part);
        if known(&self.durable.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(());
        }
        let of_day = self.root.join(day);
        make(&of_day.join(part))?;
        flush(&of_day)?;
        flush(&self.root)?;
        // Noted when it is done: whoever comes meanwhile flushes too, and does not go ahead.
        let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        if durable.0 != day {
            *durable = (day.to_owned(), HashSet::new());
        }
        durable.1.insert(part.to_owned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_made_with_all_above_them() {
        let scratch = hikyaku_testkit::scratch_dir();
        let deep = scratch.path().join("a/b/c");
        make_durable(&deep).unwrap();
        make_durable(&deep).unwrap();
        assert!(deep.is_dir());
        std::fs::write(scratch.path().join("file"), "").unwrap();
        assert!(make_durable(&scratch.path().join("file/d")).is_err());
    }

    #[test]
    fn a_day_is_made_once() {
        let scratch = hikyaku_testkit::scratch_dir();
        let folders = DayFolders::new(scratch.path());
        for (day, part) in [("20261124", "ab"), ("20261124", "cd"), ("20261125", "ab"), ("20261125", "ab")] {
            folders.make_durable(day, part).unwrap();
            assert!(scratch.path().join(day).join(part).is_dir());
        }
        let durable = folders.durable.lock().unwrap();
        assert_eq!(
            (durable.0.as_str(), durable.1.len()),
            ("20261125", 1),
            "only the newest day is kept in mind"
        );
    }
}
