//! SEARCH: messages that satisfy a key.
//!
//! Standards: RFC 3501 section 6.4.4, RFC 4731 (RETURN, though ESEARCH is not announced),
//! RFC 7162 section 3.1.5 (MODSEQ).
//! Texts are compared decoded and without regard to case. Nothing is indexed: a key that
//! needs the content reads it, after all cheaper keys have had their say.

use hikyaku_imap_proto::command::{DateKind, DateTest, EnvelopeField, Search, SearchKey, SearchReturn};
use hikyaku_imap_proto::response::{self, ESearch, StatusResponse};
use hikyaku_imap_proto::{By, Date, Flag, Messages, ModSeq, NumberSet, SeqNum, Tag, Uid, View};
use hikyaku_mailstore::{Entry, Flags, email, entry};
use hikyaku_mime::{encoded_word, text};
use hikyaku_types::Timestamp;

use super::fetch::content;
use crate::facts::Message;
use crate::selected::{mod_seq, steps};
use crate::session::{Failure, Session};

/// Octets of a message's text that are looked at.
const MOST_TEXT: usize = 4 << 20;

pub(super) async fn search(session: &mut Session<'_>, tag: &Tag, search: &Search) -> Result<(), Failure> {
    let known = ["US-ASCII", "UTF-8"];
    if search
        .charset
        .as_ref()
        .is_some_and(|charset| !known.iter().any(|name| charset.eq_ignore_ascii_case(name)))
    {
        return Err(StatusResponse::bad_charset().into());
    }
    let (id, everything) = {
        let selected = session.selected()?;
        (selected.id, selected.view.uids().difference(selected.view.gone()))
    };
    let now = session.services.clock.now();
    let mut found = Vec::new();
    let mut is_damaged = false;
    for step in steps(&everything) {
        let entries = session.read("imap.search", move |tx| entry::find_entries(tx, id, &step)).await?;
        for entry in entries {
            match Candidate::new(session, &entry, now)?.satisfies(&search.key).await {
                Ok(true) => found.extend(Uid::new(entry.uid).map(|uid| (uid, entry.modseq))),
                Ok(false) => {}
                Err(Failure::Answer(_)) => is_damaged = true,
                Err(gone) => return Err(gone),
            }
        }
    }
    let view = &session.selected()?.view;
    let modseq = highest_modseq(search, &found);
    let uids = found.iter().map(|(uid, _)| *uid);
    let answer = match search.by {
        By::Uid => answer(tag, search, &uids.collect::<Vec<Uid>>(), modseq),
        By::SeqNum => {
            answer(tag, search, &uids.filter_map(|uid| view.seq(uid)).collect::<Vec<SeqNum>>(), modseq)
        }
    };
    session.wire.out.extend(answer);
    // A message that could not be read may be missing: that must not look like all.
    if is_damaged { Err(StatusResponse::unavailable().into()) } else { Ok(()) }
}

/// The highest mod-sequence of what is told, if MODSEQ was among the keys. Where only MIN or
/// MAX is asked for, no other messages are told (RFC 4731 section 3.2).
fn highest_modseq(search: &Search, found: &[(Uid, i64)]) -> Option<ModSeq> {
    if !search.key.names_modseq() {
        return None;
    }
    let ends = [
        found.first().filter(|_| search.returns.is_some_and(|returns| returns.min)),
        found.last().filter(|_| search.returns.is_some_and(|returns| returns.max)),
    ];
    let ends = ends.into_iter().flatten();
    let highest = match search.returns {
        Some(SearchReturn { all: false, count: false, min, max, .. }) if min || max => {
            ends.map(|(_, modseq)| *modseq).max()
        }
        _ => found.iter().map(|(_, modseq)| *modseq).max(),
    };
    highest.and_then(mod_seq)
}

fn answer<N: hikyaku_imap_proto::Number>(
    tag: &Tag,
    search: &Search,
    found: &[N],
    modseq: Option<ModSeq>,
) -> Vec<u8> {
    let mut out = Vec::new();
    match &search.returns {
        None => response::search(&mut out, found.iter().copied(), modseq),
        Some(SearchReturn { min, max, all, count, .. }) => {
            let set = NumberSet::from_ranges(found.iter().map(|number| (*number, *number)));
            ESearch {
                tag,
                by: search.by,
                min: set.first().filter(|_| *min),
                max: set.last().filter(|_| *max),
                count: count.then_some(set.len()),
                all: all.then_some(&set),
                modseq,
            }
            .print(&mut out);
        }
    }
    out
}

/// A message that is looked at, with what was read of it so far.
struct Candidate<'c, 's> {
    session: &'c Session<'s>,
    view: &'c View,
    entry: &'c Entry,
    now: Timestamp,
    received_at: Option<Timestamp>,
    message: Option<Message>,
}

impl<'c, 's> Candidate<'c, 's> {
    fn new(session: &'c Session<'s>, entry: &'c Entry, now: Timestamp) -> Result<Self, Failure> {
        let view = &session.selected()?.view;
        Ok(Self { session, view, entry, now, received_at: None, message: None })
    }

