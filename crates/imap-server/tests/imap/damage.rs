//! A message whose content is gone: the others are served all the same.

use hikyaku_store::{Sql, StoreError};
use hikyaku_testkit::{TestStore, both_engines};

use crate::server::Server;

both_engines! { one_damaged_message_does_not_hide_the_others }

const LOSE: Sql = Sql::new(
    "DELETE FROM content_bytes WHERE id = (SELECT m.content FROM email m JOIN entry e ON e.email = m.id WHERE e.uid = 2)",
);

fn one_damaged_message_does_not_hide_the_others(mail: TestStore) {
    let server = Server::new(mail);
    for number in 1..=3 {
        server.deliver(&format!("Subject: number {number}\r\n\r\n{number}\r\n"));
    }
    let lost = server.mail.write::<_, StoreError, _>(|tx| tx.execute(LOSE, &[])).expect("it is written");
    assert_eq!(lost, 1);
    server.check(
        r#"
        C: a SELECT INBOX
        S: * FLAGS …
        S: * 3 EXISTS
        S: * 0 RECENT
        S: * OK [PERMANENTFLAGS …
        S: * OK [UNSEEN 1] …
        S: * OK [UIDVALIDITY …
        S: * OK [UIDNEXT 4] …
        S: * OK [HIGHESTMODSEQ …
        S: * OK [MAILBOXID …
        S: a OK …
        C: b FETCH 1:3 BODY[TEXT]
        S: * 1 FETCH (FLAGS (\Seen) BODY[TEXT] {#}
        S> 1
        S: )
        S: * 3 FETCH (FLAGS (\Seen) BODY[TEXT] {#}
        S> 3
        S: )
        S: b NO [UNAVAILABLE] …
        C: c FETCH 1:3 FLAGS
        S: * 1 FETCH (FLAGS (\Seen))
        S: * 2 FETCH (FLAGS ())
        S: * 3 FETCH (FLAGS (\Seen))
        S: c OK …
        C: d SEARCH SUBJECT number
        S: * SEARCH 1 3
        S: d NO [UNAVAILABLE] …
        C: e STORE 2 +FLAGS (\Deleted)
        S: * 2 FETCH (FLAGS (\Deleted))
        S: e OK …
        C: f EXPUNGE
        S: * 2 EXPUNGE
        S: f OK …
        "#,
    );
}
