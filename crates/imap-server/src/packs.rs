//! Packs as IMAP uses them: ENVELOPE, BODY and BODYSTRUCTURE as they are printed, and PREVIEW.
//!
//! FETCH takes from packs what it can and reads the other messages singly. If those were as
//! many as a pack has, it asks the [`Packer`] for one, which works behind the sessions: a step
//! reads and parses some messages, the last one keeps what was made of them.
//!
//! A message whose printed forms differ for clients with and without UTF8=ACCEPT (its header
//! has bytes of 8 bits) is in no pack.
//!
//! Known weakness: a mailbox that nobody lists is not packed, so its first list is slow.

use std::collections::VecDeque;
use std::sync::Arc;

use hikyaku_imap_proto::Dialect;
use hikyaku_imap_proto::command::FetchAtt;
use hikyaku_imap_proto::response::FetchWriter;
use hikyaku_mailstore::pack::{self, Listing, NewPack, Pack, PackWriter, TEXTS, Wanted};
use hikyaku_mailstore::{Email, MailboxId, email, snapshot};
use hikyaku_mime::text::preview;
use hikyaku_store::{AccountHome, Content, ContentError, Scope, ServiceScope, Store, StoreError};
use hikyaku_types::{Actor, EmailId, Service, ShardId, ThreadId, Timestamp};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::facts::{Message, work};
use crate::session::{Failure, Session};
use crate::snapshots::snapshot_mailbox;

/// Raised when `hikyaku_mime` finds something else in a message, or a printer prints it in
/// another way: packs of another version are not used, and made anew.
const VERSION: i64 = 1;
/// Packs that one closure reads.
const READ_STEP: u16 = 4;
/// Messages that one closure reads to make a pack.
const PARSE_STEP: usize = 16;
/// Most mailboxes that wait to be packed. One that finds no place asks again when it is listed.
const WAITING: usize = 1_000;

// Places of a listing's texts.
const ENVELOPE: usize = 0;
const BODY: usize = 1;
const BODY_STRUCTURE: usize = 2;
const PREVIEW: usize = 3;

/// Takes mailboxes that are to be packed, or have a snapshot made. When the last clone is
/// dropped, the work ends.
#[derive(Debug, Clone)]
pub struct Packer {
    sizes: Sizes,
    wanted: mpsc::Sender<(AccountHome, MailboxId, Wish)>,
}

/// How much goes together.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Messages of a pack, at most [`pack::MOST`].
    pub pack: u16,
    /// Entries of a part of a snapshot, at most [`snapshot::MOST`].
    pub snapshot: u16,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { pack: pack::MOST, snapshot: snapshot::MOST }
    }
}

#[derive(Debug, Clone, Copy)]
enum Wish {
    Packs,
    Snapshot,
}

impl Packer {
    /// A packer, and the work to be spawned for it.
    pub fn new(
        store: Arc<Store>,
        content: Arc<Content>,
        sizes: Sizes,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (sender, mut receiver) = mpsc::channel(WAITING);
        let work = async move {
            while let Some((home, mailbox, wish)) = receiver.recv().await {
                let done = match wish {
                    Wish::Packs => pack_mailbox(&store, &content, home, mailbox, sizes.pack).await,
                    Wish::Snapshot => snapshot_mailbox(&store, home, mailbox, sizes.snapshot)
                        .await
                        .map_err(ContentError::Store),
                };
                if let Err(error) = done {
                    tracing::error!(account = %home.account, %error, "a mailbox could not be packed");
                }
            }
        };
        (Self { sizes, wanted: sender }, work)
    }

    /// So many messages of the mailbox were listed without a pack.
    pub(crate) fn missed(&self, home: AccountHome, mailbox: MailboxId, messages: usize) {
        if messages >= usize::from(self.sizes.pack) {
            let _ = self.wanted.try_send((home, mailbox, Wish::Packs));
        }
    }

    /// The mailbox was read without a good snapshot.
    pub(crate) fn snapshot(&self, home: AccountHome, mailbox: MailboxId) {
        let _ = self.wanted.try_send((home, mailbox, Wish::Snapshot));
    }
}

