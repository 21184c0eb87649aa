//! Visits: each due account is claimed by one holder, in order, and its result is stored once.

use std::time::Duration;

use ig_domain::ports::{Breaker, ClaimedAccount, OpenBreaker, VisitChange, VisitResult};
use ig_domain::{
    AccountId, ChangedFields, EventChange, InstagramAccount, LeaseHolder, ReauthorizationReason,
    TroubleCause, VisitFailures, WebhookSubscription,
};
use time::OffsetDateTime;

use super::samples::{count_at_once, holder, id, token_text};
use super::{Ports, StoreUnderTest};
use crate::builders::{self, START, long_lived, parsed};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Moment at which every account is due that was linked at [`START`]: each profile is read within a day.
pub(super) const DUE: OffsetDateTime = START.saturating_add(time::Duration::hours(25));

pub(super) async fn link(ports: &Ports, number: u8, change: impl FnOnce(&mut InstagramAccount)) {
    let mut account = builders::account(u32::from(number), "shop/7", START);
    change(&mut account);
    ports.link(number, &account, "IGAA-first").await;
}

pub(super) async fn claim(
    ports: &Ports,
    now: OffsetDateTime,
    claimant: u8,
    limit: u64,
) -> Vec<AccountId> {
    let claimed = ports.due_accounts.claim_due(now, holder(claimant), limit).await.unwrap();
    claimed.into_iter().map(|claimed| claimed.id).collect()
}

async fn claim_one(ports: &Ports, claimant: u8) -> InstagramAccount {
    let claimed = ports.due_accounts.claim_due(DUE, holder(claimant), 1).await.unwrap();
    let [ClaimedAccount { found: Ok((account, Some(_))), .. }] = &claimed[..] else {
        panic!("{claimed:?}")
    };
    account.clone()
}

fn read_at(account: &InstagramAccount, now: OffsetDateTime) -> VisitChange {
    let mut next = account.clone();
    let number = next.username.as_str().trim_start_matches("account_").parse().unwrap();
    next.read_profile(builders::profile(number), now);
    VisitChange {
        account: next.succeeding(account, now),
        former_revision: account.revision,
        former_profile_time: account.profile_time,
        token: None,
    }
}

fn result(claimant: u8, id: AccountId, change: Option<VisitChange>) -> (LeaseHolder, VisitResult) {
    (holder(claimant), VisitResult { id, change })
}

/// And it comes with its token, as it is stored.
pub async fn a_due_account_is_claimed_once(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    link(&ports, 1, |_| {}).await;
    assert_eq!(claim(&ports, START, 1, 9).await, [], "nothing is due yet");
    let claimed = ports.due_accounts.claim_due(DUE, holder(1), 9).await.unwrap();
    let [ClaimedAccount { id: claimed, found: Ok((account, Some(token))) }] = &claimed[..] else {
        panic!("{claimed:?}")
    };
    assert_eq!((*claimed, token_text(token)), (id(1), "IGAA-first".to_owned()));
    assert_eq!(ports.stored(id(1)).await.unwrap().0, *account);
    assert_eq!(claim(&ports, DUE, 2, 9).await, []);
    assert!(!ports.renewal_leases.claim(id(1), holder(3)).await.unwrap());
}

/// Until the lease ends, or is given back.
pub async fn an_account_that_somebody_renews_is_not_claimed(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    link(&ports, 1, |_| {}).await;
    assert!(ports.renewal_leases.claim(id(1), holder(1)).await.unwrap());
    assert_eq!(claim(&ports, DUE, 2, 9).await, []);
    store.end_leases().await;
    assert_eq!(claim(&ports, DUE, 2, 9).await, [id(1)]);
    ports.renewal_leases.release(id(1), holder(2)).await.unwrap();
    assert_eq!(claim(&ports, DUE, 3, 9).await, [id(1)]);
}

