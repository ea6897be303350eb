//! The commands: one file for each family, and the one table that leads to them.

mod append;
pub(crate) mod auth;
mod copy;
pub(crate) mod enable;
mod expunge;
mod fetch;
mod list;
mod quota;
pub(crate) mod scram;
mod search;
mod select;
mod simple;
mod sort;
mod status;
mod store;
mod tree;

use hikyaku_imap_proto::response::StatusResponse;
use hikyaku_imap_proto::table::Row;
use hikyaku_imap_proto::{By, Command, Messages, Tag, UidSet};

use crate::session::{Failure, Outcome, Session};

/// Carries out a command; its untagged data is in the session's buffer then, the tagged
/// answer is returned. `messages` are those of APPEND.
pub(crate) async fn run(
    session: &mut Session<'_>,
    tag: &Tag,
    row: &'static Row,
    command: Command,
    messages: Vec<Vec<u8>>,
) -> Outcome {
    if command.enables_condstore() {
        enable::condstore(session);
    }
    match command {
        Command::Capability => simple::capability(session),
        Command::Namespace => simple::namespace(session),
        Command::Id(fields) => simple::id(session, &fields),
        Command::Enable(names) => enable::enable(session, &names),
        Command::Noop | Command::Check => Ok(()),

        Command::Select(select) => return select::select(session, &select, false).await,
        Command::Examine(select) => return select::select(session, &select, true).await,
        Command::Close => return select::close(session, row).await,
        Command::Unselect => select::unselect(session),

        Command::Create(create) => return tree::create(session, &create).await,
        Command::Delete(name) => tree::delete(session, &name).await,
        Command::Rename(rename) => tree::rename(session, &rename).await,
        Command::Subscribe(name) => tree::subscribe(session, &name, true).await,
        Command::Unsubscribe(name) => tree::subscribe(session, &name, false).await,
        Command::List(list) => list::list(session, &list).await,
        Command::Lsub(lsub) => list::lsub(session, &lsub).await,
        Command::Status(status) => status::status(session, &status).await,

        Command::GetQuota(root) => quota::get_quota(session, &root).await,
        Command::GetQuotaRoot(name) => quota::get_quota_root(session, &name).await,

        Command::Append(append) => return append::append(session, &append, messages).await,
        Command::Expunge => expunge::expunge(session, None).await,
        Command::UidExpunge(messages) => {
            let uids = resolve(session, &messages, By::Uid)?;
            expunge::expunge(session, Some(uids)).await
        }
        Command::Search(search) => search::search(session, tag, &search).await,
        Command::Sort(sort) => sort::sort(session, tag, &sort).await,
        Command::Thread(thread) => sort::thread(session, &thread).await,
        Command::Fetch(fetch) => return fetch::fetch(session, row, &fetch).await,
        Command::Store(store) => return store::store(session, row, &store).await,
        Command::Copy(copy) => return copy::copy(session, &copy).await,
        Command::Move(copy) => return copy::move_messages(session, row, &copy).await,

        // The shell does these.
        Command::Logout
        | Command::StartTls
        | Command::Authenticate(_)
        | Command::Login(_)
        | Command::Compress(_)
        | Command::Unauthenticate
        | Command::Idle => Ok(()),
    }?;
    Ok(StatusResponse::completed(row))
}

/// The messages that a command names. Those that are gone and not told yet are left out;
/// a sequence number beyond the last is a mistake.
fn resolve(session: &Session<'_>, messages: &Messages, by: By) -> Result<UidSet, Failure> {
    let selected = session.selected()?;
    match messages {
        Messages::Set(set) => {
            Ok(selected.view.resolve(set, by).map_err(|_| StatusResponse::out_of_range())?.uids)
        }
        Messages::SavedResult => Ok(selected.saved()),
    }
}
