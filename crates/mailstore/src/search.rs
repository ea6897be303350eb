//! The search index: which emails of an account may have a text, so that few must be read.
//!
//! ```text
//! search_account(account)                 an account that is searched, and so indexed
//!   search_mailbox(account, mailbox)      up to which UID its emails are in the index
//!   search_segment(account, n)            a segment: its emails
//!     search_block(account, n, place, gram)   grams from this one on, and who has them
//!   search_gone(account, email)           emails that are to leave the segments
//! ```
//!
//! Invariants:
//! - an email is in the index if a segment lists it; of one that is listed the index knows
//!   whether it may have a text, every other must be read. So an answer is complete whether
//!   or not the index is, and an index that is damaged or of another version counts as none;
//! - the index tells no more than which emails are worth a look: whoever asks looks;
//! - each row belongs to one account, and a search reads only its own, however many
//!   neighbours there are;
//! - what is written is one segment, made before the closure, and how far the mailbox is
//!   indexed with it: after a crash the next step begins where the last one ended, and of
//!   two that index at once one gives way.
//!
//! Why not the full text search of the engines: they would have to be fed grams as words
//! anyway. FTS5 merges its one index of all accounts in the writer's transactions, where
//! deliveries wait; and PostgreSQL uses no GIN index under row-level security, since `@@`
//! is not leakproof, but goes through all rows of the account. Segments are made and merged outside
//! of transactions, and are the same statements on both.

mod indexer;
mod segment;

use std::collections::HashSet;

use hikyaku_mime::search::{Gram, Place, wanted};
use hikyaku_store::{
    AccountSql, AccountTx, By, Component, Database, Migration, Row, ServiceTx, Sql, StoreError,
};
use hikyaku_types::{AccountId, EmailId, TenantId, Timestamp};

use crate::deliver::signed;
use crate::mailbox::MailboxId;
pub use indexer::{Indexer, Step};
use segment::{Block, Damaged, Document, MOST_EMAILS, Segment, Who, merge};

/// Changes when the same message gets other terms: then everything is indexed anew.
const VERSION: u16 = 1;

/// Entries in one step of indexing.
const STEP: u16 = 128;

/// Lookups of grams in one segment; a question with more is not asked of the index.
const MOST_LOOKUPS: usize = 400;

/// Octets of a segment that no more are merged into.
const MOST_OCTETS: usize = 4 << 20;

/// Blocks that are read for a single character; there are hardly more words that begin with it.
const MOST_BLOCKS: u16 = 32;

/// The tables of the index.
pub const SEARCH_SCHEMA: Component = Component {
    name: "search",
    within: |database| matches!(database, Database::Shard(_)),
    migrations: &[Migration {
        number: 1,
        name: "accounts that are searched, segments of their index",
        sql: "
            CREATE TABLE search_account (
                account {int} NOT NULL PRIMARY KEY,
                tenant {int} NOT NULL,
                version {int} NOT NULL,
                next_segment {int} NOT NULL
            ) {clustered};

            CREATE TABLE search_mailbox (
                account {int} NOT NULL,
                mailbox {int} NOT NULL,
                uid {int} NOT NULL,
                PRIMARY KEY (account, mailbox)
            ) {clustered};

            CREATE TABLE search_segment (
                account {int} NOT NULL,
                segment {int} NOT NULL,
                emails {blob} NOT NULL,
                octets {int} NOT NULL,
                PRIMARY KEY (account, segment)
            );

            CREATE TABLE search_block (
                account {int} NOT NULL,
                segment {int} NOT NULL,
                place {int} NOT NULL,
                gram {int} NOT NULL,
                bytes {blob} NOT NULL,
                PRIMARY KEY (account, segment, place, gram)
            );

            CREATE TABLE search_gone (
                account {int} NOT NULL,
                email {int} NOT NULL,
                at {int} NOT NULL,
                PRIMARY KEY (account, email)
            ) {clustered};
        ",
        postgres: "",
        tables: &[
            ("search_account", By::Account),
            ("search_mailbox", By::Account),
            ("search_segment", By::Account),
            ("search_block", By::Account),
            ("search_gone", By::Account),
        ],
    }],
};

