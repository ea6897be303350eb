//! What is known of a message: the facts that the checks start from.

use std::net::IpAddr;

/// The client, and what it said of itself in the envelope.
#[derive(Debug, Clone, Copy)]
pub struct Client<'a> {
    /// Its address.
    pub ip: IpAddr,
    /// The name that it gave in EHLO or HELO.
    pub helo: &'a str,
    /// The reverse-path without brackets; empty is the null reverse-path.
    pub reverse_path: &'a str,
}
