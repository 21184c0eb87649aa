//! Tests of beginning a link.

use std::sync::Arc;
use std::time::Duration;

use ig_application::{
    BeginLink, BeginLinkCommand, BeginLinkError, HostedConsent, LinkReturn, LinkSettings,
};
use ig_domain::ports::{MockInstagram, PendingLinks as _};
use ig_domain::{
    AccountId, GrantedScopes, InstagramAccount, LinkEnd, RequestedScopes, Scope, SessionBinding,
};
use ig_test_support::builders::{START, account, parsed};
use ig_test_support::{FakeClock, MemoryStore, SequentialIds};

use crate::{empty_store, store_with};

const URI: &str = "https://example.com/callback";

const OUR_CALLBACK: &str = "https://instagram.example.com/oauth/callback";

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
        settings: LinkSettings {
            redirect_uris: redirect_uris.iter().map(|uri| parsed(uri)).collect(),
            hosted: Some(HostedConsent {
                redirect_uri: parsed(OUR_CALLBACK),
                return_urls: vec![parsed("https://example.com/app")],
            }),
            state_ttl: Duration::from_mins(15),
        },
    }
}

fn command(owner: &str, account: Option<AccountId>) -> BeginLinkCommand {
    BeginLinkCommand {
        owner: parsed(owner),
        link_return: LinkReturn::Caller(parsed(URI)),
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
    assert_eq!((pending.redirect_uri.as_str(), pending.end), (URI, LinkEnd::Caller));
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

fn hosted(return_url: Option<&str>, ttl: Option<Duration>) -> BeginLinkCommand {
    let link_return = LinkReturn::Hosted { return_url: return_url.map(parsed), ttl };
    BeginLinkCommand { link_return, ..command("shop/7", None) }
}

/// The list of callers' redirect URIs does not bound our own callback.
#[tokio::test]
async fn hosted_consent_comes_to_our_own_callback() {
    let store = empty_store();
    let url = "https://example.com/app/linked?tenant=7";
    let week = Duration::from_hours(7 * 24);
    let returns = LinkEnd::ReturnUrl(parsed(url));
    let use_case = use_case(&store, &[URI]);
    for (command, end, ttl) in [
        (hosted(None, None), LinkEnd::Page, Duration::from_mins(15)),
        (hosted(None, Some(week)), LinkEnd::Page, week),
        (hosted(Some(url), None), returns, Duration::from_mins(15)),
    ] {
        let begun = use_case.execute(command).await.unwrap();
        assert!(begun.authorization_url.starts_with(OUR_CALLBACK), "{}", begun.authorization_url);
        let pending = store.find(&begun.state.hash()).await.unwrap().unwrap();
        assert_eq!((pending.end, pending.expire_time), (end, START + ttl));
    }
}

#[tokio::test]
async fn a_browser_is_sent_on_to_listed_pages_only() {
    let store = empty_store();
    let elsewhere = hosted(Some("https://example.com/apple"), None);
    let refused = use_case(&store, &[]).execute(elsewhere).await;
    assert!(matches!(refused, Err(BeginLinkError::ReturnUrlRejected)), "{refused:?}");
    let mut closed = use_case(&store, &[]);
    closed.settings.hosted = None;
    let refused = closed.execute(hosted(None, None)).await;
    assert!(matches!(refused, Err(BeginLinkError::NoHostedConsent)), "{refused:?}");
}
