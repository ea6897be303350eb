//! Checks one disk: opens it as a start after a power cut does, and holds it against the ledger.
//!
//! 1. It opens; the engine finds its files sound; the bookkeeping agrees with the rows.
//! 2. Every promise of the ledger is kept, and every content is there byte for byte.
//! 3. Peers who had no answer send again, and some who had one do too: all of them are
//!    acknowledged, and there is one copy.
//! 4. One message more is delivered, the store is closed and opened again: 1 and 2 still hold.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Mutex;

use hikyaku_mailstore::{Email, MailboxId, check, email, entry};
use hikyaku_store::{Scope, StoreError};
use tokio::runtime::Runtime;

use super::disk::Image;
use super::ledger::{Found, Ledger, Spot};
use super::load::{ARCHIVE, DRAFTS, Home, Installation, Message, Note, Operation};
use crate::{DELIVERY, Rng, SHARD};

/// Numbers that no load uses, for the message that is delivered last.
const LAST: u32 = 900_000_000;
/// Which process a check is: later than all of the load.
const GENERATION: u16 = 900;
/// How many acknowledged deliveries are sent again.
const SENT_AGAIN: usize = 3;

/// A disk, and what must be found on it.
#[derive(Debug)]
pub struct Case {
    /// Which moment and which disk, in words.
    pub title: String,
    /// The disk.
    pub image: Image,
    /// Promises up to that moment.
    pub ledger: Ledger,
    /// Where below the image's root the data folder is.
    pub folder: std::path::PathBuf,
    /// The load's seed.
    pub seed: u64,
}

/// Contents are made once for all the disks of a run.
#[derive(Debug, Default)]
pub struct Contents(Mutex<HashMap<u32, std::sync::Arc<Vec<u8>>>>);

impl Contents {
    fn of(&self, message: Message, seed: u64) -> std::sync::Arc<Vec<u8>> {
        let mut made = self.0.lock().expect("no holder panics");
        made.entry(message.number).or_insert_with(|| message.content(seed).into()).clone()
    }
}

/// Everything that is wrong with a disk, in words.
pub fn check(runtime: &Runtime, case: &Case, contents: &Contents) -> Vec<String> {
    let scratch = scratch();
    case.image.write(scratch.path()).expect("the image can be written");
    let folder = scratch.path().join(&case.folder);
    if let Err(error) = std::fs::create_dir_all(folder.parent().expect("it has a parent")) {
        return vec![format!("the folder above cannot be made: {error}")];
    }
    let mut ledger = case.ledger.clone();
    let mut problems = Vec::new();
    match Installation::open(runtime, &folder, case.seed, GENERATION) {
        Ok(installation) => {
            problems.extend(examine(runtime, &installation, &ledger, case.seed, contents));
            if problems.is_empty() {
                problems.extend(go_on(runtime, &installation, &mut ledger, case.seed));
            }
        }
        Err(error) => return vec![format!("it does not start: {error}")],
    }
    if problems.is_empty() {
        match Installation::open(runtime, &folder, case.seed, GENERATION + 2) {
            Ok(installation) => {
                let again = examine(runtime, &installation, &ledger, case.seed, contents);
                problems.extend(again.into_iter().map(|problem| format!("after going on: {problem}")));
            }
            Err(error) => problems.push(format!("it does not start again: {error}")),
        }
    }
    problems
}

/// In memory if the system has such a folder: these disks are written and thrown away.
fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir()
        && let Ok(folder) = tempfile::TempDir::with_prefix_in("hikyaku-crash-", memory)
    {
        return folder;
    }
    crate::scratch_dir()
}

/// Steps 1 and 2.
fn examine(
    runtime: &Runtime,
    installation: &Installation,
    ledger: &Ledger,
    seed: u64,
    contents: &Contents,
) -> Vec<String> {
    let mut problems = match installation.store.engine_problems() {
        Ok(problems) => problems,
        Err(error) => vec![error.to_string()],
    };
    let scope = || Scope::service(&DELIVERY, SHARD, None).expect("a service").long();
    match runtime.block_on(installation.store.read(scope(), "crash.check", check::check_shard)) {
        Ok(found) => problems.extend(found),
        Err(error) => problems.push(format!("the shard cannot be checked: {error}")),
    }
    let by_number: HashMap<u32, Message> =
        ledger.messages().into_iter().map(|message| (message.number, message)).collect();
    let mut found = Found::new();
    for home in Home::all() {
        let store = home.store();
        let checked = installation.store.read::<_, _, StoreError, _>(scope(), "crash.check", move |tx| {
            check::check_account(&mut tx.account(store.tenant, store.account))
        });
        match runtime.block_on(checked) {
            Ok(found) => problems.extend(found.iter().map(ToString::to_string)),
            Err(error) => problems.push(format!("account {home} cannot be checked: {error}")),
        }
        for mailbox in [MailboxId::INBOX, DRAFTS, ARCHIVE] {
            let read = read(installation, home, mailbox, &by_number, seed, contents);
            for copy in runtime.block_on(read) {
                match copy {
                    Ok((spot, copy)) => found.entry(spot).or_default().push(copy),
                    Err(error) => problems.push(error),
                }
            }
        }
    }
    problems.extend(ledger.broken(&found));
    problems
}

