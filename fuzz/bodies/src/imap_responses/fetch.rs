//! FETCH, item by item.

use std::num::{NonZeroU32, NonZeroU64};

use hikyaku_imap_proto::command::FetchAtt;
use hikyaku_imap_proto::response::*;
use hikyaku_imap_proto::section::{FieldName, SectionText};
use hikyaku_imap_proto::{DateTime, Dialect, Flag, Partial, Section, SeqNum};
use imap_codec::imap_types::core::{NString, NString8};
use imap_codec::imap_types::fetch::{self, MessageDataItem};
use imap_codec::imap_types::response::{Data, Response};

use super::values::Values;
use super::wire::{self, Node, without_nul};
use super::{read, same_in_dialects};

/// Between these there is room for every zone in years of four digits.
const YEARS: std::ops::Range<i64> = -62_167_000_000..253_402_000_000;

fn print(out: &mut Vec<u8>, seq: SeqNum, dialect: Dialect, items: impl FnOnce(&mut FetchWriter<'_>)) {
    let mut writer = FetchWriter::new(out, seq, dialect);
    items(&mut writer);
    writer.finish();
}

/// The items, after they were read by our own rules.
fn items_of(printed: &[u8], dialect: Dialect) -> Vec<Node> {
    match wire::data(printed, dialect).as_slice() {
        [Node::Atom(_), fetch, Node::List(items)] if *fetch == Node::atom("FETCH") => items.clone(),
        nodes => panic!("{nodes:?} is not FETCH"),
    }
}

fn read_items(printed: &[u8], seq: SeqNum) -> Vec<MessageDataItem<'_>> {
    let Response::Data(Data::Fetch { seq: theirs, items }) = read(printed) else { panic!("not FETCH") };
    assert_eq!(theirs.get(), seq.get());
    items.into_inner()
}

fn same(theirs: &NString<'_>, ours: Option<&[u8]>) {
    assert_eq!(theirs.clone().into_option().map(|text| text.to_vec()), ours.map(without_nul));
}

pub(super) fn structure(values: &mut Values<'_>) {
    let (envelope, structure) = (values.envelope(), values.structure(0));
    let content = without_nul(values.0);
    let seq = SeqNum::new(7).unwrap();
    let whole =
        FetchAtt::BodySection { peek: true, section: Section { part: vec![], text: None }, partial: None };
    let out = same_in_dialects(|out, dialect| {
        print(out, seq, dialect, |writer| {
            writer.envelope(&envelope);
            writer.body_structure(&structure);
            writer.body(&structure);
            writer.content(&whole, Some(&content));
        });
    });
    let items = read_items(&out, seq);
    assert_eq!(items.len(), 4);
    for item in items {
        match item {
            MessageDataItem::Envelope(theirs) => same_envelope(&theirs, &envelope),
            MessageDataItem::BodyExt { data, .. } => same(&data, Some(&content)),
            _ => {}
        }
    }
    printed_before(seq, &envelope);
}

fn same_envelope(theirs: &imap_codec::imap_types::envelope::Envelope<'_>, ours: &Envelope<'_>) {
    same(&theirs.subject, ours.subject.as_deref());
    same(&theirs.message_id, ours.message_id.as_deref());
    assert_eq!(theirs.to.len(), ours.to.len());
    for (theirs, ours) in theirs.from.iter().zip(&ours.from) {
        same(&theirs.name, ours.name.as_deref());
        same(&theirs.host, ours.host.as_deref());
    }
}

/// A value that is kept and printed again reads as it did.
fn printed_before(seq: SeqNum, envelope: &Envelope<'_>) {
    for dialect in [Dialect::SevenBit, Dialect::Utf8] {
        let (mut value, mut now, mut kept) = (Vec::new(), Vec::new(), Vec::new());
        envelope.print(&mut value, dialect);
        print(&mut now, seq, dialect, |writer| writer.envelope(envelope));
        print(&mut kept, seq, dialect, |writer| writer.printed("ENVELOPE", &value));
        assert_eq!(now, kept);
    }
}

