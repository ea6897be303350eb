//! Objects in an S3 bucket, against the server that `HIKYAKU_TEST_S3` names
//! (`s3://bucket/prefix`, with endpoint and credentials in the usual `AWS_…` variables).
//! A usual run has none.
#![cfg(feature = "s3")]

use hikyaku_store::{Objects, ObjectsError};
use hikyaku_types::{SystemRandom, Timestamp};

#[tokio::test]
#[ignore = "needs an S3 server"]
async fn objects_come_back_and_go() {
    let url = std::env::var("HIKYAKU_TEST_S3").expect("HIKYAKU_TEST_S3 names a bucket");
    let objects = Objects::s3(&url).unwrap();
    let now = Timestamp::from_secs(1_795_521_600);
    let bytes: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
    let key = objects.put(bytes.clone(), now, &SystemRandom).await.unwrap();
    assert_eq!(objects.get(&key).await.unwrap(), bytes);
    assert!(objects.days().await.unwrap().contains(&"20261124".to_owned()));
    assert!(objects.uploaded_on("20261124").await.unwrap().contains(&key));
    objects.remove(&key).await.unwrap();
    assert!(matches!(objects.get(&key).await, Err(ObjectsError::Missing(_))));
    objects.remove(&key).await.unwrap();
}
