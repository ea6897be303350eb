//! One source, tenant or listener under flood leaves the others alone.
//!
//! ```text
//! accept    connections by source and listener        net::Limits
//! RCPT      look-ups by source and listener           451 4.3.2
//!           refused recipients by source              slower, then 421
//!           mail transactions by tenant, source and   451 4.3.2 for a tenant or listener,
//!           listener, to the end of the transaction   450 4.7.1 for a source
//! content   memory by tenant, source and listener     the session waits
//! commit    the store takes turns over tenants        store
//! ```
//!
//! A slow client holds a mail transaction of the tenant it writes to, and so do deliveries
//! that wait for the disk: both are at most half of all, and above half of all only an
//! eighth. A submission counts for the tenant of who signed in, not of who receives. LMTP
//! clients are our own: their source does not count.

use std::net::IpAddr;
use std::sync::Arc;

use hikyaku_net::source_of;
use hikyaku_smtp_proto::{Listener, Reply};
use hikyaku_types::{TenantId, Timestamp};

use crate::budget::{Budget, Room};
use crate::limits::Limits;
use crate::metrics::{Metrics, Reason};
use crate::pool::{Pool, Share, Sharer, UsedUp};
use crate::refusals::Refusals;

/// What all SMTP sessions of a process share, and the counters of it.
#[derive(Debug)]
pub struct Isolation {
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
    transactions: Arc<Pool>,
    lookups: Arc<Pool>,
    budget: Budget,
    refusals: Refusals,
}

/// Where a session came from and to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) peer: IpAddr,
    pub(crate) listener: Listener,
}

impl Origin {
    fn sharers(self, tenant: Option<TenantId>) -> Vec<Sharer> {
        let mut sharers = vec![Sharer::Listener(self.listener)];
        sharers.extend(tenant.map(Sharer::Tenant));
        if self.listener != Listener::Lmtp {
            sharers.push(Sharer::Source(source_of(self.peer)));
        }
        sharers
    }
}

impl Isolation {
    /// Nothing is going on yet. `largest` is the size in bytes of the largest content.
    pub fn new(limits: Limits, largest: usize, metrics: Metrics) -> Self {
        Self {
            limits,
            metrics,
            transactions: Pool::new(limits.transactions),
            lookups: Pool::new(limits.lookups),
            budget: Budget::new(limits.content_bytes, largest),
            refusals: Refusals::new(limits.refused_each),
        }
    }

    /// A mail transaction that counts for `tenant`, or the reply that says why not now.
    pub(crate) fn transaction(&self, origin: Origin, tenant: TenantId) -> Result<Share, Reply> {
        self.transactions.one(origin.sharers(Some(tenant))).map_err(|used_up| {
            self.metrics.refused(origin.listener, Reason::Transactions(used_up));
            match used_up {
                UsedUp::Source => Reply::rate_limited(),
                UsedUp::Tenant => Reply::recipient_busy(),
                UsedUp::Listener | UsedUp::All => Reply::busy(),
            }
        })
    }

    /// A look-up of a recipient, or the reply that says why not now.
    pub(crate) fn lookup(&self, origin: Origin) -> Result<Share, Reply> {
        self.lookups.one(origin.sharers(None)).map_err(|_| {
            self.metrics.refused(origin.listener, Reason::Lookups);
            Reply::busy()
        })
    }

    /// Waits until there is room for `bytes` of content altogether.
    pub(crate) async fn make_room(
        &self,
        room: &mut Room,
        origin: Origin,
        tenant: Option<TenantId>,
        bytes: usize,
    ) {
        if room.grow(&self.budget, bytes, || origin.sharers(tenant)).await {
            self.metrics.content_waited();
        }
    }

    /// Counts a recipient that is refused for good. Does the source guess?
    pub(crate) fn is_guessing(&self, origin: Origin, now: Timestamp) -> bool {
        origin.listener == Listener::Mx && self.refusals.count(source_of(origin.peer), now)
    }
}
