//! Who may sign in from where, over real IMAP and submission connections from many sources: each
//! comes through a proxy that tells its address (PROXY protocol, version 2).
//!
//! The listeners and sessions are those of the program, on both engines, and time is set by the
//! test. The program itself, with the commands of its operator, is in
//! `tests/e2e/51-sign-in-from`.

mod named;
mod rig;

use std::time::Duration;

use hikyaku_access::rule::change::{Begin, ChangeError, ConfirmError, OwnAddress};
use hikyaku_directory::{Kind, RuleMode};
use hikyaku_sign_in::{RuleError, RuleOwner};
use hikyaku_testkit::{TestStore, both_engines, set};

use rig::{DOORS, Server, home, proposal};

both_engines! {
    every_level_is_watched_and_enforced
    a_source_is_an_address_a_network_or_a_country_until_a_day
    every_level_must_agree
    an_exception_opens_all_rules_until_it_ends
    enforcing_is_watched_for_a_day_first
    who_is_shut_out_has_fifteen_minutes
    a_block_is_one_accounts_at_one_source
    a_block_is_lifted_or_its_source_exempted
    an_old_password_counts_once
    an_office_is_not_shut_out_by_one_telephone
    an_app_password_has_its_own_sources
}

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);
const OFFICE: &str = "192.0.2.0/24 office in Osaka";

/// Who of the tenant a rule is for: ann always is. With it the code of its refusals, and
/// somebody whom it is not for.
fn levels() -> [(RuleOwner, &'static str, &'static str); 4] {
    [
        (RuleOwner::Tenant, "rule-tenant", "carol"),
        (RuleOwner::Domain("example.org".into()), "rule-domain", "eve"),
        (RuleOwner::Group("sales".into()), "rule-group", "bob"),
        (RuleOwner::Account("ann@example.org".into()), "rule-account", "bob"),
    ]
}

fn every_level_is_watched_and_enforced(mail: TestStore) {
    let server = Server::start(mail);
    server.make(Kind::Group, "sales", vec![set("members", "ann@example.org")]);
    for (owner, reason, not_meant) in levels() {
        for door in DOORS {
            let (here, other) = (door.word(), door.other().word());
            server.rule(door, &owner, RuleMode::Watch, OFFICE);
            server.check(&format!("{here} ann from 198.51.100.7 in"));
            assert_eq!(format!("rule-{}", server.would_refuse("ann")), reason);
            server.rule(door, &owner, RuleMode::Enforce, OFFICE);
            server.check(&format!(
                "{here}  ann         from 198.51.100.7           out
                 {here}  ann         from 198.51.100.7 with wrong out
                 {here}  ann         from 192.0.2.7              in
                 {here}  {not_meant} from 198.51.100.7           in
                 {other} ann         from 198.51.100.7           in"
            ));
            assert_eq!(server.reasons("ann").first(), Some(&reason));
            server.rule(door, &owner, RuleMode::Off, OFFICE);
            server.check(&format!("{here} ann from 198.51.100.7 in"));
        }
    }
    assert_eq!(server.blocks(), [], "nobody guessed: nothing was looked at");
}

fn a_source_is_an_address_a_network_or_a_country_until_a_day(mail: TestStore) {
    let server = Server::start(mail);
    let allow = "192.0.2.7 her desk, 198.51.100.0/25 office in Osaka, 2001:db8:7::/48 the same, \
                 2001:db8:9::1 at home, 198.51.100.200 until 2026-11-24 auditors, PT until 2026-11-25 travels";
    for door in DOORS {
        server.rule(door, &RuleOwner::Tenant, RuleMode::Enforce, allow);
    }
    server.check(
        "both ann from 192.0.2.7            in
         both ann from 192.0.2.8            out
         both ann from 198.51.100.127       in
         both ann from 198.51.100.128       out
         both ann from 2001:db8:7:ffff::1   in
         both ann from 2001:db8:8::1        out
         both ann from 2001:db8:9::1        in
         both ann from 2001:db8:9::2        out
         both ann from 198.51.100.200       in
         both ann from 203.0.113.9          in
         both ann from ::ffff:192.0.2.7     in
         both ann from ::ffff:192.0.2.8     out",
    );
    // Noon was here. The auditors have gone, the journey goes on.
    server.later(12 * HOUR);
    server.check(
        "both ann from 198.51.100.200 out
         both ann from 203.0.113.9    in",
    );
    server.later(24 * HOUR);
    server.check(
        "both ann from 203.0.113.9 out
         both ann from 192.0.2.7   in",
    );
}

