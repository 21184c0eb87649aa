//! Webhook subscription of an account: whether Instagram sends its updates, and when that is made so.

use std::time::Duration;

use time::OffsetDateTime;

use crate::schedule::MIN_RETRY_DELAY;
use crate::{InstagramAccount, KeepingPlan, TroubleCause, WebhookFields};

/// Webhook subscription of an account, as it was found or made last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebhookSubscription {
    /// Whether Instagram sends the account's updates, as far as is known.
    pub active: bool,
    /// Cause for which the last reconciliation failed; `None` where it succeeded.
    pub error: Option<TroubleCause>,
    /// Moment of the last reconciliation, a failed one too. `None` from an import that replaces the token until the next:
    /// the subscription is known as it was, and is reconciled at once.
    pub check_time: Option<OffsetDateTime>,
}

impl WebhookSubscription {
    /// Whether both say the same, whenever that was checked.
    pub(crate) fn are_same(one: Option<Self>, other: Option<Self>) -> bool {
        let said = |subscription: Self| (subscription.active, subscription.error);
        one.map(said) == other.map(said)
    }
}

impl InstagramAccount {
    /// Webhook fields of `plan` that the account's permissions allow.
    #[must_use]
    pub fn wanted_fields(&self, plan: &KeepingPlan) -> WebhookFields {
        plan.webhook_fields.allowed_by(&self.granted_scopes)
    }

    /// Moment from which the subscription is to be reconciled, beside each reading of the profile: the last consent,
    /// and after a failure the time of the next try. `None` where the consent was followed by a check without failure,
    /// and where there is nothing to do. An account that was imported is linked and read later than the consent.
    pub(crate) fn subscription_time(&self, plan: &KeepingPlan) -> Option<OffsetDateTime> {
        let checked = self.subscription.and_then(|checked| {
            let check_time = checked.check_time.filter(|time| *time >= self.consent_time)?;
            Some((check_time, checked.error))
        });
        let due = match checked {
            None => self.consent_time.max(self.profile_time),
            Some((_, None)) => return None,
            Some((check_time, Some(_))) => {
                let since = check_time - self.consent_time.max(self.link_time);
                let since = Duration::try_from(since).unwrap_or_default();
                check_time + since.min(plan.reading_interval).max(MIN_RETRY_DELAY)
            }
        };
        self.has_subscription_work(plan).then_some(due)
    }

    /// Whether there is a subscription, or one is wanted.
    pub(crate) fn has_subscription_work(&self, plan: &KeepingPlan) -> bool {
        self.subscription.is_some() || !self.wanted_fields(plan).is_empty()
    }

    /// Notes that Instagram does not send all that is wanted.
    pub fn subscription_lacks_fields(&mut self) {
        if let Some(subscription) = &mut self.subscription {
            subscription.active = false;
        }
    }

    /// Notes that the subscription could not be reconciled at `now`: it is tried again as long after as the consent was
    /// before, so ever more rarely, until it is tried with the readings only.
    pub fn subscription_failed(&mut self, cause: TroubleCause, now: OffsetDateTime) {
        let active = self.subscription.is_some_and(|subscription| subscription.active);
        self.subscription =
            Some(WebhookSubscription { active, error: Some(cause), check_time: Some(now) });
    }
}

#[cfg(test)]
mod tests;
