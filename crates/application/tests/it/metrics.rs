//! Tests of what is counted: links, renewals and refused accounts, each once where it is decided.

use std::sync::Arc;
use std::time::Duration;

use ig_application::{
    LinkAccountError, LinkWork, LinkedAccount, Ports, RefreshAccountError, RefreshWork,
    RefreshedAccount,
};
use ig_domain::ports::{
    Cause, CountedEvent, InstagramError, InstagramErrorKind, MockInstagram, MockLinkAttempts,
    PendingLinks as _, StoreError,
};
use ig_domain::{
    AccountType, GrantedScopes, InstagramAccount, LinkOutcome, LinkRefusal, Phase, Profile,
    ReauthorizationReason, TokenLifetime,
};
use ig_test_support::builders::{START, account, pending_link, presentation, profile};
use ig_test_support::{MemoryStore, RecordedMetrics};
use rstest::rstest;

use crate::instagram_script::{exchanges, extends, failure, reads, refusal, renews};
use crate::{empty_store, ports, store_with};

const DAY: Duration = Duration::from_hours(24);
const CHECKPOINT: ReauthorizationReason = ReauthorizationReason::Checkpoint;

fn linked() -> InstagramAccount {
    account(1, "", START)
}

/// Links `code` under a state of its own.
async fn link(
    store: &MemoryStore,
    metrics: &RecordedMetrics,
    code: &str,
    instagram: MockInstagram,
) -> Result<LinkedAccount, LinkAccountError> {
    let metrics = Arc::new(metrics.clone());
    let ports = Ports { metrics, ..ports(store, instagram, Duration::ZERO) };
    LinkWork::new(&ports).run(&presentation(code, &format!("state-of-{code}"), "")).await
}

async fn begin(store: &MemoryStore, code: &str) {
    store.insert(&pending_link(&format!("state-of-{code}"), "", START)).await.unwrap();
}

/// Refreshes the account so long after it was linked.
async fn refresh(
    store: &MemoryStore,
    metrics: &RecordedMetrics,
    instagram: MockInstagram,
    age: Duration,
) -> Result<RefreshedAccount, RefreshAccountError> {
    let ports = Ports { metrics: Arc::new(metrics.clone()), ..ports(store, instagram, age) };
    RefreshWork::new(&ports).run(linked().id).await
}

/// An Instagram that redeems one code for an account with this profile.
fn redeems(profile: Profile) -> MockInstagram {
    let mut instagram = MockInstagram::new();
    exchanges(&mut instagram, GrantedScopes::Unknown);
    extends(&mut instagram);
    reads(&mut instagram, vec![Ok(profile)]);
    instagram
}

/// An Instagram that reads so.
fn answers(readings: Vec<Result<Profile, InstagramError>>) -> MockInstagram {
    let mut instagram = MockInstagram::new();
    reads(&mut instagram, readings);
    instagram
}

fn refused_for(reason: ReauthorizationReason) -> InstagramError {
    failure(InstagramErrorKind::TokenRejected(reason), 190)
}

/// The event of a link that ended with `account`.
fn linked_as(account: &LinkedAccount, created: bool) -> CountedEvent {
    let (account, missing_scopes) = (account.view.account.id, account.missing_scopes.clone());
    CountedEvent::LinkEnded(LinkOutcome::Linked { account, created, missing_scopes })
}

#[tokio::test]
async fn links_are_counted_by_what_they_become_and_replays_are_not() {
    let (store, metrics) = (empty_store(), RecordedMetrics::default());
    for code in ["first", "second", "third"] {
        begin(&store, code).await;
    }
    let created = link(&store, &metrics, "first", redeems(profile(1))).await.unwrap();
    link(&store, &metrics, "first", MockInstagram::new()).await.unwrap();
    link(&store, &metrics, "second", redeems(profile(1))).await.unwrap();
    let personal = Profile { account_type: AccountType::Personal, ..profile(2) };
    link(&store, &metrics, "third", redeems(personal)).await.unwrap_err();
    link(&store, &metrics, "third", MockInstagram::new()).await.unwrap_err();
    let refused = LinkOutcome::Refused(LinkRefusal::PersonalAccount);
    let expected =
        [linked_as(&created, true), linked_as(&created, false), CountedEvent::LinkEnded(refused)];
    assert_eq!(metrics.take(), expected);
}

#[tokio::test]
async fn a_link_is_counted_as_postponed_and_then_as_what_it_becomes() {
    let (store, metrics) = (empty_store(), RecordedMetrics::default());
    begin(&store, "code").await;
    for _ in 0..2 {
        let mut away = MockInstagram::new();
        let unavailable = failure(InstagramErrorKind::Unavailable, 2);
        away.expect_exchange_code().once().return_once(|_, _| Err(unavailable));
        link(&store, &metrics, "code", away).await.unwrap_err();
    }
    let created = link(&store, &metrics, "code", redeems(profile(1))).await.unwrap();
    let postponed = CountedEvent::LinkPostponed(presentation("code", "state", "").code.hash());
    assert_eq!(metrics.take(), [postponed.clone(), postponed, linked_as(&created, true)]);
}

/// What the store has not confirmed may yet become something else.
#[rstest]
#[case::postponed(InstagramErrorKind::Unavailable)]
#[case::refused(InstagramErrorKind::CodeRejected)]
#[tokio::test]
async fn a_link_whose_outcome_is_not_stored_is_not_counted(#[case] kind: InstagramErrorKind) {
    let (store, metrics) = (empty_store(), RecordedMetrics::default());
    begin(&store, "code").await;
    let mut instagram = MockInstagram::new();
    let away = store.clone();
    instagram.expect_exchange_code().once().return_once(move |_, _| {
        away.set_away(true);
        Err(failure(kind, 7))
    });
    let answer = link(&store, &metrics, "code", instagram).await;
    assert!(matches!(answer, Err(LinkAccountError::Store(_))), "{answer:?}");
    assert_eq!(metrics.take(), []);
}

