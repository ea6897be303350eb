//! SORT, THREAD (RFC 5256, 5957, 5267) and QUOTA (RFC 9208).

use hikyaku_testkit::{TestStore, both_engines};

use crate::client::Client;
use crate::server::Server;

both_engines! {
    what_each_criterion_does
    answers_of_sort
    threads
    threads_of_nothing
    quota
    quota_without_a_limit
}

/// Subject, From, To, Date; some are encoded, some are missing.
const MESSAGES: [&str; 5] = [
    "Subject: Re: beta\r\nFrom: Zoe <ann@x.example>\r\nTo: team@x.example\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@x>\r\n\r\nlong long text\r\n",
    "Subject: Alpha\r\nFrom: bob@x.example\r\nTo: zed@x.example\r\nCc: cc@x.example\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <2@x>\r\n\r\n",
    "Subject: =?utf-8?B?6L+U5L+hOiBiZXRh?=\r\nFrom: =?utf-8?Q?=C3=84nne?= <carl@x.example>\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\nReferences: <1@x>\r\nMessage-ID: <3@x>\r\n\r\nx\r\n",
    "From: Friends: Dora <dora@x.example>;\r\nDate: nonsense\r\nMessage-ID: <4@x>\r\n\r\n",
    "Subject: beta\r\nFrom: \"Carl\" <CARL@x.example>\r\nDate: Fri, 20 Nov 2026 10:00:00 +0900\r\nMessage-ID: <5@x>\r\n\r\n",
];

fn with_messages(mail: TestStore) -> (Server, Client) {
    let server = Server::new(mail);
    let mut client = server.sign_in();
    for (number, message) in MESSAGES.iter().enumerate() {
        client.append(&format!("INBOX \"{:02}-Nov-2026 00:00:00 +0000\"", 30 - number), message);
    }
    client.ok("SELECT INBOX");
    (server, client)
}

fn what_each_criterion_does(mail: TestStore) {
    let (_server, mut client) = with_messages(mail);
    for (criteria, expected) in [
        ("ARRIVAL", "5 4 3 2 1"),
        ("REVERSE ARRIVAL", "1 2 3 4 5"),
        // The one without a Date has its internal date, the 27th.
        ("DATE", "5 3 2 1 4"),
        ("SIZE", "4 5 2 1 3"),
        // By base subject, in Japanese, too; the missing one first, equals by number.
        ("SUBJECT", "4 2 1 3 5"),
        ("REVERSE SUBJECT", "1 3 5 2 4"),
        ("SUBJECT DATE", "4 2 5 3 1"),
        ("SUBJECT REVERSE DATE", "4 2 1 3 5"),
        ("FROM", "1 2 3 5 4"),
        ("TO", "3 4 5 1 2"),
        ("CC", "1 3 4 5 2"),
        ("DISPLAYFROM", "2 5 4 1 3"),
        ("DISPLAYTO", "3 4 5 1 2"),
    ] {
        let answer = client.ok(format!("SORT ({criteria}) UTF-8 ALL")).untagged_text();
        assert_eq!(answer, format!("* SORT {expected}"), "{criteria}");
    }
}

fn answers_of_sort(mail: TestStore) {
    let (_server, mut client) = with_messages(mail);
    client.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)");
    client.ok("EXPUNGE");
    for (command, expected) in [
        ("UID SORT (ARRIVAL) US-ASCII ALL", "* SORT 5 4 3 2"),
        ("SORT (ARRIVAL) UTF-8 SUBJECT beta", "* SORT 4 2"),
        ("SORT (ARRIVAL) UTF-8 SEEN", "* SORT"),
        ("UID SORT RETURN (MIN MAX COUNT) (SIZE) UTF-8 ALL", "* ESEARCH (TAG \"#\") UID MIN 4 MAX 3 COUNT 4"),
        ("SORT RETURN () (SUBJECT DATE) UTF-8 ALL", "* ESEARCH (TAG \"#\") ALL 3,1,4,2"),
        ("SORT RETURN (SAVE) (SIZE) UTF-8 2:3", ""),
        ("UID SEARCH $", "* SEARCH 3 4"),
        (
            "SORT (ARRIVAL) UTF-8 MODSEQ 12",
            "* OK [HIGHESTMODSEQ 14] Highest mod-sequence | * SORT 4 (MODSEQ 12)",
        ),
    ] {
        let answer = client.ok(command);
        let expected = expected.replace('#', &client.last_tag());
        assert_eq!(answer.untagged_text(), expected, "{command}");
    }
    assert!(client.command("SORT (ARRIVAL) KOI8-R ALL").tagged.starts_with("NO [BADCHARSET"));
    assert!(client.command("SORT () UTF-8 ALL").tagged.starts_with("BAD"));
    assert!(client.command("SORT (COLOUR) UTF-8 ALL").tagged.starts_with("BAD"));
}

fn threads(mail: TestStore) {
    let (_server, mut client) = with_messages(mail);
    for (command, expected) in [
        // By date the beta of the 20th is first; the answers belong to it by their subject.
        ("THREAD REFERENCES UTF-8 ALL", "* THREAD (5 1 3)(2)(4)"),
        ("UID THREAD REFERENCES UTF-8 2:4", "* THREAD (3)(2)(4)"),
        ("THREAD ORDEREDSUBJECT UTF-8 ALL", "* THREAD (5 (3)(1))(2)(4)"),
        ("UID THREAD ORDEREDSUBJECT US-ASCII SEEN", "* THREAD"),
    ] {
        assert_eq!(client.ok(command).untagged_text(), expected, "{command}");
    }
    assert!(client.command("THREAD X-OWN UTF-8 ALL").tagged.starts_with("BAD"));
    assert!(client.command("THREAD REFERENCES KOI8-R ALL").tagged.starts_with("NO [BADCHARSET"));
}

fn threads_of_nothing(mail: TestStore) {
    let server = Server::new(mail);
    let mut client = server.sign_in();
    client.ok("SELECT INBOX");
    assert_eq!(client.ok("THREAD REFERENCES UTF-8 ALL").untagged_text(), "* THREAD");
    assert_eq!(client.ok("SORT (DATE) UTF-8 ALL").untagged_text(), "* SORT");
}

fn quota(mail: TestStore) {
    let (server, _) = with_messages(mail);
    server.check(
        r#"
        C: a GETQUOTAROOT INBOX
        S: * QUOTAROOT INBOX ""
        S: * QUOTA "" (STORAGE 1 2929)
        S: a OK …
        C: b GETQUOTA ""
        S: * QUOTA "" (STORAGE 1 2929)
        S: b OK …
        C: c GETQUOTA other
        S: c NO [NONEXISTENT] …
        C: d GETQUOTAROOT nowhere
        S: d NO [NONEXISTENT] …
        C: e SETQUOTA "" (STORAGE 1)
        S: e BAD …
        "#,
    );
}

fn quota_without_a_limit(mail: TestStore) {
    let server = Server::new(mail);
    server.check_from_greeting(
        r#"
        S: * OK …
        C: a LOGIN bob@example.org secret
        S: a OK …
        C: b GETQUOTAROOT Sent
        S: * QUOTAROOT Sent ""
        S: * QUOTA "" ()
        S: b OK …
        "#,
    );
}