/// Those in the last seven days of their token, soonest expiry first; then the longest due.
pub async fn the_most_urgent_are_claimed_first(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let expiring = |days| {
        move |account: &mut InstagramAccount| {
            account.token_expire_time = Some(DUE + DAY * days);
        }
    };
    let due_since = |hours| {
        move |account: &mut InstagramAccount| {
            account.profile_time = START - HOUR * hours;
        }
    };
    link(&ports, 1, due_since(200)).await;
    link(&ports, 2, expiring(6)).await;
    link(&ports, 3, due_since(400)).await;
    link(&ports, 4, expiring(1)).await;
    assert_eq!(claim(&ports, DUE, 1, 3).await, [id(4), id(2), id(3)]);
    assert_eq!(claim(&ports, DUE, 2, 3).await, [id(1)]);
}

/// Whatever runs at the same time.
pub async fn of_many_claims_of_one_account_one_wins(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    link(&ports, 1, |_| {}).await;
    let winners = count_at_once(|claimant| {
        let ports = ports.clone();
        async move { !claim(&ports, DUE, claimant, 1).await.is_empty() }
    });
    assert_eq!(winners.await, 1);
}

/// A change with its new token is stored, the lease ends, and the account is due at its next moment.
pub async fn a_result_ends_its_visit(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    link(&ports, 1, |_| {}).await;
    let account = claim_one(&ports, 1).await;
    let mut renewed = account.clone();
    renewed.take_renewal(&builders::grant("IGAA-second", DUE));
    let renewed = renewed.succeeding(&account, DUE);
    let token = Some(long_lived("IGAA-second"));
    let change = VisitChange { account: renewed, token, ..read_at(&account, DUE) };
    let expected = change.account.clone();
    let unstored = ports.due_accounts.finish(&[result(1, id(1), Some(change))]).await.unwrap();
    assert_eq!(unstored, []);
    assert_eq!(ports.stored(id(1)).await.unwrap(), (expected, "IGAA-second".to_owned()));
    assert!(ports.renewal_leases.claim(id(1), holder(2)).await.unwrap(), "the lease has ended");
    ports.renewal_leases.release(id(1), holder(2)).await.unwrap();
    let account = claim_one(&ports, 3).await;
    let read = read_at(&account, DUE);
    ports.due_accounts.finish(&[result(3, id(1), Some(read))]).await.unwrap();
    assert_eq!(claim(&ports, DUE, 4, 9).await, [], "the profile has just been read");
}

/// So each visit is judged by itself.
pub async fn results_that_cannot_be_stored_keep_no_others_back(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    for number in 1..=4 {
        link(&ports, number, |_| {}).await;
    }
    assert_eq!(claim(&ports, DUE, 1, 9).await.len(), 4);
    let accounts = [1, 2, 3, 4].map(|number| builders::account(number, "shop/7", START));
    let relinked = InstagramAccount { revision: 2, name: None, ..accounts[0].clone() };
    ports.account_writer.update(&relinked, &accounts[0], None).await.unwrap();
    let mut read = accounts[1].clone();
    read.read_profile(builders::profile(2), DUE - HOUR);
    ports.account_writer.update(&read, &accounts[1], None).await.unwrap();
    ports.account_writer.remove(id(3), 1).await.unwrap();
    let results = accounts.each_ref().map(|one| result(1, one.id, Some(read_at(one, DUE))));
    let mut unstored = ports.due_accounts.finish(&results).await.unwrap();
    unstored.sort();
    assert_eq!(unstored, [id(1), id(2), id(3)]);
    assert_eq!(ports.stored(id(1)).await.unwrap().0, relinked);
    assert_eq!(ports.stored(id(2)).await.unwrap().0.profile_time, DUE - HOUR);
    assert_eq!(ports.stored(id(4)).await.unwrap().0.profile_time, DUE);
}

/// A visitor that was replaced may finish together with the one that replaced it.
pub async fn of_two_results_of_one_account_one_is_stored(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    link(&ports, 1, |_| {}).await;
    let account = claim_one(&ports, 1).await;
    store.end_leases().await;
    claim_one(&ports, 2).await;
    let renewed = |text: &str, claimant| {
        let mut renewed = account.clone();
        renewed.take_renewal(&builders::grant(text, DUE));
        let renewed = renewed.succeeding(&account, DUE);
        let change = VisitChange {
            account: renewed,
            token: Some(long_lived(text)),
            ..read_at(&account, DUE)
        };
        result(claimant, id(1), Some(change))
    };
    let stale = VisitChange { former_revision: 7, ..read_at(&account, DUE) };
    let results =
        [result(2, id(1), Some(stale)), renewed("IGAA-second", 2), renewed("IGAA-third", 1)];
    let unstored = ports.due_accounts.finish(&results).await.unwrap();
    assert_eq!(unstored, [id(1), id(1)]);
    assert_eq!(ports.stored(id(1)).await.unwrap().1, "IGAA-second");
}

