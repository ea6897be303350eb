//! The sender is told of a delivery, if it asked for that.
//!
//! Standards: RFC 3461 section 6.2 (which notifications there are), RFC 3464.
//! A report is a message of its own, accepted in the transaction of the delivery that it
//! tells of: into a mailbox of ours, or into the queue. It has a delivery key, so that a
//! sender who lost our reply and sends again is not told twice.
//! Invariants:
//! - the null reverse-path is told nothing, so that reports never answer reports;
//! - NOTIFY=NEVER and no NOTIFY are told nothing: nobody asked to hear of success;
//! - what goes into Junk is not told of: its sender is likely another;
//! - a report that finds no mailbox, or a full one, is dropped: the message itself is in.
//!
//! A recipient elsewhere hands on what it was asked (see `leaving`); only the server that
//! sends on knows what became of it.
//! Known weakness: where no policy tells that a sender is forged, a stranger can have one
//! report for each message sent to somebody else. It costs a message each, and holds but the
//! header.

use hikyaku_directory::{Account, Recipients, Resolution};
use hikyaku_mailstore::{
    ContentHash, Delivery, DeliveryKey, Flags, IfFull, MailboxId, MessageHash, Prelude, Quota, Recipient,
    Target, TenantPart, Threading,
};
use hikyaku_mime::Header;
use hikyaku_mime::report::{Action, DeliveryReport, ReportedRecipient};
use hikyaku_queue::{Acceptance, Kind, MOST_RECIPIENTS, Outgoing, OutgoingRecipient};
use hikyaku_smtp_proto::Listener;
use hikyaku_smtp_proto::command::{MailParams, Notify};
use hikyaku_smtp_proto::path::{ForwardPath, ReversePath};
use hikyaku_smtp_proto::session::Recipient as EnvelopeRecipient;
use hikyaku_smtp_proto::trace_header::{DeliveredTo, ReturnPath};
use hikyaku_types::{Address, EmailId, TenantId, Timestamp, TraceId};

use crate::Services;
use crate::receive::{Content, Message, ReceiveError, new_part};

/// The report that the sender of a message gets if it is delivered.
pub(crate) async fn report(
    services: &Services,
    message: &Message<'_>,
    content: &Content,
    now: Timestamp,
) -> Result<Option<Acceptance>, ReceiveError> {
    let reported = reported(message);
    let ReversePath::Mailbox(mailbox) = &message.envelope.reverse_path else { return Ok(None) };
    let (Some(to), false) = (mailbox.address(), reported.is_empty()) else { return Ok(None) };
    let found = match services.directory.resolve(&to).await? {
        Resolution::Recipients(recipients) => recipients,
        Resolution::Foreign => {
            // It leaves in the name of whoever received the message.
            let Some(tenant) = message.recipients.first().map(|first| &first.account.tenant) else {
                return Ok(None);
            };
            Recipients { tenant: tenant.clone(), accounts: Vec::new(), forwards: vec![to.clone()] }
        }
        Resolution::Suspended | Resolution::NoMailbox => return Ok(None),
    };
    let (tenant, shard) = (found.tenant.id, found.tenant.fields.shard());
    let id = random_word(services);
    let bytes = print(services, message, content, &to, &reported, &id, now);
    let part = new_part(services, tenant, shard, Quota(None), &bytes, true, now).await?;
    let draft = Draft { services, to: &to, key: key_text(&to, &reported), hash: content.hash, now };
    Ok(Some(draft.acceptance(part, &found, message_id(message, &id))))
}

/// The recipients whose delivery their sender wants to hear of.
fn reported(message: &Message<'_>) -> Vec<ReportedRecipient> {
    // LMTP offers no DSN: whoever hands mail on to us there has promised it.
    if message.settings.listener == Listener::Lmtp || message.judged.is_sender_forged() {
        return Vec::new();
    }
    let recipients = message.envelope.recipients.iter().enumerate();
    let wants = |(of, recipient): (usize, &EnvelopeRecipient)| {
        let Some(Notify::On { success: true, .. }) = recipient.params.notify else { return None };
        if message.recipients.iter().any(|one| one.of == of && message.judged.is_junk(&one.policy)) {
            return None;
        }
        let here = message.recipients.iter().filter(|one| one.of == of).count();
        let elsewhere = message.leaving.iter().filter(|one| one.of == of).count();
        let action = match (here, elsewhere) {
            (1, 0) => Action::Delivered,
            (0, 0 | 1) => return None,
            _ => Action::Expanded,
        };
        let address = match &recipient.forward_path {
            ForwardPath::Postmaster => format!("postmaster@{}", message.settings.host_name),
            ForwardPath::Mailbox(mailbox) => mailbox.to_string(),
        };
        let original = recipient.params.original_recipient.as_ref();
        let original = original.map(|one| (one.address_type.to_string(), one.address.to_string()));
        Some(ReportedRecipient { original, address, action })
    };
    recipients.filter_map(wants).collect()
}

