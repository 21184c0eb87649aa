//! Webhook subscriptions: Instagram's state is made the wanted one.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use ig_domain::{
    AccountStatus, InstagramAccount, KeepingPlan, LongLivedToken, WebhookSubscription,
};

use crate::leased_calls::{CallError, LeasedCalls};
use crate::{Ports, token_calls};

/// Maximum time that an account's deletion waits for the end of its subscription.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// Subscribes the account to the fields that are wanted and allowed, where it is not yet; ends the subscription where
/// there are none. The account has the result.
///
/// # Errors
///
/// Any [`CallError`]; the account has what is known of the subscription, but not the failure.
pub(crate) async fn reconcile(
    calls: &LeasedCalls<'_>,
    account: &mut InstagramAccount,
    token: &LongLivedToken,
    plan: &KeepingPlan,
) -> Result<(), CallError> {
    let (instagram, token) = (&calls.ports.instagram, token.text());
    let wanted = account.wanted_fields(plan);
    if wanted.is_empty() {
        calls.make(|| instagram.unsubscribe(token)).await?;
        account.subscription = None;
        return Ok(());
    }
    let actual = calls.make(|| instagram.subscription(token)).await?;
    if !wanted.iter().all(|field| actual.contains(field)) {
        account.subscription_lacks_fields();
        calls.make(|| instagram.subscribe(token, &wanted)).await?;
    }
    let check_time = Some(calls.ports.clock.now());
    account.subscription = Some(WebhookSubscription { active: true, error: None, check_time });
    Ok(())
}

/// Ends the subscription of an account that is to be deleted, if its token works. A failure stops nothing: updates of an
/// unknown account are passed over.
pub(crate) async fn end(ports: &Ports, account: &InstagramAccount, token: &LongLivedToken) {
    let is_active = account.status(ports.clock.now()) == AccountStatus::Active;
    if account.subscription.is_none() || !is_active {
        return;
    }
    let ending = || ports.instagram.unsubscribe(token.text());
    let ending = pin!(token_calls::unless_throttled(ports, account.id, ending));
    let error = match select(ending, ports.timer.sleep(END_TIMEOUT)).await {
        Either::Left((ended, _)) => ended.err().map(|error| error.to_string()),
        Either::Right(_) => Some("Instagram takes too long".to_owned()),
    };
    if let Some(error) = error {
        tracing::debug!(account.id = %account.id, error, "a subscription was not ended");
    }
}
