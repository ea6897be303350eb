//! GETQUOTA and GETQUOTAROOT.
//!
//! Standards: RFC 9208. Every mailbox of an account has one quota root, the empty name. The
//! tenant's pool is not the user's business.

use hikyaku_imap_proto::MailboxName;
use hikyaku_imap_proto::response::{self, QuotaResource, StatusResponse};
use hikyaku_mailstore::account;

use crate::mailboxes;
use crate::session::{Failure, Session};

/// The quota root of all mailboxes.
const ROOT: &str = "";
/// Octets in a unit of STORAGE, RFC 9208 section 5.1.
const UNIT: u64 = 1024;

pub(super) async fn get_quota(session: &mut Session<'_>, root: &str) -> Result<(), Failure> {
    if root != ROOT {
        return Err(StatusResponse::no_such_quota_root().into());
    }
    tell(session).await
}

pub(super) async fn get_quota_root(session: &mut Session<'_>, name: &MailboxName) -> Result<(), Failure> {
    mailboxes::find(session, name).await?;
    response::quota_root(&mut session.wire.out, name, &[ROOT], session.dialect);
    tell(session).await
}

/// Resources without a limit are not told (RFC 9208 section 4.2.1).
async fn tell(session: &mut Session<'_>) -> Result<(), Failure> {
    let (_, bytes) = session.read("imap.usage", account::usage).await?.unwrap_or_default();
    let limit = session.account()?.quota.0;
    let storage = limit.map(|limit| QuotaResource {
        name: "STORAGE",
        usage: bytes.div_ceil(UNIT),
        limit: limit / UNIT,
    });
    response::quota(&mut session.wire.out, ROOT, storage.as_slice(), session.dialect);
    Ok(())
}
