//! Sweep: expired accounts are marked, attempts that nobody will finish end, rows that nobody will ask for are deleted.

use std::time::Duration;

use ig_domain::ports::{GraphFacts, StoreError};
use ig_domain::{
    InstagramAccount, LINK_RETENTION, LinkOutcome, LinkRefusal, Phase, ReauthorizationReason,
};
use time::OffsetDateTime;

use super::samples::{
    assert_conflict, assert_same_phase, attempt, code, exchanged, holder, id, pending_link, state,
};
use super::{Ports, StoreUnderTest};
use crate::builders::{self, START};

const MICROSECOND: Duration = Duration::from_micros(1);
const HOUR: Duration = Duration::from_hours(1);

async fn sweep(ports: &Ports, now: OffsetDateTime) -> u64 {
    ports.link_attempts.sweep(now, 100).await.unwrap()
}

fn interrupted(end_time: OffsetDateTime) -> Phase {
    Phase::Ended { outcome: LinkOutcome::Refused(LinkRefusal::Interrupted), end_time }
}

/// From the hour on, the code counts as lost, and the token is erased.
pub async fn a_stale_short_lived_token_ends_its_attempt(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.begin(1, exchanged()).await;
    store.end_leases().await;
    let end = START + HOUR;
    assert_eq!(sweep(&ports, end - MICROSECOND).await, 0);
    assert_same_phase(&ports.phase(1).await.unwrap(), &exchanged());
    assert_eq!(sweep(&ports, end).await, 1);
    assert_same_phase(&ports.phase(1).await.unwrap(), &interrupted(end));
    assert_eq!(sweep(&ports, end).await, 0);
}

/// Counted from the first presentation of the code; one that was never taken is past its own hour too.
pub async fn what_lies_sent_or_unsent_ends_after_an_hour(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.begin(1, Phase::Sent).await;
    ports.begin(2, Phase::Unsent).await;
    store.end_leases().await;
    let end = attempt(1, Phase::Sent).create_time + HOUR;
    assert_eq!(sweep(&ports, end - MICROSECOND).await, 0);
    assert_eq!(sweep(&ports, end).await, 2);
    assert_same_phase(&ports.phase(1).await.unwrap(), &interrupted(end));
    let rejected = LinkRefusal::CodeRejected(GraphFacts::default());
    let untaken = Phase::Ended { outcome: LinkOutcome::Refused(rejected), end_time: end };
    assert_same_phase(&ports.phase(2).await.unwrap(), &untaken);
}

/// A held attempt is left alone, however old, as long as its lease lasts.
pub async fn what_somebody_holds_is_left_alone(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.begin(1, exchanged()).await;
    ports.begin(2, Phase::Sent).await;
    let late = START + 2 * HOUR;
    assert_eq!(sweep(&ports, late).await, 0);
    ports.link_attempts.release(&code(1), holder(1), &exchanged()).await.unwrap();
    assert_eq!(sweep(&ports, late).await, 1);
    ports.link_attempts.advance(&code(2), holder(2), &Phase::Sent).await.unwrap();
}

/// Attempts from their end on, states from their expiry on.
pub async fn what_served_is_forgotten_after_its_time(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.begin(1, exchanged()).await;
    let ended = interrupted(START);
    ports.link_attempts.advance(&code(1), holder(1), &ended).await.unwrap();
    ports.pending_links.insert(&pending_link(2)).await.unwrap();

    let forget_attempt = START + LINK_RETENTION;
    assert_eq!(sweep(&ports, forget_attempt - MICROSECOND).await, 0);
    assert_eq!(sweep(&ports, forget_attempt).await, 1);
    assert!(ports.phase(1).await.is_none());

    let forget_states = pending_link(1).expire_time + LINK_RETENTION;
    assert_eq!(sweep(&ports, forget_states - MICROSECOND).await, 0);
    assert!(ports.pending_links.find(&state(1)).await.unwrap().is_some());
    assert_eq!(sweep(&ports, forget_states).await, 2);
    for number in [1, 2] {
        assert_eq!(ports.pending_links.find(&state(number)).await.unwrap(), None);
    }
}

/// A lease on an account that is there is left for the next claim, and a living one to its holder. A lease that is there
/// is extended by its holder, also when it has ended.
pub async fn ended_leases_on_accounts_that_are_gone_are_forgotten(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.link(1, &builders::account(1, "", START), "token").await;
    for number in [1, 2] {
        assert!(ports.renewal_leases.claim(id(number), holder(1)).await.unwrap());
    }
    assert_eq!(sweep(&ports, START).await, 0, "both are held");
    store.end_leases().await;
    assert!(ports.renewal_leases.claim(id(3), holder(1)).await.unwrap());
    assert_eq!(sweep(&ports, START).await, 1);
    assert_eq!(sweep(&ports, START).await, 0);
    let forgotten = ports.renewal_leases.extend(id(2), holder(1)).await;
    assert!(matches!(forgotten, Err(StoreError::LeaseLost)), "{forgotten:?}");
    for number in [1, 3] {
        ports.renewal_leases.extend(id(number), holder(1)).await.unwrap();
    }
}

/// The rest is for the next time.
pub async fn at_most_the_limit_is_touched(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    for number in 1..=5 {
        ports.begin(number, Phase::Sent).await;
    }
    store.end_leases().await;
    let late = START + 2 * HOUR;
    for touched in [2, 2, 1, 0] {
        assert_eq!(ports.link_attempts.sweep(late, 2).await.unwrap(), touched);
    }
    let much_later = late + LINK_RETENTION;
    for touched in [4, 4, 2, 0] {
        assert_eq!(ports.link_attempts.sweep(much_later, 2).await.unwrap(), touched);
    }
}

/// From its expiry on, an account that is not marked yet is marked, as a change of it; its token stays.
pub async fn an_expired_account_is_marked_once(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let expiry = START + HOUR;
    let living = |number| InstagramAccount {
        token_expire_time: Some(expiry),
        ..builders::account(number, "", START)
    };
    let revoked = ReauthorizationReason::TokenRevoked;
    let dead = InstagramAccount { refused: Some(revoked), ..living(2) };
    let later = InstagramAccount { token_expire_time: Some(expiry + MICROSECOND), ..living(3) };
    for (number, account) in (1_u8..).zip([&living(1), &dead, &later]) {
        ports.link(number, account, "token").await;
    }
    let mark = async |now| ports.account_writer.mark_expired(now, 9).await.unwrap();
    assert_eq!(mark(expiry - MICROSECOND).await, 0);
    assert_eq!(mark(expiry).await, 1);
    assert_eq!(mark(expiry).await, 0);
    let marked = InstagramAccount {
        refused: Some(ReauthorizationReason::TokenExpired),
        update_time: expiry,
        revision: 2,
        ..living(1)
    };
    assert_eq!(ports.stored(id(1)).await, Some((marked, "token".to_owned())));
    assert_eq!(ports.stored(id(2)).await, Some((dead, "token".to_owned())));
    assert_eq!(ports.stored(id(3)).await, Some((later, "token".to_owned())));
    assert_conflict(ports.account_writer.update(&living(1), &living(1), None).await);
}

/// A round marks no more than its limit, however many have expired.
pub async fn at_most_the_limit_is_marked(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    for number in 1..=3 {
        let account = builders::account(u32::from(number), "", START);
        let account = InstagramAccount { token_expire_time: Some(START), ..account };
        ports.link(number, &account, "token").await;
    }
    for marked in [2, 1, 0] {
        assert_eq!(ports.account_writer.mark_expired(START, 2).await.unwrap(), marked);
    }
}
