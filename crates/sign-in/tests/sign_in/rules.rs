//! From where one may come, and how that is changed.

use std::time::Duration;

use hikyaku_access::reason::Reason;
use hikyaku_access::rule::change::{Begin, ChangeError, ConfirmError, OwnAddress};
use hikyaku_directory::{Entrance, Kind, RuleMode};
use hikyaku_sign_in::{By, Proposal, RuleError, RuleOf, RuleOwner, Wanted};
use hikyaku_testkit::{TestStore, both_engines, set};
use hikyaku_types::{Actor, TenantId, Timestamp};

use crate::rig::{ELSEWHERE, OFFICE, Rig, ann, home};

both_engines! {
    every_level_says_from_where_one_may_come
    a_rule_that_shuts_out_who_made_it_is_taken_back
    a_rule_is_run_over_the_past
}

/// A rule of the tenant's for IMAP, as the directory keeps it.
fn written(rig: &Rig, mode: &str, owner: &[(&str, &str)]) {
    let mut fields = vec![set("service", "imap"), set("mode", mode), set("allow", "192.0.2.0/24 office")];
    fields.extend(owner.iter().map(|(field, name)| set(field, *name)));
    rig.make(Kind::Rule, "", fields);
}

fn every_level_says_from_where_one_may_come(mail: TestStore) {
    let rig = Rig::new(mail);
    let gate = rig.gate();
    let app = rig.mail.block_on(rig.test.app_password("ann@example.org", "telephone", Vec::new()));
    let lets_in = || rig.lets_in(&gate, "ann@example.org", "secret", ELSEWHERE);
    rig.make(Kind::Group, "sales", vec![set("members", "bob@example.org")]);
    let change = |kind, name: &str, field: (&str, &str)| {
        rig.mail.block_on(rig.test.change(kind, name, vec![set(field.0, field.1)]));
    };
    let of_ann = format!("imap:account:{}", ann());
    for (owner, name, reason) in [
        (&[][..], "imap:tenant", Reason::TenantRule),
        (&[("domain", "example.org")], "imap:domain:example.org", Reason::DomainRule),
        (&[("account", "ann@example.org")], &of_ann, Reason::AccountRule),
        (&[("group", "sales")], "", Reason::GroupRule),
    ] {
        assert!(lets_in(), "{owner:?}");
        written(&rig, "enforce", owner);
        if reason == Reason::GroupRule {
            assert!(lets_in(), "she is not in it yet");
            change(Kind::Group, "sales", ("members", "ann@example.org"));
        }
        // As a wrong password, whatever is offered; from where it is allowed as before.
        for secret in ["secret", "wrong", &app] {
            assert_eq!(rig.attempt(&gate, "ann@example.org", secret, ELSEWHERE), (false, 1), "{owner:?}");
        }
        assert!(rig.history(&gate).iter().any(|line| line.1 == Some(reason)), "{reason:?}");
        assert!(rig.lets_in(&gate, "ann@example.org", "secret", OFFICE));
        assert!(rig.lets_in(&gate, "ann@example.org", &app, OFFICE));
        if name.is_empty() {
            change(Kind::Group, "sales", ("members", "bob@example.org"));
            assert!(lets_in(), "she left the group");
        } else {
            change(Kind::Rule, name, ("mode", "watch"));
            assert!(lets_in(), "{owner:?} only watches");
        }
    }
    // An exception opens all of them, until it ends.
    change(Kind::Rule, "imap:tenant", ("mode", "enforce"));
    assert!(!lets_in());
    let travels = vec![set("account", "ann@example.org"), set("until", "2100-01-01"), set("note", "travels")];
    rig.make(Kind::Exception, "", travels);
    assert!(lets_in());
    change(Kind::Exception, &ann().to_string(), ("until", "2020-01-01"));
    assert!(!lets_in(), "it ended");
}

