//! FETCH responses, item by item.
//!
//! Standards: RFC 3501 section 7.4.2, RFC 3516 section 4.2 (BINARY), RFC 7162 section 3.1.4
//! (MODSEQ), RFC 8474 section 5 (EMAILID, THREADID), RFC 8970 (PREVIEW), RFC 8514 section
//! 4.3 (SAVEDATE).
//!
//! Contents of messages go out as they were received. NUL is not in the grammar of BODY[]
//! (only of BINARY[]), yet a message that has one is shown as it is: a changed byte would
//! break its signatures.

use std::num::NonZeroU32;

use super::body_structure::BodyStructure;
use super::envelope::Envelope;
use crate::command::FetchAtt;
use crate::print::{self, put};
use crate::{DateTime, Dialect, Flag, ModSeq, SeqNum, Uid};

/// Writes one `* n FETCH (…)`; [`FetchWriter::finish`] ends it.
#[derive(Debug)]
#[must_use = "the line ends with finish()"]
pub struct FetchWriter<'a> {
    out: &'a mut Vec<u8>,
    dialect: Dialect,
    is_first: bool,
}

impl<'a> FetchWriter<'a> {
    /// Begins the response for one message.
    pub fn new(out: &'a mut Vec<u8>, seq: SeqNum, dialect: Dialect) -> Self {
        put(out, format_args!("* {seq} FETCH ("));
        Self { out, dialect, is_first: true }
    }

    /// Ends the response.
    pub fn finish(self) {
        put(self.out, ")\r\n");
    }

    fn item(&mut self, item: impl std::fmt::Display) {
        if !self.is_first {
            put(self.out, " ");
        }
        self.is_first = false;
        put(self.out, item);
    }

    /// `UID n`
    pub fn uid(&mut self, uid: Uid) {
        self.item(format_args!("UID {uid}"));
    }

    /// `FLAGS (…)`; `recent` adds \Recent.
    pub fn flags(&mut self, flags: &[Flag], recent: bool) {
        self.item("FLAGS ");
        let recent = recent.then_some("\\Recent");
        print::list(self.out, flags.iter().map(Flag::as_str).chain(recent), put);
    }

    /// `INTERNALDATE "…"`
    pub fn internal_date(&mut self, date: &DateTime) {
        self.item(format_args!("INTERNALDATE {date}"));
    }

    /// `RFC822.SIZE n`
    pub fn rfc822_size(&mut self, size_bytes: u64) {
        self.item(format_args!("RFC822.SIZE {size_bytes}"));
    }

    /// `ENVELOPE (…)`
    pub fn envelope(&mut self, envelope: &Envelope<'_>) {
        self.item("ENVELOPE ");
        envelope.print(self.out, self.dialect);
    }

    /// `BODY (…)`
    pub fn body(&mut self, structure: &BodyStructure<'_>) {
        self.item("BODY ");
        structure.print_body(self.out, self.dialect);
    }

    /// `BODYSTRUCTURE (…)`
    pub fn body_structure(&mut self, structure: &BodyStructure<'_>) {
        self.item("BODYSTRUCTURE ");
        structure.print_body_structure(self.out, self.dialect);
    }

    /// An item whose value was printed before, by another writer with the same dialect.
    pub fn printed(&mut self, name: &str, value: &[u8]) {
        self.item(format_args!("{name} "));
        self.out.extend_from_slice(value);
    }

    /// `MODSEQ (n)`
    pub fn modseq(&mut self, modseq: ModSeq) {
        self.item(format_args!("MODSEQ ({modseq})"));
    }

    /// `EMAILID (id)`
    pub fn email_id(&mut self, id: &str) {
        self.item(format_args!("EMAILID ({id})"));
    }

    /// `THREADID (id)`, or NIL where there are no threads.
    pub fn thread_id(&mut self, id: Option<&str>) {
        match id {
            Some(id) => self.item(format_args!("THREADID ({id})")),
            None => self.item("THREADID NIL"),
        }
    }

    /// `PREVIEW "…"`; NIL: not made yet.
    pub fn preview(&mut self, text: Option<&str>) {
        self.item("PREVIEW ");
        print::nstring(self.out, text.map(str::as_bytes), self.dialect);
    }

    /// `SAVEDATE "…"`; NIL: not known.
    pub fn save_date(&mut self, date: Option<&DateTime>) {
        match date {
            Some(date) => self.item(format_args!("SAVEDATE {date}")),
            None => self.item("SAVEDATE NIL"),
        }
    }

