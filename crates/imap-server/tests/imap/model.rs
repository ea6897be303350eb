//! Several clients at random on one account; a model of each applies every response to what
//! it knows, and is compared with what the server says when asked.
//!
//! A seed decides what the clients do: `HIKYAKU_TEST_SEED=… cargo nextest run -p
//! hikyaku-imap-server model` repeats it, `HIKYAKU_TEST_SEEDS` says how many seeds `make soak`
//! runs. Most steps are one client's; some are sent by all
//! before anybody reads, so that sessions also run side by side.
//!
//! Mailboxes are created, renamed (INBOX too) and deleted while others have them open. Who has
//! a renamed one open goes on unharmed; who has a deleted one open is told BYE with the next
//! command, or at once while idling. IDLE is held over many steps: what it tells is applied in
//! order, and each change is told once.
//!
//! One client is plain, one uses CONDSTORE and COMPRESS, two use QRESYNC: they remember a mailbox when they
//! leave it or lose the connection, and what they are told when they come again must make
//! what they remember true.

mod tree;

use std::collections::{BTreeMap, BTreeSet};

use hikyaku_testkit::{Rng, TestStore, both_engines};

use crate::client::Client;
use crate::server::Server;
use tree::{Change, Tree, validity_in};

both_engines! { clients_know_what_they_were_told }

const CLIENTS: usize = 4;
const DELETED: &str = "* BYE Mailbox was deleted by another session";
const FLAGS: [&str; 5] = ["\\Seen", "\\Flagged", "\\Deleted", "\\Answered", "work"];
/// Beyond so many messages the clients rather expunge.
const MANY: usize = 30;

fn clients_know_what_they_were_told(mail: TestStore) {
    run(mail, chosen_seed().unwrap_or(1), 250);
}

mod soak {
    use hikyaku_testkit::TestStore;

    #[test]
    #[ignore = "takes minutes: run by `make soak`"]
    fn soak_clients_know_what_they_were_told() {
        let count = std::env::var("HIKYAKU_TEST_SEEDS").map_or(30, |count| count.parse().expect("a number"));
        let seeds = super::chosen_seed().map_or(100..100 + count, |seed| seed..seed + 1);
        for seed in seeds {
            super::run(TestStore::sqlite(), seed, 1_500);
            super::run(TestStore::postgres(), seed, 500);
        }
    }
}

fn chosen_seed() -> Option<u64> {
    std::env::var("HIKYAKU_TEST_SEED").ok().map(|seed| seed.parse().expect("a seed is a number"))
}

/// Texts of the messages that were appended: by UIDVALIDITY, which no two mailboxes share, and
/// UID.
type Contents = BTreeMap<(u32, u32), u64>;

/// A message as a client knows it.
#[derive(Debug, Clone, Default)]
struct Known {
    uid: Option<u32>,
    flags: Option<BTreeSet<String>>,
    /// The highest that was told of it.
    modseq: Option<u64>,
}

/// What a client makes use of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    CondStore,
    QResync,
}

/// What a client keeps of a mailbox that it does not have open.
#[derive(Debug, Clone)]
struct Memory {
    validity: u32,
    modseq: u64,
    /// By UID.
    flags: BTreeMap<u32, Option<BTreeSet<String>>>,
}

struct Player {
    client: Client,
    style: Style,
    /// As it was called when the client opened it, or as the client heard.
    mailbox: String,
    messages: Vec<Known>,
    validity: u32,
    /// The highest that was told, or what a tagged answer said to go by.
    modseq: u64,
    memory: BTreeMap<String, Memory>,
    /// IDLE is held: its tag, and the modseq that was known when it began. What IDLE told is
    /// complete only at its end.
    idle: Option<(String, u64)>,
    /// BYE was told, as the mailbox is gone.
    is_out: bool,
}

/// A command and what the client makes of its success.
struct Command {
    text: String,
    /// EXPUNGE may be told in answer to it.
    may_expunge: bool,
    effect: Effect,
}

