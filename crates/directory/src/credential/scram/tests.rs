//! The example of RFC 7677, both mechanisms with a client of our own, and what attackers and
//! broken clients send.

use super::*;
use crate::credential::AppPassword;
use hikyaku_testkit::SeededRandom;
use pbkdf2::pbkdf2_hmac_array;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

const UNBOUND: Offer<'_> = Offer {
    mechanism: Mechanism::ScramSha256,
    plus_announced: false,
    exporter: None,
    server_end_point: None,
};

const BOUND: Offer<'_> = Offer {
    mechanism: Mechanism::ScramSha256Plus,
    plus_announced: true,
    exporter: Some(b"0123456789abcdef0123456789abcdef"),
    server_end_point: Some(b"certificate hash"),
};

fn id(text: &str) -> LookupId {
    LookupId::parse(text).unwrap()
}

fn salt() -> Salt {
    Salt::from_bytes(STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap().try_into().unwrap())
}

fn account(passwords: &[&str]) -> Account {
    let ids = ["00000000", "00000001", "00000002"];
    Account::of(ids.iter().zip(passwords).map(|(name, text)| (id(name), Verifier::of_text(text, salt()))))
        .unwrap()
}

fn server_nonce() -> Nonce {
    Nonce::parse("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0").unwrap()
}

/// What a client is after it has sent its first message.
struct Client<'a> {
    password: &'a str,
    gs2_header: &'a str,
    channel: &'a [u8],
}

impl Client<'_> {
    const BARE: &'static str = "n=user,r=rOprNGfwEbeRWgbNEkqO";

    fn first(&self) -> String {
        format!("{}{}", self.gs2_header, Self::BARE)
    }

    /// client-final, and the server-final that a true server answers.
    fn last(&self, server_first: &str) -> (String, String) {
        let [nonce, salt, iterations] = server_first.split(',').collect::<Vec<_>>()[..] else {
            panic!("{server_first}")
        };
        let salt = STANDARD.decode(&salt[2..]).unwrap();
        let rounds = iterations[2..].parse().unwrap();
        let salted = pbkdf2_hmac_array::<Sha256, 32>(self.password.as_bytes(), &salt, rounds);
        let binding = STANDARD.encode([self.gs2_header.as_bytes(), self.channel].concat());
        let without_proof = format!("c={binding},{nonce}");
        let signed = format!("{},{server_first},{without_proof}", Self::BARE);
        let client_key = hmac(&salted, b"Client Key");
        let signature = hmac(&Sha256::digest(client_key), signed.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(signature).map(|(key, octet)| key ^ octet).collect();
        let expected = hmac(&hmac(&salted, b"Server Key"), signed.as_bytes());
        (format!("{without_proof},p={}", STANDARD.encode(proof)), format!("v={}", STANDARD.encode(expected)))
    }

    /// Whose app password the server finds it to be.
    fn sign_in(&self, offer: &Offer<'_>, account: Account) -> Result<LookupId, Failure> {
        let hello = Hello::read(offer, self.first().as_bytes())?;
        let (server_first, exchange) = hello.challenge(account, &server_nonce());
        let (last, expected) = self.last(&server_first);
        let proven = exchange.finish(last.as_bytes())?;
        assert_eq!(proven.server_final, expected, "the server knows the password, too");
        Ok(proven.id)
    }
}

