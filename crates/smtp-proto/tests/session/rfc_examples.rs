//! The examples of the RFCs, with our own texts in the replies.

use hikyaku_smtp_proto::Listener;

use crate::dialogue::{Mail, check, check_with, settings};

fn recipients(mail: &Mail) -> Vec<String> {
    mail.envelope.recipients.iter().map(|recipient| recipient.forward_path.to_string()).collect()
}

#[test]
fn rfc_5321_d_1_typical() {
    let mails = check(
        "S: 220 mx.example ESMTP
         C: EHLO bar.com
         S: 250-mx.example
         S: 250-PIPELINING
         S: 250-SIZE 1000
         S: 250-8BITMIME
         S: 250-SMTPUTF8
         S: 250-ENHANCEDSTATUSCODES
         S: 250-STARTTLS
         S: 250-CHUNKING
         S: 250 DSN
         C: MAIL FROM:<Smith@bar.com>
         S: 250 2.1.0 Sender OK
         C: RCPT TO:<Jones@foo.com>
         S: 250 2.1.5 Recipient OK
         C: RCPT TO:<Green@foo.com>
         A: 550 5.1.1 No such user here
         S: 550 5.1.1 No such user here
         C: RCPT TO:<Brown@foo.com>
         S: 250 2.1.5 Recipient OK
         C: DATA
         S: 354 End with <CRLF>.<CRLF>
         C: Blah blah blah...
         C: ...etc. etc. etc.
         C: .
         S: 250 2.0.0 OK
         C: QUIT
         S: 221 2.0.0 Bye
         E: close",
    );
    assert_eq!(mails.len(), 1);
    assert_eq!(recipients(&mails[0]), ["<Jones@foo.com>", "<Brown@foo.com>"]);
    // RFC 5321 shows the second line as typed; on the wire its first dot is doubled, and
    // as it stands here one dot is taken off.
    assert_eq!(mails[0].content, "Blah blah blah...\r\n..etc. etc. etc.\r\n");
}

#[test]
fn rfc_5321_d_2_aborted() {
    let mails = check(
        "S: 220 mx.example ESMTP
         C: HELO bar.com
         S: 250 mx.example
         C: MAIL FROM:<Smith@bar.com>
         S: 250 2.1.0 Sender OK
         C: RCPT TO:<Jones@foo.com>
         S: 250 2.1.5 Recipient OK
         C: RCPT TO:<Green@foo.com>
         A: 550 5.1.1 No such user here
         S: 550 5.1.1 No such user here
         C: RSET
         S: 250 2.0.0 OK
         C: QUIT
         S: 221 2.0.0 Bye
         E: close",
    );
    assert!(mails.is_empty());
}

#[test]
fn rfc_5321_d_3_relayed() {
    // Step 1 has a source route, which is dropped.
    let mails = check(
        "S: 220 mx.example ESMTP
         C: HELO bar.com
         S: 250 mx.example
         C: MAIL FROM:<JQP@bar.com>
         S: 250 2.1.0 Sender OK
         C: RCPT TO:<@foo.com:Jones@XYZ.COM>
         S: 250 2.1.5 Recipient OK
         E: ask <JQP@bar.com> <Jones@xyz.com>
         C: DATA
         S: 354 End with <CRLF>.<CRLF>
         C: Date: Thu, 21 May 1998 05:33:29 -0700
         C: From: John Q. Public <JQP@bar.com>
         C: Subject: The Next Meeting of the Board
         C: To: Jones@xyz.com
         C:
         C: Bill:
         C: The next meeting of the board of directors will be
         C: on Tuesday.
         C: John.
         C: .
         S: 250 2.0.0 OK
         C: QUIT
         S: 221 2.0.0 Bye",
    );
    assert_eq!(recipients(&mails[0]), ["<Jones@xyz.com>"]);
    assert_eq!(mails[0].envelope.protocol.keyword(), "SMTP");
}

#[test]
fn rfc_5321_d_4_verify_and_send() {
    let mails = check(
        "S: 220 mx.example ESMTP
         C: HELO bar.com
         S: 250 mx.example
         C: VRFY Crispin
         S: 252 2.0.0 Not verified here, send some mail
         C: MAIL FROM:<EAK@bar.com>
         S: 250 2.1.0 Sender OK
         C: RCPT TO:<Admin.MRC@foo.com>
         S: 250 2.1.5 Recipient OK
         C: DATA
         S: 354 End with <CRLF>.<CRLF>
         C: Blah blah blah...
         C: ...etc. etc. etc.
         C: .
         S: 250 2.0.0 OK
         C: QUIT
         S: 221 2.0.0 Bye",
    );
    assert_eq!(mails.len(), 1);
}

