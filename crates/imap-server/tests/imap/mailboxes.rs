//! CREATE, DELETE, RENAME, SUBSCRIBE, LIST, LSUB, STATUS, SELECT, EXAMINE, CLOSE, UNSELECT.

use hikyaku_testkit::{TestStore, both_engines};

use crate::server::{Server, bob, check};

both_engines! {
    a_pattern_that_is_not_utf_7_is_taken_as_it_stands
    every_account_begins_with_six_mailboxes
    create_and_delete
    what_cannot_be_created_or_deleted
    rename_takes_children_along
    rename_of_inbox_leaves_it_empty
    list_patterns
    subscriptions
    names_without_mailboxes_are_subscribed
    status_needs_no_select
    select_and_examine
    close_expunges_and_unselect_does_not
    another_account_sees_nothing_of_it
}

fn every_account_begins_with_six_mailboxes(mail: TestStore) {
    check(
        mail,
        r#"
        C: a LIST "" *
        S: * LIST (\HasNoChildren \Archive) "/" Archive
        S: * LIST (\HasNoChildren \Drafts) "/" Drafts
        S: * LIST (\HasNoChildren) "/" INBOX
        S: * LIST (\HasNoChildren \Junk) "/" Junk
        S: * LIST (\HasNoChildren \Sent) "/" Sent
        S: * LIST (\HasNoChildren \Trash) "/" Trash
        S: a OK LIST completed
        "#,
    );
}

