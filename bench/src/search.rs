//! Part *search*: SEARCH in one mailbox, without an index and with one, and what the index
//! costs. A third of the mails is Japanese.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use clap::Args;
use hikyaku_imap_server::{Bounds, Memory, Mode, Packer, Services, Sizes, Start, Versions, serve};
use hikyaku_mailstore::search::{Indexer, Step};
use hikyaku_net::{Ending, Limits, Listener, Shutdown};
use hikyaku_store::{AccountHome, Location, Options, Sql, StoreError};
use hikyaku_testkit::postgres::{Cluster, Options as ClusterOptions};
use hikyaku_testkit::{Rng, SeededRandom, TestDirectory, TestStore, gate, scratch_dir};
use hikyaku_types::{NodeId, RisingIds};

use crate::mail::Writer;
use crate::measure::Stopwatch;

/// What is looked for; the words of mails are made of few syllables, so that many are alike.
const KEYS: [(&str, &str); 6] = [
    ("a word of 1 mail in 1,000", "TEXT needle"),
    ("part of it", "TEXT eedl"),
    ("two characters of 1 in 1,000", "TEXT 飛脚"),
    ("a word that is nowhere", "TEXT xylophone"),
    ("a subject", "SUBJECT needle"),
    ("a common word, seen since", "TEXT meeting SINCE 1-Jan-2030"),
];

#[derive(Args)]
pub(crate) struct Arguments {
    /// Messages in the mailbox.
    #[arg(long, default_value_t = 20_000)]
    messages: u64,
    /// Size of a mail in bytes.
    #[arg(long, default_value_t = 4096)]
    size: usize,
    /// On PostgreSQL instead of SQLite.
    #[arg(long)]
    postgres: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let cluster = arguments
        .postgres
        .then(|| Cluster::private(ClusterOptions { fsync: true, synchronous_commit: true }));
    let database = cluster.as_ref().map(|cluster| cluster.create_database(None));
    let folder = scratch_dir();
    let location = match &database {
        Some(database) => Location::Postgres { url: database.url().to_owned() },
        None => Location::Folder(folder.path().to_owned()),
    };
    let mail = TestStore::migrated(location, folder, None, Options::default());
    let indexer = Indexer::new(Arc::clone(&mail.store), Arc::clone(&mail.content));
    let shutdown = Shutdown::new();
    let address = listen(&mail, indexer.clone(), shutdown.ending())?;
    fill(&mail, arguments);
    let mut client = Client::sign_in(address)?;
    println!("search: {} messages of {} bytes, not indexed", arguments.messages, arguments.size);
    searches(&mut client)?;
    index(&mail, &indexer, arguments.messages)?;
    println!("indexed");
    searches(&mut client)?;
    Ok(())
}

fn ann() -> AccountHome {
    TestStore::home(1, 1)
}

fn listen(mail: &TestStore, search: Indexer, ending: Ending) -> anyhow::Result<SocketAddr> {
    mail.block_on(async {
        let test = TestDirectory::new(mail);
        test.tenant(ann().tenant, None).await;
        test.domain(ann().tenant, "example.org").await;
        test.account(ann(), &["ann@example.org"], None, "secret").await;
        let (packer, packing) =
            Packer::new(Arc::clone(&mail.store), Arc::clone(&mail.content), Sizes::default());
        tokio::spawn(packing);
        let services = Services {
            store: Arc::clone(&mail.store),
            content: Arc::clone(&mail.content),
            gate: gate(&mail.store, &test.directory, Arc::clone(&mail.clock) as _).await,
            directory: test.directory,
            search,
            ids: Arc::new(RisingIds::new(NodeId::new(2).expect("2 is a node"))),
            clock: Arc::clone(&mail.clock) as _,
            random: Arc::new(SeededRandom::new(8)),
            versions: Arc::new(Versions::new(Bounds::default())),
            memory: Arc::new(Memory::new(512 << 20, 50 << 20)),
            packer,
        };
        let mode = Mode { plain_sign_in_without_tls: true, ..Mode::new(Start::Clear, None) };
        let listener = Listener::bind("127.0.0.1:0".parse()?, "imap", Limits::default(), b"").await?;
        let address = listener.address()?;
        tokio::spawn(listener.run(ending, move |it| serve(it, mode.clone(), services.clone())));
        Ok(address)
    })
}

