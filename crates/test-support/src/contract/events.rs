//! Events: each change tells its own, and the log keeps them without a gap, for as long as they are to be kept.
#![expect(clippy::indexing_slicing, reason = "a promise that finds too little is broken")]

use std::time::Duration;

use ig_domain::ports::{CompletedLink, LogCount, LogState, StoreError, VisitChange, VisitResult};
use ig_domain::{
    AccountEvent, ChangedFields, EventChange, EventId, EventPosition, InstagramAccount,
    KeepingPlan, LogId, LoggedEvent, ReauthorizationReason, TroubleCause, UnlinkCause,
};
use uuid::Uuid;

use super::samples::{assert_conflict, assert_lease_lost, code, exchanged, first_link, holder, id};
use super::{Ports, StoreUnderTest};
use crate::builders::{self, START, long_lived, parsed};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const WINDOW: Duration = Duration::from_hours(14 * 24);

impl Ports {
    /// Gives all events their number, and returns the state of the log from then on.
    pub(super) async fn numbered(&self) -> LogState {
        loop {
            let state = self.event_log.look(None).await.unwrap();
            if !state.waits {
                return state;
            }
            self.event_log.number_waiting().await.unwrap();
        }
    }

    /// All events that are kept.
    pub(super) async fn events(&self) -> Vec<LoggedEvent> {
        self.numbered().await;
        self.event_log.page(0, 1000).await.unwrap()
    }

    /// What was told, in its order.
    pub(super) async fn told(&self) -> Vec<AccountEvent> {
        self.events().await.into_iter().map(|event| event.event.unwrap()).collect()
    }

    /// Links as many accounts, and returns the position behind each.
    pub(super) async fn link_some(
        &self,
        numbers: std::ops::RangeInclusive<u8>,
    ) -> Vec<EventPosition> {
        let mut positions = Vec::new();
        for number in numbers {
            self.link(number, &account(number), "IGAA-first").await;
            positions.push(self.numbered().await.head);
        }
        positions
    }

    async fn holds(&self, at: EventPosition) -> bool {
        self.event_log.look(Some(&at)).await.unwrap().holds
    }
}

fn account(number: u8) -> InstagramAccount {
    builders::account(u32::from(number), "shop/7", START)
}

/// `former` with a change, of an hour later.
fn changed(
    former: &InstagramAccount,
    change: impl FnOnce(&mut InstagramAccount),
) -> InstagramAccount {
    let mut next = former.clone();
    change(&mut next);
    next.succeeding(former, START + HOUR)
}

fn renamed(former: &InstagramAccount) -> InstagramAccount {
    changed(former, |next| next.username = parsed("renamed"))
}

fn told_of(account: &InstagramAccount, change: EventChange) -> AccountEvent {
    AccountEvent {
        account_id: account.id,
        professional_account_id: account.professional_account_id.clone(),
        owner: account.owner.clone(),
        revision: account.revision,
        change,
    }
}

fn fields(names: &str) -> EventChange {
    EventChange::Changed { fields: ChangedFields::of_names(names), trouble: None }
}

/// From its link to its end.
pub async fn each_change_of_an_account_is_told(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let first = account(1);
    ports.link(1, &first, "IGAA-first").await;
    let second = renamed(&first);
    ports.account_writer.update(&second, &first, None).await.unwrap();
    let reason = ReauthorizationReason::Checkpoint;
    let third = second.dead(reason, START + HOUR);
    ports.renewal_leases.claim(first.id, holder(9)).await.unwrap();
    ports.account_writer.mark_refused(&third, 2, holder(9)).await.unwrap();
    let fourth = changed(&third, InstagramAccount::heal);
    ports.account_writer.update(&fourth, &third, Some(long_lived("IGAA-second"))).await.unwrap();
    ports.begin(2, exchanged()).await;
    let fifth = changed(&fourth, |next| next.consent_time += DAY);
    let again = CompletedLink { former_revision: Some(4), ..first_link(&fifth, "IGAA-third") };
    ports.link_attempts.complete(&code(2), holder(2), &again).await.unwrap();
    ports.account_writer.remove(first.id, 5).await.unwrap();
    let expected = [
        told_of(&first, EventChange::Linked),
        told_of(&second, fields("username")),
        told_of(&third, EventChange::ReauthorizationRequired(reason)),
        told_of(&fourth, EventChange::Healed),
        told_of(&fifth, EventChange::LinkedAgain(ChangedFields::default())),
        AccountEvent::unlinked(&fifth, UnlinkCause::Unlink),
    ];
    assert_eq!(ports.told().await, expected);
}

