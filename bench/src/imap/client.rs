//! A client that asks and counts, and does not look at what it is told.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{bail, ensure};

use super::PASSWORD;

const TAG: &str = "zq7";

pub(crate) struct Client {
    stream: BufReader<TcpStream>,
    line: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let mut client = Self { stream: BufReader::with_capacity(256 << 10, stream), line: Vec::new() };
        client.until(|line| line.starts_with(b"* OK"))?;
        Ok(client)
    }

    pub(crate) fn sign_in(&mut self, name: &str) -> anyhow::Result<()> {
        self.command(&format!("LOGIN {name} {PASSWORD}"))
    }

    /// Sends a command and reads to its OK.
    pub(crate) fn command(&mut self, command: &str) -> anyhow::Result<()> {
        self.send(command)?;
        self.answered(command)
    }

    pub(crate) fn send(&mut self, command: &str) -> anyhow::Result<()> {
        self.stream.get_mut().write_all(format!("{TAG} {command}\r\n").as_bytes())?;
        Ok(())
    }

    /// Appends messages to INBOX with one command.
    pub(crate) fn append<'m>(&mut self, mails: impl Iterator<Item = &'m [u8]>) -> anyhow::Result<()> {
        let mut command = format!("{TAG} APPEND INBOX").into_bytes();
        for mail in mails {
            command.extend_from_slice(format!(" {{{}+}}\r\n", mail.len()).as_bytes());
            command.extend_from_slice(mail);
        }
        command.extend_from_slice(b"\r\n");
        self.stream.get_mut().write_all(&command)?;
        self.answered("APPEND")
    }

    fn answered(&mut self, command: &str) -> anyhow::Result<()> {
        self.until(|line| line.starts_with(TAG.as_bytes()))?;
        let line = String::from_utf8_lossy(&self.line);
        ensure!(line.starts_with(&format!("{TAG} OK")), "{command}: {line}");
        Ok(())
    }

    /// Reads to a line like that.
    pub(crate) fn until(&mut self, is_it: impl Fn(&[u8]) -> bool) -> anyhow::Result<()> {
        loop {
            self.line.clear();
            if self.stream.read_until(b'\n', &mut self.line)? == 0 {
                bail!("the server closed the connection");
            }
            if is_it(&self.line) {
                return Ok(());
            }
        }
    }
}
