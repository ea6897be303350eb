//! The numbers of processes on one database: part of every rising id, so no two may have the same.
//!
//! ```text
//! claim_server(7)    the number of the settings, or a refusal while another process has it
//! claim_command()    any that is free of those that servers never have
//! keep               says each second that it is in use, until it is let go
//! ```
//!
//! Invariants:
//! - a number belongs to one life (a random number of a process) at a time: the index
//!   `node_number` sees to it;
//! - whether its holder lives is seen from whether it goes on saying so, not from clocks, which
//!   differ between machines. So who was killed waits for [`QUIET`] when it comes back, and who
//!   left in order does not;
//! - who has lost its number is told so ([`Number::lost`]) and must end.
//!
//! Known weakness: a process that was cut off from the database for longer than [`QUIET`] while
//! another one took its number hears of it up to a second after it can write again. Two ids of
//! that second may be equal; the database refuses the later one, which is a temporary error.

use std::sync::Arc;
use std::time::Duration;

use hikyaku_store::{Scope, ServiceTx, Sql, Store, StoreError};
use hikyaku_types::{Clock, NodeId, Random, Timestamp};
use tokio::time::sleep;

use crate::PLATFORM;
use crate::sessions::End;

/// Numbers from this one on are those of command lines.
pub const FIRST_COMMAND: u16 = 896;
/// So often a holder says that it lives.
const BEAT: Duration = Duration::from_secs(1);
/// So often is looked whether it does.
const LOOK: Duration = Duration::from_millis(500);
/// Who says nothing for so long does not live.
const QUIET: Duration = Duration::from_secs(5);
/// Looks until then.
const LOOKS: u32 = (QUIET.as_millis() / LOOK.as_millis()) as u32;
/// No clocks differ by so much: what is older need not be waited for.
const LONG_GONE: Duration = Duration::from_secs(600);

const HOLDER: Sql = Sql::new("SELECT life, seen FROM node WHERE number = $1");
const TAKE: Sql =
    Sql::new("INSERT INTO node (life, seen, number) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING");
const TAKE_OVER: Sql =
    Sql::new("UPDATE node SET life = $1, seen = $2 WHERE number = $3 AND life = $4 AND seen = $5");
const BEAT_SQL: Sql = Sql::new("UPDATE node SET seen = $2 WHERE life = $1");
const LET_GO: Sql = Sql::new("DELETE FROM node WHERE life = $1");

/// Why a number cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum NumberError {
    /// Another process has it.
    #[error(
        "another server with the number {0} works on this database: give each server a number of its \
         own, the setting `node`"
    )]
    Taken(u16),
    /// So many command lines are open.
    #[error("too many command lines have this database open: try again when some have ended")]
    TooManyCommands,
    /// The access database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A number that this process has. One that was not claimed is nobody else's by other means: a
/// locked data folder.
#[derive(Debug, Clone)]
pub struct Number {
    node: NodeId,
    life: i64,
    lost: End,
}

/// Who has a number, and when it last said so.
type Holder = (i64, Timestamp);

impl Number {
    /// A number that need not be claimed, as nobody else can have the database.
    pub fn alone(node: NodeId, random: &dyn Random) -> Self {
        Self { node, life: life(random), lost: End::default() }
    }

    /// Claims the number of a server. It waits if its holder may have been killed.
    ///
    /// # Errors
    /// [`NumberError`].
    pub async fn claim_server(
        store: &Store,
        clock: &dyn Clock,
        random: &dyn Random,
        node: NodeId,
    ) -> Result<Self, NumberError> {
        let number = Self::alone(node, random);
        let (mut first, mut looks) = (None, 0);
        loop {
            let now = clock.now();
            let Some(holder) = number.take(store, now).await? else { return Ok(number) };
            let known = *first.get_or_insert(holder);
            if known != holder {
                return Err(NumberError::Taken(node.number()));
            }
            if looks == 0 {
                tracing::info!(node = node.number(), "a server had this number: waiting whether it lives");
            }
            looks += 1;
            let is_dead = looks > LOOKS || now.since(holder.1) > LONG_GONE;
            if is_dead && number.take_over(store, now, holder).await? {
                return Ok(number);
            }
            sleep(LOOK).await;
        }
    }