/// A copy's spot, and its UID and email; or what is wrong with it.
type Copy = Result<(Spot, (u32, i64)), String>;

/// All of a mailbox.
async fn read(
    installation: &Installation,
    home: Home,
    mailbox: MailboxId,
    messages: &HashMap<u32, Message>,
    seed: u64,
    contents: &Contents,
) -> Vec<Copy> {
    let scope = Scope::service(&DELIVERY, SHARD, None).expect("a service").long();
    let store = home.store();
    let emails = installation.store.read::<_, _, StoreError, _>(scope, "crash.read", move |tx| {
        let mut tx = tx.account(store.tenant, store.account);
        let entries = entry::entries(&mut tx, mailbox, 0, 1_000)?;
        let mut emails = Vec::with_capacity(entries.len());
        for entry in entries {
            let email = email::emails(&mut tx, &[entry.email])?.pop();
            emails.push((entry, email));
        }
        Ok(emails)
    });
    let wrong = |what: String| format!("mailbox {} of {home}: {what}", mailbox.as_i64());
    let emails = match emails.await {
        Ok(emails) => emails,
        Err(error) => return vec![Err(wrong(error.to_string()))],
    };
    let mut copies = Vec::new();
    for (entry, email) in emails {
        let number = read_content(installation, email, messages, seed, contents).await;
        let copy = number.map(|message| {
            let spot = Spot { account: home.account, mailbox: mailbox.as_i64(), message };
            (spot, (entry.uid, entry.email.as_i64()))
        });
        copies.push(copy.map_err(|what| wrong(format!("UID {}: {what}", entry.uid))));
    }
    copies
}

/// The message's number, if its content is what was sent.
async fn read_content(
    installation: &Installation,
    email: Option<Email>,
    messages: &HashMap<u32, Message>,
    seed: u64,
    contents: &Contents,
) -> Result<u32, String> {
    let email = email.ok_or("it names no email")?;
    let content = installation.content.read(email.placement).await.map_err(|error| error.to_string())?;
    let message = Message::number_of(&content).and_then(|number| messages.get(&number));
    let message = message.ok_or("a message that nobody sent")?;
    if content != *contents.of(*message, seed) {
        return Err(format!("not message {message} as it was sent"));
    }
    Ok(message.number)
}

/// Step 3, and the one message more of step 4. What is acknowledged is booked.
fn go_on(runtime: &Runtime, installation: &Installation, ledger: &mut Ledger, seed: u64) -> Vec<String> {
    let mut again = ledger.unacknowledged();
    let mut acknowledged = ledger.unconfirmed();
    Rng::new(seed ^ acknowledged.len() as u64).shuffle(&mut acknowledged);
    acknowledged.truncate(SENT_AGAIN);
    let heard: Vec<u32> = acknowledged.iter().map(|(number, _)| *number).collect();
    again.append(&mut acknowledged);
    again.push((LAST, Operation::Deliver(Message { number: LAST, size: 2_000 }, Home::all())));
    let mut problems = Vec::new();
    for (number, operation) in again {
        ledger.book(&Note::Begin(number, operation.clone()), "the check");
        match runtime.block_on(installation.carry_out(&operation, |_| {})) {
            Ok(places) if heard.contains(&number) && !places.is_empty() => {
                problems.push(format!(
                    "delivery {number} was acknowledged, and its repetition made a second copy"
                ));
            }
            Ok(_) if heard.contains(&number) => {}
            Ok(places) => ledger.book(&Note::Done(number, places), "the check"),
            Err(error) => problems.push(format!("delivery {number} fails when it is repeated: {error}")),
        }
    }
    problems
}
