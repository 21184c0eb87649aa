//! Removals: the token of a person who removed the app is destroyed, and no older consent brings it back.

use std::time::Duration;

use ig_domain::ports::{CompletedLink, GraphFacts, LinkEnded};
use ig_domain::{
    EventChange, InstagramAccount, KeepingPlan, LINK_RETENTION, LinkOutcome, LinkRefusal, Phase,
    ReauthorizationReason, RemovalOutcome, SignedRequest,
};

use super::samples::{assert_same_phase, code, first_link, holder, id};
use super::{Ports, StoreUnderTest};
use crate::builders::{self, START, parsed};

const HOUR: Duration = Duration::from_hours(1);
const SECOND: Duration = Duration::from_secs(1);

/// The app-scoped id of the person of [`account`], and of nobody else.
const PERSON: &str = "9007199254740997";

/// Another id of that person, from a code exchange.
const ALIAS: &str = "9007199254740999";

/// Account `number` of that person, whose consent was given within the second that follows [`START`].
fn account(number: u8) -> InstagramAccount {
    InstagramAccount {
        app_scoped_user_id: Some(parsed(PERSON)),
        exchange_user_id: None,
        consent_time: START + SECOND / 2,
        ..builders::account(u32::from(number), "shop/7", START)
    }
}

/// A request of the person of this id, issued this long after [`START`].
fn request(user: &str, after: Duration) -> SignedRequest {
    SignedRequest { user: parsed(user), issue_time: START + after }
}

fn done(numbers: &[u32]) -> RemovalOutcome {
    RemovalOutcome::Done { accounts: numbers.iter().copied().map(id).collect() }
}

impl Ports {
    async fn deauthorize(&self, user: &str, after: Duration) -> RemovalOutcome {
        let request = request(user, after);
        self.user_removals.deauthorize(&request, START + HOUR).await.unwrap()
    }

    /// The account, and whether it has a token.
    async fn found(&self, number: u32) -> Option<(InstagramAccount, bool)> {
        let found = self.accounts.find_with_token(id(number)).await.unwrap();
        found.map(|(account, token)| (account, token.is_some()))
    }

    /// Completes attempt `number`, whose code had come at [`START`], with this link.
    async fn complete(&self, number: u8, link: &CompletedLink) -> LinkEnded {
        self.complete_after(number, Duration::ZERO, link).await
    }

    /// Completes attempt `number`, whose code had come this long after [`START`], with this link.
    async fn complete_after(&self, number: u8, after: Duration, link: &CompletedLink) -> LinkEnded {
        self.begin_after(number, after).await;
        self.link_attempts.complete(&code(number), holder(number), link).await.unwrap()
    }
}

/// Of every account of the person, and of nobody else's.
pub async fn a_deauthorization_destroys_the_tokens_of_the_person(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let (first, second) = (account(1), account(2));
    let other = InstagramAccount { app_scoped_user_id: Some(parsed("1")), ..account(3) };
    for (number, account) in (1..).zip([&first, &second, &other]) {
        ports.link(number, account, "IGAA-first").await;
    }
    assert_eq!(ports.deauthorize(PERSON, HOUR).await, done(&[1, 2]));
    for account in [first, second] {
        let marked = account.deauthorized(START + HOUR).unwrap();
        assert_eq!(marked.refused, Some(ReauthorizationReason::Deauthorized));
        assert_eq!(marked.revision, account.revision + 1);
        let found = ports.accounts.find_with_token(account.id).await.unwrap().unwrap();
        assert_eq!((found.0, found.1.is_some()), (marked, false));
    }
    assert_eq!(ports.found(3).await, Some((other, true)));
}

/// Once, whatever the account had died of before.
pub async fn a_deauthorization_is_told_once(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let dead = InstagramAccount { refused: Some(ReauthorizationReason::Checkpoint), ..account(1) };
    ports.link(1, &dead, "IGAA-first").await;
    ports.link(2, &account(2), "IGAA-first").await;
    for _ in 0..2 {
        assert_eq!(ports.deauthorize(PERSON, HOUR).await, done(&[1, 2]));
        assert_eq!(ports.deauthorize(PERSON, 2 * HOUR).await, done(&[1, 2]));
    }
    let told = ports.told().await;
    let told: Vec<_> = told.iter().map(|event| (event.account_id, &event.change)).collect();
    let reason = ReauthorizationReason::Deauthorized;
    let deauthorized = EventChange::ReauthorizationRequired(reason);
    assert_eq!(told.get(2..), Some(&[(id(1), &deauthorized), (id(2), &deauthorized)][..]));
    let (marked, _) = ports.found(1).await.unwrap();
    assert_eq!((marked.refused, marked.revision), (Some(reason), dead.revision + 1));
}

/// The id of the code exchange is the person's, too.
pub async fn a_person_is_known_by_an_alias(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let known = InstagramAccount { exchange_user_id: Some(parsed(ALIAS)), ..account(1) };
    ports.link(1, &known, "IGAA-first").await;
    assert_eq!(ports.deauthorize(ALIAS, HOUR).await, done(&[1]));
    assert!(!ports.found(1).await.unwrap().1);
}

