//! Secrets stay secret: the whole flow and all that can go wrong in it, with everything logged, and then a
//! search through all that came out and all that was stored.

mod needles;
mod scenario;

use std::collections::BTreeSet;
use std::path::Path;

use nix::sys::signal::Signal;
use rstest::rstest;

use self::needles::Needles;
use self::scenario::Scenario;

#[rstest]
#[case::as_text("text")]
#[case::as_json("json")]
#[tokio::test]
async fn no_secret_is_in_any_output_error_or_plain_column(#[case] format: &str) {
    let mut scenario = Scenario::start(format).await;
    scenario.links().await;
    scenario.refusals().await;
    scenario.faults().await;
    scenario.refreshes().await;
    scenario.commands();
    let stored_while_serving = stored(scenario.folder());
    scenario.service.process.signal(Signal::SIGTERM);
    assert!(scenario.service.process.ended().await.success());

    let places = [
        ("the output of the service", scenario.service.process.printed()),
        ("the output of commands", scenario.printed.join("\n")),
        ("the errors", scenario.errors.join("\n")),
        ("the database while serving", stored_while_serving),
        ("the database afterwards", stored(scenario.folder())),
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
fn everything_was_there_to_be_found(format: &str, places: &[String; 5]) {
    let [output, printed, errors, stored, stored_afterwards] = places;
    let span_end = match format {
        "json" => r#""message":"close""#,
        _ => ": close ",
    };
    for mark in ["TRACE", span_end, "hyper", "h2::", "ig_adapters", "ig_grpc_server"] {
        assert!(output.contains(mark), "{mark} is not in the output");
    }
    assert!(printed.contains("INSTAGRAM_APP_SECRET"), "{printed}");
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
    ] {
        assert!(errors.contains(reason), "{reason} is not in the errors");
    }
    for stored in [stored, stored_afterwards] {
        assert!(stored.contains("lotte.bakes"), "the account is stored");
    }
}

/// All bytes of the database and of its journals, as text.
fn stored(folder: &Path) -> String {
    let mut text = String::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("accounts.db") {
            text.push_str(&String::from_utf8_lossy(&std::fs::read(path).unwrap()));
        }
    }
    text
}

#[test]
fn what_is_planted_is_found_in_any_of_its_forms() {
    let secret = "IGAAplantedTokenNobodyHas0815";
    let mut needles = Needles::default();
    needles.plant("token", secret);
    let list: Vec<String> = secret.bytes().map(|byte| byte.to_string()).collect();
    let hex: Vec<String> = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let cut = secret.get(..20).unwrap().to_owned();
    for form in [secret.to_owned(), cut, list.join(", "), hex.concat()] {
        let found = needles.found_in(&format!("before {form} after"));
        assert_eq!(found, BTreeSet::from(["token"]), "{form}");
    }
    assert!(needles.found_in("IGAAplanted is no token").is_empty());
}
