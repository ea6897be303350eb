//! AUTH by SCRAM: a client that knows nothing of the server signs in with an app password.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hikyaku_directory::Kind;
use hikyaku_testkit::{ScramClient, TestStore, both_engines, set};

use crate::rig::client::Client;
use crate::rig::{PASSWORD, Server, accepted};

both_engines! {
    an_app_password_signs_in_bound_and_unbound
    scram_is_the_choice_of_a_tenant
    every_failure_has_the_same_answer
}

const FAILED: &str = "535 5.7.8 Name or password wrong";

impl Server {
    /// SCRAM for ann's tenant, and an app password of hers.
    fn with_scram(&self) -> String {
        self.mail.block_on(async {
            self.directory.change(Kind::Tenant, "tenant-1", vec![set("scram", "yes")]).await;
            self.directory.app_password("ann@example.org", "phone", Vec::new()).await
        })
    }
}

/// Signs in; the last line of the server.
fn sign_in(client: &mut Client, mechanism: &str, scram: &ScramClient) -> String {
    client.write(format!("AUTH {mechanism} {}\r\n", STANDARD.encode(scram.first())).as_bytes());
    let reply = client.line();
    let Some(challenge) = reply.strip_prefix("334 ") else { return reply };
    let (last, server_final) = scram.last(&String::from_utf8(STANDARD.decode(challenge).unwrap()).unwrap());
    client.write(format!("{}\r\n", STANDARD.encode(last)).as_bytes());
    let reply = client.line();
    let Some(proof) = reply.strip_prefix("334 ") else { return reply };
    assert_eq!(STANDARD.decode(proof).unwrap(), server_final.as_bytes(), "the server knows it, too");
    client.write(b"\r\n");
    client.line()
}

fn an_app_password_signs_in_bound_and_unbound(mail: TestStore) {
    let server = Server::start(mail);
    let password = server.with_scram();
    for name in ["ann@example.org", "Sales@Example.ORG"] {
        let scram = ScramClient::new(name, &password, "fyko+d2lbbFgONRv9qkxdawL");
        let mut client = server.tls_client();
        let bound = scram.clone().bound(&client.exported());
        let signed_in = sign_in(&mut client, "SCRAM-SHA-256-PLUS", &bound);
        assert_eq!(signed_in, "235 2.7.0 Signed in", "{name}");
        let content = b"From: ann@example.org\r\nMessage-ID: <a@example.org>\r\n\r\n";
        accepted(&client.mail("ann@example.org", &["bob@example.org"], content));
        let mut client = server.tls_client();
        let signed_in = sign_in(&mut client, "SCRAM-SHA-256", &scram);
        assert_eq!(signed_in, "235 2.7.0 Signed in", "{name}");
    }
    // The same app password in clear, for programs that know no other way.
    let plain = STANDARD.encode(format!("\0ann@example.org\0{password}"));
    server.tls_client().talk(&format!("C: AUTH PLAIN {plain}\nS: 235 2.7.0 Signed in"));
    server.end();
}

fn scram_is_the_choice_of_a_tenant(mail: TestStore) {
    let server = Server::start(mail);
    let announced = |client: &mut Client| client.ehlo().into_iter().find(|line| line.contains("AUTH "));
    let mut before = server.tls_client();
    assert_eq!(announced(&mut before).as_deref(), Some("250-AUTH PLAIN LOGIN"));
    before.talk("C: AUTH SCRAM-SHA-256 biws\nS: 504 5.5.4 Mechanism not implemented");
    let directory = &server.directory;
    let made_before = server.mail.block_on(directory.app_password("ann@example.org", "tablet", Vec::new()));
    let password = server.with_scram();
    let mut client = server.tls_client();
    drop(before);
    let expected = "250-AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN";
    assert_eq!(announced(&mut client).as_deref(), Some(expected));
    // One that was made before has no verifier, nor has the account's own password.
    for password in [&made_before, PASSWORD] {
        let scram = ScramClient::new("ann@example.org", password, "abc");
        assert_eq!(sign_in(&mut server.tls_client(), "SCRAM-SHA-256", &scram), FAILED);
    }
    // Another tenant did not choose it.
    let others = server.mail.block_on(directory.app_password("carol@example.net", "phone", Vec::new()));
    let scram = ScramClient::new("carol@example.net", &others, "abc");
    assert_eq!(sign_in(&mut client, "SCRAM-SHA-256", &scram), FAILED);
    // Who takes the choice back takes what hung on it.
    server.mail.block_on(directory.change(Kind::Tenant, "tenant-1", vec![set("scram", "no")]));
    let scram = ScramClient::new("ann@example.org", &password, "abc");
    assert_eq!(sign_in(&mut client, "SCRAM-SHA-256", &scram), FAILED);
    assert_eq!(announced(&mut server.tls_client()).as_deref(), Some("250-AUTH PLAIN LOGIN"));
    drop(client);
    server.end();
}

fn every_failure_has_the_same_answer(mail: TestStore) {
    let server = Server::start(mail);
    let password = server.with_scram();
    let imap_only = vec![set("services", "imap")];
    let for_imap =
        server.mail.block_on(server.directory.app_password("ann@example.org", "imap only", imap_only));
    let mut salts = Vec::new();
    for (name, password) in [
        ("ann@example.org", "wrong"),
        ("ann@example.org", for_imap.as_str()),
        ("bob@example.org", &password),
        ("nobody@example.org", &password),
        ("nobody@example.org", &password),
        ("no address", &password),
    ] {
        let mut client = server.tls_client();
        let scram = ScramClient::new(name, password, "abc");
        client.write(format!("AUTH SCRAM-SHA-256 {}\r\n", STANDARD.encode(scram.first())).as_bytes());
        let reply = client.line();
        let challenge = STANDARD.decode(reply.strip_prefix("334 ").unwrap()).unwrap();
        let challenge = String::from_utf8(challenge).unwrap();
        salts.push(challenge.split(',').nth(1).unwrap().to_owned());
        let (last, _) = scram.last(&challenge);
        client.talk(&format!("C: {}\nS: {FAILED}", STANDARD.encode(last)));
    }
    assert_eq!(salts[0], salts[1]);
    assert_eq!(salts[3], salts[4], "stable for a name that nobody has");
    assert_ne!(salts[2], salts[3]);
    // Somebody in the middle: another channel, or a shorter list.
    let scram = ScramClient::new("ann@example.org", &password, "abc");
    let mut client = server.tls_client();
    let elsewhere = scram.clone().bound(&[7; 32]);
    assert_eq!(sign_in(&mut client, "SCRAM-SHA-256-PLUS", &elsewhere), FAILED);
    let misled = scram.with_header("y,,", b"");
    let mut client = server.tls_client();
    assert_eq!(sign_in(&mut client, "SCRAM-SHA-256", &misled), FAILED);
    // Nobody acts for another.
    let scram = ScramClient::new("ann@example.org", &password, "abc");
    let for_bob = scram.with_header("n,a=bob@example.org,", b"");
    assert_eq!(sign_in(&mut client, "SCRAM-SHA-256", &for_bob), FAILED);
    drop(client);
    server.end();
}
