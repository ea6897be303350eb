//! The loop around one session: bytes in, effects out.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hikyaku_directory::Account;
use hikyaku_mailstore::DeliveryKey;
use hikyaku_net::{Connection, Ending, Stream};
use hikyaku_smtp_proto::path::ForwardPath;
use hikyaku_smtp_proto::session::Effects;
use hikyaku_smtp_proto::{
    Answer, Effect, Envelope, Framer, Input, Listener, Question, Reply, Session, Tls, Wants,
};
use hikyaku_types::ShardId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use crate::budget::Room;
use crate::receive::{Accepted, Message, receive};
use crate::{Mode, Services, answer};

const READ: usize = 16 << 10;
/// 50 MB over a line of half a megabit a second.
const WHOLE_CONTENT: Duration = Duration::from_secs(20 * 60);

/// One connection's state beside the protocol's own.
struct Shell<'s> {
    stream: Stream,
    ending: Ending,
    peer: IpAddr,
    number: u64,
    mode: Mode,
    services: &'s Services,
    tls: Option<Tls>,
    account: Option<Arc<Account>>,
    /// Recipients that RCPT accepted, in the session's order.
    recipients: Vec<Accepted>,
    /// When the content that is coming in began.
    content_since: Option<Instant>,
    /// SIZE of MAIL, or one octet.
    declared_size: u64,
    content: Vec<u8>,
    room: Room,
    /// Replies that wait to be sent: pipelined commands are answered together.
    out: Vec<u8>,
    /// Keys of deliveries whose reply is not yet shown to be received.
    unconfirmed: Vec<(ShardId, DeliveryKey)>,
    /// Among the replies in `out` is one to content.
    out_has_verdict: bool,
    /// The session knows of the end of the process.
    is_ending: bool,
}

pub(crate) async fn run(connection: Connection, mode: Mode, services: &Services) {
    let Connection { stream, peer, session: number, ref ending, .. } = connection;
    let mut shell = Shell {
        stream,
        ending: ending.clone(),
        peer: peer.ip(),
        number,
        mode,
        services,
        tls: None,
        account: None,
        recipients: Vec::new(),
        content_since: None,
        declared_size: 1,
        content: Vec::new(),
        room: Room::None,
        out: Vec::new(),
        unconfirmed: Vec::new(),
        out_has_verdict: false,
        is_ending: false,
    };
    match shell.run().await {
        Ok(()) => tracing::debug!(session = number, peer = %peer.ip(), "session ended"),
        Err(error) => tracing::debug!(session = number, peer = %peer.ip(), %error, "connection lost"),
    }
}

