//! Answers of each RPC when all goes well.

use std::time::Duration;

use ig_domain::ports::MockInstagram;
use ig_proto::v1;
use ig_proto::v1::get_request::Key;
use ig_test_support::builders::{START, long_lived, profile};
use prost_types::Timestamp;
use rstest::rstest;

use crate::world::{TonicClient, World, instagram_of, sixty_days, willing_instagram};

async fn linked(world: &World) -> (TonicClient, v1::LinkResponse) {
    world.begin("S", "shop/7").await;
    let mut client = world.client().await;
    let request = v1::LinkRequest {
        authorization_response: "https://example.com/callback?code=C&state=S#_".to_owned(),
        owner: "shop/7".to_owned(),
        ..v1::LinkRequest::default()
    };
    let linked = client.link(request).await.unwrap().into_inner();
    (client, linked)
}

fn timestamp(moment: time::OffsetDateTime) -> Timestamp {
    Timestamp { seconds: moment.unix_timestamp(), nanos: 0 }
}

#[tokio::test]
async fn begin_link_answers_the_url_the_state_and_its_end() {
    let mut instagram = MockInstagram::new();
    instagram.expect_authorization_url().returning(|_, scopes, state, force| {
        let scopes: Vec<_> = scopes.iter().map(ToString::to_string).collect();
        format!("https://example.com/authorize?{}&{}&{force}", scopes.join(","), state.expose())
    });
    let request = v1::BeginLinkRequest {
        redirect_uri: "https://example.com/callback".to_owned(),
        scopes: vec!["instagram_business_manage_comments".to_owned()],
        force_reauth: true,
        ..v1::BeginLinkRequest::default()
    };
    let begun = World::with(instagram).client().await.begin_link(request).await.unwrap();
    let begun = begun.into_inner();
    let url = format!(
        "https://example.com/authorize?instagram_business_basic,\
         instagram_business_manage_comments&{}&true",
        begun.state
    );
    assert_eq!(begun.authorization_url, url);
    assert_eq!(begun.expire_time, Some(timestamp(START + Duration::from_mins(15))));
}

#[tokio::test]
async fn link_answers_the_whole_account() {
    let world = World::with(willing_instagram());
    let (_, linked) = linked(&world).await;
    let account = linked.account.unwrap();
    assert!(linked.created);
    assert_eq!(linked.missing_scopes, ["instagram_business_content_publish"]);
    let expected = v1::InstagramAccount {
        account_id: account.account_id.clone(),
        professional_account_id: "17841400000000001".to_owned(),
        app_scoped_user_id: "26100000000010001".to_owned(),
        owner: "shop/7".to_owned(),
        username: "account_1".to_owned(),
        name: Some("Account 1 — é".to_owned()),
        profile_picture_url: Some("https://cdn.example/1.jpg".to_owned()),
        account_type: v1::AccountType::Business.into(),
        followers_count: Some(1),
        follows_count: Some(2),
        media_count: Some(3),
        granted_scopes: vec!["instagram_business_basic".to_owned()],
        granted_scopes_known: true,
        status: v1::AccountStatus::Active.into(),
        reauthorization_reason: v1::ReauthorizationReason::Unspecified.into(),
        token_issue_time: Some(timestamp(START)),
        token_expire_time: Some(timestamp(START + Duration::from_secs(5_183_999))),
        link_time: Some(timestamp(START)),
        profile_time: Some(timestamp(START)),
        update_time: Some(timestamp(START)),
        revision: 1,
        next_refresh_time: account.next_refresh_time,
        refresh_trouble: None,
        webhook_subscription: None,
    };
    assert_eq!(account, expected);
    let next = account.next_refresh_time.unwrap().seconds - timestamp(START).seconds;
    assert!((24 * 86_400..=36 * 86_400).contains(&next), "{next} s");
}

#[tokio::test]
async fn get_finds_an_account_by_each_of_its_names() {
    let world = World::with(willing_instagram());
    let (mut client, linked) = linked(&world).await;
    let account = linked.account.unwrap();
    for key in [
        Key::AccountId(account.account_id.clone()),
        Key::InstagramId(account.professional_account_id.clone()),
        Key::InstagramId(account.app_scoped_user_id.clone()),
        Key::Username("@Account_1".to_owned()),
    ] {
        let request = v1::GetRequest { key: Some(key), owner: Some("shop/7".to_owned()) };
        let found = client.get(request).await.unwrap().into_inner();
        assert_eq!(found.account.as_ref(), Some(&account));
    }
}

