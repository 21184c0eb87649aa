use tokio::sync::oneshot::error::TryRecvError;

use super::*;

fn key(number: u64) -> BatchKey {
    BatchKey::Instagram(number.to_string().parse().unwrap())
}

fn keys(group: Option<Vec<Waiting<BatchKey>>>) -> Vec<BatchKey> {
    group.unwrap_or_default().into_iter().map(|waiting| waiting.key).collect()
}

#[tokio::test]
async fn who_comes_while_a_query_runs_goes_with_the_next_one() {
    let reads = Arc::new(GatheredReads::<BatchKey>::default());
    let (_first, place) = reads.queue_up(key(1)).unwrap();
    let mut place = place.expect("it begins at once");
    assert_eq!(keys(place.next_group()), [key(1)]);
    let last = MIN_BESIDE as u64 + 1;
    let few: Vec<_> = (2..last).map(|number| reads.queue_up(key(number)).unwrap()).collect();
    assert!(few.iter().all(|(_, place)| place.is_none()));
    let (_last, beside) = reads.queue_up(key(last)).unwrap();
    let mut beside = beside.expect("enough wait for another query");
    let expected: Vec<_> = (2..=last).map(key).collect();
    assert_eq!(keys(beside.next_group()), expected);
    let waiting: Vec<_> = (100..200).map(|number| reads.queue_up(key(number)).unwrap()).collect();
    assert!(waiting.iter().all(|(_, place)| place.is_none()));
    let expected: Vec<_> = (100..200).map(key).collect();
    assert_eq!(keys(place.next_group()), expected[..MAX_GATHERED]);
    assert_eq!(keys(beside.next_group()), expected[MAX_GATHERED..]);
    let (_other, none) = reads.queue_up(key(2)).unwrap();
    assert!(none.is_none() && beside.next_group().is_none(), "too few for two queries");
    assert_eq!(keys(place.next_group()), [key(2)]);
    assert!(place.next_group().is_none());
    assert!(reads.queue_up(key(1)).unwrap().1.is_some(), "the place is free");
}

#[tokio::test]
async fn whose_caller_has_left_is_not_read() {
    let reads = Arc::new(GatheredReads::<BatchKey>::default());
    let (gone, place) = reads.queue_up(key(1)).unwrap();
    let _other = reads.queue_up(key(2)).unwrap();
    drop(gone);
    assert_eq!(keys(place.unwrap().next_group()), [key(2)]);
}

/// As where its task panicked.
#[tokio::test]
async fn a_place_that_is_dropped_is_free() {
    let reads = Arc::new(GatheredReads::<BatchKey>::default());
    for _ in 0..3 {
        let (_, place) = reads.queue_up(key(1)).unwrap();
        drop(place.expect("a place is free"));
    }
    assert_eq!(reads.lock().queries, 0);
}

#[tokio::test]
async fn who_waits_for_the_last_place_that_is_dropped_fails_at_once() {
    let reads = Arc::new(GatheredReads::<BatchKey>::default());
    let (_first, place) = reads.queue_up(key(1)).unwrap();
    let mut place = place.unwrap();
    assert_eq!(keys(place.next_group()), [key(1)]);
    let enough = (2..).take(MIN_BESIDE);
    let mut others: Vec<_> = enough.map(|number| reads.queue_up(key(number)).unwrap()).collect();
    let beside = others.last_mut().unwrap().1.take().expect("enough wait for another query");
    drop(place);
    assert!(
        others.iter_mut().all(|(answer, _)| answer.try_recv().err() == Some(TryRecvError::Empty))
    );
    drop(beside);
    assert!(
        others.iter_mut().all(|(answer, _)| answer.try_recv().err() == Some(TryRecvError::Closed))
    );
}

#[tokio::test]
async fn reads_that_wait_are_bounded() {
    let reads = Arc::new(GatheredReads::<BatchKey>::default());
    let waiting: Vec<_> =
        (0..MAX_WAITING as u64).map(|number| reads.queue_up(key(number)).unwrap()).collect();
    assert!(matches!(reads.queue_up(key(1)), Err(StoreError::Overloaded(_))));
    drop(waiting);
}
