//! `FetchAccessToken` and `BatchGet` on the wire.

use std::time::Duration;

use ig_domain::ports::{InstagramError, InstagramErrorKind, MockInstagram};
use ig_domain::{AuditEntry, InstagramAccount, Scope, TokenLifetime};
use ig_proto::v1;
use ig_test_support::builders::{START, long_lived, profile};
use prost_types::Timestamp;
use tonic::{Code, Request};

use crate::world::{
    TonicClient, World, assert_refused, bad_fields, exchange, retry_delay, sixty_days,
    willing_instagram,
};

const DAY: Duration = Duration::from_hours(24);
const NOBODY: &str = "00000000-0000-0000-0000-000000000007";

/// Links an account of `shop/7`.
async fn linked(world: &World) -> (TonicClient, v1::InstagramAccount) {
    world.begin("S", "shop/7").await;
    let mut client = world.client().await;
    let request = v1::LinkRequest {
        code: "C".to_owned(),
        state: "S".to_owned(),
        owner: "shop/7".to_owned(),
        ..v1::LinkRequest::default()
    };
    let account = client.link(request).await.unwrap().into_inner().account.unwrap();
    (client, account)
}

fn fetch(account: &v1::InstagramAccount, days: i64) -> Request<v1::FetchAccessTokenRequest> {
    let mut request = Request::new(v1::FetchAccessTokenRequest {
        account_id: account.account_id.clone(),
        owner: Some("shop/7".to_owned()),
        min_ttl: Some(prost_types::Duration { seconds: days * 24 * 60 * 60, nanos: 0 }),
        purpose: "publish post 7".to_owned(),
    });
    request.metadata_mut().insert("x-request-id", "req-7".parse().unwrap());
    request
}

#[tokio::test]
async fn a_token_is_answered_and_written_down() {
    let world = World::with(willing_instagram());
    let (mut client, account) = linked(&world).await;
    world.clock.advance(DAY);
    let answer = client.fetch_access_token(fetch(&account, 50)).await.unwrap().into_inner();
    let expire_time = START + Duration::from_secs(5_183_999);
    let expected = v1::FetchAccessTokenResponse {
        access_token: "IGAA-long".to_owned(),
        professional_account_id: "17841400000000001".to_owned(),
        expire_time: Some(Timestamp { seconds: expire_time.unix_timestamp(), nanos: 0 }),
        granted_scopes: vec!["instagram_business_basic".to_owned()],
        granted_scopes_known: true,
    };
    assert!(answer == expected, "{answer:?}");
    let [(stored, _)]: [(InstagramAccount, _); 1] = world.store.accounts().try_into().unwrap();
    let [entry] = world.store.audit().try_into().unwrap();
    let expected = AuditEntry {
        id: entry.id,
        time: START + DAY,
        caller: "anonymous".parse().unwrap(),
        purpose: "publish post 7".parse().unwrap(),
        request_id: "req-7".parse().unwrap(),
        account: stored.id,
        professional_account_id: stored.professional_account_id,
        owner: stored.owner,
        token_issue_time: Some(START),
        token_expire_time: Some(expire_time),
        revision: 1,
    };
    assert_eq!(entry, expected);
}

#[tokio::test]
async fn a_token_with_too_little_life_is_renewed_first() {
    let mut instagram = willing_instagram();
    instagram.expect_renew_token().once().returning(|_| Ok((long_lived("IGAA-new"), sixty_days())));
    let world = World::with(instagram);
    let (mut client, account) = linked(&world).await;
    world.clock.advance(DAY * 20);
    for expected in ["IGAA-long", "IGAA-new", "IGAA-new"] {
        let days = if expected == "IGAA-long" { 30 } else { 50 };
        let answer = client.fetch_access_token(fetch(&account, days)).await.unwrap();
        assert_eq!(answer.into_inner().access_token, expected);
    }
    assert_eq!(world.store.audit().len(), 3);
}

/// An Instagram that fails so where it is to renew.
fn failing(kind: InstagramErrorKind) -> MockInstagram {
    let mut instagram = willing_instagram();
    instagram.expect_renew_token().returning(move |_| Err(InstagramError::from(kind)));
    instagram
}

