//! Transcripts: who is checked, challenged, refused, and why.

use hikyaku_access::block::BlockKey;
use hikyaku_access::facts::{Attempt, Class, Credential, Service, Subject};
use hikyaku_access::guard::{Decision, Outcome, after, before, introduce};
use hikyaku_access::policy::{Exempt, Note, Scope};
use hikyaku_access::rule::{Allow, Level, Mode, Origin, Rule, Version};
use hikyaku_types::Network;

use crate::rig::{Rig, attempt, subject, tenant, time};

fn check(transcript: &str) {
    Rig::new().check(transcript);
}

fn network(text: &str) -> Network {
    Network::parse(text).unwrap()
}

/// A rule of the tenant for IMAP that lets in this network only.
fn only_from(rig: &mut Rig, mode: Mode, text: &str) {
    let note = Note::new("test").unwrap();
    let allow = vec![Allow { origin: Origin::Network(network(text)), note, until: None }];
    let rule = Rule { base: Version { mode, allow }, change: None };
    rig.settings.rules.rules.insert((Level::Tenant, Service::Imap), rule);
}

#[test]
fn a_source_becomes_known_and_is_forgotten() {
    check(
        "0s ann@192.0.2.1 right -> check fresh
         1s ann@192.0.2.1 right -> check known
         2s bob@192.0.2.1 right -> check neighbour
         3s cat@192.0.2.1 right -> check neighbour
         4s eve@192.0.2.1 right -> check office
         5s dan@192.0.2.1 right -> check fresh
         31d ann@192.0.2.1 right -> check fresh",
    );
}

#[test]
fn the_same_wrong_password_counts_once() {
    let mut rig = Rig::new();
    rig.repeat(200, "#s ann@192.0.2.1 old -> check fresh after 1");
    rig.check("300s ann@192.0.2.1 right -> check fresh");
}

#[test]
fn different_ones_block_the_account_from_the_source_and_nobody_else() {
    let mut rig = Rig::new();
    rig.check("0s bob@198.51.100.1 right -> check fresh");
    rig.repeat(2, "0s ann@192.0.2.1 w# -> check fresh");
    rig.repeat(8, "0s ann@192.0.2.1 x# -> check suspect");
    rig.check(
        "1s ann@192.0.2.1 right -> refuse blocked-account
         1s ann@192.0.2.1 app -> check suspect
         2s bob@192.0.2.1 right -> check suspect
         2s dan@192.0.2.1 right -> check suspect
         2s ann@198.51.100.7 right -> check fresh
         2s ann/panel@192.0.2.1 right -> check known",
    );
    // The app password made the source known: now the plain one is welcome, too.
    rig.check("3s ann@192.0.2.1 right -> check known");
}

#[test]
fn a_block_ends_and_the_next_is_longer() {
    let mut rig = Rig::new();
    rig.settings.mail.failures = 3;
    rig.repeat(2, "0s ann@192.0.2.1 w# -> check fresh");
    rig.check(
        "0s ann@192.0.2.1 w9 -> check suspect
         3599s ann@192.0.2.1 v1 -> refuse blocked-account
         3601s ann@192.0.2.1 v1 -> check suspect
         3602s ann@192.0.2.1 v2 -> check suspect
         3603s ann@192.0.2.1 v3 -> check suspect
         3604s ann@192.0.2.1 right -> refuse blocked-account
         10802s ann@192.0.2.1 right -> refuse blocked-account
         10804s ann@192.0.2.1 right -> check suspect",
    );
}

#[test]
fn the_tenants_choice_blocks_the_tenant_from_the_source_for_mail_only() {
    let mut rig = Rig::new();
    rig.settings.mail.scope = Scope::Tenant;
    rig.check("0s cat@192.0.2.9 right -> check fresh");
    rig.repeat(2, "1s ann@192.0.2.1 w# -> check fresh");
    rig.repeat(4, "1s ann@192.0.2.1 x# -> check suspect");
    rig.repeat(4, "1s nobody#@192.0.2.1 x# -> check suspect");
    rig.check(
        "2s ann@192.0.2.1 right -> refuse blocked-tenant
         2s bob@192.0.2.1 right -> refuse blocked-tenant
         2s nobody@192.0.2.1 right -> refuse blocked-tenant
         2s bob/panel@192.0.2.1 w1 -> check suspect
         2s dan@192.0.2.1 right -> check suspect
         2s cat@192.0.2.9 right -> check known",
    );
}

