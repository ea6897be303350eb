//! Decisions, one after the other, as transcripts; and properties of all of them.

mod property;
mod rig;
mod sweep;
mod transcript;
