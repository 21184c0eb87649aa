//! Schedule of the keeper's visits: the one moment at which an account is looked after next.
//!
//! The moment is a function of what is stored of the account. A store keeps it in a column of its own, by which due
//! accounts are found, and computes it anew with each write.

use std::time::Duration;

use sha2::{Digest, Sha256};
use time::{OffsetDateTime, PrimitiveDateTime};

use crate::{AccountId, InstagramAccount, MIN_RENEWAL_AGE, ReauthorizationReason, WebhookFields};

/// Bounds of the part of a token's life after which it is renewed, in thousandths. Where an account lies between them
/// follows from its id, so that accounts that were linked together are not renewed together. Ours.
const RENEWAL_AGE_PER_MILLE: std::ops::Range<u32> = 400..600;

/// Time between two readings of a profile, where the operator names none. Ours.
pub const DEFAULT_READING_INTERVAL: Duration = Duration::from_hours(24);

/// Remaining lifetime below which a token's renewal goes before all else.
pub const URGENT_LIFETIME: Duration = Duration::from_hours(7 * 24);

/// Remaining lifetime below which a failed visit is repeated within [`MAX_LAST_DAY_RETRY_DELAY`].
const LAST_DAY: Duration = Duration::from_hours(24);

/// Minimum time between a failed visit and the next try.
pub(crate) const MIN_RETRY_DELAY: Duration = Duration::from_mins(1);

/// Maximum time between a failed visit, or a check without an answer, and the next try.
const MAX_RETRY_DELAY: Duration = Duration::from_hours(6);

/// Maximum time between a failed visit and the next try within a token's [`LAST_DAY`].
const MAX_LAST_DAY_RETRY_DELAY: Duration = Duration::from_mins(15);

/// Time from the mark of a dead token to the first check whether it works again.
const FIRST_CHECK_DELAY: Duration = Duration::from_hours(6);

/// Time from the mark of a dead token to its second check, and between two checks in a checkpoint from then on.
const CHECK_INTERVAL: Duration = Duration::from_hours(24);

/// What the keeper does for each account beside renewing its token. Every replica needs the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeepingPlan {
    /// Time between two readings of a profile.
    pub reading_interval: Duration,
    /// Webhook fields that accounts are subscribed to, as far as their permissions allow.
    pub webhook_fields: WebhookFields,
}

impl Default for KeepingPlan {
    /// Profiles are read each day, and no account is subscribed to anything.
    fn default() -> Self {
        Self {
            reading_interval: DEFAULT_READING_INTERVAL,
            webhook_fields: WebhookFields::default(),
        }
    }
}

/// Cause of the failure of an account's renewals, or of its webhook subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TroubleCause {
    /// Instagram is away, or refused the token and did not confirm it.
    InstagramUnavailable,
    /// Instagram throttles the app or the account.
    RateLimited,
    /// Instagram refuses the app for this account: a missing tester role or access level.
    AppMisconfigured,
    /// Instagram's answer is one that we do not know or cannot read.
    InstagramUnexpected,
}

impl TroubleCause {
    /// All causes.
    pub const ALL: [Self; 4] = [
        Self::InstagramUnavailable,
        Self::RateLimited,
        Self::AppMisconfigured,
        Self::InstagramUnexpected,
    ];

    /// The name by which stores, metrics and callers know the cause.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InstagramUnavailable => "INSTAGRAM_UNAVAILABLE",
            Self::RateLimited => "RATE_LIMITED",
            Self::AppMisconfigured => "APP_MISCONFIGURED",
            Self::InstagramUnexpected => "INSTAGRAM_UNEXPECTED",
        }
    }

    /// The cause of this name; `None` where it is not one of ours.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == name)
    }
}

/// Renewals of a living token that fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshTrouble {
    /// Cause of the last failure.
    pub cause: TroubleCause,
    /// Moment of the first failure.
    pub since_time: OffsetDateTime,
    /// Failed renewals since then, at least 1.
    pub attempts: u32,
}

/// Failed visits since the last one that did all that was due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VisitFailures {
    /// Failed visits in a row; of a dead account the checks that found it dead still.
    pub count: u32,
    /// Moment before which no visit is tried; `None` where none has failed.
    pub retry_time: Option<OffsetDateTime>,
    /// Trouble of the renewals among them; `None` where the last renewal succeeded.
    pub trouble: Option<RefreshTrouble>,
}

