//! Accounts on the wire.

use ig_domain::{AccountStatus, AccountType, AccountView, ReauthorizationReason};
use ig_proto::v1;
use prost_types::Timestamp;
use time::OffsetDateTime;

/// An account as callers see it.
pub(crate) fn account(view: AccountView) -> v1::InstagramAccount {
    let AccountView { account, status } = view;
    let (status, reason) = match status {
        AccountStatus::Active => {
            (v1::AccountStatus::Active, v1::ReauthorizationReason::Unspecified)
        }
        AccountStatus::ReauthorizationRequired(reason) => {
            (v1::AccountStatus::ReauthorizationRequired, reauthorization_reason(reason))
        }
    };
    v1::InstagramAccount {
        account_id: account.id.to_string(),
        professional_account_id: account.professional_account_id.to_string(),
        app_scoped_user_id: account.app_scoped_user_id.map(|id| id.to_string()).unwrap_or_default(),
        owner: account.owner.to_string(),
        username: account.username.to_string(),
        name: account.name,
        profile_picture_url: account.profile_picture_url,
        account_type: account_type(account.account_type).into(),
        followers_count: account.followers_count,
        follows_count: account.follows_count,
        media_count: account.media_count,
        granted_scopes: account.granted_scopes.iter().map(ToString::to_string).collect(),
        granted_scopes_known: account.granted_scopes.are_known(),
        status: status.into(),
        reauthorization_reason: reason.into(),
        token_issue_time: Some(timestamp(account.token_issue_time)),
        token_expire_time: Some(timestamp(account.token_expire_time)),
        link_time: Some(timestamp(account.link_time)),
        profile_time: Some(timestamp(account.profile_time)),
        update_time: Some(timestamp(account.update_time)),
        revision: account.revision,
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
    }
}

/// A moment on the wire.
pub(crate) fn timestamp(moment: OffsetDateTime) -> Timestamp {
    Timestamp { seconds: moment.unix_timestamp(), nanos: moment.nanosecond().cast_signed() }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use time::macros::datetime;

    use super::*;

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
