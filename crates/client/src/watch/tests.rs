use std::time::Duration;

use futures_util::stream::{iter, pending};
use rstest::rstest;
use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, Status};

use super::*;
use crate::credentials::Credentials;
use crate::fake_service::{FakeService, Messages, refused};

/// A message with these events, whose cursor is the last of them.
fn message(events: &[&str]) -> v1::WatchResponse {
    let event = |id: &&str| v1::Event { event_id: (*id).to_owned(), ..Default::default() };
    let cursor = events.last().expect("an event").to_string();
    v1::WatchResponse { events: events.iter().map(event).collect(), cursor, ..Default::default() }
}

fn heartbeat(cursor: &str) -> v1::WatchResponse {
    v1::WatchResponse { cursor: cursor.to_owned(), ..Default::default() }
}

/// A stream that sends these messages, and then breaks.
fn breaking(messages: Vec<v1::WatchResponse>) -> Messages {
    ending(messages, Status::unavailable("the replica went away during the call"))
}

fn ending(messages: Vec<v1::WatchResponse>, end: Status) -> Messages {
    iter(messages.into_iter().map(Ok).chain([Err(end)])).boxed()
}

/// A stream that sends these messages, and nothing more.
fn falling_silent(messages: Vec<v1::WatchResponse>) -> Messages {
    iter(messages.into_iter().map(Ok)).chain(pending()).boxed()
}

/// A service whose streams are made so, by their number.
fn service(stream: fn(usize) -> Result<Messages, Status>) -> FakeService {
    FakeService::default()
        .on_watch(move |number, _| async move { stream(number) })
        .on_commit(|_, _| async { Ok(v1::CommitWatchResponse {}) })
}

/// A service whose requests are kept by it.
fn recording(
    stream: fn(usize) -> Messages,
) -> (FakeService, std::sync::Arc<std::sync::Mutex<Vec<v1::WatchRequest>>>) {
    let requests = std::sync::Arc::<std::sync::Mutex<Vec<_>>>::default();
    let kept = requests.clone();
    let service = FakeService::default().on_watch(move |number, request| {
        kept.lock().unwrap().push(request);
        async move { Ok(stream(number)) }
    });
    (service, requests)
}

/// The ids of the events of the next message.
async fn next(watch: &mut Watch) -> Vec<String> {
    let message = watch.next().await.expect("it goes on").unwrap();
    message.events.into_iter().map(|event| event.event_id).collect()
}

/// The end of a stream that has no more messages.
async fn end(watch: &mut Watch) -> WatchError {
    let end = timeout(Duration::from_hours(1), watch.next()).await.expect("it ends");
    end.expect("by an error").unwrap_err()
}

/// Times between the openings of streams.
fn delays(service: &FakeService) -> Vec<Duration> {
    let calls = service.calls("Watch");
    calls.windows(2).map(|pair| pair[1].time - pair[0].time).collect()
}

