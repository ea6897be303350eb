//! The side that takes messages: in the server, or in the command when none runs.
//!
//! Trust: whoever gets here runs the platform. Sizes are bounded all the same, so that a
//! mistake of a client does not cost the server its memory.

use std::sync::Arc;

use hikyaku_directory::{Account, Directory, State};
use hikyaku_imap_proto::Keyword;
use hikyaku_mailstore::import::{import, imported};
use hikyaku_mailstore::{
    AppendError, AppendedEmail, Flags, ImportError, ImportKey, Keywords, MailboxPath, MessageHash,
    QuotaError, Threading,
};
use hikyaku_mime::Header;
use hikyaku_mime::thread::thread_ids;
use hikyaku_store::{AccountScope, Content, NotFound, Scope, Store};
use hikyaku_types::{
    Actor, Address, Clock, ContentId, EmailId, Random, RisingIds, Service, SystemClock, SystemRandom,
    Timestamp,
};
use serde::{Deserialize, Serialize};

use super::claims::Claims;
use crate::admin::refusal::Refusal;
use crate::services::Installation;

/// The largest message.
pub(in crate::admin) const LARGEST: usize = 100 << 20;
/// The largest contents of one request.
const MOST_BYTES: usize = LARGEST + super::MOST_BYTES;
const IMPORT: Actor = Actor::Service(Service::Delivery);

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::admin) enum ImportAsk {
    /// Which of these keys are noted?
    Look { account: String, keys: Vec<String> },
    /// Put these. The contents follow the line, one after the other.
    Put {
        account: String,
        mailbox: Vec<String>,
        messages: Vec<Message>,
        #[serde(skip)]
        contents: Vec<u8>,
    },
}

/// One message beside its content.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::admin) struct Message {
    pub(in crate::admin) name: String,
    /// [`ImportKey::as_u128`] in decimal: JSON has no such numbers.
    pub(in crate::admin) key: String,
    /// In milliseconds.
    pub(in crate::admin) received_at: i64,
    /// As IMAP writes them.
    pub(in crate::admin) flags: Vec<String>,
    pub(in crate::admin) size: usize,
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::admin) enum ImportReply {
    Look(Vec<bool>),
    /// In the order of the messages; it ends with the first [`Fate::Full`].
    Put(Vec<Fate>),
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::admin) enum Fate {
    Imported,
    Already,
    Refused(String),
    Full(String),
}

impl ImportAsk {
    /// How many bytes of contents follow the line.
    pub(in crate::admin) fn following(&self) -> Result<usize, Refusal> {
        let Self::Put { messages, .. } = self else { return Ok(0) };
        let sum = messages.iter().try_fold(0usize, |sum, message| sum.checked_add(message.size));
        sum.filter(|sum| *sum <= MOST_BYTES).ok_or_else(|| Refusal::usage("too much at once"))
    }

    /// Those bytes.
    pub(in crate::admin) fn contents(&mut self) -> Option<&mut Vec<u8>> {
        match self {
            Self::Put { contents, .. } => Some(contents),
            Self::Look { .. } => None,
        }
    }
}

/// What messages are taken with.
#[derive(Clone)]
pub(in crate::admin) struct Importer {
    store: Arc<Store>,
    content: Arc<Content>,
    ids: Arc<RisingIds>,
    claims: Claims,
}

/// A message with its key.
struct Item<'c> {
    message: Message,
    key: ImportKey,
    content: &'c [u8],
}

impl Importer {
    pub(in crate::admin) fn new(installation: &Installation) -> Self {
        Self {
            store: Arc::clone(&installation.store),
            content: Arc::clone(&installation.content),
            ids: Arc::clone(&installation.ids),
            claims: Claims::default(),
        }
    }

    /// For another connection, which may not import into the same account at the same time.
    pub(in crate::admin) fn of_another(&self) -> Self {
        Self { claims: self.claims.of_another(), ..self.clone() }
    }

