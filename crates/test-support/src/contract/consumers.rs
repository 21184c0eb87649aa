//! Consumers: each is held by one stream at a time, and its cursor moves by what is committed.
#![expect(clippy::indexing_slicing, reason = "a promise that finds too little is broken")]

use std::time::Duration;

use ig_domain::ports::{ConsumerKey, ConsumerState, Consumers, HeldConsumer, MAX_CONSUMERS, Taken};
use ig_domain::{EventPosition, LogId};
use uuid::Uuid;

use super::StoreUnderTest;
use super::samples::{count_at_once, holder};
use crate::builders::parsed;

const HOUR: Duration = Duration::from_hours(1);
const WINDOW: Duration = Duration::from_hours(14 * 24);

fn key(name: &str) -> ConsumerKey {
    ConsumerKey { caller: parsed("publisher"), name: parsed(name) }
}

/// The committed cursor; `None` where there is no consumer, or no cursor of this log.
///
/// # Panics
///
/// When the store fails.
pub async fn committed(consumers: &dyn Consumers, key: &ConsumerKey) -> Option<EventPosition> {
    let states = consumers.list(WINDOW).await.unwrap();
    states.into_iter().find(|state| state.key == *key)?.committed
}

fn keeping(number: u8, advance: Option<(i64, EventPosition)>) -> [HeldConsumer; 1] {
    [HeldConsumer { holder: holder(number), advance }]
}

/// And none is made.
pub async fn a_consumer_without_a_cursor_is_not_taken(store: &dyn StoreUnderTest) {
    let consumers = store.ports().consumers;
    assert_eq!(consumers.take(&key("a"), holder(1), None).await.unwrap(), Taken::NoCursor);
    assert_eq!(consumers.list(WINDOW).await.unwrap(), []);
}

/// The others wait until it is given back, or its holder was not heard of for its lease.
pub async fn one_at_a_time_holds_a_consumer(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let position = ports.link_some(1..=1).await[0];
    let take =
        async |number, from| ports.consumers.take(&key("a"), holder(number), from).await.unwrap();
    assert_eq!(take(1, Some(&position)).await, Taken::Held(position));
    assert_eq!(take(2, None).await, Taken::Busy);
    assert_eq!(take(2, Some(&position)).await, Taken::Busy);
    assert_eq!(take(1, None).await, Taken::Held(position), "the answer may have been lost");
    ports.consumers.release(&[holder(2)]).await.unwrap();
    assert_eq!(take(2, None).await, Taken::Busy);
    ports.consumers.release(&[holder(1)]).await.unwrap();
    assert_eq!(take(2, None).await, Taken::Held(position));
    store.end_leases().await;
    assert_eq!(take(3, None).await, Taken::Held(position));
    let held = [holder(2), holder(3)].map(|holder| HeldConsumer { holder, advance: None });
    assert_eq!(ports.consumers.keep(&held).await.unwrap(), [holder(3)]);
    store.set_clock_back().await;
    assert_eq!(take(4, None).await, Taken::Held(position));
}

/// While its holder says so.
pub async fn a_consumer_that_is_kept_is_held_for_a_lease_more(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let position = ports.link_some(1..=1).await[0];
    ports.consumers.take(&key("a"), holder(1), Some(&position)).await.unwrap();
    store.end_leases().await;
    assert_eq!(ports.consumers.keep(&keeping(1, None)).await.unwrap(), [holder(1)]);
    assert_eq!(ports.consumers.take(&key("a"), holder(2), None).await.unwrap(), Taken::Busy);
}

/// Whatever the order in which they come.
pub async fn of_many_that_take_a_consumer_one_holds_it(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let position = ports.link_some(1..=1).await[0];
    let held = count_at_once(|number| {
        let consumers = ports.consumers.clone();
        async move {
            let taken = consumers.take(&key("a"), holder(number), Some(&position)).await.unwrap();
            taken == Taken::Held(position)
        }
    });
    assert_eq!(held.await, 1);
}

/// Backwards too, but not while another holds it.
pub async fn a_cursor_moves_to_where_its_taker_says(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let positions = ports.link_some(1..=2).await;
    let take =
        async |number, from| ports.consumers.take(&key("a"), holder(number), from).await.unwrap();
    take(1, Some(&positions[1])).await;
    assert_eq!(take(2, Some(&positions[0])).await, Taken::Busy);
    assert_eq!(committed(&*ports.consumers, &key("a")).await, Some(positions[1]));
    ports.consumers.release(&[holder(1)]).await.unwrap();
    assert_eq!(take(2, Some(&positions[0])).await, Taken::Held(positions[0]));
    assert_eq!(committed(&*ports.consumers, &key("a")).await, Some(positions[0]));
}