fn cursors(requests: &[v1::WatchRequest]) -> Vec<Option<From>> {
    requests.iter().map(|request| request.from.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_stream_goes_on_after_a_break_and_shows_no_event_twice() {
    let (service, requests) = recording(|number| match number {
        0 => breaking(vec![message(&["1", "2"]), message(&["3"])]),
        1 => breaking(vec![message(&["2", "3", "4"])]),
        _ => falling_silent(vec![message(&["4", "5"])]),
    });
    let mut watch = service.client().watch(WatchOptions::new().earliest());
    for expected in [&["1", "2"][..], &["3"], &["4"], &["5"]] {
        assert_eq!(next(&mut watch).await, expected);
    }
    let start = From::Start(v1::WatchStart::Earliest.into());
    let after = |cursor: &str| Some(From::After(cursor.to_owned()));
    assert_eq!(cursors(&requests.lock().unwrap()), [Some(start), after("3"), after("4")]);
}

#[tokio::test(start_paused = true)]
async fn the_beginning_is_asked_for_until_a_cursor_has_come() {
    let (service, requests) = recording(|number| match number {
        0 => breaking(Vec::new()),
        // Another stream holds the consumer.
        1 => breaking(vec![heartbeat("")]),
        2 => breaking(vec![heartbeat("0")]),
        _ => falling_silent(vec![message(&["1"])]),
    });
    let options = WatchOptions::new().after("0").consumer("copy");
    let mut watch = service.client().watch(options);
    assert_eq!(next(&mut watch).await, [""; 0]);
    assert_eq!(next(&mut watch).await, ["1"]);
    let first = Some(From::After("0".to_owned()));
    // What is committed is the consumer's own place: to name one would commit what is not done.
    assert_eq!(cursors(&requests.lock().unwrap()), [first.clone(), first.clone(), first, None]);
}

#[tokio::test(start_paused = true)]
async fn heartbeats_are_not_shown_but_for_a_cursor_that_moves() {
    let service = service(|_| {
        let caught_up = v1::WatchResponse { caught_up: true, ..heartbeat("2") };
        let messages = [heartbeat("1"), heartbeat("1"), heartbeat("2"), caught_up];
        Ok(falling_silent([messages.to_vec(), vec![message(&["3"])]].concat()))
    });
    let mut watch = service.client().watch(WatchOptions::new());
    let mut places = Vec::new();
    while places.len() < 4 {
        let message = watch.next().await.unwrap().unwrap();
        places.push((message.cursor, message.caught_up));
    }
    let expected = [("1", false), ("2", false), ("2", true), ("3", false)];
    assert_eq!(places, expected.map(|(cursor, caught_up)| (cursor.to_owned(), caught_up)));
}

#[tokio::test(start_paused = true)]
async fn delays_grow_while_streams_break_and_begin_anew_after_a_healthy_one() {
    let service = service(|number| {
        let message = message(&[number.to_string().as_str()]);
        match number {
            5 => {
                let lived = iter([Ok(heartbeat("5"))]).chain(futures_util::stream::once(async {
                    sleep(Duration::from_secs(5)).await;
                    Ok(heartbeat("5"))
                }));
                Ok(lived.chain(breaking(vec![message])).boxed())
            }
            8.. => Ok(falling_silent(vec![message])),
            _ => Ok(breaking(vec![message])),
        }
    });
    let mut watch = service.client().watch(WatchOptions::new());
    while next(&mut watch).await != ["8"] {}
    let delays = delays(&service);
    // The sixth stream lived for five seconds.
    for (delay, milliseconds) in
        delays.iter().zip([200, 600, 1_800, 5_000, 5_000, 5_200, 600, 1_800])
    {
        let least = Duration::from_millis(milliseconds);
        assert!(least <= *delay && *delay <= 2 * least + Duration::from_millis(10), "{delays:?}");
    }
    assert!(delays[5] < Duration::from_millis(5_500), "begun anew: {delays:?}");
}

/// What a stream did, and not when its consumer looks, shows whether it is healthy.
#[tokio::test(start_paused = true)]
async fn delays_grow_while_streams_break_however_slow_the_consumer_is() {
    let service = service(|number| {
        let messages = ["a", "b"].map(|part| message(&[&format!("{number}{part}")]));
        Ok(if number < 4 { breaking(messages.into()) } else { falling_silent(messages.into()) })
    });
    let mut watch = service.client().watch(WatchOptions::new());
    let mut delays = Vec::new();
    for number in 0..=4 {
        let begin = Instant::now();
        for part in ["a", "b"] {
            assert_eq!(next(&mut watch).await, [format!("{number}{part}")]);
            if part == "a" {
                delays.push(begin.elapsed());
            }
            sleep(Duration::from_secs(5)).await;
        }
    }
    for (delay, milliseconds) in delays[1..].iter().zip([200, 600, 1_800, 5_000]) {
        assert!(*delay >= Duration::from_millis(milliseconds), "{delays:?}");
    }
}

#[rstest]
#[case::as_long_as_the_service_asks(9, 9)]
#[case::and_no_longer_than_a_minute(3_600, 60)]
#[tokio::test(start_paused = true)]
async fn a_stream_waits(#[case] asked: u64, #[case] waited: u64) {
    let service = FakeService::default().on_watch(move |number, _| async move {
        if number == 0 {
            return Err(refused(Code::ResourceExhausted, "OVERLOADED", Some(asked)));
        }
        Ok(falling_silent(vec![message(&["1"])]))
    });
    let begin = Instant::now();
    next(&mut service.client().watch(WatchOptions::new())).await;
    assert_eq!(begin.elapsed().as_secs(), waited);
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_given_up() {
    let service = service(|number| match number {
        0 => Ok(falling_silent(vec![message(&["1"])])),
        _ => Ok(falling_silent(vec![message(&["2"])])),
    });
    let mut watch = service.client().watch(WatchOptions::new());
    assert_eq!(next(&mut watch).await, ["1"]);
    let begin = Instant::now();
    assert_eq!(next(&mut watch).await, ["2"]);
    assert!((20..21).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_answer_is_given_up() {
    let service = FakeService::default().on_watch(|number, _| async move {
        if number == 0 {
            std::future::pending().await
        } else {
            Ok(falling_silent(vec![message(&["1"])]))
        }
    });
    let begin = Instant::now();
    next(&mut service.client().watch(WatchOptions::new())).await;
    assert!((20..21).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
}

#[rstest]
#[case::cursor(Code::OutOfRange, "CURSOR_EXPIRED", |end: &WatchError| matches!(end, WatchError::CursorExpired(_)))]
#[case::caller(Code::Unauthenticated, "UNAUTHENTICATED", |end: &WatchError| matches!(end, WatchError::Unauthenticated(_)))]
#[case::rights(Code::PermissionDenied, "PERMISSION_DENIED", |end: &WatchError| matches!(end, WatchError::PermissionDenied(_)))]
#[case::request(Code::InvalidArgument, "INVALID_FIELD", |end: &WatchError| matches!(end, WatchError::Refused(_)))]
#[tokio::test(start_paused = true)]
async fn a_stream_ends_where_only_another_beginning_helps(
    #[case] code: Code,
    #[case] reason: &'static str,
    #[case] is: fn(&WatchError) -> bool,
    #[values(false, true)] as_it_runs: bool,
) {
    let service = FakeService::default().on_watch(move |_, _| async move {
        let end = refused(code, reason, None);
        if as_it_runs { Ok(ending(vec![message(&["1"])], end)) } else { Err(end) }
    });
    let mut watch = service.client().watch(WatchOptions::new());
    if as_it_runs {
        assert_eq!(next(&mut watch).await, ["1"]);
    }
    let end = end(&mut watch).await;
    assert!(is(&end), "{end:?}");
    assert_eq!(end.refusal().reason().unwrap().as_str(), reason);
    assert!(watch.next().await.is_none());
    assert_eq!(service.calls("Watch").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_bearer_token_was_replaced_goes_on_with_the_new_one() {
    let service = service(|number| match number {
        0 => Ok(ending(
            vec![message(&["1"])],
            refused(Code::Unauthenticated, "UNAUTHENTICATED", None),
        )),
        1 => Ok(ending(
            vec![message(&["2"])],
            refused(Code::Unauthenticated, "UNAUTHENTICATED", None),
        )),
        _ => unreachable!("the token is the same"),
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "igacc_first").unwrap();
    let client = service.client_with(Credentials::BearerFile(file.clone()));
    let mut watch = client.watch(WatchOptions::new());
    assert_eq!(next(&mut watch).await, ["1"]);
    std::fs::write(&file, "igacc_second").unwrap();
    assert_eq!(next(&mut watch).await, ["2"]);
    let end = end(&mut watch).await;
    assert!(matches!(end, WatchError::Unauthenticated(_)), "{end:?}");
    let sent: Vec<_> = service.calls("Watch").into_iter().map(|call| call.metadata).collect();
    assert_eq!(sent[1].get("authorization").unwrap(), "Bearer igacc_second");
}

#[tokio::test(start_paused = true)]
async fn a_bearer_token_that_cannot_be_read_ends_a_stream_after_as_many_tries_as_a_call_has() {
    let service = FakeService::default();
    let folder = tempfile::tempdir().unwrap();
    let client = service.client_with(Credentials::BearerFile(folder.path().join("token")));
    let begin = Instant::now();
    let end = end(&mut client.watch(WatchOptions::new())).await;
    assert!(matches!(end, WatchError::BearerUnreadable(_)), "{end:?}");
    assert!(end.refusal().message().contains("token cannot be read"), "{end:?}");
    assert!((7..16).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
}

/// First the file is not there yet, then it is taken away before it has another token.
#[tokio::test(start_paused = true)]
async fn a_bearer_token_that_is_just_being_replaced_is_waited_for() {
    let service = FakeService::default().on_watch(|number, _| async move {
        let refused = refused(Code::Unauthenticated, "UNAUTHENTICATED", None);
        let message = message(&[number.to_string().as_str()]);
        if number == 0 {
            return Ok(ending(vec![message], refused));
        }
        Ok(falling_silent(vec![message]))
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let client = service.client_with(Credentials::BearerFile(file.clone()));
    let mut watch = client.watch(WatchOptions::new());
    for (number, token) in ["igacc_first", "igacc_second"].into_iter().enumerate() {
        let early = timeout(Duration::from_millis(500), watch.next()).await;
        assert!(early.is_err(), "{early:?}");
        std::fs::write(&file, token).unwrap();
        assert_eq!(next(&mut watch).await, [number.to_string()]);
        std::fs::remove_file(&file).unwrap();
    }
    let calls = service.calls("Watch").into_iter();
    let sent: Vec<_> = calls.map(|call| call.metadata.get("authorization").cloned()).collect();
    assert_eq!(
        sent.iter().flatten().collect::<Vec<_>>(),
        ["Bearer igacc_first", "Bearer igacc_second"]
    );
}

/// A service that keeps the cursors that are committed, in order.
fn committing(
    stream: fn(usize) -> Messages,
) -> (FakeService, std::sync::Arc<std::sync::Mutex<Vec<String>>>) {
    let cursors = std::sync::Arc::<std::sync::Mutex<Vec<String>>>::default();
    let kept = cursors.clone();
    let service = FakeService::default()
        .on_watch(move |number, _| async move { Ok(stream(number)) })
        .on_commit(move |_, request| {
            assert_eq!(request.consumer, "copy");
            kept.lock().unwrap().push(request.cursor);
            async { Ok(v1::CommitWatchResponse {}) }
        });
    (service, cursors)
}

#[tokio::test(start_paused = true)]
async fn what_is_done_is_committed_within_a_second_and_what_is_not_is_not() {
    let (service, committed) =
        committing(|_| falling_silent(vec![message(&["1"]), message(&["2"]), message(&["3"])]));
    let mut watch = service.client().watch(WatchOptions::new().consumer("copy").auto_commit());
    assert_eq!(next(&mut watch).await, ["1"]);
    assert_eq!(next(&mut watch).await, ["2"]);
    assert_eq!(next(&mut watch).await, ["3"]);
    sleep(Duration::from_mins(1)).await;
    // It was not asked for more: the third is not done.
    assert_eq!(*committed.lock().unwrap(), [""; 0]);
    let begin = Instant::now();
    let more = timeout(Duration::from_secs(2), watch.next()).await;
    assert!(more.is_err());
    assert_eq!(begin.elapsed(), Duration::from_secs(2));
    assert_eq!(*committed.lock().unwrap(), ["3"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_done_is_committed_before_a_stream_is_opened_again() {
    let (service, committed) = committing(|number| match number {
        0 => breaking(vec![message(&["1"]), message(&["2"])]),
        _ => falling_silent(vec![message(&["3"])]),
    });
    let mut watch = service.client().watch(WatchOptions::new().consumer("copy").auto_commit());
    for expected in ["1", "2", "3"] {
        assert_eq!(next(&mut watch).await, [expected]);
    }
    assert_eq!(*committed.lock().unwrap(), ["2"]);
    let commits = service.calls("CommitWatch");
    assert!(commits[0].time <= service.calls("Watch")[1].time);
}

#[tokio::test(start_paused = true)]
async fn a_consumer_whose_cursor_was_lost_is_told_so() {
    let service = FakeService::default()
        .on_watch(|_, _| async { Ok(falling_silent(vec![message(&["1"])])) })
        .on_commit(|_, _| async { Err(refused(Code::OutOfRange, "CURSOR_EXPIRED", None)) });
    let mut watch = service.client().watch(WatchOptions::new().consumer("copy").auto_commit());
    let refusal = watch.commit("0").await.unwrap_err();
    assert_eq!(refusal.reason(), Some(&Reason::CursorExpired));
    assert_eq!(next(&mut watch).await, ["1"]);
    let end = end(&mut watch).await;
    assert!(matches!(end, WatchError::CursorExpired(_)), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_is_refused_for_a_replaced_bearer_token_ends_the_stream() {
    let service = FakeService::default()
        .on_watch(|_, _| async { Ok(breaking(vec![message(&["1"])])) })
        .on_commit(|_, _| async { Err(refused(Code::Unauthenticated, "UNAUTHENTICATED", None)) });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "igacc_first").unwrap();
    let client = service.client_with(Credentials::BearerFile(file.clone()));
    let mut watch = client.watch(WatchOptions::new().consumer("copy").auto_commit());
    assert_eq!(next(&mut watch).await, ["1"]);
    std::fs::write(&file, "igacc_second").unwrap();
    let end = end(&mut watch).await;
    assert!(matches!(end, WatchError::Unauthenticated(_)), "{end:?}");
    let commits = service.calls("CommitWatch").into_iter();
    let sent: Vec<_> = commits.map(|call| call.metadata.get("authorization").cloned()).collect();
    assert_eq!(sent.iter().flatten().collect::<Vec<_>>(), ["Bearer igacc_second"]);
    assert_eq!(service.calls("Watch").len(), 1);
}
