//! Tests of throttling: renewals and readings wait for the time that Instagram named.

use std::sync::Arc;
use std::time::Duration;

use ig_application::{Ports, RefreshAccountError, RefreshWork, TokenOutcome};
use ig_domain::ports::{InstagramError, InstagramErrorKind, MockInstagram};
use ig_domain::{AccountId, InstagramAccount};
use ig_test_support::FakeClock;
use ig_test_support::builders::{START, account, profile};
use rstest::rstest;

use crate::instagram_script::{failure, renews};
use crate::{empty_store, keep_with_token, ports};

const DAY: Duration = Duration::from_hours(24);
const MINUTE: Duration = Duration::from_mins(1);

fn linked(number: u32) -> InstagramAccount {
    account(number, "", START)
}

fn throttled(code: i64, retry_after: Duration) -> InstagramError {
    failure(InstagramErrorKind::RateLimited { retry_after }, code)
}

async fn refusal_of(ports: &Ports, id: AccountId) -> InstagramError {
    let refused = RefreshWork::new(ports).run(id).await;
    let Err(RefreshAccountError::Instagram(error)) = refused else { panic!("{refused:?}") };
    error
}

#[rstest]
#[case::app(4, true)]
#[case::app_too(613, true)]
#[case::account(17, false)]
#[case::block(368, false)]
#[tokio::test]
async fn a_throttled_renewal_is_answered_from_memory_until_its_time(
    #[case] code: i64,
    #[case] of_app: bool,
) {
    let (store, clock) = (empty_store(), FakeClock::at(START));
    for number in [1, 2] {
        keep_with_token(&store, &linked(number), &format!("IGAA-{number}")).await;
    }
    let mut instagram = MockInstagram::new();
    renews(&mut instagram, Err(throttled(code, MINUTE * 5)));
    renews(&mut instagram, Ok(()));
    if !of_app {
        renews(&mut instagram, Ok(()));
    }
    instagram.expect_profile().returning(|_| Ok(profile(1)));
    let ports = Ports { clock: Arc::new(clock.clone()), ..ports(&store, instagram, DAY) };
    clock.advance(DAY);
    assert_eq!(refusal_of(&ports, linked(1).id).await, throttled(code, MINUTE * 5));
    clock.advance(MINUTE);
    assert_eq!(refusal_of(&ports, linked(1).id).await, throttled(code, MINUTE * 4));
    let other = RefreshWork::new(&ports).run(linked(2).id).await;
    assert_eq!(other.is_err(), of_app, "{other:?}");
    clock.advance(MINUTE * 4);
    let refreshed = RefreshWork::new(&ports).run(linked(1).id).await.unwrap();
    assert_eq!(refreshed.token_outcome, TokenOutcome::Renewed);
}
