//! FETCH: what clients see of messages.
//!
//! Standards: RFC 3501 section 6.4.5, RFC 8474 (EMAILID, THREADID), RFC 8514 (SAVEDATE),
//! RFC 8970 (PREVIEW), RFC 7162 (MODSEQ, CHANGEDSINCE, VANISHED). RFC 3516
//! (BINARY).

use std::collections::VecDeque;

use hikyaku_imap_proto::command::{By, Fetch, FetchAtt};
use hikyaku_imap_proto::response::{self, FetchWriter, StatusResponse};
use hikyaku_imap_proto::table::{Reason, Row};
use hikyaku_imap_proto::{DateTime, Messages, Uid, UidSet};
use hikyaku_mailstore::{Change, Entry, Flags, Keywords, email, entry};
use hikyaku_mime::text::preview;
use hikyaku_types::{ThreadId, Timestamp};

use super::resolve;
use crate::batches::{Batches, Depth};
use crate::facts::{Message, UnknownEncoding, needs_structure};
use crate::history::{self, Since};
use crate::packs::{Listed, Packs};
use crate::selected::{Reader, flags_of, mod_seq};
use crate::session::{Failure, Outcome, Session};

/// What of a message must be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wants {
    /// The entry tells it.
    Entry,
    /// Its email's row.
    Arrival,
    /// What a pack has of it, if there is one.
    Listing,
    /// The message itself.
    Content,
}

fn wants(att: &FetchAtt) -> Wants {
    match att {
        FetchAtt::Uid
        | FetchAtt::Flags
        | FetchAtt::Rfc822Size
        | FetchAtt::ModSeq
        | FetchAtt::EmailId
        | FetchAtt::SaveDate => Wants::Entry,
        FetchAtt::InternalDate | FetchAtt::ThreadId => Wants::Arrival,
        FetchAtt::Envelope | FetchAtt::Body | FetchAtt::BodyStructure | FetchAtt::Preview { .. } => {
            Wants::Listing
        }
        _ => Wants::Content,
    }
}

pub(super) async fn fetch(session: &mut Session<'_>, row: &'static Row, fetch: &Fetch) -> Outcome {
    let uids = changed(session, fetch).await?;
    let fetch = &with_modseq(fetch);
    let selected = session.selected()?;
    let (id, read_only) = (selected.id, selected.read_only);
    let wants = fetch.atts.iter().map(wants).max().unwrap_or(Wants::Entry);
    let sees = !read_only && fetch.atts.iter().any(FetchAtt::sets_seen);
    let mut failure = None;
    let (mut reader, mut packs) = (Reader::new(id, uids), Packs::new(id));
    while let Some(entries) = reader.step(session).await? {
        let mut seen = Vec::new();
        let mut step = Step::of(session, &mut packs, &entries, fetch, wants).await?;
        for entry in entries {
            match step.read(session, &entry).await {
                Ok(found) => {
                    let becomes_seen = sees && !entry.flags.has(Flags::SEEN);
                    let flags = if becomes_seen { entry.flags.with(Flags::SEEN) } else { entry.flags };
                    let now = Entry { flags, ..entry };
                    match tell(session, fetch, &now, &found, becomes_seen)? {
                        Told::Whole => seen.extend(becomes_seen.then_some(now)),
                        Told::WithoutUnknown => failure = Some(StatusResponse::unknown_cte()),
                    }
                }
                // One message that cannot be read must not hide the others. One that somebody
                // expunged meanwhile is told as gone by the sync.
                Err(Failure::Answer(answer)) if answer == StatusResponse::expunge_issued() => {}
                Err(Failure::Answer(answer)) => failure = Some(answer),
                Err(gone) => return Err(gone),
            }
            session.wire.relieve().await?;
        }
        for seen in seen.chunks(usize::from(entry::FLAGS_STEP)) {
            mark_seen(session, seen).await?;
        }
    }
    packs.finish(session)?;
    match failure {
        Some(failure) => Err(failure.into()),
        None => Ok(StatusResponse::completed(row)),
    }
}

/// The messages that are asked for. With CHANGEDSINCE, only those that changed; those that
/// vanished are told.
async fn changed(session: &mut Session<'_>, fetch: &Fetch) -> Result<UidSet, Failure> {
    let uids = resolve(session, &fetch.messages, fetch.by)?;
    let Some(since) = fetch.modifiers.changed_since else { return Ok(uids) };
    if fetch.modifiers.vanished {
        if !session.enabled.qresync {
            return Err(StatusResponse::bad(&Reason::NotEnabled).into());
        }
        let since = Since { modseq: since, seq_match: None };
        let among = named(session, &fetch.messages)?;
        let vanished = history::vanished(session, since, &among).await?;
        response::vanished(&mut session.wire.out, true, &vanished);
    }
    Ok(uids.intersection(&history::changed(session, since).await?))
}

