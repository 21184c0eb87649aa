//! Decisions at Instagram other than to allow everything, and the owners that may link an account.

use ig_proto::v1::get_request::Key;
use ig_proto::v1::{BeginLinkRequest, ListRequest};
use reqwest::Url;

use crate::support::sandbox::{BAKERY, CREATOR, Decision};
use crate::support::{HOUR, Stack, arrival, reason, refusal};

const BASIC: &str = "instagram_business_basic";
const PUBLISH: &str = "instagram_business_content_publish";

#[tokio::test]
async fn whoever_cancels_can_still_allow_with_the_same_link() {
    let Stack { sandbox, service, folder: _folder } = &Stack::start().await;
    let begun = service.begin("shop/7").await;
    let arrived = sandbox.decide(&begun.authorization_url, BAKERY, Decision::Deny).await;
    let denied = refusal(service.link(arrival(arrived, "shop/7")).await);
    assert_eq!(denied.reason, "CONSENT_DENIED");
    assert_eq!(denied.metadata["error"], "access_denied");
    assert_eq!(denied.metadata["error_reason"], "user_denied");
    assert_eq!(denied.metadata["error_description"], "The user denied your request");
    assert!(sandbox.requests("token").await.is_empty());
    let arrived = sandbox.decide(&begun.authorization_url, BAKERY, Decision::Allow).await;
    assert!(service.link(arrival(arrived, "shop/7")).await.unwrap().created);
}

#[tokio::test]
async fn an_unticked_permission_is_told_as_missing() {
    let Stack { sandbox, service, folder: _folder } = &Stack::start().await;
    let begun = service.begin("").await;
    let arrived =
        sandbox.decide(&begun.authorization_url, BAKERY, Decision::AllowOnly(BASIC)).await;
    let linked = service.link(arrival(arrived, "")).await.unwrap();
    assert_eq!(linked.missing_scopes, [PUBLISH]);
    let account = linked.account.unwrap();
    assert_eq!((account.granted_scopes, account.granted_scopes_known), (vec![BASIC.into()], true));
}

#[tokio::test]
async fn without_the_basic_permission_nothing_is_stored() {
    let Stack { sandbox, service, folder: _folder } = &Stack::start().await;
    let begun = service.begin("").await;
    let arrived =
        sandbox.decide(&begun.authorization_url, BAKERY, Decision::AllowOnly(PUBLISH)).await;
    for _again in 0..2 {
        let refused = refusal(service.link(arrival(arrived.clone(), "")).await);
        assert_eq!(refused.reason, "SCOPE_MISSING");
        assert_eq!(refused.metadata["missing_scopes"], BASIC);
    }
    assert_eq!(sandbox.requests("token").await.len(), 1);
    assert_eq!(service.list(ListRequest::default()).await.unwrap().accounts, []);
}