enum Effect {
    Nothing,
    /// Messages were put into a mailbox.
    Append(String, Vec<u64>),
    /// Messages went to a mailbox.
    Copy(String),
    /// Mailboxes were changed.
    Tree,
    /// IDLE begins, and is held.
    Hold,
    /// Flags of messages were changed, and the server was asked to be silent.
    Silent(Vec<usize>, char, BTreeSet<String>),
}

fn run(mail: TestStore, seed: u64, steps: u32) {
    let server = Server::new(mail);
    let mut rng = Rng::new(seed);
    let mut contents = Contents::new();
    let mut tree = Tree::new(server.sign_in());
    let styles = [Style::Plain, Style::CondStore, Style::QResync, Style::QResync];
    let mut players: Vec<Player> = styles.map(|style| Player::new(&server, style)).into();
    for step in 0..steps {
        let at_once = rng.chance(25);
        let turn = rng.below(CLIENTS as u64) as usize;
        let change = if rng.chance(8) { tree.choose(&mut rng) } else { None };
        if change.is_some() {
            players[turn].end_idle(&format!("seed {seed}, step {step}, client {turn}: DONE"));
        }
        let is_alone = !at_once || change.as_ref().is_some_and(Change::is_of_inbox);
        let acting: Vec<usize> = if is_alone { vec![turn] } else { (0..CLIENTS).collect() };
        // Who idles goes on with it, most often.
        let acting: Vec<usize> =
            acting.into_iter().filter(|index| players[*index].idle.is_none() || rng.chance(25)).collect();
        let commands: Vec<Command> = acting
            .iter()
            .map(|index| match &change {
                Some(change) if *index == turn => {
                    Command { text: change.command(), may_expunge: true, effect: Effect::Tree }
                }
                _ => players[*index].choose(&tree, &mut rng, u64::from(step) * 10 + *index as u64),
            })
            .collect();
        let inbox = match &change {
            Some(change) if change.is_of_inbox() => tree.messages("INBOX"),
            _ => Vec::new(),
        };
        let tags: Vec<String> = acting
            .iter()
            .zip(&commands)
            .map(|(index, command)| players[*index].begin(&format!("m{step} "), command))
            .collect();
        for ((index, command), tag) in acting.iter().zip(commands).zip(tags) {
            let context = format!("seed {seed}, step {step}, client {index}: {}", command.text);
            players[*index].read(&tag, command, (&tree, change.as_ref()), &mut contents, &context);
        }
        if let Some(change) = &change {
            let context = format!("seed {seed}, step {step}, client {turn}: {change:?}");
            let before = tree.validity_of(change.command().split(' ').nth(1).unwrap_or_default());
            tree.settle(change, &context);
            if let (true, Change::Rename(_, to)) = (change.is_of_inbox(), change) {
                tree.inbox_moved(&inbox, to, &mut contents, &context);
            }
            for (index, player) in players.iter_mut().enumerate() {
                player.hear_of(change, index == turn, &mut rng);
                if matches!(change, Change::Delete(_)) && Some(player.validity) == before {
                    let context = format!("{context}, and client {index} has it open");
                    player.outlive(index == turn, is_alone, &context);
                    if player.is_out {
                        player.connect_again(&server);
                    }
                    player.select(&tree.pick(&mut rng).0, &mut rng, &context);
                }
            }
        }
        if rng.chance(30) {
            let context = format!("seed {seed}, after step {step}, client {turn}");
            match players[turn].idle {
                Some(_) => players[turn].catch_up(&mut tree, &context),
                None => players[turn].compare(&tree, &contents, &context),
            }
        }
        if rng.chance(8) {
            let context = format!("seed {seed}, after step {step}, client {turn} comes again");
            let (mailbox, _) = tree.pick(&mut rng);
            if rng.chance(50) {
                players[turn].connect_again(&server);
            }
            players[turn].end_idle(&context);
            players[turn].select(&mailbox, &mut rng, &context);
            players[turn].compare(&tree, &contents, &context);
        }
    }
    for (index, player) in players.iter_mut().enumerate() {
        let context = format!("seed {seed}, at the end, client {index}");
        player.end_idle(&context);
        player.compare(&tree, &contents, &context);
    }
}

