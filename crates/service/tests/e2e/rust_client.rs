//! The client for callers in Rust (`crates/client`) against the real service.

mod callers;
mod replicas;

use std::process::Command;
use std::time::Duration;

use futures_util::future::join_all;
use ig_proto::v1::{EventKind, InstagramAccount, ListRequest};
use instagram_accounts_client::{
    AccountsClient, ClientOptions, Reason, TokenCache, Watch, WatchError, WatchOptions,
};
use tokio::time::timeout;

use crate::support::process::Process;
use crate::support::sandbox::BAKERY;
use crate::support::{Stack, TEST_TIMEOUT, tool};

const OWNER: &str = "shop/7";

/// Life of a token that the tests ask for.
const MIN_TTL: Duration = Duration::from_hours(1);

async fn connect(address: &str) -> AccountsClient {
    AccountsClient::connect(ClientOptions::new(format!("http://{address}"))).await.unwrap()
}

/// The cursor before which all is in the list.
async fn watch_cursor(client: &AccountsClient) -> String {
    client.list(ListRequest::default()).await.unwrap().watch_cursor
}

/// What a stream tells, by account id, until it tells of `last`'s link.
async fn heard_until_linked(
    watch: &mut Watch,
    last: &InstagramAccount,
) -> Vec<(String, EventKind)> {
    let mut heard = Vec::new();
    let following = async {
        loop {
            for event in watch.next().await.expect("it goes on").unwrap().events {
                heard.push((event.account_id.clone(), event.kind()));
            }
            if heard.contains(&(last.account_id.clone(), EventKind::Linked)) {
                return;
            }
        }
    };
    timeout(TEST_TIMEOUT, following).await.expect("the last link is told");
    heard
}

#[tokio::test]
async fn a_hundred_tasks_that_want_one_token_make_one_call() {
    let stack = Stack::start().await;
    let Stack { sandbox, service, folder } = &stack;
    let account = service.linked(sandbox, OWNER, BAKERY).await;
    let client = connect(&service.address).await;
    let tokens = TokenCache::new(client, "publish post 7");
    let asking = (0..100).map(|_| {
        let (tokens, account_id) = (tokens.clone(), account.account_id.clone());
        tokio::spawn(async move { tokens.token(&account_id, Some(OWNER), MIN_TTL).await.unwrap() })
    });
    let asking: Vec<_> = asking.collect();
    for token in join_all(asking).await {
        let token = token.unwrap();
        assert_eq!(token.professional_account_id(), account.professional_account_id);
        assert_eq!(token.granted_scopes(), Some(account.granted_scopes.as_slice()));
    }
    let token = tokens.token(&account.account_id, Some(OWNER), MIN_TTL).await.unwrap();
    assert_eq!(sandbox.me(token.expose()).await["user_id"], account.professional_account_id);
    let audit = folder.settings(sandbox).args(["audit", "--json"]).output().unwrap();
    let audit = String::from_utf8(audit.stdout).unwrap();
    assert!(audit.lines().count() == 1 && audit.contains("publish post 7"), "{audit}");
}

#[tokio::test]
async fn a_token_that_instagram_refused_is_replaced_or_told_to_be_dead() {
    let stack = Stack::start().await;
    let Stack { sandbox, service, .. } = &stack;
    let account = service.linked(sandbox, OWNER, BAKERY).await;
    let tokens = TokenCache::new(connect(&service.address).await, "publish post 7");
    let former = tokens.token(&account.account_id, None, MIN_TTL).await.unwrap();
    // The person consents once more meanwhile, whoever noticed.
    service.linked(sandbox, OWNER, BAKERY).await;
    assert_eq!(
        tokens.token(&account.account_id, None, MIN_TTL).await.unwrap().expose(),
        former.expose(),
        "the cache knows of nothing"
    );
    let newest = tokens.refused(&former).await.unwrap();
    assert_ne!(newest.expose(), former.expose());
    sandbox.revoke(BAKERY, "password_changed").await;
    let refusal = tokens.refused(&newest).await.unwrap_err();
    assert_eq!(refusal.reason(), Some(&Reason::ReauthorizationRequired));
    assert_eq!(refusal.metadata("reauthorization_reason"), Some("PASSWORD_CHANGED"));
    assert!(refusal.request_id().is_some());
}

#[tokio::test]
async fn an_expired_cursor_ends_the_stream_and_nothing_resumes_in_silence() {
    let stack = Stack::start().await;
    let Stack { sandbox, service, folder } = &stack;
    let client = connect(&service.address).await;
    let cursor = watch_cursor(&client).await;
    let mut watch = client.watch(WatchOptions::new().after(&cursor));
    let first = service.linked(sandbox, OWNER, BAKERY).await;
    heard_until_linked(&mut watch, &first).await;

    let restored = folder.settings(sandbox).arg("after-restore").output().unwrap();
    assert!(restored.status.success(), "{restored:?}");
    let ending = async {
        loop {
            if let Err(end) = watch.next().await.expect("it ends by an error") {
                return end;
            }
        }
    };
    let end = timeout(TEST_TIMEOUT, ending).await.expect("the stream ends");
    assert!(matches!(end, WatchError::CursorExpired(_)), "{end:?}");
    assert!(watch.next().await.is_none());
    for options in [WatchOptions::new().after(&cursor), WatchOptions::new().consumer("new")] {
        let end = client.watch(options).next().await.unwrap().unwrap_err();
        assert!(matches!(end, WatchError::CursorExpired(_)), "{end:?}");
    }

    let cursor = watch_cursor(&client).await;
    let mut watch = client.watch(WatchOptions::new().after(cursor));
    let again = service.linked(sandbox, OWNER, BAKERY).await;
    assert_eq!(heard_until_linked(&mut watch, &again).await.len(), 1);
}

#[tokio::test]
async fn the_example_follows_what_happens_and_has_the_token() {
    let stack = Stack::start().await;
    let Stack { sandbox, service, .. } = &stack;
    let mut example = Command::new(tool("CLIENT_EXAMPLE"));
    example.env_clear().arg(format!("http://{}", service.address));
    let example = Process::start(example);
    example.line_with("listed 0 accounts");
    let account = service.linked(sandbox, OWNER, BAKERY).await;
    example.line_with(&format!("{}: EVENT_KIND_LINKED", account.account_id));
    example.line_with(&format!("{}: has the token", account.professional_account_id));
    example.line_with("1 accounts");
    service.unlink(&account.account_id).await.unwrap();
    example.line_with(&format!("{}: EVENT_KIND_UNLINKED", account.account_id));
    example.line_with("0 accounts");
    assert!(!example.printed().contains("IGAA"), "{}", example.printed());
}
