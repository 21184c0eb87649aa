//! Deletions: the accounts of a person go at once, and then all that is left of them.

use std::time::Duration;

use ig_domain::ports::{AuditPage, LinkEnded, StoreError, StoredUpdates};
use ig_domain::{
    AccountId, AuthorizationCode, ConfirmationCode, DeletionState, EventChange, EventKind,
    InstagramAccount, LinkAttempt, PendingLink, Phase, RemovalOutcome, SignedRequest, StateToken,
    Ticket,
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::samples::{attempt, code, exchanged, first_link, holder, id, pending_link, state};
use super::{Ports, StoreUnderTest};
use crate::builders::{self, START, audit_entry, parsed};

const HOUR: Duration = Duration::from_hours(1);
const SECOND: Duration = Duration::from_secs(1);

/// The app-scoped id of the person of [`account`], whose alias it is in [`exchanged`].
const PERSON: &str = "9007199254740993";

/// Code of a deletion; another number is another one.
fn confirmation(number: u8) -> ConfirmationCode {
    parsed(&format!("{number:032x}"))
}

/// Code `number` of a hosted consent.
fn hosted_code(number: u8) -> AuthorizationCode {
    parsed(&format!("AQD-code-{number}"))
}

/// Account `number` of that person, whose consent was given at [`START`].
fn account(number: u8) -> InstagramAccount {
    InstagramAccount {
        app_scoped_user_id: Some(parsed("9007199254740997")),
        exchange_user_id: Some(parsed(PERSON)),
        ..builders::account(u32::from(number), "shop/7", START)
    }
}

fn request(user: &str, after: Duration) -> SignedRequest {
    SignedRequest { user: parsed(user), issue_time: START + after }
}

fn done(numbers: &[u32]) -> RemovalOutcome {
    RemovalOutcome::Done { accounts: numbers.iter().copied().map(id).collect() }
}

/// Phase of an attempt whose code was exchanged this long after [`START`].
fn exchanged_after(after: Duration) -> Phase {
    let Phase::Exchanged(mut grant) = exchanged() else { panic!("exchanged") };
    grant.consent.receive_time = START + after;
    Phase::Exchanged(grant)
}

impl Ports {
    /// Asks for deletion `number` of the person's data, issued this long after [`START`].
    async fn delete(&self, number: u8, after: Duration) -> (ConfirmationCode, RemovalOutcome) {
        let (request, code) = (request(PERSON, after), confirmation(number));
        self.user_deletions.delete(&request, &code, START + HOUR).await.unwrap()
    }

    /// State of deletion `number`, and its end.
    async fn deletion(&self, number: u8) -> Option<(DeletionState, Option<OffsetDateTime>)> {
        let found = self.user_deletions.find(&confirmation(number)).await.unwrap()?;
        assert_eq!((found.code, found.request_time), (confirmation(number), START + HOUR));
        Some((found.state, found.end_time))
    }

    /// Erases until there is nothing to erase at `now`.
    async fn erase_all(&self, now: OffsetDateTime) {
        while self.user_deletions.erase(now, 1).await.unwrap() > 0 {}
    }

    /// Whether nothing is left of attempt `number` and its state.
    async fn is_erased(&self, number: u8) -> bool {
        let pending = self.pending_links.find(&state(number)).await.unwrap();
        self.phase(number).await.is_none() && pending.is_none()
    }

    /// Keeps code `number` for a ticket, and exchanges it for a token of this person's.
    async fn begin_hosted(&self, number: u8, person: &str) -> Ticket {
        let Phase::Exchanged(mut grant) = exchanged() else { panic!("exchanged") };
        grant.consent.user_id = Some(parsed(person));
        let code = hosted_code(number);
        let attempt = LinkAttempt { code: code.hash(), ..attempt(number, Phase::Exchanged(grant)) };
        self.pending_links.insert(&pending_link(number)).await.unwrap();
        self.link_attempts.create(&attempt, holder(number)).await.unwrap();
        self.hosted_codes.keep(&code, &parsed("state"), START).await.unwrap().unwrap()
    }

    /// Asserts that nothing of account `number` is left but the events' rows, which say their kinds only.
    async fn assert_erased(&self, number: u8) {
        let account = id(u32::from(number));
        for event in self.told().await.into_iter().filter(|event| event.account_id == account) {
            let kind = event.change.kind();
            let is_deletion = event.change == EventChange::Deleted;
            assert!(is_deletion || event.change == EventChange::Erased(kind), "{event:?}");
        }
        let page = AuditPage { limit: 100, ..AuditPage::default() };
        for entry in self.audit_reader.entries(&page).await.unwrap() {
            assert_eq!(entry.account, AccountId::from_uuid(Uuid::nil()));
            assert_eq!(entry.professional_account_id.as_str(), "0");
        }
    }
}

/// With their tokens, each with its event; nobody else's do.
pub async fn a_deletion_forgets_the_accounts_of_the_person(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let other = InstagramAccount {
        app_scoped_user_id: Some(parsed("1")),
        exchange_user_id: None,
        ..account(3)
    };
    ports.link(1, &account(1), "IGAA-first").await;
    ports.link(2, &account(2), "IGAA-first").await;
    ports.link(3, &other, "IGAA-first").await;
    assert_eq!(ports.delete(1, HOUR).await, (confirmation(1), done(&[1, 2])));
    for number in [1, 2] {
        assert!(ports.accounts.find_with_token(id(number)).await.unwrap().is_none());
    }
    assert!(ports.accounts.find_with_token(id(3)).await.unwrap().is_some());
    let told = ports.told().await;
    let told: Vec<_> = told.iter().map(|event| (event.account_id, &event.change)).collect();
    let deleted = &EventChange::Deleted;
    assert_eq!(told.get(3..), Some(&[(id(1), deleted), (id(2), deleted)][..]));
    assert_eq!(ports.deletion(1).await, Some((DeletionState::Running, None)));
}

/// However often it comes, and whichever code the repetition brings.
pub async fn the_same_deletion_has_one_code(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.link(1, &account(1), "IGAA-first").await;
    ports.delete(1, HOUR).await;
    assert_eq!(ports.delete(2, HOUR).await, (confirmation(1), done(&[1])));
    assert_eq!(ports.deletion(2).await, None);
    let end = START + 2 * HOUR;
    ports.erase_all(end).await;
    assert_eq!(ports.delete(2, HOUR).await, (confirmation(1), done(&[])));
    assert_eq!(ports.deletion(1).await, Some((DeletionState::Deleted, Some(end))));
    assert_eq!(ports.told().await.len(), 2);
}

/// It tells nobody that nothing is stored while it is not so yet.
pub async fn a_second_deletion_runs_as_long_as_the_first(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.link(1, &account(1), "IGAA-first").await;
    ports.delete(1, HOUR).await;
    assert_eq!(ports.delete(2, 2 * HOUR).await, (confirmation(2), done(&[1])));
    let running = Some((DeletionState::Running, None));
    assert_eq!((ports.deletion(1).await, ports.deletion(2).await), (running, running));
    let end = START + 3 * HOUR;
    ports.erase_all(end).await;
    let deleted = Some((DeletionState::Deleted, Some(end)));
    assert_eq!((ports.deletion(1).await, ports.deletion(2).await), (deleted, deleted));
    assert_eq!(ports.delete(3, 3 * HOUR).await, (confirmation(3), RemovalOutcome::NothingStored));
    let nothing = (DeletionState::NothingStored, Some(START + HOUR));
    assert_eq!(ports.deletion(3).await, Some(nothing));
}

/// What has come since then lives on, so not all of the person's data is gone.
pub async fn what_is_older_than_a_newer_consent_is_erased_alone(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let unlinked = account(1);
    ports.link(1, &unlinked, "IGAA-first").await;
    ports.account_writer.remove(unlinked.id, unlinked.revision).await.unwrap();
    let newer = InstagramAccount { consent_time: START + HOUR + SECOND, ..account(2) };
    ports.link(2, &newer, "IGAA-second").await;
    assert_eq!(ports.delete(1, HOUR).await, (confirmation(1), done(&[1])));
    assert_eq!(ports.deletion(1).await, Some((DeletionState::Running, None)));
    let end = START + 2 * HOUR;
    ports.erase_all(end).await;
    ports.assert_erased(1).await;
    assert_eq!(ports.deletion(1).await, Some((DeletionState::OlderDeleted, Some(end))));
    assert!(ports.accounts.find_with_token(id(2)).await.unwrap().is_some());
}

/// Its account is gone, but not what it has left.
pub async fn what_is_unlinked_after_a_newer_consent_is_kept(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let newer = InstagramAccount { consent_time: START + HOUR + SECOND, ..account(1) };
    ports.link(1, &newer, "IGAA-first").await;
    ports.account_writer.remove(newer.id, newer.revision).await.unwrap();
    let kept = RemovalOutcome::ConsentedSince { accounts: vec![id(1)] };
    assert_eq!(ports.delete(1, HOUR).await, (confirmation(1), kept));
    let ended = (DeletionState::ConsentedSince, Some(START + HOUR));
    assert_eq!(ports.deletion(1).await, Some(ended));
}

/// The accounts are only visited next.
pub async fn a_deletion_that_is_older_than_the_consent_changes_nothing(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let newer = InstagramAccount { consent_time: START + SECOND, ..account(1) };
    ports.link(1, &newer, "IGAA-first").await;
    let kept = RemovalOutcome::ConsentedSince { accounts: vec![id(1)] };
    assert_eq!(ports.delete(1, Duration::ZERO).await, (confirmation(1), kept));
    let ended = (DeletionState::ConsentedSince, Some(START + HOUR));
    assert_eq!(ports.deletion(1).await, Some(ended));
    assert!(ports.accounts.find_with_token(id(1)).await.unwrap().is_some());
    let due = ports.due_accounts.claim_due(START + HOUR, holder(9), 9).await.unwrap();
    assert_eq!(due.iter().map(|claimed| claimed.id).collect::<Vec<_>>(), [id(1)]);
    assert_eq!(ports.told().await.len(), 1);
}

/// Meta gets a code all the same.
pub async fn an_unknown_person_has_nothing_to_delete(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    assert_eq!(ports.deletion(1).await, None);
    assert_eq!(ports.delete(1, HOUR).await, (confirmation(1), RemovalOutcome::NothingStored));
    let nothing = (DeletionState::NothingStored, Some(START + HOUR));
    assert_eq!(ports.deletion(1).await, Some(nothing));
    assert_eq!(ports.user_deletions.erase(START + 2 * HOUR, 9).await.unwrap(), 0);
}

/// In rounds, and looked through again until nobody can have read the account before.
pub async fn what_a_deleted_account_has_left_is_erased(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let stored = account(1);
    ports.link(1, &stored, "IGAA-first").await;
    let renamed = InstagramAccount { username: parsed("renamed"), ..stored.clone() };
    let renamed = renamed.succeeding(&stored, START);
    ports.account_writer.update(&renamed, &stored, None).await.unwrap();
    let mut pending = pending_link(2);
    pending.account = Some(id(1));
    ports.pending_links.insert(&pending).await.unwrap();
    ports.audit.record(&[audit_entry(&renamed, 1)]).await.unwrap();
    ports.delete(1, HOUR).await;
    ports.erase_all(START + HOUR).await;
    ports.assert_erased(1).await;
    assert_eq!(ports.pending_links.find(&pending.state).await.unwrap(), None);
    assert!(ports.is_erased(1).await);
    assert_eq!(ports.deletion(1).await, Some((DeletionState::Running, None)));
    // One that was under way is told so.
    assert_eq!(ports.audit.record(&[audit_entry(&renamed, 2)]).await.unwrap(), [].into());
    let end = START + HOUR + 30 * SECOND;
    ports.erase_all(end).await;
    ports.assert_erased(1).await;
    assert_eq!(ports.deletion(1).await, Some((DeletionState::Deleted, Some(end))));
}

/// Whatever the first waits for.
pub async fn one_deletion_does_not_wait_for_another(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let other = InstagramAccount {
        app_scoped_user_id: Some(parsed("1")),
        exchange_user_id: None,
        ..account(2)
    };
    ports.link(1, &account(1), "IGAA-first").await;
    ports.link(2, &other, "IGAA-first").await;
    ports.delete(1, HOUR).await;
    ports.erase_all(START + HOUR).await;
    let request = request("1", HOUR);
    ports.user_deletions.delete(&request, &confirmation(2), START + HOUR).await.unwrap();
    ports.erase_all(START + HOUR).await;
    ports.assert_erased(2).await;
    assert!(ports.is_erased(2).await);
    let running = Some((DeletionState::Running, None));
    assert_eq!((ports.deletion(1).await, ports.deletion(2).await), (running, running));
}

/// They are passed over, and come in no more, however often they are sent and though the person consents again.
pub async fn updates_of_a_deleted_account_are_erased_for_good(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let stored = account(1);
    ports.link(1, &stored, "IGAA-first").await;
    let update = |number, after| {
        let mut received = builders::received(&stored, number, 10);
        received.update.time = START + after;
        received
    };
    let updates = [update(1, Duration::ZERO), update(2, HOUR)];
    ports.webhooks.store(&updates).await.unwrap();
    ports.delete(1, HOUR).await;
    ports.erase_all(START + HOUR).await;
    let events = ports.events().await;
    let kinds = events.iter().map(|event| event.event.as_ref().map(|event| event.change.kind()));
    let deleted = [Some(EventKind::Linked), None, None, Some(EventKind::Deleted)];
    assert_eq!(kinds.collect::<Vec<_>>(), deleted);
    let numbers: Vec<_> = events.iter().map(|event| event.number).collect();
    assert!(ports.webhooks.payloads(&numbers).await.unwrap().is_empty());
    let again = InstagramAccount { id: id(2), consent_time: START + 2 * HOUR, ..account(1) };
    ports.begin_after(2, 2 * HOUR).await;
    let link = first_link(&again, "IGAA-second");
    ports.link_attempts.complete(&code(2), holder(2), &link).await.unwrap();
    let counts = ports.webhooks.store(&[update(2, HOUR), update(3, HOUR)]).await.unwrap();
    assert_eq!(counts, StoredUpdates { erased: 2, ..StoredUpdates::default() });
    let counts = ports.webhooks.store(&[update(4, HOUR + SECOND)]).await.unwrap();
    assert_eq!(counts, StoredUpdates { stored: 1, ..StoredUpdates::default() });
}

/// The account is gone already, but not what it has left.
pub async fn what_an_unlinked_account_has_left_is_erased_too(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let unlinked = account(1);
    ports.link(1, &unlinked, "IGAA-first").await;
    ports.audit.record(&[audit_entry(&unlinked, 1)]).await.unwrap();
    ports.account_writer.remove(unlinked.id, unlinked.revision).await.unwrap();
    assert_eq!(ports.delete(1, HOUR).await, (confirmation(1), done(&[1])));
    assert_eq!(ports.deletion(1).await, Some((DeletionState::Running, None)));
    let end = START + 2 * HOUR;
    ports.erase_all(end).await;
    ports.assert_erased(1).await;
    assert_eq!(ports.deletion(1).await, Some((DeletionState::Deleted, Some(end))));
}

/// Whoever holds one finds it gone, with its state; one whose code came later goes on.
pub async fn a_deletion_erases_links_under_way(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.begin(1, exchanged_after(2 * HOUR)).await;
    ports.begin_after(2, HOUR + SECOND).await;
    ports.delete(1, HOUR).await;
    assert!(ports.is_erased(1).await);
    assert!(matches!(ports.phase(2).await, Some(Phase::Exchanged(_))));
    let link = first_link(&builders::account(9, "", START + 2 * HOUR), "IGAA-second");
    let lost = ports.link_attempts.complete(&code(1), holder(1), &link).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost)), "{lost:?}");
}

