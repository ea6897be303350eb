//! Runs of base64 lines (RFC 2045 section 6.8) taken out of content, and put back.
//!
//! A run is what a mail program writes for an attachment: lines of one length without padding,
//! and perhaps a last one that is shorter or padded, each with CRLF behind it. Without them
//! content is
//!
//! ```text
//! size of the content
//! number of runs
//! for each run: bytes between it and the one before, characters of a line, lines, bytes that
//!               the last line stands for (0: there is none)
//! what is in no run
//! what the runs stand for
//! ```
//!
//! with numbers in LEB128.
//!
//! Invariants:
//! - a line is part of a run only if it is the one encoding of what it stands for: the unused
//!   bits of its last character are zero, and padding is complete;
//! - [`put_back`] takes any bytes: it never panics, and takes no more memory than the size that
//!   these bytes tell, which it checks against them first.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Characters that a line of a run has.
const LINE: std::ops::RangeInclusive<usize> = 40..=996;
/// A shorter run is left where it is: nothing is won.
const LINES: usize = 16;
const LINE_END: &[u8] = b"\r\n";

/// One run: where it was, and how it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    /// Bytes between it and the run before.
    gap: usize,
    /// Characters of each line but the last.
    line: usize,
    /// How many such lines.
    lines: usize,
    /// Bytes that the last line stands for; 0: there is none.
    last: usize,
}

impl Run {
    /// Bytes that it stands for, if that is a number.
    fn decoded(&self) -> Option<usize> {
        (self.line / 4 * 3).checked_mul(self.lines)?.checked_add(self.last)
    }

    /// Bytes that it takes in the content.
    fn encoded(&self) -> Option<usize> {
        let full = (self.line + LINE_END.len()).checked_mul(self.lines)?;
        let last = match self.last {
            0 => 0,
            bytes => bytes.div_ceil(3).checked_mul(4)?.checked_add(LINE_END.len())?,
        };
        full.checked_add(last)
    }
}

/// The content without its runs; `None` if it has none.
pub(super) fn take_out(content: &[u8]) -> Option<Vec<u8>> {
    let (mut runs, mut rest, mut decoded) = (Vec::new(), Vec::new(), Vec::new());
    // All before it is in `rest` or in a run.
    let mut taken = 0;
    let mut at = 0;
    while let Some(length) = memchr::memchr(b'\n', &content[at..]) {
        let Some(run) = run_at(&content[at..], length, &mut decoded) else {
            at += length + 1;
            continue;
        };
        rest.extend_from_slice(&content[taken..at]);
        runs.push(Run { gap: at - taken, ..run });
        at += run.encoded()?;
        taken = at;
    }
    if runs.is_empty() {
        return None;
    }
    rest.extend_from_slice(&content[taken..]);
    let mut without = Vec::with_capacity(rest.len() + decoded.len() + 16 * (runs.len() + 1));
    write_number(&mut without, content.len());
    write_number(&mut without, runs.len());
    for Run { gap, line, lines, last } in runs {
        for number in [gap, line, lines, last] {
            write_number(&mut without, number);
        }
    }
    without.extend_from_slice(&rest);
    without.extend_from_slice(&decoded);
    Some(without)
}

/// The run that begins with `bytes`, whose first line has its line feed at `line_feed`. What it
/// stands for is put behind `decoded`.
fn run_at(bytes: &[u8], line_feed: usize, decoded: &mut Vec<u8>) -> Option<Run> {
    let line = line_feed.checked_sub(1)?;
    if !LINE.contains(&line) || !line.is_multiple_of(4) {
        return None;
    }
    let before = decoded.len();
    let (written, stands_for) = (line + LINE_END.len(), line / 4 * 3);
    // Padded lines end a run, and the decoder would take them.
    let is_full = |full: &[u8]| full.ends_with(LINE_END) && full[line - 1] != b'=';
    let candidates = bytes.chunks_exact(written).take_while(|full| is_full(full)).count();
    if candidates < LINES {
        return None;
    }
    decoded.resize(before + candidates * stands_for, 0);
    let pairs = bytes.chunks_exact(written).zip(decoded[before..].chunks_exact_mut(stands_for));
    let is_base64 = |(full, into): &mut (&[u8], &mut [u8])| {
        STANDARD.decode_slice_unchecked(&full[..line], into) == Ok(stands_for)
    };
    let lines = pairs.take(candidates).map_while(|mut pair| is_base64(&mut pair).then_some(())).count();
    if lines < LINES {
        decoded.truncate(before);
        return None;
    }
    decoded.truncate(before + lines * stands_for);
    let last = last_line(&bytes[lines * written..], line).unwrap_or_default();
    decoded.extend_from_slice(&last);
    Some(Run { gap: 0, line, lines, last: last.len() })
}

