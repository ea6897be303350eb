//! Clients that want to do harm: what they may cost is bounded, and the sessions of others go on.
//!
//! Memory is that of the whole process, server and client together: each test has a process of
//! its own.

use hikyaku_testkit::{TestStore, both_engines};

use crate::client::Client;
use crate::server::Server;

both_engines! {
    fifty_megabytes_of_one_line
    literal_bombs
    nesting
    a_client_that_never_reads
    a_flood_of_commands
    a_handshake_that_stops
    silence_before_sign_in
}

/// More than buffers of sockets, TLS and both ends take, and much less than is sent.
const SLACK: usize = 16 << 20;

/// Resident memory of this process in bytes: its highest so far.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("this is Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
    line.trim_end_matches("kB").trim().parse::<usize>().expect("a number") * 1024
}

fn told(client: &mut Client) -> String {
    String::from_utf8(client.response()).expect("text")
}

fn fifty_megabytes_of_one_line(mail: TestStore) {
    let server = Server::new(mail);
    let mut client = server.sign_in();
    let piece = vec![b'x'; 64 << 10];
    let before = peak();
    client.send(b"a LIST \"\" ");
    for _ in 0..800 {
        client.send(&piece);
    }
    client.send(b"\r\nb NOOP\r\n");
    assert_eq!(told(&mut client), "a BAD Command line is too long");
    assert_eq!(told(&mut client), "b OK NOOP completed");
    let grown = peak() - before;
    assert!(grown < SLACK, "{grown} bytes");
}

fn literal_bombs(mail: TestStore) {
    let server = Server::new(mail);
    let mut client = server.sign_in();
    let before = peak();
    for (command, answer) in [
        ("SELECT {4294967295}", "BAD [TOOBIG] Literal is too large"),
        ("SELECT {18446744073709551616}", "BAD [TOOBIG] Literal is too large"),
        ("APPEND INBOX {4294967295}", "NO [TOOBIG] Message is too big"),
        ("APPEND INBOX ~{99999999999999999999999}", "NO [TOOBIG] Message is too big"),
    ] {
        assert_eq!(client.command(command).tagged, answer, "{command}");
    }
    // Many that are small.
    let many = format!("SEARCH {}ALL", "SUBJECT {1000+}\r\n".to_owned() + &"x".repeat(1000) + " ");
    client.ok("SELECT INBOX");
    client.ok(many.as_str());
    let bomb = format!("SEARCH {}ALL", format!("SUBJECT {{1000+}}\r\n{} ", "x".repeat(1000)).repeat(100));
    assert_eq!(client.command(bomb).tagged, "BAD [TOOBIG] Literal is too large");
    client.ok("NOOP");
    // Announced, and not waited for: nobody reads as much to keep in step.
    for bomb in ["SELECT {4294967295+}", "APPEND INBOX {4294967295+}", "SELECT {99999999999999999999+}"] {
        let mut client = server.sign_in();
        client.send(format!("a {bomb}\r\n").as_bytes());
        assert_eq!(told(&mut client), "* BYE [CLIENTBUG] Too much data", "{bomb}");
        assert_eq!(client.line(), None);
    }
    let grown = peak() - before;
    assert!(grown < SLACK, "{grown} bytes");
    assert_eq!(server.memory.most_bytes(), 0, "what is only announced takes nothing");
}

