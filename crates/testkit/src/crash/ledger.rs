//! What was promised: every operation that was begun, and every acknowledgement, up to a moment.
//!
//! From that follows what a store may and must hold. Acknowledged: there, once, where it was
//! said to be. Begun: wholly there or not at all. Neither: not there.

use std::collections::BTreeMap;

use hikyaku_mailstore::MailboxId;

use super::load::{ARCHIVE, DRAFTS, Message, Note, Operation, Place};

/// A message in a mailbox of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// The account's number.
    pub account: i64,
    /// The mailbox's number.
    pub mailbox: i64,
    /// The message's number.
    pub message: u32,
}

/// Copies of messages, by UID and email, as they were found.
pub type Found = BTreeMap<Spot, Vec<(u32, i64)>>;

/// The promises so far.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    operations: BTreeMap<u32, Booked>,
}

#[derive(Debug, Clone)]
struct Booked {
    operation: Operation,
    done: Option<Done>,
}

#[derive(Debug, Clone)]
struct Done {
    places: Vec<Place>,
    /// Where the acknowledgement stands in the traces.
    at: String,
}

/// How many copies of a message there may be at a spot.
#[derive(Debug, Clone, Default)]
struct Expected {
    least: usize,
    most: usize,
    /// UID and email, as acknowledged.
    place: Option<(u32, i64)>,
    /// Which promise, in words.
    promise: String,
}

impl Ledger {
    /// Books a note that was printed `at` some place of the traces.
    pub fn book(&mut self, note: &Note, at: &str) {
        match note {
            Note::Begin(number, operation) => {
                let fresh = Booked { operation: operation.clone(), done: None };
                self.operations.entry(*number).or_insert(fresh);
            }
            Note::Done(number, places) => {
                let booked = self.operations.get_mut(number).expect("an operation begins before it is done");
                booked.done = Some(Done { places: places.clone(), at: at.to_owned() });
            }
            Note::Object(..) => {}
        }
    }

    /// How many acknowledgements were given.
    pub fn acknowledged(&self) -> usize {
        self.operations.values().filter(|booked| booked.done.is_some()).count()
    }

    /// Deliveries without an acknowledgement.
    pub fn unacknowledged(&self) -> Vec<(u32, Operation)> {
        self.deliveries(|done| done.is_none())
    }

    /// Deliveries whose peer had an acknowledgement and never showed it: those which were told
    /// where the message is. In a session the next command shows it.
    pub fn unconfirmed(&self) -> Vec<(u32, Operation)> {
        self.deliveries(|done| done.is_some_and(|done| !done.places.is_empty()))
    }

    fn deliveries(&self, is_wanted: impl Fn(Option<&Done>) -> bool) -> Vec<(u32, Operation)> {
        self.operations
            .iter()
            .filter(|(_, booked)| is_wanted(booked.done.as_ref()))
            .filter(|(_, booked)| matches!(booked.operation, Operation::Deliver(..)))
            .map(|(number, booked)| (*number, booked.operation.clone()))
            .collect()
    }

    /// Every message of the operations begun so far.
    pub fn messages(&self) -> Vec<Message> {
        let of = |booked: &Booked| match &booked.operation {
            Operation::Append(_, messages) => messages.clone(),
            Operation::Deliver(message, _)
            | Operation::Copy(_, message, _)
            | Operation::Expunge(_, message, _) => vec![*message],
        };
        self.operations.values().flat_map(of).collect()
    }

    /// What does not agree with the promises, in words.
    pub fn broken(&self, found: &Found) -> Vec<String> {
        let expected = self.expected();
        let mut broken = Vec::new();
        let mut complain = |spot: &Spot, what: String| {
            let Spot { account, mailbox, message } = spot;
            broken.push(format!("message {message} in mailbox {mailbox} of account {account}: {what}"));
        };
        for (spot, copies) in found.iter().filter(|(spot, _)| !expected.contains_key(spot)) {
            complain(spot, format!("{} copies, and nobody sent it", copies.len()));
        }
        for (spot, expected) in &expected {
            let copies = found.get(spot).map_or(&[][..], Vec::as_slice);
            let Expected { least, most, place, promise } = expected;
            if copies.len() < *least || copies.len() > *most {
                complain(spot, format!("{} copies instead of {least} to {most}; {promise}", copies.len()));
            } else if let (Some(place), [copy]) = (place, copies)
                && place != copy
            {
                complain(spot, format!("UID and email are {copy:?} and were {place:?}; {promise}"));
            }
        }
        broken.extend(self.in_parts(found));
        broken
    }

