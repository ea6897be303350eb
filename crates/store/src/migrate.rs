//! Migrations: numbered, forward only, recorded.
//!
//! Each component (content, mailstore, trace, …) numbers its own steps for the databases
//! that hold its tables. A step is one transaction together with its record, so it is done
//! or not done. A database that records a step which this program does not know was made by
//! a newer one: it is left alone.
//!
//! Changes go expand, move, contract, so that old and new programs run side by side.

use std::collections::BTreeSet;
use std::path::Path;

use crate::dialect::{Dialect, SCOPED_ROLE};
use crate::scope::Database;
use crate::{postgres, sqlite};

/// Whose rows a table holds: which policy row-level security gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Column `account`.
    Account,
    /// Column `tenant`.
    Tenant,
    /// The platform's own: scoped roles cannot see it at all.
    Platform,
}

/// One step.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// 1, 2, 3, … in its component.
    pub number: u32,
    /// What it does, in a few words.
    pub name: &'static str,
    /// Statements, in the words of [`Dialect::ddl`].
    pub sql: &'static str,
    /// Statements for PostgreSQL alone, after `sql`.
    pub postgres: &'static str,
    /// Every table that `sql` makes, and whose rows it holds.
    pub tables: &'static [(&'static str, By)],
}

/// The tables of one crate in one kind of database.
#[derive(Debug, Clone, Copy)]
pub struct Component {
    /// `content`, `mailstore`, …
    pub name: &'static str,
    /// In which databases its tables are.
    pub within: fn(Database) -> bool,
    /// Its steps, in order.
    pub migrations: &'static [Migration],
}

/// A step that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The database.
    pub database: String,
    /// The component.
    pub component: &'static str,
    /// The step's number.
    pub number: u32,
    /// The step's name.
    pub name: &'static str,
}

/// Why a database could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A newer program has been here.
    #[error(
        "{database} has step {number} of {component}, which this version does not know: run the newer version"
    )]
    Newer {
        /// The database.
        database: String,
        /// The component.
        component: String,
        /// The unknown step.
        number: i64,
    },
    /// Steps are missing and were not asked for.
    #[error("{database} lacks {missing} steps, the first is {component} {number}: run `hikyaku migrate`")]
    Missing {
        /// The database.
        database: String,
        /// The component of the first missing step.
        component: &'static str,
        /// Its number.
        number: u32,
        /// How many are missing.
        missing: usize,
    },
    /// The role that row-level security binds cannot be made or taken on.
    #[error(
        "{database}: the database user cannot make the role {SCOPED_ROLE}: {cause}\n\
         Let an administrator run: CREATE ROLE {SCOPED_ROLE} NOLOGIN; GRANT {SCOPED_ROLE} TO <the user of the URL>;"
    )]
    Role {
        /// The database.
        database: String,
        /// What the server said.
        cause: String,
    },
    /// The engine failed.
    #[error("{database}: {cause}")]
    Engine {
        /// The database.
        database: String,
        /// What the engine said.
        cause: String,
    },
}

const RECORD: &str = "CREATE TABLE IF NOT EXISTS migration (
    component TEXT NOT NULL, number {int} NOT NULL, name TEXT NOT NULL, applied_at TEXT NOT NULL,
    PRIMARY KEY (component, number))";

/// Which steps of `components` a database still needs, given the recorded ones.
fn missing<'c>(
    database: &str,
    components: &'c [&'static Component],
    recorded: &BTreeSet<(String, i64)>,
) -> Result<Vec<(&'c Component, &'c Migration)>, MigrateError> {
    for (component, number) in recorded {
        let known = components.iter().any(|known| {
            known.name == component && known.migrations.iter().any(|step| i64::from(step.number) == *number)
        });
        if !known {
            let (component, number) = (component.clone(), *number);
            return Err(MigrateError::Newer { database: database.into(), component, number });
        }
    }
    let steps =
        components.iter().flat_map(|component| component.migrations.iter().map(|step| (*component, step)));
    Ok(steps
        .filter(|(component, step)| !recorded.contains(&(component.name.to_owned(), i64::from(step.number))))
        .collect())
}

/// Are steps to be done, or is a missing one an error?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Apply,
    Check,
}

fn refuse_missing(database: &str, steps: &[(&Component, &Migration)]) -> Result<(), MigrateError> {
    let Some((component, step)) = steps.first() else { return Ok(()) };
    Err(MigrateError::Missing {
        database: database.into(),
        component: component.name,
        number: step.number,
        missing: steps.len(),
    })
}