/// With or without a stream, and by whoever holds it.
pub async fn a_commit_moves_the_cursor_forwards_only(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let positions = ports.link_some(1..=2).await;
    let commit = async |position| ports.consumers.commit(&key("a"), position).await.unwrap();
    for (number, found) in [(0, 0), (1, 1), (0, 1)] {
        assert!(commit(&positions[number]).await);
        assert_eq!(committed(&*ports.consumers, &key("a")).await, Some(positions[found]));
    }
    ports.consumers.take(&key("a"), holder(1), Some(&positions[0])).await.unwrap();
    commit(&positions[1]).await;
    assert_eq!(committed(&*ports.consumers, &key("a")).await, Some(positions[1]));
    let log = LogId::from_uuid(Uuid::from_u128(7));
    let of_another = EventPosition { log, ..positions[0] };
    commit(&of_another).await;
    assert_eq!(committed(&*ports.consumers, &key("a")).await, None, "no cursor of this log");
    commit(&positions[0]).await;
    assert_eq!(committed(&*ports.consumers, &key("a")).await, Some(positions[0]));
}

/// Never past what was sent and is not committed, and never by one that was replaced.
pub async fn a_cursor_moves_by_itself_where_all_that_was_sent_is_committed(
    store: &dyn StoreUnderTest,
) {
    let ports = store.ports();
    let positions = ports.link_some(1..=4).await;
    ports.consumers.take(&key("a"), holder(1), Some(&positions[0])).await.unwrap();
    let advance = async |number, sent, to: usize| {
        let held = keeping(number, Some((sent, positions[to])));
        ports.consumers.keep(&held).await.unwrap();
        committed(&*ports.consumers, &key("a")).await.unwrap().number
    };
    assert_eq!(advance(1, 2, 2).await, 1, "2 was sent, 1 is committed");
    ports.consumers.commit(&key("a"), &positions[1]).await.unwrap();
    assert_eq!(advance(1, 2, 2).await, 3);
    assert_eq!(advance(1, 2, 1).await, 3, "never backwards");
    assert_eq!(advance(2, 2, 3).await, 3, "another does not hold it");
    let log = LogId::from_uuid(Uuid::from_u128(7));
    let other = keeping(1, Some((2, EventPosition { log, ..positions[3] })));
    ports.consumers.keep(&other).await.unwrap();
    assert_eq!(advance(1, 2, 3).await, 4);
    assert_eq!(committed(&*ports.consumers, &key("a")).await, Some(positions[3]));
}

/// Nor does one app take from another.
pub async fn the_same_name_of_another_caller_is_another_consumer(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let other = ConsumerKey { caller: parsed("reporter"), ..key("a") };
    let position = ports.link_some(1..=1).await[0];
    let of_other_app = store.of_app(parsed("7")).consumers;
    ports.consumers.take(&key("a"), holder(1), Some(&position)).await.unwrap();
    for (consumers, key) in [(&ports.consumers, &other), (&of_other_app, &key("a"))] {
        assert_eq!(committed(&**consumers, key).await, None);
        let taken = consumers.take(key, holder(2), Some(&position)).await.unwrap();
        assert_eq!(taken, Taken::Held(position));
        assert!(consumers.remove(key).await.unwrap());
        assert!(!consumers.remove(key).await.unwrap());
    }
    assert_eq!(committed(&*ports.consumers, &key("a")).await, Some(position));
}

/// Whether by a stream or by a commit; those that are there go on.
pub async fn a_caller_has_no_more_than_its_consumers(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let position = ports.link_some(1..=1).await[0];
    for number in 1..=MAX_CONSUMERS {
        assert!(ports.consumers.commit(&key(&format!("c{number}")), &position).await.unwrap());
    }
    let taken = ports.consumers.take(&key("more"), holder(1), Some(&position)).await.unwrap();
    assert_eq!(taken, Taken::TooMany);
    assert!(!ports.consumers.commit(&key("more"), &position).await.unwrap());
    assert_eq!(committed(&*ports.consumers, &key("more")).await, None);
    let taken = ports.consumers.take(&key("c1"), holder(1), Some(&position)).await.unwrap();
    assert_eq!(taken, Taken::Held(position));
    let other = ConsumerKey { caller: parsed("reporter"), ..key("more") };
    assert!(ports.consumers.commit(&other, &position).await.unwrap());
}

