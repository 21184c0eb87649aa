//! Precedence of connections over all else, so that a `Get` seldom waits for background work.
//!
//! Both by priority, and by a processor that is left to them: a thread that is woken may have to wait for one that runs,
//! whatever their priorities, even where another processor is idle.

use std::io;
use std::thread::available_parallelism;

/// How far the priority of all other threads is below that of connections. Ours: where both want a processor, connections
/// get three quarters of it, and background work goes on all the same.
/// Source: `sched_prio_to_weight` in Linux's `kernel/sched/core.c`.
const NICENESS: i32 = 5;

/// Number of threads for background work: one less than there are processors, but one at least.
///
/// # Errors
///
/// Where the system does not tell how many there are.
pub(crate) fn background_workers() -> io::Result<usize> {
    Ok(available_parallelism()?.get().saturating_sub(1).max(1))
}

/// Gives precedence over this thread, and over all that it starts from now on, to those that it has started before.
/// `has_own_threads` says whether the store comes with threads of its own, which take turns with the workers then.
///
/// # Errors
///
/// Where the system refuses it: what this did until then stays.
pub(crate) fn give_precedence(has_own_threads: bool) -> io::Result<()> {
    rustix::process::nice(NICENESS)?;
    if has_own_threads {
        leave_a_processor()?;
    }
    Ok(())
}

/// Keeps off the first processor, if there is another one.
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
