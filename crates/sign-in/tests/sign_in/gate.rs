//! Who is let in, what is counted and blocked, what is remembered by whom.

use std::sync::Arc;
use std::time::Duration;

use hikyaku_access::facts::Service;
use hikyaku_access::history::{Proof, Verdict};
use hikyaku_access::place::Places;
use hikyaku_access::reason::Reason;
use hikyaku_directory::{Action, Answer, Kind, Request, SignInError};
use hikyaku_sign_in::{Atlas, Gate, Offer, Wanted};
use hikyaku_testkit::{TestStore, both_engines, mmdb, set};
use hikyaku_types::{Actor, TenantId, Timestamp};

use crate::rig::{ELSEWHERE, OFFICE, Rig, ann, home};

both_engines! {
    who_is_let_in_and_what_history_says
    a_source_that_guesses_is_blocked_and_unblocked
    a_restart_forgets_nothing_that_matters
    nodes_hear_of_each_other
    attempts_that_are_not_checked_share_a_line
    an_app_password_keeps_to_its_own_sources
    a_tenant_sets_its_own_numbers
    an_exempt_network_is_let_in_at_once
    history_says_from_where
    nodes_share_what_is_left_to_guess
}

fn who_is_let_in_and_what_history_says(mail: TestStore) {
    let rig = Rig::new(mail);
    let gate = rig.gate();
    assert_eq!(rig.attempt(&gate, "Ann@example.org", "secret", OFFICE), (true, 0));
    for name in ["ann@example.org", "nobody@example.org", "nobody@elsewhere.example", "no address"] {
        assert_eq!(rig.attempt(&gate, name, "wrong", OFFICE), (false, 1), "{name}");
    }
    let for_another = Offer {
        service: Service::Submission,
        source: OFFICE.parse().unwrap(),
        client: "",
        name: "ann@example.org",
        authorization: Some("bob@example.org"),
        password: b"secret",
    };
    assert_eq!(rig.runtime.block_on(gate.sign_in(&for_another)).err(), Some(SignInError::Refused));
    let failed = |reason| (Verdict::Failed, Some(reason), 1);
    let nobody = failed(Reason::NoAccount);
    assert_eq!(
        rig.history(&gate),
        [nobody, nobody, nobody, failed(Reason::WrongPassword), (Verdict::Admitted, None, 1)]
    );
    let since = Timestamp::from_secs(0);
    let of_ann = rig.runtime.block_on(gate.history(Wanted::Account(ann()), since, None, 500)).unwrap();
    let [wrong, good] = &of_ann[..] else { panic!("{of_ann:?}") };
    assert_eq!((wrong.record.client.as_str(), wrong.record.ip), ("Thunderbird/140", OFFICE.parse().unwrap()));
    assert!(wrong.record.tag.is_some() && good.record.tag.is_none());
    let older = rig.runtime.block_on(gate.history(Wanted::Account(ann()), since, Some(wrong.id), 500));
    assert_eq!(older.unwrap(), std::slice::from_ref(good));
    let tenant = Wanted::Tenant(home(1).tenant);
    assert_eq!(rig.runtime.block_on(gate.history(tenant, since, None, 500)).unwrap().len(), 3);
}

fn a_source_that_guesses_is_blocked_and_unblocked(mail: TestStore) {
    let rig = Rig::new(mail);
    let gate = rig.gate();
    rig.guess(&gate, "ann@example.org", ELSEWHERE, 10);
    let [block] = rig.blocks(&gate, None)[..] else { panic!("one block") };
    assert_eq!((block.reason, block.failures), (Reason::ManyFailures, 10));
    assert_eq!(rig.blocks(&gate, TenantId::from_i64(2)), []);
    assert!(!rig.lets_in(&gate, "ann@example.org", "secret", ELSEWHERE));
    // From where she is known, and from anywhere new, she gets in.
    assert!(rig.lets_in(&gate, "ann@example.org", "secret", OFFICE));
    let lifted = rig
        .runtime
        .block_on(gate.unblock(Some(home(1).tenant), Some(ann()), "operator root", Some("she called")))
        .unwrap();
    assert_eq!(lifted, [block]);
    for (tenant, count) in [(None, 1), (Some(home(1).tenant), 1), (TenantId::from_i64(2), 0)] {
        let told = rig.runtime.block_on(gate.lifts(tenant, 100)).unwrap();
        assert_eq!(told.len(), count, "{tenant:?}");
        for lift in told {
            assert_eq!((lift.who.as_str(), lift.why.as_deref()), ("operator root", Some("she called")));
            assert_eq!(lift.key, block.key);
        }
    }
    assert_eq!(rig.blocks(&gate, None), []);
    assert_eq!(rig.blocks(&rig.gate(), None), [], "a node that starts later knows it too");
}

