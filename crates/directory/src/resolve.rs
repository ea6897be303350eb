//! What an address means: whose mailboxes its mail goes to, and where else.
//!
//! Looked up as it is, then without its tag, then as the domain's catch-all; a domain that is
//! another's name is replaced by that first. Aliases, lists and accounts that send on are
//! followed inside the tenant; what leads out of it is an address to be sent to.
//! Invariants: nobody gets a message twice through two ways; a circle ends.

use std::collections::HashSet;
use std::sync::Arc;

use hikyaku_mailstore::Quota;
use hikyaku_store::{AccountHome, Scope, StoreError};
use hikyaku_types::{Address, AddressKey, Domain, LocalPart, TenantId};

use crate::facts::{AccessFacts, AccountFacts, DomainFacts, Lead, LeadsTo, TenantFacts};
use crate::kind::forged_mail::ForgedMailPolicy;
use crate::object::State;
use crate::{DIRECTORY, Directory};

/// Most mailboxes and addresses that one address leads to.
pub const MOST_RECIPIENTS: usize = 1_000;

/// One account, as those who serve it need it.
#[derive(Debug, Clone)]
pub struct Account {
    /// Where its mail is.
    pub home: AccountHome,
    /// How much it may store.
    pub quota: Quota,
    /// How much its tenant may store.
    pub pool: Quota,
    /// The account.
    pub facts: Arc<AccountFacts>,
    /// Its tenant.
    pub tenant: Arc<TenantFacts>,
}

impl Account {
    fn new(facts: &Arc<AccountFacts>, tenant: &Arc<TenantFacts>) -> Self {
        let most = tenant.plan.largest_mailbox.0;
        let quota = match (facts.quota, most) {
            (Some(own), Some(most)) => Some(own.min(most)),
            (own, most) => own.or(most),
        };
        Self {
            home: AccountHome { tenant: tenant.id, account: facts.id, shard: tenant.fields.shard() },
            quota: Quota(quota),
            pool: Quota(tenant.plan.pool.0),
            facts: Arc::clone(facts),
            tenant: Arc::clone(tenant),
        }
    }

    /// The address that it is called by.
    pub fn address(&self) -> &Address {
        &self.facts.address
    }

    /// The largest message that it receives or sends, in bytes.
    pub fn largest_message(&self) -> Option<u64> {
        self.tenant.plan.largest_message.0
    }
}

/// Where mail to an address goes.
#[derive(Debug, Clone)]
pub struct Recipients {
    /// Whose address it is.
    pub tenant: Arc<TenantFacts>,
    /// To these accounts, each once.
    pub accounts: Vec<Receiver>,
    /// On to these addresses, which are not the tenant's.
    pub forwards: Vec<Address>,
}

/// An account that an address leads to.
#[derive(Debug, Clone)]
pub struct Receiver {
    /// The account.
    pub account: Arc<Account>,
    /// The tag of the address that led to it, where its owner chose that mail goes into the
    /// mailbox of that name.
    pub tag: Option<String>,
}

impl Receiver {
    fn new(facts: &Arc<AccountFacts>, tenant: &Arc<TenantFacts>, tag: Option<String>) -> Self {
        Self { account: Arc::new(Account::new(facts, tenant)), tag: tag.filter(|_| facts.tag_mailbox) }
    }
}

/// What an address is to us.
#[derive(Debug, Clone)]
pub enum Resolution {
    /// Its mail goes somewhere.
    Recipients(Recipients),
    /// It is there and does not receive mail now: suspended.
    Suspended,
    /// In a domain of ours, and nobody's.
    NoMailbox,
    /// In somebody else's domain.
    Foreign,
}

/// What one address is, before anything is followed.
enum Found {
    Lead {
        lead: Arc<Lead>,
        tenant: Arc<TenantFacts>,
        /// What had to be taken off the name to find it.
        tag: Option<String>,
    },
    /// Nobody has it, but the domain has somebody for such mail.
    CatchAll {
        to: Address,
        tenant: Arc<TenantFacts>,
    },
    Suspended,
    NoMailbox,
    Foreign,
}

impl Directory {
    /// What an address is to us.
    ///
    /// # Errors
    /// [`StoreError`]: it cannot be told now.
    pub async fn resolve(&self, address: &Address) -> Result<Resolution, StoreError> {
        let (lead, tenant, tag) = match self.find(address).await? {
            Found::Lead { lead, tenant, tag } => (lead, tenant, tag),
            Found::CatchAll { to, tenant } => return self.follow(vec![to], &tenant).await,
            Found::Suspended => return Ok(Resolution::Suspended),
            Found::NoMailbox => return Ok(Resolution::NoMailbox),
            Found::Foreign => return Ok(Resolution::Foreign),
        };
        match &lead.to {
            LeadsTo::Account(facts) if facts.forward_to.is_empty() => {
                let accounts = vec![Receiver::new(facts, &tenant, tag)];
                Ok(Resolution::Recipients(Recipients { tenant, accounts, forwards: Vec::new() }))
            }
            LeadsTo::Account(_) => self.follow(vec![address.clone()], &tenant).await,
            LeadsTo::Others(targets) => self.follow(targets.clone(), &tenant).await,
        }
    }

