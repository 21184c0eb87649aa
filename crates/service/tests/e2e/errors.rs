//! Every reason of the contract, brought about over real gRPC and read off what real grpcurl prints.

mod instagram;
mod linking;
mod ours;
mod requests;

use std::collections::BTreeMap;

use prost::Message as _;
use prost_types::FileDescriptorSet;
use serde_json::Value;

use crate::support::Service;
use crate::support::grpcurl::{self, Printed};

/// Owner of the accounts that these tests link.
const OWNER: &str = "shop/7";

/// Every reason: its code, and what comes with it besides `ErrorInfo` and `RequestInfo`.
const REASONS: [(&str, &str, &[&str]); 23] = [
    ("INVALID_FIELD", "InvalidArgument", &["BadRequest"]),
    ("REDIRECT_URI_REJECTED", "InvalidArgument", &[]),
    ("CONSENT_DENIED", "FailedPrecondition", &[]),
    ("CODE_REJECTED", "FailedPrecondition", &[]),
    ("STATE_REJECTED", "FailedPrecondition", &[]),
    ("TOKEN_REJECTED", "FailedPrecondition", &[]),
    ("PERSONAL_ACCOUNT", "FailedPrecondition", &[]),
    ("SCOPE_MISSING", "FailedPrecondition", &[]),
    ("WRONG_ACCOUNT", "FailedPrecondition", &[]),
    ("OWNED_BY_ANOTHER", "AlreadyExists", &[]),
    ("LINK_INTERRUPTED", "Aborted", &[]),
    ("ACCOUNT_NOT_FOUND", "NotFound", &[]),
    ("REAUTHORIZATION_REQUIRED", "FailedPrecondition", &[]),
    ("MIN_TTL_UNMET", "FailedPrecondition", &["RetryInfo"]),
    ("APP_MISCONFIGURED", "FailedPrecondition", &[]),
    ("CURSOR_EXPIRED", "OutOfRange", &[]),
    ("RATE_LIMITED", "ResourceExhausted", &["RetryInfo"]),
    ("INSTAGRAM_UNAVAILABLE", "Unavailable", &["RetryInfo"]),
    ("STORE_UNAVAILABLE", "Unavailable", &["RetryInfo"]),
    ("SHUTTING_DOWN", "Unavailable", &["RetryInfo"]),
    ("INSTAGRAM_UNEXPECTED", "Internal", &[]),
    ("DEADLINE_EXCEEDED", "DeadlineExceeded", &[]),
    ("INTERNAL", "Internal", &[]),
];

/// Reasons for which callers are turned away, which `callers.rs` brings about.
const OF_CALLERS: [&str; 3] = ["UNAUTHENTICATED", "PERMISSION_DENIED", "OVERLOADED"];

/// The page that lists every reason, as a test beside the reasons sees to.
const PAGE: &str = include_str!("../../../../docs/ERRORS.md");

/// The reasons of the page's table, sorted.
fn documented() -> Vec<&'static str> {
    let (_, table) = PAGE.split_once("## What your service does with each reason").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let cells = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .filter_map(|row| row.split('|').nth(1));
    let mut reasons: Vec<_> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    reasons.sort_unstable();
    reasons
}

/// Names of the RPCs on one account: their request names it and, other than that of `BeginLink`, need not hold more.
fn rpcs_on_an_account() -> Vec<&'static str> {
    let files = FileDescriptorSet::decode(ig_proto::FILE_DESCRIPTOR_SET).unwrap().file;
    let on_an_account = |rpc: &str| {
        let request = format!("{rpc}Request");
        let mut messages = files.iter().flat_map(|file| &file.message_type);
        let request = messages.find(|message| message.name() == request).unwrap();
        rpc != "BeginLink" && request.field.iter().any(|field| field.name() == "account_id")
    };
    ig_proto::RPCS.iter().copied().filter(|rpc| on_an_account(rpc)).collect()
}

/// Calls that must be refused, and the reasons that they were refused for.
#[derive(Default)]
struct Refusals(BTreeMap<String, Printed>);

impl Refusals {
    /// Calls by grpcurl, checks all that every refusal has, and returns what was printed.
    fn call(&mut self, service: &Service, method: &str, request: &Value) -> &Printed {
        let request_id = format!("req-{method}-{}", self.0.len());
        let printed = grpcurl::refused(&service.address, &request_id, method, request);
        assert_eq!(printed.detail("RequestInfo")["requestId"], Value::String(request_id));
        self.take(printed)
    }

    /// Checks a refusal against the table.
    fn take(&mut self, printed: Printed) -> &Printed {
        let reason = printed.reason().to_owned();
        let row = REASONS.iter().find(|(name, ..)| *name == reason);
        let (_, code, besides) = row.unwrap_or_else(|| panic!("{reason} is not in the contract"));
        assert_eq!(printed.code, *code, "{printed:?}");
        assert!(!printed.message.is_empty());
        assert_eq!(printed.detail("ErrorInfo")["domain"], "instagram.accounts");
        for kind in besides.iter().chain(&["ErrorInfo", "RequestInfo"]) {
            printed.detail(kind);
        }
        self.0.entry(reason).insert_entry(printed).into_mut()
    }

    fn reasons(self) -> Vec<String> {
        self.0.into_keys().collect()
    }
}

#[tokio::test]
async fn every_reason_of_the_contract_is_printed_with_its_details() {
    let mut brought = [
        requests::refused().await,
        linking::refused().await,
        instagram::refused().await,
        ours::refused().await,
    ]
    .map(Refusals::reasons)
    .concat();
    brought.sort_unstable();
    brought.dedup();
    let mut expected = REASONS.map(|(reason, ..)| reason);
    expected.sort_unstable();
    assert_eq!(brought, expected);
    let mut listed = [&expected[..], &OF_CALLERS].concat();
    listed.sort_unstable();
    assert_eq!(listed, documented());
}
