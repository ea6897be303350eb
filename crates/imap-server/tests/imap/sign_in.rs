//! LOGIN and AUTHENTICATE. TLS is in `tls`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hikyaku_testkit::{TestStore, both_engines};

use crate::server::Server;

both_engines! {
    the_forms_of_login
    the_forms_of_authenticate
    what_is_wrong_with_authenticate
    every_failure_has_the_same_answer
}

const SIGNED_IN: &str = "S: a OK [CAPABILITY …] Signed in";

fn the_forms_of_login(mail: TestStore) {
    let server = Server::new(mail);
    for command in [
        "C: a LOGIN ann@example.org secret",
        r#"C: a login "ann@example.org" "secret""#,
        "C: a LOGIN Ann@EXAMPLE.org secret",
        "C: a LOGIN {#}
         S: + …
         C> ann@example.org\\
         C:  {#}
         S: + …
         C> secret\\
         C:",
        "C: a LOGIN {#+}
         C> ann@example.org\\
         C:  {#+}
         C> secret\\
         C:",
    ] {
        server.check_from_greeting(&format!("S: * OK …\n{command}\n{SIGNED_IN}"));
    }
}

fn the_forms_of_authenticate(mail: TestStore) {
    let server = Server::new(mail);
    let plain = STANDARD.encode("\0ann@example.org\0secret");
    let for_herself = STANDARD.encode("ann@example.org\0ann@example.org\0secret");
    for command in [
        format!("C: a AUTHENTICATE PLAIN {plain}"),
        format!("C: a authenticate plain\nS: + \nC: {plain}"),
        format!("C: a AUTHENTICATE PLAIN {for_herself}"),
        // A client that thought better of it may begin again.
        format!(
            "C: a AUTHENTICATE PLAIN\nS: + \nC: *\nS: a BAD Authentication cancelled\n\
             C: a AUTHENTICATE PLAIN\nS: + \nC: {plain}"
        ),
    ] {
        server.check_from_greeting(&format!("S: * OK …\n{command}\n{SIGNED_IN}"));
    }
}

fn what_is_wrong_with_authenticate(mail: TestStore) {
    let without_password = STANDARD.encode("\0ann@example.org");
    Server::new(mail).check_from_greeting(&format!(
        "S: * OK …
         C: a AUTHENTICATE PLAIN
         S: +\x20
         C: ====
         S: a BAD Authentication exchange is malformed
         C: b AUTHENTICATE PLAIN
         S: +\x20
         C: {without_password}
         S: b BAD Authentication exchange is malformed
         C: c AUTHENTICATE PLAIN =
         S: c BAD Authentication exchange is malformed
         C: d AUTHENTICATE PLAIN not!base64
         S: d BAD …
         C: e AUTHENTICATE CRAM-MD5
         S: e NO [CANNOT] …
         C: f AUTHENTICATE
         S: f BAD …
         C: g NOOP
         S: g OK NOOP completed"
    ));
}

fn every_failure_has_the_same_answer(mail: TestStore) {
    let failed = "NO [AUTHENTICATIONFAILED] Authentication failed";
    let wrong = STANDARD.encode("\0ann@example.org\0Secret");
    let for_another = STANDARD.encode("bob@example.org\0ann@example.org\0secret");
    Server::new(mail).check_from_greeting(&format!(
        "S: * OK …
         C: a LOGIN ann@example.org wrong
         S: a {failed}
         C: b LOGIN nobody@example.org secret
         S: b {failed}
         C: c LOGIN \"\" \"\"
         S: c {failed}
         C: d AUTHENTICATE PLAIN {wrong}
         S: d {failed}
         C: e AUTHENTICATE PLAIN {for_another}
         S: e {failed}
         C: f SELECT INBOX
         S: f BAD …
         C: g LOGIN ann@example.org secret
         S: g OK …
         C: h LOGIN ann@example.org secret
         S: h BAD …"
    ));
}
