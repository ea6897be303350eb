//! COMPRESS=DEFLATE (RFC 4978) and UNAUTHENTICATE (RFC 8437).

use hikyaku_imap_proto::deflate::{Deflater, Flush};
use hikyaku_testkit::{TestStore, both_engines};

use crate::client::Client;
use crate::server::{ERRORS, Server, check};

both_engines! {
    compress_has_one_mechanism_and_comes_once
    everything_passes_compressed
    compression_under_tls
    what_follows_the_command_is_compressed
    bytes_that_are_not_deflate_end_the_session
    a_compressed_flood_is_a_long_line
    a_compressed_message_is_no_larger_than_others
    unauthenticate_forgets_everything
    unauthenticate_ends_compression
    unauthenticate_with_the_next_sign_in_behind_it
    compressed_bytes_behind_unauthenticate_end_the_session
}

fn compressed(server: &Server) -> Client {
    let mut client = server.sign_in();
    client.ok("COMPRESS DEFLATE");
    client.compress();
    client
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Deflater::default().deflate(bytes, Flush::Yes, &mut out);
    out
}

fn compress_has_one_mechanism_and_comes_once(mail: TestStore) {
    let server = Server::new(mail);
    let mut nobody = server.connect();
    assert_eq!(nobody.command("COMPRESS DEFLATE").tagged, "BAD Command is not allowed now");
    let mut client = server.sign_in();
    assert_eq!(client.command("COMPRESS ZSTD").tagged, "BAD Compression mechanism is not supported");
    assert!(client.ok("CAPABILITY").untagged_text().contains(" COMPRESS=DEFLATE"));
    assert_eq!(client.ok("compress deflate").tagged, "OK Begin compression");
    client.compress();
    let again = client.command("COMPRESS DEFLATE").tagged;
    assert_eq!(again, "NO [COMPRESSIONACTIVE] Connection is compressed already");
    assert!(!client.ok("CAPABILITY").untagged_text().contains("COMPRESS="), "offered once");
}

fn everything_passes_compressed(mail: TestStore) {
    let server = Server::new(mail);
    let mut client = compressed(&server);
    // Longer than any buffer, and nearly as large when it is compressed.
    let mut noise = 1u32;
    let line = |_| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        format!("{noise:x}\r\n")
    };
    let content = format!("Subject: compressed\r\n\r\n{}", (0..9_000).map(line).collect::<String>());
    client.append("INBOX", &content);
    client.ok("SELECT INBOX");
    let fetched = client.ok("FETCH 1 BODY.PEEK[]").untagged.remove(0);
    let expected = format!("* 1 FETCH (BODY[] {{{}}}\r\n{content})", content.len());
    assert!(fetched == expected.as_bytes(), "byte for byte");
    // In both directions while idling.
    client.send(b"x IDLE\r\n");
    assert_eq!(client.response(), b"+ idling");
    server.deliver("Subject: new\r\n\r\n");
    assert_eq!(client.response(), b"* 2 EXISTS");
    assert_eq!(client.response(), b"* 0 RECENT");
    client.send(b"DONE\r\n");
    assert_eq!(client.response(), b"x OK IDLE completed");
    let bye = client.ok("LOGOUT").untagged_text();
    assert!(bye.starts_with("* BYE"), "{bye}");
    assert_eq!(client.line(), None);
}

fn compression_under_tls(mail: TestStore) {
    let server = Server::new(mail);
    let mut client = Client::connect(server.tls);
    client.start_tls(&server.authority);
    client.greeting();
    client.ok("LOGIN ann@example.org secret");
    client.ok("COMPRESS DEFLATE");
    client.compress();
    assert_eq!(client.ok("STATUS INBOX (MESSAGES)").untagged_text(), "* STATUS INBOX (MESSAGES 0)");
}

fn what_follows_the_command_is_compressed(mail: TestStore) {
    // RFC 4978 section 3 forbids it; a client that does it means this.
    let server = Server::new(mail);
    let mut client = server.sign_in();
    client.send(&[b"a COMPRESS DEFLATE\r\n", deflated(b"b NOOP\r\n").as_slice()].concat());
    assert_eq!(client.response(), b"a OK Begin compression");
    client.compress();
    assert_eq!(client.response(), b"b OK NOOP completed");
}

fn bytes_that_are_not_deflate_end_the_session(mail: TestStore) {
    let server = Server::new(mail);
    let mut client = server.sign_in();
    client.ok("COMPRESS DEFLATE");
    client.send(b"n NOOP\r\n");
    client.compress();
    assert_eq!(client.line(), None);
}

