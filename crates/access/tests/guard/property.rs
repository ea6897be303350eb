//! What holds for every run.

use std::time::Duration;

use hikyaku_access::Cluster;
use hikyaku_access::event::{Event, Standing, What};
use hikyaku_access::facts::{Class, Subject, Tag};
use hikyaku_access::guard::{Admission, Decision, before};
use hikyaku_access::rule::{Level, Mode, Rule, Version};
use hikyaku_types::{NodeId, Timestamp};
use proptest::prelude::*;

use crate::rig::{Rig, START, attempt, subject, tenant};

const ACCOUNTS: [&str; 4] = ["ann", "bob", "dan", "nobody"];
const ADDRESSES: [&str; 6] =
    ["192.0.2.1", "192.0.2.2", "198.51.100.1", "2001:db8:1:100::1", "2001:db8:1:101::1", "2001:db8:1:200::1"];

fn event() -> impl Strategy<Value = Event> {
    let standings = prop_oneof![
        Just(Standing::Known),
        Just(Standing::Office),
        Just(Standing::Neighbour),
        Just(Standing::Fresh),
        Just(Standing::Suspect),
    ];
    (0..ACCOUNTS.len(), 0..ADDRESSES.len(), 0u32..1_000_000, 0i64..86_400, 0u16..2, standings, 0..4).prop_map(
        |(account, address, tag, seconds, node, standing, kind)| {
            let subject = subject(ACCOUNTS[account]);
            let what = match (kind, subject) {
                (0, Subject::Account(facts)) => {
                    What::Good { tenant: facts.tenant, account: facts.account, vouches: tag % 2 == 0 }
                }
                _ => What::Wrong {
                    tenant: subject.tenant(),
                    subject: subject.key(),
                    tag: Tag(tag),
                    class: Class::Mail,
                    standing,
                },
            };
            Event {
                at: START.after(Duration::from_secs(seconds.unsigned_abs())),
                node: NodeId::new(node).unwrap(),
                ip: ADDRESSES[address].parse().unwrap(),
                what,
            }
        },
    )
}

/// What a node that read `events` decides about everybody, from everywhere.
fn decisions(events: &[Event]) -> Vec<(Admission, Duration)> {
    let mut rig = Rig::new();
    for event in events {
        rig.state.apply(event);
    }
    let now = START.after(Duration::from_secs(86_400));
    let everybody = ACCOUNTS.iter().flat_map(|who| ADDRESSES.iter().map(move |ip| (who, ip)));
    everybody
        .map(|(who, ip)| {
            let attempt = attempt(now, who, ip, "right");
            let delay = hikyaku_access::guard::answer_after(attempt.ip, &rig.state, now);
            (before(&attempt, &rig.settings, &rig.state), delay)
        })
        .collect()
}

proptest! {
    #[test]
    fn the_order_of_events_and_repetitions_make_no_difference(
        events in prop::collection::vec(event(), 0..40),
        again in prop::collection::vec(0usize..40, 0..20),
        seed in any::<u64>(),
    ) {
        let expected = decisions(&events);
        let mut others = events.clone();
        others.extend(again.iter().filter_map(|&at| events.get(at)));
        hikyaku_testkit::Rng::new(seed).shuffle(&mut others);
        prop_assert_eq!(decisions(&others), expected);
    }

    /// The time of the answer is the one thing that an attacker can measure.
    #[test]
    fn existing_missing_suspended_and_refused_accounts_are_answered_alike(
        tries in prop::collection::vec((0..ADDRESSES.len(), 0u64..40, 0u64..120), 1..80),
    ) {
        let answers = |who: &str, ruled: bool| -> Vec<Duration> {
            let mut rig = Rig::new();
            if ruled {
                let nowhere = Version { mode: Mode::Enforce, allow: Vec::new() };
                let key = (Level::Tenant, hikyaku_access::facts::Service::Imap);
                rig.settings.rules.rules.insert(key, Rule { base: nowhere, change: None });
            }
            let mut now = START;
            let mut answers = Vec::new();
            for &(address, password, pause) in &tries {
                now = now.after(Duration::from_secs(pause));
                answers.push(rig.step(now, who, ADDRESSES[address], &format!("w{password}")).2);
            }
            answers
        };
        let expected = answers("nobody", false);
        prop_assert_eq!(&answers("ann", false), &expected);
        prop_assert_eq!(&answers("sus", false), &expected);
        prop_assert_eq!(&answers("ann", true), &expected);
    }

    /// Nodes hear of each other late, and their clocks differ.
    #[test]
    fn several_nodes_together_check_no_more_than_twenty_guesses_a_day(
        nodes in 1u16..6,
        pauses in prop::collection::vec((0u64..4_000, 0u16..6), 50..250),
        lag in 0u64..2_000,
    ) {
        let cluster = |index| Cluster { node: NodeId::new(index).unwrap(), index, nodes };
        let mut rigs: Vec<Rig> = (0..nodes).map(|index| Rig::among(cluster(index))).collect();
        let mut record: Vec<(Timestamp, Event)> = Vec::new();
        let mut read = vec![0; rigs.len()];
        let (mut now, mut checked) = (START, 0);
        for (number, (pause, node)) in pauses.into_iter().enumerate() {
            now = now.after(Duration::from_millis(pause));
            let node = usize::from(node % nodes);
            while let Some((_, event)) = record.get(read[node]).filter(|(seen_at, _)| *seen_at <= now) {
                rigs[node].state.apply(event);
                read[node] += 1;
            }
            let ahead = Duration::from_secs(node as u64 % 3);
            let (admission, changes, _) =
                rigs[node].step(now.after(ahead), "ann", &format!("10.0.{number}.1"), &format!("w{number}"));
            checked += u32::from(admission.decision == Decision::Check);
            let seen_at = now.after(Duration::from_millis(lag));
            record.extend(changes.event.filter(Event::is_shared).map(|event| (seen_at, event)));
        }
        prop_assert!(checked <= 20, "{checked} guesses");
        prop_assert!(checked >= 15, "{checked} guesses: the budget is spent");
    }

    /// The one promise to the owner.
    #[test]
    fn from_a_known_source_the_password_is_always_checked(
        tries in prop::collection::vec((0..ACCOUNTS.len(), 0..ADDRESSES.len(), 0u64..200), 0..150),
    ) {
        let mut rig = Rig::new();
        rig.settings.mail.failures = 3;
        rig.settings.mail.scope = hikyaku_access::policy::Scope::Tenant;
        rig.step(START, "ann", "192.0.2.1", "right");
        for (account, address, password) in tries {
            rig.step(START, ACCOUNTS[account], ADDRESSES[address], &format!("w{password}"));
        }
        let (admission, ..) = rig.step(START, "ann", "192.0.2.1", "right");
        prop_assert_eq!((admission.decision, admission.standing), (Decision::Check, Standing::Known));
        prop_assert_eq!(tenant(1), subject("ann").tenant().unwrap());
    }
}
