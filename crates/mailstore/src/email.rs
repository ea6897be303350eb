//! Emails: one message of an account, in one or several of its mailboxes.

use hikyaku_store::{AccountSql, AccountTx, Attached, Placement, Prepared, StoreError, attach, placement};
use hikyaku_types::{ContentId, EmailId, ThreadId, Timestamp};

use crate::deliver::signed;
use crate::entry;
use crate::flags::{Flags, Keywords};
use crate::mailbox::{MailboxId, next_modseq};
use crate::prelude::Prelude;
use crate::thread::{self, Threading};
use crate::usage::{self, Quota, QuotaError};

/// An email's row and where its bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    /// Its id.
    pub id: EmailId,
    /// Its thread.
    pub thread: ThreadId,
    /// When it was received.
    pub received_at: Timestamp,
    /// Our own lines.
    pub prelude: Prelude,
    /// Where the content is.
    pub placement: Placement,
}

/// What is written for a message that has been counted.
pub(crate) struct NewEmail<'e> {
    pub(crate) id: EmailId,
    pub(crate) content: ContentId,
    pub(crate) size: u64,
    pub(crate) received_at: Timestamp,
    /// When it came into the mailbox.
    pub(crate) saved_at: Timestamp,
    pub(crate) prelude: &'e Prelude,
    pub(crate) threading: &'e Threading,
    pub(crate) mailbox: MailboxId,
    pub(crate) uid: u32,
    pub(crate) modseq: i64,
    pub(crate) flags: Flags,
    pub(crate) keywords: &'e Keywords,
}

const INSERT: AccountSql = AccountSql::new(
    "INSERT INTO email (id, account, content, thread, entries, size, received_at, prelude)
     VALUES ($2, $1, $3, $4, 1, $5, $6, $7)",
);
const GET: AccountSql =
    AccountSql::new("SELECT content, thread, received_at, prelude FROM email WHERE account = $1 AND id = $2");
const ARRIVAL: AccountSql =
    AccountSql::new("SELECT received_at, thread FROM email WHERE account = $1 AND id = $2");
const COUNT_IN_ROOT: AccountSql = AccountSql::new(
    "UPDATE mailbox SET messages = messages + $2, bytes = bytes + $3
     WHERE account = $1 AND mailbox = 0 AND (bytes + $3 <= $4 OR $3 <= 0)",
);
const COUNT_IN_MAILBOX: AccountSql = AccountSql::new(
    "UPDATE mailbox SET uidnext = uidnext + $3, messages = messages + $3, unseen = unseen + $4, bytes = bytes + $5,
        modseq = $6
     WHERE account = $1 AND mailbox = $2 AND mailbox > 0 AND parent <> -2 RETURNING uidnext - $3, uidvalidity",
);

/// Writes email, thread and entry, and tells watchers after the commit.
pub(crate) fn write(tx: &mut AccountTx<'_>, new: &NewEmail<'_>) -> Result<(), StoreError> {
    let thread = thread::join(tx, new.id, new.threading)?;
    let prelude = new.prelude.encode();
    tx.execute(
        INSERT,
        &[
            new.id.into(),
            new.content.into(),
            thread.into(),
            signed(new.size).into(),
            new.received_at.into(),
            (&prelude).into(),
        ],
    )?;
    entry::insert(tx, new)?;
    tx.announce(new.modseq);
    Ok(())
}

/// Counts messages and bytes in the root row. False if the quota does not allow it.
pub(crate) fn count_in_root(
    tx: &mut AccountTx<'_>,
    messages: i64,
    bytes: i64,
    quota: Quota,
) -> Result<bool, StoreError> {
    Ok(tx.execute(COUNT_IN_ROOT, &[messages.into(), bytes.into(), quota.limit().into()])? == 1)
}

/// Counts arriving messages in a mailbox. The first UID and the UIDVALIDITY, or `None` if
/// there is no such mailbox.
pub(crate) fn count_in_mailbox(
    tx: &mut AccountTx<'_>,
    mailbox: MailboxId,
    messages: i64,
    unseen: i64,
    bytes: i64,
    modseq: i64,
) -> Result<Option<(u32, u32)>, StoreError> {
    let params = [mailbox.into(), messages.into(), unseen.into(), bytes.into(), modseq.into()];
    tx.row(COUNT_IN_MAILBOX, &params, |row| Ok((row.get(0)?, row.get(1)?)))
}

/// A message that its owner puts into a mailbox (IMAP APPEND, JMAP import).
#[derive(Debug, Clone)]
pub struct AppendedEmail {
    /// The content, prepared for the account's tenant.
    pub content: Prepared,
    /// Used if the content gets a new row.
    pub content_id: ContentId,
    /// The id that the email gets.
    pub email: EmailId,
    /// Its place among others.
    pub threading: Threading,
    /// INTERNALDATE.
    pub received_at: Timestamp,
    /// Flags.
    pub flags: Flags,
    /// Keywords.
    pub keywords: Keywords,
}

