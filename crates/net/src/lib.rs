//! Listening sockets: accept under permits, TLS, and an orderly end.
//!
//! Every server of the platform is a function from a [`Connection`] to its end; the rest is
//! here: how many connections there may be, altogether and from one source, what those
//! beyond are told, who the client behind a proxy is, which certificate a name gets, and how
//! all of them end when the process does.
//!
//! Invariants:
//! - a connection holds its permits until its task ends, however it ends;
//! - a task that panics takes nobody with it;
//! - the peer of a connection is the client: where a proxy speaks for it, it is the address
//!   that the proxy tells, also for permits;
//! - after [`Shutdown::begin`] nothing new is accepted, and sessions learn of it at their
//!   next wait.

mod listener;
mod metrics;
pub mod proxy;
mod shutdown;
mod socket;
mod stream;
mod tls;

pub use listener::{Connection, Limits, Listener, source_of};
pub use metrics::Metrics;
pub use shutdown::{Ending, Shutdown};
pub use stream::Stream;
pub use tls::{Certificate, Certificates, TlsAcceptor, TlsError, TlsFacts};
