//! The way in, on both engines: what is let in, what is counted, what is remembered by whom.

use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::time::Duration;

use hikyaku_access::block::Block;
use hikyaku_access::facts::Service;
use hikyaku_access::history::{Proof, Verdict};
use hikyaku_access::place::Places;
use hikyaku_access::reason::Reason;
use hikyaku_access::rule::change::{Begin, ChangeError, ConfirmError, OwnAddress};
use hikyaku_directory::{
    Action, Answer, Attempt, Entrance, FieldEdit, Kind, Named, NewSecret, Request, RuleMode, SignInError,
    Verb, scram,
};
use hikyaku_sign_in::{
    Atlas, By, Caller, Gate, Offer, Proposal, RuleError, RuleOf, RuleOwner, Visit, Wanted, Which,
};
use hikyaku_store::{AccountHome, Scope, ServiceTx, Sql};
use hikyaku_testkit::{
    PASSWORDS_AT_ONCE, ScramClient, TestDirectory, TestStore, both_engines, gate, mmdb, set,
};
use hikyaku_types::{AccountId, Actor, TenantId, Timestamp};
use tokio::runtime::Runtime;
use tokio::time::timeout;

both_engines! {
    who_is_let_in_and_what_history_says
    a_source_that_guesses_is_blocked_and_unblocked
    a_restart_forgets_nothing_that_matters
    nodes_hear_of_each_other
    attempts_that_are_not_checked_share_a_line
    an_app_password_keeps_to_its_own_sources
    scram_is_asked_about_like_every_other_way
    nobody_waits_for_the_pool_who_needs_no_hash
    scram_lets_in_whom_it_asked_about
    a_tenant_sets_its_own_numbers
    every_level_says_from_where_one_may_come
    a_rule_that_shuts_out_who_made_it_is_taken_back
    a_rule_is_run_over_the_past
    an_exempt_network_is_let_in_at_once
    what_is_old_is_forgotten
    what_is_old_is_forgotten_in_steps
    history_is_kept_as_the_plan_says
    history_says_from_where
    sessions_are_listed_and_ended
    who_may_not_sign_in_any_more_loses_what_is_open
    nodes_tell_each_other_of_sessions
    after_a_start_everybody_comes_at_once
    nodes_share_what_is_left_to_guess
}

const OFFICE: &str = "192.0.2.10";
const ELSEWHERE: &str = "198.51.100.7";

/// A tenant with `ann@example.org` and `bob@example.org`, both with the password `secret`.
struct Rig {
    mail: TestStore,
    test: TestDirectory,
    /// Its time runs when everything waits, so that nobody waits for a timer.
    runtime: Runtime,
}

fn home(account: i64) -> AccountHome {
    TestStore::home(1, account)
}

fn ann() -> AccountId {
    home(1).account
}

impl Rig {
    fn new(mail: TestStore) -> Self {
        let test = TestDirectory::new(&mail);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        mail.block_on(async {
            test.tenant(home(1).tenant, None).await;
            test.domain(home(1).tenant, "example.org").await;
            test.account(home(1), &["ann@example.org"], None, "secret").await;
            test.account(home(2), &["bob@example.org"], None, "secret").await;
        });
        Self { mail, test, runtime }
    }

    /// A node that has just started.
    fn gate(&self) -> Arc<Gate> {
        let clock = Arc::clone(&self.mail.clock) as _;
        self.runtime.block_on(gate(&self.mail.store, &self.test.directory, clock))
    }

    /// Signs in; true if let in. How long the answer took is in seconds.
    fn attempt(&self, gate: &Gate, name: &str, password: &str, from: &str) -> (bool, u64) {
        self.runtime.block_on(self.try_in(gate, name, password, from))
    }

    async fn try_in(&self, gate: &Gate, name: &str, password: &str, from: &str) -> (bool, u64) {
        let offer = Offer {
            service: Service::Imap,
            source: from.parse().unwrap(),
            client: "Thunderbird/140",
            name,
            authorization: None,
            password: password.as_bytes(),
        };
        let began = tokio::time::Instant::now();
        let answer = gate.sign_in(&offer).await;
        assert_ne!(answer.as_ref().err(), Some(&SignInError::Unavailable));
        (answer.is_ok(), began.elapsed().as_secs())
    }

    /// Signs in and stays.
    fn visit(&self, gate: &Gate, name: &str, password: &str) -> Visit {
        let (source, client) = (OFFICE.parse().unwrap(), "Thunderbird/140");
        let (service, password) = (Service::Imap, password.as_bytes());
        let offer = Offer { service, source, client, name, authorization: None, password };
        self.runtime.block_on(gate.sign_in(&offer)).unwrap()
    }

