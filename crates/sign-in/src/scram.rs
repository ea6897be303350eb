//! Signing in by SCRAM, which is by app passwords alone: what is proven is too long to guess,
//! and asked about like every other.
//!
//! The proof comes in two messages, and each is answered as a sign-in is: under a permit of the
//! source, and a failure when it is time. Which app password it is, and so from where it may be
//! used, shows in the proof alone; that costs two keyed hashes. So the proof is looked at first,
//! and what it opens is asked about like every other app password.
//!
//! Invariants:
//! - a wrong proof, an unknown name, a suspended account and a source that may not come do the
//!   same: nothing of it computes a hash or waits for one, nothing is counted, and all are
//!   answered by the timer;
//! - the account that a proof is of is the one that the decision was about.

use std::net::IpAddr;

use hikyaku_access::facts::{Attempt, Credential, Service};
use hikyaku_directory::scram;
use hikyaku_directory::{self as directory, ScramExchange, ScramProven, SignInError};

use crate::gate::{Gate, Way, allowed, entrance};
use crate::sessions::Visit;

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

/// A proof was right, and its app password may be used here.
#[derive(Debug)]
pub struct Proven {
    /// Who has signed in.
    pub visit: Visit,
    /// To be sent to the client before it is told that it is signed in.
    pub server_final: String,
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
    ) -> Result<Proven, SignInError> {
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
    ) -> Result<Proven, SignInError> {
        let claim = self.directory.claim(exchange.name(), b"").await?;
        let groups = self.groups(&claim).await?;
        let subject = self.subject(&claim, exchange.name(), &groups);
        let proof = exchange.prove(client_final).and_then(|proof| {
            // Judged and let in is one and the same account.
            if proof.is_of(claim.account()) { Ok(proof) } else { Err(SignInError::Refused) }
        });
        // A wrong proof is of no app password, and has no list.
        let allow = proof.as_ref().map_or_else(|_| Vec::new(), |proof| allowed(proof.sources()));
        let attempt = Attempt {
            now: self.clock.now(),
            service: caller.service,
            ip: caller.source,
            place: self.atlas.place(caller.source),
            subject,
            credential: Credential::LongSecret { allow: &allow },
        };
        let used = directory::Attempt { entrance: entrance(caller.service), source: caller.source };
        let check = async { self.directory.finish_scram(proof?, &used).await };
        let ScramProven { account, shown, server_final } =
            self.judged(&attempt, caller.client, Way::ByProof, check).await?;
        Ok(Proven { visit: self.enter(&attempt, caller.client, account, shown)?, server_final })
    }
}
