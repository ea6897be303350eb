//! Recovery codes let a tenant out that shut itself out.

use std::sync::Arc;
use std::time::Duration;

use hikyaku_access::rule::change::{Begin, OwnAddress};
use hikyaku_directory::{Entrance, RuleMode};
use hikyaku_sign_in::{By, Gate, Proposal, RecoveryError, RuleOf, RuleOwner};
use hikyaku_testkit::{SeededRandom, TestStore, both_engines};
use hikyaku_types::{Actor, TenantId};

use crate::rig::{ELSEWHERE, OFFICE, Rig, ann};

both_engines! {
    a_code_lets_everybody_in_once
    only_the_last_code_of_the_tenant_is_right
    only_who_may_change_the_tenant_makes_codes
}

/// Two, and the node that they ask.
struct Tenants {
    rig: Rig,
    gate: Arc<Gate>,
}

fn tenant(number: i64) -> TenantId {
    TestStore::home(number, number).tenant
}

fn administrator() -> By<'static> {
    let actor = Actor::Administrator { tenant: tenant(1) };
    By { actor, who: "suzuki", reason: None, from: Some(OFFICE.parse().unwrap()), dry_run: false }
}

impl Tenants {
    fn new(mail: TestStore) -> Self {
        let rig = Rig::with_a_neighbour(mail);
        let gate = rig.gate();
        Self { rig, gate }
    }

    fn lets_in(&self, source: &str) -> bool {
        self.rig.lets_in(&self.gate, "ann@example.org", "secret", source)
    }

    fn enforce(&self, owner: RuleOwner, mode: RuleMode, begin: Begin) {
        let of = RuleOf { service: Entrance::Imap, tenant: None, owner };
        let allow = Some(vec!["192.0.2.0/24 office".parse().unwrap()]);
        let proposal = Proposal { mode, allow, begin, own_address: OwnAddress::MustBeAllowed };
        self.rig.runtime.block_on(self.gate.propose_rule(&administrator(), &of, &proposal)).unwrap();
    }

    fn make(&self, number: i64, seed: u64) -> String {
        let by = By { actor: Actor::Administrator { tenant: tenant(number) }, ..administrator() };
        let name = format!("tenant-{number}");
        let random = SeededRandom::new(seed);
        self.rig
            .runtime
            .block_on(self.gate.make_recovery_code(&by, &name, &random))
            .unwrap()
            .unwrap()
            .to_text()
            .to_string()
    }

    /// The rules that were released; `None` if the code was not right.
    fn recover(&self, name: &str, code: &str) -> Option<Vec<String>> {
        match self.rig.runtime.block_on(self.gate.recover(name, code, Some(ELSEWHERE.parse().unwrap()))) {
            Ok(done) => Some(done.rules),
            Err(RecoveryError::NoCode) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// The newest lines of the audit log of the first: who did what, and why.
    fn audit(&self, limit: u16) -> Vec<String> {
        let lines = self.rig.audit("tenant-1", limit);
        let told = lines.iter().map(|line| {
            let why = line.reason.as_deref().unwrap_or("-");
            format!("{} {} {} ({why})", line.actor, line.action, line.kind)
        });
        told.collect()
    }
}

fn a_code_lets_everybody_in_once(mail: TestStore) {
    let tenants = Tenants::new(mail);
    let code = tenants.make(1, 5);
    assert_eq!(tenants.audit(1), ["suzuki make-recovery-code tenant (-)"]);
    tenants.enforce(RuleOwner::Tenant, RuleMode::Enforce, Begin::AtOnce);
    tenants.enforce(RuleOwner::Account("ann@example.org".into()), RuleMode::Enforce, Begin::AfterWatch);
    tenants.enforce(RuleOwner::Domain("example.org".into()), RuleMode::Watch, Begin::AtOnce);
    assert!(!tenants.lets_in(ELSEWHERE));
    // As people type it.
    let typed = code.to_uppercase().replace('-', " ");
    let released = tenants.recover("tenant-1", &typed).unwrap();
    assert_eq!(released.len(), 2, "what holds and what was to hold: {released:?}");
    assert!(tenants.lets_in(ELSEWHERE));
    tenants.rig.later(Duration::from_secs(2 * 86_400));
    assert!(tenants.lets_in(ELSEWHERE), "nothing begins later");
    let line = format!("recovery code change rule (recovery from {ELSEWHERE})");
    assert_eq!(tenants.audit(2), [line.clone(), line]);
    assert_eq!(tenants.recover("tenant-1", &code), None, "it is used up");
    let next = tenants.make(1, 6);
    assert_eq!(tenants.recover("tenant-1", &next), Some(Vec::new()), "nothing is left to release");
}

fn only_the_last_code_of_the_tenant_is_right(mail: TestStore) {
    let tenants = Tenants::new(mail);
    tenants.enforce(RuleOwner::Tenant, RuleMode::Enforce, Begin::AtOnce);
    assert_eq!(
        tenants.recover("tenant-1", "k7m2-pqx9-k7m2-pqx9-k7m2-pqx9-k7m2-pqx9-k7m2"),
        None,
        "there is none"
    );
    let (first, other) = (tenants.make(1, 1), tenants.make(2, 2));
    let second = tenants.make(1, 3);
    let almost = format!("{}{}", &second[..second.len() - 1], if second.ends_with('0') { '1' } else { '0' });
    for wrong in [first.as_str(), &other, &almost, "", "secret"] {
        assert_eq!(tenants.recover("tenant-1", wrong), None, "{wrong}");
    }
    assert_eq!(tenants.recover("no-such-tenant", &second), None);
    assert_eq!(tenants.recover("tenant-2", &second), None);
    assert!(!tenants.lets_in(ELSEWHERE));
    assert_eq!(
        tenants.recover("tenant-1", &second).map(|rules| rules.len()),
        Some(1),
        "tries are not counted"
    );
    assert!(tenants.lets_in(ELSEWHERE));
}

fn only_who_may_change_the_tenant_makes_codes(mail: TestStore) {
    let tenants = Tenants::new(mail);
    let code = tenants.make(1, 1);
    let make = |by: &By<'_>| {
        tenants.rig.runtime.block_on(tenants.gate.make_recovery_code(by, "tenant-1", &SeededRandom::new(9)))
    };
    let stranger = By { actor: Actor::Administrator { tenant: tenant(2) }, ..administrator() };
    let owner = By { actor: Actor::Owner { tenant: tenant(1), account: ann() }, ..administrator() };
    assert!(make(&stranger).is_err());
    assert!(make(&owner).is_err());
    assert!(make(&By { dry_run: true, ..administrator() }).unwrap().is_none());
    assert!(tenants.recover("tenant-1", &code).is_some(), "it was not replaced");
    assert!(make(&By { actor: Actor::Operator, who: "operator root", ..administrator() }).unwrap().is_some());
}
