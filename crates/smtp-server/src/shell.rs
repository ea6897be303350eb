//! The loop around one session: bytes in, effects out.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use hikyaku_access::facts as access;
use hikyaku_directory::Account;
use hikyaku_mailstore::{ContentHash, DeliveryKey};
use hikyaku_mime::Header;
use hikyaku_net::{Connection, Ending, Stream};
use hikyaku_sign_in::{Caller, Visit};
use hikyaku_smtp_proto::command::Body;
use hikyaku_smtp_proto::path::{ForwardPath, ReversePath};
use hikyaku_smtp_proto::reply::Severity;
use hikyaku_smtp_proto::session::Effects;
use hikyaku_smtp_proto::{
    Answer, Effect, Envelope, Framer, Input, Listener, Question, Reply, Session, Tls, Wants, Written,
};
use hikyaku_types::{Address, ShardId, TenantId};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, timeout, timeout_at};

use crate::answer::Found;
use crate::budget::Room;
use crate::isolation::Origin;
use crate::judge::{Case, Judged, Refusal, judge};
use crate::leaving::Leaving;
use crate::loops::delivered_before;
use crate::metrics::Reason;
use crate::pool::Share;
use crate::receive::{Accepted, Content, Done, Message, receive, reverse_path_text};
use crate::refused::{Home, Named, Noting, Unwanted, recipient_text};
use crate::submission::{self, Submission};
use crate::{Mode, Services, answer, scram};

/// MAIL and RCPT of one connection that are told with their paths, if they were refused without
/// a question. One that writes nonsense must not fill the trace with it: further ones are told
/// without, so those that get the same reply are one row with their number.
const MOST_UNASKED: u32 = 20;

/// Bytes of one read.
const READ: usize = 16 << 10;