    /// Follows addresses inside a tenant until only mailboxes and foreign addresses are left.
    async fn follow(&self, first: Vec<Address>, tenant: &Arc<TenantFacts>) -> Result<Resolution, StoreError> {
        let mut waiting = first;
        let mut seen: HashSet<AddressKey> = HashSet::new();
        let mut seen_accounts = HashSet::new();
        let mut recipients =
            Recipients { tenant: Arc::clone(tenant), accounts: Vec::new(), forwards: Vec::new() };
        let mut is_suspended = false;
        while let Some(address) = waiting.pop() {
            if !seen.insert(address.key()) || seen.len() > MOST_RECIPIENTS {
                continue;
            }
            match self.find(&address).await? {
                Found::Lead { lead, tenant: of, tag } if of.id == tenant.id => match &lead.to {
                    LeadsTo::Account(facts) => {
                        let is_new = seen_accounts.insert(facts.id);
                        if is_new && (facts.keep_copy || facts.forward_to.is_empty()) {
                            recipients.accounts.push(Receiver::new(facts, tenant, tag));
                        }
                        waiting.extend(facts.forward_to.iter().filter(|_| is_new).cloned());
                    }
                    LeadsTo::Others(targets) => waiting.extend(targets.iter().cloned()),
                },
                Found::CatchAll { to, tenant: of } if of.id == tenant.id => waiting.push(to),
                Found::Suspended => is_suspended = true,
                Found::NoMailbox => {}
                // Whoever else's it is, it leaves the tenant, and is sent like any other mail.
                Found::Lead { .. } | Found::CatchAll { .. } | Found::Foreign => {
                    recipients.forwards.push(address);
                }
            }
        }
        let leads_nowhere = recipients.accounts.is_empty() && recipients.forwards.is_empty();
        Ok(match (leads_nowhere, is_suspended) {
            (false, _) => Resolution::Recipients(recipients),
            (true, true) => Resolution::Suspended,
            (true, false) => Resolution::NoMailbox,
        })
    }

    /// Who reads mail to `<Postmaster>` without a domain (RFC 5321 section 4.5.1): the
    /// postmaster of `domain`.
    ///
    /// # Errors
    /// [`StoreError`]: it cannot be told now.
    pub async fn postmaster(&self, domain: &Domain) -> Result<Resolution, StoreError> {
        match LocalPart::parse("postmaster") {
            Ok(local_part) => self.resolve(&Address { local_part, domain: domain.clone() }).await,
            Err(_) => Ok(Resolution::NoMailbox),
        }
    }

    /// What its domain and tenant want done with forged mail to this address.
    ///
    /// # Errors
    /// [`StoreError`]: it cannot be told now.
    pub async fn forged_mail(&self, address: &Address) -> Result<ForgedMailPolicy, StoreError> {
        let home = self.home_of(address).await?;
        let of = |(domain, tenant, _): (Arc<DomainFacts>, Arc<TenantFacts>, Address)| {
            ForgedMailPolicy::new(&tenant.fields, &domain.fields)
        };
        Ok(home.map(of).unwrap_or_default())
    }

    /// Whose domain an address is in; `None` if it is none of ours.
    ///
    /// # Errors
    /// [`StoreError`]: it cannot be told now.
    pub async fn whose(&self, address: &Address) -> Result<Option<Arc<TenantFacts>>, StoreError> {
        Ok(self.home_of(address).await?.map(|(_, tenant, _)| tenant))
    }

    /// The account that signs in with this address, whether or not it may.
    ///
    /// # Errors
    /// [`StoreError`]: it cannot be told now.
    pub async fn account_of(&self, address: &Address) -> Result<Option<(Account, State)>, StoreError> {
        let Some((domain, tenant, address)) = self.home_of(address).await? else { return Ok(None) };
        let Some(lead) = self.lead(&address.key()).await? else { return Ok(None) };
        let LeadsTo::Account(facts) = &lead.to else { return Ok(None) };
        let state = lead.state.max(domain.state).max(tenant.state);
        Ok(Some((Account::new(facts, &tenant), state)))
    }

    /// May `account` send as `address`? It may as every address that it has, with a tag or
    /// in another name of its domain too, and as an alias that leads to it alone.
    ///
    /// # Errors
    /// [`StoreError`]: it cannot be told now.
    pub async fn owns(&self, account: &Account, address: &Address) -> Result<bool, StoreError> {
        let Found::Lead { lead, tenant, .. } = self.find(address).await? else { return Ok(false) };
        match &lead.to {
            LeadsTo::Account(facts) => Ok(facts.id == account.home.account),
            LeadsTo::Others(targets) => {
                let [only] = targets.as_slice() else { return Ok(false) };
                let Found::Lead { lead, tenant: of, .. } = self.find(only).await? else { return Ok(false) };
                let is_it = matches!(&lead.to, LeadsTo::Account(facts) if facts.id == account.home.account);
                Ok(is_it && tenant.id == of.id)
            }
        }
    }

