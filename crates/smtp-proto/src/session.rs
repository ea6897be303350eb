//! Server side of one SMTP, submission or LMTP session, without I/O.
//!
//! Standards: RFC 5321, RFC 2033 (LMTP), RFC 2920 (pipelining), RFC 3030 (BDAT), RFC 3207
//! (STARTTLS), RFC 4954 (AUTH), RFC 6409 (submission).
//!
//! The shell gives received bytes to a [`Framer`] and calls [`Session::receive`] until it
//! returns `None`; everything else comes through [`Session::handle`]. It carries out each
//! [`Effect`] in order. [`Session::wants`] and [`Session::deadline`] say what it waits for.
//!
//! Invariants:
//! - each command gets one reply (in LMTP, content gets one for each recipient); a question
//!   or a commit postpones it until [`Input::Answer`];
//! - while an answer is awaited no byte is taken, so pipelined commands wait in the framer;
//! - what was appended to the caller's content buffer ends in one [`Effect::Commit`] or one
//!   [`Effect::Discard`], unless nothing was begun;
//! - a commit has at least one recipient;
//! - after [`Effect::StartTls`] the framer is empty: nothing sent in clear counts.
//!
//! Known weaknesses: an early talker is noticed only if its bytes came in one piece with
//! the command before, so `spoke_early` depends on the network. Each deadline is for the
//! next bytes, so a client that sends one octet a minute is the listener's to cut off.

mod content;
mod hello;
mod sign_in;
mod transaction;
mod written;

use std::sync::Arc;
use std::time::Duration;

use crate::auth::{Credentials, Exchange, Mechanism, Relayed};
use crate::client_name::ClientName;
use crate::command::{Command, CommandError, Grammar, MailParams, RcptParams, Verb};
use crate::content::{ContentFacts, DataDecoder};
use crate::framer::{Framer, Line};
use crate::path::{ForwardPath, Letters, PathError, ReversePath};
use crate::reply::{Reply, Severity};
use crate::settings::{Listener, Settings};
use crate::table;
use crate::trace_header::Protocol;

use content::{Chunk, Chunks};

/// What the shell must do, in order.
pub type Effects = Vec<Effect>;

/// One session.
#[derive(Debug)]
pub struct Session {
    settings: Arc<Settings>,
    state: State,
    tls: Option<Tls>,
    is_signed_in: bool,
    spoke_early: bool,
    is_draining: bool,
    /// The caller's buffer has content that is neither committed nor discarded.
    holds_content: bool,
    counters: Counters,
}

/// What a session is doing.
#[derive(Debug)]
pub(crate) enum State {
    /// Greeted; no EHLO yet, or none since TLS began.
    Connected,
    /// No mail transaction.
    Ready(Client),
    /// The reverse-path is known, recipients are being collected.
    Transaction(Client, Transaction),
    /// After 354.
    Data {
        client: Client,
        transaction: Transaction,
        decoder: DataDecoder,
        octets: u64,
    },
    /// The octets of a BDAT are coming in.
    Chunk(Chunk),
    /// Between two BDAT.
    Chunks(Chunks),
    /// The octets of a refused BDAT are coming in.
    SkippedChunk {
        left: u64,
        reply: Reply,
        before: Box<State>,
    },
    /// An AUTH exchange.
    SigningIn(Client, Exchange),
    /// A question was asked.
    Waiting(Pending),
    /// 220 was the answer to STARTTLS.
    StartingTls,
    Closed,
}

/// What a state waits for an answer to.
#[derive(Debug)]
pub(crate) enum Pending {
    SignIn(Client),
    Relay(Client, Mechanism),
    Sender(Client, Transaction),
    Recipient(Client, Transaction, Recipient),
    Commit { client: Client, recipients: usize },
}

#[derive(Debug, Default)]
struct Counters {
    lines: u64,
    errors: u32,
    idle_commands: u32,
    transactions: u32,
    sign_ins: u32,
    refused_recipients: u32,
}

/// What EHLO, HELO or LHLO said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The client's name for itself.
    pub name: ClientName,
    /// The command it came with.
    pub greeting: Greeting,
}

/// The command that opened the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Greeting {
    /// No extensions.
    Helo,
    /// ESMTP.
    Ehlo,
    /// LMTP.
    Lhlo,
}