/// Also of several accounts in one transaction.
pub async fn what_the_keeper_changes_is_told(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let accounts = [account(1), account(2)];
    for (number, account) in (1..).zip(&accounts) {
        ports.link(number, account, "IGAA-first").await;
    }
    let failed = changed(&accounts[0], |next| {
        next.visit_failed(START + HOUR, Some(TroubleCause::RateLimited), 0, Duration::ZERO);
    });
    let read = renamed(&accounts[1]);
    let results = [(&failed, &accounts[0]), (&read, &accounts[1])].map(|(next, former)| {
        let change = VisitChange {
            account: next.clone(),
            former_revision: former.revision,
            former_profile_time: former.profile_time,
            token: None,
        };
        (holder(9), VisitResult { id: former.id, change: Some(change) })
    });
    for account in &accounts {
        ports.renewal_leases.claim(account.id, holder(9)).await.unwrap();
    }
    assert_eq!(ports.due_accounts.finish(&results).await.unwrap(), []);
    let end = read.token_expire_time.unwrap();
    assert_eq!(ports.account_writer.mark_expired(end, 9).await.unwrap(), 2);
    let trouble = Some(TroubleCause::RateLimited);
    let in_trouble =
        EventChange::Changed { fields: ChangedFields::of_names("refresh_trouble"), trouble };
    let mut told = ports.told().await;
    assert_eq!(told[2..4], [told_of(&failed, in_trouble), told_of(&read, fields("username"))]);
    told[4..].sort_by_key(|event| event.account_id);
    let expired = EventChange::ReauthorizationRequired(ReauthorizationReason::TokenExpired);
    let expected = [failed, read].map(|one| told_of(&one.expired(end), expired.clone()));
    assert_eq!(told[4..], expected);
}

/// The account that makes room comes first.
pub async fn a_displaced_account_is_told_before_the_one_that_takes_its_place(
    store: &dyn StoreUnderTest,
) {
    let ports = store.ports();
    let displaced = account(1);
    ports.link(1, &displaced, "IGAA-first").await;
    ports.begin(2, exchanged()).await;
    let next = InstagramAccount {
        professional_account_id: displaced.professional_account_id.clone(),
        owner: parsed("shop/8"),
        ..account(2)
    };
    let link =
        CompletedLink { displaced: Some((displaced.id, 1)), ..first_link(&next, "IGAA-other") };
    ports.link_attempts.complete(&code(2), holder(2), &link).await.unwrap();
    let expected =
        [AccountEvent::unlinked(&displaced, UnlinkCause::OtherOwner), AccountEvent::linked(&next)];
    assert_eq!(ports.told().await[1..], expected);
}

/// Neither what is no change nor what could not be stored.
pub async fn nothing_else_is_told(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let first = account(1);
    ports.link(1, &first, "IGAA-first").await;
    let read = changed(&first, |next| next.profile_time += HOUR);
    ports.account_writer.update(&read, &first, None).await.unwrap();
    let counted = changed(&read, |next| next.followers_count = Some(7));
    ports.account_writer.update(&counted, &read, None).await.unwrap();
    assert_conflict(ports.account_writer.update(&renamed(&read), &read, None).await);
    assert_conflict(ports.account_writer.remove(first.id, 1).await);
    let dead = counted.dead(ReauthorizationReason::Checkpoint, START + HOUR);
    assert_lease_lost(ports.account_writer.mark_refused(&dead, 2, holder(9)).await);
    assert_eq!(ports.told().await, [AccountEvent::linked(&first)]);
}

