//! Delivery: one message into the mailboxes of one or many accounts, in one transaction.
//!
//! Invariants:
//! - all of it or nothing: if one recipient's quota does not allow it and the caller wants
//!   all ([`IfFull::RefuseAll`]), nobody has it;
//! - a delivery key admits one copy: a peer that lost our 250 and sends again gets the trace
//!   id of the first. The key is forgotten once the peer is known to have heard us
//!   ([`forget_keys`]), so that two equal messages sent on purpose stay two;
//! - rows are locked in one order: accounts, content, usage.

use std::collections::BTreeMap;

use hikyaku_store::{AccountSql, AccountTx, Attached, Param, Prepared, ServiceTx, Sql, StoreError, attach};
use hikyaku_trace as trace;
use hikyaku_types::{AccountId, Address, ContentId, EmailId, TenantId, Timestamp, TraceId};

use crate::account::create_account;
use crate::email::{self, NewEmail};
use crate::flags::{Flags, Keywords};
use crate::mailbox::{self, MailboxError, MailboxId};
use crate::prelude::Prelude;
use crate::thread::Threading;
use crate::usage::{self, Quota, QuotaError};

/// Hash of reverse-path, account and content: what a repeated delivery has in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryKey([u8; 16]);

impl DeliveryKey {
    /// The key of one recipient.
    pub fn new(reverse_path: &str, account: AccountId, content: &ContentHash) -> Self {
        Self::of(content, &account.as_i64().to_le_bytes(), reverse_path)
    }

    /// The key of one recipient elsewhere, to whom mail of `tenant` goes. Only its host knows
    /// whether two spellings of a local part are one mailbox, so they are two here.
    pub fn elsewhere(reverse_path: &str, tenant: TenantId, to: &Address, content: &ContentHash) -> Self {
        // Ids are positive, so this is never an account's; NUL is in no address.
        let tenant = (-tenant.as_i64()).to_le_bytes();
        let recipient = [&tenant[..], to.to_string().as_bytes(), b"\0"].concat();
        Self::of(content, &recipient, reverse_path)
    }

    fn of(content: &ContentHash, recipient: &[u8], reverse_path: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(content.0.as_bytes());
        hasher.update(recipient);
        hasher.update(reverse_path.as_bytes());
        let mut key = [0u8; 16];
        key.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Self(key)
    }
}

/// Hash of a content as received, made once for all its recipients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentHash(blake3::Hash);

impl ContentHash {
    /// The hash of these bytes.
    pub fn of(content: &[u8]) -> Self {
        Self(blake3::hash(content))
    }
}

impl<'a> From<&'a DeliveryKey> for Param<'a> {
    fn from(key: &'a DeliveryKey) -> Self {
        Self::Blob(&key.0)
    }
}

/// One message and everyone of this shard who gets it.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// When it was received.
    pub received_at: Timestamp,
    /// Its place among others.
    pub threading: Threading,
    /// For the trace: reverse-path as the peer gave it.
    pub reverse_path: String,
    /// For the trace.
    pub message_id: Option<String>,
    /// For the trace: the peer's address.
    pub peer: Option<String>,
    /// By tenant, each once.
    pub parts: Vec<TenantPart>,
    /// What a full mailbox means.
    pub if_full: IfFull,
}

/// The recipients of one tenant, who share the content.
#[derive(Debug, Clone)]
pub struct TenantPart {
    /// The tenant.
    pub tenant: TenantId,
    /// Its pool.
    pub pool: Quota,
    /// The content, prepared for this tenant.
    pub content: Prepared,
    /// Used if the content gets a new row.
    pub content_id: ContentId,
    /// Its recipients.
    pub recipients: Vec<Recipient>,
}

/// One account that gets the message.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// The account.
    pub account: AccountId,
    /// Its quota.
    pub quota: Quota,
    /// Where to; INBOX if that cannot be.
    pub target: Target,
    /// Flags that a filter set.
    pub flags: Flags,
    /// The id that the email gets.
    pub email: EmailId,
    /// The id that the trace row gets.
    pub trace: TraceId,
    /// The address as the peer gave it, for the trace.
    pub address: String,
    /// What its trace row says beside; why it goes to Junk.
    pub note: Option<String>,
    /// Our own lines for this recipient.
    pub prelude: Prelude,
    /// Admits one copy; `None` admits any number.
    pub key: Option<DeliveryKey>,
}

