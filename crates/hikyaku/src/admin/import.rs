//! `hikyaku admin import-mail`: a Maildir or an mbox file of another system into an account.
//!
//! The command reads the files, with the rights of who calls it, and puts their messages some
//! at a time; what takes them is the running server, or this process when none runs. A
//! message has a key ([`ImportKey`]) that the store notes in the transaction that brings it
//! in. So an import can be ended at any moment and run again, and adds only what is missing.
//!
//! What cannot be taken is named and left out; a full mailbox ends the import. There is one import
//! into an account at a time.

mod claims;
mod maildir;
mod mbox;
mod take;

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command, value_parser};
use hikyaku_imap_proto::MailboxName;
use hikyaku_mailstore::ImportKey;
use hikyaku_types::Timestamp;
use serde_json::json;
use unicode_normalization::UnicodeNormalization;

use super::desk::{Ask, Reply};
use super::place::Place;
use super::refusal::Refusal;
use super::way::{Way, not_understood};

pub(super) use take::{Fate, ImportAsk, ImportReply, Importer, LARGEST, Message};

/// Bytes of messages that are put at once, beside the last one.
const MOST_BYTES: usize = 4 << 20;
/// Of what was left out so many are named.
const MOST_NAMED: usize = 100;

/// `hikyaku admin import-mail`.
pub(super) fn command() -> Command {
    let path = |name, value, help| {
        Arg::new(name).long(name).value_name(value).value_parser(value_parser!(PathBuf)).help(help)
    };
    Command::new("import-mail")
        .about("Import the mail of another system; run again, it adds only what is missing")
        .args([
            Arg::new("account").value_name("ADDRESS").required(true).help("An address of the account"),
            path("maildir", "DIR", "A Maildir with its subfolders (Maildir++)"),
            path("mbox", "FILE", "An mbox file"),
            Arg::new("mailbox").long("mailbox").value_name("NAME").default_value("INBOX").help(
                "Into which mailbox; levels are parted by /, subfolders come below it (below INBOX: beside it)",
            ),
            Arg::new("dry-run").long("dry-run").action(ArgAction::SetTrue).help("Say what would be imported"),
        ])
        .group(ArgGroup::new("source").args(["maildir", "mbox"]).required(true))
}

pub(super) fn run(matches: &ArgMatches, place: Place, json: bool) -> Result<(), Refusal> {
    let text = |name| matches.get_one::<String>(name).map_or("", String::as_str);
    let mailbox = MailboxName::new(text("mailbox"));
    let mailbox = mailbox.map_err(|error| Refusal::usage(format!("--mailbox: {error}")))?;
    let levels: Vec<String> = mailbox.levels().map(composed).collect();
    let way = Way::open(place)?;
    let mut import = Import::new(way, text("account"), matches.get_flag("dry-run"));
    let read = if let Some(folder) = matches.get_one::<PathBuf>("maildir") {
        maildir::read(folder, &levels, &mut import)
    } else if let Some(file) = matches.get_one::<PathBuf>("mbox") {
        mbox::read(file, &levels, &mut import)
    } else {
        Ok(())
    };
    let ended = read.and_then(|()| import.put());
    import.done.tell(json, import.dry_run, ended.as_ref().err());
    match ended {
        Ok(()) if import.done.left_out == 0 => Ok(()),
        Ok(()) => Err(Refusal::place("not everything was imported")),
        Err(Stop::Refused(refusal)) => Err(refusal),
        Err(stop @ Stop::Full(_)) => Err(Refusal::place(stop.to_string())),
    }
}

/// Why an import ends before its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    #[error("{0}: give it more room, and run the import again for what is missing")]
    Full(String),
    #[error("{}", .0.text)]
    Refused(Refusal),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// A message that was found and not read yet, or read already.
pub(super) struct Candidate {
    /// For people.
    pub(super) name: String,
    pub(super) key: ImportKey,
    pub(super) received_at: Timestamp,
    pub(super) flags: Vec<String>,
    pub(super) body: Body,
}

