//! Secrets stay secret: the whole flow and all that can go wrong in it, with everything logged, and then a
//! search through all that came out and all that was stored.

mod callers;
mod faults;
mod scenario;

use nix::sys::signal::Signal;
use rstest::rstest;

use self::scenario::Scenario;
use crate::support::place::On;

#[rstest]
#[tokio::test]
async fn no_secret_is_in_any_output_error_or_plain_column(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[values("text", "json")] format: &str,
) {
    let mut scenario = Scenario::start(on, format).await;
    scenario.links().await;
    scenario.refusals().await;
    scenario.faults().await;
    scenario.refreshes().await;
    scenario.callers().await;
    scenario.commands();
    scenario.numbers().await;
    let stored_while_serving = scenario.place.everything().await.text();
    scenario.service.process.signal(Signal::SIGTERM);
    assert!(scenario.service.process.ended().await.success());

    let places = [
        ("the output of the service", scenario.service.process.printed()),
        ("the output of commands", scenario.printed.join("\n")),
        ("the errors", scenario.errors.join("\n")),
        ("the database while serving", stored_while_serving),
        ("the database afterwards", scenario.place.everything().await.text()),
        ("the numbers", scenario.metrics.join("\n")),
    ];
    let needles = scenario.needles();
    // A panic while it lives would print all that the service did.
    drop(scenario);
    let found = places.each_ref().map(|(place, text)| (*place, needles.found_in(text)));
    let leaks: Vec<_> = found.into_iter().filter(|(_, found)| !found.is_empty()).collect();
    assert!(leaks.is_empty(), "{leaks:?}");
    everything_was_there_to_be_found(format, &places.map(|(_, text)| text));
}

/// The search is worth nothing where little was logged, refused or stored.
fn everything_was_there_to_be_found(format: &str, places: &[String; 6]) {
    let [output, printed, errors, stored, stored_afterwards, metrics] = places;
    let span_end = match format {
        "json" => r#""message":"close""#,
        _ => ": close ",
    };
    for mark in ["TRACE", span_end, "hyper", "h2::", "ig_adapters", "ig_grpc_server"] {
        assert!(output.contains(mark), "{mark} is not in the output");
    }
    for mark in ["INSTAGRAM_APP_SECRET", "publish post 7", "CALLERS_FILE"] {
        assert!(printed.contains(mark), "{mark} is not in the output of commands");
    }
    for sample in [
        "method=\"FetchAccessToken\",code=\"OK\"} 2",
        "method=\"List\",code=\"UNAUTHENTICATED\"} 5",
    ] {
        assert!(metrics.contains(sample), "{sample} is not in the numbers");
    }
    for reason in [
        "CONSENT_DENIED",
        "STATE_REJECTED",
        "INVALID_FIELD",
        "CODE_REJECTED",
        "LINK_INTERRUPTED",
        "INSTAGRAM_UNAVAILABLE",
        "INSTAGRAM_UNEXPECTED",
        "APP_MISCONFIGURED",
        "RATE_LIMITED",
        "REAUTHORIZATION_REQUIRED",
        "UNAUTHENTICATED",
        "PERMISSION_DENIED",
    ] {
        assert!(errors.contains(reason), "{reason} is not in the errors");
    }
    for stored in [stored, stored_afterwards] {
        assert!(stored.contains("lotte.bakes"), "the account is stored");
    }
}
