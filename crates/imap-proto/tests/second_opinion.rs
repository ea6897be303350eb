//! What the printers print, read by another implementation, `imap-codec`.

use hikyaku_imap_proto::capability::Capability;
use hikyaku_imap_proto::command::{FetchAtt, StatusItem};
use hikyaku_imap_proto::response::*;
use hikyaku_imap_proto::{
    DateTime, Dialect, Flag, MailboxName, ModSeq, Partial, Section, SeqNum, Tag, Uid, UidSet, UidValidity,
};
use hikyaku_types::Timestamp;
use imap_codec::ResponseCodec;
use imap_codec::decode::Decoder;
use imap_codec::imap_types::fetch::MessageDataItem;
use imap_codec::imap_types::response::{Data, Response};
use proptest::prelude::*;

/// Reads what was printed, all of it.
fn read(printed: &[u8]) -> Response<'_> {
    match ResponseCodec::default().decode(printed) {
        Ok((b"", response)) => response,
        Ok((rest, response)) => panic!("{response:?}, and behind it {}", rest.escape_ascii()),
        Err(error) => panic!("{error:?} in {}", printed.escape_ascii()),
    }
}

/// Prints, and has it read.
fn check_print(print: impl FnOnce(&mut Vec<u8>)) {
    let mut out = Vec::new();
    print(&mut out);
    read(&out);
}

fn uids(ranges: &[(u32, u32)]) -> UidSet {
    UidSet::from_ranges(ranges.iter().map(|(a, b)| (Uid::new(*a).unwrap(), Uid::new(*b).unwrap())))
}

#[test]
fn status_responses() {
    let validity = UidValidity::new(5).unwrap();
    let responses = [
        StatusResponse::greeting(vec![Capability::Imap4Rev1, Capability::Idle]),
        StatusResponse::bye_shutdown(),
        StatusResponse::authentication_failed(),
        StatusResponse::selected(),
        StatusResponse::selected_read_only(),
        StatusResponse::closed(),
        StatusResponse::permanent_flags(Flag::SYSTEM.to_vec(), MayCreate::Yes),
        StatusResponse::uid_validity(validity),
        StatusResponse::uid_next(Uid::new(9).unwrap()),
        StatusResponse::unseen(SeqNum::new(3).unwrap()),
        StatusResponse::highest_modseq(ModSeq::new(77).unwrap()),
        StatusResponse::appended(validity, uids(&[(3, 3)])),
        StatusResponse::copied(validity, uids(&[(1, 3), (7, 7)]), uids(&[(10, 13)])),
        StatusResponse::modified_uids(uids(&[(1, 3), (7, 7)])),
        StatusResponse::try_create(),
        StatusResponse::over_quota(),
        StatusResponse::no_such_mailbox(),
        StatusResponse::bad_charset(),
        StatusResponse::too_big(),
        StatusResponse::out_of_range(),
    ];
    let tag = Tag::parse(b"A1").unwrap();
    for response in responses {
        if response.condition != Condition::Bye {
            check_print(|out| response.tagged(out, &tag));
        }
        check_print(|out| response.untagged(out));
    }
}

#[test]
fn untagged_data() {
    let name = MailboxName::new("Entwürfe/a b").unwrap();
    let dialect = Dialect::SevenBit;
    check_print(|out| capability(out, Capability::ALL.iter().copied()));
    check_print(|out| enabled(out, &[Capability::CondStore, Capability::Utf8Accept]));
    check_print(|out| flags(out, &Flag::SYSTEM));
    check_print(|out| exists(out, 0));
    check_print(|out| recent(out, u32::MAX));
    check_print(|out| expunge(out, SeqNum::new(1).unwrap()));
    check_print(|out| vanished(out, true, &uids(&[(1, 5), (9, 9)])));
    check_print(|out| vanished(out, false, &uids(&[(1, 5)])));
    check_print(|out| id(out, &[("name", "Hikyaku"), ("version", "1")]));
    check_print(|out| namespace(out, &[""], &[], &["Public/"], dialect));
    check_print(list_separator);
    let entry = ListEntry {
        name: &name,
        attributes: &[ListAttribute::HasNoChildren, ListAttribute::Subscribed],
        special_use: &[hikyaku_imap_proto::command::SpecialUse::Drafts],
        child_info: false,
        old_name: None,
    };
    check_print(|out| list(out, &entry, dialect));
    check_print(|out| lsub(out, &entry, dialect));
    let items = [
        (StatusItem::Messages, StatusValue::Number(1)),
        (StatusItem::UidNext, StatusValue::Number(4_294_967_295)),
        (StatusItem::HighestModSeq, StatusValue::Number(9)),
    ];
    check_print(|out| status(out, &name, &items, dialect));
    check_print(|out| search::<Uid>(out, [], None));
    check_print(|out| search(out, uids(&[(1, 5)]).iter(), None));
    check_print(|out| sort(out, uids(&[(1, 5)]).iter(), None));
    let storage = QuotaResource { name: "STORAGE", usage: 10, limit: 512 };
    check_print(|out| quota(out, "user", &[storage], dialect));
    check_print(|out| quota_root(out, &name, &["user", ""], dialect));
    let node = |depth, number| ThreadNode { depth, number: SeqNum::new(number) };
    check_print(|out| {
        thread(out, &[node(0, 2), node(0, 3), node(1, 6), node(2, 4), node(3, 23), node(2, 44)]);
    });
    check_print(|out| thread(out, &[node(0, 0), node(1, 3), node(1, 5)]));
}

