//! Disks that are full, read-only or broken; damaged rows, contents and objects; clocks that
//! are set back.
//!
//! Faults of the disk happen in a child: this program runs the test again with
//! `HIKYAKU_FAULTS` set, in a mount namespace of its own with a small file system, or under
//! `strace`, which makes chosen system calls fail.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use hikyaku_mailstore::{DeliverError, Entry, MailboxId, Outcome, Prelude, check, email, entry};
use hikyaku_store::{AccountHome, ContentError, Location, ObjectsError, Options, Placement, Sql, StoreError};
use hikyaku_testkit::{Rng, SHARD, TestStore, both_engines, scratch_dir};
use hikyaku_types::{Clock, EmailId, NodeId, RisingIds, Timestamp};
use tempfile::TempDir;

both_engines! {
    a_damaged_prelude_is_an_error_of_its_message
    a_damaged_content_is_an_error_of_its_message
    a_missing_object_is_an_error_of_its_message
    a_clock_that_is_set_back
}

/// Names the folder to the child.
const CHILD: &str = "HIKYAKU_FAULTS";
const SIGABRT: i32 = 6;

fn home() -> AccountHome {
    TestStore::home(1, 10)
}

/// The folder, if this is the child.
fn in_child() -> Option<PathBuf> {
    std::env::var_os(CHILD).map(PathBuf::from)
}

/// Runs the test of this name again behind `wrapper`, which ends with the program to run.
fn child(test: &str, folder: &Path, wrapper: &[&str]) -> ExitStatus {
    let program = std::env::current_exe().expect("a test knows its program");
    let mut command = Command::new(wrapper[0]);
    command.args(&wrapper[1..]).arg(program).args(["--exact", test, "--nocapture"]);
    command.env(CHILD, folder).env("HIKYAKU_TEST_SCRATCH", folder);
    command.status().unwrap_or_else(|error| panic!("{} is needed for this test: {error}", wrapper[0]))
}

/// The store of a child, on SQLite in `folder`. The parent opens it too, afterwards.
fn store_in(folder: &Path) -> TestStore {
    let data = folder.join("data");
    std::fs::create_dir_all(&data).unwrap();
    TestStore::migrated(Location::Folder(data), scratch_dir(), None, Options::default())
}

/// A folder for a child whose first failing call shall be one of a delivery.
fn migrated_folder() -> TempDir {
    let folder = scratch_dir();
    drop(store_in(folder.path()));
    folder
}

/// A mail that begins with its number and does not compress.
fn noise(number: u64, size: usize) -> Vec<u8> {
    let mut content = format!("{number:08}\r\n").into_bytes();
    let head = content.len();
    content.resize(size, 0);
    Rng::new(number).fill(&mut content[head..]);
    content
}

/// Delivers a mail; false if that failed for the time being.
fn is_delivered(mail: &TestStore, number: u64, size: usize) -> bool {
    match mail.carry_out(mail.delivery(&noise(number, size), &[home()])) {
        Ok(outcomes) => {
            assert!(matches!(outcomes[..], [Outcome::Delivered(_)]), "{outcomes:?}");
            true
        }
        Err(DeliverError::Store(StoreError::Failed { .. })) => false,
        Err(other) => panic!("this is not temporary: {other}"),
    }
}

fn inbox(mail: &TestStore) -> Vec<Entry> {
    let mut all: Vec<Entry> = Vec::new();
    loop {
        let after = all.last().map_or(0, |entry| entry.uid);
        let step = mail.read_as(home(), move |tx| entry::entries(tx, MailboxId::INBOX, after, 200)).unwrap();
        if step.is_empty() {
            return all;
        }
        all.extend(step);
    }
}

/// The content of a message as it was received.
fn read(mail: &TestStore, id: EmailId) -> Result<Vec<u8>, ContentError> {
    let mut found = mail.read_as(home(), move |tx| email::emails(tx, &[id]))?;
    mail.block_on(mail.content.read(found.remove(0).placement))
}

/// Numbers of the mails in the INBOX, with how often each is there; all are read in full.
fn numbers(mail: &TestStore) -> BTreeMap<u64, usize> {
    let mut numbers = BTreeMap::new();
    for entry in inbox(mail) {
        let content = read(mail, entry.email).unwrap();
        let number = std::str::from_utf8(&content[..8]).unwrap().parse().unwrap();
        assert!(content == noise(number, content.len()), "mail {number} is as it was sent");
        *numbers.entry(number).or_default() += 1;
    }
    numbers
}

