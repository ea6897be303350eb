//! One tenant or source under flood, and how the others fare.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hikyaku_net::Limits;
use hikyaku_smtp_proto::settings::Deadlines;
use hikyaku_smtp_server::Limits as Shared;
use hikyaku_testkit::{TestStore, both_engines};

use crate::rig::client::Client;
use crate::rig::{Server, Setup, accepted};

both_engines! {
    slow_clients_of_one_tenant_leave_the_others_alone
    a_flood_on_one_tenant_is_not_felt_by_another
    without_need_nobody_is_refused
    one_source_cannot_have_everything
    who_resets_gives_back
    who_guesses_addresses_is_cut_off
    guesses_wait
    a_transaction_has_an_end
    a_line_must_come_to_its_end
    a_proxied_client_is_the_client
}

/// A message to `to` from a source; the reply that ended it.
fn send(client: &mut Client, to: &str, content: &str) -> String {
    client.talk("C: MAIL FROM:<a@client.example>\nS: 250 2.1.0 Sender OK");
    client.talk(&format!("C: RCPT TO:<{to}>"));
    let reply = client.line();
    if !reply.starts_with("250") {
        client.talk("C: RSET\nS: 250 2.0.0 OK");
        return reply;
    }
    client.talk(&format!("C: DATA\nS: 354 End with <CRLF>.<CRLF>\nC: {content}\nC: ."));
    client.line()
}

/// Opens a mail transaction and leaves it open; the reply to RCPT.
fn open(client: &mut Client, to: &str) -> String {
    client.talk(&format!("C: MAIL FROM:<a@client.example>\nS: 250 2.1.0 Sender OK\nC: RCPT TO:<{to}>"));
    client.line()
}

fn host(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, u8::try_from(number).unwrap())
}

const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const BUSY: &str = "451 4.3.2 Too much mail for this recipient now, try again later";

fn slow_clients_of_one_tenant_leave_the_others_alone(mail: TestStore) {
    let shared = Shared { transactions: 32, ..Setup::default().shared };
    let server = Server::start_with(mail, Setup { shared, ..Setup::default() });
    let mut slow: Vec<Client> = (0..64).map(|n| Client::hello_from(server.proxied_mx, host(n))).collect();
    let replies: Vec<String> = slow.iter_mut().map(|client| open(client, "ann@example.org")).collect();
    assert_eq!(replies.iter().filter(|reply| *reply == "250 2.1.5 Recipient OK").count(), 16, "half of all");
    assert_eq!(replies.iter().filter(|reply| *reply == BUSY).count(), 48);

    // The same customer is told to wait, on every address; the other one is served.
    let mut neighbour = Client::hello_from(server.proxied_mx, NEIGHBOUR);
    for n in 0..20 {
        accepted(&send(&mut neighbour, "carol@example.net", &format!("Subject: {n}")));
        assert_eq!(send(&mut neighbour, "bob@example.org", "Subject: x"), BUSY);
    }
    // Who leaves makes room.
    slow.truncate(10);
    crate::rig::wait_for("room", || send(&mut neighbour, "bob@example.org", "Subject: y").starts_with("250"));
    assert_eq!(server.inbox("carol@example.net").len(), 20);
    drop((slow, neighbour));
    server.end();
}

