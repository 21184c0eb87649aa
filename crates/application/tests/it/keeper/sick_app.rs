//! Incidents at Instagram: what all accounts meet is held against none of them.

use std::collections::HashSet;

use ig_application::RefreshAccountError;
use ig_domain::ports::{Clock as _, CountedEvent, InstagramError, InstagramErrorKind};
use ig_domain::{AccountStatus, ReauthorizationReason, TroubleCause};
use ig_test_support::keeper::{DAY, HOUR, MINUTE, Mood, Scene, dead, failure};
use rstest::rstest;

use super::scene;

/// Hundreds, of all ages: some are due for renewal at any moment, all for a reading within a day.
const ACCOUNTS: u32 = 200;

/// A refusal of the app: `Unsupported request`, `Cannot parse access token` or `Error validating application`, all of
/// which mean the same.
fn app_refusal(code: i64) -> InstagramError {
    failure(InstagramErrorKind::AppMisconfigured, Some(code), None)
}

/// Links all accounts, one each four hours, and goes on until all of them are read and renewed.
async fn settled() -> Scene {
    let scene = scene();
    for number in 1..=ACCOUNTS {
        scene.link(number).await;
        scene.pass(HOUR * 4, HOUR * 2).await;
    }
    scene.assert_active(1..=ACCOUNTS).await;
    drop(scene.instagram.take_calls());
    drop(scene.metrics.take());
    scene
}

async fn refresh_all(scene: &Scene) {
    for number in 1..=ACCOUNTS {
        let refused = scene.refresh(number).await.unwrap_err();
        let RefreshAccountError::Instagram(error) = refused else {
            panic!("account {number}: {refused:?}");
        };
        let cause = TroubleCause::from(error.kind);
        let of_app = [TroubleCause::InstagramUnavailable, TroubleCause::AppMisconfigured];
        assert!(of_app.contains(&cause), "{error:?}");
    }
}

#[rstest]
#[case::unsupported_request(app_refusal(100))]
#[case::cannot_parse_access_token(app_refusal(190))]
#[case::error_validating_application(app_refusal(101))]
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
async fn a_day_in_which_all_are_refused_changes_no_account(#[case] refusal: InstagramError) {
    let scene = settled().await;
    scene.instagram.set_mood(Mood::Fails(refusal));
    scene.pass(HOUR * 12, MINUTE * 10).await;
    let opened = scene.ports.store.breaker.load().await.unwrap().open.expect("it is open");
    refresh_all(&scene).await;
    scene.pass(HOUR * 12, MINUTE * 10).await;
    let open = scene.ports.store.breaker.load().await.unwrap().open;
    assert_eq!(open, Some(opened), "it opened once");
    for number in 1..=ACCOUNTS {
        let account = scene.stored(number).await;
        assert_eq!((account.refused, account.failures.trouble), (None, None), "{account:?}");
    }

    scene.instagram.set_mood(Mood::Well);
    scene.pass(MINUTE * 5, MINUTE).await;
    assert!(!scene.breaker_is_open().await, "a witness closes it");
    scene.pass(DAY, MINUTE * 10).await;
    assert!(!scene.breaker_is_open().await);
    for number in 1..=ACCOUNTS {
        let account = scene.stored(number).await;
        assert_eq!(account.status(scene.clock.now()), AccountStatus::Active);
        assert!(account.profile_time + DAY + HOUR > scene.clock.now());
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_breaker_is_open_one_witness_is_sent_in_five_minutes() {
    let scene = settled().await;
    scene.instagram.set_mood(Mood::Fails(app_refusal(100)));
    scene.pass(HOUR, MINUTE * 10).await;
    assert!(scene.breaker_is_open().await);
    drop(scene.instagram.take_calls());
    scene.pass(HOUR, MINUTE).await;
    assert_eq!(scene.instagram.take_calls().len(), 12);
}

#[tokio::test(start_paused = true)]
async fn after_the_breaker_work_begins_with_one_visit_at_a_time() {
    let scene = settled().await;
    scene.instagram.set_mood(Mood::Fails(app_refusal(100)));
    scene.pass(DAY, HOUR).await;
    scene.instagram.set_mood(Mood::Well);
    let before = scene.instagram.take_most_in_flight();
    assert!(before <= super::IN_FLIGHT);
    scene.clock.advance(MINUTE * 5);
    scene.look().await;
    assert_eq!(scene.instagram.take_most_in_flight(), 1);
    assert!(!scene.instagram.take_calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn three_sick_testers_among_hundreds_are_their_own_matter() {
    let scene = settled().await;
    let mut by_reading = Vec::new();
    for number in 1..=ACCOUNTS {
        by_reading.push((scene.stored(number).await.profile_time, number));
    }
    by_reading.sort_unstable();
    // Those that were read last are the witnesses of each other.
    let testers: HashSet<u32> =
        by_reading.iter().rev().take(3).map(|(_, number)| *number).collect();
    scene.instagram.set_mood(Mood::FailsFor(testers.clone(), app_refusal(100)));
    for number in &testers {
        let refused = scene.refresh(*number).await.unwrap_err();
        let RefreshAccountError::Instagram(error) = refused else { panic!("{refused:?}") };
        assert_eq!(error.kind, InstagramErrorKind::AppMisconfigured);
    }
    for _ in 0..24 * 6 {
        scene.pass(MINUTE * 10, MINUTE * 10).await;
        assert!(!scene.breaker_is_open().await);
    }
    scene.assert_active(1..=ACCOUNTS).await;
    for number in testers {
        let account = scene.stored(number).await;
        assert!(account.failures.count > 0, "{account:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fifth_that_is_called_dead_for_some_hours_heals_within_a_day() {
    let scene = settled().await;
    let fifth: HashSet<u32> = (1..=ACCOUNTS).filter(|number| number % 5 == 0).collect();
    scene.instagram.set_mood(Mood::FailsFor(fifth.clone(), dead(Some(460))));
    scene.pass(HOUR * 5, MINUTE * 5).await;
    let mut marked = HashSet::new();
    for number in 1..=ACCOUNTS {
        if scene.status(number).await != AccountStatus::Active {
            marked.insert(number);
        }
    }
    assert!(!marked.is_empty() && marked.is_subset(&fifth), "{marked:?}");
    scene.instagram.set_mood(Mood::Well);
    scene.pass(DAY, MINUTE * 10).await;
    scene.assert_active(1..=ACCOUNTS).await;
    let refused = scene.events(|event| matches!(event, CountedEvent::AccountRefused(_)));
    assert_eq!(refused, marked.len(), "each is marked once");
}

#[tokio::test(start_paused = true)]
async fn without_another_account_two_answers_mark_it() {
    let scene = scene();
    scene.link(1).await;
    scene.instagram.set_mood(Mood::Fails(dead(Some(460))));
    scene.pass(DAY, HOUR).await;
    let changed = ReauthorizationReason::PasswordChanged;
    assert_eq!(scene.status(1).await, AccountStatus::ReauthorizationRequired(changed));
    assert!(!scene.breaker_is_open().await);
}

#[tokio::test(start_paused = true)]
async fn without_another_account_the_breaker_opens_and_its_own_answer_closes_it() {
    let scene = scene();
    scene.link(1).await;
    scene.instagram.set_mood(Mood::Fails(app_refusal(101)));
    scene.pass(DAY, HOUR).await;
    assert!(scene.breaker_is_open().await);
    scene.instagram.set_mood(Mood::Well);
    scene.pass(HOUR, MINUTE * 5).await;
    assert!(!scene.breaker_is_open().await);
    assert_eq!(scene.status(1).await, AccountStatus::Active);
}
