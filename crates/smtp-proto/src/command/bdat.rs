//! `BDAT chunk-size [LAST]`, RFC 3030 section 2.

use std::fmt;

use super::CommandError;

/// Announces a chunk of content: exactly so many octets follow the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bdat {
    /// Octets of the chunk.
    pub size_bytes: u64,
    /// The content ends with this chunk.
    pub is_last: bool,
}

impl Bdat {
    pub(super) fn parse(argument: &str) -> Result<Self, CommandError> {
        const FORM: CommandError = CommandError::Argument("BDAT needs a size, and may have LAST");
        let (size, marker) = match argument.split_once(' ') {
            Some((size, marker)) => (size, Some(marker)),
            None => (argument, None),
        };
        // `u64::from_str` would take `+8`.
        if !size.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(FORM);
        }
        let size_bytes = size.parse().map_err(|_| FORM)?;
        match marker {
            None => Ok(Self { size_bytes, is_last: false }),
            Some(marker) if marker.eq_ignore_ascii_case("LAST") => Ok(Self { size_bytes, is_last: true }),
            Some(_) => Err(FORM),
        }
    }
}

impl fmt::Display for Bdat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.size_bytes)?;
        if self.is_last { f.write_str(" LAST") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammar() {
        for (text, expected) in [
            ("0", Some((0, false))),
            ("0 LAST", Some((0, true))),
            ("86 last", Some((86, true))),
            ("18446744073709551615", Some((u64::MAX, false))),
            ("18446744073709551616", None),
            ("", None),
            ("LAST", None),
            ("+8", None),
            ("-8", None),
            ("8x", None),
            ("0x10", None),
            ("8  LAST", None),
            ("8 LAST 8", None),
            ("8 FIRST", None),
        ] {
            let bdat = Bdat::parse(text).ok().map(|bdat| (bdat.size_bytes, bdat.is_last));
            assert_eq!(bdat, expected, "{text:?}");
        }
    }
}