#[tokio::test]
async fn the_authorization_url_asks_for_what_was_wanted() {
    let Stack { service, folder: _folder, sandbox } = &Stack::start().await;
    let parameter = |url: &str, name: &str| {
        let url = Url::parse(url).unwrap();
        let mut pairs = url.query_pairs();
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    let usual = service.begin("").await;
    assert_eq!(parameter(&usual.authorization_url, "force_reauth"), None);
    assert_eq!(parameter(&usual.authorization_url, "state"), Some(usual.state));
    let forced = BeginLinkRequest {
        scopes: vec!["instagram_business_manage_comments".to_owned()],
        force_reauth: true,
        ..BeginLinkRequest::default()
    };
    let forced = service.begin_as(forced).await;
    assert_eq!(parameter(&forced.authorization_url, "force_reauth").as_deref(), Some("true"));
    assert_eq!(
        parameter(&forced.authorization_url, "scope").as_deref(),
        Some("instagram_business_basic,instagram_business_manage_comments")
    );
    let arrived = sandbox.decide(&forced.authorization_url, BAKERY, Decision::Allow).await;
    assert_eq!(service.link(arrival(arrived, "")).await.unwrap().missing_scopes, [""; 0]);
}

#[tokio::test]
async fn linking_again_keeps_the_account_and_takes_the_new_token() {
    let stack = Stack::start().await;
    let Stack { sandbox, service, .. } = &stack;
    let first = service.linked(sandbox, "shop/7", BAKERY).await;
    stack.advance(HOUR).await;
    let request = service.consent(sandbox, "shop/7", BAKERY).await;
    let again = service.link(request).await.unwrap();
    assert!(!again.created);
    let again = again.account.unwrap();
    assert_eq!((&again.account_id, again.link_time), (&first.account_id, first.link_time));
    assert!(again.revision > first.revision, "{}", again.revision);
    let issued = |time: Option<prost_types::Timestamp>| time.unwrap().seconds;
    assert!(issued(again.token_issue_time) >= issued(first.token_issue_time) + HOUR);
}

#[tokio::test]
async fn one_account_is_authorised_anew_and_no_other_in_its_place() {
    let Stack { sandbox, service, folder: _folder } = &Stack::start().await;
    let account = service.linked(sandbox, "shop/7", BAKERY).await;
    let key = Key::AccountId(account.account_id.clone());
    let exactly = BeginLinkRequest {
        owner: "shop/7".to_owned(),
        account_id: account.account_id.clone(),
        ..BeginLinkRequest::default()
    };
    let begun = service.begin_as(exactly.clone()).await;
    let arrived = sandbox.decide(&begun.authorization_url, CREATOR, Decision::Allow).await;
    assert_eq!(reason(service.link(arrival(arrived, "shop/7")).await), "WRONG_ACCOUNT");
    assert_eq!(service.get(key).await.unwrap(), account);
    let other = service.get(Key::Username(CREATOR.to_owned())).await;
    assert_eq!(reason(other), "ACCOUNT_NOT_FOUND");
    let begun = service.begin_as(exactly).await;
    let arrived = sandbox.decide(&begun.authorization_url, BAKERY, Decision::Allow).await;
    let linked = service.link(arrival(arrived, "shop/7")).await.unwrap();
    assert_eq!((linked.created, linked.missing_scopes), (false, vec![]));
    assert_eq!(linked.account.unwrap().account_id, account.account_id);
}

#[tokio::test]
async fn a_living_account_stays_its_owners() {
    let Stack { sandbox, service, folder: _folder } = &Stack::start().await;
    let account = service.linked(sandbox, "shop/7", BAKERY).await;
    let request = service.consent(sandbox, "shop/8", BAKERY).await;
    assert_eq!(reason(service.link(request.clone()).await), "OWNED_BY_ANOTHER");
    let key = Key::AccountId(account.account_id.clone());
    assert_eq!(service.get(key).await.unwrap(), account);
    service.unlink(&account.account_id).await.unwrap();
    // Final for this code; a new consent is needed.
    assert_eq!(reason(service.link(request).await), "OWNED_BY_ANOTHER");
    let moved = service.linked(sandbox, "shop/8", BAKERY).await;
    assert_eq!(moved.owner, "shop/8");
}

#[tokio::test]
async fn a_dead_account_blocks_no_other_owner() {
    let Stack { sandbox, service, folder: _folder } = &Stack::start().await;
    let dead = service.linked(sandbox, "shop/7", BAKERY).await;
    sandbox.revoke(BAKERY, "app_removed").await;
    let refused = service.refresh(&dead.account_id).await;
    assert_eq!(reason(refused), "REAUTHORIZATION_REQUIRED");
    let request = service.consent(sandbox, "shop/8", BAKERY).await;
    let linked = service.link(request).await.unwrap();
    assert!(linked.created);
    let account = linked.account.unwrap();
    assert_eq!(account.owner, "shop/8");
    assert_ne!(account.account_id, dead.account_id);
    let gone = service.get(Key::AccountId(dead.account_id)).await;
    assert_eq!(reason(gone), "ACCOUNT_NOT_FOUND");
}
