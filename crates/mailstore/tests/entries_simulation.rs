//! Random operations on accounts, compared with a model that does the obvious thing.
//!
//! A seed decides everything. To see a failure again: `HIKYAKU_TEST_SEED=… cargo nextest run
//! -p hikyaku-mailstore simulation`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hikyaku_mailstore::email::{AppendError, AppendedEmail};
use hikyaku_mailstore::entry::Point;
use hikyaku_mailstore::snapshot::{self, NewPart};
use hikyaku_mailstore::{
    Change, CopyError, DeliverError, Entry, Flags, IfFull, Keywords, MailboxError, MailboxId, MailboxPath,
    Outcome, Quota, QuotaError, Role, Target, Threading, account, append, entry, mailbox,
};
use hikyaku_store::{AccountHome, AccountTx, Sql, StoreError};
use hikyaku_testkit::{Rng, SHARD, TestStore};
use hikyaku_types::{Clock, ContentId, EmailId};

/// Steps of one run, and how many of them lie between two comparisons.
const STEPS: u64 = 250;
const COMPARE_EVERY: u64 = 25;

/// Small enough that both are reached in a run.
const QUOTA: u64 = 60_000;
const POOL: u64 = 100_000;

/// Entries of a part of a snapshot.
const PART: u16 = 4;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Message {
    email: EmailId,
    flags: Flags,
    keywords: Keywords,
    size: u64,
    /// MODSEQ, and whether it was changed since it came.
    modseq: i64,
    changed: bool,
}

#[derive(Debug, Clone)]
struct Folder {
    name: String,
    parent: i64,
    subscribed: bool,
    uidnext: u32,
    messages: BTreeMap<u32, Message>,
    expunged: BTreeSet<(i64, u32)>,
}

#[derive(Debug, Clone)]
struct Account {
    home: AccountHome,
    /// By id; INBOX is 1.
    folders: BTreeMap<i64, Folder>,
    deleted: Vec<i64>,
    next_folder: i64,
    /// At least the highest modseq that was seen.
    modseq: i64,
}

impl Account {
    fn new(home: AccountHome) -> Self {
        let mut folders = BTreeMap::new();
        for (id, (name, _)) in (1..).zip(account::PROVISIONED) {
            folders.insert(id, Folder { subscribed: true, ..Folder::new(name, 0) });
        }
        Self { home, next_folder: folders.len() as i64 + 1, folders, deleted: Vec::new(), modseq: 0 }
    }

    fn messages(&self) -> impl Iterator<Item = &Message> {
        self.folders.values().flat_map(|folder| folder.messages.values())
    }

    /// What it uses, together with what is deleted and not purged yet.
    fn bytes(&self, unpurged: &BTreeMap<(i64, i64), u64>) -> u64 {
        let hidden = |id: &i64| unpurged.get(&(self.home.account.as_i64(), *id)).copied().unwrap_or(0);
        self.messages().map(|message| message.size).sum::<u64>()
            + self.deleted.iter().map(hidden).sum::<u64>()
    }

    fn child(&self, parent: i64, name: &str) -> Option<i64> {
        let is_it =
            |(id, folder): (&i64, &Folder)| (folder.parent == parent && folder.name == name).then_some(*id);
        self.folders.iter().find_map(is_it)
    }

    fn is_below(&self, id: i64, ancestor: i64) -> bool {
        id == ancestor || self.folders.get(&id).is_some_and(|folder| self.is_below(folder.parent, ancestor))
    }
}

impl Folder {
    fn new(name: &str, parent: i64) -> Self {
        let messages = BTreeMap::new();
        Self { name: name.into(), parent, subscribed: false, uidnext: 1, messages, expunged: BTreeSet::new() }
    }

    fn add(&mut self, message: Message) -> u32 {
        let uid = self.uidnext;
        self.uidnext += 1;
        self.messages.insert(uid, message);
        uid
    }
}

