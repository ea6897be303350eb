//! A message on its way into the queue, and its rows.

use hikyaku_mailstore::{DeliveryKey, Prelude};
use hikyaku_smtp_proto::command::{Body, MailParams, Notify, Ret};
use hikyaku_store::{StoreError, TenantSql, TenantTx};
use hikyaku_types::{AccountId, Address, ContentId, TenantId, Timestamp, TraceId};

/// Recipients of one message at most: as many as every server takes in one mail transaction
/// (RFC 5321 section 4.5.3.1.8).
pub const MOST_RECIPIENTS: usize = 100;

/// Why a message leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Somebody of ours sends it.
    Submission,
    /// It came for an address of ours that leads elsewhere. Under which reverse-path it goes
    /// on is decided when it is sent; here it has the one that it came with.
    Forward,
    /// We tell what became of another message, RFC 3464.
    Report,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Submission, Self::Forward, Self::Report];

    /// As it is shown.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Submission => "submission",
            Self::Forward => "forward",
            Self::Report => "report",
        }
    }

    const fn number(self) -> i64 {
        match self {
            Self::Submission => 1,
            Self::Forward => 2,
            Self::Report => 3,
        }
    }

    pub(crate) fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }
}

/// One message for recipients elsewhere.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Whose mail it is.
    pub tenant: TenantId,
    /// Who sends it, or whose forward it is.
    pub account: Option<AccountId>,
    /// Why it leaves.
    pub kind: Kind,
    /// Without brackets; empty for the null reverse-path.
    pub reverse_path: String,
    /// Parameters of MAIL that the next server must hear of.
    pub params: MailParams,
    /// Our own lines in front of the content.
    pub prelude: Prelude,
    /// At least one, at most [`MOST_RECIPIENTS`].
    pub recipients: Vec<OutgoingRecipient>,
}

/// One recipient elsewhere.
#[derive(Debug, Clone)]
pub struct OutgoingRecipient {
    /// Also the id of its trace row.
    pub id: TraceId,
    /// Who receives it.
    pub address: Address,
    /// NOTIFY of RCPT.
    pub notify: Option<Notify>,
    /// ORCPT of RCPT: type, semicolon, and the address under xtext.
    pub original_recipient: Option<String>,
    /// Admits one copy; `None` admits any number.
    pub key: Option<DeliveryKey>,
}

/// States of a recipient.
pub(crate) const WAITING: i64 = 0;
pub(crate) const HELD: i64 = 1;

const MESSAGE: TenantSql = TenantSql::new(
    "INSERT INTO queue_message (tenant, id, account, kind, content, size, flags, ret, envid, reverse_path, prelude)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
);
const RECIPIENT: TenantSql = TenantSql::new(
    "INSERT INTO queue_recipient
        (tenant, message, id, state, due_at, notify, destination, address, original_recipient)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
);

/// Writes the rows of a message and of those of its recipients that are `new`; it is called
/// by the id of the first of them. The content has a reference for it already.
pub(crate) fn write(
    tx: &mut TenantTx<'_>,
    outgoing: &Outgoing,
    new: &[&OutgoingRecipient],
    content: ContentId,
    size: u64,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(first) = new.first() else { return Ok(()) };
    let (size, prelude) = (outgoing.prelude.message_size(size), outgoing.prelude.encode());
    let params = [
        first.id.into(),
        outgoing.account.into(),
        outgoing.kind.number().into(),
        content.into(),
        i64::try_from(size).unwrap_or(i64::MAX).into(),
        flags(&outgoing.params).into(),
        outgoing.params.ret.map(ret_number).into(),
        outgoing.params.envid.as_deref().into(),
        (&outgoing.reverse_path).into(),
        (&prelude).into(),
    ];
    tx.execute(MESSAGE, &params)?;
    for recipient in new {
        let address = recipient.address.to_string();
        let params = [
            first.id.into(),
            recipient.id.into(),
            WAITING.into(),
            now.into(),
            recipient.notify.map(notify_number).into(),
            recipient.address.domain.as_str().into(),
            (&address).into(),
            recipient.original_recipient.as_ref().into(),
        ];
        tx.execute(RECIPIENT, &params)?;
    }
    Ok(())
}

fn flags(params: &MailParams) -> i64 {
    let is_8bit = params.body == Some(Body::EightBitMime);
    i64::from(params.smtputf8) + 2 * i64::from(params.require_tls) + 4 * i64::from(is_8bit)
}

fn ret_number(ret: Ret) -> i64 {
    match ret {
        Ret::Full => 1,
        Ret::Headers => 2,
    }
}

fn notify_number(notify: Notify) -> i64 {
    match notify {
        Notify::Never => 0,
        Notify::On { success, failure, delay } => {
            i64::from(success) + 2 * i64::from(failure) + 4 * i64::from(delay)
        }
    }
}

/// NOTIFY as it is written, of its number.
pub(crate) fn notify_of_number(number: i64) -> Notify {
    match number {
        0 => Notify::Never,
        _ => Notify::On { success: number & 1 != 0, failure: number & 2 != 0, delay: number & 4 != 0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_notify_come_back() {
        let words = ["NEVER", "SUCCESS", "FAILURE", "SUCCESS,FAILURE", "DELAY", "SUCCESS,FAILURE,DELAY"];
        for (number, word) in [0, 1, 2, 3, 4, 7].into_iter().zip(words) {
            let notify = notify_of_number(number);
            assert_eq!((notify.to_string().as_str(), notify_number(notify)), (word, number));
        }
    }

    #[test]
    fn flags_of_parameters() {
        let params =
            |smtputf8, require_tls, body| MailParams { smtputf8, require_tls, body, ..MailParams::default() };
        for (params, expected) in [
            (params(false, false, None), 0),
            (params(true, false, Some(Body::SevenBit)), 1),
            (params(false, true, Some(Body::EightBitMime)), 6),
        ] {
            assert_eq!(flags(&params), expected);
        }
    }
}
