//! The mailboxes of the account by name, and what is done to them: after each change the
//! server's list must be what the change makes of the list before.

use std::collections::{BTreeMap, BTreeSet};

use hikyaku_testkit::Rng;

use super::{Contents, code, uid_in};
use crate::client::Client;

/// Names that mailboxes are given; INBOX is always there.
const NAMES: [&str; 5] = ["Archive", "Work", "Work/Deep", "Play", "Play/Deep"];
/// With so many mailboxes one is rather deleted.
const MANY: usize = 6;

/// What a client does to a mailbox.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Create(String),
    Delete(String),
    Rename(String, String),
}

pub(super) struct Tree {
    /// Selects nothing but for a look at what RENAME of INBOX moved.
    observer: Client,
    /// UIDVALIDITY by name. No two mailboxes ever have the same, so it stands for the mailbox.
    names: BTreeMap<String, u32>,
    ever: BTreeSet<u32>,
}

impl Change {
    pub(super) fn command(&self) -> String {
        match self {
            Self::Create(name) => format!("CREATE {name}"),
            Self::Delete(name) => format!("DELETE {name}"),
            Self::Rename(from, to) => format!("RENAME {from} {to}"),
        }
    }

    pub(super) fn is_of_inbox(&self) -> bool {
        matches!(self, Self::Rename(from, _) if from == "INBOX")
    }

    /// Does the name mean another mailbox afterwards, or none?
    pub(super) fn touches(&self, name: &str) -> bool {
        match self {
            Self::Create(_) => false,
            Self::Delete(gone) => name == gone,
            Self::Rename(..) => self.renamed(name).is_some(),
        }
    }

    /// The name that this one became.
    pub(super) fn renamed(&self, name: &str) -> Option<String> {
        let Self::Rename(from, to) = self else { return None };
        let below = name.strip_prefix(from.as_str())?;
        let is_it = below.is_empty() || below.starts_with('/');
        (is_it && from != "INBOX").then(|| format!("{to}{below}"))
    }
}

impl Tree {
    pub(super) fn new(observer: Client) -> Self {
        let mut tree = Self { observer, names: BTreeMap::new(), ever: BTreeSet::new() };
        tree.names = tree.listed();
        tree.ever.extend(tree.names.values());
        tree
    }

    fn listed(&mut self) -> BTreeMap<String, u32> {
        let told = self.observer.ok("LIST \"\" * RETURN (STATUS (UIDVALIDITY))").lines();
        let status = told.iter().filter_map(|line| line.strip_prefix("* STATUS "));
        let of = |line: &str| {
            let (name, items) = line.split_once(" (UIDVALIDITY ").expect("a name and a number");
            let number = items.trim_end_matches(')').parse::<u32>().expect("a number");
            (name.trim_matches('"').to_owned(), number)
        };
        let all = status.map(of);
        all.filter(|(name, _)| !["Drafts", "Sent", "Junk", "Trash"].contains(&name.as_str())).collect()
    }

    /// A mailbox: its name and its UIDVALIDITY.
    pub(super) fn pick(&self, rng: &mut Rng) -> (String, u32) {
        let all: Vec<_> = self.names.iter().collect();
        let (name, validity) = rng.pick(&all);
        ((*name).clone(), **validity)
    }

    pub(super) fn name_of(&self, validity: u32) -> Option<&str> {
        self.names.iter().find(|(_, own)| **own == validity).map(|(name, _)| name.as_str())
    }

    pub(super) fn validity_of(&self, name: &str) -> Option<u32> {
        self.names.get(name).copied()
    }

