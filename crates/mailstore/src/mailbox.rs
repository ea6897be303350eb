//! Mailboxes: a tree under the account's root.
//!
//! Standards: RFC 9051 sections 6.3.4 to 6.3.8 (CREATE, DELETE, RENAME, SUBSCRIBE), RFC 6154
//! (special use).
//! Invariants:
//! - a mailbox has a parent id, so RENAME is one row, and its children come along;
//! - INBOX is mailbox 1, top level, and is neither renamed nor deleted here;
//! - a deleted mailbox is hidden at once and emptied in steps ([`purge`]); its UIDVALIDITY
//!   is never given again in the account.

use hikyaku_store::{AccountSql, AccountTx, Param, Row, ServiceTx, Sql, StoreError};
use hikyaku_types::{AccountId, TenantId, Timestamp};

use crate::{entry, pack, search, snapshot, subscription};

/// A mailbox of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxId(i64);

impl MailboxId {
    /// The account's root: parent of the top level, no mailbox itself.
    pub const ROOT: Self = Self(0);
    /// INBOX.
    pub const INBOX: Self = Self(1);
    /// Parent of what is deleted and not yet emptied.
    pub(crate) const HIDDEN: Self = Self(-2);

    /// The mailbox with this number.
    pub const fn from_i64(number: i64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn as_i64(self) -> i64 {
        self.0
    }
}

impl From<MailboxId> for Param<'_> {
    fn from(id: MailboxId) -> Self {
        Self::Int(id.0)
    }
}

/// What a mailbox is for (RFC 6154; JMAP's `role`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the roles")]
pub enum Role {
    None,
    Inbox,
    Drafts,
    Sent,
    Archive,
    Junk,
    Trash,
}

const ROLES: [Role; 7] =
    [Role::None, Role::Inbox, Role::Drafts, Role::Sent, Role::Archive, Role::Junk, Role::Trash];

impl Role {
    fn number(self) -> i64 {
        self as i64
    }

    fn from_number(number: i64) -> Self {
        ROLES.into_iter().find(|role| role.number() == number).unwrap_or(Self::None)
    }
}

/// A mailbox row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// Its id.
    pub id: MailboxId,
    /// Its parent; [`MailboxId::ROOT`] at the top level.
    pub parent: MailboxId,
    /// One level of its path.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// UIDVALIDITY, 32 bits, not zero.
    pub uidvalidity: u32,
    /// The UID that the next message gets.
    pub uidnext: u32,
    /// Highest modseq of its entries and tombstones.
    pub modseq: i64,
    /// How many messages.
    pub messages: u32,
    /// How many without `\Seen`.
    pub unseen: u32,
    /// Their sizes together.
    pub bytes: u64,
    /// Expunges up to this modseq are no longer known one by one.
    pub tombstones_from: i64,
    /// In the list of LSUB.
    pub subscribed: bool,
}

/// The levels of a mailbox's name, from the top: `["Projects", "2026"]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxPath(Vec<String>);

impl MailboxPath {
    /// Most levels, and most octets of one.
    pub const MOST_LEVELS: usize = 50;
    /// Most octets of one level.
    pub const MOST_OCTETS: usize = 255;

    /// These levels, the first of which is `INBOX` in any case for INBOX.
    ///
    /// # Errors
    /// [`MailboxError::Name`] if one is empty, too long, or has control characters.
    pub fn new(levels: impl IntoIterator<Item = impl Into<String>>) -> Result<Self, MailboxError> {
        let levels: Vec<String> = levels.into_iter().map(Into::into).collect();
        let fine = |level: &String| {
            !level.is_empty() && level.len() <= Self::MOST_OCTETS && !level.chars().any(char::is_control)
        };
        if levels.is_empty() || levels.len() > Self::MOST_LEVELS || !levels.iter().all(fine) {
            return Err(MailboxError::Name);
        }
        Ok(Self(levels))
    }

    /// The levels.
    pub fn levels(&self) -> &[String] {
        &self.0
    }
}

