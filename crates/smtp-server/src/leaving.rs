//! Recipients elsewhere: what RCPT leads out of the platform, and what becomes of it in the
//! queue.
//!
//! Standards: RFC 5321 sections 3.9 (aliases and lists lead on), 4.4 (no Return-Path on what
//! leaves), 6.3 (loops); RFC 6409 section 8, which lists what a submission server may change:
//! Bcc is not in it, whether it stands in the header is its author's choice (RFC 5322 section
//! 3.6.3); RFC 9228 (Delivered-To).
//! Invariants:
//! - only who signed in reaches elsewhere directly; others only where an address of ours leads;
//! - what is forwarded carries the `Delivered-To` of the address that led on, so that it is
//!   recognised when it comes back (see the module `loops`);
//! - nobody is sent a message twice because two of our addresses lead there.

use std::sync::Arc;

use hikyaku_directory::TenantFacts;
use hikyaku_mailstore::{ContentHash, DeliveryKey, Prelude};
use hikyaku_queue::{Kind, MOST_RECIPIENTS, Outgoing, OutgoingRecipient, SendLimits, Sending};
use hikyaku_sender_auth::policy::Policy;
use hikyaku_smtp_proto::command::{Notify, OriginalRecipient};
use hikyaku_smtp_proto::trace_header::DeliveredTo;
use hikyaku_types::{Address, Timestamp, TraceId};

use crate::Services;
use crate::receive::{Message, received, reverse_path};

/// Somebody elsewhere whom a RCPT leads to.
#[derive(Debug, Clone)]
pub(crate) struct Leaving {
    /// Of which RCPT it came, counted from 0.
    pub(crate) of: usize,
    /// Whose mail it is.
    pub(crate) tenant: Arc<TenantFacts>,
    /// The address of ours that leads there; `None` if the client named it itself.
    pub(crate) via: Option<Address>,
    pub(crate) to: Address,
    /// What is done with forged mail.
    pub(crate) policy: Arc<Policy>,
}

/// The messages that the queue gets: one for all whom the client named, and one for each
/// address that leads on, in pieces of as many recipients as a message may have.
pub(crate) fn outgoing(
    services: &Services,
    message: &Message<'_>,
    hash: &ContentHash,
    now: Timestamp,
) -> Vec<Outgoing> {
    let mut groups: Vec<Vec<&Leaving>> = Vec::new();
    for leaving in message.leaving {
        let is_with = |group: &&mut Vec<&Leaving>| {
            group.len() < MOST_RECIPIENTS
                && group.first().is_some_and(|first| {
                    first.via.is_some() == leaving.via.is_some()
                        && (first.via.is_none() || first.of == leaving.of)
                })
        };
        match groups.iter_mut().find(is_with) {
            Some(group) => group.push(leaving),
            None => groups.push(vec![leaving]),
        }
    }
    groups.iter().filter_map(|group| one(services, message, group, hash, now)).collect()
}

fn one(
    services: &Services,
    message: &Message<'_>,
    group: &[&Leaving],
    hash: &ContentHash,
    now: Timestamp,
) -> Option<Outgoing> {
    let first = group.first()?;
    let reverse_path = reverse_path(message.envelope);
    let recipient = |leaving: &&Leaving| OutgoingRecipient {
        id: TraceId::from_i64(services.ids.next(now)).expect("rising ids are positive"),
        address: leaving.to.clone(),
        notify: notify(message, leaving),
        original_recipient: original_recipient(message, leaving),
        key: Some(DeliveryKey::elsewhere(&reverse_path, leaving.tenant.id, &leaving.to, hash)),
    };
    let recipients: Vec<OutgoingRecipient> = group.iter().map(recipient).collect();
    let delivered_to = first.via.as_ref().map(|via| DeliveredTo(via).to_string()).unwrap_or_default();
    let lines = format!("{delivered_to}{}", received(message, recipients.first()?.id, now));
    Some(Outgoing {
        tenant: first.tenant.id,
        account: message.sender.filter(|_| first.via.is_none()).map(|sender| sender.home.account),
        kind: if first.via.is_some() { Kind::Forward } else { Kind::Submission },
        params: message.envelope.params.clone(),
        prelude: Prelude { lines: lines.into_bytes(), leave_out: message.judged.leave_out.clone() },
        recipients,
        reverse_path,
    })
}

/// A forged sender hears of nothing. An address that leads to one other hands on what its sender
/// wants to hear. Of one that leads to several the sender hears that it was expanded, and of no
/// success of theirs (RFC 3461 section 5.2.7).
fn notify(message: &Message<'_>, leaving: &Leaving) -> Option<Notify> {
    if message.judged.is_sender_forged() {
        return Some(Notify::Never);
    }
    let notify = message.envelope.recipients.get(leaving.of)?.params.notify?;
    let accounts = message.recipients.iter().filter(|one| one.of == leaving.of).count();
    let is_alone = accounts + message.leaving.iter().filter(|one| one.of == leaving.of).count() == 1;
    match notify {
        Notify::On { success: true, failure: false, delay: false } if !is_alone => Some(Notify::Never),
        Notify::On { failure, delay, .. } if !is_alone => Some(Notify::On { success: false, failure, delay }),
        notify => Some(notify),
    }
}

/// ORCPT as it was given. Where an address of ours leads on, it is the one that the sender
/// knows (RFC 3461 section 5.2.3).
fn original_recipient(message: &Message<'_>, leaving: &Leaving) -> Option<String> {
    let given = message.envelope.recipients.get(leaving.of)?.params.original_recipient.clone();
    let via = leaving.via.as_ref().map(|via| OriginalRecipient {
        address_type: if via.is_ascii() { "rfc822" } else { "utf-8" }.into(),
        address: via.to_string().into(),
    });
    given.or(via).map(|original| original.to_string())
}

/// What counts for the sender's limits, if an account of ours sends.
pub(crate) fn sending(message: &Message<'_>) -> Option<Sending> {
    let sender = message.sender?;
    let plan = &sender.tenant.plan;
    Some(Sending {
        tenant: sender.home.tenant,
        account: sender.home.account,
        limits: SendLimits { per_hour: plan.recipients_per_hour.0, per_day: plan.recipients_per_day.0 },
        recipients: u32::try_from(message.envelope.recipients.len()).unwrap_or(u32::MAX),
    })
}
