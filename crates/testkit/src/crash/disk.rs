//! A disk as a power cut leaves it: what was flushed, and any part of what was not.
//!
//! The rules are the least that POSIX promises, not what one file system does:
//! - bytes and size of a file are durable up to its last `fsync` or `fdatasync`, and only what
//!   had been written when that flush began;
//! - an entry of a folder (a new file, a rename, an unlink, a new folder) is durable by a flush
//!   of that folder alone. Flushing the file does not help, nor does flushing the parent;
//! - of what was not flushed anything may survive: of a file's writes any, whole or in sectors
//!   of 512 bytes, in any order; of a folder's changes the first few, independent of other
//!   folders. A hole that this leaves reads as zeros.
//!
//! Assumed of the hardware and the file system: a sector is written whole or not at all,
//! flushed bytes stay as they are, and a rename within a folder is seen whole or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::Rng;

/// A file or a folder, whatever its name.
pub type Node = usize;

/// The folder that the disk is mounted on; it is durable itself.
pub const ROOT: Node = 0;

const SECTOR: usize = 512;

/// The disk, its cache, and what lies only in the cache.
#[derive(Debug, Clone)]
pub struct Disk {
    nodes: Vec<Inode>,
    /// Counts changes, so that a flush covers those before its beginning.
    changes: u64,
}

#[derive(Debug, Clone)]
enum Inode {
    File(Layers<Vec<u8>, Write>),
    Folder(Layers<Names, Renaming>),
}

type Names = BTreeMap<String, Node>;

/// What the disk has, what processes see, and the changes between the two.
#[derive(Debug, Clone)]
struct Layers<T, C> {
    durable: T,
    seen: T,
    unflushed: Vec<(u64, C)>,
}

/// What of a file or folder is kept.
type Keep<'k, T, C> = &'k mut dyn FnMut(&Layers<T, C>) -> T;

#[derive(Debug, Clone)]
enum Write {
    Bytes { at: usize, bytes: Vec<u8> },
    Resize(usize),
}

#[derive(Debug, Clone)]
enum Renaming {
    Add(String, Node),
    Remove(String),
    Rename(String, String),
}

/// All folders and files of a disk, by path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Image {
    /// Folders; in order, so parents come first.
    pub folders: BTreeSet<PathBuf>,
    /// Files and their bytes.
    pub files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Image {
    /// Writes everything into an empty folder.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, folder: &Path) -> std::io::Result<()> {
        for path in &self.folders {
            std::fs::create_dir(folder.join(path))?;
        }
        for (path, bytes) in &self.files {
            std::fs::write(folder.join(path), bytes)?;
            // Modes are not modelled, and a secret that others can read is refused.
            std::fs::set_permissions(folder.join(path), Permissions::from_mode(0o600))?;
        }
        Ok(())
    }

    /// Reads a real folder.
    ///
    /// # Errors
    /// What the system says.
    pub fn read(folder: &Path) -> std::io::Result<Self> {
        let mut image = Self::default();
        image.read_below(folder, Path::new(""))?;
        Ok(image)
    }

    fn read_below(&mut self, folder: &Path, below: &Path) -> std::io::Result<()> {
        let mut entries: Vec<_> = std::fs::read_dir(folder.join(below))?.collect::<Result<_, _>>()?;
        entries.sort_unstable_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let path = below.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                self.folders.insert(path.clone());
                self.read_below(folder, &path)?;
            } else if !is_volatile(&path) {
                self.files.insert(path, std::fs::read(entry.path())?);
            }
        }
        Ok(())
    }
}

/// SQLite's shared memory: rebuilt at each start and never read after a crash.
pub fn is_volatile(path: &Path) -> bool {
    path.to_string_lossy().ends_with("-shm")
}

impl Write {
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Self::Bytes { at, bytes } => put(file, *at, bytes),
            Self::Resize(size) => file.resize(*size, 0),
        }
    }

    /// Applies some of it.
    fn apply_torn(&self, file: &mut Vec<u8>, survives: u64, grain: usize, rng: &mut Rng) {
        let Self::Bytes { at, bytes } = self else {
            if rng.chance(survives) {
                self.apply(file);
            }
            return;
        };
        let (mut from, end) = (*at, at + bytes.len());
        while from < end {
            let to = ((from / grain + 1).saturating_mul(grain)).min(end);
            if rng.chance(survives) {
                put(file, from, &bytes[from - at..to - at]);
            }
            from = to;
        }
    }
}

fn put(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[at..end].copy_from_slice(bytes);
}

