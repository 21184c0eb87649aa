//! Rules about the next visit of an account: never later than they say, whatever happened.

use std::collections::BTreeMap;
use std::time::Duration;

use ig_domain::ports::{Clock as _, VisitResult};
use ig_domain::{
    AccountId, AccountStatus, DEFAULT_READING_INTERVAL, InstagramAccount, VisitFailures,
};
use time::OffsetDateTime;

use crate::world::World;

const DAY: Duration = Duration::from_hours(24);
/// Maximum time to the next try after a failure.
const MAX_RETRY_DELAY: Duration = Duration::from_hours(6);
/// Maximum time to the next try on the last day of a token.
const MAX_LAST_DAY_DELAY: Duration = Duration::from_mins(15);
/// Longest time that the simulated Instagram asks to wait.
const MAX_WAIT: Duration = Duration::from_hours(1);

/// Failures of the accounts, each with the moment at which it was first seen.
#[derive(Default)]
pub(crate) struct Visits(BTreeMap<AccountId, (VisitFailures, OffsetDateTime)>);

impl Visits {
    /// The broken rule, if the next visit of a living account is later than the rules say.
    pub(crate) fn check(&mut self, world: &World, account: &InstagramAccount) -> Option<String> {
        let now = world.clock.now();
        let seen = self.0.entry(account.id).or_insert((account.failures, now));
        if seen.0 != account.failures {
            *seen = (account.failures, now);
        }
        if account.status(now) != AccountStatus::Active {
            return None;
        }
        let put_off = world.state().rules.put_off(account.id);
        let latest = put_off.into_iter().fold(latest_visit(account, seen.1), OffsetDateTime::max);
        match world.store.next_visit_time(account.id) {
            None => Some(format!("{} lives, and nobody will visit it", account.id)),
            Some(next) if next > latest => {
                Some(format!("{} is visited at {next}, not by {latest}", account.id))
            }
            Some(_) => None,
        }
    }
}

impl World {
    /// The result of a visit is not stored over a change that its holder has not seen.
    pub(crate) fn check_stored(
        &self,
        before: &BTreeMap<AccountId, InstagramAccount>,
        result: &VisitResult,
    ) {
        let VisitResult { id, change: Some(change) } = result else { return };
        let Some(before) = before.get(id) else { return };
        let seen = before.revision == change.former_revision
            && before.profile_time == change.former_profile_time;
        let after = self.all_accounts();
        if !seen && *before != change.account && after.get(id) == Some(&change.account) {
            self.violate("the result of a visit was stored over the change of another");
        }
    }
}

/// The latest moment at which a living account may be visited next, if its last failure was at `failed`.
fn latest_visit(account: &InstagramAccount, failed: OffsetDateTime) -> OffsetDateTime {
    let (issue, end) = (account.token_issue_time, account.token_expire_time);
    let renewal = match (issue, end) {
        (Some(issue), Some(end)) => {
            let age: time::Duration = (end - issue) * 3_i32 / 5;
            issue + age.max(time::Duration::DAY)
        }
        (issue, _) => issue.map_or(account.profile_time, |issue| {
            account.profile_time.max(issue + time::Duration::DAY)
        }),
    };
    let reading = account.profile_time + DEFAULT_READING_INTERVAL;
    let longest = failed + MAX_RETRY_DELAY;
    let retry =
        end.map_or(longest, |end| (failed + MAX_LAST_DAY_DELAY).max(end - DAY).min(longest));
    let retry = account.failures.retry_time.map(|_| retry.max(failed + MAX_WAIT));
    let due = renewal.min(reading);
    let due = retry.map_or(due, |retry| retry.max(due));
    end.map_or(due, |end| due.min(end))
}
