//! HELO, EHLO, LHLO, STARTTLS, RSET and QUIT: the session around mail transactions.

use super::{Client, Effect, Effects, Greeting, Session, State, Tls};
use crate::client_name::ClientName;
use crate::extension::{Extension, announced, is_announced};
use crate::reply::Reply;

impl Session {
    /// RFC 5321 section 4.1.1.1. Ends an open mail transaction, as RSET does.
    pub(crate) fn hello(&mut self, greeting: Greeting, name: ClientName) -> Effects {
        let mut effects = Effects::from_iter(self.discard());
        let mut reply = Reply::hello(self.settings.host_name.as_str());
        if greeting != Greeting::Helo {
            for line in announced(&self.settings, self.tls.as_ref()) {
                reply = reply.and_line(&line);
            }
        }
        self.state = State::Ready(Client { name, greeting });
        effects.push(Effect::Reply(reply));
        effects
    }

    /// RFC 3207 section 4.
    pub(crate) fn start_tls(&mut self, client: Client) -> Effects {
        if self.tls.is_some() {
            return self.mistake_in(State::Ready(client), Reply::tls_already_started());
        }
        if !is_announced(Extension::StartTls, &self.settings, None) {
            return self.mistake_in(State::Ready(client), Reply::not_implemented());
        }
        // What the client said in clear is forgotten with it, RFC 3207 section 4.2.
        self.state = State::StartingTls;
        vec![Effect::Reply(Reply::start_tls()), Effect::StartTls]
    }

    pub(super) fn tls_started(&mut self, tls: Tls) -> Effects {
        if matches!(self.state, State::StartingTls) {
            self.tls = Some(tls);
            self.state = State::Connected;
        }
        Effects::new()
    }

    /// RFC 5321 section 4.1.1.5.
    pub(crate) fn reset(&mut self, state: State) -> Effects {
        let mut effects = Effects::from_iter(self.discard());
        self.state = match state {
            State::Transaction(client, _) => State::Ready(client),
            State::Chunks(chunks) => State::Ready(chunks.client),
            state => state,
        };
        effects.push(Effect::Reply(Reply::ok()));
        effects
    }

    /// RFC 5321 section 4.1.1.10.
    pub(crate) fn quit(&mut self) -> Effects {
        self.close(Reply::bye())
    }
}
