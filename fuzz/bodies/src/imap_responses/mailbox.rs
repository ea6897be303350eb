//! LIST, LSUB, STATUS, FLAGS, VANISHED and the counts.

use hikyaku_imap_proto::command::{SpecialUse, StatusItem};
use hikyaku_imap_proto::response::*;
use hikyaku_imap_proto::{Dialect, Flag, SeqNum, Uid, UidSet};
use imap_codec::imap_types::response::{Data, Response};
use imap_codec::imap_types::status::StatusDataItem;

use super::values::Values;
use super::wire::{self, Node};
use super::{in_dialects, name_on_the_wire, read, same_name};

pub(super) fn lists(values: &mut Values<'_>) {
    let name = values.name();
    let attributes = values.chosen(ListAttribute::ALL);
    let special_use = values.chosen(SpecialUse::ALL);
    let mut entry = ListEntry {
        name: &name,
        attributes: &attributes,
        special_use: &special_use,
        child_info: false,
        old_name: None,
    };
    let mut out = Vec::new();
    list(&mut out, &entry, Dialect::SevenBit);
    let Response::Data(Data::List { mailbox, items, .. }) = read(&out) else { panic!("not LIST") };
    same_name(&mailbox, &name);
    assert_eq!(items.len(), attributes.len() + special_use.len());
    out.clear();
    lsub(&mut out, &entry, Dialect::SevenBit);
    let Response::Data(Data::Lsub { mailbox, .. }) = read(&out) else { panic!("not LSUB") };
    same_name(&mailbox, &name);
    let old_name = values.maybe(Values::name);
    entry.child_info = values.flag();
    entry.old_name = old_name.as_ref();
    list_extended(&entry);
}

/// The codec does not know what stands behind the name.
fn list_extended(entry: &ListEntry<'_>) {
    let flags = entry.attributes.iter().map(|attribute| attribute.as_str());
    let flags: Vec<&str> = flags.chain(entry.special_use.iter().map(|use_| use_.as_str())).collect();
    let text = |text: &str| Node::Text(text.into());
    for (nodes, dialect) in in_dialects(|out, dialect| list(out, entry, dialect)).nodes {
        let [response, told, separator, name, extended @ ..] = nodes.as_slice() else {
            panic!("{nodes:?} is too short")
        };
        let start = (response, told, separator);
        assert_eq!(start, (&Node::atom("LIST"), &Node::atoms(&flags), &text("/")));
        assert_eq!(name.as_bytes(), name_on_the_wire(entry.name.as_str(), dialect));
        let mut expected = Vec::new();
        if entry.child_info {
            expected.extend([text("CHILDINFO"), Node::List(vec![text("SUBSCRIBED")])]);
        }
        let extended = match extended {
            [] => &[][..],
            [extended] => extended.as_list(),
            more => panic!("{more:?} is too much"),
        };
        match entry.old_name {
            None => assert_eq!(extended, expected),
            Some(old_name) => {
                let [start @ .., label, value] = extended else { panic!("no OLDNAME") };
                assert_eq!((start, label), (&*expected, &text("OLDNAME")));
                let [value] = value.as_list() else { panic!("not one OLDNAME") };
                assert_eq!(value.as_bytes(), name_on_the_wire(old_name.as_str(), dialect));
            }
        }
    }
}