impl Renaming {
    fn apply(&self, names: &mut Names) {
        match self {
            Self::Add(name, node) => {
                names.insert(name.clone(), *node);
            }
            Self::Remove(name) => {
                names.remove(name);
            }
            Self::Rename(from, to) => {
                if let Some(node) = names.remove(from) {
                    names.insert(to.clone(), node);
                }
            }
        }
    }
}

impl<T, C> Layers<T, C> {
    fn change(&mut self, number: u64, change: C, apply: impl Fn(&C, &mut T)) {
        apply(&change, &mut self.seen);
        self.unflushed.push((number, change));
    }

    fn flush(&mut self, up_to: u64, apply: impl Fn(&C, &mut T)) {
        let covered = self.unflushed.partition_point(|(number, _)| *number <= up_to);
        for (_, change) in self.unflushed.drain(..covered) {
            apply(&change, &mut self.durable);
        }
    }
}

impl Default for Disk {
    fn default() -> Self {
        Self { nodes: vec![Inode::Folder(empty())], changes: 0 }
    }
}

fn empty<T: Default, C>() -> Layers<T, C> {
    Layers { durable: T::default(), seen: T::default(), unflushed: Vec::new() }
}

impl Disk {
    /// The file or folder of this path, as processes see it.
    pub fn find(&self, path: &Path) -> Option<Node> {
        path.iter().try_fold(ROOT, |folder, name| match &self.nodes[folder] {
            Inode::Folder(folder) => folder.seen.get(name.to_str()?).copied(),
            Inode::File(_) => None,
        })
    }

    /// A new file.
    pub fn create(&mut self, folder: Node, name: &str) -> Node {
        self.add(folder, name, Inode::File(empty()))
    }

    /// A new folder.
    pub fn make_folder(&mut self, folder: Node, name: &str) -> Node {
        self.add(folder, name, Inode::Folder(empty()))
    }

    fn add(&mut self, folder: Node, name: &str, inode: Inode) -> Node {
        self.nodes.push(inode);
        let node = self.nodes.len() - 1;
        self.link(folder, name, node);
        node
    }

    /// A further name for a file.
    pub fn link(&mut self, folder: Node, name: &str, node: Node) {
        self.rename_in(folder, Renaming::Add(name.into(), node));
    }

    /// A name goes.
    pub fn unlink(&mut self, folder: Node, name: &str) {
        self.rename_in(folder, Renaming::Remove(name.into()));
    }

    /// A name becomes another one of the same folder.
    pub fn rename(&mut self, folder: Node, from: &str, to: &str) {
        self.rename_in(folder, Renaming::Rename(from.into(), to.into()));
    }

    fn rename_in(&mut self, folder: Node, renaming: Renaming) {
        self.changes += 1;
        match &mut self.nodes[folder] {
            Inode::Folder(names) => names.change(self.changes, renaming, Renaming::apply),
            Inode::File(_) => panic!("a file has no entries"),
        }
    }

    /// Bytes are written into a file.
    pub fn write(&mut self, file: Node, at: usize, bytes: &[u8]) {
        self.write_to(file, Write::Bytes { at, bytes: bytes.to_vec() });
    }

    /// A file gets another size.
    pub fn resize(&mut self, file: Node, size: usize) {
        self.write_to(file, Write::Resize(size));
    }

    fn write_to(&mut self, file: Node, write: Write) {
        self.changes += 1;
        match &mut self.nodes[file] {
            Inode::File(bytes) => bytes.change(self.changes, write, Write::apply),
            Inode::Folder(_) => panic!("a folder has no bytes"),
        }
    }

    /// Size of a file, as processes see it.
    pub fn size(&self, file: Node) -> usize {
        match &self.nodes[file] {
            Inode::File(bytes) => bytes.seen.len(),
            Inode::Folder(_) => 0,
        }
    }

    /// Number of the newest change, for a flush that begins now.
    pub fn newest_change(&self) -> u64 {
        self.changes
    }

    /// The written bytes that a flush of `node` up to that change makes durable.
    pub fn covered(&self, node: Node, up_to: u64) -> Vec<&[u8]> {
        let Inode::File(file) = &self.nodes[node] else { return Vec::new() };
        let covered = file.unflushed.iter().take_while(|(number, _)| *number <= up_to);
        let bytes = covered.filter_map(|(_, write)| match write {
            Write::Bytes { bytes, .. } => Some(bytes.as_slice()),
            Write::Resize(_) => None,
        });
        bytes.collect()
    }

    /// Would a power cut leave the file of this path as it is?
    pub fn is_durable(&self, path: &Path) -> bool {
        let node = path.iter().try_fold(ROOT, |folder, name| match &self.nodes[folder] {
            Inode::Folder(folder) => folder.durable.get(name.to_str()?).copied(),
            Inode::File(_) => None,
        });
        node.is_some_and(|node| {
            self.find(path) == Some(node)
                && matches!(&self.nodes[node], Inode::File(file) if file.unflushed.is_empty())
        })
    }