/// What the line stands for that `bytes` begins with, if it is base64 and no longer than `most`.
fn last_line(bytes: &[u8], most: usize) -> Option<Vec<u8>> {
    let line = &bytes[..memchr::memchr(b'\r', &bytes[..bytes.len().min(most + 1)])?];
    bytes[line.len()..].starts_with(LINE_END).then(|| STANDARD.decode(line).ok())?
}

/// The content of what [`take_out`] gave; `None` if it did not give that.
pub(super) fn put_back(mut without: &[u8]) -> Option<Vec<u8>> {
    let size = read_number(&mut without)?;
    let count = read_number(&mut without)?;
    // Each takes four bytes at least.
    let mut runs = Vec::with_capacity(count.min(without.len() / 4));
    let (mut encoded, mut stand_for) = (0usize, 0usize);
    for _ in 0..count {
        let mut number = || read_number(&mut without);
        let run = Run { gap: number()?, line: number()?, lines: number()?, last: number()? };
        if !LINE.contains(&run.line) || !run.line.is_multiple_of(4) {
            return None;
        }
        encoded = encoded.checked_add(run.encoded()?)?;
        stand_for = stand_for.checked_add(run.decoded()?)?;
        runs.push(run);
    }
    let (mut rest, mut decoded) = without.split_at_checked(without.len().checked_sub(stand_for)?)?;
    if encoded.checked_add(rest.len()) != Some(size) {
        return None;
    }
    let mut content = vec![0; size];
    let mut room = content.as_mut_slice();
    for run in runs {
        copy(&mut room, rest.split_off(..run.gap)?)?;
        for _ in 0..run.lines {
            write_line(&mut room, decoded.split_off(..run.line / 4 * 3)?)?;
        }
        if run.last > 0 {
            write_line(&mut room, decoded.split_off(..run.last)?)?;
        }
    }
    copy(&mut room, rest)?;
    Some(content)
}

fn copy(room: &mut &mut [u8], bytes: &[u8]) -> Option<()> {
    room.split_off_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(())
}

fn write_line(room: &mut &mut [u8], stands_for: &[u8]) -> Option<()> {
    let line = room.split_off_mut(..stands_for.len().div_ceil(3) * 4)?;
    STANDARD.encode_slice(stands_for, line).ok()?;
    copy(room, LINE_END)
}

