//! Tests of refreshing an account: its token is renewed, is dead, or stays as it is.

use std::time::Duration;

use futures_util::FutureExt as _;
use ig_application::{RefreshAccount, RefreshAccountError, TokenOutcome};
use ig_domain::ports::{InstagramErrorKind, MockInstagram, RenewalLeases as _};
use ig_domain::{
    AccountStatus, InstagramAccount, LeaseHolder, OwnerScope, Profile, ReauthorizationReason,
};
use ig_test_support::MemoryStore;
use ig_test_support::builders::{START, account, profile};
use rstest::rstest;
use tokio_util::task::TaskTracker;

use crate::instagram_script::{Readings, failure, reads, refusal, renews, throttled};
use crate::{ports, store_with, stored};

const DAY: Duration = Duration::from_hours(24);

fn use_case(store: &MemoryStore, instagram: MockInstagram, age: Duration) -> RefreshAccount {
    RefreshAccount::new(&ports(store, instagram, age), TaskTracker::new())
}

fn linked() -> InstagramAccount {
    account(1, "shop/7", START)
}

fn renamed() -> Profile {
    Profile { username: "renamed".parse().unwrap(), ..profile(1) }
}

fn dead(account: InstagramAccount) -> InstagramAccount {
    InstagramAccount { refused: Some(ReauthorizationReason::Checkpoint), ..account }
}

#[tokio::test]
async fn a_ripe_token_is_renewed_and_the_profile_read() {
    let store = store_with(&linked()).await;
    let mut instagram = MockInstagram::new();
    renews(&mut instagram, Ok(()));
    reads(&mut instagram, vec![Ok(renamed())]);
    let refreshed = use_case(&store, instagram, DAY)
        .execute(linked().id, &OwnerScope::everyone(), ())
        .await
        .unwrap();
    assert_eq!(refreshed.token_outcome, TokenOutcome::Renewed);
    let (account, token) = stored(&store, &linked()).await;
    assert_eq!(refreshed.view.account, account);
    assert_eq!((token.as_str(), account.username.as_str()), ("IGAA-renewed", "renamed"));
    assert_eq!(account.token_issue_time.unwrap(), START + DAY);
}

#[tokio::test]
async fn a_profile_that_cannot_be_read_after_a_renewal_is_no_error() {
    let store = store_with(&linked()).await;
    let mut instagram = MockInstagram::new();
    renews(&mut instagram, Ok(()));
    reads(&mut instagram, vec![Err(throttled())]);
    let refreshed = use_case(&store, instagram, DAY)
        .execute(linked().id, &OwnerScope::everyone(), ())
        .await
        .unwrap();
    assert_eq!(refreshed.token_outcome, TokenOutcome::Renewed);
    assert_eq!(refreshed.view.account.profile_time, START);
}

#[tokio::test]
async fn a_young_token_is_left_alone_and_only_the_profile_read() {
    let store = store_with(&linked()).await;
    let mut instagram = MockInstagram::new();
    reads(&mut instagram, vec![Ok(renamed())]);
    let refreshed = use_case(&store, instagram, DAY / 2)
        .execute(linked().id, &OwnerScope::everyone(), ())
        .await
        .unwrap();
    assert_eq!(refreshed.token_outcome, TokenOutcome::TooYoung);
    let (account, token) = stored(&store, &linked()).await;
    assert_eq!((token.as_str(), account.username.as_str()), ("IGAA-first", "renamed"));
}

