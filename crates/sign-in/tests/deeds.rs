//! What administrators do to sessions and blocks stands in the audit log, on both engines.

use std::sync::Arc;

use hikyaku_access::facts::Service;
use hikyaku_directory::{Action, Answer, Named, Request};
use hikyaku_sign_in::{Gate, Offer, Visit, Wanted, Which};
use hikyaku_testkit::{TestDirectory, TestStore, both_engines, gate};
use hikyaku_types::Actor;
use tokio::runtime::Runtime;

both_engines! {
    who_ends_sessions_is_in_the_audit_log
    who_lifts_blocks_is_in_the_audit_log
}

struct Rig {
    mail: TestStore,
    test: TestDirectory,
    gate: Arc<Gate>,
    runtime: Runtime,
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

    fn visit(&self, name: &str, password: &str) -> Option<Visit> {
        let offer = Offer {
            service: Service::Imap,
            source: "192.0.2.7".parse().unwrap(),
            client: "",
            name,
            authorization: None,
            password: password.as_bytes(),
        };
        self.runtime.block_on(self.gate.sign_in(&offer)).ok()
    }

    /// Acts of a tenant, the newest first: who, what, to whom, exactly, why.
    fn acts(&self, tenant: &str) -> Vec<String> {
        let action =
            Action::Audit { tenant: Some(tenant.into()), object: None, before: None, limit: Some(100) };
        let request = Request { action, reason: None, dry_run: false };
        let Ok(Answer::Audit { lines, .. }) =
            self.mail.block_on(self.test.directory.execute(Actor::Operator, request))
        else {
            panic!("no audit log")
        };
        let acts = lines.iter().filter(|line| line.action.contains('-'));
        acts.map(|line| {
            let what = line.after.as_ref().unwrap()["what"].as_str().unwrap();
            let why = line.reason.as_deref().unwrap_or("-");
            format!("{} {} {} {}: {what} ({why})", line.actor, line.action, line.kind, line.name)
        })
        .collect()
    }
}

fn who_ends_sessions_is_in_the_audit_log(mail: TestStore) {
    let rig = Rig::new(mail);
    let (ann, tenant) = (TestStore::home(1, 1).account, TestStore::home(1, 1).tenant);
    let end = |which, why| rig.runtime.block_on(rig.gate.end_sessions(which, "operator root", why)).unwrap();
    assert_eq!(end(Which::Account(ann), None).len(), 0);
    assert_eq!(rig.acts("tenant-1"), [""; 0], "nothing was ended");
    let visits: Vec<_> = (0..3).map(|_| rig.visit("ann@example.org", "secret").unwrap()).collect();
    let one = rig.runtime.block_on(rig.gate.sessions(Wanted::All)).unwrap()[0].id;
    assert_eq!(end(Which::One(one), Some("stolen")).len(), 1);
    assert_eq!(end(Which::Account(ann), None).len(), 3);
    assert_eq!(end(Which::Tenant(tenant), Some("a breach")).len(), 3);
    assert_eq!(
        rig.acts("tenant-1"),
        [
            "operator root end-sessions tenant tenant-1: 3 sessions (a breach)".to_owned(),
            "operator root end-sessions account ann@example.org: 3 sessions (-)".to_owned(),
            format!(
                "operator root end-sessions account ann@example.org: session {one} from 192.0.2.7 (stolen)"
            ),
        ]
    );
    assert_eq!(rig.acts("tenant-2"), [""; 0], "it is not its business");
    drop(visits);
    // By object, as administrators ask for what happened to one account.
    let object =
        Named { kind: hikyaku_directory::Kind::Account, name: "ann@example.org".into(), tenant: None };
    let action = Action::Audit { tenant: None, object: Some(object), before: None, limit: Some(1) };
    let request = Request { action, reason: None, dry_run: false };
    let answer = rig.mail.block_on(rig.test.directory.execute(Actor::Operator, request)).unwrap();
    let Answer::Audit { lines, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(lines[0].action, "end-sessions");
}

fn who_lifts_blocks_is_in_the_audit_log(mail: TestStore) {
    let rig = Rig::new(mail);
    for name in ["ann@example.org", "ann@example.net"] {
        for number in 0..10 {
            assert!(rig.visit(name, &format!("guess {number}")).is_none());
        }
    }
    let lift = |tenant, account, why| {
        rig.runtime.block_on(rig.gate.unblock(tenant, account, "operator root", why)).unwrap().len()
    };
    let home = TestStore::home(1, 1);
    assert_eq!(lift(Some(home.tenant), Some(home.account), Some("she called")), 1);
    assert_eq!(lift(None, None, None), 1);
    assert_eq!(lift(None, None, None), 0);
    assert_eq!(
        rig.acts("tenant-1"),
        ["operator root lift-blocks account ann@example.org: blocks of 192.0.2.7 (she called)"]
    );
    assert_eq!(rig.acts("tenant-2"), ["operator root lift-blocks tenant tenant-2: blocks of 192.0.2.7 (-)"]);
}
