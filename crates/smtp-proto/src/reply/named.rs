//! Every reply that the server sends, by name.
//!
//! Standards: RFC 5321 section 4.2.3 (codes), RFC 3463 section 3 and the IANA registry of
//! enhanced status codes; RFC 2034 section 4: greeting, EHLO, HELO and 3yz have none.
//! Texts are short and tell nothing of our insides.

use super::{Code, Reply, Status};

fn plain(code: u16, text: &str) -> Reply {
    Reply::new(Code(code), None, text)
}

fn with_status(code: u16, subject: u16, detail: u16, text: &str) -> Reply {
    Reply::new(Code(code), Some(Status { subject, detail }), text)
}

/// Connection and greeting.
impl Reply {
    /// 220: the first words to a client.
    pub fn greeting(host_name: &str) -> Self {
        plain(220, &format!("{host_name} ESMTP"))
    }

    /// 220: the first words to an LMTP client, RFC 2033 section 4.1.
    pub fn lmtp_greeting(host_name: &str) -> Self {
        plain(220, &format!("{host_name} LMTP"))
    }

    /// 250 to HELO; with a line for each extension, 250 to EHLO and LHLO.
    pub fn hello(host_name: &str) -> Self {
        plain(250, host_name)
    }

    /// 501: HELO, EHLO or LHLO without a name that can be one.
    pub fn bad_client_name() -> Self {
        plain(501, "Your name must be a domain or an address literal")
    }

    /// 220: TLS may begin, RFC 3207 section 4.
    pub fn start_tls() -> Self {
        with_status(220, 0, 0, "Ready to start TLS")
    }

    /// 503: STARTTLS under TLS.
    pub fn tls_already_started() -> Self {
        with_status(503, 5, 1, "TLS is in use already")
    }

    /// 530: the command is for signed-in clients, and signing in needs TLS.
    pub fn start_tls_first() -> Self {
        with_status(530, 7, 0, "STARTTLS first")
    }

    /// 221: answer to QUIT.
    pub fn bye() -> Self {
        with_status(221, 0, 0, "Bye")
    }

    /// 421: this server is going down.
    pub fn shutting_down() -> Self {
        with_status(421, 3, 2, "Shutting down, try again")
    }

    /// 421: an administrator, or a change of what was signed in with, ends the session.
    pub fn session_ended() -> Self {
        with_status(421, 7, 0, "This session was ended, sign in again")
    }

    /// 421: nothing came for too long.
    pub fn timeout() -> Self {
        with_status(421, 4, 2, "Time out, closing")
    }

    /// 421: more mistakes than a mail program makes.
    pub fn too_many_errors() -> Self {
        with_status(421, 7, 0, "Too many errors")
    }

    /// 421: many commands, but no mail.
    pub fn too_many_idle_commands() -> Self {
        with_status(421, 7, 0, "Too many commands without mail")
    }

    /// 421: enough mail for one connection.
    pub fn too_many_transactions() -> Self {
        with_status(421, 7, 0, "Too many messages in one connection")
    }

    /// 421: too many connections at once from this client.
    pub fn too_many_connections() -> Self {
        with_status(421, 7, 0, "Too many connections")
    }

    /// 421: the first line is HTTP.
    pub fn not_http() -> Self {
        with_status(421, 7, 0, "This is not a web server")
    }

    /// 554 in place of the greeting, RFC 5321 section 3.1.
    pub fn no_service() -> Self {
        plain(554, "No service for you")
    }
}

/// Commands in general.
impl Reply {
    /// 250: done, nothing to say.
    pub fn ok() -> Self {
        with_status(250, 0, 0, "OK")
    }

    /// 500: no such command on this listener.
    pub fn unknown_command() -> Self {
        with_status(500, 5, 1, "Unknown command")
    }

    /// 502: known, and not offered.
    pub fn not_implemented() -> Self {
        with_status(502, 5, 1, "Command not implemented")
    }

    /// 500: bare CR or LF, other control characters or broken UTF-8 in a command line.
    pub fn bad_characters() -> Self {
        with_status(500, 5, 2, "Bad characters in the command line")
    }

    /// 500: RFC 5321 section 4.5.3.1.4.
    pub fn command_too_long() -> Self {
        with_status(500, 5, 2, "Command line too long")
    }

    /// 501: the command's argument is not what its grammar says.
    pub fn bad_argument(reason: &str) -> Self {
        with_status(501, 5, 4, reason)
    }

    /// 555: RFC 5321 section 4.1.1.11.
    pub fn unknown_parameter() -> Self {
        with_status(555, 5, 4, "Parameter not implemented")
    }

    /// 503: no EHLO, HELO or LHLO yet.
    pub fn hello_first(verb: &str) -> Self {
        with_status(503, 5, 1, &format!("{verb} first"))
    }

    /// 503: no mail transaction is open.
    pub fn mail_first() -> Self {
        with_status(503, 5, 1, "MAIL first")
    }

    /// 503: the command is not for this moment.
    pub fn not_now(reason: &str) -> Self {
        with_status(503, 5, 1, reason)
    }

