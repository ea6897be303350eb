//! SASL exchanges of AUTH: PLAIN and LOGIN, as values; SCRAM, whose messages the shell answers.
//!
//! Standards: RFC 4954 section 4 (AUTH), RFC 4616 (PLAIN), RFC 7677 (SCRAM-SHA-256). LOGIN was
//! never standardised (draft-murchison-sasl-login); Outlook still prefers it.
//! Invariant: what the client sent is decoded here and judged elsewhere. No value prints
//! the password.
//! Known weakness: values wipe the password when dropped, the buffers that the line came
//! through do not.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::secret::Secret;

/// The most octets of an identity or a password.
const MAX_OCTETS: usize = 1024;

/// A SASL mechanism that we have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// RFC 4616.
    Plain,
    /// User name and password, each asked for.
    Login,
    /// RFC 7677.
    ScramSha256,
    /// RFC 7677, bound to the TLS channel.
    ScramSha256Plus,
}

/// Who the client says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// How they came.
    pub mechanism: Mechanism,
    /// On whose behalf it wants to act, if it is somebody else: `authzid`.
    pub authorization: Option<Box<str>>,
    /// Whose password it is: `authcid`.
    pub authentication: Box<str>,
    /// The password.
    pub password: Secret,
}

/// A message of an exchange that the shell knows the rules of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relayed {
    /// Which one.
    pub mechanism: Mechanism,
    /// A new exchange begins with it; one that was not brought to its end is forgotten.
    pub is_first: bool,
    /// The message, decoded.
    pub message: Secret,
}

/// An exchange that waits for the client's next line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exchange {
    /// The one response of PLAIN.
    Plain,
    /// LOGIN: the name.
    LoginName,
    /// LOGIN: the password.
    LoginPassword {
        /// Sent before.
        name: Box<str>,
    },
    /// SCRAM: what the client says is for whoever knows the passwords.
    Relayed {
        /// Which of the two.
        mechanism: Mechanism,
        /// Is it the client's first message?
        is_first: bool,
    },
}

/// What follows a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send this challenge (already in base64), and wait for the next line.
    Challenge(Exchange, Box<str>),
    /// The client has said everything.
    Done(Credentials),
    /// What the client said, which the shell must answer.
    Relay(Relayed),
    /// The client sent `*`.
    Cancelled,
    /// Not base64, or not what the mechanism expects.
    Malformed,
}

impl Mechanism {
    /// The mechanisms, in the order in which they are announced.
    pub const ALL: [Self; 4] = [Self::ScramSha256Plus, Self::ScramSha256, Self::Plain, Self::Login];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
        }
    }

    /// The mechanism of that name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
    }
}

impl Exchange {
    /// Begins an exchange. `initial_response` is as it came with AUTH.
    pub fn start(mechanism: Mechanism, initial_response: Option<&[u8]>) -> Step {
        let exchange = match mechanism {
            Mechanism::Plain => Self::Plain,
            Mechanism::Login => Self::LoginName,
            Mechanism::ScramSha256 | Mechanism::ScramSha256Plus => {
                Self::Relayed { mechanism, is_first: true }
            }
        };
        match initial_response {
            None => exchange.challenge(),
            // An empty initial response is written as `=`, RFC 4954 section 4.
            Some(b"=") => exchange.decoded(b""),
            Some(response) => exchange.response(response),
        }
    }

    /// Takes the client's next line, without its CRLF.
    pub fn response(self, line: &[u8]) -> Step {
        if line == b"*" {
            return Step::Cancelled;
        }
        match STANDARD.decode(line) {
            Ok(octets) => {
                let octets = Wiped(octets);
                self.decoded(&octets.0)
            }
            Err(_) => Step::Malformed,
        }
    }

    /// Goes on with the shell's answer, which the client has not seen yet.
    pub(crate) fn goes_on(mechanism: Mechanism, challenge: &str) -> Step {
        Step::Challenge(Self::Relayed { mechanism, is_first: false }, STANDARD.encode(challenge).into())
    }

    fn challenge(self) -> Step {
        let challenge = match self {
            Self::Plain | Self::Relayed { .. } => "",
            // `Username:` and `Password:`, as every client expects them.
            Self::LoginName => "VXNlcm5hbWU6",
            Self::LoginPassword { .. } => "UGFzc3dvcmQ6",
        };
        Step::Challenge(self, challenge.into())
    }

    fn decoded(self, octets: &[u8]) -> Step {
        match self {
            Self::Plain => plain(octets).map_or(Step::Malformed, Step::Done),
            Self::LoginName => match identity(octets) {
                Some(name) => Self::LoginPassword { name }.challenge(),
                None => Step::Malformed,
            },
            Self::LoginPassword { name } => match password(octets) {
                Some(password) => Step::Done(Credentials {
                    mechanism: Mechanism::Login,
                    authorization: None,
                    authentication: name,
                    password,
                }),
                None => Step::Malformed,
            },
            Self::Relayed { mechanism, is_first } => {
                Step::Relay(Relayed { mechanism, is_first, message: Secret::new(octets) })
            }
        }
    }
}

/// `[authzid] NUL authcid NUL passwd`, RFC 4616 section 2.
fn plain(octets: &[u8]) -> Option<Credentials> {
    let mut parts = octets.split(|octet| *octet == 0);
    let authorization = match parts.next()? {
        b"" => None,
        octets => Some(identity(octets)?),
    };
    let authentication = identity(parts.next()?)?;
    let password = password(parts.next()?)?;
    if parts.next().is_some() {
        return None;
    }
    // A client may name itself twice; only somebody else counts.
    let authorization = authorization.filter(|name| *name != authentication);
    Some(Credentials { mechanism: Mechanism::Plain, authorization, authentication, password })
}

