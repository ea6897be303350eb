//! SMTP: whole sessions, command lines and content, from any bytes.

use std::sync::Arc;

use hikyaku_smtp_proto::command::{Command, Grammar, Tolerance};
use hikyaku_smtp_proto::content::{
    Collector, ContentFacts, ContentRules, DataDecoder, Defect, LineEnds, encode_data,
};
use hikyaku_smtp_proto::path::Letters;
use hikyaku_smtp_proto::settings::Offers;
use hikyaku_smtp_proto::{
    Answer, Effect, Framer, Input, Listener, Question, Reply, Session, Settings, Tls, Wants,
};

/// Runs a session twice, in one piece and in many, and checks its invariants.
///
/// The first octet chooses listener and settings (`0` to `3` are the four listeners), the
/// second the pieces and the shell's answers; the rest is what the client sends. An octet
/// 22, which begins a TLS handshake, is where a client that sent STARTTLS goes on.
pub fn smtp_session(data: &[u8]) {
    let Some((&[kind, seed], bytes)) = data.split_first_chunk::<2>() else { return };
    let flights = || bytes.split(|octet| *octet == 22);
    let whole = Run::new(kind, seed).feed(flights().map(|flight| vec![flight]));
    let split = Run::new(kind, seed).feed(flights().map(|flight| pieces(seed, flight)));
    assert_eq!(whole.effects, split.effects, "the pieces change the effects");
    assert_eq!(whole.stored, split.stored, "the pieces change the content");
}

/// Parses a command line and a reply, prints them and parses them again.
pub fn smtp_commands(data: &[u8]) {
    for letters in [Letters::Ascii, Letters::Utf8] {
        let loose = Grammar { letters, tolerance: Tolerance::LooseSpaces };
        let strict = Grammar { letters, tolerance: Tolerance::Strict };
        let Ok(command) = Command::parse(data, loose) else { continue };
        let mut wire = Vec::new();
        command.print(&mut wire);
        let line = wire.strip_suffix(b"\r\n").expect("a printed command ends its line");
        assert!(!line.iter().any(u8::is_ascii_control), "a command has a control character");
        assert_eq!(Command::parse(line, strict), Ok(command), "{}", line.escape_ascii());
    }
    if let Ok(Some((reply, used))) = Reply::parse(data) {
        assert!(used <= data.len());
        let wire = reply.to_wire();
        assert_eq!(Reply::parse(&wire), Ok(Some((reply, wire.len()))));
    }
}

/// Decodes content in pieces, and compares with a decoder that is slow and simple.
///
/// The first octet chooses the rules, the second the pieces; the rest is the content.
pub fn smtp_content(data: &[u8]) {
    let Some((&[kind, seed], bytes)) = data.split_first_chunk::<2>() else { return };
    let rules = ContentRules {
        line_ends: [LineEnds::Normalise, LineEnds::Refuse, LineEnds::Keep][usize::from(kind % 3)],
        size_bytes: [10_000, 40][usize::from(kind / 3 % 2)],
        line_octets: [None, Some(12)][usize::from(kind / 6 % 2)],
    };
    let (mut decoder, mut stored, mut used) = (DataDecoder::new(rules), Vec::new(), 0);
    for piece in pieces(seed, bytes) {
        used += decoder.decode(piece, &mut stored);
    }
    let (end, plain) = reference_data(bytes);
    assert_eq!(decoder.is_complete(), end.is_some(), "the end is seen where none is, or not seen");
    assert_eq!(used, end.unwrap_or(bytes.len()));
    assert!(stored.len() as u64 <= rules.size_bytes, "more is stored than allowed");
    if end.is_some() {
        compare(decoder.collector(), &stored, &plain, rules);
    }

    // The same content in chunks.
    let (mut collector, mut stored) = (Collector::new(rules), Vec::new());
    for piece in pieces(seed, bytes) {
        collector.append(piece, &mut stored);
    }
    collector.finish(&mut stored);
    compare(&collector, &stored, bytes, rules);

    // Normalised content comes back from the wire as it was.
    if rules.line_ends == LineEnds::Normalise && collector.defect().is_none() && stored.ends_with(b"\r\n") {
        let (mut wire, mut again) = (Vec::new(), Vec::new());
        encode_data(&stored, &mut wire);
        let mut decoder = DataDecoder::new(rules);
        assert_eq!(decoder.decode(&wire, &mut again), wire.len());
        assert!(decoder.is_complete() && again == stored, "content is changed by encoding");
    }
}

