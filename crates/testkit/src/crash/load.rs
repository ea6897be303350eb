//! The load: what the traced program does, and what it says about it.
//!
//! Workers deliver, append, copy and expunge side by side on one store, as sessions do. Each
//! operation is announced before it begins, and acknowledged once its future has resolved, by
//! one `write` each, so that both stand in the trace among the flushes. A seed decides what is
//! done; how the workers interleave is left to the machine. Deliveries go straight to the store,
//! or through whatever [`Peer`] a program brings: sessions of a server.

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use hikyaku_mailstore::{
    AppendError, AppendedEmail, ContentHash, CopyError, DeliverError, Delivery, DeliveryKey, Flags, IfFull,
    Keywords, MailboxId, Outcome, Prelude, Quota, Recipient, Target, TenantPart, Threading, account, append,
    deliver, email, entry,
};
use hikyaku_store::{AccountHome, Content, DataLock, Location, Objects, Options, Placement, Scope, Store};
use hikyaku_types::{AccountId, Clock, ContentId, EmailId, NodeId, RisingIds, TenantId, Timestamp, TraceId};
use prometheus_client::registry::Registry;
use tokio::runtime::Runtime;

use crate::{COMPONENTS, DELIVERY, ManualClock, Rng, SHARD, SeededRandom, owner};

/// Where COPY puts things.
pub const ARCHIVE: MailboxId = MailboxId::from_i64(4);
/// Where APPEND puts things.
pub const DRAFTS: MailboxId = MailboxId::from_i64(2);

/// Who sends everything.
pub const REVERSE_PATH: &str = "sender@example.com";

/// An account of a tenant, printed `tenant:account`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Home {
    /// The tenant's number.
    pub tenant: i64,
    /// The account's number.
    pub account: i64,
}

impl Home {
    /// Every account of the load: four of each of three tenants.
    pub fn all() -> Vec<Self> {
        (1..=3).flat_map(|tenant| (0..4).map(move |n| Self { tenant, account: tenant * 10 + n })).collect()
    }

    /// `10@t1.example`: each tenant has a domain.
    pub fn address(self) -> String {
        format!("{}@{}", self.account, domain_of(self.tenant))
    }

    /// As the store knows it.
    pub fn store(self) -> AccountHome {
        AccountHome {
            tenant: TenantId::from_i64(self.tenant).expect("positive"),
            account: AccountId::from_i64(self.account).expect("positive"),
            shard: SHARD,
        }
    }
}

/// The domain of a tenant of the load.
pub fn domain_of(tenant: i64) -> String {
    format!("t{tenant}.example")
}

/// A message by number and size, printed `number/size`. The rest follows from these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Message {
    /// Its number, in no other message of the run.
    pub number: u32,
    /// Its size in bytes.
    pub size: u32,
}

/// From this size on a message is noise, which no compression makes fit into a row. Sizes that
/// end in 7 are noise too, so that small ones fill the log. Noise is text: mail servers take it.
const NOISE_FROM: u32 = 500_000;

impl Message {
    /// The bytes as received. Messages that are not shared differ in every run.
    pub fn content(self, seed: u64) -> Vec<u8> {
        let head = format!("Message-ID: <{}>\r\nSubject: {}\r\n\r\n", self.message_id(), self.number);
        let (mut content, size) = (head.into_bytes(), self.size as usize);
        if self.size >= NOISE_FROM || self.size % 10 == 7 {
            let mut rng = Rng::new(seed ^ u64::from(self.number));
            while content.len() < size {
                content.extend_from_slice(&noise_line(&mut rng));
            }
        }
        let line = format!("line of message {} in run {seed}\r\n", self.number);
        while content.len() < size {
            content.extend_from_slice(line.as_bytes());
        }
        content
    }

    /// `100.crash@example.com`
    pub fn message_id(self) -> String {
        format!("{}.crash@example.com", self.number)
    }

    /// The numbers of all Message-IDs that stand in some bytes.
    pub fn named_in(bytes: &[u8]) -> Vec<u32> {
        let found = memchr::memmem::find_iter(bytes, b".crash@example.com");
        let number = |end: usize| {
            let digits = bytes[..end].iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
            std::str::from_utf8(&bytes[end - digits..end]).ok()?.parse().ok()
        };
        found.filter_map(number).collect()
    }

