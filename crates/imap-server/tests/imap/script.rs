//! Transcripts: what clients send and what they must be told, line by line.
//!
//! ```text
//! C: a APPEND Drafts {#}      the client sends; `{#}` is `{n}` for the lines `C>` that follow
//! S: + …                      the server answers exactly this; `…` is anything
//! C> Subject: x               a line of a literal, in which spaces count
//! C>
//! C> the end\                 the last line of a literal, without CRLF
//! C:                          the command goes on behind its literal
//! S: a OK …
//! S: (closed)                 the server closes the connection
//! ```
//!
//! `S: … {#}` with lines `S>` behind it stands for a literal of the server. `C2:` and `S2:`
//! are a second client. Nothing is passed over: a response that is not in the transcript
//! stands in the place of the next one, and fails it.

use std::collections::HashMap;

use crate::client::Client;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Send(String),
    Literal(Vec<u8>),
    Expect(String),
    ExpectLiteral(Vec<u8>),
    ExpectClosed,
}

pub(crate) fn play(transcript: &str, connect: impl Fn() -> Client) {
    let steps = parse(transcript);
    let mut clients: HashMap<u8, Client> = HashMap::new();
    for (at, (number, step)) in steps.iter().enumerate() {
        let client = clients.entry(*number).or_insert_with(&connect);
        let literal = || {
            let of_mine = steps[at + 1..].iter().filter(|(other, _)| other == number);
            of_mine.map(|(_, step)| step).find_map(|step| match step {
                Step::Literal(bytes) | Step::ExpectLiteral(bytes) => Some(bytes.len()),
                _ => None,
            })
        };
        let filled = |text: &str| match text.contains("{#") {
            true => text.replace("{#", &format!("{{{}", literal().expect("a literal follows"))),
            false => text.to_owned(),
        };
        match step {
            Step::Send(text) => client.send(format!("{}\r\n", filled(text)).as_bytes()),
            Step::Literal(bytes) => client.send(bytes),
            Step::Expect(pattern) => {
                let pattern = filled(pattern);
                let line = client.line().unwrap_or_else(|| panic!("closed instead of {pattern}"));
                let line = String::from_utf8_lossy(&line);
                assert!(matches(&pattern, &line), "client {number}\nexpected {pattern}\nread     {line}");
            }
            Step::ExpectLiteral(bytes) => {
                let found = client.bytes(bytes.len());
                assert_eq!(String::from_utf8_lossy(&found), String::from_utf8_lossy(bytes));
            }
            Step::ExpectClosed => {
                assert_eq!(client.line().map(|line| String::from_utf8_lossy(&line).into_owned()), None);
            }
        }
    }
    // Nobody was told more than the transcript has.
    for (number, client) in &mut clients {
        if !steps.contains(&(*number, Step::ExpectClosed)) {
            let left = client.command("LOGOUT").untagged;
            assert!(
                matches!(&left[..], [bye] if bye.starts_with(b"* BYE ")),
                "client {number} was told more: {:?}",
                left.iter().map(|line| String::from_utf8_lossy(line)).collect::<Vec<_>>()
            );
        }
    }
}

fn parse(transcript: &str) -> Vec<(u8, Step)> {
    let mut steps: Vec<(u8, Step)> = Vec::new();
    for line in transcript.lines().map(str::trim_start).filter(|line| !line.is_empty()) {
        let (side, rest) = line.split_at(1);
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, rest) = rest.split_at(digits);
        let number: u8 = if number.is_empty() { 1 } else { number.parse().expect("a client's number") };
        let (mark, text) = rest.split_at(1);
        let text = text.strip_prefix(' ').unwrap_or(text);
        match (side, mark) {
            ("C", ":") => steps.push((number, Step::Send(text.into()))),
            ("S", ":") if text == "(closed)" => steps.push((number, Step::ExpectClosed)),
            ("S", ":") => steps.push((number, Step::Expect(text.into()))),
            ("C", ">") => match steps.last_mut() {
                Some((of, Step::Literal(bytes))) if *of == number => bytes.extend(literal_line(text)),
                _ => steps.push((number, Step::Literal(literal_line(text)))),
            },
            ("S", ">") => match steps.last_mut() {
                Some((of, Step::ExpectLiteral(bytes))) if *of == number => bytes.extend(literal_line(text)),
                _ => steps.push((number, Step::ExpectLiteral(literal_line(text)))),
            },
            _ => panic!("no line of a transcript: {line}"),
        }
    }
    steps
}

fn literal_line(text: &str) -> Vec<u8> {
    match text.strip_suffix('\\') {
        Some(last) => last.into(),
        None => format!("{text}\r\n").into(),
    }
}

/// Is `line` what `pattern` says, where `…` is anything?
fn matches(pattern: &str, line: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('…') else { return pattern == line };
    let Some(mut line) = line.strip_prefix(first) else { return false };
    let (middle, last) = match rest.rsplit_once('…') {
        Some((middle, last)) => (middle.split('…').collect(), last),
        None => (Vec::new(), rest),
    };
    for piece in middle {
        let Some(at) = line.find(piece) else { return false };
        line = &line[at + piece.len()..];
    }
    line.ends_with(last)
}

#[test]
fn patterns() {
    for (pattern, line, expected) in [
        ("* OK", "* OK", true),
        ("* OK", "* OK x", false),
        ("* OK …", "* OK x", true),
        ("a …b… c", "a 1b2 c", true),
        ("a …b… c", "a 12 c", false),
        ("a … c", "a b d", false),
        ("a …", "b a ", false),
    ] {
        assert_eq!(matches(pattern, line), expected, "{pattern} {line}");
    }
}
