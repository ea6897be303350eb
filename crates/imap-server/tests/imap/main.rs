//! The whole server on port 0, on both engines, against scripted clients.
//!
//! Most tests are transcripts (see [`script`]).

mod append;
mod client;
mod copying;
mod damage;
mod fetch;
mod flags;
mod mailboxes;
mod rfc3501;
mod script;
mod search;
mod server;
mod sessions;
mod sign_in;
mod simple;
mod tls;
mod wrong;
