//! What later standards added to the commands of RFC 3501, each with a transcript.

use hikyaku_testkit::{TestStore, both_engines};

use crate::server::{Server, check};

both_engines! {
    esearch_of_rfc_4731
    a_saved_result_of_rfc_5182
    searches_by_age_and_id
    list_extended_of_rfc_5258
    list_with_status_of_rfc_5819
    status_of_size_and_deleted
    create_with_a_special_use
    ids_last
    previews_and_dates
    several_messages_at_once
    binary_of_rfc_3516
    binary_of_a_part_that_cannot_be_decoded
    utf8_of_rfc_6855
}

/// Three messages, of which the second and third are flagged.
fn with_three(mail: TestStore) -> Server {
    let server = Server::new(mail);
    let mut client = server.sign_in();
    client.append("INBOX", "Subject: one\r\n\r\n1\r\n");
    client.append("INBOX (\\Flagged)", "Subject: two\r\n\r\n2\r\n");
    client.append("INBOX (\\Flagged \\Deleted)", "Subject: three\r\n\r\n3\r\n");
    server
}

const OPEN: &str = "C: o SELECT INBOX
    S: * FLAGS …
    S: * 3 EXISTS
    S: * 0 RECENT
    S: * OK [PERMANENTFLAGS …
    S: * OK [UNSEEN 1] …
    S: * OK [UIDVALIDITY …
    S: * OK [UIDNEXT 4] …
    S: * OK [HIGHESTMODSEQ …
    S: * OK [MAILBOXID …
    S: o OK …\n";

fn check_three(mail: TestStore, transcript: &str) {
    with_three(mail).check(&format!("{OPEN}{transcript}"));
}

fn esearch_of_rfc_4731(mail: TestStore) {
    check_three(
        mail,
        r#"
        C: a SEARCH RETURN (MIN COUNT) FLAGGED
        S: * ESEARCH (TAG "a") MIN 2 COUNT 2
        S: a OK …
        C: b UID SEARCH RETURN () FLAGGED
        S: * ESEARCH (TAG "b") UID ALL 2:3
        S: b OK …
        C: c SEARCH RETURN (MIN MAX ALL COUNT) ANSWERED
        S: * ESEARCH (TAG "c") COUNT 0
        S: c OK …
        C: d UID SEARCH RETURN (MAX) CHARSET UTF-8 ALL
        S: * ESEARCH (TAG "d") UID MAX 3
        S: d OK …
        C: e SEARCH RETURN (MIN) MODSEQ 1
        S: * OK [HIGHESTMODSEQ 10] …
        S: * ESEARCH (TAG "e") MIN 1 MODSEQ 8
        S: e OK …
        C: f SEARCH RETURN (MIN MAX) MODSEQ 1
        S: * ESEARCH (TAG "f") MIN 1 MAX 3 MODSEQ 10
        S: f OK …
        C: g SEARCH RETURN (COUNT) NOT 3 MODSEQ 1
        S: * ESEARCH (TAG "g") COUNT 2 MODSEQ 9
        S: g OK …
        C: h SEARCH RETURN (NONSENSE) ALL
        S: h BAD …
        "#,
    );
}

fn a_saved_result_of_rfc_5182(mail: TestStore) {
    check_three(
        mail,
        r#"
        C: a FETCH $ UID
        S: a OK …
        C: b SEARCH RETURN (SAVE) FLAGGED
        S: b OK …
        C: c FETCH $ UID
        S: * 2 FETCH (UID 2)
        S: * 3 FETCH (UID 3)
        S: c OK …
        C: d UID SEARCH RETURN (SAVE COUNT) UID $ UNDELETED
        S: * ESEARCH (TAG "d") UID COUNT 1
        S: d OK …
        C: e SEARCH OR $ 1
        S: * SEARCH 1 2
        S: e OK …
        C: f UID STORE $ +FLAGS (\Seen)
        S: * 2 FETCH (UID 2 FLAGS (\Flagged \Seen))
        S: f OK …
        C: g SEARCH RETURN (SAVE MIN) ALL
        S: * ESEARCH (TAG "g") MIN 1
        S: g OK …
        C: h COPY $ Archive
        S: h OK [COPYUID … 1 1] …
        C: i SEARCH RETURN (SAVE) CHARSET KOI8-R TEXT x
        S: i NO [BADCHARSET …
        C: j UID FETCH $ FLAGS
        S: j OK …
        C: k SEARCH RETURN (SAVE) ALL
        S: k OK …
        C: l EXPUNGE
        S: * 3 EXPUNGE
        S: l OK …
        C: m FETCH $ UID
        S: * 1 FETCH (UID 1)
        S: * 2 FETCH (UID 2)
        S: m OK …
        C: n UID MOVE $ Archive
        S: * OK [COPYUID … 1:2 2:3] …
        S: * 1 EXPUNGE
        S: * 1 EXPUNGE
        S: n OK …
        C: p UID EXPUNGE $
        S: p OK …
        "#,
    );
}

fn searches_by_age_and_id(mail: TestStore) {
    let server = Server::new(mail);
    let mut client = server.sign_in();
    client.append("INBOX \"20-Nov-2026 10:00:00 +0000\"", "Subject: old\r\n\r\n");
    server.deliver("Subject: new\r\n\r\n");
    client.ok("SELECT INBOX");
    let ids = client.ok("FETCH 2 (EMAILID THREADID)").untagged_text();
    let id = |name: &str| {
        let (_, rest) = ids.split_once(&format!("{name} (")).expect("an id");
        rest.split_once(')').expect("an end").0.to_owned()
    };
    for (key, expected) in [
        ("YOUNGER 3600".to_owned(), "2"),
        ("OLDER 3600".to_owned(), "1"),
        ("NOT OLDER 3600 ALL".to_owned(), "2"),
        (format!("EMAILID {}", id("EMAILID")), "2"),
        (format!("THREADID {}", id("THREADID")), "2"),
        ("EMAILID nonsense".to_owned(), ""),
        ("SAVEDSINCE 24-Nov-2026".to_owned(), "1 2"),
        ("SAVEDBEFORE 24-Nov-2026".to_owned(), ""),
        ("SAVEDON 24-Nov-2026 SAVEDATESUPPORTED".to_owned(), "1 2"),
    ] {
        let answer = client.ok(format!("SEARCH {key}")).untagged_text();
        assert_eq!(answer, format!("* SEARCH {expected}").trim_end(), "{key}");
    }
}

fn list_extended_of_rfc_5258(mail: TestStore) {
    let server = Server::new(mail);
    let mut client = server.sign_in();
    for name in ["a", "a/b", "a/b/c", "d"] {
        client.ok(format!("CREATE {name}"));
    }
    for name in ["INBOX", "Drafts", "Sent", "Archive", "Junk", "Trash"] {
        client.ok(format!("UNSUBSCRIBE {name}"));
    }
    for name in ["a/b/c", "d", "INBOX"] {
        client.ok(format!("SUBSCRIBE {name}"));
    }
    server.check(
        r#"
        C: a LIST (SUBSCRIBED) "" "*"
        S: * LIST (\HasNoChildren \Subscribed) "/" INBOX
        S: * LIST (\HasNoChildren \Subscribed) "/" a/b/c
        S: * LIST (\HasNoChildren \Subscribed) "/" d
        S: a OK …
        C: b LIST () "" ("a/%" "d") RETURN (SUBSCRIBED CHILDREN)
        S: * LIST (\HasChildren) "/" a/b
        S: * LIST (\HasNoChildren \Subscribed) "/" d
        S: b OK …
        C: c LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"
        S: * LIST (\HasNoChildren \Subscribed) "/" INBOX
        S: * LIST (\HasChildren) "/" a ("CHILDINFO" ("SUBSCRIBED"))
        S: * LIST (\HasNoChildren \Subscribed) "/" d
        S: c OK …
        C: d LIST (SUBSCRIBED RECURSIVEMATCH) "" "*"
        S: * LIST (\HasNoChildren \Subscribed) "/" INBOX
        S: * LIST (\HasNoChildren \Subscribed) "/" a/b/c
        S: * LIST (\HasNoChildren \Subscribed) "/" d
        S: d OK …
        C: e LIST (SPECIAL-USE) "" "*" RETURN (SPECIAL-USE)
        S: * LIST (\HasNoChildren \Archive) "/" Archive
        S: * LIST (\HasNoChildren \Drafts) "/" Drafts
        S: * LIST (\HasNoChildren \Junk) "/" Junk
        S: * LIST (\HasNoChildren \Sent) "/" Sent
        S: * LIST (\HasNoChildren \Trash) "/" Trash
        S: e OK …
        C: f LIST (RECURSIVEMATCH) "" "*"
        S: f BAD …
        C: g LIST () "" ""
        S: g OK …
        C: h LIST (REMOTE) "" d
        S: * LIST (\HasNoChildren) "/" d
        S: h OK …
        "#,
    );
}

fn list_with_status_of_rfc_5819(mail: TestStore) {
    with_three(mail).check(
        r#"
        C: a LIST "" ("INBOX" "Junk" "nothing") RETURN (STATUS (MESSAGES UNSEEN))
        S: * LIST (\HasNoChildren) "/" INBOX
        S: * STATUS INBOX (MESSAGES 3 UNSEEN 3)
        S: * LIST (\HasNoChildren \Junk) "/" Junk
        S: * STATUS Junk (MESSAGES 0 UNSEEN 0)
        S: a OK …
        "#,
    );
}

fn status_of_size_and_deleted(mail: TestStore) {
    with_three(mail).check(
        r"
        C: a STATUS INBOX (SIZE DELETED DELETED-STORAGE APPENDLIMIT MAILBOXID)
        S: * STATUS INBOX (SIZE 59 DELETED 1 DELETED-STORAGE 21 APPENDLIMIT 100000 MAILBOXID (F1))
        S: a OK …
        C: b STATUS Trash (SIZE DELETED DELETED-STORAGE)
        S: * STATUS Trash (SIZE 0 DELETED 0 DELETED-STORAGE 0)
        S: b OK …
        ",
    );
}

fn create_with_a_special_use(mail: TestStore) {
    check(
        mail,
        r#"
        C: a CREATE Gesendet (USE (\Sent))
        S: a NO [USEATTR] …
        C: b DELETE Sent
        S: b OK …
        C: c CREATE Gesendet (USE (\Sent))
        S: c OK [MAILBOXID (F…)] CREATE completed
        C: d LIST (SPECIAL-USE) "" Ges*
        S: * LIST (\HasNoChildren \Sent) "/" Gesendet
        S: d OK …
        C: e CREATE Alles (USE (\All))
        S: e NO [USEATTR] …
        C: f CREATE Zwei (USE (\Sent \Trash))
        S: f NO [USEATTR] …
        C: g CREATE Leer (USE ())
        S: g OK [MAILBOXID (F…)] CREATE completed
        C: h LIST "" (Alles Zwei)
        S: h OK …
        "#,
    );
}

fn ids_last(mail: TestStore) {
    let server = Server::new(mail);
    let mut client = server.sign_in();
    let created = client.ok("CREATE one").tagged;
    let id = created.split_once("MAILBOXID (").and_then(|(_, rest)| rest.split_once(')')).expect("an id").0;
    client.ok("RENAME one two");
    let status = client.ok("STATUS two (MAILBOXID)").untagged_text();
    assert_eq!(status, format!("* STATUS two (MAILBOXID ({id}))"));
    assert!(client.ok("SELECT two").untagged_text().contains(&format!("[MAILBOXID ({id})]")));
    client.ok("DELETE two");
    client.ok("CREATE two");
    assert_ne!(client.ok("STATUS two (MAILBOXID)").untagged_text(), status);

    client.append("INBOX", "Message-ID: <1@x>\r\nSubject: a\r\n\r\n");
    client.append("INBOX", "Message-ID: <2@x>\r\nIn-Reply-To: <1@x>\r\nSubject: Re: a\r\n\r\n");
    client.ok("SELECT INBOX");
    client.ok("COPY 1 Archive");
    let ids = |client: &mut crate::client::Client, item: &str| {
        let told = client.ok(format!("FETCH 1:* {item}")).lines();
        let id = |line: &String| line.split_once(item).expect("an id").1.to_owned();
        told.iter().map(id).collect::<Vec<_>>()
    };
    let emails = ids(&mut client, "EMAILID");
    assert_ne!(emails[0], emails[1]);
    let threads = ids(&mut client, "THREADID");
    assert_eq!(threads[0], threads[1], "an answer is in the thread of its question");
    client.ok("SELECT Archive");
    assert_eq!(ids(&mut client, "EMAILID"), emails[..1], "a copy is the same email");
}

fn previews_and_dates(mail: TestStore) {
    check_three(
        mail,
        r#"
        C: a APPEND INBOX {#+}
        C> Content-Type: text/html; charset=utf-8
        C>
        C> <style>p { color: red }</style><p>Gr&uuml;&szlig;e   aus <b>Wien</b></p>
        C:
        S: * 4 EXISTS
        S: * 0 RECENT
        S: a OK …
        C: b FETCH 4 PREVIEW
        S: * 4 FETCH (PREVIEW {16}
        S> Grüße aus Wien\
        S: )
        S: b OK …
        C: c FETCH 1 (PREVIEW (LAZY))
        S: * 1 FETCH (PREVIEW "1")
        S: c OK …
        C: d FETCH 4 (SAVEDATE)
        S: * 4 FETCH (SAVEDATE "24-Nov-2026 …")
        S: d OK …
        C: e STORE 1 +FLAGS.SILENT (\Seen)
        S: e OK …
        C: f FETCH 1 (PREVIEW FLAGS)
        S: * 1 FETCH (PREVIEW "1" FLAGS (\Seen))
        S: f OK …
        "#,
    );
}

fn several_messages_at_once(mail: TestStore) {
    let server = Server::new(mail);
    let mut client = server.sign_in();
    let one = "Subject: 1\r\n\r\n";
    let several = |sizes: &[usize]| {
        let messages = sizes.iter().map(|size| format!(" (\\Seen) {{{size}+}}\r\n{}", &one[..*size]));
        format!("APPEND INBOX{}", messages.collect::<String>())
    };
    let answer = client.ok(several(&[14, 14, 14]));
    assert!(answer.tagged.contains(" 1:3] "), "{}", answer.tagged);
    // An empty message takes back the whole command (RFC 3502 section 6.3.11).
    assert!(client.command(several(&[14, 0])).tagged.starts_with("NO"));
    let status = client.ok("STATUS INBOX (MESSAGES UNSEEN)").untagged_text();
    assert_eq!(status, "* STATUS INBOX (MESSAGES 3 UNSEEN 0)");
}

fn binary_of_rfc_3516(mail: TestStore) {
    check_three(
        mail,
        r#"
        C: a APPEND INBOX ~{#+}
        C> MIME-Version: 1.0
        C> Content-Type: multipart/mixed; boundary=b
        C>
        C> --b
        C> Content-Type: text/plain; charset=utf-8
        C> Content-Transfer-Encoding: quoted-printable
        C>
        C> Gr=C3=BC=C3=9Fe
        C> --b
        C> Content-Type: application/octet-stream
        C> Content-Transfer-Encoding: base64
        C>
        C> AGFi
        C> --b--
        C:
        S: * 4 EXISTS
        S: * 0 RECENT
        S: a OK …
        C: b FETCH 4 (BINARY.SIZE[1] BINARY.SIZE[2] BINARY.PEEK[1])
        S: * 4 FETCH (BINARY.SIZE[1] 7 BINARY.SIZE[2] 3 BINARY[1] ~{7}
        S> Grüße\
        S: )
        S: b OK …
        C: c FETCH 4 BINARY.PEEK[2]<1.5>
        S: * 4 FETCH (BINARY[2]<1> ~{2}
        S> ab\
        S: )
        S: c OK …
        C: d FETCH 4 BINARY.PEEK[9]
        S: * 4 FETCH (BINARY[9] NIL)
        S: d OK …
        C: e FETCH 1 BINARY[]
        S: * 1 FETCH (FLAGS (\Seen) BINARY[] ~{19}
        S> Subject: one
        S>
        S> 1
        S: )
        S: e OK …
        "#,
    );
}

fn binary_of_a_part_that_cannot_be_decoded(mail: TestStore) {
    check_three(
        mail,
        r"
        C: a APPEND INBOX {#+}
        C> Content-Transfer-Encoding: x-nobody-knows
        C>
        C> body
        C:
        S: * 4 EXISTS
        S: * 0 RECENT
        S: a OK …
        C: b FETCH 3:4 (UID BINARY.PEEK[1])
        S: * 3 FETCH (UID 3 BINARY[1] ~{3}
        S> 3
        S: )
        S: * 4 FETCH (UID 4)
        S: b NO [UNKNOWN-CTE] …
        ",
    );
}

fn utf8_of_rfc_6855(mail: TestStore) {
    check(
        mail,
        r#"
        C: a CREATE &ZeVnLIqe-
        S: a OK …
        C: b APPEND INBOX UTF8 (~{#+}
        C> Subject: 件名
        C>
        C: )
        S: b BAD …
        C: c ENABLE UTF8=ACCEPT
        S: * ENABLED UTF8=ACCEPT
        S: c OK …
        C: d LIST "" "日*"
        S: * LIST (\HasNoChildren) "/" "日本語"
        S: d OK …
        C: e APPEND "日本語" (\Seen) UTF8 (~{#+}
        C> Subject: 件名
        C>
        C: )
        S: e OK [APPENDUID … 1] …
        C: f STATUS "日本語" (MESSAGES)
        S: * STATUS "日本語" (MESSAGES 1)
        S: f OK …
        C: g EXAMINE "日本語"
        S: * FLAGS …
        S: * 1 EXISTS
        S: * 0 RECENT
        S: * OK [PERMANENTFLAGS …
        S: * OK [UIDVALIDITY …
        S: * OK [UIDNEXT 2] …
        S: * OK [HIGHESTMODSEQ …
        S: * OK [MAILBOXID …
        S: g OK …
        C: h SEARCH SUBJECT "件名"
        S: * SEARCH 1
        S: h OK …
        C: i FETCH 1 ENVELOPE
        S: * 1 FETCH (ENVELOPE (NIL "件名" NIL NIL NIL NIL NIL NIL NIL NIL))
        S: i OK …
        "#,
    );
}
