//! What the settings meet on this machine: rights, limits, folders. All of it are warnings:
//! the server may be started by another user than the one who looks.

use std::fs;
use std::path::Path;

use hikyaku_types::{Clock, SystemClock, Timestamp};
use rustix::fs::Access;

use super::certificates::is_open_to_all;
use super::findings::{Findings, Span};
use super::kind::{Addresses, Secret};
use super::section::{Given, Needed};
use super::written::{Database, Listen, Written};

/// File descriptors beside connections: databases, objects, listeners, the log.
const OTHER_FILES: u64 = 200;
/// Bit of `CAP_NET_BIND_SERVICE`, capabilities(7).
const NET_BIND_SERVICE: u32 = 10;

/// What the file itself does not say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Surroundings {
    pub(crate) now: Timestamp,
    /// The lowest port that this process may listen on.
    pub(crate) lowest_port: u16,
    /// File descriptors that this process may have.
    pub(crate) open_files: u64,
    /// Every user of the machine can read the settings file.
    pub(crate) is_file_public: bool,
}

impl Surroundings {
    /// Of this process and this settings file.
    pub(crate) fn of(file: &Path) -> Self {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        Self {
            now: SystemClock.now(),
            lowest_port: lowest_port(),
            open_files: limit.unwrap_or(u64::MAX),
            is_file_public: is_open_to_all(file),
        }
    }

    /// Warns of what is risky here.
    pub(crate) fn look(&self, written: &Written, findings: &mut Findings<'_>) {
        if let Needed(Some(Given { value: folder, span })) = &written.data {
            look_at_folder(folder, span, findings);
        }
        let listeners = self.look_at_listeners(&written.listen, findings);
        let most = &written.connections.most;
        let wanted = u64::try_from(most.value.saturating_mul(listeners)).unwrap_or(u64::MAX);
        let wanted = wanted.saturating_add(OTHER_FILES);
        if wanted > self.open_files {
            let what = format!(
                "{} file descriptors are allowed, and {listeners} listeners could take {wanted}",
                self.open_files
            );
            let remedy = format!(
                "raise the limit (`LimitNOFILE={wanted}`, `ulimit -n {wanted}`), or write a smaller number"
            );
            findings.warning(&most.span, "connections.most", what, remedy);
        }
        self.look_at_secrets(&written.database, findings);
        if let Some(Given { value: file, span }) = &written.key_ring
            && is_open_to_all(file)
        {
            let what = "every user of this machine can read the file, so the server does not start";
            findings.warning(span, "key_ring", what, format!("chmod 600 {}", file.display()));
        }
    }

    /// Returns how many there are.
    fn look_at_listeners(&self, listen: &Listen, findings: &mut Findings<'_>) -> usize {
        let mut count = 0;
        for (door, given) in listen.doors() {
            let Some(Given { value: Addresses(addresses), span }) = given else { continue };
            count += addresses.len();
            for address in addresses.iter().filter(|address| (1..self.lowest_port).contains(&address.port()))
            {
                let what = format!("this process may not listen on port {}", address.port());
                let remedy = "let systemd start it (dist/hikyaku.service), or give it CAP_NET_BIND_SERVICE";
                findings.warning(span, &format!("listen.{}", door.name()), what, remedy);
            }
        }
        count
    }

    fn look_at_secrets(&self, database: &Database, findings: &mut Findings<'_>) {
        if let Some(Given { value: Secret(url), span }) = &database.postgres
            && self.is_file_public
            && has_password(url)
        {
            let what = "a password is in this URL, and every user of this machine can read the file";
            let remedy = "move it into a file that only the server reads, and name that in `postgres_file`";
            findings.warning(span, "database.postgres", what, remedy);
        }
        if let Some(Given { value: file, span }) = &database.postgres_file
            && is_open_to_all(file)
        {
            let what = "every user of this machine can read the file";
            findings.warning(span, "database.postgres_file", what, format!("chmod o= {}", file.display()));
        }
    }
}

fn look_at_folder(folder: &Path, span: &Span, findings: &mut Findings<'_>) {
    let mut warning = |what: &str, remedy: &str| findings.warning(span, "data", what, remedy);
    let Ok(found) = fs::metadata(folder) else {
        return warning("there is no such folder", "run `hikyaku migrate`, which makes it");
    };
    if !found.is_dir() {
        return warning("this is no folder", "write the path of one");
    }
    if rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        warning("this user cannot write to the folder", "give it to the user that the server runs as");
    }
    if rustix::fs::statfs(folder).is_ok_and(|found| is_network(found.f_type)) {
        let remedy = "use a disk of this machine: locks and flushes of network disks cannot be relied on";
        warning("the folder is on a network disk", remedy);
    }
}

/// NFS, CIFS, SMB2, 9P: magic numbers of statfs(2).
fn is_network(kind: rustix::fs::FsWord) -> bool {
    [0x6969, 0xff53_4d42, 0xfe53_4d42, 0x0102_1997].contains(&(kind & 0xffff_ffff))
}

/// `scheme://user:password@…`, RFC 3986 section 3.2.1.
fn has_password(url: &str) -> bool {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = authority.split(['/', '?']).next().unwrap_or_default();
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    user.contains(':') || url.contains("password=")
}

fn lowest_port() -> u16 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    if effective.is_some_and(|bits| bits >> NET_BIND_SERVICE & 1 == 1) {
        return 0;
    }
    let start = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    start.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(1024)
}