    /// Ends sessions; how many there were.
    fn end(&self, gate: &Gate, which: Which) -> usize {
        self.runtime.block_on(gate.end_sessions(which, "operator root", Some("a thief"))).unwrap().len()
    }

    /// A step of what nodes do twice a second.
    fn meet(&self, gate: &Gate) {
        self.runtime.block_on(gate.catch_up()).unwrap();
    }

    fn sessions(&self, gate: &Gate, wanted: Wanted) -> Vec<hikyaku_sign_in::Session> {
        self.runtime.block_on(gate.sessions(wanted)).unwrap()
    }

    fn move_object(&self, verb: Verb, kind: Kind, name: &str) {
        let object = Named { kind, name: name.into(), tenant: None };
        let action = Action::Move { verb, object, version: None };
        let request = Request { action, reason: None, dry_run: false };
        self.mail.block_on(self.test.directory.execute(Actor::Operator, request)).unwrap();
    }

    fn lets_in(&self, gate: &Gate, name: &str, password: &str, from: &str) -> bool {
        self.attempt(gate, name, password, from).0
    }

    /// The same by SCRAM.
    fn scram(&self, gate: &Gate, name: &str, password: &str, from: &str) -> (bool, u64) {
        self.runtime.block_on(self.exchange(gate, name, password, from))
    }

    async fn exchange(&self, gate: &Gate, name: &str, password: &str, from: &str) -> (bool, u64) {
        let client = ScramClient::new(name, password, "abc");
        self.exchange_of(gate, &client, from, async {}).await
    }

    /// The same of any client, with something between the challenge and its answer.
    async fn exchange_of(
        &self,
        gate: &Gate,
        client: &ScramClient,
        from: &str,
        between: impl Future<Output = ()>,
    ) -> (bool, u64) {
        let caller =
            Caller { service: Service::Submission, source: from.parse().unwrap(), client: "telephone" };
        let mechanism = scram::Mechanism::ScramSha256;
        let offer = scram::Offer { mechanism, plus_announced: false, exporter: None, server_end_point: None };
        let began = tokio::time::Instant::now();
        let (challenge, exchange) =
            gate.begin_scram(&caller, &offer, client.first().as_bytes()).await.unwrap();
        let (last, server_final) = client.last(&challenge);
        between.await;
        let answer = gate.finish_scram(&caller, exchange, last.as_bytes()).await;
        assert_ne!(answer.as_ref().err(), Some(&SignInError::Unavailable));
        assert!(answer.as_ref().is_ok_and(|proven| proven.server_final == server_final) || answer.is_err());
        (answer.is_ok(), began.elapsed().as_secs())
    }

    /// Wrong passwords, each another one.
    fn guess(&self, gate: &Gate, name: &str, from: &str, times: usize) {
        for number in 0..times {
            assert!(!self.lets_in(gate, name, &format!("{from} {number}"), from));
        }
    }

    /// What is blocked, of a tenant or of all.
    fn blocks(&self, gate: &Gate, tenant: Option<TenantId>) -> Vec<Block> {
        self.runtime.block_on(gate.blocks(tenant)).unwrap()
    }

    fn history(&self, gate: &Gate) -> Vec<(Verdict, Option<Reason>, u32)> {
        let since = Timestamp::from_secs(0);
        let lines = self.runtime.block_on(gate.history(Wanted::All, since, None, 500)).unwrap();
        lines.iter().map(|line| (line.record.verdict, line.record.reason, line.times)).collect()
    }

    /// Changes the tenant.
    fn change(&self, fields: Vec<FieldEdit>) {
        self.mail.block_on(self.test.change(Kind::Tenant, "tenant-1", fields));
    }

    /// Makes an object of the tenant.
    fn make(&self, kind: Kind, name: &str, fields: Vec<FieldEdit>) {
        self.mail.block_on(self.test.create(kind, name, None, Some(home(1).tenant), fields));
    }

    fn later(&self, time: Duration) {
        self.mail.clock.advance(time);
    }
}

