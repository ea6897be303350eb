//! DEFLATE under IMAP: the bytes of both directions after COMPRESS.
//!
//! Standards: RFC 4978, RFC 1951 (the format, without header), RFC 8437 section 4.1 (the end).
//! Invariants:
//! - between two answers a session keeps no more than the last 32 KiB that its client sent,
//!   and less while the client has sent less: tables exist only while there is work;
//! - what is inflated is given out in pieces of the caller's size, so that a small input with
//!   a large output never stands in memory whole: the framer's limits hold as without;
//! - all that was deflated up to [`Flush::Yes`] can be inflated by the peer at once.
//!
//! Trust: the input comes from strangers. What is not DEFLATE is an error, after which the
//! connection must end. A distance that leads beyond the beginning reads zeros.
//!
//! Known weakness: the answer to a command does not refer to answers before it, which costs a
//! little compression of short ones and saves 300 KB for each session that waits.

use std::fmt;

use miniz_oxide::DataFormat;
use miniz_oxide::deflate::core::{CompressionStrategy, CompressorOxide, TDEFLFlush, TDEFLStatus, compress};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{
    BlockBoundaryState, DecompressorOxide, decompress_with_limit, inflate_flags,
};

/// How far back a block may refer, RFC 1951 section 2.
const WINDOW: usize = 32 << 10;
/// The window of a client that has sent little.
const FIRST_WINDOW: usize = 1 << 10;
/// zlib's scale. Above it the answers of a mailbox get hardly smaller.
const LEVEL: u8 = 3;
/// Deflated bytes that are made at a time.
const PIECE: usize = 4 << 10;

const FLAGS: u32 =
    inflate_flags::TINFL_FLAG_HAS_MORE_INPUT | inflate_flags::TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY;

/// What came in is not DEFLATE, or goes on behind its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("compressed data is damaged")]
pub struct Damaged;

/// The direction from the client.
pub struct Inflater {
    /// A ring with the last bytes that were inflated; its length is a power of two.
    window: Vec<u8>,
    /// Where the next byte goes.
    at: usize,
    work: Work,
    /// The block that is under way has given bytes.
    has_given: bool,
}

/// Where the format stands.
enum Work {
    /// Behind a flush of the client's, or at the beginning.
    Flushed,
    /// Between two blocks.
    Between(BlockBoundaryState),
    Within(Box<DecompressorOxide>),
}

/// Why a step ended.
enum Stop {
    Flushed,
    EndOfBlock,
    NeedsRoom,
    NeedsInput,
    /// There are no blocks behind the last one.
    Over,
}

/// The direction to the client.
#[derive(Default)]
pub struct Deflater {
    /// Only between the first byte and a flush.
    tables: Option<Box<CompressorOxide>>,
}

/// Is there a point at which all is out?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// Yes, behind these bytes.
    Yes,
    /// More will follow.
    No,
}

impl Default for Inflater {
    fn default() -> Self {
        Self { window: vec![0; FIRST_WINDOW], at: 0, work: Work::Flushed, has_given: false }
    }
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater").field("window", &self.window.len()).finish_non_exhaustive()
    }
}

impl Inflater {
    /// Inflates from the beginning of `input` to the beginning of `out`: until `out` is full,
    /// the input is used up, or the client has flushed. Says how many bytes there are in
    /// `out`; none means that more input is needed.
    ///
    /// # Errors
    /// If the input is not DEFLATE.
    pub fn inflate(&mut self, input: &mut &[u8], out: &mut [u8]) -> Result<usize, Damaged> {
        let mut written = 0;
        loop {
            let room = out.get_mut(written..).unwrap_or_default();
            let (stop, given) = self.step(input, room)?;
            written += given;
            match stop {
                Stop::Over if written == 0 => return Err(Damaged),
                Stop::Flushed if written == 0 => {}
                Stop::EndOfBlock => {}
                Stop::NeedsRoom if written < out.len() => {}
                Stop::Over | Stop::Flushed | Stop::NeedsRoom | Stop::NeedsInput => return Ok(written),
            }
        }
    }

    /// Reads to the end of what is compressed: the client's last flush. True if it is
    /// reached; `input` is then what stands behind it.
    ///
    /// # Errors
    /// If there is anything before the end that was not given out, or it is not DEFLATE.
    pub fn finish(&mut self, input: &mut &[u8]) -> Result<bool, Damaged> {
        while !matches!(self.work, Work::Flushed) {
            match self.step(input, &mut [0])? {
                (_, 1..) => return Err(Damaged),
                (Stop::Over, _) => return Ok(true),
                (Stop::NeedsInput, _) => return Ok(false),
                (Stop::Flushed | Stop::EndOfBlock | Stop::NeedsRoom, _) => {}
            }
        }
        Ok(true)
    }

