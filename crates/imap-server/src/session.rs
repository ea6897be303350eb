//! What a session knows between commands, and how its commands reach the store.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use hikyaku_directory::Account;
use hikyaku_imap_proto::capability::{Capability, Moment};
use hikyaku_imap_proto::response::{Code, Condition, StatusResponse};
use hikyaku_imap_proto::table::State;
use hikyaku_imap_proto::{Dialect, MailboxName};
use hikyaku_mailstore::entry::FlagsError;
use hikyaku_mailstore::{AppendError, CopyError, MailboxError, MailboxPath};
use hikyaku_sign_in::Visit;
use hikyaku_store::{AccountScope, AccountTx, NotFound, Scope, StoreError};
use hikyaku_types::Actor;

use crate::cmd::enable::Enabled;
use crate::mailboxes::normal;
use crate::memory::{NoRoom, Room};
use crate::selected::Selected;
use crate::wire::Wire;
use crate::{Mode, Services};

/// What we keep of the rows that imap-proto has.
#[rustfmt::skip]
const SERVED: &[Capability] = &[
    Capability::Imap4Rev1, Capability::Imap4Rev2, Capability::LiteralPlus, Capability::SaslIr, Capability::Id, Capability::Enable,
    Capability::StartTls, Capability::LoginDisabled, Capability::AuthPlain,
    Capability::AuthScram256, Capability::AuthScram256Plus, Capability::Idle,
    Capability::Namespace, Capability::Children, Capability::UidPlus, Capability::Unselect, Capability::Move,
    Capability::SpecialUse, Capability::CreateSpecial, Capability::ListExtended, Capability::ListStatus,
    Capability::StatusSize, Capability::ESearch, Capability::SearchRes, Capability::Within,
    Capability::CondStore, Capability::QResync, Capability::Binary, Capability::MultiAppend,
    Capability::AppendLimit, Capability::ObjectId, Capability::Preview, Capability::SaveDate,
    Capability::Utf8Accept, Capability::Sort, Capability::SortDisplay, Capability::ESort,
    Capability::ThreadRefs, Capability::ThreadSubject, Capability::Quota, Capability::QuotaStorage,
    Capability::QuotaMessage, Capability::Unauthenticate, Capability::CompressDeflate,
];

/// Why a command has no OK.
#[derive(Debug)]
pub(crate) enum Failure {
    /// This is the answer.
    Answer(StatusResponse),
    /// There was no memory for a message: the command ends, as the next one would wait, too.
    NoRoom,
    /// The connection is gone.
    Gone(io::Error),
}

pub(crate) type Outcome = Result<StatusResponse, Failure>;

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Gone(error)
    }
}

impl From<NoRoom> for Failure {
    fn from(_: NoRoom) -> Self {
        Self::NoRoom
    }
}

impl From<StatusResponse> for Failure {
    fn from(answer: StatusResponse) -> Self {
        Self::Answer(answer)
    }
}

/// The store logged what happened; the client may try again.
impl From<StoreError> for Failure {
    fn from(_: StoreError) -> Self {
        Self::Answer(StatusResponse::unavailable())
    }
}

impl From<NotFound> for Failure {
    fn from(_: NotFound) -> Self {
        Self::Answer(StatusResponse::no_such_mailbox())
    }
}

impl From<MailboxError> for Failure {
    fn from(error: MailboxError) -> Self {
        Self::Answer(match error {
            MailboxError::NotFound | MailboxError::NoAccount => StatusResponse::no_such_mailbox(),
            MailboxError::Exists => StatusResponse::mailbox_exists(),
            MailboxError::HasChildren => StatusResponse::has_children(),
            MailboxError::Cannot | MailboxError::Name => StatusResponse::cannot_create(),
            MailboxError::TooMany => StatusResponse::limit(),
            MailboxError::Store(_) => StatusResponse::unavailable(),
        })
    }
}

impl From<CopyError> for Failure {
    fn from(error: CopyError) -> Self {
        Self::Answer(match error {
            CopyError::NoTarget => StatusResponse::try_create(),
            CopyError::Full(_) => StatusResponse::over_quota(),
            CopyError::Store(_) => StatusResponse::unavailable(),
        })
    }
}

impl From<FlagsError> for Failure {
    fn from(error: FlagsError) -> Self {
        Self::Answer(match error {
            FlagsError::TooManyKeywords => StatusResponse::limit(),
            FlagsError::Store(_) => StatusResponse::unavailable(),
        })
    }
}

impl From<AppendError> for Failure {
    fn from(error: AppendError) -> Self {
        Self::Answer(match error {
            AppendError::NoMailbox => StatusResponse::try_create(),
            AppendError::Full(_) => StatusResponse::over_quota(),
            AppendError::TooManyKeywords => StatusResponse::limit(),
            AppendError::TwinGone | AppendError::Store(_) => StatusResponse::unavailable(),
        })
    }
}