/// Packs a mailbox as far as it can be. Safe to repeat, and to break off anywhere.
///
/// # Errors
/// [`ContentError`], temporary: what is done stays done.
pub async fn pack_mailbox(
    store: &Store,
    content: &Content,
    home: AccountHome,
    mailbox: MailboxId,
    size: u16,
) -> Result<(), ContentError> {
    loop {
        let wanted = store.read(scope(home.shard), "imap.pack_wanted", move |tx| {
            pack::wanted(&mut tx.account(home.tenant, home.account), mailbox, VERSION, size)
        });
        let Some(wanted) = wanted.await? else { return Ok(()) };
        let new = make(store, content, home, &wanted).await?;
        let kept = store.write(scope(home.shard), "imap.pack", move |tx| {
            pack::keep(&mut tx.account(home.tenant, home.account), mailbox, &wanted, &new, VERSION)
        });
        kept.await?;
    }
}

pub(crate) fn scope(shard: ShardId) -> ServiceScope {
    Scope::service(&Actor::Service(Service::Jobs), shard, None).expect("jobs are a service")
}

async fn make(
    store: &Store,
    content: &Content,
    home: AccountHome,
    wanted: &Wanted,
) -> Result<NewPack, ContentError> {
    let mut pack = PackWriter::default();
    for step in wanted.entries.chunks(PARSE_STEP) {
        let ids: Vec<EmailId> = step.iter().map(|entry| entry.email).collect();
        let emails = store.read(scope(home.shard), "imap.pack_emails", move |tx| {
            email::emails(&mut tx.account(home.tenant, home.account), &ids)
        });
        let emails = emails.await?;
        for entry in step {
            let Some(email) = emails.iter().find(|email| email.id == entry.email) else { continue };
            match content.read(email.placement.clone()).await {
                Ok(bytes) => add(&mut pack, entry.uid, email, bytes).await,
                // It stays out, and who asks for it is told.
                Err(ContentError::Damaged(_)) => {}
                Err(error) => return Err(error),
            }
        }
        tokio::task::yield_now().await;
    }
    Ok(pack.finish())
}

async fn add(pack: &mut PackWriter, uid: u32, email: &Email, content: Vec<u8>) {
    let prelude = email.prelude.clone();
    let made = work(content.len(), move || {
        let message = Message::new(prelude.assemble(&content));
        let forms = printed(&message)?;
        Some((forms, preview(&message.content, message.structure())))
    });
    // What cannot be worked on stays out, too.
    let Ok(Some(([envelope, body, body_structure], preview))) = made.await else { return };
    let mut texts = [&[][..]; TEXTS];
    texts[ENVELOPE] = &envelope;
    texts[BODY] = &body;
    texts[BODY_STRUCTURE] = &body_structure;
    texts[PREVIEW] = preview.as_bytes();
    pack.push(&Listing { uid, email: email.id, thread: email.thread, received_at: email.received_at, texts });
}

/// The printed forms, if they are the same for every client.
fn printed(message: &Message) -> Option<[Vec<u8>; 3]> {
    let (envelope, structure) = (message.envelope(), message.body_structure());
    let print = |dialect| {
        let mut forms = [Vec::new(), Vec::new(), Vec::new()];
        envelope.print(&mut forms[ENVELOPE], dialect);
        structure.print_body(&mut forms[BODY], dialect);
        structure.print_body_structure(&mut forms[BODY_STRUCTURE], dialect);
        forms
    };
    let forms = print(Dialect::SevenBit);
    (forms == print(Dialect::Utf8)).then_some(forms)
}

/// What a pack tells of one message.
#[derive(Debug)]
pub(crate) struct Listed {
    pack: Arc<Pack>,
    uid: u32,
    pub(crate) arrival: (Timestamp, ThreadId),
}

impl Listed {
    fn of(pack: &Arc<Pack>, uid: u32) -> Option<Self> {
        let listing = pack.find(uid)?;
        Some(Self { pack: Arc::clone(pack), uid, arrival: (listing.received_at, listing.thread) })
    }

    fn text(&self, place: usize) -> &[u8] {
        self.pack.find(self.uid).map_or(&[], |listing| listing.texts[place])
    }