fn create_and_delete(mail: TestStore) {
    check(
        mail,
        r#"
        C: a CREATE Projects/2026/Autumn
        S: a OK [MAILBOXID (F…)] CREATE completed
        C: b LIST "" P*
        S: * LIST (\HasChildren) "/" Projects
        S: * LIST (\HasChildren) "/" Projects/2026
        S: * LIST (\HasNoChildren) "/" Projects/2026/Autumn
        S: b OK LIST completed
        C: c DELETE Projects/2026/Autumn
        S: c OK DELETE completed
        C: d CREATE Projects/2027/
        S: d OK [MAILBOXID (F…)] CREATE completed
        C: e CREATE &U,BTFw-/&ZeVnLIqe-
        S: e OK [MAILBOXID (F…)] CREATE completed
        C: f LIST "" &U,BTFw-*
        S: * LIST (\HasChildren) "/" &U,BTFw-
        S: * LIST (\HasNoChildren) "/" &U,BTFw-/&ZeVnLIqe-
        S: f OK LIST completed
        C: g CREATE "with space"
        S: g OK [MAILBOXID (F…)] CREATE completed
        C: h LIST Projects/ %
        S: * LIST (\HasNoChildren) "/" Projects/2026
        S: * LIST (\HasNoChildren) "/" Projects/2027
        S: h OK LIST completed
        C: i LIST "" w*
        S: * LIST (\HasNoChildren) "/" "with space"
        S: i OK LIST completed
        C: j SELECT "with space"
        S: * FLAGS …
        S: * 0 EXISTS
        S: * 0 RECENT
        S: * OK [PERMANENTFLAGS …
        S: * OK [UIDVALIDITY …
        S: * OK [UIDNEXT 1] …
        S: * OK [HIGHESTMODSEQ …
        S: * OK [MAILBOXID …
        S: j OK [READ-WRITE] …
        C: k DELETE "with space"
        S: k OK DELETE completed
        C: l FETCH 1 FLAGS
        S: l BAD …
        "#,
    );
}

fn what_cannot_be_created_or_deleted(mail: TestStore) {
    check(
        mail,
        r#"
        C: a CREATE inbox
        S: a NO [ALREADYEXISTS] …
        C: b CREATE Sent
        S: b NO [ALREADYEXISTS] …
        C: c CREATE a//b
        S: c NO [CANNOT] …
        C: d DELETE Inbox
        S: d NO [CANNOT] …
        C: e DELETE nowhere
        S: e NO [NONEXISTENT] …
        C: f CREATE a/b
        S: f OK …
        C: g DELETE a
        S: g NO [HASCHILDREN] …
        C: h SELECT nowhere
        S: h NO [NONEXISTENT] …
        C: i RENAME nowhere elsewhere
        S: i NO [NONEXISTENT] …
        C: j RENAME a Sent
        S: j NO [ALREADYEXISTS] …
        C: k RENAME a a/b/c
        S: k NO [CANNOT] …
        C: l STATUS nowhere (MESSAGES)
        S: l NO [NONEXISTENT] …
        C: m CREATE x (USE (\Junk))
        S: m NO [USEATTR] …
        "#,
    );
}

fn rename_takes_children_along(mail: TestStore) {
    check(
        mail,
        r#"
        C: a CREATE a/b/c
        S: a OK …
        C: b APPEND a/b/c {#+}
        C> Subject: x
        C>
        C:
        S: b OK [APPENDUID …] …
        C: c RENAME a/b x/y
        S: c OK RENAME completed
        C: d LIST "" *b*
        S: d OK …
        C: e STATUS x/y/c (MESSAGES UIDNEXT)
        S: * STATUS x/y/c (MESSAGES 1 UIDNEXT 2)
        S: e OK …
        C: f LIST "" x*
        S: * LIST (\HasChildren) "/" x
        S: * LIST (\HasChildren) "/" x/y
        S: * LIST (\HasNoChildren) "/" x/y/c
        S: f OK …
        C: g LIST "" a
        S: * LIST (\HasNoChildren) "/" a
        S: g OK …
        "#,
    );
}

fn rename_of_inbox_leaves_it_empty(mail: TestStore) {
    // RFC 3501 section 6.3.5.
    let server = Server::new(mail);
    server.deliver("Subject: one\r\n\r\n1\r\n");
    server.deliver("Subject: two\r\n\r\n2\r\n");
    server.check(
        r#"
        C: a RENAME INBOX old-mail
        S: a OK RENAME completed
        C: b STATUS INBOX (MESSAGES UNSEEN)
        S: * STATUS INBOX (MESSAGES 0 UNSEEN 0)
        S: b OK …
        C: c STATUS old-mail (MESSAGES UNSEEN)
        S: * STATUS old-mail (MESSAGES 2 UNSEEN 2)
        S: c OK …
        C: d RENAME INBOX Sent
        S: d NO [ALREADYEXISTS] …
        C: e LIST "" INBOX
        S: * LIST (\HasNoChildren) "/" INBOX
        S: e OK …
        "#,
    );
}

fn list_patterns(mail: TestStore) {
    let server = Server::new(mail);
    let mut client = server.sign_in();
    client.ok("CREATE Projects/2026");
    client.ok("CREATE INBOX/old");
    let listed = |command: &str| -> Vec<String> {
        let mut client = server.sign_in();
        let lines = client.ok(command).untagged;
        lines
            .iter()
            .map(|line| String::from_utf8_lossy(line).rsplit(' ').next().unwrap_or_default().to_owned())
            .collect()
    };
    for (command, expected) in [
        (r#"LIST "" """#, r#""""#),
        (r#"LIST "" %"#, "Archive Drafts INBOX Junk Projects Sent Trash"),
        (r#"LIST "" %/%"#, "INBOX/old Projects/2026"),
        (r#"LIST "" inbox"#, "INBOX"),
        (r#"LIST "" inbox/*"#, "INBOX/old"),
        (r#"LIST "" "*2*""#, "Projects/2026"),
        (r#"LIST "Projects/" "*""#, "Projects/2026"),
        (r#"LIST "Projects" "/2*""#, "Projects/2026"),
        (r#"LIST "" projects"#, ""),
        (r#"LIST (SPECIAL-USE) "" *"#, "Archive Drafts Junk Sent Trash"),
        (r#"LIST "" (Sent Drafts)"#, "Drafts Sent"),
    ] {
        assert_eq!(listed(command).join(" "), expected, "{command}");
    }
}

fn subscriptions(mail: TestStore) {
    check(
        mail,
        r#"
        C: a CREATE a/b
        S: a OK …
        C: b SUBSCRIBE a/b
        S: b OK SUBSCRIBE completed
        C: c LSUB "" a*
        S: * LSUB (\HasNoChildren) "/" a/b
        S: c OK LSUB completed
        C: i LSUB "" "%"
        S: * LSUB (\HasNoChildren) "/" Archive
        S: * LSUB (\HasNoChildren) "/" Drafts
        S: * LSUB (\HasNoChildren) "/" INBOX
        S: * LSUB (\HasNoChildren) "/" Junk
        S: * LSUB (\HasNoChildren) "/" Sent
        S: * LSUB (\HasNoChildren) "/" Trash
        S: * LSUB (\Noselect) "/" a
        S: i OK LSUB completed
        C: d UNSUBSCRIBE Trash
        S: d OK UNSUBSCRIBE completed
        C: e LSUB "" T*
        S: e OK LSUB completed
        C: f LIST "" Trash
        S: * LIST (\HasNoChildren \Trash) "/" Trash
        S: f OK …
        C: h UNSUBSCRIBE nowhere
        S: h OK …
        "#,
    );
}

/// RFC 9051 section 6.3.7.
fn names_without_mailboxes_are_subscribed(mail: TestStore) {
    check(
        mail,
        r#"
        C: a SUBSCRIBE later/below
        S: a OK SUBSCRIBE completed
        C: b CREATE gone
        S: b OK …
        C: c SUBSCRIBE gone
        S: c OK …
        C: d DELETE gone
        S: d OK …
        C: e LIST "" (gone* later*)
        S: e OK …
        C: f LIST (SUBSCRIBED) "" (gone* later* T*) RETURN (STATUS (MESSAGES))
        S: * LIST (\HasNoChildren \Subscribed \Trash) "/" Trash
        S: * STATUS Trash (MESSAGES 0)
        S: * LIST (\NonExistent \Subscribed) "/" gone
        S: * LIST (\NonExistent \Subscribed) "/" later/below
        S: f OK …
        C: g LIST (SUBSCRIBED SPECIAL-USE) "" (gone* later*)
        S: g OK …
        C: h LSUB "" "later*"
        S: * LSUB (\NonExistent) "/" later/below
        S: h OK …
        C: i LSUB "" "%t%"
        S: * LSUB (\HasNoChildren) "/" Drafts
        S: * LSUB (\HasNoChildren) "/" Sent
        S: * LSUB (\Noselect) "/" later
        S: i OK …
        C: j LIST (SUBSCRIBED RECURSIVEMATCH) "" l%
        S: * LIST (\NonExistent) "/" later ("CHILDINFO" ("SUBSCRIBED"))
        S: j OK …
        C: k CREATE later/below
        S: k OK …
        C: l LIST (SUBSCRIBED) "" later*
        S: * LIST (\HasNoChildren \Subscribed) "/" later/below
        S: l OK …
        C: m LIST "" later* RETURN (SUBSCRIBED)
        S: * LIST (\HasChildren) "/" later
        S: * LIST (\HasNoChildren \Subscribed) "/" later/below
        S: m OK …
        C: n SUBSCRIBE moved/below
        S: n OK …
        C: o RENAME later moved
        S: o OK …
        C: p LIST (SUBSCRIBED) "" (later* moved*)
        S: * LIST (\HasNoChildren \Subscribed) "/" moved/below
        S: p OK …
        C: q UNSUBSCRIBE moved/below
        S: q OK …
        C: r UNSUBSCRIBE gone
        S: r OK …
        C: s LIST (SUBSCRIBED) "" (gone* later* moved*)
        S: s OK …
        C: t SUBSCRIBE a//b
        S: t NO [CANNOT] …
        C: u UNSUBSCRIBE a//b
        S: u OK …
        "#,
    );
}

fn status_needs_no_select(mail: TestStore) {
    let server = Server::new(mail);
    server.deliver("Subject: one\r\n\r\n1\r\n");
    server.deliver("Subject: two\r\n\r\n22\r\n");
    server.check(
        r#"
        C: a STATUS inbox (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN)
        S: * STATUS INBOX (MESSAGES 2 RECENT 0 UIDNEXT 3 UIDVALIDITY … UNSEEN 2)
        S: a OK STATUS completed
        C: b STATUS "Sent" (UNSEEN)
        S: * STATUS Sent (UNSEEN 0)
        S: b OK STATUS completed
        C: c STATUS INBOX ()
        S: c BAD …
        C: d STATUS INBOX (NOTHING)
        S: d BAD …
        "#,
    );
}

fn select_and_examine(mail: TestStore) {
    let server = Server::new(mail);
    server.deliver("Subject: one\r\n\r\n1\r\n");
    server.deliver("Subject: two\r\n\r\n2\r\n");
    let mut client = server.sign_in();
    client.ok("SELECT INBOX");
    client.ok(r"STORE 1 +FLAGS (\Seen $work)");
    server.check(
        r#"
        C: a SELECT INBOX
        S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft $work)
        S: * 2 EXISTS
        S: * 0 RECENT
        S: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft $work \*)] …
        S: * OK [UNSEEN 2] …
        S: * OK [UIDVALIDITY …] …
        S: * OK [UIDNEXT 3] …
        S: * OK [HIGHESTMODSEQ …
        S: * OK [MAILBOXID …
        S: a OK [READ-WRITE] SELECT completed
        C: b EXAMINE INBOX
        S: * OK [CLOSED] …
        S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft $work)
        S: * 2 EXISTS
        S: * 0 RECENT
        S: * OK [PERMANENTFLAGS ()] …
        S: * OK [UNSEEN 2] …
        S: * OK [UIDVALIDITY …] …
        S: * OK [UIDNEXT 3] …
        S: * OK [HIGHESTMODSEQ …
        S: * OK [MAILBOXID …
        S: b OK [READ-ONLY] …
        C: c STORE 1 +FLAGS (\Deleted)
        S: c NO [NOPERM] …
        C: d EXPUNGE
        S: d NO [NOPERM] …
        C: e MOVE 1 Sent
        S: e NO [NOPERM] …
        C: f COPY 1 Sent
        S: f OK [COPYUID …] …
        C: g SELECT nowhere
        S: * OK [CLOSED] …
        S: g NO …
        C: h FETCH 1 FLAGS
        S: h BAD …
        "#,
    );
}

fn close_expunges_and_unselect_does_not(mail: TestStore) {
    let server = Server::new(mail);
    server.deliver("Subject: one\r\n\r\n1\r\n");
    server.deliver("Subject: two\r\n\r\n2\r\n");
    let mut client = server.sign_in();
    let messages = |client: &mut crate::client::Client| {
        let answer = client.ok("STATUS INBOX (MESSAGES)").untagged.remove(0);
        String::from_utf8(answer).unwrap()
    };
    client.ok("SELECT INBOX");
    client.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)");
    client.ok("UNSELECT");
    assert!(client.command("CHECK").tagged.starts_with("BAD"), "nothing is open");
    assert_eq!(messages(&mut client), "* STATUS INBOX (MESSAGES 2)");
    client.ok("EXAMINE INBOX");
    client.ok("CLOSE");
    assert_eq!(messages(&mut client), "* STATUS INBOX (MESSAGES 2)");
    client.ok("SELECT INBOX");
    assert!(client.ok("CLOSE").untagged.is_empty(), "CLOSE tells nothing");
    assert_eq!(messages(&mut client), "* STATUS INBOX (MESSAGES 1)");
}

fn another_account_sees_nothing_of_it(mail: TestStore) {
    let server = Server::new(mail);
    server.deliver("Subject: ann's\r\n\r\n1\r\n");
    server.sign_in().ok("CREATE private");
    server.mail.deliver(b"Subject: bob's\r\n\r\n1\r\n", &[bob()]);
    server.check_from_greeting(
        r#"
        S: * OK …
        C: a LOGIN bob@example.org secret
        S: a OK …
        C: b SELECT private
        S: b NO [NONEXISTENT] …
        C: c EXAMINE INBOX
        S: * FLAGS …
        S: * 1 EXISTS
        S: * 0 RECENT
        S: * OK [PERMANENTFLAGS ()] …
        S: * OK [UNSEEN 1] …
        S: * OK [UIDVALIDITY …
        S: * OK [UIDNEXT 2] …
        S: * OK [HIGHESTMODSEQ …
        S: * OK [MAILBOXID …
        S: c OK …
        C: d FETCH 1:* BODY[TEXT]
        S: * 1 FETCH (BODY[TEXT] {#}
        S> 1
        S: )
        S: d OK …
        C: e UID SEARCH SUBJECT ann
        S: * SEARCH
        S: e OK …
        "#,
    );
}

fn a_pattern_that_is_not_utf_7_is_taken_as_it_stands(mail: TestStore) {
    check(
        mail,
        r#"
        C: a CREATE R&-D
        S: a OK …
        C: b LIST "" R&D*
        S: * LIST (\HasNoChildren) "/" R&-D
        S: b OK …
        C: c LIST "R&" "%"
        S: * LIST (\HasNoChildren) "/" R&-D
        S: c OK …
        C: d LSUB "" "*&*"
        S: d OK …
        C: e LIST "" (&*- I*)
        S: * LIST (\HasNoChildren) "/" INBOX
        S: e OK …
        C: f SELECT R&D
        S: f BAD …
        "#,
    );
}
