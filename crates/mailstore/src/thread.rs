//! Threads: which emails of an account belong together.
//!
//! A thread is fixed when an email arrives, from its Message-ID and the ids that it refers
//! to, and is never merged with another later: a client that has shown it need not be told
//! to rearrange. Ids of parents that have not arrived yet are registered too, so that a
//! parent that comes after its reply joins it.
//!
//! Known weakness: two branches whose common parent never came stay two threads.

use hikyaku_store::{AccountSql, AccountTx, StoreError};
use hikyaku_types::{EmailId, ThreadId};

/// 63 bits of the BLAKE3 hash of a Message-ID without its angle brackets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageHash(i64);

impl MessageHash {
    /// The hash of a Message-ID: `left@right`, as the sender wrote it.
    pub fn of(message_id: &[u8]) -> Self {
        let hash = blake3::hash(message_id);
        let mut head = [0u8; 8];
        head.copy_from_slice(&hash.as_bytes()[..8]);
        Self(i64::from_le_bytes(head) & i64::MAX)
    }
}

/// What an email says of its place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Threading {
    /// Its own Message-ID.
    pub own: Option<MessageHash>,
    /// References and In-Reply-To, oldest first.
    pub parents: Vec<MessageHash>,
}

/// The newest parents are looked at; a hundred references tell no more.
const MOST_PARENTS: usize = 10;

const JOIN: AccountSql = AccountSql::new(
    "INSERT INTO thread (account, hash, thread) VALUES ($1, $2, $3)
     ON CONFLICT (account, hash) DO UPDATE SET thread = thread.thread RETURNING thread",
);
const REGISTER: AccountSql = AccountSql::new(
    "INSERT INTO thread (account, hash, thread) VALUES ($1, $2, $3) ON CONFLICT (account, hash) DO NOTHING",
);
const FIND: AccountSql = AccountSql::new("SELECT thread FROM thread WHERE account = $1 AND hash = $2");

/// The thread of a new email; registers its ids.
pub(crate) fn join(
    tx: &mut AccountTx<'_>,
    email: EmailId,
    threading: &Threading,
) -> Result<ThreadId, StoreError> {
    let newest = threading.parents.len().saturating_sub(MOST_PARENTS);
    let parents = &threading.parents[newest..];
    let of_parents = find_nearest(tx, parents)?;
    // The email's own id is a thread's name if it begins one.
    let begins = ThreadId::from_i64(email.as_i64()).expect("an email id is positive");
    let mut thread = of_parents.unwrap_or(begins);
    if let Some(own) = threading.own {
        // A reply that came before it may have registered it: then that thread stands.
        let joined = tx.row(JOIN, &[own.0.into(), thread.into()], |row| row.get(0))?;
        thread = joined.unwrap_or(thread);
    }
    for parent in parents {
        tx.execute(REGISTER, &[parent.0.into(), thread.into()])?;
    }
    Ok(thread)
}

fn find_nearest(tx: &mut AccountTx<'_>, parents: &[MessageHash]) -> Result<Option<ThreadId>, StoreError> {
    for parent in parents.iter().rev() {
        if let Some(thread) = tx.row(FIND, &[parent.0.into()], |row| row.get(0))? {
            return Ok(Some(thread));
        }
    }
    Ok(None)
}
