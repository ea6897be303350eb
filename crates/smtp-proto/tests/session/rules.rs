//! Rules one by one, each with its section.

use hikyaku_smtp_proto::content::LineEnds;
use hikyaku_smtp_proto::{Listener, Settings};

use crate::dialogue::{check, check_with, settings};

/// Greeting and HELO on port 25.
const HELO: &str = "S: 220 mx.example ESMTP
    C: HELO client.example
    S: 250 mx.example
    ";

/// The same up to one accepted recipient.
const RCPT: &str = "S: 220 mx.example ESMTP
    C: HELO client.example
    S: 250 mx.example
    C: MAIL FROM:<bob@client.example>
    S: 250 2.1.0 Sender OK
    C: RCPT TO:<ann@example.org>
    S: 250 2.1.5 Recipient OK
    ";

fn mx() -> Settings {
    settings(Listener::Mx)
}

#[test]
fn commands_out_of_sequence() {
    // RFC 5321 section 4.1.4.
    check(
        r"S: 220 mx.example ESMTP
         C: MAIL FROM:<>
         S: 503 5.5.1 EHLO first
         C: RCPT TO:<ann@example.org>
         S: 503 5.5.1 EHLO first
         C: DATA
         S: 503 5.5.1 EHLO first
         C: STARTTLS
         S: 503 5.5.1 EHLO first
         C: BDAT 0 LAST
         S: 503 5.5.1 EHLO first
         C: NOOP
         S: 250 2.0.0 OK
         C: RSET
         S: 250 2.0.0 OK
         C: VRFY ann
         S: 252 2.0.0 Not verified here, send some mail
         C: EXPN staff
         S: 502 5.5.1 Command not implemented
         C: HELP
         S: 214 2.0.0 See RFC 5321
         C: HELO client.example
         S: 250 mx.example
         C: RCPT TO:<ann@example.org>
         S: 503 5.5.1 MAIL first
         C: DATA
         S: 503 5.5.1 MAIL first
         C: BDAT 2
         c: x\n
         S: 503 5.5.1 MAIL first
         C: MAIL FROM:<>
         S: 250 2.1.0 Sender OK
         C: MAIL FROM:<>
         S: 503 5.5.1 A mail transaction is open
         C: STARTTLS
         S: 503 5.5.1 A mail transaction is open
         C: DATA
         S: 554 5.5.1 No valid recipients
         C: BDAT 2
         c: x\n
         S: 554 5.5.1 No valid recipients",
    );
}

#[test]
fn commands_that_a_listener_does_not_have() {
    for (listener, greeting, dialogue) in [
        (
            Listener::Mx,
            "ESMTP",
            "C: LHLO a\nS: 500 5.5.1 Unknown command\nC: AUTH PLAIN\nS: 500 5.5.1 Unknown command",
        ),
        (
            Listener::Lmtp,
            "LMTP",
            "C: EHLO a\nS: 500 5.5.1 Unknown command\nC: HELO a\nS: 500 5.5.1 Unknown command\nC: AUTH PLAIN\nS: 500 5.5.1 Unknown command\nC: MAIL FROM:<>\nS: 503 5.5.1 LHLO first",
        ),
    ] {
        check_with(settings(listener), &format!("S: 220 mx.example {greeting}\n{dialogue}"));
    }
}

