//! Row-level security on PostgreSQL: what the scoped role can see and change when a statement
//! forgets whose rows it means.
//!
//! Every table of every schema is tried, so that a new one cannot be forgotten: a table must
//! be declared in its migration, with the policy that the declaration asks for.

use std::collections::BTreeMap;

use hikyaku_store::{By, Database};
use hikyaku_testkit::{COMPONENTS, SHARD, TestStore};
use hikyaku_types::{Clock, RisingIds};
use postgres::{Client, NoTls, error::SqlState};

/// The role that accounts' and tenants' transactions take on.
const ROLE: &str = "hikyaku_scoped";

/// Whose rows are whose: ours can be seen, theirs cannot.
const OURS: (i64, i64) = (1, 10);
const THEIRS: (i64, i64) = (2, 20);

struct Table {
    schema: String,
    name: String,
    /// Of a partitioned table, the piece that holds some of its rows.
    is_partition: bool,
    /// Column names and types, in order.
    columns: Vec<(String, String)>,
    by: Option<By>,
}

impl Table {
    fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// The column that its policy compares, if it has one.
    fn owner(&self) -> Option<&'static str> {
        match self.by? {
            By::Account => Some("account"),
            By::Tenant => Some("tenant"),
            By::Platform => None,
        }
    }

    fn id_of(&self, (tenant, account): (i64, i64)) -> i64 {
        if self.by == Some(By::Account) { account } else { tenant }
    }
}

/// Tables as the migrations declare them.
fn declared() -> BTreeMap<(String, &'static str), By> {
    let mut declared = BTreeMap::new();
    for database in [Database::Control, Database::Access, Database::Shard(SHARD)] {
        for component in COMPONENTS.iter().filter(|component| (component.within)(database)) {
            for (table, by) in component.migrations.iter().flat_map(|migration| migration.tables) {
                declared.insert((database.name(), *table), *by);
            }
        }
    }
    declared
}

fn tables(client: &mut Client) -> Vec<Table> {
    let declared = declared();
    let rows = client
        .query(
            "SELECT n.nspname::text, c.relname::text, c.relispartition,
                array_agg(a.attname::text ORDER BY a.attnum), array_agg(format_type(a.atttypid, NULL) ORDER BY a.attnum)
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
             WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
                AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
             GROUP BY 1, 2, 3 ORDER BY 1, 2",
            &[],
        )
        .unwrap();
    let table = |row: &postgres::Row| {
        let (schema, name): (String, String) = (row.get(0), row.get(1));
        let by = declared.get(&(schema.clone(), name.as_str())).copied();
        let (names, types): (Vec<String>, Vec<String>) = (row.get(3), row.get(4));
        let columns = names.into_iter().zip(types).collect();
        Table { schema, name, is_partition: row.get(2), columns, by }
    };
    rows.iter().map(table).collect()
}

/// A database with a row of ours and a row of theirs in every table that has owners.
struct Filled {
    client: Client,
    tables: Vec<Table>,
    _mail: TestStore,
}

fn filled() -> Filled {
    let mail = TestStore::postgres();
    let hikyaku_store::Location::Postgres { url } = &mail.location else { panic!("this is PostgreSQL") };
    let mut client = Client::connect(url, NoTls).unwrap();
    client.batch_execute("SET search_path TO shard_0").unwrap();
    let tables = tables(&mut client);
    // Trace rows need ids of a time that has a partition.
    let mut next = RisingIds::floor_at(mail.clock.now());
    for table in tables.iter().filter(|table| table.owner().is_some()) {
        for owner in [OURS, THEIRS] {
            next += 1;
            let names: Vec<&str> = table.columns.iter().map(|(name, _)| name.as_str()).collect();
            let values: Vec<String> =
                table.columns.iter().map(|(name, kind)| value(table, name, kind, owner, next)).collect();
            let names = names.join(", ");
            let insert =
                format!("INSERT INTO {} ({names}) VALUES ({})", table.full_name(), values.join(", "));
            client.batch_execute(&insert).unwrap_or_else(|error| panic!("{insert}: {error:?}"));
        }
    }
    Filled { client, tables, _mail: mail }
}

