//! SEARCH, ESEARCH, SORT and THREAD responses.
//!
//! Standards: RFC 3501 section 7.2.5, RFC 4731 (ESEARCH), RFC 7162 section 3.1.5 (MODSEQ),
//! RFC 5256 section 4 (SORT, THREAD).

use crate::command::{By, SearchReturn};
use crate::print::put;
use crate::{ModSeq, Number, NumberSet, Tag};

/// `* SEARCH 2 84 882`, also for no numbers; with the highest mod-sequence among them if
/// the command named MODSEQ.
pub fn search<N: Number>(out: &mut Vec<u8>, numbers: impl IntoIterator<Item = N>, modseq: Option<ModSeq>) {
    numbers_line(out, "SEARCH", numbers, modseq);
}

/// `* SORT 2 84 882`
pub fn sort<N: Number>(out: &mut Vec<u8>, numbers: impl IntoIterator<Item = N>, modseq: Option<ModSeq>) {
    numbers_line(out, "SORT", numbers, modseq);
}

fn numbers_line<N: Number>(
    out: &mut Vec<u8>,
    name: &str,
    numbers: impl IntoIterator<Item = N>,
    modseq: Option<ModSeq>,
) {
    put(out, format_args!("* {name}"));
    let before = out.len();
    for number in numbers {
        put(out, format_args!(" {number}"));
    }
    // RFC 7162 section 3.1.5: nothing found, nothing said of mod-sequences.
    if let Some(modseq) = modseq.filter(|_| out.len() > before) {
        put(out, format_args!(" (MODSEQ {modseq})"));
    }
    put(out, "\r\n");
}

/// `* ESEARCH (TAG "a") UID MIN 2 …`: what the command's RETURN asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ESearch<'a, N: Number> {
    /// Tag of the command that is answered.
    pub tag: &'a Tag,
    /// Kind of the numbers.
    pub by: By,
    /// The smallest; `None`: not asked, or nothing found.
    pub min: Option<N>,
    /// The largest; `None`: not asked, or nothing found.
    pub max: Option<N>,
    /// How many; `None`: not asked.
    pub count: Option<u64>,
    /// All; `None`: not asked. An empty set is not printed.
    pub all: Option<&'a NumberSet<N>>,
    /// The highest mod-sequence of what was found, if the command named MODSEQ.
    pub modseq: Option<ModSeq>,
}

impl<N: Number> ESearch<'_, N> {
    /// Prints the line.
    pub fn print(&self, out: &mut Vec<u8>) {
        // A tag has no characters that need a backslash.
        put(out, format_args!("* ESEARCH (TAG \"{}\")", self.tag));
        if self.by == By::Uid {
            put(out, " UID");
        }
        if let Some(min) = self.min {
            put(out, format_args!(" MIN {min}"));
        }
        if let Some(max) = self.max {
            put(out, format_args!(" MAX {max}"));
        }
        if let Some(all) = self.all.filter(|all| !all.is_empty()) {
            put(out, format_args!(" ALL {all}"));
        }
        if let Some(count) = self.count {
            put(out, format_args!(" COUNT {count}"));
        }
        if let Some(modseq) = self.modseq {
            put(out, format_args!(" MODSEQ {modseq}"));
        }
        put(out, "\r\n");
    }
}

/// The same for SORT: first and last in the order of sorting, and all in that order (RFC 5267
/// section 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ESort<'a, N: Number> {
    /// Tag of the command that is answered.
    pub tag: &'a Tag,
    /// Kind of the numbers.
    pub by: By,
    /// What was asked for.
    pub returns: SearchReturn,
    /// What was found, sorted.
    pub sorted: &'a [N],
    /// The highest mod-sequence of what was found, if the command named MODSEQ.
    pub modseq: Option<ModSeq>,
}

impl<N: Number> ESort<'_, N> {
    /// Prints the line; nothing if the result is only saved.
    pub fn print(&self, out: &mut Vec<u8>) {
        let SearchReturn { min, max, all, count, .. } = self.returns;
        if !(min || max || all || count) {
            return;
        }
        put(out, format_args!("* ESEARCH (TAG \"{}\")", self.tag));
        if self.by == By::Uid {
            put(out, " UID");
        }
        if let Some(first) = self.sorted.first().filter(|_| min) {
            put(out, format_args!(" MIN {first}"));
        }
        if let Some(last) = self.sorted.last().filter(|_| max) {
            put(out, format_args!(" MAX {last}"));
        }
        if all && !self.sorted.is_empty() {
            put(out, " ALL ");
            runs(out, self.sorted);
        }
        if count {
            put(out, format_args!(" COUNT {}", self.sorted.len()));
        }
        if let Some(modseq) = self.modseq {
            put(out, format_args!(" MODSEQ {modseq}"));
        }
        put(out, "\r\n");
    }
}

/// `5,1:3`: numbers in their order. Only ascending runs are put together, as `3:1` means `1:3`.
fn runs<N: Number>(out: &mut Vec<u8>, numbers: &[N]) {
    let follows = |a: &N, b: &N| a.to_nonzero().get().checked_add(1) == Some(b.to_nonzero().get());
    for (index, run) in numbers.chunk_by(follows).enumerate() {
        put(out, if index > 0 { "," } else { "" });
        match run {
            [first, .., last] => put(out, format_args!("{first}:{last}")),
            run => run.iter().for_each(|number| put(out, number)),
        }
    }
}

/// One message in a list of threads. The list is in the order of reading, parents before
/// children: so a thread of any depth costs no recursion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadNode<N> {
    /// 0 for the root of a thread; its children have one more than the parent.
    pub depth: u32,
    /// `None`: a parent that is not there and holds siblings together, always a root.
    pub number: Option<N>,
}

