//! The tables of the queue, and why they look as they do.
//!
//! Accepting appends to the ends of `queue_message` and `queue_recipient`, which deliveries of
//! one group commit share. There is no further index: lists run through the queue in order
//! of age, and whoever sends adds the index that finds what is due in a lane.

use hikyaku_store::{By, Component, Database, Migration};

/// The tables of the queue.
pub const SCHEMA: Component = Component {
    name: "queue",
    within: |database| matches!(database, Database::Shard(_)),
    migrations: &[Migration {
        number: 1,
        name: "messages that have to leave, their recipients, and what was sent",
        sql: "
            -- flags: 1 SMTPUTF8, 2 REQUIRETLS, 4 BODY=8BITMIME. ret: 1 FULL, 2 HDRS.
            CREATE TABLE queue_message (
                id {rowid} PRIMARY KEY,
                tenant {int} NOT NULL,
                account {int},
                kind {int} NOT NULL,
                content {int} NOT NULL,
                size {int} NOT NULL,
                flags {int} NOT NULL,
                ret {int},
                envid TEXT,
                reverse_path TEXT NOT NULL,
                prelude {blob} NOT NULL
            );

            -- notify: NULL was not asked for, 0 NEVER, else 1 SUCCESS + 2 FAILURE + 4 DELAY.
            CREATE TABLE queue_recipient (
                message {int} NOT NULL,
                id {int} NOT NULL,
                tenant {int} NOT NULL,
                state {int} NOT NULL,
                due_at {int} NOT NULL,
                notify {int},
                destination TEXT NOT NULL,
                address TEXT NOT NULL,
                original_recipient TEXT,
                PRIMARY KEY (message, id)
            ) {clustered} {hot};

            CREATE TABLE queue_log (
                id {rowid} PRIMARY KEY,
                tenant {int} NOT NULL,
                message {int} NOT NULL,
                actor TEXT NOT NULL,
                deed {int} NOT NULL,
                reason TEXT,
                recipients {int} NOT NULL,
                reverse_path TEXT NOT NULL
            );

            CREATE TABLE sent (
                account {int} PRIMARY KEY,
                hour_from {int} NOT NULL,
                in_hour {int} NOT NULL,
                day_from {int} NOT NULL,
                in_day {int} NOT NULL
            ) {clustered} {hot};
        ",
        postgres: "",
        tables: &[
            ("queue_message", By::Tenant),
            ("queue_recipient", By::Tenant),
            ("queue_log", By::Tenant),
            ("sent", By::Account),
        ],
    }],
};
