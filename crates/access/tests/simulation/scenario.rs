//! The scenarios, what must hold in them, and the table.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::actors::{Forgotten, Guesser, Person, Program, Reset, Restart, Sources, Traveller, Words};
use crate::gate::{Naive, Real};
use crate::world::{DAY, Gate, HOUR, MINUTE, Tally, Who, World};

const SECOND: Duration = Duration::from_secs(1);

type Tallies = BTreeMap<&'static str, Tally>;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn office_ip() -> IpAddr {
    ip("203.0.113.5")
}

/// Addresses spread over the world.
fn botnet(count: u32) -> Vec<IpAddr> {
    (0..count).map(|number| IpAddr::V4((0x2000_0000 + number * 71_993).into())).collect()
}

fn accounts(places: &[usize]) -> Vec<Who> {
    places.iter().copied().map(Who::Account).collect()
}

/// An office of 200 behind one address: three forgotten devices, and people who mistype.
fn office(world: &mut World) -> Vec<usize> {
    let staff = world.directory.add(1, 200);
    for &place in &staff {
        let begins = world.any(HOUR);
        world.add("office", Person::new(place, office_ip()), 8 * HOUR + begins);
    }
    for (&place, minutes) in staff.iter().zip([5, 5, 7]) {
        let device = Forgotten { place, ip: office_ip(), every: minutes * MINUTE, password: None };
        world.add("forgotten devices", device, Duration::from_secs(60));
    }
    staff
}

/// Tenant number 2, whose accounts nobody uses while they are guessed at.
fn others(world: &mut World, count: usize) -> Vec<Who> {
    accounts(&world.directory.add(2, count))
}

/// Runs a scenario under the real policy and under the naive one, prints what happened, and
/// gives what happened under the real one.
fn run(title: &str, days: u32, build: impl Fn(&mut World)) -> Tallies {
    let under = |gate: Box<dyn Gate>| {
        let mut world = World::new(gate, 20_261_124);
        build(&mut world);
        world.run(days * DAY)
    };
    let (real, naive) = (under(Box::new(Real::new())), under(Box::new(Naive::new())));
    print(&format!("{title}; {days} days"), &real, &naive);
    real
}

fn print(title: &str, real: &Tallies, naive: &Tallies) {
    println!("\n{title}");
    println!(
        "{:<18} | {:>8} {:>6} {:>6} {:>7} {:>7} {:>7} | {:>8} {:>7} {:>7} {:>7}",
        "hikyaku | naive",
        "admitted",
        "chall.",
        "refus.",
        "checked",
        "not",
        "max/day",
        "admitted",
        "refused",
        "checked",
        "max/day"
    );
    for (kind, ours) in real.iter().filter(|(kind, _)| **kind != EVENTS) {
        let theirs = naive.get(kind).cloned().unwrap_or_default();
        println!(
            "{kind:<18} | {:>8} {:>6} {:>6} {:>7} {:>7} {:>7} | {:>8} {:>7} {:>7} {:>7}",
            ours.admitted,
            ours.challenged,
            ours.refused,
            ours.checked,
            ours.unchecked,
            ours.most_guesses_a_day(),
            theirs.admitted,
            theirs.refused,
            theirs.checked,
            theirs.most_guesses_a_day(),
        );
        if let (Some(most), count) = (ours.minutes.iter().max(), ours.minutes.len()) {
            let sum: u64 = ours.minutes.iter().sum();
            println!(
                "{:<18} | challenged at {count} places, {} minutes each on average, {most} at most",
                "",
                sum / count as u64
            );
        }
    }
}

/// What is no actor of its own: resets and restarts.
const EVENTS: &str = "";

fn never_kept_out(tallies: &Tallies, kind: &str) {
    let tally = &tallies[kind];
    assert!(tally.admitted > 0, "{kind} signed in");
    assert_eq!((tally.challenged, tally.refused), (0, 0), "{kind}");
}

/// All who guess from sources that their targets never used: 20 a day and account together.
fn within_the_budget(tallies: &Tallies, kinds: &[&str]) {
    let mut together = Tally::default();
    for kind in kinds {
        assert!(tallies[kind].checked + tallies[kind].unchecked > 0, "{kind} guessed");
        together.add(&tallies[kind]);
    }
    let most = together.most_guesses_a_day();
    assert!(most <= 20, "{most} guesses at one account in a day");
}

