//! States of links that have begun.

use ig_domain::{LinkEnd, PendingLink};

use super::StoreUnderTest;
use super::samples::{assert_conflict, code, pending_link, state};
use crate::builders::parsed;

/// Stored fields come back.
pub async fn every_field_of_a_pending_link_survives(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let spent = PendingLink { spent_by: Some(code(9)), ..pending_link(1) };
    let bare =
        PendingLink { account: None, owner: parsed(""), end: LinkEnd::Caller, ..pending_link(2) };
    let hosted = PendingLink { end: LinkEnd::Page, ..pending_link(3) };
    for pending in [spent, bare, hosted] {
        ports.pending_links.insert(&pending).await.unwrap();
        assert_eq!(ports.pending_links.find(&pending.state).await.unwrap(), Some(pending));
    }
}

/// A state that exists is not replaced.
pub async fn a_state_is_kept_once(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.pending_links.insert(&pending_link(1)).await.unwrap();
    let other = PendingLink { owner: parsed("another"), ..pending_link(1) };
    assert_conflict(ports.pending_links.insert(&other).await);
    assert_eq!(ports.pending_links.find(&state(1)).await.unwrap(), Some(pending_link(1)));
}

/// A state that was never issued is not there.
pub async fn an_unknown_state_finds_nothing(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.pending_links.insert(&pending_link(1)).await.unwrap();
    assert_eq!(ports.pending_links.find(&state(2)).await.unwrap(), None);
}
