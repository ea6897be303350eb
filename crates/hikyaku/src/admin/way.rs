//! The way to the desk: through a running server's socket, or, when none runs, by
//! opening the databases under the lock that a server would hold.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use hikyaku_directory::{Answer, Request};
use hikyaku_sign_in::Atlas;
use hikyaku_store::{DataLock, LockError, Options};
use hikyaku_telemetry::Metrics;
use tokio::runtime::Runtime;

use super::desk::{Ask, Desk, Reply};
use super::place::Place;
use super::refusal::Refusal;
use super::socket;
use super::user;
use crate::services::{Installation, Opening, Process};

/// A server that takes longer has something else to do.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) enum Way {
    Server(BufReader<UnixStream>),
    Direct(Box<Direct>),
}

pub(super) struct Direct {
    desk: Desk,
    installation: Installation,
    runtime: Runtime,
    /// Whose name stands in the audit log.
    who: String,
}

impl Way {
    pub(super) fn open(place: Place) -> Result<Self, Refusal> {
        // The lock makes its folder: a folder that is not there is a mistake here.
        if !place.data.is_dir() {
            return Err(Refusal::place(format!(
                "there is no folder {0}: say where the installation is with --data, or make one with \
                 `hikyaku migrate --data {0}`",
                place.data.display()
            )));
        }
        match DataLock::take(&place.data) {
            Ok(lock) => Ok(Self::Direct(Box::new(Direct::open(lock, place)?))),
            Err(LockError::Held { .. }) => Self::to_server(&place),
            Err(error) => Err(Refusal::place(error.to_string())),
        }
    }

    fn to_server(place: &Place) -> Result<Self, Refusal> {
        socket::check_folder(&place.data).map_err(|error| Refusal::place(error.to_string()))?;
        let path = socket::path(&place.data);
        let stream = UnixStream::connect(&path).map_err(|error| {
            Refusal::unavailable(format!(
                "a server has {} open, but its socket {} cannot be used: {error}. Is it starting or ending?",
                place.data.display(),
                path.display()
            ))
        })?;
        let prepared =
            stream.set_read_timeout(Some(PATIENCE)).and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
        prepared.map_err(|error| Refusal::failed(&error))?;
        Ok(Self::Server(BufReader::new(stream)))
    }

    pub(super) fn ask(&mut self, request: &Request) -> Result<Answer, Refusal> {
        match self.put(Ask::One(request.clone()))? {
            Reply::Answer(answer) => Ok(answer),
            _ => Err(not_understood()),
        }
    }

    /// Makes many changes in one transaction.
    pub(super) fn ask_many(&mut self, requests: Vec<Request>) -> Result<(), Refusal> {
        match self.put(Ask::Many(requests))? {
            Reply::Done => Ok(()),
            _ => Err(not_understood()),
        }
    }

    /// What is replied, unless it is a refusal.
    pub(super) fn put(&mut self, mut ask: Ask) -> Result<Reply, Refusal> {
        let reply = match self {
            Self::Server(stream) => ask_server(stream, &mut ask)?,
            Self::Direct(direct) => direct.answer(ask)?,
        };
        match reply {
            Reply::Error(refusal) => Err(refusal),
            reply => Ok(reply),
        }
    }
}

pub(super) fn not_understood() -> Refusal {
    Refusal::place("the server answers something else: use the command line of its version")
}

fn ask_server(stream: &mut BufReader<UnixStream>, ask: &mut Ask) -> Result<Reply, Refusal> {
    let failed = |error: std::io::Error| Refusal::failed(&error);
    let mut line = serde_json::to_string(ask).map_err(|error| Refusal::failed(&error))?;
    line.push('\n');
    stream.get_mut().write_all(line.as_bytes()).map_err(failed)?;
    if let Some(contents) = ask.contents() {
        stream.get_mut().write_all(contents).map_err(failed)?;
    }
    let mut reply = String::new();
    if stream.read_line(&mut reply).map_err(failed)? == 0 {
        return Err(Refusal::place("the server does not talk to this user: be root, or the user it runs as"));
    }
    serde_json::from_str(&reply).map_err(|_| not_understood())
}

impl Direct {
    fn open(lock: DataLock, place: Place) -> Result<Self, Refusal> {
        let failed = |error: anyhow::Error| Refusal::place(format!("{error:#}"));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Refusal::failed(&error))?;
        let opening = Opening {
            data: &place.data,
            location: &place.location,
            key_ring: &place.key_ring,
            options: &Options::default(),
            process: Process::Command,
        };
        let installation = Installation::open_locked(lock, &opening, &mut Metrics::new(), &runtime);
        let installation = installation.map_err(failed)?;
        let directory = installation.directory(2, place.breached, place.blocking).map_err(failed)?;
        let who = user::operator(rustix::process::getuid().as_raw());
        Ok(Self { desk: Desk::new(&installation, directory, None), installation, runtime, who })
    }
}

impl Direct {
    /// Opens the way in first if it is asked about: that reads the last week's sign-ins.
    fn answer(&mut self, ask: Ask) -> Result<Reply, Refusal> {
        let Self { desk, installation, runtime, who } = self;
        runtime.block_on(async {
            if desk.gate.is_none() && matches!(ask, Ask::SignIn(_) | Ask::Session(_) | Ask::Access(_)) {
                let gate = installation.gate(&desk.directory, Atlas::default()).await;
                desk.gate = Some(gate.map_err(|error| Refusal::failed(&error))?);
            }
            Ok(desk.answer(who, ask).await)
        })
    }
}

impl Drop for Direct {
    fn drop(&mut self) {
        self.installation.leave(&self.runtime);
        self.installation.store.close();
    }
}