impl Player {
    fn new(server: &Server, style: Style) -> Self {
        let mut player = Self {
            client: server.connect(),
            style,
            mailbox: "INBOX".to_owned(),
            messages: Vec::new(),
            validity: 0,
            modseq: 0,
            memory: BTreeMap::new(),
            idle: None,
            is_out: false,
        };
        player.connect_again(server);
        player.memory.clear();
        player.select("INBOX", &mut Rng::new(0), "SELECT");
        player
    }

    /// Loses the connection.
    fn connect_again(&mut self, server: &Server) {
        if let Some((_, modseq)) = self.idle.take() {
            self.modseq = modseq;
        }
        self.remember();
        self.is_out = false;
        self.client = server.sign_in();
        if self.style == Style::QResync {
            self.client.ok("ENABLE QRESYNC");
        }
        if self.style == Style::CondStore {
            self.client.ok("COMPRESS DEFLATE");
            self.client.compress();
        }
    }

    fn remember(&mut self) {
        let flags = self.messages.drain(..).filter_map(|message| Some((message.uid?, message.flags)));
        let memory = Memory { validity: self.validity, modseq: self.modseq, flags: flags.collect() };
        self.memory.insert(self.mailbox.clone(), memory);
    }

    fn select(&mut self, mailbox: &str, rng: &mut Rng, context: &str) {
        if !self.messages.is_empty() {
            self.remember();
        }
        (self.mailbox, self.messages, self.modseq) = (mailbox.to_owned(), Vec::new(), 0);
        let known = self.memory.remove(mailbox).filter(|_| self.style == Style::QResync);
        let parameter = match (&known, self.style) {
            (Some(known), _) => format!(" (QRESYNC ({}))", known.parameter(rng)),
            (None, Style::CondStore) => " (CONDSTORE)".to_owned(),
            (None, _) => String::new(),
        };
        let told = self.client.ok(format!("SELECT {mailbox}{parameter}"));
        let context = format!("{context}: SELECT{parameter}");
        for line in told.lines() {
            if let Some(code) = code(&line, "UIDVALIDITY") {
                self.validity = code[0].parse().expect("a number");
            }
            if let Some(code) = code(&line, "HIGHESTMODSEQ") {
                self.modseq = code[0].parse().expect("a number");
            }
        }
        match known {
            Some(known) if known.validity == self.validity => self.resume(known, &told.lines(), &context),
            // What is remembered, if anything, is of another mailbox of this name: it is told
            // like one that nothing is known of.
            _ => {
                let text = told.untagged_text();
                assert!(!text.contains("VANISHED") && !text.contains(" FETCH "), "{context}: {text}");
                told.untagged.iter().for_each(|response| self.apply(response, true, &context));
            }
        }
    }

    /// Makes what was remembered true by what was told.
    fn resume(&mut self, mut known: Memory, told: &[String], context: &str) {
        let mut numbers_told = Vec::new();
        for line in told {
            if let Some(vanished) = line.strip_prefix("* VANISHED (EARLIER) ") {
                known.flags.retain(|uid, _| !numbers(vanished).contains(uid));
            } else if let Some((number, items)) = line.trim_start_matches("* ").split_once(" FETCH ") {
                let uid = uid_in(items).expect("QRESYNC tells UIDs");
                assert!(modseq_in(items).is_some_and(|modseq| modseq > known.modseq), "{context}: {line}");
                known.flags.insert(uid, flags_in(items));
                numbers_told.push((number.parse::<usize>().expect("a number"), uid));
            }
        }
        // What it never heard of it asks for.
        let there = self.client.ok("UID SEARCH ALL").untagged_text();
        let there = there.strip_prefix("* SEARCH").expect("an answer").split_whitespace();
        let there: Vec<u32> = there.map(|uid| uid.parse().expect("a UID")).collect();
        for uid in known.flags.keys() {
            assert!(there.contains(uid), "{context}: nobody told that {uid} is gone");
        }
        for (number, uid) in numbers_told {
            assert_eq!(there[number - 1], uid, "{context}");
        }
        let message = |uid| Known { uid: Some(uid), flags: known.flags.remove(&uid).flatten(), modseq: None };
        self.messages = there.into_iter().map(message).collect();
    }

