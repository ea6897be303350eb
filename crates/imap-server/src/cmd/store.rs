//! STORE: flags change.
//!
//! Standards: RFC 3501 section 6.4.6, RFC 7162 section 3.1.3 (UNCHANGEDSINCE).

use hikyaku_imap_proto::command::{By, Store, StoreAction};
use hikyaku_imap_proto::response::{FetchWriter, StatusResponse};
use hikyaku_imap_proto::table::Row;
use hikyaku_imap_proto::{Uid, UidSet};
use hikyaku_mailstore::entry::Stored;
use hikyaku_mailstore::{Change, Entry, entry};

use super::resolve;
use crate::selected::{Selected, flags_of, mod_seq, steps_of, to_store};
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
    let since = store.unchanged_since.map(|since| i64::try_from(since.get()).unwrap_or(i64::MAX));
    let mut modified = Vec::new();
    for step in steps_of(&uids, entry::FLAGS_STEP) {
        let change = change.clone();
        let stored =
            session.write("imap.store", move |tx| entry::store_flags(tx, id, &step, &change, since)).await?;
        tell(session, &stored.entries, store)?;
        if store.silent {
            keep_silent(session.selected_mut()?, &stored);
        } else {
            session.selected_mut()?.has_told(&stored.entries);
        }
        modified.extend(stored.modified.into_iter().filter_map(Uid::new));
        session.wire.relieve().await?;
    }
    answer(session, row, store.by, modified.into_iter().collect())
}

/// OK, with those that UNCHANGEDSINCE left alone.
fn answer(session: &Session<'_>, row: &'static Row, by: By, modified: UidSet) -> Outcome {
    if modified.is_empty() {
        return Ok(StatusResponse::completed(row));
    }
    Ok(match by {
        By::Uid => StatusResponse::modified_uids(modified),
        By::SeqNum => StatusResponse::modified_seqs(session.selected()?.view.seqs(&modified)),
    })
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

/// FETCH responses with the new flags. Who asked for silence is told the mod-sequences all
/// the same, once CONDSTORE is on.
fn tell(session: &mut Session<'_>, entries: &[Entry], store: &Store) -> Result<(), Failure> {
    let (dialect, enabled) = (session.dialect, session.enabled);
    let out = &mut session.wire.out;
    let Some(selected) = &mut session.selected else { return Ok(()) };
    selected.tell_keywords(out, entries);
    if store.silent && !enabled.condstore {
        return Ok(());
    }
    for entry in entries {
        let Some(uid) = Uid::new(entry.uid) else { continue };
        let Some(seq) = selected.view.seq(uid) else { continue };
        let mut line = FetchWriter::new(out, seq, dialect);
        if store.by == By::Uid || enabled.tells_uids() {
            line.uid(uid);
        }
        if !store.silent {
            line.flags(&flags_of(entry), false);
        }
        if let Some(modseq) = mod_seq(entry.modseq).filter(|_| enabled.condstore) {
            line.modseq(modseq);
        }
        line.finish();
    }
    Ok(())
}
