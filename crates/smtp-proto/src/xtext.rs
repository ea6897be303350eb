//! `xtext`: how the parameters ENVID, ORCPT and AUTH carry any text.
//!
//! Standards: RFC 3461 section 4. `+` and two hexadecimal digits stand for one octet;
//! other octets are `!` to `~` without `+` and `=`.

/// Undoes xtext; `None` if it is none, or if what it means is not UTF-8 text without
/// control characters (nothing we keep needs those).
pub fn decode(input: &str) -> Option<Box<str>> {
    let mut plain = Vec::with_capacity(input.len());
    let mut rest = input.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => plain.push(hex(rest.next()?)? << 4 | hex(rest.next()?)?),
            b'=' => return None,
            b'!'..=b'~' => plain.push(byte),
            _ => return None,
        }
    }
    let text = String::from_utf8(plain).ok()?;
    if text.chars().any(char::is_control) { None } else { Some(text.into()) }
}

/// Writes `text` as xtext.
pub fn encode(text: &str) -> String {
    let mut coded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'+' | b'=' => coded.push_str(&format!("+{byte:02X}")),
            b'!'..=b'~' => coded.push(char::from(byte)),
            _ => coded.push_str(&format!("+{byte:02X}")),
        }
    }
    coded
}

/// RFC 3461 wants capital letters; small ones are taken, too: their meaning is as clear.
fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn table() {
        for (coded, plain) in [
            ("", Some("")),
            ("QQ314159", Some("QQ314159")),
            ("a+2Bb+3Dc", Some("a+b=c")),
            ("a+20b", Some("a b")),
            ("+e7+94+B0", Some("田")),
            ("a=b", None),
            ("a b", None),
            ("a+2", None),
            ("a+", None),
            ("a+2G", None),
            ("a++2B", None),
            ("a+0Ab", None),
            ("a+00", None),
            ("+E7", None),
            ("田", None),
        ] {
            assert_eq!(decode(coded).as_deref(), plain, "{coded}");
        }
    }

    proptest! {
        #[test]
        fn decode_undoes_encode(text in "\\PC{0,40}") {
            prop_assume!(!text.chars().any(char::is_control));
            let coded = encode(&text);
            prop_assert!(coded.is_ascii());
            prop_assert_eq!(decode(&coded), Some(Box::from(text)));
        }

        #[test]
        fn any_text_is_refused_or_means_the_same_again(coded in "[ -~]{0,30}") {
            if let Some(text) = decode(&coded) {
                prop_assert_eq!(decode(&encode(&text)), Some(text));
            }
        }
    }
}
