//! A message that a session accepts: looked at once, stored, and put into mailboxes and into
//! the queue in one transaction.

use std::net::IpAddr;
use std::sync::Arc;

use hikyaku_directory::Account;
use hikyaku_mailstore::{
    ContentHash, DeliverError, Delivery, DeliveryKey, Flags, IfFull, MailboxId, MessageHash, Outcome,
    Prelude, Quota, Recipient, Target, TenantPart, Threading, mailbox,
};
use hikyaku_mime::Header;
use hikyaku_mime::thread::thread_ids;
use hikyaku_queue::{AcceptError, Acceptance, Accepted as HaveAccepted, Queued, accept};
use hikyaku_sender_auth::policy::Policy;
use hikyaku_smtp_proto::path::ReversePath;
use hikyaku_smtp_proto::trace_header::{DeliveredTo, Received, ReturnPath};
use hikyaku_smtp_proto::{Envelope, Listener, Reply, Settings, Tls};
use hikyaku_store::{ContentError, Scope, StoreError};
use hikyaku_types::{
    AccountId, Actor, Address, ContentId, EmailId, Service, ShardId, TenantId, Timestamp, TraceId,
};

use crate::Services;
use crate::judge::Judged;
use crate::leaving::{self, Leaving};
use crate::report::report;

/// A recipient that RCPT accepted.
#[derive(Debug, Clone)]
pub(crate) struct Accepted {
    /// Of which RCPT it came, counted from 0: an address can lead to several mailboxes.
    pub(crate) of: usize,
    pub(crate) account: Arc<Account>,
    /// As the client wrote it.
    pub(crate) address: Address,
    /// The mailbox that the address names, if its owner wants mail there.
    pub(crate) tag: Option<String>,
    /// What its domain or tenant wants done with forged mail.
    pub(crate) policy: Arc<Policy>,
}

/// The content as it is delivered.
pub(crate) struct Content {
    pub(crate) bytes: Arc<Vec<u8>>,
    /// Of what the client sent.
    pub(crate) hash: ContentHash,
}

/// Everything about one message but its content.
pub(crate) struct Message<'m> {
    pub(crate) envelope: &'m Envelope,
    pub(crate) recipients: &'m [Accepted],
    /// Those elsewhere.
    pub(crate) leaving: &'m [Leaving],
    /// Who signed in to send it.
    pub(crate) sender: Option<&'m Account>,
    pub(crate) peer: IpAddr,
    pub(crate) tls: Option<&'m Tls>,
    pub(crate) settings: &'m Settings,
    pub(crate) judged: &'m Judged,
}

/// A message that is in its mailboxes; in LMTP, perhaps not in all.
#[derive(Debug)]
pub(crate) struct Done {
    /// Of the first copy.
    pub(crate) trace: TraceId,
    outcomes: Vec<(AccountId, Outcome)>,
    /// Recipients elsewhere, and the trace ids of their copies.
    queued: Vec<(Address, TraceId)>,
    /// To be forgotten when the peer is known to have had our reply.
    pub(crate) keys: Vec<(ShardId, DeliveryKey)>,
}

impl Done {
    /// What the peer is told.
    pub(crate) fn reply(&self) -> Reply {
        Reply::accepted(&self.trace.to_string())
    }

    /// What an LMTP peer is told about one recipient elsewhere.
    pub(crate) fn reply_elsewhere(&self, to: &Address) -> Reply {
        match self.queued.iter().find(|(of, _)| of == to) {
            Some((_, trace)) => Reply::accepted(&trace.to_string()),
            None => Reply::try_again_later(),
        }
    }

    /// What an LMTP peer is told about one recipient.
    pub(crate) fn reply_to(&self, account: AccountId) -> Reply {
        let outcome = self.outcomes.iter().find(|(of, _)| *of == account).map(|(_, outcome)| outcome);
        match outcome.map(trace_of) {
            Some(Some(trace)) => Reply::accepted(&trace.to_string()),
            Some(None) => Reply::mailbox_full(),
            None => Reply::try_again_later(),
        }
    }
}

