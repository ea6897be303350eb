//! Threads of messages, as THREAD makes them out of headers.
//!
//! Standards: RFC 5256 section 3 (ORDEREDSUBJECT, REFERENCES).
//! Invariants: every message is in the answer once; nothing is recursive, as a chain of
//! answers may be as long as the mailbox.
//! Trust: ids, references and dates come from strangers. A reference that would close a circle
//! is passed over, and so is one whose check would climb more than [`MOST_STEPS`].

use std::collections::HashMap;

use hikyaku_imap_proto::Number;
use hikyaku_imap_proto::response::ThreadNode;
use hikyaku_mime::thread::Subject;
use hikyaku_types::Timestamp;

/// Steps from a message up to its thread's first, when looking for a circle.
const MOST_STEPS: usize = 1_000;

/// What of a message puts it into a thread.
#[derive(Debug, Clone)]
pub(crate) struct Threaded<N> {
    pub(crate) number: N,
    /// Of its header, or when it was received.
    pub(crate) sent: Timestamp,
    pub(crate) subject: Subject,
    pub(crate) id: Option<String>,
    /// From the first of the thread to the parent.
    pub(crate) references: Vec<String>,
}

/// Messages with one base subject are a thread: the oldest, and the others as its children.
pub(crate) fn by_subject<N: Number>(mut messages: Vec<Threaded<N>>) -> Vec<ThreadNode<N>> {
    messages.sort_by_key(|message| (message.sent, message.number));
    let mut order: Vec<Vec<N>> = Vec::new();
    let mut threads: HashMap<String, usize> = HashMap::new();
    for message in messages {
        let at = *threads.entry(message.subject.base.to_uppercase()).or_insert(order.len());
        match order.get_mut(at) {
            Some(thread) => thread.push(message.number),
            None => order.push(vec![message.number]),
        }
    }
    let node = |(at, number)| ThreadNode { depth: u32::from(at > 0), number: Some(number) };
    order.into_iter().flat_map(|thread| thread.into_iter().enumerate().map(node)).collect()
}

/// Messages that name each other in References or In-Reply-To, and threads whose first
/// messages have one base subject.
pub(crate) fn by_references<N: Number>(messages: &[Threaded<N>]) -> Vec<ThreadNode<N>> {
    let mut forest = Forest::of(messages);
    forest.link();
    forest.prune();
    forest.join_subjects();
    forest.in_order()
}

/// A message, or the place of one that is named and not there.
struct Place {
    message: Option<usize>,
    parent: Option<usize>,
    children: Vec<usize>,
}

struct Forest<'m, N> {
    messages: &'m [Threaded<N>],
    /// The first are those of `messages`.
    places: Vec<Place>,
    roots: Vec<usize>,
}

impl<'m, N: Number> Forest<'m, N> {
    fn of(messages: &'m [Threaded<N>]) -> Self {
        let place = |at| Place { message: Some(at), parent: None, children: Vec::new() };
        Self { messages, places: (0..messages.len()).map(place).collect(), roots: Vec::new() }
    }

    fn empty_place(&mut self) -> usize {
        self.places.push(Place { message: None, parent: None, children: Vec::new() });
        self.places.len() - 1
    }

    fn parent(&self, at: usize) -> Option<usize> {
        self.places.get(at).and_then(|place| place.parent)
    }

    fn children(&self, at: usize) -> &[usize] {
        self.places.get(at).map_or(&[], |place| &place.children)
    }

