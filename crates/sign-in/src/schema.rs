//! The tables of the access database.
//!
//! Whose rows they are: a tenant's; 0 stands for names in nobody's domain. A name without an
//! account is kept as its keyed hash. Words are stored as they are shown.

use hikyaku_store::{By, Component, Database, Migration};

/// The tables of the access database.
pub const SCHEMA: Component = Component {
    name: "sign-in",
    within: |database| database == Database::Access,
    migrations: &[Migration {
        number: 1,
        name: "history of sign-ins, known sources, blocks",
        sql: "
            -- A line of history, which is also what other nodes learn, unless `learned` is empty.
            -- `times` attempts of one kind until `last` that were not checked, or were known to be
            -- good, share a line.
            CREATE TABLE signin (
                id {rowid} PRIMARY KEY, at {int} NOT NULL, last {int} NOT NULL, times {int} NOT NULL,
                node {int} NOT NULL, tenant {int} NOT NULL, account {int}, name {int},
                service TEXT NOT NULL, ip {key} NOT NULL, client TEXT NOT NULL, country TEXT, asn {int},
                proof TEXT NOT NULL, tag {int}, standing TEXT NOT NULL, verdict TEXT NOT NULL, reason TEXT,
                would TEXT NOT NULL, learned TEXT NOT NULL
            );
            CREATE INDEX signin_of_tenant ON signin (tenant, id);
            CREATE INDEX signin_of_account ON signin (account, id) WHERE account IS NOT NULL;
            CREATE INDEX signin_learned ON signin (id) WHERE learned <> '';

            CREATE TABLE known (
                account {int} NOT NULL, source {key} NOT NULL, tenant {int} NOT NULL, since {int} NOT NULL,
                last {int} NOT NULL, vouches {int} NOT NULL,
                PRIMARY KEY (account, source)
            ) {clustered};
            CREATE INDEX known_last ON known (last);

            -- account and name: 0 is none. `changed` is when a node last wrote it.
            CREATE TABLE block (
                tenant {int} NOT NULL, account {int} NOT NULL, name {int} NOT NULL, source {key} NOT NULL,
                class TEXT NOT NULL, since {int} NOT NULL, until {int} NOT NULL, reason TEXT NOT NULL,
                earlier {int} NOT NULL, failures {int} NOT NULL, lifted {int} NOT NULL, changed {int} NOT NULL,
                PRIMARY KEY (tenant, account, name, source, class)
            ) {clustered};
            CREATE INDEX block_changed ON block (changed);

            -- Who lifted which block. account and name: NULL is none.
            CREATE TABLE lift (
                id {rowid} PRIMARY KEY, at {int} NOT NULL, who TEXT NOT NULL, why TEXT, tenant {int} NOT NULL,
                account {int}, name {int}, source {key} NOT NULL, class TEXT NOT NULL
            );
            CREATE INDEX lift_of_tenant ON lift (tenant, id);
        ",
        postgres: "",
        tables: &[("signin", By::Tenant), ("known", By::Tenant), ("block", By::Tenant), ("lift", By::Tenant)],
    }, Migration {
        number: 2,
        name: "sessions of several nodes, and who ended them",
        sql: "
            -- `life` is a random number that a process has from its start.
            CREATE TABLE node (life {int} NOT NULL PRIMARY KEY, seen {int} NOT NULL) {clustered};

            CREATE TABLE session (
                life {int} NOT NULL, id {int} NOT NULL, tenant {int} NOT NULL, account {int} NOT NULL,
                service TEXT NOT NULL, ip {key} NOT NULL, country TEXT, asn {int}, client TEXT NOT NULL,
                since {int} NOT NULL, credential {int} NOT NULL, proof TEXT NOT NULL,
                PRIMARY KEY (life, id)
            ) {clustered};
            CREATE INDEX session_of_tenant ON session (tenant);
            CREATE INDEX session_of_account ON session (account);

            -- Sessions that somebody ended: one, or those of an account, or (neither) of a tenant.
            CREATE TABLE ending (
                id {rowid} PRIMARY KEY, at {int} NOT NULL, who TEXT NOT NULL, why TEXT, tenant {int} NOT NULL,
                account {int}, session {int}
            );
        ",
        postgres: "",
        tables: &[("node", By::Platform), ("session", By::Tenant), ("ending", By::Tenant)],
    }, Migration {
        number: 3,
        name: "blocks that ended are found",
        sql: "CREATE INDEX block_until ON block (until);",
        postgres: "",
        tables: &[],
    }, Migration {
        number: 4,
        name: "the numbers of processes",
        sql: "
            -- NULL is written by programs that do not know of numbers.
            ALTER TABLE node ADD COLUMN number {int};
            CREATE UNIQUE INDEX node_number ON node (number);
        ",
        postgres: "",
        tables: &[],
    }],
};