fn who_is_let_in_and_what_history_says(mail: TestStore) {
    let rig = Rig::new(mail);
    let gate = rig.gate();
    assert_eq!(rig.attempt(&gate, "Ann@example.org", "secret", OFFICE), (true, 0));
    for name in ["ann@example.org", "nobody@example.org", "nobody@elsewhere.example", "no address"] {
        assert_eq!(rig.attempt(&gate, name, "wrong", OFFICE), (false, 1), "{name}");
    }
    let for_another = Offer {
        service: Service::Submission,
        source: OFFICE.parse().unwrap(),
        client: "",
        name: "ann@example.org",
        authorization: Some("bob@example.org"),
        password: b"secret",
    };
    assert_eq!(rig.runtime.block_on(gate.sign_in(&for_another)).err(), Some(SignInError::Refused));
    let failed = |reason| (Verdict::Failed, Some(reason), 1);
    let nobody = failed(Reason::NoAccount);
    assert_eq!(
        rig.history(&gate),
        [nobody, nobody, nobody, failed(Reason::WrongPassword), (Verdict::Admitted, None, 1)]
    );
    let since = Timestamp::from_secs(0);
    let of_ann = rig.runtime.block_on(gate.history(Wanted::Account(ann()), since, None, 500)).unwrap();
    let [wrong, good] = &of_ann[..] else { panic!("{of_ann:?}") };
    assert_eq!((wrong.record.client.as_str(), wrong.record.ip), ("Thunderbird/140", OFFICE.parse().unwrap()));
    assert!(wrong.record.tag.is_some() && good.record.tag.is_none());
    let older = rig.runtime.block_on(gate.history(Wanted::Account(ann()), since, Some(wrong.id), 500));
    assert_eq!(older.unwrap(), std::slice::from_ref(good));
    let tenant = Wanted::Tenant(home(1).tenant);
    assert_eq!(rig.runtime.block_on(gate.history(tenant, since, None, 500)).unwrap().len(), 3);
}

fn a_source_that_guesses_is_blocked_and_unblocked(mail: TestStore) {
    let rig = Rig::new(mail);
    let gate = rig.gate();
    rig.guess(&gate, "ann@example.org", ELSEWHERE, 10);
    let [block] = rig.blocks(&gate, None)[..] else { panic!("one block") };
    assert_eq!((block.reason, block.failures), (Reason::ManyFailures, 10));
    assert_eq!(rig.blocks(&gate, TenantId::from_i64(2)), []);
    assert!(!rig.lets_in(&gate, "ann@example.org", "secret", ELSEWHERE));
    // From where she is known, and from anywhere new, she gets in.
    assert!(rig.lets_in(&gate, "ann@example.org", "secret", OFFICE));
    let lifted = rig
        .runtime
        .block_on(gate.unblock(Some(home(1).tenant), Some(ann()), "operator root", Some("she called")))
        .unwrap();
    assert_eq!(lifted, [block]);
    for (tenant, count) in [(None, 1), (Some(home(1).tenant), 1), (TenantId::from_i64(2), 0)] {
        let told = rig.runtime.block_on(gate.lifts(tenant, 100)).unwrap();
        assert_eq!(told.len(), count, "{tenant:?}");
        for lift in told {
            assert_eq!((lift.who.as_str(), lift.why.as_deref()), ("operator root", Some("she called")));
            assert_eq!(lift.key, block.key);
        }
    }
    assert_eq!(rig.blocks(&gate, None), []);
    assert_eq!(rig.blocks(&rig.gate(), None), [], "a node that starts later knows it too");
}

fn a_restart_forgets_nothing_that_matters(mail: TestStore) {
    let rig = Rig::new(mail);
    let gate = rig.gate();
    assert!(rig.lets_in(&gate, "ann@example.org", "secret", OFFICE));
    rig.guess(&gate, "ann@example.org", ELSEWHERE, 10);
    let gate = rig.gate();
    assert_eq!(rig.blocks(&gate, None).len(), 1);
    assert!(!rig.lets_in(&gate, "ann@example.org", "secret", ELSEWHERE), "the block holds");
    // She is under attack: a source that failed elsewhere is not believed, hers is.
    rig.guess(&gate, "bob@example.org", "203.0.113.1", 2);
    assert!(!rig.lets_in(&gate, "ann@example.org", "secret", "203.0.113.1"));
    assert_eq!(rig.attempt(&gate, "ann@example.org", "secret", OFFICE), (true, 0));
    rig.later(Duration::from_secs(3601));
    assert_eq!(rig.blocks(&gate, None), [], "it ended by itself");
}

fn nodes_hear_of_each_other(mail: TestStore) {
    let rig = Rig::new(mail);
    let (one, other) = (rig.gate(), rig.gate());
    rig.guess(&one, "ann@example.org", ELSEWHERE, 10);
    assert_eq!(rig.blocks(&other, None), []);
    rig.runtime.block_on(other.catch_up()).unwrap();
    assert_eq!(rig.blocks(&other, None).len(), 1);
    assert!(!rig.lets_in(&other, "ann@example.org", "secret", ELSEWHERE));
    rig.runtime.block_on(other.unblock(None, None, "operator root", None)).unwrap();
    rig.runtime.block_on(one.catch_up()).unwrap();
    assert_eq!(rig.blocks(&one, None), []);
}

