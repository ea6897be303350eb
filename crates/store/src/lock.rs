//! One process per data folder: the server, or the command line when no server runs.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::folder::make_durable;

/// The lock on a data folder, held until it is dropped (or the process ends, however).
#[derive(Debug)]
pub struct DataLock {
    _file: File,
}

/// Why a data folder cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{path} is in use by process {holder}: stop it, or talk to it")]
    Held {
        /// The folder.
        path: PathBuf,
        /// Its process id, or `unknown`.
        holder: String,
    },
    /// The folder or its lock file cannot be opened.
    #[error("cannot lock {path}")]
    Open {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl DataLock {
    /// Makes the folder if it is not there (0700: mail is private) and takes its lock.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn take(folder: &Path) -> Result<Self, LockError> {
        let path = folder.join("lock");
        let opened = make_durable(folder).and_then(|()| {
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)
        });
        let mut file = opened.map_err(|source| LockError::Open { path: path.clone(), source })?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let holder =
                    if holder.trim().is_empty() { "unknown".into() } else { holder.trim().to_owned() };
                return Err(LockError::Held { path: folder.into(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(LockError::Open { path, source }),
        }
        // The number is for people; the lock is the file's, not the number's.
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(|source| LockError::Open { path, source })?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_has_it() {
        let folder = std::env::temp_dir().join(format!("hikyaku-lock-{}", std::process::id()));
        let held = DataLock::take(&folder).unwrap();
        let error = DataLock::take(&folder).unwrap_err().to_string();
        assert!(error.contains(&format!("in use by process {}", std::process::id())), "{error}");
        drop(held);
        drop(DataLock::take(&folder).unwrap());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
