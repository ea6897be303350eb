//! The platform's key ring, and the secrets that it wraps.
//!
//! Secrets (what the hashes of app passwords and contents are keyed with) lie in the table
//! `secret` of the control database. Each is sealed with a key that is not in any database:
//! a file of its own, so that a stolen backup of the databases opens nothing.
//!
//! The file has a line for each key: its id, eight hexadecimal digits, and its 32 octets,
//! sixty-four. The last one seals. To take another key into use, a line is appended and the
//! server started again: it seals everything anew.
//!
//! A sealed secret: version (1), key id (4 octets, the highest first), nonce (12), then
//! AES-256-GCM's ciphertext and tag (NIST SP 800-38D, RFC 5116) over the secret, with its name
//! as associated data, so that one cannot be put in another's place.
//!
//! Invariants:
//! - a ring is made only while no secret is sealed: a lost one is never replaced quietly;
//! - the process does not start with a ring that lacks the key of a secret;
//! - keys and secrets do not print.
//!
//! Nonces are drawn by lot: with 96 bits and a seal for each secret and start no two meet.
//! Known weakness: a secret that an older version kept in clear may still be read from pages
//! that SQLite has freed, and from old backups. Keys lie in the process's memory.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use hikyaku_types::{Actor, Random, Service};

use crate::scope::{ControlScope, Scope};
use crate::{ControlTx, Sql, Store, StoreError};

const VERSION: u8 = 1;
/// Octets before the nonce: version and key id.
const HEAD: usize = 5;
/// Octets of a secret and of a key.
const SECRET: usize = 32;

const ALL: Sql = Sql::new("SELECT name, value FROM secret ORDER BY name LIMIT 1000");
const SEAL: Sql = Sql::new("UPDATE secret SET value = $3 WHERE name = $1 AND value = $2");
const MAKE: Sql = Sql::new("INSERT INTO secret (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING");
const GET: Sql = Sql::new("SELECT value FROM secret WHERE name = $1");

/// The number of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyId(u32);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// Why the ring cannot be used. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum KeyRingError {
    /// The file cannot be read or made.
    #[error("the key ring {path} cannot be {what}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// `read`, `made`.
        what: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Others can read it.
    #[error("others can read the key ring {path}: run `chmod 600 {path}`")]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// A line is no key.
    #[error(
        "line {line} of the key ring {path} is not 8 and 64 hexadecimal digits: put the file back from its copy"
    )]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// There is no ring, or not this key in it.
    #[error(
        "the key ring {path} lacks the key {key}, which the secret `{secret}` in the database is sealed with: \
         put the file back from its copy, or take it from another node"
    )]
    Lacks {
        /// The file.
        path: PathBuf,
        /// The key.
        key: KeyId,
        /// The secret's name.
        secret: String,
    },
    /// The key is there and does not open it.
    #[error("the secret `{secret}` in the database is damaged, or its key: go back to a backup of both")]
    Damaged {
        /// The secret's name.
        secret: String,
    },
    /// The control database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Keys by their ids; at least one.
#[derive(Debug)]
pub(crate) struct KeyRing {
    path: PathBuf,
    keys: Vec<(KeyId, LessSafeKey)>,
}