#[test]
fn mistakes_and_their_replies() {
    check(&format!(
        r"{HELO}
         C: FOO
         S: 500 5.5.1 Unknown command
         C:
         S: 500 5.5.1 Unknown command
         c: NOOP a\nb\r\n
         S: 500 5.5.2 Bad characters in the command line
         C: HELO
         S: 501 Your name must be a domain or an address literal
         C: DATA now
         S: 501 5.5.4 The command has no argument
         C: MAIL FROM:bob@client.example
         S: 501 5.1.7 the address must have the form <local-part@domain>
         C: MAIL FROM:<bob@-x>
         S: 501 5.1.7 the domain is not valid
         C: MAIL FROM:<> FUTURE=1
         S: 555 5.5.4 Parameter not implemented
         C: MAIL FROM:<> SIZE=1k
         S: 501 5.5.4 SIZE is a number of at most 20 digits
         C: MAIL FROM:<> SIZE=1001
         S: 552 5.3.4 Message too large
         C: MAIL FROM:<> SIZE=1000
         S: 250 2.1.0 Sender OK
         C: RCPT TO:<ann>
         S: 501 5.1.3 the address must have the form <local-part@domain>
         C: RCPT TO:<ann@example.org> SIZE=1
         S: 555 5.5.4 Parameter not implemented
         C: RCPT TO:<postmaster>
         S: 250 2.1.5 Recipient OK"
    ));
}

#[test]
fn parameters_of_extensions_that_are_not_offered_are_unknown() {
    let mut settings = mx();
    settings.offers.dsn = false;
    check_with(
        settings,
        &format!(
            "{HELO}
             C: MAIL FROM:<> RET=FULL
             S: 555 5.5.4 Parameter not implemented
             C: MAIL FROM:<> BODY=BINARYMIME
             S: 555 5.5.4 Parameter not implemented
             C: MAIL FROM:<> AUTH=<>
             S: 555 5.5.4 Parameter not implemented
             C: MAIL FROM:<> REQUIRETLS
             S: 555 5.5.4 Parameter not implemented
             C: MAIL FROM:<> BODY=8BITMIME
             S: 250 2.1.0 Sender OK
             C: RCPT TO:<ann@example.org> NOTIFY=NEVER
             S: 555 5.5.4 Parameter not implemented"
        ),
    );
}

#[test]
fn a_new_hello_ends_the_transaction() {
    // RFC 5321 section 4.1.4.
    check(&format!("{RCPT}\nC: HELO other.example\nS: 250 mx.example\nC: DATA\nS: 503 5.5.1 MAIL first"));
    // One that is refused does not.
    check(&format!(
        "{RCPT}\nC: HELO\nS: 501 Your name must be a domain or an address literal\nC: DATA\nS: 354 End with <CRLF>.<CRLF>"
    ));
}

#[test]
fn the_shell_may_refuse_a_sender() {
    check(&format!(
        "{HELO}
         C: MAIL FROM:<bob@client.example>
         E: ask client.example <bob@client.example>
         A: 550 5.7.1 No
         S: 550 5.7.1 No
         C: RCPT TO:<ann@example.org>
         S: 503 5.5.1 MAIL first
         C: MAIL FROM:<bob@client.example>
         A: 354 what
         S: 451 4.3.0 Try again later
         C: MAIL FROM:<bob@client.example>
         A: 250 2.1.0 a | 250 2.1.0 b
         S: 451 4.3.0 Try again later
         C: MAIL FROM:<bob@client.example>
         A: 421 4.7.0 Go away
         S: 421 4.7.0 Go away
         E: close"
    ));
}

#[test]
fn the_250_after_data_waits_for_the_commit() {
    let mails = check(&format!(
        "{RCPT}
         C: DATA
         S: 354 End with <CRLF>.<CRLF>
         C: .
         A: 451 4.3.0 Disk full
         S: 451 4.3.0 Disk full
         C: MAIL FROM:<>
         S: 250 2.1.0 Sender OK"
    ));
    assert_eq!(mails[0].content, "");
    // An answer that cannot be one is our own mistake: the mail is deferred.
    check(&format!(
        "{RCPT}
         C: DATA
         S: 354 End with <CRLF>.<CRLF>
         C: .
         A: 354 what
         S: 451 4.3.0 Try again later"
    ));
    check(&format!(
        "{RCPT}
         C: DATA
         S: 354 End with <CRLF>.<CRLF>
         C: .
         A: 250 2.0.0 a | 250 2.0.0 b
         S: 451 4.3.0 Try again later"
    ));
}

