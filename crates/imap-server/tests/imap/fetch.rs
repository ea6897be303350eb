//! FETCH, RFC 3501 sections 6.4.5 and 7.4.2: every body form against the bytes that were
//! sent, the structures, and what sets \Seen.

use hikyaku_testkit::{TestStore, both_engines};

use crate::client::Client;
use crate::server::Server;

both_engines! {
    every_body_form
    structures
    macros_and_numbers
    what_sets_seen
    delivered_mail_is_read_byte_for_byte
    sets_of_messages
}

const HEADER: &str = "From: =?utf-8?B?55Sw5Lit?= <tanaka@example.com>\r\n\
    To: ann@example.org\r\n\
    Subject: nested\r\n\
    Date: Tue, 24 Nov 2026 21:00:00 +0900\r\n\
    Message-ID: <nested@example.com>\r\n\
    MIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=\"outer\"\r\n\
    \r\n";
const PART_1_MIME: &str = "Content-Type: text/plain; charset=utf-8\r\n\
    Content-Transfer-Encoding: 8bit\r\n\
    \r\n";
const PART_1: &str = "こんにちは\r\nsecond line\r\n";
const PART_2_MIME: &str = "Content-Type: message/rfc822\r\n\
    Content-Disposition: attachment; filename=\"inner.eml\"\r\n\
    \r\n";
const INNER_HEADER: &str = "From: sato@example.com\r\n\
    Subject: inner\r\n\
    Content-Type: multipart/alternative; boundary=inner\r\n\
    \r\n";
const PART_2_1_MIME: &str = "Content-Type: text/plain\r\n\r\n";
const PART_2_1: &str = "plain";
const PART_2_2_MIME: &str = "Content-Type: text/html\r\nContent-ID: <html@example.com>\r\n\r\n";
const PART_2_2: &str = "<b>bold</b>";
const PART_3_MIME: &str = "Content-Type: image/png; name=dot.png\r\n\
    Content-Transfer-Encoding: base64\r\n\
    Content-Description: a dot\r\n\
    \r\n";
const PART_3: &str = "iVBORw0KGgo=";

fn inner_text() -> String {
    format!("--inner\r\n{PART_2_1_MIME}{PART_2_1}\r\n--inner\r\n{PART_2_2_MIME}{PART_2_2}\r\n--inner--\r\n")
}

fn text() -> String {
    format!(
        "preamble\r\n--outer\r\n{PART_1_MIME}{PART_1}\r\n--outer\r\n{PART_2_MIME}{INNER_HEADER}{}\r\n\
         --outer\r\n{PART_3_MIME}{PART_3}\r\n--outer--\r\nepilogue\r\n",
        inner_text()
    )
}

fn message() -> String {
    format!("{HEADER}{}", text())
}

/// The value of `name` in the only FETCH response to `command`; `None` for NIL.
fn value(client: &mut Client, command: &str, name: &str) -> Option<String> {
    let mut untagged = client.ok(command).untagged;
    assert_eq!(untagged.len(), 1, "{command}");
    let response = String::from_utf8(untagged.remove(0)).unwrap();
    let (_, rest) = response.split_once('(').unwrap();
    let rest = rest.strip_prefix(name).unwrap_or_else(|| panic!("{command}: {response}"));
    let rest = rest.strip_prefix(' ').unwrap().strip_suffix(')').unwrap();
    if rest == "NIL" {
        return None;
    }
    if let Some(quoted) = rest.strip_prefix('"') {
        return Some(quoted.strip_suffix('"').unwrap().to_owned());
    }
    let (size, content) = rest.strip_prefix('{').unwrap().split_once("}\r\n").unwrap();
    assert_eq!(size.parse(), Ok(content.len()), "{command}");
    Some(content.to_owned())
}

