//! Simulation of offices, travellers and attackers over the real policy, with a virtual
//! clock and fixed seeds; beside it the same under "5 failures, then the address is blocked".
#![allow(clippy::print_stdout, reason = "the table is printed")]

mod actors;
mod gate;
mod scenario;
mod world;
