//! The few things that the two engines want said differently.
//!
//! Queries are one text for both. Differences live here: words in `CREATE TABLE`, row-level
//! security, row locks, partitions.

use crate::sql::Sql;

/// Which engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Embedded SQLite.
    Sqlite,
    /// PostgreSQL 15 or later.
    Postgres,
}

/// Locks the given accounts' root rows (mailbox 0) in one order. PostgreSQL only.
pub(crate) const LOCK_ACCOUNTS: Sql = Sql::new(
    "SELECT account FROM mailbox WHERE account = ANY($1) AND mailbox = 0 ORDER BY account FOR UPDATE",
);

/// The role that PostgreSQL transactions of accounts and tenants take on. Row-level security
/// binds it; the role that owns the tables (deliveries, queue, jobs) is free of it.
pub(crate) const SCOPED_ROLE: &str = "hikyaku_scoped";

impl Dialect {
    /// A `CREATE TABLE` text for this engine. It may use:
    /// - `{rowid}`: type of an integer primary key (in SQLite the row's own number);
    /// - `{int}`: a 64-bit integer, `{blob}`: bytes;
    /// - `{key}`: text that is compared byte by byte, whatever the server's language;
    /// - `{clustered}`: behind the closing parenthesis of a table that is kept in the order
    ///   of its primary key (SQLite `WITHOUT ROWID`; PostgreSQL has no such thing);
    /// - `{hot}`: behind it, for a table whose rows are changed often (PostgreSQL leaves room
    ///   on each page so that a changed row stays on it);
    /// - `{by_id}`: behind it, for a table partitioned by ranges of its id on PostgreSQL.
    pub fn ddl(self, text: &str) -> String {
        let words: [(&str, &str); 7] = match self {
            Self::Sqlite => [
                ("{rowid}", "INTEGER"),
                ("{int}", "INTEGER"),
                ("{key}", "TEXT"),
                ("{blob}", "BLOB"),
                ("{clustered}", "WITHOUT ROWID"),
                ("{hot}", ""),
                ("{by_id}", ""),
            ],
            Self::Postgres => [
                ("{rowid}", "BIGINT"),
                ("{int}", "BIGINT"),
                ("{key}", "TEXT COLLATE \"C\""),
                ("{blob}", "BYTEA"),
                ("{clustered}", ""),
                ("{hot}", "WITH (fillfactor = 70)"),
                ("{by_id}", "PARTITION BY RANGE (id)"),
            ],
        };
        words.iter().fold(text.to_owned(), |text, (word, meant)| text.replace(word, meant))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_create_table() {
        let text = "CREATE TABLE t (id {rowid} PRIMARY KEY, a {int}, b {blob}) {clustered}";
        assert_eq!(
            Dialect::Sqlite.ddl(text),
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b BLOB) WITHOUT ROWID"
        );
        assert_eq!(Dialect::Postgres.ddl(text), "CREATE TABLE t (id BIGINT PRIMARY KEY, a BIGINT, b BYTEA) ");
    }
}