/// Tasks of a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VisitTask {
    /// The token is past its expiry: mark the account.
    MarkExpired,
    /// The token was refused: ask whether it works again.
    CheckDead,
    /// Renew the token, read the profile, reconcile the webhook subscription, or several of them.
    Maintain {
        /// Whether the token's renewal is due.
        renew: bool,
        /// Whether the profile's reading is due.
        read: bool,
        /// Whether the webhook subscription is to be reconciled.
        subscribe: bool,
    },
}

impl InstagramAccount {
    /// Moment at which the token's renewal is due while the account is well: about half of the token's life, never
    /// below the age from which Instagram renews it. Where the life is not known, which a renewal makes so, it is due
    /// since the last reading.
    #[must_use]
    pub fn renewal_time(&self) -> OffsetDateTime {
        let (issue_time, life) = match (self.token_issue_time, self.token_expire_time) {
            (Some(issue), Some(end)) => (issue, end - issue),
            (Some(issue), None) => return self.profile_time.max(issue + MIN_RENEWAL_AGE),
            (None, _) => return self.profile_time,
        };
        let span = u64::from(RENEWAL_AGE_PER_MILLE.end - RENEWAL_AGE_PER_MILLE.start);
        let part = i32::try_from(spread(self.id, "renewal") % (span + 1)).unwrap_or_default();
        let start = i32::try_from(RENEWAL_AGE_PER_MILLE.start).unwrap_or_default();
        let age: time::Duration = life * (start + part) / 1000;
        issue_time + age.max(time_span(MIN_RENEWAL_AGE))
    }

    /// Next renewal or retry of one; `None` for a dead token, which is not renewed.
    #[must_use]
    pub fn next_refresh_time(&self) -> Option<OffsetDateTime> {
        let retry_time = self.failures.trouble.and(self.failures.retry_time);
        let due = self.renewal_time();
        self.refused.is_none().then(|| retry_time.map_or(due, |retry| retry.max(due)))
    }

    /// Moment at which the profile's reading is due: the first one after the last reading of the moments that lie
    /// `interval` apart, fixed by the account's id.
    #[must_use]
    pub fn reading_time(&self, interval: Duration) -> OffsetDateTime {
        let interval = i128::try_from(interval.as_nanos()).unwrap_or(i128::MAX).max(1);
        let phase = i128::from(spread(self.id, "profile")) % interval;
        let since_phase = self.profile_time.unix_timestamp_nanos() - phase;
        let next = since_phase - since_phase.rem_euclid(interval) + interval + phase;
        OffsetDateTime::from_unix_timestamp_nanos(next)
            .unwrap_or(PrimitiveDateTime::MAX.assume_utc())
    }

    /// Moment of the next visit; `None` where nothing will be done for the account.
    #[must_use]
    pub fn next_visit_time(&self, plan: &KeepingPlan) -> Option<OffsetDateTime> {
        let retry_time = self.failures.retry_time.unwrap_or(OffsetDateTime::UNIX_EPOCH);
        match self.refused {
            None => {
                let due = self.renewal_time().min(self.reading_time(plan.reading_interval));
                let due = self.subscription_time(plan).map_or(due, |subscribe| subscribe.min(due));
                Some(self.at_most_expiry(due.max(retry_time)))
            }
            Some(reason) => {
                let check = self.check_time(reason)?.max(retry_time);
                self.token_expire_time.is_none_or(|end| check < end).then_some(check)
            }
        }
    }

    /// `time`, or the token's expiry where that is known and earlier.
    fn at_most_expiry(&self, time: OffsetDateTime) -> OffsetDateTime {
        self.token_expire_time.map_or(time, |end| time.min(end))
    }

    /// Next check of a dead token; `None` where it was the last one. The last change of a dead account is its mark.
    fn check_time(&self, reason: ReauthorizationReason) -> Option<OffsetDateTime> {
        match (self.failures.count, reason) {
            // There is no token left to ask after.
            (_, ReauthorizationReason::Deauthorized) => None,
            (0, _) => Some(self.update_time + FIRST_CHECK_DELAY),
            (1, _) => Some(self.update_time + CHECK_INTERVAL),
            (_, ReauthorizationReason::Checkpoint) => self.failures.retry_time,
            (..) => None,
        }
    }