/// Why a mailbox cannot be made, renamed, or deleted.
#[derive(Debug, thiserror::Error)]
pub enum MailboxError {
    /// There is none.
    #[error("no such mailbox")]
    NotFound,
    /// There is one already.
    #[error("a mailbox of this name exists")]
    Exists,
    /// It has children.
    #[error("the mailbox has mailboxes below it")]
    HasChildren,
    /// INBOX, or into its own child.
    #[error("this mailbox cannot be changed like that")]
    Cannot,
    /// Not a name.
    #[error("not a mailbox name")]
    Name,
    /// The account has as many as it may.
    #[error("too many mailboxes")]
    TooMany,
    /// The account is not in this shard.
    #[error("no such account")]
    NoAccount,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Most mailboxes of one account.
const MOST_MAILBOXES: i64 = 10_000;

const GET: AccountSql = AccountSql::new(
    "SELECT mailbox, parent, name, role, uidvalidity, uidnext, modseq, messages, unseen, bytes, tombstones_from,
        subscribed
     FROM mailbox WHERE account = $1 AND mailbox = $2",
);
const LIST: AccountSql = AccountSql::new(
    "SELECT mailbox, parent, name, role, uidvalidity, uidnext, modseq, messages, unseen, bytes, tombstones_from,
        subscribed
     FROM mailbox WHERE account = $1 AND mailbox > $2 AND parent <> -2 ORDER BY mailbox LIMIT $3",
);
const CHILD: AccountSql =
    AccountSql::new("SELECT mailbox FROM mailbox WHERE account = $1 AND parent = $2 AND name = $3");
const HAS_CHILDREN: AccountSql =
    AccountSql::new("SELECT 1 FROM mailbox WHERE account = $1 AND parent = $2 LIMIT 1");
const COUNT: AccountSql = AccountSql::new("SELECT count(*) FROM mailbox WHERE account = $1");
const NEXT: AccountSql = AccountSql::new(
    "UPDATE mailbox SET uidnext = uidnext + 1, uidvalidity = uidvalidity + 1, modseq = modseq + 1
     WHERE account = $1 AND mailbox = 0 RETURNING uidnext - 1, uidvalidity, modseq",
);
const INSERT: AccountSql = AccountSql::new(
    "INSERT INTO mailbox (account, mailbox, parent, name, role, uidvalidity, uidnext, modseq, messages, unseen,
        bytes, tombstones_from, subscribed)
     VALUES ($1, $2, $3, $4, $5, $6, 1, $7, 0, 0, 0, $7, $8)",
);
const PLACE: AccountSql = AccountSql::new(
    "UPDATE mailbox SET parent = $3, name = $4, modseq = $5 WHERE account = $1 AND mailbox = $2",
);
const OF_ROLE: AccountSql = AccountSql::new(
    "SELECT mailbox FROM mailbox WHERE account = $1 AND mailbox > 0 AND parent <> -2 AND role = $2
     ORDER BY mailbox LIMIT 1",
);
const TOP_LEVEL: AccountSql = AccountSql::new(
    "SELECT mailbox, role, name FROM mailbox WHERE account = $1 AND parent = 0 AND mailbox > 0
     ORDER BY mailbox LIMIT 900",
);
const PARENT: AccountSql = AccountSql::new("SELECT parent FROM mailbox WHERE account = $1 AND mailbox = $2");
const SUBSCRIBE: AccountSql = AccountSql::new(
    "UPDATE mailbox SET subscribed = $3 WHERE account = $1 AND mailbox = $2 AND mailbox > 0 AND parent <> -2",
);
const LOCK: AccountSql =
    AccountSql::new("UPDATE mailbox SET modseq = modseq WHERE account = $1 AND mailbox = 0");
const SEQUENCE: AccountSql = AccountSql::new(
    "UPDATE mailbox SET modseq = modseq + 1 WHERE account = $1 AND mailbox = 0 RETURNING modseq",
);
const REMOVE: AccountSql = AccountSql::new("DELETE FROM mailbox WHERE account = $1 AND mailbox = $2");
const FORGET_TOMBSTONES: AccountSql = AccountSql::new(
    "DELETE FROM tombstone WHERE account = $1 AND mailbox = $2 AND (modseq, uid) IN
        (SELECT modseq, uid FROM tombstone WHERE account = $1 AND mailbox = $2 LIMIT 500)",
);

// The tenant is found through the mail; an empty mailbox changes no tenant's counts.
const HIDDEN: Sql = Sql::new(
    "SELECT b.account, b.mailbox, COALESCE(
        (SELECT c.tenant FROM entry e JOIN email m ON m.id = e.email JOIN content c ON c.id = m.content
         WHERE e.account = b.account AND e.mailbox = b.mailbox LIMIT 1), 1)
     FROM mailbox b WHERE b.parent = -2 LIMIT 500",
);