fn a_restart_forgets_nothing_that_matters(mail: TestStore) {
    let rig = Rig::new(mail);
    let gate = rig.gate();
    assert!(rig.lets_in(&gate, "ann@example.org", "secret", OFFICE));
    rig.guess(&gate, "ann@example.org", ELSEWHERE, 10);
    let gate = rig.gate();
    assert_eq!(rig.blocks(&gate, None).len(), 1);
    assert!(!rig.lets_in(&gate, "ann@example.org", "secret", ELSEWHERE), "the block holds");
    // She is under attack: a source that failed elsewhere is not believed, hers is.
    rig.guess(&gate, "bob@example.org", "203.0.113.1", 2);
    assert!(!rig.lets_in(&gate, "ann@example.org", "secret", "203.0.113.1"));
    assert_eq!(rig.attempt(&gate, "ann@example.org", "secret", OFFICE), (true, 0));
    rig.later(Duration::from_secs(3601));
    assert_eq!(rig.blocks(&gate, None), [], "it ended by itself");
}

fn nodes_hear_of_each_other(mail: TestStore) {
    let rig = Rig::new(mail);
    let (one, other) = (rig.gate(), rig.gate());
    rig.guess(&one, "ann@example.org", ELSEWHERE, 10);
    assert_eq!(rig.blocks(&other, None), []);
    rig.runtime.block_on(other.catch_up()).unwrap();
    assert_eq!(rig.blocks(&other, None).len(), 1);
    assert!(!rig.lets_in(&other, "ann@example.org", "secret", ELSEWHERE));
    rig.runtime.block_on(other.unblock(None, None, "operator root", None)).unwrap();
    rig.runtime.block_on(one.catch_up()).unwrap();
    assert_eq!(rig.blocks(&one, None), []);
}

fn attempts_that_are_not_checked_share_a_line(mail: TestStore) {
    let rig = Rig::new(mail);
    let gate = rig.gate();
    rig.guess(&gate, "ann@example.org", ELSEWHERE, 10);
    rig.guess(&gate, "ann@example.org", ELSEWHERE, 7);
    let refused = (Verdict::Refused, Some(Reason::AccountBlocked), 7);
    let history = rig.history(&gate);
    assert_eq!((history.len(), history.first()), (11, Some(&refused)));
    // What everybody knows already is told once: the second time shares its line too.
    for _ in 0..3 {
        assert!(rig.lets_in(&gate, "bob@example.org", "secret", OFFICE));
    }
    let good: Vec<u32> = rig
        .history(&gate)
        .iter()
        .filter(|(verdict, ..)| *verdict == Verdict::Admitted)
        .map(|(_, _, times)| *times)
        .collect();
    assert_eq!(good, [2, 1]);
}

fn an_app_password_keeps_to_its_own_sources(mail: TestStore) {
    let rig = Rig::new(mail);
    let gate = rig.gate();
    let fields = vec![
        set("account", "ann@example.org"),
        set("kind", "app_password"),
        set("title", "telephone"),
        set("sources", "192.0.2.0/24"),
    ];
    let action =
        Action::Create { kind: Kind::Credential, name: None, id: None, tenant: None, fields, secret: None };
    let request = Request { action, reason: None, dry_run: false };
    let made = rig.mail.block_on(rig.test.directory.execute(Actor::Operator, request)).unwrap();
    let Answer::Done { secret: Some(secret), .. } = made else { panic!("{made:?}") };
    // Guesses at the account do not close it to what is too long to guess.
    rig.guess(&gate, "ann@example.org", OFFICE, 10);
    assert_eq!(rig.blocks(&gate, None).len(), 1);
    assert!(!rig.lets_in(&gate, "ann@example.org", "secret", OFFICE));
    assert!(rig.lets_in(&gate, "ann@example.org", &secret, OFFICE));
    assert!(!rig.lets_in(&gate, "ann@example.org", &secret, ELSEWHERE));
    let since = Timestamp::from_secs(0);
    let lines = rig.runtime.block_on(gate.history(Wanted::Account(ann()), since, None, 1)).unwrap();
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((line.record.proof, line.record.reason), (Proof::LongSecret, Some(Reason::CredentialRule)));
}

fn a_tenant_sets_its_own_numbers(mail: TestStore) {
    let rig = Rig::new(mail);
    let gate = rig.gate();
    let fields = vec![set("block_failures", "4"), set("block_minutes", "5"), set("block_scope", "tenant")];
    rig.change(fields);
    rig.guess(&gate, "ann@example.org", ELSEWHERE, 3);
    assert_eq!(rig.blocks(&gate, None), []);
    assert!(!rig.lets_in(&gate, "ann@example.org", "one more", ELSEWHERE));
    let [block] = rig.blocks(&gate, None)[..] else { panic!("one block") };
    assert_eq!((block.key.tenant, block.key.subject), (Some(home(1).tenant), None));
    assert_eq!(block.until, block.since.after(Duration::from_secs(300)));
    assert!(!rig.lets_in(&gate, "bob@example.org", "secret", ELSEWHERE), "it is the whole tenant's");
}

