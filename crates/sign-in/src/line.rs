//! A line of history as it is stored: the record that people read, and the event that other
//! nodes, and this one after a restart, learn from it.

use hikyaku_access::event::{Event, Standing, What};
use hikyaku_access::facts::{SubjectKey, Tag};
use hikyaku_access::history::{Client, Record, Verdict};
use hikyaku_access::place::{Asn, Country, Place};
use hikyaku_access::reason::Reason;
use hikyaku_store::{Param, Row, ServiceTx, Sql, StoreError};
use hikyaku_types::{AccountId, NodeId, RisingIds, TenantId, Timestamp};

use crate::habits;
use crate::word::Word;

/// What others learn from a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Learned {
    Nothing,
    Good,
    /// Good, and it speaks for its source.
    Vouch,
    Wrong,
}

impl Word for Learned {
    const WORDS: &'static [(Self, &'static str)] =
        &[(Self::Nothing, ""), (Self::Good, "good"), (Self::Vouch, "vouch"), (Self::Wrong, "wrong")];
}

/// One line of history.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its id, which rises with time.
    pub id: i64,
    /// What people read; its time is that of the first attempt.
    pub record: Record,
    /// What the source was to the account.
    pub standing: Standing,
    /// Levels whose rule would have refused, if it were enforced: `tenant group`.
    pub would_refuse: String,
    /// How many attempts it stands for.
    pub times: u32,
    /// When the last of them came.
    pub last: Timestamp,
    pub(crate) node: NodeId,
    pub(crate) learned: Learned,
    /// Of whatever was wrong; in the record it stands only for an account's.
    pub(crate) tag: Option<Tag>,
}

const INSERT: Sql = Sql::new(
    "INSERT INTO signin (id, at, last, times, node, tenant, account, name, service, ip, client, country, asn,
        proof, tag, standing, verdict, reason, would, learned)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)",
);
const KNOWN: Sql = Sql::new(
    "INSERT INTO known (account, source, tenant, since, last, vouches) VALUES ($1, $2, $3, $4, $4, $5)
     ON CONFLICT (account, source) DO UPDATE SET
        since = CASE WHEN known.last < $6 THEN excluded.since ELSE known.since END,
        last = CASE WHEN known.last < excluded.last THEN excluded.last ELSE known.last END,
        vouches = CASE WHEN known.vouches < excluded.vouches THEN excluded.vouches ELSE known.vouches END",
);

/// The columns of [`read`], in its order.
macro_rules! columns {
    () => {
        "id, at, last, times, node, tenant, account, name, service, ip, client, country, asn, proof, tag,
         standing, verdict, reason, would, learned"
    };
}
pub(crate) use columns;

impl Line {
    /// How it ended, in a word.
    pub fn result(&self) -> &'static str {
        self.record.verdict.word()
    }

    /// The event that it tells of.
    pub(crate) fn event(&self) -> Option<Event> {
        let (record, tenant) = (&self.record, self.record.tenant);
        let what = match (self.learned, record.subject) {
            (Learned::Nothing, _) | (Learned::Good | Learned::Vouch, SubjectKey::Missing(_)) => return None,
            (learned, SubjectKey::Account(account)) if learned != Learned::Wrong => {
                What::Good { tenant: tenant?, account, vouches: learned == Learned::Vouch }
            }
            (_, subject) => {
                let (tag, class) = (self.tag?, record.service.class());
                What::Wrong { tenant, subject, tag, class, standing: self.standing }
            }
        };
        Some(Event { at: record.at, node: self.node, ip: record.ip, what })
    }

    /// Writes it, and the source that it makes known. `known_since` is the time before which
    /// a source that was not seen is forgotten.
    pub(crate) fn write(&self, tx: &mut ServiceTx<'_>, known_since: Timestamp) -> Result<(), StoreError> {
        let record = &self.record;
        let (account, name) = subject_columns(record.subject);
        let (ip, place) = (record.ip.to_string(), &record.place);
        let country = place.country.map(|country| country.to_string());
        let values: [Param<'_>; 20] = [
            self.id.into(),
            record.at.into(),
            self.last.into(),
            self.times.into(),
            u32::from(self.node.number()).into(),
            tenant_column(record.tenant).into(),
            account.into(),
            name.into(),
            record.service.word().into(),
            (&ip).into(),
            record.client.as_str().into(),
            country.as_deref().into(),
            place.asn.map(|asn| asn.0).into(),
            record.proof.word().into(),
            self.tag.map(|tag| tag.0).into(),
            self.standing.word().into(),
            record.verdict.word().into(),
            record.reason.map(Reason::code).into(),
            (&self.would_refuse).into(),
            self.learned.word().into(),
        ];
        tx.execute(INSERT, &values)?;
        if let Some(Event { what: What::Good { tenant, account, vouches }, .. }) = self.event() {
            let source = hikyaku_access::source_of(record.ip).to_string();
            let (account, tenant) = (account.as_i64(), tenant.as_i64());
            let values: [Param<'_>; 6] = [
                account.into(),
                (&source).into(),
                tenant.into(),
                record.at.into(),
                vouches.into(),
                known_since.into(),
            ];
            tx.execute(KNOWN, &values)?;
        }
        habits::note(tx, self.id, record)
    }
}