pub(crate) fn read(row: Row<'_>) -> Result<Mailbox, StoreError> {
    Ok(Mailbox {
        id: MailboxId(row.get(0)?),
        parent: MailboxId(row.get(1)?),
        name: row.get(2)?,
        role: Role::from_number(row.get(3)?),
        uidvalidity: row.get(4)?,
        uidnext: row.get(5)?,
        modseq: row.get(6)?,
        messages: row.get(7)?,
        unseen: row.get(8)?,
        bytes: row.get(9)?,
        tombstones_from: row.get(10)?,
        subscribed: row.get(11)?,
    })
}

/// Takes the account's next modseq. On PostgreSQL this locks the account, so it comes first.
pub(crate) fn next_modseq(tx: &mut AccountTx<'_>) -> Result<Option<i64>, StoreError> {
    tx.row(SEQUENCE, &[], |row| row.get(0))
}

/// Locks the account on PostgreSQL for work that changes nothing that anybody is told of.
/// False if it is not there.
pub(crate) fn lock(tx: &mut AccountTx<'_>) -> Result<bool, StoreError> {
    Ok(tx.execute(LOCK, &[])? > 0)
}

/// The mailbox with this id, unless it is deleted.
///
/// # Errors
/// [`StoreError`].
pub fn mailbox(tx: &mut AccountTx<'_>, id: MailboxId) -> Result<Option<Mailbox>, StoreError> {
    let found = tx.row(GET, &[id.into()], read)?;
    Ok(found.filter(|mailbox| mailbox.parent != MailboxId::HIDDEN && mailbox.id != MailboxId::ROOT))
}

/// The mailbox at this path: a look-up for each level, however many mailboxes there are.
///
/// # Errors
/// [`StoreError`].
pub fn find(tx: &mut AccountTx<'_>, path: &MailboxPath) -> Result<Option<Mailbox>, StoreError> {
    let mut at = MailboxId::ROOT;
    for level in path.levels() {
        match child(tx, at, level)? {
            Some(id) => at = id,
            None => return Ok(None),
        }
    }
    mailbox(tx, at)
}

/// Mailboxes with ids above `after` (begin with [`MailboxId::ROOT`]), in the order of their
/// ids: at most `limit`, so that long lists are read in steps.
///
/// # Errors
/// [`StoreError`].
pub fn list(tx: &mut AccountTx<'_>, after: MailboxId, limit: u16) -> Result<Vec<Mailbox>, StoreError> {
    tx.rows(LIST, &[after.into(), limit.into()], read)
}

fn child(tx: &mut AccountTx<'_>, parent: MailboxId, name: &str) -> Result<Option<MailboxId>, StoreError> {
    // INBOX is compared without regard to case (RFC 9051 section 5.1).
    if parent == MailboxId::ROOT && name.eq_ignore_ascii_case("INBOX") {
        return Ok(Some(MailboxId::INBOX));
    }
    tx.row(CHILD, &[parent.into(), name.into()], |row| Ok(MailboxId(row.get(0)?)))
}

/// Makes a mailbox and those above it that are missing. Returns its row.
///
/// # Errors
/// [`MailboxError::Exists`] among others.
pub fn create(tx: &mut AccountTx<'_>, path: &MailboxPath, role: Role) -> Result<Mailbox, MailboxError> {
    next_modseq(tx)?.ok_or(MailboxError::NoAccount)?;
    let (parent, last) = free_place(tx, path)?;
    let id = insert(tx, parent, last, role, false)?;
    if subscription::mailbox_comes(tx, path)? {
        subscribe(tx, id, true)?;
    }
    mailbox(tx, id)?.ok_or(MailboxError::NotFound)
}

/// The mailbox of this path. It and those above it are made, and subscribed, if they are
/// missing. The caller has the account's lock.
pub(crate) fn find_or_create(tx: &mut AccountTx<'_>, path: &MailboxPath) -> Result<MailboxId, MailboxError> {
    let mut at = MailboxId::ROOT;
    for level in &path.0 {
        at = match child(tx, at, level)? {
            Some(id) => id,
            None => insert(tx, at, level, Role::None, true)?,
        };
    }
    Ok(at)
}

/// Has the account a mailbox with this role?
///
/// # Errors
/// [`StoreError`].
pub fn has_role(tx: &mut AccountTx<'_>, role: Role) -> Result<bool, StoreError> {
    of_role(tx, role).map(|found| found.is_some())
}

fn of_role(tx: &mut AccountTx<'_>, role: Role) -> Result<Option<MailboxId>, StoreError> {
    tx.row(OF_ROLE, &[role.number().into()], |row| Ok(MailboxId(row.get(0)?)))
}

