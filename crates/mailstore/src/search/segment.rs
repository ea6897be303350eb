//! Segments: which terms some emails of an account have, as bytes.
//!
//! A segment has up to [`MOST_EMAILS`] emails, numbered by their ids, and for each place its
//! grams in order, cut into blocks of about [`BLOCK`] octets. It is written once and never
//! changed: several become one by [`merge`], which is also how gone emails leave.
//!
//! ```text
//! emails = *delta                        LEB128 numbers, each the distance to the one before
//! block  = *(delta length *OCTET)        of a gram to the one before; the first is the block's
//! length = octets * 2 + is_bitmap        then the emails that have it, in the shorter form:
//!                                        a bit each, or their numbers as distances
//! ```
//!
//! Trust: the bytes are ours, but may be damaged: then there is no answer.

use std::collections::HashSet;

use hikyaku_mime::search::{Gram, Place};
use hikyaku_types::EmailId;

use crate::varint::{self, put};

/// Most emails of a segment.
pub(super) const MOST_EMAILS: usize = 2048;

/// Octets from which on a block is full: with its row it fits into a page of SQLite.
const BLOCK: usize = 3600;

/// An email that is to be indexed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Document {
    /// Its id.
    pub(super) email: EmailId,
    /// Its terms, as `mime::search::terms` gives them.
    pub(super) terms: Vec<(Place, Gram)>,
}

/// Grams that follow each other at one place, and who has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    /// The number of the place.
    pub(super) place: u8,
    /// The first gram.
    pub(super) gram: i64,
    /// See the module.
    pub(super) bytes: Vec<u8>,
}

/// A whole segment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Segment {
    /// Its emails, by rising id.
    pub(super) emails: Vec<EmailId>,
    /// Its blocks, by place and gram.
    pub(super) blocks: Vec<Block>,
}

/// A stored segment cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a search segment is damaged")]
pub(super) struct Damaged;

impl Segment {
    /// The segment of these emails, at most [`MOST_EMAILS`].
    pub(super) fn of(mut documents: Vec<Document>) -> Self {
        documents.sort_by_key(|document| document.email);
        documents.dedup_by_key(|document| document.email);
        documents.truncate(MOST_EMAILS);
        let mut postings: Vec<(u8, i64, u16)> = Vec::new();
        for (number, document) in (0..).zip(&documents) {
            let terms = document.terms.iter();
            postings.extend(terms.map(|&(place, gram)| (place.number(), gram.as_i64(), number)));
        }
        postings.sort_unstable();
        let mut builder = Builder::new(documents.len());
        for same in postings.chunk_by(|one, other| (one.0, one.1) == (other.0, other.1)) {
            let [(place, gram, _), ..] = same else { continue };
            let numbers: Vec<u16> = same.iter().map(|posting| posting.2).collect();
            builder.add(*place, *gram, &numbers);
        }
        Self {
            emails: documents.into_iter().map(|document| document.email).collect(),
            blocks: builder.finish(),
        }
    }

    /// About how many octets it takes.
    pub(super) fn size(&self) -> usize {
        self.blocks.iter().map(|block| block.bytes.len() + 40).sum::<usize>() + self.emails.len() * 8
    }
}

/// Makes one segment of several, without the emails that are `gone`. Together they have at
/// most [`MOST_EMAILS`] emails.
pub(super) fn merge(segments: &[Segment], gone: &HashSet<EmailId>) -> Result<Segment, Damaged> {
    let mut emails: Vec<EmailId> =
        segments.iter().flat_map(|segment| segment.emails.iter().copied()).collect();
    emails.retain(|email| !gone.contains(email));
    emails.sort_unstable();
    emails.dedup();
    emails.truncate(MOST_EMAILS);
    let mut sources: Vec<Source<'_>> = segments.iter().map(|segment| Source::new(segment, &emails)).collect();
    let mut builder = Builder::new(emails.len());
    while let Some((place, gram)) = sources.iter_mut().filter_map(Source::peek).min() {
        let mut numbers = Vec::new();
        for source in &mut sources {
            if source.peek() == Some((place, gram)) {
                source.take(&mut numbers)?;
            }
        }
        numbers.sort_unstable();
        numbers.dedup();
        builder.add(place, gram, &numbers);
    }
    if sources.iter().any(|source| source.is_damaged) {
        return Err(Damaged);
    }
    Ok(Segment { emails, blocks: builder.finish() })
}

