//! What is old is forgotten.

use std::time::Duration;

use hikyaku_directory::Kind;
use hikyaku_sign_in::{Gate, Wanted, Which};
use hikyaku_store::{AccountHome, Scope, ServiceTx, Sql};
use hikyaku_testkit::{TestStore, both_engines, set};
use hikyaku_types::{Actor, Timestamp};

use crate::rig::{ELSEWHERE, OFFICE, Rig, ann, home, neighbour};

both_engines! {
    what_is_old_is_forgotten
    what_is_old_is_forgotten_in_steps
    history_is_kept_as_the_plan_says
}

fn what_is_old_is_forgotten(mail: TestStore) {
    let rig = Rig::new(mail);
    let gate = rig.gate();
    assert!(rig.lets_in(&gate, "ann@example.org", "secret", OFFICE));
    rig.guess(&gate, "ann@example.org", ELSEWHERE, 10);
    rig.runtime.block_on(gate.unblock(None, None, "operator root", None)).unwrap();
    rig.later(Duration::from_secs(80 * 86_400));
    rig.runtime.block_on(gate.expire()).unwrap();
    assert_eq!(rig.history(&gate).len(), 11);
    assert_eq!(rig.runtime.block_on(gate.lifts(None, 100)).unwrap().len(), 1);
    rig.later(Duration::from_secs(11 * 86_400));
    rig.runtime.block_on(gate.expire()).unwrap();
    assert_eq!(rig.runtime.block_on(gate.lifts(None, 100)).unwrap(), []);
    assert_eq!(rig.history(&gate), []);
}

/// Rows are doubled until there are more of each than one transaction may touch: unless they are
/// removed in steps, that ends the test.
fn what_is_old_is_forgotten_in_steps(mail: TestStore) {
    const DOUBLED: [Sql; 5] = [
        Sql::new(
            "INSERT INTO signin SELECT id + $1, at, last, times, node, tenant, account, name, service, ip,
                client, country, asn, proof, tag, standing, verdict, reason, would, learned FROM signin",
        ),
        Sql::new("INSERT INTO known SELECT account + $1, source, tenant, since, last, vouches FROM known"),
        Sql::new(
            "INSERT INTO block SELECT tenant, account, name + $1, source, class, since, until, reason,
                earlier, failures, lifted, changed FROM block",
        ),
        Sql::new(
            "INSERT INTO lift SELECT id + $1, at, who, why, tenant, account, name, source, class FROM lift",
        ),
        Sql::new("INSERT INTO ending SELECT id + $1, at, who, why, tenant, account, session FROM ending"),
    ];
    const LEFT: Sql = Sql::new(
        "SELECT (SELECT COUNT(*) FROM signin) + (SELECT COUNT(*) FROM known) + (SELECT COUNT(*) FROM block)
            + (SELECT COUNT(*) FROM lift) + (SELECT COUNT(*) FROM ending)",
    );
    let rig = Rig::new(mail);
    rig.change(vec![set("block_failures", "3")]);
    let gate = rig.gate();
    let _visit = rig.visit(&gate, "ann@example.org", "secret");
    rig.end(&gate, Which::Account(ann()));
    rig.guess(&gate, "ann@example.org", ELSEWHERE, 3);
    rig.runtime.block_on(gate.unblock(None, None, "operator root", None)).unwrap();
    rig.runtime.block_on(gate.flush()).unwrap();
    const DIRECTORY: Actor = Actor::Service(hikyaku_types::Service::Directory);
    let scope = || Scope::access(&DIRECTORY).unwrap();
    // Of four attempts, and of one of everything else.
    for (doubled, times) in DOUBLED.into_iter().zip([8, 10, 10, 10, 10]) {
        // Ids of one moment are not that far apart.
        for offset in (0..times).map(|power| 32i64 << power) {
            let double = move |tx: &mut ServiceTx<'_>| tx.execute(doubled, &[offset.into()]);
            rig.mail.block_on(rig.mail.store.write(scope(), "test.double", double)).unwrap();
        }
    }
    let left = || {
        let read = rig.mail.store.read(scope(), "test.left", |tx| tx.row(LEFT, &[], |row| row.get::<i64>(0)));
        rig.mail.block_on(read).unwrap().unwrap()
    };
    assert_eq!(left(), 5 * 1024);
    rig.runtime.block_on(gate.expire()).unwrap();
    assert_eq!(left(), 5 * 1024, "nothing is old yet");
    rig.later(Duration::from_secs(91 * 86_400));
    rig.runtime.block_on(gate.expire()).unwrap();
    assert_eq!(left(), 0);
}

fn history_is_kept_as_the_plan_says(mail: TestStore) {
    const DAY: Duration = Duration::from_secs(86_400);
    let (rig, other) = (Rig::with_a_neighbour(mail), neighbour());
    rig.mail.block_on(rig.test.change(Kind::Plan, "plan-1", vec![set("history_days", "30")]));
    let gate = rig.gate();
    for name in ["ann@example.org", "carol@example.net", "nobody@elsewhere.example"] {
        assert!(!rig.lets_in(&gate, name, "wrong", OFFICE));
    }
    let lines = |gate: &Gate, wanted| {
        let since = Timestamp::from_secs(0);
        rig.runtime.block_on(gate.history(wanted, since, None, 500)).unwrap().len()
    };
    let of = |home: AccountHome| Wanted::Tenant(home.tenant);
    rig.later(29 * DAY);
    rig.runtime.block_on(gate.expire()).unwrap();
    assert_eq!(lines(&gate, Wanted::All), 3);
    // Another node goes on, as after a restart.
    rig.later(2 * DAY);
    let gate = rig.gate();
    rig.runtime.block_on(gate.expire()).unwrap();
    assert_eq!((lines(&gate, of(home(1))), lines(&gate, of(other)), lines(&gate, Wanted::All)), (0, 1, 2));
    // A plan that allows more holds for what is still there.
    let change = |days| {
        rig.mail.block_on(rig.test.change(Kind::Plan, "plan-2", vec![set("history_days", days)]));
    };
    change("120");
    rig.later(60 * DAY);
    rig.runtime.block_on(gate.expire()).unwrap();
    assert_eq!((lines(&gate, of(other)), lines(&gate, Wanted::All)), (1, 1), "nobody's are kept for 90 days");
    change("7");
    rig.runtime.block_on(gate.expire()).unwrap();
    assert_eq!(lines(&gate, Wanted::All), 0);
}
