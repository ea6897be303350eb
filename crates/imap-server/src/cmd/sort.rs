//! SORT and THREAD: what SEARCH finds, in order or in threads.
//!
//! Standards: RFC 5256, RFC 5957 (DISPLAYFROM, DISPLAYTO), RFC 5267 section 3 (ESORT).
//! Text is compared without regard to case. Known weakness: but for ARRIVAL and SIZE each
//! message is read for its header.

use std::cmp::Ordering;

use hikyaku_imap_proto::command::{
    SearchKey, SearchReturn, Sort, SortCriterion, SortKey, Thread, ThreadAlgorithm,
};
use hikyaku_imap_proto::response::{self, ESort, StatusResponse};
use hikyaku_imap_proto::{By, Number, Tag, Uid};
use hikyaku_mailstore::email;
use hikyaku_mime::fields::Entry as Address;
use hikyaku_mime::thread::{Subject, base_subject, thread_ids};
use hikyaku_mime::{Envelope, Header};
use hikyaku_types::Timestamp;

use super::search::known_charset;
use crate::facts::content;
use crate::matching::{self, Found, Hit};
use crate::selected::mod_seq;
use crate::session::{Failure, Session};
use crate::threads::{self, Threaded};

/// Characters of a text that are compared.
const MOST_CHARS: usize = 200;

pub(super) async fn sort(session: &mut Session<'_>, tag: &Tag, sort: &Sort) -> Result<(), Failure> {
    let mut found = found(session, &sort.charset, &sort.key).await?;
    let mut keyed = Vec::with_capacity(found.hits.len());
    for hit in std::mem::take(&mut found.hits) {
        match values(session, &hit, &sort.criteria).await {
            Ok(values) => keyed.push((values, hit)),
            Err(Failure::Answer(answer)) => {
                found.is_damaged |= answer != StatusResponse::expunge_issued();
            }
            Err(gone) => return Err(gone),
        }
    }
    keyed.sort_by(|one, other| compare(&sort.criteria, one, other));
    let modseq = keyed.iter().map(|(_, hit)| hit.modseq).max().filter(|_| sort.key.names_modseq());
    let uids: Vec<Uid> = keyed.into_iter().map(|(_, hit)| hit.uid).collect();
    let answer = Answer { tag, by: sort.by, returns: sort.returns, modseq: modseq.and_then(mod_seq) };
    let view = &session.selected()?.view;
    let out = match sort.by {
        By::Uid => answer.print(&uids),
        By::SeqNum => answer.print(&uids.iter().filter_map(|uid| view.seq(*uid)).collect::<Vec<_>>()),
    };
    session.wire.out.extend(out);
    if sort.returns.is_some_and(|returns| returns.save) {
        session.selected_mut()?.save(uids.into_iter().collect());
    }
    complete(&found)
}

pub(super) async fn thread(session: &mut Session<'_>, thread: &Thread) -> Result<(), Failure> {
    let mut found = found(session, &thread.charset, &thread.key).await?;
    let mut messages = Vec::with_capacity(found.hits.len());
    for hit in std::mem::take(&mut found.hits) {
        match threaded(session, &hit).await {
            Ok(message) => messages.push(message),
            Err(Failure::Answer(answer)) => {
                found.is_damaged |= answer != StatusResponse::expunge_issued();
            }
            Err(gone) => return Err(gone),
        }
    }
    let out = match thread.by {
        By::Uid => print_threads(thread.algorithm, messages),
        By::SeqNum => {
            let view = &session.selected()?.view;
            let numbered = messages.into_iter().filter_map(|message| {
                let Threaded { number, sent, subject, id, references } = message;
                Some(Threaded { number: view.seq(number)?, sent, subject, id, references })
            });
            print_threads(thread.algorithm, numbered.collect())
        }
    };
    session.wire.out.extend(out);
    complete(&found)
}

async fn found(session: &Session<'_>, charset: &str, key: &SearchKey) -> Result<Found, Failure> {
    known_charset(Some(charset))?;
    matching::find(session, key).await
}

/// A message that could not be read is missing: that must not look like all.
fn complete(found: &Found) -> Result<(), Failure> {
    if found.is_damaged { Err(StatusResponse::unavailable().into()) } else { Ok(()) }
}

/// What a criterion compares.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Number(i64),
    Text(String),
}

async fn values(session: &Session<'_>, hit: &Hit, criteria: &[SortCriterion]) -> Result<Vec<Value>, Failure> {
    let id = hit.email;
    let size = Value::Number(i64::try_from(hit.size).unwrap_or(i64::MAX));
    if criteria.iter().all(|criterion| criterion.key == SortKey::Size) {
        return Ok(vec![size]);
    }
    if criteria.iter().all(|criterion| matches!(criterion.key, SortKey::Size | SortKey::Arrival)) {
        let arrival = session.read("imap.arrival", move |tx| email::arrival(tx, id)).await?;
        let (received_at, _) = arrival.ok_or_else(StatusResponse::expunge_issued)?;
        return Ok(criteria
            .iter()
            .map(|criterion| match criterion.key {
                SortKey::Size => Value::Number(i64::try_from(hit.size).unwrap_or(i64::MAX)),
                _ => Value::Number(received_at.as_millis()),
            })
            .collect());
    }
    let _room = session.room(hit.size.saturating_mul(2)).await?;
    let (email, content) = content(session, id).await?;
    let envelope = Envelope::parse(Header::of_content(&content));
    Ok(criteria.iter().map(|criterion| value(criterion.key, hit, email.received_at, &envelope)).collect())
}

