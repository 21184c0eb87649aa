//! Every reason of the error table, with its details, as a client receives them.

use std::time::Duration;

use ig_application::HostedConsent;
use ig_domain::ports::{
    Cause, GraphFacts, InstagramError, InstagramErrorKind, MockAccountReader, MockInstagram,
    PendingLinks as _, StoreError,
};
use ig_domain::{AccountType, LinkEnd, PendingLink, Profile, ReauthorizationReason, Scope};
use ig_proto::v1;
use ig_proto::v1::get_request::Key;
use ig_test_support::builders::{START, account, long_lived, parsed, pending_link, profile};
use rstest::rstest;
use std::sync::Arc;
use tonic::{Code, Status};

use crate::world::{
    World, assert_refused, bad_fields, exchange, instagram_of, retry_delay, sixty_days,
    willing_instagram,
};

const FACTS: &[(&str, &str)] =
    &[("fbtrace_id", "AbC123"), ("instagram_code", "9"), ("instagram_subcode", "2207")];

fn link_request(code: &str, state: &str, owner: &str) -> v1::LinkRequest {
    v1::LinkRequest {
        code: code.to_owned(),
        state: state.to_owned(),
        owner: owner.to_owned(),
        ..v1::LinkRequest::default()
    }
}

fn get_request() -> v1::GetRequest {
    v1::GetRequest { key: Some(Key::Username("account_1".to_owned())), owner: None }
}

async fn refused_link(world: &World, request: v1::LinkRequest) -> Status {
    world.client().await.link(request).await.unwrap_err()
}

fn instagram_error(kind: InstagramErrorKind) -> InstagramError {
    let facts =
        GraphFacts { code: Some(9), subcode: Some(2207), fbtrace_id: Some("AbC123".to_owned()) };
    InstagramError { kind, facts }
}

#[rstest]
#[case::not_sent(
    InstagramErrorKind::NotSent,
    Code::Unavailable,
    "INSTAGRAM_UNAVAILABLE",
    FACTS,
    Some(2)
)]
#[case::an_outage(
    InstagramErrorKind::Unavailable,
    Code::Unavailable,
    "INSTAGRAM_UNAVAILABLE",
    FACTS,
    Some(2)
)]
#[case::a_refusal_that_was_taken_back(
    InstagramErrorKind::Unconfirmed,
    Code::Unavailable,
    "INSTAGRAM_UNAVAILABLE",
    FACTS,
    Some(2)
)]
#[case::throttled(
    InstagramErrorKind::RateLimited { retry_after: Duration::from_hours(1) },
    Code::ResourceExhausted, "RATE_LIMITED", FACTS, Some(3600)
)]
#[case::a_refused_code(
    InstagramErrorKind::CodeRejected,
    Code::FailedPrecondition,
    "CODE_REJECTED",
    FACTS,
    None
)]
#[case::another_redirect_uri(
    InstagramErrorKind::RedirectUriRejected,
    Code::InvalidArgument,
    "REDIRECT_URI_REJECTED",
    FACTS,
    None
)]
#[case::a_refused_app(
    InstagramErrorKind::AppMisconfigured,
    Code::FailedPrecondition,
    "APP_MISCONFIGURED",
    FACTS,
    None
)]
#[case::a_lost_answer(
    InstagramErrorKind::NoAnswer, Code::Aborted, "LINK_INTERRUPTED", &[], None
)]
#[case::an_unreadable_answer(
    InstagramErrorKind::Unreadable,
    Code::Internal,
    "INSTAGRAM_UNEXPECTED",
    FACTS,
    None
)]
#[case::an_unknown_refusal(
    InstagramErrorKind::Unexpected,
    Code::Internal,
    "INSTAGRAM_UNEXPECTED",
    FACTS,
    None
)]
#[tokio::test]
async fn what_instagram_says_of_a_code_becomes_a_reason(
    #[case] kind: InstagramErrorKind,
    #[case] code: Code,
    #[case] reason: &str,
    #[case] facts: &[(&str, &str)],
    #[case] retry_seconds: Option<u64>,
) {
    let mut instagram = MockInstagram::new();
    instagram.expect_exchange_code().returning(move |_, _| Err(instagram_error(kind)));
    let world = World::with(instagram);
    world.begin("S", "shop/7").await;
    let status = refused_link(&world, link_request("C", "S", "shop/7")).await;
    let details = assert_refused(&status, code, reason, facts);
    assert_eq!(retry_delay(&details), retry_seconds.map(Duration::from_secs));
    assert!(!status.message().contains("AbC123"), "facts belong into the metadata");
}