/// An open mail transaction.
#[derive(Debug)]
pub(crate) struct Transaction {
    pub(crate) reverse_path: ReversePath,
    pub(crate) params: MailParams,
    pub(crate) recipients: Vec<Recipient>,
}

/// One accepted RCPT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// Who receives it.
    pub forward_path: ForwardPath,
    /// NOTIFY and ORCPT.
    pub params: RcptParams,
}

/// What is known of the TLS connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Name of the cipher suite in IANA's registry, for `Received:`.
    pub cipher_suite: Box<str>,
    /// Can a sign-in be bound to the channel?
    pub can_bind: bool,
}

/// What happens to a session, beside received bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The answer to the last question or commit.
    Answer(Answer),
    /// TLS is there, after [`Effect::StartTls`]. If it failed: [`Input::Hangup`].
    TlsStarted(Tls),
    /// [`Session::deadline`] has passed.
    Timeout,
    /// Who signed in may not go on.
    SessionEnded,
    /// The server is going down: a mail transaction may still end, no other begins.
    Shutdown,
    /// The connection is gone.
    Hangup,
}

/// What the shell must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Send it.
    Reply(Reply),
    /// Send it: MAIL or RCPT is refused without a question.
    RefusePath(Written, Reply),
    /// Find the answer and give it as [`Input::Answer`].
    Ask(Question),
    /// Send what waits to be sent, then begin TLS as the server. What was received and did
    /// not go through the framer yet must be dropped.
    StartTls,
    /// Take the content buffer, make the message durable, and give the [`Input::Answer`].
    Commit(Envelope),
    /// Empty the content buffer: the content is refused or the client gave up.
    Discard,
    /// Send what waits to be sent, then close the connection.
    Close,
}

/// The path of a MAIL or RCPT, as the client wrote it: to be shown and never to be parsed, as it
/// may be no path at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// Of MAIL.
    ReversePath(Box<str>),
    /// Of RCPT.
    ForwardPath(Box<str>),
}

/// What only the shell can know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// May this client sign in?
    SignIn(Credentials),
    /// What is answered to this message of SCRAM: a challenge, or the verdict?
    Relay(Relayed),
    /// MAIL: may it send with this reverse-path?
    Sender {
        /// Its name for itself.
        client: Client,
        /// Argument of MAIL.
        reverse_path: ReversePath,
        /// Parameters of MAIL.
        params: MailParams,
    },
    /// RCPT: may it send to this recipient?
    Recipient {
        /// Argument of MAIL.
        reverse_path: ReversePath,
        /// Argument and parameters of RCPT.
        recipient: Recipient,
    },
}

/// The shell's answer to a [`Question`] or a commit.
///
/// Whether it is yes or no is read from the reply's code, so that session and client can
/// never take it differently. A 421 closes the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Yes, with the usual reply.
    Accept,
    /// To a message of SCRAM: this one, not in base64.
    Challenge(Box<str>),
    /// This reply; after LMTP content for every recipient.
    Reply(Reply),
    /// After LMTP content: a reply for each recipient, in the order of the envelope.
    Each(Vec<Reply>),
}

/// What SMTP says about a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// What EHLO, HELO or LHLO said.
    pub client: Client,
    /// What `with` says in `Received:`.
    pub protocol: Protocol,
    /// Argument of MAIL.
    pub reverse_path: ReversePath,
    /// Parameters of MAIL.
    pub params: MailParams,
    /// At least one.
    pub recipients: Vec<Recipient>,
    /// What was seen in the content.
    pub content: ContentFacts,
    /// The client sent something before it had the reply that it must wait for (RFC 2920
    /// section 3.1): a habit of spam programs.
    pub spoke_early: bool,
}

/// What a session waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wants {
    /// A command line.
    Line,
    /// A line of an AUTH exchange.
    SaslLine,
    /// Content up to CRLF `.` CRLF.
    Content,
    /// The octets of a BDAT.
    Chunk,
    /// [`Input::Answer`].
    Answer,
    /// [`Input::TlsStarted`].
    Tls,
    /// Nothing any more.
    Nothing,
}

impl Session {
    /// A session on a fresh connection, and the greeting. `tls` is there on a listener with
    /// TLS from the first octet.
    pub fn new(settings: Arc<Settings>, tls: Option<Tls>) -> (Self, Effects) {
        let host_name = settings.host_name.as_str();
        let greeting = match settings.listener {
            Listener::Lmtp => Reply::lmtp_greeting(host_name),
            Listener::Mx | Listener::Submission | Listener::Submissions => Reply::greeting(host_name),
        };
        let session = Self {
            settings,
            state: State::Connected,
            tls,
            is_signed_in: false,
            spoke_early: false,
            is_draining: false,
            holds_content: false,
            counters: Counters::default(),
        };
        (session, vec![Effect::Reply(greeting)])
    }

