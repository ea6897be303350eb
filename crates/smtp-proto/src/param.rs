//! Parameters of MAIL and RCPT: `keyword[=value]`, separated by spaces.
//!
//! Standards: RFC 5321 section 4.1.2 (`Mail-parameters`, `Rcpt-parameters`).

use crate::command::{CommandError, Tolerance};

/// One parameter as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Param<'a> {
    pub(crate) keyword: &'a str,
    pub(crate) value: Option<&'a str>,
}

/// More parameters than any client sends: MAIL has nine that we know.
const MAX_PARAMS: usize = 20;

/// Parses what follows a path: nothing, or a space and parameters.
pub(crate) fn params(input: &str, tolerance: Tolerance) -> Result<Vec<Param<'_>>, CommandError> {
    if input.is_empty() {
        return Ok(Vec::new());
    }
    let input = input.strip_prefix(' ').ok_or(CommandError::Argument("A space must follow the path"))?;
    let params: Vec<_> =
        tolerance.words(input).take(MAX_PARAMS + 1).map(param).collect::<Option<_>>().ok_or(SYNTAX)?;
    if params.len() > MAX_PARAMS {
        return Err(CommandError::Argument("Too many parameters"));
    }
    Ok(params)
}

const SYNTAX: CommandError = CommandError::Argument("Parameters have the form KEYWORD or KEYWORD=value");

/// `esmtp-param = esmtp-keyword [ "=" esmtp-value ]`.
fn param(word: &str) -> Option<Param<'_>> {
    let (keyword, value) = match word.split_once('=') {
        Some((keyword, value)) => (keyword, Some(value)),
        None => (word, None),
    };
    let is_keyword = keyword.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !keyword.is_empty()
        && !keyword.starts_with('-');
    // UTF-8 is part of esmtp-value since RFC 6531 section 3.3.
    let is_value =
        value.is_none_or(|value| !value.is_empty() && value.bytes().all(|b| b > b' ' && b != b'='));
    (is_keyword && is_value).then_some(Param { keyword, value })
}

impl<'a> Param<'a> {
    /// The value of a parameter that must have one.
    pub(crate) fn needs_value(self) -> Result<&'a str, CommandError> {
        self.value.ok_or(CommandError::Argument("The parameter needs a value"))
    }

    /// For a parameter that has none.
    pub(crate) fn needs_no_value(self) -> Result<(), CommandError> {
        match self.value {
            None => Ok(()),
            Some(_) => Err(CommandError::Argument("The parameter has no value")),
        }
    }
}

/// Stores a parameter's value; one that comes twice is a mistake.
pub(crate) fn once<T>(place: &mut Option<T>, value: T) -> Result<(), CommandError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(CommandError::Argument("The parameter was given twice")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str, tolerance: Tolerance) -> Option<usize> {
        params(text, tolerance).ok().map(|params| params.len())
    }

    #[test]
    fn grammar() {
        for (text, strict, tolerant) in [
            ("", Some(0), Some(0)),
            (" A", Some(1), Some(1)),
            (" A=b C-D=!~ 8E", Some(3), Some(3)),
            (" A=ü", Some(1), Some(1)),
            (" ", None, Some(0)),
            ("  A", None, Some(1)),
            (" A  B", None, Some(2)),
            ("A", None, None),
            (" A=", None, None),
            (" =b", None, None),
            (" A=b=c", None, None),
            (" -A", None, None),
            (" A_B", None, None),
            (" A,B", None, None),
        ] {
            assert_eq!(count(text, Tolerance::Strict), strict, "{text:?}");
            assert_eq!(count(text, Tolerance::LooseSpaces), tolerant, "{text:?}");
        }
        assert_eq!(count(&" A".repeat(20), Tolerance::Strict), Some(20));
        assert_eq!(count(&" A".repeat(21), Tolerance::Strict), None);
    }
}