/// A segment that is read from its first to its last gram.
struct Source<'s> {
    blocks: std::slice::Iter<'s, Block>,
    /// The number that each email gets, unless it is gone.
    numbers: Vec<Option<u16>>,
    place: u8,
    entries: Option<Entries<'s>>,
    next: Option<Entry<'s>>,
    is_damaged: bool,
}

impl<'s> Source<'s> {
    fn new(segment: &'s Segment, emails: &[EmailId]) -> Self {
        let number = |email| emails.binary_search(email).ok().and_then(|at| u16::try_from(at).ok());
        let numbers = segment.emails.iter().map(number).collect();
        Self {
            blocks: segment.blocks.iter(),
            numbers,
            place: 0,
            entries: None,
            next: None,
            is_damaged: false,
        }
    }

    /// Place and gram that come next.
    fn peek(&mut self) -> Option<(u8, i64)> {
        while self.next.is_none() && !self.is_damaged {
            match self.entries.as_mut().map(Entries::next) {
                Some(Ok(Some(entry))) => self.next = Some(entry),
                Some(Err(Damaged)) => self.is_damaged = true,
                Some(Ok(None)) | None => {
                    let block = self.blocks.next()?;
                    self.place = block.place;
                    self.entries = Some(Entries::new(block));
                }
            }
        }
        self.next.as_ref().map(|entry| (self.place, entry.gram))
    }

    fn take(&mut self, numbers: &mut Vec<u16>) -> Result<(), Damaged> {
        let Some(entry) = self.next.take() else { return Ok(()) };
        let mut who = Who::none(self.numbers.len());
        entry.mark(&mut who)?;
        numbers.extend(who.numbers().filter_map(|number| self.numbers.get(number).copied().flatten()));
        Ok(())
    }
}

struct Builder {
    emails: usize,
    blocks: Vec<Block>,
    /// The last gram of the last block.
    last: i64,
}

impl Builder {
    fn new(emails: usize) -> Self {
        Self { emails, blocks: Vec::new(), last: 0 }
    }

    fn add(&mut self, place: u8, gram: i64, numbers: &[u16]) {
        if numbers.is_empty() {
            return;
        }
        let fits = |block: &Block| block.place == place && block.bytes.len() < BLOCK;
        if !self.blocks.last().is_some_and(fits) {
            self.blocks.push(Block { place, gram, bytes: Vec::new() });
            self.last = gram;
        }
        if let Some(block) = self.blocks.last_mut() {
            put(&mut block.bytes, gram.wrapping_sub(self.last).unsigned_abs());
            put_numbers(&mut block.bytes, numbers, self.emails);
            self.last = gram;
        }
    }

    fn finish(self) -> Vec<Block> {
        self.blocks
    }
}

fn put_numbers(out: &mut Vec<u8>, numbers: &[u16], emails: usize) {
    let mut distances = Vec::with_capacity(numbers.len());
    let mut before = 0;
    for &number in numbers {
        put(&mut distances, u64::from(number - before));
        before = number;
    }
    let mut who = Who::none(emails);
    numbers.iter().for_each(|&number| who.mark(usize::from(number)));
    let (bytes, is_bitmap) = if who.0.len() < distances.len() { (who.0, 1) } else { (distances, 0) };
    put(out, bytes.len() as u64 * 2 + is_bitmap);
    out.extend_from_slice(&bytes);
}

/// Which emails of a segment, by their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Who(Vec<u8>);

impl Who {
    /// None of so many.
    pub(super) fn none(emails: usize) -> Self {
        Self(vec![0; emails.div_ceil(8)])
    }

    /// All of so many.
    pub(super) fn all(emails: usize) -> Self {
        Self(vec![u8::MAX; emails.div_ceil(8)])
    }

    fn mark(&mut self, number: usize) {
        if let Some(octet) = self.0.get_mut(number / 8) {
            *octet |= 1 << (number % 8);
        }
    }

    /// Is this one among them?
    pub(super) fn has(&self, number: usize) -> bool {
        self.0.get(number / 8).is_some_and(|octet| octet >> (number % 8) & 1 == 1)
    }

    /// Is there none?
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|octet| *octet == 0)
    }

    /// Leaves those that are among the others too.
    pub(super) fn keep(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(one, other)| *one &= other);
    }

    /// Adds the others.
    pub(super) fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(one, other)| *one |= other);
    }

    fn numbers(&self) -> impl Iterator<Item = usize> {
        (0..self.0.len() * 8).filter(|&number| self.has(number))
    }
}