    fn step(&mut self, input: &mut &[u8], out: &mut [u8]) -> Result<(Stop, usize), Damaged> {
        if input.is_empty() && !matches!(self.work, Work::Within(_)) {
            return Ok((Stop::NeedsInput, 0));
        }
        if self.at == self.window.len() {
            self.turn();
        }
        let mut tables = match std::mem::replace(&mut self.work, Work::Flushed) {
            Work::Flushed => {
                Box::new(DecompressorOxide::from_block_boundary_state(&BlockBoundaryState::default()))
            }
            Work::Between(between) => Box::new(DecompressorOxide::from_block_boundary_state(&between)),
            Work::Within(tables) => tables,
        };
        let (status, taken, given) =
            decompress_with_limit(&mut tables, input, &mut self.window, self.at, out.len(), FLAGS);
        *input = input.get(taken..).unwrap_or_default();
        let fresh = self.window.get(self.at..self.at + given).unwrap_or_default();
        out.iter_mut().zip(fresh).for_each(|(out, fresh)| *out = *fresh);
        self.at += given;
        self.has_given |= given > 0;
        let stop = match status {
            TINFLStatus::BlockBoundary => return Ok((self.end_block(&tables)?, given)),
            TINFLStatus::NeedsMoreInput => Stop::NeedsInput,
            TINFLStatus::HasMoreOutput => Stop::NeedsRoom,
            TINFLStatus::Done => Stop::Over,
            _ => return Err(Damaged),
        };
        self.work = Work::Within(tables);
        Ok((stop, given))
    }

    /// A flush is an empty block that ends with a byte.
    fn end_block(&mut self, tables: &DecompressorOxide) -> Result<Stop, Damaged> {
        let between = tables.block_boundary_state().ok_or(Damaged)?;
        let has_given = std::mem::take(&mut self.has_given);
        if between.num_bits == 0 && !has_given {
            self.work = Work::Flushed;
            return Ok(Stop::Flushed);
        }
        self.work = Work::Between(between);
        Ok(Stop::EndOfBlock)
    }

    /// The window is full: it grows, or begins anew.
    fn turn(&mut self) {
        if self.window.len() < WINDOW {
            self.window.resize(self.window.len() * 2, 0);
        } else {
            self.at = 0;
        }
    }
}

impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflater").field("at_work", &self.tables.is_some()).finish()
    }
}

