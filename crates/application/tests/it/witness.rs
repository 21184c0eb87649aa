//! Tests of witnesses: no refusal is held against an account, or against the app, before another account was asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use ig_application::{Ports, RefreshAccountError, RefreshWork};
use ig_domain::ports::{
    AccountWriter as _, AppBreaker as _, InstagramError, InstagramErrorKind, MockInstagram,
};
use ig_domain::{InstagramAccount, Profile, TroubleCause};
use ig_test_support::MemoryStore;
use ig_test_support::builders::{START, account, profile};
use rstest::rstest;

use crate::instagram_script::{failure, refusal, renews, throttled};
use crate::{empty_store, keep_with_token, ports, stored};

const DAY: Duration = Duration::from_hours(24);

/// Account `number`, read so many hours after the start.
fn read_after(number: u32, hours: u64) -> InstagramAccount {
    let profile_time = START + Duration::from_hours(hours);
    InstagramAccount { profile_time, ..account(number, "", START) }
}

/// A store that keeps account 1, and accounts 2 to `last`, of which the ones with the lower numbers were read later.
async fn store_up_to(last: u32) -> MemoryStore {
    let store = empty_store();
    for number in 1..=last {
        let hours = u64::from(10 - number);
        keep_with_token(&store, &read_after(number, hours), &format!("IGAA-{number}")).await;
    }
    store
}

fn app_refusal() -> InstagramError {
    failure(InstagramErrorKind::AppMisconfigured, 100)
}

/// Calls of `/me` by the number of the account.
type Asked = Arc<Mutex<HashMap<u32, usize>>>;

/// Lets `/me` answer as `answer` says for the number of the account, and counts the calls.
fn answers(
    instagram: &mut MockInstagram,
    answer: impl Fn(u32) -> Result<Profile, InstagramError> + Send + 'static,
) -> Asked {
    let asked = Asked::default();
    let counted = Arc::clone(&asked);
    instagram.expect_profile().returning(move |token| {
        let number = token.expose().trim_start_matches("IGAA-").parse().unwrap();
        *counted.lock().unwrap().entry(number).or_default() += 1;
        answer(number)
    });
    asked
}

async fn refresh(ports: &Ports) -> RefreshAccountError {
    RefreshWork::new(ports).run(account(1, "", START).id).await.unwrap_err()
}

fn calls(asked: &Asked, number: u32) -> usize {
    asked.lock().unwrap().get(&number).copied().unwrap_or_default()
}

#[tokio::test]
async fn a_witness_that_is_well_makes_a_refusal_the_accounts_own_and_keeps_its_reading() {
    let store = store_up_to(4).await;
    let mut instagram = MockInstagram::new();
    renews(&mut instagram, Err(refusal()));
    let asked = answers(&mut instagram, |number| match number {
        1 => Err(refusal()),
        number => Ok(profile(number)),
    });
    let refused = refresh(&ports(&store, instagram, DAY)).await;
    assert!(matches!(refused, RefreshAccountError::ReauthorizationRequired(_)), "{refused:?}");
    // The one that was read last, and only once.
    assert_eq!((calls(&asked, 2), calls(&asked, 3), calls(&asked, 4)), (1, 0, 0));
    assert_eq!(stored(&store, &read_after(2, 0)).await.0.profile_time, START + DAY);
    assert_eq!(store.load().await.unwrap().open, None);
}

#[rstest]
#[case::of_the_tokens(refusal(), refusal(), TroubleCause::InstagramUnavailable)]
#[case::of_the_app(app_refusal(), app_refusal(), TroubleCause::AppMisconfigured)]
#[case::of_the_token_and_the_app(refusal(), app_refusal(), TroubleCause::AppMisconfigured)]
#[tokio::test]
async fn where_all_witnesses_are_refused_too_nobody_is_marked_and_the_breaker_opens(
    #[case] first: InstagramError,
    #[case] of_witnesses: InstagramError,
    #[case] cause: TroubleCause,
) {
    let store = store_up_to(6).await;
    let before = stored(&store, &read_after(1, 0)).await;
    let mut instagram = MockInstagram::new();
    renews(&mut instagram, Err(first.clone()));
    let code = first.facts.code;
    let asked = answers(&mut instagram, move |number| match number {
        1 => Err(first.clone()),
        _ => Err(of_witnesses.clone()),
    });
    let refused = refresh(&ports(&store, instagram, DAY)).await;
    let RefreshAccountError::Instagram(error) = refused else { panic!("{refused:?}") };
    assert_eq!(TroubleCause::from(error.kind), cause);
    assert_eq!(error.facts.code, code);
    let each = (2..=6).map(|number| calls(&asked, number));
    assert_eq!(each.collect::<Vec<_>>(), [1, 1, 1, 0, 0], "three at most are asked");
    assert_eq!(stored(&store, &read_after(1, 0)).await, before);
    assert_eq!(store.load().await.unwrap().open.map(|open| open.cause), Some(cause));
}