    /// 252: answer to VRFY, which would tell address harvesters; RFC 5321 section 7.3.
    pub fn not_verified() -> Self {
        with_status(252, 0, 0, "Not verified here, send some mail")
    }

    /// 214: answer to HELP.
    pub fn help() -> Self {
        with_status(214, 0, 0, "See RFC 5321")
    }
}

/// MAIL and RCPT.
impl Reply {
    /// 250: answer to MAIL.
    pub fn sender_ok() -> Self {
        with_status(250, 1, 0, "Sender OK")
    }

    /// 250: answer to RCPT.
    pub fn recipient_ok() -> Self {
        with_status(250, 1, 5, "Recipient OK")
    }

    /// 501: the reverse-path is none.
    pub fn bad_reverse_path(reason: &str) -> Self {
        with_status(501, 1, 7, reason)
    }

    /// 501: the forward-path is none.
    pub fn bad_forward_path(reason: &str) -> Self {
        with_status(501, 1, 3, reason)
    }

    /// 553: an internationalised address without SMTPUTF8, RFC 6531 section 3.5.
    pub fn needs_smtputf8() -> Self {
        with_status(553, 6, 7, "Internationalised addresses need SMTPUTF8")
    }

    /// 552: SIZE is above our limit, RFC 1870 section 6.1.
    pub fn declared_too_large() -> Self {
        with_status(552, 3, 4, "Message too large")
    }

    /// 452: RFC 5321 section 4.5.3.1.10. The client sends the rest in its next transaction.
    pub fn too_many_recipients() -> Self {
        with_status(452, 5, 3, "Too many recipients")
    }

    /// 421: so many refused recipients that somebody is trying out names.
    pub fn too_many_refused_recipients() -> Self {
        with_status(421, 7, 0, "Too many refused recipients")
    }

    /// 550: no such mailbox.
    pub fn mailbox_unknown() -> Self {
        with_status(550, 1, 1, "No such mailbox")
    }

    /// 550: the account is closed.
    pub fn mailbox_disabled() -> Self {
        with_status(550, 2, 1, "Mailbox disabled")
    }

    /// 452: over quota; temporary, because people tidy up.
    pub fn mailbox_full() -> Self {
        with_status(452, 2, 2, "Mailbox full")
    }

    /// 552: over quota for so long that nobody seems to tidy up.
    pub fn mailbox_full_for_long() -> Self {
        with_status(552, 2, 2, "Mailbox full for days")
    }

    /// 450: it is there, and does not receive mail now.
    pub fn mailbox_unavailable() -> Self {
        with_status(450, 2, 1, "Mailbox not available now, try again later")
    }

    /// 550: neither is the domain ours nor the client signed in.
    pub fn relaying_denied() -> Self {
        with_status(550, 7, 1, "Relaying denied")
    }

    /// 553: submission with a reverse-path that is not the account's.
    pub fn sender_not_yours() -> Self {
        with_status(553, 7, 1, "You may not send with this address")
    }

    /// 450: the sender has sent to so many recipients in this window as its plan allows.
    pub fn sent_enough(most: u64, window: &str) -> Self {
        with_status(450, 7, 1, &format!("You may send to {most} recipients in one {window}, try again later"))
    }

    /// 450: too much from this client or to this mailbox for now.
    pub fn rate_limited() -> Self {
        with_status(450, 7, 1, "Too much for now, try again later")
    }

    /// 451: this customer has as much mail under way as it may.
    pub fn recipient_busy() -> Self {
        with_status(451, 3, 2, "Too much mail for this recipient now, try again later")
    }

    /// 451: this server has as much mail under way as it can.
    pub fn busy() -> Self {
        with_status(451, 3, 2, "Too much to do now, try again later")
    }

    /// 550: refused by a rule of ours.
    pub fn refused_by_policy(reason: &str) -> Self {
        with_status(550, 7, 1, reason)
    }
}

/// Content.
impl Reply {
    /// 354: answer to DATA.
    pub fn start_content() -> Self {
        plain(354, "End with <CRLF>.<CRLF>")
    }

    /// 554: DATA without any accepted recipient.
    pub fn no_valid_recipients() -> Self {
        with_status(554, 5, 1, "No valid recipients")
    }

    /// 503: the same in LMTP, RFC 2033 section 4.2.
    pub fn no_valid_recipients_lmtp() -> Self {
        with_status(503, 5, 1, "No valid recipients")
    }

    /// 250: the chunk of a BDAT that was not the last.
    pub fn chunk_ok(octets: u64) -> Self {
        with_status(250, 0, 0, &format!("{octets} octets received"))
    }

    /// 250: the mail is ours to lose. `id` is what the operator finds it by.
    pub fn accepted(id: &str) -> Self {
        with_status(250, 0, 0, &format!("Accepted as {id}"))
    }

    /// 552: more content than we take.
    pub fn content_too_large() -> Self {
        with_status(552, 3, 4, "Message too large")
    }

    /// 550: bare CR or LF, and the setting says to refuse them.
    pub fn bare_line_end() -> Self {
        with_status(550, 6, 11, "Lines must end with CRLF")
    }

    /// 550: NUL.
    pub fn nul_in_content() -> Self {
        with_status(550, 6, 0, "NUL in the message")
    }