    pub(in crate::admin) async fn answer(
        &self,
        directory: &Directory,
        ask: ImportAsk,
    ) -> Result<ImportReply, Refusal> {
        match ask {
            ImportAsk::Look { account, keys } => {
                let account = find(directory, &account).await?;
                if keys.len() > ImportKey::MOST {
                    return Err(Refusal::usage("too many at once"));
                }
                let keys: Result<Vec<ImportKey>, Refusal> = keys.iter().map(|text| key(text)).collect();
                let keys = keys?;
                let looked = self.store.read(scope(&account)?, "import.look", move |tx| imported(tx, &keys));
                Ok(ImportReply::Look(looked.await.map_err(|error| Refusal::failed(&error))?))
            }
            ImportAsk::Put { account: name, mailbox, messages, contents } => {
                let account = find(directory, &name).await?;
                if !self.claims.take(account.home.account).await {
                    return Err(Refusal::unavailable(format!(
                        "another import into {name} is under way: wait for its end, or stop it"
                    )));
                }
                let path = MailboxPath::new(mailbox).map_err(|error| Refusal::place(error.to_string()))?;
                let items = cut(messages, &contents)?;
                Ok(ImportReply::Put(self.put(&account, &path, &items).await?))
            }
        }
    }

    /// All in one transaction; if one of them does not fit, each in its own.
    async fn put(
        &self,
        account: &Account,
        path: &MailboxPath,
        items: &[Item<'_>],
    ) -> Result<Vec<Fate>, Refusal> {
        match self.put_together(account, path, items).await {
            Err(error) if items.len() > 1 && alone(&error).is_some() => {}
            done => return fates(done),
        }
        let mut all = Vec::with_capacity(items.len());
        for item in items {
            all.extend(fates(self.put_together(account, path, std::slice::from_ref(item)).await)?);
            if matches!(all.last(), Some(Fate::Full(_))) {
                break;
            }
        }
        Ok(all)
    }

    async fn put_together(
        &self,
        account: &Account,
        path: &MailboxPath,
        items: &[Item<'_>],
    ) -> Result<Vec<bool>, Failure> {
        let mut share = true;
        loop {
            let mut messages = Vec::with_capacity(items.len());
            for item in items {
                messages.push((item.key, self.prepare(account, item, share).await?));
            }
            let weight = messages.iter().map(|(_, message)| message.content.weight()).sum();
            let (path, limits, now) = (path.clone(), (account.quota, account.pool), SystemClock.now());
            let scope = scope(account)?.weighing(weight).long();
            let put =
                self.store.write(scope, "import.put", move |tx| import(tx, &path, &messages, limits, now));
            match put.await {
                // The twin of a content died between look and commit: store it anew, once.
                Err(ImportError::Append(AppendError::TwinGone)) if share => share = false,
                done => return Ok(done?),
            }
        }
    }

    async fn prepare(
        &self,
        account: &Account,
        item: &Item<'_>,
        share: bool,
    ) -> Result<AppendedEmail, Failure> {
        let (home, now) = (account.home, SystemClock.now());
        let random: &dyn Random = &SystemRandom;
        let prepared = self
            .content
            .prepare(&self.store, home.shard, home.tenant, item.content, share, now, random)
            .await;
        let ids = thread_ids(Header::of_content(item.content));
        let hash = |id: &String| MessageHash::of(id.as_bytes());
        let (flags, keywords) = flags(&item.message.flags);
        let spent = || Refusal::unavailable("no id can be made");
        Ok(AppendedEmail {
            content: prepared.map_err(|error| Refusal::failed(&error))?,
            content_id: ContentId::from_i64(self.ids.next(now)).ok_or_else(spent)?,
            email: EmailId::from_i64(self.ids.next(now)).ok_or_else(spent)?,
            threading: Threading {
                own: ids.own.as_ref().map(hash),
                parents: ids.parents.iter().map(hash).collect(),
            },
            received_at: Timestamp::from_millis(item.message.received_at),
            flags,
            keywords,
        })
    }
}

/// Why a transaction did nothing.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Import(#[from] ImportError),
    #[error("{}", .0.text)]
    Refused(Refusal),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<NotFound> for Failure {
    fn from(error: NotFound) -> Self {
        Self::Refused(Refusal::failed(&error))
    }
}

/// What becomes of a message that failed so and is alone; `None` if another may fare
/// differently only later.
fn alone(failure: &Failure) -> Option<Fate> {
    let Failure::Import(ImportError::Append(error)) = failure else { return None };
    match error {
        AppendError::Full(QuotaError::Account(_)) => Some(Fate::Full("the mailbox is full".into())),
        AppendError::Full(QuotaError::Tenant) => Some(Fate::Full(QuotaError::Tenant.to_string())),
        AppendError::TooManyKeywords => Some(Fate::Refused(error.to_string())),
        AppendError::NoMailbox | AppendError::TwinGone | AppendError::Store(_) => None,
    }
}

fn fates(done: Result<Vec<bool>, Failure>) -> Result<Vec<Fate>, Refusal> {
    let of = |is_new| if is_new { Fate::Imported } else { Fate::Already };
    match done {
        Ok(are_new) => Ok(are_new.into_iter().map(of).collect()),
        Err(failure) => match (alone(&failure), failure) {
            (Some(fate), _) => Ok(vec![fate]),
            (None, Failure::Refused(refusal)) => Err(refusal),
            (None, Failure::Import(ImportError::Mailbox(error))) => Err(Refusal::place(error.to_string())),
            (None, failure) => Err(Refusal::failed(&failure)),
        },
    }
}

fn scope(account: &Account) -> Result<AccountScope, Refusal> {
    Scope::account(&IMPORT, account.home).map_err(|error| Refusal::failed(&error))
}

/// Suspended accounts too: they are filled before they begin to work.
async fn find(directory: &Directory, name: &str) -> Result<Account, Refusal> {
    let address = Address::parse(name).map_err(|error| Refusal::usage(format!("{name}: {error}")))?;
    let found = directory.account_of(&address).await.map_err(|error| Refusal::failed(&error))?;
    match found {
        Some((account, State::Active | State::Suspended)) => Ok(account),
        Some((_, State::Deleted)) | None => Err(Refusal::place(format!("there is no account {name}"))),
    }
}

fn key(text: &str) -> Result<ImportKey, Refusal> {
    text.parse().map(ImportKey::from_u128).map_err(|_| Refusal::usage("a key is no number"))
}

/// Gives each message its content.
fn cut(messages: Vec<Message>, contents: &[u8]) -> Result<Vec<Item<'_>>, Refusal> {
    if messages.len() > ImportKey::MOST {
        return Err(Refusal::usage("too many at once"));
    }
    let mut rest = contents;
    let mut items = Vec::with_capacity(messages.len());
    for message in messages {
        let short = || Refusal::usage("the contents are shorter than they should be");
        let (content, after) = rest.split_at_checked(message.size).ok_or_else(short)?;
        rest = after;
        items.push(Item { key: key(&message.key)?, content, message });
    }
    Ok(items)
}

/// What is no flag and no keyword of IMAP is left out.
fn flags(words: &[String]) -> (Flags, Keywords) {
    let mut flags = Flags::NONE;
    let mut keywords = Vec::new();
    for word in words {
        match word.as_str() {
            "\\Seen" => flags = flags.with(Flags::SEEN),
            "\\Answered" => flags = flags.with(Flags::ANSWERED),
            "\\Flagged" => flags = flags.with(Flags::FLAGGED),
            "\\Deleted" => flags = flags.with(Flags::DELETED),
            "\\Draft" => flags = flags.with(Flags::DRAFT),
            keyword if Keyword::parse(keyword).is_some() => keywords.push(keyword),
            _ => {}
        }
    }
    (flags, Keywords::new(keywords))
}
