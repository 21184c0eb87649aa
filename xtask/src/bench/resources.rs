//! Resources that a process has used, as Linux tells them.

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
}

impl Resources {
    /// Resources of a running process.
    pub(super) fn of(process: u32) -> Result<Self> {
        let read = |file| fs::read_to_string(format!("/proc/{process}/{file}"));
        let (status, stat) = (read("status").ok(), read("stat").ok());
        let told = status.zip(stat).and_then(|(status, stat)| Self::parse(&status, &stat));
        told.context("/proc does not tell what a server uses: this needs Linux")
    }

    fn parse(status: &str, stat: &str) -> Option<Self> {
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let rss_kib: f64 = rss.trim().strip_suffix(" kB")?.parse().ok()?;
        // The name, in parentheses, may hold anything; fields 14 and 15 come 12 behind it.
        let (_, fields) = stat.rsplit_once(") ")?;
        let mut fields = fields.split(' ').skip(11).map(str::parse::<f64>);
        let ticks = fields.next()?.ok()? + fields.next()?.ok()?;
        Some(Self { rss_mib: rss_kib / 1024.0, cpu_seconds: ticks / TICKS_PER_SECOND })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_both_times_are_read() {
        let status = "Name:\tx\nVmHWM:\t  9999 kB\nVmRSS:\t  2048 kB\nThreads:\t3\n";
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 3 0 1 2 3";
        let expected = Resources { rss_mib: 2.0, cpu_seconds: 2.0 };
        assert_eq!(Resources::parse(status, stat), Some(expected));
        assert_eq!(Resources::parse("", stat), None);
    }

    #[test]
    fn this_process_uses_something() {
        assert!(Resources::of(std::process::id()).unwrap().rss_mib > 0.1);
    }
}
