//! A message accepted for mailboxes of ours and for recipients elsewhere, in one transaction.
//!
//! Rows are locked in one order: the keys of recipients elsewhere, then what a delivery
//! locks (accounts, content, usage), then the sender's counter; then the same for the report,
//! which is a message of its own. Two that report to each other's accounts at one moment can
//! meet on PostgreSQL; the store runs one of them again.

use std::collections::BTreeMap;

use hikyaku_mailstore::{DeliverError, Delivery, Outcome, deliver};
use hikyaku_store::{ServiceTx, StoreError};
use hikyaku_trace as trace;
use hikyaku_types::{TenantId, Timestamp, TraceId};

use crate::limit::{self, LimitReached, Sending};
use crate::outgoing::{self, Outgoing, OutgoingRecipient};

/// One message and everything that becomes of it in this shard.
#[derive(Debug, Clone)]
pub struct Acceptance {
    /// Into mailboxes. Every tenant of `outgoing` has a part here, with or without
    /// recipients: it holds the content.
    pub delivery: Delivery,
    /// Elsewhere.
    pub outgoing: Vec<Outgoing>,
    /// Who sends it, if an account of ours does.
    pub sending: Option<Sending>,
    /// What tells the sender of it, unless nobody gets anything new.
    pub report: Option<Box<Acceptance>>,
}

/// What became of a recipient elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queued {
    /// It waits in the queue.
    New(TraceId),
    /// An earlier message with the same key has it; this is its trace id.
    Duplicate(TraceId),
}

impl Queued {
    /// The trace id of the copy that there is.
    pub const fn trace(self) -> TraceId {
        match self {
            Self::New(trace) | Self::Duplicate(trace) => trace,
        }
    }
}

/// What became of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// As [`hikyaku_mailstore::deliver`] has them.
    pub outcomes: Vec<Outcome>,
    /// Of each outgoing message's recipients, in order.
    pub queued: Vec<Vec<Queued>>,
}

/// Why nothing was accepted.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The delivery.
    #[error(transparent)]
    Deliver(#[from] DeliverError),
    /// The sender has sent enough.
    #[error(transparent)]
    Limit(#[from] LimitReached),
}

impl From<StoreError> for AcceptError {
    fn from(error: StoreError) -> Self {
        Self::Deliver(error.into())
    }
}

/// Delivers and queues.
///
/// # Errors
/// [`AcceptError`]: then nobody got it and nothing waits.
pub fn accept(tx: &mut ServiceTx<'_>, acceptance: &Acceptance) -> Result<Accepted, AcceptError> {
    let Acceptance { delivery, outgoing, sending, report } = acceptance;
    let now = delivery.received_at;
    let queued = claim_all(tx, outgoing, now)?;
    let mut rows: BTreeMap<TenantId, u32> = BTreeMap::new();
    for (one, queued) in outgoing.iter().zip(&queued) {
        if queued.iter().any(is_new) {
            *rows.entry(one.tenant).or_default() += 1;
        }
    }
    let (outcomes, contents) = deliver::deliver_naming(tx, delivery, &rows)?;
    for (one, queued) in outgoing.iter().zip(&queued) {
        let new: Vec<&OutgoingRecipient> = one
            .recipients
            .iter()
            .zip(queued)
            .filter(|(_, queued)| is_new(queued))
            .map(|(one, _)| one)
            .collect();
        let size = delivery
            .parts
            .iter()
            .find(|part| part.tenant == one.tenant)
            .map_or(0, |part| part.content.size());
        if let Some(content) = contents.get(&one.tenant) {
            outgoing::write(&mut tx.tenant(one.tenant), one, &new, *content, size, now)?;
        }
        write_trace(tx, delivery, one, queued, size)?;
    }
    let is_anything_new = queued.iter().flatten().any(is_new)
        || outcomes.iter().any(|outcome| matches!(outcome, Outcome::Delivered(_)));
    if is_anything_new {
        count_sent(tx, sending.as_ref(), now)?;
        if let Some(report) = report {
            accept(tx, report)?;
        }
    }
    Ok(Accepted { outcomes, queued })
}

fn count_sent(tx: &mut ServiceTx<'_>, sending: Option<&Sending>, now: Timestamp) -> Result<(), AcceptError> {
    let Some(sending) = sending else { return Ok(()) };
    let mut account = tx.account(sending.tenant, sending.account);
    limit::count(&mut account, sending, now)?.map_or(Ok(()), |reached| Err(reached.into()))
}

fn is_new(queued: &Queued) -> bool {
    matches!(queued, Queued::New(_))
}

fn claim_all(
    tx: &mut ServiceTx<'_>,
    outgoing: &[Outgoing],
    now: Timestamp,
) -> Result<Vec<Vec<Queued>>, StoreError> {
    let mut all = Vec::with_capacity(outgoing.len());
    for one in outgoing {
        let mut queued = Vec::with_capacity(one.recipients.len());
        for recipient in &one.recipients {
            let earlier = match &recipient.key {
                Some(key) => deliver::claim(tx, key, recipient.id, now)?,
                None => None,
            };
            queued.push(earlier.map_or(Queued::New(recipient.id), Queued::Duplicate));
        }
        all.push(queued);
    }
    Ok(all)
}

fn write_trace(
    tx: &mut ServiceTx<'_>,
    delivery: &Delivery,
    outgoing: &Outgoing,
    queued: &[Queued],
    size: u64,
) -> Result<(), StoreError> {
    for (recipient, queued) in outgoing.recipients.iter().zip(queued) {
        let event = if is_new(queued) { trace::Event::Queued } else { trace::Event::Duplicate };
        let record = trace::Record {
            id: recipient.id,
            tenant: outgoing.tenant,
            account: outgoing.account,
            email: None,
            event,
            size,
            reverse_path: outgoing.reverse_path.clone(),
            recipient: recipient.address.to_string(),
            message_id: delivery.message_id.clone(),
            peer: delivery.peer.clone(),
            note: None,
        };
        trace::record(&mut tx.tenant(outgoing.tenant), &record)?;
    }
    Ok(())
}
