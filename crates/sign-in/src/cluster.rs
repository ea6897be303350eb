//! What nodes know of each other: which of them live, and their sessions.
//!
//! Nodes have nothing between them but the database, so each writes there twice a second that it
//! lives, with the sessions that began and ended since: one transaction, however many there are.
//! An IDLE session costs no statement between its beginning and its end, and one that is over
//! within half a second costs none. Where there is one node nothing of this is written.
//!
//! A node is told from others by a random number that it has from its start: what an earlier
//! life of it left belongs to nobody.

use std::collections::BTreeSet;
use std::time::Duration;

use hikyaku_access::Cluster;
use hikyaku_access::history::Client;
use hikyaku_access::place::{Asn, Country, Place};
use hikyaku_store::{Param, Row, ServiceTx, Sql, StoreError};
use hikyaku_types::{SessionId, TenantId, Timestamp};

use crate::gate::Gate;
use crate::history::Wanted;
use crate::line::{damaged, floor, word};
use crate::number::{self, FIRST_COMMAND};
use crate::sessions::{Session, Which};
use crate::word::Word;

/// Who has not said so for longer does not live.
const LIVES: Duration = Duration::from_secs(10);
/// What a node left that does not live is forgotten after this long.
const FORGOTTEN: Duration = Duration::from_secs(600);
/// Clocks differ, and a transaction may commit after a later one: so far back is read again.
const LOOK_BACK: Duration = Duration::from_secs(5);
/// Most sessions of other nodes that are listed.
const MOST: usize = 10_000;
/// Rows of one statement: after a start everybody comes at once.
const STEP: u16 = 400;
/// So often a node tells a step before it does something else.
const STEPS: usize = 50;

/// Command lines let nobody in. Servers have numbers below 896, those of before have none.
const LIVING: Sql = Sql::new(
    "SELECT life FROM node WHERE seen >= $1 AND (number IS NULL OR number < $2) ORDER BY life LIMIT 1000",
);
const BEGIN: Sql = Sql::new(
    "INSERT INTO session (life, id, tenant, account, service, ip, country, asn, client, since, credential, proof)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
     ON CONFLICT (life, id) DO UPDATE SET client = excluded.client",
);
const OVER: Sql = Sql::new("DELETE FROM session WHERE life = $1 AND id = $2");
const LEAVE: Sql = Sql::new("DELETE FROM session WHERE life = $1");
const LEFT: Sql = Sql::new("DELETE FROM node WHERE life = $1");
const LOST: Sql = Sql::new(
    "DELETE FROM session WHERE (life, id) IN (SELECT life, id FROM session
        WHERE life NOT IN (SELECT life FROM node WHERE seen >= $1) LIMIT $2)",
);
const DEAD: Sql =
    Sql::new("DELETE FROM node WHERE life IN (SELECT life FROM node WHERE seen < $1 ORDER BY life LIMIT $2)");

/// The columns of [`read_session`], in its order.
macro_rules! columns {
    () => {
        "SELECT s.id, s.tenant, s.account, s.service, s.ip, s.country, s.asn, s.client, s.since, s.credential,
            s.proof
         FROM session s JOIN node n ON n.life = s.life WHERE n.seen >= $1 AND s.life <> $2
            AND s.id < $4"
    };
}
const OF_ALL: Sql = Sql::new(concat!(columns!(), " ORDER BY s.id DESC LIMIT $3"));
const OF_ACCOUNT: Sql = Sql::new(concat!(columns!(), " AND s.account = $5 ORDER BY s.id DESC LIMIT $3"));
const OF_TENANT: Sql = Sql::new(concat!(columns!(), " AND s.tenant = $5 ORDER BY s.id DESC LIMIT $3"));

const END: Sql = Sql::new(
    "INSERT INTO ending (id, at, who, why, tenant, account, session) VALUES ($1, $2, $3, $4, $5, $6, $7)",
);
const ENDINGS: Sql = Sql::new(
    "SELECT id, at, who, why, tenant, account, session FROM ending WHERE id >= $1 ORDER BY id LIMIT $2",
);
const LOG: Sql =
    Sql::new("SELECT id, at, who, why, tenant, account, session FROM ending ORDER BY id DESC LIMIT $1");

