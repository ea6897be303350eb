//! What messages take of the memory, over all sessions: a server that has little. An account
//! may have a quarter of it, which is enough for one large message.

use std::time::Duration;

use hikyaku_imap_server::Mode;
use hikyaku_testkit::{TestStore, both_engines};

use crate::client::{Client, PATIENCE};
use crate::server::{MESSAGE_BYTES, Server};

both_engines! {
    an_append_waits_until_another_ends
    slow_appends_stay_within_the_memory
    an_append_that_finds_no_room_is_refused_and_the_connection_goes_on
    a_fetch_that_finds_no_room_is_refused_and_the_connection_goes_on
    a_search_that_finds_no_room_is_refused_and_the_connection_goes_on
    one_account_does_not_take_the_memory_of_others
    all_messages_of_one_append_count
    an_append_that_stops_ends_the_session
    a_client_that_never_reads_has_its_part_until_it_is_given_up
    who_does_nothing_has_nothing
}

/// All that the server has, in its steps of 64 KiB.
const WHOLE: u64 = 20 * (64 << 10);
/// A message of which there is room for one.
const LARGE: usize = 90_000;
/// What it takes: as it came and as it is stored, or as it was read and printed.
const ROOM: u64 = 3 * (64 << 10);

/// A server that lets commands wait for so long.
fn server(mail: TestStore, memory_wait: Duration) -> Server {
    let server = Server::with(mail, WHOLE, |mode| Mode { memory_wait, ..mode });
    assert_eq!(server.memory.taken_bytes(), 0);
    server
}

fn bob(server: &Server) -> Client {
    let mut client = server.connect();
    client.ok("LOGIN bob@example.org secret");
    client
}

fn large() -> String {
    format!("Subject: large\r\n\r\n{}", "0123456789abcdef".repeat(LARGE / 16))[..LARGE].to_owned()
}

/// Begins an APPEND that has memory, and sends half of its message.
fn begin_append(client: &mut Client) {
    client.send(format!("slow APPEND INBOX {{{LARGE}}}\r\n").as_bytes());
    assert_eq!(client.response(), b"+ Go on");
    client.send(&large().as_bytes()[..LARGE / 2]);
}

fn end_append(client: &mut Client) {
    client.send(&large().as_bytes()[LARGE / 2..]);
    client.send(b"\r\n");
    let answer = String::from_utf8(client.response()).expect("text");
    assert!(answer.starts_with("slow OK [APPENDUID "), "{answer}");
}

fn messages(client: &mut Client) -> String {
    client.ok("STATUS INBOX (MESSAGES)").untagged_text()
}

fn an_append_waits_until_another_ends(mail: TestStore) {
    let server = server(mail, PATIENCE);
    let (mut first, mut second) = (server.sign_in(), server.sign_in());
    begin_append(&mut first);
    second.send(format!("slow APPEND INBOX {{{LARGE}}}\r\n").as_bytes());
    end_append(&mut first);
    assert_eq!(second.response(), b"+ Go on");
    second.send(&large().as_bytes()[..LARGE / 2]);
    end_append(&mut second);
    assert_eq!(messages(&mut first), "* STATUS INBOX (MESSAGES 2)");
    assert_eq!((server.memory.taken_bytes(), server.memory.most_bytes()), (0, ROOM));
}

/// Clients that do not wait for the server, each slower than the one before.
fn slow_appends_stay_within_the_memory(mail: TestStore) {
    let server = server(mail, PATIENCE);
    let mut clients: Vec<Client> = (0..8).map(|_| server.sign_in()).chain([bob(&server)]).collect();
    for client in &mut clients {
        client.send(format!("slow APPEND INBOX {{{LARGE}+}}\r\n").as_bytes());
        client.send(&large().as_bytes()[..LARGE / 2]);
    }
    // Bob has a part of his own, whoever was first of ann's.
    end_append(&mut clients.pop().expect("bob's"));
    for client in &mut clients {
        client.send(&large().as_bytes()[LARGE / 2..]);
        client.send(b"\r\n");
    }
    for client in &mut clients {
        let answer = String::from_utf8(client.response()).expect("text");
        assert!(answer.starts_with("slow OK [APPENDUID "), "{answer}");
    }
    assert_eq!(messages(&mut clients[0]), "* STATUS INBOX (MESSAGES 8)");
    assert_eq!(server.memory.taken_bytes(), 0);
    assert!(server.memory.most_bytes() <= 2 * ROOM, "{}", server.memory.most_bytes());
}

fn an_append_that_finds_no_room_is_refused_and_the_connection_goes_on(mail: TestStore) {
    let server = server(mail, Duration::ZERO);
    let (mut slow, mut other) = (server.sign_in(), server.sign_in());
    begin_append(&mut slow);
    // Whoever waits is told before it sends; what others send is read and dropped.
    for plus in ["", "+"] {
        let content = if plus.is_empty() { String::new() } else { format!("\r\n{}", large()) };
        let refused = other.command(format!("APPEND INBOX {{{LARGE}{plus}}}{content}"));
        assert_eq!(refused.tagged, "NO [UNAVAILABLE] Server is busy, try again later");
    }
    other.ok("NOOP");
    end_append(&mut slow);
    other.append("INBOX", &large());
    assert_eq!(messages(&mut other), "* STATUS INBOX (MESSAGES 2)");
}

