//! Maildir++: a Maildir whose subfolders are folders beside `cur` and `new`, with names that
//! begin with a dot and have their levels parted by dots: `.Projects.2026`.
//!
//! Names of folders are modified UTF-7 (Courier, Dovecot) or UTF-8. A message is known by its
//! file's name without what stands behind `:2,`, so one whose flags change, or that moves from
//! `new` to `cur` meanwhile, stays the same.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use hikyaku_imap_proto::utf7;
use hikyaku_mailstore::ImportKey;
use hikyaku_types::Timestamp;

use super::{Body, Candidate, Import, Stop, composed};
use crate::admin::refusal::Refusal;

/// The letters behind `:2,` that every program knows.
const FLAGS: [(u8, &str); 6] = [
    (b'D', "\\Draft"),
    (b'F', "\\Flagged"),
    (b'P', "$Forwarded"),
    (b'R', "\\Answered"),
    (b'S', "\\Seen"),
    (b'T', "\\Deleted"),
];

/// Reads a Maildir into this mailbox, and its subfolders below it; those of INBOX beside it.
pub(super) fn read(folder: &Path, mailbox: &[String], import: &mut Import) -> Result<(), Stop> {
    if !is_maildir(folder) {
        let told = format!("{} is no Maildir: it has no folder `cur`", folder.display());
        return Err(Refusal::usage(told).into());
    }
    read_folder(folder, mailbox, import)?;
    let above: &[String] = if mailbox == ["INBOX"] { &[] } else { mailbox };
    for (name, path) in listed(folder)? {
        let Some(name) = name.strip_prefix(b".") else { continue };
        if !is_maildir(&path) {
            continue;
        }
        match levels(name) {
            Some(levels) => read_folder(&path, &[above, &levels].concat(), import)?,
            None => import.leave_out(path.display().to_string(), "its name is that of no mailbox"),
        }
    }
    Ok(())
}

fn is_maildir(folder: &Path) -> bool {
    folder.join("cur").is_dir()
}

/// The levels of a subfolder's name.
fn levels(name: &[u8]) -> Option<Vec<String>> {
    let decoded: Result<Vec<String>, _> =
        name.split(|byte| *byte == b'.').map(utf7::decode_or_raw_utf8).collect();
    // What is no modified UTF-7 may be plain text with an `&` in it.
    let levels: Vec<String> = match decoded {
        Ok(levels) => levels.into_iter().map(|level| composed(&level)).collect(),
        Err(_) => std::str::from_utf8(name).ok()?.split('.').map(composed).collect(),
    };
    let fine =
        |level: &String| !level.is_empty() && !level.contains('/') && !level.chars().any(char::is_control);
    levels.iter().all(fine).then_some(levels)
}

fn read_folder(folder: &Path, mailbox: &[String], import: &mut Import) -> Result<(), Stop> {
    import.turn_to(mailbox)?;
    let keywords = keywords(folder);
    let mut found = BTreeMap::new();
    // A message that moves meanwhile goes from `new` to `cur`: so it is not missed.
    for part in ["new", "cur"] {
        if folder.join(part).is_dir() {
            let files = listed(&folder.join(part))?.into_iter().filter(|(name, _)| !name.starts_with(b"."));
            found.extend(files.map(|(name, path)| (unique(&name).to_vec(), (name, path))));
        }
    }
    for (unique, (name, path)) in found {
        import.offer(Candidate {
            name: path.display().to_string(),
            key: ImportKey::new(&[b"maildir", mailbox.join("/").as_bytes(), &unique]),
            received_at: modified(&path),
            flags: flags(&name, &keywords),
            body: Body::File(path),
        })?;
    }
    Ok(())
}