impl KeyRing {
    /// `None` if there is no such file.
    fn load(path: &Path) -> Result<Option<Self>, KeyRingError> {
        let failed = |source| KeyRingError::File { path: path.into(), what: "read", source };
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(failed)?,
        };
        // A group may read it: where the file is root's.
        if fs::metadata(path).map_err(failed)?.permissions().mode() & 0o027 != 0 {
            return Err(KeyRingError::Exposed { path: path.into() });
        }
        let mut keys = Vec::new();
        for (number, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = || KeyRingError::Line { path: path.into(), line: number + 1 };
            keys.push(parse(line).ok_or_else(wrong)?);
        }
        if keys.is_empty() {
            return Err(KeyRingError::Line { path: path.into(), line: 1 });
        }
        Ok(Some(Self { path: path.into(), keys }))
    }

    /// A new one with one key, durable when this returns.
    fn make(path: &Path, random: &dyn Random) -> Result<Self, KeyRingError> {
        let (mut id, mut key) = ([0; 4], [0; SECRET]);
        random.fill(&mut id);
        random.fill(&mut key);
        let line = format!("{:08x} {}", u32::from_be_bytes(id), hex(&key));
        let text =
            format!("# Keys of Hikyaku's secrets. Without them it does not start: keep a copy.\n{line}\n");
        write_durable(path, text.as_bytes()).map_err(|source| KeyRingError::File {
            path: path.into(),
            what: "made",
            source,
        })?;
        let wrong = || KeyRingError::Line { path: path.into(), line: 2 };
        Ok(Self { path: path.into(), keys: vec![parse(&line).ok_or_else(wrong)?] })
    }

    /// The key that seals.
    fn newest(&self) -> Option<&(KeyId, LessSafeKey)> {
        self.keys.last()
    }

    fn seal(&self, name: &str, secret: &[u8; SECRET], random: &dyn Random) -> Result<Vec<u8>, KeyRingError> {
        let damaged = || KeyRingError::Damaged { secret: name.to_owned() };
        let (id, key) = self.newest().ok_or_else(damaged)?;
        let mut nonce = [0; NONCE_LEN];
        random.fill(&mut nonce);
        let mut sealed = secret.to_vec();
        let unique = Nonce::assume_unique_for_key(nonce);
        key.seal_in_place_append_tag(unique, associated(name), &mut sealed).map_err(|_| damaged())?;
        Ok([&[VERSION], &id.0.to_be_bytes()[..], &nonce, &sealed].concat())
    }

    fn open(&self, name: &str, sealed: &[u8]) -> Result<[u8; SECRET], KeyRingError> {
        let damaged = || KeyRingError::Damaged { secret: name.to_owned() };
        let id = key_of(sealed).ok_or_else(damaged)?;
        let lacks = || KeyRingError::Lacks { path: self.path.clone(), key: id, secret: name.to_owned() };
        let (_, key) = self.keys.iter().find(|(known, _)| *known == id).ok_or_else(lacks)?;
        let (nonce, text) = sealed.get(HEAD..).and_then(<[u8]>::split_first_chunk).ok_or_else(damaged)?;
        let mut text = text.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = key.open_in_place(nonce, associated(name), &mut text).map_err(|_| damaged())?;
        <[u8; SECRET]>::try_from(&*opened).map_err(|_| damaged())
    }
}

fn associated(name: &str) -> Aad<Vec<u8>> {
    Aad::from(format!("hikyaku secret {name}").into_bytes())
}

/// Which key it is sealed with; `None` if it is in clear, or nothing that we know.
fn key_of(value: &[u8]) -> Option<KeyId> {
    match value {
        [VERSION, a, b, c, d, rest @ ..] if rest.len() > NONCE_LEN + SECRET => {
            Some(KeyId(u32::from_be_bytes([*a, *b, *c, *d])))
        }
        _ => None,
    }
}

fn parse(line: &str) -> Option<(KeyId, LessSafeKey)> {
    let (id, key) = line.split_once(' ')?;
    let id = u32::from_be_bytes(unhex(id)?);
    let key: [u8; SECRET] = unhex(key)?;
    Some((KeyId(id), LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).ok()?)))
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut octets = [0; N];
    for (octet, pair) in octets.iter_mut().zip(digits.chunks(2)) {
        *octet = u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(octets)
}

/// Writes a new file that only its owner can read, whole or not at all.
fn write_durable(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn control() -> Result<ControlScope, StoreError> {
    Scope::control(&Actor::Service(Service::Maintenance)).map_err(|_| StoreError::Closed)
}

fn all(tx: &mut ControlTx<'_>) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
    tx.rows(ALL, &[], |row| Ok((row.get(0)?, row.get(1)?)))
}

impl Store {
    /// Opens the key ring in this file, and makes it if nothing is sealed yet. Secrets in clear,
    /// as older versions kept them, and those sealed with another key than the newest are
    /// sealed anew. To be called once, before any secret is asked for.
    ///
    /// # Errors
    /// [`KeyRingError`]: the process must not go on.
    pub async fn open_key_ring(&self, path: &Path, random: &dyn Random) -> Result<(), KeyRingError> {
        let stored = self.read(control()?, "store.secrets", all).await?;
        let ring = match KeyRing::load(path)? {
            Some(ring) => ring,
            None => {
                let sealed = stored.iter().find_map(|(name, value)| Some((name, key_of(value)?)));
                if let Some((secret, key)) = sealed {
                    return Err(KeyRingError::Lacks { path: path.into(), key, secret: secret.clone() });
                }
                KeyRing::make(path, random)?
            }
        };
        let newest = ring.newest().map(|(id, _)| *id);
        let mut anew = Vec::new();
        for (name, value) in stored.into_iter().filter(|(_, value)| key_of(value) != newest) {
            let secret = match <[u8; SECRET]>::try_from(&*value) {
                Ok(clear) => clear,
                Err(_) => ring.open(&name, &value)?,
            };
            let sealed = ring.seal(&name, &secret, random)?;
            anew.push((name, value, sealed));
        }
        if !anew.is_empty() {
            let seal = move |tx: &mut ControlTx<'_>| {
                for (name, before, sealed) in &anew {
                    tx.execute(SEAL, &[name.into(), before.into(), sealed.into()])?;
                }
                Ok::<_, StoreError>(())
            };
            self.write(control()?, "store.seal", seal).await?;
        }
        // Another node may have sealed them meanwhile, with a ring of its own.
        for (name, value) in self.read(control()?, "store.secrets", all).await? {
            ring.open(&name, &value)?;
        }
        self.keep_ring(ring);
        Ok(())
    }
}

