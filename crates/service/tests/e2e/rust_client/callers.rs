//! The client of a caller that the service knows, until it does not.

use std::fs;

use ig_proto::v1::{BeginLinkRequest, InstagramAccount, ListRequest};
use instagram_accounts_client::{
    AccountsClient, ClientOptions, Reason, TokenCache, WatchError, WatchOptions,
};
use tokio::time::timeout;

use super::{MIN_TTL, OWNER, heard_until_linked};
use crate::callers::Listed;
use crate::support::sandbox::{BAKERY, Decision};
use crate::support::{REDIRECT_URI, TEST_TIMEOUT, arrival};

/// The caller, who may not have tokens.
const ADD: &str = "add shop --role read --role link --owner shop/*";

#[tokio::test]
async fn a_caller_goes_on_with_a_new_token_and_ends_with_its_rights() {
    let listed = Listed::start().await;
    let first = listed.made(ADD);
    listed.until(&first, true).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, format!("{first}\n")).unwrap();
    let options = ClientOptions::new(format!("http://{}", listed.service.address));
    let client = AccountsClient::connect(options.bearer_file(&file)).await.unwrap();
    let mut watch = client.watch(WatchOptions::new().owner(OWNER));
    watch.next().await.expect("it begins").unwrap();

    let tokens = TokenCache::new(client.clone(), "publish post 7");
    let refusal = tokens.token("", None, MIN_TTL).await.unwrap_err();
    assert_eq!(refusal.reason(), Some(&Reason::PermissionDenied));
    let end = client.watch(WatchOptions::new().owner("cafe/1")).next().await.unwrap().unwrap_err();
    assert!(matches!(end, WatchError::PermissionDenied(_)), "{end:?}");

    // Another token in place of the first: the stream ends with it, and goes on.
    let removed = listed.run("remove shop");
    assert!(removed.status.success(), "{removed:?}");
    let second = listed.made(ADD);
    fs::write(&file, &second).unwrap();
    listed.until(&first, false).await;
    listed.until(&second, true).await;
    let account = linked(&client, &listed).await;
    assert_eq!(heard_until_linked(&mut watch, &account).await.len(), 1);

    fs::write(&listed.file, "").unwrap();
    let ending = async { while let Some(Ok(_)) = watch.next().await {} };
    let ended = timeout(TEST_TIMEOUT, ending).await;
    assert!(ended.is_ok() && watch.next().await.is_none(), "the caller is gone");
    let refusal = client.list(ListRequest::default()).await.unwrap_err();
    assert_eq!(refusal.reason(), Some(&Reason::Unauthenticated));
    for token in [&first, &second] {
        assert!(!format!("{refusal:?} {refusal}").contains(token));
    }
}

/// The account of a person who consents.
async fn linked(client: &AccountsClient, listed: &Listed) -> InstagramAccount {
    let (owner, redirect_uri) = (OWNER.to_owned(), REDIRECT_URI.to_owned());
    let request = BeginLinkRequest { owner, redirect_uri, ..Default::default() };
    let begun = client.begin_link(request).await.unwrap();
    let url = &begun.authorization_url;
    let arrived = listed.sandbox.decide(url, BAKERY, Decision::Allow).await;
    client.link(arrival(arrived, OWNER)).await.unwrap().account.unwrap()
}