/// And each has an id and a moment of its own.
pub async fn numbers_have_no_gap_and_pages_join(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let positions = ports.link_some(1..=5).await;
    let events = ports.events().await;
    let numbers: Vec<_> = events.iter().map(|event| event.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    let of_events = events.iter().map(|event| EventPosition {
        number: event.number,
        event: event.id,
        ..positions[0]
    });
    assert_eq!(of_events.collect::<Vec<_>>(), positions);
    assert!(events.is_sorted_by_key(|event| event.time));
    let mut pages = Vec::new();
    for (after, length) in [(0, 2), (2, 2), (4, 1), (5, 0)] {
        let page = ports.event_log.page(after, 2).await.unwrap();
        assert_eq!(page.len(), length);
        pages.extend(page);
    }
    assert_eq!(pages, events);
}

/// Whoever follows the log is woken by a change of its own process.
pub async fn an_event_wakes_whoever_waits_for_it(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.link(1, &account(1), "IGAA-first").await;
    ports.event_log.written().await;
    let waiting = tokio::spawn({
        let log = ports.event_log.clone();
        async move { log.written().await }
    });
    ports.link(2, &account(2), "IGAA-first").await;
    waiting.await.unwrap();
}

/// Of another log, of an event that is not there, of another event of the number.
pub async fn the_log_holds_no_other_position_than_its_own(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let beginning = ports.event_log.look(None).await.unwrap().head;
    assert_eq!((beginning.number, beginning.event), (0, EventId::NONE));
    let positions = ports.link_some(1..=2).await;
    for at in [beginning, positions[0], positions[1]] {
        assert!(ports.holds(at).await, "{at:?}");
    }
    let (log, event) = (LogId::from_uuid(Uuid::from_u128(7)), positions[1].event);
    for at in [
        EventPosition { log, ..positions[0] },
        EventPosition { log, ..beginning },
        EventPosition { number: 3, ..positions[1] },
        EventPosition { event, ..positions[0] },
        EventPosition { event, ..beginning },
    ] {
        assert!(!ports.holds(at).await, "{at:?}");
    }
}

/// The oldest first; the position behind the last of them is good.
pub async fn old_events_go_in_steps(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let positions = ports.link_some(1..=3).await;
    store.age_events(WINDOW).await;
    let later = ports.link_some(4..=5).await;
    let kept = async || ports.events().await.into_iter().map(|event| event.number);
    for (purged, first) in [(2, 3), (1, 4), (0, 4)] {
        assert_eq!(ports.event_log.purge(WINDOW, 2).await.unwrap(), purged);
        assert_eq!(kept().await.collect::<Vec<_>>(), (first..=5).collect::<Vec<_>>());
    }
    let state = ports.event_log.look(None).await.unwrap();
    assert_eq!((state.purged, state.head), (positions[2], later[1]));
    assert!(!ports.holds(positions[1]).await);
    for at in [positions[2], later[0], later[1]] {
        assert!(ports.holds(at).await, "{at:?}");
    }
    ports.link(6, &account(6), "IGAA-first").await;
    assert_eq!(ports.numbered().await.head.number, 6, "a number never comes back");
}

/// The log never passes over what was not numbered.
pub async fn an_event_without_a_number_is_not_purged(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.event_log.look(None).await.unwrap();
    ports.link(1, &account(1), "IGAA-first").await;
    let waits = ports.event_log.look(None).await.unwrap().waits;
    store.age_events(WINDOW).await;
    let purged = ports.event_log.purge(WINDOW, 9).await.unwrap();
    // A store that numbers as it writes has none without.
    assert_eq!((purged, ports.told().await.len()), if waits { (0, 1) } else { (1, 0) });
}

/// Nothing at or after the moment is left out, and nothing of a gap is passed over in silence.
pub async fn a_moment_leads_to_a_position(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let beginning = ports.event_log.look(None).await.unwrap().head;
    let mut positions = ports.link_some(1..=1).await;
    store.age_events(HOUR).await;
    positions.extend(ports.link_some(2..=2).await);
    let events = ports.events().await;
    let since = async |time| ports.event_log.since(time, WINDOW).await.unwrap();
    assert_eq!(since(events[0].time).await, Some(beginning));
    assert_eq!(since(events[1].time).await, Some(positions[0]));
    assert_eq!(since(events[1].time - HOUR / 2).await, Some(positions[0]));
    assert_eq!(since(events[1].time + HOUR).await, Some(positions[1]));
    assert_eq!(since(events[1].time - WINDOW - HOUR).await, None);
    store.age_events(WINDOW.saturating_sub(HOUR / 2)).await;
    let events = ports.events().await;
    assert_eq!(ports.event_log.purge(WINDOW, 9).await.unwrap(), 1);
    let since = async |time| ports.event_log.since(time, WINDOW * 2).await.unwrap();
    assert_eq!(since(events[0].time).await, None);
    assert_eq!(since(events[1].time).await, Some(positions[0]));
}

/// What waits for its number, and what is kept.
pub async fn the_log_is_counted(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let nothing =
        LogCount { kept: 0, unnumbered: 0, unnumbered_age: Duration::ZERO, oldest_time: None };
    assert_eq!(ports.event_survey.count_log().await.unwrap(), nothing);
    ports.link(1, &account(1), "IGAA-first").await;
    store.age_events(HOUR).await;
    let count = ports.event_survey.count_log().await.unwrap();
    assert_eq!(count.kept + count.unnumbered, 1);
    assert_eq!(count.unnumbered_age >= HOUR, count.unnumbered == 1);
    ports.link(2, &account(2), "IGAA-first").await;
    let events = ports.events().await;
    let count = ports.event_survey.count_log().await.unwrap();
    let expected = LogCount { kept: 2, oldest_time: Some(events[0].time), ..nothing };
    assert_eq!(count, expected);
}

/// Nobody goes on from a position of the former one, and its events are gone.
pub async fn a_new_log_holds_nothing_of_the_former(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let positions = ports.link_some(1..=3).await;
    let events = ports.events().await;
    let beginning = ports.restoration.begin_new_log().await.unwrap();
    let state = ports.event_log.look(None).await.unwrap();
    assert_eq!((state.head, state.purged), (beginning, beginning));
    assert!(ports.holds(beginning).await);
    for at in positions {
        assert!(!ports.holds(at).await, "{at:?}");
    }
    assert_eq!(ports.events().await, []);
    assert_eq!(ports.event_log.since(events[2].time, WINDOW).await.unwrap(), None);
    ports.link(4, &account(4), "IGAA-first").await;
    let told = ports.events().await;
    assert_eq!(told[0].event, Some(AccountEvent::linked(&account(4))));
    assert_eq!(told[0].number, beginning.number + 1);
    while ports.event_log.purge(WINDOW, 2).await.unwrap() > 0 {}
    assert_eq!(ports.events().await, told);
}

/// Without a change of it.
pub async fn every_account_is_due_after_a_restoration(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.link_some(1..=3).await;
    let interval = Duration::from_hours(24);
    let due = async |after| ports.restoration.make_due(after, START, interval).await.unwrap();
    assert_eq!(due(None).await, Some((id(3), 3)));
    assert_eq!(due(Some(id(1))).await, Some((id(3), 2)));
    assert_eq!(due(Some(id(3))).await, None);
    let survey = ports.surveys.survey(START).await.unwrap();
    assert_eq!((survey.due, survey.longest_due_time), (3, Some(START)));
    let claimed = ports.due_accounts.claim_due(START, holder(9), 9).await.unwrap();
    assert_eq!(claimed.len(), 3);
    for claimed in claimed {
        let (account, _) = claimed.found.unwrap();
        assert!(account.due_task(START, &KeepingPlan::default()).is_some());
        assert_eq!(account.revision, 1);
    }
    assert_eq!(ports.told().await.len(), 3);
}

/// Each app has a log of its own.
pub async fn events_of_another_app_are_in_another_log(store: &dyn StoreUnderTest) {
    let (ports, other) = (store.ports(), store.of_app(parsed("7")));
    let positions = ports.link_some(1..=1).await;
    let state = other.numbered().await;
    assert_ne!(state.head.log, positions[0].log);
    assert_eq!(other.events().await, []);
    assert!(!other.holds(positions[0]).await);
    store.age_events(WINDOW).await;
    assert_eq!(other.event_log.purge(WINDOW, 9).await.unwrap(), 0);
    other.restoration.begin_new_log().await.unwrap();
    assert_eq!(ports.events().await.len(), 1);
}

/// An error leaves nothing behind.
pub async fn a_link_that_is_not_stored_is_not_told(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.link(1, &account(1), "IGAA-first").await;
    ports.begin(2, exchanged()).await;
    let taken = InstagramAccount {
        professional_account_id: account(1).professional_account_id,
        ..account(2)
    };
    let link = first_link(&taken, "IGAA-other");
    let refused = ports.link_attempts.complete(&code(2), holder(2), &link).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    assert_eq!(ports.told().await, [AccountEvent::linked(&account(1))]);
}
