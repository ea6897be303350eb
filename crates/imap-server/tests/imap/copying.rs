//! COPY and MOVE, RFC 3501 section 6.4.7, RFC 6851, RFC 4315 section 3.

use hikyaku_testkit::{TestStore, both_engines};

use crate::server::Server;

both_engines! {
    copy_keeps_flags_and_date
    move_is_copy_and_expunge
    where_nothing_is
    into_the_same_mailbox
    many_at_once
}

const SELECTED_3: &str = "C: a SELECT INBOX
    S: * FLAGS …
    S: * 3 EXISTS
    S: * 0 RECENT
    S: * OK [PERMANENTFLAGS …
    S: * OK [UNSEEN …
    S: * OK [UIDVALIDITY …
    S: * OK [UIDNEXT 4] …
    S: * OK [HIGHESTMODSEQ …
    S: * OK [MAILBOXID …
    S: a OK …";

fn with_three(mail: TestStore) -> Server {
    let server = Server::new(mail);
    let mut client = server.sign_in();
    client.append(r#"INBOX (\Seen $work) "17-Jul-1996 02:44:25 +0000""#, "Subject: one\r\n\r\n");
    client.append("INBOX", "Subject: two\r\n\r\n");
    client.append(r"INBOX (\Flagged)", "Subject: three\r\n\r\n");
    server
}

fn copy_keeps_flags_and_date(mail: TestStore) {
    with_three(mail).check(&format!(
        r#"{SELECTED_3}
        C: b COPY 1,3 Archive
        S: b OK [COPYUID … 1,3 1:2] …
        C: c UID COPY 2,9 Archive
        S: c OK [COPYUID … 2 3] …
        C: d UID COPY 9 Archive
        S: d OK …
        C: e EXAMINE Archive
        S: * OK [CLOSED] …
        S: * FLAGS …
        S: * 3 EXISTS
        S: * 0 RECENT
        S: * OK [PERMANENTFLAGS …
        S: * OK [UNSEEN 2] …
        S: * OK [UIDVALIDITY …
        S: * OK [UIDNEXT 4] …
        S: * OK [HIGHESTMODSEQ …
        S: * OK [MAILBOXID …
        S: e OK …
        C: f FETCH 1:* (UID FLAGS INTERNALDATE BODY[HEADER.FIELDS (SUBJECT)])
        S: * 1 FETCH (UID 1 FLAGS (\Seen $work) INTERNALDATE "17-Jul-1996 02:44:25 +0000" BODY[HEADER.FIELDS (SUBJECT)] {{16}}
        S: Subject: one
        S:
        S: )
        S: * 2 FETCH (UID 2 FLAGS (\Flagged) INTERNALDATE "24-Nov-2026 12:00:00 +0000" BODY[HEADER.FIELDS (SUBJECT)] {{18}}
        S: Subject: three
        S:
        S: )
        S: * 3 FETCH (UID 3 FLAGS () INTERNALDATE "24-Nov-2026 12:00:00 +0000" BODY[HEADER.FIELDS (SUBJECT)] {{16}}
        S: Subject: two
        S:
        S: )
        S: f OK …
        "#
    ));
}

fn move_is_copy_and_expunge(mail: TestStore) {
    with_three(mail).check(&format!(
        r#"{SELECTED_3}
        C: b MOVE 1:2 Archive
        S: * OK [COPYUID … 1:2 1:2] …
        S: * 1 EXPUNGE
        S: * 1 EXPUNGE
        S: b OK MOVE completed
        C: c UID MOVE 3 Trash
        S: * OK [COPYUID … 3 1] …
        S: * 1 EXPUNGE
        S: c OK UID MOVE completed
        C: d UID MOVE 3 Trash
        S: d OK UID MOVE completed
        C: e STATUS Archive (MESSAGES UNSEEN)
        S: * STATUS Archive (MESSAGES 2 UNSEEN 1)
        S: e OK …
        "#
    ));
}

fn where_nothing_is(mail: TestStore) {
    with_three(mail).check(&format!(
        r#"{SELECTED_3}
        C: b COPY 1 nowhere
        S: b NO [TRYCREATE] …
        C: c MOVE 1 nowhere
        S: c NO [TRYCREATE] …
        C: d COPY 4 Archive
        S: d BAD …
        C: e MOVE 1:4 Archive
        S: e BAD …
        C: f UID SEARCH ALL
        S: * SEARCH 1 2 3
        S: f OK …
        "#
    ));
}

fn into_the_same_mailbox(mail: TestStore) {
    with_three(mail).check(&format!(
        r#"{SELECTED_3}
        C: b COPY 1 INBOX
        S: * 4 EXISTS
        S: * 0 RECENT
        S: b OK [COPYUID … 1 4] …
        C: c MOVE 1 INBOX
        S: * OK [COPYUID … 1 5] …
        S: * 5 EXISTS
        S: * 0 RECENT
        S: * 1 EXPUNGE
        S: c OK …
        C: d UID SEARCH ALL
        S: * SEARCH 2 3 4 5
        S: d OK …
        "#
    ));
}

fn many_at_once(mail: TestStore) {
    let server = Server::new(mail);
    let mut client = server.sign_in();
    client.append("INBOX", "Subject: x\r\n\r\n");
    client.ok("SELECT INBOX");
    // Twice as many each time: 1024.
    for _ in 0..10 {
        client.ok("COPY 1:* INBOX");
    }
    let moved = client.ok("MOVE 1:1023 Archive");
    assert_eq!(moved.untagged.len(), 1 + 1023);
    let code = String::from_utf8_lossy(&moved.untagged[0]).into_owned();
    assert!(code.starts_with("* OK [COPYUID ") && code.contains(" 1:1023 1:1023]"), "{code}");
    assert!(moved.untagged[1..].iter().all(|line| line == b"* 1 EXPUNGE"));
    let left = client.ok("UID SEARCH ALL").untagged.remove(0);
    assert_eq!(String::from_utf8_lossy(&left), "* SEARCH 1024");
}
