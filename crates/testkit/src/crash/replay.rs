//! Carries out the calls of a trace on a [`Disk`], and hands out what is of interest on the way:
//! notes that were printed, and flushes that are about to end.
//!
//! Order: a close and a printed note count from their beginning, everything else from its end,
//! and a flush covers what had ended when it began. That is the least that the kernel promises.
//! Two calls of different threads may end in another order than they took effect. Where the
//! success of one proves that the other had made a file or folder, the other counts from there.
//!
//! A call on the folder that is not understood ends the run: a model that guesses shows nothing.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use super::disk::{Disk, Node, is_volatile};
use super::trace::{Arg, Call};

/// What one step did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A line was printed on standard output, and may be known to anyone from now on.
    Printed(Line),
    /// A flush ends; the disk is still as it was before it.
    FlushEnds(Flush),
}

/// A printed line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The text, without its end.
    pub text: String,
    /// The line of the trace on which printing began.
    pub at: usize,
}

/// A flush of one file or folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flush {
    /// The file or folder.
    pub node: Node,
    /// The newest change that it covers.
    pub covers: u64,
    /// False if the tracer answered instead of the kernel: then it makes nothing durable.
    pub carried_out: bool,
    /// Below the disk's root, as it was opened.
    pub path: PathBuf,
    /// The line of the trace on which it ended.
    pub line: usize,
}

impl std::fmt::Display for Flush {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "flush of /{} (line {})", self.path.display(), self.line)
    }
}

#[derive(Debug, Clone)]
struct Open {
    node: Node,
    path: PathBuf,
    position: usize,
    append: bool,
}

/// The descriptors of one process over a disk that outlives it.
#[derive(Debug)]
pub struct Replay<'d> {
    disk: &'d mut Disk,
    root: &'d Path,
    /// Descriptors that were duplicated share their position.
    descriptors: HashMap<i64, usize>,
    open: Vec<Open>,
    /// Calls of flushes that have begun: what they cover.
    begun: HashMap<usize, u64>,
    /// The process itself is the first program that is traced.
    started: bool,
}

/// Why a call cannot be carried out on the model.
#[derive(Debug)]
struct Refused {
    what: &'static str,
    /// What should be there, if that is it.
    missing: Option<PathBuf>,
}

impl From<&'static str> for Refused {
    fn from(what: &'static str) -> Self {
        Self { what, missing: None }
    }
}

fn missing(path: &Path) -> Refused {
    Refused { what: "a file or folder that the model has not", missing: Some(path.to_owned()) }
}

/// When something of a call happens: at its beginning or its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    Begins,
    Ends,
}

impl<'d> Replay<'d> {
    /// A process that has nothing open yet. Files below `root` are those of the disk.
    pub fn new(disk: &'d mut Disk, root: &'d Path) -> Self {
        let (descriptors, begun) = (HashMap::new(), HashMap::new());
        Self { disk, root, descriptors, open: Vec::new(), begun, started: false }
    }

    /// The disk at this moment.
    pub fn disk(&self) -> &Disk {
        self.disk
    }

    /// Carries out a whole trace; `each` gets every event in order.
    ///
    /// # Panics
    /// With the line, at a call that the model does not know.
    pub fn run(&mut self, calls: &[Call], mut each: impl FnMut(&Self, &Event)) {
        let mut steps: Vec<(usize, Moment, usize)> = Vec::new();
        for (index, call) in calls.iter().enumerate() {
            steps.push((call.begins, Moment::Begins, index));
            if call.result.is_some() {
                steps.push((call.ends, Moment::Ends, index));
            }
        }
        steps.sort_unstable();
        let mut done = vec![false; calls.len()];
        for (line, moment, index) in steps {
            let event = match moment {
                Moment::Begins => self.begins(&calls[index], index),
                Moment::Ends => self.ends_in_order(calls, &mut done, line, index),
            };
            if let Some(event) = event {
                each(self, &event);
                if let Event::FlushEnds(flush) = event
                    && flush.carried_out
                {
                    self.disk.flush(flush.node, flush.covers);
                }
            }
        }
    }