fn text() -> impl Strategy<Value = Bytes<'static>> {
    prop::collection::vec(prop_oneof![4 => 0x20u8..0x7f, 1 => any::<u8>()], 0..12).prop_map(Bytes::from)
}

fn nstring() -> impl Strategy<Value = Option<Bytes<'static>>> {
    prop::option::of(text())
}

fn addresses() -> impl Strategy<Value = Vec<EnvelopeAddress<'static>>> {
    let address = (nstring(), nstring(), nstring(), nstring())
        .prop_map(|(name, route, mailbox, host)| EnvelopeAddress { name, route, mailbox, host });
    prop::collection::vec(address, 0..3)
}

fn envelope() -> impl Strategy<Value = Envelope<'static>> {
    let people = (addresses(), addresses(), addresses(), addresses(), addresses(), addresses());
    (nstring(), nstring(), people, nstring(), nstring()).prop_map(
        |(date, subject, (from, sender, reply_to, to, cc, bcc), in_reply_to, message_id)| Envelope {
            date,
            subject,
            from,
            sender,
            reply_to,
            to,
            cc,
            bcc,
            in_reply_to,
            message_id,
        },
    )
}

fn parameters() -> impl Strategy<Value = Parameters<'static>> {
    prop::collection::vec((text(), text()), 0..3)
}

fn extension() -> impl Strategy<Value = Extension<'static>> {
    let disposition = (text(), parameters()).prop_map(|(kind, parameters)| Disposition { kind, parameters });
    (prop::option::of(disposition), prop::collection::vec(text(), 0..3), nstring())
        .prop_map(|(disposition, language, location)| Extension { disposition, language, location })
}

fn single(
    kind: impl Strategy<Value = SinglePartKind<'static>>,
) -> impl Strategy<Value = BodyStructure<'static>> {
    let fields = (parameters(), nstring(), nstring(), text(), any::<u32>()).prop_map(
        |(parameters, id, description, encoding, size)| BodyFields {
            parameters,
            id,
            description,
            encoding,
            size: size.into(),
        },
    );
    (kind, fields, nstring(), extension()).prop_map(|(kind, fields, md5, extension)| {
        BodyStructure::Single(Box::new(SinglePart { kind, fields, md5, extension }))
    })
}

fn body_structure() -> impl Strategy<Value = BodyStructure<'static>> {
    let leaf = single(prop_oneof![
        any::<u32>()
            .prop_map(|lines| SinglePartKind::Text { subtype: b"plain"[..].into(), lines: lines.into() }),
        Just(SinglePartKind::Basic { media_type: b"application"[..].into(), subtype: b"pdf"[..].into() }),
    ]);
    leaf.prop_recursive(3, 12, 3, |inner| {
        let message = (envelope(), inner.clone(), any::<u32>()).prop_map(|(envelope, body, lines)| {
            let (subtype, envelope) = (b"rfc822"[..].into(), Box::new(envelope));
            SinglePartKind::Message { subtype, envelope, body, lines: lines.into() }
        });
        let parts = prop::collection::vec(inner, 0..3);
        prop_oneof![
            single(message),
            (parts, text(), parameters(), extension()).prop_map(|(parts, subtype, parameters, extension)| {
                BodyStructure::Multi(Box::new(MultiPart { parts, subtype, parameters, extension }))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn fetch_responses(
        envelope in envelope(),
        structure in body_structure(),
        content in prop::collection::vec(1u8.., 0..40),
        modseq in 1..=i64::MAX as u64,
        seconds in -2_000_000_000i64..40_000_000_000,
    ) {
        let mut out = Vec::new();
        let mut fetch = FetchWriter::new(&mut out, SeqNum::new(12).unwrap(), Dialect::SevenBit);
        fetch.uid(Uid::new(3).unwrap());
        fetch.flags(&Flag::SYSTEM, true);
        fetch.internal_date(&DateTime::utc(Timestamp::from_secs(seconds)));
        fetch.rfc822_size(content.len() as u64);
        fetch.modseq(ModSeq::new(modseq).unwrap());
        fetch.envelope(&envelope);
        fetch.body(&structure);
        fetch.body_structure(&structure);
        let partial = Some(Partial { first: 5, length: 9.try_into().unwrap() });
        let section = Section { part: vec![1.try_into().unwrap()], text: None };
        fetch.content(&FetchAtt::BodySection { peek: true, section, partial }, Some(&content));
        fetch.content(&FetchAtt::Rfc822Header, Some(&content));
        fetch.content(&FetchAtt::Binary { peek: true, part: vec![2.try_into().unwrap()], partial: None }, Some(&content));
        fetch.finish();
        let Response::Data(Data::Fetch { seq, items }) = read(&out) else {
            panic!("not FETCH: {}", out.escape_ascii())
        };
        prop_assert_eq!((seq.get(), items.as_ref().len()), (12, 11));
        let Some(MessageDataItem::Envelope(theirs)) = items.as_ref().get(5) else { panic!("{items:?}") };
        let subject = envelope.subject.map(|text| text.iter().copied().filter(|byte| *byte != 0).collect::<Vec<_>>());
        prop_assert_eq!(theirs.subject.clone().into_option().map(|text| text.to_vec()), subject);
        prop_assert_eq!(theirs.from.len(), envelope.from.len());
        prop_assert_eq!(theirs.cc.len(), envelope.cc.len());
    }
}
