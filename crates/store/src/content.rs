//! Content: the bytes of a message exactly as they were received, stored once for all the
//! emails that are made of it.
//!
//! Up to [`INLINE_UP_TO`] (compressed) they lie in a row, above it in an object. From
//! [`DEDUP_FROM`] up a tenant's equal contents are one: the key is BLAKE3 under a key of the
//! tenant's own, so that no tenant learns from it what another one stores.
//!
//! ```text
//! prepare (outside)      compress, hash; a large one: look for a live twin, else upload it, durable
//! attach  (transaction)  a live twin gets more references, or a new row is made
//! release (transaction)  references go; with the last one the row is dead
//! sweep   (job)          dead for the backup window: object removed, then the row
//! ```
//!
//! Column `state`: 0 live, 1 dead, 2 dead and its object is being removed.
//!
//! Invariants:
//! - a live row's bytes can be read: an object is durable before the commit that names it;
//! - a dead row is never revived: a backup taken meanwhile may still need it, and its object
//!   may be on its way out. Equal content that comes later gets a row of its own;
//! - damage is found, not served (`form`).

mod base64_runs;
mod form;

use std::time::Duration;

use hikyaku_types::{Actor, ContentId, Random, Service, ShardId, TenantId, Timestamp};

use crate::key_ring::platform_secret;
use crate::migrate::{By, Component, Migration};
use crate::objects::{ObjectKey, Objects, ObjectsError};
use crate::scope::{Database, Scope};
use crate::tx::{ServiceTx, TenantTx};
use crate::{Sql, Store, StoreError, TenantSql};

pub use form::{decode, encode};

/// Content from this size on (as received) is shared within its tenant.
pub const DEDUP_FROM: usize = 16 << 10;
/// Stored content up to this size lies in a row.
pub const INLINE_UP_TO: usize = 64 << 10;
/// How long what is dead is kept, so that a restored backup finds its objects.
const BACKUP_WINDOW: Duration = Duration::from_secs(14 * 24 * 3600);
/// An upload older than this without a row has no transaction under way that will name it.
const UPLOAD_WINDOW: Duration = Duration::from_secs(2 * 24 * 3600);
/// Rows that one step of a sweep takes.
const SWEEP_STEP: i64 = 100;

/// The tables of content.
pub const SCHEMA: Component = Component {
    name: "content",
    within: |database| database != Database::Access,
    migrations: &[Migration {
        number: 1,
        name: "content, its bytes, and the platform's secrets",
        sql: "
            CREATE TABLE content (
                id {rowid} PRIMARY KEY,
                tenant {int} NOT NULL,
                state {int} NOT NULL,
                refs {int} NOT NULL,
                size {int} NOT NULL,
                changed_at {int} NOT NULL,
                hash {blob},
                object TEXT
            );
            CREATE UNIQUE INDEX content_by_hash ON content (tenant, hash) WHERE hash IS NOT NULL AND state = 0;
            CREATE INDEX content_by_object ON content (object) WHERE object IS NOT NULL;
            CREATE INDEX content_not_live ON content (changed_at) WHERE state <> 0;
            CREATE TABLE content_bytes (id {rowid} PRIMARY KEY, tenant {int} NOT NULL, bytes {blob} NOT NULL);
            CREATE TABLE secret (name TEXT PRIMARY KEY, value {blob} NOT NULL) {clustered};
        ",
        // Compressed already: the server need not try again.
        postgres: "ALTER TABLE content_bytes ALTER COLUMN bytes SET STORAGE EXTERNAL",
        tables: &[("content", By::Tenant), ("content_bytes", By::Tenant), ("secret", By::Platform)],
    }],
};

const INSERT: TenantSql = TenantSql::new(
    "INSERT INTO content (id, tenant, state, refs, size, changed_at, hash, object)
     VALUES ($2, $1, 0, $3, $4, $5, $6, $7)
     ON CONFLICT (tenant, hash) WHERE hash IS NOT NULL AND state = 0
     DO UPDATE SET refs = content.refs + excluded.refs
     RETURNING id",
);
const INSERT_BYTES: TenantSql =
    TenantSql::new("INSERT INTO content_bytes (tenant, id, bytes) VALUES ($1, $2, $3)");