#[test]
fn an_office_is_not_blocked_for_one_phone() {
    for scope in [Scope::Account, Scope::Tenant] {
        let mut rig = Rig::new();
        rig.settings.mail.scope = scope;
        for who in ["bob", "cat", "eve"] {
            rig.check(&format!(
                "0s {who}@192.0.2.1 right -> check {}",
                if who == "bob" { "fresh" } else { "neighbour" }
            ));
        }
        // Somebody in the office guesses at a colleague who was never there.
        rig.repeat(50, "1s ann@192.0.2.1 w# -> check office");
        rig.check(
            "2s bob@192.0.2.1 typo -> check known after 60
             2s bob@192.0.2.1 right -> check known
             2s ann@192.0.2.1 w99 -> challenge attacked-account
             2s ann@192.0.2.1 app -> check office
             3s ann@192.0.2.1 right -> check known",
        );
        assert!(rig.state.blocks.list(None, time("3s")).is_empty());
    }
}

#[test]
fn one_good_neighbour_keeps_blocks_away_but_not_the_budget() {
    let mut rig = Rig::new();
    rig.check("0s bob@192.0.2.1 right -> check fresh");
    rig.repeat(4, "1s ann@192.0.2.1 w# -> check neighbour");
    rig.repeat(16, "1s ann@192.0.2.1 x# -> check suspect");
    rig.check("2s ann@192.0.2.1 right -> challenge attacked-account");
    assert!(rig.state.blocks.list(None, time("3s")).is_empty());
}

#[test]
fn while_an_account_is_attacked_only_fresh_sources_are_believed_and_once() {
    let mut rig = Rig::new();
    rig.check(
        "0s ann@203.0.113.1 right -> check fresh
         0s bob@192.0.2.1 w1 -> check fresh
         0s bob@192.0.2.1 w2 -> check fresh",
    );
    rig.repeat(5, "1s ann@10.0.#.1 w# -> check fresh");
    rig.check(
        "2s ann@192.0.2.1 right -> challenge attacked-account
         2s ann@198.51.100.1 typo -> check fresh
         2s ann@198.51.100.1 right -> challenge attacked-account
         2s ann@198.51.100.1 factor -> check fresh
         3s ann@198.51.100.1 right -> check known
         3s ann@203.0.113.1 right -> check known
         3s bob@192.0.2.1 right -> check suspect",
    );
    // A day later it is over, and bob speaks for the source.
    rig.check("2d ann@192.0.2.1 right -> check neighbour");
}

#[test]
fn no_more_than_twenty_guesses_a_day() {
    let mut rig = Rig::new();
    rig.repeat(20, "#m ann@10.0.#.1 w# -> check fresh");
    rig.check(
        "30m ann@10.1.0.1 w99 -> challenge attacked-account
         30m ann@10.1.0.2 right -> challenge attacked-account
         30m ann@10.1.0.3 w7 -> check fresh
         1d ann@10.1.0.4 right -> challenge attacked-account",
    );
    rig.check("1447m ann@10.1.0.5 right -> check fresh");
}

#[test]
fn a_link_makes_a_source_known_and_speaks_for_nobody_else() {
    let mut rig = Rig::new();
    let Subject::Account(ann) = subject("ann") else { panic!("ann is an account") };
    let link = introduce(ann.tenant, ann.account, "192.0.2.1".parse().unwrap(), time("0s"), &rig.state);
    rig.state.apply(&link);
    rig.check(
        "1s bob@192.0.2.1 right -> check fresh
         1s ann@192.0.2.1 right -> check known",
    );
}

#[test]
fn a_right_password_without_its_second_factor_changes_nothing() {
    check(
        "0s ann@192.0.2.1 half -> check fresh
         1s ann@192.0.2.1 right -> check fresh",
    );
}

#[test]
fn a_loud_source_is_not_checked_any_more() {
    let mut rig = Rig::new();
    rig.repeat(2, "0s nobody#@192.0.2.1 w -> check fresh");
    rig.settings.accounts = 10_000; // a large tenant does not notice this
    rig.repeat(30, "0s somebody#@192.0.2.1 w -> check suspect");
    rig.check(
        "1s dan@192.0.2.1 right -> challenge loud-source
         1s ann@192.0.2.1 right -> challenge loud-source
         1s ann@192.0.2.1 app -> check suspect
         2s ann@192.0.2.1 right -> check known
         2s dan@192.0.2.2 right -> check fresh",
    );
}

