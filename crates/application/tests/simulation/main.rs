//! A seeded simulation of several replicas: the real use cases over stateful fakes of every port.
//!
//! Each port call is a point at which the replica may stop, the request or its answer may be lost, another
//! replica may run, or a lease may end. After every step the invariants are checked. A failing history names
//! its seed; `SIMULATION_SEED=<seed> cargo test -p ig-application --test simulation` replays that one with
//! its whole trace.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test: what must hold is said, and a panic is how it fails"
)]

mod history;
mod instagram;
mod invariants;
mod ports;
mod world;

use ig_test_support::Guard;

use crate::history::History;

/// How many histories a test run goes through.
const HISTORIES: u64 = 2_000;

/// The seed to replay, where the environment names one.
#[expect(clippy::disallowed_methods, reason = "the seed to replay is a setting of this test")]
fn replayed_seed() -> Option<u64> {
    std::env::var("SIMULATION_SEED").ok()?.parse().ok()
}

/// The first history that breaks an invariant, among as many as a test run goes through.
fn first_violation(missing: Option<Guard>) -> Option<String> {
    if let Some(seed) = replayed_seed() {
        let (violation, trace) = History::new(seed, missing).run();
        return violation.map(|violation| format!("{}\n{violation}", trace.join("\n")));
    }
    (0..HISTORIES).find_map(|seed| {
        let violation = History::new(seed, missing).run().0?;
        Some(format!("{violation}\nreplay with SIMULATION_SEED={seed}"))
    })
}

#[test]
fn no_history_breaks_an_invariant() {
    if let Some(violation) = first_violation(None) {
        panic!("{violation}");
    }
}

#[test]
fn without_the_lease_a_history_breaks_an_invariant() {
    let violation = first_violation(Some(Guard::Lease)).expect("the simulation is blind");
    let twice = violation.contains("sent again") || violation.contains("was answered");
    assert!(twice, "{violation}");
}

#[test]
fn without_the_revision_check_a_history_breaks_an_invariant() {
    let violation = first_violation(Some(Guard::Revision)).expect("the simulation is blind");
    assert!(violation.contains("token") || violation.contains("revision"), "{violation}");
}

#[test]
fn without_the_sent_mark_a_history_breaks_an_invariant() {
    let violation = first_violation(Some(Guard::SentMark)).expect("the simulation is blind");
    assert!(violation.contains("sent again"), "{violation}");
}

#[test]
fn the_same_seed_is_the_same_history() {
    assert_eq!(History::new(7, None).run(), History::new(7, None).run());
}

#[test]
fn histories_reach_what_matters() {
    let traces: Vec<_> = (0..300).map(|seed| History::new(seed, None).run().1).collect();
    for mark in [
        "linked",
        "Interrupted",
        "CodeRejected",
        "OwnedByAnother",
        "Renewed",
        "TooYoung",
        "ReauthorizationRequired",
        "StateRejected",
        "the replica stops",
        "handed out",
        "not handed out: Store",
    ] {
        let reached = traces.iter().flatten().any(|line| line.contains(mark));
        assert!(reached, "no history reached {mark:?}");
    }
}