    fn choose(&self, tree: &Tree, rng: &mut Rng, number: u64) -> Command {
        let count = self.messages.len();
        let (to, _) = tree.pick(rng);
        let plain = |text: String, may_expunge| Command { text, may_expunge, effect: Effect::Nothing };
        if count == 0 || (rng.chance(25) && count < MANY) {
            // Several at once now and then (RFC 3502).
            let appended: Vec<u64> = (0..*rng.pick(&[1, 1, 3])).map(|more| number * 10 + more).collect();
            let mut text = format!("APPEND {to}");
            for number in &appended {
                let content = content(*number);
                let flags = if rng.chance(30) { " (\\Seen work)" } else { "" };
                text += &format!("{flags} {{{}+}}\r\n{content}", content.len());
            }
            return Command { text, may_expunge: true, effect: Effect::Append(to, appended) };
        }
        let by_uid = rng.chance(50) && self.messages.iter().all(|message| message.uid.is_some());
        let (set, positions) = self.some(rng, by_uid);
        let uid = if by_uid { "UID " } else { "" };
        if self.style != Style::Plain && rng.chance(15) {
            let since = *rng.pick(&[1, self.modseq, self.modseq + 1000]);
            let vanished = by_uid && self.style == Style::QResync && rng.chance(50);
            let vanished = if vanished { " VANISHED" } else { "" };
            return match rng.chance(50) {
                true => {
                    plain(format!("{uid}FETCH {set} (UID FLAGS) (CHANGEDSINCE {since}{vanished})"), by_uid)
                }
                false => {
                    plain(format!("{uid}STORE {set} (UNCHANGEDSINCE {since}) +FLAGS (\\Answered)"), by_uid)
                }
            };
        }
        if rng.chance(8) {
            return Command { text: "IDLE".into(), may_expunge: true, effect: Effect::Hold };
        }
        match rng.below(if count < MANY { 10 } else { 13 }) {
            0 | 1 => self.store(rng, uid, &set, positions),
            2 => plain(format!("{uid}FETCH {set} (UID FLAGS)"), by_uid),
            3 => plain(format!("{uid}FETCH {set} (UID BODY[TEXT])"), by_uid),
            4 => plain(format!("{uid}SEARCH OR FLAGGED {set}"), by_uid),
            5 => {
                Command { text: format!("{uid}COPY {set} {to}"), may_expunge: true, effect: Effect::Copy(to) }
            }
            6 => {
                Command { text: format!("{uid}MOVE {set} {to}"), may_expunge: true, effect: Effect::Copy(to) }
            }
            7 => plain("NOOP".into(), true),
            8 => plain("IDLE\r\nDONE".into(), true),
            9 if by_uid => plain(format!("UID EXPUNGE {set}"), true),
            _ => plain("EXPUNGE".into(), true),
        }
    }

    /// A set of one to three ranges, and the positions that it names.
    fn some(&self, rng: &mut Rng, by_uid: bool) -> (String, Vec<usize>) {
        let mut positions = BTreeSet::new();
        let mut set = Vec::new();
        for _ in 0..rng.range(1..4) {
            let first = rng.below(self.messages.len() as u64) as usize;
            let last = (first + rng.below(6) as usize).min(self.messages.len() - 1);
            positions.extend(first..=last);
            let number = |position: usize| match by_uid {
                true => u64::from(self.messages[position].uid.expect("known")),
                false => position as u64 + 1,
            };
            set.push(format!("{}:{}", number(first), number(last)));
        }
        (set.join(","), positions.into_iter().collect())
    }

    fn store(&self, rng: &mut Rng, uid: &str, set: &str, positions: Vec<usize>) -> Command {
        let flags: BTreeSet<String> =
            FLAGS.iter().filter(|_| rng.chance(35)).map(|flag| (*flag).to_owned()).collect();
        let list = flags.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        let sign = *rng.pick(&['+', '-', ' ']);
        let silent = rng.chance(50);
        let name = if silent { "FLAGS.SILENT" } else { "FLAGS" };
        let text = format!("{uid}STORE {set} {}{name} ({list})", sign.to_string().trim());
        let effect = if silent { Effect::Silent(positions, sign, flags) } else { Effect::Nothing };
        Command { text, may_expunge: !uid.is_empty(), effect }
    }