fn a_fetch_that_finds_no_room_is_refused_and_the_connection_goes_on(mail: TestStore) {
    let server = server(mail, Duration::ZERO);
    let (mut slow, mut other) = (server.sign_in(), server.sign_in());
    other.append("INBOX", "Subject: small\r\n\r\nx");
    for _ in 0..3 {
        other.append("INBOX", &large());
    }
    other.ok("SELECT INBOX");
    begin_append(&mut slow);
    // What fits is told before the command ends.
    let refused = other.command("FETCH 1:* BODY.PEEK[TEXT]");
    assert_eq!(refused.tagged, "NO [UNAVAILABLE] Server is busy, try again later");
    assert_eq!(refused.untagged_text(), "* 1 FETCH (BODY[TEXT] {1}\r\nx)");
    // What needs no message needs no memory.
    assert_eq!(other.ok("FETCH 2 (UID RFC822.SIZE)").untagged_text(), "* 2 FETCH (UID 2 RFC822.SIZE 90000)");
    end_append(&mut slow);
    let told = other.ok("FETCH 1:4 BODY.PEEK[TEXT]").lines();
    assert_eq!(told.iter().filter(|line| line.contains("FETCH (BODY[TEXT] ")).count(), 4);
}

fn a_search_that_finds_no_room_is_refused_and_the_connection_goes_on(mail: TestStore) {
    let server = server(mail, Duration::ZERO);
    let (mut slow, mut other) = (server.sign_in(), server.sign_in());
    other.append("INBOX", &large());
    other.ok("SELECT INBOX");
    begin_append(&mut slow);
    for command in ["SEARCH BODY nowhere", "SORT (SUBJECT) UTF-8 ALL", "THREAD REFERENCES UTF-8 ALL"] {
        let refused = other.command(command);
        assert_eq!(refused.tagged, "NO [UNAVAILABLE] Server is busy, try again later", "{command}");
        assert!(refused.untagged.is_empty(), "{command}: {}", refused.untagged_text());
    }
    end_append(&mut slow);
    assert!(other.ok("SEARCH BODY abcdef").lines().contains(&"* SEARCH 1".to_owned()));
}

fn one_account_does_not_take_the_memory_of_others(mail: TestStore) {
    let server = server(mail, Duration::ZERO);
    let (mut first, mut second, mut bob) = (server.sign_in(), server.sign_in(), bob(&server));
    begin_append(&mut first);
    let refused = second.command(format!("APPEND INBOX {{{LARGE}}}"));
    assert_eq!(refused.tagged, "NO [UNAVAILABLE] Server is busy, try again later");
    bob.append("INBOX", &large());
    bob.ok("SELECT INBOX");
    assert_eq!(bob.ok("FETCH 1 BODY[]").untagged.len(), 1);
    end_append(&mut first);
}

fn all_messages_of_one_append_count(mail: TestStore) {
    let server = server(mail, Duration::ZERO);
    let mut client = server.sign_in();
    let half = "x".repeat(LARGE / 2);
    client.send(format!("many APPEND INBOX {{{}+}}\r\n{half} {{{}}}\r\n", half.len(), half.len()).as_bytes());
    assert_eq!(client.response(), b"+ Go on");
    assert_eq!(server.memory.taken_bytes(), ROOM);
    client.send(format!("{half}\r\n").as_bytes());
    let answer = String::from_utf8(client.response()).expect("text");
    assert!(answer.starts_with("many OK [APPENDUID "), "{answer}");
    assert_eq!(server.memory.taken_bytes(), 0);
}

/// It would have its part of the memory for as long as it likes.
fn an_append_that_stops_ends_the_session(mail: TestStore) {
    let second = Duration::from_secs(1);
    let server = Server::with(mail, WHOLE, |mode| Mode { stalled: second, memory_wait: PATIENCE, ..mode });
    let (mut stopped, mut next) = (server.sign_in(), server.sign_in());
    begin_append(&mut stopped);
    assert_eq!(server.memory.taken_bytes(), ROOM);
    next.append("INBOX", &large());
    assert_eq!(stopped.response(), b"* BYE Connection was idle for too long");
    assert_eq!(stopped.line(), None);
    assert_eq!(messages(&mut next), "* STATUS INBOX (MESSAGES 1)");
    assert_eq!(server.memory.taken_bytes(), 0);
}

fn a_client_that_never_reads_has_its_part_until_it_is_given_up(mail: TestStore) {
    let second = Duration::from_secs(1);
    let server = Server::with(mail, WHOLE, |mode| Mode { stalled: second, memory_wait: PATIENCE, ..mode });
    let (mut silent, mut other) = (server.sign_in(), bob(&server));
    let asked = 400;
    silent.append("INBOX", &large());
    silent.ok("SELECT INBOX");
    silent.send("a FETCH 1 BODY.PEEK[]\r\n".repeat(asked).as_bytes());
    // Bob is served from his own part meanwhile.
    other.append("INBOX", &large());
    other.ok("SELECT INBOX");
    assert_eq!(other.ok("FETCH 1 BODY[]").untagged.len(), 1);
    server.until_sessions_are(1);
    assert_eq!(server.memory.taken_bytes(), 0);
    assert!(server.memory.most_bytes() <= 2 * ROOM, "{}", server.memory.most_bytes());
    assert!(silent.drain() < asked * LARGE / 2, "it was given up");
}

fn who_does_nothing_has_nothing(mail: TestStore) {
    let server = server(mail, PATIENCE);
    let mut client = server.sign_in();
    for _ in 0..4 {
        client.append("INBOX", &large()[..MESSAGE_BYTES as usize / 4]);
    }
    client.ok("SELECT INBOX");
    client.ok("FETCH 1:* (BODY.PEEK[] BODYSTRUCTURE)");
    client.ok("SEARCH TEXT nowhere");
    client.send(b"a IDLE\r\n");
    assert_eq!(client.response(), b"+ idling");
    assert_eq!(server.memory.taken_bytes(), 0);
    assert!(server.memory.most_bytes() > 0);
}