#[rstest]
#[case::throttled(throttled())]
#[case::away(failure(InstagramErrorKind::Unavailable, 2))]
#[tokio::test]
async fn a_witness_that_cannot_be_asked_decides_nothing(#[case] trouble: InstagramError) {
    for refusal in [refusal(), app_refusal()] {
        let store = store_up_to(3).await;
        let before = stored(&store, &read_after(1, 0)).await;
        let mut instagram = MockInstagram::new();
        renews(&mut instagram, Err(refusal.clone()));
        let (expected, trouble) = (refusal.facts.code, trouble.clone());
        let asked = answers(&mut instagram, move |number| match number {
            1 => Err(refusal.clone()),
            _ => Err(trouble.clone()),
        });
        let refused = refresh(&ports(&store, instagram, DAY)).await;
        let RefreshAccountError::Instagram(error) = refused else { panic!("{refused:?}") };
        assert_eq!(TroubleCause::from(error.kind), TroubleCause::InstagramUnavailable);
        assert_eq!(error.facts.code, expected);
        assert_eq!((calls(&asked, 2), calls(&asked, 3)), (1, 0));
        assert_eq!(stored(&store, &read_after(1, 0)).await, before);
        assert_eq!(store.load().await.unwrap().open, None);
    }
}

#[tokio::test]
async fn a_missing_tester_role_of_one_account_is_its_own_matter() {
    let store = store_up_to(3).await;
    let mut instagram = MockInstagram::new();
    renews(&mut instagram, Err(app_refusal()));
    answers(&mut instagram, |number| Ok(profile(number)));
    let refused = refresh(&ports(&store, instagram, DAY)).await;
    let RefreshAccountError::Instagram(error) = refused else { panic!("{refused:?}") };
    assert_eq!(error.kind, InstagramErrorKind::AppMisconfigured);
    assert_eq!(store.load().await.unwrap().open, None);
}

#[tokio::test]
async fn without_another_account_one_refusal_of_the_app_opens_the_breaker() {
    let store = store_up_to(1).await;
    let mut instagram = MockInstagram::new();
    renews(&mut instagram, Err(app_refusal()));
    let refused = refresh(&ports(&store, instagram, DAY)).await;
    let RefreshAccountError::Instagram(error) = refused else { panic!("{refused:?}") };
    assert_eq!(error.kind, InstagramErrorKind::AppMisconfigured);
    let open = store.load().await.unwrap().open.unwrap();
    assert_eq!((open.cause, open.since_time), (TroubleCause::AppMisconfigured, START + DAY));
}

#[tokio::test]
async fn a_witness_that_is_well_closes_the_breaker() {
    let store = store_up_to(2).await;
    store.open(TroubleCause::InstagramUnavailable, START).await.unwrap();
    let mut instagram = MockInstagram::new();
    renews(&mut instagram, Err(refusal()));
    answers(&mut instagram, |number| match number {
        1 => Err(refusal()),
        number => Ok(profile(number)),
    });
    refresh(&ports(&store, instagram, DAY)).await;
    let breaker = store.load().await.unwrap();
    assert_eq!((breaker.open, breaker.close_time), (None, Some(START + DAY)));
}

/// Another replica closes and opens it while the witness is asked.
#[tokio::test]
async fn a_witness_that_is_well_leaves_a_later_opening_alone() {
    let store = store_up_to(2).await;
    store.open(TroubleCause::InstagramUnavailable, START).await.unwrap();
    let mut instagram = MockInstagram::new();
    renews(&mut instagram, Err(refusal()));
    let others = store.clone();
    answers(&mut instagram, move |number| {
        if number == 1 {
            return Err(refusal());
        }
        assert!(others.close(START, START).now_or_never().unwrap().unwrap());
        let opened = others.open(TroubleCause::InstagramUnavailable, START + DAY / 2);
        assert!(opened.now_or_never().unwrap().unwrap());
        Ok(profile(number))
    });
    refresh(&ports(&store, instagram, DAY)).await;
    let open = store.load().await.unwrap().open;
    assert_eq!(open.map(|open| open.since_time), Some(START + DAY / 2));
}

/// Another replica reads its profile, too, and stores what it read first.
#[tokio::test]
async fn the_reading_of_a_witness_takes_no_newer_one_back() {
    let store = store_up_to(2).await;
    let mut instagram = MockInstagram::new();
    renews(&mut instagram, Err(refusal()));
    let others = store.clone();
    answers(&mut instagram, move |number| {
        if number == 1 {
            return Err(refusal());
        }
        let newer = read_after(2, 48);
        others.update(&newer, &read_after(2, 8), None).now_or_never().unwrap().unwrap();
        Ok(profile(number))
    });
    let refused = refresh(&ports(&store, instagram, DAY)).await;
    assert!(matches!(refused, RefreshAccountError::ReauthorizationRequired(_)), "{refused:?}");
    assert_eq!(stored(&store, &read_after(2, 0)).await.0, read_after(2, 48));
}

#[tokio::test]
async fn a_marked_account_that_is_refused_still_needs_no_witness() {
    let store = store_up_to(2).await;
    let mut instagram = MockInstagram::new();
    renews(&mut instagram, Err(refusal()));
    let asked = answers(&mut instagram, |number| match number {
        1 => Err(refusal()),
        number => Ok(profile(number)),
    });
    let ports = ports(&store, instagram, DAY);
    for _ in 0..2 {
        refresh(&ports).await;
    }
    assert_eq!(calls(&asked, 2), 1);
}