/// Cuts `bytes` into pieces whose sizes come from `seed`.
fn pieces(seed: u8, bytes: &[u8]) -> Vec<&[u8]> {
    let mut numbers = Numbers(u32::from(seed));
    let (mut pieces, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        let size = 1 + numbers.next() as usize % (1 + usize::from(seed));
        let (piece, after) = rest.split_at(size.min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// Numbers that look random and are always the same.
struct Numbers(u32);

impl Numbers {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0 >> 16
    }
}

/// Most octets of content in these sessions.
const SIZE_BYTES: u64 = 200;

struct Run {
    session: Session,
    framer: Framer,
    content: Vec<u8>,
    is_lmtp: bool,
    is_refusing: bool,
    answers: Numbers,
    /// Recipients accepted in this mail transaction.
    accepted: usize,
    /// Content was begun, and is neither committed nor discarded.
    holds_content: bool,
    effects: Vec<Effect>,
    stored: Vec<Vec<u8>>,
}

impl Run {
    fn new(kind: u8, seed: u8) -> Self {
        let listeners = [Listener::Mx, Listener::Submission, Listener::Submissions, Listener::Lmtp];
        let listener = listeners[usize::from(kind % 4)];
        let is_refusing = kind & 4 != 0;
        let mut settings = Settings::new("mx.example".parse().expect("a domain"), listener);
        settings.limits.size_bytes = SIZE_BYTES;
        settings.limits.recipients = 3;
        settings.limits.received_fields = 2;
        settings.line_ends = if is_refusing { LineEnds::Refuse } else { LineEnds::Normalise };
        settings.offers = Offers {
            start_tls: true,
            plain_sign_in_without_tls: kind & 16 != 0,
            chunking: kind & 8 == 0,
            binary_mime: true,
            dsn: kind & 32 != 0,
            limits: true,
            require_tls: true,
            scram: true,
        };
        let has_tls = listener == Listener::Submissions;
        let (session, effects) = Session::new(Arc::new(settings), has_tls.then(tls));
        let is_lmtp = listener == Listener::Lmtp;
        Self {
            session,
            framer: Framer::new(),
            content: Vec::new(),
            is_lmtp,
            is_refusing,
            answers: Numbers(u32::from(seed)),
            accepted: 0,
            holds_content: false,
            effects,
            stored: Vec::new(),
        }
    }

    fn feed<'a>(mut self, flights: impl Iterator<Item = Vec<&'a [u8]>>) -> Self {
        for flight in flights {
            for piece in flight {
                if self.session.is_closed() || self.session.wants() == Wants::Tls {
                    break;
                }
                self.framer.push(piece);
                while self.step() {}
                let most = if self.session.is_closed() { usize::MAX } else { 12_288 };
                assert!(self.framer.pending().len() <= most, "the framer keeps more than a line");
            }
            if self.session.wants() == Wants::Tls {
                assert!(self.session.handle(Input::TlsStarted(tls())).is_empty());
            }
        }
        if self.session.is_closed() {
            assert!(self.session.handle(Input::Shutdown).is_empty(), "a closed session does something");
        }
        self
    }

    /// One input, if there is one.
    fn step(&mut self) -> bool {
        let before = self.session.wants();
        let effects = match before {
            Wants::Answer => return self.answer(),
            _ => match self.session.receive(&mut self.framer, &mut self.content) {
                Some(effects) => effects,
                None => return false,
            },
        };
        self.check_replies(before, &effects);
        self.perform(effects);
        true
    }

    /// Each input has its replies: no more, no fewer.
    fn check_replies(&self, before: Wants, effects: &[Effect]) {
        let replies = replies(effects);
        let postponed = effects.iter().filter(|e| matches!(e, Effect::Ask(_) | Effect::Commit(_))).count();
        let after_content = if self.is_lmtp { self.accepted } else { 1 };
        let is_right = match (before, self.session.wants()) {
            (_, Wants::Chunk) => replies == 0 && postponed == 0,
            (Wants::Content, Wants::Content) => effects == [Effect::Discard],
            (_, Wants::Answer) => replies == 0 && postponed == 1,
            // The last word of a session is one.
            (_, Wants::Nothing) => replies == 1 && postponed == 0,
            (Wants::Content, _) => replies == after_content && postponed == 0,
            // BDAT has one reply, or as many as its content.
            (Wants::Chunk | Wants::Line, _) => (replies == 1 || replies == after_content) && postponed == 0,
            (_, _) => replies == 1 && postponed == 0,
        };
        assert!(is_right, "{before:?} to {:?}: {effects:?}", self.session.wants());
    }

    fn answer(&mut self) -> bool {
        let asked = self.effects.last().cloned();
        let refuses = self.answers.next().is_multiple_of(4);
        let answer = match &asked {
            _ if refuses => Answer::Reply(Reply::mailbox_unknown()),
            Some(Effect::Ask(Question::Relay(relayed))) if relayed.is_first => {
                Answer::Challenge("r=x".into())
            }
            _ => Answer::Accept,
        };
        match asked {
            Some(Effect::Ask(Question::Sender { .. })) => self.accepted = 0,
            Some(Effect::Ask(Question::Recipient { .. })) => self.accepted += usize::from(!refuses),
            Some(Effect::Ask(Question::SignIn(_) | Question::Relay(_)) | Effect::Commit(_)) => {}
            other => panic!("an answer is awaited after {other:?}"),
        }
        let is_commit = matches!(asked, Some(Effect::Commit(_)));
        let expected = if is_commit && self.is_lmtp { self.accepted } else { 1 };
        let effects = self.session.handle(Input::Answer(answer));
        assert_eq!(replies(&effects), expected, "{effects:?}");
        self.perform(effects);
        true
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        self.holds_content |= matches!(self.session.wants(), Wants::Content | Wants::Chunk);
        for mut effect in effects {
            match &mut effect {
                Effect::Discard => {
                    assert!(std::mem::take(&mut self.holds_content), "nothing is there to discard");
                    self.content.clear();
                }
                Effect::StartTls => assert!(self.framer.is_empty(), "bytes in clear outlive STARTTLS"),
                Effect::Reply(reply) | Effect::RefusePath(_, reply) => {
                    // A BDAT without octets is begun and complete within one line.
                    self.holds_content |= reply.lines().any(|line| line.ends_with("octets received"));
                    let wire = reply.to_wire();
                    let is_short = wire.split_inclusive(|byte| *byte == b'\n').all(|line| line.len() <= 512);
                    assert!(is_short && wire.is_ascii());
                }
                Effect::Commit(envelope) => {
                    self.holds_content = false;
                    // Whether bytes came early is a fact of the pieces.
                    envelope.spoke_early = false;
                    assert!(!envelope.recipients.is_empty() && envelope.recipients.len() == self.accepted);
                    assert_eq!(envelope.content.size_bytes, self.content.len() as u64);
                    assert!(envelope.content.received_fields <= 2);
                    assert!(
                        !(self.is_refusing && envelope.content.has_bare_line_ends) || is_binary(envelope)
                    );
                    assert!(is_binary(envelope) || has_only_crlf(&self.content));
                    self.stored.push(std::mem::take(&mut self.content));
                }
                Effect::Ask(_) | Effect::Close => {}
            }
            self.effects.push(effect);
        }
        assert!(self.content.len() as u64 <= SIZE_BYTES, "more content is kept than allowed");
    }
}

fn tls() -> Tls {
    Tls { cipher_suite: "TLS_AES_128_GCM_SHA256".into(), can_bind: true }
}

fn replies(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::Reply(_) | Effect::RefusePath(..))).count()
}