fn value(table: &Table, name: &str, kind: &str, (tenant, account): (i64, i64), number: i64) -> String {
    match (name, kind) {
        ("tenant", "bigint") => tenant.to_string(),
        ("account", "bigint") => account.to_string(),
        (_, "bigint") => number.to_string(),
        (_, "text") => format!("'text {number}'"),
        (_, "bytea") => format!("'\\x{number:016x}'"),
        _ => panic!(
            "{} has a column {name} of type {kind}: teach this test what to put there",
            table.full_name()
        ),
    }
}

impl Filled {
    /// Runs statements in a transaction of the scoped role with these settings, then rolls
    /// back. Returns the changed or selected rows of the last.
    fn scoped(&mut self, settings: &[(&str, i64)], sql: &str) -> Result<u64, postgres::Error> {
        let mut tx = self.client.transaction()?;
        tx.batch_execute(&format!("SET LOCAL ROLE {ROLE}"))?;
        for (name, value) in settings {
            tx.batch_execute(&format!("SET LOCAL app.{name} = '{value}'"))?;
        }
        tx.execute(sql, &[])
    }

    fn with_owner(&self) -> Vec<(String, &'static str, i64, i64)> {
        let row =
            |table: &Table| Some((table.full_name(), table.owner()?, table.id_of(OURS), table.id_of(THEIRS)));
        self.tables.iter().filter_map(row).collect()
    }
}

fn is_refused(result: &Result<u64, postgres::Error>) -> bool {
    result.as_ref().is_err_and(|error| error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE))
}

/// All rows of both owners; `PRIMARY KEY` makes an UPDATE of the owner collide, so this
/// changes nothing but says how many rows it could reach.
fn update(table: &str, owner: &str) -> String {
    format!("UPDATE {table} SET {owner} = {owner}")
}

#[test]
fn every_table_is_declared_with_its_policy() {
    let mut filled = filled();
    let mut complaints = Vec::new();
    for table in &filled.tables {
        let name = table.full_name();
        let row = filled
            .client
            .query_one(
                "SELECT c.relrowsecurity,
                    EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid
                        AND p.polroles = ARRAY[(SELECT oid FROM pg_roles WHERE rolname = $2)]),
                    has_table_privilege($2, c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER'),
                    has_table_privilege($2, c.oid, 'TRUNCATE, REFERENCES, TRIGGER')
                 FROM pg_class c WHERE c.oid = $1::text::regclass",
                &[&name, &ROLE],
            )
            .unwrap();
        let (secured, has_policy, reachable, too_much): (bool, bool, bool, bool) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        match table.by {
            Some(By::Account | By::Tenant) if !secured || !has_policy => {
                complaints.push(format!("{name} has no policy for {ROLE}"));
            }
            Some(By::Account | By::Tenant) if too_much => {
                complaints.push(format!("{ROLE} may do more to {name} than read and write rows"));
            }
            Some(By::Account | By::Tenant) => {}
            Some(By::Platform) if reachable => {
                complaints.push(format!("{name} is the platform's, yet {ROLE} may use it"));
            }
            Some(By::Platform) => {}
            // The record of migrations, and pieces of a table that are reached through it.
            None if (table.name == "migration" || table.is_partition) && !reachable => {}
            None => complaints
                .push(format!("{name} is declared in no migration: say in `tables` whose rows it holds")),
        }
    }
    assert_eq!(complaints, Vec::<String>::new());
    let found = |by| filled.tables.iter().filter(|table| table.by == Some(by)).count();
    assert!(found(By::Account) >= 5 && found(By::Tenant) >= 4 && found(By::Platform) >= 2);
    let missing: Vec<_> = declared()
        .into_keys()
        .filter(|(schema, name)| {
            !filled.tables.iter().any(|table| table.schema == *schema && table.name == *name)
        })
        .collect();
    assert_eq!(missing, [], "declared and not there");
}

#[test]
fn a_statement_without_a_scope_reaches_no_row() {
    let mut filled = filled();
    for (table, owner, ..) in filled.with_owner() {
        let other = if owner == "account" { "tenant" } else { "account" };
        // Nothing set; the other kind alone; somebody who has nothing here.
        for settings in [&[][..], &[(other, 1), (other, 10)], &[(owner, 999)]] {
            for sql in
                [format!("SELECT * FROM {table}"), update(&table, owner), format!("DELETE FROM {table}")]
            {
                assert_eq!(filled.scoped(settings, &sql).unwrap(), 0, "{sql} with {settings:?}");
            }
        }
    }
}

