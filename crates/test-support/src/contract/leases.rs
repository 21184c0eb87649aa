//! Leases: one holder at a time, and none for ever.

use std::time::Duration;

use ig_domain::ports::StoreError;
use ig_domain::{InstagramAccount, LinkOutcome, LinkRefusal, Phase, ReauthorizationReason};

use super::samples::{
    assert_lease_lost, assert_same_phase, code, count_at_once, exchanged, first_link, holder, id,
};
use super::{Ports, StoreUnderTest};
use crate::builders::{self, START};

async fn claims(ports: &Ports, attempt: u8, claimant: u8) -> bool {
    let claimed = ports.link_attempts.claim(&code(attempt), holder(claimant)).await.unwrap();
    claimed.is_some()
}

async fn renews(ports: &Ports, account: u32, claimant: u8) -> bool {
    ports.renewal_leases.claim(id(account), holder(claimant)).await.unwrap()
}

async fn extends(ports: &Ports, account: u32, claimant: u8) -> bool {
    match ports.renewal_leases.extend(id(account), holder(claimant)).await {
        Ok(()) => true,
        Err(StoreError::LeaseLost) => false,
        Err(error) => panic!("{error:?}"),
    }
}

fn interrupted() -> Phase {
    let outcome = LinkOutcome::Refused(LinkRefusal::Interrupted);
    Phase::Ended { outcome, end_time: START }
}

/// Neither while its creator holds it, nor while its claimant does.
pub async fn a_held_attempt_is_not_claimed_by_another(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.begin(1, Phase::Unsent).await;
    assert!(!claims(&ports, 1, 2).await);
    store.end_leases().await;
    assert!(claims(&ports, 1, 2).await);
    assert!(!claims(&ports, 1, 3).await);
    assert!(!claims(&ports, 1, 1).await);
}

/// A claim always begins a new lease, so it fails on one that is held, even by its holder.
pub async fn a_holder_claims_nothing_that_it_holds(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.begin(1, Phase::Unsent).await;
    assert!(!claims(&ports, 1, 1).await);
    assert!(renews(&ports, 1, 1).await);
    assert!(!renews(&ports, 1, 1).await);
}

/// The next goes on in the phase in which it was released.
pub async fn a_released_attempt_is_claimed_at_once(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.begin(1, Phase::Sent).await;
    ports.link_attempts.release(&code(1), holder(1), &exchanged()).await.unwrap();
    let claimed = ports.link_attempts.claim(&code(1), holder(2)).await.unwrap().unwrap();
    assert_same_phase(&claimed.phase, &exchanged());
    let moved = ports.link_attempts.advance(&code(1), holder(1), &Phase::Unsent).await;
    assert_lease_lost(moved);
}

/// A dead holder's attempt goes on in the phase in which it died.
pub async fn a_lease_that_has_ended_is_taken_over(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.begin(1, Phase::Unsent).await;
    ports.link_attempts.advance(&code(1), holder(1), &Phase::Sent).await.unwrap();
    store.end_leases().await;
    let claimed = ports.link_attempts.claim(&code(1), holder(2)).await.unwrap().unwrap();
    assert_same_phase(&claimed.phase, &Phase::Sent);
}

/// Each write of the holder makes the lease last anew.
pub async fn a_claim_lasts_anew(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.begin(1, Phase::Unsent).await;
    store.end_leases().await;
    ports.link_attempts.advance(&code(1), holder(1), &Phase::Sent).await.unwrap();
    assert!(!claims(&ports, 1, 2).await);
    store.end_leases().await;
    assert!(claims(&ports, 1, 1).await);
    assert!(!claims(&ports, 1, 2).await);
}

/// Late is not too late as long as nobody else has come.
pub async fn a_late_holder_whom_nobody_replaced_goes_on(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.begin(1, Phase::Sent).await;
    store.end_leases().await;
    ports.link_attempts.advance(&code(1), holder(1), &exchanged()).await.unwrap();
    assert_same_phase(&ports.phase(1).await.unwrap(), &exchanged());
}