fn every_body_form(mail: TestStore) {
    let server = Server::new(mail);
    let (message, text, inner_text) = (message(), text(), inner_text());
    server.sign_in().append("INBOX", &message);
    let mut client = server.sign_in();
    client.ok("EXAMINE INBOX");
    let inner = format!("{INNER_HEADER}{inner_text}");
    let without = |names: &[&str]| -> String {
        let is_left = |line: &&str| !names.iter().any(|name| line.starts_with(name));
        HEADER.split_inclusive("\r\n").filter(is_left).collect()
    };
    for (section, expected) in [
        ("", Some(message.as_str())),
        ("HEADER", Some(HEADER)),
        ("TEXT", Some(&text)),
        ("HEADER.FIELDS (SUBJECT)", Some("Subject: nested\r\n\r\n")),
        ("HEADER.FIELDS (TO NONE FROM)", Some(&*format!("{}\r\n", lines(&["From", "To"])))),
        ("HEADER.FIELDS (NONE)", Some("\r\n")),
        ("HEADER.FIELDS.NOT (SUBJECT TO)", Some(&*without(&["Subject", "To"]))),
        ("1", Some(PART_1)),
        ("1.MIME", Some(PART_1_MIME)),
        ("2", Some(&inner)),
        ("2.MIME", Some(PART_2_MIME)),
        ("2.HEADER", Some(INNER_HEADER)),
        ("2.TEXT", Some(&inner_text)),
        ("2.HEADER.FIELDS (SUBJECT)", Some("Subject: inner\r\n\r\n")),
        ("2.HEADER.FIELDS.NOT (SUBJECT CONTENT-TYPE)", Some("From: sato@example.com\r\n\r\n")),
        ("2.1", Some(PART_2_1)),
        ("2.1.MIME", Some(PART_2_1_MIME)),
        ("2.2", Some(PART_2_2)),
        ("2.2.MIME", Some(PART_2_2_MIME)),
        ("3", Some(PART_3)),
        ("3.MIME", Some(PART_3_MIME)),
        ("4", None),
        ("2.3", None),
        ("3.1", None),
    ] {
        let name = format!("BODY[{section}]");
        let command = format!("FETCH 1 BODY.PEEK[{section}]");
        assert_eq!(value(&mut client, &command, &name).as_deref(), expected, "{section}");
        // The same from the 5th octet on, and beyond its end.
        let Some(expected) = expected.filter(|expected| expected.is_ascii()) else { continue };
        for (first, count) in [(0, 7), (4, 10), (1, 1_000_000), (expected.len(), 5), (9_999, 1)] {
            let name = format!("BODY[{section}]<{first}>");
            let command = format!("FETCH 1 BODY[{section}]<{first}.{count}>");
            let part = expected.get(first..).unwrap_or_default();
            let part = &part[..count.min(part.len())];
            assert_eq!(value(&mut client, &command, &name).as_deref(), Some(part), "{command}");
        }
    }
    for (item, expected) in [("RFC822", &*message), ("RFC822.HEADER", HEADER), ("RFC822.TEXT", &text)] {
        assert_eq!(value(&mut client, &format!("FETCH 1 {item}"), item).as_deref(), Some(expected), "{item}");
    }
    for wrong in ["BODY[0]", "BODY[1.]", "BODY[MIME]", "BODY[]<0.0>", "BODY[HEADER.FIELDS ()]", "BODY[", "X"]
    {
        assert!(client.command(format!("FETCH 1 {wrong}")).tagged.starts_with("BAD"), "{wrong}");
    }
}

/// The lines of the header that begin with these, in their order.
fn lines(names: &[&str]) -> String {
    HEADER
        .split_inclusive("\r\n")
        .filter(|line| names.iter().any(|name| line.starts_with(&format!("{name}:"))))
        .collect()
}