/// But for a token that it renewed of an account that nobody has changed: that would be lost.
pub async fn a_replaced_visitor_stores_nothing_but_a_new_token(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    link(&ports, 1, |_| {}).await;
    let account = claim_one(&ports, 1).await;
    store.end_leases().await;
    assert_eq!(claim(&ports, DUE, 2, 9).await, [id(1)]);
    let late = result(1, id(1), Some(read_at(&account, DUE)));
    assert_eq!(ports.due_accounts.finish(&[late]).await.unwrap(), [id(1)]);
    assert_eq!(ports.stored(id(1)).await.unwrap().0, account);
    assert_eq!(claim(&ports, DUE, 3, 9).await, [], "the lease is its successor's");
    let token = Some(long_lived("IGAA-late"));
    let late = result(1, id(1), Some(VisitChange { token, ..read_at(&account, DUE) }));
    assert_eq!(ports.due_accounts.finish(&[late]).await.unwrap(), []);
    assert_eq!(ports.stored(id(1)).await.unwrap().1, "IGAA-late");
}

/// So nobody renews again before its holder has stored it on top of what others stored.
pub async fn a_new_token_that_is_not_stored_keeps_its_lease(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    for number in 1..=2 {
        link(&ports, number, |_| {}).await;
    }
    assert_eq!(claim(&ports, DUE, 1, 9).await.len(), 2);
    let renewed = [1, 2].map(|number| {
        let account = builders::account(number, "shop/7", START);
        let token = Some(long_lived("IGAA-second"));
        result(1, account.id, Some(VisitChange { token, ..read_at(&account, DUE) }))
    });
    let (account, _) = ports.stored(id(1)).await.unwrap();
    let named = InstagramAccount { revision: 2, name: None, ..account.clone() };
    ports.account_writer.update(&named, &account, None).await.unwrap();
    assert_eq!(ports.due_accounts.finish(&renewed).await.unwrap(), [id(1)]);
    assert!(!ports.renewal_leases.claim(id(1), holder(2)).await.unwrap());
    assert!(ports.renewal_leases.claim(id(2), holder(2)).await.unwrap());
    ports.renewal_leases.release(id(1), holder(1)).await.unwrap();
    assert!(ports.renewal_leases.claim(id(1), holder(2)).await.unwrap());
}

/// A visit that found nothing to change.
pub async fn a_visit_without_a_change_only_ends_its_lease(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    link(&ports, 1, |_| {}).await;
    let account = claim_one(&ports, 1).await;
    let unstored = ports.due_accounts.finish(&[result(1, id(1), None)]).await.unwrap();
    assert_eq!((unstored, ports.stored(id(1)).await.unwrap().0), (Vec::new(), account));
    assert_eq!(claim(&ports, DUE, 2, 9).await, [id(1)]);
}

/// Whoever puts it off must hold it.
pub async fn a_visit_that_is_put_off_comes_later(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    link(&ports, 1, |_| {}).await;
    claim_one(&ports, 1).await;
    ports.due_accounts.put_off(id(1), holder(2), DUE + DAY).await.unwrap();
    assert_eq!(claim(&ports, DUE, 3, 9).await, [], "it is held still");
    ports.due_accounts.put_off(id(1), holder(1), DUE + HOUR).await.unwrap();
    assert_eq!(claim(&ports, DUE, 3, 9).await, []);
    assert_eq!(claim(&ports, DUE + HOUR, 3, 9).await, [id(1)]);
}