/// A replaced holder can neither move, release nor complete the attempt.
pub async fn a_replaced_holder_changes_nothing(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.begin(1, exchanged()).await;
    store.end_leases().await;
    assert!(claims(&ports, 1, 2).await);
    let attempts = &ports.link_attempts;
    assert_lease_lost(attempts.advance(&code(1), holder(1), &Phase::Sent).await);
    assert_lease_lost(attempts.advance(&code(1), holder(1), &interrupted()).await);
    assert_lease_lost(attempts.release(&code(1), holder(1), &Phase::Unsent).await);
    let account = builders::account(1, "", START);
    let link = first_link(&account, "token");
    assert_lease_lost(attempts.complete(&code(1), holder(1), &link).await);
    assert_same_phase(&ports.phase(1).await.unwrap(), &exchanged());
    assert_eq!(ports.stored(account.id).await, None);
    attempts.advance(&code(1), holder(2), &interrupted()).await.unwrap();
}

/// Its successor has worked meanwhile, so the rows that it read are old.
pub async fn a_replaced_holder_changes_nothing_after_its_successor_either(
    store: &dyn StoreUnderTest,
) {
    let ports = store.ports();
    ports.begin(1, exchanged()).await;
    store.end_leases().await;
    assert!(claims(&ports, 1, 2).await);
    let attempts = &ports.link_attempts;
    attempts.release(&code(1), holder(2), &Phase::Unsent).await.unwrap();
    assert_lease_lost(attempts.advance(&code(1), holder(1), &Phase::Sent).await);
    assert_lease_lost(attempts.release(&code(1), holder(1), &interrupted()).await);
    let link = first_link(&builders::account(1, "", START), "token");
    assert_lease_lost(attempts.complete(&code(1), holder(1), &link).await);
    assert_same_phase(&ports.phase(1).await.unwrap(), &Phase::Unsent);
    assert!(claims(&ports, 1, 3).await);
}

/// An ended attempt stays ended, for its holder too.
pub async fn an_ended_attempt_is_neither_claimed_nor_moved(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.begin(1, exchanged()).await;
    ports.link_attempts.advance(&code(1), holder(1), &interrupted()).await.unwrap();
    for claimant in [1, 2] {
        assert!(!claims(&ports, 1, claimant).await);
        let moved = ports.link_attempts.advance(&code(1), holder(claimant), &Phase::Unsent).await;
        assert_lease_lost(moved);
    }
    let link = first_link(&builders::account(1, "", START), "token");
    assert_lease_lost(ports.link_attempts.complete(&code(1), holder(1), &link).await);
    assert_same_phase(&ports.phase(1).await.unwrap(), &interrupted());
}

/// No attempt is made up.
pub async fn an_unknown_attempt_is_neither_claimed_nor_moved(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    assert!(!claims(&ports, 1, 1).await);
    assert_lease_lost(ports.link_attempts.advance(&code(1), holder(1), &Phase::Sent).await);
    assert_lease_lost(ports.link_attempts.release(&code(1), holder(1), &Phase::Sent).await);
    assert!(ports.phase(1).await.is_none());
}

/// Of twenty that want to take over one does.
pub async fn of_many_claims_one_wins(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.begin(100, Phase::Unsent).await;
    store.end_leases().await;
    let won = count_at_once(|number| {
        let ports = ports.clone();
        async move { claims(&ports, 100, number).await }
    });
    assert_eq!(won.await, 1);
}

/// Others wait, the holder may go on, and other accounts have leases of their own.
pub async fn one_at_a_time_renews_an_account(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    assert!(renews(&ports, 1, 1).await);
    assert!(!renews(&ports, 1, 2).await);
    assert!(extends(&ports, 1, 1).await);
    assert!(renews(&ports, 2, 2).await);
}

/// A dead holder's lease passes to another.
pub async fn a_renewal_that_has_ended_is_taken_over(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    assert!(renews(&ports, 1, 1).await);
    store.end_leases().await;
    assert!(renews(&ports, 1, 2).await);
    assert!(!renews(&ports, 1, 1).await);
    store.end_leases().await;
    assert!(renews(&ports, 1, 2).await);
    assert!(!renews(&ports, 1, 1).await);
}

