//! What only the platform can answer: may this client sign in, send as this, send to that?

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hikyaku_access::facts as access;
use hikyaku_directory::{
    Account, Directory, ForgedMailPolicy, Receiver, Recipients, Resolution, SignInError,
};
use hikyaku_mailstore::{Room, account, note_pool_full, pool_room};
use hikyaku_sender_auth::policy::Policy;
use hikyaku_sign_in::{Gate, Offer, Visit};
use hikyaku_smtp_proto::auth::Credentials;
use hikyaku_smtp_proto::path::{ForwardPath, ReversePath};
use hikyaku_smtp_proto::settings::Settings;
use hikyaku_smtp_proto::{Answer, Listener, Reply};
use hikyaku_store::{Scope, Store, StoreError};
use hikyaku_types::{Actor, Address, Domain, LocalPart, Service, Timestamp};

use crate::judge;
use crate::leaving::Leaving;
use crate::receive::Accepted;
use crate::refused::Home;

/// Checks credentials; a visit of the account if they are right.
pub(crate) async fn sign_in(
    gate: &Gate,
    credentials: &Credentials,
    source: IpAddr,
    client: &str,
) -> Result<Visit, Answer> {
    let offer = Offer {
        service: access::Service::Submission,
        source,
        client,
        name: &credentials.authentication,
        authorization: credentials.authorization.as_deref(),
        password: credentials.password.expose(),
    };
    gate.sign_in(&offer).await.map_err(|error| match error {
        SignInError::Unavailable => Answer::Reply(Reply::sign_in_later()),
        SignInError::Refused => Answer::Reply(Reply::sign_in_failed()),
    })
}

/// MAIL: a signed-in account sends as its own addresses only.
pub(crate) async fn sender(
    directory: &Directory,
    account: Option<&Account>,
    reverse_path: &ReversePath,
) -> Answer {
    let Some(account) = account else { return Answer::Accept };
    let owns = match reverse_path {
        ReversePath::Null => Ok(true),
        ReversePath::Mailbox(mailbox) => match mailbox.address() {
            Some(address) => directory.owns(account, &address).await,
            None => Ok(false),
        },
    };
    match owns {
        Ok(true) => Answer::Accept,
        Ok(false) => Answer::Reply(Reply::sender_not_yours()),
        Err(error) => Answer::Reply(cannot_ask(&error)),
    }
}

pub(crate) fn cannot_ask(error: &StoreError) -> Reply {
    tracing::error!(%error, "the directory cannot be asked");
    Reply::try_again_later()
}

/// A full mailbox is refused for good only when it was full for so long: people tidy up.
const FULL_FOR_LONG: Duration = Duration::from_secs(3 * 24 * 3600);

/// RCPT: does the message still fit? The delivery checks again; this is to refuse one
/// recipient rather than all. What cannot be asked now is not full.
pub(crate) async fn refuse_if_full(
    store: &Store,
    account: &Account,
    size: u64,
    now: Timestamp,
) -> Result<(), Reply> {
    let (home, quota, pool) = (account.home, account.quota, account.pool);
    let delivery = Actor::Service(Service::Delivery);
    let mut since = Vec::new();
    if let (Some(_), Ok(scope)) = (quota.0, Scope::account(&delivery, home)) {
        let room = store.read(scope, "smtp.room", move |tx| account::room(tx, size, quota)).await;
        let room = room.unwrap_or_else(|error| unknown(&error));
        if room != Room::Fits {
            let note = noted(room, now);
            let write = store.write(scope, "smtp.note_full", move |tx| account::note_full(tx, note));
            write.await.unwrap_or_else(
                |error: StoreError| tracing::warn!(%error, "it cannot be noted that a mailbox is full"),
            );
            since.extend(note);
        }
    }
    if let (Some(_), Ok(scope)) = (pool.0, Scope::tenant_mail(&delivery, home.tenant, home.shard)) {
        let room = store.read(scope, "smtp.pool", move |tx| pool_room(tx, size, pool)).await;
        let room = room.unwrap_or_else(|error| unknown(&error));
        if room != Room::Fits {
            let note = noted(room, now);
            let write = store.write(scope, "smtp.note_full", move |tx| note_pool_full(tx, note));
            write.await.unwrap_or_else(
                |error: StoreError| tracing::warn!(%error, "it cannot be noted that a mailbox is full"),
            );
            since.extend(note);
        }
    }
    match since.into_iter().min() {
        None => Ok(()),
        Some(since) if now.since(since) >= FULL_FOR_LONG => Err(Reply::mailbox_full_for_long()),
        Some(_) => Err(Reply::mailbox_full()),
    }
}

