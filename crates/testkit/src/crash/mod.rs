//! The crash rig: what is left of a loaded mail store if the power goes at any moment?
//!
//! ```text
//! record   a program works under load, traced: every write, flush, rename, and every
//!          acknowledgement that it prints                                  (load, record)
//! replay   the trace is carried out on a model disk that knows what was flushed
//!                                                                   (trace, replay, disk)
//! crash    at every flush the disk is rebuilt without what was not flushed, or with parts
//!          of it; the real store opens it and must keep every promise  (rig, ledger, check)
//! ```
//!
//! `docs/durability.md` says what this shows and what it cannot see.

pub mod check;
pub mod disk;
pub mod ledger;
pub mod load;
pub mod record;
pub mod replay;
pub mod rig;
pub mod trace;