/// Late is not too late here either, as long as nobody else has come.
pub async fn an_extension_lasts_anew(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    assert!(renews(&ports, 1, 1).await);
    store.end_leases().await;
    assert!(extends(&ports, 1, 1).await);
    assert!(!renews(&ports, 1, 2).await);
}

/// A lease that nobody holds is not extended either.
pub async fn a_replaced_renewal_is_extended_by_nobody_but_its_successor(
    store: &dyn StoreUnderTest,
) {
    let ports = store.ports();
    assert!(!extends(&ports, 1, 1).await);
    assert!(renews(&ports, 1, 1).await);
    store.end_leases().await;
    assert!(renews(&ports, 1, 2).await);
    store.end_leases().await;
    assert!(!extends(&ports, 1, 1).await);
    assert!(extends(&ports, 1, 2).await);
    assert!(!extends(&ports, 2, 2).await);
}

/// Else the replaced holder would not see that another worked in between.
pub async fn a_renewal_that_a_successor_gave_back_is_claimed_anew(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    assert!(renews(&ports, 1, 1).await);
    store.end_leases().await;
    assert!(renews(&ports, 1, 2).await);
    ports.renewal_leases.release(id(1), holder(2)).await.unwrap();
    assert!(!extends(&ports, 1, 1).await);
    assert!(renews(&ports, 1, 3).await);
}

/// A replaced holder does not know Instagram's answer to its successor.
pub async fn only_the_holder_of_a_renewal_marks_its_account(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let account = builders::account(1, "", START);
    ports.link(1, &account, "token").await;
    let refused = Some(ReauthorizationReason::TokenRevoked);
    let marked = InstagramAccount { refused, revision: 2, ..account.clone() };
    let mark =
        |revision, claimant| ports.account_writer.mark_refused(&marked, revision, holder(claimant));
    assert!(renews(&ports, 1, 1).await);
    store.end_leases().await;
    assert!(renews(&ports, 1, 2).await);
    assert_lease_lost(mark(1, 1).await);
    ports.renewal_leases.release(id(1), holder(2)).await.unwrap();
    assert_lease_lost(mark(1, 1).await);
    assert!(renews(&ports, 1, 3).await);
    assert!(matches!(mark(2, 3).await, Err(StoreError::Conflict)));
    assert_eq!(ports.stored(id(1)).await, Some((account.clone(), "token".to_owned())));
    let read = InstagramAccount { profile_time: START + Duration::from_secs(1), ..account.clone() };
    ports.account_writer.update(&read, &account, None).await.unwrap();
    assert!(matches!(mark(1, 3).await, Err(StoreError::Conflict)));
    ports.account_writer.update(&account, &read, None).await.unwrap();
    mark(1, 3).await.unwrap();
    assert_eq!(ports.stored(id(1)).await, Some((marked.clone(), "token".to_owned())));
}

/// A replaced holder takes nothing away from its successor.
pub async fn only_the_holder_gives_a_renewal_back(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    assert!(renews(&ports, 1, 1).await);
    ports.renewal_leases.release(id(1), holder(2)).await.unwrap();
    assert!(!renews(&ports, 1, 2).await);
    ports.renewal_leases.release(id(1), holder(1)).await.unwrap();
    assert!(renews(&ports, 1, 2).await);
    ports.renewal_leases.release(id(2), holder(1)).await.unwrap();
}

/// Of twenty that want to renew one does.
pub async fn of_many_renewals_one_wins(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let won = count_at_once(|number| {
        let ports = ports.clone();
        async move { renews(&ports, 1, number).await }
    });
    assert_eq!(won.await, 1);
}

/// Else nobody could work before the clock has caught up.
pub async fn a_lease_of_a_clock_that_was_set_back_is_taken_over(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.begin(1, Phase::Unsent).await;
    assert!(renews(&ports, 1, 1).await);
    store.set_clock_back().await;
    assert!(claims(&ports, 1, 2).await);
    assert!(renews(&ports, 1, 2).await);
    assert!(!extends(&ports, 1, 1).await);
    assert!(!claims(&ports, 1, 3).await);
    assert!(!renews(&ports, 1, 3).await);
}