fn a_rule_that_shuts_out_who_made_it_is_taken_back(mail: TestStore) {
    let rig = Rig::new(mail);
    let gate = rig.gate();
    let of = RuleOf { service: Entrance::Imap, tenant: None, owner: RuleOwner::Tenant };
    let by = By {
        actor: Actor::Administrator { tenant: home(1).tenant },
        who: "suzuki",
        reason: None,
        from: Some(ELSEWHERE.parse().unwrap()),
        dry_run: false,
    };
    let wish = |begin, own_address| Proposal {
        mode: RuleMode::Enforce,
        allow: Some(vec!["192.0.2.0/24 office".parse().unwrap()]),
        begin,
        own_address,
    };
    let propose = |begin, own| rig.runtime.block_on(gate.propose_rule(&by, &of, &wish(begin, own)));
    let lets_in = || rig.lets_in(&gate, "ann@example.org", "secret", ELSEWHERE);
    let refused = propose(Begin::AtOnce, OwnAddress::MustBeAllowed).unwrap_err();
    assert!(matches!(refused, RuleError::Change(ChangeError::LocksYouOut(_))), "{refused}");
    assert!(lets_in(), "nothing was made of it");
    propose(Begin::AtOnce, OwnAddress::Insist).unwrap();
    assert!(!lets_in());
    // Who cannot come cannot confirm; a restart changes nothing.
    let confirm = |ip: &str| rig.runtime.block_on(gate.confirm_rule(&by, &of, ip.parse().unwrap()));
    assert!(matches!(confirm(ELSEWHERE).unwrap_err(), RuleError::Confirm(ConfirmError::NotFromHere(_))));
    rig.later(Duration::from_secs(14 * 60));
    assert!(!rig.lets_in(&rig.gate(), "ann@example.org", "secret", ELSEWHERE));
    rig.later(Duration::from_secs(60));
    assert!(lets_in(), "it was not confirmed");
    assert!(matches!(confirm(OFFICE).unwrap_err(), RuleError::Confirm(ConfirmError::Nothing)));
    // Confirmed from the office, it stays.
    propose(Begin::AtOnce, OwnAddress::Insist).unwrap();
    confirm(OFFICE).unwrap();
    rig.later(Duration::from_secs(3600));
    assert!(!lets_in());
    rig.runtime.block_on(gate.release_rule(&by, &of)).unwrap();
    assert!(lets_in(), "it only watches");
    let watched = rig.runtime.block_on(gate.history(Wanted::All, Timestamp::from_secs(0), None, 1)).unwrap();
    assert_eq!(watched[0].would_refuse, "tenant");
    // A day of watching comes first, unless one says so.
    propose(Begin::AfterWatch, OwnAddress::Insist).unwrap();
    rig.later(Duration::from_secs(86_400 - 60));
    assert!(lets_in());
    rig.later(Duration::from_secs(60));
    assert!(!lets_in());
    let stranger = By { actor: Actor::Administrator { tenant: TenantId::from_i64(77).unwrap() }, ..by };
    assert!(rig.runtime.block_on(gate.release_rule(&stranger, &of)).is_err());
    let owner = By { actor: Actor::Owner { tenant: home(1).tenant, account: ann() }, ..by };
    assert!(rig.runtime.block_on(gate.release_rule(&owner, &of)).is_err());
    assert!(!lets_in());
}

fn a_rule_is_run_over_the_past(mail: TestStore) {
    let rig = Rig::new(mail);
    let gate = rig.gate();
    for (name, from, times) in [("ann@example.org", ELSEWHERE, 3), ("bob@example.org", OFFICE, 2)] {
        for _ in 0..times {
            assert!(rig.lets_in(&gate, name, "secret", from));
            rig.later(Duration::from_secs(7_200));
        }
    }
    let replay = || {
        let since = Timestamp::from_secs(0);
        rig.runtime.block_on(gate.replay_rules(home(1).tenant, since)).unwrap()
    };
    assert_eq!((replay().refused, replay().passed), (Vec::new(), 5));
    written(&rig, "watch", &[]);
    let answer = replay();
    let [hit] = &answer.refused[..] else { panic!("{answer:?}") };
    assert_eq!((hit.account, hit.ip.to_string(), hit.times), (ann(), ELSEWHERE.to_owned(), 3));
    assert_eq!(answer.passed, 2);
}
