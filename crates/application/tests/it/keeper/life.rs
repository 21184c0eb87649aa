//! Life of many accounts under a keeper, on any store.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use ig_domain::DEFAULT_READING_INTERVAL;
use ig_domain::ports::Clock as _;
use ig_test_support::builders::START;
use ig_test_support::keeper::{CallKind, DAY, HOUR, Scene};

/// Links `accounts` accounts within an hour and lets `days` pass, hour by hour; then no account needed anything, each was
/// renewed as often as in `renewals`, and no hour had more than five times the mean number of calls.
pub(crate) async fn live(scene: &Scene, accounts: u32, days: u32, renewals: RangeInclusive<usize>) {
    for number in 1..=accounts {
        scene.link(number).await;
        scene.clock.advance(HOUR / accounts);
    }
    scene.pass(DAY * days, HOUR).await;
    let calls = scene.instagram.take_calls();
    let mut renewed: HashMap<u32, usize> = HashMap::new();
    let mut by_hour: HashMap<i64, usize> = HashMap::new();
    for call in &calls {
        *renewed.entry(call.number).or_default() += usize::from(call.kind == CallKind::Renewal);
        *by_hour.entry((call.time - START).whole_hours()).or_default() += 1;
    }
    for number in 1..=accounts {
        let times = *renewed.get(&number).unwrap();
        assert!(renewals.contains(&times), "account {number} was renewed {times} times");
        let account = scene.stored(number).await;
        assert_eq!((account.refused, account.failures.trouble), (None, None));
        assert!(account.token_expire_time > scene.clock.now() + DAY * 20);
        assert!(account.profile_time + DEFAULT_READING_INTERVAL + HOUR * 2 > scene.clock.now());
    }
    let hours = usize::try_from(days * 24).unwrap();
    let (most, mean) = (by_hour.values().max().copied().unwrap(), calls.len() / hours);
    assert!(most <= mean * 5, "{most} calls in an hour, {mean} in the mean");
}