#[rstest]
#[case::renewal_and_profile_refused(DAY, Some(refusal()), vec![Err(refusal())])]
#[case::profile_refused_twice(DAY / 2, None, vec![Err(refusal()), Err(refusal())])]
#[tokio::test]
async fn a_token_is_dead_once_instagram_has_said_so_twice(
    #[case] age: Duration,
    #[case] renewal: Option<ig_domain::ports::InstagramError>,
    #[case] readings: Readings,
) {
    let store = store_with(&linked()).await;
    let mut instagram = MockInstagram::new();
    if let Some(refusal) = renewal {
        renews(&mut instagram, Err(refusal));
    }
    reads(&mut instagram, readings);
    let refused =
        use_case(&store, instagram, age).execute(linked().id, &OwnerScope::everyone(), ()).await;
    let Err(RefreshAccountError::ReauthorizationRequired(dead)) = refused else {
        panic!("{refused:?}");
    };
    let expected = AccountStatus::ReauthorizationRequired(ReauthorizationReason::PasswordChanged);
    assert_eq!((dead.view.status, dead.facts.code), (expected, Some(190)));
    assert_eq!(stored(&store, &linked()).await.0, dead.view.account);
}

/// Another replica takes the lease once it has ended, and releases it: its reading succeeded.
fn somebody_else_works(store: &MemoryStore) {
    store.end_leases();
    let successor = LeaseHolder::from_uuid(*linked().id.as_uuid());
    let claimed = store.claim(linked().id, successor).now_or_never().unwrap();
    assert!(claimed.unwrap());
    store.release(linked().id, successor).now_or_never().unwrap().unwrap();
}

#[rstest]
#[case::between_two_readings(
    DAY / 2,
    None,
    vec![Err(refusal()), Err(refusal()), Ok(profile(1))],
    1
)]
#[case::during_the_second_reading(
    DAY / 2,
    None,
    vec![Err(refusal()), Err(refusal()), Ok(profile(1))],
    2
)]
#[case::during_the_reading_after_a_renewal(
    DAY,
    Some(refusal()),
    vec![Err(refusal()), Ok(profile(1))],
    1
)]
#[tokio::test]
async fn refusals_between_which_somebody_else_worked_are_not_twice_the_same_word(
    #[case] age: Duration,
    #[case] renewal: Option<ig_domain::ports::InstagramError>,
    #[case] readings: Readings,
    #[case] replaced_in: usize,
) {
    let store = store_with(&linked()).await;
    let mut instagram = MockInstagram::new();
    let renewals = usize::from(renewal.is_some());
    if let Some(refusal) = renewal {
        renews(&mut instagram, Err(refusal));
        // Begun anew, it finds another word of Instagram's.
        renews(&mut instagram, Ok(()));
    }
    let times = readings.len();
    let (mut script, others) = (readings.into_iter().enumerate(), store.clone());
    instagram.expect_profile().times(times).returning(move |_| {
        let (before, reading) = script.next().unwrap();
        if before + 1 == replaced_in {
            somebody_else_works(&others);
        }
        reading
    });
    let use_case = use_case(&store, instagram, age);
    let refreshed = use_case.execute(linked().id, &OwnerScope::everyone(), ()).await.unwrap();
    assert_eq!(refreshed.view.status, AccountStatus::Active);
    let renewed = refreshed.token_outcome == TokenOutcome::Renewed;
    assert_eq!(usize::from(renewed), renewals);
}

#[rstest]
#[case::renewal_refused_and_profile_well(Some(refusal()), vec![Ok(renamed())])]
#[case::renewal_refused_and_profile_throttled(Some(refusal()), vec![Err(throttled())])]
#[case::renewal_throttled(Some(throttled()), vec![])]
#[case::renewal_unavailable(Some(failure(InstagramErrorKind::Unavailable, 2)), vec![])]
#[case::app_refused(Some(failure(InstagramErrorKind::AppMisconfigured, 100)), vec![])]
#[case::unreadable(Some(failure(InstagramErrorKind::Unreadable, 0)), vec![])]
#[case::young_and_refused_once(None, vec![Err(refusal()), Err(throttled())])]
#[case::young_and_throttled(None, vec![Err(throttled())])]
#[case::young_and_app_refused(
    None,
    vec![Err(failure(InstagramErrorKind::AppMisconfigured, 100))]
)]
#[tokio::test]
async fn nothing_less_changes_an_account(
    #[case] renewal: Option<ig_domain::ports::InstagramError>,
    #[case] readings: Readings,
) {
    let store = store_with(&linked()).await;
    let before = stored(&store, &linked()).await;
    let mut instagram = MockInstagram::new();
    let age = if renewal.is_some() { DAY } else { DAY / 2 };
    if let Some(error) = renewal {
        renews(&mut instagram, Err(error));
    }
    reads(&mut instagram, readings);
    let refused =
        use_case(&store, instagram, age).execute(linked().id, &OwnerScope::everyone(), ()).await;
    let Err(RefreshAccountError::Instagram(error)) = refused else { panic!("{refused:?}") };
    let rejected = matches!(error.kind, InstagramErrorKind::TokenRejected(_));
    assert!(!rejected, "a refusal said once is an outage: {error:?}");
    assert_eq!(stored(&store, &linked()).await, before);
}

