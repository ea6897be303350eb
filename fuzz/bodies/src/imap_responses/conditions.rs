//! OK, NO, BAD, PREAUTH and BYE with their codes, and the continuation request.

use hikyaku_imap_proto::Tag;
use hikyaku_imap_proto::capability::Capability;
use hikyaku_imap_proto::response::*;
use imap_codec::GreetingCodec;
use imap_codec::decode::Decoder;
use imap_codec::imap_types::core::Text;
use imap_codec::imap_types::response::{self as theirs, CommandContinuationRequest, Response, Status};

use super::read;
use super::values::Values;
use super::wire;

fn code(values: &mut Values<'_>) -> Code {
    let may_create = if values.flag() { MayCreate::Yes } else { MayCreate::No };
    match values.byte() % 17 {
        0 => Code::Alert,
        1 => Code::BadCharset(&["US-ASCII", "UTF-8"]),
        2 => {
            let mut told = values.chosen(Capability::ALL);
            told.push(Capability::Imap4Rev1);
            Code::Capability(told)
        }
        3 => Code::PermanentFlags(values.flags(), may_create),
        4 => Code::ReadOnly,
        5 => Code::ReadWrite,
        6 => Code::TryCreate,
        7 => Code::UidNext(values.one()),
        8 => Code::UidValidity(values.uid_validity()),
        9 => Code::Unseen(values.one()),
        10 => Code::AppendUid(values.uid_validity(), values.nonempty_set()),
        11 => Code::CopyUid(values.uid_validity(), values.nonempty_set(), values.nonempty_set()),
        12 => Code::HighestModSeq(values.modseq()),
        13 => Code::ModifiedSeqs(values.nonempty_set()),
        14 => Code::ModifiedUids(values.nonempty_set()),
        15 => Code::MailboxId(values.object_id()),
        _ => Code::Word(Word::ALL[usize::from(values.byte()) % Word::ALL.len()]),
    }
}

pub(super) fn conditions(values: &mut Values<'_>) {
    let kinds = [Condition::Ok, Condition::No, Condition::Bad, Condition::PreAuth, Condition::Bye];
    let condition = kinds[usize::from(values.byte()) % kinds.len()];
    let response = StatusResponse { condition, code: values.maybe(code), text: values.utf8().into() };
    let mut out = Vec::new();
    response.untagged(&mut out);
    let text = told(&out, &["*"], &response);
    match condition {
        Condition::PreAuth => {
            let (rest, greeting) = GreetingCodec::default().decode(&out).expect("a greeting");
            assert!(rest.is_empty());
            assert_eq!(greeting.text.inner(), text);
            same_code(greeting.code.as_ref(), response.code.as_ref());
        }
        Condition::Bye => {
            let Response::Status(Status::Bye(bye)) = read(&out) else { panic!("not BYE") };
            assert_eq!(bye.text.inner(), text);
            same_code(bye.code.as_ref(), response.code.as_ref());
        }
        _ => {
            let Response::Status(Status::Untagged(body)) = read(&out) else { panic!("no condition") };
            same_body(&body, &response, text);
            tagged(&values.tag(), &response);
        }
    }
    requests(&values.utf8());
}

fn tagged(tag: &Tag, response: &StatusResponse) {
    let mut out = Vec::new();
    response.tagged(&mut out, tag);
    let text = told(&out, &[tag.as_str()], response);
    let Response::Status(Status::Tagged(theirs)) = read(&out) else { panic!("not tagged") };
    assert_eq!(theirs.tag.inner(), tag.as_str());
    same_body(&theirs.body, response, text);
}

