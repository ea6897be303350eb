//! The one way in. Every server that lets somebody sign in asks [`Gate::sign_in`], or
//! [`Gate::begin_scram`] and [`Gate::finish_scram`], and nothing else.
//!
//! ```text
//! permit of the source ─▶ claim (directory: who is meant) ─▶ access::guard::before
//!    ─▶ the hash, if it may be checked (directory, with its cache of right passwords)
//!    ─▶ access::guard::after ─▶ one INSERT, if others must know ─▶ answer
//! ```
//!
//! Decisions are those of the `access` crate. This one gathers their facts, keeps their
//! [`State`](hikyaku_access::State), and owns the tables of the access database (the lines of
//! history are what state is made of, so they are written and read here).
//!
//! Invariants:
//! - who may come in from where is decided before the password is looked at, and before the
//!   directory's cache of right ones;
//! - every failure, whatever the cause, is answered by a timer that began with the attempt, and
//!   is the same error; only our own fault is another one;
//! - what counts as a guess is in the access database before it is answered; if it cannot be
//!   written it counts in this node, and is written later;
//! - attempts that were not checked, and good ones that teach nobody anything, cost no
//!   statement of their own: they are written together each second ([`Gate::flush`]).
//!
//! While so many passwords are checked at once that a hash waits for longer than the timer, what
//! is refused unseen waits as long (`Directory::password_turn`), and so does an app password that
//! may not be used: else it would show that it is known. SCRAM hashes nothing, whatever comes of it,
//! so nothing of it waits.

mod atlas;
mod blocks;
mod cluster;
mod deeds;
mod expiry;
mod gate;
mod habits;
mod history;
mod key;
mod lifts;
mod line;
mod named;
mod number;
mod pending;
mod permits;
mod recovery;
mod rule_change;
mod rules;
mod schema;
mod scram;
mod sessions;
mod settings;
mod shared;
mod word;

use hikyaku_types::{Actor, Service};

pub use atlas::Atlas;
pub use cluster::Ending;
pub use gate::{Gate, Offer};
pub use habits::{HABITS_SCHEMA, UnusualLine};
pub use history::Wanted;
pub use lifts::Lift;
pub use line::{Line, last_id};
pub use number::{FIRST_COMMAND, Number, NumberError};
pub use recovery::{RECOVERY_SCHEMA, Recovered, RecoveryError};
pub use rule_change::{By, Proposal, RuleError, RuleOf, RuleOwner};
pub use schema::SCHEMA;
pub use scram::{Caller, Proven};
pub use sessions::{End, Session, Visit, Which};

/// The right to the access database is this crate's own: who asks was resolved before.
const PLATFORM: Actor = Actor::Service(Service::Directory);