fn each_once(numbers: impl IntoIterator<Item = u64>) -> BTreeMap<u64, usize> {
    numbers.into_iter().map(|number| (number, 1)).collect()
}

fn no_problems(mail: &TestStore) {
    assert_eq!(mail.problems(), Vec::<String>::new());
    no_problems_in_files(mail);
}

fn no_problems_in_files(mail: &TestStore) {
    assert_eq!(mail.store.engine_problems().unwrap(), Vec::<String>::new());
}

#[test]
fn a_full_disk_is_survived_without_a_restart() {
    if let Some(folder) = in_child() {
        return fill_the_disk(&folder);
    }
    let folder = scratch_dir();
    let path = folder.path().to_str().unwrap();
    let mount = format!("mount -t tmpfs -o size=64m tmpfs {path} && exec \"$0\" \"$@\"");
    let namespace: &[&str] = if is_root() { &["--mount"] } else { &["--user", "--map-root-user", "--mount"] };
    let wrapper = [&["unshare"], namespace, &["sh", "-c", &mount]].concat();
    let status = child("a_full_disk_is_survived_without_a_restart", folder.path(), &wrapper);
    assert!(status.success(), "the child ended with {status}");
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// More than the 16 MB after which the log is copied into the database, so that this fails too.
fn fill_the_disk(folder: &Path) {
    const SIZE: usize = 30_000;
    let ballast = [(folder.join("ballast"), 5 << 20), (folder.join("more ballast"), 24 << 20)];
    for (file, size) in &ballast {
        std::fs::write(file, vec![0; *size]).unwrap();
    }
    let mut mail = store_in(folder);
    let mut acknowledged: Vec<u64> =
        (0..5_000).take_while(|number| is_delivered(&mail, *number, SIZE)).collect();
    assert!((300..5_000).contains(&acknowledged.len()), "{} went onto the disk", acknowledged.len());
    // The peers try again and again, with small mails too.
    acknowledged.extend((10_000..10_050).filter(|number| is_delivered(&mail, *number, SIZE)));
    acknowledged.extend((20_000..20_050).filter(|number| is_delivered(&mail, *number, 200)));
    no_large_content(&mail);
    assert_eq!(numbers(&mail), each_once(acknowledged.iter().copied()), "what is there can be read");
    assert_eq!(mail.problems(), Vec::<String>::new());

    std::fs::remove_file(&ballast[0].0).unwrap();
    for number in 30_000..30_020 {
        assert!(is_delivered(&mail, number, SIZE), "there is room again");
        acknowledged.push(number);
    }
    assert!(is_delivered(&mail, 40_000, 300_000), "also for an object");
    acknowledged.push(40_000);
    assert_eq!(numbers(&mail), each_once(acknowledged.iter().copied()));
    no_problems(&mail);
    // Closing copies the log into the database, for which there must be room to open it again.
    std::fs::remove_file(&ballast[1].0).unwrap();
    mail.reopen();
    assert_eq!(numbers(&mail), each_once(acknowledged));
    no_problems(&mail);
}

/// A content that needs an object is refused for now, and leaves nothing of its upload.
fn no_large_content(mail: &TestStore) {
    for number in 0..5 {
        let (now, bytes) = (mail.clock.now(), noise(number, 300_000));
        let prepared =
            mail.content.prepare(&mail.store, SHARD, home().tenant, &bytes, true, now, &mail.random);
        let refused = mail.block_on(prepared);
        assert!(matches!(refused, Err(ContentError::Objects(ObjectsError::Failed { .. }))), "{refused:?}");
    }
    let left = files_below(&mail.folder().join("objects"));
    assert_eq!(left, Vec::<PathBuf>::new());
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            files.extend(files_below(&entry.path()));
        } else {
            files.push(entry.path());
        }
    }
    files
}

/// Runs a test's child under `strace`, which makes `calls` on one file of the data folder
/// fail. `when` counts the calls of each thread.
fn child_with_failing(
    test: &str,
    folder: &Path,
    file: &str,
    calls: &str,
    error: &str,
    when: &str,
) -> ExitStatus {
    let path = folder.join("data").join(file);
    let (trace, inject) = (format!("trace={calls}"), format!("inject={calls}:error={error}:when={when}"));
    let path = path.to_str().expect("scratch folders have UTF-8 names");
    let wrapper = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", path, "-e", &trace, "-e", &inject];
    child(test, folder, &wrapper)
}

const MAILS: u64 = 200;

