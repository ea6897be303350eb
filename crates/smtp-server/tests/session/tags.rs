//! Mail to a name with a tag, into the mailbox of that name where the owner chose it.

use std::sync::Arc;
use std::time::Duration;

use hikyaku_directory::Kind;
use hikyaku_mailstore::{MailboxPath, Role, mailbox};
use hikyaku_sender_auth::dns::{Resolver, Table};
use hikyaku_smtp_server::Judge;
use hikyaku_testkit::{TestStore, both_engines, set};

use crate::rig::client::Client;
use crate::rig::{Server, Setup, accepted, home};

both_engines! {
    a_tag_names_a_mailbox_where_its_owner_chose_it
    junk_is_junk_whatever_its_tag
}

fn a_tag_names_a_mailbox_where_its_owner_chose_it(mail: TestStore) {
    let server = Server::start(mail);
    let mut client = Client::hello(server.mx);
    let mut send = |to: &str| {
        // No two are the same message, whose copy would be a duplicate.
        let content = format!("Subject: to {}\r\n\r\ntext\r\n", to.replace('"', "'"));
        accepted(&client.mail("s@client.example", &[to], content.as_bytes()));
    };
    send("sales@example.org");
    for name in ["Shop", "shop", "my-list_1", "Sent Items"] {
        let path = MailboxPath::new([name]).unwrap();
        server
            .mail
            .write_as(home("ann@example.org"), move |tx| mailbox::create(tx, &path, Role::None))
            .unwrap();
    }
    send("ann+my-list_1@example.org");
    assert_eq!(server.inbox("ann@example.org").len(), 2, "nobody has chosen it");

    let choose = server.directory.change(Kind::Account, "ann@example.org", vec![set("tag_mailbox", "yes")]);
    server.mail.block_on(choose);
    for (to, into) in [
        ("ann+shop@example.org", "shop"),
        ("Ann+Shop@example.org", "Shop"),
        ("ann+SHOP@example.org", "Shop"),
        ("sales+MY-LIST_1@example.org", "my-list_1"),
        ("ann+archive@example.org", "Archive"),
        ("ann@example.org", "INBOX"),
        ("ann+inbox@example.org", "INBOX"),
        ("ann+nothing@example.org", "INBOX"),
        ("ann+@example.org", "INBOX"),
        // A stranger does not put mail where its owner believes to have put it.
        ("ann+trash@example.org", "INBOX"),
        ("ann+sent@example.org", "INBOX"),
        ("ann+drafts@example.org", "INBOX"),
        ("ann+junk@example.org", "INBOX"),
        ("\"ann+sent items\"@example.org", "INBOX"),
        // Of a list it is no member's.
        ("team+shop@example.org", "INBOX"),
    ] {
        let before = counts(&server);
        send(to);
        assert_eq!(grown(&before, &counts(&server)), [into], "{to}");
    }
    drop(client);
    server.end();
}

/// A tag is the sender's to choose, and a forger knows where an owner looks.
fn junk_is_junk_whatever_its_tag(mail: TestStore) {
    let dns = r#"{
      "client.example.": [{"type": "A", "data": "127.0.0.1"}, {"type": "TXT", "data": "v=spf1 a -all"}],
      "_dmarc.client.example.": [{"type": "TXT", "data": "v=DMARC1; p=quarantine"}],
      "_dmarc.shop.example.": [{"type": "TXT", "data": "v=DMARC1; p=quarantine"}]
    }"#;
    let resolver = Resolver::Table(Table::from_json(dns).unwrap());
    let judge = Some(Arc::new(Judge::new(resolver, Duration::from_secs(20))));
    let server = Server::start_with(mail, Setup { judge, ..Setup::default() });
    let mut client = Client::hello(server.mx);
    // An account is made in its shard by its first mail.
    accepted(&client.mail("s@client.example", &["ann@example.org"], b"Subject: first\r\n\r\ntext\r\n"));
    let path = MailboxPath::new(["Shop"]).unwrap();
    let create = move |tx: &mut hikyaku_store::AccountTx<'_>| mailbox::create(tx, &path, Role::None);
    server.mail.write_as(home("ann@example.org"), create).unwrap();
    let choose = server.directory.change(Kind::Account, "ann@example.org", vec![set("tag_mailbox", "yes")]);
    server.mail.block_on(choose);
    for (author, to, into) in [
        ("client.example", "ann+shop@example.org", "Shop"),
        ("shop.example", "ann+shop@example.org", "Junk"),
        ("shop.example", "ann@example.org", "Junk"),
        ("shop.example", "ann+archive@example.org", "Junk"),
    ] {
        let before = counts(&server);
        let content = format!("From: <a@{author}>\r\nSubject: to {to}\r\n\r\ntext\r\n");
        accepted(&client.mail("s@client.example", &[to], content.as_bytes()));
        assert_eq!(grown(&before, &counts(&server)), [into], "{author} {to}");
    }
    drop(client);
    server.end();
}

/// Which mailboxes have more messages than before, or are new.
fn grown(before: &[(String, u32)], after: &[(String, u32)]) -> Vec<String> {
    let was = |name: &str| before.iter().find(|(old, _)| old == name).map_or(0, |(_, count)| *count);
    after.iter().filter(|(name, count)| *count > was(name)).map(|(name, _)| name.clone()).collect()
}

/// Ann's mailboxes, and how many messages each has.
fn counts(server: &Server) -> Vec<(String, u32)> {
    let list =
        |tx: &mut hikyaku_store::AccountTx<'_>| mailbox::list(tx, hikyaku_mailstore::MailboxId::ROOT, 100);
    let all = server.mail.read_as(home("ann@example.org"), list).unwrap();
    all.into_iter().map(|mailbox| (mailbox.name, mailbox.messages)).collect()
}