#[test]
fn a_shared_loud_address_may_try_each_account_once() {
    let mut rig = Rig::new();
    for (at, who) in ["bob", "cat", "eve"].into_iter().enumerate() {
        rig.step(time(&format!("{at}s")), who, "192.0.2.1", "right");
    }
    // Names in nobody's domain: 32, and four for each of those who sign in well.
    for name in 0..44 {
        let nobody = Subject::Missing { tenant: None, name };
        let guess = Attempt { subject: nobody, ..attempt(time("3s"), "dan", "192.0.2.1", "w") };
        let admission = before(&guess, &rig.settings, &rig.state);
        assert_eq!(admission.decision, Decision::Check, "{name}");
        let changes = after(&guess, &admission, Outcome::Wrong, &rig.settings, &rig.state);
        rig.state.keep(&guess, &changes);
    }
    rig.check(
        "4s dan@192.0.2.1 typo -> check suspect
         4s dan@192.0.2.1 right -> challenge loud-source
         4s dan@192.0.2.1 app -> check suspect
         5s dan@192.0.2.1 right -> check known
         5s bob@192.0.2.1 right -> check known",
    );
}

#[test]
fn spraying_over_a_tenant_raises_its_guard() {
    let mut rig = Rig::new();
    rig.repeat(22, "0s name#@10.0.#.1 w -> check fresh");
    rig.check(
        "1s bob@192.0.2.1 w1 -> check fresh
         1s bob@192.0.2.1 w2 -> check fresh
         1s ann@192.0.2.1 right -> challenge attacked-tenant
         1s dan@192.0.2.1 right -> check suspect
         1s ann@192.0.2.2 right -> check fresh",
    );
}

#[test]
fn ipv6_counts_by_64_and_wider_as_abuse_widens() {
    let mut rig = Rig::new();
    rig.repeat(2, "0s ann@2001:db8:1:100::# w# -> check fresh");
    rig.check("0s ann@2001:db8:1:100::9 right -> check suspect");
    rig.repeat(4, "1s nobody@2001:db8:2:10#:: w# -> check fresh");
    rig.check(
        "2s bob@2001:db8:2:1ff:: w -> check suspect
         2s bob@2001:db8:2:200:: w -> check fresh",
    );
}

#[test]
fn a_wide_block_covers_what_is_in_it() {
    let mut rig = Rig::new();
    rig.settings.mail.failures = 6;
    rig.repeat(4, "0s ann@2001:db8:2:10#:: w# -> check fresh");
    rig.repeat(2, "0s ann@2001:db8:2:11#:: x# -> check suspect");
    let blocks = rig.state.blocks.list(None, time("1s"));
    let sources: Vec<String> = blocks.iter().map(|block| block.key.source.to_string()).collect();
    assert_eq!(sources, ["2001:db8:2:100::/56"]);
    rig.check("1s ann@2001:db8:2:1aa:: right -> refuse blocked-account");
}

#[test]
fn unblocking_and_exempting_act_at_once() {
    let mut rig = Rig::new();
    rig.settings.mail.failures = 3;
    rig.repeat(2, "0s ann@192.0.2.1 w# -> check fresh");
    rig.check(
        "0s ann@192.0.2.1 w9 -> check suspect
         1s ann@192.0.2.1 right -> refuse blocked-account",
    );
    let key = BlockKey {
        tenant: Some(tenant(1)),
        subject: Some(subject("ann").key()),
        source: network("192.0.2.1"),
        class: Class::Mail,
    };
    let saved = rig.state.blocks.clone();
    assert!(rig.state.blocks.lift(&key).is_some());
    rig.check("2s ann@192.0.2.1 again -> check suspect");
    rig.state.blocks = saved;
    rig.check("3s ann@192.0.2.1 right -> refuse blocked-account");
    let note = Note::new("our office").unwrap();
    rig.settings.exempt.push(Exempt { network: network("192.0.2.0/24"), note, until: Some(time("1h")) });
    rig.check("4s ann@192.0.2.1 wrong -> check exempt");
    rig.check("3599s nobody@192.0.2.1 wrong -> check exempt");
    rig.check("3600s ann@192.0.2.1 right -> check suspect");
}

