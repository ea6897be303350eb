//! Does an account's bookkeeping agree with its rows?
//!
//! Used by `hikyaku check store`, by the crash rig, and by tests after every run.

use std::fmt;

use hikyaku_store::{AccountSql, AccountTx, ServiceTx, Sql, StoreError};
use hikyaku_types::{AccountId, ContentId, EmailId, TenantId};

use crate::entry::{self, Entry};
use crate::mailbox::MailboxId;
use crate::{prelude, snapshot};

/// Something that does not agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub account: AccountId,
    /// What: the counted number against the kept one.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.account, self.what)
    }
}

const MAILBOXES: AccountSql = AccountSql::new(
    "SELECT m.mailbox, m.messages, m.unseen, m.bytes, m.uidnext, m.modseq,
        count(e.uid), CAST(COALESCE(sum(CASE WHEN e.flags & 1 = 0 THEN 1 ELSE 0 END), 0) AS BIGINT),
        CAST(COALESCE(sum(e.size), 0) AS BIGINT), COALESCE(max(e.uid), 0), COALESCE(max(COALESCE(e.changed, e.added)), 0)
     FROM mailbox m LEFT JOIN entry e ON e.account = $1 AND e.mailbox = m.mailbox
     WHERE m.account = $1 AND m.mailbox > $2
     GROUP BY m.mailbox, m.messages, m.unseen, m.bytes, m.uidnext, m.modseq
     ORDER BY m.mailbox LIMIT 500",
);
const ROOT: AccountSql =
    AccountSql::new("SELECT messages, bytes, modseq FROM mailbox WHERE account = $1 AND mailbox = 0");
const EMAILS: AccountSql = AccountSql::new(
    "SELECT e.email, COALESCE(m.entries, -1), count(*)
     FROM entry e LEFT JOIN email m ON m.account = $1 AND m.id = e.email
     WHERE e.account = $1 GROUP BY e.email, m.entries
     HAVING m.entries IS NULL OR m.entries <> count(*) LIMIT 100",
);

const PACKS: AccountSql = AccountSql::new(
    "SELECT p.mailbox, p.last_uid FROM pack p
     LEFT JOIN pack_bytes b ON b.account = $1 AND b.mailbox = p.mailbox AND b.last_uid = p.last_uid
     LEFT JOIN pack o ON o.account = $1 AND o.mailbox = p.mailbox AND o.last_uid > p.last_uid
        AND o.first_uid <= p.last_uid
     WHERE p.account = $1 AND (b.last_uid IS NULL OR o.last_uid IS NOT NULL OR p.first_uid > p.last_uid) LIMIT 100",
);

const SNAPSHOTS: AccountSql = AccountSql::new(
    "SELECT mailbox, first_uid, last_uid, as_of, bytes FROM snapshot
     WHERE account = $1 AND (mailbox, last_uid) > ($2, $3) ORDER BY mailbox, last_uid LIMIT 10",
);

/// What is wrong with the snapshots of an account: each must have the entries that have not
/// changed since as they are.
fn check_snapshots(tx: &mut AccountTx<'_>) -> Result<Vec<String>, StoreError> {
    let (mut problems, mut after) = (Vec::new(), (MailboxId::ROOT, 0u32));
    loop {
        let parts = tx.rows(SNAPSHOTS, &[after.0.into(), after.1.into()], |row| {
            let numbers = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            Ok((numbers, snapshot::unpacked(&row.get::<Vec<u8>>(4)?)))
        })?;
        let Some(((mailbox, _, last, _), _)) = parts.last() else { return Ok(problems) };
        after = (MailboxId::from_i64(*mailbox), *last);
        for ((mailbox, first, last, as_of), kept) in parts {
            let name = format!("mailbox {mailbox} has a snapshot from {first} to {last}");
            let Some(kept) = kept else {
                problems.push(format!("{name} that cannot be read"));
                continue;
            };
            let there = entry::within(tx, MailboxId::from_i64(mailbox), (first, last), snapshot::MOST)?;
            let is_kept = |entry: &Entry| {
                kept.binary_search_by_key(&entry.uid, |kept| kept.uid).is_ok_and(|at| kept[at] == *entry)
            };
            let wrong = there.iter().find(|entry| entry.modseq <= as_of && !is_kept(entry));
            problems.extend(wrong.map(|wrong| format!("{name}, which is wrong about UID {}", wrong.uid)));
        }
    }
}

