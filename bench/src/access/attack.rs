//! What sources that are blocked cost a server that they go on asking, and what a neighbour
//! feels of it: over connections under TLS that are kept, and over a new one for each attempt.
//!
//! The server is the release build, the clients are threads of this process on the same cores.
//! Clients say from where they come by PROXY headers.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use hikyaku_testkit::scratch_dir;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::Arguments;
use crate::ours::{Hikyaku, Installation, PASSWORD};
use crate::peers::free_port;

/// Different wrong passwords that a source needs to be blocked, and one more.
const GUESSES: u32 = 11;
/// Sources that guess at once until they are blocked: no more hashes than the server takes.
const AT_ONCE: usize = 50;
/// The neighbour signs in so often.
const PAUSE: Duration = Duration::from_millis(50);

/// How the attack comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attack {
    Quiet,
    KeptConnections,
    NewConnections,
}

struct Rig {
    server: Hikyaku,
    imaps: SocketAddr,
    tls: Arc<ClientConfig>,
    /// Of the tenant that is attacked.
    victims: Vec<String>,
    /// Of another tenant.
    neighbour: String,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let folder = scratch_dir();
    let imaps = free_port()?;
    let (tls, settings) = certificates(folder.path())?;
    let more = format!("imaps = \"{imaps}\"\nproxies = \"127.0.0.1\"\n{settings}");
    let installation = Installation::make(folder.path(), 320, &more)?;
    let (victims, neighbour) = sides(&installation.addresses)?;
    let server = installation.start()?;
    let rig = Rig { server, imaps, tls, victims, neighbour };
    rig.block(arguments)?;
    let blocked = installation.ask(&["admin", "block", "list", "--json"])?;
    let blocked = String::from_utf8_lossy(&blocked).matches("many-failures").count();
    println!("access: {blocked} of {} sources are blocked", arguments.blocked);
    ensure!(blocked >= usize::from(arguments.blocked) * 9 / 10, "too few are blocked to measure anything");
    let quiet = rig.measure(arguments, Attack::Quiet)?;
    for attack in [Attack::KeptConnections, Attack::NewConnections] {
        let under = rig.measure(arguments, attack)?;
        let more = under.as_secs_f64() - quiet.as_secs_f64();
        println!(
            "access, {attack:?}: the neighbour's p95 is {:.1} ms above quiet (goal: at most 50)",
            more * 1e3
        );
    }
    Ok(())
}

/// The accounts of the largest tenant, and one of another.
fn sides(addresses: &[String]) -> anyhow::Result<(Vec<String>, String)> {
    let domain = |address: &String| address.split_once('@').map(|(_, domain)| domain.to_owned());
    let attacked = addresses.first().and_then(domain);
    let (victims, others): (Vec<_>, Vec<_>) =
        addresses.iter().cloned().partition(|address| domain(address) == attacked);
    Ok((victims, others.into_iter().next().context("one tenant only")?))
}

/// Settings of a certificate for `localhost`, and clients that trust it.
fn certificates(folder: &Path) -> anyhow::Result<(Arc<ClientConfig>, String)> {
    let key = rcgen::KeyPair::generate()?;
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()])?.self_signed(&key)?;
    let (chain, secret) = (folder.join("chain.pem"), folder.join("key.pem"));
    std::fs::write(&chain, certificate.pem())?;
    std::fs::write(&secret, key.serialize_pem())?;
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone())?;
    let tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    Ok((Arc::new(tls), format!("[[certificate]]\nchain = {chain:?}\nkey = {secret:?}\n")))
}

impl Rig {
    /// Lets every source guess until it is blocked.
    fn block(&self, arguments: &Arguments) -> anyhow::Result<()> {
        let sources: Vec<u16> = (0..arguments.blocked).collect();
        thread::scope(|scope| {
            let share = sources.len().div_ceil(AT_ONCE).max(1);
            let guessing: Vec<_> = sources
                .chunks(share)
                .map(|mine| {
                    scope.spawn(move || {
                        for &number in mine {
                            for guess in 0..GUESSES {
                                let mut client = Client::connect(self, source(number))?;
                                client.sign_in(self.victim(number), &guessed(guess))?;
                            }
                        }
                        anyhow::Ok(())
                    })
                })
                .collect();
            guessing.into_iter().try_for_each(|one| one.join().expect("it does not panic"))
        })
    }

    fn victim(&self, number: u16) -> &str {
        &self.victims[usize::from(number) % self.victims.len()]
    }