/// What is known of a message without its content.
pub(super) fn facts(values: &mut Values<'_>) {
    let (seq, uid): (SeqNum, _) = (values.one(), values.one());
    let (flags, recent, date) = (values.flags(), values.flag(), values.date());
    let (size, modseq, part) = (values.number(), values.modseq(), values.part());
    let mut out = Vec::new();
    print(&mut out, seq, Dialect::SevenBit, |writer| {
        writer.uid(uid);
        writer.flags(&flags, recent);
        writer.internal_date(&date);
        writer.rfc822_size(size.into());
        writer.modseq(modseq);
        writer.binary_size(&part, size.into());
    });
    let told = flags.iter().map(Flag::as_str).chain(recent.then_some("\\Recent"));
    assert_eq!(items_of(&out, Dialect::SevenBit)[3], Node::atoms(told));
    let items = read_items(&out, seq);
    assert_eq!(items.len(), 6);
    for item in items {
        match item {
            MessageDataItem::Uid(theirs) => assert_eq!(theirs.get(), uid.get()),
            MessageDataItem::Flags(theirs) => assert_eq!(theirs.len(), flags.len() + usize::from(recent)),
            MessageDataItem::InternalDate(theirs) => {
                assert_eq!(theirs.as_ref().offset().local_minus_utc(), i32::from(date.offset_minutes) * 60);
                if YEARS.contains(&date.at.as_secs()) {
                    assert_eq!(theirs.as_ref().timestamp(), date.at.as_secs());
                }
            }
            MessageDataItem::Rfc822Size(theirs) => assert_eq!(theirs, size),
            MessageDataItem::ModSeq(theirs) => assert_eq!(theirs.get(), modseq.get()),
            MessageDataItem::BinarySize { section, size: theirs } => {
                assert_eq!((section, theirs), (part.clone(), size));
            }
            item => panic!("{item:?} was not printed"),
        }
    }
}

/// What the codec does not know.
pub(super) fn extensions(values: &mut Values<'_>) {
    let (seq, size, part) = (values.one(), values.number64(), values.part());
    let (email, thread) = (values.object_id(), values.maybe(Values::object_id));
    let (preview, date) = (values.maybe(Values::utf8), values.maybe(Values::date));
    let out = same_in_dialects(|out, dialect| {
        print(out, seq, dialect, |writer| {
            writer.email_id(&email);
            writer.thread_id(thread.as_deref());
            writer.preview(preview.as_deref());
            writer.save_date(date.as_ref());
            writer.rfc822_size(size);
            writer.binary_size(&part, size);
        });
    });
    let part = part.iter().map(ToString::to_string).collect::<Vec<_>>().join(".");
    let expected = [
        Node::atom("EMAILID"),
        Node::atoms([email]),
        Node::atom("THREADID"),
        thread.map_or(Node::atom("NIL"), |thread| Node::atoms([thread])),
        Node::atom("PREVIEW"),
        Node::nstring(preview.as_deref().map(str::as_bytes)),
        Node::atom("SAVEDATE"),
        date.map_or(Node::atom("NIL"), |date| Node::Text(date_time(&date))),
        Node::atom("RFC822.SIZE"),
        Node::atom(size),
        Node::atom(format!("BINARY.SIZE[{part}]")),
        Node::atom(size),
    ];
    assert_eq!(items_of(&out, Dialect::SevenBit), expected);
}

/// `date-time` without its quotes: [`facts`] has it read by others.
fn date_time(date: &DateTime) -> Vec<u8> {
    let text = date.to_string();
    assert_eq!(text.len(), "\" 1-Feb-1994 21:52:25 -0800\"".len(), "{text}");
    text.trim_matches('"').into()
}

