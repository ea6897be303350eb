//! A recovery code lasts as long as its tenant, on both engines.

use std::sync::Arc;
use std::time::Duration;

use hikyaku_directory::{Action, Kind, Named, Request, Verb};
use hikyaku_sign_in::{By, Gate};
use hikyaku_store::{Scope, Sql};
use hikyaku_testkit::{SeededRandom, TestDirectory, TestStore, both_engines, gate};
use hikyaku_types::{Actor, Service};

both_engines! {
    a_code_goes_with_its_tenant
    codes_go_in_steps
}

const OPERATOR: Actor = Actor::Operator;
const MAINTENANCE: Actor = Actor::Service(Service::Maintenance);

/// Tenants 1 and 2 with a code each.
fn start(mail: &TestStore) -> (TestDirectory, Arc<Gate>) {
    let test = TestDirectory::new(mail);
    let gate = mail.block_on(async {
        let gate = gate(&mail.store, &test.directory, Arc::clone(&mail.clock) as _).await;
        for number in [1, 2] {
            test.tenant(TestStore::home(number, 1).tenant, None).await;
            let by = By { actor: OPERATOR, who: "operator root", reason: None, from: None, dry_run: false };
            let name = format!("tenant-{number}");
            gate.make_recovery_code(&by, &name, &SeededRandom::new(7)).await.unwrap().unwrap();
        }
        gate
    });
    (test, gate)
}

/// Whose codes there are.
fn tenants(mail: &TestStore) -> Vec<i64> {
    let scope = Scope::access(&MAINTENANCE).unwrap();
    let read = mail.store.read(scope, "test.codes", |tx| {
        tx.rows(Sql::new("SELECT tenant FROM recovery ORDER BY tenant LIMIT 9"), &[], |row| row.get(0))
    });
    mail.block_on(read).unwrap()
}

/// The numbers of both tenants.
fn both() -> [i64; 2] {
    [1, 2].map(|number| TestStore::home(number, 1).tenant.as_i64())
}

fn a_code_goes_with_its_tenant(mail: TestStore) {
    let (test, gate) = start(&mail);
    mail.clock.advance(Duration::from_secs(400 * 86_400));
    mail.block_on(gate.expire()).unwrap();
    assert_eq!(tenants(&mail), both(), "they are as good as new");
    let go = |verb| {
        let object = Named { kind: Kind::Tenant, name: "tenant-2".into(), tenant: None };
        let request =
            Request { action: Action::Move { verb, object, version: None }, reason: None, dry_run: false };
        mail.block_on(test.directory.execute(OPERATOR, request)).unwrap();
    };
    go(Verb::Delete);
    mail.block_on(gate.expire()).unwrap();
    assert_eq!(tenants(&mail), both(), "it can be undeleted");
    go(Verb::Purge);
    mail.clock.advance(Duration::from_secs(1));
    mail.block_on(async {
        for removal in test.directory.dying().await.unwrap() {
            while !test.directory.remove(&removal).await.unwrap() {}
        }
        gate.expire().await.unwrap();
    });
    assert_eq!(tenants(&mail), both()[..1]);
}

fn codes_go_in_steps(mail: TestStore) {
    let (_test, gate) = start(&mail);
    // More than one transaction may touch, of nobody.
    for first in [10_000i64, 11_000] {
        let scope = Scope::access(&MAINTENANCE).unwrap();
        let write = mail.store.write(scope, "test.codes", move |tx| {
            const MAKE: Sql = Sql::new("INSERT INTO recovery (tenant, hash, at) VALUES ($1, $2, 0)");
            (first..first + 700)
                .try_for_each(|tenant| tx.execute(MAKE, &[tenant.into(), (&[0u8; 32][..]).into()]).map(drop))
        });
        mail.block_on(write).unwrap();
    }
    mail.block_on(gate.expire()).unwrap();
    assert_eq!(tenants(&mail), both());
}
