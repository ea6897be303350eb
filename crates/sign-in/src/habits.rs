//! What is usual for each account, and the sign-ins that were not.
//!
//! A good sign-in is compared with the account's habits, at most [`Habits::MOST`] rows, in the
//! transaction that writes its line; nobody looks through the history. What is unusual stands in a
//! row of its own, whose id is the line's.
//!
//! Whoever is to write to the owners of accounts later reads these rows on from the id it came to
//! last ([`Gate::unusual`]); in which language stands in the account (`language`).
//!
//! Invariants:
//! - a line that is written again (a transaction that ran twice) is judged again as at first;
//! - an unusual row goes with its line.
//!
//! Known weakness: a habit is written anew once a day, and where somebody was once in ten minutes,
//! so a journey is measured from up to ten minutes too early.

use std::collections::HashMap;
use std::time::Duration;

use hikyaku_access::facts::SubjectKey;
use hikyaku_access::history::unusual::{Habit, Habits, Unusual, unusual};
use hikyaku_access::history::{Record, Verdict};
use hikyaku_access::place::Position;
use hikyaku_store::{By, Component, Database, Migration, Param, Row, ServiceTx, Sql, StoreError};
use hikyaku_types::{AccountId, TenantId, Timestamp};

use crate::gate::Gate;
use crate::history::Wanted;
use crate::line::{self, Line, columns, damaged, floor, tenant_column};

/// Habits are forgotten like history is.
const FORGOTTEN: Duration = Duration::from_secs(90 * 86_400);
const DAY: Duration = Duration::from_secs(86_400);
const TEN_MINUTES: Duration = Duration::from_secs(600);
/// What stands in `what` for where somebody was last.
const PLACE: &str = "place";
/// Degrees are kept as whole numbers of this part.
const PART: f64 = 10_000.0;
/// Rows that a line reads and writes here at the most: habits, a place, and what is new of both.
pub(crate) const MOST_ROWS: usize = Habits::MOST + 10;
/// Rows of one step; statements below say it too.
const STEP: u16 = 500;

/// The tables of habits, in the access database.
pub const HABITS_SCHEMA: Component = Component {
    name: "habits",
    within: |database| database == Database::Access,
    migrations: &[Migration {
        number: 1,
        name: "what is usual for accounts, and sign-ins that were not",
        sql: "
            -- `what` is a country, a network, addresses, a program, or `place`: where it was last.
            CREATE TABLE habit (
                account {int} NOT NULL, what {key} NOT NULL, tenant {int} NOT NULL, last {int} NOT NULL,
                latitude {int}, longitude {int},
                PRIMARY KEY (account, what)
            ) {clustered};
            CREATE INDEX habit_last ON habit (last);

            -- id is that of the line in signin; `what` has a line for each reason.
            CREATE TABLE unusual (
                id {rowid} PRIMARY KEY, tenant {int} NOT NULL, account {int} NOT NULL, what TEXT NOT NULL
            );
            CREATE INDEX unusual_of_tenant ON unusual (tenant, id);
            CREATE INDEX unusual_of_account ON unusual (account, id);
        ",
        postgres: "",
        tables: &[("habit", By::Tenant), ("unusual", By::Tenant)],
    }],
};

const HABITS: Sql =
    Sql::new("SELECT what, last, latitude, longitude FROM habit WHERE account = $1 ORDER BY what LIMIT 100");
const WRITE: Sql = Sql::new(
    "INSERT INTO habit (account, what, tenant, last, latitude, longitude) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (account, what) DO UPDATE SET
        last = excluded.last, latitude = excluded.latitude, longitude = excluded.longitude",
);
const FORGET: Sql = Sql::new("DELETE FROM habit WHERE account = $1 AND what = $2");
const NOTE: Sql = Sql::new("INSERT INTO unusual (id, tenant, account, what) VALUES ($1, $2, $3, $4)");
const ADD: Sql = Sql::new(
    "INSERT INTO unusual (id, tenant, account, what) VALUES ($1, $2, $3, $4)
     ON CONFLICT (id) DO UPDATE SET what = unusual.what || $5",
);
const EXPIRE: Sql = Sql::new(
    "DELETE FROM habit WHERE (account, what) IN
        (SELECT account, what FROM habit WHERE last < $1 ORDER BY last LIMIT 500)",
);
const PAGE_END: Sql =
    Sql::new("SELECT max(id) FROM (SELECT id FROM unusual WHERE id > $1 ORDER BY id LIMIT 500) page");