    fn expected(&self) -> BTreeMap<Spot, Expected> {
        let mut expected: BTreeMap<Spot, Expected> = BTreeMap::new();
        for (number, booked) in &self.operations {
            for (index, spot) in added(&booked.operation).into_iter().enumerate() {
                let entry = expected.entry(spot).or_default();
                entry.most = 1;
                let Some(done) = &booked.done else { continue };
                entry.least = 1;
                entry.promise = format!("operation {number} was acknowledged at {}", done.at);
                let place = match booked.operation {
                    // Some recipients may have had it already: those have no place.
                    Operation::Deliver(..) => done.places.iter().find(|place| place.account == spot.account),
                    _ => done.places.get(index),
                };
                entry.place = entry.place.or(place.map(|place| (place.uid, place.email)));
            }
        }
        // A message is expunged after its delivery was acknowledged, by the same worker.
        for (number, booked) in &self.operations {
            let Operation::Expunge(home, message, _) = booked.operation else { continue };
            let mailbox = MailboxId::INBOX.as_i64();
            let spot = Spot { account: home.account, mailbox, message: message.number };
            let entry = expected.entry(spot).or_default();
            entry.least = 0;
            if let Some(done) = &booked.done {
                entry.most = 0;
                entry.promise = format!("its expunge {number} was acknowledged at {}", done.at);
            }
        }
        expected
    }

    /// Operations without an acknowledgement of which only a part is there.
    fn in_parts(&self, found: &Found) -> Vec<String> {
        let mut parts = Vec::new();
        for (number, booked) in self.operations.iter().filter(|(_, booked)| booked.done.is_none()) {
            let spots = added(&booked.operation);
            let there = spots.iter().filter(|spot| found.contains_key(spot)).count();
            if there != 0 && there != spots.len() {
                parts.push(format!("operation {number}: {there} parts of {} are there", spots.len()));
            }
        }
        parts
    }
}

/// Where an operation puts messages.
fn added(operation: &Operation) -> Vec<Spot> {
    let spot = |account: i64, mailbox: MailboxId, message: &Message| Spot {
        account,
        mailbox: mailbox.as_i64(),
        message: message.number,
    };
    match operation {
        Operation::Deliver(message, homes) => {
            homes.iter().map(|home| spot(home.account, MailboxId::INBOX, message)).collect()
        }
        Operation::Append(home, messages) => {
            messages.iter().map(|message| spot(home.account, DRAFTS, message)).collect()
        }
        Operation::Copy(home, message, _) => vec![spot(home.account, ARCHIVE, message)],
        Operation::Expunge(..) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `account:mailbox:message:uid:email` of every copy.
    fn found(copies: &str) -> Found {
        let mut found = Found::new();
        for copy in copies.split_whitespace() {
            let numbers: Vec<i64> = copy.split(':').map(|word| word.parse().unwrap()).collect();
            let spot = Spot { account: numbers[0], mailbox: numbers[1], message: numbers[2] as u32 };
            found.entry(spot).or_default().push((numbers[3] as u32, numbers[4]));
        }
        found
    }

    #[test]
    fn promises() {
        let both = "begin 1 deliver 4/100 1:10 1:11";
        // notes, copies that are there, how many complaints
        let table = [
            (vec![both], "", 0),
            (vec![both], "10:1:4:1:7 11:1:4:1:8", 0),
            (vec![both], "10:1:4:1:7", 1),
            (vec![both, "done 1 10:1:1:7 11:1:1:8"], "10:1:4:1:7 11:1:4:1:8", 0),
            (vec![both, "done 1 10:1:1:7 11:1:1:8"], "", 2),
            (vec![both, "done 1 10:1:1:7 11:1:1:8"], "10:1:4:1:7 11:1:4:2:8", 1),
            (vec![both, "done 1 10:1:1:7 11:1:1:8"], "10:1:4:1:7 11:1:4:1:8 11:1:4:2:9", 1),
            // A repeated delivery says no place.
            (vec![both, "done 1"], "10:1:4:1:7 11:1:4:1:8", 0),
            (vec![both, "done 1"], "10:1:4:1:7", 1),
            (vec![], "10:1:4:1:7", 1),
            (vec!["begin 2 append 1:10 4/10 5/10", "done 2 10:2:1:7 10:2:2:8"], "10:2:4:1:7 10:2:5:2:8", 0),
            (vec!["begin 2 append 1:10 4/10 5/10", "done 2 10:2:1:7 10:2:2:8"], "10:2:4:2:8 10:2:5:1:7", 2),
            (vec!["begin 2 append 1:10 4/10 5/10"], "10:2:5:1:7", 1),
            (
                vec!["begin 1 deliver 4/9 1:10", "done 1 10:1:1:7", "begin 2 expunge 1:10 4/9 1"],
                "10:1:4:1:7",
                0,
            ),
            (vec!["begin 1 deliver 4/9 1:10", "done 1 10:1:1:7", "begin 2 expunge 1:10 4/9 1"], "", 0),
            (
                vec!["begin 1 deliver 4/9 1:10", "done 1 10:1:1:7", "begin 2 expunge 1:10 4/9 1", "done 2"],
                "10:1:4:1:7",
                1,
            ),
            (
                vec![
                    "begin 1 deliver 4/9 1:10",
                    "done 1 10:1:1:7",
                    "begin 2 copy 1:10 4/9 1",
                    "done 2 10:4:1:7",
                ],
                "10:1:4:1:7",
                1,
            ),
        ];
        for (notes, copies, complaints) in table {
            let mut ledger = Ledger::default();
            for note in &notes {
                ledger.book(&note.parse().unwrap(), "line 1");
            }
            let broken = ledger.broken(&found(copies));
            assert_eq!(broken.len(), complaints, "{notes:?} with {copies}: {broken:?}");
        }
    }
}
