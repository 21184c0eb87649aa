//! Listings: in order, without gap or repetition.

use std::time::Duration;

use ig_domain::ports::{AccountPage, StatusFilter};
use ig_domain::{AccountId, InstagramAccount, Owner, OwnerScope, ReauthorizationReason};
use time::OffsetDateTime;

use super::samples::id;
use super::{Ports, StoreUnderTest};
use crate::builders::{self, START, parsed};

fn all() -> AccountPage {
    AccountPage {
        owners: OwnerScope::everyone(),
        status: None,
        now: START,
        after: None,
        limit: 500,
    }
}

async fn ids(ports: &Ports, page: AccountPage) -> Vec<AccountId> {
    let listed = ports.accounts.list(&page).await.unwrap();
    listed.into_iter().map(|account| account.id).collect()
}

/// Links accounts by number, each at so many microseconds after the start.
async fn link_at(ports: &Ports, accounts: &[(u8, u64)]) {
    for (number, after) in accounts {
        let now = START + Duration::from_micros(*after);
        let account = builders::account(u32::from(*number), "", now);
        ports.link(*number, &account, "token").await;
    }
}

fn place(account: &InstagramAccount) -> (OffsetDateTime, AccountId) {
    (account.link_time, account.id)
}

/// By descending `link_time`, then by descending id.
pub async fn the_newest_come_first_and_ties_go_by_id(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    link_at(&ports, &[(1, 5), (2, 9), (3, 5), (4, 1), (5, 9)]).await;
    assert_eq!(ids(&ports, all()).await, [5, 2, 3, 1, 4].map(id));
}

/// Every size of page yields the same list, also where a page ends between ties.
pub async fn pages_join_without_gap_or_repetition(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    link_at(&ports, &[(1, 5), (2, 5), (3, 5), (4, 6), (5, 4)]).await;
    let whole = ids(&ports, all()).await;
    for limit in 1..=6 {
        let mut joined = Vec::new();
        let mut after = None;
        loop {
            let page = AccountPage { after, limit, ..all() };
            let listed = ports.accounts.list(&page).await.unwrap();
            assert!(listed.len() as u64 <= limit);
            let Some(last) = listed.last() else { break };
            after = Some(place(last));
            joined.extend(listed.iter().map(|account| account.id));
        }
        assert_eq!(joined, whole, "pages of {limit}");
    }
}

/// The next page depends on its place alone, also when the account at that place is gone.
pub async fn a_page_goes_on_where_it_was_though_others_come_and_go(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    link_at(&ports, &[(1, 1), (2, 2), (3, 3)]).await;
    let first = ports.accounts.list(&AccountPage { limit: 2, ..all() }).await.unwrap();
    let after = first.last().map(place);
    link_at(&ports, &[(4, 4)]).await;
    ports.accounts.remove(id(2), 1).await.unwrap();
    assert_eq!(ids(&ports, AccountPage { after, ..all() }).await, [id(1)]);
}

/// One owner's, those without owner, or all.
pub async fn an_owner_sees_only_its_own(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    for (number, owner) in [(1, "shop/1"), (2, "shop/2"), (3, ""), (4, "shop/1")] {
        let account = builders::account(u32::from(number), owner, START);
        ports.link(number, &account, "token").await;
    }
    let of = |owner: &str| AccountPage { owners: OwnerScope::only(parsed(owner)), ..all() };
    assert_eq!(ids(&ports, of("shop/1")).await, [4, 1].map(id));
    assert_eq!(ids(&ports, of("shop/3")).await, []);
    let nobody = AccountPage { owners: OwnerScope::only(Owner::default()), ..all() };
    assert_eq!(ids(&ports, nobody).await, [id(3)]);
    assert_eq!(ids(&ports, all()).await.len(), 4);
}

/// Every owner whose name begins so, however its characters sort, and nobody else.
pub async fn a_scope_shows_all_its_owners_and_no_other(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let owners =
        ["shop/", "shop/a", "shop/B", "shop/\u{10ffff}z", "shop0", "Shop/a", "shop", "cafe"];
    for (number, owner) in (1_u8..).zip(owners) {
        let account = builders::account(u32::from(number), owner, START);
        ports.link(number, &account, "token").await;
    }
    let of = |patterns: &[&str]| {
        let patterns = patterns.iter().map(|pattern| parsed(pattern)).collect();
        AccountPage { owners: OwnerScope::of(patterns), ..all() }
    };
    assert_eq!(ids(&ports, of(&["shop/*"])).await, [4, 3, 2, 1].map(id));
    assert_eq!(ids(&ports, of(&["cafe", "Shop*", "nobody"])).await, [8, 6].map(id));
    assert_eq!(ids(&ports, of(&["*", "shop"])).await.len(), owners.len());
    assert_eq!(ids(&ports, of(&[])).await, []);
    let second = AccountPage { limit: 2, after: Some((START, id(3))), ..of(&["shop/*", "cafe"]) };
    assert_eq!(ids(&ports, second).await, [2, 1].map(id));
}

/// Instagram's word counts at any moment, the expiry from its own on.
pub async fn a_status_is_judged_at_the_given_moment(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let well = builders::account(1, "", START);
    let refused = InstagramAccount {
        refused: Some(ReauthorizationReason::TokenRevoked),
        ..builders::account(2, "", START)
    };
    let expiry = START + Duration::from_hours(1);
    let expiring =
        InstagramAccount { token_expire_time: expiry, ..builders::account(3, "", START) };
    for (number, account) in (1_u8..).zip([well, refused, expiring]) {
        ports.link(number, &account, "token").await;
    }
    let page = |status, now| AccountPage { status: Some(status), now, ..all() };
    let before = expiry - Duration::from_micros(1);
    assert_eq!(ids(&ports, page(StatusFilter::Active, before)).await, [3, 1].map(id));
    assert_eq!(ids(&ports, page(StatusFilter::Active, expiry)).await, [id(1)]);
    let dead = StatusFilter::ReauthorizationRequired;
    assert_eq!(ids(&ports, page(dead, before)).await, [id(2)]);
    assert_eq!(ids(&ports, page(dead, expiry)).await, [3, 2].map(id));
}