/// The store is away while the refusal is to be stored, and back when the lease is released with it.
#[tokio::test]
async fn a_refusal_that_is_stored_late_is_counted_as_such_and_not_as_postponed() {
    let (store, metrics) = (empty_store(), RecordedMetrics::default());
    begin(&store, "code").await;
    let mut instagram = MockInstagram::new();
    let refusal = failure(InstagramErrorKind::CodeRejected, 7);
    let refused = LinkOutcome::Refused(LinkRefusal::CodeRejected(refusal.facts.clone()));
    instagram.expect_exchange_code().once().return_once(|_, _| Err(refusal));
    let mut attempts = MockLinkAttempts::new();
    attempts.expect_find().returning(|_| Ok(None));
    attempts.expect_create().once().returning(|_, _| Ok(()));
    attempts.expect_advance().returning(|_, _, phase| match phase {
        Phase::Ended { .. } => Err(StoreError::Unavailable(Cause::new("on purpose"))),
        _ => Ok(()),
    });
    let is_ended = |phase: &Phase| matches!(phase, Phase::Ended { .. });
    attempts.expect_release().once().returning(move |_, _, phase| {
        assert!(is_ended(phase), "{phase:?}");
        Ok(())
    });
    let mut ports = ports(&store, instagram, Duration::ZERO);
    ports.store.link_attempts = Arc::new(attempts);
    ports.metrics = Arc::new(metrics.clone());
    let answer = LinkWork::new(&ports).run(&presentation("code", "state-of-code", "")).await;
    assert!(matches!(answer, Err(LinkAccountError::Store(_))), "{answer:?}");
    assert_eq!(metrics.take(), [CountedEvent::LinkEnded(refused)]);
}

#[rstest]
#[case::renewed(Ok(()), CountedEvent::TokenRenewed)]
#[case::failed(
    Err(failure(InstagramErrorKind::Unavailable, 2)),
    CountedEvent::RenewalFailed(InstagramErrorKind::Unavailable)
)]
#[tokio::test]
async fn a_renewal_is_counted_once(
    #[case] answer: Result<(), InstagramError>,
    #[case] expected: CountedEvent,
) {
    let (store, metrics) = (store_with(&linked()).await, RecordedMetrics::default());
    let mut instagram = answers(answer.iter().map(|()| Ok(profile(1))).collect());
    renews(&mut instagram, answer);
    drop(refresh(&store, &metrics, instagram, DAY).await);
    assert_eq!(metrics.take(), [expected]);
}

#[tokio::test]
async fn a_reading_of_the_profile_is_no_renewal() {
    let (store, metrics) = (store_with(&linked()).await, RecordedMetrics::default());
    refresh(&store, &metrics, answers(vec![Ok(profile(1))]), DAY / 2).await.unwrap();
    assert_eq!(metrics.take(), []);
}

#[tokio::test]
async fn a_renewed_token_that_is_not_stored_is_not_counted() {
    let (store, metrics) = (store_with(&linked()).await, RecordedMetrics::default());
    let mut instagram = MockInstagram::new();
    let away = store.clone();
    instagram.expect_renew_token().once().return_once(move |token| {
        away.set_away(true);
        Ok((token.clone(), TokenLifetime::from_seconds(5_183_944).unwrap()))
    });
    refresh(&store, &metrics, instagram, DAY).await.unwrap_err();
    assert_eq!(metrics.take(), []);
}

#[tokio::test]
async fn a_refused_account_counts_once_until_it_is_well_again() {
    let (store, metrics) = (store_with(&linked()).await, RecordedMetrics::default());
    let twice = |refusal: InstagramError| answers(vec![Err(refusal.clone()), Err(refusal)]);
    for (minute, instagram) in
        [twice(refusal()), twice(refusal()), twice(refused_for(CHECKPOINT))].into_iter().enumerate()
    {
        let age = DAY / 2 + Duration::from_mins(minute.try_into().unwrap());
        refresh(&store, &metrics, instagram, age).await.unwrap_err();
    }
    let changed = ReauthorizationReason::PasswordChanged;
    assert_eq!(metrics.take(), [CountedEvent::AccountRefused(changed)]);

    let well = answers(vec![Ok(profile(1))]);
    refresh(&store, &metrics, well, DAY / 2 + Duration::from_mins(3)).await.unwrap();
    let again = twice(refused_for(CHECKPOINT));
    refresh(&store, &metrics, again, DAY / 2 + Duration::from_mins(4)).await.unwrap_err();
    assert_eq!(metrics.take(), [CountedEvent::AccountRefused(CHECKPOINT)]);
}

#[tokio::test]
async fn a_refusal_that_is_not_stored_is_not_counted() {
    let (store, metrics) = (store_with(&linked()).await, RecordedMetrics::default());
    let mut instagram = MockInstagram::new();
    renews(&mut instagram, Err(refusal()));
    let away = store.clone();
    instagram.expect_profile().once().return_once(move |_| {
        away.set_away(true);
        Err(refusal())
    });
    let answer = refresh(&store, &metrics, instagram, DAY).await;
    assert!(matches!(answer, Err(RefreshAccountError::Store(_))), "{answer:?}");
    assert_eq!(metrics.take(), [CountedEvent::RenewalFailed(refusal().kind)]);
}
