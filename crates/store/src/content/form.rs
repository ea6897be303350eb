//! The stored form of content.
//!
//! ```text
//! 1  frame                      zstd over the content
//! 2  frame                      zstd over the content with its base64 undone (`base64_runs`)
//! ```
//!
//! Most of the bytes of mail are attachments, and most of these were compressed before they were
//! put into base64. There zstd only finds that six bits come as eight, and takes longer for it than
//! all else that a server does with the message. What base64 and its line ends add is known
//! without a search: it is taken out and put back.
//!
//! Invariants:
//! - [`decode`] gives exactly what [`encode`] was given: base64 is undone only where it is written
//!   in the one way that [`decode`] writes it;
//! - the frame carries a checksum: damage is found, not served.

use std::cell::RefCell;

use super::ContentError;
use super::base64_runs;

/// First byte: one zstd frame over the content follows.
const ZSTD: u8 = 1;
/// First byte: one zstd frame over the content without its base64 follows.
const ZSTD_BASE64: u8 = 2;
/// Mail compresses to about a half at any level; level 1 costs a third of level 3.
const LEVEL: i32 = 1;
/// The logarithm of the entries of zstd's table of what it has seen, which level 1 makes half as
/// large. Twice as large it finds longer repetitions in text, and still lies, with its 128 KiB, in
/// the nearest caches. Small contents get a small one in any case.
const HASH_LOG: u32 = 15;
/// Up to this size a message is decompressed into memory that is taken for it at once.
const AT_ONCE: u64 = 4 << 20;

/// The stored form of content.
pub fn encode(bytes: &[u8]) -> Vec<u8> {
    match base64_runs::take_out(bytes) {
        Some(without) => compress(ZSTD_BASE64, &without),
        None => compress(ZSTD, bytes),
    }
}

/// The content of a stored form.
///
/// # Errors
/// [`ContentError::Damaged`] if it is not what was written.
pub fn decode(stored: &[u8]) -> Result<Vec<u8>, ContentError> {
    let damaged = |cause: String| ContentError::Damaged(cause);
    let inflated = |frame| inflate(frame).map_err(|error| damaged(error.to_string()));
    match stored.split_first() {
        Some((&ZSTD, frame)) => inflated(frame),
        Some((&ZSTD_BASE64, frame)) => {
            base64_runs::put_back(&inflated(frame)?).ok_or_else(|| damaged("its base64 has no form".into()))
        }
        Some((version, _)) => Err(damaged(format!("unknown version {version}"))),
        None => Err(damaged("nothing there".into())),
    }
}

fn compress(version: u8, bytes: &[u8]) -> Vec<u8> {
    thread_local! {
        static COMPRESSOR: RefCell<zstd::bulk::Compressor<'static>> = RefCell::new({
            let mut compressor = zstd::bulk::Compressor::new(LEVEL).expect("the level is one of zstd's");
            compressor.include_checksum(true).expect("zstd knows checksums");
            let hash_log = zstd::zstd_safe::CParameter::HashLog(HASH_LOG);
            compressor.set_parameter(hash_log).expect("zstd has such tables");
            compressor
        });
    }
    let mut stored = vec![0; 1 + zstd::zstd_safe::compress_bound(bytes.len())];
    stored[0] = version;
    let length =
        COMPRESSOR.with_borrow_mut(|compressor| compressor.compress_to_buffer(bytes, &mut stored[1..]));
    stored.truncate(1 + length.expect("the buffer has the size that zstd asks for"));
    stored.shrink_to_fit();
    stored
}

/// A frame of a size that it tells, which is all that [`encode`] writes, is undone in one
/// piece by a decompressor that each thread keeps: for a small message, making one takes
/// longer than using it.
fn inflate(frame: &[u8]) -> std::io::Result<Vec<u8>> {
    thread_local! {
        static DECOMPRESSOR: RefCell<zstd::bulk::Decompressor<'static>> =
            RefCell::new(zstd::bulk::Decompressor::new().expect("zstd makes a decompressor"));
    }
    match zstd::zstd_safe::get_frame_content_size(frame) {
        // A frame that is damaged may tell anything.
        Ok(Some(size)) if size <= AT_ONCE => {
            let capacity = usize::try_from(size).unwrap_or(0);
            DECOMPRESSOR.with_borrow_mut(|decompressor| decompressor.decompress(frame, capacity))
        }
        _ => zstd::stream::decode_all(frame),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_forms_come_back_and_damage_is_found() {
        for length in [0usize, 1, 100, 5_000, 200_000] {
            let bytes: Vec<u8> = (0..length).map(|n| (n * n / 7) as u8).collect();
            comes_back_and_damage_is_found(&bytes, ZSTD);
        }
    }

    #[test]
    fn mail_with_an_attachment_comes_back_and_is_as_small_as_the_attachment() {
        let attachment = base64_runs::tests::noise(300_000, 5);
        let mail = base64_runs::tests::lines("Subject: plan\r\n\r\n", &attachment, 76, "--\r\n");
        comes_back_and_damage_is_found(&mail, ZSTD_BASE64);
        assert!(encode(&mail).len() < attachment.len() + 200, "{}", encode(&mail).len());
    }

    fn comes_back_and_damage_is_found(bytes: &[u8], version: u8) {
        let stored = encode(bytes);
        assert_eq!(stored[0], version);
        assert_eq!(decode(&stored).unwrap(), bytes);
        for at in [0, 1, stored.len() / 2, stored.len() - 1] {
            let mut bad = stored.clone();
            bad[at] ^= 0x10;
            if let Ok(read) = decode(&bad) {
                assert_eq!(read, bytes, "damage at {at} of {} went unseen", bytes.len());
            }
        }
        assert!(decode(&stored[..stored.len() - 1]).is_err());
    }

    #[test]
    fn what_is_no_stored_form_is_damage() {
        assert!(decode(&[]).is_err());
        assert!(decode(&[9, 9]).is_err());
        assert!(decode(&compress(ZSTD_BASE64, &[0xff; 40])).is_err());
    }
}
