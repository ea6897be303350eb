//! Fuzz bodies of imap-proto: what must hold for any bytes.
//!
//! Each body takes the fuzzer's bytes and panics if a promise is broken. The crate's own
//! tests drive the same bodies with random bytes and with the seeds of `fuzz/corpus`.

use hikyaku_imap_proto::framer::{Event, Limits, LineEnds};
use hikyaku_imap_proto::table::{State, request};
use hikyaku_imap_proto::{By, Command, Dialect, Framer, SeqEnd, SeqNum, SequenceSet, Uid, View, utf7};

/// Small limits, so that short inputs reach them.
const LIMITS: Limits = Limits {
    line_bytes: 600,
    literal_bytes: 200,
    message_bytes: 500,
    swallowed_bytes: 4000,
    line_ends: LineEnds::Crlf,
};

/// The first byte chooses a split; the rest is a client's stream. However it is split, the
/// same commands come out; each is parsed, and what was parsed prints to itself.
pub fn imap_commands(data: &[u8]) {
    let Some((split, stream)) = data.split_first() else { return };
    let step = usize::from(*split).max(1);
    let whole = happenings(stream, stream.len().max(1));
    let split = happenings(stream, step);
    assert_eq!(whole, split, "splits of {step} bytes make a difference");
    for text in &whole {
        if let Some(command) = text.strip_prefix(b"command ") {
            parse_and_print(command);
        }
    }
}

/// What the framer says of `stream`, read in pieces of `step` bytes.
fn happenings(stream: &[u8], step: usize) -> Vec<Vec<u8>> {
    let mut framer = Framer::new(LIMITS);
    let mut log: Vec<Vec<u8>> = Vec::new();
    for piece in stream.chunks(step) {
        let mut input = piece;
        while let Some(event) = framer.next(&mut input) {
            let mut takes = None;
            let mut wants_line = false;
            match event {
                Event::Chunk(chunk) => match log.last_mut().filter(|last| last.starts_with(b"chunk ")) {
                    Some(last) => last.extend_from_slice(chunk),
                    None => log.push([b"chunk ", chunk].concat()),
                },
                Event::Command(text) => {
                    wants_line = text.ends_with(b"IDLE");
                    log.push([b"command ", text].concat());
                }
                Event::Message(announced) => {
                    assert!(announced.size_bytes <= LIMITS.message_bytes);
                    takes = Some(announced.size_bytes % 3 != 0);
                    // The server reads the beginning of the command to decide.
                    let _ = request(announced.head, State::Authenticated, Dialect::SevenBit);
                    log.push([b"message ", announced.head].concat());
                }
                other => log.push(format!("{other:?}").into_bytes()),
            }
            match takes {
                Some(true) => framer.take_message(),
                Some(false) => framer.refuse_message(),
                None => {}
            }
            if wants_line {
                framer.expect_line();
            }
        }
    }
    log
}

/// `parse(print(x)) == x`, in both dialects and in every state that allows it.
fn parse_and_print(text: &[u8]) {
    for dialect in [Dialect::SevenBit, Dialect::Utf8] {
        for state in [State::NotAuthenticated, State::Selected] {
            let Ok(parsed) = request(text, state, dialect) else { continue };
            // A password may hold what only a literal of a client can, and is not printed back.
            if matches!(parsed.command, Command::Login(_) | Command::Authenticate(_)) {
                continue;
            }
            let printed = [parsed.tag.as_str().as_bytes(), b" ", &parsed.command.print(dialect)].concat();
            match request(&printed, state, dialect) {
                Ok(again) => {
                    assert_eq!(again.command, parsed.command, "{}", printed.escape_ascii());
                    assert_eq!(again.row.name, parsed.row.name);
                }
                Err(error) => panic!("{} does not parse: {error}", printed.escape_ascii()),
            }
        }
    }
}

/// A name that decodes is the only spelling of itself; any text encodes and decodes.
pub fn imap_utf7(data: &[u8]) {
    if let Ok(name) = utf7::decode(data) {
        assert_eq!(utf7::encode(&name).as_bytes(), data);
    }
    if let Ok(name) = utf7::decode_or_raw_utf8(data) {
        assert_eq!(utf7::decode(utf7::encode(&name).as_bytes()).as_deref(), Ok(name.as_str()));
    }
    let text = String::from_utf8_lossy(data);
    assert_eq!(utf7::decode(utf7::encode(&text).as_bytes()).as_deref(), Ok(&*text));
}

