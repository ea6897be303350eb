//! The language of the dialogues, and the one place that touches the session's interface.
//!
//! Each line begins with who speaks:
//! - `C:` a line of the client; `c:` the same without CRLF, with `\r`, `\n` and `\0`;
//! - `S:` a reply line that must be the next one;
//! - `A:` the shell's answer to the question or commit that waits: `accept`, or a reply;
//!   several replies with ` | ` between them are `Each`. Where nothing is said, the answer
//!   is `accept`;
//! - `!:` something else that happens: `tls`, `timeout`, `shutdown`, `hangup`;
//! - `E:` an effect that is no reply and must have come by now: `ask …`, `starttls`,
//!   `discard`, `close`. Effects that no `E:` names are not looked at.

use std::collections::VecDeque;
use std::sync::Arc;

use hikyaku_smtp_proto::auth::Relayed;
use hikyaku_smtp_proto::settings::Offers;
use hikyaku_smtp_proto::{
    Answer, Effect, Envelope, Framer, Input, Listener, Question, Reply, Session, Settings, Tls, Wants,
};

/// A message that was committed.
pub(crate) struct Mail {
    pub(crate) envelope: Envelope,
    pub(crate) content: String,
}

/// Settings with every extension switched on.
pub(crate) fn settings(listener: Listener) -> Settings {
    let mut settings = Settings::new("mx.example".parse().unwrap(), listener);
    settings.limits.size_bytes = 1000;
    settings.offers = Offers {
        start_tls: true,
        plain_sign_in_without_tls: false,
        chunking: true,
        binary_mime: true,
        dsn: true,
        limits: false,
        require_tls: true,
        scram: false,
    };
    settings
}

/// Runs a dialogue on port 25.
pub(crate) fn check(dialogue: &str) -> Vec<Mail> {
    check_with(settings(Listener::Mx), dialogue)
}

/// Runs a dialogue with these settings; a `submissions` listener has TLS at once.
pub(crate) fn check_with(settings: Settings, dialogue: &str) -> Vec<Mail> {
    let mut run = Run::new(settings);
    for line in dialogue.lines().map(str::trim_start).filter(|line| !line.is_empty()) {
        let (who, text) = line.split_at(2);
        let text = text.strip_prefix(' ').unwrap_or(text);
        match who {
            "C:" => run.client(format!("{text}\r\n").as_bytes()),
            "c:" => run.client(&unescaped(text)),
            "S:" => run.server(text),
            "A:" => run.answer(text),
            "!:" => run.happens(text),
            "E:" => run.effect(text),
            _ => panic!("no such speaker: {line}"),
        }
    }
    run.end();
    run.mails
}

pub(crate) fn tls() -> Tls {
    Tls { cipher_suite: "TLS_AES_128_GCM_SHA256".into(), can_bind: true }
}

struct Run {
    session: Session,
    framer: Framer,
    content: Vec<u8>,
    /// Content was begun, and is neither committed nor discarded.
    has_begun: bool,
    replies: VecDeque<String>,
    effects: VecDeque<String>,
    mails: Vec<Mail>,
}

impl Run {
    fn new(settings: Settings) -> Self {
        let has_tls = settings.listener == Listener::Submissions;
        let (session, effects) = Session::new(Arc::new(settings), has_tls.then(tls));
        let mut run = Self {
            session,
            framer: Framer::new(),
            content: Vec::new(),
            has_begun: false,
            replies: VecDeque::new(),
            effects: VecDeque::new(),
            mails: Vec::new(),
        };
        run.perform(effects);
        run
    }

    /// Bytes arrive. They wait in the framer while a question is open.
    fn client(&mut self, bytes: &[u8]) {
        self.accept_open_question();
        assert!(!self.session.is_closed(), "the session is closed");
        self.framer.push(bytes);
        self.receive();
    }

    fn receive(&mut self) {
        while let Some(effects) = self.session.receive(&mut self.framer, &mut self.content) {
            self.perform(effects);
        }
    }

