//! Webhook subscriptions: the keeper makes Instagram's state the wanted one, and a deletion ends it.

use std::sync::Arc;
use std::time::Duration;

use ig_application::{StorePorts, UnlinkAccount};
use ig_domain::ports::{AccountReader as _, Clock as _, InstagramErrorKind, MockInstagram};
use ig_domain::{
    AccountStatus, GrantedScopes, InstagramAccount, KeepingPlan, OwnerScope, ReauthorizationReason,
    TroubleCause, WebhookSubscription,
};
use ig_test_support::MemoryStore;
use ig_test_support::builders::{START, account, parsed};
use ig_test_support::keeper::{CallKind, DAY, HOUR, MINUTE, Scene, Stage, dead, failure};

use crate::{empty_store, keep, ports};

const SECOND: Duration = Duration::from_secs(1);

/// A scene whose keeper subscribes accounts to these fields.
fn scene(fields: &str) -> Scene {
    scene_over(&empty_store(), fields)
}

fn scene_over(store: &MemoryStore, fields: &str) -> Scene {
    let plan = KeepingPlan { webhook_fields: parsed(fields), ..KeepingPlan::default() };
    Scene::new(Stage {
        store: StorePorts::of(Arc::new(store.with_plan(plan.clone()))),
        call_time: Duration::from_millis(50),
        plan,
        in_flight: 16,
    })
}

/// The account granted these permissions.
fn granting(scopes: &'static [&'static str]) -> impl FnOnce(&mut InstagramAccount) {
    let scopes = scopes.iter().map(|scope| parsed(scope)).collect();
    move |account| account.granted_scopes = GrantedScopes::Known(scopes)
}

const COMMENTS: &[&str] = &["instagram_business_basic", "instagram_business_manage_comments"];

/// What is stored of the subscription of account 1: whether it is active, and the error.
async fn subscription(scene: &Scene) -> Option<(bool, Option<TroubleCause>)> {
    let found = scene.stored(1).await.subscription;
    found.map(|found| (found.active, found.error))
}

fn calls(scene: &Scene) -> Vec<CallKind> {
    scene.instagram.take_calls().into_iter().map(|call| call.kind).collect()
}

#[tokio::test(start_paused = true)]
async fn an_account_is_subscribed_at_once_to_what_its_permissions_allow() {
    let scene = scene("comments,live_comments,messages");
    scene.link_as(1, granting(COMMENTS)).await;
    scene.look().await;
    assert_eq!(scene.instagram.subscribed(1), ["comments", "live_comments"]);
    assert_eq!(subscription(&scene).await, Some((true, None)));
    assert_eq!(scene.stored(1).await.revision, 2);
    assert_eq!(calls(&scene), [CallKind::Subscription, CallKind::Subscribe]);
    scene.look().await;
    assert_eq!(calls(&scene), [], "nothing is due");
}