const BEGIN: AccountSql = AccountSql::new(
    "INSERT INTO search_account (account, tenant, version, next_segment)
     SELECT CAST($1 AS BIGINT), CAST($2 AS BIGINT), CAST($3 AS BIGINT), 1 FROM mailbox
     WHERE account = $1 AND mailbox = 0
     ON CONFLICT (account) DO NOTHING",
);
const ACCOUNT: AccountSql = AccountSql::new(
    "SELECT a.version FROM search_account a JOIN mailbox m ON m.account = $1 AND m.mailbox = 0
     WHERE a.account = $1",
);
const NEXT_SEGMENT: AccountSql = AccountSql::new(
    "UPDATE search_account SET next_segment = next_segment + 1 WHERE account = $1 RETURNING next_segment - 1",
);
const SEGMENTS: AccountSql = AccountSql::new(
    "SELECT s.segment FROM search_segment s
     JOIN search_account a ON a.account = $1 AND a.version = $2 WHERE s.account = $1 ORDER BY s.segment LIMIT 900",
);
const EMAILS: AccountSql =
    AccountSql::new("SELECT emails FROM search_segment WHERE account = $1 AND segment = $2");
const BLOCK: AccountSql = AccountSql::new(
    "SELECT place, gram, bytes FROM search_block
     WHERE account = $1 AND segment = $2 AND place = $3 AND gram <= $4 ORDER BY gram DESC LIMIT 1",
);
const BLOCKS_BETWEEN: AccountSql = AccountSql::new(
    "SELECT place, gram, bytes FROM search_block
     WHERE account = $1 AND segment = $2 AND place = $3 AND gram > $4 AND gram <= $5 ORDER BY gram LIMIT $6",
);
const ALL_BLOCKS: AccountSql = AccountSql::new(
    "SELECT place, gram, bytes FROM search_block WHERE account = $1 AND segment = $2 ORDER BY place, gram",
);
const CONTENTS: AccountSql = AccountSql::new(
    "SELECT segment, emails, octets FROM search_segment WHERE account = $1 ORDER BY segment LIMIT 900",
);
const INSERT_SEGMENT: AccountSql =
    AccountSql::new("INSERT INTO search_segment (account, segment, emails, octets) VALUES ($1, $2, $3, $4)");
const INSERT_BLOCK: AccountSql = AccountSql::new(
    "INSERT INTO search_block (account, segment, place, gram, bytes) VALUES ($1, $2, $3, $4, $5)",
);
const REMOVE_SEGMENT: AccountSql =
    AccountSql::new("DELETE FROM search_segment WHERE account = $1 AND segment = $2");
const REMOVE_BLOCKS: AccountSql =
    AccountSql::new("DELETE FROM search_block WHERE account = $1 AND segment = $2");
const LATE_MAILBOX: AccountSql = AccountSql::new(
    "SELECT m.mailbox, COALESCE(s.uid, 0), m.uidnext FROM mailbox m
     LEFT JOIN search_mailbox s ON s.account = $1 AND s.mailbox = m.mailbox
     WHERE m.account = $1 AND m.mailbox > 0 AND m.parent <> -2 AND m.uidnext > COALESCE(s.uid, 0) + 1
     ORDER BY m.mailbox LIMIT 1",
);
const NEXT_ENTRIES: AccountSql = AccountSql::new(
    "SELECT uid, email FROM entry WHERE account = $1 AND mailbox = $2 AND uid > $3 ORDER BY uid LIMIT $4",
);
const ADVANCE: AccountSql = AccountSql::new(
    "INSERT INTO search_mailbox (account, mailbox, uid) VALUES ($1, $2, $4)
     ON CONFLICT (account, mailbox) DO UPDATE SET uid = $4 WHERE search_mailbox.uid = $3",
);
const FORGET: AccountSql = AccountSql::new(
    "INSERT INTO search_gone (account, email, at)
     SELECT CAST($1 AS BIGINT), CAST($2 AS BIGINT), CAST($3 AS BIGINT) FROM search_account WHERE account = $1
     ON CONFLICT (account, email) DO NOTHING",
);
const GONE: AccountSql =
    AccountSql::new("SELECT email FROM search_gone WHERE account = $1 ORDER BY email LIMIT 900");
const FORGOTTEN: AccountSql = AccountSql::new("DELETE FROM search_gone WHERE account = $1 AND email = $2");
const FORGET_MAILBOX: AccountSql =
    AccountSql::new("DELETE FROM search_mailbox WHERE account = $1 AND mailbox = $2");