/// Under way or linked, with their tickets.
pub async fn a_deletion_erases_the_codes_of_the_persons_consents(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let linked = ports.begin_hosted(1, PERSON).await;
    let link = first_link(&account(1), "IGAA-first");
    let attempt = hosted_code(1).hash();
    ports.link_attempts.complete(&attempt, holder(1), &link).await.unwrap();
    let under_way = ports.begin_hosted(2, PERSON).await;
    let of_another = ports.begin_hosted(3, "1").await;
    let is_kept =
        async |ticket: &Ticket| ports.hosted_codes.find(&ticket.hash()).await.unwrap().is_some();
    ports.delete(1, HOUR).await;
    assert!(!is_kept(&under_way).await);
    ports.erase_all(START + 2 * HOUR).await;
    assert!(!is_kept(&linked).await);
    assert!(is_kept(&of_another).await);
}

/// The code exchange names a person by another id than Meta's requests may.
pub async fn a_deletion_erases_links_under_way_by_the_other_id(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.link(1, &account(1), "IGAA-first").await;
    ports.begin(2, exchanged()).await;
    let request = request("9007199254740997", HOUR);
    ports.user_deletions.delete(&request, &confirmation(1), START + HOUR).await.unwrap();
    assert!(ports.is_erased(2).await);
}