    /// Sends a command, or ends IDLE if it is held. The tag of what is answered next is returned.
    fn begin(&mut self, tag: &str, command: &Command) -> String {
        match &self.idle {
            Some((idle, _)) => {
                let idle = idle.clone();
                self.client.send(b"DONE\r\n");
                idle
            }
            None => {
                self.client.send(format!("{tag}{}\r\n", command.text).as_bytes());
                tag.to_owned()
            }
        }
    }

    /// Reads the answer to a command that was sent, while `change` was made to the mailboxes.
    fn read(
        &mut self,
        tag: &str,
        mut command: Command,
        (tree, change): (&Tree, Option<&Change>),
        contents: &mut Contents,
        context: &str,
    ) {
        if self.idle.is_some() {
            command = Command { text: "DONE".into(), may_expunge: true, effect: Effect::Nothing };
        }
        // What a client asked to be silent about it does itself, at once: what the server
        // tells in the same answer is newer.
        if let Effect::Silent(positions, sign, flags) = &command.effect {
            self.change(positions, *sign, flags);
        }
        let touches = |name: &str| change.is_some_and(|change| change.touches(name));
        let may_fail = match &command.effect {
            Effect::Append(to, _) | Effect::Copy(to) => touches(to),
            _ => false,
        };
        let is_deleted =
            matches!(change, Some(Change::Delete(_))) && tree.name_of(self.validity).is_some_and(touches);
        loop {
            let response = self.client.response();
            let text = String::from_utf8_lossy(&response).into_owned();
            if text == DELETED {
                assert!(is_deleted, "{context}: {text}");
                self.is_out = true;
                return;
            }
            let answer = text.strip_prefix(tag).unwrap_or(&text);
            let failed = answer.starts_with("NO") || answer.starts_with("BAD");
            assert!(!failed || may_fail || is_deleted, "{context}: {text}");
            match &command.effect {
                Effect::Append(to, appended) => {
                    if let Some(code) = code(answer, "APPENDUID") {
                        let validity = validity_in(answer, "APPENDUID").expect("it is there");
                        assert!(touches(to) || tree.validity_of(to) == Some(validity), "{context}: {text}");
                        let uids = numbers(code[1]);
                        assert_eq!(uids.len(), appended.len(), "{context}: {text}");
                        let keys = uids.into_iter().map(|uid| (validity, uid));
                        contents.extend(keys.zip(appended.iter().copied()));
                    }
                }
                Effect::Copy(to) => {
                    if let Some(code) = code(answer, "COPYUID") {
                        let validity = validity_in(answer, "COPYUID").expect("it is there");
                        assert!(touches(to) || tree.validity_of(to) == Some(validity), "{context}: {text}");
                        for (from, copy) in numbers(code[1]).into_iter().zip(numbers(code[2])) {
                            let content = contents[&(self.validity, from)];
                            contents.insert((validity, copy), content);
                        }
                    }
                }
                Effect::Hold if text == "+ idling" => {
                    self.idle = Some((tag.to_owned(), self.modseq));
                    return;
                }
                Effect::Nothing | Effect::Silent(..) | Effect::Tree | Effect::Hold => {}
            }
            if let Some(code) = code(answer, "HIGHESTMODSEQ") {
                self.modseq = code[0].parse().expect("a number");
            }
            if text.starts_with(tag) {
                self.idle = None;
                return;
            }
            self.apply(&response, command.may_expunge, context);
        }
    }

    /// Ends IDLE if it is held, and applies what it told.
    fn end_idle(&mut self, context: &str) {
        let Some((tag, _)) = self.idle.clone() else { return };
        self.client.send(b"DONE\r\n");
        loop {
            let response = self.client.response();
            let text = String::from_utf8_lossy(&response).into_owned();
            if let Some(answer) = text.strip_prefix(&tag) {
                assert!(answer.starts_with("OK"), "{context}: {text}");
                if let Some(code) = code(answer, "HIGHESTMODSEQ") {
                    self.modseq = code[0].parse().expect("a number");
                }
                self.idle = None;
                return;
            }
            self.apply(&response, true, context);
        }
    }