fn attempts_that_are_not_checked_share_a_line(mail: TestStore) {
    let rig = Rig::new(mail);
    let gate = rig.gate();
    rig.guess(&gate, "ann@example.org", ELSEWHERE, 10);
    rig.guess(&gate, "ann@example.org", ELSEWHERE, 7);
    let refused = (Verdict::Refused, Some(Reason::AccountBlocked), 7);
    let history = rig.history(&gate);
    assert_eq!((history.len(), history.first()), (11, Some(&refused)));
    // What everybody knows already is told once: the second time shares its line too.
    for _ in 0..3 {
        assert!(rig.lets_in(&gate, "bob@example.org", "secret", OFFICE));
    }
    let good: Vec<u32> = rig
        .history(&gate)
        .iter()
        .filter(|(verdict, ..)| *verdict == Verdict::Admitted)
        .map(|(_, _, times)| *times)
        .collect();
    assert_eq!(good, [2, 1]);
}

fn an_app_password_keeps_to_its_own_sources(mail: TestStore) {
    let rig = Rig::new(mail);
    let gate = rig.gate();
    let fields = vec![
        set("account", "ann@example.org"),
        set("kind", "app_password"),
        set("title", "telephone"),
        set("sources", "192.0.2.0/24"),
    ];
    let action =
        Action::Create { kind: Kind::Credential, name: None, id: None, tenant: None, fields, secret: None };
    let request = Request { action, reason: None, dry_run: false };
    let made = rig.mail.block_on(rig.test.directory.execute(Actor::Operator, request)).unwrap();
    let Answer::Done { secret: Some(secret), .. } = made else { panic!("{made:?}") };
    // Guesses at the account do not close it to what is too long to guess.
    rig.guess(&gate, "ann@example.org", OFFICE, 10);
    assert_eq!(rig.blocks(&gate, None).len(), 1);
    assert!(!rig.lets_in(&gate, "ann@example.org", "secret", OFFICE));
    assert!(rig.lets_in(&gate, "ann@example.org", &secret, OFFICE));
    assert!(!rig.lets_in(&gate, "ann@example.org", &secret, ELSEWHERE));
    let since = Timestamp::from_secs(0);
    let lines = rig.runtime.block_on(gate.history(Wanted::Account(ann()), since, None, 1)).unwrap();
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((line.record.proof, line.record.reason), (Proof::LongSecret, Some(Reason::CredentialRule)));
}

fn scram_is_asked_about_like_every_other_way(mail: TestStore) {
    let rig = Rig::new(mail);
    let gate = rig.gate();
    let password = rig.mail.block_on(async {
        rig.test.change(Kind::Tenant, "tenant-1", vec![set("scram", "yes")]).await;
        rig.test.app_password("ann@example.org", "phone", vec![set("sources", "192.0.2.0/24")]).await
    });
    // Too long to guess, so a block does not close the account to it.
    rig.guess(&gate, "ann@example.org", OFFICE, 10);
    assert_eq!(rig.blocks(&gate, None).len(), 1);
    let table = [
        ("ann@example.org", password.as_str(), OFFICE, (true, 0)),
        ("ann@example.org", "wrong", "203.0.113.1", (false, 1)),
        ("ann@example.org", &password, ELSEWHERE, (false, 1)),
        ("nobody@example.org", &password, "203.0.113.1", (false, 1)),
    ];
    for (name, password, from, expected) in table {
        assert_eq!(rig.scram(&gate, name, password, from), expected, "{name} {from}");
    }
    assert_eq!(rig.blocks(&gate, None).len(), 1, "none of it was counted");
    let object = Named { kind: Kind::Account, name: "ann@example.org".into(), tenant: None };
    let action = Action::Move { verb: Verb::Suspend, object, version: None };
    let request = Request { action, reason: None, dry_run: false };
    rig.mail.block_on(rig.test.directory.execute(Actor::Operator, request)).unwrap();
    assert!(!rig.scram(&gate, "ann@example.org", &password, OFFICE).0);
    let since = Timestamp::from_secs(0);
    let lines = rig.runtime.block_on(gate.history(Wanted::All, since, None, 5)).unwrap();
    assert!(lines.iter().all(|line| line.record.proof == Proof::LongSecret));
    let told: Vec<_> = lines.iter().rev().map(|line| (line.record.verdict, line.record.reason)).collect();
    let failed = |reason| (Verdict::Failed, Some(reason));
    assert_eq!(
        told,
        [
            (Verdict::Admitted, None),
            failed(Reason::WrongPassword),
            (Verdict::Refused, Some(Reason::CredentialRule)),
            failed(Reason::NoAccount),
            (Verdict::Refused, Some(Reason::Suspended)),
        ]
    );
}

