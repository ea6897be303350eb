//! Listening sockets: accept under permits, TLS, and an orderly end.
//!
//! Every server of the platform is a function from a [`Connection`] to its end; the rest is
//! here: how many connections there may be, altogether and from one source, what those
//! beyond are told, and how all of them end when the process does.
//!
//! Invariants:
//! - a connection holds its permits until its task ends, however it ends;
//! - a task that panics takes nobody with it;
//! - after [`Shutdown::begin`] nothing new is accepted, and sessions learn of it at their
//!   next wait.

mod listener;
mod shutdown;
mod stream;
mod tls;

pub use listener::{Connection, Limits, Listener};
pub use shutdown::{Ending, Shutdown};
pub use stream::Stream;
pub use tls::{Certificate, Certificates, TlsAcceptor, TlsError, TlsFacts};
