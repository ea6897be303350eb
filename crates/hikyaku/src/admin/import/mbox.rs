//! Mbox files: messages one after the other, each behind a line `From sender date`.
//!
//! RFC 4155 describes the format, and many programs write what differs from it. So a line
//! parts messages if it begins with `From ` and a date is in it, whether or not a blank line
//! stands before it; and one `>` is taken from every `>From `, `>>From ` … (mboxrd, of which
//! mboxo is a part). Flags are read from `Status`, `X-Status` and `X-Keywords`.
//!
//! A message is known by its content and by how many equal ones stand before it: so a file
//! that has grown brings its new messages, and two equal messages stay two.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use hikyaku_mailstore::ImportKey;
use hikyaku_mime::Header;
use hikyaku_mime::fields::date;
use hikyaku_types::{Clock, SystemClock, Timestamp};

use super::{Body, Candidate, Import, LARGEST, Stop, too_large};
use crate::admin::refusal::Refusal;

/// A line that parts messages is no longer than this.
const LONGEST_FROM: usize = 1000;

/// Reads an mbox file into this mailbox.
pub(super) fn read(file: &Path, mailbox: &[String], import: &mut Import) -> Result<(), Stop> {
    let told = |error: io::Error| Stop::from(Refusal::place(format!("{}: {error}", file.display())));
    let mut reader = Reader::new(BufReader::new(File::open(file).map_err(told)?));
    import.turn_to(mailbox)?;
    let mut equal: HashMap<ImportKey, u64> = HashMap::new();
    let mut number = 0;
    while let Some(next) = reader.next().map_err(told)? {
        number += 1;
        let name = format!("{}, message {number}", file.display());
        let Some(content) = next.content else {
            import.leave_out(name, too_large());
            continue;
        };
        if is_internal(&content) {
            continue;
        }
        let same = equal.entry(ImportKey::new(&[&content])).or_default();
        *same += 1;
        let key = ImportKey::new(&[b"mbox", mailbox.join("/").as_bytes(), &content, &same.to_le_bytes()]);
        let received_at = next.date.unwrap_or_else(|| sent_at(&content));
        let flags = flags(&content);
        import.offer(Candidate { name, key, received_at, flags, body: Body::Bytes(content) })?;
    }
    if number == 0 && reader.has_other_text {
        return Err(Refusal::usage(format!(
            "{} is no mbox file: no line begins with `From `",
            file.display()
        ))
        .into());
    }
    Ok(())
}

/// One message of a file.
struct Next {
    /// From its `From ` line, read as UTC.
    date: Option<Timestamp>,
    /// `None` if it is too large.
    content: Option<Vec<u8>>,
}

/// Parts a file into messages. One is in memory at a time.
struct Reader<R> {
    input: R,
    line: Vec<u8>,
    /// The `From ` line of the next message has been read.
    date: Option<Timestamp>,
    has_begun: bool,
    /// There was text before the first `From ` line.
    has_other_text: bool,
}

impl<R: BufRead> Reader<R> {
    fn new(input: R) -> Self {
        Self { input, line: Vec::new(), date: None, has_begun: false, has_other_text: false }
    }

    fn next(&mut self) -> io::Result<Option<Next>> {
        while !self.has_begun {
            if !self.read_line()? {
                return Ok(None);
            }
            self.date = from_line(&self.line);
            self.has_begun = self.date.is_some();
            self.has_other_text |= !self.has_begun && !self.line.trim_ascii().is_empty();
        }
        let date = self.date;
        let mut content = Some(Vec::new());
        self.has_begun = false;
        while self.read_line()? {
            self.date = from_line(&self.line);
            if self.date.is_some() {
                self.has_begun = true;
                break;
            }
            if content.as_ref().is_some_and(|content| content.len() + self.line.len() > LARGEST) {
                content = None;
            }
            if let Some(content) = &mut content {
                content.extend_from_slice(unquoted(&self.line));
            }
        }
        Ok(Some(Next { date, content: content.map(without_last_blank_line) }))
    }

    /// The next line with its end, or a part of a line that is too long. False at the end.
    fn read_line(&mut self) -> io::Result<bool> {
        self.line.clear();
        let most = u64::try_from(LARGEST).unwrap_or(u64::MAX);
        io::Read::take(&mut self.input, most).read_until(b'\n', &mut self.line)?;
        Ok(!self.line.is_empty())
    }
}

/// The date of a line that parts messages.
fn from_line(line: &[u8]) -> Option<Timestamp> {
    let rest = line.strip_prefix(b"From ").filter(|rest| rest.len() <= LONGEST_FROM)?;
    // Behind the sender, who may be missing, stands what `asctime` writes.
    let day = rest.split(|byte| *byte == b' ').position(is_weekday)?;
    let words: Vec<&[u8]> = rest.split(|byte| *byte == b' ').skip(day).collect();
    Some(date(&words.join(&b' '))?.at)
}