/// One connection's state beside the protocol's own.
struct Shell<'s> {
    stream: Stream,
    ending: Ending,
    origin: Origin,
    number: u64,
    mode: Mode,
    services: &'s Services,
    tls: Option<Tls>,
    /// What a sign-in can be bound to.
    exporter: Option<[u8; 32]>,
    /// Of an AUTH exchange by SCRAM.
    scram: scram::Awaits,
    account: Option<Arc<Account>>,
    /// Among the signed-in connections, as long as it is one.
    visit: Option<Visit>,
    /// Recipients that RCPT accepted, in the session's order.
    recipients: Vec<Accepted>,
    /// Those of them who are elsewhere.
    leaving: Vec<Leaving>,
    /// How many RCPT were accepted.
    accepted: usize,
    /// What was said of the mail transaction, should it be refused.
    named: Named,
    /// The tenants that the mail transaction counts for.
    shares: Vec<(TenantId, Share)>,
    /// When the mail transaction began.
    transaction_since: Option<Instant>,
    /// When the session began to wait for what it wants.
    waiting_since: Option<Instant>,
    /// Recipients that were refused for good.
    refused: u32,
    /// MAIL and RCPT that were refused without a question.
    refused_unasked: u32,
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
    let origin = Origin { peer: peer.ip(), listener: mode.settings.listener };
    let mut shell = Shell {
        stream,
        ending: ending.clone(),
        origin,
        number,
        mode,
        services,
        tls: None,
        exporter: None,
        scram: scram::Awaits::default(),
        account: None,
        visit: None,
        recipients: Vec::new(),
        leaving: Vec::new(),
        accepted: 0,
        named: Named::default(),
        shares: Vec::new(),
        transaction_since: None,
        waiting_since: None,
        refused: 0,
        refused_unasked: 0,
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
        self.offer_scram().await;
        let (mut session, mut effects) = Session::new(Arc::clone(&self.mode.settings), self.tls.clone());
        let mut framer = Framer::new();
        loop {
            let input = self.perform(effects, &mut session).await?;
            effects = if let Some(input) = input {
                session.handle(input)
            } else if session.is_closed() {
                break;
            } else if self.visit.as_ref().is_some_and(|visit| visit.end().has_come()) {
                session.handle(Input::SessionEnded)
            } else if let Some(effects) = self.receive(&mut session, &mut framer) {
                effects
            } else {
                self.wait(&mut session, &mut framer).await?
            };
        }
        self.flush().await?;
        self.stream.shutdown().await
    }

    /// What the bytes that have come lead to, if they are enough for anything.
    fn receive(&mut self, session: &mut Session, framer: &mut Framer) -> Option<Effects> {
        let is_content = matches!(session.wants(), Wants::Content | Wants::Chunk);
        let effects = session.receive(framer, &mut self.content)?;
        self.waiting_since = None;
        // Content can be refused without a question: its size, its octets, its hops.
        let refusal = effects.iter().find_map(|effect| match effect {
            Effect::Reply(reply) if is_content && is_refusal(reply) => Some(reply),
            _ => None,
        });
        if let Some(reply) = refusal {
            self.noting().all(&self.named, reply, None);
        }
        Some(effects)
    }

    fn noting(&self) -> Noting<'_> {
        Noting {
            log: &self.services.refusals,
            listener: self.origin.listener,
            peer: self.origin.peer,
            sender: self.account.as_ref().map(|account| account.home),
            now: self.services.clock.now(),
        }
    }

    /// Notes a MAIL or RCPT whose refusal needed no question: it was malformed, out of place or
    /// beyond a limit.
    fn note_unasked(&mut self, written: &Written, reply: &Reply, has_transaction: bool) {
        self.refused_unasked = self.refused_unasked.saturating_add(1);
        let is_told = self.refused_unasked <= MOST_UNASKED;
        let shown = |text: &str| if is_told { text.to_owned() } else { String::new() };
        match written {
            Written::ReversePath(text) => {
                let text = shown(text);
                self.noting().one(&text, ("", None), reply, None);
                // A client that pipelines names its recipients all the same.
                if !has_transaction {
                    self.end_transaction();
                    self.named.reverse_path = text;
                }
            }
            Written::ForwardPath(text) => {
                // Whose it is was not looked up. What comes with mail for a tenant is for it to see.
                let home = self.named.recipients.first().and_then(|(_, home)| *home);
                self.noting().one(&self.named.reverse_path, (&shown(text), home), reply, None);
            }
        }
    }

    /// Whether SCRAM is offered is the tenants' choice, and may be another one for the next
    /// connection.
    async fn offer_scram(&mut self) {
        let is_submission =
            matches!(self.mode.settings.listener, Listener::Submission | Listener::Submissions);
        if is_submission && self.services.directory.offers_scram().await {
            Arc::make_mut(&mut self.mode.settings).offers.scram = true;
        }
    }

    /// Carries out effects; what the session must be told next, if anything.
    ///
    /// What is seldom and large is boxed: an idle session should take little memory.
    async fn perform(&mut self, effects: Effects, session: &mut Session) -> io::Result<Option<Input>> {
        let mut next = None;
        for effect in effects {
            match effect {
                Effect::Reply(reply) => reply.print(&mut self.out),
                Effect::RefusePath(written, reply) => {
                    self.note_unasked(&written, &reply, session.has_transaction());
                    reply.print(&mut self.out);
                }
                Effect::Ask(question) => next = Some(Box::pin(self.answer(question, session)).await),
                Effect::Commit(envelope) => next = Some(Box::pin(self.commit(envelope, session)).await),
                Effect::StartTls => {
                    self.flush().await?;
                    let tls = self.start_tls().await?;
                    self.account = None;
                    self.visit = None;
                    next = Some(Input::TlsStarted(tls));
                }
                Effect::Discard => {
                    self.content = Vec::new();
                    self.room = Room::None;
                }
                Effect::Close => self.flush().await?,
            }
        }
        Ok(next)
    }

    /// Sends what waits, then waits for bytes, the deadline, or the end of the process.
    async fn wait(&mut self, session: &mut Session, framer: &mut Framer) -> io::Result<Effects> {
        if !session.has_transaction() {
            self.end_transaction();
        }
        if self.out_has_verdict
            && let Ok(early) = timeout(Duration::ZERO, read(&mut self.stream, framer)).await
        {
            // Sent before our reply, so it does not show that the reply came.
            self.flush().await?;
            return Ok(received(early?, session));
        }
        self.flush().await?;
        let deadline = self.deadline(session);
        let ending = self.visit.as_ref().map(Visit::end);
        let ended = async {
            match &ending {
                Some(end) => end.come().await,
                None => std::future::pending().await,
            }
        };
        let reading = async {
            if matches!(session.wants(), Wants::Content | Wants::Chunk) {
                let tenant = self.shares.first().map(|(tenant, _)| *tenant);
                let bytes = self.content.len() + READ;
                self.services.isolation.make_room(&mut self.room, self.origin, tenant, bytes).await;
            }
            read(&mut self.stream, framer).await
        };
        let count = tokio::select! {
            read = timeout(deadline, reading) => match read {
                Ok(count) => count?,
                Err(_) => return Ok(session.handle(Input::Timeout)),
            },
            () = ended => return Ok(session.handle(Input::SessionEnded)),
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
        Ok(received(count, session))
    }

    /// The session's deadline begins anew with each octet of content. A line must be complete
    /// within it, and a mail transaction as a whole has an end, too: a client that trickles
    /// holds up others.
    fn deadline(&mut self, session: &Session) -> Duration {
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        let mut deadline = session.deadline();
        if matches!(session.wants(), Wants::Line | Wants::SaslLine) {
            deadline = deadline.saturating_sub(since.elapsed());
        }
        if session.has_transaction() {
            let began = *self.transaction_since.get_or_insert(since);
            deadline = deadline.min(self.mode.settings.deadlines.transaction.saturating_sub(began.elapsed()));
        }
        deadline
    }

    fn end_transaction(&mut self) {
        self.recipients.clear();
        self.leaving.clear();
        self.accepted = 0;
        self.named = Named::default();
        self.shares.clear();
        self.transaction_since = None;
    }

    async fn answer(&mut self, question: Question, session: &Session) -> Input {
        let answering = async {
            match question {
                Question::SignIn(credentials) => {
                    let client = client_of(session);
                    match answer::sign_in(&self.services.gate, &credentials, self.origin.peer, &client).await
                    {
                        Ok(visit) => self.signed_in(visit),
                        Err(refusal) => {
                            tracing::info!(session = self.number, peer = %self.origin.peer, "sign-in failed");
                            refusal
                        }
                    }
                }
                Question::Relay(relayed) => {
                    let exporter = self.exporter.as_ref().map(|exporter| exporter.as_slice());
                    let (gate, peer) = (&self.services.gate, self.origin.peer);
                    let client = client_of(session);
                    let caller =
                        Caller { service: access::Service::Submission, source: peer, client: &client };
                    match scram::answer(&mut self.scram, gate, &relayed, exporter, &caller).await {
                        Ok(scram::Next::Challenge(challenge)) => Answer::Challenge(challenge.into()),
                        Ok(scram::Next::SignedIn(visit)) => self.signed_in(visit),
                        Err(refusal) => {
                            tracing::info!(session = self.number, %peer, "sign-in failed");
                            refusal
                        }
                    }
                }
                Question::Sender { reverse_path, params, .. } => {
                    self.declared_size = params.size_bytes.unwrap_or(1);
                    self.sender(&reverse_path).await
                }
                Question::Recipient { recipient, .. } => self.recipient(&recipient.forward_path).await,
            }
        };
        let answer = timeout(session.deadline(), answering).await;
        Input::Answer(answer.unwrap_or_else(|_| Answer::Reply(Reply::try_again_later())))
    }

    fn signed_in(&mut self, visit: Visit) -> Answer {
        let account = Arc::clone(visit.account());
        tracing::info!(session = self.number, account = %account.home.account,
            peer = %self.origin.peer, "signed in");
        self.account = Some(account);
        self.visit = Some(visit);
        Answer::Accept
    }

    async fn sender(&mut self, reverse_path: &ReversePath) -> Answer {
        // RSET and EHLO end one, too, and may come in one packet with this MAIL.
        self.end_transaction();
        self.named.reverse_path = reverse_path_text(reverse_path);
        let answer = answer::sender(&self.services.directory, self.account.as_deref(), reverse_path).await;
        if let Answer::Reply(reply) = &answer {
            self.noting().one(&self.named.reverse_path, ("", None), reply, None);
        }
        answer
    }

    async fn recipient(&mut self, forward_path: &ForwardPath) -> Answer {
        let address = recipient_text(forward_path);
        let Unwanted { reply, home } = match self.admit(forward_path).await {
            Ok(home) => {
                self.named.recipients.push((address, Some(home)));
                return Answer::Accept;
            }
            Err(unwanted) => unwanted,
        };
        let reply = match reply.severity() {
            Severity::Permanent => self.refuse_for_good(reply).await,
            _ => reply,
        };
        self.noting().one(&self.named.reverse_path, (&address, home), &reply, None);
        Answer::Reply(reply)
    }

    /// Takes a recipient into the mail transaction; whose it is.
    async fn admit(&mut self, forward_path: &ForwardPath) -> Result<Home, Unwanted> {
        let found = self.look_up(forward_path).await?;
        // A submission counts for the tenant that sends.
        let home_of = |account: &Account| (account.home.tenant, account.home.shard);
        let sends = self.account.as_deref().map(home_of);
        let receives = || found.accounts.first().map(|first| home_of(&first.account));
        let leads_on = || found.leaving.first().map(|first| (first.tenant.id, first.tenant.fields.shard()));
        let Some(home) = sends.or_else(receives).or_else(leads_on) else {
            return Err(Reply::mailbox_unknown().into());
        };
        let (tenant, _) = home;
        if !self.shares.iter().any(|(of, _)| *of == tenant) {
            match self.services.isolation.transaction(self.origin, tenant) {
                Ok(share) => self.shares.push((tenant, share)),
                Err(reply) => return Err(Unwanted { reply, home: Some(home) }),
            }
        }
        self.recipients.extend(found.accounts);
        self.leaving.extend(found.leaving);
        self.accepted += 1;
        Ok(home)
    }

    /// Who receives it, if they have room for the message.
    async fn look_up(&self, forward_path: &ForwardPath) -> Result<Found, Unwanted> {
        let isolation = &self.services.isolation;
        let _share = isolation.lookup(self.origin)?;
        let (directory, settings) = (&self.services.directory, &self.mode.settings);
        let sender = self.account.as_deref();
        let found = answer::recipients(directory, settings, sender, forward_path, self.accepted).await;
        let found = match found {
            Ok(found) => found,
            Err(reply) => {
                return Err(Unwanted { reply, home: answer::whose(directory, forward_path).await });
            }
        };
        let now = self.services.clock.now();
        for one in &found.accounts {
            let room = answer::refuse_if_full(&self.services.store, &one.account, self.declared_size, now);
            if let Err(reply) = room.await {
                isolation.metrics.refused(self.origin.listener, Reason::Full);
                let home = one.account.home;
                return Err(Unwanted { reply, home: Some((home.tenant, home.shard)) });
            }
        }
        Ok(found)
    }

    /// Whoever guesses addresses has to wait, or to connect again for each guess.
    async fn refuse_for_good(&mut self, reply: Reply) -> Reply {
        let isolation = &self.services.isolation;
        self.refused += 1;
        if isolation.is_guessing(self.origin, self.services.clock.now()) {
            tracing::info!(session = self.number, peer = %self.origin.peer, "guesses addresses");
            isolation.metrics.refused(self.origin.listener, Reason::Guessing);
            return Reply::too_many_refused_recipients();
        }
        isolation.metrics.refused(self.origin.listener, Reason::Unknown);
        if self.refused > isolation.limits.refused_at_once {
            tokio::time::sleep(isolation.limits.refusal_delay).await;
        }
        reply
    }

    async fn commit(&mut self, mut envelope: Envelope, session: &Session) -> Input {
        let deadline = Instant::now() + session.deadline();
        let received = std::mem::take(&mut self.content);
        let recipients = Recipients {
            accounts: std::mem::take(&mut self.recipients),
            leaving: std::mem::take(&mut self.leaving),
        };
        let hash = ContentHash::of(&received);
        let answered = match self.completed(&mut envelope, received).await {
            Ok(bytes) => {
                let content = Content { bytes: Arc::new(bytes), hash };
                self.answer_content(&envelope, &recipients, &content, deadline).await
            }
            Err(reply) => Err(reply.into()),
        };
        let answer = match answered {
            Ok(answer) => {
                if let Answer::Each(replies) = &answer {
                    self.noting().each(&self.named, replies);
                }
                answer
            }
            Err(Refusal { reply, finding }) => {
                self.noting().all(&self.named, &reply, finding.as_deref());
                Answer::Reply(reply)
            }
        };
        self.room = Room::None;
        self.end_transaction();
        self.out_has_verdict = true;
        Input::Answer(answer)
    }

    /// The content as it is delivered: what is submitted is completed first.
    async fn completed(&self, envelope: &mut Envelope, received: Vec<u8>) -> Result<Vec<u8>, Reply> {
        let Some(account) = &self.account else { return Ok(received) };
        let content = match submission::without_binary_parts(&received, envelope.params.body)? {
            Some(text) => {
                envelope.params.body = Some(Body::EightBitMime);
                text
            }
            None => received,
        };
        let submission = Submission {
            directory: &self.services.directory,
            account,
            reverse_path: &envelope.reverse_path,
            now: self.services.clock.now(),
            random: &*self.services.random,
        };
        submission.complete(content).await
    }

    async fn answer_content(
        &mut self,
        envelope: &Envelope,
        recipients: &Recipients,
        content: &Content,
        deadline: Instant,
    ) -> Result<Answer, Refusal> {
        let listener = self.mode.settings.listener;
        // Who submits a message again means it.
        let before = match listener {
            Listener::Mx | Listener::Lmtp => {
                delivered_before(Header::of_content(&content.bytes), &self.mode.settings.host_name)
            }
            Listener::Submission | Listener::Submissions => Vec::new(),
        };
        let loops = |address: &Address| before.contains(&address.key());
        if listener == Listener::Lmtp {
            let replies = self.deliver_each(envelope, recipients, content, deadline, loops).await;
            return Ok(Answer::Each(replies));
        }
        if recipients.accounts.iter().any(|one| loops(&one.address))
            || recipients.leaving.iter().any(|one| one.via.as_ref().is_some_and(loops))
        {
            return Err(Reply::delivery_loop().into());
        }
        let judged = self.judged(envelope, recipients, content).await?;
        let kept = self.without_forwarded_junk(recipients, &judged)?;
        let recipients = kept.as_ref().unwrap_or(recipients);
        let done = self.deliver(envelope, recipients, content, &judged, deadline).await?;
        Ok(Answer::Reply(done.reply()))
    }

    /// What is junk does not go on where an address of ours leads elsewhere: it would look as if
    /// it were ours. Who is left; `None` if these are all.
    fn without_forwarded_junk(
        &self,
        recipients: &Recipients,
        judged: &Judged,
    ) -> Result<Option<Recipients>, Refusal> {
        let stays = |one: &&Leaving| one.via.is_none() || !judged.is_junk(&one.policy);
        let leaving: Vec<Leaving> = recipients.leaving.iter().filter(stays).cloned().collect();
        if leaving.len() == recipients.leaving.len() {
            return Ok(None);
        }
        let reply = Reply::refused_by_policy("What may be forged is not sent on");
        if leaving.is_empty() && recipients.accounts.is_empty() {
            return Err(reply.into());
        }
        for one in recipients.leaving.iter().filter(|one| !stays(one)) {
            let via = one.via.as_ref().map(Address::to_string).unwrap_or_default();
            let home = (one.tenant.id, one.tenant.fields.shard());
            self.noting().one(&self.named.reverse_path, (&via, Some(home)), &reply, None);
        }
        Ok(Some(Recipients { accounts: recipients.accounts.clone(), leaving }))
    }

    /// Who sent it, unless that refuses it.
    async fn judged(
        &self,
        envelope: &Envelope,
        recipients: &Recipients,
        content: &Content,
    ) -> Result<Judged, Refusal> {
        let case = Case {
            settings: &self.mode.settings,
            peer: self.origin.peer,
            envelope,
            recipients: &recipients.accounts,
            leaving: &recipients.leaving,
            content: &content.bytes,
        };
        let judged = judge(self.services.judge.as_ref(), &case, &*self.services.clock).await;
        judged.inspect_err(|refusal| {
            tracing::info!(session = self.number, peer = %self.origin.peer,
                code = refusal.reply.code().number(), "refused for its sender");
            self.services.isolation.metrics.answered(self.origin.listener, false);
        })
    }

    /// LMTP: a reply for each RCPT.
    async fn deliver_each(
        &mut self,
        envelope: &Envelope,
        recipients: &Recipients,
        content: &Content,
        deadline: Instant,
        loops: impl Fn(&Address) -> bool,
    ) -> Vec<Reply> {
        let others = Recipients {
            accounts: recipients.accounts.iter().filter(|one| !loops(&one.address)).cloned().collect(),
            leaving: (recipients.leaving.iter())
                .filter(|one| !one.via.as_ref().is_some_and(&loops))
                .cloned()
                .collect(),
        };
        let judged = Judged::default();
        let by_tenant = self.deliver_by_tenant(envelope, &others, content, &judged, deadline).await;
        let reply = |recipient: &Accepted| match loops(&recipient.address) {
            true => Reply::delivery_loop(),
            false => by_tenant.reply_to(recipient),
        };
        let reply_elsewhere = |leaving: &Leaving| match leaving.via.as_ref().is_some_and(&loops) {
            true => Reply::delivery_loop(),
            false => by_tenant.reply_elsewhere(leaving),
        };
        // One address can lead to several mailboxes; its peer must not send it again if any of
        // them has it.
        let best = |number| {
            let accounts = recipients.accounts.iter().filter(|recipient| recipient.of == number);
            let leaving = recipients.leaving.iter().filter(|leaving| leaving.of == number);
            let replies: Vec<Reply> = accounts.map(reply).chain(leaving.map(reply_elsewhere)).collect();
            let delivered = replies.iter().position(|reply| reply.severity() == Severity::Positive);
            replies.into_iter().nth(delivered.unwrap_or(0)).unwrap_or_else(Reply::try_again_later)
        };
        (0..self.accepted).map(best).collect()
    }

    /// LMTP has a reply for each recipient, so each tenant's part is a delivery of its own:
    /// one that fails leaves the others.
    async fn deliver_by_tenant(
        &mut self,
        envelope: &Envelope,
        recipients: &Recipients,
        content: &Content,
        judged: &Judged,
        deadline: Instant,
    ) -> ByTenant {
        let mut by_tenant = ByTenant(Vec::new());
        let receive = recipients.accounts.iter().map(|recipient| recipient.account.home.tenant);
        for tenant in receive.chain(recipients.leaving.iter().map(|leaving| leaving.tenant.id)) {
            if by_tenant.of(tenant).is_none() {
                let its = recipients.of(tenant);
                by_tenant.0.push((tenant, self.deliver(envelope, &its, content, judged, deadline).await));
            }
        }
        by_tenant
    }

    async fn deliver(
        &mut self,
        envelope: &Envelope,
        recipients: &Recipients,
        content: &Content,
        judged: &Judged,
        deadline: Instant,
    ) -> Result<Done, Reply> {
        let account = self.account.clone();
        let message = Message {
            envelope,
            recipients: &recipients.accounts,
            leaving: &recipients.leaving,
            sender: account.as_deref(),
            peer: self.origin.peer,
            tls: self.tls.as_ref(),
            settings: &self.mode.settings,
            judged,
        };
        let received = timeout_at(deadline, receive(self.services, &message, content)).await;
        let metrics = &self.services.isolation.metrics;
        metrics.answered(self.origin.listener, matches!(received, Ok(Ok(_))));
        match received {
            Ok(Ok(done)) => {
                tracing::info!(session = self.number, trace = %done.trace, peer = %self.origin.peer,
                    recipients = recipients.accounts.len(), elsewhere = recipients.leaving.len(),
                    size = envelope.content.size_bytes, "accepted");
                self.unconfirmed.extend(&done.keys);
                Ok(done)
            }
            Ok(Err(error)) => {
                tracing::warn!(session = self.number, peer = %self.origin.peer, %error, "not accepted");
                Err(error.reply())
            }
            Err(_) => {
                tracing::warn!(session = self.number, peer = %self.origin.peer, "delivery took too long");
                Err(Reply::try_again_later())
            }
        }
    }

    async fn start_tls(&mut self) -> io::Result<Tls> {
        let acceptor = self.mode.tls.clone().ok_or_else(|| io::Error::other("no certificate"))?;
        let deadline = self.mode.settings.deadlines.start_tls;
        let facts = timeout(deadline, Box::pin(self.stream.start_tls(&acceptor)))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let tls = Tls { cipher_suite: facts.cipher_suite.into(), can_bind: facts.exporter.is_some() };
        self.exporter = facts.exporter;
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
        // Sessions are idle most of the time: the next replies get memory of their own.
        self.out = Vec::new();
        self.out_has_verdict = false;
        Ok(())
    }
}

