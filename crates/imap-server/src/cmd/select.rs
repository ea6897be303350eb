//! SELECT, EXAMINE, CLOSE, UNSELECT.
//!
//! Standards: RFC 3501 sections 6.3.1, 6.3.2 and 6.4.2, RFC 3691.

use hikyaku_imap_proto::command::Select;
use hikyaku_imap_proto::response::{self, MayCreate, StatusResponse};
use hikyaku_imap_proto::{Flag, Uid, UidValidity};

use super::expunge::deleted;
use crate::mailboxes::Tree;
use crate::selected::{Opened, open, steps};
use crate::session::{Failure, Outcome, Session};

pub(super) async fn select(session: &mut Session<'_>, select: &Select, read_only: bool) -> Outcome {
    // Whatever becomes of this one, the mailbox before is closed (RFC 3501 section 6.3.1).
    session.selected = None;
    let id = Tree::load(session).await?.find(&select.mailbox)?.id;
    let opened = open(session, id, read_only).await?;
    tell(session, &opened);
    session.selected = Some(opened.selected);
    Ok(if read_only { StatusResponse::selected_read_only() } else { StatusResponse::selected() })
}

fn tell(session: &mut Session<'_>, opened: &Opened) {
    let out = &mut session.wire.out;
    let view = &opened.selected.view;
    let flags: Vec<Flag> = Flag::SYSTEM.into_iter().chain(opened.keywords.iter().cloned()).collect();
    response::flags(out, &flags);
    response::exists(out, view.len());
    response::recent(out, 0);
    let permanent = if opened.selected.read_only {
        StatusResponse::permanent_flags(Vec::new(), MayCreate::No)
    } else {
        StatusResponse::permanent_flags(flags, MayCreate::Yes)
    };
    let unseen = opened.first_unseen.and_then(|uid| view.seq(uid)).map(StatusResponse::unseen);
    let validity = UidValidity::new(opened.mailbox.uidvalidity).map(StatusResponse::uid_validity);
    let next = Uid::new(opened.selected.next_uid).map(StatusResponse::uid_next);
    for response in [Some(permanent), unseen, validity, next].into_iter().flatten() {
        response.untagged(out);
    }
}

/// Removes what is marked, without telling (RFC 3501 section 6.4.2).
pub(super) async fn close(session: &mut Session<'_>) -> Result<(), Failure> {
    let selected = session.selected()?;
    if !selected.read_only {
        let (id, now) = (selected.id, session.services.clock.now());
        for uids in steps(&deleted(session, None).await?) {
            session
                .write("imap.close", move |tx| hikyaku_mailstore::entry::expunge_deleted(tx, id, &uids, now))
                .await?;
        }
    }
    unselect(session)
}

pub(super) fn unselect(session: &mut Session<'_>) -> Result<(), Failure> {
    session.selected = None;
    Ok(())
}
