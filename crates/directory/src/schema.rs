//! The tables of the directory, in the control database.
//!
//! Each kind of object has a table of the same columns: what all objects have, one `parent`
//! that it depends on (a tenant's plan, an alias domain's domain, an account's domain, a
//! credential's account), and its own fields as JSON. Objects are found by id or by name;
//! what mail asks for is found by `address`, which is made of them in the same transaction.

use hikyaku_store::{By, Component, Database, Migration};

/// The tables of the directory.
pub const SCHEMA: Component = Component {
    name: "directory",
    within: |database| database == Database::Control,
    migrations: &[
        Migration {
            number: 1,
            name: "plans, tenants, domains, accounts, aliases, lists, groups, roles, credentials, audit",
            sql: "
                -- The platform itself is the tenant of the highest number: plans are its.
                CREATE TABLE plan (
                    id {int} PRIMARY KEY, tenant {int} NOT NULL, parent {int}, name {key} NOT NULL UNIQUE,
                    state {int} NOT NULL, version {int} NOT NULL, created_at {int} NOT NULL,
                    changed_at {int} NOT NULL, until {int}, data TEXT NOT NULL
                );

                -- `changes` is raised first by every change of what the tenant has: it is its lock.
                CREATE TABLE tenant (
                    id {int} PRIMARY KEY, tenant {int} NOT NULL, parent {int}, name {key} NOT NULL UNIQUE,
                    state {int} NOT NULL, version {int} NOT NULL, created_at {int} NOT NULL,
                    changed_at {int} NOT NULL, until {int}, data TEXT NOT NULL, changes {int} NOT NULL DEFAULT 0
                );
                CREATE INDEX tenant_by_plan ON tenant (parent);
                INSERT INTO tenant (id, tenant, name, state, version, created_at, changed_at, data)
                    VALUES (9223372036854775807, 9223372036854775807, '(platform)', 1, 1, 0, 0, '{}');

                CREATE TABLE domain (
                    id {int} PRIMARY KEY, tenant {int} NOT NULL, parent {int}, name {key} NOT NULL UNIQUE,
                    state {int} NOT NULL, version {int} NOT NULL, created_at {int} NOT NULL,
                    changed_at {int} NOT NULL, until {int}, data TEXT NOT NULL
                );
                CREATE INDEX domain_of_tenant ON domain (tenant, name);
                CREATE INDEX domain_by_parent ON domain (parent) WHERE parent IS NOT NULL;

                CREATE TABLE account (
                    id {int} PRIMARY KEY, tenant {int} NOT NULL, parent {int}, name {key} NOT NULL UNIQUE,
                    state {int} NOT NULL, version {int} NOT NULL, created_at {int} NOT NULL,
                    changed_at {int} NOT NULL, until {int}, data TEXT NOT NULL
                );
                CREATE INDEX account_of_tenant ON account (tenant, name);

                CREATE TABLE alias (
                    id {int} PRIMARY KEY, tenant {int} NOT NULL, parent {int}, name {key} NOT NULL UNIQUE,
                    state {int} NOT NULL, version {int} NOT NULL, created_at {int} NOT NULL,
                    changed_at {int} NOT NULL, until {int}, data TEXT NOT NULL
                );
                CREATE INDEX alias_of_tenant ON alias (tenant, name);

                CREATE TABLE list (
                    id {int} PRIMARY KEY, tenant {int} NOT NULL, parent {int}, name {key} NOT NULL UNIQUE,
                    state {int} NOT NULL, version {int} NOT NULL, created_at {int} NOT NULL,
                    changed_at {int} NOT NULL, until {int}, data TEXT NOT NULL
                );
                CREATE INDEX list_of_tenant ON list (tenant, name);

                CREATE TABLE user_group (
                    id {int} PRIMARY KEY, tenant {int} NOT NULL, parent {int}, name {key} NOT NULL,
                    state {int} NOT NULL, version {int} NOT NULL, created_at {int} NOT NULL,
                    changed_at {int} NOT NULL, until {int}, data TEXT NOT NULL,
                    UNIQUE (tenant, name)
                );

                CREATE TABLE role (
                    id {int} PRIMARY KEY, tenant {int} NOT NULL, parent {int}, name {key} NOT NULL UNIQUE,
                    state {int} NOT NULL, version {int} NOT NULL, created_at {int} NOT NULL,
                    changed_at {int} NOT NULL, until {int}, data TEXT NOT NULL
                );
                CREATE INDEX role_of_tenant ON role (tenant, name);
                CREATE INDEX role_of_account ON role (parent);

                -- secret: a password hash, or the keyed hash of an app password, whose `prefix`
                -- finds it.
                CREATE TABLE credential (
                    id {int} PRIMARY KEY, tenant {int} NOT NULL, parent {int}, name {key} NOT NULL UNIQUE,
                    state {int} NOT NULL, version {int} NOT NULL, created_at {int} NOT NULL,
                    changed_at {int} NOT NULL, until {int}, data TEXT NOT NULL,
                    secret TEXT, prefix {key} UNIQUE, used_at {int}
                );
                CREATE INDEX credential_of_tenant ON credential (tenant, name);
                CREATE INDEX credential_of_account ON credential (parent);

                -- key: an address key. main: the address that its account is called by.
                CREATE TABLE address (
                    key {key} PRIMARY KEY, tenant {int} NOT NULL, domain {int} NOT NULL, kind {int} NOT NULL,
                    object {int} NOT NULL, main {int} NOT NULL
                ) {clustered};
                CREATE INDEX address_of_tenant ON address (tenant, kind);
                CREATE INDEX address_in_domain ON address (domain);

                CREATE TABLE audit (
                    id {int} PRIMARY KEY, tenant {int} NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
                    kind TEXT NOT NULL, object {int} NOT NULL, name {key} NOT NULL, reason TEXT, before TEXT, after TEXT
                );
                CREATE INDEX audit_of_tenant ON audit (tenant, id);
                CREATE INDEX audit_of_object ON audit (object, id);

                -- What caches must forget, in the order of the commits of each tenant.
                CREATE TABLE control_log (
                    seq {int} NOT NULL, kind {int} NOT NULL, key {key} NOT NULL, tenant {int} NOT NULL,
                    PRIMARY KEY (seq, kind, key)
                ) {clustered};
            ",
            postgres: "",
            tables: &[
                ("plan", By::Tenant),
                ("tenant", By::Tenant),
                ("domain", By::Tenant),
                ("account", By::Tenant),
                ("alias", By::Tenant),
                ("list", By::Tenant),
                ("user_group", By::Tenant),
                ("role", By::Tenant),
                ("credential", By::Tenant),
                ("address", By::Tenant),
                ("audit", By::Tenant),
                ("control_log", By::Tenant),
            ],
        },
        Migration {
            number: 2,
            name: "SCRAM verifiers of app passwords",
            // As RFC 5803 writes it. Only with app passwords of tenants that chose it.
            sql: "ALTER TABLE credential ADD COLUMN scram TEXT",
            postgres: "",
            tables: &[],
        },
        Migration {
            number: 3,
            name: "indexes for changes of large tenants, and for what dies",
            // Some installations have them from their first migration.
            sql: "
                CREATE INDEX IF NOT EXISTS account_dying ON account (until) WHERE until IS NOT NULL;
                DROP INDEX IF EXISTS role_of_account;
                CREATE INDEX role_of_account ON role (tenant, parent, name);
                DROP INDEX IF EXISTS credential_of_account;
                CREATE INDEX credential_of_account ON credential (tenant, parent, name);
                DROP INDEX IF EXISTS address_in_domain;
                CREATE INDEX IF NOT EXISTS address_of_object ON address (tenant, object);
            ",
            postgres: "",
            tables: &[],
        },
        Migration {
            number: 4,
            name: "source rules, and exceptions from them",
            sql: "
                CREATE TABLE rule (
                    id {int} PRIMARY KEY, tenant {int} NOT NULL, parent {int}, name {key} NOT NULL,
                    state {int} NOT NULL, version {int} NOT NULL, created_at {int} NOT NULL,
                    changed_at {int} NOT NULL, until {int}, data TEXT NOT NULL,
                    UNIQUE (tenant, name)
                );
                CREATE INDEX rule_of_parent ON rule (tenant, parent, name);
                CREATE TABLE exception (
                    id {int} PRIMARY KEY, tenant {int} NOT NULL, parent {int}, name {key} NOT NULL,
                    state {int} NOT NULL, version {int} NOT NULL, created_at {int} NOT NULL,
                    changed_at {int} NOT NULL, until {int}, data TEXT NOT NULL,
                    UNIQUE (tenant, name)
                );
                CREATE INDEX exception_of_parent ON exception (tenant, parent, name);
            ",
            postgres: "",
            tables: &[("rule", By::Tenant), ("exception", By::Tenant)],
        },
    ],
};
