//! Sessions remember things: that they may only read, and in PostgreSQL in which schema and role they are, and how a
//! table was when a statement was prepared. Those that are older than a change of that leave the pools.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Minimum time between two renewals of the pools for failed statements, and between two for changed settings. Ours: a
/// statement that fails for good must not make every call log in, and settings may differ from log-in to log-in where
/// several servers stand behind one name.
const MIN_RENEW_INTERVAL: Duration = Duration::from_secs(1);

/// Settings with which a session begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    /// Whether it may only read.
    pub(super) read_only: bool,
    /// Its role and its search path.
    pub(super) place: String,
}

/// Facts about the sessions of all pools. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Sessions(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Settings of the session that was opened last.
    latest_settings: Option<Settings>,
    /// Moment of the last renewal of the pools for other settings.
    last_change: Option<Instant>,
    /// Moment of the last renewal of the pools for a failed statement.
    last_failure: Option<Instant>,
}

impl Sessions {
    /// Compares a new session with the one before it. Where their settings differ, older sessions leave.
    pub(super) fn opened(&self, settings: Settings) {
        let mut state = self.state();
        let Some(latest) = &state.latest_settings else {
            state.latest_settings = Some(settings);
            return;
        };
        // Comes at most once after each change to the worse, which has its interval.
        let may_write_again = latest.read_only && !settings.read_only;
        if *latest != settings && (may_write_again || has_passed(state.last_change)) {
            state.latest_settings = Some(settings);
            state.last_change = Some(Instant::now());
        }
    }

    /// Lets the sessions that are open now leave the pools before they are used again, since one failed for what it
    /// remembers; seldom, where they fail again and again.
    pub(super) fn failed(&self) {
        let mut state = self.state();
        if has_passed(state.last_failure) {
            state.last_failure = Some(Instant::now());
        }
    }

    /// Whether a session of this age was opened since the pools were renewed.
    pub(super) fn may_use(&self, age: Duration) -> bool {
        let state = self.state();
        let renewed = state.last_change.max(state.last_failure);
        renewed.is_none_or(|renewed| renewed.elapsed() >= age)
    }

    /// Whether new sessions may write, as far as is known.
    pub(super) fn may_write(&self) -> bool {
        self.state().latest_settings.as_ref().is_none_or(|latest| !latest.read_only)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn has_passed(last: Option<Instant>) -> bool {
    last.is_none_or(|last| last.elapsed() >= MIN_RENEW_INTERVAL)
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn settings(read_only: bool, place: &str) -> Settings {
        Settings { read_only, place: place.to_owned() }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_older_than_a_failure_is_not_used_again() {
        let sessions = Sessions::default();
        assert!(sessions.may_use(Duration::MAX));
        sessions.failed();
        assert!(!sessions.may_use(MINUTE));
        assert!(sessions.may_use(Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_renew_once_in_an_interval() {
        let sessions = Sessions::default();
        sessions.failed();
        let moment = Duration::from_millis(1);
        advance(MIN_RENEW_INTERVAL.saturating_sub(moment)).await;
        let opened_between = Duration::from_millis(500);
        sessions.failed();
        assert!(sessions.may_use(opened_between));
        advance(moment).await;
        sessions.failed();
        assert!(!sessions.may_use(opened_between));
    }

    #[tokio::test(start_paused = true)]
    async fn older_sessions_leave_when_new_ones_begin_otherwise() {
        let sessions = Sessions::default();
        sessions.opened(settings(false, "one"));
        sessions.opened(settings(false, "one"));
        assert!(sessions.may_use(MINUTE));
        sessions.opened(settings(false, "another"));
        assert!(!sessions.may_use(MINUTE));
        advance(MIN_RENEW_INTERVAL / 2).await;
        let opened_since = MIN_RENEW_INTERVAL / 4;
        sessions.opened(settings(false, "one"));
        assert!(sessions.may_use(opened_since), "the interval is not over");
        advance(MIN_RENEW_INTERVAL / 2).await;
        sessions.opened(settings(false, "one"));
        assert!(!sessions.may_use(opened_since));
    }

    /// Writes do not wait for the interval.
    #[tokio::test(start_paused = true)]
    async fn sessions_that_may_only_read_leave_as_soon_as_new_ones_may_write() {
        let sessions = Sessions::default();
        assert!(sessions.may_write());
        sessions.opened(settings(false, ""));
        sessions.opened(settings(true, ""));
        assert!(!sessions.may_write());
        assert!(!sessions.may_use(MINUTE));
        advance(Duration::from_millis(2)).await;
        let opened_since = Duration::from_millis(1);
        assert!(sessions.may_use(opened_since), "reads use it");
        sessions.opened(settings(false, ""));
        assert!(sessions.may_write() && !sessions.may_use(opened_since));
        sessions.opened(settings(true, ""));
        assert!(sessions.may_write(), "the interval is not over");
    }
}
