//! Pairs of changes on PostgreSQL, met at every point: A stops after each of its statements in
//! turn, B runs to its end or until it waits for a lock of A, A goes on.
//!
//! A plan that goes while a tenant is given it would leave the tenant without limits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hikyaku_directory::{Action, Answer, Directory, DirectoryError, Kind, Named, Request, State, Verb, View};
use hikyaku_store::{Location, Options, Store};
use hikyaku_testkit::pgproxy::{PgProxy, connect, somebody_waits_for_a_lock};
use hikyaku_testkit::{COMPONENTS, TestDirectory, TestStore, set};
use hikyaku_types::Actor;
use prometheus_client::registry::Registry;

/// One of the two changes, of the plan `plan-N` and the tenant `tenant-N`.
#[derive(Debug, Clone, Copy)]
enum Call {
    /// The tenant gets the plan.
    Give,
    /// It is deleted, undeleted.
    Plan(Verb),
    /// What is deleted and whose time has come is removed.
    Remove,
}

/// A database with two nodes on it: A's goes through the proxy.
struct Rig {
    mail: TestStore,
    proxy: PgProxy,
    a: TestDirectory,
    b: TestDirectory,
    watcher: postgres::Client,
}

impl Rig {
    fn new() -> Self {
        let mail = TestStore::postgres();
        let Location::Postgres { url } = &mail.location else { panic!("this is PostgreSQL") };
        let proxy = PgProxy::to(url);
        let options = Options { connections: 1, ..Options::default() };
        let location = Location::Postgres { url: proxy.url().to_owned() };
        let store = Store::open(&location, &options, &COMPONENTS, &mut Registry::default());
        let store = Arc::new(store.expect("the store opens"));
        let a = TestDirectory::of_node(store, Arc::clone(&mail.clock), 4);
        let (b, watcher) = (TestDirectory::new(&mail), connect(url));
        Self { mail, proxy, a, b, watcher }
    }

    fn ask(&self, action: Action) -> Result<Answer, DirectoryError> {
        let request = Request { action, reason: None, dry_run: false };
        self.mail.block_on(self.b.directory.execute(Actor::Operator, request))
    }

    fn show(&self, kind: Kind, name: &str) -> Result<View, DirectoryError> {
        match self.ask(Action::Show { object: named(kind, name) })? {
            Answer::Object(view) => Ok(view),
            other => panic!("{other:?}"),
        }
    }

    /// Runs the pair with A stopped after its statement number `stop`; whether both were
    /// done, and whether A was stopped at all.
    fn meet(&mut self, number: u32, calls: [Call; 2], stop: u32) -> ([bool; 2], bool) {
        self.proxy.hold_after(stop);
        let Self { mail, proxy, a, b, watcher } = self;
        let run = |directory: &Arc<Directory>, call| mail.block_on(run(Arc::clone(directory), number, call));
        let [call_a, call_b] = calls;
        std::thread::scope(|scope| {
            let a = scope.spawn(|| run(&a.directory, call_a));
            until(|| proxy.is_holding() || a.is_finished());
            let stopped = proxy.is_holding();
            let b = scope.spawn(|| run(&b.directory, call_b));
            until(|| b.is_finished() || somebody_waits_for_a_lock(watcher));
            proxy.release();
            ([a.join().expect("A does not panic"), b.join().expect("B does not panic")], stopped)
        })
    }
}

async fn run(directory: Arc<Directory>, number: u32, call: Call) -> bool {
    let (plan, tenant) = (format!("plan-{number}"), format!("tenant-{number}"));
    let action = match call {
        Call::Give => Action::Change {
            object: named(Kind::Tenant, &tenant),
            version: None,
            rename: None,
            fields: vec![set("plan", plan)],
            secret: None,
        },
        Call::Plan(verb) => Action::Move { verb, object: named(Kind::Plan, &plan), version: None },
        Call::Remove => {
            let dying = directory.dying().await.expect("a list");
            for one in dying {
                assert!(directory.remove(&one).await.expect("it is removed"));
            }
            return true;
        }
    };
    let request = Request { action, reason: None, dry_run: false };
    match directory.execute(Actor::Operator, request).await {
        Ok(_) => true,
        Err(
            DirectoryError::InUse { .. }
            | DirectoryError::NotFound { .. }
            | DirectoryError::WrongState { .. },
        ) => false,
        Err(error) => panic!("{call:?}: {error}"),
    }
}

fn named(kind: Kind, name: &str) -> Named {
    Named { kind, name: name.to_owned(), tenant: None }
}

/// Asks again and again until it is so; a test that hangs fails.
fn until(mut is_so: impl FnMut() -> bool) {
    let patience = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < patience, "nothing happens any more");
        std::thread::sleep(Duration::from_micros(300));
    }
}

/// Runs a pair both ways round, for every statement after which A can stop. `dead`: the plan
/// is deleted before, and its time has come. `holds` gets the rig, the number and what was
/// done, in the order of `calls`.
fn at_every_stop(calls: [Call; 2], dead: bool, holds: impl Fn(&Rig, u32, [bool; 2])) {
    let mut rig = Rig::new();
    let mut number = 0;
    for turned in [false, true] {
        for stop in 1.. {
            number += 1;
            let (plan, old) = (format!("plan-{number}"), format!("old-{number}"));
            rig.mail.block_on(async {
                rig.b.create(Kind::Plan, &plan, None, None, Vec::new()).await;
                rig.b.create(Kind::Plan, &old, None, None, Vec::new()).await;
                let fields = vec![set("plan", &*old)];
                rig.b.create(Kind::Tenant, &format!("tenant-{number}"), None, None, fields).await;
            });
            if dead {
                for verb in [Verb::Delete, Verb::Purge] {
                    rig.ask(Action::Move { verb, object: named(Kind::Plan, &plan), version: None }).unwrap();
                }
                rig.mail.clock.advance(Duration::from_secs(1));
            }
            let order = if turned { [calls[1], calls[0]] } else { calls };
            let (mut done, stopped) = rig.meet(number, order, stop);
            if turned {
                done.reverse();
            }
            holds(&rig, number, done);
            if !stopped {
                assert!(stop > 5, "A was stopped at {stop} places only");
                break;
            }
        }
    }
}

#[test]
fn a_tenant_never_has_a_plan_that_went() {
    at_every_stop([Call::Give, Call::Plan(Verb::Delete)], false, |rig, number, [given, deleted]| {
        let plan = rig.show(Kind::Plan, &format!("plan-{number}")).unwrap();
        let tenant = rig.show(Kind::Tenant, &format!("tenant-{number}")).unwrap();
        assert!(given != deleted, "one of the two, or neither, cannot be");
        assert_eq!(plan.state == State::Active, given);
        assert_eq!(tenant.fields["plan"] == format!("plan-{number}"), given);
    });
}

#[test]
fn a_plan_that_is_undeleted_is_not_removed() {
    at_every_stop([Call::Plan(Verb::Undelete), Call::Remove], true, |rig, number, [undeleted, _]| {
        let plan = rig.show(Kind::Plan, &format!("plan-{number}"));
        match undeleted {
            true => assert_eq!(plan.unwrap().state, State::Active),
            false => assert!(matches!(plan, Err(DirectoryError::NotFound { .. })), "{plan:?}"),
        }
    });
}