    /// A flush of one file or folder ends that began at change `up_to`.
    pub fn flush(&mut self, node: Node, up_to: u64) {
        match &mut self.nodes[node] {
            Inode::File(bytes) => bytes.flush(up_to, Write::apply),
            Inode::Folder(names) => names.flush(up_to, Renaming::apply),
        }
    }

    /// The disk if nothing survives that was not flushed.
    pub fn strict(&self) -> Image {
        self.image(&mut |names| names.durable.clone(), &mut |bytes| bytes.durable.clone())
    }

    /// What processes see, and what the disk has if there is no power cut.
    pub fn seen(&self) -> Image {
        self.image(&mut |names| names.seen.clone(), &mut |bytes| bytes.seen.clone())
    }

    /// The disk if some of what was not flushed survives, as the seed decides.
    pub fn torn(&self, rng: &mut Rng) -> Image {
        let survives = *rng.pick(&[10, 50, 90, 100]);
        let grain = *rng.pick(&[SECTOR, 4096, usize::MAX / 2]);
        let (mut of_names, mut of_bytes) = (rng.fork(), rng.fork());
        self.image(
            &mut |names| {
                let mut surviving = names.durable.clone();
                let first = of_names.below(names.unflushed.len() as u64 + 1) as usize;
                names.unflushed[..first].iter().for_each(|(_, renaming)| renaming.apply(&mut surviving));
                surviving
            },
            &mut |bytes| {
                let mut surviving = bytes.durable.clone();
                for (_, write) in &bytes.unflushed {
                    write.apply_torn(&mut surviving, survives, grain, &mut of_bytes);
                }
                surviving
            },
        )
    }

    fn image(&self, names: Keep<'_, Names, Renaming>, bytes: Keep<'_, Vec<u8>, Write>) -> Image {
        let mut image = Image::default();
        let mut folders = vec![(PathBuf::new(), ROOT)];
        while let Some((path, node)) = folders.pop() {
            let Inode::Folder(folder) = &self.nodes[node] else { continue };
            for (name, child) in names(folder) {
                let path = path.join(name);
                match &self.nodes[child] {
                    Inode::Folder(_) => {
                        image.folders.insert(path.clone());
                        folders.push((path, child));
                    }
                    Inode::File(_) if is_volatile(&path) => {}
                    Inode::File(file) => {
                        image.files.insert(path, bytes(file));
                    }
                }
            }
        }
        image
    }

