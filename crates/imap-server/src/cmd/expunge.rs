//! EXPUNGE and UID EXPUNGE: what is marked \Deleted goes.
//!
//! Standards: RFC 3501 section 6.4.3, RFC 4315 section 2.1. The untagged EXPUNGE responses
//! come from the sync that follows.

use hikyaku_imap_proto::response::StatusResponse;
use hikyaku_imap_proto::{Uid, UidSet};
use hikyaku_mailstore::{Flags, entry};

use crate::selected::steps;
use crate::session::{Failure, Session};

/// Removes the marked messages, of `among` only if that is given.
pub(super) async fn expunge(session: &mut Session<'_>, among: Option<UidSet>) -> Result<(), Failure> {
    let selected = session.selected()?;
    if selected.read_only {
        return Err(StatusResponse::read_only().into());
    }
    let (id, now) = (selected.id, session.services.clock.now());
    for uids in steps(&deleted(session, among.as_ref()).await?) {
        session.write("imap.expunge", move |tx| entry::expunge_deleted(tx, id, &uids, now)).await?;
    }
    Ok(())
}

/// The marked messages that the client knows: not those that came meanwhile, which it has not
/// seen.
pub(super) async fn deleted(session: &Session<'_>, among: Option<&UidSet>) -> Result<UidSet, Failure> {
    let selected = session.selected()?;
    let found = session.services.versions.current(session, selected.id).await?;
    let Some((_, version)) = found else { return Ok(UidSet::new()) };
    let is_known =
        |uid: &Uid| selected.view.uids().contains(*uid) && among.is_none_or(|among| among.contains(*uid));
    let marked = version.entries().filter(|entry| entry.flags.has(Flags::DELETED));
    Ok(marked.filter_map(|entry| Uid::new(entry.uid)).filter(is_known).collect())
}
