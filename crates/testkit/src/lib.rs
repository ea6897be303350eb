//! What tests are made of: a clock that is set, seeded randomness, scratch folders and
//! PostgreSQL clusters.
//!
//! For tests only: other crates name it under `dev-dependencies`, and a house rule says so
//! when one does not. Everything here fails by panicking with a sentence, since that is how
//! a test fails.

mod clock;
pub mod crash;
mod directory;
pub mod mmdb;
pub mod pgproxy;
pub mod postgres;
mod random;
mod scram;
mod scratch;
mod store;

pub use clock::ManualClock;
pub use directory::{PASSWORDS_AT_ONCE, TestDirectory, gate, set};
pub use random::{Rng, SeededRandom};
pub use scram::ScramClient;
pub use scratch::scratch_dir;
pub use store::{COMPONENTS, DELIVERY, SHARD, TestStore, owner};