#[test]
fn rfc_2920_pipelining() {
    // Section 4.1: groups of commands, each in one piece.
    let mails = check(
        r"S: 220 mx.example ESMTP
         C: HELO dbc.mtview.ca.us
         S: 250 mx.example
         c: MAIL FROM:<mrose@dbc.mtview.ca.us>\r\nRCPT TO:<ned@innosoft.com>\r\nRCPT TO:<dan@innosoft.com>\r\nRCPT TO:<kvc@innosoft.com>\r\nDATA\r\n
         S: 250 2.1.0 Sender OK
         S: 250 2.1.5 Recipient OK
         S: 250 2.1.5 Recipient OK
         S: 250 2.1.5 Recipient OK
         S: 354 End with <CRLF>.<CRLF>
         c: content\r\n.\r\nQUIT\r\n
         S: 250 2.0.0 OK
         S: 221 2.0.0 Bye",
    );
    assert_eq!(recipients(&mails[0]).len(), 3);
    assert_eq!(mails[0].content, "content\r\n");
    assert!(!mails[0].envelope.spoke_early);

    // Section 4.2: every recipient is refused, so DATA is, too.
    let mails = check(
        r"S: 220 mx.example ESMTP
         C: HELO dbc.mtview.ca.us
         S: 250 mx.example
         c: MAIL FROM:<mrose@dbc.mtview.ca.us>\r\nRCPT TO:<nsb@thumper.bellcore.com>\r\nRCPT TO:<galvin@tis.com>\r\nDATA\r\nRSET\r\n
         A: accept
         A: 550 5.1.1 remote mail to nsb not allowed
         A: 550 5.1.1 remote mail to galvin not allowed
         S: 250 2.1.0 Sender OK
         S: 550 5.1.1 remote mail to nsb not allowed
         S: 550 5.1.1 remote mail to galvin not allowed
         S: 554 5.5.1 No valid recipients
         S: 250 2.0.0 OK
         C: QUIT
         S: 221 2.0.0 Bye",
    );
    assert!(mails.is_empty());
}

#[test]
fn rfc_3030_simple_chunking() {
    // Section 4.1, with a shorter message.
    let mails = check(
        r"S: 220 mx.example ESMTP
         C: HELO cnri.reston.va.us
         S: 250 mx.example
         C: MAIL FROM:<Sam@random.com>
         S: 250 2.1.0 Sender OK
         C: RCPT TO:<Susan@random.com>
         S: 250 2.1.5 Recipient OK
         C: BDAT 27 LAST
         c: To: Susan@random.com\r\n\r\n.\r\n
         A: 250 2.0.0 Message OK, 27 octets received
         S: 250 2.0.0 Message OK, 27 octets received
         C: QUIT
         S: 221 2.0.0 Bye",
    );
    assert_eq!(mails[0].content, "To: Susan@random.com\r\n\r\n.\r\n");
}

#[test]
fn rfc_3030_pipelining_binarymime() {
    // Section 4.2, where BINARYMIME is offered: submission.
    let mails = check_with(
        settings(Listener::Submissions),
        r"S: 220 mx.example ESMTP
         C: EHLO cnri.reston.va.us
         S: 250-mx.example
         S: 250-PIPELINING
         S: 250-SIZE 1000
         S: 250-8BITMIME
         S: 250-SMTPUTF8
         S: 250-ENHANCEDSTATUSCODES
         S: 250-AUTH PLAIN LOGIN
         S: 250-CHUNKING
         S: 250-BINARYMIME
         S: 250-DSN
         S: 250 REQUIRETLS
         C: AUTH PLAIN AG5lZAB4
         S: 235 2.7.0 Signed in
         c: MAIL FROM:<ned@ymir.claremont.edu> BODY=BINARYMIME\r\nRCPT TO:<gvaudre@cnri.reston.va.us>\r\nRCPT TO:<jstewart@cnri.reston.va.us>\r\n
         S: 250 2.1.0 Sender OK
         S: 250 2.1.5 Recipient OK
         S: 250 2.1.5 Recipient OK
         c: BDAT 20\r\n\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\nBDAT 4\r\na\rb\nBDAT 1 LAST\r\nc
         S: 250 2.0.0 20 octets received
         S: 250 2.0.0 4 octets received
         S: 250 2.0.0 OK
         C: QUIT
         S: 221 2.0.0 Bye",
    );
    assert_eq!(mails[0].content, format!("{}\na\rb\nc", "\0".repeat(19)));
    assert_eq!(mails[0].envelope.protocol.keyword(), "ESMTPSA");
    assert!(mails[0].envelope.content.has_bare_line_ends);
}

