//! Clients that say what they are called after they signed in, as many do: IMAP's ID after LOGIN.
//!
//! The name goes to the session at once (others list it), and with the next flush to the line of
//! history and to the habits of the account: it is compared then, as it would have been at the
//! sign-in.
//!
//! Invariants:
//! - a session is named once, and only if it signed in without a name;
//! - nobody waits for it: the command only puts it into a list, of at most [`MOST`];
//! - a line that has a name keeps it.
//!
//! Known weakness: sign-ins of one second that share a line share the name of the first that says
//! one. Each is compared.

use std::time::Duration;

use hikyaku_access::history::Verdict;
use hikyaku_store::{Param, ServiceTx, Sql, StoreError};

use crate::gate::Gate;
use crate::habits;
use crate::line::{self, columns, floor};
use crate::sessions::Session;
use crate::word::Word;

/// Most names between two flushes.
pub(crate) const MOST: usize = 20_000;
/// Names of one transaction: each reads and writes what is usual for its account.
const STEP: usize = 800 / (habits::MOST_ROWS + 3);
/// A line begins at most so long before the last sign-in that it stands for.
const SHARED: Duration = Duration::from_secs(60);

const LINE: Sql = Sql::new(concat!(
    "SELECT ",
    columns!(),
    " FROM signin WHERE account = $1 AND id >= $2 AND service = $3 AND ip = $4 AND verdict = $5
        AND at <= $6 AND last >= $6 ORDER BY id DESC LIMIT 1"
));
const NAME: Sql = Sql::new("UPDATE signin SET client = $2 WHERE id = $1 AND client = ''");

impl Gate {
    /// Writes names down, and compares them.
    pub(crate) async fn flush_names(&self) -> Result<(), StoreError> {
        let mut named = std::mem::take(&mut self.sessions.table().named);
        while !named.is_empty() {
            let these = named.split_off(named.len().saturating_sub(STEP));
            let step = these.clone();
            let written = self
                .write("sign-in.name", move |tx| step.iter().try_for_each(|session| name(tx, session)))
                .await;
            if let Err(error) = written {
                let mut table = self.sessions.table();
                table.named.extend(named.into_iter().chain(these));
                table.named.truncate(MOST);
                return Err(error);
            }
        }
        Ok(())
    }
}

/// A line that could not be kept has no name either.
fn name(tx: &mut ServiceTx<'_>, session: &Session) -> Result<(), StoreError> {
    let ip = session.ip.to_string();
    let values: [Param<'_>; 6] = [
        session.account.into(),
        floor(session.since.before(SHARED)).into(),
        session.service.word().into(),
        (&ip).into(),
        Verdict::Admitted.word().into(),
        session.since.into(),
    ];
    let Some(mut line) = tx.row(LINE, &values, line::read)? else { return Ok(()) };
    tx.execute(NAME, &[line.id.into(), session.client.as_str().into()])?;
    line.record.client = session.client.clone();
    habits::note_program(tx, line.id, &line.record)
}