fn structures(mail: TestStore) {
    let server = Server::new(mail);
    server.sign_in().append("INBOX", &message());
    server.check(
        r#"
        C: a EXAMINE INBOX
        S: * FLAGS …
        S: * 1 EXISTS
        S: * 0 RECENT
        S: * OK [PERMANENTFLAGS ()] …
        S: * OK [UNSEEN 1] …
        S: * OK [UIDVALIDITY …
        S: * OK [UIDNEXT 2] …
        S: * OK [HIGHESTMODSEQ …
        S: * OK [MAILBOXID …
        S: a OK …
        C: b FETCH 1 ENVELOPE
        S: * 1 FETCH (ENVELOPE ("Tue, 24 Nov 2026 21:00:00 +0900" "nested" (("=?utf-8?B?55Sw5Lit?=" NIL "tanaka" "example.com")) (("=?utf-8?B?55Sw5Lit?=" NIL "tanaka" "example.com")) (("=?utf-8?B?55Sw5Lit?=" NIL "tanaka" "example.com")) ((NIL NIL "ann" "example.org")) NIL NIL NIL "<nested@example.com>"))
        S: b OK …
        C: c FETCH 1 BODY
        S: * 1 FETCH (BODY (("text" "plain" ("charset" "utf-8") NIL NIL "8bit" 30 2)("message" "rfc822" NIL NIL NIL "7bit" 231 (NIL "inner" ((NIL NIL "sato" "example.com")) ((NIL NIL "sato" "example.com")) ((NIL NIL "sato" "example.com")) NIL NIL NIL NIL NIL) (("text" "plain" NIL NIL NIL "7bit" 5 0)("text" "html" NIL "<html@example.com>" NIL "7bit" 11 0) "alternative") 14)("image" "png" ("name" "dot.png") NIL "a dot" "base64" 12) "mixed"))
        S: c OK …
        C: d FETCH 1 BODYSTRUCTURE
        S: * 1 FETCH (BODYSTRUCTURE (("text" "plain" ("charset" "utf-8") NIL NIL "8bit" 30 2 NIL NIL NIL NIL)("message" "rfc822" NIL NIL NIL "7bit" 231 (NIL "inner" ((NIL NIL "sato" "example.com")) ((NIL NIL "sato" "example.com")) ((NIL NIL "sato" "example.com")) NIL NIL NIL NIL NIL) (("text" "plain" NIL NIL NIL "7bit" 5 0 NIL NIL NIL NIL)("text" "html" NIL "<html@example.com>" NIL "7bit" 11 0 NIL NIL NIL NIL) "alternative" ("boundary" "inner") NIL NIL NIL) 14 NIL ("attachment" ("filename" "inner.eml")) NIL NIL)("image" "png" ("name" "dot.png") NIL "a dot" "base64" 12 NIL NIL NIL NIL) "mixed" ("boundary" "outer") NIL NIL NIL))
        S: d OK …
        "#,
    );
}

fn macros_and_numbers(mail: TestStore) {
    let server = Server::new(mail);
    server.sign_in().append("INBOX", "From: a@example.com\r\nSubject: s\r\n\r\nx\r\n");
    server.check(
        r#"
        C: a SELECT INBOX
        S: * FLAGS …
        S: * 1 EXISTS
        S: * 0 RECENT
        S: * OK [PERMANENTFLAGS …
        S: * OK [UNSEEN 1] …
        S: * OK [UIDVALIDITY …
        S: * OK [UIDNEXT 2] …
        S: * OK [HIGHESTMODSEQ …
        S: * OK [MAILBOXID …
        S: a OK …
        C: b FETCH 1 FAST
        S: * 1 FETCH (FLAGS () INTERNALDATE "24-Nov-2026 12:00:00 +0000" RFC822.SIZE 38)
        S: b OK FETCH completed
        C: c FETCH 1 ALL
        S: * 1 FETCH (FLAGS () INTERNALDATE "…" RFC822.SIZE 38 ENVELOPE (NIL "s" …))
        S: c OK …
        C: d UID FETCH 1 FULL
        S: * 1 FETCH (UID 1 FLAGS () INTERNALDATE "…" RFC822.SIZE 38 ENVELOPE (…) BODY ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 1))
        S: d OK UID FETCH completed
        C: e FETCH 1 (UID FLAGS UID)
        S: * 1 FETCH (UID 1 FLAGS ())
        S: e OK …
        "#,
    );
}

fn what_sets_seen(mail: TestStore) {
    let server = Server::new(mail);
    let mut client = server.sign_in();
    client.append("INBOX", "Subject: s\r\n\r\nx\r\n");
    client.append("INBOX", "Subject: s\r\n\r\ny\r\n");
    let flags = |client: &mut Client| {
        let answer = client.ok("FETCH 1 FLAGS").untagged.remove(0);
        String::from_utf8(answer).unwrap()
    };
    for (open, item, sets) in [
        ("EXAMINE", "BODY[]", false),
        ("EXAMINE", "RFC822", false),
        ("SELECT", "BODY.PEEK[]", false),
        ("SELECT", "RFC822.HEADER", false),
        ("SELECT", "ENVELOPE", false),
        ("SELECT", "BODYSTRUCTURE", false),
        ("SELECT", "BODY[]", true),
        ("SELECT", "BODY[HEADER]", true),
        ("SELECT", "BODY[]<0.1>", true),
        ("SELECT", "RFC822", true),
        ("SELECT", "RFC822.TEXT", true),
        ("SELECT", "(BODY.PEEK[HEADER] BODY[TEXT])", true),
    ] {
        client.ok("SELECT INBOX");
        client.ok(r"STORE 1 -FLAGS.SILENT (\Seen)");
        client.ok(format!("{open} INBOX"));
        let told = client.ok(format!("FETCH 1 {item}")).untagged;
        assert_eq!(told.len(), 1, "{item}: told once");
        let told = String::from_utf8_lossy(&told[0]).into_owned();
        assert_eq!(told.starts_with(r"* 1 FETCH (FLAGS (\Seen) "), sets, "{open} {item}: {told}");
        let expected = if sets { r"* 1 FETCH (FLAGS (\Seen))" } else { "* 1 FETCH (FLAGS ())" };
        assert_eq!(flags(&mut client), expected, "{open} {item}");
        // The second time there is nothing to tell.
        let again = client.ok(format!("FETCH 1 {item}")).untagged;
        assert!(!String::from_utf8_lossy(&again[0]).contains("FLAGS"), "{open} {item}");
    }
    // Flags that are asked for beside the content are those afterwards.
    client.ok("SELECT INBOX");
    let both = client.ok("FETCH 2 (FLAGS BODY[TEXT])").untagged;
    assert_eq!(String::from_utf8_lossy(&both[0]), "* 2 FETCH (FLAGS (\\Seen) BODY[TEXT] {3}\r\ny\r\n)");
}

fn delivered_mail_is_read_byte_for_byte(mail: TestStore) {
    let server = Server::new(mail);
    let large = format!("Subject: large\r\n\r\n{}", "0123456789abcdef\r\n".repeat(100_000));
    let odd =
        ["Subject: bare\nline ends\r\r\n\r\nx", "no header at all", "\r\n", "Subject: nul\r\n\r\na\u{1}b"];
    let all: Vec<&str> = odd.into_iter().chain([large.as_str()]).collect();
    for content in &all {
        server.deliver(content);
    }
    let mut client = server.sign_in();
    client.ok("EXAMINE INBOX");
    for (number, content) in (1..).zip(&all) {
        // What we add stands before it.
        let expected = format!("Return-Path: <sender@example.com>\r\n{content}");
        let fetched = client.ok(format!("FETCH {number} (RFC822.SIZE BODY[])")).untagged.remove(0);
        let size = expected.len();
        let expected = format!("* {number} FETCH (RFC822.SIZE {size} BODY[] {{{size}}}\r\n{expected})");
        assert!(fetched == expected.as_bytes(), "{number}: byte for byte");
    }
}

fn sets_of_messages(mail: TestStore) {
    let server = Server::new(mail);
    for number in 0..5 {
        server.deliver(&format!("Subject: {number}\r\n\r\n"));
    }
    let mut client = server.sign_in();
    client.ok("SELECT INBOX");
    client.ok(r"STORE 2,4 +FLAGS.SILENT \Deleted");
    client.ok("EXPUNGE");
    // UIDs 1, 3, 5 are left.
    let mut asked = |command: &str| -> String {
        let answer = client.command(command);
        if !answer.tagged.starts_with("OK") {
            return answer.tagged[..3].to_owned();
        }
        let numbers = answer.untagged.iter().map(|line| {
            let line = String::from_utf8_lossy(line).into_owned();
            line[2..].split(' ').next().unwrap().to_owned()
        });
        numbers.collect::<Vec<_>>().join(" ")
    };
    for (set, by_number, by_uid) in [
        ("1", "1", "1"),
        ("2", "2", ""),
        ("1:*", "1 2 3", "1 2 3"),
        ("*:1", "1 2 3", "1 2 3"),
        ("*", "3", "3"),
        ("3,1", "1 3", "1 2"),
        ("1,1,1:2", "1 2", "1"),
        ("4", "BAD", ""),
        ("1:5", "BAD", "1 2 3"),
        ("100:*", "3", "3"),
        ("0", "BAD", "BAD"),
        ("1:", "BAD", "BAD"),
        ("4294967296", "BAD", "BAD"),
    ] {
        assert_eq!(asked(&format!("FETCH {set} UID")), by_number, "{set}");
        assert_eq!(asked(&format!("UID FETCH {set} UID")), by_uid, "UID {set}");
    }
}