/// Why it is in none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReceiveError {
    #[error(transparent)]
    Accept(#[from] AcceptError),
    #[error(transparent)]
    Content(#[from] ContentError),
    #[error("no recipient")]
    NoRecipient,
    /// LMTP only.
    #[error("every mailbox is full")]
    AllFull,
}

impl From<StoreError> for ReceiveError {
    fn from(error: StoreError) -> Self {
        Self::Accept(error.into())
    }
}

impl ReceiveError {
    /// What the peer is told.
    pub(crate) fn reply(&self) -> Reply {
        match self {
            Self::Accept(AcceptError::Deliver(DeliverError::Full(_))) | Self::AllFull => {
                Reply::mailbox_full()
            }
            Self::Accept(AcceptError::Limit(reached)) => {
                Reply::sent_enough(reached.most, reached.window.word())
            }
            _ => Reply::try_again_later(),
        }
    }
}

/// What the header says that the delivery needs.
struct Facts {
    hash: ContentHash,
    threading: Threading,
    message_id: Option<String>,
}

/// Delivers a message to all its recipients, or to none; in LMTP, to all that have room.
pub(crate) async fn receive(
    services: &Services,
    message: &Message<'_>,
    content: &Content,
) -> Result<Done, ReceiveError> {
    let facts = look_at(content);
    let now = services.clock.now();
    // All recipients are in one shard as long as there is one; a second shard gets its own
    // transaction through the outbox.
    let of_accounts = message.recipients.first().map(|first| first.account.home.shard);
    let elsewhere = || message.leaving.first().map(|first| first.tenant.fields.shard());
    let shard = of_accounts.or_else(elsewhere).ok_or(ReceiveError::NoRecipient)?;
    let report = report(services, message, content, now).await?.map(Box::new);
    let mut share = true;
    // The twin of a content can die between look and commit; then it is stored anew.
    loop {
        let delivery = prepare(services, message, &content.bytes, &facts, share, now).await?;
        let outgoing = leaving::outgoing(services, message, &facts.hash, now);
        let (sending, report) = (leaving::sending(message), report.clone());
        let acceptance = Acceptance { delivery, outgoing, sending, report };
        let whose = Whose::of(&acceptance);
        let keys = keys_of(&acceptance).into_iter().map(|key| (shard, key)).collect();
        match commit(services, shard, acceptance).await {
            Ok(accepted) => return whose.done(accepted, keys),
            Err(AcceptError::Deliver(DeliverError::TwinGone(_))) if share => share = false,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whose outcomes come back from a commit, in their order.
struct Whose {
    accounts: Vec<AccountId>,
    elsewhere: Vec<Address>,
}

impl Whose {
    fn of(acceptance: &Acceptance) -> Self {
        let recipients = acceptance.delivery.parts.iter().flat_map(|part| &part.recipients);
        let elsewhere = acceptance.outgoing.iter().flat_map(|outgoing| &outgoing.recipients);
        Self {
            accounts: recipients.map(|recipient| recipient.account).collect(),
            elsewhere: elsewhere.map(|recipient| recipient.address.clone()).collect(),
        }
    }

    fn done(self, accepted: HaveAccepted, keys: Vec<(ShardId, DeliveryKey)>) -> Result<Done, ReceiveError> {
        let HaveAccepted { outcomes, queued } = accepted;
        let queued: Vec<(Address, TraceId)> =
            self.elsewhere.into_iter().zip(queued.into_iter().flatten().map(Queued::trace)).collect();
        let first = outcomes.iter().find_map(trace_of).or(queued.first().map(|(_, trace)| *trace));
        let trace = first.ok_or(ReceiveError::AllFull)?;
        Ok(Done { trace, outcomes: self.accounts.into_iter().zip(outcomes).collect(), queued, keys })
    }
}

fn look_at(content: &Content) -> Facts {
    let ids = thread_ids(Header::of_content(&content.bytes));
    let hash = |id: &String| MessageHash::of(id.as_bytes());
    Facts {
        hash: content.hash,
        threading: Threading {
            own: ids.own.as_ref().map(hash),
            parents: ids.parents.iter().map(hash).collect(),
        },
        message_id: ids.own,
    }
}

async fn commit(
    services: &Services,
    shard: ShardId,
    acceptance: Acceptance,
) -> Result<HaveAccepted, AcceptError> {
    let parts = &acceptance.delivery.parts;
    let turn = parts.first().map(|part| part.tenant);
    let weight = parts.iter().map(|part| part.content.weight()).sum();
    let scope =
        Scope::service(&Actor::Service(Service::Delivery), shard, turn).expect("delivery is a service");
    // An address can lead to a thousand others.
    let is_long = acceptance.outgoing.len() > 1;
    let scope = if is_long { scope.weighing(weight).long() } else { scope.weighing(weight) };
    services.store.write(scope, "queue.accept", move |tx| accept(tx, &acceptance)).await
}

async fn prepare(
    services: &Services,
    message: &Message<'_>,
    content: &[u8],
    facts: &Facts,
    share: bool,
    now: Timestamp,
) -> Result<Delivery, ReceiveError> {
    let mut parts: Vec<TenantPart> = Vec::new();
    let mut seen = Vec::new();
    for accepted in message.recipients {
        let home = accepted.account.home;
        // Two addresses of one account are one recipient: it gets one copy.
        if seen.contains(&home.account) {
            continue;
        }
        seen.push(home.account);
        let target = target(services, message, accepted).await?;
        let recipient = recipient(services, message, accepted, target, facts, now);
        match parts.iter_mut().find(|part| part.tenant == home.tenant) {
            Some(part) => part.recipients.push(recipient),
            None => {
                let mut part =
                    new_part(services, home.tenant, home.shard, accepted.account.pool, content, share, now)
                        .await?;
                part.recipients.push(recipient);
                parts.push(part);
            }
        }
    }
    for leaving in message.leaving {
        let tenant = &leaving.tenant;
        if !parts.iter().any(|part| part.tenant == tenant.id) {
            // Only the queue's rows name it: what waits there counts for nobody's quota.
            let (shard, pool) = (tenant.fields.shard(), Quota(None));
            parts.push(new_part(services, tenant.id, shard, pool, content, share, now).await?);
        }
    }
    // PostgreSQL locks content in the order of tenants: the same in every transaction.
    parts.sort_by_key(|part: &TenantPart| -> TenantId { part.tenant });
    Ok(Delivery {
        received_at: now,
        threading: facts.threading.clone(),
        reverse_path: reverse_path(message.envelope),
        message_id: facts.message_id.clone(),
        peer: Some(message.peer.to_string()),
        parts,
        if_full: match message.settings.listener {
            Listener::Lmtp => IfFull::SkipRecipient,
            Listener::Mx | Listener::Submission | Listener::Submissions => IfFull::RefuseAll,
        },
    })
}

/// A tenant's part of the message, without recipients.
pub(crate) async fn new_part(
    services: &Services,
    tenant: TenantId,
    shard: ShardId,
    pool: Quota,
    content: &[u8],
    share: bool,
    now: Timestamp,
) -> Result<TenantPart, ContentError> {
    let (store, random) = (&services.store, &*services.random);
    let prepared = services.content.prepare(store, shard, tenant, content, share, now, random).await?;
    let content_id = ContentId::from_i64(services.ids.next(now)).expect("rising ids are positive");
    Ok(TenantPart { tenant, pool, content: prepared, content_id, recipients: Vec::new() })
}

/// Where a copy goes: to the other junk, into the mailbox that its address names, or into INBOX.
async fn target(
    services: &Services,
    message: &Message<'_>,
    accepted: &Accepted,
) -> Result<Target, StoreError> {
    if message.judged.is_junk(&accepted.policy) {
        return Ok(Target::Junk);
    }
    let Some(tag) = accepted.tag.clone() else { return Ok(Target::Mailbox(MailboxId::INBOX)) };
    let delivery = Actor::Service(Service::Delivery);
    let scope = Scope::account(&delivery, accepted.account.home).expect("delivery is a service");
    let named = services.store.read(scope, "smtp.tag", move |tx| mailbox::named_by_sender(tx, &tag)).await?;
    Ok(Target::Mailbox(named.unwrap_or(MailboxId::INBOX)))
}

fn recipient(
    services: &Services,
    message: &Message<'_>,
    accepted: &Accepted,
    target: Target,
    facts: &Facts,
    now: Timestamp,
) -> Recipient {
    let account = &accepted.account;
    let trace = TraceId::from_i64(services.ids.next(now)).expect("rising ids are positive");
    Recipient {
        account: account.home.account,
        quota: account.quota,
        target,
        flags: Flags::NONE,
        email: EmailId::from_i64(services.ids.next(now)).expect("rising ids are positive"),
        trace,
        address: accepted.address.to_string(),
        note: message.judged.note(accepted),
        prelude: prelude(message, accepted, trace, now),
        key: Some(DeliveryKey::new(&reverse_path(message.envelope), account.home.account, &facts.hash)),
    }
}

/// Our own lines in front of the content, RFC 5321 section 4.4.
fn prelude(message: &Message<'_>, accepted: &Accepted, trace: TraceId, now: Timestamp) -> Prelude {
    let received = received(message, trace, now);
    // RFC 8601 section 4: above the Received field of the server that found it.
    let stamp = message.judged.stamp(accepted, &message.settings.host_name);
    let return_path = ReturnPath(&message.envelope.reverse_path);
    let lines = format!("{return_path}{}{stamp}{received}", DeliveredTo(&accepted.address));
    Prelude { lines: lines.into_bytes(), leave_out: message.judged.leave_out.clone() }
}

/// How the message came to us.
pub(crate) fn received(message: &Message<'_>, trace: TraceId, now: Timestamp) -> String {
    let envelope = message.envelope;
    let only = match envelope.recipients.as_slice() {
        [recipient] => Some(&recipient.forward_path),
        _ => None,
    };
    let peer_name = message.judged.peer_name();
    let received = Received {
        client_name: &envelope.client.name,
        peer: message.peer,
        peer_name: peer_name.as_ref(),
        by: &message.settings.host_name,
        protocol: envelope.protocol,
        tls: message.tls,
        id: &trace.to_string(),
        recipient: only,
        received_at: now,
    };
    received.to_string()
}

/// Without brackets; empty for the null reverse-path.
pub(crate) fn reverse_path(envelope: &Envelope) -> String {
    reverse_path_text(&envelope.reverse_path)
}

/// The same.
pub(crate) fn reverse_path_text(reverse_path: &ReversePath) -> String {
    reverse_path.to_string().trim_start_matches('<').trim_end_matches('>').to_owned()
}

fn keys_of(acceptance: &Acceptance) -> Vec<DeliveryKey> {
    let delivered = acceptance.delivery.parts.iter().flat_map(|part| &part.recipients);
    let queued = acceptance.outgoing.iter().flat_map(|outgoing| &outgoing.recipients);
    let of_report = acceptance.report.as_deref().map(keys_of).unwrap_or_default();
    let keys = delivered.filter_map(|recipient| recipient.key);
    keys.chain(queued.filter_map(|recipient| recipient.key)).chain(of_report).collect()
}

fn trace_of(outcome: &Outcome) -> Option<TraceId> {
    match outcome {
        Outcome::Delivered(delivered) => Some(delivered.trace),
        Outcome::Duplicate(trace) => Some(*trace),
        Outcome::Full(_) => None,
    }
}
