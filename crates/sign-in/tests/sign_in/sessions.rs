//! Who is signed in, and how that is ended.

use std::time::Duration;

use hikyaku_access::facts::Service;
use hikyaku_access::history::Proof;
use hikyaku_directory::{Action, Kind, Named, NewSecret, Request, Verb};
use hikyaku_sign_in::{Wanted, Which};
use hikyaku_testkit::{TestStore, both_engines, set};
use hikyaku_types::{Actor, TenantId};

use crate::rig::{OFFICE, Rig, ann, home};

both_engines! {
    sessions_are_listed_and_ended
    who_may_not_sign_in_any_more_loses_what_is_open
    nodes_tell_each_other_of_sessions
    after_a_start_everybody_comes_at_once
}

fn sessions_are_listed_and_ended(mail: TestStore) {
    let rig = Rig::new(mail);
    let gate = rig.gate();
    let (one, two) =
        (rig.visit(&gate, "ann@example.org", "secret"), rig.visit(&gate, "Ann@example.org", "secret"));
    let bobs = rig.visit(&gate, "bob@example.org", "secret");
    let all = rig.sessions(&gate, Wanted::All);
    assert_eq!(all.len(), 3);
    let [newest, oldest] = &rig.sessions(&gate, Wanted::Account(ann()))[..] else { panic!("{all:?}") };
    assert!(newest.id > oldest.id);
    assert_eq!(
        (oldest.service, oldest.ip, oldest.proof),
        (Service::Imap, OFFICE.parse().unwrap(), Proof::Password)
    );
    assert_eq!(oldest.client.as_str(), "Thunderbird/140");
    assert_eq!(rig.end(&gate, Which::One(oldest.id)), 1);
    assert!(one.end().has_come() && !two.end().has_come());
    rig.runtime.block_on(one.end().come());
    drop(one);
    assert_eq!(rig.end(&gate, Which::One(oldest.id)), 0, "it is gone");
    assert_eq!(rig.end(&gate, Which::Account(ann())), 1);
    assert!(two.end().has_come() && !bobs.end().has_come());
    assert_eq!(rig.end(&gate, Which::Tenant(TenantId::from_i64(2).unwrap())), 0);
    assert_eq!(rig.end(&gate, Which::Tenant(home(1).tenant)), 2);
    assert!(bobs.end().has_come());
    drop((two, bobs));
    assert_eq!(rig.sessions(&gate, Wanted::All), []);
    let told = rig.runtime.block_on(gate.endings(10)).unwrap();
    let which: Vec<Which> = told.iter().rev().map(|ending| ending.which).collect();
    assert_eq!(which, [Which::One(oldest.id), Which::Account(ann()), Which::Tenant(home(1).tenant)]);
    assert!(
        told.iter().all(|ending| ending.who == "operator root" && ending.why.as_deref() == Some("a thief"))
    );
}

fn who_may_not_sign_in_any_more_loses_what_is_open(mail: TestStore) {
    let rig = Rig::new(mail);
    let gate = rig.gate();
    let recheck = || rig.runtime.block_on(gate.recheck()).unwrap();
    let app = rig.mail.block_on(rig.test.app_password("ann@example.org", "phone", vec![]));
    let by_app = rig.visit(&gate, "ann@example.org", &app);
    let by_password = rig.visit(&gate, "ann@example.org", "secret");
    let bobs = rig.visit(&gate, "bob@example.org", "secret");
    let ended = || [&by_app, &by_password, &bobs].map(|visit| visit.end().has_come());
    recheck();
    assert_eq!(ended(), [false; 3]);
    // What changes nothing of it ends nothing.
    rig.change(vec![set("block_failures", "4")]);
    recheck();
    assert_eq!(ended(), [false; 3]);
    let object = Named { kind: Kind::Credential, name: "ann@example.org:password".into(), tenant: None };
    let object = Named { name: object.name.replace("ann@example.org", &ann().to_string()), ..object };
    let secret = Some(NewSecret::Password("another secret of hers".into()));
    let action = Action::Change { object, version: None, rename: None, fields: Vec::new(), secret };
    let request = Request { action, reason: None, dry_run: false };
    rig.mail.block_on(rig.test.directory.execute(Actor::Operator, request)).unwrap();
    recheck();
    assert_eq!(ended(), [false, true, false], "her password alone is another");
    let used = rig.sessions(&gate, Wanted::Account(ann()));
    let credential = used.iter().find(|session| session.proof == Proof::LongSecret).unwrap().credential;
    rig.move_object(Verb::Delete, Kind::Credential, &credential.to_string());
    recheck();
    assert_eq!(ended(), [true, true, false], "the app password is revoked");
    rig.move_object(Verb::Suspend, Kind::Account, "bob@example.org");
    recheck();
    assert_eq!(ended(), [true; 3]);
    rig.move_object(Verb::Resume, Kind::Account, "bob@example.org");
    let bobs = rig.visit(&gate, "bob@example.org", "secret");
    rig.move_object(Verb::Suspend, Kind::Tenant, "tenant-1");
    recheck();
    assert!(bobs.end().has_come());
}