    /// Writes the item, if it is one that packs have.
    pub(crate) fn tell(&self, line: &mut FetchWriter<'_>, att: &FetchAtt) -> bool {
        match att {
            FetchAtt::Envelope => line.printed("ENVELOPE", self.text(ENVELOPE)),
            FetchAtt::Body => line.printed("BODY", self.text(BODY)),
            FetchAtt::BodyStructure => line.printed("BODYSTRUCTURE", self.text(BODY_STRUCTURE)),
            FetchAtt::Preview { .. } => line.preview(std::str::from_utf8(self.text(PREVIEW)).ok()),
            _ => return false,
        }
        true
    }
}

/// Packs that were read, with the UIDs up to which they go; one that is damaged has nothing.
type Read = Vec<(u32, Option<Arc<Pack>>)>;

/// Reads the packs of a mailbox along one command, whose messages come by ascending UID.
#[derive(Debug)]
pub(crate) struct Packs {
    mailbox: MailboxId,
    /// Those that were read and may still be needed.
    read: VecDeque<(u32, Option<Arc<Pack>>)>,
    /// At most one read, of those behind `reached`; dropped, it ends.
    ahead: JoinSet<Result<Read, StoreError>>,
    /// The last UID of what was read.
    reached: u32,
    is_end: bool,
    /// Messages that were in none.
    missed: usize,
}

impl Packs {
    pub(crate) fn new(mailbox: MailboxId) -> Self {
        Self { mailbox, read: VecDeque::new(), ahead: JoinSet::new(), reached: 0, is_end: false, missed: 0 }
    }

    /// What a pack tells of this message, if there is one.
    pub(crate) async fn find(&mut self, session: &Session<'_>, uid: u32) -> Result<Option<Listed>, Failure> {
        while self.read.front().is_some_and(|(last, _)| *last < uid) {
            self.read.pop_front();
        }
        if self.read.is_empty() && !self.is_end {
            self.go_on(session, uid).await?;
        }
        let pack = self.read.front().filter(|(last, _)| *last >= uid).and_then(|(_, pack)| pack.as_ref());
        let found = pack.and_then(|pack| Listed::of(pack, uid));
        self.missed += usize::from(found.is_none());
        Ok(found)
    }

    /// Reads the next packs, from this UID on. Who goes from one to the next will want the one
    /// behind it: that is read while they are told.
    async fn go_on(&mut self, session: &Session<'_>, uid: u32) -> Result<(), Failure> {
        let before = std::mem::replace(&mut self.reached, 0);
        let ahead = self.ahead.join_next().await.and_then(Result::ok).transpose()?.unwrap_or_default();
        let is_of_use = ahead.last().is_some_and(|(last, _)| *last >= uid);
        let some = if is_of_use { ahead } else { self.read_from(session, uid)?.await? };
        self.is_end = some.is_empty();
        self.reached = some.last().map_or(0, |(last, _)| *last);
        if before > 0 && self.reached > 0 {
            let next = self.read_from(session, self.reached.saturating_add(1))?;
            self.ahead.spawn(next);
            // So that it begins before this session goes on.
            tokio::task::yield_now().await;
        }
        self.read.extend(some.into_iter().filter(|(last, _)| *last >= uid));
        Ok(())
    }

    fn read_from(
        &self,
        session: &Session<'_>,
        uid: u32,
    ) -> Result<impl Future<Output = Result<Read, StoreError>> + Send + 'static, Failure> {
        let (store, scope, mailbox) = (Arc::clone(&session.services.store), session.scope()?, self.mailbox);
        Ok(async move {
            let stored = store
                .read(scope, "imap.packs", move |tx| pack::packs_from(tx, mailbox, uid, VERSION, READ_STEP));
            let read = |stored: Vec<(u32, Vec<u8>)>| {
                stored.into_iter().map(|(last, bytes)| (last, Pack::read(&bytes).map(Arc::new))).collect()
            };
            stored.await.map(read)
        })
    }

    /// At the end of the command: asks for packs if there should be more.
    pub(crate) fn finish(&self, session: &Session<'_>) -> Result<(), Failure> {
        session.services.packer.missed(session.account()?.home, self.mailbox, self.missed);
        Ok(())
    }
}