/// Adds to `who` the emails that have a gram from `first` to `last` in this block.
pub(super) fn find(block: &Block, (first, last): (i64, i64), who: &mut Who) -> Result<(), Damaged> {
    let mut entries = Entries::new(block);
    while let Some(entry) = entries.next()? {
        if entry.gram > last {
            break;
        }
        if entry.gram >= first {
            entry.mark(who)?;
        }
    }
    Ok(())
}

/// One gram and who has it.
struct Entry<'b> {
    gram: i64,
    is_bitmap: bool,
    bytes: &'b [u8],
}

impl Entry<'_> {
    fn mark(&self, who: &mut Who) -> Result<(), Damaged> {
        if self.is_bitmap {
            who.0.iter_mut().zip(self.bytes).for_each(|(one, other)| *one |= other);
            return Ok(());
        }
        let mut rest = self.bytes;
        let mut number = 0u64;
        while !rest.is_empty() {
            number = number.checked_add(take(&mut rest)?).ok_or(Damaged)?;
            who.mark(usize::try_from(number).map_err(|_| Damaged)?);
        }
        Ok(())
    }
}

struct Entries<'b> {
    gram: i64,
    rest: &'b [u8],
}

impl<'b> Entries<'b> {
    fn new(block: &'b Block) -> Self {
        Self { gram: block.gram, rest: &block.bytes }
    }

    fn next(&mut self) -> Result<Option<Entry<'b>>, Damaged> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let distance = i64::try_from(take(&mut self.rest)?).map_err(|_| Damaged)?;
        self.gram = self.gram.checked_add(distance).ok_or(Damaged)?;
        let length = take(&mut self.rest)?;
        let octets = usize::try_from(length / 2).map_err(|_| Damaged)?;
        let (bytes, rest) = self.rest.split_at_checked(octets).ok_or(Damaged)?;
        self.rest = rest;
        Ok(Some(Entry { gram: self.gram, is_bitmap: length % 2 == 1, bytes }))
    }
}

/// The ids of a segment's emails, which rise, as bytes.
pub(super) fn encode_emails(emails: &[EmailId]) -> Vec<u8> {
    let mut out = Vec::with_capacity(emails.len() * 6);
    let mut before = 0;
    for email in emails {
        put(&mut out, (email.as_i64() - before).unsigned_abs());
        before = email.as_i64();
    }
    out
}

/// What [`encode_emails`] wrote.
pub(super) fn decode_emails(mut bytes: &[u8]) -> Result<Vec<EmailId>, Damaged> {
    let mut emails = Vec::new();
    let mut id = 0i64;
    while !bytes.is_empty() {
        let distance = i64::try_from(take(&mut bytes)?).map_err(|_| Damaged)?;
        id = id.checked_add(distance).ok_or(Damaged)?;
        emails.push(EmailId::from_i64(id).ok_or(Damaged)?);
    }
    Ok(emails)
}