fn identity(octets: &[u8]) -> Option<Box<str>> {
    let text = std::str::from_utf8(octets).ok()?;
    let is_name = (1..=MAX_OCTETS).contains(&text.len()) && !text.chars().any(char::is_control);
    is_name.then(|| text.into())
}

fn password(octets: &[u8]) -> Option<Secret> {
    let is_password = (1..=MAX_OCTETS).contains(&octets.len()) && !octets.contains(&0);
    is_password.then(|| Secret::new(octets))
}

/// Decoded octets, wiped when dropped.
struct Wiped(Vec<u8>);

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.fill(0);
        std::hint::black_box(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(step: Step) -> Option<(Option<String>, String, String)> {
        let Step::Done(credentials) = step else { return None };
        let password = String::from_utf8(credentials.password.expose().to_vec()).unwrap();
        Some((credentials.authorization.map(String::from), credentials.authentication.into(), password))
    }

    #[test]
    fn plain_responses() {
        for (octets, expected) in [
            ("\0tim\0tanstaaftanstaaf", Some((None, "tim", "tanstaaftanstaaf"))),
            ("Ursel\0Kurt\0xipj3plmq", Some((Some("Ursel"), "Kurt", "xipj3plmq"))),
            ("tim\0tim\0x", Some((None, "tim", "x"))),
            ("\0田中@example.jp\0pässword", Some((None, "田中@example.jp", "pässword"))),
            ("", None),
            ("\0tim", None),
            ("\0tim\0", None),
            ("\0\0x", None),
            ("\0tim\0x\0", None),
            ("\0tim\0x\0y", None),
            ("\0t\nim\0x", None),
        ] {
            let response = STANDARD.encode(octets);
            let step = Exchange::start(Mechanism::Plain, Some(response.as_bytes()));
            let expected = expected.map(|(authorization, name, password)| {
                (authorization.map(String::from), name.to_owned(), password.to_owned())
            });
            assert_eq!(done(step), expected, "{octets:?}");
        }
        let long = STANDARD.encode(format!("\0tim\0{}", "x".repeat(1025)));
        assert_eq!(Exchange::start(Mechanism::Plain, Some(long.as_bytes())), Step::Malformed);
    }

    #[test]
    fn login() {
        let challenge = |step| match step {
            Step::Challenge(exchange, challenge) => (exchange, challenge),
            other => panic!("asks for more: {other:?}"),
        };
        let (exchange, asked) = challenge(Exchange::start(Mechanism::Login, None));
        assert_eq!(&*asked, "VXNlcm5hbWU6", "for the name");
        let (exchange, asked) = challenge(exchange.response(b"dGlt"));
        assert_eq!(&*asked, "UGFzc3dvcmQ6", "for the password");
        assert_eq!(exchange.clone().response(b"*"), Step::Cancelled);
        assert_eq!(exchange.clone().response(b""), Step::Malformed);
        assert_eq!(done(exchange.response(b"c2VjcmV0")), Some((None, "tim".into(), "secret".into())));
        let with_name = Exchange::start(Mechanism::Login, Some(b"dGlt"));
        assert!(matches!(with_name, Step::Challenge(Exchange::LoginPassword { .. }, _)));
        assert_eq!(Exchange::start(Mechanism::Login, Some(b"=")), Step::Malformed);
    }

    #[test]
    fn scram_is_relayed() {
        let mechanism = Mechanism::ScramSha256Plus;
        let relayed = |is_first, message: &[u8]| {
            Step::Relay(Relayed { mechanism, is_first, message: Secret::new(message) })
        };
        assert_eq!(Exchange::start(mechanism, Some(b"biws")), relayed(true, b"n,,"));
        assert_eq!(Exchange::start(mechanism, Some(b"=")), relayed(true, b""));
        let first = Exchange::Relayed { mechanism, is_first: true };
        assert_eq!(Exchange::start(mechanism, None), Step::Challenge(first.clone(), "".into()));
        assert_eq!(first.response(b"biws"), relayed(true, b"n,,"));
        let Step::Challenge(next, challenge) = Exchange::goes_on(mechanism, "r=x") else { panic!() };
        assert_eq!(&*challenge, "cj14");
        assert_eq!(next.clone().response(b"Yz1iaXdz"), relayed(false, b"c=biws"));
        // The client has nothing to add to server-final.
        assert_eq!(next.clone().response(b""), relayed(false, b""));
        assert_eq!(next.clone().response(b"*"), Step::Cancelled);
        assert_eq!(next.response(b"!"), Step::Malformed);
    }

    #[test]
    fn what_is_no_base64_is_refused() {
        for line in ["AHRpbQB4=", "AHRpbQB4 ", "AHRp bQB4", "AHRpbQB", "AHRpbQ-_", "é"] {
            assert_eq!(Exchange::Plain.response(line.as_bytes()), Step::Malformed, "{line}");
        }
    }

    #[test]
    fn debug_does_not_show_the_password() {
        let step = Exchange::start(Mechanism::Plain, Some(b"AHRpbQB0YW5zdGFhZg=="));
        assert!(matches!(step, Step::Done(_)));
        assert!(!format!("{step:?}").contains("tanstaaf"));
    }
}