fn is_binary(envelope: &hikyaku_smtp_proto::Envelope) -> bool {
    envelope.params.body == Some(hikyaku_smtp_proto::command::Body::BinaryMime)
}

fn has_only_crlf(content: &[u8]) -> bool {
    let (plain, has_bare) = reference_lines(content, LineEnds::Refuse);
    !has_bare && plain == content && !content.contains(&0)
}

/// Where the content of DATA ends, and what it is without dot stuffing.
fn reference_data(wire: &[u8]) -> (Option<usize>, Vec<u8>) {
    let (mut plain, mut at) = (Vec::new(), 0);
    while at < wire.len() {
        if at == 0 || wire[..at].ends_with(b"\r\n") {
            if wire[at..].starts_with(b".\r\n") {
                return (Some(at + 3), plain);
            }
            if wire[at] == b'.' {
                at += 1;
                // The octet behind a dot does not begin the line.
                if let Some(octet) = wire.get(at) {
                    plain.push(*octet);
                    at += 1;
                }
                continue;
            }
        }
        plain.push(wire[at]);
        at += 1;
    }
    (None, plain)
}

/// Content with its bare CR and LF treated by the rule, and whether there were any.
fn reference_lines(plain: &[u8], line_ends: LineEnds) -> (Vec<u8>, bool) {
    let (mut lines, mut has_bare, mut at) = (Vec::new(), false, 0);
    while at < plain.len() {
        if plain[at..].starts_with(b"\r\n") {
            lines.extend_from_slice(b"\r\n");
            at += 2;
            continue;
        }
        let is_bare = matches!(plain[at], b'\r' | b'\n');
        has_bare |= is_bare;
        if is_bare && line_ends == LineEnds::Normalise {
            lines.extend_from_slice(b"\r\n");
        } else {
            lines.push(plain[at]);
        }
        at += 1;
    }
    (lines, has_bare)
}