#[test]
fn failures_from_an_exempt_network_are_held_against_nobody() {
    let mut rig = Rig::new();
    let note = Note::new("our office").unwrap();
    rig.settings.exempt.push(Exempt { network: network("192.0.2.1"), note, until: None });
    rig.repeat(300, "0s ann@192.0.2.1 w# -> check exempt after 1");
    rig.settings.exempt.clear();
    rig.check("1s ann@192.0.2.1 right -> check fresh");
}

#[test]
fn rules_refuse_before_anything_else() {
    let mut rig = Rig::new();
    rig.check("0s ann@192.0.2.1 right -> check fresh");
    only_from(&mut rig, Mode::Enforce, "198.51.100.0/24");
    rig.check(
        "1s ann@192.0.2.1 right -> refuse rule-tenant
         1s ann@192.0.2.1 app -> refuse rule-tenant
         1s ann/submission@192.0.2.1 right -> check known
         1s ann@198.51.100.7 right -> check fresh
         1s sus@198.51.100.7 right -> refuse suspended",
    );
    only_from(&mut rig, Mode::Watch, "198.51.100.0/24");
    let (admission, ..) = rig.step(time("2s"), "ann", "192.0.2.1", "right");
    assert_eq!(admission.would_refuse, [Level::Tenant]);
}

#[test]
fn an_app_password_has_a_list_of_its_own() {
    let rig = Rig::new();
    let note = Note::new("the scanner").unwrap();
    let allow = [Allow { origin: Origin::Network(network("192.0.2.0/24")), note, until: None }];
    for (ip, expected) in [("192.0.2.1", None), ("192.0.3.1", Some("rule-credential"))] {
        let attempt = Attempt {
            credential: Credential::LongSecret { allow: &allow },
            ..attempt(time("0s"), "ann", ip, "app")
        };
        let admission = before(&attempt, &rig.settings, &rig.state);
        let refused = match admission.decision {
            Decision::Refuse(reason) => Some(reason.code()),
            _ => None,
        };
        assert_eq!(refused, expected, "{ip}");
    }
}

#[test]
fn the_answer_slows_down_with_the_source() {
    let mut rig = Rig::new();
    let mut answers = |count: usize, now: &str| -> Vec<u64> {
        (0..count)
            .map(|number| rig.step(time(now), "ann", "192.0.2.1", &format!("w{number}")).2.as_secs())
            .collect()
    };
    let seen = answers(40, "0s");
    assert_eq!(seen[..13], [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 4, 4]);
    assert_eq!(seen[31..], [60; 9]);
    assert_eq!(answers(1, "2h"), [1]);
    assert_eq!(rig.step(time("0s"), "ann", "192.0.3.1", "w").2.as_secs(), 1, "by source only");
}

#[test]
fn guesses_under_way_count() {
    let rig = &mut Rig::new();
    let mut checked = 0;
    for number in 0..100 {
        let ip = format!("10.0.{number}.1");
        let attempt = attempt(time("0s"), "ann", &ip, &format!("w{number}"));
        let admission = before(&attempt, &rig.settings, &rig.state);
        rig.state.claim(&attempt, &admission);
        checked += usize::from(admission.decision == Decision::Check);
    }
    assert_eq!(checked, 20);
    // A check that never came back frees its place.
    rig.check("31s ann@10.9.9.9 right -> check fresh");
}

#[test]
fn what_everybody_knows_costs_no_statement() {
    let mut rig = Rig::new();
    let mut shared = |now: &str, secret: &str| rig.step(time(now), "ann", "192.0.2.1", secret).1.are_shared();
    assert!(shared("0s", "right"), "the source is new");
    assert!(!shared("59m", "right"));
    assert!(shared("61m", "right"), "others must hear that it is still used");
    assert!(shared("62m", "wrong"));
    assert!(!shared("62m", "app"));
    rig.settings.mail.failures = 3;
    for number in 0..3 {
        rig.step(time("2h"), "bob", "192.0.2.9", &format!("w{number}"));
    }
    let (_, changes, _) = rig.step(time("2h"), "bob", "192.0.2.9", "w2");
    assert!(!changes.are_shared(), "a refusal by a known block: {changes:?}");
}