    /// What this session waits for.
    pub fn wants(&self) -> Wants {
        match self.state {
            State::Connected | State::Ready(_) | State::Transaction(..) | State::Chunks(_) => Wants::Line,
            State::Data { .. } => Wants::Content,
            State::Chunk(_) | State::SkippedChunk { .. } => Wants::Chunk,
            State::SigningIn(..) => Wants::SaslLine,
            State::Waiting(_) => Wants::Answer,
            State::StartingTls => Wants::Tls,
            State::Closed => Wants::Nothing,
        }
    }

    /// How long the shell waits for it before it gives [`Input::Timeout`], counted from the
    /// last byte or answer.
    pub fn deadline(&self) -> Duration {
        let deadlines = &self.settings.deadlines;
        match &self.state {
            State::Data { octets: 0, .. } => deadlines.content_start,
            State::Data { .. } | State::Chunk(_) | State::SkippedChunk { .. } => deadlines.content,
            State::Waiting(Pending::Commit { .. }) => deadlines.commit,
            State::Waiting(_) => deadlines.answer,
            State::StartingTls => deadlines.start_tls,
            State::Connected
            | State::Ready(_)
            | State::Transaction(..)
            | State::Chunks(_)
            | State::SigningIn(..)
            | State::Closed => deadlines.command,
        }
    }

    /// Is a mail transaction open, from the answer to MAIL to the answer to its content?
    pub fn has_transaction(&self) -> bool {
        match &self.state {
            State::Transaction(..) | State::Data { .. } | State::Chunk(_) | State::Chunks(_) => true,
            State::SkippedChunk { before, .. } => {
                matches!(**before, State::Transaction(..) | State::Chunks(_))
            }
            State::Waiting(pending) => {
                matches!(pending, Pending::Recipient(..) | Pending::Commit { .. })
            }
            State::Connected
            | State::Ready(_)
            | State::SigningIn(..)
            | State::StartingTls
            | State::Closed => false,
        }
    }

    /// Who waits for the answer to its AUTH.
    pub fn signing_in(&self) -> Option<&Client> {
        match &self.state {
            State::Waiting(Pending::SignIn(client)) => Some(client),
            _ => None,
        }
    }

    /// Nothing more will happen.
    pub fn is_closed(&self) -> bool {
        self.wants() == Wants::Nothing
    }

    /// Takes the next thing that it wants out of the framer. `None` means that it needs more
    /// bytes, or something else than bytes.
    ///
    /// Content is appended to `content`, which is the caller's to bound over all sessions,
    /// to take with [`Effect::Commit`] and to empty with [`Effect::Discard`].
    pub fn receive(&mut self, framer: &mut Framer, content: &mut Vec<u8>) -> Option<Effects> {
        let effects = match self.wants() {
            Wants::Line => self.line(framer, content)?,
            Wants::SaslLine => self.sasl_line(framer)?,
            Wants::Content => self.content(framer, content)?,
            Wants::Chunk => self.chunk(framer, content)?,
            Wants::Answer | Wants::Tls | Wants::Nothing => return None,
        };
        Some(self.settled(effects))
    }

    /// Takes everything that is not bytes. What does not fit the state (an answer that
    /// comes too late) changes nothing.
    pub fn handle(&mut self, input: Input) -> Effects {
        if self.is_closed() {
            return Effects::new();
        }
        let effects = match input {
            Input::Answer(answer) => self.answer(answer),
            Input::TlsStarted(tls) => self.tls_started(tls),
            Input::Timeout => self.close(Reply::timeout()),
            Input::SessionEnded => self.close(Reply::session_ended()),
            Input::Shutdown => {
                self.is_draining = true;
                Effects::new()
            }
            Input::Hangup => self.hang_up(),
        };
        self.settled(effects)
    }

