//! Tests of beginning a link.

use std::sync::Arc;
use std::time::Duration;

use ig_application::{BeginLink, BeginLinkCommand, BeginLinkError};
use ig_domain::ports::{MockInstagram, PendingLinks as _};
use ig_domain::{
    AccountId, GrantedScopes, InstagramAccount, RequestedScopes, Scope, SessionBinding,
};
use ig_test_support::builders::{START, account, parsed};
use ig_test_support::{FakeClock, MemoryStore, SequentialIds};

use crate::{empty_store, store_with};

const URI: &str = "https://example.com/callback";

fn use_case(store: &MemoryStore, redirect_uris: &[&str]) -> BeginLink {
    let mut instagram = MockInstagram::new();
    instagram.expect_authorization_url().returning(|uri, scopes, state, _| {
        let scopes: Vec<_> = scopes.iter().map(Scope::as_str).collect();
        format!("{} {} {}", uri.as_str(), scopes.join(","), state.expose())
    });
    BeginLink {
        accounts: Arc::new(store.clone()),
        pending_links: Arc::new(store.clone()),
        instagram: Arc::new(instagram),
        clock: Arc::new(FakeClock::at(START)),
        ids: Arc::new(SequentialIds::default()),
        redirect_uris: redirect_uris.iter().map(|uri| parsed(uri)).collect(),
        state_ttl: Duration::from_mins(15),
    }
}

fn command(owner: &str, account: Option<AccountId>) -> BeginLinkCommand {
    BeginLinkCommand {
        owner: parsed(owner),
        redirect_uri: parsed(URI),
        scopes: None,
        force_reauth: false,
        account,
        session_binding: SessionBinding::default(),
    }
}

#[tokio::test]
async fn the_state_is_kept_with_all_that_the_link_needs() {
    let store = empty_store();
    let begun = use_case(&store, &[URI]).execute(command("shop/7", None)).await.unwrap();
    let pending = store.find(&begun.state.hash()).await.unwrap().unwrap();
    assert_eq!(pending.scopes, RequestedScopes::usual());
    assert_eq!(pending.expire_time, START + Duration::from_mins(15));
    assert_eq!(begun.expire_time, pending.expire_time);
    assert!(begun.authorization_url.ends_with(begun.state.expose()));
}

#[tokio::test]
async fn only_listed_redirect_uris_are_used_where_there_is_a_list() {
    let other = use_case(&empty_store(), &["https://example.com/callback/"]);
    let refused = other.execute(command("", None)).await;
    assert!(matches!(refused, Err(BeginLinkError::RedirectUriRejected)), "{refused:?}");
    assert!(use_case(&empty_store(), &[]).execute(command("", None)).await.is_ok());
}

#[tokio::test]
async fn re_authorisation_asks_for_what_was_granted_before() {
    let comments: Scope = parsed("instagram_business_manage_comments");
    let granted_scopes = GrantedScopes::Known([comments.clone()].into());
    let before = InstagramAccount { granted_scopes, ..account(1, "shop/7", START) };
    let store = store_with(&before).await;
    let begun = use_case(&store, &[]).execute(command("shop/7", Some(before.id))).await.unwrap();
    let pending = store.find(&begun.state.hash()).await.unwrap().unwrap();
    assert_eq!(pending.scopes, RequestedScopes::new([comments]).unwrap());
}

#[tokio::test]
async fn another_owners_account_cannot_be_re_authorised() {
    let before = account(1, "shop/7", START);
    let store = store_with(&before).await;
    let refused = use_case(&store, &[]).execute(command("shop/8", Some(before.id))).await;
    assert!(matches!(refused, Err(BeginLinkError::AccountNotFound)), "{refused:?}");
}