#[test]
fn a_botnet_locks_nobody_out() {
    let seen = run("10,000 sources guess at 500 accounts: office, travellers, others", 7, |world| {
        let staff = office(world);
        let travellers = world.directory.add(1, 5);
        let programs = world.directory.add(1, 5);
        for &place in &travellers {
            let begins = world.any(4 * HOUR);
            world.add("travellers", Traveller { place, here: None }, DAY + begins);
        }
        for &place in &programs {
            let begins = world.any(HOUR);
            world.add("app passwords", Program { place }, DAY + begins);
        }
        let mut targets = others(world, 340);
        targets.extend(accounts(&staff[..150]));
        targets.extend(accounts(&travellers));
        targets.extend(accounts(&programs));
        let bots = Guesser::steady(Sources::List(botnet(10_000)), targets, 4 * SECOND);
        world.add("botnet", bots, 2 * DAY);
        // In the middle a password is changed, and its old devices go on with the old one.
        let changed = staff[9];
        let old = Some(world.directory.accounts[changed].password);
        world.add(EVENTS, Reset { place: changed }, 3 * DAY + 10 * HOUR);
        for minutes in [5, 15] {
            let device =
                Forgotten { place: changed, ip: office_ip(), every: minutes * MINUTE, password: old };
            world.add("after the reset", device, 3 * DAY + 10 * HOUR + SECOND);
        }
        world.add(EVENTS, Restart { node: 0 }, 3 * DAY + 11 * HOUR);
        world.add(EVENTS, Restart { node: 1 }, 4 * DAY + 12 * HOUR);
    });
    never_kept_out(&seen, "office");
    never_kept_out(&seen, "app passwords");
    within_the_budget(&seen, &["botnet"]);
    let travellers = &seen["travellers"];
    assert_eq!(travellers.refused, 0);
    assert!(travellers.minutes.iter().all(|minutes| *minutes <= 10), "the link lets them in");
    assert!(travellers.admitted > 20 * travellers.challenged, "{travellers:?}");
}

#[test]
fn without_an_attack_nobody_notices_anything() {
    let seen = run("an ordinary week: no attack", 7, |world| {
        office(world);
        for place in world.directory.add(1, 20) {
            let begins = world.any(4 * HOUR);
            world.add("travellers", Traveller { place, here: None }, begins);
        }
    });
    never_kept_out(&seen, "office");
    never_kept_out(&seen, "travellers");
}

#[test]
fn one_loud_attacker() {
    let seen = run("one source, 8 connections, 500 accounts of the office and of others", 4, |world| {
        let staff = office(world);
        let mut targets = others(world, 300);
        targets.extend(accounts(&staff));
        for _ in 0..8 {
            world.add("loud", Guesser::eager(vec![ip("198.51.100.66")], targets.clone()), DAY);
        }
    });
    never_kept_out(&seen, "office");
    within_the_budget(&seen, &["loud"]);
    assert!(seen["loud"].guesses() < 500, "{} guesses in three days", seen["loud"].guesses());
}

#[test]
fn an_attacker_inside_the_office() {
    let seen = run("an infected computer in the office, 4 connections, 10 colleagues", 5, |world| {
        let staff = office(world);
        for _ in 0..4 {
            world.add("inside", Guesser::eager(vec![office_ip()], accounts(&staff[..10])), DAY);
        }
    });
    never_kept_out(&seen, "office");
}

#[test]
fn failing_on_purpose_does_not_get_the_office_blocked() {
    let seen = run("an infected computer in the office fails everywhere, to have it blocked", 5, |world| {
        let staff = office(world);
        let mut targets = others(world, 300);
        targets.extend(accounts(&staff));
        targets.extend((0..500).map(Who::Missing));
        for _ in 0..4 {
            world.add("poisoner", Guesser::eager(vec![office_ip()], targets.clone()), DAY);
        }
    });
    never_kept_out(&seen, "office");
}

#[test]
fn an_attacker_who_holds_an_account() {
    let seen = run("50 sources that sign in well with one account of the tenant first", 4, |world| {
        let staff = office(world);
        let mut guesser = Guesser::steady(Sources::List(botnet(50)), accounts(&staff[1..]), 8 * SECOND);
        guesser.held = staff[..1].to_vec();
        world.add("holds an account", guesser, 2 * DAY);
    });
    never_kept_out(&seen, "office");
    within_the_budget(&seen, &["holds an account"]);
}

