//! Which messages satisfy the key of SEARCH, SORT or THREAD.
//!
//! Standards: RFC 3501 section 6.4.4, RFC 5032 (WITHIN), RFC 5182 (`$`), RFC 7162 section
//! 3.1.5 (MODSEQ), RFC 8474 section 5.3 (EMAILID, THREADID), RFC 8514 section 4.3 (SAVEDATE).
//! A key is made a [`Test`], in which sets of messages are resolved once. A test is judged on
//! what is known of a message: first its entry, then when it arrived, then its content. What
//! is decided by less needs no more, and most messages are decided by their entries.
//! Texts are compared folded (`mime::fold`): without regard to case, width and kana. An
//! index only spares messages that cannot satisfy: see `narrow.rs`.

use std::collections::HashMap;
use std::sync::Arc;

use hikyaku_imap_proto::command::{DateKind, DateTest, EnvelopeField, SearchKey};
use hikyaku_imap_proto::response::StatusResponse;
use hikyaku_imap_proto::{By, Date, Flag, Messages, Uid, UidSet};
use hikyaku_mailstore::search::Query;
use hikyaku_mailstore::{Email, Entry, Flags, email};
use hikyaku_mime::fold::fold;
use hikyaku_mime::search::{self, MOST_TEXT, Place};
use hikyaku_types::{EmailId, ThreadId, Timestamp};

use crate::facts::{Message, Needs, assembled, content, work};
use crate::narrow::narrow;
use crate::selected::{Reader, Selected};
use crate::session::{Failure, Session};

/// Emails that are read together.
const READ_AHEAD: usize = 32;

/// A message that was found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hit {
    pub(crate) uid: Uid,
    pub(crate) modseq: i64,
    pub(crate) email: EmailId,
    pub(crate) size: u64,
}

/// What was found, by ascending UID.
pub(crate) struct Found {
    pub(crate) hits: Vec<Hit>,
    /// A message could not be read, and may be missing.
    pub(crate) is_damaged: bool,
}

/// Looks at every message of the open mailbox that may satisfy the key.
pub(crate) async fn find(session: &Session<'_>, key: &SearchKey) -> Result<Found, Failure> {
    let selected = session.selected()?;
    let test = Arc::new(Test::of(key, selected));
    let everything = selected.view.uids().difference(selected.view.gone());
    let candidates = test.bound().map_or(everything.clone(), |bound| everything.intersection(&bound));
    let candidates = narrow(session, selected.id, candidates, test.query()).await?;
    let now = session.services.clock.now();
    let mut reader = Reader::new(selected.id, candidates);
    let mut found = Found { hits: Vec::new(), is_damaged: false };
    while let Some(entries) = reader.step(session).await? {
        for entries in entries.chunks(READ_AHEAD) {
            let mut ahead = read_ahead(session, &test, entries, now).await;
            for entry in entries {
                match satisfies(session, &test, entry, now, ahead.remove(&entry.email)).await {
                    Ok(true) => found.hits.extend(hit(entry)),
                    Ok(false) => {}
                    Err(Failure::Answer(_)) => found.is_damaged = true,
                    Err(gone) => return Err(gone),
                }
            }
        }
    }
    Ok(found)
}

/// The emails of entries that do not decide the test by themselves, if it looks at contents.
/// Where one cannot be read there are none: then each is read alone.
async fn read_ahead(
    session: &Session<'_>,
    test: &Test,
    entries: &[Entry],
    now: Timestamp,
) -> HashMap<EmailId, Email> {
    if !test.needs(Needs::Content) {
        return HashMap::new();
    }
    let is_undecided = |entry: &&Entry| test.judge(&Facts::of(entry, now)).is_none();
    let ids: Vec<EmailId> = entries.iter().filter(is_undecided).map(|entry| entry.email).collect();
    let read = session.read("imap.emails", move |tx| email::emails(tx, &ids)).await;
    read.unwrap_or_default().into_iter().map(|email| (email.id, email)).collect()
}

fn hit(entry: &Entry) -> Option<Hit> {
    Some(Hit { uid: Uid::new(entry.uid)?, modseq: entry.modseq, email: entry.email, size: entry.size })
}