/// Where junk goes: the mailbox for it, else one called Junk, which is made if it is missing.
/// To be called before the transaction takes a modseq.
pub(crate) fn junk(tx: &mut AccountTx<'_>) -> Result<MailboxId, MailboxError> {
    if let Some(id) = of_role(tx, Role::Junk)? {
        return Ok(id);
    }
    match child(tx, MailboxId::ROOT, "Junk")? {
        Some(id) => Ok(id),
        None => insert(tx, MailboxId::ROOT, "Junk", Role::Junk, true),
    }
}

/// Names that programs give to mailboxes of a role, without always saying so.
const OF_A_ROLE: [&str; 9] = [
    "drafts",
    "sent",
    "sent items",
    "sent messages",
    "junk",
    "spam",
    "trash",
    "deleted items",
    "deleted messages",
];

/// The mailbox at the top level that a sender may choose by naming it, in any case of letters
/// (its own before others): what a stranger sends does not look as if its owner had written,
/// sent or removed it.
///
/// # Errors
/// [`StoreError`].
pub fn named_by_sender(tx: &mut AccountTx<'_>, name: &str) -> Result<Option<MailboxId>, StoreError> {
    let folded = name.to_lowercase();
    if OF_A_ROLE.contains(&folded.as_str()) {
        return Ok(None);
    }
    let all = tx.rows(TOP_LEVEL, &[], |row| {
        Ok((MailboxId(row.get(0)?), Role::from_number(row.get(1)?), row.get::<String>(2)?))
    })?;
    let may_be = |role| matches!(role, Role::None | Role::Inbox | Role::Archive);
    let alike = all.into_iter().filter(|(_, role, own)| may_be(*role) && own.to_lowercase() == folded);
    Ok(alike.min_by_key(|(id, _, own)| (own != name, *id)).map(|(id, ..)| id))
}

/// Where a mailbox of this path would be: its parent, made if it is missing, and its name.
fn free_place<'p>(
    tx: &mut AccountTx<'_>,
    path: &'p MailboxPath,
) -> Result<(MailboxId, &'p String), MailboxError> {
    let (last, above) = path.0.split_last().ok_or(MailboxError::Name)?;
    let mut parent = MailboxId::ROOT;
    for level in above {
        parent = match child(tx, parent, level)? {
            Some(id) => id,
            None => insert(tx, parent, level, Role::None, false)?,
        };
    }
    if child(tx, parent, last)?.is_some() {
        return Err(MailboxError::Exists);
    }
    Ok((parent, last))
}

/// Inserts a row under the account's lock.
pub(crate) fn insert(
    tx: &mut AccountTx<'_>,
    parent: MailboxId,
    name: &str,
    role: Role,
    subscribed: bool,
) -> Result<MailboxId, MailboxError> {
    if tx.row(COUNT, &[], |row| row.get::<i64>(0))?.unwrap_or(0) > MOST_MAILBOXES {
        return Err(MailboxError::TooMany);
    }
    let next =
        tx.row(NEXT, &[], |row| Ok((MailboxId(row.get(0)?), row.get::<i64>(1)?, row.get::<i64>(2)?)))?;
    let (id, uidvalidity, modseq) = next.ok_or(MailboxError::NoAccount)?;
    let params = [
        id.into(),
        parent.into(),
        name.into(),
        role.number().into(),
        uidvalidity.into(),
        modseq.into(),
        subscribed.into(),
    ];
    tx.execute(INSERT, &params)?;
    tx.announce(modseq);
    Ok(id)
}

/// Gives a mailbox another place; mailboxes below it come along, as do subscriptions; missing ones
/// above are made.
///
/// # Errors
/// [`MailboxError::Exists`], [`MailboxError::Cannot`] (INBOX, or into itself) among others.
pub fn rename(tx: &mut AccountTx<'_>, id: MailboxId, to: &MailboxPath) -> Result<(), MailboxError> {
    if id == MailboxId::INBOX {
        return Err(MailboxError::Cannot);
    }
    let modseq = next_modseq(tx)?.ok_or(MailboxError::NoAccount)?;
    let before = mailbox(tx, id)?.ok_or(MailboxError::NotFound)?;
    let from = path_of(tx, &before)?;
    let (parent, last) = free_place(tx, to)?;
    if is_below(tx, parent, id)? {
        return Err(MailboxError::Cannot);
    }
    tx.execute(PLACE, &[id.into(), parent.into(), last.into(), modseq.into()])?;
    let was_subscribed = from.map_or(Ok(false), |from| subscription::mailbox_comes(tx, &from))?;
    if subscription::mailbox_comes(tx, to)? || was_subscribed {
        subscribe(tx, id, true)?;
    }
    tx.announce(modseq);
    Ok(())
}