fn every_level_must_agree(mail: TestStore) {
    let server = Server::start(mail);
    server.make(Kind::Group, "sales", vec![set("members", "ann@example.org")]);
    for door in DOORS {
        let allow = ["192.0.0.0/16 tenant", "192.0.2.0/24 domain", "192.0.2.0/25 group", "192.0.2.7 desk"];
        for ((owner, ..), allow) in levels().iter().zip(allow) {
            server.rule(door, owner, RuleMode::Enforce, allow);
        }
    }
    server.check(
        "both ann from 192.0.2.7   in
         both ann from 192.0.2.8   out
         both bob from 192.0.2.200 in
         both bob from 192.0.3.1   out
         both eve from 192.0.3.1   in
         both eve from 192.1.0.1   out",
    );
}

fn an_exception_opens_all_rules_until_it_ends(mail: TestStore) {
    let server = Server::start(mail);
    for (owner, ..) in levels().iter().filter(|(owner, ..)| !matches!(owner, RuleOwner::Group(_))) {
        for door in DOORS {
            server.rule(door, owner, RuleMode::Enforce, OFFICE);
        }
    }
    let travels = [("account", "ann@example.org"), ("until", "2026-11-25"), ("note", "travels")];
    let travels = || travels.iter().map(|(field, value)| set(field, *value)).collect::<Vec<_>>();
    server.make(Kind::Exception, "", [travels(), vec![set("services", "imap")]].concat());
    server.check(
        "imap       ann from 198.51.100.7 in
         submission ann from 198.51.100.7 out
         imap       bob from 198.51.100.7 out",
    );
    server.delete(Kind::Exception, &home("ann").account.to_string());
    server.check("both ann from 198.51.100.7 out");
    server.make(Kind::Exception, "", travels());
    server.check("both ann from 198.51.100.7 in");
    server.later(36 * HOUR);
    server.check("both ann from 198.51.100.7 out");
}

fn enforcing_is_watched_for_a_day_first(mail: TestStore) {
    let server = Server::start(mail);
    let enforce = proposal(RuleMode::Enforce, OFFICE, Begin::AfterWatch, OwnAddress::MustBeAllowed);
    for door in DOORS {
        server.propose(Some("192.0.2.7"), door, &RuleOwner::Tenant, &enforce).unwrap();
    }
    server.check("both ann from 198.51.100.7 in");
    assert_eq!(server.would_refuse("ann"), "tenant");
    server.later(24 * HOUR - MINUTE);
    server.check("both ann from 198.51.100.7 in");
    server.later(MINUTE);
    server.check(
        "both ann from 198.51.100.7 out
         both ann from 192.0.2.7    in",
    );
}

/// An administrator enforces a rule from an address that it does not allow.
fn who_is_shut_out_has_fifteen_minutes(mail: TestStore) {
    const ELSEWHERE: Option<&str> = Some("198.51.100.7");
    let server = Server::start(mail);
    let tenant = RuleOwner::Tenant;
    let enforce = |own| proposal(RuleMode::Enforce, OFFICE, Begin::AtOnce, own);
    for door in DOORS {
        let refused = server.propose(ELSEWHERE, door, &tenant, &enforce(OwnAddress::MustBeAllowed));
        assert!(matches!(refused, Err(RuleError::Change(ChangeError::LocksYouOut(_)))), "{refused:?}");
    }
    server.check("both ann from 198.51.100.7 in");
    let insist = || {
        for door in DOORS {
            server.propose(ELSEWHERE, door, &tenant, &enforce(OwnAddress::Insist)).unwrap();
        }
        server.check(
            "both ann from 198.51.100.7 out
             both ann from 192.0.2.7    in",
        );
    };
    // Not confirmed, it is rolled back.
    insist();
    for door in DOORS {
        let refused = server.confirm(door, &tenant, "198.51.100.7");
        assert!(matches!(refused, Err(RuleError::Confirm(ConfirmError::NotFromHere(_)))), "{refused:?}");
    }
    server.later(15 * MINUTE - Duration::from_secs(1));
    server.check("both ann from 198.51.100.7 out");
    server.later(Duration::from_secs(1));
    server.check("both ann from 198.51.100.7 in");
    // Confirmed at one door, it stays there and is rolled back at the other.
    insist();
    server.confirm(DOORS[0], &tenant, "192.0.2.7").unwrap();
    server.later(HOUR);
    server.check(
        "imap       ann from 198.51.100.7 out
         submission ann from 198.51.100.7 in",
    );
    // The operator lets out who is locked out.
    server.release(DOORS[0], &tenant);
    server.check("both ann from 198.51.100.7 in");
}