fn scram_lets_in_whom_it_asked_about(mail: TestStore) {
    let rig = Rig::new(mail);
    let gate = rig.gate();
    let password = rig.mail.block_on(async {
        rig.test.change(Kind::Tenant, "tenant-1", vec![set("scram", "yes")]).await;
        rig.test.app_password("ann@example.org", "phone", Vec::new()).await
    });
    let last_uses = || {
        const USED: Sql = Sql::new("SELECT count(*) FROM credential WHERE used_at IS NOT NULL");
        let scope = Scope::control(&Actor::Operator).unwrap();
        let read = rig.mail.store.read(scope, "test.used", |tx| tx.row(USED, &[], |row| row.get::<i64>(0)));
        rig.mail.block_on(read).unwrap().unwrap()
    };
    // Nobody acts on behalf of another, and what came of nothing is no use of the password.
    let client = ScramClient::new("ann@example.org", &password, "abc");
    let for_bob = client.with_header("n,a=bob@example.org,", b"");
    let (let_in, _) = rig.runtime.block_on(rig.exchange_of(&gate, &for_bob, OFFICE, async {}));
    assert_eq!((let_in, last_uses()), (false, 0));
    // The name becomes another's while the client computes its proof.
    let client = ScramClient::new("ann@example.org", &password, "abc");
    let moved = async {
        rig.test.change(Kind::Account, "ann@example.org", vec![set("addresses", "anna@example.org")]).await;
        let both = "bob@example.org,ann@example.org";
        rig.test.change(Kind::Account, "bob@example.org", vec![set("addresses", both)]).await;
    };
    let (let_in, _) = rig.runtime.block_on(rig.exchange_of(&gate, &client, OFFICE, moved));
    assert_eq!((let_in, last_uses()), (false, 0));
    assert_eq!(rig.scram(&gate, "anna@example.org", &password, OFFICE), (true, 0));
    assert_eq!(last_uses(), 1);
}

/// Every place in which passwords are hashed is taken, until this is dropped.
struct FullPool {
    _release: mpsc::Sender<()>,
    _runtime: Runtime,
}

impl FullPool {
    /// The hashes wait behind what occupies the one thread of a runtime of their own, so that the
    /// time of the other one runs.
    fn of(rig: &Rig) -> Self {
        let (release, held) = mpsc::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        drop(runtime.spawn_blocking(move || held.recv()));
        let used = Attempt { entrance: Entrance::Imap, source: ELSEWHERE.parse().unwrap() };
        for _ in 0..PASSWORDS_AT_ONCE {
            // Nothing is asked about what is no address, so it comes to its hash at once.
            let mut hashing = Box::pin(rig.test.directory.sign_in("no address", b"wrong", &used));
            let has_begun =
                std::future::poll_fn(|context| Poll::Ready(hashing.as_mut().poll(context).is_pending()));
            assert!(runtime.block_on(has_begun));
        }
        Self { _release: release, _runtime: runtime }
    }
}

