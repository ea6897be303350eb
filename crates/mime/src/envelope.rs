//! The envelope of a message as IMAP understands it: the header fields that a list of
//! messages shows, in their encoded form (RFC 9051 section 7.5.2, ENVELOPE).
//!
//! Of several `Subject`, `Date`, `Message-ID` or `In-Reply-To` fields the first counts.
//! Several fields of addresses are read as one list: who sends a second `From` for mail
//! programs to show finds that we show both.

use std::borrow::Cow;

use crate::encoded_word;
use crate::fields::{self, Date, Entry, MAX_ADDRESSES};
use crate::header::{Field, Header};

/// Facts of the header, undecoded. A field that is there but empty is `Some` of nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Envelope<'a> {
    /// `Date`, unfolded.
    pub date: Option<Cow<'a, [u8]>>,
    /// `Subject`, unfolded, with its encoded words.
    pub subject: Option<Cow<'a, [u8]>>,
    /// `From`.
    pub from: Vec<Entry<'a>>,
    /// `Sender`; `From` if that is missing or empty.
    pub sender: Vec<Entry<'a>>,
    /// `Reply-To`; `From` if that is missing or empty.
    pub reply_to: Vec<Entry<'a>>,
    /// `To`.
    pub to: Vec<Entry<'a>>,
    /// `Cc`.
    pub cc: Vec<Entry<'a>>,
    /// `Bcc`.
    pub bcc: Vec<Entry<'a>>,
    /// `In-Reply-To`, unfolded.
    pub in_reply_to: Option<Cow<'a, [u8]>>,
    /// `Message-ID`, unfolded.
    pub message_id: Option<Cow<'a, [u8]>>,
}

impl<'a> Envelope<'a> {
    /// Reads the envelope of a header, in one pass.
    pub fn parse(header: Header<'a>) -> Self {
        let mut envelope = Self::default();
        for field in header.fields() {
            envelope.take(&field);
        }
        if envelope.sender.is_empty() {
            envelope.sender.clone_from(&envelope.from);
        }
        if envelope.reply_to.is_empty() {
            envelope.reply_to.clone_from(&envelope.from);
        }
        envelope
    }

    fn take(&mut self, field: &Field<'a>) {
        // The length sorts out most of the other fields cheaply.
        match field.name.len() {
            2 if field.is("To") => append(&mut self.to, field),
            2 if field.is("Cc") => append(&mut self.cc, field),
            3 if field.is("Bcc") => append(&mut self.bcc, field),
            4 if field.is("From") => append(&mut self.from, field),
            4 if field.is("Date") => first(&mut self.date, field),
            6 if field.is("Sender") => append(&mut self.sender, field),
            7 if field.is("Subject") => first(&mut self.subject, field),
            8 if field.is("Reply-To") => append(&mut self.reply_to, field),
            10 if field.is("Message-ID") => first(&mut self.message_id, field),
            11 if field.is("In-Reply-To") => first(&mut self.in_reply_to, field),
            _ => {}
        }
    }

    /// The subject as people read it; empty if there is none.
    pub fn decoded_subject(&self) -> String {
        self.subject.as_deref().map(encoded_word::decode).unwrap_or_default()
    }

    /// The moment of `Date`, if it can be understood.
    pub fn sent(&self) -> Option<Date> {
        fields::date(self.date.as_deref()?)
    }
}

fn first<'a>(value: &mut Option<Cow<'a, [u8]>>, field: &Field<'a>) {
    value.get_or_insert_with(|| field.unfolded());
}

fn append<'a>(list: &mut Vec<Entry<'a>>, field: &Field<'a>) {
    if list.len() < MAX_ADDRESSES {
        list.extend(fields::addresses(field.value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(block: &str) -> Envelope<'_> {
        Envelope::parse(Header::new(block.as_bytes()))
    }

    fn addresses(list: &[Entry<'_>]) -> String {
        let shown = list.iter().map(|entry| match entry {
            Entry::Mailbox(mailbox) => mailbox.address(),
            Entry::GroupStart(name) => format!("{}:", String::from_utf8_lossy(name)),
            Entry::GroupEnd => ";".to_owned(),
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn all_fields() {
        let envelope = envelope(
            "Date: Tue, 24 Nov 2026 12:34:27 +0900\r\nSubject: =?utf-8?B?5pel?=\r\n =?utf-8?B?5pys?=\r\n\
             From: a@x.test\r\nSender: b@x.test\r\nReply-To: c@x.test\r\nTo: d@x.test, e@x.test\r\n\
             Cc: Team: f@x.test;\r\nBcc: g@x.test\r\nIn-Reply-To: <1@x.test>\r\nMessage-Id: <2@x.test>\r\n",
        );
        assert_eq!(envelope.date.as_deref(), Some(&b"Tue, 24 Nov 2026 12:34:27 +0900"[..]));
        assert_eq!(envelope.subject.as_deref(), Some(&b"=?utf-8?B?5pel?= =?utf-8?B?5pys?="[..]));
        assert_eq!(envelope.decoded_subject(), "日本");
        assert_eq!(envelope.sent().unwrap().offset_minutes, 540);
        assert_eq!(addresses(&envelope.from), "a@x.test");
        assert_eq!(addresses(&envelope.sender), "b@x.test");
        assert_eq!(addresses(&envelope.reply_to), "c@x.test");
        assert_eq!(addresses(&envelope.to), "d@x.test e@x.test");
        assert_eq!(addresses(&envelope.cc), "Team: f@x.test ;");
        assert_eq!(addresses(&envelope.bcc), "g@x.test");
        assert_eq!(envelope.in_reply_to.as_deref(), Some(&b"<1@x.test>"[..]));
        assert_eq!(envelope.message_id.as_deref(), Some(&b"<2@x.test>"[..]));
    }

    #[test]
    fn missing_and_empty_fields() {
        assert_eq!(envelope("X: y\r\n"), Envelope::default());
        let empty = envelope("Subject:\r\nFrom: a@x.test\r\nSender: \r\nReply-To: ,\r\n");
        assert_eq!(empty.subject.as_deref(), Some(&b""[..]));
        assert_eq!(empty.date, None);
        assert_eq!(addresses(&empty.sender), "a@x.test");
        assert_eq!(addresses(&empty.reply_to), "a@x.test");
        assert_eq!(empty.to, []);
    }

    #[test]
    fn several_fields_of_a_name() {
        let envelope = envelope("From: a@x.test\r\nSubject: one\r\nFrom: b@x.test\r\nSubject: two\r\n");
        assert_eq!(addresses(&envelope.from), "a@x.test b@x.test");
        assert_eq!(envelope.subject.as_deref(), Some(&b"one"[..]));
    }
}