/// Its accounts are only visited next, so that what Instagram thinks of their tokens is found out.
pub async fn a_deauthorization_that_is_older_than_the_consent_changes_nothing(
    store: &dyn StoreUnderTest,
) {
    let ports = store.ports();
    let account = InstagramAccount { consent_time: START + SECOND, ..account(1) };
    ports.link(1, &account, "IGAA-first").await;
    let outcome = ports.deauthorize(PERSON, Duration::ZERO).await;
    assert_eq!(outcome, RemovalOutcome::ConsentedSince { accounts: vec![id(1)] });
    assert_eq!(ports.told().await.len(), 1);
    let (found, has_token) = ports.found(1).await.unwrap();
    assert!(has_token);
    assert_eq!((found.refused, found.revision), (None, account.revision));
    let due = ports.due_accounts.claim_due(START + HOUR, holder(9), 9).await.unwrap();
    assert_eq!(due.iter().map(|claimed| claimed.id).collect::<Vec<_>>(), [id(1)]);
    assert!(found.due_task(START + HOUR, &KeepingPlan::default()).is_some());
}

/// Meta names whole seconds: within the second of the consent, the removal holds.
pub async fn a_removal_in_the_second_of_the_consent_holds(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.link(1, &account(1), "IGAA-first").await;
    assert_eq!(ports.deauthorize(PERSON, Duration::ZERO).await, done(&[1]));
    let linked = ports.complete(2, &first_link(&account(2), "IGAA-second")).await;
    assert_eq!(linked, LinkEnded::UserRemoved);
}

/// A removal of whom nothing is stored changes nothing.
pub async fn an_unknown_person_has_nothing_to_remove(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.link(1, &account(1), "IGAA-first").await;
    assert_eq!(ports.deauthorize("77", HOUR).await, RemovalOutcome::NothingStored);
    assert_eq!(ports.found(1).await, Some((account(1), true)));
}

/// Nothing of it is stored, and its attempt has ended as that of a spent code.
pub async fn a_link_of_an_older_consent_is_not_stored(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.link(1, &account(1), "IGAA-first").await;
    ports.deauthorize(PERSON, HOUR).await;
    let (stored, _) = ports.found(1).await.unwrap();
    let again = CompletedLink {
        account: InstagramAccount { refused: None, ..stored.clone() }.succeeding(&stored, START),
        former_revision: Some(stored.revision),
        ..first_link(&stored, "IGAA-second")
    };
    assert_eq!(ports.complete(2, &again).await, LinkEnded::UserRemoved);
    assert_eq!(ports.found(1).await, Some((stored, false)));
    let first = first_link(&account(2), "IGAA-second");
    assert_eq!(ports.complete(3, &first).await, LinkEnded::UserRemoved);
    assert_eq!(ports.found(2).await, None);
    let outcome = LinkOutcome::Refused(LinkRefusal::CodeRejected(GraphFacts::default()));
    let ended = Phase::Ended { outcome, end_time: first.end_time };
    assert_same_phase(&ports.phase(3).await.unwrap(), &ended);
    assert_eq!(ports.told().await.len(), 2);
}

/// The person had consented when the code came: Instagram may have exchanged it only after the removal.
pub async fn a_link_is_judged_by_the_moment_at_which_its_code_came(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.deauthorize(PERSON, HOUR).await;
    let exchanged = InstagramAccount { consent_time: START + HOUR + SECOND, ..account(1) };
    let link = first_link(&exchanged, "IGAA-second");
    for (number, after) in (1..).zip([Duration::ZERO, HOUR, HOUR + SECOND * 9 / 10]) {
        assert_eq!(ports.complete_after(number, after, &link).await, LinkEnded::UserRemoved);
    }
    assert_eq!(ports.complete_after(9, HOUR + SECOND, &link).await, LinkEnded::Stored);
}

/// Whoever consents anew is linked anew.
pub async fn a_link_of_a_newer_consent_is_stored(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.deauthorize(PERSON, HOUR).await;
    let newer = InstagramAccount { consent_time: START + HOUR + SECOND, ..account(1) };
    let link = first_link(&newer, "IGAA-second");
    assert_eq!(ports.complete_after(1, HOUR + SECOND, &link).await, LinkEnded::Stored);
    assert_eq!(ports.found(1).await, Some((newer, true)));
}

/// By then no link under way is older.
pub async fn a_deauthorization_is_forgotten_after_its_time(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    for after in [HOUR, 2 * HOUR] {
        ports.deauthorize(PERSON, after).await;
    }
    let end = START + HOUR + LINK_RETENTION;
    let sweep = async |now| ports.link_attempts.sweep(now, 1).await.unwrap();
    assert_eq!(sweep(end - Duration::from_micros(1)).await, 0);
    assert_eq!(sweep(end).await, 1);
    let linked = ports.complete(1, &first_link(&account(1), "IGAA-first")).await;
    assert_eq!(linked, LinkEnded::UserRemoved);
    // What the link has left ends with it.
    while sweep(end).await > 0 {}
    let linked = ports.complete(2, &first_link(&account(1), "IGAA-first")).await;
    assert_eq!(linked, LinkEnded::Stored);
}

/// A person has an id of its own under each app.
pub async fn a_removal_from_another_app_leaves_the_person_alone(store: &dyn StoreUnderTest) {
    let (ports, other) = (store.ports(), store.of_app(parsed("7")));
    ports.link(1, &account(1), "IGAA-first").await;
    assert_eq!(other.deauthorize(PERSON, HOUR).await, RemovalOutcome::NothingStored);
    assert_eq!(ports.found(1).await, Some((account(1), true)));
    let linked = ports.complete(2, &first_link(&account(2), "IGAA-second")).await;
    assert_eq!(linked, LinkEnded::Stored);
}