/// `* THREAD (2)(3 6 (4 23)(44 7 96))`
pub fn thread<N: Number>(out: &mut Vec<u8>, nodes: &[ThreadNode<N>]) {
    put(out, "* THREAD");
    if !nodes.is_empty() {
        put(out, " ");
    }
    let has_siblings = siblings(nodes);
    // Depths at which a parenthesis is open.
    let mut open: Vec<u32> = Vec::new();
    for (node, has_siblings) in nodes.iter().zip(has_siblings) {
        while open.last().is_some_and(|depth| *depth >= node.depth) {
            open.pop();
            put(out, ")");
        }
        let follows_number = out.last().is_some_and(u8::is_ascii_digit);
        if follows_number {
            put(out, " ");
        }
        if node.depth == 0 || has_siblings {
            put(out, "(");
            open.push(node.depth);
        }
        if let Some(number) = node.number {
            put(out, number);
        }
    }
    put(out, ")".repeat(open.len()));
    put(out, "\r\n");
}

/// For each node: has its parent other children?
fn siblings<N>(nodes: &[ThreadNode<N>]) -> Vec<bool> {
    let mut has_siblings = vec![false; nodes.len()];
    // The nodes on the way from the root to the one before.
    let mut path: Vec<usize> = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        let mut elder = None;
        while let Some(last) =
            path.pop_if(|last| nodes.get(*last).is_some_and(|last| last.depth >= node.depth))
        {
            elder = Some(last);
        }
        if let Some(elder) = elder.and_then(|elder| has_siblings.get_mut(elder)) {
            *elder = true;
            if let Some(younger) = has_siblings.get_mut(index) {
                *younger = true;
            }
        }
        path.push(index);
    }
    has_siblings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SeqNum, Uid};

    fn printed(print: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        print(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn seqs(numbers: &[u32]) -> Vec<SeqNum> {
        numbers.iter().filter_map(|number| SeqNum::new(*number)).collect()
    }

    #[test]
    fn number_lines() {
        let modseq = ModSeq::new(917_162_500);
        assert_eq!(printed(|out| search(out, seqs(&[2, 84, 882]), None)), "* SEARCH 2 84 882\r\n");
        assert_eq!(printed(|out| search(out, seqs(&[]), modseq)), "* SEARCH\r\n");
        assert_eq!(printed(|out| search(out, seqs(&[2, 5]), modseq)), "* SEARCH 2 5 (MODSEQ 917162500)\r\n");
        assert_eq!(printed(|out| sort(out, seqs(&[5, 3]), None)), "* SORT 5 3\r\n");
    }

    #[test]
    fn esearch_of_rfc_4731() {
        let tag = Tag::parse(b"A284").unwrap();
        let all: NumberSet<Uid> = [4, 5, 6, 9].into_iter().filter_map(Uid::new).collect();
        let nothing = ESearch::<Uid> {
            tag: &tag,
            by: By::SeqNum,
            min: None,
            max: None,
            count: None,
            all: None,
            modseq: None,
        };
        let full = ESearch {
            by: By::Uid,
            min: all.first(),
            max: all.last(),
            count: Some(4),
            all: Some(&all),
            modseq: ModSeq::new(7),
            ..nothing.clone()
        };
        assert_eq!(printed(|out| nothing.print(out)), "* ESEARCH (TAG \"A284\")\r\n");
        assert_eq!(
            printed(|out| full.print(out)),
            "* ESEARCH (TAG \"A284\") UID MIN 4 MAX 9 ALL 4:6,9 COUNT 4 MODSEQ 7\r\n"
        );
    }

    #[test]
    fn esort_of_rfc_5267() {
        let tag = Tag::parse(b"E01").unwrap();
        let sorted = seqs(&[23765, 23764, 1, 2, 3, 9, 7]);
        let all = SearchReturn { all: true, count: true, min: true, max: true, save: false };
        for (sorted, returns, expected) in [
            (&sorted[..], all, "* ESEARCH (TAG \"E01\") MIN 23765 MAX 7 ALL 23765,23764,1:3,9,7 COUNT 7\r\n"),
            (&[], all, "* ESEARCH (TAG \"E01\") COUNT 0\r\n"),
            (&sorted[..], SearchReturn { save: true, ..SearchReturn::default() }, ""),
        ] {
            let esort = ESort { tag: &tag, by: By::SeqNum, returns, sorted, modseq: None };
            assert_eq!(printed(|out| esort.print(out)), expected);
        }
    }

    #[test]
    fn threads_of_rfc_5256() {
        // Depth and number; 0 is a parent that is not there.
        for (nodes, expected) in [
            (&[][..], "* THREAD\r\n"),
            (
                &[(0, 2), (0, 3), (1, 6), (2, 4), (3, 23), (2, 44), (3, 7), (4, 96)],
                "* THREAD (2)(3 6 (4 23)(44 7 96))\r\n",
            ),
            (&[(0, 0), (1, 3), (1, 5)], "* THREAD ((3)(5))\r\n"),
            (
                &[(0, 166), (0, 167), (1, 168), (0, 1), (1, 2), (1, 3), (2, 4)],
                "* THREAD (166)(167 168)(1 (2)(3 4))\r\n",
            ),
        ] {
            let nodes: Vec<_> = nodes
                .iter()
                .map(|(depth, number)| ThreadNode { depth: *depth, number: SeqNum::new(*number) })
                .collect();
            assert_eq!(printed(|out| thread(out, &nodes)), expected);
        }
        let deep: Vec<_> =
            (0..100_000).map(|depth| ThreadNode { depth, number: SeqNum::new(depth + 1) }).collect();
        assert!(printed(|out| thread(out, &deep)).ends_with(" 100000)\r\n"));
    }
}
