//! Framer: cuts a client's stream into whole commands, with their literals.
//!
//! Standards: RFC 3501 sections 2.2.1 and 4.3 (lines, literals), RFC 7888 (`{n+}`), RFC 3516
//! (`~{n}`).
//! Invariants:
//! - it keeps in step: whatever a command is, the next one is found where the client starts
//!   it, or the connection is given up ([`Event::Close`]);
//! - it holds at most `line_bytes + literal_bytes` of [`Limits`] and a few hundred bytes (in
//!   a buffer that may have grown to twice that, until the next command). The messages of
//!   APPEND pass through without being held, and what is refused is swallowed;
//! - how the stream is split into reads makes no difference.
//!
//! Trust: nothing is known of the client; limits hold before sign-in as well. A size is
//! believed only to skip that many bytes.
//!
//! A command is delivered as one text with its literals in place and without its last CRLF.
//! The messages of APPEND are not in it: each is announced by [`Event::Message`], and
//! when the server has taken it, its bytes come as [`Event::Chunk`]s, cut from the input.

use crate::Tag;
use crate::parse::{self, literally};

/// What a client may make large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one command without its literals.
    pub line_bytes: usize,
    /// Bytes of all literals of one command, without the messages of APPEND.
    pub literal_bytes: usize,
    /// Bytes of one message of APPEND.
    pub message_bytes: u64,
    /// Bytes of one refused command that are read and dropped, to keep in step; beyond
    /// them the connection is given up.
    pub swallowed_bytes: u64,
    /// Where a line ends.
    pub line_ends: LineEnds,
}

/// Where a line ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineEnds {
    /// At CRLF only.
    Crlf,
    /// Also at a bare LF: what people type into `openssl s_client` without `-crlf`.
    BareLfFromHands,
}

impl Limits {
    /// 64 KiB for lines, 64 KiB for literals, 256 MiB to swallow; messages as given.
    pub const fn new(message_bytes: u64) -> Self {
        Self {
            line_bytes: 64 * 1024,
            literal_bytes: 64 * 1024,
            message_bytes,
            swallowed_bytes: 256 * 1024 * 1024,
            line_ends: LineEnds::Crlf,
        }
    }
}

/// What the framer found: texts are lent by the framer, chunks are cut from the input.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'framer, 'input> {
    /// The client waits with a literal that fits: send a continuation request.
    Continue,
    /// A message of APPEND is announced. Nothing more comes until
    /// [`Framer::take_message`] or [`Framer::refuse_message`] was called.
    Message(Announced<'framer>),
    /// The next bytes of the message that was taken last.
    Chunk(&'input [u8]),
    /// A whole command, for [`crate::table::request`].
    Command(&'framer [u8]),
    /// The line that [`Framer::expect_line`] asked for, without its end.
    Line(&'framer [u8]),
    /// A command is over that will not be carried out: answer it.
    Refused {
        /// Its tag, if it had one.
        tag: Option<Tag>,
        /// Why.
        refusal: Refusal,
    },
    /// The client sends more than will be swallowed: say BYE and hang up.
    Close,
}

/// A message that APPEND is about to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced<'a> {
    /// The command so far, for [`crate::table::request`]: its last message is this one.
    pub head: &'a [u8],
    /// How many bytes will come.
    pub size_bytes: u64,
    /// The client waits: send a continuation request if the message is taken.
    pub synchronising: bool,
}

/// Why a command is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The command is longer than `line_bytes`: BAD.
    LineTooLong,
    /// Its literals are larger than `literal_bytes`: BAD, or `NO [TOOBIG]`.
    LiteralTooLarge,
    /// A message is larger than `message_bytes`: `NO [TOOBIG]` (RFC 7889 section 4).
    MessageTooLarge,
    /// The server called [`Framer::refuse_message`], and knows why.
    Decided,
}

/// The framer of one connection.
#[derive(Debug)]
pub struct Framer {
    /// May be changed between commands, for example after sign-in.
    pub limits: Limits,
    state: State,
    mode: Mode,
    /// The command so far.
    text: Vec<u8>,
    /// Bytes of the command's lines and of its literals.
    line_bytes: usize,
    literal_bytes: usize,
    /// Last bytes of the line being read: what decides how it ends.
    tail: Tail,
    /// The command is being swallowed for this reason.
    refused: Option<(Option<Tag>, Refusal)>,
    swallowed_bytes: u64,
    /// The command was delivered: the next call begins a new one.
    delivered: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Line,
    Literal { left: usize },
    Deciding(Announcement),
    Message { left: u64 },
    Swallowing { left: u64 },
    Refusing,
    Closed,
}

/// An [`Event`] that does not hold the framer.
enum Found<'input> {
    Continue,
    Message { size_bytes: u64, synchronising: bool },
    Chunk(&'input [u8]),
    Command,
    Line,
    Refused { tag: Option<Tag>, refusal: Refusal },
    Close,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Command,
    Line,
}

/// A literal announced at the end of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Announcement {
    /// `u64::MAX` stands for all that is larger.
    size_bytes: u64,
    synchronising: bool,
}