/// Sessions that somebody ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Its id, which rises with time.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// Who, as the audit log names operators: `operator root`.
    pub who: String,
    /// Why, if that was said.
    pub why: Option<String>,
    /// Whose sessions.
    pub tenant: TenantId,
    /// Which.
    pub which: Which,
}

/// Endings that this node has carried out.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Those of the time that is read again.
    done: BTreeSet<i64>,
}

impl Gate {
    /// Says that this node lives, and what its sessions are; hears how many others there are,
    /// and which sessions somebody ended there.
    pub(crate) async fn meet(&self) -> Result<(), StoreError> {
        for _ in 0..STEPS {
            if !self.meet_in_step().await? {
                break;
            }
        }
        Ok(())
    }

    /// Is there more to tell?
    async fn meet_in_step(&self) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let (begun, over) = self.news();
        let (life, node, told) = (self.life, self.claimed, begun.clone());
        let since = floor(now.before(LOOK_BACK));
        let met = self
            .write("sign-in.meet", move |tx| {
                // Whether the number is lost is for `Number::keep` to find.
                number::beat(tx, life, node, now)?;
                told.iter().try_for_each(|session| begin(tx, life, session))?;
                over.iter().try_for_each(|id| tx.execute(OVER, &[life.into(), (*id).into()]).map(drop))?;
                let values = [now.before(LIVES).into(), u32::from(FIRST_COMMAND).into()];
                let living = tx.rows(LIVING, &values, |row| row.get::<i64>(0))?;
                Ok((living, tx.rows(ENDINGS, &[since.into(), STEP.into()], read_ending)?, over.clone()))
            })
            .await;
        match met {
            Ok((living, endings, over)) => {
                self.told(&begun, &over);
                self.count(&living);
                self.hear(&endings, since);
                Ok(begun.len().max(over.len()) >= usize::from(STEP))
            }
            Err(error) => Err(error),
        }
    }

    /// What other nodes have not heard of, a step of it.
    fn news(&self) -> (Vec<Session>, Vec<SessionId>) {
        let table = self.sessions.table();
        let step = usize::from(STEP);
        let begun = table.news.iter().filter_map(|id| table.open.get(id)).take(step);
        (begun.map(|open| open.session.clone()).collect(), table.over.iter().take(step).copied().collect())
    }

    fn told(&self, begun: &[Session], over: &[SessionId]) {
        let mut table = self.sessions.table();
        for session in begun {
            match table.open.get_mut(&session.id) {
                Some(open) => {
                    open.is_told = true;
                    if open.session == *session {
                        table.news.remove(&session.id);
                    }
                }
                // It ended meanwhile, and was told all the same.
                None => drop(table.over.insert(session.id)),
            }
        }
        for id in over {
            table.over.remove(id);
        }
    }

    /// Each node spends its share of the guesses that are left.
    fn count(&self, living: &[i64]) {
        let others = living.iter().filter(|life| **life != self.life);
        let index = others.clone().filter(|life| **life < self.life).count();
        let nodes = others.count() + 1;
        let number = |count| u16::try_from(count).unwrap_or(u16::MAX);
        let mut state = self.state();
        let node = state.node();
        state.set_cluster(Cluster { node, index: number(index), nodes: number(nodes) });
    }

    fn hear(&self, endings: &[Ending], since: i64) {
        let mut heard = self.heard.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        heard.done = heard.done.split_off(&since);
        for ending in endings {
            if heard.done.insert(ending.id) {
                self.sessions.end(ending.which);
            }
        }
    }

    /// Ends what others know of this node. To be called at its end.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn leave(&self) -> Result<(), StoreError> {
        let life = self.life;
        self.write("sign-in.leave", move |tx| {
            tx.execute(LEAVE, &[life.into()])?;
            tx.execute(LEFT, &[life.into()]).map(drop)
        })
        .await
    }

    pub(crate) async fn sessions_elsewhere(&self, wanted: Wanted) -> Result<Vec<Session>, StoreError> {
        let (life, alive) = (self.life, self.clock.now().before(LIVES));
        let (mut found, mut before) = (Vec::new(), i64::MAX);
        while found.len() < MOST {
            let read = move |tx: &mut ServiceTx<'_>| {
                let values: [Param<'_>; 4] = [alive.into(), life.into(), STEP.into(), before.into()];
                let with = |last: Param<'static>| [values[0], values[1], values[2], values[3], last];
                match wanted {
                    Wanted::All => tx.rows(OF_ALL, &values, read_session),
                    Wanted::Account(account) => tx.rows(OF_ACCOUNT, &with(account.into()), read_session),
                    Wanted::Tenant(tenant) => tx.rows(OF_TENANT, &with(tenant.into()), read_session),
                }
            };
            let page = self.read("sign-in.sessions", read).await?;
            let is_last = page.len() < usize::from(STEP);
            before = page.last().map_or(before, |session| session.id.as_i64());
            found.extend(page);
            if is_last {
                break;
            }
        }
        Ok(found)
    }

    /// Writes down who ended what, which other nodes read.
    pub(crate) async fn write_ending(
        &self,
        which: Which,
        tenant: TenantId,
        who: &str,
        why: Option<&str>,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let id = self.ids.next(now);
        let (who, why) = (who.to_owned(), why.map(str::to_owned));
        let (account, session) = match which {
            Which::One(session) => (None, Some(session)),
            Which::Account(account) => (Some(account), None),
            Which::Tenant(_) => (None, None),
        };
        self.write("sign-in.end", move |tx| {
            let values: [Param<'_>; 7] = [
                id.into(),
                now.into(),
                (&who).into(),
                why.as_deref().into(),
                tenant.into(),
                account.into(),
                session.into(),
            ];
            tx.execute(END, &values).map(drop)
        })
        .await?;
        self.heard.lock().unwrap_or_else(std::sync::PoisonError::into_inner).done.insert(id);
        Ok(())
    }

    /// At most `limit` (and 500) endings, the newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn endings(&self, limit: u16) -> Result<Vec<Ending>, StoreError> {
        self.read("sign-in.endings", move |tx| tx.rows(LOG, &[limit.min(500).into()], read_ending)).await
    }
}

