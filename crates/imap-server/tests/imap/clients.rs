//! What well-known programs say to a server: from their first command on, as their documentation
//! and published logs have it, each answer checked in full.

use hikyaku_testkit::{TestStore, both_engines};

use crate::client::Client;
use crate::script;
use crate::server::Server;

both_engines! {
    thunderbird
    outlook
    apple_mail
    k9_mail
    fairemail
}

/// Two mails, then the transcript from the greeting on.
fn play(mail: TestStore, transcript: &str) {
    let server = Server::new(mail);
    let mut client = server.sign_in();
    for (number, subject, text) in [(1, "one", "first"), (2, "two", "second")] {
        let header =
            format!("From: bob@example.org\r\nSubject: {subject}\r\nMessage-ID: <{number}@example.org>\r\n");
        client.append("INBOX", &format!("{header}\r\n{text}\r\n"));
    }
    script::play(transcript, || Client::connect(server.clear));
}

/// 115 and later: asks for special uses with the subscriptions, reads headers field by field,
/// looks for a draft that it has just saved, deletes by MOVE.
fn thunderbird(mail: TestStore) {
    play(
        mail,
        r#"
        S: * OK [CAPABILITY IMAP4rev1 …] Hikyaku ready
        C: 1 capability
        S: * CAPABILITY IMAP4rev1 …
        S: 1 OK CAPABILITY completed
        C: 2 authenticate PLAIN
        S: + …
        C: AGFubkBleGFtcGxlLm9yZwBzZWNyZXQ=
        S: 2 OK [CAPABILITY IMAP4rev1 …] Signed in
        C: 3 ID ("name" "Thunderbird" "version" "128.0")
        S: * ID ("name" "Hikyaku")
        S: 3 OK ID completed
        C: 4 namespace
        S: * NAMESPACE (("" "/")) NIL NIL
        S: 4 OK NAMESPACE completed
        C: 5 list (subscribed) "" "*" return (special-use)
        S: * LIST (\HasNoChildren \Subscribed \Archive) "/" Archive
        S: * LIST (\HasNoChildren \Subscribed \Drafts) "/" Drafts
        S: * LIST (\HasNoChildren \Subscribed) "/" INBOX
        S: * LIST (\HasNoChildren \Subscribed \Junk) "/" Junk
        S: * LIST (\HasNoChildren \Subscribed \Sent) "/" Sent
        S: * LIST (\HasNoChildren \Subscribed \Trash) "/" Trash
        S: 5 OK LIST completed
        C: 6 list "" "INBOX"
        S: * LIST (\HasNoChildren) "/" INBOX
        S: 6 OK LIST completed
        C: 7 select "INBOX" (CONDSTORE)
        S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
        S: * 2 EXISTS
        S: * 0 RECENT
        S: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft \*)] …
        S: * OK [UNSEEN 1] …
        S: * OK [UIDVALIDITY …] …
        S: * OK [UIDNEXT 3] …
        S: * OK [HIGHESTMODSEQ …] …
        S: * OK [MAILBOXID (F1)] …
        S: 7 OK [READ-WRITE] SELECT completed
        C: 8 getquotaroot "INBOX"
        S: * QUOTAROOT INBOX …
        S: * QUOTA … (STORAGE … 2929)
        S: 8 OK GETQUOTAROOT completed
        C: 9 UID fetch 1:* (FLAGS)
        S: * 1 FETCH (UID 1 FLAGS ())
        S: * 2 FETCH (UID 2 FLAGS ())
        S: 9 OK UID FETCH completed
        C: 10 UID fetch 1:2 (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To)])
        S: * 1 FETCH (UID 1 RFC822.SIZE … FLAGS () BODY[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To)] {#}
        S> From: bob@example.org
        S> Subject: one
        S> Message-ID: <1@example.org>
        S>
        S: )
        S: * 2 FETCH (UID 2 RFC822.SIZE … FLAGS () BODY[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To)] {#}
        S> From: bob@example.org
        S> Subject: two
        S> Message-ID: <2@example.org>
        S>
        S: )
        S: 10 OK UID FETCH completed
        C: 11 UID fetch 2 (UID RFC822.SIZE BODY.PEEK[TEXT])
        S: * 2 FETCH (UID 2 RFC822.SIZE … BODY[TEXT] {#}
        S> second
        S: )
        S: 11 OK UID FETCH completed
        C: 12 uid store 2 +Flags (\Seen NonJunk)
        S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft nonjunk)
        S: * 2 FETCH (UID 2 FLAGS (\Seen nonjunk) MODSEQ (…))
        S: 12 OK UID STORE completed
        C: 13 IDLE
        S: + idling
        C: DONE
        S: 13 OK IDLE completed
        C: 14 append "Drafts" (\Seen \Draft) " 1-Nov-2026 10:00:00 +0900" {#}
        S: + Go on
        C> Message-ID: <draft@example.org>
        C> Subject: a draft
        C>
        C> text
        C:
        S: 14 OK [APPENDUID … 1] APPEND completed
        C: 15 uid move 1 "Trash"
        S: * OK [COPYUID … 1 1] Copied
        S: * 1 EXPUNGE
        S: 15 OK UID MOVE completed
        C: 16 STATUS "Trash" (UIDNEXT MESSAGES UNSEEN RECENT)
        S: * STATUS Trash (UIDNEXT 2 MESSAGES 1 UNSEEN 1 RECENT 0)
        S: 16 OK STATUS completed
        C: 17 select "Drafts" (CONDSTORE)
        S: * OK [CLOSED] …
        S: * FLAGS …
        S: * 1 EXISTS
        S: * 0 RECENT
        S: * OK [PERMANENTFLAGS …
        S: * OK [UIDVALIDITY …
        S: * OK [UIDNEXT 2] …
        S: * OK [HIGHESTMODSEQ …
        S: * OK [MAILBOXID …
        S: 17 OK [READ-WRITE] SELECT completed
        C: 18 UID SEARCH UNDELETED HEADER Message-ID draft@example.org
        S: * SEARCH 1
        S: 18 OK UID SEARCH completed
        C: 19 close
        S: 19 OK CLOSE completed
        C: 20 logout
        S: * BYE Good-bye
        S: 20 OK LOGOUT completed
        S: (closed)
        "#,
    );
}

/// The classic program for Windows: no extension but IDLE and UIDPLUS, literals that wait, deletion by
/// flag.
fn outlook(mail: TestStore) {
    play(
        mail,
        r#"
        S: * OK …
        C: wx4y CAPABILITY
        S: * CAPABILITY IMAP4rev1 …
        S: wx4y OK CAPABILITY completed
        C: 0ff1 LOGIN "ann@example.org" "secret"
        S: 0ff1 OK [CAPABILITY …] Signed in
        C: 5mqa CAPABILITY
        S: * CAPABILITY IMAP4rev1 …
        S: 5mqa OK CAPABILITY completed
        C: 0ak2 LIST "" ""
        S: * LIST (\Noselect) "/" ""
        S: 0ak2 OK LIST completed
        C: hq3e LIST "" "INBOX"
        S: * LIST (\HasNoChildren) "/" INBOX
        S: hq3e OK LIST completed
        C: u86w LSUB "" "*"
        S: * LSUB (\HasNoChildren) "/" Archive
        S: * LSUB (\HasNoChildren) "/" Drafts
        S: * LSUB (\HasNoChildren) "/" INBOX
        S: * LSUB (\HasNoChildren) "/" Junk
        S: * LSUB (\HasNoChildren) "/" Sent
        S: * LSUB (\HasNoChildren) "/" Trash
        S: u86w OK LSUB completed
        C: j44d SELECT "INBOX"
        S: * FLAGS …
        S: * 2 EXISTS
        S: * 0 RECENT
        S: * OK [PERMANENTFLAGS …
        S: * OK [UNSEEN 1] …
        S: * OK [UIDVALIDITY …
        S: * OK [UIDNEXT 3] …
        S: * OK [HIGHESTMODSEQ …
        S: * OK [MAILBOXID …
        S: j44d OK [READ-WRITE] SELECT completed
        C: 1mjf FETCH 1:* (UID FLAGS)
        S: * 1 FETCH (UID 1 FLAGS ())
        S: * 2 FETCH (UID 2 FLAGS ())
        S: 1mjf OK FETCH completed
        C: w3e0 UID FETCH 1:2 (BODY.PEEK[HEADER] BODYSTRUCTURE UID RFC822.SIZE FLAGS INTERNALDATE)
        S: * 1 FETCH (BODY[HEADER] {#}
        S> From: bob@example.org
        S> Subject: one
        S> Message-ID: <1@example.org>
        S>
        S:  BODYSTRUCTURE ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 7 1 NIL NIL NIL NIL) UID 1 RFC822.SIZE 75 FLAGS () INTERNALDATE "…")
        S: * 2 FETCH (BODY[HEADER] {#}
        S> From: bob@example.org
        S> Subject: two
        S> Message-ID: <2@example.org>
        S>
        S:  BODYSTRUCTURE ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 8 1 NIL NIL NIL NIL) UID 2 RFC822.SIZE 76 FLAGS () INTERNALDATE "…")
        S: w3e0 OK UID FETCH completed
        C: bf7k UID FETCH 2 (UID BODY[])
        S: * 2 FETCH (FLAGS (\Seen) UID 2 BODY[] {#}
        S> From: bob@example.org
        S> Subject: two
        S> Message-ID: <2@example.org>
        S>
        S> second
        S: )
        S: bf7k OK UID FETCH completed
        C: 6q7n UID STORE 1 +FLAGS (\Deleted)
        S: * 1 FETCH (UID 1 FLAGS (\Deleted))
        S: 6q7n OK UID STORE completed
        C: cn8r EXPUNGE
        S: * 1 EXPUNGE
        S: cn8r OK EXPUNGE completed
        C: 1u0s APPEND "Sent" (\Seen) {#}
        S: + Go on
        C> From: "Ann" <ann@example.org>
        C>
        C> sent
        C:
        S: 1u0s OK [APPENDUID … 1] APPEND completed
        C: 8h6t IDLE
        S: + idling
        C: DONE
        S: 8h6t OK IDLE completed
        C: 2p9v NOOP
        S: 2p9v OK NOOP completed
        C: zz1a LOGOUT
        S: * BYE Good-bye
        S: zz1a OK LOGOUT completed
        S: (closed)
        "#,
    );
}

/// macOS and iOS: says who it is before it signs in, asks STATUS with HIGHESTMODSEQ, reads what
/// changed by CHANGEDSINCE, bodies in pieces.
fn apple_mail(mail: TestStore) {
    play(
        mail,
        r#"
        S: * OK …
        C: 1.1 CAPABILITY
        S: * CAPABILITY IMAP4rev1 …
        S: 1.1 OK CAPABILITY completed
        C: 2.1 ID ("name" "Mac OS X Mail" "version" "16.0 (3774.600.62)" "os" "Mac OS X" "os-version" "14.6 (23G80)" "vendor" "Apple Inc.")
        S: * ID ("name" "Hikyaku")
        S: 2.1 OK ID completed
        C: 3.1 AUTHENTICATE PLAIN AGFubkBleGFtcGxlLm9yZwBzZWNyZXQ=
        S: 3.1 OK [CAPABILITY …] Signed in
        C: 4.1 CAPABILITY
        S: * CAPABILITY IMAP4rev1 …
        S: 4.1 OK CAPABILITY completed
        C: 5.1 ENABLE CONDSTORE
        S: * ENABLED CONDSTORE
        S: 5.1 OK ENABLE completed
        C: 6.1 NAMESPACE
        S: * NAMESPACE (("" "/")) NIL NIL
        S: 6.1 OK NAMESPACE completed
        C: 7.1 LIST "" "*" RETURN (SPECIAL-USE)
        S: * LIST (\HasNoChildren \Archive) "/" Archive
        S: * LIST (\HasNoChildren \Drafts) "/" Drafts
        S: * LIST (\HasNoChildren) "/" INBOX
        S: * LIST (\HasNoChildren \Junk) "/" Junk
        S: * LIST (\HasNoChildren \Sent) "/" Sent
        S: * LIST (\HasNoChildren \Trash) "/" Trash
        S: 7.1 OK LIST completed
        C: 8.1 STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ)
        S: * STATUS INBOX (MESSAGES 2 UIDNEXT 3 UIDVALIDITY … UNSEEN 2 HIGHESTMODSEQ …)
        S: 8.1 OK STATUS completed
        C: 9.1 SELECT INBOX (CONDSTORE)
        S: * FLAGS …
        S: * 2 EXISTS
        S: * 0 RECENT
        S: * OK [PERMANENTFLAGS …
        S: * OK [UNSEEN 1] …
        S: * OK [UIDVALIDITY …
        S: * OK [UIDNEXT 3] …
        S: * OK [HIGHESTMODSEQ …
        S: * OK [MAILBOXID …
        S: 9.1 OK [READ-WRITE] SELECT completed
        C: 10.1 FETCH 1:2 (INTERNALDATE UID RFC822.SIZE FLAGS MODSEQ BODY.PEEK[HEADER.FIELDS (date subject from to cc message-id in-reply-to references content-type x-priority list-id)])
        S: * 1 FETCH (INTERNALDATE "…" UID 1 RFC822.SIZE 75 FLAGS () MODSEQ (…) BODY[HEADER.FIELDS (date subject from to cc message-id in-reply-to references content-type x-priority list-id)] {#}
        S> From: bob@example.org
        S> Subject: one
        S> Message-ID: <1@example.org>
        S>
        S: )
        S: * 2 FETCH (INTERNALDATE "…" UID 2 RFC822.SIZE 76 FLAGS () MODSEQ (…) BODY[HEADER.FIELDS (date subject from to cc message-id in-reply-to references content-type x-priority list-id)] {#}
        S> From: bob@example.org
        S> Subject: two
        S> Message-ID: <2@example.org>
        S>
        S: )
        S: 10.1 OK FETCH completed
        C: 11.1 UID FETCH 2 (BODYSTRUCTURE BODY.PEEK[HEADER])
        S: * 2 FETCH (UID 2 BODYSTRUCTURE ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 8 1 NIL NIL NIL NIL) BODY[HEADER] {#}
        S> From: bob@example.org
        S> Subject: two
        S> Message-ID: <2@example.org>
        S>
        S: )
        S: 11.1 OK UID FETCH completed
        C: 12.1 UID FETCH 2 (BODY.PEEK[1]<0.5> UID)
        S: * 2 FETCH (BODY[1]<0> {#}
        S> secon\
        S:  UID 2)
        S: 12.1 OK UID FETCH completed
        C: 13.1 UID STORE 2 +FLAGS.SILENT (\Seen $NotJunk NotJunk)
        S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft $notjunk notjunk)
        S: * 2 FETCH (UID 2 MODSEQ (…))
        S: 13.1 OK UID STORE completed
        C: 14.1 UID FETCH 1:2 (FLAGS) (CHANGEDSINCE 1)
        S: * 1 FETCH (UID 1 FLAGS () MODSEQ (…))
        S: * 2 FETCH (UID 2 FLAGS (\Seen $notjunk notjunk) MODSEQ (…))
        S: 14.1 OK UID FETCH completed
        C: 15.1 UID SEARCH 1:2 NOT DELETED
        S: * SEARCH 1 2
        S: 15.1 OK UID SEARCH completed
        C: 16.1 UID COPY 1 Trash
        S: 16.1 OK [COPYUID … 1 1] Copied
        C: 17.1 UID STORE 1 +FLAGS.SILENT (\Deleted)
        S: * 1 FETCH (UID 1 MODSEQ (…))
        S: 17.1 OK UID STORE completed
        C: 18.1 UID EXPUNGE 1
        S: * 1 EXPUNGE
        S: 18.1 OK UID EXPUNGE completed
        C: 19.1 CHECK
        S: 19.1 OK CHECK completed
        C: 20.1 IDLE
        S: + idling
        C: DONE
        S: 20.1 OK IDLE completed
        C: 21.1 UNSELECT
        S: 21.1 OK UNSELECT completed
        C: 22.1 LOGOUT
        S: * BYE Good-bye
        S: 22.1 OK LOGOUT completed
        S: (closed)
        "#,
    );
}

/// Android: sets of UIDs in place of ranges, the structure first and then parts of it, the
/// highest UID by `*`.
fn k9_mail(mail: TestStore) {
    play(
        mail,
        r#"
        S: * OK …
        C: 1 CAPABILITY
        S: * CAPABILITY IMAP4rev1 …
        S: 1 OK CAPABILITY completed
        C: 2 AUTHENTICATE PLAIN AGFubkBleGFtcGxlLm9yZwBzZWNyZXQ=
        S: 2 OK [CAPABILITY …] Signed in
        C: 3 ID ("name" "K-9 Mail" "version" "6.0")
        S: * ID ("name" "Hikyaku")
        S: 3 OK ID completed
        C: 4 NAMESPACE
        S: * NAMESPACE (("" "/")) NIL NIL
        S: 4 OK NAMESPACE completed
        C: 5 LIST "" "*" RETURN (SUBSCRIBED SPECIAL-USE)
        S: * LIST (\HasNoChildren \Subscribed \Archive) "/" Archive
        S: * LIST (\HasNoChildren \Subscribed \Drafts) "/" Drafts
        S: * LIST (\HasNoChildren \Subscribed) "/" INBOX
        S: * LIST (\HasNoChildren \Subscribed \Junk) "/" Junk
        S: * LIST (\HasNoChildren \Subscribed \Sent) "/" Sent
        S: * LIST (\HasNoChildren \Subscribed \Trash) "/" Trash
        S: 5 OK LIST completed
        C: 6 SELECT "INBOX"
        S: * FLAGS …
        S: * 2 EXISTS
        S: * 0 RECENT
        S: * OK [PERMANENTFLAGS …
        S: * OK [UNSEEN 1] …
        S: * OK [UIDVALIDITY …
        S: * OK [UIDNEXT 3] …
        S: * OK [HIGHESTMODSEQ …
        S: * OK [MAILBOXID …
        S: 6 OK [READ-WRITE] SELECT completed
        C: 7 UID SEARCH *:*
        S: * SEARCH 2
        S: 7 OK UID SEARCH completed
        C: 8 UID SEARCH 1:25 NOT DELETED
        S: * SEARCH 1 2
        S: 8 OK UID SEARCH completed
        C: 9 UID FETCH 2,1 (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (date subject from content-type to cc reply-to message-id references in-reply-to list-unsubscribe sender X-K9mail-Identity)])
        S: * 1 FETCH (UID 1 FLAGS () INTERNALDATE "…" RFC822.SIZE 75 BODY[HEADER.FIELDS (date subject from content-type to cc reply-to message-id references in-reply-to list-unsubscribe sender X-K9mail-Identity)] {#}
        S> From: bob@example.org
        S> Subject: one
        S> Message-ID: <1@example.org>
        S>
        S: )
        S: * 2 FETCH (UID 2 FLAGS () INTERNALDATE "…" RFC822.SIZE 76 BODY[HEADER.FIELDS (date subject from content-type to cc reply-to message-id references in-reply-to list-unsubscribe sender X-K9mail-Identity)] {#}
        S> From: bob@example.org
        S> Subject: two
        S> Message-ID: <2@example.org>
        S>
        S: )
        S: 9 OK UID FETCH completed
        C: 10 UID FETCH 2 (UID BODYSTRUCTURE)
        S: * 2 FETCH (UID 2 BODYSTRUCTURE ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 8 1 NIL NIL NIL NIL))
        S: 10 OK UID FETCH completed
        C: 11 UID FETCH 2 (UID BODY.PEEK[]<0.32768>)
        S: * 2 FETCH (UID 2 BODY[]<0> {#}
        S> From: bob@example.org
        S> Subject: two
        S> Message-ID: <2@example.org>
        S>
        S> second
        S: )
        S: 11 OK UID FETCH completed
        C: 12 UID STORE 2 +FLAGS.SILENT (\Seen)
        S: 12 OK UID STORE completed
        C: 13 UID MOVE 1 "Archive"
        S: * OK [COPYUID … 1 1] Copied
        S: * 1 EXPUNGE
        S: 13 OK UID MOVE completed
        C: 14 UID SEARCH HEADER MESSAGE-ID "<2@example.org>"
        S: * SEARCH 2
        S: 14 OK UID SEARCH completed
        C: 15 IDLE
        S: + idling
        C: DONE
        S: 15 OK IDLE completed
        C: 16 CLOSE
        S: 16 OK CLOSE completed
        C: 17 LOGOUT
        S: * BYE Good-bye
        S: 17 OK LOGOUT completed
        S: (closed)
        "#,
    );
}

/// Android: JavaMail's tags and commands, ENVELOPE and BODYSTRUCTURE together, SEARCH by date with
/// the charset named.
fn fairemail(mail: TestStore) {
    play(
        mail,
        r#"
        S: * OK …
        C: A0 CAPABILITY
        S: * CAPABILITY IMAP4rev1 …
        S: A0 OK CAPABILITY completed
        C: A1 AUTHENTICATE PLAIN
        S: + …
        C: AGFubkBleGFtcGxlLm9yZwBzZWNyZXQ=
        S: A1 OK [CAPABILITY …] Signed in
        C: A2 ID ("name" "FairEmail" "version" "1.2190")
        S: * ID ("name" "Hikyaku")
        S: A2 OK ID completed
        C: A3 LIST "" ""
        S: * LIST (\Noselect) "/" ""
        S: A3 OK LIST completed
        C: A4 LIST "" "*"
        S: * LIST (\HasNoChildren \Archive) "/" Archive
        S: * LIST (\HasNoChildren \Drafts) "/" Drafts
        S: * LIST (\HasNoChildren) "/" INBOX
        S: * LIST (\HasNoChildren \Junk) "/" Junk
        S: * LIST (\HasNoChildren \Sent) "/" Sent
        S: * LIST (\HasNoChildren \Trash) "/" Trash
        S: A4 OK LIST completed
        C: A5 SELECT INBOX
        S: * FLAGS …
        S: * 2 EXISTS
        S: * 0 RECENT
        S: * OK [PERMANENTFLAGS …
        S: * OK [UNSEEN 1] …
        S: * OK [UIDVALIDITY …
        S: * OK [UIDNEXT 3] …
        S: * OK [HIGHESTMODSEQ …
        S: * OK [MAILBOXID …
        S: A5 OK [READ-WRITE] SELECT completed
        C: A6 UID SEARCH CHARSET UTF-8 OR SINCE 1-Jan-2001 FLAGGED
        S: * SEARCH 1 2
        S: A6 OK UID SEARCH completed
        C: A7 FETCH 1:2 (UID FLAGS)
        S: * 1 FETCH (UID 1 FLAGS ())
        S: * 2 FETCH (UID 2 FLAGS ())
        S: A7 OK FETCH completed
        C: A8 FETCH 2 (ENVELOPE INTERNALDATE RFC822.SIZE FLAGS BODYSTRUCTURE UID)
        S: * 2 FETCH (ENVELOPE (NIL "two" ((NIL NIL "bob" "example.org")) ((NIL NIL "bob" "example.org")) ((NIL NIL "bob" "example.org")) NIL NIL NIL NIL "<2@example.org>") INTERNALDATE "…" RFC822.SIZE 76 FLAGS () BODYSTRUCTURE ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 8 1 NIL NIL NIL NIL) UID 2)
        S: A8 OK FETCH completed
        C: A9 FETCH 2 (BODY[1]<0.16384>)
        S: * 2 FETCH (FLAGS (\Seen) BODY[1]<0> {#}
        S> second
        S: )
        S: A9 OK FETCH completed
        C: A10 STORE 1 +FLAGS (\Answered)
        S: * 1 FETCH (FLAGS (\Answered))
        S: A10 OK STORE completed
        C: A11 IDLE
        S: + idling
        C: DONE
        S: A11 OK IDLE completed
        C: A12 NOOP
        S: A12 OK NOOP completed
        C: A13 CLOSE
        S: A13 OK CLOSE completed
        C: A14 LOGOUT
        S: * BYE Good-bye
        S: A14 OK LOGOUT completed
        S: (closed)
        "#,
    );
}
