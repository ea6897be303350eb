//! APPEND: a message that its owner puts into a mailbox.
//!
//! Standards: RFC 3501 section 6.3.11, RFC 4315 section 3 (APPENDUID), RFC 3502 (MULTIAPPEND),
//! RFC 6855 section 4 (UTF8).

use std::sync::Arc;

use hikyaku_imap_proto::command::{Append, AppendMessage, MessageForm};
use hikyaku_imap_proto::response::StatusResponse;
use hikyaku_imap_proto::table::Reason;
use hikyaku_imap_proto::{Dialect, Uid, UidValidity};
use hikyaku_mailstore::{AppendError, AppendedEmail, MessageHash, Threading};
use hikyaku_mime::Header;
use hikyaku_mime::thread::thread_ids;
use hikyaku_types::{ContentId, EmailId};

use crate::mailboxes;
use crate::selected::to_store;
use crate::session::{Failure, Outcome, Session};

pub(super) async fn append(session: &mut Session<'_>, append: &Append, contents: Vec<Vec<u8>>) -> Outcome {
    let id = match mailboxes::find(session, &append.mailbox).await {
        Ok(mailbox) => mailbox.id,
        Err(_) => return Err(StatusResponse::try_create().into()),
    };
    if append.messages.len() != contents.len() || contents.iter().any(Vec::is_empty) {
        // RFC 3502 section 6.3.11: an empty message cancels.
        return Err(StatusResponse::refused(hikyaku_imap_proto::framer::Refusal::Decided).into());
    }
    let is_utf8 = append.messages.iter().any(|message| message.form == MessageForm::Utf8);
    if is_utf8 && session.dialect != Dialect::Utf8 {
        // RFC 6855 section 4.
        return Err(StatusResponse::bad(&Reason::NotEnabled).into());
    }
    let account = Arc::clone(session.account()?);
    let mut share = true;
    loop {
        let mut messages = Vec::with_capacity(contents.len());
        for (message, content) in append.messages.iter().zip(&contents) {
            messages.push(prepare(session, message, content, share).await?);
        }
        let (limits, now) = ((account.quota, account.pool), session.services.clock.now());
        let appended = session.services.store.write(
            hikyaku_store::Scope::account(
                &hikyaku_types::Actor::Owner { tenant: account.home.tenant, account: account.home.account },
                account.home,
            )?
            .weighing(messages.iter().map(|message| message.content.weight()).sum())
            .long(),
            "imap.append",
            move |tx| hikyaku_mailstore::append(tx, id, &messages, limits, now),
        );
        match appended.await {
            Ok((validity, uids)) => {
                let uids = uids.into_iter().filter_map(Uid::new).collect();
                let validity = UidValidity::new(validity).ok_or_else(StatusResponse::server_bug)?;
                return Ok(StatusResponse::appended(validity, uids));
            }
            // The twin of the content died between look and commit: store it anew, once.
            Err(AppendError::TwinGone) if share => share = false,
            Err(error) => return Err(error.into()),
        }
    }
}

async fn prepare(
    session: &Session<'_>,
    message: &AppendMessage,
    content: &[u8],
    share: bool,
) -> Result<AppendedEmail, Failure> {
    let (services, home) = (session.services, session.account()?.home);
    let now = services.clock.now();
    let prepared = services
        .content
        .prepare(&services.store, home.shard, home.tenant, content, share, now, &*services.random)
        .await
        .map_err(|error| {
            tracing::error!(account = %home.account, %error, "content was not stored");
            StatusResponse::unavailable()
        })?;
    let ids = thread_ids(Header::of_content(content));
    let hash = |id: &String| MessageHash::of(id.as_bytes());
    let (flags, keywords) = to_store(&message.flags);
    Ok(AppendedEmail {
        content: prepared,
        content_id: ContentId::from_i64(services.ids.next(now)).ok_or_else(StatusResponse::server_bug)?,
        email: EmailId::from_i64(services.ids.next(now)).ok_or_else(StatusResponse::server_bug)?,
        threading: Threading {
            own: ids.own.as_ref().map(hash),
            parents: ids.parents.iter().map(hash).collect(),
        },
        received_at: message.date_time.map_or(now, |date| date.at),
        flags,
        keywords,
    })
}