#[tokio::test]
async fn an_expired_account_is_read_as_such() {
    let world = World::with(willing_instagram());
    let (mut client, _) = linked(&world).await;
    world.clock.advance(Duration::from_hours(24 * 61));
    // It is not marked yet, and the filter goes by the mark.
    let request =
        v1::ListRequest { status: v1::AccountStatus::Active.into(), ..v1::ListRequest::default() };
    let listed = client.list(request).await.unwrap().into_inner();
    let [account] = listed.accounts.as_slice() else { panic!("{listed:?}") };
    assert_eq!(account.status(), v1::AccountStatus::ReauthorizationRequired);
    assert_eq!(account.reauthorization_reason(), v1::ReauthorizationReason::TokenExpired);
}

#[tokio::test]
async fn a_listing_goes_on_where_its_page_ended_and_under_no_other_arguments() {
    let mut count = 0;
    let instagram = instagram_of(move || {
        count += 1;
        profile(count)
    });
    let world = World::with(instagram);
    let mut client = world.client().await;
    for index in 1..=3 {
        world.begin(&format!("S{index}"), "shop/7").await;
        let request = v1::LinkRequest {
            code: format!("C{index}"),
            state: format!("S{index}"),
            owner: "shop/7".to_owned(),
            ..v1::LinkRequest::default()
        };
        client.link(request).await.unwrap();
        world.clock.advance(Duration::from_secs(1));
    }
    let page = |page_token: String| v1::ListRequest {
        owner: Some("shop/7".to_owned()),
        page_size: 2,
        page_token,
        ..v1::ListRequest::default()
    };
    let names = |listed: &v1::ListResponse| {
        listed.accounts.iter().map(|account| account.username.clone()).collect::<Vec<_>>()
    };
    let first = client.list(page(String::new())).await.unwrap().into_inner();
    assert_eq!(names(&first), ["account_3", "account_2"]);
    let second = client.list(page(first.next_page_token.clone())).await.unwrap().into_inner();
    assert_eq!(names(&second), ["account_1"]);
    assert_eq!(second.next_page_token, "");
    let other = v1::ListRequest { owner: None, ..page(first.next_page_token) };
    assert_eq!(client.list(other).await.unwrap_err().code(), tonic::Code::InvalidArgument);
}

#[rstest]
#[case::too_young(1, v1::TokenOutcome::TooYoung)]
#[case::ripe(25, v1::TokenOutcome::Renewed)]
#[tokio::test]
async fn refresh_says_what_became_of_the_token(
    #[case] hours: u64,
    #[case] expected: v1::TokenOutcome,
) {
    let mut instagram = willing_instagram();
    instagram.expect_renew_token().returning(|_| Ok((long_lived("IGAA-renewed"), sixty_days())));
    let world = World::with(instagram);
    let (mut client, linked) = linked(&world).await;
    world.clock.advance(Duration::from_hours(hours));
    let request = v1::RefreshRequest {
        account_id: linked.account.unwrap().account_id,
        owner: Some("shop/7".to_owned()),
    };
    let refreshed = client.refresh(request).await.unwrap().into_inner();
    assert_eq!(refreshed.token_outcome(), expected);
    let profile_time = refreshed.account.unwrap().profile_time;
    assert_eq!(profile_time, Some(timestamp(START + Duration::from_hours(hours))));
}

#[tokio::test]
async fn unlink_forgets_and_a_missing_account_may_be_a_success() {
    let world = World::with(willing_instagram());
    let (mut client, linked) = linked(&world).await;
    let account_id = linked.account.unwrap().account_id;
    let request = |allow_missing| v1::UnlinkRequest {
        account_id: account_id.clone(),
        owner: None,
        allow_missing,
    };
    client.unlink(request(false)).await.unwrap();
    assert_eq!(world.store.accounts().len(), 0);
    client.unlink(request(true)).await.unwrap();
    assert_eq!(client.unlink(request(false)).await.unwrap_err().code(), tonic::Code::NotFound);
}
