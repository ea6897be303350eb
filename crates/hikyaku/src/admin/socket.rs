//! The socket of a running server: a line of JSON asks, a line of JSON answers. Behind a
//! line that puts mail the mail follows as it is.
//!
//! Trust: whoever opens it runs the platform, so its file is for its owner alone, and the
//! peer must be root or the user that the server runs as.
//! Invariant: a request that is too long, or a peer that says nothing, ends the connection.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::desk::{Ask, Desk, Reply};
use super::refusal::Refusal;

/// The longest request: lists of a thousand addresses fit.
const LONGEST: u64 = 1 << 20;
const SILENCE: Duration = Duration::from_secs(60);
/// Connections at once.
const MOST: usize = 32;

/// An open socket. Its file goes when this does.
#[derive(Debug)]
pub(crate) struct AdminSocket {
    listener: UnixListener,
    path: PathBuf,
}

/// Where it is in a data folder.
pub(super) fn path(data: &Path) -> PathBuf {
    data.join("admin.sock")
}

impl AdminSocket {
    /// Opens it in a data folder, whose lock the caller holds: a file that is there already
    /// was left by a server that was killed.
    pub(crate) fn open(data: &Path) -> io::Result<Self> {
        check_folder(data)?;
        let path = path(data);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path })
    }
}

/// Whoever may write to the folder could put a socket of his own in this one's place, and be
/// told passwords.
pub(super) fn check_folder(data: &Path) -> io::Result<()> {
    let (folder, own) = (fs::metadata(data)?, rustix::process::geteuid().as_raw());
    let shown = data.display();
    if own != 0 && folder.uid() != own {
        return Err(io::Error::other(format!(
            "{shown} belongs to the user {}: run `chown -R {own} {shown}` as root",
            folder.uid()
        )));
    }
    if folder.mode() & 0o022 != 0 {
        return Err(io::Error::other(format!("others may write to {shown}: run `chmod go-w {shown}`")));
    }
    Ok(())
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Answers until it is dropped.
pub(crate) async fn serve_admin(socket: AdminSocket, desk: Desk) {
    let mut running = JoinSet::new();
    loop {
        while running.len() >= MOST {
            running.join_next().await;
        }
        match socket.listener.accept().await {
            Ok((stream, _)) => {
                let desk = desk.of_another();
                running.spawn(async move {
                    if let Err(error) = converse(stream, &desk).await {
                        tracing::debug!(%error, "an administrator's connection ended");
                    }
                });
            }
            Err(error) => {
                tracing::error!(%error, "the administration socket cannot accept");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        while running.try_join_next().is_some() {}
    }
}

async fn converse(mut stream: UnixStream, desk: &Desk) -> io::Result<()> {
    let peer = stream.peer_cred()?.uid();
    let own = rustix::process::geteuid().as_raw();
    if peer != 0 && peer != own {
        tracing::warn!(uid = peer, "somebody without the right opened the administration socket");
        return Ok(());
    }
    let who = super::user::operator(peer);
    let (read, mut write) = stream.split();
    let mut lines = BufReader::new(read);
    loop {
        let mut line = Vec::new();
        let mut limited = (&mut lines).take(LONGEST);
        let read = limited.read_until(b'\n', &mut line);
        if timeout(SILENCE, read).await.map_err(silent)?? == 0 || line.last() != Some(&b'\n') {
            return Ok(());
        }
        let mut ask = match ask(&line) {
            Ok(ask) => ask,
            // What follows such a line may be no line.
            Err(refusal) => return say(&mut write, &Reply::Error(refusal)).await,
        };
        if let (Ok(following), Some(contents)) = (ask.following(), ask.contents()) {
            let mut limited = (&mut lines).take(following as u64);
            timeout(SILENCE, limited.read_to_end(contents)).await.map_err(silent)??;
        }
        say(&mut write, &desk.answer(&who, ask).await).await?;
    }
}

async fn say(write: &mut (impl AsyncWrite + Unpin), reply: &Reply) -> io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    timeout(SILENCE, write.write_all(&line)).await.map_err(silent)?
}

fn silent(_: Elapsed) -> io::Error {
    io::ErrorKind::TimedOut.into()
}

/// What a line asks, unless too much follows it.
fn ask(line: &[u8]) -> Result<Ask, Refusal> {
    let ask: Ask = serde_json::from_slice(line)
        .map_err(|error| Refusal::usage(format!("this is no request: {error}")))?;
    ask.following()?;
    Ok(ask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_folder_must_be_ours_alone() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        for (mode, is_good) in [(0o700, true), (0o755, true), (0o775, false), (0o757, false), (0o1777, false)]
        {
            fs::set_permissions(data, fs::Permissions::from_mode(mode)).unwrap();
            let opened = AdminSocket::open(data);
            assert_eq!(opened.is_ok(), is_good, "{mode:o}");
            if let Err(error) = opened {
                assert!(error.to_string().contains("run `chmod go-w "), "{error}");
                assert!(!path(data).exists());
            }
        }
    }
}