    fn server(&mut self, expected: &str) {
        if self.replies.is_empty() {
            self.accept_open_question();
        }
        assert_eq!(self.replies.pop_front().as_deref(), Some(expected));
    }

    fn answer(&mut self, text: &str) {
        assert_eq!(self.session.wants(), Wants::Answer, "nobody asked");
        if let Some(challenge) = text.strip_prefix("challenge ") {
            return self.happened(Input::Answer(Answer::Challenge(challenge.into())));
        }
        let mut replies: Vec<Reply> =
            text.split(" | ").filter(|text| *text != "accept").map(parsed_reply).collect();
        let answer = match replies.len() {
            0 => Answer::Accept,
            1 => Answer::Reply(replies.remove(0)),
            _ => Answer::Each(replies),
        };
        self.happened(Input::Answer(answer));
    }

    fn accept_open_question(&mut self) {
        while self.session.wants() == Wants::Answer {
            self.happened(Input::Answer(Answer::Accept));
        }
    }

    fn happens(&mut self, text: &str) {
        let input = match text {
            "tls" => Input::TlsStarted(tls()),
            "timeout" => Input::Timeout,
            "shutdown" => Input::Shutdown,
            "hangup" => Input::Hangup,
            _ => panic!("no such event: {text}"),
        };
        self.happened(input);
    }

    fn happened(&mut self, input: Input) {
        let effects = self.session.handle(input);
        self.perform(effects);
        self.receive();
    }

    fn effect(&mut self, expected: &str) {
        let seen: Vec<&String> = self.effects.iter().collect();
        let at = seen.iter().position(|effect| *effect == expected);
        let at = at.unwrap_or_else(|| panic!("no effect `{expected}` among {seen:?}"));
        self.effects.drain(..=at);
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        self.has_begun |= matches!(self.session.wants(), Wants::Content | Wants::Chunk);
        for effect in effects {
            match effect {
                Effect::Reply(reply) | Effect::RefusePath(_, reply) => {
                    let wire = String::from_utf8(reply.to_wire()).unwrap();
                    self.replies.extend(wire.split_terminator("\r\n").map(str::to_owned));
                }
                Effect::Ask(question) => self.effects.push_back(format!("ask {}", asked(&question))),
                Effect::StartTls => self.effects.push_back("starttls".into()),
                Effect::Discard => {
                    assert!(std::mem::take(&mut self.has_begun), "nothing is there to discard");
                    self.content.clear();
                    self.effects.push_back("discard".into());
                }
                Effect::Commit(envelope) => {
                    self.has_begun = false;
                    let content = String::from_utf8(std::mem::take(&mut self.content)).unwrap();
                    self.mails.push(Mail { envelope, content });
                }
                Effect::Close => self.effects.push_back("close".into()),
            }
        }
    }

    fn end(&mut self) {
        self.accept_open_question();
        assert_eq!(self.replies, VecDeque::<String>::new(), "replies that nobody expected");
    }
}

fn asked(question: &Question) -> String {
    match question {
        Question::SignIn(credentials) => format!(
            "{} {} {} {}",
            credentials.mechanism.name(),
            credentials.authorization.as_deref().unwrap_or("-"),
            credentials.authentication,
            String::from_utf8_lossy(credentials.password.expose())
        ),
        Question::Relay(Relayed { mechanism, is_first, message }) => {
            let message = String::from_utf8_lossy(message.expose());
            format!("{} {} {message}", mechanism.name(), if *is_first { "begins" } else { "goes on" })
        }
        Question::Sender { client, reverse_path, .. } => format!("{} {reverse_path}", client.name),
        Question::Recipient { reverse_path, recipient } => {
            format!("{reverse_path} {}", recipient.forward_path)
        }
    }
}

fn parsed_reply(text: &str) -> Reply {
    let (reply, _) = Reply::parse(format!("{text}\r\n").as_bytes()).unwrap().expect("a whole reply");
    reply
}

fn unescaped(text: &str) -> Vec<u8> {
    text.replace("\\r", "\r").replace("\\n", "\n").replace("\\0", "\0").into_bytes()
}
