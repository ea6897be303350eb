//! DATA and BDAT: content comes in, and is committed or refused.
//!
//! Standards: RFC 5321 section 4.1.1.4 (DATA), RFC 3030 section 2 (BDAT), RFC 2033 section
//! 4.2 (LMTP: one reply for each recipient).
//! Invariant: refused content is read to its end, but not without end: a client that sends
//! far more than it may is cut off.

use super::{
    Answer, Client, Effect, Effects, Envelope, Greeting, Pending, Session, State, Transaction, final_reply,
    one_reply,
};
use crate::command::{Bdat, Body};
use crate::content::{Collector, ContentRules, DataDecoder, Defect, LineEnds};
use crate::framer::Framer;
use crate::reply::Reply;
use crate::trace_header::Protocol;

/// Content that comes in chunks, between two of them.
#[derive(Debug)]
pub(crate) struct Chunks {
    pub(super) client: Client,
    transaction: Transaction,
    collector: Collector,
}

/// A chunk that is coming in.
#[derive(Debug)]
pub(crate) struct Chunk {
    chunks: Chunks,
    announced: Bdat,
    /// Octets still to come.
    left: u64,
}

impl Session {
    /// RFC 5321 section 4.1.1.4.
    pub(crate) fn data(&mut self, client: Client, transaction: Transaction) -> Effects {
        if let Some(reply) = no_recipients(&client, &transaction) {
            return self.mistake_in(State::Transaction(client, transaction), reply);
        }
        if transaction.params.body == Some(Body::BinaryMime) {
            // RFC 3030 section 3.
            let reply = Reply::not_now("BINARYMIME needs BDAT");
            return self.mistake_in(State::Transaction(client, transaction), reply);
        }
        self.holds_content = true;
        let decoder = DataDecoder::new(self.content_rules(&transaction));
        self.reply_in(State::Data { client, transaction, decoder, octets: 0 }, Reply::start_content())
    }

    /// Bytes after 354.
    pub(super) fn content(&mut self, framer: &mut Framer, content: &mut Vec<u8>) -> Option<Effects> {
        let most = self.most_octets();
        let State::Data { decoder, octets, .. } = &mut self.state else { return None };
        let input = at_most(framer.pending(), most.saturating_sub(*octets));
        let used = decoder.decode(input, content);
        framer.consume(used);
        *octets = octets.saturating_add(used as u64);
        let is_complete = decoder.is_complete();
        let is_endless = *octets >= most && !is_complete;

        let is_refused = decoder.collector().defect().is_some();
        let mut effects = Effects::new();
        if is_refused {
            effects.extend(self.discard());
        }
        if is_endless {
            effects.extend(self.close(Reply::content_too_large()));
        } else if is_complete && let State::Data { client, transaction, decoder, .. } = self.take_state() {
            effects.extend(self.conclude(client, transaction, decoder.collector()));
        }
        (!effects.is_empty()).then_some(effects)
    }

    /// The first BDAT of a transaction.
    pub(crate) fn first_chunk(&mut self, client: Client, transaction: Transaction, bdat: Bdat) -> Effects {
        if !self.settings.offers.chunking {
            return self.skip_chunk(State::Transaction(client, transaction), bdat, Reply::not_implemented());
        }
        if let Some(reply) = no_recipients(&client, &transaction) {
            return self.skip_chunk(State::Transaction(client, transaction), bdat, reply);
        }
        let collector = Collector::new(self.content_rules(&transaction));
        self.next_chunk(Chunks { client, transaction, collector }, bdat)
    }

    /// A BDAT: its octets come next.
    pub(crate) fn next_chunk(&mut self, chunks: Chunks, bdat: Bdat) -> Effects {
        let so_far = chunks.collector.facts().size_bytes;
        if bdat.size_bytes.saturating_add(so_far) > self.most_octets() {
            return self.close(Reply::content_too_large());
        }
        self.holds_content = true;
        self.state = State::Chunk(Chunk { chunks, announced: bdat, left: bdat.size_bytes });
        Effects::new()
    }

    /// A BDAT that is refused: its octets are skipped, then comes the reply.
    pub(crate) fn skip_chunk(&mut self, before: State, bdat: Bdat, reply: Reply) -> Effects {
        if bdat.size_bytes > self.most_octets() {
            return self.close(Reply::content_too_large());
        }
        self.state = State::SkippedChunk { left: bdat.size_bytes, reply, before: Box::new(before) };
        Effects::new()
    }

    /// A BDAT without octets is complete at its command line.
    pub(super) fn empty_chunk(&mut self, content: &mut Vec<u8>) -> Effects {
        match &self.state {
            State::Chunk(chunk) if chunk.left == 0 => self.chunk_complete(content),
            State::SkippedChunk { left: 0, .. } => self.chunk_complete(content),
            _ => Effects::new(),
        }
    }