/// Compares the counts of an account with its rows.
///
/// # Errors
/// [`StoreError`].
pub fn check_account(tx: &mut AccountTx<'_>) -> Result<Vec<Problem>, StoreError> {
    let account = tx.account();
    let mut problems = Vec::new();
    let mut complain = |what: String| problems.push(Problem { account, what });
    let Some((messages, bytes, modseq)) =
        tx.row(ROOT, &[], |row| Ok((row.get::<i64>(0)?, row.get::<i64>(1)?, row.get::<i64>(2)?)))?
    else {
        return Ok(problems);
    };
    let (mut all_messages, mut all_bytes) = (0, 0);
    let mut after = MailboxId::ROOT;
    loop {
        let rows = tx.rows(MAILBOXES, &[after.into()], |row| {
            (0..11).map(|column| row.get::<i64>(column)).collect::<Result<Vec<_>, _>>()
        })?;
        let Some(last) = rows.last() else { break };
        after = MailboxId::from_i64(last[0]);
        for row in &rows {
            let kept = (row[1], row[2], row[3]);
            let counted = (row[6], row[7], row[8]);
            if kept != counted {
                complain(format!(
                    "mailbox {} keeps (messages, unseen, bytes) {kept:?}, rows say {counted:?}",
                    row[0]
                ));
            }
            if row[9] >= row[4] {
                complain(format!("mailbox {} has UID {} at UIDNEXT {}", row[0], row[9], row[4]));
            }
            if row[10] > row[5] || row[5] > modseq {
                complain(format!("mailbox {} has modseq {} above {} or {modseq}", row[0], row[10], row[5]));
            }
            all_messages += row[6];
            all_bytes += row[8];
        }
    }
    if (messages, bytes) != (all_messages, all_bytes) {
        complain(format!(
            "the account keeps {messages} messages, {bytes} bytes; rows say {all_messages}, {all_bytes}"
        ));
    }
    for (id, kept, counted) in
        tx.rows(EMAILS, &[], |row| Ok((row.get::<i64>(0)?, row.get::<i64>(1)?, row.get::<i64>(2)?)))?
    {
        complain(match kept {
            -1 => format!("{counted} entries name email {id}, which is not there"),
            _ => format!("email {id} keeps {kept} entries, rows say {counted}"),
        });
    }
    for (mailbox, uid) in tx.rows(PACKS, &[], |row| Ok((row.get::<i64>(0)?, row.get::<i64>(1)?)))? {
        complain(format!("mailbox {mailbox} has a pack up to {uid} without bytes, or in the way of another"));
    }
    check_snapshots(tx)?.into_iter().for_each(complain);
    Ok(problems)
}

const ACCOUNTS: Sql =
    Sql::new("SELECT account FROM mailbox WHERE account > $1 AND mailbox = 0 ORDER BY account LIMIT 500");
const LEAKED: Sql = Sql::new(
    "SELECT m.account, m.n, COALESCE(e.n, 0)
     FROM (SELECT account, CAST(sum(entries) AS BIGINT) AS n FROM email GROUP BY account) m
     LEFT JOIN (SELECT account, count(*) AS n FROM entry GROUP BY account) e ON e.account = m.account
     WHERE m.n <> COALESCE(e.n, 0) LIMIT 100",
);
/// Every kind of reference to content stands in the inner select: a new kind is a new
/// `UNION ALL` there. The queue's table belongs to the crate `queue`, above this one; a shard
/// always has it.
const REFERENCES: Sql = Sql::new(
    "SELECT COALESCE(c.id, r.content), COALESCE(c.refs, -1), COALESCE(r.n, 0)
     FROM (SELECT content, count(*) AS n
        FROM (SELECT content FROM email UNION ALL SELECT content FROM queue_message) k GROUP BY content) r
     FULL JOIN (SELECT id, refs FROM content WHERE state = 0) c ON c.id = r.content
     WHERE COALESCE(c.refs, -1) <> COALESCE(r.n, 0) LIMIT 100",
);
/// The rest of a prelude has no checksum: only damage to its beginning can be seen.
const PRELUDES: Sql =
    Sql::new("SELECT id FROM email WHERE length(prelude) < 3 OR substr(prelude, 1, 1) <> $1 LIMIT 100");
