//! Fuzz body of imap-proto's printers: whatever they are given, another implementation reads
//! what they print, all of it, and finds the same in it.

use hikyaku_imap_proto::command::{FetchAtt, SpecialUse, StatusItem};
use hikyaku_imap_proto::response::*;
use hikyaku_imap_proto::{Dialect, Flag, Keyword, MailboxName, Section, SeqNum, Uid, UidSet, utf7};
use imap_codec::ResponseCodec;
use imap_codec::decode::Decoder;
use imap_codec::imap_types::core::NString;
use imap_codec::imap_types::fetch::MessageDataItem;
use imap_codec::imap_types::mailbox::Mailbox;
use imap_codec::imap_types::response::{Data, Response};

/// How deep parts lie within parts: the codec ends at some depth of its own.
const DEEPEST: usize = 3;

/// Values made of the fuzzer's bytes, in order; zeros and empty texts when they are used up.
struct Values<'a>(&'a [u8]);

impl<'a> Values<'a> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn number(&mut self) -> u32 {
        u32::from_be_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }

    fn text(&mut self) -> Bytes<'a> {
        let length = usize::from(self.byte() % 32).min(self.0.len());
        let (text, rest) = self.0.split_at(length);
        self.0 = rest;
        text.into()
    }

    fn nstring(&mut self) -> Option<Bytes<'a>> {
        self.byte().is_multiple_of(2).then(|| self.text())
    }

    fn some<T>(&mut self, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.byte() % 3).map(|_| one(self)).collect()
    }

    fn name(&mut self) -> MailboxName {
        let text = self.text();
        MailboxName::new(&String::from_utf8_lossy(&text)).unwrap_or_else(|_| MailboxName::inbox())
    }

    fn address(&mut self) -> EnvelopeAddress<'a> {
        EnvelopeAddress {
            name: self.nstring(),
            route: self.nstring(),
            mailbox: self.nstring(),
            host: self.nstring(),
        }
    }

    fn envelope(&mut self) -> Envelope<'a> {
        Envelope {
            date: self.nstring(),
            subject: self.nstring(),
            from: self.some(Self::address),
            sender: self.some(Self::address),
            reply_to: self.some(Self::address),
            to: self.some(Self::address),
            cc: self.some(Self::address),
            bcc: self.some(Self::address),
            in_reply_to: self.nstring(),
            message_id: self.nstring(),
        }
    }

    fn parameters(&mut self) -> Parameters<'a> {
        self.some(|values| (values.text(), values.text()))
    }

    fn extension(&mut self) -> Extension<'a> {
        let has_disposition = self.byte().is_multiple_of(2);
        Extension {
            disposition: has_disposition
                .then(|| Disposition { kind: self.text(), parameters: self.parameters() }),
            language: self.some(Self::text),
            location: self.nstring(),
        }
    }

    fn structure(&mut self, depth: usize) -> BodyStructure<'a> {
        let kind = match self.byte() % 4 {
            0 if depth < DEEPEST => {
                return BodyStructure::Multi(Box::new(MultiPart {
                    parts: self.some(|values| values.structure(depth + 1)),
                    subtype: self.text(),
                    parameters: self.parameters(),
                    extension: self.extension(),
                }));
            }
            1 if depth < DEEPEST => SinglePartKind::Message {
                subtype: b"rfc822"[..].into(),
                envelope: Box::new(self.envelope()),
                body: self.structure(depth + 1),
                lines: self.number().into(),
            },
            2 => SinglePartKind::Text { subtype: self.text(), lines: self.number().into() },
            _ => SinglePartKind::Basic { media_type: b"application"[..].into(), subtype: self.text() },
        };
        let fields = BodyFields {
            parameters: self.parameters(),
            id: self.nstring(),
            description: self.nstring(),
            encoding: self.text(),
            size: self.number().into(),
        };
        let (md5, extension) = (self.nstring(), self.extension());
        BodyStructure::Single(Box::new(SinglePart { kind, fields, md5, extension }))
    }

    fn uids(&mut self) -> UidSet {
        let ranges: Vec<(Uid, Uid)> = self
            .some(|values| Some((Uid::new(values.number())?, Uid::new(values.number())?)))
            .into_iter()
            .flatten()
            .collect();
        UidSet::from_ranges(ranges.into_iter().filter(|(first, last)| first <= last))
    }
}

/// The bytes choose a response and what is in it.
pub fn imap_responses(data: &[u8]) {
    let mut values = Values(data);
    match values.byte() % 4 {
        0 => fetch(&mut values),
        1 => list(&mut values),
        2 => status(&mut values),
        _ => flags_and_numbers(&mut values),
    }
}

fn read(printed: &[u8]) -> Response<'_> {
    match ResponseCodec::default().decode(printed) {
        Ok((b"", response)) => response,
        Ok((rest, response)) => panic!("{response:?}, and behind it {}", rest.escape_ascii()),
        Err(error) => panic!("{error:?} in {}", printed.escape_ascii()),
    }
}

/// As it stands on the wire: there is no octet 0 (RFC 9051 section 4.3).
fn without_nul(text: Option<&Bytes<'_>>) -> Option<Vec<u8>> {
    text.map(|text| text.iter().copied().filter(|byte| *byte != 0).collect())
}

