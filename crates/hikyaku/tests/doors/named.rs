//! Clients that say what they are called after they signed in, as many do.

use std::time::Duration;

use hikyaku_access::history::unusual::Unusual;
use hikyaku_sign_in::Wanted;
use hikyaku_testkit::{TestStore, both_engines};
use hikyaku_types::Timestamp;

use crate::rig::{Door, Line, PASSWORD, Server, address, home};

both_engines! {
    a_name_after_sign_in_is_compared_once
    sign_ins_of_one_second_are_each_compared
}

const HOUR: Duration = Duration::from_secs(3600);
const DESK: &str = "192.0.2.7";
const LISBON: &str = "203.0.113.9";

impl Server {
    /// ann signs in from there and says in turn that she is called so.
    fn named(&self, from: &str, names: &[&str]) -> Line {
        let mut line = self.connect(Door::Imap, from.parse().unwrap());
        let login = format!("a LOGIN {} {PASSWORD}", address("ann"));
        assert!(line.say(&login, "a ").starts_with("a OK "));
        for name in names {
            assert!(line.say(&format!("b ID (\"name\" \"{name}\")"), "b ").starts_with("b OK "));
        }
        line
    }

    /// The programs of ann's history, the newest first.
    fn programs(&self) -> Vec<String> {
        let lines = self.gate.history(wanted(), Timestamp::from_secs(0), None, 500);
        let lines = self.mail.block_on(lines).unwrap();
        lines.iter().map(|line| line.record.client.as_str().to_owned()).collect()
    }

    /// What was unusual about ann's sign-ins, the newest first.
    fn unusual(&self) -> Vec<Vec<&'static str>> {
        let found = self.gate.unusual(wanted(), Timestamp::from_secs(0), None, 500);
        let found = self.mail.block_on(found).unwrap();
        found.iter().map(|one| one.why.iter().map(Unusual::code).collect()).collect()
    }

    /// What ann's open sessions are called, the newest first.
    fn sessions(&self) -> Vec<String> {
        let found = self.mail.block_on(self.gate.sessions(wanted())).unwrap();
        found.iter().map(|session| session.client.as_str().to_owned()).collect()
    }
}

fn wanted() -> Wanted {
    Wanted::Account(home("ann").account)
}

fn a_name_after_sign_in_is_compared_once(mail: TestStore) {
    let server = Server::start(mail);
    for version in ["Thunderbird/140", "Thunderbird/141"] {
        server.named(DESK, &[version]);
        server.later(HOUR);
    }
    assert_eq!(server.programs(), ["Thunderbird/141", "Thunderbird/140"]);
    assert_eq!(server.unusual(), [[""; 0]; 0], "the first has nothing to be compared with");
    // The line has what it said first, the session what it said last.
    let open = server.named(DESK, &["", "Evolution 3", "Mutt 2"]);
    assert_eq!(server.sessions(), ["Mutt 2"]);
    assert_eq!(server.programs()[0], "Evolution 3");
    assert_eq!(server.unusual(), [["new-device"]]);
    drop(open);
    server.later(HOUR);
    server.named(DESK, &["Evolution 3"]);
    assert_eq!(server.unusual().len(), 1, "it is told once");
    // Beside what was unusual about the sign-in itself.
    server.later(HOUR);
    server.named(LISBON, &[]);
    assert_eq!(server.unusual()[0], ["new-network"]);
    server.later(24 * HOUR);
    server.named("198.51.100.7", &["Mutt 2"]);
    let expected = [vec!["new-network", "new-device"], vec!["new-network"], vec!["new-device"]];
    assert_eq!(server.unusual(), expected);
}

fn sign_ins_of_one_second_are_each_compared(mail: TestStore) {
    let server = Server::start(mail);
    server.named(DESK, &["Thunderbird/140"]);
    server.later(HOUR);
    assert_eq!(server.unusual(), [[""; 0]; 0]);
    let open = [&["Mutt 2"], &["Evolution 3"]].map(|names| server.named(DESK, names));
    assert_eq!(server.sessions(), ["Evolution 3", "Mutt 2"]);
    let devices: Vec<&str> = server.unusual().concat();
    assert_eq!(devices, ["new-device", "new-device"]);
    drop(open);
}