#[tokio::test]
async fn an_unconfirmed_refusal_keeps_instagrams_code() {
    let store = store_with(&linked()).await;
    let mut instagram = MockInstagram::new();
    renews(&mut instagram, Err(refusal()));
    reads(&mut instagram, vec![Ok(renamed())]);
    let refused =
        use_case(&store, instagram, DAY).execute(linked().id, &OwnerScope::everyone(), ()).await;
    let Err(RefreshAccountError::Instagram(error)) = refused else { panic!("{refused:?}") };
    assert_eq!((error.kind, error.facts.code), (InstagramErrorKind::Unconfirmed, Some(190)));
}

#[tokio::test]
async fn past_its_expiry_nothing_is_asked() {
    let store = store_with(&linked()).await;
    let refused = use_case(&store, MockInstagram::new(), 60 * DAY)
        .execute(linked().id, &OwnerScope::everyone(), ())
        .await;
    let Err(RefreshAccountError::ReauthorizationRequired(dead)) = refused else {
        panic!("{refused:?}");
    };
    let expected = AccountStatus::ReauthorizationRequired(ReauthorizationReason::TokenExpired);
    assert_eq!((dead.view.status, dead.facts.code), (expected, None));
}

#[tokio::test]
async fn a_cleared_checkpoint_heals_and_the_token_is_renewed() {
    let store = store_with(&dead(linked())).await;
    let mut instagram = MockInstagram::new();
    renews(&mut instagram, Ok(()));
    reads(&mut instagram, vec![Ok(profile(1)), Ok(profile(1))]);
    let refreshed = use_case(&store, instagram, DAY)
        .execute(linked().id, &OwnerScope::everyone(), ())
        .await
        .unwrap();
    assert_eq!(refreshed.token_outcome, TokenOutcome::Renewed);
    assert_eq!(refreshed.view.status, AccountStatus::Active);
}

#[tokio::test]
async fn a_young_token_that_heals_is_read_only_once() {
    let store = store_with(&dead(linked())).await;
    let mut instagram = MockInstagram::new();
    reads(&mut instagram, vec![Ok(profile(1))]);
    let refreshed = use_case(&store, instagram, DAY / 2)
        .execute(linked().id, &OwnerScope::everyone(), ())
        .await
        .unwrap();
    assert_eq!(refreshed.token_outcome, TokenOutcome::TooYoung);
    assert_eq!(stored(&store, &linked()).await.0.refused, None);
}

#[tokio::test]
async fn a_dead_account_stays_dead_while_instagram_cannot_tell() {
    let store = store_with(&dead(linked())).await;
    let mut instagram = MockInstagram::new();
    reads(&mut instagram, vec![Err(throttled())]);
    let refused =
        use_case(&store, instagram, DAY).execute(linked().id, &OwnerScope::everyone(), ()).await;
    assert!(matches!(refused, Err(RefreshAccountError::Instagram(_))), "{refused:?}");
    let refused = stored(&store, &linked()).await.0.refused;
    assert_eq!(refused, Some(ReauthorizationReason::Checkpoint));
}

