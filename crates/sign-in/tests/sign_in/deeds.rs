//! What administrators do to sessions and blocks stands in the audit log.

use hikyaku_directory::{Action, Answer, Kind, Named, Request};
use hikyaku_sign_in::{Wanted, Which};
use hikyaku_testkit::{TestStore, both_engines};
use hikyaku_types::Actor;

use crate::rig::{OFFICE, Rig, ann, home};

both_engines! {
    who_ends_sessions_is_in_the_audit_log
    who_lifts_blocks_is_in_the_audit_log
}

/// Acts of a tenant, the newest first: who, what, to whom, exactly, why.
fn acts(rig: &Rig, tenant: &str) -> Vec<String> {
    let lines = rig.audit(tenant, 100);
    let acts = lines.iter().filter(|line| line.action.contains('-'));
    acts.map(|line| {
        let what = line.after.as_ref().unwrap()["what"].as_str().unwrap();
        let why = line.reason.as_deref().unwrap_or("-");
        format!("{} {} {} {}: {what} ({why})", line.actor, line.action, line.kind, line.name)
    })
    .collect()
}

fn who_ends_sessions_is_in_the_audit_log(mail: TestStore) {
    let rig = Rig::with_a_neighbour(mail);
    let gate = rig.gate();
    let end = |which, why| rig.runtime.block_on(gate.end_sessions(which, "operator root", why)).unwrap();
    assert_eq!(end(Which::Account(ann()), None).len(), 0);
    assert_eq!(acts(&rig, "tenant-1"), [""; 0], "nothing was ended");
    let visits: Vec<_> = (0..3).map(|_| rig.visit(&gate, "ann@example.org", "secret")).collect();
    let one = rig.runtime.block_on(gate.sessions(Wanted::All)).unwrap()[0].id;
    assert_eq!(end(Which::One(one), Some("stolen")).len(), 1);
    assert_eq!(end(Which::Account(ann()), None).len(), 3);
    assert_eq!(end(Which::Tenant(home(1).tenant), Some("a breach")).len(), 3);
    assert_eq!(
        acts(&rig, "tenant-1"),
        [
            "operator root end-sessions tenant tenant-1: 3 sessions (a breach)".to_owned(),
            "operator root end-sessions account ann@example.org: 3 sessions (-)".to_owned(),
            format!(
                "operator root end-sessions account ann@example.org: session {one} from 192.0.2.10 (stolen)"
            ),
        ]
    );
    assert_eq!(acts(&rig, "tenant-2"), [""; 0], "it is not its business");
    drop(visits);
    // By object, as administrators ask for what happened to one account.
    let object = Named { kind: Kind::Account, name: "ann@example.org".into(), tenant: None };
    let action = Action::Audit { tenant: None, object: Some(object), before: None, limit: Some(1) };
    let request = Request { action, reason: None, dry_run: false };
    let answer = rig.mail.block_on(rig.test.directory.execute(Actor::Operator, request)).unwrap();
    let Answer::Audit { lines, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(lines[0].action, "end-sessions");
}

fn who_lifts_blocks_is_in_the_audit_log(mail: TestStore) {
    let rig = Rig::with_a_neighbour(mail);
    let gate = rig.gate();
    for name in ["ann@example.org", "carol@example.net"] {
        rig.guess(&gate, name, OFFICE, 10);
    }
    let lift = |tenant, account, why| {
        rig.runtime.block_on(gate.unblock(tenant, account, "operator root", why)).unwrap().len()
    };
    assert_eq!(lift(Some(home(1).tenant), Some(ann()), Some("she called")), 1);
    assert_eq!(lift(None, None, None), 1);
    assert_eq!(lift(None, None, None), 0);
    assert_eq!(
        acts(&rig, "tenant-1"),
        ["operator root lift-blocks account ann@example.org: blocks of 192.0.2.10 (she called)"]
    );
    assert_eq!(
        acts(&rig, "tenant-2"),
        ["operator root lift-blocks tenant tenant-2: blocks of 192.0.2.10 (-)"]
    );
}