pub(super) fn statuses(values: &mut Values<'_>) {
    let name = values.name();
    let known = [
        (StatusItem::Messages, StatusValue::Number(values.number().into())),
        (StatusItem::UidNext, StatusValue::Number(values.nz_number().get().into())),
        (StatusItem::Unseen, StatusValue::Number(values.number().into())),
        (StatusItem::Recent, StatusValue::Number(values.number().into())),
        (StatusItem::UidValidity, StatusValue::Number(values.nz_number().get().into())),
        (StatusItem::Deleted, StatusValue::Number(values.number().into())),
        (StatusItem::HighestModSeq, StatusValue::Number(values.number64())),
        (StatusItem::DeletedStorage, StatusValue::Number(values.number64())),
    ];
    let known = values.chosen(&known);
    let mut out = Vec::new();
    status(&mut out, &name, &known, Dialect::SevenBit);
    let Response::Data(Data::Status { mailbox, items }) = read(&out) else { panic!("not STATUS") };
    same_name(&mailbox, &name);
    assert_eq!(items.as_ref().len(), known.len());
    for (theirs, (_, ours)) in items.iter().zip(&known) {
        assert_eq!(StatusValue::Number(status_number(theirs)), *ours);
    }
    let limit = values.maybe(Values::number64).map_or(StatusValue::Nil, StatusValue::Number);
    let others = [
        (StatusItem::Size, StatusValue::Number(values.number64())),
        (StatusItem::AppendLimit, limit),
        (StatusItem::MailboxId, StatusValue::ObjectId(values.object_id())),
    ];
    let all = [known, values.chosen(&others)].concat();
    let expected: Vec<Node> = all
        .iter()
        .flat_map(|(item, value)| {
            let value = match value {
                StatusValue::Number(number) => Node::atom(number),
                StatusValue::Nil => Node::atom("NIL"),
                StatusValue::ObjectId(id) => Node::atoms([id]),
            };
            [Node::atom(item), value]
        })
        .collect();
    for (nodes, dialect) in in_dialects(|out, dialect| status(out, &name, &all, dialect)).nodes {
        assert_eq!(nodes[1].as_bytes(), name_on_the_wire(name.as_str(), dialect));
        assert_eq!(nodes[2..], [Node::List(expected.clone())]);
    }
}

fn status_number(item: &StatusDataItem) -> u64 {
    match item {
        StatusDataItem::Messages(number)
        | StatusDataItem::Recent(number)
        | StatusDataItem::Unseen(number)
        | StatusDataItem::Deleted(number) => (*number).into(),
        StatusDataItem::UidNext(number) | StatusDataItem::UidValidity(number) => number.get().into(),
        StatusDataItem::DeletedStorage(number) | StatusDataItem::HighestModSeq(number) => *number,
    }
}

pub(super) fn flags_and_numbers(values: &mut Values<'_>) {
    let words = values.flags();
    let mut out = Vec::new();
    flags(&mut out, &words);
    assert_eq!(wire::data(&out, Dialect::SevenBit)[1..], [Node::atoms(words.iter().map(Flag::as_str))]);
    let Response::Data(Data::Flags(theirs)) = read(&out) else { panic!("not FLAGS") };
    assert_eq!(theirs.len(), words.len());
    let (uids, is_earlier): (UidSet, bool) = (values.set(), values.flag());
    out.clear();
    vanished(&mut out, is_earlier, &uids);
    // Nothing is said of no UIDs.
    if uids.is_empty() {
        assert!(out.is_empty());
    } else {
        wire::data(&out, Dialect::SevenBit);
        let Response::Data(Data::Vanished { earlier, .. }) = read(&out) else { panic!("not VANISHED") };
        assert_eq!(earlier, is_earlier);
    }
    // Ranges are told as they are; SEARCH tells each number.
    let few: Vec<Uid> = uids.iter().take(50).collect();
    out.clear();
    search(&mut out, few.iter().copied(), None);
    let Response::Data(Data::Search(theirs, _)) = read(&out) else { panic!("not SEARCH") };
    assert!(theirs.iter().map(|number| number.get()).eq(few.iter().map(|uid| uid.get())));
}

pub(super) fn counts(values: &mut Values<'_>) {
    let count = values.number();
    let mut out = Vec::new();
    exists(&mut out, count);
    assert_eq!(wire::data(&out, Dialect::SevenBit), [Node::atom(count), Node::atom("EXISTS")]);
    assert!(matches!(read(&out), Response::Data(Data::Exists(theirs)) if theirs == count));
    out.clear();
    recent(&mut out, count);
    assert_eq!(wire::data(&out, Dialect::SevenBit), [Node::atom(count), Node::atom("RECENT")]);
    assert!(matches!(read(&out), Response::Data(Data::Recent(theirs)) if theirs == count));
    let seq: SeqNum = values.one();
    out.clear();
    expunge(&mut out, seq);
    assert_eq!(wire::data(&out, Dialect::SevenBit), [Node::atom(seq), Node::atom("EXPUNGE")]);
    assert!(matches!(read(&out), Response::Data(Data::Expunge(theirs)) if theirs.get() == seq.get()));
    out.clear();
    list_separator(&mut out);
    wire::data(&out, Dialect::SevenBit);
    let Response::Data(Data::List { items, .. }) = read(&out) else { panic!("not LIST") };
    assert_eq!(items.len(), 1);
}