    /// 554: a line above our limit.
    pub fn content_line_too_long() -> Self {
        with_status(554, 6, 0, "Line too long")
    }

    /// 554: RFC 5321 section 6.3.
    pub fn routing_loop() -> Self {
        with_status(554, 4, 6, "Routing loop: too many Received fields")
    }

    /// 550: submission with an address in this header field that is not the account's.
    pub fn author_not_yours(field: &str) -> Self {
        with_status(550, 7, 1, &format!("You may not send with this address in {field}"))
    }

    /// 550: the author's domain asks to refuse what nobody vouches for (DMARC), RFC 7372
    /// section 3.3.
    pub fn author_refuses(domain: &str) -> Self {
        with_status(550, 7, 26, &format!("{domain} asks to refuse mail in its name that fails DMARC"))
    }

    /// 451: DNS did not answer, and the author's domain asks to refuse (RFC 3463, X.4.3).
    pub fn author_not_known_now() -> Self {
        with_status(451, 4, 3, "DNS does not answer who sent this, try again later")
    }

    /// 554: more than a reader could be kept from seeing.
    pub fn too_many_results() -> Self {
        with_status(554, 6, 0, "Too many Authentication-Results fields")
    }

    /// 554: the message was delivered to this recipient before.
    pub fn delivery_loop() -> Self {
        with_status(554, 4, 6, "Routing loop: this message was delivered to its recipient before")
    }

    /// 451: our own fault; nothing was stored.
    pub fn try_again_later() -> Self {
        with_status(451, 3, 0, "Try again later")
    }
}

/// AUTH, RFC 4954.
impl Reply {
    /// 334 with its challenge in base64.
    pub fn challenge(base64: &str) -> Self {
        plain(334, base64)
    }

    /// 235: welcome.
    pub fn signed_in() -> Self {
        with_status(235, 7, 0, "Signed in")
    }

    /// 535: the same answer for every cause.
    pub fn sign_in_failed() -> Self {
        with_status(535, 7, 8, "Name or password wrong")
    }

    /// 454: the directory cannot be asked.
    pub fn sign_in_later() -> Self {
        with_status(454, 7, 0, "Cannot check now, try again later")
    }

    /// 421: too many attempts in one connection.
    pub fn too_many_sign_ins() -> Self {
        with_status(421, 7, 0, "Too many failed attempts")
    }

    /// 530: the command is for signed-in clients.
    pub fn sign_in_first() -> Self {
        with_status(530, 7, 0, "Sign in first")
    }

    /// 503: AUTH twice, RFC 4954 section 4.
    pub fn already_signed_in() -> Self {
        with_status(503, 5, 1, "You are signed in already")
    }

    /// 504: a mechanism we do not have.
    pub fn unknown_mechanism() -> Self {
        with_status(504, 5, 4, "Mechanism not implemented")
    }

    /// 538: passwords go through TLS only.
    pub fn sign_in_needs_tls() -> Self {
        with_status(538, 7, 11, "Signing in needs TLS")
    }

    /// 501: the client sent `*`.
    pub fn sign_in_cancelled() -> Self {
        with_status(501, 7, 0, "Cancelled")
    }

    /// 501: not base64, or not what the mechanism expects.
    pub fn bad_sasl() -> Self {
        with_status(501, 5, 2, "Cannot decode the response")
    }

    /// 500: RFC 4954 section 4.
    pub fn sasl_too_long() -> Self {
        with_status(500, 5, 6, "Authentication exchange line too long")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_have_no_enhanced_status_code() {
        // RFC 2034 section 4.
        for reply in [
            Reply::greeting("mx.example"),
            Reply::hello("mx.example"),
            Reply::bad_client_name(),
            Reply::start_content(),
            Reply::challenge(""),
        ] {
            assert_eq!(reply.status(), None, "{reply:?}");
        }
    }

    #[test]
    fn as_they_go_over_the_wire() {
        for (reply, wire) in [
            (Reply::mailbox_unknown(), "550 5.1.1 No such mailbox\r\n"),
            (Reply::mailbox_full(), "452 4.2.2 Mailbox full\r\n"),
            (Reply::mailbox_full_for_long(), "552 5.2.2 Mailbox full for days\r\n"),
            (Reply::mailbox_unavailable(), "450 4.2.1 Mailbox not available now, try again later\r\n"),
            (
                Reply::sent_enough(500, "hour"),
                "450 4.7.1 You may send to 500 recipients in one hour, try again later\r\n",
            ),
            (Reply::content_too_large(), "552 5.3.4 Message too large\r\n"),
            (Reply::bare_line_end(), "550 5.6.11 Lines must end with CRLF\r\n"),
            (Reply::sign_in_failed(), "535 5.7.8 Name or password wrong\r\n"),
            (Reply::accepted("k3\r\n250 x"), "250 2.0.0 Accepted as k3??250 x\r\n"),
            (Reply::challenge("VXNlcm5hbWU6"), "334 VXNlcm5hbWU6\r\n"),
        ] {
            assert_eq!(String::from_utf8(reply.to_wire()).unwrap(), wire);
        }
    }
}