/// All UIDs that a set names, whether there are such messages or not.
fn named(session: &Session<'_>, messages: &Messages) -> Result<UidSet, Failure> {
    let given = history::given(session.selected()?);
    match messages {
        Messages::Set(set) => Ok(set.resolve(given.last()).intersection(&given)),
        Messages::SavedResult => resolve(session, messages, By::Uid),
    }
}

/// CHANGEDSINCE asks for MODSEQ, too (RFC 7162 section 3.1.4.1).
fn with_modseq(fetch: &Fetch) -> Fetch {
    let mut fetch = fetch.clone();
    if fetch.modifiers.changed_since.is_some() && !fetch.atts.contains(&FetchAtt::ModSeq) {
        fetch.atts.push(FetchAtt::ModSeq);
    }
    fetch
}

/// What was read of one message.
#[derive(Default)]
struct Found {
    arrival: Option<(Timestamp, ThreadId)>,
    listed: Option<Listed>,
    message: Option<Message>,
}

/// How the messages of some entries are read.
struct Step {
    wants: Wants,
    /// What packs have of each of them.
    listed: VecDeque<Option<Listed>>,
    /// Those of which nothing smaller is enough.
    batches: Batches,
}

impl Step {
    async fn of(
        session: &Session<'_>,
        packs: &mut Packs,
        entries: &[Entry],
        fetch: &Fetch,
        most: Wants,
    ) -> Result<Self, Failure> {
        let mut listed = VecDeque::new();
        if most == Wants::Listing {
            for entry in entries {
                listed.push_back(packs.find(session, entry.uid).await?);
            }
        }
        let is_whole = |at: usize| match most {
            Wants::Entry | Wants::Arrival => false,
            Wants::Listing => listed.get(at).is_some_and(Option::is_none),
            Wants::Content => true,
        };
        let whole = entries.iter().enumerate().filter(|(at, _)| is_whole(*at)).map(|(_, entry)| entry);
        let is_deep = |att: &FetchAtt| wants(att) > Wants::Arrival && needs_structure(att);
        let depth = if fetch.atts.iter().any(is_deep) { Depth::Structure } else { Depth::Bytes };
        Ok(Self { wants: most, batches: Batches::new(whole, depth, copies(fetch)), listed })
    }

    /// What is told of the next of the entries, which is this one.
    async fn read(&mut self, session: &Session<'_>, entry: &Entry) -> Result<Found, Failure> {
        let id = entry.email;
        if self.wants == Wants::Entry {
            return Ok(Found::default());
        }
        if self.wants == Wants::Arrival {
            let arrival = session.read("imap.arrival", move |tx| email::arrival(tx, id)).await?;
            return Ok(Found { arrival, ..Found::default() });
        }
        if let Some(listed) = self.listed.pop_front().flatten() {
            return Ok(Found { arrival: Some(listed.arrival), listed: Some(listed), ..Found::default() });
        }
        let (arrival, message) = self.batches.next(session, id).await?;
        Ok(Found { arrival: Some(arrival), message: Some(message), ..Found::default() })
    }
}

/// How often a message is in memory while it is told: as it was read, and as it is printed,
/// which is up to twice its size for several parts (see [`asks_too_much`]).
fn copies(fetch: &Fetch) -> u64 {
    let is_part = |att: &&FetchAtt| wants(att) == Wants::Content;
    if fetch.atts.iter().filter(is_part).count() > 1 { 3 } else { 2 }
}

/// How a message was told.
enum Told {
    Whole,
    /// Without a part whose transfer encoding is not known.
    WithoutUnknown,
}

fn tell(
    session: &mut Session<'_>,
    fetch: &Fetch,
    entry: &Entry,
    found: &Found,
    becomes_seen: bool,
) -> Result<Told, Failure> {
    let (Some(uid), dialect) = (Uid::new(entry.uid), session.dialect) else { return Ok(Told::Whole) };
    let Some(seq) = session.selected()?.view.seq(uid) else { return Ok(Told::Whole) };
    if asks_too_much(fetch, found) {
        return Err(StatusResponse::limit().into());
    }
    let mut line = FetchWriter::new(&mut session.wire.out, seq, dialect);
    if fetch.by == By::Uid && !fetch.atts.contains(&FetchAtt::Uid) {
        line.uid(uid);
    }
    if becomes_seen && !fetch.atts.contains(&FetchAtt::Flags) {
        line.flags(&flags_of(entry), false);
    }
    let mut told = Told::Whole;
    for (at, att) in fetch.atts.iter().enumerate() {
        // What is asked twice is answered once.
        if fetch.atts.iter().position(|same| same == att) != Some(at) {
            continue;
        }
        if item(&mut line, att, uid, entry, found).is_err() {
            told = Told::WithoutUnknown;
        }
    }
    line.finish();
    Ok(told)
}

