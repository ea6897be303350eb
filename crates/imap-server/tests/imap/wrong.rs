//! Commands that are wrong, and clients that send nothing else.

use hikyaku_testkit::{TestStore, both_engines};

use crate::client::Client;
use crate::server::{ERRORS, Server, check};

both_engines! {
    wrong_commands_have_their_tag
    every_command_has_its_states
    too_many_mistakes_end_the_session
    too_many_wrong_passwords_end_the_session
    long_lines_and_literals
    the_session_stays_in_step
    idle_ends_with_done
}

fn wrong_commands_have_their_tag(mail: TestStore) {
    check(
        mail,
        r"
        C: a NONSENSE
        S: a BAD Unknown command
        C: b SELECT
        S: b BAD Syntax error: …
        C: c UID
        S: c BAD …
        C: d NOOP now
        S: d BAD …
        C:
        S: * BAD …
        C: * NOOP
        S: * BAD …
        C: e NOOP
        S: e OK …
        ",
    );
}

fn every_command_has_its_states(mail: TestStore) {
    let server = Server::new(mail);
    let (mut nobody, mut ann) = (server.connect(), server.sign_in());
    for command in [
        "CHECK",
        "CLOSE",
        "UNSELECT",
        "EXPUNGE",
        "UID EXPUNGE 1",
        "SEARCH ALL",
        "FETCH 1 FLAGS",
        "STORE 1 FLAGS ()",
        "COPY 1 Sent",
    ] {
        let answer = ann.command(command).tagged;
        assert_eq!(answer, "BAD Command is not allowed now", "{command}");
        ann = server.sign_in();
    }
    for command in ["SELECT INBOX", "LIST \"\" *", "IDLE", "APPEND INBOX {3+}\r\nabc", "ENABLE X", "CREATE x"]
    {
        assert_eq!(nobody.command(command).tagged, "BAD Command is not allowed now", "{command}");
    }
    assert_eq!(ann.command("LOGIN a b").tagged, "BAD Command is not allowed now");
}

fn ends(mut client: Client, command: &str, answer: &str) {
    for number in 0..ERRORS {
        let told = client.command(command);
        assert!(told.tagged.starts_with(answer) && told.untagged.is_empty(), "{number}: {told:?}");
    }
    client.send(format!("last {command}\r\n").as_bytes());
    let (last, bye) = (client.response(), client.response());
    assert!(last.starts_with(format!("last {answer}").as_bytes()), "{}", String::from_utf8_lossy(&last));
    assert!(bye.starts_with(b"* BYE [CLIENTBUG] "), "{}", String::from_utf8_lossy(&bye));
    assert_eq!(client.line(), None);
}

fn too_many_mistakes_end_the_session(mail: TestStore) {
    let server = Server::new(mail);
    ends(server.connect(), "HELO example.org", "BAD");
    ends(server.sign_in(), "HELO example.org", "BAD");
}

fn too_many_wrong_passwords_end_the_session(mail: TestStore) {
    ends(Server::new(mail).connect(), "LOGIN ann@example.org guess", "NO [AUTHENTICATIONFAILED]");
}

fn long_lines_and_literals(mail: TestStore) {
    let server = Server::new(mail);
    let mut client = server.sign_in();
    let long = client.command(format!("SELECT {}", "x".repeat(100_000)));
    assert_eq!(long.tagged, "BAD Command line is too long");
    let waiting = client.command("SELECT {100000}");
    assert_eq!(waiting.tagged, "BAD [TOOBIG] Literal is too large");
    let sent = client.command(format!("SELECT {{100000+}}\r\n{}", "x".repeat(100_000)));
    assert_eq!(sent.tagged, "BAD [TOOBIG] Literal is too large");
    // More than anybody would read only to drop it.
    client.send(b"a APPEND INBOX {99999999999+}\r\n");
    let bye = client.response();
    assert!(bye.starts_with(b"* BYE [CLIENTBUG] "), "{}", String::from_utf8_lossy(&bye));
}

fn the_session_stays_in_step(mail: TestStore) {
    // Many commands in one write, wrong ones and literals among them, are answered in order.
    let server = Server::new(mail);
    let mut client = server.sign_in();
    client.send(
        b"a NOOP\r\nb APPEND nowhere {6+}\r\nx NOOP\r\nc NONSENSE {6+}\r\ny NOOP\r\nd APPEND INBOX {8+}\r\n\
          z NOOP\r\n\r\ne STATUS INBOX (MESSAGES)\r\n",
    );
    for expected in
        ["a OK", "b NO [TRYCREATE]", "c BAD", "d OK [APPENDUID", "* STATUS INBOX (MESSAGES 1)", "e OK"]
    {
        let read = client.response();
        assert!(read.starts_with(expected.as_bytes()), "{expected}: {}", String::from_utf8_lossy(&read));
    }
}

fn idle_ends_with_done(mail: TestStore) {
    check(
        mail,
        r"
        C: a IDLE
        S: + idling
        C: done
        S: a OK IDLE completed
        C: b IDLE
        S: + idling
        C: c NOOP
        S: b BAD Expected DONE
        C: d NOOP
        S: d OK …
        ",
    );
}
