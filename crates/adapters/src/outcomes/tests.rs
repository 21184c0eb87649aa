//! Each link and each account counts once for what becomes of it, whatever is repeated.

use std::sync::Arc;

use ig_domain::ports::{
    AccountWriter as _, CompletedLink, LinkAttempts as _, PendingLinks as _, RenewalLeases,
};
use ig_domain::{
    InstagramAccount, LeaseHolder, LinkAttempt, LinkOutcome, LinkRefusal, Phase,
    ReauthorizationReason,
};
use ig_metrics::{Registry, TextFormat};
use ig_test_support::MemoryStore;
use ig_test_support::builders::{START, account, long_lived, parsed, pending_link, presentation};
use uuid::Uuid;

use super::*;

const OWNER: &str = "shop/7";

fn holder() -> LeaseHolder {
    LeaseHolder::from_uuid(Uuid::from_u128(1))
}

struct World {
    registry: Registry,
    store: MemoryStore,
    attempts: CountedAttempts,
    accounts: CountedAccounts,
}

impl World {
    fn new() -> Self {
        let mut registry = Registry::new("test", "1");
        let store = MemoryStore::new(parsed("990602627938098"));
        let links = LinkCounts::register(&mut registry);
        let renewals = RenewalCounts::register(&mut registry);
        Self {
            attempts: CountedAttempts::new(Arc::new(store.clone()), links),
            accounts: CountedAccounts::new(
                Arc::new(store.clone()),
                Arc::new(store.clone()),
                renewals,
            ),
            store,
            registry,
        }
    }

    /// An attempt that has just begun.
    async fn begun(&self, number: u32) -> LinkAttempt {
        let state = format!("state-{number}");
        let pending = pending_link(&state, OWNER, START);
        self.store.insert(&pending).await.unwrap();
        let presented = presentation(&format!("code-{number}"), &state, OWNER);
        let attempt = LinkAttempt::begin(pending, &presented, START);
        self.attempts.create(&attempt, holder()).await.unwrap();
        attempt
    }

    /// Ends the attempt with this account, which is stored at `former_revision`, if it is.
    async fn completed(
        &self,
        attempt: &LinkAttempt,
        account: &InstagramAccount,
        former_revision: Option<i64>,
    ) {
        let link = CompletedLink {
            displaced: None,
            account: account.clone(),
            former_revision,
            token: Some(long_lived("IGAA-first")),
            missing_scopes: Vec::new(),
            end_time: START,
        };
        self.attempts.complete(&attempt.code, holder(), &link).await.unwrap();
    }

    /// Stores the account as refused for this reason, or as well; returns it as it then is.
    async fn marked(
        &self,
        account: &InstagramAccount,
        refused: Option<ReauthorizationReason>,
    ) -> InstagramAccount {
        let mut next = account.clone();
        next.refused = refused;
        let next = next.succeeding(account, START);
        if refused.is_none() {
            self.accounts.update(&next, account.revision, None).await.unwrap();
            return next;
        }
        assert!(RenewalLeases::claim(&self.store, account.id, holder()).await.unwrap());
        self.accounts.mark_refused(&next, account.revision, holder()).await.unwrap();
        RenewalLeases::release(&self.store, account.id, holder()).await.unwrap();
        next
    }

    /// The samples of this metric that are not zero, sorted.
    fn counted(&self, metric: &str) -> Vec<String> {
        let text = self.registry.text(TextFormat::OpenMetrics).unwrap();
        let begin = format!("test_{metric}");
        let samples = text.lines().filter_map(|line| line.strip_prefix(begin.as_str()));
        let counted = samples.filter(|sample| !sample.ends_with(" 0"));
        let mut counted: Vec<_> = counted.map(str::to_owned).collect();
        counted.sort();
        counted
    }
}

#[tokio::test]
async fn a_link_counts_as_postponed_once_and_then_as_what_it_becomes() {
    let world = World::new();
    for number in 1..=2 {
        let attempt = world.begun(number).await;
        for _ in 0..3 {
            let released = world.attempts.release(&attempt.code, holder(), &Phase::Unsent).await;
            released.unwrap();
            world.attempts.claim(&attempt.code, holder()).await.unwrap().unwrap();
        }
        world.completed(&attempt, &account(number, OWNER, START), None).await;
    }
    let expected = ["{outcome=\"created\"} 2", "{outcome=\"postponed\"} 2"];
    assert_eq!(world.counted("links_total"), expected);
}

#[tokio::test]
async fn links_are_counted_by_what_they_become() {
    let world = World::new();
    let linked = account(1, OWNER, START);
    world.completed(&world.begun(1).await, &linked, None).await;
    let mut former = linked;
    for number in 2..=3 {
        let next = former.clone().succeeding(&former, START);
        world.completed(&world.begun(number).await, &next, Some(former.revision)).await;
        former = next;
    }
    for (number, refusal) in [
        (4, LinkRefusal::WrongAccount),
        (5, LinkRefusal::PersonalAccount),
        (6, LinkRefusal::WrongAccount),
    ] {
        let outcome = LinkOutcome::Refused(refusal);
        let ended = Phase::Ended { outcome, end_time: START };
        let attempt = world.begun(number).await;
        world.attempts.advance(&attempt.code, holder(), &ended).await.unwrap();
    }
    let expected = [
        "{outcome=\"created\"} 1",
        "{outcome=\"personal_account\"} 1",
        "{outcome=\"relinked\"} 2",
        "{outcome=\"wrong_account\"} 2",
    ];
    assert_eq!(world.counted("links_total"), expected);
}

#[tokio::test]
async fn a_refused_account_counts_once_until_it_is_well_again() {
    let world = World::new();
    let revoked = Some(ReauthorizationReason::TokenRevoked);
    let checkpoint = Some(ReauthorizationReason::Checkpoint);
    let mut last = None;
    for number in 1..=2 {
        let linked = account(number, OWNER, START);
        world.completed(&world.begun(number).await, &linked, None).await;
        let refused = world.marked(&linked, revoked).await;
        let looked_at = world.marked(&refused, revoked).await;
        last = Some(world.marked(&looked_at, checkpoint).await);
    }
    let expected = ["{reason=\"token_revoked\"} 2"];
    assert_eq!(world.counted("refused_accounts_total"), expected);

    let healed = world.marked(&last.unwrap(), None).await;
    world.marked(&healed, checkpoint).await;
    let expected = ["{reason=\"checkpoint\"} 1", "{reason=\"token_revoked\"} 2"];
    assert_eq!(world.counted("refused_accounts_total"), expected);
}

#[tokio::test]
async fn a_refusal_that_is_not_stored_is_not_counted() {
    let world = World::new();
    let linked = account(1, OWNER, START);
    world.completed(&world.begun(1).await, &linked, None).await;
    let refused =
        InstagramAccount { refused: Some(ReauthorizationReason::TokenRevoked), ..linked.clone() };
    world.accounts.mark_refused(&refused, linked.revision, holder()).await.unwrap_err();
    assert_eq!(world.counted("refused_accounts_total"), [""; 0]);
}
