//! Who is signed in at this moment, and how that is ended.
//!
//! Each connection that is let in holds a [`Visit`] as long as it lives. Administrators list
//! sessions and end them; who is suspended, or changes the password that was shown, loses them
//! within a second.
//!
//! Invariants:
//! - there are never more sessions than connections, which listeners bound;
//! - a session that must end is told so once, and does nothing for its account after that.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hikyaku_access::facts::{Attempt, Credential, Service};
use hikyaku_access::history::{Client, Proof};
use hikyaku_access::place::Place;
use hikyaku_directory::{Account, Shown};
use hikyaku_store::StoreError;
use hikyaku_types::{AccountId, CredentialId, SessionId, TenantId, Timestamp};
use tokio::sync::Notify;

use crate::gate::Gate;
use crate::history::Wanted;
use crate::named;

/// One signed-in connection, as administrators see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// Its id, which rises with time.
    pub id: SessionId,
    /// Whose account.
    pub tenant: TenantId,
    /// Who.
    pub account: AccountId,
    /// To what.
    pub service: Service,
    /// From where: the client's address.
    pub ip: IpAddr,
    /// Where that is.
    pub place: Place,
    /// What the client calls itself; may be empty.
    pub client: Client,
    /// When it began.
    pub since: Timestamp,
    /// With which credential.
    pub credential: CredentialId,
    /// What that is.
    pub proof: Proof,
}

/// Which sessions are to be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// This one.
    One(SessionId),
    /// Those of one account.
    Account(AccountId),
    /// Those of one tenant.
    Tenant(TenantId),
}

/// A connection that is signed in as long as this lives.
#[derive(Debug)]
pub struct Visit {
    id: SessionId,
    account: Arc<Account>,
    end: End,
    sessions: Arc<Sessions>,
}

/// Tells a connection that its session is ended, or a process that it must end.
#[derive(Debug, Clone, Default)]
pub struct End(Arc<(AtomicBool, Notify)>);

/// All of a node.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<Table>);

#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) open: HashMap<SessionId, Open>,
    /// Those that other nodes must hear of: begun, or called otherwise.
    pub(crate) news: HashSet<SessionId>,
    /// Those that are over, of which other nodes have heard.
    pub(crate) over: HashSet<SessionId>,
    /// Those that said after they signed in what they are called.
    pub(crate) named: Vec<Session>,
}

#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) session: Session,
    account: Arc<Account>,
    shown: Shown,
    end: End,
    /// The client has said once what it is called.
    is_named: bool,
    /// Other nodes have heard of it.
    pub(crate) is_told: bool,
}

impl Session {
    /// Is it one of these?
    pub fn is_of(&self, which: Which) -> bool {
        match which {
            Which::One(id) => self.id == id,
            Which::Account(account) => self.account == account,
            Which::Tenant(tenant) => self.tenant == tenant,
        }
    }

    pub(crate) fn is_wanted(&self, wanted: Wanted) -> bool {
        match wanted {
            Wanted::Account(account) => self.account == account,
            Wanted::Tenant(tenant) => self.tenant == tenant,
            Wanted::All => true,
        }
    }
}

impl End {
    /// Ready once the session is ended.
    pub async fn come(&self) {
        let (has_come, notify) = &*self.0;
        let mut told = pin!(notify.notified());
        // Registered before it is looked at, so that nothing is missed between.
        told.as_mut().enable();
        if !has_come.load(Ordering::Acquire) {
            told.await;
        }
    }

    /// Is it ended?
    pub fn has_come(&self) -> bool {
        self.0.0.load(Ordering::Acquire)
    }

    pub(crate) fn tell(&self) {
        let (has_come, notify) = &*self.0;
        has_come.store(true, Ordering::Release);
        notify.notify_waiters();
    }
}

impl Visit {
    /// Who signed in.
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// When it must end.
    pub fn end(&self) -> End {
        self.end.clone()
    }

