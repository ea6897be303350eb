//! COPY and MOVE.
//!
//! Standards: RFC 3501 section 6.4.7, RFC 6851 (MOVE), RFC 4315 section 3 (COPYUID).
//! Both are atomic up to [`AT_ONCE`] messages; more are done in several steps.

use hikyaku_imap_proto::command::Copy;
use hikyaku_imap_proto::response::StatusResponse;
use hikyaku_imap_proto::table::Row;
use hikyaku_imap_proto::{Uid, UidSet, UidValidity};
use hikyaku_mailstore::{MailboxId, entry};

use super::resolve;
use crate::mailboxes;
use crate::session::{Failure, Outcome, Session};

/// Messages in one transaction: each has several rows.
const AT_ONCE: usize = 1_000;

/// What was copied, in the order of the source.
#[derive(Default)]
struct Pairs {
    validity: Option<UidValidity>,
    from: Vec<Uid>,
    to: Vec<Uid>,
}

impl Pairs {
    fn add(&mut self, copied: &entry::Copied) {
        self.validity = UidValidity::new(copied.uidvalidity);
        for (from, to) in &copied.uids {
            if let (Some(from), Some(to)) = (Uid::new(*from), Uid::new(*to)) {
                self.from.push(from);
                self.to.push(to);
            }
        }
    }

    /// COPYUID, if anything was copied.
    fn answer(self) -> Option<StatusResponse> {
        let validity = self.validity.filter(|_| !self.from.is_empty())?;
        Some(StatusResponse::copied(validity, self.from.into_iter().collect(), self.to.into_iter().collect()))
    }
}

async fn target(session: &Session<'_>, copy: &Copy) -> Result<MailboxId, Failure> {
    match mailboxes::find(session, &copy.mailbox).await {
        Ok(mailbox) => Ok(mailbox.id),
        Err(_) => Err(StatusResponse::try_create().into()),
    }
}

fn at_once(uids: &UidSet) -> Vec<Vec<u32>> {
    let all: Vec<u32> = uids.iter().map(Uid::get).collect();
    all.chunks(AT_ONCE).map(<[u32]>::to_vec).collect()
}

pub(super) async fn copy(session: &mut Session<'_>, copy: &Copy) -> Outcome {
    let uids = resolve(session, &copy.messages, copy.by)?;
    let to = target(session, copy).await?;
    let (from, now) = (session.selected()?.id, session.services.clock.now());
    let account = session.account()?;
    let limits = (account.quota, account.pool);
    let mut pairs = Pairs::default();
    for step in at_once(&uids) {
        pairs
            .add(&session.write("imap.copy", move |tx| entry::copy(tx, from, &step, to, limits, now)).await?);
    }
    Ok(pairs.answer().unwrap_or_else(nothing))
}

pub(super) async fn move_messages(session: &mut Session<'_>, row: &'static Row, copy: &Copy) -> Outcome {
    let uids = resolve(session, &copy.messages, copy.by)?;
    let to = target(session, copy).await?;
    let selected = session.selected()?;
    if selected.read_only {
        return Err(StatusResponse::read_only().into());
    }
    let (from, now) = (selected.id, session.services.clock.now());
    let mut pairs = Pairs::default();
    for step in at_once(&uids) {
        pairs
            .add(&session.write("imap.move", move |tx| entry::move_entries(tx, from, &step, to, now)).await?);
    }
    // Untagged, before the EXPUNGEs that follow from the sync (RFC 6851 section 4.3).
    if let Some(answer) = pairs.answer() {
        answer.untagged(&mut session.wire.out);
    }
    Ok(StatusResponse::completed(row))
}

/// All of the messages were gone.
fn nothing() -> StatusResponse {
    StatusResponse {
        condition: hikyaku_imap_proto::response::Condition::Ok,
        code: None,
        text: "Nothing to copy".into(),
    }
}