    /// While IDLE is held, waits until it has told of as many messages as there are.
    fn catch_up(&mut self, tree: &mut Tree, context: &str) {
        let name = tree.name_of(self.validity).expect("it is there").to_owned();
        let count = tree.count(&name);
        while self.messages.len() != count {
            let response = self.client.response();
            self.apply(&response, true, context);
        }
    }

    /// Mailboxes were renamed: who did it knows, others may by their MAILBOXID.
    fn hear_of(&mut self, change: &Change, did_it: bool, rng: &mut Rng) {
        if !did_it && rng.chance(50) {
            return;
        }
        if let Some(name) = change.renamed(&self.mailbox) {
            self.mailbox = name;
        }
        let memory = std::mem::take(&mut self.memory);
        let heard = |(name, memory): (String, Memory)| (change.renamed(&name).unwrap_or(name), memory);
        self.memory = memory.into_iter().map(heard).collect();
    }

    /// The open mailbox was deleted. Who did it is in none; another is told BYE with the next
    /// command, or at once while idling. It may also leave without noticing.
    fn outlive(&mut self, did_it: bool, is_alone: bool, context: &str) {
        if did_it {
            return;
        }
        let is_idle = self.idle.is_some();
        // Beside the deletion a command may have been answered before it or behind it.
        if !self.is_out && !is_idle {
            if is_alone && self.validity.is_multiple_of(3) {
                return;
            }
            let text = ["NOOP", "UID FETCH 1:* FLAGS", "UID SEARCH ALL", "EXPUNGE", "IDLE"];
            let text = text[self.messages.len() % text.len()];
            self.client.send(format!("out {text}\r\n").as_bytes());
        }
        while !self.is_out {
            let text = String::from_utf8_lossy(&self.client.response()).into_owned();
            assert!(!text.starts_with("out OK"), "{context}: what is gone is no success: {text}");
            self.is_out = text == DELETED;
        }
        assert_eq!(self.client.line(), None, "{context}");
    }

    fn change(&mut self, positions: &[usize], sign: char, changed: &BTreeSet<String>) {
        for position in positions {
            let Some(flags) = &mut self.messages[*position].flags else { continue };
            match sign {
                '+' => flags.extend(changed.iter().cloned()),
                '-' => flags.retain(|flag| !changed.contains(flag)),
                _ => *flags = changed.clone(),
            }
        }
    }

    /// Applies an untagged response.
    fn apply(&mut self, response: &[u8], may_expunge: bool, context: &str) {
        let text = String::from_utf8_lossy(response);
        let mut words = text.splitn(4, ' ');
        let (Some("*"), Some(number), Some(what)) = (words.next(), words.next(), words.next()) else {
            return;
        };
        if let Some(uids) = text.strip_prefix("* VANISHED ") {
            assert!(self.style == Style::QResync, "{context}: {text}");
            if !uids.starts_with("(EARLIER)") {
                assert!(may_expunge, "{context}: VANISHED where it must wait");
                numbers(uids).into_iter().for_each(|uid| self.forget(uid, context));
            }
            return;
        }
        let Ok(number) = number.parse::<usize>() else { return };
        match what {
            "EXISTS" => {
                assert!(number >= self.messages.len(), "{context}: EXISTS takes messages away");
                assert!(
                    self.idle.is_none() || number > self.messages.len(),
                    "{context}: {number} EXISTS is told twice"
                );
                self.messages.resize(number, Known::default());
            }
            "EXPUNGE" => {
                assert!(self.style != Style::QResync, "{context}: {text}");
                assert!(may_expunge, "{context}: EXPUNGE where it must wait");
                assert!((1..=self.messages.len()).contains(&number), "{context}: EXPUNGE {number}");
                self.messages.remove(number - 1);
            }
            "FETCH" => {
                assert!((1..=self.messages.len()).contains(&number), "{context}: FETCH {number}");
                self.learn(number - 1, words.next().unwrap_or_default(), context);
            }
            _ => {}
        }
    }

