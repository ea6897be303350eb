//! STORE: flags change.
//!
//! Standards: RFC 3501 section 6.4.6.

use hikyaku_imap_proto::Uid;
use hikyaku_imap_proto::command::{By, Store, StoreAction};
use hikyaku_imap_proto::response::{FetchWriter, StatusResponse};
use hikyaku_imap_proto::table::Row;
use hikyaku_mailstore::entry::Stored;
use hikyaku_mailstore::{Change, Entry, entry};

use super::resolve;
use crate::selected::{Selected, flags_of, steps, to_store};
use crate::session::{Failure, Outcome, Session};

pub(super) async fn store(session: &mut Session<'_>, row: &'static Row, store: &Store) -> Outcome {
    let uids = resolve(session, &store.messages, store.by)?;
    let selected = session.selected()?;
    if selected.read_only {
        return Err(StatusResponse::read_only().into());
    }
    let id = selected.id;
    let (flags, keywords) = to_store(&store.flags);
    let change = match store.action {
        StoreAction::Replace => Change::Replace(flags, keywords),
        StoreAction::Add => Change::Add(flags, keywords),
        StoreAction::Remove => Change::Remove(flags, keywords),
    };
    for step in steps(&uids) {
        let change = change.clone();
        let stored =
            session.write("imap.store", move |tx| entry::store_flags(tx, id, &step, &change, None)).await?;
        if store.silent {
            keep_silent(session.selected_mut()?, &stored);
        } else {
            tell(session, &stored.entries, store.by)?;
            session.selected_mut()?.has_told(&stored.entries);
        }
        session.wire.relieve().await?;
    }
    Ok(StatusResponse::completed(row))
}

/// The client knows what it changed, but not what others changed before it: the sync tells
/// the whole then.
fn keep_silent(selected: &mut Selected, stored: &Stored) {
    let known: Vec<&Entry> = stored
        .entries
        .iter()
        .zip(&stored.modseqs_before)
        .filter(|(entry, before)| selected.knows(entry.uid, **before))
        .map(|(entry, _)| entry)
        .collect();
    selected.has_told(known);
}

/// FETCH responses with the new flags.
fn tell(session: &mut Session<'_>, entries: &[Entry], by: By) -> Result<(), Failure> {
    let dialect = session.dialect;
    for entry in entries {
        let Some(uid) = Uid::new(entry.uid) else { continue };
        let Some(seq) = session.selected()?.view.seq(uid) else { continue };
        let mut line = FetchWriter::new(&mut session.wire.out, seq, dialect);
        if by == By::Uid {
            line.uid(uid);
        }
        line.flags(&flags_of(entry), false);
        line.finish();
    }
    Ok(())
}