/// Where a copy goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Into this mailbox.
    Mailbox(MailboxId),
    /// To the other junk (RFC 6154's `\Junk`). If the account has no place for that it gets one.
    Junk,
}

/// What a full mailbox means for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfFull {
    /// SMTP has one reply for all: nobody gets it, the peer tries again.
    RefuseAll,
    /// LMTP has a reply for each.
    SkipRecipient,
}

/// What became of one recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the mailbox.
    Delivered(Delivered),
    /// An earlier delivery with the same key put it there; this is its trace id.
    Duplicate(TraceId),
    /// The mailbox is full ([`IfFull::SkipRecipient`] only).
    Full(AccountId),
}

/// Where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// The email.
    pub email: EmailId,
    /// The mailbox.
    pub mailbox: MailboxId,
    /// Its UID there.
    pub uid: u32,
    /// The trace row.
    pub trace: TraceId,
}

/// Why nobody got it.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// Somebody's quota.
    #[error(transparent)]
    Full(#[from] QuotaError),
    /// The content's twin died meanwhile: prepare it again without sharing.
    #[error("the shared content is gone, it must be stored again")]
    TwinGone(TenantId),
    /// The store; temporary.
    #[error(transparent)]
    Store(#[from] StoreError),
}

const KEEP_KEY: Sql =
    Sql::new("INSERT INTO delivery_key (key, trace, at) VALUES ($1, $2, $3) ON CONFLICT (key) DO NOTHING");
const KEY: Sql = Sql::new("SELECT trace FROM delivery_key WHERE key = $1");
const FORGET: Sql = Sql::new("DELETE FROM delivery_key WHERE key = $1");
const EXPIRED: Sql = Sql::new("SELECT key FROM delivery_key WHERE at < $1 LIMIT 500");

const COUNT_IN_ROOT: AccountSql = AccountSql::new(
    "UPDATE mailbox SET modseq = modseq + 1, messages = messages + 1, bytes = bytes + $2
     WHERE account = $1 AND mailbox = 0 AND bytes + $2 <= $3 RETURNING modseq",
);
const COUNT_IN_MAILBOX: AccountSql = AccountSql::new(
    "UPDATE mailbox SET uidnext = uidnext + 1, messages = messages + 1, unseen = unseen + $4, bytes = bytes + $3,
        modseq = $5
     WHERE account = $1 AND mailbox = $2 AND mailbox > 0 AND parent <> -2 RETURNING uidnext - 1",
);
const HAS_ROOT: AccountSql = AccountSql::new("SELECT 1 FROM mailbox WHERE account = $1 AND mailbox = 0");

/// A recipient that is counted and has its UID, before its rows are written.
struct Place<'d> {
    recipient: &'d Recipient,
    mailbox: MailboxId,
    uid: u32,
    modseq: i64,
    size: u64,
}

/// Delivers. Outcomes are in the order of parts and recipients.
///
/// # Errors
/// [`DeliverError`]: then nobody got it.
pub fn deliver(tx: &mut ServiceTx<'_>, delivery: &Delivery) -> Result<Vec<Outcome>, DeliverError> {
    deliver_naming(tx, delivery, &BTreeMap::new()).map(|(outcomes, _)| outcomes)
}

/// Delivers where the transaction makes other rows, too, that name the content: so many of
/// each tenant. A tenant may have a part without recipients for them. Also returns which
/// content each tenant's rows must name.
///
/// # Errors
/// [`DeliverError`]: then nobody got it.
pub fn deliver_naming(
    tx: &mut ServiceTx<'_>,
    delivery: &Delivery,
    other_rows: &BTreeMap<TenantId, u32>,
) -> Result<(Vec<Outcome>, BTreeMap<TenantId, ContentId>), DeliverError> {
    lock(tx, delivery)?;
    let mut outcomes = Vec::new();
    let mut places = Vec::with_capacity(delivery.parts.len());
    for part in &delivery.parts {
        places.push(place_part(tx, delivery, part, &mut outcomes)?);
    }
    // Each tenant has a content and a usage row here, locked in the order of the tenants.
    let mut placed: Vec<_> = delivery.parts.iter().zip(&places).collect();
    placed.sort_by_key(|(part, _)| part.tenant);
    let mut contents = BTreeMap::new();
    for (part, places) in &placed {
        let others = other_rows.get(&part.tenant).copied().unwrap_or(0);
        if let Some(content) = write_part(tx, delivery, part, places, others)? {
            contents.insert(part.tenant, content);
        }
    }
    for (part, places) in &placed {
        let bytes: u64 = places.iter().map(|place| place.size).sum();
        let (messages, bytes) = (signed(places.len() as u64), signed(bytes));
        if messages > 0 && !usage::add(&mut tx.tenant(part.tenant), messages, bytes, part.pool)? {
            return Err(QuotaError::Tenant.into());
        }
    }
    Ok((outcomes, contents))
}