fn value(key: SortKey, hit: &Hit, received_at: Timestamp, envelope: &Envelope<'_>) -> Value {
    match key {
        SortKey::Arrival => Value::Number(received_at.as_millis()),
        SortKey::Size => Value::Number(i64::try_from(hit.size).unwrap_or(i64::MAX)),
        SortKey::Date => Value::Number(sent(envelope, received_at).as_millis()),
        SortKey::Subject => text(&base_subject(&envelope.decoded_subject())),
        SortKey::From => text(&mailbox_of(&envelope.from)),
        SortKey::To => text(&mailbox_of(&envelope.to)),
        SortKey::Cc => text(&mailbox_of(&envelope.cc)),
        SortKey::DisplayFrom => text(&display_of(&envelope.from)),
        SortKey::DisplayTo => text(&display_of(&envelope.to)),
    }
}

/// RFC 5256 section 2.2: the Date field, or when the message was received.
fn sent(envelope: &Envelope<'_>, received_at: Timestamp) -> Timestamp {
    envelope.sent().map_or(received_at, |date| date.at)
}

fn text(text: &str) -> Value {
    Value::Text(text.chars().take(MOST_CHARS).collect::<String>().to_uppercase())
}

/// What ENVELOPE has as the mailbox of the first address; of a group that is its name.
fn mailbox_of(addresses: &[Address<'_>]) -> String {
    match addresses.first() {
        Some(Address::Mailbox(mailbox)) => String::from_utf8_lossy(&mailbox.local_part).into_owned(),
        Some(Address::GroupStart(name)) => String::from_utf8_lossy(name).into_owned(),
        Some(Address::GroupEnd) | None => String::new(),
    }
}

/// RFC 5957 section 3: the name of the first address, or else the address.
fn display_of(addresses: &[Address<'_>]) -> String {
    match addresses.first() {
        Some(Address::Mailbox(mailbox)) => {
            Some(mailbox.decoded_name()).filter(|name| !name.is_empty()).unwrap_or_else(|| mailbox.address())
        }
        Some(Address::GroupStart(name)) => hikyaku_mime::encoded_word::decode(name),
        Some(Address::GroupEnd) | None => String::new(),
    }
}

/// Messages that all criteria find equal are in the order of the mailbox, also with REVERSE.
fn compare(criteria: &[SortCriterion], one: &(Vec<Value>, Hit), other: &(Vec<Value>, Hit)) -> Ordering {
    let pairs = one.0.iter().zip(&other.0).zip(criteria);
    let ordering = pairs.map(|((one, other), criterion)| match criterion.reverse {
        false => one.cmp(other),
        true => other.cmp(one),
    });
    ordering.fold(Ordering::Equal, Ordering::then).then(one.1.uid.cmp(&other.1.uid))
}

struct Answer<'a> {
    tag: &'a Tag,
    by: By,
    returns: Option<SearchReturn>,
    modseq: Option<hikyaku_imap_proto::ModSeq>,
}

impl Answer<'_> {
    /// The response about these messages, in their order.
    fn print<N: Number>(&self, sorted: &[N]) -> Vec<u8> {
        let mut out = Vec::new();
        match self.returns {
            None => response::sort(&mut out, sorted.iter().copied(), self.modseq),
            Some(returns) => {
                ESort { tag: self.tag, by: self.by, returns, sorted, modseq: self.modseq }.print(&mut out);
            }
        }
        out
    }
}

async fn threaded(session: &Session<'_>, hit: &Hit) -> Result<Threaded<Uid>, Failure> {
    let _room = session.room(hit.size.saturating_mul(2)).await?;
    let (email, content) = content(session, hit.email).await?;
    let header = Header::of_content(&content);
    let envelope = Envelope::parse(header);
    let ids = thread_ids(header);
    Ok(Threaded {
        number: hit.uid,
        sent: sent(&envelope, email.received_at),
        subject: Subject::of(&envelope.decoded_subject()),
        id: ids.own,
        references: ids.parents,
    })
}

fn print_threads<N: Number>(algorithm: ThreadAlgorithm, messages: Vec<Threaded<N>>) -> Vec<u8> {
    let nodes = match algorithm {
        ThreadAlgorithm::OrderedSubject => threads::by_subject(messages),
        ThreadAlgorithm::References => threads::by_references(&messages),
    };
    let mut out = Vec::new();
    response::thread(&mut out, &nodes);
    out
}
