//! AUTH: the exchange, and the shell's verdict.
//!
//! Standards: RFC 4954 section 4.
//! Invariant: nothing of what the client said stays in the session: the question takes it along.

use super::{Answer, Client, Effect, Effects, Pending, Question, Session, State, one_reply};
use crate::auth::{Exchange, Mechanism, Step};
use crate::extension::{Extension, offers_mechanism};
use crate::framer::{Framer, Line};
use crate::reply::Reply;
use crate::secret::Secret;
use crate::table;

impl Session {
    /// `AUTH mechanism [initial-response]`.
    pub(crate) fn auth(&mut self, client: Client, mechanism: &str, initial: Option<&Secret>) -> Effects {
        if self.is_signed_in {
            return self.mistake_in(State::Ready(client), Reply::already_signed_in());
        }
        if !self.announces(Extension::Auth) {
            return self.mistake_in(State::Ready(client), Reply::sign_in_needs_tls());
        }
        let is_offered =
            |mechanism: &Mechanism| offers_mechanism(*mechanism, &self.settings, self.tls.as_ref());
        let Some(mechanism) = Mechanism::named(mechanism).filter(is_offered) else {
            return self.mistake_in(State::Ready(client), Reply::unknown_mechanism());
        };
        let step = Exchange::start(mechanism, initial.map(Secret::expose));
        self.sasl_step(client, step)
    }

    /// The client's next line of an exchange.
    pub(super) fn sasl_line(&mut self, framer: &mut Framer) -> Option<Effects> {
        let line = framer.line(table::LONGEST_LINE_OCTETS - 2)?;
        let state = self.take_state();
        let State::SigningIn(client, exchange) = state else {
            self.state = state;
            return None;
        };
        Some(match line {
            Line::Text(text) => {
                let step = exchange.response(text);
                self.sasl_step(client, step)
            }
            Line::TooLong => self.mistake_in(State::Ready(client), Reply::sasl_too_long()),
        })
    }

    fn sasl_step(&mut self, client: Client, step: Step) -> Effects {
        match step {
            Step::Challenge(exchange, challenge) => {
                self.reply_in(State::SigningIn(client, exchange), Reply::challenge(&challenge))
            }
            Step::Done(credentials) => {
                self.state = State::Waiting(Pending::SignIn(client));
                vec![Effect::Ask(Question::SignIn(credentials))]
            }
            Step::Relay(relayed) => {
                self.state = State::Waiting(Pending::Relay(client, relayed.mechanism));
                vec![Effect::Ask(Question::Relay(relayed))]
            }
            Step::Cancelled => self.mistake_in(State::Ready(client), Reply::sign_in_cancelled()),
            Step::Malformed => self.mistake_in(State::Ready(client), Reply::bad_sasl()),
        }
    }

    /// The shell's answer to a message of SCRAM.
    pub(super) fn relay_answered(&mut self, client: Client, mechanism: Mechanism, answer: Answer) -> Effects {
        match answer {
            Answer::Challenge(challenge) => self.sasl_step(client, Exchange::goes_on(mechanism, &challenge)),
            verdict => self.sign_in_answered(client, verdict),
        }
    }

    pub(super) fn sign_in_answered(&mut self, client: Client, answer: Answer) -> Effects {
        let reply = one_reply(answer, Reply::signed_in());
        if reply.closes() {
            return self.close(reply);
        }
        self.is_signed_in = reply.is_positive();
        if !self.is_signed_in {
            self.counters.sign_ins += 1;
            if self.counters.sign_ins >= self.settings.limits.sign_ins {
                return self.close(Reply::too_many_sign_ins());
            }
        }
        self.reply_in(State::Ready(client), reply)
    }
}
