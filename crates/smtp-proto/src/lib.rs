//! SMTP, submission and LMTP: bytes to values and back, and the server's [`Session`].
//!
//! Values in, values out: no socket, clock or randomness. Commands, paths and replies have
//! a parser and a printer each; the [`Framer`] cuts received bytes; the session says what
//! to do.
pub mod auth;
mod client_name;
pub mod command;
pub mod content;
pub mod extension;
mod framer;
mod param;
pub mod path;
pub mod reply;
mod secret;
pub mod session;
pub mod settings;
mod table;
pub mod trace_header;
pub mod xtext;

pub use client_name::ClientName;
pub use command::Command;
pub use framer::{Framer, Line};
pub use reply::Reply;
pub use secret::Secret;
pub use session::{Answer, Effect, Envelope, Input, Question, Session, Tls, Wants};
pub use settings::{Listener, Settings};
