//! Breached passwords, looked up in a file on this machine: no password and no part of its
//! hash leaves it.
//!
//! The file is what the downloader of Have I Been Pwned writes as one file, ordered by hash:
//! lines of 40 hexadecimal digits (SHA-1 of a password), a colon and a count. It is searched
//! by bisection, so 40 GB cost about thirty small reads; nothing of it is kept in memory.
//!
//! Invariants: a look-up ends after a bounded number of reads of a bounded size, whatever the
//! file holds; each lies within the size that the file had when it was opened.
//! Trust: the operator provides the file. A file that is not in order gives wrong answers to
//! both questions; opening it checks only its first and its last line.
//! Blocks on the disk: not for an async task.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use sha1::{Digest, Sha1};

use super::hash::hex;

/// Octets read at once: some 80 lines.
const WINDOW: u64 = 4096;

/// The longest line: digits, colon, a count of up to 20 digits, CR and LF.
const MAX_LINE: u64 = 64;

/// SHA-1.
const HASH_OCTETS: usize = 20;

/// A file of breached passwords.
pub struct BreachedPasswords {
    file: File,
    size: u64,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BreachedError {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
    /// It holds something else.
    #[error("the line at octet {0} is not 40 hexadecimal digits, `:` and a count")]
    Format(u64),
    /// Its last hash is lower than its first.
    #[error("the file is not ordered by hash")]
    Order,
}

impl BreachedError {
    /// What the operator can do.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Read(_) => "let the server's user read it",
            Self::Format(_) => "make it with the downloader of Have I Been Pwned, as one file",
            Self::Order => "sort it with LC_ALL=C sort",
        }
    }
}

type Hash = [u8; HASH_OCTETS];

impl BreachedPasswords {
    /// Opens a file and looks at its first and its last line.
    ///
    /// # Errors
    /// [`BreachedError`].
    pub fn open(path: &Path) -> Result<Self, BreachedError> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        let breached = Self { file, size };
        let first = breached.lines(0)?.next().transpose()?;
        let last = breached.lines(size.saturating_sub(2 * MAX_LINE))?.last().transpose()?;
        match (first, last) {
            (Some((_, first)), Some((_, last))) if first > last => Err(BreachedError::Order),
            (Some(_), Some(_)) => Ok(breached),
            _ => Err(BreachedError::Format(0)),
        }
    }

    /// Is the password in the file?
    ///
    /// # Errors
    /// [`BreachedError`]; ask again later.
    pub fn contains(&self, password: &[u8]) -> Result<bool, BreachedError> {
        self.contains_hash(&Sha1::digest(password).into())
    }

    fn contains_hash(&self, wanted: &Hash) -> Result<bool, BreachedError> {
        // If the hash has a line, that begins at or behind `low`, where one begins, and before
        // `high`.
        let (mut low, mut high) = (0, self.size);
        while high.saturating_sub(low) > WINDOW {
            let middle = low + (high - low) / 2;
            // A window holds whole lines behind its first line end, so there is one.
            let (start, hash) = self.lines(middle)?.next().ok_or(BreachedError::Format(middle))??;
            if start >= high || hash > *wanted {
                high = middle;
            } else if hash == *wanted {
                return Ok(true);
            } else {
                low = start;
            }
        }
        for line in self.window(low)? {
            if line?.1 == *wanted {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The lines that begin behind `from` (at it, if it is 0), as far as one window reaches.
    fn lines(&self, from: u64) -> Result<Lines, BreachedError> {
        let mut lines = self.window(from)?;
        if from > 0 {
            lines.skip_line()?;
        }
        Ok(lines)
    }

    /// The lines from `from` on, where one begins, as far as one window reaches.
    fn window(&self, from: u64) -> Result<Lines, BreachedError> {
        let length = self.size.saturating_sub(from).min(WINDOW + MAX_LINE);
        let mut octets = vec![0; usize::try_from(length).unwrap_or(0)];
        self.file.read_exact_at(&mut octets, from)?;
        let ends_the_file = from + length == self.size;
        Ok(Lines { octets, at: 0, from, ends_the_file })
    }
}

impl fmt::Debug for BreachedPasswords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreachedPasswords").field("size_bytes", &self.size).finish_non_exhaustive()
    }
}

