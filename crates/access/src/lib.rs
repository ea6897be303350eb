//! Who may sign in, from where.

pub mod block;
pub mod event;
pub mod facts;
pub mod guard;
pub mod place;
pub mod policy;
pub mod reason;
pub mod rule;
mod source;
pub mod state;

pub use source::source_of;
pub use state::{Capacity, Cluster, State};
