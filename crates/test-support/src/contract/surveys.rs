//! Surveys: all accounts are counted as they are, by one replica's turn, for all replicas.

use std::collections::BTreeMap;
use std::time::Duration;

use ig_domain::ports::{OVERDUE_AFTER, Survey};
use ig_domain::{InstagramAccount, ReauthorizationReason, TroubleCause};
use time::OffsetDateTime;

use super::samples::{count_at_once, id};
use super::{Ports, StoreUnderTest};
use crate::builders::{self, START, parsed};

const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

async fn link(ports: &Ports, number: u8, change: impl FnOnce(&mut InstagramAccount)) {
    let mut account = builders::account(u32::from(number), "shop/7", START);
    change(&mut account);
    ports.link(number, &account, "IGAA-first").await;
}

/// Lets the visit of an account be due at `time`.
fn due_at(account: &mut InstagramAccount, time: OffsetDateTime) {
    account.token_expire_time = Some(account.token_expire_time.unwrap().max(time + DAY * 30));
    account.token_issue_time = Some(time - DAY * 30);
    account.profile_time = time - DAY * 2;
    account.failures.retry_time = Some(time);
}

fn fail(account: &mut InstagramAccount, cause: TroubleCause, now: OffsetDateTime) {
    account.visit_failed(now, Some(cause), 0, Duration::ZERO);
}

fn survey_of_nothing(now: OffsetDateTime) -> Survey {
    Survey {
        time: now,
        active: 0,
        reauthorization_required: 0,
        first_expire_time: None,
        due: 0,
        overdue: 0,
        longest_due_time: None,
        in_trouble: BTreeMap::new(),
        of_other_apps: 0,
    }
}

/// And none is the worst.
pub async fn an_empty_store_has_nothing_to_count(store: &dyn StoreUnderTest) {
    let surveys = store.ports().surveys;
    assert_eq!(surveys.survey(START).await.unwrap(), survey_of_nothing(START));
    assert_eq!(surveys.worst(START, 10).await.unwrap(), []);
    assert_eq!(surveys.last().await.unwrap(), None);
}

/// Each account counts wherever it belongs.
pub async fn accounts_are_counted_by_status_visit_and_trouble(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let now = START + DAY * 3;
    link(&ports, 1, |account| due_at(account, now)).await;
    link(&ports, 2, |account| due_at(account, now - OVERDUE_AFTER)).await;
    link(&ports, 3, |account| due_at(account, now - OVERDUE_AFTER + MINUTE)).await;
    link(&ports, 4, |account| {
        due_at(account, now + MINUTE);
        account.token_expire_time = Some(now + DAY);
    })
    .await;
    link(&ports, 5, |account| fail(account, TroubleCause::RateLimited, now)).await;
    link(&ports, 6, |account| fail(account, TroubleCause::RateLimited, now)).await;
    link(&ports, 7, |account| fail(account, TroubleCause::AppMisconfigured, now)).await;
    link(&ports, 8, |account| {
        account.refused = Some(ReauthorizationReason::TokenRevoked);
        account.update_time = now;
    })
    .await;
    let expected = Survey {
        active: 7,
        reauthorization_required: 1,
        first_expire_time: Some(now + DAY),
        due: 3,
        overdue: 1,
        longest_due_time: Some(now - OVERDUE_AFTER),
        in_trouble: BTreeMap::from([
            (TroubleCause::RateLimited, 2),
            (TroubleCause::AppMisconfigured, 1),
        ]),
        ..survey_of_nothing(now)
    };
    assert_eq!(ports.surveys.survey(now).await.unwrap(), expected);
    assert_eq!(expected.lag(), OVERDUE_AFTER);
}

/// The sweep comes within a minute.
pub async fn an_expired_account_is_not_active_though_nobody_has_marked_it(
    store: &dyn StoreUnderTest,
) {
    let ports = store.ports();
    let end = START + DAY * 10;
    link(&ports, 1, |account| account.token_expire_time = Some(end)).await;
    link(&ports, 2, |account| account.token_expire_time = Some(end + MINUTE)).await;
    let survey = ports.surveys.survey(end).await.unwrap();
    assert_eq!((survey.active, survey.reauthorization_required), (1, 1));
    assert_eq!(survey.first_expire_time, Some(end + MINUTE));
}