fn fill(mail: &TestStore, arguments: &Arguments) {
    let mut writer = Writer::new(1);
    let mut rng = Rng::new(2);
    for number in 0..arguments.messages {
        let (mut content, _) = writer.mail(if number % 3 == 0 { 1_200 } else { arguments.size });
        if number % 3 == 0 {
            // Japanese takes three octets for a character.
            content.extend(japanese(&mut rng, arguments.size.saturating_sub(1_200) / 3).into_bytes());
        }
        match number % 1_000 {
            17 => content.extend_from_slice(b"the needle\r\n"),
            33 => content.extend_from_slice("東京の飛脚。\r\n".as_bytes()),
            _ => {}
        }
        mail.deliver(&content, &[ann()]);
    }
}

/// A text in which few characters are common and many are rare.
fn japanese(rng: &mut Rng, characters: usize) -> String {
    let mut text = String::new();
    for number in 0..characters {
        let kana = rng.below(5) < 3;
        let (first, many) = if kana { (0x3042, 70) } else { (0x4e00, 2_000) };
        let code = first + rng.below(many) * rng.below(many) / many;
        text.extend(u32::try_from(code).ok().and_then(char::from_u32));
        if number % 35 == 34 {
            text.push_str("。\r\n");
        }
    }
    text + "\r\n"
}

fn index(mail: &TestStore, indexer: &Indexer, messages: u64) -> anyhow::Result<()> {
    const SIZE: Sql = Sql::new("SELECT CAST(sum(octets) AS BIGINT), count(*) FROM search_segment");
    let stopwatch = Stopwatch::start();
    while mail.block_on(indexer.step(ann()))? == Step::Some {}
    let (wall, cpu) = stopwatch.stop();
    let found = mail.read::<_, StoreError, _>(|tx| {
        tx.row(SIZE, &[], |row| Ok((row.get::<i64>(0)?, row.get::<i64>(1)?)))
    })?;
    let (octets, segments) = found.unwrap_or_default();
    let count = messages as f64;
    println!(
        "index: {:.1} s, CPU {:.0} µs a message, {:.0} octets a message in {segments} segments",
        wall.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / count,
        octets as f64 / count,
    );
    Ok(())
}

fn searches(client: &mut Client) -> anyhow::Result<()> {
    for (what, key) in KEYS {
        let stopwatch = Stopwatch::start();
        let answer = client.command(&format!("SEARCH CHARSET UTF-8 {}", literal(key)))?;
        let (wall, cpu) = stopwatch.stop();
        let hits = answer.split_whitespace().count().saturating_sub(2);
        println!(
            "  {what:<30} {hits:>6} hits {:>9.1} ms, CPU {:>9.1} ms",
            wall.as_secs_f64() * 1e3,
            cpu.as_secs_f64() * 1e3
        );
    }
    Ok(())
}

/// The text behind the first word as a literal, if it is not of US-ASCII.
fn literal(key: &str) -> String {
    match key.split_once(' ') {
        Some((name, text)) if !text.is_ascii() => format!("{name} {{{}+}}\r\n{text}", text.len()),
        _ => key.to_owned(),
    }
}

struct Client(BufReader<TcpStream>);

impl Client {
    /// Signed in as ann, with INBOX open.
    fn sign_in(address: SocketAddr) -> anyhow::Result<Self> {
        let mut client = Self(BufReader::new(TcpStream::connect(address)?));
        client.0.read_line(&mut String::new())?;
        client.command("LOGIN ann@example.org secret")?;
        client.command("SELECT INBOX")?;
        Ok(client)
    }

    /// The last untagged line of the answer.
    fn command(&mut self, command: &str) -> anyhow::Result<String> {
        self.0.get_mut().write_all(format!("a {command}\r\n").as_bytes())?;
        let mut untagged = String::new();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line)?;
            match line.strip_prefix("a ") {
                Some(tagged) if tagged.starts_with("OK") => return Ok(untagged),
                Some(tagged) => anyhow::bail!("{command}: {tagged}"),
                None if line.is_empty() => anyhow::bail!("{command}: the connection was closed"),
                None => untagged = line,
            }
        }
    }
}
