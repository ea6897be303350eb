//! The words that every other crate speaks: ids, addresses, domain names, networks,
//! time, and who acts.
//!
//! Nothing here does I/O except [`SystemClock`] and [`SystemRandom`], the two places where
//! the process asks the machine for the time and for random bytes. Everything that needs
//! either takes a [`Clock`] or a [`Random`] instead, so that tests decide.

mod actor;
mod address;
mod clock;
mod domain;
mod id;
mod network;
mod rising;

pub use actor::{Actor, Service};
pub use address::{Address, AddressError, AddressKey, LocalPart};
pub use clock::{Clock, Random, SystemClock, SystemRandom, Timestamp};
pub use domain::{Domain, DomainError};
pub use id::{
    AccountId, AliasId, AuditId, ContentId, CredentialId, DomainId, EmailId, ExceptionId, GroupId, IdError,
    ListId, NodeId, PlanId, RoleId, RuleId, SessionId, ShardId, TenantId, ThreadId, TraceId,
};
pub use network::{Network, NetworkError, canonical_ip};
pub use rising::RisingIds;
