//! Part *inbound*: mail from strangers into mailboxes, ours beside Postfix and Dovecot.
//!
//! Each side runs alone, as it is shipped, durable, on loopback and on the same disk, and gets
//! the same load: signed messages over so many connections, each to an account drawn in turn.
//! Ours checks SPF, DKIM, DMARC, ARC and the reverse name of the client, and asks a DNS server
//! on loopback; of theirs, OpenDKIM checks the signature, and has its key in a file.
//! What counts is what is *delivered*: messages that IMAP shows at the end, over the time
//! until the last one was there and over the CPU of all processes of that side.

use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use hikyaku_testkit::postgres::{Cluster, Options as ClusterOptions, PrivateCluster};
use hikyaku_testkit::scratch_dir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};

use crate::dns::Names;
use crate::mail::Writer;
use crate::measure::cpu_of_descendants;
use crate::ours::{Installation, PASSWORD};
use crate::peers::{Dovecot, OpenDkim, Postfix};
use crate::signed::{DOMAIN, Signer};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Messages of 4 KB.
    #[arg(long, default_value_t = 10_000)]
    messages: u64,
    /// Messages of 1 MB, nearly all of it an attachment in base64.
    #[arg(long, default_value_t = 300)]
    large: u64,
    /// Messages of 1 MB of text.
    #[arg(long, default_value_t = 300)]
    large_text: u64,
    /// Connections at once.
    #[arg(long, default_value_t = 64)]
    connections: u64,
    /// Accounts that they go to.
    #[arg(long, default_value_t = 256)]
    accounts: u32,
}

/// Messages of one connection before the next one is opened.
const EACH: u64 = 50;
/// Different messages; the same one goes to another account each time.
const DIFFERENT: u64 = 2_000;
/// A side that delivers nothing for so long has lost mail.
const PATIENCE: Duration = Duration::from_secs(60);

/// About what a signature adds.
const SIGNATURE: usize = 600;

/// What a message is made of, and about how many bytes it has.
#[derive(Clone, Copy)]
enum Kind {
    Text(usize),
    /// Most of it in base64.
    Attachment(usize),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(size) => write!(f, "{} KiB of text", size >> 10),
            Self::Attachment(size) => write!(f, "{} KiB with an attachment", size >> 10),
        }
    }
}

/// One measured run.
struct Figures {
    delivered: u64,
    wall: Duration,
    cpu: Duration,
}

impl Figures {
    fn per_thousand(&self) -> f64 {
        self.cpu.as_secs_f64() * 1000.0 / self.delivered as f64
    }

