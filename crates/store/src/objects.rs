//! Content that is too large for a database row: objects in a folder or an S3 bucket.
//!
//! Invariants:
//! - when [`Objects::put`] returns, the object survives a power cut: in a folder its bytes,
//!   its name and every new folder above it were flushed;
//! - a key is used once: it holds random bits, so no object is ever replaced;
//! - a key begins with the day of its upload (UTC), so that uploads that no row names can be
//!   found day by day.

use std::fmt;
use std::sync::Arc;

use hikyaku_types::{Random, Timestamp};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use crate::folder::{DayFolders, make_durable};
use crate::value::{Column, Param, Value};

/// `20261124/ab/` and 30 more hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(String);

impl ObjectKey {
    fn new(now: Timestamp, random: &dyn Random) -> Self {
        let mut bits = [0u8; 16];
        random.fill(&mut bits);
        let hex: String = bits.iter().map(|byte| format!("{byte:02x}")).collect();
        Self(format!("{}/{}/{}", day(now), &hex[..2], &hex[2..]))
    }

    /// Day and two digits, its folder.
    fn folder(&self) -> Option<(&str, &str)> {
        let (day, rest) = self.0.split_once('/')?;
        Some((day, rest.split_once('/')?.0))
    }

    /// The key as it stands in a row.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn day(time: Timestamp) -> String {
    time.to_zoned().strftime("%Y%m%d").to_string()
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Column for ObjectKey {
    fn read(value: Value<'_>) -> Option<Self> {
        String::read(value).map(Self)
    }
}

impl<'a> From<&'a ObjectKey> for Param<'a> {
    fn from(key: &'a ObjectKey) -> Self {
        Self::Text(&key.0)
    }
}

/// Why an object could not be written, read or removed.
#[derive(Debug, thiserror::Error)]
pub enum ObjectsError {
    /// It is not there.
    #[error("object {0} is missing")]
    Missing(ObjectKey),
    /// The folder or bucket failed.
    #[error("object {key}: {cause}")]
    Failed {
        /// The object, or the day that was listed.
        key: String,
        /// What the library said.
        cause: String,
    },
    /// The place cannot be used at all.
    #[error("cannot keep objects in {place}: {cause}")]
    Place {
        /// The folder or bucket.
        place: String,
        /// What is wrong with it.
        cause: String,
    },
}

/// The place where objects are kept.
#[derive(Debug, Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    /// Folders of keys; a bucket has none.
    folders: Option<DayFolders>,
}

impl Objects {
    /// Objects in a folder, which is made if it is not there.
    ///
    /// # Errors
    /// [`ObjectsError::Place`].
    pub fn folder(folder: &std::path::Path) -> Result<Self, ObjectsError> {
        let place = |cause: String| ObjectsError::Place { place: folder.display().to_string(), cause };
        make_durable(folder).map_err(|error| place(error.to_string()))?;
        let local = object_store::local::LocalFileSystem::new_with_prefix(folder)
            .map_err(|error| place(error.to_string()))?
            .with_fsync(true);
        Ok(Self { store: Arc::new(local), folders: Some(DayFolders::new(folder)) })
    }

    /// Objects in an S3 bucket (`s3://bucket/prefix`); credentials and endpoint come from the
    /// usual `AWS_…` environment.
    ///
    /// # Errors
    /// [`ObjectsError::Place`].
    #[cfg(feature = "s3")]
    pub fn s3(url: &str) -> Result<Self, ObjectsError> {
        let bucket = object_store::aws::AmazonS3Builder::from_env().with_url(url).build();
        let bucket =
            bucket.map_err(|error| ObjectsError::Place { place: url.into(), cause: error.to_string() })?;
        let prefix =
            url.strip_prefix("s3://").and_then(|rest| rest.split_once('/')).map_or("", |(_, prefix)| prefix);
        Ok(Self { store: Arc::new(object_store::prefix::PrefixStore::new(bucket, prefix)), folders: None })
    }

