//! Certificates and databases of places are read again: when the process gets SIGHUP, and when
//! the files change.
//!
//! Invariant: what cannot be used changes nothing; what is in use stays until there is better.
//!
//! Those of certificates are compared by what is in them: ACME clients exchange links, copy with
//! old times, and write the chain before the key.

mod places;

use std::time::Duration;

use hikyaku_net::TlsAcceptor;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::settings::certificates::{self, Content, LoadError, Loaded, Pair};

const INTERVAL: Duration = Duration::from_secs(60);

pub(crate) use places::FreshPlaces;

/// Files that are read again.
pub(crate) trait Files: Send {
    /// What they are, in the plural.
    fn name(&self) -> &'static str;

    /// Reads the files, and uses what is in them if it is new and good. `is_asked`: somebody
    /// wants to know, even if it was told before.
    fn look(&mut self, is_asked: bool) -> Outcome;
}

/// The certificates of an acceptor and the files that they came from.
#[derive(Debug)]
pub(crate) struct FreshCertificates {
    acceptor: TlsAcceptor,
    pairs: Vec<Pair>,
    used: Vec<Content>,
    /// What was read last and could not be used: it is told once.
    refused: Option<Vec<Content>>,
}

/// What a look at the files led to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// They are as they were.
    Unchanged,
    /// What is in them is used from now on.
    Exchanged,
    /// They changed and cannot be used.
    Kept(String),
}

impl FreshCertificates {
    /// `loaded` is what `acceptor` uses.
    pub(crate) fn new(acceptor: TlsAcceptor, loaded: &[Loaded]) -> Self {
        let pairs = loaded.iter().map(|loaded| loaded.pair.clone()).collect();
        let used = loaded.iter().map(|loaded| loaded.content.clone()).collect();
        Self { acceptor, pairs, used, refused: None }
    }

    fn exchange(&self, read: &[Content]) -> anyhow::Result<()> {
        let pairs = self.pairs.iter().zip(read.iter().cloned());
        let loaded: Vec<Loaded> =
            pairs.map(|(pair, content)| pair.load(content)).collect::<Result<_, _>>()?;
        if let Some(certificates) = certificates::by_name(&loaded)? {
            self.acceptor.exchange(certificates);
        }
        Ok(())
    }
}

impl Files for FreshCertificates {
    fn name(&self) -> &'static str {
        "certificates"
    }

    fn look(&mut self, is_asked: bool) -> Outcome {
        let read: Result<Vec<Content>, LoadError> = self.pairs.iter().map(Pair::read).collect();
        let read = match read {
            Ok(read) if read == self.used => return Outcome::Unchanged,
            Ok(read) if !is_asked && self.refused.as_ref() == Some(&read) => return Outcome::Unchanged,
            Ok(read) => read,
            Err(error) => return Outcome::Kept(error.to_string()),
        };
        match self.exchange(&read) {
            Ok(()) => {
                (self.used, self.refused) = (read, None);
                Outcome::Exchanged
            }
            Err(error) => {
                self.refused = Some(read);
                Outcome::Kept(error.to_string())
            }
        }
    }
}

/// SIGHUP, from now on: without this it would end the process.
pub(crate) fn hangup() -> std::io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Runs until it is dropped.
pub(crate) async fn keep_fresh(mut all: Vec<Box<dyn Files>>, mut hangup: Signal) {
    loop {
        let is_asked = tokio::select! {
            _ = hangup.recv() => true,
            () = tokio::time::sleep(INTERVAL) => false,
        };
        if is_asked && all.is_empty() {
            tracing::info!("there is nothing to read again");
        }
        // Files may lie on a disk that is slow just now.
        let look = move || {
            all.iter_mut().for_each(|files| tell(files.name(), files.look(is_asked), is_asked));
            all
        };
        let Ok(looked) = tokio::task::spawn_blocking(look).await else { return };
        all = looked;
    }
}

fn tell(name: &str, outcome: Outcome, is_asked: bool) {
    match outcome {
        Outcome::Unchanged if !is_asked => {}
        Outcome::Unchanged => tracing::info!("the {name} have not changed"),
        Outcome::Exchanged => tracing::info!("the {name} were read again"),
        Outcome::Kept(error) => tracing::error!(error, "new {name} cannot be used, the old ones stay"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn write(pair: &Pair, made: &rcgen::CertifiedKey<rcgen::KeyPair>) {
        fs::write(&pair.chain, made.cert.pem()).unwrap();
        fs::write(&pair.key, made.signing_key.serialize_pem()).unwrap();
    }

    fn made() -> rcgen::CertifiedKey<rcgen::KeyPair> {
        rcgen::generate_simple_self_signed(["mx.example".to_owned()]).unwrap()
    }

    #[test]
    fn what_is_new_and_good_is_used_and_the_rest_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let pair = Pair { chain: at("chain.pem"), key: at("key.pem"), names: Vec::new() };
        write(&pair, &made());
        let loaded = [pair.load(pair.read().unwrap()).unwrap()];
        let acceptor = TlsAcceptor::new(certificates::by_name(&loaded).unwrap().unwrap()).unwrap();
        let mut fresh = FreshCertificates::new(acceptor, &loaded);
        let first = fresh.used.clone();
        assert_eq!(fresh.look(true), Outcome::Unchanged);

        // The chain is there, and its key not yet: told once, and again to who asks.
        let next = made();
        fs::write(&pair.chain, next.cert.pem()).unwrap();
        let kept =
            |outcome| matches!(outcome, Outcome::Kept(cause) if cause.contains("do not fit each other"));
        assert!(kept(fresh.look(false)));
        assert_eq!(fresh.look(false), Outcome::Unchanged);
        assert!(kept(fresh.look(true)));
        assert_eq!(fresh.used, first);

        write(&pair, &next);
        assert_eq!(fresh.look(false), Outcome::Exchanged);
        assert!(fresh.used != first);
        assert_eq!(fresh.look(false), Outcome::Unchanged);

        fs::remove_file(&pair.key).unwrap();
        assert!(matches!(fresh.look(false), Outcome::Kept(cause) if cause.contains("cannot read")));
        write(&pair, &next);
        assert_eq!(fresh.look(false), Outcome::Unchanged, "the same again");
    }
}
