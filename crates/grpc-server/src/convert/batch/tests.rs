//! Number of keys, bad keys, and sizes that fit a message.

use std::sync::Arc;

use ig_domain::{AccountView, InstagramAccount};
use ig_test_support::builders;
use ig_test_support::builders::START;
use prost::Message as _;
use rstest::rstest;
use tonic::Status;

use super::*;
use crate::convert::DEFAULT_MAX_MESSAGE_BYTES;
use crate::status::ToStatus as _;

/// Default maximum size of metadata for clients, in bytes.
///
/// Source: <https://grpc.github.io/grpc-java/javadoc/io/grpc/netty/NettyChannelBuilder.html>.
const DEFAULT_MAX_METADATA_BYTES: usize = 8 * 1024;

const UUID: &str = "0199d3a0-7c1e-7000-8000-00000000000a";

fn request(instagram_ids: &[&str], account_ids: &[&str]) -> v1::BatchGetRequest {
    let list = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
    v1::BatchGetRequest {
        instagram_ids: list(instagram_ids),
        account_ids: list(account_ids),
        owner: None,
    }
}

fn bad_fields(request: &v1::BatchGetRequest) -> Vec<String> {
    let invalid = batch_get(request).unwrap_err();
    invalid.violations.into_iter().map(|one| one.field).collect()
}

#[rstest]
#[case::none(0, 0, false)]
#[case::one_of_either(1, 0, true)]
#[case::one_of_the_other(0, 1, true)]
#[case::most(60, 40, true)]
#[case::too_many(60, 41, false)]
#[case::far_too_many(0, 1000, false)]
fn there_are_one_to_a_hundred_keys(
    #[case] instagram_ids: usize,
    #[case] account_ids: usize,
    #[case] valid: bool,
) {
    let request = request(&vec!["1"; instagram_ids], &vec![UUID; account_ids]);
    if valid {
        assert!(batch_get(&request).is_ok());
    } else {
        assert_eq!(bad_fields(&request), ["instagram_ids", "account_ids"]);
    }
}

#[test]
fn every_bad_key_is_named_by_its_place() {
    let mut request = request(&["1", "x", "2", ""], &[UUID, "1"]);
    request.owner = Some("\n".to_owned());
    let expected = ["instagram_ids[1]", "instagram_ids[3]", "account_ids[1]", "owner"];
    assert_eq!(bad_fields(&request), expected);
}

#[test]
fn a_repeated_key_is_asked_for_once_and_every_spelling_of_it_told_as_it_was_sent() {
    let (upper, mixed) = (UUID.to_uppercase(), UUID.replace('d', "D"));
    let sent = [upper.as_str(), UUID, &mixed, &upper];
    let requested = batch_get(&request(&["1", "01", "1"], &sent)).unwrap();
    let keys = requested.keys();
    assert_eq!(keys.len(), 3);
    let nothing = FoundAccounts { accounts: Vec::new(), not_found: keys };
    let response = found_accounts(nothing, &requested);
    assert_eq!(response.not_found, ["1", "01", &upper, UUID, &mixed]);
}

#[rstest]
#[case::instagram_ids(&["x"; 100], &[])]
#[case::account_ids(&[], &["x"; 100])]
fn a_hundred_bad_keys_fit_the_metadata_that_clients_take(
    #[case] instagram_ids: &[&str],
    #[case] account_ids: &[&str],
) {
    let status: Status = batch_get(&request(instagram_ids, account_ids)).unwrap_err().to_status();
    let response = status.into_http::<()>();
    let size = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        // Source: <https://www.rfc-editor.org/rfc/rfc9113#section-6.5.2>.
        name.as_str().len() + value.len() + 32
    };
    let size: usize = response.headers().iter().map(size).sum();
    assert!(size < DEFAULT_MAX_METADATA_BYTES * 9 / 10, "{size}");
}

#[test]
fn a_hundred_of_the_largest_accounts_fit_a_message() {
    let largest = |number: u32| {
        let account = InstagramAccount {
            name: Some("\u{10ffff}".repeat(1000)),
            profile_picture_url: Some("x".repeat(4096)),
            ..builders::account(number, &"\u{10ffff}".repeat(128), START)
        };
        AccountView { status: account.status(START), account: Arc::new(account.into()) }
    };
    let requested = batch_get(&request(&["1"], &[])).unwrap();
    let found = FoundAccounts { accounts: (0..100).map(largest).collect(), not_found: Vec::new() };
    let size = found_accounts(found, &requested).encoded_len();
    assert!((500_000..DEFAULT_MAX_MESSAGE_BYTES / 2).contains(&size), "{size}");
}