    /// The neighbour's p95 under this attack.
    fn measure(&self, arguments: &Arguments, attack: Attack) -> anyhow::Result<Duration> {
        let (is_over, refused) = (AtomicBool::new(false), AtomicU64::new(0));
        let (mut waited, cpu) = thread::scope(|scope| {
            if attack != Attack::Quiet {
                for number in 0..arguments.blocked {
                    for _ in 0..arguments.each {
                        let (is_over, refused) = (&is_over, &refused);
                        scope.spawn(move || self.attack(attack, number, is_over, refused));
                    }
                }
                // Until all have connected.
                thread::sleep(Duration::from_secs(8));
            }
            refused.store(0, Ordering::Relaxed);
            let before = self.server.cpu();
            let waited = self.neighbour(Duration::from_secs(arguments.seconds));
            let cpu = self.server.cpu().saturating_sub(before);
            is_over.store(true, Ordering::Relaxed);
            anyhow::Ok((waited?, cpu))
        })?;
        waited.sort_unstable();
        let (refused, signed_in) = (refused.load(Ordering::Relaxed), waited.len());
        let part = |percent: usize| waited[signed_in * percent / 100];
        println!(
            "access, {attack:?}: {:.0} refusals a second, {signed_in} sign-ins of the neighbour, \
             {:.2} CPU-seconds of the server in all, {:.0} refusals for each; neighbour p50 {:.1} ms, p95 {:.1} ms",
            refused as f64 / arguments.seconds as f64,
            cpu.as_secs_f64(),
            refused as f64 / cpu.as_secs_f64(),
            part(50).as_secs_f64() * 1e3,
            part(95).as_secs_f64() * 1e3,
        );
        Ok(part(95))
    }

    /// Signs in again and again, each time with a connection of its own, and its cached password.
    fn neighbour(&self, lasting: Duration) -> anyhow::Result<Vec<Duration>> {
        let (begun, mut waited) = (Instant::now(), Vec::new());
        while begun.elapsed() < lasting {
            thread::sleep(PAUSE);
            let one = Instant::now();
            let mut client = Client::connect(self, Ipv4Addr::new(198, 51, 100, 1))?;
            let reply = client.sign_in(&self.neighbour, PASSWORD)?;
            ensure!(reply.starts_with("a OK"), "the neighbour is refused: {reply}");
            waited.push(one.elapsed());
        }
        Ok(waited)
    }

    /// Offers the same password until it is over. A connection that is cut off is part of it.
    fn attack(&self, attack: Attack, number: u16, is_over: &AtomicBool, refused: &AtomicU64) {
        while !is_over.load(Ordering::Relaxed) {
            let Ok(mut client) = Client::connect(self, source(number)) else { continue };
            while !is_over.load(Ordering::Relaxed) && client.sign_in(self.victim(number), &guessed(0)).is_ok()
            {
                refused.fetch_add(1, Ordering::Relaxed);
                if attack == Attack::NewConnections {
                    break;
                }
            }
        }
    }
}

/// One in a /24 of its own.
fn source(number: u16) -> Ipv4Addr {
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(100, high, low, 7)
}

fn guessed(number: u32) -> String {
    format!("guess-{number}")
}

struct Client(BufReader<StreamOwned<ClientConnection, TcpStream>>);

impl Client {
    fn connect(rig: &Rig, source: Ipv4Addr) -> anyhow::Result<Self> {
        let mut socket = TcpStream::connect(rig.imaps)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(Duration::from_secs(70)))?;
        let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c".to_vec();
        header.extend(source.octets());
        header.extend([127, 0, 0, 1, 0xc0, 0, 3, 0xe1]);
        socket.write_all(&header)?;
        let connection = ClientConnection::new(Arc::clone(&rig.tls), ServerName::try_from("localhost")?)?;
        let mut client = Self(BufReader::with_capacity(1024, StreamOwned::new(connection, socket)));
        client.line("* OK")?;
        Ok(client)
    }

    /// What the server says to it.
    fn sign_in(&mut self, name: &str, password: &str) -> anyhow::Result<String> {
        let stream = self.0.get_mut();
        stream.write_all(format!("a LOGIN {name} {password}\r\n").as_bytes())?;
        stream.flush()?;
        self.line("a ")
    }

    fn line(&mut self, beginning: &str) -> anyhow::Result<String> {
        let mut line = String::new();
        while !line.starts_with(beginning) {
            line.clear();
            ensure!(self.0.read_line(&mut line)? > 0, "the server closed the connection");
        }
        Ok(line)
    }
}