    fn begins(&mut self, call: &Call, index: usize) -> Option<Event> {
        match (call.name.as_str(), &call.args[0]) {
            ("close", fd) => {
                self.descriptors.remove(&fd.number()?);
            }
            ("fsync" | "fdatasync", _) => {
                self.begun.insert(index, self.disk.newest_change());
            }
            ("write", fd) if fd.number() == Some(1) => {
                let bytes = call.args[1].strings.first()?;
                let text = String::from_utf8_lossy(bytes).trim_end().to_owned();
                return Some(Event::Printed(Line { text, at: call.begins }));
            }
            _ => {}
        }
        None
    }

    /// A call ends; before it those that are still under way, if it shows that they had an effect.
    fn ends_in_order(
        &mut self,
        calls: &[Call],
        done: &mut [bool],
        line: usize,
        index: usize,
    ) -> Option<Event> {
        let call = &calls[index];
        while !std::mem::replace(&mut done[index], true) {
            let refused = match self.ends(call, index) {
                Ok(event) => return event,
                Err(refused) => refused,
            };
            let maker = refused.missing.as_ref().and_then(|missing| {
                (0..calls.len()).find(|&other| {
                    let under_way = calls[other].begins < line && calls[other].ends > line && !done[other];
                    under_way && self.makes(&calls[other]).as_ref() == Some(missing)
                })
            });
            let Some(maker) = maker else {
                panic!("line {} of the trace, {}: {}", call.begins, call.name, refused.what)
            };
            self.ends_in_order(calls, done, line, maker);
            done[index] = false;
        }
        None
    }

    /// The file or folder that a call makes, if it succeeds.
    fn makes(&self, call: &Call) -> Option<PathBuf> {
        let arg = |number: usize| call.args.get(number);
        let path = match call.name.as_str() {
            _ if call.result.is_none_or(|result| result < 0) => return None,
            "openat" if arg(2)?.has("O_CREAT") => self.path(arg(0)?, arg(1)?),
            "mkdir" => self.path(&here(), arg(0)?),
            "mkdirat" => self.path(arg(0)?, arg(1)?),
            "rename" | "link" => self.path(&here(), arg(1)?),
            "renameat" | "renameat2" | "linkat" => self.path(arg(2)?, arg(3)?),
            _ => return None,
        };
        path.ok().flatten()
    }

