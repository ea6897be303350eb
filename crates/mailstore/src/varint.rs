//! Numbers of variable length: LEB128, seven bits to a byte, the lowest first.

/// Writes a number.
pub(crate) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes a number off the front; `None` if there is none.
pub(crate) fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

/// Writes a number with a sign; near 0 it is short.
pub(crate) fn put_signed(out: &mut Vec<u8>, number: i64) {
    put(out, ((number << 1) ^ (number >> 63)).cast_unsigned());
}

/// Takes a number with a sign off the front.
pub(crate) fn take_signed(bytes: &mut &[u8]) -> Option<i64> {
    take(bytes).map(|number| (number >> 1).cast_signed() ^ -(number & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(numbers in prop::collection::vec((any::<u64>(), any::<i64>()), 0..40)) {
            let mut bytes = Vec::new();
            for &(number, signed) in &numbers {
                put(&mut bytes, number);
                put_signed(&mut bytes, signed);
            }
            let mut left = bytes.as_slice();
            for (number, signed) in numbers {
                prop_assert_eq!(take(&mut left), Some(number));
                prop_assert_eq!(take_signed(&mut left), Some(signed));
            }
            prop_assert_eq!((take(&mut left), left.len()), (None, 0));
        }
    }

    #[test]
    fn near_zero_is_short() {
        let length = |number| {
            let mut bytes = Vec::new();
            put_signed(&mut bytes, number);
            bytes.len()
        };
        let table = [(0, 1), (-1, 1), (63, 1), (-64, 1), (64, 2), (i64::MAX, 10), (i64::MIN, 10)];
        for (number, expected) in table {
            assert_eq!(length(number), expected, "{number}");
        }
    }

    #[test]
    fn what_never_ends_is_no_number() {
        assert_eq!(take(&mut &[0x80u8; 12][..]), None);
        assert_eq!(take(&mut &[0x80u8; 3][..]), None);
    }
}
