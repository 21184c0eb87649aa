//! Listings: in order, without gap or repetition.

use std::time::Duration;

use ig_domain::ports::{AccountPage, StatusFilter};
use ig_domain::{
    AccountId, InstagramAccount, ListingPosition, Owner, OwnerScope, ReauthorizationReason,
};

use super::samples::id;
use super::{Ports, StoreUnderTest};
use crate::builders::{self, START, parsed};

fn all() -> AccountPage {
    AccountPage { owners: OwnerScope::everyone(), status: None, after: None, limit: 500 }
}

fn of(patterns: &[&str]) -> AccountPage {
    let patterns = patterns.iter().map(|pattern| parsed(pattern)).collect();
    AccountPage { owners: OwnerScope::of(patterns), ..all() }
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

/// All of a listing, in pages of `limit`.
async fn joined(ports: &Ports, listing: &AccountPage, limit: u64) -> Vec<AccountId> {
    let (mut joined, mut after) = (Vec::new(), None);
    loop {
        let page = AccountPage { after, limit, ..listing.clone() };
        let listed = ports.accounts.list(&page).await.unwrap();
        assert!(listed.len() as u64 <= limit);
        let Some(last) = listed.last() else { return joined };
        after = Some(ListingPosition::of(last));
        joined.extend(listed.iter().map(|account| account.id));
    }
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
        assert_eq!(joined(&ports, &all(), limit).await, whole, "pages of {limit}");
    }
}

/// The next page depends on its position alone, also when the account at that position is gone.
pub async fn a_page_goes_on_where_it_was_though_others_come_and_go(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    link_at(&ports, &[(1, 1), (2, 2), (3, 3)]).await;
    let first = ports.accounts.list(&AccountPage { limit: 2, ..all() }).await.unwrap();
    let after = first.last().map(ListingPosition::of);
    link_at(&ports, &[(4, 4)]).await;
    ports.account_writer.remove(id(2), 1).await.unwrap();
    assert_eq!(ids(&ports, AccountPage { after, ..all() }).await, [id(1)]);
}

/// Accounts of one owner, those without owner, or all.
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

/// Every owner whose name begins with the prefix, however its characters sort, and nobody else; by owner.
pub async fn a_scope_shows_all_its_owners_and_no_other(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let owners =
        ["shop/", "shop/a", "shop/B", "shop/\u{10ffff}z", "shop0", "Shop/a", "shop", "cafe"];
    for (number, owner) in (1_u8..).zip(owners) {
        let account = builders::account(u32::from(number), owner, START);
        ports.link(number, &account, "token").await;
    }
    assert_eq!(ids(&ports, of(&["shop/*"])).await, [1, 3, 2, 4].map(id));
    assert_eq!(ids(&ports, of(&["cafe", "Shop*", "nobody"])).await, [6, 8].map(id));
    assert_eq!(ids(&ports, of(&["shop*", "shop/*", "shop0"])).await, [7, 1, 3, 2, 4, 5].map(id));
    assert_eq!(ids(&ports, of(&["*", "shop"])).await.len(), owners.len());
    assert_eq!(ids(&ports, of(&[])).await, []);
}

/// By owner, each owner's newest first, wherever pages end; more owners than a statement would name.
pub async fn pages_cross_owners_and_prefixes(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let owners = ["b/2", "b/1", "c", "b/2", "a", "b/1", "e/1", "d", "e/2", "b/2"];
    for (number, owner) in (1_u8..).zip(owners) {
        let now = START + Duration::from_micros(u64::from(number / 2));
        let account = builders::account(u32::from(number), owner, now);
        ports.link(number, &account, "token").await;
    }
    let nobody: Vec<_> = (0..40).map(|number| format!("c/{number}")).collect();
    let mut patterns = vec!["b/*", "d", "e/*", "c", "b/1"];
    patterns.extend(nobody.iter().map(String::as_str));
    let listing = of(&patterns);
    let whole = [6, 2, 10, 4, 1, 3, 8, 7, 9].map(id);
    for limit in 1..=10 {
        assert_eq!(joined(&ports, &listing, limit).await, whole, "pages of {limit}");
    }
    let (former, _) = ports.stored(id(4)).await.unwrap();
    let refused = Some(ReauthorizationReason::TokenRevoked);
    let marked = InstagramAccount { refused, revision: 2, ..former.clone() };
    ports.account_writer.update(&marked, &former, None).await.unwrap();
    let dead = StatusFilter::ReauthorizationRequired;
    let dead = AccountPage { status: Some(dead), ..listing.clone() };
    assert_eq!(joined(&ports, &dead, 1).await, [id(4)]);
    let active = AccountPage { status: Some(StatusFilter::Active), ..listing };
    assert_eq!(joined(&ports, &active, 3).await, [6, 2, 10, 1, 3, 8, 7, 9].map(id));
}

/// A position in the listing serves though no account of that owner is there any more, or may be shown.
pub async fn a_page_goes_on_behind_an_owner_who_is_gone(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    for (number, owner) in (1_u8..).zip(["a/1", "a/2", "b", "c"]) {
        let account = builders::account(u32::from(number), owner, START);
        ports.link(number, &account, "token").await;
    }
    let after = ports.accounts.list(&of(&["a/2"])).await.unwrap();
    let after = after.last().map(ListingPosition::of);
    ports.account_writer.remove(id(2), 1).await.unwrap();
    let behind = |patterns| AccountPage { after: after.clone(), ..of(patterns) };
    assert_eq!(ids(&ports, behind(&["a/*", "c"])).await, [id(4)]);
    assert_eq!(ids(&ports, behind(&["a/1", "b", "c"])).await, [3, 4].map(id));
}

/// By the stored mark, until a sweep has marked accounts that have expired since.
pub async fn the_status_filter_goes_by_the_stored_mark(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let well = builders::account(1, "", START);
    let refused = InstagramAccount {
        refused: Some(ReauthorizationReason::TokenRevoked),
        ..builders::account(2, "", START)
    };
    let expired =
        InstagramAccount { token_expire_time: Some(START), ..builders::account(3, "", START) };
    for (number, account) in (1_u8..).zip([well, refused, expired]) {
        ports.link(number, &account, "token").await;
    }
    for owners in [all(), of(&[""]), of(&["", "shop/*"])] {
        let page = |status| AccountPage { status: Some(status), ..owners.clone() };
        assert_eq!(ids(&ports, page(StatusFilter::Active)).await, [3, 1].map(id));
        assert_eq!(ids(&ports, page(StatusFilter::ReauthorizationRequired)).await, [id(2)]);
    }
    assert_eq!(ports.account_writer.mark_expired(START, 9).await.unwrap(), 1);
    for owners in [all(), of(&[""]), of(&["", "shop/*"])] {
        let page = |status| AccountPage { status: Some(status), ..owners.clone() };
        assert_eq!(ids(&ports, page(StatusFilter::Active)).await, [id(1)]);
        assert_eq!(ids(&ports, page(StatusFilter::ReauthorizationRequired)).await, [3, 2].map(id));
    }
}
