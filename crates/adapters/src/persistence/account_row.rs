//! Accounts as rows, and back. Both ways take everything apart, so that a forgotten column does not compile.

use ig_domain::ports::StoreError;
use ig_domain::{
    AccountId, AppId, InstagramAccount, KeepingPlan, RefreshTrouble, TroubleCause, VisitFailures,
    WebhookSubscription,
};
use sea_orm::UpdateMany;
use sea_orm::sea_query::Expr;

use super::columns::{
    account_type, account_type_name, expire_time, expiry_micros, granted_list, granted_scopes,
    instant, micros, parse, past_micros, past_time, present, reason, reason_name,
};
use super::entity::instagram_account::{Column, Entity, Model};

/// The row of `account`, scheduled by `plan`.
pub(super) fn to_row(app: &AppId, account: &InstagramAccount, plan: &KeepingPlan) -> Model {
    let InstagramAccount {
        id,
        professional_account_id,
        app_scoped_user_id,
        exchange_user_id,
        owner,
        username,
        name,
        profile_picture_url,
        account_type,
        followers_count,
        follows_count,
        media_count,
        granted_scopes,
        refused,
        consent_time,
        token_issue_time,
        token_expire_time,
        link_time,
        profile_time,
        failures: VisitFailures { count, retry_time, trouble },
        subscription,
        update_time,
        revision,
    } = account;
    Model {
        id: *id.as_uuid(),
        app_id: app.as_str().to_owned(),
        professional_account_id: professional_account_id.to_string(),
        app_scoped_user_id: app_scoped_user_id.as_ref().map(ToString::to_string),
        exchange_user_id: exchange_user_id.as_ref().map(ToString::to_string),
        owner: owner.to_string(),
        username: username.to_string(),
        name: name.clone(),
        profile_picture_url: profile_picture_url.clone(),
        account_type: account_type_name(*account_type).to_owned(),
        followers_count: *followers_count,
        follows_count: *follows_count,
        media_count: *media_count,
        granted_scopes: granted_list(granted_scopes),
        refused: refused.map(|reason| reason_name(reason).to_owned()),
        consent_time: micros(*consent_time),
        token_issue_time: past_micros(*token_issue_time),
        token_expire_time: expiry_micros(*token_expire_time),
        link_time: micros(*link_time),
        profile_time: micros(*profile_time),
        update_time: micros(*update_time),
        revision: *revision,
        next_visit_time: account.next_visit_time(plan).map(micros),
        scheduled_revision: *revision,
        failed_visits: i64::from(*count),
        retry_time: retry_time.map(micros),
        trouble_cause: trouble.map(|trouble| trouble.cause.as_str().to_owned()),
        trouble_since_time: trouble.map(|trouble| micros(trouble.since_time)),
        trouble_attempts: trouble.map_or(0, |trouble| i64::from(trouble.attempts)),
        // Whoever stores the row writes the event, and no trigger does.
        event_revision: *revision,
        subscription_active: subscription.map(|subscription| subscription.active),
        subscription_error: subscription
            .and_then(|subscription| subscription.error)
            .map(|cause| cause.as_str().to_owned()),
        subscription_check_time: subscription
            .map(|subscription| past_micros(subscription.check_time)),
    }
}

/// The account that [`to_row`] kept.
pub(super) fn to_domain(row: Model) -> Result<InstagramAccount, StoreError> {
    let Model {
        id,
        app_id: _,
        professional_account_id,
        app_scoped_user_id,
        exchange_user_id,
        owner,
        username,
        name,
        profile_picture_url,
        account_type: kind,
        followers_count,
        follows_count,
        media_count,
        granted_scopes: granted,
        refused,
        consent_time,
        token_issue_time,
        token_expire_time,
        link_time,
        profile_time,
        update_time,
        revision,
        next_visit_time: _,
        scheduled_revision,
        failed_visits,
        retry_time,
        trouble_cause,
        trouble_since_time,
        trouble_attempts,
        event_revision: _,
        subscription_active,
        subscription_error,
        subscription_check_time,
    } = row;
    let failures =
        failures(failed_visits, retry_time, trouble_cause, trouble_since_time, trouble_attempts)?;
    // A change by a version that knows nothing of the failures made them out of date.
    let failures = if scheduled_revision == revision { failures } else { VisitFailures::default() };
    let scoped_id = |column, id: Option<String>| id.map(|id| parse(column, &id)).transpose();
    Ok(InstagramAccount {
        id: AccountId::from_uuid(id),
        professional_account_id: parse("professional_account_id", &professional_account_id)?,
        app_scoped_user_id: scoped_id("app_scoped_user_id", app_scoped_user_id)?,
        exchange_user_id: scoped_id("exchange_user_id", exchange_user_id)?,
        owner: parse("owner", &owner)?,
        username: parse("username", &username)?,
        name,
        profile_picture_url,
        account_type: account_type(&kind),
        followers_count,
        follows_count,
        media_count,
        granted_scopes: granted_scopes(granted.as_deref()),
        refused: refused.as_deref().map(reason),
        consent_time: instant("consent_time", consent_time)?,
        token_issue_time: past_time("token_issue_time", token_issue_time)?,
        token_expire_time: expire_time("token_expire_time", token_expire_time)?,
        link_time: instant("link_time", link_time)?,
        profile_time: instant("profile_time", profile_time)?,
        failures,
        subscription: subscription(
            subscription_active,
            subscription_error,
            subscription_check_time,
        )?,
        update_time: instant("update_time", update_time)?,
        revision,
    })
}

/// The subscription that [`to_row`] kept. A cause of a newer version is the one that says least.
fn subscription(
    active: Option<bool>,
    error: Option<String>,
    check_time: Option<i64>,
) -> Result<Option<WebhookSubscription>, StoreError> {
    let Some(active) = active else { return Ok(None) };
    let check_time = present("subscription_check_time", check_time)?;
    Ok(Some(WebhookSubscription {
        active,
        error: error.map(|cause| trouble_cause_of(&cause)),
        check_time: past_time("subscription_check_time", check_time)?,
    }))
}

/// The cause of this name; of a newer version the one that says least.
fn trouble_cause_of(name: &str) -> TroubleCause {
    TroubleCause::from_name(name).unwrap_or(TroubleCause::InstagramUnexpected)
}

/// `update`, which also makes an account one whose visits have not failed.
pub(super) fn without_failures(update: UpdateMany<Entity>) -> UpdateMany<Entity> {
    update
        .col_expr(Column::FailedVisits, Expr::value(0))
        .col_expr(Column::RetryTime, Expr::value(None::<i64>))
        .col_expr(Column::TroubleCause, Expr::value(None::<String>))
}

/// The failures that [`to_row`] kept. A cause of a newer version is the one that says least.
fn failures(
    count: i64,
    retry_time: Option<i64>,
    cause: Option<String>,
    since_time: Option<i64>,
    attempts: i64,
) -> Result<VisitFailures, StoreError> {
    let whole =
        |number: i64| u32::try_from(number).unwrap_or(if number < 0 { 0 } else { u32::MAX });
    let trouble = cause.map(|cause| {
        let since_time = present("trouble_since_time", since_time)?;
        Ok::<_, StoreError>(RefreshTrouble {
            cause: trouble_cause_of(&cause),
            since_time: instant("trouble_since_time", since_time)?,
            attempts: whole(attempts),
        })
    });
    Ok(VisitFailures {
        count: whole(count),
        retry_time: retry_time.map(|time| instant("retry_time", time)).transpose()?,
        trouble: trouble.transpose()?,
    })
}
