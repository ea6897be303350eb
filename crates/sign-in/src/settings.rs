//! What a tenant has set, as decisions take it.
//!
//! The directory's fields are made into [`Settings`] once for each version of a tenant that its
//! caches give out: as long as it is the same one, so are they. The same for its source rules.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hikyaku_access::facts::Class;
use hikyaku_access::guard::Settings;
use hikyaku_access::policy::{Bounds, Exempt, Note, Policy, Scope};
use hikyaku_directory::{AccessFacts, BlockScope, ExemptNetwork, Limit, Tenant, TenantFacts};
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
    fn of(&self, tenant: &Arc<TenantFacts>, access: &Arc<AccessFacts>) -> Arc<Settings> {
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
        let settings = Arc::new(Settings { rules, accounts, ..settings(&tenant.fields) });
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
        let Some(tenant) = tenant else { return Ok(Arc::default()) };
        let Some(facts) = self.directory.tenant(tenant).await? else { return Ok(Arc::default()) };
        let access = self.directory.access(tenant).await?;
        Ok(self.made.of(&facts, &access))
    }
}

/// The bounds hold for what was chosen before they changed, too.
fn settings(fields: &Tenant) -> Settings {
    let usual = Policy::default_for(Class::Mail);
    let number =
        |limit: Limit, usual: u32| limit.0.map_or(usual, |number| u32::try_from(number).unwrap_or(u32::MAX));
    let minutes = |limit: Limit, usual: Duration| {
        limit.0.map_or(usual, |minutes| Duration::from_secs(minutes.saturating_mul(60)))
    };
    let chosen = Policy {
        failures: number(fields.block_failures, usual.failures),
        window: minutes(fields.block_window, usual.window),
        block: minutes(fields.block_minutes, usual.block),
        growth: number(fields.block_growth, usual.growth),
        longest: minutes(fields.block_longest, usual.longest),
        scope: match fields.block_scope {
            BlockScope::Account => Scope::Account,
            BlockScope::Tenant => Scope::Tenant,
        },
    };
    let exempt = fields.exempt_networks.iter().filter_map(|exempt| self::exempt(&exempt.0)).collect();
    Settings { mail: Bounds::default().nearest(&chosen), exempt, ..Settings::default() }
}

fn exempt(written: &ExemptNetwork) -> Option<Exempt> {
    let note = Note::new(&written.note).ok()?;
    Some(Exempt { network: written.network, note, until: written.until.map(hikyaku_directory::Day::end) })
}

#[cfg(test)]
mod tests {
    use hikyaku_directory::{BOUNDS, Edit, Record};
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
        assert_eq!(settings(&Tenant::default()).mail, Policy::default_for(Class::Mail));
    }

    #[test]
    fn what_is_chosen_holds() {
        let chosen = settings(&tenant(&[
            ("block_failures", "5"),
            ("block_window", "30"),
            ("block_minutes", "10"),
            ("block_growth", "3"),
            ("block_longest", "120"),
            ("block_scope", "tenant"),
            ("exempt_networks", "192.0.2.0/24 until 2027-03-31 auditors, 2001:db8::/32 office"),
        ]));
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

    /// The directory refuses what the decision would not take.
    #[test]
    fn the_bounds_of_the_directory_are_those_of_the_decision() {
        for (field, _, least, most) in BOUNDS {
            for (number, is_allowed) in [(least, true), (most, true), (least - 1, false), (most + 1, false)] {
                let text = number.to_string();
                let fields = tenant(&[(field, &text)]);
                let nearest = settings(&fields).mail;
                let held = match field {
                    "block_failures" => u64::from(nearest.failures),
                    "block_window" => nearest.window.as_secs() / 60,
                    "block_minutes" => nearest.block.as_secs() / 60,
                    "block_growth" => u64::from(nearest.growth),
                    _ => nearest.longest.as_secs() / 60,
                };
                assert_eq!(held == number, is_allowed, "{field} {number}");
            }
        }
    }
}
