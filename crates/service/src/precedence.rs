//! Precedence of connections over background work, so that a `Get` seldom waits for it.
//!
//! Priorities alone do not give that: a thread that is woken may have to wait for one that runs, whatever the priority of
//! both, even where another processor is idle. So background work also keeps off one of the processors.

use std::io;

use tracing::warn;

/// How far the priority of all other threads is below that of connections. Ours: where both want a processor, connections
/// get three quarters of it, and background work goes on all the same.
/// Source: `sched_prio_to_weight` in Linux's `kernel/sched/core.c`.
const NICENESS: i32 = 5;

/// Gives the threads that were started before precedence over this one, and over all that it starts from now on, such as
/// SQLite's. A runtime that starts then has a worker for each processor that is left, or fewer under a quota of processor
/// time. Where the system refuses that, the log says so.
pub(crate) fn yield_precedence() {
    if let Err(error) = rustix::process::nice(NICENESS) {
        warn!(%error, "connections have no higher priority than background work");
    }
    if let Err(error) = leave_a_processor() {
        warn!(%error, "no processor is left to connections");
    }
}

/// Keeps off the first processor of those that the process may use now, if there is another one.
#[cfg(target_os = "linux")]
fn leave_a_processor() -> io::Result<()> {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    let mut allowed = sched_getaffinity(None)?;
    let first = (0..CpuSet::MAX_CPU).find(|processor| allowed.is_set(*processor));
    if let (Some(first), 2..) = (first, allowed.count()) {
        allowed.unset(first);
        sched_setaffinity(None, &allowed)?;
    }
    Ok(())
}

/// Other systems have no such call.
#[cfg(not(target_os = "linux"))]
const fn leave_a_processor() -> io::Result<()> {
    Ok(())
}
