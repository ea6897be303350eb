//! The tables of mail, and why they look as they do.
//!
//! A delivery changes rows in few places: the account's leaf of `mailbox` (root and mailbox
//! are neighbours), its leaf of `entry`, its leaf of `thread`, and the ends of `email`,
//! `content`, `content_bytes` and `trace`, which a group commit shares. So tables are kept in
//! the order of their account where rows are narrow and often changed, and in the order of a
//! rising id where they are wide and written once.
//!
//! There is no index on modseq over all entries: new mail is found by its UID, and only rows
//! changed after their delivery are in the partial index `entry_changed`.

use hikyaku_store::{By, Component, Database, Migration};

/// The tables of mail.
pub const SCHEMA: Component = Component {
    name: "mailstore",
    within: |database| matches!(database, Database::Shard(_)),
    migrations: &[
        Migration {
            number: 1,
            name: "mailboxes, entries, emails, threads, usage, delivery keys",
            sql: "
            -- Mailbox 0 is the account's root: its modseq is the account's sequence, messages
            -- and bytes are the account's sums, uidnext is the next mailbox id, uidvalidity
            -- the last one given, parent is -1.
            CREATE TABLE mailbox (
                account {int} NOT NULL,
                mailbox {int} NOT NULL,
                parent {int} NOT NULL,
                role {int} NOT NULL,
                uidvalidity {int} NOT NULL,
                uidnext {int} NOT NULL,
                modseq {int} NOT NULL,
                messages {int} NOT NULL,
                unseen {int} NOT NULL,
                bytes {int} NOT NULL,
                tombstones_from {int} NOT NULL,
                subscribed {int} NOT NULL,
                name TEXT NOT NULL,
                PRIMARY KEY (account, mailbox)
            ) {clustered} {hot};
            CREATE UNIQUE INDEX mailbox_by_name ON mailbox (account, parent, name);
            CREATE INDEX mailbox_hidden ON mailbox (account) WHERE parent = -2;

            CREATE TABLE entry (
                account {int} NOT NULL,
                mailbox {int} NOT NULL,
                uid {int} NOT NULL,
                email {int} NOT NULL,
                flags {int} NOT NULL,
                added {int} NOT NULL,
                changed {int},
                saved_at {int} NOT NULL,
                size {int} NOT NULL,
                keywords TEXT,
                PRIMARY KEY (account, mailbox, uid)
            ) {clustered};
            CREATE INDEX entry_changed ON entry (account, mailbox, changed) WHERE changed IS NOT NULL;

            CREATE TABLE tombstone (
                account {int} NOT NULL,
                mailbox {int} NOT NULL,
                modseq {int} NOT NULL,
                uid {int} NOT NULL,
                email {int} NOT NULL,
                at {int} NOT NULL,
                PRIMARY KEY (account, mailbox, modseq, uid)
            ) {clustered};

            CREATE TABLE email (
                id {rowid} PRIMARY KEY,
                account {int} NOT NULL,
                content {int} NOT NULL,
                thread {int} NOT NULL,
                entries {int} NOT NULL,
                size {int} NOT NULL,
                received_at {int} NOT NULL,
                prelude {blob} NOT NULL
            );

            CREATE TABLE thread (
                account {int} NOT NULL,
                hash {int} NOT NULL,
                thread {int} NOT NULL,
                PRIMARY KEY (account, hash)
            ) {clustered};

            CREATE TABLE usage (
                tenant {int} PRIMARY KEY,
                messages {int} NOT NULL,
                bytes {int} NOT NULL
            ) {hot};

            CREATE TABLE delivery_key (
                key {blob} PRIMARY KEY,
                trace {int} NOT NULL,
                at {int} NOT NULL
            ) {clustered};
        ",
            postgres: "",
            tables: &[
                ("mailbox", By::Account),
                ("entry", By::Account),
                ("tombstone", By::Account),
                ("email", By::Account),
                ("thread", By::Account),
                ("usage", By::Tenant),
                ("delivery_key", By::Platform),
            ],
        },
        Migration {
            number: 2,
            name: "since when mailboxes and tenants are full",
            sql: "
            ALTER TABLE mailbox ADD COLUMN full_since {int};
            ALTER TABLE usage ADD COLUMN full_since {int};
        ",
            postgres: "",
            tables: &[],
        },
        Migration {
            number: 3,
            name: "what was imported",
            sql: "
            CREATE TABLE imported (
                account {int} NOT NULL,
                key {blob} NOT NULL,
                at {int} NOT NULL,
                PRIMARY KEY (account, key)
            ) {clustered};
        ",
            postgres: "",
            tables: &[("imported", By::Account)],
        },
        Migration {
            number: 4,
            name: "packs: what lists tell of messages",
            // Bytes are apart, so that an expunge rewrites a narrow row.
            sql: "
            CREATE TABLE pack (
                account {int} NOT NULL,
                mailbox {int} NOT NULL,
                last_uid {int} NOT NULL,
                first_uid {int} NOT NULL,
                version {int} NOT NULL,
                gone {int} NOT NULL,
                PRIMARY KEY (account, mailbox, last_uid)
            ) {clustered};
            CREATE INDEX pack_untidy ON pack (account, mailbox, last_uid) WHERE gone > 0;
            CREATE TABLE pack_bytes (
                account {int} NOT NULL,
                mailbox {int} NOT NULL,
                last_uid {int} NOT NULL,
                bytes {blob} NOT NULL,
                PRIMARY KEY (account, mailbox, last_uid)
            ) {clustered};
        ",
            // Compressed already: the server need not try again.
            postgres: "ALTER TABLE pack_bytes ALTER COLUMN bytes SET STORAGE EXTERNAL",
            tables: &[("pack", By::Account), ("pack_bytes", By::Account)],
        },
        Migration {
            number: 5,
            name: "subscribed names without a mailbox",
            sql: "
            CREATE TABLE subscription (
                account {int} NOT NULL,
                name {key} NOT NULL,
                PRIMARY KEY (account, name)
            ) {clustered};
        ",
            postgres: "",
            tables: &[("subscription", By::Account)],
        },
        Migration {
            number: 6,
            name: "snapshots of large mailboxes",
            sql: "
            CREATE TABLE snapshot (
                account {int} NOT NULL,
                mailbox {int} NOT NULL,
                last_uid {int} NOT NULL,
                first_uid {int} NOT NULL,
                as_of {int} NOT NULL,
                bytes {blob} NOT NULL,
                PRIMARY KEY (account, mailbox, last_uid)
            ) {clustered};
        ",
            // Compressed already: the server need not try again.
            postgres: "ALTER TABLE snapshot ALTER COLUMN bytes SET STORAGE EXTERNAL",
            tables: &[("snapshot", By::Account)],
        },
    ],
};
