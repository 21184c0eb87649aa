//! People in front of the consent page, in a real browser.

use ig_proto::v1::get_request::Key as By;
use ig_proto::v1::{BeginLinkRequest, TokenOutcome};
use thirtyfour::Key;

use crate::support::browser::Window;
use crate::support::sandbox::{BAKERY, CREATOR};
use crate::support::{A_DAY_LATER, Stack, arrival, reason, refusal};

const BASIC: &str = "instagram_business_basic";
const PUBLISH: &str = "instagram_business_content_publish";

#[tokio::test]
async fn a_person_chooses_an_account_unticks_a_permission_and_allows() {
    let stack = Stack::start().await;
    let Stack { sandbox, service, .. } = &stack;
    let response = Window::visit(&consent_page(&stack).await, async |window| {
        window.click(&format!("input[name=account][value='{CREATOR}']")).await;
        window.click(&format!("input[name=grant][value={PUBLISH}]")).await;
        window.click("button[value=allow]").await;
        let response = window.text("#response").await;
        let arrived = window.url().await;
        assert_eq!((arrived.path(), arrived.query()), ("/redirect", Some(response.as_str())));
        let line = window.text("#link").await;
        assert!(line.starts_with("grpcurl ") && line.contains(&response), "{line}");
        response
    })
    .await;
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
    let response = Window::visit(&consent_page(&stack).await, async |window| {
        window.click("button[value=deny]").await;
        window.text("#response").await
    })
    .await;
    let denied = refusal(stack.service.link(arrival(response, "shop/7")).await);
    assert_eq!(denied.reason, "CONSENT_DENIED");
    assert_eq!(denied.metadata["error_reason"], "user_denied");
}

#[tokio::test]
async fn a_person_consents_by_keyboard_and_hears_what_each_field_is() {
    let stack = Stack::start().await;
    let (heard, response) = Window::visit(&consent_page(&stack).await, async |window| {
        let mut heard = Vec::new();
        // The next account is an arrow away, everything else a tab.
        for key in [Key::Tab, Key::Down, Key::Tab, Key::Tab, Key::Tab, Key::Tab] {
            window.press(key).await;
            heard.push(window.focused().await);
        }
        // Back to `Allow`.
        window.press_with_shift(Key::Tab).await;
        window.press(Key::Enter).await;
        (heard, window.text("#response").await)
    })
    .await;
    let expected = [
        ("radio", BAKERY),
        ("radio", CREATOR),
        ("checkbox", BASIC),
        ("checkbox", PUBLISH),
        ("button", "Allow"),
        ("button", "Cancel"),
    ];
    for ((role, name), (expected_role, part)) in heard.iter().zip(expected) {
        assert!(role == expected_role && name.contains(part), "{heard:?}");
    }
    let linked = stack.service.link(arrival(response, "shop/7")).await.unwrap();
    assert_eq!(linked.account.unwrap().username, CREATOR);
    assert!(linked.missing_scopes.is_empty());
}

/// The consent page of a link that comes back to the sandbox.
async fn consent_page(stack: &Stack) -> String {
    let request = BeginLinkRequest {
        owner: "shop/7".to_owned(),
        redirect_uri: format!("{}/redirect", stack.sandbox.url),
        ..BeginLinkRequest::default()
    };
    stack.service.begin_as(request).await.authorization_url
}
