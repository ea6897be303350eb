//! Two sessions on one mailbox: what one does is told to the other, when it may be told.
//!
//! RFC 3501 sections 5.2, 5.5 and 7.4.1.

use hikyaku_testkit::{TestStore, both_engines};

use crate::server::{Server, ann};

both_engines! {
    changes_are_told_with_the_next_command
    expunge_waits_while_numbers_are_spoken_of
    numbers_mean_what_the_client_was_told
    idle_tells_at_once
    moves_are_seen_from_both_sides
    the_mailbox_is_deleted_under_a_session
    what_was_done_elsewhere_is_told_before_bye
    own_changes_are_told_once
    silent_hides_ones_own_change_only
    seen_by_reading_is_told_to_others
    new_mail_is_told_once
    a_read_only_session_is_told_too
    news_that_fill_their_steps_end
}

/// Two clients of ann's in INBOX with three messages.
const BOTH: &str = "C1: o SELECT INBOX
    S1: * FLAGS …
    S1: * 3 EXISTS
    S1: * 0 RECENT
    S1: * OK [PERMANENTFLAGS …
    S1: * OK [UNSEEN 1] …
    S1: * OK [UIDVALIDITY …
    S1: * OK [UIDNEXT 4] …
    S1: * OK [HIGHESTMODSEQ …
    S1: * OK [MAILBOXID …
    S1: o OK …
    C2: o SELECT INBOX
    S2: * FLAGS …
    S2: * 3 EXISTS
    S2: * 0 RECENT
    S2: * OK [PERMANENTFLAGS …
    S2: * OK [UNSEEN 1] …
    S2: * OK [UIDVALIDITY …
    S2: * OK [UIDNEXT 4] …
    S2: * OK [HIGHESTMODSEQ …
    S2: * OK [MAILBOXID …
    S2: o OK …\n";

fn with_three(mail: TestStore) -> Server {
    let server = Server::new(mail);
    for number in 1..=3 {
        server.deliver(&format!("Subject: {number}\r\n\r\n{number}\r\n"));
    }
    server
}

fn check_both(mail: TestStore, transcript: &str) {
    with_three(mail).check(&format!("{BOTH}{transcript}"));
}

fn changes_are_told_with_the_next_command(mail: TestStore) {
    check_both(
        mail,
        r"
        C1: a STORE 2 +FLAGS (\Flagged)
        S1: * 2 FETCH (FLAGS (\Flagged))
        S1: a OK …
        C2: a NOOP
        S2: * 2 FETCH (FLAGS (\Flagged))
        S2: a OK …
        C2: b NOOP
        S2: b OK …
        C1: b APPEND INBOX {#+}
        C1> Subject: 4
        C1>
        C1:
        S1: * 4 EXISTS
        S1: * 0 RECENT
        S1: b OK …
        C2: c FETCH 1 FLAGS
        S2: * 1 FETCH (FLAGS ())
        S2: * 4 EXISTS
        S2: * 0 RECENT
        S2: c OK …
        C1: c STORE 1 +FLAGS.SILENT (\Deleted)
        S1: c OK …
        C1: d EXPUNGE
        S1: * 1 EXPUNGE
        S1: d OK …
        C2: d NOOP
        S2: * 1 EXPUNGE
        S2: d OK …
        C2: e UID SEARCH ALL
        S2: * SEARCH 2 3 4
        S2: e OK …
        ",
    );
}

fn expunge_waits_while_numbers_are_spoken_of(mail: TestStore) {
    check_both(
        mail,
        r"
        C1: a STORE 1 +FLAGS.SILENT (\Deleted)
        S1: a OK …
        C1: b EXPUNGE
        S1: * 1 EXPUNGE
        S1: b OK …
        C2: a FETCH 1:3 FLAGS
        S2: * 2 FETCH (FLAGS ())
        S2: * 3 FETCH (FLAGS ())
        S2: a OK …
        C2: b STORE 2 +FLAGS (\Seen)
        S2: * 2 FETCH (FLAGS (\Seen))
        S2: b OK …
        C2: c SEARCH SEEN
        S2: * SEARCH 2
        S2: c OK …
        C2: d UID FETCH 2 FLAGS
        S2: * 2 FETCH (UID 2 FLAGS (\Seen))
        S2: * 1 EXPUNGE
        S2: d OK …
        C2: e FETCH 1 UID
        S2: * 1 FETCH (UID 2)
        S2: e OK …
        C1: c NOOP
        S1: * 1 FETCH (FLAGS (\Seen))
        S1: c OK …
        ",
    );
}

fn numbers_mean_what_the_client_was_told(mail: TestStore) {
    check_both(
        mail,
        r"
        C1: a STORE 1:2 +FLAGS.SILENT (\Deleted)
        S1: a OK …
        C1: b EXPUNGE
        S1: * 1 EXPUNGE
        S1: * 1 EXPUNGE
        S1: b OK …
        C2: a STORE 1 +FLAGS (\Flagged)
        S2: a OK …
        C2: b STORE 3 +FLAGS (\Flagged)
        S2: * 3 FETCH (FLAGS (\Flagged))
        S2: b OK …
        C2: c STORE 4 +FLAGS (\Flagged)
        S2: c BAD …
        C2: d COPY 1:3 Archive
        S2: * 1 EXPUNGE
        S2: * 1 EXPUNGE
        S2: d OK [COPYUID … 3 1] …
        C2: e EXPUNGE
        S2: e OK …
        C2: f FETCH 1:* (UID FLAGS)
        S2: * 1 FETCH (UID 3 FLAGS (\Flagged))
        S2: f OK …
        ",
    );
}

fn idle_tells_at_once(mail: TestStore) {
    let server = with_three(mail);
    server.check(&format!(
        r"{BOTH}
        C2: a IDLE
        S2: + idling
        C1: a STORE 3 +FLAGS (\Answered)
        S1: * 3 FETCH (FLAGS (\Answered))
        S1: a OK …
        S2: * 3 FETCH (FLAGS (\Answered))
        C1: b STORE 2 +FLAGS.SILENT (\Deleted)
        S1: b OK …
        S2: * 2 FETCH (FLAGS (\Deleted))
        C1: c EXPUNGE
        S1: * 2 EXPUNGE
        S1: c OK …
        S2: * 2 EXPUNGE
        C1: d APPEND INBOX {{#+}}
        C1> Subject: 4
        C1>
        C1:
        S1: * 3 EXISTS
        S1: * 0 RECENT
        S1: d OK …
        S2: * 3 EXISTS
        S2: * 0 RECENT
        C2: DONE
        S2: a OK IDLE completed"
    ));
    // What SMTP delivers is told as well.
    let mut client = server.sign_in();
    client.ok("SELECT INBOX");
    client.send(b"i IDLE\r\n");
    assert_eq!(client.response(), b"+ idling");
    server.deliver("Subject: by SMTP\r\n\r\n");
    assert_eq!(client.response(), b"* 4 EXISTS");
}

fn moves_are_seen_from_both_sides(mail: TestStore) {
    with_three(mail).check(&format!(
        "{BOTH}
        C3: a SELECT Archive
        S3: * FLAGS …
        S3: * 0 EXISTS
        S3: * 0 RECENT
        S3: * OK [PERMANENTFLAGS …
        S3: * OK [UIDVALIDITY …
        S3: * OK [UIDNEXT 1] …
        S3: * OK [HIGHESTMODSEQ …
        S3: * OK [MAILBOXID …
        S3: a OK …
        C1: a MOVE 1,3 Archive
        S1: * OK [COPYUID … 1,3 1:2] …
        S1: * 1 EXPUNGE
        S1: * 2 EXPUNGE
        S1: a OK …
        C2: a NOOP
        S2: * 1 EXPUNGE
        S2: * 2 EXPUNGE
        S2: a OK …
        C3: b NOOP
        S3: * 2 EXISTS
        S3: * 0 RECENT
        S3: b OK …"
    ));
}

fn the_mailbox_is_deleted_under_a_session(mail: TestStore) {
    let server = Server::new(mail);
    let (mut one, mut other) = (server.sign_in(), server.sign_in());
    one.ok("CREATE short-lived");
    one.append("short-lived", "Subject: x\r\n\r\n");
    for command in ["NOOP", "FETCH 1 FLAGS", "UID SEARCH ALL", "STORE 1 +FLAGS (\\Seen)"] {
        other.ok("SELECT short-lived");
        one.ok("DELETE short-lived");
        other.send(format!("x {command}\r\n").as_bytes());
        let bye = loop {
            let response = other.response();
            assert!(!response.starts_with(b"x OK"), "{command}: what is gone is no success");
            if response.starts_with(b"* BYE") {
                break response;
            }
        };
        assert_eq!(String::from_utf8_lossy(&bye), "* BYE Mailbox was deleted by another session");
        assert_eq!(other.line(), None);
        other = server.sign_in();
        one.ok("CREATE short-lived");
    }
    // Whoever leaves it need not notice.
    other.ok("SELECT short-lived");
    one.ok("DELETE short-lived");
    other.ok("SELECT INBOX");
    // It is emptied behind the clients' backs, and its name is free at once.
    one.ok("CREATE short-lived");
    let status = one.ok("STATUS short-lived (MESSAGES)").untagged.remove(0);
    assert_eq!(String::from_utf8_lossy(&status), "* STATUS short-lived (MESSAGES 0)");
}

/// Without its OK a client would append the message again.
fn what_was_done_elsewhere_is_told_before_bye(mail: TestStore) {
    let server = Server::new(mail);
    let (mut one, mut other) = (server.sign_in(), server.sign_in());
    one.ok("CREATE short-lived");
    other.ok("SELECT short-lived");
    one.ok("DELETE short-lived");
    let told = other.append("INBOX", "Subject: x\r\n\r\n");
    assert!(told.tagged.starts_with("OK [APPENDUID "), "{}", told.tagged);
    assert_eq!(other.line().as_deref(), Some(&b"* BYE Mailbox was deleted by another session"[..]));
    assert_eq!(other.line(), None);
    assert!(one.ok("STATUS INBOX (MESSAGES)").untagged_text().ends_with("(MESSAGES 1)"));
}

fn own_changes_are_told_once(mail: TestStore) {
    check_both(
        mail,
        r"
        C1: a STORE 1:3 +FLAGS (\Seen)
        S1: * 1 FETCH (FLAGS (\Seen))
        S1: * 2 FETCH (FLAGS (\Seen))
        S1: * 3 FETCH (FLAGS (\Seen))
        S1: a OK …
        C1: b NOOP
        S1: b OK …
        C1: c STORE 2 +FLAGS.SILENT (\Flagged)
        S1: c OK …
        C1: d NOOP
        S1: d OK …
        C2: a NOOP
        S2: * 1 FETCH (FLAGS (\Seen))
        S2: * 2 FETCH (FLAGS (\Flagged \Seen))
        S2: * 3 FETCH (FLAGS (\Seen))
        S2: a OK …
        ",
    );
}

/// RFC 3501 section 6.4.6: a change from outside is told whether or not the client asked for
/// silence about its own.
fn silent_hides_ones_own_change_only(mail: TestStore) {
    check_both(
        mail,
        r"
        C1: a STORE 1 +FLAGS (\Flagged)
        S1: * 1 FETCH (FLAGS (\Flagged))
        S1: a OK …
        C2: a STORE 1 +FLAGS.SILENT (\Seen)
        S2: * 1 FETCH (FLAGS (\Flagged \Seen))
        S2: a OK …
        C2: b NOOP
        S2: b OK …
        C1: b NOOP
        S1: * 1 FETCH (FLAGS (\Flagged \Seen))
        S1: b OK …
        C1: c STORE 2 FLAGS (\Draft)
        S1: * 2 FETCH (FLAGS (\Draft))
        S1: c OK …
        C2: c STORE 2 +FLAGS.SILENT (\Draft)
        S2: * 2 FETCH (FLAGS (\Draft))
        S2: c OK …
        C2: d NOOP
        S2: d OK …
        ",
    );
}

fn seen_by_reading_is_told_to_others(mail: TestStore) {
    check_both(
        mail,
        r"
        C1: a FETCH 3 BODY[TEXT]
        S1: * 3 FETCH (FLAGS (\Seen) BODY[TEXT] {#}
        S1> 3
        S1: )
        S1: a OK …
        C1: b NOOP
        S1: b OK …
        C2: a NOOP
        S2: * 3 FETCH (FLAGS (\Seen))
        S2: a OK …
        ",
    );
}

fn new_mail_is_told_once(mail: TestStore) {
    let server = Server::new(mail);
    let mut client = server.sign_in();
    client.ok("SELECT INBOX");
    for number in 1..=3 {
        server.mail.deliver(format!("Subject: {number}\r\n\r\n").as_bytes(), &[ann()]);
    }
    let told = client.ok("NOOP").untagged;
    assert_eq!(told, [b"* 3 EXISTS".to_vec(), b"* 0 RECENT".to_vec()]);
    assert!(client.ok("NOOP").untagged.is_empty());
    // Flags of a message that is told as new are not told beside it.
    let mut other = server.sign_in();
    other.append("INBOX (\\Seen)", "Subject: 4\r\n\r\n");
    other.ok("SELECT INBOX");
    other.ok(r"STORE 4 +FLAGS (\Flagged)");
    let told = client.ok("NOOP").untagged;
    assert_eq!(told, [b"* 4 EXISTS".to_vec(), b"* 0 RECENT".to_vec()]);
}

fn a_read_only_session_is_told_too(mail: TestStore) {
    let server = with_three(mail);
    let (mut reader, mut writer) = (server.sign_in(), server.sign_in());
    reader.ok("EXAMINE INBOX");
    writer.ok("SELECT INBOX");
    writer.ok(r"STORE 1:2 +FLAGS.SILENT (\Deleted)");
    writer.ok("CLOSE");
    let told = reader.ok("NOOP").untagged;
    assert_eq!(told, [b"* 1 EXPUNGE".to_vec(), b"* 1 EXPUNGE".to_vec()]);
}

/// The server reads what is new in steps of 250.
fn news_that_fill_their_steps_end(mail: TestStore) {
    let server = Server::new(mail);
    let (mut one, mut two) = (server.sign_in(), server.sign_in());
    one.ok("SELECT INBOX");
    two.ok("SELECT INBOX");
    for number in 0..250 {
        server.deliver(&format!("Message-ID: <{number}@news.example>\r\n\r\n"));
    }
    assert!(one.ok("NOOP").lines().contains(&"* 250 EXISTS".to_owned()));
    two.ok("NOOP");
    assert_eq!(one.ok("STORE 1:* +FLAGS (\\Deleted)").lines().len(), 250);
    assert_eq!(two.ok("NOOP").lines().len(), 250);
    assert_eq!(one.ok("EXPUNGE").lines().len(), 250);
    assert_eq!(two.ok("NOOP").lines().len(), 250);
    server.shut_down();
}
