//! A seeded simulation of several replicas: the real use cases over stateful fakes of every port.
//!
//! Each port call is a point at which the replica may stop, the request or its answer may be lost, another
//! replica may run, or a lease may end. Callers come, keepers look for due accounts, days pass, and Instagram
//! refuses all or one, or calls back with updates, deauthorisations and deletions; tokens of older systems are
//! imported, and accounts are read through the memory of each replica. After every step the invariants are checked. A failing history names its seed, and is shrunk before its trace is shown: steps, faults and switches
//! between tasks are left out while it still fails. `SIMULATION_SEED=<seed> cargo test --workspace --test simulation`
//! replays one. `cargo xtask simulate` plays other seeds for as long as one likes, by `SIMULATION_SEEDS=<from>..<to>`.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test: what must hold is said, and a panic is how it fails"
)]

mod callback_ports;
mod callbacks;
mod calls;
mod crash_points;
mod event_ports;
mod finish;
mod history;
mod hosted;
mod imports;
mod instagram;
mod invariants;
mod plan;
mod ports;
mod reads;
mod removals;
mod replica;
mod rules;
mod schedule;
mod shrink;
mod sickness;
mod told;
mod updates;
mod visits;
mod watchers;
mod world;

use std::env;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ig_test_support::Guard;

use crate::crash_points::{Crashes, Waits};
use crate::history::{History, Played};
use crate::plan::Plan;

/// The seeds that every test run plays: some seconds of them, in the build that tests use.
const SEEDS: Range<u64> = 0..1_000;

/// The seeds among which a test looks for a history of one kind, and ends when it has found it.
const SEARCHED_SEEDS: Range<u64> = 0..2_500;

/// Number of failing histories of a run that are shrunk.
const MAX_SHRUNK: usize = 1;

/// A seed or a range of seeds that the environment names.
#[expect(clippy::disallowed_methods, reason = "what to play is a setting of this test")]
fn setting(variable: &str) -> Option<String> {
    env::var(variable).ok()
}

/// The seeds to play: one, a range, or those of every test run.
fn seeds() -> Range<u64> {
    if let Some(seed) = setting("SIMULATION_SEED") {
        let seed = seed.parse().expect("SIMULATION_SEED is a number");
        return seed..seed + 1;
    }
    let Some(set) = setting("SIMULATION_SEEDS") else { return SEEDS };
    let parsed = set.split_once("..").map(|(from, to)| (from.parse(), to.parse()));
    let Some((Ok(from), Ok(to))) = parsed else {
        panic!("SIMULATION_SEEDS is FROM..TO, not {set:?}")
    };
    from..to
}

/// Plays a history. A panic of the code counts as a broken invariant.
fn play(plan: &Plan, missing: Option<Guard>, traced: bool) -> Played {
    let history = || History::new(plan.clone(), missing, traced).run();
    catch_unwind(AssertUnwindSafe(history)).unwrap_or_else(|_| Played {
        violation: Some("the code panicked".to_owned()),
        trace: Vec::new(),
        steps: plan.steps.len(),
        waits: Waits::new(),
        crashes: Crashes::new(),
    })
}

fn play_seed(seed: u64) -> Played {
    play(&Plan::of(seed), None, true)
}

/// The first history that breaks an invariant without `missing`, and the invariant.
fn first_violation(missing: Guard) -> (Plan, String) {
    let broken = SEARCHED_SEEDS.into_iter().find_map(|seed| {
        let plan = Plan::of(seed);
        let violation = play(&plan, Some(missing), false).violation;
        violation.map(|violation| (plan, violation))
    });
    broken.expect("the simulation is blind")
}

/// Text of a broken invariant without the numbers, which differ from history to history.
fn kind(violation: &str) -> String {
    violation.chars().filter(|letter| !letter.is_ascii_hexdigit()).collect()
}

/// The shortest history like `plan` that breaks the same invariant as `violation`.
fn shrunk(mut plan: Plan, missing: Option<Guard>, violation: &str) -> Plan {
    plan.steps.truncate(play(&plan, missing, false).steps);
    shrink::shrink(plan, |plan| {
        let again = play(plan, missing, false).violation;
        again.is_some_and(|again| kind(&again) == kind(violation))
    })
}

