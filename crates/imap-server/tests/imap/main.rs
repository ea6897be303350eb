//! The whole server on port 0, on both engines, against scripted clients.
//!
//! Most tests are transcripts (see [`script`]); `model` plays several clients at random and
//! checks what each of them was told.

mod append;
mod batches;
mod client;
mod clients;
mod compress;
mod condstore;
mod copying;
mod damage;
mod ending;
mod extensions;
mod fetch;
mod flags;
mod hostile;
mod mailboxes;
mod many_mailboxes;
mod memory;
mod model;
mod rev2;
mod rfc3501;
mod scram;
mod script;
mod search;
mod search_index;
mod server;
mod sessions;
mod sign_in;
mod simple;
mod snapshots;
mod sort;
mod tls;
mod wrong;
