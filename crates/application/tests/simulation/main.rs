//! A seeded simulation of several replicas: the real use cases over stateful fakes of every port.
//!
//! Each port call is a point at which the replica may stop, the request or its answer may be lost, another
//! replica may run, or a lease may end. After every step the invariants are checked. A failing history names
//! its seed; `SIMULATION_SEED=<seed> cargo test --workspace --test simulation` replays that one with its whole
//! trace. `cargo xtask simulate` plays other seeds for as long as one likes, by `SIMULATION_SEEDS=<from>..<to>`.

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

use std::env;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ig_test_support::Guard;

use crate::history::History;

/// The seeds that every test run plays: some ten seconds of them, in the build that tests use.
const SEEDS: Range<u64> = 0..2_500;

/// A seed or a range of seeds that the environment names.
#[expect(clippy::disallowed_methods, reason = "what to play is a setting of this test")]
fn setting(variable: &str) -> Option<String> {
    env::var(variable).ok()
}

/// The seeds to play.
fn seeds() -> Range<u64> {
    let Some(set) = setting("SIMULATION_SEEDS") else { return SEEDS };
    let parsed = set.split_once("..").map(|(from, to)| (from.parse(), to.parse()));
    let Some((Ok(from), Ok(to))) = parsed else {
        panic!("SIMULATION_SEEDS is FROM..TO, not {set:?}")
    };
    from..to
}

/// First broken invariant of one history, if any. A panic of the code counts as one.
fn violation(seed: u64, missing: Option<Guard>) -> Option<String> {
    let played = catch_unwind(AssertUnwindSafe(|| History::new(seed, missing, false).run().0));
    played.unwrap_or_else(|_| Some("the code panicked".to_owned()))
}

/// The first history that breaks an invariant without `missing`, among those of every test run.
fn first_violation(missing: Guard) -> Option<String> {
    SEEDS.into_iter().find_map(|seed| violation(seed, Some(missing)))
}

#[test]
fn no_history_breaks_an_invariant() {
    if let Some(seed) = setting("SIMULATION_SEED") {
        let seed = seed.parse().expect("SIMULATION_SEED is a number");
        let (violation, trace) = History::new(seed, None, true).run();
        assert!(violation.is_none(), "{}", trace.join("\n"));
        return;
    }
    let broken =
        seeds().filter_map(|seed| Some(format!("seed {seed}: {}", violation(seed, None)?)));
    let broken: Vec<_> = broken.collect();
    assert!(broken.is_empty(), "replay one with SIMULATION_SEED=<seed>\n{}", broken.join("\n"));
}

#[test]
fn without_the_lease_a_history_breaks_an_invariant() {
    let violation = first_violation(Guard::Lease).expect("the simulation is blind");
    let twice = violation.contains("sent again") || violation.contains("was answered");
    assert!(twice, "{violation}");
}

#[test]
fn without_the_revision_check_a_history_breaks_an_invariant() {
    let violation = first_violation(Guard::Revision).expect("the simulation is blind");
    assert!(violation.contains("token") || violation.contains("revision"), "{violation}");
}

#[test]
fn without_the_sent_mark_a_history_breaks_an_invariant() {
    let violation = first_violation(Guard::SentMark).expect("the simulation is blind");
    assert!(violation.contains("sent again"), "{violation}");
}

#[test]
fn without_an_audit_entry_for_each_hand_out_a_history_breaks_an_invariant() {
    let violation = first_violation(Guard::EachAuditEntry).expect("the simulation is blind");
    assert!(violation.contains("entries in the audit"), "{violation}");
}

#[test]
fn the_same_seed_is_the_same_history() {
    let (violation, trace) = History::new(7, None, true).run();
    assert_eq!(History::new(7, None, true).run(), (violation.clone(), trace));
    assert_eq!(History::new(7, None, false).run(), (violation, Vec::new()));
}

#[test]
fn histories_reach_what_matters() {
    let traces: Vec<_> = (0..300).map(|seed| History::new(seed, None, true).run().1).collect();
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
        "handed out, renewed",
        "MinTtlUnmet",
        "not handed out: Store",
    ] {
        let reached = traces.iter().flatten().any(|line| line.contains(mark));
        assert!(reached, "no history reached {mark:?}");
    }
}