struct Simulation {
    mail: TestStore,
    rng: Rng,
    accounts: Vec<Account>,
    /// Octets of deleted mailboxes that are not purged, by account and mailbox.
    unpurged: BTreeMap<(i64, i64), u64>,
    /// Deliveries whose keys are kept: number of the mail, and who has it.
    delivered: BTreeMap<u64, BTreeSet<i64>>,
    next_mail: u64,
    /// Parts of snapshots that were made and are kept later, as if their maker were slow.
    late: Vec<(AccountHome, MailboxId, NewPart)>,
    /// Snapshots that were of use when compared.
    snapshots: u32,
}

fn run(mail: TestStore, seed: u64, steps: u64) {
    let homes =
        [(1, 10), (1, 11), (1, 12), (2, 20)].map(|(tenant, account)| TestStore::home(tenant, account));
    let now = mail.clock.now();
    for home in homes {
        mail.write_as(home, move |tx| account::create_account(tx, now)).unwrap();
    }
    let accounts = homes.map(Account::new).into();
    let mut simulation = Simulation {
        mail,
        rng: Rng::new(seed),
        accounts,
        unpurged: BTreeMap::new(),
        delivered: BTreeMap::new(),
        next_mail: 0,
        late: Vec::new(),
        snapshots: 0,
    };
    for step in 1..=steps {
        simulation.mail.clock.advance(Duration::from_millis(10));
        simulation.step();
        if step % COMPARE_EVERY == 0 {
            simulation.compare();
        }
    }
    assert!(simulation.snapshots > 10, "only {} snapshots", simulation.snapshots);
}

impl Simulation {
    fn step(&mut self) {
        let account = self.rng.below(self.accounts.len() as u64) as usize;
        match self.rng.below(22) {
            0..5 => self.deliver(),
            5..7 => self.append(account),
            7..9 => self.copy(account),
            9..11 => self.move_entries(account),
            11..13 => self.expunge(account),
            13..16 => self.store_flags(account),
            16 => self.create(account),
            17 => self.rename(account),
            18 => self.delete_or_purge(account),
            19..21 => self.snapshot(account),
            _ => self.subscribe(account),
        }
    }

    fn tenant_bytes(&self, home: AccountHome) -> u64 {
        let same = self.accounts.iter().filter(|account| account.home.tenant == home.tenant);
        same.map(|account| account.bytes(&self.unpurged)).sum()
    }

    fn fits(&self, account: usize, more: u64) -> Result<(), QuotaError> {
        let account = &self.accounts[account];
        if account.bytes(&self.unpurged) + more > QUOTA {
            return Err(QuotaError::Account(account.home.account));
        }
        if self.tenant_bytes(account.home) + more > POOL {
            return Err(QuotaError::Tenant);
        }
        Ok(())
    }

    /// A mailbox of the account; now and then one that is not there.
    fn folder(&mut self, account: usize) -> i64 {
        if self.rng.chance(5) {
            return 77;
        }
        let ids: Vec<i64> = self.accounts[account].folders.keys().copied().collect();
        *self.rng.pick(&ids)
    }

    /// Some UIDs, in any order; now and then one that is not there.
    fn uids(&mut self, account: usize, folder: i64) -> Vec<u32> {
        let folder = self.accounts[account].folders.get(&folder);
        let mut uids: Vec<u32> =
            folder.map(|folder| folder.messages.keys().copied().collect()).unwrap_or_default();
        self.rng.shuffle(&mut uids);
        uids.truncate(self.rng.below(6) as usize);
        if self.rng.chance(20) {
            uids.push(9_999);
        }
        uids
    }

    fn words(&mut self) -> (Flags, Keywords) {
        let all = [Flags::SEEN, Flags::ANSWERED, Flags::FLAGGED, Flags::DELETED, Flags::DRAFT];
        let flags = all.into_iter().filter(|_| self.rng.chance(30)).fold(Flags::NONE, Flags::with);
        let words: Vec<&str> =
            ["Work", "$Junk", "later"].into_iter().filter(|_| self.rng.chance(20)).collect();
        (flags, Keywords::new(words))
    }

    fn content(number: u64) -> Vec<u8> {
        let mut content = format!("Subject: {number}\r\n\r\n").into_bytes();
        // Some are large enough to be shared.
        content.resize(
            if number.is_multiple_of(7) { 17_000 } else { 500 + (number * 37 % 2_000) as usize },
            b'x',
        );
        content
    }

