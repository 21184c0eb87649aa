//! People in front of the consent page, in a real browser.

use ig_proto::v1::get_request::Key as By;
use ig_proto::v1::{BeginLinkRequest, TokenOutcome};
use thirtyfour::Key;

use crate::support::browser::Browser;
use crate::support::sandbox::{BAKERY, CREATOR};
use crate::support::{A_DAY_LATER, Stack, arrival, reason, refusal};

const BASIC: &str = "instagram_business_basic";
const PUBLISH: &str = "instagram_business_content_publish";

#[tokio::test]
async fn a_person_chooses_an_account_unticks_a_permission_and_allows() {
    let stack = Stack::start().await;
    let Stack { sandbox, service, .. } = &stack;
    let browser = consent_page(&stack).await;
    browser.click(&format!("input[name=account][value='{CREATOR}']")).await;
    browser.click(&format!("input[name=grant][value={PUBLISH}]")).await;
    browser.click("button[value=allow]").await;
    let response = browser.find("#response").await.text().await.unwrap();
    let at = browser.driver.current_url().await.unwrap();
    assert_eq!(at.path(), "/redirect");
    assert_eq!(at.query(), Some(response.as_str()));
    let line = browser.find("#link").await.text().await.unwrap();
    assert!(line.starts_with("grpcurl ") && line.contains(&response), "{line}");
    browser.close().await;

    let linked = service.link(arrival(response, "shop/7")).await.unwrap();
    assert!(linked.created);
    assert_eq!(linked.missing_scopes, [PUBLISH]);
    let account = linked.account.unwrap();
    assert_eq!(
        (account.username.as_str(), &account.granted_scopes[..]),
        (CREATOR, &[BASIC.to_owned()][..])
    );
    for key in [
        By::AccountId(account.account_id.clone()),
        By::InstagramId(account.professional_account_id.clone()),
        By::InstagramId(account.app_scoped_user_id.clone()),
        By::Username(account.username.clone()),
    ] {
        assert_eq!(service.get(key).await.unwrap(), account);
    }
    let young = service.refresh(&account.account_id).await.unwrap();
    assert_eq!(young.token_outcome(), TokenOutcome::TooYoung);
    stack.advance(A_DAY_LATER).await;
    let renewed = service.refresh(&account.account_id).await.unwrap();
    assert_eq!(renewed.token_outcome(), TokenOutcome::Renewed);
    service.unlink(&account.account_id).await.unwrap();
    let gone = service.get(By::AccountId(account.account_id)).await;
    assert_eq!(reason(gone), "ACCOUNT_NOT_FOUND");
    assert_eq!(sandbox.requests("token").await.len(), 1);
}

#[tokio::test]
async fn a_person_cancels() {
    let stack = Stack::start().await;
    let browser = consent_page(&stack).await;
    browser.click("button[value=deny]").await;
    let response = browser.find("#response").await.text().await.unwrap();
    browser.close().await;
    let denied = refusal(stack.service.link(arrival(response, "shop/7")).await);
    assert_eq!(denied.reason, "CONSENT_DENIED");
    assert_eq!(denied.metadata["error_reason"], "user_denied");
}

#[tokio::test]
async fn a_person_consents_by_keyboard_and_hears_what_each_field_is() {
    let stack = Stack::start().await;
    let browser = consent_page(&stack).await;
    let mut heard = Vec::new();
    for _field in 0..5 {
        browser.press(Key::Tab).await;
        heard.push(browser.focused().await);
        if heard.len() == 1 {
            // The next account.
            browser.press(Key::Down).await;
            heard.push(browser.focused().await);
        }
    }
    let expected = [
        ("radio", BAKERY),
        ("radio", CREATOR),
        ("checkbox", BASIC),
        ("checkbox", PUBLISH),
        ("button", "Allow"),
        ("button", "Cancel"),
    ];
    assert_eq!(heard.len(), expected.len());
    for ((role, name), (expected_role, part)) in heard.iter().zip(expected) {
        assert!(role == expected_role && name.contains(part), "{heard:?}");
    }
    // Back to `Allow`.
    browser.press_with_shift(Key::Tab).await;
    browser.press(Key::Enter).await;
    let response = browser.find("#response").await.text().await.unwrap();
    browser.close().await;
    let linked = stack.service.link(arrival(response, "shop/7")).await.unwrap();
    assert_eq!(linked.account.unwrap().username, CREATOR);
    assert!(linked.missing_scopes.is_empty());
}

/// A browser on the consent page of a link that comes back to the sandbox.
async fn consent_page(stack: &Stack) -> Browser {
    let request = BeginLinkRequest {
        owner: "shop/7".to_owned(),
        redirect_uri: format!("{}/redirect", stack.sandbox.url),
        ..BeginLinkRequest::default()
    };
    Browser::open(&stack.service.begin_as(request).await.authorization_url).await
}