fn nobody_waits_for_the_pool_who_needs_no_hash(mail: TestStore) {
    const LONG: Duration = Duration::from_secs(60);
    let rig = Rig::new(mail);
    let gate = rig.gate();
    let app = rig.mail.block_on(async {
        rig.test.change(Kind::Tenant, "tenant-1", vec![set("scram", "yes")]).await;
        for (number, name) in [(3, "carl@example.org"), (4, "dora@example.org")] {
            rig.test.account(home(number), &[name], None, "secret").await;
        }
        let app = async |name, fields| rig.test.app_password(name, "phone", fields).await;
        [
            app("ann@example.org", vec![set("sources", "192.0.2.0/24")]).await,
            app("bob@example.org", Vec::new()).await,
            app("carl@example.org", Vec::new()).await,
            app("dora@example.org", Vec::new()).await,
        ]
    });
    let [ann, bob, carl, dora] = &app;
    for service in ["imap", "submission"] {
        let rule = [("service", service), ("mode", "enforce"), ("account", "bob@example.org")];
        rig.make(Kind::Rule, "", rule.iter().map(|(field, value)| set(field, *value)).collect());
    }
    rig.move_object(Verb::Suspend, Kind::Account, "carl@example.org");
    rig.guess(&gate, "dora@example.org", ELSEWHERE, 10);
    assert_eq!(rig.blocks(&gate, None).len(), 1);
    let from = "203.0.113.1";
    let refused = [
        ("ann@example.org", "wrong", from),
        ("ann@example.org", ann, from),
        ("bob@example.org", "wrong", from),
        ("bob@example.org", bob, from),
        ("carl@example.org", "wrong", from),
        ("carl@example.org", carl, from),
        ("nobody@example.org", "wrong", from),
        ("nobody@elsewhere.example", "wrong", from),
    ];
    let by_password =
        [("ann@example.org", ann.as_str()), ("bob@example.org", bob), ("carl@example.org", carl)];
    let all_are_answered_at_the_second = || {
        rig.runtime.block_on(async {
            for (name, password, from) in refused {
                let answer = timeout(LONG, rig.exchange(&gate, name, password, from)).await;
                assert_eq!(answer, Ok((false, 1)), "SCRAM {name} {password}");
            }
            for (name, password) in by_password {
                let answer = timeout(LONG, rig.try_in(&gate, name, password, from)).await;
                assert_eq!(answer, Ok((false, 1)), "{name} {password}");
            }
        });
    };
    // The first time the directory is asked, which takes real time; then it remembers.
    for (name, password, from) in refused {
        rig.scram(&gate, name, password, from);
    }
    for (name, password) in by_password {
        rig.attempt(&gate, name, password, from);
    }
    let passwords = [("dora@example.org", "secret", ELSEWHERE), ("nobody@example.org", "wrong", from)];
    for (name, password, from) in passwords {
        assert!(!rig.lets_in(&gate, name, password, from), "{name}");
    }
    let full = FullPool::of(&rig);
    all_are_answered_at_the_second();
    assert!(rig.lets_in(&gate, "dora@example.org", dora, ELSEWHERE), "no block is hers");
    // An unseen password waits as one that is looked at does: while there is no place, for long.
    rig.runtime.block_on(async {
        for (name, password, from) in passwords {
            let answer = timeout(LONG, rig.try_in(&gate, name, password, from)).await;
            assert!(answer.is_err(), "{name}");
        }
    });
    drop(full);
}