const SHARE: TenantSql = TenantSql::new(
    "UPDATE content SET refs = refs + $3 WHERE tenant = $1 AND hash = $2 AND state = 0 RETURNING id",
);
const SHARE_BY_ID: TenantSql =
    TenantSql::new("UPDATE content SET refs = refs + $3 WHERE tenant = $1 AND id = $2 AND state = 0");
const TWIN: TenantSql =
    TenantSql::new("SELECT id FROM content WHERE tenant = $1 AND hash = $2 AND state = 0");
const RELEASE: TenantSql = TenantSql::new(
    "UPDATE content SET
        state = CASE WHEN refs = $3 THEN 1 ELSE 0 END,
        changed_at = CASE WHEN refs = $3 THEN $4 ELSE changed_at END,
        refs = refs - $3
     WHERE tenant = $1 AND id = $2 AND state = 0 AND refs >= $3",
);
const PLACEMENT: TenantSql = TenantSql::new(
    "SELECT c.object, b.bytes FROM content c LEFT JOIN content_bytes b ON b.tenant = $1 AND b.id = c.id
     WHERE c.tenant = $1 AND c.id = $2",
);
const NOT_LIVE: Sql = Sql::new(
    "SELECT id, object FROM content WHERE state <> 0 AND changed_at < $1 ORDER BY changed_at LIMIT $2",
);
const MARK_REMOVING: Sql = Sql::new("UPDATE content SET state = 2 WHERE id = $1 AND state = 1");
const REMOVE: Sql = Sql::new("DELETE FROM content WHERE id = $1 AND state = 2");
const REMOVE_BYTES: Sql = Sql::new("DELETE FROM content_bytes WHERE id = $1");
const NAMED: Sql = Sql::new("SELECT 1 FROM content WHERE object = $1");

/// Why content could not be stored or read. All but damage is temporary.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The object store.
    #[error(transparent)]
    Objects(#[from] ObjectsError),
    /// The stored form is not what was written.
    #[error("stored content is damaged: {0}")]
    Damaged(String),
}

/// Content that is ready to be named by a transaction.
#[derive(Debug, Clone)]
pub struct Prepared {
    tenant: TenantId,
    /// Size as received, in bytes.
    size: u64,
    hash: Option<[u8; 32]>,
    body: Body,
}

#[derive(Debug, Clone)]
enum Body {
    Inline(Vec<u8>),
    Object(ObjectKey),
    /// A live twin was there when it was prepared.
    Twin,
}

impl Prepared {
    /// Size as received, in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// About how many bytes a transaction writes for it.
    pub fn weight(&self) -> usize {
        if let Body::Inline(bytes) = &self.body { bytes.len() } else { 0 }
    }
}

/// What [`attach`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attached {
    /// The references now point to this row.
    To(ContentId),
    /// The twin died meanwhile: prepare again.
    TwinGone,
}

/// Where stored bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// In the row, in stored form.
    Inline(Vec<u8>),
    /// In an object, in stored form.
    Object(ObjectKey),
}

/// Stores and reads content.
#[derive(Debug)]
pub struct Content {
    objects: Objects,
    /// Keys the hashes; each tenant's key is derived from it.
    key: [u8; 32],
}