/// A seed that fails, the invariant that it breaks, and the trace of the shrunk history.
fn report(seed: u64, violation: &str, is_shrunk: bool) -> String {
    let mut lines = vec![format!("seed {seed}: {violation}")];
    if is_shrunk {
        let plan = shrunk(Plan::of(seed), None, violation);
        lines.push(format!("    shrunk to {} steps, {:?}:", plan.steps.len(), plan.schedule));
        let trace = play(&plan, None, true).trace;
        lines.extend(trace.iter().map(|line| format!("    {line}")));
    }
    lines.join("\n")
}

#[test]
fn no_history_breaks_an_invariant() {
    let broken = seeds().filter_map(|seed| {
        let violation = play(&Plan::of(seed), None, false).violation?;
        Some((seed, violation))
    });
    let broken: Vec<_> = broken.collect();
    let reports = broken.iter().enumerate();
    let reports: Vec<_> = reports
        .map(|(index, (seed, violation))| report(*seed, violation, index < MAX_SHRUNK))
        .collect();
    assert!(broken.is_empty(), "replay one with SIMULATION_SEED=<seed>\n{}", reports.join("\n"));
}

#[test]
fn without_the_lease_a_history_breaks_an_invariant() {
    let (_, violation) = first_violation(Guard::Lease);
    let twice = ["sent again", "was answered", "renewed twice"];
    assert!(twice.iter().any(|twice| violation.contains(twice)), "{violation}");
}

#[test]
fn without_the_revision_check_a_history_breaks_an_invariant() {
    let (_, violation) = first_violation(Guard::Revision);
    let stale = ["token", "revision", "over the change of another"];
    assert!(stale.iter().any(|stale| violation.contains(stale)), "{violation}");
}

#[test]
fn without_the_sent_mark_a_history_breaks_an_invariant() {
    let (_, violation) = first_violation(Guard::SentMark);
    assert!(violation.contains("sent again"), "{violation}");
}

#[test]
fn without_an_audit_entry_for_each_hand_out_a_history_breaks_an_invariant() {
    let (_, violation) = first_violation(Guard::EachAuditEntry);
    assert!(violation.contains("entries in the audit"), "{violation}");
}

#[test]
fn without_the_lease_on_claims_of_the_keeper_a_history_breaks_an_invariant() {
    let (_, violation) = first_violation(Guard::ClaimLease);
    assert!(violation.contains("renewed twice"), "{violation}");
}

#[test]
fn without_the_check_of_results_a_history_breaks_an_invariant() {
    let (_, violation) = first_violation(Guard::ResultCheck);
    assert!(violation.contains("over the change of another"), "{violation}");
}

#[test]
fn without_a_witness_a_history_breaks_an_invariant() {
    let (_, violation) = first_violation(Guard::Witness);
    let unasked = ["no witness was asked", "no witness was well"];
    assert!(unasked.iter().any(|unasked| violation.contains(unasked)), "{violation}");
}

#[test]
fn without_the_breaker_a_history_breaks_an_invariant() {
    let (_, violation) = first_violation(Guard::Breaker);
    assert!(violation.contains("though the breaker is open"), "{violation}");
}

#[test]
fn without_the_write_of_events_a_history_breaks_an_invariant() {
    let (_, violation) = first_violation(Guard::EventWrite);
    assert!(violation.contains("the events of a change are []"), "{violation}");
}

#[test]
fn with_each_event_written_twice_a_history_breaks_an_invariant() {
    let (_, violation) = first_violation(Guard::EventOnce);
    assert!(violation.contains("the events of a change are"), "{violation}");
}

#[test]
fn without_the_order_of_numbers_a_history_breaks_an_invariant() {
    let (_, violation) = first_violation(Guard::EventNumber);
    assert!(violation.contains("out of order"), "{violation}");
}

#[test]
fn without_the_check_of_cursors_a_history_breaks_an_invariant() {
    let (_, violation) = first_violation(Guard::CursorCheck);
    let unseen = ["purged", "never catches up"];
    assert!(unseen.iter().any(|unseen| violation.contains(unseen)), "{violation}");
}

#[test]
fn without_the_lease_on_consumers_a_history_breaks_an_invariant() {
    let (_, violation) = first_violation(Guard::ConsumerLease);
    assert!(violation.contains("two streams hold one consumer"), "{violation}");
}

#[test]
fn without_the_check_of_what_was_sent_a_history_breaks_an_invariant() {
    let (_, violation) = first_violation(Guard::ConsumerAdvance);
    assert!(violation.contains("the committed cursor"), "{violation}");
}

