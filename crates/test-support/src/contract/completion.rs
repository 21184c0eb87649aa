//! The end of a link: account, token and outcome, all or nothing.

use std::time::Duration;

use ig_domain::ports::CompletedLink;
use ig_domain::{InstagramAccount, LinkOutcome, Phase, ReauthorizationReason, Scope};

use super::samples::{
    assert_conflict, assert_lease_lost, assert_same_phase, code, exchanged, first_link,
    full_account, holder, id,
};
use super::{Ports, StoreUnderTest};
use crate::builders::{self, START};

fn linked(account: &InstagramAccount, created: bool, missing_scopes: Vec<Scope>) -> Phase {
    let outcome = LinkOutcome::Linked { account: account.id, created, missing_scopes };
    Phase::Ended { outcome, end_time: START }
}

/// Completes attempt 2, which must fail on a conflict and leave it going on.
async fn assert_refused(ports: &Ports, link: &CompletedLink) {
    ports.begin(2, exchanged()).await;
    assert_conflict(ports.link_attempts.complete(&code(2), holder(2), link).await);
    assert_same_phase(&ports.phase(2).await.unwrap(), &exchanged());
    ports.link_attempts.advance(&code(2), holder(2), &Phase::Sent).await.unwrap();
}

/// The account with its token, and the outcome of the link.
pub async fn a_first_link_stores_account_token_and_outcome(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let account = full_account(1);
    let missing_scopes = vec![Scope::content_publish()];
    let link =
        CompletedLink { missing_scopes: missing_scopes.clone(), ..first_link(&account, "token") };
    ports.begin(1, exchanged()).await;
    ports.link_attempts.complete(&code(1), holder(1), &link).await.unwrap();
    assert_eq!(ports.stored(account.id).await, Some((account.clone(), "token".to_owned())));
    let expected = linked(&account, true, missing_scopes);
    assert_same_phase(&ports.phase(1).await.unwrap(), &expected);
}

/// The account keeps its id; all else is from the new link.
pub async fn a_link_again_replaces_account_and_token(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let former = builders::account(1, "", START);
    ports.link(1, &former, "former").await;
    let again = InstagramAccount { name: None, revision: 2, ..former };
    let link = CompletedLink { former_revision: Some(1), ..first_link(&again, "newer") };
    ports.begin(2, exchanged()).await;
    ports.link_attempts.complete(&code(2), holder(2), &link).await.unwrap();
    assert_eq!(ports.stored(again.id).await, Some((again.clone(), "newer".to_owned())));
    assert_same_phase(&ports.phase(2).await.unwrap(), &linked(&again, false, Vec::new()));
}

/// An answer that comes late does not bring an older token back.
pub async fn a_link_again_may_keep_a_newer_token(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let former = builders::account(1, "", START);
    ports.link(1, &former, "newer").await;
    let again = InstagramAccount { name: None, revision: 2, ..former };
    let link =
        CompletedLink { former_revision: Some(1), token: None, ..first_link(&again, "unused") };
    ports.begin(2, exchanged()).await;
    ports.link_attempts.complete(&code(2), holder(2), &link).await.unwrap();
    assert_eq!(ports.stored(again.id).await, Some((again, "newer".to_owned())));
}

/// Account 1 linked anew as account 2 of another owner, with the link that displaces the former one.
fn displacing(revision: i64) -> (InstagramAccount, CompletedLink) {
    let moved = InstagramAccount { id: id(2), ..builders::account(1, "another", START) };
    let displaced = Some((id(1), revision));
    let link = CompletedLink { displaced, ..first_link(&moved, "token") };
    (moved, link)
}

/// The account that needs re-authorisation under another owner goes, with its token.
pub async fn a_displaced_account_makes_room(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let refused = InstagramAccount {
        refused: Some(ReauthorizationReason::TokenRevoked),
        ..builders::account(1, "former", START)
    };
    ports.link(1, &refused, "dead").await;
    let (moved, link) = displacing(1);
    ports.begin(2, exchanged()).await;
    ports.link_attempts.complete(&code(2), holder(2), &link).await.unwrap();
    assert_eq!(ports.stored(refused.id).await, None);
    assert_eq!(ports.stored(moved.id).await, Some((moved.clone(), "token".to_owned())));
    assert_same_phase(&ports.phase(2).await.unwrap(), &linked(&moved, true, Vec::new()));
}

/// A writer that read an older revision of the account overwrites nothing.
pub async fn a_changed_account_leaves_everything_as_it_was(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let account = InstagramAccount { revision: 5, ..builders::account(1, "", START) };
    ports.link(1, &account, "token").await;
    let again = InstagramAccount { name: None, ..account.clone() };
    let link = CompletedLink { former_revision: Some(4), ..first_link(&again, "stale") };
    assert_refused(&ports, &link).await;
    assert_eq!(ports.stored(account.id).await, Some((account, "token".to_owned())));
}

/// An account that healed in the meantime is not given up.
pub async fn a_changed_displaced_account_leaves_everything_as_it_was(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let healed = InstagramAccount { revision: 2, ..builders::account(1, "former", START) };
    ports.link(1, &healed, "token").await;
    let (moved, link) = displacing(1);
    assert_refused(&ports, &link).await;
    assert_eq!(ports.stored(healed.id).await, Some((healed, "token".to_owned())));
    assert_eq!(ports.stored(moved.id).await, None);
}

/// Of two first links of one Instagram account the second finds the first.
pub async fn a_taken_professional_id_leaves_everything_as_it_was(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let first = builders::account(1, "", START);
    ports.link(1, &first, "token").await;
    let second = InstagramAccount {
        id: id(2),
        link_time: START + Duration::from_micros(1),
        ..first.clone()
    };
    assert_refused(&ports, &first_link(&second, "second")).await;
    assert_eq!(ports.stored(first.id).await, Some((first, "token".to_owned())));
    assert_eq!(ports.stored(second.id).await, None);
}

/// A replaced holder stores no account and displaces none.
pub async fn a_lost_lease_leaves_everything_as_it_was(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let account = builders::account(1, "former", START);
    ports.link(1, &account, "token").await;
    ports.begin(2, exchanged()).await;
    let (moved, link) = displacing(1);
    assert_lease_lost(ports.link_attempts.complete(&code(2), holder(3), &link).await);
    assert_same_phase(&ports.phase(2).await.unwrap(), &exchanged());
    assert_eq!(ports.stored(account.id).await, Some((account, "token".to_owned())));
    assert_eq!(ports.stored(moved.id).await, None);
}