    /// A change that the server must carry out.
    pub(super) fn choose(&self, rng: &mut Rng) -> Option<Change> {
        let free: Vec<&str> = NAMES.into_iter().filter(|name| !self.names.contains_key(*name)).collect();
        let is_leaf = |name: &&String| !self.names.keys().any(|other| other.starts_with(&format!("{name}/")));
        let others: Vec<&String> = self.names.keys().filter(|name| *name != "INBOX").collect();
        let leaves: Vec<&String> = others.iter().copied().filter(is_leaf).collect();
        if free.is_empty() || self.names.len() >= MANY || rng.chance(35) {
            return (!leaves.is_empty()).then(|| Change::Delete((*rng.pick(&leaves)).clone()));
        }
        let to = (*rng.pick(&free)).to_owned();
        if others.is_empty() || rng.chance(30) {
            return Some(Change::Create(to));
        }
        let from = if rng.chance(20) { "INBOX".to_owned() } else { (*rng.pick(&others)).clone() };
        // A mailbox cannot lie below itself.
        (!to.starts_with(&format!("{from}/"))).then_some(Change::Rename(from, to))
    }

    /// The server has made a change: is what it lists what must be there now?
    pub(super) fn settle(&mut self, change: &Change, context: &str) {
        let mut expected = BTreeMap::new();
        for (name, validity) in &self.names {
            let name = change.renamed(name).unwrap_or_else(|| name.clone());
            expected.insert(name, *validity);
        }
        let made = match change {
            Change::Create(name) => name.as_str(),
            Change::Delete(name) => {
                expected.remove(name);
                ""
            }
            Change::Rename(_, to) => to.as_str(),
        };
        let listed = self.listed();
        for (name, validity) in &listed {
            if expected.contains_key(name) {
                continue;
            }
            // It is new, as what was asked for or as a level above.
            assert!(made == name || made.starts_with(&format!("{name}/")), "{context}: {name} came to be");
            assert!(self.ever.insert(*validity), "{context}: {name} has a UIDVALIDITY that was another's");
            expected.insert(name.clone(), *validity);
        }
        assert!(made.is_empty() || listed.contains_key(made), "{context}: there is no {made}");
        assert_eq!(listed, expected, "{context}");
        self.names = listed;
    }

    /// UID, flags and content of each message.
    pub(super) fn messages(&mut self, name: &str) -> Vec<(u32, String)> {
        self.observer.ok(format!("EXAMINE {name}"));
        let told = self.observer.ok("UID FETCH 1:* (UID FLAGS BODY.PEEK[])").lines();
        self.observer.ok("UNSELECT");
        told.into_iter()
            .map(|line| {
                let (_, rest) = line.split_once("FLAGS").expect("flags");
                (uid_in(&line).expect("a UID"), rest.to_owned())
            })
            .collect()
    }

    /// RENAME of INBOX moved its messages, in order: so they are known by where they came from.
    pub(super) fn inbox_moved(
        &mut self,
        before: &[(u32, String)],
        to: &str,
        contents: &mut Contents,
        context: &str,
    ) {
        let (inbox, moved_to) = (self.names["INBOX"], self.names[to]);
        assert!(self.messages("INBOX").is_empty(), "{context}: INBOX keeps something");
        let moved = self.messages(to);
        let texts = |of: &[(u32, String)]| of.iter().map(|(_, text)| text.clone()).collect::<Vec<_>>();
        assert_eq!(texts(&moved), texts(before), "{context}");
        for ((from, _), (uid, _)) in before.iter().zip(&moved) {
            let content = contents[&(inbox, *from)];
            contents.insert((moved_to, *uid), content);
        }
    }

    /// How many messages are in a mailbox.
    pub(super) fn count(&mut self, name: &str) -> usize {
        let told = self.observer.ok(format!("STATUS {name} (MESSAGES)")).untagged_text();
        let (_, count) = told.rsplit_once("(MESSAGES ").expect("a count");
        count.trim_end_matches(')').parse().expect("a number")
    }
}

/// The UIDVALIDITY in APPENDUID or COPYUID.
pub(super) fn validity_in(answer: &str, name: &str) -> Option<u32> {
    code(answer, name).map(|words| words[0].parse().expect("a number"))
}