    /// The client says what it is called. If it does for the first time, that is compared with what
    /// is usual for the account, a moment later.
    pub fn call(&self, client: Client) {
        let mut table = self.sessions.table();
        let Some(open) = table.open.get_mut(&self.id).filter(|open| open.session.client != client) else {
            return;
        };
        open.session.client = client;
        let is_first = !open.is_named && !open.session.client.as_str().is_empty();
        open.is_named |= is_first;
        let session = open.session.clone();
        table.news.insert(self.id);
        if is_first && table.named.len() < named::MOST {
            table.named.push(session);
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut table = self.sessions.table();
        table.news.remove(&self.id);
        if table.open.remove(&self.id).is_some_and(|open| open.is_told) {
            table.over.insert(self.id);
        }
    }
}

impl Sessions {
    pub(crate) fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn list(&self, wanted: Wanted) -> Vec<Session> {
        let table = self.table();
        let sessions = table.open.values().map(|open| &open.session);
        sessions.filter(|session| session.is_wanted(wanted)).cloned().collect()
    }

    pub(crate) fn end(&self, which: Which) {
        let table = self.table();
        table.open.values().filter(|open| open.session.is_of(which)).for_each(|open| open.end.tell());
    }
}

impl Gate {
    /// Somebody is in.
    pub(crate) fn enter(
        &self,
        attempt: &Attempt<'_>,
        client: &str,
        account: Arc<Account>,
        shown: Shown,
    ) -> Result<Visit, StoreError> {
        let id = SessionId::from_i64(self.ids.next(attempt.now)).ok_or(StoreError::Closed)?;
        let session = Session {
            id,
            tenant: account.home.tenant,
            account: account.home.account,
            service: attempt.service,
            ip: attempt.ip,
            place: attempt.place,
            client: Client::new(client),
            since: attempt.now,
            credential: shown.credential,
            proof: match attempt.credential {
                Credential::Password(_) => Proof::Password,
                Credential::SecondFactor => Proof::SecondFactor,
                Credential::LongSecret { .. } => Proof::LongSecret,
            },
        };
        let end = End::default();
        let is_named = !client.trim().is_empty();
        let account_of = Arc::clone(&account);
        let open = Open { session, account: account_of, shown, end: end.clone(), is_named, is_told: false };
        let mut table = self.sessions.table();
        table.open.insert(id, open);
        table.news.insert(id);
        drop(table);
        Ok(Visit { id, account, end, sessions: Arc::clone(&self.sessions) })
    }

    /// Sessions of this node, and as far as they are told, of the others; the newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sessions(&self, wanted: Wanted) -> Result<Vec<Session>, StoreError> {
        let mut found = self.sessions.list(wanted);
        found.extend(self.sessions_elsewhere(wanted).await?);
        found.sort_by_key(|session| std::cmp::Reverse(session.id));
        Ok(found)
    }

    /// Ends sessions, on every node; `who` and why is written down with it, in the audit log too.
    /// Gives what there was to end.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_sessions(
        &self,
        which: Which,
        who: &str,
        why: Option<&str>,
    ) -> Result<Vec<Session>, StoreError> {
        let wanted = match which {
            Which::One(_) => Wanted::All,
            Which::Account(account) => Wanted::Account(account),
            Which::Tenant(tenant) => Wanted::Tenant(tenant),
        };
        let mut found = self.sessions(wanted).await?;
        found.retain(|session| session.is_of(which));
        if let Some(first) = found.first() {
            self.audit_ending(which, first, found.len(), who, why).await?;
            self.write_ending(which, first.tenant, who, why).await?;
            self.sessions.end(which);
        }
        Ok(found)
    }

    /// Ends the sessions of who may not sign in any more. To be called each half second.
    ///
    /// # Errors
    /// [`StoreError`]: it is looked at again next time.
    pub async fn recheck(&self) -> Result<(), StoreError> {
        let changes = self.directory.take_changes();
        if !changes.is_empty() {
            let table = self.sessions.table();
            let concerned = table.open.values().filter(|open| changes.concern(&open.account));
            let concerned: Vec<_> = concerned
                .map(|open| (open.session.id, Arc::clone(&open.account), open.shown, open.end.clone()))
                .collect();
            self.doubted().extend(concerned);
        }
        loop {
            let Some((id, account, shown, end)) = self.doubted().last().cloned() else { return Ok(()) };
            if !self.directory.still_opens(&account, &shown).await? {
                tracing::info!(session = %id, account = %account.home.account, "a session is ended: what was shown is not valid any more");
                end.tell();
            }
            self.doubted().pop();
        }
    }

    fn doubted(&self) -> MutexGuard<'_, Vec<Doubted>> {
        self.doubted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session that something has changed for.
pub(crate) type Doubted = (SessionId, Arc<Account>, Shown, End);