    /// Writes an object under a new key; it is durable when this returns.
    ///
    /// # Errors
    /// [`ObjectsError::Failed`].
    pub async fn put(
        &self,
        bytes: Vec<u8>,
        now: Timestamp,
        random: &dyn Random,
    ) -> Result<ObjectKey, ObjectsError> {
        let key = ObjectKey::new(now, random);
        self.make_folder(&key).await?;
        let put = self.store.put(&Path::from(key.as_str()), PutPayload::from(bytes)).await;
        put.map_err(|error| failed(key.as_str(), &error))?;
        Ok(key)
    }

    /// Makes the key's folder. The library would make it too, but does not flush one that
    /// another thread, or a process that died, has made a moment before.
    async fn make_folder(&self, key: &ObjectKey) -> Result<(), ObjectsError> {
        let Some(folders) = self.folders.clone() else { return Ok(()) };
        let failed = |cause: String| ObjectsError::Failed { key: key.0.clone(), cause };
        let (day, part) = key.folder().ok_or_else(|| failed("a key without a folder".into()))?;
        let (day, part) = (day.to_owned(), part.to_owned());
        let made = tokio::task::spawn_blocking(move || folders.make_durable(&day, &part)).await;
        made.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))
    }

    /// Reads an object.
    ///
    /// # Errors
    /// [`ObjectsError::Missing`] if it is gone, [`ObjectsError::Failed`] otherwise.
    pub async fn get(&self, key: &ObjectKey) -> Result<Vec<u8>, ObjectsError> {
        let get = async { self.store.get(&Path::from(key.as_str())).await?.bytes().await };
        match get.await {
            Ok(bytes) => Ok(bytes.into()),
            Err(object_store::Error::NotFound { .. }) => Err(ObjectsError::Missing(key.clone())),
            Err(error) => Err(failed(key.as_str(), &error)),
        }
    }

    /// Removes an object; it is no error if it is gone already.
    ///
    /// # Errors
    /// [`ObjectsError::Failed`].
    pub async fn remove(&self, key: &ObjectKey) -> Result<(), ObjectsError> {
        match self.store.delete(&Path::from(key.as_str())).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(key.as_str(), &error)),
        }
    }

    /// Days that have objects, as `YYYYMMDD`, in order.
    ///
    /// # Errors
    /// [`ObjectsError::Failed`].
    pub async fn days(&self) -> Result<Vec<String>, ObjectsError> {
        let listed = self.store.list_with_delimiter(None).await.map_err(|error| failed("days", &error))?;
        let mut days: Vec<String> = listed
            .common_prefixes
            .iter()
            .filter_map(|path| path.filename().map(str::to_owned))
            .filter(|name| name.len() == 8 && name.bytes().all(|byte| byte.is_ascii_digit()))
            .collect();
        days.sort_unstable();
        Ok(days)
    }

    /// The day of `time`, as [`Objects::days`] names it.
    pub fn day_of(time: Timestamp) -> String {
        day(time)
    }

    /// All objects uploaded on a day.
    ///
    /// # Errors
    /// [`ObjectsError::Failed`].
    pub async fn uploaded_on(&self, day: &str) -> Result<Vec<ObjectKey>, ObjectsError> {
        let mut keys = Vec::new();
        let folders = self.store.list_with_delimiter(Some(&Path::from(day))).await;
        for folder in folders.map_err(|error| failed(day, &error))?.common_prefixes {
            let listed = self.store.list_with_delimiter(Some(&folder)).await;
            let listed = listed.map_err(|error| failed(day, &error))?;
            keys.extend(listed.objects.into_iter().map(|object| ObjectKey(object.location.to_string())));
        }
        Ok(keys)
    }
}

fn failed(key: &str, error: &object_store::Error) -> ObjectsError {
    ObjectsError::Failed { key: key.into(), cause: error.to_string() }
}