#[tokio::test]
async fn a_token_refused_right_after_the_exchange_means_the_code() {
    let mut instagram = MockInstagram::new();
    instagram.expect_exchange_code().returning(|_, _| Ok(exchange(&[Scope::basic()])));
    instagram.expect_extend_token().returning(|_| {
        let rejected = InstagramErrorKind::TokenRejected(ReauthorizationReason::TokenRevoked);
        Err(instagram_error(rejected))
    });
    instagram.expect_profile().returning(|_| Ok(profile(1)));
    let world = World::with(instagram);
    world.begin("S", "shop/7").await;
    let status = refused_link(&world, link_request("C", "S", "shop/7")).await;
    assert_refused(&status, Code::FailedPrecondition, "CODE_REJECTED", FACTS);
}

#[tokio::test]
async fn a_missing_scope_is_named() {
    let mut instagram = MockInstagram::new();
    instagram.expect_exchange_code().returning(|_, _| Ok(exchange(&[])));
    let world = World::with(instagram);
    world.begin("S", "shop/7").await;
    let status = refused_link(&world, link_request("C", "S", "shop/7")).await;
    let missing = "instagram_business_basic,instagram_business_content_publish";
    let facts = [("missing_scopes", missing)];
    assert_refused(&status, Code::FailedPrecondition, "SCOPE_MISSING", &facts);
}

#[tokio::test]
async fn a_personal_account_is_refused() {
    let personal = Profile { account_type: AccountType::Personal, ..profile(1) };
    let instagram = instagram_of(move || personal.clone());
    let world = World::with(instagram);
    world.begin("S", "shop/7").await;
    let status = refused_link(&world, link_request("C", "S", "shop/7")).await;
    assert_refused(&status, Code::FailedPrecondition, "PERSONAL_ACCOUNT", &[]);
}

#[tokio::test]
async fn another_account_than_the_one_to_be_reauthorised_is_refused() {
    let world = World::with(willing_instagram());
    let expected = account(2, "shop/7", START);
    let pending = PendingLink { account: Some(expected.id), ..pending_link("S", "shop/7", START) };
    world.store.insert(&pending).await.unwrap();
    let status = refused_link(&world, link_request("C", "S", "shop/7")).await;
    assert_refused(&status, Code::FailedPrecondition, "WRONG_ACCOUNT", &[]);
}

#[tokio::test]
async fn a_living_account_of_another_owner_is_refused() {
    let world = World::with(willing_instagram());
    world.begin("S1", "shop/8").await;
    world.begin("S2", "shop/7").await;
    let mut client = world.client().await;
    client.link(link_request("C1", "S1", "shop/8")).await.unwrap();
    let status = client.link(link_request("C2", "S2", "shop/7")).await.unwrap_err();
    assert_refused(&status, Code::AlreadyExists, "OWNED_BY_ANOTHER", &[]);
}

#[rstest]
#[case::unknown("other", "C", "shop/7", "", 0, "UNKNOWN")]
#[case::expired("S", "C", "shop/7", "", 3600, "EXPIRED")]
#[case::used("spent", "C", "shop/7", "", 0, "USED")]
#[case::other_owner("S", "C", "shop/8", "", 0, "OTHER_OWNER")]
#[case::other_session("S", "C", "shop/7", "session", 0, "OTHER_SESSION")]
#[tokio::test]
async fn a_state_that_does_not_serve_says_why(
    #[case] state: &str,
    #[case] code: &str,
    #[case] owner: &str,
    #[case] session_binding: &str,
    #[case] seconds_later: u64,
    #[case] cause: &str,
) {
    let world = World::new();
    world.begin("S", "shop/7").await;
    let other = parsed::<ig_domain::AuthorizationCode>("other").hash();
    let spent = PendingLink { spent_by: Some(other), ..pending_link("spent", "shop/7", START) };
    world.store.insert(&spent).await.unwrap();
    world.clock.advance(Duration::from_secs(seconds_later));
    let request = v1::LinkRequest {
        session_binding: session_binding.to_owned(),
        ..link_request(code, state, owner)
    };
    let status = refused_link(&world, request).await;
    assert_refused(&status, Code::FailedPrecondition, "STATE_REJECTED", &[("cause", cause)]);
}