#[tokio::test]
async fn a_dead_account_keeps_its_first_reason_and_the_answer_tells_a_new_one() {
    let marked = dead(linked());
    let store = store_with(&marked).await;
    let mut instagram = MockInstagram::new();
    reads(&mut instagram, vec![Err(refusal()), Err(refusal())]);
    let refused =
        use_case(&store, instagram, DAY).execute(marked.id, &OwnerScope::everyone(), ()).await;
    let Err(RefreshAccountError::ReauthorizationRequired(dead)) = refused else {
        panic!("{refused:?}");
    };
    let expected = AccountStatus::ReauthorizationRequired(ReauthorizationReason::PasswordChanged);
    assert_eq!(dead.view.status, expected);
    assert_eq!(stored(&store, &marked).await.0, marked);
}

#[tokio::test]
async fn a_profile_of_another_account_is_not_taken_over() {
    let store = store_with(&linked()).await;
    let before = stored(&store, &linked()).await;
    let mut instagram = MockInstagram::new();
    reads(&mut instagram, vec![Ok(profile(2))]);
    let refused = use_case(&store, instagram, DAY / 2)
        .execute(linked().id, &OwnerScope::everyone(), ())
        .await;
    let Err(RefreshAccountError::Instagram(error)) = refused else { panic!("{refused:?}") };
    assert_eq!(error.kind, InstagramErrorKind::Unreadable);
    assert_eq!(stored(&store, &linked()).await, before);
}

#[tokio::test]
async fn a_token_stamped_by_a_clock_ahead_of_ours_is_not_taken_for_renewed() {
    let ahead = account(1, "shop/7", START + DAY);
    let store = store_with(&ahead).await;
    let mut instagram = MockInstagram::new();
    reads(&mut instagram, vec![Ok(profile(1))]);
    let refreshed = use_case(&store, instagram, DAY / 2)
        .execute(ahead.id, &OwnerScope::everyone(), ())
        .await
        .unwrap();
    assert_eq!(refreshed.token_outcome, TokenOutcome::TooYoung);
}

#[tokio::test]
async fn another_owners_account_is_not_found_and_nobody_is_asked() {
    let store = store_with(&linked()).await;
    let other = OwnerScope::only("shop/8".parse().unwrap());
    let use_case = use_case(&store, MockInstagram::new(), DAY);
    let refused = use_case.execute(linked().id, &other, ()).await;
    assert!(matches!(refused, Err(RefreshAccountError::NotFound)), "{refused:?}");
}

#[tokio::test]
async fn calls_at_the_same_time_ask_instagram_once() {
    let store = store_with(&linked()).await;
    let mut instagram = MockInstagram::new();
    renews(&mut instagram, Ok(()));
    reads(&mut instagram, vec![Ok(profile(1))]);
    let use_case = use_case(&store, instagram, DAY);
    let everyone = OwnerScope::everyone();
    let (one, other) = tokio::join!(
        use_case.execute(linked().id, &everyone, ()),
        use_case.execute(linked().id, &everyone, ())
    );
    assert_eq!(one.unwrap().view, other.unwrap().view);
}

#[rstest]
#[case::not_marked(linked(), ReauthorizationReason::TokenRevoked)]
#[case::marked(dead(linked()), ReauthorizationReason::Checkpoint)]
#[tokio::test]
async fn an_account_whose_token_is_destroyed_needs_a_new_consent_and_nobody_is_asked(
    #[case] account: InstagramAccount,
    #[case] reason: ReauthorizationReason,
) {
    let store = store_with(&account).await;
    store.destroy_token(account.id);
    let refreshed = use_case(&store, MockInstagram::new(), DAY)
        .execute(account.id, &OwnerScope::everyone(), ())
        .await;
    let Err(RefreshAccountError::ReauthorizationRequired(dead)) = refreshed else {
        panic!("{refreshed:?}");
    };
    assert_eq!(dead.view.status, AccountStatus::ReauthorizationRequired(reason));
}