    /// Claims a number for a process that is no server.
    ///
    /// # Errors
    /// [`NumberError`].
    pub async fn claim_command(
        store: &Store,
        clock: &dyn Clock,
        random: &dyn Random,
    ) -> Result<Self, NumberError> {
        for node in (FIRST_COMMAND..NodeId::COUNT).filter_map(NodeId::new) {
            let (number, now) = (Self::alone(node, random), clock.now());
            let holder = number.take(store, now).await?;
            let is_ours = match holder {
                None => true,
                Some(holder) if now.since(holder.1) > LONG_GONE => {
                    number.take_over(store, now, holder).await?
                }
                Some(_) => false,
            };
            if is_ours {
                return Ok(number);
            }
        }
        Err(NumberError::TooManyCommands)
    }

    /// The number.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// What this process is called among those that have had the number.
    pub(crate) fn life(&self) -> i64 {
        self.life
    }

    /// Ready once another process has taken the number.
    pub async fn lost(&self) {
        self.lost.come().await;
    }

    /// Says that the number is in use, until this is dropped or the number is lost.
    pub async fn keep(&self, store: Arc<Store>, clock: Arc<dyn Clock>) {
        loop {
            sleep(BEAT).await;
            let (life, node, now) = (self.life, self.node, clock.now());
            // What cannot be written is tried again: the database says so elsewhere.
            let kept = write(&store, "sign-in.keep_number", move |tx| beat(tx, life, Some(node), now)).await;
            if let Ok(false) = kept {
                tracing::error!(
                    node = self.node.number(),
                    "another process has taken the number of this one"
                );
                self.lost.tell();
                return;
            }
        }
    }

    /// Leaves the number to others.
    ///
    /// # Errors
    /// [`StoreError`]: it is free when nobody has said for a while that it is in use.
    pub async fn let_go(&self, store: &Store) -> Result<(), StoreError> {
        let life = self.life;
        write(store, "sign-in.let_number_go", move |tx| tx.execute(LET_GO, &[life.into()]).map(drop)).await
    }

    /// Takes the number if it is free; else who has it.
    async fn take(&self, store: &Store, now: Timestamp) -> Result<Option<Holder>, StoreError> {
        let (life, number) = (self.life, u32::from(self.node.number()));
        write(store, "sign-in.take_number", move |tx| {
            let read = |tx: &mut ServiceTx<'_>| {
                tx.row(HOLDER, &[number.into()], |row| Ok((row.get::<i64>(0)?, row.get::<Timestamp>(1)?)))
            };
            if let Some(holder) = read(tx)? {
                return Ok(Some(holder));
            }
            match tx.execute(TAKE, &[life.into(), now.into(), number.into()])? {
                1 => Ok(None),
                // Somebody was faster.
                _ => read(tx),
            }
        })
        .await
    }

    /// Takes it from a holder that does not live. False if that one has said something after all.
    async fn take_over(
        &self,
        store: &Store,
        now: Timestamp,
        (life, seen): Holder,
    ) -> Result<bool, StoreError> {
        let (own, number) = (self.life, u32::from(self.node.number()));
        write(store, "sign-in.take_number_over", move |tx| {
            let values = [own.into(), now.into(), number.into(), life.into(), seen.into()];
            Ok(tx.execute(TAKE_OVER, &values)? == 1)
        })
        .await
    }
}

/// Says that a process lives. False if another one has its number.
pub(crate) fn beat(
    tx: &mut ServiceTx<'_>,
    life: i64,
    node: Option<NodeId>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    if tx.execute(BEAT_SQL, &[life.into(), now.into()])? > 0 {
        return Ok(true);
    }
    let number = node.map(|node| u32::from(node.number()));
    Ok(tx.execute(TAKE, &[life.into(), now.into(), number.into()])? > 0)
}

/// A random number that tells a process from others.
pub(crate) fn life(random: &dyn Random) -> i64 {
    let mut octets = [0; 8];
    random.fill(&mut octets);
    i64::from_le_bytes(octets)
}

async fn write<T, F>(store: &Store, label: &'static str, closure: F) -> Result<T, StoreError>
where
    T: Send + 'static,
    F: Fn(&mut ServiceTx<'_>) -> Result<T, StoreError> + Send + 'static,
{
    let scope = Scope::access(&PLATFORM).map_err(|_| StoreError::Closed)?;
    store.write(scope, label, closure).await
}