#[rstest]
#[case::the_person_declined(
    "https://example.com/callback?error=access_denied&error_reason=user_denied\
     &error_description=The+user+denied+your+request&state=S3CRET",
    "CONSENT_DENIED",
    &[
        ("error", "access_denied"),
        ("error_reason", "user_denied"),
        ("error_description", "The user denied your request"),
    ]
)]
#[case::no_tester_role(
    "error=access_denied&error_description=Insufficient+developer+role",
    "APP_MISCONFIGURED",
    &[("error", "access_denied"), ("error_description", "Insufficient developer role")]
)]
#[case::a_description_with_the_state(
    "error=access_denied&error_description=S3CRET&state=S3CRET",
    "CONSENT_DENIED",
    &[("error", "access_denied")]
)]
#[tokio::test]
async fn a_denial_is_told_in_instagrams_words(
    #[case] response: &str,
    #[case] reason: &str,
    #[case] facts: &[(&str, &str)],
) {
    let request = v1::LinkRequest {
        authorization_response: response.to_owned(),
        ..v1::LinkRequest::default()
    };
    let status = refused_link(&World::new(), request).await;
    assert_refused(&status, Code::FailedPrecondition, reason, facts);
    assert!(!format!("{status:?}").contains("S3CRET"));
}

#[tokio::test]
async fn a_replay_of_an_account_that_is_gone_is_not_found() {
    let world = World::with(willing_instagram());
    world.begin("S", "shop/7").await;
    let mut client = world.client().await;
    let request = link_request("C", "S", "shop/7");
    let linked = client.link(request.clone()).await.unwrap().into_inner();
    let unlink = v1::UnlinkRequest {
        account_id: linked.account.unwrap().account_id,
        ..v1::UnlinkRequest::default()
    };
    client.unlink(unlink).await.unwrap();
    let status = client.link(request).await.unwrap_err();
    assert_refused(&status, Code::NotFound, "ACCOUNT_NOT_FOUND", &[]);
}

#[tokio::test]
async fn every_bad_field_is_named_at_once() {
    let request = v1::BeginLinkRequest {
        owner: "\n".to_owned(),
        redirect_uri: "http://example.com/".to_owned(),
        scopes: vec!["Bad".to_owned()],
        account_id: "7".to_owned(),
        ..v1::BeginLinkRequest::default()
    };
    let status = World::new().client().await.begin_link(request).await.unwrap_err();
    let details = assert_refused(&status, Code::InvalidArgument, "INVALID_FIELD", &[]);
    assert_eq!(bad_fields(&details), ["owner", "redirect_uri", "scopes[0]", "account_id"]);
    for field in bad_fields(&details) {
        assert!(status.message().contains(field), "{}", status.message());
    }
}

#[tokio::test]
async fn a_missing_oneof_is_named_by_its_name() {
    let request = v1::GetRequest::default();
    let status = World::new().client().await.get(request).await.unwrap_err();
    let details = assert_refused(&status, Code::InvalidArgument, "INVALID_FIELD", &[]);
    assert_eq!(bad_fields(&details), ["key"]);
}

#[tokio::test]
async fn a_page_token_of_another_listing_is_refused() {
    let world = World::with(willing_instagram());
    world.begin("S", "shop/7").await;
    let mut client = world.client().await;
    client.link(link_request("C", "S", "shop/7")).await.unwrap();
    for page_token in ["!", "AQ", &"A".repeat(1025)] {
        let request =
            v1::ListRequest { page_token: page_token.to_owned(), ..v1::ListRequest::default() };
        let status = client.list(request).await.unwrap_err();
        let details = assert_refused(&status, Code::InvalidArgument, "INVALID_FIELD", &[]);
        assert_eq!(bad_fields(&details), ["page_token"]);
    }
}

#[tokio::test]
async fn a_redirect_uri_off_the_list_is_refused() {
    let mut world = World::new();
    world.redirect_uris = vec![parsed("https://example.com/callback")];
    let request = v1::BeginLinkRequest {
        redirect_uri: "https://example.com/other".to_owned(),
        ..v1::BeginLinkRequest::default()
    };
    let status = world.client().await.begin_link(request).await.unwrap_err();
    let details = assert_refused(&status, Code::InvalidArgument, "REDIRECT_URI_REJECTED", &[]);
    assert_eq!(bad_fields(&details), ["redirect_uri"]);
}

