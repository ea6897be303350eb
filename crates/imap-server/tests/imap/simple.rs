//! CAPABILITY, NOOP, LOGOUT, ID, ENABLE, NAMESPACE.

use hikyaku_testkit::{TestStore, both_engines};

use crate::server::{Server, check};

both_engines! {
    what_is_offered_depends_on_the_moment
    commands_that_change_nothing
    the_end_of_the_process_is_told
}

fn what_is_offered_depends_on_the_moment(mail: TestStore) {
    Server::new(mail).check_from_greeting(
        "S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE STARTTLS AUTH=PLAIN] Hikyaku ready
         C: a CAPABILITY
         S: * CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE STARTTLS AUTH=PLAIN
         S: a OK CAPABILITY completed
         C: b LOGIN ann@example.org secret
         S: b OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE IDLE NAMESPACE CHILDREN UIDPLUS UNSELECT MOVE SPECIAL-USE CREATE-SPECIAL-USE LIST-EXTENDED LIST-STATUS STATUS=SIZE ESEARCH SEARCHRES WITHIN SORT SORT=DISPLAY ESORT THREAD=REFERENCES THREAD=ORDEREDSUBJECT CONDSTORE QRESYNC BINARY MULTIAPPEND APPENDLIMIT OBJECTID PREVIEW SAVEDATE QUOTA QUOTA=RES-STORAGE QUOTA=RES-MESSAGE UNAUTHENTICATE COMPRESS=DEFLATE UTF8=ACCEPT] Signed in
         C: c capability
         S: * CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE IDLE NAMESPACE CHILDREN UIDPLUS UNSELECT MOVE SPECIAL-USE CREATE-SPECIAL-USE LIST-EXTENDED LIST-STATUS STATUS=SIZE ESEARCH SEARCHRES WITHIN SORT SORT=DISPLAY ESORT THREAD=REFERENCES THREAD=ORDEREDSUBJECT CONDSTORE QRESYNC BINARY MULTIAPPEND APPENDLIMIT OBJECTID PREVIEW SAVEDATE QUOTA QUOTA=RES-STORAGE QUOTA=RES-MESSAGE UNAUTHENTICATE COMPRESS=DEFLATE UTF8=ACCEPT
         S: c OK CAPABILITY completed
         C: d LOGOUT
         S: * BYE Good-bye
         S: d OK LOGOUT completed
         S: (closed)",
    );
}

fn commands_that_change_nothing(mail: TestStore) {
    check(
        mail,
        r#"
        C: a NOOP
        S: a OK NOOP completed
        C: b ID ("name" "imaptest" "version" NIL)
        S: * ID ("name" "Hikyaku")
        S: b OK ID completed
        C: c ID NIL
        S: * ID ("name" "Hikyaku")
        S: c OK ID completed
        C: d NAMESPACE
        S: * NAMESPACE (("" "/")) NIL NIL
        S: d OK NAMESPACE completed
        C: e ENABLE CONDSTORE X-NEVER-HEARD
        S: * ENABLED CONDSTORE
        S: e OK ENABLE completed
        C: e2 ENABLE X-NEVER-HEARD CONDSTORE
        S: * ENABLED
        S: e2 OK ENABLE completed
        C: f SELECT INBOX
        S: * FLAGS …
        S: * 0 EXISTS
        S: * 0 RECENT
        S: * OK [PERMANENTFLAGS …
        S: * OK [UIDVALIDITY …
        S: * OK [UIDNEXT 1] …
        S: * OK [HIGHESTMODSEQ …
        S: * OK [MAILBOXID …
        S: f OK …
        C: g CHECK
        S: g OK CHECK completed
        "#,
    );
}

fn the_end_of_the_process_is_told(mail: TestStore) {
    let server = Server::new(mail);
    let (mut idling, mut waiting) = (server.sign_in(), server.connect());
    idling.send(b"a IDLE\r\n");
    assert_eq!(idling.line().as_deref(), Some(&b"+ idling"[..]));
    server.shut_down();
    for client in [&mut idling, &mut waiting] {
        let bye = client.response();
        assert!(bye.starts_with(b"* BYE [UNAVAILABLE] "), "{}", String::from_utf8_lossy(&bye));
        assert_eq!(client.line(), None);
    }
}
