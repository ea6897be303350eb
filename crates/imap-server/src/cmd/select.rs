//! SELECT, EXAMINE, CLOSE, UNSELECT.
//!
//! Standards: RFC 3501 sections 6.3.1, 6.3.2 and 6.4.2, RFC 3691, RFC 7162 sections 3.1.2
//! (HIGHESTMODSEQ), 3.2.5 (QRESYNC), 3.2.8 (CLOSE) and 3.2.11 (CLOSED), RFC 8474
//! section 4 (MAILBOXID), RFC 9051 section 6.3.2.

use hikyaku_imap_proto::command::{QResync, Select};
use hikyaku_imap_proto::response::{self, Code, FetchWriter, ListEntry, MayCreate, StatusResponse};
use hikyaku_imap_proto::table::{Reason, Row};
use hikyaku_imap_proto::{MailboxName, Uid, UidValidity};
use hikyaku_mailstore::entry;

use super::expunge::deleted;
use crate::history::{self, Since};
use crate::mailboxes::{self, normal, object_id};
use crate::selected::{Opened, flags_of, mod_seq, open, steps};
use crate::session::{Failure, Outcome, Session};

pub(super) async fn select(session: &mut Session<'_>, select: &Select, read_only: bool) -> Outcome {
    if select.qresync.is_some() && !session.enabled.qresync {
        return Err(StatusResponse::bad(&Reason::NotEnabled).into());
    }
    // Whatever becomes of this one, the mailbox before is closed (RFC 3501 section 6.3.1).
    if session.selected.take().is_some() {
        StatusResponse::closed().untagged(&mut session.wire.out);
    }
    let id = mailboxes::find(session, &select.mailbox).await?.id;
    let opened = open(session, id, read_only).await?;
    if session.enabled.rev2 {
        tell_name(session, &select.mailbox, None);
    }
    tell(session, &opened);
    let uid_validity = opened.mailbox.uidvalidity;
    session.selected = Some(opened.selected);
    // What the client knows of another mailbox of this name is no use.
    let known = select.qresync.as_ref().filter(|known| known.uid_validity.get() == uid_validity);
    if let Some(known) = known
        && let Err(failure) = resync(session, known).await
    {
        session.selected = None;
        return Err(failure);
    }
    Ok(if read_only { StatusResponse::selected_read_only() } else { StatusResponse::selected() })
}

/// RFC 9051 sections 6.3.2 and 6.3.9.7: the name as the server knows it, with the one that
/// it had before, or by which the client called it if that is another.
pub(super) fn tell_name(session: &mut Session<'_>, called: &MailboxName, before: Option<&MailboxName>) {
    let name = normal(called);
    let old_name = before.or_else(|| (name != *called).then_some(called));
    let entry = ListEntry { name: &name, attributes: &[], special_use: &[], child_info: false, old_name };
    response::list(&mut session.wire.out, &entry, session.dialect);
}

fn tell(session: &mut Session<'_>, opened: &Opened) {
    let rev2 = session.enabled.rev2;
    let out = &mut session.wire.out;
    let selected = &opened.selected;
    let flags = selected.flags();
    response::flags(out, &flags);
    response::exists(out, selected.view.len());
    if !rev2 {
        response::recent(out, 0);
    }
    let permanent = if selected.read_only {
        StatusResponse::permanent_flags(Vec::new(), MayCreate::No)
    } else {
        StatusResponse::permanent_flags(flags, MayCreate::Yes)
    };
    let unseen = opened
        .first_unseen
        .filter(|_| !rev2)
        .and_then(|uid| selected.view.seq(uid))
        .map(StatusResponse::unseen);
    let validity = UidValidity::new(opened.mailbox.uidvalidity).map(StatusResponse::uid_validity);
    let next = Uid::new(selected.next_uid).map(StatusResponse::uid_next);
    let modseq = selected.highest_modseq().map(StatusResponse::highest_modseq);
    let id = StatusResponse::mailbox_id(object_id(selected.id));
    for response in [Some(permanent), unseen, validity, next, modseq, Some(id)].into_iter().flatten() {
        response.untagged(out);
    }
}

/// Tells what happened since the client was here last (RFC 7162 section 3.2.5).
async fn resync(session: &mut Session<'_>, known: &QResync) -> Result<(), Failure> {
    let selected = session.selected()?;
    let id = selected.id;
    // Without a list the client has all that there was to have.
    let among = match &known.known_uids {
        Some(uids) => uids.intersection(&history::given(selected)),
        None => history::given(selected),
    };
    let since = Since { modseq: known.modseq, seq_match: known.seq_match.as_ref() };
    let vanished = history::vanished(session, since, &among).await?;
    response::vanished(&mut session.wire.out, true, &vanished);
    let changed = history::changed(session, known.modseq).await?;
    for step in steps(&changed.intersection(&among)) {
        let entries = session.read("imap.resync", move |tx| entry::find_entries(tx, id, &step)).await?;
        for entry in &entries {
            let (dialect, out) = (session.dialect, &mut session.wire.out);
            let selected = session.selected.as_ref();
            let Some(uid) = Uid::new(entry.uid) else { continue };
            let Some(seq) = selected.and_then(|selected| selected.view.seq(uid)) else { continue };
            let mut line = FetchWriter::new(out, seq, dialect);
            line.uid(uid);
            line.flags(&flags_of(entry), false);
            if let Some(modseq) = mod_seq(entry.modseq) {
                line.modseq(modseq);
            }
            line.finish();
        }
        session.wire.relieve().await?;
    }
    Ok(())
}

/// Removes what is marked, without telling (RFC 3501 section 6.4.2). A client with QRESYNC is
/// told from where on it must look when it comes again.
pub(super) async fn close(session: &mut Session<'_>, row: &'static Row) -> Outcome {
    let selected = session.selected()?;
    let known = selected.highest_modseq().filter(|_| session.enabled.qresync);
    let mut has_expunged = false;
    if !selected.read_only {
        let (id, now) = (selected.id, session.services.clock.now());
        for uids in steps(&deleted(session, None).await?) {
            let step = session.write("imap.close", move |tx| entry::expunge_deleted(tx, id, &uids, now));
            has_expunged |= !step.await?.uids.is_empty();
        }
    }
    unselect(session)?;
    let code = known.filter(|_| has_expunged).map(Code::HighestModSeq);
    Ok(StatusResponse { code, ..StatusResponse::completed(row) })
}

pub(super) fn unselect(session: &mut Session<'_>) -> Result<(), Failure> {
    session.selected = None;
    Ok(())
}
