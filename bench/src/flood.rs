//! Part *flood*: how a customer fares while its neighbour is flooded, and what connections
//! cost that do nothing.
//!
//! The server is ours, on loopback, in this process, on a store in a scratch folder; clients
//! come from many addresses of 127.0.0.0/8.

mod idle;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use clap::Args;
use hikyaku_directory::Directory;
use hikyaku_mailstore::KeyCleaner;
use hikyaku_net::{Limits as Connections, Listener, Shutdown};
use hikyaku_smtp_proto::Listener as Kind;
use hikyaku_smtp_server::{Isolation, Limits, Metrics, Mode, Services, serve, settings};
use hikyaku_testkit::{TestDirectory, TestStore, gate};
use hikyaku_trace::RefusalLog;
use hikyaku_types::{NodeId, RisingIds, SystemClock, SystemRandom};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};

use crate::certificates::certificates;
use crate::mail::Writer;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Connections that flood the neighbour.
    #[arg(long, default_value_t = 64)]
    flooding: u8,
    /// Messages of the customer that is measured.
    #[arg(long, default_value_t = 300)]
    messages: u32,
    /// Connections of each kind that do nothing: in clear, after STARTTLS, under TLS.
    #[arg(long, default_value_t = 5_000)]
    idle: u32,
    /// Measure these alone.
    #[arg(long)]
    only_idle: bool,
    #[command(flatten)]
    holding: idle::Holding,
}

/// What the neighbour is flooded with.
#[derive(Debug, Clone, Copy)]
enum Flood {
    Nothing,
    /// Messages of 4 KB, as fast as they are taken.
    Messages,
    /// Recipients that do not exist.
    Guesses,
    /// Transactions that are opened and left open.
    Slow,
}

const NEIGHBOUR: &str = "ann@example.org";
const CUSTOMER: &str = "carol@example.net";
/// Messages of the measured customer come so far apart.
const PAUSE: Duration = Duration::from_millis(10);
/// File descriptors that are needed beside connections.
const OTHER_FILES: u64 = 600;
/// Of idle connections.
const KINDS: u64 = 3;

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let files = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files })?;
    if let Some(address) = arguments.holding.hold {
        return idle::hold(address, &arguments.holding, arguments.idle);
    }
    let server = Server::start()?;
    // Before anything else: what was given back to the allocator would count for nothing.
    let most = files.maximum.map_or(u64::MAX, |most| most.saturating_sub(OTHER_FILES)) / KINDS;
    idle::measure(&server, arguments.idle.min(u32::try_from(most).unwrap_or(u32::MAX)))?;
    if arguments.only_idle {
        return Ok(());
    }
    let quiet = server.measure(arguments, Flood::Nothing)?;
    for flood in [Flood::Messages, Flood::Guesses, Flood::Slow] {
        let flooded = server.measure(arguments, flood)?;
        println!(
            "flood, {} connections, {flood:?}: p95 {:.1} ms, {:.1} ms above quiet (goal: at most 200)",
            arguments.flooding,
            flooded.as_secs_f64() * 1e3,
            (flooded.as_secs_f64() - quiet.as_secs_f64()) * 1e3,
        );
    }
    Ok(())
}

/// The server, and the runtime of its clients.
struct Server {
    /// Its runtime has the server's tasks.
    _mail: TestStore,
    address: SocketAddr,
    submissions: SocketAddr,
    /// The certificate of who vouches for the server's.
    authority: Vec<u8>,
    clients: tokio::runtime::Runtime,
    _shutdown: Shutdown,
}

impl Server {
    fn start() -> anyhow::Result<Self> {
        let (tls, authority) = certificates()?;
        let mail = TestStore::sqlite();
        let shutdown = Shutdown::new();
        let (ending, also_ending) = (shutdown.ending(), shutdown.ending());
        let [address, submissions] = mail.block_on(async {
            let (keys, cleaning) = KeyCleaner::new(Arc::clone(&mail.store));
            tokio::spawn(cleaning);
            let mut smtp = settings("mx.example".parse().expect("a domain"), Kind::Mx, true);
            smtp.limits.transactions = u32::MAX;
            smtp.limits.refused_recipients = u32::MAX;
            let largest = usize::try_from(smtp.limits.size_bytes).expect("it fits");
            let directory = directory(&mail).await;
            let ids = Arc::new(RisingIds::new(NodeId::new(2).expect("a node")));
            let refusals = RefusalLog::new(Arc::clone(&mail.store), Arc::clone(&ids));
            let writing = refusals.clone();
            tokio::spawn(async move { writing.run().await });
            let services = Services {
                store: Arc::clone(&mail.store),
                content: Arc::clone(&mail.content),
                gate: gate(&mail.store, &directory, Arc::new(SystemClock)).await,
                directory,
                keys,
                ids,
                refusals,
                clock: Arc::new(SystemClock),
                random: Arc::new(SystemRandom),
                isolation: Arc::new(Isolation::new(Limits::default(), largest, Metrics::default())),
                judge: None,
            };
            let submissions = settings("mx.example".parse().expect("a domain"), Kind::Submissions, true);
            let [mode, submission] = [smtp, submissions]
                .map(|settings| Mode { settings: Arc::new(settings), tls: Some(tls.clone()) });
            let any = "127.0.0.1:0".parse().expect("an address");
            let bind = |name| Listener::bind(any, name, Connections::default(), b"");
            let listener = bind("submissions").await.expect("a free port");
            let submissions = listener.address().expect("it is bound");
            let also = services.clone();
            tokio::spawn(listener.run(also_ending, move |it| serve(it, submission.clone(), also.clone())));
            let listener = bind("smtp").await.expect("a free port");
            let address = listener.address().expect("it is bound");
            tokio::spawn(listener.run(ending, move |it| serve(it, mode.clone(), services.clone())));
            [address, submissions]
        });
        let clients = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Ok(Self { _mail: mail, address, submissions, authority, clients: clients?, _shutdown: shutdown })
    }