    /// What a power cut could take away, in words; empty if all is flushed.
    pub fn unflushed(&self) -> Vec<String> {
        let mut words = Vec::new();
        let mut folders = vec![(PathBuf::new(), ROOT)];
        while let Some((path, node)) = folders.pop() {
            let Inode::Folder(folder) = &self.nodes[node] else { continue };
            if !folder.unflushed.is_empty() {
                words.push(format!("{} changes of folder /{}", folder.unflushed.len(), path.display()));
            }
            for (name, child) in &folder.seen {
                let path = path.join(name);
                match &self.nodes[*child] {
                    Inode::Folder(_) => folders.push((path, *child)),
                    Inode::File(file) if !file.unflushed.is_empty() && !is_volatile(&path) => {
                        words.push(format!("{} writes to {}", file.unflushed.len(), path.display()));
                    }
                    Inode::File(_) => {}
                }
            }
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `path=bytes` of files and `path/` of folders.
    fn print(image: &Image) -> String {
        let folders = image.folders.iter().map(|path| format!("{}/", path.display()));
        let files = image.files.iter();
        let files =
            files.map(|(path, bytes)| format!("{}={}", path.display(), String::from_utf8_lossy(bytes)));
        folders.chain(files).collect::<Vec<_>>().join(" ")
    }

    /// Runs a script: `new f`, `write f 0 abc`, `resize f 2`, `mkdir d`, `unlink f`,
    /// `rename f g`, `flush f`, and `flush` alone for the root.
    fn run(script: &str) -> Disk {
        let mut disk = Disk::default();
        for line in script.split(';').map(str::trim) {
            let words: Vec<&str> = line.split(' ').collect();
            let node =
                |disk: &Disk, path: &str| disk.find(Path::new(path)).expect("the script knows its files");
            let place = |disk: &Disk, path: &str| match path.rsplit_once('/') {
                Some((folder, name)) => (node(disk, folder), name.to_owned()),
                None => (ROOT, path.to_owned()),
            };
            match words[..] {
                ["new", path] => {
                    let (folder, name) = place(&disk, path);
                    disk.create(folder, &name);
                }
                ["mkdir", path] => {
                    let (folder, name) = place(&disk, path);
                    disk.make_folder(folder, &name);
                }
                ["unlink", path] => {
                    let (folder, name) = place(&disk, path);
                    disk.unlink(folder, &name);
                }
                ["rename", from, to] => disk.rename(ROOT, from, to),
                ["write", path, at, bytes] => {
                    let file = node(&disk, path);
                    disk.write(file, at.parse().unwrap(), bytes.as_bytes());
                }
                ["resize", path, size] => {
                    let file = node(&disk, path);
                    disk.resize(file, size.parse().unwrap());
                }
                ["flush"] => disk.flush(ROOT, disk.newest_change()),
                ["flush", path] => disk.flush(node(&disk, path), disk.newest_change()),
                _ => panic!("not a line of a script: {line}"),
            }
        }
        disk
    }

    #[test]
    fn what_a_power_cut_leaves() {
        // script, what is left at least, what is seen
        let table = [
            ("new f; write f 0 abc", "", "f=abc"),
            ("new f; write f 0 abc; flush f", "", "f=abc"),
            ("new f; write f 0 abc; flush", "f=", "f=abc"),
            ("new f; write f 0 abc; flush; flush f", "f=abc", "f=abc"),
            ("new f; flush; write f 0 abc; flush f; write f 1 xy; resize f 2", "f=abc", "f=ax"),
            ("new f; flush; write f 0 abc; flush f; resize f 1; flush f", "f=a", "f=a"),
            ("mkdir d; new d/f; write d/f 0 a; flush d/f; flush d", "", "d/ d/f=a"),
            ("mkdir d; new d/f; write d/f 0 a; flush d/f; flush", "d/", "d/ d/f=a"),
            ("mkdir d; new d/f; write d/f 0 a; flush d/f; flush d; flush", "d/ d/f=a", "d/ d/f=a"),
            ("new f; write f 0 a; flush f; flush; rename f g", "f=a", "g=a"),
            ("new f; write f 0 a; flush f; rename f g; flush", "g=a", "g=a"),
            ("new f; flush; unlink f", "f=", ""),
            ("new f; new g; write g 0 b; flush g; rename g f; flush", "f=b", "f=b"),
        ];
        for (script, strict, seen) in table {
            let disk = run(script);
            assert_eq!(print(&disk.strict()), strict, "{script}");
            assert_eq!(print(&disk.seen()), seen, "{script}");
            assert_eq!(!disk.unflushed().is_empty(), strict != seen, "{script}");
        }
    }

    #[test]
    fn a_flush_covers_what_was_there_when_it_began() {
        let mut disk = run("new f; flush; write f 0 abc");
        let began = disk.newest_change();
        let file = disk.find(Path::new("f")).unwrap();
        disk.write(file, 3, b"def");
        disk.flush(file, began);
        assert_eq!(print(&disk.strict()), "f=abc");
        assert_eq!(disk.unflushed(), ["1 writes to f"]);
    }

    #[test]
    fn parts_survive_in_any_order() {
        let disk = run("new f; flush; write f 0 a; write f 1 b; write f 2 c; resize f 2; new g; new h");
        let mut seen = BTreeSet::new();
        for seed in 0..400 {
            seen.insert(print(&disk.torn(&mut Rng::new(seed))).replace('\0', "."));
        }
        // The last write without the first two, all of them, none of them, a shrunk file.
        for expected in ["f=..c", "f=ab g= h=", "f=", "f=.b g=", "f=a"] {
            assert!(seen.contains(expected), "{expected} is not among {seen:?}");
        }
        assert!(seen.iter().all(|image| !image.contains("h=") || image.contains("g=")), "{seen:?}");
    }

    #[test]
    fn a_write_is_torn_at_sectors() {
        let mut disk = run("new f; flush");
        disk.write(1, 100, &[1; 2000]);
        let mut torn = false;
        for seed in 0..100 {
            let image = disk.torn(&mut Rng::new(seed));
            let file = &image.files[Path::new("f")];
            torn |= file.contains(&1) && file.iter().filter(|byte| **byte == 1).count() < 2000;
            for (from, to) in [(100, 512), (512, 1024), (1024, 1536), (1536, 2048), (2048, 2100)] {
                let sector = file.get(from..to.min(file.len())).unwrap_or_default();
                assert!(sector.windows(2).all(|pair| pair[0] == pair[1]), "a sector came in parts");
            }
        }
        assert!(torn);
    }
}