fn a_tenant_sets_its_own_numbers(mail: TestStore) {
    let rig = Rig::new(mail);
    let gate = rig.gate();
    let fields = vec![set("block_failures", "4"), set("block_minutes", "5"), set("block_scope", "tenant")];
    rig.change(fields);
    rig.guess(&gate, "ann@example.org", ELSEWHERE, 3);
    assert_eq!(rig.blocks(&gate, None), []);
    assert!(!rig.lets_in(&gate, "ann@example.org", "one more", ELSEWHERE));
    let [block] = rig.blocks(&gate, None)[..] else { panic!("one block") };
    assert_eq!((block.key.tenant, block.key.subject), (Some(home(1).tenant), None));
    assert_eq!(block.until, block.since.after(Duration::from_secs(300)));
    assert!(!rig.lets_in(&gate, "bob@example.org", "secret", ELSEWHERE), "it is the whole tenant's");
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

fn an_exempt_network_is_let_in_at_once(mail: TestStore) {
    let rig = Rig::new(mail);
    let gate = rig.gate();
    rig.guess(&gate, "ann@example.org", ELSEWHERE, 10);
    assert!(!rig.lets_in(&gate, "ann@example.org", "secret", ELSEWHERE));
    rig.change(vec![set("exempt_networks", "198.51.100.0/24 office in Osaka")]);
    assert_eq!(rig.attempt(&gate, "ann@example.org", "secret", ELSEWHERE), (true, 0));
    assert_eq!(rig.blocks(&gate, None), []);
    let lifts = rig.runtime.block_on(gate.lifts(None, 10)).unwrap();
    let [lift] = &lifts[..] else { panic!("{lifts:?}") };
    assert_eq!((lift.who.as_str(), lift.why.as_deref()), ("exempt network", Some("office in Osaka")));
    // Whatever is guessed from there is answered as wrong and blocks nobody.
    rig.guess(&gate, "bob@example.org", ELSEWHERE, 15);
    assert!(rig.lets_in(&gate, "bob@example.org", "secret", ELSEWHERE));
    // Its neighbour is not exempt, nor is it for long.
    rig.guess(&gate, "bob@example.org", "198.51.101.7", 10);
    assert_eq!(rig.blocks(&gate, None).len(), 1);
    rig.change(vec![set("exempt_networks", "198.51.101.0/24 until 2020-01-01 auditors")]);
    assert_eq!(rig.blocks(&gate, None).len(), 1, "it ended long ago");
}

fn what_is_old_is_forgotten(mail: TestStore) {
    let rig = Rig::new(mail);
    let gate = rig.gate();
    assert!(rig.lets_in(&gate, "ann@example.org", "secret", OFFICE));
    rig.guess(&gate, "ann@example.org", ELSEWHERE, 10);
    rig.runtime.block_on(gate.unblock(None, None, "operator root", None)).unwrap();
    rig.later(Duration::from_secs(80 * 86_400));
    rig.runtime.block_on(gate.expire()).unwrap();
    assert_eq!(rig.history(&gate).len(), 11);
    assert_eq!(rig.runtime.block_on(gate.lifts(None, 100)).unwrap().len(), 1);
    rig.later(Duration::from_secs(11 * 86_400));
    rig.runtime.block_on(gate.expire()).unwrap();
    assert_eq!(rig.runtime.block_on(gate.lifts(None, 100)).unwrap(), []);
    assert_eq!(rig.history(&gate), []);
}

/// Rows are doubled until there are more of each than one transaction may touch: unless they are
/// removed in steps, that ends the test.
fn what_is_old_is_forgotten_in_steps(mail: TestStore) {
    const DOUBLED: [Sql; 5] = [
        Sql::new(
            "INSERT INTO signin SELECT id + $1, at, last, times, node, tenant, account, name, service, ip,
                client, country, asn, proof, tag, standing, verdict, reason, would, learned FROM signin",
        ),
        Sql::new("INSERT INTO known SELECT account + $1, source, tenant, since, last, vouches FROM known"),
        Sql::new(
            "INSERT INTO block SELECT tenant, account, name + $1, source, class, since, until, reason,
                earlier, failures, lifted, changed FROM block",
        ),
        Sql::new(
            "INSERT INTO lift SELECT id + $1, at, who, why, tenant, account, name, source, class FROM lift",
        ),
        Sql::new("INSERT INTO ending SELECT id + $1, at, who, why, tenant, account, session FROM ending"),
    ];
    const LEFT: Sql = Sql::new(
        "SELECT (SELECT COUNT(*) FROM signin) + (SELECT COUNT(*) FROM known) + (SELECT COUNT(*) FROM block)
            + (SELECT COUNT(*) FROM lift) + (SELECT COUNT(*) FROM ending)",
    );
    let rig = Rig::new(mail);
    rig.change(vec![set("block_failures", "3")]);
    let gate = rig.gate();
    let _visit = rig.visit(&gate, "ann@example.org", "secret");
    rig.end(&gate, Which::Account(ann()));
    rig.guess(&gate, "ann@example.org", ELSEWHERE, 3);
    rig.runtime.block_on(gate.unblock(None, None, "operator root", None)).unwrap();
    rig.runtime.block_on(gate.flush()).unwrap();
    const DIRECTORY: Actor = Actor::Service(hikyaku_types::Service::Directory);
    let scope = || Scope::access(&DIRECTORY).unwrap();
    // Of four attempts, and of one of everything else.
    for (doubled, times) in DOUBLED.into_iter().zip([8, 10, 10, 10, 10]) {
        // Ids of one moment are not that far apart.
        for offset in (0..times).map(|power| 32i64 << power) {
            let double = move |tx: &mut ServiceTx<'_>| tx.execute(doubled, &[offset.into()]);
            rig.mail.block_on(rig.mail.store.write(scope(), "test.double", double)).unwrap();
        }
    }
    let left = || {
        let read = rig.mail.store.read(scope(), "test.left", |tx| tx.row(LEFT, &[], |row| row.get::<i64>(0)));
        rig.mail.block_on(read).unwrap().unwrap()
    };
    assert_eq!(left(), 5 * 1024);
    rig.runtime.block_on(gate.expire()).unwrap();
    assert_eq!(left(), 5 * 1024, "nothing is old yet");
    rig.later(Duration::from_secs(91 * 86_400));
    rig.runtime.block_on(gate.expire()).unwrap();
    assert_eq!(left(), 0);
}

fn history_is_kept_as_the_plan_says(mail: TestStore) {
    const DAY: Duration = Duration::from_secs(86_400);
    let rig = Rig::new(mail);
    let other = TestStore::home(2, 3);
    rig.mail.block_on(async {
        rig.test.change(Kind::Plan, "plan-1", vec![set("history_days", "30")]).await;
        rig.test.tenant(other.tenant, None).await;
        rig.test.domain(other.tenant, "example.net").await;
        rig.test.account(other, &["carl@example.net"], None, "secret").await;
    });
    let gate = rig.gate();
    for name in ["ann@example.org", "carl@example.net", "nobody@elsewhere.example"] {
        assert!(!rig.lets_in(&gate, name, "wrong", OFFICE));
    }
    let lines = |gate: &Gate, wanted| {
        let since = Timestamp::from_secs(0);
        rig.runtime.block_on(gate.history(wanted, since, None, 500)).unwrap().len()
    };
    let of = |home: AccountHome| Wanted::Tenant(home.tenant);
    rig.later(29 * DAY);
    rig.runtime.block_on(gate.expire()).unwrap();
    assert_eq!(lines(&gate, Wanted::All), 3);
    // Another node goes on, as after a restart.
    rig.later(2 * DAY);
    let gate = rig.gate();
    rig.runtime.block_on(gate.expire()).unwrap();
    assert_eq!((lines(&gate, of(home(1))), lines(&gate, of(other)), lines(&gate, Wanted::All)), (0, 1, 2));
    // A plan that allows more holds for what is still there.
    let change = |days| {
        rig.mail.block_on(rig.test.change(Kind::Plan, "plan-2", vec![set("history_days", days)]));
    };
    change("120");
    rig.later(60 * DAY);
    rig.runtime.block_on(gate.expire()).unwrap();
    assert_eq!((lines(&gate, of(other)), lines(&gate, Wanted::All)), (1, 1), "nobody's are kept for 90 days");
    change("7");
    rig.runtime.block_on(gate.expire()).unwrap();
    assert_eq!(lines(&gate, Wanted::All), 0);
}

fn history_says_from_where(mail: TestStore) {
    let rig = Rig::new(mail);
    let places = |country| {
        let place = mmdb::Value::Map(vec![
            ("country_code", mmdb::Value::Text(country)),
            ("asn", mmdb::Value::Number(64_500)),
        ]);
        let mut places = Places::none();
        places.add(mmdb::write(mmdb::Family::V4, &[("192.0.2.0/24", place)])).unwrap();
        places
    };
    let atlas = Atlas::new(places("JP"));
    let gate = Arc::into_inner(rig.gate()).unwrap().with_places(atlas.clone());
    assert!(rig.lets_in(&gate, "ann@example.org", "secret", OFFICE));
    assert!(!rig.lets_in(&gate, "nobody@example.org", "secret", OFFICE));
    assert!(!rig.scram(&gate, "ann@example.org", "wrong", OFFICE).0);
    assert!(rig.lets_in(&gate, "ann@example.org", "secret", ELSEWHERE));
    atlas.exchange(places("PT"));
    assert!(!rig.lets_in(&gate, "ann@example.org", "wrong", OFFICE));
    let since = Timestamp::from_secs(0);
    let lines = rig.runtime.block_on(gate.history(Wanted::All, since, None, 500)).unwrap();
    let told: Vec<String> = lines.iter().rev().map(|line| format!("{:?}", line.record.place)).collect();
    let place = |country| format!("Place {{ country: Some({country}), asn: Some(AS64500), position: None }}");
    let unknown = "Place { country: None, asn: None, position: None }".to_owned();
    assert_eq!(told, [place("JP"), place("JP"), place("JP"), unknown, place("PT")]);
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

/// 20 guesses a day at an account from all unknown sources together: of two nodes each has half.
fn nodes_share_what_is_left_to_guess(mail: TestStore) {
    let checked = |rig: &Rig, gate: &Gate| {
        for number in 0..40 {
            rig.guess(gate, "ann@example.org", &format!("203.0.{number}.1"), 1);
        }
        rig.history(gate).iter().filter(|(verdict, ..)| *verdict == Verdict::Failed).count()
    };
    let rig = Rig::new(mail);
    let (one, other) = (rig.gate(), rig.gate());
    for gate in [&one, &other, &one] {
        rig.meet(gate);
    }
    assert_eq!(checked(&rig, &one), 10);
}

/// A forgotten telephone, as an administrator is told of it.
#[test]
fn a_forgotten_device_is_found() {
    let rig = Rig::new(TestStore::sqlite());
    let gate = rig.gate();
    for _ in 0..20 {
        assert!(!rig.lets_in(&gate, "ann@example.org", "old", OFFICE));
        rig.later(Duration::from_secs(300));
    }
    let found = rig.runtime.block_on(gate.stale(Wanted::All, Timestamp::from_secs(0))).unwrap();
    let [device] = &found[..] else { panic!("{found:?}") };
    assert_eq!(
        device.sentence("ann@example.org"),
        "a client that calls itself Thunderbird/140 at 192.0.2.10 offers an old password of ann@example.org \
         every 5 minutes"
    );
    assert_eq!(rig.blocks(&gate, None), [], "it harms nobody");
}
