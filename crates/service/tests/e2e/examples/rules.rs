//! Each language's `watch` against a service that plays what seldom happens: refusals in the middle, a commit that is
//! lost, an event that comes again and one of a kind to come.

mod scripted_service;

use std::time::Duration;

use rstest::rstest;

use self::scripted_service::{Call, ScriptedService};
use super::{Example, Watch};

/// Minimum time before the next stream, by the number of streams that ended in a row: half of a span that doubles.
const MIN_DELAYS: [Duration; 4] = [
    Duration::from_millis(100),
    // What the service asks for is longer here.
    scripted_service::RETRY_DELAY,
    Duration::from_millis(400),
    Duration::from_millis(800),
];

#[rstest]
#[tokio::test]
async fn a_watch_keeps_the_rules_of_following(
    #[values(Example::Go, Example::Python, Example::TypeScript, Example::Java)] example: Example,
) {
    let service = ScriptedService::start();
    let mut watch = Watch::start(example, &service.address);
    assert!(!watch.process.ended().await.success());
    let list = ["LISTED one - 3", "LISTED two - 1"];
    let events = ["LINKED one e1 4", "CHANGED one e2 5"];
    let told = [&list[..], &events[..], &list[..], &["UNLINKED two e3 2"][..]].concat();
    watch.tells("UNLINKED").await;
    assert_eq!(watch.told(), told);
    watch.process.line_with("PERMISSION_DENIED");

    let consumer = format!("{example:?}").to_lowercase();
    let watch_after = |after: Option<&str>| Call::Watch(consumer.clone(), after.map(str::to_owned));
    let commit = |cursor: &str| Call::Commit(consumer.clone(), cursor.to_owned());
    let pages = [Call::List(String::new()), Call::List("second".to_owned())];
    let [first, second] = pages.clone();
    let calls = [
        watch_after(None),
        first.clone(),
        second.clone(),
        watch_after(Some("listed-1")),
        watch_after(Some("listed-1")),
        commit("done-1"),
        watch_after(None),
        commit("done-2"),
        commit("done-2"),
        first,
        second,
        watch_after(Some("listed-2")),
        commit("done-3"),
    ];
    assert_eq!(service.calls(), calls);
    let wrong = service.calls_of_wrong_deadline();
    // Python's library keeps a deadline of the service config to itself.
    let is_kept =
        |call: &Call| matches!(example, Example::Python) && !matches!(call, Call::Watch(..));
    assert!(wrong.iter().all(is_kept), "{wrong:?}");
    for (pause, minimum) in service.pauses().into_iter().zip(MIN_DELAYS) {
        assert!(pause >= minimum, "{pause:?} where {minimum:?} was the least");
    }
}
