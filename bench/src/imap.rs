//! Part *imap*: what clients ask of a large mailbox, ours beside Dovecot's sdbox in one run.
//!
//! Both servers are processes of their own on loopback without TLS, with the same mails: one
//! account has the large mailbox, and as many mails went in between to other accounts. CPU is
//! the server's alone. *Cold*: the server is started again and the files of its folder are
//! put out of the page cache, for both alike; what Dovecot has cached on disk stays.
//! After the first list the background work of ours (packs, and a snapshot) is done, as it is
//! in a mailbox that has been listed once; what it costs is told.

mod client;
mod dovecot;
mod idle;
mod ours;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use hikyaku_testkit::scratch_dir;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::mail::Writer;

use client::Client;
use dovecot::Theirs;
use ours::Ours;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Messages of the large mailbox.
    #[arg(long, default_value_t = 100_000)]
    messages: u32,
    /// Other accounts.
    #[arg(long, default_value_t = 1_000)]
    others: u32,
    /// Messages that each of them has.
    #[arg(long, default_value_t = 100)]
    each: u32,
    /// Messages whose bodies are read.
    #[arg(long, default_value_t = 1_000)]
    bodies: u32,
    /// Messages whose flags are changed.
    #[arg(long, default_value_t = 10_000)]
    marked: u32,
    /// Size of a mail in bytes.
    #[arg(long, default_value_t = 4096)]
    size: usize,
    /// Idle connections.
    #[arg(long, default_value_t = 5_000)]
    idle: u32,
    /// Messages of the mailbox that they have open.
    #[arg(long, default_value_t = 10_000)]
    idle_messages: u32,
    /// Without Dovecot.
    #[arg(long)]
    alone: bool,
    /// Measures only what has this in its name.
    #[arg(long, default_value = "")]
    only: String,
    /// Keeps our store in this folder. What an earlier run left there is used as it is, so its
    /// first list is no first one any more.
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Serves the store in this folder until standard input ends: what this program starts
    /// itself as.
    #[arg(long, hide = true)]
    serve: Option<PathBuf>,
    /// Holds idle connections to this address until standard input ends, too.
    #[arg(long, hide = true)]
    hold: Option<SocketAddr>,
    /// The connections of `hold` are compressed.
    #[arg(long, hide = true)]
    deflated: bool,
    /// The authority that vouches for the server of `hold`.
    #[arg(long, hide = true)]
    authority: Option<PathBuf>,
}

/// Who has the large mailbox, and who has the one of the idle connections.
const LARGE: &str = "large@example.org";
const IDLE: &str = "idle@example.org";
const PASSWORD: &str = "secret";
/// What each thousandth message of the large mailbox has in its last line.
const NEEDLE: &str = "needle";
/// Messages of the large mailbox that go in at a time.
const STEP: u32 = 100;
/// So often is asked what is told warm.
const REPEATS: u32 = 3;

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let files = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files })?;
    if let Some(folder) = &arguments.serve {
        return ours::serve(folder);
    }
    if let (Some(address), Some(authority)) = (arguments.hold, &arguments.authority) {
        let bytes = if arguments.deflated { idle::Bytes::Deflated } else { idle::Bytes::Plain };
        return idle::hold(address, authority, arguments.idle, bytes);
    }
    println!(
        "imap: a mailbox of {} messages of {} bytes, {} in each of {} other accounts",
        arguments.messages, arguments.size, arguments.each, arguments.others
    );
    let (one, other) = (scratch_dir(), scratch_dir());
    let folder = arguments.keep.as_deref().unwrap_or(one.path());
    if !folder.join(ours::FILLED).exists() {
        ours::fill(folder, arguments)?;
    }
    let mut ours = Ours::start(folder)?;
    let our_figures = measure(&mut ours, arguments)?;
    if "idle".contains(&arguments.only) {
        idle::measure(&mut ours, arguments)?;
    }
    drop(ours);
    let mut theirs = None;
    if !arguments.alone {
        let mut dovecot = Theirs::start(other.path(), arguments)?;
        dovecot.fill(arguments)?;
        theirs = Some(measure(&mut dovecot, arguments)?);
    }
    report(&our_figures, theirs.as_deref());
    Ok(())
}

/// A mail that is filled in, and whose it is: that of the large mailbox, or of another account.
struct Filled {
    of: Option<u32>,
    content: Vec<u8>,
    /// Its Message-ID.
    id: String,
}