impl Content {
    /// Content over these objects. The hash key is made at the first start and kept in the
    /// control database, so that all nodes agree; so the key ring must be open.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open(store: &Store, objects: Objects, random: &dyn Random) -> Result<Self, StoreError> {
        Ok(Self { objects, key: platform_secret(store, "content", random).await? })
    }

    /// The objects beneath.
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// Does everything that costs time or needs the disk, so that [`attach`] costs little.
    /// A large content is durable when this returns.
    ///
    /// `share` false uploads even when a twin is there: the answer to [`Attached::TwinGone`].
    ///
    /// # Errors
    /// [`ContentError`], temporary.
    #[expect(clippy::too_many_arguments, reason = "everything that a transaction must not ask for itself")]
    pub async fn prepare(
        &self,
        store: &Store,
        shard: ShardId,
        tenant: TenantId,
        bytes: &[u8],
        share: bool,
        now: Timestamp,
        random: &dyn Random,
    ) -> Result<Prepared, ContentError> {
        let size = bytes.len() as u64;
        let hash = (bytes.len() >= DEDUP_FROM).then(|| self.hash(tenant, bytes));
        let ready = |body| Ok(Prepared { tenant, size, hash, body });
        // What cannot fit into a row even when halved is worth a look before it is compressed.
        if let Some(hash) = hash
            && share
            && bytes.len() > INLINE_UP_TO
            && has_twin(store, shard, tenant, hash).await?
        {
            return ready(Body::Twin);
        }
        let stored = encode(bytes);
        if stored.len() <= INLINE_UP_TO {
            return ready(Body::Inline(stored));
        }
        ready(Body::Object(self.objects.put(stored, now, random).await?))
    }

    fn hash(&self, tenant: TenantId, bytes: &[u8]) -> [u8; 32] {
        let mut material = [0u8; 40];
        material[..32].copy_from_slice(&self.key);
        material[32..].copy_from_slice(&tenant.as_i64().to_le_bytes());
        let key = blake3::derive_key("hikyaku 2026 content deduplication, one key a tenant", &material);
        *blake3::keyed_hash(&key, bytes).as_bytes()
    }

    /// The bytes of a placement, as they were received.
    ///
    /// # Errors
    /// [`ContentError::Damaged`] if they are not what was written.
    pub async fn read(&self, placement: Placement) -> Result<Vec<u8>, ContentError> {
        match placement {
            Placement::Inline(stored) => decode(&stored),
            // It is large, so others have this thread meanwhile.
            Placement::Object(key) => {
                let stored = self.objects.get(&key).await?;
                let decoded = tokio::task::spawn_blocking(move || decode(&stored)).await;
                let failed = |cause| ObjectsError::Failed { key: key.to_string(), cause };
                decoded.map_err(|error| failed(error.to_string()))?
            }
        }
    }

    /// One step of removing what has been dead for the backup window. Returns how many rows
    /// went; zero means that nothing is left to do. Safe to repeat and to break off anywhere.
    ///
    /// # Errors
    /// [`ContentError`], temporary.
    pub async fn sweep(&self, store: &Store, shard: ShardId, now: Timestamp) -> Result<usize, ContentError> {
        let scope =
            || Scope::service(&Actor::Service(Service::Jobs), shard, None).expect("jobs are a service");
        let before = now.before(BACKUP_WINDOW);
        // Marked first: from here on the object may be gone, and the row says so.
        let dead = store.write(scope(), "content.mark", move |tx| mark_removing(tx, before)).await?;
        for (_, object) in &dead {
            if let Some(object) = object {
                self.objects.remove(object).await?;
            }
        }
        let ids: Vec<ContentId> = dead.iter().map(|(id, _)| *id).collect();
        let count = ids.len();
        store.write(scope(), "content.remove", move |tx| remove(tx, &ids)).await?;
        Ok(count)
    }

    /// Removes the uploads of old days that no row of any shard names: what a crash between
    /// upload and commit left. Returns how many went.
    ///
    /// # Errors
    /// [`ContentError`], temporary.
    pub async fn sweep_uploads(&self, store: &Store, now: Timestamp) -> Result<usize, ContentError> {
        let newest = Objects::day_of(now.before(UPLOAD_WINDOW));
        let mut gone = 0;
        for day in self.objects.days().await?.into_iter().filter(|day| *day < newest) {
            for key in self.objects.uploaded_on(&day).await? {
                if !is_named(store, &key).await? {
                    self.objects.remove(&key).await?;
                    gone += 1;
                }
            }
        }
        Ok(gone)
    }
}