/// Forgets what nodes left that do not live, a step of it. Is there more?
pub(crate) fn expire_lost(tx: &mut ServiceTx<'_>, now: Timestamp) -> Result<bool, StoreError> {
    let lived = now.before(FORGOTTEN);
    let sessions = tx.execute(LOST, &[lived.into(), STEP.into()])?;
    let nodes = tx.execute(DEAD, &[lived.into(), STEP.into()])?;
    Ok(sessions.max(nodes) >= u64::from(STEP))
}

fn begin(tx: &mut ServiceTx<'_>, life: i64, session: &Session) -> Result<(), StoreError> {
    let ip = session.ip.to_string();
    let country = session.place.country.map(|country| country.to_string());
    let values: [Param<'_>; 12] = [
        life.into(),
        session.id.into(),
        session.tenant.into(),
        session.account.into(),
        session.service.word().into(),
        (&ip).into(),
        country.as_deref().into(),
        session.place.asn.map(|asn| asn.0).into(),
        session.client.as_str().into(),
        session.since.into(),
        session.credential.into(),
        session.proof.word().into(),
    ];
    tx.execute(BEGIN, &values).map(drop)
}

fn read_session(row: Row<'_>) -> Result<Session, StoreError> {
    let country: Option<String> = row.get(5)?;
    Ok(Session {
        id: row.get(0)?,
        tenant: row.get(1)?,
        account: row.get(2)?,
        service: word(&row, 3)?,
        ip: row.get::<String>(4)?.parse().map_err(|_| damaged("ip"))?,
        place: Place {
            country: country.and_then(|country| Country::parse(&country).ok()),
            asn: row.get::<Option<i64>>(6)?.and_then(|asn| u32::try_from(asn).ok()).map(Asn),
            position: None,
        },
        client: Client::new(&row.get::<String>(7)?),
        since: row.get(8)?,
        credential: row.get(9)?,
        proof: word(&row, 10)?,
    })
}

fn read_ending(row: Row<'_>) -> Result<Ending, StoreError> {
    let tenant = row.get(4)?;
    let which = match (row.get(5)?, row.get(6)?) {
        (_, Some(session)) => Which::One(session),
        (Some(account), None) => Which::Account(account),
        (None, None) => Which::Tenant(tenant),
    };
    Ok(Ending { id: row.get(0)?, at: row.get(1)?, who: row.get(2)?, why: row.get(3)?, tenant, which })
}
