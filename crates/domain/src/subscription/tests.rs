//! Tests of the subscription: when it is reconciled, and what of it is a change.

use std::time::Duration;

use rstest::rstest;
use time::Duration as Span;
use time::macros::datetime;

use super::*;
use crate::{Consent, GrantedScopes, ImportedLife, LongLivedToken, Scope, VisitTask, schedule};

const NOW: OffsetDateTime = datetime!(2026-11-24 08:00 UTC);

fn account(granted_scopes: GrantedScopes) -> InstagramAccount {
    InstagramAccount { granted_scopes, ..schedule::tests::account(1) }
}

fn plan(fields: &str) -> KeepingPlan {
    KeepingPlan { webhook_fields: fields.parse().unwrap(), ..KeepingPlan::default() }
}

fn subscribed(
    active: bool,
    error: Option<TroubleCause>,
    check_time: OffsetDateTime,
) -> InstagramAccount {
    let subscription = Some(WebhookSubscription { active, error, check_time: Some(check_time) });
    InstagramAccount { subscription, ..account(GrantedScopes::Unknown) }
}

/// Whether the subscription is due at `now`, and whether the visit is due for it alone.
fn due(account: &InstagramAccount, plan: &KeepingPlan, now: OffsetDateTime) -> (bool, bool) {
    match account.due_task(now, plan) {
        Some(VisitTask::Maintain { renew, read, subscribe }) => (subscribe, !renew && !read),
        _ => (false, false),
    }
}

#[test]
fn a_consent_makes_the_subscription_due_at_once_where_permissions_allow_a_wanted_field() {
    let granted = |scope: &str| {
        account(GrantedScopes::Known([Scope::basic(), scope.parse().unwrap()].into()))
    };
    let comments = granted("instagram_business_manage_comments");
    assert_eq!(due(&comments, &plan("comments,messages"), NOW), (true, true));
    assert_eq!(due(&comments, &plan("messages"), NOW), (false, false));
    assert_eq!(due(&comments, &plan(""), NOW), (false, false));
    assert_eq!(due(&account(GrantedScopes::Unknown), &plan("messages"), NOW), (true, true));
}

#[test]
fn a_subscription_that_was_checked_since_is_due_with_the_next_reading() {
    let (account, plan) = (subscribed(true, None, NOW), plan("comments"));
    let reading = account.reading_time(plan.reading_interval);
    assert_eq!(account.next_visit_time(&plan), Some(reading));
    assert_eq!(due(&account, &plan, reading), (true, false));
}

#[test]
fn a_new_consent_makes_it_due_again() {
    let consent_time = NOW + Span::HOUR;
    let account = InstagramAccount { consent_time, ..subscribed(true, None, NOW) };
    assert_eq!(account.next_visit_time(&plan("comments")), Some(consent_time));
    assert_eq!(due(&account, &plan("comments"), consent_time), (true, true));
}

/// It is known as before, also where the import's consent is the earliest there is.
#[rstest]
#[case::well(None)]
#[case::failed(Some(TroubleCause::RateLimited))]
fn an_import_keeps_it_and_makes_it_due_again(#[case] error: Option<TroubleCause>) {
    let mut account = subscribed(true, error, NOW + Span::HOUR);
    let life = ImportedLife::default();
    let consent = Consent {
        receive_time: life.consent_time(),
        user_id: None,
        granted_scopes: GrantedScopes::Unknown,
    };
    account.profile_time = NOW + Span::DAY;
    account.take_import(&consent, &life.grant(LongLivedToken::new("IGAA".parse().unwrap())));
    assert!(account.subscription.unwrap().active);
    let due = account.profile_time;
    assert_eq!(account.subscription_time(&plan("comments")), Some(due));
    account.subscription =
        Some(WebhookSubscription { active: true, error: None, check_time: Some(due) });
    assert_eq!(account.subscription_time(&plan("comments")), None);
}

#[rstest]
#[case::wanted("comments")]
#[case::unwanted("")]
fn a_failure_is_repeated_ever_more_rarely(#[case] fields: &str) {
    let (mut account, plan) = (subscribed(true, None, NOW), plan(fields));
    let consent_time = account.consent_time;
    for (failed, retry) in [(1, 61), (61, 122), (122, 244), (3600, 7200)] {
        let [failed, retry] = [failed, retry].map(|second| consent_time + Span::seconds(second));
        account.subscription_failed(TroubleCause::InstagramUnavailable, failed);
        assert_eq!(account.next_visit_time(&plan), Some(retry));
        assert_eq!(due(&account, &plan, retry), (true, true));
        assert!(account.subscription.unwrap().active, "as far as is known");
    }
    let long_after = consent_time + Span::days(7);
    account.subscription_failed(TroubleCause::InstagramUnavailable, long_after);
    account.profile_time = long_after;
    let reading = account.reading_time(plan.reading_interval);
    assert_eq!(account.next_visit_time(&plan), Some(reading), "with the next reading");
}

/// It is the whole visit's, whichever call was throttled.
#[test]
fn a_throttled_one_waits_as_long_as_instagram_says() {
    let mut account = subscribed(true, None, NOW);
    account.subscription_failed(TroubleCause::RateLimited, NOW);
    account.visit_failed(NOW, None, 0, Duration::from_hours(2));
    assert_eq!(account.next_visit_time(&plan("comments")), Some(NOW + Span::hours(2)));
}

#[test]
fn a_subscription_that_is_wanted_no_more_is_due_with_the_next_reading() {
    let account = subscribed(true, None, NOW);
    let reading = account.reading_time(plan("").reading_interval);
    assert_eq!(due(&account, &plan(""), reading), (true, false));
}

#[test]
fn a_dead_account_is_not_subscribed() {
    let account = InstagramAccount {
        refused: Some(crate::ReauthorizationReason::Checkpoint),
        ..account(GrantedScopes::Unknown)
    };
    assert_eq!(due(&account, &plan("comments"), NOW), (false, false));
    assert!(account.next_visit_time(&plan("comments")) > Some(NOW));
}

#[test]
fn a_newer_check_with_the_same_result_is_no_change() {
    let former = subscribed(true, None, NOW);
    let later = NOW + Span::DAY;
    let checked = subscribed(true, None, later).succeeding(&former, later);
    assert_eq!((checked.revision, checked.update_time), (former.revision, former.update_time));
    assert_eq!(checked.subscription.unwrap().check_time, Some(later));
    for changed in [
        subscribed(false, None, later),
        subscribed(true, Some(TroubleCause::RateLimited), later),
        account(GrantedScopes::Unknown),
    ] {
        assert_eq!(changed.succeeding(&former, later).revision, former.revision + 1);
    }
}

#[test]
fn a_person_who_removes_the_app_ends_the_subscription() {
    let account = subscribed(true, None, NOW);
    let removed = account.deauthorized(NOW + Span::DAY).unwrap();
    assert_eq!((removed.subscription, removed.revision), (None, account.revision + 1));
}
