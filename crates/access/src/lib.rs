//! Who may sign in, from where: source rules, and protection against password guessing that
//! does not lock out the office.
//!
//! Decisions are pure functions over facts. No SQL, socket, clock or randomness: the servers
//! gather the facts, ask, compute the hash if told to, and write down what is to be
//! remembered.
//!
//! # Facts, state, decision, outcome
//!
//! ```text
//! Attempt  (who, to what, from where, with what)  ─┐
//! Settings (the tenant's rules and policy)        ─┼─ before ─▶ Admission: Check,
//! State    (what happened lately)                 ─┘            Challenge or Refuse, and why
//!                      Admission + Outcome of the hash ─ after ─▶ Changes: Event, Block
//! ```
//!
//! [`guard`] decides, [`rule`] knows from where one may come, [`state`] remembers,
//! [`history`] is what people read, [`reason`] has all texts.
//!
//! A password is checked from a source that is *known* to the account (it signed in well
//! from there in the last 30 days), always. From an unknown source it is checked as long as
//! it costs little: at most 20 different guesses at one account in a day over all sources,
//! none from where a block holds, and while the account, its tenant or the platform is under
//! attack only from sources without a past. What is not checked is *challenged*: an app
//! password, a second factor, or a link opened at a known source lets in, and makes the
//! source known. Failures are counted by different (account, wrong password): a forgotten
//! telephone that knocks all day counts once.
//!
//! # What is shared, and what is a node's own
//!
//! Shared are [`event::Event`]s (a source became known; a password was wrong) and
//! [`block::Block`]s. [`State`] is nothing but a fold over them, in any order and with
//! repetitions. So the shared database needs one statement for an attempt that was checked:
//! append the event, which is the line of history as well. A node applies its own events at
//! once and reads those of the others every half second. A sign-in from a source that
//! everybody knows already costs no shared statement within the hour, a refusal or challenge
//! none at all.
//!
//! Nodes that have not heard of each other yet cannot overspend: what is left of an
//! account's 20 guesses is divided among them ([`Cluster`]), and a guess counts from the
//! moment when its check begins ([`State::claim`]).
//!
//! A node's own are claims, attempts that were not checked (they slow down answers and lead
//! to blocks), and the cache itself. After a restart the state is read from what is shared:
//! events of the last seven days, goods of the last 30, live blocks.
//!
//! # How state ends
//!
//! Everything has a time after which it says nothing (`Limits`), and every map and list has
//! a bound ([`Capacity`]); [`State::sweep`] frees memory early. Sources are pushed out by
//! sources only, never accounts: known sources are kept with their account.
//!
//! # What an attacker can still do
//!
//! - Guess fast from a source that is known to the account (an infected computer in the
//!   office): as fast as its parked connections allow, see [`guard`].
//! - Make an account *challenge* new sources, with 20 guesses a day; never known ones.
//! - With three accounts of a tenant make an address an "office" of it, and guess 50 times a
//!   day at each other account from there. With one account: nothing.
//! - Bring ten thousand fresh addresses: each is believed once or twice.
//!
//! `tests/simulation` plays all of these, with the naive rule beside them.

pub mod block;
pub mod event;
pub mod facts;
pub mod guard;
pub mod history;
pub mod place;
pub mod policy;
pub mod reason;
pub mod rule;
mod source;
pub mod state;

pub use source::source_of;
pub use state::{Capacity, Cluster, State};