impl Shell<'_> {
    async fn run(&mut self) -> io::Result<()> {
        if self.mode.settings.listener == Listener::Submissions {
            self.start_tls().await?;
        }
        let (mut session, mut effects) = Session::new(Arc::clone(&self.mode.settings), self.tls.clone());
        let mut framer = Framer::new();
        loop {
            let input = self.perform(effects, &mut session).await?;
            effects = if let Some(input) = input {
                session.handle(input)
            } else if session.is_closed() {
                break;
            } else if let Some(effects) = session.receive(&mut framer, &mut self.content) {
                effects
            } else {
                self.wait(&mut session, &mut framer).await?
            };
        }
        self.flush().await?;
        self.stream.shutdown().await
    }

    /// Carries out effects; what the session must be told next, if anything.
    async fn perform(&mut self, effects: Effects, session: &mut Session) -> io::Result<Option<Input>> {
        let mut next = None;
        for effect in effects {
            match effect {
                Effect::Reply(reply) => reply.print(&mut self.out),
                Effect::Ask(question) => next = Some(self.answer(question, session).await),
                Effect::Commit(envelope) => next = Some(self.commit(&envelope, session).await),
                Effect::StartTls => {
                    self.flush().await?;
                    let tls = self.start_tls().await?;
                    self.account = None;
                    next = Some(Input::TlsStarted(tls));
                }
                Effect::Discard => self.discard(),
                Effect::Close => self.flush().await?,
            }
        }
        Ok(next)
    }

    /// Sends what waits, then waits for bytes, the deadline, or the end of the process.
    async fn wait(&mut self, session: &mut Session, framer: &mut Framer) -> io::Result<Effects> {
        let mut bytes = [0u8; READ];
        if self.out_has_verdict
            && let Some(early) = self.read_now(&mut bytes).await
        {
            // Sent before our reply, so it does not show that the reply came.
            self.flush().await?;
            let count = early?;
            return Ok(Self::received(bytes.get(..count).unwrap_or_default(), session, framer));
        }
        self.flush().await?;
        let deadline = self.deadline(session);
        let reading = async {
            if matches!(session.wants(), Wants::Content | Wants::Chunk) {
                self.room.grow(&self.services.budget, self.content.len() + READ).await;
            }
            self.stream.read(&mut bytes).await
        };
        let count = tokio::select! {
            read = timeout(deadline, reading) => match read {
                Ok(count) => count?,
                Err(_) => return Ok(session.handle(Input::Timeout)),
            },
            () = self.ending.begun(), if !self.is_ending => {
                self.is_ending = true;
                return Ok(session.handle(Input::Shutdown));
            }
        };
        if count > 0 {
            // It has gone on after our last reply, so its host had it. (What was under way at
            // that moment is taken for that, too: pipelined commands on a slow network.)
            for (shard, key) in self.unconfirmed.drain(..) {
                self.services.keys.forget(shard, key);
            }
        }
        Ok(Self::received(bytes.get(..count).unwrap_or_default(), session, framer))
    }

    /// The session's deadline begins anew with each octet; content as a whole has one, too, or
    /// a client that trickles would hold its room for ever.
    fn deadline(&mut self, session: &Session) -> Duration {
        if !matches!(session.wants(), Wants::Content | Wants::Chunk) {
            self.content_since = None;
            return session.deadline();
        }
        let since = *self.content_since.get_or_insert_with(Instant::now);
        session.deadline().min(WHOLE_CONTENT.saturating_sub(since.elapsed()))
    }

    /// What has come by now, without waiting; `None` if nothing has.
    async fn read_now(&mut self, bytes: &mut [u8]) -> Option<io::Result<usize>> {
        timeout(Duration::ZERO, self.stream.read(bytes)).await.ok()
    }

    /// No bytes are the end of the connection.
    fn received(bytes: &[u8], session: &mut Session, framer: &mut Framer) -> Effects {
        if bytes.is_empty() {
            return session.handle(Input::Hangup);
        }
        framer.push(bytes);
        Effects::new()
    }

    async fn answer(&mut self, question: Question, session: &Session) -> Input {
        let directory = &self.services.directory;
        let answering = async {
            match question {
                Question::SignIn(credentials) => {
                    match answer::sign_in(directory, &credentials, self.peer).await {
                        Ok(account) => {
                            tracing::info!(session = self.number, account = %account.home.account, peer = %self.peer, "signed in");
                            self.account = Some(account);
                            Answer::Accept
                        }
                        Err(refusal) => {
                            tracing::info!(session = self.number, peer = %self.peer, "sign-in failed");
                            refusal
                        }
                    }
                }
                Question::Sender { reverse_path, params, .. } => {
                    self.recipients.clear();
                    self.declared_size = params.size_bytes.unwrap_or(1);
                    answer::sender(directory, self.account.as_deref(), &reverse_path).await
                }
                Question::Recipient { recipient, .. } => {
                    match self.recipients(&recipient.forward_path).await {
                        Ok(accepted) => {
                            self.recipients.extend(accepted);
                            Answer::Accept
                        }
                        Err(reply) => Answer::Reply(reply),
                    }
                }
            }
        };
        let answer = timeout(session.deadline(), answering).await;
        Input::Answer(answer.unwrap_or_else(|_| Answer::Reply(Reply::try_again_later())))
    }

    /// Who gets mail to this address, if they have room for it.
    async fn recipients(&self, forward_path: &ForwardPath) -> Result<Vec<Accepted>, Reply> {
        let accepted =
            answer::recipients(&self.services.directory, &self.mode.settings, forward_path).await?;
        let now = self.services.clock.now();
        for one in &accepted {
            answer::refuse_if_full(&self.services.store, &one.account, self.declared_size, now).await?;
        }
        Ok(accepted)
    }

    async fn commit(&mut self, envelope: &Envelope, session: &Session) -> Input {
        let content = Arc::new(std::mem::take(&mut self.content));
        let recipients = std::mem::take(&mut self.recipients);
        let message = Message {
            envelope,
            recipients: &recipients,
            peer: self.peer,
            tls: self.tls.as_ref(),
            settings: &self.mode.settings,
        };
        let received = timeout(session.deadline(), receive(self.services, &message, content)).await;
        self.room = Room::None;
        let reply = match received {
            Ok(Ok(done)) => {
                tracing::info!(session = self.number, trace = %done.trace, peer = %self.peer,
                    recipients = recipients.len(), size = envelope.content.size_bytes, "accepted");
                self.unconfirmed.extend(done.keys);
                self.out_has_verdict = true;
                Reply::accepted(&done.trace.to_string())
            }
            Ok(Err(error)) => {
                tracing::warn!(session = self.number, peer = %self.peer, %error, "not accepted");
                error.reply()
            }
            Err(_) => {
                tracing::warn!(session = self.number, peer = %self.peer, "delivery took too long");
                Reply::try_again_later()
            }
        };
        Input::Answer(Answer::Reply(reply))
    }

    fn discard(&mut self) {
        self.content = Vec::new();
        self.recipients.clear();
        self.room = Room::None;
    }

    async fn start_tls(&mut self) -> io::Result<Tls> {
        let acceptor = self.mode.tls.clone().ok_or_else(|| io::Error::other("no certificate"))?;
        let deadline = self.mode.settings.deadlines.start_tls;
        let facts = timeout(deadline, self.stream.start_tls(&acceptor))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let tls = Tls { cipher_suite: facts.cipher_suite.into() };
        self.tls = Some(tls.clone());
        Ok(tls)
    }

    /// A peer that does not read is as good as gone.
    async fn flush(&mut self) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let deadline = self.mode.settings.deadlines.command;
        let write = async {
            self.stream.write_all(&self.out).await?;
            self.stream.flush().await
        };
        timeout(deadline, write).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        self.out.clear();
        self.out_has_verdict = false;
        Ok(())
    }
}
