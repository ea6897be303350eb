//! What one mail transaction is refused, for the trace: it says what the peer was told.

use std::net::IpAddr;

use hikyaku_net::source_of;
use hikyaku_smtp_proto::path::ForwardPath;
use hikyaku_smtp_proto::reply::Status;
use hikyaku_smtp_proto::{Listener, Reply};
use hikyaku_store::AccountHome;
use hikyaku_trace::{RefusalLog, Refused};
use hikyaku_types::{ShardId, TenantId, Timestamp};

use crate::metrics;

/// Whose mail it would be, and where that tenant's mail is.
pub(crate) type Home = (TenantId, ShardId);

/// A RCPT that is refused.
pub(crate) struct Unwanted {
    pub(crate) reply: Reply,
    /// `None` if the address is none of ours, or was not looked up.
    pub(crate) home: Option<Home>,
}

impl From<Reply> for Unwanted {
    fn from(reply: Reply) -> Self {
        Self { reply, home: None }
    }
}

/// The mail transaction under way, as the trace would show it.
#[derive(Debug, Default)]
pub(crate) struct Named {
    /// Without brackets; empty for the null reverse-path.
    pub(crate) reverse_path: String,
    /// Each RCPT that was accepted.
    pub(crate) recipients: Vec<(String, Option<Home>)>,
}

/// Where it is noted, and for whom.
pub(crate) struct Noting<'n> {
    pub(crate) log: &'n RefusalLog,
    pub(crate) listener: Listener,
    pub(crate) peer: IpAddr,
    /// Who signed in: it is that tenant's mail, whoever receives it.
    pub(crate) sender: Option<AccountHome>,
    pub(crate) now: Timestamp,
}

impl Noting<'_> {
    /// Notes that `recipient` is refused; it is empty if there is none yet.
    pub(crate) fn one(
        &self,
        reverse_path: &str,
        (recipient, home): (&str, Option<Home>),
        reply: &Reply,
        finding: Option<&str>,
    ) {
        let refused = Refused {
            home: self.sender.map(|sender| (sender.tenant, sender.shard)).or(home),
            source: source_of(self.peer),
            listener: metrics::name(self.listener),
            reason: &words(reply),
            finding,
            reverse_path,
            recipient,
        };
        self.log.note(&refused, self.now);
    }

    /// Notes that the content is refused, for each of its recipients.
    pub(crate) fn all(&self, named: &Named, reply: &Reply, finding: Option<&str>) {
        for (recipient, home) in &named.recipients {
            self.one(&named.reverse_path, (recipient, *home), reply, finding);
        }
    }

    /// LMTP: notes for whom the content is refused.
    pub(crate) fn each(&self, named: &Named, replies: &[Reply]) {
        for ((recipient, home), reply) in named.recipients.iter().zip(replies) {
            if !reply.is_positive() {
                self.one(&named.reverse_path, (recipient, *home), reply, None);
            }
        }
    }
}

/// Without brackets.
pub(crate) fn recipient_text(forward_path: &ForwardPath) -> String {
    forward_path.to_string().trim_start_matches('<').trim_end_matches('>').to_owned()
}

/// A reply on one line: `550 5.1.1 No such mailbox`.
fn words(reply: &Reply) -> String {
    let number = reply.code().number();
    let mut words = number.to_string();
    if let Some(Status { subject, detail }) = reply.status() {
        words.push_str(&format!(" {}.{subject}.{detail}", number / 100));
    }
    for line in reply.lines() {
        words.push(' ');
        words.push_str(line);
    }
    words
}

#[cfg(test)]
mod tests {
    use hikyaku_smtp_proto::reply::Code;

    use super::*;

    #[test]
    fn a_reply_on_one_line() {
        for (reply, expected) in [
            (Reply::mailbox_unknown(), "550 5.1.1 No such mailbox"),
            (Reply::new(Code::new(451).unwrap(), None, "first").and_line("second"), "451 first second"),
        ] {
            assert_eq!(words(&reply), expected);
        }
    }
}
