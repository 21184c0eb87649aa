//! Each event counts under its label, and each postponed link once.

use ig_domain::ports::GraphFacts;
use ig_metrics::TextFormat;
use ig_test_support::builders::{START, account};

use super::*;

/// The samples that are not zero once these events are counted, sorted.
fn counted(events: impl IntoIterator<Item = CountedEvent>) -> Vec<String> {
    let mut registry = Registry::new("test", "1");
    let metrics = PrometheusMetrics::register(&mut registry);
    for event in events {
        metrics.count(event);
    }
    let text = registry.text(TextFormat::OpenMetrics).unwrap();
    let samples = text.lines().filter_map(|line| line.strip_prefix("test_"));
    let counted = samples.filter(|line| line.contains("_total{") && !line.ends_with(" 0"));
    let mut counted: Vec<_> = counted.map(str::to_owned).collect();
    counted.sort();
    counted
}

fn linked(created: bool) -> CountedEvent {
    let (account, missing_scopes) = (account(1, "", START).id, Vec::new());
    CountedEvent::LinkEnded(LinkOutcome::Linked { account, created, missing_scopes })
}

fn refused(refusal: LinkRefusal) -> CountedEvent {
    CountedEvent::LinkEnded(LinkOutcome::Refused(refusal))
}

#[test]
fn links_are_counted_by_what_they_become() {
    let events = [
        linked(true),
        linked(false),
        linked(false),
        refused(LinkRefusal::WrongAccount),
        refused(LinkRefusal::PersonalAccount),
        refused(LinkRefusal::WrongAccount),
        refused(LinkRefusal::CodeRejected(GraphFacts::default())),
    ];
    let expected = [
        "links_total{outcome=\"code_rejected\"} 1",
        "links_total{outcome=\"created\"} 1",
        "links_total{outcome=\"personal_account\"} 1",
        "links_total{outcome=\"relinked\"} 2",
        "links_total{outcome=\"wrong_account\"} 2",
    ];
    assert_eq!(counted(events), expected);
}

#[test]
fn a_link_counts_as_postponed_once_and_then_as_what_it_becomes() {
    let events = [1, 2].map(|number| {
        let postponed = CountedEvent::LinkPostponed(CodeHash::from_bytes([number; 32]));
        [postponed.clone(), postponed.clone(), postponed, linked(true)]
    });
    let expected = ["links_total{outcome=\"created\"} 2", "links_total{outcome=\"postponed\"} 2"];
    assert_eq!(counted(events.into_iter().flatten()), expected);
}

#[test]
fn renewals_and_refused_accounts_are_counted_by_outcome_and_reason() {
    let revoked = ReauthorizationReason::TokenRevoked;
    let events = [
        CountedEvent::TokenRenewed,
        CountedEvent::TokenRenewed,
        CountedEvent::RenewalFailed(InstagramErrorKind::NoAnswer),
        CountedEvent::RenewalFailed(InstagramErrorKind::TokenRejected(revoked)),
        CountedEvent::AccountRefused(revoked),
        CountedEvent::AccountRefused(ReauthorizationReason::Checkpoint),
        CountedEvent::AccountRefused(revoked),
    ];
    let expected = [
        "refused_accounts_total{reason=\"checkpoint\"} 1",
        "refused_accounts_total{reason=\"token_revoked\"} 2",
        "renewals_total{outcome=\"rejected\"} 1",
        "renewals_total{outcome=\"renewed\"} 2",
        "renewals_total{outcome=\"unavailable\"} 1",
    ];
    assert_eq!(counted(events), expected);
}

#[test]
fn updates_are_counted_by_what_became_of_them() {
    let updates = StoredUpdates { stored: 1, duplicates: 2, unknown: 3, erased: 4 };
    let received = CountedEvent::UpdatesReceived(updates);
    let expected = [
        "webhook_updates_total{outcome=\"duplicate\"} 4",
        "webhook_updates_total{outcome=\"erased\"} 8",
        "webhook_updates_total{outcome=\"stored\"} 2",
        "webhook_updates_total{outcome=\"unknown_account\"} 6",
        "webhook_updates_total{outcome=\"unreadable\"} 5",
    ];
    let unreadable = CountedEvent::UpdatesUnreadable(5);
    assert_eq!(counted([received.clone(), received, unreadable]), expected);
}
