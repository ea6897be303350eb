//! MAIL and RCPT: a mail transaction up to its content.

use super::{
    Answer, Client, Effect, Effects, Pending, Question, Recipient, Session, State, Transaction, one_reply,
};
use crate::command::{Mail, Rcpt};
use crate::extension::{Extension, is_announced, used_by_mail, used_by_rcpt};
use crate::reply::Reply;
use crate::settings::Listener;

impl Session {
    /// RFC 5321 section 4.1.1.2.
    pub(crate) fn mail(&mut self, client: Client, mail: Mail) -> Effects {
        if let Some(reply) = self.sign_in_missing() {
            self.mistake_in(State::Ready(client), reply)
        } else if self.counters.transactions >= self.settings.limits.transactions {
            self.close(Reply::too_many_transactions())
        } else if used_by_mail(&mail).any(|extension| !self.announces(extension)) {
            self.mistake_in(State::Ready(client), Reply::unknown_parameter())
        } else if mail.params.size_bytes.is_some_and(|size| size > self.settings.limits.size_bytes) {
            self.reply_in(State::Ready(client), Reply::declared_too_large())
        } else {
            self.ask_for_sender(client, mail)
        }
    }

    fn ask_for_sender(&mut self, client: Client, mail: Mail) -> Effects {
        self.counters.transactions += 1;
        let Mail { reverse_path, params } = mail;
        let question = Question::Sender {
            client: client.clone(),
            reverse_path: reverse_path.clone(),
            params: params.clone(),
        };
        let transaction = Transaction { reverse_path, params, recipients: Vec::new() };
        self.state = State::Waiting(Pending::Sender(client, transaction));
        vec![Effect::Ask(question)]
    }

    pub(super) fn sender_answered(
        &mut self,
        client: Client,
        transaction: Transaction,
        answer: Answer,
    ) -> Effects {
        let reply = one_reply(answer, Reply::sender_ok());
        if reply.closes() {
            self.close(reply)
        } else if reply.is_positive() {
            self.reply_in(State::Transaction(client, transaction), reply)
        } else {
            self.reply_in(State::Ready(client), reply)
        }
    }

    /// RFC 5321 section 4.1.1.3.
    pub(crate) fn rcpt(&mut self, client: Client, transaction: Transaction, rcpt: Rcpt) -> Effects {
        if used_by_rcpt(&rcpt).is_some_and(|extension| !self.announces(extension)) {
            return self.mistake_in(State::Transaction(client, transaction), Reply::unknown_parameter());
        }
        if transaction.recipients.len() >= self.settings.limits.recipients {
            return self.recipient_refused(client, transaction, Reply::too_many_recipients());
        }
        let Rcpt { forward_path, params } = rcpt;
        let recipient = Recipient { forward_path, params };
        let question = Question::Recipient {
            reverse_path: transaction.reverse_path.clone(),
            recipient: recipient.clone(),
        };
        self.state = State::Waiting(Pending::Recipient(client, transaction, recipient));
        vec![Effect::Ask(question)]
    }

    pub(super) fn recipient_answered(
        &mut self,
        client: Client,
        mut transaction: Transaction,
        recipient: Recipient,
        answer: Answer,
    ) -> Effects {
        let reply = one_reply(answer, Reply::recipient_ok());
        if reply.closes() {
            return self.close(reply);
        }
        if !reply.is_positive() {
            return self.recipient_refused(client, transaction, reply);
        }
        transaction.recipients.push(recipient);
        self.reply_in(State::Transaction(client, transaction), reply)
    }

    /// A list with dead addresses is refused often; a dictionary attack more often.
    fn recipient_refused(&mut self, client: Client, transaction: Transaction, reply: Reply) -> Effects {
        self.counters.refused_recipients += 1;
        if self.counters.refused_recipients > self.settings.limits.refused_recipients {
            return self.close(Reply::too_many_refused_recipients());
        }
        self.reply_in(State::Transaction(client, transaction), reply)
    }

    /// On submission listeners nobody sends without having signed in, RFC 6409 section 4.3.
    fn sign_in_missing(&self) -> Option<Reply> {
        let is_needed = match self.settings.listener {
            Listener::Submission | Listener::Submissions => !self.is_signed_in,
            Listener::Mx | Listener::Lmtp => false,
        };
        if !is_needed {
            None
        } else if self.announces(Extension::Auth) {
            Some(Reply::sign_in_first())
        } else {
            Some(Reply::start_tls_first())
        }
    }

    pub(super) fn announces(&self, extension: Extension) -> bool {
        is_announced(extension, &self.settings, self.tls.as_ref())
    }
}