/// One session.
pub(crate) struct Session<'s> {
    pub(crate) services: &'s Services,
    pub(crate) mode: &'s Mode,
    pub(crate) peer: IpAddr,
    pub(crate) wire: Wire,
    pub(crate) account: Option<Arc<Account>>,
    /// Among the signed-in connections, as long as it is one.
    pub(crate) visit: Option<Visit>,
    pub(crate) selected: Option<Selected>,
    pub(crate) dialect: Dialect,
    pub(crate) enabled: Enabled,
    pub(crate) has_tls: bool,
    /// What the client calls itself (RFC 2971).
    pub(crate) client: String,
    /// What a sign-in can be bound to.
    pub(crate) exporter: Option<[u8; 32]>,
    /// Is SCRAM the choice of any tenant?
    pub(crate) offers_scram: bool,
}

impl Session<'_> {
    /// Where the session stands, as the command table knows it.
    pub(crate) fn state(&self) -> State {
        match (&self.account, &self.selected) {
            (None, _) => State::NotAuthenticated,
            (Some(_), None) => State::Authenticated,
            (Some(_), Some(_)) => State::Selected,
        }
    }

    /// What is offered at this moment.
    pub(crate) fn capabilities(&self) -> Vec<Capability> {
        let moment = Moment {
            tls: self.may_sign_in(),
            starttls: self.mode.tls.is_some() && !self.has_tls,
            signed_in: self.account.is_some(),
        };
        // TLS can begin also where it need not.
        let begins_tls = moment.starttls && !moment.signed_in;
        let is_told = |capability: &Capability| match capability {
            Capability::StartTls => begins_tls,
            Capability::CompressDeflate if self.wire.is_compressed() => false,
            Capability::AuthScram256Plus if self.exporter.is_none() => false,
            Capability::AuthScram256 | Capability::AuthScram256Plus if !self.offers_scram => false,
            other => SERVED.contains(other) && other.when().is(moment),
        };
        Capability::ALL.iter().copied().filter(is_told).collect()
    }

    pub(crate) fn may_sign_in(&self) -> bool {
        self.has_tls || self.mode.plain_sign_in_without_tls
    }

    /// Forgets who signed in and all that depends on it (RFC 8437 section 3).
    pub(crate) fn sign_out(&mut self) {
        self.account = None;
        self.visit = None;
        self.selected = None;
        self.enabled = Enabled::default();
        self.dialect = self.enabled.dialect();
    }

    /// The account that signed in; the table lets no other command come here.
    pub(crate) fn account(&self) -> Result<&Arc<Account>, Failure> {
        self.account.as_ref().ok_or_else(|| StatusResponse::server_bug().into())
    }

    /// The open mailbox; the table lets no other command come here.
    pub(crate) fn selected(&self) -> Result<&Selected, Failure> {
        self.selected.as_ref().ok_or_else(|| StatusResponse::server_bug().into())
    }

    pub(crate) fn selected_mut(&mut self) -> Result<&mut Selected, Failure> {
        self.selected.as_mut().ok_or_else(|| StatusResponse::server_bug().into())
    }

    /// The tagged answer with the mod-sequence that a client with QRESYNC must be told
    /// (RFC 7162 sections 3.2.6 to 3.2.10). If the answer has another code, it is told before.
    pub(crate) fn with_modseq(&mut self, answer: StatusResponse) -> StatusResponse {
        let Some(selected) = self.selected.as_mut().filter(|_| self.enabled.qresync) else { return answer };
        let Some(modseq) = selected.modseq_to_tell() else { return answer };
        if answer.code.is_none() && answer.condition == Condition::Ok {
            return StatusResponse { code: Some(Code::HighestModSeq(modseq)), ..answer };
        }
        StatusResponse::highest_modseq(modseq).untagged(&mut self.wire.out);
        answer
    }

    /// Memory for so many bytes of messages, as soon as there is some.
    pub(crate) async fn room(&self, bytes: u64) -> Result<Room, Failure> {
        let mut room = self.services.memory.room(self.account()?.home);
        room.grow(bytes, self.mode.memory_wait).await?;
        Ok(room)
    }

    pub(crate) fn scope(&self) -> Result<AccountScope, Failure> {
        let home = self.account()?.home;
        Ok(Scope::account(&Actor::Owner { tenant: home.tenant, account: home.account }, home)?)
    }

    /// Reads from the account.
    pub(crate) async fn read<T, E, F>(&self, label: &'static str, closure: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        E: From<StoreError> + Into<Failure> + Send + 'static,
        F: Fn(&mut AccountTx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.services.store.read(self.scope()?, label, closure).await.map_err(Into::into)
    }

    /// Changes the account.
    pub(crate) async fn write<T, E, F>(&self, label: &'static str, closure: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        E: From<StoreError> + Into<Failure> + Send + 'static,
        F: Fn(&mut AccountTx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.services.store.write(self.scope()?.long(), label, closure).await.map_err(Into::into)
    }
}

/// The levels of a name, as the mailstore wants them: in NFC, none of them empty.
pub(crate) fn path(name: &MailboxName) -> Result<MailboxPath, Failure> {
    Ok(MailboxPath::new(normal(name).levels())?)
}
