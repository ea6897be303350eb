//! APPEND, RFC 3501 section 6.3.11.

use hikyaku_testkit::{TestStore, both_engines};

use crate::server::{MESSAGE_BYTES, Server, check};

both_engines! {
    one_command_brings_no_more_than_500_messages
    a_message_comes_back_byte_for_byte
    flags_and_date
    where_nothing_is
    what_is_too_big
    all_messages_of_one_append_count_together
    an_append_into_the_open_mailbox_is_told
    what_cannot_be_appended
    a_full_account
}

fn a_message_comes_back_byte_for_byte(mail: TestStore) {
    check(
        mail,
        r#"
        C: a APPEND Drafts {#}
        S: + …
        C> Subject: =?utf-8?B?44GT44KT44Gr44Gh44Gv?=
        C> X-Odd:	tab and trailing space 
        C>
        C> .
        C> 日本語 in 8 bit, {5} and "quotes"
        C>
        C> no line end\
        C:
        S: a OK [APPENDUID … 1] APPEND completed
        C: b APPEND Drafts {#+}
        C> second\
        C:
        S: b OK [APPENDUID … 2] APPEND completed
        C: c EXAMINE Drafts
        S: * FLAGS …
        S: * 2 EXISTS
        S: * 0 RECENT
        S: * OK [PERMANENTFLAGS ()] …
        S: * OK [UNSEEN 1] …
        S: * OK [UIDVALIDITY …
        S: * OK [UIDNEXT 3] …
        S: * OK [HIGHESTMODSEQ …
        S: * OK [MAILBOXID …
        S: c OK …
        C: d FETCH 1 BODY[]
        S: * 1 FETCH (BODY[] {#}
        S> Subject: =?utf-8?B?44GT44KT44Gr44Gh44Gv?=
        S> X-Odd:	tab and trailing space 
        S>
        S> .
        S> 日本語 in 8 bit, {5} and "quotes"
        S>
        S> no line end\
        S: )
        S: d OK …
        C: e UID FETCH 2 (RFC822.SIZE BODY[])
        S: * 2 FETCH (UID 2 RFC822.SIZE 6 BODY[] {#}
        S> second\
        S: )
        S: e OK …
        "#,
    );
}

fn flags_and_date(mail: TestStore) {
    check(
        mail,
        r#"
        C: a APPEND "Sent" (\Seen $Forwarded \flagged) "17-Jul-1996 02:44:25 -0700" {#+}
        C> Subject: dated
        C>
        C:
        S: a OK [APPENDUID …] …
        C: b APPEND Sent () {#+}
        C> Subject: now
        C>
        C:
        S: b OK [APPENDUID …] …
        C: c EXAMINE Sent
        S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft $forwarded)
        S: * 2 EXISTS
        S: * 0 RECENT
        S: * OK [PERMANENTFLAGS ()] …
        S: * OK [UNSEEN 2] …
        S: * OK [UIDVALIDITY …
        S: * OK [UIDNEXT 3] …
        S: * OK [HIGHESTMODSEQ …
        S: * OK [MAILBOXID …
        S: c OK …
        C: d FETCH 1:2 (FLAGS INTERNALDATE)
        S: * 1 FETCH (FLAGS (\Flagged \Seen $forwarded) INTERNALDATE "17-Jul-1996 09:44:25 +0000")
        S: * 2 FETCH (FLAGS () INTERNALDATE "24-Nov-2026 12:00:00 +0000")
        S: d OK …
        "#,
    );
}

fn where_nothing_is(mail: TestStore) {
    check(
        mail,
        r"
        C: a APPEND nowhere {#+}
        C> Subject: x
        C>
        C:
        S: a NO [TRYCREATE] …
        C: b CREATE nowhere
        S: b OK …
        C: c APPEND nowhere {#+}
        C> Subject: x
        C>
        C:
        S: c OK [APPENDUID …] …
        ",
    );
}

fn what_is_too_big(mail: TestStore) {
    let server = Server::new(mail);
    let mut client = server.sign_in();
    // A client that waits is told before it sends.
    let size = MESSAGE_BYTES + 1;
    let waiting = client.command(format!("APPEND INBOX {{{size}}}"));
    assert!(waiting.tagged.starts_with("NO [TOOBIG]"), "{waiting:?}");
    // What one sends that does not wait is read and dropped.
    let content = "x".repeat(size as usize);
    let sent = client.command(format!("APPEND INBOX {{{size}+}}\r\n{content}"));
    assert!(sent.tagged.starts_with("NO [TOOBIG]"), "{sent:?}");
    client.append("INBOX", &content[1..]);
    let status = client.ok("STATUS INBOX (MESSAGES SIZE)").untagged.remove(0);
    assert_eq!(String::from_utf8_lossy(&status), format!("* STATUS INBOX (MESSAGES 1 SIZE {MESSAGE_BYTES})"));
}

/// A thousand messages of one command, each within the limit, would fill the memory.
fn all_messages_of_one_append_count_together(mail: TestStore) {
    let server = Server::new(mail);
    let mut client = server.sign_in();
    let half = "x".repeat(MESSAGE_BYTES as usize / 2);
    let piece = format!(" {{{}+}}\r\n{half}", half.len());
    client.ok(format!("APPEND INBOX{piece}{piece}"));
    let three = client.command(format!("APPEND INBOX{piece}{piece}{piece}"));
    assert!(three.tagged.starts_with("NO [TOOBIG]"), "{three:?}");
    let status = client.ok("STATUS INBOX (MESSAGES)").untagged.remove(0);
    assert_eq!(String::from_utf8_lossy(&status), "* STATUS INBOX (MESSAGES 2)");
}

fn an_append_into_the_open_mailbox_is_told(mail: TestStore) {
    check(
        mail,
        r"
        C: a SELECT Drafts
        S: * FLAGS …
        S: * 0 EXISTS
        S: * 0 RECENT
        S: * OK [PERMANENTFLAGS …
        S: * OK [UIDVALIDITY …
        S: * OK [UIDNEXT 1] …
        S: * OK [HIGHESTMODSEQ …
        S: * OK [MAILBOXID …
        S: a OK …
        C: b APPEND Drafts {#+}
        C> Subject: x
        C>
        C:
        S: * 1 EXISTS
        S: * 0 RECENT
        S: b OK [APPENDUID …] …
        ",
    );
}

fn what_cannot_be_appended(mail: TestStore) {
    check(
        mail,
        r#"
        C: a APPEND INBOX
        S: a BAD …
        C: b APPEND INBOX (\Nonsense) {0+}
        C:
        S: b BAD …
        C: c APPEND INBOX "32-Jul-1996 02:44:25 -0700" {#+}
        C> x\
        C:
        S: c BAD …
        C: d APPEND INBOX {0+}
        C:
        S: d NO …
        C: e APPEND INBOX {#+}
        C> Subject: x
        C>
        C:  and more
        S: e BAD …
        C: f STATUS INBOX (MESSAGES)
        S: * STATUS INBOX (MESSAGES 0)
        S: f OK …
        "#,
    );
}

fn a_full_account(mail: TestStore) {
    let server = Server::new(mail);
    let mut client = server.sign_in();
    let content = "x".repeat(MESSAGE_BYTES as usize);
    let append = format!("APPEND INBOX {{{MESSAGE_BYTES}+}}\r\n{content}");
    let answers: Vec<String> = (0..31).map(|_| client.command(&append).tagged).collect();
    assert!(answers[..30].iter().all(|answer| answer.starts_with("OK")), "{answers:?}");
    assert!(answers[30].starts_with("NO [OVERQUOTA]"), "{}", answers[30]);
    client.ok("SELECT INBOX");
    let copied = client.command("COPY 1 Sent").tagged;
    assert!(copied.starts_with("NO [OVERQUOTA]"), "{copied}");
    client.ok("MOVE 1 Sent");
    client.ok(r"STORE 1 +FLAGS.SILENT \Deleted");
    client.ok("EXPUNGE");
    client.ok(&append);
}

fn one_command_brings_no_more_than_500_messages(mail: TestStore) {
    let server = Server::new(mail);
    let mut client = server.sign_in();
    let command = |count| format!("APPEND INBOX{}", " {1+}\r\nx".repeat(count));
    assert!(client.command(command(501)).tagged.starts_with("NO [LIMIT] "));
    assert!(client.command(command(500)).tagged.starts_with("OK [APPENDUID "));
    assert_eq!(client.ok("STATUS INBOX (MESSAGES)").untagged_text(), "* STATUS INBOX (MESSAGES 500)");
}
