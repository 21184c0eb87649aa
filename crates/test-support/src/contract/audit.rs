//! The audit: recorded entries are found, in order, by each condition, outlive their account, and go by their age.

use std::time::Duration;

use ig_domain::ports::{AuditPage, MAX_RECORDED_ENTRIES};
use ig_domain::{AuditEntry, AuditId, InstagramAccount};
use uuid::Uuid;

use super::samples::{full_account, id};
use super::{Ports, StoreUnderTest};
use crate::builders::{self, START, parsed};

/// Entry `number` of account `number`, recorded so many microseconds after the start.
fn entry(number: u32, after: u64, owner: &str, caller: &str) -> AuditEntry {
    AuditEntry {
        id: AuditId::from_uuid(Uuid::from_u64_pair(0x0199_0000_0000_7000, u64::from(number))),
        caller: parsed(caller),
        owner: parsed(owner),
        ..builders::audit_entry(&builders::account(number, owner, START), after)
    }
}

/// Records entries of accounts, which are linked where they are not.
async fn record(ports: &Ports, entries: &[AuditEntry]) {
    for (number, entry) in (1..).zip(entries) {
        if ports.stored(entry.account).await.is_none() {
            let account = InstagramAccount {
                id: entry.account,
                professional_account_id: entry.professional_account_id.clone(),
                revision: entry.revision,
                ..builders::account(number.into(), entry.owner.as_str(), START)
            };
            ports.link(number, &account, "token").await;
        }
    }
    let ids = entries.iter().map(|entry| entry.id).collect();
    assert_eq!(ports.audit.record(entries).await.unwrap(), ids);
}

async fn found(ports: &Ports, page: AuditPage) -> Vec<AuditEntry> {
    ports.audit_reader.entries(&page).await.unwrap()
}

fn all() -> AuditPage {
    AuditPage { limit: 500, ..AuditPage::default() }
}

/// To the last digit, microsecond and character.
pub async fn every_field_of_an_entry_survives(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let full = AuditEntry {
        caller: parsed("spiffe://prod/ns/shop/sa/publisher"),
        purpose: parsed("публикация «7» 🛍 'quoted'; --"),
        request_id: parsed(&"~".repeat(128)),
        ..builders::audit_entry(&full_account(1), 1)
    };
    let bare = AuditEntry {
        id: entry(2, 0, "", "c").id,
        purpose: parsed(""),
        token_issue_time: None,
        token_expire_time: None,
        ..full.clone()
    };
    record(&ports, &[full.clone(), bare.clone()]).await;
    let mut kept = found(&ports, all()).await;
    kept.sort_by_key(|entry| entry.purpose.as_str().len());
    assert_eq!(kept, [bare, full]);
}

/// By descending time, then by descending id; every size of page yields the same list.
pub async fn the_newest_entry_comes_first_and_pages_join(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let entries = [(1, 5), (2, 9), (3, 5), (4, 1), (5, 9)];
    record(&ports, &entries.map(|(number, after)| entry(number, after, "", "c"))).await;
    let whole = [5, 2, 3, 1, 4].map(|number| entry(number, 0, "", "c").id);
    for limit in 1..=6 {
        let mut joined = Vec::new();
        let mut after = None;
        loop {
            let page = found(&ports, AuditPage { after, limit, ..all() }).await;
            assert!(page.len() as u64 <= limit);
            let Some(last) = page.last() else { break };
            after = Some((last.time, last.id));
            joined.extend(page.into_iter().map(|entry| entry.id));
        }
        assert_eq!(joined, whole, "pages of {limit}");
    }
}

/// Each by itself, and all together.
pub async fn entries_are_found_by_account_caller_owner_and_time(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let entries = [
        entry(1, 1, "shop/1", "publisher"),
        entry(2, 2, "shop/1", "reporter"),
        entry(3, 3, "", "publisher"),
        AuditEntry { id: entry(4, 0, "", "c").id, ..entry(1, 4, "shop/2", "reporter") },
    ];
    record(&ports, &entries).await;
    let [first, second, third, fourth] = entries;
    let account = Some(id(1));
    let (caller, owner) = (Some(parsed("publisher")), Some(parsed("shop/1")));
    let since = Some(START + Duration::from_micros(3));
    for (page, expected) in [
        (all(), vec![&fourth, &third, &second, &first]),
        (AuditPage { account, ..all() }, vec![&fourth, &first]),
        (AuditPage { account: Some(id(9)), ..all() }, vec![]),
        (AuditPage { caller: caller.clone(), ..all() }, vec![&third, &first]),
        (AuditPage { caller: Some(parsed("publish")), ..all() }, vec![]),
        (AuditPage { owner: owner.clone(), ..all() }, vec![&second, &first]),
        (AuditPage { owner: Some(parsed("")), ..all() }, vec![&third]),
        (AuditPage { since, ..all() }, vec![&fourth, &third]),
        (AuditPage { account, caller: caller.clone(), owner, ..all() }, vec![&first]),
        (AuditPage { account, caller, since, ..all() }, vec![]),
    ] {
        let kept = found(&ports, page.clone()).await;
        assert_eq!(kept.iter().collect::<Vec<_>>(), expected, "{page:?}");
    }
}

