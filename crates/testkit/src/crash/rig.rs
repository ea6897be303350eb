//! The rig itself: records generations of the load, replays them, and at flushes of the trace
//! rebuilds disks and has them checked.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::check::{Case, Contents, check};
use super::disk::{Disk, Image};
use super::ledger::Ledger;
use super::load::{Acknowledge, Load, Message, Note, Operation};
use super::record::{Fault, Recorder, Run};
use super::replay::{Event, Flush, Line, Replay};
use crate::Rng;

/// Data folder below the disk's root: two levels that are not there yet.
const FOLDER: &str = "var/mail";
/// The shard's database there.
const DATABASE: &str = "var/mail/shard-0.db";

/// One process of a scenario.
#[derive(Debug, Clone, Copy)]
pub struct Generation {
    /// How many work side by side.
    pub workers: u32,
    /// How many operations each of them does.
    pub each: u32,
    /// How many of 100 small messages are noise.
    pub noise: u64,
    /// When it acknowledges.
    pub acknowledge: Acknowledge,
    /// What goes wrong.
    pub fault: Option<Fault>,
}

/// How many disks are checked.
#[derive(Debug, Clone, Copy)]
pub struct Sampling {
    /// How many of 100 flushes.
    pub flushes: u64,
    /// Torn disks for each of them, beside the strict one.
    pub torn: u32,
    /// Stop when so many violations were found.
    pub enough: usize,
}

/// What a run of the rig showed.
#[derive(Debug, Default)]
pub struct Report {
    /// Flushes in the traces.
    pub flushes: usize,
    /// Disks that were opened and checked.
    pub disks: usize,
    /// Acknowledgements in the traces.
    pub acknowledgements: usize,
    /// Acknowledgements given when the log had been copied back in part: the database had bytes
    /// that were not flushed.
    pub copied_back: usize,
    /// Acknowledgements that were checked, summed over all disks.
    pub promises: usize,
    /// Acknowledged deliveries whose log record was looked for in what was flushed.
    pub records: usize,
    /// Those of them with an object, whose file and folders were looked for too.
    pub objects: usize,
    /// What is wrong, in words.
    pub violations: Vec<String>,
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { flushes, disks, acknowledgements, copied_back, promises, records, objects, violations } =
            self;
        write!(
            f,
            "{flushes} flushes, {acknowledgements} acknowledgements ({copied_back} with a log half copied back; followed in the trace: \
             {records} log records, {objects} objects), {disks} disks with {promises} promises, {} violations",
            violations.len()
        )
    }
}

/// Records the generations, one after another on one folder. Returns that folder and the runs.
///
/// # Panics
/// If the load cannot be recorded.
pub fn record(program: &Path, seed: u64, generations: &[Generation]) -> (PathBuf, Vec<Run>) {
    // A thread that was in the middle of a write when its process was killed may have written
    // or not. Nobody can tell from the trace, so such a recording is made again.
    let recorded = (0..10).find_map(|_| try_record(program, seed, generations));
    recorded.expect("in one of ten recordings no other thread is killed in the middle of a write")
}

fn try_record(program: &Path, seed: u64, generations: &[Generation]) -> Option<(PathBuf, Vec<Run>)> {
    let recorder = Recorder::new(program);
    let mut runs: Vec<Run> = Vec::new();
    let mut ledger = Ledger::default();
    // Of each process what it began, newest process first: a commit that was written when it
    // was killed holds what it began early. If that is repeated before anything else is
    // written, its acknowledgement rests on what recovery has flushed.
    let mut begun: Vec<u32> = Vec::new();
    for (number, generation) in (1..).zip(generations) {
        let mut repeat = ledger.unacknowledged();
        repeat.sort_by_key(|(number, _)| begun.iter().position(|earlier| earlier == number));
        let load = Load {
            folder: recorder.root().join(FOLDER),
            seed,
            generation: number,
            workers: generation.workers,
            each: generation.each,
            noise: generation.noise,
            acknowledge: generation.acknowledge,
            repeat,
        };
        let run = recorder.record(&load, generation.fault);
        if !run.is_clear(generation.fault) {
            return None;
        }
        let mut newest = Vec::new();
        for note in notes(&run) {
            ledger.book(&note, "");
            newest.extend(if let Note::Begin(number, _) = note { Some(number) } else { None });
        }
        begun.splice(0..0, newest);
        runs.push(run);
    }
    Some((recorder.root().to_owned(), runs))
}

