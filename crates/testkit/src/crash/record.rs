//! Records runs of the load: `strace` writes every system call that changes a file, with all
//! bytes, and can make a flush do nothing or end the process in the middle of a call.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::disk::Image;
use super::load::Load;
use super::trace::{self, Call};

/// Calls that change files or descriptors, make a process, or flush.
const TRACED: &str = "open,openat,openat2,creat,close,dup,dup2,dup3,read,write,pwrite64,writev,pwritev,pwritev2,lseek,\
    fsync,fdatasync,sync,syncfs,sync_file_range,ftruncate,truncate,fallocate,rename,renameat,renameat2,link,linkat,\
    symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,rmdir,mmap,copy_file_range,sendfile,splice,io_uring_setup,\
    clone,clone3,fork,vfork,execve";
/// More bytes than any call writes at once.
const LONGEST_STRING: &str = "16777216";

/// What goes wrong in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The process dies when one of its threads makes this call for the nth time.
    Kill(&'static str, u32),
    /// These calls say that they succeeded, and do nothing.
    NoFlush(&'static str),
}

/// One process and what it left.
#[derive(Debug)]
pub struct Run {
    /// What it was told to do.
    pub load: Load,
    /// All its calls.
    pub calls: Vec<Call>,
    /// The folder when it had ended, as the file system shows it.
    pub left: Image,
}

impl Run {
    /// Is it known of every call whether it was carried out? The call that the process was
    /// killed at was not.
    pub(super) fn is_clear(&self, fault: Option<Fault>) -> bool {
        let harmless = ["read", "close", "fsync", "fdatasync", "mmap", "dup", "clone", "clone3"];
        self.calls.iter().all(|call| {
            let killed_at = matches!(fault, Some(Fault::Kill(name, _)) if name == call.name);
            call.result.is_some() || killed_at || harmless.contains(&call.name.as_str())
        })
    }
}

/// Records processes that work on one folder, one after another.
#[derive(Debug)]
pub struct Recorder {
    program: PathBuf,
    scratch: TempDir,
    root: PathBuf,
}

impl Recorder {
    /// A recorder with a new folder; `program` is `crash-load`.
    pub fn new(program: &Path) -> Self {
        let scratch = crate::scratch_dir();
        let root = scratch.path().canonicalize().expect("the folder is there").join("disk");
        std::fs::create_dir(&root).expect("the folder can be made");
        Self { program: program.to_owned(), scratch, root }
    }

    /// Where the disk of the model is mounted, so to speak.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Runs the load and waits for its end.
    ///
    /// # Panics
    /// If there is no `strace`, if it may not trace, or if the load fails without a fault.
    pub fn record(&self, load: &Load, fault: Option<Fault>) -> Run {
        let output = self.scratch.path().join("trace");
        let mut strace = Command::new("strace");
        // Not with --seccomp-bpf, which is faster: strace 6.1 then injects no signals.
        strace.args(["-f", "-qq", "-y", "-xx", "-s", LONGEST_STRING, "-e", "signal=none"]);
        strace.args(["-e", &format!("trace={TRACED}")]);
        match fault {
            Some(Fault::Kill(call, nth)) => {
                strace.args(["-e", &format!("inject={call}:signal=KILL:when={nth}")])
            }
            Some(Fault::NoFlush(calls)) => strace.args(["-e", &format!("inject={calls}:retval=0")]),
            None => &mut strace,
        };
        strace.arg("-o").arg(&output).arg(&self.program).args(load.to_args());
        let ended = strace.stdin(Stdio::null()).stdout(Stdio::null()).status();
        let ended = ended.expect("the crash rig records with strace, which must be installed");
        let killed = matches!(fault, Some(Fault::Kill(..)));
        assert_eq!(ended.success(), !killed, "generation {} of the load ended with {ended}", load.generation);
        let text = std::fs::read(&output).expect("strace wrote a trace");
        let calls = trace::parse(&text).unwrap_or_else(|error| panic!("{error}"));
        let left = Image::read(&self.root).expect("the folder can be read");
        Run { load: load.clone(), calls, left }
    }
}