#[test]
fn content_that_is_refused_is_read_to_its_end() {
    let refused = |settings, content: &str, reply: &str| {
        let mails = check_with(
            settings,
            &format!(
                "{RCPT}
                 C: DATA
                 S: 354 End with <CRLF>.<CRLF>
                 c: {content}
                 E: discard
                 c: NOOP\\r\\n.\\r\\nNOOP\\r\\n
                 S: {reply}
                 S: 250 2.0.0 OK"
            ),
        );
        assert!(mails.is_empty());
    };
    let long = format!("{}\\r\\n", "x".repeat(1000));
    refused(mx(), &long, "552 5.3.4 Message too large");
    refused(mx(), "a\\0b\\r\\n", "550 5.6.0 NUL in the message");
    let strict = Settings { line_ends: LineEnds::Refuse, ..mx() };
    refused(strict.clone(), "a\\nb\\r\\n", "550 5.6.11 Lines must end with CRLF");
    refused(strict, "a\\rb\\r\\n", "550 5.6.11 Lines must end with CRLF");
    let mut short_lines = mx();
    short_lines.limits.content_line_octets = Some(5);
    refused(short_lines, "123456\\r\\n", "554 5.6.0 Line too long");
}

#[test]
fn a_routing_loop_is_found() {
    // RFC 5321 section 6.3.
    let mut settings = mx();
    settings.limits.received_fields = 2;
    let content = |count| "C: Received: x\n".repeat(count);
    let dialogue = |count, end| {
        format!("{RCPT}\nC: DATA\nS: 354 End with <CRLF>.<CRLF>\n{}C:\nC: .\n{end}", content(count))
    };
    assert_eq!(check_with(settings.clone(), &dialogue(2, "S: 250 2.0.0 OK")).len(), 1);
    let end = "E: discard\nS: 554 5.4.6 Routing loop: too many Received fields";
    assert!(check_with(settings, &dialogue(3, end)).is_empty());
}

#[test]
fn lmtp_refuses_content_for_each_recipient() {
    check_with(
        settings(Listener::Lmtp),
        r"S: 220 mx.example LMTP
         C: LHLO a.example
         S: 250-mx.example
         S: 250-PIPELINING
         S: 250-SIZE 1000
         S: 250-8BITMIME
         S: 250-SMTPUTF8
         S: 250-ENHANCEDSTATUSCODES
         S: 250-STARTTLS
         S: 250-CHUNKING
         S: 250 DSN
         C: MAIL FROM:<>
         S: 250 2.1.0 Sender OK
         C: DATA
         S: 503 5.5.1 No valid recipients
         C: RCPT TO:<ann@example.org>
         S: 250 2.1.5 Recipient OK
         C: RCPT TO:<bob@example.org>
         S: 250 2.1.5 Recipient OK
         C: BDAT 1 LAST
         c: \0
         S: 550 5.6.0 NUL in the message
         S: 550 5.6.0 NUL in the message
         C: NOOP
         S: 250 2.0.0 OK
         C: MAIL FROM:<>
         S: 250 2.1.0 Sender OK
         C: RCPT TO:<ann@example.org>
         S: 250 2.1.5 Recipient OK
         C: RCPT TO:<bob@example.org>
         S: 250 2.1.5 Recipient OK
         C: BDAT 0 LAST
         A: 354 what | 421 4.3.2 going down
         S: 451 4.3.0 Try again later
         S: 421 4.3.2 going down
         E: close",
    );
}