fn lock(tx: &mut ServiceTx<'_>, delivery: &Delivery) -> Result<(), StoreError> {
    let recipients = delivery.parts.iter().flat_map(|part| &part.recipients);
    let accounts: Vec<AccountId> = recipients.map(|recipient| recipient.account).collect();
    tx.lock_accounts(&accounts)
}

/// Keys and counts of one tenant's recipients.
fn place_part<'d>(
    tx: &mut ServiceTx<'_>,
    delivery: &Delivery,
    part: &'d TenantPart,
    outcomes: &mut Vec<Outcome>,
) -> Result<Vec<Place<'d>>, DeliverError> {
    let mut places = Vec::with_capacity(part.recipients.len());
    for recipient in &part.recipients {
        if let Some(earlier) = earlier_copy(tx, recipient, delivery.received_at)? {
            let row = trace_row(delivery, part, recipient, trace::Event::Duplicate);
            trace::record(&mut tx.tenant(part.tenant), &row)?;
            outcomes.push(Outcome::Duplicate(earlier));
            continue;
        }
        let size = recipient.prelude.message_size(part.content.size());
        let mut account = tx.account(part.tenant, recipient.account);
        match count(&mut account, recipient, size, delivery.received_at)? {
            Some((modseq, mailbox, uid)) => {
                let (email, trace) = (recipient.email, recipient.trace);
                outcomes.push(Outcome::Delivered(Delivered { email, mailbox, uid, trace }));
                places.push(Place { recipient, mailbox, uid, modseq, size });
            }
            None if delivery.if_full == IfFull::RefuseAll => {
                return Err(QuotaError::Account(recipient.account).into());
            }
            None => {
                // The key must not claim a copy that there is not.
                if let Some(key) = &recipient.key {
                    tx.execute(FORGET, &[key.into()])?;
                }
                outcomes.push(Outcome::Full(recipient.account));
            }
        }
    }
    Ok(places)
}

/// Claims the recipient's key; the trace id of an earlier delivery if one has it.
fn earlier_copy(
    tx: &mut ServiceTx<'_>,
    recipient: &Recipient,
    now: Timestamp,
) -> Result<Option<TraceId>, StoreError> {
    let Some(key) = &recipient.key else { return Ok(None) };
    claim(tx, key, recipient.trace, now)
}

/// Claims a key for the copy with this trace id; the trace id of an earlier copy if one has it.
///
/// # Errors
/// [`StoreError`].
pub fn claim(
    tx: &mut ServiceTx<'_>,
    key: &DeliveryKey,
    trace: TraceId,
    now: Timestamp,
) -> Result<Option<TraceId>, StoreError> {
    if tx.execute(KEEP_KEY, &[key.into(), trace.into(), now.into()])? == 1 {
        return Ok(None);
    }
    tx.row(KEY, &[key.into()], |row| row.get(0))
}

/// Counts one message of `size` in the account's root and mailbox, and takes its modseq and
/// UID. `None` if the quota does not allow it.
fn count(
    tx: &mut AccountTx<'_>,
    recipient: &Recipient,
    size: u64,
    now: Timestamp,
) -> Result<Option<(i64, MailboxId, u32)>, StoreError> {
    let wanted = wanted(tx, recipient.target, now)?;
    let size = signed(size);
    let in_root = [size.into(), recipient.quota.limit().into()];
    let mut modseq: Option<i64> = tx.row(COUNT_IN_ROOT, &in_root, |row| row.get(0))?;
    if modseq.is_none() {
        if tx.row(HAS_ROOT, &[], |_| Ok(()))?.is_none() {
            // The first mail of an account makes it.
            create_account(tx, now)?;
        }
        // Counted once more in any case: another first mail may have made it between the two.
        modseq = tx.row(COUNT_IN_ROOT, &in_root, |row| row.get(0))?;
    }
    let Some(modseq) = modseq else { return Ok(None) };
    let unseen = i64::from(!recipient.flags.has(Flags::SEEN));
    for mailbox in [wanted, MailboxId::INBOX] {
        let params = [mailbox.into(), size.into(), unseen.into(), modseq.into()];
        if let Some(uid) = tx.row(COUNT_IN_MAILBOX, &params, |row| row.get(0))? {
            return Ok(Some((modseq, mailbox, uid)));
        }
    }
    Err(StoreError::Failed { label: "mailstore.deliver", cause: format!("{} has no INBOX", tx.account()) })
}

