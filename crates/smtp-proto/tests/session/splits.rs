//! The same bytes in any pieces are the same session.

use std::sync::Arc;

use hikyaku_smtp_proto::{Answer, Effect, Framer, Input, Listener, Session, Wants};
use proptest::prelude::*;

use crate::dialogue::{settings, tls};

/// Effects of a session fed with these pieces; every question is answered with yes.
fn effects(listener: Listener, pieces: &[&[u8]]) -> (Vec<Effect>, Vec<u8>) {
    let mut settings = settings(listener);
    settings.limits.size_bytes = 60;
    settings.offers.plain_sign_in_without_tls = true;
    let (mut session, mut all) = Session::new(Arc::new(settings), None);
    let (mut framer, mut content, mut stored) = (Framer::new(), Vec::new(), Vec::new());
    for piece in pieces {
        if session.is_closed() {
            break;
        }
        framer.push(piece);
        loop {
            let mut effects = match session.wants() {
                Wants::Answer => session.handle(Input::Answer(Answer::Accept)),
                Wants::Tls => session.handle(Input::TlsStarted(tls())),
                _ => match session.receive(&mut framer, &mut content) {
                    Some(effects) => effects,
                    None => break,
                },
            };
            for effect in &mut effects {
                match effect {
                    Effect::Discard => content.clear(),
                    Effect::Commit(envelope) => {
                        // Whether bytes came early is a fact of the network.
                        envelope.spoke_early = false;
                        stored.append(&mut content);
                    }
                    _ => {}
                }
            }
            all.extend(effects);
        }
    }
    (all, stored)
}

/// Pieces of sessions that go wrong in many ways; what stands twice comes twice as often.
const PIECES: &[&str] = &[
    "EHLO a.example\r\n",
    "LHLO a.example\r\n",
    "MAIL FROM:<a@b.example>\r\n",
    "MAIL FROM:<a@b.example>\r\n",
    "MAIL FROM:<a@b.example> BODY=BINARYMIME\r\n",
    "RCPT TO:<c@d.example>\r\n",
    "RCPT TO:<c@d.example>\r\n",
    "RCPT TO:<c@d.example>\r\n",
    "DATA\r\n",
    "DATA\r\n",
    ".\r\n",
    ".\r\n",
    ".\r\n",
    "..text\r\n",
    "a line of text\r\n",
    "bare\nline\rends\r\n",
    "\0\r\n",
    "BDAT 5\r\n123\r\n",
    "BDAT 3 LAST\r\nx\r\n",
    "BDAT 0 LAST\r\n",
    "BDAT 9\r\nab\0cdefgh",
    "RSET\r\n",
    "AUTH PLAIN AG5lZAB4\r\n",
    "AUTH LOGIN\r\nbmVk\r\neA==\r\n",
    "NOOP\nNOOP\r\n",
    "\r",
    "\n",
];

/// Gets through to a mail transaction on every listener: what one of them does not know,
/// another needs.
const START: &str = "EHLO a.example\r\nLHLO a.example\r\nAUTH PLAIN AG5lZAB4\r\n";
const RECIPIENT: &str = "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n";

/// Sessions of which many get as far as content.
pub(crate) fn session_bytes() -> impl Strategy<Value = Vec<u8>> {
    let start = proptest::sample::select(&["", START][..]);
    let mail = proptest::sample::select(&["", RECIPIENT, RECIPIENT][..]);
    let pieces = || proptest::collection::vec(proptest::sample::select(PIECES), 0..12);
    (start, mail.clone(), pieces(), mail, pieces()).prop_map(|(start, mail, pieces, again, more)| {
        [start, mail, &pieces.concat(), ".\r\n", again, &more.concat()].concat().into_bytes()
    })
}

proptest! {
    #[test]
    fn splits_change_nothing(
        bytes in session_bytes(),
        sizes in proptest::collection::vec(1usize..20, 1..8),
        lmtp in any::<bool>(),
        submission in any::<bool>(),
    ) {
        let listener = match (lmtp, submission) {
            (true, _) => Listener::Lmtp,
            (false, true) => Listener::Submission,
            (false, false) => Listener::Mx,
        };
        let mut pieces = Vec::new();
        let (mut rest, mut sizes) = (bytes.as_slice(), sizes.iter().cycle());
        while !rest.is_empty() {
            let (piece, after) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        prop_assert_eq!(effects(listener, &pieces), effects(listener, &[&bytes]));
    }
}
