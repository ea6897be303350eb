//! AUTHENTICATE by SCRAM: a client that knows nothing of the server signs in with an app
//! password.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hikyaku_directory::Kind;
use hikyaku_testkit::{ScramClient, TestStore, both_engines, set};

use crate::client::Client;
use crate::server::Server;

both_engines! {
    an_app_password_signs_in_bound_and_unbound
    scram_is_the_choice_of_a_tenant
    every_failure_has_the_same_answer
    an_exchange_can_end_early
}

const FAILED: &str = "t NO [AUTHENTICATIONFAILED] Authentication failed";

impl Server {
    /// SCRAM for ann's tenant, and an app password of hers.
    fn with_scram(&self) -> String {
        self.mail.block_on(async {
            self.directory.change(Kind::Tenant, "tenant-1", vec![set("scram", "yes")]).await;
            self.directory.app_password("ann@example.org", "phone", Vec::new()).await
        })
    }

    /// A client under TLS, and what its session exports.
    fn under_tls(&self) -> (Client, [u8; 32]) {
        let mut client = Client::connect(self.tls);
        let exported = client.start_tls(&self.authority);
        client.greeting();
        (client, exported)
    }
}

impl Client {
    /// Sends a line; the next one of the server.
    fn say(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n").as_bytes());
        String::from_utf8(self.response()).unwrap()
    }

    /// Signs in; the last line of the server.
    fn scram(&mut self, mechanism: &str, scram: &ScramClient) -> String {
        let answer = self.say(&format!("t AUTHENTICATE {mechanism} {}", STANDARD.encode(scram.first())));
        let Some(challenge) = answer.strip_prefix("+ ") else { return answer };
        let challenge = String::from_utf8(STANDARD.decode(challenge).unwrap()).unwrap();
        let (last, server_final) = scram.last(&challenge);
        let answer = self.say(&STANDARD.encode(last));
        let Some(proof) = answer.strip_prefix("+ ") else { return answer };
        assert_eq!(STANDARD.decode(proof).unwrap(), server_final.as_bytes(), "the server knows it, too");
        self.say("")
    }
}

fn an_app_password_signs_in_bound_and_unbound(mail: TestStore) {
    let server = Server::new(mail);
    let password = server.with_scram();
    let scram = ScramClient::new("ann@example.org", &password, "fyko+d2lbbFgONRv9qkxdawL");
    let (mut client, exported) = server.under_tls();
    let answer = client.scram("SCRAM-SHA-256-PLUS", &scram.clone().bound(&exported));
    assert!(answer.starts_with("t OK [CAPABILITY ") && answer.ends_with("] Signed in"), "{answer}");
    assert!(!answer.contains("AUTH="), "{answer}");
    client.ok("SELECT INBOX");
    // Without the initial response, after STARTTLS, in small letters.
    let mut client = Client::connect(server.strict);
    client.greeting();
    client.ok("STARTTLS");
    let exported = client.start_tls(&server.authority);
    let bound = scram.clone().bound(&exported);
    assert_eq!(client.say("t authenticate scram-sha-256-plus"), "+ ");
    let answer = client.say(&STANDARD.encode(bound.first()));
    let challenge = STANDARD.decode(answer.strip_prefix("+ ").unwrap()).unwrap();
    let (last, _) = bound.last(&String::from_utf8(challenge).unwrap());
    assert!(client.say(&STANDARD.encode(last)).starts_with("+ "));
    assert!(client.say("").starts_with("t OK "));
    let (mut client, _) = server.under_tls();
    assert!(client.scram("SCRAM-SHA-256", &scram).starts_with("t OK "));
    client.ok("SELECT INBOX");
}

