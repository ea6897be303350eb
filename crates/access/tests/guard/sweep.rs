//! Sweeping as a whole: what is too old to matter goes, the rest stays, no decision changes, and
//! whoever waits for the state waits for a part of it at most.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use hikyaku_access::block::{Block, BlockKey};
use hikyaku_access::event::{Event, Standing, What};
use hikyaku_access::facts::{AccountFacts, Attempt, Class, Credential, Service, Subject, SubjectKey, Tag};
use hikyaku_access::guard::{Settings, answer_after, before};
use hikyaku_access::place::Place;
use hikyaku_access::policy::Limits;
use hikyaku_access::reason::Reason;
use hikyaku_access::{Capacity, Cluster, State, source_of};
use hikyaku_types::{AccountId, DomainId, NodeId, Timestamp};

use super::rig::{START, tenant};

const DAY: Duration = Duration::from_secs(86_400);
const HOUR: Duration = Duration::from_secs(3600);
/// More than one part of each map has of them.
const MANY: u32 = 6_000;
const NODE: NodeId = NodeId::new(3).unwrap();

fn state() -> State {
    let capacity =
        Capacity { accounts: 1 << 16, names: 1 << 16, sources: 1 << 18, tenants: 100, blocks: 1 << 16 };
    State::new(Limits::default(), capacity, Cluster::alone(NODE))
}

/// An address of its own /24 for each; those of another kind are elsewhere.
fn ip(kind: u8, number: u32) -> IpAddr {
    let [_, _, high, low] = number.to_be_bytes();
    Ipv4Addr::new(kind, high, low, 7).into()
}

fn account(kind: u8, number: u32) -> AccountId {
    AccountId::from_i64((i64::from(kind) << 32) | (i64::from(number) + 1)).unwrap()
}

fn name(kind: u8, number: u32) -> SubjectKey {
    SubjectKey::Missing((u64::from(kind) << 32) | u64::from(number))
}

fn event(at: Timestamp, ip: IpAddr, what: What) -> Event {
    Event { at, node: NODE, ip, what }
}

/// A good sign-in, which speaks for its source or does not.
fn good(state: &mut State, at: Timestamp, kind: u8, number: u32, vouches: bool) {
    let what = What::Good { tenant: tenant(1), account: account(kind, number), vouches };
    state.apply(&event(at, ip(kind, number), what));
}

/// A guess at a name.
fn wrong(state: &mut State, at: Timestamp, kind: u8, number: u32) {
    let (subject, tag, standing) = (name(kind, number), Tag(number), Standing::Fresh);
    let what = What::Wrong { tenant: Some(tenant(1)), subject, tag, class: Class::Mail, standing };
    state.apply(&event(at, ip(kind, number), what));
}

/// A password that nobody looked at.
fn unchecked(state: &mut State, at: Timestamp, kind: u8, number: u32) {
    let (subject, tag) = (name(kind, number), Tag(number));
    let what = What::Unchecked { tenant: Some(tenant(1)), subject, tag, class: Class::Mail };
    state.apply(&event(at, ip(kind, number), what));
}

fn block(state: &mut State, until: Timestamp, kind: u8, number: u32) {
    let source = source_of(ip(kind, number));
    let key =
        BlockKey { tenant: Some(tenant(1)), subject: Some(name(kind, number)), source, class: Class::Mail };
    let since = until.before(HOUR);
    state.blocks.add(Block { key, since, until, reason: Reason::WrongPassword, earlier: 0, failures: 10 });
}

/// What is not too old at `now`, each just so.
fn fill_fresh(state: &mut State, now: Timestamp) {
    for number in 0..50 {
        good(state, now.before(29 * DAY), 11, number, true);
        good(state, now.before(29 * DAY), 12, number, false);
        wrong(state, now.before(23 * HOUR), 13, number);
        unchecked(state, now.before(23 * HOUR), 14, number);
        block(state, now.before(6 * DAY), 15, number);
        block(state, now.after(HOUR), 16, number);
    }
}

/// What is too old at `now`, each just so.
fn fill_old(state: &mut State, now: Timestamp) {
    for number in 0..MANY {
        good(state, now.before(31 * DAY), 21, number, true);
        wrong(state, now.before(8 * DAY), 22, number);
        unchecked(state, now.before(2 * DAY), 23, number);
        block(state, now.before(8 * DAY), 24, number);
    }
}

/// All that is decided about whoever is remembered, and some who are not.
fn decisions(state: &State, now: Timestamp) -> Vec<String> {
    let settings = Settings { accounts: 10, ..Settings::default() };
    let mut told = Vec::new();
    for kind in 11..=25 {
        for number in 0..50 {
            let SubjectKey::Missing(key) = name(kind, number) else { unreachable!() };
            let facts = AccountFacts {
                tenant: tenant(1),
                account: account(kind, number),
                domain: DomainId::from_i64(1).unwrap(),
                groups: &[],
                suspended: false,
            };
            for subject in [Subject::Account(facts), Subject::Missing { tenant: Some(tenant(1)), name: key }]
            {
                let (ip, credential) = (ip(kind, number), Credential::Password(Tag(7)));
                let (service, place) = (Service::Imap, Place::default());
                let attempt = Attempt { now, service, ip, place, subject, credential };
                let admission = before(&attempt, &settings, state);
                told.push(format!("{admission:?} {:?}", answer_after(ip, state, now)));
            }
        }
    }
    told
}

fn counts(size: Capacity) -> [usize; 4] {
    [size.accounts, size.names, size.sources, size.blocks]
}

#[test]
fn what_is_old_goes_in_parts_and_the_rest_stays() {
    let now = START.after(40 * DAY);
    let (mut fresh, mut state) = (state(), state());
    fill_fresh(&mut fresh, now);
    fill_old(&mut state, now);
    fill_fresh(&mut state, now);
    let (full, kept, decided) = (counts(state.size()), counts(fresh.size()), decisions(&state, now));
    let old: Vec<usize> = full.iter().zip(kept).map(|(full, kept)| full - kept).collect();
    assert!(old.iter().all(|count| *count >= MANY as usize), "{old:?}");
    let mut step = 0;
    loop {
        let size = counts(state.size());
        let is_more = state.sweep(step, now);
        for ((before, after), old) in size.iter().zip(counts(state.size())).zip(&old) {
            assert!(before - after <= old / 4, "step {step} removed {} of {old}", before - after);
        }
        step += 1;
        if !is_more {
            break;
        }
    }
    assert!(step >= 16, "{step} steps");
    assert_eq!(counts(state.size()), kept);
    assert_eq!(decisions(&state, now), decided);
    // A guess makes its source suspect for a week, and counts at its account for a day.
    let (mut state, then) = (self::state(), now.before(6 * DAY));
    (0..50).for_each(|number| wrong(&mut state, then, 17, number));
    let sources = state.size().sources;
    let mut step = 0;
    while state.sweep(step, now) {
        step += 1;
    }
    assert_eq!((state.size().names, state.size().sources), (0, sources));
}