/// Why a message was not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// There is no such mailbox.
    #[error("no such mailbox")]
    NoMailbox,
    /// The account's or the tenant's quota.
    #[error(transparent)]
    Full(#[from] QuotaError),
    /// Prepare the content again without sharing.
    #[error("the shared content is gone, it must be stored again")]
    TwinGone,
    /// More keywords than a message may have.
    #[error("too many keywords")]
    TooManyKeywords,
    /// The store; temporary.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Appends messages to a mailbox, all or none. Returns UIDVALIDITY and the UIDs, which are
/// consecutive.
///
/// # Errors
/// [`AppendError`].
pub fn append(
    tx: &mut AccountTx<'_>,
    mailbox: MailboxId,
    messages: &[AppendedEmail],
    limits: (Quota, Quota),
    now: Timestamp,
) -> Result<(u32, Vec<u32>), AppendError> {
    append_all(tx, mailbox, &Vec::from_iter(messages), limits, now)
}

pub(crate) fn append_all(
    tx: &mut AccountTx<'_>,
    mailbox: MailboxId,
    messages: &[&AppendedEmail],
    (quota, pool): (Quota, Quota),
    now: Timestamp,
) -> Result<(u32, Vec<u32>), AppendError> {
    if messages.iter().any(|message| message.keywords.is_too_many()) {
        return Err(AppendError::TooManyKeywords);
    }
    let modseq = next_modseq(tx)?.ok_or(AppendError::NoMailbox)?;
    let bytes = signed(messages.iter().map(|message| message.content.size()).sum());
    let count = signed(messages.len() as u64);
    let unseen = messages.iter().filter(|message| !message.flags.has(Flags::SEEN)).count() as u64;
    let placed = count_in_mailbox(tx, mailbox, count, signed(unseen), bytes, modseq)?;
    let (first, uidvalidity) = placed.ok_or(AppendError::NoMailbox)?;
    if !count_in_root(tx, count, bytes, quota)? {
        return Err(QuotaError::Account(tx.account()).into());
    }
    let mut uids = Vec::with_capacity(messages.len());
    for (message, uid) in messages.iter().zip(first..) {
        append_one(tx, mailbox, message, uid, modseq, now)?;
        uids.push(uid);
    }
    if !usage::add(&mut tx.tenant_rows(), count, bytes, pool)? {
        return Err(QuotaError::Tenant.into());
    }
    Ok((uidvalidity, uids))
}

fn append_one(
    tx: &mut AccountTx<'_>,
    mailbox: MailboxId,
    message: &AppendedEmail,
    uid: u32,
    modseq: i64,
    now: Timestamp,
) -> Result<(), AppendError> {
    let attached = attach(&mut tx.tenant_rows(), message.content_id, &message.content, 1, now)?;
    let Attached::To(content) = attached else { return Err(AppendError::TwinGone) };
    let new = NewEmail {
        id: message.email,
        content,
        size: message.content.size(),
        received_at: message.received_at,
        saved_at: now,
        prelude: &Prelude::default(),
        threading: &message.threading,
        mailbox,
        uid,
        modseq,
        flags: message.flags,
        keywords: &message.keywords,
    };
    Ok(write(tx, &new)?)
}

/// The emails with these ids, in their order; ids that are not (or no longer) the account's
/// are left out.
///
/// # Errors
/// [`StoreError`].
pub fn emails(tx: &mut AccountTx<'_>, ids: &[EmailId]) -> Result<Vec<Email>, StoreError> {
    let mut found = Vec::with_capacity(ids.len());
    for &id in ids {
        let row = tx.row(GET, &[id.into()], |row| {
            Ok((row.get::<ContentId>(0)?, row.get(1)?, row.get(2)?, row.get::<Vec<u8>>(3)?))
        })?;
        let Some((content, thread, received_at, prelude)) = row else { continue };
        let damaged = |what: &str| StoreError::Failed {
            label: "mailstore.emails",
            cause: format!("{id} has no {what}"),
        };
        let placement = placement(&mut tx.tenant_rows(), content)?.ok_or_else(|| damaged("content"))?;
        let prelude = Prelude::decode(&prelude).ok_or_else(|| damaged("readable prelude"))?;
        found.push(Email { id, thread, received_at, prelude, placement });
    }
    Ok(found)
}

/// When an email was received (INTERNALDATE), and its thread; `None` if it is gone. Costs
/// less than [`emails`], which reads the content too.
///
/// # Errors
/// [`StoreError`].
pub fn arrival(tx: &mut AccountTx<'_>, id: EmailId) -> Result<Option<(Timestamp, ThreadId)>, StoreError> {
    tx.row(ARRIVAL, &[id.into()], |row| Ok((row.get(0)?, row.get(1)?)))
}