/// Contents, whole and in part.
pub(super) fn contents(values: &mut Values<'_>) {
    let (seq, uid) = (values.one(), values.one());
    let partial = values.maybe(|values| Partial {
        first: values.number().into(),
        length: NonZeroU64::from(values.nz_number()),
    });
    let peek = values.flag();
    let att = match values.byte() % 5 {
        0 => FetchAtt::Rfc822,
        1 => FetchAtt::Rfc822Header,
        2 => FetchAtt::Rfc822Text,
        3 => FetchAtt::Binary { peek, part: values.part(), partial },
        _ => FetchAtt::BodySection { peek, section: values.section(), partial },
    };
    let is_binary = matches!(att, FetchAtt::Binary { .. });
    // Only a decoded part may have octet 0.
    let content =
        values.maybe(|values| if is_binary { values.text().to_vec() } else { without_nul(&values.text()) });
    let out = same_in_dialects(|out, dialect| {
        print(out, seq, dialect, |writer| {
            writer.content(&att, content.as_deref());
            writer.uid(uid);
        });
    });
    let value = content.clone().map_or(Node::atom("NIL"), Node::Text);
    assert_eq!(items_of(&out, Dialect::SevenBit)[1..], [value, Node::atom("UID"), Node::atom(uid)]);
    // The codec does not know `BINARY[1]<0>`.
    if is_binary && partial.is_some() {
        return;
    }
    let items = read_items(&out, seq);
    assert_eq!(items.len(), 2);
    match (&items[0], &att) {
        (MessageDataItem::Rfc822(data), FetchAtt::Rfc822)
        | (MessageDataItem::Rfc822Header(data), FetchAtt::Rfc822Header)
        | (MessageDataItem::Rfc822Text(data), FetchAtt::Rfc822Text) => same(data, content.as_deref()),
        (MessageDataItem::BodyExt { section, origin, data }, FetchAtt::BodySection { section: ours, .. }) => {
            same_section(section.as_ref(), ours);
            assert_eq!(origin.map(u64::from), partial.map(|partial| partial.first));
            same(data, content.as_deref());
        }
        (MessageDataItem::Binary { section, value }, FetchAtt::Binary { part, .. }) => {
            assert_eq!(section, part);
            match value {
                NString8::NString(data) => same(data, content.as_deref()),
                NString8::Literal8(data) => assert_eq!(Some(&*data.data), content.as_deref()),
            }
        }
        (item, att) => panic!("{item:?} for {att}"),
    }
}

fn same_section(theirs: Option<&fetch::Section<'_>>, ours: &Section) {
    use fetch::Section as Theirs;
    let (part, fields) = match theirs {
        None => (None, None),
        Some(Theirs::Part(part) | Theirs::Mime(part)) => (Some(part), None),
        Some(Theirs::Header(part) | Theirs::Text(part)) => (part.as_ref(), None),
        Some(Theirs::HeaderFields(part, fields) | Theirs::HeaderFieldsNot(part, fields)) => {
            (part.as_ref(), Some(fields))
        }
    };
    let is_same_kind = matches!(
        (theirs, &ours.text),
        (None | Some(Theirs::Part(_)), None)
            | (Some(Theirs::Mime(_)), Some(SectionText::Mime))
            | (Some(Theirs::Header(_)), Some(SectionText::Header))
            | (Some(Theirs::Text(_)), Some(SectionText::Text))
            | (Some(Theirs::HeaderFields(..)), Some(SectionText::HeaderFields(_)))
            | (Some(Theirs::HeaderFieldsNot(..)), Some(SectionText::HeaderFieldsNot(_)))
    );
    assert!(is_same_kind, "{theirs:?} for {ours}");
    let numbers: &[NonZeroU32] = part.map_or(&[], |part| part.0.as_ref());
    assert_eq!(numbers, ours.part);
    if let (Some(theirs), Some(SectionText::HeaderFields(ours) | SectionText::HeaderFieldsNot(ours))) =
        (fields, &ours.text)
    {
        let names = theirs.as_ref().iter().map(|name| name.as_ref());
        assert!(names.eq(ours.iter().map(FieldName::as_str).map(str::as_bytes)), "{theirs:?} for {ours:?}");
    }
}