impl Framer {
    /// A framer at the beginning of a connection, or behind a STARTTLS.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::Line,
            mode: Mode::Command,
            text: Vec::new(),
            line_bytes: 0,
            literal_bytes: 0,
            tail: Tail::default(),
            refused: None,
            swallowed_bytes: 0,
            delivered: false,
        }
    }

    /// The next line is no command but part of one: `DONE` of IDLE, a step of AUTHENTICATE.
    /// It is delivered as [`Event::Line`], whatever it is.
    pub fn expect_line(&mut self) {
        self.mode = Mode::Line;
    }

    /// Lets the announced message come.
    pub fn take_message(&mut self) {
        if let State::Deciding(announcement) = self.state {
            self.state = State::Message { left: announcement.size_bytes };
        }
    }

    /// Refuses the announced message, and with it the command, which ends as
    /// [`Event::Refused`]: at once where the client waits, else when all of it was swallowed.
    pub fn refuse_message(&mut self) {
        if let State::Deciding(Announcement { size_bytes, synchronising }) = self.state {
            self.refuse(Refusal::Decided);
            self.state = if synchronising { State::Refusing } else { State::Swallowing { left: size_bytes } };
        }
    }

    /// Takes from the beginning of `input` what belongs to the next event, and gives it;
    /// `None`: more input is needed, or a decision about a message.
    pub fn next<'i>(&mut self, input: &mut &'i [u8]) -> Option<Event<'_, 'i>> {
        if self.delivered {
            self.begin_command();
        }
        Some(match self.advance(input)? {
            Found::Continue => Event::Continue,
            Found::Message { size_bytes, synchronising } => {
                Event::Message(Announced { head: &self.text, size_bytes, synchronising })
            }
            Found::Chunk(chunk) => Event::Chunk(chunk),
            Found::Command => Event::Command(&self.text),
            Found::Line => Event::Line(&self.text),
            Found::Refused { tag, refusal } => Event::Refused { tag, refusal },
            Found::Close => Event::Close,
        })
    }

    fn advance<'i>(&mut self, input: &mut &'i [u8]) -> Option<Found<'i>> {
        loop {
            match self.state {
                State::Line => {
                    let is_whole = self.read_line(input);
                    if self.swallowed_bytes > self.limits.swallowed_bytes {
                        self.state = State::Closed;
                        return Some(Found::Close);
                    }
                    if !is_whole {
                        return None;
                    }
                    if let Some(found) = self.line_is_whole() {
                        return Some(found);
                    }
                }
                State::Literal { left } => {
                    let taken = take(input, left);
                    self.text.extend_from_slice(taken);
                    self.state = State::Literal { left: left - taken.len() };
                    if left > taken.len() {
                        return None;
                    }
                    self.begin_line();
                }
                State::Message { left: 0 } | State::Swallowing { left: 0 } => self.begin_line(),
                State::Message { left } => {
                    let chunk = take(input, usize::try_from(left).unwrap_or(usize::MAX));
                    self.state = State::Message { left: left - chunk.len() as u64 };
                    return (!chunk.is_empty()).then_some(Found::Chunk(chunk));
                }
                State::Swallowing { left } => {
                    let dropped = take(input, usize::try_from(left).unwrap_or(usize::MAX)).len() as u64;
                    self.swallowed_bytes = self.swallowed_bytes.saturating_add(dropped);
                    self.state = State::Swallowing { left: left - dropped };
                    if left > dropped {
                        return None;
                    }
                }
                State::Refusing => return Some(self.end_refused()),
                State::Deciding(_) | State::Closed => return None,
            }
        }
    }

    /// A line was read to its end: what is found, unless the command goes on.
    fn line_is_whole(&mut self) -> Option<Found<'static>> {
        if self.mode == Mode::Line {
            self.mode = Mode::Command;
            return Some(self.end_text(Found::Line));
        }
        match self.tail.announcement() {
            None => Some(self.end_text(Found::Command)),
            Some(announcement) => self.begin_literal(announcement),
        }
    }

    /// Reads to the end of the line, or of the input; says whether the line is whole.
    fn read_line(&mut self, input: &mut &[u8]) -> bool {
        while !input.is_empty() {
            let end = memchr::memchr(b'\n', input).map_or(input.len(), |at| at + 1);
            let part = take(input, end);
            self.tail.push(part);
            self.store_line(part);
            if self.tail.ends_line(self.limits.line_ends) {
                return true;
            }
        }
        false
    }

    fn store_line(&mut self, part: &[u8]) {
        if self.refused.is_some() {
            self.swallowed_bytes = self.swallowed_bytes.saturating_add(part.len() as u64);
            return;
        }
        let room = self.limits.line_bytes.saturating_sub(self.line_bytes);
        self.line_bytes = self.line_bytes.saturating_add(part.len());
        if part.len() > room {
            // What fits may have the tag in it.
            self.text.extend_from_slice(part.get(..room).unwrap_or(part));
            self.refuse(Refusal::LineTooLong);
            self.swallowed_bytes = (self.line_bytes - self.limits.line_bytes) as u64;
            return;
        }
        self.text.extend_from_slice(part);
    }

    /// From here on the command is swallowed.
    fn refuse(&mut self, refusal: Refusal) {
        let tag = match parse::tag(&self.text) {
            // What the text ends with may be the beginning of a longer word.
            Ok((rest, tag)) if !rest.is_empty() && self.mode == Mode::Command => Some(tag),
            _ => None,
        };
        self.refused = Some((tag, refusal));
        self.text = Vec::new();
    }

    /// A line ended with the announcement of a literal.
    fn begin_literal(&mut self, announcement: Announcement) -> Option<Found<'static>> {
        let Announcement { size_bytes, synchronising } = announcement;
        if self.refused.is_some() {
            return self.begin_swallowing(announcement);
        }
        self.end_line_with_crlf();
        let is_message = self.announces_message();
        if let Some(refusal) = self.judge(size_bytes, is_message) {
            self.refuse(refusal);
            return self.begin_swallowing(announcement);
        }
        if is_message {
            self.state = State::Deciding(announcement);
            return Some(Found::Message { size_bytes, synchronising });
        }
        let left = usize::try_from(size_bytes).unwrap_or(usize::MAX);
        self.literal_bytes = self.literal_bytes.saturating_add(left);
        self.state = State::Literal { left };
        synchronising.then_some(Found::Continue)
    }

    /// The literal of a refused command: a client that waits will never send it.
    fn begin_swallowing(&mut self, announcement: Announcement) -> Option<Found<'static>> {
        if announcement.synchronising {
            self.state = State::Refusing;
            return None;
        }
        if self.swallowed_bytes.saturating_add(announcement.size_bytes) > self.limits.swallowed_bytes {
            self.state = State::Closed;
            return Some(Found::Close);
        }
        self.state = State::Swallowing { left: announcement.size_bytes };
        None
    }

    /// Is the literal too large?
    fn judge(&self, size_bytes: u64, is_message: bool) -> Option<Refusal> {
        if is_message {
            return (size_bytes > self.limits.message_bytes).then_some(Refusal::MessageTooLarge);
        }
        let room = self.limits.literal_bytes.saturating_sub(self.literal_bytes);
        (size_bytes > room as u64).then_some(Refusal::LiteralTooLarge)
    }

    /// Does the line just ended announce a message of APPEND? Every literal of that command
    /// does, but the mailbox's name, which follows the command's.
    fn announces_message(&self) -> bool {
        let Ok((rest, _)) = parse::tag(&self.text) else { return false };
        let Some(arguments) = literally(rest, " APPEND ") else { return false };
        let mailbox_is_literal = arguments.starts_with(b"{") || arguments.starts_with(b"~{");
        let is_first = memchr::memchr(b'\n', arguments).is_none_or(|at| at + 1 == arguments.len());
        !(mailbox_is_literal && is_first)
    }

    /// Behind a literal the line goes on.
    fn begin_line(&mut self) {
        self.tail = Tail::default();
        self.state = State::Line;
    }

    fn begin_command(&mut self) {
        self.text.clear();
        // An idle session keeps little memory.
        self.text.shrink_to(1024);
        self.line_bytes = 0;
        self.literal_bytes = 0;
        self.swallowed_bytes = 0;
        self.refused = None;
        self.delivered = false;
        self.begin_line();
    }

    /// In the text a line ends with CRLF, also where a bare LF was tolerated.
    fn end_line_with_crlf(&mut self) {
        if !self.tail.kept.ends_with(b"\r\n") {
            self.text.pop();
            self.text.extend_from_slice(b"\r\n");
        }
    }

    /// The text is whole, or what is left of it was swallowed.
    fn end_text(&mut self, found: Found<'static>) -> Found<'static> {
        if self.refused.is_some() {
            return self.end_refused();
        }
        self.end_line_with_crlf();
        self.text.truncate(self.text.len().saturating_sub(2));
        self.delivered = true;
        found
    }

    fn end_refused(&mut self) -> Found<'static> {
        self.delivered = true;
        let (tag, refusal) = self.refused.take().unwrap_or((None, Refusal::Decided));
        Found::Refused { tag, refusal }
    }
}

