//! Passwords, which are never arguments: other users of the machine can read those.

use std::io::{BufRead, IsTerminal, Write};

use hikyaku_directory::NewSecret;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

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
    let before = tcgetattr(std::io::stdin()).map_err(|error| Refusal::failed(&error))?;
    let mut unseen = before.clone();
    unseen.local_modes.remove(LocalModes::ECHO);
    tcsetattr(std::io::stdin(), OptionalActions::Flush, &unseen).map_err(|error| Refusal::failed(&error))?;
    let ask = |prompt: &str| {
        eprint!("{prompt}: ");
        let _ = std::io::stderr().flush();
        let line = line();
        eprintln!();
        line
    };
    let both = ask("Password").and_then(|one| Ok((one, ask("The same again")?)));
    tcsetattr(std::io::stdin(), OptionalActions::Flush, &before).map_err(|error| Refusal::failed(&error))?;
    let (one, other) = both?;
    if one == other { Ok(one) } else { Err(Refusal::usage("the two passwords differ")) }
}