    /// A message vanished. If its UID was never told it is one of those between the UIDs that
    /// were, no matter which: the client knows nothing else of it.
    fn forget(&mut self, uid: u32, context: &str) {
        let known = self.messages.iter().position(|message| message.uid == Some(uid));
        let above = self.messages.iter().position(|message| message.uid.is_some_and(|other| other > uid));
        let end = above.unwrap_or(self.messages.len());
        let among = self.messages[..end].iter().rposition(|message| message.uid.is_none());
        let at = known.or(among).unwrap_or_else(|| panic!("{context}: {uid} vanished, and was never there"));
        self.messages.remove(at);
    }

    fn learn(&mut self, position: usize, items: &str, context: &str) {
        let message = &mut self.messages[position];
        if let Some(uid) = uid_in(items) {
            assert!(
                message.uid.is_none_or(|known| known == uid),
                "{context}: number {} is {items}, and was {message:?}",
                position + 1
            );
            message.uid = Some(uid);
        }
        if let Some(flags) = flags_in(items) {
            message.flags = Some(flags);
        }
        if let Some(modseq) = modseq_in(items) {
            assert!(self.style != Style::Plain, "{context}: {items}");
            assert!(
                self.idle.is_none() || message.modseq.is_none_or(|told| modseq > told),
                "{context}: {items} is told twice, after {message:?}"
            );
            message.modseq = message.modseq.max(Some(modseq));
            self.modseq = self.modseq.max(modseq);
        }
    }

    /// Asks for everything, when nobody else is acting.
    fn compare(&mut self, tree: &Tree, contents: &Contents, context: &str) {
        for response in self.client.ok("NOOP").untagged {
            self.apply(&response, true, context);
        }
        let told = self.client.ok("UID FETCH 1:* (UID FLAGS BODY.PEEK[])").untagged;
        assert_eq!(told.len(), self.messages.len(), "{context}: number of messages");
        let mut uids = Vec::new();
        for (position, response) in told.iter().enumerate() {
            let text = String::from_utf8_lossy(response).into_owned();
            assert!(text.starts_with(&format!("* {} FETCH (", position + 1)), "{context}: {text}");
            let (known, uid) = (self.messages[position].clone(), uid_in(&text).expect("a UID"));
            assert!(known.uid.is_none_or(|known| known == uid), "{context}: {known:?} is {text}");
            let flags = flags_in(&text).expect("flags");
            assert!(
                known.flags.as_ref().is_none_or(|known| *known == flags),
                "{context}: {:?} is {text}",
                self.messages[position]
            );
            assert!(
                text.ends_with(&format!("\r\n{})", content(contents[&(self.validity, uid)]))),
                "{context}: {text}"
            );
            self.messages[position] = Known { uid: Some(uid), flags: Some(flags), ..known };
            uids.push(uid);
        }
        assert!(uids.is_sorted_by(|a, b| a < b), "{context}: {uids:?}");
        self.compare_lists(contents, context);
        self.compare_searches(contents, context);
        let name = tree.name_of(self.validity).expect("it is there");
        let status = self.client.ok(format!("STATUS {name} (MESSAGES UNSEEN)")).untagged.remove(0);
        let unseen = self
            .messages
            .iter()
            .filter(|known| known.flags.iter().all(|flags| !flags.contains("\\Seen")))
            .count();
        let expected = format!("* STATUS {name} (MESSAGES {} UNSEEN {unseen})", uids.len());
        assert_eq!(String::from_utf8_lossy(&status), expected, "{context}");
    }
}

impl Player {
    /// What packs tell is what the messages say.
    fn compare_lists(&mut self, contents: &Contents, context: &str) {
        let told = self.client.ok("UID FETCH 1:* (UID ENVELOPE PREVIEW)").untagged;
        assert_eq!(told.len(), self.messages.len(), "{context}: number of messages");
        for response in told {
            let text = String::from_utf8_lossy(&response).into_owned();
            let number = contents[&(self.validity, uid_in(&text).expect("a UID"))];
            let expected = format!(
                "ENVELOPE (NIL \"{number}\" NIL NIL NIL NIL NIL NIL NIL NIL) PREVIEW \"message {number}\""
            );
            assert!(text.contains(&expected), "{context}: {text} and not {expected}");
        }
    }
}