/// Splits up to `most` bytes off the beginning of `input`.
fn take<'a>(input: &mut &'a [u8], most: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at(most.min(input.len()));
    *input = rest;
    taken
}

/// The last bytes of a line.
#[derive(Debug, Default)]
struct Tail {
    /// At most [`Tail::MOST`], the newest last.
    kept: Vec<u8>,
}

impl Tail {
    /// More than the longest announcement of a size that anybody needs.
    const MOST: usize = 48;

    fn push(&mut self, part: &[u8]) {
        let part = part.get(part.len().saturating_sub(Self::MOST)..).unwrap_or_default();
        let overflow = (self.kept.len() + part.len()).saturating_sub(Self::MOST);
        self.kept.drain(..overflow);
        self.kept.extend_from_slice(part);
    }

    fn ends_line(&self, line_ends: LineEnds) -> bool {
        match line_ends {
            LineEnds::Crlf => self.kept.ends_with(b"\r\n"),
            LineEnds::BareLfFromHands => self.kept.ends_with(b"\n"),
        }
    }

    /// The literal that the whole line announces at its end: `{n}` or `{n+}`.
    fn announcement(&self) -> Option<Announcement> {
        let line = self.kept.strip_suffix(b"\n")?;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = line.strip_suffix(b"}")?;
        let (line, synchronising) = match line.strip_suffix(b"+") {
            Some(line) => (line, false),
            None => (line, true),
        };
        let digits_start = line.iter().rposition(|byte| !byte.is_ascii_digit()).map_or(0, |at| at + 1);
        let (before, digits) = line.split_at(digits_start);
        // More digits than the tail holds are a size too large, not a line of other kind.
        let opened = before.ends_with(b"{") || (before.is_empty() && self.kept.len() == Self::MOST);
        if !opened || digits.is_empty() {
            return None;
        }
        let size_bytes = match parse::number64(digits) {
            Ok((_, size_bytes)) if !before.is_empty() => size_bytes,
            _ => u64::MAX,
        };
        Some(Announcement { size_bytes, synchronising })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits {
        line_bytes: 100,
        literal_bytes: 20,
        message_bytes: 1000,
        swallowed_bytes: 5000,
        line_ends: LineEnds::Crlf,
    };

    /// Feeds `stream` in pieces of `step` bytes and writes down what happens, chunks joined.
    /// Every message is taken unless its head has the word `no`.
    fn transcript(limits: Limits, stream: &[u8], step: usize) -> Vec<String> {
        let mut framer = Framer::new(limits);
        let mut log: Vec<String> = Vec::new();
        for piece in stream.chunks(step) {
            let mut input = piece;
            loop {
                let mut decision = None;
                let line = match framer.next(&mut input) {
                    None => break,
                    Some(Event::Continue) => "+".to_owned(),
                    Some(Event::Message(announced)) => {
                        decision = Some(!announced.head.windows(2).any(|word| word == b"no"));
                        let wait = if announced.synchronising { "waits" } else { "comes" };
                        format!("message {} {wait}: {}", announced.size_bytes, announced.head.escape_ascii())
                    }
                    Some(Event::Chunk(chunk)) => {
                        let chunk = chunk.escape_ascii().to_string();
                        match log.last_mut().filter(|line| line.starts_with("chunk ")) {
                            Some(line) => {
                                line.push_str(&chunk);
                                continue;
                            }
                            None => format!("chunk {chunk}"),
                        }
                    }
                    Some(Event::Command(text)) => format!("command {}", text.escape_ascii()),
                    Some(Event::Line(text)) => format!("line {}", text.escape_ascii()),
                    Some(Event::Refused { tag, refusal }) => {
                        format!("refused {} {refusal:?}", tag.map_or("*".to_owned(), |tag| tag.to_string()))
                    }
                    Some(Event::Close) => "close".to_owned(),
                };
                match decision {
                    Some(true) => framer.take_message(),
                    Some(false) => framer.refuse_message(),
                    None => {}
                }
                if line.starts_with("command ") && line.ends_with("IDLE") {
                    framer.expect_line();
                }
                log.push(line);
            }
        }
        log
    }

    fn check(stream: &[u8], expected: &[&str]) {
        for step in [1, 2, 3, 7, stream.len().max(1)] {
            assert_eq!(
                transcript(LIMITS, stream, step),
                expected,
                "in steps of {step}: {}",
                stream.escape_ascii()
            );
        }
    }

    #[test]
    fn lines() {
        check(b"a NOOP\r\nb LOGOUT\r\n", &["command a NOOP", "command b LOGOUT"]);
        check(b"\r\na NOOP\r\nunfinished", &["command ", "command a NOOP"]);
        check(b"a NO\nOP\r\0\r\nb NOOP\r\n", &[r"command a NO\nOP\r\x00", "command b NOOP"]);
    }

    #[test]
    fn literals_of_arguments() {
        check(
            b"a LOGIN {3}\r\nann {6}\r\nsecret\r\nb NOOP\r\n",
            &["+", "+", r"command a LOGIN {3}\r\nann {6}\r\nsecret", "command b NOOP"],
        );
        check(b"a LOGIN {3+}\r\na\r\n {0}\r\n\r\n", &["+", r"command a LOGIN {3+}\r\na\r\n {0}\r\n"]);
        // The CR belongs to the literal, so the line has not ended.
        check(b"a X {1+}\r\n\r\nb\r\n", &[r"command a X {1+}\r\n\r\nb"]);
        // These announce nothing.
        check(
            b"a X {}\r\nb X {1+\r\nc X {a}\r\nd X 1}\r\ne X {-1}\r\n",
            &["command a X {}", "command b X {1+", "command c X {a}", "command d X 1}", "command e X {-1}"],
        );
    }

    #[test]
    fn messages_pass_through() {
        check(
            b"a APPEND in (\\Seen) {4}\r\nF: x\r\nb NOOP\r\n",
            &[
                r"message 4 waits: a APPEND in (\\Seen) {4}\r\n",
                "chunk F: x",
                r"command a APPEND in (\\Seen) {4}\r\n",
                "command b NOOP",
            ],
        );
        check(
            b"a append {2+}\r\nin {2+}\r\nab {0+}\r\n ~{3+}\r\n\0\r\n\r\n",
            &[
                r"message 2 comes: a append {2+}\r\nin {2+}\r\n",
                "chunk ab",
                r"message 0 comes: a append {2+}\r\nin {2+}\r\n {0+}\r\n",
                r"message 3 comes: a append {2+}\r\nin {2+}\r\n {0+}\r\n ~{3+}\r\n",
                r"chunk \x00\r\n",
                r"command a append {2+}\r\nin {2+}\r\n {0+}\r\n ~{3+}\r\n",
            ],
        );
        check(
            b"a APPEND in UTF8 (~{2+}\r\nab)\r\n",
            &[
                r"message 2 comes: a APPEND in UTF8 (~{2+}\r\n",
                "chunk ab",
                r"command a APPEND in UTF8 (~{2+}\r\n)",
            ],
        );
    }

    #[test]
    fn refused_and_in_step() {
        // The server says no.
        check(
            b"a APPEND no {4}\r\nb NOOP\r\n",
            &[r"message 4 waits: a APPEND no {4}\r\n", "refused a Decided", "command b NOOP"],
        );
        check(
            b"a APPEND no {4+}\r\nabcd {3+}\r\nxyz\r\nb NOOP\r\n",
            &[r"message 4 comes: a APPEND no {4+}\r\n", "refused a Decided", "command b NOOP"],
        );
        // Too large.
        check(b"a APPEND in {1001}\r\nb NOOP\r\n", &["refused a MessageTooLarge", "command b NOOP"]);
        check(b"a LOGIN {21}\r\nb NOOP\r\n", &["refused a LiteralTooLarge", "command b NOOP"]);
        check(
            b"a LOGIN {11+}\r\nhello world {10}\r\nb NOOP\r\n",
            &["refused a LiteralTooLarge", "command b NOOP"],
        );
        check(
            b"a X {21+}\r\nc NOOP\r\nd NOOP\r\n12345 {2}\r\nb NOOP\r\n",
            &["refused a LiteralTooLarge", "command b NOOP"],
        );
        let huge = format!("a X {{{}}}\r\nb NOOP\r\n", "9".repeat(60));
        check(huge.as_bytes(), &["refused a LiteralTooLarge", "command b NOOP"]);
        let huge = format!("a X {{{}+}}\r\nb NOOP\r\n", "0".repeat(60));
        check(huge.as_bytes(), &["close"]);
        check(b"a X {18446744073709551616+}\r\nb NOOP\r\n", &["close"]);
        check(b"a X {5001+}\r\nb NOOP\r\n", &["close"]);
    }

    #[test]
    fn long_lines() {
        let at_limit = format!("a {}\r\nb NOOP\r\n", "x".repeat(96));
        check(at_limit.as_bytes(), &[&format!("command a {}", "x".repeat(96)), "command b NOOP"]);
        for long in [97, 98, 200, 4000] {
            let stream = format!("a {}\r\nb NOOP\r\n", "x".repeat(long));
            check(stream.as_bytes(), &["refused a LineTooLong", "command b NOOP"]);
            let with_literal = format!("a {} {{7+}}\r\nc NOOP\r\n\r\nb NOOP\r\n", "x".repeat(long));
            check(with_literal.as_bytes(), &["refused a LineTooLong", "command b NOOP"]);
            let waiting = format!("a {} {{7}}\r\nb NOOP\r\n", "x".repeat(long));
            check(waiting.as_bytes(), &["refused a LineTooLong", "command b NOOP"]);
        }
        check("x".repeat(6000).as_bytes(), &["close"]);
        // The lines of one command count together.
        let pieces = format!("a {}\r\nb NOOP\r\n", format!("{} {{1+}}\r\n.", "x".repeat(30)).repeat(4));
        check(pieces.as_bytes(), &["refused a LineTooLong", "command b NOOP"]);
    }

    #[test]
    fn a_tag_at_the_limit_is_seen_in_any_split() {
        // Once a line read as a whole showed a tag that is beyond the limit.
        let stream = format!("{}{{3}}\r\n", "x".repeat(120));
        check(stream.as_bytes(), &["refused * LineTooLong"]);
        let stream = format!("{} y\r\n", "x".repeat(99));
        check(stream.as_bytes(), &[&format!("refused {} LineTooLong", "x".repeat(99))]);
    }

    #[test]
    fn expected_lines() {
        check(b"a IDLE\r\nDONE {3}\r\nb NOOP\r\n", &["command a IDLE", "line DONE {3}", "command b NOOP"]);
        let long = format!("a IDLE\r\n{}\r\nb NOOP\r\n", "x".repeat(300));
        check(long.as_bytes(), &["command a IDLE", "refused * LineTooLong", "command b NOOP"]);
    }

    #[test]
    fn bare_lf_only_where_it_is_tolerated() {
        let tolerant = Limits { line_ends: LineEnds::BareLfFromHands, ..LIMITS };
        let stream = b"a NOOP\nb LOGIN {3}\nann {1+}\r\n\r x\nc NOOP\r\n";
        for step in [1, 2, 50] {
            assert_eq!(
                transcript(tolerant, stream, step),
                ["command a NOOP", "+", r"command b LOGIN {3}\r\nann {1+}\r\n\r x", "command c NOOP"]
            );
        }
        check(b"a NOOP\nb NOOP\n", &[]);
    }

    #[test]
    fn fifty_megabytes_are_not_held() {
        let mut framer = Framer::new(Limits::new(60 << 20));
        let piece = vec![b'x'; 1 << 20];
        let after: &[u8] = b"\r\nb NOOP\r\n";
        let mut input: &[u8] = b"a APPEND in {52428800+}\r\n";
        assert!(matches!(framer.next(&mut input), Some(Event::Message(_))));
        framer.take_message();
        for _ in 0..50 {
            let mut input = piece.as_slice();
            assert_eq!(framer.next(&mut input), Some(Event::Chunk(&piece)));
            assert_eq!(framer.next(&mut input), None);
            assert!(framer.text.capacity() < 1024);
        }
        assert!(matches!(framer.next(&mut &after[..]), Some(Event::Command(_))));
        // As one line they are swallowed.
        let mut framer = Framer::new(Limits::new(60 << 20));
        for _ in 0..50 {
            let mut input = piece.as_slice();
            assert_eq!(framer.next(&mut input), None);
            assert!(framer.text.capacity() < 128 * 1024);
        }
        let mut input = after;
        assert!(matches!(framer.next(&mut input), Some(Event::Refused { tag: None, .. })));
        assert_eq!(framer.next(&mut input), Some(Event::Command(b"b NOOP")));
    }

    proptest! {
        #[test]
        fn splits_make_no_difference(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    &b"a NOOP"[..], b"\r\n", b"\n", b"\r", b"{3}\r\n", b"{4+}\r\n", b"~{2+}\r\n", b"a APPEND x ",
                    b"a APPEND no ", b"{30+}\r\n", b"a IDLE", b"{2000+}\r\n", &[b'x'; 40], b"\0\xff",
                ]),
                0..30,
            ),
            steps in prop::collection::vec(1usize..40, 3),
        ) {
            let stream = parts.concat();
            let whole = transcript(LIMITS, &stream, stream.len().max(1));
            for step in steps {
                prop_assert_eq!(transcript(LIMITS, &stream, step), whole.clone());
            }
        }
    }
}
