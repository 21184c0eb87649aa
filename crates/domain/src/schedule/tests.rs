//! Tests of the schedule.

use proptest::prelude::*;
use rstest::rstest;
use time::Duration as Span;
use time::macros::datetime;
use uuid::Uuid;

use super::*;
use crate::{
    AccountType, Consent, GrantedScopes, LongLivedToken, Owner, Profile, TokenGrant, TokenLifetime,
};

const NOW: OffsetDateTime = datetime!(2026-11-24 08:00 UTC);
const DAILY: Duration = Duration::from_hours(24);

/// Readings at this interval, and nothing else.
fn each(reading_interval: Duration) -> KeepingPlan {
    KeepingPlan { reading_interval, ..KeepingPlan::default() }
}

pub(crate) fn account(number: u128) -> InstagramAccount {
    let profile = Profile {
        professional_account_id: "17841400000000001".parse().unwrap(),
        app_scoped_user_id: None,
        username: "cafe.luna".parse().unwrap(),
        name: None,
        profile_picture_url: None,
        account_type: AccountType::Business,
        followers_count: None,
        follows_count: None,
        media_count: None,
    };
    let token = LongLivedToken::new("IGAA1".parse().unwrap());
    let grant = TokenGrant::received(token, TokenLifetime::from_seconds(60 * 86_400).unwrap(), NOW);
    let consent =
        Consent { receive_time: NOW, user_id: None, granted_scopes: GrantedScopes::Unknown };
    let id = AccountId::from_uuid(Uuid::from_u128(number));
    InstagramAccount::link(id, Owner::default(), (profile, NOW), &consent, &grant)
}

/// An account with the token of an import that told so much.
fn imported(
    issue_time: Option<OffsetDateTime>,
    expire_time: Option<OffsetDateTime>,
) -> InstagramAccount {
    let (token_issue_time, token_expire_time) = (issue_time, expire_time);
    InstagramAccount { token_issue_time, token_expire_time, ..account(1) }
}

#[test]
fn a_token_of_unknown_life_is_renewed_at_once_unless_it_is_known_to_be_too_young() {
    let end = Some(NOW + Span::days(50));
    for account in
        [imported(None, None), imported(None, end), imported(Some(NOW - Span::DAY), None)]
    {
        assert_eq!(account.next_visit_time(&each(DAILY)), Some(NOW), "{account:?}");
        let Some(VisitTask::Maintain { renew: true, .. }) = account.due_task(NOW, &each(DAILY))
        else {
            panic!("{account:?} is not renewed");
        };
    }
    let young = imported(Some(NOW - Span::HOUR), None);
    assert_eq!(young.renewal_time(), NOW + Span::hours(23));
    assert_eq!(young.renewable(NOW), Err(crate::NotRenewable::TooYoung));
}

#[test]
fn no_clock_ends_a_token_of_unknown_end() {
    let mut account = imported(None, None);
    let late = NOW + Span::days(10_000);
    assert_eq!(account.status(late), crate::AccountStatus::Active);
    assert_eq!(account.renewable(late), Ok(()));
    assert_eq!(account.remaining_lifetime(late), Span::HOUR);
    account.visit_failed(late, Some(TroubleCause::RateLimited), u32::MAX, Duration::ZERO);
    account.failures.count = 20;
    account.visit_failed(late, Some(TroubleCause::RateLimited), u32::MAX, Duration::ZERO);
    assert_eq!(account.next_visit_time(&each(DAILY)), Some(late + Span::hours(6)));
    let marked = account.dead(ReauthorizationReason::Checkpoint, late);
    assert_eq!(
        marked.next_visit_time(&each(DAILY)),
        Some(late + Span::hours(6)),
        "it is asked about"
    );
}

fn dead(reason: ReauthorizationReason) -> InstagramAccount {
    account(1).dead(reason, NOW + Span::DAY)
}

#[test]
fn accounts_that_were_linked_together_are_not_renewed_together() {
    let days = |number| (account(number).renewal_time() - NOW).whole_days();
    let days: Vec<i64> = (0..1000).map(days).collect();
    assert!(days.iter().all(|day| (24..=36).contains(day)));
    for day in 24..36 {
        let share = days.iter().filter(|renewed| **renewed == day).count();
        assert!((40..=130).contains(&share), "{share} of 1,000 on day {day}");
    }
}

#[test]
fn a_token_of_a_short_life_is_renewed_at_the_age_that_instagram_wants() {
    let account = InstagramAccount { token_expire_time: Some(NOW + Span::hours(30)), ..account(1) };
    assert_eq!(account.renewal_time(), NOW + Span::DAY);
}