fn compare(collector: &Collector, stored: &[u8], plain: &[u8], rules: ContentRules) {
    let (expected, has_bare_line_ends) = reference_lines(plain, rules.line_ends);
    let mut lines = vec![Vec::new()];
    for (at, octet) in expected.iter().enumerate() {
        let line = lines.last_mut().expect("there is always a line");
        if *octet == b'\n' && line.last() == Some(&b'\r') && expected[..at].ends_with(b"\r") {
            line.pop();
            lines.push(Vec::new());
        } else {
            line.push(*octet);
        }
    }
    let header = lines.iter().take_while(|line| !line.is_empty());
    let received = header.filter(|line| line.to_ascii_lowercase().starts_with(b"received:")).count();
    let facts = ContentFacts {
        size_bytes: expected.len() as u64,
        received_fields: u32::try_from(received).expect("few lines"),
        longest_line: lines.iter().map(|line| line.len() as u64).max().unwrap_or(0),
        has_eight_bit: !plain.is_ascii(),
        has_bare_line_ends,
        has_nul: plain.contains(&0),
    };
    assert_eq!(collector.facts(), facts, "{}", plain.escape_ascii());
    assert_eq!(collector.defect(), reference_defect(facts, rules), "{}", plain.escape_ascii());
    if collector.defect().is_none() {
        assert_eq!(stored, expected, "{}", plain.escape_ascii());
    }
}

fn reference_defect(facts: ContentFacts, rules: ContentRules) -> Option<Defect> {
    let is_text = rules.line_ends != LineEnds::Keep;
    let is_strict = rules.line_ends == LineEnds::Refuse;
    [
        (facts.size_bytes > rules.size_bytes, Defect::TooLarge),
        (is_text && facts.has_nul, Defect::Nul),
        (is_strict && facts.has_bare_line_ends, Defect::BareLineEnd),
        (rules.line_octets.is_some_and(|most| facts.longest_line > most), Defect::LineTooLong),
    ]
    .into_iter()
    .find_map(|(is_broken, defect)| is_broken.then_some(defect))
}
