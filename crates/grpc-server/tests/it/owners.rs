//! A caller with limited owners sees, lists and links only those, whatever ids it sends.

use std::time::Duration;

use ig_domain::{Profile, Role};
use ig_proto::v1;
use ig_proto::v1::get_request::Key;
use ig_test_support::builders::profile;
use tonic::{Code, Response, Status};

use crate::two_owners::{CAFE, SHOP, TwoOwners, begun, by, link_request};
use crate::world::{assert_refused, bad_fields};

const EVERYTHING: &[Role] = &[Role::Admin];

impl TwoOwners {
    async fn get(&self, token: &str, key: Key) -> Result<v1::InstagramAccount, Status> {
        let request = by(token, v1::GetRequest { key: Some(key), owner: None });
        Ok(self.client.clone().get(request).await?.into_inner().account.unwrap())
    }

    async fn list(
        &self,
        token: &str,
        request: v1::ListRequest,
    ) -> Result<v1::ListResponse, Status> {
        self.client.clone().list(by(token, request)).await.map(Response::into_inner)
    }

    /// The clerk begins and finishes a link for its own owner.
    async fn clerk_links(&self) -> Result<v1::LinkResponse, Status> {
        let mut client = self.client.clone();
        let state = begun(&mut client, "clerk", SHOP).await;
        client.link(by("clerk", link_request(&state, SHOP))).await.map(Response::into_inner)
    }
}

/// All by which an account may be asked for.
fn keys_of(account: &v1::InstagramAccount) -> [Key; 4] {
    [
        Key::AccountId(account.account_id.clone()),
        Key::InstagramId(account.professional_account_id.clone()),
        Key::InstagramId(account.app_scoped_user_id.clone()),
        Key::Username(account.username.clone()),
    ]
}

#[tokio::test]
async fn no_key_finds_another_owners_account() {
    let owners = TwoOwners::with(EVERYTHING).await;
    let nobody = owners.get("clerk", Key::InstagramId("404".to_owned())).await.unwrap_err();
    for (own, foreign) in keys_of(&owners.shop).into_iter().zip(keys_of(&owners.cafe)) {
        assert_eq!(owners.get("clerk", own).await.unwrap(), owners.shop);
        assert_eq!(owners.get("root", foreign.clone()).await.unwrap(), owners.cafe);
        let refused = owners.get("clerk", foreign).await.unwrap_err();
        assert_refused(&refused, Code::NotFound, "ACCOUNT_NOT_FOUND", &[]);
        // As if there were none.
        assert_eq!(refused.message(), nobody.message());
    }
}

#[tokio::test]
async fn a_handle_whose_newest_reading_is_another_owners_finds_nothing() {
    let owners = TwoOwners::with(EVERYTHING).await;
    owners.world.clock.advance(Duration::from_secs(1));
    owners.comes(Profile { username: profile(1).username, ..profile(2) });
    let refresh = v1::RefreshRequest { account_id: owners.cafe.account_id.clone(), owner: None };
    owners.client.clone().refresh(by("root", refresh)).await.unwrap();
    let shared = Key::Username(owners.shop.username.clone());
    assert_eq!(owners.get("root", shared.clone()).await.unwrap().owner, CAFE);
    let refused = owners.get("clerk", shared).await.unwrap_err();
    assert_refused(&refused, Code::NotFound, "ACCOUNT_NOT_FOUND", &[]);
}

#[tokio::test]
async fn a_batch_of_any_ids_answers_its_own_and_calls_the_others_not_found() {
    let owners = TwoOwners::with(EVERYTHING).await;
    let foreign = [&owners.cafe.professional_account_id, &owners.cafe.app_scoped_user_id];
    let mut instagram_ids = foreign.map(Clone::clone).to_vec();
    let mut not_found = instagram_ids.clone();
    instagram_ids.push(owners.shop.app_scoped_user_id.clone());
    not_found.push(owners.cafe.account_id.clone());
    let account_ids = vec![owners.cafe.account_id.clone(), owners.shop.account_id.clone()];
    let request = v1::BatchGetRequest { instagram_ids, account_ids, owner: None };
    let mut client = owners.client.clone();
    let all = client.batch_get(by("root", request.clone())).await.unwrap().into_inner();
    assert_eq!((all.accounts.len(), all.not_found.len()), (2, 0));
    let own = client.batch_get(by("clerk", request)).await.unwrap().into_inner();
    assert_eq!((own.accounts, own.not_found), (vec![owners.shop.clone()], not_found));
}

#[tokio::test]
async fn a_page_token_of_another_caller_opens_nothing() {
    let owners = TwoOwners::with(EVERYTHING).await;
    owners.comes(profile(3));
    let newest = owners.clerk_links().await.unwrap().account.unwrap();
    let first = v1::ListRequest { page_size: 1, ..Default::default() };
    let first = owners.list("root", first).await.unwrap();
    assert_eq!(first.accounts, [newest]);
    let behind = v1::ListRequest { page_token: first.next_page_token, ..Default::default() };
    let all = owners.list("root", behind.clone()).await.unwrap();
    assert_eq!(all.accounts, [owners.cafe.clone(), owners.shop.clone()]);

    // The clerk's accounts are listed by owner, where a place in the order of everybody's means nothing.
    let named = v1::ListRequest { owner: Some(SHOP.to_owned()), ..behind.clone() };
    for request in [behind, named] {
        let refused = owners.list("clerk", request).await.unwrap_err();
        let details = assert_refused(&refused, Code::InvalidArgument, "INVALID_FIELD", &[]);
        assert_eq!(bad_fields(&details), ["page_token"]);
    }
}

#[tokio::test]
async fn a_link_takes_no_living_account_from_another_owner_and_does_not_show_it() {
    let owners = TwoOwners::with(EVERYTHING).await;
    owners.comes(profile(2));
    let refused = owners.clerk_links().await.unwrap_err();
    assert_refused(&refused, Code::AlreadyExists, "OWNED_BY_ANOTHER", &[]);
    let told = format!("{refused:?}{}", String::from_utf8_lossy(refused.details()));
    assert!(!told.contains(&owners.cafe.account_id) && !told.contains(CAFE), "{told}");
    let key = Key::AccountId(owners.cafe.account_id.clone());
    assert_eq!(owners.get("root", key).await.unwrap(), owners.cafe);
}

#[tokio::test]
async fn a_link_in_a_dead_accounts_place_shows_its_own_account_and_nothing_of_the_former() {
    let owners = TwoOwners::with(EVERYTHING).await;
    owners.comes(profile(2));
    owners.world.clock.advance(Duration::from_hours(61 * 24));
    let linked = owners.clerk_links().await.unwrap();
    let account = linked.account.unwrap();
    assert!(linked.created && account.account_id != owners.cafe.account_id);
    assert_eq!((account.owner.as_str(), &account.username), (SHOP, &owners.cafe.username));
    let former = Key::AccountId(owners.cafe.account_id.clone());
    for token in ["clerk", "root"] {
        let refused = owners.get(token, former.clone()).await.unwrap_err();
        assert_refused(&refused, Code::NotFound, "ACCOUNT_NOT_FOUND", &[]);
    }
    let found = owners.list("clerk", v1::ListRequest::default()).await.unwrap();
    assert_eq!(found.accounts.len(), 2, "the shop's former account, and this one");
}