/// The mails of both servers, in steps. Those of the large mailbox and those of others come by
/// turns.
fn steps(arguments: &Arguments) -> impl Iterator<Item = Vec<Filled>> {
    let &Arguments { messages, others, each, size, .. } = arguments;
    let steps = messages.div_ceil(STEP);
    let mut writer = Writer::new(1);
    (0..steps).map(move |step| {
        let upto = |step: u32| (u64::from(others) * u64::from(step) / u64::from(steps)) as u32;
        let others: Vec<u32> =
            (upto(step)..upto(step + 1)).flat_map(|other| (0..each).map(move |_| other)).collect();
        let mut rest = others.as_slice();
        let mut filled = Vec::new();
        for number in 0..STEP {
            let (mut content, id) = writer.mail(size);
            if number == STEP / 2 && step % 10 == 0 {
                content.extend_from_slice(format!("the {NEEDLE}\r\n").as_bytes());
            }
            filled.push(Filled { of: None, content, id });
            let share = rest.len() / (STEP - number) as usize;
            for other in rest.split_off(..share).into_iter().flatten() {
                let (content, id) = writer.mail(size);
                filled.push(Filled { of: Some(*other), content, id });
            }
        }
        filled
    })
}

/// A server that can be started again.
trait Server {
    fn address(&self) -> SocketAddr;
    /// CPU of all its processes so far.
    fn cpu(&self) -> Duration;
    fn restart(&mut self) -> anyhow::Result<()>;
    /// Does the work that is left to the background: what one list leads to.
    fn settle(&mut self) -> anyhow::Result<()>;
    /// Makes the search index of the large mailbox, if it has such a thing.
    fn index(&mut self) -> anyhow::Result<()>;
    fn folder(&self) -> &Path;
}

/// What one thing took.
struct Figure {
    what: String,
    wall: Duration,
    cpu: Duration,
    goal: &'static str,
}

fn measure(server: &mut impl Server, arguments: &Arguments) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let Arguments { bodies, marked, .. } = arguments;
    const FLAGS: &str = "FETCH 1:* (FLAGS)";
    const LIST: &str = "FETCH 1:* (UID FLAGS ENVELOPE BODYSTRUCTURE)";
    let mut add = |what: &str, goal, took: &mut dyn FnMut() -> anyhow::Result<(Duration, Duration)>| {
        if what.contains(&arguments.only) {
            let (wall, cpu) = took()?;
            figures.push(Figure { what: what.to_owned(), wall, cpu, goal });
        }
        anyhow::Ok(())
    };
    add("SELECT, flags: cold, first ever", "", &mut || cold(server, &["SELECT INBOX", FLAGS]))?;
    add("list, the first time ever", "", &mut || once(server, &["SELECT INBOX", LIST]))?;
    add("packing", "", &mut || {
        let (begun, cpu) = (Instant::now(), server.cpu());
        server.settle()?;
        Ok((begun.elapsed(), server.cpu().saturating_sub(cpu)))
    })?;
    add("SELECT, flags: warm", "1", &mut || often(server, &["SELECT INBOX", FLAGS]))?;
    add("SELECT, list: warm", "0.7", &mut || often(server, &["SELECT INBOX", LIST]))?;
    add("SELECT, flags: cold", "1", &mut || cold(server, &["SELECT INBOX", FLAGS]))?;
    add("SELECT, list: cold", "0.33", &mut || cold(server, &["SELECT INBOX", LIST]))?;
    let body = format!("FETCH 1:{bodies} BODY.PEEK[]");
    add("bodies: cold", "", &mut || cold(server, &["SELECT INBOX", &body]))?;
    add("bodies: warm", "1.5", &mut || often(server, &["SELECT INBOX", &body]))?;
    let (set, take) =
        (format!("STORE 1:{marked} +FLAGS (\\Flagged)"), format!("STORE 1:{marked} -FLAGS (\\Flagged)"));
    add("STORE, twice", "", &mut || once(server, &["SELECT INBOX", &set, &take]))?;
    let nowhere = "SEARCH TEXT \"no such word\"";
    let (rare, subject) = (format!("SEARCH TEXT {NEEDLE}"), format!("SEARCH SUBJECT {NEEDLE}"));
    add("SEARCH TEXT, not indexed", "1", &mut || once(server, &["SELECT INBOX", nowhere]))?;
    add("SEARCH TEXT rare, not indexed", "1", &mut || once(server, &["SELECT INBOX", &rare]))?;
    add("SEARCH index of all", "", &mut || {
        let (begun, cpu) = (Instant::now(), server.cpu());
        server.index()?;
        Ok((begun.elapsed(), server.cpu().saturating_sub(cpu)))
    })?;
    add("SEARCH TEXT, indexed", "0.05", &mut || often(server, &["SELECT INBOX", nowhere]))?;
    add("SEARCH TEXT rare, indexed", "0.05", &mut || often(server, &["SELECT INBOX", &rare]))?;
    add("SEARCH SUBJECT, indexed", "", &mut || often(server, &["SELECT INBOX", &subject]))?;
    add("sign in: first", "", &mut || {
        server.restart()?;
        once(server, &[])
    })?;
    add("sign in: again", "", &mut || often(server, &[]))?;
    add("APPEND to EXISTS, p50", "", &mut || Ok((latency(server)?, Duration::ZERO)))?;
    Ok(figures)
}