    fn rate(&self) -> f64 {
        self.delivered as f64 / self.wall.as_secs_f64()
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let signer = Signer::new()?;
    let loads = [
        (Kind::Text(4 << 10), arguments.messages),
        (Kind::Attachment(1 << 20), arguments.large),
        (Kind::Text(1 << 20), arguments.large_text),
    ];
    for (kind, count) in loads {
        if count > 0 {
            let load = Load::prepare(&signer, arguments, kind, count)?;
            compare(&load, arguments, &signer)?;
        }
    }
    Ok(())
}

/// Ours, and then theirs without and with OpenDKIM.
fn compare(load: &Load, arguments: &Arguments, signer: &Signer) -> anyhow::Result<()> {
    let folder = scratch_dir();
    let resolver = format!("[resolver]\nservers = \"{}\"\n", names(arguments, signer).serve()?);
    let installation = Installation::make(folder.path(), arguments.accounts, &resolver)?;
    let kind = load.kind;
    let sqlite = ours(load, &installation, None)?;
    println!("inbound, {kind}: ours, SQLite{}", told(&sqlite));
    let cluster = Cluster::private(ClusterOptions { fsync: true, synchronous_commit: true });
    let database = cluster.create_database(None);
    let postgres = format!("[database]\npostgres = \"{}\"\n{resolver}", database.url());
    let other = scratch_dir();
    let on_postgres = Installation::make(other.path(), arguments.accounts, &postgres)?;
    let postgres = ours(load, &on_postgres, Some(&cluster))?;
    println!("inbound, {kind}: ours, PostgreSQL and its server{}", told(&postgres));
    for with_opendkim in [false, true] {
        let theirs = theirs(load, &installation.addresses, with_opendkim.then_some(signer))?;
        let name = if with_opendkim { "Postfix, OpenDKIM and Dovecot" } else { "Postfix and Dovecot" };
        println!("inbound, {kind}: {name}{}", told(&theirs));
        for (engine, ours) in [("SQLite", &sqlite), ("PostgreSQL", &postgres)] {
            println!(
                "    ours, {engine}: {:.2} times the rate, 1/{:.1} of the CPU",
                ours.rate() / theirs.rate(),
                theirs.per_thousand() / ours.per_thousand(),
            );
        }
    }
    Ok(())
}

/// What the senders' domain has in the DNS.
fn names(arguments: &Arguments, signer: &Signer) -> Names {
    let mut names = Names::default();
    let (name, key) = signer.record();
    names.txt(&name, &key);
    names.txt(DOMAIN, "v=spf1 ip4:127.0.1.0/24 -all");
    names.txt(&format!("_dmarc.{DOMAIN}"), "v=DMARC1; p=reject");
    for number in 0..arguments.connections {
        names.address(&format!("client-{number}.{DOMAIN}"), source(number));
    }
    names
}

/// Where a sender's connections come from.
fn source(number: u64) -> Ipv4Addr {
    let [.., last] = number.to_be_bytes();
    Ipv4Addr::new(127, 0, 1, last)
}

fn told(figures: &Figures) -> String {
    format!(
        ": {} delivered, {:.0}/s, {:.2} CPU-seconds per 1,000",
        figures.delivered,
        figures.rate(),
        figures.per_thousand()
    )
}

/// CPU of PostgreSQL's own processes is part of ours.
fn ours(
    load: &Load,
    installation: &Installation,
    postgres: Option<&PrivateCluster>,
) -> anyhow::Result<Figures> {
    let server = installation.start()?;
    let used =
        || server.cpu() + postgres.map(|cluster| cpu_of_descendants(cluster.pid())).unwrap_or_default();
    let (cpu, begun) = (used(), Instant::now());
    load.send(server.smtp, &installation.addresses)?;
    // From a reply of 250 on the message is in its mailbox.
    let (wall, cpu) = (begun.elapsed(), used().saturating_sub(cpu));
    let delivered = count(server.imap, &installation.addresses)?;
    ensure!(delivered == load.count, "{} sent, {delivered} delivered", load.count);
    Ok(Figures { delivered, wall, cpu })
}

fn theirs(load: &Load, addresses: &[String], signer: Option<&Signer>) -> anyhow::Result<Figures> {
    let folder = scratch_dir();
    let users = addresses.iter().map(|address| (address.clone(), format!("{{PLAIN}}{PASSWORD}")));
    let dovecot = Dovecot::start(folder.path(), users)?;
    let opendkim = signer.map(|signer| OpenDkim::start(folder.path(), &[signer.record()])).transpose()?;
    let postfix = Postfix::start(folder.path(), addresses, opendkim.as_ref().map(|it| it.milter))?;
    let used = || {
        let opendkim = opendkim.as_ref().map(|it| it.peer.cpu()).unwrap_or_default();
        postfix.peer.cpu() + dovecot.peer.cpu() + opendkim
    };
    let (cpu, begun) = (used(), Instant::now());
    load.send(postfix.smtp, addresses)?;
    wait_for_files(&folder.path().join("mail"), load.count)?;
    let (wall, cpu) = (begun.elapsed(), used().saturating_sub(cpu));
    let delivered = count(dovecot.imap, addresses)?;
    ensure!(delivered == load.count, "{} sent, {delivered} delivered", load.count);
    Ok(Figures { delivered, wall, cpu })
}

/// Waits until sdbox has so many messages.
fn wait_for_files(mail: &Path, count: u64) -> anyhow::Result<()> {
    let mut last = (0, Instant::now());
    while last.0 < count {
        let found = files(mail)?;
        if found > last.0 {
            last = (found, Instant::now());
        }
        ensure!(last.1.elapsed() < PATIENCE, "{} of {count} are delivered, and nothing comes", last.0);
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Messages of sdbox are files `u.N`; those under way have other names.
fn files(mail: &Path) -> anyhow::Result<u64> {
    let mut count = 0;
    for user in fs::read_dir(mail)? {
        let inbox = user?.path().join("mailboxes/INBOX/dbox-Mails");
        for file in fs::read_dir(inbox).into_iter().flatten() {
            count += u64::from(file?.file_name().as_encoded_bytes().starts_with(b"u."));
        }
    }
    Ok(count)
}

/// What is sent: the same for each side.
struct Load {
    kind: Kind,
    count: u64,
    connections: u64,
    mails: Arc<Vec<Vec<u8>>>,
}

impl Load {
    fn prepare(signer: &Signer, arguments: &Arguments, kind: Kind, count: u64) -> anyhow::Result<Self> {
        let mut writer = Writer::new(7);
        let different = count.min(DIFFERENT);
        let mut mail = || match kind {
            Kind::Text(size) => writer.unsigned(size.saturating_sub(SIGNATURE)).0,
            Kind::Attachment(size) => writer.with_attachment(size.saturating_sub(SIGNATURE)),
        };
        let mails: anyhow::Result<Vec<_>> = (0..different).map(|_| signer.sign(&mail())).collect();
        Ok(Self { kind, count, connections: arguments.connections, mails: Arc::new(mails?) })
    }

    /// Sends all; each must be taken.
    fn send(&self, to: SocketAddr, addresses: &[String]) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let next = Arc::new(AtomicU64::new(0));
        runtime.block_on(async {
            let senders: Vec<_> = (0..self.connections)
                .map(|number| {
                    let (next, mails, count) = (Arc::clone(&next), Arc::clone(&self.mails), self.count);
                    let addresses = addresses.to_vec();
                    tokio::spawn(send(to, number, count, next, mails, addresses))
                })
                .collect();
            for sender in senders {
                sender.await??;
            }
            Ok(())
        })
    }
}

/// One sender: a connection after the other, from an address of its own.
async fn send(
    to: SocketAddr,
    number: u64,
    count: u64,
    next: Arc<AtomicU64>,
    mails: Arc<Vec<Vec<u8>>>,
    addresses: Vec<String>,
) -> anyhow::Result<()> {
    loop {
        let mut client = Client::connect(to, source(number)).await?;
        for _ in 0..EACH {
            let which = next.fetch_add(1, Ordering::Relaxed);
            if which >= count {
                client.command(b"QUIT\r\n").await?;
                return Ok(());
            }
            let (round, place) = (which / mails.len() as u64, which % mails.len() as u64);
            let address = &addresses[((place + round) % addresses.len() as u64) as usize];
            client.send(address, &mails[place as usize]).await?;
        }
        client.command(b"QUIT\r\n").await?;
    }
}

struct Client(BufReader<TcpStream>);

impl Client {
    async fn connect(to: SocketAddr, source: Ipv4Addr) -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((source, 0).into())?;
        let stream = socket.connect(to).await?;
        stream.set_nodelay(true)?;
        let mut client = Self(BufReader::with_capacity(1024, stream));
        client.reply("220").await?;
        client.write(format!("EHLO client.{DOMAIN}\r\n").as_bytes()).await?;
        client.reply("250").await?;
        Ok(client)
    }

    /// One message, as senders do it that know PIPELINING (RFC 2920).
    async fn send(&mut self, to: &str, content: &[u8]) -> anyhow::Result<()> {
        let commands = format!("MAIL FROM:<sender@{DOMAIN}>\r\nRCPT TO:<{to}>\r\nDATA\r\n");
        self.write(commands.as_bytes()).await?;
        for code in ["250", "250", "354"] {
            self.reply(code).await?;
        }
        self.write(content).await?;
        self.write(b".\r\n").await?;
        self.reply("250").await
    }

    async fn command(&mut self, line: &[u8]) -> anyhow::Result<()> {
        self.write(line).await?;
        self.reply("2").await
    }

    async fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(self.0.get_mut().write_all(bytes).await?)
    }