    fn ends(&mut self, call: &Call, index: usize) -> Result<Option<Event>, Refused> {
        let arg = |number: usize| call.args.get(number).ok_or("an argument is missing");
        let Some(result) = call.result.filter(|result| *result >= 0 || call.name == "mmap") else {
            return Ok(None);
        };
        if call.injected && !matches!(call.name.as_str(), "fsync" | "fdatasync") {
            return Err("an answer of the tracer that the model does not know".into());
        }
        match call.name.as_str() {
            "openat" => self.opened(self.path(arg(0)?, arg(1)?)?, arg(2)?, result)?,
            "open" | "creat" => {
                if self.inside(&bytes_path(only(arg(0)?)?)).is_some() {
                    return Err("an old way to open a file".into());
                }
            }
            "close" => {}
            "dup" | "dup2" | "dup3" => self.duplicated(arg(0)?, result)?,
            "read" => {
                if let Some(open) = self.opened_as(arg(0)?)? {
                    self.open[open].position += size(result)?;
                }
            }
            "lseek" => {
                if let Some(open) = self.opened_as(arg(0)?)? {
                    self.open[open].position = size(result)?;
                }
            }
            "write" | "writev" => self.written(arg(0)?, arg(1)?, None, result)?,
            "pwrite64" => self.written(arg(0)?, arg(1)?, Some(arg(3)?), result)?,
            "pwritev" | "pwritev2" => self.written(arg(0)?, arg(1)?, Some(arg(3)?), result)?,
            "ftruncate" => {
                if let Some(open) = self.opened_as(arg(0)?)? {
                    self.disk.resize(self.open[open].node, size(arg(1)?.number().ok_or("no size")?)?);
                }
            }
            "fsync" | "fdatasync" => {
                let covers = self.begun.remove(&index).ok_or("a flush that never began")?;
                let Some(open) = self.opened_as(arg(0)?)? else { return Ok(None) };
                let Open { node, path, .. } = self.open[open].clone();
                let flush = Flush { node, covers, carried_out: !call.injected, path, line: call.ends };
                return Ok(Some(Event::FlushEnds(flush)));
            }
            "mkdir" => self.made_folder(self.path(&here(), arg(0)?)?)?,
            "mkdirat" => self.made_folder(self.path(arg(0)?, arg(1)?)?)?,
            "rename" => self.renamed(self.path(&here(), arg(0)?)?, self.path(&here(), arg(1)?)?)?,
            "renameat" => self.renamed(self.path(arg(0)?, arg(1)?)?, self.path(arg(2)?, arg(3)?)?)?,
            "renameat2" => {
                if !matches!(arg(4)?.word.as_str(), "0" | "RENAME_NOREPLACE") {
                    return Err("an exchange of two files".into());
                }
                self.renamed(self.path(arg(0)?, arg(1)?)?, self.path(arg(2)?, arg(3)?)?)?;
            }
            "link" => self.linked(self.path(&here(), arg(0)?)?, self.path(&here(), arg(1)?)?)?,
            "linkat" => self.linked(self.path(arg(0)?, arg(1)?)?, self.path(arg(2)?, arg(3)?)?)?,
            "unlink" | "rmdir" => self.unlinked(self.path(&here(), arg(0)?)?)?,
            "unlinkat" => self.unlinked(self.path(arg(0)?, arg(1)?)?)?,
            "mmap" => self.mapped(arg(2)?, arg(3)?, arg(4)?)?,
            "clone" | "clone3" => {
                if !call.args.iter().any(|arg| arg.word.contains("CLONE_FILES")) {
                    return Err("a second process".into());
                }
            }
            "execve" if !self.started => self.started = true,
            // It makes data durable under no circumstances that POSIX or Linux promise.
            "sync_file_range" => {}
            _ => return self.untouched(call),
        }
        Ok(None)
    }

    /// Any other call may be made, but not on the folder.
    fn untouched(&self, call: &Call) -> Result<Option<Event>, Refused> {
        let everywhere = ["io_uring_setup", "fork", "vfork", "execve", "sync", "syncfs"];
        let paths = call.args.iter().flat_map(|arg| arg.path.iter().chain(&arg.strings));
        if everywhere.contains(&call.name.as_str()) || paths.into_iter().any(|path| self.is_inside(path)) {
            return Err("a call that the model does not know".into());
        }
        Ok(None)
    }

    fn is_inside(&self, path: &[u8]) -> bool {
        self.inside(&bytes_path(path)).is_some()
    }

    /// The path below the root, if it is there.
    fn inside(&self, path: &Path) -> Option<PathBuf> {
        path.strip_prefix(self.root).ok().map(Path::to_owned)
    }

