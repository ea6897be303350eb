//! An account with about as many mailboxes as it may have, named in every alphabet: what programs do
//! with them at their start is answered. On SQLite only: PostgreSQL takes a minute to make them.

use std::collections::HashSet;

use hikyaku_imap_proto::{Dialect, MailboxName};
use hikyaku_mailstore::{MailboxPath, Role, mailbox};
use hikyaku_store::Scope;
use hikyaku_testkit::TestStore;
use hikyaku_types::Actor;

use crate::client::Client;
use crate::server::{Server, ann};

const ALPHABETS: &[&str] =
    &["Entwürfe", "Проекты", "日本語の箱", "한국어", "العربية", "ไทย", "R&D", "😀", "a b", "עברית"];
/// A few less than 10,000, which is the most: the test kit reads them all at once in the end.
const MOST: usize = 9_900;
const EACH: usize = 100;

/// The names, parents first.
fn names() -> impl Iterator<Item = MailboxName> {
    let parents = (0..MOST / EACH).map(|number| format!("{} {number}", ALPHABETS[number % ALPHABETS.len()]));
    parents.flat_map(|parent| {
        let child = {
            let parent = parent.clone();
            move |number: usize| format!("{parent}/{}{number}", ALPHABETS[number % ALPHABETS.len()])
        };
        let all = std::iter::once(parent).chain((1..EACH).map(child));
        all.map(|name| MailboxName::new(&name).expect("a name"))
    })
}

/// Many in one transaction: a program makes them one by one, over years.
fn create(server: &Server, names: &[MailboxName]) {
    for some in names.chunks(200) {
        let paths: Vec<MailboxPath> =
            some.iter().map(|name| MailboxPath::new(name.levels()).expect("a path")).collect();
        let owner = Actor::Owner { tenant: ann().tenant, account: ann().account };
        let scope = Scope::account(&owner, ann()).expect("her own").long();
        let made = server.mail.store.write(scope, "test.create", move |tx| {
            paths.iter().try_for_each(|path| mailbox::create(tx, path, Role::None).map(drop))
        });
        server.mail.block_on(made).expect("there is room");
    }
}

/// Sends commands some at a time, and gives what each is answered: its untagged lines, then
/// the tagged one.
fn all(client: &mut Client, commands: &[String]) -> Vec<Vec<String>> {
    let mut answers = Vec::new();
    for some in commands.chunks(200) {
        let lines: String = some.iter().map(|command| format!("p {command}\r\n")).collect();
        client.send(lines.as_bytes());
        for _ in some {
            let mut answer = Vec::new();
            while answer.last().is_none_or(|line: &String| !line.starts_with("p ")) {
                answer.push(String::from_utf8(client.response()).expect("7 bits"));
            }
            answers.push(answer);
        }
    }
    answers
}

fn quoted(name: &MailboxName) -> String {
    format!("\"{}\"", name.to_wire(Dialect::SevenBit))
}

#[test]
fn ten_thousand_mailboxes() {
    let server = Server::new(TestStore::sqlite());
    let mut client = server.sign_in();
    let begin = client.ok("LIST \"\" *").untagged.len();
    let made = MOST - begin;
    create(&server, &names().take(made).collect::<Vec<_>>());

    let listed = client.ok("LIST \"\" *").lines();
    let shown = |line: &String| {
        let (_, name) = line.split_once(" \"/\" ").expect("a separator");
        name.trim_matches('"').to_owned()
    };
    let listed: HashSet<String> = listed.iter().map(shown).collect();
    assert_eq!(listed.len(), MOST);
    assert!(names().take(made).all(|name| listed.contains(&name.to_wire(Dialect::SevenBit))));
    let levels = client.ok("LIST \"\" %").untagged.len();
    assert_eq!(levels, begin + made.div_ceil(EACH));
    let japanese = quoted(&MailboxName::new("*日本語の箱*").expect("a name"));
    let of_one = client.ok(format!("LIST \"\" {japanese}")).untagged.len();
    assert!(of_one > MOST / 11, "{of_one}");

    let counted = client.ok("LIST \"\" * RETURN (SUBSCRIBED STATUS (MESSAGES UIDNEXT))");
    assert_eq!(counted.untagged.len(), 2 * MOST);
    // One by one, as most programs do.
    let statuses: Vec<String> =
        names().take(made).map(|name| format!("STATUS {} (MESSAGES UNSEEN)", quoted(&name))).collect();
    for (answer, command) in all(&mut client, &statuses).iter().zip(&statuses) {
        assert!(answer[0].ends_with(" (MESSAGES 0 UNSEEN 0)") && answer.len() == 2, "{command}: {answer:?}");
    }
}
