//! Our server, in a process of its own over a store in a folder.

use std::io::{BufRead, BufReader, Lines, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use hikyaku_directory::PasswordHash;
use hikyaku_imap_server::{
    Bounds, Memory, Mode, Packer, Services, Sizes, Start, Versions, pack_mailbox, serve as serve_imap,
    snapshot_mailbox,
};
use hikyaku_mailstore::search::{Indexer, Step};
use hikyaku_mailstore::{MailboxId, MessageHash, Threading, deliver};
use hikyaku_net::{Limits, Listener, Shutdown};
use hikyaku_store::{AccountHome, Location, Options};
use hikyaku_testkit::{SeededRandom, TestDirectory, TestStore, gate, scratch_dir};
use hikyaku_types::{NodeId, RisingIds, SystemClock, SystemRandom};

use super::{Arguments, IDLE, LARGE, PASSWORD, STEP, Server, steps};
use crate::certificates::certificates;
use crate::mail::Writer;
use crate::measure::cpu_of_tree;

/// A file that says that the folder's store is filled.
pub(crate) const FILLED: &str = "filled";
/// Deliveries of one transaction.
const FILLED_AT_ONCE: usize = 200;

fn large() -> AccountHome {
    TestStore::home(1, 1)
}

fn idle() -> AccountHome {
    TestStore::home(1, 2)
}

/// What both servers know of the password.
pub(crate) fn password_hash() -> String {
    let hash = PasswordHash::of(PASSWORD.as_bytes(), &SeededRandom::new(1)).expect("a hash");
    hash.as_str().to_owned()
}

fn open(folder: &Path) -> TestStore {
    TestStore::migrated(Location::Folder(folder.to_owned()), scratch_dir(), None, Options::default())
}

/// The mails of the large mailbox with those of others between, and then those of the idle
/// connections' mailbox.
pub(crate) fn fill(folder: &Path, arguments: &Arguments) -> anyhow::Result<()> {
    let begun = Instant::now();
    let store = open(folder);
    for step in steps(arguments) {
        let home = |of: Option<u32>| of.map_or(large(), |other| TestStore::home(2, 10 + i64::from(other)));
        for part in step.chunks(FILLED_AT_ONCE) {
            let mails = part.iter().map(|mail| (home(mail.of), mail.content.as_slice(), mail.id.as_str()));
            fill_step(&store, mails)?;
        }
    }
    let mut writer = Writer::new(2);
    for _ in 0..arguments.idle_messages.div_ceil(STEP) {
        let mails: Vec<_> = (0..STEP).map(|_| writer.mail(1_000)).collect();
        fill_step(&store, mails.iter().map(|(content, id)| (idle(), content.as_slice(), id.as_str())))?;
    }
    std::fs::write(folder.join(FILLED), "")?;
    println!("ours: filled in {:.0} s", begun.elapsed().as_secs_f64());
    Ok(())
}

/// Delivers mails, each with its Message-ID, in one transaction.
fn fill_step<'m>(
    store: &TestStore,
    mails: impl Iterator<Item = (AccountHome, &'m [u8], &'m str)>,
) -> anyhow::Result<()> {
    let deliveries: Vec<_> = mails
        .map(|(home, content, id)| {
            let mut delivery = store.delivery(content, &[home]);
            for recipient in delivery.parts.iter_mut().flat_map(|part| &mut part.recipients) {
                recipient.key = None;
            }
            let own = Some(MessageHash::of(id.as_bytes()));
            delivery.threading = Threading { own, parents: Vec::new() };
            delivery
        })
        .collect();
    store.write(move |tx| deliveries.iter().try_for_each(|delivery| deliver(tx, delivery).map(drop)))?;
    Ok(())
}

/// The process that serves.
pub(crate) struct Ours {
    child: Child,
    stdin: Option<ChildStdin>,
    told: Lines<BufReader<ChildStdout>>,
    address: SocketAddr,
    pub(crate) tls: SocketAddr,
    folder: PathBuf,
}

