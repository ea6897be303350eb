//! STORE and EXPUNGE, RFC 3501 sections 6.4.3 and 6.4.6, RFC 4315 section 2.1.

use hikyaku_testkit::{TestStore, both_engines};

use crate::client::Client;
use crate::server::Server;

both_engines! {
    what_store_does
    what_store_refuses
    expunge_counts_down
    uid_expunge
}

fn with_messages(mail: TestStore, count: u32) -> (Server, Client) {
    let server = Server::new(mail);
    for number in 1..=count {
        server.deliver(&format!("Subject: {number}\r\n\r\n"));
    }
    let mut client = server.sign_in();
    client.ok("SELECT INBOX");
    (server, client)
}

fn what_store_does(mail: TestStore) {
    let (_server, mut client) = with_messages(mail, 3);
    for (command, expected) in [
        (r"STORE 1 +FLAGS (\Seen)", r"* 1 FETCH (FLAGS (\Seen))"),
        (r"STORE 1 +FLAGS \Flagged \Seen", r"* 1 FETCH (FLAGS (\Flagged \Seen))"),
        (r"STORE 1 -FLAGS (\Seen \Draft)", r"* 1 FETCH (FLAGS (\Flagged))"),
        (
            r"STORE 1 FLAGS (\Answered $Junk Work)",
            r"* FLAGS (\Answered \Flagged \Deleted \Seen \Draft $junk work) | * 1 FETCH (FLAGS (\Answered $junk work))",
        ),
        (r"STORE 1 +FLAGS ($JUNK)", r"* 1 FETCH (FLAGS (\Answered $junk work))"),
        (r"STORE 1 -FLAGS ($junk)", r"* 1 FETCH (FLAGS (\Answered work))"),
        ("STORE 1 FLAGS ()", "* 1 FETCH (FLAGS ())"),
        (r"STORE 1:3 +FLAGS.SILENT (\Seen)", ""),
        (r"STORE 2:3 -FLAGS (\Seen)", r"* 2 FETCH (FLAGS ()) | * 3 FETCH (FLAGS ())"),
        (r"UID STORE 3 +FLAGS (\Deleted)", r"* 3 FETCH (UID 3 FLAGS (\Deleted))"),
        (r"UID STORE 4:9 +FLAGS (\Deleted)", ""),
        ("NOOP", ""),
        (
            r"FETCH 1:* FLAGS",
            r"* 1 FETCH (FLAGS (\Seen)) | * 2 FETCH (FLAGS ()) | * 3 FETCH (FLAGS (\Deleted))",
        ),
    ] {
        assert_eq!(client.ok(command).untagged_text(), expected, "{command}");
    }
}

fn what_store_refuses(mail: TestStore) {
    let (_server, mut client) = with_messages(mail, 1);
    for command in [
        "STORE 2 FLAGS ()",
        "STORE 1 FLAGS",
        r"STORE 1 +FLAGS (\Recent)",
        r"STORE 1 +FLAGS (\Nonsense)",
        r"STORE 1 *FLAGS (\Seen)",
        "STORE 1 +FLAGS (two words",
        "STORE x +FLAGS ()",
    ] {
        assert!(client.command(command).tagged.starts_with("BAD"), "{command}");
    }
    assert_eq!(client.ok("FETCH 1 FLAGS").untagged_text(), "* 1 FETCH (FLAGS ())");
}

fn expunge_counts_down(mail: TestStore) {
    // The example of RFC 3501 section 6.4.3.
    let (_server, mut client) = with_messages(mail, 11);
    client.ok(r"STORE 3,4,7,11 +FLAGS.SILENT (\Deleted)");
    let answer = client.ok("EXPUNGE");
    assert_eq!(answer.untagged_text(), "* 3 EXPUNGE | * 3 EXPUNGE | * 5 EXPUNGE | * 8 EXPUNGE");
    assert_eq!(answer.tagged, "OK EXPUNGE completed");
    assert_eq!(client.ok("EXPUNGE").untagged_text(), "");
    assert_eq!(client.ok("FETCH 7 UID").untagged_text(), "* 7 FETCH (UID 10)");
}

fn uid_expunge(mail: TestStore) {
    let (_server, mut client) = with_messages(mail, 4);
    client.ok(r"STORE 1:3 +FLAGS.SILENT (\Deleted)");
    assert_eq!(client.ok("UID EXPUNGE 2,4").untagged_text(), "* 2 EXPUNGE");
    assert_eq!(client.ok("UID SEARCH ALL").untagged_text(), "* SEARCH 1 3 4");
    assert_eq!(client.ok("UID EXPUNGE 1:*").untagged_text(), "* 1 EXPUNGE | * 1 EXPUNGE");
    assert_eq!(client.ok("UID SEARCH ALL").untagged_text(), "* SEARCH 4");
}