#[tokio::test]
async fn hosted_consent_is_only_as_the_settings_allow() {
    let hosted = |return_url: &str| v1::BeginLinkRequest {
        return_url: return_url.to_owned(),
        ..v1::BeginLinkRequest::default()
    };
    let status = World::new().client().await.begin_link(hosted("")).await.unwrap_err();
    let details = assert_refused(&status, Code::InvalidArgument, "INVALID_FIELD", &[]);
    assert_eq!(bad_fields(&details), ["redirect_uri"]);

    let mut world = World::new();
    let redirect_uri = parsed("https://instagram.example.com/oauth/callback");
    world.hosted = Some(HostedConsent { redirect_uri, return_urls: Vec::new() });
    let status = world.client().await.begin_link(hosted("https://example.com/")).await.unwrap_err();
    let details = assert_refused(&status, Code::InvalidArgument, "INVALID_FIELD", &[]);
    assert_eq!(bad_fields(&details), ["return_url"]);
}

/// Neither with nor without its code is anything told of a state to whom it does not concern.
#[tokio::test]
async fn a_code_of_a_hosted_consent_is_not_taken_from_a_caller() {
    let world = World::new();
    let ends = [LinkEnd::Page, LinkEnd::ReturnUrl(parsed("https://example.com/linked"))];
    for (state, end) in ["S1", "S2"].into_iter().zip(ends) {
        let pending = PendingLink { end, ..pending_link(state, "shop/7", START) };
        world.store.insert(&pending).await.unwrap();
        let status = refused_link(&world, link_request("C", state, "shop/7")).await;
        let unknown = [("cause", "UNKNOWN")];
        assert_refused(&status, Code::FailedPrecondition, "STATE_REJECTED", &unknown);
    }
}

#[tokio::test]
async fn an_account_that_is_not_there_is_not_found_by_any_rpc() {
    let mut client = World::new().client().await;
    let account_id = account(1, "", START).id.to_string();
    let refresh = v1::RefreshRequest { account_id: account_id.clone(), owner: None };
    let unlink =
        v1::UnlinkRequest { account_id: account_id.clone(), owner: None, allow_missing: false };
    let begin_link = v1::BeginLinkRequest {
        account_id,
        redirect_uri: "https://example.com/callback".to_owned(),
        ..v1::BeginLinkRequest::default()
    };
    for status in [
        client.get(get_request()).await.unwrap_err(),
        client.refresh(refresh).await.unwrap_err(),
        client.unlink(unlink).await.unwrap_err(),
        client.begin_link(begin_link).await.unwrap_err(),
    ] {
        assert_refused(&status, Code::NotFound, "ACCOUNT_NOT_FOUND", &[]);
    }
}

#[tokio::test]
async fn a_dead_token_says_why_and_since_when() {
    let world = World::with(willing_instagram());
    world.begin("S", "shop/7").await;
    let mut client = world.client().await;
    let linked = client.link(link_request("C", "S", "shop/7")).await.unwrap().into_inner();
    world.clock.advance(Duration::from_hours(24 * 61));
    let account_id = linked.account.unwrap().account_id;
    let status = client.refresh(v1::RefreshRequest { account_id, owner: None }).await.unwrap_err();
    let facts =
        [("expire_time", "2027-01-23T07:59:59Z"), ("reauthorization_reason", "TOKEN_EXPIRED")];
    assert_refused(&status, Code::FailedPrecondition, "REAUTHORIZATION_REQUIRED", &facts);
}

#[tokio::test]
async fn a_store_that_is_away_is_a_reason_to_retry() {
    let world = World::new();
    world.store.set_away(true);
    let status = world.client().await.get(get_request()).await.unwrap_err();
    let details = assert_refused(&status, Code::Unavailable, "STORE_UNAVAILABLE", &[]);
    assert_eq!(retry_delay(&details), Some(Duration::from_secs(1)));
    assert!(!status.message().contains("taken away"), "{}", status.message());
}

