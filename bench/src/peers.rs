//! Servers that others wrote, started by hand on loopback in a folder of their own, with the
//! durability that they are shipped with. `scripts/peers` has unpacked them.
//!
//! Everything that a peer starts ends with it: it is the first process of a namespace.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

/// A server that does not listen after so long does not start.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(20);

/// A running command of `scripts/peers run`.
pub(crate) struct Peer(Child);

impl Peer {
    /// Starts a command that stays in the foreground; it sees `folder` as `/scratch`.
    pub(crate) fn start(folder: &Path, command: &[&str]) -> anyhow::Result<Self> {
        let log = fs::File::create(folder.join(format!("{}.out", name_of(command))))?;
        let mut started = script();
        started.arg("run").arg(folder).args(command);
        started.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(Self(started.spawn().with_context(|| format!("{command:?} cannot be started"))?))
    }

    /// Runs a command to its end.
    pub(crate) fn run(folder: &Path, command: &[&str]) -> anyhow::Result<()> {
        let done = script().arg("run").arg(folder).args(command).stdin(Stdio::null()).output()?;
        ensure!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
        Ok(())
    }

    /// CPU of it and of all that it started, living and ended.
    pub(crate) fn cpu(&self) -> Duration {
        crate::measure::cpu_of_descendants(self.0.id())
    }

    fn wait_for(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            if let Some(status) = self.0.try_wait()? {
                bail!("it ended with {status}: see its .out file");
            }
            ensure!(Instant::now() < end, "nobody listens on {address}");
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Fetches and unpacks the peers, unless that was done before.
pub(crate) fn unpack() -> anyhow::Result<()> {
    let status = script().arg("unpack").status()?;
    ensure!(status.success(), "the peers cannot be unpacked");
    Ok(())
}

fn script() -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/peers"))
}

/// The last part of a command's path.
fn name_of<'a>(command: &[&'a str]) -> &'a str {
    command.first().and_then(|path| path.rsplit('/').next()).unwrap_or("peer")
}

/// A port of loopback that is free now.
fn free_port() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// How a password stands in Dovecot's file of users.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scheme {
    Plain,
    /// The password is given as its hash: `$argon2id$v=19$…`.
    Argon2id,
}

/// Dovecot: IMAP and LMTP, mail as sdbox.
pub(crate) struct Dovecot {
    pub(crate) peer: Peer,
    pub(crate) imap: SocketAddr,
    pub(crate) lmtp: SocketAddr,
}

/// Where Dovecot takes LMTP beside its port, in the folder that it shares with Postfix.
pub(crate) const LMTP_SOCKET: &str = "lmtp.socket";

impl Dovecot {
    /// Starts it in this folder, for users with these names and passwords. Their mail is in
    /// `mail/NAME` of the folder.
    pub(crate) fn start(
        folder: &Path,
        scheme: Scheme,
        users: impl IntoIterator<Item = (String, String)>,
    ) -> anyhow::Result<Self> {
        let scheme = match scheme {
            Scheme::Plain => "PLAIN",
            Scheme::Argon2id => "ARGON2ID",
        };
        let mut lines = String::new();
        for (name, password) in users {
            writeln!(lines, "{name}:{{{scheme}}}{password}:::::")?;
        }
        fs::write(folder.join("users"), lines)?;
        for name in ["mail", "home"] {
            let path = folder.join(name);
            fs::create_dir_all(&path)?;
            // Its processes give up root for a user of the tree, whose number is its own.
            fs::set_permissions(&path, fs::Permissions::from_mode(0o777))?;
        }
        let (imap, lmtp) = (free_port()?, free_port()?);
        fs::write(folder.join("dovecot.conf"), dovecot_settings(imap.port(), lmtp.port()))?;
        let mut peer = Peer::start(folder, &["/usr/sbin/dovecot", "-F", "-c", "/scratch/dovecot.conf"])?;
        for address in [imap, lmtp] {
            peer.wait_for(address).context("Dovecot")?;
        }
        Ok(Self { peer, imap, lmtp })
    }
}

/// What stands in no settings file as shipped: ports, users, where mail is, and no TLS. The
/// limits are those that a load from one address needs.
fn dovecot_settings(imap: u16, lmtp: u16) -> String {
    format!(
        "base_dir = /scratch/dovecot-run
state_dir = /scratch/dovecot-state
log_path = /scratch/dovecot.log
protocols = imap lmtp
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_verbose = no
mail_location = sdbox:/scratch/mail/%u
mail_home = /scratch/home/%u
mail_uid = vmail
mail_gid = vmail
mail_max_userip_connections = 10000
default_process_limit = 1000
passdb {{
  driver = passwd-file
  args = username_format=%u /scratch/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%u /scratch/users
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service lmtp {{
  unix_listener /scratch/{LMTP_SOCKET} {{
    mode = 0666
  }}
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
"
    )
}