fn scram_is_the_choice_of_a_tenant(mail: TestStore) {
    let server = Server::new(mail);
    let capabilities = |client: &mut Client| client.ok("CAPABILITY").untagged_text();
    let (mut client, _) = server.under_tls();
    assert!(capabilities(&mut client).ends_with(" AUTH=PLAIN"));
    assert_eq!(
        client.say("t AUTHENTICATE SCRAM-SHA-256"),
        "t NO [CANNOT] Authentication mechanism is not supported"
    );
    let password = server.with_scram();
    let (mut client, _) = server.under_tls();
    let both = " AUTH=PLAIN AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-256-PLUS";
    assert!(capabilities(&mut client).ends_with(both), "{}", capabilities(&mut client));
    // Nothing is to be bound to in clear, and nothing at all is offered where TLS comes first.
    let clear = capabilities(&mut server.connect());
    assert!(clear.ends_with(" AUTH=PLAIN AUTH=SCRAM-SHA-256"), "{clear}");
    let mut strict = Client::connect(server.strict);
    strict.greeting();
    assert!(capabilities(&mut strict).ends_with(" STARTTLS LOGINDISABLED"));
    assert!(strict.say("t AUTHENTICATE SCRAM-SHA-256 biws").starts_with("t NO [PRIVACYREQUIRED] "));
    // The account's own password has no verifier.
    let own = ScramClient::new("ann@example.org", "secret", "abc");
    assert_eq!(client.scram("SCRAM-SHA-256", &own), FAILED);
    let change = server.directory.change(Kind::Tenant, "tenant-1", vec![set("scram", "no")]);
    server.mail.block_on(change);
    let scram = ScramClient::new("ann@example.org", &password, "abc");
    assert_eq!(client.scram("SCRAM-SHA-256", &scram), FAILED, "it was taken back");
}

fn every_failure_has_the_same_answer(mail: TestStore) {
    let server = Server::new(mail);
    let password = server.with_scram();
    let (mut client, _) = server.under_tls();
    let good = ScramClient::new("ann@example.org", &password, "abc");
    for (mechanism, scram) in [
        ("SCRAM-SHA-256", ScramClient::new("ann@example.org", "wrong", "abc")),
        ("SCRAM-SHA-256", ScramClient::new("nobody@example.org", &password, "abc")),
        ("SCRAM-SHA-256", ScramClient::new("bob@example.org", &password, "abc")),
        ("SCRAM-SHA-256", good.clone().with_header("y,,", b"")),
        ("SCRAM-SHA-256", good.clone().with_header("n,a=bob@example.org,", b"")),
        ("SCRAM-SHA-256-PLUS", good.clone().bound(&[7; 32])),
        ("SCRAM-SHA-256-PLUS", good.clone()),
    ] {
        assert_eq!(client.scram(mechanism, &scram), FAILED, "{scram:?}");
    }
    assert!(client.scram("SCRAM-SHA-256", &good).starts_with("t OK "), "the session is well");
}

fn an_exchange_can_end_early(mail: TestStore) {
    let server = Server::new(mail);
    let password = server.with_scram();
    let (mut client, _) = server.under_tls();
    let scram = ScramClient::new("ann@example.org", &password, "abc");
    assert!(
        client
            .say(&format!("t AUTHENTICATE SCRAM-SHA-256 {}", STANDARD.encode(scram.first())))
            .starts_with("+ ")
    );
    assert_eq!(client.say("*"), "t BAD Authentication cancelled");
    assert_eq!(client.say("t AUTHENTICATE SCRAM-SHA-256"), "+ ");
    assert_eq!(client.say("not base64"), "t BAD Authentication exchange is malformed");
    // Who does not acknowledge the server's proof is not signed in.
    let answer = client.say(&format!("t AUTHENTICATE SCRAM-SHA-256 {}", STANDARD.encode(scram.first())));
    let challenge = STANDARD.decode(answer.strip_prefix("+ ").unwrap()).unwrap();
    let (last, _) = scram.last(&String::from_utf8(challenge).unwrap());
    assert!(client.say(&STANDARD.encode(last)).starts_with("+ "));
    assert_eq!(client.say("*"), "t BAD Authentication cancelled");
    assert!(client.command("SELECT INBOX").tagged.starts_with("BAD"));
    assert!(client.scram("SCRAM-SHA-256", &scram).starts_with("t OK "));
}