fn print(
    services: &Services,
    message: &Message<'_>,
    content: &Content,
    to: &Address,
    reported: &[ReportedRecipient],
    id: &str,
    now: Timestamp,
) -> Vec<u8> {
    let report = DeliveryReport {
        reporting_mta: message.settings.host_name.as_str(),
        to: &to.to_string(),
        message_id: &message_id(message, id),
        date: &now.to_rfc5322(),
        arrival_date: &now.to_rfc5322(),
        envelope_id: message.envelope.params.envid.as_deref(),
        recipients: reported,
        header: Header::of_content(&content.bytes).as_bytes(),
        boundary: &format!("=_{}", random_word(services)),
    };
    report.print()
}

fn message_id(message: &Message<'_>, id: &str) -> String {
    format!("{id}@{}", message.settings.host_name)
}

fn random_word(services: &Services) -> String {
    let mut bits = [0; 16];
    services.random.fill(&mut bits);
    format!("{:032x}", u128::from_le_bytes(bits))
}

/// What makes a report the same one: whom it tells of whom. No reverse-path begins like this.
fn key_text(to: &Address, reported: &[ReportedRecipient]) -> String {
    reported.iter().fold(format!("<report to {to}>"), |text, one| format!("{text}<{}>", one.address))
}

/// A report's own envelope.
struct Draft<'r> {
    services: &'r Services,
    to: &'r Address,
    key: String,
    hash: ContentHash,
    now: Timestamp,
}

impl Draft<'_> {
    fn acceptance(&self, mut part: TenantPart, found: &Recipients, message_id: String) -> Acceptance {
        let tenant = part.tenant;
        for one in &found.accounts {
            part.recipients.push(self.recipient(&one.account));
        }
        let to: Vec<OutgoingRecipient> =
            found.forwards.iter().map(|address| self.recipient_elsewhere(tenant, address)).collect();
        let outgoing = to.chunks(MOST_RECIPIENTS).map(|to| self.outgoing(tenant, to.to_vec()));
        let own = Some(MessageHash::of(message_id.as_bytes()));
        Acceptance {
            delivery: Delivery {
                received_at: self.now,
                threading: Threading { own, parents: Vec::new() },
                reverse_path: String::new(),
                message_id: Some(message_id),
                peer: None,
                parts: vec![part],
                if_full: IfFull::SkipRecipient,
            },
            outgoing: outgoing.collect(),
            sending: None,
            report: None,
        }
    }

    fn recipient(&self, account: &Account) -> Recipient {
        let lines = format!("{}{}", ReturnPath(&ReversePath::Null), DeliveredTo(self.to));
        Recipient {
            account: account.home.account,
            quota: account.quota,
            target: Target::Mailbox(MailboxId::INBOX),
            flags: Flags::NONE,
            email: EmailId::from_i64(self.next_id()).expect("rising ids are positive"),
            trace: self.next_trace(),
            address: self.to.to_string(),
            note: None,
            prelude: Prelude::of_lines(lines.into_bytes()),
            key: Some(DeliveryKey::new(&self.key, account.home.account, &self.hash)),
        }
    }

    fn recipient_elsewhere(&self, tenant: TenantId, address: &Address) -> OutgoingRecipient {
        OutgoingRecipient {
            id: self.next_trace(),
            address: address.clone(),
            // RFC 3461 section 6.1 (h): nobody is told what becomes of a report.
            notify: Some(Notify::Never),
            original_recipient: None,
            key: Some(DeliveryKey::elsewhere(&self.key, tenant, address, &self.hash)),
        }
    }

    fn outgoing(&self, tenant: TenantId, recipients: Vec<OutgoingRecipient>) -> Outgoing {
        let needs_utf8 = !self.to.is_ascii() || recipients.iter().any(|one| !one.address.is_ascii());
        Outgoing {
            tenant,
            account: None,
            kind: Kind::Report,
            reverse_path: String::new(),
            params: MailParams { smtputf8: needs_utf8, ..MailParams::default() },
            prelude: Prelude::default(),
            recipients,
        }
    }

    fn next_trace(&self) -> TraceId {
        TraceId::from_i64(self.next_id()).expect("rising ids are positive")
    }

    fn next_id(&self) -> i64 {
        self.services.ids.next(self.now)
    }
}