/// The text, after the line was read by our own rules.
fn told<'a>(printed: &'a [u8], start: &[&str], response: &StatusResponse) -> &'a str {
    let line = std::str::from_utf8(printed).expect("ASCII").strip_suffix("\r\n").expect("a line end");
    assert!(line.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{line:?}");
    let word = match response.condition {
        Condition::Ok => "OK",
        Condition::No => "NO",
        Condition::Bad => "BAD",
        Condition::PreAuth => "PREAUTH",
        Condition::Bye => "BYE",
    };
    let rest = line.strip_prefix(start[0]).and_then(|rest| rest.strip_prefix(' '));
    let rest = rest.and_then(|rest| rest.strip_prefix(word)).and_then(|rest| rest.strip_prefix(' '));
    let rest = rest.unwrap_or_else(|| panic!("{line:?} starts wrongly"));
    let text = match (&response.code, rest.strip_prefix('[')) {
        (Some(code), Some(rest)) => {
            let (printed, text) = rest.split_once("] ").expect("a code ends");
            assert_eq!(printed, code.to_string());
            wire::code(printed.as_bytes());
            text
        }
        (None, None) => rest,
        _ => panic!("{line:?} is read with another code"),
    };
    assert!(!text.is_empty(), "{line:?} has no text");
    text
}

fn same_body(theirs: &theirs::StatusBody<'_>, ours: &StatusResponse, text: &str) {
    let kind = match theirs.kind {
        theirs::StatusKind::Ok => Condition::Ok,
        theirs::StatusKind::No => Condition::No,
        theirs::StatusKind::Bad => Condition::Bad,
    };
    assert_eq!(kind, ours.condition);
    assert_eq!(theirs.text, Text::unvalidated(text));
    same_code(theirs.code.as_ref(), ours.code.as_ref());
}

fn same_code(theirs: Option<&theirs::Code<'_>>, ours: Option<&Code>) {
    use theirs::Code as Theirs;
    match (theirs, ours) {
        (None, None) => {}
        (Some(Theirs::UidNext(theirs)), Some(Code::UidNext(ours))) => assert_eq!(theirs.get(), ours.get()),
        (Some(Theirs::UidValidity(theirs)), Some(Code::UidValidity(ours))) => {
            assert_eq!(theirs.get(), ours.get());
        }
        (Some(Theirs::Unseen(theirs)), Some(Code::Unseen(ours))) => assert_eq!(theirs.get(), ours.get()),
        (Some(Theirs::HighestModSeq(theirs)), Some(Code::HighestModSeq(ours))) => {
            assert_eq!(theirs.get(), ours.get());
        }
        (Some(Theirs::PermanentFlags(theirs)), Some(Code::PermanentFlags(ours, may_create))) => {
            assert_eq!(theirs.len(), ours.len() + usize::from(*may_create == MayCreate::Yes));
        }
        (Some(Theirs::Capability(theirs)), Some(Code::Capability(ours))) => {
            assert_eq!(theirs.as_ref().len(), ours.len());
        }
        (
            Some(Theirs::CopyUid { uid_validity, source, destination }),
            Some(Code::CopyUid(ours, from, to)),
        ) => {
            assert_eq!(uid_validity.get(), ours.get());
            assert_eq!(source.0.as_ref().len(), from.ranges().count());
            assert_eq!(destination.0.as_ref().len(), to.ranges().count());
        }
        (Some(Theirs::Modified(_)), Some(Code::ModifiedSeqs(_) | Code::ModifiedUids(_))) => {}
        (
            Some(theirs),
            Some(
                Code::UidNext(_)
                | Code::UidValidity(_)
                | Code::Unseen(_)
                | Code::HighestModSeq(_)
                | Code::PermanentFlags(..)
                | Code::Capability(_)
                | Code::CopyUid(..)
                | Code::ModifiedSeqs(_)
                | Code::ModifiedUids(_),
            ),
        ) => panic!("{theirs:?} for {ours:?}"),
        // The others are words, or are not known to the codec.
        (Some(_), Some(_)) => {}
        (theirs, ours) => panic!("{theirs:?} for {ours:?}"),
    }
}

fn requests(text: &str) {
    let mut out = Vec::new();
    continuation(&mut out, text);
    let line = std::str::from_utf8(&out).expect("ASCII").strip_suffix("\r\n").expect("a line end");
    let printed = line.strip_prefix("+ ").expect("a continuation");
    assert!(printed.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{line:?}");
    let Response::CommandContinuationRequest(request) = read(&out) else { panic!("no continuation") };
    if let CommandContinuationRequest::Basic(basic) = request {
        assert_eq!((basic.code(), basic.text().inner()), (None, printed));
    }
}