/// The whole lines of a piece of the file: where each begins, and its hash.
struct Lines {
    octets: Vec<u8>,
    at: usize,
    from: u64,
    ends_the_file: bool,
}

impl Lines {
    fn skip_line(&mut self) -> Result<(), BreachedError> {
        self.line().map(|_| ()).ok_or(BreachedError::Format(self.from))
    }

    /// The next line without its end, and where it begins.
    fn line(&mut self) -> Option<(u64, &[u8])> {
        let start = self.at;
        let rest = self.octets.get(start..).filter(|rest| !rest.is_empty())?;
        let length = match rest.iter().position(|octet| *octet == b'\n') {
            Some(end) => end + 1,
            // The last line may lack its end.
            None if self.ends_the_file => rest.len(),
            None => return None,
        };
        self.at += length;
        Some((self.from + start as u64, &rest[..length]))
    }
}

impl Iterator for Lines {
    type Item = Result<(u64, Hash), BreachedError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (start, line) = self.line()?;
        Some(hash_of(line).map(|hash| (start, hash)).ok_or(BreachedError::Format(start)))
    }
}

fn hash_of(line: &[u8]) -> Option<Hash> {
    let (digits, count) = line.split_at_checked(2 * HASH_OCTETS)?;
    let text = str::from_utf8(digits).ok()?;
    count.starts_with(b":").then(|| hex(text)?.try_into().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hikyaku_testkit::Rng;
    use std::io::Write;

    fn file(text: &str) -> Result<BreachedPasswords, BreachedError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        BreachedPasswords::open(file.path())
    }

    fn lines(passwords: &[String], end: &str) -> String {
        let mut hashes: Vec<String> = passwords
            .iter()
            .enumerate()
            .map(|(count, password)| {
                let hash: String =
                    Sha1::digest(password).iter().map(|octet| format!("{octet:02X}")).collect();
                format!("{hash}:{}", count * count * 7 + 1)
            })
            .collect();
        hashes.sort();
        hashes.join(end)
    }

    #[test]
    fn finds_every_password_and_no_other() {
        let mut rng = Rng::new(1);
        for count in [1, 2, 3, 80, 90, 100, 1200] {
            let passwords: Vec<String> = (0..count).map(|_| format!("{:x}", rng.next_u64())).collect();
            for (separator, last) in [("\r\n", "\r\n"), ("\n", "")] {
                let breached = file(&(lines(&passwords, separator) + last)).unwrap();
                for password in &passwords {
                    assert!(breached.contains(password.as_bytes()).unwrap(), "{password} of {count}");
                    assert!(!breached.contains(format!("{password}x").as_bytes()).unwrap());
                }
                for edge in [[0; 20], [255; 20]] {
                    assert!(!breached.contains_hash(&edge).unwrap());
                }
            }
        }
    }

    #[test]
    fn the_hash_is_the_one_that_the_file_has() {
        let line = "5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8:10434004\r\n";
        assert!(file(line).unwrap().contains(b"password").unwrap());
        assert!(file(&line.to_lowercase()).unwrap().contains(b"password").unwrap());
    }

    #[test]
    fn other_files_are_refused() {
        for text in [
            "",
            "\n",
            "password\n",
            "5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8\n",
            "5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD:10\n",
            "5BAA61E4C9B93F3F0682250B6CF8331B7EE68FDé:10\n",
        ] {
            assert!(matches!(file(text), Err(BreachedError::Format(0))), "{text:?}");
        }
        let backwards = format!("{}:1\n{}:1\n", "F".repeat(40), "0".repeat(40));
        assert!(matches!(file(&backwards), Err(BreachedError::Order)));
        let missing = BreachedPasswords::open(Path::new("/nonexistent/file"));
        assert!(matches!(missing, Err(BreachedError::Read(_))));
    }

    #[test]
    fn rubbish_in_the_middle_is_an_error_and_ends() {
        let good = lines(&(0..1000).map(|n| n.to_string()).collect::<Vec<_>>(), "\n");
        let middle = good.len() / 2;
        let rubbish = format!("{}{}{}", &good[..middle], "x".repeat(20_000), &good[middle..]);
        let breached = file(&rubbish).unwrap();
        let errors = (0..50).filter(|n: &u32| breached.contains(n.to_string().as_bytes()).is_err()).count();
        assert_eq!(errors, 50, "the bisection begins in the rubbish");
    }
}