/// Neither colleagues nor neighbours feel a block, and whom it is for comes by another way.
fn a_block_is_one_accounts_at_one_source(mail: TestStore) {
    let server = Server::start(mail);
    let app = server.app_password(Vec::new());
    // What is guessed at one door is known at the other.
    server.guess(DOORS[0], "ann", "198.51.100.7", 5);
    assert_eq!(server.blocks(), []);
    let rest = (5..10).map(|number| format!("submission ann from 198.51.100.7 with guess-{number} out\n"));
    server.check(&rest.collect::<String>());
    let [block] = server.blocks()[..] else { panic!("one block: {:?}", server.blocks()) };
    assert_eq!((block.key.tenant, block.failures), (Some(home("ann").tenant), 10));
    server.check("both ann from 198.51.100.7 out");
    assert_eq!(server.reasons("ann").first(), Some(&"blocked-account"));
    server.check(
        "both ann   from 198.51.100.8 in
         both bob   from 198.51.100.7 in
         both eve   from 198.51.100.7 in
         both carol from 198.51.100.7 in",
    );
    assert_eq!(server.blocks(), [block]);
    // What nobody can guess lets her in, and makes the source known to her account.
    server.check(&format!("both ann from 198.51.100.7 with {app} in"));
    server.check("both ann from 198.51.100.7 in");
    server.later(HOUR);
    assert_eq!(server.blocks(), [], "it ends by itself");
}

fn a_block_is_lifted_or_its_source_exempted(mail: TestStore) {
    let server = Server::start(mail);
    let exempt =
        |networks: &str| server.change(Kind::Tenant, "tenant-1", vec![set("exempt_networks", networks)]);
    let block = |door| {
        server.guess(door, "ann", "198.51.100.7", 10);
        assert_eq!(server.blocks().len(), 1);
        server.check("both ann from 198.51.100.7 out");
    };
    let [imap, submission] = DOORS;
    // Exempted: at once, though nobody lifted it; whatever is guessed from there counts for nothing.
    block(submission);
    exempt("198.51.100.0/24 office in Osaka");
    server.check("both ann from 198.51.100.7 in");
    assert_eq!(server.blocks(), []);
    server.guess(imap, "bob", "198.51.100.7", 12);
    assert_eq!(server.blocks(), []);
    server.check("both bob from 198.51.100.7 in");
    exempt("");
    // Unblocked: and it is forgotten that she was.
    block_elsewhere(&server);
    assert_eq!(server.unblock("ann"), 1);
    server.check("both ann from 203.0.113.9 in");
}

/// From where she was never before: at a known source nobody is blocked.
fn block_elsewhere(server: &Server) {
    server.guess(DOORS[0], "ann", "203.0.113.9", 10);
    assert_eq!(server.blocks().len(), 1);
    server.check("both ann from 203.0.113.9 out");
}

/// A telephone in a drawer, that offers what was right last year.
fn an_old_password_counts_once(mail: TestStore) {
    let server = Server::start(mail);
    for _ in 0..3 {
        server.check(&"both ann from 198.51.100.7 with last-year out\n".repeat(6));
        server.later(5 * MINUTE);
    }
    assert_eq!(server.blocks(), []);
    server.check("both ann from 198.51.100.7 in");
}

/// Many guesses at one account behind the address of an office where everybody works.
fn an_office_is_not_shut_out_by_one_telephone(mail: TestStore) {
    let server = Server::start(mail);
    server.check(
        "both bob   from 192.0.2.7 in
         both eve   from 192.0.2.7 in
         both carol from 192.0.2.7 in",
    );
    server.guess(DOORS[0], "ann", "192.0.2.7", 12);
    assert_eq!(server.blocks(), [], "people of the tenant sign in well from there");
    server.check(
        "both bob   from 192.0.2.7 in
         both eve   from 192.0.2.7 in
         both carol from 192.0.2.7 in",
    );
}

fn an_app_password_has_its_own_sources(mail: TestStore) {
    let server = Server::start(mail);
    server.change(Kind::Tenant, "tenant-1", vec![set("scram", "yes")]);
    let app = server.app_password(vec![set("sources", "192.0.2.0/24,2001:db8:7::/48")]);
    server.check(&format!(
        "both ann from 192.0.2.7        with {app} in
         both ann from 2001:db8:7::9    with {app} in
         both ann from 198.51.100.7     with {app} out
         both ann from 2001:db8:8::9    with {app} out
         both ann from 198.51.100.7               in"
    ));
    assert!(server.reasons("ann").contains(&"rule-credential"), "{:?}", server.reasons("ann"));
    for door in DOORS {
        assert!(server.scram_signs_in(door, "ann", &app, "192.0.2.7"));
        assert!(!server.scram_signs_in(door, "ann", &app, "198.51.100.7"));
        assert!(!server.scram_signs_in(door, "ann", "wrong", "192.0.2.7"));
    }
    // The rules of the tenant come on top: both lists must have a source.
    for door in DOORS {
        server.rule(door, &RuleOwner::Tenant, RuleMode::Enforce, "192.0.2.128/25 upstairs");
    }
    server.check(&format!(
        "both ann from 192.0.2.7     with {app} out
         both ann from 192.0.2.200   with {app} in"
    ));
    for door in DOORS {
        assert!(server.scram_signs_in(door, "ann", &app, "192.0.2.200"));
        assert!(!server.scram_signs_in(door, "ann", &app, "192.0.2.7"));
    }
}
