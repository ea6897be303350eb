//! The command table: which command exists where, in which state, and which function
//! carries it out.
//!
//! Standards: RFC 5321 section 4.1.4 (order of commands), RFC 2920 section 3.1 (commands
//! that must be last in a group), RFC 2033 section 4.1 (LMTP has LHLO instead of HELO and
//! EHLO).
//!
//! To add a command: its variant in `command.rs`, a row in [`row`], its arms in [`run`].

use crate::command::{Command, Verb};
use crate::reply::Reply;
use crate::session::{Effects, Greeting, Session, State};
use crate::settings::Listener;

/// What is true of a command in every state.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// Elsewhere the command is unknown.
    pub(crate) listeners: &'static [Listener],
    /// The most octets of its line with CRLF.
    pub(crate) line_octets: usize,
    /// The client must wait for the reply before it sends more.
    pub(crate) is_last_in_group: bool,
    /// It moves no mail; see `Limits::idle_commands`.
    pub(crate) is_idle: bool,
}

/// The longest line that any command may have, with its CRLF.
pub(crate) const LONGEST_LINE_OCTETS: usize = 12_288;

const ALL: &[Listener] = &[Listener::Mx, Listener::Submission, Listener::Submissions, Listener::Lmtp];
const SMTP: &[Listener] = &[Listener::Mx, Listener::Submission, Listener::Submissions];
const SUBM: &[Listener] = &[Listener::Submission, Listener::Submissions];
const LMTP: &[Listener] = &[Listener::Lmtp];

const VERBS: [Verb; 15] = {
    use Verb as V;
    [
        V::Helo,
        V::Ehlo,
        V::Lhlo,
        V::Mail,
        V::Rcpt,
        V::Data,
        V::Bdat,
        V::Rset,
        V::Noop,
        V::Quit,
        V::Vrfy,
        V::Expn,
        V::Help,
        V::StartTls,
        V::Auth,
    ]
};

/// The row of a verb.
#[rustfmt::skip]
pub(crate) const fn row(verb: Verb) -> Row {
    const fn row(
        name: &'static str, listeners: &'static [Listener], line_octets: usize,
        is_last_in_group: bool, is_idle: bool,
    ) -> Row {
        Row { name, listeners, line_octets, is_last_in_group, is_idle }
    }
    match verb {
        //                     name        where line    last   idle
        Verb::Helo     => row("HELO",     SMTP, 512,    true,  true),
        Verb::Ehlo     => row("EHLO",     SMTP, 512,    true,  true),
        Verb::Lhlo     => row("LHLO",     LMTP, 512,    true,  true),
        Verb::StartTls => row("STARTTLS", ALL,  512,    true,  true),
        Verb::Auth     => row("AUTH",     SUBM, 12_288, true,  true),
        Verb::Mail     => row("MAIL",     ALL,  4096,   false, false),
        Verb::Rcpt     => row("RCPT",     ALL,  4096,   false, false),
        Verb::Data     => row("DATA",     ALL,  512,    true,  false),
        Verb::Bdat     => row("BDAT",     ALL,  512,    false, false),
        Verb::Rset     => row("RSET",     ALL,  512,    false, true),
        Verb::Noop     => row("NOOP",     ALL,  512,    true,  true),
        Verb::Quit     => row("QUIT",     ALL,  512,    true,  false),
        Verb::Vrfy     => row("VRFY",     ALL,  512,    true,  true),
        Verb::Expn     => row("EXPN",     ALL,  512,    true,  true),
        Verb::Help     => row("HELP",     ALL,  512,    false, true),
    }
}

/// The verb of that name, in any case.
pub(crate) fn verb_named(word: &[u8]) -> Option<Verb> {
    VERBS.into_iter().find(|verb| row(*verb).name.as_bytes().eq_ignore_ascii_case(word))
}

/// Carries out a command. `state` was taken out of the session; each function puts the next
/// one in.
pub(crate) fn run(session: &mut Session, state: State, command: Command) -> Effects {
    use {Command as C, State as S};
    match (command, state) {
        // At any time. HELO, EHLO and LHLO end a mail transaction as RSET does.
        (C::Helo(name), _) => session.hello(Greeting::Helo, name),
        (C::Ehlo(name), _) => session.hello(Greeting::Ehlo, name),
        (C::Lhlo(name), _) => session.hello(Greeting::Lhlo, name),
        (C::Rset, state) => session.reset(state),
        (C::Noop, state) => session.reply_in(state, Reply::ok()),
        (C::Help, state) => session.reply_in(state, Reply::help()),
        (C::Vrfy(_), state) => session.reply_in(state, Reply::not_verified()),
        (C::Expn(_), state) => session.mistake_in(state, Reply::not_implemented()),
        (C::Quit, _) => session.quit(),

        // After the greeting, outside of a mail transaction.
        (C::StartTls, S::Ready(client)) => session.start_tls(client),
        (C::Auth { mechanism, initial_response }, S::Ready(client)) => {
            session.auth(client, &mechanism, initial_response.as_ref())
        }
        (C::Mail(mail), S::Ready(client)) => session.mail(client, mail),

        // In a mail transaction.
        (C::Rcpt(rcpt), S::Transaction(client, transaction)) => session.rcpt(client, transaction, rcpt),
        (C::Data, S::Transaction(client, transaction)) => session.data(client, transaction),
        (C::Bdat(chunk), S::Transaction(client, transaction)) => {
            session.first_chunk(client, transaction, chunk)
        }
        (C::Bdat(chunk), S::Chunks(content)) => session.next_chunk(content, chunk),

        // Out of sequence. What BDAT announces is on its way whatever we think of it.
        (C::Bdat(chunk), S::Connected) => {
            let reply = session.hello_first();
            session.skip_chunk(S::Connected, chunk, reply)
        }
        (C::Bdat(chunk), state) => session.skip_chunk(state, chunk, Reply::mail_first()),
        (C::StartTls | C::Auth { .. } | C::Mail(_) | C::Rcpt(_) | C::Data, S::Connected) => {
            let reply = session.hello_first();
            session.mistake_in(S::Connected, reply)
        }
        (C::Rcpt(_) | C::Data, state @ S::Ready(_)) => session.mistake_in(state, Reply::mail_first()),
        (C::Rcpt(_) | C::Data, state) => session.mistake_in(state, Reply::not_now("Chunks are coming in")),
        (C::StartTls | C::Auth { .. } | C::Mail(_), state) => {
            session.mistake_in(state, Reply::not_now("A mail transaction is open"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_is_found_by_its_name() {
        for verb in VERBS {
            assert_eq!(verb_named(row(verb).name.to_ascii_lowercase().as_bytes()), Some(verb));
            assert!(row(verb).line_octets <= LONGEST_LINE_OCTETS);
        }
        assert_eq!(verb_named(b"XCLIENT"), None);
        assert_eq!(verb_named(b""), None);
    }
}