#[test]
fn chunks() {
    // RFC 3030 section 2: only BDAT, RSET and the like until LAST.
    let mails = check(&format!(
        r"{RCPT}
         C: BDAT 3
         c: a\r\n
         S: 250 2.0.0 3 octets received
         C: DATA
         S: 503 5.5.1 Chunks are coming in
         C: RCPT TO:<bob@example.org>
         S: 503 5.5.1 Chunks are coming in
         C: MAIL FROM:<>
         S: 503 5.5.1 A mail transaction is open
         C: NOOP
         S: 250 2.0.0 OK
         c: BDAT 2\r\nb\rBDAT 1\r\n\nBDAT 0 LAST\r\n
         S: 250 2.0.0 2 octets received
         S: 250 2.0.0 1 octets received
         S: 250 2.0.0 OK
         C: BDAT 1 LAST
         c: x
         S: 503 5.5.1 MAIL first"
    ));
    assert_eq!(mails[0].content, "a\r\nb\r\n");
    assert!(!mails[0].envelope.content.has_bare_line_ends);
    let mails = check(&format!(
        r"{RCPT}
         c: BDAT 2\r\na\n
         S: 250 2.0.0 2 octets received
         C: RSET
         E: discard
         S: 250 2.0.0 OK
         C: BDAT 0 LAST
         S: 503 5.5.1 MAIL first"
    ));
    assert!(mails.is_empty());
}

#[test]
fn a_cr_at_the_very_end_of_the_chunks_is_a_bare_one() {
    let dialogue = |reply: &str| format!("{RCPT}\nc: BDAT 2 LAST\\r\\na\\r\nS: {reply}");
    assert_eq!(check(&dialogue("250 2.0.0 OK"))[0].content, "a\r\n");
    let strict = Settings { line_ends: LineEnds::Refuse, ..mx() };
    let mails = check_with(strict, &dialogue("550 5.6.11 Lines must end with CRLF"));
    assert!(mails.is_empty());
}

#[test]
fn a_failed_chunk_fails_the_message_and_later_chunks_are_skipped() {
    // RFC 3030 section 2: chunks in the pipeline are accepted and discarded.
    let mails = check(&format!(
        r"{RCPT}
         c: BDAT 2\r\na\0BDAT 6\r\nRSET\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n
         E: discard
         S: 550 5.6.0 NUL in the message
         S: 503 5.5.1 MAIL first
         S: 503 5.5.1 MAIL first
         S: 250 2.0.0 OK"
    ));
    assert!(mails.is_empty());
}

#[test]
fn bdat_that_cannot_be_kept_in_step_closes() {
    for (line, reply) in [
        ("BDAT", "501 5.5.4 BDAT needs a size, and may have LAST"),
        ("BDAT x", "501 5.5.4 BDAT needs a size, and may have LAST"),
        ("BDAT 5\\n", "500 5.5.2 Bad characters in the command line"),
        ("BDAT 99999999", "552 5.3.4 Message too large"),
    ] {
        check(&format!("{HELO}\nc: {line}\\r\\n\nS: {reply}\nE: close"));
    }
    // Content is discarded where any was begun, and nowhere else.
    let too_large = "c: BDAT 99999999\\r\\n\nS: 552 5.3.4 Message too large";
    check(&format!("{RCPT}\n{too_large}\nE: close"));
    let begun = format!("{RCPT}\nC: BDAT 1\nc: x\nS: 250 2.0.0 1 octets received");
    check(&format!("{begun}\n{too_large}\nE: discard\nE: close"));
}

#[test]
fn limits_of_a_session() {
    let close = |change: fn(&mut Settings), start: &str, line: &str, usual: &str, last: &str| {
        let mut settings = mx();
        change(&mut settings);
        let usual = format!("C: {line}\nS: {usual}\n").repeat(2);
        check_with(settings, &format!("{start}\n{usual}C: {line}\nS: {last}\nE: close"));
    };
    let unknown = "500 5.5.1 Unknown command";
    close(|settings| settings.limits.errors = 2, HELO, "X", unknown, "421 4.7.0 Too many errors");
    let last = "421 4.7.0 Too many commands without mail";
    close(|settings| settings.limits.idle_commands = 3, HELO, "NOOP", "250 2.0.0 OK", last);
    close(|settings| settings.limits.idle_commands = 3, HELO, "RSET", "250 2.0.0 OK", last);
}

