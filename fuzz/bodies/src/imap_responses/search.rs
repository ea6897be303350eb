//! SEARCH, SORT, ESEARCH and THREAD.

use std::num::NonZeroU32;

use hikyaku_imap_proto::command::{By, SearchReturn};
use hikyaku_imap_proto::response::*;
use hikyaku_imap_proto::{Dialect, Number, NumberSet, SeqNum, Uid};
use imap_codec::imap_types::extensions::thread::Thread;
use imap_codec::imap_types::response::{Data, Response};

use super::read;
use super::values::Values;
use super::wire::{self, Node};

/// The codec ends at some depth of its own.
const DEEPEST_THREAD: u32 = 6;

pub(super) fn search_and_sort(values: &mut Values<'_>) {
    let numbers: Vec<SeqNum> = (0..values.byte() % 40).map(|_| values.one()).collect();
    let modseq = values.maybe(Values::modseq);
    // Nothing found, nothing said of mod-sequences.
    let told = modseq.filter(|_| !numbers.is_empty()).map(|modseq| modseq.get());
    let mut out = Vec::new();
    search(&mut out, numbers.iter().copied(), modseq);
    wire::data(&out, Dialect::SevenBit);
    let Response::Data(Data::Search(theirs, highest)) = read(&out) else { panic!("not SEARCH") };
    assert!(theirs.iter().eq(numbers.iter().map(|number| number.to_nonzero()).collect::<Vec<_>>().iter()));
    assert_eq!(highest.map(u64::from), told);
    out.clear();
    sort(&mut out, numbers.iter().copied(), modseq);
    wire::data(&out, Dialect::SevenBit);
    let Response::Data(Data::Sort(theirs, highest)) = read(&out) else { panic!("not SORT") };
    assert!(theirs.iter().eq(numbers.iter().map(|number| number.to_nonzero()).collect::<Vec<_>>().iter()));
    assert_eq!(highest.map(u64::from), told);
}

pub(super) fn esearch(values: &mut Values<'_>) {
    let tag = values.tag();
    let by = if values.flag() { By::Uid } else { By::SeqNum };
    let modseq = values.maybe(Values::modseq);
    let mut expected = vec![Node::atom("ESEARCH")];
    expected.push(Node::List(vec![Node::atom("TAG"), Node::Text(tag.as_str().into())]));
    if by == By::Uid {
        expected.push(Node::atom("UID"));
    }
    if values.flag() {
        esearch_of_set(
            values,
            ESearch { tag: &tag, by, min: None, max: None, count: None, all: None, modseq },
            expected,
        );
    } else {
        esort(
            values,
            ESort { tag: &tag, by, returns: SearchReturn::default(), sorted: &[], modseq },
            expected,
        );
    }
}

fn item(expected: &mut Vec<Node>, name: &str, value: Option<impl ToString>) {
    if let Some(value) = value {
        expected.extend([Node::atom(name), Node::atom(value)]);
    }
}

/// Takes the value of ALL out, where there is one.
fn take_all(nodes: &mut Vec<Node>) -> Option<Vec<(NonZeroU32, NonZeroU32)>> {
    let index = nodes.iter().position(|node| *node == Node::atom("ALL"))?;
    let all = nodes.drain(index..=index + 1).next_back().expect("ALL has a value");
    let text = String::from_utf8(all.as_bytes().to_vec()).expect("ASCII");
    let number = |text: &str| text.parse::<NonZeroU32>().expect("a number");
    let range = |text: &str| match text.split_once(':') {
        Some((first, last)) => (number(first), number(last)),
        None => (number(text), number(text)),
    };
    Some(text.split(',').map(range).collect())
}

