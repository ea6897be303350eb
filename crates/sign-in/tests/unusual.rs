//! Sign-ins that are unlike those before, on both engines.

use std::sync::Arc;
use std::time::Duration;

use hikyaku_access::facts::Service;
use hikyaku_access::history::unusual::Unusual;
use hikyaku_access::place::Places;
use hikyaku_sign_in::{Atlas, Gate, Offer, Wanted};
use hikyaku_testkit::{TestDirectory, TestStore, both_engines, gate, mmdb};
use hikyaku_types::{TenantId, Timestamp};
use tokio::runtime::Runtime;

both_engines! {
    what_is_unusual_is_told_by_account_and_tenant
    what_is_usual_survives_a_restart_and_is_forgotten
    a_page_of_sign_ins_is_compared_line_by_line
}

const TOKYO: &str = "192.0.2.7";
const OSAKA: &str = "198.51.100.7";
const LISBON: &str = "203.0.113.7";
const HOUR: Duration = Duration::from_secs(3600);

/// ann and bob of one tenant, carol of another, and a database of three places.
struct Rig {
    mail: TestStore,
    test: TestDirectory,
    runtime: Runtime,
}

impl Rig {
    fn new(mail: TestStore) -> Self {
        let test = TestDirectory::new(&mail);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        mail.block_on(async {
            for (tenant, domain, accounts) in
                [(1, "example.org", &[(1, "ann"), (2, "bob")][..]), (2, "example.net", &[(3, "carol")])]
            {
                test.tenant(TestStore::home(tenant, 1).tenant, None).await;
                test.domain(TestStore::home(tenant, 1).tenant, domain).await;
                for (number, name) in accounts {
                    let address = format!("{name}@{domain}");
                    test.account(TestStore::home(tenant, *number), &[&address], None, "secret").await;
                }
            }
        });
        Self { mail, test, runtime }
    }

