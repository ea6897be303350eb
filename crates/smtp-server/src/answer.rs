//! What only the platform can answer: may this client sign in, send as this, send to that?

use std::sync::Arc;
use std::time::Duration;

use hikyaku_directory::{Account, Directory, Resolution, SignInError};
use hikyaku_mailstore::account;
use hikyaku_smtp_proto::auth::Credentials;
use hikyaku_smtp_proto::path::{ForwardPath, ReversePath};
use hikyaku_smtp_proto::settings::Settings;
use hikyaku_smtp_proto::{Answer, Listener, Reply};
use hikyaku_store::{Scope, Store};
use hikyaku_types::{Actor, Address, Service};

/// A failed sign-in is answered so long after it was tried, whatever the cause.
const FAILURE_AFTER: Duration = Duration::from_secs(1);

/// Checks credentials; the account if they are right.
pub(crate) async fn sign_in(
    directory: &Directory,
    credentials: &Credentials,
) -> Result<Arc<Account>, Answer> {
    let failure = tokio::time::sleep(FAILURE_AFTER);
    // Nobody acts on behalf of another.
    let acts_for_itself = credentials
        .authorization
        .as_deref()
        .is_none_or(|name| name.is_empty() || *name == *credentials.authentication);
    let checked = directory.sign_in(&credentials.authentication, credentials.password.expose()).await;
    match checked {
        Ok(account) if acts_for_itself => Ok(account),
        Err(SignInError::Unavailable) => Err(Answer::Reply(Reply::sign_in_later())),
        Ok(_) | Err(SignInError::Refused) => {
            failure.await;
            Err(Answer::Reply(Reply::sign_in_failed()))
        }
    }
}

/// MAIL: a signed-in account sends as its own addresses only.
pub(crate) fn sender(directory: &Directory, account: Option<&Account>, reverse_path: &ReversePath) -> Answer {
    let Some(account) = account else { return Answer::Accept };
    let owns = match reverse_path {
        ReversePath::Null => true,
        ReversePath::Mailbox(mailbox) => {
            mailbox.address().is_some_and(|address| directory.owns(account, &address))
        }
    };
    if owns { Answer::Accept } else { Answer::Reply(Reply::sender_not_yours()) }
}

/// RCPT: does the message still fit? The delivery checks again; this is to refuse one
/// recipient rather than all. What cannot be asked now is not full.
pub(crate) async fn has_room(store: &Store, account: &Account, size: u64) -> bool {
    let home = account.home;
    let delivery = Actor::Service(Service::Delivery);
    if let (Some(most), Ok(scope)) = (account.quota.0, Scope::account(&delivery, home)) {
        let used = store.read(scope, "smtp.room", account::usage).await;
        if used.is_ok_and(|used| used.is_some_and(|(_, bytes)| bytes.saturating_add(size) > most)) {
            return false;
        }
    }
    if let (Some(most), Ok(scope)) = (account.pool.0, Scope::tenant_mail(&delivery, home.tenant, home.shard))
    {
        let used = store.read(scope, "smtp.pool", account::tenant_usage).await;
        if used.is_ok_and(|(_, bytes)| bytes.saturating_add(size) > most) {
            return false;
        }
    }
    true
}

/// RCPT: who receives it, or the reply that says why nobody.
pub(crate) fn recipient(
    directory: &Directory,
    settings: &Settings,
    forward_path: &ForwardPath,
) -> Result<(Arc<Account>, Address), Reply> {
    let (resolution, address) = match forward_path {
        ForwardPath::Postmaster => (directory.postmaster(&settings.host_name), None),
        ForwardPath::Mailbox(mailbox) => {
            let Some(address) = mailbox.address() else { return Err(Reply::relaying_denied()) };
            (directory.resolve(&address), Some(address))
        }
    };
    match resolution {
        Resolution::Account(account) => {
            let address = address.unwrap_or_else(|| account.address.clone());
            Ok((account, address))
        }
        Resolution::NoMailbox => Err(Reply::mailbox_unknown()),
        Resolution::Foreign => Err(match settings.listener {
            Listener::Mx | Listener::Lmtp => Reply::relaying_denied(),
            Listener::Submission | Listener::Submissions => {
                Reply::refused_by_policy("This server does not send to other domains yet")
            }
        }),
    }
}
