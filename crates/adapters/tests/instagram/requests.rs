//! Requests as they are sent.

use std::collections::BTreeMap;

use ig_domain::ports::Instagram;
use ig_domain::{RequestedScopes, StateToken};
use reqwest::Url;
use rstest::rstest;
use wiremock::{Request, ResponseTemplate};

use super::{
    APP_ID, APP_SECRET, CODE, Call, LONG_LIVED, REDIRECT_URI, SHORT_LIVED, answering, client_of,
};

/// The one request that a call makes.
async fn request_of(call: Call) -> Request {
    let (server, client) = answering(ResponseTemplate::new(404)).await;
    call.make(&client).await.unwrap_err();
    let mut requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 1);
    requests.remove(0)
}

fn query(url: &Url) -> BTreeMap<String, String> {
    url.query_pairs().into_owned().collect()
}

fn pairs(expected: &[(&str, &str)]) -> BTreeMap<String, String> {
    expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers.get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_code_is_posted_as_a_form_with_all_credentials_in_the_body() {
    let request = request_of(Call::Exchange).await;
    assert_eq!((request.method.as_str(), request.url.path()), ("POST", "/api/oauth/access_token"));
    assert_eq!(request.url.query(), None);
    assert_eq!(header(&request, "content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(header(&request, "authorization"), None);

    let mut form = request.url.clone();
    form.set_query(Some(std::str::from_utf8(&request.body).unwrap()));
    let expected = [
        ("client_id", APP_ID),
        ("client_secret", APP_SECRET),
        ("grant_type", "authorization_code"),
        ("redirect_uri", REDIRECT_URI),
        ("code", CODE),
    ];
    assert_eq!(query(&form), pairs(&expected));
}

#[tokio::test]
async fn a_short_lived_token_is_extended_by_a_get() {
    let request = request_of(Call::Extend).await;
    assert_eq!((request.method.as_str(), request.url.path()), ("GET", "/v25.0/access_token"));
    let expected = [
        ("grant_type", "ig_exchange_token"),
        ("client_secret", APP_SECRET),
        ("access_token", SHORT_LIVED),
    ];
    assert_eq!(query(&request.url), pairs(&expected));
}

#[tokio::test]
async fn a_long_lived_token_is_renewed_by_a_get() {
    let request = request_of(Call::Renew).await;
    let line = (request.method.as_str(), request.url.path());
    assert_eq!(line, ("GET", "/v25.0/refresh_access_token"));
    let expected = [("grant_type", "ig_refresh_token"), ("access_token", LONG_LIVED)];
    assert_eq!(query(&request.url), pairs(&expected));
}

#[tokio::test]
async fn a_profile_is_read_with_the_token_in_the_header_and_both_ids_asked_for() {
    let request = request_of(Call::Profile).await;
    assert_eq!((request.method.as_str(), request.url.path()), ("GET", "/v25.0/me"));
    let bearer = format!("Bearer {LONG_LIVED}");
    assert_eq!(header(&request, "authorization"), Some(bearer.as_str()));

    let query = query(&request.url);
    assert_eq!(query.keys().collect::<Vec<_>>(), ["fields"]);
    let fields: Vec<_> = query["fields"].split(',').collect();
    assert_eq!(
        fields,
        [
            "id",
            "user_id",
            "username",
            "name",
            "account_type",
            "profile_picture_url",
            "followers_count",
            "follows_count",
            "media_count"
        ]
    );
}

#[rstest]
#[case::asked(Call::Subscription, "GET", &[])]
#[case::set(Call::Subscribe, "POST", &[("subscribed_fields", "comments,messages")])]
#[case::ended(Call::Unsubscribe, "DELETE", &[])]
#[tokio::test]
async fn a_subscription_is_handled_with_the_token_in_the_header(
    #[case] call: Call,
    #[case] method: &str,
    #[case] expected: &[(&str, &str)],
) {
    let request = request_of(call).await;
    let line = (request.method.as_str(), request.url.path());
    assert_eq!(line, (method, "/v25.0/me/subscribed_apps"));
    let bearer = format!("Bearer {LONG_LIVED}");
    assert_eq!(header(&request, "authorization"), Some(bearer.as_str()));
    assert_eq!(query(&request.url), pairs(expected));
    assert!(request.body.is_empty());
}

#[tokio::test]
async fn every_request_says_who_asks() {
    let request = request_of(Call::Profile).await;
    let agent = header(&request, "user-agent").unwrap();
    assert!(agent.starts_with("instagram-accounts/"), "{agent}");
}

#[tokio::test]
async fn no_request_asks_for_compression() {
    for call in Call::ALL {
        let request = request_of(call).await;
        assert_eq!(header(&request, "accept-encoding"), Some("identity"), "{call:?}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for call in Call::ALL {
        let elsewhere = ResponseTemplate::new(307).insert_header("location", "/elsewhere");
        let (server, client) = answering(elsewhere).await;
        call.make(&client).await.unwrap_err();
        assert_eq!(server.received_requests().await.unwrap().len(), 1, "{call:?}");
    }
}

#[test]
fn the_authorization_url_carries_the_request_encoded() {
    let client = client_of("http://127.0.0.1:1");
    let state: StateToken = "state-1&x".parse().unwrap();
    let redirect_uri = REDIRECT_URI.parse().unwrap();
    let url = |force| {
        let url = client.authorization_url(&redirect_uri, &RequestedScopes::usual(), &state, force);
        url.parse::<Url>().unwrap()
    };

    let plain = url(false);
    assert_eq!(plain.path(), "/oauth/authorize");
    let mut expected = pairs(&[
        ("client_id", APP_ID),
        ("redirect_uri", REDIRECT_URI),
        ("response_type", "code"),
        ("scope", "instagram_business_basic,instagram_business_content_publish"),
        ("state", "state-1&x"),
    ]);
    assert_eq!(query(&plain), expected);

    expected.insert("force_reauth".to_owned(), "true".to_owned());
    assert_eq!(query(&url(true)), expected);
}
