//! The scenarios, what must hold in them, and the table.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use crate::actors::{Forgotten, Guesser, Pace, Person, Reset, Restart, Sources, Traveller, Words};
use crate::gate::{Naive, Real};
use crate::world::{DAY, Gate, HOUR, MINUTE, Tally, Who, World};

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
        let person = Person { place, ip: office_ip(), every: HOUR, typos: 4 };
        world.add("office", person, 8 * HOUR + begins);
    }
    for (&place, minutes) in staff.iter().zip([5, 5, 7]) {
        let device = Forgotten { place, ip: office_ip(), every: minutes * MINUTE, password: None };
        world.add("forgotten devices", device, Duration::from_secs(60));
    }
    staff
}

/// Runs a scenario under the real policy and under the naive one.
fn both(build: impl Fn(&mut World), days: u32) -> (Tallies, Tallies) {
    let run = |gate: Box<dyn Gate>| {
        let mut world = World::new(gate, 20_261_124);
        build(&mut world);
        world.run(days * DAY)
    };
    (run(Box::new(Real::new(HashMap::new()))), run(Box::new(Naive::new())))
}

fn print(title: &str, real: &Tallies, naive: &Tallies) {
    println!("\n{title}");
    println!(
        "{:<20} {:>8} {:>8} {:>8} {:>9} {:>9} {:>7} | {:>8} {:>8} {:>9} {:>7}",
        "",
        "admitted",
        "challen.",
        "refused",
        "checked",
        "unchecked",
        "max/day",
        "admitted",
        "refused",
        "checked",
        "max/day"
    );
    for (kind, ours) in real {
        let theirs = naive.get(kind).cloned().unwrap_or_default();
        println!(
            "{kind:<20} {:>8} {:>8} {:>8} {:>9} {:>9} {:>7} | {:>8} {:>8} {:>9} {:>7}",
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
    }
}

fn never_kept_out(tallies: &Tallies, kind: &str) {
    let tally = &tallies[kind];
    assert!(tally.admitted > 0, "{kind} signed in");
    assert_eq!((tally.challenged, tally.refused), (0, 0), "{kind}");
}

#[test]
fn everything_at_once() {
    let (real, naive) = both(
        |world| {
            let staff = office(world);
            let travellers = world.directory.add(1, 5);
            let others = world.directory.add(2, 345);
            for &place in &travellers {
                let begins = world.any(4 * HOUR);
                world.add("travellers", Traveller { place, here: None }, DAY + begins);
            }
            // 500 accounts: half of the office's, the travellers' and others.
            let targets: Vec<usize> =
                staff[..150].iter().chain(&travellers).chain(&others).copied().collect();
            let bots = Guesser {
                sources: Sources::List(botnet(10_000)),
                targets: accounts(&targets),
                words: Words::Dictionary,
                pace: Pace::Steady(4 * Duration::from_secs(1)),
                held: None,
                tries: 0,
            };
            world.add("botnet", bots, 2 * DAY);
            world.add("", Reset { place: staff[9] }, 3 * DAY + 10 * HOUR);
            world.add("", Restart { node: 0 }, 3 * DAY + 11 * HOUR);
            world.add("", Restart { node: 1 }, 4 * DAY + 12 * HOUR);
        },
        7,
    );
    print("botnet of 10,000 against 500 accounts, office of 200, 5 travellers; 7 days", &real, &naive);
    never_kept_out(&real, "office");
}