fn nesting(mail: TestStore) {
    let server = Server::new(mail);
    server.deliver("Subject: x\r\n\r\nx\r\n");
    let mut client = server.sign_in();
    client.ok("SELECT INBOX");
    let (many, before) = (20_000, peak());
    for command in [
        format!("SEARCH {}ALL{}", "(".repeat(many), ")".repeat(many)),
        format!("SEARCH {}ALL", "NOT ".repeat(10_000)),
        format!("SEARCH {}ALL", "OR ALL ".repeat(9_000)),
        format!("SEARCH {}ALL{}", "OR (".repeat(9_000), ") ALL".repeat(3_000)),
        format!("FETCH 1 {}", "(".repeat(many)),
        format!("FETCH 1 BODY[{}]", "1.".repeat(many)),
        format!("STORE 1 FLAGS {}", "(".repeat(many)),
        format!("STORE 1 FLAGS ({})", (0..8_000).map(|number| format!("k{number} ")).collect::<String>()),
        format!("LIST \"\" ({})", "* ".repeat(many)),
        format!("ID ({})", "\"a\" NIL ".repeat(6_000)),
        format!("STATUS INBOX ({})", "UNSEEN ".repeat(8_000)),
    ] {
        let answer = client.command(&command);
        assert!(answer.tagged.starts_with("BAD "), "{:.30}: {}", command, answer.tagged);
        client = server.sign_in();
        client.ok("SELECT INBOX");
    }
    // As deep and as many as anybody needs.
    assert_eq!(client.ok("SEARCH NOT NOT (OR (OR ALL (SEEN)) (NOT SEEN))").untagged_text(), "* SEARCH 1");
    let set: String = (1..9_000).map(|number| format!("{},", number * 2)).collect();
    assert_eq!(client.ok(format!("UID SEARCH UID {set}1")).untagged_text(), "* SEARCH 1");
    let grown = peak() - before;
    assert!(grown < SLACK, "{grown} bytes");
}

fn a_client_that_never_reads(mail: TestStore) {
    let server = Server::impatient(mail);
    let (mut client, mut other) = (server.sign_in(), server.sign_in());
    client.append("INBOX", &"0123456789abcdef".repeat(6_000));
    client.ok("SELECT INBOX");
    // The first of them warms what stays warm.
    client.ok("FETCH 1 BODY.PEEK[]");
    let before = peak();
    let asked = 1_000;
    client.send("a FETCH 1 BODY.PEEK[]\r\n".repeat(asked).as_bytes());
    // Others have not to wait while the server does.
    other.ok("SELECT INBOX");
    other.ok("FETCH 1 BODY.PEEK[]");
    server.until_sessions_are(1);
    let grown = peak() - before;
    assert!(grown < SLACK, "{grown} bytes");
    // Two messages as read and printed, in whole steps, for each of both clients.
    let most = server.memory.most_bytes();
    assert!(most <= 4 * 4 * (64 << 10), "{most} bytes");
    let taken = client.drain();
    assert!(taken < asked * 96_000 / 2, "{taken} bytes were in buffers");
    other.ok("NOOP");
}

fn a_flood_of_commands(mail: TestStore) {
    let server = Server::new(mail);
    let mut client = server.sign_in();
    let count = 20_000;
    let before = peak();
    let flood: String = (0..count).map(|number| format!("f{number} NOOP\r\n")).collect();
    // Larger than the buffers of both directions: whoever sends must read.
    let mut writer = client.writer();
    let sender = std::thread::spawn(move || std::io::Write::write_all(&mut writer, flood.as_bytes()));
    for number in 0..count {
        assert_eq!(told(&mut client), format!("f{number} OK NOOP completed"));
    }
    sender.join().expect("the sender ends").expect("the server takes it");
    let grown = peak() - before;
    assert!(grown < SLACK, "{grown} bytes");
}

fn a_handshake_that_stops(mail: TestStore) {
    let server = Server::impatient(mail);
    // Nothing, and the beginning of a ClientHello.
    for beginning in [&b""[..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"] {
        let mut client = Client::connect(server.tls);
        client.send(beginning);
        assert_eq!(client.drain(), 0);
    }
    let mut client = Client::connect(server.strict);
    client.greeting();
    client.ok("STARTTLS");
    client.send(b"\x16");
    assert_eq!(client.drain(), 0);
    server.until_sessions_are(0);
}

fn silence_before_sign_in(mail: TestStore) {
    let server = Server::impatient(mail);
    let mut client = server.connect();
    // Bytes that make no command do not help.
    client.send(b"a LOGIN {100}\r\n");
    assert_eq!(told(&mut client), "+ Go on");
    assert_eq!(told(&mut client), "* BYE Connection was idle for too long");
    assert_eq!(client.line(), None);
}
