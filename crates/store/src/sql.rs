//! Statement texts, checked when the program is compiled.
//!
//! One text serves both engines: `$1` placeholders, `RETURNING`, `ON CONFLICT`. In an
//! [`AccountSql`] or [`TenantSql`] `$1` is the account or tenant of the scope, bound by the
//! transaction itself; the caller's parameters begin at `$2`. Making one counts the tables
//! that the text names (after `FROM`, `JOIN`, `INTO` and `UPDATE`) and wants `$1` at least as
//! often, so that a statement that forgets whose rows it works on does not compile:
//!
//! ```
//! use hikyaku_store::AccountSql;
//! const EXISTS: AccountSql = AccountSql::new("SELECT 1 FROM entry WHERE account = $1 AND uid = $2");
//! ```
//!
//! ```compile_fail
//! use hikyaku_store::AccountSql;
//! const EXISTS: AccountSql = AccountSql::new("SELECT 1 FROM entry WHERE uid = $2");
//! ```
//!
//! ```compile_fail
//! use hikyaku_store::TenantSql;
//! const JOINED: TenantSql = TenantSql::new(
//!     "SELECT d.name FROM domain d JOIN account a ON a.domain = d.id WHERE d.tenant = $1");
//! ```
//!
//! Known weakness: it counts, it does not understand. `WHERE $1 = $1` would pass; review and
//! row-level security are for that.

/// A statement that names whose rows it means by itself: for services and the control database.
#[derive(Debug, Clone, Copy)]
pub struct Sql(&'static str);

/// A statement on the rows of one account, which is `$1`.
#[derive(Debug, Clone, Copy)]
pub struct AccountSql(Sql);

/// A statement on the rows of one tenant, which is `$1`.
#[derive(Debug, Clone, Copy)]
pub struct TenantSql(Sql);

impl Sql {
    /// The statement with this text.
    pub const fn new(text: &'static str) -> Self {
        Self(text)
    }

    /// The text.
    pub const fn text(self) -> &'static str {
        self.0
    }
}

impl AccountSql {
    /// The statement with this text. In a `const`, a text that forgets its account is a
    /// compile error; elsewhere it panics.
    pub const fn new(text: &'static str) -> Self {
        assert!(
            names_its_scope(text),
            "every table of the statement must be bound to its account: `account = $1`"
        );
        Self(Sql(text))
    }

    pub(crate) const fn sql(self) -> Sql {
        self.0
    }
}

impl TenantSql {
    /// The statement with this text. In a `const`, a text that forgets its tenant is a
    /// compile error; elsewhere it panics.
    pub const fn new(text: &'static str) -> Self {
        assert!(
            names_its_scope(text),
            "every table of the statement must be bound to its tenant: `tenant = $1`"
        );
        Self(Sql(text))
    }

    pub(crate) const fn sql(self) -> Sql {
        self.0
    }
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Is `text[start..end]` this upper-case keyword, in any case?
const fn is_keyword(text: &[u8], start: usize, end: usize, keyword: &[u8]) -> bool {
    if end - start != keyword.len() {
        return false;
    }
    let mut i = 0;
    while i < keyword.len() {
        if text[start + i].to_ascii_uppercase() != keyword[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// Does something other than a sub-select stand at `at`, after spaces?
const fn names_a_table(text: &[u8], mut at: usize) -> bool {
    while at < text.len() && text[at].is_ascii_whitespace() {
        at += 1;
    }
    at < text.len() && is_word(text[at])
}

/// Tables named, against uses of `$1`.
const fn names_its_scope(text: &str) -> bool {
    let text = text.as_bytes();
    let (mut tables, mut bound) = (0, 0);
    let mut after_do_or_for = false;
    let mut i = 0;
    while i < text.len() {
        if text[i] == b'\'' {
            i += 1;
            while i < text.len() && text[i] != b'\'' {
                i += 1;
            }
            i += 1;
        } else if text[i] == b'$' {
            let start = i + 1;
            i = start;
            while i < text.len() && text[i].is_ascii_digit() {
                i += 1;
            }
            if i == start + 1 && text[start] == b'1' {
                bound += 1;
            }
        } else if is_word(text[i]) {
            let start = i;
            while i < text.len() && is_word(text[i]) {
                i += 1;
            }
            let table = is_keyword(text, start, i, b"FROM")
                || is_keyword(text, start, i, b"JOIN")
                || is_keyword(text, start, i, b"INTO")
                // `DO UPDATE SET` and `FOR UPDATE` name no table.
                || (is_keyword(text, start, i, b"UPDATE") && !after_do_or_for);
            if table && names_a_table(text, i) {
                tables += 1;
            }
            after_do_or_for = is_keyword(text, start, i, b"DO") || is_keyword(text, start, i, b"FOR");
        } else {
            i += 1;
        }
    }
    tables > 0 && bound >= tables
}

#[cfg(test)]
mod tests {
    use super::names_its_scope;

    #[test]
    fn statements_that_name_their_scope() {
        for text in [
            "SELECT 1 FROM entry WHERE account = $1",
            "INSERT INTO entry (account, uid) VALUES ($1, $2)",
            "INSERT INTO entry (account, uid) VALUES ($1, $2) ON CONFLICT (account, uid) DO UPDATE SET uid = $2",
            "UPDATE entry SET flags = $2 WHERE account = $1",
            "DELETE FROM entry WHERE account = $1 AND uid = $10",
            "SELECT e.id FROM entry n JOIN email e ON e.id = n.email AND e.account = $1 WHERE n.account = $1",
            "SELECT uid FROM (SELECT uid FROM entry WHERE account = $1) t",
            "SELECT 1 FROM mailbox WHERE account = $1 FOR UPDATE",
            "UPDATE mailbox SET name = 'moved from here' WHERE account = $1",
        ] {
            assert!(names_its_scope(text), "{text}");
        }
    }

    #[test]
    fn statements_that_forget_it() {
        for text in [
            "SELECT 1",
            "SELECT 1 FROM entry",
            "select 1 from entry where uid = $2",
            "SELECT 1 FROM entry WHERE account = $10",
            "SELECT 1 FROM entry WHERE account = '$1'",
            "SELECT e.id FROM entry n JOIN email e ON e.id = n.email WHERE n.account = $1",
            "INSERT INTO entry (account, uid) SELECT $1, uid FROM entry",
            "UPDATE entry SET flags = $2",
            "DELETE FROM entry WHERE uid = $2",
            "SELECT uid FROM entry WHERE account = $1 AND uid IN (SELECT uid FROM changed)",
        ] {
            assert!(!names_its_scope(text), "{text}");
        }
    }
}