    async fn satisfies(&mut self, key: &SearchKey) -> Result<bool, Failure> {
        Ok(match key {
            SearchKey::Not(inner) => !Box::pin(self.satisfies(inner)).await?,
            SearchKey::Or(one, other) => {
                Box::pin(self.satisfies(one)).await? || Box::pin(self.satisfies(other)).await?
            }
            SearchKey::And(keys) => {
                // What costs nothing first.
                let (cheap, dear): (Vec<_>, Vec<_>) = keys.iter().partition(|key| !needs_content(key));
                for key in cheap.into_iter().chain(dear) {
                    if !Box::pin(self.satisfies(key)).await? {
                        return Ok(false);
                    }
                }
                true
            }
            SearchKey::Date(DateKind::Internal, test, date) => {
                compare(Date::of(self.received_at().await?, 0), *test, *date)
            }
            SearchKey::Date(DateKind::Saved, test, date) => {
                compare(Date::of(self.entry.saved_at, 0), *test, *date)
            }
            SearchKey::Younger(seconds) => self.age().await? <= u64::from(seconds.get()),
            SearchKey::Older(seconds) => self.age().await? > u64::from(seconds.get()),
            key if needs_content(key) => {
                self.read().await?;
                self.message.as_ref().is_some_and(|message| content_has(message, key))
            }
            key => self.entry_has(key),
        })
    }

    fn entry_has(&self, key: &SearchKey) -> bool {
        match key {
            SearchKey::HasFlag(flag) => has_flag(self.entry, flag),
            SearchKey::LacksFlag(flag) => !has_flag(self.entry, flag),
            SearchKey::Larger(size) => self.entry.size > *size,
            SearchKey::Smaller(size) => self.entry.size < *size,
            SearchKey::SeqNums(messages) => self.is_among(messages, By::SeqNum),
            SearchKey::Uids(messages) => self.is_among(messages, By::Uid),
            SearchKey::ModSeq(modseq) => self.entry.modseq.unsigned_abs() >= modseq.get(),
            SearchKey::EmailId(id) => *id == self.entry.email.to_string(),
            SearchKey::All | SearchKey::Old | SearchKey::SaveDateSupported => true,
            // Nothing is ever recent.
            _ => false,
        }
    }

    fn is_among(&self, messages: &Messages, by: By) -> bool {
        let Messages::Set(set) = messages else { return false };
        Uid::new(self.entry.uid).is_some_and(|uid| self.view.matching(set, by).uids.contains(uid))
    }

    async fn received_at(&mut self) -> Result<Timestamp, Failure> {
        if let Some(at) = self.received_at {
            return Ok(at);
        }
        let id = self.entry.email;
        let found = self.session.read("imap.arrival", move |tx| email::arrival(tx, id)).await?;
        let at = found.map_or(self.entry.saved_at, |(at, _)| at);
        self.received_at = Some(at);
        Ok(at)
    }

    /// Seconds since it was received.
    async fn age(&mut self) -> Result<u64, Failure> {
        Ok(self.now.since(self.received_at().await?).as_secs())
    }

    async fn read(&mut self) -> Result<(), Failure> {
        if self.message.is_some() {
            return Ok(());
        }
        match content(self.session, self.entry.email).await {
            Ok((email, content)) => {
                self.received_at = Some(email.received_at);
                self.message = Some(Message::new(content));
                Ok(())
            }
            // Somebody expunged it meanwhile: it has no text. Anything else would be a wrong answer.
            Err(Failure::Answer(answer)) if answer == StatusResponse::expunge_issued() => Ok(()),
            Err(Failure::Answer(answer)) => Err(answer.into()),
            Err(gone) => Err(gone),
        }
    }
}

fn needs_content(key: &SearchKey) -> bool {
    match key {
        SearchKey::Envelope(..)
        | SearchKey::Header(..)
        | SearchKey::Body(_)
        | SearchKey::Text(_)
        | SearchKey::Date(DateKind::Sent, ..) => true,
        SearchKey::Not(inner) => needs_content(inner),
        SearchKey::Or(one, other) => needs_content(one) || needs_content(other),
        SearchKey::And(keys) => keys.iter().any(needs_content),
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
        SearchKey::Envelope(field, wanted) => {
            let name = match field {
                EnvelopeField::Bcc => "Bcc",
                EnvelopeField::Cc => "Cc",
                EnvelopeField::From => "From",
                EnvelopeField::Subject => "Subject",
                EnvelopeField::To => "To",
            };
            header_has(message, name, wanted)
        }
        SearchKey::Header(name, wanted) => header_has(message, name.as_str(), wanted),
        SearchKey::Body(wanted) => has(&body(message), wanted),
        SearchKey::Text(wanted) => {
            has(&body(message), wanted)
                || message.header().fields().any(|field| has(&encoded_word::decode(field.value), wanted))
        }
        SearchKey::Date(DateKind::Sent, test, date) => {
            let sent = hikyaku_mime::Envelope::parse(message.header()).sent();
            sent.is_some_and(|sent| compare(Date::of(sent.at, sent.offset_minutes), *test, *date))
        }
        _ => false,
    }
}

fn body(message: &Message) -> String {
    text::readable(&message.content, &message.structure, MOST_TEXT)
}

fn header_has(message: &Message, name: &str, wanted: &[u8]) -> bool {
    message.header().all(name).any(|field| has(&encoded_word::decode(field.value), wanted))
}

/// Is `wanted` part of `text`, without regard to case?
fn has(text: &str, wanted: &[u8]) -> bool {
    let wanted = String::from_utf8_lossy(wanted).to_lowercase();
    text.to_lowercase().contains(&wanted)
}