/// Everybody whom a message is for.
struct Recipients {
    accounts: Vec<Accepted>,
    leaving: Vec<Leaving>,
}

impl Recipients {
    /// Those of one tenant.
    fn of(&self, tenant: TenantId) -> Self {
        let accounts = self.accounts.iter().filter(|one| one.account.home.tenant == tenant);
        let leaving = self.leaving.iter().filter(|one| one.tenant.id == tenant);
        Self { accounts: accounts.cloned().collect(), leaving: leaving.cloned().collect() }
    }
}

/// What became of each tenant's part of a message.
struct ByTenant(Vec<(TenantId, Result<Done, Reply>)>);

impl ByTenant {
    fn of(&self, tenant: TenantId) -> Option<&Result<Done, Reply>> {
        self.0.iter().find(|(of, _)| *of == tenant).map(|(_, delivered)| delivered)
    }

    fn reply_to(&self, recipient: &Accepted) -> Reply {
        match self.of(recipient.account.home.tenant) {
            Some(Ok(done)) => done.reply_to(recipient.account.home.account),
            Some(Err(reply)) => reply.clone(),
            None => Reply::try_again_later(),
        }
    }

    fn reply_elsewhere(&self, leaving: &Leaving) -> Reply {
        match self.of(leaving.tenant.id) {
            Some(Ok(done)) => done.reply_elsewhere(&leaving.to),
            Some(Err(reply)) => reply.clone(),
            None => Reply::try_again_later(),
        }
    }
}

/// Reads what has come into the framer; how many bytes that was.
///
/// The bytes lie on the stack of one poll: a session that waits has no buffer.
async fn read(stream: &mut Stream, framer: &mut Framer) -> io::Result<usize> {
    poll_fn(|cx| {
        let mut bytes = [MaybeUninit::uninit(); READ];
        let mut buffer = ReadBuf::uninit(&mut bytes);
        ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer))?;
        framer.push(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    })
    .await
}

fn is_refusal(reply: &Reply) -> bool {
    matches!(reply.severity(), Severity::Transient | Severity::Permanent)
}

/// No bytes are the end of the connection.
fn received(count: usize, session: &mut Session) -> Effects {
    if count == 0 { session.handle(Input::Hangup) } else { Effects::new() }
}

/// What the client calls itself: what it said with EHLO.
fn client_of(session: &Session) -> String {
    session.signing_in().map(|client| client.name.to_string()).unwrap_or_default()
}