fn a_compressed_flood_is_a_long_line(mail: TestStore) {
    let server = Server::new(mail);
    let mut client = server.sign_in();
    client.ok("COMPRESS DEFLATE");
    // 50 MB of one line, and then too much of another.
    let mut flood = Vec::new();
    let mut deflater = Deflater::default();
    deflater.deflate(b"a LIST \"\" ", Flush::No, &mut flood);
    for _ in 0..50 {
        deflater.deflate(&[b'x'; 1 << 20], Flush::No, &mut flood);
    }
    deflater.deflate(b"\r\nb NOOP\r\nc LIST \"\" ", Flush::No, &mut flood);
    for _ in 0..300 {
        deflater.deflate(&[b'x'; 1 << 20], Flush::No, &mut flood);
    }
    deflater.deflate(b"\r\n", Flush::Yes, &mut flood);
    assert!(flood.len() < 2 << 20, "{}", flood.len());
    client.send(&flood);
    client.compress();
    for expected in
        ["a BAD Command line is too long", "b OK NOOP completed", "* BYE [CLIENTBUG] Too much data"]
    {
        assert_eq!(String::from_utf8(client.response()).unwrap(), expected);
    }
    assert_eq!(client.line(), None);
}

fn a_compressed_message_is_no_larger_than_others(mail: TestStore) {
    let server = Server::new(mail);
    let mut client = compressed(&server);
    let message = "x".repeat(200_000);
    let answer = client.command(format!("APPEND INBOX {{{}+}}\r\n{message}", message.len()));
    assert_eq!(answer.tagged, "NO [TOOBIG] Message is too big");
    for _ in 0..ERRORS {
        client.ok("NOOP");
    }
}

fn unauthenticate_forgets_everything(mail: TestStore) {
    check(
        mail,
        r"
        C: a ENABLE IMAP4rev2 QRESYNC
        S: * ENABLED IMAP4rev2 CONDSTORE QRESYNC
        S: a OK ENABLE completed
        C: A SELECT INBOX
        S: * LIST …
        S: * FLAGS …
        S: * 0 EXISTS
        S: * OK [PERMANENTFLAGS …
        S: * OK [UIDVALIDITY …
        S: * OK [UIDNEXT …
        S: * OK [HIGHESTMODSEQ …
        S: * OK [MAILBOXID …
        S: A OK …
        C: b UNAUTHENTICATE
        S: b OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE STARTTLS AUTH=PLAIN…] UNAUTHENTICATE completed
        C: c NOOP
        S: c OK …
        C: d SELECT INBOX
        S: d BAD Command is not allowed now
        C: e UNAUTHENTICATE
        S: e BAD Command is not allowed now
        C: f LOGIN bob@example.org secret
        S: f OK [CAPABILITY … UNAUTHENTICATE COMPRESS=DEFLATE …] Signed in
        C: g FETCH 1 FLAGS
        S: g BAD Command is not allowed now
        C: h SELECT INBOX
        S: * FLAGS …
        S: * 0 EXISTS
        S: * 0 RECENT
        S: * OK [PERMANENTFLAGS …
        S: * OK [UIDVALIDITY …
        S: * OK [UIDNEXT …
        S: * OK [HIGHESTMODSEQ …
        S: * OK [MAILBOXID …
        S: h OK …
        ",
    );
}

fn unauthenticate_ends_compression(mail: TestStore) {
    let server = Server::new(mail);
    let mut client = compressed(&server);
    client.ok("UNAUTHENTICATE");
    client.end_compression();
    client.ok("LOGIN bob@example.org secret");
    assert!(client.ok("CAPABILITY").untagged_text().contains(" COMPRESS=DEFLATE"), "it may begin again");
    client.ok("COMPRESS DEFLATE");
    client.compress();
    client.ok("NOOP");
}

fn unauthenticate_with_the_next_sign_in_behind_it(mail: TestStore) {
    // RFC 8437 section 3 allows it; the second command is not compressed.
    let server = Server::new(mail);
    let both = [deflated(b"a UNAUTHENTICATE\r\n").as_slice(), b"b LOGIN bob@example.org secret\r\n"].concat();
    for split in [1, 7, both.len() - 40, both.len() - 33, both.len() - 32, both.len() - 1, both.len()] {
        let mut client = server.sign_in();
        client.ok("COMPRESS DEFLATE");
        let (first, second) = both.split_at(split);
        client.send(first);
        client.send(second);
        client.compress();
        let first = client.response();
        assert!(first.starts_with(b"a OK [CAPABILITY "), "{}", first.escape_ascii());
        client.end_compression();
        let second = client.response();
        assert!(second.starts_with(b"b OK [CAPABILITY "), "{}", second.escape_ascii());
    }
}

fn compressed_bytes_behind_unauthenticate_end_the_session(mail: TestStore) {
    let server = Server::new(mail);
    let mut client = compressed(&server);
    client.send(b"a UNAUTHENTICATE\r\nb NOOP\r\n");
    assert!(client.response().starts_with(b"a OK "));
    assert_eq!(client.line(), None);
}