/// Reads no more of the message than is needed to judge it.
async fn satisfies(
    session: &Session<'_>,
    test: &Arc<Test>,
    entry: &Entry,
    now: Timestamp,
    ahead: Option<Email>,
) -> Result<bool, Failure> {
    let mut facts = Facts::of(entry, now);
    if let Some(verdict) = test.judge(&facts) {
        return Ok(verdict);
    }
    let id = entry.email;
    if let Some(email) = &ahead {
        facts.arrival = Some((email.received_at, email.thread));
    } else if test.needs(Needs::Arrival) {
        facts.arrival = session.read("imap.arrival", move |tx| email::arrival(tx, id)).await?;
    }
    if let Some(verdict) = test.judge(&facts) {
        return Ok(verdict);
    }
    // As it was read, and its texts as they are compared.
    let room = session.room(entry.size.saturating_mul(3)).await?;
    let read = match ahead {
        Some(email) => assembled(session, &email).await.map(|content| (email, content)),
        None => content(session, id).await,
    };
    match read {
        Ok((email, content)) => {
            facts.arrival = Some((email.received_at, email.thread));
            let test = Arc::clone(test);
            let judge = move || {
                let _room = room;
                facts.message = Some(Message::new(content));
                test.judge(&facts).unwrap_or(false)
            };
            work(usize::try_from(entry.size).unwrap_or(usize::MAX), judge).await
        }
        // Somebody expunged it meanwhile: it has no text. Anything else would be a wrong answer.
        Err(Failure::Answer(answer)) if answer == StatusResponse::expunge_issued() => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// What is known of one message so far.
struct Facts {
    entry: Entry,
    now: Timestamp,
    arrival: Option<(Timestamp, ThreadId)>,
    message: Option<Message>,
}

impl Facts {
    fn of(entry: &Entry, now: Timestamp) -> Self {
        Self { entry: entry.clone(), now, arrival: None, message: None }
    }
}

/// A key of SEARCH with its sets resolved.
enum Test {
    /// One of these messages.
    Among(UidSet),
    /// This text, folded, stands there.
    Text(Within, String),
    /// A key that names neither messages nor texts nor other keys.
    Key(SearchKey),
    Not(Box<Test>),
    Or(Box<Test>, Box<Test>),
    All(Vec<Test>),
}

/// Where a text is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Within {
    /// In header fields of this name.
    Field(String),
    Body,
    Anywhere,
}

impl Within {
    /// Where an index has what stands there.
    fn places(&self) -> Vec<Place> {
        match self {
            Self::Field(name) => vec![Place::of_field(name.as_bytes())],
            Self::Body => vec![Place::Body],
            Self::Anywhere => Place::ALL.to_vec(),
        }
    }
}

impl Test {
    fn of(key: &SearchKey, selected: &Selected) -> Self {
        match key {
            SearchKey::SeqNums(messages) => Self::Among(resolved(selected, messages, By::SeqNum)),
            SearchKey::Uids(messages) => Self::Among(resolved(selected, messages, By::Uid)),
            SearchKey::Not(inner) => Self::Not(Box::new(Self::of(inner, selected))),
            SearchKey::Or(one, other) => {
                Self::Or(Box::new(Self::of(one, selected)), Box::new(Self::of(other, selected)))
            }
            SearchKey::And(keys) => Self::All(keys.iter().map(|key| Self::of(key, selected)).collect()),
            SearchKey::Envelope(field, wanted) => {
                Self::text(Within::Field(field_name(*field).into()), wanted)
            }
            SearchKey::Header(name, wanted) => Self::text(Within::Field(name.as_str().into()), wanted),
            SearchKey::Body(wanted) => Self::text(Within::Body, wanted),
            SearchKey::Text(wanted) => Self::text(Within::Anywhere, wanted),
            key => Self::Key(key.clone()),
        }
    }

    fn text(within: Within, wanted: &[u8]) -> Self {
        Self::Text(within, fold(&String::from_utf8_lossy(wanted), MOST_TEXT))
    }

    /// The messages outside of which none satisfies; `None`: not known.
    fn bound(&self) -> Option<UidSet> {
        match self {
            Self::Among(uids) => Some(uids.clone()),
            Self::All(tests) => {
                tests.iter().filter_map(Self::bound).reduce(|one, other| one.intersection(&other))
            }
            _ => None,
        }
    }

    /// What an index can say: a message that does not satisfy it does not satisfy the test.
    fn query(&self) -> Option<Query> {
        match self {
            Self::Text(within, wanted) => Query::text(within.places(), wanted),
            Self::All(tests) => {
                let queries: Vec<Query> = tests.iter().filter_map(Self::query).collect();
                (!queries.is_empty()).then_some(Query::All(queries))
            }
            Self::Or(one, other) => Some(Query::Any(vec![one.query()?, other.query()?])),
            Self::Among(_) | Self::Key(_) | Self::Not(_) => None,
        }
    }

    /// Does any part of the test need this?
    fn needs(&self, what: Needs) -> bool {
        match self {
            Self::Among(_) => false,
            Self::Text(..) => what == Needs::Content,
            Self::Key(key) => needs(key) == what,
            Self::Not(inner) => inner.needs(what),
            Self::Or(one, other) => one.needs(what) || other.needs(what),
            Self::All(tests) => tests.iter().any(|test| test.needs(what)),
        }
    }

    /// `None` if the facts do not decide it.
    fn judge(&self, facts: &Facts) -> Option<bool> {
        match self {
            Self::Among(uids) => Some(Uid::new(facts.entry.uid).is_some_and(|uid| uids.contains(uid))),
            Self::Text(within, wanted) => facts.message.as_ref().map(|message| has(message, within, wanted)),
            Self::Key(key) => judge_key(key, facts),
            Self::Not(inner) => inner.judge(facts).map(|verdict| !verdict),
            Self::Or(one, other) => match one.judge(facts) {
                Some(true) => Some(true),
                Some(false) => other.judge(facts),
                None => other.judge(facts).filter(|verdict| *verdict),
            },
            Self::All(tests) => {
                let mut verdict = Some(true);
                for test in tests {
                    match test.judge(facts) {
                        Some(true) => {}
                        Some(false) => return Some(false),
                        None => verdict = None,
                    }
                }
                verdict
            }
        }
    }
}

/// The messages that a set or `$` names among the keys of SEARCH.
fn resolved(selected: &Selected, messages: &Messages, by: By) -> UidSet {
    match messages {
        Messages::Set(set) => selected.view.matching(set, by).uids,
        Messages::SavedResult => selected.saved(),
    }
}

fn needs(key: &SearchKey) -> Needs {
    match key {
        SearchKey::Date(DateKind::Sent, ..) => Needs::Content,
        SearchKey::Date(DateKind::Internal, ..)
        | SearchKey::Younger(_)
        | SearchKey::Older(_)
        | SearchKey::ThreadId(_) => Needs::Arrival,
        _ => Needs::Entry,
    }
}

fn judge_key(key: &SearchKey, facts: &Facts) -> Option<bool> {
    match needs(key) {
        Needs::Entry => Some(entry_has(&facts.entry, key)),
        Needs::Arrival => facts.arrival.map(|arrival| arrival_has(arrival, facts.now, key)),
        Needs::Content => facts.message.as_ref().map(|message| content_has(message, key)),
    }
}

fn entry_has(entry: &Entry, key: &SearchKey) -> bool {
    match key {
        SearchKey::HasFlag(flag) => has_flag(entry, flag),
        SearchKey::LacksFlag(flag) => !has_flag(entry, flag),
        SearchKey::Larger(size) => entry.size > *size,
        SearchKey::Smaller(size) => entry.size < *size,
        SearchKey::ModSeq(modseq) => entry.modseq.unsigned_abs() >= modseq.get(),
        SearchKey::EmailId(id) => *id == entry.email.to_string(),
        SearchKey::Date(DateKind::Saved, test, date) => compare(Date::of(entry.saved_at, 0), *test, *date),
        SearchKey::All | SearchKey::Old | SearchKey::SaveDateSupported => true,
        // Nothing is ever recent.
        _ => false,
    }
}

fn has_flag(entry: &Entry, flag: &Flag) -> bool {
    let bit = match flag {
        Flag::Answered => Flags::ANSWERED,
        Flag::Flagged => Flags::FLAGGED,
        Flag::Deleted => Flags::DELETED,
        Flag::Seen => Flags::SEEN,
        Flag::Draft => Flags::DRAFT,
        Flag::Keyword(keyword) => {
            return entry.keywords.iter().any(|word| word.eq_ignore_ascii_case(keyword.as_str()));
        }
    };
    entry.flags.has(bit)
}

fn arrival_has((received_at, thread): (Timestamp, ThreadId), now: Timestamp, key: &SearchKey) -> bool {
    let age = now.since(received_at).as_secs();
    match key {
        SearchKey::Date(_, test, date) => compare(Date::of(received_at, 0), *test, *date),
        SearchKey::Younger(seconds) => age <= u64::from(seconds.get()),
        SearchKey::Older(seconds) => age > u64::from(seconds.get()),
        SearchKey::ThreadId(id) => *id == thread.to_string(),
        _ => false,
    }
}

fn compare(day: Date, test: DateTest, wanted: Date) -> bool {
    let (day, wanted) = (day.day_number(), wanted.day_number());
    match test {
        DateTest::Before => day < wanted,
        DateTest::On => day == wanted,
        DateTest::Since => day >= wanted,
    }
}

fn content_has(message: &Message, key: &SearchKey) -> bool {
    match key {
        SearchKey::Date(DateKind::Sent, test, date) => {
            let sent = hikyaku_mime::Envelope::parse(message.header()).sent();
            sent.is_some_and(|sent| compare(Date::of(sent.at, sent.offset_minutes), *test, *date))
        }
        _ => false,
    }
}

fn field_name(field: EnvelopeField) -> &'static str {
    match field {
        EnvelopeField::Bcc => "Bcc",
        EnvelopeField::Cc => "Cc",
        EnvelopeField::From => "From",
        EnvelopeField::Subject => "Subject",
        EnvelopeField::To => "To",
    }
}

/// Is `wanted`, which is folded, part of a text there?
fn has(message: &Message, within: &Within, wanted: &str) -> bool {
    let header = message.header();
    let in_body = || search::body_text(&message.content, message.structure()).contains(wanted);
    match within {
        Within::Field(name) => header.all(name).any(|field| search::field_text(&field).contains(wanted)),
        Within::Body => in_body(),
        Within::Anywhere => {
            header.fields().any(|field| search::field_text(&field).contains(wanted)) || in_body()
        }
    }
}
