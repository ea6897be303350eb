//! Passwords, which are never arguments: other users of the machine can read those.

use std::io::{BufRead, IsTerminal, Read, Write};

use hikyaku_directory::NewSecret;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::parse::SecretFrom;
use super::refusal::Refusal;

pub(super) fn read(from: &SecretFrom) -> Result<Option<NewSecret>, Refusal> {
    Ok(match from {
        SecretFrom::Nowhere => None,
        SecretFrom::Hash(hash) => Some(NewSecret::Hash(hash.clone())),
        SecretFrom::Stdin => Some(NewSecret::Password(line()?)),
        SecretFrom::Terminal if std::io::stdin().is_terminal() => Some(NewSecret::Password(typed()?)),
        SecretFrom::Terminal => Some(NewSecret::Password(line()?)),
    })
}

/// The first line of standard input.
pub(super) fn line() -> Result<String, Refusal> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(|error| Refusal::failed(&error))?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(Refusal::usage("standard input gives no password"));
    }
    Ok(password.to_owned())
}

/// Typed twice, unseen.
fn typed() -> Result<String, Refusal> {
    let _unseen = Unseen::begin()?;
    let ask = |prompt: &str| {
        eprint!("{prompt}: ");
        let _ = std::io::stderr().flush();
        let typed = keys(std::io::stdin().lock().bytes());
        eprintln!();
        match typed.map_err(|error| Refusal::failed(&error))? {
            Typed::Nothing => Err(Refusal::usage("no password was typed")),
            Typed::Cancelled => Err(Refusal::usage("cancelled: nothing was changed")),
            Typed::Line(line) => Ok(line),
        }
    };
    let (one, other) = (ask("Password")?, ask("The same again")?);
    if one == other { Ok(one) } else { Err(Refusal::usage("the two passwords differ")) }
}

/// A terminal that shows nothing and gives every key to us, until this is dropped.
///
/// Ctrl-C is a key here and not a signal: a signal would end the process, and the terminal
/// would go on showing nothing.
struct Unseen(Termios);

impl Unseen {
    fn begin() -> Result<Self, Refusal> {
        let before = tcgetattr(std::io::stdin()).map_err(|error| Refusal::failed(&error))?;
        let mut unseen = before.clone();
        unseen.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG | LocalModes::ICANON);
        let set = tcsetattr(std::io::stdin(), OptionalActions::Flush, &unseen);
        set.map_err(|error| Refusal::failed(&error))?;
        Ok(Self(before))
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, &self.0);
    }
}

/// What somebody did at a prompt.
#[derive(Debug, PartialEq, Eq)]
enum Typed {
    Line(String),
    Nothing,
    Cancelled,
}

/// Reads keys to the end of a line, as a terminal would: some of them take back others.
fn keys(bytes: impl Iterator<Item = std::io::Result<u8>>) -> std::io::Result<Typed> {
    const CTRL_C: u8 = 3;
    const CTRL_D: u8 = 4;
    const CTRL_U: u8 = 21;
    const CTRL_Z: u8 = 26;
    const CTRL_BACKSLASH: u8 = 28;
    const DELETE: u8 = 127;
    let mut line = Vec::new();
    for byte in bytes {
        match byte? {
            b'\r' | b'\n' => break,
            CTRL_D if line.is_empty() => break,
            CTRL_C | CTRL_Z | CTRL_BACKSLASH => return Ok(Typed::Cancelled),
            CTRL_U => line.clear(),
            b'\x08' | DELETE => {
                // A character may be several bytes.
                while line.pop().is_some_and(|last| last & 0xc0 == 0x80) {}
            }
            other => line.push(other),
        }
    }
    match String::from_utf8(line) {
        Ok(line) if line.is_empty() => Ok(Typed::Nothing),
        Ok(line) => Ok(Typed::Line(line)),
        Err(error) => Err(std::io::Error::new(std::io::ErrorKind::InvalidData, error.utf8_error())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_at_a_prompt() {
        for (typed, expected) in [
            ("secret\rmore", Some("secret")),
            ("secret\n", Some("secret")),
            ("seX\x7fcret\r", Some("secret")),
            ("pä\x7fassé\x08e\r", Some("passe")),
            ("wrong\x15right\r", Some("right")),
            ("\x7f\x7fa\r", Some("a")),
            ("a\x04b\r", Some("a\x04b")),
        ] {
            let expected = expected.map(|line| Typed::Line(line.to_owned()));
            assert_eq!(keys(typed.bytes().map(Ok)).ok(), expected, "{typed:?}");
        }
        for (typed, expected) in [
            ("\r", Typed::Nothing),
            ("\x04", Typed::Nothing),
            ("", Typed::Nothing),
            ("sec\x03", Typed::Cancelled),
        ] {
            assert_eq!(keys(typed.bytes().map(Ok)).unwrap(), expected, "{typed:?}");
        }
        assert!(keys([b'a', 0xff, b'\r'].into_iter().map(Ok)).is_err());
    }
}