pub(super) enum Body {
    File(PathBuf),
    Bytes(Vec<u8>),
}

/// What has been done.
#[derive(Default)]
struct Done {
    mailboxes: BTreeSet<Vec<String>>,
    found: u64,
    imported: u64,
    already: u64,
    bytes: u64,
    left_out: u64,
    /// The first of those left out, with the reason.
    named: Vec<(String, String)>,
}

/// An import under way.
pub(super) struct Import {
    way: Way,
    account: String,
    dry_run: bool,
    mailbox: Vec<String>,
    waiting: Vec<Candidate>,
    waiting_bytes: usize,
    done: Done,
}

impl Import {
    fn new(way: Way, account: &str, dry_run: bool) -> Self {
        Self {
            way,
            account: account.to_owned(),
            dry_run,
            mailbox: Vec::new(),
            waiting: Vec::new(),
            waiting_bytes: 0,
            done: Done::default(),
        }
    }

    /// From now on messages go there. It is made even if there are none.
    pub(super) fn turn_to(&mut self, mailbox: &[String]) -> Result<(), Stop> {
        self.put()?;
        self.mailbox = mailbox.to_vec();
        self.done.mailboxes.insert(mailbox.to_vec());
        if !self.dry_run {
            self.send(Vec::new(), Vec::new())?;
        }
        Ok(())
    }

    pub(super) fn offer(&mut self, candidate: Candidate) -> Result<(), Stop> {
        self.done.found += 1;
        if let Body::Bytes(bytes) = &candidate.body {
            self.waiting_bytes += bytes.len();
        }
        self.waiting.push(candidate);
        let is_full = self.waiting.len() >= ImportKey::MOST || self.waiting_bytes >= MOST_BYTES;
        if is_full { self.put() } else { Ok(()) }
    }

    /// Names what cannot be imported.
    pub(super) fn leave_out(&mut self, name: impl Into<String>, why: impl Into<String>) {
        self.done.left_out += 1;
        if self.done.named.len() < MOST_NAMED {
            self.done.named.push((name.into(), why.into()));
        }
    }

    /// Puts what waits, but for what is there.
    fn put(&mut self) -> Result<(), Stop> {
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        let are_there = if waiting.is_empty() { Vec::new() } else { self.look(&waiting)? };
        let (mut messages, mut contents) = (Vec::new(), Vec::new());
        for (candidate, is_there) in waiting.into_iter().zip(are_there) {
            if is_there {
                self.done.already += 1;
                continue;
            }
            if let Some((message, content)) = self.open(candidate) {
                messages.push(message);
                contents.extend(content);
            }
            if contents.len() >= MOST_BYTES {
                self.send(std::mem::take(&mut messages), std::mem::take(&mut contents))?;
            }
        }
        if messages.is_empty() { Ok(()) } else { self.send(messages, contents) }
    }

    fn look(&mut self, candidates: &[Candidate]) -> Result<Vec<bool>, Stop> {
        let keys = candidates.iter().map(|candidate| candidate.key.as_u128().to_string()).collect();
        let ask = ImportAsk::Look { account: self.account.clone(), keys };
        match self.way.put(Ask::Import(ask))? {
            Reply::Import(ImportReply::Look(are_there)) => Ok(are_there),
            _ => Err(not_understood().into()),
        }
    }

    /// The message as it is put, and its content; `None` if it must be left out.
    fn open(&mut self, candidate: Candidate) -> Option<(Message, Vec<u8>)> {
        let bytes = match candidate.body {
            Body::Bytes(bytes) => bytes,
            Body::File(path) => match read_bounded(&path) {
                Ok(bytes) => bytes,
                Err(why) => {
                    self.leave_out(candidate.name, why);
                    return None;
                }
            },
        };
        let content = canonical(&bytes);
        if content.is_empty() || content.len() > LARGEST {
            let why = if content.is_empty() { "it is empty".to_owned() } else { too_large() };
            self.leave_out(candidate.name, why);
            return None;
        }
        let message = Message {
            name: candidate.name,
            key: candidate.key.as_u128().to_string(),
            received_at: candidate.received_at.as_millis(),
            flags: candidate.flags,
            size: content.len(),
        };
        Some((message, content))
    }