    /// One mail to some accounts, sometimes one that was delivered before.
    fn deliver(&mut self) {
        let number = if self.next_mail > 0 && self.rng.chance(20) {
            self.rng.below(self.next_mail)
        } else {
            self.next_mail += 1;
            self.next_mail - 1
        };
        let mut to: Vec<usize> = (0..self.accounts.len()).collect();
        self.rng.shuffle(&mut to);
        to.truncate(1 + self.rng.below(3) as usize);
        let homes: Vec<AccountHome> = to.iter().map(|account| self.accounts[*account].home).collect();
        let mut delivery = self.mail.delivery(&Self::content(number), &homes);
        delivery.if_full = if self.rng.chance(50) { IfFull::RefuseAll } else { IfFull::SkipRecipient };
        let folder = self.folder(to[0]);
        for part in &mut delivery.parts {
            part.pool = Quota(Some(POOL));
            for recipient in &mut part.recipients {
                recipient.quota = Quota(Some(QUOTA));
                recipient.target = Target::Mailbox(MailboxId::from_i64(folder));
            }
        }
        let sent = delivery.clone();
        let result = self.mail.carry_out(delivery);
        self.expect_delivered(number, &sent, result);
    }

    fn expect_delivered(
        &mut self,
        number: u64,
        sent: &hikyaku_mailstore::Delivery,
        result: Result<Vec<Outcome>, DeliverError>,
    ) {
        let before = (self.accounts.clone(), self.delivered.clone());
        let mut outcomes = result.as_ref().map(|outcomes| outcomes.iter()).ok();
        let mut refusal = None;
        for part in &sent.parts {
            for recipient in &part.recipients {
                let index =
                    self.accounts.iter().position(|one| one.home.account == recipient.account).unwrap();
                let size = recipient.prelude.message_size(part.content.size());
                let outcome = outcomes.as_mut().map(|outcomes| *outcomes.next().expect("an outcome each"));
                let has_it = self.delivered.entry(number).or_default().contains(&recipient.account.as_i64());
                let full = self.accounts[index].bytes(&self.unpurged) + size > QUOTA;
                match outcome {
                    _ if has_it => {
                        assert!(matches!(outcome, None | Some(Outcome::Duplicate(_))), "{outcome:?}");
                    }
                    _ if full && sent.if_full == IfFull::SkipRecipient => {
                        assert!(matches!(outcome, None | Some(Outcome::Full(_))), "{outcome:?}");
                    }
                    _ if full => refusal = refusal.or(Some(QuotaError::Account(recipient.account))),
                    outcome => self.deliver_one(index, number, recipient, size, outcome),
                }
            }
        }
        if refusal.is_none() && sent.parts.iter().any(|part| self.pool_of(part.tenant.as_i64()) > POOL) {
            refusal = Some(QuotaError::Tenant);
        }
        match (refusal, result) {
            (None, Ok(_)) => {}
            (Some(expected), Err(DeliverError::Full(found))) if expected == found => {
                (self.accounts, self.delivered) = before;
            }
            (expected, found) => panic!("expected {expected:?}, found {found:?}"),
        }
    }

    fn pool_of(&self, tenant: i64) -> u64 {
        let home = self.accounts.iter().find(|account| account.home.tenant.as_i64() == tenant).unwrap().home;
        self.tenant_bytes(home)
    }

    fn deliver_one(
        &mut self,
        index: usize,
        number: u64,
        recipient: &hikyaku_mailstore::Recipient,
        size: u64,
        outcome: Option<Outcome>,
    ) {
        self.delivered.entry(number).or_default().insert(recipient.account.as_i64());
        let account = &mut self.accounts[index];
        let Target::Mailbox(wanted) = recipient.target else { unreachable!("no filter is under test") };
        let wanted = wanted.as_i64();
        let id = if account.folders.contains_key(&wanted) { wanted } else { 1 };
        let folder = account.folders.get_mut(&id).unwrap();
        let (flags, keywords) = (recipient.flags, Keywords::default());
        let message = Message { email: recipient.email, flags, keywords, size, modseq: 0, changed: false };
        let uid = folder.add(message);
        // Nothing came out: the whole delivery was refused.
        let Some(outcome) = outcome else { return };
        let Outcome::Delivered(done) = outcome else { panic!("expected a delivery, found {outcome:?}") };
        assert_eq!((done.mailbox.as_i64(), done.uid), (id, uid));
    }