#[test]
fn writes_that_fail_for_a_while_are_survived_without_a_restart() {
    if let Some(folder) = in_child() {
        return deliver_through_failing_writes(&folder);
    }
    for error in ["EROFS", "EIO", "ENOSPC"] {
        let folder = scratch_dir();
        let test = "writes_that_fail_for_a_while_are_survived_without_a_restart";
        let status = child_with_failing(test, folder.path(), "shard-0.db-wal", "pwrite64", error, "400..430");
        assert!(status.success(), "{error}: the child ended with {status}");
        // What the disk holds is what the child saw.
        let mail = store_in(folder.path());
        assert_eq!(numbers(&mail), each_once(acknowledged(folder.path())), "{error}");
        no_problems(&mail);
    }
}

fn deliver_through_failing_writes(folder: &Path) {
    let mail = store_in(folder);
    let mut failed = 0;
    let mut delivered = Vec::new();
    for number in 0..MAILS {
        if deliver_and_note(&mail, folder, number) {
            delivered.push(number);
        } else {
            failed += 1;
            assert_eq!(numbers(&mail), each_once(delivered.iter().copied()), "nothing of it is seen");
        }
    }
    assert!(failed > 0 && delivered.contains(&(MAILS - 1)), "{failed} failed, then it went on");
    assert_eq!(numbers(&mail), each_once(delivered));
    no_problems(&mail);
}

/// Delivers, and writes down what was acknowledged, for the parent.
fn deliver_and_note(mail: &TestStore, folder: &Path, number: u64) -> bool {
    let delivered = is_delivered(mail, number, 3_000);
    if delivered {
        note(folder, number);
    }
    delivered
}

fn note(folder: &Path, number: u64) {
    let notes = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("acknowledged"));
    writeln!(notes.unwrap(), "{number}").unwrap();
}

fn acknowledged(folder: &Path) -> Vec<u64> {
    let notes = std::fs::read_to_string(folder.join("acknowledged")).unwrap();
    notes.lines().map(|line| line.parse().unwrap()).collect()
}

#[test]
fn a_flush_that_fails_ends_the_process_and_loses_nothing() {
    if let Some(folder) = in_child() {
        let mail = store_in(&folder);
        for number in 0..MAILS {
            deliver_and_note(&mail, &folder, number);
        }
        return;
    }
    for when in [3, 40, 90] {
        let folder = migrated_folder();
        let test = "a_flush_that_fails_ends_the_process_and_loses_nothing";
        let calls = "fsync,fdatasync";
        let status =
            child_with_failing(test, folder.path(), "shard-0.db-wal", calls, "EIO", &format!("{when}+"));
        assert_eq!(status.signal(), Some(SIGABRT), "the child ended with {status}");
        let acknowledged = acknowledged(folder.path());
        assert!(!acknowledged.is_empty() && acknowledged.len() < MAILS as usize);
        // One more may be there, whose flush failed and which nobody was told of.
        let mail = store_in(folder.path());
        let mut there = numbers(&mail);
        there.remove(&(acknowledged.len() as u64));
        assert_eq!(there, each_once(acknowledged));
        no_problems(&mail);
    }
}

#[test]
fn a_checkpoint_whose_flush_fails_ends_the_process_and_loses_nothing() {
    if let Some(folder) = in_child() {
        return write_until_a_checkpoint(&folder);
    }
    let folder = migrated_folder();
    let test = "a_checkpoint_whose_flush_fails_ends_the_process_and_loses_nothing";
    let status = child_with_failing(test, folder.path(), "shard-0.db", "fsync,fdatasync", "EIO", "1+");
    assert_eq!(status.signal(), Some(SIGABRT), "the child ended with {status}");
    let mail = store_in(folder.path());
    assert_eq!(numbers(&mail), each_once(acknowledged(folder.path())));
    no_problems(&mail);
}

/// 16 MB of pages, each with its head in the log.
const WAKES_AT: u64 = 4096 * (4096 + 24);

/// Writes until the log has the 16 MB that wake the checkpointer, then waits for it: it
/// flushes when it has copied all, which it never has while more is written.
fn write_until_a_checkpoint(folder: &Path) {
    let mail = store_in(folder);
    let log = folder.join("data/shard-0.db-wal");
    let mut number = 0;
    while std::fs::metadata(&log).unwrap().len() < WAKES_AT {
        let delivery = mail.delivery(&noise(number, 30_000), &[home()]);
        mail.carry_out(delivery).unwrap();
        note(folder, number);
        number += 1;
    }
    std::thread::sleep(Duration::from_secs(30));
}