#[test]
fn without_the_key_of_updates_a_history_breaks_an_invariant() {
    let (_, violation) = first_violation(Guard::WebhookOnce);
    assert!(violation.contains("is in the log"), "{violation}");
}

#[test]
fn without_the_account_of_updates_a_history_breaks_an_invariant() {
    let (_, violation) = first_violation(Guard::WebhookAccount);
    assert!(violation.contains("whose it is not"), "{violation}");
}

#[test]
fn without_the_look_for_removals_a_history_breaks_an_invariant() {
    let (_, violation) = first_violation(Guard::RemovalCheck);
    assert!(violation.contains("though its person "), "{violation}");
}

#[test]
fn without_the_issue_time_of_removals_a_history_breaks_an_invariant() {
    let (_, violation) = first_violation(Guard::RemovalAge);
    assert!(violation.contains("a removal that does not cover"), "{violation}");
}

#[test]
fn without_the_erasure_of_events_a_history_breaks_an_invariant() {
    let (_, violation) = first_violation(Guard::Erasure);
    assert!(violation.contains("is left of a deleted account"), "{violation}");
}

#[test]
fn a_failing_history_is_shrunk() {
    let (plan, violation) = first_violation(Guard::SentMark);
    let short = shrunk(plan.clone(), Some(Guard::SentMark), &violation);
    let again = play(&short, Some(Guard::SentMark), false).violation;
    assert!(again.is_some_and(|again| again.contains("sent again")));
    assert!(short.steps.len() < 60, "{} steps of {}", short.steps.len(), plan.steps.len());
}

#[test]
fn the_same_seed_is_the_same_history() {
    for seed in 0..20 {
        let played = play_seed(seed);
        assert_eq!(play_seed(seed), played, "seed {seed}");
        let untraced = play(&Plan::of(seed), None, false);
        assert_eq!(untraced, Played { trace: Vec::new(), ..played }, "seed {seed}");
    }
}

#[test]
fn a_replica_stops_in_every_call_to_a_port() {
    let mut left = crash_points::all();
    for seed in SEARCHED_SEEDS {
        let plan = Plan::of(seed);
        let played = play(&plan, None, false);
        left.retain(|point| !played.crashes.contains(point));
        for (point, steps) in played.waits {
            if left.remove(&point) {
                let stopped = play(&plan.stopping_after(steps), None, false);
                assert_eq!(stopped.violation, None, "seed {seed}, all stop after {steps} steps");
                assert!(stopped.crashes.contains(&point), "seed {seed}: {point:?}");
            }
        }
        if left.is_empty() {
            return;
        }
    }
    panic!("no replica stops in {left:?}");
}

#[test]
fn histories_reach_what_matters() {
    let mut marks = vec![
        "linked",
        "Interrupted",
        "CodeRejected",
        "OwnedByAnother",
        "refreshed: Renewed",
        "TooYoung",
        "ReauthorizationRequired",
        "StateRejected",
        "the replica stops",
        "handed out",
        "handed out, renewed",
        "MinTtlUnmet",
        "RateLimited",
        "not handed out: Store",
        "visited: Done",
        "visited: Failed",
        "visited: Expired",
        "visited: Refused",
        "visited: Healed",
        "visited: StillRefused",
        "visited: Unreadable",
        "visited: GivenBack",
        "the breaker opens",
        "the breaker closes",
        "told 1 events",
        "not opened: CursorExpired",
        "ended: HoldLost",
        "ended: StoreAway",
        "ended: Stopped",
        "purged: Ok(1)",
        "by ticket linked",
        "by ticket not linked: Refused",
        "received: Ok",
        "received: Err",
        "duplicates: 1",
        "unknown: 1",
        "erased: 1",
        "deauthorised: Ok(Done",
        "deauthorised: Ok(ConsentedSince",
        "deauthorised: Ok(NothingStored",
        "deleted: Ok",
        "erased: Ok(1)",
        "imported: Ok(Created)",
        "imported: Ok(Replaced)",
        "imported: Ok(Unchanged)",
        "imported: Err(OwnedByAnother)",
        "imported: Err(TokenRejected",
        "imported: Err(UserRemoved)",
        "imported: Err(Instagram",
        "imported: Err(Store",
        "source: Memory",
        "read: Err",
    ];
    for seed in SEARCHED_SEEDS {
        let trace = play_seed(seed).trace;
        marks.retain(|mark| !trace.iter().any(|line| line.contains(mark)));
        if marks.is_empty() {
            return;
        }
    }
    panic!("no history reaches {marks:?}");
}
