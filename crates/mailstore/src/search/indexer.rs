//! Indexing in the background: accounts that were searched, one after another.
//!
//! An account is indexed from its first search for a text on, and kept up to date with each
//! further search and with each round of maintenance; one that is never searched costs
//! nothing. After each step the indexer rests for as long as the step took, so that it takes
//! at most half of one core. Every step can be repeated: nothing but the database says how
//! far an account is.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hikyaku_mime::search::terms;
use hikyaku_mime::structure::Structure;
use hikyaku_store::{AccountHome, AccountScope, AccountTx, Content, Scope, ServiceScope, Store, StoreError};
use hikyaku_types::{Actor, EmailId, Service, ShardId, Timestamp};
use tokio::sync::Notify;

use super::{Document, Held, MOST_EMAILS, MOST_OCTETS, Segment, Todo, VERSION, merge};
use crate::email;

/// Segments with room that may be there before they are merged.
const MOST_SMALL: usize = 16;

/// Octets of content that one step reads; it ends with the message that passes them.
const STEP_BYTES: usize = 16 << 20;

/// Terms that one step gathers; it ends with the message that passes them.
const STEP_TERMS: usize = 500_000;

/// How long the terms of a gone email may stay.
const KEEP_GONE: Duration = Duration::from_secs(24 * 3600);

/// Takes accounts to be indexed; each waits once.
#[derive(Debug, Clone)]
pub struct Indexer {
    store: Arc<Store>,
    content: Arc<Content>,
    /// The first one is under way.
    waiting: Arc<Mutex<VecDeque<AccountHome>>>,
    wake: Arc<Notify>,
}

/// What a step of indexing an account did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There is more to do.
    Some,
    /// The index has all that is there.
    Finished,
}

impl Indexer {
    /// An indexer that does nothing until [`run`](Self::run) is called.
    pub fn new(store: Arc<Store>, content: Arc<Content>) -> Self {
        Self { store, content, waiting: Arc::default(), wake: Arc::default() }
    }

    /// Brings the account's index up to date soon.
    pub fn want(&self, home: AccountHome) {
        let mut waiting = self.waiting();
        if !waiting.contains(&home) {
            waiting.push_back(home);
            self.wake.notify_one();
        }
    }

    /// Is everything done that was wanted?
    pub fn is_idle(&self) -> bool {
        self.waiting().is_empty()
    }

    /// Indexes what is wanted, until it is dropped.
    pub async fn run(&self) {
        loop {
            let next = self.waiting().front().copied();
            let Some(home) = next else {
                self.wake.notified().await;
                continue;
            };
            let begun = Instant::now();
            let step = self.step(home).await;
            if let Err(error) = &step {
                tracing::warn!(account = %home.account, %error, "an account could not be indexed for search");
            }
            self.after(home, matches!(step, Ok(Step::Some)));
            tokio::time::sleep(begun.elapsed()).await;
        }
    }

    /// Others have their turn before an account goes on.
    fn after(&self, home: AccountHome, goes_on: bool) {
        let mut waiting = self.waiting();
        waiting.pop_front();
        if goes_on {
            waiting.push_back(home);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<AccountHome>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wants every account whose index is behind, and takes gone emails out of the others'.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn round(&self, shard: ShardId, now: Timestamp) -> Result<(), StoreError> {
        let before = now.before(KEEP_GONE);
        let mut after = None;
        loop {
            let found = self.store.read(scope(shard), "search.indexed", move |tx| super::indexed(tx, after));
            let found = found.await?;
            let Some((_, last)) = found.last().copied() else { return Ok(()) };
            after = Some(last);
            for (tenant, account) in found {
                let home = AccountHome { tenant, account, shard };
                let outdated = self.store.read(scope(shard), "search.is_outdated", move |tx| {
                    super::is_outdated(tx, account, before)
                });
                if outdated.await? {
                    while self.clean(home).await? == Step::Some {}
                }
                self.want(home);
            }
        }
    }

    /// One step: some emails become a segment, or small segments become one. Safe to repeat,
    /// and to be done twice at once.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn step(&self, home: AccountHome) -> Result<Step, StoreError> {
        match self.store.write(of(home), "search.begin", super::begin).await? {
            Some(VERSION) => {}
            begun => {
                while !self.store.write(of(home), "search.remove", super::remove).await? {}
                return Ok(if begun.is_some() { Step::Some } else { Step::Finished });
            }
        }
        let held = self.store.read(of(home), "search.contents", super::contents).await?;
        if let Some(small) = mergeable(&held) {
            self.merge(home, small, HashSet::new()).await?;
            return Ok(Step::Some);
        }
        let Some(mut todo) = self.store.read(of(home), "search.todo", super::todo).await? else {
            return Ok(Step::Finished);
        };
        let known = held.into_iter().flat_map(|held| held.emails).collect();
        let segment = Segment::of(self.documents(home, &mut todo, &known).await?);
        let scope = of(home).weighing(segment.size());
        self.store.write(scope, "search.done", move |tx| super::done(tx, &todo, &segment)).await?;
        Ok(Step::Some)
    }

