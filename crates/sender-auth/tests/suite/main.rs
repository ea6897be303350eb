//! What the crate does with whole messages and with vectors of others.

mod arc_vectors;
mod dkim_vectors;
mod signatures;
mod signer;
mod spf_vectors;
mod whole;
