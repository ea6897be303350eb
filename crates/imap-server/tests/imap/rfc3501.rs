//! The sample connection of RFC 3501 section 8, with our texts and our mailbox.

use hikyaku_testkit::{TestStore, both_engines};

use crate::server::Server;

both_engines! { the_sample_connection }

/// The message of the sample, as far as it shows it.
const MESSAGE: &str = "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n\
    From: Terry Gray <gray@cac.washington.edu>\r\n\
    Subject: IMAP4rev1 WG mtg summary and minutes\r\n\
    To: imap@cac.washington.edu\r\n\
    cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n\
    Message-Id: <B27397-0100000@cac.washington.edu>\r\n\
    MIME-Version: 1.0\r\n\
    Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\
    \r\n\
    One.\r\nTwo.\r\n";

fn the_sample_connection(mail: TestStore) {
    let server = Server::new(mail);
    for _ in 0..3 {
        // Three different messages, or the second would be taken for a repetition.
        server.deliver(&format!("{MESSAGE}{}", "x".repeat(server.mail.next_id() as usize % 7)));
    }
    server.sign_in().append("INBOX", MESSAGE);
    server.check_from_greeting(
        r#"
        S: * OK [CAPABILITY IMAP4rev1 …] …
        C: a001 login ann@example.org secret
        S: a001 OK …
        C: a002 select inbox
        S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
        S: * 4 EXISTS
        S: * 0 RECENT
        S: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft \*)] …
        S: * OK [UNSEEN 1] …
        S: * OK [UIDVALIDITY …] …
        S: * OK [UIDNEXT 5] …
        S: * OK [HIGHESTMODSEQ …
        S: * OK [MAILBOXID …
        S: a002 OK [READ-WRITE] …
        C: a003 fetch 4 full
        S: * 4 FETCH (FLAGS () INTERNALDATE "24-Nov-2026 12:00:00 +0000" RFC822.SIZE 354 ENVELOPE ("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev1 WG mtg summary and minutes" (("Terry Gray" NIL "gray" "cac.washington.edu")) (("Terry Gray" NIL "gray" "cac.washington.edu")) (("Terry Gray" NIL "gray" "cac.washington.edu")) ((NIL NIL "imap" "cac.washington.edu")) ((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU")) NIL NIL "<B27397-0100000@cac.washington.edu>") BODY ("text" "plain" ("CHARSET" "US-ASCII") NIL NIL "7bit" 12 2))
        S: a003 OK …
        C: a004 fetch 4 body[header]
        S: * 4 FETCH (FLAGS (\Seen) BODY[HEADER] {#}
        S> Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)
        S> From: Terry Gray <gray@cac.washington.edu>
        S> Subject: IMAP4rev1 WG mtg summary and minutes
        S> To: imap@cac.washington.edu
        S> cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>
        S> Message-Id: <B27397-0100000@cac.washington.edu>
        S> MIME-Version: 1.0
        S> Content-Type: TEXT/PLAIN; CHARSET=US-ASCII
        S>
        S: )
        S: a004 OK …
        C: a005 store 4 +flags \deleted
        S: * 4 FETCH (FLAGS (\Deleted \Seen))
        S: a005 OK …
        C: a006 logout
        S: * BYE …
        S: a006 OK …
        S: (closed)"#,
    );
}