    /// One command line. `content` is for BDAT without octets, which is complete at once.
    fn line(&mut self, framer: &mut Framer, content: &mut Vec<u8>) -> Option<Effects> {
        let (verb, mut effects) = match framer.line(table::LONGEST_LINE_OCTETS - 2)? {
            Line::Text(line) if self.counters.lines == 0 && is_http(line) => {
                return Some(self.close(Reply::not_http()));
            }
            Line::Text(line) => {
                let verb = Verb::split(line).map(|(verb, _)| verb);
                (verb, refusing(line, self.command(verb, Command::parse(line, self.grammar()))))
            }
            Line::TooLong => (None, self.command(None, Err(CommandError::TooLong))),
        };
        self.counters.lines += 1;
        // Asked when the line is done with, as that is part of the framer: no command looks at it,
        // only the end of content does.
        let is_last_in_group = verb.is_some_and(|verb| table::row(verb).is_last_in_group);
        self.spoke_early |= is_last_in_group && !framer.is_empty();
        effects.extend(self.empty_chunk(content));
        if self.wants() == Wants::Tls {
            framer.clear();
        }
        Some(effects)
    }

    fn grammar(&self) -> Grammar {
        let smtputf8 = matches!(&self.state, State::Transaction(_, open) if open.params.smtputf8);
        let letters = if smtputf8 { Letters::Utf8 } else { Letters::Ascii };
        Grammar { letters, tolerance: self.settings.tolerance }
    }

    fn command(&mut self, verb: Option<Verb>, parsed: Result<Command, CommandError>) -> Effects {
        let row = verb.map(table::row);
        if row.as_ref().is_some_and(|row| !row.listeners.contains(&self.settings.listener)) {
            return self.mistake(Reply::unknown_command());
        }
        let command = match parsed {
            Ok(command) => command,
            // How many octets follow is not known, so nothing that follows can be trusted.
            Err(error) if verb == Some(Verb::Bdat) => return self.close(reply_to(error)),
            Err(error) => return self.mistake(reply_to(error)),
        };
        if row.is_some_and(|row| row.is_idle) {
            self.counters.idle_commands += 1;
            if self.counters.idle_commands > self.settings.limits.idle_commands {
                return self.close(Reply::too_many_idle_commands());
            }
        }
        let state = self.take_state();
        table::run(self, state, command)
    }

    fn answer(&mut self, answer: Answer) -> Effects {
        match self.take_state() {
            State::Waiting(Pending::SignIn(client)) => self.sign_in_answered(client, answer),
            State::Waiting(Pending::Relay(client, mechanism)) => {
                self.relay_answered(client, mechanism, answer)
            }
            State::Waiting(Pending::Sender(client, transaction)) => {
                self.sender_answered(client, transaction, answer)
            }
            State::Waiting(Pending::Recipient(client, transaction, recipient)) => {
                self.recipient_answered(client, transaction, recipient, answer)
            }
            State::Waiting(Pending::Commit { client, recipients }) => {
                self.commit_answered(client, recipients, answer)
            }
            state => {
                self.state = state;
                Effects::new()
            }
        }
    }

    /// Takes the state out; whoever does so puts the next one in.
    fn take_state(&mut self) -> State {
        std::mem::replace(&mut self.state, State::Closed)
    }

    /// Goes to `state` with this reply.
    pub(crate) fn reply_in(&mut self, state: State, reply: Reply) -> Effects {
        self.state = state;
        vec![Effect::Reply(reply)]
    }

    /// Goes to `state` with this reply to a mistake.
    pub(crate) fn mistake_in(&mut self, state: State, reply: Reply) -> Effects {
        self.state = state;
        self.mistake(reply)
    }

    /// Counts a mistake; enough of them close the session.
    fn mistake(&mut self, reply: Reply) -> Effects {
        self.counters.errors += 1;
        if self.counters.errors > self.settings.limits.errors {
            return self.close(Reply::too_many_errors());
        }
        vec![Effect::Reply(reply)]
    }

    /// 503 for a client that has not said hello.
    pub(crate) fn hello_first(&self) -> Reply {
        let verb = match self.settings.listener {
            Listener::Lmtp => Verb::Lhlo,
            Listener::Mx | Listener::Submission | Listener::Submissions => Verb::Ehlo,
        };
        Reply::hello_first(verb.name())
    }

    /// The effect that empties the caller's content buffer, if there is anything in it.
    fn discard(&mut self) -> Option<Effect> {
        std::mem::take(&mut self.holds_content).then_some(Effect::Discard)
    }

    /// Says a last word, and closes.
    fn close(&mut self, reply: Reply) -> Effects {
        let mut effects = Effects::from_iter(self.discard());
        effects.extend([Effect::Reply(reply), Effect::Close]);
        self.state = State::Closed;
        effects
    }

