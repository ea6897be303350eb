//! Who really sent a message.
mod name;
mod side_by_side;
pub mod dns;
pub use name::Name;
pub mod message;
pub mod spf;