#[test]
fn a_message_pays_for_idle_commands() {
    let mut settings = mx();
    settings.limits.idle_commands = 3;
    let noop = "C: NOOP\nS: 250 2.0.0 OK\n";
    let data = "C: DATA\nS: 354 End with <CRLF>.<CRLF>\nC: .\nS: 250 2.0.0 OK\n";
    check_with(settings, &format!("{RCPT}\n{noop}{noop}{data}{noop}{noop}{noop}"));
}

#[test]
fn what_was_committed_is_not_discarded() {
    let mails = check(&format!(
        "{RCPT}
         C: DATA
         S: 354 End with <CRLF>.<CRLF>
         C: .
         S: 250 2.0.0 OK
         C: RSET
         S: 250 2.0.0 OK
         !: hangup
         E: close"
    ));
    assert_eq!(mails.len(), 1);
}

#[test]
fn limit_of_transactions() {
    let mut settings = mx();
    settings.limits.transactions = 1;
    check_with(
        settings,
        &format!(
            "{RCPT}
             C: RSET
             S: 250 2.0.0 OK
             C: MAIL FROM:<>
             S: 421 4.7.0 Too many messages in one connection
             E: close"
        ),
    );
}

#[test]
fn limit_of_recipients() {
    let mut settings = mx();
    settings.limits.recipients = 1;
    settings.limits.refused_recipients = 2;
    let dialogue = format!(
        "{RCPT}
         C: RCPT TO:<bob@example.org>
         S: 452 4.5.3 Too many recipients
         C: RCPT TO:<bob@example.org>
         S: 452 4.5.3 Too many recipients"
    );
    let mails = check_with(
        settings.clone(),
        &format!("{dialogue}\nC: DATA\nS: 354 End with <CRLF>.<CRLF>\nC: .\nS: 250 2.0.0 OK"),
    );
    assert_eq!(mails[0].envelope.recipients.len(), 1);
    let last = "C: RCPT TO:<bob@example.org>\nS: 421 4.7.0 Too many refused recipients\nE: close";
    check_with(settings, &format!("{dialogue}\n{last}"));
}

#[test]
fn limit_of_sign_ins() {
    let mut settings = settings(Listener::Submission);
    settings.offers.plain_sign_in_without_tls = true;
    let hello = "S: 220 mx.example ESMTP\nC: HELO a\nS: 250 mx.example\n";
    let refused = "C: AUTH PLAIN AG5lZAB4\nA: 535 5.7.8 no\nS: 535 5.7.8 no\n";
    let last = "C: AUTH PLAIN AG5lZAB4\nA: 535 5.7.8 no\nS: 421 4.7.0 Too many failed attempts\nE: close";
    check_with(settings, &format!("{hello}{refused}{refused}{last}"));
}

/// Submission to a client that may use SCRAM.
fn scram_settings() -> Settings {
    let mut settings = settings(Listener::Submissions);
    settings.offers.scram = true;
    settings
}

const SCRAM_HELLO: &str = "S: 220 mx.example ESMTP
    C: HELO a
    S: 250 mx.example";

#[test]
fn scram_is_answered_by_the_shell() {
    // RFC 4954 section 4: what the server says with its success is a challenge, too.
    for first in ["C: AUTH SCRAM-SHA-256-PLUS Zmlyc3Q=", "C: AUTH scram-sha-256-plus\nS: 334 \nC: Zmlyc3Q="] {
        check_with(
            scram_settings(),
            &format!(
                "{SCRAM_HELLO}
                 {first}
                 E: ask SCRAM-SHA-256-PLUS begins first
                 A: challenge server
                 S: 334 c2VydmVy
                 C: bGFzdA==
                 E: ask SCRAM-SHA-256-PLUS goes on last
                 A: challenge v=x
                 S: 334 dj14
                 C:
                 E: ask SCRAM-SHA-256-PLUS goes on 
                 A: accept
                 S: 235 2.7.0 Signed in
                 C: AUTH SCRAM-SHA-256 Zmlyc3Q=
                 S: 503 5.5.1 You are signed in already"
            ),
        );
    }
}

