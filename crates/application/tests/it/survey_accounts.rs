//! Tests of surveys: one a minute, whoever asks, and everybody sees the last one.

use std::sync::Arc;
use std::time::Duration;

use ig_application::SurveyAccounts;
use ig_domain::ports::Surveys as _;
use ig_test_support::builders::{START, account};
use ig_test_support::{FakeClock, MemoryStore};

use crate::{empty_store, keep};

const MINUTE: Duration = Duration::from_mins(1);

fn replica(store: &MemoryStore, clock: &FakeClock) -> SurveyAccounts {
    SurveyAccounts { surveys: Arc::new(store.clone()), clock: Arc::new(clock.clone()) }
}

#[tokio::test]
async fn accounts_are_counted_once_a_minute_for_all_replicas() {
    let (store, clock) = (empty_store(), FakeClock::at(START));
    let (one, other) = (replica(&store, &clock), replica(&store, &clock));
    let first = one.execute().await.unwrap().unwrap();
    assert_eq!((first.time, first.active), (START, 0));
    keep(&store, &account(1, "shop/7", START)).await;
    clock.advance(Duration::from_secs(59));
    assert_eq!(other.execute().await.unwrap(), Some(first), "a minute is not over");
    clock.advance(Duration::from_secs(1));
    let second = other.execute().await.unwrap().unwrap();
    assert_eq!((second.time, second.active), (START + MINUTE, 1));
    assert_eq!(one.execute().await.unwrap(), Some(second));
}

#[tokio::test]
async fn a_replica_that_dies_in_its_turn_delays_the_next_survey_by_a_minute() {
    let (store, clock) = (empty_store(), FakeClock::at(START));
    let replica = replica(&store, &clock);
    assert!(store.take_turn(START, MINUTE).await.unwrap());
    assert_eq!(replica.execute().await.unwrap(), None);
    clock.advance(MINUTE);
    assert!(replica.execute().await.unwrap().is_some());
}

#[tokio::test]
async fn a_survey_of_a_clock_that_was_set_back_is_taken_anew() {
    let (store, clock) = (empty_store(), FakeClock::at(START));
    let mut ahead = store.survey(START + MINUTE * 60).await.unwrap();
    ahead.due = 7;
    store.keep(&ahead).await.unwrap();
    assert_eq!(replica(&store, &clock).execute().await.unwrap().unwrap().due, 0);
}