#[test]
fn a_profile_is_read_at_a_moment_of_the_day_that_the_id_fixes() {
    let mut account = account(1);
    let first = account.reading_time(DAILY);
    assert!(first > NOW && first <= NOW + Span::DAY);
    for late in [Span::ZERO, Span::hours(3)] {
        account.profile_time = first + late;
        assert_eq!(account.reading_time(DAILY), first + Span::DAY);
    }
    assert_ne!(first, super::tests::account(2).reading_time(DAILY));
}

#[test]
fn the_next_visit_is_whichever_comes_first() {
    let account = account(1);
    let hourly = Duration::from_hours(1);
    assert_eq!(account.next_visit_time(&each(hourly)), Some(account.reading_time(hourly)));
    let hardly_ever = Duration::from_hours(24 * 365 * 200);
    assert_eq!(account.next_visit_time(&each(hardly_ever)), Some(account.renewal_time()));
    let mut failing = account.clone();
    failing.failures.retry_time = Some(account.token_expire_time.unwrap() + Span::HOUR);
    assert_eq!(failing.next_visit_time(&each(hourly)), Some(account.token_expire_time.unwrap()));
}

#[test]
fn a_visit_does_what_is_due() {
    let account = account(1);
    let (reading, renewal) = (account.reading_time(DAILY), account.renewal_time());
    let task = |now| account.due_task(now, &each(DAILY));
    assert_eq!(task(reading - Span::SECOND), None);
    assert_eq!(
        task(reading),
        Some(VisitTask::Maintain { renew: false, read: true, subscribe: false })
    );
    assert_eq!(
        task(renewal),
        Some(VisitTask::Maintain { renew: true, read: true, subscribe: false })
    );
    assert_eq!(task(account.token_expire_time.unwrap()), Some(VisitTask::MarkExpired));
}

#[test]
fn trouble_begins_with_a_failed_renewal_and_ends_with_the_next_token() {
    let account = account(1);
    let later = |now| {
        let mut next = account.clone();
        next.visit_failed(now, Some(TroubleCause::RateLimited), 0, Duration::ZERO);
        next.succeeding(&account, now)
    };
    let mut failed = later(NOW + Span::DAY);
    assert_eq!((failed.revision, failed.failures.count), (2, 1));
    let former = failed.clone();
    failed.visit_failed(
        NOW + Span::days(2),
        Some(TroubleCause::AppMisconfigured),
        0,
        Duration::ZERO,
    );
    let failed = failed.succeeding(&former, NOW + Span::days(2));
    let expected = RefreshTrouble {
        cause: TroubleCause::AppMisconfigured,
        since_time: NOW + Span::DAY,
        attempts: 2,
    };
    assert_eq!((failed.revision, failed.failures.trouble), (2, Some(expected)));
    let token = LongLivedToken::new("IGAA2".parse().unwrap());
    let lifetime = TokenLifetime::from_seconds(60 * 86_400).unwrap();
    let mut renewed = failed.clone();
    renewed.take_renewal(&TokenGrant::received(token, lifetime, NOW + Span::days(3)));
    let renewed = renewed.succeeding(&failed, NOW + Span::days(3));
    assert_eq!((renewed.revision, renewed.failures), (3, VisitFailures::default()));
}

#[test]
fn a_failed_reading_is_no_trouble() {
    let former = account(1);
    let mut failed = former.clone();
    failed.visit_failed(NOW + Span::DAY, None, 0, Duration::ZERO);
    let failed = failed.succeeding(&former, NOW + Span::DAY);
    assert_eq!((failed.revision, failed.failures.trouble), (1, None));
    assert_eq!(failed.next_refresh_time(), Some(failed.renewal_time()));
    assert_eq!(failed.failures.retry_time, Some(NOW + Span::DAY + Span::MINUTE));
}

#[rstest]
#[case::first(1, 59 * 24, 2)]
#[case::third(3, 59 * 24, 8)]
#[case::many(40, 59 * 24, 360)]
#[case::last_day(40, 23, 15)]
#[case::an_hour_before_the_last_day(40, 25, 60)]
#[case::expired(40, -1, 15)]
fn delays_double_up_to_a_bound(#[case] count: u32, #[case] left_hours: i64, #[case] minutes: u64) {
    let left = Span::hours(left_hours);
    assert_eq!(retry_delay(count, Some(left), u32::MAX), Duration::from_mins(minutes));
    assert_eq!(retry_delay(count, Some(left), 0), MIN_RETRY_DELAY);
}