/// Many overlapping parts of one message: the answer would be far larger than the message.
fn asks_too_much(fetch: &Fetch, found: &Found) -> bool {
    let Some(message) = &found.message else { return false };
    let sections = fetch.atts.iter().filter(|att| att.content_section().is_some());
    // One is no longer than the message.
    let asked: usize = match sections.clone().count() {
        0 | 1 => message.content.len(),
        _ => sections.filter_map(|att| message.section(att)).map(|bytes| bytes.len()).sum(),
    };
    // Decoded parts are no longer than the message.
    let is_decoded = |att: &&FetchAtt| matches!(att, FetchAtt::Binary { .. } | FetchAtt::BinarySize { .. });
    let decoded = fetch.atts.iter().filter(is_decoded).count().saturating_sub(1) * message.content.len() / 8;
    asked + decoded > 2 * message.content.len() + (64 << 10)
}

fn item(
    line: &mut FetchWriter<'_>,
    att: &FetchAtt,
    uid: Uid,
    entry: &Entry,
    found: &Found,
) -> Result<(), UnknownEncoding> {
    if found.listed.as_ref().is_some_and(|listed| listed.tell(line, att)) {
        return Ok(());
    }
    match (att, &found.arrival, &found.message) {
        (FetchAtt::Uid, ..) => line.uid(uid),
        (FetchAtt::Flags, ..) => line.flags(&flags_of(entry), false),
        (FetchAtt::Rfc822Size, ..) => line.rfc822_size(entry.size),
        (FetchAtt::ModSeq, ..) => {
            if let Some(modseq) = mod_seq(entry.modseq) {
                line.modseq(modseq);
            }
        }
        (FetchAtt::EmailId, ..) => line.email_id(&entry.email.to_string()),
        (FetchAtt::SaveDate, ..) => line.save_date(Some(&DateTime::utc(entry.saved_at))),
        (FetchAtt::InternalDate, Some((received_at, _)), _) => {
            line.internal_date(&DateTime::utc(*received_at));
        }
        (FetchAtt::ThreadId, Some((_, thread)), _) => line.thread_id(Some(&thread.to_string())),
        (FetchAtt::Envelope, _, Some(message)) => line.envelope(&message.envelope()),
        (FetchAtt::Body, _, Some(message)) => line.body(&message.body_structure()),
        (FetchAtt::BodyStructure, _, Some(message)) => line.body_structure(&message.body_structure()),
        (FetchAtt::Preview { .. }, _, Some(message)) => {
            line.preview(Some(&preview(&message.content, message.structure())));
        }
        (FetchAtt::Binary { part, partial, .. }, _, Some(message)) => {
            line.content(att, message.binary(part, *partial)?.as_deref());
        }
        (FetchAtt::BinarySize { part }, _, Some(message)) => {
            let decoded = message.binary(part, None)?;
            line.binary_size(part, decoded.map_or(0, |bytes| bytes.len() as u64));
        }
        (att, _, Some(message)) => line.content(att, message.section(att).as_deref()),
        _ => {}
    }
    Ok(())
}

/// Sets \Seen on messages that were told with it.
async fn mark_seen(session: &mut Session<'_>, told: &[Entry]) -> Result<(), Failure> {
    if told.is_empty() {
        return Ok(());
    }
    let uids: Vec<u32> = told.iter().map(|entry| entry.uid).collect();
    let id = session.selected()?.id;
    let change = Change::Add(Flags::SEEN, Keywords::default());
    let stored =
        session.write("imap.seen", move |tx| entry::store_flags(tx, id, &uids, &change, None)).await?;
    // Its new mod-sequence is told by the sync.
    if session.enabled.condstore {
        return Ok(());
    }
    // What somebody else changed since the entry was read is told by the sync.
    let as_told = |stored: &&Entry| {
        told.iter().any(|told| {
            told.uid == stored.uid && (told.flags, &told.keywords) == (stored.flags, &stored.keywords)
        })
    };
    session.selected_mut()?.has_told(stored.entries.iter().filter(as_told));
    Ok(())
}
