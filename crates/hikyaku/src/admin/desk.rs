//! Where requests are carried out: what they may ask, and what they are answered.
//!
//! The same for a line of the socket and for a command line that no server answers. A kind of
//! request beside the directory's objects is a variant of [`Ask`] and of [`Reply`], an arm of
//! [`Desk::answer`], and a file that carries it out.
//!
//! Trust: whoever gets here runs the platform.

use std::sync::Arc;

use hikyaku_directory::{Action, Answer, Directory, DirectoryError, Kind, Request, Verb};
use hikyaku_queue::Administration;
use hikyaku_sign_in::Gate;
use hikyaku_trace::{Archive, RefusalLog};
use hikyaku_types::Actor;
use serde::{Deserialize, Serialize};

use super::access::{self, AccessAsk, AccessReply};
use super::import::{ImportAsk, ImportReply, Importer};
use super::queue::{self, QueueAsk, QueueReply};
use super::refusal::Refusal;
use super::session::{self, SessionAsk, SessionReply};
use super::sign_in::{self, SignInAsk, SignInReply};
use super::trace::{self, TraceAsk, TraceReply};
use crate::services::Installation;

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
pub(super) enum Ask {
    One(Request),
    /// In one transaction.
    Many(Vec<Request>),
    Import(ImportAsk),
    Queue(QueueAsk),
    Access(AccessAsk),
    Session(SessionAsk),
    SignIn(SignInAsk),
    Trace(TraceAsk),
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
pub(super) enum Reply {
    Answer(Answer),
    /// All of many is done.
    Done,
    Import(ImportReply),
    Queue(QueueReply),
    Access(AccessReply),
    Session(SessionReply),
    SignIn(SignInReply),
    Trace(TraceReply),
    Error(Refusal),
}

/// What requests are carried out with.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(super) directory: Arc<Directory>,
    importer: Importer,
    pub(super) queue: Administration,
    /// That of the running server, or one that was opened for this request.
    pub(super) gate: Option<Arc<Gate>>,
    pub(super) trace: Archive,
    /// Those that wait to be written.
    pub(super) refusals: RefusalLog,
}

impl Ask {
    /// How many bytes follow its line.
    pub(super) fn following(&self) -> Result<usize, Refusal> {
        match self {
            Self::Import(ask) => ask.following(),
            _ => Ok(0),
        }
    }

    /// Those bytes.
    pub(super) fn contents(&mut self) -> Option<&mut Vec<u8>> {
        match self {
            Self::Import(ask) => ask.contents(),
            _ => None,
        }
    }
}

impl Desk {
    pub(crate) fn new(
        installation: &Installation,
        directory: Arc<Directory>,
        gate: Option<Arc<Gate>>,
    ) -> Self {
        Self {
            directory,
            importer: Importer::new(installation),
            queue: installation.queue(),
            gate,
            trace: Archive::new(Arc::clone(&installation.store)),
            refusals: installation.refusals.clone(),
        }
    }

    /// For another connection.
    pub(super) fn of_another(&self) -> Self {
        Self { importer: self.importer.of_another(), ..self.clone() }
    }

    /// Carries it out; `who` stands in the audit log.
    pub(super) async fn answer(&self, who: &str, ask: Ask) -> Reply {
        let done = match ask {
            Ask::One(request) => self.one(who, request).await.map(Reply::Answer),
            Ask::Many(requests) => self.many(who, requests).await.map(|()| Reply::Done),
            Ask::Import(ask) => self.importer.answer(&self.directory, ask).await.map(Reply::Import),
            Ask::Queue(ask) => queue::answer(self, who, ask).await.map(Reply::Queue),
            Ask::Access(ask) => self.access(who, ask).await.map(Reply::Access),
            Ask::Session(ask) => self.session(who, ask).await.map(Reply::Session),
            Ask::SignIn(ask) => self.sign_in(who, ask).await.map(Reply::SignIn),
            Ask::Trace(ask) => trace::answer(self, ask).await.map(Reply::Trace),
        };
        done.unwrap_or_else(Reply::Error)
    }

    async fn one(&self, who: &str, request: Request) -> Result<Answer, Refusal> {
        refuse_rule(&request)?;
        let may_exempt =
            matches!(&request.action, Action::Change { object, .. } if object.kind == Kind::Tenant);
        let done = self.directory.execute_as(Actor::Operator, who, request).await.map_err(refused)?;
        if may_exempt {
            self.lift_exempt().await;
        }
        Ok(done)
    }

    /// Who comes from an exempt network is let in already; a list of blocks that was not cleaned
    /// is cleaned when it is looked at.
    async fn lift_exempt(&self) {
        if let Some(gate) = &self.gate
            && let Err(error) = gate.lift_exempt(None).await
        {
            tracing::warn!(%error, "blocks of exempt networks were not lifted yet");
        }
    }

    async fn sign_in(&self, who: &str, ask: SignInAsk) -> Result<SignInReply, Refusal> {
        sign_in::answer(self, self.gate()?, who, ask).await
    }

    async fn access(&self, who: &str, ask: AccessAsk) -> Result<AccessReply, Refusal> {
        access::answer(self, self.gate()?, who, ask).await
    }

    async fn session(&self, who: &str, ask: SessionAsk) -> Result<SessionReply, Refusal> {
        session::answer(self, self.gate()?, who, ask).await
    }

    fn gate(&self) -> Result<&Gate, Refusal> {
        self.gate.as_deref().ok_or_else(|| Refusal::unavailable("sign-ins cannot be asked about"))
    }

    async fn many(&self, who: &str, requests: Vec<Request>) -> Result<(), Refusal> {
        requests.iter().try_for_each(refuse_rule)?;
        self.directory.execute_many(Actor::Operator, who, requests).await.map_err(refused)
    }
}

/// A rule is made and changed where it is tried out first; here it can be deleted.
fn refuse_rule(request: &Request) -> Result<(), Refusal> {
    let kind = match &request.action {
        Action::Create { kind, .. } => *kind,
        Action::Change { object, .. } => object.kind,
        Action::Move { object, verb, .. } if *verb != Verb::Delete => object.kind,
        _ => return Ok(()),
    };
    if kind == Kind::Rule {
        return Err(Refusal::usage("rules are made and changed with `hikyaku admin access set`"));
    }
    Ok(())
}

fn refused(error: DirectoryError) -> Refusal {
    Refusal::from(&error)
}
