//! Sign-ins that are unlike those before.

use std::sync::Arc;
use std::time::Duration;

use hikyaku_access::history::unusual::Unusual;
use hikyaku_access::place::Places;
use hikyaku_sign_in::{Atlas, Gate, Wanted};
use hikyaku_testkit::{TestStore, both_engines, mmdb};
use hikyaku_types::{TenantId, Timestamp};

use crate::rig::{Rig, home, offer};

both_engines! {
    what_is_unusual_is_told_by_account_and_tenant
    what_is_usual_survives_a_restart_and_is_forgotten
    a_page_of_sign_ins_is_compared_line_by_line
}

const TOKYO: &str = "192.0.2.7";
const OSAKA: &str = "198.51.100.7";
const LISBON: &str = "203.0.113.7";
const HOUR: Duration = Duration::from_secs(3600);

/// A node that has just started, with a database of three places.
fn in_the_world(rig: &Rig) -> Gate {
    let place = |country, asn, latitude, longitude| {
        let at = [("latitude", mmdb::Value::Float(latitude)), ("longitude", mmdb::Value::Float(longitude))];
        mmdb::Value::Map(vec![
            ("country_code", mmdb::Value::Text(country)),
            ("asn", mmdb::Value::Number(asn)),
            ("location", mmdb::Value::Map(at.into())),
        ])
    };
    let networks = [
        ("192.0.2.0/24", place("JP", 2497, 35.68, 139.77)),
        ("198.51.100.0/24", place("JP", 4713, 34.69, 135.50)),
        ("203.0.113.0/24", place("PT", 3243, 38.72, -9.14)),
    ];
    let mut places = Places::none();
    places.add(mmdb::write(mmdb::Family::V4, &networks)).unwrap();
    Arc::into_inner(rig.gate()).unwrap().with_places(Atlas::new(places))
}

fn signs_in(rig: &Rig, gate: &Gate, name: &str, from: &str, client: &str) {
    drop(rig.runtime.block_on(gate.sign_in(&offer(name, "secret", from, client))).unwrap());
}

fn unusual(rig: &Rig, gate: &Gate, wanted: Wanted) -> Vec<(String, Vec<&'static str>)> {
    let found = gate.unusual(wanted, Timestamp::from_secs(0), None, 500);
    let found = rig.runtime.block_on(found).unwrap();
    let told = |why: &[Unusual]| why.iter().map(Unusual::code).collect();
    found.iter().map(|one| (one.line.record.ip.to_string(), told(&one.why))).collect()
}

fn account(number: i64) -> Wanted {
    Wanted::Account(home(number).account)
}

fn tenant(number: i64) -> Wanted {
    Wanted::Tenant(TenantId::from_i64(number).unwrap())
}

