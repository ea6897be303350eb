//! SEARCH, RFC 3501 section 6.4.4.

use hikyaku_testkit::{TestStore, both_engines};

use crate::server::Server;

both_engines! {
    what_each_key_finds
    charsets
    what_is_no_search
}

/// ISO-2022-JP in an encoded word and in the body: 会議 is in both, 明日 in the body.
const JAPANESE: &str = "From: =?ISO-2022-JP?B?GyRCRURDZhsoQg==?= <tanaka@example.com>\r\n\
    To: ann@example.org\r\n\
    Subject: =?ISO-2022-JP?B?GyRCMnE1RDw8GyhC?=\r\n\
    Date: Mon, 23 Nov 2026 23:30:00 -0500\r\n\
    MIME-Version: 1.0\r\n\
    Content-Type: text/plain; charset=ISO-2022-JP\r\n\
    \r\n\
    \x1b$BL@F|$N2q5D\x1b(B\r\n";
const ENCODED: &str = "From: Bob <bob@example.org>\r\n\
    Cc: carol@example.org\r\n\
    Bcc: dave@example.org\r\n\
    Subject: Caf=?utf-8?Q?=C3=89?= at nine\r\n\
    X-Colour: dark blue\r\n\
    Content-Type: text/html; charset=utf-8\r\n\
    Content-Transfer-Encoding: quoted-printable\r\n\
    \r\n\
    <p>Gr=C3=BC=C3=9Fe from the <b>caf=\r\n=C3=A9</b></p>\r\n";