/// The full name of a mailbox. `None` if it is no path, which only damage can bring.
fn path_of(tx: &mut AccountTx<'_>, of: &Mailbox) -> Result<Option<MailboxPath>, StoreError> {
    let (mut levels, mut parent) = (vec![of.name.clone()], of.parent);
    while parent != MailboxId::ROOT && levels.len() <= MailboxPath::MOST_LEVELS {
        let Some(above) = mailbox(tx, parent)? else { return Ok(None) };
        levels.push(above.name);
        parent = above.parent;
    }
    levels.reverse();
    Ok(MailboxPath::new(levels).ok())
}

/// Is `id` `ancestor`, or somewhere below it?
fn is_below(tx: &mut AccountTx<'_>, id: MailboxId, ancestor: MailboxId) -> Result<bool, StoreError> {
    let mut at = id;
    for _ in 0..=MailboxPath::MOST_LEVELS {
        if at == ancestor {
            return Ok(true);
        }
        if at == MailboxId::ROOT {
            return Ok(false);
        }
        at = tx.row(PARENT, &[at.into()], |row| Ok(MailboxId(row.get(0)?)))?.unwrap_or(MailboxId::ROOT);
    }
    Ok(true)
}

/// Subscribes a mailbox or unsubscribes it; its name may be subscribed besides (see
/// [`subscription`]). False if there is no such mailbox.
///
/// # Errors
/// [`StoreError`].
pub fn subscribe(tx: &mut AccountTx<'_>, id: MailboxId, yes: bool) -> Result<bool, StoreError> {
    Ok(tx.execute(SUBSCRIBE, &[id.into(), yes.into()])? == 1)
}

/// Hides a mailbox; its name stays subscribed. What is in it goes by [`purge`], in steps.
///
/// # Errors
/// [`MailboxError::Cannot`] for INBOX, [`MailboxError::HasChildren`] among others.
pub fn delete(tx: &mut AccountTx<'_>, id: MailboxId) -> Result<(), MailboxError> {
    if id == MailboxId::INBOX {
        return Err(MailboxError::Cannot);
    }
    let modseq = next_modseq(tx)?.ok_or(MailboxError::NoAccount)?;
    let before = mailbox(tx, id)?.ok_or(MailboxError::NotFound)?;
    if tx.row(HAS_CHILDREN, &[id.into()], |_| Ok(()))?.is_some() {
        return Err(MailboxError::HasChildren);
    }
    if before.subscribed
        && let Some(path) = path_of(tx, &before)?
    {
        subscription::mailbox_goes(tx, &path)?;
    }
    let name = id.0.to_string();
    tx.execute(PLACE, &[id.into(), MailboxId::HIDDEN.into(), (&name).into(), modseq.into()])?;
    tx.announce(modseq);
    Ok(())
}

/// One step of emptying a deleted mailbox. True when nothing of it is left. Safe to repeat.
///
/// # Errors
/// [`StoreError`].
pub fn purge(tx: &mut AccountTx<'_>, id: MailboxId, now: Timestamp) -> Result<bool, StoreError> {
    let hidden = tx.row(GET, &[id.into()], read)?.is_some_and(|mailbox| mailbox.parent == MailboxId::HIDDEN);
    if hidden { empty(tx, id, now) } else { Ok(true) }
}

/// One step of removing a mailbox and what is in it. True when nothing of it is left.
pub(crate) fn empty(tx: &mut AccountTx<'_>, id: MailboxId, now: Timestamp) -> Result<bool, StoreError> {
    let uids: Vec<u32> = entry::uids(tx, id, entry::STEP)?;
    if !uids.is_empty() {
        entry::expunge(tx, id, &uids, now)?;
        return Ok(false);
    }
    // Nobody will ask for tombstones of a mailbox that is gone.
    if tx.execute(FORGET_TOMBSTONES, &[id.into()])? > 0 {
        return Ok(false);
    }
    if !pack::forget(tx, id)? || !snapshot::forget(tx, id)? {
        return Ok(false);
    }
    search::forget_mailbox(tx, id)?;
    tx.execute(REMOVE, &[id.into()])?;
    Ok(true)
}

/// Deleted mailboxes of a shard that are still to be emptied, at most 500.
///
/// # Errors
/// [`StoreError`].
pub fn hidden(tx: &mut ServiceTx<'_>) -> Result<Vec<(TenantId, AccountId, MailboxId)>, StoreError> {
    tx.rows(HIDDEN, &[], |row| Ok((row.get(2)?, row.get(0)?, MailboxId(row.get(1)?))))
}