#[test]
fn an_attacker_who_holds_three_accounts() {
    let seen = run("50 sources that sign in well with three accounts of the tenant first", 4, |world| {
        let staff = office(world);
        let mut guesser = Guesser::steady(Sources::List(botnet(50)), accounts(&staff[3..]), 8 * SECOND);
        guesser.held = staff[..3].to_vec();
        world.add("holds three", guesser, 2 * DAY);
    });
    never_kept_out(&seen, "office");
    // Such a source looks like an office, and an office has a budget of its own.
    assert!(seen["holds three"].most_guesses_a_day() <= 70);
}

#[test]
fn customers_who_share_their_address_with_an_attacker() {
    let seen = run("carrier-grade NAT: an attacker and 20 customers behind one address", 5, |world| {
        let shared = ip("100.64.7.7");
        let targets = others(world, 500);
        let mut neighbours = Vec::new();
        for tenant in 10..20 {
            let [early, late] = world.directory.add(tenant, 2)[..] else { unreachable!("two were added") };
            world.add("NAT, there before", Person::new(early, shared), 8 * HOUR);
            let kind = if tenant < 12 { "NAT, new, attacked" } else { "NAT, new" };
            world.add(kind, Person::new(late, shared), DAY + 12 * HOUR);
            if tenant < 12 {
                neighbours.extend(accounts(&[early, late]));
            }
        }
        for _ in 0..2 {
            world.add("NAT attacker", Guesser::eager(vec![shared], targets.clone()), DAY);
            world.add("at neighbours", Guesser::eager(vec![shared], neighbours.clone()), DAY);
        }
    });
    never_kept_out(&seen, "NAT, there before");
    within_the_budget(&seen, &["NAT attacker"]);
    for kind in ["NAT, new", "NAT, new, attacked"] {
        let new = &seen[kind];
        let all = new.admitted + new.challenged + new.refused;
        assert!(new.refused * 100 < all && new.challenged * 10 < all, "{kind}: {new:?}");
    }
}

#[test]
fn one_common_password_for_everybody() {
    let seen = run("5,000 sources spray one common password after the other over 500 accounts", 5, |world| {
        let staff = office(world);
        let mut targets = others(world, 300);
        targets.extend(accounts(&staff));
        let sprayer = Guesser {
            words: Words::Spray { each: 700 },
            ..Guesser::steady(Sources::List(botnet(5_000)), targets, 3 * SECOND)
        };
        world.add("sprayer", sprayer, DAY);
    });
    never_kept_out(&seen, "office");
    within_the_budget(&seen, &["sprayer"]);
}

#[test]
fn low_and_slow() {
    let seen = run("10,000 sources, each account guessed at four times a day", 7, |world| {
        let staff = office(world);
        let mut targets = others(world, 300);
        targets.extend(accounts(&staff));
        let every = DAY / (4 * 500);
        world.add("slow", Guesser::steady(Sources::List(botnet(10_000)), targets, every), DAY);
    });
    never_kept_out(&seen, "office");
    within_the_budget(&seen, &["slow"]);
}

#[test]
fn a_whole_ipv6_network_is_one_source() {
    let first = 0x2001_0db8_00aa_0000_0000_0000_0000_0001;
    for (title, kind, step) in [
        ("a new /64 of one /48 for every guess", "rotates /64", 1u128 << 64),
        ("a new /48 of one /32 for every guess", "rotates /48", 1u128 << 80),
    ] {
        let seen = run(title, 3, |world| {
            let targets = others(world, 500);
            let sources = Sources::Rotating { first, step };
            world.add(kind, Guesser::steady(sources, targets, 10 * SECOND), Duration::ZERO);
        });
        within_the_budget(&seen, &[kind]);
        // One IPv4 address gets about as far.
        assert!(seen[kind].guesses() < 1_000, "{} guesses", seen[kind].guesses());
    }
}

#[test]
fn an_attack_on_a_traveller_costs_minutes() {
    let seen = run("1,000 sources do nothing but keep five travellers' accounts under attack", 5, |world| {
        let places = world.directory.add(1, 5);
        for &place in &places {
            let begins = world.any(4 * HOUR);
            world.add("travellers", Traveller { place, here: None }, DAY + begins);
        }
        let sources = Sources::List(botnet(1_000));
        world.add("spoiler", Guesser::steady(sources, accounts(&places), 30 * SECOND), DAY);
    });
    let travellers = &seen["travellers"];
    assert_eq!(travellers.refused, 0);
    assert!(travellers.minutes.iter().all(|minutes| *minutes <= 10), "{:?}", travellers.minutes);
    within_the_budget(&seen, &["spoiler"]);
}