    /// The number that stands in a content.
    pub fn number_of(content: &[u8]) -> Option<u32> {
        let rest = content.strip_prefix(b"Message-ID: <")?;
        let end = rest.iter().position(|&byte| byte == b'.')?;
        std::str::from_utf8(&rest[..end]).ok()?.parse().ok()
    }
}

/// 62 octets of 6 random bits each, and the line's end.
fn noise_line(rng: &mut Rng) -> [u8; 64] {
    let mut line = [0; 64];
    rng.fill(&mut line);
    for octet in &mut line {
        *octet = b'?' + *octet % 64;
    }
    line[62..].copy_from_slice(b"\r\n");
    line
}

/// What a client wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// One message into the INBOX of each account, all or none.
    Deliver(Message, Vec<Home>),
    /// Messages into Drafts, all or none.
    Append(Home, Vec<Message>),
    /// A message of INBOX, by UID, into Archive too.
    Copy(Home, Message, u32),
    /// A message out of INBOX.
    Expunge(Home, Message, u32),
}

/// Where a message is: mailbox, UID and email id of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The account's number.
    pub account: i64,
    /// The mailbox's number.
    pub mailbox: i64,
    /// Its UID there.
    pub uid: u32,
    /// The email's number.
    pub email: i64,
}

/// A line that the program prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// From here on the operation may have happened.
    Begin(u32, Operation),
    /// From here on it has happened, whatever comes. A recipient who had the message already
    /// has no place.
    Done(u32, Vec<Place>),
    /// The message's content is this object. Said after the acknowledgement.
    Object(Message, String),
}

impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.tenant, self.account)
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.size)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}:{}", self.account, self.mailbox, self.uid, self.email)
    }
}

fn join<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(|item| format!(" {item}")).collect()
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deliver(message, homes) => write!(f, "deliver {message}{}", join(homes)),
            Self::Append(home, messages) => write!(f, "append {home}{}", join(messages)),
            Self::Copy(home, message, uid) => write!(f, "copy {home} {message} {uid}"),
            Self::Expunge(home, message, uid) => write!(f, "expunge {home} {message} {uid}"),
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begin(number, operation) => write!(f, "begin {number} {operation}"),
            Self::Done(number, places) => write!(f, "done {number}{}", join(places)),
            Self::Object(message, key) => write!(f, "object {message} {key}"),
        }
    }
}

/// A line that is no note.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no note of the load")]
pub struct NoteError(String);

fn numbers<const N: usize>(word: &str, separator: char) -> Option<[i64; N]> {
    let numbers: Vec<i64> = word.split(separator).map(str::parse).collect::<Result<_, _>>().ok()?;
    numbers.try_into().ok()
}

fn home(word: &str) -> Option<Home> {
    let [tenant, account] = numbers(word, ':')?;
    Some(Home { tenant, account })
}

fn message(word: &str) -> Option<Message> {
    let [number, size] = numbers(word, '/')?;
    Some(Message { number: number.try_into().ok()?, size: size.try_into().ok()? })
}

fn place(word: &str) -> Option<Place> {
    let [account, mailbox, uid, email] = numbers(word, ':')?;
    Some(Place { account, mailbox, uid: uid.try_into().ok()?, email })
}

fn operation(words: &[&str]) -> Option<Operation> {
    match words {
        ["deliver", first, rest @ ..] => Some(Operation::Deliver(
            message(first)?,
            rest.iter().map(|word| home(word)).collect::<Option<_>>()?,
        )),
        ["append", first, rest @ ..] => Some(Operation::Append(
            home(first)?,
            rest.iter().map(|word| message(word)).collect::<Option<_>>()?,
        )),
        ["copy", at, what, uid] => Some(Operation::Copy(home(at)?, message(what)?, uid.parse().ok()?)),
        ["expunge", at, what, uid] => Some(Operation::Expunge(home(at)?, message(what)?, uid.parse().ok()?)),
        _ => None,
    }
}

impl FromStr for Note {
    type Err = NoteError;
    fn from_str(line: &str) -> Result<Self, NoteError> {
        let words: Vec<&str> = line.split(' ').collect();
        let note = match words[..] {
            ["begin", number, ref rest @ ..] => number
                .parse()
                .ok()
                .zip(operation(rest))
                .map(|(number, operation)| Self::Begin(number, operation)),
            ["done", number, ref rest @ ..] => {
                let places = rest.iter().map(|word| place(word)).collect::<Option<_>>();
                number.parse().ok().zip(places).map(|(number, places)| Self::Done(number, places))
            }
            ["object", what, key] => message(what).map(|message| Self::Object(message, key.to_owned())),
            _ => None,
        };
        note.ok_or_else(|| NoteError(line.to_owned()))
    }
}