const USAGE: Sql = Sql::new(
    "SELECT COALESCE(u.tenant, t.tenant), COALESCE(u.messages, 0), COALESCE(t.n, 0),
        COALESCE(u.bytes, 0), COALESCE(t.size, 0)
     FROM usage u
     FULL JOIN (
        SELECT c.tenant AS tenant, count(*) AS n, CAST(sum(e.size) AS BIGINT) AS size
        FROM entry e JOIN email m ON m.id = e.email JOIN content c ON c.id = m.content
        GROUP BY c.tenant
     ) t ON t.tenant = u.tenant
     WHERE COALESCE(u.messages, 0) <> COALESCE(t.n, 0) OR COALESCE(u.bytes, 0) <> COALESCE(t.size, 0) LIMIT 100",
);
const CONTENTS: Sql =
    Sql::new("SELECT id, tenant, state, object FROM content WHERE id > $1 ORDER BY id LIMIT 500");

/// One content row as `check store` needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentRow {
    /// Its id.
    pub id: ContentId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Can its bytes be expected?
    pub live: bool,
    /// Its object, if it has one.
    pub object: Option<String>,
}

/// Accounts of the shard above `after`, in order, at most 500.
///
/// # Errors
/// [`StoreError`].
pub fn accounts(tx: &mut ServiceTx<'_>, after: Option<AccountId>) -> Result<Vec<AccountId>, StoreError> {
    tx.rows(ACCOUNTS, &[after.map_or(0, AccountId::as_i64).into()], |row| row.get(0))
}

/// Content rows above `after`, in order, at most 500.
///
/// # Errors
/// [`StoreError`].
pub fn contents(tx: &mut ServiceTx<'_>, after: Option<ContentId>) -> Result<Vec<ContentRow>, StoreError> {
    tx.rows(CONTENTS, &[after.map_or(0, ContentId::as_i64).into()], |row| {
        Ok(ContentRow {
            id: row.get(0)?,
            tenant: row.get(1)?,
            live: row.get::<i64>(2)? == 0,
            object: row.get(3)?,
        })
    })
}

/// What does not agree across accounts: emails that no entry names, references to content,
/// preludes that cannot be read.
///
/// # Errors
/// [`StoreError`].
pub fn check_shard(tx: &mut ServiceTx<'_>) -> Result<Vec<String>, StoreError> {
    let three =
        |row: hikyaku_store::Row<'_>| Ok((row.get::<i64>(0)?, row.get::<i64>(1)?, row.get::<i64>(2)?));
    let mut problems = Vec::new();
    for (account, kept, counted) in tx.rows(LEAKED, &[], three)? {
        let account = AccountId::from_i64(account).map(|id| id.to_string()).unwrap_or_default();
        problems.push(format!("{account}: its emails keep {kept} entries, there are {counted}"));
    }
    let usage = tx
        .rows(USAGE, &[], |row| (0..5).map(|column| row.get::<i64>(column)).collect::<Result<Vec<_>, _>>())?;
    for row in usage {
        let tenant = TenantId::from_i64(row[0]).map(|id| id.to_string()).unwrap_or_default();
        problems.push(format!(
            "{tenant}: usage keeps {} messages, {} bytes; there are {}, {}",
            row[1], row[3], row[2], row[4]
        ));
    }
    for (content, kept, counted) in tx.rows(REFERENCES, &[], three)? {
        let content = ContentId::from_i64(content).map(|id| id.to_string()).unwrap_or_default();
        problems.push(match kept {
            -1 => format!("{counted} rows name content {content}, which is not live"),
            _ => format!("content {content} keeps {kept} references, there are {counted}"),
        });
    }
    for id in tx.rows(PRELUDES, &[(&[prelude::VERSION]).into()], |row| row.get::<EmailId>(0))? {
        problems.push(format!("email {id} has no readable prelude"));
    }
    Ok(problems)
}
