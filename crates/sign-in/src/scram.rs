//! Signing in by SCRAM, which is by app passwords alone: what is proven is too long to guess,
//! and asked about like every other.
//!
//! The proof comes in two messages, and each is answered as a sign-in is: under a permit of the
//! source, and a failure when it is time. Who may come in from where is decided before the
//! second is looked at. Where an app password may be used the directory judges, since which
//! one it is shows in the proof.

use std::net::IpAddr;

use hikyaku_access::facts::{Attempt, Credential, Service};
use hikyaku_directory::scram;
use hikyaku_directory::{self as directory, ScramExchange, ScramProven, SignInError};

use crate::gate::{Gate, entrance};

/// Who talks to us, whatever they offer.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// To what they want to be let in.
    pub service: Service,
    /// From where: the client's address, also behind a proxy of ours.
    pub source: IpAddr,
    /// What the client calls itself; may be empty.
    pub client: &'a str,
}

impl Gate {
    /// Takes client-first: the challenge to send (not in base64), and what waits for its answer.
    ///
    /// # Errors
    /// [`SignInError`]: the exchange is over.
    pub async fn begin_scram(
        &self,
        caller: &Caller<'_>,
        offer: &scram::Offer<'_>,
        client_first: &[u8],
    ) -> Result<(String, ScramExchange), SignInError> {
        self.in_time(caller.source, self.directory.begin_scram(offer, client_first)).await
    }

    /// Takes client-final.
    ///
    /// # Errors
    /// [`SignInError`]: the exchange is over.
    pub async fn finish_scram(
        &self,
        caller: &Caller<'_>,
        exchange: ScramExchange,
        client_final: &[u8],
    ) -> Result<ScramProven, SignInError> {
        self.in_time(caller.source, self.prove(caller, exchange, client_final)).await
    }

    /// Ends an exchange that cannot go on: the answer of every failure, when it is time.
    pub async fn break_scram(&self, caller: &Caller<'_>) -> SignInError {
        let refused = async { Err::<(), _>(SignInError::Refused) };
        self.in_time(caller.source, refused).await.err().unwrap_or(SignInError::Refused)
    }

    async fn prove(
        &self,
        caller: &Caller<'_>,
        exchange: ScramExchange,
        client_final: &[u8],
    ) -> Result<ScramProven, SignInError> {
        let claim = self.directory.claim(exchange.name(), b"").await?;
        let attempt = Attempt {
            now: self.clock.now(),
            service: caller.service,
            ip: caller.source,
            place: self.atlas.place(caller.source),
            subject: self.subject(&claim, exchange.name()),
            credential: Credential::LongSecret { allow: &[] },
        };
        let used = directory::Attempt { entrance: entrance(caller.service), source: caller.source };
        let check = self.directory.finish_scram(exchange, client_final, &used);
        self.judged(&attempt, caller.client, check).await
    }
}