#[tokio::test(start_paused = true)]
async fn all_wanted_fields_are_subscribed_where_instagram_did_not_say_what_was_granted() {
    let scene = scene("comments,messages");
    scene.link_as(1, |account| account.granted_scopes = GrantedScopes::Unknown).await;
    scene.look().await;
    assert_eq!(scene.instagram.subscribed(1), ["comments", "messages"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_where_nothing_is_wanted_or_allowed() {
    let (nothing, forbidden) = (scene(""), scene("messages"));
    for scene in [nothing, forbidden] {
        scene.link_as(1, granting(COMMENTS)).await;
        scene.look().await;
        scene.pass(DAY * 2, HOUR).await;
        assert_eq!(subscription(&scene).await, None);
        assert!(calls(&scene).iter().all(|call| *call == CallKind::Reading));
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_was_lost_is_made_again_with_a_reading() {
    let scene = scene("comments");
    scene.link_as(1, granting(COMMENTS)).await;
    scene.look().await;
    scene.pass(DAY * 3, HOUR).await;
    let all = calls(&scene);
    let number = |kind| all.iter().filter(|call| **call == kind).count();
    assert_eq!((number(CallKind::Subscribe), number(CallKind::Subscription)), (1, 4));
    assert_eq!(scene.stored(1).await.revision, 2, "a newer check is no change");
    scene.instagram.lose_subscription(1);
    scene.pass(DAY, HOUR).await;
    assert_eq!(scene.instagram.subscribed(1), ["comments"]);
}

#[tokio::test(start_paused = true)]
async fn a_new_consent_is_followed_by_a_check_at_once() {
    let scene = scene("comments");
    scene.link_as(1, |account| account.granted_scopes = GrantedScopes::Unknown).await;
    scene.look().await;
    scene.pass(MINUTE, SECOND).await;
    scene.instagram.lose_subscription(1);
    scene.link_again(1).await;
    scene.pass(SECOND * 2, SECOND).await;
    assert_eq!(scene.instagram.subscribed(1), ["comments"]);
    assert!(scene.stored(1).await.subscription.unwrap().check_time >= Some(START + MINUTE));
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_nobody_wants_any_more_is_ended_with_a_reading() {
    let store = empty_store();
    let wanting = scene_over(&store, "comments");
    wanting.link_as(1, granting(COMMENTS)).await;
    wanting.look().await;
    let (link, account) = (wanting.clock.now(), wanting.stored(1).await);
    let unwanting = scene_over(&store, "");
    unwanting.instagram.know("IGAA-1-0", 1, link, account.token_expire_time.unwrap());
    unwanting.pass(DAY, HOUR).await;
    assert_eq!(subscription(&unwanting).await, None);
    assert_eq!(calls(&unwanting), [CallKind::Reading, CallKind::Unsubscribe]);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_shown_and_tried_again_and_marks_nobody() {
    for (refusal, cause) in [
        (InstagramErrorKind::Unexpected.into(), TroubleCause::InstagramUnexpected),
        (
            failure(InstagramErrorKind::AppMisconfigured, Some(10), None),
            TroubleCause::AppMisconfigured,
        ),
        (dead(None), TroubleCause::InstagramUnavailable),
    ] {
        let scene = scene("comments");
        scene.instagram.fail_subscriptions(Some(refusal));
        scene.link_as(1, granting(COMMENTS)).await;
        scene.look().await;
        assert_eq!(subscription(&scene).await, Some((false, Some(cause))));
        scene.pass(HOUR, SECOND * 30).await;
        let tries = calls(&scene).len();
        assert!((3..=12).contains(&tries), "{tries} tries in an hour");
        let stored = scene.stored(1).await;
        assert_eq!((stored.revision, stored.failures.trouble), (2, None));
        assert_eq!(stored.status(scene.clock.now()), AccountStatus::Active);
        assert!(!scene.breaker_is_open().await);
        scene.instagram.fail_subscriptions(None);
        scene.pass(HOUR * 6, MINUTE).await;
        assert_eq!(subscription(&scene).await, Some((true, None)));
        assert_eq!(scene.stored(1).await.failures.count, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failing_subscription_keeps_no_token_from_its_renewal() {
    let scene = scene("comments");
    scene.instagram.fail_subscriptions(Some(InstagramErrorKind::Unexpected.into()));
    scene.link_as(1, granting(COMMENTS)).await;
    scene.pass(DAY * 40, HOUR * 3).await;
    let stored = scene.stored(1).await;
    assert!(stored.token_issue_time.unwrap() > START + DAY * 20);
    assert!(stored.profile_time > START + DAY * 38);
    assert_eq!(stored.subscription.unwrap().error, Some(TroubleCause::InstagramUnexpected));
}

#[tokio::test(start_paused = true)]
async fn an_account_that_instagram_throttles_is_not_asked() {
    let scene = scene("comments");
    let kind = InstagramErrorKind::RateLimited { retry_after: MINUTE * 30 };
    scene.instagram.fail_subscriptions(Some(failure(kind, Some(17), None)));
    scene.link_as(1, granting(COMMENTS)).await;
    scene.pass(MINUTE * 25, MINUTE).await;
    assert_eq!(calls(&scene), [CallKind::Subscription]);
    assert_eq!(subscription(&scene).await, Some((false, Some(TroubleCause::RateLimited))));
}

/// A store with one account whose subscription is active.
async fn subscribed(change: impl FnOnce(&mut InstagramAccount)) -> (MemoryStore, InstagramAccount) {
    let store = empty_store();
    let subscription = WebhookSubscription { active: true, error: None, check_time: Some(START) };
    let mut account =
        InstagramAccount { subscription: Some(subscription), ..account(1, "shop/7", START) };
    change(&mut account);
    keep(&store, &account).await;
    (store, account)
}

async fn unlink(store: &MemoryStore, account: &InstagramAccount, instagram: MockInstagram) {
    let unlink = UnlinkAccount::new(&ports(store, instagram, Duration::ZERO));
    unlink.execute(account.id, &OwnerScope::everyone()).await.unwrap();
    assert!(store.find_with_token(account.id).await.unwrap().is_none());
}

#[tokio::test]
async fn an_unlinked_account_ends_its_subscription_first_and_a_failure_stops_nothing() {
    for answer in [Ok(()), Err(InstagramErrorKind::Unavailable.into())] {
        let (store, account) = subscribed(|_| {}).await;
        let mut instagram = MockInstagram::new();
        let still_there = store.clone();
        instagram.expect_unsubscribe().once().returning(move |token| {
            assert_eq!(token.expose(), "IGAA-first");
            assert_eq!(still_there.accounts().len(), 1);
            answer.clone()
        });
        unlink(&store, &account, instagram).await;
    }
}

#[tokio::test]
async fn nobody_is_asked_where_there_is_no_subscription_or_no_living_token() {
    let dead = |account: &mut InstagramAccount| {
        account.refused = Some(ReauthorizationReason::PasswordChanged);
    };
    let unsubscribed = |account: &mut InstagramAccount| account.subscription = None;
    let expired = |account: &mut InstagramAccount| account.token_expire_time = Some(START);
    for (store, account) in
        [subscribed(dead).await, subscribed(unsubscribed).await, subscribed(expired).await]
    {
        unlink(&store, &account, MockInstagram::new()).await;
    }
    let (store, account) = subscribed(|_| {}).await;
    store.destroy_token(account.id);
    unlink(&store, &account, MockInstagram::new()).await;
}