    fn message(&self, at: usize) -> Option<&'m Threaded<N>> {
        self.messages.get(self.places.get(at)?.message?)
    }

    /// Step 1: every reference is the parent of the next, and the last that of the message.
    fn link(&mut self) {
        let mut by_id: HashMap<&str, usize> = HashMap::new();
        for (at, message) in self.messages.iter().enumerate() {
            // Of two messages with one id, the second is nobody's parent.
            if let Some(id) = &message.id {
                by_id.entry(id).or_insert(at);
            }
        }
        for (at, message) in self.messages.iter().enumerate() {
            let mut before = None;
            for reference in &message.references {
                let place = match by_id.get(reference.as_str()) {
                    Some(place) => *place,
                    None => {
                        let place = self.empty_place();
                        by_id.insert(reference, place);
                        place
                    }
                };
                if let Some(before) = before
                    && self.parent(place).is_none()
                {
                    self.adopt(before, place);
                }
                before = Some(place);
            }
            if let Some(parent) = before {
                self.take_from_parent(at);
                self.adopt(parent, at);
            }
        }
        self.roots = (0..self.places.len()).filter(|at| self.parent(*at).is_none()).collect();
    }

    /// Makes `child`, which has no parent, a child of `parent`, unless that closes a circle.
    fn adopt(&mut self, parent: usize, child: usize) {
        if parent == child || self.is_above(child, parent) {
            return;
        }
        if let Some(place) = self.places.get_mut(child) {
            place.parent = Some(parent);
        }
        if let Some(place) = self.places.get_mut(parent) {
            place.children.push(child);
        }
    }

    fn is_above(&self, above: usize, mut at: usize) -> bool {
        if self.children(above).is_empty() {
            return false;
        }
        for _ in 0..MOST_STEPS {
            match self.parent(at) {
                Some(parent) if parent == above => return true,
                Some(parent) => at = parent,
                None => return false,
            }
        }
        true
    }

    fn take_from_parent(&mut self, child: usize) {
        let parent = self.places.get_mut(child).and_then(|place| place.parent.take());
        if let Some(place) = parent.and_then(|parent| self.places.get_mut(parent)) {
            place.children.retain(|other| *other != child);
        }
    }

    /// Steps 2 and 3: empty places go, and their children take their places; only several
    /// children at the top keep theirs, which holds them together.
    fn prune(&mut self) {
        for at in self.bottom_up() {
            let kept: Vec<usize> = self
                .children(at)
                .to_vec()
                .into_iter()
                .flat_map(
                    |child| if self.is_empty(child) { self.children(child).to_vec() } else { vec![child] },
                )
                .collect();
            self.set_children(at, kept);
        }
        let roots = std::mem::take(&mut self.roots);
        for root in roots {
            match self.children(root) {
                [] if self.is_empty(root) => {}
                [only] if self.is_empty(root) => {
                    let only = *only;
                    self.take_from_parent(only);
                    self.roots.push(only);
                }
                _ => self.roots.push(root),
            }
        }
    }

    fn is_empty(&self, at: usize) -> bool {
        self.places.get(at).is_some_and(|place| place.message.is_none())
    }

    fn set_children(&mut self, at: usize, children: Vec<usize>) {
        for child in &children {
            if let Some(place) = self.places.get_mut(*child) {
                place.parent = Some(at);
            }
        }
        if let Some(place) = self.places.get_mut(at) {
            place.children = children;
        }
    }

    /// All places, children before parents.
    fn bottom_up(&self) -> Vec<usize> {
        let mut order = self.roots.clone();
        let mut next = 0;
        while let Some(at) = order.get(next) {
            order.extend_from_slice(self.children(*at));
            next += 1;
        }
        order.reverse();
        order
    }

    /// A place with children and no message is seen as its first child is.
    fn seen_as(&self, at: usize) -> Option<&'m Threaded<N>> {
        let oldest = || {
            let children = self.children(at).iter().filter_map(|child| self.message(*child));
            children.min_by_key(|message| (message.sent, message.number))
        };
        self.message(at).or_else(oldest)
    }

    fn order_of(&self, at: usize) -> Option<(Timestamp, N)> {
        self.seen_as(at).map(|message| (message.sent, message.number))
    }

    /// Steps 4 and 5: threads about one thing are one.
    fn join_subjects(&mut self) {
        let mut roots = std::mem::take(&mut self.roots);
        roots.sort_by_key(|root| self.order_of(*root));
        let mut table: HashMap<String, usize> = HashMap::new();
        for root in &roots {
            let Some(subject) = self.subject_of(*root) else { continue };
            let goes_before = table.get(&subject).is_none_or(|other| {
                let (here, there) = (self.is_empty(*root), self.is_empty(*other));
                (here && !there) || (here == there && self.is_answer(*other) && !self.is_answer(*root))
            });
            if goes_before {
                table.insert(subject, *root);
            }
        }
        let mut gone = vec![false; self.places.len()];
        let mut made = Vec::new();
        for root in &roots {
            let Some(subject) = self.subject_of(*root) else { continue };
            let Some(first) = table.get(&subject).copied().filter(|first| first != root) else { continue };
            if let Some(gone) = gone.get_mut(*root) {
                *gone = true;
            }
            if self.is_empty(first) && self.is_empty(*root) {
                let children = [self.children(first), self.children(*root)].concat();
                self.set_children(first, children);
            } else if self.is_empty(first) || (self.is_answer(*root) && !self.is_answer(first)) {
                self.adopt(first, *root);
            } else {
                let both = self.empty_place();
                self.set_children(both, vec![first, *root]);
                if let Some(gone) = gone.get_mut(first) {
                    *gone = true;
                }
                table.insert(subject, both);
                made.push(both);
            }
        }
        self.roots = roots.into_iter().filter(|root| gone.get(*root) == Some(&false)).chain(made).collect();
    }

    fn subject_of(&self, root: usize) -> Option<String> {
        let subject = self.seen_as(root)?.subject.base.to_uppercase();
        Some(subject).filter(|subject| !subject.is_empty())
    }

    fn is_answer(&self, at: usize) -> bool {
        self.seen_as(at).is_some_and(|message| message.subject.is_answer)
    }

    /// Step 6: siblings by date, and all in the order of reading.
    fn in_order(&self) -> Vec<ThreadNode<N>> {
        let newest_first = |places: &[usize]| {
            let mut places = places.to_vec();
            places.sort_by_key(|at| std::cmp::Reverse(self.order_of(*at)));
            places
        };
        let mut nodes = Vec::with_capacity(self.places.len());
        let mut stack: Vec<(u32, usize)> =
            newest_first(&self.roots).into_iter().map(|root| (0, root)).collect();
        while let Some((depth, at)) = stack.pop() {
            nodes.push(ThreadNode { depth, number: self.message(at).map(|message| message.number) });
            stack.extend(newest_first(self.children(at)).into_iter().map(|child| (depth + 1, child)));
        }
        nodes
    }
}