    /// The next reply, which must begin so.
    async fn reply(&mut self, code: &str) -> anyhow::Result<()> {
        loop {
            let line = line(&mut self.0).await?;
            ensure!(line.starts_with(code), "{line}");
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(());
            }
        }
    }
}

async fn line(stream: &mut BufReader<TcpStream>) -> anyhow::Result<String> {
    let mut line = String::new();
    ensure!(stream.read_line(&mut line).await? > 0, "the server closed the connection");
    Ok(line)
}

/// How many messages IMAP shows in the INBOXes of these accounts together.
fn count(imap: SocketAddr, addresses: &[String]) -> anyhow::Result<u64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut sum = 0;
        for address in addresses {
            sum += messages(imap, address).await.with_context(|| format!("IMAP of {address}"))?;
        }
        Ok(sum)
    })
}

async fn messages(imap: SocketAddr, address: &str) -> anyhow::Result<u64> {
    let mut stream = BufReader::new(TcpStream::connect(imap).await?);
    let commands = format!("a LOGIN {address} {PASSWORD}\r\nb STATUS INBOX (MESSAGES)\r\nc LOGOUT\r\n");
    stream.get_mut().write_all(commands.as_bytes()).await?;
    loop {
        let line = line(&mut stream).await?;
        if let Some((_, counted)) = line.split_once("(MESSAGES ") {
            return Ok(counted.trim_end().trim_end_matches(')').parse()?);
        }
        ensure!(!line.starts_with("c "), "{line}");
    }
}