#[test]
fn no_try_is_made_before_the_time_that_instagram_names() {
    let mut account = account(1);
    account.visit_failed(NOW, None, u32::MAX, Duration::from_hours(9));
    assert_eq!(account.failures.retry_time, Some(NOW + Span::hours(9)));
}

#[test]
fn a_dead_token_is_checked_twice_within_a_day_of_its_mark() {
    let mut account = dead(ReauthorizationReason::TokenRevoked);
    let mark = account.update_time;
    assert_eq!(account.next_refresh_time(), None);
    assert_eq!(account.next_visit_time(&each(DAILY)), Some(mark + Span::hours(6)));
    assert_eq!(account.due_task(mark + Span::hours(6), &each(DAILY)), Some(VisitTask::CheckDead));
    account.check_failed(mark + Span::hours(7), None);
    assert_eq!(account.next_visit_time(&each(DAILY)), Some(mark + Span::DAY));
    account.check_failed(mark + Span::DAY, Some(ReauthorizationReason::PasswordChanged));
    assert_eq!(account.next_visit_time(&each(DAILY)), None);
    assert_eq!(account.refused, Some(ReauthorizationReason::TokenRevoked));
}

#[rstest]
#[case::at_the_soonest(0, Duration::ZERO, Span::MINUTE)]
#[case::at_the_latest(u32::MAX, Duration::ZERO, Span::hours(6))]
#[case::when_instagram_says(u32::MAX, Duration::from_hours(9), Span::hours(9))]
fn a_check_without_an_answer_is_made_again(
    #[case] draw: u32,
    #[case] wait: Duration,
    #[case] expected: Span,
) {
    let mut account = dead(ReauthorizationReason::TokenRevoked);
    let first = account.update_time + Span::hours(6);
    account.check_unanswered(first, draw, wait);
    assert_eq!(account.next_visit_time(&each(DAILY)), Some(first + expected));
}

/// Its token was destroyed.
#[test]
fn a_deauthorized_account_is_visited_no_more() {
    let account = dead(ReauthorizationReason::Deauthorized);
    assert_eq!(account.next_visit_time(&each(DAILY)), None);
    assert_eq!(account.due_task(account.token_expire_time.unwrap(), &each(DAILY)), None);
}

#[test]
fn a_dead_account_that_turns_out_to_be_in_a_checkpoint_is_checked_daily() {
    let former = dead(ReauthorizationReason::TokenRevoked);
    let (mark, mut account) = (former.update_time, former.clone());
    let checkpoint = Some(ReauthorizationReason::Checkpoint);
    account.check_failed(mark + Span::DAY, checkpoint);
    let account = account.succeeding(&former, mark + Span::DAY);
    assert_eq!((account.refused, account.revision), (checkpoint, former.revision));
    assert_eq!(account.update_time, mark);
    assert_eq!(account.next_visit_time(&each(DAILY)), Some(mark + Span::DAY * 2));
}

#[test]
fn a_checkpoint_is_checked_daily_until_the_token_expires() {
    let mut account = dead(ReauthorizationReason::Checkpoint);
    let mark = account.update_time;
    account.check_failed(mark + Span::hours(6), None);
    for day in 1..58 {
        assert_eq!(account.next_visit_time(&each(DAILY)), Some(mark + Span::DAY * day));
        account.check_failed(mark + Span::DAY * day, None);
    }
    account.check_failed(mark + Span::days(58), None);
    assert_eq!(account.next_visit_time(&each(DAILY)), None, "the token is past its expiry then");
}

#[test]
fn an_expired_token_is_left_alone() {
    let account = account(1);
    let expired = account.expired(account.token_expire_time.unwrap());
    assert_eq!(expired.next_visit_time(&each(DAILY)), None);
}

proptest! {
    #[test]
    fn a_living_account_always_has_a_next_visit_before_its_end(
        number: u128, read_hours in 0_i64..2000, interval_minutes in 1_u64..100_000, count in 0_u32..50,
        draw: u32, retry in proptest::option::of(0_i64..2000),
    ) {
        let mut account = account(number);
        account.profile_time = NOW + Span::hours(read_hours);
        account.failures.count = count;
        account.failures.retry_time = retry.map(|hours| NOW + Span::hours(hours));
        let interval = Duration::from_mins(interval_minutes);
        let next = account.next_visit_time(&each(interval)).unwrap();
        prop_assert!(next <= account.token_expire_time.unwrap());
        prop_assert!(account.due_task(next, &each(interval)).is_some(), "a visit has something to do");
        account.visit_failed(next, None, draw, Duration::ZERO);
        prop_assert!(account.next_visit_time(&each(interval)).unwrap() > next || next == account.token_expire_time.unwrap());
    }
}
