//! An outage of two days: it costs few calls, changes no account, and is made up for in order.

use std::collections::HashMap;
use std::time::Duration;

use ig_domain::InstagramAccount;
use ig_domain::ports::{Clock as _, InstagramError, InstagramErrorKind};
use ig_test_support::keeper::{CallKind, DAY, HOUR, MINUTE, Mood, failure};

use super::{IN_FLIGHT, scene};

const ACCOUNTS: u32 = 200;

/// Accounts whose token ends within a week of the outage's beginning, the last of them first.
const URGENT: u32 = 20;

/// Maximum number of calls for one account in the outage: the tries of two days, each of them a reading and a renewal.
const MAX_CALLS: usize = 120;

fn throttled() -> InstagramError {
    failure(InstagramErrorKind::RateLimited { retry_after: MINUTE * 30 }, Some(4), None)
}

fn troubles() -> [InstagramError; 5] {
    [
        failure(InstagramErrorKind::Unavailable, Some(2), None),
        InstagramErrorKind::NoAnswer.into(),
        InstagramErrorKind::NotSent.into(),
        InstagramErrorKind::Unreadable.into(),
        throttled(),
    ]
}

#[tokio::test(start_paused = true)]
async fn two_days_without_instagram_change_no_account_and_cost_few_calls() {
    let scene = scene();
    // All are due for renewal in the outage: they are between 0.4 and 0.6 of their life's age.
    for number in 1..=ACCOUNTS {
        let age = DAY * 34 + MINUTE * number;
        let urgent = |account: &mut InstagramAccount| {
            if number <= URGENT {
                let issue_time = account.token_issue_time.unwrap();
                account.token_expire_time =
                    Some(issue_time + age + DAY * 3 + HOUR * (URGENT - number));
            }
            account.token_issue_time = account.token_issue_time.map(|time| time - age);
            account.token_expire_time = account.token_expire_time.map(|time| time - age);
        };
        scene.link_as(number, urgent).await;
    }
    for trouble in troubles() {
        scene.instagram.set_mood(Mood::Fails(trouble));
        scene.pass(DAY * 2 / 5, MINUTE * 6).await;
        scene.assert_active(1..=ACCOUNTS).await;
    }
    let mut calls: HashMap<u32, usize> = HashMap::new();
    for call in scene.instagram.take_calls() {
        *calls.entry(call.number).or_default() += 1;
    }
    let most = calls.values().max().copied().unwrap();
    assert!(most <= MAX_CALLS, "{most} calls for one account");

    scene.instagram.set_mood(Mood::Well);
    // By then every retry has become due.
    scene.clock.advance(HOUR * 6);
    scene.look().await;
    let calls = scene.instagram.take_calls();
    let mut first = Vec::new();
    for call in &calls {
        if !first.contains(&call.number) {
            first.push(call.number);
        }
    }
    let soonest_first: Vec<u32> = (1..=URGENT).rev().collect();
    assert_eq!(first[..soonest_first.len()], soonest_first);
    let renewed = calls.iter().filter(|call| call.kind == CallKind::Renewal);
    assert_eq!(renewed.count(), usize::try_from(ACCOUNTS).unwrap());
    assert!(scene.instagram.take_most_in_flight() <= IN_FLIGHT);
    for number in 1..=ACCOUNTS {
        let account = scene.stored(number).await;
        assert_eq!(account.failures.trouble, None);
        assert!(account.token_expire_time.unwrap() > scene.clock.now() + DAY * 59);
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttled_app_is_asked_once_until_the_time_that_instagram_names() {
    let scene = scene();
    for number in 1..=ACCOUNTS {
        scene.link(number).await;
    }
    scene.instagram.set_mood(Mood::Fails(throttled()));
    scene.clock.advance(DAY);
    scene.look().await;
    let calls = scene.instagram.take_calls().len();
    assert!(calls <= IN_FLIGHT, "{calls} calls");
    scene.pass(MINUTE * 29, MINUTE).await;
    assert_eq!(scene.instagram.take_calls().len(), 0);
    let mut failed = 0;
    for number in 1..=ACCOUNTS {
        failed += usize::from(scene.stored(number).await.failures.count > 0);
    }
    assert!(failed <= IN_FLIGHT, "{failed} accounts were visited for nothing");
    scene.instagram.set_mood(Mood::Well);
    scene.pass(MINUTE * 45, MINUTE).await;
    for number in 1..=ACCOUNTS {
        assert!(scene.stored(number).await.profile_time >= scene.clock.now() - HOUR);
    }
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_fails_is_the_accounts_trouble_until_one_succeeds() {
    let scene = scene();
    for number in [1, 2] {
        scene.link(number).await;
    }
    scene.pass(DAY * 20, HOUR).await;
    let away = failure(InstagramErrorKind::Unavailable, Some(2), None);
    scene.instagram.refuse(1, Some(away));
    scene.pass(DAY * 20, HOUR).await;
    let trouble = scene.stored(1).await.failures.trouble.unwrap();
    assert!(trouble.attempts > 10, "{trouble:?}");
    let next = scene.stored(1).await.next_refresh_time().unwrap();
    let now = scene.clock.now();
    assert!(next > now && next <= now + Duration::from_hours(6));
    assert_eq!(scene.stored(2).await.failures.trouble, None);
    scene.instagram.refuse(1, None);
    scene.pass(HOUR * 6, HOUR).await;
    assert_eq!(scene.stored(1).await.failures.trouble, None);
    assert!(scene.stored(1).await.token_expire_time.unwrap() > scene.clock.now() + DAY * 59);
}