#[cfg(test)]
mod tests {
    use hikyaku_imap_proto::{SeqNum, response};

    use super::*;

    /// `number subject id references`, where `-` is nothing; dates rise with the lines.
    fn messages(lines: &str) -> Vec<Threaded<SeqNum>> {
        let message = |(at, line): (usize, &str)| {
            let mut words = line.split_whitespace();
            let mut word = || words.next().filter(|word| *word != "-").unwrap_or_default().to_owned();
            let (number, subject, id) = (word(), word(), word());
            Threaded {
                number: SeqNum::new(number.parse().unwrap()).unwrap(),
                sent: Timestamp::from_secs(at as i64),
                subject: Subject::of(&subject),
                id: Some(id).filter(|id| !id.is_empty()),
                references: words.map(str::to_owned).collect(),
            }
        };
        lines.lines().map(str::trim).filter(|line| !line.is_empty()).enumerate().map(message).collect()
    }

    fn printed(nodes: &[ThreadNode<SeqNum>]) -> String {
        let mut out = Vec::new();
        response::thread(&mut out, nodes);
        String::from_utf8(out).unwrap().trim_start_matches("* THREAD").trim().to_owned()
    }

    #[test]
    fn threads_by_references() {
        for (lines, expected) in [
            ("", ""),
            ("1 a 1@x", "(1)"),
            ("1 a 1@x\n2 b 2@x", "(1)(2)"),
            ("1 a 1@x\n2 b 2@x 1@x\n3 c 3@x 1@x 2@x", "(1 2 3)"),
            ("1 a 1@x\n2 b 2@x 1@x\n3 c 3@x 1@x", "(1 (2)(3))"),
            // The answer came first.
            ("1 b 2@x 1@x\n2 a 1@x", "(2 1)"),
            // The question is not there: one answer stands for it, two are held together.
            ("1 b 2@x 1@x", "(1)"),
            ("1 b 2@x 1@x\n2 c 3@x 1@x", "((1)(2))"),
            // A missing message in the middle.
            ("1 a 1@x\n2 c 3@x 1@x 2@x", "(1 2)"),
            ("1 a 1@x\n2 b 3@x 1@x 2@x\n3 c 4@x 1@x 2@x", "(1 (2)(3))"),
            // Circles, and oneself.
            ("1 a 1@x 2@x\n2 b 2@x 1@x", "(2 1)"),
            ("1 a 1@x 1@x", "(1)"),
            // The same id twice.
            ("1 a 1@x\n2 b 1@x\n3 c 3@x 1@x", "(1 3)(2)"),
            // Joined by subject: answers under the question, equals side by side.
            ("1 a 1@x\n2 Re:a 2@x", "(1 2)"),
            ("1 Re:a 2@x\n2 a 1@x", "(2 1)"),
            ("1 a 1@x\n2 A 2@x", "((1)(2))"),
            ("1 a 1@x\n2 A 2@x\n3 返信:a 3@x", "((1)(2)(3))"),
            ("1 b 2@x 9@x\n2 c 3@x 9@x\n3 Re:b 4@x", "((1)(2)(3))"),
            ("1 - 1@x\n2 - 2@x", "(1)(2)"),
        ] {
            assert_eq!(printed(&by_references(&messages(lines))), expected, "{lines}");
        }
    }

    #[test]
    fn threads_by_subject() {
        for (lines, expected) in
            [("", ""), ("1 a -\n2 b -\n3 Re:a -\n4 返信：A -", "(1 (3)(4))(2)"), ("3 a -\n1 Re:a -", "(3 1)")]
        {
            assert_eq!(printed(&by_subject(messages(lines))), expected, "{lines}");
        }
    }

    #[test]
    fn long_chains_cost_little() {
        let chain = |reverse: bool| {
            let line = |n: u32| format!("{n} s{n} {n}@x {}@x\n", n - 1);
            let numbers: Vec<u32> =
                if reverse { (1..=20_000).rev().collect() } else { (1..=20_000).collect() };
            numbers.into_iter().map(line).collect::<String>()
        };
        for reverse in [false, true] {
            let nodes = by_references(&messages(&chain(reverse)));
            assert_eq!(nodes.len(), 20_000);
            assert_eq!(nodes.iter().map(|node| node.depth).max(), Some(19_999));
        }
    }
}