fn notes(run: &Run) -> impl Iterator<Item = Note> {
    let printed = run.calls.iter().filter(|call| call.name == "write" && call.args[0].number() == Some(1));
    printed.filter_map(|call| String::from_utf8_lossy(call.args[1].strings.first()?).trim_end().parse().ok())
}

/// Replays the runs and checks the disks that `sampling` picks, on all processors.
pub fn examine(root: &Path, runs: &[Run], seed: u64, sampling: Sampling) -> Report {
    let (contents, problems) = (Contents::default(), Mutex::new(Vec::new()));
    let (cases, waiting) = sync_channel::<Case>(2);
    let waiting = Mutex::new(waiting);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let mut report = std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| check_all(&waiting, &contents, &problems, sampling.enough));
        }
        let mut crash = Crash::new(seed, sampling, runs, cases);
        crash.replay(root, runs);
        crash.report
    });
    report.violations.extend(problems.into_inner().expect("no checker panics"));
    report
}

fn check_all(
    waiting: &Mutex<Receiver<Case>>,
    contents: &Contents,
    problems: &Mutex<Vec<String>>,
    enough: usize,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    loop {
        let next = waiting.lock().expect("no holder panics").recv();
        let Ok(case) = next else { return };
        if problems.lock().expect("no holder panics").len() >= enough {
            continue;
        }
        let found = check(&runtime, &case, contents);
        let told = found.into_iter().map(|problem| format!("{}: {problem}", case.title));
        problems.lock().expect("no holder panics").extend(told);
    }
}

/// The replay of all generations over one disk.
struct Crash {
    seed: u64,
    sampling: Sampling,
    rng: Rng,
    ledger: Ledger,
    /// What of an acknowledged delivery must have been flushed.
    witnesses: Witnesses,
    cases: SyncSender<Case>,
    /// The disk of the last strict check and how many notes it was checked for.
    checked: Option<(Image, usize)>,
    notes: usize,
    report: Report,
}

impl Crash {
    fn new(seed: u64, sampling: Sampling, runs: &[Run], cases: SyncSender<Case>) -> Self {
        Self {
            seed,
            sampling,
            rng: Rng::new(seed),
            ledger: Ledger::default(),
            witnesses: Witnesses::of(runs),
            cases,
            checked: None,
            notes: 0,
            report: Report::default(),
        }
    }

    fn replay(&mut self, root: &Path, runs: &[Run]) {
        let mut disk = Disk::default();
        for run in runs {
            let generation = run.load.generation;
            Replay::new(&mut disk, root).run(&run.calls, |replay, event| match event {
                Event::Printed(line) => self.printed(line, generation, replay.disk()),
                Event::FlushEnds(flush) => self.flush_ends(flush, generation, replay.disk()),
            });
            assert!(disk.seen() == run.left, "{}", differences(generation, &disk.seen(), &run.left));
        }
        self.crash("the end", &disk);
        self.report.acknowledgements = self.ledger.acknowledged();
    }

