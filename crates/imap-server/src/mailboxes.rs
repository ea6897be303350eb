//! The account's mailboxes by their full names: one of them, or the whole tree.
//!
//! Standards: RFC 9051 section 5.1 (names are Net-Unicode, so in NFC).
//! Invariant: a name means the same mailbox however its characters are composed: macOS sends
//! them decomposed, others do not.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use hikyaku_imap_proto::mailbox::SEPARATOR;
use hikyaku_imap_proto::response::StatusResponse;
use hikyaku_imap_proto::{ListPattern, MailboxName};
use hikyaku_mailstore::{Mailbox, MailboxId, MailboxPath, mailbox, subscription};
use hikyaku_store::AccountTx;
use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::session::{Failure, Session, path};

/// Mailboxes that one closure reads.
const STEP: u16 = 500;

/// All mailboxes of an account, and what else is subscribed.
pub(crate) struct Tree {
    /// With their full names, in the order of these.
    pub(crate) mailboxes: Vec<(MailboxName, Mailbox)>,
    parents: HashSet<MailboxId>,
    /// Subscribed names that have no mailbox, in their order.
    pub(crate) only_subscribed: Vec<MailboxName>,
}

impl Tree {
    pub(crate) async fn load(session: &Session<'_>) -> Result<Self, Failure> {
        let mut rows: Vec<Mailbox> = Vec::new();
        loop {
            let after = rows.last().map_or(MailboxId::ROOT, |row| row.id);
            let step = session.read("imap.mailboxes", move |tx| mailbox::list(tx, after, STEP)).await?;
            let is_last = step.len() < usize::from(STEP);
            rows.extend(step);
            if is_last {
                break;
            }
        }
        let mut subscribed: Vec<MailboxPath> = Vec::new();
        loop {
            let after = subscribed.last().cloned();
            let names = move |tx: &mut AccountTx<'_>| subscription::names(tx, after.as_ref(), STEP);
            let step = session.read("imap.subscriptions", names).await?;
            let is_last = step.len() < usize::from(STEP);
            subscribed.extend(step);
            if is_last {
                return Ok(Self::of(rows, &subscribed));
            }
        }
    }

    fn of(rows: Vec<Mailbox>, subscribed: &[MailboxPath]) -> Self {
        let by_id: HashMap<MailboxId, &Mailbox> = rows.iter().map(|row| (row.id, row)).collect();
        let parents = rows.iter().map(|row| row.parent).collect();
        let named = rows.iter().filter_map(|row| Some((full_name(row, &by_id)?, row.clone())));
        let mut mailboxes: Vec<_> = named.collect();
        mailboxes.sort_by(|a, b| a.0.cmp(&b.0));
        let mut only_subscribed = Vec::new();
        for path in subscribed {
            let Ok(name) = MailboxName::new(&path.levels().join(&SEPARATOR.to_string())) else { continue };
            match mailboxes.binary_search_by(|(other, _)| other.cmp(&name)) {
                Ok(at) => mailboxes[at].1.subscribed = true,
                Err(_) => only_subscribed.push(name),
            }
        }
        only_subscribed.sort();
        Self { mailboxes, parents, only_subscribed }
    }

    /// Every mailbox by its name, in the order of names; where they are wanted, also the
    /// subscribed names that have none, and those of `above` that have none.
    pub(crate) fn names(
        &self,
        only_subscribed: bool,
        above: &HashSet<&str>,
    ) -> Vec<(Cow<'_, MailboxName>, Option<&Mailbox>)> {
        let mut names: Vec<_> =
            self.mailboxes.iter().map(|(name, mailbox)| (Cow::Borrowed(name), Some(mailbox))).collect();
        if only_subscribed {
            names.extend(self.only_subscribed.iter().map(|name| (Cow::Borrowed(name), None)));
        }
        let above = above.iter().filter_map(|name| MailboxName::new(name).ok());
        names.extend(above.map(|name| (Cow::Owned(name), None)));
        names.sort_by(|one, other| one.0.cmp(&other.0));
        // The first of a name has the mailbox, if there is one.
        names.dedup_by(|later, first| later.0 == first.0);
        names
    }

    /// Is this one of [`Self::names`] subscribed itself?
    pub(crate) fn is_subscribed(&self, name: &MailboxName, mailbox: Option<&Mailbox>) -> bool {
        match mailbox {
            Some(mailbox) => mailbox.subscribed,
            None => self.only_subscribed.binary_search(name).is_ok(),
        }
    }

    pub(crate) fn has_children(&self, id: MailboxId) -> bool {
        self.parents.contains(&id)
    }
}

/// The mailbox of this name, without a look at any other: an account may have ten thousand.
pub(crate) async fn find(session: &Session<'_>, name: &MailboxName) -> Result<Mailbox, Failure> {
    // A name that no mailbox can have is that of none.
    let path = path(name).map_err(|_| StatusResponse::no_such_mailbox())?;
    let found = session.read("imap.mailbox", move |tx| mailbox::find(tx, &path)).await?;
    found.ok_or_else(|| StatusResponse::no_such_mailbox().into())
}

/// The name in NFC. One that is too long then is left, and names nothing.
pub(crate) fn normal(name: &MailboxName) -> MailboxName {
    match is_nfc(name.as_str()) {
        true => name.clone(),
        false => MailboxName::new(&name.as_str().nfc().collect::<String>()).unwrap_or_else(|_| name.clone()),
    }
}

/// The pattern in NFC, as the names that it is compared with.
pub(crate) fn normal_pattern(pattern: &ListPattern) -> ListPattern {
    pattern.map(|text| text.nfc().collect())
}

/// MAILBOXID, RFC 8474 section 4: no id is given twice in an account, and RENAME keeps it.
pub(crate) fn object_id(id: MailboxId) -> String {
    format!("F{}", id.as_i64())
}

/// From the top down; `None` if a parent is missing or the name is too long for IMAP.
fn full_name(row: &Mailbox, by_id: &HashMap<MailboxId, &Mailbox>) -> Option<MailboxName> {
    let mut levels = vec![row.name.as_str()];
    let mut parent = row.parent;
    while parent != MailboxId::ROOT {
        // A circle cannot be made; if there were one, its mailboxes would not be shown.
        if levels.len() > by_id.len() {
            return None;
        }
        let above = by_id.get(&parent)?;
        levels.push(&above.name);
        parent = above.parent;
    }
    levels.reverse();
    MailboxName::new(&levels.join(&SEPARATOR.to_string())).ok()
}