/// Some mails, the ids of their emails in order.
fn delivered(mail: &TestStore, sizes: &[usize]) -> Vec<EmailId> {
    for (number, size) in (0..).zip(sizes) {
        assert!(is_delivered(mail, number, *size));
    }
    inbox(mail).into_iter().map(|entry| entry.email).collect()
}

fn change(mail: &TestStore, sql: &'static str, id: EmailId) {
    let sql = Sql::new(sql);
    let changed = mail.write::<_, StoreError, _>(move |tx| tx.execute(sql, &[id.into()])).unwrap();
    assert_eq!(changed, 1);
}

/// Everything but `damaged` can be read, listed, and added to.
fn others_are_served(mail: &TestStore, ids: &[EmailId], damaged: EmailId) {
    for id in ids.iter().filter(|id| **id != damaged) {
        read(mail, *id).unwrap();
    }
    assert_eq!(inbox(mail).len(), ids.len());
    assert!(is_delivered(mail, 1_000, 3_000));
    let newest = inbox(mail).pop().unwrap();
    read(mail, newest.email).unwrap();
}

fn a_damaged_prelude_is_an_error_of_its_message(mail: TestStore) {
    let ids = delivered(&mail, &[3_000; 5]);
    for damage in [
        "UPDATE email SET prelude = substr(prelude, 2, 20) WHERE id = $1",
        "UPDATE email SET prelude = CAST('' AS {blob}) WHERE id = $1",
    ] {
        let blob = if matches!(mail.location, Location::Folder(_)) { "BLOB" } else { "BYTEA" };
        change(&mail, damage.replace("{blob}", blob).leak(), ids[2]);
        let error = read(&mail, ids[2]).unwrap_err();
        assert!(matches!(&error, ContentError::Store(StoreError::Failed { .. })), "{error}");
        let problems = mail.problems();
        assert!(problems.len() == 1 && problems[0].contains(&ids[2].to_string()), "{problems:?}");
    }
    others_are_served(&mail, &ids, ids[2]);
}

/// Where the content of a message is.
fn placement(mail: &TestStore, id: EmailId) -> Placement {
    mail.read_as(home(), move |tx| email::emails(tx, &[id])).unwrap().remove(0).placement
}

/// What `hikyaku check store` finds when it reads every content.
fn unreadable_contents(mail: &TestStore) -> usize {
    let rows = mail.read(|tx| check::contents(tx, None)).unwrap();
    let is_unreadable = |row: &check::ContentRow| {
        let (tenant, id) = (row.tenant, row.id);
        let found = mail.read(move |tx| hikyaku_store::placement(&mut tx.tenant(tenant), id));
        !matches!(found, Ok(Some(placement)) if mail.block_on(mail.content.read(placement.clone())).is_ok())
    };
    rows.iter().filter(|row| row.live && is_unreadable(row)).count()
}

fn a_damaged_content_is_an_error_of_its_message(mail: TestStore) {
    let ids = delivered(&mail, &[3_000; 5]);
    for damage in [
        "UPDATE content_bytes SET bytes = substr(bytes, 1, 900) WHERE id = (SELECT content FROM email WHERE id = $1)",
        "DELETE FROM content_bytes WHERE id = (SELECT content FROM email WHERE id = $1)",
    ] {
        change(&mail, damage, ids[2]);
        let error = read(&mail, ids[2]).unwrap_err();
        assert!(matches!(&error, ContentError::Damaged(_) | ContentError::Store(_)), "{error}");
        assert_eq!(unreadable_contents(&mail), 1);
    }
    others_are_served(&mail, &ids, ids[2]);
}

fn a_missing_object_is_an_error_of_its_message(mail: TestStore) {
    let ids = delivered(&mail, &[3_000, 100_000, 100_000, 100_000, 3_000]);
    let Placement::Object(key) = placement(&mail, ids[2]) else { panic!("it is large") };
    let file = mail.folder().join("objects").join(key.as_str());
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[50_000] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    assert!(matches!(read(&mail, ids[2]), Err(ContentError::Damaged(_))), "one bit is enough");
    std::fs::remove_file(&file).unwrap();
    let error = read(&mail, ids[2]).unwrap_err();
    assert!(
        matches!(&error, ContentError::Objects(ObjectsError::Missing(missing)) if *missing == key),
        "{error}"
    );
    assert_eq!(unreadable_contents(&mail), 1);
    others_are_served(&mail, &ids, ids[2]);
    // It can be got rid of all the same.
    let now = mail.clock.now();
    let uid = inbox(&mail)[2].uid;
    mail.write_as(home(), move |tx| entry::expunge(tx, MailboxId::INBOX, &[uid], now)).unwrap();
    assert_eq!(mail.problems(), Vec::<String>::new());
}

