//! Messages read in batches, the next one while this one is told.
//!
//! Invariants:
//! - what is held for a session is bounded: two batches, each of which has one message or
//!   no more than [`MOST_BYTES`];
//! - there is memory for a batch before it is read (`memory.rs`), and as long as its last
//!   message is being told. Who waits for it holds none; where there is little, nothing is
//!   read ahead;
//! - no snapshot of the store is held while an answer is written;
//! - one message that cannot be read hides no other: where a batch cannot be read, each of its
//!   messages is read alone.

use std::collections::VecDeque;
use std::sync::Arc;

use hikyaku_imap_proto::response::StatusResponse;
use hikyaku_mailstore::{Email, Entry, email};
use hikyaku_store::{AccountScope, Content, Store};
use hikyaku_types::{EmailId, ThreadId, Timestamp};
use tokio::task::JoinSet;

use crate::facts::{Message, assemble, content, work};
use crate::memory::Room;
use crate::session::{Failure, Session};

/// Most messages of a batch.
const MOST: usize = 64;
/// Most bytes of a batch that has several messages, as they are told.
const MOST_BYTES: u64 = 512 << 10;

/// When an email was received, and its thread.
pub(crate) type Arrival = (Timestamp, ThreadId);

/// A message, or why it is not there.
pub(crate) type Read = Result<(Arrival, Message), Failure>;

/// What is done with each message while others are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Its bytes are read.
    Bytes,
    /// Its structure too.
    Structure,
}

/// A batch that was read. `None`: it must be read alone.
type Batch = VecDeque<(EmailId, Option<Read>)>;

/// Reads some messages, in their order.
pub(crate) struct Batches {
    depth: Depth,
    /// How often each is in memory while it is told.
    copies: u64,
    /// With their sizes.
    left: VecDeque<(EmailId, u64)>,
    now: Batch,
    /// Of what is told now.
    room: Option<Room>,
    /// At most one batch, with its memory; dropped, it ends.
    ahead: JoinSet<(Room, Batch)>,
}

impl Batches {
    pub(crate) fn new<'e>(entries: impl IntoIterator<Item = &'e Entry>, depth: Depth, copies: u64) -> Self {
        let left = entries.into_iter().map(|entry| (entry.email, entry.size)).collect();
        Self { depth, copies, left, now: Batch::new(), room: None, ahead: JoinSet::new() }
    }

    /// The next of the messages, which is this one.
    pub(crate) async fn next(&mut self, session: &Session<'_>, id: EmailId) -> Read {
        if self.now.is_empty() {
            self.go_on(session).await?;
        }
        match self.now.pop_front() {
            Some((next, Some(read))) if next == id => read,
            _ => alone(session, id, self.depth).await,
        }
    }

    /// What was told is sent: the next batch takes its place.
    async fn go_on(&mut self, session: &Session<'_>) -> Result<(), Failure> {
        self.room = None;
        let (room, batch) = match self.ahead.join_next().await {
            Some(read) => read.map_err(|_| StatusResponse::unavailable())?,
            None => {
                let (room, ids) = self.wait_for_room(session).await?;
                (room, self.read(session, ids)?.await)
            }
        };
        (self.now, self.room) = (batch, Some(room));
        self.read_ahead(session).await
    }

    /// The next batch, or one message where there is no memory for more.
    async fn wait_for_room(&mut self, session: &Session<'_>) -> Result<(Room, Vec<EmailId>), Failure> {
        let mut room = session.services.memory.room(session.account()?.home);
        let (count, bytes) = self.next_batch(MOST);
        if room.try_grow(bytes).is_ok() {
            return Ok((room, self.take(count)));
        }
        let (count, bytes) = self.next_batch(1);
        Ok((session.room(bytes).await?, self.take(count)))
    }

    async fn read_ahead(&mut self, session: &Session<'_>) -> Result<(), Failure> {
        let (count, bytes) = self.next_batch(MOST);
        let mut room = session.services.memory.room(session.account()?.home);
        if count == 0 || room.try_grow(bytes).is_err() {
            return Ok(());
        }
        let ids = self.take(count);
        let read = self.read(session, ids)?;
        self.ahead.spawn(async move { (room, read.await) });
        // So that it begins before this session goes on.
        tokio::task::yield_now().await;
        Ok(())
    }

    /// How many messages the next batch has, at most so many, and the memory for them.
    fn next_batch(&self, most: usize) -> (usize, u64) {
        let (mut count, mut bytes) = (0, 0u64);
        for (_, size) in self.left.iter().take(most) {
            let more = bytes.saturating_add(*size);
            if count > 0 && more > MOST_BYTES {
                break;
            }
            (count, bytes) = (count + 1, more);
        }
        (count, bytes.saturating_mul(self.copies))
    }

    /// So many of the emails that are left.
    fn take(&mut self, count: usize) -> Vec<EmailId> {
        self.left.drain(..count).map(|(id, _)| id).collect()
    }

    fn read(
        &self,
        session: &Session<'_>,
        ids: Vec<EmailId>,
    ) -> Result<impl Future<Output = Batch> + Send + 'static, Failure> {
        let services = session.services;
        let (store, content) = (Arc::clone(&services.store), Arc::clone(&services.content));
        Ok(read(store, content, session.scope()?, ids, self.depth))
    }
}