#[tokio::test]
async fn a_min_ttl_that_cannot_be_met_says_why_until_when_and_when_to_ask_again() {
    let retry_after = Duration::from_mins(7);
    let kinds = [
        (InstagramErrorKind::RateLimited { retry_after }, "RATE_LIMITED", Some(retry_after)),
        (InstagramErrorKind::NoAnswer, "INSTAGRAM_UNAVAILABLE", Some(Duration::from_secs(2))),
        (InstagramErrorKind::AppMisconfigured, "APP_MISCONFIGURED", None),
        (InstagramErrorKind::Unreadable, "INSTAGRAM_UNEXPECTED", None),
    ];
    for (kind, cause, retry) in kinds {
        let world = World::with(failing(kind));
        let (mut client, account) = linked(&world).await;
        world.clock.advance(DAY * 20);
        let status = client.fetch_access_token(fetch(&account, 50)).await.unwrap_err();
        let facts = [("cause", cause), ("expire_time", "2027-01-23T07:59:59Z")];
        let code = Code::FailedPrecondition;
        let details = assert_refused(&status, code, "MIN_TTL_UNMET", &facts);
        assert_eq!(retry_delay(&details), retry, "{cause}");
        assert_eq!(world.store.audit(), []);
    }
}

#[tokio::test]
async fn a_young_token_that_lives_too_short_says_when_it_can_be_renewed() {
    let world = World::with(short_lived());
    let (mut client, account) = linked(&world).await;
    world.clock.advance(DAY / 4);
    let status = client.fetch_access_token(fetch(&account, 40)).await.unwrap_err();
    let facts = [("cause", "TOO_YOUNG"), ("expire_time", "2026-12-24T08:00:00Z")];
    let details = assert_refused(&status, Code::FailedPrecondition, "MIN_TTL_UNMET", &facts);
    assert_eq!(retry_delay(&details), Some(DAY * 3 / 4));
}

/// An Instagram whose long-lived tokens live for 30 days.
fn short_lived() -> MockInstagram {
    let mut instagram = MockInstagram::new();
    let lifetime = TokenLifetime::from_seconds(30 * 24 * 60 * 60).unwrap();
    instagram.expect_exchange_code().returning(|_, _| Ok(exchange(&[Scope::basic()])));
    instagram.expect_extend_token().returning(move |_| Ok((long_lived("IGAA-long"), lifetime)));
    instagram.expect_profile().returning(|_| Ok(profile(1)));
    instagram
}

#[tokio::test]
async fn without_a_store_no_token_leaves() {
    let world = World::with(willing_instagram());
    let (mut client, account) = linked(&world).await;
    world.store.set_away(true);
    let status = client.fetch_access_token(fetch(&account, 0)).await.unwrap_err();
    assert_refused(&status, Code::Unavailable, "STORE_UNAVAILABLE", &[]);
}

#[tokio::test]
async fn many_accounts_are_answered_with_what_was_not_found() {
    let world = World::with(willing_instagram());
    let (mut client, account) = linked(&world).await;
    let mut request = v1::BatchGetRequest {
        instagram_ids: [account.app_scoped_user_id.as_str(), "404", "404"]
            .map(str::to_owned)
            .into(),
        account_ids: [NOBODY, account.account_id.as_str()].map(str::to_owned).into(),
        owner: Some("shop/7".to_owned()),
    };
    let found = client.batch_get(request.clone()).await.unwrap().into_inner();
    assert_eq!(found.accounts, std::slice::from_ref(&account));
    assert_eq!(found.not_found, ["404", NOBODY]);
    request.owner = Some("shop/8".to_owned());
    let found = client.batch_get(request).await.unwrap().into_inner();
    assert_eq!(found.accounts, []);
    let all = [account.app_scoped_user_id.as_str(), "404", NOBODY, account.account_id.as_str()];
    assert_eq!(found.not_found, all);
}

#[tokio::test]
async fn a_batch_names_every_bad_field() {
    let mut client = World::new().client().await;
    let status = client.batch_get(v1::BatchGetRequest::default()).await.unwrap_err();
    let details = assert_refused(&status, Code::InvalidArgument, "INVALID_FIELD", &[]);
    assert_eq!(bad_fields(&details), ["instagram_ids", "account_ids"]);
    let account_ids = vec!["x".to_owned(); 100];
    let request = v1::BatchGetRequest { account_ids, ..v1::BatchGetRequest::default() };
    let status = client.batch_get(request).await.unwrap_err();
    let details = assert_refused(&status, Code::InvalidArgument, "INVALID_FIELD", &[]);
    assert_eq!(bad_fields(&details).len(), 100);
    assert!(status.message().ends_with("; and 90 more"), "{}", status.message());
}
