//! The PostgreSQL of `testkit`, tried on a real one.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use hikyaku_testkit::postgres::{Cluster, Options};
use postgres::{Client, NoTls};

fn connect(url: &str) -> Client {
    Client::connect(url, NoTls).unwrap_or_else(|error| panic!("{url}: {error}"))
}

fn setting(client: &mut Client, name: &str) -> String {
    client.query_one("SELECT current_setting($1)", &[&name]).unwrap().get(0)
}

fn exists(cluster: &Cluster, database: &str) -> bool {
    let mut client = connect(cluster.url());
    client.query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&database]).unwrap().is_some()
}

fn name_of(client: &mut Client) -> String {
    client.query_one("SELECT current_database()", &[]).unwrap().get(0)
}

#[test]
fn a_database_is_there_for_one_test() {
    let cluster = Cluster::shared();
    let database = cluster.create_database(None);
    let name = name_of(&mut connect(database.url()));
    assert!(name.starts_with("test_") && exists(cluster, &name));
    // A connection left open does not keep it.
    let _open = connect(database.url());
    drop(database);
    assert!(!exists(cluster, &name));
}

#[test]
fn a_template_is_made_once_and_copied() {
    let cluster = Cluster::private(Options::default());
    let made = AtomicU32::new(0);
    let migrate = |url: &str| {
        made.fetch_add(1, Ordering::SeqCst);
        connect(url).batch_execute("CREATE TABLE mail (id int); INSERT INTO mail VALUES (7)").unwrap();
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                cluster.template("mail schema", migrate);
                let database = cluster.create_database(Some("mail schema"));
                let row = connect(database.url()).query_one("SELECT id FROM mail", &[]).unwrap();
                assert_eq!(row.get::<_, i32>(0), 7);
            });
        }
    });
    assert_eq!(made.load(Ordering::SeqCst), 1);
}

#[test]
fn a_template_that_fails_is_made_again() {
    let cluster = Cluster::private(Options::default());
    let failing = std::panic::AssertUnwindSafe(|| cluster.template("mail", |_| panic!("no such column")));
    assert!(std::panic::catch_unwind(failing).is_err());
    cluster.template("mail", |url| connect(url).batch_execute("CREATE TABLE mail ()").unwrap());
    let database = cluster.create_database(Some("mail"));
    connect(database.url()).batch_execute("SELECT FROM mail").unwrap();
}

#[test]
fn a_private_cluster_stops_and_starts() {
    let cluster = Cluster::private(Options { fsync: true, synchronous_commit: true });
    let database = cluster.create_database(None);
    let mut client = connect(database.url());
    assert_eq!(setting(&mut client, "fsync"), "on");
    assert_eq!(setting(&mut client, "synchronous_commit"), "on");
    client.batch_execute("CREATE TABLE mail (id int); INSERT INTO mail VALUES (1)").unwrap();

    cluster.stop_immediate();
    assert!(client.batch_execute("INSERT INTO mail VALUES (2)").is_err());
    assert!(Client::connect(database.url(), NoTls).is_err());
    cluster.start();
    let rows = connect(database.url()).query("SELECT id FROM mail", &[]).unwrap();
    assert_eq!(rows.len(), 1, "what was committed before the crash is there");

    cluster.restart();
    assert_eq!(setting(&mut connect(database.url()), "listen_addresses"), "");
}

#[test]
fn the_shared_cluster_promises_nothing_about_its_disk() {
    let cluster = Cluster::private(Options::default());
    let mut client = connect(cluster.url());
    assert_eq!(setting(&mut client, "fsync"), "off");
    assert_eq!(setting(&mut client, "synchronous_commit"), "off");
    assert_eq!(setting(&mut client, "max_connections"), "200");
}

#[test]
fn a_cluster_ends_with_a_process_that_was_killed() {
    const HOLDS: &str = "HIKYAKU_TESTKIT_HOLDS_A_CLUSTER";
    if std::env::var_os(HOLDS).is_some() {
        let cluster = Cluster::private(Options::default());
        writeln!(std::io::stderr(), "URL {}", cluster.url()).unwrap();
        // Until the parent ends this process: its pipe never says anything.
        let _ = std::io::stdin().read_line(&mut String::new());
        return;
    }
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_cluster_ends_with_a_process_that_was_killed", "--nocapture"])
        .env(HOLDS, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(holder.stderr.take().unwrap()).lines().map(Result::unwrap);
    let url = lines.filter_map(|line| line.strip_prefix("URL ").map(str::to_owned)).next();
    let mut client = connect(&url.expect("the holder starts a cluster"));
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(client.batch_execute("SELECT pg_sleep(300)").is_err(), "PostgreSQL still answers");
}
