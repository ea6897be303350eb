//! Sparing SEARCH the messages that the search index knows not to satisfy.
//!
//! The index says of some emails that they may have a text; all that it does not list must
//! be read as if there were no index. What is left is judged on the messages themselves, so
//! an answer is the same with and without an index. If the index lacks any of the mailbox's
//! emails, its account is handed to the indexer.

use std::collections::HashMap;

use hikyaku_imap_proto::{Uid, UidSet};
use hikyaku_mailstore::search::{self, Query};
use hikyaku_mailstore::{MailboxId, entry};
use hikyaku_types::EmailId;

use crate::session::{Failure, Session};

/// So few messages are judged as fast as the index is asked.
const FEW: u64 = 16;

/// Places of emails that are read at once.
const READ_STEP: u16 = 900;

/// Those of the candidates that may satisfy a key of which `query` is what an index knows.
pub(crate) async fn narrow(
    session: &Session<'_>,
    mailbox: MailboxId,
    candidates: UidSet,
    query: Option<Query>,
) -> Result<UidSet, Failure> {
    let Some(query) = query.filter(Query::is_bounded) else { return Ok(candidates) };
    if candidates.len() <= FEW {
        return Ok(candidates);
    }
    let known = ask(session, &query).await?;
    let mut left = Vec::new();
    let mut is_behind = false;
    for (uid, email) in places(session, mailbox, &candidates).await? {
        let may = known.get(&email).copied();
        is_behind |= may.is_none();
        if may.unwrap_or(true) && candidates.contains(uid) {
            left.push(uid);
        }
    }
    if is_behind {
        session.services.search.want(session.account()?.home);
    }
    Ok(left.into_iter().collect())
}

/// The emails that the index lists, and whether each may be what is asked for.
async fn ask(session: &Session<'_>, query: &Query) -> Result<HashMap<EmailId, bool>, Failure> {
    let mut known = HashMap::new();
    for segment in session.read("imap.segments", search::segments).await? {
        let query = query.clone();
        let found = session.read("imap.ask", move |tx| search::ask(tx, segment, &query)).await?;
        known.extend(found);
    }
    Ok(known)
}

/// UIDs and emails from the first to the last of the candidates.
async fn places(
    session: &Session<'_>,
    mailbox: MailboxId,
    candidates: &UidSet,
) -> Result<Vec<(Uid, EmailId)>, Failure> {
    let (Some(first), Some(last)) = (candidates.first(), candidates.last()) else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    let mut after = first.get() - 1;
    while after < last.get() {
        let range = (after + 1, last.get());
        let step = session
            .read("imap.places", move |tx| entry::emails_within(tx, mailbox, range, READ_STEP))
            .await?;
        let Some((reached, _)) = step.last().copied() else { break };
        after = reached;
        all.extend(step.into_iter().filter_map(|(uid, email)| Some((Uid::new(uid)?, email))));
    }
    Ok(all)
}