#[test]
fn rfc_4954_auth_plain() {
    // Section 4.1: without and with an initial response, and a wrong password.
    check_with(
        settings(Listener::Submission),
        "S: 220 mx.example ESMTP
         C: EHLO client.example.com
         S: 250-mx.example
         S: 250-PIPELINING
         S: 250-SIZE 1000
         S: 250-8BITMIME
         S: 250-SMTPUTF8
         S: 250-ENHANCEDSTATUSCODES
         S: 250-STARTTLS
         S: 250-CHUNKING
         S: 250-BINARYMIME
         S: 250 DSN
         C: MAIL FROM:<ann@example.org>
         S: 530 5.7.0 STARTTLS first
         C: AUTH PLAIN
         S: 538 5.7.11 Signing in needs TLS
         C: STARTTLS
         S: 220 2.0.0 Ready to start TLS
         E: starttls
         !: tls
         C: MAIL FROM:<ann@example.org>
         S: 503 5.5.1 EHLO first
         C: EHLO client.example.com
         S: 250-mx.example
         S: 250-PIPELINING
         S: 250-SIZE 1000
         S: 250-8BITMIME
         S: 250-SMTPUTF8
         S: 250-ENHANCEDSTATUSCODES
         S: 250-AUTH PLAIN LOGIN
         S: 250-CHUNKING
         S: 250-BINARYMIME
         S: 250-DSN
         S: 250 REQUIRETLS
         C: STARTTLS
         S: 503 5.5.1 TLS is in use already
         C: MAIL FROM:<ann@example.org>
         S: 530 5.7.0 Sign in first
         C: AUTH PLAIN
         S: 334 
         C: dGVzdAB0ZXN0ADEyMzQ=
         E: ask PLAIN - test 1234
         A: 535 5.7.8 Name or password wrong
         S: 535 5.7.8 Name or password wrong
         C: AUTH PLAIN dGVzdAB0ZXN0AHRlc3RwYXNz
         E: ask PLAIN - test testpass
         A: accept
         S: 235 2.7.0 Signed in
         C: AUTH PLAIN dGVzdAB0ZXN0AHRlc3RwYXNz
         S: 503 5.5.1 You are signed in already
         C: QUIT
         S: 221 2.0.0 Bye",
    );
}

/// EHLO on a listener with TLS from the first octet, and its answer.
const SUBMISSIONS_EHLO: &str = "S: 220 mx.example ESMTP
    C: EHLO client.example
    S: 250-mx.example
    S: 250-PIPELINING
    S: 250-SIZE 1000
    S: 250-8BITMIME
    S: 250-SMTPUTF8
    S: 250-ENHANCEDSTATUSCODES
    S: 250-AUTH PLAIN LOGIN
    S: 250-CHUNKING
    S: 250-BINARYMIME
    S: 250-DSN
    S: 250 REQUIRETLS
    ";

#[test]
fn auth_login() {
    check_with(
        settings(Listener::Submissions),
        &format!(
            "{SUBMISSIONS_EHLO}
             C: AUTH LOGIN
             S: 334 VXNlcm5hbWU6
             C: dGVzdA==
             S: 334 UGFzc3dvcmQ6
             C: *
             S: 501 5.7.0 Cancelled
             C: AUTH login dGVzdA==
             S: 334 UGFzc3dvcmQ6
             C: MTIzNA==
             E: ask LOGIN - test 1234
             A: accept
             S: 235 2.7.0 Signed in"
        ),
    );
}

#[test]
fn rfc_4616_section_4_acting_for_somebody_else() {
    check_with(
        settings(Listener::Submissions),
        &format!(
            "{SUBMISSIONS_EHLO}
             C: AUTH PLAIN VXJzZWwAS3VydAB4aXBqM3BsbXE=
             E: ask PLAIN Ursel Kurt xipj3plmq
             A: accept
             S: 235 2.7.0 Signed in"
        ),
    );
}