pub(crate) fn sqlite(
    path: &Path,
    database: &str,
    components: &[&'static Component],
    mode: Mode,
) -> Result<Vec<Applied>, MigrateError> {
    let failed =
        |error: rusqlite::Error| MigrateError::Engine { database: database.into(), cause: error.to_string() };
    let mut connection = sqlite::connect(path, 4096).map_err(failed)?;
    connection.execute_batch(&Dialect::Sqlite.ddl(RECORD)).map_err(failed)?;
    let recorded = recorded_in_sqlite(&connection).map_err(failed)?;
    let steps = missing(database, components, &recorded)?;
    if mode == Mode::Check {
        refuse_missing(database, &steps)?;
    }
    let mut done = Vec::new();
    for (component, step) in steps {
        let tx = connection.transaction().map_err(failed)?;
        tx.execute_batch(&Dialect::Sqlite.ddl(step.sql)).map_err(failed)?;
        tx.execute(
            "INSERT INTO migration VALUES (?1, ?2, ?3, datetime('now'))",
            (component.name, step.number, step.name),
        )
        .map_err(failed)?;
        tx.commit().map_err(failed)?;
        done.push(applied(database, component, step));
    }
    Ok(done)
}

fn recorded_in_sqlite(connection: &rusqlite::Connection) -> rusqlite::Result<BTreeSet<(String, i64)>> {
    let mut statement = connection.prepare("SELECT component, number FROM migration")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

fn applied(database: &str, component: &Component, step: &Migration) -> Applied {
    Applied { database: database.into(), component: component.name, number: step.number, name: step.name }
}

pub(crate) fn postgres(
    url: &str,
    database: &str,
    components: &[&'static Component],
    mode: Mode,
) -> Result<Vec<Applied>, MigrateError> {
    let failed = |error: ::postgres::Error| MigrateError::Engine {
        database: database.into(),
        cause: postgres::describe(&error),
    };
    let mut client = postgres::connect(url, database).map_err(failed)?;
    // Two programs that start at once take turns.
    client.batch_execute("SELECT pg_advisory_lock(7307103)").map_err(failed)?;
    if mode == Mode::Apply {
        client.batch_execute(&format!("CREATE SCHEMA IF NOT EXISTS {database}")).map_err(failed)?;
        client.batch_execute(&Dialect::Postgres.ddl(RECORD)).map_err(failed)?;
        make_role(&mut client, database)?;
    }
    let recorded: BTreeSet<(String, i64)> = match client.query("SELECT component, number FROM migration", &[])
    {
        Ok(rows) => rows.iter().map(|row| (row.get(0), row.get(1))).collect(),
        // Nothing was ever migrated here.
        Err(error) if error.code() == Some(&::postgres::error::SqlState::UNDEFINED_TABLE) => BTreeSet::new(),
        Err(error) => return Err(failed(error)),
    };
    let steps = missing(database, components, &recorded)?;
    if mode == Mode::Check {
        refuse_missing(database, &steps)?;
    }
    let mut done = Vec::new();
    for (component, step) in steps {
        let mut tx = client.transaction().map_err(failed)?;
        tx.batch_execute(&Dialect::Postgres.ddl(step.sql)).map_err(failed)?;
        tx.batch_execute(step.postgres).map_err(failed)?;
        for (table, by) in step.tables {
            tx.batch_execute(&row_level_security(table, *by)).map_err(failed)?;
        }
        tx.execute(
            "INSERT INTO migration VALUES ($1, $2, $3, now()::text)",
            &[&component.name, &i64::from(step.number), &step.name],
        )
        .map_err(failed)?;
        tx.commit().map_err(failed)?;
        done.push(applied(database, component, step));
    }
    Ok(done)
}

/// The scoped role, which the URL's user must be able to take on.
fn make_role(client: &mut ::postgres::Client, database: &str) -> Result<(), MigrateError> {
    let role = |error: ::postgres::Error| MigrateError::Role {
        database: database.into(),
        cause: postgres::describe(&error),
    };
    // Roles belong to the whole cluster: another database's migration may make it first.
    client
        .batch_execute(&format!(
            "DO $$ BEGIN
                IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '{SCOPED_ROLE}') THEN
                    CREATE ROLE {SCOPED_ROLE} NOLOGIN;
                END IF;
            EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
            DO $$ BEGIN
                IF NOT pg_has_role(current_user, '{SCOPED_ROLE}', 'MEMBER') THEN
                    GRANT {SCOPED_ROLE} TO CURRENT_USER;
                END IF;
            END $$;"
        ))
        .map_err(role)?;
    client.batch_execute(&format!("GRANT USAGE ON SCHEMA {database} TO {SCOPED_ROLE}")).map_err(role)
}

/// The policy of one table. The owner, which deliveries, the queue and jobs run as, is not bound.
fn row_level_security(table: &str, by: By) -> String {
    let column = match by {
        By::Account => "account",
        By::Tenant => "tenant",
        By::Platform => return format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"),
    };
    // A setting that was never made is NULL, one that ended with its transaction is empty:
    // both admit no row.
    format!(
        "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
         CREATE POLICY scope ON {table} TO {SCOPED_ROLE}
            USING ({column} = NULLIF(current_setting('app.{column}', true), '')::bigint);
         GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {SCOPED_ROLE}"
    )
}