/// An update, a mark, a link anew.
pub async fn every_write_keeps_the_schedule(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    link(&ports, 1, |_| {}).await;
    let (account, _) = ports.stored(id(1)).await.unwrap();
    let mut failed = account.clone();
    failed.visit_failed(DUE, Some(TroubleCause::RateLimited), u32::MAX, HOUR * 3);
    let failed = failed.succeeding(&account, DUE);
    ports.account_writer.update(&failed, &account, None).await.unwrap();
    assert_eq!(ports.stored(id(1)).await.unwrap().0, failed);
    assert_eq!(claim(&ports, DUE + HOUR, 1, 9).await, []);
    assert_eq!(claim(&ports, DUE + HOUR * 3, 1, 9).await, [id(1)]);
    let dead = failed.dead(ReauthorizationReason::Checkpoint, DUE + HOUR * 3);
    ports.account_writer.mark_refused(&dead, 2, holder(1)).await.unwrap();
    ports.renewal_leases.release(id(1), holder(1)).await.unwrap();
    assert_eq!(claim(&ports, DUE + HOUR * 8, 2, 9).await, []);
    assert_eq!(claim(&ports, DUE + HOUR * 9, 2, 9).await, [id(1)]);
}

/// It is stored all the same, with the next check that follows from it, and nobody is told.
pub async fn a_new_reason_of_a_dead_account_is_no_change(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    link(&ports, 1, |account| account.refused = Some(ReauthorizationReason::TokenRevoked)).await;
    let account = claim_one(&ports, 1).await;
    let mut checked = account.clone();
    let checkpoint = Some(ReauthorizationReason::Checkpoint);
    checked.check_failed(DUE, checkpoint);
    let checked = checked.succeeding(&account, DUE);
    let change = VisitChange { account: checked.clone(), ..read_at(&account, DUE) };
    assert_eq!(ports.due_accounts.finish(&[result(1, id(1), Some(change))]).await.unwrap(), []);
    assert_eq!((checked.refused, checked.revision), (checkpoint, 1));
    assert_eq!(ports.stored(id(1)).await.unwrap().0, checked);
    assert_eq!(ports.told().await.len(), 1, "of the link");
    assert_eq!(claim(&ports, DUE + HOUR * 23, 2, 9).await, []);
    assert_eq!(claim(&ports, DUE + DAY, 2, 9).await, [id(1)]);
}

/// With its change of revision and event; a newer check with the same result is stored, and nobody is told.
pub async fn a_subscription_is_stored_as_it_was_found(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    link(&ports, 1, |_| {}).await;
    for (claimant, active, error, is_change) in [
        (1, true, None, true),
        (2, true, None, false),
        (3, true, Some(TroubleCause::AppMisconfigured), true),
        (4, false, Some(TroubleCause::AppMisconfigured), true),
    ] {
        let told = ports.told().await.len();
        let account = claim_one(&ports, claimant).await;
        let check_time = Some(DUE + Duration::from_secs(u64::from(claimant)));
        let subscription = Some(WebhookSubscription { active, error, check_time });
        let next = InstagramAccount { subscription, ..account.clone() };
        let next = next.succeeding(&account, DUE);
        assert_eq!(next.revision - account.revision, i64::from(is_change));
        let change = VisitChange { account: next.clone(), ..read_at(&account, DUE) };
        let result = result(claimant, id(1), Some(change));
        assert_eq!(ports.due_accounts.finish(&[result]).await.unwrap(), []);
        assert_eq!(ports.stored(id(1)).await.unwrap().0, next);
        assert_eq!(ports.told().await.len() - told, usize::from(is_change));
    }
    let fields = ChangedFields::of_names("webhook_subscription");
    let told = ports.told().await.pop().map(|event| event.change);
    assert_eq!(told, Some(EventChange::Changed { fields, trouble: None }));
}

/// It is due no more, and its trouble is over.
pub async fn an_account_that_is_marked_as_expired_is_visited_no_more(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    link(&ports, 1, |account| {
        account.visit_failed(START, Some(TroubleCause::RateLimited), 0, Duration::ZERO);
    })
    .await;
    let end = builders::account(1, "", START).token_expire_time.unwrap();
    assert_eq!(ports.account_writer.mark_expired(end, 9).await.unwrap(), 1);
    let (marked, _) = ports.stored(id(1)).await.unwrap();
    assert_eq!(marked.failures, VisitFailures::default());
    assert_eq!(claim(&ports, end + DAY, 1, 9).await, []);
}