/// First its cursor, a window later its name. An open stream keeps it.
pub async fn a_consumer_that_nobody_opens_is_forgotten(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let position = ports.link_some(1..=1).await[0];
    ports.consumers.commit(&key("left"), &position).await.unwrap();
    ports.consumers.take(&key("open"), holder(1), Some(&position)).await.unwrap();
    let after_a_window = async || {
        store.age_events(WINDOW).await;
        ports.consumers.keep(&keeping(1, None)).await.unwrap();
        ports.event_log.purge(WINDOW, 9).await.unwrap();
        let states = ports.consumers.list(WINDOW).await.unwrap();
        states.into_iter().map(|state| (state.key, state.committed.is_some())).collect::<Vec<_>>()
    };
    assert_eq!(after_a_window().await, [(key("left"), false), (key("open"), true)]);
    assert_eq!(after_a_window().await, [(key("open"), true)]);
}

/// Also where no event is behind its cursor. Without one nothing is left.
pub async fn a_consumer_that_nobody_opens_has_less_and_less_left(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let position = ports.link_some(1..=1).await[0];
    ports.consumers.commit(&key("left"), &position).await.unwrap();
    ports.consumers.take(&key("open"), holder(1), Some(&position)).await.unwrap();
    let left_after = async |span| {
        store.age_events(span).await;
        ports.consumers.keep(&keeping(1, None)).await.unwrap();
        let states = ports.consumers.list(WINDOW).await.unwrap();
        states.into_iter().map(|state| state.window_left).collect::<Vec<_>>()
    };
    let [left, open] = left_after(HOUR).await[..] else { panic!("two consumers") };
    assert!(
        (WINDOW.saturating_sub(HOUR * 2)..=WINDOW.saturating_sub(HOUR)).contains(&left),
        "{left:?}"
    );
    assert_eq!(open, WINDOW);
    assert_eq!(left_after(WINDOW).await, [Duration::ZERO, WINDOW]);
    ports.event_log.purge(WINDOW, 9).await.unwrap();
    assert_eq!(left_after(Duration::ZERO).await, [Duration::ZERO, WINDOW], "its cursor is taken");
}

/// By caller and name, with what is behind each.
pub async fn consumers_are_listed_with_their_lag(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let positions = ports.link_some(1..=2).await;
    store.age_events(HOUR).await;
    let head = ports.link_some(3..=3).await[0];
    ports.consumers.commit(&key("at-head"), &head).await.unwrap();
    ports.consumers.take(&key("behind"), holder(1), Some(&positions[0])).await.unwrap();
    let log = LogId::from_uuid(Uuid::from_u128(7));
    let of_another = EventPosition { log, ..positions[0] };
    ports.consumers.commit(&key("other-log"), &of_another).await.unwrap();
    let states = ports.consumers.list(WINDOW).await.unwrap();
    let [at_head, behind, other_log] = &states[..] else { panic!("{states:?}") };
    let expected = ConsumerState {
        key: key("at-head"),
        committed: Some(head),
        is_held: false,
        lag_events: 0,
        lag: Duration::ZERO,
        window_left: at_head.window_left,
    };
    assert_eq!(*at_head, expected);
    assert!(
        (WINDOW.saturating_sub(HOUR)..=WINDOW).contains(&at_head.window_left),
        "{:?}",
        at_head.window_left
    );
    assert_eq!((&behind.key, behind.committed), (&key("behind"), Some(positions[0])));
    assert_eq!((behind.is_held, behind.lag_events), (true, 2));
    assert!((HOUR..HOUR * 2).contains(&behind.lag), "{:?}", behind.lag);
    assert_eq!(behind.window_left, WINDOW.saturating_sub(behind.lag));
    assert_eq!((other_log.committed, other_log.window_left), (None, Duration::ZERO));
    assert_eq!(other_log.lag_events, 3);
    store.age_events(WINDOW).await;
    ports.event_log.purge(WINDOW, 9).await.unwrap();
    ports.link_some(4..=4).await;
    ports.consumers.take(&key("late"), holder(2), Some(&positions[0])).await.unwrap();
    let late = ports.consumers.list(WINDOW).await.unwrap();
    let late = late.into_iter().find(|state| state.key == key("late")).unwrap();
    assert_eq!((late.lag_events, late.window_left), (1, Duration::ZERO));
}