    fn hang_up(&mut self) -> Effects {
        let mut effects = Effects::from_iter(self.discard());
        effects.push(Effect::Close);
        self.state = State::Closed;
        effects
    }

    /// After every input: a server that is going down ends the session where no mail is
    /// under way.
    fn settled(&mut self, mut effects: Effects) -> Effects {
        let is_between_mails =
            matches!(self.state, State::Connected | State::Ready(_) | State::SigningIn(..));
        if self.is_draining && is_between_mails {
            effects.extend(self.close(Reply::shutting_down()));
        }
        effects
    }
}

/// The effects of a line; a refusal of MAIL or RCPT says what is refused.
fn refusing(line: &[u8], mut effects: Effects) -> Effects {
    let refusal =
        effects.iter_mut().find(|effect| matches!(effect, Effect::Reply(reply) if is_refusal(reply)));
    if let Some(effect) = refusal
        && let Effect::Reply(reply) = effect
        && let Some(written) = Written::of(line)
    {
        *effect = Effect::RefusePath(written, reply.clone());
    }
    effects
}

fn is_refusal(reply: &Reply) -> bool {
    matches!(reply.severity(), Severity::Transient | Severity::Permanent)
}

/// A web browser, or somebody who makes one talk to us.
fn is_http(line: &[u8]) -> bool {
    [&b"GET "[..], b"HEAD ", b"POST ", b"PUT ", b"OPTIONS ", b"CONNECT "]
        .iter()
        .any(|method| line.starts_with(method))
}

/// The reply to a line that is no command.
fn reply_to(error: CommandError) -> Reply {
    match error {
        CommandError::UnknownVerb => Reply::unknown_command(),
        CommandError::Characters => Reply::bad_characters(),
        CommandError::TooLong => Reply::command_too_long(),
        CommandError::ClientName => Reply::bad_client_name(),
        CommandError::ReversePath(PathError::NeedsSmtpUtf8)
        | CommandError::ForwardPath(PathError::NeedsSmtpUtf8) => Reply::needs_smtputf8(),
        CommandError::ReversePath(error) => Reply::bad_reverse_path(&error.to_string()),
        CommandError::ForwardPath(error) => Reply::bad_forward_path(&error.to_string()),
        CommandError::UnknownParameter => Reply::unknown_parameter(),
        CommandError::Argument(reason) => Reply::bad_argument(reason),
    }
}

/// The shell's one reply, or `usual`. A list or a challenge cannot be an answer here: that is
/// our own mistake, and the client may try again.
fn one_reply(answer: Answer, usual: Reply) -> Reply {
    match answer {
        Answer::Accept => usual,
        Answer::Reply(reply) => final_reply(reply),
        Answer::Each(_) | Answer::Challenge(_) => Reply::try_again_later(),
    }
}

/// A reply that the client does not take for an invitation to go on: nor can 3yz be an
/// answer.
fn final_reply(reply: Reply) -> Reply {
    if reply.severity() == Severity::Intermediate { Reply::try_again_later() } else { reply }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_has_its_deadline() {
        // RFC 5321 section 4.5.3.2.
        let settings = Settings::new("mx.example".parse().unwrap(), Listener::Mx);
        let deadlines = settings.deadlines;
        let (mut session, _) = Session::new(Arc::new(settings), None);
        let (mut framer, mut content) = (Framer::new(), Vec::new());
        let mut step = |line: &str, wants, deadline| {
            if line.is_empty() {
                session.handle(Input::Answer(Answer::Accept));
            }
            framer.push(line.as_bytes());
            session.receive(&mut framer, &mut content);
            assert_eq!((session.wants(), session.deadline()), (wants, deadline), "{line}");
        };
        step("HELO a\r\n", Wants::Line, deadlines.command);
        step("MAIL FROM:<>\r\n", Wants::Answer, deadlines.answer);
        step("", Wants::Line, deadlines.command);
        step("RCPT TO:<ann@example.org>\r\n", Wants::Answer, deadlines.answer);
        step("", Wants::Line, deadlines.command);
        step("DATA\r\n", Wants::Content, deadlines.content_start);
        step("text\r\n", Wants::Content, deadlines.content);
        step(".\r\n", Wants::Answer, deadlines.commit);
        step("", Wants::Line, deadlines.command);
    }
}
