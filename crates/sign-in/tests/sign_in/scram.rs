//! SCRAM is asked about like every other way in, and waits for nothing that it does not need.

use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;

use hikyaku_access::facts::Service;
use hikyaku_access::history::{Proof, Verdict};
use hikyaku_access::reason::Reason;
use hikyaku_directory::{Action, Attempt, Entrance, Kind, Named, Request, SignInError, Verb, scram};
use hikyaku_sign_in::{Caller, Gate, Wanted};
use hikyaku_store::{Scope, Sql};
use hikyaku_testkit::{PASSWORDS_AT_ONCE, ScramClient, TestStore, both_engines, set};
use hikyaku_types::{Actor, Timestamp};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::rig::{ELSEWHERE, OFFICE, Rig, home};

both_engines! {
    scram_is_asked_about_like_every_other_way
    scram_lets_in_whom_it_asked_about
    scram_never_waits_for_the_pool
}

impl Rig {
    /// Signs in by SCRAM; true if let in. How long the answer took is in seconds.
    pub(crate) fn scram(&self, gate: &Gate, name: &str, password: &str, from: &str) -> (bool, u64) {
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

/// By SCRAM nothing is hashed, and nothing waits; what fails in clear waits, hashed or not.
fn scram_never_waits_for_the_pool(mail: TestStore) {
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
    let all_are_answered_at_the_second = || {
        rig.runtime.block_on(async {
            for (name, password, from) in refused {
                let answer = timeout(LONG, rig.exchange(&gate, name, password, from)).await;
                assert_eq!(answer, Ok((false, 1)), "SCRAM {name} {password}");
            }
        });
    };
    // The first time the directory is asked, which takes real time; then it remembers.
    for (name, password, from) in refused {
        rig.scram(&gate, name, password, from);
    }
    let last = if dora.ends_with('0') { "1" } else { "0" };
    let almost = [&dora[..dora.len() - 1], last].concat();
    let in_clear = [
        ("dora@example.org", "secret", ELSEWHERE),
        ("nobody@example.org", "wrong", from),
        ("ann@example.org", ann, from),
        ("bob@example.org", bob, from),
        ("carl@example.org", carl, from),
        ("dora@example.org", &almost, from),
    ];
    for (name, password, from) in in_clear {
        assert!(!rig.lets_in(&gate, name, password, from), "{name}");
    }
    let full = FullPool::of(&rig);
    all_are_answered_at_the_second();
    assert!(rig.lets_in(&gate, "dora@example.org", dora, ELSEWHERE), "no block is hers");
    // While there is no place, for long.
    rig.runtime.block_on(async {
        for (name, password, from) in in_clear {
            let answer = timeout(LONG, rig.try_in(&gate, name, password, from)).await;
            assert!(answer.is_err(), "{name}");
        }
    });
    drop(full);
}
