//! The other server, filled by APPEND.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::client::Client;
use super::{Arguments, IDLE, LARGE, Server, steps};
use crate::peers::Dovecot;

pub(crate) struct Theirs {
    dovecot: Option<Dovecot>,
    folder: PathBuf,
    users: Vec<(String, String)>,
}

impl Theirs {
    pub(crate) fn start(folder: &Path, arguments: &Arguments) -> anyhow::Result<Self> {
        let password = format!("{{ARGON2ID}}{}", super::ours::password_hash());
        let names = [LARGE.to_owned(), IDLE.to_owned()].into_iter().chain((0..arguments.others).map(other));
        let users: Vec<_> = names.map(|name| (name, password.clone())).collect();
        let mut theirs = Self { dovecot: None, folder: folder.to_owned(), users };
        theirs.restart()?;
        Ok(theirs)
    }

    /// The mails that ours has, in the same order, some at a time.
    pub(crate) fn fill(&mut self, arguments: &Arguments) -> anyhow::Result<()> {
        let begun = Instant::now();
        let mut large = Client::connect(self.address())?;
        large.sign_in(LARGE)?;
        for step in steps(arguments) {
            let (of_large, of_others): (Vec<_>, Vec<_>) = step.iter().partition(|mail| mail.of.is_none());
            large.append(of_large.iter().map(|mail| mail.content.as_slice()))?;
            for mails in of_others.chunk_by(|one, next| one.of == next.of) {
                let mut client = Client::connect(self.address())?;
                client.sign_in(&other(mails[0].of.unwrap_or_default()))?;
                client.append(mails.iter().map(|mail| mail.content.as_slice()))?;
            }
        }
        println!("Dovecot: filled in {:.0} s", begun.elapsed().as_secs_f64());
        Ok(())
    }
}

fn other(number: u32) -> String {
    format!("other{number}@example.org")
}

impl Server for Theirs {
    fn address(&self) -> SocketAddr {
        self.dovecot.as_ref().expect("it runs").imap
    }

    fn cpu(&self) -> Duration {
        self.dovecot.as_ref().map_or(Duration::ZERO, |dovecot| dovecot.peer.cpu())
    }

    fn restart(&mut self) -> anyhow::Result<()> {
        self.dovecot = None;
        self.dovecot = Some(Dovecot::start(&self.folder, self.users.clone())?);
        Ok(())
    }

    fn settle(&mut self) -> anyhow::Result<()> {
        Ok(())
    }

    /// As shipped it has no index of texts.
    fn index(&mut self) -> anyhow::Result<()> {
        Ok(())
    }

    fn folder(&self) -> &Path {
        &self.folder
    }
}