fn what_is_unusual_is_told_by_account_and_tenant(mail: TestStore) {
    let rig = Rig::with_a_neighbour(mail);
    let gate = in_the_world(&rig);
    let (ann, bob, carol) = ("ann@example.org", "bob@example.org", "carol@example.net");
    for _ in 0..3 {
        for name in [ann, bob, carol] {
            signs_in(&rig, &gate, name, TOKYO, "Thunderbird/140.1");
        }
        rig.later(HOUR);
    }
    assert_eq!(unusual(&rig, &gate, Wanted::All), [], "an update from where they always are");
    signs_in(&rig, &gate, ann, TOKYO, "Thunderbird/141");
    signs_in(&rig, &gate, bob, OSAKA, "Thunderbird/140.1");
    signs_in(&rig, &gate, carol, TOKYO, "Evolution 3");
    rig.later(HOUR);
    signs_in(&rig, &gate, ann, LISBON, "Mutt 2");
    let lisbon = (LISBON.to_owned(), vec!["new-country", "new-network", "new-device", "impossible-travel"]);
    let osaka = (OSAKA.to_owned(), vec!["new-network"]);
    assert_eq!(unusual(&rig, &gate, account(1)), std::slice::from_ref(&lisbon));
    assert_eq!(unusual(&rig, &gate, tenant(1)), [lisbon.clone(), osaka.clone()]);
    assert_eq!(unusual(&rig, &gate, tenant(2)), [(TOKYO.to_owned(), vec!["new-device"])]);
    assert_eq!(unusual(&rig, &gate, Wanted::All).len(), 3);
    // It is told once; and who travels at the pace of people does not seem to fly.
    rig.later(20 * HOUR);
    signs_in(&rig, &gate, ann, LISBON, "Mutt 2");
    signs_in(&rig, &gate, bob, LISBON, "Thunderbird/140.1");
    assert_eq!(unusual(&rig, &gate, account(1)), [lisbon]);
    assert_eq!(
        unusual(&rig, &gate, account(2)),
        [(LISBON.to_owned(), vec!["new-country", "new-network"]), osaka]
    );
    // Page by page.
    let page = |before| {
        let page = gate.unusual(Wanted::All, Timestamp::from_secs(0), before, 2);
        rig.runtime.block_on(page).unwrap()
    };
    let first = page(None);
    let second = page(first.last().map(|one| one.line.id));
    assert_eq!((first.len(), second.len()), (2, 2));
    assert!(first[1].line.id > second[0].line.id);
    assert!(page(second.last().map(|one| one.line.id)).is_empty());
    // What failed is no sign-in, and teaches nothing.
    let wrong = offer(carol, "wrong", "2001:db8::1", "a bot");
    assert!(rig.runtime.block_on(gate.sign_in(&wrong)).is_err());
    assert_eq!(unusual(&rig, &gate, tenant(2)).len(), 1);
}

fn what_is_usual_survives_a_restart_and_is_forgotten(mail: TestStore) {
    let rig = Rig::with_a_neighbour(mail);
    let gate = in_the_world(&rig);
    signs_in(&rig, &gate, "ann@example.org", TOKYO, "");
    rig.later(HOUR);
    let gate = in_the_world(&rig);
    signs_in(&rig, &gate, "ann@example.org", OSAKA, "");
    assert_eq!(unusual(&rig, &gate, account(1)), [(OSAKA.to_owned(), vec!["new-network"])]);
    let expire = || {
        rig.runtime.block_on(gate.expire()).unwrap();
        rig.runtime.block_on(gate.expire_habits()).unwrap();
    };
    // Osaka is what she does; Tokyo was long ago.
    rig.later(89 * 24 * HOUR);
    signs_in(&rig, &gate, "ann@example.org", OSAKA, "");
    rig.later(2 * 24 * HOUR);
    expire();
    assert_eq!(unusual(&rig, &gate, Wanted::All), [], "it went with its line");
    signs_in(&rig, &gate, "ann@example.org", OSAKA, "");
    rig.later(HOUR);
    signs_in(&rig, &gate, "ann@example.org", TOKYO, "");
    assert_eq!(unusual(&rig, &gate, account(1)), [(TOKYO.to_owned(), vec!["new-network"])]);
    expire();
    assert_eq!(unusual(&rig, &gate, account(1)).len(), 1, "its line is there");
}

/// What teaches nobody anything is written together: each of the page's lines knows of those
/// before it.
fn a_page_of_sign_ins_is_compared_line_by_line(mail: TestStore) {
    let rig = Rig::with_a_neighbour(mail);
    let gate = in_the_world(&rig);
    signs_in(&rig, &gate, "ann@example.org", TOKYO, "program");
    rig.runtime.block_on(gate.flush()).unwrap();
    let names: Vec<String> =
        (0..300).map(|number| format!("{}{}", ["a", "b", "c"][number % 3], "x".repeat(number / 3))).collect();
    for name in &names {
        signs_in(&rig, &gate, "ann@example.org", TOKYO, name);
        signs_in(&rig, &gate, "ann@example.org", TOKYO, name);
    }
    let found = unusual(&rig, &gate, account(1));
    assert!(found.iter().all(|(_, why)| why == &["new-device"]));
    assert_eq!(found.len(), names.len());
}
