//! Credentials of `directory`: hashes that customers bring, what clients of SCRAM say, and
//! what people type.

use hikyaku_directory::scram::{
    Account, ClientFinal, ClientFirst, Hello, Mechanism, Nonce, Offer, Salts, Verifier,
};
use hikyaku_directory::{
    AppPassword, HashScheme, LookupId, PasswordCheck, PasswordHash, PasswordOwner, PasswordPolicy,
    PolicyError, prepare,
};

/// A password hash: what is taken has one canonical form, and shows nothing of itself.
pub fn hash(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    match PasswordHash::parse(text) {
        Ok(hash) => {
            let again = PasswordHash::parse(hash.as_str()).expect("the canonical form is a hash");
            assert_eq!(again.as_str(), hash.as_str(), "of {text:?}");
            assert_eq!(again.scheme(), hash.scheme());
            assert!(!format!("{hash:?}").contains(hash.as_str()));
            // The others cost too much to be computed for each input.
            if matches!(
                hash.scheme(),
                HashScheme::Ssha | HashScheme::Ssha256 | HashScheme::Ssha512 | HashScheme::Md5Crypt
            ) {
                assert_eq!(hash.check(b"correct horse battery"), PasswordCheck::No, "{text:?}");
            }
        }
        Err(error) => assert!(error.to_string().len() < 400, "{error}"),
    }
}

/// Two messages of a client, with a line end between them: no one signs in by chance, and
/// what is parsed prints as it came.
pub fn scram(data: &[u8]) {
    let (first, last) = match data.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (data, &[][..]),
    };
    if let Ok(message) = ClientFirst::parse(first) {
        assert_eq!(message.to_string().as_bytes(), first);
    }
    // The proof's base64 has one spelling, so this prints as it came, too.
    if let Ok(message) = ClientFinal::parse(last) {
        assert_eq!(message.to_string().as_bytes(), last);
    }
    let verifier: Verifier = VERIFIER.parse().expect("a verifier");
    let known = Account::of([(LookupId::parse("00000000").expect("an id"), verifier)]).expect("one password");
    let nonce = Nonce::parse("server").expect("a nonce");
    for mechanism in Mechanism::ALL {
        let offer = Offer {
            mechanism,
            plus_announced: mechanism == Mechanism::ScramSha256Plus,
            exporter: Some(b"exported"),
            server_end_point: None,
        };
        let Ok(hello) = Hello::read(&offer, first) else { continue };
        let nobody = Account::nobody(hello.name(), &Salts::derive(b"platform"));
        for account in [nobody, known.clone()] {
            let hello = Hello::read(&offer, first).expect("read before");
            let (server_first, exchange) = hello.challenge(account, &nonce);
            assert!(
                server_first.contains("server,s=") && server_first.ends_with(",i=4096"),
                "{server_first}"
            );
            assert!(exchange.finish(last).is_err(), "nobody told it the password");
        }
    }
}

/// Of `pencil`: no input holds its proof for this nonce by chance.
const VERIFIER: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
    WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

/// What somebody typed as a password: an app password or not, a good new password or not.
pub fn typed(data: &[u8]) {
    if let Some(password) = AppPassword::parse(data) {
        let text = password.to_text();
        assert_eq!(AppPassword::parse(text.as_bytes()).as_ref(), Some(&password));
        assert!(text.starts_with(&password.id().as_str()[..4]));
    }
    let once = prepare::for_check(data);
    assert_eq!(prepare::for_check(&once), once, "preparing twice changes nothing");
    let Ok(text) = str::from_utf8(data) else { return };
    let owner = PasswordOwner { addresses: &[], name: Some("Ann Smith") };
    match PasswordPolicy::default().check(text, &owner, None) {
        Ok(prepared) => assert_eq!(prepared.as_bytes(), &**once, "what is set is what is checked"),
        Err(PolicyError::Rejected(rejection)) => {
            let shown = rejection.to_string();
            assert!(text.chars().count() < 20 || !shown.contains(text), "{shown}");
        }
        Err(PolicyError::Unchecked(error)) => panic!("no file was asked: {error}"),
    }
}