/// The bytes are operations on a view, two bytes each. Beside it goes a client that keeps a
/// plain list of UIDs and applies what it is told, and a mailbox that keeps what is there.
pub fn imap_view(data: &[u8]) {
    let Some((first, operations)) = data.split_first() else { return };
    let mut there: Vec<u32> =
        (1..=u32::from(*first % 20)).map(|n| n * (1 + u32::from(*first) / 100)).collect();
    let mut client = there.clone();
    let mut next_uid = there.last().copied().unwrap_or(0) + 1;
    let mut view: View = there.iter().filter_map(|uid| Uid::new(*uid)).collect();
    // Everything is compared after each step, so many steps would take the square of their time.
    for pair in operations.chunks_exact(2).take(1_000) {
        let argument = u32::from(pair[1]);
        match pair[0] % 5 {
            0 | 1 => {
                let uid = next_uid + argument % 3;
                next_uid = uid + 1;
                assert!(view.append(Uid::new(uid).unwrap()));
                there.push(uid);
                client.push(uid); // EXISTS, then FETCH
            }
            2 => {
                let uid = argument % next_uid.max(1);
                let known = there.iter().position(|other| *other == uid);
                assert_eq!(Uid::new(uid).is_some_and(|uid| view.expunge(uid)), known.is_some());
                if let Some(index) = known {
                    there.remove(index);
                }
            }
            3 => tell(&mut view, &mut client),
            _ => check_set(&view, &client, &there, argument),
        }
        check_numbers(&view, &client);
    }
    tell(&mut view, &mut client);
    assert_eq!(client, there, "when all is told the client knows what is there");
    check_numbers(&view, &client);
}

/// The client applies the EXPUNGE responses one by one, and checks VANISHED beside them.
fn tell(view: &mut View, client: &mut Vec<u32>) {
    let expunged = view.flush();
    let mut by_uid = client.clone();
    by_uid.retain(|uid| !expunged.uids.contains(Uid::new(*uid).unwrap()));
    for number in expunged.numbers() {
        client.remove(number.get() as usize - 1);
    }
    assert_eq!(*client, by_uid, "EXPUNGE and VANISHED tell the same");
}

fn check_numbers(view: &View, client: &[u32]) {
    assert_eq!(view.len() as usize, client.len());
    assert_eq!(view.uids().iter().map(Uid::get).collect::<Vec<_>>(), client);
    for (index, uid) in client.iter().enumerate() {
        let (seq, uid) = (SeqNum::new(index as u32 + 1).unwrap(), Uid::new(*uid).unwrap());
        assert_eq!(view.uid(seq), Some(uid));
        assert_eq!(view.seq(uid), Some(seq));
    }
    assert_eq!(view.uid(SeqNum::new(client.len() as u32 + 1).unwrap()), None);
}

/// A set of two ranges made from `seed`, against going through the client's list.
fn check_set(view: &View, client: &[u32], there: &[u32], seed: u32) {
    let end = |n: u32| std::num::NonZeroU32::new(n).map_or(SeqEnd::Largest, SeqEnd::Number);
    let numbers = [seed % 5, seed / 5 % 7, seed % 11, seed / 16];
    let ranges = vec![(end(numbers[0]), end(numbers[1])), (end(numbers[2]), end(numbers[3]))];
    let set = SequenceSet::new(ranges).unwrap();
    let within = |number: u32, largest: u32| {
        let real = |n: u32| if n == 0 { largest } else { n };
        numbers.chunks_exact(2).any(|ends| {
            let (a, b) = (real(ends[0]), real(ends[1]));
            (a.min(b)..=a.max(b)).contains(&number)
        })
    };
    for by in [By::SeqNum, By::Uid] {
        let largest = match by {
            By::SeqNum => client.len() as u32,
            By::Uid => client.last().copied().unwrap_or(0),
        };
        let meant: Vec<u32> = client
            .iter()
            .enumerate()
            .filter(|(index, uid)| within(if by == By::Uid { **uid } else { *index as u32 + 1 }, largest))
            .map(|(_, uid)| *uid)
            .collect();
        let resolved = view.matching(&set, by);
        let mut all: Vec<u32> = resolved.uids.iter().chain(resolved.gone.iter()).map(Uid::get).collect();
        all.sort_unstable();
        assert_eq!(all, meant, "{set} {by:?}");
        assert!(resolved.uids.iter().all(|uid| there.contains(&uid.get())));
        assert!(resolved.gone.iter().all(|uid| !there.contains(&uid.get())));
        if let Ok(strict) = view.resolve(&set, by) {
            assert_eq!(strict, resolved);
        } else {
            assert_eq!(by, By::SeqNum);
        }
    }
}