const LINE_GONE: Sql = Sql::new(
    "DELETE FROM unusual WHERE id IN (SELECT u.id FROM unusual u WHERE u.id > $1 AND u.id <= $2
        AND NOT EXISTS (SELECT 1 FROM signin s WHERE s.id = u.id))",
);

/// Lines, and what was unusual about them. $1 is whose.
macro_rules! lines_of {
    ($whose:literal) => {
        (
            Sql::new(concat!(
                "SELECT ",
                columns!(),
                " FROM signin WHERE id IN (SELECT id FROM unusual WHERE ",
                $whose,
                " AND id < $2 AND id >= $3 ORDER BY id DESC LIMIT $4) ORDER BY id DESC"
            )),
            Sql::new(concat!(
                "SELECT id, what FROM unusual WHERE ",
                $whose,
                " AND id < $2 AND id >= $3 ORDER BY id DESC LIMIT $4"
            )),
        )
    };
}
const OF_ACCOUNT: (Sql, Sql) = lines_of!("account = $1");
const OF_TENANT: (Sql, Sql) = lines_of!("tenant = $1");
const OF_ALL: (Sql, Sql) = lines_of!("$1 = 0");

/// A sign-in that was unlike those before.
#[derive(Debug, Clone, PartialEq)]
pub struct UnusualLine {
    /// The line of history.
    pub line: Line,
    /// Why it is unusual; never empty.
    pub why: Vec<Unusual>,
}

/// Notes what is unusual about a line, and learns from it.
pub(crate) fn note(tx: &mut ServiceTx<'_>, id: i64, record: &Record) -> Result<(), StoreError> {
    let (SubjectKey::Account(account), Verdict::Admitted) = (record.subject, record.verdict) else {
        return Ok(());
    };
    let stored = read(tx, account)?;
    let why = unusual(record, &stored);
    if !why.is_empty() {
        let what = why.iter().map(Unusual::to_string).collect::<Vec<_>>().join("\n");
        let tenant = tenant_column(record.tenant).into();
        tx.execute(NOTE, &[id.into(), tenant, account.into(), (&what).into()])?;
    }
    learn(tx, account, record, &stored)
}

/// Notes that the program of a line is unusual, which was named after the rest of it was compared,
/// and learns from it.
pub(crate) fn note_program(tx: &mut ServiceTx<'_>, id: i64, record: &Record) -> Result<(), StoreError> {
    let SubjectKey::Account(account) = record.subject else { return Ok(()) };
    let stored = read(tx, account)?;
    let found = unusual(record, &stored).into_iter().find(|one| matches!(one, Unusual::Device(_)));
    if let Some(device) = found {
        let (tenant, what) = (tenant_column(record.tenant).into(), device.to_string());
        let further = format!("\n{what}");
        tx.execute(ADD, &[id.into(), tenant, account.into(), (&what).into(), (&further).into()])?;
    }
    learn(tx, account, record, &stored)
}

fn learn(
    tx: &mut ServiceTx<'_>,
    account: AccountId,
    record: &Record,
    stored: &Habits,
) -> Result<(), StoreError> {
    let mut habits = stored.clone();
    let gone = habits.learn(record);
    write(tx, account, record.tenant, stored, &habits)?;
    gone.iter()
        .try_for_each(|habit| tx.execute(FORGET, &[account.into(), (&habit.to_string()).into()]).map(drop))
}

/// What another program has written and this one does not know is no habit.
fn read(tx: &mut ServiceTx<'_>, account: AccountId) -> Result<Habits, StoreError> {
    let rows = tx.rows(HABITS, &[account.into()], |row| {
        let position = row.get::<Option<i64>>(2)?.zip(row.get::<Option<i64>>(3)?);
        Ok((row.get::<String>(0)?, row.get::<Timestamp>(1)?, position))
    })?;
    let mut habits = Habits::default();
    for (what, last, position) in rows {
        match position.filter(|_| what == PLACE) {
            Some((latitude, longitude)) => {
                let degrees = |number: i64| number as f64 / PART;
                let position = Position { latitude: degrees(latitude), longitude: degrees(longitude) };
                habits.last = Some((position, last));
            }
            None => habits.seen.extend(what.parse::<Habit>().ok().map(|habit| (habit, last))),
        }
    }
    Ok(habits)
}

