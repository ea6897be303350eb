//! Tenants: one customer of the provider, with a plan.

use hikyaku_store::TenantTx;
use hikyaku_types::{Domain, Network, ShardId};

use crate::change::{Settling, invalid};
use crate::error::DirectoryError;
use crate::field::{Limit, Text, choice, record};
use crate::kind::forged_mail::ForgedMail;
use crate::kind::guessing::{BlockScope, ExemptNetwork};
use crate::kind::{Kind, plan};
use crate::object::{self, Object};

choice! {
    /// In which language somebody is written to.
    pub enum Language {
        /// Japanese.
        Japanese = "ja",
        /// English.
        English = "en",
    }
}

record! {
    /// One customer.
    pub struct Tenant {
        /// A title for people.
        title: String = String::new(),
        /// The name of its plan.
        plan: String = String::new(),
        /// The number of the shard where its mail is; fixed once it has an account.
        shard: Limit = Limit(Some(0)),
        /// The language of notices.
        language: Language = Language::Japanese,
        /// Fewest characters of a password; none is the platform's default.
        password_length: Limit = Limit(None),
        /// What is done with mail whose author's domain asks to refuse it (DMARC).
        forged_mail: ForgedMail = ForgedMail::Obey,
        /// Domains of those who pass mail on, and are believed about who sent it (ARC, DKIM).
        forwarder_domains: Vec<Text<Domain>> = Vec::new(),
        /// Networks of such.
        forwarder_networks: Vec<Text<Network>> = Vec::new(),
        /// App passwords made from now on open by SCRAM too: yes or no.
        scram: bool = false,
        /// Networks whose wrong passwords are not held against them, each with whose it is.
        exempt_networks: Vec<Text<ExemptNetwork>> = Vec::new(),
        /// Different wrong passwords that block their source; none is what all have.
        block_failures: Limit = Limit(None),
        /// Minutes within which they are counted.
        block_window: Limit = Limit(None),
        /// Minutes of the first block.
        block_minutes: Limit = Limit(None),
        /// How many times longer each further block is.
        block_growth: Limit = Limit(None),
        /// Minutes of the longest block.
        block_longest: Limit = Limit(None),
        /// Whom a block keeps out.
        block_scope: BlockScope = BlockScope::Account,
        /// The operator's or administrator's note.
        note: String = String::new(),
    }
}

/// What only the operator changes.
pub const OPERATORS_FIELDS: [&str; 2] = ["plan", "shard"];

impl Tenant {
    /// Where its mail is.
    pub fn shard(&self) -> ShardId {
        ShardId(self.shard.0.and_then(|number| u16::try_from(number).ok()).unwrap_or(0))
    }
}

pub(crate) fn settle(
    tx: &mut TenantTx<'_>,
    object: &mut Object,
    settling: &Settling<'_>,
) -> Result<(), DirectoryError> {
    plan::check_word(object.kind, &object.name)?;
    let fields: Tenant = object::record(&object.data)?;
    if fields.plan.is_empty() {
        return Err(invalid("plan", "a tenant has a plan: give one with --plan"));
    }
    if fields.shard.0.is_none_or(|number| number > u64::from(u16::MAX)) {
        return Err(invalid("shard", "a tenant lives in a shard: give its number"));
    }
    let before: Option<Tenant> = settling.before.map(|before| object::record(&before.data)).transpose()?;
    settling.blocking.check(before.as_ref(), &fields)?;
    let Some(before) = before else { return Ok(()) };
    if before.shard != fields.shard && object::count(tx, Kind::Account)? > 0 {
        return Err(invalid("shard", "its mail is in the shard: a tenant with accounts stays there"));
    }
    Ok(())
}