#[test]
fn scram_that_ends_early() {
    check_with(
        scram_settings(),
        &format!(
            "{SCRAM_HELLO}
             C: AUTH SCRAM-SHA-256 Zmlyc3Q=
             A: challenge server
             S: 334 c2VydmVy
             C: *
             S: 501 5.7.0 Cancelled
             C: AUTH SCRAM-SHA-256 Zmlyc3Q=
             E: ask SCRAM-SHA-256 begins first
             A: challenge server
             S: 334 c2VydmVy
             C: not base64
             S: 501 5.5.2 Cannot decode the response
             C: AUTH SCRAM-SHA-256 Zmlyc3Q=
             A: 535 5.7.8 no
             S: 535 5.7.8 no
             C: MAIL FROM:<>
             S: 530 5.7.0 Sign in first"
        ),
    );
    // Who does not see it in the list cannot use it.
    check_with(
        settings(Listener::Submissions),
        &format!("{SCRAM_HELLO}\nC: AUTH SCRAM-SHA-256 Zmlyc3Q=\nS: 504 5.5.4 Mechanism not implemented"),
    );
}

#[test]
fn content_without_end_is_cut_off() {
    // Twice the size and 64 KiB.
    let line = format!("c: {}\n", "x".repeat(1000));
    let dialogue = format!("{RCPT}\nC: DATA\nS: 354 End with <CRLF>.<CRLF>\n{}", line.repeat(68));
    check(&format!("{dialogue}\nE: discard\nS: 552 5.3.4 Message too large\nE: close"));
}

#[test]
fn shutdown_lets_a_transaction_end() {
    check(&format!("{HELO}\n!: shutdown\nS: 421 4.3.2 Shutting down, try again\nE: close"));
    let mails = check(&format!(
        "{RCPT}
         !: shutdown
         C: DATA
         S: 354 End with <CRLF>.<CRLF>
         C: .
         S: 250 2.0.0 OK
         S: 421 4.3.2 Shutting down, try again
         E: close"
    ));
    assert_eq!(mails.len(), 1);
    check(&format!("{RCPT}\n!: shutdown\nC: RSET\nS: 250 2.0.0 OK\nS: 421 4.3.2 Shutting down, try again"));
}

#[test]
fn time_out_and_hangup_discard_content() {
    let data = format!("{RCPT}\nC: DATA\nS: 354 End with <CRLF>.<CRLF>\nC: half");
    let timeout = "S: 421 4.4.2 Time out, closing\nE: close";
    assert!(check(&format!("{data}\n!: timeout\nE: discard\n{timeout}")).is_empty());
    assert!(check(&format!("{data}\n!: hangup\nE: discard\nE: close")).is_empty());
    let chunks = format!("{RCPT}\nC: BDAT 1\nc: x\nS: 250 2.0.0 1 octets received");
    assert!(check(&format!("{chunks}\n!: hangup\nE: discard\nE: close")).is_empty());
    let quit = "C: QUIT\nE: discard\nS: 221 2.0.0 Bye\nE: close";
    assert!(check(&format!("{chunks}\n{quit}")).is_empty());
    check(&format!("{HELO}\n!: timeout\n{timeout}\n!: timeout\n!: hangup\n!: shutdown"));
}

#[test]
fn an_exchange_line_that_is_too_long_ends_the_exchange() {
    // RFC 4954 section 4.
    let mut settings = settings(Listener::Submission);
    settings.offers.plain_sign_in_without_tls = true;
    let long = "x".repeat(12_287);
    check_with(
        settings,
        &format!(
            "S: 220 mx.example ESMTP
             C: HELO a
             S: 250 mx.example
             C: AUTH PLAIN
             S: 334 
             C: {long}
             S: 500 5.5.6 Authentication exchange line too long
             C: AUTH PLAIN not-base64
             S: 501 5.5.2 Cannot decode the response
             C: AUTH CRAM-MD5
             S: 504 5.5.4 Mechanism not implemented"
        ),
    );
}
