//! Where requests are carried out: what they may ask, and what they are answered.
//!
//! The same for a line of the socket and for a command line that no server answers. A kind of
//! request beside the directory's objects is a variant of [`Ask`] and of [`Reply`], an arm of
//! [`Desk::answer`], and a file that carries it out.
//!
//! Trust: whoever gets here runs the platform.

use std::sync::Arc;

use hikyaku_directory::{Answer, Directory, DirectoryError, Request};
use hikyaku_queue::Administration;
use hikyaku_trace::{Archive, RefusalLog};
use hikyaku_types::Actor;
use serde::{Deserialize, Serialize};

use super::import::{ImportAsk, ImportReply, Importer};
use super::queue::{self, QueueAsk, QueueReply};
use super::refusal::Refusal;
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
    Trace(TraceReply),
    Error(Refusal),
}

/// What requests are carried out with.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(super) directory: Arc<Directory>,
    importer: Importer,
    pub(super) queue: Administration,
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
    pub(crate) fn new(installation: &Installation, directory: Arc<Directory>) -> Self {
        Self {
            directory,
            importer: Importer::new(installation),
            queue: installation.queue(),
            trace: Archive::new(Arc::clone(&installation.store)),
            refusals: installation.refusals.clone(),
        }
    }

    /// Carries it out; `who` stands in the audit log.
    pub(super) async fn answer(&self, who: &str, ask: Ask) -> Reply {
        let done = match ask {
            Ask::One(request) => self.one(who, request).await.map(Reply::Answer),
            Ask::Many(requests) => self.many(who, requests).await.map(|()| Reply::Done),
            Ask::Import(ask) => self.importer.answer(&self.directory, ask).await.map(Reply::Import),
            Ask::Queue(ask) => queue::answer(self, who, ask).await.map(Reply::Queue),
            Ask::Trace(ask) => trace::answer(self, ask).await.map(Reply::Trace),
        };
        done.unwrap_or_else(Reply::Error)
    }

    async fn one(&self, who: &str, request: Request) -> Result<Answer, Refusal> {
        self.directory.execute_as(Actor::Operator, who, request).await.map_err(refused)
    }

    async fn many(&self, who: &str, requests: Vec<Request>) -> Result<(), Refusal> {
        self.directory.execute_many(Actor::Operator, who, requests).await.map_err(refused)
    }
}

fn refused(error: DirectoryError) -> Refusal {
    Refusal::from(&error)
}