#[test]
fn the_example_of_rfc_7677() {
    let hello = Hello::read(&UNBOUND, b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO").unwrap();
    assert_eq!((hello.name(), hello.authorization()), ("user", None));
    let (server_first, exchange) = hello.challenge(account(&["pencil"]), &server_nonce());
    assert_eq!(
        server_first,
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    );
    let proven = exchange.finish(
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    );
    assert_eq!(proven.unwrap().server_final, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

#[test]
fn each_app_password_of_an_account_is_known() {
    let client = |password| Client { password, gs2_header: "n,,", channel: b"" };
    let account = account(&["one", "two", "three"]);
    for (password, expected) in [("one", "00000000"), ("two", "00000001"), ("three", "00000002")] {
        assert_eq!(client(password).sign_in(&UNBOUND, account.clone()), Ok(id(expected)));
    }
    assert_eq!(client("four").sign_in(&UNBOUND, account), Err(Failure::InvalidProof));
    // One with an older salt cannot be tried: the client got the other.
    let old = (id("00000009"), Verifier::of_text("old", Salt::from_bytes([1; 16])));
    let mixed = Account::of([(id("00000000"), Verifier::of_text("one", salt())), old]).unwrap();
    assert_eq!(client("old").sign_in(&UNBOUND, mixed.clone()), Err(Failure::InvalidProof));
    assert_eq!(client("one").sign_in(&UNBOUND, mixed), Ok(id("00000000")));
    assert!(Account::of([]).is_none());
}

#[test]
fn an_app_password_from_end_to_end() {
    let password = AppPassword::new(&SeededRandom::new(1));
    let salt = Salts::derive(&[7; 32]).of("ann@example.org");
    let stored = Verifier::of(&password, salt).to_string();
    let account = Account::of([(password.id(), stored.parse().unwrap())]).unwrap();
    let text = password.to_text();
    let client = Client { password: &text, gs2_header: "n,,", channel: b"" };
    assert_eq!(client.sign_in(&UNBOUND, account), Ok(password.id()));
}

#[test]
fn channel_binding_and_downgrades() {
    let bound = BOUND.exporter.unwrap();
    let announced = Offer { mechanism: Mechanism::ScramSha256, ..BOUND };
    let no_exporter = Offer { exporter: None, ..BOUND };
    for (offer, gs2_header, channel, expected) in [
        (UNBOUND, "n,,", &b""[..], Ok(())),
        (UNBOUND, "y,,", b"", Ok(())),
        (BOUND, "p=tls-exporter,,", bound, Ok(())),
        (BOUND, "p=tls-server-end-point,,", b"certificate hash", Ok(())),
        (BOUND, "p=tls-exporter,a=user,", bound, Ok(())),
        (announced, "n,,", b"", Ok(())),
        // A client that was shown a shorter list.
        (announced, "y,,", b"", Err(Failure::ServerDoesSupportChannelBinding)),
        (BOUND, "y,,", b"", Err(Failure::ServerDoesSupportChannelBinding)),
        // Another channel: the attacker has one of its own to the server.
        (BOUND, "p=tls-exporter,,", b"another channel", Err(Failure::ChannelBindingsDontMatch)),
        (BOUND, "p=tls-exporter,,", b"", Err(Failure::ChannelBindingsDontMatch)),
        (BOUND, "p=tls-server-end-point,,", bound, Err(Failure::ChannelBindingsDontMatch)),
        (BOUND, "n,,", b"", Err(Failure::ChannelBindingsDontMatch)),
        (BOUND, "p=tls-unique,,", bound, Err(Failure::UnsupportedChannelBindingType)),
        (no_exporter, "p=tls-exporter,,", bound, Err(Failure::UnsupportedChannelBindingType)),
        (announced, "p=tls-exporter,,", bound, Err(Failure::ChannelBindingNotSupported)),
    ] {
        let client = Client { password: "pencil", gs2_header, channel };
        let result = client.sign_in(&offer, account(&["pencil"]));
        assert_eq!(result.map(|_| ()), expected, "{gs2_header} with {offer:?}");
    }
}

#[test]
fn the_header_that_was_sent_first_is_what_counts() {
    // Somebody in the middle turned `y` into `n` on its way: the client signed `y,,`.
    let hello = Hello::read(&UNBOUND, b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO").unwrap();
    let (server_first, exchange) = hello.challenge(account(&["pencil"]), &server_nonce());
    let client = Client { password: "pencil", gs2_header: "y,,", channel: b"" };
    let (last, _) = client.last(&server_first);
    assert_eq!(exchange.finish(last.as_bytes()), Err(Failure::ChannelBindingsDontMatch));
}

#[test]
fn nobody_can_tell_who_exists() {
    let salts = Salts::derive(&[7; 32]);
    let challenge = |name: &str, account| {
        let first = format!("n,,n={name},r=abc");
        Hello::read(&UNBOUND, first.as_bytes()).unwrap().challenge(account, &server_nonce()).0
    };
    let known = Account::of([(id("00000000"), Verifier::of_text("pencil", salts.of("ann@example.org")))]);
    let of_ann = challenge("ann@example.org", known.unwrap());
    // Before and after it had an app password, or an account at all.
    assert_eq!(of_ann, challenge("ann@example.org", Account::nobody("ann@example.org", &salts)));
    let of_bob = challenge("bob@example.org", Account::nobody("bob@example.org", &salts));
    assert_ne!(of_ann, of_bob);
    assert_eq!(of_ann.len(), of_bob.len());
    let other_platform = Salts::derive(&[8; 32]);
    assert_ne!(salts.of("bob@example.org"), other_platform.of("bob@example.org"));
    let client = Client { password: "pencil", gs2_header: "n,,", channel: b"" };
    assert_eq!(
        client.sign_in(&UNBOUND, Account::nobody("user", &salts)),
        client.sign_in(&UNBOUND, account(&["another"])),
    );
}

#[test]
fn wrong_finals() {
    let nonce = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    let proof = "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    for (message, expected) in [
        (format!("c=biws,{nonce},{proof}"), None),
        (
            format!("c=biws,{nonce},p=eHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="),
            Some(Failure::InvalidProof),
        ),
        (format!("c=biws,{nonce}x,{proof}"), Some(Failure::InvalidProof)),
        (format!("c=biws,r=rOprNGfwEbeRWgbNEkqO,{proof}"), Some(Failure::InvalidProof)),
        (format!("c=biws,{nonce},p=AAAA"), Some(Failure::InvalidProof)),
        // `y,,`
        (format!("c=eSws,{nonce},{proof}"), Some(Failure::ChannelBindingsDontMatch)),
        (format!("c=biws,{nonce},m=x,{proof}"), Some(Failure::ExtensionsNotSupported)),
        // An extension that the proof was not made of.
        (format!("c=biws,{nonce},x=y,{proof}"), Some(Failure::InvalidProof)),
        (format!("c=biws,{nonce},{proof},x=y"), Some(Failure::InvalidEncoding)),
        (format!("c=biws,{nonce}"), Some(Failure::InvalidEncoding)),
        (format!("{nonce},c=biws,{proof}"), Some(Failure::InvalidEncoding)),
        (format!("c=bi ws,{nonce},{proof}"), Some(Failure::InvalidEncoding)),
        (format!("c=biws,{proof}"), Some(Failure::InvalidEncoding)),
        (String::new(), Some(Failure::InvalidEncoding)),
        (format!("c=biws,{nonce},{proof}\0"), Some(Failure::InvalidEncoding)),
        (format!("c=biws,{nonce},x={},{proof}", "y".repeat(4096)), Some(Failure::InvalidEncoding)),
    ] {
        let hello = Hello::read(&UNBOUND, b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO").unwrap();
        let (_, exchange) = hello.challenge(account(&["pencil"]), &server_nonce());
        assert_eq!(exchange.finish(message.as_bytes()).err(), expected, "{message}");
    }
}

#[test]
fn client_firsts() {
    use Failure::{ExtensionsNotSupported, InvalidEncoding, InvalidUsernameEncoding};
    let name = |message: &str| ClientFirst::parse(message.as_bytes()).map(|first| first.name.to_string());
    for (message, expected) in [
        ("n,,n=user,r=abc", Ok("user")),
        ("n,,n=a=2Cb=3Dc,r=abc", Ok("a,b=c")),
        ("n,,n=田中@example.jp,r=abc", Ok("田中@example.jp")),
        ("p=tls-exporter,a=admin,n=user,r=a,x=1,y=2", Ok("user")),
        ("n,,n=,r=abc", Err(InvalidUsernameEncoding)),
        ("n,,n=a=2cb,r=abc", Err(InvalidUsernameEncoding)),
        ("n,,n=a=,r=abc", Err(InvalidUsernameEncoding)),
        ("n,,n=a\tb,r=abc", Err(InvalidUsernameEncoding)),
        ("n,a=,n=user,r=abc", Err(InvalidUsernameEncoding)),
        ("n,,m=x,n=user,r=abc", Err(ExtensionsNotSupported)),
        ("n,,n=user,r=abc,m=x", Err(ExtensionsNotSupported)),
        ("n,,n=user,r=abc,x", Err(InvalidEncoding)),
        ("n,,n=user,r=abc,x=", Err(InvalidEncoding)),
        ("n,,n=user,r=", Err(InvalidEncoding)),
        ("n,,n=user,r=a b", Err(InvalidEncoding)),
        ("n,,n=user", Err(InvalidEncoding)),
        ("n,,r=abc,n=user", Err(InvalidEncoding)),
        ("n,user,n=user,r=abc", Err(InvalidEncoding)),
        ("q,,n=user,r=abc", Err(InvalidEncoding)),
        ("p=,,n=user,r=abc", Err(InvalidEncoding)),
        ("n,n=user,r=abc", Err(InvalidEncoding)),
        ("n", Err(InvalidEncoding)),
        ("", Err(InvalidEncoding)),
    ] {
        assert_eq!(name(message), expected.map(str::to_owned), "{message}");
    }
    assert_eq!(ClientFirst::parse(b"n,,n=\xff,r=abc"), Err(InvalidUsernameEncoding));
    let hello = Hello::read(&UNBOUND, b"n,a=admin,n=user,r=abc").unwrap();
    assert_eq!(hello.authorization(), Some("admin"));
    assert_eq!(Failure::InvalidProof.server_final(), "e=invalid-proof");
}

#[test]
fn verifiers_are_written_as_rfc_5803_says() {
    let verifier = Verifier::of_text("pencil", salt());
    let text = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
    assert_eq!(verifier.to_string(), text);
    assert_eq!(text.parse(), Ok(verifier.clone()));
    for wrong in [
        "",
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==",
        &text.replace("4096", "4095"),
        &text.replace("4096", "+4096"),
        &text.replace("4096", "4294967296"),
        &text.replace("W22Z", "W22"),
        &text.replace("SHA-256", "SHA-1"),
        &format!("{text}A"),
    ] {
        assert_eq!(wrong.parse::<Verifier>(), Err(verifier::NoVerifier), "{wrong}");
    }
    assert!(format!("{verifier:?}").ends_with("keys: Keys(…) }"));
}

#[test]
fn nonces() {
    let random = SeededRandom::new(1);
    let (one, two) = (Nonce::new(&random), Nonce::new(&random));
    assert_ne!(one, two);
    assert_eq!(one.0.len(), 24);
    for text in ["", "a,b", "a b", "é"] {
        assert_eq!(Nonce::parse(text), None, "{text:?}");
    }
}

proptest! {
    #[test]
    fn client_first_prints_as_it_was_parsed(text in "(n|y|p=tls-[a-z]{1,5}),(a=[a-z=23CD]{0,4})?,n=[a-zé=,23CD]{0,8},r=[!-~]{0,8}(,[a-z]=[!-~]{0,3}){0,2}") {
        if let Ok(first) = ClientFirst::parse(text.as_bytes()) {
            prop_assert_eq!(first.to_string(), text);
        }
    }

    #[test]
    fn names_survive(name in "\\PC{1,20}") {
        let first = format!("n,,n={},r=abc", name.replace('=', "=3D").replace(',', "=2C"));
        prop_assert_eq!(&*ClientFirst::parse(first.as_bytes()).unwrap().name, name);
    }

    #[test]
    fn any_octets_are_a_message_or_a_failure(octets in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = ClientFirst::parse(&octets);
        if let Ok(last) = ClientFinal::parse(&octets) {
            prop_assert_eq!(last.to_string().into_bytes(), octets);
        }
    }
}