    /// `BINARY.SIZE[1] n`
    pub fn binary_size(&mut self, part: &[NonZeroU32], size_bytes: u64) {
        self.item(format_args!("{} {size_bytes}", FetchAtt::BinarySize { part: part.to_vec() }));
    }

    /// The content that `att` asked for, already cut to its partial; `None`: there is no
    /// such part.
    pub fn content(&mut self, att: &FetchAtt, content: Option<&[u8]>) {
        match content {
            None => self.item(format_args!("{} NIL", response_name(att))),
            Some([]) => self.item(format_args!("{} \"\"", response_name(att))),
            Some(content) => {
                self.begin_content(att, content.len() as u64);
                self.out.extend_from_slice(content);
            }
        }
    }

    /// What stands before the content that `att` asked for. Exactly `size_bytes` must follow,
    /// into the same stream, before the next item.
    pub fn begin_content(&mut self, att: &FetchAtt, size_bytes: u64) {
        // Only literal8 may carry what a decoded part can hold.
        let tilde = if matches!(att, FetchAtt::Binary { .. }) { "~" } else { "" };
        self.item(format_args!("{} {tilde}", response_name(att)));
        print::literal_header(self.out, size_bytes);
    }
}

/// The name under which a content is answered: without PEEK, and of the partial only where
/// it begins.
fn response_name(att: &FetchAtt) -> String {
    let (asked, partial) = match att {
        FetchAtt::BodySection { section, partial, .. } => {
            let section = section.clone();
            (FetchAtt::BodySection { peek: false, section, partial: None }, partial)
        }
        FetchAtt::Binary { part, partial, .. } => {
            (FetchAtt::Binary { peek: false, part: part.clone(), partial: None }, partial)
        }
        att => return att.to_string(),
    };
    match partial {
        Some(partial) => format!("{asked}<{}>", partial.first),
        None => asked.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use hikyaku_types::Timestamp;

    use super::*;
    use crate::{Partial, Section};

    fn written(write: impl FnOnce(&mut FetchWriter<'_>)) -> String {
        let mut out = Vec::new();
        let mut writer = FetchWriter::new(&mut out, SeqNum::new(12).unwrap(), Dialect::SevenBit);
        write(&mut writer);
        writer.finish();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn items() {
        let date = DateTime { at: Timestamp::from_secs(837_596_665), offset_minutes: -420 };
        let line = written(|fetch| {
            fetch.flags(&[Flag::Seen], true);
            fetch.uid(Uid::new(7).unwrap());
            fetch.internal_date(&date);
            fetch.rfc822_size(4286);
            fetch.modseq(ModSeq::new(65402).unwrap());
            fetch.email_id("M1");
            fetch.thread_id(Some("T1"));
            fetch.thread_id(None);
            fetch.preview(Some("a b"));
            fetch.preview(None);
            fetch.save_date(Some(&date));
            fetch.save_date(None);
        });
        assert_eq!(
            line,
            "* 12 FETCH (FLAGS (\\Seen \\Recent) UID 7 INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" \
             RFC822.SIZE 4286 MODSEQ (65402) EMAILID (M1) THREADID (T1) THREADID NIL PREVIEW \"a b\" PREVIEW NIL \
             SAVEDATE \"17-Jul-1996 02:44:25 -0700\" SAVEDATE NIL)\r\n"
        );
    }

    #[test]
    fn contents() {
        let partial = Some(Partial { first: 10, length: 5.try_into().unwrap() });
        let peek = |partial| FetchAtt::BodySection { peek: true, section: Section::default(), partial };
        let binary = FetchAtt::Binary { peek: true, part: vec![2.try_into().unwrap()], partial };
        let line = written(|fetch| {
            fetch.content(&peek(None), Some(b"abc"));
            fetch.content(&peek(partial), Some(b""));
            fetch.content(&peek(None), None);
            fetch.content(&FetchAtt::Rfc822Header, Some(b"A: b\r\n\r\n"));
            fetch.content(&binary, Some(b"\0"));
            fetch.binary_size(&[2.try_into().unwrap()], 1);
        });
        assert_eq!(
            line,
            "* 12 FETCH (BODY[] {3}\r\nabc BODY[]<10> \"\" BODY[] NIL RFC822.HEADER {8}\r\nA: b\r\n\r\n \
             BINARY[2]<10> ~{1}\r\n\0 BINARY.SIZE[2] 1)\r\n"
        );
    }
}