    fn append(&mut self, account: usize) {
        let (home, folder) = (self.accounts[account].home, self.folder(account));
        let mut messages = Vec::new();
        for _ in 0..self.rng.below(4) {
            let (flags, keywords) = self.words();
            messages.push(self.appended(home, flags, keywords));
        }
        let sizes: u64 = messages.iter().map(|message| message.content.size()).sum();
        let expected = self.fits(account, sizes);
        let sent = messages.clone();
        let now = self.mail.clock.now();
        let result = self.mail.write_as(home, move |tx| {
            append(tx, MailboxId::from_i64(folder), &messages, (Quota(Some(QUOTA)), Quota(Some(POOL))), now)
        });
        let there = self.accounts[account].folders.get_mut(&folder);
        match (there, expected, result) {
            (None, _, Err(AppendError::NoMailbox)) => {}
            (Some(_), Err(expected), Err(AppendError::Full(found))) => {
                assert_eq!(expected, found);
            }
            (Some(there), Ok(()), Ok((_, uids))) => {
                for (message, uid) in sent.into_iter().zip(uids) {
                    let AppendedEmail { email, flags, keywords, content, .. } = message;
                    let size = content.size();
                    let added =
                        there.add(Message { email, flags, keywords, size, modseq: 0, changed: false });
                    assert_eq!(added, uid);
                }
            }
            (there, expected, found) => panic!("in {there:?} expected {expected:?}, found {found:?}"),
        }
    }

    fn appended(&mut self, home: AccountHome, flags: Flags, keywords: Keywords) -> AppendedEmail {
        let (mail, number) = (&self.mail, self.rng.below(50));
        let content = Self::content(number);
        let now = mail.clock.now();
        let prepared =
            mail.content.prepare(&mail.store, SHARD, home.tenant, &content, true, now, &mail.random);
        AppendedEmail {
            content: mail.block_on(prepared).unwrap(),
            content_id: ContentId::from_i64(mail.next_id()).unwrap(),
            email: EmailId::from_i64(mail.next_id()).unwrap(),
            threading: Threading::default(),
            received_at: now,
            flags,
            keywords,
        }
    }

    fn copy(&mut self, account: usize) {
        let (home, from, to) = (self.accounts[account].home, self.folder(account), self.folder(account));
        let uids = self.uids(account, from);
        let sources = self.sources(account, from, &uids);
        let expected = self.fits(account, sources.iter().map(|(_, message)| message.size).sum());
        let now = self.mail.clock.now();
        let result = self.mail.write_as(home, move |tx| {
            let limits = (Quota(Some(QUOTA)), Quota(Some(POOL)));
            entry::copy(tx, MailboxId::from_i64(from), &uids, MailboxId::from_i64(to), limits, now)
        });
        let there = self.accounts[account].folders.get_mut(&to);
        match (there, expected, result) {
            (None, _, Err(CopyError::NoTarget)) => {}
            (Some(_), Err(expected), Err(CopyError::Full(found))) if !sources.is_empty() => {
                assert_eq!(expected, found);
            }
            (Some(there), Ok(()), Ok(copied)) => place(there, sources, &copied.uids),
            (Some(_), _, Ok(copied)) if sources.is_empty() => assert_eq!(copied.uids, []),
            (there, expected, found) => panic!("in {there:?} expected {expected:?}, found {found:?}"),
        }
    }

    fn sources(&self, account: usize, from: i64, uids: &[u32]) -> Vec<(u32, Message)> {
        let Some(from) = self.accounts[account].folders.get(&from) else { return Vec::new() };
        uids.iter().filter_map(|uid| Some((*uid, from.messages.get(uid)?.clone()))).collect()
    }