async fn read(
    store: Arc<Store>,
    content: Arc<Content>,
    scope: AccountScope,
    ids: Vec<EmailId>,
    depth: Depth,
) -> Batch {
    let wanted = ids.clone();
    let found = store.read(scope, "imap.batch", move |tx| email::emails(tx, &wanted)).await;
    let Ok(found) = found else { return ids.into_iter().map(|id| (id, None)).collect() };
    let mut found = found.into_iter().peekable();
    let mut batch = Batch::with_capacity(ids.len());
    for id in ids {
        let message = match found.next_if(|email| email.id == id) {
            Some(email) => message(&content, email, depth).await,
            None => Err(StatusResponse::expunge_issued().into()),
        };
        batch.push_back((id, Some(message)));
    }
    batch
}

async fn alone(session: &Session<'_>, id: EmailId, depth: Depth) -> Read {
    let (email, content) = content(session, id).await?;
    of_content((email.received_at, email.thread), content, depth).await
}

async fn message(content: &Content, email: Email, depth: Depth) -> Read {
    let arrival = (email.received_at, email.thread);
    let assembled = assemble(content, &email).await?;
    of_content(arrival, assembled, depth).await
}

async fn of_content(arrival: Arrival, content: Vec<u8>, depth: Depth) -> Read {
    if depth == Depth::Bytes {
        return Ok((arrival, Message::new(content)));
    }
    let parse = |content| {
        let message = Message::new(content);
        message.structure();
        message
    };
    Ok((arrival, work(content.len(), move || parse(content)).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_bounded_by_messages_and_bytes() {
        let id = |number: usize| EmailId::from_i64(number as i64 + 1).unwrap();
        let large = MOST_BYTES + 1;
        // Sizes, and how many messages each batch has.
        let table: [(&[u64], &[usize]); 6] = [
            (&[], &[0]),
            (&[1; MOST + 3], &[MOST, 3, 0]),
            (&[large, large], &[1, 1, 0]),
            (&[1, large, 1, 1], &[1, 1, 2, 0]),
            (&[MOST_BYTES / 2, MOST_BYTES / 2, 1], &[2, 1, 0]),
            (&[u64::MAX, u64::MAX], &[1, 1, 0]),
        ];
        for (sizes, counts) in table {
            let mut batches = Batches::new([], Depth::Bytes, 2);
            batches.left = sizes.iter().enumerate().map(|(at, size)| (id(at), *size)).collect();
            let mut take = || batches.take(batches.next_batch(MOST).0);
            let taken: Vec<Vec<EmailId>> = counts.iter().map(|_| take()).collect();
            assert!(taken.iter().map(Vec::len).eq(counts.iter().copied()), "{sizes:?}");
            assert!(taken.into_iter().flatten().eq((0..sizes.len()).map(id)), "in their order");
        }
    }
}