fn nodes_tell_each_other_of_sessions(mail: TestStore) {
    let rig = Rig::new(mail);
    let (one, other) = (rig.gate(), rig.gate());
    let (anns, bobs) =
        (rig.visit(&one, "ann@example.org", "secret"), rig.visit(&other, "bob@example.org", "secret"));
    assert_eq!(rig.sessions(&other, Wanted::All).len(), 1, "nothing was told yet");
    [&one, &other].into_iter().for_each(|gate| rig.meet(gate));
    let told = |gate, wanted| rig.sessions(gate, wanted).len();
    assert_eq!([told(&one, Wanted::All), told(&other, Wanted::All)], [2, 2]);
    assert_eq!(rig.sessions(&other, Wanted::Account(ann())), rig.sessions(&one, Wanted::Account(ann())));
    assert_eq!(told(&other, Wanted::Tenant(home(1).tenant)), 2);
    anns.call(hikyaku_access::history::Client::new("telephone"));
    rig.meet(&one);
    assert_eq!(rig.sessions(&other, Wanted::Account(ann()))[0].client.as_str(), "telephone");
    // Each hears of it once: who signs in again is not ended by what was before.
    assert_eq!(rig.end(&other, Which::Account(ann())), 1);
    assert!(!anns.end().has_come());
    rig.meet(&one);
    assert!(anns.end().has_come() && !bobs.end().has_come());
    drop(anns);
    let again = rig.visit(&one, "ann@example.org", "secret");
    rig.meet(&one);
    assert!(!again.end().has_come());
    assert_eq!(told(&other, Wanted::All), 2);
    // Sessions of a node that does not live are nobody's.
    rig.later(Duration::from_secs(11));
    rig.meet(&other);
    assert_eq!(told(&other, Wanted::All), 1);
    rig.meet(&one);
    assert_eq!(told(&other, Wanted::All), 2);
    rig.runtime.block_on(one.leave()).unwrap();
    assert_eq!(told(&other, Wanted::All), 1);
}

/// More than one transaction may write, and more than one may read.
fn after_a_start_everybody_comes_at_once(mail: TestStore) {
    const MANY: usize = 1_100;
    let rig = Rig::new(mail);
    let (one, other) = (rig.gate(), rig.gate());
    let visits: Vec<_> = (0..MANY).map(|_| rig.visit(&one, "ann@example.org", "secret")).collect();
    rig.meet(&one);
    rig.meet(&other);
    let told = |gate| {
        let mut ids: Vec<_> =
            rig.sessions(gate, Wanted::Account(ann())).iter().map(|session| session.id).collect();
        ids.dedup();
        ids.len()
    };
    assert_eq!(told(&other), MANY);
    drop(visits);
    rig.meet(&one);
    assert_eq!(told(&other), 0);
    let left: Vec<_> = (0..MANY).map(|_| rig.visit(&one, "ann@example.org", "secret")).collect();
    rig.meet(&one);
    // A node that ends without a word leaves them behind.
    rig.later(Duration::from_secs(3600));
    rig.runtime.block_on(other.expire()).unwrap();
    assert_eq!(told(&other), 0);
    drop(left);
}