const END: AccountSql = AccountSql::new("DELETE FROM search_account WHERE account = $1");
const END_MAILBOXES: AccountSql = AccountSql::new(
    "DELETE FROM search_mailbox WHERE account = $1
        AND mailbox IN (SELECT mailbox FROM search_mailbox WHERE account = $1 ORDER BY mailbox LIMIT 900)",
);
const END_GONE: AccountSql = AccountSql::new(
    "DELETE FROM search_gone WHERE account = $1
        AND email IN (SELECT email FROM search_gone WHERE account = $1 ORDER BY email LIMIT 900)",
);
const ANY_SEGMENT: AccountSql =
    AccountSql::new("SELECT segment FROM search_segment WHERE account = $1 ORDER BY segment LIMIT 1");
const INDEXED_ACCOUNTS: Sql =
    Sql::new("SELECT tenant, account FROM search_account WHERE account > $1 ORDER BY account LIMIT 500");
const OLD_GONE: Sql = Sql::new("SELECT 1 FROM search_gone WHERE account = $1 AND at < $2 LIMIT 1");

/// What is asked of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// At one of these places there are grams in all of these ranges.
    Has(Vec<Place>, Vec<(Gram, Gram)>),
    /// All of these hold.
    All(Vec<Query>),
    /// One of these holds.
    Any(Vec<Query>),
}

impl Query {
    /// The emails that have this text, which is folded, at one of the places; `None` if it is
    /// too short to be asked for.
    pub fn text(places: Vec<Place>, folded: &str) -> Option<Self> {
        let ranges = wanted(folded);
        (!ranges.is_empty()).then_some(Self::Has(places, ranges))
    }

    /// Is it small enough to be asked?
    pub fn is_bounded(&self) -> bool {
        self.lookups() <= MOST_LOOKUPS
    }

    fn lookups(&self) -> usize {
        match self {
            Self::Has(places, ranges) => {
                let blocks =
                    |(first, last): &(Gram, Gram)| if first == last { 1 } else { usize::from(MOST_BLOCKS) };
                places.len() * ranges.iter().map(blocks).sum::<usize>()
            }
            Self::All(queries) | Self::Any(queries) => {
                queries.iter().fold(0, |sum, query| sum.saturating_add(query.lookups()))
            }
        }
    }
}

/// The segments of an account's index, oldest first.
///
/// # Errors
/// [`StoreError`].
pub fn segments(tx: &mut AccountTx<'_>) -> Result<Vec<i64>, StoreError> {
    tx.rows(SEGMENTS, &[VERSION.into()], |row| row.get(0))
}

/// The emails of a segment, and whether each may be what is asked for. None if the segment is
/// gone meanwhile, or damaged: then its emails must be read.
///
/// # Errors
/// [`StoreError`].
pub fn ask(tx: &mut AccountTx<'_>, segment: i64, query: &Query) -> Result<Vec<(EmailId, bool)>, StoreError> {
    let Some(emails) = emails_of(tx, segment)? else { return Ok(Vec::new()) };
    match answer(tx, segment, emails.len(), query) {
        Ok(who) => {
            Ok(emails.into_iter().enumerate().map(|(number, email)| (email, who.has(number))).collect())
        }
        Err(Unanswered::Damaged) => {
            tracing::warn!(account = %tx.account(), segment, "a search segment is damaged: its emails are read");
            Ok(Vec::new())
        }
        Err(Unanswered::Store(error)) => Err(error),
    }
}

enum Unanswered {
    Damaged,
    Store(StoreError),
}