    /// A path argument, resolved against its folder's descriptor: `None` outside the root.
    fn path(&self, folder: &Arg, path: &Arg) -> Result<Option<PathBuf>, &'static str> {
        let path = bytes_path(only(path)?);
        let whole = match &folder.path {
            Some(folder) if path.is_relative() => bytes_path(folder).join(path),
            None if path.is_relative() => return Err("a path from an unknown folder"),
            _ => path,
        };
        let inside = self.inside(&whole);
        if inside.is_some() && whole.components().any(|part| part == Component::ParentDir) {
            return Err("a path that goes up");
        }
        Ok(inside)
    }

    /// What a descriptor is open on, if that is in the folder.
    fn opened_as(&self, fd: &Arg) -> Result<Option<usize>, &'static str> {
        let number = fd.number().ok_or("no descriptor")?;
        match self.descriptors.get(&number) {
            Some(open) => Ok(Some(*open)),
            None if fd.path.as_ref().is_some_and(|path| self.is_inside(path)) => {
                Err("a descriptor of unknown origin")
            }
            None => Ok(None),
        }
    }

    fn opened(&mut self, path: Option<PathBuf>, flags: &Arg, fd: i64) -> Result<(), Refused> {
        self.descriptors.remove(&fd);
        let Some(path) = path else { return Ok(()) };
        if ["O_TMPFILE", "O_SYNC", "O_DSYNC"].iter().any(|flag| flags.has(flag)) {
            return Err("a way to open that the model does not know".into());
        }
        let node = match self.disk.find(&path) {
            Some(node) => {
                if flags.has("O_TRUNC") && self.disk.size(node) > 0 {
                    self.disk.resize(node, 0);
                }
                node
            }
            None if flags.has("O_CREAT") => {
                let (folder, name) = self.place(&path)?;
                self.disk.create(folder, name)
            }
            None => return Err(missing(&path)),
        };
        self.descriptors.insert(fd, self.open.len());
        self.open.push(Open { node, path, position: 0, append: flags.has("O_APPEND") });
        Ok(())
    }

    fn duplicated(&mut self, fd: &Arg, new: i64) -> Result<(), &'static str> {
        match self.opened_as(fd)? {
            Some(open) => self.descriptors.insert(new, open),
            None => self.descriptors.remove(&new),
        };
        Ok(())
    }

    fn written(&mut self, fd: &Arg, bytes: &Arg, at: Option<&Arg>, result: i64) -> Result<(), &'static str> {
        let Some(index) = self.opened_as(fd)? else { return Ok(()) };
        let mut bytes = bytes.strings.concat();
        // The kernel may have taken less than it was given.
        bytes.truncate(size(result)?);
        let open = &mut self.open[index];
        // An offset of -1 means the position.
        let offset = at.and_then(Arg::number).filter(|offset| *offset >= 0);
        let begin = match offset {
            Some(offset) => size(offset)?,
            None if open.append => self.disk.size(open.node),
            None => open.position,
        };
        if offset.is_none() {
            open.position = begin + bytes.len();
        }
        self.disk.write(open.node, begin, &bytes);
        Ok(())
    }

    /// Folder and last name of a path.
    fn place<'p>(&self, path: &'p Path) -> Result<(Node, &'p str), Refused> {
        let name = path.file_name().and_then(|name| name.to_str()).ok_or("the root itself is changed")?;
        let parent = path.parent().unwrap_or(Path::new(""));
        Ok((self.disk.find(parent).ok_or_else(|| missing(parent))?, name))
    }

    fn made_folder(&mut self, path: Option<PathBuf>) -> Result<(), Refused> {
        let Some(path) = path else { return Ok(()) };
        let (folder, name) = self.place(&path)?;
        self.disk.make_folder(folder, name);
        Ok(())
    }

    fn renamed(&mut self, from: Option<PathBuf>, to: Option<PathBuf>) -> Result<(), Refused> {
        let (from, to) = match (from, to) {
            (Some(from), Some(to)) => (from, to),
            (None, None) => return Ok(()),
            _ => return Err("a file moves over the border".into()),
        };
        let ((folder, old), (target, new)) = (self.place(&from)?, self.place(&to)?);
        if folder != target {
            return Err("a file moves to another folder".into());
        }
        self.disk.rename(folder, old, new);
        Ok(())
    }

    fn linked(&mut self, from: Option<PathBuf>, to: Option<PathBuf>) -> Result<(), Refused> {
        let (from, to) = match (from, to) {
            (Some(from), Some(to)) => (from, to),
            (None, None) => return Ok(()),
            _ => return Err("a link over the border".into()),
        };
        let node = self.disk.find(&from).ok_or_else(|| missing(&from))?;
        let (folder, name) = self.place(&to)?;
        self.disk.link(folder, name, node);
        Ok(())
    }

    fn unlinked(&mut self, path: Option<PathBuf>) -> Result<(), Refused> {
        let Some(path) = path else { return Ok(()) };
        let (folder, name) = self.place(&path)?;
        self.disk.unlink(folder, name);
        Ok(())
    }

    /// Stores into shared memory leave no trace.
    fn mapped(&self, protection: &Arg, flags: &Arg, fd: &Arg) -> Result<(), &'static str> {
        let volatile = fd.path.as_ref().is_none_or(|path| is_volatile(&bytes_path(path)));
        let shared = flags.has("MAP_SHARED") || flags.has("MAP_SHARED_VALIDATE");
        if volatile || !shared || !protection.has("PROT_WRITE") || self.opened_as(fd)?.is_none() {
            return Ok(());
        }
        Err("a file is written through memory")
    }
}