/// Lines that one transaction may write: those of good sign-ins look at habits, too.
pub(crate) fn pages(lines: &[Line]) -> impl Iterator<Item = &[Line]> {
    const MOST_ROWS: usize = 800;
    let rows = |line: &Line| if line.record.verdict == Verdict::Admitted { habits::MOST_ROWS + 2 } else { 2 };
    let mut filled = 0;
    lines.chunk_by(move |_, next| {
        filled += rows(next);
        let fits = filled < MOST_ROWS;
        filled = if fits { filled } else { 0 };
        fits
    })
}

/// The newest id of what is appended here, so that new ones rise above it.
///
/// # Errors
/// [`StoreError`].
pub fn last_id(tx: &mut ServiceTx<'_>) -> Result<i64, StoreError> {
    const LAST: Sql = Sql::new(
        "SELECT max(id) FROM (SELECT max(id) AS id FROM signin UNION ALL SELECT max(id) FROM lift
            UNION ALL SELECT max(id) FROM ending) newest",
    );
    let last = tx.row(LAST, &[], |row| row.get::<Option<i64>>(0))?;
    Ok(last.flatten().unwrap_or(0))
}

/// Reads the columns of [`columns`].
pub(crate) fn read(row: Row<'_>) -> Result<Line, StoreError> {
    let subject = read_subject(row.get(6)?, row.get(7)?);
    let country: Option<String> = row.get(11)?;
    let reason: Option<String> = row.get(17)?;
    let reason = reason.and_then(|code| Reason::from_code(&code));
    let tag = row.get::<Option<i64>>(14)?.and_then(|tag| u32::try_from(tag).ok()).map(Tag);
    let record = Record {
        at: row.get(1)?,
        tenant: TenantId::from_i64(row.get(5)?),
        subject,
        service: word(&row, 8)?,
        client: Client::new(&row.get::<String>(10)?),
        ip: row.get::<String>(9)?.parse().map_err(|_| damaged("ip"))?,
        place: Place {
            country: country.and_then(|country| Country::parse(&country).ok()),
            asn: row.get::<Option<i64>>(12)?.and_then(|asn| u32::try_from(asn).ok()).map(Asn),
            position: None,
        },
        proof: word(&row, 13)?,
        tag: tag.filter(|_| reason == Some(Reason::WrongPassword)),
        verdict: word(&row, 16)?,
        reason,
    };
    let number = |column| Ok::<_, StoreError>(u32::try_from(row.get::<i64>(column)?).unwrap_or(u32::MAX));
    let node = u16::try_from(number(4)?).ok().and_then(NodeId::new).ok_or_else(|| damaged("node"))?;
    Ok(Line {
        id: row.get(0)?,
        record,
        standing: word(&row, 15)?,
        would_refuse: row.get(18)?,
        times: number(3)?,
        last: row.get(2)?,
        node,
        learned: word(&row, 19)?,
        tag,
    })
}

/// The columns `account` and `name`. A hash is kept bit by bit.
pub(crate) fn subject_columns(subject: SubjectKey) -> (Option<i64>, Option<i64>) {
    match subject {
        SubjectKey::Account(account) => (Some(account.as_i64()), None),
        SubjectKey::Missing(name) => (None, Some(name.cast_signed())),
    }
}

pub(crate) fn read_subject(account: Option<i64>, name: Option<i64>) -> SubjectKey {
    match account.and_then(AccountId::from_i64) {
        Some(account) => SubjectKey::Account(account),
        None => SubjectKey::Missing(name.unwrap_or_default().cast_unsigned()),
    }
}

/// 0 stands for nobody's.
pub(crate) fn tenant_column(tenant: Option<TenantId>) -> i64 {
    tenant.map_or(0, TenantId::as_i64)
}

/// The value of a word in a column.
pub(crate) fn word<W: Word>(row: &Row<'_>, column: usize) -> Result<W, StoreError> {
    W::of_word(&row.get::<String>(column)?).ok_or_else(|| damaged("a word"))
}

pub(crate) fn damaged(what: &str) -> StoreError {
    StoreError::Failed { label: "sign-in", cause: format!("damaged: {what}") }
}

/// The ids of lines that are not older than `time` are not below this.
pub(crate) fn floor(time: Timestamp) -> i64 {
    RisingIds::floor_at(time)
}
