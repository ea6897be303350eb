//! What connections cost that have a mailbox open under TLS and idle.
//!
//! The clients are another process, so that the memory measured is the server's alone.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, ensure};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use tokio::net::TcpSocket;

use super::ours::{AUTHORITY, Ours};
use super::{Arguments, IDLE, PASSWORD, Server};
use crate::certificates::trusting;

/// `d IDLE` in a stored block (RFC 1951 section 3.2.4), and an empty one: a flush.
const IDLE_DEFLATED: &[u8] = b"\0\x08\0\xf7\xffd IDLE\r\n\0\0\0\xff\xff";

/// A source may have a hundred connections.
const OF_ONE_SOURCE: u32 = 90;

/// What the client asked for after it had opened its mailbox.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bytes {
    Plain,
    /// COMPRESS.
    Deflated,
}

pub(crate) fn measure(server: &mut Ours, arguments: &Arguments) -> anyhow::Result<()> {
    for (bytes, name, goal) in [(Bytes::Plain, "", 20), (Bytes::Deflated, " and COMPRESS", 60)] {
        // What a server gave back to its allocator would count for nothing.
        server.restart()?;
        let (before, after) = memory(server, arguments.idle, bytes)?;
        println!(
            "idle: {} connections under TLS{name} with {} messages: {:.1} KiB private each (goal {goal}), {} MiB before",
            arguments.idle,
            arguments.idle_messages,
            after.saturating_sub(before) as f64 / f64::from(arguments.idle),
            before >> 10,
        );
    }
    Ok(())
}

/// KiB before and with so many connections.
fn memory(server: &Ours, count: u32, bytes: Bytes) -> anyhow::Result<(u64, u64)> {
    // What the first connections bring along is not of each.
    let (mut held, mut before) = (Vec::new(), 0);
    for count in [100, count] {
        before = private_memory(server.pid())?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["imap", "--hold", &server.tls.to_string(), "--idle", &count.to_string()]);
        if bytes == Bytes::Deflated {
            command.arg("--deflated");
        }
        let mut clients = command
            .arg("--authority")
            .arg(server.folder().join(AUTHORITY))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut ready = [0];
        clients.stdout.take().context("a pipe")?.read_exact(&mut ready)?;
        held.push(clients);
    }
    let after = private_memory(server.pid())?;
    for mut clients in held {
        drop(clients.stdin.take());
        clients.wait()?;
    }
    Ok((before, after))
}

/// KiB that a process shares with no other.
fn private_memory(pid: u32) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let lines = text.lines().filter(|line| line.starts_with("Private_"));
    Ok(lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum())
}

/// Opens so many connections, says that they are there, and keeps them.
pub(crate) fn hold(address: SocketAddr, authority: &Path, count: u32, bytes: Bytes) -> anyhow::Result<()> {
    let tls = trusting(authority)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut connections = Vec::new();
    for number in 0..count {
        let [_, second, high, low] = (number / OF_ONE_SOURCE).to_be_bytes();
        let base = if count > OF_ONE_SOURCE * 2 { 4 } else { 3 };
        let source = Ipv4Addr::new(127, base + second, high, low);
        let socket = runtime.block_on(async {
            let socket = TcpSocket::new_v4()?;
            socket.bind((source, 0).into())?;
            socket.connect(address).await?.into_std()
        })?;
        socket.set_nonblocking(false)?;
        connections.push(open(socket, Arc::clone(&tls), bytes)?);
    }
    println!("ready");
    // Until the other end of the pipe is closed.
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

type Held = StreamOwned<ClientConnection, TcpStream>;

/// Signs in, opens the mailbox, idles.
fn open(socket: TcpStream, tls: Arc<ClientConfig>, bytes: Bytes) -> anyhow::Result<Held> {
    let connection = ClientConnection::new(tls, ServerName::try_from("localhost")?)?;
    let mut stream = BufReader::with_capacity(4096, StreamOwned::new(connection, socket));
    let login = format!("a LOGIN {IDLE} {PASSWORD}\r\n");
    for (command, end) in [("", "* OK"), (login.as_str(), "a OK"), ("b SELECT INBOX\r\n", "b OK")] {
        ask(&mut stream, command, end)?;
    }
    match bytes {
        Bytes::Plain => ask(&mut stream, "d IDLE\r\n", "+")?,
        Bytes::Deflated => {
            ask(&mut stream, "c COMPRESS DEFLATE\r\n", "c OK")?;
            stream.get_mut().write_all(IDLE_DEFLATED)?;
            // All of its answer comes at once, whatever it looks like.
            stream.read_exact(&mut [0])?;
        }
    }
    Ok(stream.into_inner())
}

fn ask(stream: &mut BufReader<Held>, command: &str, end: &str) -> anyhow::Result<()> {
    stream.get_mut().write_all(command.as_bytes())?;
    loop {
        let mut line = String::new();
        ensure!(stream.read_line(&mut line)? > 0, "the server closed the connection");
        if line.starts_with(end) {
            return Ok(());
        }
    }
}