/// Prints a note with one `write`, past every buffer.
fn say(note: &Note) {
    let line = format!("{note}\n");
    let written = rustix::io::write(io::stdout().as_fd(), line.as_bytes());
    assert_eq!(written.ok(), Some(line.len()), "standard output takes a line at once");
}

/// What one process does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// The data folder.
    pub folder: PathBuf,
    /// Decides what is done.
    pub seed: u64,
    /// 1 for the first process on the folder, 2 for the next.
    pub generation: u16,
    /// How many work side by side.
    pub workers: u32,
    /// How many operations each of them does.
    pub each: u32,
    /// How many of 100 small messages are noise, which fills the log.
    pub noise: u64,
    /// When an operation is acknowledged.
    pub acknowledge: Acknowledge,
    /// Deliveries that earlier processes began and did not acknowledge: peers try again.
    pub repeat: Vec<(u32, Operation)>,
}

/// When an operation is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledge {
    /// After the store said that it is done.
    Done,
    /// Inside the transaction, before its COMMIT: a mistake, for a rig that must find it.
    Early,
}

impl Load {
    /// The arguments that [`Load::from_args`] reads.
    pub fn to_args(&self) -> Vec<String> {
        let numbers = [self.seed, self.generation.into(), self.workers.into(), self.each.into(), self.noise];
        let mut args = vec![self.folder.display().to_string()];
        args.extend(numbers.iter().map(ToString::to_string));
        args.push(if self.acknowledge == Acknowledge::Early { "early" } else { "done" }.into());
        args.extend(self.repeat.iter().map(|(number, operation)| format!("begin {number} {operation}")));
        args
    }

    /// `FOLDER SEED GENERATION WORKERS EACH NOISE done|early [NOTE]…`; `None` if they are not that.
    pub fn from_args(args: &[String]) -> Option<Self> {
        let [folder, seed, generation, workers, each, noise, acknowledge, repeat @ ..] = args else {
            return None;
        };
        let acknowledge = match acknowledge.as_str() {
            "done" => Acknowledge::Done,
            "early" => Acknowledge::Early,
            _ => return None,
        };
        let begun = |line: &String| match line.parse() {
            Ok(Note::Begin(number, operation)) => Some((number, operation)),
            _ => None,
        };
        Some(Self {
            folder: folder.into(),
            seed: seed.parse().ok()?,
            generation: generation.parse().ok()?,
            workers: workers.parse().ok()?,
            each: each.parse().ok()?,
            noise: noise.parse().ok()?,
            acknowledge,
            repeat: repeat.iter().map(begun).collect::<Option<_>>()?,
        })
    }

    /// Opens the store, does the work, closes the store. To be run by a process of its own.
    pub fn run(&self) {
        self.run_through(async |_| ());
    }

