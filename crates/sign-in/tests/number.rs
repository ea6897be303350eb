//! A number belongs to one process at a time, on both engines.

use std::sync::Arc;
use std::time::Duration;

use hikyaku_sign_in::{FIRST_COMMAND, Number, NumberError};
use hikyaku_store::Scope;
use hikyaku_testkit::{SeededRandom, TestDirectory, TestStore, both_engines, gate};
use hikyaku_types::{Actor, Clock, NodeId, Service, Timestamp};

both_engines! {
    a_living_holder_keeps_its_number
    a_dead_holder_loses_its_number
    who_lost_its_number_is_told
    command_lines_have_numbers_of_their_own
    what_dead_processes_leave_is_removed_in_steps
}

const SEVEN: NodeId = NodeId::new(7).unwrap();

fn random(seed: u64) -> SeededRandom {
    SeededRandom::new(seed)
}

fn clock(mail: &TestStore) -> Arc<dyn Clock> {
    Arc::clone(&mail.clock) as _
}

async fn claim(mail: &TestStore, seed: u64) -> Result<Number, NumberError> {
    Number::claim_server(&mail.store, mail.clock.as_ref(), &random(seed), SEVEN).await
}

/// Time goes on while others wait.
async fn time_goes_on(mail: &TestStore) {
    loop {
        mail.clock.advance(Duration::from_millis(100));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn a_living_holder_keeps_its_number(mail: TestStore) {
    mail.block_on(async {
        let first = claim(&mail, 1).await.unwrap();
        let refused = tokio::select! {
            refused = claim(&mail, 2) => refused,
            () = first.keep(Arc::clone(&mail.store), clock(&mail)) => panic!("it has lost its number"),
            () = time_goes_on(&mail) => unreachable!(),
        };
        assert!(matches!(refused, Err(NumberError::Taken(7))), "{refused:?}");
        let other = NodeId::new(8).unwrap();
        Number::claim_server(&mail.store, mail.clock.as_ref(), &random(3), other).await.unwrap();
        // Let go, it is free.
        first.let_go(&mail.store).await.unwrap();
        claim(&mail, 4).await.unwrap();
    });
}

fn a_dead_holder_loses_its_number(mail: TestStore) {
    mail.block_on(async {
        let first = claim(&mail, 1).await.unwrap();
        assert_eq!(first.node(), SEVEN);
        // Nobody says that it lives.
        let second = claim(&mail, 2).await.unwrap();
        assert_eq!(second.node(), SEVEN);
    });
}

fn who_lost_its_number_is_told(mail: TestStore) {
    mail.block_on(async {
        let first = claim(&mail, 1).await.unwrap();
        claim(&mail, 2).await.unwrap();
        first.keep(Arc::clone(&mail.store), clock(&mail)).await;
        first.lost().await;
    });
}

fn command_lines_have_numbers_of_their_own(mail: TestStore) {
    mail.block_on(async {
        let claim = |seed| {
            let random = random(seed);
            let mail = &mail;
            async move { Number::claim_command(&mail.store, mail.clock.as_ref(), &random).await }
        };
        let mut held = Vec::new();
        for seed in 0..u64::from(NodeId::COUNT - FIRST_COMMAND) {
            held.push(claim(seed).await.unwrap().node().number());
        }
        assert_eq!(held, (FIRST_COMMAND..NodeId::COUNT).collect::<Vec<_>>());
        assert!(matches!(claim(1_000).await, Err(NumberError::TooManyCommands)));
        // Those that were killed are forgotten.
        mail.clock.advance(Duration::from_secs(601));
        assert_eq!(claim(1_001).await.unwrap().node().number(), FIRST_COMMAND);
    });
}

fn what_dead_processes_leave_is_removed_in_steps(mail: TestStore) {
    let test = TestDirectory::new(&mail);
    mail.block_on(async {
        let actor = Actor::Service(Service::Maintenance);
        let write = |lives: std::ops::Range<i64>, seen: Timestamp| {
            mail.store.write(Scope::access(&actor).unwrap(), "test.lives", move |tx| {
                lives.clone().try_for_each(|life| {
                    let insert = hikyaku_store::Sql::new("INSERT INTO node (life, seen) VALUES ($1, $2)");
                    tx.execute(insert, &[life.into(), seen.into()]).map(drop)
                })
            })
        };
        let (now, before) = (mail.clock.now(), mail.clock.now().before(Duration::from_secs(601)));
        // More than one transaction may touch, and one that lives.
        write(0..900, before).await.unwrap();
        write(900..1_800, before).await.unwrap();
        write(1_800..1_801, now).await.unwrap();
        let gate = gate(&mail.store, &test.directory, clock(&mail)).await;
        gate.expire().await.unwrap();
        let left = mail.store.read(Scope::access(&actor).unwrap(), "test.left", |tx| {
            tx.rows(hikyaku_store::Sql::new("SELECT life FROM node"), &[], |row| row.get::<i64>(0))
        });
        assert_eq!(left.await.unwrap(), [1_800]);
    });
}