/// Every change goes by the schedule already.
pub async fn nothing_is_missed_where_every_write_keeps_the_schedule(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    link(&ports, 1, |_| {}).await;
    link(&ports, 2, |account| account.token_expire_time = Some(START)).await;
    ports.account_writer.mark_expired(DUE, 9).await.unwrap();
    assert_eq!(ports.due_accounts.schedule_missed(9).await.unwrap(), 0);
}

/// With their tokens; the dead and the one that is asked about are none.
pub async fn witnesses_are_those_whose_profile_was_read_last(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    for number in 1..=6 {
        link(&ports, number, |account| {
            account.profile_time = START + HOUR * u32::from(number);
            match number {
                5 => account.refused = Some(ReauthorizationReason::Checkpoint),
                6 => account.token_expire_time = Some(DUE),
                _ => {}
            }
        })
        .await;
    }
    let witnesses = ports.due_accounts.witnesses(id(3), DUE, 2).await.unwrap();
    let found: Vec<_> =
        witnesses.iter().map(|(account, token)| (account.id, token_text(token))).collect();
    assert_eq!(found, [id(4), id(2)].map(|id| (id, "IGAA-first".to_owned())));
}

/// Whoever shares the app sees it.
pub async fn the_breaker_opens_and_closes_once(store: &dyn StoreUnderTest) {
    let (ports, other) = (store.ports(), store.of_app(parsed("2")));
    let (breaker, cause) = (&ports.breaker, TroubleCause::AppMisconfigured);
    assert!(!breaker.close(START, START).await.unwrap());
    assert!(!breaker.take_probe(START, HOUR).await.unwrap());
    assert!(breaker.open(cause, START).await.unwrap());
    assert!(!breaker.open(TroubleCause::RateLimited, START + HOUR).await.unwrap());
    let open = Some(OpenBreaker { cause, since_time: START });
    assert_eq!(breaker.load().await.unwrap().open, open);
    assert_eq!(other.breaker.load().await.unwrap().open, None);
    assert!(!other.breaker.close(START, START).await.unwrap());
    assert!(breaker.close(START, START + HOUR).await.unwrap());
    assert!(!breaker.close(START, START + HOUR * 2).await.unwrap());
    let closed = breaker.load().await.unwrap();
    assert_eq!((closed.open, closed.close_time), (None, Some(START + HOUR)));
    assert!(breaker.open(TroubleCause::RateLimited, START + DAY).await.unwrap());
}

/// Whoever closes it has asked a witness since an opening that was seen, and knows nothing of a later one.
pub async fn a_close_leaves_a_later_opening_alone(store: &dyn StoreUnderTest) {
    let Ports { breaker, .. } = store.ports();
    let cause = TroubleCause::AppMisconfigured;
    assert!(breaker.open(cause, START).await.unwrap());
    assert!(breaker.close(START, START + HOUR).await.unwrap());
    assert!(breaker.open(cause, START + HOUR * 2).await.unwrap());
    assert!(!breaker.close(START, START + HOUR * 3).await.unwrap());
    let open = Some(OpenBreaker { cause, since_time: START + HOUR * 2 });
    let close_time = Some(START + HOUR);
    assert_eq!(breaker.load().await.unwrap(), Breaker { open, close_time });
}

/// Of all replicas together.
pub async fn an_open_breaker_is_probed_once_in_an_interval(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    ports.breaker.open(TroubleCause::AppMisconfigured, START).await.unwrap();
    let probes = |now| {
        let ports = ports.clone();
        count_at_once(move |_| {
            let ports = ports.clone();
            async move { ports.breaker.take_probe(now, HOUR).await.unwrap() }
        })
    };
    assert_eq!(probes(START + HOUR - Duration::from_secs(1)).await, 0);
    assert_eq!(probes(START + HOUR).await, 1);
    assert_eq!(probes(START + HOUR * 2).await, 1);
}

/// As they are its alone.
pub async fn due_accounts_of_another_app_are_left_alone(store: &dyn StoreUnderTest) {
    let (ports, other) = (store.ports(), store.of_app(parsed("2")));
    link(&ports, 1, |_| {}).await;
    assert_eq!(claim(&other, DUE, 1, 9).await, []);
    assert!(other.due_accounts.witnesses(id(2), DUE, 9).await.unwrap().is_empty());
    assert_eq!(claim(&ports, DUE, 1, 9).await, [id(1)]);
}
