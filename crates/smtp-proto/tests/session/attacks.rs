//! What attackers send, and what must not come of it.

use hikyaku_smtp_proto::Listener;
use hikyaku_smtp_proto::content::LineEnds;

use crate::dialogue::{check, check_with, settings};

const RCPT: &str = "S: 220 mx.example ESMTP
    C: HELO client.example
    S: 250 mx.example
    C: MAIL FROM:<bob@client.example>
    S: 250 2.1.0 Sender OK
    C: RCPT TO:<ann@example.org>
    S: 250 2.1.5 Recipient OK
    C: DATA
    S: 354 End with <CRLF>.<CRLF>
    ";

/// SMTP smuggling (2023): a second message behind what some servers take for the end of
/// the first. Exactly one message must come of it, with the second inside, or none.
#[test]
fn smuggled_mail_stays_inside() {
    let ends = [
        r"\n.\n",
        r"\n.\r\n",
        r"\r.\r",
        r"\r.\r\n",
        r"\r\n.\n",
        r"\r\n.\r",
        r"\r\n\0.\r\n",
        r"\r\n.\0\r\n",
        r"\r\n.\r\r\n",
        r"\r\n\r.\r\n",
    ];
    for end in ends {
        for line_ends in [LineEnds::Normalise, LineEnds::Refuse] {
            let mut settings = settings(Listener::Mx);
            settings.line_ends = line_ends;
            let is_refused = line_ends == LineEnds::Refuse || end.contains(r"\0");
            let reply = match (is_refused, end.contains(r"\0")) {
                (false, _) => "250 2.0.0 OK",
                (true, false) => "550 5.6.11 Lines must end with CRLF",
                (true, true) => "550 5.6.0 NUL in the message",
            };
            let second =
                r"MAIL FROM:<evil@example.org>\r\nRCPT TO:<ann@example.org>\r\nDATA\r\nevil\r\n.\r\n";
            let mails = check_with(settings, &format!("{RCPT}\nc: good{end}{second}\nS: {reply}"));
            assert_eq!(mails.len(), usize::from(!is_refused), "{end}");
            for mail in mails {
                assert!(mail.content.contains("MAIL FROM:<evil@example.org>"), "{end}");
                // What leaves here again must not be an end of data for anybody.
                let bare = mail.content.replace("\r\n", "");
                assert!(!bare.contains(['\r', '\n']), "{end}");
            }
        }
    }
}

#[test]
fn what_was_sent_in_clear_behind_starttls_is_dropped() {
    // CVE-2011-0411.
    let mails = check(
        r"S: 220 mx.example ESMTP
         C: HELO client.example
         S: 250 mx.example
         c: STARTTLS\r\nMAIL FROM:<evil@example.org>\r\nRCPT
         S: 220 2.0.0 Ready to start TLS
         E: starttls
         !: tls
         C: HELO client.example
         S: 250 mx.example
         C: DATA
         S: 503 5.5.1 MAIL first
         C: MAIL FROM:<bob@client.example>
         S: 250 2.1.0 Sender OK
         C: RCPT TO:<ann@example.org>
         S: 250 2.1.5 Recipient OK
         C: DATA
         S: 354 End with <CRLF>.<CRLF>
         C: .
         S: 250 2.0.0 OK",
    );
    assert!(mails[0].envelope.spoke_early);
    assert_eq!(mails[0].envelope.protocol.keyword(), "SMTP");
}

#[test]
fn what_the_client_said_before_starttls_is_forgotten() {
    // RFC 3207 section 4.2.
    check(
        "S: 220 mx.example ESMTP
         C: HELO client.example
         S: 250 mx.example
         C: STARTTLS
         S: 220 2.0.0 Ready to start TLS
         !: tls
         C: MAIL FROM:<>
         S: 503 5.5.1 EHLO first",
    );
}

#[test]
fn a_web_browser_is_sent_away_at_once() {
    let mails = check(
        r"S: 220 mx.example ESMTP
         c: POST / HTTP/1.1\r\nHost: mx.example\r\n\r\nHELO a\r\nMAIL FROM:<evil@example.org>\r\n
         S: 421 4.7.0 This is not a web server
         E: close",
    );
    assert!(mails.is_empty());
    check("S: 220 mx.example ESMTP\nC: HELO a\nS: 250 mx.example\nC: GET /\nS: 500 5.5.1 Unknown command");
}

#[test]
fn content_sent_before_354_is_content_and_is_noticed() {
    let start = RCPT.split("C: DATA").next().unwrap();
    let mails = check(&format!(
        r"{start}
         c: DATA\r\nNOOP\r\n.\r\nNOOP\r\n
         S: 354 End with <CRLF>.<CRLF>
         S: 250 2.0.0 OK
         S: 250 2.0.0 OK"
    ));
    assert_eq!(mails[0].content, "NOOP\r\n");
    assert!(mails[0].envelope.spoke_early);
}

#[test]
fn a_command_line_is_one_command() {
    for separator in [r"\n", r"\r", r"\n\r", r"\0"] {
        check(&format!(
            r"S: 220 mx.example ESMTP
             C: HELO client.example
             S: 250 mx.example
             c: MAIL FROM:<bob@client.example>{separator}RCPT TO:<ann@example.org>\r\n
             S: 500 5.5.2 Bad characters in the command line
             C: RCPT TO:<ann@example.org>
             S: 503 5.5.1 MAIL first"
        ));
    }
}

#[test]
fn the_tail_of_a_long_line_is_no_command() {
    let long = "x".repeat(20_000);
    check(&format!(
        r"S: 220 mx.example ESMTP
         c: {long}
         c: \nQUIT\r\n
         S: 500 5.5.2 Command line too long
         C: NOOP
         S: 250 2.0.0 OK"
    ));
}

#[test]
fn a_chunk_that_is_refused_holds_no_commands() {
    let mut settings = settings(Listener::Mx);
    settings.offers.chunking = false;
    check_with(
        settings,
        r"S: 220 mx.example ESMTP
         C: HELO client.example
         S: 250 mx.example
         C: MAIL FROM:<>
         S: 250 2.1.0 Sender OK
         c: BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n
         S: 502 5.5.1 Command not implemented
         S: 250 2.0.0 OK",
    );
}