    /// The documents of entries that are not `known`. Where they are enough for one step, the
    /// rest is left to do.
    async fn documents(
        &self,
        home: AccountHome,
        todo: &mut Todo,
        known: &HashSet<EmailId>,
    ) -> Result<Vec<Document>, StoreError> {
        let mut documents = Vec::new();
        let (mut octets, mut count) = (0, 0);
        for &(uid, email) in todo.entries.iter().filter(|(_, email)| !known.contains(email)) {
            let Some(content) = self.content(home, email).await? else { continue };
            octets += content.len();
            let Some(document) = document(email, content).await else { continue };
            count += document.terms.len();
            documents.push(document);
            if octets > STEP_BYTES || count > STEP_TERMS {
                todo.upto = uid;
                break;
            }
        }
        Ok(documents)
    }

    /// A message as readers see it; `None` if it is gone or cannot be read: then it is not
    /// indexed, and each search looks at it.
    async fn content(&self, home: AccountHome, email: EmailId) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self.store.read(of(home), "search.email", move |tx| email::emails(tx, &[email])).await;
        let email = match found {
            Ok(found) => found.into_iter().next(),
            Err(StoreError::Failed { .. }) => None,
            Err(error) => return Err(error),
        };
        let Some(email) = email else { return Ok(None) };
        match self.content.read(email.placement).await {
            Ok(content) => Ok(Some(email.prelude.assemble(&content))),
            Err(error) => {
                tracing::warn!(email = %email.id, %error, "a message cannot be read and is not indexed for search");
                Ok(None)
            }
        }
    }

    /// Makes one segment of several, without emails that are gone.
    async fn merge(
        &self,
        home: AccountHome,
        numbers: Vec<i64>,
        gone: HashSet<EmailId>,
    ) -> Result<(), StoreError> {
        let mut segments = Vec::with_capacity(numbers.len());
        for &number in &numbers {
            let read = self.store.read(of(home), "search.load", move |tx| super::load(tx, number)).await?;
            segments.push(read.unwrap_or_default());
        }
        let merged = tokio::task::spawn_blocking(move || merge(&segments, &gone)).await;
        // What is damaged leaves the index: its emails are read from now on.
        let merged = merged.ok().and_then(Result::ok).unwrap_or_default();
        let scope = of(home).weighing(merged.size());
        let write = move |tx: &mut AccountTx<'_>| super::replace(tx, &numbers, &merged);
        self.store.write(scope, "search.replace", write).await.map(drop)
    }

    /// Takes gone emails out of the segments that have them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn clean(&self, home: AccountHome) -> Result<Step, StoreError> {
        let gone = self.store.read(of(home), "search.gone", super::gone).await?;
        if gone.is_empty() {
            return Ok(Step::Finished);
        }
        for held in self.store.read(of(home), "search.contents", super::contents).await? {
            if held.emails.iter().any(|email| gone.contains(email)) {
                self.merge(home, vec![held.segment], gone.clone()).await?;
            }
        }
        self.store.write(of(home), "search.forgotten", move |tx| super::forgotten(tx, &gone)).await?;
        Ok(Step::Some)
    }
}

/// What an index keeps of a message, made on a thread of its own; `None` if it has too many
/// terms.
async fn document(email: EmailId, content: Vec<u8>) -> Option<Document> {
    let made = tokio::task::spawn_blocking(move || terms(&content, &Structure::parse(&content))).await;
    made.ok().flatten().map(|terms| Document { email, terms })
}

/// The segments that are to become one, if there are many with room.
fn mergeable(held: &[Held]) -> Option<Vec<i64>> {
    let mut small: Vec<&Held> = held.iter().filter(|held| held.has_room()).collect();
    if small.len() < MOST_SMALL {
        return None;
    }
    small.sort_by_key(|held| held.octets);
    let (mut emails, mut octets) = (0, 0);
    let fits = |held: &&&Held| {
        emails += held.emails.len();
        octets += held.octets;
        emails <= MOST_EMAILS && octets <= MOST_OCTETS
    };
    Some(small.iter().take_while(fits).map(|held| held.segment).collect())
}

/// The mail of one account, for the platform itself.
fn of(home: AccountHome) -> AccountScope {
    Scope::account(&Actor::Service(Service::Jobs), home).expect("jobs are a service").long()
}

fn scope(shard: ShardId) -> ServiceScope {
    Scope::service(&Actor::Service(Service::Jobs), shard, None).expect("jobs are a service")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(emails: usize, octets: usize) -> Held {
        let id = |number: usize| EmailId::from_i64(1 + number as i64).unwrap();
        Held { segment: octets as i64, emails: (0..emails).map(id).collect(), octets }
    }

    #[test]
    fn which_segments_become_one() {
        let small = |count: usize| (1..=count).map(|number| held(100, number)).collect::<Vec<_>>();
        assert_eq!(mergeable(&[]), None);
        assert_eq!(mergeable(&small(MOST_SMALL - 1)), None);
        assert_eq!(mergeable(&small(MOST_SMALL)), Some((1..=16).collect()));
        let many_full: Vec<Held> = (0..40).map(|_| held(MOST_EMAILS, 2_000_000)).collect();
        assert_eq!(mergeable(&many_full), None);
        // The smallest, as long as they fit.
        assert_eq!(mergeable(&small(30)).unwrap(), (1..=20).collect::<Vec<i64>>());
        let large: Vec<Held> = (1..=16).map(|number| held(10, number * 120_000)).collect();
        assert_eq!(mergeable(&large).unwrap().len(), 7);
    }
}