    /// A node that has just started.
    fn gate(&self) -> Gate {
        let clock = Arc::clone(&self.mail.clock) as _;
        let gate = self.runtime.block_on(gate(&self.mail.store, &self.test.directory, clock));
        let place = |country, asn, latitude, longitude| {
            let at =
                [("latitude", mmdb::Value::Float(latitude)), ("longitude", mmdb::Value::Float(longitude))];
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
        Arc::into_inner(gate).unwrap().with_places(Atlas::new(places))
    }

    fn signs_in(&self, gate: &Gate, name: &str, from: &str, client: &str) {
        let offer = Offer {
            service: Service::Imap,
            source: from.parse().unwrap(),
            client,
            name,
            authorization: None,
            password: b"secret",
        };
        self.runtime.block_on(gate.sign_in(&offer)).unwrap();
    }

    fn unusual(&self, gate: &Gate, wanted: Wanted) -> Vec<(String, Vec<&'static str>)> {
        let found = gate.unusual(wanted, Timestamp::from_secs(0), None, 500);
        let found = self.runtime.block_on(found).unwrap();
        let told = |why: &[Unusual]| why.iter().map(Unusual::code).collect();
        found.iter().map(|one| (one.line.record.ip.to_string(), told(&one.why))).collect()
    }

    fn later(&self, time: Duration) {
        self.mail.clock.advance(time);
    }
}

fn account(tenant: i64, number: i64) -> Wanted {
    Wanted::Account(TestStore::home(tenant, number).account)
}

fn tenant(number: i64) -> Wanted {
    Wanted::Tenant(TenantId::from_i64(number).unwrap())
}

fn what_is_unusual_is_told_by_account_and_tenant(mail: TestStore) {
    let rig = Rig::new(mail);
    let gate = rig.gate();
    let (ann, bob, carol) = ("ann@example.org", "bob@example.org", "carol@example.net");
    for _ in 0..3 {
        for name in [ann, bob, carol] {
            rig.signs_in(&gate, name, TOKYO, "Thunderbird/140.1");
        }
        rig.later(HOUR);
    }
    assert_eq!(rig.unusual(&gate, Wanted::All), [], "an update from where they always are");
    rig.signs_in(&gate, ann, TOKYO, "Thunderbird/141");
    rig.signs_in(&gate, bob, OSAKA, "Thunderbird/140.1");
    rig.signs_in(&gate, carol, TOKYO, "Evolution 3");
    rig.later(HOUR);
    rig.signs_in(&gate, ann, LISBON, "Mutt 2");
    let lisbon = (LISBON.to_owned(), vec!["new-country", "new-network", "new-device", "impossible-travel"]);
    let osaka = (OSAKA.to_owned(), vec!["new-network"]);
    assert_eq!(rig.unusual(&gate, account(1, 1)), std::slice::from_ref(&lisbon));
    assert_eq!(rig.unusual(&gate, tenant(1)), [lisbon.clone(), osaka.clone()]);
    assert_eq!(rig.unusual(&gate, tenant(2)), [(TOKYO.to_owned(), vec!["new-device"])]);
    assert_eq!(rig.unusual(&gate, Wanted::All).len(), 3);
    // It is told once; and who travels at the pace of people does not seem to fly.
    rig.later(20 * HOUR);
    rig.signs_in(&gate, ann, LISBON, "Mutt 2");
    rig.signs_in(&gate, bob, LISBON, "Thunderbird/140.1");
    assert_eq!(rig.unusual(&gate, account(1, 1)), [lisbon]);
    assert_eq!(
        rig.unusual(&gate, account(1, 2)),
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
    let offer = Offer {
        service: Service::Submission,
        source: "2001:db8::1".parse().unwrap(),
        client: "a bot",
        name: carol,
        authorization: None,
        password: b"wrong",
    };
    assert!(rig.runtime.block_on(gate.sign_in(&offer)).is_err());
    assert_eq!(rig.unusual(&gate, tenant(2)).len(), 1);
}

fn what_is_usual_survives_a_restart_and_is_forgotten(mail: TestStore) {
    let rig = Rig::new(mail);
    let gate = rig.gate();
    rig.signs_in(&gate, "ann@example.org", TOKYO, "");
    rig.later(HOUR);
    let gate = rig.gate();
    rig.signs_in(&gate, "ann@example.org", OSAKA, "");
    assert_eq!(rig.unusual(&gate, account(1, 1)), [(OSAKA.to_owned(), vec!["new-network"])]);
    let expire = || {
        rig.runtime.block_on(gate.expire()).unwrap();
        rig.runtime.block_on(gate.expire_habits()).unwrap();
    };
    // Osaka is what she does; Tokyo was long ago.
    rig.later(89 * 24 * HOUR);
    rig.signs_in(&gate, "ann@example.org", OSAKA, "");
    rig.later(2 * 24 * HOUR);
    expire();
    assert_eq!(rig.unusual(&gate, Wanted::All), [], "it went with its line");
    rig.signs_in(&gate, "ann@example.org", OSAKA, "");
    rig.later(HOUR);
    rig.signs_in(&gate, "ann@example.org", TOKYO, "");
    assert_eq!(rig.unusual(&gate, account(1, 1)), [(TOKYO.to_owned(), vec!["new-network"])]);
    expire();
    assert_eq!(rig.unusual(&gate, account(1, 1)).len(), 1, "its line is there");
}

/// What teaches nobody anything is written together: each of the page's lines knows of those
/// before it.
fn a_page_of_sign_ins_is_compared_line_by_line(mail: TestStore) {
    let rig = Rig::new(mail);
    let gate = rig.gate();
    rig.signs_in(&gate, "ann@example.org", TOKYO, "program");
    rig.runtime.block_on(gate.flush()).unwrap();
    let names: Vec<String> =
        (0..300).map(|number| format!("{}{}", ["a", "b", "c"][number % 3], "x".repeat(number / 3))).collect();
    for name in &names {
        rig.signs_in(&gate, "ann@example.org", TOKYO, name);
        rig.signs_in(&gate, "ann@example.org", TOKYO, name);
    }
    let found = rig.unusual(&gate, account(1, 1));
    assert!(found.iter().all(|(_, why)| why == &["new-device"]));
    assert_eq!(found.len(), names.len());
}