fn esearch_of_set(values: &mut Values<'_>, answer: ESearch<'_, Uid>, mut expected: Vec<Node>) {
    let all: NumberSet<Uid> = values.set();
    let answer = ESearch {
        min: values.maybe(Values::one),
        max: values.maybe(Values::one),
        count: values.maybe(Values::number64),
        all: values.flag().then_some(&all),
        ..answer
    };
    item(&mut expected, "MIN", answer.min);
    item(&mut expected, "MAX", answer.max);
    item(&mut expected, "COUNT", answer.count);
    item(&mut expected, "MODSEQ", answer.modseq);
    let mut out = Vec::new();
    answer.print(&mut out);
    let mut nodes = wire::data(&out, Dialect::SevenBit);
    let told = take_all(&mut nodes).unwrap_or_default();
    let told = told.into_iter().map(|(first, last)| (Uid::from_nonzero(first), Uid::from_nonzero(last)));
    assert_eq!(nodes, expected);
    assert_eq!(NumberSet::from_ranges(told), answer.all.cloned().unwrap_or_default());
}

fn esort(values: &mut Values<'_>, answer: ESort<'_, Uid>, mut expected: Vec<Node>) {
    let mut sorted: Vec<Uid> = Vec::new();
    for _ in 0..values.byte() % 20 {
        // Every other number follows the one before.
        let next = sorted.last().and_then(|last| Uid::new(last.get().wrapping_add(1)));
        let number = next.filter(|_| values.flag()).unwrap_or_else(|| values.one());
        sorted.push(number);
    }
    let (min, max) = (values.flag(), values.flag());
    let (all, count) = (values.flag(), values.flag());
    let returns = SearchReturn { min, max, all, count, save: values.flag() };
    let answer = ESort { returns, sorted: &sorted, ..answer };
    let mut out = Vec::new();
    answer.print(&mut out);
    if !(min || max || all || count) {
        return assert!(out.is_empty());
    }
    item(&mut expected, "MIN", sorted.first().filter(|_| min));
    item(&mut expected, "MAX", sorted.last().filter(|_| max));
    item(&mut expected, "COUNT", count.then_some(sorted.len()));
    item(&mut expected, "MODSEQ", answer.modseq);
    let mut nodes = wire::data(&out, Dialect::SevenBit);
    let told = take_all(&mut nodes).unwrap_or_default();
    assert_eq!(nodes, expected);
    let told: Vec<u32> = told.into_iter().flat_map(|(first, last)| first.get()..=last.get()).collect();
    let found: Vec<u32> = sorted.iter().filter(|_| all).map(|uid| uid.get()).collect();
    assert_eq!(told, found);
}

pub(super) fn threads(values: &mut Values<'_>) {
    let mut nodes: Vec<ThreadNode<SeqNum>> = Vec::new();
    for _ in 0..values.byte() % 40 {
        let deepest = nodes.last().map_or(0, |last| last.depth + 1).min(DEEPEST_THREAD);
        let depth = u32::from(values.byte()) % (deepest + 1);
        nodes.push(ThreadNode { depth, number: Some(values.one()) });
    }
    // A root that is not there holds two children at least.
    for root in 0..nodes.len() {
        let thread = nodes[root + 1..].iter().take_while(|node| node.depth > 0);
        let children = thread.filter(|node| node.depth == 1).count();
        if nodes[root].depth == 0 && children >= 2 && values.flag() {
            nodes[root].number = None;
        }
    }
    let mut out = Vec::new();
    thread(&mut out, &nodes);
    wire::data(&out, Dialect::SevenBit);
    let Response::Data(Data::Thread(theirs)) = read(&out) else { panic!("not THREAD") };
    let mut read_back = Vec::new();
    theirs.iter().for_each(|thread| flatten(thread, 0, &mut read_back));
    assert_eq!(read_back, nodes);
}

/// In the order of reading, as the printer takes it.
fn flatten(thread: &Thread, mut depth: u32, nodes: &mut Vec<ThreadNode<SeqNum>>) {
    let answers: &[Thread] = match thread {
        Thread::Members { prefix, answers } => {
            for number in prefix.as_ref() {
                nodes.push(ThreadNode { depth, number: Some(SeqNum::from_nonzero(*number)) });
                depth += 1;
            }
            answers.as_ref().map_or(&[], |answers| answers.as_ref())
        }
        Thread::Nested { answers } => {
            nodes.push(ThreadNode { depth, number: None });
            depth += 1;
            answers.as_ref()
        }
    };
    answers.iter().for_each(|thread| flatten(thread, depth, nodes));
}
