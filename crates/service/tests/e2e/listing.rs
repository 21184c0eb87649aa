//! Pages of accounts, and whose they are.

use ig_proto::v1::get_request::Key;
use ig_proto::v1::{
    AccountStatus, GetRequest, InstagramAccount, ListRequest, RefreshRequest, UnlinkRequest,
};

use crate::support::sandbox::{BAKERY, CREATOR, NAMELESS};
use crate::support::{Service, Stack, reason};

#[tokio::test]
async fn accounts_come_page_by_page_newest_first() {
    let Stack { sandbox, service, folder: _folder } = &Stack::start().await;
    assert!(pages(service, ListRequest::default()).await.concat().is_empty());
    let mut linked = Vec::new();
    for (owner, username) in [("shop/7", BAKERY), ("shop/8", CREATOR), ("shop/7", NAMELESS)] {
        linked.insert(0, service.linked(sandbox, owner, username).await);
    }
    let found = pages(service, ListRequest { page_size: 2, ..Default::default() }).await;
    assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(found.concat(), linked);
    assert_eq!(pages(service, ListRequest::default()).await, [linked.clone()]);
    let owned =
        ListRequest { owner: Some("shop/7".to_owned()), page_size: 1, ..Default::default() };
    let owned = pages(service, owned).await.concat();
    assert_eq!(owned, [linked[0].clone(), linked[2].clone()]);
    let ownerless = ListRequest { owner: Some(String::new()), ..Default::default() };
    assert!(pages(service, ownerless).await.concat().is_empty());
}

#[tokio::test]
async fn accounts_are_listed_by_status() {
    let Stack { sandbox, service, folder: _folder } = &Stack::start().await;
    let alive = service.linked(sandbox, "", BAKERY).await.account_id;
    let dead = service.linked(sandbox, "", CREATOR).await;
    sandbox.revoke(CREATOR, "app_removed").await;
    assert_eq!(reason(service.refresh(&dead.account_id).await), "REAUTHORIZATION_REQUIRED");
    let dead = service.get(Key::AccountId(dead.account_id)).await.unwrap();
    // It was a witness, so its profile has been read since.
    let alive = service.get(Key::AccountId(alive)).await.unwrap();
    let listed = async |status: AccountStatus| {
        let request = ListRequest { status: status.into(), ..Default::default() };
        pages(service, request).await.concat()
    };
    let both = [dead, alive];
    assert_eq!(listed(AccountStatus::ReauthorizationRequired).await, both[..1]);
    assert_eq!(listed(AccountStatus::Active).await, both[1..]);
    assert_eq!(listed(AccountStatus::Unspecified).await, both);
}

#[tokio::test]
async fn a_page_token_serves_only_the_listing_it_was_made_for() {
    let Stack { sandbox, service, folder: _folder } = &Stack::start().await;
    for username in [BAKERY, CREATOR] {
        service.linked(sandbox, "shop/7", username).await;
    }
    let first = ListRequest { page_size: 1, ..Default::default() };
    let page_token = service.list(first).await.unwrap().next_page_token;
    let other = ListRequest { owner: Some("shop/7".to_owned()), page_token, ..Default::default() };
    assert_eq!(reason(service.list(other).await), "INVALID_FIELD");
}

#[tokio::test]
async fn another_owners_account_is_not_found() {
    let Stack { sandbox, service, folder: _folder } = &Stack::start().await;
    let account = service.linked(sandbox, "shop/7", BAKERY).await;
    let (account_id, owner) = (account.account_id.clone(), Some("shop/8".to_owned()));
    let mut client = service.client.clone();
    let key = Some(Key::InstagramId(account.professional_account_id.clone()));
    let got = client.get(GetRequest { key, owner: owner.clone() }).await;
    assert_eq!(reason(got), "ACCOUNT_NOT_FOUND");
    let refresh = RefreshRequest { account_id: account_id.clone(), owner: owner.clone() };
    assert_eq!(reason(client.refresh(refresh).await), "ACCOUNT_NOT_FOUND");
    let mut unlink = UnlinkRequest { account_id, owner, allow_missing: false };
    assert_eq!(reason(client.unlink(unlink.clone()).await), "ACCOUNT_NOT_FOUND");
    unlink.allow_missing = true;
    client.unlink(unlink).await.unwrap();
    assert_eq!(service.get(Key::AccountId(account.account_id.clone())).await.unwrap(), account);
}

/// Follows the page tokens to the end.
async fn pages(service: &Service, mut request: ListRequest) -> Vec<Vec<InstagramAccount>> {
    let mut pages = Vec::new();
    loop {
        let page = service.list(request.clone()).await.unwrap();
        pages.push(page.accounts);
        if page.next_page_token.is_empty() {
            return pages;
        }
        assert!(pages.len() < 10, "the pages end");
        request.page_token = page.next_page_token;
    }
}
