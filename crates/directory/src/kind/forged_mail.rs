//! What a tenant and its domains want done with mail whose author is not who it says.
//!
//! The words of it, as fields of [`tenant`](super::tenant) and [`domain`](super::domain), and
//! what they are together: a domain that says something else than its tenant is obeyed, and
//! forwarders that either trusts are trusted.

use hikyaku_types::{Domain as Name, Network};

use crate::field::{Text, choice};
use crate::kind::domain::Domain;
use crate::kind::tenant::Tenant;

choice! {
    /// What is done if the author's domain asks to refuse what it did not send (DMARC).
    pub enum ForgedMail {
        /// Refused or put into Junk, as it asks.
        Obey = "obey",
        /// Only written into the message.
        Stamp = "stamp",
        /// Nothing.
        Ignore = "ignore",
    }
}

choice! {
    /// The same of a domain.
    pub enum DomainForgedMail {
        /// What the tenant says.
        AsTenant = "as_tenant",
        /// Refused or put into Junk, as it asks.
        Obey = "obey",
        /// Only written into the message.
        Stamp = "stamp",
        /// Nothing.
        Ignore = "ignore",
    }
}

/// What is to be done about mail to one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForgedMailPolicy {
    /// What is done.
    pub mode: ForgedMail,
    /// Domains of those who pass mail on and are believed about who sent it.
    pub forwarder_domains: Vec<Name>,
    /// Networks of such.
    pub forwarder_networks: Vec<Network>,
}

impl Default for ForgedMailPolicy {
    fn default() -> Self {
        Self { mode: ForgedMail::Obey, forwarder_domains: Vec::new(), forwarder_networks: Vec::new() }
    }
}

impl ForgedMailPolicy {
    /// For an address in `domain` of `tenant`.
    pub(crate) fn new(tenant: &Tenant, domain: &Domain) -> Self {
        let mode = match domain.forged_mail {
            DomainForgedMail::AsTenant => tenant.forged_mail,
            DomainForgedMail::Obey => ForgedMail::Obey,
            DomainForgedMail::Stamp => ForgedMail::Stamp,
            DomainForgedMail::Ignore => ForgedMail::Ignore,
        };
        let domains = tenant.forwarder_domains.iter().chain(&domain.forwarder_domains);
        let networks = tenant.forwarder_networks.iter().chain(&domain.forwarder_networks);
        Self {
            mode,
            forwarder_domains: domains.map(|Text(name)| name.clone()).collect(),
            forwarder_networks: networks.map(|Text(network)| *network).collect(),
        }
    }
}