fn unknown(error: &StoreError) -> Room {
    tracing::warn!(%error, "it cannot be told whether a mailbox is full");
    Room::Fits
}

/// Since when it is full; the first refusal begins the count.
fn noted(room: Room, now: Timestamp) -> Option<Timestamp> {
    match room {
        Room::Full(since) => Some(since.unwrap_or(now)),
        Room::Fits | Room::FitsAgain => None,
    }
}

/// Whom a RCPT leads to.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) accounts: Vec<Accepted>,
    pub(crate) leaving: Vec<Leaving>,
}

/// RCPT: who receives it, or the reply that says why nobody. `sender` is who signed in.
pub(crate) async fn recipients(
    directory: &Directory,
    settings: &Settings,
    sender: Option<&Account>,
    forward_path: &ForwardPath,
    of: usize,
) -> Result<Found, Reply> {
    let (resolution, address) = match forward_path {
        ForwardPath::Postmaster => (directory.postmaster(&settings.host_name).await, None),
        ForwardPath::Mailbox(mailbox) => {
            let Some(address) = mailbox.address() else { return Err(Reply::relaying_denied()) };
            (directory.resolve(&address).await, Some(address))
        }
    };
    match resolution.map_err(|error| cannot_ask(&error))? {
        Resolution::Recipients(recipients) => {
            // `<Postmaster>` is the postmaster of our own name.
            let named = address.clone().or_else(|| postmaster_of(&settings.host_name));
            let wish = match &named {
                Some(named) => directory.forged_mail(named).await.map_err(|error| cannot_ask(&error))?,
                None => ForgedMailPolicy::default(),
            };
            let policy = Arc::new(judge::policy_of(&wish));
            Ok(found(recipients, address.as_ref(), named.as_ref(), of, &policy))
        }
        // What would be refused for good later must not be lost now: it waits where it is.
        Resolution::Suspended => Err(Reply::mailbox_unavailable()),
        Resolution::NoMailbox => Err(Reply::mailbox_unknown()),
        Resolution::Foreign => match (settings.listener, sender, address) {
            (Listener::Submission | Listener::Submissions, Some(sender), Some(to)) => {
                let tenant = Arc::clone(&sender.tenant);
                let leaving = Leaving { of, tenant, via: None, to, policy: Arc::default() };
                Ok(Found { accounts: Vec::new(), leaving: vec![leaving] })
            }
            _ => Err(Reply::relaying_denied()),
        },
    }
}

/// Whose mail was refused, as far as it can be told.
pub(crate) async fn whose(directory: &Directory, forward_path: &ForwardPath) -> Option<Home> {
    let ForwardPath::Mailbox(mailbox) = forward_path else { return None };
    let tenant = directory.whose(&mailbox.address()?).await.ok()??;
    Some((tenant.id, tenant.fields.shard()))
}

fn postmaster_of(host_name: &Domain) -> Option<Address> {
    Some(Address { local_part: LocalPart::parse("postmaster").ok()?, domain: host_name.clone() })
}

/// `address` is what the client wrote, `via` what that means.
fn found(
    recipients: Recipients,
    address: Option<&Address>,
    via: Option<&Address>,
    of: usize,
    policy: &Arc<Policy>,
) -> Found {
    let Recipients { tenant, accounts, forwards } = recipients;
    let accepted = |Receiver { account, tag }: Receiver| {
        let address = address.unwrap_or_else(|| account.address()).clone();
        Accepted { of, account, address, tag, policy: Arc::clone(policy) }
    };
    let leaving = |to: Address| Leaving {
        of,
        tenant: Arc::clone(&tenant),
        via: via.cloned(),
        to,
        policy: Arc::clone(policy),
    };
    Found {
        accounts: accounts.into_iter().map(accepted).collect(),
        leaving: forwards.into_iter().map(leaving).collect(),
    }
}