fn server(mail: TestStore) -> Server {
    let server = Server::new(mail);
    let mut client = server.sign_in();
    client.append(r#"INBOX (\Seen) "20-Nov-2026 10:00:00 +0000""#, JAPANESE);
    client.append(r#"INBOX (\Flagged $Work) "21-Nov-2026 23:30:00 -0500""#, ENCODED);
    client.append("INBOX (\\Answered \\Draft)", &format!("Subject: long\r\n\r\n{}", "x".repeat(2_000)));
    client.append("INBOX (\\Deleted \\Seen)", "Subject: end\r\n\r\n");
    server
}

fn what_each_key_finds(mail: TestStore) {
    let server = server(mail);
    let mut client = server.sign_in();
    client.ok("EXAMINE INBOX");
    for (key, expected) in [
        ("ALL", "1 2 3 4"),
        ("SEEN", "1 4"),
        ("UNSEEN", "2 3"),
        ("FLAGGED", "2"),
        ("UNFLAGGED", "1 3 4"),
        ("ANSWERED", "3"),
        ("UNANSWERED", "1 2 4"),
        ("DELETED", "4"),
        ("UNDELETED", "1 2 3"),
        ("DRAFT", "3"),
        ("UNDRAFT", "1 2 4"),
        ("KEYWORD $work", "2"),
        ("UNKEYWORD $WORK", "1 3 4"),
        ("NEW", ""),
        ("RECENT", ""),
        ("OLD", "1 2 3 4"),
        // Days of the internal date, in UTC; the 21st 23:30 at -0500 is the 22nd there.
        ("BEFORE 20-Nov-2026", ""),
        ("ON 20-Nov-2026", "1"),
        ("ON 22-Nov-2026", "2"),
        ("SINCE 22-Nov-2026", "2 3 4"),
        ("BEFORE \"24-Nov-2026\"", "1 2"),
        // Days of the Date field, where its sender was.
        ("SENTON 23-Nov-2026", "1"),
        ("SENTBEFORE 24-Nov-2026", "1"),
        ("SENTSINCE 24-Nov-2026", ""),
        ("LARGER 2000", "3"),
        ("SMALLER 20", "4"),
        ("LARGER 2017", ""),
        ("2", "2"),
        ("1,3:*", "1 3 4"),
        ("UID 2:3", "2 3"),
        ("UID 2:3 SEEN", ""),
        ("NOT SEEN", "2 3"),
        ("OR SEEN FLAGGED", "1 2 4"),
        ("NOT (OR SEEN FLAGGED)", "3"),
        ("SEEN UNDELETED", "1"),
        ("(SEEN) (NOT DELETED)", "1"),
        ("FROM TANAKA", "1"),
        ("FROM example.org", "2"),
        ("TO ann", "1"),
        ("CC carol", "2"),
        ("BCC dave", "2"),
        ("SUBJECT \"at nine\"", "2"),
        ("SUBJECT \"AT NINE\"", "2"),
        ("HEADER X-COLOUR \"Dark\"", "2"),
        ("HEADER X-Colour \"\"", "2"),
        ("HEADER X-Nothing \"\"", ""),
        ("BODY \"from the\"", "2"),
        ("BODY long", ""),
        ("TEXT long", "3"),
        ("TEXT \"dark blue\"", "2"),
    ] {
        assert_eq!(found(&mut client, &format!("SEARCH {key}")), expected, "{key}");
        assert_eq!(found(&mut client, &format!("UID SEARCH {key}")), expected, "{key}");
    }
}

fn found(client: &mut crate::client::Client, command: &str) -> String {
    let answer = client.ok(command);
    let [line] = &answer.untagged[..] else { panic!("{command}: {answer:?}") };
    String::from_utf8_lossy(line.strip_prefix(b"* SEARCH").unwrap()).trim_start().to_owned()
}

fn charsets(mail: TestStore) {
    let server = server(mail);
    let mut client = server.sign_in();
    client.ok("EXAMINE INBOX");
    for (key, text, expected) in [
        ("SUBJECT", "会議", "1"),
        ("FROM", "田中", "1"),
        ("BODY", "明日", "1"),
        ("TEXT", "会議室", "1"),
        ("TEXT", "昨日", ""),
        ("SUBJECT", "café", "2"),
        ("BODY", "CAFÉ", "2"),
        ("BODY", "grüße", "2"),
        ("BODY", "GRÜSSE FROM", "2"),
        ("FROM", "ﾀﾅｶ", ""),
        ("SUBJECT", "ＣＡＦＥ", ""),
        ("SUBJECT", "ＡＴ　ＮＩＮＥ", "2"),
    ] {
        for charset in ["CHARSET UTF-8 ", "charset utf-8 "] {
            let command = format!("SEARCH {charset}{key} {{{}+}}\r\n{text}", text.len());
            assert_eq!(found(&mut client, &command), expected, "{key} {text}");
        }
    }
    server.check(
        r#"
        C: a EXAMINE INBOX
        S: * FLAGS …
        S: * 4 EXISTS
        S: * 0 RECENT
        S: * OK [PERMANENTFLAGS ()] …
        S: * OK [UNSEEN 2] …
        S: * OK [UIDVALIDITY …
        S: * OK [UIDNEXT 5] …
        S: * OK [HIGHESTMODSEQ …
        S: * OK [MAILBOXID …
        S: a OK …
        C: b SEARCH CHARSET KOI8-R TEXT "x"
        S: b NO [BADCHARSET (US-ASCII UTF-8)] …
        C: c SEARCH CHARSET UTF-8 TEXT {#}
        S: + …
        C> 会議\
        C:  UNSEEN
        S: * SEARCH
        S: c OK …
        C: d SEARCH CHARSET US-ASCII SUBJECT end
        S: * SEARCH 4
        S: d OK …
        "#,
    );
}

fn what_is_no_search(mail: TestStore) {
    let server = server(mail);
    let mut client = server.sign_in();
    client.ok("EXAMINE INBOX");
    let deep = format!("SEARCH {}ALL{}", "(".repeat(2_000), ")".repeat(2_000));
    let nots = format!("SEARCH {}ALL", "NOT ".repeat(10_000));
    for command in
        ["SEARCH", "SEARCH NONSENSE", "SEARCH ON 31-Feb-2026", "SEARCH OR SEEN", "SEARCH ()", &deep, &nots]
    {
        let answer = client.command(command);
        assert!(answer.tagged.starts_with("BAD"), "{}: {answer:?}", &command[..command.len().min(40)]);
    }
    assert_eq!(found(&mut client, "SEARCH SEEN"), "1 4");
}