    /// The same, with deliveries through peers. What `prepare` makes of the installation gives
    /// each worker a peer of its own.
    pub fn run_through<M: Peers>(&self, prepare: impl AsyncFnOnce(&Installation) -> M) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let installation = Arc::new(
            Installation::open(&runtime, &self.folder, self.seed, self.generation).expect("it opens"),
        );
        runtime.block_on(async {
            let peers = prepare(&installation).await;
            self.work(&installation, &peers).await;
        });
        installation.store.close();
    }

    async fn work(&self, installation: &Arc<Installation>, peers: &impl Peers) {
        let mut peer = peers.peer().await;
        for (number, operation) in &self.repeat {
            self.carry_out(installation, peer.as_deref_mut(), *number, operation).await;
        }
        let mut rng = Rng::new(self.seed.wrapping_add(u64::from(self.generation) << 32));
        let mut workers = Vec::new();
        for number in 0..self.workers {
            let worker = Worker {
                load: self.clone(),
                number,
                rng: rng.fork(),
                peer: peers.peer().await,
                inbox: Vec::new(),
                large: None,
            };
            workers.push(tokio::spawn(worker.run(Arc::clone(installation))));
        }
        for worker in workers {
            worker.await.expect("no worker panics");
        }
    }

    /// Announces an operation, carries it out and acknowledges it.
    async fn carry_out(
        &self,
        installation: &Installation,
        peer: Option<&mut (dyn Peer + 'static)>,
        number: u32,
        operation: &Operation,
    ) -> Vec<Place> {
        say(&Note::Begin(number, operation.clone()));
        let early = self.acknowledge == Acknowledge::Early;
        let before_commit = move |places: &[Place]| {
            if early {
                say(&Note::Done(number, places.to_vec()));
            }
        };
        let places = match (operation, peer) {
            (Operation::Deliver(message, homes), Some(peer)) => {
                peer.deliver(*message, message.content(self.seed), homes).await;
                Vec::new()
            }
            _ => {
                installation.carry_out(operation, before_commit).await.expect("the load is within all limits")
            }
        };
        if !early {
            say(&Note::Done(number, places.clone()));
        }
        if let (Operation::Deliver(message, homes), Some(place)) = (operation, places.first())
            && let Some(home) = homes.iter().find(|home| home.account == place.account)
            && let Some(Placement::Object(key)) = installation.placement(*home, place.email).await
        {
            say(&Note::Object(*message, key.to_string()));
        }
        places
    }
}

/// What a peer does, until it has its acknowledgement.
pub type Delivering<'p> = Pin<Box<dyn Future<Output = ()> + Send + 'p>>;

/// A mail server that sends us mail.
pub trait Peer: Send {
    /// Delivers a message to each of `homes`. Its acknowledgement does not say where it is.
    ///
    /// # Panics
    /// If it is not acknowledged.
    fn deliver<'p>(&'p mut self, message: Message, content: Vec<u8>, homes: &'p [Home]) -> Delivering<'p>;
}

/// Who makes peers.
pub trait Peers {
    /// A peer, if deliveries are made by one.
    fn peer(&self) -> impl Future<Output = Option<Box<dyn Peer>>>;
}

/// Deliveries go straight to the store.
impl Peers for () {
    async fn peer(&self) -> Option<Box<dyn Peer>> {
        None
    }
}

/// One client after another.
struct Worker {
    load: Load,
    number: u32,
    rng: Rng,
    peer: Option<Box<dyn Peer>>,
    /// What it delivered to one account and has not expunged.
    inbox: Vec<(Home, Message, u32)>,
    /// A large message, and who has it.
    large: Option<(Message, Home)>,
}

impl Worker {
    async fn run(mut self, installation: Arc<Installation>) {
        for step in 0..self.load.each {
            let number = u32::from(self.load.generation) * 1_000_000 + self.number * 1_000 + step;
            let operation = self.choose(number, step);
            let peer = self.peer.as_deref_mut();
            let places = self.load.carry_out(&installation, peer, number, &operation).await;
            if let (Operation::Deliver(message, homes), [place]) = (&operation, &places[..]) {
                match (message.size < NOISE_FROM, &homes[..]) {
                    (true, [home]) => self.inbox.push((*home, *message, place.uid)),
                    (false, [home]) => self.large = Some((*message, *home)),
                    _ => {}
                }
            }
        }
    }

    fn choose(&mut self, number: u32, step: u32) -> Operation {
        let homes = Home::all();
        let home = *self.rng.pick(&homes);
        // The first messages of all workers make the first folders of objects at the same time.
        let choice = if step == 0 { 60 } else { self.rng.below(100) };
        match choice {
            0..42 => Operation::Deliver(self.small(number, 0), vec![home]),
            42..57 => {
                let size = self.rng.range(16_384..61_440) as u32 / 10 * 10;
                let mut several = homes;
                self.rng.shuffle(&mut several);
                several.truncate(self.rng.range(2..6) as usize);
                Operation::Deliver(Message { number: number * 4, size }, several)
            }
            57..63 => {
                let size = self.rng.range(900_000..1_150_000) as u32;
                Operation::Deliver(Message { number: number * 4, size }, vec![home])
            }
            63..68 => match self.large.take() {
                // The same content to a neighbour, who shares the object.
                Some((message, had)) => {
                    let account = had.tenant * 10 + (had.account + 1) % 10 % 4;
                    Operation::Deliver(message, vec![Home { account, ..had }])
                }
                None => Operation::Deliver(self.small(number, 0), vec![home]),
            },
            68..80 => {
                let count = self.rng.range(1..4) as u32;
                Operation::Append(home, (0..count).map(|n| self.small(number, n)).collect())
            }
            _ => match self.inbox.pop() {
                Some((home, message, uid)) if choice < 90 => Operation::Copy(home, message, uid),
                Some((home, message, uid)) => Operation::Expunge(home, message, uid),
                None => Operation::Deliver(self.small(number, 0), vec![home]),
            },
        }
    }

