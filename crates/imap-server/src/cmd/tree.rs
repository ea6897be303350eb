//! CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE.
//!
//! Standards: RFC 3501 sections 6.3.3 to 6.3.7, RFC 6154 section 3 (USE), RFC 8474 section 4.1
//! (MAILBOXID), RFC 9051 section 6.3.9.7 (OLDNAME).

use hikyaku_imap_proto::MailboxName;
use hikyaku_imap_proto::command::{Create, Rename, SpecialUse};
use hikyaku_imap_proto::response::StatusResponse;
use hikyaku_mailstore::{MailboxError, MailboxId, MailboxPath, Role, entry, mailbox, subscription};
use hikyaku_store::{Scope, StoreError};
use hikyaku_types::{Actor, Service};

use super::select::tell_name;
use crate::mailboxes::{self, normal, object_id};
use crate::session::{Failure, Outcome, Session, path};

/// The answer tells the new mailbox's id.
pub(super) async fn create(session: &mut Session<'_>, create: &Create) -> Outcome {
    let path = path(&create.mailbox)?;
    let role = match create.special_use.as_slice() {
        [] => Role::None,
        [special_use] => role_of(*special_use).ok_or_else(StatusResponse::cannot_use)?,
        _ => return Err(StatusResponse::cannot_use().into()),
    };
    let made = session.write("imap.create", move |tx| {
        // A use has one mailbox: who sorts mail by it must know where to.
        if role != Role::None && mailbox::has_role(tx, role)? {
            return Ok::<_, MailboxError>(None);
        }
        mailbox::create(tx, &path, role).map(Some)
    });
    let made = made.await?.ok_or_else(StatusResponse::cannot_use)?;
    if session.enabled.rev2 && normal(&create.mailbox) != create.mailbox {
        tell_name(session, &create.mailbox, None);
    }
    Ok(StatusResponse::created(object_id(made.id)))
}

/// The role that CREATE gives for a special use; there are no mailboxes of all, of flagged or
/// of important messages.
fn role_of(special_use: SpecialUse) -> Option<Role> {
    Some(match special_use {
        SpecialUse::Archive => Role::Archive,
        SpecialUse::Drafts => Role::Drafts,
        SpecialUse::Junk => Role::Junk,
        SpecialUse::Sent => Role::Sent,
        SpecialUse::Trash => Role::Trash,
        SpecialUse::All | SpecialUse::Flagged | SpecialUse::Important => return None,
    })
}

pub(super) async fn delete(session: &mut Session<'_>, name: &MailboxName) -> Result<(), Failure> {
    if name.is_inbox() {
        return Err(StatusResponse::inbox_stays().into());
    }
    let id = mailboxes::find(session, name).await?.id;
    session.write("imap.delete", move |tx| mailbox::delete(tx, id)).await?;
    if session.selected.as_ref().is_some_and(|selected| selected.id == id) {
        session.selected = None;
    }
    purge(session, id)
}

/// Empties a deleted mailbox behind the client's back: it is hidden already.
fn purge(session: &Session<'_>, id: MailboxId) -> Result<(), Failure> {
    let home = session.account()?.home;
    let (store, now) = (session.services.store.clone(), session.services.clock.now());
    tokio::spawn(async move {
        let scope = || Scope::service(&Actor::Service(Service::Jobs), home.shard, Some(home.tenant));
        loop {
            let Ok(scope) = scope() else { return };
            let step = store.write(scope, "imap.purge", move |tx| {
                mailbox::purge(&mut tx.account(home.tenant, home.account), id, now)
            });
            let done: Result<bool, StoreError> = step.await;
            // On an error the rest stays hidden; the store has logged why.
            if done.unwrap_or(true) {
                return;
            }
        }
    });
    Ok(())
}

pub(super) async fn rename(session: &mut Session<'_>, rename: &Rename) -> Result<(), Failure> {
    let to = path(&rename.to)?;
    if rename.from.is_inbox() {
        return rename_inbox(session, to).await;
    }
    let id = mailboxes::find(session, &rename.from).await?.id;
    session.write("imap.rename", move |tx| mailbox::rename(tx, id, &to)).await?;
    if session.enabled.rev2 {
        tell_name(session, &rename.to, Some(&rename.from));
    }
    Ok(())
}

/// RENAME of INBOX moves its messages to a new mailbox and leaves it empty (RFC 3501 section
/// 6.3.5).
async fn rename_inbox(session: &Session<'_>, to: MailboxPath) -> Result<(), Failure> {
    let made = session.write("imap.rename", move |tx| mailbox::create(tx, &to, Role::None)).await?;
    let now = session.services.clock.now();
    loop {
        let moved = session.write("imap.rename_inbox", move |tx| {
            let step = entry::entries(tx, MailboxId::INBOX, 0, entry::STEP)?;
            let uids: Vec<u32> = step.iter().map(|entry| entry.uid).collect();
            entry::move_entries(tx, MailboxId::INBOX, &uids, made.id, now)
        });
        if moved.await?.uids.is_empty() {
            return Ok(());
        }
    }
}

/// A name may be subscribed that has no mailbox, or none any more (RFC 9051 section 6.3.7).
pub(super) async fn subscribe(
    session: &mut Session<'_>,
    name: &MailboxName,
    yes: bool,
) -> Result<(), Failure> {
    let path = match path(name) {
        Ok(path) => path,
        // What no mailbox can be called is not subscribed either.
        Err(_) if !yes => return Ok(()),
        Err(failure) => return Err(failure),
    };
    session.write("imap.subscribe", move |tx| subscription::subscribe(tx, &path, yes)).await
}
