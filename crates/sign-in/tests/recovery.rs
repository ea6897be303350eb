//! Recovery codes let a tenant out that shut itself out, on both engines.

use std::sync::Arc;

use hikyaku_access::facts::Service;
use hikyaku_access::rule::change::{Begin, OwnAddress};
use hikyaku_directory::{Action, Answer, Entrance, Request, RuleMode};
use hikyaku_sign_in::{By, Gate, Offer, Proposal, RecoveryError, RuleOf, RuleOwner};
use hikyaku_testkit::{SeededRandom, TestDirectory, TestStore, both_engines, gate};
use hikyaku_types::{Actor, TenantId};
use tokio::runtime::Runtime;

both_engines! {
    a_code_lets_everybody_in_once
    only_the_last_code_of_the_tenant_is_right
    only_who_may_change_the_tenant_makes_codes
}

const OFFICE: &str = "192.0.2.7";
const ELSEWHERE: &str = "198.51.100.7";

struct Rig {
    mail: TestStore,
    test: TestDirectory,
    gate: Arc<Gate>,
    runtime: Runtime,
}

fn tenant(number: i64) -> TenantId {
    TestStore::home(number, number).tenant
}

fn administrator() -> By<'static> {
    let actor = Actor::Administrator { tenant: tenant(1) };
    By { actor, who: "suzuki", reason: None, from: Some(OFFICE.parse().unwrap()), dry_run: false }
}

impl Rig {
    fn new(mail: TestStore) -> Self {
        let test = TestDirectory::new(&mail);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        mail.block_on(async {
            for (number, domain) in [(1, "example.org"), (2, "example.net")] {
                let home = TestStore::home(number, number);
                test.tenant(home.tenant, None).await;
                test.domain(home.tenant, domain).await;
                test.account(home, &[&format!("ann@{domain}")], None, "secret").await;
            }
        });
        let clock = Arc::clone(&mail.clock) as _;
        let gate = runtime.block_on(gate(&mail.store, &test.directory, clock));
        Self { mail, test, gate, runtime }
    }

    fn lets_in(&self, source: &str) -> bool {
        let offer = Offer {
            service: Service::Imap,
            source: source.parse().unwrap(),
            client: "",
            name: "ann@example.org",
            authorization: None,
            password: b"secret",
        };
        self.runtime.block_on(self.gate.sign_in(&offer)).is_ok()
    }

    fn enforce(&self, owner: RuleOwner, mode: RuleMode, begin: Begin) {
        let of = RuleOf { service: Entrance::Imap, tenant: None, owner };
        let allow = Some(vec!["192.0.2.0/24 office".parse().unwrap()]);
        let proposal = Proposal { mode, allow, begin, own_address: OwnAddress::MustBeAllowed };
        self.runtime.block_on(self.gate.propose_rule(&administrator(), &of, &proposal)).unwrap();
    }

    fn make(&self, number: i64, seed: u64) -> String {
        let by = By { actor: Actor::Administrator { tenant: tenant(number) }, ..administrator() };
        let name = format!("tenant-{number}");
        let random = SeededRandom::new(seed);
        self.runtime
            .block_on(self.gate.make_recovery_code(&by, &name, &random))
            .unwrap()
            .unwrap()
            .to_text()
            .to_string()
    }

