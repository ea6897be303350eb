//! Every command of the RFCs' examples, from stream to command and back.

use hikyaku_imap_proto::framer::{Event, Limits};
use hikyaku_imap_proto::table::{State, request};
use hikyaku_imap_proto::{Dialect, Framer};

/// Frames and parses each line, and compares with what the command prints as; `=` stands for
/// the line itself. Messages of APPEND stand as `#` in a line and are left out of the print.
fn check(table: &[(&str, &str)]) {
    for (line, expected) in table {
        let (text, state) = (framed(line), state_of(line));
        let parsed = request(&text, state, Dialect::SevenBit)
            .unwrap_or_else(|error| panic!("{line}: {error} in {}", text.escape_ascii()));
        let printed = parsed.command.print(Dialect::SevenBit);
        let printed = format!("{} {}", parsed.tag, String::from_utf8(printed).unwrap());
        let expected = if *expected == "=" { (*line).to_owned() } else { (*expected).to_owned() };
        assert_eq!(printed, expected, "{line}");
    }
}

fn state_of(line: &str) -> State {
    let before_sign_in = ["LOGIN", "AUTHENTICATE", "STARTTLS"];
    let line = line.to_ascii_uppercase();
    if before_sign_in.iter().any(|name| line.contains(name)) {
        State::NotAuthenticated
    } else {
        State::Selected
    }
}

/// Sends the line as a client does: waits where it must, and takes every message.
fn framed(line: &str) -> Vec<u8> {
    let mut framer = Framer::new(Limits::new(1 << 20));
    let stream = format!("{line}\r\n");
    let mut input = stream.as_bytes();
    loop {
        match framer.next(&mut input) {
            Some(Event::Command(text)) => {
                assert!(input.is_empty(), "{line}");
                return text.to_vec();
            }
            Some(Event::Message(_)) => framer.take_message(),
            Some(Event::Continue | Event::Chunk(_)) => {}
            other => panic!("{line}: {other:?}"),
        }
    }
}