/// A secret of the platform by its name, made if it is not there yet.
///
/// # Errors
/// [`StoreError`]; [`StoreError::Failed`] if the key ring is not open.
pub async fn platform_secret(
    store: &Store,
    name: &'static str,
    random: &dyn Random,
) -> Result<[u8; SECRET], StoreError> {
    let failed = |cause: String| StoreError::Failed { label: "store.secret", cause };
    let ring = store.ring().ok_or_else(|| failed("the key ring is not open".into()))?;
    let mut fresh = [0; SECRET];
    random.fill(&mut fresh);
    let sealed = ring.seal(name, &fresh, random).map_err(|error| failed(error.to_string()))?;
    let kept = store.write(control()?, "store.secret", move |tx| {
        tx.execute(MAKE, &[name.into(), (&sealed).into()])?;
        tx.row(GET, &[name.into()], |row| row.get::<Vec<u8>>(0))
    });
    let kept: Option<Vec<u8>> = kept.await?;
    let kept = kept.ok_or_else(|| failed("it was not kept".into()))?;
    ring.open(name, &kept).map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use hikyaku_testkit::{SeededRandom, scratch_dir};

    use super::*;

    const CLEAR: [u8; SECRET] = [7; SECRET];

    #[test]
    fn what_is_sealed_opens_with_its_key_and_name_only() {
        let folder = scratch_dir();
        let random = SeededRandom::new(1);
        let ring = KeyRing::make(&folder.path().join("ring"), &random).unwrap();
        let other = KeyRing::make(&folder.path().join("other"), &random).unwrap();
        let sealed = ring.seal("some", &CLEAR, &random).unwrap();
        assert_eq!(sealed.len(), HEAD + NONCE_LEN + SECRET + 16);
        assert!(!sealed.windows(4).any(|four| four == [7; 4]));
        assert_ne!(sealed, ring.seal("some", &CLEAR, &random).unwrap(), "another nonce");
        assert_eq!(ring.open("some", &sealed).unwrap(), CLEAR);
        assert!(matches!(ring.open("another", &sealed), Err(KeyRingError::Damaged { .. })));
        assert!(matches!(other.open("some", &sealed), Err(KeyRingError::Lacks { .. })));
        for at in [0, HEAD, HEAD + NONCE_LEN, sealed.len() - 1] {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert!(matches!(ring.open("some", &damaged), Err(KeyRingError::Damaged { .. })), "{at}");
        }
        for length in 0..sealed.len() {
            assert!(ring.open("some", &sealed[..length]).is_err(), "{length}");
        }
        assert!(!format!("{ring:?}").contains(&fs::read_to_string(&ring.path).unwrap()[80..100]));
    }

    #[test]
    fn a_file_is_read_as_it_was_made() {
        let folder = scratch_dir();
        let path = folder.path().join("ring");
        assert!(KeyRing::load(&path).unwrap().is_none());
        let random = SeededRandom::new(2);
        let made = KeyRing::make(&path, &random).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let sealed = made.seal("some", &CLEAR, &random).unwrap();
        assert_eq!(KeyRing::load(&path).unwrap().unwrap().open("some", &sealed).unwrap(), CLEAR);
        for (mode, is_good) in [(0o600, true), (0o640, true), (0o644, false), (0o660, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(KeyRing::load(&path).is_ok(), is_good, "{mode:o}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        for (text, line) in [
            ("", 1),
            ("# only words\n", 1),
            ("0000000a\n", 1),
            (&format!("0000000a {}\n0000000b 00", "0".repeat(64)), 2),
            (&format!("0000000a {}\n", "0".repeat(63) + "g"), 1),
            (&format!("+000000a {}\n", "0".repeat(64)), 1),
        ] {
            fs::write(&path, text).unwrap();
            let error = KeyRing::load(&path).unwrap_err();
            assert!(matches!(error, KeyRingError::Line { line: at, .. } if at == line), "{text}: {error}");
        }
    }
}