fn is_weekday(word: &[u8]) -> bool {
    let days: [&[u8]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
    days.contains(&word.strip_suffix(b",").unwrap_or(word))
}

/// The line without the `>` that kept it from being taken for a `From ` line.
fn unquoted(line: &[u8]) -> &[u8] {
    let quotes = line.iter().take_while(|byte| **byte == b'>').count();
    let is_quoted = quotes > 0 && line.get(quotes..).is_some_and(|rest| rest.starts_with(b"From "));
    if is_quoted { line.get(1..).unwrap_or_default() } else { line }
}

/// The blank line before a `From ` line belongs to the file.
fn without_last_blank_line(mut content: Vec<u8>) -> Vec<u8> {
    for end in [&b"\n\r\n"[..], b"\n\n"] {
        if content.ends_with(end) {
            content.truncate(content.len() - (end.len() - 1));
            break;
        }
    }
    content
}

/// A message that the mail programs of the University of Washington keep their notes in.
fn is_internal(content: &[u8]) -> bool {
    let header = Header::of_content(content);
    let subject = header.unfolded("Subject").unwrap_or_default();
    header.get("X-IMAP").or(header.get("X-IMAPbase")).is_some()
        && subject.starts_with(b"DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA")
}

/// When it says it was sent, or now.
fn sent_at(content: &[u8]) -> Timestamp {
    let value = Header::of_content(content).unfolded("Date");
    value.and_then(|value| date(&value)).map_or_else(|| SystemClock.now(), |date| date.at)
}

fn flags(content: &[u8]) -> Vec<String> {
    let header = Header::of_content(content);
    let value = |name| header.unfolded(name).unwrap_or_default();
    let letters = [value("Status"), value("X-Status")].concat();
    let known =
        [(b'R', "\\Seen"), (b'A', "\\Answered"), (b'F', "\\Flagged"), (b'D', "\\Deleted"), (b'T', "\\Draft")];
    let known =
        known.iter().filter(|(letter, _)| letters.contains(letter)).map(|(_, flag)| (*flag).to_owned());
    let keywords = String::from_utf8_lossy(&value("X-Keywords")).into_owned();
    known.chain(keywords.split([' ', ',']).filter(|word| !word.is_empty()).map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(file: &[u8]) -> Vec<(Option<i64>, String)> {
        let mut reader = Reader::new(file);
        let mut all = Vec::new();
        while let Some(next) = reader.next().unwrap() {
            let content = String::from_utf8(next.content.unwrap()).unwrap();
            all.push((next.date.map(Timestamp::as_secs), content));
        }
        all
    }

    const FROM: &str = "From ann@example.org Tue Nov 24 03:34:27 2026\n";
    const AT: i64 = 1_795_491_267;

    #[test]
    fn files() {
        let of = |texts: &[&str]| texts.iter().map(|text| (Some(AT), (*text).to_owned())).collect::<Vec<_>>();
        for (file, expected) in [
            (String::new(), of(&[])),
            ("\n\n".to_owned(), of(&[])),
            (format!("{FROM}A: 1\n\nx\n\n{FROM}B: 2\n\ny\n"), of(&["A: 1\n\nx\n", "B: 2\n\ny\n"])),
            // No blank line before it.
            (format!("{FROM}A: 1\n\nx\n{FROM}B: 2\n\ny\n\n"), of(&["A: 1\n\nx\n", "B: 2\n\ny\n"])),
            // Text that only begins like one, and quoted ones.
            (
                format!("{FROM}\nFrom here on\n>From you\n>>From me\n> From\n>Fromage\n"),
                of(&["\nFrom here on\nFrom you\n>From me\n> From\n>Fromage\n"]),
            ),
            (FROM.to_owned() + "A: 1\r\n\r\nx\r\n\r\n", of(&["A: 1\r\n\r\nx\r\n"])),
            // A message without a body; the end of the file instead of a line's end.
            (format!("{FROM}A: 1\n\n{FROM}B: 2\n\nx"), of(&["A: 1\n", "B: 2\n\nx"])),
        ] {
            assert_eq!(parse(file.as_bytes()), expected, "{file}");
        }
    }

    #[test]
    fn from_lines() {
        for (line, is_one) in [
            ("From ann@example.org Tue Nov 24 03:34:27 2026", true),
            ("From ann@example.org  Tue Nov  4 03:34:27 2026\r\n", true),
            ("From - Tue Nov 24 03:34:27 2026", true),
            ("From ann@example.org Tue Nov 24 03:34:27 +0900 2026", true),
            ("From \"a b\"@example.org Tue, 24 Nov 2026 03:34 JST", true),
            ("From MAILER-DAEMON Tue Nov 24 03:34 2026", true),
            ("From Monday on we meet", false),
            ("From Mon to Fri we meet", false),
            ("From: ann@example.org", false),
            (">From ann@example.org Tue Nov 24 03:34:27 2026", false),
        ] {
            assert_eq!(from_line(line.as_bytes()).is_some(), is_one, "{line}");
        }
    }

    #[test]
    fn status_fields() {
        let content = b"Status: RO\nX-Status: AF\nX-Keywords: $Label1 work\nSubject: x\n\nStatus: D\n";
        assert_eq!(flags(content), ["\\Seen", "\\Answered", "\\Flagged", "$Label1", "work"]);
        assert_eq!(flags(b"Status: O\n\n"), Vec::<String>::new());
    }

    #[test]
    fn internal_data_is_no_mail() {
        let subject = "Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n";
        assert!(is_internal(format!("X-IMAP: 1 2\n{subject}\nx\n").as_bytes()));
        assert!(!is_internal(subject.as_bytes()), "somebody may write about it");
    }

    /// As mboxrd is written.
    fn print(messages: &[String]) -> String {
        let mut file = String::new();
        for message in messages {
            file += FROM;
            for line in message.split_inclusive('\n') {
                if line.trim_start_matches('>').starts_with("From ") {
                    file.push('>');
                }
                file += line;
            }
            file.push('\n');
        }
        file
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(messages in prop::collection::vec("((>{0,2}From |a: |>|日本)[ a-z]{0,3}(Mon Nov 2 03:04:05 2026)?\n|\n){1,6}", 0..5)) {
            let read: Vec<String> = parse(print(&messages).as_bytes()).into_iter().map(|(_, text)| text).collect();
            prop_assert_eq!(read, messages);
        }

        #[test]
        fn no_file_makes_it_panic(file in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut reader = Reader::new(&file[..]);
            while reader.next().unwrap().is_some() {}
        }
    }
}