    /// The customer's p95 from MAIL to the reply to its content.
    fn measure(&self, arguments: &Arguments, flood: Flood) -> anyhow::Result<Duration> {
        let (address, is_over) = (self.address, Arc::new(AtomicBool::new(false)));
        let (taken, refused) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let mut mails = Writer::new(1);
        let mut waited = self.clients.block_on(async {
            let flooding: Vec<_> = (0..arguments.flooding)
                .map(|number| {
                    let (is_over, taken, refused) =
                        (Arc::clone(&is_over), Arc::clone(&taken), Arc::clone(&refused));
                    let source = Ipv4Addr::new(127, 0, 1, number);
                    tokio::spawn(async move {
                        let done = flood_one(flood, address, source, &is_over, &taken, &refused).await;
                        // A connection that is cut off is part of it.
                        drop(done);
                    })
                })
                .collect();
            let mut waited = Vec::new();
            let mut client = Client::connect(address, Ipv4Addr::new(127, 0, 2, 1)).await?;
            for _ in 0..arguments.messages {
                tokio::time::sleep(PAUSE).await;
                let (content, _) = mails.mail(4096);
                let began = Instant::now();
                let reply = client.send(CUSTOMER, &content).await?;
                ensure!(reply.starts_with("250"), "the customer is refused: {reply}");
                waited.push(began.elapsed());
            }
            is_over.store(true, Ordering::Relaxed);
            for task in flooding {
                task.await?;
            }
            anyhow::Ok(waited)
        })?;
        waited.sort_unstable();
        let part = |percent: usize| waited[waited.len() * percent / 100];
        println!(
            "{flood:?}: customer p50 {:.1} ms, p95 {:.1} ms, worst {:.1} ms; of the flood {} were taken, {} refused",
            part(50).as_secs_f64() * 1e3,
            part(95).as_secs_f64() * 1e3,
            waited[waited.len() - 1].as_secs_f64() * 1e3,
            taken.load(Ordering::Relaxed),
            refused.load(Ordering::Relaxed),
        );
        Ok(part(95))
    }
}

async fn directory(mail: &TestStore) -> Arc<Directory> {
    let test = TestDirectory::new(mail);
    for (number, domain, address) in [(1, "example.org", NEIGHBOUR), (2, "example.net", CUSTOMER)] {
        let home = TestStore::home(number, 10 * number);
        test.tenant(home.tenant, None).await;
        test.domain(home.tenant, domain).await;
        test.account(home, &[address], None, "secret").await;
    }
    test.directory
}

/// One connection after the other, until it is over.
async fn flood_one(
    flood: Flood,
    address: SocketAddr,
    source: Ipv4Addr,
    is_over: &AtomicBool,
    taken: &AtomicU64,
    refused: &AtomicU64,
) -> anyhow::Result<()> {
    let mut mails = Writer::new(u64::from(source.to_bits()));
    let mails: Vec<_> = (0..64).map(|_| mails.mail(4096).0).collect();
    let mut count = 0usize;
    while !is_over.load(Ordering::Relaxed) {
        let mut client = Client::connect(address, source).await?;
        while !is_over.load(Ordering::Relaxed) {
            count += 1;
            let reply = match flood {
                Flood::Nothing => return Ok(()),
                Flood::Messages => {
                    let content = [&mails[count % 64][..], format!("{count}\r\n").as_bytes()].concat();
                    client.send(NEIGHBOUR, &content).await
                }
                Flood::Guesses => client.open(&format!("guess{count}@example.org")).await,
                Flood::Slow => {
                    client.open(NEIGHBOUR).await?;
                    taken.fetch_add(1, Ordering::Relaxed);
                    while !is_over.load(Ordering::Relaxed) {
                        tokio::time::sleep(PAUSE).await;
                    }
                    return Ok(());
                }
            };
            let Ok(reply) = reply else { break };
            let counter = if reply.starts_with("250") { taken } else { refused };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}

struct Client(BufReader<TcpStream>);

impl Client {
    /// Connects from this address, and says hello.
    async fn connect(address: SocketAddr, source: Ipv4Addr) -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((source, 0).into())?;
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        let mut client = Self(BufReader::with_capacity(512, stream));
        let greeting = client.reply().await?;
        ensure!(greeting.starts_with("220"), "{greeting}");
        client.command("EHLO client.example\r\n").await?;
        Ok(client)
    }

    /// One message; the reply that ended it.
    async fn send(&mut self, to: &str, content: &[u8]) -> anyhow::Result<String> {
        let reply = self.open(to).await?;
        if !reply.starts_with("250") {
            return Ok(reply);
        }
        self.command("DATA\r\n").await?;
        self.0.get_mut().write_all(content).await?;
        self.command(".\r\n").await
    }

    /// Opens a mail transaction; the reply to RCPT.
    async fn open(&mut self, to: &str) -> anyhow::Result<String> {
        self.command("RSET\r\n").await?;
        self.command("MAIL FROM:<flood@client.example>\r\n").await?;
        self.command(&format!("RCPT TO:<{to}>\r\n")).await
    }

    async fn command(&mut self, line: &str) -> anyhow::Result<String> {
        self.0.get_mut().write_all(line.as_bytes()).await?;
        self.reply().await
    }

    /// The last line of the next reply.
    async fn reply(&mut self) -> anyhow::Result<String> {
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).await? == 0 {
                bail!("the server closed the connection");
            }
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(line);
            }
        }
    }
}
