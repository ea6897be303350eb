//! What a tenant has set, as decisions take it.
//!
//! The directory's fields are made into [`Settings`] once for each version of a tenant that its
//! caches give out: as long as it is the same one, so are they. The same for its source rules.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hikyaku_access::guard::Settings;
use hikyaku_access::policy::{Exempt, Note, Policy, Scope};
use hikyaku_directory::{
    AccessFacts, BlockBounds, BlockNumbers, BlockScope, ExemptNetwork, Tenant, TenantFacts,
};
use hikyaku_store::StoreError;
use hikyaku_types::TenantId;

use crate::gate::Gate;

/// Most tenants whose settings are kept made.
const MOST: usize = 30_000;

/// A version of a tenant and of its rules, and what was made of them.
#[derive(Debug)]
struct MadeOf {
    tenant: Arc<TenantFacts>,
    access: Arc<AccessFacts>,
    settings: Arc<Settings>,
}

/// Settings that were made.
#[derive(Debug, Default)]
pub(crate) struct Made {
    tenants: Mutex<HashMap<TenantId, MadeOf>>,
}

impl Made {
    fn of(
        &self,
        blocking: &BlockBounds,
        tenant: &Arc<TenantFacts>,
        access: &Arc<AccessFacts>,
    ) -> Arc<Settings> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = tenants.get(&tenant.id)
            && Arc::ptr_eq(&made.tenant, tenant)
            && Arc::ptr_eq(&made.access, access)
        {
            return Arc::clone(&made.settings);
        }
        if tenants.len() >= MOST {
            tenants.clear();
        }
        let (rules, accounts) = (crate::rules::of(access), access.accounts);
        let settings = Arc::new(Settings { rules, accounts, ..settings(blocking, &tenant.fields) });
        let made = MadeOf {
            tenant: Arc::clone(tenant),
            access: Arc::clone(access),
            settings: Arc::clone(&settings),
        };
        tenants.insert(tenant.id, made);
        settings
    }
}

impl Gate {
    /// The settings of a tenant; for names in nobody's domain those of everybody.
    pub(crate) async fn settings(&self, tenant: Option<TenantId>) -> Result<Arc<Settings>, StoreError> {
        let blocking = self.directory.blocking();
        let Some(tenant) = tenant else { return Ok(Arc::new(of_everybody(blocking))) };
        let Some(facts) = self.directory.tenant(tenant).await? else {
            return Ok(Arc::new(of_everybody(blocking)));
        };
        let access = self.directory.access(tenant).await?;
        Ok(self.made.of(blocking, &facts, &access))
    }
}

/// Of names that are nobody's: what all have who choose nothing.
fn of_everybody(blocking: &BlockBounds) -> Settings {
    Settings { mail: policy(&blocking.usual, BlockScope::Account), ..Settings::default() }
}

/// The bounds hold for what was chosen before they changed, too.
fn settings(blocking: &BlockBounds, fields: &Tenant) -> Settings {
    let exempt = fields.exempt_networks.iter().filter_map(|exempt| self::exempt(&exempt.0)).collect();
    Settings { mail: policy(&blocking.held(fields), fields.block_scope), exempt, ..Settings::default() }
}

fn policy(numbers: &BlockNumbers, scope: BlockScope) -> Policy {
    let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let minutes = |minutes: u64| Duration::from_secs(minutes.saturating_mul(60));
    Policy {
        failures: number(numbers.failures),
        window: minutes(numbers.window),
        block: minutes(numbers.minutes),
        growth: number(numbers.growth),
        longest: minutes(numbers.longest),
        scope: match scope {
            BlockScope::Account => Scope::Account,
            BlockScope::Tenant => Scope::Tenant,
        },
    }
}

fn exempt(written: &ExemptNetwork) -> Option<Exempt> {
    let note = Note::new(&written.note).ok()?;
    Some(Exempt { network: written.network, note, until: written.until.map(hikyaku_directory::Day::end) })
}

#[cfg(test)]
mod tests {
    use hikyaku_access::facts::Class;
    use hikyaku_directory::{Edit, Record};
    use hikyaku_types::Timestamp;

    use super::*;

    fn tenant(fields: &[(&str, &str)]) -> Tenant {
        let mut tenant = Tenant::default();
        for (name, value) in fields {
            tenant.edit(name, &Edit::Set((*value).to_owned())).unwrap();
        }
        tenant
    }

    #[test]
    fn who_chooses_nothing_has_what_all_have() {
        let usual = Policy::default_for(Class::Mail);
        assert_eq!(settings(&BlockBounds::default(), &Tenant::default()).mail, usual);
        let mut blocking = BlockBounds::default();
        blocking.usual.failures = 7;
        let seven = Policy { failures: 7, ..usual };
        assert_eq!(settings(&blocking, &Tenant::default()).mail, seven);
        assert_eq!(of_everybody(&blocking).mail, seven);
    }

    #[test]
    fn what_is_chosen_holds() {
        let chosen = settings(
            &BlockBounds::default(),
            &tenant(&[
                ("block_failures", "5"),
                ("block_window", "30"),
                ("block_minutes", "10"),
                ("block_growth", "3"),
                ("block_longest", "120"),
                ("block_scope", "tenant"),
                ("exempt_networks", "192.0.2.0/24 until 2027-03-31 auditors, 2001:db8::/32 office"),
            ]),
        );
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        let expected = Policy {
            failures: 5,
            window: minutes(30),
            block: minutes(10),
            growth: 3,
            longest: minutes(120),
            scope: Scope::Tenant,
        };
        assert_eq!(chosen.mail, expected);
        let [auditors, office] = &chosen.exempt[..] else { panic!("{chosen:?}") };
        // 2027-04-01 00:00:00 UTC.
        assert_eq!(
            (auditors.note.as_str(), auditors.until),
            ("auditors", Some(Timestamp::from_secs(1_806_537_600)))
        );
        assert_eq!((office.note.as_str(), office.until), ("office", None));
    }

    #[test]
    fn what_is_not_allowed_any_more_is_the_nearest_that_is() {
        let fields = tenant(&[("block_failures", "50"), ("block_minutes", "1")]);
        let mut blocking = BlockBounds::default();
        (blocking.ceiling.failures, blocking.floor.minutes) = (20, 30);
        let held = settings(&blocking, &fields).mail;
        assert_eq!((held.failures, held.block), (20, Duration::from_secs(30 * 60)));
    }
}
