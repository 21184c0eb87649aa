//! Budget of visits at the same time: it grows slowly, is halved by throttling, and begins anew after the breaker.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use time::OffsetDateTime;

/// Interval in which several throttled visits halve the budget once.
const HALVING_INTERVAL: Duration = Duration::from_secs(1);

/// Usage of a limit of Instagram's from which on the keeper slows down, in per cent: to half the visits, and fewer the
/// less is left.
const SLOW_USAGE_PERCENT: u16 = 80;

/// Time without a refusal in which the budget doubles after the breaker has closed.
const RAMP_INTERVAL: Duration = Duration::from_mins(1);

/// Maximum number of visits at the same time, as Instagram lets us.
pub(super) struct Budget {
    maximum: usize,
    state: Mutex<State>,
}

struct State {
    /// Visits that throttling allows, at least 1.
    allowed: f64,
    halve_time: Option<Instant>,
    /// The close of the breaker that was seen last.
    close_time: Option<OffsetDateTime>,
    ramp: Option<Ramp>,
}

/// Careful return after the breaker has closed.
struct Ramp {
    allowed: usize,
    /// Beginning of the minute that must pass without a refusal.
    since: OffsetDateTime,
}

impl Budget {
    /// At most `maximum` visits at the same time, and at least one.
    pub(super) fn new(maximum: usize) -> Self {
        let maximum = maximum.max(1);
        let allowed = f64::from(u32::try_from(maximum).unwrap_or(u32::MAX));
        let state = State { allowed, halve_time: None, close_time: None, ramp: None };
        Self { maximum, state: Mutex::new(state) }
    }

    /// Visits that are allowed at `now`, from 1 to the maximum. The breaker was closed last at `close_time`; `usage` is
    /// the highest figure that Instagram states, in per cent.
    pub(super) fn limit(
        &self,
        now: OffsetDateTime,
        close_time: Option<OffsetDateTime>,
        usage: Option<u16>,
    ) -> usize {
        let mut state = self.lock();
        if state.close_time != close_time {
            state.close_time = close_time;
            state.ramp = close_time.map(|since| Ramp { allowed: 1, since });
        }
        let ramp = state.ramped(now, self.maximum);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 1 to the maximum"
        )]
        let allowed = state.allowed as usize;
        let share = match usage {
            Some(usage) if usage >= SLOW_USAGE_PERCENT => {
                let left = usize::from(100_u16.saturating_sub(usage));
                self.maximum * left / (2 * usize::from(100 - SLOW_USAGE_PERCENT))
            }
            _ => self.maximum,
        };
        allowed.min(ramp).min(share).clamp(1, self.maximum)
    }

    /// Notes a visit that Instagram answered without throttling.
    pub(super) fn succeeded(&self) {
        let mut state = self.lock();
        let maximum = f64::from(u32::try_from(self.maximum).unwrap_or(u32::MAX));
        state.allowed = (state.allowed + 1.0 / state.allowed).min(maximum);
    }

    /// Notes a visit that Instagram throttled, at `now` by the timer.
    pub(super) fn throttled(&self, now: Instant) {
        let mut state = self.lock();
        let is_news =
            state.halve_time.is_none_or(|last| now.duration_since(last) >= HALVING_INTERVAL);
        if is_news {
            state.halve_time = Some(now);
            state.allowed = (state.allowed / 2.0).max(1.0);
        }
    }

    /// Notes a refusal at `now`: a return that is under way stays as far as it is for another minute.
    pub(super) fn refused(&self, now: OffsetDateTime) {
        let mut state = self.lock();
        state.ramped(now, self.maximum);
        if let Some(ramp) = &mut state.ramp {
            ramp.since = now;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Visits that the return after the breaker allows at `now`.
    fn ramped(&mut self, now: OffsetDateTime, maximum: usize) -> usize {
        while let Some(ramp) = &mut self.ramp {
            if ramp.allowed >= maximum {
                self.ramp = None;
            } else if ramp.since + RAMP_INTERVAL <= now {
                ramp.allowed *= 2;
                ramp.since += RAMP_INTERVAL;
            } else {
                return ramp.allowed;
            }
        }
        maximum
    }
}

#[cfg(test)]
mod tests {
    use ig_test_support::builders::START;

    use super::*;

    #[test]
    fn throttling_halves_it_once_and_success_brings_it_back_slowly() {
        let (budget, now) = (Budget::new(16), Instant::now());
        budget.throttled(now);
        budget.throttled(now);
        assert_eq!(budget.limit(START, None, None), 8);
        budget.throttled(now + HALVING_INTERVAL);
        assert_eq!(budget.limit(START, None, None), 4);
        for _ in 0..5 {
            budget.succeeded();
        }
        assert_eq!(budget.limit(START, None, None), 5);
        for _ in 0..1000 {
            budget.succeeded();
        }
        assert_eq!(budget.limit(START, None, None), 16);
        for second in 1..10 {
            budget.throttled(now + HALVING_INTERVAL * (second + 1));
        }
        assert_eq!(budget.limit(START, None, None), 1);
    }

    #[test]
    fn usage_slows_it_from_eighty_per_cent_on() {
        let budget = Budget::new(16);
        let limits =
            [0, 79, 80, 90, 95, 100, 700].map(|usage| budget.limit(START, None, Some(usage)));
        assert_eq!(limits, [16, 16, 8, 4, 2, 1, 1]);
    }

    #[test]
    fn after_the_breaker_it_doubles_each_minute_without_a_refusal() {
        let budget = Budget::new(16);
        let limit = |minutes| budget.limit(START + RAMP_INTERVAL * minutes, Some(START), None);
        assert_eq!([limit(0), limit(1), limit(2)], [1, 2, 4]);
        budget.refused(START + RAMP_INTERVAL * 5 / 2);
        assert_eq!([limit(3), limit(4), limit(5)], [4, 8, 16]);
        budget.refused(START + RAMP_INTERVAL * 7);
        assert_eq!(limit(7), 16, "the return is over");
    }
}