#[rstest]
#[case::damaged(StoreError::Corrupt(Cause::new("S3CRET row")), Code::Internal, "INTERNAL", None)]
#[case::a_fault_of_ours(
    StoreError::Internal(Cause::new("S3CRET sql")),
    Code::Internal,
    "INTERNAL",
    None
)]
#[case::a_conflict(StoreError::Conflict, Code::Unavailable, "STORE_UNAVAILABLE", Some(1))]
#[case::a_lost_lease(StoreError::LeaseLost, Code::Unavailable, "STORE_UNAVAILABLE", Some(1))]
#[tokio::test]
async fn a_failing_store_is_told_without_its_words(
    #[case] error: StoreError,
    #[case] code: Code,
    #[case] reason: &str,
    #[case] retry_seconds: Option<u64>,
) {
    let mut accounts = MockAccountReader::new();
    accounts.expect_find().returning(move |_| Err(error.clone()));
    let world = World { accounts: Arc::new(accounts), ..World::new() };
    let status = world.client().await.get(get_request()).await.unwrap_err();
    let details = assert_refused(&status, code, reason, &[]);
    assert_eq!(retry_delay(&details), retry_seconds.map(Duration::from_secs));
    assert!(!format!("{status:?}").contains("S3CRET"));
}

#[tokio::test]
async fn an_unconfirmed_refusal_of_a_renewal_leaves_the_account_alone() {
    let mut instagram = willing_instagram();
    instagram.expect_renew_token().returning(|_| {
        let rejected = InstagramErrorKind::TokenRejected(ReauthorizationReason::TokenRevoked);
        Err(instagram_error(rejected))
    });
    let world = World::with(instagram);
    world.begin("S", "shop/7").await;
    let mut client = world.client().await;
    let linked = client.link(link_request("C", "S", "shop/7")).await.unwrap().into_inner();
    world.clock.advance(Duration::from_hours(25));
    let account_id = linked.account.unwrap().account_id;
    let refresh = v1::RefreshRequest { account_id: account_id.clone(), owner: None };
    let status = client.refresh(refresh).await.unwrap_err();
    assert_refused(&status, Code::Unavailable, "INSTAGRAM_UNAVAILABLE", FACTS);
    let [(stored, _)] = world.store.accounts().try_into().unwrap();
    assert_eq!((stored.refused, stored.token_issue_time.unwrap()), (None, START));
}

/// A world with an account whose token is a month old, and dead as Instagram's next answers will tell.
pub(crate) async fn with_a_token_about_to_die() -> (World, String) {
    let rejected = || {
        let revoked = ReauthorizationReason::TokenRevoked;
        instagram_error(InstagramErrorKind::TokenRejected(revoked))
    };
    let mut instagram = MockInstagram::new();
    instagram.expect_exchange_code().returning(|_, _| Ok(exchange(&[Scope::basic()])));
    instagram.expect_extend_token().returning(|_| Ok((long_lived("IGAA-long"), sixty_days())));
    instagram.expect_profile().once().return_once(|_| Ok(profile(1)));
    instagram.expect_profile().returning(move |_| Err(rejected()));
    instagram.expect_renew_token().returning(move |_| Err(rejected()));
    let world = World::with(instagram);
    world.begin("S", "shop/7").await;
    let linked = world.client().await.link(link_request("C", "S", "shop/7")).await.unwrap();
    world.clock.advance(Duration::from_hours(24 * 30));
    (world, linked.into_inner().account.unwrap().account_id)
}

#[rstest]
#[case::refresh(true)]
#[case::fetch_access_token(false)]
#[tokio::test]
async fn the_call_that_finds_a_token_dead_tells_instagrams_numbers(#[case] by_refresh: bool) {
    let (world, account_id) = with_a_token_about_to_die().await;
    let mut client = world.client().await;
    let fetch = v1::FetchAccessTokenRequest {
        account_id: account_id.clone(),
        min_ttl: Some(prost_types::Duration { seconds: 50 * 24 * 60 * 60, nanos: 0 }),
        ..v1::FetchAccessTokenRequest::default()
    };
    let known =
        [("expire_time", "2027-01-23T07:59:59Z"), ("reauthorization_reason", "TOKEN_REVOKED")];
    let found_out: Vec<_> = known.iter().chain(FACTS).copied().collect();
    let status = if by_refresh {
        let refresh = v1::RefreshRequest { account_id, owner: None };
        client.refresh(refresh).await.unwrap_err()
    } else {
        client.fetch_access_token(fetch.clone()).await.unwrap_err()
    };
    assert_refused(&status, Code::FailedPrecondition, "REAUTHORIZATION_REQUIRED", &found_out);
    // From here on the store knows, and Instagram is not asked.
    let status = client.fetch_access_token(fetch).await.unwrap_err();
    assert_refused(&status, Code::FailedPrecondition, "REAUTHORIZATION_REQUIRED", &known);
}
