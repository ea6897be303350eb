//! Simulation of offices, travellers and attackers over the real policy, with a virtual
//! clock and fixed seeds; beside it the same under "5 failures, then the address is blocked".
//!
//! `cargo nextest run -p hikyaku-access --test simulation --no-capture` prints the tables.
//! Left of the bar is the real policy: right secrets that were admitted, challenged, refused;
//! wrong passwords that were checked or not; the most different ones that were checked for
//! one account in 24 hours. Right of it is the naive one.
#![allow(clippy::print_stdout, reason = "the table is printed")]

mod actors;
mod gate;
mod scenario;
mod world;
