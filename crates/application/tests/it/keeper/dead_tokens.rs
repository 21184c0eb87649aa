//! A token that dies: the right reason, once, and no more calls than the rules need.

use ig_domain::ports::{Clock as _, CountedEvent, InstagramError, InstagramErrorKind};
use ig_domain::{AccountStatus, ReauthorizationReason};
use ig_test_support::keeper::{CallKind, DAY, HOUR, MINUTE, Scene, dead, failure};
use rstest::rstest;

use super::scene;

const ACCOUNTS: u32 = 100;

const SICK: u32 = 7;

async fn linked() -> Scene {
    let scene = scene();
    for number in 1..=ACCOUNTS {
        scene.link(number).await;
    }
    scene.pass(DAY * 2, HOUR).await;
    drop(scene.instagram.take_calls());
    drop(scene.metrics.take());
    scene
}

/// Calls for the sick account since calls were taken last: renewals, and readings.
fn calls(scene: &Scene) -> (usize, usize) {
    let calls = scene.instagram.take_calls();
    let count = |kind| calls.iter().filter(|call| call.number == SICK && call.kind == kind).count();
    (count(CallKind::Renewal), count(CallKind::Reading))
}

#[rstest]
#[case::session(failure(
    InstagramErrorKind::TokenRejected(ReauthorizationReason::TokenRevoked),
    Some(102),
    None
))]
#[case::no_subcode(dead(None))]
#[case::app_not_installed(dead(Some(458)))]
#[case::checkpointed(dead(Some(459)))]
#[case::password_changed(dead(Some(460)))]
#[case::expired(dead(Some(463)))]
#[case::unconfirmed_user(dead(Some(464)))]
#[case::invalid_token(dead(Some(466)))]
#[case::invalid_access_token(dead(Some(467)))]
#[case::invalid_session(dead(Some(492)))]
#[tokio::test(start_paused = true)]
async fn a_dead_token_is_marked_once_checked_twice_and_healed_by_a_link(
    #[case] refusal: InstagramError,
) {
    let scene = linked().await;
    let before = scene.stored(SICK).await;
    let InstagramErrorKind::TokenRejected(reason) = refusal.kind else { panic!("{refusal:?}") };
    scene.instagram.refuse(SICK, Some(refusal));
    scene.pass(DAY, HOUR).await;
    let marked = scene.stored(SICK).await;
    assert_eq!(marked.refused, Some(reason));
    assert_eq!((marked.revision, marked.next_refresh_time()), (before.revision + 1, None));
    let refused = scene.events(|event| *event == CountedEvent::AccountRefused(reason));
    assert_eq!(refused, 1);

    // The mark itself took two readings.
    scene.pass(DAY * 2, HOUR).await;
    let (renewals, first) = calls(&scene);
    scene.pass(DAY * 10, HOUR).await;
    let later = calls(&scene);
    let in_checkpoint = reason == ReauthorizationReason::Checkpoint;
    if in_checkpoint {
        assert!(first >= 6 && (18..=22).contains(&later.1), "{first} and {later:?}");
    } else {
        assert_eq!((first, later), (6, (0, 0)), "two to mark it, and two for each check");
    }
    assert_eq!(renewals, 0);
    let still = scene.stored(SICK).await;
    assert_eq!((still.refused, still.revision), (Some(reason), marked.revision));
    let others = (1..=ACCOUNTS).filter(|number| *number != SICK);
    scene.assert_active(others).await;
    assert!(!scene.breaker_is_open().await);

    let linked = scene.link_again(SICK).await;
    assert_eq!((linked.created, linked.view.account.id), (false, before.id));
    assert_eq!(scene.status(SICK).await, AccountStatus::Active);
    scene.pass(DAY * 2, HOUR).await;
    assert!(scene.stored(SICK).await.profile_time + DAY + HOUR > scene.clock.now());
}

#[tokio::test(start_paused = true)]
async fn a_dead_token_that_is_due_for_renewal_is_asked_about_once_more() {
    let scene = linked().await;
    let due = scene.stored(SICK).await.renewal_time();
    let left = std::time::Duration::try_from(due - scene.clock.now()).unwrap();
    scene.pass(left.checked_sub(MINUTE).unwrap(), HOUR).await;
    calls(&scene);
    scene.instagram.refuse(SICK, Some(dead(Some(460))));
    scene.pass(MINUTE, MINUTE).await;
    let changed = ReauthorizationReason::PasswordChanged;
    assert_eq!(scene.status(SICK).await, AccountStatus::ReauthorizationRequired(changed));
    assert_eq!(calls(&scene), (1, 1));
}

#[rstest]
#[case::before_the_first_check(HOUR * 2)]
#[case::before_the_second_check(HOUR * 10)]
#[case::after_many(DAY * 9)]
#[tokio::test(start_paused = true)]
async fn a_checkpoint_that_is_cleared_heals_within_a_day(#[case] after: std::time::Duration) {
    let scene = linked().await;
    scene.instagram.refuse(SICK, Some(dead(Some(459))));
    scene.pass(DAY, HOUR).await;
    assert_ne!(scene.status(SICK).await, AccountStatus::Active);
    scene.pass(after, HOUR).await;
    scene.instagram.refuse(SICK, None);
    scene.pass(DAY + HOUR, HOUR).await;
    assert_eq!(scene.status(SICK).await, AccountStatus::Active);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_runs_out_is_marked_within_a_minute_and_nobody_is_asked() {
    let scene = linked().await;
    scene.instagram.refuse(SICK, Some(failure(InstagramErrorKind::Unavailable, Some(2), None)));
    let end = scene.stored(SICK).await.token_expire_time;
    let left = std::time::Duration::try_from(end - scene.clock.now()).unwrap();
    scene.pass(left.checked_sub(MINUTE).unwrap(), HOUR).await;
    assert_eq!(scene.status(SICK).await, AccountStatus::Active);
    let before = scene.stored(SICK).await;
    assert!(before.failures.trouble.is_some());
    drop(scene.instagram.take_calls());
    scene.pass(MINUTE, MINUTE).await;
    let marked = scene.stored(SICK).await;
    assert_eq!(marked.refused, Some(ReauthorizationReason::TokenExpired));
    assert_eq!((marked.failures.trouble, marked.revision), (None, before.revision + 1));
    scene.instagram.refuse(SICK, None);
    scene.pass(DAY * 3, HOUR).await;
    assert_eq!(calls(&scene), (0, 0));
}
