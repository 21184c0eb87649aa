//! From consent to an account that is read, renewed and forgotten.

use ig_proto::v1::get_request::Key;
use ig_proto::v1::{AccountStatus, AccountType, InstagramAccount, TokenOutcome};
use rstest::rstest;
use serde_json::Value;

use crate::support::sandbox::{BAKERY, CREATOR, NAMELESS};
use crate::support::{A_DAY_LATER, HOUR, Sandbox, Stack, reason, refusal};

#[tokio::test]
async fn consent_becomes_an_account_that_is_read_renewed_and_forgotten() {
    let stack = Stack::start().await;
    let Stack { sandbox, service, .. } = &stack;
    let request = service.consent(sandbox, "shop/7", BAKERY).await;
    let linked = service.link(request).await.unwrap();
    assert!(linked.created);
    assert_eq!(linked.missing_scopes, [""; 0]);
    let account = linked.account.unwrap();
    let person = sandbox.account(BAKERY).await;
    assert_shows(&account, &person);
    assert_eq!(account.account_type(), AccountType::Business);
    assert_eq!(account.owner, "shop/7");
    let usual = ["instagram_business_basic", "instagram_business_content_publish"];
    assert_eq!(account.granted_scopes, usual);
    assert_eq!((account.status(), account.revision), (AccountStatus::Active, 1));
    for key in [
        Key::AccountId(account.account_id.clone()),
        Key::InstagramId(account.professional_account_id.clone()),
        Key::InstagramId(account.app_scoped_user_id.clone()),
        Key::Username(format!("@{}", BAKERY.to_uppercase())),
    ] {
        assert_eq!(service.get(key).await.unwrap(), account);
    }
    let young = service.refresh(&account.account_id).await.unwrap();
    assert_eq!(young.token_outcome(), TokenOutcome::TooYoung);
    assert!(sandbox.requests("refresh").await.is_empty());
    stack.advance(A_DAY_LATER).await;
    let renewed = service.refresh(&account.account_id).await.unwrap();
    assert_eq!(renewed.token_outcome(), TokenOutcome::Renewed);
    let renewed = renewed.account.unwrap();
    assert!(issued(&renewed) >= issued(&account) + A_DAY_LATER);
    assert_eq!(service.get(Key::AccountId(account.account_id.clone())).await.unwrap(), renewed);
    service.unlink(&account.account_id).await.unwrap();
    for key in [
        Key::AccountId(account.account_id.clone()),
        Key::InstagramId(account.professional_account_id),
        Key::Username(BAKERY.to_owned()),
    ] {
        assert_eq!(reason(service.get(key).await), "ACCOUNT_NOT_FOUND");
    }
    assert_eq!(reason(service.unlink(&account.account_id).await), "ACCOUNT_NOT_FOUND");
}

#[rstest]
#[case::creator(CREATOR, AccountType::Creator)]
#[case::without_name_and_picture(NAMELESS, AccountType::Business)]
#[tokio::test]
async fn an_account_is_stored_as_instagram_shows_it(
    #[case] username: &str,
    #[case] account_type: AccountType,
) {
    let Stack { sandbox, service, folder: _folder } = &Stack::start().await;
    let account = service.linked(sandbox, "", username).await;
    assert_shows(&account, &sandbox.account(username).await);
    assert_eq!(account.account_type(), account_type);
}

#[tokio::test]
async fn an_account_is_linked_again_after_the_sandbox_forgot_everything() {
    let Stack { sandbox, service, folder } = Stack::start().await;
    let first = service.linked(&sandbox, "shop/7", BAKERY).await;
    drop((sandbox, service));
    let sandbox = Sandbox::start().await;
    let service = folder.serve(&sandbox, &[]).await;
    let again = service.linked(&sandbox, "shop/7", BAKERY).await;
    assert_eq!(again.account_id, first.account_id);
    assert_eq!(again.app_scoped_user_id, first.app_scoped_user_id);
}

#[tokio::test]
async fn the_same_call_again_is_a_replay_for_an_hour() {
    let stack = Stack::start().await;
    let Stack { sandbox, service, .. } = &stack;
    let request = service.consent(sandbox, "shop/7", BAKERY).await;
    let first = service.link(request.clone()).await.unwrap();
    assert_eq!(service.link(request.clone()).await.unwrap(), first);
    stack.advance(HOUR - 60).await;
    assert_eq!(service.link(request.clone()).await.unwrap(), first);
    stack.advance(120).await;
    let late = refusal(service.link(request).await);
    assert_eq!((late.reason.as_str(), late.metadata["cause"].as_str()), ("STATE_REJECTED", "USED"));
    for endpoint in ["token", "exchange", "me"] {
        assert_eq!(sandbox.requests(endpoint).await.len(), 1, "{endpoint}");
    }
}

/// Asserts that the account is what Instagram's profile shows.
fn assert_shows(account: &InstagramAccount, profile: &Value) {
    let text = |field: &str| profile[field].as_str().map(str::to_owned);
    let number = |field: &str| profile[field].as_i64();
    assert_eq!(Some(&account.professional_account_id), text("user_id").as_ref());
    assert_eq!(Some(&account.app_scoped_user_id), text("id").as_ref());
    assert_eq!(Some(&account.username), text("username").as_ref());
    assert_eq!(account.name, text("name"));
    assert_eq!(account.profile_picture_url, text("profile_picture_url"));
    assert_eq!(account.followers_count, number("followers_count"));
    assert_eq!(account.follows_count, number("follows_count"));
    assert_eq!(account.media_count, number("media_count"));
}

fn issued(account: &InstagramAccount) -> i64 {
    account.token_issue_time.unwrap().seconds
}
