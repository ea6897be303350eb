//! Databases of places, from files that the operator names.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use hikyaku_access::place::{Places, PlacesError};

/// Files that are asked together, the first that knows a thing says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlaceFiles(pub(crate) Vec<PathBuf>);

/// What tells one version of the files from another without reading them: they are large. Times
/// are those of the last change of content or rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version(Vec<(u64, u64, u64, i64, i64)>);

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceFileError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    Damaged { path: PathBuf, source: PlacesError },
}

impl PlaceFileError {
    pub(crate) const fn remedy(&self) -> &'static str {
        match self {
            Self::Read { .. } => "write the path of a file that the server's user can read, or remove it",
            Self::Damaged { .. } => "fetch it again from whoever publishes it, or remove it",
        }
    }
}

impl PlaceFiles {
    /// Reads all of them.
    pub(crate) fn read(&self) -> Result<Places, PlaceFileError> {
        let mut places = Places::none();
        for path in &self.0 {
            let content = fs::read(path).map_err(|source| unreadable(path, source))?;
            let damaged = |source| PlaceFileError::Damaged { path: path.clone(), source };
            places.add(content).map_err(damaged)?;
        }
        Ok(places)
    }

    /// Which version of them is there.
    pub(crate) fn version(&self) -> Result<Version, PlaceFileError> {
        let of = |path: &PathBuf| {
            let found = fs::metadata(path).map_err(|source| unreadable(path, source))?;
            Ok((found.dev(), found.ino(), found.size(), found.ctime(), found.ctime_nsec()))
        };
        self.0.iter().map(of).collect::<Result<_, _>>().map(Version)
    }
}

fn unreadable(path: &Path, source: io::Error) -> PlaceFileError {
    PlaceFileError::Read { path: path.to_owned(), source }
}