fn write_number(to: &mut Vec<u8>, mut number: usize) {
    while number > 0x7f {
        to.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

fn read_number(from: &mut &[u8]) -> Option<usize> {
    let mut number = 0;
    for shift in (0..usize::BITS).step_by(7) {
        let byte = *from.split_off_first()?;
        let part = usize::from(byte & 0x7f);
        number |= part.checked_shl(shift).filter(|shifted| shifted >> shift == part)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
pub(super) mod tests {
    use hikyaku_testkit::Rng;

    use super::*;

    /// Bytes without a pattern.
    pub(in crate::content) fn noise(length: usize, mut seed: u32) -> Vec<u8> {
        let mut next = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        };
        (0..length).map(|_| next()).collect()
    }

    /// `before`, `bytes` in base64 lines of so many characters, `behind`.
    pub(in crate::content) fn lines(before: &str, bytes: &[u8], line: usize, behind: &str) -> Vec<u8> {
        let mut content = before.as_bytes().to_vec();
        for chunk in bytes.chunks(line / 4 * 3) {
            content.extend_from_slice(STANDARD.encode(chunk).as_bytes());
            content.extend_from_slice(LINE_END);
        }
        content.extend_from_slice(behind.as_bytes());
        content
    }

    fn comes_back(content: &[u8]) -> usize {
        let without = take_out(content).expect("a run");
        assert_eq!(put_back(&without).as_deref(), Some(content));
        without.len()
    }

    #[test]
    fn runs_of_every_length_of_line_and_end_come_back() {
        for line in [40, 60, 64, 72, 76, 128, 996] {
            let stands_for = line / 4 * 3;
            for bytes in (LINES * stands_for..).take(stands_for).step_by(1 + line / 80) {
                comes_back(&lines("A: b\r\n\r\n", &noise(bytes, 3), line, "--x--\r\n"));
                comes_back(&lines("", &noise(bytes, 4), line, ""));
            }
        }
    }

    #[test]
    fn several_runs_in_one_content_come_back() {
        let one = lines("A: b\r\n\r\n--x\r\n\r\n", &noise(5_000, 1), 76, "\r\n--x\r\n\r\n");
        let two = lines("", &noise(5_001, 2), 60, "\r\n--x\r\n\r\nno base64\r\n");
        let three = lines("", &noise(5_002, 3), 76, "a");
        let content = [one, two, three].concat();
        assert!(comes_back(&content) < 15_003 + 150);
        // Two runs that touch each other.
        let pairs = [lines("", &noise(5_001, 2), 60, ""), lines("", &noise(5_001, 2), 76, "")].concat();
        comes_back(&pairs);
    }

    #[test]
    fn what_is_written_in_another_way_stays_as_it_is() {
        let written = |change: fn(&mut Vec<u8>)| {
            let mut content = lines("", &noise(57 * 40 + 1, 9), 76, "");
            change(&mut content);
            content
        };
        // The last line is `??==`; its second character has four unused bits.
        let unused_bits: fn(&mut Vec<u8>) = |content| {
            let at = content.len() - 5;
            content[at] = if content[at] == b'A' { b'B' } else { content[at] + 1 };
        };
        let no_padding: fn(&mut Vec<u8>) = |content| {
            let at = content.len() - 4;
            content.drain(at..at + 2);
        };
        let blank: fn(&mut Vec<u8>) = |content| content[78 * 20 + 3] = b' ';
        let bare: fn(&mut Vec<u8>) = |content| {
            content.remove(78 * 20 - 2);
        };
        let padded_inside: fn(&mut Vec<u8>) = |content| content[78 * 20 + 75] = b'=';
        for change in [unused_bits, no_padding, blank, bare, padded_inside] {
            comes_back(&written(change));
        }
    }

    #[test]
    fn text_and_short_runs_are_left_alone() {
        assert_eq!(take_out(b""), None);
        assert_eq!(take_out(b"no line end"), None);
        assert_eq!(
            take_out(&"Words in lines of a text that has no base64 in it\r\n".repeat(50).into_bytes()),
            None
        );
        assert_eq!(take_out(&lines("", &noise(57 * (LINES - 1), 1), 76, "")), None);
        assert_eq!(take_out(&lines("", &noise(57 * 20, 1), 36, "")), None);
    }

    #[test]
    fn whatever_is_put_together_comes_back() {
        let mut rng = Rng::new(11);
        for round in 0..500u32 {
            let mut content = Vec::new();
            for part in 0..rng.below(5) {
                let bytes = noise(rng.below(4_000) as usize, round * 5 + part as u32);
                let line = *rng.pick(&[36, 40, 44, 76, 77, 120]);
                let behind = *rng.pick(&["", "x", "\r\n", "=\r\n", "--part\r\n\r\n"]);
                content.extend(lines("", &bytes, line, behind));
            }
            for _ in 0..rng.below(4).min(content.len() as u64) {
                let at = rng.below(content.len() as u64) as usize;
                content[at] = *rng.pick(b"A=\r\n-\0\xff");
            }
            if let Some(without) = take_out(&content) {
                assert_eq!(put_back(&without), Some(content), "round {round}");
            }
        }
    }

    #[test]
    fn any_bytes_are_answered() {
        let without = take_out(&lines("A: b\r\n\r\n", &noise(3_000, 1), 76, "x")).unwrap();
        for at in 0..40 {
            for value in 0..=255 {
                let mut other = without.clone();
                other[at] = value;
                let _ = put_back(&other);
            }
        }
        for length in 0..without.len() {
            assert_eq!(put_back(&without[..length]), None, "{length}");
        }
        assert_eq!(put_back(&[0xff; 30]), None);
    }
}
