//! Reads what `strace -f -y -xx` wrote: one [`Call`] for each system call, with all its bytes.
//!
//! ```text
//! 4711 pwrite64(4<\x2f\x77\x61\x6c>, "\x37\x7f", 2, 0) = 2
//! 4711 fdatasync(4<\x2f\x77\x61\x6c> <unfinished ...>
//! 4712 <... openat resumed>) = 7<\x2f\x61>
//! ```
//!
//! strace prints a call's beginning before the kernel carries it out, and its end before the
//! thread goes on. So a call that begins on a later line than another one's end came after it,
//! and that is all the order that is taken from it.

use std::collections::HashMap;

/// One system call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// `pwrite64`.
    pub name: String,
    /// Its arguments.
    pub args: Vec<Arg>,
    /// What it returned; `None` if the process died in it.
    pub result: Option<i64>,
    /// The tracer answered instead of the kernel: nothing was carried out.
    pub injected: bool,
    /// The line on which it began, from 1.
    pub begins: usize,
    /// The line on which it ended.
    pub ends: usize,
}

/// One argument.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Arg {
    /// What is neither in quotes nor a descriptor's path: `AT_FDCWD`, `O_RDWR|O_CREAT`, `4096`.
    pub word: String,
    /// Everything in quotes, in order: a path, bytes, the parts of a vector of bytes.
    pub strings: Vec<Vec<u8>>,
    /// What the descriptor is open on.
    pub path: Option<Vec<u8>>,
}

impl Arg {
    /// The argument as a number.
    pub fn number(&self) -> Option<i64> {
        self.word.parse().ok()
    }

    /// Is `flag` among flags joined by `|`?
    pub fn has(&self, flag: &str) -> bool {
        self.word.split('|').any(|word| word == flag)
    }
}

/// A line that is not what strace writes, or is cut short.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the trace: {what}")]
pub struct TraceError {
    /// From 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

/// All calls of a trace, in the order of their ends. Those that never ended come last.
///
/// # Errors
/// [`TraceError`].
pub fn parse(text: &[u8]) -> Result<Vec<Call>, TraceError> {
    let mut calls = Vec::new();
    let mut unfinished: HashMap<&[u8], (usize, Vec<u8>)> = HashMap::new();
    for (line, bytes) in text.split(|&byte| byte == b'\n').enumerate() {
        let line = line + 1;
        let Some(space) = bytes.iter().position(|&byte| byte == b' ') else { continue };
        let (thread, rest) = (&bytes[..space], bytes[space..].trim_ascii());
        if rest.starts_with(b"+++") || rest.starts_with(b"---") {
            continue;
        }
        if let Some(begin) = rest.strip_suffix(b"<unfinished ...>") {
            unfinished.insert(thread, (line, begin.trim_ascii_end().to_vec()));
        } else if let Some(resumed) = rest.strip_prefix(b"<... ") {
            let what = "a call goes on that never began";
            let (begins, mut whole) = unfinished.remove(thread).ok_or(TraceError { line, what })?;
            let end = resumed.iter().position(|&byte| byte == b'>').map_or(resumed.len(), |end| end + 1);
            whole.extend_from_slice(&resumed[end..]);
            calls.push(call(&whole, begins, line)?);
        } else {
            calls.push(call(rest, line, line)?);
        }
    }
    let ends = text.split(|&byte| byte == b'\n').count();
    for (_, (begins, mut whole)) in unfinished {
        whole.extend_from_slice(b") = ?");
        calls.push(call(&whole, begins, ends)?);
    }
    Ok(calls)
}

/// `name(argument, …) = result`
fn call(text: &[u8], begins: usize, ends: usize) -> Result<Call, TraceError> {
    let wrong = |what| TraceError { line: begins, what };
    let paren = text.iter().position(|&byte| byte == b'(').ok_or(wrong("not a call"))?;
    let name = String::from_utf8_lossy(&text[..paren]).into_owned();
    let mut rest = &text[paren + 1..];
    let mut args = Vec::new();
    loop {
        let (arg, after) = argument(rest).map_err(wrong)?;
        args.push(arg);
        match after.split_first() {
            Some((b',', after)) => rest = after.trim_ascii_start(),
            Some((_, after)) => {
                rest = after;
                break;
            }
            None => return Err(wrong("a call without its end")),
        }
    }
    let result = rest.trim_ascii_start().strip_prefix(b"= ").ok_or(wrong("a call without its result"))?;
    let word: String = result.iter().take_while(|byte| !b" <".contains(byte)).map(|&b| b as char).collect();
    let result_number = match word.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).ok(),
        None => word.parse().ok(),
    };
    let injected = rest.ends_with(b"(INJECTED)");
    Ok(Call { name, args, result: result_number, injected, begins, ends })
}

