//! Codes of hosted consents: each under one ticket, for the state that it came with.

use std::collections::BTreeSet;
use std::time::Duration;

use ig_domain::ports::HostedCode;
use ig_domain::{AuthorizationCode, HOSTED_CODE_RETENTION, LINK_RETENTION, StateToken, Ticket};
use tokio::task::JoinSet;

use super::samples::MANY;
use super::{Ports, StoreUnderTest};
use crate::builders::{START, parsed};

const MICROSECOND: Duration = Duration::from_micros(1);

fn code(number: u8) -> AuthorizationCode {
    parsed(&format!("AQD-code-{number}"))
}

fn state(number: u8) -> StateToken {
    parsed(&format!("state-{number}"))
}

impl Ports {
    /// Keeps code `number` for state `number`.
    async fn keep_code(&self, number: u8) -> Ticket {
        self.hosted_codes.keep(&code(number), &state(number), START).await.unwrap().unwrap()
    }

    async fn kept(&self, ticket: &Ticket) -> Option<HostedCode> {
        self.hosted_codes.find(&ticket.hash()).await.unwrap()
    }
}

/// The code comes back to the letter with its state and the moment at which it came first.
pub async fn a_code_is_kept_under_one_ticket(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let before = ports.hosted_codes.ticket(&code(1), &state(1)).await.unwrap();
    assert!(before.is_none(), "nothing is kept yet");
    let first = ports.keep_code(1).await;
    let later = START + Duration::from_hours(1);
    let again = ports.hosted_codes.keep(&code(1), &state(1), later).await.unwrap().unwrap();
    let asked = ports.hosted_codes.ticket(&code(1), &state(1)).await.unwrap().unwrap();
    for ticket in [&again, &asked] {
        assert_eq!(ticket.expose(), first.expose());
    }
    let kept = ports.kept(&first).await.unwrap();
    assert!(kept.state == state(1).hash());
    assert_eq!(kept.code.unwrap().expose(), code(1).expose());
    assert_eq!(kept.present_time, START);
}

/// A code that came with one state has no ticket for another.
pub async fn a_code_is_kept_for_one_state(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let ticket = ports.keep_code(1).await;
    assert!(ports.hosted_codes.keep(&code(1), &state(2), START).await.unwrap().is_none());
    assert!(ports.hosted_codes.ticket(&code(1), &state(2)).await.unwrap().is_none());
    assert!(ports.kept(&ticket).await.unwrap().state == state(1).hash());
}

/// Two codes of one state, of which the first was cancelled at Instagram, do not share a ticket.
pub async fn each_code_has_a_ticket_of_its_own(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let first = ports.keep_code(1).await;
    let second = ports.hosted_codes.keep(&code(2), &state(1), START).await.unwrap().unwrap();
    assert_ne!(first.expose(), second.expose());
    for (ticket, number) in [(first, 1), (second, 2)] {
        let kept = ports.kept(&ticket).await.unwrap();
        assert_eq!(kept.code.unwrap().expose(), code(number).expose());
    }
}

/// One that knows a state and invents codes fills no store, and keeps no other state from its code.
pub async fn a_state_has_a_bounded_number_of_codes(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let keep = async |number| ports.hosted_codes.keep(&code(number), &state(1), START).await;
    for number in 1..=16 {
        assert!(keep(number).await.unwrap().is_some(), "{number}");
    }
    assert!(keep(17).await.unwrap().is_none());
    assert!(keep(16).await.unwrap().is_some(), "a repetition");
    assert!(ports.hosted_codes.ticket(&code(17), &state(1)).await.unwrap().is_none());
    assert!(ports.hosted_codes.keep(&code(17), &state(2), START).await.unwrap().is_some());
}

/// A ticket that was never given finds nothing.
pub async fn an_unknown_ticket_finds_nothing(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.keep_code(1).await;
    assert!(ports.kept(&parsed(&"a".repeat(Ticket::LENGTH))).await.is_none());
}

/// Twenty visits at once with one code get the same ticket.
pub async fn of_many_visits_with_one_code_all_get_one_ticket(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let mut visits = JoinSet::new();
    for _ in 1..=MANY {
        let ports = ports.clone();
        visits.spawn(async move { ports.keep_code(1).await.expose().to_owned() });
    }
    let told: BTreeSet<_> = visits.join_all().await.into_iter().collect();
    assert_eq!(told.len(), 1);
}

/// A code is erased once no attempt of it is replayed, and its row is deleted later.
pub async fn a_code_that_has_served_is_erased_and_later_forgotten(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let ticket = ports.keep_code(1).await;
    let sweep = async |now| ports.link_attempts.sweep(now, 9).await.unwrap();
    let erase = START + HOSTED_CODE_RETENTION;
    assert_eq!(sweep(erase - MICROSECOND).await, 0);
    assert!(ports.kept(&ticket).await.unwrap().code.is_some());
    assert_eq!(sweep(erase).await, 1);
    assert!(ports.kept(&ticket).await.unwrap().code.is_none());
    assert_eq!(ports.keep_code(1).await.expose(), ticket.expose(), "the ticket stays its own");
    assert!(ports.kept(&ticket).await.unwrap().code.is_none());
    let forget = START + LINK_RETENTION;
    assert_eq!(sweep(forget - MICROSECOND).await, 0);
    assert_eq!(sweep(forget).await, 1);
    assert!(ports.kept(&ticket).await.is_none());
}

/// The rest is for the next time.
pub async fn at_most_the_limit_is_erased_and_forgotten(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    for number in 1..=5 {
        ports.keep_code(number).await;
    }
    for now in [START + HOSTED_CODE_RETENTION, START + LINK_RETENTION] {
        for touched in [2, 2, 1, 0] {
            assert_eq!(ports.link_attempts.sweep(now, 2).await.unwrap(), touched);
        }
    }
}
