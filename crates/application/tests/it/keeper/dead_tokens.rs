//! A token that dies: the right reason, once, and no more calls than the rules need.

use std::time::Duration;

use ig_domain::ports::{Clock as _, CountedEvent, InstagramError, InstagramErrorKind};
use ig_domain::{AccountStatus, DEFAULT_READING_INTERVAL, ReauthorizationReason};
use ig_test_support::keeper::{CallKind, DAY, HOUR, MINUTE, Mood, Scene, dead, failure};
use rstest::rstest;
use time::OffsetDateTime;

use super::scene;

const ACCOUNTS: u32 = 100;

/// Numbers of accounts where nothing depends on how many others there are, but for a witness.
const FEW: std::ops::RangeInclusive<u32> = 1..=10;

const SICK: u32 = 7;

/// Maximum number of calls for a dead account in two days that bring no answer about it: two in six hours on average.
const MAX_UNANSWERED_CALLS: usize = 30;

async fn linked() -> Scene {
    linked_with(1..=ACCOUNTS).await
}

async fn linked_with(numbers: impl IntoIterator<Item = u32>) -> Scene {
    let scene = scene();
    for number in numbers {
        scene.link(number).await;
    }
    scene.pass(DAY * 2, HOUR).await;
    drop(scene.instagram.take_calls());
    drop(scene.metrics.take());
    scene
}

async fn pass_until(scene: &Scene, moment: OffsetDateTime) {
    let left = Duration::try_from(moment - scene.clock.now()).unwrap();
    scene.pass(left, HOUR).await;
}

/// Refuses the sick account from now on, and lets time pass until its next reading: it has just been marked.
async fn mark(scene: &Scene, refusal: InstagramError) {
    scene.instagram.refuse(SICK, Some(refusal));
    pass_until(scene, scene.stored(SICK).await.reading_time(DEFAULT_READING_INTERVAL)).await;
    assert_eq!(calls(scene), (0, 2));
    assert_ne!(scene.status(SICK).await, AccountStatus::Active);
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
    pass_until(&scene, scene.stored(SICK).await.renewal_time() - MINUTE).await;
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
async fn a_checkpoint_that_is_cleared_heals_within_a_day(#[case] after: Duration) {
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
async fn two_days_without_instagram_cost_a_dead_account_few_calls() {
    let scene = linked_with(FEW).await;
    mark(&scene, dead(Some(460))).await;
    scene.instagram.set_mood(Mood::Fails(failure(InstagramErrorKind::Unavailable, Some(2), None)));
    scene.pass(DAY * 2, MINUTE * 10).await;
    let (renewals, readings) = calls(&scene);
    assert!(renewals == 0 && readings <= MAX_UNANSWERED_CALLS, "{readings} calls");
    scene.instagram.set_mood(Mood::Well);
    scene.instagram.refuse(SICK, None);
    scene.pass(HOUR * 6, HOUR).await;
    assert_eq!(scene.status(SICK).await, AccountStatus::Active, "no check was used up");
}

/// Nobody else can say whether it is the app's matter.
#[tokio::test(start_paused = true)]
async fn a_check_in_which_instagram_refuses_the_app_is_made_again() {
    let scene = linked_with([SICK]).await;
    mark(&scene, dead(Some(460))).await;
    scene.instagram.refuse(SICK, Some(unsupported_request()));
    scene.pass(DAY * 2, MINUTE * 10).await;
    let (renewals, readings) = calls(&scene);
    assert!(renewals == 0 && readings <= MAX_UNANSWERED_CALLS, "{readings} calls");
    scene.instagram.refuse(SICK, None);
    scene.pass(HOUR * 6, HOUR).await;
    assert_eq!(scene.status(SICK).await, AccountStatus::Active, "no check was used up");
}

fn unsupported_request() -> InstagramError {
    failure(InstagramErrorKind::AppMisconfigured, Some(100), None)
}

#[rstest]
#[tokio::test(start_paused = true)]
async fn a_check_that_is_refused_for_another_reason_counts(
    #[values(
        unsupported_request(),
        failure(InstagramErrorKind::Unexpected, Some(100), Some(33)),
        InstagramErrorKind::Unreadable.into()
    )]
    refusal: InstagramError,
    #[values((460, 2, 0), (459, 3, 10))] (subcode, first, later): (i64, usize, usize),
) {
    let scene = linked_with(FEW).await;
    mark(&scene, dead(Some(subcode))).await;
    scene.instagram.refuse(SICK, Some(refusal));
    scene.pass(DAY * 2, HOUR).await;
    assert_eq!(calls(&scene), (0, first));
    scene.pass(DAY * 10, HOUR).await;
    assert_eq!(calls(&scene), (0, later));
    assert!(!scene.breaker_is_open().await);
}

#[rstest]
#[case::a_checkpoint(460, 459, ReauthorizationReason::Checkpoint)]
#[case::another(460, 458, ReauthorizationReason::PasswordChanged)]
#[case::no_checkpoint_any_more(459, 460, ReauthorizationReason::Checkpoint)]
#[tokio::test(start_paused = true)]
async fn a_dead_account_keeps_its_reason_unless_it_is_in_a_checkpoint_now(
    #[case] marked_as: i64,
    #[case] refused_as: i64,
    #[case] kept: ReauthorizationReason,
) {
    let scene = linked_with(FEW).await;
    mark(&scene, dead(Some(marked_as))).await;
    let marked = scene.stored(SICK).await;
    scene.instagram.refuse(SICK, Some(dead(Some(refused_as))));
    scene.pass(DAY * 2, HOUR).await;
    let still = scene.stored(SICK).await;
    assert_eq!((still.refused, still.revision), (Some(kept), marked.revision));
    assert_eq!(still.update_time, marked.update_time);
    calls(&scene);
    scene.pass(DAY * 10, HOUR).await;
    let daily = if kept == ReauthorizationReason::Checkpoint { 20 } else { 0 };
    assert_eq!(calls(&scene), (0, daily));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_runs_out_is_marked_within_a_minute_and_nobody_is_asked() {
    let scene = linked().await;
    scene.instagram.refuse(SICK, Some(failure(InstagramErrorKind::Unavailable, Some(2), None)));
    pass_until(&scene, scene.stored(SICK).await.token_expire_time.unwrap() - MINUTE).await;
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