/// One argument, up to the comma or parenthesis that ends it.
fn argument(text: &[u8]) -> Result<(Arg, &[u8]), &'static str> {
    let mut arg = Arg::default();
    let (mut at, mut depth) = (0, 0u32);
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => {
                let (string, after) = hex(&text[at + 1..], b'"')?;
                if text[text.len() - after.len()..].starts_with(b"...") {
                    return Err("a string that was cut short");
                }
                arg.strings.push(string);
                at = text.len() - after.len();
                continue;
            }
            b'<' if depth == 0 && arg.path.is_none() => {
                let (path, after) = hex(&text[at + 1..], b'>')?;
                arg.path = Some(path);
                at = text.len() - after.len();
                continue;
            }
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b',' if depth == 0 => break,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        arg.word.push(byte as char);
        at += 1;
    }
    // `(deleted)` stands behind the path of a file without a name.
    if let Some(word) = arg.word.strip_suffix("(deleted)") {
        arg.word = word.to_owned();
    }
    Ok((arg, &text[at..]))
}

/// `\x2f\x61` up to `end`; other bytes stand for themselves (`pipe:[1234]`).
fn hex(text: &[u8], end: u8) -> Result<(Vec<u8>, &[u8]), &'static str> {
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8).ok_or("a bad escape");
    let mut bytes = Vec::with_capacity(text.len().min(8192) / 4);
    let mut rest = text;
    loop {
        match rest {
            [b'\\', b'x', high, low, after @ ..] => {
                bytes.push(digit(*high)? << 4 | digit(*low)?);
                rest = after;
            }
            [byte, after @ ..] if *byte == end => return Ok((bytes, after)),
            [byte, after @ ..] => {
                bytes.push(*byte);
                rest = after;
            }
            [] => return Err("a string without its end"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `name result begins-ends injected | word strings path | …`
    fn print(call: &Call) -> String {
        let lossy = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        let mut line = format!("{} {:?} {}-{}", call.name, call.result, call.begins, call.ends);
        line += if call.injected { " injected" } else { "" };
        for arg in &call.args {
            let strings: Vec<String> = arg.strings.iter().map(lossy).collect();
            line +=
                &format!(" | {} {strings:?} {}", arg.word, arg.path.as_ref().map_or_else(String::new, lossy));
        }
        line
    }

    #[test]
    fn calls() {
        let table: &[(&str, &[&str])] = &[
            ("7 close(3<\\x2f\\x61>) = 0", &["close Some(0) 1-1 | 3 [] /a"]),
            (
                r#"7 openat(AT_FDCWD<\x2f>, "\x61\x22\x2c", O_RDWR|O_CREAT, 0644) = 3<\x2f\x61>"#,
                &[r#"openat Some(3) 1-1 | AT_FDCWD [] / |  ["a\","]  | O_RDWR|O_CREAT []  | 0644 [] "#],
            ),
            (
                r#"7 pwritev(3<\x61>, [{iov_base="\x61", iov_len=1}, {iov_base="\x62", iov_len=1}], 2, 9) = 2"#,
                &[
                    r#"pwritev Some(2) 1-1 | 3 [] a | [{iov_base=, iov_len=1}, {iov_base=, iov_len=1}] ["a", "b"]  | 2 []  | 9 [] "#,
                ],
            ),
            (
                "7 fsync(3<\\x61> <unfinished ...>\n8 write(1<pipe:[5]>, \"\\x0a\", 1) = 1\n7 <... fsync resumed>) = 0",
                &["write Some(1) 2-2 | 1 [] pipe:[5] |  [\"\\n\"]  | 1 [] ", "fsync Some(0) 1-3 | 3 [] a"],
            ),
            ("7 fdatasync(3<\\x61>) = 0 (INJECTED)", &["fdatasync Some(0) 1-1 injected | 3 [] a"]),
            (
                "7 rename(\"\\x61\", \"\\x62\") = -1 ENOENT (No such file or directory)",
                &["rename Some(-1) 1-1 |  [\"a\"]  |  [\"b\"] "],
            ),
            ("7 close(5<\\x61>(deleted)) = 0", &["close Some(0) 1-1 | 5 [] a"]),
            (
                "7 mmap(NULL, 8, PROT_READ, MAP_PRIVATE, -1, 0) = 0x10",
                &["mmap Some(16) 1-1 | NULL []  | 8 []  | PROT_READ []  | MAP_PRIVATE []  | -1 []  | 0 [] "],
            ),
            ("7 fsync(3<\\x61> <unfinished ...>\n7 +++ killed by SIGKILL +++", &["fsync None 1-2 | 3 [] a"]),
            ("7 fsync(3<\\x61>) = ?", &["fsync None 1-1 | 3 [] a"]),
        ];
        for (text, expected) in table {
            let calls = parse(text.as_bytes()).unwrap();
            assert_eq!(calls.iter().map(print).collect::<Vec<_>>(), *expected, "{text}");
        }
    }

    #[test]
    fn what_is_cut_short_is_refused() {
        let table = [
            ("7 write(3<\\x61>, \"\\x61\"..., 9) = 9", "a string that was cut short"),
            ("7 write(3<\\x61>, \"\\x61", "a string without its end"),
            ("7 <... fsync resumed>) = 0", "a call goes on that never began"),
            ("7 fsync(3)", "a call without its result"),
            ("7 fsync(3", "a call without its end"),
            ("7 write(3, \"\\xzz\", 1) = 1", "a bad escape"),
            ("7 hello", "not a call"),
        ];
        for (text, what) in table {
            assert_eq!(parse(text.as_bytes()), Err(TraceError { line: 1, what }), "{text}");
        }
    }
}
