//! The way in, on both engines: [`rig`] has what all tests share, virtual time among it.

mod deeds;
mod expiry;
mod gate;
mod recovery;
mod rig;
mod rules;
mod scram;
mod sessions;
mod unusual;