/// The audit must tell afterwards who has the token of an account that is gone.
pub async fn an_entry_outlives_its_account(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let account = builders::account(1, "shop/7", START);
    ports.link(1, &account, "token").await;
    let entry = builders::audit_entry(&account, 1);
    record(&ports, std::slice::from_ref(&entry)).await;
    ports.account_writer.remove(account.id, 1).await.unwrap();
    assert_eq!(ports.stored(account.id).await, None);
    assert_eq!(found(&ports, all()).await, [entry]);
}

/// No entry is overwritten.
pub async fn an_entry_is_recorded_once(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let first = entry(1, 1, "shop/1", "publisher");
    let second = AuditEntry { caller: parsed("reporter"), ..first.clone() };
    let other = AuditEntry { id: entry(2, 0, "", "c").id, ..first.clone() };
    record(&ports, std::slice::from_ref(&first)).await;
    super::samples::assert_conflict(ports.audit.record(&[other, second]).await);
    assert_eq!(found(&ports, all()).await, [first]);
}

/// Whoever read it before the change does not hand out its token; others that are recorded with it do.
pub async fn an_entry_of_a_changed_account_is_not_recorded(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let accounts = [1, 2, 3].map(|number| builders::account(number, "shop/7", START));
    let [unlinked, changed, same] = &accounts;
    for (number, account) in (1..).zip(&accounts) {
        ports.link(number, account, "token").await;
    }
    ports.account_writer.remove(unlinked.id, unlinked.revision).await.unwrap();
    let renamed = InstagramAccount { username: parsed("renamed"), ..changed.clone() };
    let renamed = renamed.succeeding(changed, START);
    ports.account_writer.update(&renamed, changed, None).await.unwrap();
    let read = [(unlinked, 1), (changed, 2), (same, 3), (&renamed, 4), (same, 5)];
    let entries = read.map(|(account, number)| builders::audit_entry(account, number));
    let recorded = ports.audit.record(&entries).await.unwrap();
    let [_, _, third, fourth, fifth] = entries;
    assert_eq!(recorded, [third.id, fourth.id, fifth.id].into());
    assert_eq!(found(&ports, all()).await, [fifth, fourth, third]);
    assert_eq!(ports.audit.record(&[]).await.unwrap(), [].into());
}

/// As many as there may be.
pub async fn the_most_entries_are_recorded_together(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let account = builders::account(1, "shop/7", START);
    ports.link(1, &account, "token").await;
    let entries: Vec<_> = (1..)
        .take(MAX_RECORDED_ENTRIES)
        .map(|number| builders::audit_entry(&account, number))
        .collect();
    let ids = entries.iter().map(|entry| entry.id).collect();
    assert_eq!(ports.audit.record(&entries).await.unwrap(), ids);
    let page = AuditPage { limit: 2000, ..all() };
    let mut kept = found(&ports, page).await;
    kept.reverse();
    assert_eq!(kept, entries);
}

/// The oldest first, at most the limit at once; what was handed out at the moment itself stays.
pub async fn old_entries_go_in_steps(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    let entries = [(1, 3), (2, 1), (3, 5), (4, 2), (5, 1), (6, 6)];
    record(&ports, &entries.map(|(number, after)| entry(number, after, "", "c"))).await;
    let time = START + Duration::from_micros(5);
    let stays = [(2, vec![6, 3, 1, 4]), (2, vec![6, 3]), (0, vec![6, 3])];
    for (purged, stays) in stays {
        assert_eq!(ports.audit.purge_before(time, 2).await.unwrap(), purged);
        let stays: Vec<_> = stays.iter().map(|number| entry(*number, 0, "", "c").id).collect();
        let kept = found(&ports, all()).await.into_iter();
        assert_eq!(kept.map(|entry| entry.id).collect::<Vec<_>>(), stays);
    }
}
