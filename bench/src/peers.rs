//! Servers that others wrote, started by hand on loopback in a folder of their own, with the
//! durability that they are shipped with. `scripts/peers` has unpacked them.
//!
//! Everything that a peer starts ends with it: it is the first process of a namespace.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
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
        wait_for(&mut self.0, address)
    }
}

/// Waits until somebody listens there, or the process that should has ended.
pub(crate) fn wait_for(process: &mut Child, address: SocketAddr) -> anyhow::Result<()> {
    let end = Instant::now() + PATIENCE;
    while TcpStream::connect(address).is_err() {
        if let Some(status) = process.try_wait()? {
            bail!("it ended with {status}");
        }
        ensure!(Instant::now() < end, "nobody listens on {address}");
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn script() -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/peers"))
}

/// The last part of a command's path.
fn name_of<'a>(command: &[&'a str]) -> &'a str {
    command.first().and_then(|path| path.rsplit('/').next()).unwrap_or("peer")
}

/// A port of loopback that is free now.
pub(crate) fn free_port() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Dovecot: IMAP and LMTP, mail as sdbox.
pub(crate) struct Dovecot {
    pub(crate) peer: Peer,
    pub(crate) imap: SocketAddr,
}

/// Where Dovecot takes LMTP, in the folder that it shares with Postfix.
const LMTP_SOCKET: &str = "lmtp.socket";

impl Dovecot {
    /// Starts it in this folder, for users with these names and passwords, each with its
    /// scheme: `{PLAIN}secret`, `{ARGON2ID}$argon2id$v=19$…`. Mail is in `mail/NAME` of the
    /// folder.
    pub(crate) fn start(
        folder: &Path,
        users: impl IntoIterator<Item = (String, String)>,
    ) -> anyhow::Result<Self> {
        let mut lines = String::new();
        for (name, password) in users {
            writeln!(lines, "{name}:{password}:::::")?;
        }
        fs::write(folder.join("users"), lines)?;
        for name in ["mail", "home"] {
            let path = folder.join(name);
            fs::create_dir_all(&path)?;
            // Its processes give up root for a user of the tree, whose number is its own.
            fs::set_permissions(&path, fs::Permissions::from_mode(0o777))?;
        }
        let imap = free_port()?;
        fs::write(folder.join("dovecot.conf"), dovecot_settings(imap.port()))?;
        let mut peer = Peer::start(folder, &["/usr/sbin/dovecot", "-F", "-c", "/scratch/dovecot.conf"])?;
        peer.wait_for(imap).context("Dovecot")?;
        Ok(Self { peer, imap })
    }
}

/// What stands in no settings file as shipped: ports, users, where mail is, and no TLS. The
/// limits are those that a load from one address needs.
fn dovecot_settings(imap: u16) -> String {
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
}}
"
    )
}

/// Postfix that takes mail for virtual mailboxes and hands it to Dovecot by LMTP.
pub(crate) struct Postfix {
    pub(crate) peer: Peer,
    pub(crate) smtp: SocketAddr,
}

impl Postfix {
    /// Starts it in Dovecot's folder, for these addresses. `milter`: who sees each message.
    pub(crate) fn start(
        folder: &Path,
        addresses: &[String],
        milter: Option<SocketAddr>,
    ) -> anyhow::Result<Self> {
        let smtp = free_port()?;
        let settings = folder.join("postfix");
        fs::create_dir_all(&settings)?;
        fs::write(settings.join("main.cf"), postfix_settings(addresses, milter))?;
        fs::write(settings.join("master.cf"), format!("{smtp} inet n - n - - smtpd\n{POSTFIX_SERVICES}"))?;
        let lines: String = addresses.iter().map(|address| format!("{address} there\n")).collect();
        fs::write(folder.join("recipients"), lines)?;
        Peer::run(folder, &["/bin/sh", "-ec", POSTFIX_FOLDERS])?;
        let master = ["/usr/lib/postfix/sbin/master", "-i", "-c", "/scratch/postfix"];
        let mut peer = Peer::start(folder, &master)?;
        peer.wait_for(smtp).context("Postfix")?;
        Ok(Self { peer, smtp })
    }
}

fn postfix_settings(addresses: &[String], milter: Option<SocketAddr>) -> String {
    let domains: BTreeSet<&str> =
        addresses.iter().filter_map(|address| Some(address.split_once('@')?.1)).collect();
    let domains = Vec::from_iter(domains).join(" ");
    let milter = milter.map(|address| format!("smtpd_milters = inet:{address}\n")).unwrap_or_default();
    format!(
        "compatibility_level = 3.6
queue_directory = /scratch/queue
data_directory = /scratch/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = peer.example
mydestination =
alias_maps =
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = {domains}
virtual_mailbox_maps = texthash:/scratch/recipients
virtual_transport = lmtp:unix:/scratch/{LMTP_SOCKET}
{milter}"
    )
}

/// Those of the services in `master.cf` as shipped that this mail passes.
const POSTFIX_SERVICES: &str = "\
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
lmtp unix - - n - - lmtp
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
";

/// What its package makes when it is installed.
const POSTFIX_FOLDERS: &str = "cd /scratch
mkdir data queue
cd queue
mkdir active bounce corrupt defer deferred flush hold incoming maildrop pid private public saved trace
chown postfix ../data active bounce corrupt defer deferred flush hold incoming private saved trace
chown postfix:postdrop maildrop public
chmod 730 maildrop
chmod 710 public
chmod 700 private";

/// OpenDKIM that verifies, with public keys from a file: it asks no DNS.
pub(crate) struct OpenDkim {
    pub(crate) peer: Peer,
    pub(crate) milter: SocketAddr,
}

impl OpenDkim {
    /// `keys`: owner name and text of each key record.
    pub(crate) fn start(folder: &Path, keys: &[(String, String)]) -> anyhow::Result<Self> {
        let milter = free_port()?;
        let lines: String = keys.iter().map(|(name, text)| format!("{name} {text}\n")).collect();
        fs::write(folder.join("keys"), lines)?;
        let settings = format!(
            "Mode v
Background no
UserID opendkim
Socket inet:{}@127.0.0.1
TestPublicKeys /scratch/keys
",
            milter.port()
        );
        fs::write(folder.join("opendkim.conf"), settings)?;
        let mut peer = Peer::start(folder, &["/usr/sbin/opendkim", "-f", "-x", "/scratch/opendkim.conf"])?;
        peer.wait_for(milter).context("OpenDKIM")?;
        Ok(Self { peer, milter })
    }
}
