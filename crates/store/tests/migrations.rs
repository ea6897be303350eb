//! Bringing databases up to date, and refusing those that are not.

use hikyaku_store::{
    By, Component, Database, Location, MigrateError, Migration, Options, Sql, Store, StoreError,
};
use hikyaku_testkit::postgres::{Cluster, TestDatabase};
use hikyaku_testkit::{COMPONENTS, SHARD, TestStore, both_engines, scratch_dir};
use prometheus_client::registry::Registry;
use tempfile::TempDir;

both_engines! {
    migrating_again_does_nothing
    a_newer_database_is_left_alone
    a_missing_step_is_named
    a_step_that_fails_leaves_nothing
}

fn migrate(location: &Location, components: &[&'static Component]) -> Result<usize, MigrateError> {
    Store::migrate(location, &Options::default(), components).map(|done| done.len())
}

fn open(location: &Location, components: &[&'static Component]) -> Result<Store, MigrateError> {
    Store::open(location, &Options::default(), components, &mut Registry::default())
}

/// The tables of a part that is not there yet.
const STEP: Migration = Migration {
    number: 1,
    name: "notes",
    sql: "CREATE TABLE note (account {int} NOT NULL, number {int} NOT NULL, PRIMARY KEY (account, number)) {clustered}",
    postgres: "",
    tables: &[("note", By::Account)],
};
const SECOND: Migration =
    Migration { number: 2, name: "texts", sql: "ALTER TABLE note ADD COLUMN text TEXT", tables: &[], ..STEP };
static NOTES: Component = Component { name: "notes", within: is_shard, migrations: &[STEP, SECOND] };
static BROKEN: Component = Component {
    name: "notes",
    within: is_shard,
    migrations: &[
        STEP,
        Migration { sql: "CREATE TABLE half (n {int}); CREATE TABLE note (n {int})", tables: &[], ..SECOND },
    ],
};

fn is_shard(database: Database) -> bool {
    matches!(database, Database::Shard(_))
}

fn with(extra: &'static Component) -> Vec<&'static Component> {
    COMPONENTS.into_iter().chain([extra]).collect()
}

fn migrating_again_does_nothing(mail: TestStore) {
    assert_eq!(migrate(&mail.location, &COMPONENTS).unwrap(), 0);
    let done = Store::migrate(&mail.location, &mail.options, &with(&NOTES)).unwrap();
    let steps: Vec<_> =
        done.iter().map(|step| (step.database.as_str(), step.component, step.number)).collect();
    assert_eq!(steps, [("shard_0", "notes", 1), ("shard_0", "notes", 2)]);
    assert_eq!(migrate(&mail.location, &with(&NOTES)).unwrap(), 0);
    drop(open(&mail.location, &with(&NOTES)).unwrap());
}

fn a_newer_database_is_left_alone(mail: TestStore) {
    migrate(&mail.location, &with(&NOTES)).unwrap();
    let expected = "shard_0 has step 1 of notes, which this version does not know: run the newer version";
    assert_eq!(migrate(&mail.location, &COMPONENTS).unwrap_err().to_string(), expected);
    assert_eq!(open(&mail.location, &COMPONENTS).unwrap_err().to_string(), expected);

    const NEWER: Sql = Sql::new("INSERT INTO migration VALUES ('mailstore', 99, 'of the future', '')");
    mail.write::<_, StoreError, _>(|tx| tx.execute(NEWER, &[])).unwrap();
    let error = open(&mail.location, &with(&NOTES)).unwrap_err();
    assert!(matches!(&error, MigrateError::Newer { number: 99, .. }), "{error}");
}

fn a_missing_step_is_named(mail: TestStore) {
    let expected = "shard_0 lacks 2 steps, the first is notes 1: run `hikyaku migrate`";
    assert_eq!(open(&mail.location, &with(&NOTES)).unwrap_err().to_string(), expected);
    // Asking changed nothing.
    assert_eq!(open(&mail.location, &with(&NOTES)).unwrap_err().to_string(), expected);
    drop(open(&mail.location, &COMPONENTS).unwrap());
}

fn a_step_that_fails_leaves_nothing(mail: TestStore) {
    let error = migrate(&mail.location, &with(&BROKEN)).unwrap_err().to_string();
    assert!(error.starts_with("shard_0: ") && error.contains("note"), "{error}");
    // The step before it stands, of the failed one there is nothing: it can be done right.
    assert_eq!(migrate(&mail.location, &with(&NOTES)).unwrap(), 1);
    let half = mail.read::<_, StoreError, _>(|tx| tx.rows(Sql::new("SELECT n FROM half"), &[], |_| Ok(())));
    assert!(half.is_err());
}

/// Somewhere that nothing was ever migrated.
fn empty_places() -> [(Location, Option<TempDir>, Option<TestDatabase>); 2] {
    let folder = scratch_dir();
    let database = Cluster::shared().create_database(None);
    [
        (Location::Folder(folder.path().to_owned()), Some(folder), None),
        (Location::Postgres { url: database.url().to_owned() }, None, Some(database)),
    ]
}

/// How many there are: content is in two kinds of database, mail and the directory in one.
fn steps(components: &[&'static Component]) -> usize {
    let databases = [Database::Control, Database::Access, Database::Shard(SHARD)];
    let in_one = |database: &Database| {
        let here = components.iter().filter(|component| (component.within)(*database));
        here.map(|component| component.migrations.len()).sum::<usize>()
    };
    databases.iter().map(in_one).sum()
}

#[test]
fn an_empty_database_is_not_opened_but_migrated() {
    for (location, _folder, _database) in empty_places() {
        let error = open(&location, &COMPONENTS).unwrap_err();
        assert!(matches!(&error, MigrateError::Missing { component: "content", number: 1, .. }), "{error}");
        assert_eq!(migrate(&location, &COMPONENTS).unwrap(), steps(&COMPONENTS));
        drop(open(&location, &COMPONENTS).unwrap());
    }
}

#[test]
fn programs_that_migrate_at_once_take_turns() {
    for _ in 0..3 {
        let database = Cluster::shared().create_database(None);
        let location = Location::Postgres { url: database.url().to_owned() };
        let components = with(&NOTES);
        let done: Vec<usize> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..3).map(|_| scope.spawn(|| migrate(&location, &components).unwrap())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(done.iter().sum::<usize>(), steps(&components), "each step was done once: {done:?}");
        drop(open(&location, &components).unwrap());
    }
}

#[test]
fn a_server_that_is_not_there_is_an_error_at_start() {
    let url = "postgresql://nobody@%2Fnowhere/nothing".to_owned();
    let location = Location::Postgres { url };
    let error = open(&location, &COMPONENTS).unwrap_err();
    assert!(matches!(&error, MigrateError::Engine { .. }), "{error}");
}