fn take(bytes: &mut &[u8]) -> Result<u64, Damaged> {
    varint::take(bytes).ok_or(Damaged)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use hikyaku_mime::search::{terms, wanted};
    use hikyaku_mime::structure::Structure;
    use hikyaku_testkit::Rng;

    use super::*;

    fn id(number: i64) -> EmailId {
        EmailId::from_i64(number).unwrap()
    }

    /// An email whose body is some of these words.
    fn document(rng: &mut Rng, number: i64) -> Document {
        let words = ["report", "portal", "会議", "議事録", "the", "カイギ", "x1y2"];
        let text: Vec<&str> = (0..rng.below(5)).map(|_| *rng.pick(&words)).collect();
        let content = format!("Content-Type: text/plain; charset=utf-8\r\n\r\nthe {}", text.join(" "));
        let structure = Structure::parse(content.as_bytes());
        Document { email: id(number), terms: terms(content.as_bytes(), &structure).unwrap() }
    }

    fn found(segment: &Segment, place: Place, text: &str) -> BTreeSet<EmailId> {
        let (first, last) = wanted(text)[0];
        let mut who = Who::none(segment.emails.len());
        for block in segment.blocks.iter().filter(|block| block.place == place.number()) {
            find(block, (first.as_i64(), last.as_i64()), &mut who).unwrap();
        }
        segment.emails.iter().enumerate().filter(|&(at, _)| who.has(at)).map(|(_, email)| *email).collect()
    }

    fn has(documents: &[Document], place: Place, text: &str) -> BTreeSet<EmailId> {
        let (first, last) = wanted(text)[0];
        let is = |document: &&Document| {
            document.terms.iter().any(|&(at, gram)| at == place && first <= gram && gram <= last)
        };
        documents.iter().filter(is).map(|document| document.email).collect()
    }

    #[test]
    fn segments_find_what_their_documents_have() {
        for seed in 0..20 {
            let mut rng = Rng::new(seed);
            let documents: Vec<Document> =
                (1..=300).map(|number| document(&mut rng, number * 1_000_003)).collect();
            let whole = Segment::of(documents.clone());
            let parts: Vec<Segment> = documents
                .chunks(1 + rng.below(100) as usize)
                .map(|part| Segment::of(part.to_vec()))
                .collect();
            let merged = merge(&parts, &HashSet::new()).unwrap();
            assert_eq!(merged, whole, "seed {seed}");
            for (place, text) in [
                (Place::Body, "por"),
                (Place::Body, "議"),
                (Place::Body, "かい"),
                (Place::Body, "the"),
                (Place::Header, "utf"),
            ] {
                assert_eq!(found(&whole, place, text), has(&documents, place, text), "seed {seed} {text}");
                assert!(!found(&whole, place, text).is_empty());
            }
        }
    }

    #[test]
    fn gone_emails_leave_with_a_merge() {
        let mut rng = Rng::new(5);
        let documents: Vec<Document> = (1..=50).map(|number| document(&mut rng, number)).collect();
        let gone: HashSet<EmailId> = (1..=50).filter(|number| number % 3 == 0).map(id).collect();
        let left: Vec<Document> =
            documents.iter().filter(|document| !gone.contains(&document.email)).cloned().collect();
        let (one, other) = documents.split_at(20);
        let segments = [Segment::of(one.to_vec()), Segment::of(other.to_vec())];
        assert_eq!(merge(&segments, &gone).unwrap(), Segment::of(left));
    }

    #[test]
    fn large_segments_have_several_blocks() {
        let mut rng = Rng::new(6);
        let mut many = document(&mut rng, 1);
        let letters: String = (0..20_000).map(|_| char::from(b'a' + rng.below(26) as u8)).collect();
        let content = format!("\r\n{letters}");
        many.terms = terms(content.as_bytes(), &Structure::parse(content.as_bytes())).unwrap();
        let segment = Segment::of(vec![many.clone()]);
        assert!(segment.blocks.len() > 5);
        assert!(segment.blocks.iter().all(|block| block.bytes.len() < BLOCK + 300));
        assert_eq!(found(&segment, Place::Body, &letters[100..103]), BTreeSet::from([id(1)]));
        assert_eq!(merge(std::slice::from_ref(&segment), &HashSet::new()).unwrap(), segment);
    }

    #[test]
    fn ids_of_emails() {
        for ids in [vec![], vec![id(1)], vec![id(1), id(2), id(i64::MAX)]] {
            assert_eq!(decode_emails(&encode_emails(&ids)), Ok(ids));
        }
        for damaged in [&[0x80][..], &[0], &[0xff; 11]] {
            assert_eq!(decode_emails(damaged), Err(Damaged));
        }
    }

    #[test]
    fn damage_is_found_or_does_no_harm() {
        let mut rng = Rng::new(7);
        let documents: Vec<Document> = (1..=40).map(|number| document(&mut rng, number)).collect();
        let segment = Segment::of(documents);
        for _ in 0..2_000 {
            let mut damaged = segment.clone();
            let block = damaged.blocks.last_mut().unwrap();
            let at = rng.below(block.bytes.len() as u64) as usize;
            block.bytes[at] = rng.below(256) as u8;
            let _ = merge(std::slice::from_ref(&damaged), &HashSet::new());
            let mut who = Who::none(40);
            let _ = find(damaged.blocks.last().unwrap(), (0, i64::MAX), &mut who);
        }
        let mut cut = segment.blocks[0].clone();
        cut.bytes.truncate(cut.bytes.len() - 1);
        assert_eq!(find(&cut, (0, i64::MAX), &mut Who::none(40)), Err(Damaged));
    }
}