/// The number of the page of a SQLite file that has this text.
fn page_with(file: &Path, text: &[u8]) -> usize {
    let bytes = std::fs::read(file).unwrap();
    bytes.windows(text.len()).position(|window| window == text).expect("the text is in the file") / 4096
}

#[test]
fn a_damaged_page_is_an_error_of_its_messages() {
    let mut mail = TestStore::sqlite();
    let marker = b"X-Marker: this page will be damaged\r\n";
    for number in 0..200 {
        let mut delivery = mail.delivery(&noise(number, 500), &[home()]);
        if number == 100 {
            // Large enough to have most of a page for itself.
            delivery.parts[0].recipients[0].prelude = Prelude::of_lines(marker.repeat(100));
        }
        mail.carry_out(delivery).unwrap();
    }
    let ids: Vec<EmailId> = inbox(&mail).into_iter().map(|entry| entry.email).collect();
    mail.store.close();
    // The last connection of all copies the log into the file.
    no_problems_in_files(&mail);
    let file = mail.folder().join("shard-0.db");
    let page = page_with(&file, marker);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[page * 4096..][..64].fill(0xee);
    std::fs::write(&file, bytes).unwrap();

    mail.reopen();
    let unreadable: Vec<usize> = (0..ids.len()).filter(|n| read(&mail, ids[*n]).is_err()).collect();
    assert!(unreadable.contains(&100) && unreadable.len() < 20, "{unreadable:?}");
    let error = read(&mail, ids[100]).unwrap_err();
    assert!(matches!(&error, ContentError::Store(StoreError::Failed { .. })), "{error}");
    assert!(is_delivered(&mail, 1_000, 500));
    assert_eq!(inbox(&mail).len(), 201);
    let problems = mail.store.engine_problems().unwrap();
    assert!(problems.iter().any(|problem| problem.starts_with("shard_0: ")), "{problems:?}");
}

fn a_clock_that_is_set_back(mut mail: TestStore) {
    let present = mail.clock.now();
    let year_ago = present.before(Duration::from_secs(365 * 24 * 3600));
    assert!(is_delivered(&mail, 0, 500));
    mail.clock.set(year_ago);
    assert!(is_delivered(&mail, 1, 500));
    let highest = inbox(&mail).iter().map(|entry| entry.email.as_i64()).max().unwrap();
    // A restart while the clock is wrong.
    mail.reopen();
    mail.ids = RisingIds::new(NodeId::new(1).unwrap());
    let last = mail.read(hikyaku_mailstore::account::last_ids).unwrap();
    mail.ids.start_above(last.max(mail.read(hikyaku_trace::last_id).unwrap()));
    assert_eq!(last, highest);
    assert!(is_delivered(&mail, 2, 500));
    mail.clock.set(present.after(Duration::from_secs(60)));
    assert!(is_delivered(&mail, 3, 500));

    let entries = inbox(&mail);
    let ids: Vec<i64> = entries.iter().map(|entry| entry.email.as_i64()).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "ids rise: {ids:?}");
    assert!(entries.is_sorted_by(|a, b| a.modseq < b.modseq && a.uid < b.uid));
    let received: Vec<Timestamp> = entries
        .iter()
        .map(|entry| {
            let id = entry.email;
            mail.read_as(home(), move |tx| email::emails(tx, &[id])).unwrap()[0].received_at
        })
        .collect();
    let minute_later = present.after(Duration::from_secs(60));
    assert_eq!(received, [present, year_ago, year_ago, minute_later], "INTERNALDATE is what the clock said");
    assert_eq!(mail.problems(), Vec::<String>::new());
}

/// Trace rows need partitions of their weeks: without one a mail is deferred, not lost.
#[test]
fn a_clock_that_jumps_ahead_of_the_partitions() {
    let mail = TestStore::postgres();
    let now = mail.clock.advance(Duration::from_secs(200 * 24 * 3600));
    assert!(!is_delivered(&mail, 0, 500));
    mail.write(move |tx| hikyaku_trace::make_partitions(tx, now)).unwrap();
    assert!(is_delivered(&mail, 0, 500));
    assert_eq!(mail.problems(), Vec::<String>::new());
}