impl Deflater {
    /// Appends `input`, deflated, to `out`; without a flush some of it may follow later.
    pub fn deflate(&mut self, mut input: &[u8], flush: Flush, out: &mut Vec<u8>) {
        if input.is_empty() && self.tables.is_none() {
            return;
        }
        let tables = self.tables.get_or_insert_with(|| {
            Box::new(CompressorOxide::with_params(DataFormat::Raw, LEVEL, CompressionStrategy::Default, 15))
        });
        let how = match flush {
            Flush::Yes => TDEFLFlush::Sync,
            Flush::No => TDEFLFlush::None,
        };
        let mut piece = [0; PIECE];
        loop {
            let (status, taken, given) = compress(tables, input, &mut piece, how);
            input = input.get(taken..).unwrap_or_default();
            out.extend_from_slice(piece.get(..given).unwrap_or_default());
            if status != TDEFLStatus::Okay || (given < PIECE && input.is_empty()) {
                break;
            }
        }
        if flush == Flush::Yes {
            self.tables = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Inflates `pieces` as they come, `room` bytes at a time.
    fn inflated(pieces: &[&[u8]], room: usize) -> Result<Vec<u8>, Damaged> {
        let mut inflater = Inflater::default();
        let mut all = Vec::new();
        for piece in pieces {
            let mut input = *piece;
            loop {
                let mut out = vec![0; room];
                let given = inflater.inflate(&mut input, &mut out)?;
                if given == 0 {
                    break;
                }
                all.extend_from_slice(&out[..given]);
            }
            assert!(input.is_empty());
        }
        Ok(all)
    }

    fn deflated(answers: &[&[u8]]) -> Vec<u8> {
        let mut deflater = Deflater::default();
        let mut out = Vec::new();
        for answer in answers {
            deflater.deflate(answer, Flush::Yes, &mut out);
        }
        out
    }

    /// What `zlib.compressobj(wbits=-15)` of Python makes of two commands, each flushed.
    const BY_ZLIB: &[u8] = b"\x4a\x54\xf0\xf3\xf7\x0f\xe0\xe5\x02\x00\x00\x00\xff\xff\x4a\x52\x08\xf5\x73\x0c\x0d\xf1\x70\xf5\x0b\xf1\x74\x76\x0c\x71\xe5\xe5\x02\x00\x00\x00\xff\xff";

    #[test]
    fn what_zlib_sends() {
        assert_eq!(inflated(&[BY_ZLIB], 100).unwrap(), b"a NOOP\r\nb UNAUTHENTICATE\r\n");
    }

    #[test]
    fn a_flush_ends_a_piece() {
        let mut inflater = Inflater::default();
        let mut input = BY_ZLIB;
        let mut out = [0; 100];
        assert_eq!(inflater.inflate(&mut input, &mut out), Ok(8));
        assert!(!input.is_empty(), "the second command waits");
        assert_eq!(inflater.inflate(&mut input, &mut out), Ok(18));
        assert_eq!((inflater.finish(&mut input), input), (Ok(true), &b""[..]));
    }

    #[test]
    fn what_stands_behind_the_end_is_left() {
        let both = [BY_ZLIB, b"c LOGIN ann secret\r\n"].concat();
        for split in 1..both.len() {
            let mut inflater = Inflater::default();
            let (mut given, mut is_over, mut left) = (0, false, Vec::new());
            for mut input in [&both[..split], &both[split..]] {
                while given < 26 {
                    match inflater.inflate(&mut input, &mut [0; 100]).unwrap() {
                        0 => break,
                        some => given += some,
                    }
                }
                if given == 26 {
                    is_over = is_over || inflater.finish(&mut input).unwrap();
                }
                if is_over {
                    left.extend_from_slice(input);
                }
            }
            assert!(is_over);
            assert_eq!(left, b"c LOGIN ann secret\r\n", "split at {split}");
        }
    }

    #[test]
    fn more_behind_the_end_is_damage() {
        let mut inflater = Inflater::default();
        let mut input = BY_ZLIB;
        assert_eq!(inflater.inflate(&mut input, &mut [0; 3]), Ok(3));
        assert_eq!(inflater.finish(&mut input), Err(Damaged));
        assert_eq!(inflated(&[b"\x07not deflate"], 100), Err(Damaged));
    }

    #[test]
    fn a_bomb_takes_no_memory() {
        // 64 MB of a byte are 64 KB.
        let mut bomb = Vec::new();
        let mut deflater = Deflater::default();
        for _ in 0..64 {
            deflater.deflate(&[b'x'; 1 << 20], Flush::No, &mut bomb);
        }
        deflater.deflate(b"", Flush::Yes, &mut bomb);
        assert!(bomb.len() < 400_000, "{}", bomb.len());
        let mut inflater = Inflater::default();
        let (mut input, mut given) = (bomb.as_slice(), 0);
        let mut out = [0; 4096];
        loop {
            match inflater.inflate(&mut input, &mut out).unwrap() {
                0 => break,
                some => given += some,
            }
            assert!(inflater.window.capacity() <= WINDOW);
        }
        assert_eq!(given, 64 << 20);
    }

    #[test]
    fn little_is_kept_between_commands() {
        let mut inflater = Inflater::default();
        let mut deflater = Deflater::default();
        let mut sent = Vec::new();
        deflater.deflate(b"a NOOP\r\n", Flush::Yes, &mut sent);
        assert!(deflater.tables.is_none());
        assert_eq!(inflater.inflate(&mut sent.as_slice(), &mut [0; 100]), Ok(8));
        assert!(matches!(inflater.work, Work::Flushed));
        assert_eq!(inflater.window.capacity(), FIRST_WINDOW);
    }

    proptest! {
        #[test]
        fn what_is_deflated_is_inflated(
            answers in prop::collection::vec(
                (prop::collection::vec(prop::sample::select(&b"* FETCH (FLAGS"[..]), 0..200), 1usize..400),
                1..6,
            ),
            room in 1usize..5000,
            split in any::<prop::sample::Index>(),
        ) {
            let answers: Vec<Vec<u8>> = answers.iter().map(|(text, times)| text.repeat(*times)).collect();
            let slices: Vec<&[u8]> = answers.iter().map(Vec::as_slice).collect();
            let sent = deflated(&slices);
            let (first, second) = sent.split_at(split.index(sent.len() + 1));
            prop_assert!(inflated(&[first, second], room).unwrap() == answers.concat());
        }

        #[test]
        fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), room in 1usize..300) {
            let _ = inflated(&[&bytes], room);
        }
    }
}
