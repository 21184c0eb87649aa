use std::collections::BTreeSet;

use tonic_types::{ErrorDetails, ErrorInfo};

use super::*;

const PAGE: &str = include_str!("../../../../docs/ERRORS.md");

/// A status of the service's.
fn status(code: Code, domain: &str, reason: &str, details: ErrorDetails) -> Status {
    let mut details = details;
    let info = ErrorInfo::new(reason, domain, [("cause".to_owned(), "USED".to_owned())]);
    details.set_error_info(info.reason, info.domain, info.metadata);
    Status::with_error_details(code, "for people", details)
}

#[test]
fn the_page_of_errors_has_the_same_reasons() {
    let (_, table) = PAGE.split_once("## What your service does with each reason").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2));
    let documented: BTreeSet<_> = cells.collect();
    let known: BTreeSet<_> = Reason::ALL.iter().map(Reason::as_str).collect();
    assert_eq!(known, documented);
    assert!(documented.iter().all(|name| Reason::ALL.contains(&Reason::parse((*name).to_owned()))));
}

#[test]
fn all_that_the_service_tells_is_read() {
    let mut details = ErrorDetails::new();
    details.set_retry_info(Some(Duration::from_secs(7)));
    details.set_request_info("req-1", "");
    details.add_bad_request_violation("owner", "too long");
    let refusal =
        Refusal::from(status(Code::FailedPrecondition, DOMAIN, "STATE_REJECTED", details));
    assert_eq!(refusal.code(), Code::FailedPrecondition);
    assert_eq!(refusal.reason(), Some(&Reason::StateRejected));
    assert_eq!((refusal.metadata("cause"), refusal.metadata("none")), (Some("USED"), None));
    assert_eq!(refusal.retry_delay(), Some(Duration::from_secs(7)));
    assert_eq!(refusal.request_id(), Some("req-1"));
    let [FieldViolation { field, description }] = refusal.field_violations() else { panic!() };
    assert_eq!((field.as_str(), description.as_str()), ("owner", "too long"));
    assert_eq!(refusal.to_string(), "STATE_REJECTED: for people (request req-1)");
}

#[test]
fn a_reason_of_a_newer_service_keeps_its_name() {
    let refusal = Refusal::from(status(Code::Aborted, DOMAIN, "MOON_IS_FULL", ErrorDetails::new()));
    assert_eq!(refusal.reason(), Some(&Reason::Unknown("MOON_IS_FULL".to_owned())));
    assert_eq!(refusal.to_string(), "MOON_IS_FULL: for people");
}

#[test]
fn what_others_say_is_no_reason_of_the_service() {
    let details = ErrorDetails::new();
    let refusal = Refusal::from(status(Code::NotFound, "mesh.example", "CURSOR_EXPIRED", details));
    assert_eq!((refusal.reason(), refusal.metadata("cause")), (None, None));
    let refusal = Refusal::from(Status::not_found("no route"));
    assert_eq!((refusal.reason(), refusal.to_string().as_str()), (None, "NotFound: no route"));
}
