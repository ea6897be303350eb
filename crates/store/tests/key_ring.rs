//! The secrets of the platform: sealed, sealed anew, and refused without their key.

use hikyaku_store::{KeyRingError, Scope, Sql, StoreError, platform_secret};
use hikyaku_testkit::{DELIVERY, TestStore, both_engines};
use hikyaku_types::{Actor, Service};

both_engines! {
    a_secret_is_sealed_and_the_same_after_a_restart
    what_was_in_clear_is_sealed_at_the_next_start
    another_key_is_taken_into_use
    without_its_key_nothing_starts
}

/// Every secret as it is stored.
fn stored(mail: &TestStore) -> Vec<(String, Vec<u8>)> {
    const ALL: Sql = Sql::new("SELECT name, value FROM secret ORDER BY name");
    let scope = Scope::control(&Actor::Service(Service::Maintenance)).unwrap();
    let read = mail.store.read(scope, "test.secrets", |tx| {
        tx.rows(ALL, &[], |row| Ok::<_, StoreError>((row.get(0)?, row.get(1)?)))
    });
    mail.block_on(read).unwrap()
}

fn put_clear(mail: &TestStore, name: &'static str) {
    const PUT: Sql = Sql::new("INSERT INTO secret (name, value) VALUES ($1, $2)");
    let scope = Scope::control(&DELIVERY).unwrap();
    let write =
        mail.store.write(scope, "test.clear", move |tx| tx.execute(PUT, &[name.into(), (&[5u8; 32]).into()]));
    mail.block_on(write).unwrap();
}

fn secret(mail: &TestStore, name: &'static str) -> [u8; 32] {
    mail.block_on(platform_secret(&mail.store, name, &mail.random)).unwrap()
}

fn a_secret_is_sealed_and_the_same_after_a_restart(mut mail: TestStore) {
    let made = secret(&mail, "some");
    assert_eq!(secret(&mail, "some"), made);
    assert_ne!(secret(&mail, "another"), made);
    mail.reopen();
    assert_eq!(secret(&mail, "some"), made);
    let names: Vec<String> = stored(&mail).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["another", "content", "some"]);
    for (_, value) in stored(&mail) {
        assert_eq!(value.len(), 65);
        assert!(!value.windows(8).any(|eight| made.windows(8).any(|of_made| of_made == eight)));
    }
}

fn what_was_in_clear_is_sealed_at_the_next_start(mut mail: TestStore) {
    put_clear(&mail, "old");
    assert!(stored(&mail).iter().any(|(_, value)| *value == [5; 32]));
    mail.reopen();
    assert_eq!(secret(&mail, "old"), [5; 32]);
    assert!(stored(&mail).iter().all(|(_, value)| value.len() == 65));
}

fn another_key_is_taken_into_use(mut mail: TestStore) {
    let made = secret(&mail, "some");
    let path = mail.key_ring();
    let before = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{before}0badcafe {}\n", "5a".repeat(32))).unwrap();
    mail.reopen();
    assert_eq!(secret(&mail, "some"), made);
    assert!(stored(&mail).iter().all(|(_, value)| value[1..5] == [0x0b, 0xad, 0xca, 0xfe]));
    // The old one has done its service.
    std::fs::write(&path, format!("0badcafe {}\n", "5a".repeat(32))).unwrap();
    mail.reopen();
    assert_eq!(secret(&mail, "some"), made);
}

fn without_its_key_nothing_starts(mail: TestStore) {
    let path = mail.key_ring();
    let elsewhere = path.with_extension("away");
    std::fs::rename(&path, &elsewhere).unwrap();
    let open = || mail.block_on(mail.store.open_key_ring(&path, &mail.random)).unwrap_err();
    let error = open();
    assert!(matches!(error, KeyRingError::Lacks { .. }));
    let text = error.to_string();
    assert!(text.contains("lacks the key ") && text.contains("put the file back from its copy"), "{text}");
    assert!(!path.exists(), "a lost ring is not replaced");
    std::fs::write(&path, format!("00000001 {}\n", "11".repeat(32))).unwrap();
    let refused = open();
    assert!(matches!(refused, KeyRingError::Exposed { .. } | KeyRingError::Lacks { .. }), "{refused}");
    std::fs::rename(&elsewhere, &path).unwrap();
    mail.block_on(mail.store.open_key_ring(&path, &mail.random)).unwrap();
}