    fn move_entries(&mut self, account: usize) {
        let (home, from, to) = (self.accounts[account].home, self.folder(account), self.folder(account));
        let uids = self.uids(account, from);
        let sources = self.sources(account, from, &uids);
        let now = self.mail.clock.now();
        let result = self.mail.write_as(home, move |tx| {
            entry::move_entries(tx, MailboxId::from_i64(from), &uids, MailboxId::from_i64(to), now)
        });
        let folders = &mut self.accounts[account].folders;
        let Some(there) = folders.get_mut(&to) else {
            assert!(matches!(result, Err(CopyError::NoTarget)), "{result:?}");
            return;
        };
        let moved = result.unwrap();
        place(there, sources, &moved.uids);
        for (source, _) in moved.uids {
            let from = folders.get_mut(&from).unwrap();
            from.messages.remove(&source);
            from.expunged.insert((moved.modseq, source));
        }
    }

    fn expunge(&mut self, account: usize) {
        let (home, from) = (self.accounts[account].home, self.folder(account));
        let uids = self.uids(account, from);
        let sources = self.sources(account, from, &uids);
        let now = self.mail.clock.now();
        let gone = self
            .mail
            .write_as(home, move |tx| entry::expunge(tx, MailboxId::from_i64(from), &uids, now))
            .unwrap();
        assert_eq!(gone.uids, sources.iter().map(|(uid, _)| *uid).collect::<Vec<_>>());
        let Some(folder) = self.accounts[account].folders.get_mut(&from) else { return };
        for uid in gone.uids {
            folder.messages.remove(&uid);
            folder.expunged.insert((gone.modseq, uid));
        }
    }

    fn store_flags(&mut self, account: usize) {
        let (home, folder) = (self.accounts[account].home, self.folder(account));
        let mut uids = self.uids(account, folder);
        let (flags, keywords) = self.words();
        let change = match self.rng.below(3) {
            0 => Change::Replace(flags, keywords),
            1 => Change::Add(flags, keywords),
            _ => Change::Remove(flags, keywords),
        };
        let highest = self.accounts[account].modseq;
        let since = self.rng.chance(30).then(|| self.rng.below(highest as u64 + 1) as i64);
        // The model learns modseqs when it is compared; here it has to know them.
        self.learn_modseqs(account);
        let sent = (uids.clone(), change.clone());
        let stored = self.mail.write_as(home, move |tx| {
            entry::store_flags(tx, MailboxId::from_i64(folder), &sent.0, &sent.1, since)
        });
        let stored = stored.unwrap();
        let account = &mut self.accounts[account];
        let Some(folder) = account.folders.get_mut(&folder) else { return };
        let mut answers = stored.entries.iter();
        let mut modified = Vec::new();
        uids.sort_unstable();
        for uid in uids {
            let Some(message) = folder.messages.get_mut(&uid) else { continue };
            if since.is_some_and(|since| message.modseq > since) {
                modified.push(uid);
                continue;
            }
            let answer = answers.next().expect("an answer for each");
            let (flags, keywords) = change.apply(message.flags, &message.keywords);
            if (flags, &keywords) != (message.flags, &message.keywords) {
                assert!(answer.modseq > account.modseq, "modseqs rise");
                *message = Message { flags, keywords, modseq: answer.modseq, changed: true, ..*message };
            }
            assert_eq!((answer.uid, answer.flags, answer.modseq), (uid, message.flags, message.modseq));
        }
        assert_eq!(stored.modified, modified);
        assert_eq!(answers.next(), None);
    }

