//! UTF-7, RFC 2152: 7-bit text with runs of modified base64 that hold UTF-16.
//!
//! Decoded only, and only where a label names it: ASCII text with a `+` looks the same.

/// Value of a base64 digit, RFC 4648 section 4.
fn digit(octet: u8) -> Option<u32> {
    Some(match octet {
        b'A'..=b'Z' => u32::from(octet - b'A'),
        b'a'..=b'z' => u32::from(octet - b'a') + 26,
        b'0'..=b'9' => u32::from(octet - b'0') + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

pub(super) fn decode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut octets = bytes.iter().copied().peekable();
    while let Some(octet) = octets.next() {
        match octet {
            b'+' if octets.next_if_eq(&b'-').is_some() => text.push('+'),
            b'+' => {
                let run = std::iter::from_fn(|| octets.next_if(|&octet| digit(octet).is_some()));
                push_utf_16(run.filter_map(digit), &mut text);
                octets.next_if_eq(&b'-');
            }
            0..=0x7f => text.push(char::from(octet)),
            _ => text.push(char::REPLACEMENT_CHARACTER),
        }
    }
    text
}

/// Six bits a digit to sixteen bits a unit; up to five bits of padding are left over.
fn push_utf_16(digits: impl Iterator<Item = u32>, text: &mut String) {
    let (mut bits, mut count) = (0_u32, 0);
    let units = digits.filter_map(|digit| {
        // At most 15 bits wait, and 6 come: 21 bits always fit.
        bits = (bits & 0x7fff) << 6 | digit;
        count += 6;
        (count >= 16).then(|| {
            count -= 16;
            (bits >> count & 0xffff) as u16
        })
    });
    text.extend(char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD_NO_PAD;
    use proptest::prelude::*;

    #[test]
    fn the_examples_of_rfc_2152_and_broken_ones() {
        for (bytes, expected) in [
            (&b"A+ImIDkQ."[..], "A\u{2262}\u{391}."),
            (b"Hi Mom -+Jjo--!", "Hi Mom -\u{263a}-!"),
            (b"+ZeVnLIqe-", "\u{65e5}\u{672c}\u{8a9e}"),
            (b"Item 3 is +AKM-1.", "Item 3 is £1."),
            (b"1 +- 1", "1 + 1"),
            (b"+2D3eSg-", "\u{1f64a}"),
            (b"+2D0-", "\u{fffd}"),
            (b"+", ""),
            (b"a+Z", "a"),
            (b"\xe9", "\u{fffd}"),
        ] {
            assert_eq!(decode(bytes), expected, "{}", String::from_utf8_lossy(bytes));
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(text in "\\PC{0,20}") {
            let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
            let encoded = format!("+{}-", STANDARD_NO_PAD.encode(units));
            let expected = if text.is_empty() { "+" } else { &text };
            prop_assert_eq!(decode(encoded.as_bytes()), expected);
        }
    }
}
