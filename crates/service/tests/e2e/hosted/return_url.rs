//! Links with a return URL: the session that began is the session that ends it.

use ig_proto::v1::{BeginLinkRequest, BeginLinkResponse, LinkRequest};
use reqwest::Url;
use rstest::rstest;

use super::{Hosted, OWNER, at, location};
use crate::support::sandbox::{BAKERY, Decision};
use crate::support::{On, reason, refusal};

const SESSION: &str = "session-of-the-victim";

/// A link of the person who sits in this session of this owner's.
async fn begin(hosted: &Hosted, owner: &str, session: &str) -> BeginLinkResponse {
    let request = BeginLinkRequest {
        owner: owner.to_owned(),
        session_binding: session.to_owned(),
        return_url: hosted.return_url(),
        ..Default::default()
    };
    hosted.begin(request).await
}

/// A call of the caller to which a browser came with this URL, in this session of this owner's.
fn arrived(url: &str, owner: &str, session: &str) -> LinkRequest {
    LinkRequest {
        authorization_response: url.to_owned(),
        owner: owner.to_owned(),
        session_binding: session.to_owned(),
        ..Default::default()
    }
}

fn parameter(url: &str, name: &str) -> String {
    let url = Url::parse(url).unwrap();
    let mut found = url.query_pairs().filter(|(key, _)| key == name);
    let (_, value) = found.next().unwrap_or_else(|| panic!("no {name} in {url}"));
    value.into_owned()
}

#[rstest]
#[tokio::test]
async fn a_consent_comes_back_with_a_ticket_that_its_session_redeems_once(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let hosted = Hosted::start(on).await;
    let begun = begin(&hosted, OWNER, SESSION).await;
    let callback = hosted.sandbox.decide(&begun.authorization_url, BAKERY, Decision::Allow).await;
    let code = parameter(&callback, "code");
    let first = hosted.get(&callback).await;
    let url = location(&first);
    assert!(url.starts_with(&format!("{}&state=", hosted.return_url())), "{url}");
    assert!(!url.contains(&code), "{url}");
    for (header, value) in [("cache-control", "no-store"), ("referrer-policy", "no-referrer")] {
        assert_eq!(first.headers()[header], value);
    }
    let forged = hosted.client.get(&callback).header("x-forwarded-host", "evil.example");
    let forged = forged.header("host", "evil.example").send().await.unwrap();
    assert_eq!(location(&forged), url, "and no header of a request is believed");
    let (other, address) = hosted.replica().await;
    assert_eq!(location(&hosted.get(&at(&address, &callback)).await), url);
    assert!(hosted.sandbox.requests("token").await.is_empty());

    let linked = other.link(arrived(&url, OWNER, SESSION)).await.unwrap();
    let replay = hosted.service.link(arrived(&url, OWNER, SESSION)).await.unwrap();
    assert!(linked.created && replay.created);
    assert_eq!(linked.account.unwrap().username, BAKERY);
    assert_eq!(hosted.sandbox.requests("token").await.len(), 1);
    assert_eq!(location(&hosted.get(&callback).await), url, "also with the back button");

    let stored = hosted.place.everything().await.text();
    let printed = [hosted.service.process.printed(), other.process.printed()].concat();
    assert!(printed.contains("TRACE") && printed.contains("hyper"));
    for secret in [&code, &begun.state, &parameter(&url, "ticket")] {
        assert!(!printed.contains(secret.as_str()) && !stored.contains(secret.as_str()));
    }
}

#[tokio::test]
async fn a_mailed_link_gains_nothing_of_its_victim() {
    let hosted = Hosted::start(On::Sqlite).await;
    let mailed = begin(&hosted, "attacker", "session-of-the-attacker").await;
    let callback = hosted.sandbox.decide(&mailed.authorization_url, BAKERY, Decision::Allow).await;
    // The victim's browser comes to the caller, who knows whose session that is.
    let url = location(&hosted.get(&callback).await);
    for (owner, session, cause) in [
        (OWNER, SESSION, "OTHER_OWNER"),
        ("attacker", SESSION, "OTHER_SESSION"),
        ("attacker", "", "OTHER_SESSION"),
    ] {
        let refused = refusal(hosted.service.link(arrived(&url, owner, session)).await);
        assert_eq!(refused.reason, "STATE_REJECTED");
        assert_eq!(refused.metadata["cause"], cause);
    }
    // The attacker knows the state, and cannot guess the ticket.
    let guessed = format!("?state={}&ticket={}", mailed.state, "a".repeat(43));
    let by_attacker = arrived(&guessed, "attacker", "session-of-the-attacker");
    let refused = refusal(hosted.service.link(by_attacker).await);
    assert_eq!(refused.metadata["cause"], "UNKNOWN");
    assert!(hosted.sandbox.requests("token").await.is_empty());
    assert!(hosted.linked().await.is_empty());
}

#[tokio::test]
async fn forged_visits_to_the_return_url_gain_nothing() {
    let hosted = Hosted::start(On::Sqlite).await;
    let (theirs, ours) =
        (begin(&hosted, "attacker", "theirs").await, begin(&hosted, OWNER, SESSION).await);
    let callback = hosted.sandbox.decide(&theirs.authorization_url, BAKERY, Decision::Allow).await;
    let (code, url) = (parameter(&callback, "code"), location(&hosted.get(&callback).await));
    let ticket = parameter(&url, "ticket");
    for (query, cause) in [
        // Their consent, slipped into the victim's session.
        (url.clone(), "OTHER_OWNER"),
        (format!("?state={}&ticket={ticket}", ours.state), "UNKNOWN"),
        (format!("?state={}&code={code}", ours.state), "UNKNOWN"),
        (format!("?state={}&code={code}", theirs.state), "UNKNOWN"),
    ] {
        let refused = refusal(hosted.service.link(arrived(&query, OWNER, SESSION)).await);
        assert_eq!(refused.reason, "STATE_REJECTED", "{query}");
        assert_eq!(refused.metadata["cause"], cause, "{query}");
    }
    let both = arrived(&format!("{url}&code={code}"), OWNER, SESSION);
    assert_eq!(reason(hosted.service.link(both).await), "INVALID_FIELD");
    let moved =
        format!("http://{}/oauth/callback?code={code}&state={}", hosted.address, ours.state);
    assert_eq!(hosted.get(&moved).await.status(), 400, "a code belongs to one state");
    assert!(hosted.linked().await.is_empty());
}

#[tokio::test]
async fn a_denial_is_passed_on_and_the_same_link_can_still_be_allowed() {
    let hosted = Hosted::start(On::Sqlite).await;
    let begun = begin(&hosted, OWNER, SESSION).await;
    let callback = hosted.sandbox.decide(&begun.authorization_url, BAKERY, Decision::Deny).await;
    let url = location(&hosted.get(&callback).await);
    assert_eq!(parameter(&url, "state"), begun.state);
    let denied = refusal(hosted.service.link(arrived(&url, OWNER, SESSION)).await);
    assert_eq!(denied.reason, "CONSENT_DENIED");
    assert_eq!(denied.metadata["error"], "access_denied");
    assert_eq!(denied.metadata["error_reason"], "user_denied");
    assert_eq!(denied.metadata["error_description"], "The user denied your request");
    let callback = hosted.sandbox.decide(&begun.authorization_url, BAKERY, Decision::Allow).await;
    let url = location(&hosted.get(&callback).await);
    assert!(hosted.service.link(arrived(&url, OWNER, SESSION)).await.unwrap().created);
}
