//! EUC-JP, with the IBM extensions that eucJP-ms puts into rows 83 and 84 of JIS X 0212.
//!
//! `encoding_rs` reads the rest: NEC row 13, NEC-selected IBM characters, half-width kana by
//! SS2 and JIS X 0212 by SS3.

use encoding_rs::{DecoderResult, EUC_JP};

const SS3: u8 = 0x8f;

/// The characters of SS3 0xF3F3 to 0xF3FE and 0xF4A1 to 0xF4FE, in this order.
const IBM_EXTENSIONS: &str = "\
    ⅰⅱⅲⅳⅴⅵⅶⅷⅸⅹⅠⅡⅢⅣⅤⅥⅦⅧⅨⅩ＇＂㈱№℡炻仼僴凬匇匤\u{fa0e}咊坙\u{fa0f}\
    \u{fa10}增寬峵嵓\u{fa11}德悅愠敎昻晥\u{fa12}\u{f929}栁\u{fa13}\u{fa14}橫櫢淸淲瀨\
    \u{fa15}\u{fa16}甁皂皞\u{fa17}礰\u{fa18}\u{fa19}\u{fa1a}\u{fa1b}竧\u{fa1c}\u{fa1d}綠\
    緖\u{fa1e}荢\u{fa1f}薰\u{fa20}\u{fa21}蠇\u{fa22}譿賴赶\u{fa23}\u{fa24}\u{fa25}郞\
    \u{fa26}鄕\u{fa27}\u{fa28}閒\u{f9dc}\u{fa29}霻靍靑\u{fa2a}\u{fa2b}\u{fa2c}馞髙魲\
    \u{fa2d}黑\
    ";

pub(super) fn decode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    let mut at = 0;
    while at < bytes.len() {
        at += decode_run(bytes.get(at..).unwrap_or_default(), &mut text);
    }
    text
}

/// Decodes up to and with the first octets that `encoding_rs` refuses; returns how many.
fn decode_run(bytes: &[u8], text: &mut String) -> usize {
    let mut decoder = EUC_JP.new_decoder_without_bom_handling();
    text.reserve(decoder.max_utf8_buffer_length_without_replacement(bytes.len()).unwrap_or(0));
    let (result, read) = decoder.decode_to_string_without_replacement(bytes, text, true);
    let DecoderResult::Malformed(bad, after) = result else {
        return bytes.len();
    };
    let start = read.saturating_sub(usize::from(bad) + usize::from(after));
    if let Some(character) = bytes.get(start..start + 3).and_then(ibm_extension) {
        text.push(character);
        return start + 3;
    }
    text.push(char::REPLACEMENT_CHARACTER);
    read.saturating_sub(usize::from(after)).max(1)
}

fn ibm_extension(octets: &[u8]) -> Option<char> {
    let index = match *octets {
        [SS3, 0xf3, cell @ 0xf3..=0xfe] => cell - 0xf3,
        [SS3, 0xf4, cell @ 0xa1..=0xfe] => cell - 0xa1 + 12,
        _ => return None,
    };
    IBM_EXTENSIONS.chars().nth(usize::from(index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_and_extended_characters() {
        for (bytes, expected) in [
            (&b"\xc6\xfc\xcb\xdc"[..], "日本"),
            (b"\x8e\xca\x8e\xdd", "ﾊﾝ"),
            (b"\x8f\xb0\xa1", "丂"),
            (b"\xad\xa1\xad\xea", "①㈱"),
            (b"\x8f\xf3\xf3\x8f\xf4\xab\x8f\xf4\xfe.", "ⅰ㈱黑."),
            (b"\x8f\xf3\xf2", "\u{fffd}"),
            (b"a\xc6", "a\u{fffd}"),
            (b"\xc6a\xc6\xfc", "\u{fffd}a日"),
            (b"\xff\xff", "\u{fffd}\u{fffd}"),
            (b"\x8f", "\u{fffd}"),
        ] {
            assert_eq!(decode(bytes), expected, "{bytes:x?}");
        }
    }

    #[test]
    fn each_extension_is_the_ibm_character_of_shift_jis() {
        // Shift_JIS has the same characters in the same order, from 0xFA40, among others.
        let leads = [0xfa_u8, 0xfb, 0xfc];
        let codes = leads.iter().flat_map(|&lead| (0x40..=0xfc_u8).map(move |trail| [lead, trail]));
        let shift_jis: String = codes
            .filter(|code| code[1] != 0x7f)
            .filter_map(|code| {
                let (text, errors) = encoding_rs::SHIFT_JIS.decode_without_bom_handling(&code);
                (!errors).then(|| text.into_owned())
            })
            .collect();
        let mut order = shift_jis.chars();
        assert_eq!(IBM_EXTENSIONS.chars().count(), 106);
        for character in IBM_EXTENSIONS.chars() {
            assert!(order.any(|other| other == character), "{character} is missing or out of order");
        }
    }
}