/// Paths of calls without a folder's descriptor. Relative ones are refused.
fn here() -> Arg {
    Arg::default()
}

fn only(arg: &Arg) -> Result<&[u8], &'static str> {
    arg.strings.first().map(Vec::as_slice).ok_or("no path")
}

fn size(number: i64) -> Result<usize, &'static str> {
    usize::try_from(number).map_err(|_| "a negative size")
}

fn bytes_path(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::OsStr::from_bytes(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::super::trace;
    use super::*;

    /// Replays a trace under `/r` and tells what it printed, flushed and left.
    fn run(text: &str) -> String {
        let calls = trace::parse(text.as_bytes()).unwrap();
        let mut disk = Disk::default();
        let mut told = Vec::new();
        Replay::new(&mut disk, Path::new("/r")).run(&calls, |_, event| {
            told.push(match event {
                Event::Printed(line) => format!("`{}`", line.text),
                Event::FlushEnds(flush) => format!("/{}", flush.path.display()),
            });
        });
        let print = |image: super::super::disk::Image| {
            let files = image.files.iter();
            let files: Vec<_> = files
                .map(|(path, bytes)| format!("{}={}", path.display(), String::from_utf8_lossy(bytes)))
                .collect();
            files.join(" ")
        };
        format!("{} -> {} / {}", told.join(" "), print(disk.strict()), print(disk.seen()))
    }

    #[test]
    fn calls_and_what_they_leave() {
        let open = "7 openat(AT_FDCWD</>, \"/r/f\", O_RDWR|O_CREAT, 0600) = 3</r/f>\n\
             7 openat(AT_FDCWD</>, \"/r\", O_RDONLY) = 4</r>\n7 fsync(4</r>) = 0\n";
        // calls after the file was made, what they leave
        let table = [
            ("7 write(3</r/f>, \"ab\", 2) = 2\n7 write(3</r/f>, \"cd\", 2) = 1", "/ -> f= / f=abc"),
            ("7 write(3</r/f>, \"ab\", 2) = 2\n7 fsync(3</r/f>) = 0", "/ /f -> f=ab / f=ab"),
            ("7 write(3</r/f>, \"ab\", 2) = 2\n7 fsync(3</r/f>) = 0 (INJECTED)", "/ /f -> f= / f=ab"),
            ("7 write(3</r/f>, \"ab\", 2) = 2\n7 fsync(3</r/f>) = -1 EIO (x)", "/ -> f= / f=ab"),
            // The second write ends after the flush began.
            (
                "7 write(3</r/f>, \"ab\", 2) = 2\n8 write(3</r/f>, \"cd\", 2 <unfinished ...>\n\
                 7 fsync(3</r/f> <unfinished ...>\n8 <... write resumed>) = 2\n7 <... fsync resumed>) = 0",
                "/ /f -> f=ab / f=abcd",
            ),
            // What is printed counts from its beginning.
            (
                "8 write(1<pipe:[1]>, \"done 1\\x0a\", 7 <unfinished ...>\n7 fsync(3</r/f>) = 0\n8 <... write resumed>) = 7",
                "/ `done 1` /f -> f= / f=",
            ),
            // A number that is given again while its close is still under way.
            (
                "7 close(3</r/f> <unfinished ...>\n8 openat(AT_FDCWD</>, \"/r/g\", O_RDWR|O_CREAT, 0600) = 3</r/g>\n\
                 7 <... close resumed>) = 0\n8 write(3</r/g>, \"a\", 1) = 1",
                "/ -> f= / f= g=a",
            ),
            // The second folder proves the first.
            (
                "7 mkdir(\"/r/d\", 0700 <unfinished ...>\n8 mkdir(\"/r/d/e\", 0700) = 0\n\
                 8 openat(AT_FDCWD</>, \"/r/d/e/f\", O_RDWR|O_CREAT, 0600) = 5</r/d/e/f>\n7 <... mkdir resumed>) = 0",
                "/ -> f= / d/e/f= f=",
            ),
            (
                "7 dup(3</r/f>) = 5</r/f>\n7 write(5</r/f>, \"a\", 1) = 1\n7 write(3</r/f>, \"b\", 1) = 1",
                "/ -> f= / f=ab",
            ),
            (
                "7 pwrite64(3</r/f>, \"x\", 1, 2) = 1\n7 lseek(3</r/f>, 0, SEEK_END) = 3\n7 write(3</r/f>, \"y\", 1) = 1",
                "/ -> f= / f=\0\0xy",
            ),
            ("7 rename(\"/r/f\", \"/r/g\") = 0", "/ -> f= / g="),
            ("7 unlink(\"/r/f\") = 0\n7 unlink(\"/r/h\") = -1 ENOENT (x)", "/ -> f= / "),
            (
                "7 openat(AT_FDCWD</>, \"/r/f\", O_WRONLY|O_APPEND) = 5</r/f>\n7 write(5</r/f>, \"a\", 1) = 1\n7 ftruncate(5</r/f>, 3) = 0",
                "/ -> f= / f=a\0\0",
            ),
            (
                "7 openat(AT_FDCWD</>, \"/other\", O_RDWR|O_CREAT) = 5</other>\n7 write(5</other>, \"a\", 1) = 1",
                "/ -> f= / f=",
            ),
        ];
        for (calls, left) in table {
            assert_eq!(run(&format!("{open}{calls}")), left, "{calls}");
        }
    }

    #[test]
    fn what_is_not_understood_ends_the_run() {
        let table = [
            "7 openat(AT_FDCWD</>, \"/r/x\", O_RDWR) = 3</r/x>",
            "7 write(9</r/x>, \"a\", 1) = 1",
            "7 openat(AT_FDCWD</>, \"/r/f\", O_RDWR|O_CREAT) = 3</r/f>\n7 mmap(NULL, 8, PROT_READ|PROT_WRITE, MAP_SHARED, 3</r/f>, 0) = 0x1",
            "7 rename(\"/r/f\", \"/elsewhere\") = 0",
            "7 truncate(\"/r/f\", 0) = 0",
            "7 io_uring_setup(8, {}) = 3",
            "7 fork() = 8",
            "7 clone3({flags=CLONE_VM}, 88) = 8",
            "7 copy_file_range(4</x>, NULL, 5</r/f>, NULL, 9, 0) = 9",
        ];
        for text in table {
            let ran = std::panic::catch_unwind(|| run(text));
            assert!(ran.is_err(), "{text} was accepted: {}", ran.unwrap_or_default());
        }
    }
}
