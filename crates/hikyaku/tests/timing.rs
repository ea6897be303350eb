//! Does the time of a refusal tell why it was refused? Over real connections to the program.
//!
//! Every attempt comes from a source of its own, told by a PROXY header, so that each is
//! answered after the same second. Two kinds are told apart by the area under the ROC curve of
//! their times: how often a guess "the slower one is of this kind" is right. A half is a coin.
#![allow(clippy::print_stdout, reason = "figures are for people")]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hikyaku_testkit::{Rng, scratch_dir};

/// Attempts of each kind.
const ATTEMPTS: usize = 5_000;
/// Attempts under way at once.
const AT_ONCE: usize = 120;
/// The same from sources that wait for longer.
const AT_ONCE_BLOCKED: usize = 400;
/// Most that a kind may be told from another by.
const MOST: f64 = 0.55;
/// Guessed at: few enough guesses each that all are checked.
const ACCOUNTS: usize = 1_000;
/// Sources that are blocked for an account.
const BLOCKED: usize = 200;
/// Attempts of each kind from each of those.
const FROM_BLOCKED: usize = ATTEMPTS / BLOCKED;
const PASSWORD: &str = "sesame-open-now-47";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    Imap,
    Submission,
}

/// Why it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The account is there, and the password is checked.
    Wrong,
    /// No such account, in a domain of ours.
    Missing,
    /// No such domain.
    Elsewhere,
    /// Its account is suspended; the password is right.
    Suspended,
    /// A right app password that may not be used from there.
    NotFromThere,
    /// An app password of the account, but for its last digit.
    Altered,
    /// Too many have guessed at the account today: not checked.
    Attacked,
}

const KINDS: [Kind; 7] = [
    Kind::Wrong,
    Kind::Missing,
    Kind::Elsewhere,
    Kind::Suspended,
    Kind::NotFromThere,
    Kind::Altered,
    Kind::Attacked,
];

struct Installation {
    imap: SocketAddr,
    submission: SocketAddr,
    data: std::path::PathBuf,
    accounts: Vec<String>,
    suspended: String,
    /// Of the account `restricted`, from 192.0.2.7 only.
    app_password: String,
    restricted: String,
    /// Has an app password that is almost this one.
    careless: String,
    altered: String,
    attacked: String,
}

/// An attempt: who, with what, from where.
struct Attempt {
    source: Ipv4Addr,
    name: String,
    password: String,
}