fn same(theirs: &NString<'_>, ours: Option<&Bytes<'_>>) {
    assert_eq!(theirs.clone().into_option().map(|text| text.to_vec()), without_nul(ours));
}

fn fetch(values: &mut Values<'_>) {
    let (envelope, structure) = (values.envelope(), values.structure(0));
    let content: Vec<u8> = values.0.iter().copied().filter(|byte| *byte != 0).collect();
    let mut out = Vec::new();
    let mut writer = FetchWriter::new(&mut out, SeqNum::new(7).unwrap(), Dialect::SevenBit);
    writer.envelope(&envelope);
    writer.body_structure(&structure);
    writer.body(&structure);
    let whole =
        FetchAtt::BodySection { peek: true, section: Section { part: vec![], text: None }, partial: None };
    writer.content(&whole, Some(&content));
    writer.finish();
    let Response::Data(Data::Fetch { seq, items }) = read(&out) else { panic!("not FETCH") };
    assert_eq!((seq.get(), items.as_ref().len()), (7, 4));
    for item in items.as_ref() {
        match item {
            MessageDataItem::Envelope(theirs) => {
                same(&theirs.subject, envelope.subject.as_ref());
                same(&theirs.message_id, envelope.message_id.as_ref());
                assert_eq!(theirs.to.len(), envelope.to.len());
                for (theirs, ours) in theirs.from.iter().zip(&envelope.from) {
                    same(&theirs.name, ours.name.as_ref());
                    same(&theirs.host, ours.host.as_ref());
                }
            }
            MessageDataItem::BodyExt { data, .. } => {
                assert_eq!(data.clone().into_option().map(|data| data.to_vec()), Some(content.clone()));
            }
            _ => {}
        }
    }
}

/// The name, decoded from what they read, is the one that was printed.
fn same_name(theirs: &Mailbox<'_>, ours: &MailboxName) {
    match theirs {
        Mailbox::Inbox => assert!(ours.is_inbox()),
        Mailbox::Other(other) => {
            assert_eq!(utf7::decode(other.inner().as_ref()).as_deref(), Ok(ours.as_str()));
        }
    }
}

fn list(values: &mut Values<'_>) {
    let name = values.name();
    let attributes = [ListAttribute::HasNoChildren, ListAttribute::Subscribed, ListAttribute::NonExistent];
    let uses = [SpecialUse::Drafts, SpecialUse::Trash];
    let entry = ListEntry {
        name: &name,
        attributes: attributes.get(usize::from(values.byte() % 4)..).unwrap_or_default(),
        special_use: uses.get(usize::from(values.byte() % 3)..).unwrap_or_default(),
        child_info: false,
        old_name: None,
    };
    let mut out = Vec::new();
    hikyaku_imap_proto::response::list(&mut out, &entry, Dialect::SevenBit);
    let Response::Data(Data::List { mailbox, items, .. }) = read(&out) else { panic!("not LIST") };
    same_name(&mailbox, &name);
    assert_eq!(items.len(), entry.attributes.len() + entry.special_use.len());
    out.clear();
    lsub(&mut out, &entry, Dialect::SevenBit);
    let Response::Data(Data::Lsub { mailbox, .. }) = read(&out) else { panic!("not LSUB") };
    same_name(&mailbox, &name);
}

fn status(values: &mut Values<'_>) {
    let name = values.name();
    let items = [
        (StatusItem::Messages, StatusValue::Number(values.number().into())),
        (StatusItem::UidNext, StatusValue::Number(values.number().max(1).into())),
        (StatusItem::Unseen, StatusValue::Number(values.number().into())),
    ];
    let items = items.get(..usize::from(values.byte() % 4)).unwrap_or_default();
    let mut out = Vec::new();
    hikyaku_imap_proto::response::status(&mut out, &name, items, Dialect::SevenBit);
    let Response::Data(Data::Status { mailbox, items: theirs }) = read(&out) else { panic!("not STATUS") };
    same_name(&mailbox, &name);
    assert_eq!(theirs.as_ref().len(), items.len());
}

fn flags_and_numbers(values: &mut Values<'_>) {
    let keyword = String::from_utf8_lossy(&values.text()).into_owned();
    let words: Vec<Flag> =
        Flag::SYSTEM.into_iter().chain(Keyword::parse(&keyword).map(Flag::Keyword)).collect();
    let mut out = Vec::new();
    flags(&mut out, &words);
    let Response::Data(Data::Flags(theirs)) = read(&out) else { panic!("not FLAGS") };
    assert_eq!(theirs.len(), words.len());
    let uids = values.uids();
    // Ranges are told as they are; SEARCH tells each number.
    if !uids.is_empty() {
        out.clear();
        vanished(&mut out, values.byte().is_multiple_of(2), &uids);
        assert!(matches!(read(&out), Response::Data(Data::Vanished { .. })));
    }
    let few: Vec<Uid> = uids.iter().take(50).collect();
    out.clear();
    search(&mut out, few.iter().copied(), None);
    let Response::Data(Data::Search(theirs, _)) = read(&out) else { panic!("not SEARCH") };
    assert!(theirs.iter().map(|number| number.get()).eq(few.iter().map(|uid| uid.get())));
}