/// Is the object named by a row, in any shard?
async fn is_named(store: &Store, key: &ObjectKey) -> Result<bool, StoreError> {
    for shard in store.shards() {
        let scope = Scope::service(&Actor::Service(Service::Jobs), shard, None).expect("jobs are a service");
        let key = key.clone();
        let named = store.read(scope, "content.named", move |tx| tx.row(NAMED, &[(&key).into()], |_| Ok(())));
        if named.await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn has_twin(
    store: &Store,
    shard: ShardId,
    tenant: TenantId,
    hash: [u8; 32],
) -> Result<bool, StoreError> {
    let actor = Actor::Service(Service::Delivery);
    let scope = Scope::tenant_mail(&actor, tenant, shard).expect("delivery is a service");
    let twin = store.read(scope, "content.twin", move |tx| {
        tx.row(TWIN, &[(&hash).into()], |row| row.get::<ContentId>(0))
    });
    Ok(twin.await?.is_some())
}

/// Names prepared content in a transaction, with `refs` references to it. `id` is used if a
/// new row is made.
///
/// # Errors
/// [`StoreError`].
pub fn attach(
    tx: &mut TenantTx<'_>,
    id: ContentId,
    prepared: &Prepared,
    refs: u32,
    now: Timestamp,
) -> Result<Attached, StoreError> {
    debug_assert_eq!(tx.tenant(), prepared.tenant, "content is prepared for one tenant");
    let hash = prepared.hash.as_ref();
    let object = match &prepared.body {
        Body::Twin => {
            let shared = tx.row(SHARE, &[hash.into(), refs.into()], |row| row.get(0))?;
            return Ok(shared.map_or(Attached::TwinGone, Attached::To));
        }
        Body::Object(key) => Some(key),
        Body::Inline(_) => None,
    };
    let size = i64::try_from(prepared.size).unwrap_or(i64::MAX);
    let params = [id.into(), refs.into(), size.into(), now.into(), hash.into(), object.into()];
    let row: ContentId = tx
        .row(INSERT, &params, |row| row.get(0))?
        .ok_or_else(|| StoreError::Failed { label: "content.attach", cause: "no row came back".into() })?;
    if let Body::Inline(bytes) = &prepared.body
        && row == id
    {
        tx.execute(INSERT_BYTES, &[id.into(), bytes.into()])?;
    }
    Ok(Attached::To(row))
}

/// Adds references to a row that the transaction's account refers to already (COPY). False
/// if it is not live.
///
/// # Errors
/// [`StoreError`].
pub fn share(tx: &mut TenantTx<'_>, id: ContentId, refs: u32) -> Result<bool, StoreError> {
    Ok(tx.execute(SHARE_BY_ID, &[id.into(), refs.into()])? == 1)
}

/// Takes references away; with the last one the content is dead.
///
/// # Errors
/// [`StoreError`], also if there were fewer references than that: a sign of damage.
pub fn release(tx: &mut TenantTx<'_>, id: ContentId, refs: u32, now: Timestamp) -> Result<(), StoreError> {
    if tx.execute(RELEASE, &[id.into(), refs.into(), now.into()])? == 1 {
        return Ok(());
    }
    Err(StoreError::Failed {
        label: "content.release",
        cause: format!("{id} has fewer than {refs} references"),
    })
}

/// Where the bytes of a content are; `None` if this tenant has no such content.
///
/// # Errors
/// [`StoreError`].
pub fn placement(tx: &mut TenantTx<'_>, id: ContentId) -> Result<Option<Placement>, StoreError> {
    tx.row(PLACEMENT, &[id.into()], |row| {
        let (object, bytes): (Option<ObjectKey>, Option<Vec<u8>>) = (row.get(0)?, row.get(1)?);
        match (object, bytes) {
            (Some(key), _) => Ok(Placement::Object(key)),
            (None, Some(bytes)) => Ok(Placement::Inline(bytes)),
            (None, None) => {
                Err(StoreError::Failed { label: "content.placement", cause: format!("{id} has no bytes") })
            }
        }
    })
}

fn mark_removing(
    tx: &mut ServiceTx<'_>,
    before: Timestamp,
) -> Result<Vec<(ContentId, Option<ObjectKey>)>, StoreError> {
    let dead = tx.rows(NOT_LIVE, &[before.into(), SWEEP_STEP.into()], |row| {
        Ok((row.get::<ContentId>(0)?, row.get(1)?))
    })?;
    for (id, _) in &dead {
        tx.execute(MARK_REMOVING, &[(*id).into()])?;
    }
    Ok(dead)
}

fn remove(tx: &mut ServiceTx<'_>, ids: &[ContentId]) -> Result<(), StoreError> {
    for id in ids {
        tx.execute(REMOVE_BYTES, &[(*id).into()])?;
        tx.execute(REMOVE, &[(*id).into()])?;
    }
    Ok(())
}
