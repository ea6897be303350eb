//! What one message may ask: a number of look-ups and a time for each check.
//!
//! The content of a message decides what is asked (signatures, ARC sets, include after
//! include). Each check has limits of its own by its standard; a share holds for what these
//! can add up to, and for servers that answer slowly.
//! Invariant: no check lives at the expense of another. If they had one purse, a forger could
//! empty it with ARC sets and a costly SPF record of their own, and what the author's domain
//! says about forgeries would never be asked for.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{Dns, DnsError, Kind, Records};
use crate::Name;

/// A look-up that was made, for people who want to see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// What was asked for.
    pub name: Name,
    /// Which records.
    pub kind: Kind,
    /// What came.
    pub answer: Result<Records, DnsError>,
}

/// Hands out the shares of one message. Dropped when the message is judged.
#[derive(Debug)]
pub struct Budget<'a, D> {
    dns: &'a D,
    log: Option<Mutex<Vec<Lookup>>>,
}

/// What one check may ask.
#[derive(Debug)]
pub struct Share<'b, D> {
    budget: &'b Budget<'b, D>,
    left: AtomicU32,
    deadline: Instant,
}

impl<'a, D: Dns> Budget<'a, D> {
    /// Asks this resolver.
    pub fn new(dns: &'a D) -> Self {
        Self { dns, log: None }
    }

    /// Keeps a list of all look-ups.
    pub fn with_log(mut self) -> Self {
        self.log = Some(Mutex::default());
        self
    }

    /// At most `lookups` questions, none answered later than `time` from now. To be called
    /// within a Tokio runtime that has timers.
    pub fn share(&self, lookups: u32, time: Duration) -> Share<'_, D> {
        Share { budget: self, left: AtomicU32::new(lookups), deadline: Instant::now() + time }
    }

    /// The look-ups so far, in the order in which they were answered. Empty without
    /// [`Budget::with_log`].
    pub fn log(&self) -> Vec<Lookup> {
        let Some(log) = &self.log else { return Vec::new() };
        log.lock().map(|log| log.clone()).unwrap_or_default()
    }
}

impl<D: Dns> Share<'_, D> {
    async fn ask(&self, name: &Name, kind: Kind) -> Result<Records, DnsError> {
        let take = |left: u32| left.checked_sub(1);
        if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err() {
            return Err(DnsError::Spent);
        }
        timeout_at(self.deadline, self.budget.dns.look_up(name, kind)).await.unwrap_or(Err(DnsError::Timeout))
    }
}

impl<D: Dns> Dns for Share<'_, D> {
    async fn look_up(&self, name: &Name, kind: Kind) -> Result<Records, DnsError> {
        let answer = self.ask(name, kind).await;
        if let Some(log) = &self.budget.log
            && let Ok(mut log) = log.lock()
        {
            log.push(Lookup { name: name.clone(), kind, answer: answer.clone() });
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Table;

    /// Never answers.
    struct Silent;

    impl Dns for Silent {
        async fn look_up(&self, _: &Name, _: Kind) -> Result<Records, DnsError> {
            std::future::pending().await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn looking_up_ends() {
        let name = Name::parse("example.org").unwrap();
        let table = Table::default();
        let budget = Budget::new(&table).with_log();
        let (one, other) = (budget.share(2, Duration::from_secs(5)), budget.share(1, Duration::from_secs(5)));
        for expected in [DnsError::NoName, DnsError::NoName, DnsError::Spent, DnsError::Spent] {
            assert_eq!(one.look_up(&name, Kind::A).await, Err(expected));
        }
        assert_eq!(other.look_up(&name, Kind::A).await, Err(DnsError::NoName));
        assert_eq!(budget.log().len(), 5);
        // The clock of the test stands still until all wait for it.
        let budget = Budget::new(&Silent);
        let share = budget.share(2, Duration::from_secs(5));
        assert_eq!(share.look_up(&name, Kind::A).await, Err(DnsError::Timeout));
    }
}