#[test]
fn a_statement_that_forgets_its_owner_reaches_only_the_scope() {
    let mut filled = filled();
    for (table, owner, ours, theirs) in filled.with_owner() {
        let settings = [("tenant", OURS.0), ("account", OURS.1)];
        for sql in [format!("SELECT * FROM {table}"), update(&table, owner), format!("DELETE FROM {table}")] {
            assert_eq!(filled.scoped(&settings, &sql).unwrap(), 1, "{sql}");
        }
        for sql in [
            format!("SELECT * FROM {table} WHERE {owner} = {theirs}"),
            format!("UPDATE {table} SET {owner} = {ours} WHERE {owner} = {theirs}"),
            format!("DELETE FROM {table} WHERE {owner} <> {ours}"),
        ] {
            assert_eq!(filled.scoped(&settings, &sql).unwrap(), 0, "{sql}");
        }
    }
}

#[test]
fn rows_cannot_be_made_for_somebody_else() {
    let mut filled = filled();
    for (table, owner, _, theirs) in filled.with_owner() {
        let copy = format!(
            "CREATE TEMP TABLE foreign_row AS SELECT * FROM {table} WHERE {owner} = {theirs};
             DELETE FROM {table} WHERE {owner} = {theirs};
             GRANT SELECT ON foreign_row TO {ROLE}"
        );
        filled.client.batch_execute(&copy).unwrap();
        let insert = format!("INSERT INTO {table} SELECT * FROM foreign_row");
        for settings in [&[][..], &[("tenant", OURS.0), ("account", OURS.1)]] {
            let result = filled.scoped(settings, &insert);
            assert!(is_refused(&result), "{insert} with {settings:?}: {result:?}");
        }
        let theirs_can = filled.scoped(&[("tenant", THEIRS.0), ("account", THEIRS.1)], &insert);
        assert_eq!(theirs_can.unwrap(), 1, "{insert}: so it was the policy that refused");
        let give_away = format!("UPDATE {table} SET {owner} = {theirs}");
        let result = filled.scoped(&[("tenant", OURS.0), ("account", OURS.1)], &give_away);
        assert!(is_refused(&result), "{give_away}: {result:?}");
        filled.client.batch_execute("DROP TABLE foreign_row").unwrap();
    }
}

#[test]
fn what_is_the_platforms_cannot_be_touched() {
    let mut filled = filled();
    let platform: Vec<(String, String)> = filled
        .tables
        .iter()
        .filter(|table| table.owner().is_none())
        .map(|table| (table.full_name(), table.columns[0].0.clone()))
        .collect();
    let settings = [("tenant", OURS.0), ("account", OURS.1)];
    for (table, column) in platform {
        for sql in [
            format!("SELECT * FROM {table}"),
            format!("SELECT count(*) FROM {table}"),
            update(&table, &column),
            format!("DELETE FROM {table}"),
            format!("INSERT INTO {table} DEFAULT VALUES"),
            format!("TRUNCATE {table}"),
        ] {
            let result = filled.scoped(&settings, &sql);
            assert!(is_refused(&result), "{sql}: {result:?}");
        }
    }
    for sql in [
        "CREATE TABLE shard_0.mine (n bigint)",
        "DROP TABLE shard_0.mailbox",
        "SELECT shard_0.trace_partitions(2000000000000, 1)",
    ] {
        let result = filled.scoped(&settings, sql);
        assert!(is_refused(&result), "{sql}: {result:?}");
    }
}

#[test]
fn a_scope_ends_with_its_transaction() {
    let mut filled = filled();
    let settings = [("tenant", OURS.0), ("account", OURS.1)];
    assert_eq!(filled.scoped(&settings, "SELECT * FROM shard_0.mailbox").unwrap(), 1);
    // The setting that ended is an empty text now, not NULL: it admits no row and is no error.
    assert_eq!(filled.scoped(&[], "SELECT * FROM shard_0.mailbox").unwrap(), 0);
    let role: String = filled.client.query_one("SELECT current_user::text", &[]).unwrap().get(0);
    assert_eq!(role, "postgres");
}