    fn path(&mut self) -> Vec<&'static str> {
        let names = ["A", "B", "C", "D"];
        (0..=self.rng.below(3)).map(|_| *self.rng.pick(&names)).collect()
    }

    /// Makes what is missing above the last level: the parent of the last.
    fn make_above(account: &mut Account, path: &[&str]) -> i64 {
        let mut parent = 0;
        for level in &path[..path.len() - 1] {
            parent = account.child(parent, level).unwrap_or_else(|| Self::insert(account, parent, level));
        }
        parent
    }

    fn insert(account: &mut Account, parent: i64, name: &str) -> i64 {
        let id = account.next_folder;
        account.next_folder += 1;
        account.folders.insert(id, Folder::new(name, parent));
        id
    }

    fn create(&mut self, account: usize) {
        let path = self.path();
        let account = &mut self.accounts[account];
        let wanted = MailboxPath::new(path.clone()).unwrap();
        let result = self.mail.write_as(account.home, move |tx| mailbox::create(tx, &wanted, Role::None));
        let mut after = account.clone();
        let parent = Self::make_above(&mut after, &path);
        let name = path.last().unwrap();
        if after.child(parent, name).is_some() {
            assert!(matches!(result, Err(MailboxError::Exists)), "{result:?}");
            return;
        }
        let id = Self::insert(&mut after, parent, name);
        assert_eq!(result.unwrap().id.as_i64(), id);
        *account = after;
    }

    fn rename(&mut self, account: usize) {
        let (id, path) = (self.folder(account), self.path());
        let account = &mut self.accounts[account];
        let wanted = MailboxPath::new(path.clone()).unwrap();
        let result =
            self.mail.write_as(account.home, move |tx| mailbox::rename(tx, MailboxId::from_i64(id), &wanted));
        let mut after = account.clone();
        let parent = Self::make_above(&mut after, &path);
        let name = *path.last().unwrap();
        if id == 1 {
            assert!(matches!(result, Err(MailboxError::Cannot)), "{result:?}");
        } else if !account.folders.contains_key(&id) {
            assert!(matches!(result, Err(MailboxError::NotFound)), "{result:?}");
        } else if after.child(parent, name).is_some() {
            assert!(matches!(result, Err(MailboxError::Exists)), "{result:?}");
        } else if after.is_below(parent, id) {
            assert!(matches!(result, Err(MailboxError::Cannot)), "{result:?}");
        } else {
            result.unwrap();
            let folder = after.folders.get_mut(&id).unwrap();
            (folder.parent, folder.name) = (parent, name.to_owned());
            *account = after;
        }
    }

    fn delete_or_purge(&mut self, account: usize) {
        let id = self.folder(account);
        let now = self.mail.clock.now();
        let account = &mut self.accounts[account];
        let number = account.home.account.as_i64();
        if let Some(deleted) = account.deleted.pop() {
            let deleted_id = MailboxId::from_i64(deleted);
            while !self.mail.write_as(account.home, move |tx| mailbox::purge(tx, deleted_id, now)).unwrap() {}
            self.unpurged.remove(&(number, deleted));
            return;
        }
        let result = self.mail.write_as(account.home, move |tx| mailbox::delete(tx, MailboxId::from_i64(id)));
        let Some(folder) = account.folders.get(&id) else {
            assert!(matches!(result, Err(MailboxError::NotFound)), "{result:?}");
            return;
        };
        if id == 1 {
            assert!(matches!(result, Err(MailboxError::Cannot)), "{result:?}");
        } else if account.folders.values().any(|other| other.parent == id) {
            assert!(matches!(result, Err(MailboxError::HasChildren)), "{result:?}");
        } else {
            result.unwrap();
            self.unpurged.insert((number, id), folder.messages.values().map(|message| message.size).sum());
            account.folders.remove(&id);
            account.deleted.push(id);
        }
    }

    fn subscribe(&mut self, account: usize) {
        let (id, yes) = (self.folder(account), self.rng.chance(50));
        let account = &mut self.accounts[account];
        let there = self
            .mail
            .write_as(account.home, move |tx| mailbox::subscribe(tx, MailboxId::from_i64(id), yes))
            .unwrap();
        assert_eq!(there, account.folders.contains_key(&id));
        if let Some(folder) = account.folders.get_mut(&id) {
            folder.subscribed = yes;
        }
    }

    /// Makes the snapshot of a mailbox, perhaps not to the end, perhaps with a part that comes
    /// late.
    fn snapshot(&mut self, account: usize) {
        let (home, folder) = (self.accounts[account].home, self.folder(account));
        let (id, mut next) = (MailboxId::from_i64(folder), 1);
        loop {
            let wanted = self.mail.read_as(home, move |tx| snapshot::wanted(tx, id, next, PART)).unwrap();
            assert_eq!(wanted.is_some(), self.accounts[account].folders.contains_key(&folder));
            let Some(wanted) = wanted else { return };
            self.late.push((home, id, NewPart::of(&wanted)));
            if self.rng.chance(80) {
                self.rng.shuffle(&mut self.late);
                let upto = self.rng.below(2) as usize;
                for (home, id, new) in self.late.drain(upto.min(self.late.len())..).collect::<Vec<_>>() {
                    self.mail.write_as(home, move |tx| snapshot::keep(tx, id, &new)).unwrap();
                }
            }
            let Some(last) = wanted.entries.last().filter(|_| !wanted.is_last && self.rng.chance(95)) else {
                return;
            };
            next = last.uid + 1;
        }
    }

    /// What is read from a snapshot and what came after it is what the entries say.
    fn compare_snapshots(&mut self) {
        for account in &self.accounts {
            for id in account.folders.keys() {
                let id = MailboxId::from_i64(*id);
                let (entries, recalled) = self
                    .mail
                    .read_as::<_, StoreError, _>(account.home, move |tx| {
                        Ok((entry::entries(tx, id, 0, 500)?, recalled(tx, id)?))
                    })
                    .unwrap();
                if let Some(recalled) = recalled {
                    assert_eq!(recalled, entries, "in {id:?}");
                    self.snapshots += 1;
                }
            }
        }
    }

    /// Takes over the modseqs that the store gave, once what it gave them to agrees.
    fn learn_modseqs(&mut self, account: usize) {
        let mail = &self.mail;
        let account = &mut self.accounts[account];
        for (id, folder) in &mut account.folders {
            let id = MailboxId::from_i64(*id);
            let entries = mail.read_as(account.home, move |tx| entry::entries(tx, id, 0, 500)).unwrap();
            assert_eq!(entries.len(), folder.messages.len(), "in {id:?}");
            for (entry, (uid, message)) in entries.iter().zip(&mut folder.messages) {
                if message.modseq == 0 {
                    message.modseq = entry.modseq;
                }
                let found = (entry.uid, entry.email, entry.flags, &entry.keywords, entry.size, entry.modseq);
                let expected =
                    (*uid, message.email, message.flags, &message.keywords, message.size, message.modseq);
                assert_eq!(found, expected, "in {id:?}");
                account.modseq = account.modseq.max(entry.modseq);
            }
        }
    }

    fn compare(&mut self) {
        for account in 0..self.accounts.len() {
            self.learn_modseqs(account);
        }
        self.compare_snapshots();
        for account in &self.accounts {
            self.compare_folders(account);
            let used = self.mail.read_as(account.home, account::usage).unwrap().unwrap();
            assert_eq!(used.1, account.bytes(&self.unpurged));
            assert!(used.1 <= QUOTA);
        }
        for tenant in [1, 2] {
            const USED: Sql = Sql::new("SELECT bytes FROM usage WHERE tenant = $1");
            let used = self
                .mail
                .read::<_, StoreError, _>(move |tx| tx.row(USED, &[tenant.into()], |row| row.get(0)));
            let used: u64 = used.unwrap().unwrap_or(0);
            assert_eq!(used, self.pool_of(tenant), "tenant {tenant}");
            assert!(used <= POOL);
        }
        assert_eq!(self.mail.problems(), Vec::<String>::new());
    }

    fn compare_folders(&self, account: &Account) {
        let list = self.mail.read_as(account.home, |tx| mailbox::list(tx, MailboxId::ROOT, 500)).unwrap();
        assert_eq!(list.len(), account.folders.len());
        for (found, (id, folder)) in list.iter().zip(&account.folders) {
            let unseen = folder.messages.values().filter(|message| !message.flags.has(Flags::SEEN)).count();
            let expected = (*id, folder.parent, folder.name.as_str(), folder.subscribed, folder.uidnext);
            let place = (
                found.id.as_i64(),
                found.parent.as_i64(),
                found.name.as_str(),
                found.subscribed,
                found.uidnext,
            );
            assert_eq!(place, expected);
            let counts = (found.messages as usize, found.unseen as usize, found.bytes);
            let bytes = folder.messages.values().map(|message| message.size).sum::<u64>();
            assert_eq!(counts, (folder.messages.len(), unseen, bytes), "in {id}");
            self.compare_history(account, found.id, folder);
        }
    }

    /// What a client that knows nothing hears of changes and expunges.
    fn compare_history(&self, account: &Account, id: MailboxId, folder: &Folder) {
        let since = Point { modseq: 0, uid: u32::MAX };
        let (changed, expunged) = self
            .mail
            .read_as::<_, StoreError, _>(account.home, move |tx| {
                Ok((
                    entry::changed_since(tx, id, Point::after(0), 400)?,
                    entry::expunged_since(tx, id, since, 400)?,
                ))
            })
            .unwrap();
        let changed: Vec<(i64, u32)> = changed.iter().map(|entry| (entry.modseq, entry.uid)).collect();
        let mut expected: Vec<(i64, u32)> = folder
            .messages
            .iter()
            .filter(|(_, message)| message.changed)
            .map(|(uid, message)| (message.modseq, *uid))
            .collect();
        expected.sort_unstable();
        assert_eq!(changed, expected, "changes in {id:?}");
        let expunged: BTreeSet<(i64, u32)> = expunged.iter().map(|one| (one.modseq, one.uid)).collect();
        assert_eq!(expunged, folder.expunged, "expunges in {id:?}");
    }
}