    /// The domain of ours that an address is in, its tenant, and the address in the domain
    /// that has it.
    async fn home_of(
        &self,
        address: &Address,
    ) -> Result<Option<(Arc<DomainFacts>, Arc<TenantFacts>, Address)>, StoreError> {
        let Some(mut domain) = self.domain(&address.domain).await? else { return Ok(None) };
        let mut address = address.clone();
        if let Some(other) = domain.alias_of.clone() {
            let state = domain.state;
            let Some(found) = self.domain(&other).await? else { return Ok(None) };
            address.domain = other;
            domain = if state > found.state { with_state(&found, state) } else { found };
        }
        let Some(tenant) = self.tenant(domain.tenant).await? else { return Ok(None) };
        Ok(Some((domain, tenant, address)))
    }

    async fn find(&self, address: &Address) -> Result<Found, StoreError> {
        let Some((domain, tenant, address)) = self.home_of(address).await? else { return Ok(Found::Foreign) };
        match domain.state.max(tenant.state) {
            State::Active => {}
            State::Suspended => return Ok(Found::Suspended),
            State::Deleted => return Ok(Found::NoMailbox),
        }
        let tagged = domain.tag_separator.and_then(|separator| without_tag(&address, separator));
        for (address, tag) in std::iter::once((address, None)).chain(tagged) {
            let lead = self.lead(&address.key()).await?;
            match lead.filter(|lead| lead.state != State::Deleted && lead.tenant == tenant.id) {
                Some(lead) if lead.state == State::Suspended => return Ok(Found::Suspended),
                Some(lead) => return Ok(Found::Lead { lead, tenant, tag }),
                None => {}
            }
        }
        Ok(match &domain.catch_all {
            Some(to) => Found::CatchAll { to: to.clone(), tenant },
            None => Found::NoMailbox,
        })
    }

    pub(crate) async fn domain(&self, name: &Domain) -> Result<Option<Arc<DomainFacts>>, StoreError> {
        if let Some(known) = self.fresh().and_then(|caches| caches.domains.get(name)) {
            return Ok(known);
        }
        let (mark, key) = (self.caches.mark(), name.as_str().to_owned());
        let found = self.read("directory.domain", move |tx| crate::facts::read_domain(tx, &key)).await?;
        let found = found.map(Arc::new);
        self.caches.keep(mark, |caches| caches.domains.insert(name.clone(), found.clone()));
        Ok(found)
    }

    /// A tenant and its plan.
    ///
    /// # Errors
    /// [`StoreError`]: it cannot be told now.
    pub async fn tenant(&self, id: TenantId) -> Result<Option<Arc<TenantFacts>>, StoreError> {
        if let Some(known) = self.fresh().and_then(|caches| caches.tenants.get(&id)) {
            return Ok(Some(known));
        }
        let mark = self.caches.mark();
        let found = self.read("directory.tenant", move |tx| crate::facts::read_tenant(tx, id)).await?;
        let Some(found) = found.map(Arc::new) else { return Ok(None) };
        self.caches.keep(mark, |caches| caches.tenants.insert(id, Arc::clone(&found)));
        Ok(Some(found))
    }

    /// From where a tenant's accounts may sign in.
    ///
    /// # Errors
    /// [`StoreError`]: it cannot be told now.
    pub async fn access(&self, id: TenantId) -> Result<Arc<AccessFacts>, StoreError> {
        if let Some(known) = self.fresh().and_then(|caches| caches.access.get(&id)) {
            return Ok(known);
        }
        let mark = self.caches.mark();
        let scope = Scope::tenant(&DIRECTORY, id).map_err(|_| StoreError::Closed)?;
        let found = Arc::new(self.store.read(scope, "directory.access", crate::facts::read_access).await?);
        self.caches.keep(mark, |caches| caches.access.insert(id, Arc::clone(&found)));
        Ok(found)
    }

    pub(crate) async fn lead(&self, key: &AddressKey) -> Result<Option<Arc<Lead>>, StoreError> {
        if let Some(known) = self.fresh().and_then(|caches| caches.addresses.get(key)) {
            return Ok(known);
        }
        let (mark, text) = (self.caches.mark(), key.as_str().to_owned());
        let found = self.read("directory.address", move |tx| crate::facts::read_lead(tx, &text)).await?;
        let found = found.map(Arc::new);
        self.caches.keep(mark, |caches| caches.addresses.insert(key.clone(), found.clone()));
        Ok(found)
    }
}

fn with_state(domain: &DomainFacts, state: State) -> Arc<DomainFacts> {
    Arc::new(DomainFacts {
        id: domain.id,
        tenant: domain.tenant,
        state,
        alias_of: None,
        catch_all: domain.catch_all.clone(),
        tag_separator: domain.tag_separator,
        fields: domain.fields.clone(),
    })
}

/// The address that is left, and the tag.
fn without_tag(address: &Address, separator: char) -> Option<(Address, Option<String>)> {
    let (name, tag) = address.local_part.as_str().split_once(separator)?;
    let local_part = LocalPart::from_unquoted(name).ok()?;
    Some((Address { local_part, domain: address.domain.clone() }, Some(tag.to_owned())))
}