impl Ours {
    pub(crate) fn start(folder: &Path) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("imap")
            .arg("--serve")
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut told = BufReader::new(child.stdout.take().context("a pipe")?).lines();
        let mut address = || anyhow::Ok(told.next().context("it ended")??.parse::<SocketAddr>()?);
        let (address, tls) = (address()?, address()?);
        Ok(Self { stdin: child.stdin.take(), child, told, address, tls, folder: folder.to_owned() })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Has the server do something, and waits until it has.
    fn tell(&mut self, what: &str) -> anyhow::Result<()> {
        self.stdin.as_mut().context("a pipe")?.write_all(format!("{what}\n").as_bytes())?;
        self.told.next().context("it ended")??;
        Ok(())
    }
}

impl Server for Ours {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn cpu(&self) -> Duration {
        cpu_of_tree(self.child.id())
    }

    fn restart(&mut self) -> anyhow::Result<()> {
        drop(self.stdin.take());
        self.child.wait()?;
        *self = Self::start(&self.folder)?;
        Ok(())
    }

    fn settle(&mut self) -> anyhow::Result<()> {
        self.tell(PACK)
    }

    fn index(&mut self) -> anyhow::Result<()> {
        self.tell(INDEX)
    }

    fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

/// Lines that the server is told.
const PACK: &str = "pack";
const INDEX: &str = "index";

/// Where the server leaves the certificate of who vouches for it.
pub(crate) const AUTHORITY: &str = "authority.der";

/// Serves the store of a folder until standard input ends; its addresses, without and with
/// TLS, are told on standard output. What each line asks for it does at once: what is otherwise
/// done behind the sessions.
pub(crate) fn serve(folder: &Path) -> anyhow::Result<()> {
    let store = open(folder);
    let (acceptor, authority) = certificates()?;
    std::fs::write(folder.join(AUTHORITY), authority)?;
    let shutdown = Shutdown::new();
    let indexer = store.block_on(async {
        let services = services(&store).await;
        let indexer = services.search.clone();
        let clear =
            Mode { plain_sign_in_without_tls: true, ..Mode::new(Start::Clear, Some(acceptor.clone())) };
        for mode in [clear, Mode::new(Start::Tls, Some(acceptor))] {
            let any = "127.0.0.1:0".parse().expect("an address");
            let listener = Listener::bind(any, "imap", Limits::default(), b"").await?;
            println!("{}", listener.address()?);
            let services = services.clone();
            let serve = move |connection| serve_imap(connection, mode.clone(), services.clone());
            tokio::spawn(listener.run(shutdown.ending(), serve));
        }
        anyhow::Ok(indexer)
    })?;
    for line in std::io::stdin().lines() {
        match line?.as_str() {
            PACK => pack(&store)?,
            INDEX => while store.block_on(indexer.step(large()))? == Step::Some {},
            other => anyhow::bail!("it was told to {other}"),
        }
        println!("done");
    }
    store.store.close();
    Ok(())
}

fn pack(store: &TestStore) -> anyhow::Result<()> {
    for home in [large(), idle()] {
        let Sizes { pack, snapshot } = Sizes::default();
        store.block_on(pack_mailbox(&store.store, &store.content, home, MailboxId::INBOX, pack))?;
        store.block_on(snapshot_mailbox(&store.store, home, MailboxId::INBOX, snapshot))?;
    }
    Ok(())
}

async fn services(store: &TestStore) -> Services {
    let (packer, packing) =
        Packer::new(Arc::clone(&store.store), Arc::clone(&store.content), Sizes::default());
    tokio::spawn(packing);
    let directory = TestDirectory::new(store);
    directory.tenant(large().tenant, None).await;
    directory.domain(large().tenant, "example.org").await;
    directory.account(large(), &[LARGE], None, PASSWORD).await;
    directory.account(idle(), &[IDLE], None, PASSWORD).await;
    Services {
        store: Arc::clone(&store.store),
        content: Arc::clone(&store.content),
        gate: gate(&store.store, &directory.directory, Arc::new(SystemClock)).await,
        directory: directory.directory,
        ids: Arc::new(RisingIds::new(NodeId::new(2).expect("2 is a node"))),
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
        search: Indexer::new(Arc::clone(&store.store), Arc::clone(&store.content)),
        versions: Arc::new(Versions::new(Bounds::default())),
        memory: Arc::new(Memory::new(512 << 20, 50 << 20)),
        packer,
    }
}