/// The entries of a mailbox by way of its snapshot.
fn recalled(tx: &mut AccountTx<'_>, id: MailboxId) -> Result<Option<Vec<Entry>>, StoreError> {
    let row = mailbox::mailbox(tx, id)?.expect("it is there");
    let Some(found) = snapshot::snapshot(tx, &row, 500)? else { return Ok(None) };
    let (mut entries, mut next) = (BTreeMap::new(), 1);
    for part in &found.parts {
        assert!((next..=part.last).contains(&part.first), "parts do not overlap");
        entries.extend(
            entry::within(tx, id, (next, part.first - 1), 500)?.into_iter().map(|one| (one.uid, one)),
        );
        let kept = snapshot::read(tx, id, part)?.expect("it can be read");
        assert!(kept.iter().all(|one| (part.first..=part.last).contains(&one.uid)));
        entries.extend(kept.into_iter().map(|one| (one.uid, one)));
        next = part.last + 1;
    }
    entries.extend(entry::within(tx, id, (next, u32::MAX), 500)?.into_iter().map(|one| (one.uid, one)));
    let changed = entry::changed_since(tx, id, Point::after(found.as_of), 500)?;
    let expunged = entry::expunged_since(tx, id, Point::after(found.as_of), 500)?;
    assert_eq!(found.changes, (changed.len() + expunged.len()) as u64);
    entries.extend(changed.into_iter().map(|one| (one.uid, one)));
    entries.retain(|uid, _| expunged.iter().all(|gone| gone.uid != *uid));
    Ok(Some(entries.into_values().collect()))
}