    /// Octets of a chunk.
    pub(super) fn chunk(&mut self, framer: &mut Framer, content: &mut Vec<u8>) -> Option<Effects> {
        let mut effects = Effects::new();
        let left = match &mut self.state {
            State::Chunk(chunk) => {
                let octets = at_most(framer.pending(), chunk.left);
                chunk.left = chunk.left.saturating_sub(octets.len() as u64);
                chunk.chunks.collector.append(octets, content);
                let used = octets.len();
                framer.consume(used);
                let (left, is_refused) = (chunk.left, chunk.chunks.collector.defect().is_some());
                if is_refused {
                    effects.extend(self.discard());
                }
                left
            }
            State::SkippedChunk { left, .. } => {
                let used = at_most(framer.pending(), *left).len();
                *left = left.saturating_sub(used as u64);
                framer.consume(used);
                *left
            }
            _ => return None,
        };
        if left == 0 {
            effects.extend(self.chunk_complete(content));
        }
        (!effects.is_empty()).then_some(effects)
    }

    fn chunk_complete(&mut self, content: &mut Vec<u8>) -> Effects {
        match self.take_state() {
            State::Chunk(Chunk { mut chunks, announced: Bdat { is_last: true, .. }, .. }) => {
                chunks.collector.finish(content);
                self.conclude(chunks.client, chunks.transaction, &chunks.collector)
            }
            State::Chunk(Chunk { chunks, announced, .. }) => match chunks.collector.defect() {
                // The message has failed; more chunks of it are out of sequence.
                Some(defect) => self.reply_in(State::Ready(chunks.client), reply_to(defect)),
                None => self.reply_in(State::Chunks(chunks), Reply::chunk_ok(announced.size_bytes)),
            },
            State::SkippedChunk { reply, before, .. } => self.mistake_in(*before, reply),
            state => {
                self.state = state;
                Effects::new()
            }
        }
    }

    /// The content has ended.
    fn conclude(&mut self, client: Client, transaction: Transaction, collector: &Collector) -> Effects {
        let recipients = transaction.recipients.len();
        let facts = collector.facts();
        let is_loop = facts.received_fields > self.settings.limits.received_fields;
        let refusal = match collector.defect() {
            Some(defect) => Some(reply_to(defect)),
            None => is_loop.then(Reply::routing_loop),
        };
        if let Some(reply) = refusal {
            let mut effects = Effects::from_iter(self.discard());
            let replies = if client.greeting == Greeting::Lhlo { recipients } else { 1 };
            effects.extend(std::iter::repeat_n(Effect::Reply(reply), replies));
            self.state = State::Ready(client);
            return effects;
        }
        let envelope = Envelope {
            client: client.clone(),
            protocol: self.protocol(&client, &transaction),
            reverse_path: transaction.reverse_path,
            params: transaction.params,
            recipients: transaction.recipients,
            content: facts,
            spoke_early: self.spoke_early,
        };
        self.holds_content = false;
        self.state = State::Waiting(Pending::Commit { client, recipients });
        vec![Effect::Commit(envelope)]
    }

    pub(super) fn commit_answered(&mut self, client: Client, recipients: usize, answer: Answer) -> Effects {
        let is_lmtp = client.greeting == Greeting::Lhlo;
        let replies: Vec<Reply> = match answer {
            Answer::Each(replies) if is_lmtp && replies.len() == recipients => {
                replies.into_iter().map(final_reply).collect()
            }
            answer if is_lmtp => vec![one_reply(answer, Reply::ok()); recipients],
            answer => vec![one_reply(answer, Reply::ok())],
        };
        self.counters.idle_commands = 0;
        self.state = State::Ready(client);
        let closes = replies.iter().any(Reply::closes);
        let mut effects: Effects = replies.into_iter().map(Effect::Reply).collect();
        if closes {
            self.state = State::Closed;
            effects.push(Effect::Close);
        }
        effects
    }

    fn content_rules(&self, transaction: &Transaction) -> ContentRules {
        let limits = &self.settings.limits;
        let is_binary = transaction.params.body == Some(Body::BinaryMime);
        ContentRules {
            line_ends: if is_binary { LineEnds::Keep } else { self.settings.line_ends },
            size_bytes: limits.size_bytes,
            line_octets: limits.content_line_octets,
        }
    }

    /// So much is read of content before the client is cut off.
    fn most_octets(&self) -> u64 {
        self.settings.limits.size_bytes.saturating_mul(2).saturating_add(64 * 1024)
    }

    fn protocol(&self, client: &Client, transaction: &Transaction) -> Protocol {
        Protocol {
            greeting: client.greeting,
            has_smtputf8: transaction.params.smtputf8,
            has_tls: self.tls.is_some(),
            is_signed_in: self.is_signed_in,
        }
    }
}

fn at_most(bytes: &[u8], count: u64) -> &[u8] {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    bytes.get(..count).unwrap_or(bytes)
}

fn no_recipients(client: &Client, transaction: &Transaction) -> Option<Reply> {
    if !transaction.recipients.is_empty() {
        return None;
    }
    Some(match client.greeting {
        Greeting::Lhlo => Reply::no_valid_recipients_lmtp(),
        Greeting::Helo | Greeting::Ehlo => Reply::no_valid_recipients(),
    })
}

fn reply_to(defect: Defect) -> Reply {
    match defect {
        Defect::TooLarge => Reply::content_too_large(),
        Defect::Nul => Reply::nul_in_content(),
        Defect::BareLineEnd => Reply::bare_line_end(),
        Defect::LineTooLong => Reply::content_line_too_long(),
    }
}