    fn small(&mut self, number: u32, n: u32) -> Message {
        let number = number * 4 + n;
        let noise = self.rng.chance(self.load.noise);
        let size = if noise { self.rng.range(2_000..6_000) * 10 + 7 } else { self.rng.range(100..600) * 10 };
        Message { number, size: size as u32 }
    }
}

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "one for each kind of operation")]
pub enum Failed {
    #[error(transparent)]
    Deliver(#[from] DeliverError),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Copy(#[from] CopyError),
    #[error(transparent)]
    Store(#[from] hikyaku_store::StoreError),
    #[error(transparent)]
    Content(#[from] hikyaku_store::ContentError),
}

/// An open data folder.
#[derive(Debug)]
pub struct Installation {
    /// The databases.
    pub store: Arc<Store>,
    /// The content.
    pub content: Arc<Content>,
    /// Ids above all that are stored.
    pub ids: Arc<RisingIds>,
    /// Noon of one day in the first processes, of later ones in the next.
    pub clock: Arc<ManualClock>,
    seed: u64,
    random: SeededRandom,
    _lock: DataLock,
}

impl Installation {
    /// What a start of the server does: locks the folder, migrates, opens, goes on with ids.
    ///
    /// # Errors
    /// The first step that failed, in words.
    pub fn open(runtime: &Runtime, folder: &Path, seed: u64, generation: u16) -> Result<Self, String> {
        let words = |what: &'static str| move |error: &dyn fmt::Display| format!("{what}: {error}");
        let lock = DataLock::take(folder).map_err(|error| words("lock")(&error))?;
        let location = Location::Folder(folder.to_owned());
        let options = Options { readers: 1, ..Options::default() };
        Store::migrate(&location, &options, &COMPONENTS).map_err(|error| words("migrate")(&error))?;
        let store = Store::open(&location, &options, &COMPONENTS, &mut Registry::default())
            .map_err(|error| words("open")(&error))?;
        let objects = Objects::folder(&folder.join("objects")).map_err(|error| words("objects")(&error))?;
        // Keys of objects are used once, so every process draws other ones.
        let random = SeededRandom::new(seed.wrapping_mul(1_000).wrapping_add(generation.into()));
        runtime
            .block_on(store.open_key_ring(&folder.join("key-ring"), &random))
            .map_err(|error| words("key ring")(&error))?;
        let content = runtime
            .block_on(Content::open(&store, objects, &random))
            .map_err(|error| words("content")(&error))?;
        let noon = Timestamp::from_secs(1_795_521_600);
        let clock = ManualClock::at(noon.after(Duration::from_secs(86_400 * u64::from(generation / 2))));
        let ids = RisingIds::new(NodeId::new(1).expect("1 is a node"));
        let scope = || Scope::service(&DELIVERY, SHARD, None).expect("a service");
        let now = clock.now();
        let last = async {
            store
                .write(scope(), "crash.partitions", move |tx| hikyaku_trace::make_partitions(tx, now))
                .await?;
            let email = store.read(scope(), "crash.ids", account::last_ids).await?;
            Ok(store.read(scope(), "crash.ids", hikyaku_trace::last_id).await?.max(email))
        };
        let last = runtime.block_on(last).map_err(|error: hikyaku_store::StoreError| words("ids")(&error))?;
        ids.start_above(last);
        Ok(Self {
            store: Arc::new(store),
            content: Arc::new(content),
            ids: Arc::new(ids),
            clock: Arc::new(clock),
            seed,
            random,
            _lock: lock,
        })
    }

    /// Carries out an operation. `before_commit` is called in the transaction, with its result.
    ///
    /// # Errors
    /// [`Failed`].
    pub async fn carry_out(
        &self,
        operation: &Operation,
        before_commit: impl Fn(&[Place]) + Send + 'static,
    ) -> Result<Vec<Place>, Failed> {
        match operation {
            Operation::Deliver(message, homes) => self.deliver(*message, homes, before_commit).await,
            Operation::Append(home, messages) => self.append(*home, messages, before_commit).await,
            Operation::Copy(home, _, uid) => self.copy(*home, *uid, before_commit).await,
            Operation::Expunge(home, _, uid) => self.expunge(*home, *uid, before_commit).await,
        }
    }

    fn next_id(&self) -> i64 {
        self.ids.next(self.clock.now())
    }

    async fn deliver(
        &self,
        message: Message,
        homes: &[Home],
        before_commit: impl Fn(&[Place]) + Send + 'static,
    ) -> Result<Vec<Place>, Failed> {
        let delivery = self.delivery(message, homes).await?;
        let scope = Scope::service(&DELIVERY, SHARD, None).expect("a service");
        let done = self.store.write(scope, "crash.deliver", move |tx| {
            let outcomes = deliver(tx, &delivery)?;
            let recipients = delivery.parts.iter().flat_map(|part| &part.recipients);
            let placed = recipients.zip(outcomes).filter_map(|(recipient, outcome)| match outcome {
                Outcome::Delivered(delivered) => Some(Place {
                    account: recipient.account.as_i64(),
                    mailbox: delivered.mailbox.as_i64(),
                    uid: delivered.uid,
                    email: delivered.email.as_i64(),
                }),
                Outcome::Duplicate(_) | Outcome::Full(_) => None,
            });
            let places: Vec<Place> = placed.collect();
            before_commit(&places);
            Ok::<_, DeliverError>(places)
        });
        Ok(done.await?)
    }

    async fn delivery(&self, message: Message, homes: &[Home]) -> Result<Delivery, Failed> {
        let content = message.content(self.seed);
        let (now, hash) = (self.clock.now(), ContentHash::of(&content));
        let mut parts: Vec<TenantPart> = Vec::new();
        for place in homes {
            let home = place.store();
            let recipient = Recipient {
                account: home.account,
                quota: Quota(None),
                target: Target::Mailbox(MailboxId::INBOX),
                flags: Flags::NONE,
                email: EmailId::from_i64(self.next_id()).expect("positive"),
                trace: TraceId::from_i64(self.next_id()).expect("positive"),
                address: place.address(),
                note: None,
                prelude: Prelude::of_lines(format!("Return-Path: <{REVERSE_PATH}>\r\n").into_bytes()),
                key: Some(DeliveryKey::new(REVERSE_PATH, home.account, &hash)),
            };
            match parts.iter_mut().find(|part| part.tenant == home.tenant) {
                Some(part) => part.recipients.push(recipient),
                None => parts.push(TenantPart {
                    tenant: home.tenant,
                    pool: Quota(None),
                    content: self.prepare(home.tenant, &content).await?,
                    content_id: ContentId::from_i64(self.next_id()).expect("positive"),
                    recipients: vec![recipient],
                }),
            }
        }
        Ok(Delivery {
            received_at: now,
            threading: Threading::default(),
            reverse_path: REVERSE_PATH.into(),
            message_id: Some(message.message_id()),
            peer: Some("192.0.2.1".into()),
            parts,
            if_full: IfFull::RefuseAll,
        })
    }

    async fn prepare(&self, tenant: TenantId, content: &[u8]) -> Result<hikyaku_store::Prepared, Failed> {
        let now = self.clock.now();
        Ok(self.content.prepare(&self.store, SHARD, tenant, content, true, now, &self.random).await?)
    }

    async fn append(
        &self,
        home: Home,
        messages: &[Message],
        before_commit: impl Fn(&[Place]) + Send + 'static,
    ) -> Result<Vec<Place>, Failed> {
        let mut appended = Vec::new();
        for message in messages {
            appended.push(AppendedEmail {
                content: self.prepare(home.store().tenant, &message.content(self.seed)).await?,
                content_id: ContentId::from_i64(self.next_id()).expect("positive"),
                email: EmailId::from_i64(self.next_id()).expect("positive"),
                threading: Threading::default(),
                received_at: self.clock.now(),
                flags: Flags::DRAFT,
                keywords: Keywords::default(),
            });
        }
        let now = self.clock.now();
        let scope = Scope::account(&owner(home.store()), home.store()).expect("the owner");
        let done = self.store.write(scope, "crash.append", move |tx| {
            account::create_account(tx, now)?;
            let (_, uids) = append(tx, DRAFTS, &appended, (Quota(None), Quota(None)), now)?;
            let placed = uids.iter().zip(&appended);
            let place = |(uid, message): (&u32, &AppendedEmail)| place_in(home, DRAFTS, *uid, message.email);
            let places: Vec<Place> = placed.map(place).collect();
            before_commit(&places);
            Ok::<_, AppendError>(places)
        });
        Ok(done.await?)
    }

    async fn copy(
        &self,
        home: Home,
        uid: u32,
        before_commit: impl Fn(&[Place]) + Send + 'static,
    ) -> Result<Vec<Place>, Failed> {
        let now = self.clock.now();
        let scope = Scope::account(&owner(home.store()), home.store()).expect("the owner");
        let done = self.store.write(scope, "crash.copy", move |tx| {
            let source = entry::find_entries(tx, MailboxId::INBOX, &[uid])?;
            let copied = entry::copy(tx, MailboxId::INBOX, &[uid], ARCHIVE, (Quota(None), Quota(None)), now)?;
            let pairs = copied.uids.iter().zip(&source);
            let places: Vec<Place> =
                pairs.map(|((_, uid), entry)| place_in(home, ARCHIVE, *uid, entry.email)).collect();
            before_commit(&places);
            Ok::<_, CopyError>(places)
        });
        Ok(done.await?)
    }

    async fn expunge(
        &self,
        home: Home,
        uid: u32,
        before_commit: impl Fn(&[Place]) + Send + 'static,
    ) -> Result<Vec<Place>, Failed> {
        let now = self.clock.now();
        let scope = Scope::account(&owner(home.store()), home.store()).expect("the owner");
        let done = self.store.write(scope, "crash.expunge", move |tx| {
            entry::expunge(tx, MailboxId::INBOX, &[uid], now)?;
            before_commit(&[]);
            Ok::<_, hikyaku_store::StoreError>(Vec::new())
        });
        Ok(done.await?)
    }

    async fn placement(&self, home: Home, email: i64) -> Option<Placement> {
        let id = EmailId::from_i64(email)?;
        let scope = Scope::account(&owner(home.store()), home.store()).expect("the owner");
        let found = self.store.read(scope, "crash.placement", move |tx| email::emails(tx, &[id])).await;
        Some(found.expect("emails can be read").pop()?.placement)
    }
}

fn place_in(home: Home, mailbox: MailboxId, uid: u32, email: EmailId) -> Place {
    Place { account: home.account, mailbox: mailbox.as_i64(), uid, email: email.as_i64() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_and_arguments_come_back() {
        let lines = [
            "begin 7 deliver 28/1000 1:10 2:21",
            "begin 8 append 1:10 32/100 33/200",
            "begin 9 copy 1:10 28/1000 5",
            "begin 10 expunge 1:10 28/1000 5",
            "done 7 10:1:5:99 21:1:1:100",
            "done 10",
            "object 28/1000 20261124/ab/cd",
        ];
        for line in lines {
            assert_eq!(line.parse::<Note>().unwrap().to_string(), line);
        }
        for line in ["", "done", "begin 1 deliver 2", "begin 7 copy 1:10 28/1000", "done 7 1:2", "hello"] {
            assert!(line.parse::<Note>().is_err(), "{line}");
        }
        let Ok(Note::Begin(number, operation)) = lines[0].parse() else { panic!("a note") };
        let load = Load {
            folder: "/data".into(),
            seed: 3,
            generation: 2,
            workers: 4,
            each: 5,
            noise: 6,
            acknowledge: Acknowledge::Early,
            repeat: vec![(number, operation)],
        };
        assert_eq!(Load::from_args(&load.to_args()), Some(load));
    }

    #[test]
    fn a_content_tells_its_number() {
        for (number, size) in [(1, 10), (40_000_123, 3_000), (9, 700_000), (12, 4_007)] {
            let content = Message { number, size }.content(1);
            assert_eq!(Message::number_of(&content), Some(number));
            assert!(content.len() >= size as usize, "{number}/{size}");
        }
        assert_eq!(Message::number_of(b"Subject: x"), None);
        let bytes = b"12.crash@example.com a34.crash@example.com.crash@example.com";
        assert_eq!(Message::named_in(bytes), [12, 34]);
    }
}