/// 64 connections send to one tenant as fast as they can while another one gets its mail.
fn a_flood_on_one_tenant_is_not_felt_by_another(mail: TestStore) {
    let shared = Shared { transactions: 32, ..Setup::default().shared };
    let server = Server::start_with(mail, Setup { shared, ..Setup::default() });
    let (address, is_over) = (server.proxied_mx, AtomicBool::new(false));
    std::thread::scope(|scope| {
        for n in 0..64 {
            let is_over = &is_over;
            scope.spawn(move || {
                let mut client = Client::hello_from(address, host(n));
                for mail in 0..90 {
                    let reply = send(&mut client, "ann@example.org", &format!("Subject: {n} {mail}"));
                    assert!(reply.starts_with("250 2.0.0") || reply == BUSY, "{reply}");
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
        }
        let mut neighbour = Client::hello_from(address, NEIGHBOUR);
        for n in 0..30 {
            accepted(&send(&mut neighbour, "carol@example.net", &format!("Subject: {n}")));
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(server.inbox("carol@example.net").len(), 30);
    server.end();
}

fn without_need_nobody_is_refused(mail: TestStore) {
    let server = Server::start(mail);
    let mut slow: Vec<Client> = (0..64).map(|n| Client::hello_from(server.proxied_mx, host(n))).collect();
    for client in &mut slow {
        assert_eq!(open(client, "ann@example.org"), "250 2.1.5 Recipient OK");
    }
    drop(slow);
    server.end();
}

fn one_source_cannot_have_everything(mail: TestStore) {
    let shared = Shared { transactions: 32, ..Setup::default().shared };
    let server = Server::start_with(mail, Setup { shared, ..Setup::default() });
    let mut clients: Vec<Client> = (0..9).map(|_| Client::hello_from(server.proxied_mx, host(1))).collect();
    let replies: Vec<String> = clients.iter_mut().map(|client| open(client, "ann@example.org")).collect();
    assert_eq!(replies[7], "250 2.1.5 Recipient OK");
    assert_eq!(replies[8], "450 4.7.1 Too much for now, try again later");
    accepted(&send(&mut Client::hello_from(server.proxied_mx, host(2)), "ann@example.org", "Subject: x"));
    drop(clients);
    server.end();
}

fn who_resets_gives_back(mail: TestStore) {
    let shared = Shared { transactions: 8, ..Setup::default().shared };
    let server = Server::start_with(mail, Setup { shared, ..Setup::default() });
    let mut clients: Vec<Client> = (0..9).map(|n| Client::hello_from(server.proxied_mx, host(n))).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        assert_eq!(open(client, "ann@example.org"), "250 2.1.5 Recipient OK", "{n}");
        if n % 2 == 0 {
            client.talk("C: RSET\nS: 250 2.0.0 OK");
        } else {
            client.ehlo();
        }
        // The reply is sent before the session waits and gives back; the next command is not.
        client.talk("C: NOOP\nS: 250 2.0.0 OK");
    }
    drop(clients);
    server.end();
}

fn who_guesses_addresses_is_cut_off(mail: TestStore) {
    let shared = Shared { refused_each: 12, refused_at_once: 100, ..Setup::default().shared };
    let server = Server::start_with(mail, Setup { shared, ..Setup::default() });
    let mut client = Client::hello_from(server.proxied_mx, host(1));
    client.talk("C: MAIL FROM:<a@client.example>\nS: 250 2.1.0 Sender OK");
    for n in 0..12 {
        client.talk(&format!("C: RCPT TO:<guess{n}@example.org>\nS: 550 5.1.1 No such mailbox"));
    }
    // From now on each guess costs a connection, while mail for real addresses comes in.
    client.talk("C: RCPT TO:<ann@example.org>\nS: 250 2.1.5 Recipient OK");
    client.talk("C: RCPT TO:<guess@example.org>\nS: 421 4.7.0 Too many refused recipients");
    client.expect_end();
    let mut again = Client::hello_from(server.proxied_mx, host(1));
    accepted(&send(&mut again, "ann@example.org", "Subject: x"));
    open(&mut again, "guess@example.org");
    again.expect_end();
    let mut other = Client::hello_from(server.proxied_mx, host(2));
    assert_eq!(open(&mut other, "guess@example.org"), "550 5.1.1 No such mailbox");
    drop(other);
    server.end();
}

fn guesses_wait(mail: TestStore) {
    // They wait for longer than we do for any answer, so that no clock is needed to see it.
    let shared =
        Shared { refused_at_once: 1, refusal_delay: Duration::from_secs(3600), ..Setup::default().shared };
    let deadlines = Deadlines { answer: Duration::from_millis(500), ..Deadlines::default() };
    let server = Server::start_with(mail, Setup { shared, deadlines, ..Setup::default() });
    let mut client = Client::hello(server.mx);
    client.talk(
        "C: MAIL FROM:<a@client.example>
         S: 250 2.1.0 Sender OK
         C: RCPT TO:<guess1@example.org>
         S: 550 5.1.1 No such mailbox
         C: RCPT TO:<guess2@example.org>
         S: 451 4.3.0 Try again later
         C: RCPT TO:<ann@example.org>
         S: 250 2.1.5 Recipient OK",
    );
    drop(client);
    server.end();
}

fn a_transaction_has_an_end(mail: TestStore) {
    let deadlines = Deadlines { transaction: Duration::ZERO, ..Deadlines::default() };
    let server = Server::start_with(mail, Setup { deadlines, ..Setup::default() });
    let mut client = Client::hello(server.mx);
    client.talk(
        "C: NOOP
         S: 250 2.0.0 OK
         C: MAIL FROM:<a@client.example>
         S: 250 2.1.0 Sender OK
         S: 421 4.4.2 Time out, closing",
    );
    client.expect_end();
    server.end();
}

fn a_line_must_come_to_its_end(mail: TestStore) {
    // The client is never silent, but says nothing.
    let deadlines = Deadlines { command: Duration::from_millis(300), ..Deadlines::default() };
    let server = Server::start_with(mail, Setup { deadlines, ..Setup::default() });
    let client = Client::hello(server.mx);
    client.write_until_closed(b"x");
    server.end();
}

fn a_proxied_client_is_the_client(mail: TestStore) {
    let limits = Limits { connections_each: 1, ..Setup::default().limits };
    let server = Server::start_with(mail, Setup { limits, ..Setup::default() });
    let mut client = Client::hello_from(server.proxied_mx, host(7));
    let trace = accepted(&send(&mut client, "ann@example.org", "Subject: x"));
    assert!(server.inbox("ann@example.org")[0].contains("Received: from client.example ([192.0.2.7])\r\n"));
    let record = server.trace("ann@example.org", trace).unwrap();
    assert_eq!(record.peer.as_deref(), Some("192.0.2.7"));
    let _other = Client::hello_from(server.proxied_mx, host(8));
    drop(client);
    server.end();
}