/// Each once, with the moment of its next visit; the dead are none of them.
pub async fn the_worst_are_those_in_trouble_or_overdue_soonest_expiry_first(
    store: &dyn StoreUnderTest,
) {
    let ports = store.ports();
    let now = START + DAY * 3;
    let overdue = now - OVERDUE_AFTER - MINUTE;
    let expiring = |account: &mut InstagramAccount, days| {
        account.token_expire_time = Some(now + DAY * days);
    };
    link(&ports, 1, |account| {
        fail(account, TroubleCause::RateLimited, now);
        expiring(account, 9);
    })
    .await;
    link(&ports, 2, |account| {
        due_at(account, overdue);
        expiring(account, 7);
    })
    .await;
    link(&ports, 3, |account| {
        fail(account, TroubleCause::InstagramUnavailable, now);
        due_at(account, overdue);
        expiring(account, 8);
    })
    .await;
    link(&ports, 4, |account| {
        due_at(account, now);
        expiring(account, 1);
    })
    .await;
    link(&ports, 5, |account| {
        due_at(account, overdue);
        expiring(account, 2);
        account.refused = Some(ReauthorizationReason::Checkpoint);
        account.update_time = overdue - DAY;
    })
    .await;
    let worst = ports.surveys.worst(now, 10).await.unwrap();
    let ids: Vec<_> = worst.iter().map(|one| one.account.id).collect();
    assert_eq!(ids, [id(2), id(3), id(1)]);
    assert_eq!(worst.first().unwrap().next_visit_time, Some(overdue));
    assert_eq!(worst.last().unwrap().account, ports.stored(id(1)).await.unwrap().0);
    assert_eq!(ports.surveys.worst(now, 2).await.unwrap(), worst.get(..2).unwrap());
}

/// Of all replicas together.
pub async fn one_replica_takes_the_turn_in_an_interval(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let turns = |now| {
        let ports = ports.clone();
        count_at_once(move |_| {
            let ports = ports.clone();
            async move { ports.surveys.take_turn(now, MINUTE).await.unwrap() }
        })
    };
    assert_eq!(turns(START).await, 1);
    assert_eq!(turns(START + MINUTE - Duration::from_secs(1)).await, 0);
    assert_eq!(turns(START + MINUTE).await, 1);
    assert_eq!(ports.surveys.last().await.unwrap(), None, "a turn is no survey yet");
}

/// Else nobody would survey until that clock comes there again.
pub async fn a_turn_of_a_clock_that_was_set_back_counts_as_none(store: &dyn StoreUnderTest) {
    let surveys = store.ports().surveys;
    assert!(surveys.take_turn(START + DAY, MINUTE).await.unwrap());
    assert!(surveys.take_turn(START, MINUTE).await.unwrap());
    assert!(!surveys.take_turn(START, MINUTE).await.unwrap());
}

/// A later one takes its place, whoever has the turn.
pub async fn every_number_of_the_last_survey_survives(store: &dyn StoreUnderTest) {
    let surveys = store.ports().surveys;
    let full = Survey {
        time: START + Duration::from_micros(1),
        active: 9_007_199_254_740_993,
        reauthorization_required: 2,
        first_expire_time: Some(START + Duration::from_micros(2)),
        due: 3,
        overdue: 4,
        longest_due_time: Some(START + Duration::from_micros(3)),
        in_trouble: (1..).zip(TroubleCause::ALL).map(|(number, cause)| (cause, number)).collect(),
        of_other_apps: 5,
    };
    surveys.keep(&full).await.unwrap();
    assert_eq!(surveys.last().await.unwrap(), Some(full));
    assert!(surveys.take_turn(START, MINUTE).await.unwrap(), "a survey takes no turn");
    surveys.keep(&survey_of_nothing(START)).await.unwrap();
    assert_eq!(surveys.last().await.unwrap(), Some(survey_of_nothing(START)));
    assert!(!surveys.take_turn(START, MINUTE).await.unwrap(), "and gives none back");
}

/// Their surveys and turns are others, too.
pub async fn accounts_of_another_app_are_counted_apart(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let others = ["2", "99999999999999999"].map(|app| store.of_app(parsed(app)));
    let now = START + DAY * 3;
    link(&others[0], 1, |account| due_at(account, now - DAY)).await;
    link(&others[0], 2, |account| fail(account, TroubleCause::RateLimited, now)).await;
    link(&others[1], 3, |_| {}).await;
    let survey = ports.surveys.survey(now).await.unwrap();
    assert_eq!(survey, Survey { of_other_apps: 3, ..survey_of_nothing(now) });
    assert_eq!(ports.surveys.worst(now, 10).await.unwrap(), []);
    ports.surveys.keep(&survey).await.unwrap();
    assert!(ports.surveys.take_turn(now, MINUTE).await.unwrap());
    assert_eq!(others[0].surveys.last().await.unwrap(), None);
    assert!(others[0].surveys.take_turn(now, MINUTE).await.unwrap());
}
