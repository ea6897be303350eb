//! What connections cost that have said hello and do nothing: in clear, after STARTTLS, and under
//! TLS from the first byte.
//!
//! The clients are another process, so that the memory measured is the server's alone. The
//! connections of each kind stay open while the next are opened: what was given back to the
//! allocator would count for nothing.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, ensure};
use clap::ValueEnum;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use tokio::net::TcpSocket;

use super::Server;
use crate::certificates::trusting;
use crate::measure::own_memory;

/// A source may have a hundred connections.
const OF_ONE_SOURCE: u32 = 90;
/// What the goal is about.
const GOAL_CONNECTIONS: f64 = 20_000.0;
/// Opened before it is measured: what the first ones bring along is not of each.
const FIRST: u32 = 100;

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Clear,
    StartTls,
    Tls,
}

impl Kind {
    fn words(self) -> &'static str {
        match self {
            Self::Clear => "in clear",
            Self::StartTls => "after STARTTLS",
            Self::Tls => "under TLS from the first byte",
        }
    }
}

/// Measures `count` connections of each kind.
pub(super) fn measure(server: &Server, count: u32) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let authority = folder.path().join("authority");
    std::fs::write(&authority, &server.authority)?;
    let empty = own_memory()?;
    let mut held = Vec::new();
    for kind in [Kind::Clear, Kind::StartTls, Kind::Tls] {
        let address = if kind == Kind::Tls { server.submissions } else { server.address };
        held.push(Clients::open(address, kind, FIRST, &authority)?);
        let before = own_memory()?;
        held.push(Clients::open(address, kind, count, &authority)?);
        let each = own_memory()?.saturating_sub(before) as f64 / f64::from(count);
        println!(
            "idle: {count} connections {}: {:.1} KiB each; 20,000 would take {:.0} MiB with the server's own {:.0} (goal: under 500)",
            kind.words(),
            each / 1024.0,
            (empty as f64 + each * GOAL_CONNECTIONS) / f64::from(1 << 20),
            empty as f64 / f64::from(1 << 20),
        );
    }
    held.into_iter().try_for_each(Clients::close)
}

/// A process that holds connections.
struct Clients(Child);

impl Clients {
    fn open(address: SocketAddr, kind: Kind, count: u32, authority: &Path) -> anyhow::Result<Self> {
        let kind = kind.to_possible_value().context("it has a name")?;
        let mut process = Command::new(std::env::current_exe()?)
            .args(["flood", "--hold", &address.to_string(), "--idle", &count.to_string()])
            .args(["--kind", kind.get_name(), "--authority"])
            .arg(authority)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut ready = [0];
        process.stdout.take().context("a pipe")?.read_exact(&mut ready)?;
        Ok(Self(process))
    }

    fn close(mut self) -> anyhow::Result<()> {
        drop(self.0.stdin.take());
        self.0.wait()?;
        Ok(())
    }
}

/// What that process is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Holding {
    /// Opens connections to this address and waits for the end of standard input: what this
    /// program starts itself as.
    #[arg(long, hide = true)]
    pub(super) hold: Option<SocketAddr>,
    /// How they are protected.
    #[arg(long, hide = true, value_enum, default_value_t = Kind::Clear)]
    kind: Kind,
    /// The certificate of who vouches for the server's.
    #[arg(long, hide = true)]
    authority: Option<PathBuf>,
}

/// Opens so many connections, says that they are there, and keeps them.
pub(super) fn hold(address: SocketAddr, holding: &Holding, count: u32) -> anyhow::Result<()> {
    let tls = trusting(holding.authority.as_deref().context("an authority")?)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Those who are few come from elsewhere than those who are many.
    let base = if count > FIRST { 16 } else { 3 } + 4 * holding.kind as u8;
    let mut connections = Vec::new();
    for number in 0..count {
        let [_, _, high, low] = (number / OF_ONE_SOURCE).to_be_bytes();
        let socket = runtime.block_on(async {
            let socket = TcpSocket::new_v4()?;
            socket.bind((Ipv4Addr::new(127, base, high, low), 0).into())?;
            socket.connect(address).await?.into_std()
        })?;
        socket.set_nonblocking(false)?;
        connections.push(Held::open(socket, holding.kind, &tls)?);
    }
    println!("ready");
    // Until the other end of the pipe is closed.
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// A connection that has said hello. It is only kept.
enum Held {
    Clear(#[expect(dead_code, reason = "it is held open")] TcpStream),
    Tls(#[expect(dead_code, reason = "it is held open")] Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Held {
    fn open(mut socket: TcpStream, kind: Kind, tls: &Arc<ClientConfig>) -> anyhow::Result<Self> {
        if kind != Kind::Tls {
            ask(&mut socket, "", "220 ")?;
            ask(&mut socket, "EHLO client.example\r\n", "250 ")?;
        }
        if kind == Kind::Clear {
            return Ok(Self::Clear(socket));
        }
        if kind == Kind::StartTls {
            ask(&mut socket, "STARTTLS\r\n", "220 ")?;
        }
        let connection = ClientConnection::new(Arc::clone(tls), ServerName::try_from("localhost")?)?;
        let mut stream = Box::new(StreamOwned::new(connection, socket));
        if kind == Kind::Tls {
            ask(&mut *stream, "", "220 ")?;
        }
        ask(&mut *stream, "EHLO client.example\r\n", "250 ")?;
        Ok(Self::Tls(stream))
    }
}

/// The server is silent after each reply, so nothing is read beyond it.
fn ask(stream: &mut (impl Read + Write), command: &str, end: &str) -> anyhow::Result<()> {
    stream.write_all(command.as_bytes())?;
    stream.flush()?;
    let mut lines = BufReader::with_capacity(2048, stream);
    loop {
        let mut line = String::new();
        ensure!(lines.read_line(&mut line)? > 0, "the server closed the connection");
        if line.starts_with(end) {
            return Ok(());
        }
        ensure!(line.starts_with(&end[..3]), "the server says {line}");
    }
}