/// What is in a folder, by name.
fn listed(folder: &Path) -> Result<BTreeMap<Vec<u8>, PathBuf>, Stop> {
    let told = |error| Stop::from(Refusal::place(format!("{}: {error}", folder.display())));
    let mut listed = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(told)? {
        let entry = entry.map_err(told)?;
        listed.insert(entry.file_name().as_bytes().to_vec(), entry.path());
    }
    Ok(listed)
}

/// A file's name without its flags.
fn unique(name: &[u8]) -> &[u8] {
    let end = name.windows(3).rposition(|part| part == b":2,");
    end.and_then(|end| name.get(..end)).unwrap_or(name)
}

/// When it came: Maildir keeps it as the file's time.
fn modified(path: &Path) -> Timestamp {
    let time =
        fs::metadata(path).and_then(|metadata| metadata.modified()).unwrap_or_else(|_| SystemTime::now());
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Dovecot's names for the small letters: a line `0 $Label` names `a`.
fn keywords(folder: &Path) -> BTreeMap<u8, String> {
    let text = fs::read_to_string(folder.join("dovecot-keywords")).unwrap_or_default();
    let pairs = text.lines().filter_map(|line| {
        let (number, name) = line.split_once(' ')?;
        let letter = number.parse::<u8>().ok().filter(|number| *number < 26)?;
        Some((b'a' + letter, name.to_owned()))
    });
    pairs.collect()
}

fn flags(name: &[u8], keywords: &BTreeMap<u8, String>) -> Vec<String> {
    let letters =
        name.get(unique(name).len()..).and_then(|info| info.strip_prefix(b":2,")).unwrap_or_default();
    let known =
        FLAGS.iter().filter(|(letter, _)| letters.contains(letter)).map(|(_, flag)| (*flag).to_owned());
    let own = keywords.iter().filter(|(letter, _)| letters.contains(letter)).map(|(_, name)| name.clone());
    known.chain(own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_folders() {
        for (name, expected) in [
            (&b"Sent"[..], Some(&["Sent"][..])),
            (b"Projects.2026", Some(&["Projects", "2026"])),
            (b"&ZeVnLIqe-.&U,BTFw-", Some(&["日本語", "台北"])),
            ("日本語.見積".as_bytes(), Some(&["日本語", "見積"])),
            // Decomposed, as a Mac writes it.
            ("か\u{3099}".as_bytes(), Some(&["が"])),
            (b"R&-D", Some(&["R&D"])),
            (b"R&D", Some(&["R&D"])),
            (b"a..b", None),
            (b"", None),
            (b"\xff", None),
            (b"a/b", None),
        ] {
            let expected = expected.map(|levels| levels.iter().map(ToString::to_string).collect());
            assert_eq!(levels(name), expected, "{name:?}");
        }
    }

    #[test]
    fn names_of_files() {
        let keywords = BTreeMap::from([(b'a', "$Label1".to_owned()), (b'c', "work".to_owned())]);
        for (name, expected_unique, expected) in [
            (&b"1.M2P3.host"[..], &b"1.M2P3.host"[..], &[][..]),
            (b"1.M2P3.host,S=12:2,", b"1.M2P3.host,S=12", &[]),
            (b"1.host:2,FRSa", b"1.host", &["\\Flagged", "\\Answered", "\\Seen", "$Label1"]),
            (b"1.host:2,DPTbc", b"1.host", &["\\Draft", "$Forwarded", "\\Deleted", "work"]),
            (b"1.host:1,x", b"1.host:1,x", &[]),
        ] {
            assert_eq!(unique(name), expected_unique);
            assert_eq!(flags(name, &keywords), expected);
        }
    }

    #[test]
    fn dovecot_names_keywords_by_number() {
        let folder = hikyaku_testkit::scratch_dir();
        fs::write(folder.path().join("dovecot-keywords"), "0 $Label1\n2 work\n99 far\nnonsense\n").unwrap();
        let expected = BTreeMap::from([(b'a', "$Label1".to_owned()), (b'c', "work".to_owned())]);
        assert_eq!(keywords(folder.path()), expected);
    }
}