fn an_exempt_network_is_let_in_at_once(mail: TestStore) {
    let rig = Rig::new(mail);
    let gate = rig.gate();
    rig.guess(&gate, "ann@example.org", ELSEWHERE, 10);
    assert!(!rig.lets_in(&gate, "ann@example.org", "secret", ELSEWHERE));
    rig.change(vec![set("exempt_networks", "198.51.100.0/24 office in Osaka")]);
    assert_eq!(rig.attempt(&gate, "ann@example.org", "secret", ELSEWHERE), (true, 0));
    assert_eq!(rig.blocks(&gate, None), []);
    let lifts = rig.runtime.block_on(gate.lifts(None, 10)).unwrap();
    let [lift] = &lifts[..] else { panic!("{lifts:?}") };
    assert_eq!((lift.who.as_str(), lift.why.as_deref()), ("exempt network", Some("office in Osaka")));
    // Whatever is guessed from there is answered as wrong and blocks nobody.
    rig.guess(&gate, "bob@example.org", ELSEWHERE, 15);
    assert!(rig.lets_in(&gate, "bob@example.org", "secret", ELSEWHERE));
    // Its neighbour is not exempt, nor is it for long.
    rig.guess(&gate, "bob@example.org", "198.51.101.7", 10);
    assert_eq!(rig.blocks(&gate, None).len(), 1);
    rig.change(vec![set("exempt_networks", "198.51.101.0/24 until 2020-01-01 auditors")]);
    assert_eq!(rig.blocks(&gate, None).len(), 1, "it ended long ago");
}

fn history_says_from_where(mail: TestStore) {
    let rig = Rig::new(mail);
    let places = |country| {
        let place = mmdb::Value::Map(vec![
            ("country_code", mmdb::Value::Text(country)),
            ("asn", mmdb::Value::Number(64_500)),
        ]);
        let mut places = Places::none();
        places.add(mmdb::write(mmdb::Family::V4, &[("192.0.2.0/24", place)])).unwrap();
        places
    };
    let atlas = Atlas::new(places("JP"));
    let gate = Arc::into_inner(rig.gate()).unwrap().with_places(atlas.clone());
    assert!(rig.lets_in(&gate, "ann@example.org", "secret", OFFICE));
    assert!(!rig.lets_in(&gate, "nobody@example.org", "secret", OFFICE));
    assert!(!rig.scram(&gate, "ann@example.org", "wrong", OFFICE).0);
    assert!(rig.lets_in(&gate, "ann@example.org", "secret", ELSEWHERE));
    atlas.exchange(places("PT"));
    assert!(!rig.lets_in(&gate, "ann@example.org", "wrong", OFFICE));
    let since = Timestamp::from_secs(0);
    let lines = rig.runtime.block_on(gate.history(Wanted::All, since, None, 500)).unwrap();
    let told: Vec<String> = lines.iter().rev().map(|line| format!("{:?}", line.record.place)).collect();
    let place = |country| format!("Place {{ country: Some({country}), asn: Some(AS64500), position: None }}");
    let unknown = "Place { country: None, asn: None, position: None }".to_owned();
    assert_eq!(told, [place("JP"), place("JP"), place("JP"), unknown, place("PT")]);
}

/// 20 guesses a day at an account from all unknown sources together: of two nodes each has half.
fn nodes_share_what_is_left_to_guess(mail: TestStore) {
    let checked = |rig: &Rig, gate: &Gate| {
        for number in 0..40 {
            rig.guess(gate, "ann@example.org", &format!("203.0.{number}.1"), 1);
        }
        rig.history(gate).iter().filter(|(verdict, ..)| *verdict == Verdict::Failed).count()
    };
    let rig = Rig::new(mail);
    let (one, other) = (rig.gate(), rig.gate());
    for gate in [&one, &other, &one] {
        rig.meet(gate);
    }
    assert_eq!(checked(&rig, &one), 10);
}

/// A forgotten telephone, as an administrator is told of it.
#[test]
fn a_forgotten_device_is_found() {
    let rig = Rig::new(TestStore::sqlite());
    let gate = rig.gate();
    for _ in 0..20 {
        assert!(!rig.lets_in(&gate, "ann@example.org", "old", OFFICE));
        rig.later(Duration::from_secs(300));
    }
    let found = rig.runtime.block_on(gate.stale(Wanted::All, Timestamp::from_secs(0))).unwrap();
    let [device] = &found[..] else { panic!("{found:?}") };
    assert_eq!(
        device.sentence("ann@example.org"),
        "a client that calls itself Thunderbird/140 at 192.0.2.10 offers an old password of ann@example.org \
         every 5 minutes"
    );
    assert_eq!(rig.blocks(&gate, None), [], "it harms nobody");
}