/// A new connection signs in (that is not counted, unless there are no commands) and sends
/// these commands.
fn once(server: &impl Server, commands: &[&str]) -> anyhow::Result<(Duration, Duration)> {
    let mut client = Client::connect(server.address())?;
    if commands.is_empty() {
        let (begun, cpu) = (Instant::now(), server.cpu());
        client.sign_in(LARGE)?;
        return Ok((begun.elapsed(), server.cpu().saturating_sub(cpu)));
    }
    client.sign_in(LARGE)?;
    let (begun, cpu) = (Instant::now(), server.cpu());
    for command in commands {
        client.command(command)?;
    }
    Ok((begun.elapsed(), server.cpu().saturating_sub(cpu)))
}

/// Once for nothing, then the mean of some.
fn often(server: &impl Server, commands: &[&str]) -> anyhow::Result<(Duration, Duration)> {
    once(server, commands)?;
    let mut sum = (Duration::ZERO, Duration::ZERO);
    for _ in 0..REPEATS {
        let (wall, cpu) = once(server, commands)?;
        sum = (sum.0 + wall, sum.1 + cpu);
    }
    Ok((sum.0 / REPEATS, sum.1 / REPEATS))
}

fn cold(server: &mut impl Server, commands: &[&str]) -> anyhow::Result<(Duration, Duration)> {
    rustix::fs::sync();
    server.restart()?;
    forget(server.folder())?;
    once(server, commands)
}

/// Puts the files of a folder out of the page cache.
fn forget(folder: &Path) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            forget(&entry.path())?;
        } else if kind.is_file() {
            let file = std::fs::File::open(entry.path())?;
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
        }
    }
    Ok(())
}

/// How long it takes from the APPEND of one client to the EXISTS of another that idles: half
/// of the measured are faster.
fn latency(server: &impl Server) -> anyhow::Result<Duration> {
    let mut idler = Client::connect(server.address())?;
    idler.sign_in(IDLE)?;
    idler.command("SELECT INBOX")?;
    let mut writer = Client::connect(server.address())?;
    writer.sign_in(IDLE)?;
    idler.send("IDLE")?;
    idler.until(|line| line.starts_with(b"+"))?;
    let mut waited = Vec::new();
    for number in 0..50 {
        let mail = format!("Subject: {number}\r\n\r\nnew\r\n");
        let begun = Instant::now();
        writer.append(std::iter::once(mail.as_bytes()))?;
        idler.until(|line| line.ends_with(b" EXISTS\r\n"))?;
        waited.push(begun.elapsed());
    }
    waited.sort_unstable();
    Ok(waited[waited.len() / 2])
}

fn report(ours: &[Figure], theirs: Option<&[Figure]>) {
    println!(
        "{:34}{:>10}{:>9}{:>10}{:>9}{:>12}{:>7}",
        "ms", "wall", "CPU", "Dovecot", "CPU", "ratio", "goal"
    );
    for (at, figure) in ours.iter().enumerate() {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let mut line = format!("{:34}{:>10.1}{:>9.0}", figure.what, ms(figure.wall), ms(figure.cpu));
        if let Some(other) = theirs.and_then(|theirs| theirs.get(at)) {
            line += &format!(
                "{:>10.1}{:>9.0}{:>6.2}/{:>5.2}{:>7}",
                ms(other.wall),
                ms(other.cpu),
                figure.wall.as_secs_f64() / other.wall.as_secs_f64(),
                figure.cpu.as_secs_f64() / other.cpu.as_secs_f64(),
                figure.goal
            );
        }
        println!("{line}");
    }
}