#[test]
fn rfc_3501_section_6() {
    check(&[
        ("abcd CAPABILITY", "="),
        ("a002 NOOP", "="),
        ("a047 NOOP", "="),
        ("A023 LOGOUT", "="),
        ("a001 CAPABILITY", "="),
        ("a002 STARTTLS", "="),
        ("a001 AUTHENTICATE GSSAPI", "="),
        ("a001 LOGIN SMITH SESAME", "a001 LOGIN SMITH \"SESAME\""),
        ("A142 SELECT INBOX", "="),
        ("A932 EXAMINE blurdybloop", "="),
        ("A003 CREATE owatagusiam/", "A003 CREATE owatagusiam"),
        ("A004 CREATE owatagusiam/blurdybloop", "="),
        ("A682 LIST \"\" *", "A682 LIST \"\" \"*\""),
        ("A683 DELETE blurdybloop", "="),
        ("A685 DELETE foo/bar", "="),
        ("A683 RENAME blurdybloop sarasoop", "="),
        ("Z433 RENAME INBOX old-mail", "="),
        ("A002 SUBSCRIBE #news.comp.mail.mime", "="),
        ("A002 UNSUBSCRIBE #news.comp.mail.mime", "="),
        ("A101 LIST \"\" \"\"", "="),
        ("A102 LIST #news.comp.mail.misc \"\"", "A102 LIST \"#news.comp.mail.misc\" \"\""),
        ("A103 LIST /usr/staff/jones \"\"", "A103 LIST \"/usr/staff/jones\" \"\""),
        ("A202 LIST ~/Mail/ %", "A202 LIST \"~/Mail/\" \"%\""),
        ("A002 LSUB \"#news.\" \"comp.mail.*\"", "="),
        ("A002 LSUB \"#news.\" \"comp.%\"", "="),
        ("A042 STATUS blurdybloop (UIDNEXT MESSAGES)", "="),
        ("FXXZ CHECK", "="),
        ("A341 CLOSE", "="),
        ("A202 EXPUNGE", "="),
        ("A282 SEARCH FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"", "="),
        ("A283 SEARCH TEXT \"string not in mailbox\"", "="),
        ("A284 SEARCH CHARSET UTF-8 TEXT {6+}\r\nXXXXXX", "A284 SEARCH CHARSET UTF-8 TEXT \"XXXXXX\""),
        ("A654 FETCH 2:4 (FLAGS BODY[HEADER.FIELDS (DATE FROM)])", "="),
        ("A003 STORE 2:4 +FLAGS (\\Deleted)", "="),
        ("A003 COPY 2:4 MEETING", "="),
        ("A999 UID FETCH 4827313:4828442 FLAGS", "A999 UID FETCH 4827313:4828442 (FLAGS)"),
    ]);
}

#[test]
fn rfc_3501_append_and_literals() {
    let message = "Date: Mon, 7 Feb 1994 21:52:25 -0800 (PST)\r\n\r\nHello Joe\r\n";
    let size = message.len();
    let line = format!("A003 APPEND saved-messages (\\Seen) {{{size}}}\r\n{message}");
    check(&[(&line, &format!("A003 APPEND saved-messages (\\Seen) {{{size}+}}\r\n"))]);
    check(&[
        ("A001 LOGIN {11}\r\nFRED FOOBAR {7}\r\nfat man", "A001 LOGIN \"FRED FOOBAR\" \"fat man\""),
        ("A001 LOGIN {11+}\r\nFRED FOOBAR {7+}\r\nfat man", "A001 LOGIN \"FRED FOOBAR\" \"fat man\""), // RFC 7888
        (
            "a APPEND x \" 7-Feb-1994 21:52:25 -0800\" {3+}\r\nabc",
            "a APPEND x \" 7-Feb-1994 21:52:25 -0800\" {3+}\r\n",
        ),
        // RFC 3502
        (
            "A003 APPEND saved-messages (\\Seen) {4}\r\nabcd (\\Seen) \" 7-Feb-1994 22:43:04 -0800\" {5}\r\nefghi",
            "A003 APPEND saved-messages (\\Seen) {4+}\r\n (\\Seen) \" 7-Feb-1994 22:43:04 -0800\" {5+}\r\n",
        ),
        // RFC 6855 section 4
        ("a APPEND x UTF8 (~{3+}\r\nabc)", "a APPEND x UTF8 (~{3+}\r\n)"),
        ("a APPEND x (\\Seen) ~{3+}\r\n\0\0\0", "a APPEND x (\\Seen) ~{3+}\r\n"),
    ]);
}

#[test]
fn rfc_3501_sections_7_and_8() {
    check(&[
        ("a001 login mrc secret", "a001 LOGIN mrc \"secret\""),
        ("a002 select inbox", "a002 SELECT INBOX"),
        ("a003 fetch 12 full", "a003 FETCH 12 (FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY)"),
        ("a003 fetch 12 all", "a003 FETCH 12 (FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)"),
        ("a003 fetch 12 fast", "a003 FETCH 12 (FLAGS INTERNALDATE RFC822.SIZE)"),
        ("a004 fetch 12 body[header]", "a004 FETCH 12 (BODY[HEADER])"),
        ("a005 store 12 +flags \\deleted", "a005 STORE 12 +FLAGS (\\Deleted)"),
        ("a006 logout", "a006 LOGOUT"),
        ("a FETCH 1 BODY[]<0.2048>", "a FETCH 1 (BODY[]<0.2048>)"),
        ("a FETCH 1 (BODY.PEEK[4.2.HEADER] BODY[1.MIME] BODY[2.TEXT])", "="),
        ("a FETCH 1:* (UID RFC822 RFC822.HEADER RFC822.TEXT RFC822.SIZE BODYSTRUCTURE)", "="),
    ]);
}

#[test]
fn rfc_9051_section_6() {
    check(&[
        ("t1 ENABLE CONDSTORE", "="),
        ("a1 enable imap4rev2", "a1 ENABLE IMAP4REV2"),
        ("t3 UNSELECT", "="),
        ("A142 SELECT \"&U,BTFw-\"", "A142 SELECT &U,BTFw-"),
        ("A01 CREATE MyDrafts (USE (\\Drafts))", "="),
        ("A02 LIST (SUBSCRIBED) \"\" \"*\"", "="),
        ("A04 LIST (REMOTE) \"\" \"%\" RETURN (CHILDREN)", "="),
        ("A05 LIST (REMOTE SUBSCRIBED) \"\" \"*\"", "A05 LIST (SUBSCRIBED REMOTE) \"\" \"*\""),
        ("A06 LIST (REMOTE) \"\" \"*\" RETURN (SUBSCRIBED)", "="),
        ("C01 LIST \"\" (\"INBOX\" \"Drafts\" \"Sent/%\")", "="),
        ("B1 LIST (SUBSCRIBED RECURSIVEMATCH) \"\" \"*\"", "="),
        ("A042 STATUS blurdybloop (UIDNEXT MESSAGES DELETED SIZE)", "="),
        ("A282 SEARCH RETURN (MIN COUNT) FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"", "="),
        (
            "A283 SEARCH RETURN () FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"",
            "A283 SEARCH RETURN (ALL) FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"",
        ),
        ("E282 SEARCH RETURN (COUNT) $ SMALLER 4096", "="),
        ("A284 SEARCH RETURN (SAVE) FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"", "="),
        ("A301 UID SEARCH UID 1:* SMALLER 4096", "="),
        ("F284 SEARCH RETURN (MIN MAX ALL COUNT SAVE) OR SEEN (DELETED DRAFT)", "="),
        ("A999 UID EXPUNGE 3000:3002", "="),
        ("A005 MOVE 1:4 x", "="),
    ]);
}

#[test]
fn extensions() {
    check(&[
        // RFC 2177, RFC 2342, RFC 2971
        ("A002 IDLE", "="),
        ("A001 NAMESPACE", "="),
        ("a023 ID (\"name\" \"sodr\" \"version\" \"19.34\" \"vendor\" \"Pink Floyd Music Limited\")", "="),
        ("a042 ID NIL", "="),
        ("a ID (\"name\" NIL)", "="),
        // RFC 3516 section 4
        ("001 FETCH 1 BINARY[1]", "001 FETCH 1 (BINARY[1])"),
        ("001 FETCH 1 (BINARY.PEEK[1.2]<0.100> BINARY.SIZE[3])", "="),
        // RFC 4315
        ("A101 UID EXPUNGE 3000:3002", "="),
        ("A003 COPY 2:4 MEETING", "="),
        // RFC 4731
        ("A282 SEARCH RETURN (MIN COUNT) FLAGGED", "="),
        ("A285 UID SEARCH RETURN (MIN MAX) FLAGGED", "="),
        // RFC 4959
        ("C01 AUTHENTICATE PLAIN dGVzdAB0ZXN0AHRlc3Q=", "="),
        ("C01 AUTHENTICATE EXTERNAL =", "="),
        // RFC 4978, RFC 5161, RFC 5182
        ("a COMPRESS DEFLATE", "="),
        ("a2 ENABLE CONDSTORE X-GOOD-IDEA", "="),
        ("A283 UID COPY $ \"Other Messages\"", "="),
        ("P282 STORE $ +FLAGS.SILENT (\\Seen)", "="),
        // RFC 5032
        ("a1 SEARCH UNSEEN YOUNGER 259200", "="),
        ("a1 SEARCH OLDER 86400", "="),
        // RFC 5256
        ("A282 SORT (SUBJECT) UTF-8 SINCE 1-Feb-1994", "="),
        ("A283 SORT (SUBJECT REVERSE DATE) UTF-8 ALL", "="),
        ("A284 UID SORT RETURN (COUNT) (ARRIVAL) US-ASCII TEXT \"not in mailbox\"", "="),
        ("A283 THREAD ORDEREDSUBJECT UTF-8 SINCE 5-Mar-2000", "="),
        ("A284 UID THREAD REFERENCES US-ASCII TEXT \"gewp\"", "="),
        // RFC 5258 section 5
        ("A01 LIST \"\" \"*\" RETURN (SUBSCRIBED CHILDREN)", "="),
        ("A03 LIST () \"\" \"%\" RETURN ()", "="),
        ("BBB LIST \"\" (\"INBOX\" \"Drafts\" \"Sent/%\")", "="),
        ("C04 LIST (SUBSCRIBED RECURSIVEMATCH) \"\" \"%\" RETURN (SUBSCRIBED)", "="),
        // RFC 5819
        (
            "A01 LIST \"\" % RETURN (STATUS (MESSAGES UNSEEN))",
            "A01 LIST \"\" \"%\" RETURN (STATUS (MESSAGES UNSEEN))",
        ),
        ("A02 LIST (SUBSCRIBED RECURSIVEMATCH) \"\" \"%\" RETURN (STATUS (MESSAGES))", "="),
        // RFC 6154
        ("t2 LIST (SPECIAL-USE) \"\" \"*\"", "="),
        ("t1 LIST \"\" \"%\" RETURN (SPECIAL-USE)", "="),
        ("t1 CREATE MySpecial (USE (\\Drafts \\Sent))", "="),
        // RFC 6851
        ("a UID MOVE 42:69 foo", "="),
        // RFC 7162
        ("A142 SELECT INBOX (CONDSTORE)", "="),
        ("a103 UID STORE 6,4,8 (UNCHANGEDSINCE 12121230045) +FLAGS.SILENT (\\Deleted)", "="),
        ("d105 STORE 7,5,9 (UNCHANGEDSINCE 320162338) +FLAGS.SILENT (\\Deleted)", "="),
        ("C101 STORE 50 (UNCHANGEDSINCE 0) -FLAGS ($MDNSent)", "="),
        ("s100 UID FETCH 1:* (FLAGS) (CHANGEDSINCE 12345)", "="),
        ("s100 UID FETCH 300:500 (FLAGS) (CHANGEDSINCE 12345 VANISHED)", "="),
        ("a FETCH 1:3 (MODSEQ)", "="),
        ("t SEARCH MODSEQ 620162338", "="),
        ("a SEARCH MODSEQ \"/flags/\\\\draft\" all 620162338", "a SEARCH MODSEQ 620162338"),
        ("A042 STATUS blurdybloop (UIDNEXT MESSAGES HIGHESTMODSEQ)", "="),
        ("A02 SELECT INBOX (QRESYNC (67890007 20050715194045000 41,43:211,214:541))", "="),
        ("B04 SELECT INBOX (QRESYNC (67890007 90060115205545359 41:211,214:541 (1:2 41:42)))", "="),
        ("A03 EXAMINE INBOX (QRESYNC (67890007 90060115194045000))", "="),
        // RFC 7889, RFC 8438, RFC 8474, RFC 8514, RFC 8970, RFC 9208
        ("t1 STATUS INBOX (APPENDLIMIT)", "="),
        ("A1 STATUS frop (SIZE)", "="),
        ("7 STATUS foo (MAILBOXID)", "="),
        ("26 SEARCH EMAILID M6d99ac3275bb4e", "="),
        ("5 FETCH 1:* (EMAILID THREADID)", "="),
        ("A1 SEARCH SAVEDBEFORE 28-Dec-2014", "="),
        ("A1 FETCH 7 (SAVEDATE)", "="),
        ("D2 FETCH 1:4 (UID PREVIEW (LAZY))", "="),
        ("F1 FETCH 1 (RFC822.SIZE PREVIEW)", "="),
        ("G0001 GETQUOTA !partition/sda4", "="),
        ("G0002 GETQUOTAROOT INBOX", "="),
        ("S0005 STATUS INBOX (DELETED DELETED-STORAGE)", "="),
    ]);
}

#[test]
fn what_clients_send_and_must_not() {
    for line in [
        "a SELECT",
        "a SELECT \"\"",
        "a SELECT ~{1+}\r\na",
        "a LOGIN ann",
        "a LIST \"\"",
        "a LIST (RECURSIVEMATCH) \"\" *",
        "a STATUS inbox ()",
        "a STATUS inbox MESSAGES",
        "a APPEND inbox",
        "a APPEND inbox (\\Recent) {3+}\r\nabc",
        "a APPEND inbox {3+}\r\nabc x",
        "a STORE 1 FLAGS \\Recent",
        "a STORE 1 FLAGS (\\Seen",
        "a STORE 1 +FLAGS",
        "a CREATE /",
        "a ENABLE",
        "a ID",
        "a SORT () UTF-8 ALL",
        "a THREAD FOO UTF-8 ALL",
        "a SELECT x (CONDSTORE CONDSTORE)",
        "a SELECT x (QRESYNC (1 2 3:*))",
        "a SELECT x (QRESYNC (1 2 3 (1:2 5)))",
        "a SEARCH CHARSET",
        "a AUTHENTICATE PLAIN !!",
    ] {
        let text = framed(line);
        assert!(request(&text, state_of(line), Dialect::SevenBit).is_err(), "{line}");
    }
}
