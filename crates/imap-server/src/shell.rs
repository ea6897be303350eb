//! The loop around one session: bytes in, commands out, and what others change in between.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hikyaku_imap_proto::command::Secret;
use hikyaku_imap_proto::framer::{Event, Limits, Refusal};
use hikyaku_imap_proto::response::{StatusResponse, continuation};
use hikyaku_imap_proto::table::{self, Expunge, Request, RequestError, Row, State};
use hikyaku_imap_proto::{Command, Dialect, Framer, Tag};
use hikyaku_net::{Connection, Ending};
use hikyaku_sign_in::{End, Visit};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::cmd;
use crate::cmd::enable::Enabled;
use crate::cmd::scram;
use crate::memory::Room;
use crate::selected::sync;
use crate::session::{Failure, Outcome, Session};
use crate::wire::Wire;
use crate::{Mode, Services, Start};

/// Messages that one APPEND may bring: they become one transaction.
const MOST_MESSAGES: usize = 500;
/// IDLE looks by itself this often, and so soon after it could not.
const LOOK_AGAIN: Duration = Duration::from_secs(120);
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// When its session is ended, what a command does may take so long to come to an end.
const GRACE: Duration = Duration::from_millis(400);

/// What the next line of the client belongs to.
enum Pending {
    /// To nothing: a command comes next.
    Command,
    /// To IDLE, which `DONE` ends.
    Idle(Tag),
    /// To AUTHENTICATE PLAIN.
    Authenticate(Tag),
    /// To AUTHENTICATE by SCRAM.
    Scram(Tag, scram::Awaits),
}

/// An event of the framer, without its borrows.
enum Step {
    Continue,
    /// APPEND announces a message of so many bytes. An error is the answer; the message is
    /// not taken.
    Announced(Result<u64, StatusResponse>, bool),
    Command(Result<Request, RequestError>),
    Line(Vec<u8>),
    Refused(Option<Tag>, Refusal),
    /// Bytes of a message were put aside.
    Nothing,
    Close,
}

/// What becomes of the connection behind a command.
enum Then {
    GoOn,
    StartTls,
    Compress,
    EndCompression,
}

/// Why the loop ends.
enum Finish {
    /// In order: LOGOUT, or a BYE of ours.
    Said,
    Lost(io::Error),
}

impl From<io::Error> for Finish {
    fn from(error: io::Error) -> Self {
        Self::Lost(error)
    }
}

/// What came from the client: the bytes from `start` on are not looked at yet.
struct Incoming {
    framer: Framer,
    came: Vec<u8>,
    start: usize,
}

struct Shell<'s> {
    session: Session<'s>,
    ending: Ending,
    peer: IpAddr,
    number: u64,
    pending: Pending,
    /// Messages of the APPEND that is coming in, and the memory for them.
    messages: Vec<Vec<u8>>,
    room: Option<Room>,
    /// The answer to an APPEND whose message was not taken.
    refusal: Option<StatusResponse>,
    errors: u32,
}

pub(crate) async fn run(connection: Connection, mode: &Mode, services: &Services) {
    let Connection { stream, peer, session: number, ref ending, .. } = connection;
    let session = Session {
        services,
        mode,
        peer: peer.ip(),
        wire: Wire::new(stream, mode.stalled),
        account: None,
        visit: None,
        selected: None,
        dialect: Dialect::SevenBit,
        enabled: Enabled::default(),
        has_tls: false,
        client: String::new(),
        exporter: None,
        offers_scram: services.directory.offers_scram().await,
    };
    let mut shell = Shell {
        session,
        ending: ending.clone(),
        peer: peer.ip(),
        number,
        pending: Pending::Command,
        messages: Vec::new(),
        room: None,
        refusal: None,
        errors: 0,
    };
    match shell.run().await {
        Finish::Said => tracing::debug!(session = number, peer = %peer.ip(), "session ended"),
        Finish::Lost(error) => {
            tracing::debug!(session = number, peer = %peer.ip(), %error, "connection lost");
        }
    }
    let is_ended = shell.session.visit.as_ref().is_some_and(|visit| visit.end().has_come());
    // A client that was told good-bye may be gone already.
    if is_ended {
        let _ = timeout(GRACE, shell.session.wire.close()).await;
    } else {
        let _ = shell.session.wire.close().await;
    }
}

/// Ready when the session is ended; never for one that is not signed in.
async fn ended(end: Option<&End>) {
    match end {
        Some(end) => end.come().await,
        None => std::future::pending().await,
    }
}