#[test]
fn rfc_2033_lmtp() {
    // Section 4.2.
    let mails = check_with(
        settings(Listener::Lmtp),
        r"S: 220 mx.example LMTP
         C: LHLO foo.edu
         S: 250-mx.example
         S: 250-PIPELINING
         S: 250-SIZE 1000
         S: 250-8BITMIME
         S: 250-SMTPUTF8
         S: 250-ENHANCEDSTATUSCODES
         S: 250-STARTTLS
         S: 250-CHUNKING
         S: 250 DSN
         c: MAIL FROM:<chris@bar.com>\r\nRCPT TO:<pat@foo.edu>\r\nRCPT TO:<jones@foo.edu>\r\nRCPT TO:<green@foo.edu>\r\nDATA\r\n
         A: accept
         A: accept
         A: 550 5.1.1 No such user here
         A: accept
         S: 250 2.1.0 Sender OK
         S: 250 2.1.5 Recipient OK
         S: 550 5.1.1 No such user here
         S: 250 2.1.5 Recipient OK
         S: 354 End with <CRLF>.<CRLF>
         C: Blah blah blah...
         C: ...etc. etc. etc.
         C: .
         A: 250 2.0.0 OK | 452 4.2.2 <green@foo.edu> is temporarily over quota
         S: 250 2.0.0 OK
         S: 452 4.2.2 <green@foo.edu> is temporarily over quota
         C: QUIT
         S: 221 2.0.0 Bye",
    );
    assert_eq!(recipients(&mails[0]), ["<pat@foo.edu>", "<green@foo.edu>"]);
    assert_eq!(mails[0].envelope.protocol.keyword(), "LMTP");
}

#[test]
fn rfc_6531_internationalised_addresses() {
    let mails = check(
        "S: 220 mx.example ESMTP
         C: HELO client.example
         S: 250 mx.example
         C: MAIL FROM:<pelé@example.com>
         S: 553 5.6.7 Internationalised addresses need SMTPUTF8
         C: MAIL FROM:<ann@example.com>
         S: 250 2.1.0 Sender OK
         C: RCPT TO:<用户@例子.公司>
         S: 553 5.6.7 Internationalised addresses need SMTPUTF8
         C: RSET
         S: 250 2.0.0 OK
         C: MAIL FROM:<pelé@example.com> SMTPUTF8 BODY=8BITMIME
         S: 250 2.1.0 Sender OK
         C: RCPT TO:<用户@例子.公司>
         S: 250 2.1.5 Recipient OK
         C: DATA
         S: 354 End with <CRLF>.<CRLF>
         C: Subject: é
         C: .
         S: 250 2.0.0 OK",
    );
    assert_eq!(recipients(&mails[0]), ["<用户@xn--fsqu00a.xn--55qx5d>"]);
    assert!(mails[0].envelope.params.smtputf8 && mails[0].envelope.content.has_eight_bit);
}

#[test]
fn rfc_3461_dsn() {
    // Section 10.1, submission of the example message.
    let mails = check(
        "S: 220 mx.example ESMTP
         C: HELO Pure-Heart.ORG
         S: 250 mx.example
         C: MAIL FROM:<Alice@Pure-Heart.ORG> RET=HDRS ENVID=QQ314159
         S: 250 2.1.0 Sender OK
         C: RCPT TO:<Bob@Big-Bucks.COM> NOTIFY=SUCCESS ORCPT=rfc822;Bob@Big-Bucks.COM
         S: 250 2.1.5 Recipient OK
         C: RCPT TO:<Carol@Ivory.EDU> NOTIFY=FAILURE ORCPT=rfc822;Carol@Ivory.EDU
         S: 250 2.1.5 Recipient OK
         C: RCPT TO:<Dana@Ivory.EDU> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Dana@Ivory.EDU
         S: 250 2.1.5 Recipient OK
         C: RCPT TO:<Eric@Bombs.AF.MIL> NOTIFY=FAILURE ORCPT=rfc822;Eric@Bombs.AF.MIL
         S: 250 2.1.5 Recipient OK
         C: RCPT TO:<Fred@Bombs.AF.MIL> NOTIFY=NEVER
         S: 250 2.1.5 Recipient OK
         C: RCPT TO:<George@Tax-ME.GOV> NOTIFY=FAILURE ORCPT=rfc822;George@Tax-ME.GOV
         S: 250 2.1.5 Recipient OK
         C: DATA
         S: 354 End with <CRLF>.<CRLF>
         C: (message goes here)
         C: .
         S: 250 2.0.0 OK
         C: QUIT
         S: 221 2.0.0 Bye",
    );
    let envelope = &mails[0].envelope;
    assert_eq!(envelope.params.envid.as_deref(), Some("QQ314159"));
    let params: Vec<String> = envelope
        .recipients
        .iter()
        .map(|recipient| {
            let notify = recipient.params.notify.map(|notify| notify.to_string()).unwrap_or_default();
            let original = recipient.params.original_recipient.as_ref();
            format!("{notify} {}", original.map(ToString::to_string).unwrap_or_default())
        })
        .collect();
    assert_eq!(params[2], "SUCCESS,FAILURE rfc822;Dana@Ivory.EDU");
    assert_eq!(params[4], "NEVER ");
}