/// Writes what is new, and what was written longest ago.
fn write(
    tx: &mut ServiceTx<'_>,
    account: AccountId,
    tenant: Option<TenantId>,
    stored: &Habits,
    habits: &Habits,
) -> Result<(), StoreError> {
    let tenant = tenant_column(tenant);
    let mut write = |what: &str, last: Timestamp, position: Option<Position>| {
        let number = |degrees: f64| (degrees * PART).round() as i64;
        let (latitude, longitude) =
            (position.map(|one| number(one.latitude)), position.map(|one| number(one.longitude)));
        let values: [Param<'_>; 6] =
            [account.into(), what.into(), tenant.into(), last.into(), latitude.into(), longitude.into()];
        tx.execute(WRITE, &values).map(drop)
    };
    for (habit, last) in &habits.seen {
        let written = stored.seen.iter().find(|(one, _)| one == habit).map(|(_, last)| *last);
        if written.is_none_or(|written| last.since(written) >= DAY) {
            write(&habit.to_string(), *last, None)?;
        }
    }
    if let Some((position, last)) = habits.last {
        let is_fresh = stored
            .last
            .is_some_and(|(there, at)| there.kilometres_to(position) < 1.0 && last.since(at) < TEN_MINUTES);
        if !is_fresh {
            write(PLACE, last, Some(position))?;
        }
    }
    Ok(())
}

impl Gate {
    /// At most `limit` (and 500) unusual sign-ins since `since`, before the id `before` if one is
    /// named; the newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unusual(
        &self,
        wanted: Wanted,
        since: Timestamp,
        before: Option<i64>,
        limit: u16,
    ) -> Result<Vec<UnusualLine>, StoreError> {
        self.flush().await?;
        let ((lines, whys), whose) = statements(wanted);
        let (before, since) = (before.unwrap_or(i64::MAX), floor(since));
        self.read("sign-in.unusual", move |tx| {
            let values = [whose.into(), before.into(), since.into(), limit.min(STEP).into()];
            let lines = tx.rows(lines, &values, line::read)?;
            let mut whys = tx.rows(whys, &values, read_why)?.into_iter();
            // Both are in one order; a line that is gone already is passed over.
            let with_why = |line: Line| {
                let (_, why) = whys.find(|(id, _)| *id == line.id).ok_or_else(|| damaged("unusual"))?;
                Ok(UnusualLine { line, why })
            };
            lines.into_iter().map(with_why).collect()
        })
        .await
    }

    /// What was unusual about these lines, which are a page of what is wanted, by their ids.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn why_unusual(
        &self,
        wanted: Wanted,
        page: &[Line],
    ) -> Result<HashMap<i64, Vec<Unusual>>, StoreError> {
        let (Some(newest), Some(oldest)) = (page.first(), page.last()) else { return Ok(HashMap::new()) };
        let ((_, whys), whose) = statements(wanted);
        let (before, since) = (newest.id.saturating_add(1), oldest.id);
        let read = self.read("sign-in.why_unusual", move |tx| {
            tx.rows(whys, &[whose.into(), before.into(), since.into(), STEP.into()], read_why)
        });
        Ok(read.await?.into_iter().collect())
    }

    /// Forgets habits that nobody has any more, and what was unusual about lines that are gone.
    ///
    /// # Errors
    /// [`StoreError`]: what is left is forgotten next time.
    pub async fn expire_habits(&self) -> Result<(), StoreError> {
        let before = self.clock.now().before(FORGOTTEN);
        let step = move |tx: &mut ServiceTx<'_>| tx.execute(EXPIRE, &[before.into()]);
        while self.write("sign-in.expire_habits", step).await? >= u64::from(STEP) {}
        let mut after = 0;
        loop {
            let step = move |tx: &mut ServiceTx<'_>| {
                let end = tx.row(PAGE_END, &[after.into()], |row| row.get::<Option<i64>>(0))?.flatten();
                if let Some(end) = end {
                    tx.execute(LINE_GONE, &[after.into(), end.into()])?;
                }
                Ok(end)
            };
            match self.write("sign-in.expire_unusual", step).await? {
                Some(end) => after = end,
                None => return Ok(()),
            }
        }
    }
}

fn statements(wanted: Wanted) -> ((Sql, Sql), i64) {
    match wanted {
        Wanted::Account(account) => (OF_ACCOUNT, account.as_i64()),
        Wanted::Tenant(tenant) => (OF_TENANT, tenant.as_i64()),
        Wanted::All => (OF_ALL, 0),
    }
}

fn read_why(row: Row<'_>) -> Result<(i64, Vec<Unusual>), StoreError> {
    let what: String = row.get(1)?;
    Ok((row.get(0)?, what.lines().filter_map(|one| one.parse().ok()).collect()))
}