impl From<StoreError> for Unanswered {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Damaged> for Unanswered {
    fn from(_: Damaged) -> Self {
        Self::Damaged
    }
}

fn answer(tx: &mut AccountTx<'_>, segment: i64, emails: usize, query: &Query) -> Result<Who, Unanswered> {
    let mut answer = Who::none(emails);
    match query {
        Query::Has(places, ranges) => {
            for &place in places {
                answer.add(&have_all(tx, segment, emails, place, ranges)?);
            }
        }
        Query::Any(queries) => {
            for query in queries {
                answer.add(&self::answer(tx, segment, emails, query)?);
            }
        }
        Query::All(queries) => {
            for (number, query) in queries.iter().enumerate() {
                let found = self::answer(tx, segment, emails, query)?;
                if number == 0 {
                    answer = found;
                } else {
                    answer.keep(&found);
                }
                if answer.is_empty() {
                    break;
                }
            }
        }
    }
    Ok(answer)
}

/// Those that have, at this place, a gram in each range.
fn have_all(
    tx: &mut AccountTx<'_>,
    segment: i64,
    emails: usize,
    place: Place,
    ranges: &[(Gram, Gram)],
) -> Result<Who, Unanswered> {
    let mut all = None;
    for &(first, last) in ranges {
        let found = have_one(tx, segment, emails, place, (first.as_i64(), last.as_i64()))?;
        let all = all.get_or_insert_with(|| found.clone());
        all.keep(&found);
        if all.is_empty() {
            break;
        }
    }
    Ok(all.unwrap_or_else(|| Who::none(emails)))
}

fn have_one(
    tx: &mut AccountTx<'_>,
    segment: i64,
    emails: usize,
    place: Place,
    (first, last): (i64, i64),
) -> Result<Who, Unanswered> {
    let mut who = Who::none(emails);
    let place = place.number();
    let mut blocks: Vec<Block> =
        tx.row(BLOCK, &[segment.into(), place.into(), first.into()], block)?.into_iter().collect();
    if first != last {
        let params = [segment.into(), place.into(), first.into(), last.into(), MOST_BLOCKS.into()];
        let more = tx.rows(BLOCKS_BETWEEN, &params, block)?;
        if more.len() >= usize::from(MOST_BLOCKS) {
            return Ok(Who::all(emails));
        }
        blocks.extend(more);
    }
    for block in &blocks {
        segment::find(block, (first, last), &mut who)?;
    }
    Ok(who)
}

fn block(row: Row<'_>) -> Result<Block, StoreError> {
    Ok(Block { place: row.get(0)?, gram: row.get(1)?, bytes: row.get(2)? })
}

fn emails_of(tx: &mut AccountTx<'_>, segment: i64) -> Result<Option<Vec<EmailId>>, StoreError> {
    let emails = tx.row(EMAILS, &[segment.into()], |row| row.get::<Vec<u8>>(0))?;
    Ok(emails.and_then(|emails| segment::decode_emails(&emails).ok()))
}

/// The version of the account's index, which is begun if there is none: one of another
/// [`VERSION`] must be removed first. `None`: the account is not here.
fn begin(tx: &mut AccountTx<'_>) -> Result<Option<u16>, StoreError> {
    let tenant = tx.tenant();
    tx.execute(BEGIN, &[tenant.into(), VERSION.into()])?;
    tx.row(ACCOUNT, &[], |row| row.get(0))
}

/// Some entries of a mailbox that are to be indexed.
struct Todo {
    mailbox: MailboxId,
    /// Up to which UID it is indexed.
    after: u32,
    /// Up to which it is when these are done.
    upto: u32,
    /// UIDs and emails, some of which may be indexed already.
    entries: Vec<(u32, EmailId)>,
}

/// What is to be indexed next, at most [`STEP`] entries of one mailbox.
fn todo(tx: &mut AccountTx<'_>) -> Result<Option<Todo>, StoreError> {
    let late = tx.row(LATE_MAILBOX, &[], |row| {
        Ok((MailboxId::from_i64(row.get(0)?), row.get::<u32>(1)?, row.get::<u32>(2)?))
    })?;
    let Some((mailbox, after, uidnext)) = late else { return Ok(None) };
    let params = [mailbox.into(), after.into(), STEP.into()];
    let entries = tx.rows(NEXT_ENTRIES, &params, |row| Ok((row.get::<u32>(0)?, row.get(1)?)))?;
    let last = entries.last().map_or(after, |(uid, _)| *uid);
    // UIDs below UIDNEXT that are not there never come.
    let upto = if entries.len() < usize::from(STEP) { last.max(uidnext - 1) } else { last };
    Ok(Some(Todo { mailbox, after, upto, entries }))
}

/// Writes what was made of `todo`. False if somebody else did it meanwhile, or the account is
/// going: then nothing is written.
fn done(tx: &mut AccountTx<'_>, todo: &Todo, segment: &Segment) -> Result<bool, StoreError> {
    let Some(number) = tx.row(NEXT_SEGMENT, &[], |row| row.get(0))? else { return Ok(false) };
    if tx.execute(ADVANCE, &[todo.mailbox.into(), todo.after.into(), todo.upto.into()])? == 0 {
        return Ok(false);
    }
    insert(tx, number, segment)?;
    Ok(true)
}

fn insert(tx: &mut AccountTx<'_>, number: i64, segment: &Segment) -> Result<(), StoreError> {
    if segment.emails.is_empty() {
        return Ok(());
    }
    let emails = segment::encode_emails(&segment.emails);
    let octets = signed(segment.size() as u64);
    tx.execute(INSERT_SEGMENT, &[number.into(), (&emails).into(), octets.into()])?;
    for block in &segment.blocks {
        let params = [number.into(), block.place.into(), block.gram.into(), (&block.bytes).into()];
        tx.execute(INSERT_BLOCK, &params)?;
    }
    Ok(())
}

/// A segment without its blocks. A damaged one has no emails.
struct Held {
    segment: i64,
    emails: Vec<EmailId>,
    octets: usize,
}

impl Held {
    /// Can others still be merged with it?
    fn has_room(&self) -> bool {
        self.emails.len() <= MOST_EMAILS / 2 && self.octets <= MOST_OCTETS / 2
    }
}

/// The account's segments.
fn contents(tx: &mut AccountTx<'_>) -> Result<Vec<Held>, StoreError> {
    tx.rows(CONTENTS, &[], |row| {
        let emails = segment::decode_emails(&row.get::<Vec<u8>>(1)?).unwrap_or_default();
        let octets = usize::try_from(row.get::<u64>(2)?).unwrap_or(usize::MAX);
        Ok(Held { segment: row.get(0)?, emails, octets })
    })
}

/// A whole segment; `None` if it is gone or damaged.
fn load(tx: &mut AccountTx<'_>, number: i64) -> Result<Option<Segment>, StoreError> {
    let Some(emails) = emails_of(tx, number)? else { return Ok(None) };
    let blocks = tx.rows(ALL_BLOCKS, &[number.into()], block)?;
    Ok(Some(Segment { emails, blocks }))
}

/// Puts a segment in the place of others. False if one of them is gone meanwhile: then
/// nothing is written.
fn replace(tx: &mut AccountTx<'_>, old: &[i64], new: &Segment) -> Result<bool, StoreError> {
    // The row of the account keeps others out from here on.
    let Some(number) = tx.row(NEXT_SEGMENT, &[], |row| row.get(0))? else { return Ok(false) };
    for &number in old {
        if tx.row(EMAILS, &[number.into()], |_| Ok(()))?.is_none() {
            return Ok(false);
        }
    }
    for &number in old {
        tx.execute(REMOVE_SEGMENT, &[number.into()])?;
        tx.execute(REMOVE_BLOCKS, &[number.into()])?;
    }
    insert(tx, number, new)?;
    Ok(true)
}

/// An email is gone: its terms are to leave the index.
pub(crate) fn forget(tx: &mut AccountTx<'_>, email: EmailId, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(FORGET, &[email.into(), now.into()]).map(drop)
}

/// A mailbox is gone.
pub(crate) fn forget_mailbox(tx: &mut AccountTx<'_>, mailbox: MailboxId) -> Result<(), StoreError> {
    tx.execute(FORGET_MAILBOX, &[mailbox.into()]).map(drop)
}

/// Emails that are to leave the index, at most 900.
fn gone(tx: &mut AccountTx<'_>) -> Result<HashSet<EmailId>, StoreError> {
    Ok(tx.rows(GONE, &[], |row| row.get(0))?.into_iter().collect())
}

/// These emails have left the index.
fn forgotten(tx: &mut AccountTx<'_>, emails: &HashSet<EmailId>) -> Result<(), StoreError> {
    for &email in emails {
        tx.execute(FORGOTTEN, &[email.into()])?;
    }
    Ok(())
}

/// One step of removing an account's index. True when nothing of it is left. Safe to repeat.
pub(crate) fn remove(tx: &mut AccountTx<'_>) -> Result<bool, StoreError> {
    // From here on nothing is added.
    tx.execute(END, &[])?;
    if tx.execute(END_GONE, &[])? > 0 || tx.execute(END_MAILBOXES, &[])? > 0 {
        return Ok(false);
    }
    let Some(number) = tx.row(ANY_SEGMENT, &[], |row| row.get::<i64>(0))? else { return Ok(true) };
    tx.execute(REMOVE_SEGMENT, &[number.into()])?;
    tx.execute(REMOVE_BLOCKS, &[number.into()])?;
    Ok(false)
}

/// Accounts that are indexed, above `after`, in order, at most 500.
fn indexed(
    tx: &mut ServiceTx<'_>,
    after: Option<AccountId>,
) -> Result<Vec<(TenantId, AccountId)>, StoreError> {
    let after = after.map_or(0, AccountId::as_i64);
    tx.rows(INDEXED_ACCOUNTS, &[after.into()], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Has an email been gone from the account since before `before`, and not left the index?
fn is_outdated(tx: &mut ServiceTx<'_>, account: AccountId, before: Timestamp) -> Result<bool, StoreError> {
    Ok(tx.row(OLD_GONE, &[account.into(), before.into()], |_| Ok(()))?.is_some())
}
