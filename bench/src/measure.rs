//! What a run costs: wall time, CPU of this process and of a PostgreSQL server, and the
//! disk's own rate for comparison.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// Time and CPU used since it was made.
pub(crate) struct Stopwatch {
    begun: Instant,
    cpu: Duration,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { begun: Instant::now(), cpu: own_cpu() }
    }

    /// Wall time and CPU time, of all threads of this process.
    pub(crate) fn stop(&self) -> (Duration, Duration) {
        (self.begun.elapsed(), own_cpu().saturating_sub(self.cpu))
    }
}

fn own_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Bytes of this process that are in memory.
pub(crate) fn own_memory() -> std::io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.map(|kib| kib << 10).ok_or_else(|| std::io::ErrorKind::InvalidData.into())
}

/// CPU that a process and all its children, living and ended, have used.
///
/// Reads `/proc`: fields 14 to 17 of `stat` in clock ticks of 10 ms.
pub(crate) fn cpu_of_tree(root: u32) -> Duration {
    let mut ticks = 0;
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    for entry in entries {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Some(stat) = Stat::of(pid) else { continue };
        if pid == root {
            ticks += stat.own + stat.children;
        } else if stat.parent == root {
            ticks += stat.own;
        }
    }
    Duration::from_millis(ticks * 10)
}

/// The same for a process, its children, theirs, and so on.
pub(crate) fn cpu_of_descendants(root: u32) -> Duration {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let all: Vec<(u32, Stat)> = pids.filter_map(|pid| Some((pid, Stat::of(pid)?))).collect();
    let (mut ticks, mut waiting) = (0, vec![root]);
    while let Some(pid) = waiting.pop() {
        for (number, stat) in &all {
            if *number == pid {
                ticks += stat.own + stat.children;
            } else if stat.parent == pid {
                waiting.push(*number);
            }
        }
    }
    Duration::from_millis(ticks * 10)
}

struct Stat {
    parent: u32,
    own: u64,
    children: u64,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is a name in parentheses that may hold spaces.
        let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
        let number = |at: usize| fields.get(at - 3)?.parse::<u64>().ok();
        Some(Self {
            parent: u32::try_from(number(4)?).ok()?,
            own: number(14)? + number(15)?,
            children: number(16)? + number(17)?,
        })
    }
}

/// How often a second this disk appends 4 KB to a file and flushes it, measured for two seconds.
pub(crate) fn flush_rate(folder: &Path) -> std::io::Result<f64> {
    let path = folder.join("flush-rate");
    let mut file = File::create(&path)?;
    let block = [0x5a; 4096];
    let begun = Instant::now();
    let mut count = 0;
    while begun.elapsed() < Duration::from_secs(2) {
        file.write_all(&block)?;
        file.sync_data()?;
        count += 1;
    }
    let rate = f64::from(count) / begun.elapsed().as_secs_f64();
    drop(file);
    std::fs::remove_file(path)?;
    Ok(rate)
}