impl Player {
    /// What is found, kept as `$` and sorted is what the messages say.
    fn compare_searches(&mut self, contents: &Contents, context: &str) {
        let with = |flag: &str| -> Vec<u32> {
            let has = |known: &&Known| known.flags.as_ref().is_some_and(|flags| flags.contains(flag));
            self.messages.iter().filter(has).filter_map(|known| known.uid).collect()
        };
        let flagged = with("\\Flagged");
        let mut order: Vec<u32> = self.messages.iter().filter_map(|known| known.uid).collect();
        // Subjects are compared as texts; those that are alike stay in the order of the mailbox.
        let subject = |uid: &u32| contents[&(self.validity, *uid)].to_string();
        order.sort_by(|one, other| subject(other).cmp(&subject(one)).then(one.cmp(other)));

        let told = self.client.ok("UID SEARCH RETURN (SAVE MIN MAX COUNT ALL) FLAGGED").untagged_text();
        let of = |name: &str| -> Vec<u32> {
            let found = told.split_once(&format!(" {name} "));
            found.map_or(Vec::new(), |(_, rest)| numbers(rest.split(' ').next().expect("a value")))
        };
        assert_eq!(of("COUNT"), [flagged.len() as u32], "{context}: {told}");
        assert_eq!(of("ALL"), flagged, "{context}: {told}");
        assert_eq!(of("MIN"), flagged.first().copied().into_iter().collect::<Vec<_>>(), "{context}: {told}");
        assert_eq!(of("MAX"), flagged.last().copied().into_iter().collect::<Vec<_>>(), "{context}: {told}");
        let saved = self.client.ok("UID FETCH $ (UID)").lines();
        let saved: Vec<u32> = saved.iter().filter_map(|line| uid_in(line)).collect();
        assert_eq!(saved, flagged, "{context}: what was saved");
        let told = self.client.ok("UID SORT (REVERSE SUBJECT) UTF-8 ALL").untagged_text();
        let sorted = told.strip_prefix("* SORT").unwrap_or_default().split_whitespace();
        let sorted: Vec<u32> = sorted.map(|uid| uid.parse().expect("a UID")).collect();
        assert_eq!(sorted, order, "{context}: {told}");
    }
}

impl Memory {
    /// What it says to QRESYNC.
    fn parameter(&self, rng: &mut Rng) -> String {
        let uids: Vec<String> = self.flags.keys().map(u32::to_string).collect();
        let mut parameter = format!("{} {}", self.validity, self.modseq);
        if !uids.is_empty() && rng.chance(60) {
            parameter += &format!(" {}", uids.join(","));
            if rng.chance(50) {
                let last = uids.len();
                parameter += &format!(" ({last} {})", uids[last - 1]);
            }
        }
        parameter
    }
}

fn content(number: u64) -> String {
    format!("Subject: {number}\r\n\r\nmessage {number}\r\n")
}

/// The words of a response code.
fn code<'t>(text: &'t str, name: &str) -> Option<Vec<&'t str>> {
    let (_, rest) = text.split_once(&format!("[{name} "))?;
    Some(rest.split_once(']')?.0.split(' ').collect())
}

fn numbers(set: &str) -> Vec<u32> {
    let ranges = set.split(',').map(|range| range.split_once(':').unwrap_or((range, range)));
    let number = |text: &str| text.parse::<u32>().expect("a number");
    ranges.flat_map(|(first, last)| number(first)..=number(last)).collect()
}

fn uid_in(items: &str) -> Option<u32> {
    let (_, rest) = items.split_once("UID ")?;
    rest.split([' ', ')']).next()?.parse().ok()
}

fn modseq_in(items: &str) -> Option<u64> {
    let (_, rest) = items.split_once("MODSEQ (")?;
    rest.split_once(')')?.0.parse().ok()
}

fn flags_in(items: &str) -> Option<BTreeSet<String>> {
    let (_, rest) = items.split_once("FLAGS (")?;
    Some(rest.split_once(')')?.0.split_whitespace().map(str::to_owned).collect())
}
