//! What responses are made of, made of a fuzzer's bytes.
//!
//! A value here is one that the printers are meant for: what their types cannot say (an id's
//! characters, a set with something in it) is seen to here.

use std::num::NonZeroU32;

use hikyaku_imap_proto::response::*;
use hikyaku_imap_proto::section::{FieldName, SectionText};
use hikyaku_imap_proto::{
    DateTime, Flag, Keyword, MailboxName, ModSeq, Number, NumberSet, Section, Tag, UidValidity,
};
use hikyaku_types::Timestamp;

/// How deep parts lie within parts: the codec ends at some depth of its own.
const DEEPEST: usize = 3;

/// A text so often is too long for quotes, whatever it is.
const LONG_TEXT: usize = 1001;

/// Values made of the fuzzer's bytes, in order; zeros and empty texts when they are used up.
pub(super) struct Values<'a>(pub(super) &'a [u8]);

impl<'a> Values<'a> {
    pub(super) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub(super) fn number(&mut self) -> u32 {
        u32::from_be_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }

    /// Some are longer than a quoted string may be.
    pub(super) fn text(&mut self) -> Bytes<'a> {
        let asked = self.byte();
        let length = usize::from(asked % 32).min(self.0.len());
        let (text, rest) = self.0.split_at(length);
        self.0 = rest;
        if asked == u8::MAX { text.repeat(LONG_TEXT).into() } else { text.into() }
    }

    pub(super) fn utf8(&mut self) -> String {
        String::from_utf8_lossy(&self.text()).into_owned()
    }

    pub(super) fn flag(&mut self) -> bool {
        self.byte().is_multiple_of(2)
    }

    pub(super) fn nz_number(&mut self) -> NonZeroU32 {
        NonZeroU32::new(self.number()).unwrap_or(NonZeroU32::MIN)
    }

    /// `number64`
    pub(super) fn number64(&mut self) -> u64 {
        (u64::from(self.number()) << 32 | u64::from(self.number())) >> 1
    }

    /// From 1 on: it stands in a response.
    pub(super) fn modseq(&mut self) -> ModSeq {
        ModSeq::new(self.number64().max(1)).unwrap_or(ModSeq::MAX)
    }

    pub(super) fn uid_validity(&mut self) -> UidValidity {
        self.one()
    }

    pub(super) fn maybe<T>(&mut self, one: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.flag().then(|| one(self))
    }

    pub(super) fn one<N: Number>(&mut self) -> N {
        N::from_nonzero(self.nz_number())
    }

    /// Any of these, in their order.
    pub(super) fn chosen<T: Clone>(&mut self, all: &[T]) -> Vec<T> {
        let mut mask = 0;
        let mut chosen = Vec::new();
        for (index, one) in all.iter().enumerate() {
            if index.is_multiple_of(8) {
                mask = self.byte();
            }
            if mask >> (index % 8) & 1 == 1 {
                chosen.push(one.clone());
            }
        }
        chosen
    }

    /// `objectid`
    pub(super) fn object_id(&mut self) -> String {
        const CHARS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let text = self.text();
        let id: String = text.iter().map(|byte| char::from(CHARS[usize::from(byte % 64)])).collect();
        if id.is_empty() { "M".into() } else { id }
    }

    pub(super) fn flags(&mut self) -> Vec<Flag> {
        let keywords = self.some(|values| Keyword::parse(&values.utf8()));
        let system = self.chosen(&Flag::SYSTEM);
        system.into_iter().chain(keywords.into_iter().flatten().map(Flag::Keyword)).collect()
    }

    pub(super) fn date(&mut self) -> DateTime {
        let (number, factor) = (self.number().cast_signed(), self.byte() % 128);
        let seconds = i64::from(number) * i64::from(factor);
        let offset = i16::from_be_bytes([self.byte(), self.byte()]) % (24 * 60);
        DateTime { at: Timestamp::from_secs(seconds), offset_minutes: offset }
    }

    pub(super) fn tag(&mut self) -> Tag {
        Tag::parse(&self.text()).unwrap_or_else(|| Tag::parse(b"a1").expect("a tag"))
    }

    pub(super) fn part(&mut self) -> Vec<NonZeroU32> {
        self.some(Self::nz_number)
    }

    pub(super) fn section(&mut self) -> Section {
        let part = self.part();
        let text = match self.byte() % 6 {
            0 => None,
            1 => Some(SectionText::Header),
            2 => Some(SectionText::HeaderFields(self.fields())),
            3 => Some(SectionText::HeaderFieldsNot(self.fields())),
            4 if !part.is_empty() => Some(SectionText::Mime),
            _ => Some(SectionText::Text),
        };
        Section { part, text }
    }

    fn fields(&mut self) -> Vec<FieldName> {
        let first = FieldName::parse(b"Date").expect("a name");
        let more = self.some(|values| FieldName::parse(&values.text()));
        std::iter::once(first).chain(more.into_iter().flatten()).collect()
    }

    pub(super) fn nstring(&mut self) -> Option<Bytes<'a>> {
        self.maybe(Self::text)
    }

    pub(super) fn some<T>(&mut self, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.byte() % 3).map(|_| one(self)).collect()
    }

    pub(super) fn name(&mut self) -> MailboxName {
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

    pub(super) fn envelope(&mut self) -> Envelope<'a> {
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
        Extension {
            disposition: self
                .maybe(|values| Disposition { kind: values.text(), parameters: values.parameters() }),
            language: self.some(Self::text),
            location: self.nstring(),
        }
    }

    pub(super) fn structure(&mut self, depth: usize) -> BodyStructure<'a> {
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

    pub(super) fn set<N: Number>(&mut self) -> NumberSet<N> {
        NumberSet::from_ranges(self.some(|values| (values.one(), values.one())))
    }

    /// As [`Self::set`], with something in it.
    pub(super) fn nonempty_set<N: Number>(&mut self) -> NumberSet<N> {
        let mut set = self.set();
        set.insert(self.one());
        set
    }
}