    /// Tasks of a visit at `now`; `None` where nothing is due.
    #[must_use]
    pub fn due_task(&self, now: OffsetDateTime, plan: &KeepingPlan) -> Option<VisitTask> {
        if self.next_visit_time(plan).is_none_or(|due| due > now) {
            return None;
        }
        if self.refused.is_some() {
            return Some(VisitTask::CheckDead);
        }
        if self.is_expired(now) {
            return Some(VisitTask::MarkExpired);
        }
        let read = self.reading_time(plan.reading_interval) <= now;
        let subscribe = self.subscription_time(plan).is_some_and(|due| due <= now)
            || (read && self.has_subscription_work(plan));
        Some(VisitTask::Maintain { renew: self.renewal_time() <= now, read, subscribe })
    }

    /// Notes that a visit at `now` did all that was due.
    pub fn visit_succeeded(&mut self) {
        self.failures = VisitFailures::default();
    }

    /// Notes that a visit at `now` failed. `refusal` is the cause where it was the renewal that failed. `draw` is a
    /// random number of 0 to `u32::MAX`, which spreads the next try over the time in which it may be made; `wait` is
    /// the time that Instagram named.
    pub fn visit_failed(
        &mut self,
        now: OffsetDateTime,
        refusal: Option<TroubleCause>,
        draw: u32,
        wait: Duration,
    ) {
        self.failures.count = self.failures.count.saturating_add(1);
        if let Some(cause) = refusal {
            let former = self.failures.trouble;
            self.failures.trouble = Some(RefreshTrouble {
                cause,
                since_time: former.map_or(now, |trouble| trouble.since_time),
                attempts: former.map_or(0, |trouble| trouble.attempts).saturating_add(1),
            });
        }
        let left = self.token_expire_time.map(|end| end - now);
        let delay = retry_delay(self.failures.count, left, draw);
        self.failures.retry_time = Some(now + delay.max(wait));
    }

    /// Notes that a check at `now` found a dead token dead still. `reason` is the one that Instagram gave this time;
    /// `None` where it gave none. A checkpoint is the account's reason from then on; of the others the first stays.
    pub fn check_failed(&mut self, now: OffsetDateTime, reason: Option<ReauthorizationReason>) {
        if reason == Some(ReauthorizationReason::Checkpoint) {
            self.refused = reason;
        }
        let first = now < self.update_time + CHECK_INTERVAL;
        self.failures = VisitFailures {
            count: if first { 1 } else { self.failures.count.saturating_add(1).max(2) },
            retry_time: (!first).then(|| now + CHECK_INTERVAL),
            trouble: None,
        };
    }

    /// Notes that a check at `now` of a dead token got no answer about it: it is made again within 6 hours. `draw` and
    /// `wait` are as for [`visit_failed`](Self::visit_failed).
    pub fn check_unanswered(&mut self, now: OffsetDateTime, draw: u32, wait: Duration) {
        let delay = between(MIN_RETRY_DELAY, MAX_RETRY_DELAY, draw);
        self.failures.retry_time = Some(now + delay.max(wait));
    }
}

/// Time to the next try after the `count`th failure in a row of a token that lives for `left` more; `None` where that is
/// not known.
fn retry_delay(count: u32, left: Option<time::Duration>, draw: u32) -> Duration {
    let doubled = MIN_RETRY_DELAY.saturating_mul(2_u32.saturating_pow(count)).min(MAX_RETRY_DELAY);
    let bound = left.map_or(doubled, |left| {
        let last_day_in = Duration::try_from(left - time_span(LAST_DAY)).unwrap_or_default();
        doubled.min(last_day_in.max(MAX_LAST_DAY_RETRY_DELAY))
    });
    between(MIN_RETRY_DELAY, bound, draw)
}

fn between(minimum: Duration, maximum: Duration, draw: u32) -> Duration {
    minimum + maximum.saturating_sub(minimum).mul_f64(f64::from(draw) / f64::from(u32::MAX))
}

/// A number that is fixed by the id, evenly spread over the ids, and another for each `purpose`.
fn spread(id: AccountId, purpose: &str) -> u64 {
    let digest = Sha256::new().chain_update(purpose).chain_update(id.as_uuid()).finalize();
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

pub(crate) fn time_span(span: Duration) -> time::Duration {
    time::Duration::try_from(span).unwrap_or(time::Duration::MAX)
}

#[cfg(test)]
pub(crate) mod tests;
