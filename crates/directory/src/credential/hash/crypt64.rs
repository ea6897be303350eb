//! How crypt(3) writes octets: six bits a character, the low ones first, and each scheme with
//! an order of its own for the octets.

const DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Writes the octets of `digest` in the order of `groups`. A group's first octet is the high
/// one; three octets are four characters, two are three, one is two.
pub(super) fn encode(digest: &[u8], groups: &[&[usize]]) -> String {
    let mut text = String::with_capacity(digest.len() * 4 / 3 + 2);
    for group in groups {
        let octets = group.iter().filter_map(|place| digest.get(*place));
        let mut bits = octets.fold(0u32, |bits, octet| bits << 8 | u32::from(*octet));
        for _ in 0..=group.len() {
            text.push(char::from(DIGITS[(bits & 63) as usize]));
            bits >>= 6;
        }
    }
    text
}

/// Is it written in these characters?
pub(super) fn is_encoded(text: &str) -> bool {
    text.bytes().all(|byte| DIGITS.contains(&byte))
}

/// Is it a salt of crypt(3)? Programs put more into them than [`encode`] would.
pub(super) fn is_salt(text: &str, most: usize) -> bool {
    text.len() <= most && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'$' | b':'))
}
