//! STARTTLS, and TLS from the first byte.

use hikyaku_testkit::{TestStore, both_engines};

use crate::client::Client;
use crate::server::Server;

both_engines! {
    nobody_signs_in_in_clear
    starttls
    what_was_sent_in_clear_behind_starttls_is_dropped
    tls_from_the_first_byte
}

fn nobody_signs_in_in_clear(mail: TestStore) {
    let server = Server::new(mail);
    crate::script::play(
        "S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE STARTTLS LOGINDISABLED] …
         C: a LOGIN ann@example.org secret
         S: a NO [PRIVACYREQUIRED] …
         C: b AUTHENTICATE PLAIN AGFubkBleGFtcGxlLm9yZwBzZWNyZXQ=
         S: b NO [PRIVACYREQUIRED] …
         C: c SELECT INBOX
         S: c BAD …",
        || Client::connect(server.strict),
    );
}

fn starttls(mail: TestStore) {
    let server = Server::new(mail);
    let mut client = Client::connect(server.strict);
    client.greeting();
    assert_eq!(client.ok("STARTTLS").tagged, "OK Begin TLS negotiation");
    client.start_tls(&server.authority);
    let offered = client.ok("CAPABILITY").untagged;
    assert_eq!(
        String::from_utf8_lossy(&offered[0]),
        "* CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE AUTH=PLAIN",
        "no STARTTLS any more"
    );
    assert!(client.command("STARTTLS").tagged.starts_with("BAD"), "once is enough");
    client.ok("LOGIN ann@example.org secret");
    client.append("INBOX", "Subject: hidden\r\n\r\nfrom all but ann\r\n");
    assert!(client.command("STARTTLS").tagged.starts_with("BAD"), "too late");
}

fn what_was_sent_in_clear_behind_starttls_is_dropped(mail: TestStore) {
    let server = Server::new(mail);
    let mut client = Client::connect(server.strict);
    client.greeting();
    // Anybody on the way can add this; it must not be answered as if it came under TLS.
    client.send(b"a STARTTLS\r\nb NOOP\r\nc LOGIN ann@example.org secret\r\n");
    let begin = client.response();
    assert!(begin.starts_with(b"a OK "));
    client.start_tls(&server.authority);
    let answer = client.ok("NOOP");
    assert!(answer.untagged.is_empty(), "{answer:?}");
    assert!(client.command("SELECT INBOX").tagged.starts_with("BAD"), "nobody has signed in");
}

fn tls_from_the_first_byte(mail: TestStore) {
    let server = Server::new(mail);
    let mut client = Client::connect(server.tls);
    client.start_tls(&server.authority);
    client.greeting();
    assert!(client.command("STARTTLS").tagged.starts_with("BAD"));
    client.ok("LOGIN ann@example.org secret");
    let content = format!("Subject: large\r\n\r\n{}", "0123456789abcdef\r\n".repeat(50_000));
    client.append("INBOX", &content);
    client.ok("SELECT INBOX");
    let fetched = client.ok("FETCH 1 BODY.PEEK[]").untagged.remove(0);
    let expected = format!("* 1 FETCH (BODY[] {{{}}}\r\n{content})", content.len());
    assert!(fetched == expected.as_bytes(), "byte for byte");
}