    fn send(&mut self, messages: Vec<Message>, contents: Vec<u8>) -> Result<(), Stop> {
        if self.dry_run {
            self.done.imported += messages.len() as u64;
            self.done.bytes += contents.len() as u64;
            return Ok(());
        }
        let sizes: Vec<(String, usize)> =
            messages.iter().map(|message| (message.name.clone(), message.size)).collect();
        let (account, mailbox) = (self.account.clone(), self.mailbox.clone());
        let ask = ImportAsk::Put { account, mailbox, messages, contents };
        let Reply::Import(ImportReply::Put(fates)) = self.way.put(Ask::Import(ask))? else {
            return Err(not_understood().into());
        };
        for ((name, size), fate) in sizes.into_iter().zip(fates) {
            match fate {
                Fate::Imported => {
                    self.done.imported += 1;
                    self.done.bytes += size as u64;
                }
                Fate::Already => self.done.already += 1,
                Fate::Refused(why) => self.leave_out(name, why),
                Fate::Full(why) => return Err(Stop::Full(why)),
            }
        }
        Ok(())
    }
}

impl Done {
    fn tell(&self, json: bool, dry_run: bool, stop: Option<&Stop>) {
        if json {
            println!("{}", self.json(dry_run, stop));
            return;
        }
        for (name, why) in &self.named {
            println!("left out: {name}: {why}");
        }
        let unnamed = self.left_out - self.named.len() as u64;
        if unnamed > 0 {
            println!("left out: {unnamed} more");
        }
        println!(
            "{} messages found in {} mailboxes: {} {} ({} bytes), {} there already, {} left out",
            self.found,
            self.mailboxes.len(),
            self.imported,
            if dry_run { "would be imported" } else { "imported" },
            self.bytes,
            self.already,
            self.left_out,
        );
    }

    fn json(&self, dry_run: bool, stop: Option<&Stop>) -> serde_json::Value {
        let named: Vec<_> =
            self.named.iter().map(|(name, why)| json!({ "name": name, "reason": why })).collect();
        json!({ "import": {
            "dry_run": dry_run,
            "mailboxes": self.mailboxes.len(),
            "found": self.found,
            "imported": self.imported,
            "bytes": self.bytes,
            "already": self.already,
            "left_out": self.left_out,
            "named": named,
            "stopped": stop.map(ToString::to_string),
        }})
    }
}

/// Names are stored in NFC: by that IMAP finds them.
fn composed(level: &str) -> String {
    level.nfc().collect()
}

fn too_large() -> String {
    format!("it is larger than {} MiB", LARGEST >> 20)
}

fn read_bounded(path: &std::path::Path) -> Result<Vec<u8>, String> {
    let told = |error: std::io::Error| error.to_string();
    let size = std::fs::metadata(path).map_err(told)?.len();
    if size > LARGEST as u64 {
        return Err(too_large());
    }
    std::fs::read(path).map_err(told)
}

/// CRLF at the end of every line, and no NUL, which no protocol can carry: 0x80 stands for it,
/// as the servers show it whose files have some.
fn canonical(bytes: &[u8]) -> Vec<u8> {
    let mut content = Vec::with_capacity(bytes.len() + bytes.len() / 32);
    let mut bytes = bytes.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' => {
                bytes.next_if_eq(&b'\n');
                content.extend_from_slice(b"\r\n");
            }
            b'\n' => content.extend_from_slice(b"\r\n"),
            0 => content.push(0x80),
            other => content.push(other),
        }
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_and_nul() {
        for (from, to) in [
            (&b"a\nb\r\nc\rd"[..], &b"a\r\nb\r\nc\r\nd"[..]),
            (b"\r\n\n", b"\r\n\r\n"),
            (b"a\0\r", b"a\x80\r\n"),
            (b"", b""),
        ] {
            assert_eq!(canonical(from), to);
            assert_eq!(canonical(to), to, "done twice it is the same");
        }
    }
}
