//! A year in the life of many accounts under a keeper, on each database.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ig_adapters::persistence::SeaOrmStore;
use ig_application::StorePorts;
use ig_domain::ports::{Clock as _, CountedEvent, VisitOutcome};
use ig_domain::{InstagramAccount, KeepingPlan};
use ig_test_support::builders::{START, account, parsed};
use ig_test_support::keeper::{Call, CallKind, DAY, HOUR, Scene, Stage, TOKEN_LIFETIME};
use rstest::rstest;
use time::OffsetDateTime;

use super::fixture::{On, key, store};

const ACCOUNTS: u32 = 500;
const DAYS: u32 = 365;

/// Time between two readings of a profile. Readings each day would be 180,000 visits, which take minutes.
const READING_INTERVAL: Duration = DAY.saturating_mul(8);

/// Time between two looks of the keeper: that of a process that was down all day, every day.
const LOOK_INTERVAL: Duration = DAY;

/// Maximum number of visits at the same time: more than are due at one look.
const IN_FLIGHT: usize = 128;

/// A keeper that looks each second makes a call in the hour in which it is due.
#[rstest]
#[tokio::test]
async fn five_hundred_accounts_live_through_a_year(#[values(On::Sqlite, On::Postgres)] on: On) {
    let database = on.migrated().await;
    let scene = scene(store(Arc::clone(database.database()), parsed("990602627938098"), &key(1)));
    let mut lives = HashMap::new();
    for number in 1..=ACCOUNTS {
        scene.link(number).await;
        lives.insert(number, Life::new(number, scene.clock.now()));
        scene.clock.advance(HOUR / ACCOUNTS);
    }
    let first_look = scene.clock.now() + LOOK_INTERVAL;
    scene.pass(DAY * DAYS, LOOK_INTERVAL).await;
    assert_eq!(scene.events(is_trouble), 0);
    let calls = scene.instagram.take_calls();
    let mut due_in_hour: HashMap<i64, usize> = HashMap::new();
    for call in &calls {
        let due = lives.get_mut(&call.number).unwrap().due(call);
        let next_look = first_look.max(due + LOOK_INTERVAL);
        assert!(due <= call.time && call.time <= next_look, "{call:?} was due at {due}");
        *due_in_hour.entry((due - START).whole_hours()).or_default() += 1;
    }
    let (most, hours) = (due_in_hour.values().max().unwrap(), usize::try_from(DAYS * 24).unwrap());
    assert!(most * hours <= 5 * calls.len(), "{most} of {} in an hour", calls.len());
    for (number, Life { renewals, .. }) in lives {
        assert!((10..=15).contains(&renewals), "account {number} was renewed {renewals} times");
        assert_well(&scene, number).await;
    }
}

fn scene(store: SeaOrmStore) -> Scene {
    let plan = KeepingPlan { reading_interval: READING_INTERVAL, ..KeepingPlan::default() };
    Scene::new(Stage {
        store: StorePorts::of(Arc::new(store.with_plan(plan.clone()))),
        call_time: Duration::ZERO,
        plan,
        in_flight: IN_FLIGHT,
    })
}

/// Whether a visit ended otherwise than with all done that was due.
fn is_trouble(event: &CountedEvent) -> bool {
    matches!(event, CountedEvent::VisitEnded { outcome, .. } if *outcome != VisitOutcome::Done)
}

/// Fails unless the account is kept alive and nobody has to do anything for it.
async fn assert_well(scene: &Scene, number: u32) {
    let (account, now) = (scene.stored(number).await, scene.clock.now());
    assert_eq!((account.refused, account.failures.trouble), (None, None));
    assert!(account.token_expire_time.unwrap() > now + DAY * 20, "{account:?}");
    assert!(account.profile_time + READING_INTERVAL + LOOK_INTERVAL > now, "{account:?}");
}

/// An account as its calls leave it.
struct Life {
    account: InstagramAccount,
    renewals: usize,
}

impl Life {
    fn new(number: u32, link_time: OffsetDateTime) -> Self {
        Self { account: account(number, "shop/7", link_time), renewals: 0 }
    }

    /// Moment at which `call` was due, by the last call of its kind.
    fn due(&mut self, call: &Call) -> OffsetDateTime {
        let account = &mut self.account;
        match call.kind {
            CallKind::Renewal => {
                let due = account.renewal_time();
                self.renewals += 1;
                account.token_issue_time = Some(call.time);
                account.token_expire_time = Some(call.time + TOKEN_LIFETIME);
                due
            }
            CallKind::Reading => {
                let due = account.reading_time(READING_INTERVAL);
                account.profile_time = call.time;
                due
            }
            CallKind::Subscription | CallKind::Subscribe | CallKind::Unsubscribe => {
                panic!("nothing is subscribed: {call:?}")
            }
        }
    }
}
