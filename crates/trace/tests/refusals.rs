//! Refusals in great number: what waits is bounded, and a search finds each of them once.

use std::sync::Arc;

use hikyaku_store::Scope;
use hikyaku_testkit::{DELIVERY, SHARD, TestStore, both_engines};
use hikyaku_trace::{Archive, Entry, Filter, RefusalLog, Refused};
use hikyaku_types::{Actor, Clock, NodeId, RisingIds, TenantId};

both_engines! {
    what_waits_is_bounded_and_written_once
    a_search_goes_on_where_it_ended
    who_may_not_is_told_nothing
}

fn log(mail: &TestStore) -> RefusalLog {
    RefusalLog::new(Arc::clone(&mail.store), Arc::new(RisingIds::new(NodeId::new(3).unwrap())))
}

/// Each for a domain of its own.
fn refuse(mail: &TestStore, log: &RefusalLog, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let refused = Refused {
            home: (number % 2 == 0).then(|| (TenantId::from_i64(1).unwrap(), SHARD)),
            source: "192.0.2.1".parse().unwrap(),
            listener: "smtp",
            reason: "550 5.1.1 No such mailbox",
            finding: None,
            reverse_path: "a@client.example",
            recipient: &format!("x@{number}.example"),
        };
        log.note(&refused, mail.clock.now());
    }
}

/// All that fits, page by page, the newest page first.
fn pages(mail: &TestStore, tenant: Option<TenantId>, limit: u16) -> Vec<Vec<Entry>> {
    let archive = Archive::new(Arc::clone(&mail.store));
    let mut filter = Filter { limit: Some(limit), ..Filter::default() };
    let mut pages = Vec::new();
    loop {
        let found = mail.block_on(archive.search(&Actor::Operator, tenant, &filter)).unwrap();
        assert_eq!(found.looked_back_to.is_some(), found.next.is_some());
        pages.push(found.entries);
        match found.next {
            Some(next) => filter.before = Some(next),
            None => return pages,
        }
    }
}

fn count(mail: &TestStore) -> usize {
    pages(mail, None, 1_000).iter().map(Vec::len).sum()
}

fn what_waits_is_bounded_and_written_once(mail: TestStore) {
    let log = log(&mail);
    refuse(&mail, &log, 0..4_100);
    mail.block_on(log.flush()).unwrap();
    assert_eq!(count(&mail), 4_000);
    mail.block_on(log.flush()).unwrap();
    assert_eq!(count(&mail), 4_000);
    // There is room again.
    refuse(&mail, &log, 4_000..4_100);
    mail.block_on(log.flush()).unwrap();
    assert_eq!(count(&mail), 4_100);
    let scope = Scope::service(&DELIVERY, SHARD, None).unwrap();
    let last = mail.block_on(mail.store.read(scope, "test.last", hikyaku_trace::last_id)).unwrap();
    assert!(last > 0, "ids made after a restart rise above it");
}

fn a_search_goes_on_where_it_ended(mail: TestStore) {
    let log = log(&mail);
    refuse(&mail, &log, 0..1_000);
    mail.block_on(log.flush()).unwrap();
    let tenant = TenantId::from_i64(1);
    for (tenant, limit, expected) in [(None, 70, 1_000), (None, 1_000, 1_000), (tenant, 70, 500)] {
        let mut pages = pages(&mail, tenant, limit);
        assert!(pages.iter().all(|page| page.len() <= usize::from(limit)));
        pages.reverse();
        let found: Vec<String> = pages.into_iter().flatten().map(|entry| entry.recipient).collect();
        let all = (0..1_000).filter(|number| tenant.is_none() || number % 2 == 0);
        let all: Vec<String> = all.map(|number| format!("x@{number}.example")).collect();
        assert_eq!((found.len(), found == all), (expected, true), "{limit}: {found:?}");
    }
}

fn who_may_not_is_told_nothing(mail: TestStore) {
    let log = log(&mail);
    refuse(&mail, &log, 0..2);
    mail.block_on(log.flush()).unwrap();
    let [own, other] = [1, 2].map(|number| TenantId::from_i64(number).unwrap());
    let archive = Archive::new(Arc::clone(&mail.store));
    let search = |actor: Actor, tenant| {
        let found = mail.block_on(archive.search(&actor, tenant, &Filter::default()));
        found.ok().map(|found| found.entries.iter().map(|entry| entry.id.clone()).collect::<Vec<_>>())
    };
    let all = search(Actor::Operator, None).unwrap();
    let administrator = Actor::Administrator { tenant: own };
    assert_eq!(search(administrator, None), Some(vec![all[0].clone()]));
    assert_eq!(search(administrator, Some(other)), None);
    assert_eq!(search(Actor::Support, None), None);
    let show = |actor: Actor, id: &str| mail.block_on(archive.show(&actor, None, id)).is_ok();
    let shown = [(administrator, 0), (administrator, 1), (Actor::Operator, 1)];
    assert_eq!(shown.map(|(actor, number)| show(actor, &all[number])), [true, false, true]);
}