fn hikyaku(data: &Path, words: &[&str], input: &str) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hikyaku"))
        .args(words)
        .args(["--data", data.to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{words:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

struct Server(Child);

impl Server {
    fn start(file: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_hikyaku"))
            .args(["serve", "--config", file.to_str().unwrap()])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let mut heard = String::new();
        while heard.matches("listening").count() < 2 {
            assert!(log.read_line(&mut heard).unwrap() > 0, "it ended: {heard}");
        }
        // A pipe that nobody reads would stop it.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self(process)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Installation {
    fn make(folder: &Path) -> (Self, Server) {
        let (imap, submission) = (free_address(), free_address());
        let (file, data) = (folder.join("hikyaku.toml"), folder.join("data"));
        let settings = format!(
            "host_name = 'mx.example'\ndata = '{}'\n[log]\nlevel = 'info'\n[listen]\nimap = '{imap}'\n\
             submission = '{submission}'\nproxies = '127.0.0.1'\nplain_sign_in_without_tls = true\n",
            data.display(),
        );
        std::fs::write(&file, settings).unwrap();
        hikyaku(&data, &["migrate"], "");
        let admin = |line: &str, input: &str| {
            hikyaku(&data, &[&["admin"], &line.split(' ').collect::<Vec<_>>()[..]].concat(), input)
        };
        admin(&format!("seed --tenants 10 --accounts {ACCOUNTS} --password-stdin"), PASSWORD);
        let listed = admin("account list --all --json", "");
        let accounts: Vec<String> = listed
            .split("\"name\":\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .map(str::to_owned)
            .collect();
        assert_eq!(accounts.len(), ACCOUNTS);
        let [suspended, restricted, careless, attacked] = ["suspended", "restricted", "careless", "attacked"]
            .map(|name| format!("{name}@{}", accounts[0].split('@').nth(1).unwrap()));
        for name in [&suspended, &restricted, &careless, &attacked] {
            admin(&format!("account create {name}"), "");
            admin(&format!("credential create --account {name} --password-stdin"), PASSWORD);
        }
        admin(&format!("account suspend {suspended}"), "");
        let app_password = |account: &str, more: &str| {
            let create = "credential create --kind app_password --title telephone";
            let shown = admin(&format!("{create} --account {account}{more}"), "");
            let secret = shown.lines().map(str::trim).find(|line| line.matches('-').count() == 8);
            secret.unwrap_or_else(|| panic!("no app password: {shown}")).to_owned()
        };
        let mut altered = app_password(&careless, "");
        let last = altered.pop();
        altered.push(if last == Some('0') { '1' } else { '0' });
        let app_password = app_password(&restricted, " --sources 192.0.2.7");
        let server = Server::start(&file);
        (
            Self {
                imap,
                submission,
                data,
                accounts,
                suspended,
                app_password,
                restricted,
                careless,
                altered,
                attacked,
            },
            server,
        )
    }

    fn attempt(&self, kind: Kind, rng: &mut Rng) -> Attempt {
        let account = &self.accounts[rng.below(self.accounts.len() as u64) as usize];
        let (name, domain) = account.split_once('@').unwrap();
        let (name, password) = match kind {
            Kind::Wrong => (account.clone(), format!("wrong-{}", rng.next_u64())),
            Kind::Missing => (format!("{name}x@{domain}"), format!("wrong-{}", rng.next_u64())),
            Kind::Elsewhere => (format!("{name}@not-{domain}"), format!("wrong-{}", rng.next_u64())),
            Kind::Suspended => (self.suspended.clone(), PASSWORD.into()),
            Kind::NotFromThere => (self.restricted.clone(), self.app_password.clone()),
            Kind::Altered => (self.careless.clone(), self.altered.clone()),
            Kind::Attacked => (self.attacked.clone(), format!("wrong-{}", rng.next_u64())),
        };
        Attempt { source: anywhere(rng), name, password }
    }

    /// How long the refusal of an attempt takes.
    fn refusal(&self, service: Service, attempt: &Attempt) -> Duration {
        let address = match service {
            Service::Imap => self.imap,
            Service::Submission => self.submission,
        };
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut peer = BufReader::new(stream);
        peer.get_mut().write_all(&proxy_header(attempt.source, address.port())).unwrap();
        let (line, refused) = match service {
            Service::Imap => {
                hear(&mut peer, "* OK");
                (format!("a LOGIN {} {}\r\n", attempt.name, attempt.password), "a NO [AUTHENTICATIONFAILED]")
            }
            Service::Submission => {
                hear(&mut peer, "220 ");
                peer.get_mut().write_all(b"EHLO client.example\r\n").unwrap();
                hear(&mut peer, "250 ");
                let plain = format!("\0{}\0{}", attempt.name, attempt.password);
                (format!("AUTH PLAIN {}\r\n", BASE64.encode(plain)), "535 ")
            }
        };
        let began = Instant::now();
        peer.get_mut().write_all(line.as_bytes()).unwrap();
        hear(&mut peer, refused);
        began.elapsed()
    }

    /// Carries all out, `at_once` at a time, in this order; how long each took.
    fn times<T: Send + Copy + PartialEq>(
        &self,
        service: Service,
        attempts: Vec<(T, Attempt)>,
        at_once: usize,
    ) -> Vec<(T, f64)> {
        let waiting = Mutex::new(attempts.into_iter());
        let taken = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..at_once {
                scope.spawn(|| {
                    loop {
                        let Some((kind, attempt)) = waiting.lock().unwrap().next() else { return };
                        let time = self.refusal(service, &attempt).as_secs_f64();
                        taken.lock().unwrap().push((kind, time));
                    }
                });
            }
        });
        taken.into_inner().unwrap()
    }
}

/// Reads lines until one begins so.
fn hear(peer: &mut BufReader<TcpStream>, beginning: &str) {
    let mut line = String::new();
    while !line.starts_with(beginning) {
        line.clear();
        assert!(peer.read_line(&mut line).unwrap() > 0, "closed before {beginning:?}");
        assert!(!line.contains("UNAVAILABLE") && !line.starts_with('4'), "{beginning:?}, not {line}");
    }
}

/// An address that nobody has had before.
fn anywhere(rng: &mut Rng) -> Ipv4Addr {
    Ipv4Addr::new(
        20 + rng.below(80) as u8,
        rng.below(256) as u8,
        rng.below(256) as u8,
        1 + rng.below(254) as u8,
    )
}

/// Of PROXY, version 2.
fn proxy_header(source: Ipv4Addr, port: u16) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c".to_vec();
    header.extend(source.octets());
    header.extend([127, 0, 0, 1, 0xc0, 0x00]);
    header.extend(port.to_be_bytes());
    header
}

/// How often one of `slow` takes longer than one of `fast`, ties by halves: the area under
/// the ROC curve, by the sum of ranks.
fn area(slow: &[f64], fast: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> = slow.iter().map(|&time| (time, true)).collect();
    all.extend(fast.iter().map(|&time| (time, false)));
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut ranks = 0.0;
    let mut before = 0;
    for equal in all.chunk_by(|a, b| a.0 == b.0) {
        let middle = before as f64 + (equal.len() as f64 + 1.0) / 2.0;
        ranks += middle * equal.iter().filter(|(_, is_slow)| *is_slow).count() as f64;
        before += equal.len();
    }
    let (slow, fast) = (slow.len() as f64, fast.len() as f64);
    (ranks - slow * (slow + 1.0) / 2.0) / (slow * fast)
}

fn shuffle<T>(list: &mut [T], rng: &mut Rng) {
    for at in (1..list.len()).rev() {
        list.swap(at, rng.below(at as u64 + 1) as usize);
    }
}

fn of<T: PartialEq + Copy>(kind: T, times: &[(T, f64)]) -> Vec<f64> {
    times.iter().filter(|(of, _)| *of == kind).map(|(_, time)| *time).collect()
}

/// Fails where two kinds can be told apart; `least` to `longest` seconds is what each takes.
fn compare<T: PartialEq + Copy + std::fmt::Debug>(what: &str, kinds: &[T], times: &[(T, f64)], least: f64) {
    let mut told = String::new();
    let mut worst = 0.5;
    for (at, &one) in kinds.iter().enumerate() {
        let mut mine = of(one, times);
        mine.sort_by(f64::total_cmp);
        let (first, middle) = (mine[0], mine[mine.len() / 2]);
        let _ = writeln!(told, "{what}, {one:?}: {} times, median {:.2} ms", mine.len(), middle * 1e3);
        assert!(first >= least, "{what}, {one:?}: answered after {first} s\n{told}");
        for &other in &kinds[..at] {
            let area = area(&mine, &of(other, times));
            let _ = writeln!(told, "  beside {other:?}: {area:.3}");
            worst = f64::max(worst, area.max(1.0 - area));
        }
    }
    println!("{told}{what}: at most {worst:.3}");
    assert!(worst <= MOST, "{what}: {worst:.3}\n{told}");
}

/// Whatever was done and from wherever: a source without a past hears no after the same time.
fn from_anywhere(installation: &Installation, service: Service, rng: &mut Rng) {
    let mut attempts = Vec::new();
    for kind in KINDS {
        attempts.extend((0..ATTEMPTS).map(|_| (kind, installation.attempt(kind, rng))));
    }
    shuffle(&mut attempts, rng);
    let times = installation.times(service, attempts, AT_ONCE);
    compare(&format!("{service:?}"), &KINDS, &times, 1.0);
}

/// What a source that is blocked for an account asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// The account that it is blocked for.
    Blocked,
    /// Another one.
    Other,
    /// Nobody.
    Nobody,
}

/// A source with a past waits longer, for every name as long.
fn from_blocked_sources(installation: &Installation, service: Service, rng: &mut Rng) {
    const ASKED: [Asked; 3] = [Asked::Blocked, Asked::Other, Asked::Nobody];
    let sources: Vec<Ipv4Addr> = (0..BLOCKED).map(|_| anywhere(rng)).collect();
    let name = |at: usize, asked| match asked {
        Asked::Blocked => installation.accounts[at].clone(),
        Asked::Other => installation.accounts[at + BLOCKED].clone(),
        Asked::Nobody => format!("nobody-{}", installation.accounts[at]),
    };
    let attempt = |at: usize, asked, number: usize| {
        let password = format!("old-{number}-{at}-{service:?}");
        (asked, Attempt { source: sources[at], name: name(at, asked), password })
    };
    let guesses = (0..11).flat_map(|number| (0..BLOCKED).map(move |at| (at, number)));
    installation.times(service, guesses.map(|(at, n)| attempt(at, Asked::Blocked, n)).collect(), AT_ONCE);
    // The same wrong password again and again: the source offers nothing new.
    let warm = ASKED.iter().flat_map(|&asked| (0..BLOCKED).map(move |at| attempt(at, asked, 0)));
    installation.times(service, warm.collect(), AT_ONCE);
    let mut attempts = Vec::new();
    for asked in ASKED {
        for at in 0..BLOCKED {
            attempts.extend((0..FROM_BLOCKED).map(|_| attempt(at, asked, 0)));
        }
    }
    shuffle(&mut attempts, rng);
    let times = installation.times(service, attempts, AT_ONCE_BLOCKED);
    compare(&format!("{service:?} from blocked sources"), &ASKED, &times, 2.0);
}

/// `Command`s of the history say that the kinds were what they are called.
fn reasons(installation: &Installation) -> String {
    hikyaku(&installation.data, &["admin", "history", "list", "--limit", "500", "--json"], "")
}

#[test]
#[ignore = "takes ten minutes"]
fn soak_refusals_take_as_long_whatever_their_reason() {
    let folder = scratch_dir();
    let (installation, _server) = Installation::make(folder.path());
    let mut rng = Rng::new(1);
    let mut guess = |_| (Kind::Attacked, installation.attempt(Kind::Attacked, &mut rng));
    installation.times(Service::Imap, (0..25).map(&mut guess).collect(), AT_ONCE_BLOCKED);
    for service in [Service::Imap, Service::Submission] {
        from_anywhere(&installation, service, &mut rng);
        let told = reasons(&installation);
        for reason in ["wrong-password", "no-account", "suspended", "rule-credential", "attacked-account"] {
            assert!(told.contains(reason), "{service:?}: nothing was refused as {reason}");
        }
    }
    for service in [Service::Imap, Service::Submission] {
        from_blocked_sources(&installation, service, &mut rng);
        assert!(reasons(&installation).contains("blocked-account"), "{service:?}: nobody was blocked");
    }
}

#[test]
fn areas() {
    assert_eq!(area(&[2.0, 3.0], &[0.0, 1.0]), 1.0);
    assert_eq!(area(&[0.0, 1.0], &[2.0, 3.0]), 0.0);
    assert_eq!(area(&[1.0, 1.0, 1.0], &[1.0, 1.0]), 0.5);
    assert_eq!(area(&[1.0, 4.0], &[2.0, 3.0]), 0.5);
}