/// Puts copies into a folder and compares their UIDs. A copy is new there: nobody changed it.
fn place(there: &mut Folder, sources: Vec<(u32, Message)>, uids: &[(u32, u32)]) {
    assert_eq!(uids.len(), sources.len());
    for ((source, message), (from, to)) in sources.into_iter().zip(uids) {
        let uid = there.add(Message { modseq: 0, changed: false, ..message });
        assert_eq!((source, uid), (*from, *to));
    }
}

/// Runs these seeds; a failure says which one it was.
fn seeds(store: fn() -> TestStore, seeds: std::ops::Range<u64>, steps: u64) {
    let chosen =
        std::env::var("HIKYAKU_TEST_SEED").ok().map(|seed| seed.parse().expect("a seed is a number"));
    let seeds = chosen.map_or(seeds, |seed: u64| seed..seed + 1);
    for seed in seeds {
        let result = std::panic::catch_unwind(|| run(store(), seed, steps));
        assert!(result.is_ok(), "failed with HIKYAKU_TEST_SEED={seed}");
    }
}

#[test]
fn sqlite_does_as_the_model() {
    seeds(TestStore::sqlite, 0..3, STEPS);
}

#[test]
fn postgres_does_as_the_model() {
    seeds(TestStore::postgres, 0..2, STEPS);
}

#[test]
#[ignore = "takes minutes: run by `make soak`"]
fn soak_both_engines_do_as_the_model() {
    seeds(TestStore::sqlite, 100..130, 4 * STEPS);
    seeds(TestStore::postgres, 200..215, 4 * STEPS);
}
