//! SMTP, submission and LMTP: bytes to values and back, and the server's [`Session`].
//!
//! Values in, values out: no socket, clock or randomness. Commands, paths and replies have
//! a parser and a printer each; the [`Framer`] cuts received bytes into lines; the session
//! says what to do.
//!
//! A shell around a session, here with any `Read` and `Write`; it says yes to everything:
//!
//! ```
//! use std::io::{Read, Result, Write};
//! use std::sync::Arc;
//!
//! use hikyaku_smtp_proto::{Answer, Effect, Framer, Input, Listener, Session, Settings};
//!
//! fn serve(
//!     mut from_client: impl Read,
//!     mut to_client: impl Write,
//!     settings: Arc<Settings>,
//! ) -> Result<Vec<Vec<u8>>> {
//!     let (mut session, mut effects) = Session::new(settings, None);
//!     let (mut framer, mut content, mut mails) = (Framer::new(), Vec::new(), Vec::new());
//!     while !session.is_closed() || !effects.is_empty() {
//!         let mut answer = None;
//!         for effect in std::mem::take(&mut effects) {
//!             match effect {
//!                 Effect::Reply(reply) | Effect::RefusePath(_, reply) => to_client.write_all(&reply.to_wire())?,
//!                 Effect::Commit(_envelope) => {
//!                     mails.push(std::mem::take(&mut content));
//!                     answer = Some(Answer::Accept);
//!                 }
//!                 Effect::Ask(_question) => answer = Some(Answer::Accept),
//!                 Effect::Discard => content.clear(),
//!                 Effect::StartTls => unreachable!("the settings do not offer it"),
//!                 Effect::Close => to_client.flush()?,
//!             }
//!         }
//!         effects = if let Some(answer) = answer {
//!             session.handle(Input::Answer(answer))
//!         } else if let Some(effects) = session.receive(&mut framer, &mut content) {
//!             effects
//!         } else {
//!             // A server waits for `session.deadline()` at the most, and for a shutdown.
//!             let mut bytes = [0; 4096];
//!             match from_client.read(&mut bytes)? {
//!                 0 => session.handle(Input::Hangup),
//!                 count => {
//!                     framer.push(&bytes[..count]);
//!                     Vec::new()
//!                 }
//!             }
//!         };
//!     }
//!     Ok(mails)
//! }
//!
//! let settings = Settings::new("mx.example".parse().unwrap(), Listener::Mx);
//! let client = b"HELO a.example\r\nMAIL FROM:<>\r\nRCPT TO:<ann@example.org>\r\nDATA\r\nHi\r\n.\r\nQUIT\r\n";
//! let mut sent = Vec::new();
//! let mails = serve(&client[..], &mut sent, Arc::new(settings)).unwrap();
//! assert_eq!(mails, [b"Hi\r\n"]);
//! assert!(sent.ends_with(b"221 2.0.0 Bye\r\n"));
//! ```

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
pub use session::{Answer, Effect, Envelope, Input, Question, Session, Tls, Wants, Written};
pub use settings::{Listener, Settings};
