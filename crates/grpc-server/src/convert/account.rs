//! Accounts on the wire.

use std::borrow::Borrow;
use std::sync::Arc;

use ig_application::ReadAccount;
use ig_domain::{
    AccountStatus, AccountType, AccountView, InstagramAccount, ReauthorizationReason,
    RefreshTrouble, WebhookSubscription,
};
use ig_proto::v1;
use prost_types::Timestamp;
use time::OffsetDateTime;

/// An account as callers see it. It is taken apart, so that a forgotten field does not compile.
pub(crate) fn account(view: &AccountView<impl Borrow<InstagramAccount>>) -> v1::InstagramAccount {
    let (account, status) = (view.account.borrow(), view.status);
    let dead = status != AccountStatus::Active;
    let next_refresh_time = account.next_refresh_time().filter(|_| !dead);
    let (status, reason) = account_status(status);
    let InstagramAccount {
        id,
        professional_account_id,
        app_scoped_user_id,
        exchange_user_id: _, // An alias to find the account by.
        owner,
        username,
        name,
        profile_picture_url,
        account_type: kind,
        followers_count,
        follows_count,
        media_count,
        granted_scopes,
        refused: _,      // Told by the status.
        consent_time: _, // Orders consents; the moments of the token are told.
        token_issue_time,
        token_expire_time,
        link_time,
        profile_time,
        failures,
        subscription,
        update_time,
        revision,
    } = account;
    let scoped_id = app_scoped_user_id.as_ref().map(|id| id.as_str().to_owned());
    v1::InstagramAccount {
        account_id: id.to_string(),
        professional_account_id: professional_account_id.as_str().to_owned(),
        app_scoped_user_id: scoped_id.unwrap_or_default(),
        owner: owner.as_str().to_owned(),
        username: username.as_str().to_owned(),
        name: name.clone(),
        profile_picture_url: profile_picture_url.clone(),
        account_type: account_type(*kind).into(),
        followers_count: *followers_count,
        follows_count: *follows_count,
        media_count: *media_count,
        granted_scopes: granted_scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
        granted_scopes_known: granted_scopes.are_known(),
        status: status.into(),
        reauthorization_reason: reason.into(),
        token_issue_time: token_issue_time.map(timestamp),
        token_expire_time: token_expire_time.map(timestamp),
        link_time: Some(timestamp(*link_time)),
        profile_time: Some(timestamp(*profile_time)),
        update_time: Some(timestamp(*update_time)),
        revision: *revision,
        next_refresh_time: next_refresh_time.map(timestamp),
        refresh_trouble: failures.trouble.filter(|_| !dead).map(refresh_trouble),
        webhook_subscription: subscription.map(webhook_subscription),
    }
}

/// The same of one that is shared.
pub(crate) fn read_account(view: &AccountView<Arc<ReadAccount>>) -> v1::InstagramAccount {
    account(&AccountView { account: &**view.account, status: view.status })
}

fn webhook_subscription(subscription: WebhookSubscription) -> v1::WebhookSubscription {
    let WebhookSubscription { active, error, check_time } = subscription;
    v1::WebhookSubscription {
        active,
        last_error: error.map(|cause| cause.as_str().to_owned()).unwrap_or_default(),
        check_time: check_time.map(timestamp),
    }
}

fn refresh_trouble(trouble: RefreshTrouble) -> v1::RefreshTrouble {
    let RefreshTrouble { cause, since_time, attempts } = trouble;
    v1::RefreshTrouble {
        cause: cause.as_str().to_owned(),
        since_time: Some(timestamp(since_time)),
        attempts: attempts.try_into().unwrap_or(i32::MAX),
    }
}

fn account_status(status: AccountStatus) -> (v1::AccountStatus, v1::ReauthorizationReason) {
    match status {
        AccountStatus::Active => {
            (v1::AccountStatus::Active, v1::ReauthorizationReason::Unspecified)
        }
        AccountStatus::ReauthorizationRequired(reason) => {
            (v1::AccountStatus::ReauthorizationRequired, reauthorization_reason(reason))
        }
    }
}

fn account_type(kind: AccountType) -> v1::AccountType {
    match kind {
        AccountType::Business => v1::AccountType::Business,
        AccountType::Creator => v1::AccountType::Creator,
        // A personal account cannot be linked; one that has become personal since has no kind of its own.
        AccountType::Personal | AccountType::Unknown => v1::AccountType::Unspecified,
    }
}

/// Reason for which an account needs re-authorisation, on the wire.
pub(crate) fn reauthorization_reason(reason: ReauthorizationReason) -> v1::ReauthorizationReason {
    match reason {
        ReauthorizationReason::TokenExpired => v1::ReauthorizationReason::TokenExpired,
        ReauthorizationReason::PasswordChanged => v1::ReauthorizationReason::PasswordChanged,
        ReauthorizationReason::Checkpoint => v1::ReauthorizationReason::Checkpoint,
        ReauthorizationReason::TokenRevoked => v1::ReauthorizationReason::TokenRevoked,
        ReauthorizationReason::Deauthorized => v1::ReauthorizationReason::Deauthorized,
    }
}

/// A moment on the wire.
pub(crate) fn timestamp(moment: OffsetDateTime) -> Timestamp {
    Timestamp { seconds: moment.unix_timestamp(), nanos: moment.nanosecond().cast_signed() }
}

#[cfg(test)]
mod tests {
    use ig_domain::TroubleCause;
    use rstest::rstest;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_subscription_is_told_with_its_last_error() {
        let check_time = datetime!(2026-11-24 08:00 UTC);
        let shown = |error| {
            let subscription =
                WebhookSubscription { active: true, error, check_time: Some(check_time) };
            let view = InstagramAccount {
                subscription: Some(subscription),
                ..ig_test_support::builders::account(1, "shop/7", check_time)
            };
            account(&view.view(check_time)).webhook_subscription.unwrap()
        };
        let well = shown(None);
        assert_eq!((well.active, well.last_error.as_str()), (true, ""));
        assert_eq!(well.check_time, Some(timestamp(check_time)));
        assert_eq!(shown(Some(TroubleCause::RateLimited)).last_error, "RATE_LIMITED");
    }

    #[rstest]
    #[case::whole(datetime!(2026-11-24 08:00 UTC), 1_795_507_200, 0)]
    #[case::microseconds(datetime!(2026-11-24 08:00:00.000_001 UTC), 1_795_507_200, 1_000)]
    #[case::before_the_epoch(datetime!(1969-12-31 23:59:59.5 UTC), -1, 500_000_000)]
    fn a_moment_keeps_its_fraction(
        #[case] moment: OffsetDateTime,
        #[case] seconds: i64,
        #[case] nanos: i32,
    ) {
        assert_eq!(timestamp(moment), Timestamp { seconds, nanos });
    }
}
