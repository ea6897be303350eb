//! Fuzz body of imap-proto's printers: whatever they are given, another implementation reads
//! what they print, all of it, and finds the same in it. What it does not know, and what is
//! printed in the UTF-8 dialect, is read by the rules of the grammar alone.

mod account;
mod conditions;
mod fetch;
mod mailbox;
mod search;
mod values;
mod wire;

use hikyaku_imap_proto::{Dialect, MailboxName, utf7};
use imap_codec::ResponseCodec;
use imap_codec::decode::Decoder;
use imap_codec::imap_types::mailbox::Mailbox;
use imap_codec::imap_types::response::Response;

use self::values::Values;
use self::wire::Node;

/// The bytes choose a response and what is in it.
pub fn imap_responses(data: &[u8]) {
    let mut values = Values(data);
    let body = match values.byte() % 12 {
        0 => fetch::structure,
        1 => mailbox::lists,
        2 => mailbox::statuses,
        3 => mailbox::flags_and_numbers,
        4 => fetch::facts,
        5 => fetch::extensions,
        6 => fetch::contents,
        7 => search::search_and_sort,
        8 => search::esearch,
        9 => search::threads,
        10 => account::account,
        _ => {
            if values.flag() {
                mailbox::counts
            } else {
                conditions::conditions
            }
        }
    };
    body(&mut values);
}

fn read(printed: &[u8]) -> Response<'_> {
    match ResponseCodec::default().decode(printed) {
        Ok((b"", response)) => response,
        Ok((rest, response)) => panic!("{response:?}, and behind it {}", rest.escape_ascii()),
        Err(error) => panic!("{error:?} in {}", printed.escape_ascii()),
    }
}

/// One response, printed in both dialects and read by our own rules.
struct Printed {
    /// The line of the dialect that the codec knows.
    seven_bit: Vec<u8>,
    nodes: [(Vec<Node>, Dialect); 2],
}

fn in_dialects(print: impl Fn(&mut Vec<u8>, Dialect)) -> Printed {
    let (mut seven_bit, mut utf8) = (Vec::new(), Vec::new());
    print(&mut seven_bit, Dialect::SevenBit);
    print(&mut utf8, Dialect::Utf8);
    let nodes = [(&seven_bit, Dialect::SevenBit), (&utf8, Dialect::Utf8)]
        .map(|(line, dialect)| (wire::data(line, dialect), dialect));
    Printed { seven_bit, nodes }
}

/// As [`in_dialects`], for what has no mailbox names: both lines say the same.
fn same_in_dialects(print: impl Fn(&mut Vec<u8>, Dialect)) -> Vec<u8> {
    let printed = in_dialects(print);
    assert_eq!(printed.nodes[0].0, printed.nodes[1].0);
    printed.seven_bit
}

/// A mailbox's name as it is encoded.
fn name_on_the_wire(name: &str, dialect: Dialect) -> Vec<u8> {
    match dialect {
        Dialect::SevenBit => utf7::encode(name).into_bytes(),
        Dialect::Utf8 => name.into(),
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
