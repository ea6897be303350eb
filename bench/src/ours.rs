//! Our own program as an operator starts it: `hikyaku serve`, the release build beside this
//! one, on loopback.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::measure::cpu_of_descendants;
use crate::peers::{free_port, wait_for};

/// The password of every account.
pub(crate) const PASSWORD: &str = "sesame-open-now-47";

/// A running server.
pub(crate) struct Hikyaku {
    process: Child,
    pub(crate) smtp: SocketAddr,
    pub(crate) imap: SocketAddr,
}

/// An installation that no server runs on yet: its folder, and its accounts' addresses.
pub(crate) struct Installation {
    settings: PathBuf,
    smtp: SocketAddr,
    imap: SocketAddr,
    pub(crate) addresses: Vec<String>,
}

impl Installation {
    /// Makes one in this folder, with so many accounts. `more` is appended to its settings.
    pub(crate) fn make(folder: &Path, accounts: u32, more: &str) -> anyhow::Result<Self> {
        let (smtp, imap) = (free_port()?, free_port()?);
        let settings = folder.join("hikyaku.toml");
        let data = folder.join("data");
        fs::write(
            &settings,
            format!(
                "host_name = \"mx.example\"\ndata = {data:?}\n[log]\nlevel = \"error\"\n\
                 [listen]\nsmtp = \"{smtp}\"\nimap = \"{imap}\"\nplain_sign_in_without_tls = true\n{more}"
            ),
        )?;
        run(&settings, &["migrate"], None)?;
        let (accounts, tenants) = (accounts.to_string(), (accounts / 16).max(1).to_string());
        let seed = ["admin", "seed", "--tenants", &tenants, "--accounts", &accounts, "--password-stdin"];
        run(&settings, &seed, Some(PASSWORD))?;
        let addresses = addresses(&settings)?;
        Ok(Self { settings, smtp, imap, addresses })
    }

    /// What a command of the program prints, its server running or not.
    pub(crate) fn ask(&self, arguments: &[&str]) -> anyhow::Result<Vec<u8>> {
        run(&self.settings, arguments, None)
    }

    pub(crate) fn start(&self) -> anyhow::Result<Hikyaku> {
        let mut command = program(&self.settings, &["serve"])?;
        let mut process = command.stdin(Stdio::null()).spawn()?;
        for address in [self.smtp, self.imap] {
            wait_for(&mut process, address).context("hikyaku serve")?;
        }
        Ok(Hikyaku { process, smtp: self.smtp, imap: self.imap })
    }
}

impl Hikyaku {
    pub(crate) fn cpu(&self) -> Duration {
        cpu_of_descendants(self.process.id())
    }
}

impl Drop for Hikyaku {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program(settings: &Path, arguments: &[&str]) -> anyhow::Result<Command> {
    let path = std::env::current_exe()?.with_file_name("hikyaku");
    ensure!(path.exists(), "{} is missing: `make bench` builds it", path.display());
    let mut command = Command::new(path);
    command.args(arguments).arg("--config").arg(settings);
    Ok(command)
}

/// Runs a command to its end; what it printed.
fn run(settings: &Path, arguments: &[&str], input: Option<&str>) -> anyhow::Result<Vec<u8>> {
    let mut command = program(settings, arguments)?;
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = command.spawn()?;
    let mut pipe = process.stdin.take().context("a pipe")?;
    pipe.write_all(input.unwrap_or_default().as_bytes())?;
    drop(pipe);
    let done = process.wait_with_output()?;
    ensure!(done.status.success(), "hikyaku {arguments:?} failed");
    Ok(done.stdout)
}

/// The main address of every account.
fn addresses(settings: &Path) -> anyhow::Result<Vec<String>> {
    let printed = run(settings, &["admin", "account", "list", "--all", "--json"], None)?;
    let mut found = Vec::new();
    for page in serde_json::Deserializer::from_slice(&printed).into_iter::<Value>() {
        let page = page?;
        let objects = page.pointer("/objects/objects").and_then(Value::as_array).cloned();
        for object in objects.with_context(|| format!("not a list: {page}"))? {
            let name = object.get("name").and_then(Value::as_str);
            found.push(name.with_context(|| format!("no name: {object}"))?.to_owned());
        }
    }
    Ok(found)
}