/// Ready when the session is ended, and what it was doing had its time to come to an end.
async fn overdue(end: Option<&End>) {
    ended(end).await;
    sleep(GRACE).await;
}

/// Is the command about something else than the open mailbox?
fn is_elsewhere(row: &Row) -> bool {
    row.states.contains(&State::Authenticated) && !row.states.contains(&State::NotAuthenticated)
}

impl Shell<'_> {
    async fn run(&mut self) -> Finish {
        match self.until_the_end().await {
            Ok(()) => Finish::Said,
            Err(end) => end,
        }
    }

    /// What is seldom and large is boxed: a session that waits should take little memory.
    async fn until_the_end(&mut self) -> Result<(), Finish> {
        if self.session.mode.start == Start::Tls {
            Box::pin(self.start_tls()).await?;
        }
        let greeting = StatusResponse::greeting(self.session.capabilities());
        greeting.untagged(&mut self.session.wire.out);
        let mut incoming = Incoming { framer: self.framer(), came: Vec::new(), start: 0 };
        loop {
            let ending = self.session.visit.as_ref().map(Visit::end);
            if ending.as_ref().is_some_and(End::has_come) {
                return self.bye(&StatusResponse::bye_ended());
            }
            self.session.wire.begin_answer();
            tokio::select! {
                done = self.turn(&mut incoming) => done?,
                () = overdue(ending.as_ref()) => return self.break_off(),
            }
        }
    }

    fn framer(&self) -> Framer {
        Framer::new(Limits::new(self.session.mode.message_bytes))
    }

    /// Does what came next, or waits for it.
    async fn turn(&mut self, incoming: &mut Incoming) -> Result<(), Finish> {
        let Incoming { framer, came, start } = incoming;
        let mut input = came.get(*start..).unwrap_or_default();
        let step = framer.next(&mut input).map(|event| self.step(event));
        *start = came.len() - input.len();
        match step {
            Some(Step::Command(request)) => {
                let then = Box::pin(self.command(request, framer)).await?;
                if !matches!(then, Then::GoOn) {
                    let rest = came.get(*start..).unwrap_or_default();
                    Box::pin(self.change_stream(then, rest)).await?;
                    *framer = self.framer();
                    *start = came.len();
                }
            }
            Some(step) => Box::pin(self.other(step, framer)).await?,
            None => {
                // Nothing is kept while the client is silent.
                drop(std::mem::take(came));
                *start = 0;
                *came = self.wait().await?;
            }
        }
        Ok(())
    }

    /// The session is ended in the middle of a command.
    fn break_off(&mut self) -> Result<(), Finish> {
        if self.session.wire.drop_answer() {
            return self.bye(&StatusResponse::bye_ended());
        }
        Err(Finish::Lost(io::ErrorKind::ConnectionAborted.into()))
    }

    /// Takes what the framer lends.
    fn step(&mut self, event: Event<'_, '_>) -> Step {
        match event {
            Event::Continue => Step::Continue,
            Event::Chunk(bytes) => {
                if let Some(message) = self.messages.last_mut() {
                    message.extend_from_slice(bytes);
                }
                Step::Nothing
            }
            Event::Message(announced) => {
                let head = table::request(announced.head, self.session.state(), self.session.dialect);
                // All messages of one command are held until it is whole.
                let held: u64 = self.messages.iter().map(|message| message.len() as u64).sum();
                let fits = held.saturating_add(announced.size_bytes) <= self.session.mode.message_bytes;
                let taken = match head {
                    Ok(_) if self.messages.len() >= MOST_MESSAGES => Err(StatusResponse::limit()),
                    Ok(Request { command: Command::Append(_), .. }) if fits => Ok(announced.size_bytes),
                    Ok(_) => Err(StatusResponse::too_big()),
                    Err(error) => Err(StatusResponse::bad(&error.reason)),
                };
                Step::Announced(taken, announced.synchronising)
            }
            Event::Command(text) => {
                Step::Command(table::request(text, self.session.state(), self.session.dialect))
            }
            Event::Line(line) => Step::Line(line.to_vec()),
            Event::Refused { tag, refusal } => Step::Refused(tag, refusal),
            Event::Close => Step::Close,
        }
    }

    async fn other(&mut self, step: Step, framer: &mut Framer) -> Result<(), Finish> {
        match step {
            Step::Continue => self.go_on().await,
            Step::Announced(Ok(size_bytes), synchronising) => {
                if !self.make_room(size_bytes).await {
                    framer.refuse_message();
                    self.refusal = Some(StatusResponse::busy());
                    return Ok(());
                }
                framer.take_message();
                if synchronising { self.go_on().await } else { Ok(()) }
            }
            Step::Announced(Err(answer), _) => {
                framer.refuse_message();
                self.refusal = Some(answer);
                Ok(())
            }
            Step::Line(line) => self.line(&line, framer).await,
            Step::Refused(tag, refusal) => {
                let answer = self.refusal.take().unwrap_or_else(|| StatusResponse::refused(refusal));
                self.forget_messages();
                self.mistake(tag.as_ref(), &answer)
            }
            Step::Close => self.bye(&StatusResponse::bye_too_much()),
            Step::Command(_) | Step::Nothing => Ok(()),
        }
    }

    /// Waits for memory for a message of APPEND: as it comes, and as it will be stored.
    async fn make_room(&mut self, size_bytes: u64) -> bool {
        let Some(account) = &self.session.account else { return false };
        let (memory, wait) = (&self.session.services.memory, self.session.mode.memory_wait);
        let room = self.room.get_or_insert_with(|| memory.room(account.home));
        let has_room = tokio::select! {
            biased;
            grown = room.grow(size_bytes.saturating_mul(2), wait) => grown.is_ok(),
            () = self.ending.begun() => false,
        };
        if has_room {
            self.messages.push(Vec::with_capacity(usize::try_from(size_bytes).unwrap_or_default()));
        }
        has_room
    }

    fn forget_messages(&mut self) {
        self.messages = Vec::new();
        self.room = None;
    }

    async fn go_on(&mut self) -> Result<(), Finish> {
        continuation(&mut self.session.wire.out, "Go on");
        Ok(self.session.wire.flush().await?)
    }

    /// Carries out a command.
    async fn command(
        &mut self,
        request: Result<Request, RequestError>,
        framer: &mut Framer,
    ) -> Result<Then, Finish> {
        let Request { tag, row, command } = match request {
            Ok(request) => request,
            Err(error) => {
                self.forget_messages();
                self.mistake(error.tag.as_ref(), &StatusResponse::bad(&error.reason))?;
                return Ok(Then::GoOn);
            }
        };
        match command {
            Command::Idle => {
                framer.expect_line();
                continuation(&mut self.session.wire.out, "idling");
                self.pending = Pending::Idle(tag);
                self.sync(Expunge::May).await?;
            }
            Command::Authenticate(authenticate) => {
                if let Some(mechanism) = scram::mechanism(&self.session, &authenticate.mechanism) {
                    let awaits = scram::Awaits::Name(mechanism);
                    match authenticate.initial_response {
                        Some(message) => self.scram(tag, awaits, &message.0, framer).await?,
                        None => self.challenge("", Pending::Scram(tag, awaits), framer),
                    }
                } else if authenticate.mechanism != "PLAIN" {
                    self.answer(&tag, Ok(StatusResponse::unknown_mechanism()))?;
                } else if let Some(response) = authenticate.initial_response {
                    self.authenticate(&tag, &response).await?;
                } else {
                    self.challenge("", Pending::Authenticate(tag), framer);
                }
            }
            Command::Login(login) => {
                let outcome = cmd::auth::login(&mut self.session, &login.user, &login.password.0).await;
                self.signed_in(&tag, outcome)?;
            }
            Command::StartTls => {
                if self.session.has_tls || self.session.mode.tls.is_none() {
                    self.answer(&tag, Ok(StatusResponse::bad(&table::Reason::WrongState)))?;
                } else {
                    StatusResponse::begin_tls().tagged(&mut self.session.wire.out, &tag);
                    self.session.wire.flush().await?;
                    return Ok(Then::StartTls);
                }
            }
            Command::Compress(mechanism) => {
                if mechanism != "DEFLATE" {
                    self.mistake(Some(&tag), &StatusResponse::unknown_compression())?;
                } else if self.session.wire.is_compressed() {
                    self.answer(&tag, Ok(StatusResponse::compression_active()))?;
                } else {
                    self.answer(&tag, Ok(StatusResponse::begin_compression()))?;
                    return Ok(Then::Compress);
                }
            }
            Command::Unauthenticate => {
                self.session.sign_out();
                self.answer(&tag, Ok(StatusResponse::signed_out(self.session.capabilities())))?;
                if self.session.wire.is_compressed() {
                    return Ok(Then::EndCompression);
                }
            }
            Command::Logout => {
                StatusResponse::bye().untagged(&mut self.session.wire.out);
                StatusResponse::completed(row).tagged(&mut self.session.wire.out, &tag);
                return Err(Finish::Said);
            }
            command => self.carry_out(&tag, row, command).await?,
        }
        Ok(Then::GoOn)
    }

    /// Carries out a command that leaves the stream as it is, and tells what happened meanwhile.
    async fn carry_out(&mut self, tag: &Tag, row: &'static Row, command: Command) -> Result<(), Finish> {
        let messages = std::mem::take(&mut self.messages);
        let _room = self.room.take();
        let outcome = cmd::run(&mut self.session, tag, row, command, messages).await;
        if matches!(outcome, Err(Failure::Gone(_))) {
            return self.answer(tag, outcome);
        }
        match sync(&mut self.session, row.expunge).await {
            // What was done elsewhere is done: a client that was not told would append or copy
            // it again. BYE stands behind it.
            Ok(false) => {
                if outcome.as_ref().is_ok_and(|answer| is_elsewhere(row) || answer.code.is_some()) {
                    self.answer(tag, outcome)?;
                }
                self.bye(&StatusResponse::bye_mailbox_deleted())
            }
            Err(Failure::Gone(error)) => Err(Finish::Lost(error)),
            // What could not be read is told after a later command.
            Ok(true) | Err(Failure::Answer(_) | Failure::NoRoom) => self.answer(tag, outcome),
        }
    }

    /// Goes on under TLS or compression, or without the latter. `came` was read behind the
    /// command that asked for it.
    async fn change_stream(&mut self, then: Then, came: &[u8]) -> Result<(), Finish> {
        match then {
            Then::GoOn => Ok(()),
            // What came in clear behind STARTTLS is nobody's word.
            Then::StartTls => self.start_tls().await,
            Then::Compress => Ok(self.session.wire.compress(came).await?),
            // RFC 8437 section 4.1: nothing behind UNAUTHENTICATE is compressed.
            Then::EndCompression if !came.is_empty() => Err(Finish::Lost(io::ErrorKind::InvalidData.into())),
            Then::EndCompression => Ok(self.session.wire.end_compression().await?),
        }
    }

    /// Asks for a line more, which belongs to `pending`.
    fn challenge(&mut self, text: &str, pending: Pending, framer: &mut Framer) {
        framer.expect_line();
        continuation(&mut self.session.wire.out, &STANDARD.encode(text));
        self.pending = pending;
    }

    /// A message of SCRAM.
    async fn scram(
        &mut self,
        tag: Tag,
        awaits: scram::Awaits,
        message: &[u8],
        framer: &mut Framer,
    ) -> Result<(), Finish> {
        match scram::step(&mut self.session, awaits, message).await {
            scram::Next::Challenge(text, awaits) => {
                self.challenge(&text, Pending::Scram(tag, awaits), framer);
                Ok(())
            }
            scram::Next::End(outcome) => self.signed_in(&tag, outcome),
        }
    }

    /// A line of IDLE or AUTHENTICATE.
    async fn line(&mut self, line: &[u8], framer: &mut Framer) -> Result<(), Finish> {
        match std::mem::replace(&mut self.pending, Pending::Command) {
            Pending::Idle(tag) => {
                if line.eq_ignore_ascii_case(b"DONE") {
                    self.sync(Expunge::May).await?;
                    self.answer(&tag, Ok(StatusResponse::idle_done()))
                } else {
                    self.mistake(Some(&tag), &StatusResponse::expected_done())
                }
            }
            Pending::Authenticate(tag) | Pending::Scram(tag, _) if line == b"*" => {
                self.answer(&tag, Ok(StatusResponse::authentication_cancelled()))
            }
            Pending::Scram(tag, awaits) => match Secret::from_base64(line) {
                Some(message) => self.scram(tag, awaits, &message.0, framer).await,
                None => self.mistake(Some(&tag), &StatusResponse::authentication_malformed()),
            },
            Pending::Authenticate(tag) => match Secret::from_base64(line) {
                Some(response) => self.authenticate(&tag, &response).await,
                None => self.mistake(Some(&tag), &StatusResponse::authentication_malformed()),
            },
            Pending::Command => Ok(()),
        }
    }

    async fn authenticate(&mut self, tag: &Tag, response: &Secret) -> Result<(), Finish> {
        let outcome = cmd::auth::plain(&mut self.session, &response.0).await;
        self.signed_in(tag, outcome)
    }

    fn signed_in(&mut self, tag: &Tag, outcome: Outcome) -> Result<(), Finish> {
        match &self.session.account {
            Some(account) => {
                tracing::info!(session = self.number, account = %account.home.account, peer = %self.peer, "signed in");
            }
            None => {
                tracing::info!(session = self.number, peer = %self.peer, "sign-in failed");
                self.errors += 1;
            }
        }
        self.answer(tag, outcome)?;
        if self.errors > self.session.mode.errors {
            return self.bye(&StatusResponse::bye_too_many_errors());
        }
        Ok(())
    }

    fn answer(&mut self, tag: &Tag, outcome: Outcome) -> Result<(), Finish> {
        match outcome {
            Ok(answer) | Err(Failure::Answer(answer)) => {
                self.session.with_modseq(answer).tagged(&mut self.session.wire.out, tag);
                Ok(())
            }
            Err(Failure::NoRoom) => self.answer(tag, Ok(StatusResponse::busy())),
            Err(Failure::Gone(error)) => Err(Finish::Lost(error)),
        }
    }

    /// A command that is wrong. Enough of them end the session.
    fn mistake(&mut self, tag: Option<&Tag>, answer: &StatusResponse) -> Result<(), Finish> {
        match tag {
            Some(tag) => answer.tagged(&mut self.session.wire.out, tag),
            None => answer.untagged(&mut self.session.wire.out),
        }
        self.errors += 1;
        if self.errors > self.session.mode.errors {
            return self.bye(&StatusResponse::bye_too_many_errors());
        }
        Ok(())
    }

    fn bye(&mut self, word: &StatusResponse) -> Result<(), Finish> {
        word.untagged(&mut self.session.wire.out);
        Err(Finish::Said)
    }

    /// False if it could not be read now.
    async fn sync(&mut self, expunge: Expunge) -> Result<bool, Finish> {
        match sync(&mut self.session, expunge).await {
            Ok(true) => Ok(true),
            // RFC 2180 section 3.3: numbers that mean nothing any more cannot be explained.
            Ok(false) => self.bye(&StatusResponse::bye_mailbox_deleted()).map(|()| false),
            // It is told after a later command, or when IDLE looks again.
            Err(Failure::Answer(_) | Failure::NoRoom) => Ok(false),
            Err(Failure::Gone(error)) => Err(Finish::Lost(error)),
        }
    }

    /// Sends what waits, then waits for bytes, for changes while idling, for the deadline,
    /// or for the end of the process.
    async fn wait(&mut self) -> Result<Vec<u8>, Finish> {
        let silence = match self.session.account {
            Some(_) if self.room.is_some() => self.session.mode.stalled,
            Some(_) => self.session.mode.silence,
            None => self.session.mode.silence_before_sign_in,
        };
        let silence = Instant::now() + silence;
        let ending = self.session.visit.as_ref().map(Visit::end);
        let is_idle = matches!(self.pending, Pending::Idle(_));
        let mut look_again = LOOK_AGAIN;
        loop {
            self.session.wire.flush().await?;
            let Session { wire, selected, .. } = &mut self.session;
            let changed = async {
                match selected {
                    Some(selected) if is_idle => selected.watch.changed().await,
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                read = timeout_at(silence, wire.read()) => return match read {
                    Ok(Ok(came)) if came.is_empty() => Err(Finish::Lost(io::ErrorKind::UnexpectedEof.into())),
                    Ok(Ok(came)) => Ok(came),
                    Ok(Err(error)) => Err(Finish::Lost(error)),
                    Err(_) => self.bye(&StatusResponse::bye_idle()).map(|()| Vec::new()),
                },
                _ = changed => {}
                // A hint can be lost, and what it led to can fail.
                () = sleep(look_again), if is_idle => {}
                () = ended(ending.as_ref()) => return self.bye(&StatusResponse::bye_ended()).map(|()| Vec::new()),
                () = self.ending.begun() => return self.bye(&StatusResponse::bye_shutdown()).map(|()| Vec::new()),
            }
            look_again = if Box::pin(self.sync(Expunge::May)).await? { LOOK_AGAIN } else { TRY_AGAIN };
        }
    }

    async fn start_tls(&mut self) -> Result<(), Finish> {
        let acceptor = self.session.mode.tls.clone().ok_or_else(|| io::Error::other("no certificate"))?;
        let patience = self.session.mode.silence_before_sign_in;
        self.session.exporter = self.session.wire.start_tls(&acceptor, patience).await?.exporter;
        self.session.has_tls = true;
        Ok(())
    }
}