/// The mailbox that is meant; INBOX if it cannot be made.
fn wanted(tx: &mut AccountTx<'_>, target: Target, now: Timestamp) -> Result<MailboxId, StoreError> {
    if let Target::Mailbox(id) = target {
        return Ok(id);
    }
    if tx.row(HAS_ROOT, &[], |_| Ok(()))?.is_none() {
        create_account(tx, now)?;
    }
    match mailbox::junk(tx) {
        Ok(id) => Ok(id),
        Err(MailboxError::Store(error)) => Err(error),
        Err(_) => Ok(MailboxId::INBOX),
    }
}

/// Content, emails, entries and trace rows of one tenant's recipients. The content, if
/// anything names it.
fn write_part(
    tx: &mut ServiceTx<'_>,
    delivery: &Delivery,
    part: &TenantPart,
    places: &[Place<'_>],
    others: u32,
) -> Result<Option<ContentId>, DeliverError> {
    let refs = u32::try_from(places.len()).unwrap_or(u32::MAX).saturating_add(others);
    if refs == 0 {
        return Ok(None);
    }
    let attached =
        attach(&mut tx.tenant(part.tenant), part.content_id, &part.content, refs, delivery.received_at)?;
    let Attached::To(content) = attached else { return Err(DeliverError::TwinGone(part.tenant)) };
    for place in places {
        let recipient = place.recipient;
        let new = NewEmail {
            id: recipient.email,
            content,
            size: place.size,
            received_at: delivery.received_at,
            saved_at: delivery.received_at,
            prelude: &recipient.prelude,
            threading: &delivery.threading,
            mailbox: place.mailbox,
            uid: place.uid,
            modseq: place.modseq,
            flags: recipient.flags,
            keywords: &Keywords::default(),
        };
        email::write(&mut tx.account(part.tenant, recipient.account), &new)?;
        let row = trace_row(delivery, part, recipient, trace::Event::Delivered);
        trace::record(&mut tx.tenant(part.tenant), &row)?;
    }
    Ok(Some(content))
}

fn trace_row(
    delivery: &Delivery,
    part: &TenantPart,
    recipient: &Recipient,
    event: trace::Event,
) -> trace::Record {
    trace::Record {
        id: recipient.trace,
        tenant: part.tenant,
        account: Some(recipient.account),
        email: (event == trace::Event::Delivered).then_some(recipient.email),
        event,
        size: part.content.size(),
        reverse_path: delivery.reverse_path.clone(),
        recipient: recipient.address.clone(),
        message_id: delivery.message_id.clone(),
        peer: delivery.peer.clone(),
        note: recipient.note.clone(),
    }
}

/// Forgets keys of deliveries whose reply the peer is known to have had.
///
/// # Errors
/// [`StoreError`].
pub fn forget_keys(tx: &mut ServiceTx<'_>, keys: &[DeliveryKey]) -> Result<(), StoreError> {
    for key in keys {
        tx.execute(FORGET, &[key.into()])?;
    }
    Ok(())
}

/// One step of forgetting keys that were kept before `before`: peers give up after a day.
/// Returns how many went.
///
/// # Errors
/// [`StoreError`].
pub fn expire_keys(tx: &mut ServiceTx<'_>, before: Timestamp) -> Result<usize, StoreError> {
    let keys: Vec<[u8; 16]> = tx.rows(EXPIRED, &[before.into()], |row| row.get(0))?;
    for key in &keys {
        tx.execute(FORGET, &[key.into()])?;
    }
    Ok(keys.len())
}

pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
