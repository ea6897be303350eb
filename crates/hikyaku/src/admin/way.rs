//! The way to the directory: through a running server's socket, or, when none runs, by
//! opening the databases under the lock that a server would hold.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use hikyaku_directory::{Answer, Directory, Request};
use hikyaku_store::{DataLock, LockError, Options};
use hikyaku_telemetry::Metrics;
use hikyaku_types::Actor;
use tokio::runtime::Runtime;

use super::place::Place;
use super::refusal::Refusal;
use super::socket::{self, Reply};
use crate::services::Installation;

/// A server that takes longer has something else to do.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) enum Way {
    Server(BufReader<UnixStream>),
    Direct(Box<Direct>),
}

pub(super) struct Direct {
    directory: Arc<Directory>,
    installation: Installation,
    runtime: Runtime,
}

impl Way {
    pub(super) fn open(place: &Place) -> Result<Self, Refusal> {
        match DataLock::take(&place.data) {
            Ok(lock) => Ok(Self::Direct(Box::new(Direct::open(lock, place)?))),
            Err(LockError::Held { .. }) => Self::to_server(place),
            Err(error) => Err(Refusal::place(error.to_string())),
        }
    }

    fn to_server(place: &Place) -> Result<Self, Refusal> {
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
        match self {
            Self::Server(stream) => ask_server(stream, request),
            Self::Direct(direct) => direct.ask(request),
        }
    }
}

fn ask_server(stream: &mut BufReader<UnixStream>, request: &Request) -> Result<Answer, Refusal> {
    let failed = |error: std::io::Error| Refusal::failed(&error);
    let mut line = serde_json::to_string(request).map_err(|error| Refusal::failed(&error))?;
    line.push('\n');
    stream.get_mut().write_all(line.as_bytes()).map_err(failed)?;
    let mut reply = String::new();
    if stream.read_line(&mut reply).map_err(failed)? == 0 {
        return Err(Refusal::place("the server does not talk to this user: be root, or the user it runs as"));
    }
    match serde_json::from_str(&reply) {
        Ok(Reply::Answer(answer)) => Ok(answer),
        Ok(Reply::Error(refusal)) => Err(refusal),
        Err(error) => Err(Refusal::failed(&error)),
    }
}

impl Direct {
    fn open(lock: DataLock, place: &Place) -> Result<Self, Refusal> {
        let failed = |error: anyhow::Error| Refusal::place(format!("{error:#}"));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Refusal::failed(&error))?;
        let (options, mut metrics) = (Options::default(), Metrics::new());
        let installation =
            Installation::open_locked(lock, &place.data, &place.location, &options, &mut metrics, &runtime)
                .map_err(failed)?;
        let directory = installation.directory(2).map_err(failed)?;
        Ok(Self { directory, installation, runtime })
    }

    fn ask(&self, request: &Request) -> Result<Answer, Refusal> {
        let who = format!("operator (user {})", rustix::process::getuid().as_raw());
        let asked = self.directory.execute_as(Actor::Operator, &who, request.clone());
        self.runtime.block_on(asked).map_err(|error| Refusal::from(&error))
    }
}

impl Drop for Direct {
    fn drop(&mut self) {
        self.installation.store.close();
    }
}
