//! Measurements: `make bench PART=store`. Each part prints what it did, how long it took,
//! CPU-seconds, and the ratio to something measured in the same run.
//!
//! Figures are for people and commit messages; no test depends on them.
#![allow(clippy::print_stdout, reason = "figures are printed")]

mod access;
mod certificates;
mod directory;
mod dns;
mod flood;
mod imap;
mod inbound;
mod mail;
mod measure;
mod ours;
mod peers;
mod search;
mod signed;
mod store;

use clap::Parser;

/// What to measure.
#[derive(Parser)]
enum Part {
    /// Sign-in decisions besides the hash: CPU, and memory for a million sources.
    Access(access::Arguments),
    /// A full platform's accounts: seeding, look-ups, memory, lists and searches, sign-ins.
    Directory(directory::Arguments),
    /// Deliveries into the store: SQLite beside the disk's own flush rate, and PostgreSQL.
    Store(store::Arguments),
    /// Mail from strangers into mailboxes, beside Postfix and Dovecot.
    Inbound(inbound::Arguments),
    /// A customer's mail while its neighbour is flooded, and the memory of idle connections.
    Flood(flood::Arguments),
    /// SEARCH without an index and with one, and what the index costs.
    Search(search::Arguments),
    /// What IMAP clients ask of a large mailbox, beside Dovecot.
    Imap(imap::Arguments),
}

fn main() -> anyhow::Result<()> {
    match Part::parse() {
        Part::Access(arguments) => access::run(&arguments),
        Part::Directory(arguments) => directory::run(&arguments),
        Part::Store(arguments) => store::run(&arguments),
        Part::Inbound(arguments) => inbound::run(&arguments),
        Part::Flood(arguments) => flood::run(&arguments),
        Part::Search(arguments) => search::run(&arguments),
        Part::Imap(arguments) => imap::run(&arguments),
    }
}