/// With the code that was kept for it.
pub async fn the_link_of_a_deleted_account_is_erased(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let (kept_code, kept_state) =
        (parsed::<AuthorizationCode>("code"), parsed::<StateToken>("state"));
    let ticket = ports.hosted_codes.keep(&kept_code, &kept_state, START).await.unwrap().unwrap();
    let pending = PendingLink { state: kept_state.hash(), ..pending_link(1) };
    ports.pending_links.insert(&pending).await.unwrap();
    let (code, state) = (kept_code.hash(), kept_state.hash());
    let attempt = LinkAttempt { code, state, ..attempt(1, exchanged()) };
    ports.link_attempts.create(&attempt, holder(1)).await.unwrap();
    let link = first_link(&account(1), "IGAA-first");
    ports.link_attempts.complete(&code, holder(1), &link).await.unwrap();
    ports.delete(1, HOUR).await;
    ports.erase_all(START + HOUR).await;
    assert!(ports.link_attempts.find(&code).await.unwrap().is_none());
    assert_eq!(ports.pending_links.find(&state).await.unwrap(), None);
    assert!(ports.hosted_codes.find(&ticket.hash()).await.unwrap().is_none());
}

/// Deauthorised before or not.
pub async fn a_deleted_person_is_not_linked_by_an_older_consent(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let removal = request(PERSON, Duration::ZERO);
    ports.user_removals.deauthorize(&removal, START).await.unwrap();
    ports.delete(1, HOUR).await;
    let newer = InstagramAccount { consent_time: START + HOUR + SECOND, ..account(1) };
    let link = first_link(&newer, "IGAA-second");
    ports.begin(1, exchanged_after(HOUR + SECOND)).await;
    let ended = ports.link_attempts.complete(&code(1), holder(1), &link).await.unwrap();
    assert_eq!(ended, LinkEnded::UserRemoved);
    assert!(ports.is_erased(1).await);
    ports.begin_after(2, HOUR + SECOND).await;
    let ended = ports.link_attempts.complete(&code(2), holder(2), &link).await.unwrap();
    assert_eq!(ended, LinkEnded::Stored);
}

/// A person has an id of its own under each app.
pub async fn a_deletion_from_another_app_leaves_the_person_alone(store: &dyn StoreUnderTest) {
    let (ports, other) = (store.ports(), store.of_app(parsed("7")));
    ports.link(1, &account(1), "IGAA-first").await;
    assert_eq!(other.delete(1, HOUR).await.1, RemovalOutcome::NothingStored);
    assert!(ports.accounts.find_with_token(id(1)).await.unwrap().is_some());
    assert_eq!(ports.deletion(1).await, None);
}
