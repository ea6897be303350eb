//! A directory with a few accounts, nodes on it, and what all tests do with them.

use std::sync::Arc;
use std::time::Duration;

use hikyaku_access::block::Block;
use hikyaku_access::facts::Service;
use hikyaku_access::history::Verdict;
use hikyaku_access::reason::Reason;
use hikyaku_directory::{Action, Answer, AuditLine, FieldEdit, Kind, Named, Request, SignInError, Verb};
use hikyaku_sign_in::{Gate, Offer, Session, Visit, Wanted, Which};
use hikyaku_store::AccountHome;
use hikyaku_testkit::{TestDirectory, TestStore, gate};
use hikyaku_types::{AccountId, Actor, TenantId, Timestamp};
use tokio::runtime::Runtime;

pub(crate) const OFFICE: &str = "192.0.2.10";
pub(crate) const ELSEWHERE: &str = "198.51.100.7";
const PROGRAM: &str = "Thunderbird/140";

/// A tenant with `ann@example.org` and `bob@example.org`, all with the password `secret`.
pub(crate) struct Rig {
    pub(crate) mail: TestStore,
    pub(crate) test: TestDirectory,
    /// Its time runs when everything waits, so that nobody waits for a timer.
    pub(crate) runtime: Runtime,
}

pub(crate) fn home(account: i64) -> AccountHome {
    TestStore::home(1, account)
}

pub(crate) fn ann() -> AccountId {
    home(1).account
}

pub(crate) fn neighbour() -> AccountHome {
    TestStore::home(2, 3)
}

/// By IMAP.
pub(crate) fn offer<'a>(name: &'a str, password: &'a str, from: &str, client: &'a str) -> Offer<'a> {
    let (service, source) = (Service::Imap, from.parse().unwrap());
    Offer { service, source, client, name, authorization: None, password: password.as_bytes() }
}

impl Rig {
    pub(crate) fn new(mail: TestStore) -> Self {
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

    /// With another tenant, which has `carol@example.net`.
    pub(crate) fn with_a_neighbour(mail: TestStore) -> Self {
        let (rig, carol) = (Self::new(mail), neighbour());
        rig.mail.block_on(async {
            rig.test.tenant(carol.tenant, None).await;
            rig.test.domain(carol.tenant, "example.net").await;
            rig.test.account(carol, &["carol@example.net"], None, "secret").await;
        });
        rig
    }

    /// A node that has just started.
    pub(crate) fn gate(&self) -> Arc<Gate> {
        let clock = Arc::clone(&self.mail.clock) as _;
        self.runtime.block_on(gate(&self.mail.store, &self.test.directory, clock))
    }

    /// Signs in; true if let in. How long the answer took is in seconds.
    pub(crate) fn attempt(&self, gate: &Gate, name: &str, password: &str, from: &str) -> (bool, u64) {
        self.runtime.block_on(self.try_in(gate, name, password, from))
    }

    pub(crate) async fn try_in(&self, gate: &Gate, name: &str, password: &str, from: &str) -> (bool, u64) {
        let offer = offer(name, password, from, PROGRAM);
        let began = tokio::time::Instant::now();
        let answer = gate.sign_in(&offer).await;
        assert_ne!(answer.as_ref().err(), Some(&SignInError::Unavailable));
        (answer.is_ok(), began.elapsed().as_secs())
    }

    /// Signs in and stays.
    pub(crate) fn visit(&self, gate: &Gate, name: &str, password: &str) -> Visit {
        self.runtime.block_on(gate.sign_in(&offer(name, password, OFFICE, PROGRAM))).unwrap()
    }

    /// Ends sessions; how many there were.
    pub(crate) fn end(&self, gate: &Gate, which: Which) -> usize {
        self.runtime.block_on(gate.end_sessions(which, "operator root", Some("a thief"))).unwrap().len()
    }

    /// A step of what nodes do twice a second.
    pub(crate) fn meet(&self, gate: &Gate) {
        self.runtime.block_on(gate.catch_up()).unwrap();
    }

    pub(crate) fn sessions(&self, gate: &Gate, wanted: Wanted) -> Vec<Session> {
        self.runtime.block_on(gate.sessions(wanted)).unwrap()
    }

    pub(crate) fn move_object(&self, verb: Verb, kind: Kind, name: &str) {
        let object = Named { kind, name: name.into(), tenant: None };
        let action = Action::Move { verb, object, version: None };
        let request = Request { action, reason: None, dry_run: false };
        self.mail.block_on(self.test.directory.execute(Actor::Operator, request)).unwrap();
    }

    pub(crate) fn lets_in(&self, gate: &Gate, name: &str, password: &str, from: &str) -> bool {
        self.attempt(gate, name, password, from).0
    }

    /// Wrong passwords, each another one.
    pub(crate) fn guess(&self, gate: &Gate, name: &str, from: &str, times: usize) {
        for number in 0..times {
            assert!(!self.lets_in(gate, name, &format!("{from} {number}"), from));
        }
    }

    /// What is blocked, of a tenant or of all.
    pub(crate) fn blocks(&self, gate: &Gate, tenant: Option<TenantId>) -> Vec<Block> {
        self.runtime.block_on(gate.blocks(tenant)).unwrap()
    }

    pub(crate) fn history(&self, gate: &Gate) -> Vec<(Verdict, Option<Reason>, u32)> {
        let since = Timestamp::from_secs(0);
        let lines = self.runtime.block_on(gate.history(Wanted::All, since, None, 500)).unwrap();
        lines.iter().map(|line| (line.record.verdict, line.record.reason, line.times)).collect()
    }

    /// Changes the first tenant.
    pub(crate) fn change(&self, fields: Vec<FieldEdit>) {
        self.mail.block_on(self.test.change(Kind::Tenant, "tenant-1", fields));
    }

    /// Makes an object of the first tenant.
    pub(crate) fn make(&self, kind: Kind, name: &str, fields: Vec<FieldEdit>) {
        self.mail.block_on(self.test.create(kind, name, None, Some(home(1).tenant), fields));
    }

    /// The newest lines of the audit log of a tenant, the newest first.
    pub(crate) fn audit(&self, tenant: &str, limit: u16) -> Vec<AuditLine> {
        let (tenant, limit) = (Some(tenant.to_owned()), Some(limit));
        let action = Action::Audit { tenant, object: None, before: None, limit };
        let request = Request { action, reason: None, dry_run: false };
        let answer = self.mail.block_on(self.test.directory.execute(Actor::Operator, request));
        let Ok(Answer::Audit { lines, .. }) = answer else { panic!("no audit log") };
        lines
    }

    pub(crate) fn later(&self, time: Duration) {
        self.mail.clock.advance(time);
    }
}