    /// The rules that were released; `None` if the code was not right.
    fn recover(&self, name: &str, code: &str) -> Option<Vec<String>> {
        match self.runtime.block_on(self.gate.recover(name, code, Some(ELSEWHERE.parse().unwrap()))) {
            Ok(done) => Some(done.rules),
            Err(RecoveryError::NoCode) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// The newest lines of the audit log of tenant 1: who did what, and why.
    fn audit(&self, limit: u16) -> Vec<String> {
        let (tenant, limit) = (Some("tenant-1".to_owned()), Some(limit));
        let action = Action::Audit { tenant, object: None, before: None, limit };
        let request = Request { action, reason: None, dry_run: false };
        let answer = self.mail.block_on(self.test.directory.execute(Actor::Operator, request));
        let Ok(Answer::Audit { lines, .. }) = answer else { panic!("no audit log") };
        let told = lines.iter().map(|line| {
            format!(
                "{} {} {} ({})",
                line.actor,
                line.action,
                line.kind,
                line.reason.as_deref().unwrap_or("-")
            )
        });
        told.collect()
    }
}

fn a_code_lets_everybody_in_once(mail: TestStore) {
    let rig = Rig::new(mail);
    let code = rig.make(1, 5);
    assert_eq!(rig.audit(1), ["suzuki make-recovery-code tenant (-)"]);
    rig.enforce(RuleOwner::Tenant, RuleMode::Enforce, Begin::AtOnce);
    rig.enforce(RuleOwner::Account("ann@example.org".into()), RuleMode::Enforce, Begin::AfterWatch);
    rig.enforce(RuleOwner::Domain("example.org".into()), RuleMode::Watch, Begin::AtOnce);
    assert!(!rig.lets_in(ELSEWHERE));
    // As people type it.
    let typed = code.to_uppercase().replace('-', " ");
    let released = rig.recover("tenant-1", &typed).unwrap();
    assert_eq!(released.len(), 2, "what holds and what was to hold: {released:?}");
    assert!(rig.lets_in(ELSEWHERE));
    rig.mail.clock.advance(std::time::Duration::from_secs(2 * 86_400));
    assert!(rig.lets_in(ELSEWHERE), "nothing begins later");
    let line = format!("recovery code change rule (recovery from {ELSEWHERE})");
    assert_eq!(rig.audit(2), [line.clone(), line]);
    assert_eq!(rig.recover("tenant-1", &code), None, "it is used up");
    let next = rig.make(1, 6);
    assert_eq!(rig.recover("tenant-1", &next), Some(Vec::new()), "nothing is left to release");
}

fn only_the_last_code_of_the_tenant_is_right(mail: TestStore) {
    let rig = Rig::new(mail);
    rig.enforce(RuleOwner::Tenant, RuleMode::Enforce, Begin::AtOnce);
    assert_eq!(
        rig.recover("tenant-1", "k7m2-pqx9-k7m2-pqx9-k7m2-pqx9-k7m2-pqx9-k7m2"),
        None,
        "there is none"
    );
    let (first, other) = (rig.make(1, 1), rig.make(2, 2));
    let second = rig.make(1, 3);
    let almost = format!("{}{}", &second[..second.len() - 1], if second.ends_with('0') { '1' } else { '0' });
    for wrong in [first.as_str(), &other, &almost, "", "secret"] {
        assert_eq!(rig.recover("tenant-1", wrong), None, "{wrong}");
    }
    assert_eq!(rig.recover("no-such-tenant", &second), None);
    assert_eq!(rig.recover("tenant-2", &second), None);
    assert!(!rig.lets_in(ELSEWHERE));
    assert_eq!(rig.recover("tenant-1", &second).map(|rules| rules.len()), Some(1), "tries are not counted");
    assert!(rig.lets_in(ELSEWHERE));
}

fn only_who_may_change_the_tenant_makes_codes(mail: TestStore) {
    let rig = Rig::new(mail);
    let code = rig.make(1, 1);
    let make = |by: &By<'_>| {
        rig.runtime.block_on(rig.gate.make_recovery_code(by, "tenant-1", &SeededRandom::new(9)))
    };
    let stranger = By { actor: Actor::Administrator { tenant: tenant(2) }, ..administrator() };
    let account = TestStore::home(1, 1).account;
    let owner = By { actor: Actor::Owner { tenant: tenant(1), account }, ..administrator() };
    assert!(make(&stranger).is_err());
    assert!(make(&owner).is_err());
    assert!(make(&By { dry_run: true, ..administrator() }).unwrap().is_none());
    assert!(rig.recover("tenant-1", &code).is_some(), "it was not replaced");
    assert!(make(&By { actor: Actor::Operator, who: "operator root", ..administrator() }).unwrap().is_some());
}