    fn printed(&mut self, line: &Line, generation: u16, disk: &Disk) {
        let Ok(note) = line.text.parse::<Note>() else { return };
        let at = format!("generation {generation}, line {}", line.at);
        self.ledger.book(&note, &at);
        self.notes += 1;
        if let Note::Done(number, _) = note {
            self.report.copied_back += usize::from(!disk.is_durable(Path::new(DATABASE)));
            let (record, object) = self.witnesses.of_operation(number);
            self.report.records += usize::from(record.is_some());
            self.report.objects += usize::from(object.is_some());
            if let Some(missing) = self.witnesses.missing(number, disk) {
                let unflushed = disk.unflushed().join(", ");
                self.report.violations.push(format!(
                    "{at}: operation {number} is acknowledged before {missing} is flushed; not flushed then: {unflushed}"
                ));
            }
        }
    }

    fn flush_ends(&mut self, flush: &Flush, generation: u16, disk: &Disk) {
        self.report.flushes += 1;
        if flush.carried_out {
            self.witnesses.flush(&disk.covered(flush.node, flush.covers));
        }
        if self.rng.chance(self.sampling.flushes) {
            self.crash(&format!("generation {generation}, before the {flush}"), disk);
        }
    }

    /// Power fails now.
    fn crash(&mut self, moment: &str, disk: &Disk) {
        let strict = disk.strict();
        if self.checked.as_ref() != Some(&(strict.clone(), self.notes)) {
            self.send(format!("{moment}, nothing unflushed survives"), strict.clone());
            self.checked = Some((strict, self.notes));
        }
        if disk.unflushed().is_empty() {
            return;
        }
        for _ in 0..self.sampling.torn {
            let seed = self.rng.next_u64();
            self.send(format!("{moment}, torn by {seed}"), disk.torn(&mut Rng::new(seed)));
        }
    }

    fn send(&mut self, title: String, image: Image) {
        self.report.disks += 1;
        self.report.promises += self.ledger.acknowledged();
        let (ledger, seed) = (self.ledger.clone(), self.seed);
        let case = Case { title, image, ledger, folder: FOLDER.into(), seed };
        self.cases.send(case).expect("a checker waits");
    }
}

/// What must have been flushed before a delivery is acknowledged: the log record that names
/// its Message-ID, and its object. This is read off the trace, without opening a store.
#[derive(Debug, Default)]
struct Witnesses {
    messages: HashMap<u32, Message>,
    objects: HashMap<u32, PathBuf>,
    flushed: HashSet<u32>,
}

impl Witnesses {
    fn of(runs: &[Run]) -> Self {
        let mut witnesses = Self::default();
        for note in runs.iter().flat_map(notes) {
            match note {
                Note::Begin(number, Operation::Deliver(message, _)) => {
                    witnesses.messages.insert(number, message);
                }
                Note::Object(message, key) => {
                    witnesses.objects.insert(message.number, Path::new(FOLDER).join("objects").join(key));
                }
                Note::Begin(..) | Note::Done(..) => {}
            }
        }
        witnesses
    }

    fn flush(&mut self, written: &[&[u8]]) {
        for bytes in written {
            self.flushed.extend(Message::named_in(bytes));
        }
    }

    /// The message that an operation delivers, and its object.
    fn of_operation(&self, number: u32) -> (Option<Message>, Option<&PathBuf>) {
        let message = self.messages.get(&number).copied();
        (message, message.and_then(|message| self.objects.get(&message.number)))
    }

    /// What of an acknowledged operation is not flushed, in words.
    fn missing(&self, number: u32, disk: &Disk) -> Option<String> {
        let (message, object) = self.of_operation(number);
        let message = message?;
        if !self.flushed.contains(&message.number) {
            return Some(format!("the log record of message {message}"));
        }
        let object = object?;
        (!disk.is_durable(object)).then(|| format!("its object {}", object.display()))
    }
}

fn differences(generation: u16, seen: &Image, left: &Image) -> String {
    let differs = |path: &&PathBuf| seen.files.get(*path) != left.files.get(*path);
    let files: Vec<_> = seen.files.keys().chain(left.files.keys()).filter(differs).collect();
    format!(
        "the model's disk is not what generation {generation} left: {files:?}, folders {:?} and {:?}",
        seen.folders, left.folders
    )
}
