//! SEARCH: messages that satisfy a key.
//!
//! Standards: RFC 3501 section 6.4.4, RFC 4731 (ESEARCH), RFC 5182 (SAVE), RFC 7162 section
//! 3.1.5 (MODSEQ), RFC 9051 section 6.4.4 (ESEARCH is the answer of IMAP4rev2).

use hikyaku_imap_proto::command::{Search, SearchReturn};
use hikyaku_imap_proto::response::{self, ESearch, StatusResponse};
use hikyaku_imap_proto::{By, ModSeq, Number, NumberSet, Tag, Uid, UidSet};

use crate::matching::{self, Found, Hit};
use crate::selected::mod_seq;
use crate::session::{Failure, Session};

pub(super) async fn search(session: &mut Session<'_>, tag: &Tag, search: &Search) -> Result<(), Failure> {
    let returns = returns(session, search);
    let found = find(session, search).await;
    // Whatever fails, `$` is not what it was (RFC 5182 section 2.1).
    if returns.is_some_and(|returns| returns.save) {
        session.selected_mut()?.save(UidSet::new());
    }
    let found = found?;
    let told = told(&found.hits, returns);
    let modseq = told.iter().map(|hit| hit.modseq).max().filter(|_| search.key.names_modseq());
    let answer = Answer { tag, by: search.by, returns, modseq: modseq.and_then(mod_seq) };
    let view = &session.selected()?.view;
    let uids = found.hits.iter().map(|hit| hit.uid);
    let out = match search.by {
        By::Uid => answer.print(&uids.collect::<Vec<_>>()),
        By::SeqNum => answer.print(&uids.filter_map(|uid| view.seq(uid)).collect::<Vec<_>>()),
    };
    session.wire.out.extend(out);
    // A message that could not be read may be missing: that must not look like all.
    if found.is_damaged {
        return Err(StatusResponse::unavailable().into());
    }
    if returns.is_some_and(|returns| returns.save) {
        let uids: Vec<Uid> = told.iter().map(|hit| hit.uid).collect();
        session.selected_mut()?.save(uids.into_iter().collect());
    }
    Ok(())
}

async fn find(session: &Session<'_>, search: &Search) -> Result<Found, Failure> {
    known_charset(search.charset.as_deref())?;
    matching::find(session, &search.key).await
}

/// Strings are taken as UTF-8, of which US-ASCII is a part.
pub(super) fn known_charset(charset: Option<&str>) -> Result<(), Failure> {
    let known = ["US-ASCII", "UTF-8"];
    match charset {
        Some(charset) if !known.iter().any(|name| charset.eq_ignore_ascii_case(name)) => {
            Err(StatusResponse::bad_charset().into())
        }
        _ => Ok(()),
    }
}

/// What to answer with: IMAP4rev2 has no SEARCH response.
fn returns(session: &Session<'_>, search: &Search) -> Option<SearchReturn> {
    let all = SearchReturn { all: true, ..SearchReturn::default() };
    search.returns.or(session.enabled.rev2.then_some(all))
}

/// Those of the found that the answer is about, for MODSEQ and SAVE: where only MIN or MAX is
/// asked for, no others (RFC 4731 section 3.2, RFC 5182 section 2.2).
fn told(found: &[Hit], returns: Option<SearchReturn>) -> Vec<Hit> {
    match returns {
        Some(SearchReturn { all: false, count: false, min, max, .. }) if min || max => {
            let first = found.first().filter(|_| min);
            let last = found.last().filter(|_| max);
            first.into_iter().chain(last).copied().collect()
        }
        _ => found.to_vec(),
    }
}

struct Answer<'a> {
    tag: &'a Tag,
    by: By,
    returns: Option<SearchReturn>,
    modseq: Option<ModSeq>,
}

impl Answer<'_> {
    /// The response about these messages, ascending.
    fn print<N: Number>(&self, found: &[N]) -> Vec<u8> {
        let mut out = Vec::new();
        match self.returns {
            None => response::search(&mut out, found.iter().copied(), self.modseq),
            // RFC 5182 section 2.1: who only saves is told nothing.
            Some(SearchReturn { save: true, min: false, max: false, all: false, count: false }) => {}
            Some(SearchReturn { min, max, all, count, .. }) => {
                let set = NumberSet::from_ranges(found.iter().map(|number| (*number, *number)));
                ESearch {
                    tag: self.tag,
                    by: self.by,
                    min: set.first().filter(|_| min),
                    max: set.last().filter(|_| max),
                    count: count.then_some(set.len()),
                    all: all.then_some(&set),
                    modseq: self.modseq,
                }
                .print(&mut out);
            }
        }
        out
    }
}
