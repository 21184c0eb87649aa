//! Resources that a process has used, as Linux tells them.

use std::collections::HashMap;
use std::fs;

use anyhow::{Context, Result};

/// The unit of the times in `/proc/PID/stat`, on every Linux that programs see.
///
/// Source: <https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>, `sysconf(_SC_CLK_TCK)`.
const TICKS_PER_SECOND: f64 = 100.0;

/// Memory and processor time of a process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Resources {
    /// Memory that the process holds, in MiB.
    pub(super) rss_mib: f64,
    /// Time that processors worked for it, in seconds.
    pub(super) cpu_seconds: f64,
    /// Number of its calls of `write` and `writev`. Those of `send` are others.
    pub(super) writes: f64,
}

impl Resources {
    /// Resources of a running process.
    pub(super) fn of(process: u32) -> Result<Self> {
        let read = |file| fs::read_to_string(format!("/proc/{process}/{file}"));
        let files = (read("status"), read("stat"), read("io"));
        let told = match &files {
            (Ok(status), Ok(stat), Ok(io)) => Self::parse(status, stat, io),
            _ => None,
        };
        told.context("/proc does not tell what a server uses: this needs Linux")
    }

    fn parse(status: &str, stat: &str, io: &str) -> Option<Self> {
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let rss_kib: f64 = rss.trim().strip_suffix(" kB")?.parse().ok()?;
        let writes = io.lines().find_map(|line| line.strip_prefix("syscw: "))?.parse().ok()?;
        let (_, cpu_seconds) = parse_stat(stat)?;
        Some(Self { rss_mib: rss_kib / 1024.0, cpu_seconds, writes })
    }
}

/// Processor time of a process and of all below it that run, in seconds.
pub(super) fn cpu_seconds_of_all(root: u32) -> Result<f64> {
    let mut processes = HashMap::new();
    for entry in fs::read_dir("/proc").context("there is no /proc")? {
        let name = entry?.file_name();
        let Some(process) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // One may end in between.
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        processes.extend(parse_stat(&stat).map(|stat| (process, stat)));
    }
    let is_below_root = |process: u32| {
        let parent = |process: &u32| processes.get(process).map(|(parent, _)| *parent);
        std::iter::successors(Some(process), parent).any(|process| process == root)
    };
    let all = processes.iter().filter(|(process, _)| is_below_root(**process));
    Ok(all.map(|(_, (_, cpu_seconds))| cpu_seconds).sum())
}

/// The parent of a process, and its own processor time in seconds.
fn parse_stat(stat: &str) -> Option<(u32, f64)> {
    // The name, in parentheses, may hold anything; behind it come field 3 and those that follow.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(1);
    let parent = fields.next()?.parse().ok()?;
    let mut ticks = fields.skip(9).map(str::parse::<f64>);
    Some((parent, (ticks.next()?.ok()? + ticks.next()?.ok()?) / TICKS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_both_times_and_writes_are_read() {
        let status = "Name:\tx\nVmHWM:\t  9999 kB\nVmRSS:\t  2048 kB\nThreads:\t3\n";
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 3 0 1 2 3";
        let io = "wchar: 0\nsyscr: 10\nsyscw: 7\n";
        let expected = Resources { rss_mib: 2.0, cpu_seconds: 2.0, writes: 7.0 };
        assert_eq!(Resources::parse(status, stat, io), Some(expected));
        assert_eq!(Resources::parse("", stat, io), None);
        assert_eq!(parse_stat(stat), Some((1, 2.0)));
    }

    #[test]
    fn all_below_a_process_count() {
        let all = cpu_seconds_of_all(1).unwrap();
        assert!(all >= Resources::of(std::process::id()).unwrap().cpu_seconds, "{all}");
        assert!(cpu_seconds_of_all(u32::MAX).unwrap() < 1e-9);
    }

    #[test]
    fn this_process_uses_something() {
        assert!(Resources::of(std::process::id()).unwrap().rss_mib > 0.1);
    }
}
